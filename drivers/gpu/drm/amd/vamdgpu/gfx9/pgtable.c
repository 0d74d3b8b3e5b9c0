// SPDX-License-Identifier: GPL-2.0-only
/*
 * The four-level page tables of one GPU address space: grow, map, unmap, walk.
 *
 * Writers hold a lock of the owner. map and unmap go in steps of one 2 MiB entry, or of a
 * few that are leaves, so that the owner can let go of the lock between them.
 */
#include "pgtable.h"

#define LEVEL_BITS	9

static unsigned int level_shift(unsigned int level)
{
	return GFX9_PAGE_SHIFT + level * LEVEL_BITS;
}

static unsigned int level_index(u64 va, unsigned int level)
{
	return (va >> level_shift(level)) & (GFX9_PT_ENTRIES - 1);
}

/* First address behind the span of the entry of @level that holds @va. */
static u64 level_next(u64 va, unsigned int level)
{
	u64 len = 1ULL << level_shift(level);

	return (va & ~(len - 1)) + len;
}

int gfx9_pt_init(struct gfx9_pt *pt, const struct gfx9_pt_mem *mem)
{
	pt->mem = mem;
	pt->root = mem->alloc(GFX9_PT_LEVELS - 1);
	pt->ntables = 1;
	return pt->root ? 0 : -ENOMEM;
}

static void free_leaf_tables(struct gfx9_pt *pt, struct gfx9_pt_table *pdb0)
{
	unsigned int i;

	for (i = 0; i < GFX9_PT_ENTRIES; i++) {
		if (pdb0->children[i])
			pt->mem->free(pdb0->children[i], 0);
	}
	pt->mem->free(pdb0, 1);
}

/* No walker is left. */
void gfx9_pt_fini(struct gfx9_pt *pt)
{
	struct gfx9_pt_table *pdb1;
	unsigned int i, k;

	if (!pt->root)
		return;
	for (i = 0; i < GFX9_PT_ENTRIES; i++) {
		pdb1 = pt->root->children[i];
		if (!pdb1)
			continue;
		for (k = 0; k < GFX9_PT_ENTRIES; k++) {
			if (pdb1->children[k])
				free_leaf_tables(pt, pdb1->children[k]);
		}
		pt->mem->free(pdb1, 2);
	}
	pt->mem->free(pt->root, 3);
	pt->root = NULL;
}

/* The table of @level that @va goes through, NULL if it is not there. */
static struct gfx9_pt_table *find_table(struct gfx9_pt *pt, u64 va,
					unsigned int level)
{
	struct gfx9_pt_table *table = pt->root;
	unsigned int l;

	for (l = GFX9_PT_LEVELS - 1; table && l > level; l--)
		table = table->children[level_index(va, l)];
	return table;
}

/* Level of the highest table that @va lacks, -1 if it lacks none. */
int gfx9_pt_missing(struct gfx9_pt *pt, u64 va)
{
	struct gfx9_pt_table *table = pt->root;
	int level;

	for (level = GFX9_PT_LEVELS - 2; level >= 0; level--) {
		table = table->children[level_index(va, level + 1)];
		if (!table)
			return level;
	}
	return -1;
}

/*
 * The first address from *@va on, up to @last_va, that lacks a table, or as far as one table
 * of level 1 tells that there is none. Return: as gfx9_pt_missing().
 */
int gfx9_pt_next_missing(struct gfx9_pt *pt, u64 *va, u64 last_va)
{
	int level = gfx9_pt_missing(pt, *va);
	struct gfx9_pt_table *pdb0;

	if (level >= 0)
		return level;
	pdb0 = find_table(pt, *va, 1);
	do {
		*va = level_next(*va, 1);
		if (*va > last_va || !level_index(*va, 1))
			return -1;
	} while (pdb0->children[level_index(*va, 1)]);
	return 0;
}

/* False if another was faster; the table is then still the caller's. */
bool gfx9_pt_attach(struct gfx9_pt *pt, u64 va, unsigned int level,
		    struct gfx9_pt_table *table)
{
	struct gfx9_pt_table *parent = find_table(pt, va, level + 1);
	unsigned int idx = level_index(va, level + 1);
	/* PDB1 says that the entries of PDB0 it points to span 2 MiB. */
	unsigned int bfs = level == 1 ? GFX9_FRAG_MAX : 0;

	if (!parent || parent->children[idx])
		return false;
	WRITE_ONCE(parent->children[idx], table);
	/* Pairs with smp_load_acquire() in gfx9_pt_walk(): PDE, then child. */
	smp_store_release(&parent->entries[idx],
			  gfx9_pde_encode(table->addr, bfs));
	pt->ntables++;
	return true;
}

/* Consecutive leaves of @n pages from @idx, with the best fragments. */
static void fill_ptes(struct gfx9_pt_table *ptb, unsigned int idx,
		      unsigned int n, u64 addr, u32 flags)
{
	unsigned int frag, run;

	while (n) {
		frag = gfx9_frag_best((u64)idx << GFX9_PAGE_SHIFT, addr,
				      (u64)n << GFX9_PAGE_SHIFT);
		for (run = 1U << frag; run; run--, n--, idx++) {
			ptb->nr_valid += !(ptb->entries[idx] & GFX9_PTE_VALID);
			WRITE_ONCE(ptb->entries[idx],
				   gfx9_pte_encode(addr, flags, frag));
			addr += GFX9_PAGE_LEN;
		}
	}
}

