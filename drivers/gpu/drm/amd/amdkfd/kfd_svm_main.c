// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SVM core: GPUs, processes, module.
 *
 * A GPU lives from register to unregister, a process from create to destroy;
 * attaching holds the GPU and its backend's module. A process's set of GPUs is
 * fixed before its first range, so that blocks can be arrays by GPU index.
 */
#include "kfd_svm_priv.h"

#include <linux/dev_printk.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kfd_svm_trace.h"

/* How often binding a vm fights for memory that the CPU changes meanwhile. */
#define BIND_TRIES	10

struct workqueue_struct *kfd_svm_wq;

static unsigned int default_granularity = KFD_SVM_DEFAULT_GRANULARITY;
module_param(default_granularity, uint, 0644);
MODULE_PARM_DESC(default_granularity,
		 "Pages a GPU fault on unregistered memory brings, log2 (default 9, at most 27)");

#ifdef CONFIG_KFDSVM_DEBUG
bool kfd_svm_break_zap;
module_param_named(break_zap, kfd_svm_break_zap, bool, 0600);
MODULE_PARM_DESC(break_zap, "Leave page-table entries where they are (test only)");
bool kfd_svm_break_flush;
module_param_named(break_flush, kfd_svm_break_flush, bool, 0600);
MODULE_PARM_DESC(break_flush, "Never flush TLBs (test only)");
bool kfd_svm_break_cow;
module_param_named(break_cow, kfd_svm_break_cow, bool, 0600);
MODULE_PARM_DESC(break_cow, "Map pages writable that the CPU may not write (test only)");
bool kfd_svm_break_spare;
module_param_named(break_spare, kfd_svm_break_spare, bool, 0600);
MODULE_PARM_DESC(break_spare, "Ask to write the whole window of a write (test only)");
bool kfd_svm_break_join;
module_param_named(break_join, kfd_svm_break_join, bool, 0600);
MODULE_PARM_DESC(break_join, "Serve each fault alone (test only)");
bool kfd_svm_break_charge;
module_param_named(break_charge, kfd_svm_break_charge, bool, 0600);
MODULE_PARM_DESC(break_charge, "Charge nobody for what workers allocate (test only)");
bool kfd_svm_break_prefetch_sticky;
module_param_named(break_prefetch_sticky, kfd_svm_break_prefetch_sticky, bool, 0600);
MODULE_PARM_DESC(break_prefetch_sticky, "Prefetch again with each SET (test only)");
bool kfd_svm_break_fork_cow;
module_param_named(break_fork_cow, kfd_svm_break_fork_cow, bool, 0600);
MODULE_PARM_DESC(break_fork_cow, "Map all private device memory writable (test only)");
bool kfd_svm_break_no_access_first;
module_param_named(break_no_access_first, kfd_svm_break_no_access_first, bool, 0600);
MODULE_PARM_DESC(break_no_access_first, "Look at the location before the access (test only)");
bool kfd_svm_break_thrash;
module_param_named(break_thrash, kfd_svm_break_thrash, bool, 0600);
MODULE_PARM_DESC(break_thrash, "Never hold memory that moves to and fro (test only)");
bool kfd_svm_break_window;
module_param_named(break_window, kfd_svm_break_window, bool, 0600);
MODULE_PARM_DESC(break_window, "A fault brings the whole attribute range (test only)");
bool kfd_svm_break_hive;
module_param_named(break_hive, kfd_svm_break_hive, bool, 0600);
MODULE_PARM_DESC(break_hive, "Take all GPUs to be of one hive (test only)");
bool kfd_svm_break_smi_end;
module_param_named(break_smi_end, kfd_svm_break_smi_end, bool, 0600);
MODULE_PARM_DESC(break_smi_end, "Do not tell the end of moves of nothing (test only)");
unsigned int kfd_svm_commit_delay_us;
module_param_named(commit_delay_us, kfd_svm_commit_delay_us, uint, 0600);
MODULE_PARM_DESC(commit_delay_us, "Sleep between fault and commit: widens a race (test only)");
#endif

