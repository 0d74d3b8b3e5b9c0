// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages go to a device.
 *
 * One VMA of the window after the other:
 *
 *   look at the VMA, at the page table   nothing to do? no invalidation then
 *   memory for as many pages as are missing, of others' if it must be
 *   mmap_lock; is it still that VMA?
 *   collect; what there is no memory for stays
 *   move
 *
 * The page table may change between the look and the collecting: then a part of the chunk
 * stays empty until the rest of it goes, or a page stays where it is. Memory has to
 * be there before mmap_lock is taken, as to make room pages of others are moved.
 *
 * What stays: all but anonymous memory; pages that KSM shares, which it goes on to
 * read; and what the kernel does not migrate, such as pages that are pinned.
 */
#include "devmem.h"
#include "internal.h"
#include "walk.h"

#include <linux/hugetlb.h>
#include <linux/kfdsvm_compat.h>
#include <linux/moduleparam.h>
#include <linux/percpu_counter.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

/*
 * Off: 7.3's zap_huge_pmd() takes the migration entry of a device's huge page for the page
 * itself, and drops a reference and a mapping that the entry does not have. So a page that
 * is on its way back while one of its processes unmaps it (munmap, exit, MADV_DONTNEED) is
 * freed under the move:
 *
 *   move to RAM, any process             another process that maps it
 *     migration entries in both
 *     rmap and references dropped
 *                                          zap: drops them once more
 *     copies, and finds it free
 *
 * No lock that a module can take keeps all processes from that. Small pages have no such
 * fault; a window of them is one copy and one mapping in the device all the same.
 */
static bool huge;
module_param(huge, bool, 0644);
MODULE_PARM_DESC(huge,
		 "Move huge pages as one (off: the kernel can lose one that is unmapped meanwhile)");

/**
 * struct part - what of a window lies in one VMA
 * @first_va: first byte
 * @last_va: last byte
 * @can_move: the VMA is of a kind that can
 * @can_fault: pages may be touched to have them come in
 * @can_compound: a huge page may be made where there was none
 */
struct part {
	unsigned long first_va;
	unsigned long last_va;
	bool can_move;
	bool can_fault;
	bool can_compound;
};

static bool vma_can_move(struct vm_area_struct *vma)
{
	return vma_is_anonymous(vma) && !is_vm_hugetlb_page(vma) &&
	       !(vma->vm_flags & (VM_SPECIAL | VM_SHADOW_STACK));
}

/* The part that begins at @va, or behind if there is no VMA; mmap_lock held. */
static void part_find(struct part *part, struct mm_struct *mm, unsigned long va,
		      unsigned long last_va)
{
	struct vm_area_struct *vma = find_vma(mm, va);

	mmap_assert_locked(mm);

	*part = (struct part){ .first_va = va, .last_va = last_va };
	if (!vma || vma->vm_start > last_va)
		return;
	if (vma->vm_start > va) {
		part->last_va = vma->vm_start - 1;
		return;
	}
	part->last_va = min(last_va, vma->vm_end - 1);
	part->can_move = vma_can_move(vma);
	part->can_fault = !userfaultfd_armed(vma);
	part->can_compound = !(vma->vm_flags & VM_NOHUGEPAGE);
}

static unsigned long part_npages(const struct part *part)
{
	return (part->last_va + 1 - part->first_va) >> PAGE_SHIFT;
}

/* Not by get_mm_counter(): that misses what is not yet summed up. */
static bool has_swapped_out(struct mm_struct *mm)
{
	return percpu_counter_sum(&mm->rss_stat[MM_SWAPENTS]) > 0;
}

/*
 * Pages that are swapped out look like pages never touched, and are not collected. So
 * where both may be, they are made to come in; a page never touched becomes the zero page,
 * which takes no memory and is as good.
 */
static int part_look(struct hmm_mirror_migrate *req, const struct part *part,
		     struct hmm_mirror_devmem *mem, struct hmm_mirror_window *window)
{
	struct hmm_mirror *mirror = req->mirror;
	int err;

	err = hmm_mirror_window_look(mirror, part->first_va, part->last_va, mem, 0,
				     window);
	if (err || !window->nr_holes || !part->can_fault ||
	    !has_swapped_out(mirror->mm))
		return err;
	return hmm_mirror_window_look(mirror, part->first_va, part->last_va, mem,
				      HMM_MIRROR_REQ_READ, window);
}

