// SPDX-License-Identifier: GPL-2.0-only
/* SDMA packets on ordinary memory. */
#include <sys/mman.h>

#include "conf.h"

static uint32_t dw[64];

static void nop_with_payload_is_skipped(void **state)
{
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	*p = 1;
	for (unsigned int payload = 0; payload < 32; payload++)
		expect_ok(kt_queue_emit(&sdma, dw, kt_sdma_nop(dw, payload)));
	gpu_write32(p, 2);
	assert_int_equal(*p, 2);
}

static void copy_of_any_alignment_moves_exactly_its_bytes(void **state)
{
	static const struct { unsigned int src, dst, len; } c[] = {
		{ 0, 0, 1 }, { 1, 3, 2 }, { 3, 1, 3 }, { 4095, 0, 2 }, { 0, 4095, 2 },
		{ 5, 4093, 7 }, { 1, 2, 4096 }, { 4095, 4094, 8195 }, { 63, 65, 127 },
		{ 0, 0, 12288 },
	};
	unsigned char *src, *dst;

	(void)state;
	gpu_open_queue();
	src = map_pages(8 * KT_PAGE);
	dst = map_pages(8 * KT_PAGE);
	grant(src, 8 * KT_PAGE);
	grant(dst, 8 * KT_PAGE);
	for (unsigned int i = 0; i < 8 * KT_PAGE; i++)
		src[i] = (unsigned char)(i * 7 + i / 251);
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(c); i++) {
		memset(dst, 0xee, 8 * KT_PAGE);
		gpu_copy(dst + c[i].dst, src + c[i].src, c[i].len);
		assert_memory_equal(dst + c[i].dst, src + c[i].src, c[i].len);
		for (unsigned int j = 0; j < 8 * KT_PAGE; j++)
			if ((j < c[i].dst || j >= c[i].dst + c[i].len) && dst[j] != 0xee)
				fail_msg("copy %u wrote byte %u outside", i, j);
	}
}

static void copy_of_1_to_16_mib(void **state)
{
	const size_t most = 16UL << 20;
	uint32_t *src, *dst;

	(void)state;
	gpu_open_queue();
	src = map_huge(most);
	dst = map_huge(most);
	fill_words(src, most, 77);
	grant(src, most);
	grant(dst, most);
	for (size_t len = 1UL << 20; len <= most; len <<= 2) {
		gpu_copy(dst, src, len);
		assert_memory_equal(dst, src, len);
		/* Nothing after it: the rest was never written. */
		if (len < most)
			assert_int_equal(dst[len / 4], 0);
		madvise(dst, most, MADV_DONTNEED);
	}
}

/* The engine reads and writes upwards: a move to lower addresses is a memmove. */
static void copy_between_overlapping_pages(void **state)
{
	const size_t len = 6 * KT_PAGE;
	unsigned char *p, *want;

	(void)state;
	gpu_open_queue();
	p = map_pages(len);
	want = malloc(len);
	assert_non_null(want);
	for (unsigned int i = 0; i < len; i++)
		p[i] = (unsigned char)(i * 13 + i / 256);
	memcpy(want, p, len);
	grant(p, len);
	memmove(want + 2048, want + KT_PAGE + 2048, 3 * KT_PAGE);
	gpu_copy(p + 2048, p + KT_PAGE + 2048, 3 * KT_PAGE);
	assert_memory_equal(p, want, len);
	free(want);
}

static void copy_within_one_page(void **state)
{
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, 2048, 5);
	grant(p, KT_PAGE);
	gpu_copy(p + 512, p, 2048);
	expect_words(p, 2048, 5);
	expect_words(p + 512, 2048, 5);
}

static void copy_broadcast_writes_both(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(3 * KT_PAGE);
	fill_words(p, KT_PAGE, 6);
	grant(p, 3 * KT_PAGE);
	gpu_submit(dw, kt_sdma_copy_broadcast(dw, (uintptr_t)p + KT_PAGE,
					      (uintptr_t)p + 2 * KT_PAGE, (uintptr_t)p,
					      KT_PAGE));
	gpu_wait();
	expect_words(p + KT_PAGE, KT_PAGE, 6);
	expect_words(p + 2 * KT_PAGE, KT_PAGE, 6);
}

