// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory objects in the address spaces of GPUs.
 *
 * A span of GPU addresses belongs either to a memory object or to SVM. The span
 * is entered into pdd->va_tree before SVM is asked for ranges registered there,
 * and the core asks va_busy before it registers, so of two that race one fails:
 *
 *   MAP                              SVM SET_ATTR (under the core's op_lock)
 *   insert into va_tree              va_busy?  -> EADDRINUSE
 *   range_registered? -> EADDRINUSE  register
 *    (takes op_lock)
 *
 * The span leaves the tree only after the flush, so that nobody else can be
 * given addresses that the TLB may still translate to the object.
 */
#include "kfd/bo.h"

#include <linux/bitfield.h>
#include <linux/dma-mapping.h>
#include <linux/slab.h>
#include <uapi/linux/kfd_ioctl.h>

#include "kfd/front.h"
#include "kfd/trace.h"

static u32 vamdgpu_bo_pte_flags(const struct vamdgpu_bo *bo)
{
	u32 mtype = KFD_SVM_MTYPE_NC;
	u32 flags = KFD_SVM_PTE_READ;

	if (bo->flags & KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE)
		flags |= KFD_SVM_PTE_WRITE;
	if (bo->flags & KFD_IOC_ALLOC_MEM_FLAGS_EXECUTABLE)
		flags |= KFD_SVM_PTE_EXEC;
	if (bo->kind != VAMDGPU_BO_VRAM)
		flags |= KFD_SVM_PTE_SYSTEM | KFD_SVM_PTE_SNOOPED;
	if (bo->flags & (KFD_IOC_ALLOC_MEM_FLAGS_COHERENT |
			 KFD_IOC_ALLOC_MEM_FLAGS_UNCACHED))
		mtype = KFD_SVM_MTYPE_UC;
	return flags | FIELD_PREP(KFD_SVM_PTE_MTYPE, mtype);
}

static int vamdgpu_bo_dma_map(struct vamdgpu_bo *bo, struct vamdgpu_device *dev,
			      struct vamdgpu_bo_map *map)
{
	int err;

	if (bo->kind == VAMDGPU_BO_VRAM)
		return gfx9_vram_linked(bo->dev->vram, dev->vram) ? 0 : -EINVAL;
	err = sg_alloc_table_from_pages(&map->sgt, bo->pages, bo->npages, 0,
					bo->len,
					GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (err)
		return err;
	err = dma_map_sgtable(vamdgpu_dma_dev(dev), &map->sgt,
			      DMA_BIDIRECTIONAL, 0);
	if (err) {
		sg_free_table(&map->sgt);
		return err;
	}
	map->has_sgt = true;
	return 0;
}

static void vamdgpu_bo_dma_unmap(struct vamdgpu_device *dev,
				 struct vamdgpu_bo_map *map)
{
	if (!map->has_sgt)
		return;
	dma_unmap_sgtable(vamdgpu_dma_dev(dev), &map->sgt, DMA_BIDIRECTIONAL, 0);
	sg_free_table(&map->sgt);
}

static int vamdgpu_va_claim(struct vamdgpu_pdd *pdd, struct vamdgpu_bo_map *map)
{
	bool taken;

	spin_lock(&pdd->va_lock);
	taken = interval_tree_iter_first(&pdd->va_tree, map->node.start,
					 map->node.last);
	if (!taken)
		interval_tree_insert(&map->node, &pdd->va_tree);
	spin_unlock(&pdd->va_lock);
	return taken ? -EINVAL : 0;
}

static void vamdgpu_va_release(struct vamdgpu_pdd *pdd,
			       struct vamdgpu_bo_map *map)
{
	spin_lock(&pdd->va_lock);
	interval_tree_remove(&map->node, &pdd->va_tree);
	spin_unlock(&pdd->va_lock);
}

static void vamdgpu_bo_write_ptes(struct vamdgpu_bo *bo, struct gfx9_vm *vm,
				  struct vamdgpu_bo_map *map)
{
	u32 flags = vamdgpu_bo_pte_flags(bo);
	struct scatterlist *sg;
	u64 va = bo->va;
	unsigned int i;

	if (bo->kind == VAMDGPU_BO_VRAM) {
		gfx9_vm_map(vm, va,
			    gfx9_vram_pte_addr(bo->dev->vram, bo->vram_addr),
			    bo->len, flags);
		return;
	}
	for_each_sgtable_dma_sg(&map->sgt, sg, i) {
		gfx9_vm_map(vm, va, sg_dma_address(sg), sg_dma_len(sg), flags);
		va += sg_dma_len(sg);
	}
}

int vamdgpu_bo_map(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd)
{
	struct vamdgpu_bo_map *map;
	int err;

	lockdep_assert_held(&pdd->process->lock);
	/* Lost with its GPU. */
	if (pdd->gone || (bo->kind == VAMDGPU_BO_VRAM && bo->vram_addr == U64_MAX))
		return -ENODEV;
	if (bo->maps[pdd->dev->index])
		return 0;
	/* Only its own GPU looks at the doorbells of a slice. */
	if (!bo->va ||
	    (bo->kind == VAMDGPU_BO_DOORBELL && bo->dev != pdd->dev))
		return -EINVAL;
	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	map->node.start = bo->va;
	map->node.last = bo->va + bo->len - 1;
	err = vamdgpu_bo_dma_map(bo, pdd->dev, map);
	if (err)
		goto err_free;
	err = gfx9_vm_reserve(pdd->vm, map->node.start, map->node.last);
	if (err)
		goto err_dma;
	err = vamdgpu_va_claim(pdd, map);
	if (err)
		goto err_dma;
	if (kfd_svm_range_registered(pdd->process->svm, map->node.start,
				     map->node.last)) {
		err = -EADDRINUSE;
		goto err_va;
	}
	vamdgpu_bo_write_ptes(bo, pdd->vm, map);
	bo->maps[pdd->dev->index] = map;
	trace_vamdgpu_bo_map(pdd->dev->gpu_id, bo->kind, bo->va, bo->len);
	return 0;

err_va:
	vamdgpu_va_release(pdd, map);
err_dma:
	vamdgpu_bo_dma_unmap(pdd->dev, map);
err_free:
	kfree(map);
	return err;
}

void vamdgpu_bo_unmap(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd)
{
	struct vamdgpu_bo_map *map;
	u64 first, last;

	lockdep_assert_held(&pdd->process->lock);
	map = bo->maps[pdd->dev->index];
	if (!map)
		return;
	bo->maps[pdd->dev->index] = NULL;
	gfx9_vm_unmap(pdd->vm, map->node.start, map->node.last, &first, &last);
	gfx9_vm_flush(pdd->vm);
	vamdgpu_va_release(pdd, map);
	vamdgpu_bo_dma_unmap(pdd->dev, map);
	kfree(map);
	trace_vamdgpu_bo_unmap(pdd->dev->gpu_id, bo->kind, bo->va, bo->len);
}

/* Called by the core, under its locks. */
bool vamdgpu_bo_va_busy(struct vamdgpu_pdd *pdd, struct kfd_svm_span *span)
{
	struct interval_tree_node *node;

	spin_lock(&pdd->va_lock);
	node = interval_tree_iter_first(&pdd->va_tree, span->first_va,
					span->last_va);
	if (node) {
		span->first_va = max_t(u64, span->first_va, node->start);
		span->last_va = min_t(u64, span->last_va, node->last);
	}
	spin_unlock(&pdd->va_lock);
	return node;
}
