// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables against an array with one entry for each page: random map and
 * unmap, then every page is walked, by the tables' own shadow and, as the
 * hardware would, by the addresses in the entries.
 */
#include "pgtable.h"

#include "unit.h"

#define NR_BLOCKS	6
#define NR_PAGES	(NR_BLOCKS * GFX9_PT_ENTRIES)
#define NR_SEEDS	20
#define NR_STEPS	300
#define RW		(KFD_SVM_PTE_READ | KFD_SVM_PTE_WRITE)

/* A table's address is where it is: the walk by address can follow it. */
static struct gfx9_pt_table *table_alloc(unsigned int level)
{
	struct gfx9_pt_table *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	t->entries = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	memset(t->entries, 0, PAGE_SIZE);
	if (level)
		t->children = kcalloc(GFX9_PT_ENTRIES, sizeof(*t->children),
				      GFP_KERNEL);
	t->addr = (uintptr_t)t->entries;
	return t;
}

static void table_free(struct gfx9_pt_table *t, unsigned int level)
{
	assert_int_equal(!!t->children, !!level);
	kfree(t->children);
	free(t->entries);
	kfree(t);
}

static const struct gfx9_pt_mem table_mem = { table_alloc, table_free };

struct world {
	struct gfx9_pt pt;
	u64 base;
	u64 addr[NR_PAGES];	/* 0: not mapped */
	u32 flags[NR_PAGES];
	unsigned int seed;
};

static void reserve(struct gfx9_pt *pt, u64 first_va, u64 last_va)
{
	u64 va = first_va & ~(GFX9_HUGE_LEN - 1), before;
	int level;

	while (va <= last_va) {
		before = va;
		level = gfx9_pt_next_missing(pt, &va, last_va);
		assert_true(level >= 0 || va > before);
		for (; before < va; before += GFX9_HUGE_LEN)
			assert_int_equal(gfx9_pt_missing(pt, before), -1);
		if (va > last_va)
			break;
		if (level < 0)
			continue;
		assert_int_equal(gfx9_pt_missing(pt, va), level);
		assert_true(gfx9_pt_attach(pt, va, level, table_alloc(level)));
	}
	assert_true(va < last_va + 1 + GFX9_HUGE_LEN);
}

static void map(struct gfx9_pt *pt, u64 va, u64 addr, u64 len, u32 flags)
{
	u64 step;

	while (len) {
		step = gfx9_pt_map_step(pt, va, addr, len, flags);
		assert_true(step && step <= len);
		va += step;
		addr += step;
		len -= step;
	}
}

static void unmap(struct gfx9_pt *pt, u64 first_va, u64 last_va, u64 *cf, u64 *cl)
{
	*cf = first_va;
	*cl = last_va;
	while (first_va <= last_va)
		first_va = gfx9_pt_unmap_step(pt, first_va, last_va, cf, cl);
}

/* The hardware's walk: nothing but what stands in the entries. */
static bool walk_by_address(struct gfx9_pt *pt, u64 va, struct gfx9_xlat *x)
{
	u64 table = pt->root->addr, entry;
	int level;

	for (level = 3; level >= 0; level--) {
		entry = ((u64 *)(uintptr_t)table)[(va >> (12 + 9 * level)) & 511];
		if (!(entry & GFX9_PTE_VALID))
			return false;
		if (!level || entry & GFX9_PDE_PTE) {
			*x = gfx9_pte_xlat(entry, va, 12 + 9 * level);
			return true;
		}
		table = entry & GFX9_PDE_ADDR;
	}
	return false;
}

/* Each page of the fragment a walk vouches for must really be mapped so. */
static void check_fragment(struct world *w, unsigned int page,
			   const struct gfx9_xlat *x)
{
	unsigned int n = 1U << (x->shift - 12), first = page & ~(n - 1), i;

	for (i = 0; i < n; i++) {
		assert_int_equal(w->addr[first + i],
				 x->addr + (u64)i * GFX9_PAGE_LEN);
		assert_int_equal(w->flags[first + i], gfx9_pte_flags(x->pte));
	}
}

