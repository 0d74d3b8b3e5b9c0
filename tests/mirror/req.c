// SPDX-License-Identifier: GPL-2.0-only
/* Feature 6: a fault provides what was asked for where, and touches nothing else. */
#include <signal.h>

#include "hmt.h"

#define MAX_NPAGES 64

/* What a page is before the fault; all kinds of one area, so that they mix. */
enum was {
	WAS_NOTHING,	/* never touched */
	WAS_ZERO,	/* the zero page */
	WAS_SHARED,	/* with a child, since fork() */
	WAS_OWN,	/* written */
	NR_WAS,
};

static struct area {
	char *p;
	size_t npages;
	size_t first_ro;	/* the VMA from here on is read-only */
	enum was was[MAX_NPAGES];
	uint64_t pfn[MAX_NPAGES];
	pid_t sharer;
} area;

static struct hmt_result r;

static void sit(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* As @area.was says; what fork() does comes first. */
static void area_make(size_t npages, size_t first_ro)
{
	area.npages = npages;
	area.first_ro = first_ro;
	area.p = hmt_map(npages * HMT_PAGE);
	for (size_t i = 0; i < npages; i++) {
		if (area.was[i] == WAS_SHARED)
			memset(area.p + i * HMT_PAGE, 0x51, HMT_PAGE);
	}
	area.sharer = hmt_child(sit, NULL);
	for (size_t i = 0; i < npages; i++) {
		volatile char *q = area.p + i * HMT_PAGE;

		if (area.was[i] == WAS_ZERO)
			(void)*q;
		if (area.was[i] == WAS_OWN)
			*q = 0x52;
	}
	if (first_ro < npages)
		hmt_ok(mprotect(area.p + first_ro * HMT_PAGE, (npages - first_ro) * HMT_PAGE,
				PROT_READ));
	for (size_t i = 0; i < npages; i++)
		area.pfn[i] = hmt_pagemap(area.p + i * HMT_PAGE) & HMT_PM_PFN;
}

static void area_end(void)
{
	kill(area.sharer, SIGKILL);
	hmt_reap(area.sharer);
	hmt_ok(munmap(area.p, area.npages * HMT_PAGE));
}

/* The request that counts for a page: that of its span, or the default. */
static uint32_t req_of(const struct hmt_get *get, const struct hmt_span *spans, size_t page)
{
	uint64_t va = (uintptr_t)area.p + page * HMT_PAGE;

	for (uint32_t i = 0; i < get->nr_spans; i++) {
		if (va >= spans[i].first_va && va <= spans[i].last_va)
			return spans[i].req;
	}
	return get->default_req;
}

static void check_page(size_t i, uint32_t req)
{
	struct hmt_page page = hmt_page_of(&r, area.p + i * HMT_PAGE);
	uint64_t entry = hmt_pagemap(area.p + i * HMT_PAGE);
	uint64_t now_pfn = entry & HMT_PM_PFN;
	bool vma_writable = i < area.first_ro;
	bool write = req == HMT_REQ_WRITE || (req == HMT_REQ_WRITE_IF_VMA && vma_writable);
	bool was_there = area.was[i] != WAS_NOTHING;
	const char *what = "";

	if (!page.covered)
		what = "is not covered";
	else if (req == HMT_REQ_WRITE && !vma_writable)
		what = page.flags == HMT_EXT_ERROR && page.err == EPERM &&
		       now_pfn == area.pfn[i] ? "" : "is no EPERM, or was changed";
	else if (write)
		what = (page.flags & (HMT_EXT_VALID | HMT_EXT_WRITE)) ==
		       (HMT_EXT_VALID | HMT_EXT_WRITE) ? "" : "is not writable";
	else if (req && !(page.flags & HMT_EXT_VALID))
		what = "is not readable";
	else if (!req && !(page.flags & HMT_EXT_VALID) != !was_there)
		what = "is not as it was";
	else if (was_there && now_pfn != area.pfn[i])
		what = "is another one: COW was broken";
	else if (!was_there && !req && (entry & HMT_PM_PRESENT))
		what = "was faulted in unasked";
	else if (!write && (page.flags & HMT_EXT_WRITE) &&
		 !(area.was[i] == WAS_OWN && vma_writable))
		what = "is writable unasked";
	if (!*what && (page.flags & HMT_EXT_VALID) && page.pfn != now_pfn)
		what = "has another pfn";
	/* Writing breaks COW where there is some, and only then. */
	if (!*what && write && vma_writable && area.was[i] == WAS_OWN &&
	    now_pfn != area.pfn[i])
		what = "was copied for nothing";
	if (!*what && write && vma_writable && area.was[i] == WAS_SHARED &&
	    now_pfn == area.pfn[i])
		what = "is still shared with the child";
	hmt_check_that(!*what, "page %zu (%u, request %u, VMA %s) %s: flags %x err %d", i,
		       area.was[i], req, vma_writable ? "rw" : "ro", what, page.flags,
		       page.err);
}

/* Faults pages first..end-1 of the area and looks at all pages of it. */
static void fault_and_check(uint32_t default_req, const struct hmt_span *spans, uint32_t nr,
			    size_t first, size_t end)
{
	int fd = hmt_open_registered();
	struct hmt_get get = {
		.range = 1, .default_req = default_req, .nr_spans = nr,
		.spans = (uintptr_t)spans,
		.next_va = (uintptr_t)area.p + first * HMT_PAGE,
	};

	hmt_ok(hmt_range_add(fd, 1, area.p + first * HMT_PAGE, (end - first) * HMT_PAGE));
	r.get = get;
	hmt_ok(hmt_get(fd, &r));
	hmt_check_that(r.get.next_va == (uintptr_t)area.p + end * HMT_PAGE,
		       "covers %lld pages of %zu",
		       (long long)(r.get.next_va - get.next_va) / (long long)HMT_PAGE,
		       end - first);
	hmt_check_extents(r.ext, r.get.nr, get.next_va, r.get.next_va);
	for (size_t i = first; i < end; i++)
		check_page(i, req_of(&get, spans, i));
	/* Nothing happens outside of the range. */
	for (size_t i = 0; i < area.npages; i++) {
		if (i < first || i >= end)
			hmt_expect(hmt_pagemap(area.p + i * HMT_PAGE) & HMT_PM_PFN,
				   area.pfn[i]);
	}
	hmt_close(fd);
}

static const uint32_t reqs[] = { 0, HMT_REQ_READ, HMT_REQ_WRITE, HMT_REQ_WRITE_IF_VMA };

/* A span of every place and length in a small area, of every request and default. */
static void one_span_at_every_place(const void *arg)
{
	enum { N = 6 };

	(void)arg;
	for (size_t d = 0; d < HMT_COUNT(reqs); d++) {
		for (size_t s = 0; s < HMT_COUNT(reqs); s++) {
			for (size_t first = 0; first < N; first++) {
				for (size_t last = first; last < N; last++) {
					struct hmt_span span;

					for (size_t i = 0; i < N; i++)
						area.was[i] = (i + first + d) % NR_WAS;
					area_make(N, N - (s + last) % 3);
					span = (struct hmt_span) {
						.first_va = (uintptr_t)area.p +
							    first * HMT_PAGE,
						.last_va = (uintptr_t)area.p +
							   (last + 1) * HMT_PAGE - 1,
						.req = reqs[s],
					};
					fault_and_check(reqs[d], &span, 1, 0, N);
					area_end();
				}
			}
		}
	}
}

/* Any number of spans, also outside of the range and over its ends. */
static void random_spans(const void *arg)
{
	static struct hmt_span spans[MAX_NPAGES];

	(void)arg;
	hmt_random_seed(hmt_now_ms());
	for (int round = 0; round < 150; round++) {
		size_t npages = 2 + hmt_random_below(MAX_NPAGES - 2);
		size_t first = hmt_random_below(npages - 1);
		size_t end = first + 1 + hmt_random_below(npages - first);
		size_t ro = hmt_random_below(2) ? npages : hmt_random_below(npages + 1);
		uint32_t nr = 0;
		uint64_t va;

		for (size_t i = 0; i < npages; i++)
			area.was[i] = hmt_random_below(NR_WAS);
		area_make(npages, ro);
		/* They begin before the area and end behind it. */
		va = (uintptr_t)area.p - 4 * HMT_PAGE;
		while (nr < MAX_NPAGES && va < (uintptr_t)area.p + (npages + 2) * HMT_PAGE) {
			va += hmt_random_below(5) * HMT_PAGE;
			spans[nr].first_va = va;
			va += (1 + hmt_random_below(6)) * HMT_PAGE;
			spans[nr].last_va = va - 1;
			spans[nr++].req = reqs[hmt_random_below(HMT_COUNT(reqs))];
		}
		fault_and_check(reqs[hmt_random_below(HMT_COUNT(reqs))], spans, nr, first, end);
		area_end();
	}
}

/* The kernel's array of flags asks for the same in another way: the same comes out. */
static void requests_of_the_whole_span_agree_with_the_kernel(const void *arg)
{
	static const uint32_t kernel[] = {
		HMT_VIEW_KERNEL_NONE, HMT_VIEW_KERNEL_FAULT, HMT_VIEW_KERNEL_WRITE,
	};

	(void)arg;
	for (size_t k = 0; k < HMT_COUNT(kernel); k++) {
		for (uint32_t first = 0; first <= HMT_VIEW_KERNEL_FIRST;
		     first += HMT_VIEW_KERNEL_FIRST) {
			int fd;

			for (size_t i = 0; i < 32; i++)
				area.was[i] = i % NR_WAS;
			/* A read-only page is no error to the kernel's snapshot. */
			area_make(32, 32);
			fd = hmt_open_registered();
			hmt_check_same(fd, area.p, 32 * HMT_PAGE, first, kernel[k], reqs[k]);
			hmt_close(fd);
			area_end();
		}
	}
}

/* The child's data is its own whatever the device writes. */
static void device_writes_do_not_reach_the_child(const void *arg)
{
	char *shared = mmap(NULL, HMT_PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct hmt_span span;
	char *p = hmt_map(4 * HMT_PAGE), two = 2, byte;
	int fd = hmt_open_registered();
	pid_t pid;

	(void)arg;
	memset(p, 1, 4 * HMT_PAGE);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		while (!*(volatile char *)shared)
			usleep(1000);
		for (size_t i = 0; i < 4 * HMT_PAGE; i++) {
			if (p[i] != 1)
				_exit(1);
		}
		_exit(0);
	}
	span = (struct hmt_span) {
		.first_va = (uintptr_t)p + 2 * HMT_PAGE,
		.last_va = (uintptr_t)p + 3 * HMT_PAGE - 1, .req = HMT_REQ_WRITE,
	};
	hmt_ok(hmt_range_add(fd, 1, p, 4 * HMT_PAGE));
	r.get = (struct hmt_get) {
		.range = 1, .flags = HMT_GET_COMMIT, .default_req = HMT_REQ_READ,
		.nr_spans = 1, .spans = (uintptr_t)&span, .next_va = (uintptr_t)p,
	};
	hmt_ok(hmt_get(fd, &r));
	hmt_expect(hmt_device_nr_pages(fd), 4);
	for (size_t i = 0; i < 4; i++) {
		hmt_ok(hmt_device_read(fd, p + i * HMT_PAGE, &byte, 1));
		hmt_expect(byte, 1);
		hmt_expect(hmt_device_write(fd, p + i * HMT_PAGE, &two, 1),
			   i == 2 ? 0 : -EFAULT);
	}
	hmt_expect(p[2 * HMT_PAGE], 2);
	*shared = 1;
	hmt_reap_ok(pid);
}

/* Bytes written by a device into a clean page are there after it was paged out. */
static void what_the_device_wrote_is_dirty(const void *arg)
{
	const size_t len = 16 * HMT_PAGE;
	char path[] = "/tmp/hmt-XXXXXX", *p, data[64];
	int file = mkstemp(path), fd = hmt_open_registered();
	uint64_t before;

	(void)arg;
	hmt_check(file >= 0 && !ftruncate(file, (off_t)len));
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	hmt_check(p != MAP_FAILED);
	hmt_ok(hmt_range_add(fd, 1, p, len));
	hmt_ok(hmt_map_in_device(fd, 1, p, len, HMT_REQ_WRITE));
	memset(data, 0x5a, sizeof(data));
	hmt_ok(hmt_device_write(fd, p + 100, data, sizeof(data)));
	hmt_check(hmt_device_page(fd, p) & HMT_PAGE_WRITTEN);
	hmt_check(!(hmt_device_page(fd, p + HMT_PAGE) & HMT_PAGE_WRITTEN));
	before = hmt_stats(fd).nr_marked_dirty;
	hmt_check(!munmap(p, len));
	hmt_expect(hmt_stats(fd).nr_marked_dirty - before, 1);
	memset(data, 0, sizeof(data));
	hmt_expect(pread(file, data, sizeof(data), 100), sizeof(data));
	for (size_t i = 0; i < sizeof(data); i++)
		hmt_expect(data[i], 0x5a);
	unlink(path);
}

static const struct hmt_case req_cases[] = {
	{ .name = "request_one_span_at_every_place", .fn = one_span_at_every_place,
	  .flags = HMT_SLOW, .timeout_s = 240 },
	{ .name = "request_random_spans", .fn = random_spans, .flags = HMT_SLOW,
	  .timeout_s = 240 },
	{ .name = "request_of_the_whole_span_agrees_with_the_kernel",
	  .fn = requests_of_the_whole_span_agree_with_the_kernel },
	{ .name = "request_device_writes_do_not_reach_the_child",
	  .fn = device_writes_do_not_reach_the_child },
	HMT_CASE(what_the_device_wrote_is_dirty, 0),
};

HMT_GROUP(req_cases);
