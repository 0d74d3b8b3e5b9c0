// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system-memory cases of kfdtest's KFDSVMRangeTest, by what they expect
 * (kfd-svm-semantics.md 8.3), with SDMA in place of shaders and with checks
 * where the originals only look for no crash. Those that need VRAM: kfdtest_vram.c.
 */
#include <alloca.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"

static void kfdtest_SetGetAttributes(void **state)
{
	struct kfd_svm_attribute set[] = {
		{ KFD_SVM_ATTR_PREFETCH_LOC, gpu.gpu_id },
		{ KFD_SVM_ATTR_PREFERRED_LOC, gpu.gpu_id },
		{ KFD_SVM_ATTR_SET_FLAGS, 0x13 },
		{ KFD_SVM_ATTR_GRANULARITY, 0x3f },
		{ KFD_SVM_ATTR_ACCESS, gpu.gpu_id },
	};
	struct kfd_svm_attribute get[5];
	char *p;

	(void)state;
	gpu_open();
	set[0].value = set[1].value = set[4].value = gpu.gpu_id;
	p = map_pages(KT_PAGE);
	memcpy(get, set, sizeof(set));
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 5, get));
	assert_int_equal(get[0].value, KFD_SVM_LOC_UNDEFINED);
	assert_int_equal(get[1].value, KFD_SVM_LOC_UNDEFINED);
	assert_int_equal(get[2].value, 3);
	assert_int_equal(get[3].value, 9);
	assert_int_equal(get[4].type, xnack_on() ? KFD_SVM_ATTR_ACCESS :
			 KFD_SVM_ATTR_NO_ACCESS);
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)p, KT_PAGE, 5, set));
	memcpy(get, set, sizeof(set));
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 5, get));
	assert_int_equal(get[0].value, gpu.gpu_id);
	assert_int_equal(get[1].value, gpu.gpu_id);
	assert_int_equal(get[2].value & 0x13, 0x13);
	assert_int_equal(get[3].value, 0x3f);
	assert_int_equal(get[4].type, KFD_SVM_ATTR_ACCESS);
}

static void kfdtest_InvalidRange(void **state)
{
	(void)state;
	gpu_open();
	expect_ret(kt_svm_set1(gpu.kfd, (void *)0x10000, KT_PAGE, KFD_SVM_ATTR_ACCESS,
			       gpu.gpu_id), -EFAULT);
}

static void kfdtest_BasicSystemMem(void **state)
{
	const size_t len = 64 * KT_PAGE;
	char *src, *dst;

	(void)state;
	gpu_open_queue();
	src = map_pages(len);
	dst = map_pages(len);
	fill_words(src, len, 42);
	grant(src, len);
	grant(dst, len);
	gpu_copy(dst, src, len);
	expect_words(dst, len, 42);
}

/* Overlapping registrations of 16-page buffers, then every page is right. */
static void kfdtest_SplitSystemRange(void **state)
{
	static const struct { unsigned int first, n; } parts[] = {
		{ 0, 16 }, { 4, 8 }, { 0, 4 }, { 12, 4 }, { 6, 1 }, { 0, 1 }, { 15, 1 },
		{ 3, 10 }, { 8, 8 }, { 0, 16 },
	};
	const size_t len = 16 * KT_PAGE;
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(len);
	fill_words(p, len, 3);
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(parts); i++) {
		struct kfd_svm_attribute a[] = {
			{ KFD_SVM_ATTR_ACCESS, gpu.gpu_id },
			{ KFD_SVM_ATTR_GRANULARITY, i },
		};

		expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR,
				 (uintptr_t)p + parts[i].first * KT_PAGE,
				 parts[i].n * KT_PAGE, 2, a));
		gpu_expect_words(p, len, 3);
	}
	gpu_write_words(p, len, 4);
	expect_words(p, len, 4);
}

static int hold_until_told(void *arg)
{
	struct chan *c = arg;

	chan_tell_parent(c, 'r');
	return chan_wait_parent(c) == 'x' ? 0 : 1;
}

/*
 * Memory of the stack; the queue exists before the fork; the parent's write
 * breaks copy-on-write, so the GPU must follow to the new pages.
 */
