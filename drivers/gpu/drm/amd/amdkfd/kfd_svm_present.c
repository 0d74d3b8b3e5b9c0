// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping eagerly what is there already, many blocks at a time.
 *
 * Most memory that a process gives its GPUs access to is present and writable. Of that a
 * snapshot tells all there is to know: nothing has to be faulted in, nothing is shared
 * with anybody. So one registration, one walk and one look at the sequence do for all of
 * it:
 *
 *   1. blocks of which no GPU has anything     op_lock, update_lock
 *   2. snapshot of all of them                 op_lock, mmap_lock (in the mirror)
 *   3. page-table memory and arrays for those
 *      that are there whole                    op_lock
 *   4. attributes still the same, range still
 *      valid? map for DMA, write PTEs          op_lock, update_lock
 *
 * Whatever is in the way, the blocks it concerns are left to kfd_svm_populate(), one by
 * one: pages that are missing, read-only or out of reach, a CPU that changes the memory
 * meanwhile, no memory. Nothing is tried twice here.
 */
#include "kfd_svm_priv.h"

#include <linux/delay.h>
#include <linux/slab.h>

#include "kfd_svm_trace.h"

/**
 * struct batch - blocks at work
 * @svm: the process
 * @gpus: for whom: the same for all pages
 * @first: first page
 * @last: last page
 * @whole: blocks, by number, whose part is present and writable
 * @shared: blocks that have shared pages in VRAM, perhaps
 * @blocks: by block, NULL if there is none yet
 * @ext: by block, index of the first extent that is in it
 * @nr_ext: by block, how many are
 */
struct batch {
	struct kfd_svm *svm;
	u64 gpus;
	unsigned long first;
	unsigned long last;
	u64 whole;
	u64 shared;
	struct kfd_svm_block *blocks[KFD_SVM_PRESENT_BLOCKS];
	u16 ext[KFD_SVM_PRESENT_BLOCKS];
	u16 nr_ext[KFD_SVM_PRESENT_BLOCKS];
};

static_assert(KFD_SVM_PRESENT_BLOCKS <= 64);

/* Number of the block of @page, counted from that of the first page. */
static unsigned int number_of(const struct batch *batch, unsigned long page)
{
	return kfd_svm_block_of(page) - kfd_svm_block_of(batch->first);
}

static unsigned long first_of(const struct batch *batch, unsigned int n)
{
	unsigned long index = kfd_svm_block_of(batch->first) + n;

	return max(batch->first, index * KFD_SVM_BLOCK_PAGES);
}

static unsigned long last_of(const struct batch *batch, unsigned int n)
{
	unsigned long index = kfd_svm_block_of(batch->first) + n;

	return min(batch->last, (index + 1) * KFD_SVM_BLOCK_PAGES - 1);
}

/* How far the pages from @first on are for just @batch->gpus; @first - 1: not at all. */
static unsigned long same_gpus_until(const struct batch *batch, unsigned long first,
				     unsigned long last)
{
	struct kfd_svm *svm = batch->svm;
	struct kfd_svm_attr_range *range;
	unsigned long until = first - 1;

	lockdep_assert_held(&svm->update_lock);

	kfd_svm_attr_for_each(range, &svm->attrs, first, last) {
		if (range->first > until + 1 ||
		    kfd_svm_eager_gpus(svm, range) != batch->gpus)
			break;
		until = min(last, range->last);
	}
	return until;
}

static bool has_any(struct kfd_svm *svm, const struct kfd_svm_block *block, u64 gpus)
{
	unsigned int i;

	kfd_svm_for_each_gpu(i, svm, gpus)
		if (block->gpu[i] &&
		    !bitmap_empty(block->gpu[i]->mapped, KFD_SVM_BLOCK_PAGES))
			return true;
	return false;
}

/* Step 1: fill in what to look at. Return: there is something. */
static bool find_blocks(struct batch *batch, unsigned long first, unsigned long last)
{
	struct kfd_svm *svm = batch->svm;
	const struct kfd_svm_attr_range *range;
	struct kfd_svm_block *block;
	unsigned long index;

	last = min(last, (kfd_svm_block_of(first) + KFD_SVM_PRESENT_BLOCKS) *
				 KFD_SVM_BLOCK_PAGES - 1);
	mutex_lock(&svm->update_lock);
	range = kfd_svm_attr_first(&svm->attrs, first, first);
	batch->gpus = range ? kfd_svm_eager_gpus(svm, range) : 0;
	batch->first = first;
	batch->last = batch->gpus ? same_gpus_until(batch, first, last) : first - 1;
	if (batch->last < first)
		goto out_unlock;
	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(batch->last)) {
		if (has_any(svm, block, batch->gpus)) {
			batch->last = max(first, kfd_svm_block_first(block)) - 1;
			break;
		}
		batch->blocks[number_of(batch, kfd_svm_block_first(block))] = block;
	}
