/* SPDX-License-Identifier: MIT */
/* gpu.h of the examples, for a GPU that is not there: see kfd.c. */
#ifndef FAKE_GPU_H
#define FAKE_GPU_H

#include <stddef.h>
#include <stdint.h>

enum gpu_result { GPU_DONE, GPU_FAULT, GPU_TIMEOUT, GPU_ERROR };

struct gpu {
	int kfd;
	struct {
		uint64_t va;
	} fault;
};

int gpu_open(struct gpu *gpu, uint32_t node);
void gpu_close(struct gpu *gpu);
enum gpu_result gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t len);
const char *gpu_result_text(enum gpu_result result);

#endif
