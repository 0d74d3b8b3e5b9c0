// SPDX-License-Identifier: GPL-2.0-only
/*
 * The GPU sees what the CPU sees: memory of every kind, and what the kernel does
 * to it while the GPU has it mapped.
 */
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

/* CPU -> GPU, GPU -> CPU, and again after both have it mapped. */
static void both_directions(void *p, size_t len)
{
	for (uint32_t round = 0; round < 2; round++) {
		fill_words(p, len, 10 + round);
		gpu_expect_words(p, len, 10 + round);
		gpu_write_words(p, len, 20 + round);
		expect_words(p, len, 20 + round);
	}
}

static void gpu_shares_malloc_memory(void **state)
{
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	/* Small: from the heap, beside other data of the same pages. */
	p = malloc(2048);
	assert_non_null(p);
	grant(p, 2048);
	both_directions(p, 2048);
	free(p);
	p = malloc(1 << 20);
	assert_non_null(p);
	grant(p, 1 << 20);
	both_directions(p, 1 << 20);
}

static void gpu_shares_stack_memory(void **state)
{
	uint32_t buf[4096];

	(void)state;
	gpu_open_queue();
	grant(buf, sizeof(buf));
	both_directions(buf, sizeof(buf));
}

static uint32_t global_data[2048] = { 1 };
static uint32_t global_bss[2048];
static const uint32_t global_const[2048] = { 1, 2, 3 };

static void gpu_shares_global_memory(void **state)
{
	(void)state;
	gpu_open_queue();
	grant(global_data, sizeof(global_data));
	grant(global_bss, sizeof(global_bss));
	grant(global_const, sizeof(global_const));
	both_directions(global_data, sizeof(global_data));
	both_directions(global_bss, sizeof(global_bss));
	/* Pages of the program's file, mapped read-only. */
	assert_int_equal(gpu_read32(&global_const[2]), 3);
}

static void gpu_shares_huge_pages(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_huge(2 * KT_HUGE);
	memset(p, 0, 2 * KT_HUGE);
	grant(p, 2 * KT_HUGE);
	both_directions(p + KT_HUGE - BOUNCE_LEN, 2 * BOUNCE_LEN);
	assert_int_equal(gpu_read32(p + 2 * KT_HUGE - 4), 0);
}

static void gpu_reads_untouched_memory_as_zeros(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	grant(p, 4 * KT_PAGE);
	assert_int_equal(gpu_read32(p + 3 * KT_PAGE), 0);
	/* Not the shared zero page for ever: the CPU's write must show. */
	*(uint32_t *)(p + 3 * KT_PAGE) = 7;
	assert_int_equal(gpu_read32(p + 3 * KT_PAGE), 7);
	gpu_write32(p + 2 * KT_PAGE, 8);
	assert_int_equal(*(uint32_t *)(p + 2 * KT_PAGE), 8);
}

