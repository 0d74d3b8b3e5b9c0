// SPDX-License-Identifier: GPL-2.0-only
/* Requests that no client may make: refused with a warning, nothing done. */
#include "hmt.h"

#define LEN (8 * HMT_PAGE)

static void wrong_requests_are_EINVAL(const void *arg)
{
	char *p = hmt_map(LEN);
	uint64_t va = (uintptr_t)p, end = va + HMT_PAGE - 1;
	const struct hmt_span bad[][2] = {
		{ { va + 1, end, HMT_REQ_READ, 0 }, { va + HMT_PAGE, end + HMT_PAGE, 0, 0 } },
		{ { va, end - 1, HMT_REQ_READ, 0 }, { va + HMT_PAGE, end + HMT_PAGE, 0, 0 } },
		{ { va + HMT_PAGE, end, HMT_REQ_READ, 0 },
		  { va + 2 * HMT_PAGE, end + 2 * HMT_PAGE, 0, 0 } },
		/* In the wrong order, and one over the other. */
		{ { va + HMT_PAGE, end + HMT_PAGE, 0, 0 }, { va, end, HMT_REQ_READ, 0 } },
		{ { va, end + HMT_PAGE, 0, 0 },
		  { va + HMT_PAGE, end + HMT_PAGE, HMT_REQ_READ, 0 } },
		{ { va, end, HMT_REQ_READ | HMT_REQ_WRITE, 0 },
		  { va + HMT_PAGE, end + HMT_PAGE, 0, 0 } },
		{ { va, end, 8, 0 }, { va + HMT_PAGE, end + HMT_PAGE, 0, 0 } },
	};
	static const uint32_t bad_default[] = {
		HMT_REQ_READ | HMT_REQ_WRITE, HMT_REQ_WRITE | HMT_REQ_WRITE_IF_VMA, 8,
		UINT32_MAX,
	};
	static struct hmt_result r;
	int fd = hmt_open_registered();

	(void)arg;
	hmt_ok(hmt_range_add(fd, 1, p, LEN));
	for (size_t i = 0; i < HMT_COUNT(bad); i++) {
		r.get = (struct hmt_get) {
			.range = 1, .default_req = HMT_REQ_READ, .nr_spans = 2,
			.spans = (uintptr_t)bad[i], .next_va = va,
		};
		hmt_expect(hmt_get(fd, &r), -EINVAL);
		hmt_check(r.get.next_va == va);
	}
	for (size_t i = 0; i < HMT_COUNT(bad_default); i++)
		hmt_expect(hmt_fault(fd, 1, p, bad_default[i], NULL), -EINVAL);
	hmt_expect(hmt_fault(fd, 1, p + 1, HMT_REQ_READ, NULL), -EINVAL);
	hmt_expect(hmt_fault(fd, 1, p - HMT_PAGE, HMT_REQ_READ, NULL), -EINVAL);
	hmt_expect(hmt_snapshot(fd, 1, p - HMT_PAGE, NULL), -EINVAL);
	for (size_t i = 0; i < LEN; i += HMT_PAGE)
		hmt_expect(hmt_pagemap(p + i) & HMT_PM_PRESENT, 0);
	hmt_expect(hmt_valid(fd, 1), 0);
}

static const struct hmt_case misuse_cases[] = {
	HMT_CASE(wrong_requests_are_EINVAL, HMT_MISUSE),
};

HMT_GROUP(misuse_cases);
