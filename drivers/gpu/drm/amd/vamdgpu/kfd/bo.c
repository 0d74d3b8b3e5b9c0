// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory objects: creation, handles, the end.
 *
 * An object is made without a lock of the process, as that can take long; it is
 * published as the last step, under process->lock. A handle is the GPU's id in
 * the upper half and a number of the process on that GPU in the lower.
 */
#include "kfd/bo.h"

#include <linux/file.h>
#include <linux/slab.h>
#include <uapi/linux/kfd_ioctl.h>

#include <drm/drm_file.h>
#include <drm/drm_vma_manager.h>

#include "kfd/front.h"
#include "kfd/trace.h"

/* Can the CPU map it through the render node? */
static bool vamdgpu_bo_has_offset(struct vamdgpu_bo *bo)
{
	return bo->kind == VAMDGPU_BO_VRAM || bo->kind == VAMDGPU_BO_GTT;
}

/* The last reference, also of CPU mappings: nothing maps it. */
static void vamdgpu_bo_free(struct drm_gem_object *obj)
{
	struct vamdgpu_bo *bo = to_vamdgpu_bo(obj);

	trace_vamdgpu_bo_free(bo->dev->gpu_id, bo->kind, bo->va, bo->len);
	drm_gem_object_release(obj);
	if (bo->kind == VAMDGPU_BO_VRAM) {
		if (bo->vram_addr != U64_MAX)
			vamdgpu_vram_free(bo->dev, bo->vram_addr, bo->len);
	} else {
		vamdgpu_bo_release_pages(bo);
	}
	kfree(bo);
}

static const struct drm_gem_object_funcs vamdgpu_bo_funcs = {
	.free = vamdgpu_bo_free,
	.mmap = vamdgpu_bo_mmap,
	.vm_ops = &vamdgpu_bo_vm_ops,
};

struct vamdgpu_bo *vamdgpu_bo_create(struct vamdgpu_pdd *pdd,
				     enum vamdgpu_bo_kind kind, u32 flags,
				     u64 va, u64 len, u64 user_va)
{
	struct vamdgpu_bo *bo;
	int err;

	bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->base.funcs = &vamdgpu_bo_funcs;
	bo->dev = pdd->dev;
	bo->kind = kind;
	bo->flags = flags;
	bo->va = va;
	bo->len = len;
	bo->vram_addr = U64_MAX;
	drm_gem_private_object_init(&pdd->dev->drm, &bo->base, len);

	switch (kind) {
	case VAMDGPU_BO_VRAM:
		err = vamdgpu_vram_alloc(bo->dev, len, &bo->vram_addr);
		if (err)
			bo->vram_addr = U64_MAX;
		break;
	case VAMDGPU_BO_GTT:
		err = vamdgpu_bo_alloc_system(bo);
		break;
	case VAMDGPU_BO_USERPTR:
		err = vamdgpu_bo_pin_user(bo, user_va);
		break;
	default:
		err = vamdgpu_bo_borrow(bo, pdd);
		break;
	}
	if (!err && vamdgpu_bo_has_offset(bo))
		err = drm_gem_create_mmap_offset(&bo->base);
	if (err) {
		vamdgpu_bo_put(bo);
		return ERR_PTR(err);
	}
	trace_vamdgpu_bo_create(bo->dev->gpu_id, kind, va, len);
	return bo;
}

struct page *vamdgpu_bo_page(struct vamdgpu_bo *bo, unsigned long index)
{
	if (bo->kind == VAMDGPU_BO_VRAM)
		return gfx9_vram_page(bo->dev->vram,
				      bo->vram_addr + ((u64)index << PAGE_SHIFT));
	return bo->pages[index];
}