static bool can_take(const struct hmm_mirror_mover *mover, struct page *page)
{
	/* Not there yet, or the zero page. */
	if (!page)
		return true;
	if (is_zone_device_page(page))
		return hmm_mirror_page_chunk(page)->mem != mover->to;
	return !folio_test_ksm(page_folio(page));
}

/* Provide the place's page of the chunk, or the next one where places are missing. */
static void provide(struct hmm_mirror_mover *mover, unsigned long i)
{
	struct hmm_mirror_chunk *chunk = mover->chunk;
	unsigned long entry = mover->args.src[i];
	unsigned int index = chunk->npages == mover->args.npages ? i : mover->next;
	struct page *page;

	if (!(entry & HMM_MIRROR_PFN_COMPOUND)) {
		if (index >= chunk->npages)
			return;
		page = hmm_mirror_chunk_page(chunk, index, 0);
		mover->args.dst[i] = migrate_pfn(page_to_pfn(page));
		mover->next++;
		return;
	}
	/* It became huge since the look: another time. */
	if (chunk->npages != HMM_MIRROR_MIGRATE_NPAGES)
		return;
	page = hmm_mirror_chunk_page(chunk, 0, HMM_MIRROR_WINDOW_ORDER);
	mover->args.dst[i] = migrate_pfn(page_to_pfn(page)) | HMM_MIRROR_PFN_COMPOUND;
}

static void provide_all(struct hmm_mirror_mover *mover)
{
	unsigned long i, n;

	for (i = 0; i < mover->args.npages; i += n) {
		n = hmm_mirror_entry_npages(mover->args.src[i]);
		if ((mover->args.src[i] & MIGRATE_PFN_MIGRATE) &&
		    can_take(mover, migrate_pfn_to_page(mover->args.src[i])))
			provide(mover, i);
	}
}

/* Which pages the kernel is to collect. */
static unsigned long select_flags(const struct hmm_mirror_devmem *mem,
				  const struct part *part,
				  const struct hmm_mirror_window *window)
{
	unsigned long flags = MIGRATE_VMA_SELECT_SYSTEM;

	if (window->nr_owned > window->nr_there)
		flags |= MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
			 MIGRATE_VMA_SELECT_DEVICE_COHERENT;
	/* Huge pages of coherent memory could not be collected to come back. */
	if (READ_ONCE(huge) && mem->kind == HMM_MIRROR_DEVMEM_PRIVATE &&
	    part->can_compound &&
	    part_npages(part) == HMM_MIRROR_MIGRATE_NPAGES)
		flags |= HMM_MIRROR_SELECT_COMPOUND;
	return flags;
}

/* Collect and move; the mover has a chunk. */
static int part_move(struct hmm_mirror_migrate *req, const struct part *part,
		     struct hmm_mirror_mover *mover)
{
	struct hmm_mirror *mirror = req->mirror;
	struct vm_area_struct *vma;
	int err;

	err = hmm_mirror_mmap_read_lock(mirror);
	if (err)
		return err;
	vma = vma_lookup(mirror->mm, part->first_va);
	if (vma && vma_can_move(vma) && part->last_va < vma->vm_end) {
		mover->args.vma = vma;
		mover->chunk->shift = vma->vm_start - (vma->vm_pgoff << PAGE_SHIFT);
		err = migrate_vma_setup(&mover->args);
		if (!err) {
			provide_all(mover);
			hmm_mirror_mover_run(mover);
		}
	}
	hmm_mirror_mmap_read_unlock(mirror);
	return err ?: mover->err;
}

