// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GPU goes while processes have it.
 *
 * Its place in each process stays, marked as gone: attributes may name it, and indices do
 * not change. It has no vm any more, so nothing is mapped, restored or asked of it; what
 * it had mapped is unmapped, what was in its VRAM comes back to RAM. The other GPUs of
 * the process notice nothing but that.
 *
 *   kfd_svm_gpu_unregister()             a process
 *     gone                                 attach: the same lock: gone? -ENODEV
 *     each process, pinned:                ends: waits until it is not
 *       op_lock, update_lock               populates, moves: op_lock
 *         unmap, vm = NULL                 zap: update_lock
 *     the VRAM's pages go                  CPU faults bring them, too
 *
 * A populate may wait for whoever serves its page faults, so no lock of all processes is
 * held while one is waited for.
 *
 * The front end stops the engines before, so nobody meets the gap. Nothing here can fail.
 * The only memory allocated is that which the pages in VRAM go to.
 */
#include "kfd_svm_priv.h"

#include <linux/export.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "kfd_svm_trace.h"

/* Guards the list, what pins its members, and kfd_svm_gpu.gone. */
DEFINE_MUTEX(kfd_svm_processes_lock);
static LIST_HEAD(processes);
static DECLARE_WAIT_QUEUE_HEAD(unpinned);

void kfd_svm_process_add(struct kfd_svm *svm)
{
	mutex_lock(&kfd_svm_processes_lock);
	list_add_tail(&svm->link, &processes);
	mutex_unlock(&kfd_svm_processes_lock);
}

/* When this returns no GPU that goes looks at @svm. */
void kfd_svm_process_remove(struct kfd_svm *svm)
{
	mutex_lock(&kfd_svm_processes_lock);
	while (svm->pinned) {
		mutex_unlock(&kfd_svm_processes_lock);
		wait_event(unpinned, !READ_ONCE(svm->pinned));
		mutex_lock(&kfd_svm_processes_lock);
	}
	list_del(&svm->link);
	mutex_unlock(&kfd_svm_processes_lock);
}

/* Drop a reference: the backend's or a process's. */
void kfd_svm_gpu_put(struct kfd_svm_gpu *gpu)
{
	if (refcount_dec_and_test(&gpu->users))
		kfree(gpu);
}

static void forget_links(struct kfd_svm *svm, unsigned int gpu)
{
	struct kfd_svm_links *links = &svm->links;
	unsigned int i;

	links->with_vram &= ~BIT_ULL(gpu);
	for (i = 0; i < svm->nr_gpus; i++)
		links->reach[i] &= ~BIT_ULL(gpu);
	/* It is in nobody's way: what it cannot reach need not be in RAM for it. */
	links->reach[gpu] = KFD_SVM_ALL_GPUS;
}

static void lose_gpu(struct kfd_svm *svm, unsigned int gpu)
{
	mutex_lock(&svm->op_lock);
	mutex_lock(&svm->update_lock);
	svm->gone |= BIT_ULL(gpu);
	svm->capable &= ~BIT_ULL(gpu);
	forget_links(svm, gpu);
	kfd_svm_zap_gpu(svm, gpu);
	/* After the last op; pairs with the acquire in kfd_svm_vm_of(). */
	smp_store_release(&svm->gpus[gpu].vm, NULL);
	/* The others need not wait for what only this one lacked. */
	kfd_svm_resume_if_restored(svm);
	mutex_unlock(&svm->update_lock);
	mutex_unlock(&svm->op_lock);
	trace_kfd_svm_lost_gpu(svm->tgid, svm->gpus[gpu].user_gpu_id);
}

/* The list's lock is given up meanwhile; @svm stays in the list. */
static void lose_pinned(struct kfd_svm *svm, unsigned int gpu)
{
	lockdep_assert_held(&kfd_svm_processes_lock);

	WRITE_ONCE(svm->pinned, svm->pinned + 1);
	mutex_unlock(&kfd_svm_processes_lock);
	lose_gpu(svm, gpu);
	mutex_lock(&kfd_svm_processes_lock);
	WRITE_ONCE(svm->pinned, svm->pinned - 1);
	wake_up_all(&unpinned);
}

static void lose_everywhere(struct kfd_svm_gpu *gpu)
{
	struct kfd_svm *svm;
	unsigned int i;

	mutex_lock(&kfd_svm_processes_lock);
	gpu->gone = true;
	list_for_each_entry(svm, &processes, link)
		for (i = 0; i < svm->nr_gpus; i++)
			if (svm->gpus[i].gpu == gpu)
				lose_pinned(svm, i);
	mutex_unlock(&kfd_svm_processes_lock);
}

/**
 * kfd_svm_gpu_unregister - a GPU goes
 * @gpu: the GPU; not to be used any more
 *
 * Also while processes have it attached. It must not access memory any more, of any
 * process: its engines have stopped for good, or the device is gone. From now on no
 * process gets it; those that have it keep a place for it that does nothing, and calls
 * that name it fail with -ENODEV. What is in its VRAM goes to RAM, whoever's it is,
 * however long that takes; the vram ops are called for that, and must work unless the
 * memory is lost. Pages they cannot copy become zero.
 *
 * No kfd_svm_gpu_evict() may be under way or come later. When this returns no op of the
 * GPU is called any more but va_busy, and no DMA mapping of its device is left. The vms
 * that were bound stay until the kfd_svm_destroy() of their process all the same.
 *
 * Context: may sleep; no lock that an op, a callback of the front end or mmap_lock's
 * holder takes.
 */
void kfd_svm_gpu_unregister(struct kfd_svm_gpu *gpu)
{
	lose_everywhere(gpu);
	kfd_svm_vram_fini(gpu);
	kfd_svm_gpu_put(gpu);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_gpu_unregister, KFD_SVM);
