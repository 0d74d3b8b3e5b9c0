// SPDX-License-Identifier: GPL-2.0-only
/* A file changes under its mirror. */
#include "dax.h"
#include "dax_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_LEN	(2 * HUGE_LEN)

/* All of it faulted for writing, as far as it can be: huge or small. */
static struct mirror *mirror_file(int fd, size_t skew)
{
	char *va = map_file(fd, FILE_LEN, skew, 0);
	struct mirror *mirror = mirror_open(va, FILE_LEN);

	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK(mirror_valid(mirror));
	CHECK_EQ(nr_device_pages(mirror), FILE_LEN / PAGE_LEN);
	return mirror;
}

static void check_mapping(size_t skew, bool huge)
{
	int fd = make_file("map", FILE_LEN);
	struct mirror *mirror = mirror_file(fd, skew);
	unsigned char data[600], seen[600];
	const struct hmt_extent *ext;
	uint64_t npages = 0;
	unsigned int i;

	for (i = 0; i < mirror->nr; i++) {
		ext = &mirror->extents[i];
		CHECK(ext->va_flags & HMT_EXT_VALID);
		CHECK(ext->va_flags & HMT_EXT_WRITE);
		CHECK(ext->va_flags & HMT_EXT_DEVICE);
		CHECK_EQ(!!(ext->va_flags & HMT_EXT_HUGE), huge);
		CHECK_EQ(extent_kind(mirror, ext), HMT_DEV_DAX);
		npages += ext->pfn_npages >> HMT_EXT_NPAGES_SHIFT;
	}
	CHECK_EQ(npages, FILE_LEN / PAGE_LEN);

	fill(data, sizeof(data), 1);
	CHECK_EQ(device_write(mirror, HUGE_LEN - 300, data, 600), 0);
	CHECK(filled(mirror->va + HUGE_LEN - 300, 600, 1));
	CHECK_EQ(pread(fd, seen, 600, HUGE_LEN - 300), 600);
	CHECK(filled(seen, 600, 1));
	fill(data, sizeof(data), 2);
	CHECK_EQ(pwrite(fd, data, 600, 5000), 600);
	CHECK_EQ(device_read(mirror, 5000, seen, 600), 0);
	CHECK(filled(seen, 600, 2));
	mirror_close(mirror);
}

void huge_entries_are_huge_dax_extents(void)
{
	check_mapping(0, true);
}

void small_entries_are_small_dax_extents(void)
{
	check_mapping(PAGE_LEN, false);
}

static void check_truncate(size_t skew)
{
	int fd = make_file("cut", FILE_LEN);
	struct mirror *mirror = mirror_file(fd, skew);
	uint64_t before = nr_events(mirror);
	char data[8];
	size_t at;

	/* It returns while all is mapped in the device: nobody but the event unmaps. */
	TRY(ftruncate(fd, (off_t)HUGE_LEN));
	CHECK(nr_events(mirror) > before);
	CHECK(!mirror_valid(mirror));
	/* The file systems take the whole file out of the page tables. */
	CHECK(nr_device_pages(mirror) <= HUGE_LEN / PAGE_LEN);
	for (at = HUGE_LEN; at < FILE_LEN; at += PAGE_LEN)
		CHECK_EQ(device_page(mirror, at), 0);
	CHECK_EQ(device_read(mirror, HUGE_LEN, data, 8), EFAULT);

	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK_EQ(extent_errno(extent_at(mirror, HUGE_LEN)), EFAULT);
	CHECK(extent_at(mirror, 0)->va_flags & HMT_EXT_VALID);
	CHECK_EQ(device_read(mirror, HUGE_LEN - 8, data, 8), 0);

	TRY(ftruncate(fd, 0));
	CHECK_EQ(nr_device_pages(mirror), 0);
	mirror_fault(mirror, HMT_REQ_READ);
	CHECK_EQ(mirror->nr, 1);
	CHECK_EQ(extent_errno(&mirror->extents[0]), EFAULT);

	/* The file again, with nothing in it. */
	TRY(ftruncate(fd, (off_t)FILE_LEN));
	mirror_fault(mirror, HMT_REQ_WRITE);
	memset(data, 1, 8);
	CHECK_EQ(device_read(mirror, HUGE_LEN - 8, data, 8), 0);
	CHECK_EQ(data[0] | data[7], 0);
	mirror_close(mirror);
}

void truncate_takes_huge_entries_away(void)
{
	check_truncate(0);
}

void truncate_takes_small_entries_away(void)
{
	check_truncate(PAGE_LEN);
}

/*
 * A page reference does delay a truncation: one held by a pipe. So it tells something
 * that a mirror does not.
 */
void control_page_reference_delays_truncate(void)
{
	int fd = make_file("held", HUGE_LEN), pipes[2], status;
	char *va = map_file(fd, HUGE_LEN, 0, 0), page[PAGE_LEN];
	struct iovec iov = { .iov_base = va, .iov_len = PAGE_LEN };
	pid_t child;

	va[0] = 1;
	TRY(pipe(pipes));
	CHECK_EQ(vmsplice(pipes[1], &iov, 1, 0), PAGE_LEN);
	child = TRY(fork());
	if (!child)
		_exit(ftruncate(fd, 0) != 0);
	/* What must not happen is looked for, for a while; it takes far less. */
	usleep(500000);
	CHECK_EQ(TRY(waitpid(child, &status, WNOHANG)), 0);
	CHECK_EQ(read(pipes[0], page, PAGE_LEN), PAGE_LEN);
	TRY(waitpid(child, &status, 0));
	CHECK_EQ(status, 0);
}

