// SPDX-License-Identifier: GPL-2.0-only
/* CPU and GPU want the same memory at the same time, or in turn. */
#include <pthread.h>
#include <sys/mman.h>

#include "vram.h"

/* ---- thrashing ---- */

#define WINDOW_LG2 4
#define WINDOW (KT_PAGE << WINDOW_LG2)
#define MAX_ROUNDS 40

/* The CPU writes and the GPU reads, until a round moves nothing any more. */
static unsigned int bounce_until_it_stays(uint32_t *p)
{
	unsigned int round, stayed = 0;

	for (round = 1; round <= MAX_ROUNDS && stayed < 3; round++) {
		uint64_t in = moves_now().in;

		p[round % 1024] = round;
		assert_int_equal(gpu_read32(&p[round % 1024]), round);
		stayed = moves_now().in == in ? stayed + 1 : 0;
	}
	assert_int_equal(stayed, 3);
	return round;
}

/* A window that goes back and forth is left where both reach it. */
static void window_that_bounces_stays_in_ram(void **state)
{
	unsigned int rounds;
	struct moves m;
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = (uint32_t *)vram_map_window(WINDOW_LG2, 0);
	m = moves_now();
	rounds = bounce_until_it_stays(p);
	expect_in_vram(p, WINDOW, 0);
	assert_true(moves_now().in > m.in);
	print_message("# it stays after %u rounds\n", rounds);
	/* Who asks for it gets it moved, all the same. */
	m = moves_now();
	prefetch(p, WINDOW);
	expect_in_vram(p, WINDOW, WINDOW / KT_PAGE);
	expect_moves(&m, WINDOW / KT_PAGE, 0);
	assert_int_equal(gpu_read32(&p[1]), 1);
	assert_int_equal(p[2], 2);
}

static void other_window_moves_while_one_stays(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open_queue();
	p = vram_map_window(WINDOW_LG2, 0);
	q = vram_map_window(WINDOW_LG2, 0);
	bounce_until_it_stays((uint32_t *)p);
	gpu_read32(q);
	expect_in_vram(q, WINDOW, WINDOW / KT_PAGE);
}

static bool moves_on_a_fault(char *p)
{
	assert_int_equal(mprotect(p, WINDOW, PROT_READ), 0);
	assert_int_equal(mprotect(p, WINDOW, PROT_READ | PROT_WRITE), 0);
	gpu_read32(p);
	return page_in_vram(p);
}

/* For a while only: a program has phases. */
static void window_that_bounced_moves_again_later(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map_window(WINDOW_LG2, 0);
	bounce_until_it_stays((uint32_t *)p);
	assert_true(kt_wait_for(moves_on_a_fault(p), KT_WAIT_MS));
	assert_int_equal(*(uint32_t *)(p + 4), 1);
}

/* ---- threads ---- */

#define NTHREADS 4
/* As many rounds as fit, within limits: a debug kernel takes seconds for one. */
#define MIN_ROUNDS 3
#define MAX_RACE_ROUNDS 24
#define RACE_MS 15000

static char *windows;
static unsigned int cpu_errors;
static volatile bool gpu_is_done;

/* Word 0 of a page is the CPU's, word 16 the GPU's. */
static uint32_t *cpu_word(unsigned int window, unsigned int page)
{
	return (uint32_t *)(windows + window * KT_HUGE + page * KT_PAGE);
}

static uint32_t *gpu_word(unsigned int window, unsigned int page)
{
	return cpu_word(window, page) + 16;
}

static void *cpu_works(void *arg)
{
	unsigned int window = (unsigned int)(uintptr_t)arg, page = 0;
	uint32_t last[HUGE_PAGES] = { 0 };

	for (uint32_t round = 1; !gpu_is_done; round++) {
		page = (page + 37) % HUGE_PAGES;
		if (*(volatile uint32_t *)cpu_word(window, page) != last[page])
			__atomic_add_fetch(&cpu_errors, 1, __ATOMIC_RELAXED);
		last[page] = round;
		*(volatile uint32_t *)cpu_word(window, page) = round;
	}
	for (page = 0; page < HUGE_PAGES; page++)
		if (*cpu_word(window, page) != last[page])
			__atomic_add_fetch(&cpu_errors, 1, __ATOMIC_RELAXED);
	return NULL;
}

static bool one_more_round(uint32_t round, uint64_t begin_ms)
{
	return round <= MIN_ROUNDS ||
	       (round <= MAX_RACE_ROUNDS && kt_now_ms() < begin_ms + RACE_MS);
}

static void gpu_works(uint32_t last[NTHREADS][HUGE_PAGES])
{
	uint64_t begin_ms = kt_now_ms();

	for (uint32_t round = 1; one_more_round(round, begin_ms); round++) {
		for (unsigned int w = 0; w < NTHREADS; w++) {
			unsigned int page = (round * 61 + w) % HUGE_PAGES;

			assert_int_equal(gpu_read32(gpu_word(w, page)), last[w][page]);
			gpu_write32(gpu_word(w, page), round);
			last[w][page] = round;
		}
		prefetch(windows + round % NTHREADS * KT_HUGE, KT_HUGE);
	}
}

