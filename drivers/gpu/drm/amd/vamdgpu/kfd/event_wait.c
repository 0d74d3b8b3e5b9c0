// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for events.
 *
 * A wait hooks one waiter on each event, under event_lock; who sets or destroys
 * an event marks its waiters and wakes them. A signal of an auto-reset event is
 * consumed when the wait begins and given back if the wait does not complete.
 *
 * A signal handler interrupts a wait with ERESTARTSYS; the remaining time has
 * been written back by then, so that the restarted call, or the thunk's own
 * loop, waits for the rest only.
 */
#include "kfd/event.h"

#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "kfd/front.h"

#define VAMDGPU_WAIT_FOREVER	0xffffffffU
#define VAMDGPU_MAX_WAITERS	(VAMDGPU_EVENT_SLOTS + VAMDGPU_MAX_OTHER_EVENTS)

/**
 * struct vamdgpu_wait - one call of WAIT_EVENTS
 * @wq: where its thread sleeps
 * @all: wait for all events, not for any
 * @woken: something changed since the last look; event_lock to set
 * @n: entries in @waiters
 * @waiters: one for each event, in user space's order
 */
struct vamdgpu_wait {
	wait_queue_head_t wq;
	bool all;
	bool woken;
	u32 n;
	struct vamdgpu_waiter waiters[] __counted_by(n);
};

enum vamdgpu_wait_state {
	VAMDGPU_WAIT_PENDING,
	VAMDGPU_WAIT_COMPLETE,
	VAMDGPU_WAIT_FAILED,
};

void vamdgpu_wait_wake(struct vamdgpu_waiter *waiter)
{
	struct vamdgpu_wait *wait = waiter->wait;

	/* One wait can stand on an event thousands of times. */
	if (wait->woken)
		return;
	/* Pairs with the READ_ONCE() of the sleeper's condition. */
	WRITE_ONCE(wait->woken, true);
	wake_up(&wait->wq);
}

static enum vamdgpu_wait_state vamdgpu_wait_look(struct vamdgpu_process *p,
						 struct vamdgpu_wait *wait)
{
	u32 i, activated = 0;

	lockdep_assert_held(&p->event_lock);
	WRITE_ONCE(wait->woken, false);
	for (i = 0; i < wait->n; i++) {
		if (!wait->waiters[i].event)
			return VAMDGPU_WAIT_FAILED;
		activated += wait->waiters[i].activated;
	}
	if (activated == wait->n || (activated && !wait->all))
		return VAMDGPU_WAIT_COMPLETE;
	return VAMDGPU_WAIT_PENDING;
}

/* event_lock held */
static void vamdgpu_wait_hook(struct vamdgpu_waiter *waiter,
			      struct vamdgpu_event *ev)
{
	waiter->event = ev;
	waiter->activated = ev->signaled;
	if (waiter->activated && ev->auto_reset) {
		ev->signaled = false;
		waiter->consumed = true;
	}
	if (ev->type == KFD_IOC_EVENT_SIGNAL && waiter->last_age &&
	    waiter->last_age != ev->age)
		waiter->activated = true;
	list_add_tail(&waiter->link, &ev->waiters);
}

/*
 * A wait ends without having used a signal that was its own: those who wait for the
 * event now get it, or the next one does. The same signal, so no new age.
 */
static void vamdgpu_event_give_back(struct vamdgpu_event *ev)
{
	struct vamdgpu_waiter *waiter;

	ev->signaled = list_empty(&ev->waiters);
	list_for_each_entry(waiter, &ev->waiters, link) {
		waiter->activated = true;
		waiter->consumed = true;
		vamdgpu_wait_wake(waiter);
	}
}

static void vamdgpu_wait_unhook_all(struct vamdgpu_process *p,
				    struct vamdgpu_wait *wait, bool give_back)
{
	struct vamdgpu_waiter *waiter;
	u32 i;

	lockdep_assert_held(&p->event_lock);
	for (i = 0; i < wait->n; i++) {
		waiter = &wait->waiters[i];
		if (waiter->event)
			list_del(&waiter->link);
	}
	for (i = 0; give_back && i < wait->n; i++) {
		waiter = &wait->waiters[i];
		if (waiter->event && waiter->consumed)
			vamdgpu_event_give_back(waiter->event);
	}
}

static int vamdgpu_wait_begin(struct vamdgpu_process *p,
			      struct vamdgpu_wait *wait,
			      const struct kfd_event_data *events)
{
	struct vamdgpu_event *ev;
	u32 i;
	int err = 0;

	spin_lock(&p->event_lock);
	/* All or nothing: an unknown id must not consume another's signal. */
	for (i = 0; i < wait->n && !err; i++)
		if (!vamdgpu_event_find(p, events[i].event_id))
			err = -EINVAL;
	for (i = 0; i < wait->n && !err; i++) {
		ev = vamdgpu_event_find(p, events[i].event_id);
		wait->waiters[i].wait = wait;
		if (ev->type == KFD_IOC_EVENT_SIGNAL)
			wait->waiters[i].last_age =
				events[i].signal_event_data.last_event_age;
		vamdgpu_wait_hook(&wait->waiters[i], ev);
	}
	spin_unlock(&p->event_lock);
	return err;
}

