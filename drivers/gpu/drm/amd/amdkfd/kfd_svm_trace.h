/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core does, as events. Addresses and sizes in pages.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kfd_svm

#if !defined(_KFD_SVM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _KFD_SVM_TRACE_H

#include <linux/tracepoint.h>

#include "kfd_svm_place.h"

DECLARE_EVENT_CLASS(kfd_svm_gpu_span,
	TP_PROTO(pid_t tgid, u32 gpu, unsigned long first,
		 unsigned long npages),
	TP_ARGS(tgid, gpu, first, npages),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu)
		__field(unsigned long, first)
		__field(unsigned long, npages)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu = gpu;
		__entry->first = first;
		__entry->npages = npages;
	),
	TP_printk("tgid=%d gpu=%u first=%#lx npages=%lu", __entry->tgid,
		  __entry->gpu, __entry->first, __entry->npages)
);

/* A CPU change takes pages from a GPU. */
DEFINE_EVENT(kfd_svm_gpu_span, kfd_svm_zap,
	TP_PROTO(pid_t tgid, u32 gpu, unsigned long first,
		 unsigned long npages),
	TP_ARGS(tgid, gpu, first, npages)
);

/* A commit lost against a CPU change. */
DEFINE_EVENT(kfd_svm_gpu_span, kfd_svm_retry,
	TP_PROTO(pid_t tgid, u32 gpu, unsigned long first,
		 unsigned long npages),
	TP_ARGS(tgid, gpu, first, npages)
);

/* Memory is brought in for faults: npages, of which nwrite to be writable. */
TRACE_EVENT(kfd_svm_populate,
	TP_PROTO(pid_t tgid, u32 gpu, unsigned long first,
		 unsigned long npages, unsigned long nwrite),
	TP_ARGS(tgid, gpu, first, npages, nwrite),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu)
		__field(unsigned long, first)
		__field(unsigned long, npages)
		__field(unsigned long, nwrite)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu = gpu;
		__entry->first = first;
		__entry->npages = npages;
		__entry->nwrite = nwrite;
	),
	TP_printk("tgid=%d gpu=%u first=%#lx npages=%lu nwrite=%lu",
		  __entry->tgid, __entry->gpu, __entry->first, __entry->npages,
		  __entry->nwrite)
);

/* A run of pages is written to a page table. */
TRACE_EVENT(kfd_svm_commit,
	TP_PROTO(pid_t tgid, u32 gpu, unsigned long first,
		 unsigned long npages, u32 pte),
	TP_ARGS(tgid, gpu, first, npages, pte),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu)
		__field(unsigned long, first)
		__field(unsigned long, npages)
		__field(u32, pte)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu = gpu;
		__entry->first = first;
		__entry->npages = npages;
		__entry->pte = pte;
	),
	TP_printk("tgid=%d gpu=%u first=%#lx npages=%lu pte=%#x",
		  __entry->tgid, __entry->gpu, __entry->first, __entry->npages,
		  __entry->pte)
);

/* A fault was handled or refused: enum kfd_svm_fault_outcome. */
TRACE_EVENT(kfd_svm_fault,
	TP_PROTO(pid_t tgid, u32 gpu, unsigned long page, bool write,
		 int outcome),
	TP_ARGS(tgid, gpu, page, write, outcome),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu)
		__field(unsigned long, page)
		__field(bool, write)
		__field(int, outcome)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu = gpu;
		__entry->page = page;
		__entry->write = write;
		__entry->outcome = outcome;
	),
	TP_printk("tgid=%d gpu=%u page=%#lx %s outcome=%d", __entry->tgid,
		  __entry->gpu, __entry->page, __entry->write ? "W" : "R",
		  __entry->outcome)
);

/*
 * Where memory is to be: kind is enum kfd_svm_target_kind, to the GPU whose VRAM, cause
 * enum kfd_svm_cause.
 */
TRACE_EVENT(kfd_svm_place,
	TP_PROTO(pid_t tgid, u32 gpu, unsigned long first,
		 unsigned long npages, int kind, u32 to, int cause),
	TP_ARGS(tgid, gpu, first, npages, kind, to, cause),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu)
		__field(unsigned long, first)
		__field(unsigned long, npages)
		__field(int, kind)
		__field(u32, to)
		__field(int, cause)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu = gpu;
		__entry->first = first;
		__entry->npages = npages;
		__entry->kind = kind;
		__entry->to = to;
		__entry->cause = cause;
	),
	TP_printk("tgid=%d gpu=%u first=%#lx npages=%lu %s to=%u cause=%s",
		  __entry->tgid, __entry->gpu, __entry->first, __entry->npages,
		  __print_symbolic(__entry->kind,
				   { KFD_SVM_TARGET_STAY, "stay" },
				   { KFD_SVM_TARGET_RAM, "ram" },
				   { KFD_SVM_TARGET_VRAM, "vram" }),
		  __entry->to,
		  __print_symbolic(__entry->cause,
				   { KFD_SVM_CAUSE_PREFERRED, "preferred" },
				   { KFD_SVM_CAUSE_ACCESS, "access" },
				   { KFD_SVM_CAUSE_IN_PLACE, "in_place" },
				   { KFD_SVM_CAUSE_NO_VRAM, "no_vram" },
				   { KFD_SVM_CAUSE_HELD, "held" },
				   { KFD_SVM_CAUSE_SHARED, "shared" },
				   { KFD_SVM_CAUSE_PREFETCH, "prefetch" },
				   { KFD_SVM_CAUSE_PREFETCH_SHARED, "prefetch_shared" },
				   { KFD_SVM_CAUSE_OUT_OF_REACH, "out_of_reach" }))
);

