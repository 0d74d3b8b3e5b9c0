// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to device memory while it is mirrored: pages move to it and back, by the
 * client's device, another's, or a CPU access; and the address space changes as it does over
 * RAM. The client's owner is HMD_OWNER.
 */
#include <sys/wait.h>

#include "devmem.h"
#include "zoo_event.h"

#define NPAGES 40

/* The parts that are moved and changed. */
#define FIRST 8
#define N 8

static const unsigned int private_own = HMD_PRIVATE, private_other = HMD_PRIVATE_OTHER,
			  coherent_own = HMD_COHERENT;

static bool is_own_private(unsigned int memory)
{
	return memory == HMD_PRIVATE;
}

/* In RAM, watched. */
static void watch_ram(struct zoo *z, struct zoo_watch *w, enum zoo_req req)
{
	zoo_still();
	memset(z, 0, sizeof(*z));
	zoo_anon(z, NPAGES);
	zoo_touch_all(z);
	z->owner = HMD_OWNER;
	zoo_watch_window(w, z, 1, req);
}

/* All of it in a device, watched. */
static void watch_device(struct zoo *z, struct zoo_watch *w, unsigned int memory)
{
	dm_need(memory);
	zoo_still();
	memset(z, 0, sizeof(*z));
	zoo_anon(z, NPAGES);
	zoo_touch_all(z);
	z->owner = HMD_OWNER;
	dm_to_device(z->va, NPAGES, memory);
	zoo_watch_window(w, z, 1, ZOO_READ);
}

static char *page_at(const struct zoo *z, size_t page)
{
	return z->va + page * ZPAGE;
}

/* The client has the page where it is, and it is in @memory; HMD_NR_MEMORIES: in RAM. */
static void expect_in(const struct zoo_watch *w, const struct zoo *z, size_t page,
		      unsigned int memory)
{
	uint64_t mapped = hmt_device_page(w->fd, page_at(z, page)) & HMT_EXT_PFN;
	unsigned int found = 0;

	hmt_check_that(mapped, "page %zu is not mapped in the device", page);
	while (found < HMD_NR_MEMORIES && !dm_has(found, mapped))
		found++;
	hmt_check_that(found == memory, "page %zu is in memory %u, not %u", page, found,
		       memory);
	if (memory < HMD_NR_MEMORIES)
		hmt_expect(dm_peek(mapped), z->word[page]);
	else
		hmt_expect(mapped, zoo_pagemap(page_at(z, page)) & ZPM_PFN);
}

static void expect_words(const struct zoo *z)
{
	for (size_t i = 0; i < z->npages; i++)
		hmt_check_that(z->word[i] == ZOO_ANY || zoo_peek(page_at(z, i)) == z->word[i],
			       "page %zu has %#llx", i,
			       (unsigned long long)zoo_peek(page_at(z, i)));
}

/* Of the events since @from for the window, all are by the client's owner, or none is. */
static void expect_owner(const struct zoo_watch *w, uint64_t from, bool match)
{
	static struct hmt_event events[256];
	size_t n = hmt_log(w->fd, from, events, HMT_COUNT(events)), seen = 0;

	for (size_t i = 0; i < n; i++) {
		if (events[i].end_va <= (uintptr_t)w->va ||
		    events[i].start_va >= (uintptr_t)w->va + w->npages * ZPAGE)
			continue;
		seen++;
		hmt_expect(!!(events[i].flags & HMT_LOG_OWNER_MATCH), match);
	}
	hmt_check(seen);
}

static void device_event_move_there_and_back(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	bool own = memory != HMD_PRIVATE_OTHER;
	struct zoo_watch w;
	uint64_t from;
	struct zoo z;

	dm_need(memory);
	watch_ram(&z, &w, ZOO_WRITE);
	from = w.log;
	dm_to_device(page_at(&z, FIRST), N, memory);
	zoo_expect_event(&w, HMT_EVENT_MIGRATE, FIRST, N);
	expect_owner(&w, from, own);
	if (own) {
		/* The rest did not move, and nobody heard of it. */
		zoo_watch_again(&w);
		for (size_t i = 0; i < NPAGES; i++)
			expect_in(&w, &z, i, i >= FIRST && i < FIRST + N ?
				  memory : HMD_NR_MEMORIES);
	}
	from = w.log;
	dm_to_ram(page_at(&z, FIRST + 2), N - 4, memory);
	if (own) {
		zoo_expect_event(&w, HMT_EVENT_MIGRATE, FIRST + 2, N - 4);
		expect_owner(&w, from, true);
		hmt_expect(dm_info(memory).nr_used, 4);
	}
	zoo_watch_again(&w);
	for (size_t i = FIRST + 2; i < FIRST + N - 2; i++)
		expect_in(&w, &z, i, HMD_NR_MEMORIES);
	expect_words(&z);
	zoo_watch_end(&w);
}

