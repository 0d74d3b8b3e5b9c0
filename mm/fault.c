// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault and snapshot: from the CPU's page table to extents.
 *
 * A call is a series of passes. A pass waits until the range is idle, takes mmap_lock
 * for read and walks VMA by VMA; hmm_range_fault() looks at and faults the pages, one
 * bounded piece at a time. When an invalidation overtakes it, all that was read is
 * void and the next pass begins anew, over a shorter span: pages that are present
 * already cost little, and a short pass has a better chance to get through. What is
 * wrong with a single page becomes an extent that says so.
 *
 * Terms: start_va..end_va is half open, in bytes; a *piece* is what one call of
 * hmm_range_fault() covers.
 */
#include "internal.h"
#include "trace.h"

#include <linux/hmm.h>
#include <linux/kfdsvm_compat.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#define PIECE_NPAGES	512UL
#define PIECE_LEN	(PIECE_NPAGES << PAGE_SHIFT)
#define EXT_MAX_NPAGES	FIELD_MAX(HMM_MIRROR_EXT_NPAGES)
#define NO_PROGRESS_JIFFIES	HZ

/**
 * struct walk - one call of fault or snapshot
 * @range: the range
 * @cursor: the caller's buffer
 * @pfns: bounce buffer for hmm_range_fault(), PIECE_NPAGES entries
 * @req: HMM_MIRROR_REQ_*, 0 for a snapshot
 * @start_va: where the call begins
 * @end_va: where the range ends
 * @va: first byte the current pass has not covered
 * @pass_end_va: where the current pass ends
 * @seq: sequence the current pass began with
 * @piece_len: longest piece to try next
 * @probed_va: page that get_user_pages() found in order last
 * @subsection: which one @is_device tells about
 * @is_device: the subsection is ZONE_DEVICE memory
 * @full: the caller's buffer has no room
 */
struct walk {
	struct hmm_mirror_range *range;
	struct hmm_mirror_cursor *cursor;
	unsigned long *pfns;
	unsigned int req;
	unsigned long start_va;
	unsigned long end_va;
	unsigned long va;
	unsigned long pass_end_va;
	unsigned long seq;
	unsigned long piece_len;
	unsigned long probed_va;
	unsigned long subsection;
	bool is_device;
	bool full;
};

/*
 * Is the pfn ZONE_DEVICE memory? Its struct page may not be touched: without a
 * reference it can be gone with its device by now. Device memory comes and goes in
 * whole subsections.
 */
static bool pfn_is_device(struct walk *walk, unsigned long pfn)
{
	unsigned long subsection = pfn / PAGES_PER_SUBSECTION;

	if (subsection != walk->subsection) {
		walk->is_device = !pfn_to_online_page(pfn);
		walk->subsection = subsection;
	}
	return walk->is_device;
}

static bool can_join(const struct hmm_mirror_extent *last, unsigned long va,
		     unsigned int flags, unsigned long pfn)
{
	unsigned long npages = hmm_mirror_extent_npages(last);

	if (hmm_mirror_extent_flags(last) != flags ||
	    hmm_mirror_extent_va(last) + npages * PAGE_SIZE != va ||
	    npages == EXT_MAX_NPAGES)
		return false;
	if (!(flags & HMM_MIRROR_EXT_VALID))
		return hmm_mirror_extent_pfn(last) == pfn;
	if (hmm_mirror_extent_pfn(last) + npages != pfn)
		return false;
	/* Two devices may meet at the border of a subsection. */
	return !(flags & HMM_MIRROR_EXT_DEVICE) || pfn % PAGES_PER_SUBSECTION;
}

/* Add pages at walk->va. @pfn: of the first page, or what stands in its place. */
static void emit(struct walk *walk, unsigned int flags, unsigned long pfn,
		 unsigned long npages)
{
	struct hmm_mirror_cursor *cursor = walk->cursor;
	struct hmm_mirror_extent *last;
	unsigned long joined, n;

	while (npages) {
		last = cursor->nr ? &cursor->extents[cursor->nr - 1] : NULL;
		if (last && can_join(last, walk->va, flags, pfn)) {
			joined = hmm_mirror_extent_npages(last);
		} else if (cursor->nr < cursor->nr_max) {
			last = &cursor->extents[cursor->nr++];
			last->va_flags = walk->va | flags;
			last->pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN, pfn);
			joined = 0;
		} else {
			walk->full = true;
			return;
		}
		n = min(npages, EXT_MAX_NPAGES - joined);
		last->pfn_npages &= ~HMM_MIRROR_EXT_NPAGES;
		last->pfn_npages |= FIELD_PREP(HMM_MIRROR_EXT_NPAGES, joined + n);
		walk->va += n * PAGE_SIZE;
		npages -= n;
		if (flags & HMM_MIRROR_EXT_VALID)
			pfn += n;
	}
}

