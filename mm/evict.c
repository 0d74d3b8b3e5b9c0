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
 *
 * Who must have room (hmm_mirror_devmem_evict()) does not give up while any may come:
 *
 *   waits for room                       fills a chunk, or evicts from it
 *     lru: empty, nr_out: 1
 *                                          done: into the lru, nr_back + 1, or dead
 *     nr_back is not what it was: once
 *     more; or freed_len is not
 *
 * There is one such waiter at a time. Two would each put back what the other could then
 * try anew, in turns and for nothing.
 */
#include "devmem.h"
#include "internal.h"
#include "trace.h"

#include <linux/jiffies.h>
#include <linux/kfdsvm_compat.h>
#include <linux/mutex.h>
#include <linux/page-flags.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

/* Chunks looked at in one round, if they do not go. */
#define EVICT_NR_TRIES	64

/* How long chunks are waited for that others have in hand: they move them, that is all. */
#define EVICT_OUT_JIFFIES	(10 * HZ)

/*
 * How long those are waited for of which somebody has a page, perhaps for ever, and how
 * often they are tried: nobody tells when a page is let go of.
 */
#define EVICT_HELD_JIFFIES	HZ
#define EVICT_RETRY_JIFFIES	max(HZ / 100, 1)

/**
 * struct evict - an attempt to make room
 * @mem: where
 * @len: bytes wanted in one piece
 * @must: all goes, with allocations that do not fail
 * @mover: for the moves
 * @nr_back: chunks that were tried and are back in the lru
 * @held: some of them for no other reason than that somebody has their pages
 */
struct evict {
	struct hmm_mirror_devmem *mem;
	u64 len;
	bool must;
	struct hmm_mirror_mover *mover;
	unsigned long nr_back;
	bool held;
};

/* The chunk used longest ago that has pages; taken off the lru and counted. */
static struct hmm_mirror_chunk *take_oldest(struct hmm_mirror_devmem *mem)
{
	struct hmm_mirror_chunk *chunk, *next;

