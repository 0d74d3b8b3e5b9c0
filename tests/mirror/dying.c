// SPDX-License-Identifier: GPL-2.0-only
/*
 * Feature 10, and ends of processes while a fault of theirs is in flight.
 *
 * A fault is stopped at each step in turn; then its process exits, execs, is killed, or
 * is killed for lack of memory. The step ends only when the end of the process is under
 * way. In one mode the process faults for itself, in the other a kernel thread does, as
 * the fault worker of a driver.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "steps.h"

#define LEN SCENE_LEN

enum end { END_EXIT, END_EXEC, END_KILL, END_OOM };

#define GROUP "/sys/fs/cgroup/hmt/"
#define EAT_LEN (64ul << 20)

/*
 * Until the memory of the group is used up and the OOM killer comes. It is mapped before,
 * as mmap_lock may be held; a page fault does without it.
 */
static void eat(char *p)
{
	for (size_t i = 0; i < EAT_LEN; i += HMT_PAGE)
		p[i] = 1;
	_exit(1);	/* it should not get here */
}

static long nr_oom_kills(void)
{
	FILE *f = fopen(GROUP "memory.events", "re");
	char line[128];
	long n = 0;

	hmt_check(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "oom_kill %ld", &n);
	fclose(f);
	return n;
}

static void victim(void *arg)
{
	struct scene *s = arg;
	struct hmt_thread t[2];
	char *food = hmt_map(EAT_LEN);

	food[0] = 1;
	if (s->end == END_OOM)
		hmt_check(!hmt_write_file(GROUP "cgroup.procs", "0"));
	memset(s->p, 1, LEN / 2);
	hmt_thread_start(&t[0], scene_fault, s);
	hmt_thread_start(&t[1], scene_disturb, s);
	s->ready = 1;
	while (!s->go)
		usleep(500);
	if (s->end == END_EXIT)
		_exit(0);
	if (s->end == END_EXEC)
		execl("/bin/true", "true", NULL);
	if (s->end == END_OOM)
		eat(food);
	for (;;)
		pause();
}

static bool memory_group(void)
{
	hmt_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		return false;
	return !hmt_write_file(GROUP "memory.max", "16777216") &&
	       (!hmt_write_file(GROUP "memory.swap.max", "0") ||
		errno == ENOENT);
}

static void check_end(int status, enum end end)
{
	if (end == END_KILL || end == END_OOM)
		hmt_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		hmt_expect(status, 0);
}

static void one_end(enum end end, enum step step, bool worker)
{
	struct scene *s = scene_make();
	struct hmt_thread holder;
	long kills = end == END_OOM ? nr_oom_kills() : 0;
	pid_t pid;
	int err;

	s->end = end;
	s->fd = hmt_open();
	s->result = 1;
	pid = hmt_child(victim, s);
	hmt_until(s->ready);
	hmt_ok(hmt_target(s->fd, pid));
	hmt_ok(hmt_register(s->fd, 0));
	hmt_ok(hmt_range_add(s->fd, 1, s->p, 2 * LEN));
	hmt_ok(hmt_watch(s->fd, s->p, 2 * LEN));
	scene_fault_to_step(s, step, worker, &holder);
	s->go = 1;
	if (end == END_KILL)
		hmt_check(!kill(pid, SIGKILL));
	if (end == END_OOM)
		hmt_until(nr_oom_kills() > kills);
	/* A while for the end to come to where it must wait, if it must. */
	usleep(20000);
	hmt_hook_release(scene_hook_fd(s, step), hook_of[step]);
	if (step == STEP_MMAP_LOCK)
		hmt_ok(hmt_thread_join(&holder));
	check_end(hmt_reap(pid), end);
	if (worker) {
		err = scene_worker_result(s);
		/* ETIME: the invalidation was held for longer than a fault waits. */
		hmt_check_that(!err || err == -ESRCH || err == -EFAULT ||
			       (err == -ETIME && step == STEP_WAIT_IDLE),
			       "the fault of a dead process ends with %d", err);
	}
	hmt_until(hmt_stats(s->fd).nr_release_calls == 1);
	hmt_expect(hmt_device_nr_pages(s->fd), 0);
	hmt_until(!hmt_stats(s->fd).mm_users);
	hmt_expect(hmt_valid(s->fd, 1), 0);
	hmt_expect(hmt_fault(s->fd, 1, s->p, HMT_REQ_READ, NULL), -ESRCH);
	hmt_close(s->fd);
	hmt_close(s->map_fd);
	munmap(s->p, 2 * LEN);
}

