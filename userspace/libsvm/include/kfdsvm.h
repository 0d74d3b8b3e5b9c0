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
 *  - Every call may be made from any thread, at the same time, on the same
 *    handle; only kfdsvm_close() must come last. No call after kfdsvm_open()
 *    allocates memory. Calls that change or query a range need up to 20 KiB of
 *    stack. None of them may be made from a signal handler but
 *    kfdsvm_strerror(), kfdsvm_version() and kfdsvm_reason_text().
 *  - A handle belongs to the process that opened it. In a child after fork()
 *    every call that reaches the kernel returns -ECHILD; kfdsvm_close() frees
 *    what the child has of it, and kfdsvm_open() gives the child its own.
 *  - What was shared stays shared when the handle is closed: the attributes are
 *    the process's, and die with the mapping (munmap) or with the process.
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

/* Locations: a gpu id, or one of these. */
#define KFDSVM_SYSTEM		0u
#define KFDSVM_UNDEFINED	0xffffffffu

/**
 * Move memory to a GPU or back, and wait for it.
 * @location: gpu id or KFDSVM_SYSTEM
 *
 * A driver may leave memory where it is, and upstream's does so silently when
 * VRAM is short or the memory is a file's: 0 does not prove that it moved. Going
 * to KFDSVM_SYSTEM it does.
 */
KFDSVM_API int kfdsvm_prefetch(struct kfdsvm *handle, const void *addr, size_t len,
			       uint32_t location, unsigned int flags,
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
