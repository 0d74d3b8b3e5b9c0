// SPDX-License-Identifier: MIT
/*
 * What the process has mapped when a queue comes: everything the program can read,
 * but for devices, the kernel's own pages, and read-only memory of shared
 * libraries, which is large and no data of the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

/* The kernel keeps a gap of 256 pages below a stack; some more for other mappings. */
#define STACK_GAP_PAGES	512u

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool is_device(const char *name)
{
	if (starts(name, "/dev/"))
		return !starts(name, "/dev/shm/") && !starts(name, "/dev/zero") &&
		       !starts(name, "/dev/hugepages/");
	if (name[0] == '[')
		return !starts(name, "[heap]") && !starts(name, "[stack]") &&
		       !starts(name, "[anon");
	/* anon_inode:, socket:, dmabuf: and the like */
	return name[0] && name[0] != '/';
}

static bool is_wanted(const struct pre_mapping *m)
{
	if (!m->read || is_device(m->name))
		return false;
	return m->write || (!m->exec && !pre_in_library(m->start));
}

/*
 * The main thread's stack grows when the CPU touches it, which the driver cannot
 * do, and a mapping that grows does not carry attributes along. So it is made as
 * long as it may become. The kernel is asked to read a string there: that grows
 * the stack like an access by the program, and fails where that would be SIGSEGV.
 */
static uintptr_t grow_stack(const struct pre_mapping *m)
{
	uint64_t len = pre.options.stack_len;
	uintptr_t low, floor = m->before + STACK_GAP_PAGES * pre.page;
	struct rlimit limit;

	if (syscall(SYS_prlimit64, 0, RLIMIT_STACK, NULL, &limit))
		return m->start;
	if (limit.rlim_cur < len)
		len = limit.rlim_cur;
	len &= ~(uint64_t)(pre.page - 1);
	if (len >= m->end || len <= m->end - m->start)
		return m->start;
	low = m->end - len;
	if (low < floor)
		low = floor;
	if (low >= m->start)
		return m->start;
	if (syscall(SYS_faccessat, AT_FDCWD, low, F_OK) && errno == EFAULT)
		return m->start;
	return low;
}

static bool share_mapping(const struct pre_mapping *m, void *ctx)
{
	(void)ctx;
	if (!is_wanted(m))
		return false;
	if (starts(m->name, "[stack]") && pre.populate)
		pre_share(grow_stack(m), m->end);
	else
		pre_share(m->start, m->end);
	if (starts(m->name, "[heap]"))
		pre_heap_seen(m->start, m->end);
	return false;
}

void pre_scan(void)
{
	pre_maps(share_mapping, NULL);
}
