// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks of memory that changes, in two ways:
 *
 *   walk, then lock                      walk under the lock
 *   ---------------                      -------------------
 *   snapshot of the range                snapshot of its first extent: a sequence begins
 *   prepare                              mmap_lock for read
 *   update lock                          update lock
 *     valid?                               valid?
 *                                          walk
 *   unlock                               unlock
 *
 * An event between the beginning and the check costs the first way a whole walk, the other
 * one nothing but locks. For that the other way makes events wait while it walks.
 *
 * No call of the mirror walks under the update lock, so the walk of the second way is
 * written here: it knows only what this benchmark makes.
 */
#include "bench.h"

#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>

#define BLOCK_LEN	PMD_SIZE
#define MAX_PREPARE_US	1000

/* Are the pages at @va what the extent would have there if it were longer? */
static bool is_continued(const struct hmm_mirror_extent *ext, unsigned long va,
			 unsigned long pfn, unsigned int flags)
{
	unsigned long npages = hmm_mirror_extent_npages(ext);

	return hmm_mirror_extent_va(ext) + (npages << PAGE_SHIFT) == va &&
	       hmm_mirror_extent_pfn(ext) + npages == pfn &&
	       hmm_mirror_extent_flags(ext) == flags;
}

static void append_pages(struct bench *b, unsigned long va, u64 entry, unsigned long pfn,
			 unsigned long npages)
{
	struct hmm_mirror_extent *next = &b->extents[b->nr_extents];
	unsigned int flags = HMM_MIRROR_EXT_VALID;

	if (entry & _PAGE_RW)
		flags |= HMM_MIRROR_EXT_WRITE;
	if (b->nr_extents && is_continued(next - 1, va, pfn, flags)) {
		next[-1].pfn_npages += FIELD_PREP(HMM_MIRROR_EXT_NPAGES, npages);
		return;
	}
	next->va_flags = va | flags;
	next->pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN, pfn) |
			   FIELD_PREP(HMM_MIRROR_EXT_NPAGES, npages);
	b->nr_extents++;
}

static bool is_user_entry(u64 entry)
{
	return (entry & (_PAGE_PRESENT | _PAGE_USER)) == (_PAGE_PRESENT | _PAGE_USER);
}

/* The entry of 2 MiB that covers @va, or 0. */
static u64 block_entry(struct mm_struct *mm, unsigned long va)
{
	const u64 *table = (const u64 *)mm->pgd;
	unsigned int shift = pgtable_l5_enabled() ? P4D_SHIFT + 9 : P4D_SHIFT;
	u64 entry;

	for (;; shift -= 9) {
		entry = READ_ONCE(table[va >> shift & (PTRS_PER_PTE - 1)]);
		if (!is_user_entry(entry) || shift == PMD_SHIFT)
			break;
		table = __va(entry & PTE_PFN_MASK);
	}
	return is_user_entry(entry) ? entry : 0;
}

/*
 * Up to the end of a block of 2 MiB. The tables stay: mmap_lock is held, the addresses are
 * in a VMA, and with interrupts off this is an RCU reader, too; see mm/walk_extent.c.
 */
static void scan_block(struct bench *b, unsigned long va, unsigned long end_va)
{
	u64 entry = block_entry(b->mm, va);
	const u64 *table;

	lockdep_assert_irqs_disabled();

	if (!entry)
		return;
	if (entry & _PAGE_PSE) {
		/* Bit 12 of a large leaf is no address bit. */
		append_pages(b, va, entry, PHYS_PFN((entry & PTE_PFN_MASK & PMD_MASK) |
						 (va & ~PMD_MASK)),
			  (end_va - va) >> PAGE_SHIFT);
		return;
	}
	table = __va(entry & PTE_PFN_MASK);
	for (; va < end_va; va += PAGE_SIZE) {
		entry = READ_ONCE(table[pte_index(va)]);
		if (is_user_entry(entry))
			append_pages(b, va, entry, PHYS_PFN(entry & PTE_PFN_MASK), 1);
	}
}

