// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors of the SVM call, row by row of the table in kfd-svm-semantics.md 1.5
 * (also the DOC block of <linux/kfd_svm.h>). A case's name carries its row;
 * tools/check-rows compares the names with the table.
 *
 * Where two rows apply at once, the earlier one must win: the order is ABI.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

#define SET KFD_SVM_OP_SET_ATTR
#define GET KFD_SVM_OP_GET_ATTR
#define BAD_TYPE 8	/* first type the ABI does not have */

static int svm(uint32_t op, uint64_t start, uint64_t size, uint32_t type,
	       uint32_t value)
{
	struct kfd_svm_attribute a = { .type = type, .value = value };

	return kt_svm(gpu.kfd, op, start, size, 1, &a);
}

/* An attribute that is legal in both directions. */
static int svm_plain(uint32_t op, uint64_t start, uint64_t size)
{
	return svm(op, start, size, KFD_SVM_ATTR_GRANULARITY, 9);
}

static uint64_t mapped_page(void)
{
	return (uintptr_t)map_pages(KT_PAGE);
}

static uint64_t unmapped_page(void)
{
	void *p = map_pages(KT_PAGE);

	munmap(p, KT_PAGE);
	return (uintptr_t)p;
}

/* ---- row 1: the command's length ---- */

static int raw_nattr(uint32_t op, size_t cmd_len, uint32_t nattr)
{
	struct kfd_svm_args *args = calloc(1, 16384);
	int ret;

	args->start_addr = mapped_page();
	args->size = KT_PAGE;
	args->op = op;
	args->nattr = nattr;
	for (unsigned int i = 0; i < 2000; i++)
		args->attrs[i].type = KFD_SVM_ATTR_GRANULARITY;
	ret = kt_svm_raw(gpu.kfd, cmd_len, args);
	free(args);
	return ret;
}

static void row01_short_command(uint32_t op)
{
	gpu_open();
	expect_ret(raw_nattr(op, 24 + 7, 1), -EINVAL);
	expect_ret(raw_nattr(op, 24, 1), -EINVAL);
	expect_ret(raw_nattr(op, 24 + 8, 2), -EINVAL);
	expect_ret(raw_nattr(op, 24, 0xffffffff), -EINVAL);
	/* 24 + 8 * nattr is 24 again in 32 bits, for each of these. */
	expect_ret(raw_nattr(op, 24, 0x20000000), -EINVAL);
	expect_ret(raw_nattr(op, 24 + 8, 0x20000001), -EINVAL);
	expect_ret(raw_nattr(op, 16383, 0x80000000), -EINVAL);
	/* The longest that is legal, and a command longer than needed. */
	expect_ret(raw_nattr(op, 24 + 8 * 1000, 1000), 0);
	expect_ret(raw_nattr(op, 24 + 8 * 5, 1), 0);
}

static void set_attr_row01_short_command_is_EINVAL(void **state)
{
	(void)state;
	row01_short_command(SET);
}

static void get_attr_row01_short_command_is_EINVAL(void **state)
{
	(void)state;
	row01_short_command(GET);
}

/* ---- rows 2 to 4 ---- */

static void row02_unaligned(uint32_t op)
{
	uint64_t page;

	gpu_open();
	page = mapped_page();
	expect_ret(svm_plain(op, page + 1, KT_PAGE), -EINVAL);
	expect_ret(svm_plain(op, page + 0x800, KT_PAGE), -EINVAL);
	expect_ret(svm_plain(op, page, 1), -EINVAL);
	expect_ret(svm_plain(op, page, KT_PAGE - 1), -EINVAL);
	/* Row 10 (EFAULT) would apply as well. */
	expect_ret(svm_plain(op, unmapped_page() + 8, KT_PAGE), -EINVAL);
}

static void set_attr_row02_unaligned_start_or_size_is_EINVAL(void **state)
{
	(void)state;
	row02_unaligned(SET);
}

static void get_attr_row02_unaligned_start_or_size_is_EINVAL(void **state)
{
	(void)state;
	row02_unaligned(GET);
}

static void row03_zero(uint32_t op)
{
	gpu_open();
	expect_ret(svm_plain(op, 0, KT_PAGE), -EINVAL);
	expect_ret(svm_plain(op, mapped_page(), 0), -EINVAL);
	expect_ret(svm_plain(op, 0, 0), -EINVAL);
}

static void set_attr_row03_zero_start_or_size_is_EINVAL(void **state)
{
	(void)state;
	row03_zero(SET);
}

