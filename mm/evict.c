// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making room: chunks used longest ago go back to RAM, whoever's they are.
 *
 * Pages are found by number and unmapped by the kernel from every page table that shows
 * them. A page that somebody has locked stays; then so does its chunk, as the one used
 * last.
 *
 *   eviction                             chunk is being filled
 *     lru: it is not in there              page locked
 *                                          filled: into the lru
 *
 *   eviction                             CPU fault
 *     off the lru, counted                 page locked
 *     trylock: not that page               moves it, unlocks, frees it
 *     moves the others
 *     live is its own: done                live - 1
 */
#include "devmem.h"
#include "internal.h"
#include "trace.h"

#include <linux/jiffies.h>
#include <linux/kfdsvm_compat.h>
#include <linux/page-flags.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

/* Chunks looked at in one round, if they do not go. */
#define EVICT_NR_TRIES	64

/* How long chunks are waited for that others have in hand, and how often it is looked. */
#define EVICT_BUSY_JIFFIES	(2 * HZ)
#define EVICT_LOOK_JIFFIES	max(HZ / 100, 1)

/* The chunk used longest ago that has pages; taken off the lru and counted. */
static struct hmm_mirror_chunk *take_oldest(struct hmm_mirror_devmem *mem)
{
	struct hmm_mirror_chunk *chunk;

	spin_lock(&mem->lock);
	list_for_each_entry(chunk, &mem->lru, lru) {
		if (!atomic_inc_not_zero(&chunk->live))
			continue;
		list_del_init(&chunk->lru);
		spin_unlock(&mem->lock);
		return chunk;
	}
	spin_unlock(&mem->lock);
	return NULL;
}

/*
 * A chunk at or behind an address, in the same 2 MiB: when all of those go there is room
 * for a large one.
 */
static struct hmm_mirror_chunk *take_neighbour(struct hmm_mirror_devmem *mem, u64 addr)
{
	u64 end = ALIGN(addr + 1, HMM_MIRROR_WINDOW_LEN);
	struct hmm_mirror_chunk *chunk;

	spin_lock(&mem->lock);
	chunk = hmm_mirror_chunk_at(mem, addr);
	for (; chunk && chunk->addr < end; chunk = hmm_mirror_chunk_next(chunk)) {
		if (list_empty(&chunk->lru) || !atomic_inc_not_zero(&chunk->live))
			continue;
		list_del_init(&chunk->lru);
		spin_unlock(&mem->lock);
		return chunk;
	}
	spin_unlock(&mem->lock);
	return NULL;
}

static unsigned long nr_chunks(struct hmm_mirror_devmem *mem)
{
	unsigned long nr;

	spin_lock(&mem->lock);
	nr = list_count_nodes(&mem->lru);
	spin_unlock(&mem->lock);
	return nr;
}

static struct page *alloc_huge(bool must)
{
	struct folio *folio;

	/* With compaction: without a huge page nothing could be moved. */
	folio = folio_alloc(must ? GFP_TRANSHUGE | __GFP_RETRY_MAYFAIL | __GFP_ZERO :
				   GFP_TRANSHUGE | __GFP_NORETRY,
			    HMM_MIRROR_WINDOW_ORDER);
	return folio ? &folio->page : NULL;
}

static struct page *alloc_small(bool must)
{
	/* Zero: should the copy fail, that is what is left. */
	return alloc_page(must ? GFP_HIGHUSER_MOVABLE | __GFP_NOFAIL | __GFP_ZERO :
				 GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN);
}

static void provide(struct hmm_mirror_mover *mover, bool must)
{
	unsigned long i, n;

	for (i = 0; i < mover->args.npages; i += n) {
		unsigned long entry = mover->args.src[i];
		struct page *page;

		n = hmm_mirror_entry_npages(entry);
		if (!(entry & MIGRATE_PFN_MIGRATE))
			continue;
		page = n > 1 ? alloc_huge(must) : alloc_small(must);
		if (!page) {
			mover->err = -ENOMEM;
			break;
		}
		lock_page(page);
		mover->args.dst[i] = migrate_pfn(page_to_pfn(page)) |
				     (entry & HMM_MIRROR_PFN_COMPOUND);
	}
}

