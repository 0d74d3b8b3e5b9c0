// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of memory objects: ALLOC, FREE, MAP, UNMAP, AVAILABLE_MEMORY.
 */
#include "vamdgpu.h"

#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/kfd_ioctl.h>

#include "kfd/bo.h"
#include "kfd/front.h"

#define VAMDGPU_MAX_MAP_IDS	1024	/* repeated ids are legal */

/* Kind by flags; the first that is set counts, as with the real driver. */
static int vamdgpu_alloc_kind(u32 flags)
{
	if (flags & KFD_IOC_ALLOC_MEM_FLAGS_VRAM)
		return VAMDGPU_BO_VRAM;
	if (flags & KFD_IOC_ALLOC_MEM_FLAGS_GTT)
		return VAMDGPU_BO_GTT;
	if (flags & KFD_IOC_ALLOC_MEM_FLAGS_USERPTR)
		return VAMDGPU_BO_USERPTR;
	if (flags & KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL)
		return VAMDGPU_BO_DOORBELL;
	if (flags & KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP)
		return VAMDGPU_BO_MMIO;
	return -EINVAL;
}

/* *@len becomes whole pages. */
static int vamdgpu_alloc_check(const struct kfd_ioctl_alloc_memory_of_gpu_args *args,
			       int kind, u64 *len)
{
	u64 last;

	/* The ring of an old chip, mapped twice in a row: not on gfx9. */
	if (args->flags & KFD_IOC_ALLOC_MEM_FLAGS_AQL_QUEUE_MEM)
		return -EINVAL;
	if (!args->size || args->size > VAMDGPU_GPUVM_LIMIT)
		return -EINVAL;
	*len = PAGE_ALIGN(args->size);
	if (!PAGE_ALIGNED(args->va_addr))
		return -EINVAL;
	if (args->va_addr &&
	    (args->va_addr < VAMDGPU_GPUVM_BASE ||
	     check_add_overflow(args->va_addr, *len - 1, &last) ||
	     last > VAMDGPU_GPUVM_LIMIT))
		return -EINVAL;
	switch (kind) {
	case VAMDGPU_BO_USERPTR:
		if (!args->mmap_offset || !PAGE_ALIGNED(args->mmap_offset) ||
		    check_add_overflow(args->mmap_offset, *len - 1, &last))
			return -EINVAL;
		return 0;
	case VAMDGPU_BO_DOORBELL:
		return args->size == VAMDGPU_DOORBELL_LEN ? 0 : -EINVAL;
	case VAMDGPU_BO_MMIO:
		return args->size == PAGE_SIZE ? 0 : -EINVAL;
	default:
		return 0;
	}
}

static bool vamdgpu_alloc_meets_svm(struct vamdgpu_process *p, int kind,
				    u64 va, u64 user_va, u64 len)
{
	if (va && kfd_svm_range_registered(p->svm, va, va + len - 1))
		return true;
	return kind == VAMDGPU_BO_USERPTR &&
	       kfd_svm_range_registered(p->svm, user_va, user_va + len - 1);
}

static bool vamdgpu_is_acquired(struct vamdgpu_process *p,
				struct vamdgpu_pdd *pdd)
{
	bool acquired;

	mutex_lock(&p->lock);
	acquired = pdd->drm_file;
	mutex_unlock(&p->lock);
	return acquired;
}

static u64 vamdgpu_alloc_offset(struct vamdgpu_bo *bo, u64 user_va)
{
	switch (bo->kind) {
	case VAMDGPU_BO_DOORBELL:
		return VAMDGPU_MMAP_OFFSET(VAMDGPU_MMAP_DOORBELL,
					   bo->dev->gpu_id);
	case VAMDGPU_BO_MMIO:
		return VAMDGPU_MMAP_OFFSET(VAMDGPU_MMAP_MMIO, bo->dev->gpu_id);
	case VAMDGPU_BO_USERPTR:
		return user_va;
	default:
		return drm_vma_node_offset_addr(&bo->base.vma_node);
	}
}