struct ending {
	enum end end;
	bool worker;
};

static void end_at_every_step(const void *arg)
{
	const struct ending *e = arg;

	if (e->end == END_OOM && !memory_group())
		hmt_skip("no memory controller");
	for (int step = 0; step < NR_STEPS; step++) {
		hmt_note("step: %s", step_names[step]);
		one_end(e->end, (enum step)step, e->worker);
	}
}

static const struct ending exits = { END_EXIT, false }, execs = { END_EXEC, false };
static const struct ending killed = { END_KILL, false }, oom = { END_OOM, false };
static const struct ending exits_w = { END_EXIT, true }, execs_w = { END_EXEC, true };
static const struct ending killed_w = { END_KILL, true }, oom_w = { END_OOM, true };

/* ---- feature 10 ---- */

#define TRACEFS "/sys/kernel/tracing/"

/* Kernel threads that begin to take an mmap_lock, since it was switched on. */
static bool count_mmap_locks(bool on)
{
	char path[] = TRACEFS "events/mmap_lock/mmap_lock_start_locking/enable";

	if (access(path, W_OK))
		return false;
	if (!on)
		return !hmt_write_file(path, "0");
	hmt_empty_file(TRACEFS "trace");
	hmt_check(!hmt_write_file(TRACEFS "events/mmap_lock/mmap_lock_start_locking/filter",
				  "comm ~ \"kworker*\""));
	hmt_check(!hmt_write_file(TRACEFS "tracing_on", "1"));
	return !hmt_write_file(path, "1");
}

static long nr_mmap_locks(void)
{
	FILE *f = fopen(TRACEFS "trace", "re");
	char line[512];
	long n = 0;

	hmt_check(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] != '#' && strstr(line, "mmap_lock_start_locking"))
			n++;
	}
	fclose(f);
	return n;
}

static struct hmt_result result;

static void queue_faults(struct scene *s, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++) {
		result.get = (struct hmt_get) {
			.range = i, .flags = HMT_GET_ASYNC | HMT_GET_COMMIT, .nr_max = 16,
			.default_req = HMT_REQ_WRITE, .next_va = (uintptr_t)s->p,
		};
		hmt_ok(hmt_range_add(s->fd, i, s->p, LEN));
		hmt_ok(hmt_get(s->fd, &result));
	}
}

static void queued_faults_of_a_killed_process_are_dropped(const void *arg)
{
	enum { N = 1000 };
	struct scene *s = scene_make();
	bool counted;
	long seen;
	pid_t pid;

	(void)arg;
	s->end = END_KILL;
	pid = hmt_child(victim, s);
	hmt_until(s->ready);
	s->fd = hmt_open();
	hmt_ok(hmt_target(s->fd, pid));
	hmt_ok(hmt_register(s->fd, 0));
	counted = count_mmap_locks(true);
	/* While the process lives each of them takes the lock: that is counted. */
	queue_faults(s, 1, 10);
	for (uint32_t i = 1; i <= 10; i++)
		hmt_ok(hmt_get_wait(s->fd, i, HMT_WAIT_MS, &result));
	if (counted) {
		seen = nr_mmap_locks();
		hmt_check_that(seen >= 10, "10 faults took mmap_lock %ld times", seen);
	}

	hmt_hook_arm(s->fd, HMT_STEP_GET_BEGIN, 1, 0);
	queue_faults(s, 1000, N);
	hmt_hook_wait(s->fd, HMT_STEP_GET_BEGIN, 1);
	kill(pid, SIGKILL);
	hmt_reap(pid);
	/* They do not keep it from dying. */
	hmt_until(hmt_stats(s->fd).nr_release_calls == 1);
	hmt_until(!hmt_stats(s->fd).mm_users);
	if (counted)
		hmt_check(count_mmap_locks(true));
	hmt_hook_release(s->fd, HMT_STEP_GET_BEGIN);
	for (uint32_t i = 1000; i < 1000 + N; i++)
		hmt_expect(hmt_get_wait(s->fd, i, HMT_WAIT_MS, &result), -ESRCH);
	if (counted) {
		seen = nr_mmap_locks();
		count_mmap_locks(false);
		hmt_expect(seen, 0);
	}
	hmt_expect(hmt_device_nr_pages(s->fd), 0);
	hmt_note("mmap_lock %s", counted ? "counted" : "not counted: no tracepoint");
}

