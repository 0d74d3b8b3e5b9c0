// SPDX-License-Identifier: GPL-2.0-only
/*
 * Benchmark of the HMM mirror: the part that must be inside the kernel.
 *
 * A file is one span of the caller's memory and the two that look at it, a mirror with a
 * range and the kernel's own interval notifier. Each ioctl is one pass of one of them;
 * the user program makes the memory, takes turns and compares. The clock is the TSC,
 * which under an instruction-counting QEMU is the number of instructions;
 * HMM_BENCH_INFO tells whether it is.
 */
#include "bench.h"

#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/irqflags.h>
#include <linux/kfdsvm_compat.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/tsc.h>

#define LOOP_ROUNDS	1000000UL

#ifdef HMM_BENCH_GPUSVM_BUILT
#define FEATURE_GPUSVM	HMM_BENCH_HAS_GPUSVM
#else
#define FEATURE_GPUSVM	0
#endif
#ifdef HMM_BENCH_HMM_DMA_BUILT
#define FEATURE_HMM_DMA	HMM_BENCH_HAS_HMM_DMA
#else
#define FEATURE_HMM_DMA	0
#endif
#define FEATURES	(FEATURE_GPUSVM | FEATURE_HMM_DMA)

struct platform_device *bench_device;

static void mirror_invalidate(struct hmm_mirror *mirror,
			      const struct hmm_mirror_event *event)
{
	struct bench *b = container_of(mirror, struct bench, mirror);

	lockdep_assert_held(&b->update_lock);
	b->nr_mirror_events++;
}

static const struct hmm_mirror_ops mirror_ops = {
	.invalidate = mirror_invalidate,
};

static bool notifier_invalidate(struct mmu_interval_notifier *notifier,
				const struct mmu_notifier_range *range,
				unsigned long cur_seq)
{
	struct bench *b = container_of(notifier, struct bench, notifier);

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&b->notifier_lock);
	else if (!mutex_trylock(&b->notifier_lock))
		return false;
	mmu_interval_set_seq(notifier, cur_seq);
	mutex_unlock(&b->notifier_lock);
	atomic_long_inc(&b->nr_notifier_events);
	return true;
}

static const struct mmu_interval_notifier_ops notifier_ops = {
	.invalidate = notifier_invalidate,
};

static int bench_info(struct bench *b, void *arg)
{
	struct hmm_bench_info *info = arg;
	unsigned long rounds = LOOP_ROUNDS, flags;
	u64 start;

	*info = (struct hmm_bench_info) {
		.loop_insns = 2 * LOOP_ROUNDS,
		.ticks_per_ms = tsc_khz,
		.features = FEATURES,
	};

	local_irq_save(flags);
	start = bench_clock();
	asm volatile("1: dec %0\n\tjnz 1b" : "+r" (rounds) : : "cc");
	info->loop_ticks = bench_clock() - start;
	local_irq_restore(flags);
	return 0;
}

static void span_close(struct bench *b)
{
	bench_crowd_remove(b);
	bench_gpusvm_free(b);
	if (b->parts & HMM_BENCH_RANGE)
		hmm_mirror_range_unregister(&b->range);
	if (b->parts & HMM_BENCH_MIRROR)
		hmm_mirror_unregister(&b->mirror);
	if (b->parts & HMM_BENCH_NOTIFIER)
		mmu_interval_notifier_remove(&b->notifier);
	b->parts = 0;
	kvfree(b->pfns);
	kvfree(b->extents);
	kvfree(b->dma);
	b->pfns = NULL;
	b->extents = NULL;
	b->dma = NULL;
	b->mm = NULL;
}

static int open_notifier(struct bench *b, struct hmm_bench_span *span)
{
	u64 start = bench_clock();
	int err;

	err = mmu_interval_notifier_insert(&b->notifier, b->mm, b->first_va,
					   b->npages << PAGE_SHIFT,
					   &notifier_ops);
	span->notifier_ticks = bench_clock() - start;
	if (!err)
		b->parts |= HMM_BENCH_NOTIFIER;
	return err;
}

