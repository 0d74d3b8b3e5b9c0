/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_HMM_MIRROR_DEVMEM_H
#define _LINUX_HMM_MIRROR_DEVMEM_H

#include <linux/hmm_mirror.h>
#include <linux/hmm_mirror_copy.h>
#include <linux/kref.h>
#include <linux/types.h>

struct device;
struct hmm_mirror_devmem;
struct hmm_mirror_resident;

/**
 * DOC: Device memory
 *
 * Anonymous pages of a process can live in the memory of a device. For that the
 * memory gets struct pages (struct hmm_mirror_devmem): DEVICE_PRIVATE, which only the
 * device reaches and from which a CPU access brings a page back, or DEVICE_COHERENT,
 * which the CPU uses like RAM and of whose use nobody is told.
 *
 * Memory is handed out in *chunks* of up to 512 pages, one for each migration of a
 * window, and goes back to the device some time after the last page of the chunk was
 * freed, whoever frees it: a page belongs to the page tables that show it, also those
 * of children after a fork, and to no process. Chunks are kept in the order in which
 * the device used them last; when memory is short the oldest go back to RAM, whoever's
 * they are.
 *
 * Lock order: mmap_lock -> page locks -> (invalidation) update lock, and page locks ->
 * locks taken in ops->copy. Nothing here takes a lock of a client but through
 * invalidation, so a CPU access to a page waits for that page's window only.
 */

/* Pages moved by one call, at most; also the largest chunk. */
#define HMM_MIRROR_MIGRATE_NPAGES	512

/**
 * enum hmm_mirror_devmem_kind - what the pages of a device's memory are
 * @HMM_MIRROR_DEVMEM_PRIVATE: the CPU cannot reach them
 * @HMM_MIRROR_DEVMEM_COHERENT: to the CPU they are as good as RAM
 */
enum hmm_mirror_devmem_kind {
	HMM_MIRROR_DEVMEM_PRIVATE,
	HMM_MIRROR_DEVMEM_COHERENT,
};

/**
 * struct hmm_mirror_devmem_ops - what the owner of the memory provides
 * @alloc: make @len bytes available, a multiple of the page size, consecutive, at an
 *	address below the length; 2 MiB are aligned to 2 MiB. What stands in them does not
 *	matter: each page is copied to or cleared before anybody sees it. May sleep and
 *	allocate; no mmap_lock and no page lock is held. -ENOMEM: full (then chunks
 *	are evicted and it is called again); other errors are passed on.
 * @free: give an allocation back. From a worker; may sleep.
 * @clear: fill @len bytes at @addr with zeros, rules of @copy: for pages that were never
 *	touched
 * @copy: copy and wait for the end, for a bounded time. Page locks are held: it must
 *	not wait for a page, nor for anything that does, nor allocate with reclaim.
 *	Many calls may run at once. 0 or an error; after an error nothing has moved.
 * @copy_peer: (optional) copy from the memory of the device whose priv is @src to that
 *	of @priv, rules of @copy. -EOPNOTSUPP: they have no link.
 */
struct hmm_mirror_devmem_ops {
	int (*alloc)(void *priv, u64 len, u64 *addr);
	void (*free)(void *priv, u64 addr, u64 len);
	int (*clear)(void *priv, u64 addr, u64 len);
	int (*copy)(void *priv, enum hmm_mirror_copy_dir dir,
		    const struct hmm_mirror_copy *runs, unsigned int nr);
	int (*copy_peer)(void *priv, void *src, const struct hmm_mirror_copy *runs,
			 unsigned int nr);
};

/**
 * struct hmm_mirror_devmem_desc - memory of a device
 * @dev: does the DMA; as for hmm_mirror_device_usable()
 * @len: bytes; rounded down to 2 MiB
 * @coherent_start: physical address at which the CPU reaches it like RAM, a multiple of
 *	2 MiB, of a region the caller has requested; or 0: it does not
 * @owner: dev_pagemap.owner; equal to hmm_mirror_ops.owner of the mirrors that are to
 *	see the pages where they are. One owner may have several devices.
 * @ops: its operations
 * @priv: their argument
 */
struct hmm_mirror_devmem_desc {
	struct device *dev;
	u64 len;
	u64 coherent_start;
	void *owner;
	const struct hmm_mirror_devmem_ops *ops;
	void *priv;
};

/**
 * enum hmm_mirror_move_cause - why pages move
 * @HMM_MIRROR_MOVE_ASKED: hmm_mirror_migrate_to_device() or _to_ram()
 * @HMM_MIRROR_MOVE_CPU_FAULT: the CPU touched one
 * @HMM_MIRROR_MOVE_EVICT: the device's memory is short, or goes
 */
