// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules are to go while a fault is in flight, at each step of it: refused as long as
 * somebody has the client open, and clean as soon as nobody has. unload.sh does the
 * second by killing what fault_is_held_* leaves behind.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "steps.h"

/* There: the fault is at its step. */
#define HELD_FILE "/tmp/hmm_mirror_held"

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static void check_unload_is_refused(void)
{
	hmt_expect(unload("hmm_mirror_test"), -EWOULDBLOCK);
	hmt_expect(unload("hmm_mirror"), -EWOULDBLOCK);
}

static struct scene *scene_of_own(uint32_t hook_flags)
{
	struct scene *s = scene_make();

	s->hook_flags = hook_flags;
	s->fd = hmt_open_registered();
	memset(s->p, 1, SCENE_LEN / 2);
	hmt_ok(hmt_range_add(s->fd, 1, s->p, 2 * SCENE_LEN));
	return s;
}

/* An invalidation that is held for longer than a fault waits: it is asked for again. */
static long fault_until_done(void *arg)
{
	struct scene *s = arg;

	do {
		s->result = 1;
		scene_fault(s);
	} while (s->result == -ETIME);
	return s->result;
}

/* Until the thread is in a function with this in its name. */
static void until_in(const struct hmt_thread *t, const char *function)
{
	uint64_t end = hmt_now_ms() + HMT_WAIT_MS;
	char path[64], stack[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stack", (int)t->tid);
	do {
		hmt_check_that(hmt_now_ms() < end, "not in %s: %s", function, stack);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		hmt_check(fd >= 0);
		n = read(fd, stack, sizeof(stack) - 1);
		close(fd);
		stack[n > 0 ? n : 0] = 0;
	} while (!strstr(stack, function));
}

struct crew {
	struct hmt_thread fault, disturb, holder;
};

/*
 * Waits inside of the mirror, where that is the step. With mmap_lock held nobody here can
 * have a page for the first time: what is done then is done before.
 */
static void hold_own_fault(struct scene *s, enum step step, struct crew *crew)
{
	hmt_thread_start(&crew->fault, fault_until_done, s);
	hmt_thread_start(&crew->disturb, scene_disturb, s);
	hmt_until(crew->fault.tid);
	until_in(&crew->fault, "");
	check_unload_is_refused();
	scene_fault_to_step(s, step, false, &crew->holder);
	if (step == STEP_WAIT_IDLE)
		until_in(&crew->fault, "wait_settled");
	if (step == STEP_MMAP_LOCK)
		until_in(&crew->fault, "mmap_read_lock");
}

static void release(struct scene *s, enum step step, struct crew *crew)
{
	hmt_hook_release(scene_hook_fd(s, step), hook_of[step]);
	s->disturb = 1;
	if (step == STEP_MMAP_LOCK)
		hmt_ok(hmt_thread_join(&crew->holder));
	hmt_ok(hmt_thread_join(&crew->disturb));
}

static void unload_is_refused_at_every_step(const void *arg)
{
	(void)arg;
	for (int i = 0; i < NR_STEPS; i++) {
		enum step step = (enum step)i;
		struct scene *s = scene_of_own(0);
		struct crew crew;

		hmt_note("step: %s", step_names[i]);
		hold_own_fault(s, step, &crew);
		check_unload_is_refused();
		hmt_check(!crew.fault.done);
		release(s, step, &crew);
		hmt_ok(hmt_thread_join(&crew.fault));
		hmt_ok(hmt_unregister(s->fd));
		hmt_close(s->fd);
	}
}

static long close_client(void *arg)
{
	struct scene *s = arg;

	hmt_forget(s->fd);
	return close(s->fd);
}

/*
 * The file is closed while a kernel thread's fault is in flight: it has let go of all when
 * that returns, and the module stays until then. What is held by others must go on first.
 */
static void close_waits_for_the_fault(const void *arg)
{
	static const enum step steps[] = {
		STEP_WAIT_IDLE, STEP_MMAP_LOCK, STEP_PAGE_FAULT, STEP_GET_DONE,
		STEP_COMMIT_LOCKED,
	};

	(void)arg;
	for (size_t i = 0; i < HMT_COUNT(steps); i++) {
		enum step step = steps[i];
		struct scene *s = scene_of_own(0);
		struct crew crew;
		bool waits = step == STEP_PAGE_FAULT || step == STEP_MMAP_LOCK;
		struct hmt_thread closer;

		hmt_note("step: %s", step_names[step]);
		hmt_thread_start(&crew.disturb, scene_disturb, s);
		hmt_thread_prepare(&closer, close_client, s);
		s->hold_fd = hmt_open();
		scene_fault_to_step(s, step, true, &crew.holder);
		hmt_thread_go(&closer);
		if (waits) {
			usleep(HMT_QUIET_MS * 1000);
			hmt_check(!closer.done);
			check_unload_is_refused();
			hmt_hook_release(scene_hook_fd(s, step), hook_of[step]);
		}
		hmt_ok(hmt_thread_join(&closer));
		s->disturb = 1;
		hmt_ok(hmt_thread_join(&crew.disturb));
		if (step == STEP_MMAP_LOCK)
			hmt_ok(hmt_thread_join(&crew.holder));
		hmt_close(s->hold_fd);
	}
}

struct hold {
	enum step step;
	bool worker;
};

/* Never ends. Who kills it has the hooks let go, as their tasks die. */
static void fault_is_held(const void *arg)
{
	const struct hold *hold = arg;
	struct scene *s = scene_of_own(HMT_HOOK_KILLABLE);
	struct crew crew;

	if (hold->worker) {
		hmt_thread_start(&crew.disturb, scene_disturb, s);
		scene_fault_to_step(s, hold->step, true, &crew.holder);
	} else {
		hold_own_fault(s, hold->step, &crew);
	}
	hmt_check(open(HELD_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
	for (;;)
		pause();
}

#define HOLD(name_, step_, worker_)						\
	{ .name = "fault_is_held_" name_, .fn = fault_is_held,			\
	  .arg = &(const struct hold){ step_, worker_ }, .flags = HMT_HOLD }

static const struct hmt_case unload_cases[] = {
	HMT_CASE(unload_is_refused_at_every_step, 0),
	HMT_CASE(close_waits_for_the_fault, 0),
	HOLD("waiting_for_idle", STEP_WAIT_IDLE, false),
	HOLD("waiting_for_mmap_lock", STEP_MMAP_LOCK, false),
	HOLD("in_a_page_fault", STEP_PAGE_FAULT, false),
	HOLD("at_get_begin", STEP_GET_BEGIN, false),
	HOLD("at_get_done", STEP_GET_DONE, false),
	HOLD("at_commit_begin", STEP_COMMIT_BEGIN, false),
	HOLD("at_commit_locked", STEP_COMMIT_LOCKED, false),
	HOLD("at_commit_done", STEP_COMMIT_DONE, false),
	/* At the other steps the process would wait for what only its end lets go. */
	HOLD("waiting_for_idle_in_a_kernel_thread", STEP_WAIT_IDLE, true),
	HOLD("waiting_for_mmap_lock_in_a_kernel_thread", STEP_MMAP_LOCK, true),
};

HMT_GROUP(unload_cases);
