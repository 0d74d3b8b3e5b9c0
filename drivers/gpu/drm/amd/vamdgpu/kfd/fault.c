// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault ring: from an access the page tables refuse to its replay.
 *
 * A queue that faults is parked by the engine and appended to pdd->faults, where
 * it stands at most once. One work item per process and GPU serves them, all that
 * are there at once, so that the core can do for many what it does for one; on a
 * workqueue of its own, as the core may wait for the process's mmap_lock. While it
 * does, queues may be destroyed: the work holds each vamdgpu_queue, and looks at
 * ->gone before it speaks to the engine.
 */
#include "hw.h"

#include <linux/mm.h>
#include <linux/slab.h>

#include "hw_trace.h"

/* Not more: what is mapped for the first waits until the last is served. */
#define VAMDGPU_FAULT_BATCH	16

/* Batches served before other work of the queue gets its turn. */
#define FAULT_BATCHES		4
#define FAULT_BACKOFF_MAX_MS	100
/* Replays that come to nothing again and again are not let run freely. */
#define FAULT_FREE_REPEATS	64
#define FAULT_REST_MAX_MS	8

/*
 * gfx9_vm_ops.fault: the queue has just been parked. If the process's queues have failed
 * since, the fault is over: it is none of the queues made after that.
 */
