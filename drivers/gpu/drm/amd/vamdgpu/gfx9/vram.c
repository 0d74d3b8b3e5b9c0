// SPDX-License-Identifier: GPL-2.0-only
/*
 * VRAM: a GPU-physical address space from 0 with pages behind what is allocated.
 *
 * The pages come from system memory when an allocation is made, charged to who
 * makes it, and go when it is freed; an idle virtual GPU costs a bitmap and a
 * pointer per page. Engines look pages up without a lock: nobody frees what is
 * still mapped on a GPU, and an unmap is followed by a flush.
 */
#include "gfx9_priv.h"

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

/**
 * struct gfx9_vram - VRAM of one GPU
 * @npages: size
 * @lock: guards @used and @nused
 * @used: bit per page
 * @nused: bits set
 * @pages: what stands behind, NULL where nothing is allocated
 */
struct gfx9_vram {
	unsigned long npages;
	spinlock_t lock;	/* see above */
	unsigned long *used;
	unsigned long nused;
	struct page **pages;
};

atomic_long_t gfx9_nvram_pages;

struct gfx9_vram *gfx9_vram_create(u64 len)
{
	struct gfx9_vram *vram = kzalloc(sizeof(*vram), GFP_KERNEL);

	if (!vram)
		return NULL;
	spin_lock_init(&vram->lock);
	vram->npages = len >> PAGE_SHIFT;
	vram->used = vzalloc(array_size(BITS_TO_LONGS(vram->npages),
					sizeof(long)));
	vram->pages = vzalloc(array_size(vram->npages, sizeof(*vram->pages)));
	if (vram->used && vram->pages)
		return vram;
	vfree(vram->pages);
	vfree(vram->used);
	kfree(vram);
	return NULL;
}

void gfx9_vram_destroy(struct gfx9_vram *vram)
{
	if (!vram)
		return;
	WARN_ON(vram->nused);
	vfree(vram->pages);
	vfree(vram->used);
	kfree(vram);
}

static long take_span(struct gfx9_vram *vram, unsigned long npages)
{
	unsigned long huge = GFX9_HUGE_LEN >> PAGE_SHIFT, first;

	guard(spinlock)(&vram->lock);
	first = bitmap_find_next_zero_area(vram->used, vram->npages, 0, npages,
					   npages >= huge ? huge - 1 : 0);
	if (first >= vram->npages)
		return -ENOMEM;
	bitmap_set(vram->used, first, npages);
	vram->nused += npages;
	return first;
}

static void give_span(struct gfx9_vram *vram, unsigned long first,
		      unsigned long npages)
{
	guard(spinlock)(&vram->lock);
	bitmap_clear(vram->used, first, npages);
	vram->nused -= npages;
}

static void free_pages_of(struct gfx9_vram *vram, unsigned long first,
			  unsigned long npages)
{
	unsigned long i;

	for (i = first; i < first + npages; i++) {
		put_page(vram->pages[i]);
		WRITE_ONCE(vram->pages[i], NULL);
		if (!(i % 1024))
			cond_resched();
	}
	atomic_long_sub(npages, &gfx9_nvram_pages);
}

static int alloc_pages_of(struct gfx9_vram *vram, unsigned long first,
			  unsigned long npages)
{
	struct page *page;
	unsigned long i;
	int err;

	for (i = 0; i < npages; i++) {
		err = -EINTR;
		if (fatal_signal_pending(current))
			goto err_pages;
		err = -ENOMEM;
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO |
				  __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
		if (!page)
			goto err_pages;
		atomic_long_inc(&gfx9_nvram_pages);
		WRITE_ONCE(vram->pages[first + i], page);
		cond_resched();
	}
	return 0;

err_pages:
	free_pages_of(vram, first, i);
	return err;
}

int gfx9_vram_alloc(struct gfx9_vram *vram, u64 len, u64 *addr)
{
	unsigned long npages = PAGE_ALIGN(len) >> PAGE_SHIFT;
	long first;
	int err;

	if (!len || len > (u64)vram->npages << PAGE_SHIFT)
		return len ? -ENOMEM : -EINVAL;
	first = take_span(vram, npages);
	if (first < 0)
		return first;
	err = alloc_pages_of(vram, first, npages);
	if (err) {
		give_span(vram, first, npages);
		return err;
	}
	*addr = (u64)first << PAGE_SHIFT;
	return 0;
}

void gfx9_vram_free(struct gfx9_vram *vram, u64 addr, u64 len)
{
	unsigned long npages = PAGE_ALIGN(len) >> PAGE_SHIFT;

	free_pages_of(vram, addr >> PAGE_SHIFT, npages);
	give_span(vram, addr >> PAGE_SHIFT, npages);
}

/* NULL where nothing is allocated. */
struct page *gfx9_vram_page(struct gfx9_vram *vram, u64 addr)
{
	u64 i = addr >> PAGE_SHIFT;

	return i < vram->npages ? READ_ONCE(vram->pages[i]) : NULL;
}

u64 gfx9_vram_size(struct gfx9_vram *vram)
{
	return (u64)vram->npages << PAGE_SHIFT;
}

u64 gfx9_vram_available(struct gfx9_vram *vram)
{
	guard(spinlock)(&vram->lock);
	return (u64)(vram->npages - vram->nused) << PAGE_SHIFT;
}
