/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hmm_mirror_tests: the HMM mirror by its features, through /dev/hmm_mirror_test.
 *
 * Adding a case: write
 *
 *	static void behaviour_in_words(const void *arg)
 *
 * in the file of its subject and list it in the file's table:
 *
 *	static const struct hmt_case cases[] = {
 *		HMT_CASE(behaviour_in_words, 0),
 *	};
 *	HMT_GROUP(cases);
 *
 * Adding a group: a new .c file with a table of its own; nothing else names it. Cases
 * that are made in numbers are added by hmt_add_case() from a constructor.
 *
 * A case runs in a process of its own, which is killed with all its children when the
 * case's time is over. It passes when its function returns. hmt_check() and its kin end
 * the process that calls them; a case that forks looks at its children with
 * hmt_child() and hmt_reap(). Clients opened by hmt_open() are looked at when the case
 * returns: a hook that nobody released or a page that changed unseen fails it.
 *
 * Calls of the device return 0 or a negative errno.
 */
#ifndef HMT_H
#define HMT_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "hmm_mirror_test.h"

#define HMT_PAGE	4096UL
#define HMT_HUGE	(2UL << 20)
#define HMT_COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* How long to wait for what must happen; only a failure waits that long. */
#define HMT_WAIT_MS	20000
/* How long to look for what must not happen. */
#define HMT_QUIET_MS	100

/* ---- cases and their ends (main.c) ---- */

#define HMT_LONG	0x01	/* only with --long */
#define HMT_INJECT	0x02	/* makes allocations fail: only with --inject */
#define HMT_SLOW	0x08	/* takes seconds: not with --quick */
#define HMT_MISUSE	0x04	/* makes the kernel warn: only with --misuse */
#define HMT_HOLD	0x10	/* stays until it is killed: only with --hold */

struct hmt_case {
	const char *name;
	void (*fn)(const void *arg);
	const void *arg;
	unsigned int flags;
	unsigned int timeout_s;	/* 0: the runner's */
};

