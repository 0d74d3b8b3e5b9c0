/* SPDX-License-Identifier: MIT */
/*
 * libkfdsvm: share any memory of a program with its AMD GPUs.
 *
 * On a GPU with shared virtual memory (SVM) a pointer is a pointer: memory from
 * malloc, a stack, a global variable or a mapped file can be given to GPU work
 * as it is. This library says which GPUs may touch which memory, where it
 * should live, and tells in words why SVM does not work where it does not. It
 * needs no special allocator and talks to /dev/kfd as upstream Linux has it.
 *
 * Conventions
 *
 *  - Functions return 0 or a positive answer on success and -errno on failure.
 *    errno itself is left as it was. Nothing is ever printed.
 *  - Addresses and lengths are bytes, of any alignment. The kernel works in
 *    pages of sysconf(_SC_PAGESIZE) bytes, so a call covers every page that the
 *    range touches, or with KFDSVM_INNER only the pages that lie wholly inside.
 *    @covered, where not NULL, says what was covered, on failure too.
 *  - A GPU is named by its KFD gpu id, see struct kfdsvm_device_info.
 *  - Structures that begin with a member `size` are sized by the caller: set it
 *    to sizeof the structure and the rest to 0. A library that knows a longer
 *    structure takes what is missing as 0; one that knows a shorter structure
 *    refuses what it does not know with -E2BIG unless it is 0. For results, it
 *    fills in what both know.
 *  - Arrays of structures come with the size of one entry, @entry_size, to the
 *    same end: pass sizeof.
 *  - Every call may be made from any thread, at the same time, on the same
 *    handle; only the close of an object must come last of its calls, and
 *    kfdsvm_close() after the close of what was opened with the handle. Only
 *    calls named _open allocate memory, and only kfdsvm_async_open() makes a
 *    thread. Calls need up to 24 KiB of stack. None of them may be made from a
 *    signal handler but kfdsvm_strerror(), kfdsvm_version(), kfdsvm_reason_text()
 *    and kfdsvm_event_parse(); all of them may be interrupted by signals.
 *  - A handle belongs to the process that opened it, and so does what was opened
 *    with it. In a child after fork() every call that reaches the kernel returns
 *    -ECHILD; the close calls free what the child has of it, and kfdsvm_open()
 *    gives the child its own.
 *  - What was shared stays shared when the handle is closed: the attributes are
 *    the process's, and die with the mapping (munmap) or with the process.
 *
 * Some structures share their name with a call: in C++ write `struct` before it.
 *
 * The library works beside HIP, HSA and libhsakmt in one process, whichever
 * opened first. README.md says how.
 */
#ifndef KFDSVM_H
#define KFDSVM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KFDSVM_API __attribute__((visibility("default")))
#else
#define KFDSVM_API
#endif

#define KFDSVM_VERSION_MAJOR 0
#define KFDSVM_VERSION_MINOR 1
#define KFDSVM_VERSION_PATCH 0

/** The version of the library in use, such as "0.1.0". */
KFDSVM_API const char *kfdsvm_version(void);

/**
 * What an error of this library means, in one sentence without a full stop.
 * @error: a result of this library; the sign does not matter
 *
 * The text is constant. It speaks of shared memory, where strerror() could only
 * name the errno.
 */
KFDSVM_API const char *kfdsvm_strerror(int error);

/* ---- why something does not work --------------------------------------- */

/**
 * enum kfdsvm_reason - why SVM does not work, of the machine or of one GPU
 *
 * Numbers are never reused; new ones may appear.
 */
enum kfdsvm_reason {
	KFDSVM_REASON_NONE = 0,			/* it works */
	/* of the machine */
	KFDSVM_REASON_NO_KFD = 1,		/* no /dev/kfd: no driver */
	KFDSVM_REASON_KFD_HIDDEN = 2,		/* driver there, no /dev/kfd: a container */
	KFDSVM_REASON_KFD_PERMISSION = 3,	/* /dev/kfd may not be opened */
	KFDSVM_REASON_KFD_ERROR = 4,		/* /dev/kfd fails in another way */
	KFDSVM_REASON_KFD_VERSION = 5,		/* its interface is older than 1.5 */
	KFDSVM_REASON_KERNEL_NO_SVM = 6,	/* kernel without CONFIG_HSA_AMD_SVM */
	KFDSVM_REASON_NO_TOPOLOGY = 7,		/* sysfs topology missing or broken */
	KFDSVM_REASON_NO_GPU = 8,		/* no GPU in the topology */
	KFDSVM_REASON_NO_USABLE_GPU = 9,	/* GPUs, but none with SVM: see each */
	/* of a GPU */
	KFDSVM_REASON_GPU_NO_SVM = 32,		/* the GPU, or its driver, has no SVM */
	KFDSVM_REASON_GPU_HIDDEN = 33,		/* not among this process's GPUs (cgroup) */
	KFDSVM_REASON_RENDER_MISSING = 34,	/* no render node */
	KFDSVM_REASON_RENDER_PERMISSION = 35,	/* render node may not be opened */
	KFDSVM_REASON_RENDER_ERROR = 36,	/* it fails in another way */
	KFDSVM_REASON_ACQUIRE = 37,		/* the GPU's address space was refused */
	/* of XNACK */
	KFDSVM_REASON_XNACK_HARDWARE = 64,	/* a GPU cannot replay faults */
	KFDSVM_REASON_XNACK_DRIVER = 65,	/* the driver has it switched off */
	KFDSVM_REASON_XNACK_BUSY = 66,		/* the process has a queue already */
	KFDSVM_REASON_XNACK_ERROR = 67,		/* it fails in another way */
};

