// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kt.h"

int kt_svm_raw(int kfd, size_t cmd_len, struct kfd_svm_args *args)
{
	unsigned long cmd = _IOC(_IOC_READ | _IOC_WRITE, 'K', 0x20, 0);

	return kt_ioctl(kfd, cmd | (unsigned long)cmd_len << _IOC_SIZESHIFT, args);
}

int kt_svm(int kfd, uint32_t op, uint64_t start, uint64_t size, uint32_t nattr,
	   struct kfd_svm_attribute *attrs)
{
	size_t len = sizeof(struct kfd_svm_args) + nattr * sizeof(*attrs);
	struct kfd_svm_args *args = malloc(len);
	int ret;

	if (!args)
		return -ENOMEM;
	args->start_addr = start;
	args->size = size;
	args->op = op;
	args->nattr = nattr;
	if (nattr)
		memcpy(args->attrs, attrs, nattr * sizeof(*attrs));
	ret = kt_svm_raw(kfd, len, args);
	/* The kernel copies back after a failure, too. */
	if (nattr)
		memcpy(attrs, args->attrs, nattr * sizeof(*attrs));
	free(args);
	return ret;
}

int kt_svm_set1(int kfd, const void *start, uint64_t size, uint32_t type,
		uint32_t value)
{
	struct kfd_svm_attribute attr = { .type = type, .value = value };

	return kt_svm(kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)start, size, 1, &attr);
}
