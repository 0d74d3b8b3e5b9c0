// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes: one object for each mm and thread group that has opened /dev/kfd.
 *
 * As upstream, a process lives as long as its mm, however often the file is closed
 * and opened again in between: the mm holds a reference. It ends in two steps,
 * which can be far apart when somebody else, such as a child of a fork, keeps the
 * file open:
 *
 *  1. The mm goes: exit_mmap() or an exec. The core's release callback stops all
 *     access to its memory at once; a work then frees queues and memory objects
 *     and drops the mm's reference.
 *  2. The last reference goes: what is left goes, and with it the object.
 *
 * The module stays loaded until then. A child that shares the mm (vfork, CLONE_VM)
 * is a process of its own, as its calls on the other's file are refused.
 */
#include "vamdgpu.h"

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "kfd/bo.h"
#include "kfd/front.h"

static LIST_HEAD(vamdgpu_processes);
static DEFINE_MUTEX(vamdgpu_processes_lock);
static struct workqueue_struct *vamdgpu_exit_wq;
static u32 vamdgpu_last_pasid;

/*
 * Everything that can reach memory, queues first. Idempotent: runs when the mm
 * goes and when the last reference goes.
 */
static void vamdgpu_process_free_memory(struct vamdgpu_process *p)
{
	unsigned int i;

	mutex_lock(&p->lock);
	p->dead = true;
	vamdgpu_queue_destroy_all(p);
	mutex_unlock(&p->lock);

	/* No queue is left to report a fault; one may still be in service. */
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++)
		if (p->pdds[i])
			cancel_delayed_work_sync(&p->pdds[i]->fault_work);

	mutex_lock(&p->lock);
	vamdgpu_event_page_release(p);
	vamdgpu_bo_free_all(p);
	mutex_unlock(&p->lock);
}

static void vamdgpu_process_exit_work(struct work_struct *work)
{
	struct vamdgpu_process *p =
		container_of(work, struct vamdgpu_process, exit_work);

	vamdgpu_process_free_memory(p);
	vamdgpu_process_put(p);
}

/*
 * The mm dies. No ioctl is under way, as each would hold the mm; the lock is
 * contended only by step 2 above, which never waits for this callback with the
 * lock held.
 */
static void vamdgpu_process_mm_release(void *client)
{
	struct vamdgpu_process *p = client;

	mutex_lock(&p->lock);
	if (!p->dead) {
		p->dead = true;
		vamdgpu_queue_kill_all(p);
	}
	mutex_unlock(&p->lock);

	mutex_lock(&vamdgpu_processes_lock);
	if (p->held_by_mm) {
		p->held_by_mm = false;
		queue_work(vamdgpu_exit_wq, &p->exit_work);
	}
	mutex_unlock(&vamdgpu_processes_lock);
}

static const struct kfd_svm_client_ops vamdgpu_client_ops = {
	.release = vamdgpu_process_mm_release,
	.event = vamdgpu_smi_event,
};

static void vamdgpu_pdd_destroy(struct vamdgpu_pdd *pdd)
{
	vamdgpu_pdd_hw_fini(pdd);
	if (pdd->drm_file) {
		vamdgpu_drm_file_release(pdd->drm_file, pdd);
		fput(pdd->drm_file);
	}
	idr_destroy(&pdd->bos);
	__free_page(pdd->mmio_page);
	vamdgpu_device_put(pdd->dev);
	kfree(pdd);
}

/* Takes over the reference to @dev, also if it fails. */
static struct vamdgpu_pdd *vamdgpu_pdd_create(struct vamdgpu_process *p,
					      struct vamdgpu_device *dev)
{
	struct vamdgpu_pdd *pdd;
	int err = -ENOMEM;

	pdd = kzalloc(sizeof(*pdd), GFP_KERNEL_ACCOUNT);
	if (!pdd)
		goto err_dev;
	pdd->process = p;
	pdd->dev = dev;
	idr_init_base(&pdd->bos, 1);
	spin_lock_init(&pdd->va_lock);
	pdd->va_tree = RB_ROOT_CACHED;
	pdd->mmio_page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!pdd->mmio_page)
		goto err_free;
	err = vamdgpu_pdd_hw_init(pdd);
	if (err)
		goto err_page;
	return pdd;

err_page:
	__free_page(pdd->mmio_page);
err_free:
	kfree(pdd);
err_dev:
	vamdgpu_device_put(dev);
	return ERR_PTR(err);
}

