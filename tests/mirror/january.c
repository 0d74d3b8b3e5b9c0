// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bugs that the HMM series of January 2019 had, absent: a range that is valid again
 * after an invalidation nobody saw; a lock taken twice, and counters that leak, when a
 * start that may not block is refused; the pfn of a huge page from the wrong offset.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hmt.h"

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

#define LEN (16 * HMT_PAGE)

/* ---- valid again ---- */

struct faulter {
	int fd;
	char *p;
	struct hmt_result r;
};

static long fault_and_commit(void *arg)
{
	struct faulter *f = arg;

	f->r.get = (struct hmt_get) {
		.range = 1, .flags = HMT_GET_COMMIT, .default_req = HMT_REQ_WRITE,
		.next_va = (uintptr_t)f->p,
	};
	return hmt_get(f->fd, &f->r);
}

/* What happens between a fault and its commit, begins and ends in there. */
static void change_everything(int fd, char *p)
{
	hmt_check(!madvise(p, LEN, MADV_DONTNEED));
	/* All that could pass for a return to how it was. */
	memset(p, 2, LEN);
	hmt_ok(hmt_wait(fd, 2, HMT_WAIT_MS));
	hmt_ok(hmt_map_in_device(fd, 2, p, LEN, HMT_REQ_WRITE));
	hmt_expect(hmt_valid(fd, 2), 1);
}

static void invalidation_that_came_and_went_is_seen(const void *arg)
{
	static const uint32_t steps[] = { HMT_STEP_GET_DONE, HMT_STEP_COMMIT_BEGIN };

	(void)arg;
	for (size_t i = 0; i < HMT_COUNT(steps); i++) {
		static struct faulter f;
		struct hmt_thread t;
		char byte;

		f.p = hmt_map(LEN);
		f.fd = hmt_open_registered();
		memset(f.p, 1, LEN);
		hmt_ok(hmt_range_add(f.fd, 1, f.p, LEN));
		hmt_ok(hmt_range_add(f.fd, 2, f.p, LEN));
		hmt_hook_arm(f.fd, steps[i], 1, 0);
		hmt_thread_start(&t, fault_and_commit, &f);
		hmt_hook_wait(f.fd, steps[i], 1);
		change_everything(f.fd, f.p);
		hmt_hook_release(f.fd, steps[i]);
		hmt_ok(hmt_thread_join(&t));
		/* The first try was thrown away, the second was made of what is there. */
		hmt_expect(f.r.get.tries, 2);
		for (size_t page = 0; page < LEN / HMT_PAGE; page++) {
			char *q = f.p + page * HMT_PAGE;

			hmt_ok(hmt_device_read(f.fd, q, &byte, 1));
			hmt_expect(byte, 2);
			hmt_expect(hmt_device_page(f.fd, q) & HMT_EXT_PFN,
				   hmt_pagemap(q) & HMT_PM_PFN);
		}
		hmt_close(f.fd);
	}
}

static long dontneed_all(void *arg)
{
	return madvise(arg, LEN, MADV_DONTNEED);
}

/* The other order: the commit is first, and the event removes what it mapped. */
static void commit_before_the_invalidation_is_undone_by_it(const void *arg)
{
	static const uint32_t steps[] = { HMT_STEP_COMMIT_LOCKED, HMT_STEP_COMMIT_DONE };

	(void)arg;
	for (size_t i = 0; i < HMT_COUNT(steps); i++) {
		static struct faulter f;
		struct hmt_thread t, u;

		f.p = hmt_map(LEN);
		f.fd = hmt_open_registered();
		memset(f.p, 1, LEN);
		hmt_ok(hmt_range_add(f.fd, 1, f.p, LEN));
		hmt_hook_arm(f.fd, steps[i], 1, 0);
		hmt_thread_start(&t, fault_and_commit, &f);
		hmt_hook_wait(f.fd, steps[i], 1);
		hmt_thread_start(&u, dontneed_all, f.p);
		usleep(HMT_QUIET_MS * 1000);
		/* Until the lock is free, nothing has changed for the CPU either. */
		hmt_check(!u.done);
		hmt_check(hmt_pagemap(f.p) & HMT_PM_PRESENT);
		hmt_hook_release(f.fd, steps[i]);
		hmt_ok(hmt_thread_join(&t));
		hmt_ok(hmt_thread_join(&u));
		hmt_expect(f.r.get.tries, 1);
		hmt_expect(hmt_device_nr_pages(f.fd), 0);
		hmt_expect(hmt_valid(f.fd, 1), 0);
		hmt_expect(hmt_pagemap(f.p) & HMT_PM_PRESENT, 0);
		hmt_close(f.fd);
	}
}

/* ---- a start that may not block ---- */

struct scene {
	int hold_fd;
	char *p;
	volatile int ready;
};

static long hold_task(void *arg)
{
	struct scene *s = arg;

	return hmt_hold_task(s->hold_fd);
}