/** One line on @reason in general: "the kernel was built without SVM". */
KFDSVM_API const char *kfdsvm_reason_text(enum kfdsvm_reason reason);

/** Longest text in struct kfdsvm_why, with its final 0. */
#define KFDSVM_WHY_LEN 256

/**
 * struct kfdsvm_why - why something does not work on this machine
 * @size: sizeof(struct kfdsvm_why), set by the caller
 * @reason: in general
 * @error: the -errno behind it, or 0
 * @what: what was found, with names: "/dev/kfd belongs to root:render, mode 0660"
 * @fix: what would help: "add the user to group render: ..."; "" if nothing is known
 */
struct kfdsvm_why {
	size_t size;
	enum kfdsvm_reason reason;
	int error;
	char what[KFDSVM_WHY_LEN];
	char fix[KFDSVM_WHY_LEN];
};

/* ---- open and close ----------------------------------------------------- */

struct kfdsvm;

/**
 * kfdsvm_open() succeeds with no GPU to work with, even without a driver, so
 * that kfdsvm_why() and kfdsvm_device_info() can tell about it. Other calls on
 * such a handle return the error kfdsvm_open() would have returned.
 */
#define KFDSVM_OPEN_INSPECT	0x1u

/**
 * struct kfdsvm_open_options - how to open
 * @size: sizeof(struct kfdsvm_open_options)
 * @flags: KFDSVM_OPEN_*
 * @reserved: 0
 * @why: filled in: why opening failed, or KFDSVM_REASON_NONE; NULL: not wanted
 */
struct kfdsvm_open_options {
	size_t size;
	uint32_t flags;
	uint32_t reserved;
	struct kfdsvm_why *why;
};

/**
 * Find the GPUs and get ready to share memory with them.
 * @handle: the new handle; NULL on failure
 * @options: or NULL for the defaults
 *
 * GPUs are found in /sys/devices/virtual/kfd/kfd/topology. For each one the
 * address space is acquired through its render node. A GPU where that fails is
 * listed, with the reason, and not used; so is a GPU without SVM.
 *
 * The address spaces stay acquired until the process ends: the kernel has no
 * call to give them back. A handle takes one file descriptor, the library one
 * more per GPU and process.
 *
 * Errors: -ENOENT no /dev/kfd; -EACCES no permission; -EPERM kernel without
 * SVM; -EPROTO interface too old; -ENODEV no GPU, or none that has SVM;
 * -EINVAL bad options; -E2BIG options of a newer library; -ENOMEM; -EMFILE.
 */
KFDSVM_API int kfdsvm_open(struct kfdsvm **handle,
			   const struct kfdsvm_open_options *options);

/** Close @handle. NULL is fine. Sharing stays as it is. */
KFDSVM_API void kfdsvm_close(struct kfdsvm *handle);

/**
 * Why SVM does not work, or works with some GPUs only.
 *
 * Returns 0 and fills in @why: with KFDSVM_REASON_NONE if at least one GPU
 * works. -EINVAL if @why->size is not set.
 */
KFDSVM_API int kfdsvm_why(const struct kfdsvm *handle, struct kfdsvm_why *why);

/* ---- devices ------------------------------------------------------------ */

/** How a GPU takes part in replaying faults (XNACK). */
enum kfdsvm_xnack_support {
	KFDSVM_XNACK_NEVER = 0,		/* GFX10 and later, all RDNA: memory must be shared */
	KFDSVM_XNACK_DRIVER = 1,	/* as the module parameter noretry says at load */
	KFDSVM_XNACK_PROCESS = 2,	/* each process chooses (MI200, MI300, MI350) */
};

/**
 * struct kfdsvm_device_info - one GPU
 * @size: sizeof(struct kfdsvm_device_info), set by the caller
 * @node: number in the topology, HSA's "driver node id"
 * @gpu_id: the GPU's name in this library
 * @usable: 1 if memory can be shared with it, else see @reason
 * @reason: why it is not usable; in words: kfdsvm_device_why()
 * @svm: 1 if GPU and driver say they have SVM
 * @xnack: enum kfdsvm_xnack_support
 * @gfx_version: major * 10000 + minor * 100 + stepping
 * @render_minor: of /dev/dri/renderD<n>; 0: none
 * @vendor_id: PCI vendor
 * @device_id: PCI device
 * @vram_len: bytes of its memory
 * @gfx_name: as compilers call it, "gfx90a"
 * @name: as the kernel calls it, "aldebaran"
 */
struct kfdsvm_device_info {
	size_t size;
	uint32_t node;
	uint32_t gpu_id;
	uint32_t usable;
	uint32_t reason;
	uint32_t svm;
	uint32_t xnack;
	uint32_t gfx_version;
	uint32_t render_minor;
	uint32_t vendor_id;
	uint32_t device_id;
	uint64_t vram_len;
	char gfx_name[16];
	char name[48];
};

/** How many GPUs the machine shows, usable or not. */
KFDSVM_API unsigned int kfdsvm_device_count(const struct kfdsvm *handle);

/**
 * Tell about GPU number @index, 0 to kfdsvm_device_count() - 1.
 *
 * Facts are those of the topology when the handle was opened.
 * -EINVAL if @index is too large or @info->size is not set.
 */
KFDSVM_API int kfdsvm_device_info(const struct kfdsvm *handle, unsigned int index,
				  struct kfdsvm_device_info *info);

