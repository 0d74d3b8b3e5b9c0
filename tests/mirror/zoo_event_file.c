// SPDX-License-Identifier: GPL-2.0-only
/* Events of the file behind a mapping: holes, truncation, write-back. */
#include <fcntl.h>
#include <sys/stat.h>

#include "zoo_event.h"

#define NPAGES 40

/* A new file, mapped and written by the device all over. */
static int watch_file(struct zoo_watch *w, int fd, int flags)
{
	char *va = zoo_reserve(NPAGES * ZPAGE, ZHUGE);

	zoo_still();
	zoo_mmap(va, NPAGES * ZPAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	zoo_watch(w, va, NPAGES, 1, ZOO_WRITE);
	zoo_device_fill(w);
	return fd;
}

static int watch_memfd(struct zoo_watch *w, int flags)
{
	return watch_file(w, zoo_memfd("zoo", NPAGES * ZPAGE, 0), flags);
}

static int disk_file(void)
{
	if (access("/mnt/disk", W_OK))
		hmt_skip("no disk");
	return zoo_file("/mnt/disk", NPAGES * ZPAGE);
}

static uint64_t file_word(int fd, size_t page)
{
	uint64_t word = 0;

	hmt_check(pread(fd, &word, sizeof(word), (off_t)(page * ZPAGE)) == sizeof(word));
	return word;
}

static void punch(int fd, size_t first, size_t n)
{
	hmt_check(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     (off_t)(first * ZPAGE), (off_t)(n * ZPAGE)));
}

static void hole_is_zeros(struct zoo_watch *w, int fd)
{
	punch(fd, 12, 5);
	zoo_expect_event(w, HMT_EVENT_CHANGE, 12, 5);
	zoo_watch_again(w);
	for (size_t p = 0; p < NPAGES; p++) {
		uint64_t want = p >= 12 && p < 17 ? 0 : zoo_device_word(p);

		hmt_check(zoo_device_read(w, p) == want);
		zoo_expect_same_page(w, p);
	}
	/* What the device writes is in the file at once: it is the page cache. */
	zoo_device_write(w, 13, 4711);
	hmt_expect(file_word(fd, 13), 4711);
	zoo_watch_end(w);
}

static void event_memfd_punch_hole(const void *arg)
{
	struct zoo_watch w;

	(void)arg;
	hole_is_zeros(&w, watch_memfd(&w, MAP_SHARED));
}

static void event_ext4_punch_hole(const void *arg)
{
	struct zoo_watch w;

	(void)arg;
	hole_is_zeros(&w, watch_file(&w, disk_file(), MAP_SHARED));
}

static void event_memfd_madv_remove(const void *arg)
{
	struct zoo_watch w;

	(void)arg;
	watch_memfd(&w, MAP_SHARED);
	hmt_check(!madvise(w.va + 3 * ZPAGE, 2 * ZPAGE, MADV_REMOVE));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 3, 2);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 3), 0);
	zoo_watch_end(&w);
}

static void cut_and_extend(struct zoo_watch *w, int fd)
{
	hmt_check(!ftruncate(fd, 25 * ZPAGE));
	zoo_expect_event(w, HMT_EVENT_CHANGE, 25, NPAGES - 25);
	hmt_expect(zoo_fault_errno(w, w->va + 24 * ZPAGE, ZOO_WRITE), 0);
	hmt_expect(zoo_fault_errno(w, w->va + 25 * ZPAGE, ZOO_READ), EFAULT);
	hmt_expect(zoo_fault_errno(w, w->va + 39 * ZPAGE, ZOO_WRITE), EFAULT);
	hmt_check(!ftruncate(fd, NPAGES * ZPAGE));
	zoo_watch_again(w);
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(zoo_device_read(w, p) == (p < 25 ? zoo_device_word(p) : 0));
	zoo_watch_end(w);
}

static void event_memfd_truncate_and_extend(const void *arg)
{
	struct zoo_watch w;

	(void)arg;
	cut_and_extend(&w, watch_memfd(&w, MAP_SHARED));
}

static void event_ext4_truncate_and_extend(const void *arg)
{
	struct zoo_watch w;

	(void)arg;
	cut_and_extend(&w, watch_file(&w, disk_file(), MAP_SHARED));
}

/*
 * Private copies of what is cut off go, too. Those over a hole stay, though the kernel tells
 * of an event before it sees that there is nothing to do.
 */
static void event_memfd_private_truncate(const void *arg)
{
	struct zoo_watch w;
	int fd;

	(void)arg;
	fd = watch_memfd(&w, MAP_PRIVATE);
	punch(fd, 2, 6);
	zoo_expect_event_within(&w, HMT_EVENT_CHANGE, 0, 0, 2, 6);
	hmt_check(!ftruncate(fd, 30 * ZPAGE));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 30, NPAGES - 30);
	hmt_expect(zoo_fault_errno(&w, w.va + 30 * ZPAGE, ZOO_WRITE), EFAULT);
	for (size_t p = 0; p < 30; p++)
		hmt_check(zoo_peek(w.va + p * ZPAGE) == zoo_device_word(p));
	zoo_watch_end(&w);
}

/* Two mappings of one file: what happens to the file happens to both. */
static void event_memfd_in_two_places(const void *arg)
{
	char *second = zoo_reserve(NPAGES * ZPAGE, ZHUGE);
	struct zoo_watch w, v;
	int fd;

	(void)arg;
	fd = watch_memfd(&w, MAP_SHARED);
	zoo_mmap(second, NPAGES * ZPAGE, PROT_READ, MAP_SHARED, fd, 0);
	zoo_watch(&v, second, NPAGES, 1, ZOO_READ);
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(zoo_device_read(&v, p) == zoo_device_word(p));
	punch(fd, 0, 7);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, 7);
	zoo_expect_event(&v, HMT_EVENT_CHANGE, 0, 7);
	zoo_watch_end(&w);
	zoo_watch_end(&v);
}

/*
 * Write-back takes the write permission away, so that the next write is noticed; what the
 * device writes after that must reach the disk as well.
 */
static void event_ext4_write_back(const void *arg)
{
	struct zoo_watch w;
	int fd;

	(void)arg;
	fd = watch_file(&w, disk_file(), MAP_SHARED);
	hmt_check(!msync(w.va + 8 * ZPAGE, 8 * ZPAGE, MS_SYNC));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 8, 8);
	zoo_watch_again(&w);
	zoo_device_write(&w, 9, 4711);
	hmt_check(!munmap(w.va, NPAGES * ZPAGE));
	zoo_expect_event(&w, HMT_EVENT_UNMAP, 0, NPAGES);
	/* To the disk, and from there: nothing stays in memory. */
	hmt_check(!fsync(fd));
	hmt_check(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(file_word(fd, p) == (p == 9 ? 4711 : zoo_device_word(p)));
	zoo_watch_end(&w);
}

static const struct hmt_case cases[] = {
	HMT_CASE(event_memfd_punch_hole, HMT_LONG),
	HMT_CASE(event_ext4_punch_hole, HMT_LONG),
	HMT_CASE(event_memfd_madv_remove, HMT_LONG),
	HMT_CASE(event_memfd_truncate_and_extend, HMT_LONG),
	HMT_CASE(event_ext4_truncate_and_extend, HMT_LONG),
	HMT_CASE(event_memfd_private_truncate, HMT_LONG),
	HMT_CASE(event_memfd_in_two_places, HMT_LONG),
	HMT_CASE(event_ext4_write_back, HMT_LONG),
};

HMT_GROUP(cases);
