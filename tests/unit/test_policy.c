// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policy: PTE flags by graphics core, who maps when, fault windows, what is written
 * along with a page, back-off.
 */
#include "kfd_svm_policy.h"

#include "unit.h"

#define COH	KFD_SVM_FLAG_COHERENT
#define EXT	KFD_SVM_FLAG_EXT_COHERENT

struct pte_case {
	u32 gc;
	enum kfd_svm_place place;
	u32 flags;
	u32 mtype;
	bool snooped;
	u32 traits;
};

#define APU	KFD_SVM_GC_APU
#define NODES	(KFD_SVM_GC_APU | KFD_SVM_GC_NODES)

static const struct pte_case pte_cases[] = {
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true, 0 },
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_NC, false, 0 },
	{ KFD_SVM_GC(9, 4, 0), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_UC, false, 0 },
	{ KFD_SVM_GC(9, 4, 1), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_RW, false, 0 },
	{ KFD_SVM_GC(9, 4, 1), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_CC, false, 0 },
	{ KFD_SVM_GC(9, 4, 1), KFD_SVM_PLACE_REMOTE, 0, KFD_SVM_MTYPE_NC, true, 0 },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_REMOTE, COH, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_REMOTE, COH, KFD_SVM_MTYPE_NC, true, 0 },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_REMOTE, EXT, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_REMOTE, EXT, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true, 0 },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_RW, true, 0 },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_LOCAL, EXT, KFD_SVM_MTYPE_CC, true, 0 },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true, 0 },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(10, 3, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_UC, true, 0 },
	{ KFD_SVM_GC(11, 5, 1), KFD_SVM_PLACE_REMOTE, 0, KFD_SVM_MTYPE_NC, false, 0 },
	{ KFD_SVM_GC(12, 0, 1), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true, 0 },
	{ KFD_SVM_GC(12, 0, 1), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_NC, false, 0 },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_RW, true,
	  KFD_SVM_GC_CPU_LINK },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_CC, true,
	  KFD_SVM_GC_CPU_LINK },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_LOCAL, EXT, KFD_SVM_MTYPE_CC, true,
	  KFD_SVM_GC_CPU_LINK },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_UC, true,
	  KFD_SVM_GC_CPU_LINK },
	{ KFD_SVM_GC(9, 4, 1), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_RW, false,
	  KFD_SVM_GC_CPU_LINK },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_RW, true,
	  APU },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_RW, true,
	  APU },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_CC, true,
	  APU },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_NEAR, 0, KFD_SVM_MTYPE_RW, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_NEAR, COH, KFD_SVM_MTYPE_RW, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_NEAR, EXT, KFD_SVM_MTYPE_CC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_RW, true,
	  APU },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_RW, true,
	  APU },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_CC, true,
	  APU },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_NEAR, 0, KFD_SVM_MTYPE_RW, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_NEAR, COH, KFD_SVM_MTYPE_RW, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_NEAR, EXT, KFD_SVM_MTYPE_CC, true,
	  NODES },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_RW, true,
	  APU },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_RW, true,
	  APU },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_CC, true,
	  APU },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true,
	  NODES },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true,
	  NODES },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true,
	  NODES },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_NEAR, 0, KFD_SVM_MTYPE_RW, true,
	  NODES },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_NEAR, COH, KFD_SVM_MTYPE_RW, true,
	  NODES },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_NEAR, EXT, KFD_SVM_MTYPE_CC, true,
	  NODES },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_NEAR, 0, KFD_SVM_MTYPE_UC, true,
	  0 },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_NEAR, EXT, KFD_SVM_MTYPE_CC, true,
	  APU },
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_NEAR, COH, KFD_SVM_MTYPE_UC, true,
	  NODES },
	{ KFD_SVM_GC(12, 0, 1), KFD_SVM_PLACE_NEAR, 0, KFD_SVM_MTYPE_NC, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_RW, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_REMOTE, 0, KFD_SVM_MTYPE_NC, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_RW, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_REMOTE, COH, KFD_SVM_MTYPE_NC, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_LOCAL, EXT, KFD_SVM_MTYPE_RW, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_REMOTE, EXT, KFD_SVM_MTYPE_UC, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true,
	  0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_NC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_REMOTE, 0, KFD_SVM_MTYPE_UC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_UC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_NC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_REMOTE, COH, KFD_SVM_MTYPE_UC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_UC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_LOCAL, EXT, KFD_SVM_MTYPE_NC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_REMOTE, EXT, KFD_SVM_MTYPE_UC, true,
	  KFD_SVM_GC_REV0 },
	{ KFD_SVM_GC(12, 1, 0), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true,
	  KFD_SVM_GC_REV0 },
};

