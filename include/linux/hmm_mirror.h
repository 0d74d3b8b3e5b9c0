/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_HMM_MIRROR_H
#define _LINUX_HMM_MIRROR_H

#include <linux/bits.h>
#include <linux/hmm_mirror_extent.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct device;
struct hmm_mirror;
struct hmm_mirror_mm;
struct mm_struct;

/**
 * DOC: HMM mirror
 *
 * A client mirrors the address space of a process into its own page tables.
 *
 * The **mirror** (struct hmm_mirror) joins one client to one mm. The client
 * lends it a mutex, the *update lock*; whatever is mapped into the device
 * changes only under that lock.
 *
 * A **range** (struct hmm_mirror_range) is a piece of the address space that is
 * being made present or is mapped as one unit. It is valid from the moment a
 * fault or snapshot of it began until the CPU changes a page of it.
 *
 * The client works and waits over a range::
 *
 *   hmm_mirror_range_register(&range, mirror, first_va, last_va);
 *   for (va = first_va; va <= last_va; va = cursor.next_va) {
 *   again:
 *           cursor.next_va = va;
 *           err = hmm_mirror_range_fault(&range, &cursor, &req);
 *           ... prepare, may sleep and allocate ...
 *           mutex_lock(update_lock);
 *           if (!hmm_mirror_range_valid(&range)) {
 *                   mutex_unlock(update_lock);
 *                   goto again;
 *           }
 *           ... program the device with cursor.extents ...
 *           mutex_unlock(update_lock);
 *   }
 *   hmm_mirror_range_unregister(&range);
 *
 * Before the CPU changes a watched page, ops->invalidate() runs under the
 * update lock and removes what the device has. No page reference is held:
 * an extent is a fact about the CPU's page table that stays true until
 * invalidate() was called for it.
 *
 * Lock order: regions_lock -> mmap_lock -> locks of the core mm -> update lock ->
 * locks of the client; tree_lock is innermost. Under the update lock there is no
 * allocation that may reclaim, no mmap_lock, no hmm_mirror_range_fault() and no
 * waiting, watching or (un)registering, but for hmm_mirror_range_unregister().
 */

/**
 * struct hmm_mirror_cursor - where extents go and how far the work has come
 * @extents: the caller's buffer
 * @nr_max: its size in extents, at least 1
 * @nr: extents filled by the last call
 * @next_va: first byte not covered yet. The caller sets it to the start of the
 *	range before the first call; the work is done when it lies behind the
 *	range's last byte.
 *
 * A call may cover less than what is left, for a full buffer or other reasons:
 * program the device, then call again. Each call replaces the extents and begins a
 * sequence of its own; if they cannot be committed, set @next_va back.
 */
struct hmm_mirror_cursor {
	struct hmm_mirror_extent *extents;
	unsigned int nr_max;
	unsigned int nr;
	unsigned long next_va;
};

/* What hmm_mirror_range_fault() is asked to provide: 0 or one of these. */
#define HMM_MIRROR_REQ_READ		BIT(0) /* make pages readable */
#define HMM_MIRROR_REQ_WRITE		BIT(1) /* make pages writable: breaks COW */
#define HMM_MIRROR_REQ_WRITE_IF_VMA	BIT(2) /* write where the VMA allows, else read */

/**
 * struct hmm_mirror_req_span - addresses that are asked for in a way of their own
 * @first_va: first byte, page aligned
 * @last_va: last byte of a page
 * @req: HMM_MIRROR_REQ_*, or 0 to take what is there
 */
struct hmm_mirror_req_span {
	unsigned long first_va;
	unsigned long last_va;
	unsigned int req;
};

/**
 * struct hmm_mirror_req - what a fault is to provide where
 * @default_req: HMM_MIRROR_REQ_*, or 0 to take what is there
 * @nr_spans: how many addresses differ from it
 * @spans: those, ascending and without overlap; they may lie outside of the range
 */
struct hmm_mirror_req {
	unsigned int default_req;
	unsigned int nr_spans;
	const struct hmm_mirror_req_span *spans;
};

/**
 * enum hmm_mirror_device - what sort of ZONE_DEVICE memory an extent is
 * @HMM_MIRROR_DEVICE_NONE: none, it is RAM
 * @HMM_MIRROR_DEVICE_DAX: storage the CPU maps: a file on a DAX file system, /dev/dax
 * @HMM_MIRROR_DEVICE_COHERENT: memory of a device, as good as RAM to the CPU
 * @HMM_MIRROR_DEVICE_PRIVATE: memory only the device can reach
 * @HMM_MIRROR_DEVICE_PEER: registers or memory behind a PCI window, or unknown
 */
enum hmm_mirror_device {
	HMM_MIRROR_DEVICE_NONE,
	HMM_MIRROR_DEVICE_DAX,
	HMM_MIRROR_DEVICE_COHERENT,
	HMM_MIRROR_DEVICE_PRIVATE,
	HMM_MIRROR_DEVICE_PEER,
};

/**
 * enum hmm_mirror_event_kind - why the CPU's page table changes
 * @HMM_MIRROR_EVENT_UNMAP: the mapping goes away: munmap(), mremap()
 * @HMM_MIRROR_EVENT_CHANGE: it stays, pages or permissions change
 * @HMM_MIRROR_EVENT_MIGRATE: pages move to or from device memory
 * @HMM_MIRROR_EVENT_RELEASE: the mm dies, all of it goes away; before
 *	ops->release()
 */
enum hmm_mirror_event_kind {
	HMM_MIRROR_EVENT_UNMAP,
	HMM_MIRROR_EVENT_CHANGE,
	HMM_MIRROR_EVENT_MIGRATE,
	HMM_MIRROR_EVENT_RELEASE,
};

