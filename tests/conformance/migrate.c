// SPDX-License-Identifier: GPL-2.0-only
/* What the CPU does to memory that is in VRAM. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "vram.h"

#define LEN (32 * KT_PAGE)
#define PAGES (LEN / KT_PAGE)

static void munmap_of_the_middle_in_vram_keeps_both_sides(void **state)
{
	uint64_t used;
	char *p;

	(void)state;
	gpu_open_queue();
	used = vram_used();
	p = vram_filled(LEN, 1);
	assert_int_equal(munmap(p + 8 * KT_PAGE, 16 * KT_PAGE), 0);
	expect_vram_used(used + 16 * KT_PAGE);
	expect_in_vram(p, 8 * KT_PAGE, 8);
	expect_in_vram(p + 24 * KT_PAGE, 8 * KT_PAGE, 8);
	gpu_expect_words(p, 8 * KT_PAGE, 1);
	gpu_write_words(p, 8 * KT_PAGE, 2);
	gpu_expect_words(p + 24 * KT_PAGE, 8 * KT_PAGE, seed_at(1, 24 * KT_PAGE));
	expect_words(p, 8 * KT_PAGE, 2);
	expect_words(p + 24 * KT_PAGE, 8 * KT_PAGE, seed_at(1, 24 * KT_PAGE));
	gpu_read_is_exception(p + 12 * KT_PAGE, EXC_ANY);
}

/* One leaf of the GPU, one chunk of VRAM: cut by the CPU. */
static void munmap_of_a_page_in_a_window_of_vram(void **state)
{
	uint64_t used;
	char *p;

	(void)state;
	gpu_open_queue();
	used = vram_used();
	p = vram_filled(KT_HUGE, 1);
	assert_int_equal(gpu_read32(p), seed_at(1, 0));
	assert_int_equal(munmap(p + 37 * KT_PAGE, KT_PAGE), 0);
	expect_vram_used(used + KT_HUGE - KT_PAGE);
	gpu_expect_words(p, 37 * KT_PAGE, 1);
	gpu_expect_words(p + 38 * KT_PAGE, LEN, seed_at(1, 38 * KT_PAGE));
	gpu_write32(p + KT_HUGE - 4, 0x1234);
	expect_words(p, 37 * KT_PAGE, 1);
	assert_int_equal(*(uint32_t *)(p + KT_HUGE - 4), 0x1234);
	assert_int_equal(munmap(p, 37 * KT_PAGE), 0);
	assert_int_equal(munmap(p + 38 * KT_PAGE, KT_HUGE - 38 * KT_PAGE), 0);
	expect_vram_used(used);
}

static void mprotect_read_only_in_vram_is_read_only(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	gpu_write_words(p, LEN, 2);
	assert_int_equal(mprotect(p, LEN, PROT_READ), 0);
	gpu_expect_words(p, LEN, 2);
	expect_words(p, LEN, 2);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	assert_int_equal(mprotect(p, LEN, PROT_READ | PROT_WRITE), 0);
	expect_words(p, LEN, 2);
	*p = 1;
}

static void mprotect_none_in_vram_is_no_access(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	gpu_expect_words(p, LEN, 1);
	assert_int_equal(mprotect(p, LEN, PROT_NONE), 0);
	gpu_read_is_exception(p + 3 * KT_PAGE, EXC_ANY);
	assert_int_equal(mprotect(p, LEN, PROT_READ | PROT_WRITE), 0);
	expect_words(p, LEN, 1);
}

static void mprotect_none_and_back_in_vram_loses_nothing(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	gpu_write_words(p, LEN, 2);
	assert_int_equal(mprotect(p, LEN, PROT_NONE), 0);
	gpu_write32(bounce.cpu, 1);	/* other memory goes on */
	assert_int_equal(mprotect(p, LEN, PROT_READ | PROT_WRITE), 0);
	vram_register(p, LEN);
	gpu_expect_words(p, LEN, 2);
	expect_words(p, LEN, 2);
}

static void dontneed_frees_vram_and_shows_zeros(void **state)
{
	uint64_t used, avail;
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	used = vram_used();
	avail = vram_free();
	p = vram_filled(2 * KT_HUGE, 1);
	assert_int_equal(vram_used() - used, 2 * KT_HUGE);
	assert_true(vram_free() <= avail - 2 * KT_HUGE);
	m = moves_now();
	assert_int_equal(madvise(p, 2 * KT_HUGE, MADV_DONTNEED), 0);
	expect_vram_used(used);
	expect_vram_free(avail);
	/* Dropped, not brought back. */
	expect_moves(&m, 0, 0);
	for (size_t at = 0; at < 2 * KT_HUGE; at += 64 * KT_PAGE)
		assert_int_equal(gpu_read32(p + at), 0);
	assert_int_equal(*(uint32_t *)(p + KT_HUGE), 0);
	fill_words(p, LEN, 2);
	gpu_expect_words(p, LEN, 2);
}

