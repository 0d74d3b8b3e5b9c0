// SPDX-License-Identifier: MIT
/* libkfdsvm's calls on ranges: what reaches the kernel, and what comes back. */
#include "shim_fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define GPU1 0x1234u
#define GPU2 0x5678u

static struct fake fake;
static struct kfdsvm *h;

/* Two GPUs that work, and between them one that does not. */
static int setup(void **state)
{
	(void)state;
	fake_init(&fake);
	fake_add_gpu(&fake, 0x4000, 90000)->capability = 0;
	fake_add_gpu(&fake, GPU2, 110000);
	h = fake_open(&fake);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kfdsvm_close(h);
	assert_int_equal(fake.open_files, 0);
	return 0;
}

static void *at(uintptr_t va)
{
	return (void *)va;
}

static int share(uintptr_t va, size_t len, unsigned int flags, struct kfdsvm_range *covered)
{
	fake.nsvm = 0;
	return kfdsvm_share(h, at(va), len, NULL, 0, flags, covered);
}

static void expect_attr(unsigned int i, uint32_t type, uint32_t value)
{
	assert_true(i < fake.svm.nattr);
	assert_int_equal(fake.attrs[i].type, type);
	assert_int_equal(fake.attrs[i].value, value);
}

static void rounds_outward(void **state)
{
	static const struct {
		uintptr_t va;
		size_t len;
		uintptr_t start;
		size_t covered;
	} cases[] = {
		{ 0x10000, 0x1000, 0x10000, 0x1000 },
		{ 0x10001, 1, 0x10000, 0x1000 },
		{ 0x10fff, 1, 0x10000, 0x1000 },
		{ 0x10fff, 2, 0x10000, 0x2000 },
		{ 0x10000, 0x1001, 0x10000, 0x2000 },
		{ 0x10001, 0x3000, 0x10000, 0x4000 },
		{ UINTPTR_MAX - 0x2fff, 0x2000, UINTPTR_MAX - 0x2fff, 0x2000 },
	};
	struct kfdsvm_range covered;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(share(cases[i].va, cases[i].len, 0, &covered), 0);
		assert_int_equal(covered.start, cases[i].start);
		assert_int_equal(covered.len, cases[i].covered);
		assert_int_equal(fake.svm.start_addr, cases[i].start);
		assert_int_equal(fake.svm.size, cases[i].covered);
	}
}

static void rounds_inward_if_asked(void **state)
{
	static const struct {
		uintptr_t va;
		size_t len;
		uintptr_t start;
		size_t covered;
	} cases[] = {
		{ 0x10000, 0x1000, 0x10000, 0x1000 },
		{ 0x10001, 0x1fff, 0x11000, 0x1000 },
		{ 0x10001, 0x1ffe, 0x11000, 0 },
		{ 0x10001, 0x2ffe, 0x11000, 0x1000 },
		{ 0x10fff, 2, 0x11000, 0 },
		{ 0x10010, 8, 0x11000, 0 },
	};
	struct kfdsvm_range covered;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(share(cases[i].va, cases[i].len, KFDSVM_INNER, &covered), 0);
		assert_int_equal(covered.start, cases[i].start);
		assert_int_equal(covered.len, cases[i].covered);
		assert_int_equal(fake.nsvm, cases[i].covered ? 1 : 0);
	}
}

static void other_page_sizes(void **state)
{
	struct kfdsvm_range covered;

	(void)state;
	kfdsvm_close(h);
	fake.page = 65536;
	h = fake_open(&fake);
	assert_int_equal(share(0x12345, 0x10000, 0, &covered), 0);
	assert_int_equal(covered.start, 0x10000);
	assert_int_equal(covered.len, 0x20000);
}

