// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's edu device (docs/specs/edu of QEMU): its registers and its DMA engine.
 *
 * The engine moves up to half a page between a bus address and a buffer inside the device.
 * The CPU cannot see that buffer, so what the device has read is fetched by a second
 * transfer, into a page of the driver's own.
 */
#include "edu.h"

#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/kfdsvm_compat.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8

#define EDU_REG_ID	0x00
#define EDU_REG_SRC	0x80
#define EDU_REG_DST	0x88
#define EDU_REG_COUNT	0x90
#define EDU_REG_CMD	0x98

#define EDU_CMD_START	BIT(0)
#define EDU_CMD_TO_RAM	BIT(1)

#define EDU_BUFFER	0x40000	/* where the device's own buffer begins */
#define EDU_DMA_BITS	48
#define EDU_WAIT_MS	20000	/* a transfer takes 100 ms of the VM's time */

struct device *edu_dev(struct edu *edu)
{
	return &edu->pdev->dev;
}

bool edu_engine_runs(struct edu *edu)
{
	return readq(edu->regs + EDU_REG_CMD) & EDU_CMD_START;
}

/* Returns 0; -ETIMEDOUT: the device is broken. */
int edu_engine_wait(struct edu *edu, bool may_sleep)
{
	ktime_t end = ktime_add_ms(ktime_get(), EDU_WAIT_MS);

	while (edu_engine_runs(edu)) {
		if (WARN_ON_ONCE(ktime_after(ktime_get(), end)))
			return -ETIMEDOUT;
		if (may_sleep)
			usleep_range(500, 1000);
		else
			udelay(5);
	}
	return 0;
}

static void engine_start(struct edu *edu, u64 src, u64 dst, size_t len, u64 cmd)
{
	lockdep_assert_held(&edu->engine);

	writeq(src, edu->regs + EDU_REG_SRC);
	writeq(dst, edu->regs + EDU_REG_DST);
	writeq(len, edu->regs + EDU_REG_COUNT);
	writeq(cmd | EDU_CMD_START, edu->regs + EDU_REG_CMD);
}

/* From a bus address into the device. The engine does not run. */
void edu_engine_read(struct edu *edu, dma_addr_t from, size_t len)
{
	engine_start(edu, from, EDU_BUFFER, len, 0);
}

/* From the device to a bus address. The engine does not run. */
void edu_engine_write(struct edu *edu, dma_addr_t to, size_t len)
{
	engine_start(edu, EDU_BUFFER, to, len, EDU_CMD_TO_RAM);
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct edu *edu;
	int err;

	edu = devm_kzalloc(dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;
	edu->pdev = pdev;
	mutex_init(&edu->engine);

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	edu->regs = pcim_iomap(pdev, 0, 0);
	if (!edu->regs)
		return -ENOMEM;
	if ((readl(edu->regs + EDU_REG_ID) & 0xff) != 0xed)
		return -ENODEV;
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(EDU_DMA_BITS));
	if (err)
		return err;
	dma_set_max_seg_size(dev, UINT_MAX);
	edu->bounce = dmam_alloc_coherent(dev, PAGE_SIZE, &edu->bounce_dma,
					  GFP_KERNEL);
	if (!edu->bounce)
		return -ENOMEM;
	pci_set_master(pdev);
	pci_set_drvdata(pdev, edu);
	return edu_file_register(edu);
}

/* No file is open: the module could not be unloaded. */
static void edu_remove(struct pci_dev *pdev)
{
	struct edu *edu = pci_get_drvdata(pdev);

	edu_file_unregister();
	edu_engine_wait(edu, true);
	pci_clear_master(pdev);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR, EDU_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = "hmm_mirror_edu",
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
	/* An open file keeps the module, but would not keep the device. */
	.driver.suppress_bind_attrs = true,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("QEMU's edu device as a client of the HMM mirror, for tests");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(HMM_MIRROR);
