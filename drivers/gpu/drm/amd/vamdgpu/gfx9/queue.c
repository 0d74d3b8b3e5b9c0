// SPDX-License-Identifier: GPL-2.0-only
/*
 * SDMA queues: state machines that a work item drives.
 *
 * A queue has no thread. Its work runs a *slice*, a bounded time of packets, then
 * queues itself again behind the others; a queue that has to wait for something
 * sets its state and leaves. So any number of queues share a few workers, and an
 * endless POLL or a fault that takes long costs nothing.
 *
 * The work item never runs twice at once, and a kick while it runs makes it run
 * again: that is why no kick is lost between the last look at the write pointer
 * and IDLE. States and who changes them: Documentation/vamdgpu-hw.rst.
 */
#include "gfx9_priv.h"

#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#define SLICE_NS	(2 * NSEC_PER_MSEC)
#define SLICE_STEPS	4096
/* Looks at memory before a POLL waits, and how long it waits then. */
#define POLL_EAGER	4
#define POLL_MAX_MS	16

static struct workqueue_struct *gfx9_wq;

int gfx9_module_init(void)
{
	int workers = max(4, 2 * (int)num_possible_cpus());

	gfx9_wq = alloc_workqueue("gfx9", WQ_UNBOUND, workers);
	return gfx9_wq ? 0 : -ENOMEM;
}

/* No queue, address space or VRAM is left. */
void gfx9_module_exit(void)
{
	destroy_workqueue(gfx9_wq);
	WARN_ON(atomic_long_read(&gfx9_ntables));
	WARN_ON(atomic_long_read(&gfx9_nvram_pages));
}

u64 gfx9_clock(void)
{
	return ktime_get_boottime_ns() / (NSEC_PER_SEC / GFX9_CLOCK_HZ);
}

void *gfx9_queue_owner(struct gfx9_queue *queue)
{
	return queue->desc.owner;
}

u64 gfx9_queue_progress(struct gfx9_queue *queue)
{
	return queue->nsteps;
}

/* ---- the worker: fetch and run packets ---- */

static enum gfx9_step fail_with(struct gfx9_queue *q, enum gfx9_error error)
{
	q->error = error;
	return GFX9_STEP_ERROR;
}

static bool wptr_is_sane(const struct gfx9_queue *q, u64 wptr)
{
	return IS_ALIGNED(wptr, sizeof(u32)) &&
	       (wptr < q->rptr || wptr - q->rptr <= q->desc.ring_len);
}

/*
 * A producer stores the pointer in memory, then in the doorbell. Whichever is
 * ahead counts; one that was never written stays behind and does not matter.
 */
static enum gfx9_step look_for_work(struct gfx9_queue *q)
{
	u64 bell = READ_ONCE(*q->desc.doorbell);
	enum gfx9_step step;
	u64 mem;

	step = gfx9_mem_read(q, q->desc.wptr_va, &mem, sizeof(mem));
	if (step != GFX9_STEP_DONE)
		return step;
	if (!wptr_is_sane(q, bell) || !wptr_is_sane(q, mem) ||
	    max(bell, mem) < q->rptr)
		return fail_with(q, GFX9_ERROR_WPTR);
	q->wptr = max(bell, mem);
	/* The packets that the pointer announces are read after it. */
	smp_rmb();
	return q->wptr == q->rptr ? GFX9_STEP_DRY : GFX9_STEP_DONE;
}

/* Up to @ndw dwords from the read pointer on; the ring wraps. */
static enum gfx9_step read_ring(struct gfx9_queue *q, u32 *dw, unsigned int ndw)
{
	u64 off = q->rptr & (q->desc.ring_len - 1);
	unsigned int len = ndw * sizeof(u32), part;
	enum gfx9_step step;

	part = min_t(u64, len, q->desc.ring_len - off);
	step = gfx9_mem_read(q, q->desc.ring_va + off, dw, part);
	if (step != GFX9_STEP_DONE || part == len)
		return step;
	return gfx9_mem_read(q, q->desc.ring_va, (u8 *)dw + part, len - part);
}

static enum gfx9_step publish_rptr(struct gfx9_queue *q)
{
	enum gfx9_step step;

