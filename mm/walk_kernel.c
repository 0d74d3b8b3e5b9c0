// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's way: hmm_range_fault() looks at pages and faults them in, one bounded
 * piece at a time. It knows everything that can stand in a page table and pays for it
 * with a call for each page.
 */
#include "walk.h"
#include "internal.h"

#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/slab.h>

static void emit_error(struct hmm_mirror_walk *walk, int err)
{
	hmm_mirror_sink_add(&walk->sink, HMM_MIRROR_EXT_ERROR, -err, 1);
}

static void emit_pfn(struct hmm_mirror_walk *walk,
		     const struct vm_area_struct *vma, unsigned long hmm_pfn)
{
	unsigned long pfn = hmm_pfn & ~HMM_PFN_FLAGS;
	unsigned int flags = HMM_MIRROR_EXT_VALID;

	if (hmm_pfn & HMM_PFN_ERROR) {
		emit_error(walk, -EFAULT);
		return;
	}
	if (!(hmm_pfn & HMM_PFN_VALID)) {
		hmm_mirror_sink_add(&walk->sink, 0, 0, 1);
		return;
	}

	if ((hmm_pfn & HMM_PFN_WRITE) && hmm_mirror_vma_writable(vma))
		flags |= HMM_MIRROR_EXT_WRITE;
	if (hmm_pfn_to_map_order(hmm_pfn) >= PMD_SHIFT - PAGE_SHIFT)
		flags |= HMM_MIRROR_EXT_HUGE;
	if (is_vm_hugetlb_page(vma))
		flags |= HMM_MIRROR_EXT_HUGETLB;
	if (is_zero_pfn(pfn))
		flags |= HMM_MIRROR_EXT_ZERO;
	if (!hmm_mirror_is_ram(walk->classes.ram, PFN_PHYS(pfn)))
		flags |= hmm_mirror_classes_ask(&walk->classes, pfn);
	hmm_mirror_sink_add(&walk->sink, flags, pfn, 1);
}

static unsigned long hmm_flags(unsigned int vma_req)
{
	switch (vma_req) {
	case HMM_MIRROR_REQ_WRITE:
		return HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE;
	case HMM_MIRROR_REQ_READ:
		return HMM_PFN_REQ_FAULT;
	default:
		return 0;
	}
}

/*
 * hmm_range_fault() could not provide the page and does not say why. Ask
 * get_user_pages(), which can tell poison and lack of memory from the rest.
 *
 * Returns 0: the page has its ERROR extent, or is worth another look; -ENOMEM.
 */
static int page_failed(struct hmm_mirror_walk *walk, unsigned long flags)
{
	unsigned int gup_flags = FOLL_HWPOISON;
	unsigned long va = walk->sink.va;
	long ret;

	if (flags & HMM_PFN_REQ_WRITE)
		gup_flags |= FOLL_WRITE;
	ret = get_user_pages_remote(walk->range->mirror->mm, va, 1, gup_flags,
				    NULL, NULL);
	if (ret == -ENOMEM)
		return -ENOMEM;
	/* It may have changed meanwhile: believe that once. */
	if (ret > 0 && walk->probed_va != va) {
		walk->probed_va = va;
		return 0;
	}
	emit_error(walk, ret == -EHWPOISON ? -EHWPOISON : -EFAULT);
	return 0;
}

/* How many pages from the first on are what was wanted and faulted in before. */
static unsigned long nr_as_wanted(const struct hmm_range *hmm, unsigned long wanted,
				  unsigned long npages)
{
	unsigned long must = 0, i;

	if (wanted & HMM_PFN_REQ_FAULT)
		must |= HMM_PFN_VALID;
	if (wanted & HMM_PFN_REQ_WRITE)
		must |= HMM_PFN_WRITE;
	for (i = 0; i < npages; i++) {
		if ((hmm->hmm_pfns[i] & must) != must)
			break;
	}
	return i;
}

