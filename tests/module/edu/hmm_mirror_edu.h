/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _HMM_MIRROR_EDU_H
#define _HMM_MIRROR_EDU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: /dev/hmm_mirror_edu
 *
 * QEMU's edu device as a client of the HMM mirror: its DMA engine reads and writes the
 * memory of the process that opened the file, through DMA mappings of the extents
 * found there. Each open file is a client of its own with a table of mappings.
 *
 * Errnos: those of the mirror; EFAULT and so on of a page that cannot be had; ENOENT
 * the address is not mapped (HME_NO_FAULT); EBUSY the mask cannot change while
 * anything is mapped; EINVAL the rest. Spans are closed, in bytes, of whole pages.
 *
 * The engine takes 100 ms for a transfer, whatever its length, and moves 2 KiB at most:
 * longer ones are several.
 */

#define HME_DEVICE	"/dev/hmm_mirror_edu"

/**
 * struct hme_map - fault a span and map what is not mapped yet, one mapping per extent
 * @first_va: first byte
 * @last_va: last byte
 * @req: HMM_MIRROR_REQ_*, 0: only what is there
 * @fail_nth: let the n-th mapping of this call fail; 0: none
 * @nr_mapped: out: mappings made and kept
 * @nr_kept: out: extents that were mapped already, as a whole
 * @nr_replaced: out: mappings removed because they allow something else
 * @nr_tries: out: how often extents were out of date before they could be committed
 *
 * An error leaves nothing that this call has mapped.
 */
struct hme_map {
	__u64 first_va;
	__u64 last_va;
	__u32 req;
	__u32 fail_nth;
	__u32 nr_mapped;
	__u32 nr_kept;
	__u32 nr_replaced;
	__u32 nr_tries;
};

struct hme_span {
	__u64 first_va;
	__u64 last_va;
};

#define HME_WRITE	0x1	/* the device writes, else it reads */
#define HME_NO_FAULT	0x2	/* only what is mapped already */
#define HME_ASYNC	0x4	/* with HME_WRITE: do not wait for the last piece */

/* @va: any byte; @data: pointer to @len bytes, @len at most 1 MiB */
struct hme_xfer {
	__u64 va;
	__u64 data;
	__u32 len;
	__u32 flags;
};

/* The same at a bus address, whatever is mapped there; within an aligned 2 KiB. */
struct hme_raw {
	__u64 dma;
	__u64 data;
	__u32 len;
	__u32 flags;
};

#define HME_MAPPED_WRITE	0x1
#define HME_MAPPED_DIRTY	0x2
#define HME_MAPPED_HUGE		0x4
#define HME_MAPPED_DEVICE	0x8

struct hme_mapping {
	__u64 va;
	__u64 dma;
	__u64 pfn;
	__u32 npages;
	__u32 flags;	/* HME_MAPPED_* */
};

/* The client's mappings, ascending. */
struct hme_table {
	__u64 mappings;	/* pointer to struct hme_mapping[nr_max] */
	__u32 nr_max;
	__u32 nr;	/* out: how many there are, may be more */
};

struct hme_stats {
	__u64 nr_live;		/* mappings now */
	__u64 nr_map;		/* ever made */
	__u64 nr_unmap;
	__u64 nr_events;	/* that met a mapping */
	__u64 nr_waits;		/* events that waited for the engine */
	__u64 in_flight;	/* a transfer of this client is running */
	__u64 behind_iommu;
};

/* @dma_bits: new DMA mask, 0: as it is; @no_dirty: never mark pages dirty */
struct hme_config {
	__u32 dma_bits;
	__u32 no_dirty;
};

#define HME_BENCH_PAGE		0	/* dma_map_page() for each page */
#define HME_BENCH_EXTENT	1	/* hmm_mirror_extent_dma_map() for each extent */
#define HME_BENCH_SG		2	/* one scatterlist of all extents */
#define HME_BENCH_HMM		3	/* hmm_dma_map_pfn() for each page */
#define HME_BENCH_IOVA		4	/* one IOVA range, dma_iova_link() per extent */
#define HME_NR_BENCH		5

/**
 * struct hme_bench - map and unmap a span for DMA, take the time
 * @first_va: first byte
 * @last_va: last byte
 * @how: HME_BENCH_*; EOPNOTSUPP: not on this kernel or device
 * @passes: how often, at most 31; the medians are returned
 * @map_ns: out: mapping all
 * @unmap_ns: out: unmapping all
 * @npages: out
 * @nr_extents: out
 */
struct hme_bench {
	__u64 first_va;
	__u64 last_va;
	__u32 how;
	__u32 passes;
	__u64 map_ns;
	__u64 unmap_ns;
	__u64 npages;
	__u64 nr_extents;
};

#define HME_IOC			0xb8

#define HME_MAP			_IOWR(HME_IOC, 1, struct hme_map)
#define HME_UNMAP		_IOW(HME_IOC, 2, struct hme_span)
#define HME_XFER		_IOW(HME_IOC, 3, struct hme_xfer)
#define HME_RAW			_IOW(HME_IOC, 4, struct hme_raw)
#define HME_TABLE		_IOWR(HME_IOC, 5, struct hme_table)
#define HME_STATS		_IOR(HME_IOC, 6, struct hme_stats)
#define HME_CONFIG		_IOW(HME_IOC, 7, struct hme_config)
#define HME_BENCH		_IOWR(HME_IOC, 8, struct hme_bench)

#endif /* _HMM_MIRROR_EDU_H */
