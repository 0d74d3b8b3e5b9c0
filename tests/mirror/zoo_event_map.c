// SPDX-License-Identifier: GPL-2.0-only
/* Events of the address space itself: mprotect, mremap, stacks, guards, fork, userfaultfd. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

#include "zoo_event.h"

#define NPAGES 40

/* A window of private memory, every page written by the device. */
static void watch_anon(struct zoo *z, struct zoo_watch *w)
{
	zoo_still();
	zoo_anon(z, NPAGES);
	zoo_touch_all(z);
	zoo_watch(w, z->va, NPAGES, 1, ZOO_WRITE);
	zoo_device_fill(w);
}

static void expect_device_words(const struct zoo *z, size_t first, size_t npages)
{
	for (size_t p = first; p < first + npages; p++)
		hmt_check_that(zoo_peek(z->va + p * ZPAGE) == zoo_device_word(p),
			       "page %zu: what the device wrote is lost", p);
}

static void event_mprotect(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w);
	hmt_check(!mprotect(z.va + 8 * ZPAGE, 8 * ZPAGE, PROT_READ));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 8, 8);
	hmt_expect(zoo_fault_errno(&w, z.va + 9 * ZPAGE, ZOO_WRITE), EPERM);
	hmt_expect(zoo_fault_errno(&w, z.va + 9 * ZPAGE, ZOO_READ), 0);
	hmt_check(!mprotect(z.va + 8 * ZPAGE, 8 * ZPAGE, PROT_NONE));
	hmt_expect(zoo_fault_errno(&w, z.va + 9 * ZPAGE, ZOO_READ), EPERM);
	hmt_check(!mprotect(z.va + 8 * ZPAGE, 8 * ZPAGE, PROT_READ | PROT_WRITE));
	zoo_watch_again(&w);
	expect_device_words(&z, 0, NPAGES);
	for (size_t p = 0; p < NPAGES; p++)
		zoo_expect_same_page(&w, p);
	zoo_watch_end(&w);
}

static void event_munmap_and_map_over(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w);
	hmt_check(!munmap(z.va + 4 * ZPAGE, 4 * ZPAGE));
	zoo_expect_event(&w, HMT_EVENT_UNMAP, 4, 4);
	hmt_expect(zoo_fault_errno(&w, z.va + 5 * ZPAGE, ZOO_READ), EFAULT);
	zoo_mmap(z.va + 4 * ZPAGE, 4 * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zoo_mmap(z.va + 20 * ZPAGE, 2 * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zoo_expect_event(&w, HMT_EVENT_UNMAP, 20, 2);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 5), 0);
	hmt_expect(zoo_device_read(&w, 21), 0);
	hmt_check(zoo_device_read(&w, 22) == zoo_device_word(22));
	zoo_watch_end(&w);
}

static void event_dontneed(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w);
	hmt_check(!madvise(z.va + 30 * ZPAGE, 3 * ZPAGE, MADV_DONTNEED));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 30, 3);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 31), 0);
	expect_device_words(&z, 0, 30);
	zoo_watch_end(&w);
}

static void event_madv_free(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w);
	hmt_check(!madvise(z.va + 10 * ZPAGE, 10 * ZPAGE, MADV_FREE));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 10, 10);
	/* A page written again is kept again, by whomever. */
	zoo_watch_again(&w);
	zoo_device_write(&w, 12, 4711);
	hmt_check(!madvise(z.va + 10 * ZPAGE, 10 * ZPAGE, MADV_PAGEOUT));
	hmt_expect(zoo_peek(z.va + 12 * ZPAGE), 4711);
	zoo_watch_end(&w);
}

