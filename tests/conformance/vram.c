// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where memory goes: by GPU fault, by preferred location, by prefetch. Each case checks
 * data and residency: the CPU's page table and the counters.
 */
#include <sys/mman.h>

#include "vram.h"

#define LEN (32 * KT_PAGE)

/* What comes back when the CPU looks at @npages pages. */
static uint64_t comes_back(uint64_t npages)
{
	return vram.kind == VRAM_PRIVATE ? npages : 0;
}

/* Not more than the window of the default granularity, and all of it. */
static void gpu_first_touch_moves_the_window(void **state)
{
	struct moves m;
	uint64_t used;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(2 * KT_HUGE);
	fill_words(p, 2 * KT_HUGE, 1);
	m = moves_now();
	used = vram_used();
	assert_int_equal(gpu_read32(p + 5 * KT_PAGE), seed_at(1, 5 * KT_PAGE));
	expect_in_vram(p, KT_HUGE, HUGE_PAGES);
	expect_in_vram(p + KT_HUGE, KT_HUGE, 0);
	expect_moves(&m, HUGE_PAGES, 0);
	assert_int_equal(vram_used() - used, KT_HUGE);
	gpu_expect_words(p, KT_HUGE, 1);
	gpu_write_words(p, LEN, 2);
	expect_moves(&m, 0, 0);
	expect_words(p, LEN, 2);
	expect_words(p + LEN, 2 * KT_HUGE - LEN, seed_at(1, LEN));
	expect_moves(&m, 0, comes_back(HUGE_PAGES));
}

static void gpu_write_of_untouched_memory_makes_it_in_vram(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(KT_HUGE);
	m = moves_now();
	gpu_write32(p + 64, 0x12345678);
	assert_true(page_in_vram(p));
	gpu_write32(p + 7 * KT_PAGE, 7);
	assert_int_equal(gpu_read32(p + 8 * KT_PAGE), 0);
	m = moves_now();
	assert_true(m.in > 0);
	assert_int_equal(m.in, in_vram(p, KT_HUGE));
	assert_int_equal(*(uint32_t *)(p + 64), 0x12345678);
	assert_int_equal(*(uint32_t *)(p + 7 * KT_PAGE), 7);
	for (size_t at = 9 * KT_PAGE; at < KT_HUGE; at += KT_PAGE)
		assert_int_equal(*(uint32_t *)(p + at), 0);
}

static void access_in_place_leaves_memory_in_ram(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	m = moves_now();
	set_attr(p, LEN, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	gpu_expect_words(p, LEN, 1);
	gpu_write_words(p, LEN, 2);
	expect_in_vram(p, LEN, 0);
	expect_moves(&m, 0, 0);
	expect_words(p, LEN, 2);
	/* And where it lives when that is VRAM. */
	prefetch(p, LEN);
	expect_moves(&m, LEN / KT_PAGE, 0);
	gpu_expect_words(p, LEN, 2);
	gpu_write_words(p, LEN, 3);
	expect_in_vram(p, LEN, LEN / KT_PAGE);
	expect_moves(&m, 0, 0);
	expect_words(p, LEN, 3);
}

static void preferred_system_memory_stays_in_ram(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	m = moves_now();
	vram_register(p, LEN);
	set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	gpu_expect_words(p, LEN, 1);
	gpu_write_words(p, LEN, 2);
	expect_in_vram(p, LEN, 0);
	expect_moves(&m, 0, 0);
	expect_words(p, LEN, 2);
}

/* Memory that is in VRAM goes to the preferred location on the next fault. */
static void preferred_system_memory_brings_it_back_on_a_fault(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	m = moves_now();
	set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	/* Whether mapped or not: after this it is not, so there is a fault. */
	assert_int_equal(mprotect(p, LEN, PROT_READ), 0);
	assert_int_equal(mprotect(p, LEN, PROT_READ | PROT_WRITE), 0);
	gpu_expect_words(p, LEN, 1);
	expect_in_vram(p, LEN, 0);
	expect_moves(&m, 0, LEN / KT_PAGE);
}

static void preferred_gpu_moves_what_is_in_place_on_a_fault(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	set_attr(p, LEN, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, gpu.gpu_id);
	assert_int_equal(mprotect(p, LEN, PROT_READ), 0);
	assert_int_equal(mprotect(p, LEN, PROT_READ | PROT_WRITE), 0);
	gpu_expect_words(p, LEN, 1);
	expect_in_vram(p, LEN, LEN / KT_PAGE);
	expect_words(p, LEN, 1);
}

/* Upstream asks for the preferred location first and lets the access through. */
static void refused_whatever_is_preferred(uint32_t preferred)
{
	struct moves m;
	char *p;

	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, preferred);
	set_attr(p, LEN, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id);
	m = moves_now();
	gpu_read_is_exception(p, EXC_ANY);
	expect_moves(&m, 0, 0);
	expect_words(p, LEN, 1);
}

