// SPDX-License-Identifier: GPL-2.0-only
/*
 * VRAM: a GPU-physical address space from 0 with pages behind what is allocated.
 *
 * The pages come from system memory when an allocation is made, charged to who
 * makes it, and go when it is freed; an idle virtual GPU costs a bitmap and a
 * pointer per page. Where the CPU reaches the VRAM like RAM (a coherent region),
 * memory that processes' pages migrate to is that region's own; its page
 * references belong to who made the pages.
 *
 * Memory objects fill the space from below, migrated pages from above, so that
 * the many small pieces of the one leave consecutive room for the other.
 *
 * Engines look pages up without a lock: nobody frees what is still mapped on a
 * GPU, and an unmap is followed by a flush.
 */
#include "gfx9_priv.h"

#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#define HUGE_ORDER	(GFX9_HUGE_SHIFT - PAGE_SHIFT)
#define HUGE_NPAGES	BIT(HUGE_ORDER)
#define GFP_VRAM	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN)

/* Ordinary pages behind VRAM; 0 at unload. */
atomic_long_t gfx9_nvram_pages;

#ifdef CONFIG_KFDSVM_DEBUG
static bool break_vram_zero;
module_param(break_vram_zero, bool, 0600);
MODULE_PARM_DESC(break_vram_zero, "Hand out VRAM for migrated memory with old contents (test only)");
#else
#define break_vram_zero false
#endif

struct gfx9_vram *gfx9_vram_create(u64 len, u64 coherent_start)
{
	struct gfx9_vram *vram = kzalloc(sizeof(*vram), GFP_KERNEL);

	if (!vram)
		return NULL;
	spin_lock_init(&vram->lock);
	vram->npages = len >> PAGE_SHIFT;
	vram->coherent_pfn = coherent_start >> PAGE_SHIFT;
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
	WARN_ON(vram->nused || vram->nmigrated);
	gfx9_hive_leave(vram);
	vfree(vram->pages);
	vfree(vram->used);
	kfree(vram);
}

/* From below. Return: the first page, or npages of the VRAM. */
static unsigned long find_low(struct gfx9_vram *vram, unsigned long npages)
{
	return bitmap_find_next_zero_area(vram->used, vram->npages, 0, npages,
					  npages >= HUGE_NPAGES ?
					  HUGE_NPAGES - 1 : 0);
}

/* From above, within an aligned 2 MiB; what is left over at the end is not used. */
static unsigned long find_high(struct gfx9_vram *vram, unsigned long npages)
{
	unsigned long huge = vram->npages / HUGE_NPAGES, end, first;

	while (huge--) {
		end = (huge + 1) * HUGE_NPAGES;
		first = bitmap_find_next_zero_area(vram->used, end,
						   huge * HUGE_NPAGES, npages,
						   0);
		if (first < end)
			return first;
	}
	return vram->npages;
}

static long take_span(struct gfx9_vram *vram, enum gfx9_vram_use use,
		      unsigned long npages)
{
	unsigned long first;

	guard(spinlock)(&vram->lock);
	if (use == GFX9_VRAM_MIGRATED) {
		if (vram->nwaiting)
			return -EBUSY;
		first = find_high(vram, npages);
	} else {
		first = find_low(vram, npages);
	}
	if (first >= vram->npages)
		return -ENOSPC;
	bitmap_set(vram->used, first, npages);
	vram->nused += npages;
	if (use == GFX9_VRAM_MIGRATED)
		vram->nmigrated += npages;
	return first;
}

static void give_span(struct gfx9_vram *vram, enum gfx9_vram_use use,
		      unsigned long first, unsigned long npages)
{
	guard(spinlock)(&vram->lock);
	bitmap_clear(vram->used, first, npages);
	vram->nused -= npages;
	if (use == GFX9_VRAM_MIGRATED)
		vram->nmigrated -= npages;
}

/* Old contents, as if somebody else had been there. */
static void soil_pages(struct gfx9_vram *vram, unsigned long first,
		       unsigned long npages)
{
	void *p;

	for (; npages; npages--, first++) {
		p = kmap_local_page(vram->pages[first]);
		memset(p, 0x5a, PAGE_SIZE);
		kunmap_local(p);
	}
}

static bool is_region(const struct gfx9_vram *vram, enum gfx9_vram_use use)
{
	return use == GFX9_VRAM_MIGRATED && vram->coherent_pfn;
}

static void drop_pages(struct gfx9_vram *vram, enum gfx9_vram_use use,
		       unsigned long first, unsigned long npages)
{
	bool own = !is_region(vram, use);
	unsigned long i;

	for (i = first; i < first + npages; i++) {
		if (own)
			put_page(vram->pages[i]);
		WRITE_ONCE(vram->pages[i], NULL);
		if (!(i % 1024))
			cond_resched();
	}
	if (own)
		atomic_long_sub(npages, &gfx9_nvram_pages);
}