static void event_mremap(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;
	char *to;

	(void)arg;
	watch_anon(&z, &w);
	to = zoo_reserve(ZHUGE, ZHUGE) + 5 * ZPAGE;
	hmt_check(mremap(z.va + 16 * ZPAGE, 8 * ZPAGE, 8 * ZPAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	zoo_expect_event(&w, HMT_EVENT_UNMAP, 16, 8);
	hmt_expect(zoo_fault_errno(&w, z.va + 16 * ZPAGE, ZOO_READ), EFAULT);
	for (size_t p = 16; p < 24; p++) {
		hmt_expect(zoo_fault_errno(&w, to + (p - 16) * ZPAGE, ZOO_WRITE), 0);
		hmt_check(zoo_peek(to + (p - 16) * ZPAGE) == zoo_device_word(p));
	}
	expect_device_words(&z, 0, 16);
	zoo_watch_end(&w);
}

static void event_mremap_dontunmap(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;
	char *to;

	(void)arg;
	watch_anon(&z, &w);
	to = zoo_reserve(ZHUGE, ZHUGE);
	hmt_check(mremap(z.va, NPAGES * ZPAGE, NPAGES * ZPAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to);
	zoo_expect_event(&w, HMT_EVENT_UNMAP, 0, NPAGES);
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p++) {
		hmt_expect(zoo_device_read(&w, p), 0);
		hmt_check(zoo_peek(to + p * ZPAGE) == zoo_device_word(p));
	}
	zoo_watch_end(&w);
}

static void event_mremap_shrinks_and_grows(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w);
	hmt_check(mremap(z.va, NPAGES * ZPAGE, 30 * ZPAGE, 0) == z.va);
	zoo_expect_event(&w, HMT_EVENT_UNMAP, 30, 10);
	hmt_expect(zoo_fault_errno(&w, z.va + 30 * ZPAGE, ZOO_READ), EFAULT);
	hmt_check(mremap(z.va, 30 * ZPAGE, NPAGES * ZPAGE, 0) == z.va);
	zoo_expect_quiet(&w);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 33), 0);
	expect_device_words(&z, 0, 30);
	zoo_watch_end(&w);
}

/* Only the CPU makes a stack grow; what was mapped of it is not disturbed. */
static void event_stack_growth(const void *arg)
{
	char *va = zoo_reserve(ZHUGE, ZHUGE) + 100 * ZPAGE;
	char *top = va + (NPAGES - 4) * ZPAGE;
	struct zoo_watch w;

	(void)arg;
	zoo_still();
	zoo_mmap(top, 4 * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	zoo_watch(&w, top, 4, 1, ZOO_WRITE);
	zoo_device_fill(&w);
	hmt_expect(zoo_fault_errno(&w, top - ZPAGE, ZOO_WRITE), EFAULT);
	hmt_expect(zoo_fault_errno(&w, top - ZPAGE, ZOO_READ), EFAULT);
	for (char *p = top - ZPAGE; p >= va; p -= ZPAGE)
		zoo_poke(p, 1);
	zoo_expect_quiet(&w);
	for (char *p = va; p < top; p += ZPAGE)
		hmt_expect(zoo_fault_errno(&w, p, ZOO_WRITE), 0);
	hmt_expect(zoo_fault_errno(&w, va - ZPAGE, ZOO_READ), EFAULT);
	zoo_watch_end(&w);
}

static void event_guard_pages(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	zoo_need_madvise(ZOO_MADV_GUARD_INSTALL, "MADV_GUARD_INSTALL");
	watch_anon(&z, &w);
	hmt_check(!madvise(z.va + 8 * ZPAGE, 4 * ZPAGE, ZOO_MADV_GUARD_INSTALL));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 8, 4);
	hmt_expect(zoo_fault_errno(&w, z.va + 8 * ZPAGE, ZOO_READ), EFAULT);
	hmt_expect(zoo_fault_errno(&w, z.va + 11 * ZPAGE, ZOO_WRITE), EFAULT);
	hmt_check(!madvise(z.va + 8 * ZPAGE, 4 * ZPAGE, ZOO_MADV_GUARD_REMOVE));
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 8), 0);
	expect_device_words(&z, 12, NPAGES - 12);
	zoo_watch_end(&w);
}

/* Locking changes no entry; and locked pages can be taken away like others. */
static void event_mlock(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w);
	hmt_check(!mlock(z.va, NPAGES * ZPAGE));
	hmt_check(zoo_vma_has(z.va, "lo"));
	zoo_expect_quiet(&w);
	hmt_expect(madvise(z.va + ZPAGE, ZPAGE, MADV_DONTNEED), -1);
	zoo_expect_quiet(&w);
	hmt_check(!madvise(z.va + 5 * ZPAGE, 3 * ZPAGE, MADV_DONTNEED_LOCKED));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 5, 3);
	zoo_watch_again(&w);
	hmt_check(!munlock(z.va, NPAGES * ZPAGE));
	zoo_expect_quiet(&w);
	zoo_watch_end(&w);
}

