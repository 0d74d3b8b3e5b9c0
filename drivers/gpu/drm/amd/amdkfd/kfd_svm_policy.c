// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decisions that follow from attributes alone: how a page looks in a GPU's page
 * table, who maps it when, and what a fault may do.
 */
#include "kfd_svm_policy.h"

#define MTYPE(name) \
	FIELD_PREP_CONST(KFD_SVM_PTE_MTYPE, KFD_SVM_MTYPE_##name)
#define NC		MTYPE(NC)
#define RW		MTYPE(RW)
#define CC		MTYPE(CC)
#define UC		MTYPE(UC)
#define SN		KFD_SVM_PTE_SNOOPED

/* What the flags say about coherence; EXT_COHERENT wins over COHERENT. */
enum coherence {
	INCOHERENT,
	COHERENT,
	EXT_COHERENT,
	NR_COHERENCE,
};

#define NR_PLACES	(KFD_SVM_PLACE_NEAR + 1)

/*
 * struct pte_row - memory type and snooping of a family of graphics cores
 * @first: first IP version of the family
 * @last: last one
 * @mask: of the traits, those that matter
 * @traits: what they are
 * @pte: bits by place and coherence; a row that says nothing of NEAR, which no
 *	real entry is 0 for, has it like SYSTEM
 *
 * Remote memory is that of the same hive; no other is mapped, so a card outside it,
 * which upstream does not snoop, needs no column.
 */
struct pte_row {
	u32 first;
	u32 last;
	u32 mask;
	u32 traits;
	u32 pte[NR_PLACES][NR_COHERENCE];
};

static const struct pte_row pte_rows[] = {
	/* MI200 whose VRAM the CPU reaches over the link, then it and MI100 as cards. */
	{
		.first = KFD_SVM_GC(9, 4, 2),
		.last = KFD_SVM_GC(9, 4, 2),
		.mask = KFD_SVM_GC_CPU_LINK,
		.traits = KFD_SVM_GC_CPU_LINK,
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { RW | SN, CC | SN, CC | SN },
			[KFD_SVM_PLACE_REMOTE] = { NC | SN, UC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { NC | SN, UC | SN, UC | SN },
		},
	},
	{
		.first = KFD_SVM_GC(9, 4, 1),
		.last = KFD_SVM_GC(9, 4, 2),
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { RW, CC, CC },
			[KFD_SVM_PLACE_REMOTE] = { NC | SN, UC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { NC | SN, UC | SN, UC | SN },
		},
	},
	/* MI300 and later as an APU, of one NUMA node and of several, then as cards. */
	{
		.first = KFD_SVM_GC(9, 4, 3),
		.last = KFD_SVM_GC(9, 5, 0),
		.mask = KFD_SVM_GC_APU | KFD_SVM_GC_NODES,
		.traits = KFD_SVM_GC_APU,
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { RW | SN, RW | SN, CC | SN },
			[KFD_SVM_PLACE_REMOTE] = { NC | SN, NC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { RW | SN, RW | SN, CC | SN },
		},
	},
	{
		.first = KFD_SVM_GC(9, 4, 3),
		.last = KFD_SVM_GC(9, 5, 0),
		.mask = KFD_SVM_GC_APU,
		.traits = KFD_SVM_GC_APU,
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { RW | SN, RW | SN, CC | SN },
			[KFD_SVM_PLACE_REMOTE] = { NC | SN, NC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { NC | SN, NC | SN, UC | SN },
			[KFD_SVM_PLACE_NEAR] = { RW | SN, RW | SN, CC | SN },
		},
	},
	{
		.first = KFD_SVM_GC(9, 4, 3),
		.last = KFD_SVM_GC(9, 4, 4),
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { RW | SN, RW | SN, CC | SN },
			[KFD_SVM_PLACE_REMOTE] = { NC | SN, NC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { UC | SN, UC | SN, UC | SN },
		},
	},
	{
		.first = KFD_SVM_GC(9, 5, 0),
		.last = KFD_SVM_GC(9, 5, 0),
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { RW | SN, RW | SN, CC | SN },
			[KFD_SVM_PLACE_REMOTE] = { NC | SN, NC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { NC | SN, NC | SN, UC | SN },
		},
	},
	/* gfx12. */
	{
		.first = KFD_SVM_GC(12, 0, 0),
		.last = KFD_SVM_GC(12, 0, 255),
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { NC, NC, NC },
			[KFD_SVM_PLACE_REMOTE] = { NC, NC, NC },
			[KFD_SVM_PLACE_SYSTEM] = { NC | SN, NC | SN, NC | SN },
		},
	},
	{
		.first = KFD_SVM_GC(12, 1, 0),
		.last = KFD_SVM_GC(12, 1, 0),
		.mask = KFD_SVM_GC_REV0,
		.traits = KFD_SVM_GC_REV0,
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { NC | SN, NC | SN, NC | SN },
			[KFD_SVM_PLACE_REMOTE] = { UC | SN, UC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { UC | SN, UC | SN, UC | SN },
		},
	},
	{
		.first = KFD_SVM_GC(12, 1, 0),
		.last = KFD_SVM_GC(12, 1, 0),
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { RW | SN, RW | SN, RW | SN },
			[KFD_SVM_PLACE_REMOTE] = { NC | SN, NC | SN, UC | SN },
			[KFD_SVM_PLACE_SYSTEM] = { NC | SN, NC | SN, UC | SN },
		},
	},
	/* All others, last: the table is searched in order. */
	{
		.first = 0,
		.last = ~0U,
		.pte = {
			[KFD_SVM_PLACE_LOCAL] = { NC, UC, UC },
			[KFD_SVM_PLACE_REMOTE] = { NC, UC, UC },
			[KFD_SVM_PLACE_SYSTEM] = { NC | SN, UC | SN, UC | SN },
		},
	},
};

