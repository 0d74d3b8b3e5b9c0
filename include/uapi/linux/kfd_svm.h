/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Shared virtual memory on /dev/kfd: the user ABI.
 *
 * Binary compatible with the SVM part of <linux/kfd_ioctl.h>; the names differ
 * so that both headers can be included together. A test compares every number,
 * offset and size with that header.
 */
#ifndef _UAPI_LINUX_KFD_SVM_H
#define _UAPI_LINUX_KFD_SVM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: Errors of the SVM call
 *
 * The checks run in this order and the first that fails decides. A failed
 * check changes nothing. Errors marked (late) can follow partial work: what
 * was applied to the attributes stays applied.
 *
 * ============ ==============================================================
 * errno        cause
 * ============ ==============================================================
 * EBADF        the caller is not the process that opened the descriptor: a
 *              fork child, a process that was sent the descriptor, or the same
 *              process after execve()
 * EINVAL       the size encoded in the command is smaller than
 *              sizeof(struct kfd_svm_args) + nattr * 8
 * EINVAL       start_addr or size is zero or not a multiple of the page size
 * EINVAL       op is neither KFD_SVM_OP_SET_ATTR nor KFD_SVM_OP_GET_ATTR
 * EINVAL       SET: unknown attribute type; a GPU id this process does not
 *              have, or one whose GPU has no SVM; no VM acquired yet
 * ENODEV       a GPU id whose GPU is gone (unplugged)
 * EOVERFLOW    start_addr + size wraps
 * EFAULT       a byte of the range is in no VMA, or in one of device memory
 *              (VM_IO, VM_PFNMAP, VM_MIXEDMAP)
 * EADDRINUSE   the range meets the GPU mapping of a memory object
 * ENOMEM       out of memory; the set of ranges is unchanged
 * EINVAL       GET (late): ACCESS_IN_PLACE, NO_ACCESS or an unknown type was
 *              asked for, or ACCESS with an unknown GPU id
 * EAGAIN       (late) SET lost every race against the CPU changing the range
 * EFAULT       (late) SET, XNACK off: memory of the range cannot be had, such as
 *              that beyond the end of its file; memory that may not be read
 *              (PROT_NONE) is left out without an error
 * ============ ==============================================================
 */

/**
 * struct kfd_svm_attribute - one attribute of a range
 * @type: one of KFD_SVM_ATTR_*
 * @value: meaning by type, see there
 */
struct kfd_svm_attribute {
	__u32 type;
	__u32 value;
};

/**
 * struct kfd_svm_args - ioctl(KFD_SVM_IOC)
 * @start_addr: first byte of the range, a multiple of the page size, not 0
 * @size: bytes, a multiple of the page size, not 0
 * @op: KFD_SVM_OP_SET_ATTR or KFD_SVM_OP_GET_ATTR
 * @nattr: entries in @attrs, at most 2044; 0 is legal
 * @attrs: applied (SET) or answered (GET) in array order
 *
 * The command carries the length of the whole structure: use KFD_SVM_IOC(nattr).
 * @attrs is copied back even when the call fails.
 */
struct kfd_svm_args {
	__u64 start_addr;
	__u64 size;
	__u32 op;
	__u32 nattr;
	struct kfd_svm_attribute attrs[];
};

#define KFD_SVM_OP_SET_ATTR	0
#define KFD_SVM_OP_GET_ATTR	1

/* Locations: a GPU id, or one of these. */
#define KFD_SVM_LOC_SYSMEM	0U
#define KFD_SVM_LOC_UNDEFINED	0xffffffffU

/* Attribute types. */
#define KFD_SVM_ATTR_PREFERRED_LOC	0 /* location; GET: undefined if mixed */
#define KFD_SVM_ATTR_PREFETCH_LOC	1 /* location, not undefined in SET */
#define KFD_SVM_ATTR_ACCESS		2 /* GPU id; GET answers in @type */
#define KFD_SVM_ATTR_ACCESS_IN_PLACE	3 /* GPU id; SET only */
#define KFD_SVM_ATTR_NO_ACCESS		4 /* GPU id; SET only */
#define KFD_SVM_ATTR_SET_FLAGS		5 /* flags to set; GET: set everywhere */
#define KFD_SVM_ATTR_CLR_FLAGS		6 /* flags to clear; GET: clear everywhere */
#define KFD_SVM_ATTR_GRANULARITY	7 /* log2 of pages; SET clamps to 0x3f */

/* Flags. Unknown bits are stored and reported. */
#define KFD_SVM_FLAG_HOST_ACCESS	0x00000001
#define KFD_SVM_FLAG_COHERENT		0x00000002
#define KFD_SVM_FLAG_HIVE_LOCAL		0x00000004
#define KFD_SVM_FLAG_GPU_RO		0x00000008
#define KFD_SVM_FLAG_GPU_EXEC		0x00000010
#define KFD_SVM_FLAG_GPU_READ_MOSTLY	0x00000020
#define KFD_SVM_FLAG_GPU_ALWAYS_MAPPED	0x00000040
#define KFD_SVM_FLAG_EXT_COHERENT	0x00000080

/* Values of memory never registered. */
#define KFD_SVM_DEFAULT_FLAGS	(KFD_SVM_FLAG_HOST_ACCESS | KFD_SVM_FLAG_COHERENT)
#define KFD_SVM_DEFAULT_GRANULARITY	9
#define KFD_SVM_MAX_GRANULARITY		0x3f
#define KFD_SVM_MAX_NATTR		2044

/**
 * struct kfd_svm_xnack_args - ioctl(KFD_SVM_IOC_XNACK)
 * @xnack_enabled: negative: query, the mode (0 or 1) is written back;
 *	0 or 1: set. Any positive value means 1.
 *
 * Errors: EBUSY while the process has a user queue, also if the mode would not
 * change; EPERM if a GPU of the process cannot replay faults.
 */
struct kfd_svm_xnack_args {
	__s32 xnack_enabled;
};

#define KFD_SVM_IOC_BASE	_IOWR('K', 0x20, struct kfd_svm_args)
#define KFD_SVM_IOC(nattr) \
	_IOC(_IOC_READ | _IOC_WRITE, 'K', 0x20, \
	     sizeof(struct kfd_svm_args) + (nattr) * sizeof(struct kfd_svm_attribute))
#define KFD_SVM_IOC_XNACK	_IOWR('K', 0x21, struct kfd_svm_xnack_args)

#endif /* _UAPI_LINUX_KFD_SVM_H */
