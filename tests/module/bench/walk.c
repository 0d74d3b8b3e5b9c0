// SPDX-License-Identifier: GPL-2.0-only
/*
 * The passes that are compared: from the begin of a sequence to the moment at which
 * what was found may be given to a device, which is under the update lock and after
 * the check of the sequence.
 *
 * Both sides run in the calling task on its own mm and write into arrays made
 * before. The kernel's way takes mmap_lock itself, as its users in the task that owns
 * the mm do, without a reference to mm_users that the mirror takes for any caller: what
 * that costs counts against us.
 */
#include "bench.h"

#include <linux/hmm.h>
#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>

/*
 * Extents out of the array of the kernel's walk: RAM or a device is asked where a run
 * begins and where memory of another kind may begin. Equal flags and consecutive frames
 * are one comparison, as the flags are the upper bits.
 */
static unsigned long join_pfns(struct bench *b, unsigned long first_va,
			       unsigned long npages)
{
	struct hmm_mirror_extent *ext = b->extents;
	unsigned long expected = 0, nr = 0, i, run = 0;

	for (i = 0; i < npages; i++) {
		unsigned long entry = b->pfns[i];
		unsigned int flags = HMM_MIRROR_EXT_VALID;

		if (run && entry == expected &&
		    (entry & HMM_PFN_VALID) &&
		    (entry & ~HMM_PFN_FLAGS) % PAGES_PER_SUBSECTION) {
			run++;
			expected++;
			continue;
		}
		if (run)
			ext[nr - 1].pfn_npages |=
				FIELD_PREP(HMM_MIRROR_EXT_NPAGES, run);
		run = 0;
		if (!(entry & HMM_PFN_VALID))
			continue;
		if (entry & HMM_PFN_WRITE)
			flags |= HMM_MIRROR_EXT_WRITE;
		if (hmm_pfn_to_map_order(entry) >= PMD_SHIFT - PAGE_SHIFT)
			flags |= HMM_MIRROR_EXT_HUGE;
		if (is_zone_device_page(hmm_pfn_to_page(entry)))
			flags |= HMM_MIRROR_EXT_DEVICE;
		ext[nr].va_flags = (first_va + (i << PAGE_SHIFT)) | flags;
		ext[nr].pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN,
						entry & ~HMM_PFN_FLAGS);
		nr++;
		run = 1;
		expected = entry + 1;
	}
	if (run)
		ext[nr - 1].pfn_npages |= FIELD_PREP(HMM_MIRROR_EXT_NPAGES, run);
	return nr;
}

/* Returns with the lock held that the result is good under, or an error without. */
static int kernel_walk_and_lock(struct bench *b, struct hmm_range *range,
				struct hmm_bench_pass *pass)
{
	int err;