/* What the events say, for those that ended the wait; event_lock held. */
static void vamdgpu_wait_collect(struct vamdgpu_wait *wait,
				 struct kfd_event_data *events)
{
	struct vamdgpu_waiter *waiter;
	u32 i;

	for (i = 0; i < wait->n; i++) {
		waiter = &wait->waiters[i];
		if (!waiter->activated)
			continue;
		if (waiter->event->type == KFD_IOC_EVENT_MEMORY)
			events[i].memory_exception_data = waiter->event->memory;
		else if (waiter->event->type == KFD_IOC_EVENT_HW_EXCEPTION)
			events[i].hw_exception_data = waiter->event->hw;
		else if (waiter->event->type == KFD_IOC_EVENT_SIGNAL &&
			 waiter->last_age)
			events[i].signal_event_data.last_event_age =
				waiter->event->age;
	}
}

/*
 * Sleep until something changed. Returns jiffies left, 0 on timeout, or
 * -ERESTARTSYS.
 */
static long vamdgpu_wait_sleep(struct vamdgpu_wait *wait, u32 timeout_ms,
			       ktime_t deadline)
{
	s64 left_ns;

	if (timeout_ms == VAMDGPU_WAIT_FOREVER)
		return wait_event_freezable_timeout(wait->wq,
						    READ_ONCE(wait->woken),
						    MAX_SCHEDULE_TIMEOUT);
	left_ns = ktime_to_ns(ktime_sub(deadline, ktime_get()));
	if (left_ns <= 0)
		return 0;
	return wait_event_freezable_timeout(wait->wq, READ_ONCE(wait->woken),
					    nsecs_to_jiffies(left_ns) + 1);
}

static u32 vamdgpu_wait_left_ms(u32 timeout_ms, ktime_t deadline)
{
	s64 left;

	if (timeout_ms == VAMDGPU_WAIT_FOREVER)
		return timeout_ms;
	/* Rounded down: a wait interrupted often must still come to an end. */
	left = ktime_ms_delta(deadline, ktime_get());
	return clamp_t(s64, left, 0, timeout_ms);
}

static int vamdgpu_wait_run(struct vamdgpu_process *p,
			    struct vamdgpu_wait *wait,
			    struct kfd_ioctl_wait_events_args *args,
			    struct kfd_event_data *events)
{
	ktime_t deadline = ktime_add_ms(ktime_get(), args->timeout);
	enum vamdgpu_wait_state state;
	long left = 1;

	for (;;) {
		spin_lock(&p->event_lock);
		state = vamdgpu_wait_look(p, wait);
		if (state != VAMDGPU_WAIT_PENDING || left <= 0)
			break;
		spin_unlock(&p->event_lock);
		left = vamdgpu_wait_sleep(wait, args->timeout, deadline);
	}
	if (state == VAMDGPU_WAIT_COMPLETE)
		vamdgpu_wait_collect(wait, events);
	vamdgpu_wait_unhook_all(p, wait, state != VAMDGPU_WAIT_COMPLETE);
	spin_unlock(&p->event_lock);

	if (state == VAMDGPU_WAIT_PENDING && left < 0) {
		args->timeout = vamdgpu_wait_left_ms(args->timeout, deadline);
		return -ERESTARTSYS;
	}
	args->wait_result = state == VAMDGPU_WAIT_COMPLETE ?
				    KFD_IOC_WAIT_RESULT_COMPLETE :
			    state == VAMDGPU_WAIT_FAILED ?
				    KFD_IOC_WAIT_RESULT_FAIL :
				    KFD_IOC_WAIT_RESULT_TIMEOUT;
	return 0;
}

static int vamdgpu_wait_events(struct vamdgpu_process *p,
			       struct kfd_ioctl_wait_events_args *args,
			       struct kfd_event_data *events)
{
	struct vamdgpu_wait *wait;
	int err;

	wait = kvzalloc(struct_size(wait, waiters, args->num_events),
			GFP_KERNEL_ACCOUNT);
	if (!wait)
		return -ENOMEM;
	init_waitqueue_head(&wait->wq);
	wait->all = args->wait_for_all;
	wait->n = args->num_events;
	err = vamdgpu_wait_begin(p, wait, events);
	if (!err)
		err = vamdgpu_wait_run(p, wait, args, events);
	kvfree(wait);
	return err;
}

int vamdgpu_ioctl_wait_events(struct vamdgpu_process *p, void *data,
			      size_t user_len)
{
	struct kfd_ioctl_wait_events_args *args = data;
	void __user *user = u64_to_user_ptr(args->events_ptr);
	struct kfd_event_data *events;
	size_t len;
	int err;

	args->wait_result = KFD_IOC_WAIT_RESULT_FAIL;
	if (!args->num_events || args->num_events > VAMDGPU_MAX_WAITERS)
		return -EINVAL;
	len = array_size(args->num_events, sizeof(*events));
	events = vmemdup_user(user, len);
	if (IS_ERR(events))
		return PTR_ERR(events);
	err = vamdgpu_wait_events(p, args, events);
	if (!err && args->wait_result == KFD_IOC_WAIT_RESULT_COMPLETE &&
	    copy_to_user(user, events, len))
		err = -EFAULT;
	kvfree(events);
	return err;
}