/* Return: as part_to_device(); sets @no_peer if pages of a device stay for want of a link. */
static int part_try(struct hmm_mirror_migrate *req, struct hmm_mirror_devmem *mem,
		    const struct part *part, bool *no_peer)
{
	struct hmm_mirror_window window;
	struct hmm_mirror_chunk *chunk;
	struct hmm_mirror_mover *mover;
	unsigned long missing;
	int err;

	*no_peer = false;
	err = part_look(req, part, mem, &window);
	if (err)
		return err;
	req->there += window.nr_there;
	missing = window.npages - window.nr_there - window.nr_errors;
	if (!missing)
		return 0;

	mover = hmm_mirror_mover_alloc(window.npages, GFP_KERNEL_ACCOUNT);
	if (!mover)
		return -ENOMEM;
	chunk = hmm_mirror_chunk_alloc(mem, req->res, missing, part->first_va);
	if (IS_ERR(chunk)) {
		err = PTR_ERR(chunk);
		goto out_free;
	}
	chunk->made_for = req->mirror->mm;
	mover->args.start = part->first_va;
	mover->args.end = part->last_va + 1;
	mover->args.pgmap_owner = mem->desc.owner;
	mover->args.flags = select_flags(mem, part, &window);
	mover->to = mem;
	mover->chunk = chunk;
	mover->res = req->res;
	mover->cause = HMM_MIRROR_MOVE_ASKED;
	mover->tag = req->tag;
	mover->first_va = part->first_va;
	err = part_move(req, part, mover);
	hmm_mirror_chunk_filled(chunk);
	req->moved += mover->moved;
	req->there += mover->moved;
	*no_peer = mover->no_peer;
out_free:
	hmm_mirror_mover_free(mover, window.npages);
	return err;
}

static int part_to_device(struct hmm_mirror_migrate *req, struct hmm_mirror_devmem *mem,
			  const struct part *part)
{
	unsigned long there = req->there, before = req->moved, moved;
	bool no_peer;
	int err;

	err = part_try(req, mem, part, &no_peer);
	if (err || !no_peer)
		return err;
	err = hmm_mirror_window_to_ram(req, part->first_va, part->last_va, &moved);
	/* A page that will not go at the moment stays, as others do. */
	if (err && err != -EBUSY)
		return err;
	req->there = there;
	req->moved = before;
	return part_try(req, mem, part, &no_peer);
}

bool hmm_mirror_is_window(const struct hmm_mirror_migrate *req)
{
	return PAGE_ALIGNED(req->first_va) && PAGE_ALIGNED(req->last_va + 1) &&
	       req->first_va < req->last_va &&
	       !((req->first_va ^ req->last_va) & ~(HMM_MIRROR_WINDOW_LEN - 1)) &&
	       req->last_va < req->mirror->mm->task_size;
}

/**
 * hmm_mirror_migrate_to_device - have pages of a window go to a device
 * @req: the window; its mirror's ops->owner is that of the memory
 * @mem: the memory
 *
 * Moves what can be moved of what is not there yet: anonymous memory that is in RAM or in
 * the memory of another device of the same owner; pages never touched appear there as
 * zeros; pages swapped out come in. A page that is in the way of this for a moment, or
 * for ever, stays where it is, which is no error. With nothing to move there is no
 * invalidation.
 *
 * Context: process context, sleeps; neither the update lock nor mmap_lock is held, nor a
 * lock that invalidations of any process take.
 *
 * Return: 0, whether anything moved or not; -EINVAL: no such window; -ENOMEM: of the
 * device or of the host; what ops->alloc(), copy() and copy_peer() say; -EIO: RAM could
 * not be mapped for the device; and what hmm_mirror_range_fault() says (-EINTR, -ESRCH,
 * -ETIME, -EFAULT). @req->moved and @there are right also with an error.
 */
int hmm_mirror_migrate_to_device(struct hmm_mirror_migrate *req,
				 struct hmm_mirror_devmem *mem)
{
	struct hmm_mirror *mirror = req->mirror;
	unsigned long va = req->first_va;
	struct part part;
	int err;

	might_sleep();
	lockdep_assert_not_held(mirror->update_lock);

	req->moved = 0;
	req->there = 0;
	if (!hmm_mirror_is_window(req) || mirror->ops->owner != mem->desc.owner)
		return -EINVAL;
	while (va <= req->last_va) {
		err = hmm_mirror_mmap_read_lock(mirror);
		if (err)
			return err;
		part_find(&part, mirror->mm, va, req->last_va);
		hmm_mirror_mmap_read_unlock(mirror);
		if (part.can_move) {
			err = part_to_device(req, mem, &part);
			if (err)
				return err;
		}
		va = part.last_va + 1;
	}
	return 0;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_migrate_to_device, HMM_MIRROR);
