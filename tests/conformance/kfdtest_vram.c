// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cases of kfdtest's KFDSVMRangeTest that need VRAM, by what they expect
 * (kfd-svm-semantics.md 8.3), with SDMA in place of shaders. Two of them, and those of
 * KFDSVMEvictTest, are in evict.c, two in hive.c, one in smi.c.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "vram.h"

#define LEN (64 * KT_PAGE)
#define PAGES (LEN / KT_PAGE)

/* A copy from VRAM to VRAM. */
static void kfdtest_BasicVram(void **state)
{
	struct moves m;
	char *src, *dst;

	(void)state;
	gpu_open_queue();
	src = vram_filled(LEN, 42);
	dst = vram_map(LEN);
	vram_register(dst, LEN);
	prefetch(dst, LEN);
	expect_in_vram(dst, LEN, PAGES);
	m = moves_now();
	gpu_copy(dst, src, LEN);
	expect_moves(&m, 0, 0);
	expect_in_vram(src, LEN, PAGES);
	expect_in_vram(dst, LEN, PAGES);
	expect_words(dst, LEN, 42);
	expect_words(src, LEN, 42);
}

/* Overlapping prefetches and registrations cut the range; every page is right. */
static void kfdtest_SplitVramRange(void **state)
{
	static const struct { unsigned int first, n; } parts[] = {
		{ 0, 16 }, { 4, 8 }, { 0, 4 }, { 12, 4 }, { 6, 1 }, { 0, 1 }, { 15, 1 },
		{ 3, 10 }, { 8, 8 }, { 0, 16 },
	};
	const size_t len = 16 * KT_PAGE;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(len, 3);
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(parts); i++) {
		struct kfd_svm_attribute a[] = {
			{ KFD_SVM_ATTR_PREFETCH_LOC, i % 3 ? gpu.gpu_id : 0 },
			{ KFD_SVM_ATTR_GRANULARITY, i },
		};
		char *part = p + parts[i].first * KT_PAGE;

		expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)part,
				 parts[i].n * KT_PAGE, 2, a));
		expect_in_vram(part, parts[i].n * KT_PAGE, i % 3 ? parts[i].n : 0);
		gpu_expect_words(p, len, 3);
	}
	gpu_write_words(p, len, 4);
	expect_words(p, len, 4);
}

static uint32_t prefetch_of(const void *p, size_t len)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_PREFETCH_LOC };

	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, len, 1, &a));
	return a.value;
}

static void kfdtest_Prefetch(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	m = moves_now();
	prefetch(p, LEN);
	assert_int_equal(prefetch_of(p, LEN), gpu.gpu_id);
	expect_moves(&m, PAGES, 0);
	/* Half of it back: the whole is at no one place. */
	prefetch_back(p + LEN / 2, LEN / 2);
	assert_int_equal(prefetch_of(p, LEN), KFD_SVM_LOC_UNDEFINED);
	expect_in_vram(p, LEN / 2, PAGES / 2);
	expect_in_vram(p + LEN / 2, LEN / 2, 0);
	expect_moves(&m, 0, PAGES / 2);
	expect_words(p, LEN, 1);
	prefetch_back(p, LEN);
	assert_int_equal(prefetch_of(p, LEN), KFD_SVM_LOC_SYSMEM);
	expect_in_vram(p, LEN, 0);
	gpu_expect_words(p, LEN, 1);
}

/* There and back again, changed by the CPU here and by the GPU there. */
static void kfdtest_Migrate(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	vram_register(p, LEN);
	for (uint32_t round = 0; round < 6; round++) {
		fill_words(p, LEN, round);
		m = moves_now();
		prefetch(p, LEN);
		expect_in_vram(p, LEN, PAGES);
		expect_moves(&m, PAGES, 0);
		gpu_expect_words(p, LEN, round);
		gpu_write_words(p, LEN, round + 100);
		prefetch_back(p, LEN);
		expect_in_vram(p, LEN, 0);
		expect_moves(&m, 0, PAGES);
		expect_words(p, LEN, round + 100);
	}
}