int vamdgpu_bo_publish(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd,
		       u64 *handle)
{
	int id, err;

	lockdep_assert_held(&pdd->process->lock);
	if (pdd->gone)
		return -ENODEV;
	if (pdd->nbos >= VAMDGPU_MAX_BOS)
		return -ENOMEM;
	if (vamdgpu_bo_has_offset(bo)) {
		err = drm_vma_node_allow(&bo->base.vma_node,
					 pdd->drm_file->private_data);
		if (err)
			return err;
	}
	id = idr_alloc(&pdd->bos, bo, 1, 0, GFP_KERNEL_ACCOUNT);
	if (id < 0) {
		if (vamdgpu_bo_has_offset(bo))
			drm_vma_node_revoke(&bo->base.vma_node,
					    pdd->drm_file->private_data);
		return id;
	}
	pdd->nbos++;
	if (bo->kind == VAMDGPU_BO_VRAM)
		WRITE_ONCE(pdd->vram_used, pdd->vram_used + bo->len);
	*handle = (u64)pdd->dev->gpu_id << 32 | (u32)id;
	return 0;
}

struct vamdgpu_bo *vamdgpu_bo_by_handle(struct vamdgpu_process *p, u64 handle,
					struct vamdgpu_pdd **pdd)
{
	lockdep_assert_held(&p->lock);
	*pdd = vamdgpu_pdd_by_id(p, upper_32_bits(handle));
	if (!*pdd || lower_32_bits(handle) > INT_MAX)
		return NULL;
	return idr_find(&(*pdd)->bos, lower_32_bits(handle));
}

void vamdgpu_bo_unpublish(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd,
			  u64 handle)
{
	struct vamdgpu_process *p = pdd->process;
	unsigned int i;

	lockdep_assert_held(&p->lock);
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++)
		if (p->pdds[i])
			vamdgpu_bo_unmap(bo, p->pdds[i]);
	idr_remove(&pdd->bos, lower_32_bits(handle));
	pdd->nbos--;
	if (bo->kind == VAMDGPU_BO_VRAM && bo->vram_addr != U64_MAX)
		WRITE_ONCE(pdd->vram_used, pdd->vram_used - bo->len);
	if (vamdgpu_bo_has_offset(bo))
		drm_vma_node_revoke(&bo->base.vma_node,
				    pdd->drm_file->private_data);
	vamdgpu_bo_put(bo);
}

/* What is lost with its GPU; system memory stays, for other GPUs and the CPU. */
static bool vamdgpu_bo_is_on_gpu(const struct vamdgpu_bo *bo)
{
	return bo->kind != VAMDGPU_BO_GTT && bo->kind != VAMDGPU_BO_USERPTR;
}

/* @bo was allocated on @gone. The handle stays, for FREE. */
static void vamdgpu_bo_lose_one(struct vamdgpu_bo *bo, struct vamdgpu_pdd *gone)
{
	struct vamdgpu_process *p = gone->process;
	unsigned int i;

	for (i = 0; i < VAMDGPU_MAX_GPUS; i++)
		if (p->pdds[i])
			vamdgpu_bo_unmap(bo, p->pdds[i]);
	if (bo->kind != VAMDGPU_BO_VRAM)
		return;
	/* The device is unplugged: no CPU mapping shows it or will. */
	WRITE_ONCE(gone->vram_used, gone->vram_used - bo->len);
	vamdgpu_vram_free(bo->dev, bo->vram_addr, bo->len);
	bo->vram_addr = U64_MAX;
}

/* The GPU has gone, its engines have stopped. */
void vamdgpu_bo_lose(struct vamdgpu_pdd *gone)
{
	struct vamdgpu_process *p = gone->process;
	struct vamdgpu_pdd *pdd;
	struct vamdgpu_bo *bo;
	unsigned int i;
	int id;

	lockdep_assert_held(&p->lock);
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		pdd = p->pdds[i];
		if (!pdd)
			continue;
		idr_for_each_entry(&pdd->bos, bo, id) {
			if (pdd == gone && vamdgpu_bo_is_on_gpu(bo))
				vamdgpu_bo_lose_one(bo, gone);
			else
				vamdgpu_bo_unmap(bo, gone);
			cond_resched();
		}
	}
}

void vamdgpu_bo_free_all(struct vamdgpu_process *p)
{
	struct vamdgpu_pdd *pdd;
	struct vamdgpu_bo *bo;
	unsigned int i;
	int id;

	lockdep_assert_held(&p->lock);
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		pdd = p->pdds[i];
		if (!pdd)
			continue;
		idr_for_each_entry(&pdd->bos, bo, id) {
			vamdgpu_bo_unpublish(bo, pdd, id);
			cond_resched();
		}
	}
}
