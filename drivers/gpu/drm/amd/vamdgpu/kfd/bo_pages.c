// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory behind memory objects, and what of it is the system's.
 *
 * System memory of all memory objects together is limited, as the interface
 * promises and so that no user can pin all of it. Memory shared through SVM is
 * not counted: it stays swappable and belongs to its process.
 */
#include "vamdgpu.h"

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <uapi/linux/kfd_ioctl.h>

#include "kfd/bo.h"
#include "kfd/front.h"

#define VAMDGPU_PIN_CHUNK	1024	/* pages pinned between looks at signals */
#define VAMDGPU_BIG_ORDER	9
/* Failing is the answer to give: user space may ask for more than there is. */
#define VAMDGPU_GFP_PAGES \
	(GFP_HIGHUSER | __GFP_ACCOUNT | __GFP_ZERO | __GFP_NOWARN)

static u64 vamdgpu_system_limit;
static u64 vamdgpu_gtt_limit_len;
static atomic64_t vamdgpu_system_used = ATOMIC64_INIT(0);

/* The rule is the real driver's, user space measures memory by it. */
void vamdgpu_system_limit_init(u64 vram_len)
{
	u64 total = ((u64)totalram_pages() << PAGE_SHIFT) - vram_len, limit;

	limit = total - (total >> 6);
	if (limit >= 3ULL * SZ_1G)
		limit -= 3ULL * SZ_512M;
	else
		limit /= 2;
	vamdgpu_system_limit = limit;
	vamdgpu_gtt_limit_len = min(limit, total / 2);
}

u64 vamdgpu_gtt_limit(void)
{
	return vamdgpu_gtt_limit_len;
}

static int vamdgpu_charge(struct vamdgpu_bo *bo, u64 limit)
{
	s64 used = atomic64_read(&vamdgpu_system_used);

	/* Never above the limit for a moment either: others look too. */
	do {
		if (bo->len > limit || (u64)used > limit - bo->len)
			return -ENOMEM;
	} while (!atomic64_try_cmpxchg(&vamdgpu_system_used, &used,
				       used + bo->len));
	bo->charged = bo->len;
	return 0;
}

static int vamdgpu_alloc_page_array(struct vamdgpu_bo *bo)
{
	bo->pages = kvcalloc(bo->len >> PAGE_SHIFT, sizeof(*bo->pages),
			     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return bo->pages ? 0 : -ENOMEM;
}

/* Append a huge block if the machine has one at hand. */
static bool vamdgpu_add_big_block(struct vamdgpu_bo *bo)
{
	const unsigned int n = 1U << VAMDGPU_BIG_ORDER;
	struct page *page;
	unsigned int i;

	if ((bo->len >> PAGE_SHIFT) - bo->npages < n)
		return false;
	page = alloc_pages(VAMDGPU_GFP_PAGES & ~__GFP_DIRECT_RECLAIM,
			   VAMDGPU_BIG_ORDER);
	if (!page)
		return false;
	split_page(page, VAMDGPU_BIG_ORDER);
	for (i = 0; i < n; i++)
		bo->pages[bo->npages++] = page + i;
	return true;
}

int vamdgpu_bo_alloc_system(struct vamdgpu_bo *bo)
{
	unsigned long npages = bo->len >> PAGE_SHIFT;
	bool big = true;
	struct page *page;
	int err;

	err = vamdgpu_charge(bo, vamdgpu_gtt_limit_len);
	if (err)
		return err;
	err = vamdgpu_alloc_page_array(bo);
	if (err)
		return err;
	while (bo->npages < npages) {
		if (fatal_signal_pending(current))
			return -ERESTARTSYS;
		cond_resched();
		if (big) {
			big = vamdgpu_add_big_block(bo);
			if (big)
				continue;
		}
		page = alloc_page(VAMDGPU_GFP_PAGES | __GFP_RETRY_MAYFAIL);
		if (!page)
			return -ENOMEM;
		bo->pages[bo->npages++] = page;
	}
	return 0;
}

/*
 * Pinned for as long as the object lives, so that munmap, fork and reclaim do not
 * matter to the GPU. A fork copies pinned pages for the child at once.
 */
int vamdgpu_bo_pin_user(struct vamdgpu_bo *bo, u64 user_va)
{
	unsigned long npages = bo->len >> PAGE_SHIFT;
	unsigned int flags = FOLL_LONGTERM;
	int err, n;

	err = vamdgpu_charge(bo, vamdgpu_system_limit);
	if (err)
		return err;
	err = vamdgpu_alloc_page_array(bo);
	if (err)
		return err;
	if (bo->flags & KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE)
		flags |= FOLL_WRITE;
	bo->mm = current->mm;
	mmgrab(bo->mm);	/* pairs with mmdrop() in vamdgpu_unpin_user() */
	while (bo->npages < npages) {
		if (fatal_signal_pending(current))
			return -ERESTARTSYS;
		n = pin_user_pages_fast(user_va + (bo->npages << PAGE_SHIFT),
					min(npages - bo->npages,
					    (unsigned long)VAMDGPU_PIN_CHUNK),
					flags, bo->pages + bo->npages);
		if (n <= 0)
			return n ?: -EFAULT;
		atomic64_add(n, &bo->mm->pinned_vm);
		bo->npages += n;
		cond_resched();
	}
	return 0;
}

/* Memory of the process on that GPU; it outlives the object. */
int vamdgpu_bo_borrow(struct vamdgpu_bo *bo, struct vamdgpu_pdd *pdd)
{
	unsigned long i, npages = bo->len >> PAGE_SHIFT;
	int err;

	err = vamdgpu_alloc_page_array(bo);
	if (err)
		return err;
	for (i = 0; i < npages; i++)
		bo->pages[i] = bo->kind == VAMDGPU_BO_MMIO ?
			       pdd->mmio_page : vamdgpu_doorbell_page(pdd, i);
	bo->npages = npages;
	return 0;
}

static void vamdgpu_unpin_user(struct vamdgpu_bo *bo)
{
	if (!bo->mm)
		return;
	unpin_user_pages_dirty_lock(bo->pages, bo->npages,
				    bo->flags & KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE);
	atomic64_sub(bo->npages, &bo->mm->pinned_vm);
	mmdrop(bo->mm);
	bo->mm = NULL;
}

/* No GPU maps the object any more, and each has flushed. */
void vamdgpu_bo_release_pages(struct vamdgpu_bo *bo)
{
	unsigned long i;

	if (bo->kind == VAMDGPU_BO_USERPTR) {
		vamdgpu_unpin_user(bo);
	} else if (bo->kind == VAMDGPU_BO_GTT) {
		for (i = 0; i < bo->npages; i++) {
			__free_page(bo->pages[i]);
			if (!(i % 4096))
				cond_resched();
		}
	}
	kvfree(bo->pages);
	atomic64_sub(bo->charged, &vamdgpu_system_used);
}
