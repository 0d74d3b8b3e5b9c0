/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KFD_SVM_BENCH_BENCH_H
#define KFD_SVM_BENCH_BENCH_H

#include "kfd_svm_bench.h"

#include <linux/errno.h>
#include <linux/kfd_svm_backend.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include <asm/msr.h>

#ifdef MIGRATE_PFN_COMPOUND
#define KSB_PFN_HUGE	MIGRATE_PFN_COMPOUND
#else
#define KSB_PFN_HUGE	0UL
#endif

#define KSB_BATCH	512	/* pages of one migrate_vma_setup() */
#define KSB_BATCH_LEN	((unsigned long)KSB_BATCH << PAGE_SHIFT)

/* What is measured moves 64 MiB; more, so that neither side looks for room. */
#define KSB_VRAM_LEN	SZ_128M

struct drm_device;
struct drm_pagemap;
struct platform_device;

/**
 * struct ksb_vram - memory of a device that is not there
 * @lock: guards @used and @nr_used
 * @used: a bit for each page
 * @nr_used: how many
 * @npages: size
 * @data: what stands in it; NULL: it is reached by its own addresses
 * @coherent_start: physical address, 0: none
 * @empty: woken when @nr_used comes to 0
 * @copied: pages, since the pass began; one pass runs at a time
 * @copied_huge: of those, in runs of 2 MiB
 * @cleared: pages
 * @copy_ticks: copying and clearing
 */
struct ksb_vram {
	spinlock_t lock;	/* see above */
	unsigned long *used;
	unsigned long nr_used;
	unsigned long npages;
	void *data;
	u64 coherent_start;
	wait_queue_head_t empty;
	u64 copied;
	u64 copied_huge;
	u64 cleared;
	u64 copy_ticks;
};

/**
 * struct ksb_pages - struct pages of a memory, for the peers
 * @vram: the memory
 * @pgmap: with an owner of its own
 * @res: its addresses, NULL: those of a coherent region
 * @first_pfn: of the memory's first page; 0: there are none
 */
struct ksb_pages {
	struct ksb_vram vram;
	struct dev_pagemap pgmap;
	struct resource *res;
	unsigned long first_pfn;
};

/**
 * struct ksb_file - one open file
 * @lock: one pass at a time; outermost
 * @mm: of who opened it; compared only
 * @svm: its process, made by the first of our passes
 * @blocks: the GPU's page table: 2 MiB each
 * @src: arrays of a bare batch
 * @dst: the same
 * @pagemap: of the second peer, made when first used
 * @notifier: of the walk, over @notifier_va
 * @notifier_va: where it begins, 0: there is none
 * @notifier_len: bytes
 * @pfns: what the walk fills
 * @table: what the walk stores
 */
struct ksb_file {
	struct mutex lock;	/* see above */
	struct mm_struct *mm;
	struct kfd_svm *svm;
	struct xarray blocks;
	unsigned long src[KSB_BATCH];
	unsigned long dst[KSB_BATCH];
	struct drm_pagemap *pagemap;
	struct mmu_interval_notifier notifier;
	unsigned long notifier_va;
	unsigned long notifier_len;
	unsigned long *pfns;
	u64 *table;
};

static __always_inline u64 ksb_clock(void)
{
	return rdtsc_ordered();
}

/* main.c */
extern struct platform_device *ksb_device;

/* vram.c */
int ksb_vram_init(struct ksb_vram *vram, u64 coherent_start, bool with_data);
void ksb_vram_fini(struct ksb_vram *vram);
long ksb_vram_take(struct ksb_vram *vram, unsigned long npages);
void ksb_vram_give(struct ksb_vram *vram, unsigned long index, unsigned long npages);
void ksb_vram_wait_empty(struct ksb_vram *vram);
unsigned long ksb_vram_nr_used(struct ksb_vram *vram);
void *ksb_vram_at(const struct ksb_vram *vram, unsigned long index);
void ksb_vram_copy(struct ksb_vram *vram, void *to, const void *from,
		   unsigned long npages);
void ksb_vram_clear(struct ksb_vram *vram, unsigned long index, unsigned long npages);
void ksb_vram_begin(struct ksb_vram *vram);
void ksb_vram_report(struct ksb_vram *vram, struct ksb_pass *pass);
int ksb_pages_init(struct ksb_pages *pages, u64 coherent_start, void *owner,
		   const struct dev_pagemap_ops *ops);
void ksb_pages_fini(struct ksb_pages *pages);

/* gpu.c */
int ksb_gpu_init(u64 coherent_start);
void ksb_gpu_exit(void);
u32 ksb_gpu_features(void);
int ksb_gpu_pass(struct ksb_file *f, struct ksb_pass *pass);
void ksb_gpu_close(struct ksb_file *f);

/* bare.c */
int ksb_bare_init(u64 coherent_start);
void ksb_bare_exit(void);
int ksb_bare_pass(struct ksb_file *f, struct ksb_pass *pass);

/* walk.c */
int ksb_walk_pass(struct ksb_file *f, struct ksb_pass *pass);
void ksb_walk_close(struct ksb_file *f);

/* pagemap.c */
#ifdef KSB_PAGEMAP_BUILT
int ksb_pagemap_init(void);
void ksb_pagemap_exit(void);
u32 ksb_pagemap_features(void);
int ksb_pagemap_pass(struct ksb_file *f, struct ksb_pass *pass);
void ksb_pagemap_settle(void);
void ksb_pagemap_close(struct ksb_file *f);
#else
static inline int ksb_pagemap_init(void)
{
	return 0;
}

static inline void ksb_pagemap_exit(void)
{
}

static inline u32 ksb_pagemap_features(void)
{
	return 0;
}

static inline int ksb_pagemap_pass(struct ksb_file *f, struct ksb_pass *pass)
{
	return -EOPNOTSUPP;
}

static inline void ksb_pagemap_settle(void)
{
}

static inline void ksb_pagemap_close(struct ksb_file *f)
{
}
#endif

/* All three. */
void ksb_bare_settle(void);
void ksb_gpu_settle(void);

#endif /* KFD_SVM_BENCH_BENCH_H */
