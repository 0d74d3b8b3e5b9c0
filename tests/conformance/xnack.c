// SPDX-License-Identifier: GPL-2.0-only
/* SET_XNACK_MODE (kfd-svm-semantics.md 1.6). */

#include "conf.h"

static int set_mode(int32_t mode)
{
	return kt_xnack(gpu.kfd, &mode);
}

static int query(void)
{
	int32_t mode = -1;

	expect_ok(kt_xnack(gpu.kfd, &mode));
	return mode;
}

static void xnack_mode_is_what_was_set(void **state)
{
	(void)state;
	gpu_open();
	assert_int_equal(query(), xnack_on());
	expect_ok(set_mode(xnack_on()));
	assert_int_equal(query(), xnack_on());
}

static void xnack_query_takes_any_negative_value(void **state)
{
	int32_t mode = INT32_MIN;

	(void)state;
	gpu_open();
	expect_ok(kt_xnack(gpu.kfd, &mode));
	assert_int_equal(mode, xnack_on());
}

static void xnack_set_with_live_queue_is_EBUSY(void **state)
{
	(void)state;
	gpu_open_queue();
	/* Also when nothing would change. */
	expect_ret(set_mode(xnack_on()), -EBUSY);
	expect_ret(set_mode(!xnack_on()), -EBUSY);
	assert_int_equal(query(), xnack_on());
	expect_ok(kt_queue_destroy(&sdma));
	expect_ok(set_mode(xnack_on()));
}

static void xnack_mode_can_be_switched_both_ways(void **state)
{
	(void)state;
	gpu_open();	/* skips if this GPU cannot */
	for (int i = 0; i < 3; i++) {
		expect_ok(set_mode(0));
		assert_int_equal(query(), 0);
		expect_ok(set_mode(1));
		assert_int_equal(query(), 1);
	}
}

static void xnack_enable_is_EPERM_where_faults_cannot_replay(void **state)
{
	int ret;

	(void)state;
	expect_ok(kt_open(&gpu, conf_run.node));
	ret = set_mode(1);
	if (!ret)
		conf_skip("this GPU can replay faults (load it with noretry=1)");
	expect_ret(ret, -EPERM);
	assert_int_equal(query(), 0);
	expect_ok(set_mode(0));
}

/* An accepted difference from upstream: any positive value means on. */
static void xnack_set_of_2_means_1(void **state)
{
	(void)state;
	gpu_open();
	expect_ok(set_mode(2));
	assert_int_equal(query(), 1);
	expect_ok(set_mode(0));
	assert_int_equal(query(), 0);
}

static uint32_t access_of(const void *p)
{
	struct kfd_svm_attribute a = { KFD_SVM_ATTR_ACCESS, gpu.gpu_id };

	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 1, &a));
	return a.type;
}

static void default_access_is_fixed_when_a_range_is_made(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(2 * KT_PAGE);
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)p, KT_PAGE, 0, NULL));
	assert_int_equal(access_of(p), KFD_SVM_ATTR_ACCESS);
	expect_ok(set_mode(0));
	/* Registered before: as it was. Never registered: as the mode says. */
	assert_int_equal(access_of(p), KFD_SVM_ATTR_ACCESS);
	assert_int_equal(access_of(p + KT_PAGE), KFD_SVM_ATTR_NO_ACCESS);
}

static void data_is_seen_after_switching_modes(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 7);
	expect_ok(kt_svm_set1(gpu.kfd, p, 4 * KT_PAGE, KFD_SVM_ATTR_ACCESS, gpu.gpu_id));
	/* Made in one mode, used in the other: mapped eagerly, or by a fault. */
	expect_ok(set_mode(!xnack_on()));
	expect_ok(kt_bo_gtt(&gpu, BOUNCE_LEN, &bounce));
	expect_ok(kt_queue_create(&gpu, 4096, &sdma));
	assert_int_equal(gpu_try_copy(bounce.cpu, p, 4 * KT_PAGE), 0);
	expect_words(bounce.cpu, 4 * KT_PAGE, 7);
}

static const struct conf_case cases[] = {
	CASE(xnack_mode_is_what_was_set, CONF_BOTH),
	CASE(xnack_query_takes_any_negative_value, CONF_BOTH),
	CASE(xnack_set_with_live_queue_is_EBUSY, CONF_BOTH),
	CASE(xnack_mode_can_be_switched_both_ways, CONF_ON),
	CASE(xnack_enable_is_EPERM_where_faults_cannot_replay, CONF_ONCE),
	CASE(xnack_set_of_2_means_1, CONF_ON | CONF_VIRTUAL),
	CASE(default_access_is_fixed_when_a_range_is_made, CONF_ON),
	CASE(data_is_seen_after_switching_modes, CONF_ON),
};

CONF_GROUP(xnack_group, cases);
