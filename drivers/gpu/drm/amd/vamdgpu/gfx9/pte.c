// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page-table entries of GFX9: from the core's flags to bits and back.
 */
#include "pte.h"

static const struct {
	u32 flag;
	u64 bit;
} pte_bits[] = {
	{ KFD_SVM_PTE_READ, GFX9_PTE_READ },
	{ KFD_SVM_PTE_WRITE, GFX9_PTE_WRITE },
	{ KFD_SVM_PTE_EXEC, GFX9_PTE_EXEC },
	{ KFD_SVM_PTE_SYSTEM, GFX9_PTE_SYSTEM },
	{ KFD_SVM_PTE_SNOOPED, GFX9_PTE_SNOOPED },
	{ GFX9_MAP_SVM, GFX9_PTE_SVM },
};

/* A leaf; the caller of a 2 MiB leaf adds GFX9_PDE_PTE. */
u64 gfx9_pte_encode(u64 addr, u32 flags, unsigned int frag)
{
	u64 pte = GFX9_PTE_VALID | (addr & GFX9_PTE_ADDR);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pte_bits); i++) {
		if (flags & pte_bits[i].flag)
			pte |= pte_bits[i].bit;
	}
	pte |= FIELD_PREP(GFX9_PTE_MTYPE,
			  (u64)FIELD_GET(KFD_SVM_PTE_MTYPE, flags));
	return pte | FIELD_PREP(GFX9_PTE_FRAG, (u64)frag);
}

/* Tables are system memory that the CPU's caches hold. */
u64 gfx9_pde_encode(u64 table_addr, unsigned int bfs)
{
	return GFX9_PTE_VALID | GFX9_PTE_SYSTEM | GFX9_PTE_SNOOPED |
	       (table_addr & GFX9_PDE_ADDR) |
	       FIELD_PREP(GFX9_PDE_BFS, (u64)bfs);
}

/* What gfx9_pte_encode() was given. */
u32 gfx9_pte_flags(u64 pte)
{
	u32 flags = FIELD_PREP(KFD_SVM_PTE_MTYPE,
			       (u32)FIELD_GET(GFX9_PTE_MTYPE, pte));
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pte_bits); i++) {
		if (pte & pte_bits[i].bit)
			flags |= pte_bits[i].flag;
	}
	return flags;
}

/*
 * The widest run that a valid leaf vouches for. @leaf_shift: 12 for a PTE, 21
 * for a PDE that is a leaf.
 */
struct gfx9_xlat gfx9_pte_xlat(u64 pte, u64 va, unsigned int leaf_shift)
{
	unsigned int frag = FIELD_GET(GFX9_PTE_FRAG, pte);
	struct gfx9_xlat x = { .pte = pte };
	u64 leaf_va;

	frag = min(frag, GFX9_FRAG_MAX);
	x.shift = max(leaf_shift, GFX9_PAGE_SHIFT + frag);
	leaf_va = va & ~((1ULL << leaf_shift) - 1);
	x.addr = (pte & GFX9_PTE_ADDR) - (leaf_va & ((1ULL << x.shift) - 1));
	return x;
}

/* The largest fragment that may begin at @va. Bytes; @len is at least a page. */
unsigned int gfx9_frag_best(u64 va, u64 addr, u64 len)
{
	u64 align = (va | addr) >> GFX9_PAGE_SHIFT;
	unsigned int frag = ilog2(len >> GFX9_PAGE_SHIFT);

	if (align)
		frag = min(frag, (unsigned int)__ffs64(align));
	return min(frag, GFX9_FRAG_MAX);
}
