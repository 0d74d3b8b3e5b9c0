// SPDX-License-Identifier: MIT
/* What the preload looks at in the runtime's calls, against <linux/kfd_ioctl.h>. */
#include <linux/kfd_ioctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "same.h"
#include "../../userspace/libsvm/preload/kfd_calls.h"

static void calls_are_those_of_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(PRE_KFD_TYPE, _IOC_TYPE(AMDKFD_IOC_CREATE_QUEUE));
	assert_int_equal(PRE_KFD_CREATE_QUEUE, _IOC_NR(AMDKFD_IOC_CREATE_QUEUE));
	assert_int_equal(PRE_KFD_ALLOC_MEMORY, _IOC_NR(AMDKFD_IOC_ALLOC_MEMORY_OF_GPU));
	assert_int_equal(PRE_KFD_FREE_MEMORY, _IOC_NR(AMDKFD_IOC_FREE_MEMORY_OF_GPU));
	assert_int_equal(PRE_KFD_MEMORY_USERPTR, KFD_IOC_ALLOC_MEM_FLAGS_USERPTR);
	SAME(pre_kfd_create_queue, gpu_id, kfd_ioctl_create_queue_args, gpu_id);
	SAME(pre_kfd_alloc_memory, va_addr, kfd_ioctl_alloc_memory_of_gpu_args, va_addr);
	SAME(pre_kfd_alloc_memory, size, kfd_ioctl_alloc_memory_of_gpu_args, size);
	SAME(pre_kfd_alloc_memory, handle, kfd_ioctl_alloc_memory_of_gpu_args, handle);
	SAME(pre_kfd_alloc_memory, mmap_offset, kfd_ioctl_alloc_memory_of_gpu_args, mmap_offset);
	SAME(pre_kfd_alloc_memory, flags, kfd_ioctl_alloc_memory_of_gpu_args, flags);
	SAME(pre_kfd_free_memory, handle, kfd_ioctl_free_memory_of_gpu_args, handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_those_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
