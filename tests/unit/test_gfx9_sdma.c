// SPDX-License-Identifier: GPL-2.0-only
/*
 * SDMA packets: each good one is understood, each bad one refused, and no dword
 * is read that was not given (AddressSanitizer looks on).
 */
#include "sdma_decode.h"

#include "unit.h"

/* On the heap, with not one dword more than the packet has. */
static enum gfx9_sdma_status decode(const u32 *dw, unsigned int ndw,
				    struct gfx9_sdma_packet *p)
{
	u32 *copy = malloc(ndw ? ndw * sizeof(*dw) : 1);
	enum gfx9_sdma_status status;

	memcpy(copy, dw, ndw * sizeof(*dw));
	status = gfx9_sdma_decode(copy, ndw, p);
	free(copy);
	return status;
}

#define DECODE(p, ...) ({						\
	const u32 dw_[] = { __VA_ARGS__ };				\
	decode(dw_, ARRAY_SIZE(dw_), p);				\
})

static void nop_has_a_payload(void **state)
{
	struct gfx9_sdma_packet p;

	assert_int_equal(DECODE(&p, 0), GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_NOP);
	assert_int_equal(p.ndw, 1);
	assert_int_equal(DECODE(&p, 0x3fff0000), GFX9_SDMA_OK);
	assert_int_equal(p.ndw, 0x4000);
}

static void copies_are_understood(void **state)
{
	struct gfx9_sdma_packet p;

	assert_int_equal(DECODE(&p, 1, 0x3fffff, 0, 0x11, 0x22, 0x33, 0x44),
			 GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_COPY);
	assert_int_equal(p.ndw, 7);
	assert_int_equal(p.len, 1 << 22);
	assert_int_equal(p.src, 0x2200000011);
	assert_int_equal(p.dst, 0x4400000033);
	assert_false(p.broadcast);
	assert_int_equal(DECODE(&p, 1 | BIT(27), 0, 0, 1, 0, 2, 0, 3, 4),
			 GFX9_SDMA_OK);
	assert_int_equal(p.ndw, 9);
	assert_int_equal(p.len, 1);
	assert_true(p.broadcast);
	assert_int_equal(p.dst2, 0x400000003);
	assert_int_equal(DECODE(&p, 1 | BIT(27), 0, 0, 1, 0, 2, 0),
			 GFX9_SDMA_SHORT);
}

static void writes_and_fills_are_understood(void **state)
{
	struct gfx9_sdma_packet p;

	/* The payload need not be given. */
	assert_int_equal(DECODE(&p, 2, 5, 6, 0xfffff), GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_WRITE);
	assert_int_equal(p.dst, 0x600000005);
	assert_int_equal(p.len, 4 << 20);
	assert_int_equal(p.ndw, 4 + (1 << 20));
	assert_int_equal(DECODE(&p, 11, 5, 6, 0xabcd, 99), GFX9_SDMA_OK);
	assert_int_equal(p.unit, 1);
	assert_int_equal(p.len, 100);
	/* kfdtest's way to say 8 dwords, and ROCr's. */
	assert_int_equal(DECODE(&p, 11 | 2U << 30, 5, 6, 7, 31), GFX9_SDMA_OK);
	assert_int_equal(p.unit, 4);
	assert_int_equal(p.len, 32);
	assert_int_equal(DECODE(&p, 11 | 2U << 30, 5, 6, 7, 28), GFX9_SDMA_OK);
	assert_int_equal(p.len, 32);
	assert_int_equal(DECODE(&p, 11 | 1U << 30, 5, 6, 7, 28),
			 GFX9_SDMA_BAD_FIELD);
}

static void small_packets_are_understood(void **state)
{
	struct gfx9_sdma_packet p;

	assert_int_equal(DECODE(&p, 5, 8, 1, 77), GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_FENCE);
	assert_int_equal(p.dst, 0x100000008);
	assert_int_equal(p.data, 77);
	assert_int_equal(DECODE(&p, 6, 0xf0000123), GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_TRAP);
	assert_int_equal(p.data, 0x123);
	assert_int_equal(DECODE(&p, 13 | 2 << 8, 32, 1), GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_TIMESTAMP);
	assert_int_equal(DECODE(&p, 13, 32, 1), GFX9_SDMA_BAD_OP);
}

