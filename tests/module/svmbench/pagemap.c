// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second peer: migration by drm_pagemap, with as little of a driver below it as it can
 * do with. One allocation of 2 MiB for each 2 MiB of addresses, as its users make them. The
 * device is a drm device that is never registered, which drm_pagemap has no need of.
 *
 * A CPU access brings an allocation back by drm_pagemap's own fault handler.
 */
#include "bench.h"

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_pagemap.h>
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

/**
 * struct allocation - 2 MiB of the memory
 * @devmem: what drm_pagemap wants
 * @index: first page
 */
struct allocation {
	struct drm_pagemap_devmem devmem;
	unsigned long index;
};

static struct ksb_pages pages;
static char owner;
static struct drm_device *drm;
static DECLARE_COMPLETION(drm_released);

static struct allocation *to_allocation(struct drm_pagemap_devmem *devmem)
{
	return container_of(devmem, struct allocation, devmem);
}

static void devmem_release(struct drm_pagemap_devmem *devmem)
{
	struct allocation *a = to_allocation(devmem);

	ksb_vram_give(&pages.vram, a->index, KSB_BATCH);
	kfree(a);
}

static int populate_devmem_pfn(struct drm_pagemap_devmem *devmem,
			       unsigned long npages, unsigned long *pfn)
{
	struct allocation *a = to_allocation(devmem);
	unsigned long i;

	for (i = 0; i < npages; i++)
		pfn[i] = pages.first_pfn + a->index + i;
	return 0;
}

static void *data_of(struct page *page)
{
	return ksb_vram_at(&pages.vram, page_to_pfn(page) - pages.first_pfn);
}

/* System memory is where DMA addresses say: there is no IOMMU. */
static void copy_all(struct page **page, struct drm_pagemap_addr *addr,
		     unsigned long npages, bool to_ram)
{
	unsigned long i, n;

	for (i = 0; i < npages; i += n) {
		n = 1UL << addr[i].order;
		if (!page[i])
			continue;
		if (!addr[i].addr) {
			/* Nothing was there. */
			if (!to_ram)
				ksb_vram_clear(&pages.vram, page_to_pfn(page[i]) -
					       pages.first_pfn, n);
			continue;
		}
		if (to_ram)
			ksb_vram_copy(&pages.vram, __va(addr[i].addr),
				      data_of(page[i]), n);
		else
			ksb_vram_copy(&pages.vram, data_of(page[i]),
				      __va(addr[i].addr), n);
	}
}

static int copy_to_devmem(struct page **page, struct drm_pagemap_addr *addr,
			  unsigned long npages, struct dma_fence *fence)
{
	copy_all(page, addr, npages, false);
	return 0;
}

static int copy_to_ram(struct page **page, struct drm_pagemap_addr *addr,
		       unsigned long npages, struct dma_fence *fence)
{
	copy_all(page, addr, npages, true);
	return 0;
}

static const struct drm_pagemap_devmem_ops devmem_ops = {
	.devmem_release = devmem_release,
	.populate_devmem_pfn = populate_devmem_pfn,
	.copy_to_devmem = copy_to_devmem,
	.copy_to_ram = copy_to_ram,
};

static const struct drm_pagemap_ops pagemap_ops = {
};

static void drm_release(struct drm_device *dev)
{
	complete(&drm_released);
}

/* Without an owner: drm_pagemap would hold the module for as long as it is loaded. */
static const struct file_operations drm_fops = {
};

static const struct drm_driver driver = {
	.name = "kfd_svm_bench",
	.desc = "peer of the SVM benchmark",
	.major = 1,
	.fops = &drm_fops,
	.release = drm_release,
};

int ksb_pagemap_init(void)
{
	int err;

	err = ksb_pages_init(&pages, 0, &owner, drm_pagemap_pagemap_ops_get());
	if (err)
		return err;
	drm = drm_dev_alloc(&driver, &ksb_device->dev);
	if (IS_ERR(drm)) {
		ksb_pages_fini(&pages);
		return PTR_ERR(drm);
	}
	return 0;
}

/* drm_pagemap drops its reference to the device by a work of its own. */
void ksb_pagemap_exit(void)
{
	drm_dev_put(drm);
	wait_for_completion(&drm_released);
	ksb_pages_fini(&pages);
}

u32 ksb_pagemap_features(void)
{
	return KSB_HAS_PAGEMAP;
}

void ksb_pagemap_settle(void)
{
	ksb_vram_wait_empty(&pages.vram);
}

static int open_pagemap(struct ksb_file *f)
{
	struct drm_pagemap *pagemap;
	int err;

	if (f->pagemap)
		return 0;
	pagemap = kzalloc(sizeof(*pagemap), GFP_KERNEL);
	if (!pagemap)
		return -ENOMEM;
	err = drm_pagemap_init(pagemap, &pages.pgmap, drm, &pagemap_ops);
	if (err) {
		kfree(pagemap);
		return err;
	}
	f->pagemap = pagemap;
	return 0;
}

void ksb_pagemap_close(struct ksb_file *f)
{
	if (f->pagemap)
		drm_pagemap_put(f->pagemap);
}

static int migrate_one(struct ksb_file *f, unsigned long va)
{
	static const struct drm_pagemap_migrate_details details = { };
	struct allocation *a = kzalloc(sizeof(*a), GFP_KERNEL);
	long index;
	int err;

	if (!a)
		return -ENOMEM;
	index = ksb_vram_take(&pages.vram, KSB_BATCH);
	if (index < 0) {
		kfree(a);
		return index;
	}
	a->index = index;
	drm_pagemap_devmem_init(&a->devmem, &ksb_device->dev, f->mm, &devmem_ops,
				f->pagemap, KSB_BATCH_LEN, NULL);
	mmap_read_lock(f->mm);
	err = drm_pagemap_migrate_to_devmem(&a->devmem, f->mm, va,
					    va + KSB_BATCH_LEN, &details);
	mmap_read_unlock(f->mm);
	return err;
}

int ksb_pagemap_pass(struct ksb_file *f, struct ksb_pass *pass)
{
	unsigned long va, end = pass->first_va + pass->len;
	u64 start;
	int err;

	err = open_pagemap(f);
	if (err)
		return err;
	ksb_vram_begin(&pages.vram);
	start = ksb_clock();
	for (va = pass->first_va; !err && va < end; va += KSB_BATCH_LEN)
		err = migrate_one(f, va);
	pass->ticks = ksb_clock() - start;
	ksb_vram_report(&pages.vram, pass);
	return err;
}
