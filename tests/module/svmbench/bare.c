// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first peer: as little as the kernel's interface allows. A loop over batches of
 * 512 pages, each by migrate_vma_setup(), _pages() and _finalize(), with a copy of each page.
 * No page table of a GPU, no policy, no room to be made, no counters, arrays made before.
 */
#include "bench.h"

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pagemap.h>

static struct ksb_pages bare;
static char bare_owner;

static void bare_free(unsigned long pfn, unsigned long npages)
{
	ksb_vram_give(&bare.vram, pfn - bare.first_pfn, npages);
}

#ifdef KSB_FOLIOS
static void bare_folio_free(struct folio *folio)
{
	bare_free(folio_pfn(folio), folio_nr_pages(folio));
}
#else
static void bare_page_free(struct page *page)
{
	bare_free(page_to_pfn(page), 1);
}
#endif

/* What is measured is brought back before it is touched. */
static vm_fault_t bare_to_ram(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static const struct dev_pagemap_ops bare_ops = {
#ifdef KSB_FOLIOS
	.folio_free = bare_folio_free,
#else
	.page_free = bare_page_free,
#endif
	.migrate_to_ram = bare_to_ram,
};

int ksb_bare_init(u64 coherent_start)
{
	if (!coherent_start && !IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		return 0;
	return ksb_pages_init(&bare, coherent_start, &bare_owner, &bare_ops);
}

void ksb_bare_exit(void)
{
	ksb_pages_fini(&bare);
}

void ksb_bare_settle(void)
{
	if (bare.first_pfn)
		ksb_vram_wait_empty(&bare.vram);
}

static void page_init(struct page *page)
{
#ifdef KSB_FOLIOS
	zone_device_page_init(page, &bare.pgmap, 0);
#else
	zone_device_page_init(page);
#endif
}

/* Return: pages taken from @index on. */
static unsigned long place_in_vram(struct migrate_vma *args, unsigned long index)
{
	unsigned long i, next = index;
	struct page *from, *to;

	for (i = 0; i < args->npages; i++) {
		from = migrate_pfn_to_page(args->src[i]);
		if (!(args->src[i] & MIGRATE_PFN_MIGRATE) || !from)
			continue;
		to = pfn_to_page(bare.first_pfn + next);
		page_init(to);
		ksb_vram_copy(&bare.vram, ksb_vram_at(&bare.vram, next),
			      page_address(from), 1);
		args->dst[i] = migrate_pfn(page_to_pfn(to));
		next++;
	}
	return next - index;
}

static int place_in_ram(struct migrate_vma *args)
{
	unsigned long i, index;
	struct page *from, *to;

	for (i = 0; i < args->npages; i++) {
		from = migrate_pfn_to_page(args->src[i]);
		if (!(args->src[i] & MIGRATE_PFN_MIGRATE) || !from)
			continue;
		to = alloc_page_vma(GFP_HIGHUSER_MOVABLE, args->vma,
				    args->start + PFN_PHYS(i));
		if (!to)
			return -ENOMEM;
		lock_page(to);
		index = page_to_pfn(from) - bare.first_pfn;
		ksb_vram_copy(&bare.vram, page_address(to),
			      ksb_vram_at(&bare.vram, index), 1);
		args->dst[i] = migrate_pfn(page_to_pfn(to));
	}
	return 0;
}

/* mmap_lock held. */
static int move_batch(struct migrate_vma *args, bool to_vram)
{
	unsigned long taken;
	long index = 0;
	int err;

	if (to_vram) {
		index = ksb_vram_take(&bare.vram, KSB_BATCH);
		if (index < 0)
			return index;
	}
	err = migrate_vma_setup(args);
	if (err) {
		if (to_vram)
			ksb_vram_give(&bare.vram, index, KSB_BATCH);
		return err;
	}
	if (to_vram) {
		taken = place_in_vram(args, index);
		if (taken < KSB_BATCH)
			ksb_vram_give(&bare.vram, index + taken, KSB_BATCH - taken);
	} else {
		err = place_in_ram(args);
	}
	migrate_vma_pages(args);
	migrate_vma_finalize(args);
	return err;
}

int ksb_bare_pass(struct ksb_file *f, struct ksb_pass *pass)
{
	bool to_vram = pass->op == KSB_BARE_TO_VRAM;
	struct migrate_vma args = {
		.src = f->src,
		.dst = f->dst,
		.pgmap_owner = &bare_owner,
		.flags = to_vram ? MIGRATE_VMA_SELECT_SYSTEM :
			 bare.vram.coherent_start ?
			 MIGRATE_VMA_SELECT_DEVICE_COHERENT :
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	unsigned long va, end = pass->first_va + pass->len;
	u64 start;
	int err = 0;

	if (!bare.first_pfn)
		return -EOPNOTSUPP;
	ksb_vram_begin(&bare.vram);
	start = ksb_clock();
	for (va = pass->first_va; !err && va < end; va += KSB_BATCH_LEN) {
		mmap_read_lock(f->mm);
		args.vma = vma_lookup(f->mm, va);
		args.start = va;
		args.end = va + KSB_BATCH_LEN;
		err = args.vma ? move_batch(&args, to_vram) : -EFAULT;
		mmap_read_unlock(f->mm);
	}
	pass->ticks = ksb_clock() - start;
	ksb_vram_report(&bare.vram, pass);
	return err;
}
