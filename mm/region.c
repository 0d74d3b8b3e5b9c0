// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: where a mirror hears of the CPU's changes.
 *
 * A region is a real mmu_interval_notifier over 1 GiB of addresses, made when
 * something in it is watched first and kept until the mirror goes. Ranges come and
 * go below it without touching the core's tree: inserting there is deferred while
 * anything is being invalidated, and removing sleeps.
 *
 * A region knows the sequence of the last event that met it, and which addresses
 * the events of that sequence covered, so that a new range can tell whether one of
 * them may still be under way where the range lies.
 */
#include "internal.h"
#include "trace.h"

#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#define REGION_SHIFT	30
#define REGION_LEN	BIT(REGION_SHIFT)
#define REGION_NR_SPANS	8
/* 128 TiB, all there is with four levels of page tables. */
#define REGION_NR_MAX	BIT(17)

/* Half open, in bytes. */
struct region_span {
	unsigned long start_va;
	unsigned long end_va;
};

/**
 * struct hmm_mirror_region - 1 GiB of a mirror
 * @sub: subscription with the core; its sequence is guarded by mirror->tree_lock
 * @mirror: its mirror
 * @born_seq: when this is settled, the core has the region in its tree
 * @spans: what the events of the current sequence cover, or more; tree_lock
 * @nr_spans: how many of them; tree_lock
 */
struct hmm_mirror_region {
	struct mmu_interval_notifier sub;
	struct hmm_mirror *mirror;
	unsigned long born_seq;
	struct region_span spans[REGION_NR_SPANS];
	unsigned int nr_spans;
};

static unsigned long region_start_va(const struct hmm_mirror_region *region)
{
	return region->sub.interval_tree.start;
}

static unsigned long region_end_va(const struct hmm_mirror_region *region)
{
	return region->sub.interval_tree.last + 1;
}

static void event_init(struct hmm_mirror_event *event,
		       const struct hmm_mirror_region *region,
		       const struct mmu_notifier_range *core)
{
	event->start_va = max(core->start & PAGE_MASK, region_start_va(region));
	/* The mm's release ends at ULONG_MAX, which PAGE_ALIGN() would wrap. */
	event->end_va = region_end_va(region);
	if (core->end < event->end_va)
		event->end_va = PAGE_ALIGN(core->end);
	event->owner = NULL;
	event->blockable = mmu_notifier_range_blockable(core);

	switch (core->event) {
	case MMU_NOTIFY_UNMAP:
		event->kind = HMM_MIRROR_EVENT_UNMAP;
		break;
	case MMU_NOTIFY_RELEASE:
		event->kind = HMM_MIRROR_EVENT_RELEASE;
		break;
	case MMU_NOTIFY_MIGRATE:
		event->kind = HMM_MIRROR_EVENT_MIGRATE;
		event->owner = core->owner;
		break;
	default:
		event->kind = HMM_MIRROR_EVENT_CHANGE;
		break;
	}
}

/* Remember what the events of one sequence cover; when short of room, more. */
static void region_note(struct hmm_mirror_region *region, unsigned long seq,
			const struct hmm_mirror_event *event)
{
	struct region_span *span = region->spans;
	unsigned int i;

	lockdep_assert_held(&region->mirror->tree_lock);

	if (region->sub.invalidate_seq != seq) {
		region->nr_spans = 0;
		mmu_interval_set_seq(&region->sub, seq);
	}
	for (i = 0; i < region->nr_spans; i++, span++) {
		if (event->start_va <= span->end_va &&
		    event->end_va >= span->start_va)
			break;
	}
	if (i == region->nr_spans && i < REGION_NR_SPANS) {
		region->nr_spans++;
		span->start_va = event->start_va;
		span->end_va = event->end_va;
		return;
	}
	if (i == REGION_NR_SPANS)
		span = &region->spans[REGION_NR_SPANS - 1];
	span->start_va = min(span->start_va, event->start_va);
	span->end_va = max(span->end_va, event->end_va);
}

/*
 * The one callback. The order matters:
 *
 *   region_invalidate()                client's commit
 *     update lock                        ... extents from a fault ...
 *     stamp ranges
 *     ops->invalidate(): device unmapped
 *     update unlock
 *                                        update lock
 *                                        range_valid() == false: start over
 *   core mm changes the page table       update unlock
 *
 * or the commit has the lock first: then the page table still is what the extents
 * say, and ops->invalidate() removes what was just mapped.
 */