static void event_soft_dirty(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;

	(void)arg;
	watch_anon(&z, &w);
	if (zoo_count(&z, ZPM_SOFT_DIRTY) != NPAGES)
		hmt_skip("this kernel keeps no soft-dirty bits");
	hmt_check(!zoo_write_sys("/proc/self/clear_refs", "4"));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, NPAGES);
	hmt_expect(zoo_count(&z, ZPM_SOFT_DIRTY), 0);
	/* A read leaves it so; who means to write is noticed. */
	hmt_expect(zoo_fault_errno(&w, z.va + 2 * ZPAGE, ZOO_READ), 0);
	hmt_expect(zoo_count(&z, ZPM_SOFT_DIRTY), 0);
	hmt_expect(zoo_fault_errno(&w, z.va + 3 * ZPAGE, ZOO_WRITE), 0);
	hmt_expect(zoo_count(&z, ZPM_SOFT_DIRTY), 1);
	hmt_check(zoo_pagemap(z.va + 3 * ZPAGE) & ZPM_SOFT_DIRTY);
	expect_device_words(&z, 0, NPAGES);
	zoo_watch_end(&w);
}

struct words {
	const char *va;
	int from_parent;
};

/* The child sees what the device wrote before the fork, never what it wrote after it. */
static void look_in_child(void *arg)
{
	struct words *words = arg;
	char byte;

	hmt_check(read(words->from_parent, &byte, 1) == 1);
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(zoo_peek(words->va + p * ZPAGE) == zoo_device_word(p));
}

static void event_fork(const void *arg)
{
	struct zoo_watch w;
	struct words words;
	struct zoo z;
	int fds[2];
	pid_t pid;

	(void)arg;
	watch_anon(&z, &w);
	hmt_check(!pipe2(fds, O_CLOEXEC));
	words = (struct words) { .va = z.va, .from_parent = fds[0] };
	pid = hmt_child(look_in_child, &words);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 0, NPAGES);
	zoo_watch_again(&w);
	for (size_t p = 0; p < NPAGES; p++)
		zoo_device_write(&w, p, ~zoo_device_word(p));
	hmt_check(write(fds[1], "", 1) == 1);
	hmt_reap_ok(pid);
	for (size_t p = 0; p < NPAGES; p++)
		hmt_check(zoo_peek(z.va + p * ZPAGE) == ~zoo_device_word(p));
	zoo_watch_end(&w);
}

/* --- userfaultfd */

static int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		hmt_skip("userfaultfd with %#llx: %s", (unsigned long long)features,
			 strerror(errno));
	return fd;
}

static void uffd_register(int fd, char *va, size_t npages, uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)va, npages * ZPAGE }, .mode = mode,
	};

	hmt_check(!ioctl(fd, UFFDIO_REGISTER, &reg));
}

static void uffd_protect(int fd, char *va, size_t npages, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)va, npages * ZPAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	hmt_check(!ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
}

static void event_uffd_write_protect(const void *arg)
{
	struct zoo_watch w;
	struct zoo z;
	int uffd;

	(void)arg;
	uffd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	watch_anon(&z, &w);
	uffd_register(uffd, z.va, NPAGES, UFFDIO_REGISTER_MODE_WP);
	zoo_expect_quiet(&w);
	uffd_protect(uffd, z.va + 10 * ZPAGE, 5, true);
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 10, 5);
	hmt_expect(zoo_fault_errno(&w, z.va + 12 * ZPAGE, ZOO_READ), 0);
	hmt_expect(zoo_fault_errno(&w, z.va + 12 * ZPAGE, ZOO_WRITE), EFAULT);
	uffd_protect(uffd, z.va + 10 * ZPAGE, 5, false);
	zoo_watch_again(&w);
	expect_device_words(&z, 0, NPAGES);
	zoo_watch_end(&w);
}

static void event_uffd_missing(const void *arg)
{
	struct uffdio_copy copy = { .len = ZPAGE };
	static char page[ZPAGE] __attribute__((aligned(4096)));
	struct zoo_watch w;
	uint64_t before;
	struct zoo z;
	int uffd;

	(void)arg;
	uffd = uffd_open(0);
	watch_anon(&z, &w);
	uffd_register(uffd, z.va, NPAGES, UFFDIO_REGISTER_MODE_MISSING);
	hmt_check(!madvise(z.va + 7 * ZPAGE, 2 * ZPAGE, MADV_DONTNEED));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 7, 2);
	/* Nobody will fill it: the fault says so at once. */
	before = hmt_now_ms();
	hmt_expect(zoo_fault_errno(&w, z.va + 7 * ZPAGE, ZOO_READ), EFAULT);
	hmt_expect(zoo_fault_errno(&w, z.va + 7 * ZPAGE, ZOO_WRITE), EFAULT);
	hmt_check(hmt_now_ms() - before < HMT_WAIT_MS);
	zoo_poke(page, 815);
	copy.src = (uintptr_t)page;
	for (size_t p = 7; p < 9; p++) {
		copy.dst = (uintptr_t)z.va + p * ZPAGE;
		hmt_check(!ioctl(uffd, UFFDIO_COPY, &copy));
	}
	/* Of the others nothing was heard. */
	zoo_expect_quiet(&w);
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 7), 815);
	zoo_watch_end(&w);
}

