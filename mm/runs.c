// SPDX-License-Identifier: GPL-2.0-only
/*
 * Joining pages to be copied. Pure: compiles in user space.
 */
#include <linux/kfdsvm_seam.h>

#include "runs.h"

static bool can_join(const struct hmm_mirror_copy *last, u64 dev_addr, u64 other)
{
	return last->dev_addr + last->len == dev_addr &&
	       last->other + last->len == other;
}

/**
 * hmm_mirror_runs_add - more to be copied
 * @runs: the list, with room for one more
 * @dev_addr: byte in the device's memory
 * @other: where the other side is
 * @len: bytes
 *
 * Grows the last run if both sides go on where it ends, else begins a new one.
 */
void hmm_mirror_runs_add(struct hmm_mirror_runs *runs, u64 dev_addr, u64 other,
			 u64 len)
{
	struct hmm_mirror_copy *last = runs->nr ? &runs->runs[runs->nr - 1] : NULL;

	if (last && can_join(last, dev_addr, other)) {
		last->len += len;
		return;
	}
	runs->runs[runs->nr++] = (struct hmm_mirror_copy){
		.dev_addr = dev_addr,
		.other = other,
		.len = len,
	};
}
