// SPDX-License-Identifier: GPL-2.0-only
/*
 * <linux/kfd_svm.h> is binary compatible with <linux/kfd_ioctl.h>: every number,
 * offset and size. Both headers in one file also shows that they do not clash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/kfd_ioctl.h>
#include "../../include/uapi/linux/kfd_svm.h"

#define SAME_SIZE(ours, theirs) \
	assert_int_equal(sizeof(struct ours), sizeof(struct theirs))
#define SAME_FIELD(ours, a, theirs, b) do {				\
	assert_int_equal(offsetof(struct ours, a), offsetof(struct theirs, b)); \
	assert_int_equal(sizeof(((struct ours *)0)->a),			\
			 sizeof(((struct theirs *)0)->b));		\
} while (0)

static void structs_have_the_layout_of_upstream(void **state)
{
	(void)state;
	SAME_SIZE(kfd_svm_args, kfd_ioctl_svm_args);
	SAME_FIELD(kfd_svm_args, start_addr, kfd_ioctl_svm_args, start_addr);
	SAME_FIELD(kfd_svm_args, size, kfd_ioctl_svm_args, size);
	SAME_FIELD(kfd_svm_args, op, kfd_ioctl_svm_args, op);
	SAME_FIELD(kfd_svm_args, nattr, kfd_ioctl_svm_args, nattr);
	assert_int_equal(offsetof(struct kfd_svm_args, attrs),
			 offsetof(struct kfd_ioctl_svm_args, attrs));
	SAME_SIZE(kfd_svm_attribute, kfd_ioctl_svm_attribute);
	SAME_FIELD(kfd_svm_attribute, type, kfd_ioctl_svm_attribute, type);
	SAME_FIELD(kfd_svm_attribute, value, kfd_ioctl_svm_attribute, value);
	SAME_SIZE(kfd_svm_xnack_args, kfd_ioctl_set_xnack_mode_args);
	SAME_FIELD(kfd_svm_xnack_args, xnack_enabled, kfd_ioctl_set_xnack_mode_args,
		   xnack_enabled);
}

/* The figures of the specification, in case both headers are wrong together. */
static void sizes_are_those_of_the_specification(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct kfd_svm_args), 24);
	assert_int_equal(sizeof(struct kfd_svm_attribute), 8);
	assert_int_equal(offsetof(struct kfd_svm_args, start_addr), 0);
	assert_int_equal(offsetof(struct kfd_svm_args, size), 8);
	assert_int_equal(offsetof(struct kfd_svm_args, op), 16);
	assert_int_equal(offsetof(struct kfd_svm_args, nattr), 20);
	assert_int_equal(sizeof(struct kfd_svm_xnack_args), 4);
}

static void commands_are_those_of_upstream(void **state)
{
	(void)state;
	assert_true(KFD_SVM_IOC_BASE == AMDKFD_IOC_SVM);
	assert_true(KFD_SVM_IOC_BASE == 0xC0184B20UL);
	assert_true(KFD_SVM_IOC_XNACK == AMDKFD_IOC_SET_XNACK_MODE);
	assert_true(KFD_SVM_IOC_XNACK == 0xC0044B21UL);
	/* The length of the attributes is added to the size field. */
	assert_true(KFD_SVM_IOC(0) == KFD_SVM_IOC_BASE);
	assert_true(KFD_SVM_IOC(3) == KFD_SVM_IOC_BASE + (24UL << _IOC_SIZESHIFT));
	assert_int_equal(_IOC_SIZE(KFD_SVM_IOC(KFD_SVM_MAX_NATTR)),
			 24 + 8 * KFD_SVM_MAX_NATTR);
	/* One more does not fit into 14 bits. */
	assert_true(24 + 8 * (KFD_SVM_MAX_NATTR + 1) > _IOC_SIZEMASK);
}

