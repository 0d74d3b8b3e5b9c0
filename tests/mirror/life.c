// SPDX-License-Identifier: GPL-2.0-only
/* Feature 1: the life of a mirror, its mm and its clients. */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "hmt.h"

#define LEN (16 * HMT_PAGE)

static void registers_once_and_again(const void *arg)
{
	char *p = hmt_map(LEN);
	int fd = hmt_open();

	(void)arg;
	hmt_expect(hmt_range_add(fd, 1, p, LEN), -ENOTCONN);
	hmt_expect(hmt_unregister(fd), -ENOTCONN);
	for (int i = 0; i < 3; i++) {
		hmt_ok(hmt_register(fd, 0));
		hmt_expect(hmt_register(fd, 0), -EBUSY);
		hmt_ok(hmt_range_add(fd, 1, p, LEN));
		hmt_ok(hmt_map_in_device(fd, 1, p, LEN, HMT_REQ_WRITE));
		hmt_expect(hmt_device_nr_pages(fd), 16);
		/* Takes its ranges and mappings along. */
		hmt_ok(hmt_unregister(fd));
		hmt_expect(hmt_device_nr_pages(fd), 0);
		hmt_expect(hmt_stats(fd).nr_ranges, 0);
	}
	hmt_close(fd);
}

/* All see all events; one that goes leaves the others as they are. */
static void mirrors_of_one_mm_are_independent(const void *arg)
{
	enum { N = 4 };
	char *p = hmt_map(LEN), byte;
	uint64_t from[N];
	int fd[N];

	(void)arg;
	for (int i = 0; i < N; i++) {
		fd[i] = hmt_open_registered();
		hmt_ok(hmt_range_add(fd[i], 1, p, LEN));
		hmt_ok(hmt_map_in_device(fd[i], 1, p, LEN, HMT_REQ_WRITE));
	}
	for (int gone = 0; gone < N; gone++) {
		for (int i = gone; i < N; i++) {
			hmt_ok(hmt_map_in_device(fd[i], 1, p, LEN, HMT_REQ_WRITE));
			hmt_expect(hmt_valid(fd[i], 1), 1);
			from[i] = hmt_log_next(fd[i]);
		}
		hmt_check(!madvise(p + HMT_PAGE, HMT_PAGE, MADV_DONTNEED));
		for (int i = gone; i < N; i++) {
			hmt_check(hmt_log_has(fd[i], from[i], HMT_EVENT_CHANGE, p + HMT_PAGE,
					      HMT_PAGE));
			hmt_expect(hmt_valid(fd[i], 1), 0);
			hmt_expect(hmt_device_nr_pages(fd[i]), 15);
			hmt_expect(hmt_device_read(fd[i], p + HMT_PAGE, &byte, 1), -EFAULT);
			hmt_ok(hmt_device_read(fd[i], p, &byte, 1));
		}
		from[gone] = hmt_log_next(fd[gone]);
		hmt_ok(hmt_unregister(fd[gone]));
		hmt_check(!madvise(p, HMT_PAGE, MADV_DONTNEED));
		hmt_expect(hmt_log_next(fd[gone]), from[gone]);
	}
}

static volatile bool stop;

static long register_loop(void *arg)
{
	char *p = arg;

	for (int i = 0; i < 40; i++) {
		int fd = hmt_open_registered();

		hmt_ok(hmt_range_add(fd, 1, p, LEN));
		hmt_ok(hmt_map_in_device(fd, 1, p, LEN, HMT_REQ_WRITE));
		if (i % 2)
			hmt_ok(hmt_unregister(fd));
		hmt_close(fd);
	}
	return 0;
}

static long madvise_loop(void *arg)
{
	long n = 0;

	for (; !stop; n++) {
		hmt_check(!madvise(arg, LEN, MADV_DONTNEED));
		if (n % 16 == 0)
			sched_yield();
	}
	return n;
}

