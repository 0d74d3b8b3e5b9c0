// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges of a client, and what is asked of them: get, commit, valid, wait.
 *
 * A get can run in a kernel thread that does not have the mm, as the fault worker of a
 * driver does. Such a job belongs to its range, which allows one at a time.
 */
#include "client.h"

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define ID_MAX		BIT(24)
#define NR_MAX		BIT(20)
#define COMMIT_TRIES	1000

static void range_free(struct kref *ref)
{
	struct test_range *range = container_of(ref, struct test_range, ref);

	kvfree(range->job.req.spans);
	kvfree(range->extents);
	mutex_destroy(&range->lock);
	kfree(range);
}

void range_put(struct test_range *range)
{
	kref_put(&range->ref, range_free);
}

struct test_range *range_find(struct client *client, u32 id)
{
	struct test_range *range;

	xa_lock(&client->ranges);
	range = xa_load(&client->ranges, id);
	if (range)
		kref_get(&range->ref);
	xa_unlock(&client->ranges);
	return range;
}

/* The range does not take part any more; waits for the call that is under way. */
static void range_kill(struct test_range *range)
{
	struct client *client = range->client;

	mutex_lock(&range->lock);
	mutex_lock(&client->update_lock);
	if (range->live)
		hmm_mirror_range_unregister(&range->range);
	range->live = false;
	mutex_unlock(&client->update_lock);
	mutex_unlock(&range->lock);
}

void ranges_remove(struct client *client)
{
	struct test_range *range;
	unsigned long id;

	xa_for_each(&client->ranges, id, range) {
		xa_erase(&client->ranges, id);
		range_kill(range);
		range_put(range);
	}
}

static void range_work(struct work_struct *work);

static struct test_range *range_alloc(struct client *client)
{
	struct test_range *range = kzalloc(sizeof(*range), GFP_KERNEL);

	if (!range)
		return NULL;
	kref_init(&range->ref);
	range->client = client;
	mutex_init(&range->lock);
	INIT_WORK(&range->work, range_work);
	init_completion(&range->done);
	return range;
}

int range_ioctl_add(struct client *client, void *arg)
{
	const struct hmt_range *args = arg;
	struct test_range *range;
	int err;

	if (args->id >= ID_MAX)
		return -EINVAL;
	range = range_alloc(client);
	if (!range)
		return -ENOMEM;
	err = client_enter(client);
	if (err)
		goto err_put;
	err = hmm_mirror_range_register(&range->range, &client->mirror,
					args->first_va, args->last_va);
	if (err)
		goto err_leave;
	range->live = true;
	err = xa_insert(&client->ranges, args->id, range, GFP_KERNEL);
	if (err) {
		range_kill(range);
		err = err == -EBUSY ? -EEXIST : err;
		goto err_leave;
	}
	client_leave(client);
	return 0;

err_leave:
	client_leave(client);
err_put:
	range_put(range);
	return err;
}

int range_ioctl_del(struct client *client, void *arg)
{
	const struct hmt_range *args = arg;
	struct test_range *range = xa_erase(&client->ranges, args->id);

	if (!range)
		return -ENOENT;
	range_kill(range);
	range_put(range);
	return 0;
}

static int grow_extents(struct test_range *range, u32 nr_max)
{
	struct hmm_mirror_extent *extents;

	if (nr_max <= range->nr_alloc)
		return 0;
	extents = kvmalloc_array(nr_max, sizeof(*extents), GFP_KERNEL);
	if (!extents)
		return -ENOMEM;
	kvfree(range->extents);
	range->extents = extents;
	range->nr_alloc = nr_max;
	range->nr = 0;
	return 0;
}

static int get_once(struct test_range *range, struct get_job *job)
{
	struct hmm_mirror_cursor cursor = {
		.extents = range->extents,
		.nr_max = job->nr_max,
		.nr = job->nr,
		.next_va = job->next_va,
	};
	int err;

	hook_stop(range->client, HMT_STEP_GET_BEGIN);
	job->tries++;
	if (job->flags & HMT_GET_SNAPSHOT)
		err = hmm_mirror_range_snapshot(&range->range, &cursor);
	else
		err = hmm_mirror_range_fault(&range->range, &cursor, &job->req);
	range->nr = cursor.nr;
	job->nr = cursor.nr;
	hook_stop(range->client, HMT_STEP_GET_DONE);
	if (!err && (job->flags & HMT_GET_COMMIT))
		err = device_commit(range);
	/* Where the next call begins: what was not committed is asked for again. */
	if (err != -EAGAIN)
		job->next_va = cursor.next_va;
	return err;
}