/* Pages have moved between RAM (0) and VRAM: trigger is KFD_SVM_MIGRATE_*. */
TRACE_EVENT(kfd_svm_moved,
	TP_PROTO(pid_t tgid, u32 from, u32 to, unsigned long first,
		 unsigned long npages, unsigned long moved, u32 trigger, int err),
	TP_ARGS(tgid, from, to, first, npages, moved, trigger, err),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, from)
		__field(u32, to)
		__field(unsigned long, first)
		__field(unsigned long, npages)
		__field(unsigned long, moved)
		__field(u32, trigger)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->from = from;
		__entry->to = to;
		__entry->first = first;
		__entry->npages = npages;
		__entry->moved = moved;
		__entry->trigger = trigger;
		__entry->err = err;
	),
	TP_printk("tgid=%d from=%u to=%u first=%#lx npages=%lu moved=%lu trigger=%u err=%d",
		  __entry->tgid, __entry->from, __entry->to, __entry->first,
		  __entry->npages, __entry->moved, __entry->trigger,
		  __entry->err)
);

/* Memory that a fault was to move did not, or not all: it is mapped where it is. */
TRACE_EVENT(kfd_svm_stays,
	TP_PROTO(pid_t tgid, unsigned long first, unsigned long npages,
		 unsigned long moved, int err),
	TP_ARGS(tgid, first, npages, moved, err),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(unsigned long, first)
		__field(unsigned long, npages)
		__field(unsigned long, moved)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->first = first;
		__entry->npages = npages;
		__entry->moved = moved;
		__entry->err = err;
	),
	TP_printk("tgid=%d first=%#lx npages=%lu moved=%lu err=%d",
		  __entry->tgid, __entry->first, __entry->npages, __entry->moved,
		  __entry->err)
);

/* A block has moved to and fro too often and stays where it is. */
TRACE_EVENT(kfd_svm_hold,
	TP_PROTO(pid_t tgid, unsigned long first, unsigned long ms),
	TP_ARGS(tgid, first, ms),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(unsigned long, first)
		__field(unsigned long, ms)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->first = first;
		__entry->ms = ms;
	),
	TP_printk("tgid=%d first=%#lx ms=%lu", __entry->tgid, __entry->first,
		  __entry->ms)
);

DECLARE_EVENT_CLASS(kfd_svm_queues,
	TP_PROTO(pid_t tgid, unsigned long nr_pending),
	TP_ARGS(tgid, nr_pending),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(unsigned long, nr_pending)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->nr_pending = nr_pending;
	),
	TP_printk("tgid=%d pending_blocks=%lu", __entry->tgid,
		  __entry->nr_pending)
);

/* All queues of a process stop. */
DEFINE_EVENT(kfd_svm_queues, kfd_svm_evict,
	TP_PROTO(pid_t tgid, unsigned long nr_pending),
	TP_ARGS(tgid, nr_pending)
);

/* They go on. */
DEFINE_EVENT(kfd_svm_queues, kfd_svm_restore,
	TP_PROTO(pid_t tgid, unsigned long nr_pending),
	TP_ARGS(tgid, nr_pending)
);

TRACE_EVENT(kfd_svm_set_attr,
	TP_PROTO(pid_t tgid, unsigned long first, unsigned long npages,
		 u32 nattr, int err),
	TP_ARGS(tgid, first, npages, nattr, err),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(unsigned long, first)
		__field(unsigned long, npages)
		__field(u32, nattr)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->first = first;
		__entry->npages = npages;
		__entry->nattr = nattr;
		__entry->err = err;
	),
	TP_printk("tgid=%d first=%#lx npages=%lu nattr=%u err=%d",
		  __entry->tgid, __entry->first, __entry->npages,
		  __entry->nattr, __entry->err)
);

/* A GPU of the process is gone. */
TRACE_EVENT(kfd_svm_lost_gpu,
	TP_PROTO(pid_t tgid, u32 gpu),
	TP_ARGS(tgid, gpu),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu = gpu;
	),
	TP_printk("tgid=%d gpu=%u", __entry->tgid, __entry->gpu)
);

/* An unmap found the reserve empty: attributes near it were dropped. */
TRACE_EVENT(kfd_svm_attr_lost,
	TP_PROTO(pid_t tgid, unsigned long page, unsigned long npages),
	TP_ARGS(tgid, page, npages),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(unsigned long, page)
		__field(unsigned long, npages)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->page = page;
		__entry->npages = npages;
	),
	TP_printk("tgid=%d near=%#lx npages=%lu", __entry->tgid, __entry->page,
		  __entry->npages)
);

#endif /* _KFD_SVM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE kfd_svm_trace
#include <trace/define_trace.h>
