// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory objects in CPU address spaces, through the render node. Pages are
 * mapped by number and not referenced; the mapping holds the object instead.
 */
#include "kfd/bo.h"

#include <linux/highmem.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include <drm/drm_drv.h>
#include <drm/drm_vma_manager.h>

#include "kfd/front.h"

#define VAMDGPU_FAULT_AROUND	16	/* pages */

static unsigned long vamdgpu_bo_index(struct vamdgpu_bo *bo,
				      struct vm_area_struct *vma,
				      unsigned long addr)
{
	return ((addr - vma->vm_start) >> PAGE_SHIFT) + vma->vm_pgoff -
	       drm_vma_node_start(&bo->base.vma_node);
}

static vm_fault_t vamdgpu_bo_insert(struct vamdgpu_bo *bo,
				    struct vm_area_struct *vma,
				    unsigned long addr)
{
	unsigned long index = vamdgpu_bo_index(bo, vma, addr);
	unsigned long npages = bo->len >> PAGE_SHIFT;
	unsigned long i, n;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (index >= npages)
		return VM_FAULT_SIGBUS;
	n = min3((unsigned long)VAMDGPU_FAULT_AROUND, npages - index,
		 (vma->vm_end - addr) >> PAGE_SHIFT);
	for (i = 0; i < n; i++) {
		ret = vmf_insert_pfn(vma, addr + (i << PAGE_SHIFT),
				     page_to_pfn(vamdgpu_bo_page(bo, index + i)));
		if (ret & VM_FAULT_ERROR)
			break;
	}
	/* What was mapped in advance is a gift; only the first page counts. */
	return i ? VM_FAULT_NOPAGE : ret;
}

/*
 * VRAM that is gone looks like memory all the same: a program that is about to learn of
 * its loss need not die of it. System memory is as it was.
 */
static vm_fault_t vamdgpu_bo_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vamdgpu_bo *bo = to_vamdgpu_bo(vma->vm_private_data);
	unsigned long addr = vmf->address & PAGE_MASK;
	vm_fault_t ret;
	int idx;

	if (bo->kind != VAMDGPU_BO_VRAM)
		return vamdgpu_bo_insert(bo, vma, addr);
	if (!drm_dev_enter(bo->base.dev, &idx))
		return vmf_insert_pfn(vma, addr,
				      page_to_pfn(vamdgpu_drm_dummy_page(vma->vm_file)));
	ret = vamdgpu_bo_insert(bo, vma, addr);
	drm_dev_exit(idx);
	return ret;
}

static int vamdgpu_bo_access_pages(struct vamdgpu_bo *bo,
				   struct vm_area_struct *vma,
				   unsigned long addr, void *buf, int len,
				   int write)
{
	unsigned long index, offset;
	int done = 0, n;
	char *page;

	while (done < len) {
		index = vamdgpu_bo_index(bo, vma, addr + done);
		if (addr + done >= vma->vm_end || index >= bo->len >> PAGE_SHIFT)
			break;
		offset = offset_in_page(addr + done);
		n = min_t(int, len - done, PAGE_SIZE - offset);
		page = kmap_local_page(vamdgpu_bo_page(bo, index));
		if (write)
			memcpy(page + offset, buf + done, n);
		else
			memcpy(buf + done, page + offset, n);
		kunmap_local(page);
		done += n;
	}
	return done ?: -EIO;
}

/* ptrace and /proc/<pid>/mem, which get no page from such a mapping. */
static int vamdgpu_bo_access(struct vm_area_struct *vma, unsigned long addr,
			     void *buf, int len, int write)
{
	struct vamdgpu_bo *bo = to_vamdgpu_bo(vma->vm_private_data);
	int ret, idx;

	if (bo->kind != VAMDGPU_BO_VRAM)
		return vamdgpu_bo_access_pages(bo, vma, addr, buf, len, write);
	if (!drm_dev_enter(bo->base.dev, &idx))
		return -EIO;
	ret = vamdgpu_bo_access_pages(bo, vma, addr, buf, len, write);
	drm_dev_exit(idx);
	return ret;
}

const struct vm_operations_struct vamdgpu_bo_vm_ops = {
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
	.fault = vamdgpu_bo_fault,
	.access = vamdgpu_bo_access,
};

int vamdgpu_bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED)) {
		/*
		 * A private mapping by page number cannot be written. The thunk
		 * makes one of PROT_NONE, to reserve the address.
		 */
		if (vma->vm_flags & VM_ACCESS_FLAGS)
			return -EINVAL;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	/* A child of a fork is no process of the GPU. */
	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP |
			  VM_DONTCOPY);
	return 0;
}
