// SPDX-License-Identifier: GPL-2.0-only
/* Two GPUs and one memory, with and without a link between them. */
#include <pthread.h>
#include <sys/mman.h>

#include "vram.h"

#define LEN (32 * KT_PAGE)
#define PAGES (LEN / KT_PAGE)

/* Both GPUs may use it; it is in RAM. */
static char *shared_by_both(uint32_t type)
{
	char *p = vram_map(LEN);

	fill_words(p, LEN, 1);
	for (unsigned int i = 0; i < 2; i++) {
		use_gpu(i);
		set_attr(p, LEN, type, gpu.gpu_id);
	}
	use_gpu(0);
	return p;
}

static struct moves moves_of(unsigned int i)
{
	struct moves m;

	use_gpu(i);
	m = moves_now();
	use_gpu(0);
	return m;
}

static void expect_moves_of(unsigned int i, struct moves *m, uint64_t in, uint64_t out)
{
	use_gpu(i);
	expect_moves(m, in, out);
	use_gpu(0);
}

static void prefetch_to(unsigned int i, char *p, size_t len)
{
	use_gpu(i);
	prefetch(p, len);
	use_gpu(0);
}

static void gpu_reads(unsigned int i, char *p, uint32_t seed)
{
	use_gpu(i);
	gpu_expect_words(p, LEN, seed);
	use_gpu(0);
}

static void gpu_writes(unsigned int i, char *p, uint32_t seed)
{
	use_gpu(i);
	gpu_write_words(p, LEN, seed);
	use_gpu(0);
}

/* From RAM to the first, to the second, back; each step without the CPU's help. */
static void kfdtest_MultiGPUMigration(void **state)
{
	struct moves m0, m1;
	char *p;

	(void)state;
	open_two_gpus();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	m0 = moves_of(0);
	m1 = moves_of(1);
	prefetch_to(0, p, LEN);
	expect_moves_of(0, &m0, PAGES, 0);
	gpu_reads(0, p, 1);
	gpu_writes(0, p, 2);
	/* The one access that is left. */
	set_attr(p, LEN, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id);
	use_gpu(1);
	vram_register(p, LEN);
	prefetch_to(1, p, LEN);
	expect_moves_of(0, &m0, 0, PAGES);
	expect_moves_of(1, &m1, PAGES, 0);
	expect_in_vram(p, LEN, PAGES);
	gpu_reads(1, p, 2);
	gpu_writes(1, p, 3);
	prefetch_back(p, LEN);
	expect_moves_of(1, &m1, 0, PAGES);
	expect_in_vram(p, LEN, 0);
	expect_words(p, LEN, 3);
}

/* By the faults of whoever needs it. */
static void two_gpus_take_memory_from_each_other(void **state)
{
	struct moves m0, m1;
	char *p;

	(void)state;
	open_two_gpus();
	p = shared_by_both(KFD_SVM_ATTR_ACCESS);
	m0 = moves_of(0);
	m1 = moves_of(1);
	gpu_reads(0, p, 1);
	expect_moves_of(0, &m0, PAGES, 0);
	gpu_reads(1, p, 1);
	expect_moves_of(0, &m0, 0, PAGES);
	expect_moves_of(1, &m1, PAGES, 0);
	gpu_writes(1, p, 2);
	gpu_reads(0, p, 2);
	gpu_writes(0, p, 3);
	gpu_reads(1, p, 3);
	expect_words(p, LEN, 3);
}

/*
 * In place of the other: over the link where it is, or in RAM where there is none. The
 * whole of it stays right with writes from all three.
 */
