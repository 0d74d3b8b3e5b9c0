// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model and its oracles. Under the update lock, with page tables that stand still,
 * every page that is reported VALID must be in the page table, and so must be every
 * entry of the shadow table, at any time. What is reported as missing or as an error may
 * have appeared meanwhile: pages come without an event.
 *
 * munmap() takes the VMAs away first and lets readers of mmap_lock in before it zaps, with
 * its event: what was mapped is still there then, but a check that relies on mmap_lock
 * may not look. Such pages are left to the checks that rely on the loaded mm.
 */
#include "stress.h"

#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>

/* How many pages are looked at with interrupts off. */
#define IRQ_OFF_NPAGES	64UL

/**
 * hms_check_begin - make the page tables stand still and take the update lock
 * @walker: who asks
 *
 * One of two ways at random. mmap_lock keeps those away who hold it for writing, so
 * their events are never in the middle then; without it they are, which is the harder
 * check. It is taken before the update lock, as the lock order has it.
 *
 * Return: 0, or an errno of hmm_mirror_mmap_read_lock().
 */
int hms_check_begin(struct hms_walker *walker)
{
	struct hms *hms = walker->hms;
	struct mm_struct *mm = hms->mirror.mm;
	int err;

	/* A foreign mm is dear to load. */
	if (hms_random(walker, walker->kind == HMS_WALKER_WORKER ? 4 : 2)) {
		walker->stable = HMS_STABLE_LOCKED;
		err = hmm_mirror_mmap_read_lock(&hms->mirror);
		if (err)
			return err;
	} else {
		walker->stable = HMS_STABLE_LOADED;
		if (walker->kind == HMS_WALKER_WORKER) {
			if (!mmget_not_zero(mm))
				return -ESRCH;
			kthread_use_mm(mm);
		}
	}
	mutex_lock(&hms->update_lock);
	return 0;
}

void hms_check_end(struct hms_walker *walker)
{
	struct hms *hms = walker->hms;
	struct mm_struct *mm = hms->mirror.mm;

	mutex_unlock(&hms->update_lock);
	if (walker->stable == HMS_STABLE_LOCKED) {
		hmm_mirror_mmap_read_unlock(&hms->mirror);
	} else if (walker->kind == HMS_WALKER_WORKER) {
		kthread_unuse_mm(mm);
		mmput_async(mm);
	}
}

static void note_bad(struct hms_walker *walker, const struct hms_bad *bad)
{
	struct hms *hms = walker->hms;

	if (hms->nr_bad < HMS_NR_BAD) {
		hms->bad[hms->nr_bad] = *bad;
		hms->bad[hms->nr_bad].walker = walker->kind;
		hms->nr_bad++;
	}
}

/*
 * The VMA that keeps the tables below @va, if one is needed. @end_va is moved to where the
 * answer ends; @held: somebody keeps them.
 */
static struct vm_area_struct *holding_vma(struct hms_walker *walker, unsigned long va,
					  unsigned long *end_va, bool *held)
{
	struct vm_area_struct *vma;

	*held = true;
	if (walker->stable == HMS_STABLE_LOADED)
		return NULL;
	vma = find_vma_intersection(walker->hms->mirror.mm, va, *end_va);
	if (vma && vma->vm_start <= va) {
		*end_va = min(*end_va, vma->vm_end);
		return vma;
	}
	*held = false;
	if (vma)
		*end_va = vma->vm_start;
	return NULL;
}

