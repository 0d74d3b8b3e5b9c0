// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking mappings away: because the CPU changes memory, because access was
 * revoked, because flags changed.
 *
 * A zap goes over its span twice, with the TLB flush in between: page-table
 * entries first, then, when no GPU can use them any more, dirty marks, bits
 * and DMA runs. Clearing part of a large leaf takes the whole leaf; the pages
 * that were not meant (*survivors*) still are what their extents say, since no
 * invalidation came for them, so they are written back at once from memory that
 * pt_reserve() set aside. Where a GPU must not notice, it is stopped meanwhile.
 *
 * All of it runs under update_lock, reached from non-blockable notifiers too:
 * no allocation, no sleep, no failure.
 */
#include "kfd_svm_priv.h"

#include <linux/sched.h>

#include "kfd_svm_trace.h"

/* Done at a time where update_lock can be given up in between: 128 MiB. */
#define ZAP_SLICE_PAGES		(64UL * KFD_SVM_BLOCK_PAGES)

/**
 * struct zap - a zap under way
 * @svm: the process
 * @first: first page
 * @last: last page
 * @gpus: from whom
 * @keep: write everything back afterwards, with today's attributes
 * @stopped: GPUs stopped for the time being
 */
struct zap {
	struct kfd_svm *svm;
	unsigned long first;
	unsigned long last;
	u64 gpus;
	bool keep;
	u64 stopped;
};

/* Does @gpu have pages in first..last (within the block) it may not lose? */
static bool has_resident(struct kfd_svm *svm, struct kfd_svm_block *block,
			 unsigned int gpu, unsigned int first, unsigned int last)
{
	struct kfd_svm_mapping *map = block->gpu[gpu];
	unsigned long base = kfd_svm_block_first(block);
	struct kfd_svm_attr_range *range;

	if (!kfd_svm_bits_any(map->mapped, first, last))
		return false;
	kfd_svm_attr_for_each(range, &svm->attrs, base + first, base + last) {
		if (kfd_svm_policy_resident(&range->attr, svm->xnack) &
			    BIT_ULL(gpu) &&
		    kfd_svm_bits_any(map->mapped,
				     max(range->first, base + first) - base,
				     min(range->last, base + last) - base))
			return true;
	}
	return false;
}

/* Stop @gpu if it could notice that the zap takes more than it is meant to. */
static void zap_stop_gpu(struct zap *zap, struct kfd_svm_block *block,
			 unsigned int gpu, unsigned int first, unsigned int last)
{
	struct kfd_svm *svm = zap->svm;
	struct kfd_svm_pgpu *pgpu = &svm->gpus[gpu];
	bool stop;

	if (svm->evicted || zap->stopped & BIT_ULL(gpu))
		return;
	stop = zap->keep && has_resident(svm, block, gpu, first, last);
	if (!stop && first > 0)
		stop = has_resident(svm, block, gpu, 0, first - 1);
	if (!stop && last < KFD_SVM_BLOCK_PAGES - 1)
		stop = has_resident(svm, block, gpu, last + 1,
				    KFD_SVM_BLOCK_PAGES - 1);
	if (!stop)
		return;
	pgpu->gpu->desc.ops->quiesce(pgpu->vm);
	zap->stopped |= BIT_ULL(gpu);
}

static void zap_ptes(struct zap *zap, struct kfd_svm_block *block,
		     unsigned int gpu)
{
	struct kfd_svm_mapping *map = block->gpu[gpu];
	struct kfd_svm_pgpu *pgpu = &zap->svm->gpus[gpu];
	unsigned int first = kfd_svm_block_clip_first(block, zap->first);
	unsigned int last = kfd_svm_block_clip_last(block, zap->last);
	u64 base_va = (u64)kfd_svm_block_first(block) << PAGE_SHIFT;
	u64 end_va = base_va + (1UL << KFD_SVM_BLOCK_SHIFT) - 1;
	struct kfd_svm_span span = {
		.first_va = base_va + ((u64)first << PAGE_SHIFT),
		.last_va = base_va + (((u64)last + 1) << PAGE_SHIFT) - 1,
	};
	struct kfd_svm_span cleared = span;

	if (!map || !kfd_svm_bits_any(map->mapped, first, last))
		return;
	zap_stop_gpu(zap, block, gpu, first, last);
	if (!kfd_svm_break_zap)
		pgpu->gpu->desc.ops->pt_unmap(pgpu->vm, span, &cleared);
	cleared.first_va = clamp(cleared.first_va, base_va, span.first_va);
	cleared.last_va = clamp(cleared.last_va, span.last_va, end_va);
	map->zap_first = (cleared.first_va - base_va) >> PAGE_SHIFT;
	map->zap_last = (cleared.last_va - base_va) >> PAGE_SHIFT;
	map->zapped = true;
	pgpu->needs_flush = true;
}

