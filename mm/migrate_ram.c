// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages come back to RAM: asked for, or because the CPU touched one.
 *
 * A CPU fault arrives with mmap_lock held for reading and the page locked, and finds all
 * it needs by the page. It takes no lock of a client but through invalidation, so faults
 * on different windows have nothing in common. It must move that one page; the others
 * of the window only come along.
 */
#include "devmem.h"
#include "internal.h"

#include <linux/delay.h>
#include <linux/hugetlb.h>
#include <linux/kfdsvm_compat.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/wait.h>

#ifdef CONFIG_KFDSVM_DEBUG
/*
 * A point at which a test holds a CPU fault: its window is collected, all page locks and
 * mmap_lock or the VMA's lock are held, nothing is copied yet.
 */
static unsigned long hold_fault_va;
static atomic_t held_faults = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(hold_wait);

static int hold_fault_set(const char *text, const struct kernel_param *kp)
{
	int err = param_set_ulong(text, kp);

	wake_up_all(&hold_wait);
	return err;
}

static const struct kernel_param_ops hold_fault_ops = {
	.set = hold_fault_set,
	.get = param_get_ulong,
};

module_param_cb(hold_fault_va, &hold_fault_ops, &hold_fault_va, 0600);
MODULE_PARM_DESC(hold_fault_va,
		 "CPU faults in this page wait until it is another one, or for a fatal signal (test only)");
module_param_named(held_faults, held_faults.counter, int, 0400);
MODULE_PARM_DESC(held_faults, "CPU faults that wait for hold_fault_va");

static bool is_held(unsigned long va)
{
	unsigned long hold_va = READ_ONCE(hold_fault_va);

	return hold_va && (hold_va & PAGE_MASK) == (va & PAGE_MASK);
}

static void hold_fault(const struct vm_fault *vmf)
{
	if (!is_held(vmf->address))
		return;
	atomic_inc(&held_faults);
	wait_event_killable(hold_wait, !is_held(vmf->address));
	atomic_dec(&held_faults);
}

static bool break_fault_window;
module_param(break_fault_window, bool, 0644);
MODULE_PARM_DESC(break_fault_window,
		 "CPU faults of others than the process that had pages moved fail; a test must notice");

static bool is_refused(const struct vm_fault *vmf)
{
	return break_fault_window &&
	       hmm_mirror_page_chunk(vmf->page)->made_for != vmf->vma->vm_mm;
}
#else
static void hold_fault(const struct vm_fault *vmf)
{
}

static bool is_refused(const struct vm_fault *vmf)
{
	return false;
}
#endif

/* How often a window is gone through until no page is left that does not want to go. */
#define RAM_NR_PASSES	8
#define RAM_PASS_US	200

#define NO_FAULT	ULONG_MAX

static struct page *alloc_small(const struct hmm_mirror_mover *mover, unsigned long i,
				gfp_t gfp)
{
	struct page *page;

	page = alloc_page_vma(gfp, mover->args.vma,
			      mover->args.start + (i << PAGE_SHIFT));
	if (page)
		lock_page(page);
	return page;
}

static bool provide_small(struct hmm_mirror_mover *mover, unsigned long i, gfp_t gfp)
{
	struct page *page = alloc_small(mover, i, gfp);

	if (!page) {
		mover->err = -ENOMEM;
		return false;
	}
	mover->args.dst[i] = migrate_pfn(page_to_pfn(page));
	return true;
}

#if HMM_MIRROR_PFN_COMPOUND
static bool provide_huge(struct hmm_mirror_mover *mover)
{
	struct folio *folio;

	folio = vma_alloc_folio(GFP_TRANSHUGE_LIGHT, HMM_MIRROR_WINDOW_ORDER,
				mover->args.vma, mover->args.start);
	if (!folio)
		return false;
	folio_lock(folio);
	mover->args.dst[0] = migrate_pfn(folio_pfn(folio)) | HMM_MIRROR_PFN_COMPOUND;
	return true;
}
#else
static bool provide_huge(struct hmm_mirror_mover *mover)
{
	return false;
}
#endif

static bool can_leave(const struct hmm_mirror_mover *mover, unsigned long i)
{
	struct page *page = migrate_pfn_to_page(mover->args.src[i]);

	return page && is_zone_device_page(page) &&
	       (mover->args.src[i] & MIGRATE_PFN_MIGRATE);
}

/*
 * Small pages for a huge one would have the kernel split what nobody maps at the moment,
 * which does not know of other processes that map it. Without a huge page a window is
 * collected again, not huge: that splits it properly, but not while a CPU fault holds
 * the page. For a fault one small page is provided: the page cannot be split for its
 * sake, but its entry in the table is, and the CPU faults again, on a small entry, for
 * which the kernel does split the page.
 */
static void provide_for_huge(struct hmm_mirror_mover *mover, bool is_fault)
{
	if (provide_huge(mover))
		return;
	if (is_fault)
		provide_small(mover, 0, GFP_HIGHUSER_MOVABLE);
	else
		mover->must_split = true;
}

