// SPDX-License-Identifier: GPL-2.0-only
/* The seam's allocator: counts what is live and fails on request. */
#include <linux/kfdsvm_seam.h>

long seam_alloc_fail_after = -1;
long seam_alloc_live;

void *seam_alloc(size_t size)
{
	void *ptr;

	if (seam_alloc_fail_after == 0)
		return NULL;
	if (seam_alloc_fail_after > 0)
		seam_alloc_fail_after--;
	ptr = calloc(1, size ? size : 1);
	if (ptr)
		seam_alloc_live++;
	return ptr;
}

void seam_free(const void *ptr)
{
	if (!ptr)
		return;
	seam_alloc_live--;
	free((void *)ptr);
}
