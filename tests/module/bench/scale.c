// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many ranges of one mirror, or as many interval notifiers, side by side: what it
 * costs to make them and, timed by the user program, what they cost an event.
 */
#include "bench.h"

#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/slab.h>

/**
 * struct bench_crowd_notifier - one of many
 * @notifier: in the mm's tree
 * @bench: whose
 */
struct bench_crowd_notifier {
	struct mmu_interval_notifier notifier;
	struct bench *bench;
};

/* As the callback of a driver that has nothing mapped. */
static bool crowd_invalidate(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range,
			     unsigned long cur_seq)
{
	struct bench *b = container_of(notifier, struct bench_crowd_notifier,
				       notifier)->bench;

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&b->notifier_lock);
	else if (!mutex_trylock(&b->notifier_lock))
		return false;
	mmu_interval_set_seq(notifier, cur_seq);
	mutex_unlock(&b->notifier_lock);
	atomic_long_inc(&b->nr_notifier_events);
	return true;
}

static const struct mmu_interval_notifier_ops crowd_ops = {
	.invalidate = crowd_invalidate,
};

static void remove_ranges(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < b->nr_crowd_ranges; i++)
		hmm_mirror_range_unregister(&b->crowd_ranges[i]);
	b->nr_crowd_ranges = 0;
}

static void remove_notifiers(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < b->nr_crowd_notifiers; i++)
		mmu_interval_notifier_remove(&b->crowd_notifiers[i].notifier);
	b->nr_crowd_notifiers = 0;
}

static int add_ranges(struct bench *b, unsigned int nr)
{
	unsigned long len = (b->npages / nr) << PAGE_SHIFT;
	unsigned long va = b->first_va;
	int err;

	while (b->nr_crowd_ranges < nr) {
		err = hmm_mirror_range_register(&b->crowd_ranges[b->nr_crowd_ranges],
						&b->mirror, va, va + len - 1);
		if (err)
			return err;
		b->nr_crowd_ranges++;
		va += len;
	}
	return 0;
}

static int add_notifiers(struct bench *b, unsigned int nr)
{
	unsigned long len = (b->npages / nr) << PAGE_SHIFT;
	unsigned long va = b->first_va;
	int err;

	while (b->nr_crowd_notifiers < nr) {
		struct bench_crowd_notifier *one =
			&b->crowd_notifiers[b->nr_crowd_notifiers];

		one->bench = b;
		err = mmu_interval_notifier_insert(&one->notifier, b->mm, va,
						   len, &crowd_ops);
		if (err)
			return err;
		b->nr_crowd_notifiers++;
		va += len;
	}
	return 0;
}

void bench_crowd_remove(struct bench *b)
{
	remove_ranges(b);
	kvfree(b->crowd_ranges);
	b->crowd_ranges = NULL;
	remove_notifiers(b);
	kvfree(b->crowd_notifiers);
	b->crowd_notifiers = NULL;
}

static int crowd_of_ranges(struct bench *b, struct hmm_bench_crowd *crowd)
{
	u64 start;
	int err;

	if (!(b->parts & HMM_BENCH_MIRROR))
		return -EINVAL;
	b->crowd_ranges = kvcalloc(crowd->nr, sizeof(*b->crowd_ranges),
				   GFP_KERNEL);
	if (!b->crowd_ranges)
		return -ENOMEM;
	start = bench_clock();
	err = add_ranges(b, crowd->nr);
	crowd->ticks = bench_clock() - start;
	return err;
}

static int crowd_of_notifiers(struct bench *b, struct hmm_bench_crowd *crowd)
{
	u64 start;
	int err;

	b->crowd_notifiers = kvcalloc(crowd->nr, sizeof(*b->crowd_notifiers),
				      GFP_KERNEL);
	if (!b->crowd_notifiers)
		return -ENOMEM;
	start = bench_clock();
	err = add_notifiers(b, crowd->nr);
	crowd->ticks = bench_clock() - start;
	return err;
}

static int crowd_away(struct bench *b, struct hmm_bench_crowd *crowd)
{
	u64 start;

	start = bench_clock();
	if (crowd->part == HMM_BENCH_RANGE)
		remove_ranges(b);
	else
		remove_notifiers(b);
	crowd->ticks = bench_clock() - start;
	bench_crowd_remove(b);
	return 0;
}

int bench_crowd(struct bench *b, struct hmm_bench_crowd *crowd)
{
	int err;

	if (crowd->part != HMM_BENCH_RANGE && crowd->part != HMM_BENCH_NOTIFIER)
		return -EINVAL;
	if (!crowd->nr)
		return crowd_away(b, crowd);
	if (crowd->nr > b->npages || b->crowd_ranges || b->crowd_notifiers)
		return -EINVAL;
	if (crowd->part == HMM_BENCH_RANGE)
		err = crowd_of_ranges(b, crowd);
	else
		err = crowd_of_notifiers(b, crowd);
	if (err)
		bench_crowd_remove(b);
	return err;
}
