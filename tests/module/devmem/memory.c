// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memories: their struct pages, and which of them are used.
 *
 * Private memory has addresses that nothing answers to; what the device would have there
 * is kept in data. Coherent memory is RAM the kernel was told to leave alone.
 */
#include "devmem.h"

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#define PRIVATE_LEN	SZ_16M

static const char * const names[HMD_NR_MEMORIES] = {
	[HMD_PRIVATE] = "hmm_mirror_devmem private",
	[HMD_PRIVATE_OTHER] = "hmm_mirror_devmem private other",
	[HMD_COHERENT] = "hmm_mirror_devmem coherent",
	[HMD_COHERENT_OTHER] = "hmm_mirror_devmem coherent other",
};

struct memory memories[HMD_NR_MEMORIES];

struct memory *memory_find(unsigned int which)
{
	if (which >= HMD_NR_MEMORIES || !memories[which].res)
		return NULL;
	return &memories[which];
}

struct memory *memory_of_pfn(unsigned long pfn)
{
	struct memory *memory;
	unsigned int i;

	for (i = 0; i < HMD_NR_MEMORIES; i++) {
		memory = memory_find(i);
		if (memory && pfn >= memory->first_pfn &&
		    pfn - memory->first_pfn < memory->npages)
			return memory;
	}
	return NULL;
}

/* Where what stands in a page can be reached by the CPU, be it RAM or a device's. */
void *memory_data(struct page *page)
{
	struct memory *memory = memory_of_pfn(page_to_pfn(page));

	if (!memory || !memory->data)
		return page_address(page);
	return memory->data + PFN_PHYS(page_to_pfn(page) - memory->first_pfn);
}

bool memory_is_used(struct memory *memory, unsigned long pfn)
{
	unsigned long flags;
	bool used;

	spin_lock_irqsave(&memory->lock, flags);
	used = test_bit(pfn - memory->first_pfn, memory->used);
	spin_unlock_irqrestore(&memory->lock, flags);
	return used;
}

unsigned long memory_nr_used(struct memory *memory)
{
	return READ_ONCE(memory->nr_used);
}

static bool find_free(const struct memory *memory, u64 offset, unsigned long n,
		      unsigned long *index)
{
	lockdep_assert_held(&memory->lock);

	if (offset == HMD_ANYWHERE) {
		*index = bitmap_find_next_zero_area(memory->used, memory->npages, 0, n,
						    n - 1);
		return *index < memory->npages;
	}
	*index = offset;
	return offset < memory->npages && n <= memory->npages - offset &&
	       IS_ALIGNED(offset, n) &&
	       find_next_bit(memory->used, offset + n, offset) == offset + n;
}

/* Pages that are free, as the kernel wants those it is to move something to: locked. */
struct page *memory_take(struct memory *memory, u64 offset, unsigned int order)
{
	unsigned long n = 1UL << order, index, flags;
	struct page *page;
	bool found;

	spin_lock_irqsave(&memory->lock, flags);
	found = find_free(memory, offset, n, &index);
	if (found) {
		bitmap_set(memory->used, index, n);
		memory->nr_used += n;
	}
	spin_unlock_irqrestore(&memory->lock, flags);
	if (!found)
		return NULL;

	page = pfn_to_page(memory->first_pfn + index);
#ifdef HMD_FOLIOS
	/* Not by its folio: the one it was part of last is no more. */
	zone_device_page_init(page, &memory->pgmap, order);
	if (order)
		folio_set_large_rmappable(page_folio(page));
#else
	zone_device_page_init(page);
#endif
	return page;
}

static void memory_free(unsigned long pfn, unsigned long n)
{
	struct memory *memory = memory_of_pfn(pfn);
	unsigned long index = pfn - memory->first_pfn, flags;

	spin_lock_irqsave(&memory->lock, flags);
	WARN_ON_ONCE(find_next_zero_bit(memory->used, index + n, index) != index + n);
	bitmap_clear(memory->used, index, n);
	memory->nr_used -= n;
	spin_unlock_irqrestore(&memory->lock, flags);
}

#ifdef HMD_FOLIOS
static void memory_folio_free(struct folio *folio)
{
	memory_free(folio_pfn(folio), folio_nr_pages(folio));
}
#else
static void memory_page_free(struct page *page)
{
	memory_free(page_to_pfn(page), 1);
}
#endif

static const struct dev_pagemap_ops memory_ops = {
#ifdef HMD_FOLIOS
	.folio_free = memory_folio_free,
#else
	.page_free = memory_page_free,
#endif
#ifdef CONFIG_DEVICE_PRIVATE
	.migrate_to_ram = move_on_fault,
#endif
};

static struct page *take_neighbour(unsigned long pfn)
{
	int err = -EBUSY;
	unsigned int try;

	if (!pfn_to_online_page(pfn))
		return NULL;
	/* Somebody may look at it just now. */
	for (try = 0; err == -EBUSY && try < 10; try++) {
#ifdef HMD_CONTIG_FLAGS
		err = alloc_contig_range(pfn, pfn + 1, ACR_FLAGS_NONE, GFP_KERNEL);
#else
		err = alloc_contig_range(pfn, pfn + 1, MIGRATE_MOVABLE, GFP_KERNEL);
#endif
	}
	return err ? NULL : pfn_to_page(pfn);
}