static bool region_invalidate(struct mmu_interval_notifier *sub,
			      const struct mmu_notifier_range *core,
			      unsigned long cur_seq)
{
	struct hmm_mirror_region *region =
		container_of(sub, struct hmm_mirror_region, sub);
	struct hmm_mirror *mirror = region->mirror;
	struct hmm_mirror_event event;
	unsigned int nr_ranges;

	/* Nothing is changed before this point: the core may ask again. */
	if (mmu_notifier_range_blockable(core))
		mutex_lock(mirror->update_lock);
	else if (!mutex_trylock(mirror->update_lock))
		return false;

	event_init(&event, region, core);
	spin_lock(&mirror->tree_lock);
	/* A new sequence is given out only when the one before is over. */
	hmm_mirror_settle(mirror, cur_seq - 2);
	region_note(region, cur_seq, &event);
	nr_ranges = hmm_mirror_ranges_stamp(mirror, event.start_va,
					    event.end_va - 1, cur_seq);
	spin_unlock(&mirror->tree_lock);

	trace_hmm_mirror_invalidate(mirror, &event, nr_ranges);
	mirror->ops->invalidate(mirror, &event);
	mutex_unlock(mirror->update_lock);
	return true;
}

static const struct mmu_interval_notifier_ops region_ops = {
	.invalidate = region_invalidate,
};

static unsigned long region_seq(const struct hmm_mirror_region *region,
				unsigned long first_va, unsigned long last_va)
{
	unsigned long seq = region->sub.invalidate_seq;
	unsigned int i;

	for (i = 0; i < region->nr_spans; i++) {
		if (first_va < region->spans[i].end_va &&
		    last_va >= region->spans[i].start_va)
			return seq;
	}
	/* No event of the last sequence came here: one that is surely over. */
	return seq - 2;
}

/**
 * hmm_mirror_regions_seq - the sequence a new range begins with
 * @mirror: a registered mirror
 * @first_va: first byte of the range
 * @last_va: last byte; all regions of the range exist
 *
 * An event E may be in any phase for any of the range's regions R1, R2:
 *
 *   E                                  range_register()
 *   1 callback of R1: tree_lock
 *       R1.seq = cur, noted
 *       stamps ranges in the tree
 *   2 callback of R2: the same
 *   3 page table changes
 *   4 end: the mm's sequence moves on
 *
 *   before 1      the range is in the tree when E's callbacks come: stamped
 *   1 to 2        R1 says cur, R2 an older one: the newest is taken, cur
 *   2 to 4        cur; it counts as under way until 4, so no page table is read
 *   after 4       cur, but it is known or found to be over: reading may begin
 *
 * tree_lock makes "look at the regions and enter the tree" one step, so there is no
 * moment when E neither finds the range nor is found by it. If E did not touch the
 * range's addresses, an older sequence is as good, and the range need not wait for
 * E. When R1 says s and R2 says s - 2, E met R1 only: s is right again.
 *
 * Context: tree_lock held.
 *
 * Return: the sequence, odd.
 */
unsigned long hmm_mirror_regions_seq(struct hmm_mirror *mirror,
				     unsigned long first_va, unsigned long last_va)
{
	unsigned long index = first_va >> REGION_SHIFT;
	unsigned long newest;

	lockdep_assert_held(&mirror->tree_lock);

	/* None is missing: the range is watched. */
	newest = region_seq(xa_load(&mirror->regions, index), first_va, last_va);
	while (++index <= last_va >> REGION_SHIFT) {
		unsigned long seq = region_seq(xa_load(&mirror->regions, index),
					       first_va, last_va);

		if ((long)(seq - newest) > 0)
			newest = seq;
	}
	return newest;
}

/*
 * An event that began before the region was in the core's tree is not seen by it:
 *
 *   E                                  region_insert()
 *   start: callbacks of others
 *                                        insert: the core gives the region the
 *                                        sequence of E, which is under way
 *   page table changes
 *   end
 *
 * That is harmless. Nothing is mapped in the device there, since mapping needs a
 * range, which needs the region. And a range made now begins with E's sequence, so
 * its first walk waits for E's end. The core may even keep the region out of its
 * tree until then, and let further events of the same sequence pass unseen: they
 * end before the sequence does. But what is no mapping, such as a client's notes of
 * addresses that an unmapping ends, would miss those, so hmm_mirror_watch() returns
 * only when that sequence is settled.
 */
