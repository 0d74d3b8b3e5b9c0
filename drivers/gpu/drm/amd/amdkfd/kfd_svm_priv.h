/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The objects of the SVM core; see Documentation/svm.rst for how they work
 * together.
 */
#ifndef _KFD_SVM_PRIV_H
#define _KFD_SVM_PRIV_H

#include <linux/bits.h>
#include <linux/hmm_mirror.h>
#include <linux/hmm_mirror_devmem.h>
#include <linux/jiffies.h>
#include <linux/kfd_svm_backend.h>
#include <linux/kfdsvm_compat.h>
#include <linux/list.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "kfd_svm_attrs.h"
#include "kfd_svm_extents.h"
#include "kfd_svm_place.h"
#include "kfd_svm_policy.h"

struct dentry;
struct mem_cgroup;

/* GPUs are bits of a u64 in the attributes. */
#define KFD_SVM_MAX_GPUS	64
#define KFD_SVM_ALL_GPUS	(~0ULL)

/* Largest granularity unregistered memory can default to. */
#define KFD_SVM_MAX_DEFAULT_GRANULARITY	0x1bU

/* Attribute ranges of a process; one costs about 100 bytes. */
#define KFD_SVM_MAX_RANGES	1048576UL

/* At worst every other page of a block is asked for in a way of its own. */
#define KFD_SVM_REQ_SPANS	(KFD_SVM_BLOCK_PAGES / 2)

/* How long an operation fights against CPU changes before it gives up. */
#define KFD_SVM_RETRY_JIFFIES	HZ

/* How often one populate takes memory to RAM that a GPU cannot map where it is. */
#define KFD_SVM_TO_RAM_TRIES	4

/* Pulls by others that an account remembers between two GPU faults. */
#define KFD_SVM_MAX_TAKEN	32

/* Inside: a GPU cannot map memory where it is. No ioctl and no fault returns it. */
#define KFD_SVM_ENEEDSRAM	EXDEV

/**
 * struct kfd_svm_gpu - a GPU of the system
 * @desc: as registered
 * @users: one of the backend until it unregisters, one of each process that has it
 * @gone: it was unregistered; kfd_svm_unplug.c
 * @link: in the list of all GPUs
 * @mem: its VRAM as pages, or NULL: nothing migrates to it
 * @why_not: then the reason
 */
struct kfd_svm_gpu {
	struct kfd_svm_gpu_desc desc;
	refcount_t users;
	bool gone;
	struct list_head link;
	struct hmm_mirror_devmem *mem;
	const char *why_not;
};

/**
 * struct kfd_svm_gpu_account - what of a process went to one GPU's VRAM
 * @gpu: the GPU. Only compared: it may be gone
 * @user_gpu_id: the process's name for it
 * @page_in: pages that came
 * @page_out: pages that left, for RAM or for other VRAM
 * @vram_pages: pages there now
 */
struct kfd_svm_gpu_account {
	const struct kfd_svm_gpu *gpu;
	u32 user_gpu_id;
	u64 page_in;
	u64 page_out;
	u64 vram_pages;
};

/**
 * struct kfd_svm_account - on whose behalf pages are in VRAM
 * @res: the mirror's side; its references keep the account
 * @lock: guards the rest; taken with any lock held and also from interrupts
 * @svm: the process, NULL once it is gone
 * @nr_open: moves under way that @svm was told of
 * @idle: woken when the last of them has ended
 * @nr_gpus: entries of @gpus in use
 * @gpus: by GPU index of @svm
 * @nr_taken: entries of @taken in use
 * @taken: where memory was taken to make room, or by other processes that share it, for
 *	kfd_svm_block.thrash
 *
 * Pages outlive their process: those of a child after fork(), say.
 */
struct kfd_svm_account {
	struct hmm_mirror_resident res;
	spinlock_t lock;		/* see above */
	struct kfd_svm *svm;
	unsigned int nr_open;
	wait_queue_head_t idle;
	unsigned int nr_gpus;
	struct kfd_svm_gpu_account gpus[KFD_SVM_MAX_GPUS];
	unsigned int nr_taken;
	struct kfd_svm_span taken[KFD_SVM_MAX_TAKEN];
};

