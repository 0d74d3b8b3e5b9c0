// SPDX-License-Identifier: GPL-2.0-only
/*
 * Committing: what the mirror handed over becomes extents and page-table entries of one
 * GPU, if it still holds. See kfd_svm_map.c for the steps around it.
 *
 * Nothing here can fail but for the DMA mapping and for memory that the GPU cannot map
 * where it is; both are found out before anything is changed.
 */
#include "kfd_svm_priv.h"

#include <linux/slab.h>

/*
 * Mapped pages that need no work: eager, if write was asked for when they came;
 * else, if they are writable or nobody asks to write them.
 */
static void find_sufficient(const struct kfd_svm_populate *pop,
			    const struct kfd_svm_mapping *map,
			    unsigned long *sufficient)
{
	u32 enough = kfd_svm_is_eager(pop) ? KFD_SVM_EXT_ASKED : KFD_SVM_EXT_WRITE;
	DECLARE_BITMAP(readable, KFD_SVM_BLOCK_PAGES);
	struct kfd_svm_extent *ext;
	unsigned int page = 0, end;

	bitmap_zero(sufficient, KFD_SVM_BLOCK_PAGES);
	bitmap_zero(readable, KFD_SVM_BLOCK_PAGES);
	for (; (ext = kfd_svm_mapping_next_run(map, &page, &end,
					       KFD_SVM_BLOCK_PAGES - 1));
	     page = end + 1)
		bitmap_set(ext->flags & enough ? sufficient : readable, page,
			   end - page + 1);
	if (kfd_svm_is_eager(pop))
		return;
	bitmap_andnot(readable, readable, pop->write, KFD_SVM_BLOCK_PAGES);
	bitmap_or(sufficient, sufficient, readable, KFD_SVM_BLOCK_PAGES);
}

/* Fill in @prep->eligible and @prep->target. */
void kfd_svm_find_target(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
			 struct kfd_svm_prep *prep)
{
	const struct kfd_svm_mapping *map = prep->block->gpu[prep->gpu];
	unsigned long base = kfd_svm_block_first(prep->block);
	DECLARE_BITMAP(sufficient, KFD_SVM_BLOCK_PAGES);
	struct kfd_svm_attr_range *range;

	lockdep_assert_held(&svm->update_lock);

	bitmap_zero(prep->eligible, KFD_SVM_BLOCK_PAGES);
	kfd_svm_attr_for_each(range, &svm->attrs, prep->first, prep->last) {
		unsigned long first = max(range->first, prep->first);
		unsigned long last = min(range->last, prep->last);
		u64 gpus = kfd_svm_is_eager(pop) ?
			   kfd_svm_policy_eager(&range->attr, svm->xnack) :
			   range->attr.access | range->attr.in_place;

		if (kfd_svm_break_no_access_first)
			gpus = KFD_SVM_ALL_GPUS;

		if (gpus & BIT_ULL(prep->gpu))
			bitmap_set(prep->eligible, first - base,
				   last - first + 1);
	}
	bitmap_copy(prep->target, prep->eligible, KFD_SVM_BLOCK_PAGES);
	if (!map)
		return;
	find_sufficient(pop, map, sufficient);
	bitmap_andnot(prep->target, prep->target, sufficient,
		      KFD_SVM_BLOCK_PAGES);
}

static void undo_fresh(struct kfd_svm *svm, struct kfd_svm_prep *prep)
{
	while (prep->nr_fresh)
		kfd_svm_extent_undo(svm, prep->block, prep->gpu,
				    &svm->new_exts[--prep->nr_fresh]);
}

/*
 * DIRTY holds as long as the extent does: an entry becomes clean again by way of an
 * invalidation only.
 */
