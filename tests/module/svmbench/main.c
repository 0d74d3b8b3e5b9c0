// SPDX-License-Identifier: GPL-2.0-only
/*
 * Benchmark of the SVM core: the part that must be inside the kernel.
 *
 * A file is one process. Each ioctl is one pass of ours or of a peer over memory of the
 * caller; the user program makes the memory, takes turns, checks what it holds and
 * compares. The clock is the TSC, which under an instruction-counting QEMU is the
 * number of instructions; hmm_mirror_bench tells whether it is.
 */
#include "bench.h"

#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kfdsvm_compat.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

static char *reserved;
module_param(reserved, charp, 0444);
MODULE_PARM_DESC(reserved,
		 "RAM the kernel was told to leave alone, LEN$ADDR, 256M: coherent memory where there is no private");

struct platform_device *ksb_device;

static int (*const passes[KSB_NR_OPS])(struct ksb_file *f, struct ksb_pass *pass) = {
	[KSB_FAULT] = ksb_gpu_pass,
	[KSB_PREFETCH] = ksb_gpu_pass,
	[KSB_PREFETCH_RAM] = ksb_gpu_pass,
	[KSB_BARE_TO_VRAM] = ksb_bare_pass,
	[KSB_BARE_TO_RAM] = ksb_bare_pass,
	[KSB_PAGEMAP_TO_VRAM] = ksb_pagemap_pass,
	[KSB_HMM_MAP] = ksb_walk_pass,
};

static int settle(struct ksb_pass *pass)
{
	u64 start = ksb_clock();

	ksb_bare_settle();
	ksb_gpu_settle();
	ksb_pagemap_settle();
	pass->ticks = ksb_clock() - start;
	return 0;
}

static int do_pass(struct ksb_file *f, struct ksb_pass *pass)
{
	*pass = (struct ksb_pass) {
		.op = pass->op,
		.first_va = pass->first_va,
		.len = pass->len,
	};
	if (pass->op == KSB_SETTLE)
		return settle(pass);
	if (pass->op >= KSB_NR_OPS || !passes[pass->op])
		return -EINVAL;
	if (!pass->first_va || !pass->len ||
	    !IS_ALIGNED(pass->first_va | pass->len, KSB_BATCH_LEN) ||
	    pass->first_va >= TASK_SIZE || pass->len > TASK_SIZE - pass->first_va)
		return -EINVAL;
	return passes[pass->op](f, pass);
}

static long ksb_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ksb_info info = {
		.features = ksb_gpu_features() | ksb_pagemap_features(),
	};
	struct ksb_file *f = file->private_data;
	void __user *user = (void __user *)arg;
	struct ksb_pass pass;
	int err;

	if (f->mm != current->mm)
		return -EPERM;
	switch (cmd) {
	case KSB_INFO:
		return copy_to_user(user, &info, sizeof(info)) ? -EFAULT : 0;
	case KSB_PASS:
		if (copy_from_user(&pass, user, sizeof(pass)))
			return -EFAULT;
		mutex_lock(&f->lock);
		err = do_pass(f, &pass);
		mutex_unlock(&f->lock);
		if (!err && copy_to_user(user, &pass, sizeof(pass)))
			err = -EFAULT;
		return err;
	default:
		return -ENOTTY;
	}
}

static int ksb_open(struct inode *inode, struct file *file)
{
	struct ksb_file *f = kvzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	xa_init(&f->blocks);
	f->mm = current->mm;
	/* The struct is looked at when the file is closed. */
	mmgrab(f->mm);
	file->private_data = f;
	return 0;
}

static int ksb_release(struct inode *inode, struct file *file)
{
	struct ksb_file *f = file->private_data;

	ksb_walk_close(f);
	ksb_gpu_close(f);
	ksb_pagemap_close(f);
	mmdrop(f->mm);
	kvfree(f);
	return 0;
}

static const struct file_operations ksb_fops = {
	.owner = THIS_MODULE,
	.open = ksb_open,
	.release = ksb_release,
	.unlocked_ioctl = ksb_ioctl,
};

static struct miscdevice ksb_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kfd_svm_bench",
	.fops = &ksb_fops,
};

static int parse_reserved(u64 *start)
{
	char *end;
	u64 len;

	*start = 0;
	if (!reserved || IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		return 0;
	len = memparse(reserved, &end);
	if (*end != '$')
		return -EINVAL;
	*start = memparse(end + 1, &end);
	if (*end || len < 2 * KSB_VRAM_LEN || !IS_ALIGNED(*start, SZ_2M))
		return -EINVAL;
	return 0;
}

static int __init init_parts(void)
{
	u64 start;
	int err;

	err = dma_coerce_mask_and_coherent(&ksb_device->dev, DMA_BIT_MASK(64));
	if (!err)
		err = parse_reserved(&start);
	if (err)
		return err;
	err = ksb_gpu_init(start);
	if (err)
		return err;
	err = ksb_bare_init(start ? start + KSB_VRAM_LEN : 0);
	if (err)
		goto err_gpu;
	err = ksb_pagemap_init();
	if (err)
		goto err_bare;
	err = misc_register(&ksb_misc);
	if (!err)
		return 0;
	ksb_pagemap_exit();
err_bare:
	ksb_bare_exit();
err_gpu:
	ksb_gpu_exit();
	return err;
}

static int __init ksb_init(void)
{
	int err;

	ksb_device = platform_device_register_simple("kfd_svm_bench",
						     PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(ksb_device))
		return PTR_ERR(ksb_device);
	err = init_parts();
	if (err)
		platform_device_unregister(ksb_device);
	return err;
}

static void __exit ksb_exit(void)
{
	misc_deregister(&ksb_misc);
	ksb_pagemap_exit();
	ksb_bare_exit();
	ksb_gpu_exit();
	platform_device_unregister(ksb_device);
}

module_init(ksb_init);
module_exit(ksb_exit);

MODULE_DESCRIPTION("Benchmark of the SVM core against the kernel's own migration");
MODULE_LICENSE("GPL");
