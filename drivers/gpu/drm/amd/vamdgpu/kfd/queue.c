// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues as the KFD ABI knows them. The checks, their order and their errnos are
 * upstream's; what runs the packets is gfx9/queue.c.
 *
 * SDMA queues only: there are no compute units yet, so a PM4 or AQL queue could
 * be created but would never run, and is refused instead (EINVAL).
 */
#include "hw.h"

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/kfd_ioctl.h>

#include "front.h"
#include "hw_trace.h"

#define QUEUE_PERCENTAGE	GENMASK(7, 0)	/* above: XCC of a PM4 queue */
#define QUEUE_RING_MIN		1024
/* What the hardware's registers can hold. */
#define QUEUE_RING_ALIGN	256
/* Number of the type in newer headers than a kernel may have. */
#define QUEUE_TYPE_SDMA_BY_ENGINE	4

/* An address user space names: readable, as far as upstream looks; 0 is not. */
static bool user_ok(u64 va, unsigned int len)
{
	return access_ok((const void __user *)(unsigned long)va, len);
}

static bool pointer_ok(u64 va)
{
	return va && IS_ALIGNED(va, sizeof(u64)) && user_ok(va, sizeof(u64));
}

static int check_shape(u32 percentage, u32 priority, u64 ring_va, u64 ring_len)
{
	if ((percentage & QUEUE_PERCENTAGE) > KFD_MAX_QUEUE_PERCENTAGE ||
	    priority > KFD_MAX_QUEUE_PRIORITY)
		return -EINVAL;
	if (ring_va && (!IS_ALIGNED(ring_va, QUEUE_RING_ALIGN) ||
			!user_ok(ring_va, ring_len ?: sizeof(u64))))
		return -EFAULT;
	if (ring_len && !is_power_of_2(ring_len))
		return -EINVAL;
	return 0;
}

/* Length 0 stays 0: with it, as without a ring, the queue is inactive. */
static u64 ring_len_of(u64 len)
{
	return len ? max_t(u64, len, QUEUE_RING_MIN) : 0;
}

static int check_type(const struct kfd_ioctl_create_queue_args *args)
{
	switch (args->queue_type) {
	case KFD_IOC_QUEUE_TYPE_SDMA:
		return 0;
	case QUEUE_TYPE_SDMA_BY_ENGINE:
		/* Engines do not differ; which one is all the same. */
		return args->sdma_engine_id < VAMDGPU_NUM_SDMA ? 0 : -EINVAL;
	case KFD_IOC_QUEUE_TYPE_SDMA_XGMI:
		/* There is none, so all are taken. */
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

static int check_create(const struct kfd_ioctl_create_queue_args *args)
{
	int err = check_shape(args->queue_percentage, args->queue_priority,
			      args->ring_base_address, args->ring_size);

	if (err)
		return err;
	if (!pointer_ok(args->read_pointer_address) ||
	    !pointer_ok(args->write_pointer_address) ||
	    !user_ok(args->eop_buffer_address, sizeof(u32)) ||
	    !user_ok(args->ctx_save_restore_address, sizeof(u32)))
		return -EFAULT;
	return 0;
}

static void queue_release(struct kref *ref)
{
	kfree(container_of(ref, struct vamdgpu_queue, ref));
}

void vamdgpu_queue_put(struct vamdgpu_queue *q)
{
	kref_put(&q->ref, queue_release);
}

static struct vamdgpu_queue *queue_alloc(struct vamdgpu_pdd *pdd)
{
	struct vamdgpu_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q)
		return NULL;
	kref_init(&q->ref);
	q->pdd = pdd;
	INIT_LIST_HEAD(&q->fault_link);
	if (vamdgpu_doorbell_get(pdd, &q->slot)) {
		kfree(q);
		return NULL;
	}
	return q;
}

static int queue_start(struct vamdgpu_queue *q,
		       const struct kfd_ioctl_create_queue_args *args)
{
	struct gfx9_queue_desc desc = {
		.ring_va = args->ring_base_address,
		.ring_len = ring_len_of(args->ring_size),
		.rptr_va = args->read_pointer_address,
		.wptr_va = args->write_pointer_address,
		.doorbell = &q->pdd->doorbell_pages[q->slot],
		.percentage = args->queue_percentage & QUEUE_PERCENTAGE,
		.owner = q,
	};

	q->hw = gfx9_queue_create(q->pdd->vm, &desc);
	if (!q->hw)
		return -ENOMEM;
	vamdgpu_doorbell_watch(q);
	return 0;
}

static struct vamdgpu_pdd *acquired_pdd(struct vamdgpu_process *p, u32 gpu_id,
					int *err)
{
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, gpu_id);

	if (IS_ERR(pdd))
		*err = PTR_ERR(pdd);
	else if (!pdd->drm_file || p->dead)
		*err = -ESRCH;
	else
		return pdd;
	return NULL;
}

