// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges: the span of addresses somebody works on or waits for.
 *
 * A range carries a mmu_interval_notifier that is never inserted anywhere, its
 * shadow. hmm_range_fault() looks at nothing but the shadow's mm and sequence, so the
 * regions' callback stamps the ranges an event meets and leaves the others valid,
 * however much else happens in the same region.
 *
 * Sequences are those of the core: odd, one for each phase in which at least one
 * invalidation of the mm is under way, growing. A sequence is *settled* when its phase
 * is over. States of a range, as predicates:
 *
 *   disturbed  shadow.invalidate_seq is not settled; no page table may be read
 *   idle       it is settled; a fault or snapshot may begin, with it as seq
 *   valid      idle and seq == shadow.invalidate_seq: what was read still holds
 *
 * The core can tell that a sequence is settled only by sleeping until it is
 * (mmu_interval_read_begin()), without limit and deaf to signals, and many threads
 * that invalidate in turn can keep one phase open for long. So one work item of the
 * mirror sleeps there, and those who wait do so on a wait queue.
 */
#include "internal.h"

#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#ifdef CONFIG_KFDSVM_DEBUG
static bool break_seq_check;
module_param(break_seq_check, bool, 0644);
MODULE_PARM_DESC(break_seq_check,
		 "Commit without looking at the sequence; a test must notice");
#else
#define break_seq_check false
#endif

/* The phase of @seq, and with it all before, is over. */
void hmm_mirror_settle(struct hmm_mirror *mirror, unsigned long seq)
{
	lockdep_assert_held(&mirror->tree_lock);

	if (hmm_mirror_is_newer(seq, mirror->settled_seq)) {
		/* Pairs with smp_load_acquire() in hmm_mirror_is_settled(). */
		smp_store_release(&mirror->settled_seq, seq);
	}
}

void hmm_mirror_settle_work(struct work_struct *work)
{
	struct hmm_mirror *mirror =
		container_of(work, struct hmm_mirror, settle_work);
	struct mmu_interval_notifier probe = { .mm = mirror->mm };
	unsigned long seq;

	spin_lock(&mirror->tree_lock);
	seq = mirror->awaited_seq;
	spin_unlock(&mirror->tree_lock);

	mmu_interval_set_seq(&probe, seq);
	mmu_interval_read_begin(&probe);

	spin_lock(&mirror->tree_lock);
	hmm_mirror_settle(mirror, seq);
	spin_unlock(&mirror->tree_lock);
	wake_up_all(&mirror->settled_wait);
}

static void await_seq(struct hmm_mirror *mirror, unsigned long seq)
{
	spin_lock(&mirror->tree_lock);
	if (hmm_mirror_is_newer(seq, mirror->awaited_seq))
		mirror->awaited_seq = seq;
	spin_unlock(&mirror->tree_lock);
	/*
	 * If the work sleeps for an older sequence, that one is over, or @seq would
	 * not exist: it runs again at once.
	 */
	queue_work(hmm_mirror_wq, &mirror->settle_work);
}

/**
 * hmm_mirror_wait_settled - wait until the phase of a sequence is over
 * @mirror: a registered mirror
 * @seq: the sequence
 * @left_jiffies: how long at most; counted down
 *
 * Return: 0, -ESRCH, -EINTR, -ETIME.
 */
int hmm_mirror_wait_settled(struct hmm_mirror *mirror, unsigned long seq,
			    long *left_jiffies)
{
	long left;

	might_sleep();
	lockdep_assert_not_held(mirror->update_lock);

	if (hmm_mirror_is_dead(mirror))
		return -ESRCH;
	if (hmm_mirror_is_settled(mirror, seq))
		return 0;
	/* Nobody may have asked yet whether it is over: a worker has to find out. */
	if (!*left_jiffies)
		*left_jiffies = 1;
	await_seq(mirror, seq);
	left = wait_event_killable_timeout(mirror->settled_wait,
					   hmm_mirror_is_settled(mirror, seq) ||
					   hmm_mirror_is_dead(mirror),
					   *left_jiffies);
	if (left < 0)
		return -EINTR;
	*left_jiffies = left;
	if (!left)
		return -ETIME;
	return hmm_mirror_is_settled(mirror, seq) ? 0 : -ESRCH;
}

/**
 * hmm_mirror_range_wait_settled - wait until a range is idle
 * @range: a registered range
 * @timeout_jiffies: how long at most
 *
 * Return: 0, -ESRCH, -EINTR, -ETIME.
 */
int hmm_mirror_range_wait_settled(struct hmm_mirror_range *range,
				  unsigned long timeout_jiffies)
{
	long left = min_t(unsigned long, timeout_jiffies, MAX_SCHEDULE_TIMEOUT);
	unsigned long seq;
	int err;

	do {
		/* Pairs with mmu_interval_set_seq() in the regions' callback. */
		seq = READ_ONCE(range->shadow.invalidate_seq);
		err = hmm_mirror_wait_settled(range->mirror, seq, &left);
	} while (!err && seq != READ_ONCE(range->shadow.invalidate_seq));
	return err;
}

