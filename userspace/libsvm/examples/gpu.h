/* SPDX-License-Identifier: MIT */
/*
 * A GPU's copy engine, driven through libhsakmt: one user queue, one job at a
 * time. Knows nothing of libkfdsvm: sharing memory is the caller's business.
 */
#ifndef GPU_H
#define GPU_H

#include <hsakmt.h>
#include <stddef.h>
#include <stdint.h>

enum gpu_result {
	GPU_DONE,
	GPU_FAULT,	/* the driver reported a memory exception, see gpu_fault */
	GPU_TIMEOUT,	/* neither done nor refused */
	GPU_ERROR,	/* the runtime failed */
};

/* A memory exception. */
struct gpu_fault {
	uint64_t va;
	int not_present;
	int read_only;
};

struct gpu {
	uint32_t node;
	unsigned int timeout_s;
	HsaQueueResource queue;
	HsaEvent *done;
	HsaEvent *memory;
	uint32_t *ring;
	volatile uint32_t *fence;	/* last job that is done */
	uint64_t written;		/* bytes written to the ring, ever */
	uint32_t job;			/* last job that was submitted */
	struct gpu_fault fault;
};

/* 0, or -1 with a line on stderr. @node is the GPU's number in the topology. */
int gpu_open(struct gpu *gpu, uint32_t node);
void gpu_close(struct gpu *gpu);

/* Copy, or fill with dwords, and wait for the end. */
enum gpu_result gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t len);
enum gpu_result gpu_fill(struct gpu *gpu, void *dst, uint32_t value, size_t len);
const char *gpu_result_text(enum gpu_result result);

#endif
