// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bringing memory into page tables: work on a range of the mirror, commit only
 * if it is still valid, else try again.
 *
 *   1. reserve page-table memory, find
 *      out what to ask for               op_lock
 *   2. make pages present                op_lock, mmap_lock (in the mirror)
 *   3. range still valid? look what each GPU may have, map for DMA,
 *      merge extents, write PTEs         op_lock, update_lock
 *   4. cut the extent array to size      op_lock
 *
 * Steps 2 and 3 are repeated until the window is done: the mirror may hand over less
 * than asked for. Between them lies nothing but taking the lock, so that a CPU that
 * changes the memory over and over has little room to win each time; hence the
 * array of full size that is filled first and cut afterwards.
 */
#include "kfd_svm_priv.h"

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kfd_svm_trace.h"

/**
 * struct prep - a GPU's side of a commit
 * @block: the block
 * @first: first page the mirror handed over
 * @last: last one
 * @gpu: the GPU
 * @eligible: of those pages, the ones the GPU is to have
 * @target: of those, the ones it has not or not well enough
 * @replace: of those, the ones there is a fresh extent for
 * @nr_fresh: fresh extents, in kfd_svm.new_exts
 */
struct prep {
	struct kfd_svm_block *block;
	unsigned long first;
	unsigned long last;
	unsigned int gpu;
	DECLARE_BITMAP(eligible, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(target, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(replace, KFD_SVM_BLOCK_PAGES);
	unsigned int nr_fresh;
};

/*
 * Mapped pages that need no work: eager, if write was asked for when they came;
 * else, if they are writable or nobody asks to write them.
 */
static void find_sufficient(const struct kfd_svm_populate *pop,
			    const struct kfd_svm_mapping *map,
			    unsigned long *sufficient)
{
	u32 enough = pop->eager ? KFD_SVM_EXT_ASKED : KFD_SVM_EXT_WRITE;
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
	if (pop->eager)
		return;
	bitmap_andnot(readable, readable, pop->write, KFD_SVM_BLOCK_PAGES);
	bitmap_or(sufficient, sufficient, readable, KFD_SVM_BLOCK_PAGES);
}

/* Fill in @prep->eligible and @prep->target. */
static void find_target(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
			struct prep *prep)
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
		u64 gpus = pop->eager ?
			   kfd_svm_policy_eager(&range->attr, svm->xnack) :
			   range->attr.access | range->attr.in_place;

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

static void undo_fresh(struct kfd_svm *svm, struct prep *prep)
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
	if (flags & HMM_MIRROR_EXT_WRITE || kfd_svm_break_cow)
		ours |= KFD_SVM_EXT_WRITE;
	if (flags & HMM_MIRROR_EXT_DIRTY)
		ours |= KFD_SVM_EXT_DIRTY;
	return ours;
}

/* Map first..last (within the block) of @ext for the GPU. */
static int add_fresh(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
		     struct prep *prep, const struct hmm_mirror_extent *ext,
		     unsigned int first, unsigned int last)
{
	unsigned long va = (kfd_svm_block_first(prep->block) + first) << PAGE_SHIFT;
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
	struct kfd_svm_extent *fresh = &svm->new_exts[prep->nr_fresh];
	dma_addr_t dma;
	int err;

	/* As kfd_svm_extent_undo() will have it. */
	if (ours & KFD_SVM_EXT_WRITE)
		run.va_flags |= HMM_MIRROR_EXT_WRITE;
	err = hmm_mirror_extent_dma_map(svm->gpus[prep->gpu].gpu->desc.dma_dev,
					&run, &dma);
	if (err)
		return err;
	*fresh = (struct kfd_svm_extent){
		.pfn = pfn,
		.dma = dma,
		.map_id = svm->next_map_id++,
		.map_first = first,
		.map_npages = npages,
		.first = first,
		.npages = npages,
	};
	fresh->flags = ours;
	if (pop->eager)
		fresh->flags |= KFD_SVM_EXT_ASKED;
	prep->nr_fresh++;
	bitmap_set(prep->replace, first, npages);
	return 0;
}

/* Fresh extents for what the GPU lacks. On error there are none. */
static int make_fresh(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
		      const struct hmm_mirror_cursor *cursor, struct prep *prep)
{
	unsigned long base = kfd_svm_block_first(prep->block);
	unsigned int i;
	int err;

	for (i = 0; i < cursor->nr; i++) {
		const struct hmm_mirror_extent *ext = &cursor->extents[i];
		unsigned int page, limit, end;

		if (!(hmm_mirror_extent_flags(ext) & HMM_MIRROR_EXT_VALID))
			continue;
		page = (hmm_mirror_extent_va(ext) >> PAGE_SHIFT) - base;
		limit = page + hmm_mirror_extent_npages(ext) - 1;
		for (; kfd_svm_bits_next_run(prep->target, &page, &end, limit);
		     page = end + 1) {
			err = add_fresh(svm, pop, prep, ext, page, end);
			if (err) {
				undo_fresh(svm, prep);
				return err;
			}
		}
	}
	return 0;
}

/*
 * Install the fresh extents and write their PTEs. Cannot fail. Uses up the spare
 * array. Return: the array that was in use before.
 */
static struct kfd_svm_extents *install(struct kfd_svm *svm, struct prep *prep)
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
static void note_missing(struct prep *prep)
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
			const struct prep *prep)
{
	DECLARE_BITMAP(written, KFD_SVM_BLOCK_PAGES);
	struct kfd_svm_block *block = prep->block;

	bitmap_and(written,
		   block->changes == pop->changes ? pop->demand : pop->wanted,
		   prep->replace, KFD_SVM_BLOCK_PAGES);
	bitmap_or(block->demand, block->demand, written, KFD_SVM_BLOCK_PAGES);
}

