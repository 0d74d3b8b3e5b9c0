// SPDX-License-Identifier: MIT
/*
 * libkfdsvm's idea of /dev/kfd against <linux/kfd_ioctl.h>, and the size of what
 * programs are compiled with: a change here breaks installed programs.
 */
#include <linux/kfd_ioctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../userspace/libsvm/include/kfdsvm.h"
#include "../../userspace/libsvm/src/kfd.h"

#define SAME(a, am, b, bm) do { \
	assert_int_equal(offsetof(struct a, am), offsetof(struct b, bm)); \
	assert_int_equal(sizeof(((struct a *)0)->am), sizeof(((struct b *)0)->bm)); \
} while (0)

static void calls_are_those_of_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(KFD_IOC_VERSION, AMDKFD_IOC_GET_VERSION);
	assert_int_equal(KFD_IOC_APERTURES, AMDKFD_IOC_GET_PROCESS_APERTURES_NEW);
	assert_int_equal(KFD_IOC_ACQUIRE_VM, AMDKFD_IOC_ACQUIRE_VM);
	SAME(kfd_version_args, major, kfd_ioctl_get_version_args, major_version);
	SAME(kfd_version_args, minor, kfd_ioctl_get_version_args, minor_version);
	SAME(kfd_acquire_vm_args, drm_fd, kfd_ioctl_acquire_vm_args, drm_fd);
	SAME(kfd_acquire_vm_args, gpu_id, kfd_ioctl_acquire_vm_args, gpu_id);
	assert_int_equal(sizeof(struct kfd_apertures),
			 sizeof(struct kfd_process_device_apertures));
	SAME(kfd_apertures, gpuvm_limit, kfd_process_device_apertures, gpuvm_limit);
	SAME(kfd_apertures, gpu_id, kfd_process_device_apertures, gpu_id);
	SAME(kfd_apertures_args, apertures, kfd_ioctl_get_process_apertures_new_args,
	     kfd_process_device_apertures_ptr);
	SAME(kfd_apertures_args, napertures, kfd_ioctl_get_process_apertures_new_args,
	     num_of_nodes);
}

static void public_structures_keep_their_size(void **state)
{
	(void)state;
	if (sizeof(void *) != 8)
		skip();
	assert_int_equal(sizeof(struct kfdsvm_why), 528);
	assert_int_equal(sizeof(struct kfdsvm_open_options), 24);
	assert_int_equal(sizeof(struct kfdsvm_device_info), 120);
	assert_int_equal(sizeof(struct kfdsvm_range), 16);
	assert_int_equal(sizeof(struct kfdsvm_access), 8);
	assert_int_equal(sizeof(struct kfdsvm_advice), 40);
	assert_int_equal(sizeof(struct kfdsvm_attributes), 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_those_of_the_kernel),
		cmocka_unit_test(public_structures_keep_their_size),
	};

	return cmocka_run_group_tests_name("shim_abi", tests, NULL, NULL);
}
