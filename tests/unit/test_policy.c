// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policy: PTE flags by graphics core, who maps when, fault windows, back-off.
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
};

static const struct pte_case pte_cases[] = {
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true },
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_UC, true },
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true },
	{ KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_NC, false },
	{ KFD_SVM_GC(9, 4, 0), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_UC, false },
	{ KFD_SVM_GC(9, 4, 1), KFD_SVM_PLACE_LOCAL, 0, KFD_SVM_MTYPE_RW, false },
	{ KFD_SVM_GC(9, 4, 1), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_CC, false },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_REMOTE, COH, KFD_SVM_MTYPE_UC, false },
	{ KFD_SVM_GC(9, 4, 2), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_NC, true },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_RW, true },
	{ KFD_SVM_GC(9, 4, 3), KFD_SVM_PLACE_LOCAL, EXT, KFD_SVM_MTYPE_CC, true },
	{ KFD_SVM_GC(9, 4, 4), KFD_SVM_PLACE_SYSTEM, 0, KFD_SVM_MTYPE_UC, true },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true },
	{ KFD_SVM_GC(9, 5, 0), KFD_SVM_PLACE_SYSTEM, EXT, KFD_SVM_MTYPE_UC, true },
	{ KFD_SVM_GC(10, 3, 0), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_UC, true },
	{ KFD_SVM_GC(11, 5, 1), KFD_SVM_PLACE_REMOTE, 0, KFD_SVM_MTYPE_NC, false },
	{ KFD_SVM_GC(12, 0, 1), KFD_SVM_PLACE_SYSTEM, COH, KFD_SVM_MTYPE_NC, true },
	{ KFD_SVM_GC(12, 0, 1), KFD_SVM_PLACE_LOCAL, COH, KFD_SVM_MTYPE_NC, false },
};

static void memory_type_follows_the_table(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pte_cases); i++) {
		const struct pte_case *c = &pte_cases[i];
		u32 pte = kfd_svm_policy_pte(c->gc, c->place, c->flags, true);

		assert_int_equal(FIELD_GET(KFD_SVM_PTE_MTYPE, pte), c->mtype);
		assert_int_equal(!!(pte & KFD_SVM_PTE_SNOOPED), c->snooped);
		assert_int_equal(!!(pte & KFD_SVM_PTE_SYSTEM),
				 c->place == KFD_SVM_PLACE_SYSTEM);
		assert_true(pte & KFD_SVM_PTE_READ);
	}
}

static bool can_write(u32 flags, bool cpu_writable)
{
	return kfd_svm_policy_pte(KFD_SVM_GC(9, 0, 1), KFD_SVM_PLACE_SYSTEM,
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

	assert_false(kfd_svm_policy_pte(gc, KFD_SVM_PLACE_SYSTEM, 0, true) &
		     KFD_SVM_PTE_EXEC);
	assert_true(kfd_svm_policy_pte(gc, KFD_SVM_PLACE_SYSTEM,
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
		cmocka_unit_test(back_off_doubles_up_to_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
