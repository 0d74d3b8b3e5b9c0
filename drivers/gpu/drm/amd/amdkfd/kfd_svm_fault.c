// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPU faults, XNACK on: find out whether the access is allowed, register memory
 * nobody registered, bring a window of it into the GPU's page table.
 *
 * The access check comes first: nothing is faulted in, registered or revealed
 * for a GPU that may not touch the page.
 */
#include "kfd_svm_priv.h"

#include <linux/mm.h>

#include "kfd_svm_trace.h"

/**
 * struct fault - a fault being handled
 * @gpu: index of the GPU
 * @page: the page
 * @write: it wants to write
 * @first: first page of the window to map
 * @last: last page of it
 * @known: the page is registered
 */
struct fault {
	unsigned int gpu;
	unsigned long page;
	bool write;
	unsigned long first;
	unsigned long last;
	bool known;
};

/* The extent that describes the page, NULL if it is not mapped. */
static const struct kfd_svm_extent *mapped_extent(struct kfd_svm *svm,
						  const struct fault *fault)
{
	unsigned int page = fault->page & (KFD_SVM_BLOCK_PAGES - 1);
	const struct kfd_svm_mapping *map;
	struct kfd_svm_block *block;

	block = xa_load(&svm->blocks, kfd_svm_block_of(fault->page));
	map = block ? block->gpu[fault->gpu] : NULL;
	if (!map || !test_bit(page, map->mapped))
		return NULL;
	return kfd_svm_extent_find(map, page);
}

/*
 * A fault that cannot be replayed: say why the access failed. If it would not
 * fail now, it is a stale one.
 */
static enum kfd_svm_fault_outcome explain(struct kfd_svm *svm,
					  const struct fault *fault,
					  const struct kfd_svm_attr *attr)
{
	const struct kfd_svm_extent *ext = mapped_extent(svm, fault);

	if (!ext)
		return KFD_SVM_FAULT_NO_MAPPING;
	if (fault->write && (attr->flags & KFD_SVM_FLAG_GPU_RO ||
			     !(ext->flags & KFD_SVM_EXT_WRITE)))
		return KFD_SVM_FAULT_READ_ONLY;
	return KFD_SVM_FAULT_REPLAY;
}

/*
 * What can be said without the mm. Sets the window to what the attributes
 * allow. Return: true if *@outcome is final.
 */
static bool check_attrs(struct kfd_svm *svm, struct fault *fault,
			enum kfd_svm_fault_outcome *outcome)
{
	struct kfd_svm_pgpu *pgpu = &svm->gpus[fault->gpu];
	const struct kfd_svm_extent *ext;
	struct kfd_svm_attr_range *range;
	struct kfd_svm_attr attr;

	lockdep_assert_held(&svm->update_lock);

	*outcome = KFD_SVM_FAULT_GONE;
	if (svm->dead)
		return true;
	*outcome = KFD_SVM_FAULT_NO_MAPPING;
	if (!pgpu->vm)
		return true;

	range = kfd_svm_attr_first(&svm->attrs, fault->page, fault->page);
	fault->known = range;
	if (range)
		attr = range->attr;
	else
		kfd_svm_default_attr(svm, &attr);
	if (!svm->xnack) {
		*outcome = explain(svm, fault, &attr);
		return true;
	}
	*outcome = kfd_svm_policy_fault(&attr, fault->gpu, fault->write);
	if (*outcome != KFD_SVM_FAULT_REPLAY)
		return true;
	ext = mapped_extent(svm, fault);
	if (ext && (!fault->write || ext->flags & KFD_SVM_EXT_WRITE))
		return true;

	kfd_svm_policy_window(fault->page, attr.granularity, &fault->first,
			      &fault->last);
	fault->last = min(fault->last, (svm->mm->task_size - 1) >> PAGE_SHIFT);
	if (range) {
		fault->first = max(fault->first, range->first);
		fault->last = min(fault->last, range->last);
	} else {
		kfd_svm_attr_clip_to_gap(&svm->attrs, fault->page,
					 &fault->first, &fault->last);
	}
	return false;
}

/* Register the window of memory nobody registered. mmap_lock held. */
static int auto_register(struct kfd_svm *svm, struct vm_area_struct *vma,
			 struct fault *fault)
{
	struct kfd_svm_attr_update update;
	unsigned int changed;
	int err;

	if (kfd_svm_is_va_busy(svm, fault->page, fault->page))
		return -EADDRINUSE;
	if (kfd_svm_is_va_busy(svm, fault->first, fault->last)) {
		fault->first = fault->page;
		fault->last = fault->page;
	}
	kfd_svm_attr_update_init(&update);
	if (vma_is_initial_heap(vma) || vma_is_initial_stack(vma)) {
		update.set_preferred = true;
		update.preferred = KFD_SVM_LOC_SYSMEM;
	}
	err = kfd_svm_commit_attr(svm, fault->first, fault->last, &update,
				  &changed);
	/* An object came into the window just now: look again. */
	return err == -EADDRINUSE ? -EAGAIN : err;
}

/*
 * What the VMA says; clips the window to it and registers it if need be.
 * Return: REPLAY to go on.
 */
static enum kfd_svm_fault_outcome check_vma(struct kfd_svm *svm,
					    struct fault *fault)
{
	struct vm_area_struct *vma;

	mmap_assert_locked(svm->mm);