int vamdgpu_queue_create(struct vamdgpu_process *p,
			 struct kfd_ioctl_create_queue_args *args)
{
	struct vamdgpu_pdd *pdd;
	struct vamdgpu_queue *q;
	int err, id;

	lockdep_assert_held(&p->lock);
	err = check_create(args);
	if (err)
		return err;
	pdd = acquired_pdd(p, args->gpu_id, &err);
	if (!pdd)
		return err;
	err = check_type(args);
	if (err)
		return err;

	q = queue_alloc(pdd);
	if (!q)
		return -ENOMEM;
	id = idr_alloc(&p->queues, q, 0, VAMDGPU_MAX_QUEUES,
		       GFP_KERNEL_ACCOUNT);
	if (id < 0) {
		err = id == -ENOSPC ? -ENOMEM : id;
		goto err_slot;
	}
	q->id = id;
	err = queue_start(q, args);
	if (err)
		goto err_id;
	trace_vamdgpu_queue_create(p->tgid, args->gpu_id, id,
				   args->ring_base_address, args->ring_size);
	args->queue_id = id;
	args->doorbell_offset = vamdgpu_doorbell_offset(pdd) |
				q->slot * sizeof(u64);
	return 0;

err_id:
	idr_remove(&p->queues, id);
err_slot:
	vamdgpu_doorbell_put(pdd, q->slot);
	vamdgpu_queue_put(q);
	return err;
}

/*
 * Ends at once whatever the queue does: it waits for one access, never for a
 * packet, and not for a fault that is being served.
 */
static void queue_end(struct vamdgpu_queue *q)
{
	struct vamdgpu_process *p = q->pdd->process;

	lockdep_assert_held(&p->lock);
	idr_remove(&p->queues, q->id);
	vamdgpu_doorbell_unwatch(q);
	vamdgpu_fault_forget(q);
	gfx9_queue_destroy(q->hw);
	vamdgpu_doorbell_put(q->pdd, q->slot);
	trace_vamdgpu_queue_destroy(p->tgid, q->id, 0);
	vamdgpu_queue_put(q);
}

int vamdgpu_queue_destroy(struct vamdgpu_process *p, u32 queue_id)
{
	struct vamdgpu_queue *q;

	lockdep_assert_held(&p->lock);
	q = idr_find(&p->queues, queue_id);
	if (!q)
		return -EINVAL;
	queue_end(q);
	return 0;
}

int vamdgpu_queue_update(struct vamdgpu_process *p,
			 const struct kfd_ioctl_update_queue_args *args)
{
	u32 percentage = args->queue_percentage & QUEUE_PERCENTAGE;
	struct vamdgpu_queue *q;
	int err;

	lockdep_assert_held(&p->lock);
	err = check_shape(args->queue_percentage, args->queue_priority,
			  args->ring_base_address, args->ring_size);
	if (err)
		return err;
	q = idr_find(&p->queues, args->queue_id);
	if (!q)
		return -EFAULT;
	if (q->pdd->gone)
		return -ENODEV;
	trace_vamdgpu_queue_update(p->tgid, q->id, percentage);
	gfx9_queue_update(q->hw, args->ring_base_address,
			  ring_len_of(args->ring_size), percentage);
	return 0;
}

