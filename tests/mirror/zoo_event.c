// SPDX-License-Identifier: GPL-2.0-only
/* What an event did to a window. */
#include <sys/ioctl.h>

#include "zoo_event.h"

static void device_pages(const struct zoo_watch *w, uint64_t *pages)
{
	struct hmt_device_pages args = {
		.first_va = (uintptr_t)w->va, .npages = w->npages,
		.pages = (uintptr_t)pages,
	};

	hmt_check(!ioctl(w->fd, HMT_DEVICE_PAGES, &args));
}

static size_t nr_units(const struct zoo_watch *w)
{
	return (w->npages + w->unit - 1) / w->unit;
}

static size_t unit_npages(const struct zoo_watch *w, size_t unit)
{
	size_t left = w->npages - unit * w->unit;

	return left < w->unit ? left : w->unit;
}

static void units_valid(const struct zoo_watch *w, uint8_t *states)
{
	struct hmt_valid args = {
		.first = 0, .nr = (uint32_t)nr_units(w), .states = (uintptr_t)states,
	};

	hmt_check(!ioctl(w->fd, HMT_VALID, &args));
}

static bool map_units(struct zoo_watch *w)
{
	uint8_t *states = calloc(nr_units(w), 1);
	bool all = true;

	hmt_check(states);
	units_valid(w, states);
	for (size_t u = 0; u < nr_units(w); u++) {
		if (states[u])
			continue;
		hmt_ok(hmt_map_in_device(w->fd, (uint32_t)u, w->va + u * w->unit * ZPAGE,
					 unit_npages(w, u) * ZPAGE, zoo_hmt_req[w->req]));
	}
	units_valid(w, states);
	for (size_t u = 0; u < nr_units(w); u++)
		all &= states[u] == 1;
	free(states);
	return all;
}

void zoo_watch_again(struct zoo_watch *w)
{
	/* The fault of one unit may be an event for another. */
	hmt_until(map_units(w));
	memset(w->valid, 1, nr_units(w));
	device_pages(w, w->mapped);
	w->log = hmt_log_next(w->fd);
}

void zoo_watch(struct zoo_watch *w, char *va, size_t npages, size_t unit,
	       enum zoo_req req)
{
	const struct zoo z = { .va = va, .npages = npages };

	zoo_watch_window(w, &z, unit, req);
}

void zoo_watch_window(struct zoo_watch *w, const struct zoo *z, size_t unit,
		      enum zoo_req req)
{
	char *va = z->va;
	size_t npages = z->npages;

	*w = (struct zoo_watch) {
		.fd = zoo_open(z), .va = va, .npages = npages, .unit = unit,
		.req = req, .mapped = calloc(npages, sizeof(*w->mapped)),
	};
	w->valid = calloc(nr_units(w), sizeof(*w->valid));
	hmt_check(w->mapped && w->valid);
	for (size_t u = 0; u < nr_units(w); u++)
		hmt_ok(hmt_range_add(w->fd, (uint32_t)u, va + u * unit * ZPAGE,
				     unit_npages(w, u) * ZPAGE));
	zoo_watch_again(w);
}

void zoo_watch_end(struct zoo_watch *w)
{
	hmt_close(w->fd);
	free(w->mapped);
	free(w->valid);
}

/* Marks what the events since the last look were for. */
static void read_log(struct zoo_watch *w, uint32_t kind, bool *heard)
{
	static struct hmt_event events[4096];
	uint64_t first = (uintptr_t)w->va, end = first + w->npages * ZPAGE;
	size_t n = hmt_log(w->fd, w->log, events, HMT_COUNT(events));

	hmt_check_that(n < HMT_COUNT(events), "more events than the log can hold");
	for (size_t i = 0; i < n; i++) {
		if (events[i].end_va <= first || events[i].start_va >= end)
			continue;
		hmt_check_that(kind == HMT_NONE || events[i].kind == kind,
			       "an event of kind %u, not %u, for %#llx..%#llx",
			       events[i].kind, kind,
			       (unsigned long long)events[i].start_va,
			       (unsigned long long)events[i].end_va);
		for (size_t p = 0; p < w->npages; p++)
			heard[p] |= events[i].start_va < first + (p + 1) * ZPAGE &&
				    events[i].end_va > first + p * ZPAGE;
	}
	w->log = hmt_log_next(w->fd);
}

