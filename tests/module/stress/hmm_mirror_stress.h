/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _HMM_MIRROR_STRESS_H
#define _HMM_MIRROR_STRESS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * /dev/hmm_mirror_stress: walkers of hmm_mirror and what checks them, see main.c.
 *
 * One open file is one stress of the caller's address space; the closing ends it.
 *
 * ====================  ============================================================
 * errno                 meaning
 * ====================  ============================================================
 * EINVAL                arguments that make no sense
 * EBUSY                 HMS_IOC_START twice; HMS_IOC_WALK in two threads
 * ENODEV                HMS_IOC_WALK or HMS_IOC_STATS before HMS_IOC_START
 * EPERM                 HMS_IOC_WALK from another process than HMS_IOC_START
 * EINTR                 a signal
 * ====================  ============================================================
 */
#define HMS_DEVICE "/dev/hmm_mirror_stress"

#define HMS_PAGE_SIZE		4096
#define HMS_MAX_NPAGES		0x100000

/* Commit although hmm_mirror_range_valid() says no: must be found out. */
#define HMS_IGNORE_VALID	0x1
/* Only the caller walks. */
#define HMS_NO_WORKER		0x2
#define HMS_FLAGS		(HMS_IGNORE_VALID | HMS_NO_WORKER)

/**
 * struct hms_start - HMS_IOC_START
 * @va: first byte of the arena, page aligned
 * @len: its length in bytes, whole pages
 * @min_npages: shortest range a walker takes
 * @max_npages: longest
 * @flags: HMS_*
 * @fault_percent: how many walks are faults; the others are snapshots
 * @linger_us: how long a walker sometimes waits between the walk and the commit; more
 *	often it waits there for an event
 * @hmm_every: one of so many commits is also compared with hmm_range_fault(); 0: none
 * @seed: of all random choices
 * @reserved: 0
 */
struct hms_start {
	__u64 va;
	__u64 len;
	__u32 min_npages;
	__u32 max_npages;
	__u32 flags;
	__u32 fault_percent;
	__u32 linger_us;
	__u32 hmm_every;
	__u32 seed;
	__u32 reserved;
};

/**
 * struct hms_counts - what one walker has done and what was found
 * @calls: of hmm_mirror_range_snapshot() and _fault()
 * @accepted: calls whose extents were committed
 * @raced: of those, how many had an event in their range since the first attempt
 * @abandoned: walks given up after many retries
 * @timeouts: calls that ended with -ETIME
 * @nomem: calls that ended with -ENOMEM
 * @malformed: calls whose extents do not cover what the call says
 * @pages: pages of VALID extents compared with the page table at commit
 * @stale: of those, not present or another page
 * @permissive: of those, reported writable but not so
 * @detached: pages not compared because their VMA is already gone, see check.c
 * @shadow_pages: entries of the shadow table compared at some time
 * @shadow_stale: see @stale
 * @shadow_permissive: see @permissive
 * @hmm_pages: pages compared with hmm_range_fault()
 * @hmm_stale: see @stale
 * @hmm_permissive: see @permissive
 */
struct hms_counts {
	__u64 calls;
	__u64 accepted;
	__u64 raced;
	__u64 abandoned;
	__u64 timeouts;
	__u64 nomem;
	__u64 malformed;
	__u64 pages;
	__u64 stale;
	__u64 permissive;
	__u64 detached;
	__u64 shadow_pages;
	__u64 shadow_stale;
	__u64 shadow_permissive;
	__u64 hmm_pages;
	__u64 hmm_stale;
	__u64 hmm_permissive;
};

enum hms_walker_kind {
	HMS_WALKER_CALLER,	/* in the task of HMS_IOC_WALK */
	HMS_WALKER_WORKER,	/* a kernel thread, on the foreign mm */
	HMS_WALKER_NR,
};

enum hms_oracle {
	HMS_ORACLE_SLOW,	/* extent against the slow walker */
	HMS_ORACLE_SHADOW,	/* shadow table against the slow walker */
	HMS_ORACLE_HMM,		/* extent against hmm_range_fault() */
};

/**
 * struct hms_bad - one finding
 * @va: the page
 * @pfn: what was reported
 * @entry: what the oracle has: page-table entry, or output of hmm_range_fault()
 * @flags: HMM_MIRROR_EXT_* that were reported
 * @level: of the entry, 1 for a PTE; 0: hmm_range_fault()
 * @walker: enum hms_walker_kind
 * @oracle: enum hms_oracle
 */
struct hms_bad {
	__u64 va;
	__u64 pfn;
	__u64 entry;
	__u32 flags;
	__u32 level;
	__u32 walker;
	__u32 oracle;
};

#define HMS_NR_BAD 8

/**
 * struct hms_stats - HMS_IOC_STATS
 * @counts: by enum hms_walker_kind
 * @events: invalidations that met the arena
 * @bad: the first findings
 * @nr_bad: how many of @bad are set
 * @error: 0, or the errno of a call that should not have failed
 */
struct hms_stats {
	struct hms_counts counts[HMS_WALKER_NR];
	__u64 events;
	struct hms_bad bad[HMS_NR_BAD];
	__u32 nr_bad;
	__u32 error;
};

/* What keeps page tables where they are while a probe looks: see probe.c. */
enum hms_probe_mode {
	HMS_PROBE_OWN_LOCKED,		/* mmap_lock, live VMA, IRQs off */
	HMS_PROBE_FOREIGN_LOCKED,	/* the same from a kernel thread */
	HMS_PROBE_OWN_IRQ,		/* the mm is loaded, IRQs off */
	HMS_PROBE_OWN_RCU,		/* unsound: rcu_read_lock() */
	HMS_PROBE_FOREIGN_IRQ,		/* unsound: IRQs off, nothing else */
	HMS_PROBE_NR,
};

/**
 * struct hms_probe - HMS_IOC_PROBE
 * @va: first byte of the span that is probed
 * @len: its length; it lies in one GiB
 * @mode: enum hms_probe_mode
 * @level: of the table watched: 1 a page of PTEs, 2 a page of PMDs
 * @cpu: where a foreign probe runs
 * @time_ms: how long
 * @linger_us: how long a table is held
 * @reserved: 0
 * @held: tables held
 * @unlinked: of those, how many lost their type meanwhile, which is no harm
 * @freed: of those, how many were free memory meanwhile
 */
struct hms_probe {
	__u64 va;
	__u64 len;
	__u32 mode;
	__u32 level;
	__u32 cpu;
	__u32 time_ms;
	__u32 linger_us;
	__u32 reserved;
	__u64 held;
	__u64 unlinked;
	__u64 freed;
};

#define HMS_IOC_START	_IOW('H', 0x60, struct hms_start)
/* Walk for so many milliseconds. */
#define HMS_IOC_WALK	_IOW('H', 0x61, __u32)
#define HMS_IOC_STATS	_IOR('H', 0x62, struct hms_stats)
#define HMS_IOC_PROBE	_IOWR('H', 0x63, struct hms_probe)

#endif /* _HMM_MIRROR_STRESS_H */
