// SPDX-License-Identifier: MIT
/*
 * Registering: attributes to the driver, the limit on resident memory, and what
 * had to be left out. All under pre_lock().
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kfd_svm.h>

#include "preload.h"

#define MAX_ATTRS	(PRE_MAX_GPUS + 2)
#define MAX_TRIES	64u	/* of a range that changes under the call */
#define MAX_REFUSED	96u	/* calls to find the good parts of a bad mapping */
#define LOOK_LEN	((uintptr_t)16 << 20)
/* Above the limit pages are looked at one by one; no sense in a terabyte of them. */
#define MAX_SPARSE_LEN	((uintptr_t)64 << 30)

struct set_args {
	struct kfd_svm_args head;
	struct kfd_svm_attribute attrs[MAX_ATTRS];
};

static int call(struct set_args *args)
{
	long ret = syscall(SYS_ioctl, pre.kfd, KFD_SVM_IOC(args->head.nattr), args);

	return ret < 0 ? -errno : 0;
}

/* The program may close descriptors that it does not know (closefrom). */
static int call_reopen(struct set_args *args)
{
	int ret = call(args);

	if (ret != -EBADF && ret != -ENOTTY)
		return ret;
	pre.kfd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/kfd", O_RDWR | O_CLOEXEC);
	return call(args);
}

static void add(struct set_args *args, uint32_t type, uint32_t value)
{
	args->attrs[args->head.nattr++] = (struct kfd_svm_attribute){ type, value };
}

static int set(uintptr_t start, uintptr_t end)
{
	const struct pre_options *o = &pre.options;
	struct set_args args = {
		.head = { .start_addr = start, .size = end - start, .op = KFD_SVM_OP_SET_ATTR },
	};
	int ret = -EAGAIN;

	if (o->has_preferred)
		add(&args, KFD_SVM_ATTR_PREFERRED_LOC,
		    o->preferred == UINT32_MAX ? pre.gpus[0] : o->preferred);
	if (o->has_granularity)
		add(&args, KFD_SVM_ATTR_GRANULARITY, o->granularity_lg2);
	for (unsigned int i = 0; pre.populate && i < pre.ngpus; i++)
		add(&args, KFD_SVM_ATTR_ACCESS, pre.gpus[i]);
	for (unsigned int i = 0; i < MAX_TRIES && (ret == -EAGAIN || ret == -EINTR); i++)
		ret = call_reopen(&args);
	return ret;
}

int pre_probe(uint32_t gpu_id)
{
	static char page[1 << 16] __attribute__((aligned(1 << 16)));
	struct set_args args = {
		.head = { .start_addr = (uintptr_t)page, .size = pre.page,
			  .op = KFD_SVM_OP_SET_ATTR },
	};

	add(&args, KFD_SVM_ATTR_ACCESS, gpu_id);
	return call_reopen(&args);
}

/*
 * A range may hold a memory object of the runtime that we do not know of
 * (EADDRINUSE) or pages that cannot be had, as a file's past its end (EFAULT): what
 * is around them is found by halving.
 */
static void set_parts(uintptr_t start, uintptr_t end, unsigned int *refused)
{
	int ret = set(start, end);
	uintptr_t mid;

	if (!ret) {
		pre.counts.ranges++;
		pre.counts.shared_len += end - start;
		return;
	}
	(*refused)++;
	if ((ret == -EADDRINUSE || ret == -EFAULT) && end - start > pre.page &&
	    *refused < MAX_REFUSED) {
		mid = pre_down(start + (end - start) / 2);
		set_parts(start, mid, refused);
		set_parts(mid, end, refused);
	} else if (ret == -EADDRINUSE) {
		pre.counts.busy_len += end - start;
	} else {
		pre.counts.refused_len += end - start;
	}
}

static void set_range(uintptr_t start, uintptr_t end)
{
	unsigned int refused = 0;

	set_parts(start, end, &refused);
}

/* Bytes of this process in memory. */
static uint64_t resident(void)
{
	char text[128];
	const char *p;
	uint64_t pages = 0;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);
	long got;

	if (fd < 0)
		return 0;
	got = syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	text[got > 0 ? got : 0] = '\0';
	p = strchr(text, ' ');
	while (p && *++p >= '0' && *p <= '9')
		pages = pages * 10 + (uint64_t)(*p - '0');
	return pages * pre.page;
}

static unsigned char present[LOOK_LEN / 4096];

/* Looks at [@start, returned address): one byte a page, bit 0. */
static uintptr_t look(uintptr_t start, uintptr_t end)
{
	if (end - start > LOOK_LEN)
		end = start + LOOK_LEN;
	if (syscall(SYS_mincore, start, end - start, present))
		memset(present, 0, sizeof(present));
	return end;
}

static uint64_t absent_len(uintptr_t start, uintptr_t end)
{
	uint64_t absent = 0;

	while (start < end) {
		uintptr_t to = look(start, end);

		for (size_t i = 0; i < (to - start) / pre.page; i++)
			absent += (present[i] & 1) ? 0 : pre.page;
		start = to;
	}
	return absent;
}

/* What is in memory already costs nothing. */
static void set_resident(uintptr_t start, uintptr_t end)
{
	while (start < end) {
		uintptr_t to = look(start, end);
		size_t n = (to - start) / pre.page;

		for (size_t i = 0, j; i < n; i = j + 1) {
			for (j = i; j < n && (present[j] & 1); j++)
				;
			if (j > i)
				set_range(start + i * pre.page, start + j * pre.page);
		}
		start = to;
	}
}

static void tell_over(uintptr_t start, uintptr_t end)
{
	if (pre.over_told)
		return;
	pre.over_told = true;
	pre_say("the limit of %llu MiB of resident memory is reached: of %p to %p, and from now on, "
		"only what is in memory is given to GPUs (--max-resident)",
		(unsigned long long)(pre.max_resident >> 20), (void *)start, (void *)end);
}

static void share_part(uintptr_t start, uintptr_t end)
{
	uint64_t absent;

	if (!pre.populate) {
		set_range(start, end);
		return;
	}
	/* Of more than the limit not enough can be there already. */
	absent = end - start > pre.max_resident ? end - start : absent_len(start, end);
	if (absent && resident() + absent > pre.max_resident) {
		tell_over(start, end);
		pre.counts.over_len += absent;
		if (end - start <= MAX_SPARSE_LEN)
			set_resident(start, end);
		return;
	}
	set_range(start, end);
	pre.counts.grown_len += absent;
}

void pre_share(uintptr_t start, uintptr_t end)
{
	uintptr_t part_end;

	/* The child of a vfork runs on this memory and is another process. */
	if (!pre_is(PRE_ACTIVE) || pre.pid != (int)syscall(SYS_getpid))
		return;
	start = pre_down(start);
	end = pre_up(end);
	for (; pre_own_next(&start, end, &part_end); start = part_end)
		share_part(start, part_end);
}
