// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system learns that a DAX page may be dirty when an entry becomes writable, and
 * forgets it in fsync(), which takes write permission away again. So no device may
 * keep it: its next write has to be asked for, and makes the page dirty again. What
 * fsync() has to flush is seen by the tracepoint of each piece it flushes.
 */
#include "dax.h"
#include "dax_cases.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACING		"/sys/kernel/tracing/"
#define FLUSHES		TRACING "events/fs_dax/dax_writeback_one/"

/* fsync(), and whether it flushed the page that @at bytes lie in. */
static bool fsync_flushes(int fd, size_t at)
{
	unsigned long long ino, offset, npages, page = at / PAGE_LEN;
	char *trace, *line, *found, *save;
	struct stat info;
	bool flushed = false;

	TRY(fstat(fd, &info));
	write_text(TRACING "trace", "\n");
	write_text(FLUSHES "enable", "1");
	TRY(fsync(fd));
	write_text(FLUSHES "enable", "0");
	trace = read_text(TRACING "trace");
	CHECK(trace);
	for (line = strtok_r(trace, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		found = strstr(line, "dax_writeback_one: ");
		if (!found)
			continue;
		found = strstr(found, " ino ");
		CHECK(found);
		CHECK_EQ(sscanf(found, " ino %llx pgoff %llx pglen %llx", &ino,
				&offset, &npages), 3);
		flushed |= ino == info.st_ino && offset <= page &&
			   page < offset + npages;
	}
	free(trace);
	return flushed;
}

static void check_dirty_again(size_t skew, int flags)
{
	int fd = make_file("dirty", HUGE_LEN);
	char *va = map_file(fd, HUGE_LEN, skew, flags);
	struct mirror *mirror = mirror_open(va, HUGE_LEN);
	unsigned char data[64];
	unsigned int round;

	for (round = 1; round <= 3; round++) {
		mirror_fault(mirror, HMT_REQ_WRITE);
		fill(data, 64, round);
		CHECK_EQ(device_write(mirror, 8192, data, 64), 0);
		CHECK(fsync_flushes(fd, 8192));
		/* Nothing can be written behind its back. */
		CHECK(!mirror_valid(mirror));
		CHECK_EQ(device_write(mirror, 8192, "late", 4), EFAULT);
		/* Nobody has written: a flush would show that nothing is told. */
		CHECK(!fsync_flushes(fd, 8192));
		CHECK_EQ(pread(fd, data, 64, 8192), 64);
		CHECK(filled(data, 64, round));
		/* What can be had without asking is not writable. */
		mirror_fault(mirror, 0);
		CHECK(!(device_page(mirror, 8192) & HMT_PAGE_WRITE));
	}
	mirror_close(mirror);
}

void huge_entry_is_dirty_again_after_fsync(void)
{
	check_dirty_again(0, 0);
}

void small_entry_is_dirty_again_after_fsync(void)
{
	check_dirty_again(PAGE_LEN, 0);
}

void map_sync_is_dirty_again_after_fsync(void)
{
	check_dirty_again(0, MAP_SYNC);
}

/* Blocks that are not there yet: the write fault makes them, and notes it on disk. */
void map_sync_into_a_hole(void)
{
	int fd = make_file("sync", 0);
	unsigned char data[64];
	struct mirror *mirror;

	TRY(ftruncate(fd, (off_t)HUGE_LEN));
	mirror = mirror_open(map_file(fd, HUGE_LEN, PAGE_LEN, MAP_SYNC), HUGE_LEN);
	/* A read finds the hole: zeros, which cannot be written. */
	mirror_fault(mirror, HMT_REQ_READ);
	CHECK_EQ(device_read(mirror, 4096, data, 64), 0);
	CHECK_EQ(data[0] | data[63], 0);
	CHECK(!(device_page(mirror, 4096) & HMT_PAGE_WRITE));
	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK_EQ(extent_kind(mirror, extent_at(mirror, 4096)), HMT_DEV_DAX);
	fill(data, 64, 8);
	CHECK_EQ(device_write(mirror, 4096, data, 64), 0);
	CHECK_EQ(pread(fd, data, 64, 4096), 64);
	CHECK(filled(data, 64, 8));
	mirror_close(mirror);
}
