/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs of leaf entries of a page table, as raw 64-bit values, into extents.
 *
 * This is the loop that decides what a walk costs, so it is inlined into its three
 * users with the level as a constant. An entry is loaded once and only that copy is
 * looked at. A run goes on while the next entry is what the one before would be one
 * step further: same bits, next address. Pure: compiles in user space.
 *
 * The bits of an entry that an extent shows are those of x86-64, whose first two are
 * in the same place in both.
 */
#ifndef _HMM_MIRROR_LEAVES_H
#define _HMM_MIRROR_LEAVES_H

#include "sink.h"

#define HMM_MIRROR_LEAF_WRITE		BIT_ULL(1)
#define HMM_MIRROR_LEAF_SHOWN		(HMM_MIRROR_EXT_VALID | HMM_MIRROR_EXT_WRITE)
#define HMM_MIRROR_LEAF_DIRTY_BIT	6
#define HMM_MIRROR_EXT_DIRTY_BIT	2

/* Memory is told from devices by sections of 128 MiB, and where those are mixed by 2 MiB. */
#define HMM_MIRROR_SECTION_SHIFT	27
#define HMM_MIRROR_NR_SECTIONS		65536	/* 8 TiB; what lies behind is asked for */
#define HMM_MIRROR_SUBSECTION_NPAGES	512UL

/**
 * struct hmm_mirror_classes - what is known of the kinds of memory
 * @ram: which sections are nothing but RAM, a bit for each; not all are known
 * @subsection: the last one of those that had to be asked for
 * @subsection_flags: DEVICE, PRIVATE or 0
 * @owner: the client's cookie, see &struct hmm_mirror_ops
 *
 * Lives as long as one pass: devices may come and go between two.
 */
struct hmm_mirror_classes {
	const unsigned long *ram;
	unsigned long subsection;
	unsigned int subsection_flags;
	void *owner;
};

/* The walk's surroundings provide it. Return: HMM_MIRROR_EXT_DEVICE, _PRIVATE or 0. */
unsigned int hmm_mirror_classes_ask(struct hmm_mirror_classes *classes,
				    unsigned long pfn);

/**
 * struct hmm_mirror_leaf_rules - which entries make an extent, and of what kind
 * @pfn_mask: the bits that are the address
 * @look: the bits that are looked at; @want is among them
 * @want: what they have to be
 * @flags: HMM_MIRROR_EXT_* that all extents get; VALID, WRITE and DIRTY come from
 *	the entry
 */
struct hmm_mirror_leaf_rules {
	u64 pfn_mask;
	u64 look;
	u64 want;
	unsigned int flags;
};

/* @pa: of memory; no means that it has to be asked for. */
static inline bool hmm_mirror_is_ram(const unsigned long *ram, u64 pa)
{
	unsigned long section = pa >> HMM_MIRROR_SECTION_SHIFT;

	return section < HMM_MIRROR_NR_SECTIONS &&
	       READ_ONCE(ram[section / 64]) >> (section % 64) & 1;
}

/* A run of any kind; it may continue the last extent. */
static inline void hmm_mirror_add_leaves(struct hmm_mirror_sink *sink,
					 struct hmm_mirror_classes *classes,
					 unsigned int flags, unsigned long pfn,
					 unsigned long npages)
{
	const unsigned long section_npages =
		1UL << (HMM_MIRROR_SECTION_SHIFT - PAGE_SHIFT);

	while (npages && !sink->full) {
		unsigned int class = hmm_mirror_classes_ask(classes, pfn);
		unsigned long n = HMM_MIRROR_SUBSECTION_NPAGES;

		if (hmm_mirror_is_ram(classes->ram, (u64)pfn << PAGE_SHIFT))
			n = section_npages;
		n = min(n - pfn % n, npages);
		hmm_mirror_sink_add(sink, flags | class, pfn, n);
		pfn += n;
		npages -= n;
	}
}

static inline u64 hmm_mirror_leaf_dirty(u64 value)
{
	return (value >> (HMM_MIRROR_LEAF_DIRTY_BIT - HMM_MIRROR_EXT_DIRTY_BIT)) &
	       HMM_MIRROR_EXT_DIRTY;
}