static void zap_flush(struct kfd_svm *svm)
{
	unsigned int i;

	for (i = 0; i < svm->nr_gpus; i++) {
		struct kfd_svm_pgpu *pgpu = &svm->gpus[i];

		if (!pgpu->needs_flush)
			continue;
		pgpu->needs_flush = false;
		if (!kfd_svm_break_flush)
			pgpu->gpu->desc.ops->tlb_flush(pgpu->vm);
	}
}

/*
 * The GPU's writes are in no CPU entry: without a mark reclaim drops them. The
 * pages are still the ones mapped, because whoever changes that waits for
 * update_lock first.
 */
static void mark_dirty(struct kfd_svm_block *block,
		       const struct kfd_svm_extent *ext, unsigned int first,
		       unsigned int last)
{
	unsigned long va = (kfd_svm_block_first(block) + first) << PAGE_SHIFT;
	unsigned long npages = last - first + 1;
	struct hmm_mirror_extent run = {
		.va_flags = va | HMM_MIRROR_EXT_VALID | HMM_MIRROR_EXT_WRITE,
		.pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN,
					 kfd_svm_extent_pfn_at(ext, first)) |
			      FIELD_PREP(HMM_MIRROR_EXT_NPAGES, npages),
	};

	if ((ext->flags & (KFD_SVM_EXT_WRITE | KFD_SVM_EXT_DIRTY)) ==
	    KFD_SVM_EXT_WRITE)
		hmm_mirror_extent_mark_dirty(&run, va,
					     va + (npages << PAGE_SHIFT) - 1);
}

/* After the flush: forget what is gone, write back what was not meant. */
static void zap_settle(struct zap *zap, struct kfd_svm_block *block,
		       unsigned int gpu)
{
	struct kfd_svm *svm = zap->svm;
	struct kfd_svm_mapping *map = block->gpu[gpu];
	unsigned int first = kfd_svm_block_clip_first(block, zap->first);
	unsigned int last = kfd_svm_block_clip_last(block, zap->last);
	unsigned int page = first, end;
	struct kfd_svm_extent *ext;

	if (!map || !map->zapped)
		return;
	map->zapped = false;
	if (!zap->keep) {
		for (; (ext = kfd_svm_mapping_next_run(map, &page, &end, last));
		     page = end + 1)
			mark_dirty(block, ext, page, end);
		bitmap_clear(map->mapped, first, last - first + 1);
	}
	kfd_svm_mapping_write_ptes(svm, block, gpu, map->zap_first,
				   map->zap_last, false);
	kfd_svm_mapping_undo_unused(svm, block, gpu, first, last);
	if (kfd_svm_block_is_empty(svm, block))
		queue_work(kfd_svm_wq, &svm->housekeep_work);
}

static void zap_run(struct zap *zap)
{
	unsigned long first = kfd_svm_block_of(zap->first);
	unsigned long last = kfd_svm_block_of(zap->last);
	struct kfd_svm *svm = zap->svm;
	struct kfd_svm_block *block;
	unsigned long index;
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);

	xa_for_each_range(&svm->blocks, index, block, first, last)
		kfd_svm_for_each_gpu(i, svm, zap->gpus)
			zap_ptes(zap, block, i);
	zap_flush(svm);
	xa_for_each_range(&svm->blocks, index, block, first, last)
		kfd_svm_for_each_gpu(i, svm, zap->gpus)
			zap_settle(zap, block, i);
	kfd_svm_for_each_gpu(i, svm, zap->stopped)
		svm->gpus[i].gpu->desc.ops->resume(svm->gpus[i].vm);
}

