// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stress of the mirror: a client whose device is a table, and that doubts every extent.
 *
 *   user space                      this module
 *   ----------                      -----------
 *   mutator threads change          walkers, one in the caller's task and one on a
 *   the arena                       foreign mm, commit extents to the shadow table;
 *                                   check.c compares at commit time and at random
 *                                   times, under the update lock
 *
 * Lock order: walk_lock -> mmap_lock -> update_lock.
 */
#include "stress.h"

#include <linux/fs.h>
#include <linux/kfdsvm_compat.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* A file before and after HMS_IOC_START. */
struct hms_file {
	struct mutex lock;	/* guards @hms becoming non-NULL */
	struct hms *hms;
};

static struct hms *to_hms(struct hmm_mirror *mirror)
{
	return container_of(mirror, struct hms, mirror);
}

static void hms_invalidate(struct hmm_mirror *mirror, const struct hmm_mirror_event *event)
{
	struct hms *hms = to_hms(mirror);
	struct hms_walker *walker;
	unsigned int i;

	hms_shadow_clear(hms, event->start_va, event->end_va);
	if (event->start_va < hms->cfg.va + hms->cfg.len && event->end_va > hms->cfg.va)
		hms->events++;
	for (i = 0; i < HMS_WALKER_NR; i++) {
		walker = &hms->walkers[i];
		/* Pairs with READ_ONCE() in walk_piece(). */
		if (event->start_va <= walker->last_va && event->end_va > walker->first_va)
			WRITE_ONCE(walker->nr_events, walker->nr_events + 1);
	}
	wake_up_all(&hms->event_wait);
}

static const struct hmm_mirror_ops hms_ops = {
	.invalidate = hms_invalidate,
};

static int worker_main(void *data)
{
	struct hms_walker *walker = data;
	int err = 0;

	while (!kthread_should_stop()) {
		if (!err)
			err = hms_walk(walker);
		/* The mm has died: wait for the file to be closed. */
		if (err)
			schedule_timeout_interruptible(HZ / 10);
		cond_resched();
	}
	return 0;
}

static int check_start(const struct hms_start *cfg)
{
	u64 npages = cfg->len >> PAGE_SHIFT;

	if (!PAGE_ALIGNED(cfg->va) || !PAGE_ALIGNED(cfg->len) || !npages ||
	    npages > HMS_MAX_NPAGES || cfg->va + cfg->len < cfg->va)
		return -EINVAL;
	if (!cfg->min_npages || cfg->min_npages > cfg->max_npages ||
	    cfg->max_npages > npages)
		return -EINVAL;
	if ((cfg->flags & ~HMS_FLAGS) || cfg->reserved || cfg->fault_percent > 100 ||
	    cfg->linger_us > 1000)
		return -EINVAL;
	return 0;
}

static void hms_free(struct hms *hms)
{
	kvfree(hms->shadow);
	mutex_destroy(&hms->walk_lock);
	mutex_destroy(&hms->update_lock);
	kvfree(hms);
}

static struct hms *hms_alloc(const struct hms_start *cfg)
{
	struct hms *hms = kvzalloc(sizeof(*hms), GFP_KERNEL);
	unsigned int i;

	if (!hms)
		return NULL;
	hms->cfg = *cfg;
	hms->npages = cfg->len >> PAGE_SHIFT;
	mutex_init(&hms->update_lock);
	mutex_init(&hms->walk_lock);
	init_waitqueue_head(&hms->event_wait);
	for (i = 0; i < HMS_WALKER_NR; i++) {
		hms->walkers[i].hms = hms;
		hms->walkers[i].kind = i;
		hms->walkers[i].seed = (u64)cfg->seed << 8 | i;
	}
	hms->shadow = kvcalloc(hms->npages, sizeof(*hms->shadow), GFP_KERNEL);
	if (!hms->shadow) {
		hms_free(hms);
		return NULL;
	}
	return hms;
}

static void hms_stop(struct hms *hms)
{
	unsigned int i;

	if (hms->task)
		kthread_stop(hms->task);
	for (i = 0; i < HMS_WALKER_NR; i++)
		hms_walker_fini(&hms->walkers[i]);
	hmm_mirror_unregister(&hms->mirror);
	hms_free(hms);
}

static int start_worker(struct hms *hms)
{
	struct task_struct *task;

	if (hms->cfg.flags & HMS_NO_WORKER)
		return 0;
	task = kthread_run(worker_main, &hms->walkers[HMS_WALKER_WORKER], "hms_worker");
	if (IS_ERR(task))
		return PTR_ERR(task);
	hms->task = task;
	return 0;
}

