/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _HMM_MIRROR_TEST_H
#define _HMM_MIRROR_TEST_H

#include <linux/const.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: /dev/hmm_mirror_test
 *
 * A client of the HMM mirror whose device is a table in memory, driven by a test
 * program. Each open file is one client with at most one mirror, on the mm of who
 * opened it or on that of another process (HMT_TARGET). What belongs to the client
 * goes when the file is closed, in whatever state it is.
 *
 * Calls of the mirror return its errno as that of the ioctl, and copy the argument back
 * also when they fail. Errnos of the module itself: ENOENT no such range, job or device
 * page; EEXIST the id is taken; ENOTCONN no mirror is registered; EBUSY the client has
 * one or the range is at work; EAGAIN the range is not valid; EINVAL the rest.
 *
 * Addresses: first..last is closed, in bytes.
 */

#define HMT_DEVICE	"/dev/hmm_mirror_test"
#define HMT_NONE	0xffffffffu

/*
 * Extents, requests and events have the values of <linux/hmm_mirror.h>, which the
 * module checks when it is compiled.
 */
#define HMT_EXT_VALID		0x001ULL
#define HMT_EXT_WRITE		0x002ULL
#define HMT_EXT_DIRTY		0x004ULL
#define HMT_EXT_HUGE		0x008ULL
#define HMT_EXT_DEVICE		0x010ULL
#define HMT_EXT_ERROR		0x020ULL
#define HMT_EXT_ZERO		0x040ULL
#define HMT_EXT_PRIVATE		0x080ULL
#define HMT_EXT_HUGETLB		0x100ULL
#define HMT_EXT_FLAGS		0xfffULL
#define HMT_EXT_PFN		0xffffffffffULL
#define HMT_EXT_NPAGES_SHIFT	40

struct hmt_extent {
	__u64 va_flags;
	__u64 pfn_npages;
};

#define HMT_REQ_READ		0x1u
#define HMT_REQ_WRITE		0x2u
#define HMT_REQ_WRITE_IF_VMA	0x4u

struct hmt_span {
	__u64 first_va;
	__u64 last_va;
	__u32 req;
	__u32 reserved;
};

/* Kinds in the log; the last is a call of ops->release(), no event. */
#define HMT_EVENT_UNMAP		0
#define HMT_EVENT_CHANGE	1
#define HMT_EVENT_MIGRATE	2
#define HMT_EVENT_RELEASE	3
#define HMT_EVENT_RELEASE_CALL	4

#define HMT_LOG_BLOCKABLE	0x1u
#define HMT_LOG_OWNER_MATCH	0x2u	/* migrate, by the client's owner */

struct hmt_event {
	__u64 number;	/* counts from 0 in the life of the file */
	__u64 start_va;
	__u64 end_va;
	__u32 kind;
	__u32 flags;	/* HMT_LOG_* */
};

/* Which of the values of enum hmm_mirror_device. */
#define HMT_DEV_NONE		0
#define HMT_DEV_DAX		1
#define HMT_DEV_COHERENT	2
#define HMT_DEV_PRIVATE		3
#define HMT_DEV_PEER		4

/* --- The mirror */

/* Mirror another process' mm from now on; only while nothing is registered. */
struct hmt_target {
	__s32 pid;
	__u32 reserved;
};

/* @owner: 0 or a number that stands for dev_pagemap.owner. */
struct hmt_register {
	__u64 owner;
};

/* Watch, and the span of a call that needs nothing else. */
struct hmt_va_span {
	__u64 first_va;
	__u64 last_va;
};

/* @id: the caller's choice, below 2^24 */
struct hmt_range {
	__u64 first_va;
	__u64 last_va;
	__u32 id;
	__u32 reserved;
};

#define HMT_GET_SNAPSHOT	0x1u	/* hmm_mirror_range_snapshot() */
#define HMT_GET_WORKER		0x2u	/* in a kernel thread without that mm */
#define HMT_GET_ASYNC		0x4u	/* only queue it; implies WORKER */
#define HMT_GET_COMMIT		0x8u	/* then map in the device; again while invalid */

