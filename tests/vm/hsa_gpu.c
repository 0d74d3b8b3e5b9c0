// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "hsa_gpu.h"

#define TIMEOUT_S 120u

int hsa_gpu_check(const char *call, hsa_status_t status)
{
	const char *text = NULL;

	if (status == HSA_STATUS_SUCCESS || status == HSA_STATUS_INFO_BREAK)
		return 0;
	hsa_status_string(status, &text);
	fprintf(stderr, "%s fails: 0x%x %s\n", call, (unsigned int)status, text ? text : "");
	return -1;
}

static hsa_status_t find_agent(hsa_agent_t agent, void *data)
{
	struct hsa_gpu *g = data;
	hsa_device_type_t type;
	uint32_t node;

	if (hsa_agent_get_info(agent, HSA_AGENT_INFO_DEVICE, &type) ||
	    hsa_agent_get_info(agent, (hsa_agent_info_t)HSA_AMD_AGENT_INFO_DRIVER_NODE_ID, &node))
		return HSA_STATUS_SUCCESS;
	if (type == HSA_DEVICE_TYPE_CPU && !g->cpu.handle)
		g->cpu = agent;
	if (type == HSA_DEVICE_TYPE_GPU && !g->gpu.handle &&
	    (g->node == HSA_ANY_NODE || g->node == node))
		g->gpu = agent;
	return HSA_STATUS_SUCCESS;
}

int hsa_gpu_open(struct hsa_gpu *g, uint32_t node)
{
	*g = (struct hsa_gpu){ .node = node };
	if (hsa_gpu_check("hsa_init", hsa_init()) ||
	    hsa_gpu_check("hsa_iterate_agents", hsa_iterate_agents(find_agent, g)))
		return -1;
	if (!g->cpu.handle || !g->gpu.handle) {
		fprintf(stderr, "no CPU agent or no GPU agent\n");
		return -1;
	}
	return hsa_gpu_check("hsa_signal_create", hsa_signal_create(1, 0, NULL, &g->signal));
}

void hsa_gpu_close(struct hsa_gpu *g)
{
	if (g->signal.handle)
		hsa_signal_destroy(g->signal);
	hsa_shut_down();
}

int hsa_gpu_copy(struct hsa_gpu *g, void *dst, hsa_agent_t dst_agent, const void *src,
		 hsa_agent_t src_agent, size_t len)
{
	uint64_t frequency = 1000000000;
	hsa_signal_value_t value;

	hsa_system_get_info(HSA_SYSTEM_INFO_TIMESTAMP_FREQUENCY, &frequency);
	hsa_signal_store_relaxed(g->signal, 1);
	if (hsa_gpu_check("hsa_amd_memory_async_copy",
			  hsa_amd_memory_async_copy(dst, dst_agent, src, src_agent, len, 0, NULL,
						    g->signal)))
		return -1;
	value = hsa_signal_wait_scacquire(g->signal, HSA_SIGNAL_CONDITION_LT, 1,
					  TIMEOUT_S * frequency, HSA_WAIT_STATE_BLOCKED);
	if (!value)
		return 0;
	fprintf(stderr, "copy through HSA: signal is %lld after %u s\n", (long long)value,
		TIMEOUT_S);
	return -1;
}
