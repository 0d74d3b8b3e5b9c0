// SPDX-License-Identifier: GPL-2.0-only
#include "svm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct ksb_info svm_info;

int svm_module_open(void)
{
	int fd = open(KSB_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(KSB_DEVICE ": %s", strerror(errno));
	device_call(fd, KSB_INFO, &svm_info, "ask what there is");
	return fd;
}

struct ksb_pass svm_pass(int fd, unsigned int op, const struct memory *m)
{
	struct ksb_pass pass = {
		.op = op,
		.first_va = (uintptr_t)m->start,
		.len = m->len,
	};
	char what[32];

	snprintf(what, sizeof(what), "operation %u", op);
	device_call(fd, KSB_PASS, &pass, what);
	return pass;
}
