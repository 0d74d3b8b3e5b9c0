/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The four-level page tables of one GPU address space. Pure logic.
 */
#ifndef _VAMDGPU_GFX9_PGTABLE_H
#define _VAMDGPU_GFX9_PGTABLE_H

#include "pte.h"

/**
 * DOC: Page tables
 *
 * The tables are pages whose entries hold real addresses; beside each table of
 * directories stands a shadow with the children as pointers, which is what the
 * code follows.
 *
 * Invariants, under the lock of the owner (writers) and without it (walkers):
 *
 * - A table once attached stays until the whole is freed. So a walker that holds
 *   no lock never meets freed memory, and map and unmap need no allocation.
 * - A PDE of PDB0 is either empty with no child, or points to its child, or is a
 *   leaf. While it is a leaf its child is attached and all zero.
 * - Each store to an entry is one 64-bit store. A walker sees the old or the new
 *   translation, never a mixture; that it may still see the old one is what a
 *   flush is for.
 * - All leaves of a fragment are valid, alike and consecutive: who changes a part
 *   of it first splits it.
 * - A PTB counts its valid entries: what is empty need not be cleared, and 512 stores
 *   for each leaf of 2 MiB are most of what it costs. Walkers do not look at it.
 */
#define GFX9_PT_ENTRIES	512
#define GFX9_PT_LEVELS	4	/* 3 PDB2, 2 PDB1, 1 PDB0, 0 PTB */

/* Leaves of 2 MiB that one step of mapping writes. */
#define GFX9_PT_STEP_LEAVES	16

/**
 * struct gfx9_pt_table - a table
 * @entries: the page
 * @addr: its address, for the entry above
 * @children: of a directory; NULL for a PTB
 * @nr_valid: of a PTB, its valid entries
 */
struct gfx9_pt_table {
	u64 *entries;
	u64 addr;
	struct gfx9_pt_table **children;
	unsigned int nr_valid;
};

/**
 * struct gfx9_pt_mem - where tables come from
 * @alloc: a table, zeroed; of a directory (level > 0) with children
 * @free: its counterpart
 */
struct gfx9_pt_mem {
	struct gfx9_pt_table *(*alloc)(unsigned int level);
	void (*free)(struct gfx9_pt_table *table, unsigned int level);
};

/**
 * struct gfx9_pt - the tables of one address space
 * @mem: allocator
 * @root: PDB2
 * @ntables: tables attached, the root among them
 */
struct gfx9_pt {
	const struct gfx9_pt_mem *mem;
	struct gfx9_pt_table *root;
	unsigned long ntables;
};

/**
 * struct gfx9_pt_run - leaves of one size that differ in nothing but consecutive addresses
 * @va: first byte
 * @len: bytes, not beyond the 1 GiB that @va is in
 * @pte: the first leaf; its address is that of @va
 * @leaf_shift: log2 of the bytes of a leaf
 * @frag_shift: log2 of the bytes of the largest fragment among them
 */
struct gfx9_pt_run {
	u64 va;
	u64 len;
	u64 pte;
	unsigned int leaf_shift;
	unsigned int frag_shift;
};

int gfx9_pt_init(struct gfx9_pt *pt, const struct gfx9_pt_mem *mem);
void gfx9_pt_fini(struct gfx9_pt *pt);

int gfx9_pt_missing(struct gfx9_pt *pt, u64 va);
int gfx9_pt_next_missing(struct gfx9_pt *pt, u64 *va, u64 last_va);
bool gfx9_pt_attach(struct gfx9_pt *pt, u64 va, unsigned int level,
		    struct gfx9_pt_table *table);

u64 gfx9_pt_map_step(struct gfx9_pt *pt, u64 va, u64 addr, u64 len, u32 flags);
u64 gfx9_pt_unmap_step(struct gfx9_pt *pt, u64 first_va, u64 last_va,
		       u64 *cleared_first, u64 *cleared_last);
bool gfx9_pt_walk(const struct gfx9_pt *pt, u64 va, struct gfx9_xlat *xlat);
bool gfx9_pt_next_run(const struct gfx9_pt *pt, u64 va, struct gfx9_pt_run *run);

#endif /* _VAMDGPU_GFX9_PGTABLE_H */