static void device_event_cpu_access(const void *arg)
{
	struct zoo_watch w;
	uint64_t from;
	struct zoo z;

	(void)arg;
	watch_device(&z, &w, HMD_PRIVATE);
	from = w.log;
	hmt_expect(zoo_peek(page_at(&z, 11)), z.word[11]);
	zoo_expect_event(&w, HMT_EVENT_MIGRATE, 11, 1);
	expect_owner(&w, from, true);
	zoo_poke(page_at(&z, 12), 99);
	z.word[12] = 99;
	zoo_expect_event(&w, HMT_EVENT_MIGRATE, 12, 1);
	zoo_watch_again(&w);
	for (size_t i = 0; i < NPAGES; i++)
		expect_in(&w, &z, i, i == 11 || i == 12 ? HMD_NR_MEMORIES : HMD_PRIVATE);
	expect_words(&z);
	zoo_watch_end(&w);
}

static void device_event_coherent_access_is_none(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_device(&z, &w, HMD_COHERENT);
	zoo_poke(page_at(&z, 12), 99);
	hmt_expect(zoo_peek(page_at(&z, 11)), z.word[11]);
	zoo_expect_quiet(&w);
	hmt_expect(zoo_device_read(&w, 12), 99);
	zoo_watch_end(&w);
}

/* The device throws all out, and knows no addresses. */
static void device_event_evict(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	struct zoo_watch w;
	struct zoo z;

	watch_device(&z, &w, memory);
	dm_evict(memory);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, NPAGES);
	zoo_watch_again(&w);
	for (size_t i = 0; i < NPAGES; i++)
		expect_in(&w, &z, i, HMD_NR_MEMORIES);
	expect_words(&z);
	zoo_watch_end(&w);
}

static void device_event_munmap(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	struct zoo_watch w;
	struct zoo z;

	watch_device(&z, &w, memory);
	hmt_check(!munmap(page_at(&z, FIRST), N * ZPAGE));
	zoo_expect_event(&w, HMT_EVENT_UNMAP, FIRST, N);
	hmt_expect(dm_info(memory).nr_used, NPAGES - N);
	hmt_expect(zoo_fault_errno(&w, page_at(&z, FIRST), ZOO_READ), EFAULT);
	expect_in(&w, &z, FIRST - 1, memory);
	expect_in(&w, &z, FIRST + N, memory);
	zoo_watch_end(&w);
}

static void device_event_dontneed(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	struct zoo_watch w;
	struct zoo z;

	watch_device(&z, &w, memory);
	hmt_check(!madvise(page_at(&z, FIRST), N * ZPAGE, MADV_DONTNEED));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, FIRST, N);
	hmt_expect(dm_info(memory).nr_used, NPAGES - N);
	for (size_t i = FIRST; i < FIRST + N; i++)
		z.word[i] = 0;
	zoo_watch_again(&w);
	expect_words(&z);
	zoo_watch_end(&w);
}

static void device_event_mprotect(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	struct zoo_watch w;
	struct zoo z;

	watch_device(&z, &w, memory);
	hmt_check(hmt_device_page(w.fd, page_at(&z, FIRST)) & HMT_PAGE_WRITE);
	hmt_check(!mprotect(page_at(&z, FIRST), N * ZPAGE, PROT_READ));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, FIRST, N);
	hmt_expect(zoo_fault_errno(&w, page_at(&z, FIRST), ZOO_WRITE), EPERM);
	zoo_watch_again(&w);
	for (size_t i = 0; i < NPAGES; i++) {
		expect_in(&w, &z, i, memory);
		hmt_expect(!(hmt_device_page(w.fd, page_at(&z, i)) & HMT_PAGE_WRITE),
			   i >= FIRST && i < FIRST + N);
	}
	hmt_check(!mprotect(page_at(&z, FIRST), N * ZPAGE, PROT_READ | PROT_WRITE));
	zoo_watch_again(&w);
	/* Nothing but the permission has changed. */
	for (size_t i = 0; i < NPAGES; i++) {
		expect_in(&w, &z, i, memory);
		hmt_expect(zoo_fault_errno(&w, page_at(&z, i), ZOO_WRITE), 0);
	}
	expect_words(&z);
	zoo_watch_end(&w);
}

