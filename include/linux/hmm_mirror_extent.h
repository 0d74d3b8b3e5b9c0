/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a walk of the CPU's page table produces; see <linux/hmm_mirror.h>. Apart from
 * it because it compiles in user space, too.
 */
#ifndef _LINUX_HMM_MIRROR_EXTENT_H
#define _LINUX_HMM_MIRROR_EXTENT_H

#include <linux/kfdsvm_seam.h>

/* Bits 0..11 of &struct hmm_mirror_extent.va_flags. */
#define HMM_MIRROR_EXT_VALID	BIT_ULL(0) /* pfn is present and readable */
#define HMM_MIRROR_EXT_WRITE	BIT_ULL(1) /* and writable */
#define HMM_MIRROR_EXT_DIRTY	BIT_ULL(2) /* every CPU entry was dirty */
#define HMM_MIRROR_EXT_HUGE	BIT_ULL(3) /* every page is in a huge CPU leaf */
#define HMM_MIRROR_EXT_DEVICE	BIT_ULL(4) /* ZONE_DEVICE memory */
#define HMM_MIRROR_EXT_ERROR	BIT_ULL(5) /* cannot be had; pfn holds an errno */
#define HMM_MIRROR_EXT_ZERO	BIT_ULL(6) /* the zero page: one page, read-only */
#define HMM_MIRROR_EXT_PRIVATE	BIT_ULL(7) /* the client's own, not for the CPU */
#define HMM_MIRROR_EXT_HUGETLB	BIT_ULL(8) /* the VMA is hugetlbfs's */
#define HMM_MIRROR_EXT_FLAGS	GENMASK_ULL(11, 0)

/**
 * struct hmm_mirror_extent - a run of pages that look alike
 * @va_flags: address of the first page, HMM_MIRROR_EXT_* in the low 12 bits
 * @pfn_npages: pfn of the first page (bits 39:0), number of pages (63:40)
 *
 * VALID: consecutive pages of memory, never RAM and ZONE_DEVICE in one, and of one
 * device. ERROR: the errno (positive) stands in the place of the pfn: EFAULT no VMA
 * or special memory, EPERM no permission, EHWPOISON. Neither: a hole, nothing is
 * mapped there.
 *
 * What kind of memory it is: VALID alone is RAM in CPU pages of 4 KiB, with HUGE in
 * transparent huge pages, with HUGE and HUGETLB in those of hugetlbfs. ZERO is the
 * page of zeros that all share; a huge one is not told from RAM. PRIVATE comes with
 * DEVICE and means memory whose pgmap belongs to ops->owner and that only the device
 * can reach: its pfn must not be mapped for DMA. For the rest of DEVICE see
 * hmm_mirror_extent_device().
 *
 * DIRTY is a promise, its absence means nothing: pages that had to be faulted in are
 * reported without.
 */
struct hmm_mirror_extent {
	u64 va_flags;
	u64 pfn_npages;
};

#define HMM_MIRROR_EXT_PFN	GENMASK_ULL(39, 0)
#define HMM_MIRROR_EXT_NPAGES	GENMASK_ULL(63, 40)

static inline unsigned long
hmm_mirror_extent_va(const struct hmm_mirror_extent *ext)
{
	return ext->va_flags & ~HMM_MIRROR_EXT_FLAGS;
}

static inline unsigned int
hmm_mirror_extent_flags(const struct hmm_mirror_extent *ext)
{
	return ext->va_flags & HMM_MIRROR_EXT_FLAGS;
}

static inline unsigned long
hmm_mirror_extent_pfn(const struct hmm_mirror_extent *ext)
{
	return FIELD_GET(HMM_MIRROR_EXT_PFN, ext->pfn_npages);
}

static inline unsigned long
hmm_mirror_extent_npages(const struct hmm_mirror_extent *ext)
{
	return FIELD_GET(HMM_MIRROR_EXT_NPAGES, ext->pfn_npages);
}

#endif /* _LINUX_HMM_MIRROR_EXTENT_H */