static u32 extent_flags(unsigned int flags)
{
	u32 ours = 0;

	/* All processes share the page of zeros. */
	if (flags & HMM_MIRROR_EXT_ZERO)
		return 0;
	if (flags & HMM_MIRROR_EXT_WRITE || kfd_svm_break_cow ||
	    (flags & HMM_MIRROR_EXT_PRIVATE && kfd_svm_break_fork_cow))
		ours |= KFD_SVM_EXT_WRITE;
	if (flags & HMM_MIRROR_EXT_DIRTY)
		ours |= KFD_SVM_EXT_DIRTY;
	return ours;
}

/**
 * struct spot - where a GPU finds an extent
 * @place: how it reaches it
 * @owner: index of the GPU whose VRAM it is; LOCAL and REMOTE
 * @addr: first byte in that VRAM; LOCAL and REMOTE
 */
struct spot {
	enum kfd_svm_place place;
	int owner;
	u64 addr;
};

static void find_spot(struct kfd_svm *svm, unsigned int gpu,
		      const struct hmm_mirror_range *range,
		      const struct hmm_mirror_extent *ext, struct spot *spot)
{
	bool coherent = !(ext->va_flags & HMM_MIRROR_EXT_PRIVATE);

	spot->place = KFD_SVM_PLACE_SYSTEM;
	if (kfd_svm_vram_find(svm, range, ext, &spot->owner, &spot->addr))
		spot->place = kfd_svm_place_of(&svm->links, gpu, spot->owner,
					       coherent);
}

/* What is in VRAM counts as used now. */
static void touch_vram(struct kfd_svm *svm, const struct kfd_svm_extent *ext)
{
	unsigned int owner = FIELD_GET(KFD_SVM_EXT_GPU, ext->flags);

	hmm_mirror_devmem_touch(svm->gpus[owner].gpu->mem, ext->addr,
				(u64)ext->npages << PAGE_SHIFT);
}

/*
 * Map first..last of @block, which lie in @ext, at @spot, for @gpu: fill in @fresh, but for
 * KFD_SVM_EXT_ASKED. Return: 0 or an error of hmm_mirror_extent_dma_map().
 */
static int make_extent(struct kfd_svm *svm, const struct kfd_svm_block *block,
		       unsigned int gpu, const struct hmm_mirror_extent *ext,
		       const struct spot *spot, unsigned int first,
		       unsigned int last, struct kfd_svm_extent *fresh)
{
	unsigned long va = (kfd_svm_block_first(block) + first) << PAGE_SHIFT;
	unsigned int flags = hmm_mirror_extent_flags(ext);
	unsigned long skip = (va - hmm_mirror_extent_va(ext)) >> PAGE_SHIFT;
	unsigned long pfn = hmm_mirror_extent_pfn(ext) + skip;
	unsigned int npages = last - first + 1;
	struct hmm_mirror_extent run = {
		.va_flags = va | (flags & ~HMM_MIRROR_EXT_WRITE),
		.pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN, pfn) |
			      FIELD_PREP(HMM_MIRROR_EXT_NPAGES, npages),
	};
	u32 ours = extent_flags(flags);
	dma_addr_t addr;
	int err;

	if (spot->place != KFD_SVM_PLACE_SYSTEM) {
		ours |= KFD_SVM_EXT_VRAM |
			FIELD_PREP(KFD_SVM_EXT_GPU, spot->owner);
		addr = spot->addr + ((u64)skip << PAGE_SHIFT);
	} else {
		/* As kfd_svm_extent_undo() will have it. */
		if (ours & KFD_SVM_EXT_WRITE)
			run.va_flags |= HMM_MIRROR_EXT_WRITE;
		err = hmm_mirror_extent_dma_map(svm->gpus[gpu].gpu->desc.dma_dev,
						&run, &addr);
		if (err)
			return err;
	}
	*fresh = (struct kfd_svm_extent){
		.pfn = pfn,
		.addr = addr,
		.map_id = svm->next_map_id++,
		.map_first = first,
		.map_npages = npages,
		.first = first,
		.npages = npages,
		.flags = ours,
	};
	if (ours & KFD_SVM_EXT_VRAM)
		touch_vram(svm, fresh);
	return 0;
}

