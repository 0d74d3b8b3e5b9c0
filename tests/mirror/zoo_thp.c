// SPDX-License-Identifier: GPL-2.0-only
/* Transparent huge pages of private memory, and what is left of them. */
#include "zoo.h"

#define NHUGE	3

/* @nhuge huge pages, each with some words in it. */
static void make_thp(struct zoo *z, size_t nhuge)
{
	static const size_t at[] = { 0, 1, 7, 255, 256, 511 };
	size_t n;
	char *va;

	zoo_need_thp();
	va = zoo_reserve(nhuge * ZHUGE, ZHUGE);
	zoo_window(z, va, nhuge * ZHUGE_NPAGES, 0);
	zoo_mmap(va, nhuge * ZHUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hmt_check(!madvise(va, nhuge * ZHUGE, MADV_HUGEPAGE));
	for (size_t i = 0; i < nhuge; i++)
		for (size_t k = 0; k < HMT_COUNT(at); k++)
			zoo_touch(z, i * ZHUGE_NPAGES + at[k]);
	n = zoo_count_huge(z);
	if (n != z->npages)
		zoo_skip("no huge pages to be had: %zu of %zu pages are", n, z->npages);
	hmt_check(zoo_count_kpf(z, ZKPF_THP) == z->npages);
}

static void expect_huge(const struct zoo *z, size_t npages)
{
	size_t n = zoo_count_huge(z);

	hmt_check_that(n == npages, "%zu pages in huge entries, %zu expected", n, npages);
}

static void thp(struct zoo *z)
{
	make_thp(z, NHUGE);
}

/* The window begins and ends inside of huge pages. */
static void thp_unaligned_window(struct zoo *z)
{
	make_thp(z, NHUGE);
	z->va += 5 * ZPAGE;
	z->word += 5;
	z->npages -= 5 + 3;
}

static void thp_window_inside_one(struct zoo *z)
{
	make_thp(z, 1);
	z->va += 100 * ZPAGE;
	z->word += 100;
	z->npages = 200;
}

static void thp_beside_small_pages(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!madvise(z->va + ZHUGE, ZHUGE, MADV_DONTNEED));
	hmt_check(!madvise(z->va + ZHUGE, ZHUGE, MADV_NOHUGEPAGE));
	for (size_t i = 0; i < ZHUGE_NPAGES; i++) {
		z->word[ZHUGE_NPAGES + i] = 0;
		if (i % 9)
			zoo_touch(z, ZHUGE_NPAGES + i);
	}
	expect_huge(z, 2 * ZHUGE_NPAGES);
}

static void thp_split_by_mprotect(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!mprotect(z->va + ZHUGE + 100 * ZPAGE, 50 * ZPAGE, PROT_READ));
	expect_huge(z, 2 * ZHUGE_NPAGES);
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages);
}

static void thp_mapped_by_small_entries(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!mprotect(z->va + ZHUGE + 100 * ZPAGE, 50 * ZPAGE, PROT_READ));
	hmt_check(!mprotect(z->va + ZHUGE + 100 * ZPAGE, 50 * ZPAGE,
			    PROT_READ | PROT_WRITE));
	expect_huge(z, 2 * ZHUGE_NPAGES);
	/* Still one huge page. */
	hmt_check(zoo_count_kpf(z, ZKPF_THP) == z->npages);
}

static void thp_split_by_dontneed(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!madvise(z->va + 7 * ZPAGE, ZPAGE, MADV_DONTNEED));
	hmt_check(!madvise(z->va + ZHUGE + 255 * ZPAGE, 2 * ZPAGE, MADV_DONTNEED));
	z->word[7] = z->word[ZHUGE_NPAGES + 255] = z->word[ZHUGE_NPAGES + 256] = 0;
	expect_huge(z, ZHUGE_NPAGES);
}

static void thp_partly_unmapped(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!munmap(z->va + ZHUGE + 200 * ZPAGE, 100 * ZPAGE));
	for (size_t i = 200; i < 300; i++)
		z->word[ZHUGE_NPAGES + i] = ZOO_ANY;
	expect_huge(z, 2 * ZHUGE_NPAGES);
}

static void move_window(struct zoo *z, char *to)
{
	hmt_check(mremap(z->va, z->npages * ZPAGE, z->npages * ZPAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	z->va = to;
}

static void thp_moved_to_unaligned_address(struct zoo *z)
{
	make_thp(z, NHUGE);
	move_window(z, zoo_reserve((NHUGE + 1) * ZHUGE, ZHUGE) + 3 * ZPAGE);
	expect_huge(z, 0);
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages);
}

static void thp_moved_to_aligned_address(struct zoo *z)
{
	make_thp(z, NHUGE);
	move_window(z, zoo_reserve(NHUGE * ZHUGE, ZHUGE));
	expect_huge(z, z->npages);
}

static void thp_read_only(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!mprotect(z->va, z->npages * ZPAGE, PROT_READ));
	expect_huge(z, z->npages);
}

static void thp_prot_none(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!mprotect(z->va + ZHUGE, ZHUGE, PROT_NONE));
	for (size_t i = 0; i < ZHUGE_NPAGES; i++)
		z->word[ZHUGE_NPAGES + i] = ZOO_ANY;
	expect_huge(z, z->npages);
}

static void thp_prot_none_and_back(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!mprotect(z->va + ZHUGE, ZHUGE, PROT_NONE));
	hmt_check(!mprotect(z->va + ZHUGE, ZHUGE, PROT_READ | PROT_WRITE));
	expect_huge(z, z->npages);
}

