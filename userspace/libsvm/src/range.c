// SPDX-License-Identifier: MIT
/* Calls on ranges: rounding to pages, and attributes to the kernel and back. */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* What one SVM call carries; 16 KiB, on the stack: no call allocates. */
struct svm_call {
	union {
		struct kfd_svm_args args;
		unsigned char bytes[sizeof(struct kfd_svm_args) +
				    KFD_SVM_MAX_NATTR * sizeof(struct kfd_svm_attribute)];
	};
};

_Static_assert(KFDSVM_SYSTEM == KFD_SVM_LOC_SYSMEM, "kernel's value");
_Static_assert(KFDSVM_UNDEFINED == KFD_SVM_LOC_UNDEFINED, "kernel's value");
_Static_assert(KFDSVM_HOST_ACCESS == KFD_SVM_FLAG_HOST_ACCESS, "kernel's value");
_Static_assert(KFDSVM_COHERENT == KFD_SVM_FLAG_COHERENT, "kernel's value");
_Static_assert(KFDSVM_HIVE_LOCAL == KFD_SVM_FLAG_HIVE_LOCAL, "kernel's value");
_Static_assert(KFDSVM_GPU_READ_ONLY == KFD_SVM_FLAG_GPU_RO, "kernel's value");
_Static_assert(KFDSVM_GPU_EXECUTE == KFD_SVM_FLAG_GPU_EXEC, "kernel's value");
_Static_assert(KFDSVM_GPU_READ_MOSTLY == KFD_SVM_FLAG_GPU_READ_MOSTLY, "kernel's value");
_Static_assert(KFDSVM_GPU_ALWAYS_MAPPED == KFD_SVM_FLAG_GPU_ALWAYS_MAPPED, "kernel's value");
_Static_assert(KFDSVM_EXT_COHERENT == KFD_SVM_FLAG_EXT_COHERENT, "kernel's value");

/*
 * Pages of [@addr, @addr + @len). Works on the last byte, not on the end, which
 * need not be an address.
 */
static int cover(const struct kfdsvm *h, const void *addr, size_t len, unsigned int flags,
		 struct kfdsvm_range *range)
{
	uintptr_t mask = h->page - 1;
	uintptr_t start = (uintptr_t)addr;
	uintptr_t last = start + (len - 1);
	uintptr_t first_page, end;

	range->start = 0;
	range->len = 0;
	if (!len)
		return -EINVAL;
	if (last < start)
		return -EOVERFLOW;
	if (flags & KFDSVM_INNER) {
		first_page = (start + mask) & ~mask;
		end = (last + 1) & ~mask;
		/* Rounding up at the top of the address space ends at 0. */
		if (first_page < start || (last + 1 != 0 && end <= first_page))
			end = first_page;
	} else {
		first_page = start & ~mask;
		end = (last | mask) + 1;
	}
	if (end < first_page)
		return -EOVERFLOW;
	range->start = first_page;
	range->len = end - first_page;
	return first_page || !range->len ? 0 : -EINVAL;
}

/*
 * How every call begins. 0 and range->len > 0: go on. @covered is the caller's,
 * filled in whatever comes after.
 */
static int begin(const struct kfdsvm *h, const void *addr, size_t len, unsigned int flags,
		 unsigned int known_flags, struct kfdsvm_range *range,
		 struct kfdsvm_range *covered)
{
	int ret = kfdsvm_check(h);

	memset(range, 0, sizeof(*range));
	if (!ret && flags & ~known_flags)
		ret = -EINVAL;
	if (!ret)
		ret = cover(h, addr, len, flags, range);
	if (covered)
		*covered = *range;
	return ret;
}

static void attr_add(struct svm_call *call, uint32_t type, uint32_t value)
{
	struct kfd_svm_attribute *attr = &call->args.attrs[call->args.nattr++];

	attr->type = type;
	attr->value = value;
}

static int svm_call(const struct kfdsvm *h, const struct kfdsvm_range *range, uint32_t op,
		    struct svm_call *call)
{
	call->args.start_addr = range->start;
	call->args.size = range->len;
	call->args.op = op;
	return kfdsvm_ioctl(h, KFD_SVM_IOC(call->args.nattr), call);
}