out_unlock:
	mutex_unlock(&svm->update_lock);
	return batch->last >= first;
}

/* Note where the extents of @cursor are, and what is not as it is to be. */
static void sort_extents(struct batch *batch, const struct hmm_mirror_cursor *cursor)
{
	const unsigned int wanted = HMM_MIRROR_EXT_VALID | HMM_MIRROR_EXT_WRITE;
	const unsigned int kinds = wanted | HMM_MIRROR_EXT_ERROR | HMM_MIRROR_EXT_ZERO;
	unsigned int i, n;

	memset(batch->nr_ext, 0, sizeof(batch->nr_ext));
	for (i = 0; i < cursor->nr; i++) {
		const struct hmm_mirror_extent *ext = &cursor->extents[i];
		unsigned long first = hmm_mirror_extent_va(ext) >> PAGE_SHIFT;
		unsigned long last = first + hmm_mirror_extent_npages(ext) - 1;
		u64 met;

		/* The rest of a block that the buffer had no room for. */
		if (first > batch->last)
			break;
		last = min(last, batch->last);
		for (n = number_of(batch, first); n <= number_of(batch, last); n++)
			if (!batch->nr_ext[n]++)
				batch->ext[n] = i;
		if ((ext->va_flags & kinds) == wanted)
			continue;
		met = GENMASK_ULL(number_of(batch, last), number_of(batch, first));
		batch->whole &= ~met;
		if (kfd_svm_is_shared(ext) && ext->va_flags & HMM_MIRROR_EXT_DEVICE)
			batch->shared |= met;
	}
}

/* Step 2. Return: there is something to map. */
static bool look(struct batch *batch, struct hmm_mirror_range *range,
		 struct hmm_mirror_cursor *cursor)
{
	unsigned long seen;

	if (hmm_mirror_range_snapshot(range, cursor))
		return false;
	/* Blocks are done whole or not at all. */
	seen = (cursor->next_va >> PAGE_SHIFT) - 1;
	if (seen < batch->last)
		batch->last = round_down(seen + 1, KFD_SVM_BLOCK_PAGES) - 1;
	if (batch->last < batch->first || seen < batch->first)
		return false;
	batch->shared = 0;
	batch->whole = GENMASK_ULL(number_of(batch, batch->last), 0);
	sort_extents(batch, cursor);
	return batch->whole;
}

/* Room for @nr extents. What stands in the array until now is not mapped. */
static int make_room(struct kfd_svm *svm, struct kfd_svm_mapping *map, unsigned int nr)
{
	struct kfd_svm_extents *exts, *old = map->exts;

	if (old && old->nr_max >= nr)
		return 0;
	exts = kfd_svm_extents_alloc(nr);
	if (!exts)
		return -ENOMEM;
	mutex_lock(&svm->update_lock);
	map->exts = exts;
	mutex_unlock(&svm->update_lock);
	kfd_svm_extents_free(map, old);
	return 0;
}

/* Block @n, there or new, with room for its extents. Return: 0 or -ENOMEM. */
static int make_block(struct batch *batch, unsigned int n, u64 *fresh)
{
	unsigned long index = kfd_svm_block_of(batch->first) + n;
	struct kfd_svm *svm = batch->svm;
	unsigned int i;
	int err = 0;

	if (!batch->blocks[n]) {
		batch->blocks[n] = kfd_svm_block_alloc(svm, index, batch->gpus);
		if (!batch->blocks[n])
			return -ENOMEM;
		*fresh |= BIT_ULL(n);
	} else {
		err = kfd_svm_block_add_gpus(svm, batch->blocks[n], batch->gpus);
	}
	if (batch->nr_ext[n] == 1)
		return err;
	kfd_svm_for_each_gpu(i, svm, batch->gpus)
		err = err ?: make_room(svm, batch->blocks[n]->gpu[i],
				       batch->nr_ext[n]);
	return err;
}

