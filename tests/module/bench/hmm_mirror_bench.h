/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between tests/bench/hmm_bench and hmm_mirror_bench.ko, which are built together.
 */
#ifndef HMM_MIRROR_BENCH_H
#define HMM_MIRROR_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HMM_BENCH_DEVICE	"/dev/hmm_mirror_bench"
#define HMM_BENCH_MAX_NPAGES	0x100000

/* hmm_bench_info.features */
#define HMM_BENCH_HAS_GPUSVM	0x1
#define HMM_BENCH_HAS_HMM_DMA	0x2

/**
 * struct hmm_bench_info - what the clock counts and what there is to compare with
 * @loop_insns: instructions of a loop without memory and without interrupts
 * @loop_ticks: how far the clock (TSC) went meanwhile
 * @ticks_per_ms: its rate against the kernel's time
 * @features: HMM_BENCH_HAS_*
 * @reserved: 0
 */
struct hmm_bench_info {
	__u64 loop_insns;
	__u64 loop_ticks;
	__u64 ticks_per_ms;
	__u32 features;
	__u32 reserved;
};

/* hmm_bench_span.parts */
#define HMM_BENCH_NOTIFIER	0x1 /* an interval notifier, the kernel's way */
#define HMM_BENCH_MIRROR	0x2 /* a mirror that watches the span */
#define HMM_BENCH_RANGE		0x4 /* and a range over all of it */

/**
 * struct hmm_bench_span - memory of the calling process, and who looks at it
 * @first_va: first byte, page aligned
 * @last_va: last byte of a page
 * @parts: HMM_BENCH_*, what is set up
 * @reserved: 0
 * @notifier_ticks: out: inserting the notifier
 * @mirror_ticks: out: registering the mirror
 * @watch_ticks: out: watching the span
 * @range_ticks: out: registering the range
 */
struct hmm_bench_span {
	__u64 first_va;
	__u64 last_va;
	__u32 parts;
	__u32 reserved;
	__u64 notifier_ticks;
	__u64 mirror_ticks;
	__u64 watch_ticks;
	__u64 range_ticks;
};

/**
 * enum hmm_bench_op - what one pass does and what of it is timed
 * @HMM_BENCH_KERNEL_SNAPSHOT: begin, mmap_lock, hmm_range_fault(), mutex, retry check
 * @HMM_BENCH_KERNEL_FAULT: the same, pages to be present and writable
 * @HMM_BENCH_KERNEL_EXTENTS: a snapshot, told apart and joined to extents under the mutex
 * @HMM_BENCH_MIRROR_SNAPSHOT: hmm_mirror_range_snapshot() and check, until all is done
 * @HMM_BENCH_MIRROR_FAULT: hmm_mirror_range_fault(), to be writable
 * @HMM_BENCH_MIRROR_FAULT_DMA: and each extent mapped for DMA under the lock
 * @HMM_BENCH_GPUSVM_PAGES: drm_gpusvm_get_pages(), which maps for DMA, and its check
 * @HMM_BENCH_DMA_PAGES: dma_map_page() of each page the kernel's pass before found
 * @HMM_BENCH_DMA_HMM: hmm_dma_map_pfn() of each page
 * @HMM_BENCH_DMA_EXTENTS: hmm_mirror_extent_dma_map() of each extent of the pass before
 * @HMM_BENCH_NR_OPS: how many
 */
enum hmm_bench_op {
	HMM_BENCH_KERNEL_SNAPSHOT,
	HMM_BENCH_KERNEL_FAULT,
	HMM_BENCH_KERNEL_EXTENTS,
	HMM_BENCH_MIRROR_SNAPSHOT,
	HMM_BENCH_MIRROR_FAULT,
	HMM_BENCH_MIRROR_FAULT_DMA,
	HMM_BENCH_GPUSVM_PAGES,
	HMM_BENCH_DMA_PAGES,
	HMM_BENCH_DMA_HMM,
	HMM_BENCH_DMA_EXTENTS,
	HMM_BENCH_NR_OPS,
};