/* Take first..last from the page tables of @gpus. */
void kfd_svm_zap(struct kfd_svm *svm, unsigned long first, unsigned long last,
		 u64 gpus)
{
	struct zap zap = {
		.svm = svm, .first = first, .last = last, .gpus = gpus,
	};

	zap_run(&zap);
}

/* Nothing of first..last is to be restored for @gpus any more. */
static void forget_wants(struct kfd_svm *svm, unsigned long first,
			 unsigned long last, u64 gpus)
{
	struct kfd_svm_block *block;
	unsigned long index;
	unsigned int i;

	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(last)) {
		unsigned int from = kfd_svm_block_clip_first(block, first);
		unsigned int to = kfd_svm_block_clip_last(block, last);
		bool wanted = false;

		kfd_svm_for_each_gpu(i, svm, gpus)
			if (block->gpu[i])
				bitmap_clear(block->gpu[i]->want, from,
					     to - from + 1);
		for (i = 0; i < svm->nr_gpus; i++)
			wanted |= block->gpu[i] &&
				  !bitmap_empty(block->gpu[i]->want,
						KFD_SVM_BLOCK_PAGES);
		if (!wanted)
			kfd_svm_block_clear_pending(svm, block);
		/* What kept it may have been this, or how its memory moved. */
		if (kfd_svm_block_is_empty(svm, block))
			queue_work(kfd_svm_wq, &svm->housekeep_work);
	}
}

/* Last page of the slice of @first..@last that begins at @first. */
static unsigned long slice_last(unsigned long first, unsigned long last)
{
	return min(last, first | (ZAP_SLICE_PAGES - 1));
}

/* Others wait for update_lock, reclaim among them. op_lock keeps SET away. */
static void breathe(struct kfd_svm *svm)
{
	mutex_unlock(&svm->update_lock);
	cond_resched();
	mutex_lock(&svm->update_lock);
}

/*
 * All of @gpu, which goes; for @gpu nothing is to be restored any more. Gives up
 * update_lock now and then: only who has op_lock maps anything, so what is done stays
 * done.
 */
void kfd_svm_zap_gpu(struct kfd_svm *svm, unsigned int gpu)
{
	unsigned long first = 0, last, index;
	struct kfd_svm_block *block;

	lockdep_assert_held(&svm->op_lock);
	lockdep_assert_held(&svm->update_lock);

	for (;;) {
		index = kfd_svm_block_of(first);
		block = xa_find(&svm->blocks, &index, ULONG_MAX, XA_PRESENT);
		if (!block)
			return;
		first = max(first, kfd_svm_block_first(block));
		last = slice_last(first, ULONG_MAX);
		kfd_svm_zap(svm, first, last, BIT_ULL(gpu));
		forget_wants(svm, first, last, BIT_ULL(gpu));
		first = last + 1;
		breathe(svm);
	}
}

static u64 without_access(const struct kfd_svm_attr_range *range)
{
	return ~(range->attr.access | range->attr.in_place);
}

/*
 * Take first..last from every GPU that has no access to it (any more). Gives up
 * update_lock now and then; what is not done yet still is as it was.
 */
void kfd_svm_revoke(struct kfd_svm *svm, unsigned long first,
		    unsigned long last)
{
	struct kfd_svm_attr_range *range, *next;
	unsigned long from, to, limit;
	u64 gpus;

	lockdep_assert_held(&svm->op_lock);
	lockdep_assert_held(&svm->update_lock);

	while ((range = kfd_svm_attr_first(&svm->attrs, first, last))) {
		gpus = without_access(range);
		from = max(first, range->first);
		limit = slice_last(from, last);
		to = min(limit, range->last);
		/* Ranges that differ in other things are one here. */
		while (to < limit && (next = kfd_svm_attr_next(range, limit)) &&
		       next->first == to + 1 && without_access(next) == gpus) {
			range = next;
			to = min(limit, range->last);
		}
		kfd_svm_zap(svm, from, to, gpus);
		forget_wants(svm, from, to, gpus);
		if (to == last)
			break;
		first = to + 1;
		breathe(svm);
	}
	kfd_svm_resume_if_restored(svm);
}

/*
 * Write what is mapped in first..last again: its attributes changed. Gives up
 * update_lock as kfd_svm_revoke() does.
 */
