// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gpu.h"
#include "sdma.h"

#define RING_LEN	(64u << 10)
#define PAGE_LEN	4096u
#define TIMEOUT_S	60u
/* Between looks at the fence, should an interrupt be lost. */
#define WAIT_MS		1000u

static int check(const char *call, HSAKMT_STATUS status)
{
	if (status == HSAKMT_STATUS_SUCCESS)
		return 0;
	fprintf(stderr, "%s fails: status %d\n", call, (int)status);
	return -1;
}

/* System memory for the queue itself, mapped on the GPU. */
static void *alloc(size_t len)
{
	HsaMemFlags flags = { .Value = 0 };
	void *memory = NULL;

	flags.ui32.HostAccess = 1;
	flags.ui32.ExecuteAccess = 1;
	if (check("hsaKmtAllocMemory", hsaKmtAllocMemory(0, len, flags, &memory)))
		return NULL;
	if (check("hsaKmtMapMemoryToGPU", hsaKmtMapMemoryToGPU(memory, len, NULL))) {
		hsaKmtFreeMemory(memory, len);
		return NULL;
	}
	memset(memory, 0, len);
	return memory;
}

static void release(void *memory, size_t len)
{
	if (!memory)
		return;
	hsaKmtUnmapMemoryToGPU(memory);
	hsaKmtFreeMemory(memory, len);
}

static int create_event(HSA_EVENTTYPE type, uint32_t node, bool manual_reset, HsaEvent **event)
{
	HsaEventDescriptor description = { .EventType = type, .NodeId = node };
	HsaEvent *made = NULL;

	*event = NULL;
	if (check("hsaKmtCreateEvent",
		  hsaKmtCreateEvent(&description, manual_reset, false, &made)))
		return -1;
	*event = made;
	return 0;
}

static int open_thunk(void)
{
	HsaSystemProperties properties;
	HSAKMT_STATUS status = hsaKmtOpenKFD();

	if (status != HSAKMT_STATUS_KERNEL_ALREADY_OPENED && check("hsaKmtOpenKFD", status))
		return -1;
	return check("hsaKmtAcquireSystemProperties", hsaKmtAcquireSystemProperties(&properties));
}

int gpu_open(struct gpu *gpu, uint32_t node)
{
	memset(gpu, 0, sizeof(*gpu));
	gpu->node = node;
	gpu->timeout_s = TIMEOUT_S;
	if (open_thunk())
		return -1;
	if (create_event(HSA_EVENTTYPE_SIGNAL, node, false, &gpu->done) ||
	    create_event(HSA_EVENTTYPE_MEMORY, node, true, &gpu->memory))
		return -1;
	gpu->ring = alloc(RING_LEN);
	gpu->fence = alloc(PAGE_LEN);
	if (!gpu->ring || !gpu->fence)
		return -1;
	return check("hsaKmtCreateQueue",
		     hsaKmtCreateQueue(node, HSA_QUEUE_SDMA, 100, HSA_QUEUE_PRIORITY_NORMAL,
				       gpu->ring, RING_LEN, NULL, &gpu->queue));
}

void gpu_close(struct gpu *gpu)
{
	if (gpu->queue.QueueId)
		hsaKmtDestroyQueue(gpu->queue.QueueId);
	if (gpu->done)
		hsaKmtDestroyEvent(gpu->done);
	if (gpu->memory)
		hsaKmtDestroyEvent(gpu->memory);
	release(gpu->ring, RING_LEN);
	release((void *)(uintptr_t)gpu->fence, PAGE_LEN);
	hsaKmtReleaseSystemProperties();
	hsaKmtCloseKFD();
	memset(gpu, 0, sizeof(*gpu));
}