/* The first page was faulted in and is gone again. Believe that once. */
static int missed(struct hmm_mirror_walk *walk)
{
	if (walk->probed_va == walk->sink.va)
		emit_error(walk, -EFAULT);
	walk->probed_va = walk->sink.va;
	return 0;
}

/* Returns 0: the page has its ERROR extent, or is the first of the next piece. */
static int fault_failed(struct hmm_mirror_walk *walk, unsigned long va, int err)
{
	if (err != -EFAULT && err != -EHWPOISON)
		return err;
	if (va == walk->sink.va)
		emit_error(walk, err);
	else
		walk->piece_len = va - walk->sink.va;
	return 0;
}

/*
 * A buffer for @npages; the large one is made when it is needed first. Kernels that
 * carry flags from input to output must not find any: there are none at the beginning,
 * and so none later.
 */
static unsigned long *bounce_buffer(struct hmm_mirror_walk *walk,
				    unsigned long npages, unsigned long *few)
{
	if (npages <= HMM_MIRROR_FEW_NPAGES)
		return few;
	if (!walk->pfns)
		walk->pfns = kcalloc(HMM_MIRROR_PIECE_NPAGES,
				     sizeof(*walk->pfns), GFP_KERNEL);
	return walk->pfns;
}

static unsigned long piece_end(const struct hmm_mirror_walk *walk,
			       unsigned long end_va)
{
	unsigned long va = walk->sink.va;

	end_va = min(end_va, ALIGN(va + 1, HMM_MIRROR_PIECE_LEN));
	return min(end_va, va + walk->piece_len);
}

/**
 * hmm_mirror_walk_kernel - a piece of a VMA, by way of hmm_range_fault()
 * @walk: the call; its req says what is wanted
 * @vma: the VMA that walk->sink.va lies in, which a device may have
 * @end_va: where to stop at the latest; in the VMA
 *
 * Covers at least a page, or shortens the piece to be tried next.
 *
 * Context: mmap_lock held for read.
 *
 * Return: 0; -EBUSY: overtaken by an invalidation; -ENOMEM; -EINTR.
 */
int hmm_mirror_walk_kernel(struct hmm_mirror_walk *walk,
			   const struct vm_area_struct *vma, unsigned long end_va)
{
	struct hmm_range hmm = {
		.notifier = &walk->range->shadow,
		.notifier_seq = walk->seq,
		.start = walk->sink.va,
		.default_flags = hmm_flags(hmm_mirror_vma_req(walk, vma)),
		.dev_private_owner = walk->classes.owner,
	};
	unsigned long few[HMM_MIRROR_FEW_NPAGES] = { 0 };
	unsigned long failed_va = hmm.start, wanted = 0;
	unsigned long npages, i;
	int err;

	hmm_mirror_meet_gap(walk);
	hmm.end = piece_end(walk, end_va);
	npages = (hmm.end - hmm.start) >> PAGE_SHIFT;
	hmm.hmm_pfns = bounce_buffer(walk, npages, few);
	if (!hmm.hmm_pfns)
		return -ENOMEM;
	if (hmm_mirror_must_fault_in(walk, vma)) {
		err = hmm_mirror_fault_in(walk, vma, &failed_va, hmm.end);
		if (err)
			return fault_failed(walk, failed_va, err);
		wanted = hmm.default_flags;
		hmm.default_flags = 0;
	}
	err = hmm_range_fault(&hmm);
	if (!err) {
		npages = nr_as_wanted(&hmm, wanted, npages);
		if (!npages)
			return missed(walk);
		for (i = 0; i < npages && !walk->sink.full; i++)
			emit_pfn(walk, vma, hmm.hmm_pfns[i]);
		walk->piece_len = min(walk->piece_len * 2, HMM_MIRROR_PIECE_LEN);
		return 0;
	}
	if (err == -EBUSY)
		return err;
	if (npages > 1) {
		/* One page spoils the piece: close in on it. */
		walk->piece_len = (npages / 2) << PAGE_SHIFT;
		return 0;
	}
	return page_failed(walk, hmm.default_flags);
}
