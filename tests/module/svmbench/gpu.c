// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GPU of the SVM core that is nothing but what the core asks of one: page tables with
 * leaves of 4 KiB and 2 MiB in RAM, and VRAM with an engine that copies. It never accesses
 * memory by itself, so there is nothing to flush and to stop: what is measured is the
 * core and the mirror, from the fault on.
 */
#include "bench.h"

#include <linux/hmm_mirror_copy.h>
#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

/**
 * struct block - 2 MiB of a process on the GPU
 * @leaf: entry that maps all of it, or 0
 * @ptes: entries by page
 */
struct block {
	u64 leaf;
	u64 ptes[KSB_BATCH];
};

static struct ksb_vram vram;
static struct kfd_svm_gpu *gpu;
static bool has_vram;

static struct block *block_at(struct ksb_file *f, u64 va)
{
	return xa_load(&f->blocks, va / KSB_BATCH_LEN);
}

static int reserve_block(struct ksb_file *f, u64 va)
{
	struct block *block;
	int err;

	if (block_at(f, va))
		return 0;
	block = kvzalloc(sizeof(*block), GFP_KERNEL_ACCOUNT);
	if (!block)
		return -ENOMEM;
	err = xa_insert(&f->blocks, va / KSB_BATCH_LEN, block, GFP_KERNEL);
	if (err)
		kvfree(block);
	return err;
}

static int pt_reserve(void *vm, struct kfd_svm_span span)
{
	int err = 0;
	u64 va;

	for (va = span.first_va; !err && va <= span.last_va; va += KSB_BATCH_LEN)
		err = reserve_block(vm, va);
	return err;
}

static void map_block(struct block *block, unsigned long first, u64 addr, u64 len,
		      u32 flags)
{
	unsigned long i;

	if (len == KSB_BATCH_LEN && IS_ALIGNED(addr, KSB_BATCH_LEN)) {
		WRITE_ONCE(block->leaf, addr | flags);
		return;
	}
	for (i = 0; i < PHYS_PFN(len); i++)
		WRITE_ONCE(block->ptes[first + i], (addr + PFN_PHYS(i)) | flags);
}

static void pt_map(void *vm, u64 va, u64 addr, u64 len, u32 flags, void *vram_gpu)
{
	u64 step;

	for (; len; va += step, addr += step, len -= step) {
		step = min(len, ALIGN_DOWN(va, KSB_BATCH_LEN) + KSB_BATCH_LEN - va);
		map_block(block_at(vm, va), PHYS_PFN(va) % KSB_BATCH, addr, step,
			  flags);
	}
}

static void pt_unmap(void *vm, struct kfd_svm_span span,
		     struct kfd_svm_span *cleared)
{
	unsigned long first = PHYS_PFN(span.first_va) % KSB_BATCH;
	unsigned long last = PHYS_PFN(span.last_va) % KSB_BATCH;
	struct block *block = block_at(vm, span.first_va);

	*cleared = span;
	if (!block)
		return;
	if (block->leaf) {
		WRITE_ONCE(block->leaf, 0);
		cleared->first_va = ALIGN_DOWN(span.first_va, KSB_BATCH_LEN);
		cleared->last_va = cleared->first_va + KSB_BATCH_LEN - 1;
		return;
	}
	memset(&block->ptes[first], 0, (last - first + 1) * sizeof(*block->ptes));
}

static void nothing_to_do(void *vm)
{
}

static bool va_busy(void *vm, struct kfd_svm_span *span)
{
	return false;
}

static int vram_alloc(void *priv, u64 len, u64 *addr)
{
	long index = ksb_vram_take(&vram, PHYS_PFN(len));

	if (index < 0)
		return index;
	*addr = PFN_PHYS((u64)index);
	return 0;
}

static void vram_free(void *priv, u64 addr, u64 len)
{
	ksb_vram_give(&vram, PHYS_PFN(addr), PHYS_PFN(len));
}

static int vram_clear(void *priv, u64 addr, u64 len)
{
	ksb_vram_clear(&vram, PHYS_PFN(addr), PHYS_PFN(len));
	return 0;
}

/* System memory is where DMA addresses say: there is no IOMMU. */
static int vram_copy(void *priv, enum hmm_mirror_copy_dir dir,
		     const struct hmm_mirror_copy *runs, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		void *here = ksb_vram_at(&vram, PHYS_PFN(runs[i].dev_addr));
		void *there = __va(runs[i].other);

		if (dir == HMM_MIRROR_COPY_TO_RAM)
			ksb_vram_copy(&vram, there, here, PHYS_PFN(runs[i].len));
		else
			ksb_vram_copy(&vram, here, there, PHYS_PFN(runs[i].len));
	}
	return 0;
}

static const struct kfd_svm_gpu_ops gpu_ops = {
	.pt_reserve = pt_reserve,
	.pt_map = pt_map,
	.pt_unmap = pt_unmap,
	.tlb_flush = nothing_to_do,
	.quiesce = nothing_to_do,
	.resume = nothing_to_do,
	.va_busy = va_busy,
	.vram_alloc = vram_alloc,
	.vram_free = vram_free,
	.vram_clear = vram_clear,
	.vram_copy = vram_copy,
};