/**
 * kfd_svm_gpu_register - make a GPU known to the core
 * @desc: what it is; copied. @desc->ops and @desc->dma_dev must stay until
 *	kfd_svm_gpu_unregister().
 *
 * Memory can migrate to it if it has VRAM and the kernel can do that; if not, this
 * succeeds all the same: see kfd_svm_gpu_vram_mode(). The vram ops can be called from
 * here on.
 *
 * Context: may sleep.
 * Return: the GPU, or ERR_PTR: -EINVAL (gpu_id is 0 or an op is missing);
 * -EOPNOTSUPP: the device cannot reach all memory directly and coherently; -ENOMEM.
 */
struct kfd_svm_gpu *kfd_svm_gpu_register(const struct kfd_svm_gpu_desc *desc)
{
	const struct kfd_svm_gpu_ops *ops = desc->ops;
	struct kfd_svm_gpu *gpu;

	if (!desc->gpu_id || desc->gpu_id == KFD_SVM_LOC_UNDEFINED ||
	    !desc->dma_dev || !ops || !ops->pt_reserve || !ops->pt_map ||
	    !ops->pt_unmap || !ops->tlb_flush || !ops->quiesce ||
	    !ops->resume || !ops->va_busy)
		return ERR_PTR(-EINVAL);
	/* Now, and not when a program has set up all and touches some page. */
	if (!hmm_mirror_device_usable(desc->dma_dev)) {
		dev_err(desc->dma_dev,
			"kfd_svm: DMA cannot reach all memory directly\n");
		return ERR_PTR(-EOPNOTSUPP);
	}
	gpu = kzalloc(sizeof(*gpu), GFP_KERNEL);
	if (!gpu)
		return ERR_PTR(-ENOMEM);
	gpu->desc = *desc;
	refcount_set(&gpu->users, 1);
	kfd_svm_vram_init(gpu);
	return gpu;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_gpu_register, KFD_SVM);

/* Index of a GPU of the process, or -EINVAL. */
int kfd_svm_gpu_index(struct kfd_svm *svm, u32 user_gpu_id)
{
	unsigned int i;

	for (i = 0; i < svm->nr_gpus; i++)
		if (svm->gpus[i].user_gpu_id == user_gpu_id)
			return i;
	return -EINVAL;
}

/* The vm on GPU @gpu, or NULL. It outlives @svm, also if the GPU goes. */
static void *kfd_svm_vm_of(struct kfd_svm *svm, unsigned int gpu)
{
	/* Pairs with the releases in kfd_svm_bind_vm() and lose_gpu(). */
	return smp_load_acquire(&svm->gpus[gpu].vm);
}

/* GPUs with a vm that can do SVM. */
u64 kfd_svm_bound_gpus(struct kfd_svm *svm)
{
	unsigned int i;
	u64 bound = 0;

	kfd_svm_for_each_gpu(i, svm, svm->capable)
		if (kfd_svm_vm_of(svm, i))
			bound |= BIT_ULL(i);
	return bound;
}

/* Does a memory object of any GPU take addresses of first..last? */
bool kfd_svm_is_va_busy(struct kfd_svm *svm, unsigned long first,
			unsigned long last)
{
	unsigned int i;
	void *vm;

	kfd_svm_for_each_gpu(i, svm, svm->capable) {
		struct kfd_svm_span span = {
			.first_va = (u64)first << PAGE_SHIFT,
			.last_va = (((u64)last + 1) << PAGE_SHIFT) - 1,
		};

		vm = kfd_svm_vm_of(svm, i);
		if (vm && svm->gpus[i].gpu->desc.ops->va_busy(vm, &span))
			return true;
	}
	return false;
}