/**
 * struct hmt_get - one call of fault or snapshot
 * @range: id of the range
 * @flags: HMT_GET_*
 * @default_req: HMT_REQ_*, handed on as it is
 * @nr_spans: entries in @spans, at most 2^16
 * @spans: pointer to struct hmt_span, handed on as they are
 * @next_va: in and out, cursor.next_va
 * @extents: pointer to struct hmt_extent, may be 0
 * @nr_max: size of the cursor (and of @extents), at most 2^20; 0 is handed on
 * @nr: out: cursor.nr, also when the call failed
 * @tries: out: how often the call was made, for HMT_GET_COMMIT
 * @timeout_ms: of HMT_GET_WAIT; ETIME
 *
 * The range keeps a copy of the extents: "its last extents". With HMT_GET_ASYNC the
 * results are fetched by HMT_GET_WAIT, which uses @range, @extents and @nr_max.
 */
struct hmt_get {
	__u32 range;
	__u32 flags;
	__u32 default_req;
	__u32 nr_spans;
	__u64 spans;
	__u64 next_va;
	__u64 extents;
	__u32 nr_max;
	__u32 nr;
	__u32 tries;
	__u32 timeout_ms;
};

/* Whether ranges first..first+nr-1 are valid, all under one hold of the update lock. */
struct hmt_valid {
	__u32 first;
	__u32 nr;
	__u64 states;	/* pointer to __u8[nr]: 0, 1, or 2: no such range */
};

struct hmt_wait {
	__u32 range;
	__u32 timeout_ms;	/* HMT_NONE: for ever */
};

/* What sort of memory the range's last extent @index is; EAGAIN: not valid. */
struct hmt_extent_device {
	__u32 range;
	__u32 index;
	__u32 kind;		/* out: HMT_DEV_* */
	__u32 owner_match;	/* out */
};

/* --- The device */

/* Map the range's last extents in the device; EAGAIN: not valid, nothing is done. */
struct hmt_commit {
	__u32 range;
	__u32 reserved;
};

#define HMT_ACCESS_WRITE	0x1u
#define HMT_ACCESS_EXTENTS	0x2u	/* not the device's table: the last extents */

/*
 * Bytes through the device, under the update lock. EFAULT: not mapped or not writable
 * there (nothing is done); EAGAIN: HMT_ACCESS_EXTENTS and @range is not valid.
 */
struct hmt_access {
	__u64 va;
	__u64 data;	/* pointer to @len bytes */
	__u32 len;	/* at most 4 MiB */
	__u32 flags;
	__u32 range;	/* for HMT_ACCESS_EXTENTS */
	__u32 reserved;
};

/*
 * hmm_mirror_extent_dma_map() of @ext, which is handed on as it is, for a device that
 * does no DMA; undone at once.
 */
struct hmt_dma {
	struct hmt_extent ext;
	__u64 dma;		/* out */
};

#define HMT_PAGE_MAPPED		_BITULL(63)
#define HMT_PAGE_WRITE		_BITULL(62)
#define HMT_PAGE_WRITTEN	_BITULL(61)	/* by the device, not marked dirty yet */

/* What the device has mapped: HMT_PAGE_* and the pfn, or 0, of each page. */
struct hmt_device_pages {
	__u64 first_va;
	__u64 npages;	/* at most 2^20 */
	__u64 pages;	/* pointer to __u64[npages] */
};

/* Events from @from on; what the log has lost (it keeps 4096) is left out. */
struct hmt_log {
	__u64 from;
	__u64 events;	/* pointer to struct hmt_event[nr_max] */
	__u32 nr_max;
	__u32 nr;	/* out */
	__u64 total;	/* out: number of the next event */
};

struct hmt_stats {
	__u64 nr_events;
	__u64 nr_release_calls;
	__u64 nr_device_pages;
	__u64 nr_marked_dirty;
	__u64 nr_ranges;
	__u64 nr_hook_timeouts;	/* a hook gave up: the test is wrong or hangs */
	__u64 registered;
	__u64 mm_users;		/* of the target mm */
	__u64 nr_unseen;	/* pages that changed under a device mapping, no event */
};

/* --- The kernel's view */

