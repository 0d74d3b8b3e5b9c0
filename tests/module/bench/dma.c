// SPDX-License-Identifier: GPL-2.0-only
/*
 * What giving a device addresses costs: for each page, as users of hmm_range_fault() do,
 * and for each extent. What is mapped was found by the pass before; the memory stays as
 * it is meanwhile, or the figures mean nothing: the mappings hold no page.
 */
#include "bench.h"

#include <linux/dma-mapping.h>
#include <linux/hmm.h>
#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/platform_device.h>

static void unmap_dma_pages(struct bench *b, unsigned long n)
{
	while (n--)
		if (b->pfns[n] & HMM_PFN_VALID)
			dma_unmap_page(&bench_device->dev, b->dma[n], PAGE_SIZE,
				       DMA_BIDIRECTIONAL);
}

int bench_dma_pages(struct bench *b, struct hmm_bench_pass *pass)
{
	struct device *dev = &bench_device->dev;
	unsigned long i;
	u64 start;
	int err = 0;

	start = bench_clock();
	for (i = 0; i < b->npages; i++) {
		if (!(b->pfns[i] & HMM_PFN_VALID))
			continue;
		b->dma[i] = dma_map_page(dev, hmm_pfn_to_page(b->pfns[i]), 0,
					 PAGE_SIZE, DMA_BIDIRECTIONAL);
		if (dma_mapping_error(dev, b->dma[i])) {
			err = -EIO;
			break;
		}
		pass->nr_extents++;
	}
	pass->ticks = bench_clock() - start;

	start = bench_clock();
	unmap_dma_pages(b, i);
	pass->undo_ticks = bench_clock() - start;
	return err;
}

/* Extents that are not VALID get no address. */
int bench_map_extents(struct bench *b, unsigned long first, unsigned long n)
{
	unsigned long i;
	int err;

	for (i = first; i < first + n; i++) {
		if (!(b->extents[i].va_flags & HMM_MIRROR_EXT_VALID))
			continue;
		err = hmm_mirror_extent_dma_map(&bench_device->dev,
						&b->extents[i], &b->dma[i]);
		if (err) {
			while (i-- > first)
				if (b->extents[i].va_flags & HMM_MIRROR_EXT_VALID)
					hmm_mirror_extent_dma_unmap(&bench_device->dev,
								    &b->extents[i],
								    b->dma[i]);
			return err;
		}
	}
	return 0;
}

/* Undo all that was mapped for the first @n extents. */
void bench_unmap_extents(struct bench *b, unsigned long n)
{
	while (n--)
		if (b->extents[n].va_flags & HMM_MIRROR_EXT_VALID)
			hmm_mirror_extent_dma_unmap(&bench_device->dev,
						    &b->extents[n], b->dma[n]);
}

int bench_dma_extents(struct bench *b, struct hmm_bench_pass *pass)
{
	u64 start;
	int err;

	start = bench_clock();
	err = bench_map_extents(b, 0, b->nr_extents);
	pass->ticks = bench_clock() - start;
	if (err)
		return err;
	pass->nr_extents = b->nr_extents;

	start = bench_clock();
	bench_unmap_extents(b, b->nr_extents);
	pass->undo_ticks = bench_clock() - start;
	return 0;
}

#ifdef HMM_BENCH_HMM_DMA_BUILT
#include <linux/hmm-dma.h>
#include <linux/pci-p2pdma.h>

int bench_dma_hmm(struct bench *b, struct hmm_bench_pass *pass)
{
	struct device *dev = &bench_device->dev;
	struct pci_p2pdma_map_state p2pdma = {};
	struct hmm_dma_map map = {};
	unsigned long i;
	u64 start;
	int err;

	err = hmm_dma_map_alloc(dev, &map, b->npages, PAGE_SIZE);
	if (err)
		return err;
	memcpy(map.pfn_list, b->pfns, b->npages * sizeof(*b->pfns));

	start = bench_clock();
	for (i = 0; i < b->npages; i++) {
		if (!(map.pfn_list[i] & HMM_PFN_VALID))
			continue;
		b->dma[i] = hmm_dma_map_pfn(dev, &map, i, &p2pdma);
		if (dma_mapping_error(dev, b->dma[i])) {
			err = -EIO;
			break;
		}
		pass->nr_extents++;
	}
	pass->ticks = bench_clock() - start;

	start = bench_clock();
	while (i--)
		hmm_dma_unmap_pfn(dev, &map, i);
	pass->undo_ticks = bench_clock() - start;
	hmm_dma_map_free(dev, &map);
	return err;
}
#endif
