// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a mirror and of its mm.
 *
 * All mirrors of an mm share one struct hmm_mirror_mm. It is a plain mmu_notifier
 * with a release callback only, so an invalidation costs it nothing; the core keeps
 * one per mm and ops (mmu_notifier_get()) and frees it behind the last
 * mmu_notifier_put(), after readers of its SRCU have left.
 *
 * States of a mirror, as predicates:
 *
 *   live       mirror is in hmm->mirrors, hmm->dead is false
 *   releasing  hmm->releasing == mirror, hmm->dead is true
 *   released   mirror is in no list and not releasing, hmm->dead is true
 *
 * Only hmm_mirror_unregister() ends a mirror, from any of the three. The regions
 * stay until then: the core mm still sends events for a dead mm.
 */
#include "internal.h"

#include <linux/kfdsvm_compat.h>
#include <linux/mmap_lock.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#ifdef CONFIG_LOCKDEP
/*
 * Held around ops->release(), touched by hmm_mirror_unregister(), which waits for
 * it: a lock the client takes in one must not be held around the other.
 */
static struct lockdep_map release_map = {
	.name = "hmm_mirror_release"
};
#endif

static struct hmm_mirror_mm *to_hmm_mm(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct hmm_mirror_mm, notifier);
}

static struct mmu_notifier *notifier_alloc(struct mm_struct *mm)
{
	struct hmm_mirror_mm *hmm = kzalloc(sizeof(*hmm), GFP_KERNEL);

	if (!hmm)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&hmm->lock);
	INIT_LIST_HEAD(&hmm->mirrors);
	init_waitqueue_head(&hmm->wait);
	hmm_mirror_live_inc(HMM_MIRROR_LIVE_MM);
	return &hmm->notifier;
}

static void notifier_free(struct mmu_notifier *notifier)
{
	kfree(to_hmm_mm(notifier));
	hmm_mirror_live_dec(HMM_MIRROR_LIVE_MM);
}

static void release_one(struct hmm_mirror *mirror)
{
	/* Waiters for an idle range look at hmm->dead again. */
	wake_up_all(&mirror->settled_wait);

	lock_map_acquire(&release_map);
	if (mirror->ops->release)
		mirror->ops->release(mirror);
	lock_map_release(&release_map);
}

/*
 * The core holds its SRCU here, so @hmm outlives the loop even when the last
 * mirror is unregistered meanwhile.
 *
 *   notifier_release()                        hmm_mirror_register()
 *                                         mmget_not_zero()
 *                                         list_add(&mirror->link)
 *                                         mmput_async()
 *   runs only with mm_users == 0
 *   finds the mirror, calls it once
 *
 * mm_users cannot come back from 0, so a mirror is either in the list before this
 * runs or its registration got -ESRCH. None is added to a dead mm.
 *
 *   notifier_release()                        hmm_mirror_unregister()
 *     list_del_init(), releasing = m
 *                                         list_del_init(): nothing to do
 *     ops->release(m)                     waits
 *     releasing = NULL, wake
 *                                         returns
 *
 * or unregister takes it off the list first and there is no call. Both changes are
 * made under hmm->lock, so there is no third order.
 */
static void notifier_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct hmm_mirror_mm *hmm = to_hmm_mm(notifier);
	struct hmm_mirror *mirror;

	spin_lock(&hmm->lock);
	/* Pairs with READ_ONCE() in hmm_mirror_is_dead(). */
	WRITE_ONCE(hmm->dead, true);
	for (;;) {
		mirror = list_first_entry_or_null(&hmm->mirrors,
						  struct hmm_mirror, link);
		if (!mirror)
			break;
		list_del_init(&mirror->link);
		hmm->releasing = mirror;
		spin_unlock(&hmm->lock);

		release_one(mirror);

		spin_lock(&hmm->lock);
		hmm->releasing = NULL;
		wake_up_all(&hmm->wait);
	}
	spin_unlock(&hmm->lock);
}

static const struct mmu_notifier_ops notifier_ops = {
	.alloc_notifier = notifier_alloc,
	.free_notifier = notifier_free,
	.release = notifier_release,
};

/*
 * Tell lockdep at once what only reclaim under memory pressure would show: the
 * update lock is taken in the middle of reclaim.
 */
static void prime_lockdep(struct mutex *update_lock)
{
	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return;
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(update_lock);
	fs_reclaim_release(GFP_KERNEL);
}

static void mirror_init(struct hmm_mirror *mirror, struct hmm_mirror_mm *hmm,
			struct mm_struct *mm, struct mutex *update_lock,
			const struct hmm_mirror_ops *ops)
{
	mirror->hmm = hmm;
	mirror->mm = mm;
	mirror->update_lock = update_lock;
	mirror->ops = ops;
	INIT_LIST_HEAD(&mirror->link);
	mutex_init(&mirror->regions_lock);
	xa_init(&mirror->regions);
	mirror->nr_regions = 0;
	spin_lock_init(&mirror->tree_lock);
	mirror->tree = RB_ROOT_CACHED;
	mirror->settled_seq = 0;
	mirror->awaited_seq = 0;
	init_waitqueue_head(&mirror->settled_wait);
	INIT_WORK(&mirror->settle_work, hmm_mirror_settle_work);
}