static void vamdgpu_process_destroy(struct vamdgpu_process *p)
{
	unsigned int i;

	vamdgpu_process_free_memory(p);
	/*
	 * Without our lock: this waits for a release callback, which takes it.
	 * The address spaces the core has bound go only afterwards.
	 */
	if (p->svm)
		kfd_svm_destroy(p->svm);
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++)
		if (p->pdds[i])
			vamdgpu_pdd_destroy(p->pdds[i]);
	vamdgpu_event_process_fini(p);
	if (p->doorbell_inode)
		vamdgpu_doorbell_process_fini(p);
	idr_destroy(&p->queues);
	put_cred(p->cred);
	put_pid(p->leader);
	mmdrop(p->mm);	/* pairs with mmgrab() in vamdgpu_process_create() */
	mutex_destroy(&p->lock);
	kfree(p);
}

static int vamdgpu_process_add_gpus(struct vamdgpu_process *p)
{
	struct vamdgpu_device *dev;
	struct vamdgpu_pdd *pdd;
	unsigned int i;
	int err, idx;

	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		dev = vamdgpu_device_get(i);
		if (!dev)
			continue;
		pdd = vamdgpu_pdd_create(p, dev);
		if (IS_ERR(pdd))
			return PTR_ERR(pdd);
		err = -ENODEV;
		if (drm_dev_enter(&dev->drm, &idx)) {
			err = kfd_svm_attach_gpu(p->svm, dev->svm_gpu,
						 dev->gpu_id);
			drm_dev_exit(idx);
		}
		if (!err) {
			p->pdds[i] = pdd;
			continue;
		}
		vamdgpu_pdd_destroy(pdd);
		/* It has gone just now: as if it had never been there. */
		if (err != -ENODEV)
			return err;
	}
	return 0;
}

static struct vamdgpu_process *vamdgpu_process_create(void)
{
	struct vamdgpu_process *p;
	struct kfd_svm *svm;
	int err;

	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		return ERR_PTR(-ENOMEM);
	kref_init(&p->ref);
	INIT_LIST_HEAD(&p->link);
	mutex_init(&p->lock);
	idr_init(&p->queues);
	INIT_WORK(&p->exit_work, vamdgpu_process_exit_work);
	vamdgpu_event_process_init(p);
	p->leader = get_pid(task_tgid(current));
	p->cred = get_current_cred();
	p->tgid = task_tgid_nr(current);
	p->mm = current->mm;
	mmgrab(p->mm);

	err = vamdgpu_doorbell_process_init(p);
	if (err)
		goto err_destroy;
	svm = kfd_svm_create(p->mm, p->tgid, !vamdgpu_noretry,
			     &vamdgpu_client_ops, p);
	if (IS_ERR(svm)) {
		err = PTR_ERR(svm);
		goto err_destroy;
	}
	p->svm = svm;
	err = vamdgpu_process_add_gpus(p);
	if (err)
		goto err_destroy;
	return p;

err_destroy:
	vamdgpu_process_destroy(p);
	return ERR_PTR(err);
}

struct vamdgpu_pdd *vamdgpu_pdd_by_id(struct vamdgpu_process *p, u32 gpu_id)
{
	unsigned int i;

	for (i = 0; i < VAMDGPU_MAX_GPUS; i++)
		if (p->pdds[i] && p->pdds[i]->dev->gpu_id == gpu_id)
			return p->pdds[i];
	return NULL;
}

struct vamdgpu_pdd *vamdgpu_pdd_find(struct vamdgpu_process *p, u32 gpu_id)
{
	struct vamdgpu_pdd *pdd = vamdgpu_pdd_by_id(p, gpu_id);

	if (!pdd)
		return ERR_PTR(-EINVAL);
	return READ_ONCE(pdd->gone) ? ERR_PTR(-ENODEV) : pdd;
}

/* Engines first: who is told, or sees a call fail, finds them stopped. */
static void vamdgpu_process_lose(struct vamdgpu_process *p,
				 struct vamdgpu_pdd *pdd)
{
	mutex_lock(&p->lock);
	if (pdd->gone) {
		mutex_unlock(&p->lock);
		return;
	}
	gfx9_vm_kill(pdd->vm);
	WRITE_ONCE(pdd->gone, true);
	vamdgpu_bo_lose(pdd);
	mutex_unlock(&p->lock);
	vamdgpu_event_gpu_lost(p, pdd->dev->gpu_id);
}

/*
 *   here                                 vamdgpu_process_open()
 *     drm_dev_unplug()
 *     processes_lock                       processes_lock
 *       each process: lose it                a GPU unplugged? lose it
 *                                            into the list
 */