/** Why GPU number @index is not usable; KFDSVM_REASON_NONE if it is. */
KFDSVM_API int kfdsvm_device_why(const struct kfdsvm *handle, unsigned int index,
				 struct kfdsvm_why *why);

/** The interface version of /dev/kfd. */
KFDSVM_API int kfdsvm_kfd_version(const struct kfdsvm *handle, uint32_t *major,
				  uint32_t *minor);

/* ---- ranges ------------------------------------------------------------- */

/**
 * struct kfdsvm_range - whole pages
 * @start: address of the first byte
 * @len: bytes; 0 if there was no whole page (KFDSVM_INNER)
 */
struct kfdsvm_range {
	uintptr_t start;
	size_t len;
};

/* Flags of the calls below. */
#define KFDSVM_INNER	0x1u	/* only pages that lie wholly inside the range */
#define KFDSVM_IN_PLACE	0x2u	/* kfdsvm_share(): map where it lives, do not migrate */
#define KFDSVM_MEASURE	0x4u	/* kfdsvm_async_prefetch(): tell what it achieved */

/*
 * Errors that all calls on ranges share:
 *
 *  -EINVAL	length 0, page 0, an unknown flag or GPU
 *  -EOVERFLOW	the range wraps around the address space
 *  -EFAULT	not all of it is mapped memory of this process, or it is device
 *		memory (VM_IO, VM_PFNMAP); with XNACK off also memory that cannot
 *		be read, such as PROT_NONE or a file's hole past its end
 *  -EADDRINUSE	part of it is a buffer of a GPU runtime (hipMalloc, hsaKmtAllocMemory)
 *  -ENOMEM	out of memory; nothing changed
 *  -EAGAIN	the memory changed under the call each time it was tried; the
 *		attributes are set, and a later call or GPU fault maps it
 *  -ECHILD	the handle belongs to another process (fork)
 *
 * -EFAULT and -EAGAIN can follow partial work: attributes stay as applied.
 */

/**
 * Give GPUs access to memory.
 * @gpus: gpu ids, or NULL for all usable GPUs
 * @ngpus: entries in @gpus; 0 with NULL
 * @flags: KFDSVM_INNER, KFDSVM_IN_PLACE
 * @covered: which pages were given, or NULL
 *
 * With XNACK off a GPU can touch nothing that is not shared; the pages are read
 * in at once and kept mapped while the CPU changes them. With XNACK on nothing
 * needs sharing, all memory of the process is accessible; sharing then sets
 * policy: the pages may migrate to a GPU that faults on them, or with
 * KFDSVM_IN_PLACE are mapped where they are.
 *
 * Memory that is unmapped and mapped again has to be shared again. The pages at
 * both ends are shared whole, with whatever else lies on them.
 */
KFDSVM_API int kfdsvm_share(struct kfdsvm *handle, const void *addr, size_t len,
			    const uint32_t *gpus, unsigned int ngpus,
			    unsigned int flags, struct kfdsvm_range *covered);

/**
 * Take access away. Parameters as for kfdsvm_share(); KFDSVM_IN_PLACE is not
 * for this call.
 *
 * Without KFDSVM_INNER, what else lies on the pages at both ends is taken away
 * too. Upstream's driver up to 7.x takes note and leaves what is mapped mapped
 * until the CPU changes it.
 */
KFDSVM_API int kfdsvm_unshare(struct kfdsvm *handle, const void *addr, size_t len,
			      const uint32_t *gpus, unsigned int ngpus,
			      unsigned int flags, struct kfdsvm_range *covered);

/** A number that nobody can tell on this machine. */
#define KFDSVM_UNKNOWN		UINT64_MAX

/* Locations: a gpu id, or one of these. */
#define KFDSVM_SYSTEM		0u
#define KFDSVM_UNDEFINED	0xffffffffu

/**
 * Move memory to a GPU or back, and wait for it.
 * @location: gpu id or KFDSVM_SYSTEM
 *
 * A driver may leave memory where it is, and upstream's does so silently when
 * VRAM is short or the memory is a file's: 0 does not prove that it moved. Going
 * to KFDSVM_SYSTEM it does. kfdsvm_prefetch_measured() tells what came of it.
 */
KFDSVM_API int kfdsvm_prefetch(struct kfdsvm *handle, const void *addr, size_t len,
			       uint32_t location, unsigned int flags,
			       struct kfdsvm_range *covered);

/**
 * struct kfdsvm_progress - what a prefetch achieved
 * @size: sizeof(struct kfdsvm_progress), set by the caller
 * @covered_len: bytes that were asked for, whole pages
 * @before_len: bytes of them that were at the location before
 * @after_len: bytes of them that are there now
 * @page_in_len: bytes that came to VRAM of this process's GPUs during the call
 * @page_out_len: bytes that left it
 *
 * The first three are of the range alone, as of kfdsvm_residency(); bytes that
 * nobody touched are nowhere before, so @before_len and @after_len may both be
 * less than @covered_len with everything well. The last two are the driver's
 * counters of the whole process: what other threads move meanwhile is in them.
 * Each is KFDSVM_UNKNOWN where it cannot be told.
 */
struct kfdsvm_progress {
	size_t size;
	uint64_t covered_len;
	uint64_t before_len;
	uint64_t after_len;
	uint64_t page_in_len;
	uint64_t page_out_len;
};

