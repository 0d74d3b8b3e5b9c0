// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping extents for DMA, by a device that does no DMA: a platform device that reaches all
 * memory at its physical address.
 */
#include "client.h"

#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/platform_device.h>

static struct platform_device *dma_device;

static_assert(sizeof(struct hmm_mirror_extent) == sizeof(struct hmt_extent));

/* Map, unmap and tell the address. */
int dma_ioctl_map(struct client *client, void *arg)
{
	struct hmt_dma *args = arg;
	const struct hmm_mirror_extent ext = {
		.va_flags = args->ext.va_flags,
		.pfn_npages = args->ext.pfn_npages,
	};
	dma_addr_t dma;
	int err;

	/* Not where bounce buffers are forced upon all devices. */
	if (!hmm_mirror_device_usable(&dma_device->dev))
		return -EOPNOTSUPP;
	err = hmm_mirror_extent_dma_map(&dma_device->dev, &ext, &dma);
	if (err)
		return err;
	args->dma = dma;
	hmm_mirror_extent_dma_unmap(&dma_device->dev, &ext, dma);
	return 0;
}

int dma_init(void)
{
	int err;

	dma_device = platform_device_register_simple("hmm_mirror_test",
						     PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(dma_device))
		return PTR_ERR(dma_device);
	err = dma_coerce_mask_and_coherent(&dma_device->dev, DMA_BIT_MASK(64));
	if (err)
		platform_device_unregister(dma_device);
	return err;
}

void dma_exit(void)
{
	platform_device_unregister(dma_device);
}