static void scan_span(struct bench *b)
{
	unsigned long va = b->first_va, end_va, flags;
	struct vm_area_struct *vma;

	lockdep_assert_held(&b->update_lock);
	mmap_assert_locked(b->mm);

	b->nr_extents = 0;
	while (va <= b->last_va) {
		vma = find_vma_intersection(b->mm, va, b->last_va + 1);
		if (!vma)
			break;
		va = max(va, vma->vm_start);
		end_va = min3(vma->vm_end, b->last_va + 1, ALIGN(va + 1, BLOCK_LEN));
		local_irq_save(flags);
		scan_block(b, va, end_va);
		local_irq_restore(flags);
		va = end_va;
	}
}

/* Return: 1: committed, and the cursor moved; 0: refused; or an errno. */
static int walk_then_lock(struct bench *b, struct hmm_bench_race *race,
			  struct hmm_mirror_cursor *cursor)
{
	unsigned long va = cursor->next_va;
	bool valid;
	u64 start;
	int err;

	cursor->extents = b->extents + b->nr_extents;
	cursor->nr_max = b->npages - b->nr_extents;
	err = hmm_mirror_range_snapshot(&b->range, cursor);
	if (err)
		return err;
	udelay(race->prepare_us);
	mutex_lock(&b->update_lock);
	start = bench_clock();
	valid = hmm_mirror_range_valid(&b->range);
	race->locked_ticks += bench_clock() - start;
	mutex_unlock(&b->update_lock);
	if (valid)
		b->nr_extents += cursor->nr;
	else
		cursor->next_va = va;
	return valid;
}

/* Return: as walk_then_lock(). */
static int walk_under_lock(struct bench *b, struct hmm_bench_race *race,
			   struct hmm_mirror_cursor *cursor)
{
	struct hmm_mirror_cursor begin = {
		.extents = b->extents,
		.nr_max = 1,
		.next_va = b->first_va,
	};
	bool valid;
	u64 start;
	int err;

	err = hmm_mirror_range_snapshot(&b->range, &begin);
	if (err)
		return err;
	err = hmm_mirror_mmap_read_lock(&b->mirror);
	if (err)
		return err;
	mutex_lock(&b->update_lock);
	start = bench_clock();
	valid = hmm_mirror_range_valid(&b->range);
	if (valid) {
		scan_span(b);
		cursor->next_va = b->last_va + 1;
	}
	race->locked_ticks += bench_clock() - start;
	mutex_unlock(&b->update_lock);
	hmm_mirror_mmap_read_unlock(&b->mirror);
	return valid;
}

static int walk_once(struct bench *b, struct hmm_bench_race *race)
{
	struct hmm_mirror_cursor cursor = { .next_va = b->first_va };
	int ret;

	b->nr_extents = 0;
	while (cursor.next_va <= b->last_va) {
		if (race->way == HMM_BENCH_UNDER_LOCK)
			ret = walk_under_lock(b, race, &cursor);
		else
			ret = walk_then_lock(b, race, &cursor);
		if (ret == 1)
			race->accepted++;
		else if (!ret)
			race->refused++;
		else if (ret == -ETIME)
			race->timeouts++;
		else
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static u64 nr_valid_pages(const struct bench *b)
{
	unsigned long i;
	u64 n = 0;

	for (i = 0; i < b->nr_extents; i++) {
		if (b->extents[i].va_flags & HMM_MIRROR_EXT_VALID)
			n += hmm_mirror_extent_npages(&b->extents[i]);
	}
	return n;
}

/**
 * bench_race - walk the span a number of times while it changes
 * @b: with a range
 * @race: how; filled in
 *
 * Return: 0; -EINVAL; or an errno of the mirror.
 */
int bench_race(struct bench *b, struct hmm_bench_race *race)
{
	u64 start = bench_clock();
	unsigned int i;
	int err = 0;

	*race = (struct hmm_bench_race) {
		.way = race->way,
		.nr = race->nr,
		.prepare_us = race->prepare_us,
	};
	if (race->way >= HMM_BENCH_NR_WAYS || !(b->parts & HMM_BENCH_RANGE) ||
	    race->prepare_us > MAX_PREPARE_US)
		return -EINVAL;
	for (i = 0; i < race->nr && !err; i++)
		err = walk_once(b, race);
	race->ticks = bench_clock() - start;
	race->nr_pages = nr_valid_pages(b);
	return err;
}