	if (!q->rptr_stale)
		return GFX9_STEP_DONE;
	step = gfx9_mem_store(q, q->desc.rptr_va, q->rptr, sizeof(q->rptr));
	if (step == GFX9_STEP_DONE)
		q->rptr_stale = false;
	return step;
}

static enum gfx9_step fetch(struct gfx9_queue *q)
{
	u32 dw[GFX9_SDMA_HEADER_MAX];
	enum gfx9_sdma_status status;
	enum gfx9_step step;
	u64 avail;

	if (q->rptr == q->wptr) {
		step = publish_rptr(q);
		if (step == GFX9_STEP_DONE)
			step = look_for_work(q);
		if (step != GFX9_STEP_DONE)
			return step;
	}
	avail = (q->wptr - q->rptr) / sizeof(u32);
	step = read_ring(q, dw, min_t(u64, avail, ARRAY_SIZE(dw)));
	if (step != GFX9_STEP_DONE)
		return step;
	status = gfx9_sdma_decode(dw, min_t(u64, avail, ARRAY_SIZE(dw)),
				  &q->packet);
	if (status == GFX9_SDMA_BAD_OP || status == GFX9_SDMA_BAD_FIELD)
		return fail_with(q, GFX9_ERROR_PACKET);
	if (status == GFX9_SDMA_SHORT || q->packet.ndw > avail)
		return fail_with(q, GFX9_ERROR_TRUNCATED);
	/* A producer pads with many NOPs and looks at none of them. */
	if (q->packet.op != GFX9_SDMA_NOP) {
		step = publish_rptr(q);
		if (step != GFX9_STEP_DONE)
			return step;
	}
	q->progress = 0;
	q->pass = 0;
	q->tries = 0;
	q->in_packet = true;
	return GFX9_STEP_DONE;
}

static bool wakes_pollers(enum gfx9_sdma_op op)
{
	return op == GFX9_SDMA_FENCE || op == GFX9_SDMA_ATOMIC ||
	       op == GFX9_SDMA_WRITE;
}

static enum gfx9_step run_step(struct gfx9_queue *q)
{
	enum gfx9_step step;

	if (!q->in_packet) {
		step = fetch(q);
		if (step != GFX9_STEP_DONE)
			return step;
	}
	step = gfx9_sdma_exec(q);
	/* However it ended: the store is visible. */
	if (q->rang) {
		q->rang = false;
		q->vm->ops->doorbell(q->vm->owner);
	}
	if (step == GFX9_STEP_DONE || step == GFX9_STEP_MORE)
		q->nsteps++;
	if (step != GFX9_STEP_DONE)
		return step;
	q->in_packet = false;
	q->rptr += q->packet.ndw * sizeof(u32);
	q->rptr_stale = true;
	if (wakes_pollers(q->packet.op))
		gfx9_vm_kick_pollers(q->vm);
	return GFX9_STEP_MORE;
}

static enum gfx9_step run_slice(struct gfx9_queue *q)
{
	u64 end = ktime_get_mono_fast_ns() + SLICE_NS;
	enum gfx9_step step;
	unsigned int i;

	for (i = 0; i < SLICE_STEPS; i++) {
		step = run_step(q);
		if (step != GFX9_STEP_MORE ||
		    ktime_get_mono_fast_ns() >= end)
			return step;
		cond_resched();
	}
	return GFX9_STEP_MORE;
}

/* ---- states ---- */

static bool is_active(const struct gfx9_queue *q)
{
	return q->desc.ring_va && q->desc.ring_len && q->desc.percentage;
}

static bool may_run(const struct gfx9_queue *q)
{
	lockdep_assert_held(&q->lock);
	return !q->halt && is_active(q) &&
	       (q->state == GFX9_QUEUE_IDLE || q->state == GFX9_QUEUE_RUNNING ||
		q->state == GFX9_QUEUE_POLL || q->state == GFX9_QUEUE_STOPPED);
}

static void set_state(struct gfx9_queue *q, enum gfx9_queue_state state)
{
	lockdep_assert_held(&q->lock);
	if (q->state == GFX9_QUEUE_POLL)
		atomic_dec(&q->vm->npolling);
	if (state == GFX9_QUEUE_POLL)
		atomic_inc(&q->vm->npolling);
	q->state = state;
}