static struct kfd_svm_extents *alloc_extents(unsigned int nr)
{
	struct kfd_svm_extents *exts;

	return kvmalloc(struct_size(exts, ext, nr), GFP_KERNEL_ACCOUNT);
}

/* Before a commit: an array that is large enough for any block. */
static int reserve_extents(struct kfd_svm *svm)
{
	if (!svm->spare_exts)
		svm->spare_exts = alloc_extents(KFD_SVM_BLOCK_PAGES);
	return svm->spare_exts ? 0 : -ENOMEM;
}

/* Step 4. Without memory the mapping keeps the large array; that is all. */
static void cut_extents(struct kfd_svm *svm, struct kfd_svm_mapping *map)
{
	struct kfd_svm_extents *large = map->exts;
	struct kfd_svm_extents *exts = alloc_extents(large->nr);

	lockdep_assert_held(&svm->op_lock);

	if (!exts)
		return;
	mutex_lock(&svm->update_lock);
	memcpy(exts, large, struct_size(large, ext, large->nr));
	map->exts = exts;
	mutex_unlock(&svm->update_lock);
	svm->spare_exts = large;
}

/* Steps 3 and 4 for one GPU. Return: 0, -EAGAIN if a CPU change won, ... */
static int commit_gpu(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
		      struct hmm_mirror_range *range,
		      struct hmm_mirror_cursor *cursor, struct prep *prep)
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
		find_target(svm, pop, prep);
		err = make_fresh(svm, pop, cursor, prep);
	}
	if (!err) {
		fresh = prep->nr_fresh;
		if (fresh)
			old = install(svm, prep);
		if (pop->eager)
			note_missing(prep);
		else
			note_demand(pop, prep);
	}
	mutex_unlock(&svm->update_lock);

	kvfree(old);
	if (fresh)
		cut_extents(svm, prep->block->gpu[prep->gpu]);
	return err;
}

static int reserve_tables(struct kfd_svm *svm, unsigned long index, u64 gpus)
{
	struct kfd_svm_span span = {
		.first_va = (u64)index << KFD_SVM_BLOCK_SHIFT,
		.last_va = (((u64)index + 1) << KFD_SVM_BLOCK_SHIFT) - 1,
	};
	unsigned int i;
	int err;

	kfd_svm_for_each_gpu(i, svm, gpus) {
		struct kfd_svm_pgpu *pgpu = &svm->gpus[i];

		err = pgpu->gpu->desc.ops->pt_reserve(pgpu->vm, span);
		if (err)
			return err;
	}
	return 0;
}

static void count_retry(struct kfd_svm *svm, const struct kfd_svm_populate *pop)
{
	unsigned int i;

	mutex_lock(&svm->update_lock);
	kfd_svm_for_each_gpu(i, svm, pop->gpus) {
		svm->gpus[i].counters.retries++;
		trace_kfd_svm_retry(svm->tgid, svm->gpus[i].user_gpu_id,
				    pop->first, pop->last - pop->first + 1);
	}
	mutex_unlock(&svm->update_lock);
}