static void polls_are_understood(void **state)
{
	struct gfx9_sdma_packet p;

	assert_int_equal(DECODE(&p, 8 | 3U << 28 | BIT(31), 4, 1, 5, 0xff,
				0xfff0004), GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_POLL);
	assert_int_equal(p.func, GFX9_SDMA_EQ);
	assert_int_equal(p.retry, GFX9_SDMA_RETRY_FOREVER);
	assert_true(gfx9_sdma_poll_holds(&p, 0xab05));
	assert_false(gfx9_sdma_poll_holds(&p, 0xab06));
	/* ROCr's HDP flush. */
	assert_int_equal(DECODE(&p, 8, 0, 0x80000000, 0, 0, 0), GFX9_SDMA_OK);
	assert_int_equal(p.op, GFX9_SDMA_NOP);
	assert_int_equal(p.ndw, 6);
	/* A register, a function that is none, an odd address. */
	assert_int_equal(DECODE(&p, 8, 0x100, 0, 0, 0, 0), GFX9_SDMA_BAD_FIELD);
	assert_int_equal(DECODE(&p, 8 | 7U << 28 | BIT(31), 4, 1, 5, 0, 0),
			 GFX9_SDMA_BAD_FIELD);
	assert_int_equal(DECODE(&p, 8 | BIT(31), 2, 1, 5, 0, 0),
			 GFX9_SDMA_BAD_FIELD);
}

static void poll_functions_compare_unsigned(void **state)
{
	static const bool want[7][3] = {	/* less, equal, greater */
		{ 1, 1, 1 }, { 1, 0, 0 }, { 1, 1, 0 }, { 0, 1, 0 },
		{ 1, 0, 1 }, { 0, 1, 1 }, { 0, 0, 1 },
	};
	struct gfx9_sdma_packet p = { .mask = ~0U, .data = 0x80000000 };
	unsigned int func, i;

	for (func = 0; func < 7; func++) {
		p.func = func;
		for (i = 0; i < 3; i++)
			assert_int_equal(gfx9_sdma_poll_holds(&p, 0x7fffffff + i),
					 want[func][i]);
	}
}

static void atomics_compute(void **state)
{
	static const struct {
		u32 op;
		u64 old, src, cmp, new;
	} rows[] = {
		{ 47, 5, ~0ULL, 0, 4 },
		{ 111, 5, 2, 0, 7 },	/* the form that returns nothing */
		{ 15, 0xffffffff, 1, 0, 0 },
		{ 47, 0xffffffff, 1, 0, 0x100000000 },
		{ 48, 1, 2, 0, ~0ULL },
		{ 7, 1, 0x1ffffffff, 0, 0xffffffff },
		{ 40, 7, 9, 7, 9 },
		{ 40, 7, 9, 8, 7 },
		{ 8, 7, 9, 0x100000007, 9 },
		{ 49, 1, ~0ULL, 0, ~0ULL },
		{ 50, 1, ~0ULL, 0, 1 },
		{ 17, 1, 0xffffffff, 0, 0xffffffff },
		{ 51, 1, ~0ULL, 0, 1 },
		{ 52, 1, ~0ULL, 0, ~0ULL },
		{ 53, 6, 3, 0, 2 },
		{ 54, 6, 3, 0, 7 },
		{ 55, 6, 3, 0, 5 },
		{ 56, 3, 3, 0, 0 },
		{ 56, 2, 3, 0, 3 },
		{ 57, 0, 3, 0, 3 },
		{ 57, 4, 3, 0, 3 },
		{ 57, 3, 3, 0, 2 },
	};
	struct gfx9_sdma_packet p;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(DECODE(&p, 10 | rows[i].op << 25, 8, 1,
					rows[i].src, rows[i].src >> 32,
					rows[i].cmp, rows[i].cmp >> 32, 0),
				 GFX9_SDMA_OK);
		assert_int_equal(gfx9_sdma_atomic_result(&p, rows[i].old),
				 rows[i].new);
	}
	/* Not aligned, no such operation, a loop that is no CMPSWAP. */
	assert_int_equal(DECODE(&p, 10 | 47U << 25, 4, 0, 0, 0, 0, 0, 0),
			 GFX9_SDMA_BAD_FIELD);
	assert_int_equal(DECODE(&p, 10 | 3U << 25, 8, 0, 0, 0, 0, 0, 0),
			 GFX9_SDMA_BAD_FIELD);
	assert_int_equal(DECODE(&p, 10 | 47U << 25 | BIT(16), 8, 0, 0, 0, 0, 0, 0),
			 GFX9_SDMA_BAD_FIELD);
}

