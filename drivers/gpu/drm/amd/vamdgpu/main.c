// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual GPUs of this machine: made at load, gone at unload, never in
 * between. The module is held by every open file of /dev/kfd and of the render
 * nodes, so no process is left when it unloads.
 */
#include "vamdgpu.h"

#include <linux/device/driver.h>
#include <linux/kfdsvm_compat.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include <drm/drm_drv.h>

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

unsigned int vamdgpu_ngpus;
struct vamdgpu_device *vamdgpu_gpus[VAMDGPU_MAX_GPUS];

static struct gfx9_hive *vamdgpu_hive;

#define VAMDGPU_MIN_VRAM_MB	16

struct vamdgpu_device *vamdgpu_device_by_id(u32 gpu_id)
{
	unsigned int i;

	for (i = 0; i < vamdgpu_ngpus; i++)
		if (vamdgpu_gpus[i]->gpu_id == gpu_id)
			return vamdgpu_gpus[i];
	return NULL;
}

struct vamdgpu_pdd *vamdgpu_pdd_by_id(struct vamdgpu_process *p, u32 gpu_id)
{
	struct vamdgpu_device *dev = vamdgpu_device_by_id(gpu_id);

	return dev ? p->pdds[dev->index] : NULL;
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

/* Fixed, so that scripts find the same GPU again; odd step: no two are equal. */
static u32 vamdgpu_gpu_id(unsigned int index)
{
	return (0x8a3b + 0x1357 * index) & 0xffff;
}

static int vamdgpu_vram_create(struct vamdgpu_device *dev, u64 len)
{
	u64 start = vram_phys[dev->index];
	int err;

	if (start) {
		err = vamdgpu_region_claim(start, len);
		if (err)
			return err;
	}
	err = -ENOMEM;
	dev->vram = gfx9_vram_create(len, start);
	if (!dev->vram)
		goto err_region;
	dev->vram_phys = start;
	if (vamdgpu_hive) {
		err = gfx9_hive_join(vamdgpu_hive, dev->vram, dev->index);
		if (err)
			goto err_vram;
	}
	return 0;

err_vram:
	gfx9_vram_destroy(dev->vram);
err_region:
	if (start)
		vamdgpu_region_release(start, len);
	return err;
}

static void vamdgpu_vram_destroy(struct vamdgpu_device *dev)
{
	u64 len = gfx9_vram_size(dev->vram);

	gfx9_vram_destroy(dev->vram);
	if (dev->vram_phys)
		vamdgpu_region_release(dev->vram_phys, len);
}

static int vamdgpu_device_create(unsigned int index)
{
	struct kfd_svm_gpu_desc desc = {
		.gpu_id = vamdgpu_gpu_id(index),
		.gc_version = 9 << 16 | 0 << 8 | 1,
		.svm_capable = true,
		.xnack_capable = !vamdgpu_noretry,
		.vram_len = (u64)vram_mb * SZ_1M,
		.vram_coherent_start = vram_phys[index],
		.hive_id = vamdgpu_hive_id(),
		.ops = &vamdgpu_svm_ops,
		.owner = THIS_MODULE,
	};
	struct vamdgpu_device *dev;
	int err;

	dev = vamdgpu_drm_create(index);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev->index = index;
	dev->gpu_id = desc.gpu_id;

	err = vamdgpu_vram_create(dev, desc.vram_len);
	if (err)
		goto err_drm;
	desc.priv = dev;
	desc.dma_dev = vamdgpu_dma_dev(dev);
	dev->svm_gpu = kfd_svm_gpu_register(&desc);
	if (IS_ERR(dev->svm_gpu)) {
		err = PTR_ERR(dev->svm_gpu);
		goto err_vram;
	}
	err = drm_dev_register(&dev->drm, 0);
	if (err)
		goto err_svm;
	vamdgpu_gpus[index] = dev;
	return 0;

err_svm:
	kfd_svm_gpu_unregister(dev->svm_gpu);
err_vram:
	vamdgpu_vram_destroy(dev);
err_drm:
	vamdgpu_drm_destroy(dev);
	return err;
}

static void vamdgpu_device_destroy(struct vamdgpu_device *dev)
{
	drm_dev_unregister(&dev->drm);
	kfd_svm_gpu_unregister(dev->svm_gpu);
	vamdgpu_vram_destroy(dev);
	vamdgpu_drm_destroy(dev);
}

static void vamdgpu_devices_destroy(void)
{
	while (vamdgpu_ngpus)
		vamdgpu_device_destroy(vamdgpu_gpus[--vamdgpu_ngpus]);
	gfx9_hive_destroy(vamdgpu_hive);
}

static int vamdgpu_devices_create(void)
{
	int err;

	if (link && gpus > 1) {
		vamdgpu_hive = gfx9_hive_create((u64)vram_mb * SZ_1M);
		if (!vamdgpu_hive)
			return -ENOMEM;
	}
	while (vamdgpu_ngpus < gpus) {
		err = vamdgpu_device_create(vamdgpu_ngpus);
		if (err) {
			vamdgpu_devices_destroy();
			return err;
		}
		vamdgpu_ngpus++;
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
	err = vamdgpu_devices_create();
	if (err)
		goto err_doorbell;
	vamdgpu_system_limit_init();
	vamdgpu_smi_module_init();
	vamdgpu_vram_debugfs_init();
	err = vamdgpu_chardev_init();
	if (err)
		goto err_devices;
	pr_info("vamdgpu: %u virtual GPU%s (software, not hardware), %u MiB VRAM each, XNACK %s\n",
		vamdgpu_ngpus, vamdgpu_ngpus == 1 ? "" : "s", vram_mb,
		vamdgpu_noretry ? "off" : "possible");
	return 0;

err_devices:
	vamdgpu_vram_debugfs_exit();
	vamdgpu_devices_destroy();
err_doorbell:
	vamdgpu_doorbell_module_exit();
err_process:
	vamdgpu_process_module_exit();
	return err;
}

static void __exit vamdgpu_exit(void)
{
	/* Nothing is open; what dead processes left to do ends here. */
	vamdgpu_process_module_exit();
	vamdgpu_chardev_exit();
	vamdgpu_vram_debugfs_exit();
	vamdgpu_devices_destroy();
	vamdgpu_doorbell_module_exit();
}

module_init(vamdgpu_init);
module_exit(vamdgpu_exit);

MODULE_DESCRIPTION("Virtual AMD GPU with a KFD interface (software, not hardware)");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(KFD_SVM);
