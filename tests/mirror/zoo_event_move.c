// SPDX-License-Identifier: GPL-2.0-only
/* Events that give a page another place: swap, migration, compaction, KSM, balancing. */
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include <linux/mempolicy.h>

#include "zoo_event.h"

#define NPAGES 48

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

static void watch_anon(struct zoo *z, struct zoo_watch *w, size_t npages)
{
	zoo_still();
	zoo_anon(z, npages);
	zoo_touch_all(z);
	zoo_watch(w, z->va, npages, 1, ZOO_WRITE);
	zoo_device_fill(w);
}

static void expect_device_words(const struct zoo *z)
{
	for (size_t p = 0; p < z->npages; p++)
		hmt_check_that(zoo_peek(z->va + p * ZPAGE) == zoo_device_word(p),
			       "page %zu: what the device wrote is lost", p);
}

/* Pages first..first+n-1 out to swap, the others stay. */
static void swap_out(struct zoo *z, size_t first, size_t n)
{
	size_t gone = 0;

	hmt_check(!madvise(z->va + first * ZPAGE, n * ZPAGE, MADV_PAGEOUT));
	for (size_t p = first; p < first + n; p++)
		gone += !!(zoo_pagemap(z->va + p * ZPAGE) & ZPM_SWAPPED);
	if (gone != n)
		hmt_skip("%zu of %zu pages swapped out", gone, n);
}

static void event_swap_out_and_in(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_need_swap();
	watch_anon(&z, &w, NPAGES);
	swap_out(&z, 16, 8);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 16, 8);
	/* The device brings them back, with what it wrote. */
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p++) {
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
		zoo_expect_same_page(&w, p);
	}
	expect_device_words(&z);
	zoo_watch_end(&w);
}

/*
 * Read back from swap, a page is clean and its copy on disk still good: what the device
 * writes to it goes, unless it is marked dirty when it is taken from the device.
 */
static void event_swap_out_after_device_write_to_clean_page(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_need_swap();
	zoo_still();
	zoo_anon(&z, NPAGES);
	zoo_touch_all(&z);
	swap_out(&z, 0, NPAGES);
	zoo_watch(&w, z.va, NPAGES, 1, ZOO_WRITE_IF_VMA);
	zoo_device_fill(&w);
	swap_out(&z, 0, NPAGES);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, NPAGES);
	expect_device_words(&z);
	zoo_watch_end(&w);
}

/* As the one before, but the page became writable without a write of the CPU. */
static void event_swap_out_after_read_fault_and_device_write(const void *arg)
{
	uint64_t word = 4711;
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_need_swap();
	zoo_still();
	zoo_anon(&z, NPAGES);
	zoo_touch_all(&z);
	swap_out(&z, 0, NPAGES);
	zoo_watch(&w, z.va, NPAGES, 1, ZOO_READ);
	if (!(hmt_device_page(w.fd, z.va) & HMT_PAGE_WRITE))
		hmt_skip("a read fault gave no writable page");
	zoo_device_write(&w, 0, word);
	swap_out(&z, 0, 1);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, 1);
	hmt_check(zoo_peek(z.va) == word);
	zoo_watch_end(&w);
}

static void event_memfd_swap_out_and_in(const void *arg)
{
	char *va = zoo_reserve(NPAGES * ZPAGE, ZHUGE);
	struct zoo_watch w;
	struct zoo z = { .va = va, .npages = NPAGES };

	(void)arg;
	zoo_need_swap();
	zoo_still();
	zoo_mmap(va, NPAGES * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 zoo_memfd("zoo", NPAGES * ZPAGE, 0), 0);
	zoo_watch(&w, va, NPAGES, 1, ZOO_WRITE);
	zoo_device_fill(&w);
	hmt_check(!madvise(va + 8 * ZPAGE, 8 * ZPAGE, MADV_PAGEOUT));
	if (zoo_vma_swapped(va) != 8)
		hmt_skip("%zu of 8 pages swapped out", zoo_vma_swapped(va));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 8, 8);
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
	expect_device_words(&z);
	zoo_watch_end(&w);
}

/* --- migration */

static void move_pages_to(struct zoo *z, size_t first, size_t n, int node)
{
	void *pages[NPAGES];
	int nodes[NPAGES], status[NPAGES];

	hmt_check(n <= NPAGES);
	for (size_t i = 0; i < n; i++) {
		pages[i] = z->va + (first + i) * ZPAGE;
		nodes[i] = node;
	}
	hmt_check(syscall(SYS_move_pages, 0, n, pages, nodes, status, MPOL_MF_MOVE) >= 0);
	for (size_t i = 0; i < n; i++)
		hmt_check_that(status[i] == node, "page %zu is on node %d", i, status[i]);
}

