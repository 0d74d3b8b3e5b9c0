// SPDX-License-Identifier: GPL-2.0-only
/* Private memory in pages of 4 KiB. */
#include "zoo.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

static void expect_present(const struct zoo *z, size_t npages)
{
	size_t n = zoo_count(z, ZPM_PRESENT);

	hmt_check_that(n == npages, "%zu pages present, %zu expected", n, npages);
}

static void touched_in_order(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	expect_present(z, z->npages);
	hmt_check(zoo_count_kpf(z, ZKPF_ANON) == z->npages);
	hmt_check(!zoo_count_kpf(z, ZKPF_THP));
}

static void touched_in_random_order(struct zoo *z)
{
	size_t *order, i, j, swap, jumps = 0;
	uint64_t *entries;

	zoo_anon(z, zoo_npages());
	order = calloc(z->npages, sizeof(*order));
	entries = calloc(z->npages, sizeof(*entries));
	hmt_check(order && entries);
	for (i = 0; i < z->npages; i++)
		order[i] = i;
	for (i = z->npages - 1; i; i--) {
		j = hmt_random_below(i + 1);
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	for (i = 0; i < z->npages; i++)
		zoo_touch(z, order[i]);
	zoo_pagemaps(z->va, z->npages, entries);
	for (i = 1; i < z->npages; i++)
		jumps += entries[i] != entries[i - 1] + 1;
	hmt_check_that(jumps > z->npages / 2, "only %zu jumps in %zu pages", jumps,
		       z->npages);
	free(order);
	free(entries);
}

static void every_nth(struct zoo *z, size_t step)
{
	size_t n = 0;

	zoo_anon(z, zoo_npages());
	for (size_t i = 0; i < z->npages; i += step, n++)
		zoo_touch(z, i);
	expect_present(z, n);
}

static void every_2nd_page(struct zoo *z)
{
	every_nth(z, 2);
}

static void every_7th_page(struct zoo *z)
{
	every_nth(z, 7);
}

static void every_512th_page(struct zoo *z)
{
	every_nth(z, 512);
}

static void never_touched(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	expect_present(z, 0);
}

static void zero_page_by_reading(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	for (size_t i = 0; i < z->npages; i++)
		hmt_check(!zoo_peek(z->va + i * ZPAGE));
	hmt_check(zoo_count_kpf(z, ZKPF_ZERO_PAGE) == z->npages);
}

static void zero_page_between_touched(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	for (size_t i = 0; i < z->npages; i++) {
		if (i % 3)
			zoo_touch(z, i);
		else
			hmt_check(!zoo_peek(z->va + i * ZPAGE));
	}
	hmt_check(zoo_count_kpf(z, ZKPF_ZERO_PAGE) == (z->npages + 2) / 3);
}

static void read_only(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	hmt_check(!mprotect(z->va, z->npages * ZPAGE, PROT_READ));
	expect_present(z, z->npages);
}

/* The middle third; pages there can be looked at again only when it is readable. */
static void prot_none_part(struct zoo *z)
{
	size_t third;

	zoo_anon(z, zoo_npages());
	third = z->npages / 3;
	zoo_touch_all(z);
	hmt_check(!mprotect(z->va + third * ZPAGE, third * ZPAGE, PROT_NONE));
	for (size_t i = third; i < 2 * third; i++)
		z->word[i] = ZOO_ANY;
	expect_present(z, z->npages);
}

static void prot_none_and_back(struct zoo *z)
{
	size_t third;

	prot_none_part(z);
	third = z->npages / 3;
	hmt_check(!mprotect(z->va + third * ZPAGE, third * ZPAGE, PROT_READ | PROT_WRITE));
	for (size_t i = third; i < 2 * third; i++)
		z->word[i] = zoo_word(z, i);
	expect_present(z, z->npages);
}

/* Every second page has another permission: as many VMAs as pages. */
static void a_vma_per_page(struct zoo *z)
{
	static const int prot[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };

	zoo_anon(z, 96);
	zoo_touch_all(z);
	for (size_t i = 0; i < z->npages; i++) {
		hmt_check(!mprotect(z->va + i * ZPAGE, ZPAGE, prot[i % 3]));
		if (i % 3 == 2)
			z->word[i] = ZOO_ANY;
	}
}

static void write_only(struct zoo *z)
{
	zoo_anon(z, 40);
	zoo_touch_all(z);
	hmt_check(!mprotect(z->va, z->npages * ZPAGE, PROT_WRITE));
	for (size_t i = 0; i < z->npages; i++)
		z->word[i] = ZOO_ANY;
}

static void holes_between_vmas(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	for (size_t i = 3; i + 20 < z->npages; i += 61) {
		hmt_check(!munmap(z->va + i * ZPAGE, (1 + i % 20) * ZPAGE));
		for (size_t k = 0; k < 1 + i % 20; k++)
			z->word[i + k] = ZOO_ANY;
	}
}

/* A whole table's worth of addresses without a VMA. */
static void hole_of_2_mib(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	hmt_check(!munmap(z->va + 300 * ZPAGE, ZHUGE));
	for (size_t i = 300; i < 300 + ZHUGE_NPAGES; i++)
		z->word[i] = ZOO_ANY;
}

static void forked_parent(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	zoo_peer_start(NULL, NULL);
	hmt_check(!zoo_count(z, ZPM_EXCLUSIVE));
	/* Half of it is ours again. */
	for (size_t i = 0; i < z->npages; i += 2)
		zoo_touch(z, i);
	hmt_check(zoo_count(z, ZPM_EXCLUSIVE) >= z->npages / 2);
}

static void forked_child(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	for (size_t i = 0; i < z->npages; i++)
		if (i % 5)
			zoo_touch(z, i);
	zoo_become_child();
	hmt_check(!zoo_count(z, ZPM_EXCLUSIVE));
	for (size_t i = 0; i < z->npages; i += 4)
		zoo_touch(z, i);
	hmt_check(zoo_count(z, ZPM_EXCLUSIVE) >= z->npages / 4);
}

/* Half of the window on either side of an address where higher tables change. */
static void across(struct zoo *z, size_t align)
{
	char *va = zoo_reserve(2 * align, align) + align - 40 * ZPAGE;

	zoo_window(z, va, 80, 0);
	zoo_mmap(va, 80 * ZPAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	hmt_check(!madvise(va, 80 * ZPAGE, MADV_NOHUGEPAGE));
	for (size_t i = 0; i < z->npages; i++)
		if (i % 6)
			zoo_touch(z, i);
}

static void across_1_gib(struct zoo *z)
{
	across(z, ZGIANT);
}

static void across_512_gib(struct zoo *z)
{
	across(z, 512 * ZGIANT);
}

static void madv_free(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	hmt_check(!madvise(z->va, z->npages / 2 * ZPAGE, MADV_FREE));
	/* From now on they may be zeros at any time. */
	for (size_t i = 0; i < z->npages / 2; i++)
		z->word[i] = ZOO_ANY;
}

static void mlocked(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch(z, 5);
	hmt_check(!mlock(z->va, z->npages * ZPAGE));
	hmt_check(zoo_vma_has(z->va, "lo"));
	expect_present(z, z->npages);
}

static void mlocked_on_fault(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch(z, 5);
	if (mlock2(z->va, z->npages * ZPAGE, MLOCK_ONFAULT))
		zoo_skip("mlock2: errno %d", errno);
	hmt_check(zoo_vma_has(z->va, "lo"));
	expect_present(z, 1);
}

/* Pages that left their places: physically they are where they were. */
static void moved_by_mremap(struct zoo *z)
{
	char *from, *to;

	zoo_anon(z, zoo_npages());
	for (size_t i = 0; i < z->npages; i++)
		if (i % 3)
			zoo_touch(z, i);
	from = z->va;
	to = zoo_reserve(z->npages * ZPAGE + ZHUGE, ZHUGE) + 9 * ZPAGE;
	hmt_check(mremap(from, z->npages * ZPAGE, z->npages * ZPAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	/* Words are told apart by where they were written: keep them. */
	z->va = to;
}

static void droppable(struct zoo *z)
{
	char *va = zoo_reserve(64 * ZPAGE, ZHUGE);

	zoo_window(z, va, 64, 0);
	if (mmap(va, 64 * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != va)
		zoo_skip("this kernel has no MAP_DROPPABLE");
	for (size_t i = 0; i < z->npages; i += 2)
		zoo_touch(z, i);
	hmt_check(zoo_vma_has(va, "dp"));
	/* May be dropped at any time. */
	for (size_t i = 0; i < z->npages; i++)
		z->word[i] = ZOO_ANY;
}

static void shared_anonymous(struct zoo *z)
{
	char *va = zoo_reserve(zoo_npages() * ZPAGE, ZHUGE);

	zoo_window(z, va, zoo_npages(), 0);
	zoo_mmap(va, z->npages * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < z->npages; i++)
		if (i % 100 > 30)
			zoo_touch(z, i);
	hmt_check(!zoo_count_kpf(z, ZKPF_ANON));
}

static const struct zoo_kind kinds[] = {
	{ "touched_in_order", touched_in_order, ZOO_EXACT },
	{ "touched_in_random_order", touched_in_random_order, ZOO_EXACT },
	{ "every_2nd_page", every_2nd_page, ZOO_EXACT },
	{ "every_7th_page", every_7th_page, ZOO_EXACT },
	{ "every_512th_page", every_512th_page, ZOO_EXACT },
	{ "never_touched", never_touched, ZOO_EXACT },
	{ "zero_page_by_reading", zero_page_by_reading, ZOO_EXACT },
	{ "zero_page_between_touched", zero_page_between_touched, ZOO_EXACT },
	{ "read_only", read_only, ZOO_EXACT },
	{ "prot_none_part", prot_none_part, ZOO_EXACT },
	{ "prot_none_and_back", prot_none_and_back, ZOO_EXACT },
	{ "a_vma_per_page", a_vma_per_page, ZOO_EXACT },
	{ "write_only", write_only, ZOO_EXACT },
	{ "holes_between_vmas", holes_between_vmas, ZOO_EXACT },
	{ "hole_of_2_mib", hole_of_2_mib, ZOO_EXACT },
	{ "forked_parent", forked_parent, ZOO_EXACT },
	{ "forked_child", forked_child, ZOO_EXACT },
	{ "across_1_gib", across_1_gib, ZOO_EXACT },
	{ "across_512_gib", across_512_gib, ZOO_EXACT },
	{ "madv_free", madv_free, ZOO_EXACT },
	{ "mlocked", mlocked, ZOO_EXACT },
	{ "mlocked_on_fault", mlocked_on_fault, ZOO_EXACT },
	{ "moved_by_mremap", moved_by_mremap, ZOO_EXACT },
	{ "droppable", droppable, ZOO_EXACT },
	{ "shared_anonymous", shared_anonymous, ZOO_EXACT },
};

ZOO_GROUP(zoo_anon_kinds, kinds);