/**
 * struct kfd_svm_pgpu - a GPU as one process has it
 * @gpu: the GPU; attached for the life of the process
 * @user_gpu_id: the process's name for it
 * @vm: the backend's address space, NULL before bind and when the GPU is gone.
 *	Written under op_lock and update_lock; others use kfd_svm_bound_gpus()
 * @needs_flush: a zap is under way; under update_lock
 * @counters: under update_lock; but what moves is in the account
 */
struct kfd_svm_pgpu {
	struct kfd_svm_gpu *gpu;
	u32 user_gpu_id;
	void *vm;
	bool needs_flush;
	struct kfd_svm_counters counters;
};

/**
 * struct kfd_svm_block - 2 MiB of address space that some GPU has mapped
 * @index: address >> KFD_SVM_BLOCK_SHIFT
 * @pending: in kfd_svm.pending; non-empty while there is something to restore
 * @next_try: jiffies before which restoring makes no sense
 * @failures: restore attempts failed in a row
 * @hit: lost pages since the last attempt began
 * @demand: pages that GPU faults have asked to write since the CPU changed them
 *	last
 * @changes: times somebody else than kfd_svm.populator changed memory of it
 * @thrash: how it moved, NULL until a GPU fault brings it to VRAM. Set under op_lock
 *	and update_lock
 * @inside: GPUs whose mapping is part of the block's own allocation
 * @gpu: by GPU index; an entry is NULL until the GPU maps something. Set under
 *	op_lock and update_lock
 *
 * Published in kfd_svm.blocks under op_lock; taken out and freed under op_lock
 * and update_lock. The content is under update_lock, but for the exts arrays:
 * they are replaced with op_lock held as well, so that its holder can read
 * their size without update_lock.
 */
struct kfd_svm_block {
	unsigned long index;
	struct list_head pending;
	unsigned long next_try;
	unsigned int failures;
	bool hit;
	DECLARE_BITMAP(demand, KFD_SVM_BLOCK_PAGES);
	unsigned long changes;
	struct kfd_svm_thrash *thrash;
	u64 inside;
	struct kfd_svm_mapping *gpu[];
};

/**
 * struct kfd_svm - a process
 * @mm: its address space; kept by the mirror
 * @tgid: its name in debugfs and traces
 * @client_ops: the front end's callbacks
 * @client: their argument
 * @mirror: watches @mm; its update lock is @update_lock
 * @op_lock: serialises set, populate, restore and housekeeping of the process.
 *	One lock on purpose: what it could let run side by side meets again in
 *	mmap_lock and the page-table lock of the same mm
 * @update_lock: guards what is mapped and what was asked for: @attrs, @blocks'
 *	content, @gpus' vm and counters, @pending, @evicted, @dead
 * @granularity: of unregistered memory
 * @xnack: faults are replayed. Written under op_lock and update_lock
 * @used: attributes or blocks may exist, so the set of GPUs is final; op_lock
 * @nr_gpus: entries of @gpus in use; final once @used
 * @capable: GPUs that can do SVM, as bits; written under op_lock and update_lock
 * @gone: GPUs that have gone since; as @capable
 * @gpus: by index
 * @links: what they can do with each other's VRAM; final once @used
 * @account: what of the process is in VRAM
 * @attrs: what user space asked for, under @update_lock
 * @blocks: what is mapped, struct kfd_svm_block by index
 * @next_map_id: names DMA runs, under op_lock
 * @fault_exts: for hmm_mirror_range_fault(), one block's worth, under op_lock
 * @req_spans: for hmm_mirror_range_fault(), KFD_SVM_REQ_SPANS of them, op_lock
 * @new_exts: fresh extents of a commit, one block's worth, op_lock
 * @spare_exts: the next extent array, one block's worth, or NULL; op_lock
 * @faults: struct kfd_svm_fault that wait for op_lock; changed under @update_lock,
 *	served by whoever gets op_lock
 * @populator: the thread that makes pages present or moves them, whose copies and
 *	moves are no change by others; written under op_lock, others compare it with themselves
 * @evicted: all queues are stopped by us
 * @work_waiting: a stopped engine has work. Set without a lock, cleared under
 *	@update_lock at resume
 * @dead: the mm is gone
 * @pending: blocks to restore before the queues may go on
 * @nr_pending: entries in @pending
 * @restore_work: restores; only queued while @evicted and @work_waiting
 * @housekeep_work: tops up the attribute tree's reserve, frees empty blocks
 * @link: in the list of all processes
 * @pinned: GPUs that go look at it, so it stays in the list; guarded as that is
 * @debugfs: directory, may be an error pointer
 *
 * Lock order, outermost first::
 *
 *   op_lock -> mmap_lock -> locks of the core mm -> update_lock -> backend
 *                                                  update_lock -> account
 *
 * Invalidation takes update_lock only. Under update_lock nothing allocates,
 * sleeps on anything but the lock itself, or enters the mirror.
 */
