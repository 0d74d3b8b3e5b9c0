/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where memory is to be, and how a GPU reaches it where it is. Pure logic.
 */
#ifndef _KFD_SVM_PLACE_H
#define _KFD_SVM_PLACE_H

#include <linux/kfdsvm_seam.h>
#include <linux/kfd_svm_backend.h>

#include "kfd_svm_attrs.h"
#include "kfd_svm_extents.h"
#include "kfd_svm_policy.h"

/* A page that was pulled back this often, each time so soon, makes its block stay. */
#define KFD_SVM_THRASH_PULLS	4
#define KFD_SVM_THRASH_SOON_MS	1000

/* For how long: the first time, and at most. */
#define KFD_SVM_THRASH_HOLD_MS		1000
#define KFD_SVM_THRASH_HOLD_MAX_MS	8000

/**
 * struct kfd_svm_links - what the GPUs of a process can do with each other's VRAM
 * @with_vram: GPUs that memory can migrate to, bits by index
 * @reach: by GPU: those whose VRAM it can map, itself included
 */
struct kfd_svm_links {
	u64 with_vram;
	u64 reach[64];
};

/**
 * enum kfd_svm_target_kind - what is to be done with memory
 * @KFD_SVM_TARGET_STAY: leave it where it is
 * @KFD_SVM_TARGET_RAM: move it to RAM
 * @KFD_SVM_TARGET_VRAM: move it to the VRAM of a GPU
 */
enum kfd_svm_target_kind {
	KFD_SVM_TARGET_STAY,
	KFD_SVM_TARGET_RAM,
	KFD_SVM_TARGET_VRAM,
};

/**
 * enum kfd_svm_cause - why
 * @KFD_SVM_CAUSE_PREFERRED: it is the preferred location
 * @KFD_SVM_CAUSE_ACCESS: a GPU with ACCESS wants it
 * @KFD_SVM_CAUSE_IN_PLACE: a GPU with ACCESS_IN_PLACE takes it where it is
 * @KFD_SVM_CAUSE_NO_VRAM: the GPU has none that memory can migrate to
 * @KFD_SVM_CAUSE_HELD: it moved to and fro too often
 * @KFD_SVM_CAUSE_SHARED: GPUs without a link want it at the same time
 * @KFD_SVM_CAUSE_PREFETCH: a prefetch says so
 * @KFD_SVM_CAUSE_PREFETCH_SHARED: a prefetch, but a GPU without a link needs it, too
 * @KFD_SVM_CAUSE_OUT_OF_REACH: a GPU that is to map it cannot do so where it is
 */
enum kfd_svm_cause {
	KFD_SVM_CAUSE_PREFERRED,
	KFD_SVM_CAUSE_ACCESS,
	KFD_SVM_CAUSE_IN_PLACE,
	KFD_SVM_CAUSE_NO_VRAM,
	KFD_SVM_CAUSE_HELD,
	KFD_SVM_CAUSE_SHARED,
	KFD_SVM_CAUSE_PREFETCH,
	KFD_SVM_CAUSE_PREFETCH_SHARED,
	KFD_SVM_CAUSE_OUT_OF_REACH,
};

/**
 * struct kfd_svm_target - where memory is to be
 * @kind: what is to be done
 * @gpu: whose VRAM
 * @cause: why
 */
struct kfd_svm_target {
	enum kfd_svm_target_kind kind;
	unsigned int gpu;
	enum kfd_svm_cause cause;
};

/* No GPU of the process. */
#define KFD_SVM_NO_GPU	(-1)

enum kfd_svm_place kfd_svm_place_of(const struct kfd_svm_links *links,
				    unsigned int gpu, int owner, bool coherent);
struct kfd_svm_target
kfd_svm_place_for_fault(const struct kfd_svm_links *links,
			const struct kfd_svm_attr *attr, int preferred_gpu,
			unsigned int gpu, u64 gpus, bool held);
struct kfd_svm_target
kfd_svm_place_for_prefetch(const struct kfd_svm_links *links,
			   const struct kfd_svm_attr *attr, int gpu, bool xnack);

/**
 * struct kfd_svm_thrash - memory of a block that moves to and fro
 * @came: pages that GPU faults have brought to VRAM, or are about to, and that nobody was
 *	seen to take
 * @low: how often a page was pulled back soon, bit 0
 * @high: bit 1
 * @gpu: where pages came to last
 * @coming: a fault is being served: whoever pulls now is too early
 * @came_ms: when the last one was served
 * @held_until_ms: till then the block stays where it is
 * @nr_holds: times it was held with no rest in between
 *
 * It counts by page: a block may have many windows, and each may be wanted once by
 * either side.
 */
struct kfd_svm_thrash {
	DECLARE_BITMAP(came, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(low, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(high, KFD_SVM_BLOCK_PAGES);
	unsigned int gpu;
	bool coming;
	u64 came_ms;
	u64 held_until_ms;
	unsigned int nr_holds;
};

bool kfd_svm_thrash_coming(struct kfd_svm_thrash *thrash, unsigned int gpu,
			   unsigned int first, unsigned int last, u64 now_ms);
void kfd_svm_thrash_came(struct kfd_svm_thrash *thrash, u64 now_ms);
bool kfd_svm_thrash_pulled(struct kfd_svm_thrash *thrash, unsigned int first,
			   unsigned int last, u64 now_ms);
bool kfd_svm_thrash_is_held(const struct kfd_svm_thrash *thrash, u64 now_ms);
bool kfd_svm_thrash_is_warm(const struct kfd_svm_thrash *thrash, u64 now_ms);
void kfd_svm_thrash_forget(struct kfd_svm_thrash *thrash, unsigned int first,
			   unsigned int last);

#endif /* _KFD_SVM_PLACE_H */