/* Compare one page with the page table; count it as an extent's or the shadow's. */
static void compare_page(struct hms_walker *walker, unsigned long va,
			 unsigned long pfn, unsigned int flags,
			 const struct hms_slow *slow, enum hms_oracle oracle)
{
	bool is_shadow = oracle == HMS_ORACLE_SHADOW;
	struct hms_counts *counts = &walker->counts;
	struct hms_bad bad = {
		.va = va, .pfn = pfn, .flags = flags, .oracle = oracle,
		.entry = slow->entry, .level = slow->level,
	};

	++*(is_shadow ? &counts->shadow_pages : &counts->pages);
	if (!slow->present || slow->pfn != pfn)
		++*(is_shadow ? &counts->shadow_stale : &counts->stale);
	else if ((flags & HMM_MIRROR_EXT_WRITE) && !slow->write)
		++*(is_shadow ? &counts->shadow_permissive : &counts->permissive);
	else
		return;
	note_bad(walker, &bad);
}

static unsigned long extent_pfn_at(const struct hmm_mirror_extent *ext,
				   unsigned long va)
{
	unsigned long pfn = hmm_mirror_extent_pfn(ext);

	if (hmm_mirror_extent_flags(ext) & HMM_MIRROR_EXT_ZERO)
		return pfn;
	return pfn + ((va - hmm_mirror_extent_va(ext)) >> PAGE_SHIFT);
}

static void compare_slow(struct hms_walker *walker,
			 const struct hmm_mirror_extent *ext, unsigned long va,
			 unsigned long end_va)
{
	unsigned int flags = hmm_mirror_extent_flags(ext);
	struct mm_struct *mm = walker->hms->mirror.mm;
	struct hms_slow slow;

	while (va < end_va) {
		unsigned long part_end = min(end_va, va + IRQ_OFF_NPAGES * PAGE_SIZE);

		local_irq_disable();
		for (; va < part_end; va += PAGE_SIZE) {
			hms_slow_lookup(mm, va, &slow);
			compare_page(walker, va, extent_pfn_at(ext, va), flags,
				     &slow, HMS_ORACLE_SLOW);
		}
		local_irq_enable();
	}
}

static void compare_hmm_page(struct hms_walker *walker,
			     const struct hmm_mirror_extent *ext, unsigned long va,
			     unsigned long hmm_pfn)
{
	struct hms_counts *counts = &walker->counts;
	struct hms_bad bad = {
		.va = va, .pfn = extent_pfn_at(ext, va), .entry = hmm_pfn,
		.flags = hmm_mirror_extent_flags(ext), .oracle = HMS_ORACLE_HMM,
	};

	counts->hmm_pages++;
	if (!(hmm_pfn & HMM_PFN_VALID) || (hmm_pfn & ~HMM_PFN_FLAGS) != bad.pfn)
		counts->hmm_stale++;
	else if ((bad.flags & HMM_MIRROR_EXT_WRITE) && !(hmm_pfn & HMM_PFN_WRITE))
		counts->hmm_permissive++;
	else
		return;
	note_bad(walker, &bad);
}

/*
 * The kernel's own walk as a second oracle: a snapshot, under mmap_lock and the update
 * lock. It takes page-table locks, which nobody holds while waiting for the update
 * lock; and, for hugetlb, a lock that is held while waiting for it, so not there.
 */
static void compare_hmm(struct hms_walker *walker,
			const struct hmm_mirror_extent *ext, unsigned long va,
			unsigned long end_va)
{
	/* Nothing stamps it, so no event makes hmm_range_fault() give up. */
	struct mmu_interval_notifier idle = { .mm = walker->hms->mirror.mm };
	unsigned long i, npages;
	struct hmm_range hmm;

	mmu_interval_set_seq(&idle, 1);
	for (; va < end_va; va += npages << PAGE_SHIFT) {
		npages = min((end_va - va) >> PAGE_SHIFT, (unsigned long)HMS_NR_PFNS);
		hmm = (struct hmm_range) {
			.notifier = &idle,
			.notifier_seq = 1,
			.start = va,
			.end = va + (npages << PAGE_SHIFT),
			.hmm_pfns = walker->pfns,
		};
		memset(walker->pfns, 0, npages * sizeof(*walker->pfns));
		if (WARN_ON_ONCE(hmm_range_fault(&hmm)))
			return;
		for (i = 0; i < npages; i++)
			compare_hmm_page(walker, ext, va + i * PAGE_SIZE,
					 walker->pfns[i]);
	}
}

