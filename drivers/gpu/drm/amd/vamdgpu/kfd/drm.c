// SPDX-License-Identifier: GPL-2.0-only
/*
 * The render node of a virtual GPU. It answers what libdrm_amdgpu asks to know a
 * device, and maps memory objects; its file is also the token by which a process
 * acquires the GPU's address space. There is no command submission.
 *
 * libdrm finds the node through its parent, which must be a device. It is a
 * platform device, so that it can never pass for one on PCI.
 */
#include "vamdgpu.h"

#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <uapi/drm/amdgpu_drm.h>

#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>

#include "kfd/front.h"
#include "vamdgpu_compat.h"

/**
 * struct vamdgpu_drm_priv - what is ours of an open file of the render node
 * @owner: the process and GPU that acquired an address space with it; one at a
 *	time, changed by cmpxchg()
 */
struct vamdgpu_drm_priv {
	struct vamdgpu_pdd *owner;
};

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

static int vamdgpu_drm_open(struct drm_device *drm, struct drm_file *file)
{
	struct vamdgpu_drm_priv *priv;

	priv = kzalloc(sizeof(*priv), GFP_KERNEL_ACCOUNT);
	if (!priv)
		return -ENOMEM;
	file->driver_priv = priv;
	return 0;
}

static void vamdgpu_drm_postclose(struct drm_device *drm, struct drm_file *file)
{
	/* A process that acquired with it would hold a reference. */
	kfree(file->driver_priv);
}

static const struct drm_ioctl_desc vamdgpu_drm_ioctls[] = {
	DRM_IOCTL_DEF_DRV(AMDGPU_INFO, vamdgpu_info_ioctl, DRM_RENDER_ALLOW),
};

/* What is not there is not there: DRM itself would say EINVAL. */
static long vamdgpu_drm_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	unsigned int nr = DRM_IOCTL_NR(cmd);

	if (nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END &&
	    nr != DRM_COMMAND_BASE + DRM_AMDGPU_INFO)
		return -ENOTTY;
	return drm_ioctl(file, cmd, arg);
}

static const struct file_operations vamdgpu_drm_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = drm_release,
	.unlocked_ioctl = vamdgpu_drm_ioctl,
	.compat_ioctl = drm_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.mmap = drm_gem_mmap,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver vamdgpu_drm_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER,
	.open = vamdgpu_drm_open,
	.postclose = vamdgpu_drm_postclose,
	/* The name and version libdrm_amdgpu insists on. */
	.name = "amdgpu",
	.desc = "kfdsvm virtual GPU (software, not hardware)",
	VAMDGPU_DRM_DRIVER_DATE
	.major = 3,
	.minor = 57,
	.patchlevel = 0,
	.ioctls = vamdgpu_drm_ioctls,
	.num_ioctls = ARRAY_SIZE(vamdgpu_drm_ioctls),
	.fops = &vamdgpu_drm_fops,
};

struct device *vamdgpu_dma_dev(struct vamdgpu_device *dev)
{
	return &dev->pdev->dev;
}

struct vamdgpu_device *vamdgpu_drm_create(unsigned int index)
{
	const struct platform_device_info info = {
		.name = "vamdgpu",
		.id = index,
		/* The default of 32 bits would bounce every high page. */
		.dma_mask = DMA_BIT_MASK(vamdgpu_dma_bits),
	};
	struct platform_device *pdev;
	struct vamdgpu_device *dev;
	int err;

	pdev = platform_device_register_full(&info);
	if (IS_ERR(pdev))
		return ERR_CAST(pdev);
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	err = device_add_groups(&pdev->dev, vamdgpu_pdev_groups);
	if (err)
		goto err_pdev;
	/* No driver binds to it: what is devm goes with the device itself. */
	dev = devm_drm_dev_alloc(&pdev->dev, &vamdgpu_drm_driver,
				 struct vamdgpu_device, drm);
	if (IS_ERR(dev)) {
		err = PTR_ERR(dev);
		goto err_groups;
	}
	dev->pdev = pdev;
	return dev;

err_groups:
	device_remove_groups(&pdev->dev, vamdgpu_pdev_groups);
err_pdev:
	platform_device_unregister(pdev);
	return ERR_PTR(err);
}

void vamdgpu_drm_destroy(struct vamdgpu_device *dev)
{
	struct platform_device *pdev = dev->pdev;

	device_remove_groups(&pdev->dev, vamdgpu_pdev_groups);
	/* Drops the DRM device too, and @dev with it. */
	platform_device_unregister(pdev);
}

int vamdgpu_drm_file_claim(struct file *file, struct vamdgpu_pdd *pdd)
{
	struct vamdgpu_drm_priv *priv;
	struct drm_file *drm_file;

	if (file->f_op != &vamdgpu_drm_fops)
		return -EINVAL;
	drm_file = file->private_data;
	if (drm_file->minor->dev != &pdd->dev->drm)
		return -EINVAL;
	priv = drm_file->driver_priv;
	return cmpxchg(&priv->owner, NULL, pdd) ? -EINVAL : 0;
}

void vamdgpu_drm_file_release(struct file *file, struct vamdgpu_pdd *pdd)
{
	struct drm_file *drm_file = file->private_data;
	struct vamdgpu_drm_priv *priv = drm_file->driver_priv;

	cmpxchg(&priv->owner, pdd, NULL);
}