/**
 * struct hmm_mirror_event - one invalidation
 * @kind: see &enum hmm_mirror_event_kind
 * @start_va: first byte, page aligned
 * @end_va: first byte behind
 * @owner: who migrates, for HMM_MIRROR_EVENT_MIGRATE
 * @blockable: the callback may sleep
 */
struct hmm_mirror_event {
	enum hmm_mirror_event_kind kind;
	unsigned long start_va;
	unsigned long end_va;
	void *owner;
	bool blockable;
};

/**
 * struct hmm_mirror_ops - what the client provides
 * @owner: (optional) dev_pagemap.owner of the client's device private memory. Such
 *	pages are reported where they are instead of being brought back to RAM; but
 *	those that are shared and asked for to be written come back, to be copied.
 * @invalidate: (required) remove the device's access to the event's span and
 *	wait until the device has stopped using it. Context: update lock held,
 *	overlapping ranges already marked invalid; must not allocate with
 *	reclaim; must not sleep unless event->blockable. Cannot fail. One event
 *	of the mm can arrive in several pieces, and also after @release.
 * @release: (optional) the mm dies; remove all access. Called once, before the
 *	page tables go, unless the mirror is unregistered before. Nothing can be
 *	faulted any more. Context: process context, may sleep, update lock not
 *	held; may not unregister the mirror.
 */
struct hmm_mirror_ops {
	void *owner;
	void (*invalidate)(struct hmm_mirror *mirror,
			   const struct hmm_mirror_event *event);
	void (*release)(struct hmm_mirror *mirror);
};

/**
 * struct hmm_mirror - a client's view of one mm
 * @hmm: state shared by all mirrors of the mm
 * @mm: the mm; kept by mmgrab() until hmm_mirror_unregister()
 * @update_lock: the client's lock, see DOC above
 * @ops: the client's callbacks
 * @link: in the mm's list of mirrors, under the lock in @hmm
 * @regions_lock: serialises the making of regions; taken before mmap_lock
 * @regions: notifier regions by address; grows under @regions_lock, read freely
 * @nr_regions: in @regions, under @regions_lock; internal
 * @tree_lock: guards all below but the wait queue and the work, and the sequences
 *	of regions and ranges; innermost
 * @tree: registered ranges
 * @settled_seq: newest sequence known to be over; read without the lock
 * @awaited_seq: newest sequence somebody waits for
 * @settled_wait: where they wait
 * @settle_work: finds out when @awaited_seq is over
 *
 * The client's object, all of it internal but @mm.
 */
struct hmm_mirror {
	struct hmm_mirror_mm *hmm;
	struct mm_struct *mm;
	struct mutex *update_lock;	/* the client's */
	const struct hmm_mirror_ops *ops;
	struct list_head link;
	struct mutex regions_lock;	/* makes regions */
	struct xarray regions;
	unsigned long nr_regions;
	spinlock_t tree_lock;	/* the rest, and all sequences */
	struct rb_root_cached tree;
	unsigned long settled_seq;
	unsigned long awaited_seq;
	wait_queue_head_t settled_wait;
	struct work_struct settle_work;
};

/**
 * struct hmm_mirror_range - a piece of the address space at work
 * @mirror: its mirror
 * @node: place in the mirror's tree; node.start..node.last is the closed span
 *	in bytes
 * @shadow: carries the sequence, which changes under the update lock and the
 *	mirror's tree_lock; never inserted into the mm's own tree
 * @seq: sequence the last fault or snapshot began with
 *
 * Owned by the caller, who serialises calls on one range.
 */
struct hmm_mirror_range {
	struct hmm_mirror *mirror;
	struct interval_tree_node node;
	struct mmu_interval_notifier shadow;
	unsigned long seq;
};

int __must_check hmm_mirror_register(struct hmm_mirror *mirror,
				     struct mm_struct *mm,
				     struct mutex *update_lock,
				     const struct hmm_mirror_ops *ops);
void hmm_mirror_unregister(struct hmm_mirror *mirror);
int __must_check hmm_mirror_watch(struct hmm_mirror *mirror,
				  unsigned long first_va, unsigned long last_va);
int __must_check hmm_mirror_mmap_read_lock(struct hmm_mirror *mirror);
void hmm_mirror_mmap_read_unlock(struct hmm_mirror *mirror);

int __must_check hmm_mirror_range_register(struct hmm_mirror_range *range,
					   struct hmm_mirror *mirror,
					   unsigned long first_va,
					   unsigned long last_va);
void hmm_mirror_range_unregister(struct hmm_mirror_range *range);
int __must_check hmm_mirror_range_snapshot(struct hmm_mirror_range *range,
					   struct hmm_mirror_cursor *cursor);
int __must_check hmm_mirror_range_fault(struct hmm_mirror_range *range,
					struct hmm_mirror_cursor *cursor,
					const struct hmm_mirror_req *req);
bool hmm_mirror_range_valid(struct hmm_mirror_range *range);
int __must_check hmm_mirror_range_wait_until_valid(struct hmm_mirror_range *range,
						   unsigned long timeout_jiffies);

enum hmm_mirror_device
hmm_mirror_extent_device(const struct hmm_mirror_range *range,
			 const struct hmm_mirror_extent *ext, void **owner);
bool hmm_mirror_device_usable(struct device *dev);
int __must_check hmm_mirror_extent_dma_map(struct device *dev,
					   const struct hmm_mirror_extent *ext,
					   dma_addr_t *dma);
void hmm_mirror_extent_dma_unmap(struct device *dev,
				 const struct hmm_mirror_extent *ext,
				 dma_addr_t dma);
void hmm_mirror_extent_mark_dirty(const struct hmm_mirror_extent *ext,
				  unsigned long first_va, unsigned long last_va);

#endif /* _LINUX_HMM_MIRROR_H */