/**
 * hms_check_extent - does an extent hold right now?
 * @walker: between hms_check_begin() and hms_check_end()
 * @ext: the extent
 * @with_hmm: ask hmm_range_fault() as well, where that is possible
 */
void hms_check_extent(struct hms_walker *walker, const struct hmm_mirror_extent *ext,
		      bool with_hmm)
{
	unsigned long va = hmm_mirror_extent_va(ext);
	unsigned long last = va + (hmm_mirror_extent_npages(ext) << PAGE_SHIFT);
	struct vm_area_struct *vma;
	unsigned long end_va;
	bool held;

	lockdep_assert_held(&walker->hms->update_lock);

	if (!(hmm_mirror_extent_flags(ext) & HMM_MIRROR_EXT_VALID))
		return;
	for (; va < last; va = end_va) {
		end_va = last;
		vma = holding_vma(walker, va, &end_va, &held);
		if (!held) {
			walker->counts.detached += (end_va - va) >> PAGE_SHIFT;
			continue;
		}
		compare_slow(walker, ext, va, end_va);
		if (with_hmm && vma && !is_vm_hugetlb_page(vma))
			compare_hmm(walker, ext, va, end_va);
	}
}

/**
 * hms_check_shadow - are random entries of the shadow table in the page table?
 * @walker: between hms_check_begin() and hms_check_end()
 * @nr: how many to look at
 */
void hms_check_shadow(struct hms_walker *walker, unsigned int nr)
{
	struct hms *hms = walker->hms;
	struct hms_slow slow;
	unsigned long va, end_va, index;
	bool held;
	u64 entry;

	lockdep_assert_held(&hms->update_lock);

	while (nr--) {
		index = hms_random(walker, hms->npages);
		entry = hms->shadow[index];
		if (!entry)
			continue;
		va = hms->cfg.va + index * PAGE_SIZE;
		end_va = va + PAGE_SIZE;
		holding_vma(walker, va, &end_va, &held);
		if (!held) {
			walker->counts.detached++;
			continue;
		}
		local_irq_disable();
		hms_slow_lookup(hms->mirror.mm, va, &slow);
		local_irq_enable();
		compare_page(walker, va, entry >> PAGE_SHIFT, entry & ~PAGE_MASK,
			     &slow, HMS_ORACLE_SHADOW);
	}
}

/* Context: update lock held; both addresses are page aligned. */
void hms_shadow_clear(struct hms *hms, unsigned long start_va, unsigned long end_va)
{
	unsigned long arena_end = hms->cfg.va + hms->npages * PAGE_SIZE;

	lockdep_assert_held(&hms->update_lock);

	start_va = max_t(unsigned long, start_va, hms->cfg.va);
	end_va = min(end_va, arena_end);
	if (start_va < end_va)
		memset(&hms->shadow[(start_va - hms->cfg.va) >> PAGE_SHIFT], 0,
		       ((end_va - start_va) >> PAGE_SHIFT) * sizeof(*hms->shadow));
}

/* Context: update lock held; the extent lies in the arena. */
void hms_shadow_fill(struct hms *hms, const struct hmm_mirror_extent *ext)
{
	unsigned long va = hmm_mirror_extent_va(ext);
	unsigned long end_va = va + (hmm_mirror_extent_npages(ext) << PAGE_SHIFT);
	unsigned int flags = hmm_mirror_extent_flags(ext);
	u64 *entry = &hms->shadow[(va - hms->cfg.va) >> PAGE_SHIFT];

	lockdep_assert_held(&hms->update_lock);

	for (; va < end_va; va += PAGE_SIZE, entry++) {
		*entry = 0;
		if (flags & HMM_MIRROR_EXT_VALID)
			*entry = (u64)extent_pfn_at(ext, va) << PAGE_SHIFT | flags;
	}
}
