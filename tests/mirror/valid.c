// SPDX-License-Identifier: GPL-2.0-only
/* Features 2 and 5: what an invalidation does to ranges, and waiting for its end. */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "hmt.h"

#define LEN (16 * HMT_PAGE)

static void invalidation_leaves_the_extents_alone(const void *arg)
{
	static struct hmt_result before, after;
	char *p = hmt_map(LEN), byte;
	int fd = hmt_open_registered();

	(void)arg;
	for (size_t i = 0; i < LEN; i += 2 * HMT_PAGE)
		p[i] = 1;
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	hmt_ok(hmt_snapshot(fd, 1, p, &before));
	hmt_expect(hmt_valid(fd, 1), 1);
	hmt_ok(hmt_extents_read(fd, 1, p, &byte, 1));
	hmt_check(!munmap(p + 4 * HMT_PAGE, 4 * HMT_PAGE));
	hmt_expect(hmt_valid(fd, 1), 0);
	hmt_ok(hmt_last_extents(fd, 1, &after));
	hmt_expect(after.get.nr, before.get.nr);
	hmt_check(!memcmp(after.ext, before.ext, before.get.nr * sizeof(before.ext[0])));
	/* But nothing may be done with them. */
	hmt_expect(hmt_extents_read(fd, 1, p, &byte, 1), -EAGAIN);
	hmt_expect(hmt_commit(fd, 1), -EAGAIN);
	hmt_expect(hmt_device_nr_pages(fd), 0);
	/* The range is where it was. */
	hmt_ok(hmt_snapshot(fd, 1, p, &after));
	hmt_expect(hmt_valid(fd, 1), 1);
	hmt_check_extents(after.ext, after.get.nr, (uintptr_t)p, (uintptr_t)p + LEN);
	hmt_expect(hmt_page_of(&after, p + 4 * HMT_PAGE).err, EFAULT);
}

static void new_range_is_not_valid(const void *arg)
{
	char *p = hmt_map(LEN);
	int fd = hmt_open_registered();

	(void)arg;
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	hmt_ok(hmt_range_add(fd, 2, p, LEN));
	hmt_expect(hmt_valid(fd, 1), 0);
	hmt_expect(hmt_commit(fd, 1), -EAGAIN);
	hmt_ok(hmt_snapshot(fd, 1, p, NULL));
	hmt_expect(hmt_valid(fd, 1), 1);
	/* One of the same addresses does not know. */
	hmt_expect(hmt_valid(fd, 2), 0);
}

static void ranges_must_be_whole_pages_of_user_space(const void *arg)
{
	const uint64_t end = 0x7ffffffff000;	/* of four levels; five have more */
	static const struct { uint64_t first, last; } bad[] = {
		{ 0x10001, 0x10fff }, { 0x10000, 0x10ffe }, { 0x10000, 0x11000 },
		{ 0x11000, 0x10fff }, { 0x12000, 0x10fff },
		{ 0x10000, UINT64_MAX }, { 0xffff800000000000, 0xffff800000000fff },
		{ 0, UINT64_MAX }, { UINT64_MAX - 0xfff, UINT64_MAX },
	};
	int fd = hmt_open_registered();

	(void)arg;
	for (size_t i = 0; i < HMT_COUNT(bad); i++) {
		hmt_expect(hmt_range_add(fd, 1, (void *)bad[i].first,
					 bad[i].last + 1 - bad[i].first), -EINVAL);
	}
	hmt_expect(hmt_watch(fd, (void *)0x12000, -HMT_PAGE), -EINVAL);
	hmt_expect(hmt_watch(fd, (void *)0xffff800000000000, HMT_PAGE), -EINVAL);
	hmt_ok(hmt_range_add(fd, 1, (void *)(end - HMT_PAGE), HMT_PAGE));
	hmt_ok(hmt_range_add(fd, 2, NULL, HMT_PAGE));
	hmt_expect(hmt_stats(fd).nr_ranges, 2);
}

/* ---- which ranges ---- */

#define MANY 10000u
#define AREA_NPAGES 16384ul

static struct { uint32_t first, npages; bool valid; } oracle[MANY];

static void check_oracle(int fd, unsigned int step)
{
	static uint8_t states[MANY];
	struct hmt_valid v = { .first = 0, .nr = MANY, .states = (uintptr_t)states };

	hmt_check(!ioctl(fd, HMT_VALID, &v));
	for (uint32_t i = 0; i < MANY; i++)
		hmt_check_that(states[i] == oracle[i].valid,
			       "step %u: range %u, pages %u+%u: %u", step, i, oracle[i].first,
			       oracle[i].npages, states[i]);
}