static int get_locked(struct test_range *range, struct get_job *job)
{
	int err;

	if (!range->live)
		return -ENOENT;
	err = grow_extents(range, job->nr_max);
	if (err)
		return err;
	do {
		err = get_once(range, job);
	} while (err == -EAGAIN && job->tries < COMMIT_TRIES);
	return err;
}

static void range_run(struct test_range *range, struct get_job *job)
{
	struct client *client = range->client;

	job->err = client_enter(client);
	if (job->err)
		return;
	mutex_lock(&range->lock);
	job->err = get_locked(range, job);
	mutex_unlock(&range->lock);
	client_leave(client);
}

static void range_work(struct work_struct *work)
{
	struct test_range *range = container_of(work, struct test_range, work);

	range_run(range, &range->job);
	complete_all(&range->done);
	range_put(range);	/* pairs with kref_get() in range_queue() */
}

static int job_init(struct get_job *job, const struct hmt_get *args)
{
	if (args->flags & ~(HMT_GET_SNAPSHOT | HMT_GET_WORKER | HMT_GET_ASYNC |
			    HMT_GET_COMMIT))
		return -EINVAL;
	if (args->nr_max > NR_MAX)
		return -EINVAL;
	*job = (struct get_job) {
		.flags = args->flags,
		.next_va = args->next_va,
		.nr_max = args->nr_max,
		.nr = args->nr,
	};
	return client_get_req(&job->req, args->default_req, args->nr_spans,
			      args->spans);
}

/* Takes over the job's spans if it succeeds. */
static int range_queue(struct test_range *range, const struct get_job *job)
{
	struct client *client = range->client;
	const void *old;

	xa_lock(&client->ranges);
	if (range->queued) {
		xa_unlock(&client->ranges);
		return -EBUSY;
	}
	range->queued = true;
	xa_unlock(&client->ranges);

	old = range->job.req.spans;
	range->job = *job;
	kvfree(old);
	reinit_completion(&range->done);
	kref_get(&range->ref);	/* pairs with range_put() in range_work() */
	queue_work(client->wq, &range->work);
	return 0;
}

/* Returns what the job did, or -ENOENT, -ETIME, -EINTR about the waiting. */
static int range_collect(struct test_range *range, long timeout_jiffies,
			 struct get_job *job)
{
	struct client *client = range->client;
	long left;

	if (!range->queued)
		return -ENOENT;
	left = wait_for_completion_killable_timeout(&range->done,
						    timeout_jiffies);
	if (left <= 0)
		return left ? -EINTR : -ETIME;
	*job = range->job;
	xa_lock(&client->ranges);
	range->queued = false;
	xa_unlock(&client->ranges);
	return job->err;
}