/*
 * Collects the chunk's pages that are in use.
 *
 * Return: entries; a huge page takes as many as it has pages.
 */
static unsigned long collect(struct hmm_mirror_chunk *chunk, unsigned long *src)
{
	unsigned long pfn = chunk->mem->first_pfn + PHYS_PFN(chunk->addr);
#if HMM_MIRROR_PFN_COMPOUND
	bool is_huge = page_ref_count(pfn_to_page(pfn)) && PageHead(pfn_to_page(pfn));
	unsigned long i, nr = 0;

	/* Others may say of themselves what they were before: part of a huge page. */
	for (i = 0; i < chunk->npages; i++, pfn++) {
		if (is_huge || page_ref_count(pfn_to_page(pfn)))
			src[nr++] = pfn;
	}
	migrate_device_pfns(src, nr);
	return nr;
#else
	migrate_device_range(src, pfn, chunk->npages);
	return chunk->npages;
#endif
}

/*
 * Pages that have left by a CPU fault a moment ago, and which that has unlocked but not
 * let go of yet: found by number they look like pages in use. They are nobody's, their
 * charge has gone with the contents, and so would a copy of them be: without a memcg, for
 * whose lru list folio_add_lru() looks for ever on kernels that move folios between memcgs.
 */
static void leave_those_gone(unsigned long *src, unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++) {
		struct page *page = migrate_pfn_to_page(src[i]);

		if (page && hmm_mirror_page_is_silent(compound_head(page)))
			src[i] &= ~MIGRATE_PFN_MIGRATE;
	}
}

static void chunk_move(struct hmm_mirror_chunk *chunk, struct hmm_mirror_mover *mover,
		       bool must)
{
	struct hmm_mirror_devmem *mem = chunk->mem;
	unsigned long *src = mover->args.src, *dst = mover->args.dst;

	hmm_mirror_mover_init(mover, src, dst, mover->runs.runs);
	memset(dst, 0, chunk->npages * sizeof(*dst));
	mover->args.npages = collect(chunk, src);
	leave_those_gone(src, mover->args.npages);
	mover->cause = HMM_MIRROR_MOVE_EVICT;
	mover->first_va = chunk->first_va;
	mover->must = must;
	provide(mover, must);
	hmm_mirror_mover_run(mover);
	trace_hmm_mirror_evict(mem, chunk->addr, chunk->npages, mover->moved,
			       mover->err);
}

/* Return: nothing but who evicts counts in the chunk any more. */
static bool chunk_evict(struct hmm_mirror_chunk *chunk, struct hmm_mirror_mover *mover,
			bool must)
{
	bool empty;

	chunk_move(chunk, mover, must);
	empty = atomic_read(&chunk->live) == 1;
	hmm_mirror_chunk_filled(chunk);
	return empty;
}

/* All chunks of the 2 MiB that a byte is in; each is tried once. */
static void evict_block(struct hmm_mirror_devmem *mem, struct hmm_mirror_mover *mover,
			u64 addr)
{
	u64 end = ALIGN(addr + 1, HMM_MIRROR_WINDOW_LEN);
	struct hmm_mirror_chunk *chunk;

	addr = ALIGN_DOWN(addr, HMM_MIRROR_WINDOW_LEN);
	while (addr < end) {
		chunk = take_neighbour(mem, addr);
		if (!chunk)
			break;
		addr = chunk->addr + PFN_PHYS((u64)chunk->npages);
		chunk_evict(chunk, mover, false);
	}
}

