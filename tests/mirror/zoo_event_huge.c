// SPDX-License-Identifier: GPL-2.0-only
/* Events of huge pages: of private memory and of hugetlbfs, shared page tables. */
#include <fcntl.h>
#include <sys/wait.h>

#include "zoo_event.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif

#define NHUGE	3
#define NPAGES	(NHUGE * ZHUGE_NPAGES)
#define UNIT	64

/* --- transparent huge pages */

static void watch_thp(struct zoo *z, struct zoo_watch *w)
{
	char *va = zoo_reserve(NHUGE * ZHUGE, ZHUGE);

	zoo_still();
	zoo_need_thp();
	zoo_window(z, va, NPAGES, 0);
	zoo_mmap(va, NHUGE * ZHUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	hmt_check(!madvise(va, NHUGE * ZHUGE, MADV_HUGEPAGE));
	for (size_t i = 0; i < NHUGE; i++)
		zoo_touch(z, i * ZHUGE_NPAGES);
	if (zoo_count_huge(z) != NPAGES)
		hmt_skip("no huge pages to be had");
	zoo_watch(w, va, NPAGES, UNIT, ZOO_WRITE);
	zoo_device_fill(w);
}

static void expect_device_words(const char *va, size_t first, size_t n)
{
	for (size_t p = first; p < first + n; p++)
		hmt_check_that(zoo_peek(va + p * ZPAGE) == zoo_device_word(p),
			       "page %zu: what the device wrote is lost", p);
}

/* The huge entry is replaced: an event for all of it, and none for its neighbours. */
static void event_thp_split_by_mprotect(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_thp(&z, &w);
	hmt_check(!mprotect(z.va + ZHUGE + 128 * ZPAGE, 64 * ZPAGE, PROT_READ));
	hmt_expect(zoo_count_huge(&z), 2 * ZHUGE_NPAGES);
	zoo_expect_event_within(&w, HMT_EVENT_CHANGE, ZHUGE_NPAGES + 128, 64, ZHUGE_NPAGES,
				ZHUGE_NPAGES);
	hmt_expect(zoo_fault_errno(&w, z.va + ZHUGE + 130 * ZPAGE, ZOO_WRITE), EPERM);
	hmt_check(!mprotect(z.va + ZHUGE + 128 * ZPAGE, 64 * ZPAGE,
			    PROT_READ | PROT_WRITE));
	zoo_watch_again(&w);
	expect_device_words(z.va, 0, NPAGES);
	zoo_watch_end(&w);
}

static void event_thp_split_by_dontneed(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_thp(&z, &w);
	hmt_check(!madvise(z.va + ZHUGE + 7 * ZPAGE, ZPAGE, MADV_DONTNEED));
	zoo_expect_event_within(&w, HMT_EVENT_CHANGE, ZHUGE_NPAGES + 7, 1, ZHUGE_NPAGES,
				ZHUGE_NPAGES);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, ZHUGE_NPAGES + 7), 0);
	hmt_check(zoo_device_read(&w, ZHUGE_NPAGES + 8) == zoo_device_word(ZHUGE_NPAGES + 8));
	zoo_watch_end(&w);
}

static void event_thp_partial_munmap(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_thp(&z, &w);
	hmt_check(!munmap(z.va + 100 * ZPAGE, 50 * ZPAGE));
	zoo_expect_event_within(&w, HMT_NONE, 100, 50, 0, ZHUGE_NPAGES);
	expect_device_words(z.va, 0, 100);
	expect_device_words(z.va, 150, NPAGES - 150);
	zoo_watch_end(&w);
}

