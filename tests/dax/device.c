// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/dax: no file system, entries of the namespace's alignment. And devices that go
 * while they are mirrored.
 */
#include "dax.h"
#include "dax_cases.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP_LEN		(2 * HUGE_LEN)

void device_entries_are_dax_extents(void)
{
	bool huge = !strcmp(kind, "dev-2m");
	unsigned char data[600];
	struct mirror *mirror;
	uint64_t npages = 0;
	unsigned int i;
	size_t len;
	int fd = open_dax_device(&len);

	CHECK(len >= MAP_LEN);
	mirror = mirror_open(map_file(fd, MAP_LEN, 0, 0), MAP_LEN);
	mirror_fault(mirror, HMT_REQ_WRITE);
	for (i = 0; i < mirror->nr; i++) {
		CHECK(mirror->extents[i].va_flags & HMT_EXT_VALID);
		CHECK(mirror->extents[i].va_flags & HMT_EXT_WRITE);
		CHECK(mirror->extents[i].va_flags & HMT_EXT_DEVICE);
		CHECK_EQ(!!(mirror->extents[i].va_flags & HMT_EXT_HUGE), huge);
		CHECK_EQ(extent_kind(mirror, &mirror->extents[i]), HMT_DEV_DAX);
		npages += mirror->extents[i].pfn_npages >> HMT_EXT_NPAGES_SHIFT;
	}
	CHECK_EQ(npages, MAP_LEN / PAGE_LEN);
	fill(data, 600, 1);
	CHECK_EQ(device_write(mirror, HUGE_LEN - 300, data, 600), 0);
	CHECK(filled(mirror->va + HUGE_LEN - 300, 600, 1));
	memset(mirror->va, 'c', 16);
	CHECK_EQ(device_read(mirror, 0, data, 16), 0);
	CHECK_EQ(data[15], 'c');
	mirror_close(mirror);
}

void device_munmap_ends_access(void)
{
	struct mirror *mirror;
	char data[8];
	size_t len;
	int fd = open_dax_device(&len);

	mirror = mirror_open(map_file(fd, MAP_LEN, 0, 0), MAP_LEN);
	mirror_fault(mirror, HMT_REQ_WRITE);
	TRY(munmap(mirror->va, HUGE_LEN));
	CHECK(!mirror_valid(mirror));
	CHECK_EQ(device_read(mirror, 0, data, 8), EFAULT);
	CHECK_EQ(nr_device_pages(mirror), HUGE_LEN / PAGE_LEN);
	mirror_fault(mirror, HMT_REQ_READ);
	CHECK_EQ(extent_errno(extent_at(mirror, 0)), EFAULT);
	CHECK(extent_at(mirror, HUGE_LEN)->va_flags & HMT_EXT_VALID);
	mirror_close(mirror);
}

static void on_bus_error(int number)
{
	_exit(number == SIGBUS ? 0 : 1);
}

/* The last case: afterwards the device is there again, but empty. */
void device_removed_under_a_mirror(void)
{
	struct mirror *mirror;
	uint64_t before;
	char data[8];
	size_t len;
	int fd = open_dax_device(&len), status;
	pid_t child;

	mirror = mirror_open(map_file(fd, MAP_LEN, 0, 0), MAP_LEN);
	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK(mirror_valid(mirror));
	before = nr_events(mirror);

	/* Returns once no page of the device is in use; the mirror holds none. */
	run_command("ndctl disable-namespace namespace1.0 >/dev/null 2>&1");
	CHECK(access("/dev/dax1.0", F_OK));
	CHECK(nr_events(mirror) > before);
	CHECK(!mirror_valid(mirror));
	CHECK_EQ(nr_device_pages(mirror), 0);
	CHECK_EQ(device_read(mirror, 0, data, 8), EFAULT);

	/* The VMA is still there, with nothing behind it. */
	mirror_fault(mirror, HMT_REQ_READ);
	CHECK_EQ(mirror->nr, 1);
	CHECK_EQ(extent_errno(&mirror->extents[0]), EFAULT);
	child = TRY(fork());
	if (!child) {
		signal(SIGBUS, on_bus_error);
		_exit(2 + *(volatile char *)mirror->va);
	}
	TRY(waitpid(child, &status, 0));
	CHECK_EQ(status, 0);
	TRY(munmap(mirror->va, MAP_LEN));
	mirror_close(mirror);
	close(fd);
	run_command("ndctl enable-namespace namespace1.0 >/dev/null 2>&1");
}