static void kfdtest_MultiGPUAccessInPlace(void **state)
{
	struct moves m0, m1;
	char *p;

	(void)state;
	open_two_gpus();
	p = shared_by_both(KFD_SVM_ATTR_ACCESS_IN_PLACE);
	m0 = moves_of(0);
	m1 = moves_of(1);
	gpu_reads(0, p, 1);
	gpu_reads(1, p, 1);
	expect_in_vram(p, LEN, 0);
	prefetch_to(0, p, LEN);
	gpu_reads(0, p, 1);
	gpu_reads(1, p, 1);
	expect_in_vram(p, LEN, vram.linked ? PAGES : 0);
	if (vram.linked)
		expect_moves_of(0, &m0, PAGES, 0);
	expect_moves_of(1, &m1, 0, 0);
	gpu_writes(1, p, 2);
	gpu_reads(0, p, 2);
	gpu_writes(0, p, 3);
	gpu_reads(1, p, 3);
	expect_moves_of(1, &m1, 0, 0);
	expect_in_vram(p, LEN, vram.linked ? PAGES : 0);
	expect_words(p, LEN, 3);
	gpu_reads(1, p, 3);
	gpu_reads(0, p, 3);
}

/* Somebody who cannot reach the target uses it in place: then it does not go there. */
static void two_gpus_prefetch_stays_in_ram_for_who_has_no_link(void **state)
{
	struct moves m0;
	char *p;

	(void)state;
	open_two_gpus();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	use_gpu(1);
	set_attr(p, LEN, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	use_gpu(0);
	m0 = moves_of(0);
	prefetch(p, LEN);
	expect_in_vram(p, LEN, 0);
	expect_moves_of(0, &m0, 0, 0);
	gpu_reads(1, p, 1);
	gpu_writes(1, p, 2);
	expect_words(p, LEN, 2);
}

/* XNACK off: every GPU with access must reach it, for none can fault. */
static void two_gpus_prefetch_stays_in_ram_for_access_without_link(void **state)
{
	char *p;

	(void)state;
	open_two_gpus();
	p = shared_by_both(KFD_SVM_ATTR_ACCESS);
	prefetch(p, LEN);
	expect_in_vram(p, LEN, 0);
	gpu_reads(0, p, 1);
	gpu_reads(1, p, 1);
	gpu_writes(1, p, 2);
	gpu_reads(0, p, 2);
	expect_words(p, LEN, 2);
}

/* Preferred is a GPU that the one who faults reaches: it goes there and not to it. */
static void two_gpus_preferred_one_of_the_hive_gets_the_memory(void **state)
{
	struct moves m0, m1;
	char *p;

	(void)state;
	open_two_gpus();
	p = shared_by_both(KFD_SVM_ATTR_ACCESS);
	set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, gpu.gpu_id);
	m0 = moves_of(0);
	m1 = moves_of(1);
	gpu_reads(1, p, 1);
	expect_moves_of(0, &m0, PAGES, 0);
	gpu_writes(1, p, 2);
	gpu_reads(0, p, 2);
	expect_moves_of(0, &m0, 0, 0);
	expect_moves_of(1, &m1, 0, 0);
	expect_words(p, LEN, 2);
}

/* It cannot use memory there, so it takes it. */
static void two_gpus_preferred_one_without_link_is_no_help(void **state)
{
	struct moves m1;
	char *p;

	(void)state;
	open_two_gpus();
	p = shared_by_both(KFD_SVM_ATTR_ACCESS);
	set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, gpu.gpu_id);
	m1 = moves_of(1);
	gpu_reads(1, p, 1);
	expect_moves_of(1, &m1, PAGES, 0);
	gpu_writes(1, p, 2);
	gpu_reads(0, p, 2);
	expect_words(p, LEN, 2);
}

/* The CPU takes back what both GPUs have mapped: both must lose it. */
static void two_gpus_lose_what_the_cpu_touches(void **state)
{
	char *p;

	(void)state;
	open_two_gpus();
	p = shared_by_both(KFD_SVM_ATTR_ACCESS_IN_PLACE);
	prefetch_to(0, p, LEN);
	gpu_reads(0, p, 1);
	gpu_reads(1, p, 1);
	for (uint32_t round = 2; round < 6; round++) {
		fill_words(p, LEN, round);
		gpu_reads(0, p, round);
		gpu_reads(1, p, round);
		gpu_writes(1, p, round + 100);
		gpu_reads(0, p, round + 100);
		prefetch_to(0, p, LEN);
	}
	expect_words(p, LEN, 105);
}

