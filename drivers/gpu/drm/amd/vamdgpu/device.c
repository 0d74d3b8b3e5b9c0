// SPDX-License-Identifier: GPL-2.0-only
/*
 * One virtual GPU comes and goes: probe and remove of the platform driver.
 *
 * It goes at unload, or under load, when somebody writes its name to the driver's unbind
 * (and comes back through bind): hot-unplug. Processes that have it keep a place for it,
 * their struct vamdgpu_pdd, which holds the device object until they end; everything
 * they can do with it fails. A GPU that comes back is another one for them.
 *
 * Order of a removal: nobody new gets it; the render node and calls on it end; engines
 * stop, and what is mapped of its memory is unmapped; migrated pages go to RAM; its
 * place in the hive is given up. None of it can fail.
 */
#include "vamdgpu.h"

#include <linux/dev_printk.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>

#include "kfd/front.h"

/* Innermost but for spinlocks; guards the array below. */
static DEFINE_MUTEX(vamdgpu_gpus_lock);
static struct vamdgpu_device *vamdgpu_gpus[VAMDGPU_MAX_GPUS];

/* The GPU at @index, with a reference, or NULL: there is none now. */
struct vamdgpu_device *vamdgpu_device_get(unsigned int index)
{
	struct vamdgpu_device *dev;

	mutex_lock(&vamdgpu_gpus_lock);
	dev = vamdgpu_gpus[index];
	if (dev)
		drm_dev_get(&dev->drm);
	mutex_unlock(&vamdgpu_gpus_lock);
	return dev;
}

void vamdgpu_device_put(struct vamdgpu_device *dev)
{
	drm_dev_put(&dev->drm);
}

/* The GPU that node @node (from 1) of the topology stands for, or NULL; as get. */
struct vamdgpu_device *vamdgpu_device_get_node(unsigned int node)
{
	struct vamdgpu_device *dev = NULL;
	unsigned int i;

	mutex_lock(&vamdgpu_gpus_lock);
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		if (!vamdgpu_gpus[i] || --node)
			continue;
		dev = vamdgpu_gpus[i];
		drm_dev_get(&dev->drm);
		break;
	}
	mutex_unlock(&vamdgpu_gpus_lock);
	return dev;
}

unsigned int vamdgpu_device_count(void)
{
	unsigned int i, n = 0;

	mutex_lock(&vamdgpu_gpus_lock);
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++)
		n += !!vamdgpu_gpus[i];
	mutex_unlock(&vamdgpu_gpus_lock);
	return n;
}

void vamdgpu_device_publish(unsigned int index, struct vamdgpu_device *dev)
{
	mutex_lock(&vamdgpu_gpus_lock);
	vamdgpu_gpus[index] = dev;
	mutex_unlock(&vamdgpu_gpus_lock);
}

/* Fixed, so that scripts find the same GPU again; odd step: no two are equal. */
static u32 vamdgpu_gpu_id(unsigned int index)
{
	return (0x8a3b + 0x1357 * index) & 0xffff;
}

/* The last reference to the device went: no object in its VRAM is left. */
static void vamdgpu_vram_destroy(struct drm_device *drm, void *unused)
{
	gfx9_vram_destroy(container_of(drm, struct vamdgpu_device, drm)->vram);
}

static int vamdgpu_vram_create(struct vamdgpu_device *dev)
{
	int err;

	dev->vram = gfx9_vram_create(vamdgpu_vram_len(), dev->vram_phys);
	if (!dev->vram)
		return -ENOMEM;
	err = drmm_add_action_or_reset(&dev->drm, vamdgpu_vram_destroy, NULL);
	if (err) {
		/* It has been reset. */
		dev->vram = NULL;
		return err;
	}
	if (!vamdgpu_hive)
		return 0;
	return gfx9_hive_join(vamdgpu_hive, dev->vram, dev->index);
}

