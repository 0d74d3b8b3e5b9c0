// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to map memory for DMA in one way or another. The extents may go out of
 * date meanwhile: nothing is transferred.
 */
#include "edu.h"
#include "hmm_mirror_edu.h"

#include <linux/dma-mapping.h>
#include <linux/hmm.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/sort.h>

/* Kernels that map addresses have the rest of the new interface as well. */
#ifdef DMA_ATTR_MMIO
#include <linux/hmm-dma.h>
#include <linux/pci-p2pdma.h>
#define HAVE_HMM_DMA
#endif

#define BENCH_MAX_NPAGES	(SZ_1G >> PAGE_SHIFT)
#define BENCH_MAX_PASSES	31

/**
 * struct bench - one measurement
 * @dev: the device
 * @exts: what is mapped, all VALID
 * @nr: how many
 * @npages: pages in all of them
 * @dma: an address for each page, or each extent
 * @sgt: for HME_BENCH_SG
 * @hmm: for HME_BENCH_HMM
 * @iova: for HME_BENCH_IOVA
 */
struct bench {
	struct device *dev;
	struct hmm_mirror_extent *exts;
	unsigned int nr;
	unsigned long npages;
	dma_addr_t *dma;
	struct sg_table sgt;
#ifdef HAVE_HMM_DMA
	struct hmm_dma_map hmm;
	struct dma_iova_state iova;
#endif
};

/* --- a mapping for each page */

static void page_unmap(struct bench *bench, unsigned long n)
{
	while (n--)
		dma_unmap_page_attrs(bench->dev, bench->dma[n], PAGE_SIZE,
				     DMA_BIDIRECTIONAL, DMA_ATTR_SKIP_CPU_SYNC);
}

static int page_map(struct bench *bench)
{
	unsigned long pfn, end_pfn, n = 0;
	unsigned int i;

	for (i = 0; i < bench->nr; i++) {
		pfn = hmm_mirror_extent_pfn(&bench->exts[i]);
		end_pfn = pfn + hmm_mirror_extent_npages(&bench->exts[i]);
		for (; pfn < end_pfn; pfn++, n++) {
			bench->dma[n] = dma_map_page_attrs(bench->dev,
							   pfn_to_page(pfn), 0,
							   PAGE_SIZE,
							   DMA_BIDIRECTIONAL,
							   DMA_ATTR_SKIP_CPU_SYNC);
			if (dma_mapping_error(bench->dev, bench->dma[n])) {
				page_unmap(bench, n);
				return -EIO;
			}
		}
	}
	return 0;
}

static void page_done(struct bench *bench)
{
	page_unmap(bench, bench->npages);
}

/* --- a mapping for each extent */

static void extent_unmap(struct bench *bench, unsigned int n)
{
	while (n--)
		hmm_mirror_extent_dma_unmap(bench->dev, &bench->exts[n],
					    bench->dma[n]);
}

static int extent_map(struct bench *bench)
{
	unsigned int i;
	int err;

	for (i = 0; i < bench->nr; i++) {
		err = hmm_mirror_extent_dma_map(bench->dev, &bench->exts[i],
						&bench->dma[i]);
		if (err) {
			extent_unmap(bench, i);
			return err;
		}
	}
	return 0;
}

static void extent_done(struct bench *bench)
{
	extent_unmap(bench, bench->nr);
}

/* --- a scatterlist */

static int sg_map(struct bench *bench)
{
	struct scatterlist *sg;
	unsigned int i;
	int err;

	err = sg_alloc_table(&bench->sgt, bench->nr, GFP_KERNEL);
	if (err)
		return err;
	for_each_sgtable_sg(&bench->sgt, sg, i)
		sg_set_page(sg, pfn_to_page(hmm_mirror_extent_pfn(&bench->exts[i])),
			    hmm_mirror_extent_npages(&bench->exts[i]) << PAGE_SHIFT,
			    0);
	err = dma_map_sgtable(bench->dev, &bench->sgt, DMA_BIDIRECTIONAL,
			      DMA_ATTR_SKIP_CPU_SYNC);
	if (err)
		sg_free_table(&bench->sgt);
	return err;
}

