// SPDX-License-Identifier: GPL-2.0-only
/*
 * AMDGPU_INFO of the render node: what libdrm_amdgpu, the thunk and the HSA
 * runtime ask. Copies are cut to the size asked for; a query that makes no sense
 * for a GPU without graphics is EINVAL, as for hardware that lacks the block.
 */
#include "vamdgpu.h"

#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/drm/amdgpu_drm.h>

#include <drm/drm_file.h>

#include "kfd/bo.h"
#include "kfd/front.h"

#define VAMDGPU_REG_GB_ADDR_CONFIG	0x263e
#define VAMDGPU_MAX_MMR			128

static int vamdgpu_info_copy(const struct drm_amdgpu_info *info,
			     const void *data, size_t len)
{
	len = min_t(size_t, len, info->return_size);
	return copy_to_user(u64_to_user_ptr(info->return_pointer), data, len) ?
	       -EFAULT : 0;
}

static int vamdgpu_info_u32(const struct drm_amdgpu_info *info, u32 value)
{
	return vamdgpu_info_copy(info, &value, sizeof(value));
}

static int vamdgpu_info_u64(const struct drm_amdgpu_info *info, u64 value)
{
	return vamdgpu_info_copy(info, &value, sizeof(value));
}

static void vamdgpu_fill_dev_info(struct vamdgpu_device *dev,
				  struct drm_amdgpu_info_device *d)
{
	unsigned int se;

	d->device_id = VAMDGPU_PCI_DEVICE;
	d->chip_rev = 1;
	d->external_rev = 1;
	d->pci_rev = VAMDGPU_PCI_REV;
	d->family = AMDGPU_FAMILY_AI;
	d->num_shader_engines = VAMDGPU_NUM_SE;
	d->num_shader_arrays_per_engine = 1;
	d->gpu_counter_freq = GFX9_CLOCK_HZ / 1000;
	d->max_engine_clock = VAMDGPU_ENGINE_MHZ * 1000;
	d->max_memory_clock = VAMDGPU_MEMORY_MHZ * 1000;
	d->cu_active_number = VAMDGPU_NUM_CU;
	d->cu_ao_mask = 0xff;
	for (se = 0; se < VAMDGPU_NUM_SE; se++)
		d->cu_bitmap[se][0] = BIT(VAMDGPU_NUM_CU / VAMDGPU_NUM_SE) - 1;
	d->enabled_rb_pipes_mask = 0xffff;
	d->num_rb_pipes = 16;
	d->num_hw_gfx_contexts = 8;
	d->pcie_gen = 3;
	d->virtual_address_offset = 0x200000;
	d->virtual_address_max = 0x800000000000;
	d->virtual_address_alignment = PAGE_SIZE;
	d->pte_fragment_size = 0x200000;
	d->gart_page_size = PAGE_SIZE;
	d->ce_ram_size = 0x8000;
	d->vram_type = AMDGPU_VRAM_TYPE_HBM;
	d->vram_bit_width = VAMDGPU_MEMORY_WIDTH;
	d->gc_double_offchip_lds_buf = 1;
	d->wave_front_size = 64;
	d->num_shader_visible_vgprs = 256;
	d->num_cu_per_sh = VAMDGPU_NUM_CU / VAMDGPU_NUM_SE;
	d->num_tcc_blocks = 16;
	d->gs_vgt_table_depth = 32;
	d->gs_prim_buffer_depth = 1792;
	d->max_gs_waves_per_vgt = 32;
	d->pcie_num_lanes = 16;
}

static int vamdgpu_info_dev(struct vamdgpu_device *dev,
			    const struct drm_amdgpu_info *info)
{
	struct drm_amdgpu_info_device *d;
	int ret;

	d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	if (!d)
		return -ENOMEM;
	vamdgpu_fill_dev_info(dev, d);
	ret = vamdgpu_info_copy(info, d, sizeof(*d));
	kfree(d);
	return ret;
}