static enum coherence coherence_of(u32 flags)
{
	if (flags & KFD_SVM_FLAG_EXT_COHERENT)
		return EXT_COHERENT;
	return flags & KFD_SVM_FLAG_COHERENT ? COHERENT : INCOHERENT;
}

static const struct pte_row *row_of(u32 gc_version, u32 gc_traits)
{
	const struct pte_row *row = pte_rows;

	while (gc_version < row->first || gc_version > row->last ||
	       (gc_traits & row->mask) != row->traits)
		row++;
	return row;
}

/*
 * KFD_SVM_PTE_* for memory at @place, which is one to map, of a range with @flags, on a
 * GPU with @gc_traits, KFD_SVM_GC_*.
 */
u32 kfd_svm_policy_pte(u32 gc_version, u32 gc_traits, enum kfd_svm_place place,
		       u32 flags, bool cpu_writable)
{
	const struct pte_row *row = row_of(gc_version, gc_traits);
	enum coherence coherence = coherence_of(flags);
	u32 pte = KFD_SVM_PTE_READ;

	if (place == KFD_SVM_PLACE_NEAR && !row->pte[place][coherence])
		place = KFD_SVM_PLACE_SYSTEM;
	pte |= row->pte[place][coherence];
	if (cpu_writable && !(flags & KFD_SVM_FLAG_GPU_RO))
		pte |= KFD_SVM_PTE_WRITE;
	if (flags & KFD_SVM_FLAG_GPU_EXEC)
		pte |= KFD_SVM_PTE_EXEC;
	if (place == KFD_SVM_PLACE_SYSTEM || place == KFD_SVM_PLACE_NEAR)
		pte |= KFD_SVM_PTE_SYSTEM;
	if (place == KFD_SVM_PLACE_REMOTE)
		pte |= KFD_SVM_PTE_PEER;
	return pte;
}

/* GPUs that get the memory mapped when the attributes are set. */
u64 kfd_svm_policy_eager(const struct kfd_svm_attr *attr, bool xnack)
{
	if (!xnack || attr->flags & KFD_SVM_FLAG_GPU_ALWAYS_MAPPED)
		return attr->access | attr->in_place;
	return attr->in_place;
}

