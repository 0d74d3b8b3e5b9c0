// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: pieces of device memory, each made for one move of one window.
 *
 * chunk->live counts the chunk's pages that are not free, and those that work with the
 * chunk itself. States, as predicates:
 *
 *   filling   in mem->chunks, not in mem->lru; the one who made it counts
 *   resident  in mem->chunks and mem->lru; live > 0, pages only
 *   evicting  in mem->chunks, not in mem->lru; the one who evicts counts
 *   dead      live == 0, for ever; in mem->dead or on its way there; in mem->lru until
 *             somebody sees that it is dead
 *
 * What is in mem->chunks and not in mem->lru is in mem->nr_out; so is what is about to be
 * made, and what is being given back. That may be room soon, or be free to go.
 *
 * A page is freed by whoever drops its last reference: under a page-table lock, in an
 * interrupt. So that takes no lock; a worker gives the memory back.
 *
 *   eviction                           last page is freed
 *     mem->lock
 *     first of the lru
 *     live != 0? one more, off the lru
 *                                        live - 1: not 0
 *     pages: none is left
 *     live - 1: 0, to mem->dead
 *
 * or the page is freed first: then live is 0 and the chunk passed over, and it stays in
 * memory since only the worker frees it, under mem->lock.
 *
 *   filling                            page is freed (unmapped at once)
 *     page set up, mapped
 *                                        live - 1: not 0, the one who fills counts
 *     filled: live - 1
 *
 * Whoever comes to 0 hands the chunk over.
 */
#include "devmem.h"
#include "internal.h"
#include "trace.h"

#include <linux/kfdsvm_compat.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#ifdef CONFIG_KFDSVM_DEBUG
static bool break_evict;
module_param(break_evict, bool, 0644);
MODULE_PARM_DESC(break_evict, "Never make room in device memory; a test must notice");
#else
#define break_evict false
#endif

/* How often memory is made free before alloc gives up: others may take it away. */
#define ALLOC_NR_TRIES	32

static struct hmm_mirror_chunk *to_chunk(struct rb_node *node)
{
	return rb_entry(node, struct hmm_mirror_chunk, node);
}

static bool is_before(struct rb_node *a, const struct rb_node *b)
{
	return to_chunk(a)->addr < rb_entry(b, struct hmm_mirror_chunk, node)->addr;
}

/* live came to 0. */
static void chunk_bury(struct hmm_mirror_chunk *chunk)
{
	struct hmm_mirror_devmem *mem = chunk->mem;

	llist_add(&chunk->dead, &mem->dead);
	/* Also when others are in the list: who flushes the work waits for this one. */
	queue_work(hmm_mirror_free_wq, &mem->free_work);
}

/**
 * hmm_mirror_chunk_put - pages or a user of the chunk are gone
 * @chunk: the chunk
 * @nr: how many
 *
 * Context: any.
 */
void hmm_mirror_chunk_put(struct hmm_mirror_chunk *chunk, unsigned int nr)
{
	if (atomic_sub_and_test(nr, &chunk->live))
		chunk_bury(chunk);
}

/**
 * hmm_mirror_chunk_take - a chunk leaves mem->lru
 * @chunk: in it; is in mem->nr_out then
 */
void hmm_mirror_chunk_take(struct hmm_mirror_chunk *chunk)
{
	lockdep_assert_held(&chunk->mem->lock);

	list_del_init(&chunk->lru);
	chunk->mem->nr_lru--;
	chunk->mem->nr_out++;
}

static void chunk_begin(struct hmm_mirror_devmem *mem)
{
	spin_lock(&mem->lock);
	mem->nr_out++;
	mem->nr_unlisted++;
	spin_unlock(&mem->lock);
}

/* One that is in no list is made no more, or is given back. */
static void chunk_end(struct hmm_mirror_devmem *mem)
{
	spin_lock(&mem->lock);
	mem->nr_unlisted--;
	mem->nr_out--;
	spin_unlock(&mem->lock);
}