/* One page of it: HMT_VIEW_* and the pfn in the low 40 bits. */
#define HMT_VIEW_VALID		_BITULL(40)
#define HMT_VIEW_WRITE		_BITULL(41)
#define HMT_VIEW_ERROR		_BITULL(42)	/* the errno stands in bits 63..52, if known */
#define HMT_VIEW_ORDER_SHIFT	44		/* 8 bits: order of the CPU's mapping */
#define HMT_VIEW_ERRNO_SHIFT	52

#define HMT_VIEW_KERNEL_NONE	0	/* hmm_range_fault() without flags */
#define HMT_VIEW_KERNEL_FAULT	1	/* with HMM_PFN_REQ_FAULT */
#define HMT_VIEW_KERNEL_WRITE	2	/* and HMM_PFN_REQ_WRITE */

#define HMT_VIEW_SNAPSHOT	0x1u	/* ours is a snapshot, else a fault */
#define HMT_VIEW_KERNEL_FIRST	0x2u	/* else ours is taken first */
#define HMT_VIEW_WORKER		0x4u	/* both in a kernel thread */

/**
 * struct hmt_view - the same span seen by the mirror and by hmm_range_fault()
 * @first_va: first byte, page aligned
 * @last_va: last byte of a page; at most 2^19 pages
 * @flags: HMT_VIEW_SNAPSHOT and so on
 * @kernel: HMT_VIEW_KERNEL_*
 * @default_req: as in struct hmt_get
 * @nr_spans: as in struct hmt_get
 * @spans: as in struct hmt_get
 * @extents: pointer to struct hmt_extent[nr_max]
 * @pages: pointer to __u64[npages], the kernel's view
 * @nr_max: size of @extents; one more than there are pages is always enough (ENOSPC)
 * @nr_per_call: size of the cursor, 0: 256
 * @nr: out: extents
 * @tries: out: how often both were taken before nothing came between (ETIME: 10 s)
 * @nr_calls: out: calls of the mirror in the last try
 * @reserved: 0
 *
 * Uses a range and a notifier of its own. Both views are of one moment: no
 * invalidation met the span between the start of the one and the end of the other.
 * Extents of consecutive calls are not merged.
 */
struct hmt_view {
	__u64 first_va;
	__u64 last_va;
	__u32 flags;
	__u32 kernel;
	__u32 default_req;
	__u32 nr_spans;
	__u64 spans;
	__u64 extents;
	__u64 pages;
	__u32 nr_max;
	__u32 nr_per_call;
	__u32 nr;
	__u32 tries;
	__u32 nr_calls;
	__u32 reserved;
};

/* --- Hooks: a call stops at a named step */

#define HMT_STEP_GET_BEGIN	0	/* get: before the mirror is called */
#define HMT_STEP_GET_DONE	1	/* get: after that, nothing committed */
#define HMT_STEP_COMMIT_BEGIN	2	/* commit: before the update lock */
#define HMT_STEP_COMMIT_LOCKED	3	/* commit: update lock held, not looked at valid */
#define HMT_STEP_COMMIT_DONE	4	/* commit: mapped, update lock held */
#define HMT_STEP_INVALIDATE	5	/* ops->invalidate() of an event that may block */
#define HMT_STEP_RELEASE	6	/* ops->release() */
#define HMT_STEP_UNREGISTER	7	/* before hmm_mirror_unregister() */
#define HMT_STEP_UPDATE_LOCK	8	/* HMT_HOLD_UPDATE_LOCK has the lock */
#define HMT_STEP_MMAP_READ	9	/* HMT_MMAP_READ_LOCK has mmap_lock */
#define HMT_STEP_MMAP_WRITE	10	/* HMT_HOLD_MMAP_WRITE has mmap_lock */
#define HMT_STEP_PAGE_FAULT	11	/* in the fault handler of a mapping of this file */
#define HMT_STEP_MMAP_READ_BEGIN 12	/* HMT_MMAP_READ_LOCK, before */
#define HMT_STEP_HOLD_TASK	13	/* HMT_HOLD_TASK */
#define HMT_NR_STEPS		14

#define HMT_HOOK_KILLABLE	0x1u	/* a fatal signal ends the stop */