/* Four at a time, for runs that are long. As hmm_mirror_run_last(). */
static noinline const u64 *hmm_mirror_long_run(const u64 *entry, const u64 *last,
					       u64 *all, u64 *same, u64 run_mask,
					       u64 step)
{
	u64 next = *same, seen = *all;

	while (last - entry >= 4) {
		u64 a = READ_ONCE(entry[1]), b = READ_ONCE(entry[2]);
		u64 c = READ_ONCE(entry[3]), d = READ_ONCE(entry[4]);
		u64 four = a & b & c & d;

		a ^= next;
		b ^= next + step;
		c ^= next + 2 * step;
		d ^= next + 3 * step;
		if ((a | b | c | d) & run_mask)
			break;
		seen &= four;
		next += 4 * step;
		entry += 4;
	}
	*same = next;
	*all = seen;
	return entry;
}

/*
 * The last entry of the run that @entry begins. @all: to be and-ed with the others;
 * @same: what the next one would be.
 */
static __always_inline const u64 *
hmm_mirror_run_last(const u64 *entry, const u64 *last, u64 *all, u64 same,
		    const u64 run_mask, const u64 step)
{
	u64 next, seen;

	if (last - entry >= 4) {
		/* Written out, which leaves little but the comparisons. */
		next = READ_ONCE(entry[1]);
		if ((next & run_mask) != same)
			return entry;
		*all &= next;
		next = READ_ONCE(entry[2]);
		if ((next & run_mask) != same + step)
			return entry + 1;
		*all &= next;
		next = READ_ONCE(entry[3]);
		if ((next & run_mask) != same + 2 * step)
			return entry + 2;
		*all &= next;
		next = READ_ONCE(entry[4]);
		if ((next & run_mask) != same + 3 * step)
			return entry + 3;
		/* Copies, so that the originals may stay in registers. */
		seen = *all & next;
		next = same + 4 * step;
		entry = hmm_mirror_long_run(entry + 4, last, &seen, &next, run_mask,
					    step);
		*all = seen;
		same = next;
	}
	for (; entry != last; entry++) {
		next = READ_ONCE(entry[1]);
		if ((next & run_mask) != same)
			break;
		*all &= next;
		same += step;
	}
	return entry;
}

/**
 * struct hmm_mirror_leaf_scan - entries of one table being scanned
 * @sink: where extents go; its va is behind what has become one
 * @classes: what is known of the memory
 * @rules: which entries
 * @last: the last entry
 * @end_va: where to stop
 * @may_join: the next run may continue what was there before this table
 */
struct hmm_mirror_leaf_scan {
	struct hmm_mirror_sink *sink;
	struct hmm_mirror_classes *classes;
	const struct hmm_mirror_leaf_rules *rules;
	const u64 *last;
	unsigned long end_va;
	bool may_join;
};

/*
 * The run that begins with @entry, whose value satisfies, and those behind it up to one
 * that is not longer than an entry. Of any length, beginning or ending within an entry,
 * of any memory. Return: the entry behind the last run.
 */
static __always_inline const u64 *
hmm_mirror_scan_runs(struct hmm_mirror_leaf_scan *scan, const u64 *entry, u64 value,
		     const unsigned int shift)
{
	struct hmm_mirror_sink *sink = scan->sink;
	const struct hmm_mirror_leaf_rules *rules = scan->rules;
	const unsigned long step = 1UL << shift;
	const u64 pfn_mask = rules->pfn_mask & ~(u64)(step - 1);
	const u64 run_mask = rules->look | pfn_mask | HMM_MIRROR_LEAF_WRITE;
	const u64 *last = scan->last, *run;
	unsigned long va = sink->va, len;
	struct hmm_mirror_extent *ext;
	unsigned int flags;
	u64 pa, all;

	do {
		run = entry;
		all = value;
		flags = (value & HMM_MIRROR_LEAF_SHOWN) | rules->flags;
		pa = value & pfn_mask;
		if (shift != PAGE_SHIFT)
			pa += va & (step - 1);
		if (entry != last)
			entry = hmm_mirror_run_last(entry, last, &all,
						    (value & run_mask) + step,
						    run_mask, step);
		entry++;
		flags |= hmm_mirror_leaf_dirty(all);
		len = (unsigned long)(entry - run) << shift;
		if (shift != PAGE_SHIFT) {
			len -= va & (step - 1);
			len = min(len, scan->end_va - va);
		}
		if (likely(!scan->may_join &&
			   hmm_mirror_is_ram(scan->classes->ram, pa) &&
			   pa >> HMM_MIRROR_SECTION_SHIFT ==
			   (pa + len - 1) >> HMM_MIRROR_SECTION_SHIFT)) {
			ext = &sink->exts[sink->nr++];
			ext->va_flags = va | flags;
			ext->pfn_npages = pa >> PAGE_SHIFT |
					  (u64)len << (40 - PAGE_SHIFT);
		} else {
			sink->va = va;
			hmm_mirror_add_leaves(sink, scan->classes, flags,
					      pa >> PAGE_SHIFT, len >> PAGE_SHIFT);
			scan->may_join = false;
			if (sink->full)
				return entry;
		}
		va += len;
		if (entry > last)
			break;
		value = READ_ONCE(*entry);
	} while (len > step && (value & rules->look) == rules->want);
	sink->va = va;
	return entry;
}