static void thp_forked_parent(struct zoo *z)
{
	make_thp(z, NHUGE);
	zoo_peer_start(NULL, NULL);
	expect_huge(z, z->npages);
	/* One small page of one of them is our own again. */
	zoo_touch(z, ZHUGE_NPAGES + 8);
	expect_huge(z, 2 * ZHUGE_NPAGES);
}

static void thp_forked_child(struct zoo *z)
{
	make_thp(z, NHUGE);
	zoo_become_child();
	expect_huge(z, z->npages);
	zoo_touch(z, 3);
	expect_huge(z, 2 * ZHUGE_NPAGES);
}

static void thp_madv_free(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!madvise(z->va + ZHUGE, ZHUGE, MADV_FREE));
	for (size_t i = 0; i < ZHUGE_NPAGES; i++)
		z->word[ZHUGE_NPAGES + i] = ZOO_ANY;
	expect_huge(z, z->npages);
}

static void thp_mlocked(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!mlock(z->va, z->npages * ZPAGE));
	expect_huge(z, z->npages);
}

static void thp_area_never_touched(struct zoo *z)
{
	make_thp(z, NHUGE);
	hmt_check(!madvise(z->va, z->npages * ZPAGE, MADV_DONTNEED));
	for (size_t i = 0; i < z->npages; i++)
		z->word[i] = 0;
	hmt_check(!zoo_count(z, ZPM_PRESENT));
}

static void huge_zero_page(struct zoo *z)
{
	thp_area_never_touched(z);
	for (size_t i = 0; i < NHUGE; i++)
		hmt_check(!zoo_peek(z->va + i * ZHUGE + 77 * ZPAGE));
	if (zoo_count_kpf(z, ZKPF_ZERO_PAGE) != z->npages)
		zoo_skip("no huge zero page to be had");
	expect_huge(z, z->npages);
}

/* One small page written in the middle of it. */
static void huge_zero_page_split(struct zoo *z)
{
	huge_zero_page(z);
	hmt_check(!mprotect(z->va + ZHUGE + 10 * ZPAGE, ZPAGE, PROT_READ));
	expect_huge(z, 2 * ZHUGE_NPAGES);
	hmt_check(zoo_count_kpf(z, ZKPF_ZERO_PAGE) == z->npages);
}

static void collapsed(struct zoo *z)
{
	zoo_need_thp();
	zoo_anon(z, 2 * ZHUGE_NPAGES + 40);
	for (size_t i = 0; i < z->npages; i++)
		if (i % 4)
			zoo_touch(z, i);
	hmt_check(!zoo_count_huge(z));
	hmt_check(!madvise(z->va, ZHUGE, MADV_HUGEPAGE));
	if (madvise(z->va, ZHUGE, MADV_COLLAPSE))
		zoo_skip("MADV_COLLAPSE: errno %d", errno);
	expect_huge(z, ZHUGE_NPAGES);
}

/* Folios between 4 KiB and 2 MiB are mapped by small entries. */
static void small_thp(struct zoo *z)
{
	static const char path[] =
		"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled";
	char *va;

	zoo_need_thp();
	zoo_set_sys(path, "madvise");
	va = zoo_reserve(ZHUGE, ZHUGE) + 3 * ZPAGE;
	zoo_window(z, va, 300, 0);
	zoo_mmap(va, z->npages * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hmt_check(!madvise(va, z->npages * ZPAGE, MADV_HUGEPAGE));
	for (size_t i = 0; i < z->npages; i += 40)
		zoo_touch(z, i);
	hmt_check(!zoo_write_sys(path, "never"));
	if (zoo_count_kpf(z, ZKPF_THP) < 16)
		zoo_skip("no folios of 64 KiB to be had");
	expect_huge(z, 0);
}

static const struct zoo_kind kinds[] = {
	{ "thp", thp, 0 },
	{ "thp_unaligned_window", thp_unaligned_window, 0 },
	{ "thp_window_inside_one", thp_window_inside_one, 0 },
	{ "thp_beside_small_pages", thp_beside_small_pages, 0 },
	{ "thp_split_by_mprotect", thp_split_by_mprotect, 0 },
	{ "thp_mapped_by_small_entries", thp_mapped_by_small_entries, 0 },
	{ "thp_split_by_dontneed", thp_split_by_dontneed, 0 },
	{ "thp_partly_unmapped", thp_partly_unmapped, 0 },
	{ "thp_moved_to_unaligned_address", thp_moved_to_unaligned_address, 0 },
	{ "thp_moved_to_aligned_address", thp_moved_to_aligned_address, 0 },
	{ "thp_read_only", thp_read_only, 0 },
	{ "thp_prot_none", thp_prot_none, 0 },
	{ "thp_prot_none_and_back", thp_prot_none_and_back, 0 },
	{ "thp_forked_parent", thp_forked_parent, 0 },
	{ "thp_forked_child", thp_forked_child, 0 },
	{ "thp_madv_free", thp_madv_free, 0 },
	{ "thp_mlocked", thp_mlocked, 0 },
	{ "thp_area_never_touched", thp_area_never_touched, 0 },
	{ "huge_zero_page", huge_zero_page, 0 },
	{ "huge_zero_page_split", huge_zero_page_split, 0 },
	{ "collapsed", collapsed, 0 },
	{ "small_thp", small_thp, 0 },
};

ZOO_GROUP(zoo_thp_kinds, kinds);
