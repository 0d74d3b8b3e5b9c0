// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: creation, the page of slots, and how they get set.
 *
 * A signal event has a slot of 64 bits, all ones while unsignaled. A GPU writes
 * something else there and raises an interrupt with the event's id; the driver
 * sets the event and clears the slot. The page is user space's: what stands in
 * it is a hint that is never trusted further than "not all ones".
 */
#include "kfd/event.h"

#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "kfd/bo.h"
#include "kfd/front.h"
#include "kfd/trace.h"

#define VAMDGPU_SLOT_UNSIGNALED	U64_MAX

void vamdgpu_event_process_init(struct vamdgpu_process *p)
{
	spin_lock_init(&p->event_lock);
	idr_init(&p->events);
}

struct vamdgpu_event *vamdgpu_event_find(struct vamdgpu_process *p, u32 id)
{
	lockdep_assert_held(&p->event_lock);
	return id > INT_MAX ? NULL : idr_find(&p->events, id);
}

void vamdgpu_event_set(struct vamdgpu_process *p, struct vamdgpu_event *ev)
{
	struct vamdgpu_waiter *waiter;

	lockdep_assert_held(&p->event_lock);
	/* Who waits has it; only who comes later needs the flag. */
	ev->signaled = !ev->auto_reset || list_empty(&ev->waiters);
	ev->age++;
	list_for_each_entry(waiter, &ev->waiters, link) {
		waiter->activated = true;
		waiter->consumed = ev->auto_reset;
		vamdgpu_wait_wake(waiter);
	}
	trace_vamdgpu_event_signal(p->tgid, ev->id, ev->age);
}

static void vamdgpu_event_reset_slot(struct vamdgpu_process *p, u32 id)
{
	WRITE_ONCE(p->event_page[id], VAMDGPU_SLOT_UNSIGNALED);
}

/* Does the slot of @ev say so? */
static bool vamdgpu_event_take_slot(struct vamdgpu_process *p,
				    struct vamdgpu_event *ev)
{
	if (!ev || !ev->has_slot || !p->event_page ||
	    READ_ONCE(p->event_page[ev->id]) == VAMDGPU_SLOT_UNSIGNALED)
		return false;
	vamdgpu_event_reset_slot(p, ev->id);
	return true;
}

void vamdgpu_event_interrupt(struct vamdgpu_process *p, u32 context_id)
{
	struct vamdgpu_event *ev;
	int id;

	spin_lock(&p->event_lock);
	ev = vamdgpu_event_find(p, context_id);
	if (vamdgpu_event_take_slot(p, ev)) {
		vamdgpu_event_set(p, ev);
	} else if (p->event_page) {
		idr_for_each_entry(&p->events, ev, id) {
			if (id >= VAMDGPU_EVENT_SLOTS)
				break;
			if (vamdgpu_event_take_slot(p, ev))
				vamdgpu_event_set(p, ev);
		}
	}
	spin_unlock(&p->event_lock);
}

void vamdgpu_event_memory_exception(struct vamdgpu_process *p, u32 gpu_id,
				    u64 va, bool not_present, bool read_only)
{
	struct vamdgpu_event *ev;
	int id = VAMDGPU_FIRST_OTHER_EVENT;

	spin_lock(&p->event_lock);
	idr_for_each_entry_continue(&p->events, ev, id) {
		if (ev->type != KFD_IOC_EVENT_MEMORY)
			continue;
		ev->memory = (struct kfd_hsa_memory_exception_data){
			.failure.NotPresent = not_present,
			.failure.ReadOnly = read_only,
			.va = va,
			.gpu_id = gpu_id,
		};
		vamdgpu_event_set(p, ev);
	}
	spin_unlock(&p->event_lock);
}