static void bad_ranges_do_not_reach_the_kernel(void **state)
{
	struct kfdsvm_range covered = { 1, 1 };

	(void)state;
	assert_int_equal(share(0x10000, 0, 0, &covered), -EINVAL);
	assert_int_equal(covered.len, 0);
	assert_int_equal(share(8, 8, 0, NULL), -EINVAL);
	assert_int_equal(share(0x10000, SIZE_MAX, 0, NULL), -EOVERFLOW);
	/* The last page of the address space has an end that is no address. */
	assert_int_equal(share(UINTPTR_MAX, 1, 0, NULL), -EOVERFLOW);
	assert_int_equal(share(UINTPTR_MAX, 1, KFDSVM_INNER, &covered), 0);
	assert_int_equal(covered.len, 0);
	assert_int_equal(share(0x10000, 1, 0x100, NULL), -EINVAL);
	assert_int_equal(kfdsvm_prefetch(h, at(0x10000), 1, 0, KFDSVM_IN_PLACE, NULL), -EINVAL);
	assert_int_equal(kfdsvm_share(NULL, at(0x10000), 1, NULL, 0, 0, NULL), -EINVAL);
	assert_int_equal(fake.nsvm, 0);
}

static void share_with_all_leaves_out_what_cannot(void **state)
{
	(void)state;
	assert_int_equal(share(0x10000, 1, 0, NULL), 0);
	assert_int_equal(fake.svm.op, KFD_SVM_OP_SET_ATTR);
	assert_int_equal(fake.svm.nattr, 2);
	assert_int_equal(fake.svm_len, sizeof(struct kfd_svm_args) + 16);
	expect_attr(0, KFD_SVM_ATTR_ACCESS, GPU1);
	expect_attr(1, KFD_SVM_ATTR_ACCESS, GPU2);
}

static void share_and_unshare_with_chosen_gpus(void **state)
{
	const uint32_t gpus[] = { GPU2 };
	const uint32_t bad[] = { GPU1, 0x4000 };

	(void)state;
	assert_int_equal(kfdsvm_share(h, at(0x10000), 1, gpus, 1, KFDSVM_IN_PLACE, NULL), 0);
	assert_int_equal(fake.svm.nattr, 1);
	expect_attr(0, KFD_SVM_ATTR_ACCESS_IN_PLACE, GPU2);
	fake.nsvm = 0;
	assert_int_equal(kfdsvm_unshare(h, at(0x10000), 1, gpus, 1, 0, NULL), 0);
	expect_attr(0, KFD_SVM_ATTR_NO_ACCESS, GPU2);
	fake.nsvm = 0;
	assert_int_equal(kfdsvm_unshare(h, at(0x10000), 1, gpus, 1, KFDSVM_IN_PLACE, NULL),
			 -EINVAL);
	assert_int_equal(kfdsvm_share(h, at(0x10000), 1, bad, 2, 0, NULL), -EINVAL);
	assert_int_equal(kfdsvm_share(h, at(0x10000), 1, gpus, 0, 0, NULL), -EINVAL);
	assert_int_equal(kfdsvm_share(h, at(0x10000), 1, NULL, 1, 0, NULL), -EINVAL);
	assert_int_equal(kfdsvm_share(h, at(0x10000), 1, gpus, 5000, 0, NULL), -EINVAL);
	assert_int_equal(fake.nsvm, 0);
}

static void prefetch(void **state)
{
	(void)state;
	assert_int_equal(kfdsvm_prefetch(h, at(0x10010), 0x1000, GPU1, 0, NULL), 0);
	assert_int_equal(fake.svm.size, 0x2000);
	assert_int_equal(fake.svm.nattr, 1);
	expect_attr(0, KFD_SVM_ATTR_PREFETCH_LOC, GPU1);
	fake.nsvm = 0;
	assert_int_equal(kfdsvm_prefetch(h, at(0x10000), 1, KFDSVM_SYSTEM, 0, NULL), 0);
	expect_attr(0, KFD_SVM_ATTR_PREFETCH_LOC, 0);
	assert_int_equal(kfdsvm_prefetch(h, at(0x10000), 1, KFDSVM_UNDEFINED, 0, NULL), -EINVAL);
	assert_int_equal(kfdsvm_prefetch(h, at(0x10000), 1, 0x4000, 0, NULL), -EINVAL);
}

