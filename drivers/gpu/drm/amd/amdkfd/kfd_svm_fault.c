// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPU faults, XNACK on: find out whether the access is allowed, register memory
 * nobody registered, bring a window of it into the GPUs' page tables.
 *
 * The access check comes first: nothing is faulted in, registered or revealed
 * for a GPU that may not touch the page.
 *
 * Memory moves first, where the location policy wants that (kfd_svm_migrate.c); if it
 * does not move the fault is served all the same.
 *
 * Faults that cannot be answered at once wait in kfd_svm.faults while their
 * callers wait for op_lock. Who gets it serves the first and with it all on pages of
 * its window, whichever queue or GPU they come from, by one populate; and goes on
 * until its own are served. It drops op_lock in between, so that others can go when
 * theirs are.
 */
#include "kfd_svm_priv.h"

#include <linux/log2.h>
#include <linux/mm.h>

#include "kfd_svm_trace.h"

/**
 * struct window - memory to bring in around a fault
 * @first: first page
 * @last: last page
 * @known: it is registered
 * @for_write: somebody wants to write in it
 * @writable: its VMA may be written
 * @anonymous: its VMA is anonymous
 */
struct window {
	unsigned long first;
	unsigned long last;
	bool known;
	bool for_write;
	bool writable;
	bool anonymous;
};

static unsigned long page_of(const struct kfd_svm_fault *fault)
{
	return fault->va >> PAGE_SHIFT;
}

