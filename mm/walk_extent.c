// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast way: read the page table without locks, an entry at a time, and turn runs
 * of entries into extents. What is missing or odd is left to the kernel's way.
 *
 * Why this is sound. Two things are needed, and neither gives the other.
 *
 * 1. The tables read must stay tables while they are read. Held all along:
 *    mm_users, mmap_lock for read, an address inside a VMA found under that lock, and
 *    interrupts off from loading the first entry to using the last.
 *
 *      a table is freed by          and that cannot happen, because
 *      munmap(), mremap(),          mmap_lock is held for writing while the VMA
 *      collapse of anonymous        goes, or while the table is taken out; tables
 *      memory                       between two VMAs are kept for a VMA that lives
 *      exit                         mm_users
 *      collapse of file memory,     tables are freed by RCU, and interrupts off is a
 *      reclaim of empty tables      reader
 *      unsharing of hugetlb         the table becomes another's own only after an IPI
 *      tables                       to all CPUs, which waits for interrupts; kernels
 *                                   without that go the kernel's way
 *
 *    rcu_read_lock() instead of interrupts off is not enough, nor is interrupts off
 *    without mmap_lock on an mm that is not loaded on this CPU.
 *
 * 2. The values read must be true when the device is programmed. That is the sequence's
 *    task, as for hmm_range_fault(): an entry loses permission or changes its page
 *    only inside an event.
 *
 *      scan                                 event E over the same address
 *      S settled, seq = S
 *      loads the old entry
 *                                           stamps S under the update lock
 *                                           ops->invalidate()
 *                                           writes the entry, frees the page
 *      update lock, valid? no: seq != S
 *
 *    If E stamped before "seq = S", S is E's own sequence, which is settled only when
 *    E has ended; settling orders the new entry before the load. If E stamps after the
 *    commit, the commit was right, and E's callback undoes it. Entries of one scan may
 *    be from different moments: none of them has lost anything since it was loaded.
 *
 * So no page is touched or held here; a pfn is a number until the sequence is checked.
 *
 * An entry is loaded once and the copy is looked at; the next table is reached through
 * the copy. No pointer outlives the section with interrupts off, which is bounded by
 * SCAN_NR_TABLES tables of 512 entries (about 10 us).
 *
 * Xen PV guests have machine frame numbers in their tables: the kernel's way.
 */
#include "walk.h"
#include "internal.h"

#include <linux/hugetlb.h>
#include <linux/mm.h>

#if defined(CONFIG_X86_64) && defined(CONFIG_SPARSEMEM_VMEMMAP)

#include <linux/irqflags.h>
#include <linux/mem_encrypt.h>
#include <linux/pgtable.h>
#include <asm/cpufeature.h>

#include "private.h"

#define SCAN_NR_TABLES	8

#define TABLE_BITS	((u64)(_PAGE_PRESENT | _PAGE_USER))
#define LEAF_BITS	(TABLE_BITS | _PAGE_SPECIAL)
#ifdef _PAGE_DEVMAP
#define DAX_BITS	((u64)(_PAGE_SPECIAL | _PAGE_DEVMAP))
#else
#define DAX_BITS	0ULL
#endif

static_assert(!((_PAGE_PRESENT | _PAGE_RW) ^ HMM_MIRROR_LEAF_SHOWN));
static_assert(!(_PAGE_RW ^ HMM_MIRROR_LEAF_WRITE));
static_assert(!(_PAGE_DIRTY ^ BIT_ULL(HMM_MIRROR_LEAF_DIRTY_BIT)));
static_assert(!(HMM_MIRROR_EXT_DIRTY ^ BIT_ULL(HMM_MIRROR_EXT_DIRTY_BIT)));

enum entry {
	ENTRY_GOOD,	/* makes an extent */
	ENTRY_DAX,	/* the same, where entries of DAX look different */
	ENTRY_ZERO,	/* the zero page */
	ENTRY_PRIVATE,	/* the client's private memory, and good enough */
	ENTRY_HOLE,	/* nothing there, and nothing wanted */
	ENTRY_MISSING,	/* to be faulted in */
	ENTRY_ODD,	/* for the kernel's way to say */
};