static void advice_clears_before_it_sets(void **state)
{
	const struct kfdsvm_access access[] = {
		{ GPU1, KFDSVM_ACCESS_IN_PLACE },
		{ GPU2, KFDSVM_ACCESS_NONE },
		{ GPU1, KFDSVM_ACCESS_MIGRATE },
	};
	struct kfdsvm_advice advice = {
		.size = sizeof(advice),
		.fields = KFDSVM_ADVISE_PREFERRED | KFDSVM_ADVISE_FLAGS |
			  KFDSVM_ADVISE_GRANULARITY | KFDSVM_ADVISE_ACCESS,
		.preferred = KFDSVM_UNDEFINED,
		.flags_clear = KFDSVM_COHERENT,
		.flags_set = KFDSVM_GPU_READ_ONLY,
		.granularity_lg2 = 0xff,
		.naccess = 3,
		.access = access,
	};

	(void)state;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), 0);
	assert_int_equal(fake.svm.nattr, 7);
	expect_attr(0, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_UNDEFINED);
	expect_attr(1, KFD_SVM_ATTR_CLR_FLAGS, KFD_SVM_FLAG_COHERENT);
	expect_attr(2, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_RO);
	expect_attr(3, KFD_SVM_ATTR_GRANULARITY, KFD_SVM_MAX_GRANULARITY);
	expect_attr(4, KFD_SVM_ATTR_ACCESS_IN_PLACE, GPU1);
	expect_attr(5, KFD_SVM_ATTR_NO_ACCESS, GPU2);
	expect_attr(6, KFD_SVM_ATTR_ACCESS, GPU1);
}

static void bad_advice(void **state)
{
	struct kfdsvm_access access = { GPU1, 3 };
	struct kfdsvm_advice advice = { .size = sizeof(advice), .access = &access };

	(void)state;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -EINVAL);
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, NULL, 0, NULL), -EINVAL);
	advice.fields = 0x100;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -EINVAL);
	advice.fields = KFDSVM_ADVISE_PREFERRED;
	advice.preferred = 0x4000;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -EINVAL);
	advice.fields = KFDSVM_ADVISE_ACCESS;
	advice.naccess = 1;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -EINVAL);
	access.kind = KFDSVM_ACCESS_NONE;
	access.gpu_id = 1;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -EINVAL);
	advice.access = NULL;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -EINVAL);
	advice.naccess = 5000;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -E2BIG);
	assert_int_equal(fake.nsvm, 0);
}

static void as_many_attributes_as_a_call_carries(void **state)
{
	static struct kfdsvm_access access[2041];
	struct kfdsvm_advice advice = {
		.size = sizeof(advice),
		.fields = KFDSVM_ADVISE_PREFERRED | KFDSVM_ADVISE_FLAGS |
			  KFDSVM_ADVISE_GRANULARITY | KFDSVM_ADVISE_ACCESS,
		.naccess = 2040,
		.access = access,
	};

	(void)state;
	for (int i = 0; i < 2041; i++)
		access[i] = (struct kfdsvm_access){ GPU1, KFDSVM_ACCESS_MIGRATE };
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), 0);
	assert_int_equal(fake.svm.nattr, KFD_SVM_MAX_NATTR);
	assert_int_equal(fake.svm_len, sizeof(struct kfd_svm_args) + KFD_SVM_MAX_NATTR * 8);
	advice.naccess = 2041;
	assert_int_equal(kfdsvm_advise(h, at(0x10000), 1, &advice, 0, NULL), -E2BIG);
}