/* The extent that describes the page, NULL if it is not mapped. */
static const struct kfd_svm_extent *mapped_extent(struct kfd_svm *svm,
						  const struct kfd_svm_fault *fault)
{
	unsigned int page = page_of(fault) & (KFD_SVM_BLOCK_PAGES - 1);
	const struct kfd_svm_mapping *map;
	struct kfd_svm_block *block;

	block = xa_load(&svm->blocks, kfd_svm_block_of(page_of(fault)));
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
					  const struct kfd_svm_fault *fault,
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
static bool check_attrs(struct kfd_svm *svm, const struct kfd_svm_fault *fault,
			struct window *win,
			enum kfd_svm_fault_outcome *outcome)
{
	struct kfd_svm_pgpu *pgpu = &svm->gpus[fault->gpu];
	unsigned long page = page_of(fault);
	const struct kfd_svm_extent *ext;
	struct kfd_svm_attr_range *range;
	struct kfd_svm_attr attr;

	lockdep_assert_held(&svm->update_lock);

	*outcome = KFD_SVM_FAULT_GONE;
	if (svm->dead || svm->gone & BIT_ULL(fault->gpu))
		return true;
	*outcome = KFD_SVM_FAULT_NO_MAPPING;
	if (!pgpu->vm)
		return true;

	range = kfd_svm_attr_first(&svm->attrs, page, page);
	win->known = range;
	if (range)
		attr = range->attr;
	else
		kfd_svm_default_attr(svm, &attr);
	if (!svm->xnack) {
		*outcome = explain(svm, fault, &attr);
		return true;
	}
	*outcome = kfd_svm_policy_fault(&attr, fault->gpu, fault->write);
	if (kfd_svm_break_no_access_first && *outcome == KFD_SVM_FAULT_NO_ACCESS &&
	    attr.preferred != KFD_SVM_LOC_UNDEFINED)
		*outcome = KFD_SVM_FAULT_REPLAY;
	if (*outcome != KFD_SVM_FAULT_REPLAY)
		return true;
	ext = mapped_extent(svm, fault);
	if (ext && (!fault->write || ext->flags & KFD_SVM_EXT_WRITE))
		return true;

	win->for_write = fault->write;
	kfd_svm_policy_window(page, kfd_svm_break_window ? KFD_SVM_MAX_GRANULARITY :
							   attr.granularity,
			      &win->first, &win->last);
	win->last = min(win->last, (svm->mm->task_size - 1) >> PAGE_SHIFT);
	if (range) {
		win->first = max(win->first, range->first);
		win->last = min(win->last, range->last);
	} else {
		kfd_svm_attr_clip_to_gap(&svm->attrs, page, &win->first,
					 &win->last);
	}
	return false;
}

/* Register the window of memory nobody registered. mmap_lock held. */
static int auto_register(struct kfd_svm *svm, struct vm_area_struct *vma,
			 unsigned long page, struct window *win)
{
	struct kfd_svm_attr_update update;
	unsigned int changed;
	int err;

	if (kfd_svm_is_va_busy(svm, page, page))
		return -EADDRINUSE;
	if (kfd_svm_is_va_busy(svm, win->first, win->last)) {
		win->first = page;
		win->last = page;
	}
	kfd_svm_attr_update_init(&update);
	if (vma_is_initial_heap(vma) || vma_is_initial_stack(vma)) {
		update.set_preferred = true;
		update.preferred = KFD_SVM_LOC_SYSMEM;
	}
	err = kfd_svm_commit_attr(svm, win->first, win->last, &update, &changed);
	/* An object came into the window just now: look again. */
	return err == -EADDRINUSE ? -EAGAIN : err;
}

/*
 * What the VMA says; clips the window to it and registers it if need be.
 * Return: REPLAY to go on.
 */
static enum kfd_svm_fault_outcome
check_vma(struct kfd_svm *svm, const struct kfd_svm_fault *fault,
	  struct window *win)
{
	unsigned long page = page_of(fault);
	struct vm_area_struct *vma;

	mmap_assert_locked(svm->mm);

	vma = vma_lookup(svm->mm, page << PAGE_SHIFT);
	if (!vma || !(vma->vm_flags & VM_READ))
		return KFD_SVM_FAULT_NO_MAPPING;
	win->writable = vma->vm_flags & VM_WRITE;
	win->anonymous = vma_is_anonymous(vma);
	if (fault->write && !win->writable)
		return KFD_SVM_FAULT_READ_ONLY;
	win->first = max(win->first, vma->vm_start >> PAGE_SHIFT);
	win->last = min(win->last, (vma->vm_end - 1) >> PAGE_SHIFT);
	if (win->known)
		return KFD_SVM_FAULT_REPLAY;
	switch (auto_register(svm, vma, page, win)) {
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
	case -EOPNOTSUPP:	/* memory the device cannot reach any more */
		return KFD_SVM_FAULT_NO_MAPPING;
	default:
		return KFD_SVM_FAULT_BACKOFF;
	}
}

/* The fault is its caller's again. */
static void settle(struct kfd_svm_fault *fault,
		   enum kfd_svm_fault_outcome outcome)
{
	list_del_init(&fault->link);
	fault->outcome = outcome;
}

/* What counted as written before these faults. */
static void note_written(struct kfd_svm *svm, struct kfd_svm_populate *pop)
{
	const struct kfd_svm_block *block;

	block = xa_load(&svm->blocks, kfd_svm_block_of(pop->first));
	if (block)
		bitmap_copy(pop->written, block->demand, KFD_SVM_BLOCK_PAGES);
}

static void tell_start(struct kfd_svm *svm, const struct kfd_svm_fault *fault)
{
	const struct kfd_svm_event event = {
		.kind = KFD_SVM_EVENT_PAGE_FAULT_START,
		.user_gpu_id = fault->user_gpu_id,
		.first_page = page_of(fault),
		.npages = 1,
		.write = fault->write,
	};

	kfd_svm_tell(svm, &event);
}

static void tell_end(struct kfd_svm *svm, const struct kfd_svm_fault *fault,
		     bool migrated)
{
	const struct kfd_svm_event event = {
		.kind = KFD_SVM_EVENT_PAGE_FAULT_END,
		.user_gpu_id = fault->user_gpu_id,
		.first_page = page_of(fault),
		.npages = 1,
		.migrated = migrated,
	};

	kfd_svm_tell(svm, &event);
}

static void note_wanted(struct kfd_svm_populate *pop,
			const struct kfd_svm_fault *fault)
{
	if (fault->write)
		__set_bit(page_of(fault) & (KFD_SVM_BLOCK_PAGES - 1),
			  pop->wanted);
}

/*
 * Move the faults that @pop will serve from @faults to pop->faults: those on its
 * pages which the GPU is allowed to make. Others that can be answered are.
 */
static void join(struct kfd_svm *svm, const struct kfd_svm_fault *leader,
		 struct window *win, struct kfd_svm_populate *pop,
		 struct list_head *faults)
{
	enum kfd_svm_fault_outcome outcome;
	struct kfd_svm_fault *fault, *tmp;
	struct window ignored;

	mutex_lock(&svm->update_lock);
	note_written(svm, pop);
	list_for_each_entry_safe(fault, tmp, faults, link) {
		unsigned long page = page_of(fault);

		if (page < pop->first || page > pop->last ||
		    (kfd_svm_break_join && fault != leader))
			continue;
		/* Why it fails is found when it is the first in the list. */
		if (fault->write && !win->writable)
			continue;
		if (fault != leader &&
		    check_attrs(svm, fault, &ignored, &outcome)) {
			settle(fault, outcome);
			continue;
		}
		tell_start(svm, fault);
		fault->err = 0;
		list_move_tail(&fault->link, pop->faults);
		pop->gpus |= BIT_ULL(fault->gpu);
		win->for_write |= fault->write;
		note_wanted(pop, fault);
	}
	mutex_unlock(&svm->update_lock);
	pop->for_write = win->for_write;
}

/* Would it have been the same for each of the GPUs alone? */
static bool is_of_the_mm(int err)
{
	return err == -ESRCH || err == -EINTR || err == -EAGAIN ||
	       err == -EFAULT;
}

/*
 * One GPU's lack of page tables is no reason to fail the others: serve those of
 * @gpu, the rest goes back to @faults.
 */
static int populate_for_one(struct kfd_svm *svm, struct kfd_svm_populate *pop,
			    unsigned int gpu, struct list_head *faults)
{
	struct kfd_svm_fault *fault, *tmp;

	bitmap_zero(pop->wanted, KFD_SVM_BLOCK_PAGES);
	list_for_each_entry_safe(fault, tmp, pop->faults, link) {
		if (fault->gpu == gpu) {
			note_wanted(pop, fault);
			continue;
		}
		tell_end(svm, fault, false);
		list_move_tail(&fault->link, faults);
	}
	pop->gpus = BIT_ULL(gpu);
	return kfd_svm_populate(svm, pop);
}

/*
 * Bring in the part of the window that lies in the block of page @first, for the
 * GPU of @leader and all that fault there.
 */
static int map_piece(struct kfd_svm *svm, const struct kfd_svm_fault *leader,
		     struct window *win, unsigned long first,
		     struct list_head *faults)
{
	LIST_HEAD(joined);
	struct kfd_svm_populate pop = {
		.gpus = BIT_ULL(leader->gpu),
		.first = max(first, win->first),
		.last = min(first | (KFD_SVM_BLOCK_PAGES - 1), win->last),
		.kind = KFD_SVM_POPULATE_FAULT,
		.anonymous = win->anonymous,
		.faults = &joined,
	};
	struct kfd_svm_fault *fault, *tmp;
	bool moved;
	int err;

	join(svm, leader, win, &pop, faults);
	moved = kfd_svm_migrate_for_fault(svm, leader->gpu, &pop);
	err = kfd_svm_populate(svm, &pop);
	if (err && !is_of_the_mm(err) && !is_power_of_2(pop.gpus))
		err = populate_for_one(svm, &pop, leader->gpu, faults);
	moved |= pop.moved;
	list_for_each_entry_safe(fault, tmp, &joined, link) {
		tell_end(svm, fault, moved);
		settle(fault, outcome_of(err ?: fault->err, fault->write));
	}
	kfd_svm_migrated_for_fault(svm, &pop);
	return err;
}

/* Bring in the window: what faulted first, the rest as far as it goes. */
static void map_window(struct kfd_svm *svm, const struct kfd_svm_fault *leader,
		       struct window *win, struct list_head *faults)
{
	unsigned long mask = KFD_SVM_BLOCK_PAGES - 1;
	unsigned long hit = page_of(leader) & ~mask;
	unsigned long first;

	if (map_piece(svm, leader, win, hit, faults) ||
	    leader->outcome != KFD_SVM_FAULT_REPLAY)
		return;
	for (first = win->first & ~mask; first <= win->last;
	     first += KFD_SVM_BLOCK_PAGES) {
		if (first != hit && map_piece(svm, leader, win, first, faults))
			break;
	}
}

/* Find the window of a fault. Return: REPLAY to go on. */
static enum kfd_svm_fault_outcome
open_window(struct kfd_svm *svm, const struct kfd_svm_fault *fault,
	    struct window *win)
{
	enum kfd_svm_fault_outcome outcome;
	int err;

	/* Needs mmap_lock for writing, so it comes before the VMA is looked at. */
	err = hmm_mirror_watch(&svm->mirror, win->first << PAGE_SHIFT,
			       ((win->last + 1) << PAGE_SHIFT) - 1);
	if (err)
		return outcome_of(err, fault->write);
	err = hmm_mirror_mmap_read_lock(&svm->mirror);
	if (err)
		return outcome_of(err, fault->write);
	outcome = check_vma(svm, fault, win);
	hmm_mirror_mmap_read_unlock(&svm->mirror);
	return outcome;
}

/* Serve the first of @faults and all that can be served with it. */
static void serve_first(struct kfd_svm *svm, struct list_head *faults)
{
	enum kfd_svm_fault_outcome outcome;
	struct kfd_svm_fault *fault;
	struct window win = {};
	bool final;

	fault = list_first_entry(faults, struct kfd_svm_fault, link);
	/* Another fault may have done it while this one waited. */
	mutex_lock(&svm->update_lock);
	final = check_attrs(svm, fault, &win, &outcome);
	mutex_unlock(&svm->update_lock);
	if (!final)
		outcome = open_window(svm, fault, &win);
	if (final || outcome != KFD_SVM_FAULT_REPLAY)
		settle(fault, outcome);
	else
		map_window(svm, fault, &win, faults);
}

/* With op_lock held, what is not in kfd_svm.faults is settled. */
static bool all_settled(const struct kfd_svm_fault *faults, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!list_empty(&faults[i].link))
			return false;
	return true;
}