static int open_mirror(struct bench *b, struct hmm_bench_span *span)
{
	u64 start = bench_clock();
	int err;

	err = hmm_mirror_register(&b->mirror, b->mm, &b->update_lock,
				  &mirror_ops);
	span->mirror_ticks = bench_clock() - start;
	if (err)
		return err;
	b->parts |= HMM_BENCH_MIRROR;

	start = bench_clock();
	err = hmm_mirror_watch(&b->mirror, b->first_va, b->last_va);
	span->watch_ticks = bench_clock() - start;
	return err;
}

static int open_range(struct bench *b, struct hmm_bench_span *span)
{
	u64 start = bench_clock();
	int err;

	err = hmm_mirror_range_register(&b->range, &b->mirror, b->first_va,
					b->last_va);
	span->range_ticks = bench_clock() - start;
	if (!err)
		b->parts |= HMM_BENCH_RANGE;
	return err;
}

static int bench_span(struct bench *b, void *arg)
{
	struct hmm_bench_span *span = arg;
	int err = 0;

	if (b->mm)
		return -EBUSY;
	if (!PAGE_ALIGNED(span->first_va) || !PAGE_ALIGNED(span->last_va + 1) ||
	    span->first_va >= span->last_va || span->last_va >= TASK_SIZE)
		return -EINVAL;
	b->npages = (span->last_va + 1 - span->first_va) >> PAGE_SHIFT;
	if (b->npages > HMM_BENCH_MAX_NPAGES)
		return -E2BIG;
	b->first_va = span->first_va;
	b->last_va = span->last_va;
	b->mm = current->mm;

	if (span->parts & HMM_BENCH_NOTIFIER)
		err = open_notifier(b, span);
	if (!err && span->parts & (HMM_BENCH_MIRROR | HMM_BENCH_RANGE))
		err = open_mirror(b, span);
	if (!err && span->parts & HMM_BENCH_RANGE)
		err = open_range(b, span);
	if (err)
		span_close(b);
	return err;
}

static int make_arrays(struct bench *b)
{
	if (b->dma)
		return 0;
	/* Zeroed: some kernels keep flags that were in the array before. */
	if (!b->pfns)
		b->pfns = kvcalloc(b->npages, sizeof(*b->pfns), GFP_KERNEL);
	if (!b->extents)
		b->extents = kvcalloc(b->npages, sizeof(*b->extents), GFP_KERNEL);
	b->dma = kvcalloc(b->npages, sizeof(*b->dma), GFP_KERNEL);
	return b->pfns && b->extents && b->dma ? 0 : -ENOMEM;
}

/* What a pass needs, how it is done, and what its result is read from. */
static const struct {
	unsigned int parts;
	int (*run)(struct bench *b, struct hmm_bench_pass *pass);
	void (*look)(struct bench *b, struct hmm_bench_pass *pass);
} passes[HMM_BENCH_NR_OPS] = {
	[HMM_BENCH_KERNEL_SNAPSHOT] = {
		HMM_BENCH_NOTIFIER, bench_kernel_walk, bench_look_at_pfns
	},
	[HMM_BENCH_KERNEL_FAULT] = {
		HMM_BENCH_NOTIFIER, bench_kernel_walk, bench_look_at_pfns
	},
	[HMM_BENCH_KERNEL_EXTENTS] = {
		HMM_BENCH_NOTIFIER, bench_kernel_walk, bench_look_at_extents
	},
	[HMM_BENCH_MIRROR_SNAPSHOT] = {
		HMM_BENCH_RANGE, bench_mirror_walk, bench_look_at_extents
	},
	[HMM_BENCH_MIRROR_FAULT] = {
		HMM_BENCH_RANGE, bench_mirror_walk, bench_look_at_extents
	},
	[HMM_BENCH_MIRROR_FAULT_DMA] = {
		HMM_BENCH_RANGE, bench_mirror_walk, bench_look_at_extents
	},
	[HMM_BENCH_GPUSVM_PAGES] = { 0, bench_gpusvm_pages, NULL },
	[HMM_BENCH_DMA_PAGES] = {
		HMM_BENCH_NOTIFIER, bench_dma_pages, bench_look_at_pfns
	},
	[HMM_BENCH_DMA_HMM] = {
		HMM_BENCH_NOTIFIER, bench_dma_hmm, bench_look_at_pfns
	},
	[HMM_BENCH_DMA_EXTENTS] = {
		HMM_BENCH_RANGE, bench_dma_extents, bench_look_at_extents
	},
};