/**
 * struct scan - a walk through part of a VMA
 * @sink: where extents go
 * @classes: what is known of the memory
 * @req: 0, HMM_MIRROR_REQ_READ or _WRITE
 * @small: rules for 4 KiB entries, from which the others are derived
 * @nr_tables: how many tables of 4 KiB entries may still be read in this section
 * @gap_end_va: when the scan stops early: how far the kernel's way is to go
 * @gap_is_large: the gap begins where a larger page may appear
 * @gap_is_odd: a fault would not help, or should not be
 */
struct scan {
	struct hmm_mirror_sink *sink;
	struct hmm_mirror_classes *classes;
	unsigned int req;
	struct hmm_mirror_leaf_rules small;
	unsigned int nr_tables;
	unsigned long gap_end_va;
	bool gap_is_large;
	bool gap_is_odd;
};

/* Apart, so that each has the registers for itself. */
static noinline void scan_small_leaves(struct scan *scan,
				       const struct hmm_mirror_leaf_rules *rules,
				       const u64 *entry, unsigned long end_va)
{
	hmm_mirror_scan_leaves(scan->sink, scan->classes, rules, entry, end_va,
			       PAGE_SHIFT);
}

static void scan_dax_leaves(struct scan *scan, const u64 *entry,
			    unsigned long end_va)
{
	struct hmm_mirror_leaf_rules rules = scan->small;

	rules.look |= DAX_BITS;
	rules.want |= DAX_BITS;
	scan_small_leaves(scan, &rules, entry, end_va);
}

/* Rules for 2 MiB and 1 GiB entries. */
static __always_inline struct hmm_mirror_leaf_rules huge_rules(const struct scan *scan)
{
	struct hmm_mirror_leaf_rules rules = scan->small;

	rules.look |= _PAGE_PSE;
	rules.want |= _PAGE_PSE;
	rules.flags |= HMM_MIRROR_EXT_HUGE;
	return rules;
}

static noinline void scan_huge_leaves(struct scan *scan, const u64 *entry,
				      unsigned long end_va)
{
	const struct hmm_mirror_leaf_rules rules = huge_rules(scan);

	hmm_mirror_scan_leaves(scan->sink, scan->classes, &rules, entry, end_va,
			       PMD_SHIFT);
}

static noinline void scan_giant_leaf(struct scan *scan, const u64 *entry,
				     unsigned long end_va)
{
	const struct hmm_mirror_leaf_rules rules = huge_rules(scan);

	hmm_mirror_scan_leaves(scan->sink, scan->classes, &rules, entry, end_va,
			       PUD_SHIFT);
}

static void set_gap(struct scan *scan, enum entry what, unsigned long end_va,
		    bool is_large)
{
	scan->gap_end_va = end_va;
	scan->gap_is_large = is_large;
	scan->gap_is_odd = what == ENTRY_ODD;
}

static void add_hole(struct scan *scan, unsigned long end_va)
{
	hmm_mirror_sink_add(scan->sink, 0, 0,
			    (end_va - scan->sink->va) >> PAGE_SHIFT);
}

/*
 * Memory of others is for the kernel's way, as is what is to be copied before it can be
 * written.
 */
static bool is_good_private(const struct scan *scan,
			    const struct hmm_mirror_private *page)
{
	return (page->write || scan->req != HMM_MIRROR_REQ_WRITE) &&
	       hmm_mirror_classes_ask(scan->classes, page->pfn) &
		       HMM_MIRROR_EXT_PRIVATE;
}

static unsigned int private_flags(const struct hmm_mirror_private *page)
{
	return HMM_MIRROR_EXT_VALID | (page->write ? HMM_MIRROR_EXT_WRITE : 0);
}

/* The run of pages in private memory that @entry begins. */
static void add_private_run(struct scan *scan, const u64 *entry, unsigned long end_va)
{
	unsigned long max = (end_va - scan->sink->va) >> PAGE_SHIFT, n = 1;
	struct hmm_mirror_private page;
	u64 value = READ_ONCE(*entry);

	/* It may have changed since it was looked at: then it is looked at again. */
	if (!hmm_mirror_private_small(&page, value) || !is_good_private(scan, &page))
		return;
	/* Behind that, memory may be another device's. */
	max = min(max, HMM_MIRROR_SUBSECTION_NPAGES -
		       page.pfn % HMM_MIRROR_SUBSECTION_NPAGES);
	while (n < max && READ_ONCE(entry[n]) == value + n * page.step)
		n++;
	hmm_mirror_add_leaves(scan->sink, scan->classes, private_flags(&page),
			      page.pfn, n);
}

