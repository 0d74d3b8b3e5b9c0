// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the topology says about a node: tables of lines "name value". Names and
 * order are those user space knows; readers skip a name they do not know.
 */
#include "vamdgpu.h"

#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/sysfs.h>

#include <asm/processor.h>

#include <drm/drm_file.h>

#include "kfd/front.h"

#define VAMDGPU_CAP_SVM			0x08000000U
#define VAMDGPU_CAP_DOORBELL_TYPE_2	0x00002000U

#define VAMDGPU_HEAP_SYSTEM		0
#define VAMDGPU_HEAP_FB_PUBLIC		1

#define VAMDGPU_CACHE_DATA		BIT(0)
#define VAMDGPU_CACHE_INSTRUCTION	BIT(1)
#define VAMDGPU_CACHE_CPU		BIT(2)
#define VAMDGPU_CACHE_HSACU		BIT(3)

#define VAMDGPU_LINK_PCIE		2
#define VAMDGPU_LINK_XGMI		11

struct vamdgpu_prop {
	const char *name;
	u64 value;
};

static int vamdgpu_emit(const struct vamdgpu_prop *props, unsigned int n,
			char *buf, int at)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		at += sysfs_emit_at(buf, at, "%s %llu\n", props[i].name,
				    props[i].value);
	return at;
}

static ssize_t vamdgpu_cpu_properties(char *buf)
{
	const struct vamdgpu_prop props[] = {
		{ "cpu_cores_count", num_online_cpus() },
		{ "simd_count", 0 },
		{ "mem_banks_count", 1 },
		{ "caches_count", vamdgpu_topo_count(0, VAMDGPU_TOPO_CACHE) },
		{ "io_links_count", vamdgpu_topo_count(0, VAMDGPU_TOPO_IO_LINK) },
		{ "p2p_links_count", 0 },
		{ "cpu_core_id_base", 0 },
		{ "simd_id_base", 0 },
		{ "max_waves_per_simd", 0 },
		{ "lds_size_in_kb", 0 },
		{ "gds_size_in_kb", 0 },
		{ "num_gws", 0 },
		{ "wave_front_size", 0 },
		{ "array_count", 0 },
		{ "simd_arrays_per_engine", 0 },
		{ "cu_per_simd_array", 0 },
		{ "simd_per_cu", 0 },
		{ "max_slots_scratch_cu", 0 },
		{ "gfx_target_version", 0 },
		{ "vendor_id", 0 },
		{ "device_id", 0 },
		{ "location_id", 0 },
		{ "domain", 0 },
		{ "drm_render_minor", 0 },
		{ "hive_id", 0 },
		{ "num_sdma_engines", 0 },
		{ "num_sdma_xgmi_engines", 0 },
		{ "num_sdma_queues_per_engine", 0 },
		{ "num_cp_queues", 0 },
		{ "cwsr_size", 0 },
		{ "ctl_stack_size", 0 },
		{ "max_engine_clk_ccompute", cpu_khz / 1000 },
	};

	return vamdgpu_emit(props, ARRAY_SIZE(props), buf, 0);
}

