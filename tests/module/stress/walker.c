// SPDX-License-Identifier: GPL-2.0-only
/*
 * A walker: takes a range, asks for extents, waits a little, commits under the update
 * lock, and has the result checked there. What is committed goes into the shadow table.
 *
 * A walk is *raced* when an event met its range after its first attempt had begun: either
 * it was refused and tried again, or the mirror began anew by itself, or events came in
 * between. All counts are of walks that ended with a commit.
 */
#include "stress.h"

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#define MAX_TRIES	64
#define SHADOW_CHECKS	16
#define WAIT_JIFFIES	1

u32 hms_random(struct hms_walker *walker, u32 below)
{
	/* The low bits of such a generator are poor. */
	walker->seed = walker->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(walker->seed >> 32) % below;
}

static bool one_in(struct hms_walker *walker, u32 n)
{
	return n && !hms_random(walker, n);
}

/* Choose what the next walk asks for; returns false for a snapshot. */
static bool choose_req(struct hms_walker *walker)
{
	static const unsigned int reqs[] = {
		HMM_MIRROR_REQ_READ, HMM_MIRROR_REQ_WRITE_IF_VMA,
		HMM_MIRROR_REQ_WRITE, 0,
	};
	unsigned long va = walker->first_va;
	unsigned long npages, len;
	unsigned int i;

	if (hms_random(walker, 100) >= walker->hms->cfg.fault_percent)
		return false;

	walker->req = (struct hmm_mirror_req) {
		.default_req = reqs[hms_random(walker, ARRAY_SIZE(reqs) - 1)],
		.spans = walker->spans,
	};
	if (hms_random(walker, 2))
		return true;

	/* Some pages in a way of their own. */
	walker->req.default_req = reqs[hms_random(walker, ARRAY_SIZE(reqs))];
	for (i = 0; i < HMS_NR_SPANS && va <= walker->last_va; i++) {
		npages = (walker->last_va + 1 - va) >> PAGE_SHIFT;
		len = (unsigned long)(1 + hms_random(walker, npages)) << PAGE_SHIFT;
		walker->spans[i].first_va = va;
		walker->spans[i].last_va = va + len - 1;
		walker->spans[i].req = reqs[hms_random(walker, ARRAY_SIZE(reqs))];
		va += len + ((unsigned long)hms_random(walker, 4) << PAGE_SHIFT);
	}
	walker->req.nr_spans = i;
	return true;
}

/* Do the extents cover the addresses from @start_va to where the cursor is now? */
static bool is_well_formed(const struct hmm_mirror_cursor *cursor,
			   unsigned long start_va, unsigned long last_va)
{
	unsigned long va = start_va;
	unsigned int i;

	if (!cursor->nr || cursor->nr > cursor->nr_max)
		return false;
	for (i = 0; i < cursor->nr; i++) {
		if (hmm_mirror_extent_va(&cursor->extents[i]) != va ||
		    !hmm_mirror_extent_npages(&cursor->extents[i]))
			return false;
		va += hmm_mirror_extent_npages(&cursor->extents[i]) << PAGE_SHIFT;
	}
	return va == cursor->next_va && va > start_va && va - 1 <= last_va;
}

/* Did an event meet the range since @events was read? */
static bool has_event(const struct hms_walker *walker, unsigned long events)
{
	return READ_ONCE(walker->nr_events) != events;
}

/*
 * From here to the commit the CPU's page table may change. A real client maps for DMA and
 * allocates in this time. The first attempt mostly waits for the event that overtakes it,
 * so that the commit and the walk after it fall into the middle of the change; others are
 * left to chance.
 */
static void linger(struct hms_walker *walker, unsigned long events, bool retried)
{
	u32 max_us = walker->hms->cfg.linger_us;

	/* The result does not matter: without events the walk is as good. */
	if (!retried && hms_random(walker, 4))
		wait_event_interruptible_timeout(walker->hms->event_wait,
						 has_event(walker, events),
						 WAIT_JIFFIES);
	else if (max_us && hms_random(walker, 2))
		udelay(1 + hms_random(walker, max_us));
}

static void commit(struct hms_walker *walker, const struct hmm_mirror_cursor *cursor,
		   bool raced)
{
	struct hms *hms = walker->hms;
	bool with_hmm = one_in(walker, hms->cfg.hmm_every);
	unsigned int i;

	lockdep_assert_held(&hms->update_lock);

	walker->counts.accepted++;
	if (raced)
		walker->counts.raced++;
	for (i = 0; i < cursor->nr; i++) {
		hms_shadow_fill(hms, &cursor->extents[i]);
		hms_check_extent(walker, &cursor->extents[i], with_hmm);
	}
	hms_check_shadow(walker, SHADOW_CHECKS);
}

