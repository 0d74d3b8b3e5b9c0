// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hives: GPUs that reach each other's VRAM over a link.
 *
 * They share one GPU-physical address space, cut into segments of equal length, a
 * power of two; a GPU's VRAM lies at the start of the segment of its node number.
 * So the address in a PTE says whose memory it is, and reads the same on each of
 * them. A GPU without a link has the whole space, from 0.
 *
 * A GPU joins before the first address space on it is made, and leaves when none of them
 * runs any more and no other GPU has its VRAM mapped. So nobody who looks by an address
 * from a PTE meets the change.
 */
#include "gfx9_priv.h"

#include <linux/log2.h>
#include <linux/slab.h>

/**
 * struct gfx9_hive - GPUs with a link
 * @segment_shift: log2 of the bytes of a segment
 * @vrams: by node number
 */
struct gfx9_hive {
	unsigned int segment_shift;
	struct gfx9_vram *vrams[GFX9_HIVE_NODES];
};

/* @len: of the largest VRAM that will join. */
struct gfx9_hive *gfx9_hive_create(u64 len)
{
	struct gfx9_hive *hive = kzalloc(sizeof(*hive), GFP_KERNEL);

	if (!hive)
		return NULL;
	hive->segment_shift = ilog2(roundup_pow_of_two(len));
	return hive;
}

void gfx9_hive_destroy(struct gfx9_hive *hive)
{
	kfree(hive);
}

int gfx9_hive_join(struct gfx9_hive *hive, struct gfx9_vram *vram,
		   unsigned int node)
{
	u64 last = ((node + 1ULL) << hive->segment_shift) - 1;

	if (node >= GFX9_HIVE_NODES || hive->vrams[node] ||
	    gfx9_vram_size(vram) > 1ULL << hive->segment_shift ||
	    last & ~(GFX9_PTE_ADDR | (GFX9_PAGE_LEN - 1)))
		return -EINVAL;
	vram->hive = hive;
	vram->node = node;
	WRITE_ONCE(hive->vrams[node], vram);
	return 0;
}

void gfx9_hive_leave(struct gfx9_vram *vram)
{
	if (vram->hive)
		WRITE_ONCE(vram->hive->vrams[vram->node], NULL);
	vram->hive = NULL;
}

bool gfx9_vram_linked(const struct gfx9_vram *a, const struct gfx9_vram *b)
{
	return a == b || (a->hive && a->hive == b->hive);
}

u64 gfx9_vram_pte_addr(const struct gfx9_vram *vram, u64 addr)
{
	if (!vram->hive)
		return addr;
	return ((u64)vram->node << vram->hive->segment_shift) + addr;
}

/* The VRAM that a PTE of the GPU that owns @vram names, and where in it; or NULL. */
struct gfx9_vram *gfx9_vram_locate(struct gfx9_vram *vram, u64 pte_addr,
				   u64 *addr)
{
	struct gfx9_hive *hive = vram->hive;
	u64 node;

	*addr = pte_addr;
	if (!hive)
		return vram;
	*addr = pte_addr & ((1ULL << hive->segment_shift) - 1);
	node = pte_addr >> hive->segment_shift;
	return node < GFX9_HIVE_NODES ? READ_ONCE(hive->vrams[node]) : NULL;
}

/* The page that a PTE of the GPU that owns @vram names; NULL: there is none. */
struct page *gfx9_vram_resolve(struct gfx9_vram *vram, u64 pte_addr)
{
	u64 addr;

	vram = gfx9_vram_locate(vram, pte_addr, &addr);
	return vram ? gfx9_vram_page(vram, addr) : NULL;
}
