// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second peer: drm_gpusvm's collection of pages. It faults pages in and maps them
 * for DMA in one call, one mapping for each CPU leaf, so it is compared with a fault and
 * the DMA maps of its extents.
 *
 * Only the pages part of drm_gpusvm is used, which takes a notifier of the driver's.
 */
#include "bench.h"

#include <drm/drm_drv.h>
#include <drm/drm_gpusvm.h>
#include <drm/drm_pagemap.h>
#include <linux/kfdsvm_compat.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

/**
 * struct bench_gpusvm - what drm_gpusvm wants of a driver
 * @drm: a device that is never registered
 * @svm: its lock
 * @pages: the pages of the span
 * @notifier: over the span
 * @npages: of the span
 */
struct bench_gpusvm {
	struct drm_device *drm;
	struct drm_gpusvm svm;
	struct drm_gpusvm_pages pages;
	struct mmu_interval_notifier notifier;
	unsigned long npages;
};

static const struct drm_driver bench_drm_driver = {
	.name = "hmm_mirror_bench",
	.desc = "peer of the HMM mirror benchmark",
	.major = 1,
};

static bool gpusvm_invalidate(struct mmu_interval_notifier *notifier,
			      const struct mmu_notifier_range *range,
			      unsigned long cur_seq)
{
	struct bench_gpusvm *g = container_of(notifier, struct bench_gpusvm,
					      notifier);
	const struct drm_gpusvm_ctx ctx = { .in_notifier = true };

	if (!mmu_notifier_range_blockable(range))
		return false;
	down_write(&g->svm.notifier_lock);
	mmu_interval_set_seq(notifier, cur_seq);
	drm_gpusvm_unmap_pages(&g->svm, &g->pages, g->npages, &ctx);
	up_write(&g->svm.notifier_lock);
	return true;
}

static const struct mmu_interval_notifier_ops gpusvm_ops = {
	.invalidate = gpusvm_invalidate,
};

static int gpusvm_make(struct bench *b)
{
	struct bench_gpusvm *g = kzalloc(sizeof(*g), GFP_KERNEL);
	int err;

	if (!g)
		return -ENOMEM;
	g->npages = b->npages;
	g->drm = drm_dev_alloc(&bench_drm_driver, &bench_device->dev);
	if (IS_ERR(g->drm)) {
		err = PTR_ERR(g->drm);
		goto err_free;
	}
	err = drm_gpusvm_init(&g->svm, "bench", NULL, 0, 0, 0, NULL, NULL, 0);
	if (err)
		goto err_put_drm;
	drm_gpusvm_init_pages(&g->pages, g->drm);
	err = mmu_interval_notifier_insert(&g->notifier, b->mm, b->first_va,
					   b->npages << PAGE_SHIFT, &gpusvm_ops);
	if (err)
		goto err_fini;
	b->gpusvm = g;
	return 0;

err_fini:
	drm_gpusvm_fini(&g->svm);
err_put_drm:
	drm_dev_put(g->drm);
err_free:
	kfree(g);
	return err;
}

void bench_gpusvm_free(struct bench *b)
{
	struct bench_gpusvm *g = b->gpusvm;

	if (!g)
		return;
	mmu_interval_notifier_remove(&g->notifier);
	drm_gpusvm_free_pages(&g->svm, &g->pages, b->npages);
	drm_gpusvm_fini(&g->svm);
	drm_dev_put(g->drm);
	kfree(g);
	b->gpusvm = NULL;
}

int bench_gpusvm_pages(struct bench *b, struct hmm_bench_pass *pass)
{
	const struct drm_gpusvm_ctx ctx = {};
	struct bench_gpusvm *g;
	unsigned long i, j;
	bool valid;
	u64 start;
	int err;

	if (!b->gpusvm) {
		err = gpusvm_make(b);
		if (err)
			return err;
	}
	g = b->gpusvm;

	start = bench_clock();
	for (;;) {
		err = drm_gpusvm_get_pages(&g->svm, &g->pages, b->mm,
					   &g->notifier, b->first_va,
					   b->last_va + 1, &ctx);
		if (err)
			return err;
		down_read(&g->svm.notifier_lock);
		valid = drm_gpusvm_pages_valid(&g->svm, &g->pages);
		if (valid)
			break;
		up_read(&g->svm.notifier_lock);
		pass->retries++;
	}
	up_read(&g->svm.notifier_lock);
	pass->ticks = bench_clock() - start;

	for (i = 0, j = 0; i < b->npages; j++)
		i += 1UL << g->pages.dma_addr[j].order;
	pass->nr_extents = j;

	start = bench_clock();
	drm_gpusvm_unmap_pages(&g->svm, &g->pages, b->npages, &ctx);
	pass->undo_ticks = bench_clock() - start;
	return 0;
}
