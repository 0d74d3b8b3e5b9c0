// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where memory is to be: see kfd_svm_place.h and Documentation/svm.rst.
 */
#include "kfd_svm_place.h"

static bool can_reach(const struct kfd_svm_links *links, unsigned int gpu,
		      unsigned int owner)
{
	return links->reach[gpu] & BIT_ULL(owner);
}

/*
 * How @gpu maps memory in the VRAM of GPU @owner (KFD_SVM_NO_GPU: one that the process
 * does not have). @coherent: the CPU reaches that VRAM like RAM, so others can by DMA.
 */
enum kfd_svm_place kfd_svm_place_of(const struct kfd_svm_links *links,
				    unsigned int gpu, int owner, bool coherent)
{
	if (owner >= 0 && owner == gpu)
		return KFD_SVM_PLACE_LOCAL;
	if (owner >= 0 && can_reach(links, gpu, owner))
		return KFD_SVM_PLACE_REMOTE;
	return coherent ? KFD_SVM_PLACE_SYSTEM : KFD_SVM_PLACE_NEEDS_RAM;
}

static struct kfd_svm_target target(enum kfd_svm_target_kind kind,
				    unsigned int gpu, enum kfd_svm_cause cause)
{
	return (struct kfd_svm_target){ .kind = kind, .gpu = gpu, .cause = cause };
}

/* All of @gpus can map what is in the VRAM of @owner. */
static bool all_reach(const struct kfd_svm_links *links, u64 gpus,
		      unsigned int owner)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(links->reach); i++)
		if (gpus & BIT_ULL(i) && !can_reach(links, i, owner))
			return false;
	return true;
}

/*
 * XNACK on: @gpu, which has access, faults on memory with @attr; @gpus, it among them,
 * fault on the same window. @preferred_gpu: the preferred location where that is a GPU.
 * @held: the memory has moved too often.
 */
struct kfd_svm_target
kfd_svm_place_for_fault(const struct kfd_svm_links *links,
			const struct kfd_svm_attr *attr, int preferred_gpu,
			unsigned int gpu, u64 gpus, bool held)
{
	enum kfd_svm_cause cause = KFD_SVM_CAUSE_PREFERRED;
	int to = preferred_gpu;

	if (attr->preferred == KFD_SVM_LOC_SYSMEM)
		return target(KFD_SVM_TARGET_RAM, 0, cause);
	if (to < 0 || !(links->with_vram & BIT_ULL(to)) ||
	    !can_reach(links, gpu, to)) {
		if (!(attr->access & BIT_ULL(gpu)))
			return target(KFD_SVM_TARGET_STAY, 0,
				      KFD_SVM_CAUSE_IN_PLACE);
		cause = KFD_SVM_CAUSE_ACCESS;
		to = gpu;
	}
	if (!(links->with_vram & BIT_ULL(to)))
		return target(KFD_SVM_TARGET_STAY, 0, KFD_SVM_CAUSE_NO_VRAM);
	if (held)
		return target(KFD_SVM_TARGET_STAY, 0, KFD_SVM_CAUSE_HELD);
	if (!all_reach(links, gpus, to))
		return target(KFD_SVM_TARGET_STAY, 0, KFD_SVM_CAUSE_SHARED);
	return target(KFD_SVM_TARGET_VRAM, to, cause);
}

/*
 * A prefetch of memory with @attr to @gpu, or to RAM (KFD_SVM_NO_GPU). GPUs that must
 * have it mapped wherever it is, and cannot there, keep it in RAM.
 */
struct kfd_svm_target
kfd_svm_place_for_prefetch(const struct kfd_svm_links *links,
			   const struct kfd_svm_attr *attr, int gpu, bool xnack)
{
	u64 users = attr->in_place;

	if (gpu < 0)
		return target(KFD_SVM_TARGET_RAM, 0, KFD_SVM_CAUSE_PREFETCH);
	if (!(links->with_vram & BIT_ULL(gpu)))
		return target(KFD_SVM_TARGET_RAM, 0, KFD_SVM_CAUSE_NO_VRAM);
	if (!xnack)
		users |= attr->access;
	if (!all_reach(links, users, gpu))
		return target(KFD_SVM_TARGET_RAM, 0,
			      KFD_SVM_CAUSE_PREFETCH_SHARED);
	return target(KFD_SVM_TARGET_VRAM, gpu, KFD_SVM_CAUSE_PREFETCH);
}

static void clear_counts(struct kfd_svm_thrash *thrash, unsigned int first,
			 unsigned int npages)
{
	bitmap_clear(thrash->low, first, npages);
	bitmap_clear(thrash->high, first, npages);
}

