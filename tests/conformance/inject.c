// SPDX-License-Identifier: GPL-2.0-only
/* Kernel allocations that fail: of this task, or of the kernel's workers. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "conf.h"
#include "inject.h"

static int nth_fd = -1;

/* fail-nth acts on what the two injectors would do, and they skip our flags. */
void inject_arm(void)
{
	static const char *const dirs[] = { "failslab", "fail_page_alloc" };
	char path[96];

	for (unsigned int i = 0; i < KT_ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/ignore-gfp-wait", dirs[i]);
		if (kt_write_file(path, "N"))
			conf_skip("no %s (needs the debug kernel)", path);
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose", dirs[i]);
		kt_write_file(path, "0");
	}
	kt_write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	kt_write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		conf_skip("no /proc/self/fail-nth (needs the debug kernel)");
}

void inject_fail_nth(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* What is still armed may hit this very write; then it is disarmed. */
	if (pwrite(nth_fd, text, (size_t)len, 0) != len)
		assert_int_equal(pwrite(nth_fd, text, (size_t)len, 0), len);
}

/* Whether the failure was used up; also ends the injection. */
bool inject_was_hit(void)
{
	char text[16] = "";

	/* The injection also counts copies to user space, as the one of this read. */
	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0) {
		assert_int_equal(errno, EFAULT);
		inject_fail_nth(0);
		return false;
	}
	inject_fail_nth(0);
	return atoi(text) == 0;
}

/* ---- workers ---- */

#define FAILSLAB "/sys/kernel/debug/failslab/"
#define FAIL_PAGE "/sys/kernel/debug/fail_page_alloc/"

static void set_both(const char *name, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), FAILSLAB "%s", name);
	expect_ok(kt_write_file(path, text));
	snprintf(path, sizeof(path), FAIL_PAGE "%s", name);
	expect_ok(kt_write_file(path, text));
}

/* Workers come and go; new ones have it of their parent. */
static void mark_workers(const char *what)
{
	char path[320], name[32];
	struct dirent *d;
	DIR *proc = opendir("/proc");

	assert_non_null(proc);
	while ((d = readdir(proc))) {
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (kt_read_file(path, name, sizeof(name)) <= 0 ||
		    (strncmp(name, "kworker", 7) && strncmp(name, "kthreadd", 8) &&
		     strncmp(name, "vamdgpu", 7)))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail", d->d_name);
		kt_write_file(path, what);
	}
	closedir(proc);
}

static void workers_off(void)
{
	set_both("probability", "0");
	set_both("task-filter", "N");
	mark_workers("0");
}

void inject_in_workers(unsigned int n)
{
	static bool prepared;
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	if (!prepared) {
		prepared = true;
		atexit(workers_off);
		set_both("task-filter", "Y");
		mark_workers("1");
	}
	set_both("interval", text);
	set_both("times", "1");
	set_both("probability", "100");
}

static long times_left(const char *path)
{
	char text[32];

	assert_true(kt_read_file(path, text, sizeof(text)) > 0);
	return atol(text);
}

bool inject_in_workers_was_hit(void)
{
	set_both("probability", "0");
	return !times_left(FAILSLAB "times") || !times_left(FAIL_PAGE "times");
}
