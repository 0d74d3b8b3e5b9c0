// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault ring: from an access the page tables refuse to its replay.
 *
 * A queue that faults is parked by the engine and appended to pdd->faults, where
 * it stands at most once. One work item per process and GPU serves them in order,
 * on a workqueue of its own, as the core may wait for the process's mmap_lock.
 * While it does, the queue may be destroyed: the work holds the vamdgpu_queue,
 * and looks at ->gone before it speaks to the engine.
 */
#include "hw.h"

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "hw_trace.h"

#define FAULT_BATCH		64
#define FAULT_BACKOFF_MAX_MS	100
/* Replays that come to nothing again and again are not let run freely. */
#define FAULT_FREE_REPEATS	64
#define FAULT_REST_MAX_MS	8

/* gfx9_vm_ops.fault: the queue has just been parked. */
void vamdgpu_fault(void *owner, struct gfx9_queue *queue, u64 va, bool write)
{
	struct vamdgpu_queue *q = gfx9_queue_owner(queue);
	struct vamdgpu_pdd *pdd = owner;

	trace_vamdgpu_fault(pdd->process->tgid, q->id, va, write);
	scoped_guard(spinlock, &pdd->fault_lock) {
		if (q->gone || !list_empty(&q->fault_link))
			return;
		q->fault_va = va;
		q->fault_write = write;
		q->fault_progress = gfx9_queue_progress(queue);
		list_add_tail(&q->fault_link, &pdd->faults);
	}
	queue_delayed_work(pdd->hw->wq, &pdd->fault_work, 0);
}

/* The queue goes: nobody speaks to its engine's side after this. */
void vamdgpu_fault_forget(struct vamdgpu_queue *q)
{
	guard(spinlock)(&q->pdd->fault_lock);
	q->gone = true;
	list_del_init(&q->fault_link);
}

/* The oldest fault, with a reference to its queue. */
static struct vamdgpu_queue *next_fault(struct vamdgpu_pdd *pdd, u64 *va,
					bool *write)
{
	struct vamdgpu_queue *q;

	guard(spinlock)(&pdd->fault_lock);
	q = list_first_entry_or_null(&pdd->faults, struct vamdgpu_queue,
				     fault_link);
	if (!q)
		return NULL;
	list_del_init(&q->fault_link);
	kref_get(&q->ref);	/* pairs with the put in vamdgpu_fault_work() */
	*va = q->fault_va;
	*write = q->fault_write;
	if (q->fault_progress != q->last_progress) {
		q->last_progress = q->fault_progress;
		q->repeats = 0;
		q->backoff_ms = 0;
		q->rested = false;
	}
	return q;
}

/*
 * What is to become of an access? Somebody may have mapped the page since:
 * another queue's fault, or the process a memory object. Memory objects cannot
 * be faulted in; the rest is for the core to say.
 */
static enum kfd_svm_fault_outcome judge(struct vamdgpu_pdd *pdd, u64 va,
					bool write)
{
	struct kfd_svm_span span = { .first_va = va, .last_va = va };
	enum gfx9_present present;

	/* The mm's release took place: it is not to be looked at any more. */
	if (READ_ONCE(pdd->process->dead))
		return KFD_SVM_FAULT_GONE;
	present = gfx9_vm_probe(pdd->vm, va, write);
	if (present == GFX9_ALLOWED)
		return KFD_SVM_FAULT_REPLAY;
	if (vamdgpu_bo_va_busy(pdd, &span)) {
		if (present == GFX9_REFUSED && write)
			return KFD_SVM_FAULT_READ_ONLY;
		return KFD_SVM_FAULT_NO_MAPPING;
	}
	return kfd_svm_fault(pdd->process->svm, pdd->dev->gpu_id, va, write);
}

static unsigned int next_backoff(struct vamdgpu_queue *q, unsigned int max_ms)
{
	q->backoff_ms = clamp(q->backoff_ms * 2, 1U, max_ms);
	return q->backoff_ms;
}

