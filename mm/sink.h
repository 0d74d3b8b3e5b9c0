/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a walk puts what it finds: a buffer of extents that grows at its end.
 */
#ifndef _HMM_MIRROR_SINK_H
#define _HMM_MIRROR_SINK_H

#include <linux/hmm_mirror_extent.h>

/**
 * struct hmm_mirror_sink - a buffer being filled
 * @exts: the buffer
 * @nr: extents in it
 * @nr_max: its size
 * @full: something found no room
 * @va: first byte that is not covered yet; what is added lies there
 */
struct hmm_mirror_sink {
	struct hmm_mirror_extent *exts;
	unsigned int nr;
	unsigned int nr_max;
	bool full;
	unsigned long va;
};

void hmm_mirror_sink_add(struct hmm_mirror_sink *sink, unsigned int flags,
			 unsigned long pfn, unsigned long npages);

#endif /* _HMM_MIRROR_SINK_H */
