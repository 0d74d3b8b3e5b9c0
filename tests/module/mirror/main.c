// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/hmm_mirror_test: a client of the HMM mirror that does what a test says.
 *
 * This file: the life of a client and the table of its calls. hmm_mirror_test.h is what
 * tests see; client.h has the objects and the lock order.
 */
#include "client.h"

#include <linux/fs.h>
#include <linux/kfdsvm_compat.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define NR_SPANS_MAX	BIT(16)

static_assert(HMT_EXT_VALID == HMM_MIRROR_EXT_VALID);
static_assert(HMT_EXT_WRITE == HMM_MIRROR_EXT_WRITE);
static_assert(HMT_EXT_DIRTY == HMM_MIRROR_EXT_DIRTY);
static_assert(HMT_EXT_HUGE == HMM_MIRROR_EXT_HUGE);
static_assert(HMT_EXT_DEVICE == HMM_MIRROR_EXT_DEVICE);
static_assert(HMT_EXT_ERROR == HMM_MIRROR_EXT_ERROR);
static_assert(HMT_EXT_ZERO == HMM_MIRROR_EXT_ZERO);
static_assert(HMT_EXT_PRIVATE == HMM_MIRROR_EXT_PRIVATE);
static_assert(HMT_EXT_HUGETLB == HMM_MIRROR_EXT_HUGETLB);
static_assert(HMT_EXT_FLAGS == HMM_MIRROR_EXT_FLAGS);
static_assert(HMT_EXT_PFN == HMM_MIRROR_EXT_PFN);
static_assert(GENMASK_ULL(63, HMT_EXT_NPAGES_SHIFT) == HMM_MIRROR_EXT_NPAGES);
static_assert(sizeof(struct hmt_extent) == sizeof(struct hmm_mirror_extent));
static_assert(HMT_REQ_READ == HMM_MIRROR_REQ_READ);
static_assert(HMT_REQ_WRITE == HMM_MIRROR_REQ_WRITE);
static_assert(HMT_REQ_WRITE_IF_VMA == HMM_MIRROR_REQ_WRITE_IF_VMA);
static_assert(HMT_EVENT_UNMAP == (int)HMM_MIRROR_EVENT_UNMAP);
static_assert(HMT_EVENT_CHANGE == (int)HMM_MIRROR_EVENT_CHANGE);
static_assert(HMT_EVENT_MIGRATE == (int)HMM_MIRROR_EVENT_MIGRATE);
static_assert(HMT_EVENT_RELEASE == (int)HMM_MIRROR_EVENT_RELEASE);
static_assert(HMT_DEV_NONE == (int)HMM_MIRROR_DEVICE_NONE);
static_assert(HMT_DEV_DAX == (int)HMM_MIRROR_DEVICE_DAX);
static_assert(HMT_DEV_COHERENT == (int)HMM_MIRROR_DEVICE_COHERENT);
static_assert(HMT_DEV_PRIVATE == (int)HMM_MIRROR_DEVICE_PRIVATE);
static_assert(HMT_DEV_PEER == (int)HMM_MIRROR_DEVICE_PEER);

/* Begin to use the mirror; until client_leave() it stays registered. */
int client_enter(struct client *client)
{
	down_read(&client->gate);
	if (client->registered)
		return 0;
	up_read(&client->gate);
	return -ENOTCONN;
}

void client_leave(struct client *client)
{
	up_read(&client->gate);
}

struct errand {
	struct work_struct work;
	int (*fn)(void *arg);
	void *arg;
	int ret;
};

static void errand_work(struct work_struct *work)
{
	struct errand *errand = container_of(work, struct errand, work);

	errand->ret = errand->fn(errand->arg);
}

int client_run_in_worker(struct client *client, int (*fn)(void *arg), void *arg)
{
	struct errand errand = { .fn = fn, .arg = arg };

	INIT_WORK_ONSTACK(&errand.work, errand_work);
	queue_work(client->wq, &errand.work);
	flush_work(&errand.work);
	destroy_work_on_stack(&errand.work);
	return errand.ret;
}

