/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual GPU's front end: devices, processes, and who owns what.
 *
 * Lock order, outermost first:
 *
 *   vamdgpu_processes_lock -> vamdgpu_process.lock -> (kfd_svm core and
 *   mmap_lock) -> vamdgpu_pdd.va_lock -> vamdgpu_process.event_lock
 *
 * device.c and topology.c have locks of their own, inside which none of these is taken.
 *
 * No lock of this file is held over a wait for a queue.
 */
#ifndef _VAMDGPU_H
#define _VAMDGPU_H

#include <linux/idr.h>
#include <linux/interval_tree.h>
#include <linux/kfd_svm_backend.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>

#include "gfx9/gfx9.h"

struct dentry;
struct file;
struct inode;
struct page;
struct pid;
struct platform_device;
struct platform_driver;
struct vamdgpu_bo;
struct vamdgpu_pdd_hw;
struct vamdgpu_sysfs_proc;
struct vamdgpu_process;
struct vm_area_struct;

#define VAMDGPU_MAX_GPUS		GFX9_HIVE_NODES
#define VAMDGPU_HIVE_ID			0x6b66647376cdULL	/* any number */
#define VAMDGPU_DOORBELL_LEN		8192	/* per process and GPU */
#define VAMDGPU_DOORBELLS		(VAMDGPU_DOORBELL_LEN / sizeof(u64))
/* Limits of one process; reaching one is -ENOMEM or -ENOSPC, never a stall. */
#define VAMDGPU_MAX_QUEUES		256
#define VAMDGPU_MAX_BOS			65536
#define VAMDGPU_MAX_OTHER_EVENTS	4096	/* without a slot in the page */
#define VAMDGPU_MAX_SMI_CLIENTS		64	/* on one GPU */

/**
 * struct vamdgpu_device - one virtual GPU, from probe to the last reference; device.c
 * @drm: its DRM device; first, as devm_drm_dev_alloc() wants it
 * @pdev: parent of @drm
 * @index: number of its platform device, 0..n-1
 * @gpu_id: name in the KFD ABI, 16 bits, not 0
 * @vram: its memory
 * @vram_phys: where the CPU reaches it like RAM, 0: nowhere
 * @svm_gpu: its registration with the core; none once it is unplugged
 * @debugfs: its folder, may be an error pointer
 */
struct vamdgpu_device {
	struct drm_device drm;
	struct platform_device *pdev;
	unsigned int index;
	u32 gpu_id;
	struct gfx9_vram *vram;
	u64 vram_phys;
	struct kfd_svm_gpu *svm_gpu;
	struct dentry *debugfs;
};

/**
 * struct vamdgpu_pdd - one process on one GPU
 * @process: the process; outlives this
 * @dev: the GPU (referenced)
 * @gone: the GPU is. Set once, under process->lock; engines have stopped by then
 * @vm: address space; made with the process, usable once acquired
 * @drm_file: the DRM file that acquired it (referenced), NULL before;
 *	process->lock
 * @bos: memory objects by the low half of the handle; process->lock
 * @va_lock: guards @va_tree; taken from the core's va_busy op, atomic
 * @va_tree: GPU address spans of memory objects that are mapped on this GPU
 * @nbos: entries in @bos; process->lock
 * @vram_used: bytes of VRAM in @bos; process->lock to write
 * @mmio_page: stands for the GPU's remapped registers; plain memory
 * @doorbell_pages: memory behind the doorbell slice (kernel address)
 * @doorbell_used: slots taken; process->lock
 * @fault_lock: guards @faults
 * @faults: parked queues, oldest first (kfd/fault.c)
 * @fault_work: serves them
 * @hw: private to kfd/queue.c and its neighbours
 */
struct vamdgpu_pdd {
	struct vamdgpu_process *process;
	struct vamdgpu_device *dev;
	bool gone;
	struct gfx9_vm *vm;
	struct file *drm_file;
	struct idr bos;
	spinlock_t va_lock;	/* see above */
	struct rb_root_cached va_tree;
	unsigned int nbos;
	u64 vram_used;
	struct page *mmio_page;
	u64 *doorbell_pages;
	unsigned long doorbell_used[BITS_TO_LONGS(VAMDGPU_DOORBELLS)];
	spinlock_t fault_lock;	/* see above */
	struct list_head faults;
	struct delayed_work fault_work;
	struct vamdgpu_pdd_hw *hw;
};

/**
 * struct vamdgpu_process - one mm that opened /dev/kfd
 * @ref: one of the mm, one per open file, plus short-lived ones
 * @mm: identity only (mmgrab), compared with current->mm on every call
 * @leader: thread group of the opener (referenced)
 * @cred: what the opener was allowed when it opened (referenced)
 * @tgid: its number when it opened, a name in sysfs
 * @pasid: a number of its own, for sysfs
 * @link: in the table of processes; vamdgpu_processes_lock
 * @lock: guards what says so; held by most ioctls
 * @svm: core state
 * @pdds: by GPU index; NULL where there was no GPU when it opened
 * @queues: by queue id; @lock
 * @held_by_mm: the mm still has its reference; vamdgpu_processes_lock
 * @dead: the mm is gone or about to; queues are stopped for good; @lock
 * @exit_work: frees the memory of a process whose mm is gone while somebody
 *	else still has the file
 * @doorbell_inode: own address space of the doorbell mappings, so that re-arming
 *	zaps this process's mappings only. Every open file of the process has its
 *	f_mapping set to this inode's, so mappings made from it land there.
 * @event_lock: guards the members below
 * @events: by event id
 * @nother_events: of them, those without a slot in the page
 * @event_page: 4096 slots the GPU writes, kernel address; NULL before the first.
 *	Set once.
 * @event_pages: pages behind @event_page if it is the driver's own
 * @event_bo: the memory object behind @event_page if user space gave one
 * @sysfs: state of /sys/class/kfd/kfd/proc/<tgid>; vamdgpu_processes_lock
 */