static void write_linear_across_a_page(void **state)
{
	uint32_t data[40], pkt[64], *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(2 * KT_PAGE);
	grant(p, 2 * KT_PAGE);
	fill_words(data, sizeof(data), 8);
	gpu_submit(pkt, kt_sdma_write(pkt, (uintptr_t)p + KT_PAGE - 60, data, 40));
	gpu_wait();
	expect_words((char *)p + KT_PAGE - 60, sizeof(data), 8);
	assert_int_equal(p[(KT_PAGE - 60) / 4 - 1], 0);
	assert_int_equal(p[(KT_PAGE - 60) / 4 + 40], 0);
}

static void const_fill_counts_exactly(void **state)
{
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	grant(p, 4 * KT_PAGE);
	for (unsigned int words = 1; words < 4000; words = words * 3 + 1) {
		memset(p, 0, 4 * KT_PAGE);
		gpu_fill(p + 1, 0xfeedface, words * 4);
		assert_int_equal(p[0], 0);
		assert_int_equal(p[1], 0xfeedface);
		assert_int_equal(p[words], 0xfeedface);
		assert_int_equal(p[words + 1], 0);
	}
}

static void const_fill_takes_both_ways_to_count(void **state)
{
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	/* The runtime writes (dwords - 1) * 4 where kfdtest writes bytes - 1. */
	kt_sdma_fill(dw, (uintptr_t)p, 0x01020304, 400);
	dw[4] = (100 - 1) * 4;
	gpu_submit(dw, 5);
	gpu_wait();
	assert_int_equal(p[99], 0x01020304);
	assert_int_equal(p[100], 0);
}

static void fence_writes_after_the_packets_before_it(void **state)
{
	volatile uint32_t *fence;
	char *src, *dst;

	(void)state;
	gpu_open_queue();
	src = map_huge(KT_HUGE);
	dst = map_huge(KT_HUGE);
	fence = map_pages(KT_PAGE);
	*fence = 0;
	fill_words(src, KT_HUGE, 12);
	grant(src, KT_HUGE);
	grant(dst, KT_HUGE);
	grant((void *)fence, KT_PAGE);
	expect_ok(kt_queue_emit(&sdma, dw, kt_sdma_copy(dw, (uintptr_t)dst,
							(uintptr_t)src, KT_HUGE)));
	gpu_submit(dw, kt_sdma_fence(dw, (uintptr_t)fence, 0x600d));
	assert_true(kt_wait_for(*fence == 0x600d, KT_WAIT_MS));
	/* The fence is seen: so is the copy, though the queue may not be idle yet. */
	expect_words(dst, KT_HUGE, 12);
	gpu_wait();
}

static void trap_signals_an_event(void **state)
{
	uint64_t *slot;
	uint32_t id;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id));
	slot = (uint64_t *)gpu.events.cpu + id;
	for (int round = 0; round < 3; round++) {
		expect_ret(kt_event_wait(&gpu, id, 0, NULL), -ETIME);
		expect_ok(kt_queue_emit(&sdma, dw,
					kt_sdma_fence(dw, (uintptr_t)slot, id)));
		gpu_submit(dw, kt_sdma_trap(dw, id));
		expect_ok(kt_event_wait(&gpu, id, KT_WAIT_MS, NULL));
		/* The handler made the slot unsignalled again. */
		assert_true(*(volatile uint64_t *)slot == ~0ULL);
	}
}

static void trap_without_slot_signals_nothing(void **state)
{
	uint32_t id, marker;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id));
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &marker));
	expect_ok(kt_queue_emit(&sdma, dw, kt_sdma_trap(dw, id)));
	expect_ok(kt_queue_emit(&sdma, dw, kt_sdma_fence(dw, (uintptr_t)gpu.events.cpu +
							 marker * 8, marker)));
	gpu_submit(dw, kt_sdma_trap(dw, marker));
	/* The second interrupt has been handled, so the first has, too. */
	expect_ok(kt_event_wait(&gpu, marker, KT_WAIT_MS, NULL));
	expect_ret(kt_event_wait(&gpu, id, 0, NULL), -ETIME);
}

