// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bodies of SET_ATTR, GET_ATTR and SET_XNACK_MODE: checks in upstream's
 * order, attributes, then mappings. Bytes become pages here.
 */
#include "kfd_svm_priv.h"

#include <linux/mm.h>
#include <linux/overflow.h>

#include "kfd_svm_trace.h"

/* Rows 2, 3 of the errno table in <linux/kfd_svm.h>. */
static int check_args(u64 start_va, u64 len)
{
	if (!PAGE_ALIGNED(start_va) || !PAGE_ALIGNED(len))
		return -EINVAL;
	if (!start_va || !len)
		return -EINVAL;
	return 0;
}

/* Every byte of the span is in an ordinary VMA. mmap_lock held. */
static int check_vmas(struct mm_struct *mm, unsigned long start_va,
		      unsigned long end_va)
{
	mmap_assert_locked(mm);

	while (start_va < end_va) {
		struct vm_area_struct *vma = vma_lookup(mm, start_va);

		if (!vma || vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP))
			return -EFAULT;
		start_va = vma->vm_end;
	}
	return 0;
}

/* No memory object of any GPU lives in the span. */
static int check_objects(struct kfd_svm *svm, u64 start_va, u64 len)
{
	return kfd_svm_is_va_busy(svm, start_va >> PAGE_SHIFT,
				  (start_va + len - 1) >> PAGE_SHIFT) ?
		       -EADDRINUSE : 0;
}

/*
 * Rows 9 to 12, common to SET and GET. On success mmap_lock is held for
 * reading, so that what was checked stays true.
 */
static int lock_checked_span(struct kfd_svm *svm, u64 start_va, u64 len)
{
	u64 end_va;
	int err;

	if (check_add_overflow(start_va, len, &end_va))
		return -EOVERFLOW;
	err = hmm_mirror_mmap_read_lock(&svm->mirror);
	if (err)
		return err;
	err = check_vmas(svm->mm, start_va, end_va);
	if (!err)
		err = check_objects(svm, start_va, len);
	if (err)
		hmm_mirror_mmap_read_unlock(&svm->mirror);
	return err;
}

static int parse_gpu(struct kfd_svm *svm, u32 id, u64 *gpus)
{
	int gpu = kfd_svm_gpu_index(svm, id);

	if (gpu >= 0 && svm->gone & BIT_ULL(gpu))
		return -ENODEV;
	if (gpu < 0 || !(svm->capable & BIT_ULL(gpu)))
		return -EINVAL;
	*gpus = BIT_ULL(gpu);
	return 0;
}

static int parse_location(struct kfd_svm *svm, u32 loc, bool undefined_ok)
{
	u64 gpus;

	if (loc == KFD_SVM_LOC_SYSMEM)
		return 0;
	if (loc == KFD_SVM_LOC_UNDEFINED)
		return undefined_ok ? 0 : -EINVAL;
	return parse_gpu(svm, loc, &gpus);
}

static int parse_access(struct kfd_svm *svm,
			const struct kfd_svm_attribute *attr,
			struct kfd_svm_attr_update *update)
{
	u64 gpus;
	int err = parse_gpu(svm, attr->value, &gpus);

	if (err)
		return err;
	update->access_touched |= gpus;
	update->access &= ~gpus;
	update->in_place &= ~gpus;
	if (attr->type == KFD_SVM_ATTR_ACCESS)
		update->access |= gpus;
	else if (attr->type == KFD_SVM_ATTR_ACCESS_IN_PLACE)
		update->in_place |= gpus;
	return 0;
}

