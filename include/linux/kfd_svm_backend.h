/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KFD_SVM_BACKEND_H
#define _LINUX_KFD_SVM_BACKEND_H

#include <linux/bits.h>
#include <linux/hmm_mirror_copy.h>
#include <linux/types.h>
#include <uapi/linux/kfd_svm.h>

struct device;
struct kfd_svm;
struct kfd_svm_gpu;
struct mm_struct;
struct module;
struct seq_file;

/**
 * DOC: KFD SVM core and its GPUs
 *
 * The core (kfd_svm.ko) knows attributes, address spaces and policy; a *backend*
 * knows one kind of GPU. A backend registers each GPU with its operations; its
 * front end makes one &struct kfd_svm per process, attaches the GPUs the process
 * sees, and binds a GPU's address space (a *vm*: the backend's object for one
 * process on one GPU) when the process acquires it.
 *
 * Ops go down, events come up:
 *
 *   front end    kfd_svm_create/attach/bind/set_attr/get_attr/set_xnack/destroy
 *   fault ring   kfd_svm_fault()
 *   doorbell     kfd_svm_work_waiting()
 *
 * Lock order, outermost first. The caller's own locks (process, device) come
 * first and may be held on entry to any call marked "may sleep"::
 *
 *   kfd_svm.op_lock -> mmap_lock -> kfd_svm.update_lock -> locks taken in ops
 *
 * Moves of memory take page locks below mmap_lock: page locks -> update_lock, and page
 * locks -> locks taken in the vram ops.
 *
 * Which op runs under update_lock is said with the op. An op under update_lock
 * is reached from MMU notifiers, also non-blockable ones: it never sleeps,
 * never allocates, never fails and never waits for an engine that could itself
 * wait for memory.
 */

/* How a run of pages is mapped: what the policy decided, in no GPU's format. */
#define KFD_SVM_PTE_READ	BIT(0)
#define KFD_SVM_PTE_WRITE	BIT(1)
#define KFD_SVM_PTE_EXEC	BIT(2)
#define KFD_SVM_PTE_SYSTEM	BIT(3)	/* system memory, else the GPU's VRAM */
#define KFD_SVM_PTE_SNOOPED	BIT(4)	/* coherent with the CPU's caches */
#define KFD_SVM_PTE_PEER	BIT(5)	/* VRAM of another GPU of the hive */
#define KFD_SVM_PTE_MTYPE	GENMASK(9, 8)
#define   KFD_SVM_MTYPE_NC	0
#define   KFD_SVM_MTYPE_RW	1
#define   KFD_SVM_MTYPE_CC	2
#define   KFD_SVM_MTYPE_UC	3

/**
 * struct kfd_svm_span - a closed span of addresses
 * @first_va: first byte
 * @last_va: last byte
 */
struct kfd_svm_span {
	u64 first_va;
	u64 last_va;
};

/**
 * struct kfd_svm_pt_run - leaves of a page table that differ in consecutive addresses only
 * @va: first byte
 * @len: bytes
 * @addr: as of pt_map()
 * @flags: KFD_SVM_PTE_*
 * @vram_gpu_id: without SYSTEM, the GPU (desc.gpu_id) whose VRAM it is; 0: it is nobody's
 * @leaf_lg2: log2 of the bytes of a leaf
 * @fragment_lg2: log2 of the bytes of the largest piece a TLB may keep as one entry
 * @object: a memory object's, not SVM's
 */
struct kfd_svm_pt_run {
	u64 va;
	u64 len;
	u64 addr;
	u32 flags;
	u32 vram_gpu_id;
	u8 leaf_lg2;
	u8 fragment_lg2;
	bool object;
};

