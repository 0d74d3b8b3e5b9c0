// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving pages: what the program asks for, what a CPU fault needs, what the device
 * throws out.
 *
 * The kernel takes the pages out of the page tables and locks them; each gets a new
 * place and a copy of what it holds; the kernel puts the new ones where the old ones
 * were. A page that does not get a place stays.
 */
#include "devmem.h"

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#ifdef HMD_HUGE_PAGES
#define SRC_HUGE	MIGRATE_PFN_COMPOUND
#define SELECT_HUGE	MIGRATE_VMA_SELECT_COMPOUND
#else
#define SRC_HUGE	0UL
#define SELECT_HUGE	0UL
#endif

#define EVICT_NR_PASSES	10

static void copy_pages(struct page *to, struct page *from, unsigned long n)
{
	memcpy(memory_data(to), memory_data(from), n << PAGE_SHIFT);
}

/* A locked page of RAM with what @from holds, as an entry of move->dst; or 0. */
static unsigned long small_copy(struct page *from)
{
	struct page *to = alloc_page(GFP_HIGHUSER_MOVABLE);

	if (!to)
		return 0;
	lock_page(to);
	copy_pages(to, from, 1);
	return migrate_pfn(page_to_pfn(to));
}

static unsigned long huge_copy(struct page *from)
{
	struct folio *to = folio_alloc(GFP_TRANSHUGE, HPAGE_PMD_ORDER);

	if (!to)
		return 0;
	folio_lock(to);
	copy_pages(folio_page(to, 0), from, HPAGE_PMD_NR);
	return migrate_pfn(folio_pfn(to)) | SRC_HUGE;
}

static void place_in_ram(struct move *move, unsigned long i, struct page *from)
{
	unsigned long k, n = 1;

	if (move->src[i] & SRC_HUGE) {
		move->dst[i] = huge_copy(from);
		if (move->dst[i])
			return;
		n = HPAGE_PMD_NR;	/* the kernel splits it */
	}
	for (k = 0; k < n; k++) {
		move->dst[i + k] = small_copy(from + k);
		if (!move->dst[i + k])
			move->err = -ENOMEM;
	}
}

static void place_in_device(struct move *move, unsigned long i, struct page *from)
{
	unsigned int order = move->src[i] & SRC_HUGE ? HPAGE_PMD_ORDER : 0;
	struct page *to = memory_take(move->memory, move->offset, order);

	if (!to) {
		move->err = -ENOSPC;
		return;
	}
	if (move->offset != HMD_ANYWHERE)
		move->offset += 1UL << order;
	copy_pages(to, from, 1UL << order);
	move->dst[i] = migrate_pfn(page_to_pfn(to));
	if (order)
		move->dst[i] |= SRC_HUGE;
}

static void place_beside(struct move *move, unsigned long i, struct page *from)
{
	struct page *to = memory_neighbour(move->memory, move->to == HMD_TO_ABOVE);

	if (!to) {
		move->err = -EBUSY;
		return;
	}
	lock_page(to);
	copy_pages(to, from, 1);
	move->dst[i] = migrate_pfn(page_to_pfn(to));
}

/* Sets move->dst by what is in move->src. */
static void place_pages(struct move *move, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		struct page *from = migrate_pfn_to_page(move->src[i]);

		if (!from || !(move->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		switch (move->to) {
		case HMD_TO_DEVICE:
			place_in_device(move, i, from);
			break;
		case HMD_TO_RAM:
			place_in_ram(move, i, from);
			break;
		default:
			place_beside(move, i, from);
			break;
		}
	}
}

static void count_moved(struct move *move, unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++) {
		if (!migrate_pfn_to_page(move->src[i]) ||
		    !(move->src[i] & MIGRATE_PFN_MIGRATE) || !move->dst[i])
			continue;
		move->nr_moved += move->src[i] & move->dst[i] & SRC_HUGE ?
				  HPAGE_PMD_NR : 1;
	}
}

static unsigned long select_flags(const struct move *move)
{
	unsigned long flags = move->huge ? SELECT_HUGE : 0;

	if (move->to != HMD_TO_RAM)
		return flags | MIGRATE_VMA_SELECT_SYSTEM;
	return flags | (move->memory->data ? MIGRATE_VMA_SELECT_DEVICE_PRIVATE :
					     MIGRATE_VMA_SELECT_DEVICE_COHERENT);
}

