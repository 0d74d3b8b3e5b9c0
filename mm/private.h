/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entries of the CPU's page table that are pages of device private memory.
 */
#ifndef _HMM_MIRROR_PRIVATE_H
#define _HMM_MIRROR_PRIVATE_H

#include <linux/pgtable.h>
#include <linux/types.h>

/**
 * struct hmm_mirror_private - a page in device private memory, as an entry shows it
 * @pfn: the page, of a huge entry the first one
 * @write: it may be written
 * @step: how far the entry of the page behind it is from this one; of 4 KiB
 */
struct hmm_mirror_private {
	unsigned long pfn;
	bool write;
	u64 step;
};

/* Elsewhere the kernel's way reads them. */
#if defined(CONFIG_DEVICE_PRIVATE) && defined(HMM_MIRROR_SOFTLEAF)

#include <linux/leafops.h>
#include <linux/swapops.h>

static inline bool hmm_mirror_private_from(struct hmm_mirror_private *page,
					   softleaf_t entry)
{
	if (!softleaf_is_device_private(entry))
		return false;
	page->pfn = softleaf_to_pfn(entry);
	page->write = softleaf_is_device_private_write(entry);
	return true;
}

/* The place of a page in an entry counts in steps of one size. */
static inline u64 hmm_mirror_private_step(softleaf_t entry)
{
	softleaf_t next = swp_entry(swp_type(entry), swp_offset(entry) + 1);

	return native_pte_val(softleaf_to_pte(next)) -
	       native_pte_val(softleaf_to_pte(entry));
}

static inline bool hmm_mirror_private_small(struct hmm_mirror_private *page, u64 value)
{
	softleaf_t entry = softleaf_from_pte(native_make_pte(value));

	if (!hmm_mirror_private_from(page, entry))
		return false;
	page->step = hmm_mirror_private_step(entry);
	return true;
}

static inline bool hmm_mirror_private_huge(struct hmm_mirror_private *page, u64 value)
{
	return hmm_mirror_private_from(page, softleaf_from_pmd(native_make_pmd(value)));
}

#else

static inline bool hmm_mirror_private_small(struct hmm_mirror_private *page, u64 value)
{
	return false;
}

static inline bool hmm_mirror_private_huge(struct hmm_mirror_private *page, u64 value)
{
	return false;
}

#endif

#endif /* _HMM_MIRROR_PRIVATE_H */