/* Page-table memory for all that is whole, a run of blocks at a time. */
static void reserve_runs(struct batch *batch)
{
	unsigned long index = kfd_svm_block_of(batch->first);
	unsigned int n, end;
	u64 left, run;

	for (left = batch->whole; left; left &= ~run) {
		n = __ffs64(left);
		end = ~(left >> n) ? n + __ffs64(~(left >> n)) - 1 : 63;
		run = GENMASK_ULL(end, n);
		if (kfd_svm_reserve_tables(batch->svm, index + n, index + end,
					   batch->gpus))
			batch->whole &= ~run;
	}
}

/* Step 3. What fails here populating reports. */
static void prepare(struct batch *batch)
{
	u64 left, fresh = 0, failed = 0;

	for (left = batch->whole; left; left &= left - 1)
		if (make_block(batch, __ffs64(left), &fresh))
			failed |= left & -left;
	failed |= fresh & ~kfd_svm_blocks_insert(batch->svm,
						 kfd_svm_block_of(batch->first),
						 batch->blocks, fresh);
	batch->whole &= ~failed;
	reserve_runs(batch);
}

/* Is each extent of block @n still as it is to be? */
static bool is_whole(const struct batch *batch, unsigned int n,
		     const struct hmm_mirror_cursor *cursor)
{
	const struct hmm_mirror_extent *ext = &cursor->extents[batch->ext[n]];
	unsigned int i;

	for (i = 0; i < batch->nr_ext[n]; i++)
		if (!(ext[i].va_flags & HMM_MIRROR_EXT_VALID))
			return false;
	return true;
}

/**
 * struct writer - writes PTEs, each run as long as can be, over the borders of blocks
 * @batch: the blocks
 * @gpu: the GPU
 * @attr: of the pages up to @attr_last, from the one looked at last
 * @attr_last: 0: not known
 * @key: flags of the extent that @pte is for
 * @pte: of the run
 * @vram_gpu: of the run
 * @va: first byte of the run
 * @addr: where it is
 * @len: bytes; 0: there is no run
 */
struct writer {
	struct batch *batch;
	unsigned int gpu;
	struct kfd_svm_attr attr;
	unsigned long attr_last;
	u32 key;
	u32 pte;
	void *vram_gpu;
	u64 va;
	u64 addr;
	u64 len;
};

static void write_out(struct writer *w)
{
	struct kfd_svm_pgpu *pgpu = &w->batch->svm->gpus[w->gpu];

	if (w->len)
		pgpu->gpu->desc.ops->pt_map(pgpu->vm, w->va, w->addr, w->len, w->pte,
					    w->vram_gpu);
	w->len = 0;
}

/* The attributes from @page on. */
static void find_attr(struct writer *w, unsigned long page)
{
	write_out(w);
	w->attr_last = w->batch->last;
	kfd_svm_attr_at(w->batch->svm, page, &w->attr_last, &w->attr);
	w->key = ~0U;
}

/* The pages @first to @last are in @ext, of which page @skip is the first of them. */
static void write_pages(struct writer *w, const struct kfd_svm_extent *ext,
			unsigned long first, unsigned long last, unsigned int skip)
{
	const u32 keys = KFD_SVM_EXT_WRITE | KFD_SVM_EXT_VRAM | KFD_SVM_EXT_GPU;
	struct kfd_svm *svm = w->batch->svm;
	struct kfd_svm_pgpu *pgpu = &svm->gpus[w->gpu];
	u64 addr = kfd_svm_extent_addr_at(ext, skip);
	u64 va = (u64)first << PAGE_SHIFT;

	if ((ext->flags & keys) != w->key) {
		write_out(w);
		w->key = ext->flags & keys;
		w->pte = kfd_svm_extent_pte(svm, w->gpu, ext, w->attr.flags,
					    &w->vram_gpu);
	} else if (w->va + w->len != va || w->addr + w->len != addr) {
		write_out(w);
	}
	if (!w->len) {
		w->va = va;
		w->addr = addr;
	}
	w->len += (u64)(last - first + 1) << PAGE_SHIFT;
	pgpu->counters.extents_mapped++;
	pgpu->counters.pages_mapped += last - first + 1;
	trace_kfd_svm_commit(svm->tgid, pgpu->user_gpu_id, first, last - first + 1,
			     w->pte);
}