static void chunk_free(struct hmm_mirror_chunk *chunk)
{
	struct hmm_mirror_devmem *mem = chunk->mem;
	u64 len = PFN_PHYS((u64)chunk->npages);

	spin_lock(&mem->lock);
	if (!list_empty(&chunk->lru))
		hmm_mirror_chunk_take(chunk);
	rb_erase(&chunk->node, &mem->chunks);
	mem->nr_unlisted++;
	spin_unlock(&mem->lock);

	trace_hmm_mirror_chunk_free(mem, chunk->addr, len);
	mem->desc.ops->free(mem->desc.priv, chunk->addr, len);
	hmm_mirror_resident_put(chunk->res);
	kfree(chunk);
	hmm_mirror_live_dec(HMM_MIRROR_LIVE_CHUNK);
	/* In this order: what is not out any more has been counted. */
	atomic64_add(len, &mem->freed_len);
	chunk_end(mem);
}

void hmm_mirror_free_work(struct work_struct *work)
{
	struct hmm_mirror_devmem *mem =
		container_of(work, struct hmm_mirror_devmem, free_work);
	struct hmm_mirror_chunk *chunk, *next;
	struct llist_node *dead;

	dead = llist_del_all(&mem->dead);
	if (!dead)
		return;
	llist_for_each_entry_safe(chunk, next, dead, dead)
		chunk_free(chunk);
	wake_up_all(&mem->empty_wait);
}

/* Did waiting for the worker give anything back? */
static bool wait_freed(struct hmm_mirror_devmem *mem)
{
	s64 before = atomic64_read(&mem->freed_len);

	flush_work(&mem->free_work);
	return atomic64_read(&mem->freed_len) != before;
}

/* As ops->alloc, but makes room. */
static int alloc_memory(struct hmm_mirror_devmem *mem, u64 len, u64 *addr)
{
	unsigned int try;
	int err;

	for (try = 0; try < ALLOC_NR_TRIES; try++) {
		err = mem->desc.ops->alloc(mem->desc.priv, len, addr);
		if (err != -ENOMEM || break_evict)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (!wait_freed(mem) && !hmm_mirror_evict(mem, len, false))
			return -ENOMEM;
	}
	return -ENOMEM;
}

/**
 * hmm_mirror_chunk_alloc - memory for pages that are about to come
 * @mem: where
 * @res: on whose account
 * @npages: how many
 * @first_va: where they are now
 *
 * Evicts others when there is no room.
 *
 * Context: process context, sleeps; neither mmap_lock nor a page lock is held, nor an
 * update lock.
 *
 * Return: a chunk being filled, with its maker counted in; or -ENOMEM, -EINTR, or what
 * ops->alloc said.
 */
struct hmm_mirror_chunk *hmm_mirror_chunk_alloc(struct hmm_mirror_devmem *mem,
						struct hmm_mirror_resident *res,
						unsigned int npages,
						unsigned long first_va)
{
	struct hmm_mirror_chunk *chunk;
	int err;

	might_sleep();
	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return ERR_PTR(-ENOMEM);
	chunk_begin(mem);
	err = alloc_memory(mem, PFN_PHYS((u64)npages), &chunk->addr);
	if (err) {
		chunk_end(mem);
		wake_up_all(&mem->empty_wait);
		kfree(chunk);
		return ERR_PTR(err);
	}
	kref_get(&res->ref);
	chunk->mem = mem;
	chunk->res = res;
	chunk->npages = npages;
	chunk->first_va = first_va;
	atomic_set(&chunk->live, 1);
	INIT_LIST_HEAD(&chunk->lru);
	hmm_mirror_live_inc(HMM_MIRROR_LIVE_CHUNK);

	spin_lock(&mem->lock);
	rb_add(&chunk->node, &mem->chunks, is_before);
	mem->nr_unlisted--;
	spin_unlock(&mem->lock);
	trace_hmm_mirror_chunk_alloc(mem, chunk->addr, PFN_PHYS((u64)npages), first_va);
	return chunk;
}

/**
 * hmm_mirror_chunk_filled - who made a chunk, or evicted from it, is done with it
 * @chunk: not to be used afterwards
 *
 * If pages are in it, they are those used last.
 *
 * Return: nothing is in it.
 */
