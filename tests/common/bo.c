// SPDX-License-Identifier: MIT
/* Memory objects, mapped on the GPU at the CPU's address. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kt.h"

#define GTT_FLAGS (KFD_IOC_ALLOC_MEM_FLAGS_GTT | KFD_IOC_ALLOC_MEM_FLAGS_COHERENT | \
		   KFD_IOC_ALLOC_MEM_FLAGS_UNCACHED | \
		   KFD_IOC_ALLOC_MEM_FLAGS_NO_SUBSTITUTE)
#define VRAM_FLAGS (KFD_IOC_ALLOC_MEM_FLAGS_VRAM | KFD_IOC_ALLOC_MEM_FLAGS_PUBLIC | \
		    KFD_IOC_ALLOC_MEM_FLAGS_NO_SUBSTITUTE)

int kt_bo_ioctl(struct kt_dev *dev, uint64_t va, uint64_t size, uint32_t flags,
		uint64_t *mmap_offset, uint64_t *handle)
{
	struct kfd_ioctl_alloc_memory_of_gpu_args args = {
		.va_addr = va,
		.size = size,
		.mmap_offset = mmap_offset ? *mmap_offset : 0,
		.gpu_id = dev->gpu_id,
		.flags = flags | (uint32_t)KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE,
	};
	int ret;

	ret = kt_ioctl(dev->kfd, AMDKFD_IOC_ALLOC_MEMORY_OF_GPU, &args);
	if (ret)
		return ret;
	if (mmap_offset)
		*mmap_offset = args.mmap_offset;
	*handle = args.handle;
	return 0;
}

int kt_bo_free_handle(struct kt_dev *dev, uint64_t handle)
{
	struct kfd_ioctl_free_memory_of_gpu_args args = { .handle = handle };

	return kt_ioctl(dev->kfd, AMDKFD_IOC_FREE_MEMORY_OF_GPU, &args);
}

int kt_bo_map(struct kt_dev *dev, uint64_t handle)
{
	struct kfd_ioctl_map_memory_to_gpu_args args = {
		.handle = handle,
		.device_ids_array_ptr = (uintptr_t)&dev->gpu_id,
		.n_devices = 1,
	};

	return kt_ioctl(dev->kfd, AMDKFD_IOC_MAP_MEMORY_TO_GPU, &args);
}

int kt_bo_unmap(struct kt_dev *dev, uint64_t handle)
{
	struct kfd_ioctl_unmap_memory_from_gpu_args args = {
		.handle = handle,
		.device_ids_array_ptr = (uintptr_t)&dev->gpu_id,
		.n_devices = 1,
	};

	return kt_ioctl(dev->kfd, AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU, &args);
}

static int bo_alloc(struct kt_dev *dev, size_t len, uint32_t flags, struct kt_bo *bo)
{
	uint64_t offset = 0;
	void *va;
	int ret;

	/* Reserve the address first: GPU and CPU use the same one. */
	va = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		  -1, 0);
	if (va == MAP_FAILED)
		return -errno;
	bo->len = len;
	bo->cpu = va;
	ret = kt_bo_ioctl(dev, (uintptr_t)va, len, flags, &offset, &bo->handle);
	if (ret)
		goto err_unmap;
	va = mmap(va, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, dev->drm,
		  (off_t)offset);
	if (va == MAP_FAILED) {
		ret = -errno;
		goto err_free;
	}
	/* As the thunk does: a fork child must not share the rings. */
	madvise(va, len, MADV_DONTFORK);
	ret = kt_bo_map(dev, bo->handle);
	if (ret)
		goto err_free;
	return 0;

err_free:
	kt_bo_free_handle(dev, bo->handle);
err_unmap:
	munmap(bo->cpu, len);
	memset(bo, 0, sizeof(*bo));
	return ret;
}

int kt_bo_gtt(struct kt_dev *dev, size_t len, struct kt_bo *bo)
{
	return bo_alloc(dev, len, GTT_FLAGS, bo);
}

int kt_bo_vram(struct kt_dev *dev, size_t len, struct kt_bo *bo)
{
	return bo_alloc(dev, len, VRAM_FLAGS, bo);
}

void kt_bo_free(struct kt_dev *dev, struct kt_bo *bo)
{
	kt_bo_unmap(dev, bo->handle);
	kt_bo_free_handle(dev, bo->handle);
	munmap(bo->cpu, bo->len);
	memset(bo, 0, sizeof(*bo));
}