/* @err: why no page up to @end_va can be had, a negative errno. */
static void emit_error(struct walk *walk, unsigned long end_va, int err)
{
	emit(walk, HMM_MIRROR_EXT_ERROR, -err,
	     (end_va - walk->va) >> PAGE_SHIFT);
}

static bool vma_writable(const struct vm_area_struct *vma)
{
	/*
	 * A shadow stack may be written by CALL only, yet its entries count as
	 * writable for the kernel: keep devices away.
	 */
	return (vma->vm_flags & VM_WRITE) &&
	       !(vma->vm_flags & VM_SHADOW_STACK);
}

static void emit_pfn(struct walk *walk, const struct vm_area_struct *vma,
		     unsigned long hmm_pfn)
{
	unsigned long pfn = hmm_pfn & ~HMM_PFN_FLAGS;
	unsigned int flags = HMM_MIRROR_EXT_VALID;

	if (hmm_pfn & HMM_PFN_ERROR) {
		emit_error(walk, walk->va + PAGE_SIZE, -EFAULT);
		return;
	}
	if (!(hmm_pfn & HMM_PFN_VALID)) {
		emit(walk, 0, 0, 1);
		return;
	}

	if ((hmm_pfn & HMM_PFN_WRITE) && vma_writable(vma))
		flags |= HMM_MIRROR_EXT_WRITE;
	if (hmm_pfn_to_map_order(hmm_pfn) >= PMD_SHIFT - PAGE_SHIFT)
		flags |= HMM_MIRROR_EXT_HUGE;
	if (pfn_is_device(walk, pfn))
		flags |= HMM_MIRROR_EXT_DEVICE;
	emit(walk, flags, pfn, 1);
}

/* An errno for what a device can never have, 0 for what is worth a look. */
static int vma_refusal(const struct vm_area_struct *vma, unsigned int req)
{
	if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP))
		return -EFAULT;
	if (!(vma->vm_flags & VM_READ))
		return -EPERM;
	if ((req & HMM_MIRROR_REQ_WRITE) && !vma_writable(vma))
		return -EPERM;
	return 0;
}

static unsigned long hmm_flags(const struct vm_area_struct *vma,
			       unsigned int req)
{
	if (!req)
		return 0;
	if ((req & HMM_MIRROR_REQ_WRITE) ||
	    ((req & HMM_MIRROR_REQ_WRITE_IF_VMA) && vma_writable(vma)))
		return HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE;
	return HMM_PFN_REQ_FAULT;
}

/*
 * hmm_range_fault() could not provide the page at walk->va and does not say why. Ask
 * get_user_pages(), which can tell poison and lack of memory from the rest.
 *
 * Returns 0: the page has its ERROR extent, or is worth another look; -ENOMEM.
 */
static int page_failed(struct walk *walk, unsigned long flags)
{
	unsigned int gup_flags = FOLL_HWPOISON;
	long ret;

	if (flags & HMM_PFN_REQ_WRITE)
		gup_flags |= FOLL_WRITE;
	ret = get_user_pages_remote(walk->range->mirror->mm, walk->va, 1,
				    gup_flags, NULL, NULL);
	if (ret == -ENOMEM)
		return -ENOMEM;
	/* It may have changed meanwhile: believe that once. */
	if (ret > 0 && walk->probed_va != walk->va) {
		walk->probed_va = walk->va;
		return 0;
	}
	emit_error(walk, walk->va + PAGE_SIZE,
		   ret == -EHWPOISON ? -EHWPOISON : -EFAULT);
	return 0;
}

