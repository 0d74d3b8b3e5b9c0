// SPDX-License-Identifier: GPL-2.0-only
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define EXIT_SKIPPED	77
#define PAGE_LEN	4096

/* Why the running case was skipped; shared with its process. */
static char *skip_reason;
#define SKIP_REASON_LEN	256

static unsigned int timeout_s = 120;

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
}

void check_failed(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	va_list args;

	va_start(args, format);
	printf("# %s:%d: ", base ? base + 1 : file, line);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	_exit(1);
}

void skip_case(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(skip_reason, SKIP_REASON_LEN, format, args);
	va_end(args);
	_exit(EXIT_SKIPPED);
}

static volatile sig_atomic_t timed_out;
static pid_t running;

static void on_alarm(int number)
{
	(void)number;
	timed_out = 1;
	kill(-running, SIGKILL);
}

/* Returns the wait status of the case's process. */
static int run_case(const struct test_case *test)
{
	struct sigaction action = { .sa_handler = on_alarm };
	int status;

	fflush(stdout);
	skip_reason[0] = 0;
	timed_out = 0;
	running = fork();
	if (running < 0) {
		perror("fork");
		exit(1);
	}
	if (!running) {
		setpgid(0, 0);
		test->run();
		fflush(stdout);
		_exit(0);
	}
	setpgid(running, running);
	sigaction(SIGALRM, &action, NULL);
	alarm(timeout_s);
	while (waitpid(running, &status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	/* What it has left behind. */
	kill(-running, SIGKILL);
	return status;
}

static bool report(const struct test_case *test, unsigned int number, int status)
{
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		printf("ok %u %s\n", number, test->name);
		return true;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
		printf("ok %u %s # SKIP %s\n", number, test->name, skip_reason);
		return true;
	}
	if (timed_out)
		printf("# timeout after %u s\n", timeout_s);
	else if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	printf("not ok %u %s\n", number, test->name);
	return false;
}

static bool chosen(const char *name, char **filters, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!fnmatch(filters[i], name, 0))
			return true;
	return !nr;
}

int run_cases(int argc, char **argv, const struct test_case *cases, size_t nr)
{
	char *filters[32];
	int nr_filters = 0, i;
	unsigned int total = 0, number = 0;
	bool list = false, good = true;
	size_t n;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list")) {
			list = true;
		} else if (!strcmp(argv[i], "--filter") && i + 1 < argc &&
			   nr_filters < 32) {
			filters[nr_filters++] = argv[++i];
		} else if (!strcmp(argv[i], "--timeout") && i + 1 < argc) {
			timeout_s = (unsigned int)atoi(argv[++i]);
		} else {
			fprintf(stderr, "bad option %s\n", argv[i]);
			return 2;
		}
	}
	for (n = 0; n < nr; n++) {
		if (!chosen(cases[n].name, filters, nr_filters))
			continue;
		total++;
		if (list)
			puts(cases[n].name);
	}
	if (!total) {
		fprintf(stderr, "no case is chosen\n");
		return 2;
	}
	if (list)
		return 0;
	skip_reason = mmap(NULL, SKIP_REASON_LEN, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (skip_reason == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	printf("TAP version 13\n1..%u\n", total);
	for (n = 0; n < nr; n++)
		if (chosen(cases[n].name, filters, nr_filters))
			good &= report(&cases[n], ++number, run_case(&cases[n]));
	return !good;
}

void run_command(const char *format, ...)
{
	char line[1024];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fflush(stdout);
	status = system(line);
	if (status)
		FAIL("%s: status %#x", line, status);
}

char *read_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t room = 1 << 20, done = 0;
	char *text;
	ssize_t n;

	if (fd < 0)
		return NULL;
	text = malloc(room);
	CHECK(text);
	while ((n = read(fd, text + done, room - 1 - done)) > 0)
		done += (size_t)n;
	text[done] = 0;
	close(fd);
	return text;
}

void write_text(const char *path, const char *text)
{
	/* For the trace of tracefs truncating means emptying. */
	int fd = TRY(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		FAIL("cannot write %s to %s: %m", text, path);
	close(fd);
}

static uint64_t pagemap_entry(const void *page)
{
	int fd = TRY(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	uint64_t entry = 0;

	CHECK_EQ(pread(fd, &entry, sizeof(entry),
		       (off_t)((uintptr_t)page / PAGE_LEN * sizeof(entry))),
		 sizeof(entry));
	close(fd);
	return entry;
}

bool page_is_present(const void *page)
{
	return pagemap_entry(page) >> 63 & 1;
}

bool page_is_swapped(const void *page)
{
	return pagemap_entry(page) >> 62 & 1;
}

bool page_out(void *page, size_t len)
{
	int i;

	/* A page may wait in a list of some CPU, where reclaim cannot get it. */
	for (i = 0; i < 200 && page_is_present(page); i++) {
		if (madvise(page, len, MADV_PAGEOUT))
			FAIL("MADV_PAGEOUT: %m");
		usleep(1000);
	}
	return !page_is_present(page);
}

static unsigned char pattern(size_t at, unsigned int seed)
{
	return (unsigned char)((at * 7 + at / 256 + seed * 31) | 1);
}

void fill(void *to, size_t len, unsigned int seed)
{
	unsigned char *bytes = to;
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = pattern(i, seed);
}

bool filled(const void *from, size_t len, unsigned int seed)
{
	const unsigned char *bytes = from;
	size_t i;

	for (i = 0; i < len; i++)
		if (bytes[i] != pattern(i, seed))
			return false;
	return true;
}
