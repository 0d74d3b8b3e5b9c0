// SPDX-License-Identifier: GPL-2.0-only
/*
 * The translation cache of one queue: strict, see tlb.h.
 */
#include "tlb.h"

#define EPOCH_BITS	26
#define EPOCH_LOW	GENMASK_ULL(11, 2)
#define EPOCH_HIGH	GENMASK_ULL(63, 48)

/* Widest first: a 2 MiB leaf is what a large mapping is made of. */
static const unsigned int widths[] = { 21, 16, 12 };

void gfx9_tlb_init(struct gfx9_tlb *tlb, struct gfx9_tlb_entry *entries)
{
	tlb->entries = entries;
	tlb->epoch = 0;
	gfx9_tlb_flush(tlb);
}

/* Takes no time, but for once in 2^26. */
void gfx9_tlb_flush(struct gfx9_tlb *tlb)
{
	tlb->epoch = (tlb->epoch + 1) & ((1U << EPOCH_BITS) - 1);
	if (tlb->epoch)
		return;
	tlb->epoch = 1;
	memset(tlb->entries, 0, GFX9_TLB_LEN);
}

static u64 make_tag(const struct gfx9_tlb *tlb, u64 va, unsigned int width)
{
	return (va & GENMASK_ULL(47, 12) & ~((1ULL << widths[width]) - 1)) |
	       FIELD_PREP(EPOCH_LOW, (u64)(tlb->epoch & 0x3ff)) |
	       FIELD_PREP(EPOCH_HIGH, (u64)(tlb->epoch >> 10)) | width;
}

static bool is_current(const struct gfx9_tlb *tlb, u64 tag)
{
	return !((tag ^ make_tag(tlb, 0, 0)) & (EPOCH_LOW | EPOCH_HIGH));
}

static unsigned int first_place(u64 va, unsigned int width)
{
	u64 key = (va >> widths[width]) * 4 + width;

	return (key * 0x9E3779B97F4A7C15ULL) >> (64 - GFX9_TLB_LG2);
}

/* The entry with this tag, or else an empty one, or else NULL. */
static struct gfx9_tlb_entry *find(const struct gfx9_tlb *tlb, u64 va,
				   unsigned int width)
{
	u64 tag = make_tag(tlb, va, width);
	unsigned int at = first_place(va, width), i;
	struct gfx9_tlb_entry *e;

	for (i = 0; i < GFX9_TLB_WAYS; i++) {
		e = &tlb->entries[(at + i) & ((1U << GFX9_TLB_LG2) - 1)];
		if (e->tag == tag || !is_current(tlb, e->tag))
			return e;
	}
	return NULL;
}

bool gfx9_tlb_lookup(const struct gfx9_tlb *tlb, u64 va, struct gfx9_xlat *xlat)
{
	const struct gfx9_tlb_entry *e;
	unsigned int i;

	if (va > GFX9_VA_LAST)
		return false;
	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		e = find(tlb, va, i);
		if (!e || e->tag != make_tag(tlb, va, i))
			continue;
		xlat->addr = e->pte & GFX9_PTE_ADDR;
		xlat->shift = widths[i];
		xlat->pte = e->pte;
		return true;
	}
	return false;
}

/* Replaces an entry of the same address and width, never another one. */
void gfx9_tlb_insert(struct gfx9_tlb *tlb, u64 va, const struct gfx9_xlat *xlat)
{
	unsigned int i = 0;
	struct gfx9_tlb_entry *e;
	u64 off;

	while (widths[i] > xlat->shift)
		i++;
	e = find(tlb, va, i);
	if (!e)
		return;
	off = va & ((1ULL << xlat->shift) - 1) & ~((1ULL << widths[i]) - 1);
	e->tag = make_tag(tlb, va, i);
	e->pte = (xlat->pte & ~GFX9_PTE_ADDR) | (xlat->addr + off);
}