/* A table counts what it has: by the array, and by what stands in it. */
static void check_count(struct world *w, unsigned int block)
{
	u64 va = w->base + (u64)block * GFX9_HUGE_LEN;
	const struct gfx9_pt_table *table = w->pt.root;
	unsigned int valid = 0, mapped = 0, i;
	bool leaf;

	for (i = 3; i > 1; i--)
		table = table->children[(va >> (12 + 9 * i)) & 511];
	leaf = table->entries[(va >> 21) & 511] & GFX9_PDE_PTE;
	table = table->children[(va >> 21) & 511];
	for (i = 0; i < GFX9_PT_ENTRIES; i++) {
		valid += !!(table->entries[i] & GFX9_PTE_VALID);
		mapped += !!w->addr[block * GFX9_PT_ENTRIES + i];
		assert_true(table->entries[i] & GFX9_PTE_VALID || !table->entries[i]);
	}
	assert_int_equal(table->nr_valid, valid);
	assert_int_equal(valid, leaf ? 0 : mapped);
	assert_true(!leaf || mapped == GFX9_PT_ENTRIES);
}

/* The runs are what is mapped, in order, nothing twice, and as long as they can be. */
static void check_runs(struct world *w)
{
	struct gfx9_pt_run run, before = {};
	unsigned int page = 0, i, n;
	u64 va = 0;

	for (; gfx9_pt_next_run(&w->pt, va, &run); va = run.va + run.len) {
		u64 addr = run.pte & GFX9_PTE_ADDR;

		assert_true(run.va >= va && run.len >= 1ULL << run.leaf_shift);
		assert_true(run.frag_shift >= run.leaf_shift);
		i = (run.va - w->base) / GFX9_PAGE_LEN;
		n = run.len / GFX9_PAGE_LEN;
		for (; page < i; page++)
			assert_int_equal(w->addr[page], 0);
		for (; page < i + n; page++) {
			assert_int_equal(w->addr[page], addr +
					 (u64)(page - i) * GFX9_PAGE_LEN);
			assert_int_equal(w->flags[page], gfx9_pte_flags(run.pte));
		}
		if (before.len && before.va + before.len == run.va &&
		    run.va & ((1ULL << 30) - 1))
			assert_true(before.leaf_shift != run.leaf_shift ||
				    gfx9_pte_flags(before.pte) !=
					    gfx9_pte_flags(run.pte) ||
				    (before.pte & GFX9_PTE_ADDR) + before.len != addr);
		before = run;
	}
	for (; page < NR_PAGES; page++)
		assert_int_equal(w->addr[page], 0);
}

static void check_all(struct world *w)
{
	struct gfx9_xlat x, y;
	unsigned int i;
	bool there;

	for (i = 0; i < NR_PAGES; i++) {
		u64 va = w->base + (u64)i * GFX9_PAGE_LEN + 123;

		there = gfx9_pt_walk(&w->pt, va, &x);
		assert_int_equal(there, walk_by_address(&w->pt, va, &y));
		assert_int_equal(there, !!w->addr[i]);
		if (!there)
			continue;
		assert_int_equal(x.pte, y.pte);
		assert_int_equal(x.addr, y.addr);
		check_fragment(w, i, &x);
	}
	for (i = 0; i < NR_BLOCKS; i++)
		check_count(w, i);
	check_runs(w);
}

static void random_span(struct world *w, unsigned int *first, unsigned int *n)
{
	/* Often whole and aligned blocks, so that there are leaves of 2 MiB. */
	if (!unit_random(&w->seed, 3)) {
		*first = 512 * unit_random(&w->seed, NR_BLOCKS);
		*n = 512 * (1 + unit_random(&w->seed, 2));
	} else {
		*first = unit_random(&w->seed, NR_PAGES);
		*n = 1 + unit_random(&w->seed,
				     unit_random(&w->seed, 2) ? 20 : 1200);
	}
	*n = min(*n, NR_PAGES - *first);
}