static int bench_pass(struct bench *b, void *arg)
{
	struct hmm_bench_pass *pass = arg;
	int err;

	*pass = (struct hmm_bench_pass) {
		.op = pass->op,
		.nr_max = pass->nr_max,
		.first_va = pass->first_va,
		.last_va = pass->last_va,
		.look = pass->look,
	};
	if (pass->op >= HMM_BENCH_NR_OPS)
		return -EINVAL;
	if ((b->parts & passes[pass->op].parts) != passes[pass->op].parts)
		return -EINVAL;
	err = make_arrays(b);
	if (!err)
		err = passes[pass->op].run(b, pass);
	if (!err && pass->look && passes[pass->op].look)
		passes[pass->op].look(b, pass);
	return err;
}

static int bench_crowd_ioctl(struct bench *b, void *arg)
{
	return bench_crowd(b, arg);
}

static int bench_race_ioctl(struct bench *b, void *arg)
{
	int err = make_arrays(b);

	return err ?: bench_race(b, arg);
}

static int bench_events(struct bench *b, void *arg)
{
	struct hmm_bench_events *events = arg;

	mutex_lock(&b->update_lock);
	events->nr_mirror = b->nr_mirror_events;
	b->nr_mirror_events = 0;
	mutex_unlock(&b->update_lock);
	events->nr_notifier = atomic_long_xchg(&b->nr_notifier_events, 0);
	return 0;
}

static const struct {
	unsigned int cmd;
	int (*handle)(struct bench *b, void *arg);
} handlers[] = {
	{ HMM_BENCH_INFO, bench_info },
	{ HMM_BENCH_SPAN, bench_span },
	{ HMM_BENCH_PASS, bench_pass },
	{ HMM_BENCH_CROWD, bench_crowd_ioctl },
	{ HMM_BENCH_EVENTS, bench_events },
	{ HMM_BENCH_RACE, bench_race_ioctl },
};

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct bench *b = file->private_data;
	void __user *user = (void __user *)arg;
	union {
		struct hmm_bench_info info;
		struct hmm_bench_span span;
		struct hmm_bench_pass pass;
		struct hmm_bench_crowd crowd;
		struct hmm_bench_events events;
		struct hmm_bench_race race;
	} args;
	unsigned int nr = _IOC_NR(cmd);
	int err;

	if (nr >= ARRAY_SIZE(handlers) || handlers[nr].cmd != cmd)
		return -ENOTTY;
	if (copy_from_user(&args, user, _IOC_SIZE(cmd)))
		return -EFAULT;

	mutex_lock(&b->lock);
	if (b->mm ? b->mm == current->mm :
	    cmd == HMM_BENCH_INFO || cmd == HMM_BENCH_SPAN)
		err = handlers[nr].handle(b, &args);
	else
		err = -EINVAL;
	mutex_unlock(&b->lock);

	if (!err && copy_to_user(user, &args, _IOC_SIZE(cmd)))
		err = -EFAULT;
	return err;
}

static int bench_file_open(struct inode *inode, struct file *file)
{
	struct bench *b = kzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return -ENOMEM;
	mutex_init(&b->lock);
	mutex_init(&b->update_lock);
	mutex_init(&b->notifier_lock);
	file->private_data = b;
	return 0;
}

static int bench_file_release(struct inode *inode, struct file *file)
{
	struct bench *b = file->private_data;

	span_close(b);
	kfree(b);
	return 0;
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.open = bench_file_open,
	.release = bench_file_release,
	.unlocked_ioctl = bench_ioctl,
};

static struct miscdevice bench_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hmm_mirror_bench",
	.fops = &bench_fops,
};

static int __init bench_init(void)
{
	int err;

	bench_device = platform_device_register_simple("hmm_mirror_bench",
						       PLATFORM_DEVID_NONE,
						       NULL, 0);
	if (IS_ERR(bench_device))
		return PTR_ERR(bench_device);
	err = dma_coerce_mask_and_coherent(&bench_device->dev,
					   DMA_BIT_MASK(64));
	if (!err)
		err = misc_register(&bench_misc);
	if (err)
		platform_device_unregister(bench_device);
	return err;
}

static void __exit bench_exit(void)
{
	misc_deregister(&bench_misc);
	platform_device_unregister(bench_device);
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("Benchmark of the HMM mirror against the kernel's own walk");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(HMM_MIRROR);
