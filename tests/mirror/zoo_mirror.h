/* SPDX-License-Identifier: GPL-2.0-only */
/* The mirror as the zoo uses it: pages instead of extents, one client per child. */
#ifndef ZOO_MIRROR_H
#define ZOO_MIRROR_H

#include "zoo.h"

/* One page of a view. @err: of an error extent, positive; 0 if the view does not say. */
struct zoo_page {
	uint64_t pfn;
	bool valid, write, error;
	bool dirty, huge, zero, device, private, hugetlb;
	int err;
	unsigned int order;	/* the kernel's view only */
};

extern const unsigned int zoo_hmt_req[ZOO_NR_REQS];

/* A client whose own device memory is that of the window's owner. */
int zoo_open(const struct zoo *z);

/* Which walk the module uses: "kernel" or "extent". False: it knows only one. */
bool zoo_set_walk(const char *walk);
extern const char *const zoo_walks[2];

/*
 * The span at one moment, without faulting. @per_call: extents in the cursor. Returns how
 * many extents it took. @kernel may be NULL.
 */
size_t zoo_snapshot(int fd, const char *va, size_t npages, unsigned int per_call,
		    struct zoo_page *ours, struct zoo_page *kernel);
/* Faults all of the span; 0 or -errno with @pages as far as it came. */
int zoo_fault(int fd, const char *va, size_t npages, enum zoo_req req,
	      unsigned int per_call, struct zoo_page *pages);

/*
 * Pages of a span that begins at @first. The extents must follow each other from @va on;
 * returns the address behind them.
 */
const char *zoo_expand(const struct hmt_extent *ext, size_t nr, const char *first,
		       const char *va, size_t npages, struct zoo_page *pages);

/* "valid write pfn 0x123 huge", in a buffer of the function, of which it has a few. */
const char *zoo_page_text(const struct zoo_page *page);

/* Compares both views of the window, whole and in pieces. */
void zoo_compare(int fd, const struct zoo *z, const struct zoo_kind *kind);
/* Both views of one span, as they were taken. */
void zoo_compare_pages(const char *va, size_t npages, const struct zoo_page *ours,
		       const struct zoo_page *kernel, const struct zoo_vma *vmas,
		       size_t nvmas);

/* A whole case: the kind is made and looked at; and made and faulted, in every way. */
void zoo_run(const struct zoo_kind *kind);

#endif /* ZOO_MIRROR_H */
