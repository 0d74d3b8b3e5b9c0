/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to the front end (main.c and kfd/).
 */
#ifndef _VAMDGPU_FRONT_H
#define _VAMDGPU_FRONT_H

#include <linux/build_bug.h>
#include <linux/kobject.h>
#include <linux/lockdep.h>

#include "vamdgpu.h"

struct device;
struct drm_file;
struct platform_device;

/* Interface version reported: contiguous VRAM and event ages, no more. */
#define VAMDGPU_KFD_MAJOR	1
#define VAMDGPU_KFD_MINOR	16

/* GFX9 as user space sees it. */
#define VAMDGPU_LDS_BASE	0x0001000000000000ULL
#define VAMDGPU_SCRATCH_BASE	0x0002000000000000ULL
#define VAMDGPU_APERTURE_LEN	0x100000000ULL
#define VAMDGPU_GPUVM_BASE	0x10000ULL
#define VAMDGPU_GPUVM_LIMIT	0x7fffffffffffULL
#define VAMDGPU_GB_ADDR_CONFIG	0x2a114042U
#define VAMDGPU_PCI_VENDOR	0x1002
#define VAMDGPU_PCI_DEVICE	0x687f
/* In no list of real boards, so that no marketing name is found. */
#define VAMDGPU_PCI_REV		0xff

/* Shape of the modelled chip, the same in topology and in the render node. */
#define VAMDGPU_NUM_SE		4
#define VAMDGPU_NUM_CU		64
#define VAMDGPU_NUM_SDMA	2
#define VAMDGPU_ENGINE_MHZ	1600
#define VAMDGPU_MEMORY_MHZ	945
#define VAMDGPU_MEMORY_WIDTH	2048
#define VAMDGPU_MEC_FW		435
#define VAMDGPU_SDMA_FW		430

/* Offsets of mmap on /dev/kfd. */
#define VAMDGPU_MMAP_TYPE_SHIFT	62
#define VAMDGPU_MMAP_GPU_SHIFT	46
#define VAMDGPU_MMAP_MMIO	0ULL
#define VAMDGPU_MMAP_EVENTS	2ULL
#define VAMDGPU_MMAP_DOORBELL	3ULL
#define VAMDGPU_MMAP_OFFSET(type, gpu_id) \
	((type) << VAMDGPU_MMAP_TYPE_SHIFT | \
	 (u64)(gpu_id) << VAMDGPU_MMAP_GPU_SHIFT)

#define VAMDGPU_EVENT_SLOTS	4096
#define VAMDGPU_EVENT_PAGE_LEN	(VAMDGPU_EVENT_SLOTS * sizeof(u64))

/* A handler of the ioctl table; @len is the size user space encoded. */
typedef int (*vamdgpu_ioctl_fn)(struct vamdgpu_process *p, void *data,
				size_t len);

/* process.c */
int vamdgpu_process_module_init(void);
void vamdgpu_process_module_exit(void);
struct vamdgpu_process *vamdgpu_process_open(void);
/* The GPU is unplugged: nobody who has it can use it any more, nobody new gets it. */
void vamdgpu_processes_lose(struct vamdgpu_device *dev);
bool vamdgpu_process_is_current(struct vamdgpu_process *p);

/* chardev.c */
int vamdgpu_chardev_init(void);
/* All GPUs are there. */
void vamdgpu_chardev_open_up(void);
void vamdgpu_chardev_exit(void);

/* kfd_mmap.c */
int vamdgpu_kfd_mmap(struct file *file, struct vm_area_struct *vma);

/* drm.c */
struct vamdgpu_device *vamdgpu_drm_create(struct platform_device *pdev);
struct page *vamdgpu_drm_dummy_page(struct file *file);
struct device *vamdgpu_dma_dev(struct vamdgpu_device *dev);
/* Claim @file's DRM file for @pdd; -EINVAL if it is no file of that GPU or taken. */
int vamdgpu_drm_file_claim(struct file *file, struct vamdgpu_pdd *pdd);
void vamdgpu_drm_file_release(struct file *file, struct vamdgpu_pdd *pdd);

/* drm_info.c */
int vamdgpu_info_ioctl(struct drm_device *drm, void *data,
		       struct drm_file *file);