/* Returns 1: committed, or given up with the cursor behind it; 0: again; or an errno. */
static int try_commit(struct hms_walker *walker, struct hmm_mirror_range *range,
		      struct hmm_mirror_cursor *cursor, unsigned long start_va,
		      unsigned long events, bool retried)
{
	struct hms *hms = walker->hms;
	bool valid, done = true;
	int err;

	err = hms_check_begin(walker);
	if (err)
		return err;
	valid = hmm_mirror_range_valid(range);
	if (!is_well_formed(cursor, start_va, walker->last_va)) {
		walker->counts.malformed++;
		cursor->next_va = walker->last_va + 1;
	} else if (valid || (hms->cfg.flags & HMS_IGNORE_VALID)) {
		commit(walker, cursor, retried || has_event(walker, events));
	} else {
		done = false;
	}
	hms_check_end(walker);
	return done;
}

static int count_failure(struct hms_walker *walker, int err)
{
	switch (err) {
	case -ETIME:
		walker->counts.timeouts++;
		return 0;
	case -ENOMEM:
		walker->counts.nomem++;
		return 0;
	case -EINTR:
	case -ESRCH:
		break;
	default:
		WRITE_ONCE(walker->hms->error, err);
		break;
	}
	return err;
}

/* From cursor->next_va on; moves the cursor. Returns 0 or an errno. */
static int walk_piece(struct hms_walker *walker, struct hmm_mirror_range *range,
		      struct hmm_mirror_cursor *cursor)
{
	/* Pairs with WRITE_ONCE() in hms_invalidate(). */
	unsigned long events = READ_ONCE(walker->nr_events);
	unsigned long start_va = cursor->next_va;
	bool fault = choose_req(walker);
	unsigned int tries;
	int err;

	for (tries = 0; tries < MAX_TRIES; tries++) {
		cursor->next_va = start_va;
		walker->counts.calls++;
		if (fault)
			err = hmm_mirror_range_fault(range, cursor, &walker->req);
		else
			err = hmm_mirror_range_snapshot(range, cursor);
		if (!err) {
			linger(walker, events, tries);
			err = try_commit(walker, range, cursor, start_va, events, tries);
			if (err == 1)
				return 0;
		}
		if (err) {
			cursor->next_va = walker->last_va + 1;
			return count_failure(walker, err);
		}
		if (one_in(walker, 4)) {
			err = hmm_mirror_range_wait_until_valid(range, HZ);
			if (err && err != -ETIME)
				return count_failure(walker, err);
		}
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	walker->counts.abandoned++;
	cursor->next_va = walker->last_va + 1;
	return 0;
}

static void set_span(struct hms_walker *walker, unsigned long first_va,
		     unsigned long last_va)
{
	mutex_lock(&walker->hms->update_lock);
	walker->first_va = first_va;
	walker->last_va = last_va;
	mutex_unlock(&walker->hms->update_lock);
}

static int register_random(struct hms_walker *walker, struct hmm_mirror_range *range)
{
	const struct hms_start *cfg = &walker->hms->cfg;
	unsigned long npages, first;

	npages = cfg->min_npages +
		 hms_random(walker, cfg->max_npages - cfg->min_npages + 1);
	first = hms_random(walker, walker->hms->npages - npages + 1);
	return hmm_mirror_range_register(range, &walker->hms->mirror,
					 cfg->va + first * PAGE_SIZE,
					 cfg->va + (first + npages) * PAGE_SIZE - 1);
}

/* A range that has been there for some time, with the sequences it has seen. */
static int kept_range(struct hms_walker *walker, struct hmm_mirror_range **range)
{
	unsigned int i = hms_random(walker, HMS_NR_KEPT);
	int err;

	*range = &walker->kept[i];
	if (walker->is_kept[i] && one_in(walker, 256)) {
		walker->is_kept[i] = false;
		hmm_mirror_range_unregister(*range);
	}
	if (walker->is_kept[i])
		return 0;
	err = register_random(walker, *range);
	walker->is_kept[i] = !err;
	return err;
}

static int walk_range(struct hms_walker *walker, struct hmm_mirror_range *range)
{
	struct hmm_mirror_cursor cursor = {
		.extents = walker->extents,
		.next_va = range->node.start,
	};
	int err = 0;

	set_span(walker, range->node.start, range->node.last);
	while (!err && cursor.next_va <= range->node.last) {
		/* Also buffers that fill up. */
		cursor.nr_max = one_in(walker, 4) ? 1 + hms_random(walker, 16) :
						    HMS_NR_EXTENTS;
		err = walk_piece(walker, range, &cursor);
	}
	return err;
}

/**
 * hms_walk - take a range, walk and commit all of it
 * @walker: the walker
 *
 * Return: 0, or an errno that ends the walker.
 */
int hms_walk(struct hms_walker *walker)
{
	struct hmm_mirror_range *range, fresh;
	int err;

	if (hms_random(walker, 2)) {
		err = kept_range(walker, &range);
		return err ? count_failure(walker, err) : walk_range(walker, range);
	}
	err = register_random(walker, &fresh);
	if (err)
		return count_failure(walker, err);
	err = walk_range(walker, &fresh);
	hmm_mirror_range_unregister(&fresh);
	return err;
}

void hms_walker_fini(struct hms_walker *walker)
{
	unsigned int i;

	for (i = 0; i < HMS_NR_KEPT; i++) {
		if (walker->is_kept[i])
			hmm_mirror_range_unregister(&walker->kept[i]);
		walker->is_kept[i] = false;
	}
}
