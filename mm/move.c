// SPDX-License-Identifier: GPL-2.0-only
/*
 * A move of pages, whichever way and why: what is the same for all of them.
 *
 * The kernel has collected pages (locked, unmapped, in args.src) and the way there has
 * provided pages for them (locked, in args.dst). From there on:
 *
 *   begin    tell the accounts
 *   copy     all or nothing
 *   pages    the kernel decides, page by page; what keeps its MIGRATE bit has moved
 *   count    of those
 *   end      tell the accounts
 *   finalize the CPU's page tables show the pages, old or new; all are unlocked, and
 *            those without a user are freed
 *
 * Counting and the end come before finalize: a page that is unmapped right after it is
 * counted as freed then, so no account goes below zero.
 *
 * Who else wants the pages of a window meanwhile:
 *
 *   CPU fault                            migration of the window to a device
 *     page is in the table: nothing        collects it, puts a migration entry
 *     migration entry: waits until the
 *     page is unlocked
 *                                          finalize: device entry, page unlocked
 *     looks again: device entry
 *     page locked? waits; else locks it,
 *     collects others of the window by
 *     trylock
 *
 *   CPU fault on page 1                  CPU fault on page 2 of the same window
 *     locks 1                              locks 2
 *     collects all but 2                   collects all but what the other has
 *     moves them                           moves at least 2
 *
 * Nobody waits with a page lock for another, as all but the first lock of a fault are
 * taken by trylock. A page that could not be locked is not moved; the one who faulted on
 * it has it locked itself.
 */
#include "devmem.h"
#include "internal.h"
#include "trace.h"

#include <linux/device.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#ifdef CONFIG_KFDSVM_DEBUG
static bool break_migrate_count;
module_param(break_migrate_count, bool, 0644);
MODULE_PARM_DESC(break_migrate_count,
		 "Count pages that were to move, moved or not; a test must notice");
#else
#define break_migrate_count false
#endif

static unsigned long mover_npages(const struct hmm_mirror_mover *mover)
{
	return mover->args.npages;
}

/**
 * hmm_mirror_mover_init - begin to describe a move
 * @mover: the object
 * @src: array as long as the window
 * @dst: the same
 * @runs: the same
 */
void hmm_mirror_mover_init(struct hmm_mirror_mover *mover, unsigned long *src,
			   unsigned long *dst, struct hmm_mirror_copy *runs)
{
	memset(mover, 0, sizeof(*mover));
	mover->args.src = src;
	mover->args.dst = dst;
	mover->runs.runs = runs;
}

/*
 * The arrays of a window of 2 MiB are large, and kernels that clear all that is allocated
 * take for that as long as for the rest of a move of a huge page. One is kept for each CPU;
 * it is nobody's, so it is not charged.
 */
static DEFINE_PER_CPU(struct hmm_mirror_mover *, spare_mover);

/**
 * hmm_mirror_mover_alloc - a move with its arrays
 * @npages: of the window
 * @gfp: how hard to try
 *
 * Return: the object, for hmm_mirror_mover_free(), or NULL.
 */
struct hmm_mirror_mover *hmm_mirror_mover_alloc(unsigned long npages, gfp_t gfp)
{
	struct hmm_mirror_mover *mover = NULL;
	struct hmm_mirror_copy *runs;
	unsigned long *pfns;

	if (npages == HMM_MIRROR_MIGRATE_NPAGES) {
		mover = this_cpu_xchg(spare_mover, NULL);
		gfp &= ~__GFP_ACCOUNT;
	}
	if (!mover)
		mover = kvmalloc(sizeof(*mover) +
				 npages * (sizeof(*runs) + 2 * sizeof(*pfns)), gfp);
	if (!mover)
		return NULL;
	runs = (struct hmm_mirror_copy *)(mover + 1);
	pfns = (unsigned long *)(runs + npages);
	hmm_mirror_mover_init(mover, pfns, pfns + npages, runs);
	return mover;
}

/**
 * hmm_mirror_mover_free - a move is over
 * @mover: of hmm_mirror_mover_alloc(), or NULL
 * @npages: it was made for
 */
