// SPDX-License-Identifier: GPL-2.0-only
/* hugetlbfs: pages of 2 MiB and 1 GiB, shared page tables. */
#include <fcntl.h>

#include "zoo.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MFD_HUGE_1GB
#define MFD_HUGE_1GB (30U << 26)
#endif
#define MAP_2MB (21 << 26)
#define MAP_1GB (30 << 26)

#define NHUGE	4

/* Some words in each page of @len bytes, from @first on. */
static void touch_pages(struct zoo *z, size_t len, size_t first, size_t last)
{
	size_t per = len / ZPAGE;

	for (size_t i = first; i < last; i++) {
		zoo_touch(z, i * per);
		zoo_touch(z, i * per + per / 3);
		zoo_touch(z, i * per + per - 1);
	}
}

static void map_private(struct zoo *z, size_t len, size_t npages, int prot)
{
	int size = len == ZGIANT ? MAP_1GB : MAP_2MB;
	char *va;

	zoo_need_hugetlb(len, npages);
	va = zoo_reserve(npages * len, len);
	zoo_window(z, va, npages * len / ZPAGE, 0);
	zoo_mmap(va, npages * len, prot,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size, -1, 0);
	hmt_check(zoo_vma_has(va, "ht"));
}

static int map_shared(struct zoo *z, size_t len, size_t npages)
{
	unsigned int size = len == ZGIANT ? MFD_HUGE_1GB : MFD_HUGE_2MB;
	char *va;
	int fd;

	zoo_need_hugetlb(len, npages);
	va = zoo_reserve(npages * len, ZGIANT);
	zoo_window(z, va, npages * len / ZPAGE, 0);
	fd = zoo_memfd("zoo", npages * len, MFD_HUGETLB | size);
	zoo_mmap(va, npages * len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	hmt_check(zoo_vma_has(va, "ht"));
	return fd;
}

static void expect_pages(const struct zoo *z, size_t len, size_t npages)
{
	size_t n = zoo_count(z, ZPM_PRESENT);

	hmt_check_that(n == npages * (len / ZPAGE), "%zu pages present, %zu expected", n,
		       npages * (len / ZPAGE));
	hmt_check(zoo_count_kpf(z, ZKPF_HUGE) == n);
}

static void hugetlb(struct zoo *z)
{
	map_private(z, ZHUGE, NHUGE, PROT_READ | PROT_WRITE);
	touch_pages(z, ZHUGE, 0, NHUGE);
	expect_pages(z, ZHUGE, NHUGE);
}

static void hugetlb_never_touched(struct zoo *z)
{
	map_private(z, ZHUGE, NHUGE, PROT_READ | PROT_WRITE);
	expect_pages(z, ZHUGE, 0);
}

static void hugetlb_partly_touched(struct zoo *z)
{
	map_private(z, ZHUGE, NHUGE, PROT_READ | PROT_WRITE);
	touch_pages(z, ZHUGE, 1, 2);
	touch_pages(z, ZHUGE, 3, 4);
	expect_pages(z, ZHUGE, 2);
}

static void hugetlb_unaligned_window(struct zoo *z)
{
	hugetlb_partly_touched(z);
	z->va += 9 * ZPAGE;
	z->word += 9;
	z->npages -= 9 + 100;
}

static void hugetlb_window_inside_one(struct zoo *z)
{
	hugetlb_partly_touched(z);
	z->va += ZHUGE + 100 * ZPAGE;
	z->word += ZHUGE_NPAGES + 100;
	z->npages = 200;
}

static void hugetlb_read_only(struct zoo *z)
{
	map_private(z, ZHUGE, NHUGE, PROT_READ | PROT_WRITE);
	touch_pages(z, ZHUGE, 0, 2);
	hmt_check(!mprotect(z->va, NHUGE * ZHUGE, PROT_READ));
	expect_pages(z, ZHUGE, 2);
}

static void hugetlb_prot_none_part(struct zoo *z)
{
	map_private(z, ZHUGE, NHUGE, PROT_READ | PROT_WRITE);
	touch_pages(z, ZHUGE, 0, NHUGE);
	hmt_check(!mprotect(z->va + ZHUGE, ZHUGE, PROT_NONE));
	for (size_t i = 0; i < ZHUGE_NPAGES; i++)
		z->word[ZHUGE_NPAGES + i] = ZOO_ANY;
}

/* The child may need pages of its own. */
static void hugetlb_forked_parent(struct zoo *z)
{
	zoo_need_hugetlb(ZHUGE, 2 * NHUGE);
	map_private(z, ZHUGE, NHUGE, PROT_READ | PROT_WRITE);
	touch_pages(z, ZHUGE, 0, NHUGE);
	zoo_peer_start(NULL, NULL);
	hmt_check(!zoo_count(z, ZPM_EXCLUSIVE));
	zoo_touch(z, ZHUGE_NPAGES + 4);
	hmt_check(zoo_count(z, ZPM_EXCLUSIVE) == ZHUGE_NPAGES);
}

static void hugetlb_forked_child(struct zoo *z)
{
	zoo_need_hugetlb(ZHUGE, 2 * NHUGE);
	map_private(z, ZHUGE, NHUGE, PROT_READ | PROT_WRITE);
	touch_pages(z, ZHUGE, 0, NHUGE);
	zoo_become_child();
	hmt_check(!zoo_count(z, ZPM_EXCLUSIVE));
	zoo_touch(z, 7);
	hmt_check(zoo_count(z, ZPM_EXCLUSIVE) == ZHUGE_NPAGES);
}

static void hugetlb_shared(struct zoo *z)
{
	map_shared(z, ZHUGE, NHUGE);
	touch_pages(z, ZHUGE, 0, 2);
	expect_pages(z, ZHUGE, 2);
}

static void touch_in_peer(void *arg)
{
	struct zoo *z = arg;

	touch_pages(z, ZHUGE, 1, 3);
}

/* In the file, but not in our page table. */
static void hugetlb_shared_touched_by_another(struct zoo *z)
{
	map_shared(z, ZHUGE, NHUGE);
	zoo_peer_start(touch_in_peer, z);
	expect_pages(z, ZHUGE, 0);
}

static int behind_end(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)req;
	return page >= (size_t)z->arg ? EFAULT : 0;
}

