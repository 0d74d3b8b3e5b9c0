// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: its parameters, and a platform device for each virtual GPU, made at load
 * and gone at unload; in between the driver can be unbound from it and bound again, see
 * device.c. The module is held by every open file of /dev/kfd and of the render nodes,
 * so no process is left when it unloads.
 */
#include "vamdgpu.h"

#include <linux/device/driver.h>
#include <linux/dma-mapping.h>
#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>

#include "kfd/bo.h"
#include "kfd/front.h"

static unsigned int gpus = 1;
module_param(gpus, uint, 0444);
MODULE_PARM_DESC(gpus, "Number of virtual GPUs, 1 to 8 (default 1)");

static unsigned int vram_mb = 512;
module_param(vram_mb, uint, 0444);
MODULE_PARM_DESC(vram_mb, "VRAM of each GPU in MiB, taken from system memory (default 512)");

static unsigned long long vram_phys[VAMDGPU_MAX_GPUS];
module_param_array(vram_phys, ullong, NULL, 0444);
MODULE_PARM_DESC(vram_phys, "Physical address of each GPU's VRAM, in memory reserved by memmap=: the CPU reaches it like RAM (default 0: it does not)");

static bool link;
module_param(link, bool, 0444);
MODULE_PARM_DESC(link, "The GPUs reach each other's VRAM over a link (default off)");

bool vamdgpu_noretry;
module_param_named(noretry, vamdgpu_noretry, bool, 0444);
MODULE_PARM_DESC(noretry, "GPU cannot replay faults: enabling XNACK is refused (default 0)");

#ifdef CONFIG_KFDSVM_DEBUG
unsigned int vamdgpu_dma_bits = 64;
module_param_named(dma_bits, vamdgpu_dma_bits, uint, 0444);
MODULE_PARM_DESC(dma_bits, "Address bits of the GPUs' DMA (test only, default 64)");
#endif

struct gfx9_hive *vamdgpu_hive;

/* What is made at load; a device that is unbound stays there, for bind. */
static struct platform_device *vamdgpu_pdevs[VAMDGPU_MAX_GPUS];
static int vamdgpu_probe_errs[VAMDGPU_MAX_GPUS];

#define VAMDGPU_MIN_VRAM_MB	16

u64 vamdgpu_vram_len(void)
{
	return (u64)vram_mb * SZ_1M;
}

u64 vamdgpu_vram_phys(unsigned int index)
{
	return vram_phys[index];
}

u64 vamdgpu_hive_id(void)
{
	return vamdgpu_hive ? VAMDGPU_HIVE_ID : 0;
}

/*
 * Look for a real amdkfd before anything is made: a second class of the name
 * would dump a stack, and both would fight for /dev/kfd.
 */
static int vamdgpu_look_for_hardware(void)
{
	struct path path;

	if (!kern_path("/sys/class/kfd", LOOKUP_FOLLOW, &path)) {
		path_put(&path);
		pr_err("vamdgpu: /sys/class/kfd exists: a real amdkfd is in use, not loading beside it\n");
		return -EBUSY;
	}
#ifdef CONFIG_PCI
	if (driver_find("amdgpu", &pci_bus_type)) {
		pr_err("vamdgpu: the amdgpu driver is loaded, not loading beside it\n");
		return -EBUSY;
	}
#endif
	return 0;
}

static int vamdgpu_check_params(void)
{
	u64 total = (u64)totalram_pages() << PAGE_SHIFT;

	if (!gpus || gpus > VAMDGPU_MAX_GPUS) {
		pr_err("vamdgpu: gpus=%u is not 1 to %u\n", gpus,
		       VAMDGPU_MAX_GPUS);
		return -EINVAL;
	}
	if (vram_mb < VAMDGPU_MIN_VRAM_MB ||
	    (u64)vram_mb * SZ_1M * gpus > total / 2) {
		pr_err("vamdgpu: vram_mb=%u is less than %u or the VRAM of all GPUs more than half of memory\n",
		       vram_mb, VAMDGPU_MIN_VRAM_MB);
		return -EINVAL;
	}
	return 0;
}

/* Insmod is to fail with what a probe fails with; the driver core keeps that for itself. */
void vamdgpu_probed(unsigned int index, int err)
{
	vamdgpu_probe_errs[index] = err;
}

static int vamdgpu_device_add(unsigned int index)
{
	const struct platform_device_info info = {
		.name = "vamdgpu",
		.id = index,
		/* The default of 32 bits would bounce every high page. */
		.dma_mask = DMA_BIT_MASK(vamdgpu_dma_bits),
	};
	struct platform_device *pdev;

	vamdgpu_probe_errs[index] = -ENODEV;
	pdev = platform_device_register_full(&info);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	vamdgpu_pdevs[index] = pdev;
	return vamdgpu_probe_errs[index];
}

static void vamdgpu_devices_remove(void)
{
	unsigned int i;

	for (i = VAMDGPU_MAX_GPUS; i--;) {
		/* Takes NULL, too. */
		platform_device_unregister(vamdgpu_pdevs[i]);
		vamdgpu_pdevs[i] = NULL;
	}
	platform_driver_unregister(&vamdgpu_driver);
	gfx9_hive_destroy(vamdgpu_hive);
}

static int vamdgpu_devices_add(void)
{
	unsigned int i;
	int err;

	if (link && gpus > 1) {
		vamdgpu_hive = gfx9_hive_create(vamdgpu_vram_len());
		if (!vamdgpu_hive)
			return -ENOMEM;
	}
	err = platform_driver_register(&vamdgpu_driver);
	if (err) {
		gfx9_hive_destroy(vamdgpu_hive);
		return err;
	}
	for (i = 0; i < gpus; i++) {
		err = vamdgpu_device_add(i);
		if (err) {
			vamdgpu_devices_remove();
			return err;
		}
	}
	return 0;
}

static int __init vamdgpu_init(void)
{
	int err;

	err = vamdgpu_look_for_hardware();
	if (err)
		return err;
	err = vamdgpu_check_params();
	if (err)
		return err;
	err = vamdgpu_process_module_init();
	if (err)
		return err;
	err = vamdgpu_doorbell_module_init();
	if (err)
		goto err_process;
	vamdgpu_system_limit_init(gpus * vamdgpu_vram_len());
	vamdgpu_smi_module_init();
	vamdgpu_vram_debugfs_init();
	err = vamdgpu_chardev_init();
	if (err)
		goto err_debugfs;
	err = vamdgpu_devices_add();
	if (err)
		goto err_chardev;
	vamdgpu_chardev_open_up();
	pr_info("vamdgpu: %u virtual GPU%s (software, not hardware), %u MiB VRAM each, XNACK %s\n",
		gpus, gpus == 1 ? "" : "s", vram_mb,
		vamdgpu_noretry ? "off" : "possible");
	return 0;

err_chardev:
	vamdgpu_chardev_exit();
err_debugfs:
	vamdgpu_vram_debugfs_exit();
	vamdgpu_doorbell_module_exit();
err_process:
	vamdgpu_process_module_exit();
	return err;
}

static void __exit vamdgpu_exit(void)
{
	/* Nothing is open; what dead processes left to do ends here. */
	vamdgpu_process_module_exit();
	vamdgpu_devices_remove();
	vamdgpu_chardev_exit();
	vamdgpu_vram_debugfs_exit();
	vamdgpu_doorbell_module_exit();
}

module_init(vamdgpu_init);
module_exit(vamdgpu_exit);

MODULE_DESCRIPTION("Virtual AMD GPU with a KFD interface (software, not hardware)");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(KFD_SVM);
