/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to what joins the front end to gfx9/: queue.c, doorbell.c, fault.c,
 * svm_backend.c.
 *
 * Locks of this file, innermost of the front end; both spin:
 *
 *   vamdgpu_process.lock -> vamdgpu_pdd.fault_lock
 *   vamdgpu_process.lock -> vamdgpu_pdd_hw.bells_lock
 *
 * gfx9's locks are taken inside both.
 */
#ifndef _VAMDGPU_HW_H
#define _VAMDGPU_HW_H

#include "vamdgpu.h"

struct vamdgpu_faults;

/**
 * struct vamdgpu_pdd_hw - queues of a process on one GPU
 * @pdd: whose
 * @wq: fault and doorbell work of this process on this GPU: however long one
 *	of its faults takes, no other process waits for it
 * @bells_lock: guards @bells and vamdgpu_queue.bell_seen
 * @bells: queues by vamdgpu_queue.bell_link
 * @bell_work: looks at doorbells, then arms them again
 * @faults: for the fault work, private to fault.c
 */
struct vamdgpu_pdd_hw {
	struct vamdgpu_pdd *pdd;
	struct workqueue_struct *wq;
	spinlock_t bells_lock;	/* see above */
	struct list_head bells;
	struct work_struct bell_work;
	struct vamdgpu_faults *faults;
};

/**
 * struct vamdgpu_queue - a queue as the ABI knows it
 * @ref: one of the process's table, one while a fault is served
 * @pdd: whose
 * @hw: the engine's side
 * @id: in process->queues
 * @slot: its doorbell
 * @bell_link: in vamdgpu_pdd_hw.bells
 * @bell_seen: value of the doorbell when it was last looked at
 * @fault_link: in vamdgpu_pdd.faults while a fault waits; pdd->fault_lock
 * @fault_va: its address; pdd->fault_lock
 * @fault_write: it was a write; pdd->fault_lock
 * @fault_progress: gfx9_queue_progress() at that moment; pdd->fault_lock
 * @gone: being destroyed; @hw is not to be touched; pdd->fault_lock
 * @backoff_ms: delay of the last replay; fault work
 * @last_progress: @fault_progress of the fault before; fault work
 * @repeats: faults in a row without progress; fault work
 * @rested: the fault before was not served, only delayed; fault work
 */
struct vamdgpu_queue {
	struct kref ref;
	struct vamdgpu_pdd *pdd;
	struct gfx9_queue *hw;
	u32 id;
	unsigned int slot;
	struct list_head bell_link;
	u64 bell_seen;
	struct list_head fault_link;
	u64 fault_va;
	bool fault_write;
	u64 fault_progress;
	bool gone;
	unsigned int backoff_ms;
	u64 last_progress;
	unsigned int repeats;
	bool rested;
};

/* queue.c */
void vamdgpu_queue_put(struct vamdgpu_queue *q);

/* fault.c; the first is gfx9_vm_ops.fault. */
void vamdgpu_fault(void *owner, struct gfx9_queue *queue, u64 va, bool write);
void vamdgpu_fault_forget(struct vamdgpu_queue *q);
int vamdgpu_fault_pdd_init(struct vamdgpu_pdd *pdd);
void vamdgpu_fault_pdd_fini(struct vamdgpu_pdd *pdd);

/* doorbell.c */
int vamdgpu_doorbell_pdd_init(struct vamdgpu_pdd *pdd);
void vamdgpu_doorbell_pdd_fini(struct vamdgpu_pdd *pdd);
int vamdgpu_doorbell_get(struct vamdgpu_pdd *pdd, unsigned int *slot);
void vamdgpu_doorbell_put(struct vamdgpu_pdd *pdd, unsigned int slot);
void vamdgpu_doorbell_watch(struct vamdgpu_queue *q);
void vamdgpu_doorbell_unwatch(struct vamdgpu_queue *q);
u64 vamdgpu_doorbell_offset(const struct vamdgpu_pdd *pdd);

#endif /* _VAMDGPU_HW_H */
