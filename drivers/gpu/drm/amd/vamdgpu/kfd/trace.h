/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vamdgpu

#if !defined(_VAMDGPU_KFD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _VAMDGPU_KFD_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(vamdgpu_ioctl,
	TP_PROTO(pid_t tgid, unsigned int nr, int ret),
	TP_ARGS(tgid, nr, ret),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(unsigned int, nr)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->nr = nr;
		__entry->ret = ret;
	),
	TP_printk("tgid=%d nr=0x%02x ret=%d", __entry->tgid, __entry->nr,
		  __entry->ret)
);

DECLARE_EVENT_CLASS(vamdgpu_bo,
	TP_PROTO(u32 gpu_id, int kind, u64 va, u64 len),
	TP_ARGS(gpu_id, kind, va, len),
	TP_STRUCT__entry(
		__field(u32, gpu_id)
		__field(int, kind)
		__field(u64, va)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->gpu_id = gpu_id;
		__entry->kind = kind;
		__entry->va = va;
		__entry->len = len;
	),
	TP_printk("gpu=%u kind=%d va=0x%llx len=0x%llx", __entry->gpu_id,
		  __entry->kind, __entry->va, __entry->len)
);

DEFINE_EVENT(vamdgpu_bo, vamdgpu_bo_create,
	TP_PROTO(u32 gpu_id, int kind, u64 va, u64 len),
	TP_ARGS(gpu_id, kind, va, len));

DEFINE_EVENT(vamdgpu_bo, vamdgpu_bo_free,
	TP_PROTO(u32 gpu_id, int kind, u64 va, u64 len),
	TP_ARGS(gpu_id, kind, va, len));

DEFINE_EVENT(vamdgpu_bo, vamdgpu_bo_map,
	TP_PROTO(u32 gpu_id, int kind, u64 va, u64 len),
	TP_ARGS(gpu_id, kind, va, len));

DEFINE_EVENT(vamdgpu_bo, vamdgpu_bo_unmap,
	TP_PROTO(u32 gpu_id, int kind, u64 va, u64 len),
	TP_ARGS(gpu_id, kind, va, len));

TRACE_EVENT(vamdgpu_event_signal,
	TP_PROTO(pid_t tgid, u32 event_id, u64 age),
	TP_ARGS(tgid, event_id, age),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, event_id)
		__field(u64, age)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->event_id = event_id;
		__entry->age = age;
	),
	TP_printk("tgid=%d event=%u age=%llu", __entry->tgid,
		  __entry->event_id, __entry->age)
);

#endif /* _VAMDGPU_KFD_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
