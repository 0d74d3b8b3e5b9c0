// SPDX-License-Identifier: MIT
/*
 * GPUs as the driver shows them in sysfs: nodes 0, 1, 2, ... without a gap, a
 * CPU having gpu_id 0. A node whose gpu_id may not be read belongs to another
 * cgroup and counts as not there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A properties file is one page; 64 KiB pages exist, but no such long file. */
#define PROPERTIES_LEN	8192
#define CAP_SVM		0x08000000u
#define CAP_COHERENT	0x10000000u	/* the CPU uses its VRAM like memory */

static ssize_t read_node(const struct kfdsvm_sys *sys, unsigned int node, const char *file,
			 char *buf, size_t len)
{
	char path[160];

	snprintf(path, sizeof(path), SYS_TOPOLOGY "/nodes/%u/%s", node, file);
	return sys->read_file(sys->ctx, path, buf, len);
}

/* Value of line "@name number" in @text, 0 if there is none. */
static uint64_t property(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *line = text;

	while (line && *line) {
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return 0;
}

/* gpu_id of a node, 0 for a CPU or a hidden one; -ENOENT past the last node. */
static int node_gpu_id(const struct kfdsvm_sys *sys, unsigned int node, uint32_t *gpu_id)
{
	char buf[32];
	ssize_t ret = read_node(sys, node, "gpu_id", buf, sizeof(buf));

	*gpu_id = 0;
	if (ret == -EPERM || ret == -EACCES)
		return 0;
	if (ret < 0)
		return (int)ret;
	*gpu_id = (uint32_t)strtoul(buf, NULL, 10);
	return 0;
}

int kfdsvm_topology_count(const struct kfdsvm_sys *sys, unsigned int *ngpus)
{
	unsigned int node;
	uint32_t gpu_id;
	int ret = 0;

	*ngpus = 0;
	for (node = 0; node < KFDSVM_MAX_NODES; node++) {
		ret = node_gpu_id(sys, node, &gpu_id);
		if (ret)
			break;
		*ngpus += gpu_id != 0;
	}
	/* Not even a CPU node: no topology. */
	if (ret == -ENOENT && node > 0)
		ret = 0;
	if (*ngpus > KFDSVM_MAX_GPUS)
		*ngpus = KFDSVM_MAX_GPUS;
	return ret;
}

void kfdsvm_gfx_name(uint32_t gfx_version, char *buf, size_t len)
{
	snprintf(buf, len, "gfx%" PRIu32 "%" PRIx32 "%" PRIx32, gfx_version / 10000,
		 gfx_version / 100 % 100, gfx_version % 100);
}

/* The driver's own rule, by generation; kfd-svm-semantics.md 1.6. */
enum kfdsvm_xnack_support kfdsvm_xnack_support(uint32_t gfx_version)
{
	switch (gfx_version) {
	case 90010:	/* MI200 */
	case 90400:	/* MI300 */
	case 90401:
	case 90402:
	case 90500:	/* MI350 */
		return KFDSVM_XNACK_PROCESS;
	}
	return gfx_version >= 100101 ? KFDSVM_XNACK_NEVER : KFDSVM_XNACK_DRIVER;
}

/* Heap types 1 and 2 are the GPU's memory, visible to the CPU or not. */
static uint64_t vram_len(const struct kfdsvm_sys *sys, unsigned int node, uint64_t nbanks,
			 char *buf, size_t len)
{
	uint64_t total = 0, heap;
	char file[64];

	for (unsigned int bank = 0; bank < nbanks && bank < 64; bank++) {
		snprintf(file, sizeof(file), "mem_banks/%u/properties", bank);
		if (read_node(sys, node, file, buf, len) < 0)
			continue;
		heap = property(buf, "heap_type");
		if (heap == 1 || heap == 2)
			total += property(buf, "size_in_bytes");
	}
	return total;
}

static void read_gpu(const struct kfdsvm_sys *sys, unsigned int node, uint32_t gpu_id,
		     struct kfdsvm_device *dev)
{
	struct kfdsvm_device_info *info = &dev->info;
	char buf[PROPERTIES_LEN];
	uint64_t nbanks;

	info->node = node;
	info->gpu_id = gpu_id;
	if (read_node(sys, node, "name", info->name, sizeof(info->name)) < 0)
		info->name[0] = '\0';
	info->name[strcspn(info->name, "\n")] = '\0';
	if (read_node(sys, node, "properties", buf, sizeof(buf)) < 0) {
		kfdsvm_why_set(&dev->why, KFDSVM_REASON_NO_TOPOLOGY, -EIO,
			       "properties of node %u cannot be read", node);
		return;
	}
	info->svm = !!(property(buf, "capability") & CAP_SVM);
	info->gfx_version = (uint32_t)property(buf, "gfx_target_version");
	info->xnack = kfdsvm_xnack_support(info->gfx_version);
	info->render_minor = (uint32_t)property(buf, "drm_render_minor");
	info->vendor_id = (uint32_t)property(buf, "vendor_id");
	info->device_id = (uint32_t)property(buf, "device_id");
	kfdsvm_gfx_name(info->gfx_version, info->gfx_name, sizeof(info->gfx_name));
	nbanks = property(buf, "mem_banks_count");
	if (property(buf, "capability") & CAP_COHERENT)
		dev->migration = KFDSVM_MIGRATION_COHERENT;
	info->vram_len = vram_len(sys, node, nbanks, buf, sizeof(buf));
	if (!info->vram_len)
		dev->migration = KFDSVM_MIGRATION_NONE;
}

void kfdsvm_topology_read(const struct kfdsvm_sys *sys, struct kfdsvm *h, unsigned int room)
{
	uint32_t gpu_id;

	for (unsigned int node = 0; node < KFDSVM_MAX_NODES && h->ndevices < room; node++) {
		if (node_gpu_id(sys, node, &gpu_id))
			break;
		if (gpu_id)
			read_gpu(sys, node, gpu_id, &h->devices[h->ndevices++]);
	}
}
