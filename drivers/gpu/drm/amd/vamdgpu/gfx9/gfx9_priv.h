/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to gfx9/.
 *
 * Lock order, outermost first (all of them spin):
 *
 *   gfx9_vm.queues_lock -> gfx9_queue.lock
 *   gfx9_vm.access_lock (nothing is taken inside)
 *   gfx9_vm.pt_lock (nothing is taken inside)
 *
 * The three lines are not nested in each other. Callers of gfx9.h may hold
 * mutexes and spinlocks of their own, where it says "atomic".
 */
#ifndef _VAMDGPU_GFX9_PRIV_H
#define _VAMDGPU_GFX9_PRIV_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "gfx9.h"
#include "pgtable.h"
#include "sdma_decode.h"
#include "tlb.h"

/* One access section touches this much at most, so that a flush is quick. */
#define GFX9_SECTION_LEN	(64 << 10)

/**
 * struct gfx9_vram - VRAM of one GPU
 * @npages: size
 * @coherent_pfn: first page of its coherent region, 0: it has none
 * @hive: GPUs it has a link to, or NULL; does not change while there is a vm
 * @node: its number there
 * @lock: guards @used and the counts
 * @used: bit per page
 * @nused: bits set
 * @nmigrated: of them, those of GFX9_VRAM_MIGRATED
 * @nwaiting: memory objects that wait for migrated pages to go
 * @pages: what stands behind, NULL where nothing is allocated
 * @copies: by kind, what gfx9_copy() did
 * @oracle_pgmap: whose struct pages stand for it, as far as oracle.c knows
 */
struct gfx9_vram {
	unsigned long npages;
	unsigned long coherent_pfn;
	struct gfx9_hive *hive;
	unsigned int node;
	spinlock_t lock;	/* see above */
	unsigned long *used;
	unsigned long nused;
	unsigned long nmigrated;
	unsigned int nwaiting;
	struct page **pages;
	struct {
		atomic64_t calls;
		atomic64_t len;
	} copies[GFX9_COPY_KINDS];
	const struct dev_pagemap *oracle_pgmap;
};

/* hive.c */
struct gfx9_vram *gfx9_vram_locate(struct gfx9_vram *vram, u64 pte_addr,
				   u64 *addr);
struct page *gfx9_vram_resolve(struct gfx9_vram *vram, u64 pte_addr);

/**
 * struct gfx9_vm - an address space
 * @vram: what addresses without GFX9_PTE_SYSTEM mean
 * @ops: told what happens
 * @owner: for @ops
 * @bells: doorbells, for gfx9_vm_ops.doorbell; set before there is a queue
 * @bells_len: bytes of them
 * @access_lock: held for read around each access, for write to flush and stop
 * @generation: advances with each flush; @access_lock
 * @stopped: nesting of stop; @access_lock
 * @stop_epoch: advances when @stopped leaves 0; @access_lock
 * @killed: no access ever again; @access_lock
 * @pt_lock: guards what changes in @pt
 * @pt: page tables; walked without a lock, inside an access section
 * @queues_lock: guards @queues
 * @queues: those that exist
 * @npolling: of them, those that wait for memory to change
 * @mm: the CPU's side of it, or NULL; for oracle.c
 */
struct gfx9_vm {
	struct gfx9_vram *vram;
	const struct gfx9_vm_ops *ops;
	void *owner;
	u8 *bells;
	size_t bells_len;
	rwlock_t access_lock;
	u64 generation;
	unsigned int stopped;
	u64 stop_epoch;
	bool killed;
	spinlock_t pt_lock;	/* see above */
	struct gfx9_pt pt;
	spinlock_t queues_lock;	/* see above */
	struct list_head queues;
	atomic_t npolling;
	struct mm_struct *mm;
};

/**
 * enum gfx9_queue_state - what a queue is doing; see Documentation/vamdgpu-hw.rst
 * @GFX9_QUEUE_IDLE: nothing; a kick starts it
 * @GFX9_QUEUE_RUNNING: its work is queued or runs
 * @GFX9_QUEUE_FAULT: waits for gfx9_queue_replay() or gfx9_queue_fail()
 * @GFX9_QUEUE_BACKOFF: waits for the delay of a replay
 * @GFX9_QUEUE_POLL: waits for memory to change
 * @GFX9_QUEUE_STOPPED: waits for gfx9_vm_start()
 * @GFX9_QUEUE_ERROR: has failed; for ever
 * @GFX9_QUEUE_DEAD: being destroyed, or the vm was killed; for ever
 */
enum gfx9_queue_state {
	GFX9_QUEUE_IDLE,
	GFX9_QUEUE_RUNNING,
	GFX9_QUEUE_FAULT,
	GFX9_QUEUE_BACKOFF,
	GFX9_QUEUE_POLL,
	GFX9_QUEUE_STOPPED,
	GFX9_QUEUE_ERROR,
	GFX9_QUEUE_DEAD,
};

/* Reasons to leave the next access section at once. */
#define GFX9_HALT_PAUSE		BIT(0)	/* gfx9_queue_update() */
#define GFX9_HALT_FAIL		BIT(1)	/* gfx9_queue_fail() */
#define GFX9_HALT_DEAD		BIT(2)	/* gfx9_queue_destroy() */

