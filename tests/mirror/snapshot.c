// SPDX-License-Identifier: GPL-2.0-only
/* Feature 3: a snapshot shows what is mapped, of what kind, and changes nothing. */
#include <fcntl.h>
#include <signal.h>

#include "hmt.h"

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

#define LEN (64 * HMT_PAGE)

static struct hmt_result r;

static int range_over(const void *p, size_t len)
{
	int fd = hmt_open_registered();

	hmt_ok(hmt_range_add(fd, 1, p, len));
	return fd;
}

/* Snapshot of all, in one call. */
static void take(int fd, const void *p, size_t len)
{
	hmt_ok(hmt_snapshot(fd, 1, p, &r));
	hmt_check(r.get.next_va == (uintptr_t)p + len);
	hmt_check_extents(r.ext, r.get.nr, (uintptr_t)p, (uintptr_t)p + len);
}

static void snapshot_faults_nothing_in(const void *arg)
{
	char *p = hmt_map(LEN);
	int fd = range_over(p, LEN);
	unsigned char core[LEN / HMT_PAGE];

	(void)arg;
	take(fd, p, LEN);
	hmt_expect(r.get.nr, 1);
	hmt_expect(hmt_ext_flags(&r.ext[0]), 0);
	/* Every third is there; the snapshot leaves it so. */
	for (size_t i = 0; i < LEN; i += 3 * HMT_PAGE)
		p[i] = 1;
	for (int again = 0; again < 2; again++) {
		take(fd, p, LEN);
		hmt_ok(mincore(p, LEN, core));
		for (size_t i = 0; i < LEN / HMT_PAGE; i++) {
			struct hmt_page page = hmt_page_of(&r, p + i * HMT_PAGE);
			uint64_t entry = hmt_pagemap(p + i * HMT_PAGE);
			bool there = i % 3 == 0;

			hmt_expect(!!(page.flags & HMT_EXT_VALID), there);
			hmt_expect(!!(entry & HMT_PM_PRESENT), there);
			hmt_expect(core[i] & 1, there);
			if (there)
				hmt_expect(page.pfn, entry & HMT_PM_PFN);
		}
	}
	/* One request of 0 is the same. */
	hmt_ok(hmt_fault(fd, 1, p, 0, &r));
	for (size_t i = 0; i < LEN / HMT_PAGE; i++)
		hmt_expect(!!(hmt_pagemap(p + i * HMT_PAGE) & HMT_PM_PRESENT), i % 3 == 0);
}

/* Each page as pagemap has it, with these flags (but for DIRTY, a promise). */
static void expect_pages(const char *p, size_t len, unsigned int flags)
{
	for (size_t i = 0; i < len; i += HMT_PAGE) {
		struct hmt_page page = hmt_page_of(&r, p + i);

		hmt_check_that((page.flags & ~HMT_EXT_DIRTY) == flags,
			       "page %zu: flags %x, not %x", i / HMT_PAGE, page.flags, flags);
		hmt_expect(page.pfn, hmt_pagemap(p + i) & HMT_PM_PFN);
	}
}

static void sit(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void small_pages(const void *arg)
{
	char *p = hmt_map(LEN);
	int fd = range_over(p, LEN);
	pid_t pid;

	(void)arg;
	memset(p, 1, LEN);
	take(fd, p, LEN);
	expect_pages(p, LEN, HMT_EXT_VALID | HMT_EXT_WRITE);
	hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);

	/* The entries of both lose the write permission at fork. */
	pid = hmt_child(sit, NULL);
	take(fd, p, LEN);
	expect_pages(p, LEN, HMT_EXT_VALID);
	p[0] = 2;
	take(fd, p, LEN);
	expect_pages(p, HMT_PAGE, HMT_EXT_VALID | HMT_EXT_WRITE);
	expect_pages(p + HMT_PAGE, LEN - HMT_PAGE, HMT_EXT_VALID);
	hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
	kill(pid, SIGKILL);
	hmt_reap(pid);
	/* Writable by its VMA, but nobody has written since: still not. */
	take(fd, p, LEN);
	expect_pages(p + HMT_PAGE, LEN - HMT_PAGE, HMT_EXT_VALID);
}