static void random_map(struct world *w)
{
	u32 flags = unit_random(&w->seed, 4) ? RW : KFD_SVM_PTE_READ;
	unsigned int first, n, i;
	u64 addr;

	random_span(w, &first, &n);
	addr = (u64)(1 + unit_random(&w->seed, 1 << 16)) *
	       (unit_random(&w->seed, 2) ? GFX9_HUGE_LEN : GFX9_PAGE_LEN);
	map(&w->pt, w->base + (u64)first * GFX9_PAGE_LEN, addr,
	    (u64)n * GFX9_PAGE_LEN, flags);
	for (i = 0; i < n; i++) {
		w->addr[first + i] = addr + (u64)i * GFX9_PAGE_LEN;
		w->flags[first + i] = flags;
	}
}

static void random_unmap(struct world *w)
{
	unsigned int first, n, i, last;
	u64 cf, cl;

	random_span(w, &first, &n);
	unmap(&w->pt, w->base + (u64)first * GFX9_PAGE_LEN,
	      w->base + (u64)(first + n) * GFX9_PAGE_LEN - 1, &cf, &cl);
	assert_true(cf <= w->base + (u64)first * GFX9_PAGE_LEN);
	assert_true(cl >= w->base + (u64)(first + n) * GFX9_PAGE_LEN - 1);
	/* Not more than the 2 MiB entries that were met. */
	assert_true(cf >= w->base + (u64)(first & ~511U) * GFX9_PAGE_LEN);
	assert_true(cl < w->base + (u64)round_up(first + n, 512U) * GFX9_PAGE_LEN);
	first = (cf - w->base) / GFX9_PAGE_LEN;
	last = (cl - w->base) / GFX9_PAGE_LEN;
	for (i = first; i <= last; i++)
		w->addr[i] = 0;
}

static void world_init(struct world *w, unsigned int seed)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	/* Across borders of PDB1 and PDB2 entries. */
	w->base = (1ULL << 39) - 3 * GFX9_HUGE_LEN;
	assert_int_equal(gfx9_pt_init(&w->pt, &table_mem), 0);
	reserve(&w->pt, w->base, w->base + NR_PAGES * GFX9_PAGE_LEN - 1);
}

static void random_maps_walk_as_an_array_says(void **state)
{
	static struct world w;
	unsigned int seed, i;
	unsigned long tables;

	for (seed = 0; seed < NR_SEEDS; seed++) {
		world_init(&w, seed);
		tables = w.pt.ntables;
		for (i = 0; i < NR_STEPS; i++) {
			if (unit_random(&w.seed, 3))
				random_map(&w);
			else
				random_unmap(&w);
			if (!(i % 8))
				check_all(&w);
		}
		check_all(&w);
		/* Neither map nor unmap made or freed a table. */
		assert_int_equal(w.pt.ntables, tables);
		gfx9_pt_fini(&w.pt);
	}
	assert_int_equal(seam_alloc_live, 0);
}

static void aligned_block_is_one_leaf(void **state)
{
	struct gfx9_xlat x;
	struct gfx9_pt pt;
	u64 cf, cl, va = 1ULL << 30;

	gfx9_pt_init(&pt, &table_mem);
	reserve(&pt, va, va + 2 * GFX9_HUGE_LEN - 1);
	map(&pt, va, 4 * GFX9_HUGE_LEN, GFX9_HUGE_LEN, RW);
	assert_true(gfx9_pt_walk(&pt, va + 0x1234, &x));
	assert_true(x.pte & GFX9_PDE_PTE);
	assert_int_equal(x.shift, GFX9_HUGE_SHIFT);
	/* A page of it is unmapped: all of it goes, and the report says so. */
	unmap(&pt, va + 0x5000, va + 0x5fff, &cf, &cl);
	assert_int_equal(cf, va);
	assert_int_equal(cl, va + GFX9_HUGE_LEN - 1);
	assert_false(gfx9_pt_walk(&pt, va, &x));
	/* The table below is still there and of use. */
	map(&pt, va + 0x3000, 0x7000, 0x1000, RW);
	assert_true(gfx9_pt_walk(&pt, va + 0x3000, &x));
	assert_false(gfx9_pt_walk(&pt, va + 0x4000, &x));
	/* Not aligned in VRAM: no leaf of 2 MiB. */
	map(&pt, va + GFX9_HUGE_LEN, 0x1000, GFX9_HUGE_LEN, RW);
	assert_true(gfx9_pt_walk(&pt, va + GFX9_HUGE_LEN, &x));
	assert_false(x.pte & GFX9_PDE_PTE);
	gfx9_pt_fini(&pt);
}

