// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TLB is strict: what it was told it says until a flush, and nothing else.
 */
#include "tlb.h"

#include "unit.h"

#define RW	(KFD_SVM_PTE_READ | KFD_SVM_PTE_WRITE)

static struct gfx9_tlb tlb;

static int setup(void **state)
{
	gfx9_tlb_init(&tlb, kvzalloc(GFX9_TLB_LEN, GFP_KERNEL));
	return 0;
}

static int teardown(void **state)
{
	kvfree(tlb.entries);
	return 0;
}

static void insert(u64 va, u64 addr, unsigned int frag, u32 flags)
{
	unsigned int shift = frag == 9 ? 21 : 12;
	u64 pte = gfx9_pte_encode(addr + (va & ((GFX9_PAGE_LEN << frag) - 1) &
					  ~((1ULL << shift) - 1)), flags, frag);
	struct gfx9_xlat x = gfx9_pte_xlat(pte, va, shift);

	assert_int_equal(x.addr, addr);
	gfx9_tlb_insert(&tlb, va, &x);
}

static bool says(u64 va, u64 *addr)
{
	struct gfx9_xlat x;

	if (!gfx9_tlb_lookup(&tlb, va, &x))
		return false;
	*addr = x.addr + (va & ((1ULL << x.shift) - 1));
	return true;
}

static void translation_stays_until_the_flush(void **state)
{
	u64 addr;

	insert(0x7f0000001000, 0x5000, 0, RW);
	assert_true(says(0x7f0000001abc, &addr));
	assert_int_equal(addr, 0x5abc);
	assert_false(says(0x7f0000002000, &addr));
	assert_false(says(0x7f0000000fff, &addr));
	gfx9_tlb_flush(&tlb);
	assert_false(says(0x7f0000001abc, &addr));
	insert(0x7f0000001000, 0x9000, 0, RW);
	assert_true(says(0x7f0000001000, &addr));
	assert_int_equal(addr, 0x9000);
}

static void fragment_is_kept_as_the_width_below(void **state)
{
	u64 addr;

	/* 256 KiB: an entry of 64 KiB for the part that was met. */
	insert(0x40025000, 0x80000, 6, RW);
	assert_true(says(0x40020000, &addr));
	assert_int_equal(addr, 0xa0000);
	assert_true(says(0x4002ffff, &addr));
	assert_int_equal(addr, 0xaffff);
	assert_false(says(0x4001ffff, &addr));
	assert_false(says(0x40030000, &addr));
	/* 32 KiB: single pages. */
	insert(0x50003000, 0x10000, 3, RW);
	assert_true(says(0x50003010, &addr));
	assert_int_equal(addr, 0x13010);
	assert_false(says(0x50002000, &addr));
	/* 2 MiB. */
	insert(0x60012345, 0x200000, 9, RW);
	assert_true(says(0x601fffff, &addr));
	assert_int_equal(addr, 0x3fffff);
	assert_false(says(0x60200000, &addr));
}

static void refused_entry_is_replaced(void **state)
{
	struct gfx9_xlat x;

	insert(0x1000, 0x5000, 0, KFD_SVM_PTE_READ);
	insert(0x1000, 0x6000, 0, RW);
	assert_true(gfx9_tlb_lookup(&tlb, 0x1000, &x));
	assert_int_equal(x.addr, 0x6000);
	assert_true(gfx9_pte_allows(x.pte, true));
}

/* More pages than there is room: some are not kept, none is wrong or lost. */
static void full_tlb_displaces_nothing(void **state)
{
	enum { N = 3 << GFX9_TLB_LG2 };
	static bool kept[N];
	unsigned int i, n = 0;
	u64 addr;

	for (i = 0; i < N; i++) {
		insert((u64)i << 12, (u64)(i + 7) << 12, 0, RW);
		kept[i] = says((u64)i << 12, &addr);
		n += kept[i];
	}
	assert_in_range(n, 1 << (GFX9_TLB_LG2 - 1), 1 << GFX9_TLB_LG2);
	for (i = 0; i < N; i++) {
		assert_int_equal(says((u64)i << 12, &addr), kept[i]);
		if (kept[i])
			assert_int_equal(addr, (u64)(i + 7) << 12);
	}
}

static void epoch_wraps_without_ghosts(void **state)
{
	u64 addr;

	insert(0x1000, 0x5000, 0, RW);
	/* The epoch before the one the counter comes round to. */
	tlb.epoch = (1U << 26) - 2;
	gfx9_tlb_flush(&tlb);
	assert_false(says(0x1000, &addr));
	insert(0x2000, 0x6000, 0, RW);
	gfx9_tlb_flush(&tlb);
	assert_int_equal(tlb.epoch, 1);
	assert_false(says(0x1000, &addr));
	assert_false(says(0x2000, &addr));
}

static void addresses_beyond_48_bits_are_unknown(void **state)
{
	u64 addr;

	insert(0x1000, 0x5000, 0, RW);
	assert_false(says((1ULL << 48) + 0x1000, &addr));
	assert_false(says(~0ULL, &addr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(translation_stays_until_the_flush),
		T(fragment_is_kept_as_the_width_below),
		T(refused_entry_is_replaced),
		T(full_tlb_displaces_nothing),
		T(epoch_wraps_without_ghosts),
		T(addresses_beyond_48_bits_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
