// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault and snapshot: from the CPU's page table to extents.
 *
 * A call is a series of passes. A pass waits until the range is idle, takes mmap_lock
 * for read and walks VMA by VMA, in one of two ways (walk_extent.c, walk_kernel.c).
 * When an invalidation overtakes it, all that was read is void and the next pass begins
 * anew, over a shorter span: pages that are present already cost little, and a short
 * pass has a better chance to get through. What is wrong with a single page becomes an
 * extent that says so.
 */
#include "walk.h"
#include "internal.h"
#include "trace.h"

#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#define NO_PROGRESS_JIFFIES	HZ

enum way { WAY_KERNEL, WAY_EXTENT };

static const char * const way_names[] = {
	[WAY_KERNEL] = "kernel",
	[WAY_EXTENT] = "extent",
};

static int way = WAY_EXTENT;

static int way_set(const char *text, const struct kernel_param *kp)
{
	int chosen = sysfs_match_string(way_names, text);

	if (chosen < 0)
		return chosen;
	WRITE_ONCE(way, chosen);
	return 0;
}

static int way_get(char *text, const struct kernel_param *kp)
{
	return sysfs_emit(text, "%s\n", way_names[READ_ONCE(way)]);
}

static const struct kernel_param_ops way_ops = {
	.set = way_set,
	.get = way_get,
};

module_param_cb(walk, &way_ops, NULL, 0644);
MODULE_PARM_DESC(walk, "How page tables are read: extent (default) or kernel, which leaves all to hmm_range_fault()");

/* @err: why no page up to @end_va can be had, a negative errno. */
static void emit_error(struct hmm_mirror_walk *walk, unsigned long end_va, int err)
{
	hmm_mirror_sink_add(&walk->sink, HMM_MIRROR_EXT_ERROR, -err,
			    (end_va - walk->sink.va) >> PAGE_SHIFT);
}

/* An errno for what a device can never have, 0 for what is worth a look. */
static int vma_refusal(const struct vm_area_struct *vma, unsigned int req)
{
	const unsigned long special = VM_IO | VM_PFNMAP | VM_MIXEDMAP;

	if (unlikely((vma->vm_flags & (special | VM_READ)) != VM_READ))
		return vma->vm_flags & special ? -EFAULT : -EPERM;
	if ((req & HMM_MIRROR_REQ_WRITE) && !hmm_mirror_vma_writable(vma))
		return -EPERM;
	return 0;
}

/*
 * Sets walk->req for the addresses from walk->sink.va on. Return: how far it holds.
 * Spans are few, and most often one: no need to remember the place.
 */
static unsigned long find_req(struct hmm_mirror_walk *walk)
{
	const struct hmm_mirror_req *asked = walk->asked;
	unsigned long va = walk->sink.va;
	unsigned int i;

	if (likely(!asked->nr_spans)) {
		walk->req = asked->default_req;
		return walk->pass_end_va;
	}
	for (i = 0; i < asked->nr_spans && asked->spans[i].last_va < va; i++)
		;
	if (i == asked->nr_spans || asked->spans[i].first_va > va) {
		walk->req = asked->default_req;
		return i == asked->nr_spans ? walk->pass_end_va :
			min(walk->pass_end_va, asked->spans[i].first_va);
	}
	walk->req = asked->spans[i].req;
	/* A span may end where addresses do. */
	return min(walk->pass_end_va - 1, asked->spans[i].last_va) + 1;
}

/* Return: as hmm_mirror_walk_kernel(). */
static int walk_vma(struct hmm_mirror_walk *walk,
		    const struct vm_area_struct *vma, unsigned long end_va)
{
	int refusal = vma_refusal(vma, walk->req);

	if (refusal) {
		emit_error(walk, end_va, refusal);
		return 0;
	}
	if (READ_ONCE(way) == WAY_EXTENT)
		return hmm_mirror_walk_extent(walk, vma, end_va);
	return hmm_mirror_walk_kernel(walk, vma, end_va);
}

/* Going on would be for nothing: nobody can commit what was read. */
static bool is_overtaken(const struct hmm_mirror_walk *walk)
{
	return walk->seq != READ_ONCE(walk->range->shadow.invalidate_seq);
}