/**
 * hmm_mirror_mover_to_ram - move device pages that were collected
 * @mover: the move, set up with a VMA
 * @fault_index: the page that must move, or ULONG_MAX
 *
 * Without memory for a page that one stays, and -ENOMEM is in @mover->err; without a huge
 * page, @mover->must_split is set.
 */
void hmm_mirror_mover_to_ram(struct hmm_mirror_mover *mover, unsigned long fault_index)
{
	bool is_fault = fault_index != NO_FAULT;
	gfp_t gfp = GFP_HIGHUSER_MOVABLE;
	unsigned long i;

	if (mover->args.src[0] & HMM_MIRROR_PFN_COMPOUND) {
		if (can_leave(mover, 0))
			provide_for_huge(mover, is_fault);
		hmm_mirror_mover_run(mover);
		return;
	}
	if (is_fault) {
		if (!can_leave(mover, fault_index) ||
		    !provide_small(mover, fault_index, gfp)) {
			hmm_mirror_mover_finalize(mover);
			return;
		}
		/* The others may as well stay. */
		gfp |= __GFP_NORETRY | __GFP_NOWARN;
	}
	for (i = 0; i < mover->args.npages; i++) {
		if (i == fault_index || !can_leave(mover, i))
			continue;
		if (!provide_small(mover, i, gfp))
			break;
	}
	if (is_fault)
		mover->err = 0;
	hmm_mirror_mover_run(mover);
}

/* One VMA's part of a window; mmap_lock held. */
static int part_to_ram(struct hmm_mirror_migrate *req, struct hmm_mirror_mover *mover,
		       struct vm_area_struct *vma, unsigned long first_va,
		       unsigned long end_va, unsigned long select_compound)
{
	int err;

	mmap_assert_locked(vma->vm_mm);

	hmm_mirror_mover_init(mover, mover->args.src, mover->args.dst,
			      mover->runs.runs);
	mover->args.vma = vma;
	mover->args.start = first_va;
	mover->args.end = end_va;
	mover->args.pgmap_owner = req->mirror->ops->owner;
	mover->args.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
			    MIGRATE_VMA_SELECT_DEVICE_COHERENT | select_compound;
	mover->cause = HMM_MIRROR_MOVE_ASKED;
	mover->tag = req->tag;
	mover->first_va = first_va;
	err = migrate_vma_setup(&mover->args);
	if (err)
		return err;
	hmm_mirror_mover_to_ram(mover, NO_FAULT);
	return mover->err;
}

static bool vma_may_have_moved(const struct vm_area_struct *vma)
{
	return vma_is_anonymous((struct vm_area_struct *)vma) &&
	       !is_vm_hugetlb_page(vma) && !(vma->vm_flags & VM_SPECIAL);
}

static int pass_to_ram(struct hmm_mirror_migrate *req, struct hmm_mirror_mover *mover,
		       unsigned long va, unsigned long last_va, unsigned long *moved)
{
	struct hmm_mirror *mirror = req->mirror;
	struct vm_area_struct *vma;
	unsigned long end_va;
	int err;

	err = hmm_mirror_mmap_read_lock(mirror);
	if (err)
		return err;
	for (; !err && va <= last_va; va = end_va) {
		vma = find_vma(mirror->mm, va);
		if (!vma || vma->vm_start > last_va)
			break;
		va = max(va, vma->vm_start);
		end_va = min(last_va + 1, vma->vm_end);
		if (!vma_may_have_moved(vma))
			continue;
		err = part_to_ram(req, mover, vma, va, end_va,
				  HMM_MIRROR_SELECT_COMPOUND);
		if (!err && mover->must_split)
			err = part_to_ram(req, mover, vma, va, end_va, 0);
		*moved += mover->moved;
	}
	hmm_mirror_mmap_read_unlock(mirror);
	return err;
}

/**
 * hmm_mirror_window_to_ram - as hmm_mirror_migrate_to_ram(), part of a window
 * @req: who asks
 * @first_va: first byte
 * @last_va: last byte of a page
 * @moved: pages that did
 */
int hmm_mirror_window_to_ram(struct hmm_mirror_migrate *req, unsigned long first_va,
			     unsigned long last_va, unsigned long *moved)
{
	struct hmm_mirror_mover *mover = NULL;
	struct hmm_mirror_window window;
	unsigned int pass;
	int err;

	*moved = 0;
	for (pass = 0;; pass++) {
		err = hmm_mirror_window_look(req->mirror, first_va, last_va, NULL, 0,
					     &window);
		if (err || !window.nr_owned)
			break;
		err = -EBUSY;
		if (pass == RAM_NR_PASSES)
			break;
		/* Who has a page locked copies it, or waits for memory. */
		if (pass)
			usleep_range(RAM_PASS_US, 2 * RAM_PASS_US);
		if (!mover)
			mover = hmm_mirror_mover_alloc(window.npages,
						       GFP_KERNEL_ACCOUNT);
		err = -ENOMEM;
		if (!mover)
			break;
		err = pass_to_ram(req, mover, first_va, last_va, moved);
		if (err)
			break;
	}
	hmm_mirror_mover_free(mover, window.npages);
	return err;
}