/*
 * A queue that faults on and on without progress: the CPU takes its page away
 * faster than it comes back. It rests before the fault is served, never between
 * service and replay: there each moment makes it likelier that the page is gone
 * again. The rest is a replay that will fault once more.
 */
static unsigned int rest_first(struct vamdgpu_queue *q)
{
	q->rested = !q->rested && q->repeats++ >= FAULT_FREE_REPEATS;
	return q->rested ? next_backoff(q, FAULT_REST_MAX_MS) : 0;
}

static void replay(struct vamdgpu_queue *q, unsigned int delay_ms)
{
	guard(spinlock)(&q->pdd->fault_lock);
	if (!q->gone)
		gfx9_queue_replay(q->hw, delay_ms);
}

/*
 * The fault stands. As with the hardware, which takes the whole process off the
 * GPU, every queue that exists now fails; their faults need no answer. Queues
 * first: who sees the event finds them stopped.
 */
static void memory_exception(struct vamdgpu_pdd *pdd,
			     struct vamdgpu_queue *faulter, u64 va,
			     enum kfd_svm_fault_outcome outcome)
{
	struct vamdgpu_queue *q, *tmp;

	scoped_guard(spinlock, &pdd->fault_lock) {
		/* Destroyed meanwhile: nobody is left whose fault it is. */
		if (faulter->gone)
			return;
		list_for_each_entry_safe(q, tmp, &pdd->faults, fault_link)
			list_del_init(&q->fault_link);
		gfx9_vm_fail_queues(pdd->vm);
	}
	vamdgpu_event_memory_exception(pdd->process, pdd->dev->gpu_id,
				       va & PAGE_MASK,
				       outcome == KFD_SVM_FAULT_NO_MAPPING,
				       outcome == KFD_SVM_FAULT_READ_ONLY);
}

static void serve(struct vamdgpu_pdd *pdd, struct vamdgpu_queue *q, u64 va,
		  bool write)
{
	enum kfd_svm_fault_outcome outcome = KFD_SVM_FAULT_BACKOFF;
	unsigned int delay_ms = rest_first(q);

	if (!delay_ms) {
		outcome = judge(pdd, va, write);
		if (outcome == KFD_SVM_FAULT_BACKOFF)
			delay_ms = next_backoff(q, FAULT_BACKOFF_MAX_MS);
	}
	switch (outcome) {
	case KFD_SVM_FAULT_REPLAY:
	case KFD_SVM_FAULT_BACKOFF:
		replay(q, delay_ms);
		break;
	case KFD_SVM_FAULT_NO_MAPPING:
	case KFD_SVM_FAULT_NO_ACCESS:
	case KFD_SVM_FAULT_READ_ONLY:
		memory_exception(pdd, q, va, outcome);
		break;
	case KFD_SVM_FAULT_GONE:
		/* The queue stays parked until it is destroyed, soon. */
		break;
	}
	trace_vamdgpu_fault_served(pdd->process->tgid, q->id, va, outcome,
				   delay_ms);
}

void vamdgpu_fault_work(struct work_struct *work)
{
	struct vamdgpu_pdd *pdd = container_of(to_delayed_work(work),
					       struct vamdgpu_pdd, fault_work);
	struct mem_cgroup *memcg, *old;
	struct vamdgpu_queue *q;
	unsigned int i;
	bool write;
	u64 va;

	for (i = 0; i < FAULT_BATCH; i++) {
		q = next_fault(pdd, &va, &write);
		if (!q)
			return;
		/* Page tables made here are the process's, not the worker's. */
		memcg = get_mem_cgroup_from_mm(pdd->process->mm);
		old = set_active_memcg(memcg);
		serve(pdd, q, va, write);
		set_active_memcg(old);
		mem_cgroup_put(memcg);
		vamdgpu_queue_put(q);
		cond_resched();
	}
	queue_delayed_work(pdd->hw->wq, &pdd->fault_work, 0);
}