struct kfd_svm {
	struct mm_struct *mm;
	pid_t tgid;
	const struct kfd_svm_client_ops *client_ops;
	void *client;
	struct hmm_mirror mirror;

	struct mutex op_lock;		/* outermost, see above */
	struct mutex update_lock;	/* innermost, see above */

	u32 granularity;
	bool xnack;
	bool used;
	unsigned int nr_gpus;
	u64 capable;
	u64 gone;
	struct kfd_svm_pgpu gpus[KFD_SVM_MAX_GPUS];
	struct kfd_svm_links links;
	struct kfd_svm_account *account;

	struct kfd_svm_attr_tree attrs;
	struct xarray blocks;
	u32 next_map_id;
	struct hmm_mirror_extent *fault_exts;
	struct hmm_mirror_req_span *req_spans;
	struct kfd_svm_extent *new_exts;
	struct kfd_svm_extents *spare_exts;

	struct list_head faults;
	struct task_struct *populator;

	bool evicted;
	bool work_waiting;
	bool dead;
	struct list_head pending;
	unsigned long nr_pending;
	struct delayed_work restore_work;
	struct work_struct housekeep_work;

	struct list_head link;
	unsigned int pinned;
	struct dentry *debugfs;
};

#define to_svm(ptr) container_of(ptr, struct kfd_svm, mirror)

/* Of thrash detection: monotonic, and never wraps. */
static inline u64 kfd_svm_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

static inline unsigned int kfd_svm_next_gpu(const struct kfd_svm *svm, u64 mask,
					    unsigned int i)
{
	while (i < svm->nr_gpus && !(mask & BIT_ULL(i)))
		i++;
	return i;
}

/* Iterate over the GPUs (indices) in a mask. */
#define kfd_svm_for_each_gpu(i, svm, mask) \
	for ((i) = kfd_svm_next_gpu(svm, mask, 0); (i) < (svm)->nr_gpus; \
	     (i) = kfd_svm_next_gpu(svm, mask, (i) + 1))

static inline unsigned long kfd_svm_block_of(unsigned long page)
{
	return page >> (KFD_SVM_BLOCK_SHIFT - PAGE_SHIFT);
}

static inline unsigned long kfd_svm_block_first(const struct kfd_svm_block *block)
{
	return block->index << (KFD_SVM_BLOCK_SHIFT - PAGE_SHIFT);
}

/* First and last page of @block that lie in first..last, within the block. */
static inline unsigned int
kfd_svm_block_clip_first(const struct kfd_svm_block *block, unsigned long first)
{
	unsigned long base = kfd_svm_block_first(block);

	return first > base ? first - base : 0;
}

static inline unsigned int
kfd_svm_block_clip_last(const struct kfd_svm_block *block, unsigned long last)
{
	return min(last - kfd_svm_block_first(block),
		   (unsigned long)KFD_SVM_BLOCK_PAGES - 1);
}