static int vamdgpu_svm_register(struct vamdgpu_device *dev)
{
	const struct kfd_svm_gpu_desc desc = {
		.gpu_id = dev->gpu_id,
		.gc_version = 9 << 16 | 0 << 8 | 1,
		.svm_capable = true,
		.xnack_capable = !vamdgpu_noretry,
		.vram_len = vamdgpu_vram_len(),
		.vram_coherent_start = dev->vram_phys,
		.hive_id = vamdgpu_hive_id(),
		.ops = &vamdgpu_svm_ops,
		.owner = THIS_MODULE,
		.priv = dev,
		.dma_dev = vamdgpu_dma_dev(dev),
	};

	dev->svm_gpu = kfd_svm_gpu_register(&desc);
	return PTR_ERR_OR_ZERO(dev->svm_gpu);
}

/* Everything but its place in the topology. */
static int vamdgpu_device_start(struct vamdgpu_device *dev)
{
	int err;

	err = vamdgpu_vram_create(dev);
	if (err)
		goto err_hive;
	err = vamdgpu_svm_register(dev);
	if (err)
		goto err_hive;
	err = drm_dev_register(&dev->drm, 0);
	if (err)
		goto err_svm;
	return 0;

err_svm:
	kfd_svm_gpu_unregister(dev->svm_gpu);
err_hive:
	/* Now, and not with the last reference: the next one may come before. */
	if (dev->vram)
		gfx9_hive_leave(dev->vram);
	return err;
}

/* Undoes vamdgpu_device_start() and all that processes have done with the GPU since. */
static void vamdgpu_device_stop(struct vamdgpu_device *dev)
{
	drm_dev_unplug(&dev->drm);
	vamdgpu_processes_lose(dev);
	kfd_svm_gpu_unregister(dev->svm_gpu);
	/* After the last move was told. */
	vamdgpu_smi_hang_up(dev);
	gfx9_hive_leave(dev->vram);
}

static int vamdgpu_device_create(struct platform_device *pdev)
{
	struct vamdgpu_device *dev;
	int err;

	dev = vamdgpu_drm_create(pdev);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev->index = pdev->id;
	dev->gpu_id = vamdgpu_gpu_id(pdev->id);
	dev->vram_phys = vamdgpu_vram_phys(pdev->id);
	err = vamdgpu_device_start(dev);
	if (err)
		return err;
	err = vamdgpu_topology_update(dev->index, dev);
	if (err) {
		vamdgpu_topology_update(dev->index, NULL);
		vamdgpu_device_stop(dev);
		return err;
	}
	vamdgpu_vram_debugfs_add(dev);
	platform_set_drvdata(pdev, dev);
	return 0;
}

static int vamdgpu_probe(struct platform_device *pdev)
{
	u64 start, len = vamdgpu_vram_len();
	int err;

	if (pdev->id < 0 || pdev->id >= VAMDGPU_MAX_GPUS)
		return -ENODEV;
	start = vamdgpu_vram_phys(pdev->id);
	if (start) {
		err = vamdgpu_region_claim(start, len);
		if (err)
			goto out;
	}
	err = vamdgpu_device_create(pdev);
	if (err && start)
		vamdgpu_region_release(start, len);
out:
	vamdgpu_probed(pdev->id, err);
	return err;
}

static void vamdgpu_remove(struct platform_device *pdev)
{
	struct vamdgpu_device *dev = platform_get_drvdata(pdev);

	vamdgpu_topology_update(dev->index, NULL);
	vamdgpu_vram_debugfs_remove(dev);
	vamdgpu_device_stop(dev);
	if (dev->vram_phys)
		vamdgpu_region_release(dev->vram_phys, gfx9_vram_size(dev->vram));
}

static ssize_t product_name_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "kfdsvm virtual GPU (software, not hardware)\n");
}
static DEVICE_ATTR_RO(product_name);

static struct attribute *vamdgpu_pdev_attrs[] = {
	&dev_attr_product_name.attr,
	NULL,
};
ATTRIBUTE_GROUPS(vamdgpu_pdev);

struct platform_driver vamdgpu_driver = {
	.probe = vamdgpu_probe,
	.remove = vamdgpu_remove,
	.driver = {
		.name = "vamdgpu",
		.dev_groups = vamdgpu_pdev_groups,
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};
