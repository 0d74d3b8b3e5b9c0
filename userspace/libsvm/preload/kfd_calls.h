/* SPDX-License-Identifier: MIT */
/*
 * What is looked at in the runtime's calls of /dev/kfd: the beginnings of the
 * structures of <linux/kfd_ioctl.h>, which needs libdrm's headers.
 * tests/unit/test_preload_abi.c compares.
 */
#ifndef KFDSVM_PRELOAD_KFD_CALLS_H
#define KFDSVM_PRELOAD_KFD_CALLS_H

#include <linux/types.h>

#define PRE_KFD_TYPE		'K'
#define PRE_KFD_CREATE_QUEUE	0x02
#define PRE_KFD_ALLOC_MEMORY	0x16
#define PRE_KFD_FREE_MEMORY	0x17

#define PRE_KFD_MEMORY_USERPTR	(1u << 2)

struct pre_kfd_create_queue {
	__u64 ring_base_address;
	__u64 write_pointer_address;
	__u64 read_pointer_address;
	__u64 doorbell_offset;
	__u32 ring_size;
	__u32 gpu_id;
};

/* @mmap_offset: of userptr memory, the address of the CPU, when called. */
struct pre_kfd_alloc_memory {
	__u64 va_addr;
	__u64 size;
	__u64 handle;
	__u64 mmap_offset;
	__u32 gpu_id;
	__u32 flags;
};

struct pre_kfd_free_memory {
	__u64 handle;
};

#endif
