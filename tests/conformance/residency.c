// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs kfd_svm/<tgid>/residency: what of the registered memory is there, told
 * without bringing any of it in. Only our core has it.
 */
#include <sys/mman.h>

#include "conf.h"

struct residency {
	unsigned long present, writable, huge, device, refused, absent;
};

/* The line of the range that begins at @p. */
static void read_residency(const void *p, struct residency *r)
{
	unsigned long first, last;
	char path[64];
	FILE *file;
	int n = 0;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kfd_svm/%d/residency",
		 getpid());
	file = fopen(path, "r");
	if (!file)
		conf_skip("%s: %s", path, strerror(errno));
	do {
		n = fscanf(file,
			   "%lx-%lx present %lu writable %lu huge %lu device %lu refused %lu absent %lu\n",
			   &first, &last, &r->present, &r->writable, &r->huge,
			   &r->device, &r->refused, &r->absent);
	} while (n == 8 && first != (unsigned long)p / KT_PAGE);
	fclose(file);
	assert_int_equal(n, 8);
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
	assert_true(r.huge == 0 || r.huge == r.present);
	if (!r.huge)
		conf_skip("no huge page to be had");
}

static const struct conf_case cases[] = {
	CASE(residency_counts_pages_and_brings_none_in, CONF_ONCE | CONF_ROOT),
	CASE(residency_tells_huge_pages, CONF_ONCE | CONF_ROOT),
};

CONF_GROUP(residency_group, cases);