/**
 * enum kfd_svm_populate_kind - what memory is brought in for
 * @KFD_SVM_POPULATE_EAGER: SET and restore: for each GPU only pages it maps eagerly,
 *	writable where the VMA allows, and remember those that cannot be had
 * @KFD_SVM_POPULATE_FAULT: GPU faults: all pages the GPU has access to, readable at least
 * @KFD_SVM_POPULATE_PREFETCH: a prefetch: the same, though nobody has faulted
 */
enum kfd_svm_populate_kind {
	KFD_SVM_POPULATE_EAGER,
	KFD_SVM_POPULATE_FAULT,
	KFD_SVM_POPULATE_PREFETCH,
};

/**
 * struct kfd_svm_populate - bring memory into page tables
 * @gpus: for whom
 * @first: first page
 * @last: last page, in the same block
 * @kind: what for
 * @for_write: a fault wants to write in the window
 * @anonymous: the memory is: a page to write, where there is none yet, is nothing
 *	but memory
 * @wanted: pages of the block that faults want to write
 * @written: those that counted as written when it began
 * @write: pages to ask to write: @wanted and what is to come along. This and what
 *	follows are by kfd_svm_request_build()
 * @demand: of @write, those that are to count as written
 * @changes: the block's, when they were found
 * @out_of_reach: pages that a GPU of @gpus cannot map where they are; by the commit
 * @faults: struct kfd_svm_fault that wait for pages of it, or NULL. Out: their err, an
 *	error user space is told of, -EPERM, -EAGAIN, or 0
 * @missing: out: an error user space is told of that kept a page away: -EFAULT,
 *	-EHWPOISON, or 0
 * @moved: out: pages that moved because a GPU could not map them, or not as it needs
 */