static void threads_fault_while_the_gpu_works(void **state)
{
	static uint32_t last[NTHREADS][HUGE_PAGES];
	pthread_t threads[NTHREADS];
	struct moves m;

	(void)state;
	gpu_open_queue();
	windows = vram_map(NTHREADS * KT_HUGE);
	memset(windows, 0, NTHREADS * KT_HUGE);
	vram_register(windows, NTHREADS * KT_HUGE);
	m = moves_now();
	for (uintptr_t w = 0; w < NTHREADS; w++)
		assert_int_equal(pthread_create(&threads[w], NULL, cpu_works, (void *)w), 0);
	gpu_works(last);
	gpu_is_done = true;
	for (unsigned int w = 0; w < NTHREADS; w++)
		pthread_join(threads[w], NULL);
	assert_int_equal(cpu_errors, 0);
	assert_true(moves_now().in > m.in);
	for (unsigned int w = 0; w < NTHREADS; w++)
		for (unsigned int page = 0; page < HUGE_PAGES; page++)
			assert_int_equal(*gpu_word(w, page), last[w][page]);
}

/* ---- both change the map of memory ---- */

static void *prefetches_to_and_fro(void *arg)
{
	while (!gpu_is_done) {
		if (kt_svm_set1(gpu.kfd, arg, KT_HUGE, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) ||
		    kt_svm_set1(gpu.kfd, arg, KT_HUGE, KFD_SVM_ATTR_PREFETCH_LOC,
				KFD_SVM_LOC_SYSMEM))
			__atomic_add_fetch(&cpu_errors, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Memory is on its way somewhere at each moment; nobody may see it half. */
static void copies_are_right_while_memory_is_on_its_way(void **state)
{
	uint64_t begin_ms = kt_now_ms();
	pthread_t thread;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(KT_HUGE);
	fill_words(p, KT_HUGE, 1);
	vram_register(p, KT_HUGE);
	assert_int_equal(pthread_create(&thread, NULL, prefetches_to_and_fro, p), 0);
	for (uint32_t round = 1; one_more_round(round, begin_ms); round++) {
		size_t at = round * 13 % 16 * BOUNCE_LEN;

		gpu_expect_words(p + at, BOUNCE_LEN, seed_at(1, at));
		gpu_write_words(p + at, BOUNCE_LEN, seed_at(1, at));
		expect_words(p + at, BOUNCE_LEN, seed_at(1, at));
	}
	gpu_is_done = true;
	pthread_join(thread, NULL);
	assert_int_equal(cpu_errors, 0);
	expect_words(p, KT_HUGE, 1);
}

/* Pages are dropped while they move: gone is gone, whatever arrives later. */
static void dontneed_races_with_prefetch(void **state)
{
	uint64_t begin_ms = kt_now_ms();
	pthread_t thread;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(KT_HUGE);
	fill_words(p, KT_HUGE, 1);
	vram_register(p, KT_HUGE);
	assert_int_equal(pthread_create(&thread, NULL, prefetches_to_and_fro, p), 0);
	for (uint32_t round = 1; one_more_round(round, begin_ms); round++) {
		char *q = p + round * 29 % 480 * KT_PAGE;

		assert_int_equal(madvise(q, 8 * KT_PAGE, MADV_DONTNEED), 0);
		for (unsigned int i = 0; i < 8; i++)
			assert_int_equal(gpu_read32(q + i * KT_PAGE), 0);
		for (unsigned int i = 0; i < 8; i++)
			assert_int_equal(*(uint32_t *)(q + i * KT_PAGE), 0);
		fill_words(q, 8 * KT_PAGE, seed_at(1, (size_t)(q - p)));
	}
	gpu_is_done = true;
	pthread_join(thread, NULL);
	assert_int_equal(cpu_errors, 0);
	expect_words(p, KT_HUGE, 1);
}

static const struct conf_case cases[] = {
	CASE(window_that_bounces_stays_in_ram, CONF_ON | CONF_FAULT_BACK),
	CASE(other_window_moves_while_one_stays, CONF_ON | CONF_FAULT_BACK),
	CASE(window_that_bounced_moves_again_later, CONF_ON | CONF_FAULT_BACK),
	CASE(threads_fault_while_the_gpu_works, CONF_BOTH | CONF_VRAM),
	CASE(copies_are_right_while_memory_is_on_its_way, CONF_BOTH | CONF_VRAM),
	CASE(dontneed_races_with_prefetch, CONF_BOTH | CONF_VRAM),
};

CONF_GROUP(migrate_race_group, cases);