static void read_only_and_no_access(const void *arg)
{
	char *p = hmt_map(LEN);
	int fd = range_over(p, LEN);

	(void)arg;
	memset(p, 1, LEN);
	hmt_ok(mprotect(p, LEN, PROT_READ));
	take(fd, p, LEN);
	expect_pages(p, LEN, HMT_EXT_VALID);
	hmt_ok(mprotect(p, LEN / 2, PROT_NONE));
	take(fd, p, LEN);
	for (size_t i = 0; i < LEN / 2; i += HMT_PAGE) {
		hmt_expect(hmt_page_of(&r, p + i).flags, HMT_EXT_ERROR);
		hmt_expect(hmt_page_of(&r, p + i).err, EPERM);
	}
	expect_pages(p + LEN / 2, LEN / 2, HMT_EXT_VALID);
	hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
}

static void zero_page(const void *arg)
{
	char *p = hmt_map(LEN);
	int fd = range_over(p, LEN);
	char sum = 0;

	(void)arg;
	for (size_t i = 0; i < LEN; i += HMT_PAGE)
		sum |= *(volatile char *)(p + i);
	hmt_expect(sum, 0);
	take(fd, p, LEN);
	expect_pages(p, LEN, HMT_EXT_VALID | HMT_EXT_ZERO);
	p[5 * HMT_PAGE] = 1;
	take(fd, p, LEN);
	expect_pages(p, 5 * HMT_PAGE, HMT_EXT_VALID | HMT_EXT_ZERO);
	expect_pages(p + 5 * HMT_PAGE, HMT_PAGE, HMT_EXT_VALID | HMT_EXT_WRITE);
	expect_pages(p + 6 * HMT_PAGE, LEN - 6 * HMT_PAGE, HMT_EXT_VALID | HMT_EXT_ZERO);
	hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
}

