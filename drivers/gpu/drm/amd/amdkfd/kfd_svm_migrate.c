// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving memory between RAM and VRAM: for GPU faults, for prefetches, and because a GPU
 * cannot map it where it is. Where to is decided in kfd_svm_place.c; the moving is done
 * by the mirror, a piece of a block at a time.
 *
 * A move is an invalidation like any other: what is mapped is gone afterwards, resident
 * pages are wanted again. Who moves maps again.
 */
#include "kfd_svm_priv.h"

#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kfd_svm_trace.h"

static void trace_target(struct kfd_svm *svm, u32 gpu, unsigned long first,
			 unsigned long last, const struct kfd_svm_target *target)
{
	u32 to = target->kind == KFD_SVM_TARGET_VRAM ?
			 svm->gpus[target->gpu].user_gpu_id : 0;

	trace_kfd_svm_place(svm->tgid, gpu, first, last - first + 1, target->kind,
			    to, target->cause);
}

/*
 * Move first..last, within a block. @trigger: KFD_SVM_MIGRATE_*. Memory that cannot move,
 * a file's, stays and is no error.
 * Return: 0; -EAGAIN: overtaken too often; another error of hmm_mirror_migrate_*(). Pages
 * that are there now in *@there, of which *@moved have moved.
 */
int kfd_svm_move(struct kfd_svm *svm, unsigned long first, unsigned long last,
		 const struct kfd_svm_target *target, u32 trigger,
		 unsigned long *moved, unsigned long *there)
{
	struct task_struct *before = svm->populator;
	struct hmm_mirror_migrate req = {
		.mirror = &svm->mirror,
		.first_va = first << PAGE_SHIFT,
		.last_va = ((last + 1) << PAGE_SHIFT) - 1,
		.res = &svm->account->res,
		.tag = trigger,
	};
	int err;

	lockdep_assert_held(&svm->op_lock);

	WRITE_ONCE(svm->populator, current);
	if (target->kind == KFD_SVM_TARGET_VRAM)
		err = hmm_mirror_migrate_to_device(&req,
						   svm->gpus[target->gpu].gpu->mem);
	else
		err = hmm_mirror_migrate_to_ram(&req);
	WRITE_ONCE(svm->populator, before);
	*moved = req.moved;
	*there = req.there;
	/* Overtaken for as long as the mirror cares to try. */
	return err == -ETIME ? -EAGAIN : err;
}

static struct kfd_svm_thrash *thrash_of(struct kfd_svm_block *block)
{
	return block && !kfd_svm_break_thrash ? block->thrash : NULL;
}

/* first..last were pulled out of VRAM, and not to be where they are wanted. */
void kfd_svm_note_pulled(struct kfd_svm *svm, unsigned long first,
			 unsigned long last)
{
	u64 now_ms = kfd_svm_now_ms();
	struct kfd_svm_block *block;
	unsigned long index;

	lockdep_assert_held(&svm->update_lock);

	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(last)) {
		struct kfd_svm_thrash *thrash = thrash_of(block);

		if (thrash &&
		    kfd_svm_thrash_pulled(thrash,
					  kfd_svm_block_clip_first(block, first),
					  kfd_svm_block_clip_last(block, last),
					  now_ms))
			trace_kfd_svm_hold(svm->tgid, kfd_svm_block_first(block),
					   thrash->held_until_ms - now_ms);
	}
}

/* The memory is new, or somebody has said where it is to be. */
void kfd_svm_forget_thrash(struct kfd_svm *svm, unsigned long first,
			   unsigned long last)
{
	struct kfd_svm_block *block;
	unsigned long index;

	lockdep_assert_held(&svm->update_lock);

	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(last))
		if (block->thrash)
			kfd_svm_thrash_forget(block->thrash,
					      kfd_svm_block_clip_first(block, first),
					      kfd_svm_block_clip_last(block, last));
}

/* What others take comes without a word of who did: see kfd_svm_account.taken. */
static void note_taken(struct kfd_svm *svm)
{
	struct kfd_svm_span taken[KFD_SVM_MAX_TAKEN];
	unsigned int nr = kfd_svm_account_read_taken(svm->account, taken);

	while (nr--)
		kfd_svm_note_pulled(svm, taken[nr].first_va >> PAGE_SHIFT,
				    taken[nr].last_va >> PAGE_SHIFT);
}

/* Without memory to remember it in, the move goes unnoticed. */
static void note_coming(struct kfd_svm *svm, unsigned int gpu, unsigned long first,
			unsigned long last)
{
	struct kfd_svm_thrash *thrash;
	struct kfd_svm_block *block;
	u64 now_ms = kfd_svm_now_ms();

	block = kfd_svm_block_get(svm, kfd_svm_block_of(first), 0);
	if (IS_ERR(block))
		return;
	thrash = block->thrash ?: kzalloc(sizeof(*thrash), GFP_KERNEL_ACCOUNT);
	if (!thrash)
		return;
	mutex_lock(&svm->update_lock);
	block->thrash = thrash;
	if (kfd_svm_thrash_coming(thrash, gpu, kfd_svm_block_clip_first(block, first),
				  kfd_svm_block_clip_last(block, last), now_ms))
		trace_kfd_svm_hold(svm->tgid, kfd_svm_block_first(block),
				   thrash->held_until_ms - now_ms);
	mutex_unlock(&svm->update_lock);
}

