// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is to be moved, by a look at the page table before anything is touched.
 *
 * Nothing depends on it but how much memory is set aside and whether anything is done at
 * all: the move itself decides by the pages it finds.
 */
#include "devmem.h"
#include "internal.h"

#define LOOK_NR_EXTENTS	32

static void count_extent(const struct hmm_mirror_extent *ext, void *owner,
			 const struct hmm_mirror_devmem *mem,
			 struct hmm_mirror_window *window)
{
	unsigned long npages = hmm_mirror_extent_npages(ext);
	unsigned int flags = hmm_mirror_extent_flags(ext);
	const struct hmm_mirror_devmem *at = NULL;

	if (flags & HMM_MIRROR_EXT_DEVICE)
		at = hmm_mirror_devmem_of_pfn(hmm_mirror_extent_pfn(ext), owner);
	if (at)
		window->nr_owned += npages;
	if (flags & HMM_MIRROR_EXT_ERROR)
		window->nr_errors += npages;
	else if (!(flags & HMM_MIRROR_EXT_VALID))
		window->nr_holes += npages;
	else if (at == mem)
		window->nr_there += npages;
}

/**
 * hmm_mirror_window_look - where the pages of a window are
 * @mirror: of the process
 * @first_va: first byte
 * @last_va: last byte of a page
 * @mem: where they should be, NULL: RAM
 * @req: 0, or HMM_MIRROR_REQ_READ to have pages that are swapped out come in
 * @window: how many are where
 *
 * Context: as hmm_mirror_range_fault().
 *
 * Return: as hmm_mirror_range_register() and hmm_mirror_range_fault().
 */
int hmm_mirror_window_look(struct hmm_mirror *mirror, unsigned long first_va,
			   unsigned long last_va, struct hmm_mirror_devmem *mem,
			   unsigned int req, struct hmm_mirror_window *window)
{
	const struct hmm_mirror_req asked = { .default_req = req };
	struct hmm_mirror_extent exts[LOOK_NR_EXTENTS];
	struct hmm_mirror_cursor cursor = {
		.extents = exts,
		.nr_max = LOOK_NR_EXTENTS,
		.next_va = first_va,
	};
	struct hmm_mirror_range range;
	unsigned int i;
	int err;

	memset(window, 0, sizeof(*window));
	window->npages = (last_va + 1 - first_va) >> PAGE_SHIFT;
	err = hmm_mirror_range_register(&range, mirror, first_va, last_va);
	if (err)
		return err;
	while (!err && cursor.next_va <= last_va) {
		err = hmm_mirror_range_fault(&range, &cursor, &asked);
		for (i = 0; i < cursor.nr; i++)
			count_extent(&exts[i], mirror->ops->owner, mem, window);
	}
	hmm_mirror_range_unregister(&range);
	return err;
}
