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

/* How often a look is repeated that the CPU has overtaken. */
#define NR_LOOKS		16

/* What a page can be; each present page is one of the first. */
enum residency_kind {
	KIND_RAM,	/* in a page of 4 KiB */
	KIND_THP,
	KIND_HUGETLB,
	KIND_ZERO,	/* the page of zeros that all share */
	KIND_DAX,
	KIND_DEVICE,	/* other device memory, whether a GPU may have it or not */
	KIND_VRAM,	/* of a GPU of the process */
	NR_PRESENT_KINDS,
	KIND_REFUSED = NR_PRESENT_KINDS,	/* no device can have it */
	KIND_ABSENT,
	NR_KINDS,
};

/**
 * struct residency - pages of a range by what they are
 * @npages: by kind
 * @vram: of KIND_VRAM, by GPU
 * @writable: of those that are present, those that may be written as they are
 */
struct residency {
	unsigned long npages[NR_KINDS];
	unsigned long vram[KFD_SVM_MAX_GPUS];
	unsigned long writable;
};

static enum residency_kind kind_of(const struct hmm_mirror_range *range,
				   const struct hmm_mirror_extent *ext)
{
	unsigned int flags = hmm_mirror_extent_flags(ext);
	void *owner;

	if (flags & HMM_MIRROR_EXT_ERROR)
		return KIND_REFUSED;
	if (!(flags & HMM_MIRROR_EXT_VALID))
		return KIND_ABSENT;
	if (flags & HMM_MIRROR_EXT_ZERO)
		return KIND_ZERO;
	if (flags & HMM_MIRROR_EXT_DEVICE)
		return hmm_mirror_extent_device(range, ext, &owner) ==
		       HMM_MIRROR_DEVICE_DAX ? KIND_DAX : KIND_DEVICE;
	if (flags & HMM_MIRROR_EXT_HUGETLB)
		return KIND_HUGETLB;
	return flags & HMM_MIRROR_EXT_HUGE ? KIND_THP : KIND_RAM;
}

static void add_extent(struct kfd_svm *svm, const struct hmm_mirror_range *range,
		       const struct hmm_mirror_extent *ext, struct residency *sum)
{
	unsigned long npages = hmm_mirror_extent_npages(ext);
	enum residency_kind kind = kind_of(range, ext);
	int owner;
	u64 addr;

	if (kind == KIND_DEVICE &&
	    kfd_svm_vram_find(svm, range, ext, &owner, &addr) &&
	    owner != KFD_SVM_NO_GPU) {
		kind = KIND_VRAM;
		sum->vram[owner] += npages;
	}
	sum->npages[kind] += npages;
	if (ext->va_flags & HMM_MIRROR_EXT_WRITE)
		sum->writable += npages;
}

/*
 * Look at what comes at cursor->next_va and add it up. Nothing is done with the pages;
 * but device memory can only be asked what it is while it cannot go.
 */
static int look(struct kfd_svm *svm, struct hmm_mirror_range *range,
		struct hmm_mirror_cursor *cursor, struct residency *sum)
{
	unsigned long va = cursor->next_va;
	unsigned int tries, i;
	bool valid = false;
	int err;

	for (tries = 0; !valid && tries < NR_LOOKS; tries++) {
		cursor->next_va = va;
		err = hmm_mirror_range_snapshot(range, cursor);
		if (err)
			return err;
		mutex_lock(&svm->update_lock);
		valid = hmm_mirror_range_valid(range);
		for (i = 0; valid && i < cursor->nr; i++)
			add_extent(svm, range, &cursor->extents[i], sum);
		mutex_unlock(&svm->update_lock);
	}
	return valid ? 0 : -ETIME;
}

static int add_up(struct kfd_svm *svm, struct hmm_mirror_extent *exts,
		  unsigned long first, unsigned long last, struct residency *sum)
{
	struct hmm_mirror_cursor cursor = {
		.extents = exts,
		.nr_max = NR_EXTENTS,
		.next_va = first << PAGE_SHIFT,
	};
	struct hmm_mirror_range range;
	int err;

	err = kfd_svm_range_register(svm, &range, first, last);
	if (err)
		return err;
	while (!err && cursor.next_va <= last << PAGE_SHIFT)
		err = look(svm, &range, &cursor, sum);
	hmm_mirror_range_unregister(&range);
	return err;
}

static void show(struct seq_file *m, const struct kfd_svm *svm,
		 unsigned long first, unsigned long last,
		 const struct residency *sum)
{
	unsigned long present = 0;
	unsigned int kind, i;

	for (kind = 0; kind < NR_PRESENT_KINDS; kind++)
		present += sum->npages[kind];
	seq_printf(m, "%#lx-%#lx present %lu writable %lu ", first, last,
		   present, sum->writable);
	seq_printf(m, "ram %lu thp %lu hugetlb %lu zero %lu ",
		   sum->npages[KIND_RAM], sum->npages[KIND_THP],
		   sum->npages[KIND_HUGETLB], sum->npages[KIND_ZERO]);
	seq_printf(m, "dax %lu device %lu refused %lu absent %lu",
		   sum->npages[KIND_DAX], sum->npages[KIND_DEVICE],
		   sum->npages[KIND_REFUSED], sum->npages[KIND_ABSENT]);
	kfd_svm_for_each_gpu(i, svm, svm->links.with_vram)
		seq_printf(m, " vram %u %lu", svm->gpus[i].user_gpu_id,
			   sum->vram[i]);
	seq_putc(m, '\n');
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
		if (err && err != -ETIME)
			break;
		if (err)
			seq_printf(m, "%#lx-%#lx busy\n", first, last);
		else
			show(m, svm, first, last, &sum);
	}
	kfree(exts);
	/* A dead mm has nothing to show. */
	return err == -ENOMEM || err == -EINTR ? err : 0;
}