static void thp(const void *arg)
{
	char *p = hmt_map_thp(2 * HMT_HUGE);
	/* Neither end on a border. */
	char *q = p + 17 * HMT_PAGE;
	size_t len = HMT_HUGE + 100 * HMT_PAGE;
	int fd = range_over(q, len);

	(void)arg;
	if (hmt_proc_kb(getpid(), "smaps_rollup", "AnonHugePages:") < 4096)
		hmt_skip("no huge pages to be had");
	take(fd, q, len);
	expect_pages(q, len, HMT_EXT_VALID | HMT_EXT_WRITE | HMT_EXT_HUGE);
	/* An extent for each huge page, or less. */
	hmt_check(r.get.nr <= 2);
	hmt_check_same(fd, q, len, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
	/* Split: the same pages, by small entries. */
	hmt_ok(mprotect(p + 20 * HMT_PAGE, HMT_PAGE, PROT_READ));
	take(fd, q, len);
	expect_pages(q, 3 * HMT_PAGE, HMT_EXT_VALID | HMT_EXT_WRITE);
	expect_pages(p + 20 * HMT_PAGE, HMT_PAGE, HMT_EXT_VALID);
	expect_pages(p + HMT_HUGE, 100 * HMT_PAGE,
		     HMT_EXT_VALID | HMT_EXT_WRITE | HMT_EXT_HUGE);
	hmt_check_same(fd, q, len, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
}

static void hugetlb(const void *arg)
{
	char *p, *q;
	size_t len = HMT_HUGE;
	int fd;

	(void)arg;
	hmt_write_file("/proc/sys/vm/nr_hugepages", "4");
	p = mmap(NULL, 2 * HMT_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	if (p == MAP_FAILED)
		hmt_skip("no hugetlb pages of 2 MiB to be had");
	q = p + 100 * HMT_PAGE;
	fd = range_over(q, len);
	take(fd, q, len);
	hmt_expect(r.get.nr, 1);
	hmt_expect(hmt_ext_flags(&r.ext[0]), 0);
	p[0] = p[HMT_HUGE] = 1;
	take(fd, q, len);
	expect_pages(q, len, HMT_EXT_VALID | HMT_EXT_WRITE | HMT_EXT_HUGE | HMT_EXT_HUGETLB);
	hmt_check(r.get.nr <= 2);
	hmt_check_same(fd, q, len, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
	hmt_ok(munmap(p, 2 * HMT_HUGE));
	hmt_write_file("/proc/sys/vm/nr_hugepages", "0");
}

static void expect_error(const char *p, size_t len, int err)
{
	for (size_t i = 0; i < len; i += HMT_PAGE) {
		hmt_expect(hmt_page_of(&r, p + i).flags, HMT_EXT_ERROR);
		hmt_expect(hmt_page_of(&r, p + i).err, err);
	}
}

/* Memory that has no pages to give: VM_PFNMAP, VM_MIXEDMAP, and none at all. */
static void special_memory(const void *arg)
{
	static const off_t offset[] = { HMT_MMAP_PFNMAP, HMT_MMAP_MIXED };
	int other = hmt_open();

	(void)arg;
	for (size_t i = 0; i < HMT_COUNT(offset); i++) {
		char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, other, offset[i]);
		int fd = range_over(p, LEN);

		hmt_check(p != MAP_FAILED);
		memset(p, 1, LEN);
		take(fd, p, LEN);
		expect_error(p, LEN, EFAULT);
		hmt_ok(hmt_fault(fd, 1, p, HMT_REQ_WRITE, &r));
		expect_error(p, LEN, EFAULT);
		/* The kernel's function shows pages of VM_MIXEDMAP; who owns them? */
		if (offset[i] != HMT_MMAP_MIXED)
			hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
		hmt_ok(munmap(p, LEN));
		take(fd, p, LEN);
		expect_error(p, LEN, EFAULT);
		hmt_expect(hmt_ext_npages(&r.ext[0]), LEN / HMT_PAGE);
		hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
	}
}

/* What the kernel gave to every process: vvar and vdso. */
static void kernel_memory_of_the_process(const void *arg)
{
	char line[256], name[64];
	unsigned long first, end;
	unsigned int seen = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	int fd = hmt_open_registered();

	(void)arg;
	hmt_check(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %63s", &first, &end, name) != 3 ||
		    (strncmp(name, "[vvar", 5) && strcmp(name, "[vdso]")))
			continue;
		hmt_ok(hmt_range_add(fd, 1, (void *)first, end - first));
		hmt_ok(hmt_snapshot(fd, 1, (void *)first, &r));
		/* Of another kind on each kernel, and never for a device. */
		if (!strncmp(name, "[vvar", 5))
			expect_error((void *)first, end - first, EFAULT);
		else
			hmt_check_same(fd, (void *)first, end - first, HMT_VIEW_SNAPSHOT,
				       HMT_VIEW_KERNEL_NONE, 0);
		hmt_ok(hmt_range_del(fd, 1));
		seen++;
	}
	fclose(maps);
	hmt_check(seen >= 2);
}

/* A private mapping of an ordinary driver's pages, and a shared one. */
static void pages_of_a_driver(const void *arg)
{
	int other = hmt_open();

	(void)arg;
	for (int flags = MAP_SHARED; flags <= MAP_PRIVATE; flags++) {
		char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, flags, other, HMT_MMAP_NORMAL);
		int fd;

		hmt_check(p != MAP_FAILED);
		fd = range_over(p, LEN);
		take(fd, p, LEN);
		hmt_expect(hmt_ext_flags(&r.ext[0]), 0);
		hmt_ok(hmt_fault(fd, 1, p, HMT_REQ_READ, &r));
		for (size_t i = 0; i < LEN; i += HMT_PAGE)
			hmt_check(hmt_page_of(&r, p + i).flags & HMT_EXT_VALID);
		hmt_ok(hmt_fault(fd, 1, p, HMT_REQ_WRITE, &r));
		expect_pages(p, LEN, HMT_EXT_VALID | HMT_EXT_WRITE);
		hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT, HMT_VIEW_KERNEL_NONE, 0);
	}
}

