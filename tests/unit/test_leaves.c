// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs of page-table entries against a walk that looks at one page at a time, over
 * random tables: what the extents say of each page, that neighbours that could be one
 * extent are one, that RAM and devices never share one, and where the scan stops.
 */
#include "leaves.h"

#include "unit.h"

#define NR_SEEDS	3000
#define NR_ENTRIES	512
#define NR_EXTS		(NR_ENTRIES + 8)
#define PRESENT		BIT_ULL(0)
#define RW		BIT_ULL(1)
#define USER		BIT_ULL(2)
#define ACCESSED	BIT_ULL(5)
#define DIRTY		BIT_ULL(6)
#define LEAF		BIT_ULL(7)
#define SPECIAL		BIT_ULL(9)
#define NX		BIT_ULL(63)
#define PFN_MASK	GENMASK_ULL(45, 12)
#define SECTION_NPAGES	(1UL << (HMM_MIRROR_SECTION_SHIFT - PAGE_SHIFT))

static bool is_ram_section(unsigned long section)
{
	return section % 4 != 1;
}

/* Sections that are not RAM are devices of 2 MiB each, every third one absent. */
static unsigned int class_of(unsigned long pfn)
{
	if (is_ram_section(pfn / SECTION_NPAGES) ||
	    pfn / HMM_MIRROR_SUBSECTION_NPAGES % 3 == 0)
		return 0;
	return HMM_MIRROR_EXT_DEVICE;
}

static unsigned long known_ram[HMM_MIRROR_NR_SECTIONS / 64];

unsigned int hmm_mirror_classes_ask(struct hmm_mirror_classes *classes,
				    unsigned long pfn)
{
	unsigned long section = pfn / SECTION_NPAGES;

	if (is_ram_section(section))
		known_ram[section / 64] |= BIT_ULL(section % 64);
	return class_of(pfn);
}

struct world {
	unsigned int seed;
	unsigned int shift;
	u64 table[NR_ENTRIES];
	struct hmm_mirror_leaf_rules rules;
	struct hmm_mirror_extent exts[NR_EXTS];
	struct hmm_mirror_sink sink;
	struct hmm_mirror_classes classes;
	unsigned long start_va;
	unsigned long end_va;
	unsigned int nr_silent;	/* extents that are dirty and do not say so */
};

/* What one page at @va is, as the entry that maps it says. */
struct page {
	bool good;
	bool dirty;
	unsigned int flags;
	unsigned long pfn;
};

static struct page look(const struct world *w, unsigned long va)
{
	unsigned long table_va = (unsigned long)NR_ENTRIES << w->shift;
	u64 entry = w->table[(va % table_va) >> w->shift];
	struct page page = { 0 };

	if ((entry & w->rules.look) != w->rules.want)
		return page;
	page.good = true;
	page.dirty = entry & DIRTY;
	page.pfn = (entry & PFN_MASK) >> PAGE_SHIFT;
	page.pfn += (va & ((1UL << w->shift) - 1)) >> PAGE_SHIFT;
	page.flags = HMM_MIRROR_EXT_VALID | w->rules.flags | class_of(page.pfn);
	if (entry & RW)
		page.flags |= HMM_MIRROR_EXT_WRITE;
	return page;
}

static u64 random_attributes(struct world *w)
{
	u64 bits = PRESENT | USER | NX | ACCESSED;

	if (unit_random(&w->seed, 4))
		bits |= RW;
	if (unit_random(&w->seed, 3))
		bits |= DIRTY;
	if (!unit_random(&w->seed, 40))
		bits &= ~(unit_random(&w->seed, 2) ? PRESENT : USER);
	if (!unit_random(&w->seed, 60))
		bits |= SPECIAL;
	return bits;
}

/* Runs of random length; some lie across the borders of sections. */
static void random_table(struct world *w)
{
	const unsigned long per_entry = 1UL << (w->shift - PAGE_SHIFT);
	unsigned int i = 0;

	while (i < NR_ENTRIES) {
		unsigned int n = 1 + unit_random(&w->seed, unit_random(&w->seed, 2) ?
						 2 : 60);
		unsigned long pfn = unit_random(&w->seed, 8) * SECTION_NPAGES;
		u64 bits = random_attributes(w);

		pfn += SECTION_NPAGES - unit_random(&w->seed, 64) * per_entry % SECTION_NPAGES;
		if (!unit_random(&w->seed, 10))
			bits = 0;
		for (; n && i < NR_ENTRIES; n--, i++, pfn += per_entry) {
			w->table[i] = bits ? bits | (u64)pfn << PAGE_SHIFT : 0;
			if (!unit_random(&w->seed, 30))
				w->table[i] ^= DIRTY & -!!bits;
		}
	}
}