static void event_numa_move_pages(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_need_nodes();
	zoo_still();
	zoo_anon(&z, NPAGES);
	zoo_touch_all(&z);
	move_pages_to(&z, 0, NPAGES, 0);
	zoo_watch(&w, z.va, NPAGES, 1, ZOO_WRITE);
	zoo_device_fill(&w);
	move_pages_to(&z, 8, 12, 1);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 8, 12);
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p++) {
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
		zoo_expect_same_page(&w, p);
	}
	zoo_watch_end(&w);
}

static void event_numa_mbind(const void *arg)
{
	unsigned long nodes = 2;
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_need_nodes();
	zoo_still();
	zoo_anon(&z, NPAGES);
	zoo_touch_all(&z);
	move_pages_to(&z, 0, NPAGES, 0);
	zoo_watch(&w, z.va, NPAGES, 1, ZOO_WRITE);
	zoo_device_fill(&w);
	hmt_check(!syscall(SYS_mbind, z.va + 4 * ZPAGE, 6 * ZPAGE, MPOL_BIND, &nodes,
			   8 * sizeof(nodes), MPOL_MF_MOVE | MPOL_MF_STRICT));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 4, 6);
	zoo_watch_again(&w);
	expect_device_words(&z);
	zoo_watch_end(&w);
}

/* Any kernel can move a page away from memory that is about to fail. */
static void event_soft_offline(const void *arg)
{
	uint64_t before, after;
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w, NPAGES);
	before = zoo_pagemap(z.va + 9 * ZPAGE) & ZPM_PFN;
	if (madvise(z.va + 9 * ZPAGE, ZPAGE, MADV_SOFT_OFFLINE))
		hmt_skip("MADV_SOFT_OFFLINE: %s", strerror(errno));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 9, 1);
	zoo_watch_again(&w);
	after = zoo_pagemap(z.va + 9 * ZPAGE) & ZPM_PFN;
	hmt_check(before != after);
	zoo_expect_same_page(&w, 9);
	hmt_check(zoo_device_read(&w, 9) == zoo_device_word(9));
	zoo_watch_end(&w);
}

/* Memory full of holes, which compaction fills from below. */
static void make_holes(struct zoo *filler)
{
	for (size_t p = 0; p < filler->npages; p += 2)
		hmt_check(!madvise(filler->va + p * ZPAGE, ZPAGE, MADV_DONTNEED));
}

/*
 * The window is allocated between two others that then get holes; which of them lies above
 * it in memory is for the allocator to say. Compaction moves what it likes.
 */
static void event_compaction(const void *arg)
{
	const size_t npages = 2048;
	uint64_t *before = calloc(npages, sizeof(*before));
	uint64_t *after = calloc(npages, sizeof(*after));
	bool *moved = calloc(npages, sizeof(*moved));
	struct zoo first, z, last;
	struct zoo_watch w;
	size_t n = 0;

	(void)arg;
	hmt_check(before && after && moved);
	zoo_still();
	zoo_anon(&first, 2 * npages);
	zoo_anon(&z, npages);
	zoo_anon(&last, 2 * npages);
	zoo_touch_all(&first);
	zoo_touch_all(&z);
	zoo_touch_all(&last);
	make_holes(&first);
	make_holes(&last);
	zoo_watch(&w, z.va, npages, 1, ZOO_WRITE);
	zoo_device_fill(&w);
	zoo_pagemaps(z.va, npages, before);
	if (zoo_write_sys("/proc/sys/vm/compact_memory", "1"))
		hmt_skip("no compaction");
	zoo_pagemaps(z.va, npages, after);
	for (size_t p = 0; p < npages; p++) {
		moved[p] = (before[p] ^ after[p]) & ZPM_PFN;
		n += moved[p];
	}
	hmt_note("%zu pages moved", n);
	if (!n)
		hmt_skip("compaction moved none of %zu pages", npages);
	zoo_expect_events(&w, HMT_EVENT_CHANGE, moved);
	zoo_watch_again(&w);
	for (size_t p = 0; p < npages; p++) {
		zoo_expect_same_page(&w, p);
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
	}
	zoo_watch_end(&w);
}

/* --- KSM */