/*
 * Until kfd_svm_charge_end() what is allocated with __GFP_ACCOUNT is charged to the
 * process, whoever's thread this is.
 */
void kfd_svm_charge_begin(struct kfd_svm *svm, struct kfd_svm_charge *charge)
{
	charge->memcg = kfd_svm_break_charge ? NULL :
					       get_mem_cgroup_from_mm(svm->mm);
	charge->old = set_active_memcg(charge->memcg);
}

void kfd_svm_charge_end(struct kfd_svm_charge *charge)
{
	set_active_memcg(charge->old);
	mem_cgroup_put(charge->memcg);
}

/* What a page nobody registered has. */
void kfd_svm_default_attr(struct kfd_svm *svm, struct kfd_svm_attr *attr)
{
	*attr = (struct kfd_svm_attr){
		.access = svm->xnack ? svm->capable : 0,
		.preferred = KFD_SVM_LOC_UNDEFINED,
		.prefetch = KFD_SVM_LOC_UNDEFINED,
		.flags = KFD_SVM_DEFAULT_FLAGS,
		.granularity = svm->granularity,
	};
}

/*
 * Apply @update to the attributes of first..last, all or nothing.
 * Return: 0 with KFD_SVM_CHANGED_* in *@changed; -ENOMEM; -ESRCH; -EADDRINUSE.
 *
 *   here                                  front end maps a memory object
 *     update_lock                           claims the span
 *     va_busy()? no: register               kfd_svm_range_registered()?
 *     update_unlock                           takes update_lock
 *
 * Each announces itself before it looks for the other, so not both succeed.
 */
int kfd_svm_commit_attr(struct kfd_svm *svm, unsigned long first,
			unsigned long last,
			const struct kfd_svm_attr_update *update,
			unsigned int *changed)
{
	struct kfd_svm_attr_pool pool = {};
	struct kfd_svm_attr defaults;
	unsigned long need, spare;
	int err = 0;

	lockdep_assert_held(&svm->op_lock);

	for (;;) {
		mutex_lock(&svm->update_lock);
		need = kfd_svm_attr_set_need(&svm->attrs, first, last);
		if (svm->dead)
			err = -ESRCH;
		else if (svm->attrs.nr + need > KFD_SVM_MAX_RANGES)
			err = -ENOMEM;
		else if (kfd_svm_is_va_busy(svm, first, last))
			err = -EADDRINUSE;
		if (err || pool.nr >= need)
			break;
		spare = KFD_SVM_ATTR_RESERVE - svm->attrs.reserve.nr;
		mutex_unlock(&svm->update_lock);
		/* An unmap may change the count meanwhile, hence the loop. */
		err = kfd_svm_attr_pool_fill(&pool, need + spare);
		if (err)
			goto out_drain;
	}
	if (!err) {
		kfd_svm_default_attr(svm, &defaults);
		*changed = kfd_svm_attr_set(&svm->attrs, first, last, &defaults,
					    update, &pool);
		kfd_svm_attr_pool_move(&svm->attrs.reserve, &pool,
				       KFD_SVM_ATTR_RESERVE);
	}
	mutex_unlock(&svm->update_lock);
out_drain:
	kfd_svm_attr_pool_drain(&pool);
	return err;
}

/* Work that invalidation leaves behind, since it may not allocate or free. */
static void housekeep_worker(struct work_struct *work)
{
	struct kfd_svm *svm = container_of(work, struct kfd_svm, housekeep_work);
	struct kfd_svm_attr_pool pool = {};
	struct kfd_svm_charge charge;
	int err;

	/*
	 * The reserve first, and without op_lock: unmaps use it up while somebody
	 * holds that for long. Failure is no harm: the next unmap asks again.
	 */
	kfd_svm_charge_begin(svm, &charge);
	err = kfd_svm_attr_pool_fill(&pool, KFD_SVM_ATTR_RESERVE);
	kfd_svm_charge_end(&charge);
	if (!err) {
		mutex_lock(&svm->update_lock);
		kfd_svm_attr_pool_move(&svm->attrs.reserve, &pool,
				       KFD_SVM_ATTR_RESERVE);
		mutex_unlock(&svm->update_lock);
	}
	kfd_svm_attr_pool_drain(&pool);

	mutex_lock(&svm->op_lock);
	kfd_svm_blocks_reap(svm);
	mutex_unlock(&svm->op_lock);
}

