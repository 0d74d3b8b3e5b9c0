/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hmm_mirror

#if !defined(_HMM_MIRROR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HMM_MIRROR_TRACE_H

#include <linux/hmm_mirror.h>
#include <linux/hmm_mirror_devmem.h>
#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(HMM_MIRROR_EVENT_UNMAP);
TRACE_DEFINE_ENUM(HMM_MIRROR_EVENT_CHANGE);
TRACE_DEFINE_ENUM(HMM_MIRROR_EVENT_MIGRATE);
TRACE_DEFINE_ENUM(HMM_MIRROR_EVENT_RELEASE);
TRACE_DEFINE_ENUM(HMM_MIRROR_MOVE_ASKED);
TRACE_DEFINE_ENUM(HMM_MIRROR_MOVE_CPU_FAULT);
TRACE_DEFINE_ENUM(HMM_MIRROR_MOVE_EVICT);

/* One piece of an event reaches a client; under its update lock. */
TRACE_EVENT(hmm_mirror_invalidate,
	TP_PROTO(const struct hmm_mirror *mirror,
		 const struct hmm_mirror_event *event, unsigned int nr_ranges),
	TP_ARGS(mirror, event, nr_ranges),
	TP_STRUCT__entry(
		__field(const void *, mirror)
		__field(unsigned long, start_va)
		__field(unsigned long, end_va)
		__field(unsigned int, kind)
		__field(unsigned int, nr_ranges)
		__field(bool, blockable)
	),
	TP_fast_assign(
		__entry->mirror = mirror;
		__entry->start_va = event->start_va;
		__entry->end_va = event->end_va;
		__entry->kind = event->kind;
		__entry->nr_ranges = nr_ranges;
		__entry->blockable = event->blockable;
	),
	TP_printk("mirror=%p va=0x%lx-0x%lx kind=%s ranges=%u blockable=%d",
		  __entry->mirror, __entry->start_va, __entry->end_va,
		  __print_symbolic(__entry->kind,
				   { HMM_MIRROR_EVENT_UNMAP, "unmap" },
				   { HMM_MIRROR_EVENT_CHANGE, "change" },
				   { HMM_MIRROR_EVENT_MIGRATE, "migrate" },
				   { HMM_MIRROR_EVENT_RELEASE, "release" }),
		  __entry->nr_ranges, __entry->blockable)
);

/* A fault (req != 0) or snapshot (req == 0) of a range ends. */
TRACE_EVENT(hmm_mirror_fault,
	TP_PROTO(const struct hmm_mirror_range *range,
		 const struct hmm_mirror_cursor *cursor, unsigned long start_va,
		 unsigned int req, unsigned int retries, int err),
	TP_ARGS(range, cursor, start_va, req, retries, err),
	TP_STRUCT__entry(
		__field(const void *, mirror)
		__field(unsigned long, start_va)
		__field(unsigned long, next_va)
		__field(unsigned long, last_va)
		__field(unsigned int, nr_extents)
		__field(unsigned int, req)
		__field(unsigned int, retries)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->mirror = range->mirror;
		__entry->start_va = start_va;
		__entry->next_va = cursor->next_va;
		__entry->last_va = range->node.last;
		__entry->nr_extents = cursor->nr;
		__entry->req = req;
		__entry->retries = retries;
		__entry->err = err;
	),
	TP_printk("mirror=%p va=0x%lx next=0x%lx last=0x%lx extents=%u req=0x%x retries=%u err=%d",
		  __entry->mirror, __entry->start_va, __entry->next_va,
		  __entry->last_va, __entry->nr_extents, __entry->req,
		  __entry->retries, __entry->err)
);