static void threads_register_while_memory_changes(const void *arg)
{
	struct hmt_thread mutator, t[6];
	char *p = hmt_map(LEN);

	(void)arg;
	hmt_thread_start(&mutator, madvise_loop, p);
	for (size_t i = 0; i < HMT_COUNT(t); i++)
		hmt_thread_start(&t[i], register_loop, p);
	for (size_t i = 0; i < HMT_COUNT(t); i++)
		hmt_ok(hmt_thread_join(&t[i]));
	stop = true;
	hmt_check(hmt_thread_join(&mutator) > 0);
}

/* What a child and its parent tell each other. */
struct meeting {
	char *p;
	volatile int ready;
	volatile int go;
	volatile int delay;
};

static struct meeting *meet(void)
{
	struct meeting *m = mmap(NULL, HMT_PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	hmt_check(m != MAP_FAILED);
	return m;
}

static void spin(int n)
{
	for (volatile int i = 0; i < n; i++)
		;
}

static void exit_when_told(void *arg)
{
	struct meeting *m = arg;

	memset(m->p, 1, LEN);
	m->ready = 1;
	while (!m->go)
		;
	spin(m->delay);
	_exit(0);
}

static void exec_when_told(void *arg)
{
	struct meeting *m = arg;

	memset(m->p, 1, LEN);
	m->ready = 1;
	while (!m->go)
		;
	spin(m->delay);
	execl("/bin/true", "true", NULL);
	_exit(1);
}

static void check_dead(int fd, const char *p)
{
	struct hmt_view v = { .kernel = HMT_VIEW_KERNEL_NONE };
	struct hmt_extent *ext;
	uint64_t *pages;

	hmt_until(hmt_stats(fd).nr_release_calls == 1);
	hmt_expect(hmt_device_nr_pages(fd), 0);
	hmt_expect(hmt_valid(fd, 1), 0);
	/* Nothing that was not watched before can be. */
	hmt_expect(hmt_watch(fd, (void *)0x10000000000, LEN), -ESRCH);
	hmt_expect(hmt_range_add(fd, 3, (void *)0x10000000000, LEN), -ESRCH);
	hmt_expect(hmt_fault(fd, 1, p, HMT_REQ_READ, NULL), -ESRCH);
	hmt_expect(hmt_snapshot(fd, 1, p, NULL), -ESRCH);
	hmt_expect(hmt_wait(fd, 1, HMT_WAIT_MS), -ESRCH);
	hmt_expect(hmt_mmap_read_lock(fd, false), -ESRCH);
	hmt_expect(hmt_mmap_read_lock(fd, true), -ESRCH);
	hmt_expect(hmt_view(fd, p, LEN, &v, &ext, &pages), -ESRCH);
	free(ext);
	free(pages);
	hmt_expect(hmt_stats(fd).mm_users, 0);
}

/*
 * The child goes at any time around the calls. Both outcomes must be seen over the
 * rounds, or the race was missed.
 */
static void register_races(void (*child)(void *arg))
{
	struct meeting *m = meet();
	unsigned int in_time = 0, too_late = 0;

	m->p = hmt_map(LEN);
	for (int round = 0; round < 60; round++) {
		int fd = hmt_open(), err;
		pid_t pid;

		m->ready = m->go = 0;
		m->delay = (int)hmt_random_below(200000);
		pid = hmt_child(child, m);
		hmt_until(m->ready);
		hmt_ok(hmt_target(fd, pid));
		if (round % 3 == 0) {
			/* Surely in time, and surely too late. */
			if (round % 2)
				hmt_ok(hmt_register(fd, 0));
			m->go = 1;
			hmt_reap_ok(pid);
			if (!(round % 2))
				hmt_until(!hmt_stats(fd).mm_users);
		} else {
			m->go = 1;
			spin((int)hmt_random_below(400000));
		}
		err = round % 3 == 0 && round % 2 ? 0 : hmt_register(fd, 0);
		if (round % 3)
			hmt_reap_ok(pid);
		hmt_check_that(!err || err == -ESRCH, "register: %d", err);
		if (err) {
			too_late++;
			hmt_expect(hmt_stats(fd).nr_release_calls, 0);
			hmt_expect(hmt_register(fd, 0), -ESRCH);
		} else {
			in_time++;
			hmt_until(hmt_stats(fd).nr_release_calls == 1);
			hmt_expect(hmt_range_add(fd, 1, m->p, LEN), -ESRCH);
			hmt_ok(hmt_unregister(fd));
		}
		hmt_close(fd);
	}
	hmt_note("%u registered in time, %u too late", in_time, too_late);
	hmt_check(in_time && too_late);
}

static void register_while_the_mm_exits(const void *arg)
{
	(void)arg;
	register_races(exit_when_told);
}

static void register_while_the_mm_execs(const void *arg)
{
	(void)arg;
	register_races(exec_when_told);
}

static void touch_and_wait(void *arg)
{
	struct meeting *m = arg;

	memset(m->p, 1, (size_t)m->delay);
	m->ready = 1;
	for (;;)
		pause();
}

/* A child with @len bytes of memory, mirrored and mapped in a device; range 1. */
static int mirrored_child(struct meeting *m, size_t len, pid_t *pid)
{
	int fd = hmt_open();

	m->p = hmt_map(len);
	m->delay = (int)len;
	*pid = hmt_child(touch_and_wait, m);
	hmt_until(m->ready);
	hmt_ok(hmt_target(fd, *pid));
	hmt_ok(hmt_register(fd, 0));
	hmt_ok(hmt_range_add(fd, 1, m->p, len));
	hmt_ok(hmt_map_in_device(fd, 1, m->p, len, HMT_REQ_WRITE));
	return fd;
}

static void calls_after_death_are_ESRCH(const void *arg)
{
	struct meeting *m = meet();
	pid_t pid;
	int fd = mirrored_child(m, LEN, &pid);

	(void)arg;
	hmt_expect(hmt_device_nr_pages(fd), 16);
	kill(pid, SIGKILL);
	hmt_reap(pid);
	check_dead(fd, m->p);
	hmt_ok(hmt_range_del(fd, 1));
	hmt_ok(hmt_unregister(fd));
	hmt_expect(hmt_register(fd, 0), -ESRCH);
	hmt_close(fd);
}

static long anon_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/meminfo", "re");