/* The mm dies: nothing of it may be reached once this returns. */
static void mirror_release(struct hmm_mirror *mirror)
{
	struct kfd_svm *svm = to_svm(mirror);

	mutex_lock(&svm->update_lock);
	WRITE_ONCE(svm->dead, true);
	mutex_unlock(&svm->update_lock);

	svm->client_ops->release(svm->client);

	mutex_lock(&svm->update_lock);
	kfd_svm_zap(svm, 0, ULONG_MAX, KFD_SVM_ALL_GPUS);
	mutex_unlock(&svm->update_lock);
}

static const struct hmm_mirror_ops mirror_ops = {
	.owner = &kfd_svm_vram_owner,
	.invalidate = kfd_svm_invalidate,
	.release = mirror_release,
};

static int alloc_buffers(struct kfd_svm *svm)
{
	svm->fault_exts = kvcalloc(KFD_SVM_BLOCK_PAGES, sizeof(*svm->fault_exts),
				   GFP_KERNEL_ACCOUNT);
	svm->new_exts = kvcalloc(KFD_SVM_BLOCK_PAGES, sizeof(*svm->new_exts),
				 GFP_KERNEL_ACCOUNT);
	svm->req_spans = kvcalloc(KFD_SVM_REQ_SPANS, sizeof(*svm->req_spans),
				  GFP_KERNEL_ACCOUNT);
	svm->account = kfd_svm_account_create(svm);
	return svm->fault_exts && svm->new_exts && svm->req_spans &&
	       svm->account ? 0 : -ENOMEM;
}

static void svm_free(struct kfd_svm *svm)
{
	if (svm->account)
		kfd_svm_account_detach(svm->account);
	kvfree(svm->spare_exts);
	kvfree(svm->req_spans);
	kvfree(svm->new_exts);
	kvfree(svm->fault_exts);
	mutex_destroy(&svm->update_lock);
	mutex_destroy(&svm->op_lock);
	kvfree(svm);
}

/**
 * kfd_svm_create - give a process shared virtual memory
 * @mm: its address space; the caller holds a user of it (mmget)
 * @tgid: names it in debugfs and traces
 * @xnack: GPU faults are replayed
 * @ops: callbacks into the front end
 * @client: their argument
 *
 * @ops->release() can be called before this returns, if the mm is dying.
 *
 * Context: may sleep; takes mmap_lock.
 * Return: the process, or ERR_PTR: -ENOMEM, or what hmm_mirror_register() says.
 */
struct kfd_svm *kfd_svm_create(struct mm_struct *mm, pid_t tgid, bool xnack,
			       const struct kfd_svm_client_ops *ops, void *client)
{
	struct kfd_svm *svm;
	int err;

	svm = kvzalloc(sizeof(*svm), GFP_KERNEL_ACCOUNT);
	if (!svm)
		return ERR_PTR(-ENOMEM);
	svm->mm = mm;
	svm->tgid = tgid;
	svm->xnack = xnack;
	svm->granularity = min(READ_ONCE(default_granularity),
			       KFD_SVM_MAX_DEFAULT_GRANULARITY);
	svm->client_ops = ops;
	svm->client = client;
	mutex_init(&svm->op_lock);
	mutex_init(&svm->update_lock);
	xa_init(&svm->blocks);
	INIT_LIST_HEAD(&svm->faults);
	INIT_LIST_HEAD(&svm->pending);
	INIT_DELAYED_WORK(&svm->restore_work, kfd_svm_restore_worker);
	INIT_WORK(&svm->housekeep_work, housekeep_worker);
	kfd_svm_attr_init(&svm->attrs);

	err = alloc_buffers(svm);
	if (err)
		goto err_free;
	err = hmm_mirror_register(&svm->mirror, mm, &svm->update_lock,
				  &mirror_ops);
	if (err)
		goto err_free;
	kfd_svm_process_add(svm);
	kfd_svm_debugfs_add(svm);
	return svm;

err_free:
	svm_free(svm);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_create, KFD_SVM);

