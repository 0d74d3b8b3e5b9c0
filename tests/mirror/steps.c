// SPDX-License-Identifier: GPL-2.0-only
#include "steps.h"

const uint32_t hook_of[NR_STEPS] = {
	[STEP_WAIT_IDLE] = HMT_STEP_INVALIDATE,
	[STEP_MMAP_LOCK] = HMT_STEP_MMAP_WRITE,
	[STEP_PAGE_FAULT] = HMT_STEP_PAGE_FAULT,
	[STEP_GET_BEGIN] = HMT_STEP_GET_BEGIN,
	[STEP_GET_DONE] = HMT_STEP_GET_DONE,
	[STEP_COMMIT_BEGIN] = HMT_STEP_COMMIT_BEGIN,
	[STEP_COMMIT_LOCKED] = HMT_STEP_COMMIT_LOCKED,
	[STEP_COMMIT_DONE] = HMT_STEP_COMMIT_DONE,
};

const char *const step_names[NR_STEPS] = {
	"wait idle", "mmap_lock", "page fault", "get begin", "get done", "commit begin",
	"commit locked", "commit done",
};

struct scene *scene_make(void)
{
	struct scene *s = mmap(NULL, HMT_PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	hmt_check(s != MAP_FAILED);
	s->p = hmt_map(2 * SCENE_LEN);
	s->map_fd = hmt_open();
	hmt_check(mmap(s->p + SCENE_LEN, SCENE_LEN, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, s->map_fd,
		       HMT_MMAP_NORMAL) == s->p + SCENE_LEN);
	return s;
}

int scene_hook_fd(const struct scene *s, enum step step)
{
	if (step == STEP_PAGE_FAULT)
		return s->map_fd;
	return step == STEP_MMAP_LOCK && s->hold_fd ? s->hold_fd : s->fd;
}

long scene_fault(void *arg)
{
	struct scene *s = arg;

	while (!s->fault)
		usleep(500);
	s->result = hmt_map_in_device(s->fd, 1, s->p, 2 * SCENE_LEN, HMT_REQ_WRITE);
	return 0;
}

long scene_disturb(void *arg)
{
	struct scene *s = arg;

	while (!s->disturb)
		usleep(500);
	madvise(s->p, HMT_PAGE, MADV_DONTNEED);
	return 0;
}

static long hold_mmap_write(void *arg)
{
	struct scene *s = arg;

	return hmt_hold_mmap_write(scene_hook_fd(s, STEP_MMAP_LOCK));
}

static struct hmt_result result;

static void fault_begins(struct scene *s, bool worker)
{
	if (!worker) {
		s->fault = 1;
		return;
	}
	result.get = (struct hmt_get) {
		.range = 1, .flags = HMT_GET_ASYNC | HMT_GET_COMMIT,
		.default_req = HMT_REQ_WRITE, .next_va = (uintptr_t)s->p,
	};
	hmt_ok(hmt_get(s->fd, &result));
}

int scene_worker_result(struct scene *s)
{
	return hmt_get_wait(s->fd, 1, HMT_WAIT_MS, &result);
}

void scene_fault_to_step(struct scene *s, enum step step, bool worker,
			 struct hmt_thread *holder)
{
	int fd = scene_hook_fd(s, step);

	hmt_hook_arm(fd, hook_of[step], 1, s->hook_flags);
	if (step != STEP_WAIT_IDLE && step != STEP_MMAP_LOCK) {
		fault_begins(s, worker);
		hmt_hook_wait(fd, hook_of[step], 1);
		return;
	}
	if (step == STEP_WAIT_IDLE)
		s->disturb = 1;
	else
		hmt_thread_start(holder, hold_mmap_write, s);
	hmt_hook_wait(fd, hook_of[step], 1);
	/* Has begun is all that can be seen here of a call that waits inside. */
	hmt_hook_arm(s->fd, HMT_STEP_GET_BEGIN, 1, 0);
	fault_begins(s, worker);
	hmt_hook_wait(s->fd, HMT_STEP_GET_BEGIN, 1);
	hmt_hook_release(s->fd, HMT_STEP_GET_BEGIN);
	usleep(20000);
}
