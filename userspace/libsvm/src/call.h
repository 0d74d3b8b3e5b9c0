/* SPDX-License-Identifier: MIT */
/* A call on a range: pages, attributes, and the kernel. */
#ifndef KFDSVM_CALL_H
#define KFDSVM_CALL_H

#include "internal.h"

/* What one SVM call carries; 16 KiB, on the stack: no call allocates. */
struct kfdsvm_call {
	union {
		struct kfd_svm_args args;
		unsigned char bytes[sizeof(struct kfd_svm_args) +
				    KFD_SVM_MAX_NATTR * sizeof(struct kfd_svm_attribute)];
	};
};

/*
 * How every call on a range begins. 0 and range->len > 0: go on. @covered is the
 * caller's, filled in whatever comes after.
 */
int kfdsvm_begin(const struct kfdsvm *h, const void *addr, size_t len, unsigned int flags,
		 unsigned int known_flags, struct kfdsvm_range *range,
		 struct kfdsvm_range *covered);

/* The caller begins with args.nattr = 0 and adds at most KFD_SVM_MAX_NATTR. */
void kfdsvm_call_add(struct kfdsvm_call *call, uint32_t type, uint32_t value);
int kfdsvm_call_do(const struct kfdsvm *h, const struct kfdsvm_range *range, uint32_t op,
		   struct kfdsvm_call *call);

/* range.c: prefetch of whole pages to a location that is known to exist. */
int kfdsvm_prefetch_pages(const struct kfdsvm *h, const struct kfdsvm_range *range,
			  uint32_t location);
/* 0: @location can be prefetched to. */
int kfdsvm_check_location(const struct kfdsvm *h, uint32_t location);

/* residency.c: the same, looked at before and after. */
int kfdsvm_prefetch_look(const struct kfdsvm *h, const struct kfdsvm_range *range,
			 uint32_t location, struct kfdsvm_progress *progress);

#endif
