// SPDX-License-Identifier: GPL-2.0-only
/* Accesses that no one granted: a memory exception with the address, no data. */
#include <sys/mman.h>

#include "conf.h"

static void read_of_unmapped_memory_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	munmap(p, 4 * KT_PAGE);
	gpu_read_is_exception(p + 2 * KT_PAGE + 128, EXC_NOT_PRESENT);
}

static void write_of_unmapped_memory_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	munmap(p, KT_PAGE);
	gpu_write_is_exception(p, EXC_NOT_PRESENT);
}

static void read_after_munmap_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	hold_pages(p, 4);
	munmap(p, 4 * KT_PAGE);
	gpu_read_is_exception(p + KT_PAGE, EXC_NOT_PRESENT);
}

static void access_to_prot_none_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	assert_int_equal(mprotect(p, 4 * KT_PAGE, PROT_NONE), 0);
	gpu_read_is_exception(p + 3 * KT_PAGE, EXC_ANY);
}

static void access_to_never_readable_memory_is_exception(void **state)
{
	void *p;

	(void)state;
	gpu_open_queue();
	p = mmap(NULL, KT_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	gpu_read_is_exception(p, EXC_ANY);
}

static void access_to_page_zero_is_exception(void **state)
{
	(void)state;
	gpu_open_queue();
	gpu_read_is_exception((void *)8, EXC_ANY);
}

static void access_to_kernel_addresses_is_exception(void **state)
{
	(void)state;
	gpu_open_queue();
	gpu_read_is_exception((void *)0xffff888000001000ULL, EXC_ANY);
}

static void write_to_kernel_addresses_is_exception(void **state)
{
	(void)state;
	gpu_open_queue();
	gpu_write_is_exception((void *)0xffffffff81000000ULL, EXC_ANY);
}

static void write_to_read_only_mapping_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	assert_int_equal(mprotect(p, KT_PAGE, PROT_READ), 0);
	grant(p, KT_PAGE);
	gpu_expect_words(p, KT_PAGE, 1);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, KT_PAGE, 1);
}

static void write_after_mprotect_read_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	gpu_write_words(p, KT_PAGE, 1);
	assert_int_equal(mprotect(p, KT_PAGE, PROT_READ), 0);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, KT_PAGE, 1);
}

static void write_to_gpu_ro_range_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(2 * KT_PAGE);
	grant(p, 2 * KT_PAGE);
	gpu_write_words(p, 2 * KT_PAGE, 1);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS,
			      KFD_SVM_FLAG_GPU_RO));
	/* The neighbour stays writable, the range stays readable. */
	gpu_write32(p + KT_PAGE, *(uint32_t *)(p + KT_PAGE));
	gpu_expect_words(p, 2 * KT_PAGE, 1);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, 2 * KT_PAGE, 1);
}

static void gpu_ro_can_be_taken_back(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS,
			      KFD_SVM_FLAG_GPU_RO));
	assert_int_equal(gpu_read32(p), 0);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_CLR_FLAGS,
			      KFD_SVM_FLAG_GPU_RO));
	gpu_write32(p, 5);
	assert_int_equal(*(uint32_t *)p, 5);
}

/* Revoking is more than not granting: upstream leaves the mapping in place. */
static void no_access_revokes_what_was_mapped(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(2 * KT_PAGE);
	fill_words(p, 2 * KT_PAGE, 1);
	grant(p, 2 * KT_PAGE);
	gpu_expect_words(p, 2 * KT_PAGE, 1);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id));
	/* Only there. */
	assert_int_equal(gpu_read32(p + KT_PAGE), *(uint32_t *)(p + KT_PAGE));
	gpu_read_is_exception(p, EXC_ANY);
}