static void query(void **state)
{
	struct kfdsvm_access access[4];
	struct kfdsvm_attributes attributes = {
		.size = sizeof(attributes), .naccess = 4, .access = access,
	};
	struct kfdsvm_range covered;

	(void)state;
	fake.get_values[KFD_SVM_ATTR_PREFERRED_LOC] = GPU2;
	fake.get_values[KFD_SVM_ATTR_PREFETCH_LOC] = KFD_SVM_LOC_UNDEFINED;
	fake.get_values[KFD_SVM_ATTR_SET_FLAGS] = 0x3;
	fake.get_values[KFD_SVM_ATTR_CLR_FLAGS] = 0xffffffe8;
	fake.get_values[KFD_SVM_ATTR_GRANULARITY] = 9;
	fake.gpu_access[0] = KFD_SVM_ATTR_ACCESS_IN_PLACE;
	fake.gpu_access[2] = KFD_SVM_ATTR_NO_ACCESS;
	assert_int_equal(kfdsvm_query(h, at(0x10ff0), 0x20, &attributes, 0, &covered), 0);
	assert_int_equal(covered.len, 0x2000);
	assert_int_equal(attributes.preferred, GPU2);
	assert_int_equal(attributes.prefetched, KFDSVM_UNDEFINED);
	assert_int_equal(attributes.flags_all, 0x3);
	assert_int_equal(attributes.flags_any, 0x17);
	assert_int_equal(attributes.granularity_lg2, 9);
	assert_int_equal(attributes.naccess, 2);
	assert_int_equal(access[0].gpu_id, GPU1);
	assert_int_equal(access[0].kind, KFDSVM_ACCESS_IN_PLACE);
	assert_int_equal(access[1].gpu_id, GPU2);
	assert_int_equal(access[1].kind, KFDSVM_ACCESS_NONE);

	attributes.naccess = 1;
	assert_int_equal(kfdsvm_query(h, at(0x10000), 1, &attributes, 0, NULL), 0);
	assert_int_equal(attributes.naccess, 1);
	attributes.naccess = 4;
	attributes.access = NULL;
	assert_int_equal(kfdsvm_query(h, at(0x10000), 1, &attributes, 0, NULL), 0);
	assert_int_equal(attributes.naccess, 0);
	assert_int_equal(kfdsvm_query(h, at(0x10010), 8, &attributes, KFDSVM_INNER, NULL),
			 -EINVAL);
	assert_int_equal(kfdsvm_query(h, at(0x10000), 8, NULL, 0, NULL), -EINVAL);
}

static void kernel_errors_are_passed_on(void **state)
{
	static const int errors[] = { EINVAL, EOVERFLOW, EFAULT, EADDRINUSE, ENOMEM, EPERM };
	struct kfdsvm_range covered;
	int result;

	(void)state;
	fake.svm_results = &result;
	fake.nsvm_results = 1;
	errno = 4242;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		result = -errors[i];
		assert_int_equal(share(0x10001, 1, 0, &covered), -errors[i]);
		assert_int_equal(covered.start, 0x10000);
		assert_int_equal(covered.len, 0x1000);
		assert_string_not_equal(kfdsvm_strerror(-errors[i]), kfdsvm_strerror(-99999));
	}
	assert_int_equal(errno, 4242);
}

static void interrupted_calls_are_repeated(void **state)
{
	static const int results[] = { -EINTR, -EINTR, -EAGAIN, -EINTR, -EAGAIN, 0 };

	(void)state;
	fake.svm_results = results;
	fake.nsvm_results = 6;
	assert_int_equal(share(0x10000, 1, 0, NULL), 0);
	assert_int_equal(fake.nsvm, 6);
}