/* At most PIECE_NPAGES of one VMA. @fault_page: of a CPU fault, or NULL. */
static int move_piece(struct move *move, struct vm_area_struct *vma,
		      unsigned long start_va, unsigned long end_va,
		      struct page *fault_page)
{
	struct migrate_vma args = {
		.vma = vma,
		.src = move->src,
		.dst = move->dst,
		.start = start_va,
		.end = end_va,
		.pgmap_owner = move->memory->pgmap.owner,
		.flags = select_flags(move),
		.fault_page = fault_page,
	};
	int err;

	mmap_assert_locked(vma->vm_mm);

	memset(move->src, 0, sizeof(move->src));
	memset(move->dst, 0, sizeof(move->dst));
	err = migrate_vma_setup(&args);
	if (err)
		return err;
	place_pages(move, args.npages);
	migrate_vma_pages(&args);
	count_moved(move, args.npages);
	migrate_vma_finalize(&args);
	return 0;
}

/**
 * move_span - move pages of a process
 * @move: what to do; its nr_moved and err say how it went
 * @mm: the process
 * @first_va: first byte, page aligned
 * @last_va: last byte of a page
 *
 * Return: 0, also if some pages stayed; -EINVAL: not all of it is private memory;
 * -EINTR.
 */
int move_span(struct move *move, struct mm_struct *mm, unsigned long first_va,
	      unsigned long last_va)
{
	unsigned long va, end_va;
	int err = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (va = first_va; !err && va <= last_va; va = end_va) {
		struct vm_area_struct *vma = vma_lookup(mm, va);

		if (!vma || !vma_is_anonymous(vma)) {
			err = -EINVAL;
			break;
		}
		/* So that a huge page is in one piece. */
		end_va = min(ALIGN(va + 1, PIECE_NPAGES << PAGE_SHIFT), last_va + 1);
		end_va = min(end_va, vma->vm_end);
		err = move_piece(move, vma, va, end_va, NULL);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	mmap_read_unlock(mm);
	return err;
}

#ifdef CONFIG_DEVICE_PRIVATE
/* The CPU touched a page of private memory; it is locked. */
vm_fault_t move_on_fault(struct vm_fault *vmf)
{
	struct memory *memory = memory_of_pfn(page_to_pfn(vmf->page));
	unsigned long va = vmf->address & PAGE_MASK, len = PAGE_SIZE;
	struct move *move = kzalloc(sizeof(*move), GFP_KERNEL);
	vm_fault_t ret = 0;

	if (!move)
		return VM_FAULT_OOM;
	move->memory = memory;
	move->to = HMD_TO_RAM;
	/* The entry of a huge page is not in a table of small ones. */
	move->huge = !vmf->pte;
	if (move->huge) {
		va &= HPAGE_PMD_MASK;
		len = HPAGE_PMD_SIZE;
	}
	atomic64_inc(&memory->nr_faults);
	if (move_piece(move, vmf->vma, va, va + len, vmf->page))
		ret = VM_FAULT_SIGBUS;
	else if (move->err)
		ret = VM_FAULT_OOM;
	/* If it did not move for another reason, it is gone or will be tried again. */
	kfree(move);
	return ret;
}
#endif

/* Pages that are used, one behind the other. */
static void evict_run(struct move *move, unsigned long index, unsigned long npages)
{
	memset(move->src, 0, sizeof(move->src));
	memset(move->dst, 0, sizeof(move->dst));
	if (migrate_device_range(move->src, move->memory->first_pfn + index, npages))
		return;
	place_pages(move, npages);
	migrate_device_pages(move->src, move->dst, npages);
	count_moved(move, npages);
	migrate_device_finalize(move->src, move->dst, npages);
}

static void evict_pass(struct move *move)
{
	struct memory *memory = move->memory;
	unsigned long index = 0, end;

	for (;;) {
		spin_lock_irq(&memory->lock);
		index = find_next_bit(memory->used, memory->npages, index);
		end = find_next_zero_bit(memory->used, memory->npages, index);
		spin_unlock_irq(&memory->lock);
		if (index >= memory->npages)
			return;
		end = min(end, index + PIECE_NPAGES);
		evict_run(move, index, end - index);
		index = end;
		cond_resched();
	}
}

/* All pages of the memory go back to RAM, but those that are held by somebody. */
int move_evict(struct memory *memory)
{
	struct move *move = kzalloc(sizeof(*move), GFP_KERNEL);
	unsigned int pass;

	if (!move)
		return -ENOMEM;
	move->memory = memory;
	move->to = HMD_TO_RAM;
	/* A huge page can lie across two pieces, and is found by the next pass. */
	for (pass = 0; memory_nr_used(memory) && pass < EVICT_NR_PASSES; pass++)
		evict_pass(move);
	kfree(move);
	return 0;
}