static noinline const u64 *
hmm_mirror_scan_small_runs(struct hmm_mirror_leaf_scan *scan, const u64 *entry,
			   u64 value)
{
	return hmm_mirror_scan_runs(scan, entry, value, PAGE_SHIFT);
}

/**
 * hmm_mirror_scan_leaves - make extents of entries as far as they satisfy the rules
 * @sink: has room for one extent for each entry; its va says where to begin
 * @classes: what is known of the memory
 * @rules: which entries
 * @entry: the entry that maps sink->va
 * @end_va: where to stop; entries up to it are in one table
 * @shift: log2 of what one entry maps
 *
 * Afterwards sink->va is @end_va or lies in an entry that does not satisfy.
 *
 * The loop itself does runs of one entry in RAM that is known. In memory without any
 * order that is what there is, and how few instructions it takes is what the walk is
 * worth there; so it has the registers for itself, and all else is a call. The first run
 * may continue the last extent and the last may end within its entry: they are calls.
 */
static __always_inline void
hmm_mirror_scan_leaves(struct hmm_mirror_sink *sink,
		       struct hmm_mirror_classes *classes,
		       const struct hmm_mirror_leaf_rules *rules,
		       const u64 *entry, unsigned long end_va,
		       const unsigned int shift)
{
	struct hmm_mirror_leaf_scan scan = {
		.sink = sink,
		.classes = classes,
		.rules = rules,
		.last = entry + (((end_va - 1) >> shift) - (sink->va >> shift)),
		.end_va = end_va,
		.may_join = sink->nr,
	};
	const u64 step = 1UL << shift;
	const u64 look = rules->look, want = rules->want;
	const u64 pfn_mask = rules->pfn_mask & ~(step - 1);
	const u64 run_mask = look | pfn_mask | HMM_MIRROR_LEAF_WRITE;
	const u64 base_flags = rules->flags;
	const unsigned long *ram = classes->ram;
	struct hmm_mirror_extent *ext;
	u64 value = READ_ONCE(*entry), next, pa, flags;
	unsigned long va;

	while ((value & look) == want) {
		if (shift == PAGE_SHIFT)
			entry = hmm_mirror_scan_small_runs(&scan, entry, value);
		else
			entry = hmm_mirror_scan_runs(&scan, entry, value, shift);
		if (entry > scan.last || sink->full)
			return;
		value = READ_ONCE(*entry);

		ext = &sink->exts[sink->nr];
		va = sink->va;
		while ((value & look) == want && entry != scan.last) {
			pa = value & pfn_mask;
			next = READ_ONCE(entry[1]);
			if ((next & run_mask) == (value & run_mask) + step ||
			    !hmm_mirror_is_ram(ram, pa))
				break;
			flags = value & HMM_MIRROR_LEAF_SHOWN;
			flags |= hmm_mirror_leaf_dirty(value);
			ext->va_flags = va | base_flags | flags;
			ext->pfn_npages = pa >> PAGE_SHIFT | step << (40 - PAGE_SHIFT);
			ext++;
			entry++;
			va += step;
			value = next;
		}
		sink->nr = ext - sink->exts;
		sink->va = va;
	}
}

#endif /* _HMM_MIRROR_LEAVES_H */
