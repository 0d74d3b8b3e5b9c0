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
 * Memory that is mapped eagerly and is there already takes a shorter way, many blocks at a
 * time, in kfd_svm_present.c. Step 3, for each GPU, and step 4 are in kfd_svm_commit.c. Steps
 * 2 and 3 are repeated until the window is done: the mirror may hand over less than asked
 * for, and memory that a GPU cannot map where it is goes to RAM first. Between them lies
 * nothing but taking the lock, so that a CPU that changes the memory over and over has
 * little room to win each time; hence the array of full size that is filled first and cut
 * afterwards.
 */
#include "kfd_svm_priv.h"

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "kfd_svm_trace.h"

/* Page-table memory for the blocks @first to @last. Return: 0 or -ENOMEM. */
int kfd_svm_reserve_tables(struct kfd_svm *svm, unsigned long first,
			   unsigned long last, u64 gpus)
{
	struct kfd_svm_span span = {
		.first_va = (u64)first << KFD_SVM_BLOCK_SHIFT,
		.last_va = (((u64)last + 1) << KFD_SVM_BLOCK_SHIFT) - 1,
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
		struct kfd_svm_prep prep = {
			.block = block,
			.first = va >> PAGE_SHIFT,
			.last = (cursor->next_va - 1) >> PAGE_SHIFT,
			.gpu = i,
		};

		/* There is one, but for more GPUs or where cutting failed. */
		err = kfd_svm_commit_reserve(svm) ?:
		      kfd_svm_commit(svm, pop, range, cursor, &prep);
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
	unsigned int nr_to_ram = 0;
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
		if (err == -KFD_SVM_ENEEDSRAM && nr_to_ram++ < KFD_SVM_TO_RAM_TRIES) {
			err = kfd_svm_migrate_out_of_reach(svm, pop) ?: -EAGAIN;
		} else if (err == -KFD_SVM_ENEEDSRAM) {
			bitmap_zero(pop->out_of_reach, KFD_SVM_BLOCK_PAGES);
			return -EAGAIN;
		} else if (err == -EAGAIN) {
			count_retry(svm, pop);
		}
		if (err != -EAGAIN)
			return err;
		/* GPUs committed before lost it again, or will find it done. */
		cursor.next_va = va;
		stale = true;
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
	err = kfd_svm_reserve_tables(svm, index, index, pop->gpus) ?:
	      kfd_svm_commit_reserve(svm);
	if (err)
		goto out_tidy;
	err = kfd_svm_range_register(svm, &range, pop->first, pop->last);
	if (err)
		goto out_tidy;
	WRITE_ONCE(svm->populator, current);
	err = populate_range(svm, pop, &range);
	WRITE_ONCE(svm->populator, NULL);
	hmm_mirror_range_unregister(&range);
	if (!err && pop->kind == KFD_SVM_POPULATE_FAULT)
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
	struct kfd_svm_prep prep = { .first = pop->first, .last = pop->last };
	u64 need = 0;

	prep.block = xa_load(&svm->blocks, kfd_svm_block_of(pop->first));
	if (!prep.block)
		return pop->gpus;
	kfd_svm_for_each_gpu(prep.gpu, svm, pop->gpus) {
		kfd_svm_find_target(svm, pop, &prep);
		if (!bitmap_empty(prep.target, KFD_SVM_BLOCK_PAGES))
			need |= BIT_ULL(prep.gpu);
	}
	return need;
}

/* The GPUs that have a vm and map @range eagerly. */
u64 kfd_svm_eager_gpus(struct kfd_svm *svm, const struct kfd_svm_attr_range *range)
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
	while (range && !kfd_svm_eager_gpus(svm, range))
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
		.kind = KFD_SVM_POPULATE_EAGER,
	};
	for (; range && range->first <= pop->last + 1 && kfd_svm_eager_gpus(svm, range);
	     range = kfd_svm_attr_next(range, limit)) {
		pop->gpus |= kfd_svm_eager_gpus(svm, range);
		pop->last = min(limit, range->last);
	}
	pop->gpus = gpus_in_need(svm, pop);
	mutex_unlock(&svm->update_lock);
	return true;
}

/* Restoring: pages that no GPU is to have eagerly any more are not waited for. */
void kfd_svm_block_prune_wants(struct kfd_svm *svm, struct kfd_svm_block *block)
{
	const struct kfd_svm_populate pop = { .kind = KFD_SVM_POPULATE_EAGER };
	struct kfd_svm_prep prep = { .block = block };

	prep.first = kfd_svm_block_first(block);
	prep.last = prep.first + KFD_SVM_BLOCK_PAGES - 1;
	for (prep.gpu = 0; prep.gpu < svm->nr_gpus; prep.gpu++) {
		struct kfd_svm_mapping *map = block->gpu[prep.gpu];

		if (!map)
			continue;
		kfd_svm_find_target(svm, &pop, &prep);
		bitmap_and(map->want, map->want, prep.eligible,
			   KFD_SVM_BLOCK_PAGES);
	}
}

/* Is there something for @pop to unshare, as far as @present tells? */
static bool may_be_shared(const struct kfd_svm_present *present,
			  const struct kfd_svm_populate *pop)
{
	unsigned int n = kfd_svm_block_of(pop->first) -
			 kfd_svm_block_of(present->first);

	return pop->first < present->first || pop->last > present->last ||
	       present->shared & BIT_ULL(n);
}

/*
 * Map @pop, of which some is missing, or what is there of all up to @last. Return: 0 or
 * an error of kfd_svm_populate(). *@next: the page to go on with.
 */
static int map_piece(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		     unsigned long last, struct kfd_svm_present *present,
		     unsigned long *next)
{
	unsigned long index;
	unsigned int n;

	if (pop->first > present->last)
		kfd_svm_map_present(svm, pop->first, last, present);
	if (pop->first <= present->last) {
		index = kfd_svm_block_of(present->first);
		n = kfd_svm_block_of(pop->first) - index;
		if (present->done & BIT_ULL(n)) {
			/* 64 if there is none: behind the last page, too. */
			n = ~present->done >> n ? n + __ffs64(~present->done >> n) : 64;
			*next = min((index + n) * KFD_SVM_BLOCK_PAGES,
				    present->last + 1);
			return 0;
		}
	}
	*next = pop->last + 1;
	if (may_be_shared(present, pop))
		kfd_svm_unshare(svm, pop, KFD_SVM_THEN_HOME);
	return kfd_svm_populate(svm, pop);
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
	struct kfd_svm_present present = { .first = 1 };
	struct kfd_svm_populate pop;
	int err = 0;

	lockdep_assert_held(&svm->op_lock);

	*missing = 0;
	while (first <= last && next_eager_piece(svm, first, last, &pop)) {
		if (!pop.gpus) {
			first = pop.last + 1;
			continue;
		}
		err = map_piece(svm, &pop, last, &present, &first) ?: err;
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
