/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is to be copied, as runs of consecutive pages on both sides.
 */
#ifndef _HMM_MIRROR_RUNS_H
#define _HMM_MIRROR_RUNS_H

#include <linux/hmm_mirror_copy.h>

/**
 * struct hmm_mirror_runs - a list of runs being built
 * @runs: the buffer; as many as there are pages suffice
 * @nr: runs in it
 */
struct hmm_mirror_runs {
	struct hmm_mirror_copy *runs;
	unsigned int nr;
};

void hmm_mirror_runs_add(struct hmm_mirror_runs *runs, u64 dev_addr, u64 other,
			 u64 len);

#endif /* _HMM_MIRROR_RUNS_H */