static void get_attr_row03_zero_start_or_size_is_EINVAL(void **state)
{
	(void)state;
	row03_zero(GET);
}

static void svm_row04_unknown_op_is_EINVAL(void **state)
{
	(void)state;
	gpu_open();
	expect_ret(svm_plain(2, mapped_page(), KT_PAGE), -EINVAL);
	expect_ret(svm_plain(0xffffffff, mapped_page(), KT_PAGE), -EINVAL);
	expect_ret(svm_plain(2, unmapped_page(), KT_PAGE), -EINVAL);
}

/* ---- rows 5 to 8, only SET ---- */

static void set_attr_row05_unknown_type_is_EINVAL(void **state)
{
	(void)state;
	gpu_open();
	expect_ret(svm(SET, mapped_page(), KT_PAGE, BAD_TYPE, 0), -EINVAL);
	expect_ret(svm(SET, mapped_page(), KT_PAGE, 0xffffffff, 0), -EINVAL);
	/* Before row 10. */
	expect_ret(svm(SET, unmapped_page(), KT_PAGE, BAD_TYPE, 0), -EINVAL);
}

static void set_attr_row05_bad_entry_applies_none_of_the_call(void **state)
{
	struct kfd_svm_attribute a[] = {
		{ KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_EXEC },
		{ BAD_TYPE, 0 },
	};
	struct kfd_svm_attribute g = { KFD_SVM_ATTR_SET_FLAGS, 0 };
	uint64_t page;

	(void)state;
	gpu_open();
	page = mapped_page();
	expect_ret(kt_svm(gpu.kfd, SET, page, KT_PAGE, 2, a), -EINVAL);
	expect_ok(kt_svm(gpu.kfd, GET, page, KT_PAGE, 1, &g));
	assert_int_equal(g.value, KFD_SVM_DEFAULT_FLAGS);
}

static void set_attr_row06_unknown_gpu_is_EINVAL(void **state)
{
	static const uint32_t types[] = {
		KFD_SVM_ATTR_ACCESS, KFD_SVM_ATTR_ACCESS_IN_PLACE,
		KFD_SVM_ATTR_NO_ACCESS,
	};
	uint64_t page;

	(void)state;
	gpu_open();
	page = mapped_page();
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(types); i++) {
		expect_ret(svm(SET, page, KT_PAGE, types[i], gpu.gpu_id ^ 1), -EINVAL);
		expect_ret(svm(SET, page, KT_PAGE, types[i], 0), -EINVAL);
		expect_ret(svm(SET, page, KT_PAGE, types[i], 0xffffffff), -EINVAL);
		expect_ret(svm(SET, unmapped_page(), KT_PAGE, types[i], 0), -EINVAL);
		expect_ok(svm(SET, page, KT_PAGE, types[i], gpu.gpu_id));
	}
	expect_ret(svm(SET, page, KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC,
		       gpu.gpu_id ^ 1), -EINVAL);
	expect_ret(svm(SET, page, KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC,
		       gpu.gpu_id ^ 1), -EINVAL);
}

static void set_attr_row06_prefetch_to_undefined_is_EINVAL(void **state)
{
	(void)state;
	gpu_open();
	expect_ret(svm(SET, mapped_page(), KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC,
		       KFD_SVM_LOC_UNDEFINED), -EINVAL);
	/* As a preference it is legal: it takes one back. */
	expect_ok(svm(SET, mapped_page(), KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC,
		      KFD_SVM_LOC_UNDEFINED));
	expect_ok(svm(SET, mapped_page(), KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC,
		      KFD_SVM_LOC_SYSMEM));
}

static void set_attr_row08_no_vm_acquired_is_EINVAL(void **state)
{
	(void)state;
	expect_ok(kt_open_kfd(&gpu, conf_run.node));
	expect_ret(svm_plain(SET, mapped_page(), KT_PAGE), -EINVAL);
	/* Before row 10. */
	expect_ret(svm_plain(SET, unmapped_page(), KT_PAGE), -EINVAL);
	expect_ok(kt_open_render(&gpu));
	expect_ok(kt_acquire_vm(&gpu));
	expect_ok(svm_plain(SET, mapped_page(), KT_PAGE));
}

/* ---- rows 9 to 11: the range ---- */

static void row09_overflow(uint32_t op)
{
	gpu_open();
	expect_ret(svm_plain(op, mapped_page(), -KT_PAGE), -EOVERFLOW);
	expect_ret(svm_plain(op, -(uint64_t)KT_PAGE, 2 * KT_PAGE), -EOVERFLOW);
}

