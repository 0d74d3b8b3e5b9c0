// SPDX-License-Identifier: GPL-2.0-only
/*
 * Populating: what the mirror is asked for, and what its answer means.
 *
 * SET and restore ask to write wherever the VMA allows, since a GPU that cannot fault
 * must find the page as the program may use it. A fault asks to read, and to write
 * the pages somebody wants to write and those the policy lets come along: see
 * Documentation/svm.rst.
 */
#include "kfd_svm_priv.h"

#include "kfd_svm_trace.h"

/* Add to pop->write what comes along, by what the CPU has there at the moment. */
static int add_along(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		     struct hmm_mirror_range *range)
{
	unsigned long base = pop->first & ~(KFD_SVM_BLOCK_PAGES - 1UL);
	struct hmm_mirror_cursor cursor = {
		.extents = svm->fault_exts,
		.nr_max = KFD_SVM_BLOCK_PAGES,
		.next_va = pop->first << PAGE_SHIFT,
	};
	unsigned int i;
	int err;

	while (cursor.next_va <= pop->last << PAGE_SHIFT) {
		err = hmm_mirror_range_snapshot(range, &cursor);
		if (err)
			return err == -ETIME ? -EAGAIN : err;
		for (i = 0; i < cursor.nr; i++) {
			const struct hmm_mirror_extent *ext = &cursor.extents[i];
			unsigned long va = hmm_mirror_extent_va(ext);

			if (kfd_svm_policy_write_along(hmm_mirror_extent_flags(ext),
						       pop->anonymous))
				bitmap_set(pop->write, (va >> PAGE_SHIFT) - base,
					   hmm_mirror_extent_npages(ext));
		}
	}
	return 0;
}

/*
 * The runs of @pages, of the block at page @base, as spans to be written, in
 * kfd_svm.req_spans. Return: how many.
 */
unsigned int kfd_svm_request_spans(struct kfd_svm *svm, unsigned long base,
				   const unsigned long *pages)
{
	unsigned int page = 0, end, nr = 0;

	lockdep_assert_held(&svm->op_lock);

	for (; kfd_svm_bits_next_run(pages, &page, &end,
				     KFD_SVM_BLOCK_PAGES - 1);
	     page = end + 1)
		svm->req_spans[nr++] = (struct hmm_mirror_req_span){
			.first_va = (base + page) << PAGE_SHIFT,
			.last_va = ((base + end + 1) << PAGE_SHIFT) - 1,
			.req = HMM_MIRROR_REQ_WRITE,
		};
	return nr;
}

static void clip_to_window(const struct kfd_svm_populate *pop,
			   unsigned long *pages)
{
	unsigned int first = pop->first & (KFD_SVM_BLOCK_PAGES - 1);
	unsigned int last = pop->last & (KFD_SVM_BLOCK_PAGES - 1);

	bitmap_clear(pages, 0, first);
	bitmap_clear(pages, last + 1, KFD_SVM_BLOCK_PAGES - 1 - last);
}

/* @pop, for faults, was done. */
void kfd_svm_count_populate(struct kfd_svm *svm,
			    const struct kfd_svm_populate *pop)
{
	unsigned long npages = pop->last - pop->first + 1;
	unsigned long nwrite = bitmap_weight(pop->write, KFD_SVM_BLOCK_PAGES);
	unsigned int i;

	mutex_lock(&svm->update_lock);
	kfd_svm_for_each_gpu(i, svm, pop->gpus) {
		svm->gpus[i].counters.populates++;
		if (pop->for_write)
			svm->gpus[i].counters.pages_spared += npages - nwrite;
		trace_kfd_svm_populate(svm->tgid, svm->gpus[i].user_gpu_id,
				       pop->first, npages, nwrite);
	}
	mutex_unlock(&svm->update_lock);
}

/*
 * Fill in pop->demand and pop->changes: the pages that faults want to write, and those
 * ahead of who writes many.
 */
void kfd_svm_request_demand(struct kfd_svm *svm, struct kfd_svm_populate *pop)
{
	DECLARE_BITMAP(written, KFD_SVM_BLOCK_PAGES);
	struct kfd_svm_block *block;

	lockdep_assert_held(&svm->op_lock);

	bitmap_zero(written, KFD_SVM_BLOCK_PAGES);
	block = xa_load(&svm->blocks, kfd_svm_block_of(pop->first));
	if (block) {
		mutex_lock(&svm->update_lock);
		/* Not what this populate itself has noted in a turn before. */
		bitmap_and(written, block->demand, pop->written, KFD_SVM_BLOCK_PAGES);
		pop->changes = block->changes;
		mutex_unlock(&svm->update_lock);
	}
	bitmap_copy(pop->demand, pop->wanted, KFD_SVM_BLOCK_PAGES);
	kfd_svm_policy_write_around(written, pop->demand);
	if (kfd_svm_break_spare)
		bitmap_fill(pop->demand, KFD_SVM_BLOCK_PAGES);
	clip_to_window(pop, pop->demand);
}