void kfd_svm_rewrite(struct kfd_svm *svm, unsigned long first,
		     unsigned long last)
{
	struct zap zap = {
		.svm = svm, .gpus = KFD_SVM_ALL_GPUS, .keep = true,
	};
	struct kfd_svm_block *block;
	unsigned long index;

	lockdep_assert_held(&svm->op_lock);
	lockdep_assert_held(&svm->update_lock);

	for (;;) {
		/* A span may be all of user space, with little mapped. */
		index = kfd_svm_block_of(first);
		block = xa_find(&svm->blocks, &index, kfd_svm_block_of(last),
				XA_PRESENT);
		if (!block)
			return;
		zap.first = max(first, kfd_svm_block_first(block));
		zap.last = slice_last(zap.first, last);
		zap_run(&zap);
		if (zap.last == last)
			return;
		first = zap.last + 1;
		breathe(svm);
	}
}

/*
 * Note what @gpu must get back of first..last (within the block).
 * Return: it waits for something there.
 */
static bool note_lost(struct kfd_svm *svm, struct kfd_svm_block *block,
		      unsigned int gpu, unsigned int first, unsigned int last)
{
	struct kfd_svm_mapping *map = block->gpu[gpu];
	unsigned long base = kfd_svm_block_first(block);
	struct kfd_svm_attr_range *range;

	kfd_svm_attr_for_each(range, &svm->attrs, base + first, base + last) {
		unsigned int page = max(range->first, base + first) - base;
		unsigned int limit = min(range->last, base + last) - base;
		unsigned int end;

		if (!(kfd_svm_policy_resident(&range->attr, svm->xnack) &
		      BIT_ULL(gpu)))
			continue;
		for (; kfd_svm_bits_next_run(map->mapped, &page, &end, limit);
		     page = end + 1)
			bitmap_set(map->want, page, end - page + 1);
	}
	return kfd_svm_bits_any(map->want, first, last);
}

/* Blocks that lose resident pages wait for the restore worker. */
static void evict_resident(struct kfd_svm *svm, unsigned long first,
			   unsigned long last)
{
	struct kfd_svm_block *block;
	unsigned long index;
	unsigned int i;

	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(last)) {
		bool lost = false;

		for (i = 0; i < svm->nr_gpus; i++)
			if (block->gpu[i])
				lost |= note_lost(svm, block, i,
						  kfd_svm_block_clip_first(block, first),
						  kfd_svm_block_clip_last(block, last));
		if (!lost)
			continue;
		kfd_svm_block_set_pending(svm, block);
		kfd_svm_evict(svm);
	}
}

static u32 unmap_trigger(const struct hmm_mirror_event *event)
{
	switch (event->kind) {
	case HMM_MIRROR_EVENT_UNMAP:
	case HMM_MIRROR_EVENT_RELEASE:
		return KFD_SVM_UNMAP_CPU_UNMAP;
	case HMM_MIRROR_EVENT_MIGRATE:
		return KFD_SVM_UNMAP_MIGRATION;
	default:
		return KFD_SVM_UNMAP_CPU_CHANGE;
	}
}

static bool is_mapped(const struct kfd_svm_block *block, unsigned int gpu,
		      unsigned long first, unsigned long last)
{
	return block->gpu[gpu] &&
	       kfd_svm_bits_any(block->gpu[gpu]->mapped,
				kfd_svm_block_clip_first(block, first),
				kfd_svm_block_clip_last(block, last));
}

/* Tell of each range that @gpu has something of, once, as far as it is hit. */
static void tell_unmap(struct kfd_svm *svm, unsigned int gpu, u32 trigger,
		       unsigned long first, unsigned long last)
{
	struct kfd_svm_event unmap = {
		.kind = KFD_SVM_EVENT_UNMAP_FROM_GPU,
		.trigger = trigger,
		.user_gpu_id = svm->gpus[gpu].user_gpu_id,
	};
	const struct kfd_svm_attr_range *told = NULL;
	struct kfd_svm_attr_range *range;
	struct kfd_svm_block *block;
	unsigned long index, from, to;

	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(last)) {
		from = max(first, kfd_svm_block_first(block));
		to = min(last, kfd_svm_block_first(block) + KFD_SVM_BLOCK_PAGES - 1);
		if (!is_mapped(block, gpu, from, to))
			continue;
		kfd_svm_attr_for_each(range, &svm->attrs, from, to) {
			if (range == told ||
			    !is_mapped(block, gpu, max(range->first, from),
				       min(range->last, to)))
				continue;
			told = range;
			unmap.first_page = max(range->first, first);
			unmap.npages = min(range->last, last) - unmap.first_page + 1;
			kfd_svm_tell(svm, &unmap);
		}
	}
}

