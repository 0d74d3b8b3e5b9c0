/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _HMM_MIRROR_INTERNAL_H
#define _HMM_MIRROR_INTERNAL_H

#include <linux/hmm_mirror.h>
#include <linux/lockdep.h>
#include <linux/mmu_notifier.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct workqueue_struct;

/**
 * struct hmm_mirror_mm - what the mirrors of one mm share
 * @notifier: tells of the mm's death; its user count is this object's life
 * @lock: guards @mirrors, @releasing and writes of @dead; innermost
 * @mirrors: mirrors whose release callback has not begun
 * @releasing: the mirror whose release callback runs
 * @wait: woken when @releasing becomes NULL
 * @dead: the mm has lost its last user; never goes back
 */
struct hmm_mirror_mm {
	struct mmu_notifier notifier;
	spinlock_t lock;	/* see above */
	struct list_head mirrors;
	struct hmm_mirror *releasing;
	wait_queue_head_t wait;
	bool dead;
};

/* Objects that must be gone when the module is unloaded. */
enum hmm_mirror_live {
	HMM_MIRROR_LIVE_MM,
	HMM_MIRROR_LIVE_MIRROR,
	HMM_MIRROR_LIVE_REGION,
	HMM_MIRROR_LIVE_RANGE,
	HMM_MIRROR_LIVE_DMA,
	HMM_MIRROR_LIVE_DEVMEM,
	HMM_MIRROR_LIVE_CHUNK,
	HMM_MIRROR_LIVE_NR,
};

void hmm_mirror_live_inc(enum hmm_mirror_live kind);
void hmm_mirror_live_dec(enum hmm_mirror_live kind);

extern struct workqueue_struct *hmm_mirror_wq;

/* Has the mm lost its last user? Yes stays so; no may be out of date at once. */
static inline bool hmm_mirror_is_dead(struct hmm_mirror *mirror)
{
	/* Pairs with WRITE_ONCE() in notifier_release(). */
	return READ_ONCE(mirror->hmm->dead);
}

static inline bool hmm_mirror_is_newer(unsigned long a, unsigned long b)
{
	return (long)(a - b) > 0;
}

/*
 * Is the phase of the sequence known to be over? If so, a walk of the page table that
 * begins now sees what the invalidations of that phase wrote.
 */
static inline bool hmm_mirror_is_settled(struct hmm_mirror *mirror, unsigned long seq)
{
	/* Pairs with smp_store_release() in hmm_mirror_settle(). */
	return !hmm_mirror_is_newer(seq, smp_load_acquire(&mirror->settled_seq));
}

/* device.c */
int hmm_mirror_device_init(void);
void hmm_mirror_device_exit(void);
bool hmm_mirror_is_shared_device(unsigned long pfn);

/* devmem.c */
int hmm_mirror_devmem_init(void);
void hmm_mirror_devmem_exit(void);

/* region.c */
void hmm_mirror_regions_remove(struct hmm_mirror *mirror);
unsigned long hmm_mirror_regions_seq(struct hmm_mirror *mirror,
				     unsigned long first_va, unsigned long last_va);

/* range.c */
void hmm_mirror_settle_work(struct work_struct *work);
void hmm_mirror_settle(struct hmm_mirror *mirror, unsigned long seq);
int hmm_mirror_wait_settled(struct hmm_mirror *mirror, unsigned long seq,
			    long *left_jiffies);
int hmm_mirror_range_wait_settled(struct hmm_mirror_range *range,
				  unsigned long timeout_jiffies);
unsigned int hmm_mirror_ranges_stamp(struct hmm_mirror *mirror,
				     unsigned long first_va,
				     unsigned long last_va, unsigned long seq);

#endif /* _HMM_MIRROR_INTERNAL_H */