void hmm_mirror_mover_free(struct hmm_mirror_mover *mover, unsigned long npages)
{
	if (mover && npages == HMM_MIRROR_MIGRATE_NPAGES)
		mover = this_cpu_xchg(spare_mover, mover);
	kvfree(mover);
}

/* Nothing moves any more. */
void hmm_mirror_mover_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kvfree(per_cpu(spare_mover, cpu));
}

/* A page provided is not needed after all. */
void hmm_mirror_mover_drop(struct hmm_mirror_mover *mover, unsigned long i)
{
	struct page *page = migrate_pfn_to_page(mover->args.dst[i]);

	mover->args.dst[i] = 0;
	if (page) {
		unlock_page(page);
		put_page(page);
	}
}

static void drop_all(struct hmm_mirror_mover *mover)
{
	unsigned long i;

	for (i = 0; i < mover_npages(mover); i++)
		hmm_mirror_mover_drop(mover, i);
}

/* NULL if there are too many. */
static struct hmm_mirror_party *get_party(struct hmm_mirror_mover *mover,
					  struct hmm_mirror_resident *res,
					  struct hmm_mirror_devmem *from,
					  struct hmm_mirror_devmem *to)
{
	struct hmm_mirror_party *party = mover->parties;
	unsigned int i;

	for (i = 0; i < mover->nr_parties; i++, party++) {
		if (party->res == res && party->from == from && party->to == to)
			return party;
	}
	if (mover->nr_parties == HMM_MIRROR_NR_PARTIES)
		return NULL;
	mover->nr_parties++;
	*party = (struct hmm_mirror_party){ .res = res, .from = from, .to = to };
	return party;
}

/*
 * Note for the account that a page leaves where its process had it, which is not where it
 * is here if that is another process. Once a page has left nobody can tell any more.
 */
static void note_home(const struct hmm_mirror_mover *mover,
		      const struct hmm_mirror_chunk *chunk, struct page *page,
		      struct hmm_mirror_party *leave)
{
	struct folio *folio = page_folio(page);
	unsigned long first_va, last_va;

	if (!mover->args.vma || mover->args.vma->vm_mm == chunk->made_for)
		return;
	first_va = (folio->index << PAGE_SHIFT) + chunk->shift;
	last_va = first_va + folio_size(folio) - 1;
	if (!leave->by_other) {
		leave->by_other = true;
		leave->first_va = first_va;
		leave->last_va = last_va;
	}
	/* What lies far apart at home is told by its first page. */
	if (max(leave->last_va, last_va) - min(leave->first_va, first_va) >=
	    HMM_MIRROR_WINDOW_LEN)
		return;
	leave->first_va = min(leave->first_va, first_va);
	leave->last_va = max(leave->last_va, last_va);
}

/* Counts pages that come from @page, which may be NULL. False: too many parties. */
static bool count_pages(struct hmm_mirror_mover *mover, struct page *page,
			unsigned long npages)
{
	struct hmm_mirror_party *leave = NULL, *come = NULL;
	struct hmm_mirror_chunk *chunk = NULL;

	if (page && is_zone_device_page(page))
		chunk = hmm_mirror_page_chunk(page);
	if (chunk && mover->to && chunk->res == mover->res) {
		come = get_party(mover, mover->res, chunk->mem, mover->to);
		if (!come)
			return false;
		come->moved += npages;
		return true;
	}
	if (chunk) {
		leave = get_party(mover, chunk->res, chunk->mem, NULL);
		if (!leave)
			return false;
		/* Before the first is told. */
		if (!npages)
			note_home(mover, chunk, page, leave);
	}
	if (mover->to) {
		come = get_party(mover, mover->res, NULL, mover->to);
		if (!come)
			return false;
		come->moved += npages;
	}
	if (leave)
		leave->moved += npages;
	return true;
}

/* Who is to be told; pages for whom there is no room are left for another time. */
static void find_parties(struct hmm_mirror_mover *mover)
{
	unsigned long i, n;

	for (i = 0; i < mover_npages(mover); i += n) {
		struct page *src = migrate_pfn_to_page(mover->args.src[i]);

		n = hmm_mirror_entry_npages(mover->args.dst[i]);
		if (mover->args.dst[i] && !count_pages(mover, src, 0))
			hmm_mirror_mover_drop(mover, i);
	}
}