static void memory_type_follows_the_table(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pte_cases); i++) {
		const struct pte_case *c = &pte_cases[i];
		u32 pte = kfd_svm_policy_pte(c->gc, c->traits, c->place, c->flags, true);

		assert_int_equal(FIELD_GET(KFD_SVM_PTE_MTYPE, pte), c->mtype);
		assert_int_equal(!!(pte & KFD_SVM_PTE_SNOOPED), c->snooped);
		assert_int_equal(!!(pte & KFD_SVM_PTE_SYSTEM),
				 c->place == KFD_SVM_PLACE_SYSTEM ||
				 c->place == KFD_SVM_PLACE_NEAR);
		assert_int_equal(!!(pte & KFD_SVM_PTE_PEER),
				 c->place == KFD_SVM_PLACE_REMOTE);
		assert_true(pte & KFD_SVM_PTE_READ);
	}
}

static bool can_write(u32 flags, bool cpu_writable)
{
	return kfd_svm_policy_pte(KFD_SVM_GC(9, 0, 1), 0, KFD_SVM_PLACE_SYSTEM,
				  flags, cpu_writable) & KFD_SVM_PTE_WRITE;
}

static void writing_needs_the_cpus_entry_and_no_gpu_ro(void **state)
{
	assert_true(can_write(0, true));
	assert_false(can_write(0, false));
	assert_false(can_write(KFD_SVM_FLAG_GPU_RO, true));
	assert_false(can_write(KFD_SVM_FLAG_GPU_RO, false));
}

static void only_gpu_exec_allows_execution(void **state)
{
	u32 gc = KFD_SVM_GC(9, 4, 2);

	assert_false(kfd_svm_policy_pte(gc, 0, KFD_SVM_PLACE_SYSTEM, 0, true) &
		     KFD_SVM_PTE_EXEC);
	assert_true(kfd_svm_policy_pte(gc, 0, KFD_SVM_PLACE_SYSTEM,
				       KFD_SVM_FLAG_GPU_EXEC, true) &
		    KFD_SVM_PTE_EXEC);
}

static void eager_and_resident_depend_on_xnack_and_always_mapped(void **state)
{
	struct kfd_svm_attr attr = { .access = 0x1, .in_place = 0x2 };

	assert_int_equal(kfd_svm_policy_eager(&attr, false), 0x3);
	assert_int_equal(kfd_svm_policy_resident(&attr, false), 0x3);
	assert_int_equal(kfd_svm_policy_eager(&attr, true), 0x2);
	assert_int_equal(kfd_svm_policy_resident(&attr, true), 0x0);
	attr.flags = KFD_SVM_FLAG_GPU_ALWAYS_MAPPED;
	assert_int_equal(kfd_svm_policy_eager(&attr, true), 0x3);
	assert_int_equal(kfd_svm_policy_resident(&attr, true), 0x3);
}

static void access_is_tested_before_anything_else(void **state)
{
	struct kfd_svm_attr attr = {
		.access = BIT_ULL(0), .in_place = BIT_ULL(63),
		.flags = KFD_SVM_FLAG_GPU_RO,
	};

	assert_int_equal(kfd_svm_policy_fault(&attr, 1, true),
			 KFD_SVM_FAULT_NO_ACCESS);
	assert_int_equal(kfd_svm_policy_fault(&attr, 0, true),
			 KFD_SVM_FAULT_READ_ONLY);
	assert_int_equal(kfd_svm_policy_fault(&attr, 63, false),
			 KFD_SVM_FAULT_REPLAY);
}

static void window_is_aligned_and_bounded(void **state)
{
	unsigned long first, last;

	kfd_svm_policy_window(1000, 0, &first, &last);
	assert_int_equal(first, 1000);
	assert_int_equal(last, 1000);
	kfd_svm_policy_window(1000, 9, &first, &last);
	assert_int_equal(first, 512);
	assert_int_equal(last, 1023);
	kfd_svm_policy_window(1 << 20, KFD_SVM_MAX_GRANULARITY, &first, &last);
	assert_int_equal(last - first + 1, 1 << KFD_SVM_MAX_WINDOW_LG2);
	assert_true(first <= 1 << 20 && last >= 1 << 20);
}

#define NPAGES	KFD_SVM_BLOCK_PAGES

/* Does the area of @size pages around @page grow? By the rule, page by page. */
static bool area_is_dense(const unsigned long *either, unsigned int page,
			  unsigned int size)
{
	unsigned int first = page / size * size, i, count = 0;

	for (i = first; i < first + size; i++)
		count += test_bit(i, either);
	return count >= 2 && 2 * count >= size;
}

static void oracle_write_around(const unsigned long *written,
				const unsigned long *wanted, unsigned long *out)
{
	DECLARE_BITMAP(either, NPAGES);
	unsigned int page, size, i;

	bitmap_zero(out, NPAGES);
	for (i = 0; i < ARRAY_SIZE(either); i++)
		either[i] = written[i] | wanted[i];
	for (page = 0; page < NPAGES; page++) {
		if (!test_bit(page, wanted))
			continue;
		for (size = NPAGES; size > 1; size /= 2)
			if (area_is_dense(either, page, size))
				break;
		bitmap_set(out, page / size * size, size);
	}
}