static void event_thp_mremap_to_unaligned(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;
	char *to;

	(void)arg;
	watch_thp(&z, &w);
	to = zoo_reserve(2 * ZHUGE, ZHUGE) + 3 * ZPAGE;
	hmt_check(mremap(z.va + ZHUGE, ZHUGE, ZHUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
		  to);
	zoo_expect_event(&w, HMT_NONE, ZHUGE_NPAGES, ZHUGE_NPAGES);
	for (size_t p = 0; p < ZHUGE_NPAGES; p++)
		hmt_check(zoo_peek(to + p * ZPAGE) == zoo_device_word(ZHUGE_NPAGES + p));
	hmt_expect(zoo_fault_errno(&w, to + 5 * ZPAGE, ZOO_WRITE), 0);
	zoo_watch_end(&w);
}

static void event_thp_collapse(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_still();
	zoo_need_thp();
	zoo_anon(&z, 2 * ZHUGE_NPAGES);
	zoo_touch_all(&z);
	zoo_watch(&w, z.va, z.npages, UNIT, ZOO_WRITE);
	zoo_device_fill(&w);
	hmt_check(!madvise(z.va, ZHUGE, MADV_HUGEPAGE));
	if (madvise(z.va, ZHUGE, MADV_COLLAPSE))
		hmt_skip("MADV_COLLAPSE: %s", strerror(errno));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, ZHUGE_NPAGES);
	hmt_expect(zoo_count_huge(&z), ZHUGE_NPAGES);
	zoo_watch_again(&w);
	for (size_t p = 0; p < z.npages; p++) {
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
		zoo_expect_same_page(&w, p);
	}
	zoo_watch_end(&w);
}

static void event_thp_swap_out_and_in(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_need_swap();
	watch_thp(&z, &w);
	hmt_check(!madvise(z.va + ZHUGE, ZHUGE, MADV_PAGEOUT));
	if (zoo_count(&z, ZPM_SWAPPED) != ZHUGE_NPAGES)
		hmt_skip("%zu pages swapped out", zoo_count(&z, ZPM_SWAPPED));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, ZHUGE_NPAGES, ZHUGE_NPAGES);
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
	zoo_watch_end(&w);
}

static void wait_in_child(void *arg)
{
	const int *fd = arg;
	char byte;

	/* Ends when the parent closes its end, or ends. */
	hmt_check(read(*fd, &byte, 1) == 0);
}

static void event_thp_fork(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;
	int fds[2];

	(void)arg;
	watch_thp(&z, &w);
	hmt_check(!pipe2(fds, O_CLOEXEC));
	fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	if (!fork()) {
		close(fds[1]);
		wait_in_child(&fds[0]);
		_exit(0);
	}
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, NPAGES);
	/* One page written: its huge page is copied or split, the others are shared. */
	hmt_expect(zoo_fault_errno(&w, z.va + 9 * ZPAGE, ZOO_READ), 0);
	hmt_expect(zoo_fault_errno(&w, z.va + 9 * ZPAGE, ZOO_WRITE), 0);
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
	close(fds[1]);
	hmt_check(wait(NULL) > 0);
	zoo_watch_end(&w);
}

/* --- hugetlbfs */

static int watch_hugetlb(struct zoo_watch *w, bool shared)
{
	char *va = zoo_reserve(NHUGE * ZHUGE, ZGIANT);
	int fd = -1;

	zoo_still();
	zoo_need_hugetlb(ZHUGE, 3 * NHUGE);
	if (shared)
		fd = zoo_memfd("zoo", NHUGE * ZHUGE, MFD_HUGETLB | MFD_HUGE_2MB);
	zoo_mmap(va, NHUGE * ZHUGE, PROT_READ | PROT_WRITE,
		 shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, fd, 0);
	zoo_watch(w, va, NPAGES, UNIT, ZOO_WRITE);
	zoo_device_fill(w);
	return fd;
}

/* One extent per huge page, or less: whole ones are never cut, but at the edges asked for. */
static void event_hugetlb_extents(const void *arg)
{
	static struct hmt_result r;
	static const struct { size_t first, npages; } windows[] = {
		{ 0, NPAGES }, { 1, NPAGES - 1 }, { 511, 2 }, { 5, 20 },
		{ 100, ZHUGE_NPAGES }, { ZHUGE_NPAGES, ZHUGE_NPAGES },
	};
	struct zoo_watch w;

	(void)arg;
	watch_hugetlb(&w, false);
	for (size_t i = 0; i < HMT_COUNT(windows); i++) {
		size_t first = windows[i].first, n = windows[i].npages;
		size_t huge = (first + n - 1) / ZHUGE_NPAGES - first / ZHUGE_NPAGES + 1;
		const char *va = w.va + first * ZPAGE;

		hmt_ok(hmt_range_add(w.fd, 100000, va, n * ZPAGE));
		hmt_ok(hmt_snapshot(w.fd, 100000, va, &r));
		hmt_check_extents(r.ext, r.get.nr, (uintptr_t)va,
				  (uintptr_t)va + n * ZPAGE);
		hmt_check_that(r.get.nr <= huge, "%u extents for %zu huge pages", r.get.nr,
			       huge);
		for (uint32_t k = 0; k < r.get.nr; k++)
			hmt_check((hmt_ext_flags(&r.ext[k]) &
				   (HMT_EXT_VALID | HMT_EXT_HUGE | HMT_EXT_HUGETLB |
				    HMT_EXT_WRITE)) ==
				  (HMT_EXT_VALID | HMT_EXT_HUGE | HMT_EXT_HUGETLB |
				   HMT_EXT_WRITE));
		hmt_ok(hmt_range_del(w.fd, 100000));
	}
	zoo_watch_end(&w);
}