static void span_happens(uint64_t first, uint64_t npages)
{
	for (uint32_t i = 0; i < MANY; i++) {
		if (oracle[i].first < first + npages &&
		    oracle[i].first + oracle[i].npages > first)
			oracle[i].valid = false;
	}
}

/*
 * What the events since @from met. They are what was made here, in as many pieces as the
 * kernel likes, and now and then one of its own (compaction).
 */
static void events_happen(int fd, uint64_t from, const char *p, uint64_t first,
			  uint64_t npages)
{
	static struct hmt_event events[256];
	static bool hit[AREA_NPAGES];
	size_t nr = hmt_log(fd, from, events, HMT_COUNT(events));
	uint64_t base = (uintptr_t)p / HMT_PAGE, strays = 0;

	memset(hit, 0, sizeof(hit));
	for (size_t e = 0; e < nr; e++) {
		uint64_t a = events[e].start_va / HMT_PAGE, b = events[e].end_va / HMT_PAGE;

		a = a < base ? 0 : a - base;
		b = b < base ? 0 : b - base;
		b = b > AREA_NPAGES ? AREA_NPAGES : b;
		if (b <= a)
			continue;
		span_happens(a, b - a);
		if ((a < first || b > first + npages) && !strays++)
			hmt_note("event of others: %llu+%llu, kind %u, ours %llu+%llu",
				 (unsigned long long)a, (unsigned long long)(b - a),
				 events[e].kind, (unsigned long long)first,
				 (unsigned long long)npages);
		for (; a < b; a++)
			hit[a] = true;
	}
	for (uint64_t i = first; i < first + npages; i++)
		hmt_check_that(hit[i], "no event for page %llu of %llu+%llu",
			       (unsigned long long)i, (unsigned long long)first,
			       (unsigned long long)npages);
}

