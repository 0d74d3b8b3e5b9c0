/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _HMM_MIRROR_DEVMEM_TEST_H
#define _HMM_MIRROR_DEVMEM_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: /dev/hmm_mirror_devmem
 *
 * Memory of devices that are not there, for tests: up to four *memories*, each with
 * struct pages of its own, to which a program moves pages of its anonymous memory.
 *
 * PRIVATE: the CPU cannot reach it; a CPU access brings the page back. Not on kernels
 * without CONFIG_DEVICE_PRIVATE. COHERENT: RAM that was kept from the kernel by
 * memmap=SIZE$ADDRESS on its command line and is given to this module by its
 * parameter reserved=SIZE$ADDRESS: above 4 GiB, both multiples of 4 MiB. The lower
 * half is HMD_COHERENT, the upper HMD_COHERENT_OTHER: they have a border in common.
 *
 * Errnos: ENODEV the kernel or the machine has no such memory; ENOSPC the memory is
 * full, or taken at that place; ENXIO no page in use there; EINVAL the rest.
 */

#define HMD_DEVICE	"/dev/hmm_mirror_devmem"

#define HMD_PRIVATE		0
#define HMD_PRIVATE_OTHER	1
#define HMD_COHERENT		2
#define HMD_COHERENT_OTHER	3
#define HMD_NR_MEMORIES		4

/* dev_pagemap.owner, as a number: of the first of each kind, and of the OTHER ones. */
#define HMD_OWNER		0x6d656d01ULL
#define HMD_OWNER_OTHER		0x6d656d02ULL

#define HMD_ANYWHERE		(~0ULL)

/**
 * struct hmd_info - one of the memories
 * @memory: HMD_PRIVATE and so on
 * @reserved: 0
 * @first_pfn: its first page
 * @npages: pages that can be used
 * @nr_used: that are used
 * @nr_faults: out: CPU faults that brought pages back, since the module was loaded
 */
struct hmd_info {
	__u32 memory;
	__u32 reserved;
	__u64 first_pfn;
	__u64 npages;
	__u64 nr_used;
	__u64 nr_faults;
};

/* Where pages go. */
#define HMD_TO_DEVICE	0	/* pages of RAM that are there; holes stay holes */
#define HMD_TO_RAM	1	/* those in @memory */
#define HMD_TO_BELOW	2	/* one page of RAM to the page of RAM below @memory */
#define HMD_TO_ABOVE	3	/* and to the one above */

#define HMD_HUGE	0x1u	/* huge pages stay huge; EOPNOTSUPP: not on this kernel */

/**
 * struct hmd_move - move pages of the caller's anonymous memory
 * @first_va: first byte, page aligned
 * @last_va: last byte of a page; all of it is mapped
 * @memory: HMD_PRIVATE and so on
 * @to: HMD_TO_*
 * @flags: HMD_HUGE
 * @reserved: 0
 * @offset: HMD_TO_DEVICE: page of the memory that gets the first page, the others
 *	follow; or HMD_ANYWHERE
 * @nr_moved: out: pages that moved; those that could not stayed where they were
 */
struct hmd_move {
	__u64 first_va;
	__u64 last_va;
	__u32 memory;
	__u32 to;
	__u32 flags;
	__u32 reserved;
	__u64 offset;
	__u64 nr_moved;
};

/* The first eight bytes of a page in use, as the device sees and writes them. */
struct hmd_word {
	__u64 pfn;
	__u64 word;
};

#define HMD_IOC		0xb8

#define HMD_INFO	_IOWR(HMD_IOC, 1, struct hmd_info)
#define HMD_MOVE	_IOWR(HMD_IOC, 2, struct hmd_move)
/* All pages of the memory back to RAM, whoever has them; also in @nr_used what is left. */
#define HMD_EVICT	_IOWR(HMD_IOC, 3, struct hmd_info)
#define HMD_PEEK	_IOWR(HMD_IOC, 4, struct hmd_word)
#define HMD_POKE	_IOW(HMD_IOC, 5, struct hmd_word)

#endif /* _HMM_MIRROR_DEVMEM_TEST_H */