static void no_access_holds_whatever_is_preferred(void **state)
{
	struct kfd_svm_attribute a[] = {
		{ KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM },
		{ KFD_SVM_ATTR_NO_ACCESS, 0 },
	};
	char *p;

	(void)state;
	gpu_open_queue();
	a[1].value = gpu.gpu_id;
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	/* Upstream returns "system memory" before it looks at the access. */
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)p, KT_PAGE, 2, a));
	gpu_read_is_exception(p, EXC_ANY);
}

static void access_after_no_access_works_again(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	grant(p, KT_PAGE);
	gpu_expect_words(p, KT_PAGE, 1);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id));
	fill_words(p, KT_PAGE, 2);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE,
			      gpu.gpu_id));
	gpu_expect_words(p, KT_PAGE, 2);
}

static void unregistered_memory_is_exception_without_xnack(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	gpu_read_is_exception(p, EXC_NOT_PRESENT);
}

static void memory_object_after_unmap_is_exception(void **state)
{
	struct kt_bo bo;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_bo_gtt(&gpu, KT_PAGE, &bo));
	gpu_write32(bo.cpu, 1);
	expect_ok(kt_bo_unmap(&gpu, bo.handle));
	gpu_read_is_exception(bo.cpu, EXC_ANY);
}

static void exception_stops_all_queues_of_the_process(void **state)
{
	struct kt_queue other;
	uint32_t dw[KT_SDMA_MAX_DW];
	volatile uint32_t *p;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_queue_create(&gpu, 4096, &other));
	gpu_read_is_exception((void *)0x1000, EXC_ANY);
	p = bounce.cpu;
	p[100] = 1;
	expect_ok(kt_queue_emit(&other, dw,
				kt_sdma_write1(dw, (uintptr_t)&p[100], 2)));
	kt_queue_ring(&other);
	/* Nothing may happen; an engine that runs it needs far less time. */
	assert_false(kt_wait_for(p[100] != 1, 100));
}

static void exception_in_the_middle_of_a_copy_names_the_page(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(16 * KT_PAGE);
	fill_words(p, 16 * KT_PAGE, 1);
	grant(p, 8 * KT_PAGE);
	munmap(p + 8 * KT_PAGE, 8 * KT_PAGE);
	/* Starts in good memory, unaligned, and runs into the hole. */
	gpu_copy_async(bounce.cpu, p + 100, 12 * KT_PAGE);
	gpu_expect_exception(p + 8 * KT_PAGE, EXC_ANY);
}

static const struct conf_case cases[] = {
	CASE(read_of_unmapped_memory_is_exception, CONF_BOTH),
	CASE(write_of_unmapped_memory_is_exception, CONF_BOTH),
	CASE(read_after_munmap_is_exception, CONF_BOTH),
	CASE(access_to_prot_none_is_exception, CONF_BOTH),
	CASE(access_to_never_readable_memory_is_exception, CONF_BOTH),
	CASE(access_to_page_zero_is_exception, CONF_BOTH),
	CASE(access_to_kernel_addresses_is_exception, CONF_BOTH),
	CASE(write_to_kernel_addresses_is_exception, CONF_BOTH),
	CASE(write_to_read_only_mapping_is_exception, CONF_BOTH),
	CASE(write_after_mprotect_read_is_exception, CONF_BOTH),
	CASE(write_to_gpu_ro_range_is_exception, CONF_BOTH),
	CASE(gpu_ro_can_be_taken_back, CONF_BOTH),
	CASE(no_access_revokes_what_was_mapped, CONF_BOTH),
	CASE(no_access_holds_whatever_is_preferred, CONF_BOTH),
	CASE(access_after_no_access_works_again, CONF_BOTH),
	CASE(unregistered_memory_is_exception_without_xnack, CONF_OFF),
	CASE(memory_object_after_unmap_is_exception, CONF_BOTH),
	CASE(exception_stops_all_queues_of_the_process, CONF_BOTH),
	CASE(exception_in_the_middle_of_a_copy_names_the_page, CONF_BOTH),
};

CONF_GROUP(exception_group, cases);
