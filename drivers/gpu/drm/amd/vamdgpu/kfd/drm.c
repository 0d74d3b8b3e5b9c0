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
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
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
 * @dummy: what its mappings show in place of VRAM, once the GPU is gone. Made now,
 *	since nothing can fail then; nobody else's
 */
struct vamdgpu_drm_priv {
	struct vamdgpu_pdd *owner;
	struct page *dummy;
};

static int vamdgpu_drm_open(struct drm_device *drm, struct drm_file *file)
{
	struct vamdgpu_drm_priv *priv;

	priv = kzalloc(sizeof(*priv), GFP_KERNEL_ACCOUNT);
	if (!priv)
		return -ENOMEM;
	priv->dummy = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!priv->dummy) {
		kfree(priv);
		return -ENOMEM;
	}
	file->driver_priv = priv;
	return 0;
}

static void vamdgpu_drm_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct vamdgpu_drm_priv *priv = file->driver_priv;

	/* A process that acquired with it would hold a reference, a mapping the file. */
	__free_page(priv->dummy);
	kfree(priv);
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

struct vamdgpu_device *vamdgpu_drm_create(struct platform_device *pdev)
{
	struct vamdgpu_device *dev;

	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	dev = devm_drm_dev_alloc(&pdev->dev, &vamdgpu_drm_driver,
				 struct vamdgpu_device, drm);
	if (!IS_ERR(dev))
		dev->pdev = pdev;
	return dev;
}

/* What a mapping of @file shows in place of VRAM that is gone. */
struct page *vamdgpu_drm_dummy_page(struct file *file)
{
	struct drm_file *drm_file = file->private_data;
	struct vamdgpu_drm_priv *priv = drm_file->driver_priv;

	return priv->dummy;
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
