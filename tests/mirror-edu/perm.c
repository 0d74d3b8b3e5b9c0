// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device may do to a page is what the page table says of that page: read-only
 * pages can be read, and only read.
 */
#include "edu.h"
#include "edu_cases.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void write_permission_is_each_pages_own(void)
{
	struct hme_map map = { .req = REQ_READ };
	char *va = map_anon(16 * PAGE_LEN);
	int fd = edu_open();
	unsigned int i;

	memset(va, 1, 16 * PAGE_LEN);
	/* An irregular sequence: no shifted copy of it looks the same. */
	for (i = 0; i < 16; i++)
		if (0x9a71 >> i & 1)
			TRY(mprotect(va + i * PAGE_LEN, PAGE_LEN, PROT_READ));
	/* From the middle on, then all: offsets differ from addresses. */
	CHECK_EQ(edu_map(fd, va + 5 * PAGE_LEN, 11 * PAGE_LEN, &map), 0);
	CHECK_EQ(edu_map(fd, va, 16 * PAGE_LEN, &map), 0);
	for (i = 0; i < 16; i++)
		CHECK_EQ(!(edu_mapping(fd, va + i * PAGE_LEN).flags &
			   HME_MAPPED_WRITE),
			 0x9a71 >> i & 1);
	close(fd);
}

void write_to_a_read_only_page_is_refused(void)
{
	char *va = map_anon(PAGE_LEN);
	int fd = edu_open();
	char data[8];

	memset(va, 'r', PAGE_LEN);
	TRY(mprotect(va, PAGE_LEN, PROT_READ));
	CHECK_EQ(edu_read(fd, va, data, 8, 0), 0);
	CHECK(!memcmp(data, "rrrrrrrr", 8));
	CHECK_EQ(edu_write(fd, va, "ww", 2, HME_NO_FAULT), ENOENT);
	CHECK_EQ(edu_write(fd, va, "ww", 2, 0), EPERM);
	CHECK(!memcmp(va, "rrrr", 4));
	close(fd);
}

/* Pages of three kinds that may only be read, with known text at their start. */
static unsigned int read_only_pages(const char *pages[3])
{
	int file = make_file(PAGE_LEN);
	char *private = map_anon(PAGE_LEN);

	CHECK_EQ(pwrite(file, "file", 4, 0), 4);
	pages[0] = TRY(mmap(NULL, PAGE_LEN, PROT_READ, MAP_SHARED, file, 0));
	memcpy(private, "anon", 4);
	TRY(mprotect(private, PAGE_LEN, PROT_READ));
	pages[1] = private;
	/* The zero page. */
	pages[2] = map_anon(PAGE_LEN);
	CHECK_EQ(*(volatile const char *)pages[2], 0);
	return 3;
}

void read_only_pages_can_be_read(void)
{
	const char *pages[3];
	unsigned int nr = read_only_pages(pages), i;
	struct hme_mapping mapping;
	int fd = edu_open();
	char data[4];

	for (i = 0; i < nr; i++) {
		memset(data, 'x', 4);
		mapping = MAPPED_BY(CHECK_EQ(edu_read(fd, pages[i], data, 4, 0), 0), fd,
				    pages[i]);
		CHECK(!(mapping.flags & HME_MAPPED_WRITE));
		CHECK(!memcmp(data, pages[i], 4));
	}
	close(fd);
}

/* Writes to where a page is mapped for reading, until the mapping was there all the time. */
static void write_by_bus_address(int fd, const char *page)
{
	struct hme_mapping before, after;
	char data[4];

	do {
		before = MAPPED_BY(CHECK_EQ(edu_read(fd, page, data, 4, 0), 0), fd, page);
		memcpy(data, "evil", 4);
		edu_raw(fd, before.dma, data, 4, HME_WRITE);
	} while (!edu_find_mapping(fd, page, &after) || after.dma != before.dma);
}

/* The device's own table refuses the write; the IOMMU must, too. */
void read_only_extent_cannot_be_written(void)
{
	const char *pages[3];
	unsigned int nr, i;
	char before[4];
	int fd;

	if (!behind_iommu())
		SKIP("no IOMMU");
	fd = edu_open();
	nr = read_only_pages(pages);
	for (i = 0; i < nr; i++) {
		memcpy(before, pages[i], 4);
		write_by_bus_address(fd, pages[i]);
		if (memcmp(pages[i], before, 4))
			FAIL("page %u was written", i);
	}
	close(fd);
}

void a_page_that_becomes_writable_is_mapped_anew(void)
{
	struct hme_map map = { .req = REQ_READ };
	char *va = map_anon(2 * PAGE_LEN);
	int fd = edu_open();
	char data[4];
	pid_t child;

	CHECK_EQ(*(volatile char *)va, 0);
	CHECK_EQ(edu_map(fd, va, PAGE_LEN, &map), 0);
	CHECK(!(edu_mapping(fd, va).flags & HME_MAPPED_WRITE));
	CHECK_EQ(edu_write(fd, va, "wwww", 4, 0), 0);
	CHECK(!memcmp(va, "wwww", 4));
	CHECK(edu_mapping(fd, va).flags & HME_MAPPED_WRITE);

	/*
	 * fork() makes the entry read-only. The child gone, the page is the parent's
	 * alone again, and a write makes the same page writable without any event.
	 */
	memset(va + PAGE_LEN, 'f', 4);
	child = TRY(fork());
	if (!child)
		_exit(0);
	TRY(waitpid(child, NULL, 0));
	CHECK_EQ(edu_read(fd, va + PAGE_LEN, data, 4, 0), 0);
	CHECK(!(edu_mapping(fd, va + PAGE_LEN).flags & HME_MAPPED_WRITE));
	CHECK_EQ(edu_write(fd, va + PAGE_LEN, "gggg", 4, 0), 0);
	CHECK(edu_mapping(fd, va + PAGE_LEN).flags & HME_MAPPED_WRITE);
	CHECK(!memcmp(va + PAGE_LEN, "gggg", 4));
	close(fd);
}
