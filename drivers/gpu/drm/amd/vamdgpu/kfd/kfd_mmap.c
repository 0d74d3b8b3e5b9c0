// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap on /dev/kfd. The offset says what: type in bits 63:62, GPU id in 61:46.
 * Registers and the event page are plain memory here, which lives as long as the
 * process object, and that at least as long as a file of a mapping. Doorbells
 * are the hardware's (doorbell.c). Pages that are mapped stay also when their GPU goes;
 * nobody looks at them then.
 */
#include "vamdgpu.h"

#include <linux/fs.h>
#include <linux/mm.h>

#include "kfd/front.h"

#define VAMDGPU_MMAP_GPU_MASK	0xffffU

static u64 vamdgpu_mmap_type(unsigned long pgoff)
{
	return (u64)pgoff >> (VAMDGPU_MMAP_TYPE_SHIFT - PAGE_SHIFT);
}

static u32 vamdgpu_mmap_gpu(unsigned long pgoff)
{
	return pgoff >> (VAMDGPU_MMAP_GPU_SHIFT - PAGE_SHIFT) &
	       VAMDGPU_MMAP_GPU_MASK;
}

static unsigned long vamdgpu_mmap_index(unsigned long pgoff)
{
	return pgoff & (BIT(VAMDGPU_MMAP_GPU_SHIFT - PAGE_SHIFT) - 1);
}

/* The page behind an offset; NULL: nothing there. */
static struct page *vamdgpu_mmap_page(struct vamdgpu_process *p,
				      unsigned long pgoff)
{
	unsigned long index = vamdgpu_mmap_index(pgoff);
	struct vamdgpu_pdd *pdd;

	switch (vamdgpu_mmap_type(pgoff)) {
	case VAMDGPU_MMAP_EVENTS:
		/* Set once, before an offset is told; never freed before @p. */
		if (!READ_ONCE(p->event_pages) ||
		    index >= VAMDGPU_EVENT_PAGE_LEN >> PAGE_SHIFT)
			return NULL;
		return p->event_pages + index;
	case VAMDGPU_MMAP_MMIO:
		pdd = vamdgpu_pdd_by_id(p, vamdgpu_mmap_gpu(pgoff));
		return pdd && !index ? pdd->mmio_page : NULL;
	default:
		return NULL;
	}
}

static vm_fault_t vamdgpu_kfd_fault(struct vm_fault *vmf)
{
	struct vamdgpu_process *p = vmf->vma->vm_file->private_data;
	struct page *page = vamdgpu_mmap_page(p, vmf->pgoff);

	if (!page)
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(page));
}

static const struct vm_operations_struct vamdgpu_kfd_vm_ops = {
	.fault = vamdgpu_kfd_fault,
};

static int vamdgpu_mmap_plain(struct vamdgpu_process *p,
			      struct vm_area_struct *vma)
{
	struct vamdgpu_pdd *pdd;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vamdgpu_mmap_type(vma->vm_pgoff) == VAMDGPU_MMAP_MMIO) {
		pdd = vamdgpu_pdd_find(p, vamdgpu_mmap_gpu(vma->vm_pgoff));
		if (IS_ERR(pdd))
			return PTR_ERR(pdd);
	}
	if (!vamdgpu_mmap_page(p, vma->vm_pgoff) ||
	    !vamdgpu_mmap_page(p, vma->vm_pgoff + vma_pages(vma) - 1))
		return -EINVAL;
	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP |
			  VM_DONTCOPY);
	vma->vm_ops = &vamdgpu_kfd_vm_ops;
	return 0;
}

int vamdgpu_kfd_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vamdgpu_process *p = file->private_data;
	struct vamdgpu_pdd *pdd;

	if (!vamdgpu_process_is_current(p))
		return -EBADF;
	if (vamdgpu_mmap_type(vma->vm_pgoff) != VAMDGPU_MMAP_DOORBELL)
		return vamdgpu_mmap_plain(p, vma);
	pdd = vamdgpu_pdd_find(p, vamdgpu_mmap_gpu(vma->vm_pgoff));
	if (IS_ERR(pdd))
		return PTR_ERR(pdd);
	if (vamdgpu_mmap_index(vma->vm_pgoff))
		return -EINVAL;
	return vamdgpu_doorbell_mmap(pdd, vma);
}