static void gpu_shares_file_mapping(void **state)
{
	uint32_t back[1024];
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = temp_file(conf_run.dir, 16 * KT_PAGE);
	assert_true(fd >= 0);
	fill_words(back, sizeof(back), 1);
	assert_int_equal(pwrite(fd, back, sizeof(back), 0), sizeof(back));
	p = mmap(NULL, 16 * KT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	grant(p, 16 * KT_PAGE);
	gpu_expect_words(p, sizeof(back), 1);
	gpu_write_words(p + 4 * KT_PAGE, sizeof(back), 2);
	assert_int_equal(pread(fd, back, sizeof(back), 4 * KT_PAGE), sizeof(back));
	expect_words(back, sizeof(back), 2);
	/* And what a write() puts into the file. */
	fill_words(back, sizeof(back), 3);
	assert_int_equal(pwrite(fd, back, sizeof(back), 0), sizeof(back));
	gpu_expect_words(p, sizeof(back), 3);
	both_directions(p, 16 * KT_PAGE);
}

static void gpu_shares_private_file_mapping(void **state)
{
	uint32_t back[1024];
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = temp_file(conf_run.dir, 4 * KT_PAGE);
	assert_true(fd >= 0);
	fill_words(back, sizeof(back), 1);
	assert_int_equal(pwrite(fd, back, sizeof(back), 0), sizeof(back));
	p = mmap(NULL, 4 * KT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_true(p != MAP_FAILED);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, KT_PAGE, 1);
	gpu_write_words(p, KT_PAGE, 2);
	expect_words(p, KT_PAGE, 2);
	/* A private copy: the file keeps its own. */
	assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
	expect_words(back, sizeof(back), 1);
}

static void gpu_shares_memory_of_other_processes(void **state)
{
	char *p, *q;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = memfd_create("kfdsvm-test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * KT_PAGE), 0);
	p = mmap(NULL, 4 * KT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* A second view stands for another process's. */
	q = mmap(NULL, 4 * KT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED && q != MAP_FAILED);
	grant(p, 4 * KT_PAGE);
	fill_words(q, 4 * KT_PAGE, 4);
	gpu_expect_words(p, 4 * KT_PAGE, 4);
	gpu_write_words(p, 4 * KT_PAGE, 5);
	expect_words(q, 4 * KT_PAGE, 5);
}

/* ---- what the kernel does to memory the GPU has mapped ---- */

/*
 * The page the GPU saw stays allocated (a pipe holds it) and keeps its data, so
 * a translation that was not removed shows: as the old words. Mutants
 * break_zap and break_flush turn this case red.
 */
static void madvise_dontneed_shows_zeros(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(8 * KT_PAGE);
	fill_words(p, 8 * KT_PAGE, 1);
	grant(p, 8 * KT_PAGE);
	gpu_expect_words(p, 8 * KT_PAGE, 1);
	hold_pages(p, 8);
	assert_int_equal(madvise(p, 8 * KT_PAGE, MADV_DONTNEED), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(gpu_read32(p + i * KT_PAGE + 64), 0);
	fill_words(p, 8 * KT_PAGE, 2);
	gpu_expect_words(p, 8 * KT_PAGE, 2);
}

/* The same for a part of a huge page: one leaf on the GPU, cut by the CPU. */
static void madvise_dontneed_in_a_huge_page(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_huge(KT_HUGE);
	fill_words(p, KT_HUGE, 1);
	grant(p, KT_HUGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	hold_pages(p + 100 * KT_PAGE, 4);
	assert_int_equal(madvise(p + 100 * KT_PAGE, 4 * KT_PAGE, MADV_DONTNEED), 0);
	for (unsigned int i = 100; i < 104; i++)
		assert_int_equal(gpu_read32(p + i * KT_PAGE + 64), 0);
	for (unsigned int i = 98; i < 106; i++)
		assert_int_equal(gpu_read32(p + i * KT_PAGE + 64),
				 *(uint32_t *)(p + i * KT_PAGE + 64));
	gpu_expect_words(p, 100 * KT_PAGE, 1);
}

static void mmap_over_mapped_memory_shows_the_new(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	hold_pages(p, 4);
	assert_ptr_equal(mmap(p, 4 * KT_PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), p);
	fill_words(p, 4 * KT_PAGE, 2);
	/* XNACK off: the registration went with the old memory. */
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 2);
}

static void mremap_moves_data_with_the_address(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	q = mremap(p, 4 * KT_PAGE, 4 * KT_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   map_pages(4 * KT_PAGE));
	assert_true(q != MAP_FAILED && q != p);
	grant(q, 4 * KT_PAGE);
	gpu_expect_words(q, 4 * KT_PAGE, 1);
	gpu_write_words(q, 4 * KT_PAGE, 2);
	expect_words(q, 4 * KT_PAGE, 2);
	gpu_read_is_exception(p, EXC_ANY);
}

static void mprotect_cycle_keeps_sharing(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	assert_int_equal(mprotect(p, 4 * KT_PAGE, PROT_READ), 0);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	assert_int_equal(mprotect(p, 4 * KT_PAGE, PROT_READ | PROT_WRITE), 0);
	gpu_write_words(p, 4 * KT_PAGE, 2);
	expect_words(p, 4 * KT_PAGE, 2);
}

/* PROT_NONE and back, with nothing of the GPU on it in between. */
static void mprotect_none_and_back_keeps_sharing(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	assert_int_equal(mprotect(p, 4 * KT_PAGE, PROT_NONE), 0);
	gpu_write32(bounce.cpu, 1);	/* other memory goes on */
	assert_int_equal(mprotect(p, 4 * KT_PAGE, PROT_READ | PROT_WRITE), 0);
	/*
	 * XNACK off has no fault to map it again: the registration is renewed, as
	 * a program would; with XNACK on the access itself is enough.
	 */
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
}

static void munmap_in_a_huge_page_keeps_the_rest(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_huge(2 * KT_HUGE);
	fill_words(p, 2 * KT_HUGE, 1);
	grant(p, 2 * KT_HUGE);
	assert_int_equal(gpu_read32(p), *(uint32_t *)p);
	assert_int_equal(munmap(p + 37 * KT_PAGE, KT_PAGE), 0);
	/* XNACK off: zapping a part clears the whole leaf, but nobody may notice. */
	gpu_expect_words(p, 37 * KT_PAGE, 1);
	for (size_t at = 38 * KT_PAGE; at < 2 * KT_HUGE; at += 32 * KT_PAGE)
		assert_int_equal(gpu_read32(p + at), *(uint32_t *)(p + at));
	gpu_write32(p + KT_HUGE - 4, 0x1234);
	assert_int_equal(*(uint32_t *)(p + KT_HUGE - 4), 0x1234);
	gpu_read_is_exception(p + 37 * KT_PAGE, EXC_ANY);
}

/* What MADV_FREE marks waits in a list of this CPU, which MADV_PAGEOUT drains. */
static void stay_on_this_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * MADV_FREE makes pages clean and droppable. What the GPU writes afterwards
 * must make them dirty, or reclaim throws it away.
 */
static void gpu_writes_survive_madv_free_and_reclaim(void **state)
{
	char *p, *control;

	(void)state;
	gpu_open_queue();
	stay_on_this_cpu();
	p = map_huge(KT_HUGE);
	/* In another window of 2 MiB, so that no fault on p maps it, too. */
	control = map_huge(KT_HUGE);
	madvise(p, 8 * KT_PAGE, MADV_NOHUGEPAGE);
	madvise(control, 8 * KT_PAGE, MADV_NOHUGEPAGE);
	fill_words(p, 8 * KT_PAGE, 1);
	fill_words(control, 8 * KT_PAGE, 1);
	grant(p, 8 * KT_PAGE);
	gpu_expect_words(p, 8 * KT_PAGE, 1);
	assert_int_equal(madvise(p, 8 * KT_PAGE, MADV_FREE), 0);
	assert_int_equal(madvise(control, 8 * KT_PAGE, MADV_FREE), 0);
	gpu_write_words(p, 8 * KT_PAGE, 2);
	if (madvise(control, 8 * KT_PAGE, MADV_PAGEOUT))
		conf_skip("no MADV_PAGEOUT");
	assert_int_equal(madvise(p, 8 * KT_PAGE, MADV_PAGEOUT), 0);
	/* The control shows that reclaim really dropped clean pages just now. */
	if (words_are(control, KT_PAGE, 1))
		conf_skip("the kernel did not reclaim lazily freed pages");
	expect_words(p, 8 * KT_PAGE, 2);
	gpu_expect_words(p, 8 * KT_PAGE, 2);
}

static void gpu_writes_survive_pageout_attempts(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(16 * KT_PAGE);
	grant(p, 16 * KT_PAGE);
	for (uint32_t round = 1; round < 5; round++) {
		gpu_write_words(p, 16 * KT_PAGE, round);
		if (madvise(p, 16 * KT_PAGE, MADV_PAGEOUT))
			conf_skip("no MADV_PAGEOUT");
		gpu_expect_words(p, 16 * KT_PAGE, round);
		expect_words(p, 16 * KT_PAGE, round);
	}
}

static void cpu_changes_are_seen_between_jobs(void **state)
{
	volatile uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant((void *)p, KT_PAGE);
	for (uint32_t i = 0; i < 100; i++) {
		*p = i;
		assert_int_equal(gpu_read32((void *)p), i);
		gpu_write32((void *)(p + 1), ~i);
		assert_int_equal(p[1], ~i);
	}
}

static void heap_that_shrinks_and_grows_is_new_memory(void **state)
{
	char *brk0;

	(void)state;
	gpu_open_queue();
	brk0 = sbrk(0);
	brk0 = (char *)(((uintptr_t)brk0 + KT_PAGE - 1) & ~(KT_PAGE - 1));
	if (brk(brk0 + 4 * KT_PAGE))
		conf_skip("brk does not grow here");
	fill_words(brk0, 4 * KT_PAGE, 1);
	grant(brk0, 4 * KT_PAGE);
	gpu_expect_words(brk0, 4 * KT_PAGE, 1);
	hold_pages(brk0, 4);
	assert_int_equal(brk(brk0), 0);
	assert_int_equal(brk(brk0 + 4 * KT_PAGE), 0);
	grant(brk0, 4 * KT_PAGE);
	assert_int_equal(gpu_read32(brk0), 0);
	assert_int_equal(gpu_read32(brk0 + 3 * KT_PAGE), 0);
}

static void counters_count_faults(void **state)
{
	uint64_t before, after;
	char *p;

	(void)state;
	gpu_open_queue();
	if (kt_counter(&gpu, "faults", &before))
		conf_skip("this driver has no counters_%u/faults", gpu.gpu_id);
	/* Far apart: no window of one fault covers two of them. */
	p = map_pages(64 * KT_HUGE);
	for (unsigned int i = 0; i < 4; i++)
		gpu_write32(p + i * 16 * KT_HUGE, i);
	expect_ok(kt_counter(&gpu, "faults", &after));
	assert_true(after >= before + 4);
}

static const struct conf_case cases[] = {
	CASE(gpu_shares_malloc_memory, CONF_BOTH),
	CASE(gpu_shares_stack_memory, CONF_BOTH),
	CASE(gpu_shares_global_memory, CONF_BOTH),
	CASE(gpu_shares_huge_pages, CONF_BOTH),
	CASE(gpu_reads_untouched_memory_as_zeros, CONF_BOTH),
	CASE(gpu_shares_file_mapping, CONF_BOTH),
	CASE(gpu_shares_private_file_mapping, CONF_BOTH),
	CASE(gpu_shares_memory_of_other_processes, CONF_BOTH),
	CASE(cpu_changes_are_seen_between_jobs, CONF_BOTH),
	CASE(madvise_dontneed_shows_zeros, CONF_BOTH),
	CASE(madvise_dontneed_in_a_huge_page, CONF_BOTH),
	CASE(mmap_over_mapped_memory_shows_the_new, CONF_BOTH),
	CASE(mremap_moves_data_with_the_address, CONF_BOTH),
	CASE(mprotect_cycle_keeps_sharing, CONF_BOTH),
	CASE(mprotect_none_and_back_keeps_sharing, CONF_BOTH),
	CASE(munmap_in_a_huge_page_keeps_the_rest, CONF_BOTH),
	CASE(gpu_writes_survive_madv_free_and_reclaim, CONF_BOTH),
	CASE(gpu_writes_survive_pageout_attempts, CONF_BOTH),
	CASE(heap_that_shrinks_and_grows_is_new_memory, CONF_BOTH),
	CASE(counters_count_faults, CONF_ON),
};

CONF_GROUP(mm_group, cases);