	spin_lock(&mem->lock);
	list_for_each_entry_safe(chunk, next, &mem->lru, lru) {
		bool alive = atomic_inc_not_zero(&chunk->live);

		/* If it is dead: out, for those who wait for what is. */
		hmm_mirror_chunk_take(chunk);
		if (!alive)
			continue;
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
		hmm_mirror_chunk_take(chunk);
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
	nr = mem->nr_lru;
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

static void chunk_move(struct evict *evict, struct hmm_mirror_chunk *chunk)
{
	struct hmm_mirror_mover *mover = evict->mover;
	struct hmm_mirror_devmem *mem = chunk->mem;
	unsigned long *src = mover->args.src, *dst = mover->args.dst;

	hmm_mirror_mover_init(mover, src, dst, mover->runs.runs);
	memset(dst, 0, chunk->npages * sizeof(*dst));
	mover->args.npages = collect(chunk, src);
	leave_those_gone(src, mover->args.npages);
	mover->cause = HMM_MIRROR_MOVE_EVICT;
	mover->first_va = chunk->first_va;
	mover->must = evict->must;
	provide(mover, evict->must);
	hmm_mirror_mover_run(mover);
	trace_hmm_mirror_evict(mem, chunk->addr, chunk->npages, mover->moved,
			       mover->err);
}

/* Return: nothing is left in the chunk. */
static bool chunk_evict(struct evict *evict, struct hmm_mirror_chunk *chunk)
{
	chunk_move(evict, chunk);
	if (hmm_mirror_chunk_filled(chunk))
		return true;
	evict->nr_back++;
	evict->held |= !evict->mover->err;
	return false;
}

/* All chunks of the 2 MiB that a byte is in; each is tried once. */
static void evict_block(struct evict *evict, u64 addr)
{
	u64 end = ALIGN(addr + 1, HMM_MIRROR_WINDOW_LEN);
	struct hmm_mirror_chunk *chunk;

	addr = ALIGN_DOWN(addr, HMM_MIRROR_WINDOW_LEN);
	while (addr < end) {
		chunk = take_neighbour(evict->mem, addr);
		if (!chunk)
			break;
		addr = chunk->addr + PFN_PHYS((u64)chunk->npages);
		chunk_evict(evict, chunk);
	}
}

/* The oldest chunk, and if it goes and that is not enough, those beside it. */
static bool evict_oldest(struct evict *evict, struct hmm_mirror_chunk *chunk)
{
	u64 addr = chunk->addr, got = PFN_PHYS((u64)chunk->npages);

	if (!chunk_evict(evict, chunk))
		return false;
	if (!evict->must && got < evict->len)
		evict_block(evict, addr);
	return true;
}

/*
 * One round: until one of @tries chunks goes, or with @evict->must all of them.
 *
 * Return: false: there is no RAM for them.
 */
static bool evict_round(struct evict *evict, unsigned long tries)
{
	struct hmm_mirror_chunk *chunk;
	bool done = false;

	evict->nr_back = 0;
	evict->held = false;
	evict->mover = hmm_mirror_mover_alloc(HMM_MIRROR_MIGRATE_NPAGES, evict->must ?
					      GFP_KERNEL | __GFP_NOFAIL : GFP_KERNEL);
	if (!evict->mover)
		return false;
	for (; tries && !done; tries--) {
		chunk = take_oldest(evict->mem);
		if (!chunk)
			break;
		done = evict_oldest(evict, chunk);
		/* Without RAM others would be disturbed in vain. */
		done |= evict->mover->err == -ENOMEM || fatal_signal_pending(current);
		done &= !evict->must;
		cond_resched();
	}
	done = evict->mover->err != -ENOMEM;
	hmm_mirror_mover_free(evict->mover, HMM_MIRROR_MIGRATE_NPAGES);
	flush_work(&evict->mem->free_work);
	return done;
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
	struct evict evict = { .mem = mem, .len = len, .must = all };
	s64 before = atomic64_read(&mem->freed_len);

	might_sleep();
	evict_round(&evict, all ? nr_chunks(mem) : EVICT_NR_TRIES);
	return atomic64_read(&mem->freed_len) - before;
}

#ifdef CONFIG_KFDSVM_DEBUG
/* Are the numbers what the chunks say? */
static void check_numbers(struct hmm_mirror_devmem *mem)
{
	unsigned long nr_out = mem->nr_unlisted, nr_lru = 0;
	struct hmm_mirror_chunk *chunk;

	lockdep_assert_held(&mem->lock);

	chunk = hmm_mirror_chunk_at(mem, 0);
	for (; chunk; chunk = hmm_mirror_chunk_next(chunk)) {
		nr_out += list_empty(&chunk->lru);
		nr_lru += !list_empty(&chunk->lru);
	}
	WARN_ON_ONCE(nr_out != mem->nr_out || nr_lru != mem->nr_lru);
}
#else
static void check_numbers(struct hmm_mirror_devmem *mem)
{
}
#endif

/* Do others make, fill, evict or give back chunks? *@back: how often one came to the lru. */
static bool are_out(struct hmm_mirror_devmem *mem, unsigned long *back)
{
	bool out;

	spin_lock(&mem->lock);
	check_numbers(mem);
	out = mem->nr_out;
	*back = mem->nr_back;
	spin_unlock(&mem->lock);
	return out;
}

static u64 freed_since(struct hmm_mirror_devmem *mem, s64 before)
{
	return atomic64_read(&mem->freed_len) - before;
}

/* Is it time for who waits to look again? @out: chunks were out when it began. */
static bool has_changed(struct hmm_mirror_devmem *mem, s64 before, unsigned long back,
			bool out)
{
	unsigned long now_back;
	bool all_in = !are_out(mem, &now_back);

	return now_back != back || (out && all_in) || freed_since(mem, before);
}

/*
 * Rounds until something was given back since @before, or nothing can be.
 *
 * Return: as hmm_mirror_devmem_evict().
 */
static u64 make_room(struct hmm_mirror_devmem *mem, u64 len, s64 before)
{
	struct evict evict = { .mem = mem, .len = len };
	unsigned long start = jiffies, now, limit, back, now_back;
	bool out, held;

	lockdep_assert_held(&mem->room_lock);

	while (!freed_since(mem, before) && !fatal_signal_pending(current)) {
		are_out(mem, &back);
		held = evict_round(&evict, nr_chunks(mem)) && evict.held;
		back += evict.nr_back;
		/* Before freed_len: what is not out any more is counted there. */
		out = are_out(mem, &now_back);
		if (freed_since(mem, before))
			break;
		now = jiffies;
		limit = start + (out ? EVICT_OUT_JIFFIES : EVICT_HELD_JIFFIES);
		if ((!out && !held && now_back == back) || time_after_eq(now, limit))
			break;
		wait_event_killable_timeout(mem->empty_wait,
					    has_changed(mem, before, back, out),
					    held ? EVICT_RETRY_JIFFIES : limit - now);
	}
	return freed_since(mem, before);
}

/**
 * hmm_mirror_devmem_evict - make room in a device's memory
 * @mem: the memory
 * @len: bytes wanted in one piece
 *
 * Moves the chunks used longest ago to RAM, whoever's they are, at least one if one can
 * go, and up to all of an aligned 2 MiB. To be called until what is wanted fits or
 * there is nothing left. Chunks that others are just filling or evicting are waited for,
 * and so are those of which somebody has a page, for a bounded time, but not by a task
 * that is being killed.
 *
 * Context: process context, sleeps; neither mmap_lock nor a page lock is held, nor a
 * lock that invalidations of any process, ops->free() or callbacks of accounts take.
 *
 * Return: bytes that ops->free() gave back meanwhile; 0: nothing can go, or there is no
 * RAM for it.
 */
u64 hmm_mirror_devmem_evict(struct hmm_mirror_devmem *mem, u64 len)
{
	s64 before = atomic64_read(&mem->freed_len);
	u64 freed;

	if (mutex_lock_killable(&mem->room_lock))
		return 0;
	freed = make_room(mem, len, before);
	mutex_unlock(&mem->room_lock);
	return freed;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_devmem_evict, HMM_MIRROR);