/*
 * The part of faults that sleeps, for the first one that waits and all that can be
 * served with it, be they among @faults or not; nothing if @faults need it no more.
 * Return: there is something left to do for @faults.
 */
static bool serve_waiting(struct kfd_svm *svm, struct kfd_svm_fault *faults,
			  unsigned int nr)
{
	struct kfd_svm_charge charge;
	LIST_HEAD(waiting);

	lockdep_assert_held(&svm->op_lock);

	if (all_settled(faults, nr))
		return false;
	kfd_svm_charge_begin(svm, &charge);
	svm->used = true;
	mutex_lock(&svm->update_lock);
	list_splice_init(&svm->faults, &waiting);
	mutex_unlock(&svm->update_lock);
	serve_first(svm, &waiting);
	mutex_lock(&svm->update_lock);
	list_splice(&waiting, &svm->faults);
	mutex_unlock(&svm->update_lock);
	kfd_svm_charge_end(&charge);
	return !all_settled(faults, nr);
}

/* What needs no memory is answered here. Return: the fault has to wait. */
static bool must_wait(struct kfd_svm *svm, struct kfd_svm_fault *fault)
{
	int gpu = kfd_svm_gpu_index(svm, fault->user_gpu_id);
	struct window ignored;

	lockdep_assert_held(&svm->update_lock);

	INIT_LIST_HEAD(&fault->link);
	fault->outcome = KFD_SVM_FAULT_NO_MAPPING;
	if (gpu < 0 || fault->va >= svm->mm->task_size)
		return false;
	fault->gpu = gpu;
	svm->gpus[gpu].counters.faults++;
	if (check_attrs(svm, fault, &ignored, &fault->outcome))
		return false;
	list_add_tail(&fault->link, &svm->faults);
	return true;
}