static unsigned long poll_delay(const struct gfx9_queue *q)
{
	unsigned int late;

	if (q->tries <= POLL_EAGER)
		return 0;
	late = min(q->tries - POLL_EAGER - 1, (unsigned int)ilog2(POLL_MAX_MS));
	return msecs_to_jiffies(1U << late);
}

/* The state that asks for it, when the worker was told to leave. */
static enum gfx9_queue_state halt_state(const struct gfx9_queue *q)
{
	if (q->halt & GFX9_HALT_DEAD)
		return GFX9_QUEUE_DEAD;
	if (q->halt & GFX9_HALT_FAIL)
		return GFX9_QUEUE_ERROR;
	/* Without a reason of the queue's own it is the vm's: killed. */
	return q->halt ? GFX9_QUEUE_IDLE : GFX9_QUEUE_DEAD;
}

/* Turns the end of a slice into a state; true: the owner is to be told. */
static bool settle_locked(struct gfx9_queue *q, enum gfx9_step step)
{
	bool tell;

	lockdep_assert_held(&q->lock);
	if (q->halt || step == GFX9_STEP_HALT) {
		set_state(q, halt_state(q));
		return false;
	}
	switch (step) {
	case GFX9_STEP_DRY:
		set_state(q, GFX9_QUEUE_IDLE);
		return false;
	case GFX9_STEP_POLL:
		set_state(q, GFX9_QUEUE_POLL);
		queue_delayed_work(gfx9_wq, &q->work, poll_delay(q));
		return false;
	case GFX9_STEP_FAULT:
		set_state(q, GFX9_QUEUE_FAULT);
		return true;
	case GFX9_STEP_STOPPED:
		set_state(q, GFX9_QUEUE_STOPPED);
		tell = q->stop_told != q->stop_met;
		q->stop_told = q->stop_met;
		return tell;
	case GFX9_STEP_ERROR:
		set_state(q, GFX9_QUEUE_ERROR);
		return true;
	default:
		queue_delayed_work(gfx9_wq, &q->work, 0);
		return false;
	}
}

static void queue_work_fn(struct work_struct *work)
{
	struct gfx9_queue *q = container_of(to_delayed_work(work),
					    struct gfx9_queue, work);
	const struct gfx9_vm_ops *ops = q->vm->ops;
	enum gfx9_step step;
	bool tell;

	scoped_guard(spinlock, &q->lock) {
		if (q->state == GFX9_QUEUE_BACKOFF)
			set_state(q, GFX9_QUEUE_IDLE);
		if (q->halt && q->state == GFX9_QUEUE_RUNNING)
			set_state(q, halt_state(q));
		if (!may_run(q))
			return;
		set_state(q, GFX9_QUEUE_RUNNING);
	}
	gfx9_oracle_begin(q);
	step = run_slice(q);
	gfx9_oracle_end(q);
	scoped_guard(spinlock, &q->lock)
		tell = settle_locked(q, step);
	if (!tell)
		return;
	if (step == GFX9_STEP_FAULT)
		ops->fault(q->vm->owner, q, q->fault_va, q->fault_write);
	else if (step == GFX9_STEP_STOPPED)
		ops->work_waiting(q->vm->owner);
	else
		ops->error(q->vm->owner, q, q->error);
}

/* mod, not queue: a waiting POLL looks at once. */
static void kick_locked(struct gfx9_queue *q)
{
	if (may_run(q))
		mod_delayed_work(gfx9_wq, &q->work, 0);
}

void gfx9_queue_kick(struct gfx9_queue *queue)
{
	guard(spinlock)(&queue->lock);
	kick_locked(queue);
}

/*
 * A queue that met the stop is STOPPED, or still RUNNING because it has met it
 * and did not come to say so. The latter runs once more then.
 */
void gfx9_vm_kick_stopped(struct gfx9_vm *vm)
{
	struct gfx9_queue *q;

	guard(spinlock)(&vm->queues_lock);
	list_for_each_entry(q, &vm->queues, link) {
		guard(spinlock)(&q->lock);
		if (q->state == GFX9_QUEUE_STOPPED ||
		    q->state == GFX9_QUEUE_RUNNING)
			kick_locked(q);
	}
}

