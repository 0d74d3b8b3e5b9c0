// SPDX-License-Identifier: GPL-2.0-only
/* Memory with a file behind it: memfd, tmpfs, ext4, the program, a driver. */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "zoo.h"

static const char disk[] = "/mnt/disk";

/* A window on a new file; every third page of the file is written. */
static int map_file(struct zoo *z, int fd, int prot, int flags)
{
	char *va = zoo_reserve(zoo_npages() * ZPAGE, ZHUGE);

	zoo_window(z, va, zoo_npages(), 0);
	for (size_t i = 0; i < z->npages; i += 3)
		zoo_pwrite(z, fd, i, (off_t)(i * ZPAGE));
	zoo_mmap(va, z->npages * ZPAGE, prot, flags, fd, 0);
	return fd;
}

static int map_memfd(struct zoo *z, int prot, int flags)
{
	return map_file(z, zoo_memfd("zoo", zoo_npages() * ZPAGE, 0), prot, flags);
}

static int map_disk(struct zoo *z, int prot, int flags)
{
	if (access(disk, W_OK))
		zoo_skip("no disk");
	return map_file(z, zoo_file(disk, zoo_npages() * ZPAGE), prot, flags);
}

static void look_at(const struct zoo *z, size_t first, size_t last, size_t step)
{
	for (size_t i = first; i < last; i += step)
		hmt_check(zoo_peek(z->va + i * ZPAGE) == z->word[i]);
}

static void memfd_untouched(struct zoo *z)
{
	map_memfd(z, PROT_READ | PROT_WRITE, MAP_SHARED);
	hmt_check(!zoo_count(z, ZPM_PRESENT));
}

static void memfd_shared(struct zoo *z)
{
	map_memfd(z, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t i = 0; i < z->npages / 2; i++)
		zoo_touch(z, i);
	look_at(z, z->npages / 2, z->npages, 50);
	hmt_check(zoo_count(z, ZPM_PRESENT) >= z->npages / 2);
	hmt_check(!zoo_count_kpf(z, ZKPF_ANON));
}

static void memfd_read_only(struct zoo *z)
{
	map_memfd(z, PROT_READ, MAP_SHARED);
	look_at(z, 0, z->npages, 2);
}

static void memfd_private(struct zoo *z)
{
	size_t n = 0;

	map_memfd(z, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	look_at(z, 0, z->npages, 7);
	for (size_t i = 0; i < z->npages; i += 5, n++)
		zoo_touch(z, i);
	hmt_check(zoo_count_kpf(z, ZKPF_ANON) == n);
}

static void memfd_with_holes(struct zoo *z)
{
	int fd = map_memfd(z, PROT_READ | PROT_WRITE, MAP_SHARED);

	zoo_touch_all(z);
	for (size_t i = 10; i + 30 < z->npages; i += 90) {
		hmt_check(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     (off_t)(i * ZPAGE), 30 * ZPAGE));
		for (size_t k = i; k < i + 30; k++)
			z->word[k] = 0;
	}
	hmt_check(zoo_count(z, ZPM_PRESENT) < z->npages);
}

/* What lies behind the end of the file, z->arg pages long. */
static int behind_end(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)req;
	return page >= (size_t)z->arg ? EFAULT : 0;
}

static void cut_file(struct zoo *z, int fd, size_t npages)
{
	hmt_check(!ftruncate(fd, (off_t)(npages * ZPAGE)));
	z->arg = (long)npages;
	z->page_errno = behind_end;
	for (size_t i = npages; i < z->npages; i++)
		z->word[i] = ZOO_ANY;
}

static void memfd_truncated(struct zoo *z)
{
	int fd = map_memfd(z, PROT_READ | PROT_WRITE, MAP_SHARED);

	zoo_touch_all(z);
	cut_file(z, fd, z->npages / 3);
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages / 3);
}

/* Private copies beyond the new end go as well. */
static void memfd_private_truncated(struct zoo *z)
{
	int fd = map_memfd(z, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	zoo_touch_all(z);
	cut_file(z, fd, z->npages / 3);
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages / 3);
}

static void memfd_truncated_and_extended(struct zoo *z)
{
	int fd = map_memfd(z, PROT_READ | PROT_WRITE, MAP_SHARED);

	zoo_touch_all(z);
	cut_file(z, fd, z->npages / 3);
	hmt_check(!ftruncate(fd, (off_t)(z->npages * ZPAGE)));
	for (size_t i = z->npages / 3; i < z->npages; i++)
		z->word[i] = 0;
	z->page_errno = NULL;
}

static void memfd_shorter_than_mapping(struct zoo *z)
{
	int fd = map_memfd(z, PROT_READ | PROT_WRITE, MAP_SHARED);

	cut_file(z, fd, 41);
	zoo_touch(z, 3);
	hmt_check(zoo_count(z, ZPM_PRESENT) >= 1);
}