/**
 * kfd_svm_destroy - a process has no shared virtual memory any more
 * @svm: the process; freed
 *
 * Its queues are gone and no other call for it is under way or comes later. The
 * vms bound to it must still exist: what is mapped in them is unmapped here.
 *
 * Context: may sleep; no lock that an op or ops->release() takes.
 */
void kfd_svm_destroy(struct kfd_svm *svm)
{
	unsigned int i;

	kfd_svm_debugfs_remove(svm);
	cancel_delayed_work_sync(&svm->restore_work);

	mutex_lock(&svm->update_lock);
	WRITE_ONCE(svm->dead, true);
	kfd_svm_zap(svm, 0, ULONG_MAX, KFD_SVM_ALL_GPUS);
	mutex_unlock(&svm->update_lock);
	/* A GPU that goes has to find what is mapped; from here on there is nothing. */
	kfd_svm_process_remove(svm);

	/* After this no callback comes, so nothing queues work again. */
	hmm_mirror_unregister(&svm->mirror);
	cancel_work_sync(&svm->housekeep_work);
	cancel_delayed_work_sync(&svm->restore_work);
	/* Of what others still do with its memory the process hears no more. */
	kfd_svm_account_detach(svm->account);
	svm->account = NULL;

	kfd_svm_blocks_free(svm);
	kfd_svm_attr_fini(&svm->attrs);
	for (i = 0; i < svm->nr_gpus; i++) {
		struct module *owner = svm->gpus[i].gpu->desc.owner;

		/* Both pair with kfd_svm_attach_gpu(). */
		kfd_svm_gpu_put(svm->gpus[i].gpu);
		module_put(owner);
	}
	svm_free(svm);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_destroy, KFD_SVM);

/**
 * kfd_svm_attach_gpu - a process sees a GPU
 * @svm: the process
 * @gpu: the GPU; held, with its backend's module, until kfd_svm_destroy()
 * @user_gpu_id: the process's name for it
 *
 * All GPUs of a process are attached before its first attribute or fault.
 *
 * Context: may sleep.
 * Return: 0; -EBUSY: too late; -EEXIST: @user_gpu_id is taken; -ENOSPC: too many
 * GPUs; -ENODEV: the GPU or the backend's module is going.
 */