/**
 * struct hmm_bench_pass - one pass over the span, and what it found
 * @op: enum hmm_bench_op
 * @nr_max: mirror: extents of one call, 0 for as many as there are pages
 * @first_va: kernel: a part of the span instead of all of it, unless 0; not with @look
 * @last_va: its last byte
 * @look: count what was found, untimed; else the figures below @retries are 0
 * @calls: out: calls of the mirror
 * @retries: out: how often an invalidation made the work void
 * @nr_extents: out: extents made, or mappings of a DMA pass
 * @ticks: out: the pass
 * @undo_ticks: out: DMA: unmapping
 * @nr_valid: out: pages present
 * @nr_write: out: and writable
 * @nr_huge: out: and in leaves of 2 MiB or more
 * @nr_runs: out: pages that do not continue the one before
 * @digest: out: of address, frame and writability of all pages present
 */
struct hmm_bench_pass {
	__u32 op;
	__u32 nr_max;
	__u64 first_va;
	__u64 last_va;
	__u32 look;
	__u32 calls;
	__u64 retries;
	__u64 nr_extents;
	__u64 ticks;
	__u64 undo_ticks;
	__u64 nr_valid;
	__u64 nr_write;
	__u64 nr_huge;
	__u64 nr_runs;
	__u64 digest;
};

/**
 * struct hmm_bench_crowd - many ranges or notifiers, side by side in the span
 * @part: HMM_BENCH_RANGE or HMM_BENCH_NOTIFIER
 * @nr: how many to set up; 0: remove them
 * @ticks: out: all of it
 */
struct hmm_bench_crowd {
	__u32 part;
	__u32 nr;
	__u64 ticks;
};

/**
 * struct hmm_bench_events - callbacks since the last call
 * @nr_mirror: invalidate callbacks of the mirror
 * @nr_notifier: of notifiers
 */
struct hmm_bench_events {
	__u64 nr_mirror;
	__u64 nr_notifier;
};

/**
 * enum hmm_bench_way - when a walk takes the update lock
 * @HMM_BENCH_THEN_LOCK: behind it, as hmm_mirror_range_snapshot() has it
 * @HMM_BENCH_UNDER_LOCK: before it
 * @HMM_BENCH_NR_WAYS: how many
 */
enum hmm_bench_way {
	HMM_BENCH_THEN_LOCK,
	HMM_BENCH_UNDER_LOCK,
	HMM_BENCH_NR_WAYS,
};

/**
 * struct hmm_bench_race - walks of the range while its memory changes
 * @way: enum hmm_bench_way
 * @nr: how often to walk all of it
 * @prepare_us: then lock: time between walk and lock, in which a client prepares
 * @reserved: 0
 * @accepted: out: walks that were committed, parts included
 * @refused: out: found void under the lock
 * @timeouts: out: calls that gave up, and were made again
 * @nr_pages: out: pages present that the last walk has found
 * @ticks: out: all of it
 * @locked_ticks: out: the update lock was held
 */
struct hmm_bench_race {
	__u32 way;
	__u32 nr;
	__u32 prepare_us;
	__u32 reserved;
	__u64 accepted;
	__u64 refused;
	__u64 timeouts;
	__u64 nr_pages;
	__u64 ticks;
	__u64 locked_ticks;
};

#define HMM_BENCH_INFO		_IOWR('B', 0, struct hmm_bench_info)
#define HMM_BENCH_SPAN		_IOWR('B', 1, struct hmm_bench_span)
#define HMM_BENCH_PASS		_IOWR('B', 2, struct hmm_bench_pass)
#define HMM_BENCH_CROWD		_IOWR('B', 3, struct hmm_bench_crowd)
#define HMM_BENCH_EVENTS	_IOWR('B', 4, struct hmm_bench_events)
#define HMM_BENCH_RACE		_IOWR('B', 5, struct hmm_bench_race)

#endif /* HMM_MIRROR_BENCH_H */