/**
 * hmm_mirror_evict - chunks go back to RAM
 * @mem: the memory
 * @len: bytes wanted in one piece
 * @all: evict all, with allocations that do not fail
 *
 * With @all every chunk is tried once. Else one round: the oldest chunk that goes, and if
 * more is wanted than that, its neighbours, so that a hole of 2 MiB appears.
 *
 * Context: as hmm_mirror_chunk_alloc().
 *
 * Return: bytes given back meanwhile, by whomever.
 */
u64 hmm_mirror_evict(struct hmm_mirror_devmem *mem, u64 len, bool all)
{
	s64 before = atomic64_read(&mem->freed_len);
	struct hmm_mirror_chunk *chunk;
	struct hmm_mirror_mover *mover;
	unsigned long nr, tries;
	bool done;

	might_sleep();
	mover = hmm_mirror_mover_alloc(HMM_MIRROR_MIGRATE_NPAGES, all ?
				       GFP_KERNEL | __GFP_NOFAIL : GFP_KERNEL);
	if (!mover)
		return 0;
	tries = all ? nr_chunks(mem) : EVICT_NR_TRIES;
	for (nr = 0, done = false; nr < tries && !done; nr++) {
		u64 addr, got;

		chunk = take_oldest(mem);
		if (!chunk)
			break;
		addr = chunk->addr;
		got = PFN_PHYS((u64)chunk->npages);
		done = chunk_evict(chunk, mover, all) && !all;
		if (done && got < len)
			evict_block(mem, mover, addr);
		/* Without RAM others would be disturbed in vain. */
		done |= !all && mover->err == -ENOMEM;
		cond_resched();
	}
	hmm_mirror_mover_free(mover, HMM_MIRROR_MIGRATE_NPAGES);
	flush_work(&mem->free_work);
	return atomic64_read(&mem->freed_len) - before;
}

/*
 * Is a chunk being made, filled, evicted or given back by others? It may go, or be free to
 * go, soon.
 */
static bool is_busy(struct hmm_mirror_devmem *mem)
{
	bool busy = atomic_read(&mem->nr_coming) || work_busy(&mem->free_work);
	struct hmm_mirror_chunk *chunk;

	spin_lock(&mem->lock);
	chunk = hmm_mirror_chunk_at(mem, 0);
	for (; chunk && !busy; chunk = hmm_mirror_chunk_next(chunk))
		busy = list_empty(&chunk->lru);
	spin_unlock(&mem->lock);
	return busy;
}

/**
 * hmm_mirror_devmem_evict - make room in a device's memory
 * @mem: the memory
 * @len: bytes wanted in one piece
 *
 * Moves the chunks used longest ago to RAM, whoever's they are, at least one if one can
 * go, and up to all of an aligned 2 MiB. To be called until what is wanted fits or
 * there is nothing left. Chunks that others are just filling or evicting are waited for,
 * for a bounded time, but not by a task that is being killed.
 *
 * Context: process context, sleeps; neither mmap_lock nor a page lock is held, nor a
 * lock that invalidations of any process, ops->free() or callbacks of accounts take.
 *
 * Return: bytes that ops->free() gave back meanwhile; 0: nothing can go, or there is no
 * RAM for it.
 */
u64 hmm_mirror_devmem_evict(struct hmm_mirror_devmem *mem, u64 len)
{
	s64 before = atomic64_read(&mem->freed_len), freed;
	unsigned long deadline = jiffies + EVICT_BUSY_JIFFIES;

	for (;;) {
		hmm_mirror_evict(mem, len, false);
		freed = atomic64_read(&mem->freed_len) - before;
		if (freed || !is_busy(mem) || time_after(jiffies, deadline))
			return freed;
		/* What comes back unmoved tells nobody, hence the looks. */
		if (wait_event_killable_timeout(mem->empty_wait,
						atomic64_read(&mem->freed_len) != before,
						EVICT_LOOK_JIFFIES) < 0)
			return 0;
	}
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_devmem_evict, HMM_MIRROR);
