/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one GPU has mapped of one block of 2 MiB. Pure logic: no lock, no mm.
 */
#ifndef _KFD_SVM_EXTENTS_H
#define _KFD_SVM_EXTENTS_H

#include <linux/kfdsvm_seam.h>

/**
 * DOC: Mapping of a block
 *
 * Pages are numbered within the block, 0..511, and spans of them are closed.
 *
 * A bit in &kfd_svm_mapping.mapped says that the GPU's page table shows the
 * page. What it shows stands in the *extents*: an array sorted by page, whose
 * members do not overlap and never change their span. Invalidation clears bits
 * and leaves the array alone, so it needs no memory; populating a window
 * replaces the array by a merged one made beforehand.
 *
 * One call to the DMA API covers a *DMA run*. Where part of a run is replaced,
 * the extents that remain of it share its map_id, and it is undone as a whole
 * when no page of any of them is mapped any more. A run in VRAM has no DMA address but
 * one in the VRAM of a GPU, and nothing to undo.
 */

#define KFD_SVM_BLOCK_SHIFT	21
#define KFD_SVM_BLOCK_PAGES	(1U << (KFD_SVM_BLOCK_SHIFT - PAGE_SHIFT))

#define KFD_SVM_EXT_WRITE	BIT(0)	/* the CPU's page table allows writing */
#define KFD_SVM_EXT_DIRTY	BIT(1)	/* all of it was dirty already */
#define KFD_SVM_EXT_ASKED	BIT(2)	/* write was asked for where allowed */
#define KFD_SVM_EXT_UNDONE	BIT(3)	/* the DMA run is gone */
#define KFD_SVM_EXT_VRAM	BIT(4)	/* in the VRAM of the GPU with index ... */
#define KFD_SVM_EXT_GPU		GENMASK(15, 8)

/**
 * struct kfd_svm_extent - a run of pages that are mapped alike
 * @pfn: of the first page of the DMA run
 * @addr: of the first page of the DMA run: for DMA or, with VRAM, in that GPU's VRAM
 * @map_id: names the DMA run
 * @flags: KFD_SVM_EXT_*
 * @map_first: first page of the DMA run
 * @map_npages: pages in it
 * @first: first page of this extent, within the DMA run
 * @npages: pages in it
 */
struct kfd_svm_extent {
	u64 pfn;
	u64 addr;
	u32 map_id;
	u32 flags;
	u16 map_first;
	u16 map_npages;
	u16 first;
	u16 npages;
};

/**
 * struct kfd_svm_extents - the extents of a mapping
 * @nr: how many
 * @nr_max: how many there is room for
 * @ext: sorted by page, disjoint
 */
struct kfd_svm_extents {
	unsigned int nr;
	unsigned int nr_max;
	struct kfd_svm_extent ext[];
};

/**
 * struct kfd_svm_mapping - what one GPU has of one block
 * @mapped: pages its page table shows
 * @want: pages it must have and has not: memory that was taken away and is to be
 *	restored, or could not be had
 * @exts: describe at least all pages in @mapped: @one, or an array of its own; may be NULL
 *	if there are none
 * @zap_first: first page the zap under way took from the page table
 * @zap_last: last such page
 * @zapped: there is such a span
 * @one: room for a single extent, which is most often enough
 */
struct kfd_svm_mapping {
	DECLARE_BITMAP(mapped, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(want, KFD_SVM_BLOCK_PAGES);
	struct kfd_svm_extents *exts;
	u16 zap_first;
	u16 zap_last;
	bool zapped;
	struct kfd_svm_extents one;	/* and its extent */
};

static inline unsigned int
kfd_svm_extent_last(const struct kfd_svm_extent *ext)
{
	return ext->first + ext->npages - 1;
}

static inline u64 kfd_svm_extent_addr_at(const struct kfd_svm_extent *ext,
					 unsigned int page)
{
	return ext->addr + ((u64)(page - ext->map_first) << PAGE_SHIFT);
}

static inline u64 kfd_svm_extent_pfn_at(const struct kfd_svm_extent *ext,
					unsigned int page)
{
	return ext->pfn + (page - ext->map_first);
}

bool kfd_svm_bits_any(const unsigned long *bits, unsigned int first,
		      unsigned int last);
bool kfd_svm_bits_next_run(const unsigned long *bits, unsigned int *first,
			   unsigned int *last, unsigned int limit);

struct kfd_svm_extent *kfd_svm_extent_find(const struct kfd_svm_mapping *map,
					   unsigned int page);
struct kfd_svm_extent *
kfd_svm_mapping_next_run(const struct kfd_svm_mapping *map, unsigned int *first,
			 unsigned int *last, unsigned int limit);
bool kfd_svm_dma_run_in_use(const struct kfd_svm_mapping *map,
			    const struct kfd_svm_extent *of);
void kfd_svm_dma_run_set_undone(const struct kfd_svm_mapping *map,
				const struct kfd_svm_extent *of);

unsigned int kfd_svm_extents_merge(const struct kfd_svm_mapping *map,
				   const unsigned long *replace,
				   const struct kfd_svm_extent *fresh,
				   unsigned int nr_fresh,
				   struct kfd_svm_extents *out);

#endif /* _KFD_SVM_EXTENTS_H */
