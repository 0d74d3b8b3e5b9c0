// SPDX-License-Identifier: GPL-2.0-only
/* Children, windows, words. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "zoo.h"

#define EXIT_SKIPPED	77

/* Where a child says why it was skipped. */
static int why_fd = -1;

void zoo_skip(const char *why, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, why);
	vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	if (why_fd < 0)
		hmt_skip("%s", text);
	hmt_check(write(why_fd, text, strlen(text)) >= 0);
	_exit(EXIT_SKIPPED);
}

int zoo_in_child(const char *what, void (*fn)(void *arg), void *arg, char *why,
		 size_t why_len)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	fflush(NULL);
	hmt_check(!pipe2(fds, O_CLOEXEC));
	pid = fork();
	hmt_check(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		why_fd = fds[1];
		fn(arg);
		fflush(NULL);
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], why, why_len - 1);
	why[n > 0 ? n : 0] = 0;
	close(fds[0]);
	hmt_check(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		return EXIT_SKIPPED;
	hmt_check_that(WIFEXITED(status) && !WEXITSTATUS(status),
		       "%s: failed (%s %d)", what,
		       WIFSIGNALED(status) ? "signal" : "exit",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

void zoo_peer_start(void (*fn)(void *arg), void *arg)
{
	int up[2], down[2];
	char byte = 0;
	pid_t pid;

	hmt_check(!pipe2(up, O_CLOEXEC) && !pipe2(down, O_CLOEXEC));
	fflush(NULL);
	pid = fork();
	hmt_check(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(up[0]);
		close(down[1]);
		if (fn)
			fn(arg);
		if (write(up[1], &byte, 1) != 1)
			_exit(1);
		/* The other end stays open until the caller ends. */
		while (read(down[0], &byte, 1) > 0)
			;
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	hmt_check_that(read(up[0], &byte, 1) == 1, "the other process failed");
	close(up[0]);
}

void zoo_become_child(void)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	hmt_check(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	hmt_check(waitpid(pid, &status, 0) == pid);
	hmt_check_that(WIFEXITED(status), "the child: status %#x", (unsigned int)status);
	_exit(WEXITSTATUS(status));
}

bool zoo_is_debug(void)
{
	const char *kernel = getenv("KFDSVM_KERNEL");

	return kernel && strstr(kernel, "debug");
}

/*
 * A reservation by PROT_NONE would be a mapping, too. The kernel places mappings from
 * the top down, so nothing comes to these addresses by itself.
 */
char *zoo_reserve(size_t len, size_t align)
{
	static uintptr_t next = 1UL << 45;
	uintptr_t va = (next + 2 * align - 1) / align * align;

	next = va + len + align;
	return (char *)va;
}

char *zoo_mmap(char *va, size_t len, int prot, int flags, int fd, off_t offset)
{
	char *got = mmap(va, len, prot, flags | MAP_FIXED, fd, offset);

	hmt_check_that(got == va, "mmap of %zu bytes, flags %#x: errno %d", len,
		       (unsigned int)flags, errno);
	return got;
}

void zoo_window(struct zoo *z, char *va, size_t npages, uint64_t word)
{
	z->va = va;
	z->npages = npages;
	/* Not from the heap: the words of a large window would move its border. */
	z->word = mmap(NULL, npages * sizeof(*z->word), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	hmt_check(z->word != MAP_FAILED);
	for (size_t i = 0; i < npages; i++)
		z->word[i] = word;
}

size_t zoo_npages(void)
{
	return zoo_is_debug() ? 2 * ZHUGE_NPAGES + 76 : 3 * ZHUGE_NPAGES + 76;
}

void zoo_anon(struct zoo *z, size_t npages)
{
	char *va = zoo_reserve(npages * ZPAGE, ZHUGE);

	zoo_window(z, va, npages, 0);
	zoo_mmap(va, npages * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hmt_check(!madvise(va, npages * ZPAGE, MADV_NOHUGEPAGE));
}

uint64_t zoo_word(const struct zoo *z, size_t page)
{
	/* Differs between pages and windows, and is never 0. */
	return ((uintptr_t)z->va + page) * 0x9e3779b97f4a7c15ULL | 1;
}

uint64_t zoo_peek(const char *va)
{
	return *(const volatile uint64_t *)va;
}

void zoo_poke(char *va, uint64_t word)
{
	*(volatile uint64_t *)va = word;
}

void zoo_touch(struct zoo *z, size_t page)
{
	zoo_poke(z->va + page * ZPAGE, zoo_word(z, page));
	z->word[page] = zoo_word(z, page);
}

void zoo_touch_all(struct zoo *z)
{
	for (size_t i = 0; i < z->npages; i++)
		zoo_touch(z, i);
}