/**
 * struct kfd_svm_gpu_ops - what a GPU can do for the core
 *
 * The first argument is what kfd_svm_bind_vm() was given. All ops are required but for
 * those marked (optional).
 * Those marked (atomic) run with update_lock held: they do not sleep, allocate,
 * fail, or take a lock that is ever held around a call into the core.
 *
 * @pt_reserve: make page-table memory for a span (whole, aligned pieces of 2 MiB), so
 *	that pt_map() and pt_unmap() of any part of it cannot fail until the vm goes.
 *	Idempotent. May sleep and allocate; op_lock is the only lock of the core
 *	that is held. Returns 0 or -ENOMEM (also: the process's limit is reached).
 * @pt_map: (atomic) write PTEs: len bytes at va show consecutive memory at addr,
 *	flags are KFD_SVM_PTE_*. addr is a DMA address with SYSTEM; else a byte of this
 *	GPU's VRAM or, with PEER, of that of the GPU whose desc.priv is vram_gpu.
 *	May reach over 2 MiB borders, up to 128 MiB. What it overwrites was unmapped
 *	before, and no larger leaf is met: the core unmaps first and puts back what
 *	the unmap took beyond its span. No flush follows, so invalid translations
 *	must not be cached.
 * @pt_unmap: (atomic) invalidate at least the PTEs of the span, which lies in one
 *	aligned 2 MiB. A leaf larger than a page that meets it is cleared whole;
 *	cleared tells what was cleared. It stays within the 2 MiB.
 * @tlb_flush: (atomic) no access that began with an older translation is under
 *	way when it returns, none will begin. Waits for accesses, not for packets.
 * @quiesce: (atomic) the process's queues on this GPU make no access to memory
 *	from the return until resume(). Nests. A queue with packets to run then
 *	calls kfd_svm_work_waiting(), after quiesce() returned.
 * @resume: (atomic) undo one quiesce().
 * @va_busy: does a memory object (not SVM) occupy addresses of the span on this
 *	GPU? If so, the span becomes the part taken by the object met first.
 *	Atomic, and any lock of the core may be held, mmap_lock too.
 * @pt_next: (optional, atomic) read the page tables for debugfs: the first run at or
 *	behind va, cut at it; a longer one may be told in pieces. False: there is none.
 * @vram_alloc: take len bytes of VRAM for migrated memory, consecutive; 2 MiB are aligned
 *	to 2 MiB. What stands in them does not matter: what is not copied to is cleared
 *	before a GPU sees it. op_lock may be held, no mmap_lock, no page lock. Returns 0;
 *	-ENOMEM: full, the core evicts and asks again; another error.
 * @vram_free: give it back. May sleep.
 * @vram_clear: fill len bytes at addr with zeros, rules of vram_copy
 * @vram_copy: copy between VRAM and system memory, and wait for the end for a bounded
 *	time. Page locks and mmap_lock are held: it waits for no page and allocates
 *	nothing with reclaim. Many may run at once. 0 or an error: nothing has moved.
 * @vram_copy_peer: copy from another GPU's VRAM (its desc.priv) to this one's, rules of
 *	vram_copy. The core calls it for GPUs of one hive only.
 *
 * The vram ops get the GPU (desc.priv) and not a vm. They are required where desc
 * has vram_len, but for the last one, which only GPUs in a hive need.
 */
struct kfd_svm_gpu_ops {
	int (*pt_reserve)(void *vm, struct kfd_svm_span span);
	void (*pt_map)(void *vm, u64 va, u64 addr, u64 len, u32 flags,
		       void *vram_gpu);
	void (*pt_unmap)(void *vm, struct kfd_svm_span span,
			 struct kfd_svm_span *cleared);
	void (*tlb_flush)(void *vm);
	void (*quiesce)(void *vm);
	void (*resume)(void *vm);
	bool (*va_busy)(void *vm, struct kfd_svm_span *span);
	bool (*pt_next)(void *vm, u64 va, struct kfd_svm_pt_run *run);
	int (*vram_alloc)(void *gpu, u64 len, u64 *addr);
	void (*vram_free)(void *gpu, u64 addr, u64 len);
	int (*vram_clear)(void *gpu, u64 addr, u64 len);
	int (*vram_copy)(void *gpu, enum hmm_mirror_copy_dir dir,
			 const struct hmm_mirror_copy *runs, unsigned int nr);
	int (*vram_copy_peer)(void *gpu, void *src_gpu,
			      const struct hmm_mirror_copy *runs, unsigned int nr);
};

/* What a graphics core's version leaves open about memory types. */
#define KFD_SVM_GC_APU		BIT(0)	/* system memory is its own memory */
#define KFD_SVM_GC_NODES	BIT(1)	/* an APU's memory is in several NUMA nodes */
#define KFD_SVM_GC_CPU_LINK	BIT(2)	/* the CPU reaches its VRAM over the link */
#define KFD_SVM_GC_REV0		BIT(3)	/* first revision of the silicon */

/**
 * struct kfd_svm_gpu_desc - a GPU as it registers
 * @gpu_id: the id user space names it by; not 0, unique
 * @dma_dev: the device that accesses system memory, 64-bit DMA mask
 * @gc_version: IP version of the graphics core, major << 16 | minor << 8 | rev
 * @gc_traits: KFD_SVM_GC_*
 * @svm_capable: SVM works on it
 * @xnack_capable: it can replay faults (noretry is 0)
 * @vram_len: bytes of VRAM that memory can migrate to, 0: none
 * @vram_coherent_start: physical address at which the CPU reaches all of it like RAM,
 *	cached and coherent; 0: it does not. Never a PCI window
 * @hive_id: GPUs with the same number, not 0, reach each other's VRAM over a link
 * @priv: argument of the vram ops
 * @ops: its operations
 * @owner: the backend's module
 */