/* GPUs that may not lose it while they run: stop them, restore, resume. */
u64 kfd_svm_policy_resident(const struct kfd_svm_attr *attr, bool xnack)
{
	if (!xnack || attr->flags & KFD_SVM_FLAG_GPU_ALWAYS_MAPPED)
		return attr->access | attr->in_place;
	return 0;
}

/* May @gpu fault on a page with @attr? REPLAY if so. */
enum kfd_svm_fault_outcome
kfd_svm_policy_fault(const struct kfd_svm_attr *attr, unsigned int gpu,
		     bool write)
{
	if (!((attr->access | attr->in_place) & BIT_ULL(gpu)))
		return KFD_SVM_FAULT_NO_ACCESS;
	if (write && attr->flags & KFD_SVM_FLAG_GPU_RO)
		return KFD_SVM_FAULT_READ_ONLY;
	return KFD_SVM_FAULT_REPLAY;
}

/* Pages around @page that one fault brings: 2^granularity, aligned, bounded. */
void kfd_svm_policy_window(unsigned long page, u32 granularity,
			   unsigned long *first, unsigned long *last)
{
	unsigned long size = 1UL << min_t(u32, granularity, KFD_SVM_MAX_WINDOW_LG2);

	*first = page & ~(size - 1);
	*last = *first + (size - 1);
}

static unsigned int count_bits(const unsigned long *bits, unsigned int first,
			       unsigned int nr)
{
	unsigned int i, count = 0;

	for (i = first; i < first + nr; i++)
		count += test_bit(i, bits);
	return count;
}

/*
 * A write costs a copy where memory is shared, so it is done for pages somebody
 * writes, and ahead of those who write many: each page of @wanted grows to the
 * largest aligned area of the block in which at least half of the pages, and more
 * than one, are in @wanted or @written. So who writes an array has a fault for each
 * doubling, and who writes a page gets a page.
 */
void kfd_svm_policy_write_around(const unsigned long *written,
				 unsigned long *wanted)
{
	DECLARE_BITMAP(grown, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(either, KFD_SVM_BLOCK_PAGES);
	unsigned int page;

	bitmap_zero(grown, KFD_SVM_BLOCK_PAGES);
	bitmap_or(either, wanted, written, KFD_SVM_BLOCK_PAGES);
	for_each_set_bit(page, wanted, KFD_SVM_BLOCK_PAGES) {
		unsigned int first = page, best_first = page;
		unsigned int size = 1, best_size = 1, count = 1;

		while (size < KFD_SVM_BLOCK_PAGES) {
			/* The area's other half joins. */
			count += count_bits(either, first ^ size, size);
			first &= ~size;
			size *= 2;
			if (count > 1 && count >= size / 2) {
				best_first = first;
				best_size = size;
			}
		}
		bitmap_set(grown, best_first, best_size);
	}
	bitmap_copy(wanted, grown, KFD_SVM_BLOCK_PAGES);
}

/*
 * Are pages in the window of a write to be made writable though nobody has asked
 * for them? Those that can be written already; and those of anonymous memory that
 * are not there, or are zeros that everybody shares: they cost memory, as with a
 * huge page, but no copy. Not what is shared for reading, and not files, of which
 * a page would be copied or become dirty for nothing. @ext_flags: as the CPU has
 * them, HMM_MIRROR_EXT_*.
 */
bool kfd_svm_policy_write_along(unsigned int ext_flags, bool anonymous)
{
	if (ext_flags & HMM_MIRROR_EXT_ERROR)
		return false;
	if (ext_flags & HMM_MIRROR_EXT_WRITE)
		return true;
	if (ext_flags & HMM_MIRROR_EXT_VALID &&
	    !(ext_flags & HMM_MIRROR_EXT_ZERO))
		return false;
	return anonymous;
}

/* Delay before the next try after @failures of them in a row. */
unsigned int kfd_svm_policy_backoff_ms(unsigned int failures)
{
	if (failures > 10)
		return KFD_SVM_BACKOFF_MAX_MS;
	return min(KFD_SVM_BACKOFF_MIN_MS << failures, KFD_SVM_BACKOFF_MAX_MS);
}