static int add_fresh(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
		     struct kfd_svm_prep *prep, const struct hmm_mirror_extent *ext,
		     const struct spot *spot, unsigned int first,
		     unsigned int last)
{
	struct kfd_svm_extent *fresh = &svm->new_exts[prep->nr_fresh];
	int err = make_extent(svm, prep->block, prep->gpu, ext, spot, first, last,
			      fresh);

	if (err)
		return err;
	if (kfd_svm_is_eager(pop))
		fresh->flags |= KFD_SVM_EXT_ASKED;
	prep->nr_fresh++;
	bitmap_set(prep->replace, first, last - first + 1);
	return 0;
}

/*
 * Fresh extents for what the GPU lacks. On error there are none; pop->out_of_reach has all
 * pages that are the reason for -KFD_SVM_ENEEDSRAM.
 */
static int make_fresh(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		      const struct hmm_mirror_range *range,
		      const struct hmm_mirror_cursor *cursor,
		      struct kfd_svm_prep *prep)
{
	unsigned long base = kfd_svm_block_first(prep->block);
	bool needs_ram = false;
	unsigned int i;
	int err = 0;

	for (i = 0; i < cursor->nr && !err; i++) {
		const struct hmm_mirror_extent *ext = &cursor->extents[i];
		unsigned int page, limit, end;
		struct spot spot;

		if (!(hmm_mirror_extent_flags(ext) & HMM_MIRROR_EXT_VALID))
			continue;
		find_spot(svm, prep->gpu, range, ext, &spot);
		page = (hmm_mirror_extent_va(ext) >> PAGE_SHIFT) - base;
		limit = page + hmm_mirror_extent_npages(ext) - 1;
		for (; !err && kfd_svm_bits_next_run(prep->target, &page, &end,
						     limit); page = end + 1) {
			if (spot.place != KFD_SVM_PLACE_NEEDS_RAM) {
				err = add_fresh(svm, pop, prep, ext, &spot, page,
						end);
				continue;
			}
			bitmap_set(pop->out_of_reach, page, end - page + 1);
			needs_ram = true;
		}
	}
	if (!err && needs_ram)
		err = -KFD_SVM_ENEEDSRAM;
	if (err)
		undo_fresh(svm, prep);
	/* Another error comes before; the pages may be within reach of the next GPU. */
	if (err && err != -KFD_SVM_ENEEDSRAM)
		bitmap_zero(pop->out_of_reach, KFD_SVM_BLOCK_PAGES);
	return err;
}

/*
 * Install the fresh extents and write their PTEs. Cannot fail. Uses up the spare
 * array. Return: the array that was in use before.
 */
static struct kfd_svm_extents *install(struct kfd_svm *svm, struct kfd_svm_prep *prep)
{
	struct kfd_svm_block *block = prep->block;
	struct kfd_svm_mapping *map = block->gpu[prep->gpu];
	unsigned long base = kfd_svm_block_first(block);
	struct kfd_svm_pgpu *pgpu = &svm->gpus[prep->gpu];
	struct kfd_svm_extents *old = map->exts;
	unsigned int page, end, i;
	bool stop;

	lockdep_assert_held(&svm->update_lock);

	/* A GPU that cannot replay must not meet the gap. */
	stop = !svm->xnack && !svm->evicted &&
	       bitmap_intersects(map->mapped, prep->replace,
				 KFD_SVM_BLOCK_PAGES);
	if (stop)
		pgpu->gpu->desc.ops->quiesce(pgpu->vm);
	/* Replaced pages go first: their leaf may be larger than the window. */
	for (page = 0; kfd_svm_bits_next_run(prep->replace, &page, &end,
					     KFD_SVM_BLOCK_PAGES - 1);
	     page = end + 1)
		kfd_svm_zap(svm, base + page, base + end, BIT_ULL(prep->gpu));