static int get_results(struct test_range *range, struct hmt_get *args,
		       const struct get_job *job)
{
	struct hmm_mirror_extent *copy = NULL;
	u32 nr = 0;
	int err = 0;

	args->next_va = job->next_va;
	args->nr = job->nr;
	args->tries = job->tries;
	if (!args->extents || job->err)
		return 0;
	/* A copy: user memory may not be touched under the lock. */
	copy = kvmalloc_array(args->nr_max + 1, sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	mutex_lock(&range->lock);
	nr = min(range->nr, args->nr_max);
	memcpy(copy, range->extents, nr * sizeof(*copy));
	mutex_unlock(&range->lock);
	if (copy_to_user(u64_to_user_ptr(args->extents), copy,
			 nr * sizeof(*copy)))
		err = -EFAULT;
	kvfree(copy);
	return err;
}

static int get_sync(struct test_range *range, struct get_job *job)
{
	int err;

	if (!(job->flags & HMT_GET_WORKER)) {
		range_run(range, job);
		kvfree(job->req.spans);
		return job->err;
	}
	err = range_queue(range, job);
	if (err) {
		kvfree(job->req.spans);
		job->err = err;
		return err;
	}
	err = range_collect(range, MAX_SCHEDULE_TIMEOUT, job);
	job->err = err;
	return err;
}

int range_ioctl_get(struct client *client, void *arg)
{
	struct hmt_get *args = arg;
	struct test_range *range;
	struct get_job job;
	int err, copy_err;

	range = range_find(client, args->range);
	if (!range)
		return -ENOENT;
	err = job_init(&job, args);
	if (err)
		goto out;
	if (job.flags & HMT_GET_ASYNC) {
		err = range_queue(range, &job);
		if (err)
			kvfree(job.req.spans);
		goto out;
	}
	err = get_sync(range, &job);
	copy_err = get_results(range, args, &job);
	err = err ?: copy_err;
out:
	range_put(range);
	return err;
}

int range_ioctl_get_wait(struct client *client, void *arg)
{
	struct hmt_get *args = arg;
	struct test_range *range;
	struct get_job job = { .next_va = args->next_va };
	int err, copy_err;

	if (args->nr_max > NR_MAX)
		return -EINVAL;
	range = range_find(client, args->range);
	if (!range)
		return -ENOENT;
	err = range_collect(range, msecs_to_jiffies(args->timeout_ms), &job);
	job.err = err;
	copy_err = get_results(range, args, &job);
	range_put(range);
	return err ?: copy_err;
}

int range_ioctl_extents(struct client *client, void *arg)
{
	struct hmt_get *args = arg;
	struct test_range *range = range_find(client, args->range);
	struct get_job job = { .next_va = args->next_va };
	int err;

	if (!range)
		return -ENOENT;
	if (args->nr_max > NR_MAX) {
		range_put(range);
		return -EINVAL;
	}
	job.nr = range->nr;
	err = get_results(range, args, &job);
	range_put(range);
	return err;
}

int range_ioctl_valid(struct client *client, void *arg)
{
	const struct hmt_valid *args = arg;
	struct test_range *range;
	u8 *states;
	u32 i;
	int err;

	if (!args->nr || args->nr > ID_MAX)
		return -EINVAL;
	states = kvmalloc(args->nr, GFP_KERNEL);
	if (!states)
		return -ENOMEM;
	err = client_enter(client);
	if (err)
		goto out;
	mutex_lock(&client->update_lock);
	for (i = 0; i < args->nr; i++) {
		range = range_find(client, args->first + i);
		states[i] = 2;
		if (range && range->live)
			states[i] = hmm_mirror_range_valid(&range->range);
		if (range)
			range_put(range);
	}
	mutex_unlock(&client->update_lock);
	client_leave(client);
	if (copy_to_user(u64_to_user_ptr(args->states), states, args->nr))
		err = -EFAULT;
out:
	kvfree(states);
	return err;
}

/* Calls @fn with the range locked and live. */
static int with_range(struct client *client, u32 id,
		      int (*fn)(struct test_range *range, void *arg), void *arg)
{
	struct test_range *range = range_find(client, id);
	int err;

	if (!range)
		return -ENOENT;
	err = client_enter(client);
	if (!err) {
		mutex_lock(&range->lock);
		err = range->live ? fn(range, arg) : -ENOENT;
		mutex_unlock(&range->lock);
		client_leave(client);
	}
	range_put(range);
	return err;
}

static int wait_valid(struct test_range *range, void *arg)
{
	const struct hmt_wait *args = arg;
	unsigned long timeout = MAX_SCHEDULE_TIMEOUT;

	if (args->timeout_ms != HMT_NONE)
		timeout = msecs_to_jiffies(args->timeout_ms);
	return hmm_mirror_range_wait_until_valid(&range->range, timeout);
}

int range_ioctl_wait(struct client *client, void *arg)
{
	const struct hmt_wait *args = arg;

	return with_range(client, args->range, wait_valid, arg);
}

static int extent_device(struct test_range *range, void *arg)
{
	struct hmt_extent_device *args = arg;
	struct client *client = range->client;
	void *owner = NULL;
	int err = -EAGAIN;

	if (args->index >= range->nr)
		return -EINVAL;
	mutex_lock(&client->update_lock);
	if (hmm_mirror_range_valid(&range->range)) {
		args->kind = hmm_mirror_extent_device(&range->range,
						      &range->extents[args->index],
						      &owner);
		args->owner_match = owner && owner == client->ops.owner;
		err = 0;
	}
	mutex_unlock(&client->update_lock);
	return err;
}

int range_ioctl_extent_device(struct client *client, void *arg)
{
	const struct hmt_extent_device *args = arg;

	return with_range(client, args->range, extent_device, arg);
}

static int commit_range(struct test_range *range, void *arg)
{
	return device_commit(range);
}

int range_ioctl_commit(struct client *client, void *arg)
{
	const struct hmt_commit *args = arg;

	return with_range(client, args->range, commit_range, NULL);
}
