// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system management interface: a file descriptor on which tools read, line by line,
 * what happens to memory shared with a GPU (SMI_EVENTS). Messages are in smi_queue.h.
 *
 * Events are told from anywhere, with page locks and the core's locks held: telling takes
 * spinlocks of this file only, waits for nothing and allocates nothing. A client is told
 * about its own process; about others if it was privileged when it opened and asked for
 * that. Its own process is that thread group, not whoever has its number later; also after
 * execve(), so that a parent can listen to a program it starts, but not if that is allowed
 * more than who opened was.
 *
 * An open descriptor holds the module, and no process.
 */
#include "vamdgpu.h"

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <uapi/linux/kfd_ioctl.h>

#include <drm/drm_drv.h>

#include "kfd/front.h"
#include "kfd/smi_queue.h"

/**
 * struct vamdgpu_smi_client - an open descriptor
 * @link: in vamdgpu_smi_node.clients
 * @rcu: it is freed when nobody tells it any more
 * @node: the GPU it is of
 * @leader: thread group that opened it (referenced)
 * @mm: the mm it had then (grabbed)
 * @cred: what the opener was allowed (referenced; freed after a grace period)
 * @privileged: it may hear of all processes
 * @hung_up: the GPU is gone, and it is in no list any more; set under both locks
 * @lock: guards @queue
 * @wait: who polls
 * @queue: what it has not read
 */
struct vamdgpu_smi_client {
	struct list_head link;
	struct rcu_head rcu;
	struct vamdgpu_smi_node *node;
	struct pid *leader;
	struct mm_struct *mm;
	const struct cred *cred;
	bool privileged;
	bool hung_up;
	spinlock_t lock;	/* see above */
	wait_queue_head_t wait;
	struct vamdgpu_smi_queue queue;
};

/**
 * struct vamdgpu_smi_node - the clients of one GPU
 * @lock: for changes of @clients; innermost
 * @clients: read under RCU
 */
static struct vamdgpu_smi_node {
	spinlock_t lock;	/* see above */
	struct list_head clients;
} vamdgpu_smi_nodes[VAMDGPU_MAX_GPUS];

void vamdgpu_smi_module_init(void)
{
	struct vamdgpu_smi_node *node;
	unsigned int i;

	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		node = &vamdgpu_smi_nodes[i];
		spin_lock_init(&node->lock);
		INIT_LIST_HEAD(&node->clients);
	}
}

/* As ptrace has it, for who does not trace already. */
static bool vamdgpu_smi_may_watch(const struct cred *by, const struct cred *of)
{
	return by == of ||
	       (by->user_ns == of->user_ns && uid_eq(by->euid, of->uid) &&
		uid_eq(by->euid, of->euid) && uid_eq(by->euid, of->suid) &&
		gid_eq(by->egid, of->gid) && gid_eq(by->egid, of->egid) &&
		gid_eq(by->egid, of->sgid) &&
		cap_issubset(of->cap_permitted, by->cap_permitted));
}

static bool vamdgpu_smi_may_hear(const struct vamdgpu_smi_client *client,
				 const struct vamdgpu_process *p)
{
	if (client->leader == p->leader &&
	    (client->mm == p->mm || vamdgpu_smi_may_watch(client->cred, p->cred)))
		return true;
	return client->privileged && (client->queue.mask &
		VAMDGPU_SMI_BIT(VAMDGPU_SMI_ALL_PROCESSES));
}

static void vamdgpu_smi_tell(struct vamdgpu_device *dev,
			     const struct vamdgpu_process *p,
			     const struct vamdgpu_smi_message *msg)
{
	struct vamdgpu_smi_client *client;
	bool told;

	guard(rcu)();
	list_for_each_entry_rcu(client,
				&vamdgpu_smi_nodes[dev->index].clients, link) {
		scoped_guard(spinlock, &client->lock)
			told = vamdgpu_smi_may_hear(client, p) &&
			       vamdgpu_smi_queue_add(&client->queue, msg);
		if (told)
			wake_up_all(&client->wait);
	}
}