/* Commit what the mirror handed over, from @va on, for all GPUs. */
static int commit_gpus(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		       struct hmm_mirror_range *range,
		       struct hmm_mirror_cursor *cursor, unsigned long va)
{
	struct kfd_svm_block *block;
	unsigned int i;
	int err;

	block = xa_load(&svm->blocks, kfd_svm_block_of(pop->first));
	kfd_svm_for_each_gpu(i, svm, pop->gpus) {
		struct prep prep = {
			.block = block,
			.first = va >> PAGE_SHIFT,
			.last = (cursor->next_va - 1) >> PAGE_SHIFT,
			.gpu = i,
		};

		/* There is one, but for more GPUs or where cutting failed. */
		err = reserve_extents(svm) ?:
		      commit_gpu(svm, pop, range, cursor, &prep);
		if (err)
			return err;
	}
	kfd_svm_note_errors(pop, cursor);
	return 0;
}

/* Steps 2 to 5 until the window is done. */
static int populate_range(struct kfd_svm *svm, struct kfd_svm_populate *pop,
			  struct hmm_mirror_range *range)
{
	unsigned long deadline = jiffies + KFD_SVM_RETRY_JIFFIES;
	struct hmm_mirror_cursor cursor = {
		.extents = svm->fault_exts,
		.nr_max = KFD_SVM_BLOCK_PAGES,
		.next_va = pop->first << PAGE_SHIFT,
	};
	struct hmm_mirror_req req;
	bool stale = true;
	long left;
	int err;

	while (cursor.next_va <= pop->last << PAGE_SHIFT) {
		unsigned long va = cursor.next_va;

		err = stale ? kfd_svm_request_build(svm, pop, range, &req) : 0;
		if (err)
			return err;
		stale = false;
		err = hmm_mirror_range_fault(range, &cursor, &req);
		/* The mirror has tried for as long as we would. */
		if (err == -ETIME)
			return -EAGAIN;
		if (err)
			return err;
		if (kfd_svm_commit_delay_us)
			fsleep(kfd_svm_commit_delay_us);
		err = commit_gpus(svm, pop, range, &cursor, va);
		if (!err)
			continue;
		if (err != -EAGAIN)
			return err;
		/* GPUs committed before lost it again, or will find it done. */
		cursor.next_va = va;
		stale = true;
		count_retry(svm, pop);
		left = deadline - jiffies;
		if (left <= 0)
			return -EAGAIN;
		err = hmm_mirror_range_wait_until_valid(range, left);
		if (err)
			return err == -ETIME ? -EAGAIN : err;
		cond_resched();
	}
	return 0;
}

/*
 * Bring pop->first..last into the page tables of pop->gpus (which have a vm).
 * Pages that cannot be had are no error, see pop->missing and pop->faults.
 * Return: 0; -EAGAIN: lost against CPU changes for KFD_SVM_RETRY_JIFFIES;
 * -ENOMEM; -EINTR: killed; -ESRCH: the mm is gone; -EFAULT: the OOM reaper is at
 * work in it.
 */
int kfd_svm_populate(struct kfd_svm *svm, struct kfd_svm_populate *pop)
{
	unsigned long index = kfd_svm_block_of(pop->first);
	struct hmm_mirror_range range;
	struct kfd_svm_block *block;
	int err;

	lockdep_assert_held(&svm->op_lock);
	WARN_ON_ONCE(kfd_svm_block_of(pop->last) != index);

	pop->missing = 0;
	block = kfd_svm_block_get(svm, index, pop->gpus);
	if (IS_ERR(block)) {
		err = PTR_ERR(block);
		goto out_tidy;
	}
	err = reserve_tables(svm, index, pop->gpus) ?: reserve_extents(svm);
	if (err)
		goto out_tidy;
	err = hmm_mirror_range_register(&range, &svm->mirror,
					pop->first << PAGE_SHIFT,
					((pop->last + 1) << PAGE_SHIFT) - 1);
	if (err)
		goto out_tidy;
	WRITE_ONCE(svm->populator, current);
	err = populate_range(svm, pop, &range);
	WRITE_ONCE(svm->populator, NULL);
	hmm_mirror_range_unregister(&range);
	if (!err && !pop->eager)
		kfd_svm_count_populate(svm, pop);
out_tidy:
	/* The block may have been made in vain. */
	if (err || pop->missing || kfd_svm_fault_failed(pop))
		queue_work(kfd_svm_wq, &svm->housekeep_work);
	return err;
}