static long lock_in_worker(void *arg)
{
	struct scene *s = arg;

	return hmt_mmap_read_lock(s->fd, true);
}

/* The helper holds mm_users while it has the lock: the end of the process waits. */
static void mmap_lock_helper_and_the_end(const void *arg)
{
	struct scene *s = scene_make();
	struct hmt_thread t;
	pid_t pid;

	(void)arg;
	s->end = END_KILL;
	pid = hmt_child(victim, s);
	hmt_until(s->ready);
	s->fd = hmt_open();
	hmt_ok(hmt_target(s->fd, pid));
	hmt_ok(hmt_register(s->fd, 0));
	hmt_ok(hmt_watch(s->fd, s->p, LEN));
	hmt_ok(hmt_mmap_read_lock(s->fd, true));
	hmt_ok(hmt_mmap_read_lock(s->fd, false));

	hmt_hook_arm(s->fd, HMT_STEP_MMAP_READ, 1, 0);
	hmt_thread_start(&t, lock_in_worker, s);
	hmt_hook_wait(s->fd, HMT_STEP_MMAP_READ, 1);
	hmt_check(hmt_stats(s->fd).mm_users >= 2);
	kill(pid, SIGKILL);
	usleep(HMT_QUIET_MS * 1000);
	hmt_expect(hmt_stats(s->fd).nr_release_calls, 0);
	hmt_hook_release(s->fd, HMT_STEP_MMAP_READ);
	hmt_ok(hmt_thread_join(&t));
	hmt_reap(pid);
	hmt_until(hmt_stats(s->fd).nr_release_calls == 1);
	hmt_expect(hmt_mmap_read_lock(s->fd, true), -ESRCH);
}

/* The death comes between the call and the lock. */
static void mmap_lock_helper_after_the_end(const void *arg)
{
	struct scene *s = scene_make();
	struct hmt_thread t;
	pid_t pid;

	(void)arg;
	s->end = END_KILL;
	pid = hmt_child(victim, s);
	hmt_until(s->ready);
	s->fd = hmt_open();
	hmt_ok(hmt_target(s->fd, pid));
	hmt_ok(hmt_register(s->fd, 0));
	hmt_hook_arm(s->fd, HMT_STEP_MMAP_READ_BEGIN, 1, 0);
	hmt_thread_start(&t, lock_in_worker, s);
	hmt_hook_wait(s->fd, HMT_STEP_MMAP_READ_BEGIN, 1);
	kill(pid, SIGKILL);
	hmt_reap(pid);
	hmt_until(hmt_stats(s->fd).nr_release_calls == 1);
	hmt_hook_release(s->fd, HMT_STEP_MMAP_READ_BEGIN);
	hmt_expect(hmt_thread_join(&t), -ESRCH);
}

static const struct hmt_case dying_cases[] = {
	HMT_VARIANT(end_at_every_step, exit_own_fault, &exits, 0),
	HMT_VARIANT(end_at_every_step, exec_own_fault, &execs, 0),
	HMT_VARIANT(end_at_every_step, SIGKILL_own_fault, &killed, 0),
	HMT_VARIANT(end_at_every_step, OOM_own_fault, &oom, HMT_SLOW),
	HMT_VARIANT(end_at_every_step, exit_fault_of_kernel_thread, &exits_w, 0),
	HMT_VARIANT(end_at_every_step, exec_fault_of_kernel_thread, &execs_w, 0),
	HMT_VARIANT(end_at_every_step, SIGKILL_fault_of_kernel_thread, &killed_w, 0),
	HMT_VARIANT(end_at_every_step, OOM_fault_of_kernel_thread, &oom_w, HMT_SLOW),
	HMT_CASE(queued_faults_of_a_killed_process_are_dropped, 0),
	HMT_CASE(mmap_lock_helper_and_the_end, 0),
	HMT_CASE(mmap_lock_helper_after_the_end, 0),
};

HMT_GROUP(dying_cases);