/* A process that, once killed, cannot end: its memory is there to be reaped. */
static void undead(void *arg)
{
	struct scene *s = arg;
	struct hmt_thread t;

	memset(s->p, 1, LEN);
	hmt_thread_start(&t, hold_task, s);
	hmt_hook_wait(s->hold_fd, HMT_STEP_HOLD_TASK, 1);
	s->ready = 1;
	for (;;)
		pause();
}

static int reap_memory(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), err;

	hmt_check(pidfd >= 0);
	err = syscall(SYS_process_mrelease, pidfd, 0) ? -errno : 0;
	close(pidfd);
	return err;
}

static long hold_update_lock(void *arg)
{
	return hmt_hold_update_lock(*(int *)arg);
}

static int client_of(pid_t pid, char *p)
{
	int fd = hmt_open();

	hmt_ok(hmt_target(fd, pid));
	hmt_ok(hmt_register(fd, 0));
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	hmt_ok(hmt_map_in_device(fd, 1, p, LEN, HMT_REQ_WRITE));
	hmt_expect(hmt_device_nr_pages(fd), 16);
	return fd;
}

static struct scene *undead_scene(pid_t *pid)
{
	struct scene *s = mmap(NULL, HMT_PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	hmt_check(s != MAP_FAILED);
	s->p = hmt_map(LEN);
	s->hold_fd = hmt_open();
	hmt_hook_arm(s->hold_fd, HMT_STEP_HOLD_TASK, 1, 0);
	*pid = hmt_child(undead, s);
	hmt_until(s->ready);
	return s;
}

static bool saw_nonblockable(int fd)
{
	static struct hmt_event events[4096];
	size_t nr = hmt_log(fd, 0, events, HMT_COUNT(events));

	for (size_t i = 0; i < nr; i++) {
		if (events[i].kind != HMT_EVENT_RELEASE_CALL &&
		    !(events[i].flags & HMT_LOG_BLOCKABLE))
			return true;
	}
	return false;
}

/*
 * The reaper comes while one client's update lock is taken and the other's is not. The
 * event is refused by the one and changes nothing there; nobody waits for ever after.
 */
static void refused_start_changes_and_leaks_nothing(const void *arg)
{
	struct hmt_thread t;
	struct scene *s;
	int busy, idle;
	pid_t pid;

	(void)arg;
	s = undead_scene(&pid);
	busy = client_of(pid, s->p);
	idle = client_of(pid, s->p);
	hmt_check(!kill(pid, SIGKILL));
	hmt_hook_arm(busy, HMT_STEP_UPDATE_LOCK, 1, 0);
	hmt_thread_start(&t, hold_update_lock, &busy);
	hmt_hook_wait(busy, HMT_STEP_UPDATE_LOCK, 1);
	for (int i = 0; i < 5; i++)
		hmt_expect(reap_memory(pid), -EAGAIN);
	hmt_expect(hmt_device_nr_pages(busy), 16);
	hmt_check(!saw_nonblockable(busy));
	hmt_hook_release(busy, HMT_STEP_UPDATE_LOCK);
	hmt_ok(hmt_thread_join(&t));

	/* Still as it was: what was refused is not half done. */
	hmt_expect(hmt_valid(busy, 1), 1);
	hmt_expect(hmt_device_nr_pages(busy), 16);
	/* Nothing counts as under way, for neither of them. */
	hmt_ok(hmt_wait(busy, 1, 0));
	hmt_ok(hmt_wait(idle, 1, HMT_WAIT_MS));
	hmt_ok(hmt_range_add(busy, 2, s->p, LEN));
	hmt_ok(hmt_wait(busy, 2, 0));
	hmt_ok(hmt_range_add(idle, 2, s->p, LEN));
	hmt_ok(hmt_wait(idle, 2, HMT_WAIT_MS));
	/* The reaper has marked the mm: its memory may not be trusted. */
	hmt_expect(hmt_fault(busy, 1, s->p, HMT_REQ_READ, NULL), -EFAULT);
	hmt_expect(hmt_mmap_read_lock(busy, true), -EFAULT);

	hmt_ok(reap_memory(pid));
	hmt_expect(hmt_device_nr_pages(busy), 0);
	hmt_expect(hmt_device_nr_pages(idle), 0);
	hmt_check(saw_nonblockable(busy) && saw_nonblockable(idle));
	hmt_expect(hmt_valid(busy, 1), 0);
	hmt_ok(hmt_wait(busy, 1, HMT_WAIT_MS));
	hmt_expect(hmt_fault(busy, 1, s->p, HMT_REQ_READ, NULL), -EFAULT);

	hmt_hook_release(s->hold_fd, HMT_STEP_HOLD_TASK);
	hmt_reap(pid);
	hmt_until(hmt_stats(busy).nr_release_calls == 1);
	hmt_until(hmt_stats(idle).nr_release_calls == 1);
	hmt_expect(hmt_fault(busy, 1, s->p, HMT_REQ_READ, NULL), -ESRCH);
	hmt_ok(hmt_unregister(busy));
	hmt_ok(hmt_unregister(idle));
}

/* The reaper meets a commit in flight: at each step it is refused or the commit fails. */
static void reaper_against_a_commit(const void *arg)
{
	static const uint32_t steps[] = {
		HMT_STEP_GET_DONE, HMT_STEP_COMMIT_BEGIN, HMT_STEP_COMMIT_LOCKED,
		HMT_STEP_COMMIT_DONE,
	};

	(void)arg;
	for (size_t i = 0; i < HMT_COUNT(steps); i++) {
		bool locked = steps[i] == HMT_STEP_COMMIT_LOCKED ||
			      steps[i] == HMT_STEP_COMMIT_DONE;
		static struct faulter f;
		struct hmt_thread t;
		struct scene *s;
		pid_t pid;

		s = undead_scene(&pid);
		f.p = s->p;
		f.fd = client_of(pid, s->p);
		hmt_check(!kill(pid, SIGKILL));
		hmt_hook_arm(f.fd, steps[i], 1, 0);
		hmt_thread_start(&t, fault_and_commit, &f);
		hmt_hook_wait(f.fd, steps[i], 1);
		hmt_expect(reap_memory(pid), locked ? -EAGAIN : 0);
		hmt_hook_release(f.fd, steps[i]);
		hmt_expect(hmt_thread_join(&t), locked ? 0 : -EFAULT);
		hmt_expect(hmt_device_nr_pages(f.fd), locked ? 16 : 0);
		if (locked)
			hmt_ok(reap_memory(pid));
		hmt_expect(hmt_device_nr_pages(f.fd), 0);
		hmt_hook_release(s->hold_fd, HMT_STEP_HOLD_TASK);
		hmt_reap(pid);
		hmt_until(hmt_stats(f.fd).nr_release_calls == 1);
		hmt_close(f.fd);
		hmt_close(s->hold_fd);
	}
}

/* ---- huge pages from the middle ---- */

static void check_window(int fd, char *p, size_t first, size_t npages, bool snapshot)
{
	static struct hmt_result r;
	char *q = p + first * HMT_PAGE;

	hmt_ok(hmt_range_add(fd, 1, q, npages * HMT_PAGE));
	if (snapshot)
		hmt_ok(hmt_snapshot(fd, 1, q, &r));
	else
		hmt_ok(hmt_fault(fd, 1, q, HMT_REQ_WRITE, &r));
	hmt_check_extents(r.ext, r.get.nr, (uintptr_t)q, (uintptr_t)q + npages * HMT_PAGE);
	for (size_t i = 0; i < npages; i++) {
		struct hmt_page page = hmt_page_of(&r, q + i * HMT_PAGE);

		hmt_check(page.flags & HMT_EXT_HUGE);
		hmt_expect(page.pfn, hmt_pagemap(q + i * HMT_PAGE) & HMT_PM_PFN);
	}
	hmt_ok(hmt_range_del(fd, 1));
}

static void check_huge_windows(char *p)
{
	static const size_t first[] = { 0, 1, 7, 8, 255, 256, 500, 511 };
	static const size_t npages[] = { 1, 2, 9, 12 };
	int fd = hmt_open_registered();

	for (int snapshot = 0; snapshot < 2; snapshot++) {
		for (size_t f = 0; f < HMT_COUNT(first); f++) {
			for (size_t n = 0; n < HMT_COUNT(npages); n++)
				check_window(fd, p, first[f], npages[n], snapshot);
			hmt_check_same(fd, p + first[f] * HMT_PAGE, 40 * HMT_PAGE,
				       HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
		}
		check_window(fd, p, 100, 700, snapshot);
	}
	hmt_close(fd);
}

static void hugetlb_window_that_begins_in_the_middle(const void *arg)
{
	char *p;

	(void)arg;
	hmt_write_file("/proc/sys/vm/nr_hugepages", "4");
	p = mmap(NULL, 2 * HMT_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	if (p == MAP_FAILED)
		hmt_skip("no hugetlb pages of 2 MiB to be had");
	p[0] = p[HMT_HUGE] = 1;
	check_huge_windows(p);
	hmt_ok(munmap(p, 2 * HMT_HUGE));
	hmt_write_file("/proc/sys/vm/nr_hugepages", "0");
}

static void thp_window_that_begins_in_the_middle(const void *arg)
{
	char *p = hmt_map_thp(2 * HMT_HUGE);

	(void)arg;
	if (hmt_proc_kb(getpid(), "smaps_rollup", "AnonHugePages:") < 4096)
		hmt_skip("no huge pages to be had");
	check_huge_windows(p);
}

static const struct hmt_case january_cases[] = {
	HMT_CASE(invalidation_that_came_and_went_is_seen, 0),
	HMT_CASE(commit_before_the_invalidation_is_undone_by_it, 0),
	HMT_CASE(refused_start_changes_and_leaks_nothing, 0),
	HMT_CASE(reaper_against_a_commit, 0),
	HMT_CASE(hugetlb_window_that_begins_in_the_middle, 0),
	HMT_CASE(thp_window_that_begins_in_the_middle, 0),
};

HMT_GROUP(january_cases);
