/* SPDX-License-Identifier: MIT */
/* A CPU and a GPU agent of libhsa-runtime64, and copies by SDMA between any memory. */
#ifndef HSA_GPU_H
#define HSA_GPU_H

#include <hsa/hsa.h>
#include <hsa/hsa_ext_amd.h>
#include <stddef.h>
#include <stdint.h>

#define HSA_ANY_NODE UINT32_MAX

struct hsa_gpu {
	uint32_t node;
	hsa_agent_t cpu;
	hsa_agent_t gpu;
	hsa_signal_t signal;
};

/* All: 0, or -1 with a line on stderr. */
int hsa_gpu_open(struct hsa_gpu *g, uint32_t node);
void hsa_gpu_close(struct hsa_gpu *g);
/* Waits for the interrupt of the completion signal. */
int hsa_gpu_copy(struct hsa_gpu *g, void *dst, hsa_agent_t dst_agent, const void *src,
		 hsa_agent_t src_agent, size_t len);
int hsa_gpu_check(const char *call, hsa_status_t status);

#endif