/* The GPU has it in place and goes on when it moves, there and back. */
static void kfdtest_MigrateAccessInPlace(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	set_attr(p, LEN, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	for (uint32_t round = 1; round < 5; round++) {
		gpu_expect_words(p, LEN, round);
		expect_in_vram(p, LEN, 0);
		prefetch(p, LEN);
		gpu_expect_words(p, LEN, round);
		expect_in_vram(p, LEN, PAGES);
		gpu_write_words(p, LEN, round + 1);
		prefetch_back(p, LEN);
	}
	expect_words(p, LEN, 5);
}

/* What one touch by the GPU moves, for each granularity: an aligned window. */
static void kfdtest_MigrateGranularity(void **state)
{
	struct moves m;

	(void)state;
	gpu_open_queue();
	for (unsigned int lg2 = 0; lg2 <= 9; lg2++) {
		size_t window = KT_PAGE << lg2;
		/* A page that is not the first of its window. */
		size_t at = 2 * window + window / 2;
		char *p = vram_map(4 * window);

		fill_words(p, 4 * window, lg2);
		vram_register(p, 4 * window);
		set_attr(p, 4 * window, KFD_SVM_ATTR_GRANULARITY, lg2);
		m = moves_now();
		assert_int_equal(gpu_read32(p + at), seed_at(lg2, at));
		expect_moves(&m, window / KT_PAGE, 0);
		expect_in_vram(p + 2 * window, window, window / KT_PAGE);
		expect_in_vram(p, 2 * window, 0);
		expect_in_vram(p + 3 * window, window, 0);
		expect_words(p, 4 * window, lg2);
		munmap(p, 4 * window);
	}
}

/* As large as is quickly filled; all of it goes and comes, huge pages or not. */
static void migrate_large(char *p, size_t len)
{
	struct moves m;

	fill_words(p, len, 1);
	vram_register(p, len);
	m = moves_now();
	prefetch(p, len);
	expect_in_vram(p, len, len / KT_PAGE);
	expect_moves(&m, len / KT_PAGE, 0);
	for (size_t at = 0; at < len; at += KT_HUGE / 2)
		gpu_expect_words(p + at, KT_PAGE, seed_at(1, at));
	gpu_fill(p, 7, len);
	for (size_t at = 0; at < len; at += KT_PAGE)
		assert_int_equal(*(uint32_t *)(p + at), 7);
	prefetch_back(p, len);
	expect_in_vram(p, len, 0);
	munmap(p, len);
}

static void kfdtest_MigrateLargeBuf(void **state)
{
	size_t len = (conf_run.take_long ? 64UL : 16UL) << 20;

	(void)state;
	gpu_open_queue();
	if (vram_free() < len + KT_HUGE)
		conf_skip("%llu bytes of VRAM are too few", (unsigned long long)vram_free());
	migrate_large(vram_map(len), len);
	migrate_large(vram_map_thp(len), len);
	/* In no way aligned. */
	migrate_large((char *)vram_map(len) + 3 * KT_PAGE, len - 5 * KT_PAGE);
}

/* Which of preferred location and access decides, on a GPU's fault. */
static void kfdtest_MigratePolicy(void **state)
{
	const struct { uint32_t access, preferred; bool moves; } policy[] = {
		{ KFD_SVM_ATTR_ACCESS, KFD_SVM_LOC_UNDEFINED, true },
		{ KFD_SVM_ATTR_ACCESS, 1, true },
		{ KFD_SVM_ATTR_ACCESS, KFD_SVM_LOC_SYSMEM, false },
		{ KFD_SVM_ATTR_ACCESS_IN_PLACE, KFD_SVM_LOC_UNDEFINED, false },
		{ KFD_SVM_ATTR_ACCESS_IN_PLACE, KFD_SVM_LOC_SYSMEM, false },
	};

	(void)state;
	gpu_open_queue();
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(policy); i++) {
		uint32_t where = policy[i].preferred == 1 ? gpu.gpu_id : policy[i].preferred;
		char *p = vram_map(LEN);
		struct moves m;

		fill_words(p, LEN, i);
		set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, where);
		set_attr(p, LEN, policy[i].access, gpu.gpu_id);
		m = moves_now();
		gpu_expect_words(p, LEN, i);
		expect_in_vram(p, LEN, policy[i].moves ? PAGES : 0);
		expect_moves(&m, policy[i].moves ? PAGES : 0, 0);
		/* Back by the CPU, and by the same rule once more. */
		fill_words(p, LEN, i + 50);
		gpu_expect_words(p, LEN, i + 50);
		expect_in_vram(p, LEN, policy[i].moves ? PAGES : 0);
		expect_words(p, LEN, i + 50);
		munmap(p, LEN);
	}
}