/**
 * As kfdsvm_prefetch(), and look before and after.
 * @progress: what it achieved; filled in when the driver returned an error, too
 *
 * Looking costs two system calls for each 2 MiB, twice.
 */
KFDSVM_API int kfdsvm_prefetch_measured(struct kfdsvm *handle, const void *addr,
					size_t len, uint32_t location,
					unsigned int flags,
					struct kfdsvm_progress *progress,
					struct kfdsvm_range *covered);

/* Kinds of access a GPU has to a range. */
enum kfdsvm_access_kind {
	KFDSVM_ACCESS_NONE = 0,
	KFDSVM_ACCESS_MIGRATE = 1,	/* may move to the GPU that touches it */
	KFDSVM_ACCESS_IN_PLACE = 2,	/* mapped where it lives */
};

/** struct kfdsvm_access - what one GPU may do; @kind: enum kfdsvm_access_kind */
struct kfdsvm_access {
	uint32_t gpu_id;
	uint32_t kind;
};

/* Flags of a range, in struct kfdsvm_advice and struct kfdsvm_attributes. */
#define KFDSVM_HOST_ACCESS	0x01u	/* the CPU uses it (default) */
#define KFDSVM_COHERENT		0x02u	/* fine-grained coherence (default) */
#define KFDSVM_HIVE_LOCAL	0x04u	/* any GPU of the hive is as good */
#define KFDSVM_GPU_READ_ONLY	0x08u	/* GPUs may not write */
#define KFDSVM_GPU_EXECUTE	0x10u	/* GPUs may run code from it */
#define KFDSVM_GPU_READ_MOSTLY	0x20u	/* GPUs read it mostly */
#define KFDSVM_GPU_ALWAYS_MAPPED 0x40u	/* never let the GPU fault, XNACK or not */
#define KFDSVM_EXT_COHERENT	0x80u	/* coherence for device-scope atomics */

/* Which members of struct kfdsvm_advice are meant. */
#define KFDSVM_ADVISE_PREFERRED		0x1u
#define KFDSVM_ADVISE_FLAGS		0x2u
#define KFDSVM_ADVISE_GRANULARITY	0x4u
#define KFDSVM_ADVISE_ACCESS		0x8u

/**
 * struct kfdsvm_advice - how a range should be treated
 * @size: sizeof(struct kfdsvm_advice)
 * @fields: KFDSVM_ADVISE_*, which of the following are meant
 * @preferred: where it should live: gpu id, KFDSVM_SYSTEM or KFDSVM_UNDEFINED
 * @flags_clear: flags to clear, applied first
 * @flags_set: flags to set
 * @granularity_lg2: pages moved together on a fault, as a power of 2; the driver
 *	takes values above 63 as 63
 * @naccess: entries in @access, at most 2040
 * @access: access per GPU, applied in order
 */
struct kfdsvm_advice {
	size_t size;
	uint32_t fields;
	uint32_t preferred;
	uint32_t flags_clear;
	uint32_t flags_set;
	uint32_t granularity_lg2;
	uint32_t naccess;
	const struct kfdsvm_access *access;
};

/** Set what @advice says, in one call to the kernel. Only KFDSVM_INNER in @flags. */
KFDSVM_API int kfdsvm_advise(struct kfdsvm *handle, const void *addr, size_t len,
			     const struct kfdsvm_advice *advice, unsigned int flags,
			     struct kfdsvm_range *covered);

/**
 * struct kfdsvm_attributes - what holds for all of a range
 * @size: sizeof(struct kfdsvm_attributes), set by the caller
 * @preferred: preferred location if it is the same everywhere, else KFDSVM_UNDEFINED
 * @prefetched: where it was last sent, likewise; not where it is
 * @flags_all: flags set everywhere in the range
 * @flags_any: flags set somewhere in it
 * @granularity_lg2: the smallest
 * @naccess: in: room in @access; out: entries filled, the usable GPUs in the
 *	order of kfdsvm_device_info(), as many as there was room for
 * @access: what each GPU may do everywhere in the range, or NULL
 *
 * Parts that were never shared or advised are left out, unless that is all
 * of the range: then these are the defaults, and @access follows XNACK.
 */
struct kfdsvm_attributes {
	size_t size;
	uint32_t preferred;
	uint32_t prefetched;
	uint32_t flags_all;
	uint32_t flags_any;
	uint32_t granularity_lg2;
	uint32_t naccess;
	struct kfdsvm_access *access;
};

/** Ask for the attributes of a range. Only KFDSVM_INNER in @flags. */
KFDSVM_API int kfdsvm_query(struct kfdsvm *handle, const void *addr, size_t len,
			    struct kfdsvm_attributes *attributes, unsigned int flags,
			    struct kfdsvm_range *covered);

/* ---- where memory is ---------------------------------------------------- */

/** struct kfdsvm_place - bytes in the VRAM of one GPU, or KFDSVM_UNKNOWN */
struct kfdsvm_place {
	uint32_t gpu_id;
	uint32_t reserved;
	uint64_t len;
};

/**
 * struct kfdsvm_residency - where the pages of a range are
 * @size: sizeof(struct kfdsvm_residency), set by the caller
 * @len: bytes looked at: the sum of the next four, if all are known
 * @system_len: in system memory, as far as the process has it mapped
 * @vram_len: in the VRAM of GPUs
 * @swapped_len: in swap
 * @absent_len: not there: never touched, or pages of a file that this process
 *	has not touched
 * @nplaces: in: room in @places; out: entries filled, the usable GPUs in the
 *	order of kfdsvm_device_info(), as many as there was room for
 * @reserved: 0
 * @places: @vram_len by GPU, or NULL
 *
 * Nothing is moved, mapped or read in by asking.
 */
