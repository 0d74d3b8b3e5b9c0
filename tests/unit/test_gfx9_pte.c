// SPDX-License-Identifier: GPL-2.0-only
/*
 * GFX9 entries: the bits themselves, and that encode and decode agree.
 */
#include "pte.h"

#include "unit.h"

#define ALL_FLAGS (KFD_SVM_PTE_READ | KFD_SVM_PTE_WRITE | KFD_SVM_PTE_EXEC | \
		   KFD_SVM_PTE_SYSTEM | KFD_SVM_PTE_SNOOPED)

static void bits_are_those_of_the_hardware(void **state)
{
	static const struct {
		u32 flags;
		unsigned int frag;
		u64 pte;
	} rows[] = {
		{ 0, 0, 0x1 },
		{ KFD_SVM_PTE_SYSTEM, 0, 0x3 },
		{ KFD_SVM_PTE_SNOOPED, 0, 0x5 },
		{ KFD_SVM_PTE_EXEC, 0, 0x11 },
		{ KFD_SVM_PTE_READ, 0, 0x21 },
		{ KFD_SVM_PTE_WRITE, 0, 0x41 },
		{ GFX9_MAP_SVM, 0, 0x0010000000000001 },
		{ 0, 1, 0x81 },
		{ 0, 9, 0x481 },
		{ FIELD_PREP_CONST(KFD_SVM_PTE_MTYPE, KFD_SVM_MTYPE_RW), 0,
		  0x0200000000000001 },
		{ FIELD_PREP_CONST(KFD_SVM_PTE_MTYPE, KFD_SVM_MTYPE_UC), 0,
		  0x0600000000000001 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(gfx9_pte_encode(0, rows[i].flags, rows[i].frag),
				 rows[i].pte);
	assert_int_equal(gfx9_pte_encode(0x123456789000, 0, 0), 0x123456789001);
	assert_int_equal(GFX9_PDE_PTE, 1ULL << 54);
	assert_int_equal(GFX9_PTE_PRT, 1ULL << 51);
	assert_int_equal(gfx9_pde_encode(0xabcdef001000, 9),
			 0x4800abcdef001007);
}

static void flags_survive_encoding(void **state)
{
	unsigned int seed = 1, i;
	u32 flags;
	u64 pte;

	for (i = 0; i < 20000; i++) {
		flags = unit_random(&seed, 1 << 10) &
			(ALL_FLAGS | KFD_SVM_PTE_MTYPE);
		flags |= unit_random(&seed, 2) ? GFX9_MAP_SVM : 0;
		pte = gfx9_pte_encode(~0ULL, flags, unit_random(&seed, 10));
		assert_int_equal(gfx9_pte_flags(pte), flags);
		assert_int_equal(pte & GFX9_PTE_ADDR, 0xfffffffff000);
		assert_int_equal(gfx9_pte_allows(pte, false),
				 !!(flags & KFD_SVM_PTE_READ));
		assert_int_equal(gfx9_pte_allows(pte, true),
				 !!(flags & KFD_SVM_PTE_WRITE));
		assert_false(gfx9_pte_allows(pte & ~GFX9_PTE_VALID, false));
	}
}

/* Tries all fragments, largest first. */
static unsigned int slow_best(u64 va, u64 addr, u64 len)
{
	unsigned int frag = GFX9_FRAG_MAX;
	u64 span;

	for (;; frag--) {
		span = GFX9_PAGE_LEN << frag;
		if (!(va % span) && !(addr % span) && len >= span)
			return frag;
	}
}

static void fragment_is_the_largest_that_fits(void **state)
{
	unsigned int seed = 2, i;
	u64 va, addr, len;

	for (i = 0; i < 100000; i++) {
		va = (u64)unit_random(&seed, 1 << 12) << unit_random(&seed, 8);
		addr = (u64)unit_random(&seed, 1 << 12) << unit_random(&seed, 8);
		len = 1 + unit_random(&seed, 2000);
		va <<= GFX9_PAGE_SHIFT;
		addr <<= GFX9_PAGE_SHIFT;
		len <<= GFX9_PAGE_SHIFT;
		assert_int_equal(gfx9_frag_best(va, addr, len),
				 slow_best(va, addr, len));
	}
	assert_int_equal(gfx9_frag_best(0, 0, 1ULL << 40), GFX9_FRAG_MAX);
}

static void leaf_tells_the_start_of_its_fragment(void **state)
{
	struct gfx9_xlat x;

	x = gfx9_pte_xlat(gfx9_pte_encode(0x5000, 0, 0), 0x7000abc, 12);
	assert_int_equal(x.shift, 12);
	assert_int_equal(x.addr, 0x5000);
	/* The sixth page of a fragment of 16. */
	x = gfx9_pte_xlat(gfx9_pte_encode(0x45000, 0, 4), 0x7005abc, 12);
	assert_int_equal(x.shift, 16);
	assert_int_equal(x.addr, 0x40000);
	x = gfx9_pte_xlat(gfx9_pte_encode(0x200000, 0, 9), 0x400000 + 0x12345, 21);
	assert_int_equal(x.shift, 21);
	assert_int_equal(x.addr, 0x200000);
	/* A fragment field that says more than there can be. */
	x = gfx9_pte_xlat(gfx9_pte_encode(0, 0, 31), 0, 12);
	assert_int_equal(x.shift, 21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_are_those_of_the_hardware),
		cmocka_unit_test(flags_survive_encoding),
		cmocka_unit_test(fragment_is_the_largest_that_fits),
		cmocka_unit_test(leaf_tells_the_start_of_its_fragment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