struct vamdgpu_process {
	struct kref ref;
	struct mm_struct *mm;
	struct pid *leader;
	const struct cred *cred;
	pid_t tgid;
	u32 pasid;
	struct list_head link;
	struct mutex lock;	/* see above */
	struct kfd_svm *svm;
	struct vamdgpu_pdd *pdds[VAMDGPU_MAX_GPUS];
	struct idr queues;
	bool held_by_mm;
	bool dead;
	struct work_struct exit_work;
	struct inode *doorbell_inode;
	spinlock_t event_lock;	/* see above */
	struct idr events;
	unsigned int nother_events;
	u64 *event_page;
	struct page *event_pages;
	struct vamdgpu_bo *event_bo;
	struct vamdgpu_sysfs_proc *sysfs;
};

/* main.c */
extern bool vamdgpu_noretry;
#ifdef CONFIG_KFDSVM_DEBUG
extern unsigned int vamdgpu_dma_bits;
#else
#define vamdgpu_dma_bits	64
#endif
/* NULL: the GPUs have no link. */
extern struct gfx9_hive *vamdgpu_hive;
/* 0: the GPUs have no link. */
u64 vamdgpu_hive_id(void);
u64 vamdgpu_vram_len(void);
u64 vamdgpu_vram_phys(unsigned int index);
void vamdgpu_probed(unsigned int index, int err);

/* device.c: the GPUs that are there now. */
extern struct platform_driver vamdgpu_driver;
struct vamdgpu_device *vamdgpu_device_get(unsigned int index);
struct vamdgpu_device *vamdgpu_device_get_node(unsigned int node);
void vamdgpu_device_put(struct vamdgpu_device *dev);
unsigned int vamdgpu_device_count(void);
/* For vamdgpu_topology_update(). */
void vamdgpu_device_publish(unsigned int index, struct vamdgpu_device *dev);

/* region.c: a claimed region is this driver's alone. */
int vamdgpu_region_claim(u64 start, u64 len);
void vamdgpu_region_release(u64 start, u64 len);

/* kfd/process.c. put may sleep and tear the process down. */
void vamdgpu_process_get(struct vamdgpu_process *p);
void vamdgpu_process_put(struct vamdgpu_process *p);
/* What the process has on a GPU; NULL: unknown. It may be gone. */
struct vamdgpu_pdd *vamdgpu_pdd_by_id(struct vamdgpu_process *p, u32 gpu_id);
/*
 * The same for calls that need the GPU: -EINVAL: unknown; -ENODEV: gone. It can go after
 * that unless process->lock is held.
 */
struct vamdgpu_pdd *vamdgpu_pdd_find(struct vamdgpu_process *p, u32 gpu_id);

/* kfd/event.c, as the hardware calls it. Atomic. */
void vamdgpu_event_interrupt(struct vamdgpu_process *p, u32 context_id);
void vamdgpu_event_gpu_lost(struct vamdgpu_process *p, u32 gpu_id);
void vamdgpu_event_memory_exception(struct vamdgpu_process *p, u32 gpu_id,
				    u64 va, bool not_present, bool read_only);

/* kfd/smi.c. Atomic. */
void vamdgpu_smi_event(void *client, const struct kfd_svm_event *event);
void vamdgpu_smi_vmfault(struct vamdgpu_device *dev, struct vamdgpu_process *p);

/* kfd/queue.c (+ doorbell.c, fault.c, svm_backend.c). process->lock held. */
struct kfd_ioctl_create_queue_args;
struct kfd_ioctl_update_queue_args;
int vamdgpu_queue_create(struct vamdgpu_process *p,
			 struct kfd_ioctl_create_queue_args *args);
int vamdgpu_queue_destroy(struct vamdgpu_process *p, u32 queue_id);
int vamdgpu_queue_update(struct vamdgpu_process *p,
			 const struct kfd_ioctl_update_queue_args *args);
unsigned int vamdgpu_queue_count(struct vamdgpu_process *p);
void vamdgpu_queue_destroy_all(struct vamdgpu_process *p);
/* The mm dies: no access after the return; does not wait for packets. */
void vamdgpu_queue_kill_all(struct vamdgpu_process *p);

/* Called when a pdd is made / goes; doorbell pages, vm, fault list. */
int vamdgpu_pdd_hw_init(struct vamdgpu_pdd *pdd);
void vamdgpu_pdd_hw_fini(struct vamdgpu_pdd *pdd);

/* kfd/doorbell.c: one inode per process; mmap of the slice on /dev/kfd. */
int vamdgpu_doorbell_module_init(void);
void vamdgpu_doorbell_module_exit(void);
int vamdgpu_doorbell_process_init(struct vamdgpu_process *p);
void vamdgpu_doorbell_process_fini(struct vamdgpu_process *p);
int vamdgpu_doorbell_mmap(struct vamdgpu_pdd *pdd, struct vm_area_struct *vma);
/* Page of the slice, for a DOORBELL memory object mapped on a GPU. */
struct page *vamdgpu_doorbell_page(struct vamdgpu_pdd *pdd, unsigned int index);

/* kfd/svm_backend.c: the operations the core calls. */
extern const struct kfd_svm_gpu_ops vamdgpu_svm_ops;

/* kfd/bo_map.c: span tree used by va_busy. Atomic. */
bool vamdgpu_bo_va_busy(struct vamdgpu_pdd *pdd, struct kfd_svm_span *span);

#endif /* _VAMDGPU_H */
