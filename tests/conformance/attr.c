// SPDX-License-Identifier: GPL-2.0-only
/* What SET stores and GET answers (kfd-svm-semantics.md 1.3, 1.4, 2.1 to 2.7). */
#include <sys/mman.h>

#include "conf.h"

#define SET KFD_SVM_OP_SET_ATTR
#define GET KFD_SVM_OP_GET_ATTR

/* All that GET can tell about a range. */
struct answers {
	uint32_t preferred, prefetch, set_flags, clr_flags, granularity, access;
};

static struct answers get_all(const void *p, size_t len)
{
	static const uint32_t types[] = {
		KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_ATTR_PREFETCH_LOC,
		KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_ATTR_CLR_FLAGS,
		KFD_SVM_ATTR_GRANULARITY,
	};
	struct kfd_svm_attribute a[] = {
		{ KFD_SVM_ATTR_PREFERRED_LOC, 0x5a5a5a5a },
		{ KFD_SVM_ATTR_PREFETCH_LOC, 0x5a5a5a5a },
		{ KFD_SVM_ATTR_SET_FLAGS, 0x5a5a5a5a },
		{ KFD_SVM_ATTR_CLR_FLAGS, 0x5a5a5a5a },
		{ KFD_SVM_ATTR_GRANULARITY, 0x5a5a5a5a },
		{ KFD_SVM_ATTR_ACCESS, gpu.gpu_id },
	};

	expect_ok(kt_svm(gpu.kfd, GET, (uintptr_t)p, len, KT_ARRAY_SIZE(a), a));
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(types); i++)
		assert_int_equal(a[i].type, types[i]);
	/* The answer about access is in the type; the id stays. */
	assert_int_equal(a[5].value, gpu.gpu_id);
	return (struct answers) { a[0].value, a[1].value, a[2].value, a[3].value,
				  a[4].value, a[5].type };
}

static void set(const void *p, size_t len, uint32_t type, uint32_t value)
{
	expect_ok(kt_svm_set1(gpu.kfd, p, len, type, value));
}

static uint32_t default_access(void)
{
	return xnack_on() ? KFD_SVM_ATTR_ACCESS : KFD_SVM_ATTR_NO_ACCESS;
}

static void expect_defaults(const void *p, size_t len)
{
	struct answers a = get_all(p, len);

	assert_int_equal(a.preferred, KFD_SVM_LOC_UNDEFINED);
	assert_int_equal(a.prefetch, KFD_SVM_LOC_UNDEFINED);
	assert_int_equal(a.set_flags, KFD_SVM_DEFAULT_FLAGS);
	assert_int_equal(a.clr_flags, 0xfffffffcU);
	assert_int_equal(a.granularity, KFD_SVM_DEFAULT_GRANULARITY);
	assert_int_equal(a.access, default_access());
}

static void get_of_unregistered_memory_gives_defaults(void **state)
{
	(void)state;
	gpu_open();
	expect_defaults(map_pages(4 * KT_PAGE), 4 * KT_PAGE);
}

static void set_without_attributes_registers_defaults(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	expect_ok(kt_svm(gpu.kfd, SET, (uintptr_t)p, 4 * KT_PAGE, 0, NULL));
	expect_defaults(p, 4 * KT_PAGE);
	/* Registered: attributes of a part no longer mean the whole. */
	set(p, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 20);
	assert_int_equal(get_all(p, 4 * KT_PAGE).granularity,
			 KFD_SVM_DEFAULT_GRANULARITY);
}

static void get_without_attributes_checks_only_the_range(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	expect_ok(kt_svm(gpu.kfd, GET, (uintptr_t)p, KT_PAGE, 0, NULL));
	munmap(p, KT_PAGE);
	expect_ret(kt_svm(gpu.kfd, GET, (uintptr_t)p, KT_PAGE, 0, NULL), -EFAULT);
}