/* Makes @idx a border: no fragment lies on both sides of it. */
static void split_fragment(struct gfx9_pt_table *ptb, unsigned int idx)
{
	unsigned int frag, base;
	u64 addr, pte;
	u32 flags;

	if (idx >= GFX9_PT_ENTRIES)
		return;
	pte = ptb->entries[idx];
	frag = FIELD_GET(GFX9_PTE_FRAG, pte);
	base = idx & ~((1U << frag) - 1);
	if (!(pte & GFX9_PTE_VALID) || base == idx)
		return;
	flags = gfx9_pte_flags(pte);
	addr = (pte & GFX9_PTE_ADDR) - ((u64)(idx - base) << GFX9_PAGE_SHIFT);
	fill_ptes(ptb, base, idx - base, addr, flags);
	fill_ptes(ptb, idx, base + (1U << frag) - idx, pte & GFX9_PTE_ADDR,
		  flags);
}

static void zero_ptes(struct gfx9_pt_table *ptb, unsigned int idx,
		      unsigned int n)
{
	for (; n && ptb->nr_valid; n--, idx++) {
		ptb->nr_valid -= !!(ptb->entries[idx] & GFX9_PTE_VALID);
		WRITE_ONCE(ptb->entries[idx], 0);
	}
}

/* A 2 MiB leaf becomes 512 PTEs that say the same; the table is there. */
static void split_leaf(struct gfx9_pt_table *pdb0, unsigned int idx)
{
	struct gfx9_pt_table *ptb = pdb0->children[idx];
	u64 pde = pdb0->entries[idx];

	fill_ptes(ptb, 0, GFX9_PT_ENTRIES, pde & GFX9_PTE_ADDR,
		  gfx9_pte_flags(pde));
	/* The walker that sees this PDE sees those PTEs. */
	smp_store_release(&pdb0->entries[idx], gfx9_pde_encode(ptb->addr, 0));
}

static void write_leaf(struct gfx9_pt_table *pdb0, unsigned int idx, u64 pte)
{
	bool was_leaf = pdb0->entries[idx] & GFX9_PDE_PTE;

	WRITE_ONCE(pdb0->entries[idx], pte);
	if (!was_leaf)
		zero_ptes(pdb0->children[idx], 0, GFX9_PT_ENTRIES);
}

/* Consecutive leaves of 2 MiB from @idx on, as far as there are tables; bytes done. */
static u64 write_leaves(struct gfx9_pt_table *pdb0, unsigned int idx, u64 addr,
			u64 len, u32 flags)
{
	u64 pte = gfx9_pte_encode(addr, flags, GFX9_FRAG_MAX) | GFX9_PDE_PTE;
	unsigned int n = min(GFX9_PT_ENTRIES - idx, (unsigned int)GFX9_PT_STEP_LEAVES);
	u64 done = 0;

	n = min((u64)n, len >> GFX9_HUGE_SHIFT);
	for (; n && pdb0->children[idx]; n--, idx++) {
		write_leaf(pdb0, idx, pte);
		/* The address is in its place, and ends far below the bits above it. */
		pte += GFX9_HUGE_LEN;
		done += GFX9_HUGE_LEN;
	}
	return done;
}

/*
 * Maps the start of a span: whole 2 MiB entries, GFX9_PT_STEP_LEAVES at most, or up to the
 * end of one; returns the bytes done, 0 if a table is missing. Overwrites what is there.
 */
u64 gfx9_pt_map_step(struct gfx9_pt *pt, u64 va, u64 addr, u64 len, u32 flags)
{
	struct gfx9_pt_table *pdb0 = find_table(pt, va, 1);
	unsigned int idx = level_index(va, 1), first, n;
	u64 step = min(len, level_next(va, 1) - va);
	struct gfx9_pt_table *ptb;

	if (!pdb0 || !pdb0->children[idx])
		return 0;
	if (step == GFX9_HUGE_LEN && IS_ALIGNED(addr, GFX9_HUGE_LEN))
		return write_leaves(pdb0, idx, addr, len, flags);
	if (pdb0->entries[idx] & GFX9_PDE_PTE)
		split_leaf(pdb0, idx);
	ptb = pdb0->children[idx];
	first = level_index(va, 0);
	n = step >> GFX9_PAGE_SHIFT;
	split_fragment(ptb, first);
	split_fragment(ptb, first + n);
	fill_ptes(ptb, first, n, addr, flags);
	return step;
}

static void note_cleared(u64 first_va, u64 last_va, u64 *cleared_first,
			 u64 *cleared_last)
{
	*cleared_first = min(*cleared_first, first_va);
	*cleared_last = max(*cleared_last, last_va);
}

/*
 * Unmaps the start of a span, up to the end of one entry, and returns the first
 * address not looked at. Widens *@cleared_first..*@cleared_last by the leaves
 * that were looked at; a 2 MiB leaf goes whole.
 */
