// SPDX-License-Identifier: GPL-2.0-only
/*
 * Evict and restore: GPUs that cannot replay faults are stopped before memory
 * they have mapped changes, and go on when they have it back.
 *
 * Evicting is immediate. Restoring waits until an engine says it has something
 * to run: an idle process costs nothing, and memory swapped out stays out. A
 * block that fails for a passing reason is tried again after 1 ms, 2 ms, ... up
 * to 1 s of its own; the others do not wait for it, but the queues wait for all.
 * Memory that cannot be had (no VMA, PROT_NONE) does not hold them up: touching
 * it is the program's fault. It stays wanted, so that an mprotect() back brings it
 * back, where that arrives as an invalidation: memory in a GiB of which nothing was
 * ever touched sends none and has to be set again.
 */
#include "kfd_svm_priv.h"

#include <linux/jiffies.h>

#include "kfd_svm_trace.h"

/* Tries of one run of the work for blocks that are hit while it runs. */
#define SPARE_TRIES	16

static void tell_queues(struct kfd_svm *svm, unsigned int gpu,
			enum kfd_svm_event_kind kind, bool rescheduled)
{
	const struct kfd_svm_event event = {
		.kind = kind,
		.trigger = KFD_SVM_EVICTION_SVM,
		.user_gpu_id = svm->gpus[gpu].user_gpu_id,
		.rescheduled = rescheduled,
	};

	kfd_svm_tell(svm, &event);
}

/* Of kfd_svm_evict(), for one GPU that has a vm. */
void kfd_svm_stop_gpu(struct kfd_svm *svm, unsigned int gpu)
{
	lockdep_assert_held(&svm->update_lock);

	svm->gpus[gpu].gpu->desc.ops->quiesce(svm->gpus[gpu].vm);
	tell_queues(svm, gpu, KFD_SVM_EVENT_QUEUE_EVICTION, false);
}

/* Stop all queues of the process until everything pending is restored. */
void kfd_svm_evict(struct kfd_svm *svm)
{
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);

	if (svm->evicted)
		return;
	WRITE_ONCE(svm->work_waiting, false);
	/*
	 * Before the engines stop: an engine that finds itself stopped looks at
	 * it in kfd_svm_work_waiting().
	 */
	WRITE_ONCE(svm->evicted, true);
	for (i = 0; i < svm->nr_gpus; i++)
		if (svm->gpus[i].vm)
			kfd_svm_stop_gpu(svm, i);
	trace_kfd_svm_evict(svm->tgid, svm->nr_pending);
}

/* Let the queues go on if nothing is pending any more. */
void kfd_svm_resume_if_restored(struct kfd_svm *svm)
{
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);

	if (!svm->evicted || svm->nr_pending || svm->dead)
		return;
	WRITE_ONCE(svm->evicted, false);
	WRITE_ONCE(svm->work_waiting, false);
	for (i = 0; i < svm->nr_gpus; i++) {
		struct kfd_svm_pgpu *pgpu = &svm->gpus[i];

		if (!pgpu->vm)
			continue;
		pgpu->counters.restores++;
		pgpu->gpu->desc.ops->resume(pgpu->vm);
		tell_queues(svm, i, KFD_SVM_EVENT_QUEUE_RESTORE, false);
	}
	trace_kfd_svm_restore(svm->tgid, svm->nr_pending);
}

/*
 * Whoever moved memory of first..last itself has mapped it again: what came back waits
 * for no worker.
 */
void kfd_svm_settle_pending(struct kfd_svm *svm, unsigned long first,
			    unsigned long last)
{
	struct kfd_svm_block *block;
	unsigned long index;
	unsigned int i;

	lockdep_assert_held(&svm->op_lock);
	lockdep_assert_held(&svm->update_lock);

	if (!svm->evicted)
		return;
	xa_for_each_range(&svm->blocks, index, block, kfd_svm_block_of(first),
			  kfd_svm_block_of(last)) {
		bool wanted = false;

		for (i = 0; i < svm->nr_gpus; i++)
			wanted |= block->gpu[i] &&
				  !bitmap_empty(block->gpu[i]->want,
						KFD_SVM_BLOCK_PAGES);
		if (wanted)
			continue;
		block->failures = 0;
		kfd_svm_block_clear_pending(svm, block);
	}
	kfd_svm_resume_if_restored(svm);
}

/**
 * kfd_svm_work_waiting - an engine has work but was told to be quiet
 * @svm: the process
 *
 * To be called by the backend whenever a queue of the process has packets to
 * run between ops->quiesce() and ops->resume(): when quiesce() stops it with
 * packets left, and when packets arrive later. Starts restoring what was taken
 * away. Cheap when there is nothing to restore; no call is needed while queues
 * are empty.
 *
 * Context: any, atomic included.
 */