struct kfdsvm_residency {
	size_t size;
	uint64_t len;
	uint64_t system_len;
	uint64_t vram_len;
	uint64_t swapped_len;
	uint64_t absent_len;
	uint32_t nplaces;
	uint32_t reserved;
	struct kfdsvm_place *places;
};

/**
 * Where the pages of a range are at this moment. Only KFDSVM_INNER in @flags.
 *
 * Pages of system memory are told from those of VRAM by the process's own page
 * table (/proc/self/pagemap, mincore), which any kernel and any user has. A page
 * in the swap cache (on its way to or from swap), and one of a private mapping of
 * a file that the user may not write, may count as VRAM. VRAM that the CPU
 * uses like memory (coherent: MI200 and MI300 with XGMI to the CPU) looks like
 * system memory there: then @system_len and @vram_len are KFDSVM_UNKNOWN, unless
 * the driver tells.
 *
 * Which GPU's VRAM it is follows where only one usable GPU has VRAM; with more
 * the driver must tell: this repository's does to who may read debugfs (root),
 * for what has attributes of its own; upstream's does not.
 *
 * -EFAULT if part of the range is not mapped; -EOPNOTSUPP without /proc.
 */
KFDSVM_API int kfdsvm_residency(struct kfdsvm *handle, const void *addr, size_t len,
				struct kfdsvm_residency *residency, unsigned int flags,
				struct kfdsvm_range *covered);

/**
 * struct kfdsvm_counters - what a process did with one GPU, since it began
 * @size: sizeof(struct kfdsvm_counters), set by the caller
 * @gpu_id: of which GPU, set by the caller
 * @pid: of which process, set by the caller; 0: this one
 * @faults: GPU faults that were served
 * @page_in: pages moved to the GPU's VRAM
 * @page_out: pages moved from it
 * @vram_len: bytes of its VRAM in use by the process; with upstream's driver and
 *	memory objects of the runtime, all together
 * @vram_pages: pages of shared memory that are in its VRAM
 * @pages_mapped: pages written to the GPU's page table
 * @invalidations: changes by the CPU that took pages from it
 * @populates: times that pages were looked up for it
 * @retries: of them, how often a change came between
 * @restores: times that queues were restored
 *
 * The first four come from sysfs (/sys/class/kfd/kfd/proc), which upstream's
 * driver has, too; the others from this repository's driver in debugfs, for who
 * may read that. What is not there is KFDSVM_UNKNOWN. A process is known by its
 * pid in the initial namespace: in a container with pids of its own everything of
 * this process is unknown.
 */
struct kfdsvm_counters {
	size_t size;
	uint32_t gpu_id;
	int32_t pid;
	uint64_t faults;
	uint64_t page_in;
	uint64_t page_out;
	uint64_t vram_len;
	uint64_t vram_pages;
	uint64_t pages_mapped;
	uint64_t invalidations;
	uint64_t populates;
	uint64_t retries;
	uint64_t restores;
};

/**
 * Read the counters of a GPU and a process.
 *
 * -EINVAL: @counters->size is not set, or no usable GPU of that id. -ESRCH: the
 * driver shows no such process; for this process everything is unknown instead.
 */
KFDSVM_API int kfdsvm_counters(struct kfdsvm *handle, struct kfdsvm_counters *counters);

/* ---- many ranges in one call -------------------------------------------- */

/** enum kfdsvm_op - what a request asks for */
enum kfdsvm_op {
	KFDSVM_OP_SHARE = 1,
	KFDSVM_OP_UNSHARE = 2,
	KFDSVM_OP_PREFETCH = 3,
	KFDSVM_OP_ADVISE = 4,
};

/**
 * struct kfdsvm_request - one call of those above, with its result
 * @op: enum kfdsvm_op
 * @flags: as for the call
 * @addr: first byte
 * @len: bytes
 * @location: of KFDSVM_OP_PREFETCH, else 0
 * @ngpus: entries in @gpus
 * @gpus: of KFDSVM_OP_SHARE and _UNSHARE; NULL: all usable GPUs
 * @advice: of KFDSVM_OP_ADVISE, else NULL
 * @covered: filled in: the pages
 * @result: filled in: 0, or what the call would have returned; -ECANCELED: not
 *	tried
 * @reserved: 0
 */
struct kfdsvm_request {
	uint32_t op;
	uint32_t flags;
	const void *addr;
	size_t len;
	uint32_t location;
	uint32_t ngpus;
	const uint32_t *gpus;
	const struct kfdsvm_advice *advice;
	struct kfdsvm_range covered;
	int32_t result;
	uint32_t reserved;
};

#define KFDSVM_BATCH_STOP	0x1u	/* try nothing more after the first failure */

/**
 * Do many things, in order.
 * @requests: what to do; results are written there
 * @nrequests: how many
 * @entry_size: sizeof(struct kfdsvm_request)
 * @flags: KFDSVM_BATCH_STOP
 *
 * Requests are independent: one that fails undoes nothing and, without
 * KFDSVM_BATCH_STOP, stops nothing. The kernel has no such call; it is asked once
 * for each request.
 *
 * Returns how many have failed or were not tried, at most INT_MAX; -EINVAL bad
 * flags or entry size, -ECHILD after fork: nothing was tried, no result written.
 * An entry that is wrong has its result in the entry.
 */