	hmt_check(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "AnonPages:", 10))
			kb = atol(line + 10);
	}
	fclose(f);
	return kb;
}

/* mm_users is not held: the memory is given back while the mirror is registered. */
static void mirror_does_not_keep_the_memory(const void *arg)
{
	const size_t len = 32UL << 20;
	struct meeting *m = meet();
	pid_t pid;
	int fd = mirrored_child(m, len, &pid);
	long before = anon_kb();

	(void)arg;
	hmt_check(hmt_proc_kb(pid, "status", "RssAnon:") >= 32 << 10);
	kill(pid, SIGKILL);
	hmt_reap(pid);
	hmt_until(!hmt_stats(fd).mm_users);
	/* Counters of CPUs are added up late, by far less than this. */
	hmt_until(anon_kb() < before - (24 << 10));
	hmt_expect(kill(pid, 0), -1);
	hmt_expect(hmt_stats(fd).registered, 1);
	hmt_close(fd);
}

static void release_is_called_once_for_each_mirror(const void *arg)
{
	struct hmt_event events[64];
	struct meeting *m = meet();
	bool release_event = false;
	int fd[3];
	pid_t pid;

	(void)arg;
	fd[0] = mirrored_child(m, LEN, &pid);
	for (int i = 1; i < 3; i++) {
		fd[i] = hmt_open();
		hmt_ok(hmt_target(fd[i], pid));
		hmt_ok(hmt_register(fd[i], 0));
		hmt_ok(hmt_range_add(fd[i], 1, m->p, LEN));
		hmt_ok(hmt_map_in_device(fd[i], 1, m->p, LEN, HMT_REQ_READ));
	}
	kill(pid, SIGKILL);
	hmt_reap(pid);
	for (int i = 0; i < 3; i++) {
		size_t nr;

		hmt_until(hmt_stats(fd[i]).nr_release_calls == 1);
		nr = hmt_log(fd[i], 0, events, HMT_COUNT(events));
		for (size_t e = 0; e < nr; e++) {
			release_event |= events[e].kind == HMT_EVENT_RELEASE;
			/* The event comes first. */
			hmt_check(events[e].kind != HMT_EVENT_RELEASE_CALL || release_event);
		}
		hmt_check(release_event);
		hmt_ok(hmt_unregister(fd[i]));
		hmt_expect(hmt_stats(fd[i]).nr_release_calls, 1);
	}
}