static int vamdgpu_info_registers(const struct drm_amdgpu_info *info)
{
	u32 value = VAMDGPU_GB_ADDR_CONFIG;

	if (info->read_mmr_reg.count > VAMDGPU_MAX_MMR)
		return -EINVAL;
	if (info->read_mmr_reg.count != 1 ||
	    info->read_mmr_reg.dword_offset != VAMDGPU_REG_GB_ADDR_CONFIG)
		return -EFAULT;
	return vamdgpu_info_copy(info, &value, sizeof(value));
}

static void vamdgpu_fill_heap(struct drm_amdgpu_heap_info *heap, u64 total,
			      u64 used)
{
	heap->total_heap_size = total;
	heap->usable_heap_size = total;
	heap->heap_usage = used;
	heap->max_allocation = total * 3 / 4;
}

static u64 vamdgpu_vram_used(struct vamdgpu_device *dev)
{
	return gfx9_vram_size(dev->vram) - gfx9_vram_available(dev->vram);
}

static int vamdgpu_info_memory(struct vamdgpu_device *dev,
			       const struct drm_amdgpu_info *info)
{
	struct drm_amdgpu_memory_info mem = {};
	u64 total = gfx9_vram_size(dev->vram), used = vamdgpu_vram_used(dev);

	vamdgpu_fill_heap(&mem.vram, total, used);
	/* All of it is visible to the CPU. */
	vamdgpu_fill_heap(&mem.cpu_accessible_vram, total, used);
	vamdgpu_fill_heap(&mem.gtt, vamdgpu_gtt_limit(), 0);
	return vamdgpu_info_copy(info, &mem, sizeof(mem));
}

static int vamdgpu_info_vram_gtt(struct vamdgpu_device *dev,
				 const struct drm_amdgpu_info *info)
{
	struct drm_amdgpu_info_vram_gtt sizes = {
		.vram_size = gfx9_vram_size(dev->vram),
		.vram_cpu_accessible_size = gfx9_vram_size(dev->vram),
		.gtt_size = vamdgpu_gtt_limit(),
	};

	return vamdgpu_info_copy(info, &sizes, sizeof(sizes));
}

static int vamdgpu_info_firmware(const struct drm_amdgpu_info *info)
{
	struct drm_amdgpu_info_firmware fw = {};

	if (info->query_fw.ip_instance)
		return -EINVAL;
	switch (info->query_fw.fw_type) {
	case AMDGPU_INFO_FW_GFX_MEC:
		fw.ver = VAMDGPU_MEC_FW;
		break;
	case AMDGPU_INFO_FW_SDMA:
		if (info->query_fw.index >= VAMDGPU_NUM_SDMA)
			return -EINVAL;
		fw.ver = VAMDGPU_SDMA_FW;
		break;
	case AMDGPU_INFO_FW_VCE:
	case AMDGPU_INFO_FW_UVD:
	case AMDGPU_INFO_FW_GMC:
	case AMDGPU_INFO_FW_GFX_ME:
	case AMDGPU_INFO_FW_GFX_PFP:
	case AMDGPU_INFO_FW_GFX_CE:
	case AMDGPU_INFO_FW_GFX_RLC:
	case AMDGPU_INFO_FW_SMC:
		break;		/* no such block: version 0 */
	default:
		return -EINVAL;
	}
	return vamdgpu_info_copy(info, &fw, sizeof(fw));
}