static void event_hugetlb_punch_hole(const void *arg)
{
	struct zoo_watch w;
	int fd;

	(void)arg;
	fd = watch_hugetlb(&w, true);
	hmt_check(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ZHUGE, ZHUGE));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, ZHUGE_NPAGES, ZHUGE_NPAGES);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, ZHUGE_NPAGES + 9), 0);
	expect_device_words(w.va, 0, ZHUGE_NPAGES);
	zoo_watch_end(&w);
}

static void event_hugetlb_truncate(const void *arg)
{
	struct zoo_watch w;
	int fd;

	(void)arg;
	fd = watch_hugetlb(&w, true);
	hmt_check(!ftruncate(fd, ZHUGE));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, ZHUGE_NPAGES, 2 * ZHUGE_NPAGES);
	hmt_expect(zoo_fault_errno(&w, w.va + ZHUGE, ZOO_READ), EFAULT);
	hmt_check(!ftruncate(fd, NHUGE * ZHUGE));
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, ZHUGE_NPAGES), 0);
	zoo_watch_end(&w);
}

static void event_hugetlb_munmap(const void *arg)
{
	struct zoo_watch w;

	(void)arg;
	watch_hugetlb(&w, false);
	hmt_check(!munmap(w.va + ZHUGE, ZHUGE));
	zoo_expect_event(&w, HMT_EVENT_UNMAP, ZHUGE_NPAGES, ZHUGE_NPAGES);
	hmt_expect(zoo_fault_errno(&w, w.va + ZHUGE, ZOO_READ), EFAULT);
	zoo_watch_end(&w);
}

static void event_hugetlb_mprotect(const void *arg)
{
	struct zoo_watch w;

	(void)arg;
	watch_hugetlb(&w, false);
	hmt_check(!mprotect(w.va, ZHUGE, PROT_READ));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, ZHUGE_NPAGES);
	hmt_expect(zoo_fault_errno(&w, w.va + 77 * ZPAGE, ZOO_WRITE), EPERM);
	hmt_expect(zoo_fault_errno(&w, w.va + 77 * ZPAGE, ZOO_READ), 0);
	hmt_check(!mprotect(w.va, ZHUGE, PROT_READ | PROT_WRITE));
	zoo_watch_again(&w);
	expect_device_words(w.va, 0, NPAGES);
	zoo_watch_end(&w);
}

static void event_hugetlb_fork(const void *arg)
{
	struct zoo_watch w;
	int fds[2];

	(void)arg;
	watch_hugetlb(&w, false);
	hmt_check(!pipe2(fds, O_CLOEXEC));
	if (!fork()) {
		close(fds[1]);
		wait_in_child(&fds[0]);
		_exit(0);
	}
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, NPAGES);
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p += 31)
		hmt_check(zoo_device_read(&w, p) == zoo_device_word(p));
	close(fds[1]);
	hmt_check(wait(NULL) > 0);
	zoo_watch_end(&w);
}

