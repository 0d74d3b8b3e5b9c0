// SPDX-License-Identifier: GPL-2.0-only
/*
 * Row 14: allocations that fail. Every allocation of a call fails in turn
 * (/proc/self/fail-nth, debug kernel only) until the call gets through.
 */
#include "conf.h"
#include "inject.h"

#define MAX_NTH INJECT_MAX_NTH

static uint32_t granularity_of(const void *p)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_GRANULARITY };

	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 1, &a));
	return a.value;
}

/*
 * SET of the middle of a registered range: splits, so it allocates. A failure is
 * ENOMEM and leaves the ranges as they were.
 */
static void set_attr_row14_allocation_failure_is_ENOMEM(void **state)
{
	unsigned int nth, failures = 0, seen = 0;
	char *p;
	int ret;

	(void)state;
	gpu_open_queue();
	inject_arm();
	p = map_pages(64 * KT_PAGE);
	memset(p, 1, 64 * KT_PAGE);
	for (nth = 1; nth < MAX_NTH; nth++) {
		bool hit;

		expect_ok(kt_svm_set1(gpu.kfd, p, 64 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY,
				      5));
		inject_fail_nth(nth);
		ret = kt_svm_set1(gpu.kfd, p + 16 * KT_PAGE, 8 * KT_PAGE,
				  KFD_SVM_ATTR_GRANULARITY, 7);
		hit = inject_was_hit();
		seen += hit;
		if (ret == -EFAULT) {
			/* Not an allocation: the copy of the arguments, in or out. */
			assert_true(hit);
		} else if (ret) {
			expect_ret(ret, -ENOMEM);
			assert_true(hit);
			failures++;
			assert_int_equal(granularity_of(p + 16 * KT_PAGE), 5);
			assert_int_equal(granularity_of(p + 24 * KT_PAGE), 5);
		} else {
			assert_int_equal(granularity_of(p + 16 * KT_PAGE), 7);
		}
		if (!hit)
			break;
	}
	assert_true(nth < MAX_NTH);
	/* A sweep that injects nothing would prove nothing. */
	assert_true(seen > 0 && failures > 0);
	grant(p, 64 * KT_PAGE);
	gpu_write32(p, 1);
	assert_int_equal(*(uint32_t *)p, 1);
	print_message("%u allocations, %u of them fail the call\n", seen, failures);
}

/* Granting access maps eagerly with XNACK off: page tables, DMA maps, extents. */
static void set_attr_row14_failure_while_mapping(void **state)
{
	unsigned int nth, seen = 0;
	int ret = 0;

	(void)state;
	gpu_open_queue();
	inject_arm();
	for (nth = 1; nth < MAX_NTH; nth++) {
		char *p = map_pages(16 * KT_PAGE);
		bool hit;

		fill_words(p, 16 * KT_PAGE, nth);
		inject_fail_nth(nth);
		ret = kt_svm_set1(gpu.kfd, p, 16 * KT_PAGE, KFD_SVM_ATTR_ACCESS,
				  gpu.gpu_id);
		hit = inject_was_hit();
		seen += hit;
		if (ret) {
			if (ret != -EFAULT)	/* the copy of the arguments */
				expect_ret(ret, -ENOMEM);
			assert_true(hit);
		}
		/* The same call again heals it. */
		expect_ok(kt_svm_set1(gpu.kfd, p, 16 * KT_PAGE, KFD_SVM_ATTR_ACCESS,
				      gpu.gpu_id));
		gpu_expect_words(p, 16 * KT_PAGE, nth);
		if (!hit)
			break;
	}
	assert_true(nth < MAX_NTH);
	assert_true(seen > 0);
}

/* Creating things: each failure is an errno, and the next try works. */
static void create_calls_survive_allocation_failures(void **state)
{
	unsigned int nth, seen = 0;
	struct kt_queue q;
	struct kt_bo bo;
	uint32_t id;
	bool hit = true;

	(void)state;
	gpu_open_queue();
	inject_arm();
	for (nth = 1; nth < MAX_NTH && hit; nth++) {
		inject_fail_nth(nth);
		if (!kt_bo_gtt(&gpu, 8 * KT_PAGE, &bo)) {
			hit = inject_was_hit();
			kt_bo_free(&gpu, &bo);
		} else {
			hit = inject_was_hit();
		}
		seen += hit;
	}
	assert_true(nth < MAX_NTH);
	for (nth = 1, hit = true; nth < MAX_NTH && hit; nth++) {
		int ret;

		inject_fail_nth(nth);
		ret = kt_queue_create(&gpu, 4096, &q);
		hit = inject_was_hit();
		if (!ret)
			expect_ok(kt_queue_destroy(&q));
		seen += hit;
	}
	for (nth = 1, hit = true; nth < MAX_NTH && hit; nth++) {
		int ret;

		inject_fail_nth(nth);
		ret = kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id);
		hit = inject_was_hit();
		if (!ret)
			expect_ok(kt_event_destroy(&gpu, id));
		seen += hit;
	}
	assert_true(seen > 2);
	expect_ok(kt_queue_create(&gpu, 4096, &q));
	gpu_write32(bounce.cpu, 1);
}

static const struct conf_case cases[] = {
	CASE(set_attr_row14_allocation_failure_is_ENOMEM,
	     CONF_BOTH | CONF_VIRTUAL | CONF_ROOT | CONF_INJECT),
	CASE(set_attr_row14_failure_while_mapping,
	     CONF_OFF | CONF_VIRTUAL | CONF_ROOT | CONF_INJECT),
	CASE(create_calls_survive_allocation_failures,
	     CONF_ONCE | CONF_VIRTUAL | CONF_ROOT | CONF_INJECT),
};

CONF_GROUP(nth_group, cases);