int kfd_svm_attach_gpu(struct kfd_svm *svm, struct kfd_svm_gpu *gpu,
		       u32 user_gpu_id)
{
	int err = 0;

	mutex_lock(&kfd_svm_processes_lock);
	mutex_lock(&svm->op_lock);
	if (gpu->gone)
		err = -ENODEV;
	else if (svm->used)
		err = -EBUSY;
	else if (kfd_svm_gpu_index(svm, user_gpu_id) >= 0)
		err = -EEXIST;
	else if (svm->nr_gpus == KFD_SVM_MAX_GPUS)
		err = -ENOSPC;
	else if (!try_module_get(gpu->desc.owner))
		err = -ENODEV;
	if (!err) {
		refcount_inc(&gpu->users);
		mutex_lock(&svm->update_lock);
		svm->gpus[svm->nr_gpus].gpu = gpu;
		svm->gpus[svm->nr_gpus].user_gpu_id = user_gpu_id;
		if (gpu->desc.svm_capable)
			svm->capable |= BIT_ULL(svm->nr_gpus);
		kfd_svm_vram_attach(svm, svm->nr_gpus);
		svm->nr_gpus++;
		mutex_unlock(&svm->update_lock);
	}
	mutex_unlock(&svm->op_lock);
	mutex_unlock(&kfd_svm_processes_lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_attach_gpu, KFD_SVM);

/**
 * kfd_svm_bind_vm - a process has an address space on a GPU
 * @svm: the process
 * @user_gpu_id: the GPU
 * @vm: the backend's object, given to its ops; must outlive @svm
 *
 * If the process is evicted the vm is quiesced at once, and resumed with the
 * others. Memory registered before that the GPU maps eagerly is mapped now; what
 * cannot be mapped waits for the next kfd_svm_set_attr() of it.
 *
 * Context: may sleep and allocate, takes mmap_lock; ops of @vm are called.
 * Return: 0; -EINVAL: no such GPU; -ENODEV: it is gone; -EBUSY: it has a vm already.
 */
int kfd_svm_bind_vm(struct kfd_svm *svm, u32 user_gpu_id, void *vm)
{
	struct kfd_svm_pgpu *pgpu;
	int gpu, missing, err = 0;
	unsigned int tries;

	mutex_lock(&svm->op_lock);
	gpu = kfd_svm_gpu_index(svm, user_gpu_id);
	if (gpu < 0) {
		err = gpu;
		goto out_unlock;
	}
	pgpu = &svm->gpus[gpu];
	if (svm->gone & BIT_ULL(gpu)) {
		err = -ENODEV;
		goto out_unlock;
	}
	if (pgpu->vm) {
		err = -EBUSY;
		goto out_unlock;
	}
	mutex_lock(&svm->update_lock);
	/* Pairs with the acquire in kfd_svm_vm_of(). */
	smp_store_release(&pgpu->vm, vm);
	if (svm->evicted)
		kfd_svm_stop_gpu(svm, gpu);
	mutex_unlock(&svm->update_lock);
	/* No queue runs on it yet, so it may take a while; it must not be left. */
	for (tries = 0; svm->used && tries < BIND_TRIES; tries++)
		if (kfd_svm_map_eager(svm, 0, ULONG_MAX, &missing) != -EAGAIN)
			break;
out_unlock:
	mutex_unlock(&svm->op_lock);
	return err;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_bind_vm, KFD_SVM);

/**
 * kfd_svm_read_counters - what happened for a process on one GPU
 * @svm: the process
 * @user_gpu_id: the GPU
 * @counters: filled in; zeroes if the process does not have the GPU
 *
 * Context: may sleep.
 */
void kfd_svm_read_counters(struct kfd_svm *svm, u32 user_gpu_id,
			   struct kfd_svm_counters *counters)
{
	int gpu = kfd_svm_gpu_index(svm, user_gpu_id);

	*counters = (struct kfd_svm_counters){};
	if (gpu < 0)
		return;
	mutex_lock(&svm->update_lock);
	*counters = svm->gpus[gpu].counters;
	mutex_unlock(&svm->update_lock);
	kfd_svm_account_read(svm->account, gpu, counters);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_read_counters, KFD_SVM);

static int __init kfd_svm_init(void)
{
	/* Restoring is on the way of reclaim's victims only, never of reclaim. */
	kfd_svm_wq = alloc_workqueue("kfd_svm", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!kfd_svm_wq)
		return -ENOMEM;
	kfd_svm_debugfs_init();
	return 0;
}

static void __exit kfd_svm_exit(void)
{
	kfd_svm_debugfs_exit();
	destroy_workqueue(kfd_svm_wq);
}

module_init(kfd_svm_init);
module_exit(kfd_svm_exit);

MODULE_DESCRIPTION("Shared virtual memory for AMD GPUs: the core");
MODULE_IMPORT_NS(HMM_MIRROR);
MODULE_LICENSE("GPL");