/* The caller frees req->spans with kvfree(). */
int client_get_req(struct hmm_mirror_req *req, u32 default_req, u32 nr_spans,
		   u64 spans)
{
	struct hmm_mirror_req_span *to;
	struct hmt_span *from;
	u32 i;

	*req = (struct hmm_mirror_req) {
		.default_req = default_req,
		.nr_spans = nr_spans,
	};
	if (!nr_spans)
		return 0;
	if (nr_spans > NR_SPANS_MAX)
		return -EINVAL;
	from = vmemdup_user(u64_to_user_ptr(spans), nr_spans * sizeof(*from));
	if (IS_ERR(from))
		return PTR_ERR(from);
	to = kvmalloc_array(nr_spans, sizeof(*to), GFP_KERNEL);
	if (!to) {
		kvfree(from);
		return -ENOMEM;
	}
	for (i = 0; i < nr_spans; i++)
		to[i] = (struct hmm_mirror_req_span) {
			.first_va = from[i].first_va,
			.last_va = from[i].last_va,
			.req = from[i].req,
		};
	kvfree(from);
	req->spans = to;
	return 0;
}

static int client_ioctl_target(struct client *client, void *arg)
{
	const struct hmt_target *args = arg;
	struct pid *pid = find_get_pid(args->pid);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;
	int err = 0;

	if (task)
		put_task_struct(task);
	put_pid(pid);
	if (!mm)
		return -ESRCH;
	mmgrab(mm);
	mmput_async(mm);

	down_write(&client->gate);
	if (client->registered)
		err = -EBUSY;
	else
		swap(client->target, mm);
	up_write(&client->gate);
	mmdrop(mm);
	return err;
}

static int client_ioctl_register(struct client *client, void *arg)
{
	const struct hmt_register *args = arg;
	int err = -EBUSY;

	down_write(&client->gate);
	if (!client->registered) {
		client->ops = (struct hmm_mirror_ops) {
			.owner = (void *)(uintptr_t)args->owner,
			.invalidate = device_invalidate,
			.release = device_release,
		};
		err = hmm_mirror_register(&client->mirror, client->target,
					  &client->update_lock, &client->ops);
		client->registered = !err;
	}
	up_write(&client->gate);
	return err;
}

static int client_ioctl_unregister(struct client *client, void *arg)
{
	down_write(&client->gate);
	if (!client->registered) {
		up_write(&client->gate);
		return -ENOTCONN;
	}
	ranges_remove(client);
	device_clear(client);
	hook_stop(client, HMT_STEP_UNREGISTER);
	hmm_mirror_unregister(&client->mirror);
	client->registered = false;
	up_write(&client->gate);
	return 0;
}

static int client_ioctl_watch(struct client *client, void *arg)
{
	const struct hmt_va_span *args = arg;
	int err;

	err = client_enter(client);
	if (err)
		return err;
	err = hmm_mirror_watch(&client->mirror, args->first_va, args->last_va);
	client_leave(client);
	return err;
}

static int client_ioctl_stats(struct client *client, void *arg)
{
	struct hmt_stats *args = arg;
	unsigned long id;
	void *range;

	*args = (struct hmt_stats) {
		.nr_device_pages = device_nr_pages(client),
		.nr_marked_dirty = READ_ONCE(client->nr_marked_dirty),
		.nr_unseen = READ_ONCE(client->nr_unseen),
		.registered = READ_ONCE(client->registered),
	};
	xa_for_each(&client->ranges, id, range)
		args->nr_ranges++;
	spin_lock(&client->log_lock);
	args->nr_events = client->log_total - client->nr_release_calls;
	args->nr_release_calls = client->nr_release_calls;
	spin_unlock(&client->log_lock);
	spin_lock(&client->hook_lock);
	args->nr_hook_timeouts = client->nr_hook_timeouts;
	spin_unlock(&client->hook_lock);
	/* Not under the gate: a test asks while calls are stopped. */
	args->mm_users = atomic_read(&client->target->mm_users);
	return 0;
}

struct call {
	unsigned int cmd;
	int (*fn)(struct client *client, void *arg);
};

