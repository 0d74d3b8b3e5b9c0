// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/kfd: open, the ioctl table, and the class that makes the node.
 *
 * The interface matches a command by its number alone. Size and direction work
 * as the real one's do: as many bytes as user space encoded are copied in, what
 * the kernel's structure has beyond is zero, and as many are copied back, also
 * if the handler failed.
 */
#include "vamdgpu.h"

#include <linux/cdev.h>
#include <linux/compat.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/kfd_ioctl.h>
#include <uapi/linux/kfd_svm.h>

#include "kfd/front.h"
#include "kfd/trace.h"

#define VAMDGPU_IOCTL_STACK_LEN	128

/**
 * struct vamdgpu_ioctl_desc - a row of the table
 * @cmd: for direction and the kernel's size
 * @fn: does it
 */
struct vamdgpu_ioctl_desc {
	unsigned int cmd;
	vamdgpu_ioctl_fn fn;
};

#define ROW(nr, ioctl, name) \
	[nr] = { .cmd = (ioctl), .fn = vamdgpu_ioctl_##name }

static const struct vamdgpu_ioctl_desc vamdgpu_ioctls[] = {
	ROW(0x01, AMDKFD_IOC_GET_VERSION, get_version),
	ROW(0x02, AMDKFD_IOC_CREATE_QUEUE, create_queue),
	ROW(0x03, AMDKFD_IOC_DESTROY_QUEUE, destroy_queue),
	ROW(0x04, AMDKFD_IOC_SET_MEMORY_POLICY, set_memory_policy),
	ROW(0x05, AMDKFD_IOC_GET_CLOCK_COUNTERS, get_clock_counters),
	ROW(0x06, AMDKFD_IOC_GET_PROCESS_APERTURES, get_apertures),
	ROW(0x07, AMDKFD_IOC_UPDATE_QUEUE, update_queue),
	ROW(0x08, AMDKFD_IOC_CREATE_EVENT, create_event),
	ROW(0x09, AMDKFD_IOC_DESTROY_EVENT, destroy_event),
	ROW(0x0a, AMDKFD_IOC_SET_EVENT, set_event),
	ROW(0x0b, AMDKFD_IOC_RESET_EVENT, reset_event),
	ROW(0x0c, AMDKFD_IOC_WAIT_EVENTS, wait_events),
	ROW(0x11, AMDKFD_IOC_SET_SCRATCH_BACKING_VA, set_scratch_backing_va),
	ROW(0x12, AMDKFD_IOC_GET_TILE_CONFIG, get_tile_config),
	ROW(0x13, AMDKFD_IOC_SET_TRAP_HANDLER, set_trap_handler),
	ROW(0x14, AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, get_apertures_new),
	ROW(0x15, AMDKFD_IOC_ACQUIRE_VM, acquire_vm),
	ROW(0x16, AMDKFD_IOC_ALLOC_MEMORY_OF_GPU, alloc_memory),
	ROW(0x17, AMDKFD_IOC_FREE_MEMORY_OF_GPU, free_memory),
	ROW(0x18, AMDKFD_IOC_MAP_MEMORY_TO_GPU, map_memory),
	ROW(0x19, AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU, unmap_memory),
	ROW(0x1f, AMDKFD_IOC_SMI_EVENTS, smi_events),
	ROW(0x20, KFD_SVM_IOC_BASE, svm),
	ROW(0x21, KFD_SVM_IOC_XNACK, set_xnack_mode),
	ROW(0x23, AMDKFD_IOC_AVAILABLE_MEMORY, available_memory),
};

/* Set last, so that nobody sees a GPU whose topology is not complete. */
static bool vamdgpu_ready;
static struct device *vamdgpu_kfd_device;
static int vamdgpu_kfd_major;

static int vamdgpu_kfd_open(struct inode *inode, struct file *file)
{
	struct vamdgpu_process *p;

	/* Pairs with the release in vamdgpu_chardev_open_up(). */
	if (!smp_load_acquire(&vamdgpu_ready) || iminor(inode))
		return -ENODEV;
	if (in_compat_syscall())
		return -EPERM;
	p = vamdgpu_process_open();
	if (IS_ERR(p))
		return PTR_ERR(p);
	file->private_data = p;
	file->f_mapping = p->doorbell_inode->i_mapping;
	return nonseekable_open(inode, file);
}

static int vamdgpu_kfd_release(struct inode *inode, struct file *file)
{
	vamdgpu_process_put(file->private_data);
	return 0;
}

static long vamdgpu_kfd_call(struct vamdgpu_process *p,
			     const struct vamdgpu_ioctl_desc *desc, char *buf,
			     void __user *arg, size_t user_len)
{
	int ret;

	if (desc->cmd & IOC_IN) {
		if (copy_from_user(buf, arg, user_len))
			return -EFAULT;
	}
	ret = desc->fn(p, buf, user_len);
	trace_vamdgpu_ioctl(p->tgid, _IOC_NR(desc->cmd), ret);
	if ((desc->cmd & IOC_OUT) && copy_to_user(arg, buf, user_len))
		ret = -EFAULT;
	return ret;
}

static long vamdgpu_kfd_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	char stack[VAMDGPU_IOCTL_STACK_LEN] __aligned(8);
	struct vamdgpu_process *p = file->private_data;
	const struct vamdgpu_ioctl_desc *desc;
	size_t user_len = _IOC_SIZE(cmd), len;
	unsigned int nr = _IOC_NR(cmd);
	char *buf = stack;
	long ret;

	if (nr >= ARRAY_SIZE(vamdgpu_ioctls) || !vamdgpu_ioctls[nr].fn)
		return -ENOTTY;
	desc = &vamdgpu_ioctls[nr];
	if (!vamdgpu_process_is_current(p))
		return -EBADF;

	len = max_t(size_t, user_len, _IOC_SIZE(desc->cmd));
	if (len > sizeof(stack)) {
		buf = kzalloc(len, GFP_KERNEL_ACCOUNT);
		if (!buf)
			return -ENOMEM;
	} else {
		memset(stack, 0, sizeof(stack));
	}
	ret = vamdgpu_kfd_call(p, desc, buf, (void __user *)arg, user_len);
	if (buf != stack)
		kfree(buf);
	return ret;
}

