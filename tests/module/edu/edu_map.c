// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device has mapped: a table of DMA mappings that follows the page table.
 *
 *   fault         extents, while no lock is held
 *   compare       with the table, under the update lock: what is mapped with the same
 *                 page and permission stays
 *   map           the rest, one mapping per run of pages; may be for nothing
 *   commit        under the update lock, if the range is still valid; else undo and
 *                 begin anew
 *   invalidate    unmap, wait for the engine, tell which pages may be dirty
 *
 * A mapping that loses a part goes as a whole: the rest is mapped again when it is
 * used again.
 */
#include "edu.h"
#include "hmm_mirror_edu.h"

#include <linux/sched/signal.h>
#include <linux/slab.h>

static struct edu_map *to_map(struct interval_tree_node *node)
{
	return container_of(node, struct edu_map, node);
}

struct edu_map *edu_find(struct edu_client *client, unsigned long first_va,
			 unsigned long last_va)
{
	struct interval_tree_node *node;

	lockdep_assert_held(&client->update_lock);

	node = interval_tree_iter_first(&client->table, first_va, last_va);
	return node ? to_map(node) : NULL;
}

static unsigned long last_va_of(const struct hmm_mirror_extent *ext)
{
	return hmm_mirror_extent_va(ext) +
	       (hmm_mirror_extent_npages(ext) << PAGE_SHIFT) - 1;
}

/* The part first_va..last_va of an extent. */
static struct hmm_mirror_extent slice(const struct hmm_mirror_extent *ext,
				      unsigned long first_va,
				      unsigned long last_va)
{
	unsigned long skip = (first_va - hmm_mirror_extent_va(ext)) >> PAGE_SHIFT;
	unsigned long npages = (last_va - first_va + 1) >> PAGE_SHIFT;

	return (struct hmm_mirror_extent) {
		.va_flags = first_va | hmm_mirror_extent_flags(ext),
		.pfn_npages =
			FIELD_PREP(HMM_MIRROR_EXT_PFN,
				   hmm_mirror_extent_pfn(ext) + skip) |
			FIELD_PREP(HMM_MIRROR_EXT_NPAGES, npages),
	};
}

static void undo(struct edu_client *client, struct edu_map *map)
{
	hmm_mirror_extent_dma_unmap(edu_dev(client->edu), &map->ext, map->dma);
	client->nr_live--;
	client->nr_unmap++;
	kfree(map);
}

/* Nothing has come between committing and now, or this is the event that does. */
static void drop(struct edu_client *client, struct edu_map *map)
{
	struct hmm_mirror_extent ext = map->ext;

	lockdep_assert_held(&client->update_lock);

	interval_tree_remove(&map->node, &client->table);
	undo(client, map);
	if (!client->no_dirty)
		hmm_mirror_extent_mark_dirty(&ext, 0, ULONG_MAX);
}

/* Does what is mapped fit the extent, pages and permission? */
static bool serves(const struct edu_map *map, const struct hmm_mirror_extent *ext)
{
	unsigned long distance_npages =
		(map->node.start - hmm_mirror_extent_va(ext)) >> PAGE_SHIFT;
	unsigned long pfn = hmm_mirror_extent_pfn(ext) + distance_npages;

	/* A mapping may begin before the extent: the sums wrap the right way. */
	return hmm_mirror_extent_pfn(&map->ext) ==
		       (pfn & FIELD_MAX(HMM_MIRROR_EXT_PFN)) &&
	       !((map->ext.va_flags ^ ext->va_flags) & HMM_MIRROR_EXT_WRITE);
}

/*
 * Append the parts of the extent that the table does not serve. Returns the address
 * behind what was looked at: less than all when there is no room.
 */
static unsigned long find_missing(struct edu_client *client,
				  const struct hmm_mirror_extent *ext,
				  unsigned int *nr_pieces)
{
	unsigned long va = hmm_mirror_extent_va(ext), last_va = last_va_of(ext);
	struct interval_tree_node *node;

	node = interval_tree_iter_first(&client->table, va, last_va);
	for (;;) {
		while (node && !serves(to_map(node), ext))
			node = interval_tree_iter_next(node, va, last_va);
		if (!node || node->start > va) {
			if (*nr_pieces == EDU_NR_PIECES)
				return va;
			client->pieces[(*nr_pieces)++] =
				slice(ext, va, node ? node->start - 1 : last_va);
		}
		if (!node || node->last >= last_va)
			return last_va + 1;
		va = node->last + 1;
		node = interval_tree_iter_next(node, va, last_va);
	}
}

/* Returns how many of client->pieces are to be mapped, or the errno of a page. */
static int compare(struct edu_client *client, struct hmm_mirror_cursor *cursor,
		   struct hme_map *args)
{
	unsigned int i, nr_pieces = 0, before;

	guard(mutex)(&client->update_lock);
	for (i = 0; i < cursor->nr; i++) {
		const struct hmm_mirror_extent *ext = &cursor->extents[i];

		if (ext->va_flags & HMM_MIRROR_EXT_ERROR)
			return -(int)hmm_mirror_extent_pfn(ext);
		if (!(ext->va_flags & HMM_MIRROR_EXT_VALID))
			continue;
		before = nr_pieces;
		cursor->next_va = find_missing(client, ext, &nr_pieces);
		if (cursor->next_va <= last_va_of(ext))
			break;
		args->nr_kept += nr_pieces == before;
	}
	return nr_pieces;
}

static void undo_all(struct edu_client *client, struct list_head *maps)
{
	struct edu_map *map, *next;

	list_for_each_entry_safe(map, next, maps, link) {
		list_del(&map->link);
		mutex_lock(&client->update_lock);
		undo(client, map);
		mutex_unlock(&client->update_lock);
	}
}