int vamdgpu_ioctl_alloc_memory(struct vamdgpu_process *p, void *data,
			       size_t user_len)
{
	struct kfd_ioctl_alloc_memory_of_gpu_args *args = data;
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, args->gpu_id);
	int kind = vamdgpu_alloc_kind(args->flags);
	struct vamdgpu_bo *bo;
	u64 len;
	int err;

	if (IS_ERR(pdd))
		return PTR_ERR(pdd);
	if (kind < 0)
		return -EINVAL;
	err = vamdgpu_alloc_check(args, kind, &len);
	if (err)
		return err;
	if (vamdgpu_alloc_meets_svm(p, kind, args->va_addr, args->mmap_offset,
				    len))
		return -EADDRINUSE;
	if (!vamdgpu_is_acquired(p, pdd))
		return -ENODEV;
	bo = vamdgpu_bo_create(pdd, kind, args->flags, args->va_addr, len,
			       args->mmap_offset);
	if (IS_ERR(bo))
		return PTR_ERR(bo);

	/* Told before another thread can free it by guessing the handle. */
	args->mmap_offset = vamdgpu_alloc_offset(bo, args->mmap_offset);
	mutex_lock(&p->lock);
	err = vamdgpu_bo_publish(bo, pdd, &args->handle);
	mutex_unlock(&p->lock);
	if (err)
		vamdgpu_bo_put(bo);
	return err;
}

int vamdgpu_ioctl_free_memory(struct vamdgpu_process *p, void *data,
			      size_t user_len)
{
	struct kfd_ioctl_free_memory_of_gpu_args *args = data;
	struct vamdgpu_pdd *pdd;
	struct vamdgpu_bo *bo;
	int err = 0;

	mutex_lock(&p->lock);
	bo = vamdgpu_bo_by_handle(p, args->handle, &pdd);
	if (!bo)
		err = -EINVAL;
	else if (bo == p->event_bo)
		err = -EPERM;	/* the kernel writes to it */
	else
		vamdgpu_bo_unpublish(bo, pdd, args->handle);
	mutex_unlock(&p->lock);
	return err;
}

static int vamdgpu_visit_ids(struct vamdgpu_process *p, u64 handle,
			     const u32 *ids, u32 n, u32 *n_success, bool map)
{
	struct vamdgpu_pdd *pdd, *peer;
	struct vamdgpu_bo *bo;
	u32 i;
	int err;

	mutex_lock(&p->lock);
	bo = vamdgpu_bo_by_handle(p, handle, &pdd);
	err = !pdd ? -EINVAL : !bo ? -ENOMEM : 0;
	for (i = *n_success; !err && i < n; i++) {
		peer = vamdgpu_pdd_find(p, ids[i]);
		if (IS_ERR(peer))
			err = PTR_ERR(peer);
		else if (!peer->drm_file)
			err = -ENODEV;
		else if (map)
			err = vamdgpu_bo_map(bo, peer);
		else
			vamdgpu_bo_unmap(bo, peer);
		if (!err)
			*n_success = i + 1;
	}
	mutex_unlock(&p->lock);
	return err;
}

/* On failure *@n_success tells where to go on; user space gets it back. */
static int vamdgpu_map_or_unmap(struct vamdgpu_process *p, u64 handle,
				u64 ids_ptr, u32 n, u32 *n_success, bool map)
{
	u32 *ids;
	int err;

	if (!n || n > VAMDGPU_MAX_MAP_IDS || *n_success > n)
		return -EINVAL;
	ids = memdup_array_user(u64_to_user_ptr(ids_ptr), n, sizeof(*ids));
	if (IS_ERR(ids))
		return PTR_ERR(ids);
	err = vamdgpu_visit_ids(p, handle, ids, n, n_success, map);
	kfree(ids);
	return err;
}

int vamdgpu_ioctl_map_memory(struct vamdgpu_process *p, void *data,
			     size_t user_len)
{
	struct kfd_ioctl_map_memory_to_gpu_args *args = data;

	return vamdgpu_map_or_unmap(p, args->handle,
				    args->device_ids_array_ptr, args->n_devices,
				    &args->n_success, true);
}

int vamdgpu_ioctl_unmap_memory(struct vamdgpu_process *p, void *data,
			       size_t user_len)
{
	struct kfd_ioctl_unmap_memory_from_gpu_args *args = data;

	return vamdgpu_map_or_unmap(p, args->handle,
				    args->device_ids_array_ptr, args->n_devices,
				    &args->n_success, false);
}

int vamdgpu_ioctl_available_memory(struct vamdgpu_process *p, void *data,
				   size_t user_len)
{
	struct kfd_ioctl_get_available_memory_args *args = data;
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, args->gpu_id);

	if (IS_ERR(pdd))
		return PTR_ERR(pdd);
	args->available = ALIGN_DOWN(gfx9_vram_obtainable(pdd->dev->vram), SZ_2M);
	return 0;
}