	kfd_svm_extents_merge(map, prep->replace, svm->new_exts, prep->nr_fresh,
			      svm->spare_exts);
	map->exts = svm->spare_exts;
	svm->spare_exts = NULL;
	bitmap_or(map->mapped, map->mapped, prep->replace, KFD_SVM_BLOCK_PAGES);
	bitmap_andnot(map->want, map->want, prep->replace, KFD_SVM_BLOCK_PAGES);
	for (i = 0; i < prep->nr_fresh; i++)
		kfd_svm_mapping_write_ptes(svm, block, prep->gpu,
					   svm->new_exts[i].first,
					   kfd_svm_extent_last(&svm->new_exts[i]),
					   true);
	if (stop)
		pgpu->gpu->desc.ops->resume(pgpu->vm);
	return old;
}

/* Eager mapping remembers which pages it could not have. */
static void note_missing(struct kfd_svm_prep *prep)
{
	struct kfd_svm_mapping *map = prep->block->gpu[prep->gpu];
	unsigned long base = kfd_svm_block_first(prep->block);

	bitmap_clear(map->want, prep->first - base,
		     prep->last - prep->first + 1);
	bitmap_andnot(prep->eligible, prep->eligible, map->mapped,
		      KFD_SVM_BLOCK_PAGES);
	bitmap_or(map->want, map->want, prep->eligible, KFD_SVM_BLOCK_PAGES);
}

/*
 * Writes of the future are guessed from those of the past, but not of a past that is
 * over: where others have changed memory since, only what faulted counts.
 */
static void note_demand(const struct kfd_svm_populate *pop,
			const struct kfd_svm_prep *prep)
{
	DECLARE_BITMAP(written, KFD_SVM_BLOCK_PAGES);
	struct kfd_svm_block *block = prep->block;

	bitmap_and(written,
		   block->changes == pop->changes ? pop->demand : pop->wanted,
		   prep->replace, KFD_SVM_BLOCK_PAGES);
	bitmap_or(block->demand, block->demand, written, KFD_SVM_BLOCK_PAGES);
}

/* An array with room for @nr extents, or NULL. */
struct kfd_svm_extents *kfd_svm_extents_alloc(unsigned int nr)
{
	struct kfd_svm_extents *exts;

	exts = kvmalloc(struct_size(exts, ext, nr), GFP_KERNEL_ACCOUNT);
	if (exts) {
		exts->nr = 0;
		exts->nr_max = nr;
	}
	return exts;
}

/* Before a commit: an array that is large enough for any block. */
int kfd_svm_commit_reserve(struct kfd_svm *svm)
{
	if (!svm->spare_exts)
		svm->spare_exts = kfd_svm_extents_alloc(KFD_SVM_BLOCK_PAGES);
	return svm->spare_exts ? 0 : -ENOMEM;
}

/* Step 4. Without memory the mapping keeps the large array; that is all. */
static void cut_extents(struct kfd_svm *svm, struct kfd_svm_mapping *map)
{
	struct kfd_svm_extents *large = map->exts;
	struct kfd_svm_extents *exts = &map->one;

	lockdep_assert_held(&svm->op_lock);

	if (large->nr > exts->nr_max)
		exts = kfd_svm_extents_alloc(large->nr);
	if (!exts)
		return;
	mutex_lock(&svm->update_lock);
	memcpy(exts->ext, large->ext, array_size(large->nr, sizeof(*large->ext)));
	exts->nr = large->nr;
	map->exts = exts;
	mutex_unlock(&svm->update_lock);
	svm->spare_exts = large;
}

/*
 * Steps 3 and 4 for one GPU, after kfd_svm_commit_reserve().
 * Return: 0; -EAGAIN: a CPU change won; -KFD_SVM_ENEEDSRAM: there is memory that the GPU
 * cannot map where it is; an error of hmm_mirror_extent_dma_map(); -ESRCH.
 */