/**
 * hmm_mirror_range_wait_until_valid - wait until a range may become valid again
 * @range: a registered range
 * @timeout_jiffies: how long at most
 *
 * Returns 0 as soon as no invalidation of the range is under way. What was read
 * before stays invalid: fault or snapshot the range, then commit. With a limit of 0 it
 * waits for a jiffy, within which a worker usually finds out that nothing is.
 *
 * Context: process context, sleeps. The update lock is not held; with mmap_lock held
 * it may wait for others who want mmap_lock, so it should not be.
 *
 * Return: 0; -ETIME: still being invalidated; -EINTR: fatal signal; -ESRCH: the mm
 * is dead.
 */
int hmm_mirror_range_wait_until_valid(struct hmm_mirror_range *range,
				      unsigned long timeout_jiffies)
{
	return hmm_mirror_range_wait_settled(range, timeout_jiffies);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_wait_until_valid, HMM_MIRROR);

/* Returns how many ranges were met. */
unsigned int hmm_mirror_ranges_stamp(struct hmm_mirror *mirror,
				     unsigned long first_va,
				     unsigned long last_va, unsigned long seq)
{
	struct interval_tree_node *node;
	unsigned int nr = 0;

	lockdep_assert_held(mirror->update_lock);
	lockdep_assert_held(&mirror->tree_lock);

	for (node = interval_tree_iter_first(&mirror->tree, first_va, last_va);
	     node; node = interval_tree_iter_next(node, first_va, last_va)) {
		struct hmm_mirror_range *range =
			container_of(node, struct hmm_mirror_range, node);

		mmu_interval_set_seq(&range->shadow, seq);
		nr++;
	}
	return nr;
}

/**
 * hmm_mirror_range_register - begin to work on a span of addresses
 * @range: the caller's object, uninitialised
 * @mirror: a registered mirror
 * @first_va: first byte, page aligned
 * @last_va: last byte of a page
 *
 * The range is not valid before its first fault or snapshot. Ranges may overlap.
 *
 * Context: process context, sleeps; the rules of hmm_mirror_watch() hold.
 *
 * Lifetime: belongs to the caller; unregister it before the mirror.
 *
 * Return: 0; -EINVAL: not whole pages; else as hmm_mirror_watch().
 */
int hmm_mirror_range_register(struct hmm_mirror_range *range,
			      struct hmm_mirror *mirror, unsigned long first_va,
			      unsigned long last_va)
{
	unsigned long seq;
	int err;

	if (!PAGE_ALIGNED(first_va) || !PAGE_ALIGNED(last_va + 1))
		return -EINVAL;
	err = hmm_mirror_watch(mirror, first_va, last_va);
	if (err)
		return err;

	range->mirror = mirror;
	range->node.start = first_va;
	range->node.last = last_va;
	range->shadow = (struct mmu_interval_notifier) { .mm = mirror->mm };

	/* One step: see hmm_mirror_regions_seq(). */
	spin_lock(&mirror->tree_lock);
	seq = hmm_mirror_regions_seq(mirror, first_va, last_va);
	mmu_interval_set_seq(&range->shadow, seq);
	interval_tree_insert(&range->node, &mirror->tree);
	spin_unlock(&mirror->tree_lock);

	/* Even, as no sequence ever is: not valid. */
	range->seq = 0;
	hmm_mirror_live_inc(HMM_MIRROR_LIVE_RANGE);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_register, HMM_MIRROR);

/**
 * hmm_mirror_range_unregister - the span is not worked on any more
 * @range: a registered range
 *
 * What was committed stays mapped in the device and ops->invalidate() goes on to
 * be called for it; only the range's own sequence is gone.
 *
 * Context: any in which a spin lock may be taken, but not interrupts. May be called
 * under the update lock, also from ops->invalidate().
 */
void hmm_mirror_range_unregister(struct hmm_mirror_range *range)
{
	struct hmm_mirror *mirror = range->mirror;

	spin_lock(&mirror->tree_lock);
	interval_tree_remove(&range->node, &mirror->tree);
	spin_unlock(&mirror->tree_lock);
	hmm_mirror_live_dec(HMM_MIRROR_LIVE_RANGE);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_unregister, HMM_MIRROR);

/**
 * hmm_mirror_range_valid - does what was read of the page table still hold?
 * @range: a registered range
 *
 * Context: update lock held.
 *
 * Return: true if no page of the range has changed for the worse since the last
 * successful fault or snapshot began; then none will before the lock is released.
 */
bool hmm_mirror_range_valid(struct hmm_mirror_range *range)
{
	lockdep_assert_held(range->mirror->update_lock);

	return break_seq_check ||
	       !mmu_interval_read_retry(&range->shadow, range->seq);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_range_valid, HMM_MIRROR);