static void page_mapped_over_a_leaf_keeps_its_neighbours(void **state)
{
	struct gfx9_xlat x;
	struct gfx9_pt pt;
	u64 va = 1ULL << 40;

	gfx9_pt_init(&pt, &table_mem);
	reserve(&pt, va, va + GFX9_HUGE_LEN - 1);
	map(&pt, va, GFX9_HUGE_LEN, GFX9_HUGE_LEN, RW);
	map(&pt, va + 0x5000, 0x9000, 0x1000, KFD_SVM_PTE_READ);
	assert_true(gfx9_pt_walk(&pt, va + 0x5000, &x));
	assert_int_equal(x.addr, 0x9000);
	assert_int_equal(x.shift, 12);
	assert_true(gfx9_pt_walk(&pt, va + 0x4000, &x));
	assert_int_equal(x.addr + (0x4000 & ((1ULL << x.shift) - 1)),
			 GFX9_HUGE_LEN + 0x4000);
	assert_true(gfx9_pte_allows(x.pte, true));
	gfx9_pt_fini(&pt);
}

static void nothing_is_mapped_where_nothing_is_reserved(void **state)
{
	struct gfx9_xlat x;
	struct gfx9_pt pt;
	u64 cf, cl, va = 0x7f0000000000;
	unsigned int steps = 0;

	gfx9_pt_init(&pt, &table_mem);
	assert_int_equal(gfx9_pt_map_step(&pt, va, 0, 0x1000, RW), 0);
	assert_false(gfx9_pt_walk(&pt, va, &x));
	assert_false(gfx9_pt_walk(&pt, GFX9_VA_LAST, &x));
	assert_false(gfx9_pt_walk(&pt, GFX9_VA_LAST + 1, &x));
	assert_false(gfx9_pt_walk(&pt, ~0ULL, &x));
	/* An unmap of all takes a step per entry of the root, not per page. */
	reserve(&pt, va, va + 0xfff);
	cf = 0;
	cl = GFX9_VA_LAST;
	for (va = 0; va <= GFX9_VA_LAST; steps++)
		va = gfx9_pt_unmap_step(&pt, va, GFX9_VA_LAST, &cf, &cl);
	assert_true(steps < 4 * GFX9_PT_ENTRIES);
	gfx9_pt_fini(&pt);
}

static void table_of_the_slower_is_refused(void **state)
{
	struct gfx9_pt_table *t = table_alloc(2);
	struct gfx9_pt pt;

	gfx9_pt_init(&pt, &table_mem);
	reserve(&pt, 0, 0xfff);
	assert_int_equal(gfx9_pt_missing(&pt, 0), -1);
	assert_false(gfx9_pt_attach(&pt, 0, 2, t));
	table_free(t, 2);
	gfx9_pt_fini(&pt);
	assert_int_equal(seam_alloc_live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_maps_walk_as_an_array_says),
		cmocka_unit_test(aligned_block_is_one_leaf),
		cmocka_unit_test(page_mapped_over_a_leaf_keeps_its_neighbours),
		cmocka_unit_test(nothing_is_mapped_where_nothing_is_reserved),
		cmocka_unit_test(table_of_the_slower_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
