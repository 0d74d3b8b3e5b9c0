// SPDX-License-Identifier: MIT
/*
 * Says what holds for memory of malloc once there is a queue, from before it and after:
 * "preferred=ID granularity=N access=N" twice. "preferred=gpu" is the GPU itself.
 */
#include <kfdsvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu.h"

static int say(struct kfdsvm *svm, const void *p, size_t len, uint32_t gpu_id)
{
	struct kfdsvm_access access = { 0 };
	struct kfdsvm_attributes a = { .size = sizeof(a), .naccess = 1, .access = &access };
	int ret = kfdsvm_query(svm, p, len, &a, 0, NULL);

	if (ret) {
		printf("kfdsvm_query: %s\n", kfdsvm_strerror(ret));
		return 1;
	}
	if (a.preferred == gpu_id)
		printf("preferred=gpu");
	else
		printf("preferred=%d", (int)a.preferred);
	printf(" granularity=%u access=%u\n", a.granularity_lg2, access.kind);
	return 0;
}

int main(void)
{
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	void *before = malloc(100000), *after;
	struct kfdsvm *svm;
	struct gpu gpu;

	memset(before, 1, 100000);
	if (kfdsvm_open(&svm, NULL) || kfdsvm_device_info(svm, 0, &info)) {
		printf("no GPU\n");
		return 77;
	}
	if (gpu_open(&gpu, info.node))
		return 1;
	after = malloc(3000000);
	return say(svm, before, 100000, info.gpu_id) || say(svm, after, 3000000, info.gpu_id);
}
