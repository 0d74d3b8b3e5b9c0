// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks: a call stops at a step until a test lets it go, so that a race has one outcome.
 *
 * A stop that nobody ends is given up after a while and counted: a test that hangs
 * must not hang the machine.
 */
#include "client.h"

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>

#define HOOK_MAX_JIFFIES	(60 * HZ)

void hooks_init(struct client *client)
{
	spin_lock_init(&client->hook_lock);
	init_waitqueue_head(&client->hook_wait);
}

static bool hook_may_go(struct client *client, struct hook *hook)
{
	bool go;

	spin_lock(&client->hook_lock);
	go = hook->go || client->closing;
	if (go) {
		hook->stopped--;
		if (hook->go)
			hook->go--;
	}
	spin_unlock(&client->hook_lock);
	return go;
}

/**
 * hook_stop - stop here if a test wants it
 * @client: the client
 * @step: HMT_STEP_*
 *
 * Context: process context, sleeps, also with any sleeping lock held.
 */
void hook_stop(struct client *client, unsigned int step)
{
	struct hook *hook = &client->hooks[step];
	bool stop, killable;
	long left;

	spin_lock(&client->hook_lock);
	stop = hook->armed && !client->closing;
	killable = hook->flags & HMT_HOOK_KILLABLE;
	if (stop) {
		hook->armed--;
		hook->stopped++;
	}
	spin_unlock(&client->hook_lock);
	if (!stop)
		return;

	wake_up_all(&client->hook_wait);
	if (killable)
		left = wait_event_killable_timeout(client->hook_wait,
						   hook_may_go(client, hook),
						   HOOK_MAX_JIFFIES);
	else
		left = wait_event_timeout(client->hook_wait,
					  hook_may_go(client, hook),
					  HOOK_MAX_JIFFIES);
	if (left <= 0) {
		spin_lock(&client->hook_lock);
		hook->stopped--;
		/* A call that was let go and left in another way. */
		hook->go = min(hook->go, hook->stopped);
		client->nr_hook_timeouts += !left;
		spin_unlock(&client->hook_lock);
	}
	wake_up_all(&client->hook_wait);
}

/* The file is closed: all go on, nobody stops. */
void hooks_close(struct client *client)
{
	spin_lock(&client->hook_lock);
	client->closing = true;
	spin_unlock(&client->hook_lock);
	wake_up_all(&client->hook_wait);
}

int hook_ioctl_arm(struct client *client, void *arg)
{
	const struct hmt_hook *args = arg;
	struct hook *hook;

	if (args->step >= HMT_NR_STEPS || (args->flags & ~HMT_HOOK_KILLABLE))
		return -EINVAL;
	hook = &client->hooks[args->step];
	spin_lock(&client->hook_lock);
	hook->armed = args->count;
	hook->flags = args->flags;
	spin_unlock(&client->hook_lock);
	return 0;
}

static bool hook_has_stopped(struct client *client, struct hook *hook, u32 count)
{
	bool yes;

	spin_lock(&client->hook_lock);
	yes = hook->stopped - hook->go >= count;
	spin_unlock(&client->hook_lock);
	return yes;
}

int hook_ioctl_wait(struct client *client, void *arg)
{
	const struct hmt_hook *args = arg;
	long left;

	if (args->step >= HMT_NR_STEPS)
		return -EINVAL;
	left = wait_event_interruptible_timeout(client->hook_wait,
						hook_has_stopped(client,
								 &client->hooks[args->step],
								 args->count),
						msecs_to_jiffies(args->timeout_ms));
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIME;
}

int hook_ioctl_release(struct client *client, void *arg)
{
	const struct hmt_hook *args = arg;
	struct hook *hook;

	if (args->step >= HMT_NR_STEPS)
		return -EINVAL;
	hook = &client->hooks[args->step];
	spin_lock(&client->hook_lock);
	if (args->count) {
		hook->go = min(hook->go + args->count, hook->stopped);
	} else {
		hook->go = hook->stopped;
		hook->armed = 0;
	}
	spin_unlock(&client->hook_lock);
	wake_up_all(&client->hook_wait);
	return 0;
}

int hook_ioctl_hold_update_lock(struct client *client, void *arg)
{
	mutex_lock(&client->update_lock);
	hook_stop(client, HMT_STEP_UPDATE_LOCK);
	mutex_unlock(&client->update_lock);
	return 0;
}

int hook_ioctl_hold_mmap_write(struct client *client, void *arg)
{
	struct mm_struct *mm;
	int err = -ESRCH;

	down_read(&client->gate);
	mm = client->target;
	if (mmget_not_zero(mm)) {
		err = mmap_write_lock_killable(mm);
		if (!err) {
			hook_stop(client, HMT_STEP_MMAP_WRITE);
			mmap_write_unlock(mm);
		}
		mmput_async(mm);
	}
	up_read(&client->gate);
	return err;
}

int hook_ioctl_hold_task(struct client *client, void *arg)
{
	hook_stop(client, HMT_STEP_HOLD_TASK);
	return 0;
}

static int mmap_read_lock_once(void *arg)
{
	struct client *client = arg;
	int err;

	err = client_enter(client);
	if (err)
		return err;
	hook_stop(client, HMT_STEP_MMAP_READ_BEGIN);
	err = hmm_mirror_mmap_read_lock(&client->mirror);
	if (!err) {
		hook_stop(client, HMT_STEP_MMAP_READ);
		hmm_mirror_mmap_read_unlock(&client->mirror);
	}
	client_leave(client);
	return err;
}

int hook_ioctl_mmap_read_lock(struct client *client, void *arg)
{
	const struct hmt_mode *args = arg;

	if (args->worker)
		return client_run_in_worker(client, mmap_read_lock_once, client);
	return mmap_read_lock_once(client);
}