/*
 * A file in the last or the first allocation group of an XFS: new directories are given the
 * groups in turn, files lie in the group of their directory, and inode numbers grow from
 * group to group.
 */
static int make_file_in_group(bool last)
{
	char dir[64], path[128], best[64] = "";
	ino_t best_ino = 0;
	struct stat info;

	for (unsigned int i = 0; i < 8; i++) {
		snprintf(dir, sizeof(dir), "group-%u", i);
		snprintf(path, sizeof(path), "%s/%s", MOUNT_DIR, dir);
		TRY(mkdir(path, 0700));
		TRY(stat(path, &info));
		if (!i || (info.st_ino > best_ino) == last) {
			best_ino = info.st_ino;
			strcpy(best, dir);
		}
	}
	snprintf(path, sizeof(path), "%s/removed", best);
	return make_file(path, MAP_LEN);
}

/*
 * A process with a file mapped and mirrored; asks to be let on when it is ready. In the last
 * group: 7.3 goes round for 2^32 pages where a file lies in another one, mirrored or not, as
 * the end of the group overflows in XFS (xfs_dax_notify_dev_failure()).
 */
static int mirror_until_removed(int ready, int go)
{
	int fd = make_file_in_group(true);
	struct mirror *mirror;
	uint64_t before;
	char data[8];

	/* The kernel tells who has the memory mapped. */
	signal(SIGBUS, SIG_IGN);
	mirror = mirror_open(map_file(fd, MAP_LEN, 0, 0), MAP_LEN);
	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK(mirror_valid(mirror));
	before = nr_events(mirror);
	CHECK_EQ(write(ready, "r", 1), 1);
	CHECK_EQ(read(go, data, 1), 1);
	CHECK(nr_events(mirror) > before);
	CHECK(!mirror_valid(mirror));
	CHECK_EQ(nr_device_pages(mirror), 0);
	CHECK_EQ(device_read(mirror, 0, data, 8), EFAULT);
	return 0;
}

/* Without a mirror, in the first group: what the kernel does by itself. */
static int map_until_removed(int ready, int go)
{
	int fd = make_file_in_group(false);
	char byte, *va;

	signal(SIGBUS, SIG_IGN);
	va = map_file(fd, MAP_LEN, 0, 0);
	memset(va, 1, MAP_LEN);
	CHECK_EQ(write(ready, "r", 1), 1);
	CHECK_EQ(read(go, &byte, 1), 1);
	return 0;
}

/* The driver leaves a device with a mounted file system, which unmaps all files. */
static void remove_under(int (*until_removed)(int ready, int go))
{
	int ready[2], go[2], status;
	pid_t child;
	char byte;

	TRY(pipe(ready));
	TRY(pipe(go));
	child = TRY(fork());
	if (!child)
		_exit(until_removed(ready[1], go[0]));
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	run_command("echo namespace0.0 >/sys/bus/nd/drivers/nd_pmem/unbind");
	CHECK(access("/dev/pmem0", F_OK));
	CHECK_EQ(write(go[1], "g", 1), 1);
	TRY(waitpid(child, &status, 0));
	CHECK_EQ(status, 0);
}

void device_of_a_file_system_removed(void)
{
	remove_under(mirror_until_removed);
}

void control_file_in_the_first_group(void)
{
	remove_under(map_until_removed);
}