	for (;;) {
		range->notifier_seq = mmu_interval_read_begin(&b->notifier);
		mmap_read_lock(b->mm);
		err = hmm_range_fault(range);
		mmap_read_unlock(b->mm);
		if (!err) {
			mutex_lock(&b->notifier_lock);
			if (!mmu_interval_read_retry(&b->notifier,
						     range->notifier_seq))
				return 0;
			mutex_unlock(&b->notifier_lock);
		} else if (err != -EBUSY) {
			return err;
		}
		pass->retries++;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

int bench_kernel_walk(struct bench *b, struct hmm_bench_pass *pass)
{
	unsigned long first_va = pass->first_va ?: b->first_va;
	unsigned long last_va = pass->first_va ? pass->last_va : b->last_va;
	struct hmm_range range = {
		.notifier = &b->notifier,
		.start = first_va,
		.end = last_va + 1,
		.hmm_pfns = b->pfns,
	};
	u64 start;
	int err;

	if (first_va < b->first_va || last_va > b->last_va ||
	    !PAGE_ALIGNED(first_va) || !PAGE_ALIGNED(last_va + 1) ||
	    first_va > last_va || (pass->first_va && pass->look))
		return -EINVAL;
	if (pass->op == HMM_BENCH_KERNEL_FAULT)
		range.default_flags = HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE;

	start = bench_clock();
	err = kernel_walk_and_lock(b, &range, pass);
	if (err)
		return err;
	if (pass->op == HMM_BENCH_KERNEL_EXTENTS)
		b->nr_extents = join_pfns(b, first_va,
					  (range.end - range.start) >> PAGE_SHIFT);
	mutex_unlock(&b->notifier_lock);
	pass->ticks = bench_clock() - start;

	if (pass->op == HMM_BENCH_KERNEL_EXTENTS)
		pass->nr_extents = b->nr_extents;
	return 0;
}

/* One call and its commit. Returns 1: overtaken, nothing is committed. */
static int mirror_step(struct bench *b, struct hmm_bench_pass *pass,
		       struct hmm_mirror_cursor *cursor)
{
	static const struct hmm_mirror_req req = {
		.default_req = HMM_MIRROR_REQ_WRITE,
	};
	int err;

	if (pass->op == HMM_BENCH_MIRROR_SNAPSHOT)
		err = hmm_mirror_range_snapshot(&b->range, cursor);
	else
		err = hmm_mirror_range_fault(&b->range, cursor, &req);
	if (err)
		return err;
	mutex_lock(&b->update_lock);
	if (!hmm_mirror_range_valid(&b->range))
		err = 1;
	else if (pass->op == HMM_BENCH_MIRROR_FAULT_DMA)
		err = bench_map_extents(b, b->nr_extents, cursor->nr);
	mutex_unlock(&b->update_lock);
	return err;
}

int bench_mirror_walk(struct bench *b, struct hmm_bench_pass *pass)
{
	unsigned long nr_max = pass->nr_max ?: b->npages;
	struct hmm_mirror_cursor cursor = { .next_va = b->first_va };
	u64 start;
	int err = 0;

	b->nr_extents = 0;
	start = bench_clock();
	while (cursor.next_va <= b->last_va) {
		unsigned long va = cursor.next_va;

		cursor.extents = b->extents + b->nr_extents;
		cursor.nr_max = min(nr_max, b->npages - b->nr_extents);
		err = mirror_step(b, pass, &cursor);
		pass->calls++;
		if (err < 0)
			break;
		if (err) {
			pass->retries++;
			cursor.next_va = va;
			err = fatal_signal_pending(current) ? -EINTR : 0;
			if (err)
				break;
			continue;
		}
		b->nr_extents += cursor.nr;
	}
	pass->ticks = bench_clock() - start;

	pass->nr_extents = b->nr_extents;
	if (pass->op == HMM_BENCH_MIRROR_FAULT_DMA) {
		start = bench_clock();
		bench_unmap_extents(b, b->nr_extents);
		pass->undo_ticks = bench_clock() - start;
	}
	return err;
}

/* A sum, so that the order does not matter. */
static u64 digest_of(u64 page, u64 pfn, bool write)
{
	u64 x = (page << 41) ^ (pfn << 1) ^ write;

	x *= 0x9e3779b97f4a7c15ULL;
	x ^= x >> 29;
	return x * 0xbf58476d1ce4e5b9ULL;
}

void bench_look_at_pfns(struct bench *b, struct hmm_bench_pass *pass)
{
	unsigned long i, last = 0;

	for (i = 0; i < b->npages; i++) {
		unsigned long entry = b->pfns[i];
		unsigned long pfn = entry & ~HMM_PFN_FLAGS;
		bool write = entry & HMM_PFN_WRITE;

		if (!(entry & HMM_PFN_VALID)) {
			last = 0;
			continue;
		}
		pass->nr_valid++;
		pass->nr_write += write;
		pass->nr_huge += hmm_pfn_to_map_order(entry) >=
				 PMD_SHIFT - PAGE_SHIFT;
		pass->nr_runs += pfn != last + 1;
		pass->digest += digest_of(i, pfn, write);
		last = pfn;
	}
}

void bench_look_at_extents(struct bench *b, struct hmm_bench_pass *pass)
{
	unsigned long n, i, last = 0;

	for (n = 0; n < b->nr_extents; n++) {
		const struct hmm_mirror_extent *ext = &b->extents[n];
		unsigned long page = (hmm_mirror_extent_va(ext) - b->first_va) >>
				     PAGE_SHIFT;
		unsigned long pfn = hmm_mirror_extent_pfn(ext);
		unsigned int flags = hmm_mirror_extent_flags(ext);
		unsigned long npages = hmm_mirror_extent_npages(ext);

		if (!(flags & HMM_MIRROR_EXT_VALID)) {
			last = 0;
			continue;
		}
		pass->nr_valid += npages;
		if (flags & HMM_MIRROR_EXT_WRITE)
			pass->nr_write += npages;
		if (flags & HMM_MIRROR_EXT_HUGE)
			pass->nr_huge += npages;
		pass->nr_runs += pfn != last + 1;
		for (i = 0; i < npages; i++)
			pass->digest += digest_of(page + i, pfn + i,
						  flags & HMM_MIRROR_EXT_WRITE);
		last = pfn + npages - 1;
	}
}
