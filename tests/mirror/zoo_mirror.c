// SPDX-License-Identifier: GPL-2.0-only
/* Calls of the test module, and extents taken apart into pages. */

#include "zoo_mirror.h"

#define WALK "/sys/module/hmm_mirror/parameters/walk"

const char *const zoo_walks[2] = { "kernel", "extent" };

const unsigned int zoo_hmt_req[ZOO_NR_REQS] = {
	[ZOO_NONE] = 0,
	[ZOO_READ] = HMT_REQ_READ,
	[ZOO_WRITE] = HMT_REQ_WRITE,
	[ZOO_WRITE_IF_VMA] = HMT_REQ_WRITE_IF_VMA,
};

int zoo_open(const struct zoo *z)
{
	int fd = hmt_open();

	hmt_ok(hmt_register(fd, z->owner));
	return fd;
}

bool zoo_set_walk(const char *walk)
{
	char now[32];
	int err = zoo_write_sys(WALK, walk);

	if (err == -ENOENT)
		return false;
	hmt_check_that(!err, WALK ": %s", strerror(-err));
	hmt_check(zoo_read_sys(WALK, now, sizeof(now)));
	hmt_check(!strncmp(now, walk, strlen(walk)));
	return true;
}

static void expand_one(const struct hmt_extent *ext, size_t page, struct zoo_page *out)
{
	*out = (struct zoo_page) {
		.valid = ext->va_flags & HMT_EXT_VALID,
		.write = ext->va_flags & HMT_EXT_WRITE,
		.error = ext->va_flags & HMT_EXT_ERROR,
		.dirty = ext->va_flags & HMT_EXT_DIRTY,
		.huge = ext->va_flags & HMT_EXT_HUGE,
		.zero = ext->va_flags & HMT_EXT_ZERO,
		.device = ext->va_flags & HMT_EXT_DEVICE,
		.private = ext->va_flags & HMT_EXT_PRIVATE,
		.hugetlb = ext->va_flags & HMT_EXT_HUGETLB,
		.pfn = ext->pfn_npages & HMT_EXT_PFN,
	};
	hmt_check_that(!(out->valid && out->error), "an extent both valid and in error");
	if (out->error) {
		out->err = (int)out->pfn;
		out->pfn = 0;
	} else if (!out->valid) {
		/* A hole carries nothing that could be taken for a page. */
		hmt_check_that(!out->pfn, "a hole with pfn %#llx",
			       (unsigned long long)out->pfn);
	} else if (!out->zero) {
		out->pfn += page;
	}
}

const char *zoo_expand(const struct hmt_extent *ext, size_t nr, const char *first,
		       const char *va, size_t npages, struct zoo_page *pages)
{
	const char *end = first + npages * ZPAGE;

	for (size_t i = 0; i < nr; i++) {
		size_t n = hmt_ext_npages(&ext[i]);
		const char *at = (char *)(uintptr_t)hmt_ext_va(&ext[i]);

		hmt_check_that(at == va, "extent %zu of %zu is at %p, not at %p", i, nr,
			       (void *)at, (void *)va);
		hmt_check_that(n && va + n * ZPAGE <= end,
			       "extent %zu at %p has %zu pages, the span ends at %p", i,
			       (void *)at, n, (void *)end);
		for (size_t k = 0; k < n; k++)
			expand_one(&ext[i], k, &pages[(va - first) / (long)ZPAGE + (long)k]);
		va += n * ZPAGE;
	}
	return va;
}

static struct zoo_page kernel_page(uint64_t page)
{
	struct zoo_page out = {
		.valid = page & HMT_VIEW_VALID,
		.write = page & HMT_VIEW_WRITE,
		.error = page & HMT_VIEW_ERROR,
		.pfn = page & HMT_EXT_PFN,
		.err = (int)(page >> HMT_VIEW_ERRNO_SHIFT),
		.order = page >> HMT_VIEW_ORDER_SHIFT & 0xff,
	};

	out.huge = out.valid && out.order >= 9;
	return out;
}

size_t zoo_snapshot(int fd, const char *va, size_t npages, unsigned int per_call,
		    struct zoo_page *ours, struct zoo_page *kernel)
{
	struct hmt_view view = { .flags = HMT_VIEW_SNAPSHOT, .nr_per_call = per_call };
	struct hmt_extent *ext;
	uint64_t *pages;
	int err;

	/* Either order must do. */
	if (hmt_random() & 1)
		view.flags |= HMT_VIEW_KERNEL_FIRST;
	err = hmt_view(fd, va, npages * ZPAGE, &view, &ext, &pages);
	hmt_check_that(!err, "view of %zu pages at %p, %u extents per call: %s", npages,
		       (void *)va, per_call, strerror(-err));
	hmt_check_that(zoo_expand(ext, view.nr, va, va, npages, ours) ==
		       va + npages * ZPAGE, "the extents end too early");
	for (size_t i = 0; kernel && i < npages; i++)
		kernel[i] = kernel_page(pages[i]);
	free(ext);
	free(pages);
	return view.nr;
}

int zoo_fault(int fd, const char *va, size_t npages, enum zoo_req req,
	      unsigned int per_call, struct zoo_page *pages)
{
	static struct hmt_result r;
	static uint32_t id = 0x100000;
	const char *at = va;
	int err = 0;

	id++;
	hmt_ok(hmt_range_add(fd, id, va, npages * ZPAGE));
	r.get = (struct hmt_get) {
		.range = id, .default_req = zoo_hmt_req[req], .next_va = (uintptr_t)va,
		.nr_max = per_call,
	};
	while (at < va + npages * ZPAGE) {
		err = hmt_get(fd, &r);
		if (err) {
			hmt_check_that(!r.get.nr && r.get.next_va == (uintptr_t)at,
				       "a call that failed gave %u extents", r.get.nr);
			break;
		}
		hmt_check_that(r.get.nr && r.get.nr <= per_call, "%u extents of %u",
			       r.get.nr, per_call);
		at = zoo_expand(r.ext, r.get.nr, va, at, npages, pages);
		hmt_check_that((uintptr_t)at == r.get.next_va,
			       "extents end at %p, the cursor is at %#llx", (void *)at,
			       (unsigned long long)r.get.next_va);
	}
	hmt_ok(hmt_range_del(fd, id));
	return err;
}

const char *zoo_page_text(const struct zoo_page *page)
{
	static char texts[4][96];
	static unsigned int next;
	char *text = texts[next++ % HMT_COUNT(texts)];

	if (page->error)
		snprintf(text, sizeof(texts[0]), "error %d", page->err);
	else if (!page->valid)
		snprintf(text, sizeof(texts[0]), "hole");
	else
		snprintf(text, sizeof(texts[0]), "pfn %#llx%s%s%s%s%s%s%s order %u",
			 (unsigned long long)page->pfn, page->write ? " write" : "",
			 page->dirty ? " dirty" : "", page->huge ? " huge" : "",
			 page->hugetlb ? " hugetlb" : "", page->zero ? " zero" : "",
			 page->device ? " device" : "", page->private ? " private" : "",
			 page->order);
	return text;
}
