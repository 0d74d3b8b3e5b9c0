// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a device: which pages are used, what stands in them, and the one
 * function that copies, which all who are compared call: copy_page() for each page, as
 * copy_highpage() does.
 *
 * Private memory has addresses that nothing answers to; what stands there is kept
 * in data. Coherent memory is RAM the kernel was told to leave alone.
 */
#include "bench.h"

#include <linux/bitmap.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

int ksb_vram_init(struct ksb_vram *vram, u64 coherent_start, bool with_data)
{
	spin_lock_init(&vram->lock);
	init_waitqueue_head(&vram->empty);
	vram->npages = PHYS_PFN(KSB_VRAM_LEN);
	vram->coherent_start = coherent_start;
	vram->used = bitmap_zalloc(vram->npages, GFP_KERNEL);
	if (with_data)
		vram->data = vzalloc(KSB_VRAM_LEN);
	if (vram->used && (vram->data || !with_data))
		return 0;
	ksb_vram_fini(vram);
	return -ENOMEM;
}

void ksb_vram_fini(struct ksb_vram *vram)
{
	WARN_ON(vram->nr_used);
	vfree(vram->data);
	bitmap_free(vram->used);
	vram->data = NULL;
	vram->used = NULL;
}

/* Consecutive pages, 2 MiB aligned to 2 MiB. Return: the first, or -ENOMEM. */
long ksb_vram_take(struct ksb_vram *vram, unsigned long npages)
{
	unsigned long index, flags;

	spin_lock_irqsave(&vram->lock, flags);
	index = bitmap_find_next_zero_area(vram->used, vram->npages, 0, npages,
					   npages == KSB_BATCH ? KSB_BATCH - 1 : 0);
	if (index < vram->npages) {
		bitmap_set(vram->used, index, npages);
		vram->nr_used += npages;
	}
	spin_unlock_irqrestore(&vram->lock, flags);
	return index < vram->npages ? index : -ENOMEM;
}

/* Any context. */
void ksb_vram_give(struct ksb_vram *vram, unsigned long index, unsigned long npages)
{
	unsigned long flags;
	bool empty;

	spin_lock_irqsave(&vram->lock, flags);
	bitmap_clear(vram->used, index, npages);
	vram->nr_used -= npages;
	empty = !vram->nr_used;
	spin_unlock_irqrestore(&vram->lock, flags);
	if (empty)
		wake_up(&vram->empty);
}

unsigned long ksb_vram_nr_used(struct ksb_vram *vram)
{
	return READ_ONCE(vram->nr_used);
}

void ksb_vram_wait_empty(struct ksb_vram *vram)
{
	wait_event(vram->empty, !ksb_vram_nr_used(vram));
}

void *ksb_vram_at(const struct ksb_vram *vram, unsigned long index)
{
	if (vram->data)
		return vram->data + PFN_PHYS(index);
	return __va(vram->coherent_start + PFN_PHYS(index));
}

void ksb_vram_copy(struct ksb_vram *vram, void *to, const void *from,
		   unsigned long npages)
{
	u64 start = ksb_clock();
	unsigned long i;

	for (i = 0; i < npages; i++)
		copy_page(to + PFN_PHYS(i), (void *)from + PFN_PHYS(i));
	vram->copied += npages;
	if (npages == KSB_BATCH)
		vram->copied_huge += npages;
	vram->copy_ticks += ksb_clock() - start;
}

void ksb_vram_clear(struct ksb_vram *vram, unsigned long index, unsigned long npages)
{
	u64 start = ksb_clock();
	unsigned long i;

	for (i = 0; i < npages; i++)
		clear_page(ksb_vram_at(vram, index + i));
	vram->cleared += npages;
	vram->copy_ticks += ksb_clock() - start;
}

void ksb_vram_begin(struct ksb_vram *vram)
{
	vram->copied = 0;
	vram->copied_huge = 0;
	vram->cleared = 0;
	vram->copy_ticks = 0;
}

void ksb_vram_report(struct ksb_vram *vram, struct ksb_pass *pass)
{
	pass->copied = vram->copied;
	pass->copied_huge = vram->copied_huge;
	pass->cleared = vram->cleared;
	pass->copy_ticks = vram->copy_ticks;
	pass->in_vram = ksb_vram_nr_used(vram);
}

static int claim_addresses(struct ksb_pages *pages, u64 coherent_start)
{
	struct dev_pagemap *pgmap = &pages->pgmap;
	struct resource *res;

	if (coherent_start) {
		pgmap->type = MEMORY_DEVICE_COHERENT;
		res = request_mem_region(coherent_start, KSB_VRAM_LEN,
					 "kfd_svm_bench");
		if (!res)
			return -EBUSY;
	} else {
		pgmap->type = MEMORY_DEVICE_PRIVATE;
		res = request_free_mem_region(&iomem_resource, KSB_VRAM_LEN,
					      "kfd_svm_bench");
		if (IS_ERR(res))
			return PTR_ERR(res);
	}
	pages->res = res;
	return 0;
}

int ksb_pages_init(struct ksb_pages *pages, u64 coherent_start, void *owner,
		   const struct dev_pagemap_ops *ops)
{
	struct dev_pagemap *pgmap = &pages->pgmap;
	void *ret;
	int err;

	err = ksb_vram_init(&pages->vram, coherent_start, !coherent_start);
	if (err)
		return err;
	err = claim_addresses(pages, coherent_start);
	if (err)
		goto err_vram;
	pgmap->range.start = pages->res->start;
	pgmap->range.end = pages->res->end;
	pgmap->nr_range = 1;
	pgmap->ops = ops;
	pgmap->owner = owner;
	ret = memremap_pages(pgmap, NUMA_NO_NODE);
	if (IS_ERR(ret)) {
		err = PTR_ERR(ret);
		goto err_res;
	}
	pages->first_pfn = PHYS_PFN(pgmap->range.start);
	return 0;

err_res:
	release_mem_region(pages->res->start, resource_size(pages->res));
err_vram:
	ksb_vram_fini(&pages->vram);
	return err;
}

void ksb_pages_fini(struct ksb_pages *pages)
{
	if (!pages->first_pfn)
		return;
	memunmap_pages(&pages->pgmap);
	release_mem_region(pages->res->start, resource_size(pages->res));
	ksb_vram_fini(&pages->vram);
	pages->first_pfn = 0;
}