static void memfd_sealed_against_writing(struct zoo *z)
{
	int fd = zoo_memfd("zoo", zoo_npages() * ZPAGE, MFD_ALLOW_SEALING);
	char *va = zoo_reserve(zoo_npages() * ZPAGE, ZHUGE);

	zoo_window(z, va, zoo_npages(), 0);
	zoo_pwrite(z, fd, 2, 2 * ZPAGE);
	hmt_check(!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	zoo_mmap(va, z->npages * ZPAGE, PROT_READ, MAP_SHARED, fd, 0);
	look_at(z, 0, 4, 1);
}

static void memfd_in_two_places(struct zoo *z)
{
	int fd = zoo_memfd("zoo", 64 * ZPAGE, 0);
	char *va = zoo_reserve(128 * ZPAGE, ZHUGE);

	zoo_window(z, va, 128, 0);
	for (size_t i = 0; i < 64; i++) {
		zoo_pwrite(z, fd, i, (off_t)(i * ZPAGE));
		z->word[64 + i] = z->word[i];
	}
	zoo_mmap(va, 64 * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	zoo_mmap(va + 64 * ZPAGE, 64 * ZPAGE, PROT_READ, MAP_SHARED, fd, 0);
	look_at(z, 0, 128, 1);
	hmt_check((zoo_pagemap(va) & ZPM_PFN) == (zoo_pagemap(va + 64 * ZPAGE) & ZPM_PFN));
}

/* A mount of our own, seen by nobody else. */
static const char *huge_tmpfs(void)
{
	static const char dir[] = "/tmp/zoo.huge";

	zoo_need_thp();
	hmt_check(!unshare(CLONE_NEWNS));
	hmt_check(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	hmt_check(!mkdir(dir, 0700) || errno == EEXIST);
	if (mount("zoo", dir, "tmpfs", 0, "huge=always,size=64m"))
		zoo_skip("tmpfs with huge=always: errno %d", errno);
	return dir;
}

static void map_huge_tmpfs(struct zoo *z, int flags)
{
	const size_t len = 3 * ZHUGE;
	char *va = zoo_reserve(len, ZHUGE);
	int fd = zoo_file(huge_tmpfs(), len);

	zoo_window(z, va, len / ZPAGE, 0);
	hmt_check(!fallocate(fd, 0, 0, (off_t)len));
	for (size_t i = 0; i < z->npages; i += 100)
		zoo_pwrite(z, fd, i, (off_t)(i * ZPAGE));
	zoo_mmap(va, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	look_at(z, 0, z->npages, 50);
	if (zoo_count_huge(z) != z->npages)
		zoo_skip("tmpfs gave no huge pages");
}

static void tmpfs_huge(struct zoo *z)
{
	map_huge_tmpfs(z, MAP_SHARED);
}

static void tmpfs_huge_private(struct zoo *z)
{
	map_huge_tmpfs(z, MAP_PRIVATE);
	zoo_touch(z, ZHUGE_NPAGES + 9);
	hmt_check(zoo_count_huge(z) == 2 * ZHUGE_NPAGES);
}

static void tmpfs_huge_unaligned(struct zoo *z)
{
	const size_t len = 3 * ZHUGE;
	char *va = zoo_reserve(len + ZHUGE, ZHUGE) + 11 * ZPAGE;
	int fd = zoo_file(huge_tmpfs(), len);

	zoo_window(z, va, len / ZPAGE, 0);
	hmt_check(!fallocate(fd, 0, 0, (off_t)len));
	zoo_mmap(va, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < z->npages; i += 3)
		zoo_touch(z, i);
	if (!zoo_count_kpf(z, ZKPF_THP))
		zoo_skip("tmpfs gave no huge pages");
	hmt_check(!zoo_count_huge(z));
}

static void ext4_untouched(struct zoo *z)
{
	map_disk(z, PROT_READ | PROT_WRITE, MAP_SHARED);
	hmt_check(!zoo_count(z, ZPM_PRESENT));
}

static void ext4_shared(struct zoo *z)
{
	map_disk(z, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t i = 0; i < z->npages; i += 4)
		zoo_touch(z, i);
	look_at(z, 0, z->npages, 2);
	hmt_check(zoo_count(z, ZPM_PRESENT | ZPM_FILE) >= z->npages / 2);
}

/* Written back: the entries are read-only again, so that the next write is noticed. */
static void ext4_shared_clean(struct zoo *z)
{
	map_disk(z, PROT_READ | PROT_WRITE, MAP_SHARED);
	zoo_touch_all(z);
	hmt_check(!msync(z->va, z->npages * ZPAGE, MS_SYNC));
	zoo_touch(z, 12);
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages);
}

static void ext4_private(struct zoo *z)
{
	size_t n = 0;

	map_disk(z, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	look_at(z, 0, z->npages, 3);
	for (size_t i = 1; i < z->npages; i += 6, n++)
		zoo_touch(z, i);
	hmt_check(zoo_count_kpf(z, ZKPF_ANON) == n);
}

static void ext4_read_only(struct zoo *z)
{
	map_disk(z, PROT_READ, MAP_SHARED);
	look_at(z, 0, z->npages / 2, 1);
}

static void ext4_shorter_than_mapping(struct zoo *z)
{
	int fd = map_disk(z, PROT_READ | PROT_WRITE, MAP_SHARED);

	cut_file(z, fd, 41);
	look_at(z, 0, 41, 2);
}

static void find_vma(struct zoo *z, const char *va)
{
	const struct zoo_vma *vma;
	struct zoo_vma *vmas;
	size_t n = zoo_vmas(&vmas);

	vma = zoo_vma_at(vmas, n, va);
	hmt_check(vma);
	zoo_window(z, (char *)vma->start, (vma->end - vma->start) / ZPAGE, ZOO_ANY);
	hmt_check(vma->exec && !vma->write);
	/* What runs here while it is compared would bring pages in under it. */
	hmt_ok(madvise(z->va, z->npages * ZPAGE, MADV_POPULATE_READ));
	free(vmas);
}

static void program_text(struct zoo *z)
{
	find_vma(z, (char *)(uintptr_t)&program_text);
	hmt_check(zoo_count(z, ZPM_PRESENT | ZPM_FILE));
}

static void library_text(struct zoo *z)
{
	find_vma(z, (char *)(uintptr_t)&malloc);
	hmt_check(zoo_count(z, ZPM_PRESENT | ZPM_FILE));
}

static void map_driver(struct zoo *z, off_t kind)
{
	int fd = open(HMT_DEVICE, O_RDWR | O_CLOEXEC);
	char *va = zoo_reserve(32 * ZPAGE, ZHUGE);

	hmt_check_that(fd >= 0, HMT_DEVICE ": errno %d", errno);
	zoo_window(z, va, 32, ZOO_ANY);
	zoo_mmap(va, 32 * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, kind);
	for (size_t i = 0; i < z->npages; i += 2)
		zoo_touch(z, i);
}

static void driver_pages(struct zoo *z)
{
	map_driver(z, HMT_MMAP_NORMAL);
	for (size_t i = 1; i < z->npages; i += 2)
		z->word[i] = ZOO_ANY;
}

static void driver_pfnmap(struct zoo *z)
{
	map_driver(z, HMT_MMAP_PFNMAP);
	hmt_check(zoo_vma_has(z->va, "pf"));
}

static void driver_mixedmap(struct zoo *z)
{
	map_driver(z, HMT_MMAP_MIXED);
	hmt_check(zoo_vma_has(z->va, "mm"));
}

static const struct zoo_kind kinds[] = {
	{ "memfd_untouched", memfd_untouched, 0 },
	{ "memfd_shared", memfd_shared, 0 },
	{ "memfd_read_only", memfd_read_only, 0 },
	{ "memfd_private", memfd_private, 0 },
	{ "memfd_with_holes", memfd_with_holes, 0 },
	{ "memfd_truncated", memfd_truncated, 0 },
	{ "memfd_private_truncated", memfd_private_truncated, 0 },
	{ "memfd_truncated_and_extended", memfd_truncated_and_extended, 0 },
	{ "memfd_shorter_than_mapping", memfd_shorter_than_mapping, 0 },
	{ "memfd_sealed_against_writing", memfd_sealed_against_writing, 0 },
	{ "memfd_in_two_places", memfd_in_two_places, 0 },
	{ "tmpfs_huge", tmpfs_huge, 0 },
	{ "tmpfs_huge_private", tmpfs_huge_private, 0 },
	{ "tmpfs_huge_unaligned", tmpfs_huge_unaligned, 0 },
	{ "ext4_untouched", ext4_untouched, 0 },
	{ "ext4_shared", ext4_shared, 0 },
	{ "ext4_shared_clean", ext4_shared_clean, 0 },
	{ "ext4_private", ext4_private, 0 },
	{ "ext4_read_only", ext4_read_only, 0 },
	{ "ext4_shorter_than_mapping", ext4_shorter_than_mapping, 0 },
	{ "program_text", program_text, 0 },
	{ "library_text", library_text, 0 },
	{ "driver_pages", driver_pages, 0 },
	{ "driver_pfnmap", driver_pfnmap, 0 },
	{ "driver_mixedmap", driver_mixedmap, 0 },
};

ZOO_GROUP(zoo_file_kinds, kinds);
