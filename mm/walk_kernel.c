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

#define FAULT_NR_TRIES	8

static void emit_error(struct hmm_mirror_walk *walk, int err)
{
	hmm_mirror_sink_add(&walk->sink, HMM_MIRROR_EXT_ERROR, -err, 1);
}

/*
 * Of a huge page of device private memory some kernels tell as the first page looked at
 * the first there is, wherever the look began, and go on from that. It is aligned.
 */
static unsigned long huge_private_pfn(unsigned long pfn, unsigned long va)
{
	const unsigned long huge_npages = BIT(PMD_SHIFT - PAGE_SHIFT);

	return ALIGN_DOWN(pfn, huge_npages) + (va >> PAGE_SHIFT) % huge_npages;
}

static void emit_pfn(struct hmm_mirror_walk *walk,
		     const struct vm_area_struct *vma, unsigned long hmm_pfn)
{
	unsigned long pfn = hmm_pfn & ~HMM_PFN_FLAGS;
	unsigned int flags = HMM_MIRROR_EXT_VALID;

	/*
	 * ERROR is for what stands in the table and is no page, when nothing was asked
	 * for: a huge page of somebody else's private memory. To be had by a fault.
	 */
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
	if ((flags & HMM_MIRROR_EXT_PRIVATE) && (flags & HMM_MIRROR_EXT_HUGE))
		pfn = huge_private_pfn(pfn, walk->sink.va);
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

static bool is_as_wanted(unsigned long hmm_pfn, unsigned long wanted)
{
	unsigned long must = 0;

	if (wanted & HMM_PFN_REQ_FAULT)
		must |= HMM_PFN_VALID;
	if (wanted & HMM_PFN_REQ_WRITE)
		must |= HMM_PFN_WRITE;
	return (hmm_pfn & must) == must;
}

/* The end of the run of pages from @first on that are as wanted, or not. */
static unsigned long wanted_run(const unsigned long *hmm_pfns, unsigned long first,
				unsigned long end, unsigned long wanted, bool as_wanted)
{
	while (first < end && is_as_wanted(hmm_pfns[first], wanted) == as_wanted)
		first++;
	return first;
}

/* Fault in what is missing in a piece that was looked at. Return: as hmm_mirror_fault_in(). */
static int fault_missing(struct hmm_mirror_walk *walk, const struct vm_area_struct *vma,
			 const struct hmm_range *hmm, unsigned long npages,
			 unsigned long wanted, unsigned long *failed_va)
{
	unsigned long first = 0, end;
	int err = 0;

	while (!err) {
		first = wanted_run(hmm->hmm_pfns, first, npages, wanted, true);
		if (first == npages)
			break;
		end = wanted_run(hmm->hmm_pfns, first, npages, wanted, false);
		*failed_va = hmm->start + (first << PAGE_SHIFT);
		err = hmm_mirror_fault_in(walk, vma, failed_va,
					  hmm->start + (end << PAGE_SHIFT));
		first = end;
	}
	return err;
}

/*
 * Look, fault in what is missing, look again. hmm_range_fault() by itself faults all from
 * the first page that is missing on. For the client's private memory that is wrong: what
 * is there stays in the device; but what is shared since a fork and is to be written must
 * come back to be copied, which hmm_range_fault() does not see to.
 *
 * One fault may not be enough: it may have waited for a migration, or brought back a
 * page that is still to be copied.
 *
 * Return: 0, and in *@npages how many pages are as wanted, at least one; -EFAULT or
 * -EHWPOISON: the first page cannot be had; as hmm_mirror_walk_kernel().
 */
static int look_and_fault(struct hmm_mirror_walk *walk, const struct vm_area_struct *vma,
			  struct hmm_range *hmm, unsigned long *npages)
{
	const unsigned long wanted = hmm->default_flags;
	unsigned long failed_va, n;
	unsigned int try;
	int err;

	hmm->default_flags = 0;
	for (try = 0; try < FAULT_NR_TRIES; try++) {
		err = hmm_range_fault(hmm);
		if (err)
			return err;
		n = wanted_run(hmm->hmm_pfns, 0, *npages, wanted, true);
		if (n == *npages || (n && try)) {
			*npages = n;
			return 0;
		}
		err = fault_missing(walk, vma, hmm, *npages, wanted, &failed_va);
		if (err != -EFAULT && err != -EHWPOISON) {
			if (err)
				return err;
			continue;
		}
		/* What comes before it may be good. */
		*npages = (failed_va - hmm->start) >> PAGE_SHIFT;
		if (!*npages)
			return err;
	}
	/* Somebody else is at work on it: that takes as long as it takes. */
	return hmm->hmm_pfns[0] & HMM_PFN_ERROR ? -EFAULT : -EBUSY;
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
	unsigned long npages, i;
	int err;

	hmm_mirror_meet_gap(walk);
	hmm.end = piece_end(walk, end_va);
	npages = (hmm.end - hmm.start) >> PAGE_SHIFT;
	hmm.hmm_pfns = bounce_buffer(walk, npages, few);
	if (!hmm.hmm_pfns)
		return -ENOMEM;
	if (hmm_mirror_must_fault_in(walk, vma)) {
		err = look_and_fault(walk, vma, &hmm, &npages);
		if (err == -EFAULT || err == -EHWPOISON) {
			emit_error(walk, err);
			return 0;
		}
		if (err)
			return err;
	} else {
		err = hmm_range_fault(&hmm);
	}
	if (!err) {
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