#define HMT_CASE(fn_, flags_) { .name = #fn_, .fn = fn_, .flags = flags_ }
/* The same function with something else to do; @arg_ names a constant object. */
#define HMT_VARIANT(fn_, suffix_, arg_, flags_) \
	{ .name = #fn_ "_" #suffix_, .fn = fn_, .arg = arg_, .flags = flags_ }

#define HMT_GROUP(cases_)						\
	static void __attribute__((constructor)) hmt_add_##cases_(void)	\
	{								\
		for (size_t i_ = 0; i_ < HMT_COUNT(cases_); i_++)	\
			hmt_add_case(&(cases_)[i_]);			\
	}								\
	struct hmt_case

/* Keeps the pointer. */
void hmt_add_case(const struct hmt_case *c);

void hmt_fail(const char *file, int line, const char *why, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
/* From the case's own process. */
void hmt_skip(const char *why, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Shown with a case that fails, or with --verbose. */
void hmt_note(const char *text, ...) __attribute__((format(printf, 1, 2)));

#define hmt_check(cond) do {						\
	if (!(cond))							\
		hmt_fail(__FILE__, __LINE__, "%s (errno %d)", #cond, errno); \
} while (0)
#define hmt_check_that(cond, ...) do {					\
	if (!(cond))							\
		hmt_fail(__FILE__, __LINE__, __VA_ARGS__);		\
} while (0)
#define hmt_expect_text(text, call, want) do {				\
	long long got_ = (call), want_ = (want);			\
	if (got_ != want_)						\
		hmt_fail(__FILE__, __LINE__, "%s: %lld, not %lld", text, \
			 got_, want_);					\
} while (0)
/* @call returns @want, an integer. */
#define hmt_expect(call, want) hmt_expect_text(#call, call, want)
#define hmt_ok(call) hmt_expect_text(#call, call, 0)

/* Looks at @cond again and again; fails after HMT_WAIT_MS. */
#define hmt_until(cond) do {						\
	uint64_t end_ = hmt_now_ms() + HMT_WAIT_MS;			\
	while (!(cond)) {						\
		if (hmt_now_ms() > end_)				\
			hmt_fail(__FILE__, __LINE__, "in vain: %s", #cond); \
		usleep(1000);						\
	}								\
} while (0)

uint64_t hmt_now_ms(void);

/* ---- processes, threads, memory (util.c) ---- */

/* A child that runs @fn(@arg) and exits with 0; killed when its parent dies. */
pid_t hmt_child(void (*fn)(void *arg), void *arg);
/* Its wait status; fails the caller if it does not end. */
int hmt_reap(pid_t pid);
/* It ends with code 0. */
#define hmt_reap_ok(pid) hmt_ok(hmt_reap(pid))

/* A thread whose function returns a number; hmt_thread_join() returns that. */
struct hmt_thread {
	pthread_t thread;
	long (*fn)(void *arg);
	void *arg;
	long ret;
	volatile bool go;
	volatile bool done;
	volatile pid_t tid;
};

/* The thread is made and waits for hmt_thread_go(). */
void hmt_thread_prepare(struct hmt_thread *t, long (*fn)(void *arg), void *arg);
void hmt_thread_go(struct hmt_thread *t);

void hmt_thread_start(struct hmt_thread *t, long (*fn)(void *arg), void *arg);
long hmt_thread_join(struct hmt_thread *t);

/* Private memory without huge pages, in a GiB of its own, nothing present. */
void *hmt_map(size_t len);
/* With huge pages if there are any to be had; the first byte of each 2 MiB is touched. */
void *hmt_map_thp(size_t len);
/* The entry of /proc/self/pagemap. */
uint64_t hmt_pagemap(const void *p);
#define HMT_PM_PRESENT	(1ULL << 63)
#define HMT_PM_SWAPPED	(1ULL << 62)
#define HMT_PM_PFN	((1ULL << 55) - 1)
/* A number of kB in /proc/PID/smaps_rollup or status ("Rss:", "VmRSS:"), or -1. */
long hmt_proc_kb(pid_t pid, const char *file, const char *field);
int hmt_write_file(const char *path, const char *text);
/* By opening it to be truncated, which is how a trace is emptied. */
void hmt_empty_file(const char *path);
/* Without the newline. Returns -1 if it cannot be read. */
int hmt_read_file(const char *path, char *text, size_t len);

/* A generator of numbers with a seed that is printed when the case fails. */
uint64_t hmt_random(void);
uint64_t hmt_random_below(uint64_t n);
void hmt_random_seed(uint64_t seed);

/* ---- the device (hmt.c) ---- */

int hmt_open(void);
/* hmt_open() and HMT_REGISTER. */
int hmt_open_registered(void);
void hmt_close(int fd);
/* It is not looked at when the case returns. */
void hmt_forget(int fd);

int hmt_target(int fd, pid_t pid);
int hmt_register(int fd, uint64_t owner);
int hmt_unregister(int fd);
int hmt_watch(int fd, const void *p, size_t len);
int hmt_range_add(int fd, uint32_t id, const void *p, size_t len);
int hmt_range_del(int fd, uint32_t id);
/* 1, 0, or a negative errno. */
int hmt_valid(int fd, uint32_t id);
int hmt_wait(int fd, uint32_t id, uint32_t timeout_ms);
int hmt_mmap_read_lock(int fd, bool worker);

#define HMT_MAX_EXTENTS 4096

/* What a get is asked for, and what it gave. */
struct hmt_result {
	struct hmt_get get;
	struct hmt_extent ext[HMT_MAX_EXTENTS];
};

/* One call with a large buffer; @r may be NULL. */
int hmt_snapshot(int fd, uint32_t id, const void *from, struct hmt_result *r);
int hmt_fault(int fd, uint32_t id, const void *from, uint32_t req, struct hmt_result *r);
/* r->get is filled in but for the extents and, if 0, nr_max. */
int hmt_get(int fd, struct hmt_result *r);
int hmt_get_wait(int fd, uint32_t id, uint32_t timeout_ms, struct hmt_result *r);
/* What the range keeps of its last get, valid or not. */
int hmt_last_extents(int fd, uint32_t id, struct hmt_result *r);
/* Fault until the whole of @p..@p+@len is covered and mapped in the device. */
int hmt_map_in_device(int fd, uint32_t id, const void *p, size_t len, uint32_t req);

static inline uint64_t hmt_ext_va(const struct hmt_extent *e)
{
	return e->va_flags & ~HMT_EXT_FLAGS;
}

static inline unsigned int hmt_ext_flags(const struct hmt_extent *e)
{
	return e->va_flags & HMT_EXT_FLAGS;
}

static inline uint64_t hmt_ext_pfn(const struct hmt_extent *e)
{
	return e->pfn_npages & HMT_EXT_PFN;
}

static inline uint64_t hmt_ext_npages(const struct hmt_extent *e)
{
	return e->pfn_npages >> HMT_EXT_NPAGES_SHIFT;
}

/* What an extent says of one page. */
struct hmt_page {
	bool covered;
	unsigned int flags;
	uint64_t pfn;		/* VALID only; of this page */
	int err;		/* ERROR only, positive */
};

struct hmt_page hmt_page_in(const struct hmt_extent *ext, uint32_t nr, const void *p);
struct hmt_page hmt_page_of(const struct hmt_result *r, const void *p);
/* The extents follow each other from @from to @end without a gap. */
void hmt_check_extents(const struct hmt_extent *ext, uint32_t nr, uint64_t from,
		       uint64_t end);

int hmt_commit(int fd, uint32_t id);
/* Through the device's table. */
int hmt_device_read(int fd, const void *p, void *data, size_t len);
int hmt_device_write(int fd, const void *p, const void *data, size_t len);
/* Through the last extents of a range, while they are valid. */
int hmt_extents_read(int fd, uint32_t id, const void *p, void *data, size_t len);
int hmt_extents_write(int fd, uint32_t id, const void *p, const void *data, size_t len);
/* HMT_PAGE_* of one page. */
uint64_t hmt_device_page(int fd, const void *p);
size_t hmt_device_nr_pages(int fd);
struct hmt_stats hmt_stats(int fd);
/* Kind of an extent of the last get, or a negative errno. */
int hmt_extent_device(int fd, uint32_t id, uint32_t index, uint32_t *owner_match);

/* Maps an extent as it is for DMA and unmaps it again. */
int hmt_dma_map(int fd, struct hmt_dma *dma);

/* Number of the next event. */
uint64_t hmt_log_next(int fd);
/* Events from number @from on, at most @max; returns how many. */
size_t hmt_log(int fd, uint64_t from, struct hmt_event *events, size_t max);
/* Whether an event of @kind (or HMT_NONE: any) since @from covers a byte of it. */
bool hmt_log_has(int fd, uint64_t from, uint32_t kind, const void *p, size_t len);

/*
 * Both views of @p..@p+@len; pages and extents are to be freed with free().
 * @v holds the flags, the requests and, if wanted, nr_per_call.
 */
int hmt_view(int fd, const void *p, size_t len, struct hmt_view *v,
	     struct hmt_extent **ext, uint64_t **pages);
/*
 * Compares them page by page: present, pfn, permission, huge, error. Returns a number of
 * pages that differ; the first is described in @why.
 */
size_t hmt_compare(const struct hmt_view *v, const struct hmt_extent *ext,
		   const uint64_t *pages, char *why, size_t why_len);
/* hmt_view() and hmt_compare() as a check. */
void hmt_check_same(int fd, const void *p, size_t len, uint32_t flags, uint32_t kernel,
		    uint32_t req);

void hmt_hook_arm(int fd, uint32_t step, uint32_t count, uint32_t flags);
/* Until @count calls are stopped there. */
void hmt_hook_wait(int fd, uint32_t step, uint32_t count);
/* Whether one comes there in HMT_QUIET_MS. */
bool hmt_hook_is_reached(int fd, uint32_t step);
void hmt_hook_release(int fd, uint32_t step);
int hmt_hold_update_lock(int fd);
int hmt_hold_mmap_write(int fd);
int hmt_hold_task(int fd);

#endif /* HMT_H */