/* The most common case is also the cheapest to ask for. */
static struct vm_area_struct *find_vma_at_or_behind(struct mm_struct *mm,
						    unsigned long va,
						    unsigned long end_va)
{
	return vma_lookup(mm, va) ?: find_vma_intersection(mm, va, end_va);
}

/* Returns as walk_vma(), or -EINTR. */
static int walk_pass(struct hmm_mirror_walk *walk)
{
	struct mm_struct *mm = walk->range->mirror->mm;
	struct hmm_mirror_sink *sink = &walk->sink;
	struct vm_area_struct *vma = NULL;
	unsigned long end_va;
	int err = 0;

	mmap_assert_locked(mm);

	for (;;) {
		end_va = find_req(walk);
		if (!vma || vma->vm_end <= sink->va)
			vma = find_vma_at_or_behind(mm, sink->va,
						    walk->pass_end_va);
		if (!vma || vma->vm_start > sink->va) {
			emit_error(walk, vma ? min(end_va, vma->vm_start) : end_va,
				   -EFAULT);
		} else {
			err = walk_vma(walk, vma, min(end_va, vma->vm_end));
		}
		if (err || sink->va >= walk->pass_end_va || sink->full)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (is_overtaken(walk))
			return -EBUSY;
		/* Somebody waits to write: hand over what there is. */
		if (sink->va > walk->start_va && mmap_lock_is_contended(mm))
			break;
		cond_resched();
	}
	/* What came before is good; the call after this one meets it first. */
	if (err == -ENOMEM && sink->va > walk->start_va)
		err = 0;
	return err;
}

/* Return: the range is idle, with walk->seq as its sequence. */
static bool pass_begin(struct hmm_mirror_walk *walk)
{
	struct hmm_mirror_range *range = walk->range;

	walk->sink.nr = 0;
	walk->sink.full = false;
	walk->sink.va = walk->start_va;
	walk->classes.subsection = ULONG_MAX;
	walk->has_gaps = false;
	/* Pairs with mmu_interval_set_seq() in the regions' callback. */
	walk->seq = READ_ONCE(range->shadow.invalidate_seq);
	return hmm_mirror_is_settled(range->mirror, walk->seq);
}

/*
 *   pass_begin(), one_pass()            region_invalidate()
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
static int one_pass(struct hmm_mirror_walk *walk)
{
	struct hmm_mirror_range *range = walk->range;
	int err;

	err = hmm_mirror_mmap_read_lock(range->mirror);
	if (err)
		return err;
	err = walk_pass(walk);
	hmm_mirror_mmap_read_unlock(range->mirror);
	/* As good as waiting for the client to find out. */
	if (!err && is_overtaken(walk))
		err = -EBUSY;
	return err;
}

/* The first pass did not get through: wait, try less at a time, give up after a while. */
static noinline int insist(struct hmm_mirror_walk *walk, unsigned int *retries)
{
	unsigned long deadline = jiffies + NO_PROGRESS_JIFFIES;
	unsigned long furthest_va = walk->start_va, reached_va;
	long left;
	int err;

	for (;;) {
		++*retries;
		trace_hmm_mirror_retry(walk->range, walk->seq, walk->sink.va, *retries);
		if (fatal_signal_pending(current))
			return -EINTR;
		/* Faulting in may itself be an event, of a DAX file for one. */
		reached_va = max(walk->sink.va, walk->faulted_va);
		if (reached_va > furthest_va) {
			furthest_va = reached_va;
			deadline = jiffies + NO_PROGRESS_JIFFIES;
		} else if (time_after_eq(jiffies, deadline)) {
			return -ETIME;
		}
		/* Overtaken before it read anything: no reason to ask for less. */
		if (reached_va > walk->start_va)
			walk->pass_end_va = min(walk->end_va, walk->start_va +
						HMM_MIRROR_PIECE_LEN);
		cond_resched();
		while (!pass_begin(walk)) {
			left = deadline - jiffies;
			err = hmm_mirror_range_wait_settled(walk->range, max(left, 0L));
			if (err)
				return err;
		}
		err = one_pass(walk);
		if (err != -EBUSY)
			return err;
	}
}

