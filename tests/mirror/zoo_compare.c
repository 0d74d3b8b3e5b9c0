// SPDX-License-Identifier: GPL-2.0-only
/*
 * A snapshot with either walk, hmm_range_fault() at the same moment, and what pagemap and
 * smaps say: all must agree about every page.
 */
#include "zoo_mirror.h"

#define NWINDOWS	12

/* The error a page has because of its VMA, whatever is asked for; 0: none. */
static int vma_errno(const struct zoo_vma *vma)
{
	if (!vma || vma->io || vma->pfnmap || vma->mixedmap)
		return EFAULT;
	return vma->read ? 0 : EPERM;
}

static void mismatch(const char *va, size_t page, const char *what,
		     const struct zoo_page *ours, const struct zoo_page *theirs)
{
	hmt_fail(__FILE__, __LINE__, "page %zu at %p: %s differs: ours %s, theirs %s", page,
		 (void *)(va + page * ZPAGE), what, zoo_page_text(ours),
		 zoo_page_text(theirs));
}

static void compare_page(const char *va, size_t i, const struct zoo_page *ours,
			 const struct zoo_page *kernel, const struct zoo_vma *vma)
{
	bool hugetlb = vma && strstr(vma->flags, " ht ");
	int err = vma_errno(vma);

	if (err) {
		if (!ours->error || ours->err != err)
			mismatch(va, i, vma ? "error for the VMA" : "error without a VMA",
				 ours, kernel);
		/* The kernel's function lets VM_MIXEDMAP through, we do not. */
		if (!kernel->error && !vma->mixedmap)
			mismatch(va, i, "error", ours, kernel);
		return;
	}
	if (ours->error != kernel->error)
		mismatch(va, i, "error", ours, kernel);
	if (ours->valid != kernel->valid)
		mismatch(va, i, "presence", ours, kernel);
	if (!ours->valid)
		return;
	if (ours->pfn != kernel->pfn)
		mismatch(va, i, "pfn", ours, kernel);
	/* Shadow stacks: writable for the kernel's function, not for devices. */
	if (ours->write != (kernel->write && !vma->shadow_stack))
		mismatch(va, i, "write", ours, kernel);
	if (ours->huge != kernel->huge)
		mismatch(va, i, "huge", ours, kernel);
	if (ours->hugetlb != hugetlb)
		mismatch(va, i, "hugetlb", ours, kernel);
	if (ours->zero && ours->write)
		mismatch(va, i, "writable zero page", ours, kernel);
}

void zoo_compare_pages(const char *va, size_t npages, const struct zoo_page *ours,
		       const struct zoo_page *kernel, const struct zoo_vma *vmas,
		       size_t nvmas)
{
	const struct zoo_vma *vma = NULL;

	for (size_t i = 0; i < npages; i++) {
		unsigned long addr = (uintptr_t)va + i * ZPAGE;

		if (!vma || addr < vma->start || addr >= vma->end)
			vma = zoo_vma_at(vmas, nvmas, (char *)addr);
		compare_page(va, i, &ours[i], &kernel[i], vma);
	}
}

/*
 * The third witness. It cannot tell a page that NUMA balancing took away from one that is
 * there, nor from one that mprotect() did: there the views are believed.
 */
static void compare_with_pagemap(const char *va, size_t npages,
				 const struct zoo_page *ours, const uint64_t *entries,
				 bool may_be_inaccessible)
{
	for (size_t i = 0; i < npages; i++) {
		bool present = entries[i] & ZPM_PRESENT;
		struct zoo_page theirs = { .valid = present };

		theirs.pfn = present ? entries[i] & ZPM_PFN : 0;
		/* Private memory of a device looks swapped out. */
		if (ours[i].error || (ours[i].private && !present))
			continue;
		if (ours[i].valid != present && !(present && may_be_inaccessible))
			mismatch(va, i, "presence in pagemap", &ours[i], &theirs);
		if (!ours[i].valid)
			continue;
		if (ours[i].pfn != theirs.pfn)
			mismatch(va, i, "pfn in pagemap", &ours[i], &theirs);
		/* A flag of ours with a meaning in kpageflags, too. */
		if (ours[i].zero && !(zoo_pfn_flags(theirs.pfn) & ZKPF_ZERO_PAGE))
			mismatch(va, i, "zero page in kpageflags", &ours[i], &theirs);
	}
}

