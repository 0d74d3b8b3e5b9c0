// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process learns of its address spaces, and how it acquires one: with an
 * open file of the GPU's render node, which then belongs to it.
 */
#include "vamdgpu.h"

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/uaccess.h>
#include <uapi/linux/kfd_ioctl.h>

#include "kfd/front.h"

static void vamdgpu_fill_aperture(struct kfd_process_device_apertures *a,
				  const struct vamdgpu_device *dev)
{
	*a = (struct kfd_process_device_apertures){
		.lds_base = VAMDGPU_LDS_BASE,
		.lds_limit = VAMDGPU_LDS_BASE + VAMDGPU_APERTURE_LEN - 1,
		.scratch_base = VAMDGPU_SCRATCH_BASE,
		.scratch_limit = VAMDGPU_SCRATCH_BASE + VAMDGPU_APERTURE_LEN - 1,
		.gpuvm_base = VAMDGPU_GPUVM_BASE,
		.gpuvm_limit = VAMDGPU_GPUVM_LIMIT,
		.gpu_id = dev->gpu_id,
	};
}

/* Of the process's GPUs, at most @max. Return: how many; with @max 0, how many there are. */
static unsigned int vamdgpu_fill_apertures(struct vamdgpu_process *p,
					   struct kfd_process_device_apertures *a,
					   unsigned int max)
{
	unsigned int i, n = 0;

	for (i = 0; i < VAMDGPU_MAX_GPUS && (!max || n < max); i++) {
		if (!p->pdds[i] || READ_ONCE(p->pdds[i]->gone))
			continue;
		if (max)
			vamdgpu_fill_aperture(&a[n], p->pdds[i]->dev);
		n++;
	}
	return n;
}

int vamdgpu_ioctl_get_apertures(struct vamdgpu_process *p, void *data,
				size_t user_len)
{
	struct kfd_ioctl_get_process_apertures_args *args = data;

	args->num_of_nodes = vamdgpu_fill_apertures(p, args->process_apertures,
						    NUM_OF_SUPPORTED_GPUS);
	return 0;
}

/* Asked for none, it tells how many there are. */
int vamdgpu_ioctl_get_apertures_new(struct vamdgpu_process *p, void *data,
				    size_t user_len)
{
	struct kfd_ioctl_get_process_apertures_new_args *args = data;
	struct kfd_process_device_apertures apertures[VAMDGPU_MAX_GPUS];
	unsigned int max = min_t(u32, args->num_of_nodes, VAMDGPU_MAX_GPUS);

	args->num_of_nodes = vamdgpu_fill_apertures(p, apertures, max);
	if (max && copy_to_user(u64_to_user_ptr(args->kfd_process_device_apertures_ptr),
				apertures, args->num_of_nodes * sizeof(apertures[0])))
		return -EFAULT;
	return 0;
}

static int vamdgpu_acquire_locked(struct vamdgpu_pdd *pdd, struct file *file)
{
	struct vamdgpu_process *p = pdd->process;
	int err;

	lockdep_assert_held(&p->lock);
	if (pdd->gone)
		return -ENODEV;
	if (pdd->drm_file)
		return pdd->drm_file == file ? 0 : -EBUSY;
	err = vamdgpu_drm_file_claim(file, pdd);
	if (err)
		return err;
	err = kfd_svm_bind_vm(p->svm, pdd->dev->gpu_id, pdd);
	if (err) {
		vamdgpu_drm_file_release(file, pdd);
		return err;
	}
	pdd->drm_file = get_file(file);
	return 0;
}

int vamdgpu_ioctl_acquire_vm(struct vamdgpu_process *p, void *data,
			     size_t user_len)
{
	struct kfd_ioctl_acquire_vm_args *args = data;
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, args->gpu_id);
	struct file *file;
	int err;

	file = fget(args->drm_fd);
	if (!file)
		return -EINVAL;
	if (IS_ERR(pdd)) {
		err = PTR_ERR(pdd);
		goto out_put;
	}
	mutex_lock(&p->lock);
	err = vamdgpu_acquire_locked(pdd, file);
	mutex_unlock(&p->lock);
out_put:
	fput(file);
	return err;
}