/* Returns 0, -EBUSY (overtaken), -ENOMEM. */
static int walk_piece(struct walk *walk, const struct vm_area_struct *vma,
		      unsigned long end_va)
{
	struct hmm_range hmm = {
		.notifier = &walk->range->shadow,
		.notifier_seq = walk->seq,
		.start = walk->va,
		.end = end_va,
		.hmm_pfns = walk->pfns,
		.default_flags = hmm_flags(vma, walk->req),
	};
	unsigned long npages = (end_va - walk->va) >> PAGE_SHIFT;
	unsigned long i;
	int err;

	/* Kernels that carry flags from input to output read the array. */
	memset(walk->pfns, 0, npages * sizeof(*walk->pfns));
	err = hmm_range_fault(&hmm);
	if (!err) {
		for (i = 0; i < npages && !walk->full; i++)
			emit_pfn(walk, vma, walk->pfns[i]);
		walk->piece_len = min(walk->piece_len * 2, PIECE_LEN);
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

static unsigned long piece_end(const struct walk *walk, unsigned long end_va)
{
	end_va = min(end_va, ALIGN(walk->va + 1, PIECE_LEN));
	return min(end_va, walk->va + walk->piece_len);
}

/* Returns as walk_piece(), or -EINTR. */
static int walk_pass(struct walk *walk)
{
	struct mm_struct *mm = walk->range->mirror->mm;
	struct vm_area_struct *vma;
	unsigned long end_va;
	int refusal, err = 0;

	mmap_assert_locked(mm);

	while (!err && walk->va < walk->pass_end_va && !walk->full) {
		vma = find_vma_intersection(mm, walk->va, walk->pass_end_va);
		if (!vma || vma->vm_start > walk->va) {
			end_va = vma ? vma->vm_start : walk->pass_end_va;
			emit_error(walk, end_va, -EFAULT);
			continue;
		}
		end_va = min(vma->vm_end, walk->pass_end_va);
		refusal = vma_refusal(vma, walk->req);
		if (refusal) {
			emit_error(walk, end_va, refusal);
			continue;
		}
		err = walk_piece(walk, vma, piece_end(walk, end_va));
		if (fatal_signal_pending(current))
			err = -EINTR;
		/* Somebody waits to write: hand over what there is. */
		if (walk->va > walk->start_va && mmap_lock_is_contended(mm))
			break;
		cond_resched();
	}
	/* What came before is good; the call after this one meets it first. */
	if (err == -ENOMEM && walk->va > walk->start_va)
		err = 0;
	return err;
}

/*
 *   one_pass()                          region_invalidate()
 *     seq = shadow's sequence
 *     settled?
 *                                         stamp: shadow's sequence = cur
 *                                         update unlock
 *     reads the page table                changes the page table
 *     hmm_range_fault(): -EBUSY, or
 *   client: range_valid() == false
 *
 * The sequence is loaded once: either it is the old one, and whatever is read after
 * the change is rejected under the update lock, or it is cur, which is not settled
 * before the change is complete.
 */
static int one_pass(struct walk *walk)
{
	struct hmm_mirror_range *range = walk->range;
	int err;

	walk->va = walk->start_va;
	walk->cursor->nr = 0;
	walk->full = false;
	walk->piece_len = PIECE_LEN;
	walk->probed_va = ULONG_MAX;
	walk->subsection = ULONG_MAX;

	err = hmm_mirror_mmap_read_lock(range->mirror);
	if (err)
		return err;
	/* Pairs with mmu_interval_set_seq() in the regions' callback. */
	walk->seq = READ_ONCE(range->shadow.invalidate_seq);
	if (hmm_mirror_is_settled(range->mirror, walk->seq))
		err = walk_pass(walk);
	else
		err = -EBUSY;
	hmm_mirror_mmap_read_unlock(range->mirror);
	return err;
}

static int walk_range(struct walk *walk, unsigned int *retries)
{
	unsigned long deadline = jiffies + NO_PROGRESS_JIFFIES;
	unsigned long furthest_va = walk->start_va;
	long left;
	int err;

	walk->pass_end_va = walk->end_va;
	for (;;) {
		left = deadline - jiffies;
		err = hmm_mirror_range_wait_settled(walk->range, max(left, 0L));
		if (err)
			return err;
		err = one_pass(walk);
		if (err != -EBUSY)
			return err;

		++*retries;
		trace_hmm_mirror_retry(walk->range, walk->seq, walk->va, *retries);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (walk->va > furthest_va) {
			furthest_va = walk->va;
			deadline = jiffies + NO_PROGRESS_JIFFIES;
		} else if (time_after_eq(jiffies, deadline)) {
			return -ETIME;
		}
		walk->pass_end_va = min(walk->end_va, walk->start_va + PIECE_LEN);
		cond_resched();
	}
}

static int fault_or_snapshot(struct hmm_mirror_range *range,
			     struct hmm_mirror_cursor *cursor, unsigned int req)
{
	struct walk walk = {
		.range = range,
		.cursor = cursor,
		.req = req,
		.start_va = cursor->next_va,
		.end_va = range->node.last + 1,
	};
	unsigned int retries = 0;
	int err;

	might_sleep();
	lockdep_assert_not_held(range->mirror->update_lock);
	cursor->nr = 0;
	if (WARN_ON_ONCE(!cursor->nr_max || walk.start_va < range->node.start ||
			 !PAGE_ALIGNED(walk.start_va)))
		return -EINVAL;
	if (walk.start_va >= walk.end_va)
		return 0;

	walk.pfns = kmalloc_array(PIECE_NPAGES, sizeof(*walk.pfns), GFP_KERNEL);
	if (!walk.pfns)
		return -ENOMEM;
	err = walk_range(&walk, &retries);
	kfree(walk.pfns);
	if (err) {
		cursor->nr = 0;
	} else {
		cursor->next_va = walk.va;
		range->seq = walk.seq;
	}
	trace_hmm_mirror_fault(range, cursor, walk.start_va, req, retries, err);
	return err;
}

/**
 * hmm_mirror_range_snapshot - see what the CPU's page table has, change nothing
 * @range: a registered range
 * @cursor: where to begin and where to put the extents
 *
 * As hmm_mirror_range_fault(), but pages that are not present become holes.
 *
 * Context: as hmm_mirror_range_fault().
 *
 * Return: as hmm_mirror_range_fault().
 */
int hmm_mirror_range_snapshot(struct hmm_mirror_range *range,
			      struct hmm_mirror_cursor *cursor)
{
	return fault_or_snapshot(range, cursor, 0);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_snapshot, HMM_MIRROR);

/**
 * hmm_mirror_range_fault - make pages of a range present and see where they are
 * @range: a registered range
 * @cursor: where to begin and where to put the extents
 * @req: exactly one of HMM_MIRROR_REQ_*
 *
 * On success the extents cover the addresses from the old to the new
 * cursor->next_va without a gap, in order. That may be less than the rest of the range:
 * the buffer is full, somebody waits for mmap_lock, or invalidations are frequent and a
 * shorter piece can get through. It is never nothing. Pages that cannot be had are
 * ERROR extents and do not stop the rest:
 *
 *   EFAULT      no VMA; VM_IO, VM_PFNMAP or VM_MIXEDMAP; beyond the end of a file;
 *               a fault somebody in user space should have served (userfaultfd)
 *   EPERM       the VMA cannot be read; write requested and it cannot be written
 *   EHWPOISON   poisoned memory
 *
 * The extents hold only while hmm_mirror_range_valid() says so, checked under the
 * update lock. A call that succeeds begins a new sequence: commit the extents of one
 * call before the next, and set cursor->next_va back if they could not be committed.
 *
 * Context: process context, sleeps, takes mmap_lock for read and holds mm_users
 * meanwhile. Neither mmap_lock nor the update lock is held.
 *
 * Return: 0 or, with cursor->nr == 0 and cursor->next_va unchanged: -ESRCH: the mm is
 * dead; -EINTR: fatal signal; -ETIME: overtaken by invalidations for a second without
 * progress; -ENOMEM; -EFAULT: the OOM reaper is at work in the mm.
 */
int hmm_mirror_range_fault(struct hmm_mirror_range *range,
			   struct hmm_mirror_cursor *cursor, unsigned int req)
{
	if (WARN_ON_ONCE(req != HMM_MIRROR_REQ_READ &&
			 req != HMM_MIRROR_REQ_WRITE &&
			 req != HMM_MIRROR_REQ_WRITE_IF_VMA))
		return -EINVAL;
	return fault_or_snapshot(range, cursor, req);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_fault, HMM_MIRROR);