unsigned int vamdgpu_queue_count(struct vamdgpu_process *p)
{
	struct vamdgpu_queue *q;
	unsigned int n = 0;
	int id;

	lockdep_assert_held(&p->lock);
	idr_for_each_entry(&p->queues, q, id)
		n++;
	return n;
}

void vamdgpu_queue_destroy_all(struct vamdgpu_process *p)
{
	struct vamdgpu_queue *q;
	int id;

	lockdep_assert_held(&p->lock);
	idr_for_each_entry(&p->queues, q, id)
		queue_end(q);
}

/* Takes no lock but the address spaces' own, each for a moment. */
void vamdgpu_queue_kill_all(struct vamdgpu_process *p)
{
	unsigned int i;

	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		if (p->pdds[i])
			gfx9_vm_kill(p->pdds[i]->vm);
	}
}

/* ---- hardware of a process on one GPU ---- */

static void hw_interrupt(void *owner, u32 context_id)
{
	struct vamdgpu_pdd *pdd = owner;

	vamdgpu_event_interrupt(pdd->process, context_id);
}

static void hw_work_waiting(void *owner)
{
	struct vamdgpu_pdd *pdd = owner;

	kfd_svm_work_waiting(pdd->process->svm);
}

static void hw_error(void *owner, struct gfx9_queue *queue,
		     enum gfx9_error reason)
{
	struct vamdgpu_queue *q = gfx9_queue_owner(queue);
	struct vamdgpu_pdd *pdd = owner;

	trace_vamdgpu_queue_error(pdd->process->tgid, q->id, reason);
}

/* The GPU's stores meet no fault: the work looks, and arms once more. */
static void hw_doorbell(void *owner)
{
	struct vamdgpu_pdd *pdd = owner;

	queue_work(pdd->hw->wq, &pdd->hw->bell_work);
}

static const struct gfx9_vm_ops hw_ops = {
	.interrupt = hw_interrupt,
	.fault = vamdgpu_fault,
	.work_waiting = hw_work_waiting,
	.error = hw_error,
	.doorbell = hw_doorbell,
};

int vamdgpu_pdd_hw_init(struct vamdgpu_pdd *pdd)
{
	struct vamdgpu_pdd_hw *hw = kzalloc(sizeof(*hw), GFP_KERNEL_ACCOUNT);
	int err;

	if (!hw)
		return -ENOMEM;
	hw->pdd = pdd;
	pdd->hw = hw;
	err = vamdgpu_fault_pdd_init(pdd);
	if (err)
		goto err_hw;
	err = -ENOMEM;
	/* Two works: while a fault waits for memory, doorbells still ring. */
	hw->wq = alloc_workqueue("vamdgpu_pdd", WQ_UNBOUND, 2);
	if (!hw->wq)
		goto err_faults;
	pdd->vm = gfx9_vm_create(pdd->dev->vram, &hw_ops, pdd);
	if (!pdd->vm)
		goto err_wq;
	err = vamdgpu_doorbell_pdd_init(pdd);
	if (err)
		goto err_vm;
	gfx9_vm_set_doorbells(pdd->vm, pdd->doorbell_pages,
			      VAMDGPU_DOORBELL_LEN);
	gfx9_vm_set_mm(pdd->vm, pdd->process->mm);
	return 0;

err_vm:
	gfx9_vm_destroy(pdd->vm);
	pdd->vm = NULL;
err_wq:
	destroy_workqueue(hw->wq);
err_faults:
	vamdgpu_fault_pdd_fini(pdd);
err_hw:
	kfree(hw);
	pdd->hw = NULL;
	return err;
}

/* No queue is left. */
void vamdgpu_pdd_hw_fini(struct vamdgpu_pdd *pdd)
{
	vamdgpu_fault_pdd_fini(pdd);
	vamdgpu_doorbell_pdd_fini(pdd);
	destroy_workqueue(pdd->hw->wq);
	gfx9_vm_destroy(pdd->vm);
	kfree(pdd->hw);
}
