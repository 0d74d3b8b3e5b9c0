// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/hmm_mirror_devmem: memory of devices for tests, see hmm_mirror_devmem.h.
 */
#include "devmem.h"

#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define EXIT_WAIT_JIFFIES	(5 * HZ)

static char *reserved;
module_param(reserved, charp, 0444);
MODULE_PARM_DESC(reserved, "RAM kept from the kernel by memmap=, for coherent memory: SIZE$ADDRESS");

static int info(struct hmd_info *args)
{
	struct memory *memory = memory_find(args->memory);

	if (args->reserved)
		return -EINVAL;
	if (!memory)
		return -ENODEV;
	args->first_pfn = memory->first_pfn;
	args->npages = memory->npages;
	args->nr_used = memory_nr_used(memory);
	args->nr_faults = atomic64_read(&memory->nr_faults);
	return 0;
}

static int evict(struct hmd_info *args)
{
	struct memory *memory = memory_find(args->memory);
	int err;

	if (!memory)
		return -ENODEV;
	err = move_evict(memory);
	return err ?: info(args);
}

static bool is_move_valid(const struct hmd_move *args)
{
	if (!PAGE_ALIGNED(args->first_va) || !PAGE_ALIGNED(args->last_va + 1) ||
	    args->first_va > args->last_va || args->to > HMD_TO_ABOVE ||
	    args->flags & ~HMD_HUGE || args->reserved)
		return false;
	if (args->to == HMD_TO_BELOW || args->to == HMD_TO_ABOVE)
		return args->last_va - args->first_va < PAGE_SIZE && !args->flags;
	return true;
}

static int move_pages_of_caller(struct hmd_move *args)
{
	struct memory *memory = memory_find(args->memory);
	struct move *move;
	int err;

	if (!is_move_valid(args))
		return -EINVAL;
	if (!memory)
		return -ENODEV;
#ifndef HMD_HUGE_PAGES
	if (args->flags & HMD_HUGE)
		return -EOPNOTSUPP;
#endif
	move = kzalloc(sizeof(*move), GFP_KERNEL);
	if (!move)
		return -ENOMEM;
	move->memory = memory;
	move->to = args->to;
	move->huge = args->flags & HMD_HUGE;
	move->offset = args->offset;
	err = move_span(move, current->mm, args->first_va, args->last_va);
	args->nr_moved = move->nr_moved;
	err = err ?: move->err;
	kfree(move);
	return err;
}

static int access_word(struct hmd_word *args, bool write)
{
	struct memory *memory = memory_of_pfn(args->pfn);
	u64 *word;

	if (!memory || !memory_is_used(memory, args->pfn))
		return -ENXIO;
	word = memory_data(pfn_to_page(args->pfn));
	if (write)
		WRITE_ONCE(*word, args->word);
	else
		args->word = READ_ONCE(*word);
	return 0;
}

union call_arg {
	struct hmd_info info;
	struct hmd_move move;
	struct hmd_word word;
};

static int call(unsigned int cmd, union call_arg *arg)
{
	switch (cmd) {
	case HMD_INFO:
		return info(&arg->info);
	case HMD_MOVE:
		return move_pages_of_caller(&arg->move);
	case HMD_EVICT:
		return evict(&arg->info);
	case HMD_PEEK:
		return access_word(&arg->word, false);
	case HMD_POKE:
		return access_word(&arg->word, true);
	default:
		return -ENOTTY;
	}
}

static long devmem_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	void __user *uarg = (void __user *)user;
	union call_arg arg = {};
	int err;

	if (_IOC_SIZE(cmd) > sizeof(arg))
		return -ENOTTY;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) &&
	    copy_from_user(&arg, uarg, _IOC_SIZE(cmd)))
		return -EFAULT;
	err = call(cmd, &arg);
	/* Also when the call failed: some pages may have moved. */
	if ((_IOC_DIR(cmd) & _IOC_READ) &&
	    copy_to_user(uarg, &arg, _IOC_SIZE(cmd)))
		return -EFAULT;
	return err;
}

static const struct file_operations devmem_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = devmem_ioctl,
};

static struct miscdevice devmem_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hmm_mirror_devmem",
	.fops = &devmem_fops,
	.mode = 0600,
};

static unsigned long nr_used(void)
{
	struct memory *memory;
	unsigned long n = 0;
	unsigned int i;

	for (i = 0; i < HMD_NR_MEMORIES; i++) {
		memory = memory_find(i);
		n += memory ? memory_nr_used(memory) : 0;
	}
	return n;
}

static int __init devmem_init(void)
{
	int err;

	err = memories_init(reserved);
	if (err)
		return err;
	err = misc_register(&devmem_device);
	if (err)
		memories_exit();
	return err;
}

/*
 * A process that was killed a moment ago may still be giving up its memory. What is used
 * after that has been lost by somebody; it is taken back where that is possible.
 */
static void __exit devmem_exit(void)
{
	unsigned long end = jiffies + EXIT_WAIT_JIFFIES;
	unsigned int i;

	misc_deregister(&devmem_device);
	while (nr_used() && time_before(jiffies, end))
		msleep(20);
	WARN(nr_used(), "hmm_mirror_devmem: %lu pages are out\n", nr_used());
	for (i = 0; i < HMD_NR_MEMORIES; i++) {
		if (memory_find(i))
			move_evict(&memories[i]);
	}
	memories_exit();
}

module_init(devmem_init);
module_exit(devmem_exit);

MODULE_DESCRIPTION("Memory of devices that are not there, for tests");
MODULE_LICENSE("GPL");