/* As after a reset in which the contents of the GPU's memory were lost. */
void vamdgpu_event_gpu_lost(struct vamdgpu_process *p, u32 gpu_id)
{
	struct vamdgpu_event *ev;
	int id = VAMDGPU_FIRST_OTHER_EVENT;

	spin_lock(&p->event_lock);
	idr_for_each_entry_continue(&p->events, ev, id) {
		if (ev->type != KFD_IOC_EVENT_HW_EXCEPTION)
			continue;
		ev->hw = (struct kfd_hsa_hw_exception_data){
			.reset_type = KFD_HW_EXCEPTION_WHOLE_GPU_RESET,
			.reset_cause = KFD_HW_EXCEPTION_GPU_HANG,
			.memory_lost = 1,
			.gpu_id = gpu_id,
		};
		vamdgpu_event_set(p, ev);
	}
	spin_unlock(&p->event_lock);
}

/* ---- the page ---- */

/* user space's memory object as page; process->lock held. */
static int vamdgpu_event_page_from_bo(struct vamdgpu_process *p, u64 handle)
{
	struct vamdgpu_pdd *pdd;
	struct vamdgpu_bo *bo;
	u64 *page;

	lockdep_assert_held(&p->lock);
	if (p->event_page)
		return -EINVAL;
	bo = vamdgpu_bo_by_handle(p, handle, &pdd);
	if (!bo || bo->kind != VAMDGPU_BO_GTT ||
	    bo->len < VAMDGPU_EVENT_PAGE_LEN)
		return -EINVAL;
	page = vmap(bo->pages, VAMDGPU_EVENT_PAGE_LEN >> PAGE_SHIFT, VM_MAP,
		    PAGE_KERNEL);
	if (!page)
		return -ENOMEM;
	memset(page, 0xff, VAMDGPU_EVENT_PAGE_LEN);
	drm_gem_object_get(&bo->base);
	p->event_bo = bo;
	spin_lock(&p->event_lock);
	p->event_page = page;
	spin_unlock(&p->event_lock);
	return 0;
}

static int vamdgpu_event_page_make(struct vamdgpu_process *p)
{
	struct page *pages;

	lockdep_assert_held(&p->lock);
	if (p->event_page)
		return 0;
	pages = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_COMP | __GFP_NOWARN,
			    get_order(VAMDGPU_EVENT_PAGE_LEN));
	if (!pages)
		return -ENOMEM;
	memset(page_address(pages), 0xff, VAMDGPU_EVENT_PAGE_LEN);
	spin_lock(&p->event_lock);
	p->event_page = page_address(pages);
	spin_unlock(&p->event_lock);
	WRITE_ONCE(p->event_pages, pages);
	return 0;
}

/*
 * Queues are gone. Gives back user space's object; a page of our own stays as
 * long as the process object, as mappings of it may.
 */
void vamdgpu_event_page_release(struct vamdgpu_process *p)
{
	u64 *page = p->event_page;

	lockdep_assert_held(&p->lock);
	if (!p->event_bo)
		return;
	spin_lock(&p->event_lock);
	p->event_page = NULL;
	spin_unlock(&p->event_lock);
	vunmap(page);
	vamdgpu_bo_put(p->event_bo);
	p->event_bo = NULL;
}

void vamdgpu_event_process_fini(struct vamdgpu_process *p)
{
	struct vamdgpu_event *ev;
	int id;

	/* Waiting threads hold the file, so nobody waits. */
	idr_for_each_entry(&p->events, ev, id)
		kfree(ev);
	idr_destroy(&p->events);
	if (p->event_pages)
		__free_pages(p->event_pages, get_order(VAMDGPU_EVENT_PAGE_LEN));
}

/* ---- ioctls ---- */

static bool vamdgpu_event_type_has_slot(u32 type)
{
	return type == KFD_IOC_EVENT_SIGNAL || type == KFD_IOC_EVENT_DEBUG_EVENT;
}

static int vamdgpu_event_insert(struct vamdgpu_process *p,
				struct vamdgpu_event *ev)
{
	int id;