static void flags_are_set_and_cleared_bit_by_bit(void **state)
{
	struct answers a;
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	set(p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_EXEC);
	a = get_all(p, KT_PAGE);
	assert_int_equal(a.set_flags, KFD_SVM_DEFAULT_FLAGS | KFD_SVM_FLAG_GPU_EXEC);
	set(p, KT_PAGE, KFD_SVM_ATTR_CLR_FLAGS, KFD_SVM_FLAG_COHERENT);
	a = get_all(p, KT_PAGE);
	assert_int_equal(a.set_flags, KFD_SVM_FLAG_HOST_ACCESS | KFD_SVM_FLAG_GPU_EXEC);
	assert_int_equal(a.clr_flags, (uint32_t)~a.set_flags);
}

static void unknown_flags_are_kept_and_reported(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	set(p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS, 0x80f00100);
	assert_int_equal(get_all(p, KT_PAGE).set_flags,
			 KFD_SVM_DEFAULT_FLAGS | 0x80f00100);
	set(p, KT_PAGE, KFD_SVM_ATTR_CLR_FLAGS, 0x80000000);
	assert_int_equal(get_all(p, KT_PAGE).set_flags,
			 KFD_SVM_DEFAULT_FLAGS | 0x00f00100);
}

static void the_last_attribute_of_a_call_wins(void **state)
{
	struct kfd_svm_attribute a[] = {
		{ KFD_SVM_ATTR_GRANULARITY, 3 },
		{ KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_RO },
		{ KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id },
		{ KFD_SVM_ATTR_CLR_FLAGS, KFD_SVM_FLAG_GPU_RO },
		{ KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id },
		{ KFD_SVM_ATTR_GRANULARITY, 5 },
	};
	struct answers got;
	char *p;

	(void)state;
	gpu_open();
	a[2].value = a[4].value = gpu.gpu_id;
	p = map_pages(KT_PAGE);
	expect_ok(kt_svm(gpu.kfd, SET, (uintptr_t)p, KT_PAGE, KT_ARRAY_SIZE(a), a));
	got = get_all(p, KT_PAGE);
	assert_int_equal(got.granularity, 5);
	assert_int_equal(got.set_flags, KFD_SVM_DEFAULT_FLAGS);
	assert_int_equal(got.access, KFD_SVM_ATTR_ACCESS_IN_PLACE);
}

static void granularity_is_clamped_to_0x3f(void **state)
{
	static const uint32_t in[] = { 0, 1, 18, 0x3e, 0x3f, 0x40, 0xff, 0xffffffff };
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(in); i++) {
		set(p, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, in[i]);
		assert_int_equal(get_all(p, KT_PAGE).granularity,
				 in[i] > 0x3f ? 0x3f : in[i]);
	}
}

static void access_types_replace_each_other(void **state)
{
	static const uint32_t order[] = {
		KFD_SVM_ATTR_ACCESS, KFD_SVM_ATTR_ACCESS_IN_PLACE,
		KFD_SVM_ATTR_ACCESS, KFD_SVM_ATTR_NO_ACCESS,
		KFD_SVM_ATTR_ACCESS_IN_PLACE, KFD_SVM_ATTR_NO_ACCESS,
	};
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(order); i++) {
		set(p, KT_PAGE, order[i], gpu.gpu_id);
		assert_int_equal(get_all(p, KT_PAGE).access, order[i]);
	}
}