void vamdgpu_fault(void *owner, struct gfx9_queue *queue, u64 va, bool write)
{
	struct vamdgpu_queue *q = gfx9_queue_owner(queue);
	struct vamdgpu_pdd *pdd = owner;

	trace_vamdgpu_fault(pdd->process->tgid, q->id, va, write);
	scoped_guard(spinlock, &pdd->fault_lock) {
		if (q->gone || !list_empty(&q->fault_link) ||
		    !gfx9_queue_is_faulted(queue))
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

/**
 * struct vamdgpu_faults - faults served together
 * @nr: how many
 * @nr_core: of them, those in @core
 * @one: each of them: @q with a reference; @delay_ms not 0 if it rests; @asked is its
 *	question to the core, NULL if there is none; @outcome
 * @core: what the core is asked
 */
struct vamdgpu_faults {
	unsigned int nr;
	unsigned int nr_core;
	struct {
		struct vamdgpu_queue *q;
		u64 va;
		bool write;
		unsigned int delay_ms;
		const struct kfd_svm_fault *asked;
		enum kfd_svm_fault_outcome outcome;
	} one[VAMDGPU_FAULT_BATCH];
	struct kfd_svm_fault core[VAMDGPU_FAULT_BATCH];
};

/* The oldest faults, each with a reference to its queue. */
static void take_faults(struct vamdgpu_pdd *pdd, struct vamdgpu_faults *faults)
{
	struct vamdgpu_queue *q, *tmp;

	faults->nr = 0;
	faults->nr_core = 0;
	guard(spinlock)(&pdd->fault_lock);
	list_for_each_entry_safe(q, tmp, &pdd->faults, fault_link) {
		if (faults->nr == VAMDGPU_FAULT_BATCH)
			break;
		list_del_init(&q->fault_link);
		kref_get(&q->ref);	/* pairs with the put in answer_all() */
		faults->one[faults->nr].q = q;
		faults->one[faults->nr].va = q->fault_va;
		faults->one[faults->nr].write = q->fault_write;
		faults->nr++;
		if (q->fault_progress == q->last_progress)
			continue;
		q->last_progress = q->fault_progress;
		q->repeats = 0;
		q->backoff_ms = 0;
		q->rested = false;
	}
}

/*
 * What is to become of an access? Somebody may have mapped the page since:
 * another queue's fault, or the process a memory object. Memory objects cannot
 * be faulted in; the rest is for the core to say.
 * Return: *@outcome says it.
 */
static bool judge(struct vamdgpu_pdd *pdd, u64 va, bool write,
		  enum kfd_svm_fault_outcome *outcome)
{
	struct kfd_svm_span span = { .first_va = va, .last_va = va };
	enum gfx9_present present;

	/* The mm's release took place: it is not to be looked at any more. Or the GPU went. */
	*outcome = KFD_SVM_FAULT_GONE;
	if (READ_ONCE(pdd->process->dead) || READ_ONCE(pdd->gone))
		return true;
	present = gfx9_vm_probe(pdd->vm, va, write);
	*outcome = KFD_SVM_FAULT_REPLAY;
	if (present == GFX9_ALLOWED)
		return true;
	*outcome = present == GFX9_REFUSED && write ? KFD_SVM_FAULT_READ_ONLY :
						      KFD_SVM_FAULT_NO_MAPPING;
	return vamdgpu_bo_va_busy(pdd, &span);
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
 * Return: they have failed.
 */
static bool memory_exception(struct vamdgpu_pdd *pdd,
			     struct vamdgpu_queue *faulter, u64 va,
			     enum kfd_svm_fault_outcome outcome)
{
	struct vamdgpu_queue *q, *tmp;

	scoped_guard(spinlock, &pdd->fault_lock) {
		/* Destroyed meanwhile: nobody is left whose fault it is. */
		if (faulter->gone || READ_ONCE(pdd->gone))
			return false;
		list_for_each_entry_safe(q, tmp, &pdd->faults, fault_link)
			list_del_init(&q->fault_link);
		gfx9_vm_fail_queues(pdd->vm);
	}
	vamdgpu_smi_vmfault(pdd->dev, pdd->process);
	vamdgpu_event_memory_exception(pdd->process, pdd->dev->gpu_id,
				       va & PAGE_MASK,
				       outcome == KFD_SVM_FAULT_NO_MAPPING,
				       outcome == KFD_SVM_FAULT_READ_ONLY);
	return true;
}

/* Find the outcomes: what rests, what is known, and what the core says. */
static void find_outcomes(struct vamdgpu_pdd *pdd, struct vamdgpu_faults *faults)
{
	struct kfd_svm_fault *asked;
	unsigned int i;

	for (i = 0; i < faults->nr; i++) {
		faults->one[i].asked = NULL;
		faults->one[i].outcome = KFD_SVM_FAULT_BACKOFF;
		faults->one[i].delay_ms = rest_first(faults->one[i].q);
		if (faults->one[i].delay_ms ||
		    judge(pdd, faults->one[i].va, faults->one[i].write,
			  &faults->one[i].outcome))
			continue;
		asked = &faults->core[faults->nr_core++];
		asked->user_gpu_id = pdd->dev->gpu_id;
		asked->va = faults->one[i].va;
		asked->write = faults->one[i].write;
		faults->one[i].asked = asked;
	}
	if (faults->nr_core)
		kfd_svm_fault(pdd->process->svm, faults->core, faults->nr_core);
	for (i = 0; i < faults->nr; i++)
		if (faults->one[i].asked)
			faults->one[i].outcome = faults->one[i].asked->outcome;
}

/* Return: all queues of the process have failed. */
static bool answer(struct vamdgpu_pdd *pdd, struct vamdgpu_queue *q, u64 va,
		   enum kfd_svm_fault_outcome outcome, unsigned int delay_ms)
{
	bool failed = false;

	if (outcome == KFD_SVM_FAULT_BACKOFF && !delay_ms)
		delay_ms = next_backoff(q, FAULT_BACKOFF_MAX_MS);
	switch (outcome) {
	case KFD_SVM_FAULT_REPLAY:
	case KFD_SVM_FAULT_BACKOFF:
		replay(q, delay_ms);
		break;
	case KFD_SVM_FAULT_NO_MAPPING:
	case KFD_SVM_FAULT_NO_ACCESS:
	case KFD_SVM_FAULT_READ_ONLY:
		failed = memory_exception(pdd, q, va, outcome);
		break;
	case KFD_SVM_FAULT_GONE:
		/* The queue stays parked until it is destroyed, soon. */
		break;
	}
	trace_vamdgpu_fault_served(pdd->process->tgid, q->id, va, outcome,
				   delay_ms);
	return failed;
}

/*
 * Answer the faults in turn, and drop the references. Once one has failed the queues,
 * the rest is theirs and over: a second exception would hit queues made since.
 */
static void answer_all(struct vamdgpu_pdd *pdd, struct vamdgpu_faults *faults)
{
	bool failed = false;
	unsigned int i;

	for (i = 0; i < faults->nr; i++) {
		struct vamdgpu_queue *q = faults->one[i].q;

		if (failed)
			trace_vamdgpu_fault_served(pdd->process->tgid, q->id,
						   faults->one[i].va,
						   faults->one[i].outcome, 0);
		else
			failed = answer(pdd, q, faults->one[i].va,
					faults->one[i].outcome,
					faults->one[i].delay_ms);
		vamdgpu_queue_put(q);
	}
}

static void vamdgpu_fault_work(struct work_struct *work)
{
	struct vamdgpu_pdd *pdd = container_of(to_delayed_work(work),
					       struct vamdgpu_pdd, fault_work);
	struct vamdgpu_faults *faults = pdd->hw->faults;
	unsigned int batch;

	for (batch = 0; batch < FAULT_BATCHES; batch++) {
		take_faults(pdd, faults);
		if (!faults->nr)
			return;
		find_outcomes(pdd, faults);
		answer_all(pdd, faults);
		cond_resched();
	}
	queue_delayed_work(pdd->hw->wq, &pdd->fault_work, 0);
}

int vamdgpu_fault_pdd_init(struct vamdgpu_pdd *pdd)
{
	spin_lock_init(&pdd->fault_lock);
	INIT_LIST_HEAD(&pdd->faults);
	INIT_DELAYED_WORK(&pdd->fault_work, vamdgpu_fault_work);
	pdd->hw->faults = kzalloc(sizeof(*pdd->hw->faults), GFP_KERNEL_ACCOUNT);
	return pdd->hw->faults ? 0 : -ENOMEM;
}

void vamdgpu_fault_pdd_fini(struct vamdgpu_pdd *pdd)
{
	cancel_delayed_work_sync(&pdd->fault_work);
	kfree(pdd->hw->faults);
}
