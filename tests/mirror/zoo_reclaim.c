// SPDX-License-Identifier: GPL-2.0-only
/* What reclaim, KSM, migration, NUMA balancing and broken memory leave behind. */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include <linux/mempolicy.h>

#include "zoo_mirror.h"

/* --- swap */

static void page_out(char *va, size_t npages)
{
	hmt_check_that(!madvise(va, npages * ZPAGE, MADV_PAGEOUT), "MADV_PAGEOUT: errno %d",
		       errno);
}

/* The rest may be under writeback or in use by somebody. */
static void expect_swapped(const struct zoo *z, size_t at_least)
{
	size_t n = zoo_count(z, ZPM_SWAPPED);

	if (n < at_least)
		zoo_skip("%zu pages swapped out, %zu expected", n, at_least);
}

static void swapped_out(struct zoo *z)
{
	zoo_need_swap();
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	page_out(z->va, z->npages);
	expect_swapped(z, z->npages / 2);
}

static void swapped_out_in_part(struct zoo *z)
{
	zoo_need_swap();
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	for (size_t i = 0; i + 8 < z->npages; i += 16)
		page_out(z->va + i * ZPAGE, 8);
	expect_swapped(z, z->npages / 4);
	hmt_check(zoo_count(z, ZPM_PRESENT) >= z->npages / 3);
}

/* Read back in: the page in memory and its copy on disk are the same. */
static void swapped_out_and_read(struct zoo *z)
{
	swapped_out(z);
	for (size_t i = 0; i < z->npages; i += 3)
		hmt_check(zoo_peek(z->va + i * ZPAGE) == z->word[i]);
}

static void swapped_out_forked_child(struct zoo *z)
{
	swapped_out(z);
	zoo_become_child();
	for (size_t i = 0; i < z->npages; i += 3)
		hmt_check(zoo_peek(z->va + i * ZPAGE) == z->word[i]);
}