static void dontneed_of_a_part_frees_that_part(void **state)
{
	uint64_t used;
	char *p;

	(void)state;
	gpu_open_queue();
	used = vram_used();
	p = vram_filled(KT_HUGE, 1);
	gpu_expect_words(p, LEN, 1);
	assert_int_equal(madvise(p + 100 * KT_PAGE, LEN, MADV_DONTNEED), 0);
	expect_vram_used(used + KT_HUGE - LEN);
	for (size_t at = 0; at < LEN; at += KT_PAGE)
		assert_int_equal(gpu_read32(p + 100 * KT_PAGE + at), 0);
	gpu_expect_words(p + 68 * KT_PAGE, LEN, seed_at(1, 68 * KT_PAGE));
	gpu_expect_words(p + 100 * KT_PAGE + LEN, LEN, seed_at(1, 100 * KT_PAGE + LEN));
	expect_words(p, 100 * KT_PAGE, 1);
	expect_words(p + 100 * KT_PAGE + LEN, LEN, seed_at(1, 100 * KT_PAGE + LEN));
}

static char *move_away(char *p, size_t len)
{
	char *q = vram_map(len);

	assert_ptr_equal(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, q), q);
	return q;
}

/* Upstream looks pages up by address, finds none at the new one, and says SIGBUS. */
static void mremap_in_vram_keeps_data_for_the_cpu(void **state)
{
	uint64_t used;
	char *p, *q;

	(void)state;
	gpu_open_queue();
	used = vram_used();
	p = vram_filled(LEN, 1);
	gpu_write_words(p, LEN, 2);
	q = move_away(p, LEN);
	expect_in_vram(q, LEN, PAGES);
	expect_words(q, LEN, 2);
	if (vram.kind == VRAM_PRIVATE)
		expect_vram_used(used);
	fill_words(q, LEN, 3);
	vram_register(q, LEN);
	gpu_expect_words(q, LEN, 3);
	gpu_read_is_exception(p, EXC_ANY);
}

static void mremap_in_vram_keeps_data_for_the_gpu(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	q = move_away(p, LEN);
	vram_register(q, LEN);
	gpu_expect_words(q, LEN, 1);
	expect_in_vram(q, LEN, PAGES);
	gpu_write_words(q, LEN, 2);
	expect_words(q, LEN, 2);
	gpu_expect_words(q, LEN, 2);
}

/* Half of a window goes elsewhere; the CPU faults in both. */
static void mremap_of_half_a_window_in_vram(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open_queue();
	p = vram_filled(KT_HUGE, 1);
	q = move_away(p + KT_HUGE / 2, KT_HUGE / 2);
	expect_in_vram(p, KT_HUGE / 2, HUGE_PAGES / 2);
	expect_in_vram(q, KT_HUGE / 2, HUGE_PAGES / 2);
	expect_words(q, KT_HUGE / 2, seed_at(1, KT_HUGE / 2));
	expect_words(p, KT_HUGE / 2, 1);
	fill_words(q, LEN, 7);
	vram_register(q, LEN);
	prefetch(q, LEN);
	gpu_expect_words(q, LEN, 7);
	gpu_expect_words(p, LEN, 1);
}

/* The kernel reads and writes memory for the program, too. */
static void system_calls_reach_memory_in_vram(void **state)
{
	static char copy[LEN];
	int fds[2];
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], p, 8 * KT_PAGE), 8 * KT_PAGE);
	assert_int_equal(read(fds[0], copy, 8 * KT_PAGE), 8 * KT_PAGE);
	expect_words(copy, 8 * KT_PAGE, 1);
	prefetch(p, LEN);
	fill_words(copy, 8 * KT_PAGE, 2);
	assert_int_equal(write(fds[1], copy, 8 * KT_PAGE), 8 * KT_PAGE);
	assert_int_equal(read(fds[0], p + 8 * KT_PAGE, 8 * KT_PAGE), 8 * KT_PAGE);
	gpu_expect_words(p + 8 * KT_PAGE, 8 * KT_PAGE, 2);
	/* As a debugger does, page by page. */
	prefetch(p, LEN);
	{
		struct iovec mine = { copy, LEN }, its = { p, LEN };

		assert_int_equal(process_vm_readv(getpid(), &mine, 1, &its, 1, 0), LEN);
	}
	expect_words(copy, 8 * KT_PAGE, 1);
	expect_words(copy + 8 * KT_PAGE, 8 * KT_PAGE, 2);
	expect_words(copy + 16 * KT_PAGE, 16 * KT_PAGE, seed_at(1, 16 * KT_PAGE));
}

/* A pipe takes a page by reference: it must have one of RAM, with what was in VRAM. */
static void pinning_brings_memory_back(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(16 * KT_PAGE, 1);
	m = moves_now();
	hold_pages(p, 16);
	expect_in_vram(p, 16 * KT_PAGE, 0);
	expect_moves(&m, 0, 16);
	prefetch(p, 16 * KT_PAGE);
	expect_in_vram(p, 16 * KT_PAGE, 0);
	gpu_expect_words(p, 16 * KT_PAGE, 1);
	expect_words(p, 16 * KT_PAGE, 1);
}

