// SPDX-License-Identifier: MIT
/* Opening a GPU: /dev/kfd, topology, render node, VM. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kt.h"

#define NODES "/sys/class/kfd/kfd/topology/nodes"

int kt_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static int node_gpu_id(unsigned int node, uint32_t *gpu_id)
{
	char path[96], text[32];
	int ret;

	snprintf(path, sizeof(path), NODES "/%u/gpu_id", node);
	ret = kt_read_file(path, text, sizeof(text));
	if (ret < 0)
		return ret;
	*gpu_id = (uint32_t)strtoul(text, NULL, 0);
	return 0;
}

int kt_find_node(int node, unsigned int *found)
{
	uint32_t gpu_id;
	unsigned int i;
	int ret;

	for (i = node < 0 ? 0 : (unsigned int)node; ; i++) {
		ret = node_gpu_id(i, &gpu_id);
		if (ret)
			return ret == -ENOENT ? -ENODEV : ret;
		if (gpu_id) {
			*found = i;
			return 0;
		}
		if (node >= 0)
			return -ENODEV;	/* that node is a CPU */
	}
}

int kt_node_property(unsigned int node, const char *name, uint64_t *value)
{
	char path[96], text[4096], *line, *save;
	size_t len = strlen(name);
	int ret;

	snprintf(path, sizeof(path), NODES "/%u/properties", node);
	ret = kt_read_file(path, text, sizeof(text));
	if (ret < 0)
		return ret;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, name, len) && line[len] == ' ') {
			*value = strtoull(line + len + 1, NULL, 0);
			return 0;
		}
	}
	return -ENOENT;
}

static int get_aperture(struct kt_dev *dev)
{
	struct kfd_process_device_apertures aps[64];
	struct kfd_ioctl_get_process_apertures_new_args args = {
		.kfd_process_device_apertures_ptr = (uintptr_t)aps,
		.num_of_nodes = KT_ARRAY_SIZE(aps),
	};
	int ret;

	memset(aps, 0, sizeof(aps));
	ret = kt_ioctl(dev->kfd, AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, &args);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < args.num_of_nodes; i++) {
		if (aps[i].gpu_id != dev->gpu_id)
			continue;
		dev->va_base = aps[i].gpuvm_base;
		dev->va_limit = aps[i].gpuvm_limit;
		return 0;
	}
	return -ENODEV;
}

int kt_open_kfd(struct kt_dev *dev, int node)
{
	int ret;

	memset(dev, 0, sizeof(*dev));
	dev->kfd = -1;
	dev->drm = -1;
	dev->virt = !access("/sys/module/vamdgpu/initstate", F_OK);
	ret = kt_find_node(node, &dev->node);
	if (!ret)
		ret = node_gpu_id(dev->node, &dev->gpu_id);
	if (ret)
		return ret;
	dev->kfd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
	if (dev->kfd < 0)
		return -errno;
	return get_aperture(dev);
}

int kt_open_render(struct kt_dev *dev)
{
	uint64_t minor;
	char path[64];
	int ret;

	ret = kt_node_property(dev->node, "drm_render_minor", &minor);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/dev/dri/renderD%u", (unsigned int)minor);
	dev->drm = open(path, O_RDWR | O_CLOEXEC);
	return dev->drm < 0 ? -errno : 0;
}

int kt_acquire_vm(struct kt_dev *dev)
{
	struct kfd_ioctl_acquire_vm_args args = {
		.drm_fd = (uint32_t)dev->drm,
		.gpu_id = dev->gpu_id,
	};

	return kt_ioctl(dev->kfd, AMDKFD_IOC_ACQUIRE_VM, &args);
}

int kt_open(struct kt_dev *dev, int node)
{
	int ret;

	ret = kt_open_kfd(dev, node);
	if (!ret)
		ret = kt_open_render(dev);
	if (!ret)
		ret = kt_acquire_vm(dev);
	return ret;
}

void kt_close(struct kt_dev *dev)
{
	if (dev->drm >= 0)
		close(dev->drm);
	if (dev->kfd >= 0)
		close(dev->kfd);
	dev->drm = -1;
	dev->kfd = -1;
}

int kt_xnack(int kfd, int32_t *mode)
{
	struct kfd_svm_xnack_args args = { .xnack_enabled = *mode };
	int ret;

	ret = kt_ioctl(kfd, KFD_SVM_IOC_XNACK, &args);
	*mode = args.xnack_enabled;
	return ret;
}
