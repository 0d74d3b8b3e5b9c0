// SPDX-License-Identifier: GPL-2.0-only
/* One mapping per extent, no more than needed, nothing left after an error. */
#include "edu.h"
#include "edu_cases.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_TABLE	4096

/* Neighbours in the table that one mapping could have covered. */
static unsigned int nr_needless(const struct hme_mapping *table, unsigned int nr)
{
	unsigned int i, needless = 0;

	for (i = 1; i < nr; i++)
		needless += table[i - 1].va + table[i - 1].npages * PAGE_LEN ==
				    table[i].va &&
			    table[i - 1].pfn + table[i - 1].npages ==
				    table[i].pfn &&
			    table[i - 1].flags == table[i].flags;
	return needless;
}

void one_mapping_per_extent(void)
{
	static struct hme_mapping table[MAX_TABLE];
	struct hme_map map = { .req = REQ_WRITE };
	size_t len = 2 * HUGE_LEN;
	uint64_t npages = 0;
	int fd = edu_open();
	char *va = map_thp(len), *small = map_anon(64 * PAGE_LEN);
	unsigned int nr, i;

	CHECK_EQ(edu_map(fd, va, len, &map), 0);
	nr = edu_table(fd, table, MAX_TABLE);
	CHECK_EQ(nr, map.nr_mapped);
	CHECK(nr <= 2);
	CHECK_EQ(nr_needless(table, nr), 0);

	memset(small, 1, 64 * PAGE_LEN);
	CHECK_EQ(edu_map(fd, small, 64 * PAGE_LEN, &map), 0);
	CHECK_EQ(edu_table(fd, table, MAX_TABLE), nr + map.nr_mapped);
	nr += map.nr_mapped;
	CHECK_EQ(nr_needless(table, nr), 0);
	for (i = 0; i < nr; i++)
		npages += table[i].npages;
	CHECK_EQ(npages, len / PAGE_LEN + 64);
	CHECK_EQ(edu_stats(fd).nr_map, nr);
	CHECK_EQ(edu_stats(fd).nr_live, nr);
	close(fd);
}

/* Every second page read-only, so that every page is an extent. */
static char *map_striped(size_t npages)
{
	char *va = map_anon(npages * PAGE_LEN);
	size_t i;

	memset(va, 1, npages * PAGE_LEN);
	for (i = 1; i < npages; i += 2)
		TRY(mprotect(va + i * PAGE_LEN, PAGE_LEN, PROT_READ));
	return va;
}

void unchanged_pages_are_not_mapped_again(void)
{
	static struct hme_mapping before[MAX_TABLE], after[MAX_TABLE];
	struct hme_map map = { .req = REQ_READ };
	char *va = map_striped(32);
	int fd = edu_open();
	unsigned int i;

	CHECK_EQ(edu_map(fd, va, 32 * PAGE_LEN, &map), 0);
	CHECK_EQ(map.nr_mapped, 32);
	CHECK_EQ(edu_table(fd, before, MAX_TABLE), 32);

	CHECK_EQ(edu_map(fd, va, 32 * PAGE_LEN, &map), 0);
	CHECK_EQ(map.nr_mapped, 0);
	CHECK_EQ(map.nr_kept, 32);
	CHECK_EQ(edu_stats(fd).nr_map, 32);

	/* One page changes: one mapping is made. */
	TRY(madvise(va + 10 * PAGE_LEN, PAGE_LEN, MADV_DONTNEED));
	CHECK_EQ(edu_stats(fd).nr_live, 31);
	va[10 * PAGE_LEN] = 2;
	CHECK_EQ(edu_map(fd, va, 32 * PAGE_LEN, &map), 0);
	CHECK_EQ(map.nr_mapped, 1);
	CHECK_EQ(map.nr_kept, 31);
	CHECK_EQ(edu_stats(fd).nr_map, 33);
	CHECK_EQ(edu_stats(fd).nr_unmap, 1);
	CHECK_EQ(edu_table(fd, after, MAX_TABLE), 32);
	for (i = 0; i < 32; i++)
		CHECK(i == 10 || (before[i].dma == after[i].dma &&
				  before[i].pfn == after[i].pfn));
	close(fd);
}

void a_page_in_the_middle_needs_one_mapping(void)
{
	struct hme_map map = { .req = REQ_WRITE };
	char *va = map_thp(HUGE_LEN);
	int fd = edu_open();

	CHECK_EQ(edu_map(fd, va + 7 * PAGE_LEN, PAGE_LEN, &map), 0);
	CHECK_EQ(map.nr_mapped, 1);
	/* What lies on both sides of it. */
	CHECK_EQ(edu_map(fd, va, HUGE_LEN, &map), 0);
	CHECK_EQ(map.nr_mapped, 2);
	CHECK_EQ(map.nr_replaced, 0);
	CHECK_EQ(edu_mapping(fd, va).npages, 7);
	CHECK_EQ(edu_mapping(fd, va + 7 * PAGE_LEN).npages, 1);
	CHECK_EQ(edu_mapping(fd, va + 8 * PAGE_LEN).npages, 504);
	close(fd);
}

void more_extents_than_fit_at_once(void)
{
	struct hme_map map = { .req = REQ_READ };
	char *va = map_striped(700);
	int fd = edu_open();

	CHECK_EQ(edu_map(fd, va, 700 * PAGE_LEN, &map), 0);
	CHECK_EQ(map.nr_mapped, 700);
	CHECK_EQ(edu_stats(fd).nr_live, 700);
	edu_unmap(fd, va, 700 * PAGE_LEN);
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK_EQ(edu_stats(fd).nr_unmap, 700);
	close(fd);
}