static int region_insert(struct hmm_mirror *mirror, unsigned long index)
{
	struct hmm_mirror_region *region;
	int err;

	lockdep_assert_held(&mirror->regions_lock);

	/* User space chooses how much of its address space is watched. */
	if (mirror->nr_regions >= REGION_NR_MAX)
		return -ENOMEM;
	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;
	region->mirror = mirror;
	/* What may be under way is unknown: anything. */
	region->spans[0].start_va = index << REGION_SHIFT;
	region->spans[0].end_va = region->spans[0].start_va + REGION_LEN;
	region->nr_spans = 1;

	/* After the insertion nothing may fail: removing could sleep for long. */
	err = xa_reserve(&mirror->regions, index, GFP_KERNEL_ACCOUNT);
	if (err)
		goto err_free;
	err = mmu_interval_notifier_insert(&region->sub, mirror->mm,
					   index << REGION_SHIFT, REGION_LEN,
					   &region_ops);
	if (err)
		goto err_release;
	hmm_mirror_live_inc(HMM_MIRROR_LIVE_REGION);
	/* A callback may have made it a later one: as good. */
	region->born_seq = READ_ONCE(region->sub.invalidate_seq);
	xa_store(&mirror->regions, index, region, GFP_KERNEL);
	mirror->nr_regions++;
	return 0;

err_release:
	xa_release(&mirror->regions, index);
err_free:
	kfree(region);
	return err;
}

static bool all_watched(struct hmm_mirror *mirror, unsigned long first_va,
			unsigned long last_va)
{
	unsigned long index = first_va >> REGION_SHIFT;
	struct hmm_mirror_region *region;

	for (; index <= last_va >> REGION_SHIFT; index++) {
		region = xa_load(&mirror->regions, index);
		if (!region || !hmm_mirror_is_settled(mirror, region->born_seq))
			return false;
	}
	return true;
}

static int insert_missing(struct hmm_mirror *mirror, unsigned long first_va,
			  unsigned long last_va)
{
	unsigned long index = first_va >> REGION_SHIFT;
	int err = 0;

	lockdep_assert_held(&mirror->regions_lock);

	for (; !err && index <= last_va >> REGION_SHIFT; index++) {
		if (!xa_load(&mirror->regions, index))
			err = region_insert(mirror, index);
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

static int wait_inserted(struct hmm_mirror *mirror, unsigned long first_va,
			 unsigned long last_va)
{
	struct hmm_mirror_region *region;
	long left = MAX_SCHEDULE_TIMEOUT;
	unsigned long index;
	int err;

	xa_for_each_range(&mirror->regions, index, region,
			  first_va >> REGION_SHIFT, last_va >> REGION_SHIFT) {
		err = hmm_mirror_wait_settled(mirror, region->born_seq, &left);
		if (err)
			return err;
	}
	return 0;
}

/**
 * hmm_mirror_watch - hear of changes in a span of addresses
 * @mirror: a registered mirror
 * @first_va: first byte
 * @last_va: last byte
 *
 * ops->invalidate() is called for all events that begin in the span after this
 * returned (and in its GiB-aligned neighbourhood), until the mirror is unregistered.
 * Watching twice does nothing. hmm_mirror_range_register() does it by itself.
 *
 * Context: process context; sleeps until the invalidations have ended that ran in the
 * mm when something was watched first. Takes mmap_lock for write when it is the mm's
 * first region of all. Neither mmap_lock nor the update lock is held.
 *
 * Return: 0; -EINVAL: the span is empty or not within user space; -ESRCH: the mm is
 * dead; -ENOMEM; -EINTR: a signal. What was watched before an error stays so.
 */
int hmm_mirror_watch(struct hmm_mirror *mirror, unsigned long first_va,
		     unsigned long last_va)
{
	int err;

	might_lock(&mirror->mm->mmap_lock);
	lockdep_assert_not_held(mirror->update_lock);

	if (first_va > last_va || last_va >= mirror->mm->task_size)
		return -EINVAL;
	if (all_watched(mirror, first_va, last_va))
		return 0;
	/* The core refuses insertions into an mm without users. */
	if (!mmget_not_zero(mirror->mm))
		return -ESRCH;
	if (mutex_lock_killable(&mirror->regions_lock)) {
		mmput_async(mirror->mm);
		return -EINTR;
	}
	err = insert_missing(mirror, first_va, last_va);
	mutex_unlock(&mirror->regions_lock);
	mmput_async(mirror->mm);
	return err ?: wait_inserted(mirror, first_va, last_va);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_watch, HMM_MIRROR);

/**
 * hmm_mirror_regions_remove - end all subscriptions of a mirror
 * @mirror: a mirror that is being unregistered
 *
 * No callback runs after it. Each removal sleeps until the invalidations that run at
 * that time have ended, also after the mm's death.
 */
void hmm_mirror_regions_remove(struct hmm_mirror *mirror)
{
	struct hmm_mirror_region *region;
	unsigned long index;

	lockdep_assert_not_held(mirror->update_lock);

	xa_for_each(&mirror->regions, index, region) {
		mmu_interval_notifier_remove(&region->sub);
		xa_erase(&mirror->regions, index);
		kfree(region);
		hmm_mirror_live_dec(HMM_MIRROR_LIVE_REGION);
		cond_resched();
	}
	xa_destroy(&mirror->regions);
}