static void tell(struct hmm_mirror_mover *mover, unsigned int i, bool end)
{
	const struct hmm_mirror_party *party = &mover->parties[i];
	const struct hmm_mirror_move move = {
		.cause = mover->cause,
		.from = party->from ? party->from->desc.priv : NULL,
		.to = party->to ? party->to->desc.priv : NULL,
		.by_other = party->by_other,
		.first_va = party->by_other ? party->first_va : mover->first_va,
		.npages = party->by_other ?
			  (party->last_va + 1 - party->first_va) >> PAGE_SHIFT :
			  mover_npages(mover),
		.moved = party->moved,
		.err = end && party->moved < mover_npages(mover) ? mover->err : 0,
		.tag = mover->tag,
	};

	if (!end) {
		party->res->ops->begin(party->res, &move);
		return;
	}
	trace_hmm_mirror_migrate(&move);
	party->res->ops->end(party->res, &move);
}

static void tell_begin(struct hmm_mirror_mover *mover)
{
	while (mover->began < mover->nr_parties)
		tell(mover, mover->began++, false);
}

static void tell_end(struct hmm_mirror_mover *mover)
{
	while (mover->began)
		tell(mover, --mover->began, true);
}

/* A page has moved, all users of the old one are gone but us. */
static void page_moved(struct hmm_mirror_mover *mover, struct page *src,
		       struct page *dst)
{
	if (src && is_zone_device_page(src))
		hmm_mirror_page_set_silent(src, true);
	if (mover->to)
		hmm_mirror_page_set_silent(dst, false);
	else
		/* The device may have written, and the CPU's entry cannot know. */
		folio_mark_dirty(page_folio(dst));
}

static void count_moved(struct hmm_mirror_mover *mover)
{
	unsigned long i, n;

	for (i = 0; i < mover_npages(mover); i += n) {
		struct page *src = migrate_pfn_to_page(mover->args.src[i]);
		struct page *dst = migrate_pfn_to_page(mover->args.dst[i]);

		n = hmm_mirror_entry_npages(mover->args.dst[i]);
		if (!dst)
			continue;
		if (mover->args.src[i] & MIGRATE_PFN_MIGRATE)
			page_moved(mover, src, dst);
		else if (!break_migrate_count)
			continue;
		/* The parties were found before: there is room. */
		WARN_ON_ONCE(!count_pages(mover, src, n));
		mover->moved += n;
	}
}

/**
 * hmm_mirror_mover_finalize - end a move
 * @mover: pages collected, perhaps moved
 */
void hmm_mirror_mover_finalize(struct hmm_mirror_mover *mover)
{
	if (mover->args.vma)
		migrate_vma_finalize(&mover->args);
	else
		migrate_device_finalize(mover->args.src, mover->args.dst,
					mover->args.npages);
}

/* Pages that were provided for this are zero. */
static void say_lost(struct hmm_mirror_mover *mover, int err)
{
	const struct hmm_mirror_devmem *mem = mover->parties[0].from;

	dev_err_ratelimited(mem->desc.dev,
			    "memory of processes is lost, %lu pages from 0x%lx: %d\n",
			    mover_npages(mover), mover->first_va, err);
}

/**
 * hmm_mirror_mover_run - move pages
 * @mover: pages collected, and those provided for them
 *
 * All pages are put and unlocked afterwards, but for the fault page.
 *
 * Context: page locks held, as the kernel collected them; mmap_lock if there is a VMA.
 */
void hmm_mirror_mover_run(struct hmm_mirror_mover *mover)
{
	int err;

	find_parties(mover);
	tell_begin(mover);
	err = hmm_mirror_mover_copy(mover);
	if (err && mover->must) {
		say_lost(mover, err);
		err = 0;
	}
	if (err) {
		mover->err = err;
		drop_all(mover);
	} else if (mover->args.vma) {
		migrate_vma_pages(&mover->args);
	} else {
		migrate_device_pages(mover->args.src, mover->args.dst,
				     mover->args.npages);
	}
	count_moved(mover);
	tell_end(mover);
	hmm_mirror_mover_finalize(mover);
}