static void unregister_first_means_no_release(const void *arg)
{
	struct meeting *m = meet();
	uint64_t events;
	pid_t pid;
	int fd = mirrored_child(m, LEN, &pid);

	(void)arg;
	hmt_ok(hmt_unregister(fd));
	events = hmt_log_next(fd);
	kill(pid, SIGKILL);
	hmt_reap(pid);
	hmt_until(!hmt_stats(fd).mm_users);
	hmt_expect(hmt_stats(fd).nr_release_calls, 0);
	hmt_expect(hmt_log_next(fd), events);
}

static long unregister_thread(void *arg)
{
	return hmt_unregister(*(int *)arg);
}

/* Whether a thread is still at work after a while. */
static bool is_stuck(const struct hmt_thread *t)
{
	usleep(HMT_QUIET_MS * 1000);
	return !t->done;
}

static void unregister_waits_for_the_release_callback(const void *arg)
{
	struct meeting *m = meet();
	struct hmt_thread t;
	pid_t pid;
	int fd = mirrored_child(m, LEN, &pid);

	(void)arg;
	hmt_hook_arm(fd, HMT_STEP_RELEASE, 1, 0);
	kill(pid, SIGKILL);
	hmt_hook_wait(fd, HMT_STEP_RELEASE, 1);
	hmt_thread_start(&t, unregister_thread, &fd);
	hmt_check(is_stuck(&t));
	hmt_hook_release(fd, HMT_STEP_RELEASE);
	hmt_ok(hmt_thread_join(&t));
	hmt_expect(hmt_stats(fd).nr_release_calls, 1);
	hmt_reap(pid);
}

static long dontneed_thread(void *arg)
{
	return madvise(arg, HMT_PAGE, MADV_DONTNEED);
}

static void unregister_waits_for_an_invalidation(const void *arg)
{
	struct hmt_thread t, u;
	char *p = hmt_map(LEN);
	int fd = hmt_open_registered();

	(void)arg;
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	hmt_ok(hmt_map_in_device(fd, 1, p, LEN, HMT_REQ_WRITE));
	hmt_hook_arm(fd, HMT_STEP_UNREGISTER, 1, 0);
	hmt_thread_prepare(&t, dontneed_thread, p);
	hmt_thread_start(&u, unregister_thread, &fd);
	hmt_hook_wait(fd, HMT_STEP_UNREGISTER, 1);
	hmt_hook_arm(fd, HMT_STEP_INVALIDATE, 1, 0);
	hmt_thread_go(&t);
	hmt_hook_wait(fd, HMT_STEP_INVALIDATE, 1);
	hmt_hook_release(fd, HMT_STEP_UNREGISTER);
	hmt_check(is_stuck(&u));
	hmt_hook_release(fd, HMT_STEP_INVALIDATE);
	hmt_ok(hmt_thread_join(&t));
	hmt_ok(hmt_thread_join(&u));
	hmt_expect(hmt_stats(fd).registered, 0);
}

