// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs kfd_svm/<tgid>/residency: what of the registered memory is there, told
 * without bringing any of it in. Only our core has it.
 */
#include <sys/mman.h>

#include "conf.h"

struct residency {
	unsigned long present, writable, ram, thp, hugetlb, zero, dax, device;
	unsigned long refused, absent;
};

/* The line of the range that begins at @p. */
static void read_residency(const void *p, struct residency *r)
{
	unsigned long first, last;
	char path[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kfd_svm/%d/residency",
		 getpid());
	file = fopen(path, "r");
	if (!file)
		conf_skip("%s: %s", path, strerror(errno));
	/* Other ranges may be busy; this one nobody changes. */
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line,
			       "%lx-%lx present %lu writable %lu ram %lu thp %lu hugetlb %lu zero %lu dax %lu device %lu refused %lu absent %lu",
			       &first, &last, &r->present, &r->writable, &r->ram,
			       &r->thp, &r->hugetlb, &r->zero, &r->dax, &r->device,
			       &r->refused, &r->absent) == 12 &&
			first == (unsigned long)p / KT_PAGE;
	fclose(file);
	assert_true(found);
	assert_int_equal(r->present, r->ram + r->thp + r->hugetlb + r->zero + r->dax +
			 r->device);
}

static void residency_counts_pages_and_brings_none_in(void **state)
{
	struct residency r;
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(16 * KT_PAGE);
	madvise(p, 16 * KT_PAGE, MADV_NOHUGEPAGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, 16 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 4));

	read_residency(p, &r);
	assert_int_equal(r.absent, 16);
	p[3 * KT_PAGE] = 1;			/* written: there, writable */
	(void)*(volatile char *)(p + 5 * KT_PAGE);	/* read: the zero page */
	for (int i = 0; i < 2; i++) {
		read_residency(p, &r);
		assert_int_equal(r.present, 2);
		assert_int_equal(r.writable, 1);
		assert_int_equal(r.ram, 1);
		assert_int_equal(r.zero, 1);
		assert_int_equal(r.absent, 14);
		assert_int_equal(r.refused, 0);
	}
	assert_int_equal(mprotect(p, 4 * KT_PAGE, PROT_NONE), 0);
	read_residency(p, &r);
	assert_int_equal(r.refused, 4);
	assert_int_equal(r.present, 1);
	assert_int_equal(r.absent, 11);
}

static void residency_tells_huge_pages(void **state)
{
	struct residency r;
	char *p;

	(void)state;
	gpu_open();
	p = map_huge(KT_HUGE);
	memset(p, 1, KT_HUGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_HUGE, KFD_SVM_ATTR_GRANULARITY, 9));
	read_residency(p, &r);
	assert_int_equal(r.present, KT_HUGE / KT_PAGE);
	assert_int_equal(r.writable, r.present);
	/* Whole or not at all. */
	assert_true(r.thp == 0 || r.thp == r.present);
	if (!r.thp)
		conf_skip("no huge page to be had");
}

#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"

/* The page reserved for the mapping stays when the pool gets its size of before. */
static char *map_hugetlb(void)
{
	char before[32] = "";
	char *p;
	int err;

	assert_true(kt_read_file(NR_HUGEPAGES, before, sizeof(before)) > 0);
	kt_write_file(NR_HUGEPAGES, "4");
	p = mmap(NULL, KT_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	err = errno;
	kt_write_file(NR_HUGEPAGES, before);
	if (p == MAP_FAILED)
		conf_skip("no page of hugetlbfs: %s", strerror(err));
	return p;
}

static void residency_tells_hugetlb_pages(void **state)
{
	struct residency r;
	char *p;

	(void)state;
	gpu_open();
	p = map_hugetlb();
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_HUGE, KFD_SVM_ATTR_GRANULARITY, 9));
	read_residency(p, &r);
	assert_int_equal(r.absent, KT_HUGE / KT_PAGE);
	*p = 1;
	read_residency(p, &r);
	assert_int_equal(r.hugetlb, KT_HUGE / KT_PAGE);
	assert_int_equal(r.writable, KT_HUGE / KT_PAGE);
}

/* Where files are made may be a DAX file system; then memory is storage. */
static void residency_tells_dax_pages(void **state)
{
	struct residency r;
	char *p;
	int fd;

	(void)state;
	gpu_open();
	fd = temp_file(conf_run.dir, 8 * KT_PAGE);
	assert_true(fd >= 0);
	p = mmap(NULL, 8 * KT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	memset(p, 1, 4 * KT_PAGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, 8 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 4));
	read_residency(p, &r);
	assert_true(r.present >= 4);
	assert_int_equal(r.device + r.refused, 0);
	if (!r.dax)
		conf_skip("%s is no DAX file system", conf_run.dir);
	assert_int_equal(r.dax, r.present);
}

static const struct conf_case cases[] = {
	CASE(residency_counts_pages_and_brings_none_in, CONF_ONCE | CONF_ROOT),
	CASE(residency_tells_huge_pages, CONF_ONCE | CONF_ROOT),
	CASE(residency_tells_hugetlb_pages, CONF_ONCE | CONF_ROOT),
	CASE(residency_tells_dax_pages, CONF_ONCE | CONF_ROOT),
};

CONF_GROUP(residency_group, cases);
