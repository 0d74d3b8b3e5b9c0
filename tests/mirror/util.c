// SPDX-License-Identifier: GPL-2.0-only
/* Processes, threads, memory. */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hmt.h"

pid_t hmt_child(void (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	hmt_check(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fn(arg);
	fflush(NULL);
	_exit(0);
}

int hmt_reap(pid_t pid)
{
	int status = -1;

	hmt_until(waitpid(pid, &status, WNOHANG) == pid);
	return status;
}

static void *thread_main(void *arg)
{
	struct hmt_thread *t = arg;

	t->tid = (pid_t)syscall(SYS_gettid);
	while (!t->go)
		usleep(100);
	t->ret = t->fn(t->arg);
	t->done = true;
	return NULL;
}

void hmt_thread_prepare(struct hmt_thread *t, long (*fn)(void *arg), void *arg)
{
	*t = (struct hmt_thread) { .fn = fn, .arg = arg };
	hmt_check(!pthread_create(&t->thread, NULL, thread_main, t));
}

void hmt_thread_go(struct hmt_thread *t)
{
	t->go = true;
}

void hmt_thread_start(struct hmt_thread *t, long (*fn)(void *arg), void *arg)
{
	hmt_thread_prepare(t, fn, arg);
	hmt_thread_go(t);
}

long hmt_thread_join(struct hmt_thread *t)
{
	hmt_until(t->done);
	hmt_check(!pthread_join(t->thread, NULL));
	return t->ret;
}

/*
 * Each mapping has a GiB of its own, far from stacks and heap: a mirror is told of
 * events in the whole GiB, and the tests count them.
 */
static void *map_apart(size_t len, int advice)
{
	static uint64_t next = 0x100000000000;
	uint64_t va = __atomic_fetch_add(&next, (len + (2ul << 30) - 1) & -(1ul << 30),
					 __ATOMIC_RELAXED);
	char *p = (char *)va;

	hmt_check(mmap(p, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p);
	hmt_check(!madvise(p, len, advice));
	return p;
}

void *hmt_map(size_t len)
{
	return map_apart(len, MADV_NOHUGEPAGE);
}

void *hmt_map_thp(size_t len)
{
	char *p = map_apart(len, MADV_HUGEPAGE);

	for (size_t i = 0; i < len; i += HMT_HUGE)
		p[i] = 1;
	return p;
}

uint64_t hmt_pagemap(const void *p)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	hmt_check(fd >= 0);
	hmt_check(pread(fd, &entry, sizeof(entry),
			(off_t)((uintptr_t)p / HMT_PAGE * sizeof(entry))) == sizeof(entry));
	close(fd);
	return entry;
}

long hmt_proc_kb(pid_t pid, const char *file, const char *field)
{
	char path[64], line[256];
	size_t len = strlen(field);
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, field, len))
			kb = atol(line + len);
	}
	fclose(f);
	return kb;
}

int hmt_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)strlen(text), n;

	if (fd < 0)
		return -1;
	n = write(fd, text, (size_t)len);
	close(fd);
	return n == len ? 0 : -1;
}

void hmt_empty_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
}

int hmt_read_file(const char *path, char *text, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, len - 1);
	close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return 0;
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

void hmt_random_seed(uint64_t seed)
{
	random_state = seed * 2 + 1;
	hmt_note("seed %llu", (unsigned long long)seed);
}

/* xorshift64*: enough for choices, and the same everywhere. */
uint64_t hmt_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

uint64_t hmt_random_below(uint64_t n)
{
	return (hmt_random() >> 16) % n;
}