static void start_hold(struct kfd_svm_thrash *thrash, u64 now_ms)
{
	u64 hold_ms = min(KFD_SVM_THRASH_HOLD_MS << min(thrash->nr_holds, 10U),
			  KFD_SVM_THRASH_HOLD_MAX_MS);

	thrash->nr_holds++;
	thrash->held_until_ms = now_ms + hold_ms;
	clear_counts(thrash, 0, KFD_SVM_BLOCK_PAGES);
}

/* Count one more for each of @pages. Return: one of them has had enough. */
static bool count_pulls(struct kfd_svm_thrash *thrash, const unsigned long *pages)
{
	DECLARE_BITMAP(carry, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(enough, KFD_SVM_BLOCK_PAGES);

	/* Two bits count to 3; the carry out of them is the pull after that. */
	BUILD_BUG_ON(KFD_SVM_THRASH_PULLS != 4);
	bitmap_and(carry, thrash->low, pages, KFD_SVM_BLOCK_PAGES);
	bitmap_xor(thrash->low, thrash->low, pages, KFD_SVM_BLOCK_PAGES);
	bitmap_and(enough, thrash->high, carry, KFD_SVM_BLOCK_PAGES);
	bitmap_xor(thrash->high, thrash->high, carry, KFD_SVM_BLOCK_PAGES);
	return !bitmap_empty(enough, KFD_SVM_BLOCK_PAGES);
}

/*
 * Somebody has pulled first..last out of VRAM: the CPU by touching it, another GPU, or
 * a need of memory. What lay there for a while had its use of the move.
 * Return: from now on the block is held.
 */
bool kfd_svm_thrash_pulled(struct kfd_svm_thrash *thrash, unsigned int first,
			   unsigned int last, u64 now_ms)
{
	DECLARE_BITMAP(pulled, KFD_SVM_BLOCK_PAGES);
	unsigned int npages = last - first + 1;

	bitmap_zero(pulled, KFD_SVM_BLOCK_PAGES);
	bitmap_set(pulled, first, npages);
	bitmap_and(pulled, pulled, thrash->came, KFD_SVM_BLOCK_PAGES);
	if (bitmap_empty(pulled, KFD_SVM_BLOCK_PAGES))
		return false;
	bitmap_clear(thrash->came, first, npages);
	if (!thrash->coming &&
	    now_ms - thrash->came_ms > KFD_SVM_THRASH_SOON_MS) {
		clear_counts(thrash, first, npages);
		thrash->nr_holds = 0;
		return false;
	}
	if (!count_pulls(thrash, pulled))
		return false;
	start_hold(thrash, now_ms);
	return true;
}

/*
 * A fault of @gpu is about to bring first..last to VRAM. To be said before, since the CPU
 * may pull the first page while the last has not come. Return: what lay in another GPU's
 * is pulled out of that, and from now on the block is held.
 */
bool kfd_svm_thrash_coming(struct kfd_svm_thrash *thrash, unsigned int gpu,
			   unsigned int first, unsigned int last, u64 now_ms)
{
	bool held = false;

	if (thrash->gpu != gpu)
		held = kfd_svm_thrash_pulled(thrash, first, last, now_ms);
	thrash->gpu = gpu;
	thrash->coming = true;
	bitmap_set(thrash->came, first, last - first + 1);
	return held;
}

/* The fault was served: from now on the GPU can use what it asked for. */
void kfd_svm_thrash_came(struct kfd_svm_thrash *thrash, u64 now_ms)
{
	if (thrash->coming)
		thrash->came_ms = now_ms;
	thrash->coming = false;
}

bool kfd_svm_thrash_is_held(const struct kfd_svm_thrash *thrash, u64 now_ms)
{
	return now_ms < thrash->held_until_ms;
}

/*
 * Would anything be lost if it were forgotten, with all pages out of VRAM? Who has pulled
 * those that came last may not have been counted yet.
 */
bool kfd_svm_thrash_is_warm(const struct kfd_svm_thrash *thrash, u64 now_ms)
{
	if (kfd_svm_thrash_is_held(thrash, now_ms))
		return true;
	if (now_ms - max(thrash->came_ms, thrash->held_until_ms) >
	    2 * KFD_SVM_THRASH_SOON_MS)
		return false;
	return thrash->nr_holds ||
	       !bitmap_empty(thrash->came, KFD_SVM_BLOCK_PAGES) ||
	       !bitmap_empty(thrash->low, KFD_SVM_BLOCK_PAGES) ||
	       !bitmap_empty(thrash->high, KFD_SVM_BLOCK_PAGES);
}

/* first..last is other memory now, or somebody has said where it is to be. */
void kfd_svm_thrash_forget(struct kfd_svm_thrash *thrash, unsigned int first,
			   unsigned int last)
{
	bitmap_clear(thrash->came, first, last - first + 1);
	clear_counts(thrash, first, last - first + 1);
	thrash->held_until_ms = 0;
	thrash->nr_holds = 0;
}