void vamdgpu_processes_lose(struct vamdgpu_device *dev)
{
	struct vamdgpu_process *p, *last = NULL;
	struct vamdgpu_pdd *pdd;

	mutex_lock(&vamdgpu_processes_lock);
	list_for_each_entry(p, &vamdgpu_processes, link) {
		pdd = p->pdds[dev->index];
		if (!pdd || pdd->dev != dev || !kref_get_unless_zero(&p->ref))
			continue;
		/* Nobody else shall wait for what this one waits for. */
		mutex_unlock(&vamdgpu_processes_lock);
		if (last)
			vamdgpu_process_put(last);
		last = p;	/* keeps its place in the list */
		vamdgpu_process_lose(p, pdd);
		mutex_lock(&vamdgpu_processes_lock);
	}
	mutex_unlock(&vamdgpu_processes_lock);
	if (last)
		vamdgpu_process_put(last);
}

static void vamdgpu_process_lose_unplugged(struct vamdgpu_process *p)
{
	unsigned int i;

	lockdep_assert_held(&vamdgpu_processes_lock);
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++)
		if (p->pdds[i] && drm_dev_is_unplugged(&p->pdds[i]->dev->drm))
			vamdgpu_process_lose(p, p->pdds[i]);
}

static struct vamdgpu_process *vamdgpu_process_find_locked(struct mm_struct *mm)
{
	struct vamdgpu_process *p;

	lockdep_assert_held(&vamdgpu_processes_lock);
	list_for_each_entry(p, &vamdgpu_processes, link)
		if (p->mm == mm && p->leader == task_tgid(current) &&
		    kref_get_unless_zero(&p->ref))
			return p;
	return NULL;
}

static int vamdgpu_process_insert_locked(struct vamdgpu_process *p)
{
	struct vamdgpu_process *other;
	int err;

	lockdep_assert_held(&vamdgpu_processes_lock);
	/*
	 * The name in sysfs is free again as soon as its owner has gone on to
	 * another mm, or is gone, even if its object is still referenced.
	 */
	list_for_each_entry(other, &vamdgpu_processes, link)
		if (other->tgid == p->tgid)
			vamdgpu_sysfs_proc_remove(other);
	p->pasid = ++vamdgpu_last_pasid;
	err = vamdgpu_sysfs_proc_add(p);
	if (!err) {
		vamdgpu_process_lose_unplugged(p);
		list_add(&p->link, &vamdgpu_processes);
		p->held_by_mm = true;
		kref_get(&p->ref);
	}
	return err;
}

/* The process of the caller, with a reference; made if there is none. */
struct vamdgpu_process *vamdgpu_process_open(void)
{
	struct vamdgpu_process *p, *new;
	int err = 0;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	mutex_lock(&vamdgpu_processes_lock);
	p = vamdgpu_process_find_locked(current->mm);
	mutex_unlock(&vamdgpu_processes_lock);
	if (p)
		return p;

	/*
	 * Made without the lock, as it waits for the caller's mmap_lock: nobody
	 * else shall wait for that. Of two threads that race here one wins.
	 */
	new = vamdgpu_process_create();
	if (IS_ERR(new))
		return new;
	mutex_lock(&vamdgpu_processes_lock);
	p = vamdgpu_process_find_locked(current->mm);
	if (!p)
		err = vamdgpu_process_insert_locked(new);
	mutex_unlock(&vamdgpu_processes_lock);
	if (!p && !err)
		return new;
	vamdgpu_process_put(new);
	return p ?: ERR_PTR(err);
}

/*
 * Is the caller the process that opened the file? Its mm tells a fork's child,
 * a receiver of the file and the same process after an exec; its thread group
 * tells a child that shares the mm.
 */
bool vamdgpu_process_is_current(struct vamdgpu_process *p)
{
	return current->mm == p->mm && task_tgid(current) == p->leader;
}

void vamdgpu_process_get(struct vamdgpu_process *p)
{
	kref_get(&p->ref);
}

static void vamdgpu_process_release(struct kref *ref)
{
	struct vamdgpu_process *p =
		container_of(ref, struct vamdgpu_process, ref);

	mutex_lock(&vamdgpu_processes_lock);
	list_del_init(&p->link);
	vamdgpu_sysfs_proc_remove(p);
	mutex_unlock(&vamdgpu_processes_lock);
	vamdgpu_process_destroy(p);
}

void vamdgpu_process_put(struct vamdgpu_process *p)
{
	kref_put(&p->ref, vamdgpu_process_release);
}

int vamdgpu_process_module_init(void)
{
	vamdgpu_exit_wq = alloc_workqueue("vamdgpu_exit", WQ_UNBOUND, 0);
	return vamdgpu_exit_wq ? 0 : -ENOMEM;
}

/*
 * No process is left: each holds the module through the core until its
 * kfd_svm_destroy(). The work that did that may not have returned yet.
 */
void vamdgpu_process_module_exit(void)
{
	destroy_workqueue(vamdgpu_exit_wq);
}