static const struct call calls[] = {
	{ HMT_TARGET, client_ioctl_target },
	{ HMT_REGISTER, client_ioctl_register },
	{ HMT_UNREGISTER, client_ioctl_unregister },
	{ HMT_WATCH, client_ioctl_watch },
	{ HMT_RANGE_ADD, range_ioctl_add },
	{ HMT_RANGE_DEL, range_ioctl_del },
	{ HMT_GET, range_ioctl_get },
	{ HMT_GET_WAIT, range_ioctl_get_wait },
	{ HMT_VALID, range_ioctl_valid },
	{ HMT_WAIT, range_ioctl_wait },
	{ HMT_EXTENT_DEVICE, range_ioctl_extent_device },
	{ HMT_EXTENTS, range_ioctl_extents },
	{ HMT_MMAP_READ_LOCK, hook_ioctl_mmap_read_lock },
	{ HMT_COMMIT, range_ioctl_commit },
	{ HMT_ACCESS, device_ioctl_access },
	{ HMT_DEVICE_PAGES, device_ioctl_pages },
	{ HMT_LOG, device_ioctl_log },
	{ HMT_STATS, client_ioctl_stats },
	{ HMT_VIEW, view_ioctl },
	{ HMT_DMA, dma_ioctl_map },
	{ HMT_HOOK_ARM, hook_ioctl_arm },
	{ HMT_HOOK_WAIT, hook_ioctl_wait },
	{ HMT_HOOK_RELEASE, hook_ioctl_release },
	{ HMT_HOLD_UPDATE_LOCK, hook_ioctl_hold_update_lock },
	{ HMT_HOLD_MMAP_WRITE, hook_ioctl_hold_mmap_write },
	{ HMT_HOLD_TASK, hook_ioctl_hold_task },
};

union call_arg {
	struct hmt_target target;
	struct hmt_register reg;
	struct hmt_va_span span;
	struct hmt_range range;
	struct hmt_get get;
	struct hmt_valid valid;
	struct hmt_wait wait;
	struct hmt_extent_device device;
	struct hmt_mode mode;
	struct hmt_commit commit;
	struct hmt_access access;
	struct hmt_device_pages pages;
	struct hmt_log log;
	struct hmt_stats stats;
	struct hmt_view view;
	struct hmt_dma dma;
	struct hmt_hook hook;
};

static long test_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	struct client *client = file->private_data;
	void __user *uarg = (void __user *)user;
	union call_arg arg = {};
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].cmd == cmd)
			break;
	}
	if (i == ARRAY_SIZE(calls))
		return -ENOTTY;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) &&
	    copy_from_user(&arg, uarg, _IOC_SIZE(cmd)))
		return -EFAULT;
	err = calls[i].fn(client, &arg);
	/* Also when the call failed: what it leaves is part of its promise. */
	if ((_IOC_DIR(cmd) & _IOC_READ) &&
	    copy_to_user(uarg, &arg, _IOC_SIZE(cmd)))
		return -EFAULT;
	return err;
}

static int client_alloc(struct client *client)
{
	client->log = kvcalloc(LOG_NR_EVENTS, sizeof(*client->log), GFP_KERNEL);
	if (!client->log)
		return -ENOMEM;
	client->wq = alloc_workqueue("hmm_mirror_test", WQ_UNBOUND, 1);
	if (!client->wq) {
		kvfree(client->log);
		return -ENOMEM;
	}
	return 0;
}

static int test_open(struct inode *inode, struct file *file)
{
	struct client *client = kvzalloc(sizeof(*client), GFP_KERNEL);

	if (!client)
		return -ENOMEM;
	if (client_alloc(client)) {
		kvfree(client);
		return -ENOMEM;
	}
	init_rwsem(&client->gate);
	mutex_init(&client->commit_lock);
	mutex_init(&client->update_lock);
	mutex_init(&client->pages_lock);
	xa_init(&client->device);
	xa_init(&client->ranges);
	spin_lock_init(&client->log_lock);
	hooks_init(client);
	client->target = current->mm;
	mmgrab(client->target);	/* pairs with mmdrop() in test_release() */
	file->private_data = client;
	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	struct client *client = file->private_data;

	hooks_close(client);
	/* Jobs that are queued still run: they need the mirror. */
	destroy_workqueue(client->wq);
	client_ioctl_unregister(client, NULL);
	ranges_remove(client);
	device_clear(client);
	WARN_ON(!xa_empty(&client->device));
	xa_destroy(&client->device);
	xa_destroy(&client->ranges);
	map_free(client);
	mmdrop(client->target);
	kvfree(client->log);
	kvfree(client);
	return 0;
}

static int test_mmap(struct file *file, struct vm_area_struct *vma)
{
	return map_mmap(file->private_data, vma);
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.unlocked_ioctl = test_ioctl,
	.mmap = test_mmap,
};

static struct miscdevice test_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hmm_mirror_test",
	.fops = &test_fops,
	.mode = 0600,
};

static int __init test_init(void)
{
	int err;

	err = dma_init();
	if (err)
		return err;
	err = misc_register(&test_device);
	if (err)
		dma_exit();
	return err;
}

static void __exit test_exit(void)
{
	misc_deregister(&test_device);
	dma_exit();
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("Tests of the HMM mirror");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(HMM_MIRROR);
