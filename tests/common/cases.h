/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KFDSVM_TESTS_CASES_H
#define KFDSVM_TESTS_CASES_H

/*
 * Cases that each run in a process of their own, with a limit in time, and report as
 * TAP. A case fails by CHECK(), is skipped by SKIP() and passes by returning.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

#define CASE(function) { #function, function }

/*
 * Options: --list, --filter GLOB (may be repeated), --timeout SECONDS of a case.
 * Returns what main() does: 0, 1, 2 bad usage.
 */
int run_cases(int argc, char **argv, const struct test_case *cases, size_t nr);

void check_failed(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void skip_case(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
/* A line of comment in the report. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define FAIL(...) check_failed(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) skip_case(__VA_ARGS__)

#define CHECK(condition) \
	((condition) ? (void)0 : FAIL("%s", #condition))

#define CHECK_EQ(value, wanted) do { \
	long long check_v = (long long)(value), check_w = (long long)(wanted); \
	if (check_v != check_w) \
		FAIL("%s is %lld (%#llx), not %lld (%#llx)", #value, \
		     check_v, (unsigned long long)check_v, \
		     check_w, (unsigned long long)check_w); \
} while (0)

/* A system call that works; its result is the value. */
#define TRY(call) ({ \
	__typeof__(call) try_result = (call); \
	if (try_result == (__typeof__(call))-1) \
		FAIL("%s: %m", #call); \
	try_result; \
})

/* A system call that fails with an errno. */
#define CHECK_ERRNO(call, wanted) do { \
	long long check_r; \
	errno = 0; \
	check_r = (long long)(call); \
	if (check_r != -1 || errno != (wanted)) \
		FAIL("%s gives %lld, %m, not %s", #call, check_r, #wanted); \
} while (0)

/* Runs a command line; it must succeed. */
void run_command(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Whole text of a small file, to be freed; NULL when there is none. */
char *read_text(const char *path);
void write_text(const char *path, const char *text);
/* Is the page of this process in memory, swapped out, or neither? */
bool page_is_present(const void *page);
bool page_is_swapped(const void *page);
/* Ask for reclaim until the page is out of the page table; false: it stays. */
bool page_out(void *page, size_t len);
/* Bytes that depend on the place and on @seed; are they still there? */
void fill(void *to, size_t len, unsigned int seed);
bool filled(const void *from, size_t len, unsigned int seed);

#endif /* KFDSVM_TESTS_CASES_H */