static void locations_are_reported_as_set(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	set(p, KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, gpu.gpu_id);
	assert_int_equal(get_all(p, KT_PAGE).preferred, gpu.gpu_id);
	assert_int_equal(get_all(p, KT_PAGE).prefetch, KFD_SVM_LOC_UNDEFINED);
	set(p, KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	assert_int_equal(get_all(p, KT_PAGE).preferred, KFD_SVM_LOC_SYSMEM);
	set(p, KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_UNDEFINED);
	assert_int_equal(get_all(p, KT_PAGE).preferred, KFD_SVM_LOC_UNDEFINED);
	/* The last value set, whether or not data moved. */
	set(p, KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC, gpu.gpu_id);
	assert_int_equal(get_all(p, KT_PAGE).prefetch, gpu.gpu_id);
	set(p, KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC, KFD_SVM_LOC_SYSMEM);
	assert_int_equal(get_all(p, KT_PAGE).prefetch, KFD_SVM_LOC_SYSMEM);
}

/* ---- GET over ranges that differ ---- */

static void get_of_mixed_locations_is_undefined(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	set(p, 4 * KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	set(p, 4 * KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC, KFD_SVM_LOC_SYSMEM);
	assert_int_equal(get_all(p, 4 * KT_PAGE).preferred, KFD_SVM_LOC_SYSMEM);
	set(p + KT_PAGE, KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, gpu.gpu_id);
	set(p + KT_PAGE, KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC, gpu.gpu_id);
	assert_int_equal(get_all(p, 4 * KT_PAGE).preferred, KFD_SVM_LOC_UNDEFINED);
	assert_int_equal(get_all(p, 4 * KT_PAGE).prefetch, KFD_SVM_LOC_UNDEFINED);
	/* Each part alone still knows its own. */
	assert_int_equal(get_all(p, KT_PAGE).preferred, KFD_SVM_LOC_SYSMEM);
	assert_int_equal(get_all(p + KT_PAGE, KT_PAGE).preferred, gpu.gpu_id);
	assert_int_equal(get_all(p + 2 * KT_PAGE, 2 * KT_PAGE).preferred,
			 KFD_SVM_LOC_SYSMEM);
}

static void get_flags_are_set_everywhere_or_clear_everywhere(void **state)
{
	struct answers a;
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(2 * KT_PAGE);
	set(p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS, 0x10 | 0x20);
	set(p + KT_PAGE, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS, 0x20 | 0x80);
	a = get_all(p, 2 * KT_PAGE);
	assert_int_equal(a.set_flags, KFD_SVM_DEFAULT_FLAGS | 0x20);
	assert_int_equal(a.clr_flags, 0xffffff4cU);
}

static void get_granularity_is_the_minimum(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(3 * KT_PAGE);
	set(p, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 12);
	set(p + KT_PAGE, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 4);
	set(p + 2 * KT_PAGE, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 0x3f);
	assert_int_equal(get_all(p, 3 * KT_PAGE).granularity, 4);
	assert_int_equal(get_all(p + 2 * KT_PAGE, KT_PAGE).granularity, 0x3f);
}

static void get_access_of_a_mix_is_no_access(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(2 * KT_PAGE);
	set(p, KT_PAGE, KFD_SVM_ATTR_ACCESS, gpu.gpu_id);
	set(p + KT_PAGE, KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	assert_int_equal(get_all(p, 2 * KT_PAGE).access, KFD_SVM_ATTR_NO_ACCESS);
	set(p, KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	assert_int_equal(get_all(p, 2 * KT_PAGE).access, KFD_SVM_ATTR_ACCESS_IN_PLACE);
	set(p, KT_PAGE, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id);
	assert_int_equal(get_all(p, 2 * KT_PAGE).access, KFD_SVM_ATTR_NO_ACCESS);
}

static void get_ignores_unregistered_gaps(void **state)
{
	struct answers a;
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(8 * KT_PAGE);
	set(p + 2 * KT_PAGE, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 15);
	set(p + 2 * KT_PAGE, KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, gpu.gpu_id);
	set(p + 2 * KT_PAGE, KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	a = get_all(p, 8 * KT_PAGE);
	assert_int_equal(a.granularity, 15);
	assert_int_equal(a.preferred, gpu.gpu_id);
	assert_int_equal(a.access, KFD_SVM_ATTR_ACCESS_IN_PLACE);
	expect_defaults(p + 3 * KT_PAGE, 5 * KT_PAGE);
}

static void set_covers_exactly_its_interval(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(8 * KT_PAGE);
	set(p, 8 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 10);
	set(p + 3 * KT_PAGE, 2 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 7);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(get_all(p + i * KT_PAGE, KT_PAGE).granularity,
				 i == 3 || i == 4 ? 7 : 10);
	/* What the call did not name is inherited by the part. */
	set(p, 8 * KT_PAGE, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_READ_MOSTLY);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(get_all(p + i * KT_PAGE, KT_PAGE).granularity,
				 i == 3 || i == 4 ? 7 : 10);
}

static void set_spans_several_vmas(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(6 * KT_PAGE);
	/* Three VMAs: the protections differ. */
	assert_int_equal(mprotect(p + 2 * KT_PAGE, 2 * KT_PAGE, PROT_READ), 0);
	set(p, 6 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 6);
	assert_int_equal(get_all(p, 6 * KT_PAGE).granularity, 6);
	assert_int_equal(get_all(p + 3 * KT_PAGE, KT_PAGE).granularity, 6);
}

/* ---- attributes and munmap ---- */

static void munmap_removes_attributes(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	set(p, 4 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 5);
	set(p, 4 * KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	assert_int_equal(munmap(p, 4 * KT_PAGE), 0);
	q = mmap(p, 4 * KT_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(q, p);
	expect_defaults(q, 4 * KT_PAGE);
}

static void mmap_over_a_range_removes_attributes(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	set(p, 4 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 5);
	q = mmap(p + KT_PAGE, KT_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	assert_ptr_equal(q, p + KT_PAGE);
	expect_defaults(q, KT_PAGE);
	assert_int_equal(get_all(p, KT_PAGE).granularity, 5);
	assert_int_equal(get_all(p + 2 * KT_PAGE, 2 * KT_PAGE).granularity, 5);
}

static void munmap_of_the_middle_keeps_both_sides(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(9 * KT_PAGE);
	set(p, 9 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 5);
	set(p, 9 * KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	assert_int_equal(munmap(p + 3 * KT_PAGE, 3 * KT_PAGE), 0);
	assert_int_equal(get_all(p, 3 * KT_PAGE).granularity, 5);
	assert_int_equal(get_all(p + 6 * KT_PAGE, 3 * KT_PAGE).granularity, 5);
	assert_int_equal(get_all(p, 3 * KT_PAGE).access, KFD_SVM_ATTR_ACCESS_IN_PLACE);
	expect_ret(kt_svm(gpu.kfd, GET, (uintptr_t)p, 9 * KT_PAGE, 0, NULL), -EFAULT);
}

static void mprotect_and_madvise_keep_attributes(void **state)
{
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	set(p, 4 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 5);
	assert_int_equal(mprotect(p, 2 * KT_PAGE, PROT_READ), 0);
	assert_int_equal(madvise(p + 2 * KT_PAGE, 2 * KT_PAGE, MADV_DONTNEED), 0);
	assert_int_equal(get_all(p, 4 * KT_PAGE).granularity, 5);
}

static void mremap_leaves_attributes_behind(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	set(p, 4 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 5);
	q = mremap(p, 4 * KT_PAGE, 4 * KT_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   map_pages(4 * KT_PAGE));
	assert_true(q != MAP_FAILED);
	expect_defaults(q, 4 * KT_PAGE);
	expect_ret(kt_svm(gpu.kfd, GET, (uintptr_t)p, 4 * KT_PAGE, 0, NULL), -EFAULT);
}

static const struct conf_case cases[] = {
	CASE(get_of_unregistered_memory_gives_defaults, CONF_BOTH),
	CASE(set_without_attributes_registers_defaults, CONF_BOTH),
	CASE(get_without_attributes_checks_only_the_range, CONF_BOTH),
	CASE(flags_are_set_and_cleared_bit_by_bit, CONF_BOTH),
	CASE(unknown_flags_are_kept_and_reported, CONF_BOTH),
	CASE(the_last_attribute_of_a_call_wins, CONF_BOTH),
	CASE(granularity_is_clamped_to_0x3f, CONF_BOTH),
	CASE(access_types_replace_each_other, CONF_BOTH),
	CASE(locations_are_reported_as_set, CONF_BOTH),
	CASE(get_of_mixed_locations_is_undefined, CONF_BOTH),
	CASE(get_flags_are_set_everywhere_or_clear_everywhere, CONF_BOTH),
	CASE(get_granularity_is_the_minimum, CONF_BOTH),
	CASE(get_access_of_a_mix_is_no_access, CONF_BOTH),
	CASE(get_ignores_unregistered_gaps, CONF_BOTH),
	CASE(set_covers_exactly_its_interval, CONF_BOTH),
	CASE(set_spans_several_vmas, CONF_BOTH),
	CASE(munmap_removes_attributes, CONF_BOTH),
	CASE(mmap_over_a_range_removes_attributes, CONF_BOTH),
	CASE(munmap_of_the_middle_keeps_both_sides, CONF_BOTH),
	CASE(mprotect_and_madvise_keep_attributes, CONF_BOTH),
	CASE(mremap_leaves_attributes_behind, CONF_BOTH),
};

CONF_GROUP(attr_group, cases);