KFDSVM_API int kfdsvm_batch(struct kfdsvm *handle, struct kfdsvm_request *requests,
			    size_t nrequests, size_t entry_size, unsigned int flags);

/* ---- prefetch without waiting ------------------------------------------- */

struct kfdsvm_async;

/**
 * struct kfdsvm_async_options - how to prefetch without waiting
 * @size: sizeof(struct kfdsvm_async_options)
 * @depth: requests that fit: made and not yet reaped; 0: 64; at most 65536
 * @flags: 0
 */
struct kfdsvm_async_options {
	size_t size;
	uint32_t depth;
	uint32_t flags;
};

/**
 * Make a ring of requests and the thread that works on them.
 * @async: the new ring; NULL on failure
 * @options: or NULL for the defaults
 *
 * All memory, the descriptor and the thread are made here; the calls below
 * allocate nothing. The thread has all signals blocked and ends in
 * kfdsvm_async_close(). A process may have any number of rings; the requests of
 * one are done in order, one at a time.
 *
 * Errors: -EINVAL, -E2BIG bad options; -ENOMEM; -EMFILE; -EAGAIN no more threads;
 * what a range call would return on this handle.
 */
KFDSVM_API int kfdsvm_async_open(struct kfdsvm_async **async, struct kfdsvm *handle,
				 const struct kfdsvm_async_options *options);

/**
 * Give up what has not begun, wait for the request that has, and free the ring
 * with its descriptor. NULL is fine. In a child after fork() nothing is waited
 * for: the thread is the parent's.
 */
KFDSVM_API void kfdsvm_async_close(struct kfdsvm_async *async);

/**
 * A descriptor that polls as readable (POLLIN) while a completion waits for
 * kfdsvm_async_reap(). It is an eventfd; do not read or close it. It is the
 * ring's, until that is closed.
 */
KFDSVM_API int kfdsvm_async_fd(const struct kfdsvm_async *async);

/**
 * As kfdsvm_prefetch(), without waiting.
 * @cookie: comes back with the completion
 * @flags: KFDSVM_INNER, KFDSVM_MEASURE
 *
 * What is wrong with the parameters is told at once; then there is no
 * completion. The memory may be used meanwhile. If it is unmapped before the
 * request is done, the completion says -EFAULT.
 *
 * -ENOBUFS: the ring is full; reap first.
 */
KFDSVM_API int kfdsvm_async_prefetch(struct kfdsvm_async *async, const void *addr,
				     size_t len, uint32_t location, unsigned int flags,
				     uint64_t cookie, struct kfdsvm_range *covered);

/**
 * struct kfdsvm_completion - a prefetch that is done
 * @cookie: of kfdsvm_async_prefetch()
 * @result: what kfdsvm_prefetch() would have returned
 * @location: gpu id or KFDSVM_SYSTEM, as asked for
 * @covered: the pages
 * @before_len: as in struct kfdsvm_progress, with KFDSVM_MEASURE, else
 *	KFDSVM_UNKNOWN; so are the next three
 * @after_len: bytes of the range that are at the location now
 * @page_in_len: bytes that came to VRAM meanwhile
 * @page_out_len: bytes that left it
 */
struct kfdsvm_completion {
	uint64_t cookie;
	int32_t result;
	uint32_t location;
	struct kfdsvm_range covered;
	uint64_t before_len;
	uint64_t after_len;
	uint64_t page_in_len;
	uint64_t page_out_len;
};

/**
 * Take completions from the ring, oldest first. Never waits.
 * @completions: filled in
 * @n: room
 * @entry_size: sizeof(struct kfdsvm_completion)
 *
 * Returns how many, 0 if none is there; -EINVAL.
 */
KFDSVM_API int kfdsvm_async_reap(struct kfdsvm_async *async,
				 struct kfdsvm_completion *completions, unsigned int n,
				 size_t entry_size);

/* ---- save and restore --------------------------------------------------- */

/**
 * struct kfdsvm_record - attributes of pages that have all of them in common
 * @start: address of the first byte, page aligned
 * @len: bytes, whole pages
 * @preferred: preferred location
 * @prefetched: where it was last sent
 * @flags: KFDSVM_HOST_ACCESS ...
 * @granularity_lg2: pages moved together, as a power of 2
 * @access: bit i: usable GPU number i has KFDSVM_ACCESS_MIGRATE
 * @in_place: bit i: it has KFDSVM_ACCESS_IN_PLACE
 * @result: kfdsvm_restore(): 0 or what failed; else 0
 * @reserved: 0
 *
 * GPUs are counted in the order of kfdsvm_device_info(), without those that are
 * not usable. So a record means the same to a process that uses the same GPUs of
 * the same machine; it holds no pointer and may be stored in a file.
 */
struct kfdsvm_record {
	uint64_t start;
	uint64_t len;
	uint32_t preferred;
	uint32_t prefetched;
	uint32_t flags;
	uint32_t granularity_lg2;
	uint64_t access;
	uint64_t in_place;
	int32_t result;
	uint32_t reserved;
};

/**
 * struct kfdsvm_snapshot_options - how to look
 * @size: sizeof(struct kfdsvm_snapshot_options)
 * @step_len: bytes that are asked about together, a multiple of the page size;
 *	0: a page. Attributes that differ within a step come out as kfdsvm_query()
 *	has them.
 * @flags: 0
 * @reserved: 0
 */
