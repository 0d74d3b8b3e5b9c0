/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The software GFX9 as the front end sees it: address spaces and SDMA queues.
 *
 * This layer knows no ioctl, no struct file and no process; it calls back
 * through struct gfx9_vm_ops. Nothing here looks at the CPU's address space:
 * every access goes through the GPU page tables of a vm.
 */
#ifndef _VAMDGPU_GFX9_H
#define _VAMDGPU_GFX9_H

#include <linux/types.h>

struct gfx9_hive;
struct gfx9_queue;
struct gfx9_vm;
struct gfx9_vram;
struct hmm_mirror_copy;
struct mm_struct;
struct page;

/* Module life: the workqueue of the engines. */
int gfx9_module_init(void);
void gfx9_module_exit(void);

/* ---- VRAM: pages behind a GPU-physical address space from 0 ---- */

/**
 * enum gfx9_vram_use - what VRAM is taken for
 * @GFX9_VRAM_OBJECT: a memory object
 * @GFX9_VRAM_MIGRATED: pages of processes that moved here, 2 MiB at most
 */
enum gfx9_vram_use {
	GFX9_VRAM_OBJECT,
	GFX9_VRAM_MIGRATED,
};

/*
 * coherent_start, if not 0: physical address at which the CPU has all of it. There are
 * pages there before the first GFX9_VRAM_MIGRATED is asked for.
 */
struct gfx9_vram *gfx9_vram_create(u64 len, u64 coherent_start);
void gfx9_vram_destroy(struct gfx9_vram *vram);
/*
 * One allocation is consecutive in GPU-physical addresses, and zeroed but for migrated
 * memory; 2 MiB, and objects from 2 MiB on, are aligned to 2 MiB. Sleeps. -ENOSPC: no
 * room; -EBUSY: migrated pages stand back, see below; -ENOMEM: no system memory behind
 * it, or more than there ever is; -EINTR: the caller is being killed.
 */
int gfx9_vram_alloc(struct gfx9_vram *vram, enum gfx9_vram_use use, u64 len,
		    u64 *addr);
/* Of migrated memory that no GPU has mapped yet. Allocates nothing. */
void gfx9_vram_clear(struct gfx9_vram *vram, u64 addr, u64 len);
/* No GPU has it mapped any more. */
void gfx9_vram_free(struct gfx9_vram *vram, enum gfx9_vram_use use, u64 addr,
		    u64 len);
struct page *gfx9_vram_page(struct gfx9_vram *vram, u64 addr);
u64 gfx9_vram_size(struct gfx9_vram *vram);
/* What nobody has. */
u64 gfx9_vram_available(struct gfx9_vram *vram);
/* The same, and what migrated pages have, who can go. */
u64 gfx9_vram_obtainable(struct gfx9_vram *vram);
u64 gfx9_vram_migrated(struct gfx9_vram *vram);
/*
 * A memory object of len waits for migrated pages to go: until the end no others come.
 * False: it would not fit either if all of them went; then there is no end to be called.
 */
bool gfx9_vram_wait_begin(struct gfx9_vram *vram, u64 len);
void gfx9_vram_wait_end(struct gfx9_vram *vram);

/* ---- hives: GPUs that reach each other's VRAM ---- */

#define GFX9_HIVE_NODES	8

struct gfx9_hive *gfx9_hive_create(u64 len);
/* All have left. */
void gfx9_hive_destroy(struct gfx9_hive *hive);
/* Before there is an address space on that GPU. gfx9_vram_destroy() leaves. */
int gfx9_hive_join(struct gfx9_hive *hive, struct gfx9_vram *vram,
		   unsigned int node);
/* No address space on it runs, no GPU has it mapped; no harm if it has left. */
void gfx9_hive_leave(struct gfx9_vram *vram);
/* Does the one's GPU reach the other? */
bool gfx9_vram_linked(const struct gfx9_vram *a, const struct gfx9_vram *b);
/* What a PTE of a linked GPU says for a byte of the VRAM. */
u64 gfx9_vram_pte_addr(const struct gfx9_vram *vram, u64 addr);

/* ---- copies by physical address ---- */

/**
 * enum gfx9_copy_kind - which way
 * @GFX9_COPY_TO_VRAM: from system memory (its DMA address)
 * @GFX9_COPY_TO_RAM: to it
 * @GFX9_COPY_FROM_PEER: from the VRAM of a linked GPU
 */