/* GPUs of @gpus that lack something of the eager window of @pop. */
static u64 gpus_in_need(struct kfd_svm *svm, const struct kfd_svm_populate *pop)
{
	struct prep prep = { .first = pop->first, .last = pop->last };
	u64 need = 0;

	prep.block = xa_load(&svm->blocks, kfd_svm_block_of(pop->first));
	if (!prep.block)
		return pop->gpus;
	kfd_svm_for_each_gpu(prep.gpu, svm, pop->gpus) {
		find_target(svm, pop, &prep);
		if (!bitmap_empty(prep.target, KFD_SVM_BLOCK_PAGES))
			need |= BIT_ULL(prep.gpu);
	}
	return need;
}

static u64 eager_bound(struct kfd_svm *svm, const struct kfd_svm_attr_range *range)
{
	return kfd_svm_policy_eager(&range->attr, svm->xnack) &
	       kfd_svm_bound_gpus(svm);
}

/*
 * Find the next piece of @page..@last, within a block, that some GPU maps
 * eagerly and that has no gap.
 * Return: there is one; @pop is filled in but for its gpus, which may be none
 * if all is mapped.
 */
static bool next_eager_piece(struct kfd_svm *svm, unsigned long page,
			     unsigned long last, struct kfd_svm_populate *pop)
{
	struct kfd_svm_attr_range *range;
	unsigned long limit;

	mutex_lock(&svm->update_lock);
	range = kfd_svm_attr_first(&svm->attrs, page, last);
	while (range && !eager_bound(svm, range))
		range = kfd_svm_attr_next(range, last);
	if (!range) {
		mutex_unlock(&svm->update_lock);
		return false;
	}
	page = max(page, range->first);
	limit = min(last, page | (KFD_SVM_BLOCK_PAGES - 1));
	*pop = (struct kfd_svm_populate){
		.first = page,
		.last = page,
		.eager = true,
	};
	for (; range && range->first <= pop->last + 1 && eager_bound(svm, range);
	     range = kfd_svm_attr_next(range, limit)) {
		pop->gpus |= eager_bound(svm, range);
		pop->last = min(limit, range->last);
	}
	pop->gpus = gpus_in_need(svm, pop);
	mutex_unlock(&svm->update_lock);
	return true;
}

/* Restoring: pages that no GPU is to have eagerly any more are not waited for. */
void kfd_svm_block_prune_wants(struct kfd_svm *svm, struct kfd_svm_block *block)
{
	const struct kfd_svm_populate pop = { .eager = true };
	struct prep prep = { .block = block };

	prep.first = kfd_svm_block_first(block);
	prep.last = prep.first + KFD_SVM_BLOCK_PAGES - 1;
	for (prep.gpu = 0; prep.gpu < svm->nr_gpus; prep.gpu++) {
		struct kfd_svm_mapping *map = block->gpu[prep.gpu];

		if (!map)
			continue;
		find_target(svm, &pop, &prep);
		bitmap_and(map->want, map->want, prep.eligible,
			   KFD_SVM_BLOCK_PAGES);
	}
}

/*
 * Map first..last for every GPU that maps it eagerly. Memory that cannot be had
 * is no failure; *@missing says what user space is told of it: 0, -EFAULT or
 * -EHWPOISON. Stops where going on would not do better: a span may have millions
 * of blocks, and what is out of memory for one is for the next.
 * Return: 0 or an error: -EAGAIN, -ENOMEM, -EINTR, -ESRCH.
 */
int kfd_svm_map_eager(struct kfd_svm *svm, unsigned long first,
		      unsigned long last, int *missing)
{
	struct kfd_svm_populate pop;
	int err = 0;

	lockdep_assert_held(&svm->op_lock);

	*missing = 0;
	while (first <= last && next_eager_piece(svm, first, last, &pop)) {
		first = pop.last + 1;
		if (!pop.gpus)
			continue;
		err = kfd_svm_populate(svm, &pop) ?: err;
		if (fatal_signal_pending(current))
			err = -EINTR;
		if (err == -ESRCH || err == -EAGAIN || err == -EINTR ||
		    err == -ENOMEM)
			break;
		*missing = pop.missing ?: *missing;
		cond_resched();
	}
	return err;
}