	idr_preload(GFP_KERNEL_ACCOUNT);
	spin_lock(&p->event_lock);
	if (ev->has_slot) {
		id = idr_alloc(&p->events, ev, 1, VAMDGPU_EVENT_SLOTS,
			       GFP_NOWAIT | __GFP_NOWARN);
		if (id > 0)
			vamdgpu_event_reset_slot(p, id);
	} else if (p->nother_events >= VAMDGPU_MAX_OTHER_EVENTS) {
		id = -ENOSPC;
	} else {
		id = idr_alloc(&p->events, ev, VAMDGPU_FIRST_OTHER_EVENT, 0,
			       GFP_NOWAIT | __GFP_NOWARN);
		if (id > 0)
			p->nother_events++;
	}
	if (id > 0)
		ev->id = id;
	spin_unlock(&p->event_lock);
	idr_preload_end();
	return id;
}

int vamdgpu_ioctl_create_event(struct vamdgpu_process *p, void *data,
			       size_t user_len)
{
	struct kfd_ioctl_create_event_args *args = data;
	struct vamdgpu_event *ev;
	int ret = 0;

	ev = kzalloc(sizeof(*ev), GFP_KERNEL_ACCOUNT);
	if (!ev)
		return -ENOMEM;
	ev->type = args->event_type;
	ev->auto_reset = args->auto_reset;
	ev->has_slot = vamdgpu_event_type_has_slot(ev->type);
	ev->age = 1;
	INIT_LIST_HEAD(&ev->waiters);

	mutex_lock(&p->lock);
	if (args->event_page_offset)
		ret = vamdgpu_event_page_from_bo(p, args->event_page_offset);
	if (!ret && ev->has_slot)
		ret = vamdgpu_event_page_make(p);
	if (!ret)
		ret = vamdgpu_event_insert(p, ev);
	mutex_unlock(&p->lock);
	if (ret < 0) {
		kfree(ev);
		return ret;
	}
	/* @ev may be gone already: another thread may guess its id. */
	args->event_id = ret;
	args->event_trigger_data = ret;
	args->event_page_offset = 0;
	if (vamdgpu_event_type_has_slot(args->event_type)) {
		args->event_page_offset =
			VAMDGPU_MMAP_OFFSET(VAMDGPU_MMAP_EVENTS, 0);
		args->event_slot_index = ret;
	}
	return 0;
}

int vamdgpu_ioctl_destroy_event(struct vamdgpu_process *p, void *data,
				size_t user_len)
{
	const struct kfd_ioctl_destroy_event_args *args = data;
	struct vamdgpu_waiter *waiter, *tmp;
	struct vamdgpu_event *ev;

	spin_lock(&p->event_lock);
	ev = vamdgpu_event_find(p, args->event_id);
	if (ev) {
		list_for_each_entry_safe(waiter, tmp, &ev->waiters, link) {
			list_del(&waiter->link);
			waiter->event = NULL;
			vamdgpu_wait_wake(waiter);
		}
		idr_remove(&p->events, ev->id);
		if (!ev->has_slot)
			p->nother_events--;
	}
	spin_unlock(&p->event_lock);
	kfree(ev);
	return ev ? 0 : -EINVAL;
}

int vamdgpu_ioctl_set_event(struct vamdgpu_process *p, void *data,
			    size_t user_len)
{
	const struct kfd_ioctl_set_event_args *args = data;
	struct vamdgpu_event *ev;
	int err = 0;

	spin_lock(&p->event_lock);
	ev = vamdgpu_event_find(p, args->event_id);
	if (ev && ev->type == KFD_IOC_EVENT_SIGNAL)
		vamdgpu_event_set(p, ev);
	else
		err = -EINVAL;
	spin_unlock(&p->event_lock);
	return err;
}

int vamdgpu_ioctl_reset_event(struct vamdgpu_process *p, void *data,
			      size_t user_len)
{
	const struct kfd_ioctl_reset_event_args *args = data;
	struct vamdgpu_waiter *waiter;
	struct vamdgpu_event *ev;
	int err = 0;

	spin_lock(&p->event_lock);
	ev = vamdgpu_event_find(p, args->event_id);
	if (ev && ev->type == KFD_IOC_EVENT_SIGNAL) {
		ev->signaled = false;
		/* Nor is a signal to come back that a wait was given before. */
		list_for_each_entry(waiter, &ev->waiters, link)
			waiter->consumed = false;
	} else {
		err = -EINVAL;
	}
	spin_unlock(&p->event_lock);
	return err;
}
