// SPDX-License-Identifier: GPL-2.0-only
/* Data goes both ways, whatever the memory is. */
#include "edu.h"
#include "edu_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The device reads and writes across the border of the first two pages of @va. */
static void check_both_ways(char *va)
{
	struct hme_mapping mapping;
	unsigned char data[600];
	int fd = edu_open();

	fill(va, 2 * PAGE_LEN, 1);
	memset(data, 0, sizeof(data));
	CHECK_EQ(edu_read(fd, va + PAGE_LEN - 300, data, 600, 0), 0);
	CHECK(!memcmp(data, va + PAGE_LEN - 300, 600));

	fill(data, 600, 2);
	/* The second page is done last, so nothing has happened to it for long. */
	mapping = MAPPED_BY(CHECK_EQ(edu_write(fd, va + PAGE_LEN - 301, data, 600, 0), 0),
			    fd, va + PAGE_LEN);
	CHECK(filled(va + PAGE_LEN - 301, 600, 2));
	CHECK(filled(va, PAGE_LEN - 301, 1));
	CHECK_EQ(edu_stats(fd).in_flight, 0);
	/* Whatever the read has mapped, now it may be written. */
	CHECK(mapping.flags & HME_MAPPED_WRITE);
	close(fd);
}

void malloc_memory_both_ways(void)
{
	char *va = malloc(16 * PAGE_LEN);

	CHECK(va);
	va += PAGE_LEN - (uintptr_t)va % PAGE_LEN;
	check_both_ways(va);
}

void huge_page_both_ways(void)
{
	char *va = map_thp(HUGE_LEN);
	unsigned char data[16];
	struct hme_map map = { .req = REQ_WRITE };
	int fd = edu_open();

	fill(va + HUGE_LEN - 16, 16, 3);
	CHECK_EQ(edu_map(fd, va, HUGE_LEN, &map), 0);
	CHECK_EQ(map.nr_mapped, 1);
	CHECK(edu_mapping(fd, va).flags & HME_MAPPED_HUGE);
	/* The far end of the one mapping. */
	CHECK_EQ(edu_read(fd, va + HUGE_LEN - 16, data, 16, HME_NO_FAULT), 0);
	CHECK(filled(data, 16, 3));
	close(fd);
	check_both_ways(va);
}

void file_both_ways(void)
{
	int file = make_file(4 * PAGE_LEN);
	unsigned char data[600];
	char *va = TRY(mmap(NULL, 4 * PAGE_LEN, PROT_READ | PROT_WRITE,
			    MAP_SHARED, file, 0));

	check_both_ways(va);
	/* What the device wrote is the file's, not a copy. */
	CHECK_EQ(pread(file, data, 600, PAGE_LEN - 301), 600);
	CHECK(filled(data, 600, 2));
}

void private_file_is_copied_on_write(void)
{
	int file = make_file(PAGE_LEN), fd = edu_open();
	unsigned char data[64];
	char *va;

	fill(data, 64, 4);
	CHECK_EQ(pwrite(file, data, 64, 0), 64);
	va = TRY(mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
	CHECK_EQ(edu_read(fd, va, data, 64, 0), 0);
	CHECK(filled(data, 64, 4));
	CHECK(!(edu_mapping(fd, va).flags & HME_MAPPED_WRITE));

	fill(data, 64, 5);
	CHECK_EQ(edu_write(fd, va, data, 64, 0), 0);
	CHECK(filled(va, 64, 5));
	CHECK_EQ(pread(file, data, 64, 0), 64);
	CHECK(filled(data, 64, 4));
}

void memfd_both_ways(void)
{
	int memfd;

	check_both_ways(map_memfd(4 * PAGE_LEN, &memfd));
}

#define DAX_DIR	"/mnt/edu-dax"

/* Storage the CPU maps is no RAM, but the device reaches it all the same. */
void dax_file_both_ways(void)
{
	struct hme_map map = { .req = REQ_WRITE };
	int fd = edu_open(), file;
	struct hme_mapping mapping;
	unsigned char data[16];
	char *va;

	run_command("modprobe -qa nd_e820 nd_pmem; mkfs.ext4 -q -F /dev/pmem0 && "
		    "mkdir -p " DAX_DIR " && mount -o dax=always /dev/pmem0 " DAX_DIR);
	file = TRY(open(DAX_DIR "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	TRY(ftruncate(file, 4 * PAGE_LEN));
	va = TRY(mmap(NULL, 4 * PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		      file, 0));
	check_both_ways(va);

	mapping = MAPPED_BY(CHECK_EQ(edu_map(fd, va, 4 * PAGE_LEN, &map), 0), fd, va);
	CHECK(mapping.flags & HME_MAPPED_DEVICE);
	CHECK(mapping.flags & HME_MAPPED_WRITE);
	/* Neither of them waits for the device's mapping, both take it away. */
	TRY(fsync(file));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK_EQ(edu_write(fd, va, "once more", 9, HME_NO_FAULT), ENOENT);
	CHECK_EQ(edu_write(fd, va, "once more", 9, 0), 0);
	CHECK_EQ(pread(file, data, 9, 0), 9);
	CHECK(!memcmp(data, "once more", 9));
	TRY(ftruncate(file, 0));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK_EQ(edu_read(fd, va, data, 9, 0), EFAULT);
	TRY(munmap(va, 4 * PAGE_LEN));
	close(file);
	close(fd);
	run_command("umount " DAX_DIR);
}

/* Two mirrors of one mm, each with a mapping of its own. */
void two_clients_of_one_mm(void)
{
	int first = edu_open(), second = edu_open();
	char *va = map_anon(PAGE_LEN);
	unsigned char data[32];

	fill(data, 32, 6);
	CHECK_EQ(edu_write(first, va, data, 32, 0), 0);
	memset(data, 0, sizeof(data));
	CHECK_EQ(edu_read(second, va, data, 32, 0), 0);
	CHECK(filled(data, 32, 6));
	if (behind_iommu())
		CHECK(edu_mapping(first, va).dma != edu_mapping(second, va).dma);
	close(first);
	CHECK_EQ(edu_read(second, va, data, 32, HME_NO_FAULT), 0);
}