#ifdef UFFDIO_MOVE
static void event_uffd_move(const void *arg)
{
	struct uffdio_move move = { .len = 4 * ZPAGE };
	struct zoo_watch w;
	struct zoo z;
	char *to;
	int uffd;

	(void)arg;
	uffd = uffd_open(UFFD_FEATURE_MOVE);
	watch_anon(&z, &w);
	to = zoo_reserve(4 * ZPAGE, ZHUGE);
	zoo_mmap(to, 4 * ZPAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uffd_register(uffd, to, 4, UFFDIO_REGISTER_MODE_MISSING);
	move.src = (uintptr_t)z.va + 20 * ZPAGE;
	move.dst = (uintptr_t)to;
	if (ioctl(uffd, UFFDIO_MOVE, &move))
		hmt_skip("UFFDIO_MOVE: %s", strerror(errno));
	zoo_expect_event(&w, HMT_NONE, 20, 4);
	for (size_t p = 0; p < 4; p++) {
		hmt_expect(zoo_fault_errno(&w, to + p * ZPAGE, ZOO_WRITE), 0);
		hmt_check(zoo_peek(to + p * ZPAGE) == zoo_device_word(20 + p));
	}
	zoo_watch_again(&w);
	hmt_expect(zoo_device_read(&w, 20), 0);
	zoo_watch_end(&w);
}
#endif

static void event_uffd_minor(const void *arg)
{
	struct uffdio_continue go = { .range = { 0, ZPAGE } };
	char *va = zoo_reserve(NPAGES * ZPAGE, ZHUGE);
	struct zoo_watch w;
	int uffd, fd;

	(void)arg;
	zoo_still();
	uffd = uffd_open(UFFD_FEATURE_MINOR_SHMEM);
	fd = zoo_memfd("zoo", NPAGES * ZPAGE, 0);
	zoo_mmap(va, NPAGES * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	zoo_watch(&w, va, NPAGES, 1, ZOO_WRITE);
	zoo_device_fill(&w);
	uffd_register(uffd, va, NPAGES, UFFDIO_REGISTER_MODE_MINOR);
	hmt_check(!madvise(va + 6 * ZPAGE, ZPAGE, MADV_DONTNEED));
	zoo_expect_event(&w, HMT_EVENT_CHANGE, 6, 1);
	hmt_expect(zoo_fault_errno(&w, va + 6 * ZPAGE, ZOO_READ), EFAULT);
	go.range.start = (uintptr_t)va + 6 * ZPAGE;
	hmt_check(!ioctl(uffd, UFFDIO_CONTINUE, &go));
	zoo_watch_again(&w);
	hmt_check(zoo_device_read(&w, 6) == zoo_device_word(6));
	zoo_watch_end(&w);
}

static const struct hmt_case cases[] = {
	HMT_CASE(event_mprotect, HMT_LONG),
	HMT_CASE(event_munmap_and_map_over, HMT_LONG),
	HMT_CASE(event_dontneed, HMT_LONG),
	HMT_CASE(event_madv_free, HMT_LONG),
	HMT_CASE(event_mremap, HMT_LONG),
	HMT_CASE(event_mremap_dontunmap, HMT_LONG),
	HMT_CASE(event_mremap_shrinks_and_grows, HMT_LONG),
	HMT_CASE(event_stack_growth, HMT_LONG),
	HMT_CASE(event_guard_pages, HMT_LONG),
	HMT_CASE(event_mlock, HMT_LONG),
	HMT_CASE(event_soft_dirty, HMT_LONG),
	HMT_CASE(event_fork, HMT_LONG),
	HMT_CASE(event_uffd_write_protect, HMT_LONG),
	HMT_CASE(event_uffd_missing, HMT_LONG),
#ifdef UFFDIO_MOVE
	HMT_CASE(event_uffd_move, HMT_LONG),
#endif
	HMT_CASE(event_uffd_minor, HMT_LONG),
};

HMT_GROUP(cases);
