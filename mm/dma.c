// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extents and devices: DMA addresses, and pages a device has written.
 *
 * The pages are not owned: they go on belonging to the CPU's page table, are freed and
 * used for something else while a mapping is still being undone. So nothing here
 * may ever copy: no bounce buffers, no cache maintenance.
 */
#include "internal.h"

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/iommu-dma.h>
#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

/*
 * Newer kernels can be told that a mapping must not bounce; they then also accept
 * that many processes map the same page, which all do with the zero page.
 */
#ifdef DMA_ATTR_REQUIRE_COHERENT
#define COMMON_ATTRS	(DMA_ATTR_SKIP_CPU_SYNC | DMA_ATTR_REQUIRE_COHERENT)
#else
#define COMMON_ATTRS	DMA_ATTR_SKIP_CPU_SYNC
#endif

/* What the CPU may not write the device may not, where an IOMMU can see to it. */
static enum dma_data_direction extent_dir(const struct hmm_mirror_extent *ext)
{
	return ext->va_flags & HMM_MIRROR_EXT_WRITE ? DMA_BIDIRECTIONAL :
						      DMA_TO_DEVICE;
}

static dma_addr_t map_pages(struct device *dev, unsigned long pfn, size_t len,
			    enum dma_data_direction dir)
{
	unsigned long attrs = COMMON_ATTRS | DMA_ATTR_NO_WARN;

	/* Newer kernels map addresses, and complain of device pages given as pages. */
#ifdef DMA_ATTR_MMIO
	return dma_map_phys(dev, PFN_PHYS(pfn), len, dir, attrs);
#else
	return dma_map_page_attrs(dev, pfn_to_page(pfn), 0, len, dir, attrs);
#endif
}

static void unmap_pages(struct device *dev, dma_addr_t dma, size_t len,
			enum dma_data_direction dir)
{
#ifdef DMA_ATTR_MMIO
	dma_unmap_phys(dev, dma, len, dir, COMMON_ATTRS);
#else
	dma_unmap_page_attrs(dev, dma, len, dir, COMMON_ATTRS);
#endif
}

/**
 * hmm_mirror_device_usable - can a device be given addresses of extents?
 * @dev: the device, its DMA mask set
 *
 * To be asked once, when the device is set up or its mask changes: it looks at all memory
 * there is, which is too much for each extent.
 *
 * Context: any but interrupts.
 *
 * Return: the device reaches all memory coherently and without bounce buffers.
 */
bool hmm_mirror_device_usable(struct device *dev)
{
	return dev_is_dma_coherent(dev) && !dma_addressing_limited(dev) &&
	       dma_max_mapping_size(dev) == SIZE_MAX;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_device_usable, HMM_MIRROR);

/* Memory may have been added that the device does not reach. */
static bool is_bounced(struct device *dev, dma_addr_t dma, unsigned long pfn)
{
	return !get_dma_ops(dev) && !use_dma_iommu(dev) &&
	       dma != phys_to_dma(dev, PFN_PHYS(pfn));
}

static size_t extent_len(const struct hmm_mirror_extent *ext)
{
	return hmm_mirror_extent_npages(ext) << PAGE_SHIFT;
}

/**
 * hmm_mirror_extent_dma_map - give a device an address for an extent
 * @dev: the device, found usable by hmm_mirror_device_usable()
 * @ext: a VALID extent; what a device finds in its own memory is not for here
 * @dma: set to the address of the first byte; the rest follows it
 *
 * An extent without WRITE is mapped for reading; when it gains WRITE it must be mapped
 * anew. One mapping for an extent, however long: nothing of it depends on the pages.
 *
 * May be called before the range is found valid; a mapping whose extent turned out to
 * be out of date is harmless and is undone like any other.
 *
 * Context: not in interrupts; as dma_map_page() of the device: with an IOMMU it takes
 * spin locks and allocates without sleeping. The update lock may be held, but need not.
 *
 * Lifetime: until hmm_mirror_extent_dma_unmap(), however the pages fare.
 *
 * Return: 0; -EINVAL: not VALID, PRIVATE, or memory of a device that is not for others;
 * -EOPNOTSUPP: the device does not reach the memory; -EIO: the mapping failed.
 */
