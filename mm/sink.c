// SPDX-License-Identifier: GPL-2.0-only
/*
 * Joining what lies side by side. Pure: compiles in user space.
 */
#include "sink.h"

#define EXT_MAX_NPAGES	((unsigned long)FIELD_MAX(HMM_MIRROR_EXT_NPAGES))
/* Two devices may meet at the border of 2 MiB, never within. */
#define DEVICE_BORDER_NPAGES	512

/* DIRTY is no reason to begin a new extent; the joined one has it if both have. */
static bool can_join(const struct hmm_mirror_extent *last, unsigned long va,
		     unsigned int flags, unsigned long pfn)
{
	unsigned long npages = hmm_mirror_extent_npages(last);

	if ((hmm_mirror_extent_flags(last) ^ flags) & ~HMM_MIRROR_EXT_DIRTY ||
	    hmm_mirror_extent_va(last) + npages * PAGE_SIZE != va ||
	    npages == EXT_MAX_NPAGES)
		return false;
	if (!(flags & HMM_MIRROR_EXT_VALID))
		return hmm_mirror_extent_pfn(last) == pfn;
	if (hmm_mirror_extent_pfn(last) + npages != pfn)
		return false;
	return !(flags & HMM_MIRROR_EXT_DEVICE) || pfn % DEVICE_BORDER_NPAGES;
}

/**
 * hmm_mirror_sink_add - pages at sink->va, which moves behind them
 * @sink: the buffer; covers less and becomes full when there is no room
 * @flags: HMM_MIRROR_EXT_*
 * @pfn: of the first page, or what stands in its place
 * @npages: number of pages
 */
void hmm_mirror_sink_add(struct hmm_mirror_sink *sink, unsigned int flags,
			 unsigned long pfn, unsigned long npages)
{
	struct hmm_mirror_extent *last;
	unsigned long joined, n;

	while (npages) {
		last = sink->nr ? &sink->exts[sink->nr - 1] : NULL;
		if (last && can_join(last, sink->va, flags, pfn)) {
			joined = hmm_mirror_extent_npages(last);
			if (!(flags & HMM_MIRROR_EXT_DIRTY))
				last->va_flags &= ~HMM_MIRROR_EXT_DIRTY;
		} else if (sink->nr < sink->nr_max) {
			last = &sink->exts[sink->nr++];
			last->va_flags = sink->va | flags;
			last->pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN, pfn);
			joined = 0;
		} else {
			sink->full = true;
			return;
		}
		n = min(npages, EXT_MAX_NPAGES - joined);
		last->pfn_npages &= ~HMM_MIRROR_EXT_NPAGES;
		last->pfn_npages |= FIELD_PREP(HMM_MIRROR_EXT_NPAGES, joined + n);
		sink->va += n * PAGE_SIZE;
		npages -= n;
		if (flags & HMM_MIRROR_EXT_VALID)
			pfn += n;
	}
}