/* One attribute of @type per GPU, in the caller's order or that of the devices. */
static int set_access(const struct kfdsvm *h, const struct kfdsvm_range *range,
		      const uint32_t *gpus, unsigned int ngpus, uint32_t type)
{
	struct svm_call call;
	unsigned int i;

	call.args.nattr = 0;
	if (gpus ? !ngpus || ngpus > KFD_SVM_MAX_NATTR : ngpus)
		return -EINVAL;
	for (i = 0; i < ngpus; i++) {
		if (!kfdsvm_has_gpu(h, gpus[i]))
			return -EINVAL;
		attr_add(&call, type, gpus[i]);
	}
	for (i = 0; !gpus && i < h->ndevices; i++)
		if (h->devices[i].info.usable)
			attr_add(&call, type, h->devices[i].info.gpu_id);
	if (!range->len)
		return 0;
	return svm_call(h, range, KFD_SVM_OP_SET_ATTR, &call);
}

int kfdsvm_share(struct kfdsvm *h, const void *addr, size_t len, const uint32_t *gpus,
		 unsigned int ngpus, unsigned int flags, struct kfdsvm_range *covered)
{
	struct kfdsvm_range range;
	int saved = errno;
	int ret = begin(h, addr, len, flags, KFDSVM_INNER | KFDSVM_IN_PLACE, &range, covered);

	if (!ret)
		ret = set_access(h, &range, gpus, ngpus, flags & KFDSVM_IN_PLACE ?
				 KFD_SVM_ATTR_ACCESS_IN_PLACE : KFD_SVM_ATTR_ACCESS);
	errno = saved;
	return ret;
}

int kfdsvm_unshare(struct kfdsvm *h, const void *addr, size_t len, const uint32_t *gpus,
		   unsigned int ngpus, unsigned int flags, struct kfdsvm_range *covered)
{
	struct kfdsvm_range range;
	int saved = errno;
	int ret = begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = set_access(h, &range, gpus, ngpus, KFD_SVM_ATTR_NO_ACCESS);
	errno = saved;
	return ret;
}

int kfdsvm_prefetch(struct kfdsvm *h, const void *addr, size_t len, uint32_t location,
		    unsigned int flags, struct kfdsvm_range *covered)
{
	struct kfdsvm_range range;
	struct svm_call call;
	int saved = errno;
	int ret = begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret && location != KFDSVM_SYSTEM && !kfdsvm_has_gpu(h, location))
		ret = -EINVAL;
	if (!ret && range.len) {
		call.args.nattr = 0;
		attr_add(&call, KFD_SVM_ATTR_PREFETCH_LOC, location);
		ret = svm_call(h, &range, KFD_SVM_OP_SET_ATTR, &call);
	}
	errno = saved;
	return ret;
}

static int add_access(const struct kfdsvm *h, const struct kfdsvm_advice *advice,
		      struct svm_call *call)
{
	static const uint32_t types[] = {
		[KFDSVM_ACCESS_NONE] = KFD_SVM_ATTR_NO_ACCESS,
		[KFDSVM_ACCESS_MIGRATE] = KFD_SVM_ATTR_ACCESS,
		[KFDSVM_ACCESS_IN_PLACE] = KFD_SVM_ATTR_ACCESS_IN_PLACE,
	};

	if (advice->naccess > KFD_SVM_MAX_NATTR - call->args.nattr)
		return -E2BIG;
	if (advice->naccess && !advice->access)
		return -EINVAL;
	for (uint32_t i = 0; i < advice->naccess; i++) {
		const struct kfdsvm_access *a = &advice->access[i];

		if (a->kind > KFDSVM_ACCESS_IN_PLACE || !kfdsvm_has_gpu(h, a->gpu_id))
			return -EINVAL;
		attr_add(call, types[a->kind], a->gpu_id);
	}
	return 0;
}

static int add_advice(const struct kfdsvm *h, const struct kfdsvm_advice *advice,
		      struct svm_call *call)
{
	const uint32_t known = KFDSVM_ADVISE_PREFERRED | KFDSVM_ADVISE_FLAGS |
			       KFDSVM_ADVISE_GRANULARITY | KFDSVM_ADVISE_ACCESS;
	uint32_t fields = advice->fields;

