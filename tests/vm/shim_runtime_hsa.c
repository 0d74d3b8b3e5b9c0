// SPDX-License-Identifier: MIT
/* Module: libhsa-runtime64. */
#include "hsa_gpu.h"
#include "shim_runtime.h"

static struct hsa_gpu hsa;

static int runtime_open(uint32_t node)
{
	return hsa_gpu_open(&hsa, node);
}

static int runtime_copy(void *dst, const void *src, size_t len)
{
	return hsa_gpu_copy(&hsa, dst, hsa.gpu, src, hsa.cpu, len);
}

static void runtime_close(void)
{
	hsa_gpu_close(&hsa);
}

__attribute__((visibility("default"))) const struct shim_runtime shim_runtime = {
	.open = runtime_open,
	.copy = runtime_copy,
	.close = runtime_close,
};
