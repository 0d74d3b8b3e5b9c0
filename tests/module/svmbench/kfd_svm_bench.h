/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between tests/bench/svm and kfd_svm_bench.ko, which are built together.
 */
#ifndef KFD_SVM_BENCH_H
#define KFD_SVM_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KSB_DEVICE	"/dev/kfd_svm_bench"
#define KSB_GPU_ID	0x5eb0u

/* ksb_info.features */
#define KSB_HAS_VRAM	0x1	/* memory can migrate to the GPU, ours and bare */
#define KSB_HAS_PRIVATE	0x2	/* and the CPU faults on it there */
#define KSB_HAS_HUGE	0x4	/* huge pages move whole */
#define KSB_HAS_PAGEMAP	0x8	/* drm_pagemap */

/**
 * struct ksb_info - what can be measured here
 * @features: KSB_HAS_*
 * @reserved: 0
 */
struct ksb_info {
	__u32 features;
	__u32 reserved;
};

/**
 * enum ksb_op - what one pass does; all of it is timed
 * @KSB_FAULT: ours: a write fault of the GPU at the first byte, served
 * @KSB_PREFETCH: ours: SET_ATTR with the GPU as prefetch location
 * @KSB_PREFETCH_RAM: ours: SET_ATTR with RAM as prefetch location, until the VRAM has
 *	been given back
 * @KSB_BARE_TO_VRAM: bare: migrate_vma_*() and a copy of each page, 512 at a time
 * @KSB_BARE_TO_RAM: bare: the same back
 * @KSB_PAGEMAP_TO_VRAM: drm_pagemap_migrate_to_devmem(), 2 MiB at a time
 * @KSB_SETTLE: wait until no VRAM is used any more
 * @KSB_HMM_MAP: hmm_range_fault() over all, to be writable, and one store per page
 * @KSB_NR_OPS: how many
 */
enum ksb_op {
	KSB_FAULT,
	KSB_PREFETCH,
	KSB_PREFETCH_RAM,
	KSB_BARE_TO_VRAM,
	KSB_BARE_TO_RAM,
	KSB_PAGEMAP_TO_VRAM,
	KSB_SETTLE,
	KSB_HMM_MAP,
	KSB_NR_OPS,
};

/**
 * struct ksb_pass - one pass, and what it came to
 * @op: enum ksb_op
 * @reserved: 0
 * @first_va: first byte, 2 MiB aligned
 * @len: bytes, a multiple of 2 MiB
 * @ticks: out: all of it
 * @copy_ticks: out: of those, copying what the pages hold
 * @copied: out: pages copied
 * @copied_huge: out: of those, in runs of 2 MiB
 * @cleared: out: pages of VRAM filled with zeros
 * @mapped: out: pages in the GPU's page table, ours; or stores, KSB_HMM_MAP
 * @in_vram: out: pages of VRAM that are used after it, the whole
 */
struct ksb_pass {
	__u32 op;
	__u32 reserved;
	__u64 first_va;
	__u64 len;
	__u64 ticks;
	__u64 copy_ticks;
	__u64 copied;
	__u64 copied_huge;
	__u64 cleared;
	__u64 mapped;
	__u64 in_vram;
};

#define KSB_INFO	_IOWR('K', 0, struct ksb_info)
#define KSB_PASS	_IOWR('K', 1, struct ksb_pass)

#endif /* KFD_SVM_BENCH_H */
