// SPDX-License-Identifier: GPL-2.0-only
/* What the GPU writes into a mapped file reaches the disk. */
#include <fcntl.h>
#include <mntent.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "conf.h"

#define TMPFS 0x01021994
#define RAMFS 0x858458f6
#define OVERLAY 0x794c7630
#define V9FS 0x01021997
#define FILE_LEN (4UL << 20)

static bool on_disk(const char *dir)
{
	struct statfs s;

	if (statfs(dir, &s))
		return false;
	return s.f_type != TMPFS && s.f_type != RAMFS && s.f_type != OVERLAY &&
	       s.f_type != V9FS;
}

/* A writable directory of a file system with a disk below it. */
static const char *disk_dir(void)
{
	static char found[256];
	struct mntent *m;
	FILE *f;

	if (on_disk(conf_run.dir))
		return conf_run.dir;
	f = setmntent("/proc/self/mounts", "r");
	while (f && (m = getmntent(f))) {
		if (strncmp(m->mnt_type, "ext", 3) && strcmp(m->mnt_type, "xfs") &&
		    strcmp(m->mnt_type, "btrfs"))
			continue;
		if (access(m->mnt_dir, W_OK))
			continue;
		snprintf(found, sizeof(found), "%s", m->mnt_dir);
		endmntent(f);
		return found;
	}
	if (f)
		endmntent(f);
	return NULL;
}

static int disk_file(void)
{
	const char *dir = disk_dir();
	int fd;

	if (!dir)
		conf_skip("no file system on a disk (give one with --dir)");
	fd = temp_file(dir, 0);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, FILE_LEN), 0);
	return fd;
}

static void *map_file(int fd)
{
	void *p = mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Reads what the disk has, with nothing left in the page cache. */
static void expect_on_disk(int fd, uint32_t seed)
{
	uint32_t *back = malloc(FILE_LEN);

	assert_non_null(back);
	/* Drops clean pages only: a page not marked dirty loses the GPU's data. */
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	for (size_t at = 0; at < FILE_LEN; at += 1 << 20)
		assert_int_equal(pread(fd, (char *)back + at, 1 << 20, (off_t)at),
				 1 << 20);
	expect_words(back, FILE_LEN, seed);
	free(back);
}

static void gpu_writes_to_a_file_reach_the_disk(void **state)
{
	uint32_t *src;
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = disk_file();
	p = map_file(fd);
	src = map_pages(FILE_LEN);
	fill_words(src, FILE_LEN, 1);
	grant(p, FILE_LEN);
	grant(src, FILE_LEN);
	gpu_copy(p, src, FILE_LEN);
	assert_int_equal(msync(p, FILE_LEN, MS_SYNC), 0);
	/* After msync the file system watches for writes again: so must the GPU. */
	fill_words(src, FILE_LEN, 2);
	gpu_copy(p, src, FILE_LEN);
	assert_int_equal(msync(p, FILE_LEN, MS_SYNC), 0);
	assert_int_equal(munmap(p, FILE_LEN), 0);
	expect_on_disk(fd, 2);
}

/* No msync: the dirty state must travel with munmap to the later fsync. */
static void gpu_writes_to_a_file_survive_munmap(void **state)
{
	uint32_t *src;
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = disk_file();
	p = map_file(fd);
	src = map_pages(FILE_LEN);
	fill_words(src, FILE_LEN, 3);
	grant(p, FILE_LEN);
	grant(src, FILE_LEN);
	gpu_copy(p, src, FILE_LEN);
	assert_int_equal(munmap(p, FILE_LEN), 0);
	assert_int_equal(fsync(fd), 0);
	expect_on_disk(fd, 3);
}

static void gpu_reads_a_file_from_the_disk(void **state)
{
	uint32_t *data = malloc(FILE_LEN), *dst;
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = disk_file();
	fill_words(data, FILE_LEN, 4);
	assert_int_equal(pwrite(fd, data, FILE_LEN, 0), FILE_LEN);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	p = map_file(fd);
	dst = map_pages(FILE_LEN);
	grant(p, FILE_LEN);
	grant(dst, FILE_LEN);
	gpu_copy(dst, p, FILE_LEN);
	expect_words(dst, FILE_LEN, 4);
	free(data);
}

static void truncated_file_is_not_there_for_the_gpu(void **state)
{
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = temp_file(conf_run.dir, 8 * KT_PAGE);
	assert_true(fd >= 0);
	p = mmap(NULL, 8 * KT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	fill_words(p, 8 * KT_PAGE, 5);
	grant(p, 8 * KT_PAGE);
	gpu_expect_words(p, 8 * KT_PAGE, 5);
	hold_pages(p + 4 * KT_PAGE, 4);
	assert_int_equal(ftruncate(fd, 4 * KT_PAGE), 0);
	gpu_expect_words(p, 4 * KT_PAGE, 5);
	/* Where the CPU gets SIGBUS, the GPU gets a memory exception. */
	gpu_read_is_exception(p + 5 * KT_PAGE, EXC_ANY);
}

static const struct conf_case cases[] = {
	CASE(gpu_writes_to_a_file_reach_the_disk, CONF_BOTH),
	CASE(gpu_writes_to_a_file_survive_munmap, CONF_BOTH),
	CASE(gpu_reads_a_file_from_the_disk, CONF_BOTH),
	CASE(truncated_file_is_not_there_for_the_gpu, CONF_BOTH),
};

CONF_GROUP(bigfile_group, cases);