static void note_hit(struct kfd_svm *svm, unsigned int gpu,
		     const struct hmm_mirror_event *event, bool count)
{
	unsigned long first = event->start_va >> PAGE_SHIFT;
	unsigned long last = (event->end_va - 1) >> PAGE_SHIFT;

	svm->gpus[gpu].counters.invalidations += count;
	trace_kfd_svm_zap(svm->tgid, svm->gpus[gpu].user_gpu_id, first,
			  last - first + 1);
	if (svm->client_ops->event)
		tell_unmap(svm, gpu, unmap_trigger(event), first, last);
}

/* Count it; what was written tells nothing about the memory that is to come. */
static void note_invalidation(struct kfd_svm *svm,
			      const struct hmm_mirror_event *event,
			      unsigned long first, unsigned long last)
{
	bool others = READ_ONCE(svm->populator) != current;
	bool moves = event->kind == HMM_MIRROR_EVENT_MIGRATE &&
		     event->owner == &kfd_svm_vram_owner;
	struct kfd_svm_block *block;
	unsigned long index;
	unsigned int i;
	u64 hit = 0;

	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(last)) {
		unsigned int from = kfd_svm_block_clip_first(block, first);
		unsigned int to = kfd_svm_block_clip_last(block, last);

		/* Where the pages are does not change who writes them. */
		if (others || !moves)
			bitmap_clear(block->demand, from, to - from + 1);
		block->changes += others;
		for (i = 0; i < svm->nr_gpus; i++)
			if (block->gpu[i] &&
			    kfd_svm_bits_any(block->gpu[i]->mapped, from, to))
				hit |= BIT_ULL(i);
	}
	kfd_svm_for_each_gpu(i, svm, hit)
		note_hit(svm, i, event, others || !moves);
	/* Who but we moves pages of ours? The CPU, by touching them. */
	if (moves && others)
		kfd_svm_note_pulled(svm, first, last);
	if (event->kind == HMM_MIRROR_EVENT_UNMAP)
		kfd_svm_forget_thrash(svm, first, last);
}

/* The mirror's callback: the CPU is about to change the event's pages. */
void kfd_svm_invalidate(struct hmm_mirror *mirror,
			const struct hmm_mirror_event *event)
{
	struct kfd_svm *svm = to_svm(mirror);
	unsigned long first = event->start_va >> PAGE_SHIFT;
	unsigned long last = (event->end_va - 1) >> PAGE_SHIFT;
	bool unmap = event->kind == HMM_MIRROR_EVENT_UNMAP;
	unsigned long lost = svm->attrs.lost_pages;

	lockdep_assert_held(&svm->update_lock);

	note_invalidation(svm, event, first, last);
	/*
	 * Of a dying mm nothing is restored and no queue is let go on: what was
	 * asked for stays until the process goes.
	 */
	if (!unmap && event->kind != HMM_MIRROR_EVENT_RELEASE)
		evict_resident(svm, first, last);
	kfd_svm_zap(svm, first, last, KFD_SVM_ALL_GPUS);
	if (!unmap)
		return;

	if (kfd_svm_attr_remove(&svm->attrs, first, last) &&
	    svm->attrs.reserve.nr < KFD_SVM_ATTR_RESERVE)
		queue_work(kfd_svm_wq, &svm->housekeep_work);
	if (svm->attrs.lost_pages != lost) {
		trace_kfd_svm_attr_lost(svm->tgid, first,
					svm->attrs.lost_pages - lost);
		/* Nothing stays mapped that nobody has registered. */
		evict_resident(svm, 0, ULONG_MAX >> PAGE_SHIFT);
		kfd_svm_zap(svm, 0, ULONG_MAX >> PAGE_SHIFT, KFD_SVM_ALL_GPUS);
	}
	forget_wants(svm, first, last, KFD_SVM_ALL_GPUS);
	kfd_svm_resume_if_restored(svm);
}