static int ioc_start(struct hms_file *file, void __user *arg)
{
	struct hms_start cfg;
	struct hms *hms;
	int err;

	if (copy_from_user(&cfg, arg, sizeof(cfg)))
		return -EFAULT;
	err = check_start(&cfg);
	if (err)
		return err;
	hms = hms_alloc(&cfg);
	if (!hms)
		return -ENOMEM;
	err = hmm_mirror_register(&hms->mirror, current->mm, &hms->update_lock, &hms_ops);
	if (err) {
		hms_free(hms);
		return err;
	}
	err = start_worker(hms);
	if (err) {
		hms_stop(hms);
		return err;
	}

	mutex_lock(&file->lock);
	if (file->hms)
		err = -EBUSY;
	else
		file->hms = hms;
	mutex_unlock(&file->lock);
	if (err)
		hms_stop(hms);
	return err;
}

static int ioc_walk(struct hms *hms, void __user *arg)
{
	unsigned long deadline;
	u32 time_ms;
	int err = 0;

	if (copy_from_user(&time_ms, arg, sizeof(time_ms)))
		return -EFAULT;
	if (current->mm != hms->mirror.mm)
		return -EPERM;
	if (!mutex_trylock(&hms->walk_lock))
		return -EBUSY;
	deadline = jiffies + msecs_to_jiffies(time_ms);
	do {
		err = hms_walk(&hms->walkers[HMS_WALKER_CALLER]);
		if (!err && signal_pending(current))
			err = -EINTR;
		cond_resched();
	} while (!err && time_before(jiffies, deadline));
	mutex_unlock(&hms->walk_lock);
	return err;
}

static int ioc_stats(struct hms *hms, void __user *arg)
{
	struct hms_stats *stats = kzalloc(sizeof(*stats), GFP_KERNEL);
	unsigned int i;
	int err = 0;

	if (!stats)
		return -ENOMEM;
	mutex_lock(&hms->update_lock);
	for (i = 0; i < HMS_WALKER_NR; i++)
		stats->counts[i] = hms->walkers[i].counts;
	stats->events = hms->events;
	memcpy(stats->bad, hms->bad, sizeof(stats->bad));
	stats->nr_bad = hms->nr_bad;
	stats->error = -READ_ONCE(hms->error);
	mutex_unlock(&hms->update_lock);
	if (copy_to_user(arg, stats, sizeof(*stats)))
		err = -EFAULT;
	kfree(stats);
	return err;
}

static int ioc_probe(void __user *arg)
{
	struct hms_probe probe;
	int err;

	if (copy_from_user(&probe, arg, sizeof(probe)))
		return -EFAULT;
	err = hms_probe(&probe);
	if (!err && copy_to_user(arg, &probe, sizeof(probe)))
		err = -EFAULT;
	return err;
}

static long hms_ioctl(struct file *filp, unsigned int cmd, unsigned long data)
{
	struct hms_file *file = filp->private_data;
	void __user *arg = (void __user *)data;
	struct hms *hms;

	if (cmd == HMS_IOC_START)
		return ioc_start(file, arg);
	if (cmd == HMS_IOC_PROBE)
		return ioc_probe(arg);

	mutex_lock(&file->lock);
	hms = file->hms;
	mutex_unlock(&file->lock);
	if (!hms)
		return -ENODEV;
	/* Once set, it stays until the file is closed. */
	switch (cmd) {
	case HMS_IOC_WALK:
		return ioc_walk(hms, arg);
	case HMS_IOC_STATS:
		return ioc_stats(hms, arg);
	default:
		return -ENOTTY;
	}
}

static int hms_open(struct inode *inode, struct file *filp)
{
	struct hms_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	filp->private_data = file;
	return 0;
}

static int hms_release(struct inode *inode, struct file *filp)
{
	struct hms_file *file = filp->private_data;

	if (file->hms)
		hms_stop(file->hms);
	mutex_destroy(&file->lock);
	kfree(file);
	return 0;
}

static const struct file_operations hms_fops = {
	.owner = THIS_MODULE,
	.open = hms_open,
	.release = hms_release,
	.unlocked_ioctl = hms_ioctl,
};

static struct miscdevice hms_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hmm_mirror_stress",
	.fops = &hms_fops,
	.mode = 0600,
};

module_misc_device(hms_device);

MODULE_DESCRIPTION("Stress of hmm_mirror, checked by a second walker");
MODULE_IMPORT_NS(HMM_MIRROR);
MODULE_LICENSE("GPL");