static void set_attr_row09_wrapping_range_is_EOVERFLOW(void **state)
{
	(void)state;
	row09_overflow(SET);
	/* After row 5. */
	expect_ret(svm(SET, mapped_page(), -KT_PAGE, BAD_TYPE, 0), -EINVAL);
}

static void get_attr_row09_wrapping_range_is_EOVERFLOW(void **state)
{
	(void)state;
	row09_overflow(GET);
	/* Before row 18. */
	expect_ret(svm(GET, mapped_page(), -KT_PAGE, BAD_TYPE, 0), -EOVERFLOW);
}

static void row10_hole(uint32_t op)
{
	char *p;

	gpu_open();
	expect_ret(svm_plain(op, unmapped_page(), KT_PAGE), -EFAULT);
	/* First, middle and last page missing. */
	for (unsigned int hole = 0; hole < 3; hole++) {
		p = map_pages(3 * KT_PAGE);
		munmap(p + hole * KT_PAGE, KT_PAGE);
		expect_ret(svm_plain(op, (uintptr_t)p, 3 * KT_PAGE), -EFAULT);
	}
	/* The kernel's half has no VMA either. */
	expect_ret(svm_plain(op, 0xffff800000000000ULL, KT_PAGE), -EFAULT);
}

static void set_attr_row10_hole_in_range_is_EFAULT(void **state)
{
	(void)state;
	row10_hole(SET);
}

static void get_attr_row10_hole_in_range_is_EFAULT(void **state)
{
	(void)state;
	row10_hole(GET);
	/* Before row 18. */
	expect_ret(svm(GET, unmapped_page(), KT_PAGE, BAD_TYPE, 0), -EFAULT);
}

/* [vvar] is device memory of the kind VM_IO | VM_PFNMAP in every process. */
static uint64_t vvar_page(void)
{
	unsigned long start = 0;
	char line[256];
	FILE *f = fopen("/proc/self/maps", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "[vvar]")) {
			start = strtoul(line, NULL, 16);
			break;
		}
	}
	fclose(f);
	return start;
}

static void row11_device_memory(uint32_t op)
{
	uint64_t vvar;

	gpu_open_queue();
	vvar = vvar_page();
	if (vvar)
		expect_ret(svm_plain(op, vvar, KT_PAGE), -EFAULT);
	/* The doorbells are device memory wherever there is a GPU. */
	expect_ret(svm_plain(op, (uintptr_t)gpu.doorbells, KT_SLICE), -EFAULT);
}

static void set_attr_row11_device_memory_is_EFAULT(void **state)
{
	(void)state;
	row11_device_memory(SET);
}

static void get_attr_row11_device_memory_is_EFAULT(void **state)
{
	(void)state;
	row11_device_memory(GET);
}

/* ---- rows 16 to 19 ---- */