bool hmm_mirror_chunk_filled(struct hmm_mirror_chunk *chunk)
{
	struct hmm_mirror_devmem *mem = chunk->mem;
	bool dead;

	/*
	 * In one: in the lru its user would make it look alive, to no avail for who wants
	 * room. Should the last page go now, the worker takes it off again.
	 */
	spin_lock(&mem->lock);
	dead = atomic_dec_and_test(&chunk->live);
	if (!dead) {
		list_add_tail(&chunk->lru, &mem->lru);
		mem->nr_lru++;
		mem->nr_out--;
		mem->nr_back++;
	}
	spin_unlock(&mem->lock);
	if (dead)
		chunk_bury(chunk);
	else if (wq_has_sleeper(&mem->empty_wait))
		wake_up_all(&mem->empty_wait);
	return dead;
}

/**
 * hmm_mirror_chunk_page - begin to use a page
 * @chunk: a chunk being filled
 * @index: which page of it
 * @order: 0, or HMM_MIRROR_WINDOW_ORDER for all of it as one
 *
 * Return: the page, locked, with one reference, silent.
 */
struct page *hmm_mirror_chunk_page(struct hmm_mirror_chunk *chunk, unsigned int index,
				   unsigned int order)
{
	struct hmm_mirror_devmem *mem = chunk->mem;
	struct page *page = pfn_to_page(mem->first_pfn + PHYS_PFN(chunk->addr) + index);

#ifdef HMM_MIRROR_PAGE_INIT_ORDER
	zone_device_page_init(page, &mem->pgmap, order);
	if (order)
		folio_set_large_rmappable(page_folio(page));
#else
	zone_device_page_init(page);
#endif
	page->zone_device_data = (void *)((unsigned long)chunk | HMM_MIRROR_PAGE_SILENT);
	atomic_add(BIT(order), &chunk->live);
	return page;
}

/* The last reference to a page went. */
void hmm_mirror_chunk_page_freed(struct page *page, unsigned int npages)
{
	struct hmm_mirror_chunk *chunk = hmm_mirror_page_chunk(page);

	if (!hmm_mirror_page_is_silent(page))
		chunk->res->ops->freed(chunk->res, chunk->mem->desc.priv, npages);
	hmm_mirror_chunk_put(chunk, npages);
}

/* The chunk that has the byte, or the first behind it. */
struct hmm_mirror_chunk *hmm_mirror_chunk_at(struct hmm_mirror_devmem *mem, u64 addr)
{
	struct rb_node *node = mem->chunks.rb_node;
	struct hmm_mirror_chunk *chunk, *found = NULL;

	lockdep_assert_held(&mem->lock);

	while (node) {
		chunk = to_chunk(node);
		if (chunk->addr + PFN_PHYS((u64)chunk->npages) <= addr) {
			node = node->rb_right;
		} else {
			found = chunk;
			node = node->rb_left;
		}
	}
	return found;
}

struct hmm_mirror_chunk *hmm_mirror_chunk_next(struct hmm_mirror_chunk *chunk)
{
	struct rb_node *node = rb_next(&chunk->node);

	lockdep_assert_held(&chunk->mem->lock);
	return node ? to_chunk(node) : NULL;
}

/**
 * hmm_mirror_devmem_touch - a device uses its memory
 * @mem: the memory
 * @dev_addr: first byte
 * @len: bytes
 *
 * What was touched last is evicted last. Not each access need be told; when something is
 * mapped into the device is a good time.
 *
 * Context: any that may take a spin lock, but not interrupts; the update lock may be
 * held. The span need not be in use any more.
 */
void hmm_mirror_devmem_touch(struct hmm_mirror_devmem *mem, u64 dev_addr, u64 len)
{
	struct hmm_mirror_chunk *chunk;

	spin_lock(&mem->lock);
	chunk = hmm_mirror_chunk_at(mem, dev_addr);
	for (; chunk && chunk->addr < dev_addr + len;
	     chunk = hmm_mirror_chunk_next(chunk)) {
		if (!list_empty(&chunk->lru))
			list_move_tail(&chunk->lru, &mem->lru);
	}
	spin_unlock(&mem->lock);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_devmem_touch, HMM_MIRROR);