/* A full buffer is no error, and the pieces are the whole. */
static void any_size_of_buffer_will_do(const void *arg)
{
	static struct hmt_result whole;
	char *p = hmt_map(LEN);
	int fd = range_over(p, LEN);

	(void)arg;
	for (size_t i = 0; i < LEN; i += 3 * HMT_PAGE)
		p[i] = 1;
	hmt_ok(mprotect(p + 30 * HMT_PAGE, 5 * HMT_PAGE, PROT_NONE));
	take(fd, p, LEN);
	whole = r;
	for (uint32_t nr_max = 1; nr_max < 9; nr_max++) {
		char *at = p;

		while (at < p + LEN) {
			r.get = (struct hmt_get) {
				.range = 1, .flags = HMT_GET_SNAPSHOT, .nr_max = nr_max,
				.next_va = (uintptr_t)at,
			};
			hmt_ok(hmt_get(fd, &r));
			hmt_check(r.get.nr >= 1 && r.get.nr <= nr_max);
			hmt_check_extents(r.ext, r.get.nr, (uintptr_t)at, r.get.next_va);
			for (; (uintptr_t)at < r.get.next_va; at += HMT_PAGE) {
				struct hmt_page a = hmt_page_of(&r, at);
				struct hmt_page b = hmt_page_of(&whole, at);

				hmt_expect(a.flags, b.flags);
				hmt_expect(a.pfn, b.pfn);
				hmt_expect(a.err, b.err);
			}
		}
	}
	/* At the end there is nothing to do. */
	r.get = (struct hmt_get) {
		.range = 1, .flags = HMT_GET_SNAPSHOT, .next_va = (uintptr_t)p + LEN,
	};
	hmt_ok(hmt_get(fd, &r));
	hmt_expect(r.get.nr, 0);
}

/* A kernel thread, which has another mm or none, sees the same. */
static void a_kernel_thread_sees_the_same(const void *arg)
{
	char *p = hmt_map(LEN);
	int fd = range_over(p, LEN);

	(void)arg;
	for (size_t i = 0; i < LEN; i += 3 * HMT_PAGE)
		p[i] = 1;
	hmt_check_same(fd, p, LEN, HMT_VIEW_SNAPSHOT | HMT_VIEW_WORKER,
		       HMT_VIEW_KERNEL_NONE, 0);
	r.get = (struct hmt_get) {
		.range = 1, .flags = HMT_GET_SNAPSHOT | HMT_GET_WORKER,
		.next_va = (uintptr_t)p,
	};
	hmt_ok(hmt_get(fd, &r));
	for (size_t i = 0; i < LEN / HMT_PAGE; i++)
		hmt_expect(!!(hmt_page_of(&r, p + i * HMT_PAGE).flags & HMT_EXT_VALID),
			   i % 3 == 0);
	hmt_check_same(fd, p, LEN, HMT_VIEW_WORKER, HMT_VIEW_KERNEL_NONE, HMT_REQ_READ);
	/* All of it is RAM. */
	hmt_ok(hmt_snapshot(fd, 1, p, &r));
	hmt_expect(hmt_extent_device(fd, 1, 0, NULL), HMT_DEV_NONE);
}

static const struct hmt_case snapshot_cases[] = {
	HMT_CASE(snapshot_faults_nothing_in, 0),
	{ .name = "snapshot_small_pages", .fn = small_pages },
	{ .name = "snapshot_read_only_and_no_access", .fn = read_only_and_no_access },
	{ .name = "snapshot_zero_page", .fn = zero_page },
	{ .name = "snapshot_thp", .fn = thp },
	{ .name = "snapshot_hugetlb", .fn = hugetlb },
	{ .name = "snapshot_special_memory", .fn = special_memory },
	{ .name = "snapshot_kernel_memory_of_the_process",
	  .fn = kernel_memory_of_the_process },
	{ .name = "snapshot_pages_of_a_driver", .fn = pages_of_a_driver },
	{ .name = "snapshot_any_size_of_buffer_will_do", .fn = any_size_of_buffer_will_do },
	{ .name = "snapshot_a_kernel_thread_sees_the_same",
	  .fn = a_kernel_thread_sees_the_same },
};

HMT_GROUP(snapshot_cases);
