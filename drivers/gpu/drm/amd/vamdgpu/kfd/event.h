/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events: how a GPU and the CPU tell waiting threads that something happened.
 */
#ifndef _VAMDGPU_EVENT_H
#define _VAMDGPU_EVENT_H

#include <linux/list.h>
#include <linux/types.h>
#include <uapi/linux/kfd_ioctl.h>

#include "vamdgpu.h"

#define VAMDGPU_FIRST_OTHER_EVENT	0x40000000

/**
 * struct vamdgpu_event - an event; all of it under process->event_lock
 * @id: name; for a signal event also its slot in the page
 * @type: KFD_IOC_EVENT_*
 * @auto_reset: a wait that it ends consumes it
 * @signaled: set and not consumed
 * @age: number of times it was set, plus 1
 * @waiters: struct vamdgpu_waiter.link
 * @memory: last memory exception
 * @hw: last hardware exception
 * @has_slot: lives in the page the GPU writes
 */
struct vamdgpu_event {
	u32 id;
	u32 type;
	bool auto_reset;
	bool signaled;
	bool has_slot;
	u64 age;
	struct list_head waiters;
	struct kfd_hsa_memory_exception_data memory;
	struct kfd_hsa_hw_exception_data hw;
};

struct vamdgpu_wait;

/**
 * struct vamdgpu_waiter - one event a wait waits for; process->event_lock
 * @link: in event->waiters while @event is not NULL
 * @event: the event; NULL when it was destroyed
 * @wait: the wait
 * @activated: it was signaled for this wait
 * @consumed: the signal of an auto-reset event went to this wait; given back if
 *	the wait ends without completing
 * @last_age: what user space saw last, 0: does not care
 */
struct vamdgpu_waiter {
	struct list_head link;
	struct vamdgpu_event *event;
	struct vamdgpu_wait *wait;
	bool activated;
	bool consumed;
	u64 last_age;
};

/* event.c, event_lock held */
struct vamdgpu_event *vamdgpu_event_find(struct vamdgpu_process *p, u32 id);
void vamdgpu_event_set(struct vamdgpu_process *p, struct vamdgpu_event *ev);

/* event_wait.c, event_lock held */
void vamdgpu_wait_wake(struct vamdgpu_waiter *waiter);

#endif /* _VAMDGPU_EVENT_H */
