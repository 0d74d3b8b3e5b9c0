// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device writes through an entry that is writable and clean is known to
 * nobody else: it must survive reclaim. Each case has a control that leaves out the
 * marking and must lose the data; a case that could not fail would tell nothing.
 */
#include "edu.h"
#include "edu_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#define SWAP_FILE	DISK_DIR "/edu-swap"

/*
 * Pages on their way to a list of the LRU wait in batches of each CPU, where nothing
 * can be done with them. MADV_PAGEOUT empties the batches of its own CPU first.
 */
static void stay_on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	TRY(sched_setaffinity(0, sizeof(cpus), &cpus));
}

static void drain_batches(void)
{
	char *nothing = map_anon(PAGE_LEN);

	TRY(madvise(nothing, PAGE_LEN, MADV_PAGEOUT));
	TRY(munmap(nothing, PAGE_LEN));
}

static void swap_on(void)
{
	char *swaps = read_text("/proc/swaps");

	if (!strstr(swaps, SWAP_FILE)) {
		run_command("dd if=/dev/zero of=%s bs=1M count=32 status=none && "
			    "chmod 600 %s && mkswap %s >/dev/null", SWAP_FILE,
			    SWAP_FILE, SWAP_FILE);
		TRY(swapon(SWAP_FILE, 0));
	}
	free(swaps);
}

/* The device writes to a page through an entry that is clean. */
static void write_clean(int fd, char *va, bool no_dirty)
{
	struct hme_mapping mapping;
	unsigned char data[64];

	edu_config(fd, 0, no_dirty);
	fill(data, 64, 9);
	CHECK_EQ(edu_write(fd, va, data, 64, 0), 0);
	mapping = edu_mapping(fd, va);
	CHECK(mapping.flags & HME_MAPPED_WRITE);
	CHECK(!(mapping.flags & HME_MAPPED_DIRTY));
}

static void swapped_in(bool no_dirty)
{
	char *va = map_anon(PAGE_LEN);
	int fd = edu_open();

	stay_on_one_cpu();
	swap_on();
	fill(va, 64, 8);
	CHECK(page_out(va, PAGE_LEN));
	CHECK(page_is_swapped(va));
	/* A read brings it back, writable as it is nobody else's, and clean. */
	CHECK(filled(va, 64, 8));
	CHECK(page_is_present(va));
	write_clean(fd, va, no_dirty);
	CHECK(page_out(va, PAGE_LEN));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK(filled(va, 64, no_dirty ? 8 : 9));
	close(fd);
}

void written_after_swap_in_is_kept(void)
{
	swapped_in(false);
}

void control_written_after_swap_in_is_lost(void)
{
	swapped_in(true);
}

static void lazily_freed(bool no_dirty)
{
	char *va = map_anon(PAGE_LEN);
	int fd = edu_open();

	stay_on_one_cpu();
	swap_on();
	fill(va, 64, 8);
	drain_batches();
	TRY(madvise(va, PAGE_LEN, MADV_FREE));
	drain_batches();
	CHECK(page_is_present(va));
	write_clean(fd, va, no_dirty);
	page_out(va, PAGE_LEN);
	if (no_dirty)
		CHECK_EQ(va[0] | va[63], 0);
	else
		CHECK(filled(va, 64, 9));
	close(fd);
}

void written_after_madv_free_is_kept(void)
{
	lazily_freed(false);
}

void control_written_after_madv_free_is_lost(void)
{
	lazily_freed(true);
}

static void shared_hole(bool no_dirty)
{
	int fd = edu_open(), memfd;
	char *va = map_memfd(PAGE_LEN, &memfd);

	stay_on_one_cpu();
	swap_on();
	/* A read fills the hole with a page that is like the hole: clean. */
	CHECK_EQ(*(volatile char *)va, 0);
	CHECK(page_is_present(va));
	write_clean(fd, va, no_dirty);
	CHECK(page_out(va, PAGE_LEN));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	if (no_dirty)
		CHECK_EQ(va[0] | va[63], 0);
	else
		CHECK(filled(va, 64, 9));
	close(fd);
}

void written_to_a_shared_hole_is_kept(void)
{
	shared_hole(false);
}

void control_written_to_a_shared_hole_is_lost(void)
{
	shared_hole(true);
}

/*
 * Writeback makes the entries read-only, by an event: the device asks for write again
 * each time, so the file system knows.
 */
void written_after_msync_reaches_the_disk(void)
{
	int file = make_file(PAGE_LEN), fd = edu_open(), disk;
	char path[64], *va, *data;
	unsigned int round;

	va = TRY(mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
	data = TRY(mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	disk = TRY(open(path, O_RDONLY | O_DIRECT | O_CLOEXEC));
	va[0] = 1;
	for (round = 0; round < 3; round++) {
		fill(data, PAGE_LEN, 10 + round);
		CHECK_EQ(edu_write(fd, va, data, PAGE_LEN, 0), 0);
		TRY(msync(va, PAGE_LEN, MS_SYNC));
		CHECK_EQ(edu_stats(fd).nr_live, 0);
		memset(data, 0, PAGE_LEN);
		CHECK_EQ(pread(disk, data, PAGE_LEN, 0), PAGE_LEN);
		CHECK(filled(data, PAGE_LEN, 10 + round));
	}
	close(fd);
}

void written_file_page_survives_reclaim(void)
{
	int file = make_file(PAGE_LEN), fd = edu_open();
	unsigned char data[64];
	char *va;

	va = TRY(mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
	fill(data, 64, 12);
	CHECK_EQ(edu_write(fd, va, data, 64, 0), 0);
	TRY(munmap(va, PAGE_LEN));
	TRY(fdatasync(file));
	TRY(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
	memset(data, 0, 64);
	CHECK_EQ(pread(file, data, 64, 0), 64);
	CHECK(filled(data, 64, 12));
	close(fd);
}
