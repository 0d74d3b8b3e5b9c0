// SPDX-License-Identifier: GPL-2.0-only
/* SVM ranges and memory objects may not share addresses (row 12). */
#include <sys/mman.h>

#include "conf.h"

#define GTT KFD_IOC_ALLOC_MEM_FLAGS_GTT
#define USERPTR KFD_IOC_ALLOC_MEM_FLAGS_USERPTR
#define VRAM KFD_IOC_ALLOC_MEM_FLAGS_VRAM

static int set(const void *p, size_t len)
{
	return kt_svm_set1(gpu.kfd, p, len, KFD_SVM_ATTR_GRANULARITY, 9);
}

static int get(const void *p, size_t len)
{
	return kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, len, 0, NULL);
}

/* A GTT object at GPU address @va; the CPU has other memory there. */
static uint64_t gtt_at(const void *va, size_t len)
{
	uint64_t offset = 0, handle;

	expect_ok(kt_bo_ioctl(&gpu, (uintptr_t)va, len, GTT, &offset, &handle));
	return handle;
}

static void row12_range_over_mapped_object(int (*op)(const void *, size_t))
{
	uint64_t handle;
	char *p;

	gpu_open();
	p = map_pages(8 * KT_PAGE);
	handle = gtt_at(p + 2 * KT_PAGE, 4 * KT_PAGE);
	/* Only its mapping takes addresses on the GPU. */
	expect_ok(op(p, KT_PAGE));
	expect_ok(kt_bo_map(&gpu, handle));
	expect_ret(op(p, 8 * KT_PAGE), -EADDRINUSE);
	expect_ret(op(p + 2 * KT_PAGE, KT_PAGE), -EADDRINUSE);
	expect_ret(op(p + 5 * KT_PAGE, KT_PAGE), -EADDRINUSE);
	expect_ok(op(p, 2 * KT_PAGE));
	expect_ok(op(p + 6 * KT_PAGE, 2 * KT_PAGE));
	expect_ok(kt_bo_unmap(&gpu, handle));
	expect_ok(kt_bo_free_handle(&gpu, handle));
	expect_ok(op(p, 8 * KT_PAGE));
}

static void set_attr_row12_range_over_mapped_object_is_EADDRINUSE(void **state)
{
	(void)state;
	row12_range_over_mapped_object(set);
}

static void get_attr_row12_range_over_mapped_object_is_EADDRINUSE(void **state)
{
	(void)state;
	row12_range_over_mapped_object(get);
}

static void set_attr_row12_range_over_userptr_is_EADDRINUSE(void **state)
{
	uint64_t cpu, handle;
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	cpu = (uintptr_t)p;
	expect_ok(kt_bo_ioctl(&gpu, cpu, 4 * KT_PAGE, USERPTR, &cpu, &handle));
	expect_ok(kt_bo_map(&gpu, handle));
	expect_ret(set(p + KT_PAGE, KT_PAGE), -EADDRINUSE);
	expect_ok(kt_bo_unmap(&gpu, handle));
	expect_ok(kt_bo_free_handle(&gpu, handle));
	expect_ok(set(p + KT_PAGE, KT_PAGE));
}

static void alloc_over_registered_range_is_EADDRINUSE(void **state)
{
	uint64_t offset = 0, handle;
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(8 * KT_PAGE);
	expect_ok(set(p + 2 * KT_PAGE, 2 * KT_PAGE));
	expect_ret(kt_bo_ioctl(&gpu, (uintptr_t)p, 8 * KT_PAGE, GTT, &offset, &handle),
		   -EADDRINUSE);
	expect_ret(kt_bo_ioctl(&gpu, (uintptr_t)p + 3 * KT_PAGE, KT_PAGE, VRAM, &offset,
			       &handle), -EADDRINUSE);
	/* USERPTR also by the CPU's address, whatever the GPU's is. */
	offset = (uintptr_t)p;
	expect_ret(kt_bo_ioctl(&gpu, (uintptr_t)map_pages(8 * KT_PAGE), 8 * KT_PAGE,
			       USERPTR, &offset, &handle), -EADDRINUSE);
	/* Beside it there is room. */
	offset = 0;
	expect_ok(kt_bo_ioctl(&gpu, (uintptr_t)p + 4 * KT_PAGE, KT_PAGE, GTT, &offset,
			      &handle));
}

static void alloc_where_a_range_was_unmapped_works(void **state)
{
	uint64_t offset = 0, handle;
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(4 * KT_PAGE);
	expect_ok(set(p, 4 * KT_PAGE));
	assert_int_equal(munmap(p, 4 * KT_PAGE), 0);
	expect_ok(kt_bo_ioctl(&gpu, (uintptr_t)p, 4 * KT_PAGE, GTT, &offset, &handle));
	expect_ok(kt_bo_map(&gpu, handle));
}

/*
 * XNACK on: a fault beside an object maps memory in windows of 2 MiB, which
 * must stop at the object: its own mapping shows other memory.
 */
static void fault_window_stops_at_a_memory_object(void **state)
{
	struct kt_bo bo;
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_huge(KT_HUGE);
	madvise(p, KT_HUGE, MADV_NOHUGEPAGE);
	fill_words(p, 64 * KT_PAGE, 1);
	/* The object takes GPU addresses in the middle of memory of the CPU. */
	bo.handle = gtt_at(p + 16 * KT_PAGE, 4 * KT_PAGE);
	expect_ok(kt_bo_map(&gpu, bo.handle));
	gpu_fill(p + 16 * KT_PAGE, 0x11111111, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	/* The CPU's memory at the object's address is untouched, the object kept. */
	expect_words(p, 64 * KT_PAGE, 1);
	assert_int_equal(gpu_read32(p + 17 * KT_PAGE), 0x11111111);
	assert_int_equal(gpu_read32(p + 20 * KT_PAGE),
			 *(uint32_t *)(p + 20 * KT_PAGE));
}

static const struct conf_case cases[] = {
	CASE(set_attr_row12_range_over_mapped_object_is_EADDRINUSE, CONF_BOTH),
	CASE(get_attr_row12_range_over_mapped_object_is_EADDRINUSE, CONF_BOTH),
	CASE(set_attr_row12_range_over_userptr_is_EADDRINUSE, CONF_BOTH),
	CASE(alloc_over_registered_range_is_EADDRINUSE, CONF_BOTH),
	CASE(alloc_where_a_range_was_unmapped_works, CONF_BOTH),
	CASE(fault_window_stops_at_a_memory_object, CONF_ON),
};

CONF_GROUP(overlap_group, cases);