/* The zero page of 4 KiB must be told, or a client would map it page by page. */
static void expect_zero_pages(const char *va, size_t npages, const struct zoo_page *ours)
{
	for (size_t i = 0; i < npages; i++)
		if (ours[i].valid && !ours[i].huge && !ours[i].zero && !ours[i].device &&
		    (zoo_pfn_flags(ours[i].pfn) & ZKPF_ZERO_PAGE) &&
		    !(zoo_pfn_flags(ours[i].pfn) & ZKPF_THP))
			hmt_fail(__FILE__, __LINE__, "page %zu at %p: zero page not told: %s",
				 i, (void *)(va + i * ZPAGE), zoo_page_text(&ours[i]));
}

/* A snapshot changes nothing. */
static void expect_same(const char *va, size_t npages, const uint64_t *before,
			const uint64_t *after)
{
	for (size_t i = 0; i < npages; i++)
		hmt_check_that(before[i] == after[i],
			       "page %zu at %p: pagemap %#llx before, %#llx after", i,
			       (void *)(va + i * ZPAGE), (unsigned long long)before[i],
			       (unsigned long long)after[i]);
}

/*
 * What the kernel's function is known to say otherwise of huge pages in private memory. Of
 * somebody else's: an error, where a fault would provide them and 4 KiB pages are holes. Of
 * the client's, when it begins within one: the pfns of its first pages. That ours are right
 * is for others to show, who ask the device.
 */
static void correct_kernel(const char *va, size_t npages, const struct zoo_page *ours,
			   struct zoo_page *kernel)
{
	for (size_t i = 0; i < npages; i++) {
		size_t in_huge = ((uintptr_t)va / ZPAGE + i) % ZHUGE_NPAGES;

		if (kernel[i].error && !kernel[i].err && !ours[i].error)
			kernel[i].error = false;
		if (ours[i].private && kernel[i].huge)
			kernel[i].pfn = kernel[i].pfn / ZHUGE_NPAGES * ZHUGE_NPAGES +
					in_huge;
	}
}

static void compare_window(int fd, const char *va, size_t npages, unsigned int per_call,
			   const struct zoo_kind *kind, const struct zoo_vma *vmas,
			   size_t nvmas)
{
	struct zoo_page *ours = calloc(npages, sizeof(*ours));
	struct zoo_page *kernel = calloc(npages, sizeof(*kernel));
	uint64_t *before = calloc(npages, sizeof(*before));
	uint64_t *after = calloc(npages, sizeof(*after));

	hmt_check(ours && kernel && before && after);
	zoo_pagemaps(va, npages, before);
	zoo_snapshot(fd, va, npages, per_call, ours, kernel);
	zoo_pagemaps(va, npages, after);
	if (kind->flags & ZOO_DEVICE)
		correct_kernel(va, npages, ours, kernel);
	zoo_compare_pages(va, npages, ours, kernel, vmas, nvmas);
	if (!(kind->flags & ZOO_UNSTABLE)) {
		expect_same(va, npages, before, after);
		compare_with_pagemap(va, npages, ours, after,
				     kind->flags & ZOO_PAGES_MOVE);
		expect_zero_pages(va, npages, ours);
	}
	free(ours);
	free(kernel);
	free(before);
	free(after);
}

/* Edges anywhere: at table borders, next to them, and where chance has it. */
static void random_window(const struct zoo *z, size_t *first, size_t *npages)
{
	size_t max = z->npages < 2000 ? z->npages : 2000;

	*npages = 1 + hmt_random_below(max);
	*first = hmt_random_below(z->npages - *npages + 1);
	if (hmt_random_below(3) == 0 && *first > ZHUGE_NPAGES)
		*first -= *first % ZHUGE_NPAGES - hmt_random_below(2);
	if (*first + *npages > z->npages)
		*npages = z->npages - *first;
}

void zoo_compare(int fd, const struct zoo *z, const struct zoo_kind *kind)
{
	static const unsigned int sizes[] = { 256, 1, 2, 7 };
	bool slow = kind->flags & ZOO_SLOW;
	size_t first, npages, nvmas;
	struct zoo_vma *vmas;

	nvmas = zoo_vmas(&vmas);
	compare_window(fd, z->va, z->npages, 256, kind, vmas, nvmas);
	if (!slow)
		compare_window(fd, z->va, z->npages, 7, kind, vmas, nvmas);
	for (int i = 0; i < NWINDOWS; i++) {
		random_window(z, &first, &npages);
		compare_window(fd, z->va + first * ZPAGE, npages,
			       sizes[(size_t)i % HMT_COUNT(sizes)], kind, vmas, nvmas);
	}
	free(vmas);
}
