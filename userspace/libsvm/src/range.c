// SPDX-License-Identifier: MIT
/* Calls on ranges: attributes to the kernel and back. */
#include <errno.h>
#include <string.h>

#include "call.h"

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

/* One attribute of @type per GPU, in the caller's order or that of the devices. */
static int set_access(const struct kfdsvm *h, const struct kfdsvm_range *range,
		      const uint32_t *gpus, unsigned int ngpus, uint32_t type)
{
	struct kfdsvm_call call;
	unsigned int i;

	call.args.nattr = 0;
	if (gpus ? !ngpus || ngpus > KFD_SVM_MAX_NATTR : ngpus)
		return -EINVAL;
	for (i = 0; i < ngpus; i++) {
		if (!kfdsvm_has_gpu(h, gpus[i]))
			return -EINVAL;
		kfdsvm_call_add(&call, type, gpus[i]);
	}
	for (i = 0; !gpus && i < h->ndevices; i++)
		if (h->devices[i].info.usable)
			kfdsvm_call_add(&call, type, h->devices[i].info.gpu_id);
	if (!range->len)
		return 0;
	return kfdsvm_call_do(h, range, KFD_SVM_OP_SET_ATTR, &call);
}

int kfdsvm_share(struct kfdsvm *h, const void *addr, size_t len, const uint32_t *gpus,
		 unsigned int ngpus, unsigned int flags, struct kfdsvm_range *covered)
{
	struct kfdsvm_range range;
	int saved = errno;
	int ret = kfdsvm_begin(h, addr, len, flags, KFDSVM_INNER | KFDSVM_IN_PLACE, &range, covered);

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
	int ret = kfdsvm_begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = set_access(h, &range, gpus, ngpus, KFD_SVM_ATTR_NO_ACCESS);
	errno = saved;
	return ret;
}

int kfdsvm_check_location(const struct kfdsvm *h, uint32_t location)
{
	return location == KFDSVM_SYSTEM || kfdsvm_has_gpu(h, location) ? 0 : -EINVAL;
}

int kfdsvm_prefetch_pages(const struct kfdsvm *h, const struct kfdsvm_range *range,
			  uint32_t location)
{
	struct kfdsvm_call call;

	call.args.nattr = 0;
	kfdsvm_call_add(&call, KFD_SVM_ATTR_PREFETCH_LOC, location);
	return kfdsvm_call_do(h, range, KFD_SVM_OP_SET_ATTR, &call);
}

int kfdsvm_prefetch(struct kfdsvm *h, const void *addr, size_t len, uint32_t location,
		    unsigned int flags, struct kfdsvm_range *covered)
{
	struct kfdsvm_range range;
	int saved = errno;
	int ret = kfdsvm_begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = kfdsvm_check_location(h, location);
	if (!ret && range.len)
		ret = kfdsvm_prefetch_pages(h, &range, location);
	errno = saved;
	return ret;
}

static int add_access(const struct kfdsvm *h, const struct kfdsvm_advice *advice,
		      struct kfdsvm_call *call)
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
		kfdsvm_call_add(call, types[a->kind], a->gpu_id);
	}
	return 0;
}

static int add_advice(const struct kfdsvm *h, const struct kfdsvm_advice *advice,
		      struct kfdsvm_call *call)
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
		kfdsvm_call_add(call, KFD_SVM_ATTR_PREFERRED_LOC, advice->preferred);
	}
	if (fields & KFDSVM_ADVISE_FLAGS) {
		kfdsvm_call_add(call, KFD_SVM_ATTR_CLR_FLAGS, advice->flags_clear);
		kfdsvm_call_add(call, KFD_SVM_ATTR_SET_FLAGS, advice->flags_set);
	}
	if (fields & KFDSVM_ADVISE_GRANULARITY)
		kfdsvm_call_add(call, KFD_SVM_ATTR_GRANULARITY,
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
	struct kfdsvm_call call;
	int saved = errno;
	int ret = kfdsvm_begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = advice ? kfdsvm_take(&known, sizeof(known), advice) : -EINVAL;
	if (!ret)
		ret = add_advice(h, &known, &call);
	if (!ret && range.len)
		ret = kfdsvm_call_do(h, &range, KFD_SVM_OP_SET_ATTR, &call);
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
	struct kfdsvm_call call;
	struct kfd_svm_attribute *attrs = call.args.attrs;
	int ret;

	call.args.nattr = 0;
	kfdsvm_call_add(&call, KFD_SVM_ATTR_PREFERRED_LOC, 0);
	kfdsvm_call_add(&call, KFD_SVM_ATTR_PREFETCH_LOC, 0);
	kfdsvm_call_add(&call, KFD_SVM_ATTR_SET_FLAGS, 0);
	kfdsvm_call_add(&call, KFD_SVM_ATTR_CLR_FLAGS, 0);
	kfdsvm_call_add(&call, KFD_SVM_ATTR_GRANULARITY, 0);
	for (unsigned int i = 0; i < h->ndevices && call.args.nattr - Q_ACCESS < room; i++)
		if (h->devices[i].info.usable)
			kfdsvm_call_add(&call, KFD_SVM_ATTR_ACCESS, h->devices[i].info.gpu_id);
	ret = kfdsvm_call_do(h, range, KFD_SVM_OP_GET_ATTR, &call);
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
	int ret = kfdsvm_begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

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
