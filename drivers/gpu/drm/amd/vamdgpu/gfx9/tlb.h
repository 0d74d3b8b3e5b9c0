/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The translation cache of one queue. Pure logic.
 */
#ifndef _VAMDGPU_GFX9_TLB_H
#define _VAMDGPU_GFX9_TLB_H

#include "pte.h"

/**
 * DOC: TLB
 *
 * A hash of fixed size with three widths of entry: 4 KiB, 64 KiB and 2 MiB. A
 * fragment is kept as the widest of them that fits.
 *
 * It is strict: an entry stays until a flush. When there is no room a new
 * translation is not kept; nothing is ever displaced, and a walk never corrects
 * an entry that allows the access. So a driver that forgets a flush sees wrong
 * data, each time.
 *
 * One exception: an entry that forbids the access is walked again, as the
 * hardware does before it reports a fault, and replaced if the table now says
 * otherwise.
 */
#define GFX9_TLB_LG2	13
#define GFX9_TLB_WAYS	8	/* places an entry can have */

/**
 * struct gfx9_tlb_entry - a translation
 * @tag: address (bits 47:12), width (bits 1:0), epoch (bits 11:2 and 63:48)
 * @pte: as in the page table, with the address of the entry's first byte
 */
struct gfx9_tlb_entry {
	u64 tag;
	u64 pte;
};

/**
 * struct gfx9_tlb - the cache
 * @epoch: entries of another epoch are empty
 * @entries: 2^GFX9_TLB_LG2 of them
 */
struct gfx9_tlb {
	u32 epoch;
	struct gfx9_tlb_entry *entries;
};

#define GFX9_TLB_LEN	(sizeof(struct gfx9_tlb_entry) << GFX9_TLB_LG2)

void gfx9_tlb_init(struct gfx9_tlb *tlb, struct gfx9_tlb_entry *entries);
void gfx9_tlb_flush(struct gfx9_tlb *tlb);
bool gfx9_tlb_lookup(const struct gfx9_tlb *tlb, u64 va,
		     struct gfx9_xlat *xlat);
void gfx9_tlb_insert(struct gfx9_tlb *tlb, u64 va,
		     const struct gfx9_xlat *xlat);

#endif /* _VAMDGPU_GFX9_TLB_H */