static void poll_waits_for_each_function(void **state)
{
	/* For each: a value that does not satisfy it, and one that does. */
	static const struct { uint32_t func, ref, before, after; } c[] = {
		{ KT_POLL_LT, 10, 10, 9 }, { KT_POLL_LE, 10, 11, 10 },
		{ KT_POLL_EQ, 10, 9, 10 }, { KT_POLL_NE, 10, 10, 11 },
		{ KT_POLL_GE, 10, 9, 10 }, { KT_POLL_GT, 10, 10, 11 },
	};
	volatile uint32_t *p, *done;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	done = p + 16;
	grant((void *)p, KT_PAGE);
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(c); i++) {
		/* Only the bits of the mask count. */
		*p = c[i].before | 0xff00;
		*done = 0;
		expect_ok(kt_queue_emit(&sdma, dw, kt_sdma_write1(dw, (uintptr_t)(done + 1),
								  i + 1)));
		expect_ok(kt_queue_emit(&sdma, dw,
					kt_sdma_poll(dw, (uintptr_t)p, c[i].func,
						     c[i].ref, 0xff)));
		gpu_submit(dw, kt_sdma_write1(dw, (uintptr_t)done, 1));
		assert_true(kt_wait_for(done[1] == i + 1, KT_WAIT_MS));
		/*
		 * Nothing may happen now. A queue that ignores the poll needs less
		 * than this for the next packet; longer would not tell more.
		 */
		assert_false(kt_wait_for(*done, 50));
		*p = c[i].after | 0xff00;
		gpu_wait();
		assert_int_equal(*done, 1);
	}
}

static void poll_that_always_holds_does_not_wait(void **state)
{
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	gpu_submit(dw, kt_sdma_poll(dw, (uintptr_t)p, KT_POLL_ALWAYS, 1, ~0u));
	/* The runtime's HDP flush: a poll without memory, address 0. */
	kt_sdma_poll(dw, 0, KT_POLL_ALWAYS, 0x80000000, 0);
	dw[0] = 8;
	dw[1] = 0;
	dw[2] = 0x80000000;
	dw[3] = dw[4] = dw[5] = 0;
	gpu_submit(dw, 6);
	gpu_write32(p, 5);
	assert_int_equal(*p, 5);
}

static void parked_poll_does_not_block_another_queue(void **state)
{
	struct kt_queue waiter;
	volatile uint32_t *p;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_queue_create(&gpu, 4096, &waiter));
	p = map_pages(KT_PAGE);
	*p = 0;
	grant((void *)p, KT_PAGE);
	expect_ok(kt_queue_emit(&waiter, dw,
				kt_sdma_poll(dw, (uintptr_t)p, KT_POLL_EQ, 1, ~0u)));
	kt_queue_ring(&waiter);
	for (uint32_t i = 2; i < 10; i++) {
		gpu_write32((void *)(p + 8), i);
		assert_int_equal(p[8], i);
	}
	assert_false(kt_queue_done(&waiter));
	/* Another queue's write releases it. */
	gpu_write32((void *)p, 1);
	expect_ok(kt_queue_wait(&waiter, KT_WAIT_MS));
}

static void atomic_add64_is_atomic_with_the_cpu(void **state)
{
	const unsigned int rounds = 200;
	uint64_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	*p = 1ULL << 33;
	grant(p, KT_PAGE);
	for (unsigned int i = 0; i < rounds; i++)
		expect_ok(kt_queue_emit(&sdma, dw, kt_sdma_atomic(dw, KT_ATOMIC_ADD64,
								  (uintptr_t)p, -1ULL, 0)));
	kt_queue_ring(&sdma);
	/* The CPU counts up as the GPU counts down, on the same word. */
	for (unsigned int i = 0; i < rounds; i++)
		__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
	gpu_wait();
	assert_true(*p == 1ULL << 33);
}

static uint64_t gpu_clock_now(void)
{
	struct kfd_ioctl_get_clock_counters_args args = { .gpu_id = gpu.gpu_id };

	expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_GET_CLOCK_COUNTERS, &args));
	return args.gpu_clock_counter;
}