/* ---- threads ---- */

#define NTHREADS 4

struct part {
	pthread_t thread;
	char *p;
	uint32_t seed;
	unsigned int errors;
};

static void *migrates_its_part(void *arg)
{
	struct part *part = arg;

	for (unsigned int round = 0; round < 8; round++) {
		uint32_t seed = part->seed + round;

		fill_words(part->p, LEN, seed);
		part->errors += !!kt_svm_set1(gpu.kfd, part->p, LEN,
					      KFD_SVM_ATTR_PREFETCH_LOC, gpu.gpu_id);
		part->errors += !words_are(part->p, LEN, seed);
		part->errors += !!kt_svm_set1(gpu.kfd, part->p, LEN,
					      KFD_SVM_ATTR_PREFETCH_LOC,
					      round % 2 ? gpu.gpu_id : 0);
	}
	return NULL;
}

/* Neighbours in one 2 MiB of addresses. */
static void kfdtest_MultiThreadMigration(void **state)
{
	struct part parts[NTHREADS];
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(NTHREADS * LEN);
	vram_register(p, NTHREADS * LEN);
	m = moves_now();
	for (unsigned int i = 0; i < NTHREADS; i++) {
		parts[i] = (struct part){ .p = p + i * LEN, .seed = i * 1000 };
		assert_int_equal(pthread_create(&parts[i].thread, NULL, migrates_its_part,
						&parts[i]), 0);
	}
	for (unsigned int i = 0; i < NTHREADS; i++) {
		pthread_join(parts[i].thread, NULL);
		assert_int_equal(parts[i].errors, 0);
	}
	assert_true(moves_now().in > m.in);
	expect_in_vram(p, NTHREADS * LEN, NTHREADS * PAGES);
	for (unsigned int i = 0; i < NTHREADS; i++)
		gpu_expect_words(p + i * LEN, LEN, i * 1000 + 7);
	for (unsigned int i = 0; i < NTHREADS; i++)
		expect_words(p + i * LEN, LEN, i * 1000 + 7);
}

/* A file's pages are shared with the file and stay; it has what both have written. */
static void kfdtest_MigrateFileBackedRange(void **state)
{
	static uint32_t back[LEN / 4];
	struct moves m;
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = temp_file(conf_run.dir, LEN);
	assert_true(fd >= 0);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	m = moves_now();
	prefetch(p, LEN);
	gpu_expect_words(p, LEN, 1);
	gpu_write_words(p, LEN, 2);
	expect_in_vram(p, LEN, 0);
	expect_moves(&m, 0, 0);
	assert_int_equal(pread(fd, back, LEN, 0), LEN);
	expect_words(back, LEN, 2);
	prefetch_back(p, LEN);
	fill_words(p, LEN, 3);
	gpu_expect_words(p, LEN, 3);
}

/* Two pages of four were never touched when they went; the GPU writes all. */
static void kfdtest_PrefaultPartialRange(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(4 * KT_PAGE);
	memset(p, 1, 2 * KT_PAGE);
	m = moves_now();
	prefetch(p, 4 * KT_PAGE);
	expect_in_vram(p, 4 * KT_PAGE, 4);
	expect_moves(&m, 4, 0);
	vram_register(p, 4 * KT_PAGE);
	assert_int_equal(gpu_read32(p + KT_PAGE), 0x01010101);
	assert_int_equal(gpu_read32(p + 3 * KT_PAGE), 0);
	gpu_fill(p, 0x12345678, 4 * KT_PAGE);
	for (unsigned int i = 0; i < 4 * KT_PAGE / 4; i++)
		assert_int_equal(((uint32_t *)p)[i], 0x12345678);
}

static const struct conf_case cases[] = {
	CASE(kfdtest_BasicVram, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_SplitVramRange, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_Prefetch, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_Migrate, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_MigrateAccessInPlace, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_MigrateGranularity, CONF_ON | CONF_VRAM),
	CASE(kfdtest_MigrateLargeBuf, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_MigratePolicy, CONF_ON | CONF_VRAM),
	CASE(kfdtest_MultiThreadMigration, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_MigrateFileBackedRange, CONF_BOTH | CONF_VRAM),
	CASE(kfdtest_PrefaultPartialRange, CONF_BOTH | CONF_VRAM),
};

CONF_GROUP(kfdtest_vram_group, cases);
