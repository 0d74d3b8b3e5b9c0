// SPDX-License-Identifier: GPL-2.0-only
#include "dax.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RANGE_ID	1

struct mirror *mirror_open(char *va, size_t len)
{
	struct mirror *mirror = calloc(1, sizeof(*mirror));
	struct hmt_register reg = { 0 };
	struct hmt_range range = {
		.first_va = (uintptr_t)va,
		.last_va = (uintptr_t)va + len - 1,
		.id = RANGE_ID,
	};

	CHECK(mirror);
	mirror->fd = TRY(open(HMT_DEVICE, O_RDWR | O_CLOEXEC));
	mirror->va = va;
	mirror->len = len;
	TRY(ioctl(mirror->fd, HMT_REGISTER, &reg));
	TRY(ioctl(mirror->fd, HMT_RANGE_ADD, &range));
	return mirror;
}

void mirror_fault(struct mirror *mirror, unsigned int req)
{
	struct hmt_get get = {
		.range = RANGE_ID,
		.flags = HMT_GET_COMMIT,
		.default_req = req,
		.extents = (uintptr_t)mirror->extents,
		.nr_max = 2048,
	};

	/* A call may end early; one that covers all is wanted, to look at its extents. */
	do {
		get.next_va = (uintptr_t)mirror->va;
		TRY(ioctl(mirror->fd, HMT_GET, &get));
	} while (get.next_va != (uintptr_t)mirror->va + mirror->len);
	mirror->nr = get.nr;
}

void mirror_close(struct mirror *mirror)
{
	close(mirror->fd);
	free(mirror);
}

bool mirror_valid(struct mirror *mirror)
{
	uint8_t state = 9;
	struct hmt_valid valid = {
		.first = RANGE_ID,
		.nr = 1,
		.states = (uintptr_t)&state,
	};

	TRY(ioctl(mirror->fd, HMT_VALID, &valid));
	CHECK(state < 2);
	return state;
}

static int access_device(struct mirror *mirror, size_t at, uintptr_t data,
			 size_t len, unsigned int flags)
{
	struct hmt_access access = {
		.va = (uintptr_t)mirror->va + at,
		.data = data,
		.len = (uint32_t)len,
		.flags = flags,
	};

	return ioctl(mirror->fd, HMT_ACCESS, &access) ? errno : 0;
}

int device_read(struct mirror *mirror, size_t at, void *data, size_t len)
{
	return access_device(mirror, at, (uintptr_t)data, len, 0);
}

int device_write(struct mirror *mirror, size_t at, const void *data, size_t len)
{
	return access_device(mirror, at, (uintptr_t)data, len, HMT_ACCESS_WRITE);
}

static struct hmt_stats stats(struct mirror *mirror)
{
	struct hmt_stats out;

	TRY(ioctl(mirror->fd, HMT_STATS, &out));
	return out;
}

uint64_t nr_device_pages(struct mirror *mirror)
{
	return stats(mirror).nr_device_pages;
}

uint64_t nr_events(struct mirror *mirror)
{
	return stats(mirror).nr_events;
}

uint64_t device_page(struct mirror *mirror, size_t at)
{
	uint64_t page = 0;
	struct hmt_device_pages pages = {
		.first_va = (uintptr_t)mirror->va + at,
		.npages = 1,
		.pages = (uintptr_t)&page,
	};

	TRY(ioctl(mirror->fd, HMT_DEVICE_PAGES, &pages));
	return page;
}

const struct hmt_extent *extent_at(const struct mirror *mirror, size_t at)
{
	uint64_t va = (uintptr_t)mirror->va + at, first_va, npages;
	unsigned int i;

	for (i = 0; i < mirror->nr; i++) {
		first_va = mirror->extents[i].va_flags & ~HMT_EXT_FLAGS;
		npages = mirror->extents[i].pfn_npages >> HMT_EXT_NPAGES_SHIFT;
		if (first_va <= va && va < first_va + npages * PAGE_LEN)
			return &mirror->extents[i];
	}
	FAIL("no extent covers byte %#zx", at);
}

unsigned int extent_kind(struct mirror *mirror, const struct hmt_extent *ext)
{
	struct hmt_extent_device device = {
		.range = RANGE_ID,
		.index = (uint32_t)(ext - mirror->extents),
	};

	TRY(ioctl(mirror->fd, HMT_EXTENT_DEVICE, &device));
	return device.kind;
}

unsigned int extent_errno(const struct hmt_extent *ext)
{
	return ext->va_flags & HMT_EXT_ERROR ? ext->pfn_npages & HMT_EXT_PFN : 0;
}