/* topology.c */
int vamdgpu_topology_init(struct device *kfd);
void vamdgpu_topology_exit(void);
/* The GPU at @index is @dev from now on; NULL: there is none, which cannot fail. */
int vamdgpu_topology_update(unsigned int index, struct vamdgpu_device *dev);

/* topology_props.c: text of one file of the topology, into a page. */
enum vamdgpu_topo_kind {
	VAMDGPU_TOPO_NODE,
	VAMDGPU_TOPO_PART,
	VAMDGPU_TOPO_MEM_BANK,
	VAMDGPU_TOPO_CACHE,
	VAMDGPU_TOPO_IO_LINK,
};

unsigned int vamdgpu_topo_count(unsigned int node, enum vamdgpu_topo_kind kind);
ssize_t vamdgpu_topo_properties(unsigned int node, struct vamdgpu_device *dev,
				enum vamdgpu_topo_kind kind, unsigned int index,
				char *buf);

/* svm_vram.c: VRAM for memory objects, and the core's vram ops. */
int vamdgpu_vram_alloc(struct vamdgpu_device *dev, u64 len, u64 *addr);
void vamdgpu_vram_free(struct vamdgpu_device *dev, u64 addr, u64 len);
void vamdgpu_vram_debugfs_init(void);
void vamdgpu_vram_debugfs_exit(void);
void vamdgpu_vram_debugfs_add(struct vamdgpu_device *dev);
void vamdgpu_vram_debugfs_remove(struct vamdgpu_device *dev);
int vamdgpu_svm_vram_alloc(void *gpu, u64 len, u64 *addr);
void vamdgpu_svm_vram_free(void *gpu, u64 addr, u64 len);
int vamdgpu_svm_vram_clear(void *gpu, u64 addr, u64 len);
int vamdgpu_svm_vram_copy(void *gpu, enum hmm_mirror_copy_dir dir,
			  const struct hmm_mirror_copy *runs, unsigned int nr);
int vamdgpu_svm_vram_copy_peer(void *gpu, void *src_gpu,
			       const struct hmm_mirror_copy *runs,
			       unsigned int nr);

/* sysfs_proc.c */
int vamdgpu_sysfs_proc_init(struct device *kfd);
void vamdgpu_sysfs_proc_exit(void);
int vamdgpu_sysfs_proc_add(struct vamdgpu_process *p);
void vamdgpu_sysfs_proc_remove(struct vamdgpu_process *p);

/* event.c */
void vamdgpu_event_process_init(struct vamdgpu_process *p);
void vamdgpu_event_page_release(struct vamdgpu_process *p);
void vamdgpu_event_process_fini(struct vamdgpu_process *p);

/* smi.c: before the first process. */
void vamdgpu_smi_module_init(void);
/* The GPU is unplugged: its files have come to their end. */
void vamdgpu_smi_hang_up(struct vamdgpu_device *dev);

/* Handlers; process->lock is not held on entry. */
#define VAMDGPU_IOCTL(name) \
	int vamdgpu_ioctl_##name(struct vamdgpu_process *p, void *data, \
				 size_t len)
VAMDGPU_IOCTL(get_version);
VAMDGPU_IOCTL(create_queue);
VAMDGPU_IOCTL(destroy_queue);
VAMDGPU_IOCTL(update_queue);
VAMDGPU_IOCTL(set_memory_policy);
VAMDGPU_IOCTL(get_clock_counters);
VAMDGPU_IOCTL(get_apertures);
VAMDGPU_IOCTL(get_apertures_new);
VAMDGPU_IOCTL(acquire_vm);
VAMDGPU_IOCTL(set_scratch_backing_va);
VAMDGPU_IOCTL(get_tile_config);
VAMDGPU_IOCTL(set_trap_handler);
VAMDGPU_IOCTL(available_memory);
VAMDGPU_IOCTL(set_xnack_mode);
VAMDGPU_IOCTL(svm);
VAMDGPU_IOCTL(smi_events);
VAMDGPU_IOCTL(alloc_memory);
VAMDGPU_IOCTL(free_memory);
VAMDGPU_IOCTL(map_memory);
VAMDGPU_IOCTL(unmap_memory);
VAMDGPU_IOCTL(create_event);
VAMDGPU_IOCTL(destroy_event);
VAMDGPU_IOCTL(set_event);
VAMDGPU_IOCTL(reset_event);
VAMDGPU_IOCTL(wait_events);

#endif /* _VAMDGPU_FRONT_H */