/* With no huge page left, a fault says so as for any page that cannot be had. */
static void event_hugetlb_pool_is_empty(const void *arg)
{
	static const char path[] =
		"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
	struct zoo_watch w;
	long nr;
	char *va;

	(void)arg;
	zoo_still();
	zoo_need_hugetlb(ZHUGE, 2);
	nr = zoo_read_long(path, 0);
	va = zoo_reserve((size_t)(nr + 1) * ZHUGE, ZHUGE);
	zoo_mmap(va, (size_t)(nr + 1) * ZHUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	for (long i = 0; i < nr; i++)
		zoo_poke(va + (size_t)i * ZHUGE, 1);
	hmt_expect(zoo_read_long(path, -1), 0);
	zoo_watch(&w, va, UNIT, UNIT, ZOO_WRITE);
	hmt_expect(zoo_fault_errno(&w, va + (size_t)nr * ZHUGE, ZOO_WRITE), EFAULT);
	hmt_expect(zoo_fault_errno(&w, va + (size_t)nr * ZHUGE, ZOO_READ), EFAULT);
	zoo_expect_quiet(&w);
	zoo_watch_end(&w);
}

/* --- a page table that two processes share */

struct sharing {
	char *va;
	int fd;
	int go, done;
};

static void unshare_in_child(void *arg)
{
	const struct sharing *s = arg;
	char byte;

	hmt_check(zoo_peek(s->va) == zoo_device_word(0));
	hmt_check(write(s->done, "", 1) == 1);
	hmt_check(read(s->go, &byte, 1) == 1);
	/* Its own mapping: the shared table is left to the others. */
	hmt_check(!mprotect(s->va, ZHUGE, PROT_READ));
	hmt_check(write(s->done, "", 1) == 1);
	hmt_check(read(s->go, &byte, 1) == 1);
	/* The file is everybody's. */
	hmt_check(!fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, ZHUGE));
	hmt_check(write(s->done, "", 1) == 1);
	hmt_check(read(s->go, &byte, 1) == 1);
}

static void one_step(int go, int done)
{
	char byte;

	if (go >= 0)
		hmt_check(write(go, "", 1) == 1);
	hmt_check(read(done, &byte, 1) == 1);
}

static void event_hugetlb_shared_table(const void *arg)
{
	char *va = zoo_reserve(ZGIANT, ZGIANT);
	int go[2], done[2];
	struct sharing s;
	struct zoo_watch w;
	pid_t pid;

	(void)arg;
	zoo_still();
	zoo_need_hugetlb(ZHUGE, 2 * NHUGE);
	s.fd = memfd_create("zoo", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	hmt_check(s.fd >= 0 && !ftruncate(s.fd, ZGIANT));
	zoo_mmap(va, ZGIANT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s.fd, 0);
	zoo_watch(&w, va, NPAGES, UNIT, ZOO_WRITE);
	zoo_device_fill(&w);
	hmt_check(!pipe2(go, O_CLOEXEC) && !pipe2(done, O_CLOEXEC));
	s.va = va;
	s.go = go[0];
	s.done = done[1];
	pid = hmt_child(unshare_in_child, &s);
	one_step(-1, done[0]);
	/* A fork of a shared mapping takes nothing away. */
	zoo_expect_quiet(&w);
	one_step(go[1], done[0]);
	zoo_expect_quiet(&w);
	one_step(go[1], done[0]);
	zoo_expect_event_within(&w, HMT_EVENT_CHANGE, 0, ZHUGE_NPAGES, 0, NPAGES);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 3), 0);
	hmt_check(zoo_device_read(&w, ZHUGE_NPAGES) == zoo_device_word(ZHUGE_NPAGES));
	hmt_check(write(go[1], "", 1) == 1);
	hmt_reap_ok(pid);
	/* Unsharing here is an event for all that the table maps. */
	hmt_check(!mprotect(va, ZHUGE, PROT_READ));
	zoo_expect_event_within(&w, HMT_EVENT_CHANGE, 0, ZHUGE_NPAGES, 0, NPAGES);
	zoo_watch_end(&w);
}

static const struct hmt_case cases[] = {
	HMT_CASE(event_thp_split_by_mprotect, HMT_LONG),
	HMT_CASE(event_thp_split_by_dontneed, HMT_LONG),
	HMT_CASE(event_thp_partial_munmap, HMT_LONG),
	HMT_CASE(event_thp_mremap_to_unaligned, HMT_LONG),
	HMT_CASE(event_thp_collapse, HMT_LONG),
	HMT_CASE(event_thp_swap_out_and_in, HMT_LONG),
	HMT_CASE(event_thp_fork, HMT_LONG),
	HMT_CASE(event_hugetlb_extents, HMT_LONG),
	HMT_CASE(event_hugetlb_punch_hole, HMT_LONG),
	HMT_CASE(event_hugetlb_truncate, HMT_LONG),
	HMT_CASE(event_hugetlb_munmap, HMT_LONG),
	HMT_CASE(event_hugetlb_mprotect, HMT_LONG),
	HMT_CASE(event_hugetlb_fork, HMT_LONG),
	HMT_CASE(event_hugetlb_pool_is_empty, HMT_LONG),
	HMT_CASE(event_hugetlb_shared_table, HMT_LONG),
};

HMT_GROUP(cases);
