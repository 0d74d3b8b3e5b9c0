/* SPDX-License-Identifier: MIT */
/*
 * The few calls of /dev/kfd besides SVM that this library makes. Numbers and
 * layouts are those of <linux/kfd_ioctl.h>, which cannot be included: it needs
 * <drm/drm.h>, and distributions keep that with libdrm in a folder of its own.
 * tests/unit/test_shim_abi.c compares.
 */
#ifndef KFDSVM_KFD_H
#define KFDSVM_KFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct kfd_version_args {
	__u32 major;
	__u32 minor;
};

struct kfd_acquire_vm_args {
	__u32 drm_fd;
	__u32 gpu_id;
};

struct kfd_apertures {
	__u64 lds_base;
	__u64 lds_limit;
	__u64 scratch_base;
	__u64 scratch_limit;
	__u64 gpuvm_base;
	__u64 gpuvm_limit;
	__u32 gpu_id;
	__u32 pad;
};

/* @napertures: in: room at @apertures; out: filled. */
struct kfd_apertures_args {
	__u64 apertures;
	__u32 napertures;
	__u32 pad;
};

struct kfd_smi_args {
	__u32 gpu_id;
	__u32 fd;
};

#define KFD_IOC_VERSION		_IOR('K', 0x01, struct kfd_version_args)
#define KFD_IOC_APERTURES	_IOWR('K', 0x14, struct kfd_apertures_args)
#define KFD_IOC_ACQUIRE_VM	_IOW('K', 0x15, struct kfd_acquire_vm_args)
#define KFD_IOC_SMI_EVENTS	_IOWR('K', 0x1f, struct kfd_smi_args)

#endif
