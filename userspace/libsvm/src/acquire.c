// SPDX-License-Identifier: MIT
/*
 * Acquiring a GPU's address space, in company.
 *
 * The driver ties a process's address space on a GPU to the first DRM file it
 * is given (ACQUIRE_VM), until the process ends. A second caller with the same
 * file is welcome; one with another file gets EBUSY. So:
 *
 *  - Whoever comes second to us must come with our file. libdrm keeps one device
 *    per render node in a process, and libhsakmt since ROCm 6 takes its file
 *    from there (amdgpu_device_get_fd). We do the same, and never give the
 *    device back: once libdrm forgot it, the next one would get another file.
 *  - If we come second, EBUSY means that the process has the address space
 *    already, and that is all that SVM needs.
 *  - libhsakmt before ROCm 6 opens render nodes for itself and keeps them open.
 *    If it is loaded but has not opened yet, it must come first: nudge it. It
 *    cannot be kept open: libhsa-runtime fails when it finds it open.
 *  - A child of fork inherits libdrm's device, whose file the driver refuses to
 *    another process (EINVAL). Ours is dropped at fork (drm.c); libhsakmt's goes
 *    when it is opened in the child: nudge it then, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"
#include "kfd.h"

#define HIDDEN_ROOM 128u

static int acquire_vm(struct kfdsvm *h, uint32_t gpu_id, int drm_fd)
{
	struct kfd_acquire_vm_args args = {
		.drm_fd = (uint32_t)drm_fd,
		.gpu_id = gpu_id,
	};
	int ret = kfdsvm_ioctl(h, KFD_IOC_ACQUIRE_VM, &args);

	return ret == -EBUSY ? 0 : ret;
}

/* With libdrm's file if there is one, else with @fd, which nobody can share. */
static int acquire_shared(struct kfdsvm *h, const struct kfdsvm_device *dev, int fd)
{
	const struct kfdsvm_sys *sys = h->sys;
	int shared = sys->drm_share(sys->ctx, dev->info.render_minor, fd);

	return acquire_vm(h, dev->info.gpu_id, shared >= 0 ? shared : fd);
}

static int acquire_fd(struct kfdsvm *h, const struct kfdsvm_device *dev, int fd, bool *nudged)
{
	const struct kfdsvm_sys *sys = h->sys;
	int ret = acquire_shared(h, dev, fd);

	if (!ret)
		return 0;
	/* Refused: libdrm's file may be the parent's. */
	sys->drm_drop(sys->ctx, dev->info.render_minor);
	if (!*nudged && sys->thunk(sys->ctx) != KFDSVM_THUNK_NONE) {
		*nudged = true;
		sys->thunk_nudge(sys->ctx);
		ret = acquire_shared(h, dev, fd);
		if (!ret)
			return 0;
		sys->drm_drop(sys->ctx, dev->info.render_minor);
	}
	return acquire_vm(h, dev->info.gpu_id, fd);
}

static void acquire(struct kfdsvm *h, struct kfdsvm_device *dev, bool *nudged)
{
	const struct kfdsvm_sys *sys = h->sys;
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/dri/renderD%u", dev->info.render_minor);
	fd = dev->info.render_minor ? sys->open(sys->ctx, path, O_RDWR) : -ENOENT;
	if (fd == -ENOENT || fd == -ENXIO || fd == -ENODEV) {
		kfdsvm_why_set(&dev->why, KFDSVM_REASON_RENDER_MISSING, fd,
			       "there is no %s", path);
		kfdsvm_why_fix(&dev->why, "in a container pass --device=/dev/dri");
		return;
	}
	if (fd == -EACCES || fd == -EPERM) {
		kfdsvm_why_permission(&dev->why, sys, KFDSVM_REASON_RENDER_PERMISSION, fd, path);
		return;
	}
	if (fd < 0) {
		kfdsvm_why_set(&dev->why, KFDSVM_REASON_RENDER_ERROR, fd,
			       "%s cannot be opened, errno %d", path, -fd);
		return;
	}
	ret = acquire_fd(h, dev, fd, nudged);
	/* The driver has its own reference to the file by now. */
	sys->close(sys->ctx, fd);
	if (ret) {
		kfdsvm_why_set(&dev->why, KFDSVM_REASON_ACQUIRE, ret,
			       "ACQUIRE_VM of gpu %u through %s fails, errno %d",
			       dev->info.gpu_id, path, -ret);
		kfdsvm_why_fix(&dev->why, "look in the kernel log; after fork, exec a new program "
			       "or open in the child before any other GPU library");
		return;
	}
	dev->info.usable = 1;
}

/*
 * Mark what the process cannot see: device cgroups hide GPUs from it. The driver
 * fills in as many as there is room for and does not tell of more, so there is
 * room for GPUs that the topology hides.
 */
static int find_hidden(struct kfdsvm *h)
{
	const unsigned int room = h->ndevices + HIDDEN_ROOM;
	struct kfd_apertures_args args = { .napertures = room };
	struct kfd_apertures *apertures = calloc(room, sizeof(*apertures));
	int ret;

	if (!apertures)
		return -ENOMEM;
	args.apertures = (uintptr_t)apertures;
	ret = kfdsvm_ioctl(h, KFD_IOC_APERTURES, &args);
	for (unsigned int i = 0; !ret && i < h->ndevices; i++) {
		struct kfdsvm_device *dev = &h->devices[i];
		unsigned int j = 0;

		while (j < args.napertures && apertures[j].gpu_id != dev->info.gpu_id)
			j++;
		if (j < args.napertures || dev->why.reason)
			continue;
		kfdsvm_why_set(&dev->why, KFDSVM_REASON_GPU_HIDDEN, -ENODEV,
			       "gpu %u is in the topology but not among this process's GPUs",
			       dev->info.gpu_id);
		kfdsvm_why_fix(&dev->why, "allow its render node in the device cgroup");
	}
	free(apertures);
	return ret;
}

void kfdsvm_acquire_all(struct kfdsvm *h)
{
	const struct kfdsvm_sys *sys = h->sys;
	bool nudged = false;
	int ret = find_hidden(h);

	if (ret) {
		kfdsvm_why_set(&h->why, KFDSVM_REASON_KFD_ERROR, ret,
			       "GET_PROCESS_APERTURES fails, errno %d", -ret);
		return;
	}
	if (sys->thunk(sys->ctx) == KFDSVM_THUNK_PRIVATE) {
		nudged = true;
		sys->thunk_nudge(sys->ctx);
	}
	for (unsigned int i = 0; i < h->ndevices; i++) {
		struct kfdsvm_device *dev = &h->devices[i];

		if (dev->why.reason)
			continue;
		if (dev->info.svm) {
			acquire(h, dev, &nudged);
			continue;
		}
		kfdsvm_why_set(&dev->why, KFDSVM_REASON_GPU_NO_SVM, -ENODEV,
			       "gpu %u (%s) does not announce SVM", dev->info.gpu_id,
			       dev->info.gfx_name);
		if (dev->info.gfx_version && dev->info.gfx_version < 90001)
			kfdsvm_why_fix(&dev->why, "use a GPU of generation GFX9 (Vega) or later");
		else
			kfdsvm_why_fix(&dev->why, "use a kernel with CONFIG_HSA_AMD_SVM=y "
				       "(needs CONFIG_DEVICE_PRIVATE=y)");
	}
}