void gfx9_vm_kick_pollers(struct gfx9_vm *vm)
{
	struct gfx9_queue *q;

	if (!atomic_read(&vm->npolling))
		return;
	guard(spinlock)(&vm->queues_lock);
	list_for_each_entry(q, &vm->queues, link) {
		guard(spinlock)(&q->lock);
		if (q->state == GFX9_QUEUE_POLL)
			kick_locked(q);
	}
}

bool gfx9_queue_is_faulted(struct gfx9_queue *queue)
{
	guard(spinlock)(&queue->lock);
	return queue->state == GFX9_QUEUE_FAULT;
}

void gfx9_queue_replay(struct gfx9_queue *queue, unsigned int delay_ms)
{
	guard(spinlock)(&queue->lock);
	if (queue->state != GFX9_QUEUE_FAULT)
		return;
	set_state(queue, GFX9_QUEUE_BACKOFF);
	mod_delayed_work(gfx9_wq, &queue->work, msecs_to_jiffies(delay_ms));
}

static void halt_queue(struct gfx9_queue *q, unsigned int why)
{
	lockdep_assert_held(&q->lock);
	/* Pairs with READ_ONCE() in section_enter(). */
	WRITE_ONCE(q->halt, q->halt | why);
}

static void fail_locked(struct gfx9_queue *q)
{
	lockdep_assert_held(&q->lock);
	halt_queue(q, GFX9_HALT_FAIL);
	/* Else the worker sees it and sets the state. */
	if (q->state != GFX9_QUEUE_RUNNING && q->state != GFX9_QUEUE_DEAD)
		set_state(q, GFX9_QUEUE_ERROR);
}

void gfx9_queue_fail(struct gfx9_queue *queue)
{
	guard(spinlock)(&queue->lock);
	fail_locked(queue);
}

void gfx9_vm_fail_queues(struct gfx9_vm *vm)
{
	struct gfx9_queue *q;

	guard(spinlock)(&vm->queues_lock);
	list_for_each_entry(q, &vm->queues, link) {
		guard(spinlock)(&q->lock);
		fail_locked(q);
	}
}

/* ---- life ---- */

struct gfx9_queue *gfx9_queue_create(struct gfx9_vm *vm,
				     const struct gfx9_queue_desc *desc)
{
	struct gfx9_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);
	struct gfx9_tlb_entry *entries;

	if (!q)
		return NULL;
	entries = kvzalloc(GFX9_TLB_LEN, GFP_KERNEL_ACCOUNT);
	if (!entries) {
		kfree(q);
		return NULL;
	}
	gfx9_tlb_init(&q->tlb, entries);
	q->vm = vm;
	q->desc = *desc;
	spin_lock_init(&q->lock);
	INIT_DELAYED_WORK(&q->work, queue_work_fn);
	scoped_guard(spinlock, &vm->queues_lock)
		list_add_tail(&q->link, &vm->queues);
	return q;
}

void gfx9_queue_destroy(struct gfx9_queue *queue)
{
	might_sleep();
	scoped_guard(spinlock, &queue->vm->queues_lock)
		list_del(&queue->link);
	scoped_guard(spinlock, &queue->lock) {
		halt_queue(queue, GFX9_HALT_DEAD);
		set_state(queue, GFX9_QUEUE_DEAD);
	}
	/* From here on nobody queues it: may_run() and settle_locked() say no. */
	cancel_delayed_work_sync(&queue->work);
	kvfree(queue->tlb.entries);
	kfree(queue);
}

void gfx9_queue_update(struct gfx9_queue *queue, u64 ring_va, u64 ring_len,
		       u32 percentage)
{
	might_sleep();
	scoped_guard(spinlock, &queue->lock)
		halt_queue(queue, GFX9_HALT_PAUSE);
	cancel_delayed_work_sync(&queue->work);

	guard(spinlock)(&queue->lock);
	queue->desc.ring_va = ring_va;
	queue->desc.ring_len = ring_len;
	queue->desc.percentage = percentage;
	WRITE_ONCE(queue->halt, queue->halt & ~GFX9_HALT_PAUSE);
	switch (queue->state) {
	case GFX9_QUEUE_FAULT:
	case GFX9_QUEUE_ERROR:
	case GFX9_QUEUE_DEAD:
		return;
	default:
		/* The work was cancelled, whatever it waited for. */
		set_state(queue, GFX9_QUEUE_IDLE);
		kick_locked(queue);
	}
}