static void thp_swapped_out(struct zoo *z)
{
	char *va = zoo_reserve(2 * ZHUGE, ZHUGE);

	zoo_need_swap();
	zoo_need_thp();
	zoo_window(z, va, 2 * ZHUGE_NPAGES, 0);
	zoo_mmap(va, 2 * ZHUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	hmt_check(!madvise(va, 2 * ZHUGE, MADV_HUGEPAGE));
	zoo_touch_all(z);
	if (zoo_count_huge(z) != z->npages)
		zoo_skip("no huge pages to be had");
	page_out(va, ZHUGE_NPAGES);
	expect_swapped(z, ZHUGE_NPAGES / 2);
}

static void memfd_swapped_out(struct zoo *z)
{
	int fd = zoo_memfd("zoo", zoo_npages() * ZPAGE, 0);
	char *va = zoo_reserve(zoo_npages() * ZPAGE, ZHUGE);

	zoo_need_swap();
	zoo_window(z, va, zoo_npages(), 0);
	zoo_mmap(va, z->npages * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	zoo_touch_all(z);
	page_out(va, z->npages);
	/* The file knows where its pages are, the page table does not. */
	if (zoo_vma_swapped(va) < z->npages / 2)
		zoo_skip("%zu pages swapped out, %zu expected", zoo_vma_swapped(va),
			 z->npages / 2);
	hmt_check(zoo_count(z, ZPM_PRESENT) < z->npages / 2);
}

/* --- soft-dirty */

static void soft_dirty_cleared(struct zoo *z)
{
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	if (zoo_count(z, ZPM_SOFT_DIRTY) != z->npages)
		zoo_skip("this kernel keeps no soft-dirty bits");
	hmt_check(!zoo_write_sys("/proc/self/clear_refs", "4"));
	hmt_check(!zoo_count(z, ZPM_SOFT_DIRTY));
	for (size_t i = 0; i < z->npages; i += 11)
		zoo_touch(z, i);
}

/* --- KSM */

#define KSM "/sys/kernel/mm/ksm/"

static void ksm_merged(struct zoo *z)
{
	zoo_anon(z, 300);
	for (size_t i = 0; i < z->npages; i++) {
		/* Each has a few twins. */
		z->word[i] = 0x5eed0000 + i % 10;
		zoo_poke(z->va + i * ZPAGE, z->word[i]);
	}
	if (madvise(z->va, z->npages * ZPAGE, MADV_MERGEABLE))
		zoo_skip("no KSM: %s", strerror(errno));
	zoo_set_sys(KSM "pages_to_scan", "10000");
	zoo_set_sys(KSM "sleep_millisecs", "1");
	zoo_set_sys(KSM "run", "1");
	hmt_until(zoo_merged(z, NULL) >= z->npages / 2);
	zoo_set_sys(KSM "run", "0");
}

/* --- nodes */

static void move_pages_to(struct zoo *z, size_t first, size_t step, int node)
{
	size_t n = 0;
	void **pages = calloc(z->npages, sizeof(*pages));
	int *nodes = calloc(z->npages, sizeof(*nodes));
	int *status = calloc(z->npages, sizeof(*status));
	long left;

	hmt_check(pages && nodes && status);
	for (size_t i = first; i < z->npages; i += step, n++) {
		pages[n] = z->va + i * ZPAGE;
		nodes[n] = node;
	}
	left = syscall(SYS_move_pages, 0, n, pages, nodes, status, MPOL_MF_MOVE);
	hmt_check_that(left >= 0, "move_pages: errno %d", errno);
	for (size_t i = 0; i < n; i++)
		if (status[i] != node)
			zoo_skip("page %zu of %zu did not move: %d", i, n, status[i]);
	free(pages);
	free(nodes);
	free(status);
}

static void moved_between_nodes(struct zoo *z)
{
	zoo_need_nodes();
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	move_pages_to(z, 0, 1, 0);
	move_pages_to(z, 0, 3, 1);
}

static void thp_moved_between_nodes(struct zoo *z)
{
	char *va = zoo_reserve(2 * ZHUGE, ZHUGE);

	zoo_need_nodes();
	zoo_need_thp();
	zoo_window(z, va, 2 * ZHUGE_NPAGES, 0);
	zoo_mmap(va, 2 * ZHUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	hmt_check(!madvise(va, 2 * ZHUGE, MADV_HUGEPAGE));
	zoo_touch(z, 0);
	zoo_touch(z, ZHUGE_NPAGES);
	if (zoo_count_huge(z) != z->npages)
		zoo_skip("no huge pages to be had");
	move_pages_to(z, 0, ZHUGE_NPAGES, 0);
	move_pages_to(z, ZHUGE_NPAGES, ZHUGE_NPAGES, 1);
}

static void interleaved_on_nodes(struct zoo *z)
{
	unsigned long nodes = 3;

	zoo_need_nodes();
	zoo_anon(z, zoo_npages());
	hmt_check(!syscall(SYS_mbind, z->va, z->npages * ZPAGE, MPOL_INTERLEAVE, &nodes,
			   8 * sizeof(nodes), 0));
	for (size_t i = 0; i < z->npages; i++)
		if (i % 5)
			zoo_touch(z, i);
}

/* --- NUMA hinting */

/* Pages that are there for pagemap and not for who walks the page table. */
static size_t nr_taken_away(const struct zoo *z)
{
	struct zoo_page *ours = calloc(z->npages, sizeof(*ours));
	struct zoo_page *kernel = calloc(z->npages, sizeof(*kernel));
	size_t n = 0;
	int fd = hmt_open_registered();

	hmt_check(ours && kernel);
	zoo_snapshot(fd, z->va, z->npages, 256, ours, kernel);
	for (size_t i = 0; i < z->npages; i++)
		n += !kernel[i].valid &&
		     (zoo_pagemap(z->va + i * ZPAGE) & ZPM_PRESENT);
	hmt_close(fd);
	free(ours);
	free(kernel);
	return n;
}

static void *idle(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/*
 * The scanner makes a task's pages inaccessible while the task runs, a piece at a time,
 * and knows only tasks that began after it was switched on. A process with one thread
 * is left alone where its memory is local.
 */
static void scanned(struct zoo *z)
{
	uint64_t end = hmt_now_ms() + HMT_WAIT_MS;
	pthread_t thread;
	size_t n;

	hmt_check(!pthread_create(&thread, NULL, idle, NULL));
	do {
		for (volatile int i = 0; i < 3000000; i++)
			;
		/* The scanner runs when a call returns. */
		sched_yield();
		n = nr_taken_away(z);
	} while (n < z->npages / 2 && hmt_now_ms() < end);
	zoo_numa_scanning(false);
	if (n < z->npages / 2)
		zoo_skip("NUMA balancing took %zu pages away", n);
}

static void numa_hinting(struct zoo *z)
{
	zoo_need_nodes();
	zoo_numa_scanning(true);
	zoo_become_child();
	zoo_anon(z, zoo_npages());
	zoo_touch_all(z);
	scanned(z);
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages);
}

static void numa_hinting_thp(struct zoo *z)
{
	char *va;

	zoo_need_nodes();
	zoo_need_thp();
	zoo_numa_scanning(true);
	zoo_become_child();
	va = zoo_reserve(3 * ZHUGE, ZHUGE);
	zoo_window(z, va, 3 * ZHUGE_NPAGES, 0);
	zoo_mmap(va, 3 * ZHUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	hmt_check(!madvise(va, 3 * ZHUGE, MADV_HUGEPAGE));
	for (size_t i = 0; i < 3; i++)
		zoo_touch(z, i * ZHUGE_NPAGES);
	scanned(z);
}

/* --- broken memory */

static int broken_errno(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)req;
	return page == (size_t)z->arg ? EHWPOISON : 0;
}

static void on_sigbus(int sig)
{
	(void)sig;
}

/* The page at @page, and with it all of its huge page of hugetlbfs. */
static void poison(struct zoo *z, size_t page, size_t npages)
{
	const struct sigaction ignore = { .sa_handler = on_sigbus };
	struct sigaction old;

	/* Who breaks a page of its own is told at once. */
	hmt_check(!sigaction(SIGBUS, &ignore, &old));
	if (madvise(z->va + page * ZPAGE, ZPAGE, MADV_HWPOISON))
		zoo_skip("MADV_HWPOISON: %s", strerror(errno));
	hmt_check(!sigaction(SIGBUS, &old, NULL));
	for (size_t i = 0; i < npages; i++)
		z->word[page + i] = ZOO_ANY;
	hmt_check(!(zoo_pagemap(z->va + page * ZPAGE) & ZPM_PRESENT));
}

static void broken_page(struct zoo *z)
{
	zoo_anon(z, 100);
	zoo_touch_all(z);
	z->arg = 33;
	poison(z, 33, 1);
	z->page_errno = broken_errno;
}

static void broken_memfd_page(struct zoo *z)
{
	int fd = zoo_memfd("zoo", 100 * ZPAGE, 0);
	char *va = zoo_reserve(100 * ZPAGE, ZHUGE);

	zoo_window(z, va, 100, 0);
	zoo_mmap(va, z->npages * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	zoo_touch_all(z);
	z->arg = 50;
	poison(z, 50, 1);
	z->page_errno = broken_errno;
}

static void broken_thp(struct zoo *z)
{
	char *va = zoo_reserve(ZHUGE, ZHUGE);

	zoo_need_thp();
	zoo_window(z, va, ZHUGE_NPAGES, 0);
	zoo_mmap(va, ZHUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hmt_check(!madvise(va, ZHUGE, MADV_HUGEPAGE));
	zoo_touch_all(z);
	if (zoo_count_huge(z) != z->npages)
		zoo_skip("no huge pages to be had");
	z->arg = 200;
	poison(z, 200, 1);
	z->page_errno = broken_errno;
}

static int broken_hugetlb_errno(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)z;
	(void)req;
	return page / ZHUGE_NPAGES == 1 ? EHWPOISON : 0;
}

static void broken_hugetlb(struct zoo *z)
{
	char *va = zoo_reserve(2 * ZHUGE, ZHUGE);

	zoo_need_hugetlb(ZHUGE, 2);
	zoo_window(z, va, 2 * ZHUGE_NPAGES, 0);
	zoo_mmap(va, 2 * ZHUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	zoo_touch(z, 0);
	zoo_touch(z, ZHUGE_NPAGES);
	poison(z, ZHUGE_NPAGES, ZHUGE_NPAGES);
	z->page_errno = broken_hugetlb_errno;
}

static const struct zoo_kind kinds[] = {
	{ "swapped_out", swapped_out, 0 },
	{ "swapped_out_in_part", swapped_out_in_part, 0 },
	{ "swapped_out_and_read", swapped_out_and_read, 0 },
	{ "swapped_out_forked_child", swapped_out_forked_child, 0 },
	{ "thp_swapped_out", thp_swapped_out, 0 },
	{ "memfd_swapped_out", memfd_swapped_out, 0 },
	{ "soft_dirty_cleared", soft_dirty_cleared, ZOO_EXACT },
	{ "ksm_merged", ksm_merged, ZOO_EXACT },
};

static const struct zoo_kind numa_kinds[] = {
	{ "moved_between_nodes", moved_between_nodes, ZOO_EXACT },
	{ "thp_moved_between_nodes", thp_moved_between_nodes, 0 },
	{ "interleaved_on_nodes", interleaved_on_nodes, ZOO_EXACT },
	{ "numa_hinting", numa_hinting, ZOO_PAGES_MOVE },
	{ "numa_hinting_thp", numa_hinting_thp, ZOO_PAGES_MOVE },
};

static const struct zoo_kind broken_kinds[] = {
	{ "broken_page", broken_page, 0 },
	{ "broken_memfd_page", broken_memfd_page, 0 },
	{ "broken_thp", broken_thp, 0 },
	{ "broken_hugetlb", broken_hugetlb, 0 },
};

ZOO_GROUP(zoo_reclaim_kinds, kinds);
ZOO_GROUP(zoo_numa_kinds, numa_kinds);
ZOO_GROUP(zoo_broken_kinds, broken_kinds);