void kfd_svm_work_waiting(struct kfd_svm *svm)
{
	WRITE_ONCE(svm->work_waiting, true);
	if (READ_ONCE(svm->evicted) && !READ_ONCE(svm->dead))
		mod_delayed_work(kfd_svm_wq, &svm->restore_work, 0);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_work_waiting, KFD_SVM);

/*
 * The next pending block that may be tried now, moved to the end of the list.
 * With none, *@delay (jiffies) says when to look again.
 */
static struct kfd_svm_block *next_due(struct kfd_svm *svm, unsigned long *delay)
{
	struct kfd_svm_block *block;

	lockdep_assert_held(&svm->update_lock);

	*delay = msecs_to_jiffies(KFD_SVM_BACKOFF_MAX_MS);
	list_for_each_entry(block, &svm->pending, pending) {
		long wait = block->next_try - jiffies;

		if (wait <= 0) {
			list_move_tail(&block->pending, &svm->pending);
			return block;
		}
		*delay = min(*delay, (unsigned long)wait);
	}
	return NULL;
}

/* First and last page of @block that some GPU waits for. Return: there is one. */
static bool wanted_span(struct kfd_svm *svm, struct kfd_svm_block *block,
			unsigned long *first, unsigned long *last)
{
	unsigned long base = kfd_svm_block_first(block);
	unsigned long bit;
	bool any = false;
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);

	kfd_svm_block_prune_wants(svm, block);
	*first = base + KFD_SVM_BLOCK_PAGES - 1;
	*last = base;
	for (i = 0; i < svm->nr_gpus; i++) {
		const struct kfd_svm_mapping *map = block->gpu[i];

		if (!map || bitmap_empty(map->want, KFD_SVM_BLOCK_PAGES))
			continue;
		any = true;
		bit = find_first_bit(map->want, KFD_SVM_BLOCK_PAGES);
		*first = min(*first, base + bit);
		bit = find_last_bit(map->want, KFD_SVM_BLOCK_PAGES);
		*last = max(*last, base + bit);
	}
	return any;
}

/* The try is over. The block leaves the list unless it failed or was hit again. */
static void finish_try(struct kfd_svm *svm, struct kfd_svm_block *block, int err)
{
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);

	if (err) {
		unsigned int ms = kfd_svm_policy_backoff_ms(block->failures++);

		block->next_try = jiffies + max(1UL, msecs_to_jiffies(ms));
		for (i = 0; i < svm->nr_gpus; i++)
			if (svm->gpus[i].vm)
				tell_queues(svm, i, KFD_SVM_EVENT_QUEUE_RESTORE,
					    true);
		return;
	}
	if (!block->hit) {
		block->failures = 0;
		kfd_svm_block_clear_pending(svm, block);
	} else if (++block->failures > SPARE_TRIES) {
		/* Taken away again each time: not at the cost of a whole CPU. */
		block->next_try = jiffies + 1;
	}
}

/*
 * Restore the next block that is due. It stays pending until it is done: else
 * an unmap of the last other pending block would let the queues go.
 * Return: there may be more to do now; if not, *@delay says when to go on, 0 for
 * never.
 */
static bool restore_one(struct kfd_svm *svm, unsigned long *delay)
{
	struct kfd_svm_block *block = NULL;
	unsigned long first, last;
	int err = 0, missing;
	bool wanted = false;

	lockdep_assert_held(&svm->op_lock);

	mutex_lock(&svm->update_lock);
	*delay = 0;
	kfd_svm_resume_if_restored(svm);
	if (svm->evicted && !svm->dead)
		block = next_due(svm, delay);
	if (block) {
		block->hit = false;
		wanted = wanted_span(svm, block, &first, &last);
	}
	mutex_unlock(&svm->update_lock);

	if (!block)
		return false;
	if (wanted)
		err = kfd_svm_map_eager(svm, first, last, &missing);
	mutex_lock(&svm->update_lock);
	finish_try(svm, block, err);
	mutex_unlock(&svm->update_lock);
	return err != -ESRCH;
}

void kfd_svm_restore_worker(struct work_struct *work)
{
	struct kfd_svm *svm = container_of(to_delayed_work(work),
					   struct kfd_svm, restore_work);
	unsigned long budget = READ_ONCE(svm->nr_pending) + SPARE_TRIES;
	struct kfd_svm_charge charge;
	unsigned long delay = 0;
	bool more = true;

	/*
	 * One block at a time, so that a set_attr or a fault gets its turn. What
	 * the CPU takes away again meanwhile is tried at once, since an engine
	 * waits, but not for ever in one go.
	 */
	kfd_svm_charge_begin(svm, &charge);
	while (more && budget--) {
		mutex_lock(&svm->op_lock);
		more = restore_one(svm, &delay);
		mutex_unlock(&svm->op_lock);
		cond_resched();
	}
	kfd_svm_charge_end(&charge);
	if ((more || delay) && READ_ONCE(svm->work_waiting))
		queue_delayed_work(kfd_svm_wq, &svm->restore_work,
				   more ? 0 : delay);
}