/**
 * kfd_svm_fault - accesses of GPUs found no (sufficient) translation
 * @svm: the process
 * @faults: the accesses, of any of its GPUs; each gets its outcome
 * @nr: how many
 *
 * Checks access, registers unregistered memory with the default attributes, and
 * maps windows around the addresses. Faults on pages of one window are served
 * together, so hand over all there are. Many threads may call it for one process:
 * faults on pages mapped meanwhile return at once; the slow part runs one at a
 * time, the oldest fault first, whoever's it is.
 *
 * Context: may sleep and allocate, takes mmap_lock; what is allocated is charged
 * to the process. The faulting engines must count as flushed and as quiesced
 * meanwhile. Not from atomic context, and with no lock held that an op of
 * &struct kfd_svm_gpu_ops takes.
 */
void kfd_svm_fault(struct kfd_svm *svm, struct kfd_svm_fault *faults,
		   unsigned int nr)
{
	bool wait = false;
	unsigned int i;

	mutex_lock(&svm->update_lock);
	for (i = 0; i < nr; i++)
		wait |= must_wait(svm, &faults[i]);
	mutex_unlock(&svm->update_lock);

	while (wait) {
		mutex_lock(&svm->op_lock);
		wait = serve_waiting(svm, faults, nr);
		mutex_unlock(&svm->op_lock);
		cond_resched();
	}
	for (i = 0; i < nr; i++)
		trace_kfd_svm_fault(svm->tgid, faults[i].user_gpu_id,
				    page_of(&faults[i]), faults[i].write,
				    faults[i].outcome);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_fault, KFD_SVM);
