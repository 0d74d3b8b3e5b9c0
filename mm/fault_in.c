// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faulting pages in, as the CPU would.
 *
 * hmm_range_fault() can do this, too, but
 *
 * - on 6.12 it faults hugetlb pages with the VMA's hugetlb lock held, which the fault
 *   takes again: with a writer in between, both wait for ever;
 * - it knows nothing of the mm that has to be loaded, see below;
 * - with what is missing it faults all that follows, also the client's own private
 *   memory, which that takes away from the device;
 * - it says of every page that cannot be had that it cannot be had, not why;
 * - it looks at the page table before and after, which the caller does anyway.
 */
#include "walk.h"
#include "internal.h"

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>

/*
 * Where pages of DAX have no struct page, writing to a private one copies it by way of
 * the user's address, and so from whatever mm is loaded.
 */
static bool needs_mm_loaded(const struct vm_area_struct *vma, unsigned int vma_req)
{
#ifdef _PAGE_DEVMAP
	return vma_req == HMM_MIRROR_REQ_WRITE && vma_is_dax(vma) &&
	       !(vma->vm_flags & VM_SHARED);
#else
	return false;
#endif
}

/**
 * hmm_mirror_must_fault_in - may hmm_range_fault() not be asked to fault?
 * @walk: the call; its req says what is wanted
 * @vma: a VMA
 *
 * Return: it may not; it looks only, and hmm_mirror_fault_in() provides what is missing.
 */
bool hmm_mirror_must_fault_in(const struct hmm_mirror_walk *walk,
			      const struct vm_area_struct *vma)
{
	return walk->req && (is_vm_hugetlb_page(vma) || vma_is_dax(vma) ||
			     walk->classes.owner);
}

static int fault_pages(const struct vm_area_struct *const_vma, unsigned long *va,
		       unsigned long end_va, unsigned int flags)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)const_vma;
	unsigned long step = PAGE_SIZE;
	vm_fault_t fault;

	if (is_vm_hugetlb_page(vma))
		step = huge_page_size(hstate_vma(vma));
	while (*va < end_va) {
		if (fatal_signal_pending(current))
			return -EINTR;
		fault = handle_mm_fault(vma, *va, flags, NULL);
		if (fault & VM_FAULT_ERROR)
			return vm_fault_to_errno(fault, FOLL_HWPOISON) ?: -EFAULT;
		/* Not allowed to, so mmap_lock is gone. */
		if (WARN_ON_ONCE(fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
			return -EFAULT;
		*va = ALIGN(*va + 1, step);
		cond_resched();
	}
	return 0;
}

/**
 * hmm_mirror_fault_in - make pages present as they are asked for
 * @walk: the call; its req is not 0
 * @vma: a VMA that a device may have
 * @va: the first page; on return the one that failed, if one did
 * @end_va: where to stop; in the VMA
 *
 * Pages may be gone again when this returns: look.
 *
 * Context: mmap_lock held for read.
 *
 * Return: 0; -EFAULT, -EHWPOISON: the page at @va cannot be had (-EFAULT also where the
 * mm would have to be loaded and this task has another); -ENOMEM; -EINTR.
 */
int hmm_mirror_fault_in(struct hmm_mirror_walk *walk,
			const struct vm_area_struct *vma, unsigned long *va,
			unsigned long end_va)
{
	unsigned int req = hmm_mirror_vma_req(walk, vma);
	unsigned int flags = FAULT_FLAG_REMOTE;
	bool load;
	int err;

	mmap_assert_locked(vma->vm_mm);

	if (req == HMM_MIRROR_REQ_WRITE)
		flags |= FAULT_FLAG_WRITE;
	load = needs_mm_loaded(vma, req) && current->mm != vma->vm_mm;
	if (load) {
		/* Better not at all than somebody else's data. */
		if (current->mm || !(current->flags & PF_KTHREAD))
			return -EFAULT;
		kthread_use_mm(vma->vm_mm);
	}
	err = fault_pages(vma, va, end_va, flags);
	if (load)
		kthread_unuse_mm(vma->vm_mm);
	walk->faulted_va = max(walk->faulted_va, *va);
	return err;
}