static void world_init(struct world *w, unsigned int seed, unsigned int shift)
{
	unsigned long base_va = 7UL << 39, a, b;

	*w = (struct world){ .seed = seed, .shift = shift };
	w->rules.pfn_mask = PFN_MASK;
	w->rules.look = PRESENT | USER | SPECIAL;
	w->rules.want = PRESENT | USER;
	if (shift != PAGE_SHIFT)
		w->rules.flags = HMM_MIRROR_EXT_HUGE;
	if (unit_random(&w->seed, 3) == 0) {
		w->rules.look |= RW;
		w->rules.want |= RW;
	}
	memset(known_ram, 0, sizeof(known_ram));
	w->classes.ram = known_ram;
	random_table(w);
	a = unit_random(&w->seed, NR_ENTRIES << (shift - PAGE_SHIFT));
	b = unit_random(&w->seed, NR_ENTRIES << (shift - PAGE_SHIFT));
	w->start_va = base_va + (min(a, b) << PAGE_SHIFT);
	w->end_va = base_va + ((max(a, b) + 1) << PAGE_SHIFT);
	w->sink.exts = w->exts;
	w->sink.nr_max = NR_EXTS;
	w->sink.va = w->start_va;
}

static void scan(struct world *w)
{
	const u64 *entry = &w->table[(w->start_va >> w->shift) % NR_ENTRIES];

	if (w->shift == PAGE_SHIFT)
		hmm_mirror_scan_leaves(&w->sink, &w->classes, &w->rules, entry,
				       w->end_va, PAGE_SHIFT);
	else
		hmm_mirror_scan_leaves(&w->sink, &w->classes, &w->rules, entry,
				       w->end_va, 21);
}

/* Pages of an extent, one at a time. Return: the address behind it. */
static unsigned long check_extent(struct world *w,
				  const struct hmm_mirror_extent *ext)
{
	unsigned long va = hmm_mirror_extent_va(ext), i;
	unsigned int flags = hmm_mirror_extent_flags(ext);
	bool all_dirty = true;

	assert_true(hmm_mirror_extent_npages(ext));
	for (i = 0; i < hmm_mirror_extent_npages(ext); i++) {
		struct page page = look(w, va + i * PAGE_SIZE);

		assert_true(page.good);
		assert_int_equal(page.pfn, hmm_mirror_extent_pfn(ext) + i);
		assert_int_equal(page.flags, flags & ~HMM_MIRROR_EXT_DIRTY);
		all_dirty &= page.dirty;
	}
	/* A run over the border of a device is dirty as a whole or not at all. */
	if (flags & HMM_MIRROR_EXT_DIRTY)
		assert_true(all_dirty);
	else
		w->nr_silent += all_dirty;
	return va + i * PAGE_SIZE;
}

/* Could @b have been part of @a? */
static bool are_one(const struct hmm_mirror_extent *a, const struct hmm_mirror_extent *b)
{
	unsigned long pfn = hmm_mirror_extent_pfn(b);

	if (hmm_mirror_extent_pfn(a) + hmm_mirror_extent_npages(a) != pfn ||
	    (a->va_flags ^ b->va_flags) & HMM_MIRROR_EXT_FLAGS & ~HMM_MIRROR_EXT_DIRTY)
		return false;
	return !(b->va_flags & HMM_MIRROR_EXT_DEVICE) ||
	       pfn % HMM_MIRROR_SUBSECTION_NPAGES;
}

static void check(struct world *w)
{
	unsigned long va = w->start_va;
	unsigned int i;

	for (i = 0; i < w->sink.nr; i++) {
		assert_int_equal(hmm_mirror_extent_va(&w->exts[i]), va);
		va = check_extent(w, &w->exts[i]);
		if (i)
			assert_false(are_one(&w->exts[i - 1], &w->exts[i]));
	}
	assert_int_equal(va, w->sink.va);
	assert_true(va <= w->end_va);
	assert_false(w->sink.full);
	if (va < w->end_va)
		assert_false(look(w, va).good);
}