static const struct file_operations vamdgpu_kfd_fops = {
	.owner = THIS_MODULE,
	.open = vamdgpu_kfd_open,
	.release = vamdgpu_kfd_release,
	.unlocked_ioctl = vamdgpu_kfd_ioctl,
	.mmap = vamdgpu_kfd_mmap,
};

static const struct class vamdgpu_kfd_class = {
	.name = "kfd",
};

int vamdgpu_chardev_init(void)
{
	int err;

	vamdgpu_kfd_major = register_chrdev(0, "kfd", &vamdgpu_kfd_fops);
	if (vamdgpu_kfd_major < 0)
		return vamdgpu_kfd_major;
	err = class_register(&vamdgpu_kfd_class);
	if (err)
		goto err_chrdev;
	vamdgpu_kfd_device = device_create(&vamdgpu_kfd_class, NULL,
					   MKDEV(vamdgpu_kfd_major, 0), NULL,
					   "kfd");
	if (IS_ERR(vamdgpu_kfd_device)) {
		err = PTR_ERR(vamdgpu_kfd_device);
		goto err_class;
	}
	err = vamdgpu_topology_init(vamdgpu_kfd_device);
	if (err)
		goto err_device;
	err = vamdgpu_sysfs_proc_init(vamdgpu_kfd_device);
	if (err)
		goto err_topology;
	return 0;

err_topology:
	vamdgpu_topology_exit();
err_device:
	device_destroy(&vamdgpu_kfd_class, MKDEV(vamdgpu_kfd_major, 0));
err_class:
	class_unregister(&vamdgpu_kfd_class);
err_chrdev:
	unregister_chrdev(vamdgpu_kfd_major, "kfd");
	return err;
}

void vamdgpu_chardev_open_up(void)
{
	/* Pairs with the acquire in vamdgpu_kfd_open(). */
	smp_store_release(&vamdgpu_ready, true);
}

void vamdgpu_chardev_exit(void)
{
	vamdgpu_sysfs_proc_exit();
	vamdgpu_topology_exit();
	device_destroy(&vamdgpu_kfd_class, MKDEV(vamdgpu_kfd_major, 0));
	class_unregister(&vamdgpu_kfd_class);
	unregister_chrdev(vamdgpu_kfd_major, "kfd");
}
