/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HMM_MIRROR_BENCH_BENCH_H
#define HMM_MIRROR_BENCH_BENCH_H

#include "hmm_mirror_bench.h"

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/hmm_mirror.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>

#include <asm/msr.h>

struct bench_crowd_notifier;
struct bench_gpusvm;
struct platform_device;

/**
 * struct bench - one open file: a span and who looks at it
 * @lock: one ioctl at a time; outermost
 * @mm: whose memory it is; set together with the span
 * @first_va: first byte
 * @last_va: last byte
 * @npages: size
 * @parts: HMM_BENCH_*, what is set up
 * @pfns: what the kernel's walk fills, one entry a page
 * @extents: what the mirror fills, room for one a page
 * @dma: DMA addresses, one an extent or a page
 * @nr_extents: in @extents, of the last pass that made some
 * @update_lock: the mirror's
 * @mirror: ours
 * @range: over all of the span
 * @notifier_lock: the update lock of the kernel's way
 * @notifier: the kernel's way
 * @nr_mirror_events: callbacks, under @update_lock
 * @nr_notifier_events: callbacks
 * @crowd_ranges: many ranges of @mirror
 * @nr_crowd_ranges: how many
 * @crowd_notifiers: many notifiers
 * @nr_crowd_notifiers: how many
 * @gpusvm: the second peer, made when first used
 */
struct bench {
	struct mutex lock;	/* see above */
	struct mm_struct *mm;
	unsigned long first_va;
	unsigned long last_va;
	unsigned long npages;
	unsigned int parts;

	unsigned long *pfns;
	struct hmm_mirror_extent *extents;
	dma_addr_t *dma;
	unsigned long nr_extents;

	struct mutex update_lock;	/* see above */
	struct hmm_mirror mirror;
	struct hmm_mirror_range range;
	struct mutex notifier_lock;	/* see above */
	struct mmu_interval_notifier notifier;
	unsigned long nr_mirror_events;
	atomic_long_t nr_notifier_events;

	struct hmm_mirror_range *crowd_ranges;
	unsigned int nr_crowd_ranges;
	struct bench_crowd_notifier *crowd_notifiers;
	unsigned int nr_crowd_notifiers;

	struct bench_gpusvm *gpusvm;
};

/* The TSC: behind all that came before. */
static __always_inline u64 bench_clock(void)
{
	return rdtsc_ordered();
}

/* main.c */
extern struct platform_device *bench_device;

/* walk.c */
int bench_kernel_walk(struct bench *b, struct hmm_bench_pass *pass);
int bench_mirror_walk(struct bench *b, struct hmm_bench_pass *pass);
void bench_look_at_pfns(struct bench *b, struct hmm_bench_pass *pass);
void bench_look_at_extents(struct bench *b, struct hmm_bench_pass *pass);

/* dma.c */
int bench_dma_pages(struct bench *b, struct hmm_bench_pass *pass);
int bench_dma_extents(struct bench *b, struct hmm_bench_pass *pass);
int bench_map_extents(struct bench *b, unsigned long first, unsigned long n);
void bench_unmap_extents(struct bench *b, unsigned long n);
#ifdef HMM_BENCH_HMM_DMA_BUILT
int bench_dma_hmm(struct bench *b, struct hmm_bench_pass *pass);
#else
static inline int bench_dma_hmm(struct bench *b, struct hmm_bench_pass *pass)
{
	return -EOPNOTSUPP;
}
#endif

/* scale.c */
int bench_crowd(struct bench *b, struct hmm_bench_crowd *crowd);
void bench_crowd_remove(struct bench *b);

/* race.c */
int bench_race(struct bench *b, struct hmm_bench_race *race);

/* gpusvm.c */
#ifdef HMM_BENCH_GPUSVM_BUILT
int bench_gpusvm_pages(struct bench *b, struct hmm_bench_pass *pass);
void bench_gpusvm_free(struct bench *b);
#else
static inline int bench_gpusvm_pages(struct bench *b,
				     struct hmm_bench_pass *pass)
{
	return -EOPNOTSUPP;
}

static inline void bench_gpusvm_free(struct bench *b)
{
}
#endif

#endif /* HMM_MIRROR_BENCH_BENCH_H */
