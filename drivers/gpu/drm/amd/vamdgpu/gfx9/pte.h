/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page-table entries of GFX9, bit by bit. Pure logic.
 */
#ifndef _VAMDGPU_GFX9_PTE_H
#define _VAMDGPU_GFX9_PTE_H

#include <linux/kfdsvm_seam.h>
#include <linux/kfd_svm_backend.h>

/**
 * DOC: Entries
 *
 * A virtual address of 48 bits is translated in four steps of 9 bits. Each table
 * is a page of 512 entries of 64 bits:
 *
 *   PDB2 47:39 -> PDB1 38:30 -> PDB0 29:21 -> PTB 20:12 -> page
 *
 * Entries of PDB2, PDB1 and PDB0 are PDEs and hold the address of the next table.
 * An entry of PDB0 with GFX9_PDE_PTE set is a leaf of 2 MiB instead. Entries of
 * PTB are PTEs. All zero: nothing there.
 *
 * The fragment field of a leaf is the log2 of the number of 4 KiB pages of an
 * aligned run, that the leaf is part of, whose leaves differ in nothing but
 * consecutive addresses. A TLB may keep the run as one entry.
 */
#define GFX9_PTE_VALID		BIT_ULL(0)
#define GFX9_PTE_SYSTEM		BIT_ULL(1)
#define GFX9_PTE_SNOOPED	BIT_ULL(2)
#define GFX9_PTE_EXEC		BIT_ULL(4)
#define GFX9_PTE_READ		BIT_ULL(5)
#define GFX9_PTE_WRITE		BIT_ULL(6)
#define GFX9_PTE_FRAG		GENMASK_ULL(11, 7)
#define GFX9_PTE_ADDR		GENMASK_ULL(47, 12)
#define GFX9_PTE_PRT		BIT_ULL(51)
/* The hardware ignores this bit. Not a memory object's: the CPU has the same page. */
#define GFX9_PTE_SVM		BIT_ULL(52)
#define GFX9_PDE_PTE		BIT_ULL(54)
#define GFX9_PTE_MTYPE		GENMASK_ULL(58, 57)

#define GFX9_PDE_ADDR		GENMASK_ULL(47, 6)
#define GFX9_PDE_BFS		GENMASK_ULL(63, 59)	/* block fragment size */

/* A flag beside KFD_SVM_PTE_*: GFX9_PTE_SVM. */
#define GFX9_MAP_SVM		BIT(31)

#define GFX9_PAGE_SHIFT		12
#define GFX9_PAGE_LEN		BIT_ULL(GFX9_PAGE_SHIFT)
#define GFX9_HUGE_SHIFT		21
#define GFX9_HUGE_LEN		BIT_ULL(GFX9_HUGE_SHIFT)
#define GFX9_VA_BITS		48
#define GFX9_VA_LAST		GENMASK_ULL(GFX9_VA_BITS - 1, 0)
/* A fragment never goes beyond the span of one entry of PDB0. */
#define GFX9_FRAG_MAX		9U

/**
 * struct gfx9_xlat - what a leaf says
 * @addr: address of the first byte of the leaf or fragment
 * @shift: log2 of the bytes that are translated alike
 * @pte: the entry; permissions and GFX9_PTE_SYSTEM
 */
struct gfx9_xlat {
	u64 addr;
	unsigned int shift;
	u64 pte;
};

u64 gfx9_pte_encode(u64 addr, u32 flags, unsigned int frag);
u64 gfx9_pde_encode(u64 table_addr, unsigned int bfs);
u32 gfx9_pte_flags(u64 pte);
struct gfx9_xlat gfx9_pte_xlat(u64 pte, u64 va, unsigned int leaf_shift);
unsigned int gfx9_frag_best(u64 va, u64 addr, u64 len);

static inline bool gfx9_pte_allows(u64 pte, bool write)
{
	u64 need = GFX9_PTE_VALID | (write ? GFX9_PTE_WRITE : GFX9_PTE_READ);

	return (pte & need) == need;
}

#endif /* _VAMDGPU_GFX9_PTE_H */