/* Page by page here and there: one range on both GPUs and in RAM. */
static void two_gpus_have_memory_of_one_range(void **state)
{
	const size_t third = 8 * KT_PAGE;
	char *p;

	(void)state;
	open_two_gpus();
	p = shared_by_both(KFD_SVM_ATTR_ACCESS);
	prefetch_to(0, p, third);
	prefetch_to(1, p + third, third);
	gpu_reads(0, p, 1);
	gpu_reads(1, p, 1);
	gpu_writes(0, p, 2);
	prefetch_to(1, p + 2 * third, third);
	gpu_reads(1, p, 2);
	gpu_writes(1, p, 3);
	expect_words(p, LEN, 3);
}

/* ---- threads ---- */

static volatile bool stop;
static char *arena;
static int kfd;		/* gpu changes under the thread */

static void *moves_it_about(void *arg)
{
	uint32_t *ids = arg;

	for (unsigned int i = 0; !stop; i++)
		if (kt_svm_set1(kfd, arena, LEN, KFD_SVM_ATTR_PREFETCH_LOC, ids[i % 3]))
			return (void *)1;
	return NULL;
}

/* One thread moves it between all places, the GPUs and the CPU use it in turn. */
static void two_gpus_use_memory_on_its_way(void **state)
{
	uint32_t ids[3] = { 0, 0, KFD_SVM_LOC_SYSMEM };
	pthread_t thread;
	void *failed;

	(void)state;
	open_two_gpus();
	arena = shared_by_both(KFD_SVM_ATTR_ACCESS);
	for (unsigned int i = 0; i < 2; i++) {
		use_gpu(i);
		ids[i] = gpu.gpu_id;
	}
	use_gpu(0);
	kfd = gpu.kfd;
	assert_int_equal(pthread_create(&thread, NULL, moves_it_about, ids), 0);
	for (uint32_t round = 2; round < 14; round += 2) {
		gpu_writes(round / 2 % 2, arena, round);
		gpu_reads(!(round / 2 % 2), arena, round);
		expect_words(arena, LEN, round);
		fill_words(arena, LEN, round + 1);
		gpu_reads(round / 2 % 2, arena, round + 1);
	}
	stop = true;
	pthread_join(thread, &failed);
	assert_null(failed);
	expect_words(arena, LEN, 13);
}

#define TWO (CONF_VRAM | CONF_TWO_GPUS)

static const struct conf_case cases[] = {
	CASE(kfdtest_MultiGPUMigration, CONF_BOTH | TWO),
	CASE(kfdtest_MultiGPUAccessInPlace, CONF_BOTH | TWO),
	CASE(two_gpus_take_memory_from_each_other, CONF_ON | TWO),
	CASE(two_gpus_prefetch_stays_in_ram_for_who_has_no_link,
	     CONF_BOTH | TWO | CONF_NO_LINK),
	CASE(two_gpus_prefetch_stays_in_ram_for_access_without_link,
	     CONF_OFF | TWO | CONF_NO_LINK),
	CASE(two_gpus_preferred_one_of_the_hive_gets_the_memory,
	     CONF_ON | TWO | CONF_LINK),
	CASE(two_gpus_preferred_one_without_link_is_no_help,
	     CONF_ON | TWO | CONF_NO_LINK),
	CASE(two_gpus_lose_what_the_cpu_touches, CONF_BOTH | TWO),
	CASE(two_gpus_have_memory_of_one_range, CONF_BOTH | TWO),
	CASE(two_gpus_use_memory_on_its_way, CONF_BOTH | TWO),
};

CONF_GROUP(hive_group, cases);