enum hmm_mirror_move_cause {
	HMM_MIRROR_MOVE_ASKED,
	HMM_MIRROR_MOVE_CPU_FAULT,
	HMM_MIRROR_MOVE_EVICT,
};

/**
 * struct hmm_mirror_move - pages move, or have moved
 * @cause: why
 * @from: the device they leave (its desc.priv), NULL: RAM
 * @to: the device they go to, NULL: RAM
 * @by_other: through another process than that of the account, which shares the pages
 * @first_va: first byte of the window; where it was when it came: for _EVICT, and if
 *	@by_other
 * @npages: pages of the window
 * @moved: at the end: pages that did move
 * @err: at the end: why others did not, or 0
 * @tag: what the caller of hmm_mirror_migrate_*() said, else 0
 */
struct hmm_mirror_move {
	enum hmm_mirror_move_cause cause;
	void *from;
	void *to;
	bool by_other;
	unsigned long first_va;
	unsigned long npages;
	unsigned long moved;
	int err;
	unsigned long tag;
};

/**
 * struct hmm_mirror_resident_ops - told about pages in device memory
 * @begin: pages are about to move
 * @end: it is over; always follows @begin, with the same arguments and the outcome
 * @freed: @npages pages in the memory of the device with @priv are no more, without a
 *	move: unmapped. Atomic, also with page-table locks held and in interrupts.
 * @release: the last reference went. May not sleep.
 *
 * begin and end: may sleep; page locks and mmap_lock may be held. A call moves pages for
 * each account and each pair of @from and @to that the window has: one begin and one
 * end for each. @end comes before any of the pages moved can be freed. A page that goes
 * from one device to another and to another account leaves the old one for RAM and
 * comes to the new one from RAM.
 */
struct hmm_mirror_resident_ops {
	void (*begin)(struct hmm_mirror_resident *res,
		      const struct hmm_mirror_move *move);
	void (*end)(struct hmm_mirror_resident *res,
		    const struct hmm_mirror_move *move);
	void (*freed)(struct hmm_mirror_resident *res, void *priv,
		      unsigned long npages);
	void (*release)(struct hmm_mirror_resident *res);
};

/**
 * struct hmm_mirror_resident - on whose behalf pages went to device memory
 * @ref: each chunk holds one, so it can outlive its process
 * @ops: callbacks
 */
struct hmm_mirror_resident {
	struct kref ref;
	const struct hmm_mirror_resident_ops *ops;
};

void hmm_mirror_resident_init(struct hmm_mirror_resident *res,
			      const struct hmm_mirror_resident_ops *ops);
void hmm_mirror_resident_put(struct hmm_mirror_resident *res);

struct hmm_mirror_devmem *
hmm_mirror_devmem_create(const struct hmm_mirror_devmem_desc *desc);
void hmm_mirror_devmem_destroy(struct hmm_mirror_devmem *mem);
u64 hmm_mirror_devmem_evict(struct hmm_mirror_devmem *mem, u64 len);
enum hmm_mirror_devmem_kind
hmm_mirror_devmem_kind(const struct hmm_mirror_devmem *mem);

/**
 * struct hmm_mirror_migrate - a request to move pages
 * @mirror: of the process
 * @first_va: first byte, page aligned
 * @last_va: last byte of a page; HMM_MIRROR_MIGRATE_NPAGES at most, within an aligned
 *	2 MiB
 * @res: whose account they are on from now
 * @tag: passed to the callbacks of @res
 * @moved: out: pages that moved
 * @there: out: pages that are where they should be, @moved included; pages that came
 *	or went meanwhile may be counted or not
 */
struct hmm_mirror_migrate {
	struct hmm_mirror *mirror;
	unsigned long first_va;
	unsigned long last_va;
	struct hmm_mirror_resident *res;
	unsigned long tag;
	unsigned long moved;
	unsigned long there;
};

int __must_check hmm_mirror_migrate_to_device(struct hmm_mirror_migrate *req,
					      struct hmm_mirror_devmem *mem);
int __must_check hmm_mirror_migrate_to_ram(struct hmm_mirror_migrate *req);

/* With the update lock held and the range valid, as for hmm_mirror_extent_device(). */
bool hmm_mirror_extent_devmem(const struct hmm_mirror_range *range,
			      const struct hmm_mirror_extent *ext, void *owner,
			      void **priv, u64 *dev_addr);
void hmm_mirror_devmem_touch(struct hmm_mirror_devmem *mem, u64 dev_addr, u64 len);

#endif /* _LINUX_HMM_MIRROR_DEVMEM_H */