struct kfdsvm_snapshot_options {
	size_t size;
	size_t step_len;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * Save the attributes of ranges.
 * @ranges: which; page aligned, such as a call above said it covered
 * @nranges: how many
 * @options: or NULL for the defaults
 * @records: filled in; NULL with @nrecords 0 to count
 * @nrecords: room
 * @entry_size: sizeof(struct kfdsvm_record)
 *
 * The driver tells what holds for all of a range, not where it changes, so it is
 * asked once for each step: about a million calls a second. Neighbours that
 * say the same become one record. Pages that were never shared or advised have
 * records, too, that say the defaults.
 *
 * Returns how many records there are: more than @nrecords if there was not room
 * for all, then the first @nrecords are filled in. -EFAULT: part of a range is
 * not mapped. -EOVERFLOW: more than 64 usable GPUs, or more records than INT_MAX.
 * The attributes should not be changed meanwhile.
 */
KFDSVM_API int kfdsvm_snapshot(struct kfdsvm *handle, const struct kfdsvm_range *ranges,
			       size_t nranges,
			       const struct kfdsvm_snapshot_options *options,
			       struct kfdsvm_record *records, size_t nrecords,
			       size_t entry_size);

#define KFDSVM_RESTORE_PREFETCH	0x1u	/* move memory to where it was last sent, too */

/**
 * Set ranges to what their records say.
 * @records: of kfdsvm_snapshot(); the results are written there
 * @nrecords: how many
 * @entry_size: sizeof(struct kfdsvm_record)
 * @flags: KFDSVM_RESTORE_PREFETCH
 *
 * Everything a record says is set, so what was set since is gone: access that
 * was given is taken away. The memory has to be mapped at the same addresses.
 *
 * Returns how many records have failed; -EINVAL bad flags or entry size, -ECHILD
 * after fork: nothing was tried.
 */
KFDSVM_API int kfdsvm_restore(struct kfdsvm *handle, struct kfdsvm_record *records,
			      size_t nrecords, size_t entry_size, unsigned int flags);

/* ---- events ------------------------------------------------------------- */

/**
 * enum kfdsvm_event_kind - what happened
 *
 * The numbers are the driver's. Kinds that this library does not know are not
 * delivered.
 */
enum kfdsvm_event_kind {
	KFDSVM_EVENT_VM_FAULT = 1,	/* an access failed for good: @pid, @comm */
	KFDSVM_EVENT_MIGRATE_START = 5,	/* @addr, @len, @from, @to, @trigger ... */
	KFDSVM_EVENT_MIGRATE_END = 6,	/* the same, and @error where the driver says it */
	KFDSVM_EVENT_FAULT_START = 7,	/* @addr, @gpu_id, KFDSVM_EVENT_WRITE */
	KFDSVM_EVENT_FAULT_END = 8,	/* @addr, @gpu_id, KFDSVM_EVENT_MIGRATED */
	KFDSVM_EVENT_EVICTION = 9,	/* queues were stopped: @gpu_id, @trigger */
	KFDSVM_EVENT_RESTORE = 10,	/* queues go on: @gpu_id, KFDSVM_EVENT_RESCHEDULED */
	KFDSVM_EVENT_UNMAP = 11,	/* pages were taken from a GPU: @addr, @len, @gpu_id */
};

/** Bit of a kind in struct kfdsvm_events_options. */
#define KFDSVM_EVENT_BIT(kind)	(1ULL << ((kind) - 1))
#define KFDSVM_EVENTS_ALL	(KFDSVM_EVENT_BIT(KFDSVM_EVENT_VM_FAULT) | \
				 0x7fULL << (KFDSVM_EVENT_MIGRATE_START - 1))

/* @trigger of MIGRATE_START and _END */
#define KFDSVM_MIGRATE_PREFETCH		0u
#define KFDSVM_MIGRATE_GPU_FAULT	1u
#define KFDSVM_MIGRATE_CPU_FAULT	2u
#define KFDSVM_MIGRATE_VRAM_FULL	3u
/* @trigger of EVICTION */
#define KFDSVM_EVICTION_SVM		0u	/* the CPU changed shared memory */
#define KFDSVM_EVICTION_USERPTR		1u
#define KFDSVM_EVICTION_VRAM_FULL	2u
#define KFDSVM_EVICTION_SUSPEND		3u
#define KFDSVM_EVICTION_CHECKPOINT	4u
#define KFDSVM_EVICTION_CHECKPOINT_RESTORE 5u
/* @trigger of UNMAP */
#define KFDSVM_UNMAP_CPU_CHANGE		0u
#define KFDSVM_UNMAP_MIGRATION		1u
#define KFDSVM_UNMAP_MUNMAP		2u

/* Flags of an event. */
#define KFDSVM_EVENT_WRITE		0x1u	/* FAULT_START: the access is a write */
#define KFDSVM_EVENT_MIGRATED		0x2u	/* FAULT_END: the page moved for it */
#define KFDSVM_EVENT_RESCHEDULED	0x4u	/* RESTORE: failed, is tried again */
#define KFDSVM_EVENT_HAS_ERROR		0x8u	/* MIGRATE_END: @error is known */