/* Ours leaves that to whoever trusts the kernel with it: hmm_mirror.huge. */
static void need_huge_moves(void)
{
	char text[8];

	if (kt_read_file("/sys/module/hmm_mirror/parameters/huge", text,
			 sizeof(text)) > 0 && text[0] == 'N')
		conf_skip("huge pages are moved in pieces (hmm_mirror.huge is off)");
}

static void huge_page_moves_whole_and_comes_back_whole(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	need_huge_moves();
	gpu_open_queue();
	p = vram_map_thp(KT_HUGE);
	fill_words(p, KT_HUGE, 1);
	vram_register(p, KT_HUGE);
	m = moves_now();
	if (xnack_on())
		gpu_read32(p);
	else
		prefetch(p, KT_HUGE);
	expect_moves(&m, HUGE_PAGES, 0);
	expect_in_vram(p, KT_HUGE, HUGE_PAGES);
	gpu_expect_words(p, KT_HUGE, 1);
	gpu_write_words(p, LEN, 2);
	expect_words(p, LEN, 2);
	expect_moves(&m, 0, HUGE_PAGES);
	assert_int_equal(thp_kib(p), KT_HUGE >> 10);
	expect_words(p + LEN, KT_HUGE - LEN, seed_at(1, LEN));
	gpu_expect_words(p, LEN, 2);
}

/* A part of a huge page, and a huge page in a range that is not aligned. */
static void huge_page_moves_in_part(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map_thp(2 * KT_HUGE);
	fill_words(p, 2 * KT_HUGE, 1);
	vram_register(p + KT_PAGE, 2 * KT_HUGE - 2 * KT_PAGE);
	m = moves_now();
	prefetch(p + KT_PAGE, KT_HUGE);
	expect_moves(&m, HUGE_PAGES, 0);
	expect_in_vram(p, KT_PAGE, 0);
	expect_in_vram(p + KT_PAGE, KT_HUGE, HUGE_PAGES);
	expect_in_vram(p + KT_HUGE + KT_PAGE, KT_HUGE - KT_PAGE, 0);
	gpu_expect_words(p + KT_PAGE, LEN, seed_at(1, KT_PAGE));
	gpu_expect_words(p + KT_HUGE, LEN, seed_at(1, KT_HUGE));
	gpu_write_words(p + KT_HUGE, 2 * KT_PAGE, 9);
	expect_words(p + KT_HUGE, 2 * KT_PAGE, 9);
	expect_words(p, KT_HUGE, 1);
}

/* Queues stop and go on when the CPU takes memory back; no job is lost. */
static void queues_go_on_after_a_cpu_touch(void **state)
{
	struct moves m;
	char *p, *dst;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	dst = vram_map(LEN);
	memset(dst, 0, LEN);
	vram_register(dst, LEN);
	for (uint32_t round = 2; round < 12; round++) {
		for (unsigned int i = 0; i < 20; i++)
			gpu_copy_async(dst, p, LEN);
		fill_words(p, LEN, round);
		gpu_wait();
		gpu_copy(dst, p, LEN);
		expect_words(dst, LEN, round);
		prefetch(p, LEN);
	}
	m = moves_now();
	/* The CPU leaves coherent memory where it is. */
	assert_true(m.in >= (vram.kind == VRAM_PRIVATE ? 11 * PAGES : PAGES));
}

static const struct conf_case cases[] = {
	CASE(munmap_of_the_middle_in_vram_keeps_both_sides, CONF_BOTH | CONF_VRAM),
	CASE(munmap_of_a_page_in_a_window_of_vram, CONF_BOTH | CONF_VRAM),
	CASE(mprotect_read_only_in_vram_is_read_only, CONF_BOTH | CONF_VRAM),
	CASE(mprotect_none_in_vram_is_no_access, CONF_BOTH | CONF_VRAM),
	CASE(mprotect_none_and_back_in_vram_loses_nothing, CONF_BOTH | CONF_VRAM),
	CASE(dontneed_frees_vram_and_shows_zeros, CONF_BOTH | CONF_VRAM),
	CASE(dontneed_of_a_part_frees_that_part, CONF_BOTH | CONF_VRAM),
	CASE(mremap_in_vram_keeps_data_for_the_cpu, CONF_BOTH | CONF_VRAM),
	CASE(mremap_in_vram_keeps_data_for_the_gpu, CONF_BOTH | CONF_VRAM),
	CASE(mremap_of_half_a_window_in_vram, CONF_BOTH | CONF_VRAM),
	CASE(system_calls_reach_memory_in_vram, CONF_BOTH | CONF_VRAM),
	CASE(pinning_brings_memory_back, CONF_BOTH | CONF_FAULT_BACK),
	CASE(huge_page_moves_whole_and_comes_back_whole, CONF_BOTH | CONF_FAULT_BACK),
	CASE(huge_page_moves_in_part, CONF_BOTH | CONF_VRAM),
	CASE(queues_go_on_after_a_cpu_touch, CONF_BOTH | CONF_VRAM),
};

CONF_GROUP(migrate_group, cases);
