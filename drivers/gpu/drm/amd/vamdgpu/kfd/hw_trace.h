/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vamdgpu_hw

#if !defined(_VAMDGPU_HW_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _VAMDGPU_HW_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(vamdgpu_queue_create,
	TP_PROTO(pid_t tgid, u32 gpu_id, u32 id, u64 ring_va, u64 ring_len),
	TP_ARGS(tgid, gpu_id, id, ring_va, ring_len),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu_id)
		__field(u32, id)
		__field(u64, ring_va)
		__field(u64, ring_len)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu_id = gpu_id;
		__entry->id = id;
		__entry->ring_va = ring_va;
		__entry->ring_len = ring_len;
	),
	TP_printk("tgid=%d gpu=%u queue=%u ring=0x%llx len=0x%llx",
		  __entry->tgid, __entry->gpu_id, __entry->id,
		  __entry->ring_va, __entry->ring_len)
);

DECLARE_EVENT_CLASS(vamdgpu_queue,
	TP_PROTO(pid_t tgid, u32 id, int value),
	TP_ARGS(tgid, id, value),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, id)
		__field(int, value)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->id = id;
		__entry->value = value;
	),
	TP_printk("tgid=%d queue=%u value=%d", __entry->tgid, __entry->id,
		  __entry->value)
);

/* value: the new percentage */
DEFINE_EVENT(vamdgpu_queue, vamdgpu_queue_update,
	TP_PROTO(pid_t tgid, u32 id, int value),
	TP_ARGS(tgid, id, value));

DEFINE_EVENT(vamdgpu_queue, vamdgpu_queue_destroy,
	TP_PROTO(pid_t tgid, u32 id, int value),
	TP_ARGS(tgid, id, value));

/* value: enum gfx9_error */
DEFINE_EVENT(vamdgpu_queue, vamdgpu_queue_error,
	TP_PROTO(pid_t tgid, u32 id, int value),
	TP_ARGS(tgid, id, value));

TRACE_EVENT(vamdgpu_fault,
	TP_PROTO(pid_t tgid, u32 id, u64 va, bool write),
	TP_ARGS(tgid, id, va, write),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, id)
		__field(u64, va)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->id = id;
		__entry->va = va;
		__entry->write = write;
	),
	TP_printk("tgid=%d queue=%u va=0x%llx %s", __entry->tgid, __entry->id,
		  __entry->va, __entry->write ? "write" : "read")
);

/* outcome: enum kfd_svm_fault_outcome */
TRACE_EVENT(vamdgpu_fault_served,
	TP_PROTO(pid_t tgid, u32 id, u64 va, int outcome, unsigned int delay_ms),
	TP_ARGS(tgid, id, va, outcome, delay_ms),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, id)
		__field(u64, va)
		__field(int, outcome)
		__field(unsigned int, delay_ms)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->id = id;
		__entry->va = va;
		__entry->outcome = outcome;
		__entry->delay_ms = delay_ms;
	),
	TP_printk("tgid=%d queue=%u va=0x%llx outcome=%d delay=%u ms",
		  __entry->tgid, __entry->id, __entry->va, __entry->outcome,
		  __entry->delay_ms)
);

DECLARE_EVENT_CLASS(vamdgpu_doorbell,
	TP_PROTO(pid_t tgid, u32 gpu_id),
	TP_ARGS(tgid, gpu_id),
	TP_STRUCT__entry(
		__field(pid_t, tgid)
		__field(u32, gpu_id)
	),
	TP_fast_assign(
		__entry->tgid = tgid;
		__entry->gpu_id = gpu_id;
	),
	TP_printk("tgid=%d gpu=%u", __entry->tgid, __entry->gpu_id)
);

/* A store met the armed slice. */
DEFINE_EVENT(vamdgpu_doorbell, vamdgpu_doorbell_rang,
	TP_PROTO(pid_t tgid, u32 gpu_id),
	TP_ARGS(tgid, gpu_id));

/* The slice was armed again. */
DEFINE_EVENT(vamdgpu_doorbell, vamdgpu_doorbell_armed,
	TP_PROTO(pid_t tgid, u32 gpu_id),
	TP_ARGS(tgid, gpu_id));

#endif /* _VAMDGPU_HW_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE hw_trace
#include <trace/define_trace.h>
