// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping, the kernel's way: hmm_range_fault() over all of the memory, the check of the
 * sequence under the lock, and a store of 8 bytes for each page where a GPU's page table
 * would be: no format, no permission bits to work out, no DMA addresses, no larger leaves.
 */
#include "bench.h"

#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/slab.h>

static DEFINE_MUTEX(table_lock);

static bool on_invalidate(struct mmu_interval_notifier *notifier,
			  const struct mmu_notifier_range *range,
			  unsigned long cur_seq)
{
	if (mmu_notifier_range_blockable(range))
		mutex_lock(&table_lock);
	else if (!mutex_trylock(&table_lock))
		return false;
	mmu_interval_set_seq(notifier, cur_seq);
	mutex_unlock(&table_lock);
	return true;
}

static const struct mmu_interval_notifier_ops notifier_ops = {
	.invalidate = on_invalidate,
};

static int watch(struct ksb_file *f, const struct ksb_pass *pass)
{
	unsigned long npages = PHYS_PFN(pass->len);
	int err;

	if (f->notifier_va == pass->first_va && f->notifier_len == pass->len)
		return 0;
	if (f->notifier_va)
		return -EBUSY;
	f->pfns = kvcalloc(npages, sizeof(*f->pfns), GFP_KERNEL);
	f->table = kvcalloc(npages, sizeof(*f->table), GFP_KERNEL);
	if (!f->pfns || !f->table)
		return -ENOMEM;
	err = mmu_interval_notifier_insert(&f->notifier, f->mm, pass->first_va,
					   pass->len, &notifier_ops);
	if (err)
		return err;
	f->notifier_va = pass->first_va;
	f->notifier_len = pass->len;
	return 0;
}

void ksb_walk_close(struct ksb_file *f)
{
	if (f->notifier_va)
		mmu_interval_notifier_remove(&f->notifier);
	kvfree(f->pfns);
	kvfree(f->table);
}

static void store_all(struct ksb_file *f, unsigned long npages)
{
	unsigned long i;

	lockdep_assert_held(&table_lock);

	for (i = 0; i < npages; i++)
		WRITE_ONCE(f->table[i], f->pfns[i] << PAGE_SHIFT);
}

static int walk_once(struct ksb_file *f, struct hmm_range *range,
		     unsigned long npages)
{
	int err;

	range->notifier_seq = mmu_interval_read_begin(range->notifier);
	mmap_read_lock(f->mm);
	err = hmm_range_fault(range);
	mmap_read_unlock(f->mm);
	if (err)
		return err == -EBUSY ? -EAGAIN : err;
	mutex_lock(&table_lock);
	if (mmu_interval_read_retry(range->notifier, range->notifier_seq))
		err = -EAGAIN;
	else
		store_all(f, npages);
	mutex_unlock(&table_lock);
	return err;
}

int ksb_walk_pass(struct ksb_file *f, struct ksb_pass *pass)
{
	unsigned long npages = PHYS_PFN(pass->len);
	struct hmm_range range = {
		.notifier = &f->notifier,
		.start = pass->first_va,
		.end = pass->first_va + pass->len,
		.default_flags = HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE,
	};
	u64 start;
	int err;

	err = watch(f, pass);
	if (err)
		return err;
	range.hmm_pfns = f->pfns;
	start = ksb_clock();
	do {
		err = walk_once(f, &range, npages);
	} while (err == -EAGAIN);
	pass->ticks = ksb_clock() - start;
	if (!err)
		pass->mapped = npages;
	return err;
}