/* An event of exactly the window: all pages are present, all in one VMA. */
static void make_event(char *p, uint64_t first, uint64_t npages)
{
	char *q = p + first * HMT_PAGE;
	size_t len = npages * HMT_PAGE;

	switch (hmt_random_below(3)) {
	case 0:
		hmt_check(!madvise(q, len, MADV_DONTNEED));
		break;
	case 1:
		hmt_check(!mprotect(q, len, PROT_READ));
		hmt_check(!mprotect(q, len, PROT_READ | PROT_WRITE));
		break;
	case 2:
		hmt_check(mmap(q, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == q);
		/* As the rest, so that they become one. */
		hmt_check(!madvise(q, len, MADV_NOHUGEPAGE));
		break;
	}
	for (uint64_t i = 0; i < npages; i++)
		q[i * HMT_PAGE] = 1;
}

/* Thousands of ranges: an event makes those invalid that it meets, and no other. */
static void validity_is_exact_for_thousands_of_ranges(const void *arg)
{
	char *p = hmt_map(AREA_NPAGES * HMT_PAGE);
	int fd = hmt_open_registered();

	(void)arg;
	hmt_random_seed(hmt_now_ms());
	memset(p, 1, AREA_NPAGES * HMT_PAGE);
	for (uint32_t i = 0; i < MANY; i++) {
		oracle[i].npages = 1 + (uint32_t)hmt_random_below(i % 100 ? 8 : 2000);
		oracle[i].first =
			(uint32_t)hmt_random_below(AREA_NPAGES - oracle[i].npages + 1);
		hmt_ok(hmt_range_add(fd, i, p + oracle[i].first * HMT_PAGE,
				     oracle[i].npages * HMT_PAGE));
	}
	check_oracle(fd, 0);
	for (unsigned int step = 1; step <= 40; step++) {
		uint64_t npages = 1 + hmt_random_below(step % 8 ? 64 : 4096);
		uint64_t first = hmt_random_below(AREA_NPAGES - npages + 1);
		uint64_t from = hmt_log_next(fd);

		for (uint32_t i = 0; i < MANY; i++) {
			if (oracle[i].valid || (step > 1 && i % 4 != step % 4))
				continue;
			hmt_ok(hmt_snapshot(fd, i, p + oracle[i].first * HMT_PAGE, NULL));
			oracle[i].valid = true;
		}
		check_oracle(fd, 2 * step);
		make_event(p, first, npages);
		events_happen(fd, from, p, first, npages);
		check_oracle(fd, 2 * step + 1);
	}
}

/* One callback for a region of 1 GiB, whatever the number of ranges. */
static void one_event_is_one_callback(const void *arg)
{
	char *p = hmt_map(HMT_HUGE);
	uint64_t from;
	int fd = hmt_open_registered();

	(void)arg;
	memset(p, 1, HMT_HUGE);
	for (uint32_t i = 0; i < 2000; i++) {
		char *q = p + i % 512 * HMT_PAGE;

		hmt_ok(hmt_range_add(fd, i, q, HMT_PAGE));
		hmt_ok(hmt_snapshot(fd, i, q, NULL));
	}
	from = hmt_log_next(fd);
	hmt_check(!madvise(p, HMT_HUGE, MADV_DONTNEED));
	hmt_expect(hmt_log_next(fd) - from, 1);
	for (uint32_t i = 0; i < 2000; i++)
		hmt_expect(hmt_valid(fd, i), 0);
}

static void kinds_of_events_are_told(const void *arg)
{
	char *p = hmt_map(64 * HMT_PAGE);
	uint64_t from;
	int fd = hmt_open_registered();

	(void)arg;
	memset(p, 1, 64 * HMT_PAGE);
	hmt_ok(hmt_watch(fd, p, 64 * HMT_PAGE));
	from = hmt_log_next(fd);
	hmt_check(!mprotect(p, HMT_PAGE, PROT_READ));
	hmt_check(hmt_log_has(fd, from, HMT_EVENT_CHANGE, p, HMT_PAGE));
	from = hmt_log_next(fd);
	hmt_check(!madvise(p, HMT_PAGE, MADV_DONTNEED));
	hmt_check(hmt_log_has(fd, from, HMT_EVENT_CHANGE, p, HMT_PAGE));
	hmt_check(!hmt_log_has(fd, from, HMT_EVENT_UNMAP, p, HMT_PAGE));
	from = hmt_log_next(fd);
	hmt_check(mremap(p + 4 * HMT_PAGE, 4 * HMT_PAGE, 4 * HMT_PAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, p + 32 * HMT_PAGE) != MAP_FAILED);
	hmt_check(hmt_log_has(fd, from, HMT_EVENT_UNMAP, p + 4 * HMT_PAGE, 4 * HMT_PAGE));
	hmt_check(hmt_log_has(fd, from, HMT_EVENT_UNMAP, p + 32 * HMT_PAGE, 4 * HMT_PAGE));
	from = hmt_log_next(fd);
	hmt_check(!munmap(p, 2 * HMT_PAGE));
	hmt_check(hmt_log_has(fd, from, HMT_EVENT_UNMAP, p, 2 * HMT_PAGE));
	hmt_check(!hmt_log_has(fd, from, HMT_NONE, p + 3 * HMT_PAGE, HMT_PAGE));
}

/* A range over a border of regions hears of events on both sides, and in both pieces. */
static void range_over_a_border_of_regions(const void *arg)
{
	char *border = (char *)0x200040000000;
	char *p = border - 8 * HMT_PAGE;
	struct hmt_result *r = calloc(1, sizeof(*r));
	uint64_t from;
	int fd = hmt_open_registered();

	(void)arg;
	hmt_check(mmap(p, LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p);
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	for (int i = 0; i < 3; i++) {
		/* Left, right, both. */
		char *q = i == 0 ? p : i == 1 ? border : border - HMT_PAGE;

		hmt_ok(hmt_map_in_device(fd, 1, p, LEN, HMT_REQ_WRITE));
		hmt_ok(hmt_snapshot(fd, 1, p, r));
		hmt_check_extents(r->ext, r->get.nr, (uintptr_t)p, (uintptr_t)p + LEN);
		hmt_expect(hmt_device_nr_pages(fd), 16);
		from = hmt_log_next(fd);
		hmt_check(!madvise(q, 2 * HMT_PAGE, MADV_DONTNEED));
		hmt_expect(hmt_log_next(fd) - from, i == 2 ? 2 : 1);
		hmt_expect(hmt_valid(fd, 1), 0);
		hmt_expect(hmt_device_nr_pages(fd), 14);
	}
}

/* ---- waiting ---- */

static long dontneed_thread(void *arg)
{
	return madvise(arg, HMT_PAGE, MADV_DONTNEED);
}

/* The first page of @p is being invalidated until the hook is released. */
static void hold_invalidation(int fd, char *p, struct hmt_thread *t)
{
	hmt_thread_prepare(t, dontneed_thread, p);
	hmt_hook_arm(fd, HMT_STEP_INVALIDATE, 1, 0);
	hmt_thread_go(t);
	hmt_hook_wait(fd, HMT_STEP_INVALIDATE, 1);
}

static void end_invalidation(int fd, struct hmt_thread *t)
{
	hmt_hook_release(fd, HMT_STEP_INVALIDATE);
	hmt_ok(hmt_thread_join(t));
}

struct waiter {
	int fd;
	uint32_t id, timeout_ms;
};

static long wait_thread(void *arg)
{
	struct waiter *w = arg;

	return hmt_wait(w->fd, w->id, w->timeout_ms);
}

static void wait_until_valid_is_for_the_invalidation(const void *arg)
{
	struct hmt_thread holder, waiting;
	char *p = hmt_map(LEN);
	int fd = hmt_open_registered();
	struct waiter w = { fd, 1, HMT_NONE };
	uint64_t start;

	(void)arg;
	memset(p, 1, LEN);
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	hmt_ok(hmt_range_add(fd, 2, p + 8 * HMT_PAGE, HMT_PAGE));
	/* Nothing is under way: at once, also without any time. */
	hmt_ok(hmt_wait(fd, 1, 0));
	hmt_ok(hmt_wait(fd, 1, HMT_NONE));
	hmt_ok(hmt_snapshot(fd, 1, p, NULL));
	hmt_ok(hmt_wait(fd, 1, 0));

	/* No thread is made while mmap_lock may be held. */
	hmt_thread_prepare(&waiting, wait_thread, &w);
	hold_invalidation(fd, p, &holder);
	start = hmt_now_ms();
	hmt_expect(hmt_wait(fd, 1, 0), -ETIME);
	hmt_expect(hmt_wait(fd, 1, 300), -ETIME);
	hmt_check(hmt_now_ms() - start >= 300);
	hmt_thread_go(&waiting);
	usleep(HMT_QUIET_MS * 1000);
	hmt_check(!waiting.done);
	/* A range that the event does not meet is idle, also one that begins now. */
	hmt_ok(hmt_wait(fd, 2, 0));
	hmt_ok(hmt_range_add(fd, 3, p + 4 * HMT_PAGE, 2 * HMT_PAGE));
	hmt_ok(hmt_wait(fd, 3, 0));
	hmt_ok(hmt_snapshot(fd, 3, p + 4 * HMT_PAGE, NULL));
	/* And one that it meets is not. */
	hmt_ok(hmt_range_add(fd, 4, p, HMT_PAGE));
	hmt_expect(hmt_wait(fd, 4, 0), -ETIME);
	end_invalidation(fd, &holder);
	hmt_ok(hmt_thread_join(&waiting));
	hmt_ok(hmt_wait(fd, 4, HMT_WAIT_MS));
	hmt_expect(hmt_valid(fd, 3), 1);
	/* Idle is not valid. */
	hmt_expect(hmt_valid(fd, 1), 0);
}

static void fault_gives_up_on_an_endless_invalidation(const void *arg)
{
	struct hmt_thread holder;
	char *p = hmt_map(LEN);
	int fd = hmt_open_registered();
	struct hmt_result *r = calloc(1, sizeof(*r));
	uint64_t start;

	(void)arg;
	memset(p, 1, LEN);
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	hold_invalidation(fd, p, &holder);
	start = hmt_now_ms();
	r->get.nr = 77;
	hmt_expect(hmt_fault(fd, 1, p, HMT_REQ_READ, r), -ETIME);
	hmt_check(hmt_now_ms() - start >= 900);
	/* What the failed call leaves. */
	hmt_expect(r->get.nr, 0);
	hmt_check(r->get.next_va == (uintptr_t)p);
	end_invalidation(fd, &holder);
	hmt_ok(hmt_fault(fd, 1, p, HMT_REQ_READ, r));
	hmt_check(r->get.next_va == (uintptr_t)p + LEN);
}

struct scene {
	int fd;
	char *p;
	volatile int ready;
	volatile int go;
};

static struct scene *scene(void)
{
	struct scene *s = mmap(NULL, HMT_PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	hmt_check(s != MAP_FAILED);
	s->p = hmt_map(LEN);
	s->fd = hmt_open();
	return s;
}

static void owner_of_memory(void *arg)
{
	struct scene *s = arg;

	memset(s->p, 1, LEN);
	s->ready = 1;
	while (!s->go)
		usleep(1000);
	hmt_check(!madvise(s->p, HMT_PAGE, MADV_DONTNEED));
}

static void wait_for_ever(void *arg)
{
	struct scene *s = arg;

	s->go = 2;
	hmt_wait(s->fd, 1, HMT_NONE);
	_exit(1);	/* it is killed before */
}

static void fault_for_ever(void *arg)
{
	struct scene *s = arg;

	s->go = 2;
	while (hmt_fault(s->fd, 1, s->p, HMT_REQ_READ, NULL) == -ETIME)
		;
	_exit(1);
}

/* SIGKILL ends a wait although what is waited for goes on. */
static void waits_are_killable(const void *arg)
{
	void (*const what[])(void *arg) = { wait_for_ever, fault_for_ever };
	struct scene *s = scene();
	pid_t owner, waiter;
	int status;

	(void)arg;
	owner = hmt_child(owner_of_memory, s);
	hmt_until(s->ready);
	hmt_ok(hmt_target(s->fd, owner));
	hmt_ok(hmt_register(s->fd, 0));
	hmt_ok(hmt_range_add(s->fd, 1, s->p, LEN));
	hmt_hook_arm(s->fd, HMT_STEP_INVALIDATE, 1, 0);
	s->go = 1;
	hmt_hook_wait(s->fd, HMT_STEP_INVALIDATE, 1);
	for (size_t i = 0; i < HMT_COUNT(what); i++) {
		s->go = 1;
		waiter = hmt_child(what[i], s);
		hmt_until(s->go == 2);
		usleep(HMT_QUIET_MS * 1000);
		hmt_expect(waitpid(waiter, &status, WNOHANG), 0);
		hmt_check(!kill(waiter, SIGKILL));
		status = hmt_reap(waiter);
		hmt_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	hmt_hook_release(s->fd, HMT_STEP_INVALIDATE);
	hmt_reap_ok(owner);
}

/* The mm dies while somebody waits: the event of the death is what is waited for. */
static void wait_ends_when_the_mm_dies(const void *arg)
{
	struct scene *s = scene();
	struct hmt_thread t;
	struct waiter w = { s->fd, 1, HMT_NONE };
	pid_t owner;
	long err;

	(void)arg;
	owner = hmt_child(owner_of_memory, s);
	hmt_until(s->ready);
	hmt_ok(hmt_target(s->fd, owner));
	hmt_ok(hmt_register(s->fd, 0));
	hmt_ok(hmt_range_add(s->fd, 1, s->p, LEN));
	hmt_ok(hmt_map_in_device(s->fd, 1, s->p, LEN, HMT_REQ_READ));
	hmt_hook_arm(s->fd, HMT_STEP_INVALIDATE, 1, 0);
	kill(owner, SIGKILL);
	hmt_hook_wait(s->fd, HMT_STEP_INVALIDATE, 1);
	hmt_thread_start(&t, wait_thread, &w);
	usleep(HMT_QUIET_MS * 1000);
	hmt_check(!t.done);
	hmt_hook_release(s->fd, HMT_STEP_INVALIDATE);
	/* The end of the event and the death come one after the other. */
	err = hmt_thread_join(&t);
	hmt_check_that(err == -ESRCH || !err, "wait: %ld", err);
	hmt_until(hmt_stats(s->fd).nr_release_calls == 1);
	hmt_expect(hmt_wait(s->fd, 1, HMT_NONE), -ESRCH);
	hmt_reap(owner);
}

static const struct hmt_case valid_cases[] = {
	HMT_CASE(invalidation_leaves_the_extents_alone, 0),
	HMT_CASE(new_range_is_not_valid, 0),
	HMT_CASE(ranges_must_be_whole_pages_of_user_space, 0),
	{ .name = "validity_is_exact_for_thousands_of_ranges",
	  .fn = validity_is_exact_for_thousands_of_ranges, .flags = HMT_SLOW,
	  .timeout_s = 300 },
	HMT_CASE(one_event_is_one_callback, 0),
	HMT_CASE(kinds_of_events_are_told, 0),
	HMT_CASE(range_over_a_border_of_regions, 0),
	HMT_CASE(wait_until_valid_is_for_the_invalidation, 0),
	HMT_CASE(fault_gives_up_on_an_endless_invalidation, 0),
	HMT_CASE(waits_are_killable, 0),
	HMT_CASE(wait_ends_when_the_mm_dies, 0),
};

HMT_GROUP(valid_cases);