int hmm_mirror_extent_dma_map(struct device *dev,
			      const struct hmm_mirror_extent *ext,
			      dma_addr_t *dma)
{
	unsigned long pfn = hmm_mirror_extent_pfn(ext);

	if (!(ext->va_flags & HMM_MIRROR_EXT_VALID) ||
	    (ext->va_flags & HMM_MIRROR_EXT_PRIVATE))
		return -EINVAL;
	if ((ext->va_flags & HMM_MIRROR_EXT_DEVICE) && !hmm_mirror_is_shared_device(pfn))
		return -EINVAL;
	*dma = map_pages(dev, pfn, extent_len(ext), extent_dir(ext));
	if (dma_mapping_error(dev, *dma))
		return hmm_mirror_device_usable(dev) ? -EIO : -EOPNOTSUPP;
	if (unlikely(is_bounced(dev, *dma, pfn))) {
		unmap_pages(dev, *dma, extent_len(ext), extent_dir(ext));
		return -EOPNOTSUPP;
	}
	hmm_mirror_live_inc(HMM_MIRROR_LIVE_DMA);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_extent_dma_map, HMM_MIRROR);

/**
 * hmm_mirror_extent_dma_unmap - undo hmm_mirror_extent_dma_map()
 * @dev: the device
 * @ext: the extent as it was mapped, whole
 * @dma: what mapping it gave
 *
 * Touches no page: legal long after the extent has become out of date. The device
 * has stopped using the address.
 *
 * Context: any, also atomic and under the update lock.
 */
void hmm_mirror_extent_dma_unmap(struct device *dev,
				 const struct hmm_mirror_extent *ext,
				 dma_addr_t dma)
{
	unmap_pages(dev, dma, extent_len(ext), extent_dir(ext));
	hmm_mirror_live_dec(HMM_MIRROR_LIVE_DMA);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_extent_dma_unmap, HMM_MIRROR);

/**
 * hmm_mirror_extent_mark_dirty - tell the kernel what a device may have written
 * @ext: an extent that is, or until now was, mapped in the device
 * @first_va: first byte of the part that loses its mapping
 * @last_va: last byte of it; both may lie outside of the extent
 *
 * For a page the device could write while the CPU's entry was clean, nobody else
 * knows that it must not be dropped. Does nothing for an extent without WRITE or with
 * DIRTY.
 *
 * Context: inside ops->invalidate(), for addresses within the event, after the device
 * has stopped writing: the CPU's entry still holds the page. Also under the update
 * lock for an extent no event has come for since it was committed. Never later:
 * the page may belong to somebody else. Does not sleep in a non-blockable event:
 * those concern anonymous memory only, whose pages are marked by setting a bit.
 */
void hmm_mirror_extent_mark_dirty(const struct hmm_mirror_extent *ext,
				  unsigned long first_va, unsigned long last_va)
{
	unsigned long va = hmm_mirror_extent_va(ext);
	unsigned long pfn = hmm_mirror_extent_pfn(ext);
	unsigned long end_pfn = pfn + hmm_mirror_extent_npages(ext);
	unsigned int flags = hmm_mirror_extent_flags(ext);
	unsigned int reclaim_flags;

	if (!(flags & HMM_MIRROR_EXT_WRITE) || (flags & HMM_MIRROR_EXT_DIRTY))
		return;
	if (last_va < va)
		return;
	end_pfn = min(end_pfn, pfn + ((last_va - va) >> PAGE_SHIFT) + 1);
	if (first_va > va)
		pfn += (first_va - va) >> PAGE_SHIFT;

	/*
	 * A file system may allocate to note a dirty page. In the middle of an
	 * invalidation that must not lead to reclaim, which invalidates.
	 */
	reclaim_flags = memalloc_noreclaim_save();
	while (pfn < end_pfn) {
		struct folio *folio = page_folio(pfn_to_page(pfn));

		/*
		 * The folio lock, which this would like to have, may or may not
		 * be held by who invalidates. The mapping cannot go: the entry
		 * that holds it goes only after the callback.
		 */
		folio_mark_dirty(folio);
		pfn = folio_pfn(folio) + folio_nr_pages(folio);
	}
	memalloc_noreclaim_restore(reclaim_flags);
}
EXPORT_SYMBOL_NS_GPL(hmm_mirror_extent_mark_dirty, HMM_MIRROR);