struct kfd_svm_gpu_desc {
	u32 gpu_id;
	struct device *dma_dev;
	u32 gc_version;
	u32 gc_traits;
	bool svm_capable;
	bool xnack_capable;
	u64 vram_len;
	u64 vram_coherent_start;
	u64 hive_id;
	void *priv;
	const struct kfd_svm_gpu_ops *ops;
	struct module *owner;
};

/**
 * enum kfd_svm_event_kind - what an event tells
 * @KFD_SVM_EVENT_MIGRATE_START: pages are about to move
 * @KFD_SVM_EVENT_MIGRATE_END: that is over; always follows its START
 * @KFD_SVM_EVENT_PAGE_FAULT_START: a GPU fault is being served
 * @KFD_SVM_EVENT_PAGE_FAULT_END: that is over; always follows its START
 * @KFD_SVM_EVENT_QUEUE_EVICTION: the queues stop on a GPU
 * @KFD_SVM_EVENT_QUEUE_RESTORE: they go on, or that was put off
 * @KFD_SVM_EVENT_UNMAP_FROM_GPU: a GPU lost mapped pages
 */
enum kfd_svm_event_kind {
	KFD_SVM_EVENT_MIGRATE_START,
	KFD_SVM_EVENT_MIGRATE_END,
	KFD_SVM_EVENT_PAGE_FAULT_START,
	KFD_SVM_EVENT_PAGE_FAULT_END,
	KFD_SVM_EVENT_QUEUE_EVICTION,
	KFD_SVM_EVENT_QUEUE_RESTORE,
	KFD_SVM_EVENT_UNMAP_FROM_GPU,
};

/* Triggers by kind, in the numbers of the SMI events. */
#define KFD_SVM_MIGRATE_PREFETCH	0
#define KFD_SVM_MIGRATE_GPU_FAULT	1
#define KFD_SVM_MIGRATE_CPU_FAULT	2
#define KFD_SVM_MIGRATE_EVICTION	3	/* VRAM is short */
#define KFD_SVM_EVICTION_SVM		0
#define KFD_SVM_UNMAP_CPU_CHANGE	0
#define KFD_SVM_UNMAP_MIGRATION		1
#define KFD_SVM_UNMAP_CPU_UNMAP		2

/**
 * struct kfd_svm_event - something happened to a process's memory
 * @kind: what; says which of the others count
 * @trigger: why: MIGRATE_*, QUEUE_EVICTION, UNMAP_FROM_GPU
 * @user_gpu_id: the GPU: all but MIGRATE_*
 * @first_page: address in pages: MIGRATE_*, PAGE_FAULT_*, UNMAP_FROM_GPU
 * @npages: pages: as @first_page
 * @from: GPU the pages leave (user id; 0 RAM): MIGRATE_*
 * @to: GPU they go to: MIGRATE_*
 * @prefetch: prefetch location of the first page: MIGRATE_START
 * @preferred: preferred location of it: MIGRATE_START
 * @error: why not all that could have moved did, a negative errno, or 0: MIGRATE_END
 * @write: the access wants to write: PAGE_FAULT_START
 * @migrated: pages have moved for it: PAGE_FAULT_END
 * @rescheduled: the restore was put off: QUEUE_RESTORE
 *
 * A GPU of which the process has no name counts as RAM's 0.
 */
struct kfd_svm_event {
	enum kfd_svm_event_kind kind;
	u32 trigger;
	u32 user_gpu_id;
	u64 first_page;
	u64 npages;
	u32 from;
	u32 to;
	u32 prefetch;
	u32 preferred;
	int error;
	bool write;
	bool migrated;
	bool rescheduled;
};

/**
 * struct kfd_svm_client_ops - what the front end of a process provides
 * @release: (required) the mm dies: stop everything of this process that could
 *	reach its memory, without waiting for packets to complete.
 *	Context: from the mm's release notifier; may sleep; no lock of the core.
 * @event: (optional) tell whoever watches the process. Comes from the process's own
 *	threads, from those of others whose access or need moves its memory, and from
 *	workers, with any lock of the core and of the mm held: it does not sleep,
 *	takes no lock that is ever held around a call into the core, and allocates
 *	without reclaim only. Not after kfd_svm_destroy() has returned.
 */
struct kfd_svm_client_ops {
	void (*release)(void *client);
	void (*event)(void *client, const struct kfd_svm_event *event);
};

