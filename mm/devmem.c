// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory comes and goes: its struct pages, and what they do when the kernel calls.
 *
 * Pages know their chunk (page->zone_device_data) and it their memory, so neither a CPU
 * access nor an eviction looks anything up by address or by process.
 */
#include "devmem.h"
#include "internal.h"

#include <linux/dma-mapping.h>
#include <linux/ioport.h>
#include <linux/jiffies.h>
#include <linux/kfdsvm_compat.h>
#include <linux/slab.h>

/* How long a page that would not leave is left alone. */
#define EMPTY_WAIT_JIFFIES	(HZ / 20)
#define EMPTY_WARN_JIFFIES	(10 * HZ)

/* Gives chunks back; apart from the other work, which may wait for invalidations. */
struct workqueue_struct *hmm_mirror_free_wq;

#ifdef HMM_MIRROR_FOLIO_FREE
static void on_folio_free(struct folio *folio)
{
	hmm_mirror_chunk_page_freed(&folio->page, folio_nr_pages(folio));
}
#else
static void on_page_free(struct page *page)
{
	hmm_mirror_chunk_page_freed(page, 1);
}
#endif

#ifdef HMM_MIRROR_FOLIO_SPLIT
/* The pages of the chunk stay what they are; each must say so itself now. */
static void on_folio_split(struct folio *head, struct folio *tail)
{
	if (!tail)
		return;
	tail->pgmap = head->pgmap;
	tail->page.mapping = head->page.mapping;
	tail->page.zone_device_data = head->page.zone_device_data;
}
#endif

static const struct dev_pagemap_ops pgmap_ops = {
#ifdef HMM_MIRROR_FOLIO_FREE
	.folio_free = on_folio_free,
#else
	.page_free = on_page_free,
#endif
#ifdef HMM_MIRROR_FOLIO_SPLIT
	.folio_split = on_folio_split,
#endif
	.migrate_to_ram = hmm_mirror_cpu_fault,
};

/*
 * The memory a pfn belongs to, if it is of this owner; NULL otherwise. It is compared
 * only, or something else keeps it.
 */
struct hmm_mirror_devmem *hmm_mirror_devmem_of_pfn(unsigned long pfn, void *owner)
{
	struct hmm_mirror_devmem *mem = NULL;
	struct dev_pagemap *pgmap;

#ifdef HMM_MIRROR_PGMAP_HINT
	pgmap = get_dev_pagemap(pfn, NULL);
#else
	pgmap = get_dev_pagemap(pfn);
#endif
	if (!pgmap)
		return NULL;
	if (pgmap->ops == &pgmap_ops && pgmap->owner == owner)
		mem = container_of(pgmap, struct hmm_mirror_devmem, pgmap);
	put_dev_pagemap(pgmap);
	return mem;
}

