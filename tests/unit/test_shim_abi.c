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

#include "same.h"
#include "../../userspace/libsvm/include/kfdsvm.h"
#include "../../userspace/libsvm/src/kfd.h"

static void calls_are_those_of_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(KFD_IOC_VERSION, AMDKFD_IOC_GET_VERSION);
	assert_int_equal(KFD_IOC_APERTURES, AMDKFD_IOC_GET_PROCESS_APERTURES_NEW);
	assert_int_equal(KFD_IOC_ACQUIRE_VM, AMDKFD_IOC_ACQUIRE_VM);
	assert_int_equal(KFD_IOC_SMI_EVENTS, AMDKFD_IOC_SMI_EVENTS);
	SAME(kfd_smi_args, gpu_id, kfd_ioctl_smi_events_args, gpuid);
	SAME(kfd_smi_args, fd, kfd_ioctl_smi_events_args, anon_fd);
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

/* Kinds and bits of events are the driver's. */
static void events_are_those_of_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(KFDSVM_EVENT_VM_FAULT, KFD_SMI_EVENT_VMFAULT);
	assert_int_equal(KFDSVM_EVENT_MIGRATE_START, KFD_SMI_EVENT_MIGRATE_START);
	assert_int_equal(KFDSVM_EVENT_MIGRATE_END, KFD_SMI_EVENT_MIGRATE_END);
	assert_int_equal(KFDSVM_EVENT_FAULT_START, KFD_SMI_EVENT_PAGE_FAULT_START);
	assert_int_equal(KFDSVM_EVENT_FAULT_END, KFD_SMI_EVENT_PAGE_FAULT_END);
	assert_int_equal(KFDSVM_EVENT_EVICTION, KFD_SMI_EVENT_QUEUE_EVICTION);
	assert_int_equal(KFDSVM_EVENT_RESTORE, KFD_SMI_EVENT_QUEUE_RESTORE);
	assert_int_equal(KFDSVM_EVENT_UNMAP, KFD_SMI_EVENT_UNMAP_FROM_GPU);
	assert_true(KFDSVM_EVENT_BIT(KFDSVM_EVENT_UNMAP) ==
		    KFD_SMI_EVENT_MASK_FROM_INDEX(KFD_SMI_EVENT_UNMAP_FROM_GPU));
	assert_int_equal(KFDSVM_MIGRATE_PREFETCH, KFD_MIGRATE_TRIGGER_PREFETCH);
	assert_int_equal(KFDSVM_MIGRATE_GPU_FAULT, KFD_MIGRATE_TRIGGER_PAGEFAULT_GPU);
	assert_int_equal(KFDSVM_MIGRATE_CPU_FAULT, KFD_MIGRATE_TRIGGER_PAGEFAULT_CPU);
	assert_int_equal(KFDSVM_MIGRATE_VRAM_FULL, KFD_MIGRATE_TRIGGER_TTM_EVICTION);
	assert_int_equal(KFDSVM_EVICTION_SVM, KFD_QUEUE_EVICTION_TRIGGER_SVM);
	assert_int_equal(KFDSVM_EVICTION_CHECKPOINT_RESTORE, KFD_QUEUE_EVICTION_CRIU_RESTORE);
	assert_int_equal(KFDSVM_UNMAP_MUNMAP, KFD_SVM_UNMAP_TRIGGER_UNMAP_FROM_CPU);
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
	assert_int_equal(sizeof(struct kfdsvm_progress), 48);
	assert_int_equal(sizeof(struct kfdsvm_place), 16);
	assert_int_equal(sizeof(struct kfdsvm_residency), 64);
	assert_int_equal(sizeof(struct kfdsvm_counters), 96);
	assert_int_equal(sizeof(struct kfdsvm_request), 72);
	assert_int_equal(sizeof(struct kfdsvm_async_options), 16);
	assert_int_equal(sizeof(struct kfdsvm_completion), 64);
	assert_int_equal(sizeof(struct kfdsvm_record), 56);
	assert_int_equal(sizeof(struct kfdsvm_snapshot_options), 24);
	assert_int_equal(sizeof(struct kfdsvm_event), 80);
	assert_int_equal(sizeof(struct kfdsvm_events_options), 32);
	/* The last members, so that none moved. */
	assert_int_equal(offsetof(struct kfdsvm_residency, places), 56);
	assert_int_equal(offsetof(struct kfdsvm_counters, restores), 88);
	assert_int_equal(offsetof(struct kfdsvm_request, result), 64);
	assert_int_equal(offsetof(struct kfdsvm_completion, page_out_len), 56);
	assert_int_equal(offsetof(struct kfdsvm_record, result), 48);
	assert_int_equal(offsetof(struct kfdsvm_event, comm), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_are_those_of_the_kernel),
		cmocka_unit_test(events_are_those_of_the_kernel),
		cmocka_unit_test(public_structures_keep_their_size),
	};

	return cmocka_run_group_tests_name("shim_abi", tests, NULL, NULL);
}