static ssize_t vamdgpu_gpu_properties(unsigned int node,
				      struct vamdgpu_device *dev, char *buf)
{
	const struct vamdgpu_prop props[] = {
		{ "cpu_cores_count", 0 },
		{ "simd_count", 4 * VAMDGPU_NUM_CU },
		{ "mem_banks_count", 1 },
		{ "caches_count", vamdgpu_topo_count(node, VAMDGPU_TOPO_CACHE) },
		{ "io_links_count", vamdgpu_topo_count(node, VAMDGPU_TOPO_IO_LINK) },
		{ "p2p_links_count", 0 },
		{ "cpu_core_id_base", 0 },
		{ "simd_id_base", 0x80001000U + 0x1000 * dev->index },
		{ "max_waves_per_simd", 10 },
		{ "lds_size_in_kb", 64 },
		{ "gds_size_in_kb", 0 },
		{ "num_gws", 0 },
		{ "wave_front_size", 64 },
		{ "array_count", VAMDGPU_NUM_SE },
		{ "simd_arrays_per_engine", 1 },
		{ "cu_per_simd_array", VAMDGPU_NUM_CU / VAMDGPU_NUM_SE },
		{ "simd_per_cu", 4 },
		{ "max_slots_scratch_cu", 32 },
		{ "gfx_target_version", 90000 },
		{ "vendor_id", VAMDGPU_PCI_VENDOR },
		{ "device_id", VAMDGPU_PCI_DEVICE },
		{ "location_id", (dev->index + 1) << 8 },
		{ "domain", 0 },
		{ "drm_render_minor", dev->drm.render->index },
		{ "hive_id", vamdgpu_hive_id() },
		{ "num_sdma_engines", VAMDGPU_NUM_SDMA },
		{ "num_sdma_xgmi_engines", 0 },
		{ "num_sdma_queues_per_engine", 2 },
		{ "num_cp_queues", 24 },
		{ "cwsr_size", 0 },
		{ "ctl_stack_size", 0 },
		{ "max_engine_clk_fcompute", VAMDGPU_ENGINE_MHZ },
		{ "local_mem_size", 0 },
		{ "fw_version", VAMDGPU_MEC_FW },
		{ "capability", VAMDGPU_CAP_SVM | VAMDGPU_CAP_DOORBELL_TYPE_2 },
		{ "debug_prop", 0 },
		{ "sdma_fw_version", VAMDGPU_SDMA_FW },
		{ "unique_id", dev->gpu_id },
		{ "num_xcc", 1 },
		{ "max_engine_clk_ccompute", 0 },
	};

	return vamdgpu_emit(props, ARRAY_SIZE(props), buf, 0);
}

static ssize_t vamdgpu_bank_properties(struct vamdgpu_device *dev, char *buf)
{
	const bool cpu = !dev;
	const struct vamdgpu_prop props[] = {
		{ "heap_type", cpu ? VAMDGPU_HEAP_SYSTEM : VAMDGPU_HEAP_FB_PUBLIC },
		{ "size_in_bytes", cpu ? (u64)totalram_pages() << PAGE_SHIFT :
				   gfx9_vram_size(dev->vram) },
		{ "flags", 0 },
		{ "width", cpu ? 64 : VAMDGPU_MEMORY_WIDTH },
		{ "mem_clk_max", cpu ? 0 : VAMDGPU_MEMORY_MHZ },
	};

	return vamdgpu_emit(props, ARRAY_SIZE(props), buf, 0);
}

/**
 * struct vamdgpu_cache - a cache of the modelled chip
 * @level: 1 is next to the unit
 * @len_kb: size
 * @line_len: bytes of a line
 * @type: VAMDGPU_CACHE_*
 * @ncus: compute units that share it
 */
struct vamdgpu_cache {
	u32 level;
	u32 len_kb;
	u32 line_len;
	u32 type;
	u32 ncus;
};

/* One of each kind; real topologies repeat them for each compute unit. */
static const struct vamdgpu_cache vamdgpu_gpu_caches[] = {
	{ 1, 16, 64, VAMDGPU_CACHE_DATA | VAMDGPU_CACHE_HSACU, 1 },
	{ 1, 32, 64, VAMDGPU_CACHE_INSTRUCTION | VAMDGPU_CACHE_HSACU, 3 },
	{ 1, 16, 64, VAMDGPU_CACHE_DATA | VAMDGPU_CACHE_HSACU, 3 },
	{ 2, 4096, 64, VAMDGPU_CACHE_DATA | VAMDGPU_CACHE_HSACU, VAMDGPU_NUM_CU },
};

/*
 * The CPU's last level only: user space wants at least one, and reads the rest
 * elsewhere. A VM may show none.
 */
static struct vamdgpu_cache vamdgpu_cpu_cache(void)
{
	return (struct vamdgpu_cache){
		.level = 2,
		.len_kb = boot_cpu_data.x86_cache_size > 0 ?
			  boot_cpu_data.x86_cache_size : 512,
		.line_len = boot_cpu_data.x86_clflush_size ?: 64,
		.type = VAMDGPU_CACHE_DATA | VAMDGPU_CACHE_CPU,
		.ncus = num_online_cpus(),
	};
}