/*
 * Arm: the next @count calls that come to @step stop there, @flags HMT_HOOK_*. A stop
 * ends by HMT_HOOK_RELEASE, the close of the file, or after 60 s (nr_hook_timeouts).
 * Release: @count calls go on (0: all, and the hook is disarmed). Wait: until at least
 * @count calls are stopped at @step, at most @timeout_ms (ETIME).
 */
struct hmt_hook {
	__u32 step;
	__u32 count;
	__u32 flags;
	__u32 timeout_ms;
};

/* For calls that can run in a kernel thread without the mm as well. */
struct hmt_mode {
	__u32 worker;
	__u32 reserved;
};

/*
 * mmap() of the device: 2^20 bytes at most, the offset says of what kind.
 * NORMAL: pages of the client, found by a fault handler (HMT_STEP_PAGE_FAULT), mapped as
 * a file's are. PFNMAP: the same, by remap_pfn_range(), all at once. MIXED: the
 * same in a VM_MIXEDMAP area, by the fault handler.
 */
#define HMT_MMAP_NORMAL		0x0000000
#define HMT_MMAP_PFNMAP		0x1000000
#define HMT_MMAP_MIXED		0x2000000
#define HMT_MMAP_MAX		0x100000

#define HMT_IOC			0xb7

#define HMT_TARGET		_IOW(HMT_IOC, 1, struct hmt_target)
#define HMT_REGISTER		_IOW(HMT_IOC, 2, struct hmt_register)
/* Removes all ranges before. */
#define HMT_UNREGISTER		_IO(HMT_IOC, 3)
#define HMT_WATCH		_IOW(HMT_IOC, 4, struct hmt_va_span)
#define HMT_RANGE_ADD		_IOW(HMT_IOC, 5, struct hmt_range)
#define HMT_RANGE_DEL		_IOW(HMT_IOC, 6, struct hmt_range)
#define HMT_GET			_IOWR(HMT_IOC, 7, struct hmt_get)
#define HMT_GET_WAIT		_IOWR(HMT_IOC, 8, struct hmt_get)
#define HMT_VALID		_IOW(HMT_IOC, 9, struct hmt_valid)
#define HMT_WAIT		_IOW(HMT_IOC, 10, struct hmt_wait)
#define HMT_EXTENT_DEVICE	_IOWR(HMT_IOC, 11, struct hmt_extent_device)
/* hmm_mirror_mmap_read_lock(), HMT_STEP_MMAP_READ, unlock. */
#define HMT_MMAP_READ_LOCK	_IOW(HMT_IOC, 12, struct hmt_mode)

/* The last extents: @range, @extents, @nr_max; the room needed in @nr. */
#define HMT_EXTENTS		_IOWR(HMT_IOC, 13, struct hmt_get)

#define HMT_COMMIT		_IOW(HMT_IOC, 20, struct hmt_commit)
#define HMT_ACCESS		_IOW(HMT_IOC, 21, struct hmt_access)
#define HMT_DEVICE_PAGES	_IOW(HMT_IOC, 22, struct hmt_device_pages)
#define HMT_LOG			_IOWR(HMT_IOC, 23, struct hmt_log)
#define HMT_STATS		_IOR(HMT_IOC, 24, struct hmt_stats)
#define HMT_VIEW		_IOWR(HMT_IOC, 25, struct hmt_view)
#define HMT_DMA			_IOWR(HMT_IOC, 26, struct hmt_dma)

#define HMT_HOOK_ARM		_IOW(HMT_IOC, 30, struct hmt_hook)
#define HMT_HOOK_WAIT		_IOW(HMT_IOC, 31, struct hmt_hook)
#define HMT_HOOK_RELEASE	_IOW(HMT_IOC, 32, struct hmt_hook)
/* Take a lock and stop at its step, if that is armed, with the lock held. */
#define HMT_HOLD_UPDATE_LOCK	_IO(HMT_IOC, 33)
#define HMT_HOLD_MMAP_WRITE	_IO(HMT_IOC, 34)
/* Stop at HMT_STEP_HOLD_TASK: a killed task that cannot exit. */
#define HMT_HOLD_TASK		_IO(HMT_IOC, 35)

#endif /* _HMM_MIRROR_TEST_H */