/**
 * hmm_mirror_register - begin to mirror an mm
 * @mirror: the caller's object, uninitialised
 * @mm: the address space; the caller's own or any it holds mm_count of
 * @update_lock: the client's lock, must outlive the mirror
 * @ops: the client's callbacks
 *
 * From here on ops->release() may be called; ops->invalidate() is called once
 * something is watched.
 *
 * Context: process context, sleeps. Takes mmap_lock for write when this is the
 * mm's first mirror, so neither mmap_lock nor the update lock may be held.
 *
 * Lifetime: keeps mm_count until hmm_mirror_unregister(), never mm_users.
 *
 * Return: 0; -ESRCH: the mm is dying; -ENOMEM; -EINTR: a signal is pending and
 * the mm's locks could not be taken.
 */
int hmm_mirror_register(struct hmm_mirror *mirror, struct mm_struct *mm,
			struct mutex *update_lock,
			const struct hmm_mirror_ops *ops)
{
	struct mmu_notifier *notifier;
	struct hmm_mirror_mm *hmm;

	lockdep_assert_not_held(update_lock);
	might_lock(&mm->mmap_lock);

	/* Held until the mirror is in the list: see notifier_release(). */
	if (!mmget_not_zero(mm))
		return -ESRCH;
	notifier = mmu_notifier_get(&notifier_ops, mm);
	if (IS_ERR(notifier)) {
		mmput_async(mm);
		return PTR_ERR(notifier);
	}
	hmm = to_hmm_mm(notifier);
	prime_lockdep(update_lock);

	mmgrab(mm);	/* pairs with mmdrop() in hmm_mirror_unregister() */
	mirror_init(mirror, hmm, mm, update_lock, ops);
	hmm_mirror_live_inc(HMM_MIRROR_LIVE_MIRROR);

	spin_lock(&hmm->lock);
	list_add_tail(&mirror->link, &hmm->mirrors);
	spin_unlock(&hmm->lock);
	mmput_async(mm);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_register, HMM_MIRROR);

static bool is_releasing(struct hmm_mirror_mm *hmm, struct hmm_mirror *mirror)
{
	bool releasing;

	spin_lock(&hmm->lock);
	releasing = hmm->releasing == mirror;
	spin_unlock(&hmm->lock);
	return releasing;
}

/**
 * hmm_mirror_unregister - stop mirroring
 * @mirror: a registered mirror; its ranges are unregistered, no call is under way
 *
 * Once this returns no callback of the mirror runs or will run, and the caller may
 * free it. ops->release() is not called any more unless it has begun, in which case
 * this waits for it. Legal after the mm has died.
 *
 * The client removes what the device has mapped itself: the events that arrive
 * until this returns are no promise to cover everything.
 *
 * Context: process context; sleeps until running invalidations end. Not from the
 * callbacks, not under the update lock, nor under any lock that ops->release() or
 * somebody between the start and the end of an invalidation takes (mmap_lock).
 */
void hmm_mirror_unregister(struct hmm_mirror *mirror)
{
	struct hmm_mirror_mm *hmm = mirror->hmm;

	might_sleep();
	lockdep_assert_not_held(mirror->update_lock);
	lock_map_acquire(&release_map);
	lock_map_release(&release_map);

	spin_lock(&hmm->lock);
	list_del_init(&mirror->link);
	spin_unlock(&hmm->lock);
	wait_event(hmm->wait, !is_releasing(hmm, mirror));

	hmm_mirror_regions_remove(mirror);
	cancel_work_sync(&mirror->settle_work);
	WARN_ON(!RB_EMPTY_ROOT(&mirror->tree.rb_root));

	mutex_destroy(&mirror->regions_lock);
	mirror->hmm = NULL;
	mmu_notifier_put(&hmm->notifier);
	mmdrop(mirror->mm);	/* pairs with mmgrab() in hmm_mirror_register() */
	hmm_mirror_live_dec(HMM_MIRROR_LIVE_MIRROR);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_unregister, HMM_MIRROR);

/* A task is itself a user of its mm, at least as long as it runs here. */
static bool get_users(struct hmm_mirror *mirror)
{
	if (current->mm == mirror->mm)
		return true;
	return !hmm_mirror_is_dead(mirror) && mmget_not_zero(mirror->mm);
}

static void put_users(struct mm_struct *mm)
{
	if (current->mm != mm)
		mmput_async(mm);
}

/**
 * hmm_mirror_mmap_read_lock - take mmap_lock of a mirrored mm that is alive
 * @mirror: a registered mirror
 *
 * Holds mm_users until hmm_mirror_mmap_read_unlock(), by the same task: keep it short,
 * or the exit of the process waits.
 *
 * Context: process context, sleeps. The update lock is not held.
 *
 * Return: 0; -ESRCH: the mm is dead; -EINTR: fatal signal; -EFAULT: the OOM reaper
 * has been here and pages may read as zero.
 */
int hmm_mirror_mmap_read_lock(struct hmm_mirror *mirror)
{
	struct mm_struct *mm = mirror->mm;

	lockdep_assert_not_held(mirror->update_lock);

	if (!get_users(mirror))
		return -ESRCH;
	if (mmap_read_lock_killable(mm)) {
		put_users(mm);
		return -EINTR;
	}
	if (check_stable_address_space(mm)) {
		hmm_mirror_mmap_read_unlock(mirror);
		return -EFAULT;
	}
	return 0;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_mmap_read_lock, HMM_MIRROR);

/**
 * hmm_mirror_mmap_read_unlock - undo hmm_mirror_mmap_read_lock()
 * @mirror: a registered mirror
 *
 * Context: process context. The last user of the mm may go here; its teardown,
 * which calls back into the mirror, is left to a worker.
 */
void hmm_mirror_mmap_read_unlock(struct hmm_mirror *mirror)
{
	mmap_read_unlock(mirror->mm);
	put_users(mirror->mm);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_mmap_read_unlock, HMM_MIRROR);