enum gfx9_copy_kind {
	GFX9_COPY_TO_VRAM,
	GFX9_COPY_TO_RAM,
	GFX9_COPY_FROM_PEER,
	GFX9_COPY_KINDS,
};

/*
 * Done when it returns. Allocates nothing, takes no lock and waits for nothing; sleeps
 * only to let others run. peer: NULL but for GFX9_COPY_FROM_PEER.
 */
int gfx9_copy(struct gfx9_vram *vram, enum gfx9_copy_kind kind,
	      struct gfx9_vram *peer, const struct hmm_mirror_copy *runs,
	      unsigned int nr);
/* Calls and bytes since the VRAM was made. */
void gfx9_copy_counts(struct gfx9_vram *vram, enum gfx9_copy_kind kind,
		      u64 *calls, u64 *len);

/* ---- address spaces ---- */

/**
 * enum gfx9_error - why a queue stopped for good
 * @GFX9_ERROR_NONE: it did not
 * @GFX9_ERROR_PACKET: an unknown packet or a senseless field
 * @GFX9_ERROR_TRUNCATED: a packet goes on behind the write pointer
 * @GFX9_ERROR_WPTR: a write pointer that runs backwards, is not a multiple of 4
 *	or is more than a ring ahead
 * @GFX9_ERROR_POLL: a POLL used up its retries
 * @GFX9_ERROR_MEMORY: an address of memory that the CPU cannot reach either
 * @GFX9_ERROR_FAULT: gfx9_queue_fail()
 */
enum gfx9_error {
	GFX9_ERROR_NONE,
	GFX9_ERROR_PACKET,
	GFX9_ERROR_TRUNCATED,
	GFX9_ERROR_WPTR,
	GFX9_ERROR_POLL,
	GFX9_ERROR_MEMORY,
	GFX9_ERROR_FAULT,
};

/**
 * struct gfx9_vm_ops - what happens in a vm, told to its owner
 * @interrupt: a packet raised an interrupt with a context id. Process context,
 *	not in an access section.
 * @fault: an access of @queue missed or was refused; the queue is parked until
 *	gfx9_queue_replay() or gfx9_queue_fail(). Process context, may sleep.
 * @work_waiting: a queue has work, or may have, and the vm is stopped; once for
 *	each queue and stop. Process context, may sleep.
 * @error: @queue has stopped for good by itself. Process context.
 * @doorbell: a queue wrote to the memory gfx9_vm_set_doorbells() named. Process
 *	context, may sleep.
 *
 * All are called from the worker of the queue and never after
 * gfx9_queue_destroy() of it.
 */
struct gfx9_vm_ops {
	void (*interrupt)(void *owner, u32 context_id);
	void (*fault)(void *owner, struct gfx9_queue *queue, u64 va, bool write);
	void (*work_waiting)(void *owner);
	void (*error)(void *owner, struct gfx9_queue *queue,
		      enum gfx9_error reason);
	void (*doorbell)(void *owner);
};

struct gfx9_vm *gfx9_vm_create(struct gfx9_vram *vram,
			       const struct gfx9_vm_ops *ops, void *owner);
/* All queues are gone. */
void gfx9_vm_destroy(struct gfx9_vm *vm);
/* Kernel address of the doorbells, which the GPU may write too. */
void gfx9_vm_set_doorbells(struct gfx9_vm *vm, void *bells, size_t len);
/*
 * The address space of the CPU that mappings with GFX9_MAP_SVM are of; before there is a
 * queue. Outlives @vm, and gfx9_vm_kill() comes in its release notifier.
 */
void gfx9_vm_set_mm(struct gfx9_vm *vm, struct mm_struct *mm);

/*
 * Page tables. reserve may sleep; the others are atomic and cannot fail on a
 * reserved span. Flags of map: KFD_SVM_PTE_*, and GFX9_MAP_SVM where @va is the
 * process's address of the memory. Addresses and lengths are bytes,
 * multiples of 4 KiB; addr is a DMA address (SYSTEM) or what gfx9_vram_pte_addr() says.
 *
 * DMA addresses of system memory are CPU-physical addresses here: the virtual
 * GPU stands behind no IOMMU and has a 64-bit DMA mask.
 */