/* A packet does not wrap: the rest of the ring is filled with no-ops, which are 0. */
static void emit(struct gpu *gpu, const uint32_t *packet, unsigned int dwords)
{
	size_t len = dwords * sizeof(*packet);
	size_t at = gpu->written % RING_LEN;

	if (at + len > RING_LEN) {
		memset((char *)gpu->ring + at, 0, RING_LEN - at);
		gpu->written += RING_LEN - at;
		at = 0;
	}
	memcpy((char *)gpu->ring + at, packet, len);
	gpu->written += len;
}

/* The packet of a finished job: fence, then the event's slot, then an interrupt. */
static void emit_done(struct gpu *gpu)
{
	uint32_t packet[SDMA_MAX_DWORDS];

	gpu->job++;
	emit(gpu, packet, sdma_fence(packet, (uintptr_t)gpu->fence, gpu->job));
	emit(gpu, packet, sdma_fence(packet, gpu->done->EventData.HWData2,
				     gpu->done->EventId));
	emit(gpu, packet, sdma_trap(packet, gpu->done->EventId));
}

static void ring_doorbell(struct gpu *gpu)
{
	volatile uint64_t *wptr = (volatile uint64_t *)gpu->queue.Queue_write_ptr_aql;
	volatile uint64_t *doorbell = (volatile uint64_t *)gpu->queue.Queue_DoorBell_aql;

	/* The ring before the pointer, the pointer before the bell. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*wptr = gpu->written;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*doorbell = gpu->written;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int take_fault(struct gpu *gpu)
{
	const HsaMemoryAccessFault *fault = &gpu->memory->EventData.EventData.MemoryAccessFault;

	if (!fault->VirtualAddress && !fault->Failure.NotPresent && !fault->Failure.ReadOnly)
		return 0;
	gpu->fault.va = fault->VirtualAddress;
	gpu->fault.not_present = fault->Failure.NotPresent;
	gpu->fault.read_only = fault->Failure.ReadOnly;
	return 1;
}

static enum gpu_result run(struct gpu *gpu)
{
	HsaEvent *events[] = { gpu->done, gpu->memory };
	double end = seconds() + gpu->timeout_s;
	HSAKMT_STATUS status;

	emit_done(gpu);
	ring_doorbell(gpu);
	for (;;) {
		if (__atomic_load_n(gpu->fence, __ATOMIC_ACQUIRE) == gpu->job)
			return GPU_DONE;
		if (take_fault(gpu))
			return GPU_FAULT;
		if (seconds() > end)
			return GPU_TIMEOUT;
		status = hsaKmtWaitOnMultipleEvents(events, 2, false, WAIT_MS);
		if (status != HSAKMT_STATUS_SUCCESS && status != HSAKMT_STATUS_WAIT_TIMEOUT) {
			check("hsaKmtWaitOnMultipleEvents", status);
			return GPU_ERROR;
		}
	}
}

enum gpu_result gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t len)
{
	uint32_t packet[SDMA_MAX_DWORDS];

	for (size_t at = 0; at < len; at += SDMA_MAX_LEN) {
		uint32_t part = len - at < SDMA_MAX_LEN ? (uint32_t)(len - at) : SDMA_MAX_LEN;

		emit(gpu, packet, sdma_copy(packet, (uintptr_t)dst + at, (uintptr_t)src + at,
					    part));
	}
	return run(gpu);
}

enum gpu_result gpu_fill(struct gpu *gpu, void *dst, uint32_t value, size_t len)
{
	uint32_t packet[SDMA_MAX_DWORDS];

	for (size_t at = 0; at < len; at += SDMA_MAX_LEN) {
		uint32_t part = len - at < SDMA_MAX_LEN ? (uint32_t)(len - at) : SDMA_MAX_LEN;

		emit(gpu, packet, sdma_fill(packet, (uintptr_t)dst + at, value, part));
	}
	return run(gpu);
}

const char *gpu_result_text(enum gpu_result result)
{
	switch (result) {
	case GPU_DONE:
		return "done";
	case GPU_FAULT:
		return "memory exception";
	case GPU_TIMEOUT:
		return "no answer from the GPU";
	case GPU_ERROR:
		return "runtime error";
	}
	return "?";
}
