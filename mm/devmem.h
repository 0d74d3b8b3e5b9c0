/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device memory inside: its pages, its chunks, and a move of pages.
 */
#ifndef _HMM_MIRROR_DEVMEM_INTERNAL_H
#define _HMM_MIRROR_DEVMEM_INTERNAL_H

#include "runs.h"

#include <linux/atomic.h>
#include <linux/hmm_mirror_devmem.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct resource;
struct vm_fault;

#define HMM_MIRROR_WINDOW_LEN	((unsigned long)HMM_MIRROR_MIGRATE_NPAGES << PAGE_SHIFT)
#define HMM_MIRROR_WINDOW_ORDER	9
static_assert(!(HMM_MIRROR_MIGRATE_NPAGES ^ BIT(HMM_MIRROR_WINDOW_ORDER)));

/*
 * Pages that are larger than one. Where the kernel does not move them, or where they are
 * not as large as a window, there are none.
 */
#if defined(MIGRATE_PFN_COMPOUND) && defined(HMM_MIRROR_FOLIO_SPLIT) && \
	defined(CONFIG_TRANSPARENT_HUGEPAGE)
#define HMM_MIRROR_PFN_COMPOUND		MIGRATE_PFN_COMPOUND
#define HMM_MIRROR_SELECT_COMPOUND	MIGRATE_VMA_SELECT_COMPOUND
#else
#define HMM_MIRROR_PFN_COMPOUND		0
#define HMM_MIRROR_SELECT_COMPOUND	0
#endif

/**
 * struct hmm_mirror_devmem - memory of a device
 * @desc: what its owner said, @desc.len in whole 2 MiB
 * @kind: what its pages are
 * @res: the addresses claimed for it, if it was for us to find some
 * @first_pfn: pfn of the byte 0
 * @lock: guards @lru, @chunks, in chunks what they link, and how many are where;
 *	innermost
 * @lru: chunks that may be evicted, that used longest ago first
 * @chunks: all chunks by address
 * @nr_lru: chunks in @lru
 * @nr_out: chunks that are not: being made, filled or evicted, or dead
 * @nr_unlisted: those of them that are not in @chunks, not yet or no more
 * @nr_back: how often one came to @lru
 * @dead: chunks without pages; no lock, as pages are freed anywhere
 * @free_work: gives those back
 * @freed_len: bytes given back so far
 * @room_lock: held by who waits for room, one at a time
 * @empty_wait: woken when a chunk was given back, came to @lru, or is not made after all
 * @pgmap: the pages; at the end, as it has an array at its own
 */
struct hmm_mirror_devmem {
	struct hmm_mirror_devmem_desc desc;
	enum hmm_mirror_devmem_kind kind;
	struct resource *res;
	unsigned long first_pfn;
	spinlock_t lock;	/* lists of chunks, and their number */
	struct list_head lru;
	struct rb_root chunks;
	unsigned long nr_lru;
	unsigned long nr_out;
	unsigned long nr_unlisted;
	unsigned long nr_back;
	struct llist_head dead;
	struct work_struct free_work;
	atomic64_t freed_len;
	struct mutex room_lock;	/* its holder evicts, and waits for others to */
	wait_queue_head_t empty_wait;
	struct dev_pagemap pgmap;
};

/**
 * struct hmm_mirror_chunk - a piece of device memory, and the pages of it
 * @mem: whose memory
 * @res: on whose account its pages are; a reference
 * @addr: first byte, in the device's memory
 * @npages: length
 * @first_va: where the window was that it was made for
 * @made_for: the process that had it made; to be compared only
 * @shift: address of a page there, less its offset in the anonymous memory
 * @live: pages that are not free, and users of the chunk itself
 * @lru: in mem->lru unless it is in mem->nr_out
 * @node: in mem->chunks
 * @dead: in mem->dead, once @live is 0
 */
struct hmm_mirror_chunk {
	struct hmm_mirror_devmem *mem;
	struct hmm_mirror_resident *res;
	u64 addr;
	unsigned int npages;
	unsigned long first_va;
	const struct mm_struct *made_for;
	unsigned long shift;
	atomic_t live;
	struct list_head lru;
	struct rb_node node;
	struct llist_node dead;
};

/**
 * struct hmm_mirror_party - pages of a move that have account and way in common
 * @res: the account
 * @from: where they are, NULL: RAM
 * @to: where they go, NULL: RAM
 * @moved: how many did
 * @by_other: they are moved where another process has them
 * @first_va: then: the first of them where the account's process had it
 * @last_va: then: the last
 */
struct hmm_mirror_party {
	struct hmm_mirror_resident *res;
	struct hmm_mirror_devmem *from;
	struct hmm_mirror_devmem *to;
	unsigned long moved;
	bool by_other;
	unsigned long first_va;
	unsigned long last_va;
};

#define HMM_MIRROR_NR_PARTIES	8

/**
 * struct hmm_mirror_mover - a move of the pages of a window
 * @args: the window; without a VMA they are pages of a chunk, by pfn
 * @to: where to, NULL: RAM
 * @chunk: of @to, being filled
 * @next: page of it that is handed out next
 * @res: account of what comes to @to
 * @cause: why
 * @tag: for the callbacks
 * @first_va: of the window, for the callbacks
 * @parties: what the callbacks are called for
 * @nr_parties: how many
 * @began: of how many of them the callback was called
 * @runs: to be copied now
 * @moved: pages that did move
 * @err: why others did not
 * @must: what cannot be copied moves nevertheless, as zeros
 * @must_split: a huge page stays, as there was none for it
 * @no_peer: pages of another device were left there, since there is no link
 */
