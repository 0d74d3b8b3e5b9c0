// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slow walker: one page at a time, from the top, with nothing of the kernel's page
 * table types and nothing of mm/ of this tree, so that it shares no mistake with what
 * it is to check. It reads what the CPU would use, bit by bit.
 */
#include "stress.h"

#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#define ENTRY_PRESENT	BIT_ULL(0)
#define ENTRY_WRITE	BIT_ULL(1)
#define ENTRY_USER	BIT_ULL(2)
#define ENTRY_LEAF	BIT_ULL(7)	/* in levels 2 and 3 */
#define INDEX_MASK	511UL

static unsigned int top_level(void)
{
	return pgtable_l5_enabled() ? 5 : 4;
}

static unsigned int level_shift(unsigned int level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

/**
 * hms_slow_lookup - what does the page table have for an address?
 * @mm: the address space
 * @va: the address, in user space
 * @slow: filled in
 *
 * Context: interrupts off, and the tables stand still in one of two ways: mmap_lock is
 * held and @va lies in a VMA; or @mm is loaded on this CPU, so that a table that was
 * unlinked is not freed before this CPU has answered the TLB flush. With interrupts
 * off this is also an RCU reader, for kernels and cases where tables go through RCU.
 */
void hms_slow_lookup(struct mm_struct *mm, unsigned long va, struct hms_slow *slow)
{
	const u64 *table = (const u64 *)mm->pgd;
	unsigned int level = top_level();
	unsigned long offset_mask;

	lockdep_assert_irqs_disabled();

	*slow = (struct hms_slow) { .write = true };
	for (;; level--) {
		slow->level = level;
		slow->entry = READ_ONCE(table[(va >> level_shift(level)) & INDEX_MASK]);
		if (!(slow->entry & ENTRY_PRESENT) || !(slow->entry & ENTRY_USER)) {
			slow->write = false;
			return;
		}
		if (!(slow->entry & ENTRY_WRITE))
			slow->write = false;
		if (level == 1 || (level <= 3 && (slow->entry & ENTRY_LEAF)))
			break;
		table = __va(slow->entry & PTE_PFN_MASK);
	}

	/* Bit 12 of a large leaf is no address bit. */
	offset_mask = BIT(level_shift(level)) - 1;
	slow->pfn = PHYS_PFN((slow->entry & PTE_PFN_MASK & ~(u64)offset_mask) |
			     (va & offset_mask));
	slow->present = true;
}