/* Return: it was an entry of 2 MiB in private memory, up to @end_va. */
static bool add_private_huge(struct scan *scan, u64 value, unsigned long end_va)
{
	unsigned long va = scan->sink->va;
	struct hmm_mirror_private page;

	if (!scan->classes->owner || !hmm_mirror_private_huge(&page, value) ||
	    !is_good_private(scan, &page))
		return false;
	hmm_mirror_add_leaves(scan->sink, scan->classes,
			      private_flags(&page) | HMM_MIRROR_EXT_HUGE,
			      page.pfn + ((va & ~PMD_MASK) >> PAGE_SHIFT),
			      (end_va - va) >> PAGE_SHIFT);
	return true;
}

static enum entry what_is(const struct scan *scan, u64 value)
{
	if (!(value & _PAGE_PRESENT)) {
		struct hmm_mirror_private page;

		/* It may be device private memory, which stays if it is the client's. */
		if (value && scan->classes->owner)
			return hmm_mirror_private_small(&page, value) &&
			       is_good_private(scan, &page) ?
				       ENTRY_PRIVATE : ENTRY_ODD;
		return scan->req ? ENTRY_MISSING : ENTRY_HOLE;
	}
	if ((value & scan->small.look) == scan->small.want)
		return ENTRY_GOOD;
	if (scan->req == HMM_MIRROR_REQ_WRITE && !(value & _PAGE_RW))
		return ENTRY_MISSING;
	if (DAX_BITS && (value & (scan->small.look | DAX_BITS)) ==
			(scan->small.want | DAX_BITS))
		return ENTRY_DAX;
	if ((value & _PAGE_SPECIAL) &&
	    is_zero_pfn((value & scan->small.pfn_mask) >> PAGE_SHIFT))
		return ENTRY_ZERO;
	return ENTRY_ODD;
}

/* The first address behind @va whose entry is something else. */
static unsigned long run_end(const struct scan *scan, const u64 *entry,
			     unsigned long va, unsigned long end_va,
			     enum entry what)
{
	for (va += PAGE_SIZE; va < end_va; va += PAGE_SIZE) {
		if (what_is(scan, READ_ONCE(*++entry)) != what)
			break;
	}
	return va;
}

/* @end_va cut so that every entry finds room for an extent. */
static unsigned long room_end(const struct hmm_mirror_sink *sink,
			      unsigned long end_va, unsigned int shift)
{
	unsigned long room = sink->nr_max - sink->nr;

	if (likely(room >= PTRS_PER_PTE))
		return end_va;
	return min(end_va, ((sink->va >> shift) + room) << shift);
}

/* Return: go on behind @end_va. */
static bool scan_small(struct scan *scan, const u64 *table, unsigned long end_va)
{
	struct hmm_mirror_sink *sink = scan->sink;
	const u64 *entry;
	enum entry what;
	u64 value;

	while (sink->va < end_va) {
		unsigned long room_va = room_end(sink, end_va, PAGE_SHIFT);

		if (room_va <= sink->va) {
			sink->full = true;
			return false;
		}
		entry = table + pte_index(sink->va);
		scan_small_leaves(scan, &scan->small, entry, room_va);
		if (sink->va == room_va)
			continue;

		entry = table + pte_index(sink->va);
		value = READ_ONCE(*entry);
		what = what_is(scan, value);
		switch (what) {
		case ENTRY_GOOD:
			break;
		case ENTRY_DAX:
			scan_dax_leaves(scan, entry, room_va);
			break;
		case ENTRY_ZERO:
			hmm_mirror_sink_add(sink, HMM_MIRROR_EXT_VALID |
					    HMM_MIRROR_EXT_ZERO,
					    (value & scan->small.pfn_mask) >> PAGE_SHIFT,
					    1);
			break;
		case ENTRY_PRIVATE:
			add_private_run(scan, entry, end_va);
			break;
		case ENTRY_HOLE:
			add_hole(scan, run_end(scan, entry, sink->va, end_va,
					       ENTRY_HOLE));
			break;
		case ENTRY_MISSING:
		case ENTRY_ODD:
			set_gap(scan, what, run_end(scan, entry, sink->va, end_va, what),
				false);
			return false;
		}
		if (sink->full)
			return false;
	}
	return true;
}