static void check_unit(const struct zoo_watch *w, size_t u, bool valid,
		       const uint64_t *now, const bool *heard)
{
	bool hit = false;

	for (size_t p = u * w->unit; p < u * w->unit + unit_npages(w, u); p++)
		hit |= heard[p];
	hmt_check_that(valid == (w->valid[u] && !hit),
		       "the range of pages %zu.. was %s and is %s, its pages were %s",
		       u * w->unit, w->valid[u] ? "valid" : "invalid",
		       valid ? "valid" : "invalid", hit ? "touched" : "left alone");
	for (size_t p = u * w->unit; p < u * w->unit + unit_npages(w, u); p++) {
		uint64_t want = heard[p] ? 0 : w->mapped[p];

		hmt_check_that(now[p] == want, "page %zu: the device has %#llx, not %#llx", p,
			       (unsigned long long)now[p], (unsigned long long)want);
	}
}

/* What was heard is exactly what the ranges and the device show. */
static void check_units(struct zoo_watch *w, const bool *heard)
{
	uint8_t *states = calloc(nr_units(w), 1);
	uint64_t *now = calloc(w->npages, sizeof(*now));

	hmt_check(states && now);
	units_valid(w, states);
	device_pages(w, now);
	for (size_t u = 0; u < nr_units(w); u++)
		check_unit(w, u, states[u] == 1, now, heard);
	memcpy(w->mapped, now, w->npages * sizeof(*now));
	memcpy(w->valid, states, nr_units(w));
	free(states);
	free(now);
}

void zoo_expect_event_within(struct zoo_watch *w, uint32_t kind, size_t first,
			     size_t npages, size_t outer_first, size_t outer_npages)
{
	bool *heard = calloc(w->npages, sizeof(*heard));

	hmt_check(heard);
	read_log(w, kind, heard);
	for (size_t p = 0; p < w->npages; p++) {
		bool must = p >= first && p < first + npages;
		bool may = p >= outer_first && p < outer_first + outer_npages;

		hmt_check_that(heard[p] || !must, "no event for page %zu", p);
		hmt_check_that(!heard[p] || may, "an event for page %zu", p);
	}
	check_units(w, heard);
	free(heard);
}

void zoo_expect_event(struct zoo_watch *w, uint32_t kind, size_t first, size_t npages)
{
	zoo_expect_event_within(w, kind, first, npages, first, npages);
}

void zoo_expect_events(struct zoo_watch *w, uint32_t kind, const bool *touched)
{
	bool *heard = calloc(w->npages, sizeof(*heard));

	hmt_check(heard);
	read_log(w, kind, heard);
	for (size_t p = 0; p < w->npages; p++)
		hmt_check_that(heard[p] || !touched[p],
			       "page %zu changed and no event told", p);
	check_units(w, heard);
	free(heard);
}

void zoo_expect_quiet(struct zoo_watch *w)
{
	zoo_expect_event(w, HMT_NONE, 0, 0);
}

void zoo_device_write(struct zoo_watch *w, size_t page, uint64_t word)
{
	hmt_ok(hmt_device_write(w->fd, w->va + page * ZPAGE, &word, sizeof(word)));
	/* The device remembers that it wrote. */
	device_pages(w, w->mapped);
}

uint64_t zoo_device_read(struct zoo_watch *w, size_t page)
{
	uint64_t word = 0;

	hmt_ok(hmt_device_read(w->fd, w->va + page * ZPAGE, &word, sizeof(word)));
	return word;
}

uint64_t zoo_device_word(size_t page)
{
	return 0xde71ce0000000000 | page;
}

void zoo_device_fill(struct zoo_watch *w)
{
	for (size_t p = 0; p < w->npages; p++) {
		uint64_t word = zoo_device_word(p);

		hmt_ok(hmt_device_write(w->fd, w->va + p * ZPAGE, &word, sizeof(word)));
	}
	device_pages(w, w->mapped);
}

int zoo_fault_errno(struct zoo_watch *w, const char *va, enum zoo_req req)
{
	struct zoo_page page;

	hmt_ok(zoo_fault(w->fd, va, 1, req, 1, &page));
	if (page.error)
		return page.err;
	hmt_check(page.valid && (req != ZOO_WRITE || page.write));
	return 0;
}

void zoo_expect_same_page(struct zoo_watch *w, size_t page)
{
	uint64_t entry = zoo_pagemap(w->va + page * ZPAGE);
	uint64_t mapped = hmt_device_page(w->fd, w->va + page * ZPAGE);

	hmt_check_that((entry & ZPM_PRESENT) && (mapped & HMT_PAGE_MAPPED) &&
		       (entry & ZPM_PFN) == (mapped & HMT_EXT_PFN),
		       "page %zu: pagemap %#llx, the device %#llx", page,
		       (unsigned long long)entry, (unsigned long long)mapped);
}