u64 gfx9_pt_unmap_step(struct gfx9_pt *pt, u64 first_va, u64 last_va,
		       u64 *cleared_first, u64 *cleared_last)
{
	struct gfx9_pt_table *table = pt->root;
	unsigned int level, idx, first, last;
	u64 next;

	for (level = GFX9_PT_LEVELS - 1; level; level--) {
		idx = level_index(first_va, level);
		if (!table->children[idx])
			return level_next(first_va, level);
		if (level > 1)
			table = table->children[idx];
	}

	next = level_next(first_va, 1);
	if (table->entries[idx] & GFX9_PDE_PTE) {
		WRITE_ONCE(table->entries[idx],
			   gfx9_pde_encode(table->children[idx]->addr, 0));
		note_cleared(next - GFX9_HUGE_LEN, next - 1, cleared_first,
			     cleared_last);
		return next;
	}
	table = table->children[idx];
	last_va = min(last_va, next - 1);
	first = level_index(first_va, 0);
	last = level_index(last_va, 0);
	split_fragment(table, first);
	split_fragment(table, last + 1);
	zero_ptes(table, first, last - first + 1);
	note_cleared(first_va & ~(GFX9_PAGE_LEN - 1),
		     last_va | (GFX9_PAGE_LEN - 1), cleared_first,
		     cleared_last);
	return next;
}

/* As the hardware walks: no lock, only what the entries say. */
bool gfx9_pt_walk(const struct gfx9_pt *pt, u64 va, struct gfx9_xlat *xlat)
{
	const struct gfx9_pt_table *table = pt->root;
	unsigned int level, idx;
	u64 entry;

	if (va > GFX9_VA_LAST)
		return false;
	for (level = GFX9_PT_LEVELS - 1; level; level--) {
		idx = level_index(va, level);
		/* Pairs with smp_store_release() in gfx9_pt_attach(). */
		entry = smp_load_acquire(&table->entries[idx]);
		if (!(entry & GFX9_PTE_VALID))
			return false;
		if (entry & GFX9_PDE_PTE) {
			*xlat = gfx9_pte_xlat(entry, va, level_shift(level));
			return true;
		}
		table = READ_ONCE(table->children[idx]);
	}
	entry = READ_ONCE(table->entries[level_index(va, 0)]);
	if (!(entry & GFX9_PTE_VALID))
		return false;
	*xlat = gfx9_pte_xlat(entry, va, GFX9_PAGE_SHIFT);
	return true;
}

/*
 * The leaf of @va. Return: there is one; *@level is the level of its entry, or of the one
 * that is empty.
 */
static bool find_leaf(const struct gfx9_pt *pt, u64 va, u64 *pte,
		      unsigned int *level)
{
	const struct gfx9_pt_table *table = pt->root;
	unsigned int idx;

	for (*level = GFX9_PT_LEVELS - 1;; (*level)--) {
		idx = level_index(va, *level);
		/* Pairs with smp_store_release() in gfx9_pt_attach(). */
		*pte = smp_load_acquire(&table->entries[idx]);
		if (!(*pte & GFX9_PTE_VALID))
			return false;
		if (!*level || *pte & GFX9_PDE_PTE)
			return true;
		table = READ_ONCE(table->children[idx]);
	}
}

/* Does a leaf say of what follows it what @next says? @len: bytes between the two. */
static bool is_continued(u64 pte, u64 next, u64 len)
{
	const u64 differs = GFX9_PTE_ADDR | GFX9_PTE_FRAG;

	return !((pte ^ next) & ~differs) &&
	       (pte & GFX9_PTE_ADDR) + len == (next & GFX9_PTE_ADDR);
}

static unsigned int frag_shift(u64 pte)
{
	return GFX9_PAGE_SHIFT + (unsigned int)FIELD_GET(GFX9_PTE_FRAG, pte);
}

/*
 * The first run of leaves at or behind @va, which is cut at @va. As a walk: without a
 * lock, so of tables that change it tells what was there at some time.
 * Return: there is one.
 */
bool gfx9_pt_next_run(const struct gfx9_pt *pt, u64 va, struct gfx9_pt_run *run)
{
	unsigned int level, next_level;
	u64 pte, next, end;

	for (;; va = level_next(va, level)) {
		if (va > GFX9_VA_LAST)
			return false;
		if (find_leaf(pt, va, &pte, &level))
			break;
	}
	va &= ~(GFX9_PAGE_LEN - 1);
	/* In the middle of a large leaf. */
	pte += va & ((1ULL << level_shift(level)) - 1);
	*run = (struct gfx9_pt_run){
		.va = va,
		.pte = pte,
		.leaf_shift = level_shift(level),
		.frag_shift = frag_shift(pte),
	};
	for (end = level_next(va, level); end < level_next(va, 2);
	     end = level_next(end, level)) {
		if (!find_leaf(pt, end, &next, &next_level) ||
		    next_level != level || !is_continued(pte, next, end - va))
			break;
		run->frag_shift = max(run->frag_shift, frag_shift(next));
	}
	run->len = end - va;
	return true;
}