#define KSM "/sys/kernel/mm/ksm/"

static void event_ksm(const void *arg)
{
	bool which[NPAGES];
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_still();
	zoo_anon(&z, NPAGES);
	/* Twins in the first half, the rest are unlike any other. */
	for (size_t p = 0; p < NPAGES; p++)
		zoo_poke(z.va + p * ZPAGE, p < NPAGES / 2 ? 0x7717 : zoo_word(&z, p));
	zoo_watch(&w, z.va, NPAGES, 1, ZOO_WRITE);
	if (madvise(z.va, NPAGES * ZPAGE, MADV_MERGEABLE))
		hmt_skip("no KSM: %s", strerror(errno));
	zoo_set_sys(KSM "pages_to_scan", "10000");
	zoo_set_sys(KSM "sleep_millisecs", "1");
	zoo_set_sys(KSM "run", "1");
	hmt_until(zoo_merged(&z, which) >= NPAGES / 2);
	zoo_set_sys(KSM "run", "0");
	hmt_expect(zoo_merged(&z, which), NPAGES / 2);
	zoo_expect_events(&w, HMT_EVENT_CHANGE, which);
	/* One for all to read; who writes gets one to itself again. */
	hmt_expect(zoo_fault_errno(&w, z.va, ZOO_READ), 0);
	hmt_expect(zoo_merged(&z, which), NPAGES / 2);
	zoo_watch_again(&w);
	hmt_expect(zoo_merged(&z, which), 0);
	zoo_device_write(&w, 3, 4711);
	for (size_t p = 0; p < NPAGES / 2; p++)
		hmt_expect(zoo_peek(z.va + p * ZPAGE), p == 3 ? 4711 : 0x7717);
	zoo_watch_end(&w);
}

/* --- NUMA balancing */

static void *idle(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static bool all_heard(struct zoo_watch *w)
{
	bool all = true;

	for (size_t p = 0; p < w->npages; p++)
		all &= hmt_log_has(w->fd, w->log, HMT_EVENT_CHANGE, w->va + p * ZPAGE,
				   ZPAGE);
	/* The scanner runs when a task does, at the end of a call. */
	for (volatile int i = 0; i < 1000000; i++)
		;
	return all;
}

/* As zoo_device_fill(), while the scanner takes the mappings away. */
static void fill_and_follow(struct zoo_watch *w)
{
	for (size_t p = 0; p < w->npages; p++) {
		uint64_t word = zoo_device_word(p);
		int ret;

		while ((ret = hmt_device_write(w->fd, w->va + p * ZPAGE, &word,
					       sizeof(word))) == -EFAULT)
			zoo_watch_again(w);
		hmt_ok(ret);
	}
}

static void balanced(void *arg)
{
	pthread_t thread;
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	hmt_check(!pthread_create(&thread, NULL, idle, NULL));
	zoo_anon(&z, zoo_npages());
	zoo_touch_all(&z);
	zoo_watch(&w, z.va, z.npages, 512, ZOO_WRITE);
	fill_and_follow(&w);
	w.log = 0;
	hmt_until(all_heard(&w));
	zoo_numa_scanning(false);
	/* Whatever went meanwhile, nothing is lost. */
	zoo_watch_again(&w);
	for (size_t p = 0; p < z.npages; p++) {
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
		zoo_expect_same_page(&w, p);
	}
	zoo_watch_end(&w);
}

static void event_numa_hinting(const void *arg)
{
	(void)arg;
	zoo_need_nodes();
	zoo_still();
	zoo_numa_scanning(true);
	/* Only tasks that begin now are scanned. */
	hmt_reap_ok(hmt_child(balanced, NULL));
}

static const struct hmt_case cases[] = {
	HMT_CASE(event_swap_out_and_in, HMT_LONG),
	HMT_CASE(event_swap_out_after_device_write_to_clean_page, HMT_LONG),
	HMT_CASE(event_swap_out_after_read_fault_and_device_write, HMT_LONG),
	HMT_CASE(event_memfd_swap_out_and_in, HMT_LONG),
	HMT_CASE(event_numa_move_pages, HMT_LONG),
	HMT_CASE(event_numa_mbind, HMT_LONG),
	HMT_CASE(event_soft_offline, HMT_LONG),
	HMT_CASE(event_compaction, HMT_LONG),
	HMT_CASE(event_ksm, HMT_LONG),
	HMT_CASE(event_numa_hinting, HMT_LONG),
};

HMT_GROUP(cases);