static void racing_for_ever_ends(void **state)
{
	int results[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		results[i] = -EAGAIN;
	fake.svm_results = results;
	fake.nsvm_results = 100;
	assert_int_equal(share(0x10000, 1, 0, NULL), -EAGAIN);
	assert_in_range(fake.nsvm, 2, 99);
}

static void child_of_fork_is_told(void **state)
{
	static const int result = -EBADF;
	struct kfdsvm_attributes attributes = { .size = sizeof(attributes) };

	(void)state;
	fake.svm_results = &result;
	fake.nsvm_results = 1;
	assert_int_equal(share(0x10000, 1, 0, NULL), -ECHILD);
	fake.pid++;
	assert_int_equal(share(0x10000, 1, 0, NULL), -ECHILD);
	assert_int_equal(kfdsvm_query(h, at(0x10000), 1, &attributes, 0, NULL), -ECHILD);
	assert_int_equal(kfdsvm_xnack_get(h), -ECHILD);
	assert_int_equal(kfdsvm_xnack_set(h, 1), -ECHILD);
	assert_int_equal(kfdsvm_xnack_why(h, NULL), -ECHILD);
	assert_int_equal(fake.nsvm, 0);
}

static void xnack(void **state)
{
	struct kfdsvm_why why = { .size = sizeof(why) };

	(void)state;
	assert_int_equal(kfdsvm_xnack_get(h), 0);
	assert_int_equal(kfdsvm_xnack_set(h, 77), 0);
	assert_int_equal(fake.xnack, 1);
	assert_int_equal(kfdsvm_xnack_get(h), 1);
	assert_int_equal(kfdsvm_xnack_why(h, &why), 1);
	assert_int_equal(kfdsvm_xnack_set(h, 0), 0);
	/* Trying leaves it as it was. */
	assert_int_equal(kfdsvm_xnack_why(h, &why), 1);
	assert_int_equal(why.reason, KFDSVM_REASON_NONE);
	assert_int_equal(fake.xnack, 0);

	fake.xnack_set_error = -EBUSY;
	assert_int_equal(kfdsvm_xnack_set(h, 1), -EBUSY);
	assert_int_equal(kfdsvm_xnack_why(h, &why), 0);
	assert_int_equal(why.reason, KFDSVM_REASON_XNACK_BUSY);
	fake.xnack_set_error = -EPERM;
	assert_int_equal(kfdsvm_xnack_why(h, &why), 0);
	assert_int_equal(why.reason, KFDSVM_REASON_XNACK_HARDWARE);
	assert_non_null(strstr(why.what, "gfx1100"));
	fake.xnack_set_error = -ENOMEM;
	assert_int_equal(kfdsvm_xnack_why(h, &why), 0);
	assert_int_equal(why.reason, KFDSVM_REASON_XNACK_ERROR);
	assert_int_equal(kfdsvm_xnack_why(h, NULL), 0);
	why.size = 0;
	assert_int_equal(kfdsvm_xnack_why(h, &why), -EINVAL);
}

static void xnack_refused_by_the_driver(void **state)
{
	struct kfdsvm_why why = { .size = sizeof(why) };

	(void)state;
	kfdsvm_close(h);
	fake_init(&fake);
	h = fake_open(&fake);
	fake.xnack_set_error = -EPERM;
	assert_int_equal(kfdsvm_xnack_why(h, &why), 0);
	assert_int_equal(why.reason, KFDSVM_REASON_XNACK_DRIVER);
	assert_non_null(strstr(why.fix, "noretry=0"));
	fake.gpus[0].gfx_version = 90402;
	kfdsvm_close(h);
	h = fake_open(&fake);
	assert_int_equal(kfdsvm_xnack_why(h, &why), 0);
	assert_non_null(strstr(why.what, "SR-IOV"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rounds_outward),
		T(rounds_inward_if_asked),
		T(other_page_sizes),
		T(bad_ranges_do_not_reach_the_kernel),
		T(share_with_all_leaves_out_what_cannot),
		T(share_and_unshare_with_chosen_gpus),
		T(prefetch),
		T(advice_clears_before_it_sets),
		T(bad_advice),
		T(as_many_attributes_as_a_call_carries),
		T(query),
		T(kernel_errors_are_passed_on),
		T(interrupted_calls_are_repeated),
		T(racing_for_ever_ends),
		T(child_of_fork_is_told),
		T(xnack),
		T(xnack_refused_by_the_driver),
	};

	return cmocka_run_group_tests_name("shim_range", tests, NULL, NULL);
}
