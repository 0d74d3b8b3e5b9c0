// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load and unload, and the counts that find what was not given back.
 */
#include "internal.h"

#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

static const char * const live_names[HMM_MIRROR_LIVE_NR] = {
	[HMM_MIRROR_LIVE_MM] = "mm",
	[HMM_MIRROR_LIVE_MIRROR] = "mirror",
	[HMM_MIRROR_LIVE_REGION] = "region",
	[HMM_MIRROR_LIVE_RANGE] = "range",
	[HMM_MIRROR_LIVE_DMA] = "dma map",
	[HMM_MIRROR_LIVE_DEVMEM] = "device memory",
	[HMM_MIRROR_LIVE_CHUNK] = "chunk",
};

static atomic_long_t live[HMM_MIRROR_LIVE_NR];

/* Runs settle work only: it may sleep for as long as an invalidation lasts. */
struct workqueue_struct *hmm_mirror_wq;

void hmm_mirror_live_inc(enum hmm_mirror_live kind)
{
	atomic_long_inc(&live[kind]);
}

void hmm_mirror_live_dec(enum hmm_mirror_live kind)
{
	atomic_long_dec(&live[kind]);
}

static int __init hmm_mirror_init(void)
{
	int err;

	/* MEM_RECLAIM: clients may unregister from workers that have a rescuer. */
	hmm_mirror_wq = alloc_workqueue("hmm_mirror",
					WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!hmm_mirror_wq)
		return -ENOMEM;
	err = hmm_mirror_device_init();
	if (err)
		goto err_wq;
	err = hmm_mirror_devmem_init();
	if (err)
		goto err_device;
	return 0;

err_device:
	hmm_mirror_device_exit();
err_wq:
	destroy_workqueue(hmm_mirror_wq);
	return err;
}

static void __exit hmm_mirror_exit(void)
{
	unsigned int kind;

	/* free_notifier() runs behind mmu_notifier_put() and is code of ours. */
	mmu_notifier_synchronize();
	rcu_barrier();
	destroy_workqueue(hmm_mirror_wq);
	hmm_mirror_devmem_exit();
	hmm_mirror_device_exit();

	for (kind = 0; kind < HMM_MIRROR_LIVE_NR; kind++) {
		long n = atomic_long_read(&live[kind]);

		WARN(n, "hmm_mirror: %ld x %s left\n", n, live_names[kind]);
	}
}

module_init(hmm_mirror_init);
module_exit(hmm_mirror_exit);

MODULE_DESCRIPTION("Mirror of a process address space for devices");
MODULE_LICENSE("GPL");