/* Who migrates clears what it does not copy to. */
static gfp_t vram_gfp(enum gfx9_vram_use use)
{
	return use == GFX9_VRAM_MIGRATED ? GFP_VRAM : GFP_VRAM | __GFP_ZERO;
}

/* As many pages as there are at once, at least one, at most @npages; 0: no memory. */
static unsigned long get_pages(struct gfx9_vram *vram, enum gfx9_vram_use use,
			       unsigned long first, unsigned long npages)
{
	gfp_t gfp = vram_gfp(use);
	struct page *page = NULL;
	unsigned long i, n = 1;

	if (npages >= HUGE_NPAGES) {
		page = alloc_pages(gfp & ~__GFP_DIRECT_RECLAIM, HUGE_ORDER);
		if (page) {
			split_page(page, HUGE_ORDER);
			n = HUGE_NPAGES;
		}
	}
	if (!page)
		page = alloc_page(gfp | __GFP_RETRY_MAYFAIL);
	if (!page)
		return 0;
	atomic_long_add(n, &gfx9_nvram_pages);
	for (i = 0; i < n; i++)
		WRITE_ONCE(vram->pages[first + i], page + i);
	return n;
}

static void take_region(struct gfx9_vram *vram, unsigned long first,
			unsigned long npages)
{
	unsigned long i;

	for (i = first; i < first + npages; i++)
		WRITE_ONCE(vram->pages[i], pfn_to_page(vram->coherent_pfn + i));
}

static int fill_pages(struct gfx9_vram *vram, enum gfx9_vram_use use,
		      unsigned long first, unsigned long npages)
{
	unsigned long i, n;

	if (is_region(vram, use)) {
		take_region(vram, first, npages);
		return 0;
	}
	for (i = 0; i < npages; i += n) {
		n = fatal_signal_pending(current) ?
		    0 : get_pages(vram, use, first + i, npages - i);
		if (!n) {
			drop_pages(vram, use, first, i);
			return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
		}
		cond_resched();
	}
	return 0;
}

int gfx9_vram_alloc(struct gfx9_vram *vram, enum gfx9_vram_use use, u64 len,
		    u64 *addr)
{
	unsigned long npages = PAGE_ALIGN(len) >> PAGE_SHIFT;
	long first;
	int err;

	might_sleep();
	if (!len || (use == GFX9_VRAM_MIGRATED && npages > HUGE_NPAGES))
		return -EINVAL;
	if (len > (u64)vram->npages << PAGE_SHIFT)
		return -ENOMEM;
	first = take_span(vram, use, npages);
	if (first < 0)
		return first;
	err = fill_pages(vram, use, first, npages);
	if (err) {
		give_span(vram, use, first, npages);
		return err;
	}
	if (break_vram_zero && use == GFX9_VRAM_MIGRATED)
		soil_pages(vram, first, npages);
	*addr = (u64)first << PAGE_SHIFT;
	return 0;
}

void gfx9_vram_free(struct gfx9_vram *vram, enum gfx9_vram_use use, u64 addr,
		    u64 len)
{
	unsigned long npages = PAGE_ALIGN(len) >> PAGE_SHIFT;

	might_sleep();
	drop_pages(vram, use, addr >> PAGE_SHIFT, npages);
	give_span(vram, use, addr >> PAGE_SHIFT, npages);
}

/* What the driver's SDMA ring does on hardware; may be called to free memory. */
void gfx9_vram_clear(struct gfx9_vram *vram, u64 addr, u64 len)
{
	unsigned long i = addr >> PAGE_SHIFT, end = i + (len >> PAGE_SHIFT);

	if (break_vram_zero)
		return;
	for (; i < end; i++) {
		clear_highpage(vram->pages[i]);
		cond_resched();
	}
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

u64 gfx9_vram_obtainable(struct gfx9_vram *vram)
{
	guard(spinlock)(&vram->lock);
	return (u64)(vram->npages - vram->nused + vram->nmigrated) << PAGE_SHIFT;
}

u64 gfx9_vram_migrated(struct gfx9_vram *vram)
{
	guard(spinlock)(&vram->lock);
	return (u64)vram->nmigrated << PAGE_SHIFT;
}

bool gfx9_vram_wait_begin(struct gfx9_vram *vram, u64 len)
{
	unsigned long npages = PAGE_ALIGN(len) >> PAGE_SHIFT;

	guard(spinlock)(&vram->lock);
	if (npages > vram->npages - vram->nused + vram->nmigrated)
		return false;
	vram->nwaiting++;
	return true;
}

void gfx9_vram_wait_end(struct gfx9_vram *vram)
{
	guard(spinlock)(&vram->lock);
	vram->nwaiting--;
}
