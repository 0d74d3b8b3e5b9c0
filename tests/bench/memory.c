// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of memory, each made in a way that gives it in every run, and checked by what
 * the walks find. Nothing else may reshape it: khugepaged is kept asleep.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGETLB_MIB	1024U
#define SPREAD_LEN	(1024 * MIB)

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s: %s", path, strerror(errno));
	close(fd);
}

void memory_setup(void)
{
	static const char dir[] = "/sys/kernel/mm/transparent_hugepage/";
	char path[128];

	snprintf(path, sizeof(path), "%sdefrag", dir);
	write_file(path, "madvise");
	snprintf(path, sizeof(path), "%senabled", dir);
	write_file(path, "madvise");
	snprintf(path, sizeof(path), "%skhugepaged/alloc_sleep_millisecs", dir);
	write_file(path, "4294967295");
	snprintf(path, sizeof(path), "%skhugepaged/scan_sleep_millisecs", dir);
	write_file(path, "4294967295");
}

void *map_aligned(size_t len, size_t align, int flags)
{
	char *map = mmap(NULL, len + align, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	size_t before;

	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	before = -(uintptr_t)map & (align - 1);
	if (before)
		munmap(map, before);
	munmap(map + before + len, align - before);
	return map + before;
}

static void advise(const struct memory *m, size_t offset, size_t len, int advice)
{
	if (madvise(m->start + offset, len, advice))
		die("madvise %d: %s", advice, strerror(errno));
}

static void touch(const struct memory *m)
{
	size_t offset;

	for (offset = 0; offset < m->len; offset += PAGE)
		*(volatile char *)(m->start + offset) = 1;
}

void make_4k_in_order(struct memory *m)
{
	m->start = map_aligned(m->len, BLOCK, 0);
	advise(m, 0, m->len, MADV_NOHUGEPAGE);
	touch(m);
}

/* In random order, but groups of @group pages in order. */
static void touch_shuffled(const struct memory *m, unsigned long group)
{
	unsigned long n = m->len / PAGE / group, i, j;
	uint32_t *order = malloc(n * sizeof(*order));
	uint64_t x = 88172645463325252ULL;

	if (!order)
		die("no memory");
	for (i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = x % (i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	for (i = 0; i < n; i++)
		for (j = 0; j < group; j++)
			*(volatile char *)(m->start + (order[i] * group + j) * PAGE) = 1;
	free(order);
}

static void make_4k_random(struct memory *m)
{
	m->start = map_aligned(m->len, BLOCK, 0);
	advise(m, 0, m->len, MADV_NOHUGEPAGE);
	touch_shuffled(m, 1);
}

static void make_4k_fours(struct memory *m)
{
	m->start = map_aligned(m->len, BLOCK, 0);
	advise(m, 0, m->len, MADV_NOHUGEPAGE);
	touch_shuffled(m, 4);
}

/* As in a machine that has run for long: the pages are anywhere in much more memory. */
static void make_4k_spread(struct memory *m)
{
	size_t len = m->len;

	m->len = SPREAD_LEN;
	make_4k_random(m);
	m->len = len;
	munmap(m->start + len, SPREAD_LEN - len);
}

void make_thp(struct memory *m)
{
	m->start = map_aligned(m->len, BLOCK, 0);
	m->huge = true;
	advise(m, 0, m->len, MADV_HUGEPAGE);
	touch(m);
}

/* The pages stay together; only the leaf of 2 MiB goes. */
static void make_thp_by_ptes(struct memory *m)
{
	size_t offset;

	make_thp(m);
	m->huge = false;
	for (offset = 0; offset < m->len; offset += BLOCK) {
		if (mprotect(m->start + offset, PAGE, PROT_READ) ||
		    mprotect(m->start + offset, PAGE, PROT_READ | PROT_WRITE))
			die("mprotect: %s", strerror(errno));
	}
	touch(m);
}

void reserve_hugetlb(unsigned int nr)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nr);
	write_file("/proc/sys/vm/nr_hugepages", text);
}

static void make_hugetlb(struct memory *m)
{
	reserve_hugetlb(m->len / BLOCK);
	m->huge = true;
	m->start = mmap(NULL, m->len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (m->start == MAP_FAILED)
		die("%zu MiB of hugetlb: %s", m->len / MIB, strerror(errno));
	touch(m);
}

/* Not at the same place in each block. */
static size_t hole_in_block(size_t block)
{
	return block * BLOCK + block * 37 % BLOCK_NPAGES * PAGE;
}

static void restore_partly(const struct memory *m)
{
	size_t block;

	for (block = 0; block < m->len / BLOCK; block++)
		advise(m, hole_in_block(block), PAGE, MADV_DONTNEED);
}

static unsigned long nr_missing_partly(const struct memory *m)
{
	return m->len / BLOCK;
}

static void restore_nothing(const struct memory *m)
{
	advise(m, 0, m->len, MADV_DONTNEED);
}

static unsigned long nr_missing_all(const struct memory *m)
{
	return m->len / PAGE;
}

static void make_thp_with_holes(struct memory *m)
{
	make_thp(m);
	/* What is left of a THP without one page is mapped by PTEs. */
	m->huge = false;
	restore_partly(m);
}

const struct kind kinds[NR_KINDS] = {
	{ "4k-in-order", 256, true, make_4k_in_order, NULL, NULL },
	{ "4k-fours", 256, true, make_4k_fours, NULL, NULL },
	{ "4k-random", 256, true, make_4k_random, NULL, NULL },
	{ "4k-spread", 256, false, make_4k_spread, NULL, NULL },
	{ "thp-by-ptes", 256, false, make_thp_by_ptes, NULL, NULL },
	{ "thp", 2, false, make_thp, NULL, NULL },
	{ "thp", 256, false, make_thp, NULL, NULL },
	{ "hugetlb", HUGETLB_MIB, false, make_hugetlb, NULL, NULL },
	{ "4k-partly", 64, false, make_4k_in_order, restore_partly, nr_missing_partly },
	{ "thp-partly", 64, false, make_thp_with_holes, restore_partly, nr_missing_partly },
	{ "4k-missing", 64, false, make_4k_in_order, restore_nothing, nr_missing_all },
	{ "thp-missing", 64, false, make_thp, restore_nothing, nr_missing_all },
};

void memory_make(struct memory *m, const struct kind *kind)
{
	*m = (struct memory) { .len = kind->mib * MIB };
	kind->make(m);
}

void memory_free(struct memory *m)
{
	munmap(m->start, m->len);
}
