/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One call of fault or snapshot, and the two ways to look at the page table.
 */
#ifndef _HMM_MIRROR_WALK_H
#define _HMM_MIRROR_WALK_H

#include "leaves.h"

#include <linux/hmm_mirror.h>
#include <linux/mm.h>

#define HMM_MIRROR_PIECE_NPAGES	512UL
#define HMM_MIRROR_PIECE_LEN	(HMM_MIRROR_PIECE_NPAGES << PAGE_SHIFT)
#define HMM_MIRROR_FEW_NPAGES	16

/**
 * struct hmm_mirror_walk - one call of fault or snapshot
 * @range: the range
 * @asked: what the caller asks for where
 * @req: of the span at hand: HMM_MIRROR_REQ_*, 0 for a snapshot
 * @start_va: where the call begins
 * @end_va: where the range ends
 * @pass_end_va: where the current pass ends
 * @sink: what the current pass has found
 * @classes: what it knows of the memory
 * @seq: sequence the current pass began with
 * @pfns: bounce buffer for hmm_range_fault(), HMM_MIRROR_PIECE_NPAGES entries
 * @faulted_va: how far pages have been faulted in, in all passes
 * @has_gaps: something was missing, and what follows is set
 * @piece_len: longest piece to try next
 * @probed_va: page that get_user_pages() found in order last
 * @tried_va: page that was faulted in alone last, to see what comes with it
 * @asked_va: where the gap began that was faulted in last
 * @failed_va: the page behind it that could not be, or 0
 */
struct hmm_mirror_walk {
	struct hmm_mirror_range *range;
	const struct hmm_mirror_req *asked;
	unsigned int req;
	unsigned long start_va;
	unsigned long end_va;
	unsigned long pass_end_va;
	struct hmm_mirror_sink sink;
	struct hmm_mirror_classes classes;
	unsigned long seq;
	unsigned long *pfns;
	unsigned long faulted_va;
	bool has_gaps;
	unsigned long piece_len;
	unsigned long probed_va;
	unsigned long tried_va;
	unsigned long asked_va;
	unsigned long failed_va;
};

/*
 * A shadow stack may be written by CALL only, yet its entries count as writable for
 * the kernel: keep devices away.
 */
static inline bool hmm_mirror_vma_writable(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & VM_WRITE) && !(vma->vm_flags & VM_SHADOW_STACK);
}

/* What the request comes to in a VMA: 0, HMM_MIRROR_REQ_READ or _WRITE. */
static inline unsigned int
hmm_mirror_vma_req(const struct hmm_mirror_walk *walk,
		   const struct vm_area_struct *vma)
{
	if (walk->req != HMM_MIRROR_REQ_WRITE_IF_VMA)
		return walk->req;
	return hmm_mirror_vma_writable(vma) ? HMM_MIRROR_REQ_WRITE :
					      HMM_MIRROR_REQ_READ;
}

/* Most passes come across nothing that is missing. */
static inline void hmm_mirror_meet_gap(struct hmm_mirror_walk *walk)
{
	if (walk->has_gaps)
		return;
	walk->has_gaps = true;
	walk->piece_len = HMM_MIRROR_PIECE_LEN;
	walk->probed_va = ULONG_MAX;
	walk->tried_va = ULONG_MAX;
	walk->asked_va = ULONG_MAX;
	walk->failed_va = 0;
}

/* device.c */
extern unsigned long hmm_mirror_ram_sections[];

/* fault_in.c */
bool hmm_mirror_must_fault_in(const struct hmm_mirror_walk *walk,
			      const struct vm_area_struct *vma);
int hmm_mirror_fault_in(struct hmm_mirror_walk *walk,
			const struct vm_area_struct *vma, unsigned long *va,
			unsigned long end_va);

/* walk_kernel.c */
int hmm_mirror_walk_kernel(struct hmm_mirror_walk *walk,
			   const struct vm_area_struct *vma, unsigned long end_va);

/* walk_extent.c */
int hmm_mirror_walk_extent(struct hmm_mirror_walk *walk,
			   const struct vm_area_struct *vma, unsigned long end_va);

#endif /* _HMM_MIRROR_WALK_H */