static int claim_coherent(struct hmm_mirror_devmem *mem)
{
	u64 start = mem->desc.coherent_start;

	if (!IS_ALIGNED(start, HMM_MIRROR_WINDOW_LEN))
		return -EINVAL;
	if (region_intersects(start, mem->desc.len, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return -EBUSY;
	mem->kind = HMM_MIRROR_DEVMEM_COHERENT;
	mem->pgmap.type = MEMORY_DEVICE_COHERENT;
	mem->pgmap.range.start = start;
	return 0;
}

static int claim_private(struct hmm_mirror_devmem *mem)
{
	struct resource *res;

	/* Not even tried where it is not configured: the kernel would complain. */
	if (!IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		return -EOPNOTSUPP;
	res = request_free_mem_region(&iomem_resource, mem->desc.len, "hmm_mirror");
	if (IS_ERR(res))
		return PTR_ERR(res);
	mem->res = res;
	mem->kind = HMM_MIRROR_DEVMEM_PRIVATE;
	mem->pgmap.type = MEMORY_DEVICE_PRIVATE;
	mem->pgmap.range.start = res->start;
	return 0;
}

static void unclaim(struct hmm_mirror_devmem *mem)
{
	if (mem->res)
		release_mem_region(mem->res->start, resource_size(mem->res));
}

static int make_pages(struct hmm_mirror_devmem *mem)
{
	int err = mem->desc.coherent_start ? claim_coherent(mem) : claim_private(mem);
	void *ret;

	if (err)
		return err;
	mem->pgmap.range.end = mem->pgmap.range.start + mem->desc.len - 1;
	mem->pgmap.nr_range = 1;
	mem->pgmap.ops = &pgmap_ops;
	mem->pgmap.owner = mem->desc.owner;
	mem->first_pfn = PHYS_PFN(mem->pgmap.range.start);
	ret = memremap_pages(&mem->pgmap, dev_to_node(mem->desc.dev));
	if (IS_ERR(ret)) {
		unclaim(mem);
		return PTR_ERR(ret);
	}
	return 0;
}

/**
 * hmm_mirror_devmem_create - let pages live in a device's memory
 * @desc: the memory; copied
 *
 * Memory that the CPU reaches like RAM becomes DEVICE_COHERENT, other memory
 * DEVICE_PRIVATE, if the kernel has that.
 *
 * Context: process context, sleeps; takes locks of memory hotplug.
 *
 * Lifetime: until hmm_mirror_devmem_destroy(), which everything that was asked for with
 * it must have returned before.
 *
 * Return: the memory, or -EOPNOTSUPP: the kernel has no DEVICE_PRIVATE, or the device
 * does not reach all of RAM; -EINVAL: less than 2 MiB, no owner, or not aligned; -EBUSY:
 * @desc->coherent_start is RAM; -ENOMEM; -ERANGE: no addresses are left for it; what
 * memremap_pages() says.
 */
struct hmm_mirror_devmem *
hmm_mirror_devmem_create(const struct hmm_mirror_devmem_desc *desc)
{
	struct hmm_mirror_devmem *mem;
	int err;

	if (desc->len < HMM_MIRROR_WINDOW_LEN || !desc->owner || !desc->ops->clear)
		return ERR_PTR(-EINVAL);
	if (!hmm_mirror_device_usable(desc->dev))
		return ERR_PTR(-EOPNOTSUPP);
	mem = kzalloc(sizeof(*mem), GFP_KERNEL);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->desc = *desc;
	mem->desc.len = ALIGN_DOWN(desc->len, HMM_MIRROR_WINDOW_LEN);
	spin_lock_init(&mem->lock);
	INIT_LIST_HEAD(&mem->lru);
	mem->chunks = RB_ROOT;
	mutex_init(&mem->room_lock);
	init_llist_head(&mem->dead);
	INIT_WORK(&mem->free_work, hmm_mirror_free_work);
	init_waitqueue_head(&mem->empty_wait);

	err = make_pages(mem);
	if (err) {
		kfree(mem);
		return ERR_PTR(err);
	}
	hmm_mirror_live_inc(HMM_MIRROR_LIVE_DEVMEM);
	return mem;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_devmem_create, HMM_MIRROR);

static bool is_empty(struct hmm_mirror_devmem *mem)
{
	bool empty;

	spin_lock(&mem->lock);
	empty = RB_EMPTY_ROOT(&mem->chunks);
	spin_unlock(&mem->lock);
	return empty;
}

/* Somebody may hold a page for a moment, and a huge page may not be had at once. */
static void evict_all(struct hmm_mirror_devmem *mem)
{
	unsigned long warn = jiffies + EMPTY_WARN_JIFFIES;

	for (;;) {
		hmm_mirror_evict(mem, mem->desc.len, true);
		flush_work(&mem->free_work);
		if (is_empty(mem))
			return;
		wait_event_timeout(mem->empty_wait, is_empty(mem), EMPTY_WAIT_JIFFIES);
		if (time_after(jiffies, warn)) {
			dev_warn_once(mem->desc.dev,
				      "pages in device memory do not leave it\n");
		}
	}
}

/**
 * hmm_mirror_devmem_destroy - all pages leave the memory, which ceases to be
 * @mem: the memory
 *
 * Everything in it goes back to RAM, whoever's it is, however long that takes: RAM may
 * have to be made free, and somebody may hold a page. What ops->copy() cannot bring
 * is lost and becomes zero, with a message. When this returns no operation of the
 * memory is called any more.
 *
 * Context: process context, sleeps; no lock is held that an invalidation takes, nor
 * mmap_lock. Nothing else is asked for with @mem any more.
 */
void hmm_mirror_devmem_destroy(struct hmm_mirror_devmem *mem)
{
	might_sleep();
	evict_all(mem);
	/* Waits for page references that are being dropped, hence for their callbacks. */
	memunmap_pages(&mem->pgmap);
	unclaim(mem);
	flush_work(&mem->free_work);
	WARN_ON(!llist_empty(&mem->dead) || mem->nr_out);
	kfree(mem);
	hmm_mirror_live_dec(HMM_MIRROR_LIVE_DEVMEM);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_devmem_destroy, HMM_MIRROR);

/**
 * hmm_mirror_devmem_kind - what the pages are
 * @mem: the memory
 *
 * Context: any.
 */
enum hmm_mirror_devmem_kind
hmm_mirror_devmem_kind(const struct hmm_mirror_devmem *mem)
{
	return mem->kind;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_devmem_kind, HMM_MIRROR);

/**
 * hmm_mirror_extent_devmem - where in whose memory is an extent?
 * @range: a registered range that is valid
 * @ext: a VALID extent of it
 * @owner: of the memory
 * @priv: set to the desc.priv of the memory it is in
 * @dev_addr: set to the byte of that memory where it begins; the rest follows it
 *
 * An extent never spans two devices, so the answer holds for all of it.
 *
 * Context: update lock held, range valid: the pages cannot go before it is released.
 *
 * Return: false if it is in no memory of the owner.
 */
bool hmm_mirror_extent_devmem(const struct hmm_mirror_range *range,
			      const struct hmm_mirror_extent *ext, void *owner,
			      void **priv, u64 *dev_addr)
{
	unsigned long pfn = hmm_mirror_extent_pfn(ext);
	struct hmm_mirror_devmem *mem;

	lockdep_assert_held(range->mirror->update_lock);

	if (!(ext->va_flags & HMM_MIRROR_EXT_DEVICE))
		return false;
	mem = hmm_mirror_devmem_of_pfn(pfn, owner);
	if (!mem)
		return false;
	*priv = mem->desc.priv;
	*dev_addr = PFN_PHYS((u64)(pfn - mem->first_pfn));
	return true;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_extent_devmem, HMM_MIRROR);

/**
 * hmm_mirror_resident_init - begin an account of pages in device memory
 * @res: the caller's object, with one reference, the caller's
 * @ops: its callbacks
 */
void hmm_mirror_resident_init(struct hmm_mirror_resident *res,
			      const struct hmm_mirror_resident_ops *ops)
{
	kref_init(&res->ref);
	res->ops = ops;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_resident_init, HMM_MIRROR);

static void release_resident(struct kref *ref)
{
	struct hmm_mirror_resident *res =
		container_of(ref, struct hmm_mirror_resident, ref);

	res->ops->release(res);
}

/**
 * hmm_mirror_resident_put - drop a reference to an account
 * @res: the account; ops->release() is called for the last one
 *
 * Context: any in which ops->release() may run.
 */
void hmm_mirror_resident_put(struct hmm_mirror_resident *res)
{
	kref_put(&res->ref, release_resident);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_resident_put, HMM_MIRROR);

int __init hmm_mirror_devmem_init(void)
{
	/* MEM_RECLAIM: memory may be given back to get some. */
	hmm_mirror_free_wq = alloc_workqueue("hmm_mirror_free",
					     WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return hmm_mirror_free_wq ? 0 : -ENOMEM;
}

void hmm_mirror_devmem_exit(void)
{
	hmm_mirror_mover_exit();
	destroy_workqueue(hmm_mirror_free_wq);
}