/* An entry above 4 KiB that is no extent and no table. */
static enum entry what_is_huge(const struct scan *scan, u64 value)
{
	if (!value)
		return scan->req ? ENTRY_MISSING : ENTRY_HOLE;
	if (!(value & _PAGE_PRESENT))
		return scan->req && !scan->classes->owner ? ENTRY_MISSING : ENTRY_ODD;
	if (scan->req == HMM_MIRROR_REQ_WRITE && !(value & _PAGE_RW))
		return ENTRY_MISSING;
	return ENTRY_ODD;
}

/* Return: go on behind @end_va. */
static bool skip_huge(struct scan *scan, u64 value, unsigned long end_va)
{
	enum entry what = what_is_huge(scan, value);

	if (what == ENTRY_HOLE) {
		add_hole(scan, end_va);
		return !scan->sink->full;
	}
	set_gap(scan, what, end_va, true);
	return false;
}

static bool is_table(u64 value)
{
	return (value & (TABLE_BITS | _PAGE_PSE)) == TABLE_BITS;
}

static bool is_huge_leaf(const struct scan *scan, u64 value)
{
	const struct hmm_mirror_leaf_rules rules = huge_rules(scan);

	return (value & rules.look) == rules.want;
}

/* Return: go on behind @end_va. */
static bool scan_huge(struct scan *scan, const u64 *table, unsigned long end_va)
{
	struct hmm_mirror_sink *sink = scan->sink;

	while (sink->va < end_va) {
		unsigned long next_va, room_va = room_end(sink, end_va, PMD_SHIFT);
		u64 value;

		if (room_va <= sink->va) {
			sink->full = true;
			return false;
		}
		scan_huge_leaves(scan, table + pmd_index(sink->va), room_va);
		if (sink->va == room_va)
			continue;
		if (sink->full)
			return false;

		next_va = min(end_va, pmd_addr_end(sink->va, end_va));
		value = READ_ONCE(table[pmd_index(sink->va)]);
		if (is_table(value)) {
			if (!scan->nr_tables)
				return false;
			scan->nr_tables--;
			if (!scan_small(scan, (u64 *)pmd_page_vaddr((pmd_t){ value }),
					next_va))
				return false;
		} else if (!is_huge_leaf(scan, value)) {
			if (!add_private_huge(scan, value, next_va) &&
			    !skip_huge(scan, value, next_va))
				return false;
			if (sink->full)
				return false;
		}
	}
	return true;
}

/* A level above has nothing for a huge page or a table. */
static void skip_above(struct scan *scan, u64 value, unsigned long end_va)
{
	enum entry what = what_is_huge(scan, value);

	if (what == ENTRY_HOLE)
		add_hole(scan, end_va);
	else
		set_gap(scan, what, end_va, true);
}

/*
 * One section with interrupts off: from scan->sink->va up to a GiB. Sets
 * scan->gap_end_va if the kernel's way is to go on.
 */
static void scan_section(struct scan *scan, struct mm_struct *mm, unsigned long end_va)
{
	struct hmm_mirror_sink *sink = scan->sink;
	unsigned long va = sink->va;
	pgd_t *pgdp = pgd_offset(mm, va);
	pgd_t pgd = { READ_ONCE(pgdp->pgd) };
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;

	lockdep_assert_irqs_disabled();

	scan->gap_end_va = 0;
	if (!is_table(native_pgd_val(pgd))) {
		skip_above(scan, native_pgd_val(pgd), pgd_addr_end(va, end_va));
		return;
	}
	p4dp = p4d_offset_lockless(pgdp, pgd, va);
	p4d = READ_ONCE(*p4dp);
	if (!is_table(native_p4d_val(p4d))) {
		skip_above(scan, native_p4d_val(p4d), p4d_addr_end(va, end_va));
		return;
	}
	pudp = pud_offset_lockless(p4dp, p4d, va);
	pud = READ_ONCE(*pudp);
	end_va = pud_addr_end(va, end_va);
	if (is_table(native_pud_val(pud))) {
		scan_huge(scan, (u64 *)pud_pgtable(pud), end_va);
		return;
	}
	if (sink->nr == sink->nr_max) {
		sink->full = true;
		return;
	}
	scan_giant_leaf(scan, (u64 *)&pud, end_va);
	if (sink->va < end_va && !sink->full)
		skip_above(scan, native_pud_val(pud), end_va);
}

/*
 * Whether the VMA may be written is not asked: where it may not, no entry has RW, nor
 * has that of a shadow stack, which counts as writable elsewhere.
 */