/**
 * struct kfdsvm_event - an event; what its kind does not have is 0
 * @time_ns: CLOCK_BOOTTIME when it happened; 0 for VM_FAULT, which has none
 * @addr: first byte
 * @len: bytes
 * @kind: enum kfdsvm_event_kind
 * @flags: KFDSVM_EVENT_WRITE ...
 * @pid: process, in the initial pid namespace
 * @gpu_id: the GPU that faulted, was stopped or lost pages; for migrations and
 *	VM_FAULT the one that told
 * @from: where memory was: gpu id or KFDSVM_SYSTEM
 * @to: where it goes
 * @prefetch: MIGRATE_START: where the range was last sent
 * @preferred: MIGRATE_START: preferred location of the range
 * @trigger: why, see above; newer drivers may have more
 * @error: MIGRATE_END: 0 or the driver's -errno
 * @comm: VM_FAULT: name of the process
 */
struct kfdsvm_event {
	uint64_t time_ns;
	uint64_t addr;
	uint64_t len;
	uint32_t kind;
	uint32_t flags;
	int32_t pid;
	uint32_t gpu_id;
	uint32_t from;
	uint32_t to;
	uint32_t prefetch;
	uint32_t preferred;
	uint32_t trigger;
	int32_t error;
	char comm[16];
};

struct kfdsvm_events;

#define KFDSVM_EVENTS_ALL_PROCESSES	0x1u	/* needs CAP_SYS_ADMIN, else only one's own */

/**
 * struct kfdsvm_events_options - what to hear of
 * @size: sizeof(struct kfdsvm_events_options)
 * @kinds: KFDSVM_EVENT_BIT() of each; 0: KFDSVM_EVENTS_ALL
 * @flags: KFDSVM_EVENTS_ALL_PROCESSES
 * @ngpus: entries in @gpus
 * @gpus: GPUs to hear of; NULL: all usable ones
 */
struct kfdsvm_events_options {
	size_t size;
	uint64_t kinds;
	uint32_t flags;
	uint32_t ngpus;
	const uint32_t *gpus;
};

/**
 * Begin to listen.
 * @events: the new listener; NULL on failure
 * @options: or NULL for the defaults
 *
 * Takes two descriptors and one for each GPU.
 *
 * The driver keeps little (1 KiB for each GPU and listener) and drops what does
 * not fit without a word: read often, or ask for few kinds. This repository's
 * driver never drops an END whose START was delivered; upstream's may.
 *
 * Errors: -EOPNOTSUPP the driver has no events; -EINVAL, -E2BIG bad options;
 * -ENOMEM; -EMFILE; what a range call would return on this handle.
 */
KFDSVM_API int kfdsvm_events_open(struct kfdsvm_events **events, struct kfdsvm *handle,
				  const struct kfdsvm_events_options *options);

/** Stop listening. NULL is fine. */
KFDSVM_API void kfdsvm_events_close(struct kfdsvm_events *events);

/**
 * A descriptor that polls as readable (POLLIN) while kfdsvm_events_read() has
 * something to give or to tell. It is the listener's, until that is closed; only for poll,
 * select and epoll.
 */
KFDSVM_API int kfdsvm_events_fd(const struct kfdsvm_events *events);

/**
 * Take events. Never waits.
 * @list: filled in
 * @n: room
 * @entry_size: sizeof(struct kfdsvm_event)
 *
 * Events of one GPU come in order, those of several GPUs are not sorted by time.
 * A migration between two GPUs that are both listened to is told once. Lines that
 * cannot be understood are left out and counted, see kfdsvm_events_skipped().
 *
 * Returns how many, 0 if there is none; -EINVAL; -ECHILD in a child after fork;
 * -ENODEV: a GPU is gone, told once for each; the others are still heard; an error
 * of the driver.
 */
KFDSVM_API int kfdsvm_events_read(struct kfdsvm_events *events, struct kfdsvm_event *list,
				  unsigned int n, size_t entry_size);

/** How many lines of the driver could not be understood so far. */
KFDSVM_API uint64_t kfdsvm_events_skipped(const struct kfdsvm_events *events);

/**
 * Take apart one line as the driver writes it, for who has a descriptor of his
 * own (AMDKFD_IOC_SMI_EVENTS).
 * @text: the line; its end is at @len or at the first newline
 * @len: bytes
 * @event: filled in; @gpu_id of migrations and VM_FAULT is 0
 * @entry_size: sizeof(struct kfdsvm_event)
 *
 * Returns 0; -EBADMSG: not such a line; -EINVAL. Any bytes will do: nothing
 * outside of @text is looked at. May be called from a signal handler.
 */
KFDSVM_API int kfdsvm_event_parse(const char *text, size_t len,
				  struct kfdsvm_event *event, size_t entry_size);

/* ---- XNACK -------------------------------------------------------------- */

/**
 * Whether GPU faults of this process are replayed: 1 or 0.
 *
 * The kernel chooses at the process's first open of /dev/kfd. A runtime in the
 * same process may change it (HSA_XNACK).
 */
KFDSVM_API int kfdsvm_xnack_get(struct kfdsvm *handle);

/**
 * Switch replaying of faults on (1) or off (0) for this process.
 *
 * -EBUSY: the process has a GPU queue, from any library; do it before the first.
 * -EPERM: a GPU of the process cannot, see kfdsvm_xnack_why().
 */
KFDSVM_API int kfdsvm_xnack_set(struct kfdsvm *handle, int enable);

/**
 * Whether XNACK could be switched on now, and why not.
 *
 * Returns 1 if it is on or could be, 0 if not; @why may be NULL. The only way to
 * find out is to try: where it is off it is switched on and off again, so call
 * this before sharing memory and not while other threads do.
 */
KFDSVM_API int kfdsvm_xnack_why(struct kfdsvm *handle, struct kfdsvm_why *why);

#ifdef __cplusplus
}
#endif

#endif /* KFDSVM_H */
