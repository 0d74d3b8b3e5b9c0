// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power fails: two boots with the same memory. The first writes through the device and
 * stops the machine at once; the second looks at what the file system has.
 *
 * Here the memory keeps every store, flushed or not; what can be lost is what the file
 * system did not note: blocks and lengths. That the stores are flushed in time is seen
 * by the cases of sync.c.
 */
#include "dax.h"
#include "dax_cases.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FSYNC_FILE	MOUNT_DIR "/by-fsync"
#define MAP_SYNC_FILE	MOUNT_DIR "/by-map-sync"
#define LOST_FILE	MOUNT_DIR "/by-nothing"

/* A file of holes; the device writes into two pages of it. */
static int write_file(const char *path, int flags, bool sync_between)
{
	int fd = TRY(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	unsigned char data[64];
	struct mirror *mirror;

	TRY(ftruncate(fd, (off_t)HUGE_LEN));
	TRY(fsync(fd));
	mirror = mirror_open(map_file(fd, HUGE_LEN, PAGE_LEN, flags), HUGE_LEN);
	mirror_fault(mirror, HMT_REQ_WRITE);
	fill(data, 64, 1);
	CHECK_EQ(device_write(mirror, 0, data, 64), 0);
	if (sync_between)
		TRY(fsync(fd));
	fill(data, 64, 2);
	mirror_fault(mirror, HMT_REQ_WRITE);
	CHECK_EQ(device_write(mirror, 64 * PAGE_LEN, data, 64), 0);
	if (sync_between)
		TRY(fsync(fd));
	return fd;
}

static bool file_is_there(const char *path)
{
	unsigned char data[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool there;

	if (fd < 0)
		return false;
	there = pread(fd, data, 64, 0) == 64 && filled(data, 64, 1) &&
		pread(fd, data, 64, 64 * PAGE_LEN) == 64 && filled(data, 64, 2);
	close(fd);
	return there;
}

/* Does not return. */
void power_fails(void)
{
	int fd = TRY(open(MOUNT_DIR, O_RDONLY | O_DIRECTORY));

	write_file(FSYNC_FILE, 0, true);
	write_file(MAP_SYNC_FILE, MAP_SYNC, false);
	TRY(fsync(fd));
	/* The control: nobody asked for this one to be kept. */
	write_file(LOST_FILE, 0, false);
	write_text("/proc/sysrq-trigger", "b");
	for (;;)
		pause();
}

void fsynced_device_writes_survive_power_failure(void)
{
	CHECK(file_is_there(FSYNC_FILE));
}

void map_sync_device_writes_survive_power_failure(void)
{
	CHECK(file_is_there(MAP_SYNC_FILE));
}

void control_other_device_writes_are_lost(void)
{
	CHECK(!file_is_there(LOST_FILE));
}