/* All extents of @block. */
static void write_block(struct writer *w, const struct kfd_svm_block *block)
{
	const struct kfd_svm_extents *exts = block->gpu[w->gpu]->exts;
	unsigned long base = kfd_svm_block_first(block);
	unsigned int i;

	for (i = 0; i < exts->nr; i++) {
		const struct kfd_svm_extent *ext = &exts->ext[i];
		unsigned long page = base + ext->first, end;

		for (; page <= base + kfd_svm_extent_last(ext); page = end + 1) {
			if (page > w->attr_last)
				find_attr(w, page);
			end = min(base + kfd_svm_extent_last(ext), w->attr_last);
			write_pages(w, ext, page, end, page - base);
		}
	}
}

/* Step 4 for one GPU. Return: the blocks of @which that it has now. */
static u64 commit_gpu(struct batch *batch, unsigned int gpu, u64 which,
		      const struct hmm_mirror_range *range,
		      const struct hmm_mirror_cursor *cursor)
{
	struct writer w = { .batch = batch, .gpu = gpu };
	struct kfd_svm_prep prep;
	unsigned int n;
	u64 left;

	prep.gpu = gpu;
	for (left = which; left; left &= left - 1) {
		n = __ffs64(left);
		prep.block = batch->blocks[n];
		prep.first = first_of(batch, n);
		prep.last = last_of(batch, n);
		if (kfd_svm_commit_first(batch->svm, range,
					 &cursor->extents[batch->ext[n]], &prep))
			which &= ~BIT_ULL(n);
		else
			write_block(&w, prep.block);
	}
	write_out(&w);
	return which;
}

/* Return: the blocks that were mapped. */
static u64 commit_all(struct batch *batch, struct hmm_mirror_range *range,
		      struct hmm_mirror_cursor *cursor)
{
	struct kfd_svm *svm = batch->svm;
	u64 left, done = 0;
	unsigned int i;

	mutex_lock(&svm->update_lock);
	/* What was unmapped before the range was registered is not asked for any more. */
	if (svm->dead || !hmm_mirror_range_valid(range) ||
	    same_gpus_until(batch, batch->first, batch->last) != batch->last)
		goto out_unlock;
	kfd_svm_refuse_devices(range, cursor);
	for (left = batch->whole; left; left &= left - 1)
		if (is_whole(batch, __ffs64(left), cursor))
			done |= left & -left;
	kfd_svm_for_each_gpu(i, svm, batch->gpus)
		done = commit_gpu(batch, i, done, range, cursor);
out_unlock:
	mutex_unlock(&svm->update_lock);
	return done;
}

/* Steps 2 to 4. Return: the blocks that were mapped. */
static u64 map_batch(struct batch *batch, struct hmm_mirror_range *range)
{
	struct hmm_mirror_cursor cursor = {
		.extents = batch->svm->fault_exts,
		.nr_max = KFD_SVM_BLOCK_PAGES,
		.next_va = batch->first << PAGE_SHIFT,
	};

	if (!look(batch, range, &cursor))
		return 0;
	prepare(batch);
	if (kfd_svm_commit_delay_us)
		fsleep(kfd_svm_commit_delay_us);
	return commit_all(batch, range, &cursor);
}

/*
 * Map what is there of the pages from @first on, up to @last at most, for the GPUs that
 * map it eagerly and have nothing yet of its blocks. What is not done is left as it was;
 * nothing is an error here.
 */
void kfd_svm_map_present(struct kfd_svm *svm, unsigned long first,
			 unsigned long last, struct kfd_svm_present *present)
{
	struct batch batch = { .svm = svm };
	struct hmm_mirror_range range;

	lockdep_assert_held(&svm->op_lock);

	*present = (struct kfd_svm_present){ .first = first, .last = first - 1 };
	if (!find_blocks(&batch, first, last))
		return;
	if (kfd_svm_range_register(svm, &range, batch.first, batch.last))
		return;
	/* Until something was seen. */
	batch.shared = U64_MAX;
	present->done = map_batch(&batch, &range);
	hmm_mirror_range_unregister(&range);
	present->last = batch.last;
	present->shared = batch.shared;
	/* Blocks may have been made in vain. */
	if (batch.whole & ~present->done)
		queue_work(kfd_svm_wq, &svm->housekeep_work);
}