/* Does somebody listen at all? A client that comes now hears the next event. */
static bool vamdgpu_smi_is_silent(struct vamdgpu_device *dev)
{
	return !dev ||
	       list_empty(&vamdgpu_smi_nodes[dev->index].clients);
}

/* Of a GPU that goes the last moves are told, too. */
static struct vamdgpu_device *vamdgpu_smi_device(struct vamdgpu_process *p,
						 u32 gpu_id)
{
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_by_id(p, gpu_id);

	return pdd ? pdd->dev : NULL;
}

/* kfd_svm_client_ops.event. Pages that move are news on both GPUs. */
void vamdgpu_smi_event(void *client, const struct kfd_svm_event *event)
{
	struct vamdgpu_process *p = client;
	struct vamdgpu_device *dev, *other = NULL;
	struct vamdgpu_smi_message msg;

	switch (event->kind) {
	case KFD_SVM_EVENT_MIGRATE_START:
	case KFD_SVM_EVENT_MIGRATE_END:
		dev = vamdgpu_smi_device(p, event->to);
		if (event->from != event->to)
			other = vamdgpu_smi_device(p, event->from);
		break;
	default:
		dev = vamdgpu_smi_device(p, event->user_gpu_id);
		break;
	}
	if ((vamdgpu_smi_is_silent(dev) && vamdgpu_smi_is_silent(other)) ||
	    !vamdgpu_smi_format(&msg, event, ktime_get_boottime_ns(), p->tgid))
		return;
	if (dev)
		vamdgpu_smi_tell(dev, p, &msg);
	if (other)
		vamdgpu_smi_tell(other, p, &msg);
}

/* An access of @p's queues on @dev failed for good. */
void vamdgpu_smi_vmfault(struct vamdgpu_device *dev, struct vamdgpu_process *p)
{
	struct vamdgpu_smi_message msg;
	char name[TASK_COMM_LEN] = "";
	struct task_struct *task;

	BUILD_BUG_ON(VAMDGPU_SMI_NAME_LEN != TASK_COMM_LEN);
	if (vamdgpu_smi_is_silent(dev))
		return;
	scoped_guard(rcu) {
		task = pid_task(p->leader, PIDTYPE_TGID);
		if (task)
			get_task_comm(name, task);
	}
	if (vamdgpu_smi_format_vmfault(&msg, p->tgid, name))
		vamdgpu_smi_tell(dev, p, &msg);
}