/* A child of fork() is another mm: the mirror stays with the parent's. */
static void mirror_stays_with_the_parent(const void *arg)
{
	struct meeting *m = meet();
	uint64_t from;
	char byte = 7;
	pid_t pid;
	int fd = hmt_open_registered();

	(void)arg;
	m->p = hmt_map(LEN);
	m->delay = LEN;
	hmt_ok(hmt_range_add(fd, 1, m->p, LEN));
	hmt_ok(hmt_map_in_device(fd, 1, m->p, LEN, HMT_REQ_WRITE));
	pid = hmt_child(touch_and_wait, m);
	hmt_until(m->ready);
	/* fork() has taken the write permission, and with it the mappings. */
	hmt_check(hmt_log_has(fd, 0, HMT_EVENT_CHANGE, m->p, LEN));
	hmt_expect(hmt_device_nr_pages(fd), 0);
	hmt_ok(hmt_map_in_device(fd, 1, m->p, LEN, HMT_REQ_WRITE));
	hmt_ok(hmt_device_write(fd, m->p, &byte, 1));
	hmt_expect(m->p[0], 7);
	from = hmt_log_next(fd);
	kill(pid, SIGKILL);
	hmt_reap(pid);
	hmt_expect(hmt_log_next(fd), from);
	hmt_expect(hmt_device_nr_pages(fd), 16);
}

/* In any state: with ranges, mappings, queued work, and calls of others at a hook. */
static void close_cleans_up_in_any_state(const void *arg)
{
	struct hmt_result *r = calloc(1, sizeof(*r));
	char *p = hmt_map(LEN);
	char *q;

	(void)arg;
	for (int state = 0; state < 6; state++) {
		int fd = hmt_open();

		if (state > 0)
			hmt_ok(hmt_register(fd, 0));
		if (state > 1)
			hmt_ok(hmt_range_add(fd, 1, p, LEN));
		if (state > 2)
			hmt_ok(hmt_map_in_device(fd, 1, p, LEN, HMT_REQ_WRITE));
		if (state > 3) {
			hmt_hook_arm(fd, HMT_STEP_GET_BEGIN, 1, 0);
			for (uint32_t i = 10; i < 20; i++) {
				hmt_ok(hmt_range_add(fd, i, p, LEN));
				r->get = (struct hmt_get) {
					.range = i, .flags = HMT_GET_ASYNC | HMT_GET_COMMIT,
					.default_req = HMT_REQ_WRITE,
					.next_va = (uintptr_t)p,
				};
				hmt_ok(hmt_get(fd, r));
			}
		}
		if (state > 4) {
			q = mmap(NULL, HMT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			hmt_check(q != MAP_FAILED);
			q[0] = 1;
			hmt_check(!munmap(q, HMT_PAGE));
		}
		hmt_close(fd);
	}
	p[0] = 1;
	hmt_check(!munmap(p, LEN));
}

static const struct hmt_case cases[] = {
	HMT_CASE(registers_once_and_again, 0),
	HMT_CASE(mirrors_of_one_mm_are_independent, 0),
	HMT_CASE(threads_register_while_memory_changes, 0),
	HMT_CASE(register_while_the_mm_exits, 0),
	HMT_CASE(register_while_the_mm_execs, HMT_SLOW),
	HMT_CASE(calls_after_death_are_ESRCH, 0),
	HMT_CASE(mirror_does_not_keep_the_memory, 0),
	HMT_CASE(release_is_called_once_for_each_mirror, 0),
	HMT_CASE(unregister_first_means_no_release, 0),
	HMT_CASE(unregister_waits_for_the_release_callback, 0),
	HMT_CASE(unregister_waits_for_an_invalidation, 0),
	HMT_CASE(mirror_stays_with_the_parent, 0),
	HMT_CASE(close_cleans_up_in_any_state, 0),
};

HMT_GROUP(cases);