static void scan_init(struct scan *scan, const struct vm_area_struct *vma)
{
	const u64 pfn_mask = PTE_PFN_MASK;
	const u64 write = scan->req == HMM_MIRROR_REQ_WRITE ? _PAGE_RW : 0;
	const u64 encrypted = sme_me_mask;

	scan->small = (struct hmm_mirror_leaf_rules){
		.pfn_mask = pfn_mask,
		.look = LEAF_BITS | write | encrypted,
		.want = TABLE_BITS | write | encrypted,
		.flags = is_vm_hugetlb_page(vma) ? HMM_MIRROR_EXT_HUGETLB : 0,
	};
}

/*
 * Who touches one page of a large hole may get a huge page: fault in one page, look
 * again, and only then ask for what is still missing, once for each 2 MiB.
 */
static bool is_worth_a_step(const struct hmm_mirror_walk *walk,
			    const struct vm_area_struct *vma)
{
	return walk->req && !(vma->vm_flags & VM_NOHUGEPAGE) &&
	       ((walk->sink.va ^ walk->tried_va) & PMD_MASK);
}

/*
 * What is missing is faulted in and then looked at again. What is still a gap after that
 * only the kernel's way can describe.
 */
static int fill_gap(struct hmm_mirror_walk *walk, const struct vm_area_struct *vma,
		    const struct scan *scan)
{
	unsigned long va = walk->sink.va, failed_va = va;
	unsigned long end_va = min(scan->gap_end_va, va + HMM_MIRROR_PIECE_LEN);
	int err;

	hmm_mirror_meet_gap(walk);
	if (!walk->req || walk->asked_va == va || scan->gap_is_odd) {
		if (walk->failed_va > va)
			end_va = min(end_va, walk->failed_va);
		return hmm_mirror_walk_kernel(walk, vma, end_va);
	}

	if (scan->gap_is_large && is_worth_a_step(walk, vma)) {
		walk->tried_va = va;
		end_va = va + PAGE_SIZE;
	} else {
		walk->asked_va = va;
	}
	/* One that failed before is left for its own turn. */
	if (walk->failed_va > va)
		end_va = min(end_va, walk->failed_va);
	err = hmm_mirror_fault_in(walk, vma, &failed_va, end_va);
	if (err != -EFAULT && err != -EHWPOISON)
		return err;
	if (failed_va == va)
		hmm_mirror_sink_add(&walk->sink, HMM_MIRROR_EXT_ERROR, -err, 1);
	else
		walk->failed_va = failed_va;
	return 0;
}

static bool must_walk_kernel(const struct vm_area_struct *vma)
{
	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		return true;
#ifndef HMM_MIRROR_UNSHARE_SYNCS
	/* Only a lock that is not exported keeps shared tables. */
	if (is_vm_hugetlb_page(vma) && (vma->vm_flags & VM_MAYSHARE))
		return true;
#endif
	return false;
}

/**
 * hmm_mirror_walk_extent - part of a VMA, by reading its page table
 * @walk: the call; its req says what is wanted
 * @vma: the VMA that walk->sink.va lies in, which a device may have
 * @end_va: where to stop at the latest; in the VMA
 *
 * Covers at least a page, or makes one present, or finds no room.
 *
 * Context: mmap_lock held for read.
 *
 * Return: as hmm_mirror_walk_kernel().
 */
int hmm_mirror_walk_extent(struct hmm_mirror_walk *walk,
			   const struct vm_area_struct *vma, unsigned long end_va)
{
	struct scan scan __uninitialized;

	mmap_assert_locked(vma->vm_mm);

	if (must_walk_kernel(vma))
		return hmm_mirror_walk_kernel(walk, vma, end_va);
	scan.sink = &walk->sink;
	scan.classes = &walk->classes;
	scan.req = hmm_mirror_vma_req(walk, vma);
	scan.nr_tables = SCAN_NR_TABLES;
	scan_init(&scan, vma);

	/* They are on: who holds mmap_lock may sleep. */
	local_irq_disable();
	scan_section(&scan, vma->vm_mm, end_va);
	local_irq_enable();

	if (!scan.gap_end_va)
		return 0;
	return fill_gap(walk, vma, &scan);
}

#else /* other architectures and memory models */

int hmm_mirror_walk_extent(struct hmm_mirror_walk *walk,
			   const struct vm_area_struct *vma, unsigned long end_va)
{
	return hmm_mirror_walk_kernel(walk, vma, end_va);
}

#endif