static void against_oracle(unsigned int shift)
{
	static struct world w;
	unsigned int seed, nr = 0, nr_stopped = 0, nr_silent = 0;

	for (seed = 1; seed <= NR_SEEDS; seed++) {
		world_init(&w, seed, shift);
		scan(&w);
		check(&w);
		nr += w.sink.nr;
		nr_silent += w.nr_silent;
		nr_stopped += w.sink.va < w.end_va;
	}
	/* The tables must not all be of one kind. */
	assert_true(nr > 3 * NR_SEEDS);
	assert_true(nr_silent < nr / 2);
	assert_in_range(nr_stopped, NR_SEEDS / 10, NR_SEEDS * 9 / 10);
}

static void small_entries_match_oracle(void **state)
{
	against_oracle(PAGE_SHIFT);
}

static void huge_entries_match_oracle(void **state)
{
	against_oracle(21);
}

/* What is scanned in two parts is what is scanned in one. */
static void parts_join(void **state)
{
	static struct world whole, parts;
	unsigned int seed, i;

	for (seed = 1; seed <= NR_SEEDS; seed++) {
		unsigned long end_va;

		world_init(&whole, seed, PAGE_SHIFT);
		world_init(&parts, seed, PAGE_SHIFT);
		scan(&whole);

		end_va = parts.end_va;
		parts.end_va = parts.start_va + (((end_va - parts.start_va) / 2) & PAGE_MASK);
		if (parts.end_va == parts.start_va)
			continue;
		scan(&parts);
		if (parts.sink.va == parts.end_va) {
			unsigned long start_va = parts.start_va;

			parts.start_va = parts.end_va;
			parts.end_va = end_va;
			scan(&parts);
			parts.start_va = start_va;
		}
		assert_int_equal(parts.sink.nr, whole.sink.nr);
		for (i = 0; i < whole.sink.nr; i++) {
			assert_int_equal(parts.exts[i].va_flags | HMM_MIRROR_EXT_DIRTY,
					 whole.exts[i].va_flags | HMM_MIRROR_EXT_DIRTY);
			assert_int_equal(parts.exts[i].pfn_npages,
					 whole.exts[i].pfn_npages);
		}
	}
}

static void sink_without_room_is_full(void **state)
{
	struct hmm_mirror_extent exts[2];
	struct hmm_mirror_sink sink = { .exts = exts, .nr_max = 2 };

	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_VALID, 100, 4);
	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_VALID, 200, 4);
	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_VALID, 204, 4);
	assert_false(sink.full);
	assert_int_equal(hmm_mirror_extent_npages(&exts[1]), 8);
	hmm_mirror_sink_add(&sink, 0, 0, 1);
	assert_true(sink.full);
	assert_int_equal(sink.nr, 2);
	assert_int_equal(sink.va, 12 * PAGE_SIZE);
}

static void what_is_longer_than_an_extent_becomes_two(void **state)
{
	const unsigned long max = FIELD_MAX(HMM_MIRROR_EXT_NPAGES);
	struct hmm_mirror_extent exts[3];
	struct hmm_mirror_sink sink = { .exts = exts, .nr_max = 3 };

	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_VALID, 5, max - 1);
	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_VALID, 5 + max - 1, 10);
	assert_int_equal(sink.nr, 2);
	assert_int_equal(hmm_mirror_extent_npages(&exts[0]), max);
	assert_int_equal(hmm_mirror_extent_pfn(&exts[1]), 5 + max);
	assert_int_equal(hmm_mirror_extent_npages(&exts[1]), 9);
	assert_int_equal(hmm_mirror_extent_va(&exts[1]), max * PAGE_SIZE);
}

static void errors_join_by_errno(void **state)
{
	struct hmm_mirror_extent exts[4];
	struct hmm_mirror_sink sink = { .exts = exts, .nr_max = 4 };

	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_ERROR, EFAULT, 3);
	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_ERROR, EFAULT, 2);
	hmm_mirror_sink_add(&sink, HMM_MIRROR_EXT_ERROR, EPERM, 1);
	hmm_mirror_sink_add(&sink, 0, 0, 1);
	hmm_mirror_sink_add(&sink, 0, 0, 1);
	assert_int_equal(sink.nr, 3);
	assert_int_equal(hmm_mirror_extent_npages(&exts[0]), 5);
	assert_int_equal(hmm_mirror_extent_pfn(&exts[1]), EPERM);
	assert_int_equal(hmm_mirror_extent_npages(&exts[2]), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_entries_match_oracle),
		cmocka_unit_test(huge_entries_match_oracle),
		cmocka_unit_test(parts_join),
		cmocka_unit_test(sink_without_room_is_full),
		cmocka_unit_test(what_is_longer_than_an_extent_becomes_two),
		cmocka_unit_test(errors_join_by_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