/**
 * enum kfd_svm_fault_outcome - what became of a GPU fault
 * @KFD_SVM_FAULT_REPLAY: mapped, already mapped, or stale: replay the access
 * @KFD_SVM_FAULT_BACKOFF: a passing failure (memory, a lost race): replay later
 * @KFD_SVM_FAULT_NO_MAPPING: no memory there, no read permission, or XNACK off
 *	and not mapped
 * @KFD_SVM_FAULT_NO_ACCESS: the GPU has no access to the range
 * @KFD_SVM_FAULT_READ_ONLY: a write where memory or range are read-only
 * @KFD_SVM_FAULT_GONE: the process is dying: drop it
 */
enum kfd_svm_fault_outcome {
	KFD_SVM_FAULT_REPLAY,
	KFD_SVM_FAULT_BACKOFF,
	KFD_SVM_FAULT_NO_MAPPING,
	KFD_SVM_FAULT_NO_ACCESS,
	KFD_SVM_FAULT_READ_ONLY,
	KFD_SVM_FAULT_GONE,
};

/**
 * struct kfd_svm_fault - an access that found no (sufficient) translation
 * @user_gpu_id: the GPU that made it
 * @write: it wants to write
 * @va: the address
 * @outcome: set by kfd_svm_fault()
 */
struct kfd_svm_fault {
	u32 user_gpu_id;
	bool write;
	u64 va;
	enum kfd_svm_fault_outcome outcome;
	/* private: the core's, while it works on the fault */
	struct list_head link;
	unsigned int gpu;
	int err;
};

/**
 * struct kfd_svm_counters - what happened for a process on one GPU
 * @faults: retry faults handled or refused
 * @populates: times memory was brought in for faults, at most 2 MiB each; one
 *	serves all faults that wait for the same memory
 * @pages_spared: pages around a write that were left shared or unwritten
 * @page_in: pages moved to the GPU's VRAM
 * @page_out: pages moved from it
 * @vram_pages: pages that are in it now, on the account of the process
 * @extents_mapped: runs of pages written to its page tables
 * @pages_mapped: pages in them
 * @invalidations: times a CPU change removed mappings
 * @retries: times a commit lost against a CPU change
 * @restores: times queues were resumed after an eviction
 */
struct kfd_svm_counters {
	u64 faults;
	u64 populates;
	u64 pages_spared;
	u64 page_in;
	u64 page_out;
	u64 vram_pages;
	u64 extents_mapped;
	u64 pages_mapped;
	u64 invalidations;
	u64 retries;
	u64 restores;
};

/* A GPU's life. unregister: also while processes have it attached. ERR_PTR. */
struct kfd_svm_gpu *kfd_svm_gpu_register(const struct kfd_svm_gpu_desc *desc);
void kfd_svm_gpu_unregister(struct kfd_svm_gpu *gpu);
const char *kfd_svm_gpu_vram_mode(const struct kfd_svm_gpu *gpu,
				  const char **why_not);
u64 kfd_svm_gpu_evict(struct kfd_svm_gpu *gpu, u64 len);

/*
 * A process's life. All GPUs are attached before the first attribute or fault.
 * destroy: its queues are gone, no call is under way; its vms still exist.
 * create returns an ERR_PTR.
 */
struct kfd_svm *kfd_svm_create(struct mm_struct *mm, pid_t tgid, bool xnack,
			       const struct kfd_svm_client_ops *ops, void *client);
void kfd_svm_destroy(struct kfd_svm *svm);
int kfd_svm_attach_gpu(struct kfd_svm *svm, struct kfd_svm_gpu *gpu,
		       u32 user_gpu_id);
int kfd_svm_bind_vm(struct kfd_svm *svm, u32 user_gpu_id, void *vm);

/* The ioctl's body. attrs is changed in place by get. */
int kfd_svm_set_attr(struct kfd_svm *svm, u64 start_va, u64 len, u32 nattr,
		     const struct kfd_svm_attribute *attrs);
int kfd_svm_get_attr(struct kfd_svm *svm, u64 start_va, u64 len, u32 nattr,
		     struct kfd_svm_attribute *attrs);
bool kfd_svm_xnack(struct kfd_svm *svm);
int kfd_svm_set_xnack(struct kfd_svm *svm, bool on);
bool kfd_svm_range_registered(struct kfd_svm *svm, u64 first_va, u64 last_va);

/* Events of the hardware. */
void kfd_svm_fault(struct kfd_svm *svm, struct kfd_svm_fault *faults,
		   unsigned int nr);
void kfd_svm_work_waiting(struct kfd_svm *svm);

void kfd_svm_read_counters(struct kfd_svm *svm, u32 user_gpu_id,
			   struct kfd_svm_counters *counters);

#endif /* _LINUX_KFD_SVM_BACKEND_H */