int ksb_gpu_init(u64 coherent_start)
{
	const struct kfd_svm_gpu_desc desc = {
		.gpu_id = KSB_GPU_ID,
		.dma_dev = &ksb_device->dev,
		.gc_version = 9 << 16 | 0 << 8 | 1,
		.svm_capable = true,
		.xnack_capable = true,
		.vram_len = KSB_VRAM_LEN,
		.vram_coherent_start = coherent_start,
		.ops = &gpu_ops,
		.owner = THIS_MODULE,
	};
	const char *why_not;
	int err;

	if (coherent_start &&
	    !request_mem_region(coherent_start, KSB_VRAM_LEN, "kfd_svm_bench"))
		return -EBUSY;
	err = ksb_vram_init(&vram, coherent_start,
			    !coherent_start && IS_ENABLED(CONFIG_DEVICE_PRIVATE));
	if (err)
		goto err_region;
	gpu = kfd_svm_gpu_register(&desc);
	if (IS_ERR(gpu)) {
		err = PTR_ERR(gpu);
		goto err_vram;
	}
	kfd_svm_gpu_vram_mode(gpu, &why_not);
	has_vram = !why_not;
	return 0;

err_vram:
	ksb_vram_fini(&vram);
err_region:
	if (coherent_start)
		release_mem_region(coherent_start, KSB_VRAM_LEN);
	return err;
}

void ksb_gpu_exit(void)
{
	kfd_svm_gpu_unregister(gpu);
	if (vram.coherent_start)
		release_mem_region(vram.coherent_start, KSB_VRAM_LEN);
	ksb_vram_fini(&vram);
}

u32 ksb_gpu_features(void)
{
	u32 features = 0;

	if (has_vram)
		features |= KSB_HAS_VRAM;
	if (has_vram && !vram.coherent_start)
		features |= KSB_HAS_PRIVATE;
	if (has_vram && !vram.coherent_start && KSB_PFN_HUGE)
		features |= KSB_HAS_HUGE;
	return features;
}

static void on_release(void *client)
{
}

static const struct kfd_svm_client_ops client_ops = {
	.release = on_release,
};

static int open_svm(struct ksb_file *f)
{
	struct kfd_svm *svm;
	int err;

	if (f->svm)
		return 0;
	svm = kfd_svm_create(f->mm, current->tgid, true, &client_ops, f);
	if (IS_ERR(svm))
		return PTR_ERR(svm);
	err = kfd_svm_attach_gpu(svm, gpu, KSB_GPU_ID);
	if (!err)
		err = kfd_svm_bind_vm(svm, KSB_GPU_ID, f);
	if (err) {
		kfd_svm_destroy(svm);
		return err;
	}
	f->svm = svm;
	return 0;
}

void ksb_gpu_close(struct ksb_file *f)
{
	struct block *block;
	unsigned long index;

	if (f->svm)
		kfd_svm_destroy(f->svm);
	xa_for_each(&f->blocks, index, block)
		kvfree(block);
	xa_destroy(&f->blocks);
}

void ksb_gpu_settle(void)
{
	ksb_vram_wait_empty(&vram);
}

static int do_fault(struct ksb_file *f, const struct ksb_pass *pass)
{
	struct kfd_svm_fault fault = {
		.user_gpu_id = KSB_GPU_ID,
		.write = true,
		.va = pass->first_va,
	};

	kfd_svm_fault(f->svm, &fault, 1);
	return fault.outcome == KFD_SVM_FAULT_REPLAY ? 0 : -EFAULT;
}

static int do_prefetch(struct ksb_file *f, const struct ksb_pass *pass)
{
	const struct kfd_svm_attribute attr = {
		.type = KFD_SVM_ATTR_PREFETCH_LOC,
		.value = pass->op == KSB_PREFETCH ? KSB_GPU_ID :
						    KFD_SVM_LOC_SYSMEM,
	};
	int err;

	err = kfd_svm_set_attr(f->svm, pass->first_va, pass->len, 1, &attr);
	if (!err && pass->op == KSB_PREFETCH_RAM)
		ksb_gpu_settle();
	return err;
}

static u64 count_mapped(struct ksb_file *f, const struct ksb_pass *pass)
{
	u64 va, n = 0, i;

	for (va = pass->first_va; va < pass->first_va + pass->len;
	     va += KSB_BATCH_LEN) {
		const struct block *block = block_at(f, va);

		for (i = 0; block && !block->leaf && i < KSB_BATCH; i++)
			n += !!block->ptes[i];
		if (block && block->leaf)
			n += KSB_BATCH;
	}
	return n;
}

int ksb_gpu_pass(struct ksb_file *f, struct ksb_pass *pass)
{
	u64 start;
	int err;

	err = open_svm(f);
	if (err)
		return err;
	ksb_vram_begin(&vram);
	start = ksb_clock();
	err = pass->op == KSB_FAULT ? do_fault(f, pass) : do_prefetch(f, pass);
	pass->ticks = ksb_clock() - start;
	ksb_vram_report(&vram, pass);
	pass->mapped = count_mapped(f, pass);
	return err;
}

MODULE_IMPORT_NS(KFD_SVM);
