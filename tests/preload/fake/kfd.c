// SPDX-License-Identifier: MIT
/*
 * The driver's side for libkfdsvm-preload.so, without a driver: preloaded behind it,
 * so that this ioctl() is the one it finds. /dev/null is /dev/kfd.
 *
 * What is registered is kept where it goes away with the mapping, as attributes do: in
 * the VM_DONTDUMP flag of the mapping (MADV_DONTDUMP, "dd" in /proc/self/smaps). A
 * range is refused where the driver would: holes, and memory objects.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kfd_svm.h>

#include "../../../userspace/libsvm/preload/kfd_calls.h"

static bool is_kfd_call(unsigned long request)
{
	return _IOC_TYPE(request) == PRE_KFD_TYPE;
}

/* The one memory object there can be. */
static uint64_t object_start, object_end;

static int alloc(struct pre_kfd_alloc_memory *args)
{
	if (!(args->flags & PRE_KFD_MEMORY_USERPTR) || object_end)
		return -EINVAL;
	object_start = args->mmap_offset;
	object_end = args->mmap_offset + args->size;
	args->handle = 1;
	return 0;
}

static int set(const struct kfd_svm_args *args)
{
	void *start = (void *)(uintptr_t)args->start_addr;

	if (args->op != KFD_SVM_OP_SET_ATTR || !args->size || !args->nattr)
		return -EINVAL;
	if (args->start_addr < object_end && args->start_addr + args->size > object_start)
		return -EADDRINUSE;
	if (madvise(start, args->size, MADV_DONTDUMP))
		return -EFAULT;
	/* As the driver: what can be written is made resident. */
	madvise(start, args->size, 23 /* MADV_POPULATE_WRITE */);
	return 0;
}

static int kfd_call(unsigned long request, void *arg)
{
	switch (_IOC_NR(request)) {
	case PRE_KFD_CREATE_QUEUE:
		return 0;
	case PRE_KFD_ALLOC_MEMORY:
		return alloc(arg);
	case PRE_KFD_FREE_MEMORY:
		object_start = object_end = 0;
		return 0;
	case _IOC_NR(KFD_SVM_IOC_XNACK):
		((struct kfd_svm_xnack_args *)arg)->xnack_enabled = 0;
		return 0;
	case _IOC_NR(KFD_SVM_IOC_BASE):
		return set(arg);
	}
	return -ENOTTY;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	(void)fd;
	if (!is_kfd_call(request))
		return (int)syscall(SYS_ioctl, fd, request, arg);
	ret = kfd_call(request, arg);
	if (ret)
		errno = -ret;
	return ret ? -1 : 0;
}

/* The preload's own calls. */
long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_ioctl && is_kfd_call((unsigned long)a[1]))
		return ioctl((int)a[0], (unsigned long)a[1], (void *)a[2]);
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int stat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, strcmp(path, "/dev/kfd") ? path : "/dev/null", st, 0);
}

/* Whether all of it is registered and mapped. No stdio: the heap is what is tested. */
int fake_kfd_accessible(const void *p, size_t len);

struct reader {
	int fd;
	char buf[8192];
	size_t at, n;
};

static bool line(struct reader *r, char *to, size_t len)
{
	size_t i = 0;

	for (;;) {
		if (r->at == r->n) {
			ssize_t got = read(r->fd, r->buf, sizeof(r->buf));

			if (got <= 0)
				return false;
			r->n = (size_t)got;
			r->at = 0;
		}
		if (r->buf[r->at++] == '\n')
			break;
		if (i < len - 1)
			to[i++] = r->buf[r->at - 1];
	}
	to[i] = '\0';
	return true;
}

int fake_kfd_accessible(const void *p, size_t len)
{
	uintptr_t at = (uintptr_t)p, end = at + len, start = 0, stop = 0;
	struct reader r = { .fd = open("/proc/self/smaps", 0) };
	char text[512];

	while (at < end && line(&r, text, sizeof(text))) {
		unsigned long a, b;

		if (sscanf(text, "%lx-%lx %*s", &a, &b) == 2) {
			start = a;
			stop = b;
		} else if (!strncmp(text, "VmFlags:", 8) && start <= at && at < stop) {
			if (!strstr(text, " dd"))
				break;
			at = stop;
		}
	}
	close(r.fd);
	return at >= end;
}