static void no_access_is_refused_if_system_memory_is_preferred(void **state)
{
	(void)state;
	gpu_open_queue();
	refused_whatever_is_preferred(KFD_SVM_LOC_SYSMEM);
}

static void no_access_is_refused_if_the_gpu_is_preferred(void **state)
{
	(void)state;
	gpu_open_queue();
	refused_whatever_is_preferred(gpu.gpu_id);
}

static void no_access_is_refused_in_vram(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	gpu_expect_words(p, LEN, 1);
	set_attr(p, LEN, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id);
	gpu_read_is_exception(p, EXC_ANY);
	expect_words(p, LEN, 1);
}

static void prefetch_moves_what_is_missing_only(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	m = moves_now();
	prefetch(p, LEN / 2);
	expect_moves(&m, LEN / KT_PAGE / 2, 0);
	expect_in_vram(p, LEN, LEN / KT_PAGE / 2);
	gpu_expect_words(p, LEN / 2, 1);
	m = moves_now();
	prefetch(p, LEN);
	expect_moves(&m, LEN / KT_PAGE / 2, 0);
	expect_in_vram(p, LEN, LEN / KT_PAGE);
	prefetch(p, LEN);
	expect_moves(&m, 0, 0);
	gpu_expect_words(p, LEN, 1);
	expect_words(p, LEN, 1);
}

static void prefetch_to_system_memory_brings_all_back(void **state)
{
	const size_t len = KT_HUGE + LEN;
	struct moves m;
	uint64_t used;
	char *p;

	(void)state;
	gpu_open_queue();
	used = vram_used();
	p = vram_filled(len, 1);
	assert_int_equal(vram_used() - used, len);
	gpu_write_words(p, LEN, 2);
	m = moves_now();
	prefetch_back(p, len);
	expect_in_vram(p, len, 0);
	expect_moves(&m, 0, len / KT_PAGE);
	expect_vram_used(used);
	expect_words(p, LEN, 2);
	expect_words(p + LEN, len - LEN, seed_at(1, LEN));
	prefetch_back(p, len);
	expect_moves(&m, 0, 0);
}

/* Upstream moves it again with each SET, whatever that sets. */
static void prefetch_acts_only_in_the_call_that_has_it(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	m = moves_now();
	expect_words(p, LEN, 1);
	expect_moves(&m, 0, LEN / KT_PAGE);
	set_attr(p, LEN, KFD_SVM_ATTR_GRANULARITY, 5);
	set_attr(p, LEN, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_COHERENT);
	set_attr(p, LEN, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	set_attr(p, LEN, KFD_SVM_ATTR_CLR_FLAGS, KFD_SVM_FLAG_GPU_RO);
	expect_moves(&m, 0, 0);
	expect_in_vram(p, LEN, 0);
	gpu_expect_words(p, LEN, 1);
}

static void cpu_touch_brings_back_its_window_only(void **state)
{
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(2 * KT_HUGE, 1);
	gpu_expect_words(p + KT_HUGE, LEN, seed_at(1, KT_HUGE));
	m = moves_now();
	cpu_touch(p + 100 * KT_PAGE);
	expect_moves(&m, 0, HUGE_PAGES);
	expect_in_vram(p, KT_HUGE, 0);
	expect_in_vram(p + KT_HUGE, KT_HUGE, HUGE_PAGES);
	/* Both halves of the one range are right: for the GPU, then for the CPU. */
	gpu_expect_words(p + KT_HUGE - LEN, 2 * LEN, seed_at(1, KT_HUGE - LEN));
	expect_words(p, 2 * KT_HUGE, 1);
}

/* Windows of 64 KiB go and come one by one. */
static void granularity_is_the_window_in_both_directions(void **state)
{
	const size_t window = 16 * KT_PAGE;
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(8 * window);
	fill_words(p, 8 * window, 1);
	vram_register(p, 8 * window);
	set_attr(p, 8 * window, KFD_SVM_ATTR_GRANULARITY, 4);
	m = moves_now();
	for (unsigned int i = 0; i < 8; i += 2) {
		gpu_read32(p + i * window + 3 * KT_PAGE);
		expect_moves(&m, 16, 0);
		expect_in_vram(p + i * window, window, 16);
	}
	expect_in_vram(p, 8 * window, 4 * 16);
	cpu_touch(p + 2 * window + 15 * KT_PAGE);
	expect_moves(&m, 0, 16);
	expect_in_vram(p + 2 * window, window, 0);
	expect_in_vram(p, 8 * window, 3 * 16);
	expect_words(p, 8 * window, 1);
}

/* Every other page cannot move: one range, two kinds of memory, both modes. */
static void pages_of_one_range_may_be_in_both(void **state)
{
	const size_t npages = 24;
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(npages * KT_PAGE);
	fill_words(p, npages * KT_PAGE, 1);
	vram_register(p, npages * KT_PAGE);
	for (size_t i = 0; i < npages; i += 2)
		hold_pages(p + i * KT_PAGE, 1);
	m = moves_now();
	prefetch(p, npages * KT_PAGE);
	expect_moves(&m, npages / 2, 0);
	for (size_t i = 0; i < npages; i++)
		assert_int_equal(page_in_vram(p + i * KT_PAGE), i % 2);
	gpu_expect_words(p, npages * KT_PAGE, 1);
	gpu_write_words(p, npages * KT_PAGE, 2);
	expect_words(p, npages * KT_PAGE, 2);
	gpu_expect_words(p, npages * KT_PAGE, 2);
}

static uint32_t prefetch_location(void *p, size_t len)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_PREFETCH_LOC };

	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, len, 1, &a));
	return a.value;
}