static void timestamp_is_the_clock_of_the_counters(void **state)
{
	uint64_t *p, before, after;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	before = gpu_clock_now();
	gpu_submit(dw, kt_sdma_timestamp(dw, (uintptr_t)p));
	gpu_submit(dw, kt_sdma_timestamp(dw, (uintptr_t)(p + 4)));
	gpu_wait();
	after = gpu_clock_now();
	assert_true(before <= p[0] && p[0] <= p[4] && p[4] <= after);
}

static void ring_wraps(void **state)
{
	struct kt_queue small;
	uint32_t *p;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_queue_create(&gpu, 4096, &small));
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	/* 7 dwords do not divide the ring: packets end at its end in every way. */
	for (uint32_t i = 0; i < 1000; i++) {
		p[0] = i;
		expect_ok(kt_queue_emit(&small, dw, kt_sdma_copy(dw, (uintptr_t)(p + 1),
								 (uintptr_t)p, 4)));
		if (i % 50 == 49) {
			kt_queue_ring(&small);
			expect_ok(kt_queue_wait(&small, KT_WAIT_MS));
			assert_int_equal(p[1], i);
		}
	}
	assert_true(small.put > 4096 * 6);
}

static void disabled_queue_runs_nothing_until_enabled(void **state)
{
	volatile uint32_t *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	*p = 0;
	grant((void *)p, KT_PAGE);
	gpu_write32((void *)p, 1);
	expect_ok(kt_queue_update(&sdma, sdma.ring.len, 0));
	gpu_submit(dw, kt_sdma_write1(dw, (uintptr_t)p, 2));
	/* Nothing may happen: see poll_waits_for_each_function for the time. */
	assert_false(kt_wait_for(*p != 1, 50));
	expect_ok(kt_queue_update(&sdma, sdma.ring.len, 100));
	gpu_wait();
	assert_int_equal(*p, 2);
}

static void vram_object_is_reached_by_cpu_and_gpu(void **state)
{
	struct kt_bo vram;
	int ret;

	(void)state;
	gpu_open_queue();
	ret = kt_bo_vram(&gpu, 16 * KT_PAGE, &vram);
	if (ret)
		conf_skip("no CPU-visible VRAM: %s", strerrorname_np(-ret));
	fill_words(bounce.cpu, 16 * KT_PAGE, 31);
	gpu_copy(vram.cpu, bounce.cpu, 16 * KT_PAGE);
	expect_words(vram.cpu, 16 * KT_PAGE, 31);
	fill_words(vram.cpu, 16 * KT_PAGE, 32);
	gpu_expect_words(vram.cpu, 16 * KT_PAGE, 32);
}

static const struct conf_case cases[] = {
	CASE(nop_with_payload_is_skipped, CONF_ONCE),
	CASE(copy_of_any_alignment_moves_exactly_its_bytes, CONF_BOTH),
	CASE(copy_of_1_to_16_mib, CONF_BOTH),
	CASE(copy_between_overlapping_pages, CONF_BOTH),
	CASE(copy_within_one_page, CONF_BOTH),
	CASE(copy_broadcast_writes_both, CONF_BOTH),
	CASE(write_linear_across_a_page, CONF_BOTH),
	CASE(const_fill_counts_exactly, CONF_BOTH),
	CASE(const_fill_takes_both_ways_to_count, CONF_ONCE),
	CASE(fence_writes_after_the_packets_before_it, CONF_BOTH),
	CASE(trap_signals_an_event, CONF_BOTH),
	CASE(trap_without_slot_signals_nothing, CONF_ONCE),
	CASE(poll_waits_for_each_function, CONF_BOTH),
	CASE(poll_that_always_holds_does_not_wait, CONF_ONCE),
	CASE(parked_poll_does_not_block_another_queue, CONF_BOTH),
	CASE(atomic_add64_is_atomic_with_the_cpu, CONF_BOTH),
	CASE(timestamp_is_the_clock_of_the_counters, CONF_BOTH),
	CASE(ring_wraps, CONF_BOTH),
	CASE(disabled_queue_runs_nothing_until_enabled, CONF_BOTH),
	CASE(vram_object_is_reached_by_cpu_and_gpu, CONF_ONCE),
};

CONF_GROUP(sdma_group, cases);