/* An invalidation overtook a pass, which begins anew. */
TRACE_EVENT(hmm_mirror_retry,
	TP_PROTO(const struct hmm_mirror_range *range, unsigned long seq,
		 unsigned long reached_va, unsigned int retries),
	TP_ARGS(range, seq, reached_va, retries),
	TP_STRUCT__entry(
		__field(const void *, mirror)
		__field(unsigned long, first_va)
		__field(unsigned long, last_va)
		__field(unsigned long, reached_va)
		__field(unsigned long, seq)
		__field(unsigned int, retries)
	),
	TP_fast_assign(
		__entry->mirror = range->mirror;
		__entry->first_va = range->node.start;
		__entry->last_va = range->node.last;
		__entry->reached_va = reached_va;
		__entry->seq = seq;
		__entry->retries = retries;
	),
	TP_printk("mirror=%p range=0x%lx-0x%lx reached=0x%lx seq=%lu retries=%u",
		  __entry->mirror, __entry->first_va, __entry->last_va,
		  __entry->reached_va, __entry->seq, __entry->retries)
);

/* A move of pages ends, for one account; from and to are the devices' desc.priv. */
TRACE_EVENT(hmm_mirror_migrate,
	TP_PROTO(const struct hmm_mirror_move *move),
	TP_ARGS(move),
	TP_STRUCT__entry(
		__field(const void *, from)
		__field(const void *, to)
		__field(unsigned int, cause)
		__field(unsigned long, first_va)
		__field(unsigned long, npages)
		__field(unsigned long, moved)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->from = move->from;
		__entry->to = move->to;
		__entry->cause = move->cause;
		__entry->first_va = move->first_va;
		__entry->npages = move->npages;
		__entry->moved = move->moved;
		__entry->err = move->err;
	),
	TP_printk("dir=%s cause=%s va=0x%lx npages=%lu moved=%lu err=%d from=%p to=%p",
		  !__entry->to ? "to_ram" : __entry->from ? "peer" : "to_device",
		  __print_symbolic(__entry->cause,
				   { HMM_MIRROR_MOVE_ASKED, "asked" },
				   { HMM_MIRROR_MOVE_CPU_FAULT, "cpu_fault" },
				   { HMM_MIRROR_MOVE_EVICT, "evict" }),
		  __entry->first_va, __entry->npages, __entry->moved, __entry->err,
		  __entry->from, __entry->to)
);

/* A chunk was tried for eviction. */
TRACE_EVENT(hmm_mirror_evict,
	TP_PROTO(const void *mem, u64 addr, unsigned long npages, unsigned long moved,
		 int err),
	TP_ARGS(mem, addr, npages, moved, err),
	TP_STRUCT__entry(
		__field(const void *, mem)
		__field(u64, addr)
		__field(unsigned long, npages)
		__field(unsigned long, moved)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->mem = mem;
		__entry->addr = addr;
		__entry->npages = npages;
		__entry->moved = moved;
		__entry->err = err;
	),
	TP_printk("mem=%p addr=0x%llx npages=%lu moved=%lu err=%d", __entry->mem,
		  __entry->addr, __entry->npages, __entry->moved, __entry->err)
);

/* Memory was taken for pages that are about to come. */
TRACE_EVENT(hmm_mirror_chunk_alloc,
	TP_PROTO(const void *mem, u64 addr, u64 len, unsigned long first_va),
	TP_ARGS(mem, addr, len, first_va),
	TP_STRUCT__entry(
		__field(const void *, mem)
		__field(u64, addr)
		__field(u64, len)
		__field(unsigned long, first_va)
	),
	TP_fast_assign(
		__entry->mem = mem;
		__entry->addr = addr;
		__entry->len = len;
		__entry->first_va = first_va;
	),
	TP_printk("mem=%p addr=0x%llx len=0x%llx va=0x%lx", __entry->mem, __entry->addr,
		  __entry->len, __entry->first_va)
);

/* The last page of a chunk is gone and its memory given back. */
TRACE_EVENT(hmm_mirror_chunk_free,
	TP_PROTO(const void *mem, u64 addr, u64 len),
	TP_ARGS(mem, addr, len),
	TP_STRUCT__entry(
		__field(const void *, mem)
		__field(u64, addr)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->mem = mem;
		__entry->addr = addr;
		__entry->len = len;
	),
	TP_printk("mem=%p addr=0x%llx len=0x%llx", __entry->mem, __entry->addr,
		  __entry->len)
);

#endif /* _HMM_MIRROR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