/**
 * enum gfx9_step - how an access, a packet or a slice ended
 * @GFX9_STEP_DONE: done
 * @GFX9_STEP_MORE: there is more to do; nothing stands against it
 * @GFX9_STEP_DRY: the ring is empty
 * @GFX9_STEP_POLL: memory has to change first
 * @GFX9_STEP_FAULT: gfx9_queue.fault_va could not be accessed
 * @GFX9_STEP_STOPPED: the vm is stopped
 * @GFX9_STEP_HALT: the queue shall not go on, or the vm was killed
 * @GFX9_STEP_ERROR: gfx9_queue.error says what is wrong
 */
enum gfx9_step {
	GFX9_STEP_DONE,
	GFX9_STEP_MORE,
	GFX9_STEP_DRY,
	GFX9_STEP_POLL,
	GFX9_STEP_FAULT,
	GFX9_STEP_STOPPED,
	GFX9_STEP_HALT,
	GFX9_STEP_ERROR,
};

/**
 * struct gfx9_queue - an SDMA queue
 * @vm: its address space
 * @link: in gfx9_vm.queues
 * @lock: guards @state and @halt; @desc against the worker
 * @state: see enum gfx9_queue_state
 * @halt: GFX9_HALT_*; read by the worker without @lock
 * @work: runs slices
 * @desc: as the owner described it; changes only while the worker is away
 *
 * The rest belongs to the worker:
 *
 * @tlb: translations
 * @tlb_generation: gfx9_vm.generation they are of
 * @stop_met: gfx9_vm.stop_epoch of the last stop that was in the way
 * @stop_told: of the last one that gfx9_vm_ops.work_waiting was called for
 * @rptr: bytes consumed
 * @wptr: bytes known to be produced
 * @rptr_stale: the copy of @rptr in memory is older
 * @in_packet: @packet is under way
 * @packet: it
 * @progress: bytes of it that are done
 * @pass: of a broadcast copy, 0 or 1
 * @tries: looks at memory of a POLL
 * @nsteps: packets and parts of packets done so far
 * @fault_va: the access that failed
 * @fault_write: it was a write
 * @error: reason
 * @rang: it wrote to a doorbell
 */
struct gfx9_queue {
	struct gfx9_vm *vm;
	struct list_head link;
	spinlock_t lock;	/* see above */
	enum gfx9_queue_state state;
	unsigned int halt;
	struct delayed_work work;
	struct gfx9_queue_desc desc;

	struct gfx9_tlb tlb;
	u64 tlb_generation;
	u64 stop_met;
	u64 stop_told;
	u64 rptr;
	u64 wptr;
	bool rptr_stale;
	bool in_packet;
	struct gfx9_sdma_packet packet;
	u64 progress;
	unsigned int pass;
	unsigned int tries;
	u64 nsteps;
	u64 fault_va;
	bool fault_write;
	enum gfx9_error error;
	bool rang;
};

/* mem.c: accesses of a queue, each in a section of its own. */
enum gfx9_step gfx9_mem_read(struct gfx9_queue *q, u64 va, void *buf,
			     unsigned int len);
enum gfx9_step gfx9_mem_store(struct gfx9_queue *q, u64 va, u64 value,
			      unsigned int len);
enum gfx9_step gfx9_mem_copy(struct gfx9_queue *q, u64 dst_va, u64 src_va,
			     u64 len, u64 *done);
enum gfx9_step gfx9_mem_fill(struct gfx9_queue *q, u64 dst_va, u32 pattern,
			     unsigned int unit, u64 len, u64 *done);
enum gfx9_step gfx9_mem_atomic(struct gfx9_queue *q,
			       const struct gfx9_sdma_packet *p, u64 *old);

/* oracle.c: is what is accessed what the CPU has there? */
#if defined(CONFIG_KFDSVM_DEBUG) && defined(CONFIG_X86_64)
void gfx9_oracle_begin(struct gfx9_queue *q);
void gfx9_oracle_end(struct gfx9_queue *q);
void gfx9_oracle_check(struct gfx9_queue *q, u64 va, u64 pte, u64 addr);
#else
static inline void gfx9_oracle_begin(struct gfx9_queue *q) {}
static inline void gfx9_oracle_end(struct gfx9_queue *q) {}
static inline void gfx9_oracle_check(struct gfx9_queue *q, u64 va, u64 pte,
				     u64 addr) {}
#endif

/* sdma_exec.c: goes on with q->packet. */
enum gfx9_step gfx9_sdma_exec(struct gfx9_queue *q);

/* queue.c */
void gfx9_vm_kick_stopped(struct gfx9_vm *vm);
void gfx9_vm_kick_pollers(struct gfx9_vm *vm);

/* vm.c, vram.c: what is allocated; 0 at unload. */
extern atomic_long_t gfx9_ntables;
extern atomic_long_t gfx9_nvram_pages;

#endif /* _VAMDGPU_GFX9_PRIV_H */
