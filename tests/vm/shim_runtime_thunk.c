// SPDX-License-Identifier: MIT
/* Module: libhsakmt with a user queue. */
#include <stdio.h>

#include "gpu.h"
#include "shim_runtime.h"

static struct gpu gpu;

static int thunk_open(uint32_t node)
{
	return gpu_open(&gpu, node);
}

static int thunk_copy(void *dst, const void *src, size_t len)
{
	enum gpu_result result = gpu_copy(&gpu, dst, src, len);

	if (result == GPU_DONE)
		return 0;
	fprintf(stderr, "copy through libhsakmt: %s\n", gpu_result_text(result));
	return -1;
}

static void thunk_close(void)
{
	gpu_close(&gpu);
}

__attribute__((visibility("default"))) const struct shim_runtime shim_runtime = {
	.open = thunk_open,
	.copy = thunk_copy,
	.close = thunk_close,
};