static void sg_done(struct bench *bench)
{
	dma_unmap_sgtable(bench->dev, &bench->sgt, DMA_BIDIRECTIONAL,
			  DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(&bench->sgt);
}

#ifdef HAVE_HMM_DMA
/* --- what newer kernels offer for pages that hmm_range_fault() has found */

static void hmm_unmap(struct bench *bench, unsigned long n)
{
	while (n--)
		hmm_dma_unmap_pfn(bench->dev, &bench->hmm, n);
	hmm_dma_map_free(bench->dev, &bench->hmm);
}

static int hmm_map(struct bench *bench)
{
	struct pci_p2pdma_map_state p2p = {};
	unsigned long pfn, end_pfn, n = 0;
	unsigned int i;
	int err;

	memset(&bench->hmm, 0, sizeof(bench->hmm));
	err = hmm_dma_map_alloc(bench->dev, &bench->hmm, bench->npages, PAGE_SIZE);
	if (err)
		return err;
	for (i = 0; i < bench->nr; i++) {
		pfn = hmm_mirror_extent_pfn(&bench->exts[i]);
		end_pfn = pfn + hmm_mirror_extent_npages(&bench->exts[i]);
		for (; pfn < end_pfn; pfn++, n++) {
			bench->hmm.pfn_list[n] = pfn | HMM_PFN_VALID | HMM_PFN_WRITE;
			bench->dma[n] = hmm_dma_map_pfn(bench->dev, &bench->hmm, n,
							&p2p);
			if (bench->dma[n] == DMA_MAPPING_ERROR) {
				hmm_unmap(bench, n);
				return -EIO;
			}
		}
	}
	return 0;
}

static void hmm_done(struct bench *bench)
{
	hmm_unmap(bench, bench->npages);
}

/* --- one range of bus addresses, an extent at a time linked into it */

static int iova_map(struct bench *bench)
{
	size_t offset = 0, len;
	unsigned int i;
	int err = 0;

	memset(&bench->iova, 0, sizeof(bench->iova));
	if (!dma_iova_try_alloc(bench->dev, &bench->iova, 0,
				bench->npages << PAGE_SHIFT))
		return -EOPNOTSUPP;
	for (i = 0; i < bench->nr && !err; i++) {
		len = hmm_mirror_extent_npages(&bench->exts[i]) << PAGE_SHIFT;
		err = dma_iova_link(bench->dev, &bench->iova,
				    PFN_PHYS(hmm_mirror_extent_pfn(&bench->exts[i])),
				    offset, len, DMA_BIDIRECTIONAL,
				    DMA_ATTR_SKIP_CPU_SYNC);
		if (!err)
			offset += len;
	}
	if (!err)
		err = dma_iova_sync(bench->dev, &bench->iova, 0, offset);
	if (err)
		dma_iova_destroy(bench->dev, &bench->iova, offset,
				 DMA_BIDIRECTIONAL, DMA_ATTR_SKIP_CPU_SYNC);
	return err;
}

static void iova_done(struct bench *bench)
{
	dma_iova_destroy(bench->dev, &bench->iova, bench->npages << PAGE_SHIFT,
			 DMA_BIDIRECTIONAL, DMA_ATTR_SKIP_CPU_SYNC);
}
#endif

static const struct way {
	int (*map)(struct bench *bench);
	void (*done)(struct bench *bench);
} ways[HME_NR_BENCH] = {
	[HME_BENCH_PAGE] = { page_map, page_done },
	[HME_BENCH_EXTENT] = { extent_map, extent_done },
	[HME_BENCH_SG] = { sg_map, sg_done },
#ifdef HAVE_HMM_DMA
	[HME_BENCH_HMM] = { hmm_map, hmm_done },
	[HME_BENCH_IOVA] = { iova_map, iova_done },
#endif
};

static int collect(struct edu_client *client, const struct hme_bench *args,
		   struct bench *bench)
{
	const struct hmm_mirror_req req = {
		.default_req = HMM_MIRROR_REQ_WRITE_IF_VMA,
	};
	unsigned long max = (args->last_va - args->first_va + 1) >> PAGE_SHIFT;
	struct hmm_mirror_cursor cursor = {
		.extents = bench->exts,
		.nr_max = max,
		.next_va = args->first_va,
	};
	struct hmm_mirror_range range;
	unsigned int i;
	int err;

	err = hmm_mirror_range_register(&range, &client->mirror, args->first_va,
					args->last_va);
	if (err)
		return err;
	while (!err && cursor.next_va <= args->last_va) {
		err = hmm_mirror_range_fault(&range, &cursor, &req);
		for (i = 0; i < cursor.nr && !err; i++) {
			if (!(cursor.extents[i].va_flags & HMM_MIRROR_EXT_VALID))
				err = -EFAULT;
			bench->npages +=
				hmm_mirror_extent_npages(&cursor.extents[i]);
		}
		/* The next call goes on behind. */
		bench->nr += cursor.nr;
		cursor.extents += cursor.nr;
		cursor.nr_max -= cursor.nr;
	}
	hmm_mirror_range_unregister(&range);
	return err;
}

static int compare_ns(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int measure(struct bench *bench, struct hme_bench *args)
{
	u64 map_ns[BENCH_MAX_PASSES], unmap_ns[BENCH_MAX_PASSES];
	const struct way *way = &ways[args->how];
	u64 start, mapped, end;
	unsigned int i;
	int err;

	for (i = 0; i < args->passes; i++) {
		start = ktime_get_ns();
		err = way->map(bench);
		mapped = ktime_get_ns();
		if (err)
			return err;
		way->done(bench);
		end = ktime_get_ns();
		map_ns[i] = mapped - start;
		unmap_ns[i] = end - mapped;
		cond_resched();
	}
	sort(map_ns, i, sizeof(*map_ns), compare_ns, NULL);
	sort(unmap_ns, i, sizeof(*unmap_ns), compare_ns, NULL);
	args->map_ns = map_ns[i / 2];
	args->unmap_ns = unmap_ns[i / 2];
	return 0;
}

int edu_bench(struct edu_client *client, struct hme_bench *args)
{
	unsigned long max = (args->last_va - args->first_va + 1) >> PAGE_SHIFT;
	struct bench bench = { .dev = edu_dev(client->edu) };
	int err = -ENOMEM;

	if (args->how >= HME_NR_BENCH || !args->passes ||
	    args->passes > BENCH_MAX_PASSES || max > BENCH_MAX_NPAGES)
		return -EINVAL;
	if (!ways[args->how].map)
		return -EOPNOTSUPP;
	bench.exts = kvcalloc(max, sizeof(*bench.exts), GFP_KERNEL);
	bench.dma = kvcalloc(max, sizeof(*bench.dma), GFP_KERNEL);
	if (bench.exts && bench.dma)
		err = collect(client, args, &bench);
	if (!err)
		err = measure(&bench, args);
	args->npages = bench.npages;
	args->nr_extents = bench.nr;
	kvfree(bench.exts);
	kvfree(bench.dma);
	return err;
}