int kfd_svm_commit(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		   struct hmm_mirror_range *range,
		   struct hmm_mirror_cursor *cursor, struct kfd_svm_prep *prep)
{
	struct kfd_svm_extents *old = NULL;
	bool fresh = false;
	int err;

	mutex_lock(&svm->update_lock);
	if (svm->dead) {
		err = -ESRCH;
	} else if (!hmm_mirror_range_valid(range)) {
		err = -EAGAIN;
	} else {
		kfd_svm_refuse_devices(range, cursor);
		kfd_svm_find_target(svm, pop, prep);
		err = make_fresh(svm, pop, range, cursor, prep);
	}
	if (!err) {
		fresh = prep->nr_fresh;
		if (fresh)
			old = install(svm, prep);
		if (kfd_svm_is_eager(pop))
			note_missing(prep);
		else
			note_demand(pop, prep);
	}
	mutex_unlock(&svm->update_lock);

	if (fresh)
		kfd_svm_extents_free(prep->block->gpu[prep->gpu], old);
	if (fresh)
		cut_extents(svm, prep->block->gpu[prep->gpu]);
	return err;
}

static int fill_extents(struct kfd_svm *svm, const struct hmm_mirror_range *range,
			const struct hmm_mirror_extent *ext, struct kfd_svm_prep *prep,
			struct kfd_svm_extents *exts)
{
	unsigned long base = kfd_svm_block_first(prep->block);
	unsigned long page = prep->first, end;
	struct kfd_svm_extent *fresh;
	struct spot spot;
	int err;

	for (; page <= prep->last; page = end + 1, ext++) {
		end = (hmm_mirror_extent_va(ext) >> PAGE_SHIFT) +
		      hmm_mirror_extent_npages(ext) - 1;
		end = min(end, prep->last);
		if (WARN_ON_ONCE(exts->nr == exts->nr_max))
			return -EIO;
		find_spot(svm, prep->gpu, range, ext, &spot);
		if (spot.place == KFD_SVM_PLACE_NEEDS_RAM)
			return -KFD_SVM_ENEEDSRAM;
		fresh = &exts->ext[exts->nr];
		err = make_extent(svm, prep->block, prep->gpu, ext, &spot,
				  page - base, end - base, fresh);
		if (err)
			return err;
		fresh->flags |= KFD_SVM_EXT_ASKED;
		exts->nr++;
	}
	return 0;
}

/*
 * For a GPU that has nothing of the block: prep->first..last become what the extents from
 * @ext on say, all of them present and as writable as can be. The mapping's array has
 * room for them. The caller writes the PTEs. Update lock held, range valid.
 * Return: 0; or, with nothing done, -KFD_SVM_ENEEDSRAM or an error of
 * hmm_mirror_extent_dma_map().
 */
int kfd_svm_commit_first(struct kfd_svm *svm, const struct hmm_mirror_range *range,
			 const struct hmm_mirror_extent *ext, struct kfd_svm_prep *prep)
{
	struct kfd_svm_mapping *map = prep->block->gpu[prep->gpu];
	unsigned int first = prep->first - kfd_svm_block_first(prep->block);
	unsigned int npages = prep->last - prep->first + 1;
	struct kfd_svm_extents *exts = map->exts;
	int err;

	lockdep_assert_held(&svm->op_lock);
	lockdep_assert_held(&svm->update_lock);

	/* Nothing is mapped, so nobody needs what it says now. */
	exts->nr = 0;
	err = fill_extents(svm, range, ext, prep, exts);
	if (err) {
		while (exts->nr)
			kfd_svm_extent_undo(svm, prep->block, prep->gpu,
					    &exts->ext[--exts->nr]);
		return err;
	}
	if (npages == KFD_SVM_BLOCK_PAGES) {
		bitmap_fill(map->mapped, KFD_SVM_BLOCK_PAGES);
		bitmap_zero(map->want, KFD_SVM_BLOCK_PAGES);
	} else {
		bitmap_set(map->mapped, first, npages);
		bitmap_clear(map->want, first, npages);
	}
	return 0;
}