static int map_piece(struct edu_client *client, struct hme_map *args,
		     const struct hmm_mirror_extent *piece,
		     struct list_head *maps)
{
	struct edu_map *map = kzalloc(sizeof(*map), GFP_KERNEL);
	int err;

	if (!map)
		return -ENOMEM;
	map->ext = *piece;
	map->call = client->nr_calls;
	map->node.start = hmm_mirror_extent_va(piece);
	map->node.last = last_va_of(piece);
	if (!client->is_usable)
		err = -EOPNOTSUPP;
	else if (args->fail_nth && !--args->fail_nth)
		err = -EIO;
	else
		err = hmm_mirror_extent_dma_map(edu_dev(client->edu), piece,
						&map->dma);
	if (err) {
		kfree(map);
		return err;
	}
	list_add_tail(&map->link, maps);
	mutex_lock(&client->update_lock);
	client->nr_live++;
	client->nr_map++;
	mutex_unlock(&client->update_lock);
	return 0;
}

/* Returns whether the mappings are in the table now. */
static bool commit(struct edu_client *client, struct hme_map *args,
		   struct hmm_mirror_range *range, struct list_head *maps)
{
	struct edu_map *map, *next, *old;

	guard(mutex)(&client->update_lock);
	if (!hmm_mirror_range_valid(range))
		return false;
	list_for_each_entry_safe(map, next, maps, link) {
		while ((old = edu_find(client, map->node.start, map->node.last))) {
			drop(client, old);
			args->nr_replaced++;
		}
		list_del(&map->link);
		interval_tree_insert(&map->node, &client->table);
		args->nr_mapped++;
	}
	return true;
}

/* One piece of the range, from cursor->next_va on. Returns 0; 1: once more; errno. */
static int map_some(struct edu_client *client, struct hme_map *args,
		    struct hmm_mirror_range *range,
		    struct hmm_mirror_cursor *cursor)
{
	const struct hmm_mirror_req req = { .default_req = args->req };
	unsigned long va = cursor->next_va;
	unsigned long end_va;
	LIST_HEAD(maps);
	int i, nr, err;

	err = hmm_mirror_range_fault(range, cursor, &req);
	if (err)
		return err;
	end_va = cursor->next_va;
	nr = compare(client, cursor, args);
	if (nr < 0)
		return nr;
	/* Holes at the end are done with; pieces without room are not. */
	if (nr < EDU_NR_PIECES)
		cursor->next_va = end_va;
	for (i = 0; i < nr && !err; i++)
		err = map_piece(client, args, &client->pieces[i], &maps);
	if (!err && commit(client, args, range, &maps))
		return 0;
	undo_all(client, &maps);
	cursor->next_va = va;
	args->nr_tries++;
	return err ?: 1;
}

static void undo_call(struct edu_client *client, u64 call)
{
	struct interval_tree_node *node, *next;

	guard(mutex)(&client->update_lock);
	node = interval_tree_iter_first(&client->table, 0, ULONG_MAX);
	for (; node; node = next) {
		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (to_map(node)->call == call)
			drop(client, to_map(node));
	}
}

int edu_map_span(struct edu_client *client, struct hme_map *args)
{
	struct hmm_mirror_cursor cursor = {
		.extents = client->extents,
		.nr_max = EDU_NR_EXTENTS,
		.next_va = args->first_va,
	};
	struct hmm_mirror_range range;
	int err;

	lockdep_assert_held(&client->call_lock);

	args->nr_mapped = 0;
	args->nr_kept = 0;
	args->nr_replaced = 0;
	args->nr_tries = 0;
	client->nr_calls++;
	err = hmm_mirror_range_register(&range, &client->mirror, args->first_va,
					args->last_va);
	if (err)
		return err;
	while (cursor.next_va <= args->last_va) {
		err = map_some(client, args, &range, &cursor);
		if (err < 0)
			break;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
	}
	hmm_mirror_range_unregister(&range);
	if (err < 0) {
		undo_call(client, client->nr_calls);
		return err;
	}
	return 0;
}

void edu_unmap_span(struct edu_client *client, unsigned long first_va,
		    unsigned long last_va)
{
	struct edu_map *map;

	guard(mutex)(&client->update_lock);
	if (READ_ONCE(client->edu->user) == client)
		edu_engine_wait(client->edu, true);
	while ((map = edu_find(client, first_va, last_va)))
		drop(client, map);
}

static void wait_for_engine(struct edu_client *client,
			    const struct hmm_mirror_event *event)
{
	/*
	 * Not ours any more: somebody else was started after ours had ended. Ours
	 * cannot be started while the update lock is held.
	 */
	if (READ_ONCE(client->edu->user) != client ||
	    client->busy_first_va >= event->end_va ||
	    client->busy_last_va < event->start_va ||
	    !edu_engine_runs(client->edu))
		return;
	client->nr_waits++;
	edu_engine_wait(client->edu, event->blockable);
}

static void edu_invalidate(struct hmm_mirror *mirror,
			   const struct hmm_mirror_event *event)
{
	struct edu_client *client =
		container_of(mirror, struct edu_client, mirror);
	struct edu_map *map;

	map = edu_find(client, event->start_va, event->end_va - 1);
	if (!map)
		return;
	client->nr_events++;
	wait_for_engine(client, event);
	do {
		drop(client, map);
		map = edu_find(client, event->start_va, event->end_va - 1);
	} while (map);
}

const struct hmm_mirror_ops edu_mirror_ops = {
	.invalidate = edu_invalidate,
};