/* Blocks are there, rings are not: command submission is not supported. */
static int vamdgpu_info_hw_ip(const struct drm_amdgpu_info *info)
{
	struct drm_amdgpu_info_hw_ip ip = {};

	if (info->query_hw_ip.ip_instance >= AMDGPU_HW_IP_INSTANCE_MAX_COUNT)
		return -EINVAL;
	switch (info->query_hw_ip.type) {
	case AMDGPU_HW_IP_COMPUTE:
		ip.hw_ip_version_major = 9;
		ip.ib_start_alignment = 32;
		ip.ib_size_alignment = 32;
		break;
	case AMDGPU_HW_IP_DMA:
		ip.hw_ip_version_major = 4;
		ip.ib_start_alignment = 256;
		ip.ib_size_alignment = 4;
		break;
	default:
		if (info->query_hw_ip.type >= AMDGPU_HW_IP_NUM)
			return -EINVAL;
		break;
	}
	return vamdgpu_info_copy(info, &ip, sizeof(ip));
}

static int vamdgpu_info_hw_ip_count(const struct drm_amdgpu_info *info)
{
	u32 type = info->query_hw_ip.type;

	if (type >= AMDGPU_HW_IP_NUM)
		return -EINVAL;
	if (type == AMDGPU_HW_IP_DMA)
		return vamdgpu_info_u32(info, VAMDGPU_NUM_SDMA);
	return vamdgpu_info_u32(info, type == AMDGPU_HW_IP_COMPUTE);
}

static int vamdgpu_info_sensor(const struct drm_amdgpu_info *info)
{
	switch (info->sensor_info.type) {
	case AMDGPU_INFO_SENSOR_GFX_SCLK:
	case AMDGPU_INFO_SENSOR_STABLE_PSTATE_GFX_SCLK:
		return vamdgpu_info_u32(info, VAMDGPU_ENGINE_MHZ);
	case AMDGPU_INFO_SENSOR_GFX_MCLK:
	case AMDGPU_INFO_SENSOR_STABLE_PSTATE_GFX_MCLK:
		return vamdgpu_info_u32(info, VAMDGPU_MEMORY_MHZ);
	default:
		return -EINVAL;
	}
}

int vamdgpu_info_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file)
{
	struct vamdgpu_device *dev =
		container_of(drm, struct vamdgpu_device, drm);
	const struct drm_amdgpu_info *info = data;

	if (!info->return_size || !info->return_pointer)
		return -EINVAL;
	switch (info->query) {
	case AMDGPU_INFO_ACCEL_WORKING:
		return vamdgpu_info_u32(info, 1);
	case AMDGPU_INFO_HW_IP_INFO:
		return vamdgpu_info_hw_ip(info);
	case AMDGPU_INFO_HW_IP_COUNT:
		return vamdgpu_info_hw_ip_count(info);
	case AMDGPU_INFO_TIMESTAMP:
		return vamdgpu_info_u64(info, gfx9_clock());
	case AMDGPU_INFO_FW_VERSION:
		return vamdgpu_info_firmware(info);
	case AMDGPU_INFO_NUM_BYTES_MOVED:
	case AMDGPU_INFO_NUM_EVICTIONS:
	case AMDGPU_INFO_NUM_VRAM_CPU_PAGE_FAULTS:
	case AMDGPU_INFO_GTT_USAGE:
	case AMDGPU_INFO_RAS_ENABLED_FEATURES:
		return vamdgpu_info_u64(info, 0);
	case AMDGPU_INFO_VRAM_LOST_COUNTER:
		return vamdgpu_info_u32(info, 0);
	case AMDGPU_INFO_VRAM_USAGE:
	case AMDGPU_INFO_VIS_VRAM_USAGE:
		return vamdgpu_info_u64(info, vamdgpu_vram_used(dev));
	case AMDGPU_INFO_VRAM_GTT:
		return vamdgpu_info_vram_gtt(dev, info);
	case AMDGPU_INFO_MEMORY:
		return vamdgpu_info_memory(dev, info);
	case AMDGPU_INFO_READ_MMR_REG:
		return vamdgpu_info_registers(info);
	case AMDGPU_INFO_DEV_INFO:
		return vamdgpu_info_dev(dev, info);
	case AMDGPU_INFO_SENSOR:
		return vamdgpu_info_sensor(info);
	default:
		return -EINVAL;
	}
}