/* Every prefix of every packet is short, not wrong, and not read beyond. */
static void truncated_packets_are_short(void **state)
{
	static const u32 heads[] = { 1, 1 | BIT(27), 2, 5, 6, 8 | BIT(31),
				     10 | 47U << 25, 11, 13 | 2 << 8 };
	static const unsigned int need[] = { 7, 9, 4, 4, 2, 6, 8, 5, 3 };
	u32 dw[GFX9_SDMA_HEADER_MAX] = { 0 };
	struct gfx9_sdma_packet p;
	unsigned int i, n;

	assert_int_equal(decode(dw, 0, &p), GFX9_SDMA_SHORT);
	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		dw[0] = heads[i];
		for (n = 1; n < need[i]; n++)
			assert_int_equal(decode(dw, n, &p), GFX9_SDMA_SHORT);
		assert_int_equal(decode(dw, need[i], &p), GFX9_SDMA_OK);
		assert_true(need[i] <= GFX9_SDMA_HEADER_MAX);
	}
}

static void random_dwords_do_no_harm(void **state)
{
	u32 dw[GFX9_SDMA_HEADER_MAX];
	struct gfx9_sdma_packet p;
	enum gfx9_sdma_status st;
	unsigned int seed = 3, seen = 0, i, k, n;

	for (i = 0; i < 400000; i++) {
		for (k = 0; k < ARRAY_SIZE(dw); k++)
			dw[k] = unit_random(&seed, 1 << 16) << 16 ^
				unit_random(&seed, 1 << 20);
		if (i % 4)	/* mostly opcodes that exist */
			dw[0] = (dw[0] & ~0xffffU) | unit_random(&seed, 14);
		n = unit_random(&seed, ARRAY_SIZE(dw) + 1);
		st = decode(dw, n, &p);
		assert_true(p.ndw >= 1 && p.ndw <= 4 + (1 << 20));
		if (st != GFX9_SDMA_OK)
			continue;
		seen |= 1U << p.op;
		assert_true(p.len <= 4 << 20);
		if (p.op == GFX9_SDMA_ATOMIC)
			gfx9_sdma_atomic_result(&p, dw[1] | (u64)dw[2] << 32);
		if (p.op == GFX9_SDMA_POLL)
			gfx9_sdma_poll_holds(&p, dw[3]);
	}
	/* Without all kinds of packet this would prove little. */
	assert_int_equal(seen & ~BIT(GFX9_SDMA_TIMESTAMP),
			 (BIT(GFX9_SDMA_TIMESTAMP) - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nop_has_a_payload),
		cmocka_unit_test(copies_are_understood),
		cmocka_unit_test(writes_and_fills_are_understood),
		cmocka_unit_test(small_packets_are_understood),
		cmocka_unit_test(polls_are_understood),
		cmocka_unit_test(poll_functions_compare_unsigned),
		cmocka_unit_test(atomics_compute),
		cmocka_unit_test(truncated_packets_are_short),
		cmocka_unit_test(random_dwords_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
