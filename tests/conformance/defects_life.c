// SPDX-License-Identifier: GPL-2.0-only
/*
 * What upstream gets wrong when a process ends, item by item of
 * Documentation/svm_defects.rst: seen in the kernel's log.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "conf.h"

#define LEN (4 * KT_HUGE)

/* ---- the log ---- */

static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		conf_skip("/dev/kmsg: %s", strerror(errno));
	lseek(fd, 0, SEEK_END);
	return fd;
}

static bool is_of_the_driver(const char *line)
{
	static const char *const words[] = {
		"kfd", "amdgpu", "hmm_mirror", "vital", "BUG:", "WARNING:",
	};

	for (size_t i = 0; i < KT_ARRAY_SIZE(words); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

/* Nothing was written since log_open() that tells of the driver or of a defect. */
static void expect_quiet_log(int fd)
{
	char line[8192];
	ssize_t got;

	while ((got = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (got < 0)
			continue;	/* records lost; the next one is there */
		line[got] = 0;
		if (is_of_the_driver(line))
			fail_msg("the kernel's log has: %s", line);
	}
	close(fd);
}

/* ---- a process with memory that its GPU uses ---- */

static struct chan chan;

static int uses_memory(void *arg)
{
	char *p, *q;

	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_check(p != MAP_FAILED && q != MAP_FAILED);
	memset(p, 1, LEN);
	memset(q, 2, LEN);
	child_check(kt_svm_set1(gpu.kfd, p, LEN, KFD_SVM_ATTR_ACCESS, gpu.gpu_id) == 0);
	child_check(kt_svm_set1(gpu.kfd, q, LEN, KFD_SVM_ATTR_ACCESS, gpu.gpu_id) == 0);
	child_check(gpu_try_copy(q, p, LEN) == 0);
	/* Some of it in pieces, as upstream warns for each. */
	munmap(p + KT_HUGE, KT_PAGE);
	child_check(gpu_try_copy(q, p, KT_HUGE) == 0);
	child_is_ready(&chan);
	return 0;
}

/* 8.1 #7: a program that ends, or is killed, with memory mapped is nothing to write about. */
static void an_end_leaves_no_line_in_the_log(void **state)
{
	pid_t pid;
	int log;

	(void)state;
	gpu_open();
	log = log_open();
	pid = spawn_ready(&chan, uses_memory, NULL);
	finish_child(&chan, pid);
	pid = spawn_ready(&chan, uses_memory, NULL);
	kill(pid, SIGKILL);
	reap(pid);
	expect_quiet_log(log);
}

/* ---- the OOM reaper ---- */

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

static int release_memory(int pidfd)
{
	return syscall(SYS_process_mrelease, pidfd, 0) ? -errno : 0;
}

/*
 * 3.7: the OOM reaper takes the memory of a process that is on its way out and must not
 * sleep; here process_mrelease() is the reaper, and the process is held by ptrace where it
 * still has its memory. A kernel that looks for sleep writes to the log.
 */
static void the_oom_reaper_does_not_sleep(void **state)
{
	int log, status, pidfd, ret = 0;
	pid_t pid;

	(void)state;
	gpu_open();
	log = log_open();
	pid = spawn_ready(&chan, uses_memory, NULL);
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT))
		conf_skip("ptrace: %s", strerror(errno));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(pidfd >= 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
	if (!WIFSTOPPED(status))
		conf_skip("the kernel does not stop a killed process at its end");
	/* -EAGAIN: somebody has a lock; a reaper comes again, too. */
	assert_true(kt_wait_for((ret = release_memory(pidfd)) != -EAGAIN, KT_WAIT_MS));
	expect_ret(ret, 0);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	reap(pid);
	expect_quiet_log(log);
}

static const struct conf_case cases[] = {
	CASE(an_end_leaves_no_line_in_the_log, CONF_BOTH | CONF_ROOT),
	CASE(the_oom_reaper_does_not_sleep, CONF_BOTH | CONF_ROOT),
};

CONF_GROUP(defects_life_group, cases);
