// SPDX-License-Identifier: GPL-2.0-only
/*
 * The copy of a move: pages become runs, runs of RAM get addresses for the device, and
 * the device copies. All pages are locked and unmapped: nobody writes to them.
 */
#include "devmem.h"
#include "internal.h"

#include <linux/dma-mapping.h>
#include <linux/highmem.h>

static void unmap_runs(struct device *dev, const struct hmm_mirror_runs *runs,
		       enum dma_data_direction dir)
{
	unsigned int i;

	for (i = 0; i < runs->nr; i++) {
		dma_unmap_page_attrs(dev, runs->runs[i].other, runs->runs[i].len, dir,
				     0);
		hmm_mirror_live_dec(HMM_MIRROR_LIVE_DMA);
	}
}

/* Physical addresses become the device's; a run stays one, so it is unmapped as one. */
static int map_runs(struct device *dev, struct hmm_mirror_runs *runs,
		    enum dma_data_direction dir)
{
	unsigned int i, nr = runs->nr;

	for (i = 0; i < nr; i++) {
		struct hmm_mirror_copy *run = &runs->runs[i];
		dma_addr_t dma;

		dma = dma_map_page_attrs(dev, pfn_to_page(PHYS_PFN(run->other)), 0,
					 run->len, dir, DMA_ATTR_NO_WARN);
		if (dma_mapping_error(dev, dma)) {
			runs->nr = i;
			unmap_runs(dev, runs, dir);
			return -EIO;
		}
		run->other = dma;
		hmm_mirror_live_inc(HMM_MIRROR_LIVE_DMA);
	}
	return 0;
}

static int copy_ram(const struct hmm_mirror_devmem *mem, struct hmm_mirror_runs *runs,
		    enum hmm_mirror_copy_dir copy_dir)
{
	const struct hmm_mirror_devmem_desc *desc = &mem->desc;
	enum dma_data_direction dir = copy_dir == HMM_MIRROR_COPY_TO_RAM ?
				      DMA_FROM_DEVICE : DMA_TO_DEVICE;
	int err;

	if (!runs->nr)
		return 0;
	err = map_runs(desc->dev, runs, dir);
	if (err)
		return err;
	err = desc->ops->copy(desc->priv, copy_dir, runs->runs, runs->nr);
	unmap_runs(desc->dev, runs, dir);
	return err;
}

/* Pages that were never touched: nobody's data may be there. */
static int clear_new(struct hmm_mirror_mover *mover)
{
	const struct hmm_mirror_devmem_desc *desc = &mover->to->desc;
	struct hmm_mirror_runs *runs = &mover->runs;
	unsigned long i, n;
	int err = 0;

	runs->nr = 0;
	for (i = 0; i < mover->args.npages; i += n) {
		struct page *dst = migrate_pfn_to_page(mover->args.dst[i]);
		u64 addr;

		n = hmm_mirror_entry_npages(mover->args.dst[i]);
		if (!dst || migrate_pfn_to_page(mover->args.src[i]))
			continue;
		addr = hmm_mirror_page_addr(mover->to, dst);
		hmm_mirror_runs_add(runs, addr, addr, n << PAGE_SHIFT);
	}
	for (i = 0; !err && i < runs->nr; i++)
		err = desc->ops->clear(desc->priv, runs->runs[i].dev_addr,
				       runs->runs[i].len);
	return err;
}

/* The device whose page it is, or NULL for RAM and for nothing. */
static struct hmm_mirror_devmem *page_mem(struct page *page)
{
	return page && is_zone_device_page(page) ? hmm_mirror_page_chunk(page)->mem :
						   NULL;
}

/*
 * Runs of the pages that go from @from to @to, one of which may be RAM. A page that is
 * not there yet has nothing to be copied.
 */
static void build_runs(struct hmm_mirror_mover *mover, struct hmm_mirror_devmem *from,
		       struct hmm_mirror_devmem *to)
{
	unsigned long i, n;

	mover->runs.nr = 0;
	for (i = 0; i < mover->args.npages; i += n) {
		struct page *src = migrate_pfn_to_page(mover->args.src[i]);
		struct page *dst = migrate_pfn_to_page(mover->args.dst[i]);
		u64 dev_addr, other;

		n = hmm_mirror_entry_npages(mover->args.dst[i]);
		if (!src || !dst || page_mem(src) != from)
			continue;
		if (!to) {
			dev_addr = hmm_mirror_page_addr(from, src);
			other = page_to_phys(dst);
		} else {
			dev_addr = hmm_mirror_page_addr(to, dst);
			other = from ? hmm_mirror_page_addr(from, src) :
				       page_to_phys(src);
		}
		hmm_mirror_runs_add(&mover->runs, dev_addr, other, n << PAGE_SHIFT);
	}
}

/* Without a link the pages of @from stay where they are. */
static void leave_peer(struct hmm_mirror_mover *mover, struct hmm_mirror_devmem *from)
{
	unsigned long i, n;

	mover->no_peer = true;
	for (i = 0; i < mover->args.npages; i += n) {
		n = hmm_mirror_entry_npages(mover->args.dst[i]);
		if (page_mem(migrate_pfn_to_page(mover->args.src[i])) == from)
			hmm_mirror_mover_drop(mover, i);
	}
}

static int copy_from_peer(struct hmm_mirror_mover *mover, struct hmm_mirror_devmem *from)
{
	const struct hmm_mirror_devmem_desc *desc = &mover->to->desc;
	int err = -EOPNOTSUPP;

	build_runs(mover, from, mover->to);
	if (!mover->runs.nr)
		return 0;
	if (desc->ops->copy_peer)
		err = desc->ops->copy_peer(desc->priv, from->desc.priv, mover->runs.runs,
					   mover->runs.nr);
	if (err != -EOPNOTSUPP)
		return err;
	leave_peer(mover, from);
	return 0;
}

/* Is this the first party that comes from its device? Those of one are copied at once. */
static bool is_first_from(const struct hmm_mirror_mover *mover, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (mover->parties[i].from == mover->parties[nr].from)
			return false;
	}
	return true;
}

/**
 * hmm_mirror_mover_copy - copy what a move is about to move
 * @mover: pages provided, parties found
 *
 * Pages of a device that has no link to the other are taken out of the move.
 *
 * Context: page locks held.
 *
 * Return: 0, or an error: then nothing may move.
 */
int hmm_mirror_mover_copy(struct hmm_mirror_mover *mover)
{
	struct hmm_mirror_devmem *from;
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < mover->nr_parties; i++) {
		from = mover->parties[i].from;
		if (!from || !is_first_from(mover, i))
			continue;
		if (mover->to) {
			err = copy_from_peer(mover, from);
			continue;
		}
		build_runs(mover, from, NULL);
		err = copy_ram(from, &mover->runs, HMM_MIRROR_COPY_TO_RAM);
	}
	if (err || !mover->to)
		return err;
	build_runs(mover, NULL, mover->to);
	err = copy_ram(mover->to, &mover->runs, HMM_MIRROR_COPY_TO_DEVICE);
	return err ?: clear_new(mover);
}