/**
 * hmm_mirror_migrate_to_ram - have pages of a window come back to RAM
 * @req: the window; @req->res is not looked at, each page is on its own account
 *
 * All pages in memory of the mirror's ops->owner, of whichever device. With none there
 * is no invalidation.
 *
 * Context: as hmm_mirror_migrate_to_device().
 *
 * Return: 0: none is left in device memory; -EBUSY: some would not go, try again later;
 * -EINVAL: no such window; -ENOMEM; what ops->copy() says; -EIO: RAM could not be mapped
 * for the device; and what hmm_mirror_range_fault() says (-EINTR, -ESRCH, -ETIME,
 * -EFAULT). @req->moved is right also with an error.
 */
int hmm_mirror_migrate_to_ram(struct hmm_mirror_migrate *req)
{
	int err;

	might_sleep();
	lockdep_assert_not_held(req->mirror->update_lock);

	req->moved = 0;
	req->there = 0;
	if (!hmm_mirror_is_window(req))
		return -EINVAL;
	err = hmm_mirror_window_to_ram(req, req->first_va, req->last_va, &req->moved);
	req->there = err ? req->moved : (req->last_va + 1 - req->first_va) >> PAGE_SHIFT;
	return err;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_migrate_to_ram, HMM_MIRROR);

/* The window of the fault: as large as what went to the device at once, within the VMA. */
static void fault_window(struct migrate_vma *args, const struct vm_fault *vmf,
			 unsigned long npages)
{
	unsigned long len = npages << PAGE_SHIFT;
	unsigned long start = ALIGN_DOWN(vmf->address, len);

	args->vma = vmf->vma;
	args->start = max(start, vmf->vma->vm_start);
	args->end = min(start + len, vmf->vma->vm_end);
	args->fault_page = vmf->page;
}

static vm_fault_t fault_move(struct vm_fault *vmf, struct hmm_mirror_mover *mover,
			     unsigned long npages)
{
	const struct hmm_mirror_devmem *mem = hmm_mirror_page_chunk(vmf->page)->mem;
	unsigned long index;

	fault_window(&mover->args, vmf, npages);
	mover->args.pgmap_owner = mem->desc.owner;
	mover->args.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
			    HMM_MIRROR_SELECT_COMPOUND;
	mover->cause = HMM_MIRROR_MOVE_CPU_FAULT;
	mover->first_va = mover->args.start;
	index = (vmf->address - mover->args.start) >> PAGE_SHIFT;
	if (migrate_vma_setup(&mover->args))
		return VM_FAULT_SIGBUS;
	hold_fault(vmf);
	hmm_mirror_mover_to_ram(mover, index);
	/* If it did not move without an error, the CPU faults again. */
	if (!mover->err)
		return 0;
	return mover->err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* Without memory for arrays; apart, for its stack. */
static noinline vm_fault_t fault_move_one(struct vm_fault *vmf)
{
	struct hmm_mirror_mover mover;
	struct hmm_mirror_copy run;
	unsigned long src, dst;

	hmm_mirror_mover_init(&mover, &src, &dst, &run);
	return fault_move(vmf, &mover, 1);
}

/* A huge page can only be moved whole, which takes arrays that long. */
static bool is_huge_fault(const struct vm_fault *vmf)
{
	return HMM_MIRROR_PFN_COMPOUND && !vmf->pte;
}

/*
 * How many pages to move for a fault.
 *
 * A huge page mapped by small entries is split by collecting. The lock of the fault goes
 * from its first page to the one of the fault then, but the kernel, as it goes on
 * collecting, takes the first for the one that is locked, and unlocks in the end what it
 * never locked. So only the page of the fault is collected, which splits the huge page
 * and collects nothing; the CPU faults again, on a small page.
 */
static unsigned long fault_npages(const struct vm_fault *vmf)
{
	if (vmf->pte && PageTail(vmf->page))
		return 1;
	return roundup_pow_of_two(hmm_mirror_page_chunk(vmf->page)->npages);
}

/*
 * dev_pagemap_ops.migrate_to_ram: the CPU touched a page it cannot reach.
 *
 * Context: mmap_lock held for reading; the page is locked and referenced by the caller.
 */
vm_fault_t hmm_mirror_cpu_fault(struct vm_fault *vmf)
{
	unsigned long npages = fault_npages(vmf);
	struct hmm_mirror_mover *mover;
	vm_fault_t ret;

	if (is_refused(vmf))
		return VM_FAULT_SIGBUS;
	mover = hmm_mirror_mover_alloc(npages, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!mover)
		return is_huge_fault(vmf) ? VM_FAULT_OOM : fault_move_one(vmf);
	ret = fault_move(vmf, mover, npages);
	hmm_mirror_mover_free(mover, npages);
	/* What others of the window lack is no reason to fail this one. */
	if (ret && npages > 1 && !is_huge_fault(vmf))
		ret = fault_move_one(vmf);
	return ret;
}