	call->args.nattr = 0;
	if (!fields || fields & ~known)
		return -EINVAL;
	if (fields & KFDSVM_ADVISE_PREFERRED) {
		if (advice->preferred != KFDSVM_SYSTEM && advice->preferred != KFDSVM_UNDEFINED &&
		    !kfdsvm_has_gpu(h, advice->preferred))
			return -EINVAL;
		attr_add(call, KFD_SVM_ATTR_PREFERRED_LOC, advice->preferred);
	}
	if (fields & KFDSVM_ADVISE_FLAGS) {
		attr_add(call, KFD_SVM_ATTR_CLR_FLAGS, advice->flags_clear);
		attr_add(call, KFD_SVM_ATTR_SET_FLAGS, advice->flags_set);
	}
	if (fields & KFDSVM_ADVISE_GRANULARITY)
		attr_add(call, KFD_SVM_ATTR_GRANULARITY,
			 advice->granularity_lg2 < KFD_SVM_MAX_GRANULARITY ?
			 advice->granularity_lg2 : KFD_SVM_MAX_GRANULARITY);
	return fields & KFDSVM_ADVISE_ACCESS ? add_access(h, advice, call) : 0;
}

int kfdsvm_advise(struct kfdsvm *h, const void *addr, size_t len,
		  const struct kfdsvm_advice *advice, unsigned int flags,
		  struct kfdsvm_range *covered)
{
	struct kfdsvm_advice known;
	struct kfdsvm_range range;
	struct svm_call call;
	int saved = errno;
	int ret = begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = advice ? kfdsvm_take(&known, sizeof(known), advice) : -EINVAL;
	if (!ret)
		ret = add_advice(h, &known, &call);
	if (!ret && range.len)
		ret = svm_call(h, &range, KFD_SVM_OP_SET_ATTR, &call);
	errno = saved;
	return ret;
}

static uint32_t access_kind(uint32_t type)
{
	switch (type) {
	case KFD_SVM_ATTR_ACCESS:
		return KFDSVM_ACCESS_MIGRATE;
	case KFD_SVM_ATTR_ACCESS_IN_PLACE:
		return KFDSVM_ACCESS_IN_PLACE;
	default:
		return KFDSVM_ACCESS_NONE;
	}
}

/* Order of the questions, by index into attrs[]. */
enum { Q_PREFERRED, Q_PREFETCH, Q_SET_FLAGS, Q_CLR_FLAGS, Q_GRANULARITY, Q_ACCESS };

static int query(const struct kfdsvm *h, const struct kfdsvm_range *range,
		 struct kfdsvm_attributes *out)
{
	uint32_t room = out->access ? out->naccess : 0;
	struct svm_call call;
	struct kfd_svm_attribute *attrs = call.args.attrs;
	int ret;

	call.args.nattr = 0;
	attr_add(&call, KFD_SVM_ATTR_PREFERRED_LOC, 0);
	attr_add(&call, KFD_SVM_ATTR_PREFETCH_LOC, 0);
	attr_add(&call, KFD_SVM_ATTR_SET_FLAGS, 0);
	attr_add(&call, KFD_SVM_ATTR_CLR_FLAGS, 0);
	attr_add(&call, KFD_SVM_ATTR_GRANULARITY, 0);
	for (unsigned int i = 0; i < h->ndevices && call.args.nattr - Q_ACCESS < room; i++)
		if (h->devices[i].info.usable)
			attr_add(&call, KFD_SVM_ATTR_ACCESS, h->devices[i].info.gpu_id);
	ret = svm_call(h, range, KFD_SVM_OP_GET_ATTR, &call);
	if (ret)
		return ret;
	out->preferred = attrs[Q_PREFERRED].value;
	out->prefetched = attrs[Q_PREFETCH].value;
	out->flags_all = attrs[Q_SET_FLAGS].value;
	out->flags_any = ~attrs[Q_CLR_FLAGS].value;
	out->granularity_lg2 = attrs[Q_GRANULARITY].value;
	out->naccess = call.args.nattr - Q_ACCESS;
	for (uint32_t i = 0; i < out->naccess; i++) {
		out->access[i].gpu_id = attrs[Q_ACCESS + i].value;
		out->access[i].kind = access_kind(attrs[Q_ACCESS + i].type);
	}
	return 0;
}

int kfdsvm_query(struct kfdsvm *h, const void *addr, size_t len,
		 struct kfdsvm_attributes *attributes, unsigned int flags,
		 struct kfdsvm_range *covered)
{
	struct kfdsvm_attributes known;
	struct kfdsvm_range range;
	int saved = errno;
	int ret = begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = attributes ? kfdsvm_take(&known, sizeof(known), attributes) : -EINVAL;
	/* There is nothing to tell about no page. */
	if (!ret && !range.len)
		ret = -EINVAL;
	if (!ret)
		ret = query(h, &range, &known);
	if (!ret)
		ret = kfdsvm_give(attributes, &known, sizeof(known));
	errno = saved;
	return ret;
}