/*
 * What @pop, whose block exists, is to ask for, as things are at the moment: it
 * is out of date when the CPU changes the memory. The spans are good until the next
 * call.
 * Return: 0 or an error of kfd_svm_populate().
 */
int kfd_svm_request_build(struct kfd_svm *svm, struct kfd_svm_populate *pop,
			  struct hmm_mirror_range *range,
			  struct hmm_mirror_req *req)
{
	int err = 0;

	lockdep_assert_held(&svm->op_lock);

	*req = (struct hmm_mirror_req){
		.default_req = kfd_svm_is_eager(pop) ? HMM_MIRROR_REQ_WRITE_IF_VMA :
					    HMM_MIRROR_REQ_READ,
	};
	if (kfd_svm_is_eager(pop) || !pop->for_write)
		return 0;

	kfd_svm_request_demand(svm, pop);
	bitmap_copy(pop->write, pop->demand, KFD_SVM_BLOCK_PAGES);
	if (pop->first < pop->last)
		err = add_along(svm, pop, range);
	if (err)
		return err;
	req->nr_spans = kfd_svm_request_spans(svm, pop->first &
					      ~(KFD_SVM_BLOCK_PAGES - 1UL),
					      pop->write);
	req->spans = svm->req_spans;
	return 0;
}

/*
 * Memory of other devices is not RAM, and no GPU is to take it for that: it cannot be
 * had. Update lock held, range valid.
 */
void kfd_svm_refuse_devices(const struct hmm_mirror_range *range,
			    struct hmm_mirror_cursor *cursor)
{
	unsigned int i;
	void *owner;

	for (i = 0; i < cursor->nr; i++) {
		struct hmm_mirror_extent *ext = &cursor->extents[i];

		if (!(ext->va_flags & HMM_MIRROR_EXT_DEVICE))
			continue;
		switch (hmm_mirror_extent_device(range, ext, &owner)) {
		case HMM_MIRROR_DEVICE_NONE:
		case HMM_MIRROR_DEVICE_DAX:
		case HMM_MIRROR_DEVICE_COHERENT:
			continue;
		case HMM_MIRROR_DEVICE_PRIVATE:
			/* Who can map ours is found out when they do. */
			if (owner == &kfd_svm_vram_owner)
				continue;
			break;
		case HMM_MIRROR_DEVICE_PEER:
			break;
		}
		ext->va_flags = hmm_mirror_extent_va(ext) | HMM_MIRROR_EXT_ERROR;
		ext->pfn_npages &= ~HMM_MIRROR_EXT_PFN;
		ext->pfn_npages |= FIELD_PREP(HMM_MIRROR_EXT_PFN, EFAULT);
	}
}

static int extent_err(const struct hmm_mirror_extent *ext)
{
	unsigned int flags = hmm_mirror_extent_flags(ext);

	if (flags & HMM_MIRROR_EXT_ERROR)
		return -(int)hmm_mirror_extent_pfn(ext);
	return flags & HMM_MIRROR_EXT_VALID ? 0 : -EAGAIN;
}

/* Find out what is to be told about pages that did not come. */
void kfd_svm_note_errors(struct kfd_svm_populate *pop,
			 const struct hmm_mirror_cursor *cursor)
{
	struct kfd_svm_fault *fault;
	unsigned int i;

	for (i = 0; i < cursor->nr; i++) {
		const struct hmm_mirror_extent *ext = &cursor->extents[i];
		unsigned long va = hmm_mirror_extent_va(ext);
		u64 len = (u64)hmm_mirror_extent_npages(ext) << PAGE_SHIFT;
		int err = extent_err(ext);

		/* As upstream: what may not be read is left out silently. */
		if (err && err != -EPERM && err != -EAGAIN)
			pop->missing = err;
		if (!pop->faults)
			continue;
		list_for_each_entry(fault, pop->faults, link) {
			if (fault->va < va || fault->va - va >= len)
				continue;
			fault->err = err;
			if (!err && fault->write &&
			    !(ext->va_flags & HMM_MIRROR_EXT_WRITE))
				fault->err = -EPERM;
		}
	}
}

/* Did a page not come that a fault waits for? */
bool kfd_svm_fault_failed(const struct kfd_svm_populate *pop)
{
	const struct kfd_svm_fault *fault;

	if (!pop->faults)
		return false;
	list_for_each_entry(fault, pop->faults, link)
		if (fault->err)
			return true;
	return false;
}