static void set_attr_row16_prefetch_to_gpu_failure_is_ignored(void **state)
{
	char *p;
	int fd;

	(void)state;
	gpu_open();
	/* Pages of a file cannot move to a GPU; the call succeeds all the same. */
	fd = temp_file(conf_run.dir, KT_PAGE);
	assert_true(fd >= 0);
	p = mmap(NULL, KT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	fill_words(p, KT_PAGE, 16);
	expect_ok(svm(SET, (uintptr_t)p, KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC,
		      gpu.gpu_id));
	expect_words(p, KT_PAGE, 16);
}

/*
 * A mapping beyond the end of its file: a VMA, but no memory the GPU could be
 * shown. Eager mapping fails; with XNACK on nothing is mapped until a fault.
 */
static void set_attr_row17_unreadable_memory_is_EFAULT(void **state)
{
	char *p;
	int fd;

	(void)state;
	gpu_open();
	fd = temp_file(conf_run.dir, KT_PAGE);
	assert_true(fd >= 0);
	p = mmap(NULL, 4 * KT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	/* Not a matter of SET as long as nothing is to be mapped. */
	expect_ok(svm_plain(SET, (uintptr_t)p, 4 * KT_PAGE));
	expect_ret(svm(SET, (uintptr_t)p, 4 * KT_PAGE, KFD_SVM_ATTR_ACCESS,
		       gpu.gpu_id), xnack_on() ? 0 : -EFAULT);
}

/* No read permission is no failure: that part is left unmapped, as upstream does. */
static void set_attr_row17_prot_none_is_left_unmapped(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(3 * KT_PAGE);
	fill_words(p, 3 * KT_PAGE, 1);
	assert_int_equal(mprotect(p + KT_PAGE, KT_PAGE, PROT_NONE), 0);
	expect_ok(svm(SET, (uintptr_t)p, 3 * KT_PAGE, KFD_SVM_ATTR_ACCESS, gpu.gpu_id));
	gpu_expect_words(p, KT_PAGE, 1);
	assert_int_equal(gpu_read32(p + 2 * KT_PAGE), *(uint32_t *)(p + 2 * KT_PAGE));
	gpu_read_is_exception(p + KT_PAGE, EXC_ANY);
}

static void get_attr_row18_set_only_types_are_EINVAL(void **state)
{
	uint64_t page;

	(void)state;
	gpu_open();
	page = mapped_page();
	expect_ret(svm(GET, page, KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id),
		   -EINVAL);
	expect_ret(svm(GET, page, KT_PAGE, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id),
		   -EINVAL);
	expect_ret(svm(GET, page, KT_PAGE, BAD_TYPE, 0), -EINVAL);
}

static void get_attr_row19_unknown_gpu_is_EINVAL(void **state)
{
	uint64_t page;

	(void)state;
	gpu_open();
	page = mapped_page();
	expect_ret(svm(GET, page, KT_PAGE, KFD_SVM_ATTR_ACCESS, gpu.gpu_id ^ 1),
		   -EINVAL);
	expect_ret(svm(GET, page, KT_PAGE, KFD_SVM_ATTR_ACCESS, 0), -EINVAL);
}

static void get_attr_row19_earlier_entries_are_filled_in(void **state)
{
	struct kfd_svm_attribute a[] = {
		{ KFD_SVM_ATTR_SET_FLAGS, 0x5a5a5a5a },
		{ KFD_SVM_ATTR_ACCESS, 0 },
	};

	(void)state;
	gpu_open();
	expect_ret(kt_svm(gpu.kfd, GET, mapped_page(), KT_PAGE, 2, a), -EINVAL);
	/* Copied back although the call failed. */
	assert_int_equal(a[0].value, KFD_SVM_DEFAULT_FLAGS);
}

static const struct conf_case cases[] = {
	CASE(set_attr_row01_short_command_is_EINVAL, CONF_ONCE),
	CASE(get_attr_row01_short_command_is_EINVAL, CONF_ONCE),
	CASE(set_attr_row02_unaligned_start_or_size_is_EINVAL, CONF_BOTH),
	CASE(get_attr_row02_unaligned_start_or_size_is_EINVAL, CONF_BOTH),
	CASE(set_attr_row03_zero_start_or_size_is_EINVAL, CONF_BOTH),
	CASE(get_attr_row03_zero_start_or_size_is_EINVAL, CONF_BOTH),
	CASE(svm_row04_unknown_op_is_EINVAL, CONF_BOTH),
	CASE(set_attr_row05_unknown_type_is_EINVAL, CONF_BOTH),
	CASE(set_attr_row05_bad_entry_applies_none_of_the_call, CONF_BOTH),
	CASE(set_attr_row06_unknown_gpu_is_EINVAL, CONF_BOTH),
	CASE(set_attr_row06_prefetch_to_undefined_is_EINVAL, CONF_BOTH),
	CASE(set_attr_row08_no_vm_acquired_is_EINVAL, CONF_ONCE),
	CASE(set_attr_row09_wrapping_range_is_EOVERFLOW, CONF_BOTH),
	CASE(get_attr_row09_wrapping_range_is_EOVERFLOW, CONF_BOTH),
	CASE(set_attr_row10_hole_in_range_is_EFAULT, CONF_BOTH),
	CASE(get_attr_row10_hole_in_range_is_EFAULT, CONF_BOTH),
	CASE(set_attr_row11_device_memory_is_EFAULT, CONF_BOTH),
	CASE(get_attr_row11_device_memory_is_EFAULT, CONF_BOTH),
	CASE(set_attr_row16_prefetch_to_gpu_failure_is_ignored, CONF_BOTH),
	CASE(set_attr_row17_unreadable_memory_is_EFAULT, CONF_BOTH),
	CASE(set_attr_row17_prot_none_is_left_unmapped, CONF_BOTH),
	CASE(get_attr_row18_set_only_types_are_EINVAL, CONF_BOTH),
	CASE(get_attr_row19_unknown_gpu_is_EINVAL, CONF_BOTH),
	CASE(get_attr_row19_earlier_entries_are_filled_in, CONF_BOTH),
};

CONF_GROUP(errno_group, cases);
