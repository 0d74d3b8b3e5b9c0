/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _HMM_MIRROR_TEST_CLIENT_H
#define _HMM_MIRROR_TEST_CLIENT_H

#include "hmm_mirror_test.h"

#include <linux/completion.h>
#include <linux/hmm_mirror.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct mm_struct;
struct page;
struct vm_area_struct;

#define LOG_NR_EVENTS	4096
#define MAP_NR_PAGES	(HMT_MMAP_MAX >> PAGE_SHIFT)

/**
 * struct hook - stops at one step
 * @armed: how many more calls will stop
 * @stopped: how many are stopped, those that were let go and have not left included
 * @go: how many of these were let go
 * @flags: HMT_HOOK_*
 *
 * All under client.hook_lock.
 */
struct hook {
	u32 armed;
	u32 stopped;
	u32 go;
	u32 flags;
};

/**
 * struct client - an open file
 * @target: the mm to mirror; kept by mmgrab(), changes under @gate held for write
 * @gate: read by whoever uses the mirror, written by register and unregister
 * @registered: @mirror is; under @gate
 * @mirror: the mirror
 * @ops: its callbacks
 * @commit_lock: serialises commits, so that what one has reserved stays reserved
 * @update_lock: the mirror's update lock; guards @device and what ranges have
 * @device: the device's page table: an entry for each page, see device.c
 * @ranges: struct test_range by id
 * @wq: runs what is asked for in a kernel thread; one at a time, so that the rest queues
 * @log_lock: guards @log, @log_total, @nr_release_calls; innermost
 * @log: the last LOG_NR_EVENTS events
 * @log_total: number of the next
 * @nr_release_calls: of ops->release()
 * @nr_marked_dirty: pages; update lock
 * @nr_unseen: pages that a commit found to have changed without an event; update lock
 * @hook_lock: guards @hooks, @closing and @nr_hook_timeouts; innermost
 * @hooks: by step
 * @hook_wait: woken by every change of a hook
 * @closing: nobody stops any more
 * @nr_hook_timeouts: stops that nobody ended
 * @pages_lock: guards @pages
 * @pages: what mappings of the file show
 *
 * Lock order: gate -> range.lock -> commit_lock -> (what the mirror takes) ->
 * update_lock -> xarray locks, log_lock, hook_lock.
 */
struct client {
	struct mm_struct *target;
	struct rw_semaphore gate;
	bool registered;
	struct hmm_mirror mirror;
	struct hmm_mirror_ops ops;
	struct mutex commit_lock;	/* see above */
	struct mutex update_lock;	/* see above */
	struct xarray device;
	struct xarray ranges;
	struct workqueue_struct *wq;
	spinlock_t log_lock;		/* see above */
	struct hmt_event *log;
	u64 log_total;
	u64 nr_release_calls;
	u64 nr_marked_dirty;
	u64 nr_unseen;
	spinlock_t hook_lock;		/* see above */
	struct hook hooks[HMT_NR_STEPS];
	wait_queue_head_t hook_wait;
	bool closing;
	u64 nr_hook_timeouts;
	struct mutex pages_lock;	/* see above */
	struct page *pages[MAP_NR_PAGES];
};

/**
 * struct get_job - one get, in kernel terms
 * @flags: HMT_GET_*
 * @req: the request; its spans belong to the job
 * @next_va: in and out
 * @nr_max: size of the cursor
 * @nr: out
 * @tries: out
 * @err: out
 */
struct get_job {
	u32 flags;
	struct hmm_mirror_req req;
	unsigned long next_va;
	u32 nr_max;
	u32 nr;
	u32 tries;
	int err;
};

/**
 * struct test_range - a range of the client
 * @ref: the client's table and whoever uses it
 * @client: its client
 * @lock: serialises calls on the range
 * @live: @range is registered; changes under @lock and the update lock
 * @range: the mirror's
 * @extents: the last extents; @lock
 * @nr_alloc: room in @extents
 * @nr: how many there are
 * @queued: @job is at work; under the lock of client.ranges
 * @job: what the worker is to do
 * @work: does it
 * @done: it is done
 */
struct test_range {
	struct kref ref;
	struct client *client;
	struct mutex lock;		/* see above */
	bool live;
	struct hmm_mirror_range range;
	struct hmm_mirror_extent *extents;
	u32 nr_alloc;
	u32 nr;
	bool queued;
	struct get_job job;
	struct work_struct work;
	struct completion done;
};

/* main.c */
int client_enter(struct client *client);
void client_leave(struct client *client);
int client_run_in_worker(struct client *client, int (*fn)(void *arg), void *arg);
int client_get_req(struct hmm_mirror_req *req, u32 default_req, u32 nr_spans,
		   u64 spans);

/* range.c */
struct test_range *range_find(struct client *client, u32 id);
void range_put(struct test_range *range);
void ranges_remove(struct client *client);
int range_ioctl_add(struct client *client, void *arg);
int range_ioctl_del(struct client *client, void *arg);
int range_ioctl_get(struct client *client, void *arg);
int range_ioctl_get_wait(struct client *client, void *arg);
int range_ioctl_valid(struct client *client, void *arg);
int range_ioctl_wait(struct client *client, void *arg);
int range_ioctl_extent_device(struct client *client, void *arg);
int range_ioctl_extents(struct client *client, void *arg);
int range_ioctl_commit(struct client *client, void *arg);

/* device.c */
void device_invalidate(struct hmm_mirror *mirror,
		       const struct hmm_mirror_event *event);
void device_release(struct hmm_mirror *mirror);
void device_clear(struct client *client);
int device_commit(struct test_range *range);
u64 device_nr_pages(struct client *client);
int device_ioctl_access(struct client *client, void *arg);
int device_ioctl_pages(struct client *client, void *arg);
int device_ioctl_log(struct client *client, void *arg);

/* view.c */
int view_ioctl(struct client *client, void *arg);

/* hook.c */
void hooks_init(struct client *client);
void hook_stop(struct client *client, unsigned int step);
void hooks_close(struct client *client);
int hook_ioctl_arm(struct client *client, void *arg);
int hook_ioctl_wait(struct client *client, void *arg);
int hook_ioctl_release(struct client *client, void *arg);
int hook_ioctl_hold_update_lock(struct client *client, void *arg);
int hook_ioctl_hold_mmap_write(struct client *client, void *arg);
int hook_ioctl_hold_task(struct client *client, void *arg);
int hook_ioctl_mmap_read_lock(struct client *client, void *arg);

/* map.c */
int map_mmap(struct client *client, struct vm_area_struct *vma);
void map_free(struct client *client);

/* dma.c */
int dma_ioctl_map(struct client *client, void *arg);
int dma_init(void);
void dma_exit(void);

#endif /* _HMM_MIRROR_TEST_CLIENT_H */