void failed_mapping_leaves_what_was(void)
{
	static struct hme_mapping before[MAX_TABLE], after[MAX_TABLE];
	struct hme_map map = { .req = REQ_READ };
	char *va = map_striped(100);
	int fd = edu_open();
	unsigned int nth;

	/* The middle is there before, and stays. */
	CHECK_EQ(edu_map(fd, va + 40 * PAGE_LEN, 20 * PAGE_LEN, &map), 0);
	CHECK_EQ(edu_table(fd, before, MAX_TABLE), 20);
	for (nth = 1; nth <= 80; nth++) {
		map.fail_nth = nth;
		CHECK_EQ(edu_map(fd, va, 100 * PAGE_LEN, &map), EIO);
		CHECK_EQ(edu_stats(fd).nr_live, 20);
		CHECK_EQ(edu_table(fd, after, MAX_TABLE), 20);
		CHECK(!memcmp(before, after, 20 * sizeof(before[0])));
	}
	/* There is no 81st. */
	map.fail_nth = nth;
	CHECK_EQ(edu_map(fd, va, 100 * PAGE_LEN, &map), 0);
	CHECK_EQ(edu_stats(fd).nr_live, 100);
	close(fd);
}

void page_error_leaves_what_was(void)
{
	struct hme_map map = { .req = REQ_WRITE };
	char *va = map_anon(8 * PAGE_LEN);
	int fd = edu_open();

	memset(va, 1, 8 * PAGE_LEN);
	TRY(munmap(va + 6 * PAGE_LEN, PAGE_LEN));
	CHECK_EQ(edu_map(fd, va, 8 * PAGE_LEN, &map), EFAULT);
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	TRY(mprotect(va + 3 * PAGE_LEN, PAGE_LEN, PROT_READ));
	CHECK_EQ(edu_map(fd, va, 6 * PAGE_LEN, &map), EPERM);
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	close(fd);
}

/*
 * Bus addresses of 32 bits run out when 4 GiB are mapped: 64 MiB of memory, many times.
 * Behind an IOMMU such a device can reach all memory.
 */
void bus_addresses_run_out(void)
{
	struct hme_map map = { .req = REQ_WRITE };
	size_t len = 64UL << 20;
	struct hme_stats before, after;
	unsigned int n = 0;
	int fd, memfd, err;
	char *va;

	if (!behind_iommu())
		SKIP("no IOMMU");
	fd = edu_open();
	memfd = TRY(memfd_create("huge", MFD_CLOEXEC));
	TRY(ftruncate(memfd, (off_t)len));
	edu_config(fd, 32, false);
	do {
		va = TRY(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED,
			      memfd, 0));
		if (!n)
			memset(va, 1, len);
		before = edu_stats(fd);
		err = edu_map(fd, va, len, &map);
		if (!err)
			CHECK(edu_mapping(fd, va).dma < 1ULL << 32);
	} while (!err && ++n < 80);
	note("%u times 64 MiB, %llu mappings, then errno %d", n,
	     (unsigned long long)before.nr_live, err);
	CHECK_EQ(err, EIO);
	CHECK(n);
	after = edu_stats(fd);
	CHECK_EQ(after.nr_live, before.nr_live);
	/* Room is found again where some is given back. */
	edu_unmap(fd, NULL, 1UL << 47);
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	va = TRY(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0));
	CHECK_EQ(edu_map(fd, va, len, &map), 0);
	edu_unmap(fd, va, len);
	edu_config(fd, 48, false);
	close(fd);
}

void device_that_reaches_little_is_refused(void)
{
	struct hme_map map = { .req = REQ_WRITE };
	int fd, err;
	char *va;

	if (behind_iommu())
		SKIP("the IOMMU reaches all memory for it");
	fd = edu_open();
	va = map_anon(PAGE_LEN);
	va[0] = 1;
	edu_config(fd, 32, false);
	err = edu_map(fd, va, PAGE_LEN, &map);
	edu_config(fd, 48, false);
	CHECK_EQ(err, EOPNOTSUPP);
	CHECK_EQ(edu_stats(fd).nr_map, 0);
	if (!strcmp(machine, "edu"))
		CHECK_EQ(edu_map(fd, va, PAGE_LEN, &map), 0);
	close(fd);
}

#define BOUNCES	"/sys/kernel/tracing/events/swiotlb/swiotlb_bounced/"

void bounce_buffers_are_refused(void)
{
	struct hme_map map = { .req = REQ_WRITE };
	char *va, *trace;
	int fd;

	if (strcmp(machine, "swiotlb"))
		SKIP("no forced bounce buffers");
	write_text("/sys/kernel/tracing/trace", "\n");
	write_text(BOUNCES "enable", "1");
	fd = edu_open();
	va = map_anon(4 * PAGE_LEN);
	memset(va, 1, 4 * PAGE_LEN);
	CHECK_EQ(edu_map(fd, va, 4 * PAGE_LEN, &map), EOPNOTSUPP);
	CHECK_EQ(edu_write(fd, va, "abcd", 4, 0), EOPNOTSUPP);
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK_EQ(edu_stats(fd).nr_map, 0);
	CHECK_EQ(va[0], 1);
	write_text(BOUNCES "enable", "0");
	trace = read_text("/sys/kernel/tracing/trace");
	CHECK(trace);
	CHECK(!strstr(trace, "swiotlb_bounced:"));
	free(trace);
	close(fd);
}