	vma = vma_lookup(svm->mm, fault->page << PAGE_SHIFT);
	if (!vma || !(vma->vm_flags & VM_READ))
		return KFD_SVM_FAULT_NO_MAPPING;
	if (fault->write && !(vma->vm_flags & VM_WRITE))
		return KFD_SVM_FAULT_READ_ONLY;
	fault->first = max(fault->first, vma->vm_start >> PAGE_SHIFT);
	fault->last = min(fault->last, (vma->vm_end - 1) >> PAGE_SHIFT);
	if (fault->known)
		return KFD_SVM_FAULT_REPLAY;
	switch (auto_register(svm, vma, fault)) {
	case 0:
		return KFD_SVM_FAULT_REPLAY;
	case -EADDRINUSE:
		return KFD_SVM_FAULT_NO_MAPPING;
	case -ESRCH:
		return KFD_SVM_FAULT_GONE;
	default:
		return KFD_SVM_FAULT_BACKOFF;
	}
}

static enum kfd_svm_fault_outcome outcome_of(int err, bool write)
{
	switch (err) {
	case 0:
		return KFD_SVM_FAULT_REPLAY;
	case -ESRCH:
		return KFD_SVM_FAULT_GONE;
	case -EPERM:
		return write ? KFD_SVM_FAULT_READ_ONLY : KFD_SVM_FAULT_NO_MAPPING;
	case -EFAULT:
	case -EHWPOISON:
	case -EOPNOTSUPP:	/* memory the device cannot reach */
		return KFD_SVM_FAULT_NO_MAPPING;
	default:
		return KFD_SVM_FAULT_BACKOFF;
	}
}

static int populate_piece(struct kfd_svm *svm, const struct fault *fault,
			  unsigned long first, int *page_err)
{
	struct kfd_svm_populate pop = {
		.gpus = BIT_ULL(fault->gpu),
		.first = max(first, fault->first),
		.last = min(first | (KFD_SVM_BLOCK_PAGES - 1), fault->last),
		.req = fault->write ? HMM_MIRROR_REQ_WRITE : HMM_MIRROR_REQ_READ,
		.page = fault->page,
	};
	int err = kfd_svm_populate(svm, &pop);

	*page_err = pop.page_err;
	return err;
}

/* Bring in the window: what faulted first, the rest as far as it goes. */
static enum kfd_svm_fault_outcome map_window(struct kfd_svm *svm,
					     const struct fault *fault)
{
	unsigned long mask = KFD_SVM_BLOCK_PAGES - 1;
	unsigned long hit = fault->page & ~mask;
	unsigned long first;
	int err, page_err, ignored;

	err = populate_piece(svm, fault, hit, &page_err);
	if (err || page_err)
		return outcome_of(err ?: page_err, fault->write);
	for (first = fault->first & ~mask; first <= fault->last;
	     first += KFD_SVM_BLOCK_PAGES) {
		if (first == hit)
			continue;
		if (populate_piece(svm, fault, first, &ignored))
			break;
	}
	return KFD_SVM_FAULT_REPLAY;
}

/* The part of a fault that sleeps. */
static enum kfd_svm_fault_outcome fault_locked(struct kfd_svm *svm,
					       struct fault *fault)
{
	enum kfd_svm_fault_outcome outcome;
	bool final;
	int err;

	lockdep_assert_held(&svm->op_lock);

	svm->used = true;
	/* Another fault may have done it while this one waited for op_lock. */
	mutex_lock(&svm->update_lock);
	final = check_attrs(svm, fault, &outcome);
	mutex_unlock(&svm->update_lock);
	if (final)
		return outcome;

	/* Needs mmap_lock for writing, so it comes before the VMA is looked at. */
	err = hmm_mirror_watch(&svm->mirror, fault->first << PAGE_SHIFT,
			       ((fault->last + 1) << PAGE_SHIFT) - 1);
	if (err)
		return outcome_of(err, fault->write);
	err = hmm_mirror_mmap_read_lock(&svm->mirror);
	if (err)
		return outcome_of(err, fault->write);
	outcome = check_vma(svm, fault);
	hmm_mirror_mmap_read_unlock(&svm->mirror);
	if (outcome != KFD_SVM_FAULT_REPLAY)
		return outcome;
	return map_window(svm, fault);
}

/**
 * kfd_svm_fault - a GPU's access found no (sufficient) translation
 * @svm: the process
 * @user_gpu_id: the GPU
 * @va: the address
 * @write: the access wants to write
 *
 * Checks access, registers unregistered memory with the default attributes, and
 * maps a window around @va. Many threads may call it for one process; the slow
 * part runs one at a time, faults on pages mapped meanwhile return at once.
 *
 * Context: may sleep and allocate, takes mmap_lock; the faulting engine must
 * count as flushed and as quiesced meanwhile. Not from atomic context, and with
 * no lock held that an op of &struct kfd_svm_gpu_ops takes.
 *
 * Return: what to do with the access.
 */
enum kfd_svm_fault_outcome kfd_svm_fault(struct kfd_svm *svm, u32 user_gpu_id,
					 u64 va, bool write)
{
	struct fault fault = { .page = va >> PAGE_SHIFT, .write = write };
	int gpu = kfd_svm_gpu_index(svm, user_gpu_id);
	enum kfd_svm_fault_outcome outcome;
	bool final;

	if (gpu < 0 || va >= svm->mm->task_size)
		return KFD_SVM_FAULT_NO_MAPPING;
	fault.gpu = gpu;

	mutex_lock(&svm->update_lock);
	svm->gpus[gpu].counters.faults++;
	final = check_attrs(svm, &fault, &outcome);
	mutex_unlock(&svm->update_lock);

	if (!final) {
		mutex_lock(&svm->op_lock);
		outcome = fault_locked(svm, &fault);
		mutex_unlock(&svm->op_lock);
	}
	trace_kfd_svm_fault(svm->tgid, user_gpu_id, fault.page, write, outcome);
	return outcome;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_fault, KFD_SVM);
