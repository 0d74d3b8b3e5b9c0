// SPDX-License-Identifier: MIT
/* Rounding to pages, and one SVM call to the kernel. */
#include <errno.h>
#include <string.h>

#include "call.h"

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

int kfdsvm_begin(const struct kfdsvm *h, const void *addr, size_t len, unsigned int flags,
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

void kfdsvm_call_add(struct kfdsvm_call *call, uint32_t type, uint32_t value)
{
	struct kfd_svm_attribute *attr = &call->args.attrs[call->args.nattr++];

	attr->type = type;
	attr->value = value;
}

int kfdsvm_call_do(const struct kfdsvm *h, const struct kfdsvm_range *range, uint32_t op,
		   struct kfdsvm_call *call)
{
	call->args.start_addr = range->start;
	call->args.size = range->len;
	call->args.op = op;
	return kfdsvm_ioctl(h, KFD_SVM_IOC(call->args.nattr), call);
}