/* @dev: NULL for the CPU's. Processors keep their ids when GPUs before them go. */
static ssize_t vamdgpu_cache_properties(const struct vamdgpu_device *dev,
					unsigned int index, char *buf)
{
	const struct vamdgpu_cache cache =
		dev ? vamdgpu_gpu_caches[index] : vamdgpu_cpu_cache();
	const struct vamdgpu_prop props[] = {
		{ "processor_id_low", dev ? 0x80001000U + 0x1000 * dev->index : 0 },
		{ "level", cache.level },
		{ "size", cache.len_kb },
		{ "cache_line_size", cache.line_len },
		{ "cache_lines_per_tag", 1 },
		{ "association", 16 },
		{ "latency", 0 },
		{ "type", cache.type },
	};
	unsigned int i, n = min(cache.ncus, 256U);
	int at = vamdgpu_emit(props, ARRAY_SIZE(props), buf, 0);

	at += sysfs_emit_at(buf, at, "sibling_map ");
	for (i = 0; i < n; i++)
		at += sysfs_emit_at(buf, at, "%s1", i ? "," : "");
	at += sysfs_emit_at(buf, at, "\n");
	return at;
}

/*
 * The CPU has a link to each GPU, each GPU one to the CPU and then, in a hive, one to each
 * other GPU. GPUs without a hive reach each other in no way.
 */
static unsigned int vamdgpu_link_to(unsigned int node, unsigned int index)
{
	if (!node)
		return index + 1;
	return index < node ? index : index + 1;
}

static ssize_t vamdgpu_link_properties(unsigned int node, unsigned int index,
				       char *buf)
{
	unsigned int to = vamdgpu_link_to(node, index);
	bool xgmi = node && to;
	const struct vamdgpu_prop props[] = {
		{ "type", xgmi ? VAMDGPU_LINK_XGMI : VAMDGPU_LINK_PCIE },
		{ "version_major", 0 },
		{ "version_minor", 0 },
		{ "node_from", node },
		{ "node_to", to },
		{ "weight", xgmi ? 15 : 20 },	/* of a hop */
		{ "min_latency", 0 },
		{ "max_latency", 0 },
		{ "min_bandwidth", xgmi ? 50000 : 312 },
		{ "max_bandwidth", xgmi ? 100000 : 16000 },
		{ "recommended_transfer_size", 0 },
		{ "recommended_sdma_engine_id_mask", 0 },
		{ "flags", 1 },	/* enabled, 32 and 64 bit atomics */
	};

	return vamdgpu_emit(props, ARRAY_SIZE(props), buf, 0);
}

unsigned int vamdgpu_topo_count(unsigned int node, enum vamdgpu_topo_kind kind)
{
	switch (kind) {
	case VAMDGPU_TOPO_CACHE:
		return node ? ARRAY_SIZE(vamdgpu_gpu_caches) : 1;
	case VAMDGPU_TOPO_IO_LINK:
		return node && !vamdgpu_hive_id() ? 1 : vamdgpu_device_count();
	default:
		return 1;
	}
}

/* @dev: the GPU of @node, NULL for node 0, the CPU. */
ssize_t vamdgpu_topo_properties(unsigned int node, struct vamdgpu_device *dev,
				enum vamdgpu_topo_kind kind, unsigned int index,
				char *buf)
{
	switch (kind) {
	case VAMDGPU_TOPO_MEM_BANK:
		return vamdgpu_bank_properties(dev, buf);
	case VAMDGPU_TOPO_CACHE:
		return vamdgpu_cache_properties(dev, index, buf);
	case VAMDGPU_TOPO_IO_LINK:
		return vamdgpu_link_properties(node, index, buf);
	default:
		return node ? vamdgpu_gpu_properties(node, dev, buf) :
			      vamdgpu_cpu_properties(buf);
	}
}