struct kfd_svm_populate {
	u64 gpus;
	unsigned long first;
	unsigned long last;
	enum kfd_svm_populate_kind kind;
	bool for_write;
	bool anonymous;
	DECLARE_BITMAP(wanted, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(written, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(write, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(demand, KFD_SVM_BLOCK_PAGES);
	unsigned long changes;
	DECLARE_BITMAP(out_of_reach, KFD_SVM_BLOCK_PAGES);
	struct list_head *faults;
	int missing;
	unsigned long moved;
};

/**
 * enum kfd_svm_then - what becomes of pages that were made writable in RAM
 * @KFD_SVM_THEN_MOVE: the caller moves the window to VRAM
 * @KFD_SVM_THEN_HOME: those from VRAM go back there
 * @KFD_SVM_THEN_STAY: nothing
 */
enum kfd_svm_then {
	KFD_SVM_THEN_MOVE,
	KFD_SVM_THEN_HOME,
	KFD_SVM_THEN_STAY,
};

/**
 * struct kfd_svm_prep - a GPU's side of a commit
 * @block: the block
 * @first: first page the mirror handed over
 * @last: last one
 * @gpu: the GPU
 * @eligible: of those pages, the ones the GPU is to have
 * @target: of those, the ones it has not or not well enough
 * @replace: of those, the ones there is a fresh extent for
 * @nr_fresh: fresh extents, in kfd_svm.new_exts
 */
struct kfd_svm_prep {
	struct kfd_svm_block *block;
	unsigned long first;
	unsigned long last;
	unsigned int gpu;
	DECLARE_BITMAP(eligible, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(target, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(replace, KFD_SVM_BLOCK_PAGES);
	unsigned int nr_fresh;
};

/* Blocks looked at together, at most. */
#define KFD_SVM_PRESENT_BLOCKS	64U

/**
 * struct kfd_svm_present - memory that was looked at, and mapped where it was there
 * @first: first page
 * @last: last page; less than @first: none was looked at
 * @done: blocks, counted from that of @first, whose part of it is mapped
 * @shared: blocks of which pages in VRAM are to become the process's own first
 */
struct kfd_svm_present {
	unsigned long first;
	unsigned long last;
	u64 done;
	u64 shared;
};

static inline bool kfd_svm_is_eager(const struct kfd_svm_populate *pop)
{
	return pop->kind == KFD_SVM_POPULATE_EAGER;
}

/* Of moves on behalf of @pop, as SMI tells them. */
static inline u32 kfd_svm_trigger(const struct kfd_svm_populate *pop)
{
	return pop->kind == KFD_SVM_POPULATE_FAULT ? KFD_SVM_MIGRATE_GPU_FAULT :
						     KFD_SVM_MIGRATE_PREFETCH;
}

/**
 * struct kfd_svm_charge - whom allocations are charged to
 * @memcg: the process's
 * @old: whom before
 */
struct kfd_svm_charge {
	struct mem_cgroup *memcg;
	struct mem_cgroup *old;
};

/* kfd_svm_main.c */
extern struct workqueue_struct *kfd_svm_wq;
int kfd_svm_gpu_index(struct kfd_svm *svm, u32 user_gpu_id);
u64 kfd_svm_bound_gpus(struct kfd_svm *svm);
bool kfd_svm_is_va_busy(struct kfd_svm *svm, unsigned long first,
			unsigned long last);
void kfd_svm_charge_begin(struct kfd_svm *svm, struct kfd_svm_charge *charge);
void kfd_svm_charge_end(struct kfd_svm_charge *charge);
void kfd_svm_default_attr(struct kfd_svm *svm, struct kfd_svm_attr *attr);
int kfd_svm_commit_attr(struct kfd_svm *svm, unsigned long first,
			unsigned long last,
			const struct kfd_svm_attr_update *update,
			unsigned int *changed);

/* kfd_svm_unplug.c */
extern struct mutex kfd_svm_processes_lock;
void kfd_svm_process_add(struct kfd_svm *svm);
void kfd_svm_process_remove(struct kfd_svm *svm);
void kfd_svm_gpu_put(struct kfd_svm_gpu *gpu);

/* kfd_svm_block.c */
void kfd_svm_extents_free(struct kfd_svm_mapping *map, struct kfd_svm_extents *exts);
struct kfd_svm_block *kfd_svm_block_alloc(struct kfd_svm *svm, unsigned long index,
					  u64 gpus);
u64 kfd_svm_blocks_insert(struct kfd_svm *svm, unsigned long first,
			  struct kfd_svm_block **blocks, u64 which);
int kfd_svm_block_add_gpus(struct kfd_svm *svm, struct kfd_svm_block *block, u64 gpus);
struct kfd_svm_block *kfd_svm_block_get(struct kfd_svm *svm, unsigned long index,
					u64 gpus);
void kfd_svm_block_set_pending(struct kfd_svm *svm, struct kfd_svm_block *block);
void kfd_svm_block_clear_pending(struct kfd_svm *svm,
				 struct kfd_svm_block *block);
bool kfd_svm_block_is_empty(struct kfd_svm *svm, struct kfd_svm_block *block);
void kfd_svm_blocks_reap(struct kfd_svm *svm);
void kfd_svm_blocks_free(struct kfd_svm *svm);
void kfd_svm_attr_at(struct kfd_svm *svm, unsigned long page, unsigned long *last,
		     struct kfd_svm_attr *attr);
u32 kfd_svm_extent_pte(struct kfd_svm *svm, unsigned int gpu,
		       const struct kfd_svm_extent *ext, u32 attr_flags,
		       void **vram_gpu);
void kfd_svm_mapping_write_ptes(struct kfd_svm *svm, struct kfd_svm_block *block,
				unsigned int gpu, unsigned int first,
				unsigned int last, bool count);
void kfd_svm_extent_undo(struct kfd_svm *svm, struct kfd_svm_block *block,
			 unsigned int gpu, const struct kfd_svm_extent *ext);
void kfd_svm_mapping_undo_unused(struct kfd_svm *svm,
				 struct kfd_svm_block *block, unsigned int gpu,
				 unsigned int first, unsigned int last);

/* kfd_svm_zap.c */
void kfd_svm_zap_gpu(struct kfd_svm *svm, unsigned int gpu);
void kfd_svm_zap(struct kfd_svm *svm, unsigned long first, unsigned long last,
		 u64 gpus);
void kfd_svm_rewrite(struct kfd_svm *svm, unsigned long first,
		     unsigned long last);
void kfd_svm_revoke(struct kfd_svm *svm, unsigned long first,
		    unsigned long last);
void kfd_svm_invalidate(struct hmm_mirror *mirror,
			const struct hmm_mirror_event *event);

/* kfd_svm_request.c */
int kfd_svm_request_build(struct kfd_svm *svm, struct kfd_svm_populate *pop,
			  struct hmm_mirror_range *range,
			  struct hmm_mirror_req *req);
void kfd_svm_request_demand(struct kfd_svm *svm, struct kfd_svm_populate *pop);
unsigned int kfd_svm_request_spans(struct kfd_svm *svm, unsigned long base,
				   const unsigned long *pages);
void kfd_svm_count_populate(struct kfd_svm *svm,
			    const struct kfd_svm_populate *pop);
void kfd_svm_refuse_devices(const struct hmm_mirror_range *range,
			    struct hmm_mirror_cursor *cursor);
void kfd_svm_note_errors(struct kfd_svm_populate *pop,
			 const struct hmm_mirror_cursor *cursor);
bool kfd_svm_fault_failed(const struct kfd_svm_populate *pop);

/* kfd_svm_commit.c */
void kfd_svm_find_target(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
			 struct kfd_svm_prep *prep);
struct kfd_svm_extents *kfd_svm_extents_alloc(unsigned int nr);
int kfd_svm_commit_reserve(struct kfd_svm *svm);
int kfd_svm_commit(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		   struct hmm_mirror_range *range,
		   struct hmm_mirror_cursor *cursor, struct kfd_svm_prep *prep);
int kfd_svm_commit_first(struct kfd_svm *svm, const struct hmm_mirror_range *range,
			 const struct hmm_mirror_extent *ext, struct kfd_svm_prep *prep);

/* kfd_svm_present.c */
void kfd_svm_map_present(struct kfd_svm *svm, unsigned long first,
			 unsigned long last, struct kfd_svm_present *present);

/* kfd_svm_vram.c */
extern char kfd_svm_vram_owner;
void kfd_svm_vram_init(struct kfd_svm_gpu *gpu);
void kfd_svm_vram_fini(struct kfd_svm_gpu *gpu);
bool kfd_svm_vram_in_use(void);
void kfd_svm_vram_attach(struct kfd_svm *svm, unsigned int index);
bool kfd_svm_vram_find(struct kfd_svm *svm, const struct hmm_mirror_range *range,
		       const struct hmm_mirror_extent *ext, int *owner, u64 *addr);
struct seq_file;
int kfd_svm_gpus_show(struct seq_file *m, void *unused);

/* kfd_svm_account.c */
struct kfd_svm_account *kfd_svm_account_create(struct kfd_svm *svm);
void kfd_svm_account_detach(struct kfd_svm_account *account);
void kfd_svm_account_add_gpu(struct kfd_svm_account *account,
			     const struct kfd_svm_gpu *gpu, u32 user_gpu_id);
void kfd_svm_account_read(struct kfd_svm_account *account, unsigned int gpu,
			  struct kfd_svm_counters *counters);
unsigned int kfd_svm_account_read_taken(struct kfd_svm_account *account,
					struct kfd_svm_span *taken);
void kfd_svm_tell(struct kfd_svm *svm, const struct kfd_svm_event *event);

/* Pages @first to @last; hmm_mirror_range_unregister() ends it. */
static inline int kfd_svm_range_register(struct kfd_svm *svm,
					 struct hmm_mirror_range *range,
					 unsigned long first, unsigned long last)
{
	return hmm_mirror_range_register(range, &svm->mirror, first << PAGE_SHIFT,
					 ((last + 1) << PAGE_SHIFT) - 1);
}

/* kfd_svm_unshare.c */
bool kfd_svm_is_shared(const struct hmm_mirror_extent *ext);
void kfd_svm_unshare(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		     enum kfd_svm_then then);

/* kfd_svm_migrate.c */
int kfd_svm_move(struct kfd_svm *svm, unsigned long first, unsigned long last,
		 const struct kfd_svm_target *target, u32 trigger,
		 unsigned long *moved, unsigned long *there);
bool kfd_svm_migrate_for_fault(struct kfd_svm *svm, unsigned int gpu,
			       struct kfd_svm_populate *pop);
void kfd_svm_migrated_for_fault(struct kfd_svm *svm,
				const struct kfd_svm_populate *pop);
int kfd_svm_migrate_out_of_reach(struct kfd_svm *svm, struct kfd_svm_populate *pop);
int kfd_svm_prefetch(struct kfd_svm *svm, unsigned long first, unsigned long last,
		     u32 location, bool *moved);
void kfd_svm_note_pulled(struct kfd_svm *svm, unsigned long first,
			 unsigned long last);
void kfd_svm_forget_thrash(struct kfd_svm *svm, unsigned long first,
			   unsigned long last);

/* kfd_svm_map.c */
int kfd_svm_reserve_tables(struct kfd_svm *svm, unsigned long first,
			   unsigned long last, u64 gpus);
u64 kfd_svm_eager_gpus(struct kfd_svm *svm, const struct kfd_svm_attr_range *range);
int kfd_svm_populate(struct kfd_svm *svm, struct kfd_svm_populate *pop);
int kfd_svm_map_eager(struct kfd_svm *svm, unsigned long first,
		      unsigned long last, int *missing);
void kfd_svm_block_prune_wants(struct kfd_svm *svm, struct kfd_svm_block *block);

/* kfd_svm_restore.c */
void kfd_svm_stop_gpu(struct kfd_svm *svm, unsigned int gpu);
void kfd_svm_evict(struct kfd_svm *svm);
void kfd_svm_resume_if_restored(struct kfd_svm *svm);
void kfd_svm_settle_pending(struct kfd_svm *svm, unsigned long first,
			    unsigned long last);
void kfd_svm_restore_worker(struct work_struct *work);

/* kfd_svm_debugfs.c */
void kfd_svm_debugfs_init(void);
void kfd_svm_debugfs_exit(void);
void kfd_svm_debugfs_add(struct kfd_svm *svm);
void kfd_svm_debugfs_remove(struct kfd_svm *svm);

/* kfd_svm_debugfs_pt.c */
extern const struct file_operations kfd_svm_page_tables_fops;

/* kfd_svm_residency.c */
int kfd_svm_residency_show(struct seq_file *m, void *unused);

/* Ways to break the core on purpose, so that the tests can be seen to fail. */
#ifdef CONFIG_KFDSVM_DEBUG
extern bool kfd_svm_break_zap;
extern bool kfd_svm_break_flush;
extern bool kfd_svm_break_cow;
extern bool kfd_svm_break_spare;
extern bool kfd_svm_break_join;
extern bool kfd_svm_break_charge;
extern bool kfd_svm_break_prefetch_sticky;
extern bool kfd_svm_break_fork_cow;
extern bool kfd_svm_break_no_access_first;
extern bool kfd_svm_break_thrash;
extern bool kfd_svm_break_window;
extern bool kfd_svm_break_hive;
extern bool kfd_svm_break_smi_end;
extern unsigned int kfd_svm_commit_delay_us;
#else
#define kfd_svm_break_zap	false
#define kfd_svm_break_flush	false
#define kfd_svm_break_cow	false
#define kfd_svm_break_spare	false
#define kfd_svm_break_join	false
#define kfd_svm_break_charge	false
#define kfd_svm_break_prefetch_sticky	false
#define kfd_svm_break_fork_cow	false
#define kfd_svm_break_no_access_first	false
#define kfd_svm_break_thrash	false
#define kfd_svm_break_window	false
#define kfd_svm_break_hive	false
#define kfd_svm_break_smi_end	false
#define kfd_svm_commit_delay_us	0U
#endif

#endif /* _KFD_SVM_PRIV_H */
