/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory objects: memory a process got or lent by ALLOC_MEMORY_OF_GPU.
 *
 * A memory object is a GEM object, for its reference count and its mmap offset;
 * it has no GEM handle. References: one by pdd->bos until FREE, one per mapping
 * into a CPU address space, one as event page. Its memory lives as long as it,
 * GPU mappings end with FREE at the latest, and each is followed by a flush of
 * the GPU's TLB: no page goes back to the system while a GPU can reach it.
 */
#ifndef _VAMDGPU_BO_H
#define _VAMDGPU_BO_H

#include <linux/interval_tree.h>
#include <linux/scatterlist.h>

#include <drm/drm_gem.h>

#include "vamdgpu.h"

enum vamdgpu_bo_kind {
	VAMDGPU_BO_VRAM,
	VAMDGPU_BO_GTT,
	VAMDGPU_BO_USERPTR,
	VAMDGPU_BO_DOORBELL,
	VAMDGPU_BO_MMIO,
};

/**
 * struct vamdgpu_bo_map - a memory object in one GPU's address space
 * @node: its span, in pdd->va_tree; pdd->va_lock
 * @sgt: system memory as the GPU's DMA device sees it
 * @has_sgt: @sgt is in use
 */
struct vamdgpu_bo_map {
	struct interval_tree_node node;
	struct sg_table sgt;
	bool has_sgt;
};

/**
 * struct vamdgpu_bo - a memory object
 * @base: GEM object; its size is @len
 * @dev: the GPU it was allocated for
 * @kind: what memory it is
 * @flags: KFD_IOC_ALLOC_MEM_FLAGS_*
 * @va: GPU address, 0: cannot be mapped
 * @len: bytes, whole pages
 * @vram_addr: where in @dev's VRAM; U64_MAX: nowhere, the GPU is gone
 * @pages: system memory; owned, pinned or borrowed by kind
 * @npages: entries filled in @pages
 * @charged: bytes counted against the system limit
 * @mm: whose pages are pinned (mmgrab), USERPTR only
 * @maps: by GPU index; process->lock
 */
struct vamdgpu_bo {
	struct drm_gem_object base;
	struct vamdgpu_device *dev;
	enum vamdgpu_bo_kind kind;
	u32 flags;
	u64 va;
	u64 len;
	u64 vram_addr;
	struct page **pages;
	unsigned long npages;
	u64 charged;
	struct mm_struct *mm;
	struct vamdgpu_bo_map *maps[VAMDGPU_MAX_GPUS];
};

static inline struct vamdgpu_bo *to_vamdgpu_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct vamdgpu_bo, base);
}

/* bo.c: life. The DRM file of @pdd's GPU has been acquired. */
struct vamdgpu_bo *vamdgpu_bo_create(struct vamdgpu_pdd *pdd,
				     enum vamdgpu_bo_kind kind, u32 flags,
				     u64 va, u64 len, u64 user_va);
static inline void vamdgpu_bo_put(struct vamdgpu_bo *bo)
{
	drm_gem_object_put(&bo->base);
}

int vamdgpu_bo_allow_mmap(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd);
/* Handle table; process->lock held. */
int vamdgpu_bo_publish(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd,
		       u64 *handle);
struct vamdgpu_bo *vamdgpu_bo_by_handle(struct vamdgpu_process *p, u64 handle,
					struct vamdgpu_pdd **pdd);
void vamdgpu_bo_unpublish(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd,
			  u64 handle);
/* Of memory objects of @gone's process what @gone has a part in; process->lock held. */
void vamdgpu_bo_lose(struct vamdgpu_pdd *gone);
/* All of a process, when it dies; process->lock held. */
void vamdgpu_bo_free_all(struct vamdgpu_process *p);
/* The page at @index of the object, for the CPU. */
struct page *vamdgpu_bo_page(struct vamdgpu_bo *bo, unsigned long index);

/* bo_pages.c: the memory behind; the release undoes what is there. */
int vamdgpu_bo_alloc_system(struct vamdgpu_bo *bo);
int vamdgpu_bo_pin_user(struct vamdgpu_bo *bo, u64 user_va);
int vamdgpu_bo_borrow(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd);
void vamdgpu_bo_release_pages(struct vamdgpu_bo *bo);
void vamdgpu_system_limit_init(u64 vram_len);
u64 vamdgpu_gtt_limit(void);

/* bo_map.c: on the GPU; process->lock held. Both are idempotent. */
int vamdgpu_bo_map(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd);
void vamdgpu_bo_unmap(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd);

/* bo_mmap.c: on the CPU. */
extern const struct vm_operations_struct vamdgpu_bo_vm_ops;
int vamdgpu_bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma);

#endif /* _VAMDGPU_BO_H */
