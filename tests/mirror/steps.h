/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fault stopped at one of its steps, of a process for itself or of a kernel thread.
 */
#ifndef STEPS_H
#define STEPS_H

#include "hmt.h"

#define SCENE_LEN	(32 * HMT_PAGE)

/* Where the fault is. */
enum step {
	STEP_WAIT_IDLE,		/* waits for the end of an invalidation */
	STEP_MMAP_LOCK,		/* waits for mmap_lock */
	STEP_PAGE_FAULT,	/* in the fault handler of the memory */
	STEP_GET_BEGIN,
	STEP_GET_DONE,
	STEP_COMMIT_BEGIN,
	STEP_COMMIT_LOCKED,
	STEP_COMMIT_DONE,
	NR_STEPS,
};

/* What holds the step: the hook of a client. */
extern const uint32_t hook_of[NR_STEPS];
extern const char *const step_names[NR_STEPS];

/*
 * Shared with children. The range of the fault is @p: SCENE_LEN of plain memory, then
 * SCENE_LEN of @map_fd.
 */
struct scene {
	int fd;			/* the client with the mirror */
	int map_fd;		/* the one whose pages are mapped */
	int hold_fd;		/* the one that holds mmap_lock, or 0: @fd */
	char *p;
	uint32_t hook_flags;	/* HMT_HOOK_* of what holds */
	int end;		/* how the process is to end, for who has one */
	volatile int ready;
	volatile int fault;	/* scene_fault() is to fault */
	volatile int disturb;	/* scene_disturb() is to invalidate */
	volatile int go;	/* the process is to end */
	volatile int result;	/* of the fault */
};

struct scene *scene_make(void);
/* The hook's client. */
int scene_hook_fd(const struct scene *s, enum step step);
/* Threads of the process whose memory it is; @arg is the scene. */
long scene_fault(void *arg);
long scene_disturb(void *arg);
/*
 * The fault of range 1 is there, or waits for what is held there. @worker: a kernel
 * thread's, asked for here; else that of scene_fault(). @holder runs for STEP_MMAP_LOCK.
 */
void scene_fault_to_step(struct scene *s, enum step step, bool worker,
			 struct hmt_thread *holder);
/* Of the kernel thread's fault. */
int scene_worker_result(struct scene *s);

#endif /* STEPS_H */