/* One attribute of SET into the joint update; later ones win. */
static int parse_attr(struct kfd_svm *svm, const struct kfd_svm_attribute *attr,
		      struct kfd_svm_attr_update *update)
{
	switch (attr->type) {
	case KFD_SVM_ATTR_PREFERRED_LOC:
		update->set_preferred = true;
		update->preferred = attr->value;
		return parse_location(svm, attr->value, true);
	case KFD_SVM_ATTR_PREFETCH_LOC:
		update->set_prefetch = true;
		update->prefetch = attr->value;
		return parse_location(svm, attr->value, false);
	case KFD_SVM_ATTR_ACCESS:
	case KFD_SVM_ATTR_ACCESS_IN_PLACE:
	case KFD_SVM_ATTR_NO_ACCESS:
		return parse_access(svm, attr, update);
	case KFD_SVM_ATTR_SET_FLAGS:
		update->set_flags = true;
		update->flags_or |= attr->value;
		return 0;
	case KFD_SVM_ATTR_CLR_FLAGS:
		update->set_flags = true;
		update->flags_and &= ~attr->value;
		update->flags_or &= ~attr->value;
		return 0;
	case KFD_SVM_ATTR_GRANULARITY:
		update->set_granularity = true;
		update->granularity = min_t(u32, attr->value,
					    KFD_SVM_MAX_GRANULARITY);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Rows 5 to 8. */
static int parse_update(struct kfd_svm *svm, u32 nattr,
			const struct kfd_svm_attribute *attrs,
			struct kfd_svm_attr_update *update)
{
	unsigned int i;
	u32 n;

	kfd_svm_attr_update_init(update);
	for (n = 0; n < nattr; n++) {
		int err = parse_attr(svm, &attrs[n], update);

		if (err)
			return err;
	}
	for (i = 0; i < svm->nr_gpus; i++)
		if (svm->gpus[i].vm || svm->gone & BIT_ULL(i))
			return 0;
	return -EINVAL;
}

/* What is mapped follows what the attributes say now. */
static void apply_change(struct kfd_svm *svm, unsigned long first,
			 unsigned long last, unsigned int changed)
{
	mutex_lock(&svm->update_lock);
	if (changed & KFD_SVM_CHANGED_ACCESS)
		kfd_svm_revoke(svm, first, last);
	if (changed & KFD_SVM_CHANGED_FLAGS)
		kfd_svm_rewrite(svm, first, last);
	if (changed & KFD_SVM_CHANGED_PREFERRED)
		kfd_svm_forget_thrash(svm, first, last);
	mutex_unlock(&svm->update_lock);
}

static int map_after_set(struct kfd_svm *svm, unsigned long first,
			 unsigned long last)
{
	int err, missing;

	err = kfd_svm_map_eager(svm, first, last, &missing);
	/* What was waited for may have been among it, or been revoked. */
	mutex_lock(&svm->update_lock);
	kfd_svm_settle_pending(svm, first, last);
	mutex_unlock(&svm->update_lock);
	if (missing)
		missing = -EFAULT;
	return err ?: missing;
}

/* Upstream's prefetch location acts for ever. */
static u32 sticky_location(struct kfd_svm *svm, unsigned long first)
{
	const struct kfd_svm_attr_range *range;
	u32 location = KFD_SVM_LOC_UNDEFINED;

	mutex_lock(&svm->update_lock);
	range = kfd_svm_attr_first(&svm->attrs, first, first);
	if (range)
		location = range->attr.prefetch;
	mutex_unlock(&svm->update_lock);
	return location;
}

/* Where a SET with @update moves first..last; KFD_SVM_LOC_UNDEFINED: nowhere. */
static u32 location_of(struct kfd_svm *svm, unsigned long first,
		       const struct kfd_svm_attr_update *update)
{
	if (update->set_prefetch)
		return update->prefetch;
	if (kfd_svm_break_prefetch_sticky)
		return sticky_location(svm, first);
	return KFD_SVM_LOC_UNDEFINED;
}

/* Map what @update, which is committed, says. @moved: and what has moved. */
static int map_updated(struct kfd_svm *svm, unsigned long first, unsigned long last,
		       const struct kfd_svm_attr_update *update, bool moved)
{
	lockdep_assert_held(&svm->op_lock);

	if (!update->set_flags && !update->access_touched && !moved)
		return 0;
	return map_after_set(svm, first, last);
}

/* The same after moving it to @location, for which op_lock is taken and given up. */
static int move_and_map(struct kfd_svm *svm, unsigned long first, unsigned long last,
			const struct kfd_svm_attr_update *update, u32 location)
{
	int err, map_err;
	bool moved;

	err = kfd_svm_prefetch(svm, first, last, location, &moved);
	if (err == -EINTR || err == -ESRCH)
		return err;
	if (mutex_lock_killable(&svm->op_lock))
		return -EINTR;
	map_err = map_updated(svm, first, last, update, moved);
	mutex_unlock(&svm->op_lock);
	return map_err ?: err;
}

/* Change the attributes. What has to be moved and mapped for that follows. */
static int set_attr_locked(struct kfd_svm *svm, u64 start_va, u64 len,
			   u32 nattr, const struct kfd_svm_attribute *attrs,
			   struct kfd_svm_attr_update *update)
{
	unsigned long first = start_va >> PAGE_SHIFT;
	unsigned long last = (start_va + len - 1) >> PAGE_SHIFT;
	unsigned int changed = 0;
	int err;

	lockdep_assert_held(&svm->op_lock);

	err = parse_update(svm, nattr, attrs, update);
	if (err)
		return err;
	/*
	 * Twice: watching costs memory by the size of the span, so it is not done
	 * for a span that fails anyway, and it cannot be done under mmap_lock.
	 */
	err = lock_checked_span(svm, start_va, len);
	if (err)
		return err;
	hmm_mirror_mmap_read_unlock(&svm->mirror);
	err = hmm_mirror_watch(&svm->mirror, start_va, start_va + len - 1);
	if (err)
		return err;
	err = lock_checked_span(svm, start_va, len);
	if (err)
		return err;
	svm->used = true;
	err = kfd_svm_commit_attr(svm, first, last, update, &changed);
	if (!err)
		apply_change(svm, first, last, changed);
	hmm_mirror_mmap_read_unlock(&svm->mirror);
	return err;
}

/**
 * kfd_svm_set_attr - set attributes of a span of addresses
 * @svm: the caller's process
 * @start_va: first byte
 * @len: bytes
 * @nattr: entries of @attrs; 0 is legal
 * @attrs: applied in order
 *
 * The body of ioctl(KFD_SVM_IOC) with KFD_SVM_OP_SET_ATTR: makes the checks of
 * the errno table in <linux/kfd_svm.h> from the alignment of @start_va on, in
 * that order. All or nothing up to and including the attributes; mapping goes
 * on past failures, the last one is returned and the attributes stay.
 *
 * Context: may sleep, takes mmap_lock.
 * Return: 0 or an errno of that table; also -EINTR if killed, -ESRCH if the mm
 * is gone (the front end refuses such callers before).
 */
int kfd_svm_set_attr(struct kfd_svm *svm, u64 start_va, u64 len, u32 nattr,
		     const struct kfd_svm_attribute *attrs)
{
	unsigned long first = start_va >> PAGE_SHIFT;
	unsigned long last = (start_va + len - 1) >> PAGE_SHIFT;
	struct kfd_svm_attr_update update;
	u32 location = KFD_SVM_LOC_UNDEFINED;
	int err = check_args(start_va, len);

	if (err)
		return err;
	if (mutex_lock_killable(&svm->op_lock))
		return -EINTR;
	err = set_attr_locked(svm, start_va, len, nattr, attrs, &update);
	if (!err)
		location = location_of(svm, first, &update);
	if (!err && location == KFD_SVM_LOC_UNDEFINED)
		err = map_updated(svm, first, last, &update, false);
	mutex_unlock(&svm->op_lock);
	if (location != KFD_SVM_LOC_UNDEFINED)
		err = move_and_map(svm, first, last, &update, location);
	trace_kfd_svm_set_attr(svm->tgid, first, last - first + 1, nattr, err);
	return err;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_set_attr, KFD_SVM);

static bool is_get_type(u32 type)
{
	switch (type) {
	case KFD_SVM_ATTR_PREFERRED_LOC:
	case KFD_SVM_ATTR_PREFETCH_LOC:
	case KFD_SVM_ATTR_ACCESS:
	case KFD_SVM_ATTR_SET_FLAGS:
	case KFD_SVM_ATTR_CLR_FLAGS:
	case KFD_SVM_ATTR_GRANULARITY:
		return true;
	default:
		return false;
	}
}

static int answer_access(struct kfd_svm *svm,
			 const struct kfd_svm_attr_summary *summary,
			 struct kfd_svm_attribute *attr)
{
	int gpu = kfd_svm_gpu_index(svm, attr->value);

	if (gpu < 0)
		return -EINVAL;
	if (READ_ONCE(svm->gone) & BIT_ULL(gpu))
		return -ENODEV;
	if (summary->common.access & BIT_ULL(gpu))
		attr->type = KFD_SVM_ATTR_ACCESS;
	else if (summary->common.in_place & BIT_ULL(gpu))
		attr->type = KFD_SVM_ATTR_ACCESS_IN_PLACE;
	else
		attr->type = KFD_SVM_ATTR_NO_ACCESS;
	return 0;
}

static int answer(struct kfd_svm *svm,
		  const struct kfd_svm_attr_summary *summary,
		  struct kfd_svm_attribute *attr)
{
	switch (attr->type) {
	case KFD_SVM_ATTR_PREFERRED_LOC:
		attr->value = summary->common.preferred;
		return 0;
	case KFD_SVM_ATTR_PREFETCH_LOC:
		attr->value = summary->common.prefetch;
		return 0;
	case KFD_SVM_ATTR_ACCESS:
		return answer_access(svm, summary, attr);
	case KFD_SVM_ATTR_SET_FLAGS:
		attr->value = summary->common.flags;
		return 0;
	case KFD_SVM_ATTR_CLR_FLAGS:
		attr->value = ~summary->flags_any;
		return 0;
	default:
		attr->value = summary->common.granularity;
		return 0;
	}
}

/**
 * kfd_svm_get_attr - read attributes of a span of addresses
 * @svm: the caller's process
 * @start_va: first byte
 * @len: bytes
 * @nattr: entries of @attrs
 * @attrs: answered in place; on failure the first ones may be
 *
 * The body of ioctl(KFD_SVM_IOC) with KFD_SVM_OP_GET_ATTR. Intersects over what
 * is registered in the span, as upstream does: gaps do not count. Without any
 * registered page the defaults are reported.
 *
 * Context: may sleep, takes mmap_lock.
 * Return: 0 or an errno of the table in <linux/kfd_svm.h>; also -EINTR, -ESRCH.
 */
int kfd_svm_get_attr(struct kfd_svm *svm, u64 start_va, u64 len, u32 nattr,
		     struct kfd_svm_attribute *attrs)
{
	struct kfd_svm_attr_summary summary;
	int err = check_args(start_va, len);
	u32 n;

	if (err)
		return err;
	err = lock_checked_span(svm, start_va, len);
	if (err)
		return err;
	mutex_lock(&svm->update_lock);
	kfd_svm_attr_summarize(&svm->attrs, start_va >> PAGE_SHIFT,
			       (start_va + len - 1) >> PAGE_SHIFT, &summary);
	if (!summary.any) {
		kfd_svm_default_attr(svm, &summary.common);
		summary.flags_any = summary.common.flags;
	}
	mutex_unlock(&svm->update_lock);
	hmm_mirror_mmap_read_unlock(&svm->mirror);

	for (n = 0; n < nattr; n++)
		if (!is_get_type(attrs[n].type))
			return -EINVAL;
	for (n = 0; n < nattr; n++) {
		err = answer(svm, &summary, &attrs[n]);
		if (err)
			return err;
	}
	return 0;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_get_attr, KFD_SVM);

/**
 * kfd_svm_xnack - are GPU faults of the process replayed?
 * @svm: the process
 *
 * Context: any.
 */
bool kfd_svm_xnack(struct kfd_svm *svm)
{
	return READ_ONCE(svm->xnack);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_xnack, KFD_SVM);

/**
 * kfd_svm_set_xnack - turn the replaying of GPU faults on or off
 * @svm: the process
 * @on: the mode
 *
 * The front end refuses (-EBUSY) while the process has a user queue. Access
 * defaults of ranges registered before stay what they were. Turning it off maps
 * what the GPUs have access to, since they cannot fault any more; if that fails
 * the mode stays on.
 *
 * Context: may sleep, takes mmap_lock.
 * Return: 0; -EPERM: a GPU of the process cannot replay faults; turning it off:
 * -ENOMEM, -EAGAIN: lost every race against CPU changes; -EINTR; -ESRCH.
 */
int kfd_svm_set_xnack(struct kfd_svm *svm, bool on)
{
	unsigned int i;
	int err = 0;

	if (mutex_lock_killable(&svm->op_lock))
		return -EINTR;
	if (svm->xnack == on)
		goto out_unlock;
	for (i = 0; on && i < svm->nr_gpus; i++)
		if (!svm->gpus[i].gpu->desc.xnack_capable)
			err = -EPERM;
	if (err)
		goto out_unlock;
	mutex_lock(&svm->update_lock);
	WRITE_ONCE(svm->xnack, on);
	mutex_unlock(&svm->update_lock);
	if (on)
		goto out_unlock;
	err = map_after_set(svm, 0, ULONG_MAX);
	/* As after SET, touching memory that cannot be had is the program's fault. */
	if (err == -EFAULT)
		err = 0;
	if (err) {
		mutex_lock(&svm->update_lock);
		WRITE_ONCE(svm->xnack, true);
		mutex_unlock(&svm->update_lock);
	}
out_unlock:
	mutex_unlock(&svm->op_lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_set_xnack, KFD_SVM);

/**
 * kfd_svm_range_registered - is a page of a span registered?
 * @svm: the process
 * @first_va: first byte
 * @last_va: last byte
 *
 * For memory objects, which may not overlap registered memory.
 *
 * Context: may sleep; mmap_lock may be held.
 */
bool kfd_svm_range_registered(struct kfd_svm *svm, u64 first_va, u64 last_va)
{
	bool found;

	mutex_lock(&svm->update_lock);
	found = kfd_svm_attr_first(&svm->attrs, first_va >> PAGE_SHIFT,
				   last_va >> PAGE_SHIFT);
	mutex_unlock(&svm->update_lock);
	return found;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_range_registered, KFD_SVM);
