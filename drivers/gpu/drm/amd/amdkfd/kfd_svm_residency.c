// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/kfd_svm/<tgid>/residency: where the registered memory is at
 * the moment, as the CPU's page table has it. Looking changes nothing: no page
 * is faulted in.
 */
#include "kfd_svm_priv.h"

#include <linux/seq_file.h>
#include <linux/slab.h>

/* Extents taken at once, ranges shown at most. */
#define NR_EXTENTS		128
#define MAX_RANGES_SHOWN	4096

/**
 * struct residency - pages of a range by what they are
 * @present: readable by the CPU without a fault
 * @writable: of those, writable
 * @huge: of those, in a huge leaf
 * @device: of those, device memory
 * @refused: no device can have them
 * @absent: the rest
 */
struct residency {
	unsigned long present;
	unsigned long writable;
	unsigned long huge;
	unsigned long device;
	unsigned long refused;
	unsigned long absent;
};

static void add_extent(struct residency *sum, const struct hmm_mirror_extent *ext)
{
	unsigned int flags = hmm_mirror_extent_flags(ext);
	unsigned long npages = hmm_mirror_extent_npages(ext);

	if (flags & HMM_MIRROR_EXT_ERROR) {
		sum->refused += npages;
		return;
	}
	if (!(flags & HMM_MIRROR_EXT_VALID)) {
		sum->absent += npages;
		return;
	}
	sum->present += npages;
	if (flags & HMM_MIRROR_EXT_WRITE)
		sum->writable += npages;
	if (flags & HMM_MIRROR_EXT_HUGE)
		sum->huge += npages;
	if (flags & HMM_MIRROR_EXT_DEVICE)
		sum->device += npages;
}

/*
 * Add up first..last. Nothing is done with the pages, so whether they are still
 * there afterwards does not matter and nothing is committed.
 */
static int add_up(struct kfd_svm *svm, struct hmm_mirror_extent *exts,
		  unsigned long first, unsigned long last, struct residency *sum)
{
	struct hmm_mirror_cursor cursor = {
		.extents = exts,
		.nr_max = NR_EXTENTS,
		.next_va = first << PAGE_SHIFT,
	};
	struct hmm_mirror_range range;
	unsigned int i;
	int err;

	err = hmm_mirror_range_register(&range, &svm->mirror,
					first << PAGE_SHIFT,
					((last + 1) << PAGE_SHIFT) - 1);
	if (err)
		return err;
	while (!err && cursor.next_va <= last << PAGE_SHIFT) {
		err = hmm_mirror_range_snapshot(&range, &cursor);
		for (i = 0; i < cursor.nr; i++)
			add_extent(sum, &cursor.extents[i]);
	}
	hmm_mirror_range_unregister(&range);
	return err;
}

static bool next_range(struct kfd_svm *svm, unsigned long from,
		       unsigned long *first, unsigned long *last)
{
	struct kfd_svm_attr_range *range;

	mutex_lock(&svm->update_lock);
	range = kfd_svm_attr_first(&svm->attrs, from, ULONG_MAX);
	if (range) {
		*first = max(from, range->first);
		*last = range->last;
	}
	mutex_unlock(&svm->update_lock);
	return range;
}

int kfd_svm_residency_show(struct seq_file *m, void *unused)
{
	struct kfd_svm *svm = m->private;
	struct hmm_mirror_extent *exts;
	unsigned long first, last = 0;
	unsigned int shown = 0;
	int err = 0;

	exts = kmalloc_array(NR_EXTENTS, sizeof(*exts), GFP_KERNEL);
	if (!exts)
		return -ENOMEM;
	while (shown++ < MAX_RANGES_SHOWN &&
	       next_range(svm, last + 1, &first, &last)) {
		struct residency sum = {};

		err = add_up(svm, exts, first, last, &sum);
		if (err)
			break;
		seq_printf(m, "%#lx-%#lx present %lu writable %lu huge %lu ",
			   first, last, sum.present, sum.writable, sum.huge);
		seq_printf(m, "device %lu refused %lu absent %lu\n",
			   sum.device, sum.refused, sum.absent);
	}
	kfree(exts);
	/* A dead or busy mm has nothing to show. */
	return err == -ENOMEM || err == -EINTR ? err : 0;
}