/* GET tells what was asked for last, not where memory is. */
static void get_tells_the_prefetch_that_was_asked_for(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	vram_register(p, LEN);
	assert_int_equal(prefetch_location(p, LEN), KFD_SVM_LOC_UNDEFINED);
	memset(p, 1, LEN);
	prefetch(p, LEN);
	assert_int_equal(prefetch_location(p, LEN), gpu.gpu_id);
	memset(p, 2, LEN);
	assert_int_equal(prefetch_location(p, LEN), gpu.gpu_id);
	prefetch_back(p, LEN / 2);
	assert_int_equal(prefetch_location(p, LEN), KFD_SVM_LOC_UNDEFINED);
	assert_int_equal(prefetch_location(p, LEN / 2), KFD_SVM_LOC_SYSMEM);
	assert_int_equal(prefetch_location(p + LEN / 2, LEN / 2), gpu.gpu_id);
}

static void gpu_read_only_holds_in_vram(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	gpu_write_words(p, LEN, 2);
	set_attr(p, LEN, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_RO);
	gpu_expect_words(p, LEN, 2);
	expect_in_vram(p, LEN, LEN / KT_PAGE);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, LEN, 2);
}

/* No queue may exist; what was in VRAM is seen in the other mode. */
static void vram_is_seen_after_switching_modes(void **state)
{
	int32_t other = !xnack_on();
	char *p;

	(void)state;
	gpu_open();
	p = vram_filled(LEN, 1);
	expect_ok(kt_xnack(gpu.kfd, &other));
	expect_in_vram(p, LEN, LEN / KT_PAGE);
	expect_ok(kt_bo_gtt(&gpu, BOUNCE_LEN, &bounce));
	expect_ok(kt_queue_create(&gpu, KT_PAGE, &sdma));
	expect_ok(gpu_try_copy(bounce.cpu, p, BOUNCE_LEN));
	expect_words(bounce.cpu, BOUNCE_LEN, 1);
	expect_words(p, LEN, 1);
	expect_ok(gpu_try_copy(bounce.cpu, p + LEN - KT_PAGE, KT_PAGE));
	expect_words(bounce.cpu, KT_PAGE, seed_at(1, LEN - KT_PAGE));
}

static const struct conf_case cases[] = {
	CASE(gpu_first_touch_moves_the_window, CONF_ON | CONF_VRAM),
	CASE(gpu_write_of_untouched_memory_makes_it_in_vram, CONF_ON | CONF_VRAM),
	CASE(access_in_place_leaves_memory_in_ram, CONF_BOTH | CONF_VRAM),
	CASE(preferred_system_memory_stays_in_ram, CONF_BOTH | CONF_VRAM),
	CASE(preferred_system_memory_brings_it_back_on_a_fault, CONF_ON | CONF_VRAM),
	CASE(preferred_gpu_moves_what_is_in_place_on_a_fault, CONF_ON | CONF_VRAM),
	CASE(no_access_is_refused_if_system_memory_is_preferred, CONF_BOTH | CONF_VRAM),
	CASE(no_access_is_refused_if_the_gpu_is_preferred, CONF_BOTH | CONF_VRAM),
	CASE(no_access_is_refused_in_vram, CONF_BOTH | CONF_VRAM),
	CASE(prefetch_moves_what_is_missing_only, CONF_BOTH | CONF_VRAM),
	CASE(prefetch_to_system_memory_brings_all_back, CONF_BOTH | CONF_VRAM),
	CASE(prefetch_acts_only_in_the_call_that_has_it, CONF_BOTH | CONF_FAULT_BACK),
	CASE(cpu_touch_brings_back_its_window_only, CONF_BOTH | CONF_FAULT_BACK),
	CASE(granularity_is_the_window_in_both_directions, CONF_ON | CONF_FAULT_BACK),
	CASE(pages_of_one_range_may_be_in_both, CONF_BOTH | CONF_VRAM),
	CASE(get_tells_the_prefetch_that_was_asked_for, CONF_BOTH | CONF_VRAM),
	CASE(gpu_read_only_holds_in_vram, CONF_BOTH | CONF_VRAM),
	CASE(vram_is_seen_after_switching_modes, CONF_ON | CONF_VRAM),
};

CONF_GROUP(vram_group, cases);
