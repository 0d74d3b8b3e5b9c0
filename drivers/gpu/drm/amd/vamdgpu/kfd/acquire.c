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

int vamdgpu_ioctl_get_apertures(struct vamdgpu_process *p, void *data,
				size_t user_len)
{
	struct kfd_ioctl_get_process_apertures_args *args = data;
	unsigned int i;

	args->num_of_nodes = min_t(u32, vamdgpu_ngpus, NUM_OF_SUPPORTED_GPUS);
	for (i = 0; i < args->num_of_nodes; i++)
		vamdgpu_fill_aperture(&args->process_apertures[i],
				      vamdgpu_gpus[i]);
	return 0;
}

/* Asked for none, it tells how many there are. */
int vamdgpu_ioctl_get_apertures_new(struct vamdgpu_process *p, void *data,
				    size_t user_len)
{
	struct kfd_ioctl_get_process_apertures_new_args *args = data;
	struct kfd_process_device_apertures apertures[VAMDGPU_MAX_GPUS];
	unsigned int i, n = min(args->num_of_nodes, vamdgpu_ngpus);

	if (!args->num_of_nodes) {
		args->num_of_nodes = vamdgpu_ngpus;
		return 0;
	}
	for (i = 0; i < n; i++)
		vamdgpu_fill_aperture(&apertures[i], vamdgpu_gpus[i]);
	if (copy_to_user(u64_to_user_ptr(args->kfd_process_device_apertures_ptr),
			 apertures, n * sizeof(apertures[0])))
		return -EFAULT;
	args->num_of_nodes = n;
	return 0;
}

static int vamdgpu_acquire_locked(struct vamdgpu_pdd *pdd, struct file *file)
{
	struct vamdgpu_process *p = pdd->process;
	int err;

	lockdep_assert_held(&p->lock);
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
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_by_id(p, args->gpu_id);
	struct file *file;
	int err;

	file = fget(args->drm_fd);
	if (!file)
		return -EINVAL;
	if (!pdd) {
		err = -EINVAL;
		goto out_put;
	}
	mutex_lock(&p->lock);
	err = vamdgpu_acquire_locked(pdd, file);
	mutex_unlock(&p->lock);
out_put:
	fput(file);
	return err;
}