static int walk_range(struct hmm_mirror_walk *walk, unsigned int *retries)
{
	int err = -EBUSY;

	walk->pass_end_va = walk->end_va;
	walk->faulted_va = 0;
	if (likely(pass_begin(walk)))
		err = one_pass(walk);
	return likely(err != -EBUSY) ? err : insist(walk, retries);
}

static int fault_or_snapshot(struct hmm_mirror_range *range,
			     struct hmm_mirror_cursor *cursor,
			     const struct hmm_mirror_req *req)
{
	/* pass_begin() sets the rest: zeroing it all would cost as much as a THP. */
	struct hmm_mirror_walk walk __uninitialized;
	unsigned int retries = 0;
	int err;

	might_sleep();
	lockdep_assert_not_held(range->mirror->update_lock);
	walk.start_va = cursor->next_va;
	walk.end_va = range->node.last + 1;
	if (WARN_ON_ONCE(!cursor->nr_max || walk.start_va < range->node.start ||
			 !PAGE_ALIGNED(walk.start_va))) {
		cursor->nr = 0;
		return -EINVAL;
	}
	if (walk.start_va >= walk.end_va) {
		cursor->nr = 0;
		return 0;
	}

	walk.range = range;
	walk.asked = req;
	walk.sink.exts = cursor->extents;
	walk.sink.nr_max = cursor->nr_max;
	walk.classes.ram = hmm_mirror_ram_sections;
	walk.classes.owner = range->mirror->ops->owner;
	walk.pfns = NULL;
	err = walk_range(&walk, &retries);
	/* Nearly no call has needed it. */
	if (unlikely(walk.pfns))
		kfree(walk.pfns);
	if (!err) {
		cursor->nr = walk.sink.nr;
		cursor->next_va = walk.sink.va;
		range->seq = walk.seq;
	} else {
		cursor->nr = 0;
	}
	trace_hmm_mirror_fault(range, cursor, walk.start_va, req->default_req,
			       retries, err);
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
	static const struct hmm_mirror_req nothing;

	return fault_or_snapshot(range, cursor, &nothing);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_snapshot, HMM_MIRROR);

static bool is_one_req(unsigned int req)
{
	return !req || req == HMM_MIRROR_REQ_READ || req == HMM_MIRROR_REQ_WRITE ||
	       req == HMM_MIRROR_REQ_WRITE_IF_VMA;
}

static bool is_req_valid(const struct hmm_mirror_req *req)
{
	unsigned int i;

	for (i = 0; i < req->nr_spans; i++) {
		const struct hmm_mirror_req_span *span = &req->spans[i];

		if (!is_one_req(span->req) || span->last_va < span->first_va ||
		    (i && span->first_va <= span[-1].last_va) ||
		    !PAGE_ALIGNED(span->first_va) || !PAGE_ALIGNED(span->last_va + 1))
			return false;
	}
	return is_one_req(req->default_req);
}

/**
 * hmm_mirror_range_fault - make pages of a range present and see where they are
 * @range: a registered range
 * @cursor: where to begin and where to put the extents
 * @req: what is asked for: a default and, by address, what differs from it
 *
 * On success the extents cover the addresses from the old to the new
 * cursor->next_va without a gap, in order. That may be less than the rest of the range:
 * the buffer is full, somebody waits for mmap_lock, or invalidations are frequent and a
 * shorter piece can get through. It is never nothing. Pages that cannot be had are
 * ERROR extents and do not stop the rest:
 *
 *   EFAULT      no VMA; VM_IO, VM_PFNMAP or VM_MIXEDMAP; beyond the end of a file;
 *               a fault somebody in user space should have served (userfaultfd);
 *               6.12: a write to a private mapping of a DAX file by a task of
 *               another mm
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
			   struct hmm_mirror_cursor *cursor,
			   const struct hmm_mirror_req *req)
{
	if (WARN_ON_ONCE(!is_req_valid(req)))
		return -EINVAL;
	return fault_or_snapshot(range, cursor, req);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_fault, HMM_MIRROR);
