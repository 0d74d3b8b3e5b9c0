/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decisions that follow from attributes alone. Pure logic.
 */
#ifndef _KFD_SVM_POLICY_H
#define _KFD_SVM_POLICY_H

#include <linux/hmm_mirror_extent.h>
#include <linux/kfdsvm_seam.h>
#include <linux/kfd_svm_backend.h>

#include "kfd_svm_attrs.h"
#include "kfd_svm_extents.h"

/* Back-off of a block whose memory cannot be had for the moment. */
#define KFD_SVM_BACKOFF_MIN_MS	1
#define KFD_SVM_BACKOFF_MAX_MS	1000

/* One fault maps 64 MiB at most, whatever the granularity says. */
#define KFD_SVM_MAX_WINDOW_LG2	14

#define KFD_SVM_GC(major, minor, rev) \
	((u32)(major) << 16 | (u32)(minor) << 8 | (u32)(rev))

/**
 * enum kfd_svm_place - where memory is, as seen from a GPU
 * @KFD_SVM_PLACE_LOCAL: its own VRAM
 * @KFD_SVM_PLACE_REMOTE: the VRAM of another GPU of its hive
 * @KFD_SVM_PLACE_SYSTEM: system memory, or memory it reaches in the same way
 * @KFD_SVM_PLACE_NEAR: system memory of its own NUMA node; an APU's
 * @KFD_SVM_PLACE_NEEDS_RAM: out of its reach; to be mapped it has to go to RAM
 */
enum kfd_svm_place {
	KFD_SVM_PLACE_LOCAL,
	KFD_SVM_PLACE_REMOTE,
	KFD_SVM_PLACE_SYSTEM,
	KFD_SVM_PLACE_NEAR,
	KFD_SVM_PLACE_NEEDS_RAM,
};

u32 kfd_svm_policy_pte(u32 gc_version, u32 gc_traits, enum kfd_svm_place place,
		       u32 flags, bool cpu_writable);
u64 kfd_svm_policy_eager(const struct kfd_svm_attr *attr, bool xnack);
u64 kfd_svm_policy_resident(const struct kfd_svm_attr *attr, bool xnack);
enum kfd_svm_fault_outcome
kfd_svm_policy_fault(const struct kfd_svm_attr *attr, unsigned int gpu,
		     bool write);
void kfd_svm_policy_window(unsigned long page, u32 granularity,
			   unsigned long *first, unsigned long *last);
void kfd_svm_policy_write_around(const unsigned long *written,
				 unsigned long *wanted);
bool kfd_svm_policy_write_along(unsigned int ext_flags, bool anonymous);
unsigned int kfd_svm_policy_backoff_ms(unsigned int failures);

#endif /* _KFD_SVM_POLICY_H */