/*
 * A page of RAM that has the memory as its neighbour; the caller's to put. The first
 * time it is one that has been kept for this, later it may belong to somebody.
 */
struct page *memory_neighbour(struct memory *memory, bool above)
{
	struct page *page = xchg(&memory->neighbours[above], NULL);

	if (page || memory->data)
		return page;
	return take_neighbour(above ? memory->first_pfn + memory->npages :
				      memory->first_pfn - 1);
}

static void put_neighbours(struct memory *memory)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(memory->neighbours); i++) {
		if (memory->neighbours[i])
			put_page(memory->neighbours[i]);
		memory->neighbours[i] = NULL;
	}
}

/* Takes over @res, also if it fails. */
static int memory_init(unsigned int which, struct resource *res, enum memory_type type,
		       u64 owner, unsigned long npages)
{
	struct memory *memory = &memories[which];
	void *start;

	memory->first_pfn = PHYS_PFN(res->start);
	memory->npages = npages;
	spin_lock_init(&memory->lock);
	memory->used = bitmap_zalloc(npages, GFP_KERNEL);
	if (type == MEMORY_DEVICE_PRIVATE)
		memory->data = vzalloc(PFN_PHYS(npages));
	if (!memory->used || (type == MEMORY_DEVICE_PRIVATE && !memory->data)) {
		start = ERR_PTR(-ENOMEM);
		goto err_free;
	}

	memory->pgmap.type = type;
	memory->pgmap.range.start = res->start;
	memory->pgmap.range.end = res->end;
	memory->pgmap.nr_range = 1;
	memory->pgmap.ops = &memory_ops;
	memory->pgmap.owner = (void *)(uintptr_t)owner;
	start = memremap_pages(&memory->pgmap, NUMA_NO_NODE);
	if (IS_ERR(start))
		goto err_free;
	if (type == MEMORY_DEVICE_COHERENT) {
		memory->neighbours[0] = take_neighbour(memory->first_pfn - 1);
		memory->neighbours[1] = take_neighbour(memory->first_pfn + npages);
	}
	/* From here on it can be found. */
	memory->res = res;
	return 0;

err_free:
	vfree(memory->data);
	bitmap_free(memory->used);
	release_mem_region(res->start, resource_size(res));
	return PTR_ERR(start);
}

#ifdef CONFIG_DEVICE_PRIVATE
static int private_init(unsigned int which, u64 owner)
{
	struct resource *res;

	res = request_free_mem_region(&iomem_resource, PRIVATE_LEN, names[which]);
	if (IS_ERR(res))
		return PTR_ERR(res);
	return memory_init(which, res, MEMORY_DEVICE_PRIVATE, owner,
			   PHYS_PFN(PRIVATE_LEN));
}
#else
static int private_init(unsigned int which, u64 owner)
{
	return 0;
}
#endif

static int coherent_init(unsigned int which, u64 owner, u64 start, u64 len)
{
	struct resource *res;

	if (!len)
		return 0;
	/* The kernel would warn and go on. */
	if (region_intersects(start, len, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT)
		return -EBUSY;
	res = request_mem_region(start, len, names[which]);
	if (!res)
		return -EBUSY;
	return memory_init(which, res, MEMORY_DEVICE_COHERENT, owner, PHYS_PFN(len));
}

static int parse_reserved(const char *text, u64 *start, u64 *len)
{
	char *end;

	*start = 0;
	*len = 0;
	if (!text)
		return 0;
	*len = memparse(text, &end);
	if (*end != '$')
		return -EINVAL;
	*start = memparse(end + 1, &end);
	if (*end || !*len || *start < SZ_4G || !IS_ALIGNED(*start | *len, SZ_4M))
		return -EINVAL;
	return 0;
}

int memories_init(const char *reserved)
{
	u64 start, len;
	int err;

	err = parse_reserved(reserved, &start, &len);
	if (!err)
		err = private_init(HMD_PRIVATE, HMD_OWNER);
	if (!err)
		err = private_init(HMD_PRIVATE_OTHER, HMD_OWNER_OTHER);
	if (!err)
		err = coherent_init(HMD_COHERENT, HMD_OWNER, start, len / 2);
	if (!err)
		err = coherent_init(HMD_COHERENT_OTHER, HMD_OWNER_OTHER, start + len / 2,
				    len / 2);
	if (err)
		memories_exit();
	return err;
}

/* Waits for ever while a page is used. */
void memories_exit(void)
{
	struct memory *memory;
	unsigned int i;

	for (i = 0; i < HMD_NR_MEMORIES; i++) {
		memory = memory_find(i);
		if (!memory)
			continue;
		memunmap_pages(&memory->pgmap);
		put_neighbours(memory);
		vfree(memory->data);
		bitmap_free(memory->used);
		release_mem_region(memory->res->start, resource_size(memory->res));
		memory->res = NULL;
	}
}
