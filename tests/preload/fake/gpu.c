// SPDX-License-Identifier: MIT
/* A GPU that may touch what the driver of kfd.c says, and copies as the CPU does. */
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../../userspace/libsvm/preload/kfd_calls.h"
#include "gpu.h"

/* Any character device will do; kfd.c makes it /dev/kfd. */
int gpu_open(struct gpu *gpu, uint32_t node)
{
	struct pre_kfd_create_queue args = { .gpu_id = node };

	gpu->kfd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return ioctl(gpu->kfd, _IOWR(PRE_KFD_TYPE, PRE_KFD_CREATE_QUEUE, args), &args);
}

void gpu_close(struct gpu *gpu)
{
	close(gpu->kfd);
}

enum gpu_result gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t len)
{
	int (*accessible)(const void *p, size_t len);

	*(void **)&accessible = dlsym(RTLD_DEFAULT, "fake_kfd_accessible");
	if (!accessible)
		return GPU_ERROR;
	gpu->fault.va = (uintptr_t)(accessible(src, len) ? dst : src);
	if (!accessible(src, len) || !accessible(dst, len))
		return GPU_FAULT;
	memcpy(dst, src, len);
	return GPU_DONE;
}

const char *gpu_result_text(enum gpu_result result)
{
	return result == GPU_DONE ? "done" : result == GPU_FAULT ? "memory exception" : "error";
}