static void check_punch(size_t skew)
{
	int fd = make_file("hole", FILE_LEN);
	struct mirror *mirror = mirror_file(fd, skew);
	size_t at = 16 * PAGE_LEN;
	unsigned char data[16];

	fill(data, 16, 3);
	CHECK_EQ(device_write(mirror, at, data, 16), 0);
	CHECK_EQ(device_write(mirror, at + PAGE_LEN, data, 16), 0);
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		      PAGE_LEN));
	CHECK(!mirror_valid(mirror));
	CHECK_EQ(device_page(mirror, at), 0);
	CHECK_EQ(device_read(mirror, at, data, 16), EFAULT);

	mirror_fault(mirror, HMT_REQ_READ);
	CHECK_EQ(device_read(mirror, at, data, 16), 0);
	CHECK_EQ(data[0] | data[15], 0);
	CHECK_EQ(device_read(mirror, at + PAGE_LEN, data, 16), 0);
	CHECK(filled(data, 16, 3));
	/* The hole may be read but not written before it is filled. */
	CHECK_EQ(device_write(mirror, at, data, 16), EFAULT);
	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK_EQ(device_write(mirror, at, data, 16), 0);
	CHECK(filled(mirror->va + at, 16, 3));
	mirror_close(mirror);
}

void punched_hole_in_huge_entry(void)
{
	check_punch(0);
}

void punched_hole_in_small_entries(void)
{
	check_punch(PAGE_LEN);
}

/* The clone keeps the old blocks: who writes gets new ones. */
static int clone_file(int fd)
{
	int clone = make_file("clone", 0);

	if (ioctl(clone, FICLONE, fd)) {
		CHECK(errno == EOPNOTSUPP || errno == ENOTTY);
		SKIP("%s has no reflink", kind);
	}
	return clone;
}

void reflink_then_device_writes(void)
{
	int fd = make_file("link", FILE_LEN), clone;
	struct mirror *mirror = mirror_file(fd, 0);
	unsigned char data[64];
	uint64_t old;

	fill(data, 64, 4);
	CHECK_EQ(device_write(mirror, 0, data, 64), 0);
	old = device_page(mirror, 0);
	clone = clone_file(fd);
	/* Shared from now on: what was writable is not. */
	CHECK(!mirror_valid(mirror));
	CHECK_EQ(device_write(mirror, 0, data, 64), EFAULT);

	fill(data, 64, 5);
	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK_EQ(device_write(mirror, 0, data, 64), 0);
	CHECK(((device_page(mirror, 0) ^ old) & HMT_EXT_PFN) != 0);
	CHECK_EQ(pread(fd, data, 64, 0), 64);
	CHECK(filled(data, 64, 5));
	CHECK_EQ(pread(clone, data, 64, 0), 64);
	CHECK(filled(data, 64, 4));
	mirror_close(mirror);
}

void reflink_then_cpu_writes(void)
{
	int fd = make_file("link", FILE_LEN), clone;
	struct mirror *mirror = mirror_file(fd, PAGE_LEN);
	unsigned char data[64];
	uint64_t old;

	fill(data, 64, 6);
	CHECK_EQ(device_write(mirror, 0, data, 64), 0);
	clone = clone_file(fd);
	/* The device reads the shared block. */
	mirror_fault(mirror, HMT_REQ_READ);
	CHECK(mirror_valid(mirror));
	old = device_page(mirror, 0);
	CHECK(!(old & HMT_PAGE_WRITE));
	/* A new block takes its place, so the device must lose the old one. */
	mirror->va[0] = 'x';
	CHECK(!mirror_valid(mirror));
	CHECK_EQ(device_page(mirror, 0), 0);
	mirror_fault(mirror, HMT_REQ_READ);
	CHECK(((device_page(mirror, 0) ^ old) & HMT_EXT_PFN) != 0);
	CHECK_EQ(device_read(mirror, 0, data, 64), 0);
	CHECK_EQ(data[0], 'x');
	CHECK_EQ(pread(clone, data, 64, 0), 64);
	CHECK(filled(data, 64, 6));
	mirror_close(mirror);
}

/* Over a mirrored file another one is cloned: its old blocks are freed. */
void reflink_over_a_mirrored_file(void)
{
	int fd = make_file("target", FILE_LEN), source = make_file("source", FILE_LEN);
	struct mirror *mirror = mirror_file(fd, 0);
	unsigned char data[64];

	fill(data, 64, 7);
	CHECK_EQ(pwrite(source, data, 64, 0), 64);
	if (ioctl(fd, FICLONE, source)) {
		CHECK(errno == EOPNOTSUPP || errno == ENOTTY);
		SKIP("%s has no reflink", kind);
	}
	CHECK(!mirror_valid(mirror));
	CHECK_EQ(nr_device_pages(mirror), 0);
	mirror_fault(mirror, HMT_REQ_READ);
	memset(data, 0, 64);
	CHECK_EQ(device_read(mirror, 0, data, 64), 0);
	CHECK(filled(data, 64, 7));
	mirror_close(mirror);
}