/* Return: where the window of @pop is to be for a fault of @gpu. */
static struct kfd_svm_target
decide_for_fault(struct kfd_svm *svm, unsigned int gpu,
		 const struct kfd_svm_populate *pop)
{
	struct kfd_svm_target target = { .kind = KFD_SVM_TARGET_STAY };
	const struct kfd_svm_attr_range *range;
	struct kfd_svm_thrash *thrash;
	bool held;

	mutex_lock(&svm->update_lock);
	note_taken(svm);
	thrash = thrash_of(xa_load(&svm->blocks, kfd_svm_block_of(pop->first)));
	held = thrash && kfd_svm_thrash_is_held(thrash, kfd_svm_now_ms());
	range = kfd_svm_attr_first(&svm->attrs, pop->first, pop->first);
	/* Unmapped meanwhile? Populating will find out. */
	if (range)
		target = kfd_svm_place_for_fault(&svm->links, &range->attr,
						 kfd_svm_gpu_index(svm, range->attr.preferred),
						 gpu, pop->gpus, held);
	mutex_unlock(&svm->update_lock);
	if (range)
		trace_target(svm, svm->gpus[gpu].user_gpu_id, pop->first,
			     pop->last, &target);
	return target;
}

/*
 * Before the window of @pop, whose pages have the same attributes, is populated for
 * faults, the first of which is of @gpu: move it where it is to be. Nothing depends on
 * success.
 * Return: pages have moved.
 */
bool kfd_svm_migrate_for_fault(struct kfd_svm *svm, unsigned int gpu,
			       struct kfd_svm_populate *pop)
{
	unsigned long moved = 0, there;
	struct kfd_svm_target target;
	int err;

	lockdep_assert_held(&svm->op_lock);

	if (!pop->anonymous || !kfd_svm_vram_in_use())
		return false;
	target = decide_for_fault(svm, gpu, pop);
	if (target.kind == KFD_SVM_TARGET_STAY) {
		kfd_svm_unshare(svm, pop, target.cause == KFD_SVM_CAUSE_IN_PLACE ?
					  KFD_SVM_THEN_HOME : KFD_SVM_THEN_STAY);
		return false;
	}
	if (target.kind == KFD_SVM_TARGET_VRAM) {
		kfd_svm_unshare(svm, pop, KFD_SVM_THEN_MOVE);
		note_coming(svm, target.gpu, pop->first, pop->last);
	}
	err = kfd_svm_move(svm, pop->first, pop->last, &target, kfd_svm_trigger(pop),
			   &moved, &there);
	if (err)
		trace_kfd_svm_stays(svm->tgid, pop->first,
				    pop->last - pop->first + 1, moved, err);
	return moved;
}

/* Faults on the window of @pop were served, whatever came of it. */
void kfd_svm_migrated_for_fault(struct kfd_svm *svm,
				const struct kfd_svm_populate *pop)
{
	struct kfd_svm_block *block;

	lockdep_assert_held(&svm->op_lock);

	mutex_lock(&svm->update_lock);
	block = xa_load(&svm->blocks, kfd_svm_block_of(pop->first));
	if (block && block->thrash)
		kfd_svm_thrash_came(block->thrash, kfd_svm_now_ms());
	/* A move is a loss for GPUs that may not lose memory: they have it back. */
	kfd_svm_settle_pending(svm, pop->first, pop->last);
	mutex_unlock(&svm->update_lock);
}

/* Move what is in pop->out_of_reach to RAM, and empty that. */
static int move_to_reach(struct kfd_svm *svm, struct kfd_svm_populate *pop)
{
	const struct kfd_svm_target target = {
		.kind = KFD_SVM_TARGET_RAM,
		.cause = KFD_SVM_CAUSE_OUT_OF_REACH,
	};
	unsigned long base = pop->first & ~(KFD_SVM_BLOCK_PAGES - 1UL);
	unsigned long first, last, moved, there;
	unsigned int page = 0, end;
	int err = 0;

	for (; !err && kfd_svm_bits_next_run(pop->out_of_reach, &page, &end,
					     KFD_SVM_BLOCK_PAGES - 1);
	     page = end + 1) {
		first = base + page;
		last = base + end;
		trace_target(svm, 0, first, last, &target);
		err = kfd_svm_move(svm, first, last, &target, kfd_svm_trigger(pop),
				   &moved, &there);
		pop->moved += moved;
		if (!moved || pop->kind != KFD_SVM_POPULATE_FAULT)
			continue;
		mutex_lock(&svm->update_lock);
		kfd_svm_note_pulled(svm, first, last);
		mutex_unlock(&svm->update_lock);
	}
	bitmap_zero(pop->out_of_reach, KFD_SVM_BLOCK_PAGES);
	return err;
}