static ssize_t vamdgpu_smi_read(struct file *file, char __user *user, size_t len,
				loff_t *pos)
{
	struct vamdgpu_smi_client *client = file->private_data;
	ssize_t n;
	char *buf;

	buf = kmalloc(VAMDGPU_SMI_QUEUE_LEN, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	len = min_t(size_t, len, VAMDGPU_SMI_QUEUE_LEN);
	scoped_guard(spinlock, &client->lock) {
		n = client->hung_up ? 0 : -EAGAIN;
		if (client->queue.len)
			n = vamdgpu_smi_queue_take(&client->queue, buf, len);
	}
	if (n > 0 && copy_to_user(user, buf, n))
		n = -EFAULT;
	kfree(buf);
	return n;
}

static ssize_t vamdgpu_smi_write(struct file *file, const char __user *user,
				 size_t len, loff_t *pos)
{
	struct vamdgpu_smi_client *client = file->private_data;
	u64 mask;

	if (len < sizeof(mask) || copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	scoped_guard(spinlock, &client->lock)
		vamdgpu_smi_queue_enable(&client->queue, mask);
	return sizeof(mask);
}

static __poll_t vamdgpu_smi_poll(struct file *file, struct poll_table_struct *pt)
{
	struct vamdgpu_smi_client *client = file->private_data;

	__poll_t events = 0;

	poll_wait(file, &client->wait, pt);
	guard(spinlock)(&client->lock);
	if (client->queue.len || client->hung_up)
		events |= EPOLLIN | EPOLLRDNORM;
	if (client->hung_up)
		events |= EPOLLHUP;
	return events;
}

/* It may still be told something; nobody will read that. */
static void vamdgpu_smi_destroy(struct vamdgpu_smi_client *client)
{
	scoped_guard(spinlock, &client->node->lock)
		if (!client->hung_up)
			list_del_rcu(&client->link);
	put_pid(client->leader);
	mmdrop(client->mm);
	put_cred(client->cred);
	kfree_rcu(client, rcu);
}

static int vamdgpu_smi_release(struct inode *inode, struct file *file)
{
	vamdgpu_smi_destroy(file->private_data);
	return 0;
}

static const struct file_operations vamdgpu_smi_fops = {
	.owner = THIS_MODULE,
	.read = vamdgpu_smi_read,
	.write = vamdgpu_smi_write,
	.poll = vamdgpu_smi_poll,
	.release = vamdgpu_smi_release,
	.llseek = noop_llseek,
};

/* What is queued can still be read; then comes the end of the file. */
void vamdgpu_smi_hang_up(struct vamdgpu_device *dev)
{
	struct vamdgpu_smi_node *node = &vamdgpu_smi_nodes[dev->index];
	struct vamdgpu_smi_client *client, *tmp;

	guard(spinlock)(&node->lock);
	list_for_each_entry_safe(client, tmp, &node->clients, link) {
		list_del_rcu(&client->link);
		scoped_guard(spinlock, &client->lock)
			client->hung_up = true;
		wake_up_all(&client->wait);
	}
}

/* Each event costs time for each client, so nobody can have any number of them. */
static int vamdgpu_smi_add(struct vamdgpu_device *dev,
			   struct vamdgpu_smi_client *client)
{
	struct vamdgpu_smi_client *other;
	unsigned int n = 0;

	guard(spinlock)(&client->node->lock);
	/* Hanging up comes after this is set, and takes the lock. */
	if (drm_dev_is_unplugged(&dev->drm))
		return -ENODEV;
	list_for_each_entry(other, &client->node->clients, link)
		n += other->leader == client->leader;
	if (n >= VAMDGPU_MAX_SMI_CLIENTS)
		return -EMFILE;
	list_add_tail_rcu(&client->link, &client->node->clients);
	return 0;
}

static struct vamdgpu_smi_client *vamdgpu_smi_create(struct vamdgpu_device *dev,
						     struct vamdgpu_process *p)
{
	struct vamdgpu_smi_client *client;
	int err;

	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return ERR_PTR(-ENOMEM);
	client->node = &vamdgpu_smi_nodes[dev->index];
	client->leader = get_pid(p->leader);
	client->mm = p->mm;
	mmgrab(client->mm);
	client->cred = get_current_cred();
	client->privileged = capable(CAP_SYS_ADMIN);
	spin_lock_init(&client->lock);
	init_waitqueue_head(&client->wait);
	err = vamdgpu_smi_add(dev, client);
	if (err) {
		put_pid(client->leader);
		mmdrop(client->mm);
		put_cred(client->cred);
		kfree(client);
		return ERR_PTR(err);
	}
	return client;
}

int vamdgpu_ioctl_smi_events(struct vamdgpu_process *p, void *data,
			     size_t user_len)
{
	struct kfd_ioctl_smi_events_args *args = data;
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_find(p, args->gpuid);
	struct vamdgpu_smi_client *client;
	int fd;

	if (IS_ERR(pdd))
		return PTR_ERR(pdd);
	client = vamdgpu_smi_create(pdd->dev, p);
	if (IS_ERR(client))
		return PTR_ERR(client);
	fd = anon_inode_getfd("kfd_smi_ev", &vamdgpu_smi_fops, client, O_RDWR);
	if (fd < 0) {
		vamdgpu_smi_destroy(client);
		return fd;
	}
	args->anon_fd = fd;
	return 0;
}
