// SPDX-License-Identifier: MIT
/* A GPU copies malloc'ed memory: cc hello.c -lkfdsvm -lhsa-runtime64 */
#include <hsa/hsa.h>
#include <hsa/hsa_ext_amd.h>
#include <kfdsvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEN (1 << 20)

/* The first CPU and the first GPU; their types are 0 and 1. */
static hsa_status_t find_agents(hsa_agent_t agent, void *agents)
{
	hsa_device_type_t type = HSA_DEVICE_TYPE_CPU;
	hsa_agent_t *of_type;

	hsa_agent_get_info(agent, HSA_AGENT_INFO_DEVICE, &type);
	of_type = (hsa_agent_t *)agents + (type == HSA_DEVICE_TYPE_GPU);
	if (!of_type->handle)
		*of_type = agent;
	return HSA_STATUS_SUCCESS;
}

int main(void)
{
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct kfdsvm_open_options options = { .size = sizeof(options), .why = &why };
	char *from = malloc(LEN), *to = calloc(1, LEN);
	hsa_agent_t agents[2] = { { 0 }, { 0 } };
	hsa_signal_t done;
	struct kfdsvm *svm;

	if (kfdsvm_open(&svm, &options))
		return printf("no SVM: %s; %s\n", why.what, why.fix), 1;
	memset(from, 'x', LEN);
	if (kfdsvm_share(svm, from, LEN, NULL, 0, 0, NULL) ||
	    kfdsvm_share(svm, to, LEN, NULL, 0, 0, NULL))
		return printf("memory cannot be shared\n"), 1;
	if (hsa_init() || hsa_iterate_agents(find_agents, agents) ||
	    hsa_signal_create(1, 0, NULL, &done) ||
	    hsa_amd_memory_async_copy(to, agents[1], from, agents[0], LEN, 0, NULL, done))
		return printf("the GPU takes no work\n"), 1;
	hsa_signal_wait_scacquire(done, HSA_SIGNAL_CONDITION_LT, 1, UINT64_MAX,
				  HSA_WAIT_STATE_BLOCKED);
	printf("the GPU copied malloc'ed memory %s\n", memcmp(to, from, LEN) ? "wrongly" : "well");
	return memcmp(to, from, LEN) != 0;
}