struct hmm_mirror_mover {
	struct migrate_vma args;
	struct hmm_mirror_devmem *to;
	struct hmm_mirror_chunk *chunk;
	unsigned int next;
	struct hmm_mirror_resident *res;
	enum hmm_mirror_move_cause cause;
	unsigned long tag;
	unsigned long first_va;
	struct hmm_mirror_party parties[HMM_MIRROR_NR_PARTIES];
	unsigned int nr_parties;
	unsigned int began;
	struct hmm_mirror_runs runs;
	unsigned long moved;
	int err;
	bool must;
	bool must_split;
	bool no_peer;
};

/* Pages that an entry of a migrate array stands for. */
static inline unsigned long hmm_mirror_entry_npages(unsigned long entry)
{
	return entry & HMM_MIRROR_PFN_COMPOUND ? HMM_MIRROR_MIGRATE_NPAGES : 1;
}

/*
 * What a device page says of itself: its chunk, and whether its account knows of it. A
 * page that has not arrived, and one that has left, is silent when it is freed.
 */
#define HMM_MIRROR_PAGE_SILENT	1UL

static inline struct hmm_mirror_chunk *hmm_mirror_page_chunk(struct page *page)
{
	unsigned long data = (unsigned long)compound_head(page)->zone_device_data;

	return (struct hmm_mirror_chunk *)(data & ~HMM_MIRROR_PAGE_SILENT);
}

static inline bool hmm_mirror_page_is_silent(struct page *page)
{
	return (unsigned long)page->zone_device_data & HMM_MIRROR_PAGE_SILENT;
}

static inline void hmm_mirror_page_set_silent(struct page *page, bool silent)
{
	unsigned long data = (unsigned long)page->zone_device_data;

	data &= ~HMM_MIRROR_PAGE_SILENT;
	page->zone_device_data = (void *)(data | (silent ? HMM_MIRROR_PAGE_SILENT : 0));
}

static inline u64 hmm_mirror_page_addr(const struct hmm_mirror_devmem *mem,
				       struct page *page)
{
	return PFN_PHYS(page_to_pfn(page) - mem->first_pfn);
}

/* devmem.c */
extern struct workqueue_struct *hmm_mirror_free_wq;
struct hmm_mirror_devmem *hmm_mirror_devmem_of_pfn(unsigned long pfn, void *owner);

/* chunk.c */
struct hmm_mirror_chunk *hmm_mirror_chunk_alloc(struct hmm_mirror_devmem *mem,
						struct hmm_mirror_resident *res,
						unsigned int npages,
						unsigned long first_va);
void hmm_mirror_chunk_put(struct hmm_mirror_chunk *chunk, unsigned int nr);
bool hmm_mirror_chunk_filled(struct hmm_mirror_chunk *chunk);
void hmm_mirror_chunk_take(struct hmm_mirror_chunk *chunk);
struct page *hmm_mirror_chunk_page(struct hmm_mirror_chunk *chunk, unsigned int index,
				   unsigned int order);
void hmm_mirror_chunk_page_freed(struct page *page, unsigned int npages);
struct hmm_mirror_chunk *hmm_mirror_chunk_at(struct hmm_mirror_devmem *mem, u64 addr);
struct hmm_mirror_chunk *hmm_mirror_chunk_next(struct hmm_mirror_chunk *chunk);
void hmm_mirror_free_work(struct work_struct *work);

/* move.c */
struct hmm_mirror_mover *hmm_mirror_mover_alloc(unsigned long npages, gfp_t gfp);
void hmm_mirror_mover_free(struct hmm_mirror_mover *mover, unsigned long npages);
void hmm_mirror_mover_exit(void);
void hmm_mirror_mover_init(struct hmm_mirror_mover *mover, unsigned long *src,
			   unsigned long *dst, struct hmm_mirror_copy *runs);
void hmm_mirror_mover_drop(struct hmm_mirror_mover *mover, unsigned long i);
void hmm_mirror_mover_finalize(struct hmm_mirror_mover *mover);
void hmm_mirror_mover_run(struct hmm_mirror_mover *mover);

/* migrate_copy.c */
int hmm_mirror_mover_copy(struct hmm_mirror_mover *mover);

/* migrate.c */
bool hmm_mirror_is_window(const struct hmm_mirror_migrate *req);

/* migrate_ram.c */
void hmm_mirror_mover_to_ram(struct hmm_mirror_mover *mover, unsigned long fault_index);
int hmm_mirror_window_to_ram(struct hmm_mirror_migrate *req, unsigned long first_va,
			     unsigned long last_va, unsigned long *moved);
vm_fault_t hmm_mirror_cpu_fault(struct vm_fault *vmf);

/* evict.c */
u64 hmm_mirror_evict(struct hmm_mirror_devmem *mem, u64 len, bool all);

/* window.c */
struct hmm_mirror_window {
	unsigned long npages;
	unsigned long nr_there;
	unsigned long nr_owned;
	unsigned long nr_holes;
	unsigned long nr_errors;
};

int hmm_mirror_window_look(struct hmm_mirror *mirror, unsigned long first_va,
			   unsigned long last_va, struct hmm_mirror_devmem *mem,
			   unsigned int req, struct hmm_mirror_window *window);

#endif /* _HMM_MIRROR_DEVMEM_INTERNAL_H */