static void device_event_mremap(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	char *to = zoo_reserve(NPAGES * ZPAGE, ZHUGE);
	struct zoo_watch w, w2;
	struct zoo z;

	watch_device(&z, &w, memory);
	hmt_check(mremap(z.va, NPAGES * ZPAGE, NPAGES * ZPAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	zoo_expect_event(&w, HMT_EVENT_UNMAP, 0, NPAGES);
	z.va = to;
	zoo_watch_window(&w2, &z, 1, ZOO_READ);
	for (size_t i = 0; i < NPAGES; i++)
		expect_in(&w2, &z, i, memory);
	expect_words(&z);
	zoo_watch_end(&w2);
	zoo_watch_end(&w);
}

static void device_event_fork(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	struct zoo_watch w;
	struct zoo z;

	watch_device(&z, &w, memory);
	zoo_peer_start(NULL, NULL);
	zoo_expect_event(&w, HMT_NONE, 0, NPAGES);
	zoo_watch_again(&w);
	for (size_t i = 0; i < NPAGES; i++) {
		expect_in(&w, &z, i, memory);
		hmt_check(!(hmt_device_page(w.fd, page_at(&z, i)) & HMT_PAGE_WRITE));
	}
	/* Writing makes a copy, and there is no other place for it than RAM. */
	hmt_expect(zoo_fault_errno(&w, page_at(&z, FIRST), ZOO_WRITE), 0);
	hmt_expect(dm_info(memory).nr_used, is_own_private(memory) ? NPAGES - 1 : NPAGES);
	zoo_watch_again(&w);
	for (size_t i = 0; i < NPAGES; i++)
		expect_in(&w, &z, i, i == FIRST ? HMD_NR_MEMORIES : memory);
	expect_words(&z);
	zoo_watch_end(&w);
}

struct job {
	int fd;
	char *p;
	uint32_t tries;
};

/* One fault and commit, again while it is overtaken. */
static long fault_and_commit(void *arg)
{
	struct job *job = arg;
	struct hmt_result *r = calloc(1, sizeof(*r));
	int err;

	hmt_check(r);
	r->get = (struct hmt_get) {
		.range = 0x100, .flags = HMT_GET_COMMIT, .default_req = HMT_REQ_READ,
		.next_va = (uintptr_t)job->p,
	};
	err = hmt_get(job->fd, r);
	job->tries = r->get.tries;
	free(r);
	return err;
}

/* The walk has read one place, the page goes to another, then comes the commit. */
static void device_event_overtakes_a_walk(const void *arg)
{
	unsigned int memory = *(const unsigned int *)arg;
	struct hmt_thread t;
	struct zoo_watch w;
	struct job job;
	uint64_t from;
	struct zoo z;

	dm_need(memory);
	watch_ram(&z, &w, ZOO_READ);
	job = (struct job) { .fd = w.fd, .p = z.va };
	hmt_ok(hmt_range_add(w.fd, 0x100, z.va, NPAGES * ZPAGE));
	for (int back = 0; back < 2; back++) {
		from = hmt_log_next(w.fd);
		hmt_hook_arm(w.fd, HMT_STEP_GET_DONE, 1, 0);
		hmt_thread_start(&t, fault_and_commit, &job);
		hmt_hook_wait(w.fd, HMT_STEP_GET_DONE, 1);
		if (back)
			dm_to_ram(z.va, NPAGES, memory);
		else
			dm_to_device(z.va, NPAGES, memory);
		hmt_check(hmt_log_has(w.fd, from, HMT_EVENT_MIGRATE, z.va, ZPAGE));
		expect_owner(&w, from, true);
		hmt_hook_release(w.fd, HMT_STEP_GET_DONE);
		hmt_ok(hmt_thread_join(&t));
		hmt_expect(job.tries, 2);
		for (size_t i = 0; i < NPAGES; i++)
			expect_in(&w, &z, i, back ? HMD_NR_MEMORIES : memory);
	}
	expect_words(&z);
	zoo_watch_end(&w);
}

struct mover {
	struct zoo *z;
	unsigned int memory;
	volatile bool stop;
};

/* Back and forth, in pieces, by the device or by the CPU. */
static long move_on_and_on(void *arg)
{
	struct mover *m = arg;
	long rounds = 0;

	while (!m->stop) {
		size_t first = hmt_random_below(NPAGES);
		size_t n = 1 + hmt_random_below(NPAGES - first);

		/* Pages under way by the other side stay. */
		hmt_check(dm_move(page_at(m->z, first), n, m->memory, HMD_TO_DEVICE, 0,
				  HMD_ANYWHERE) >= 0);
		first = hmt_random_below(NPAGES);
		n = 1 + hmt_random_below(NPAGES - first);
		if (hmt_random_below(2)) {
			hmt_check(dm_move(page_at(m->z, first), n, m->memory, HMD_TO_RAM, 0,
					  HMD_ANYWHERE) >= 0);
		} else {
			hmt_expect(zoo_peek(page_at(m->z, first)), m->z->word[first]);
		}
		rounds++;
	}
	return rounds;
}

/* A client that has a page where it is not any more is found out when it closes. */
static void device_event_moves_race_walks(const void *arg)
{
	const unsigned int nr_rounds = zoo_is_debug() ? 5 : 20;
	unsigned int memory = *(const unsigned int *)arg;
	unsigned int retried = 0;
	struct hmt_thread t;
	struct zoo_watch w;
	struct mover m;
	struct job job;
	struct zoo z;

	dm_need(memory);
	watch_ram(&z, &w, ZOO_READ);
	job = (struct job) { .fd = w.fd, .p = z.va };
	hmt_ok(hmt_range_add(w.fd, 0x100, z.va, NPAGES * ZPAGE));
	m = (struct mover) { .z = &z, .memory = memory };
	hmt_thread_start(&t, move_on_and_on, &m);
	/* Until so many walks were overtaken. */
	while (retried < nr_rounds) {
		long err = fault_and_commit(&job);

		/* A second of bad luck is a legal answer. */
		hmt_check_that(!err || err == -ETIME, "%ld", err);
		retried += err || job.tries > 1;
	}
	m.stop = true;
	hmt_check(hmt_thread_join(&t) > 0);
	zoo_watch_again(&w);
	expect_words(&z);
	zoo_watch_end(&w);
}

static int dma_map(int fd, uint64_t flags, uint64_t pfn, uint64_t npages, uint64_t *dma)
{
	struct hmt_dma args = {
		.ext = { .va_flags = 0x10000 | flags,
			 .pfn_npages = pfn | npages << HMT_EXT_NPAGES_SHIFT },
	};
	int err = hmt_dma_map(fd, &args);

	*dma = args.dma;
	return err;
}

#define DEVICE_EXTENT (HMT_EXT_VALID | HMT_EXT_WRITE | HMT_EXT_DEVICE)

/* Only what others than its device reach may be mapped for DMA by others. */
static void device_dma_map_takes_what_all_reach(const void *arg)
{
	int fd = hmt_open_registered();
	uint64_t dma, pfn;

	(void)arg;
	if (dm_missing(HMD_PRIVATE))
		dm_need(HMD_COHERENT);
	if (!dm_missing(HMD_COHERENT)) {
		pfn = dm_info(HMD_COHERENT).first_pfn;
		hmt_ok(dma_map(fd, DEVICE_EXTENT, pfn, 100, &dma));
		hmt_expect(dma, pfn * HMT_PAGE);
		/* Addresses nobody has made memory of are a device's registers, or nothing. */
		pfn += 2 * dm_info(HMD_COHERENT).npages;
		hmt_expect(dma_map(fd, DEVICE_EXTENT, pfn + (1ULL << 30), 1, &dma), -EINVAL);
	}
	if (!dm_missing(HMD_PRIVATE)) {
		pfn = dm_info(HMD_PRIVATE).first_pfn;
		hmt_expect(dma_map(fd, DEVICE_EXTENT | HMT_EXT_PRIVATE, pfn, 1, &dma),
			   -EINVAL);
		/* Also if who asks does not say that it is. */
		hmt_expect(dma_map(fd, DEVICE_EXTENT, pfn, 1, &dma), -EINVAL);
	}
	hmt_close(fd);
}

#define OVER(fn_, flags_)						\
	HMT_VARIANT(fn_, private, &private_own, flags_),		\
	HMT_VARIANT(fn_, coherent, &coherent_own, flags_)

static const struct hmt_case cases[] = {
	OVER(device_event_move_there_and_back, HMT_LONG),
	HMT_VARIANT(device_event_move_there_and_back, private_other, &private_other,
		    HMT_LONG),
	HMT_CASE(device_event_cpu_access, HMT_LONG),
	HMT_CASE(device_event_coherent_access_is_none, HMT_LONG),
	OVER(device_event_evict, HMT_LONG),
	OVER(device_event_munmap, HMT_LONG),
	OVER(device_event_dontneed, HMT_LONG),
	OVER(device_event_mprotect, HMT_LONG),
	OVER(device_event_mremap, HMT_LONG),
	OVER(device_event_fork, HMT_LONG),
	OVER(device_event_overtakes_a_walk, HMT_LONG),
	OVER(device_event_moves_race_walks, HMT_LONG),
	HMT_CASE(device_dma_map_takes_what_all_reach, HMT_LONG),
};

HMT_GROUP(cases);