static void kfdtest_EvictSystemRange(void **state)
{
	const size_t len = 16 * KT_PAGE;
	struct chan c;
	pid_t pid;
	char *p;

	(void)state;
	gpu_open_queue();
	p = alloca(len + KT_PAGE);
	p = (char *)(((uintptr_t)p + KT_PAGE - 1) & ~(KT_PAGE - 1));
	fill_words(p, len, 1);
	grant(p, len);
	gpu_expect_words(p, len, 1);
	chan_open(&c);
	pid = spawn(hold_until_told, &c);
	assert_int_equal(chan_wait_child(&c), 'r');
	fill_words(p, len, 2);		/* new pages for the parent */
	gpu_expect_words(p, len, 2);
	gpu_write_words(p, len, 3);
	expect_words(p, len, 3);
	finish_child(&c, pid);
	gpu_expect_words(p, len, 3);
}

static void kfdtest_PartialUnmapSysMem(void **state)
{
	const size_t len = 64 * KT_PAGE;
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(len);
	fill_words(p, len, 9);
	grant(p, len);
	gpu_expect_words(p, len, 9);
	assert_int_equal(munmap(p + 16 * KT_PAGE, 32 * KT_PAGE), 0);
	/* Both sides still work, in both directions. */
	gpu_expect_words(p, 16 * KT_PAGE, 9);
	assert_int_equal(gpu_read32(p + 48 * KT_PAGE), *(uint32_t *)(p + 48 * KT_PAGE));
	gpu_write_words(p + 48 * KT_PAGE, 16 * KT_PAGE, 10);
	expect_words(p + 48 * KT_PAGE, 16 * KT_PAGE, 10);
	gpu_read_is_exception(p + 20 * KT_PAGE, EXC_ANY);
}

static void kfdtest_XNACKMode(void **state)
{
	int32_t mode = xnack_on();

	(void)state;
	gpu_open_queue();
	expect_ret(kt_xnack(gpu.kfd, &mode), -EBUSY);
}

static void kfdtest_ReadOnlyRange(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 5);
	grant(p, KT_PAGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS,
			      KFD_SVM_FLAG_GPU_RO));
	gpu_expect_words(p, KT_PAGE, 5);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, KT_PAGE, 5);
}

/* PrefaultPartialRange in system memory: pages never touched. */
static void kfdtest_PrefaultPartialRangeSysMem(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	memset(p, 1, 2 * KT_PAGE);
	grant(p, 4 * KT_PAGE);
	gpu_fill(p, 0x12345678, 4 * KT_PAGE);
	for (unsigned int i = 0; i < 4 * KT_PAGE / 4; i++)
		assert_int_equal(((uint32_t *)p)[i], 0x12345678);
}

static void kfdtest_PrefetchOfHalfIsUndefined(void **state)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_PREFETCH_LOC };
	char *p;

	(void)state;
	gpu_open();
	p = map_pages(8 * KT_PAGE);
	memset(p, 1, 8 * KT_PAGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, 8 * KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC, 0));
	expect_ok(kt_svm_set1(gpu.kfd, p, 4 * KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC,
			      gpu.gpu_id));
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, 8 * KT_PAGE, 1, &a));
	assert_int_equal(a.value, KFD_SVM_LOC_UNDEFINED);
	for (size_t i = 0; i < 8 * KT_PAGE; i++)
		assert_int_equal(p[i], 1);
}

static const struct conf_case cases[] = {
	CASE(kfdtest_SetGetAttributes, CONF_BOTH),
	CASE(kfdtest_InvalidRange, CONF_BOTH),
	CASE(kfdtest_BasicSystemMem, CONF_BOTH),
	CASE(kfdtest_SplitSystemRange, CONF_BOTH),
	CASE(kfdtest_EvictSystemRange, CONF_BOTH),
	CASE(kfdtest_PartialUnmapSysMem, CONF_BOTH),
	CASE(kfdtest_XNACKMode, CONF_BOTH),
	CASE(kfdtest_ReadOnlyRange, CONF_BOTH),
	CASE(kfdtest_PrefaultPartialRangeSysMem, CONF_BOTH),
	CASE(kfdtest_PrefetchOfHalfIsUndefined, CONF_BOTH),
};

CONF_GROUP(kfdtest_group, cases);