static void values_are_those_of_upstream(void **state)
{
	(void)state;
	assert_int_equal(KFD_SVM_OP_SET_ATTR, KFD_IOCTL_SVM_OP_SET_ATTR);
	assert_int_equal(KFD_SVM_OP_GET_ATTR, KFD_IOCTL_SVM_OP_GET_ATTR);
	assert_int_equal(KFD_SVM_LOC_SYSMEM, KFD_IOCTL_SVM_LOCATION_SYSMEM);
	assert_true(KFD_SVM_LOC_UNDEFINED == KFD_IOCTL_SVM_LOCATION_UNDEFINED);
	assert_int_equal(KFD_SVM_ATTR_PREFERRED_LOC, KFD_IOCTL_SVM_ATTR_PREFERRED_LOC);
	assert_int_equal(KFD_SVM_ATTR_PREFETCH_LOC, KFD_IOCTL_SVM_ATTR_PREFETCH_LOC);
	assert_int_equal(KFD_SVM_ATTR_ACCESS, KFD_IOCTL_SVM_ATTR_ACCESS);
	assert_int_equal(KFD_SVM_ATTR_ACCESS_IN_PLACE,
			 KFD_IOCTL_SVM_ATTR_ACCESS_IN_PLACE);
	assert_int_equal(KFD_SVM_ATTR_NO_ACCESS, KFD_IOCTL_SVM_ATTR_NO_ACCESS);
	assert_int_equal(KFD_SVM_ATTR_SET_FLAGS, KFD_IOCTL_SVM_ATTR_SET_FLAGS);
	assert_int_equal(KFD_SVM_ATTR_CLR_FLAGS, KFD_IOCTL_SVM_ATTR_CLR_FLAGS);
	assert_int_equal(KFD_SVM_ATTR_GRANULARITY, KFD_IOCTL_SVM_ATTR_GRANULARITY);
	assert_int_equal(KFD_SVM_FLAG_HOST_ACCESS, KFD_IOCTL_SVM_FLAG_HOST_ACCESS);
	assert_int_equal(KFD_SVM_FLAG_COHERENT, KFD_IOCTL_SVM_FLAG_COHERENT);
	assert_int_equal(KFD_SVM_FLAG_HIVE_LOCAL, KFD_IOCTL_SVM_FLAG_HIVE_LOCAL);
	assert_int_equal(KFD_SVM_FLAG_GPU_RO, KFD_IOCTL_SVM_FLAG_GPU_RO);
	assert_int_equal(KFD_SVM_FLAG_GPU_EXEC, KFD_IOCTL_SVM_FLAG_GPU_EXEC);
	assert_int_equal(KFD_SVM_FLAG_GPU_READ_MOSTLY,
			 KFD_IOCTL_SVM_FLAG_GPU_READ_MOSTLY);
	/* Younger than some distributions' headers. */
#if defined(KFD_IOCTL_MINOR_VERSION) && KFD_IOCTL_MINOR_VERSION >= 11
	assert_int_equal(KFD_SVM_FLAG_GPU_ALWAYS_MAPPED,
			 KFD_IOCTL_SVM_FLAG_GPU_ALWAYS_MAPPED);
#endif
#if defined(KFD_IOCTL_MINOR_VERSION) && KFD_IOCTL_MINOR_VERSION >= 15
	assert_int_equal(KFD_SVM_FLAG_EXT_COHERENT, KFD_IOCTL_SVM_FLAG_EXT_COHERENT);
#endif
	assert_int_equal(KFD_SVM_FLAG_GPU_ALWAYS_MAPPED, 0x40);
	assert_int_equal(KFD_SVM_FLAG_EXT_COHERENT, 0x80);
	assert_int_equal(KFD_SVM_DEFAULT_FLAGS, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structs_have_the_layout_of_upstream),
		cmocka_unit_test(sizes_are_those_of_the_specification),
		cmocka_unit_test(commands_are_those_of_upstream),
		cmocka_unit_test(values_are_those_of_upstream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