int gfx9_vm_reserve(struct gfx9_vm *vm, u64 first_va, u64 last_va);
void gfx9_vm_map(struct gfx9_vm *vm, u64 va, u64 addr, u64 len, u32 flags);
/* Clears whole leaves; reports the span cleared, at least what was asked for. */
void gfx9_vm_unmap(struct gfx9_vm *vm, u64 first_va, u64 last_va,
		   u64 *cleared_first, u64 *cleared_last);
/* What the tables, not the TLBs, say of an address. */
enum gfx9_present {
	GFX9_ABSENT,
	GFX9_REFUSED,	/* there, but no such access */
	GFX9_ALLOWED,
};

enum gfx9_present gfx9_vm_probe(struct gfx9_vm *vm, u64 va, bool write);
/**
 * struct gfx9_run - what the tables show alike, for people
 * @va: first byte
 * @len: bytes
 * @addr: DMA address, or byte of @vram
 * @flags: as gfx9_vm_map() was given them
 * @leaf_shift: log2 of the bytes of a leaf
 * @frag_shift: log2 of the bytes of the largest fragment
 * @vram: whose it is; NULL: system memory
 */
struct gfx9_run {
	u64 va;
	u64 len;
	u64 addr;
	u32 flags;
	unsigned int leaf_shift;
	unsigned int frag_shift;
	const struct gfx9_vram *vram;
};

/* The first one at or behind va; false: there is none. */
bool gfx9_vm_next_run(struct gfx9_vm *vm, u64 va, struct gfx9_run *run);
void gfx9_vm_flush(struct gfx9_vm *vm);
/* No access between stop and the matching start; nests. Atomic. */
void gfx9_vm_stop(struct gfx9_vm *vm);
void gfx9_vm_start(struct gfx9_vm *vm);
/* As stop, for ever: the process is dying. Atomic. */
void gfx9_vm_kill(struct gfx9_vm *vm);
/* Every queue that exists now stops for good, as by gfx9_queue_fail(). Atomic. */
void gfx9_vm_fail_queues(struct gfx9_vm *vm);

/* ---- SDMA queues ---- */

/**
 * struct gfx9_queue_desc - an SDMA queue
 * @ring_va: ring buffer, GPU address; 0: inactive
 * @ring_len: bytes, a power of two; 0: inactive
 * @rptr_va: where the read pointer is stored, 64-bit monotonic bytes
 * @wptr_va: where the write pointer is read, 64-bit monotonic bytes
 * @doorbell: the doorbell slot, as the CPU and the GPU write it
 * @percentage: 0: inactive
 * @owner: what gfx9_queue_owner() says
 *
 * The larger of doorbell and write pointer in memory counts.
 */
struct gfx9_queue_desc {
	u64 ring_va;
	u64 ring_len;
	u64 rptr_va;
	u64 wptr_va;
	u64 *doorbell;
	u32 percentage;
	void *owner;
};

struct gfx9_queue *gfx9_queue_create(struct gfx9_vm *vm,
				     const struct gfx9_queue_desc *desc);
/* Ends at once, also within an endless packet; no callback is under way after. */
void gfx9_queue_destroy(struct gfx9_queue *queue);
/* No packet runs by the old values after it. Sleeps for one access at most. */
void gfx9_queue_update(struct gfx9_queue *queue, u64 ring_va, u64 ring_len,
		       u32 percentage);
void *gfx9_queue_owner(struct gfx9_queue *queue);
/* Advances when packets do; for gfx9_vm_ops.fault, to tell a fault that repeats. */
u64 gfx9_queue_progress(struct gfx9_queue *queue);
/* The doorbell rang, or may have. Process context, atomic. */
void gfx9_queue_kick(struct gfx9_queue *queue);
/* Is it parked on a fault? Not, if it was failed or is to end. Atomic. */
bool gfx9_queue_is_faulted(struct gfx9_queue *queue);
/* The fault the queue is parked on was handled: try again after delay_ms. Atomic. */
void gfx9_queue_replay(struct gfx9_queue *queue, unsigned int delay_ms);
/* The fault stands: the queue stops for good. Atomic. */
void gfx9_queue_fail(struct gfx9_queue *queue);

/* The GPU's clock, 100 MHz. */
u64 gfx9_clock(void);
#define GFX9_CLOCK_HZ 100000000ULL

#endif /* _VAMDGPU_GFX9_H */