static void write_around_matches_the_rule_on_random_sets(void **state)
{
	unsigned int seed, step;

	for (seed = 1; seed <= 300; seed++) {
		DECLARE_BITMAP(written, NPAGES) = {};
		DECLARE_BITMAP(wanted, NPAGES) = {};
		DECLARE_BITMAP(want, NPAGES);
		unsigned int s = seed, n = unit_random(&s, 300);

		while (n--)
			__set_bit(unit_random(&s, NPAGES), written);
		for (step = 0; step <= unit_random(&s, 10); step++)
			__set_bit(unit_random(&s, NPAGES), wanted);
		oracle_write_around(written, wanted, want);
		kfd_svm_policy_write_around(written, wanted);
		assert_memory_equal(wanted, want, sizeof(want));
	}
}

static void first_write_asks_for_its_page_only(void **state)
{
	unsigned int page;

	for (page = 0; page < NPAGES; page++) {
		DECLARE_BITMAP(written, NPAGES) = {};
		DECLARE_BITMAP(wanted, NPAGES) = {};

		__set_bit(page, wanted);
		kfd_svm_policy_write_around(written, wanted);
		assert_int_equal(bitmap_weight(wanted, NPAGES), 1);
		assert_true(test_bit(page, wanted));
	}
}

/* Faults of who writes every @step'th page of a block of shared memory. */
static unsigned int faults_of_writer(unsigned int step, bool backwards)
{
	DECLARE_BITMAP(written, NPAGES) = {};
	unsigned int i, k, faults = 0;

	for (i = 0; i < NPAGES; i += step) {
		unsigned int page = backwards ? NPAGES - 1 - i : i;
		DECLARE_BITMAP(wanted, NPAGES) = {};

		if (test_bit(page, written))
			continue;
		faults++;
		__set_bit(page, wanted);
		kfd_svm_policy_write_around(written, wanted);
		assert_true(test_bit(page, wanted));
		for (k = 0; k < ARRAY_SIZE(written); k++)
			written[k] |= wanted[k];
	}
	return faults;
}

static void who_writes_an_array_has_a_fault_for_each_doubling(void **state)
{
	assert_int_equal(faults_of_writer(1, false), 9);
	assert_int_equal(faults_of_writer(1, true), 9);
	assert_int_equal(faults_of_writer(2, false), 9);
	/* Sparse writers pay for what they touch. */
	assert_int_equal(faults_of_writer(64, false), NPAGES / 64);
}

static void write_comes_along_where_it_costs_no_copy(void **state)
{
	const unsigned int valid = HMM_MIRROR_EXT_VALID;
	const unsigned int zero = valid | HMM_MIRROR_EXT_ZERO;
	int anonymous;

	for (anonymous = 0; anonymous < 2; anonymous++) {
		assert_true(kfd_svm_policy_write_along(valid | HMM_MIRROR_EXT_WRITE,
						       anonymous));
		assert_false(kfd_svm_policy_write_along(valid, anonymous));
		assert_false(kfd_svm_policy_write_along(valid | HMM_MIRROR_EXT_HUGE,
							anonymous));
		assert_false(kfd_svm_policy_write_along(HMM_MIRROR_EXT_ERROR,
							anonymous));
		/* Holes, and what stands for them. */
		assert_int_equal(kfd_svm_policy_write_along(0, anonymous), anonymous);
		assert_int_equal(kfd_svm_policy_write_along(zero, anonymous),
				 anonymous);
	}
}

static void back_off_doubles_up_to_a_second(void **state)
{
	unsigned int i, ms, before = 0;

	assert_int_equal(kfd_svm_policy_backoff_ms(0), 1);
	for (i = 0; i < 100; i++) {
		ms = kfd_svm_policy_backoff_ms(i);
		assert_true(ms == before * 2 || ms == 1000 || i == 0);
		before = ms;
	}
	assert_int_equal(before, 1000);
	assert_int_equal(kfd_svm_policy_backoff_ms(UINT_MAX), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_type_follows_the_table),
		cmocka_unit_test(writing_needs_the_cpus_entry_and_no_gpu_ro),
		cmocka_unit_test(only_gpu_exec_allows_execution),
		cmocka_unit_test(eager_and_resident_depend_on_xnack_and_always_mapped),
		cmocka_unit_test(access_is_tested_before_anything_else),
		cmocka_unit_test(window_is_aligned_and_bounded),
		cmocka_unit_test(write_around_matches_the_rule_on_random_sets),
		cmocka_unit_test(first_write_asks_for_its_page_only),
		cmocka_unit_test(who_writes_an_array_has_a_fault_for_each_doubling),
		cmocka_unit_test(write_comes_along_where_it_costs_no_copy),
		cmocka_unit_test(back_off_doubles_up_to_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