static void hugetlb_truncated(struct zoo *z)
{
	int fd = map_shared(z, ZHUGE, NHUGE);

	touch_pages(z, ZHUGE, 0, NHUGE);
	hmt_check(!ftruncate(fd, ZHUGE));
	z->arg = ZHUGE_NPAGES;
	z->page_errno = behind_end;
	for (size_t i = ZHUGE_NPAGES; i < z->npages; i++)
		z->word[i] = ZOO_ANY;
	expect_pages(z, ZHUGE, 1);
}

static void hugetlb_with_hole(struct zoo *z)
{
	int fd = map_shared(z, ZHUGE, NHUGE);

	touch_pages(z, ZHUGE, 0, NHUGE);
	hmt_check(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ZHUGE,
			     ZHUGE));
	for (size_t i = 0; i < ZHUGE_NPAGES; i++)
		z->word[ZHUGE_NPAGES + i] = 0;
	expect_pages(z, ZHUGE, NHUGE - 1);
}

static void hugetlb_beside_others(struct zoo *z)
{
	char *va;

	map_private(z, ZHUGE, 1, PROT_READ | PROT_WRITE);
	touch_pages(z, ZHUGE, 0, 1);
	va = z->va;
	zoo_mmap(va + ZHUGE, 30 * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zoo_mmap(va - 30 * ZPAGE, 30 * ZPAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	zoo_window(z, va - 40 * ZPAGE, ZHUGE_NPAGES + 80, 0);
	for (size_t i = 0; i < z->npages; i++)
		if (i < 10 || i >= z->npages - 10)
			z->word[i] = ZOO_ANY;
	zoo_touch(z, 40);
	zoo_touch(z, 40 + ZHUGE_NPAGES + 3);
	for (size_t i = 41; i < 40 + ZHUGE_NPAGES; i++)
		z->word[i] = ZOO_ANY;
}

/*
 * Processes share the page table of 1 GiB of a file that is aligned in both. What shows
 * it: pages that the other process touched are present here without a fault.
 */
static void map_shared_table(struct zoo *z, void (*fn)(void *arg))
{
	char *va = zoo_reserve(ZGIANT, ZGIANT);
	int fd;

	zoo_need_hugetlb(ZHUGE, 2 * NHUGE);
	zoo_window(z, va, ZGIANT / ZPAGE, 0);
	fd = memfd_create("zoo", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	hmt_check(fd >= 0);
	hmt_check(!ftruncate(fd, ZGIANT));
	/* Without a reservation: only what is touched needs huge pages. */
	zoo_mmap(va, ZGIANT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	zoo_touch(z, 0);
	zoo_peer_start(fn, z);
	/* A window that takes 16 MiB, with what was touched in it. */
	z->npages = 8 * ZHUGE_NPAGES;
}

/* Its own first fault makes it share the table; then it adds to it. */
static void touch_in_sharing_peer(void *arg)
{
	struct zoo *z = arg;

	hmt_check(zoo_peek(z->va) == zoo_word(z, 0));
	touch_pages(z, ZHUGE, 2, 4);
}

static void hugetlb_shared_table(struct zoo *z)
{
	map_shared_table(z, touch_in_sharing_peer);
	for (size_t i = 2; i < 4; i++) {
		z->word[i * ZHUGE_NPAGES] = zoo_word(z, i * ZHUGE_NPAGES);
		z->word[i * ZHUGE_NPAGES + ZHUGE_NPAGES / 3] =
			zoo_word(z, i * ZHUGE_NPAGES + ZHUGE_NPAGES / 3);
		z->word[i * ZHUGE_NPAGES + ZHUGE_NPAGES - 1] =
			zoo_word(z, i * ZHUGE_NPAGES + ZHUGE_NPAGES - 1);
	}
	if (zoo_count(z, ZPM_PRESENT) != 3 * ZHUGE_NPAGES)
		zoo_skip("this kernel shares no page tables");
}

static void giant_touched(struct zoo *z)
{
	map_private(z, ZGIANT, 1, PROT_READ | PROT_WRITE);
	touch_pages(z, ZGIANT, 0, 1);
	expect_pages(z, ZGIANT, 1);
}

static void giant_never_touched(struct zoo *z)
{
	map_private(z, ZGIANT, 1, PROT_READ | PROT_WRITE);
	expect_pages(z, ZGIANT, 0);
}

static void giant_unaligned_window(struct zoo *z)
{
	giant_touched(z);
	z->va += 777 * ZPAGE;
	z->word += 777;
	z->npages -= 777 + 1234;
}

static void giant_window_inside(struct zoo *z)
{
	giant_touched(z);
	z->va += 131072 * ZPAGE + 5 * ZPAGE;
	z->word += 131072 + 5;
	z->npages = 1500;
}

static void giant_read_only(struct zoo *z)
{
	giant_touched(z);
	hmt_check(!mprotect(z->va, ZGIANT, PROT_READ));
}

static void giant_shared(struct zoo *z)
{
	map_shared(z, ZGIANT, 1);
	touch_pages(z, ZGIANT, 0, 1);
	expect_pages(z, ZGIANT, 1);
}

static const struct zoo_kind kinds[] = {
	{ "hugetlb", hugetlb, 0 },
	{ "hugetlb_never_touched", hugetlb_never_touched, ZOO_ALLOCATES },
	{ "hugetlb_partly_touched", hugetlb_partly_touched, ZOO_ALLOCATES },
	{ "hugetlb_unaligned_window", hugetlb_unaligned_window, ZOO_ALLOCATES },
	{ "hugetlb_window_inside_one", hugetlb_window_inside_one, ZOO_ALLOCATES },
	{ "hugetlb_read_only", hugetlb_read_only, ZOO_ALLOCATES },
	{ "hugetlb_prot_none_part", hugetlb_prot_none_part, 0 },
	{ "hugetlb_forked_parent", hugetlb_forked_parent, 0 },
	{ "hugetlb_forked_child", hugetlb_forked_child, 0 },
	{ "hugetlb_shared", hugetlb_shared, 0 },
	{ "hugetlb_shared_touched_by_another", hugetlb_shared_touched_by_another, 0 },
	{ "hugetlb_truncated", hugetlb_truncated, 0 },
	{ "hugetlb_with_hole", hugetlb_with_hole, 0 },
	{ "hugetlb_beside_others", hugetlb_beside_others, 0 },
	{ "hugetlb_shared_table", hugetlb_shared_table, ZOO_NO_FAULT },
};

static const struct zoo_kind giant_kinds[] = {
	{ "giant_touched", giant_touched, ZOO_SLOW },
	{ "giant_never_touched", giant_never_touched, ZOO_SLOW | ZOO_ALLOCATES },
	{ "giant_unaligned_window", giant_unaligned_window, ZOO_SLOW },
	{ "giant_window_inside", giant_window_inside, ZOO_SLOW },
	{ "giant_read_only", giant_read_only, ZOO_SLOW },
	{ "giant_shared", giant_shared, ZOO_SLOW },
};

ZOO_GROUP(zoo_hugetlb_kinds, kinds);
ZOO_GROUP(zoo_giant_kinds, giant_kinds);
