// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls that are short: versions, clocks, policies without effect on a GPU
 * without such hardware, XNACK mode, SVM attributes, and the doors to queue.c.
 */
#include "vamdgpu.h"

#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <uapi/linux/kfd_ioctl.h>
#include <uapi/linux/kfd_svm.h>

#include "kfd/front.h"

#define VAMDGPU_TILE_CONFIGS		32
#define VAMDGPU_MACRO_TILE_CONFIGS	16

int vamdgpu_ioctl_get_version(struct vamdgpu_process *p, void *data,
			      size_t user_len)
{
	struct kfd_ioctl_get_version_args *args = data;

	args->major_version = VAMDGPU_KFD_MAJOR;
	args->minor_version = VAMDGPU_KFD_MINOR;
	return 0;
}

/* One cache policy is enough: the CPU and the GPU share their caches. */
int vamdgpu_ioctl_set_memory_policy(struct vamdgpu_process *p, void *data,
				    size_t user_len)
{
	const struct kfd_ioctl_set_memory_policy_args *args = data;

	if (args->default_policy > KFD_IOC_CACHE_POLICY_NONCOHERENT ||
	    args->alternate_policy > KFD_IOC_CACHE_POLICY_NONCOHERENT)
		return -EINVAL;
	return PTR_ERR_OR_ZERO(vamdgpu_pdd_find(p, args->gpu_id));
}

/* The runtime asks for node 0 too, whose GPU counter is 0. */
int vamdgpu_ioctl_get_clock_counters(struct vamdgpu_process *p, void *data,
				     size_t user_len)
{
	struct kfd_ioctl_get_clock_counters_args *args = data;
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, args->gpu_id);

	if (pdd == ERR_PTR(-ENODEV))
		return -ENODEV;
	args->gpu_clock_counter = IS_ERR(pdd) ? 0 : gfx9_clock();
	args->cpu_clock_counter = ktime_get_raw_ns();
	args->system_clock_counter = ktime_get_boottime_ns();
	args->system_clock_freq = NSEC_PER_SEC;
	return 0;
}

/* Private memory of waves, of which there are none yet. */
int vamdgpu_ioctl_set_scratch_backing_va(struct vamdgpu_process *p, void *data,
					 size_t user_len)
{
	const struct kfd_ioctl_set_scratch_backing_va_args *args = data;

	return PTR_ERR_OR_ZERO(vamdgpu_pdd_find(p, args->gpu_id));
}

int vamdgpu_ioctl_set_trap_handler(struct vamdgpu_process *p, void *data,
				   size_t user_len)
{
	const struct kfd_ioctl_set_trap_handler_args *args = data;
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, args->gpu_id);
	int err = 0;

	if (IS_ERR(pdd))
		return PTR_ERR(pdd);
	mutex_lock(&p->lock);
	if (!pdd->drm_file)
		err = -ESRCH;
	mutex_unlock(&p->lock);
	return err;
}

int vamdgpu_ioctl_get_tile_config(struct vamdgpu_process *p, void *data,
				  size_t user_len)
{
	struct kfd_ioctl_get_tile_config_args *args = data;
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, args->gpu_id);

	if (IS_ERR(pdd))
		return PTR_ERR(pdd);
	args->gb_addr_config = VAMDGPU_GB_ADDR_CONFIG;
	args->num_banks = 4;
	args->num_ranks = 2;
	args->num_tile_configs = min_t(u32, args->num_tile_configs,
				       VAMDGPU_TILE_CONFIGS);
	args->num_macro_tile_configs = min_t(u32, args->num_macro_tile_configs,
					     VAMDGPU_MACRO_TILE_CONFIGS);
	/* gfx9 has no tile tables; every entry is 0. */
	if (clear_user(u64_to_user_ptr(args->tile_config_ptr),
		       args->num_tile_configs * sizeof(u32)))
		return -EFAULT;
	if (clear_user(u64_to_user_ptr(args->macro_tile_config_ptr),
		       args->num_macro_tile_configs * sizeof(u32)))
		return -EFAULT;
	return 0;
}

int vamdgpu_ioctl_set_xnack_mode(struct vamdgpu_process *p, void *data,
				 size_t user_len)
{
	struct kfd_svm_xnack_args *args = data;
	int err = 0;

	/* A queue runs in the mode it was made in: none may come or be there. */
	mutex_lock(&p->lock);
	if (args->xnack_enabled < 0)
		args->xnack_enabled = kfd_svm_xnack(p->svm);
	else if (vamdgpu_queue_count(p))
		err = -EBUSY;
	else if (args->xnack_enabled && vamdgpu_noretry &&
		 !kfd_svm_xnack(p->svm))
		err = -EPERM;
	else
		err = kfd_svm_set_xnack(p->svm, args->xnack_enabled);
	mutex_unlock(&p->lock);
	return err;
}

/* Without the process's lock: the core has its own, and may wait for memory. */
int vamdgpu_ioctl_svm(struct vamdgpu_process *p, void *data, size_t user_len)
{
	struct kfd_svm_args *args = data;

	if (struct_size(args, attrs, args->nattr) > user_len)
		return -EINVAL;
	if (!args->start_addr || !args->size ||
	    !IS_ALIGNED(args->start_addr | args->size, SZ_4K))
		return -EINVAL;
	switch (args->op) {
	case KFD_SVM_OP_SET_ATTR:
		return kfd_svm_set_attr(p->svm, args->start_addr, args->size,
					args->nattr, args->attrs);
	case KFD_SVM_OP_GET_ATTR:
		return kfd_svm_get_attr(p->svm, args->start_addr, args->size,
					args->nattr, args->attrs);
	default:
		return -EINVAL;
	}
}

int vamdgpu_ioctl_create_queue(struct vamdgpu_process *p, void *data,
			       size_t user_len)
{
	struct kfd_ioctl_create_queue_args *args = data;
	struct vamdgpu_pdd *pdd;
	int err;

	mutex_lock(&p->lock);
	pdd = vamdgpu_pdd_find(p, args->gpu_id);
	if (IS_ERR(pdd))
		err = PTR_ERR(pdd);
	else if (p->dead || !pdd->drm_file)
		err = -ESRCH;
	else
		err = vamdgpu_queue_create(p, args);
	mutex_unlock(&p->lock);
	return err;
}

int vamdgpu_ioctl_destroy_queue(struct vamdgpu_process *p, void *data,
				size_t user_len)
{
	const struct kfd_ioctl_destroy_queue_args *args = data;
	int err;

	mutex_lock(&p->lock);
	err = vamdgpu_queue_destroy(p, args->queue_id);
	mutex_unlock(&p->lock);
	return err;
}

int vamdgpu_ioctl_update_queue(struct vamdgpu_process *p, void *data,
			       size_t user_len)
{
	int err;

	mutex_lock(&p->lock);
	err = vamdgpu_queue_update(p, data);
	mutex_unlock(&p->lock);
	return err;
}