/*
 * A GPU of @pop cannot map some pages of its window where they are: move them to RAM.
 * Return: 0; -EAGAIN: some of them would not move just now; -ENOMEM; -EINTR; -ESRCH; -EIO:
 * the device failed to copy.
 */
int kfd_svm_migrate_out_of_reach(struct kfd_svm *svm, struct kfd_svm_populate *pop)
{
	int err = move_to_reach(svm, pop);

	switch (err) {
	case 0:
	case -EAGAIN:
	case -ENOMEM:
	case -EINTR:
	case -ESRCH:
		return err;
	case -EBUSY:
		return -EAGAIN;
	default:
		/* A backend's word for it is not to be taken for one about the address. */
		return -EIO;
	}
}

/**
 * struct prefetch - a prefetch under way
 * @svm: the process
 * @gpu: where to, or KFD_SVM_NO_GPU: to RAM
 * @last: last page of all
 * @first: first page of the piece at hand, which lies in one block
 * @end: last page of it
 * @target: what becomes of it
 * @user: @gpu has access to it
 */
struct prefetch {
	struct kfd_svm *svm;
	int gpu;
	unsigned long last;
	unsigned long first;
	unsigned long end;
	struct kfd_svm_target target;
	bool user;
};

/* The piece at or behind @first. Return: there is one. */
static bool next_piece(struct prefetch *prefetch, unsigned long first)
{
	struct kfd_svm *svm = prefetch->svm;
	const struct kfd_svm_attr_range *range = NULL;

	mutex_lock(&svm->update_lock);
	if (first <= prefetch->last)
		range = kfd_svm_attr_first(&svm->attrs, first, prefetch->last);
	if (range) {
		prefetch->first = max(first, range->first);
		prefetch->end = min3(prefetch->last, range->last,
				     prefetch->first | (KFD_SVM_BLOCK_PAGES - 1));
		prefetch->target =
			kfd_svm_place_for_prefetch(&svm->links, &range->attr,
						   prefetch->gpu, svm->xnack);
		prefetch->user = prefetch->gpu >= 0 &&
				 (range->attr.access | range->attr.in_place) &
				 kfd_svm_bound_gpus(svm) & BIT_ULL(prefetch->gpu);
		kfd_svm_forget_thrash(svm, prefetch->first, prefetch->end);
	}
	mutex_unlock(&svm->update_lock);
	return range;
}

/*
 * The GPU is going to use it: no fault for that. What is mapped eagerly the caller maps.
 */
static void map_prefetched(struct prefetch *prefetch)
{
	struct kfd_svm_populate pop = {
		.gpus = BIT_ULL(prefetch->gpu),
		.kind = KFD_SVM_POPULATE_PREFETCH,
		.first = prefetch->first,
		.last = prefetch->end,
	};

	if (prefetch->svm->xnack && prefetch->user)
		kfd_svm_populate(prefetch->svm, &pop);
}

static int prefetch_piece(struct prefetch *prefetch, bool *any)
{
	const struct kfd_svm_target *target = &prefetch->target;
	struct kfd_svm *svm = prefetch->svm;
	unsigned long moved = 0, there = 0;
	int err;

	trace_target(svm, prefetch->gpu < 0 ? 0 : svm->gpus[prefetch->gpu].user_gpu_id,
		     prefetch->first, prefetch->end, target);
	err = kfd_svm_move(svm, prefetch->first, prefetch->end, target,
			   KFD_SVM_MIGRATE_PREFETCH, &moved, &there);
	*any |= moved;
	if (target->kind == KFD_SVM_TARGET_VRAM && there)
		map_prefetched(prefetch);
	return err;
}

/*
 * SET with PREFETCH_LOC @location: move first..last, which are registered, there. What
 * cannot go to VRAM stays where it is, as upstream has it; what cannot go to RAM is an
 * error. *@moved: anything has moved. op_lock is taken for one piece at a time: others of
 * the process do not wait for all of a long span, and may change what is to come.
 * Return: 0 or the last error; -EINTR: killed; -ESRCH: the mm is gone.
 */
int kfd_svm_prefetch(struct kfd_svm *svm, unsigned long first, unsigned long last,
		     u32 location, bool *moved)
{
	struct prefetch prefetch = {
		.svm = svm,
		.gpu = kfd_svm_gpu_index(svm, location),
		.last = last,
	};
	int err, failed = 0;
	bool any;

	lockdep_assert_not_held(&svm->op_lock);

	*moved = false;
	if (!kfd_svm_vram_in_use())
		return 0;
	for (;;) {
		if (mutex_lock_killable(&svm->op_lock))
			return -EINTR;
		any = next_piece(&prefetch, first);
		err = any ? prefetch_piece(&prefetch, moved) : 0;
		mutex_unlock(&svm->op_lock);
		if (!any)
			return failed;
		if (fatal_signal_pending(current))
			err = -EINTR;
		if (err == -EINTR || err == -ESRCH)
			return err;
		if (err && prefetch.target.cause != KFD_SVM_CAUSE_NO_VRAM &&
		    prefetch.target.kind == KFD_SVM_TARGET_RAM)
			failed = err;
		first = prefetch.end + 1;
		cond_resched();
	}
}
