// SPDX-License-Identifier: MIT
/* The table of the runtime's memory (preload/own.c) against a page-by-page array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../userspace/libsvm/preload/preload.h"

#define PAGES	200u

struct pre_process pre = { .page = 4096 };

static unsigned int model[PAGES];
static uintptr_t shared_start, shared_end;
static unsigned int nshared;

/* What share.c would register. */
void pre_share(uintptr_t start, uintptr_t end)
{
	shared_start = start;
	shared_end = end;
	nshared++;
}

static uintptr_t addr(unsigned int page)
{
	return (uintptr_t)page << 12;
}

/* What is free is what the walk gives, in order, and as much of it at a time as there is. */
static void compare(unsigned int first, unsigned int last)
{
	uintptr_t start = addr(first), end = addr(last), part_end;
	unsigned int page = first;

	for (; pre_own_next(&start, end, &part_end); start = part_end) {
		while (page < last && model[page])
			page++;
		assert_int_equal(start, addr(page));
		while (page < last && !model[page])
			page++;
		assert_int_equal(part_end, addr(page));
	}
	while (page < last && model[page])
		page++;
	assert_int_equal(page, last);
}

static void change(unsigned int first, unsigned int last, bool add)
{
	for (unsigned int i = first; i < last; i++)
		model[i] = add;
	if (add)
		pre_own_add(addr(first), addr(last));
	else
		pre_own_cut(addr(first), addr(last));
}

static void adds_and_cuts_are_those_of_an_array(void **state)
{
	(void)state;
	srand(1);
	pre_own_forget();
	memset(model, 0, sizeof(model));
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int a = (unsigned int)rand() % PAGES, b = (unsigned int)rand() % PAGES;
		unsigned int first = a < b ? a : b, last = a < b ? b : a;

		if (rand() % 4)
			last = first + (unsigned int)rand() % 4;
		if (last > PAGES)
			last = PAGES;
		change(first, last, rand() % 2);
		compare(0, PAGES);
		compare(first, last);
	}
}

static void tables_grow(void **state)
{
	(void)state;
	pre_own_forget();
	for (uintptr_t i = 0; i < 5000; i++)
		pre_own_add(i << 14, (i << 14) + 4096);
	for (uintptr_t i = 0; i < 5000; i++) {
		uintptr_t start = i << 14, part_end;

		assert_true(pre_own_next(&start, start + 8192, &part_end));
		assert_int_equal(start, (i << 14) + 4096);
		assert_int_equal(part_end, (i << 14) + 8192);
	}
	pre_own_forget();
}

static void userptr_memory_is_left_out_until_it_is_freed(void **state)
{
	uintptr_t start = addr(1), part_end;

	(void)state;
	pre_own_forget();
	pre_own_userptr(7, addr(4), addr(6));
	pre_own_userptr(8, addr(6), addr(7));
	assert_true(pre_own_next(&start, addr(9), &part_end));
	assert_int_equal(part_end, addr(4));
	start = part_end;
	assert_true(pre_own_next(&start, addr(9), &part_end));
	assert_int_equal(start, addr(7));
	assert_int_equal(nshared, 0);
	pre_own_userptr_freed(9);
	assert_int_equal(nshared, 0);
	pre_own_userptr_freed(7);
	/* Nobody else would register it. */
	assert_int_equal(nshared, 1);
	assert_int_equal(shared_start, addr(4));
	assert_int_equal(shared_end, addr(6));
	start = addr(1);
	assert_true(pre_own_next(&start, addr(9), &part_end));
	assert_int_equal(part_end, addr(6));
	start = addr(6);
	assert_false(pre_own_next(&start, addr(7), &part_end));
}

/* As in the child of a fork: the tables begin anew, and grow again. */
static void forgotten_tables_can_be_used(void **state)
{
	uintptr_t start, part_end;

	(void)state;
	for (uintptr_t i = 0; i < 1000; i++) {
		pre_own_add(i << 14, (i << 14) + 4096);
		pre_own_userptr(i, (i << 14) + 4096, (i << 14) + 8192);
	}
	pre_own_forget();
	start = 0;
	assert_true(pre_own_next(&start, (uintptr_t)1000 << 14, &part_end));
	assert_int_equal(start, 0);
	assert_int_equal(part_end, (uintptr_t)1000 << 14);
	pre_own_add(addr(1), addr(2));
	pre_own_userptr(1, addr(2), addr(3));
	start = addr(1);
	assert_true(pre_own_next(&start, addr(9), &part_end));
	assert_int_equal(start, addr(3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_and_cuts_are_those_of_an_array),
		cmocka_unit_test(tables_grow),
		cmocka_unit_test(userptr_memory_is_left_out_until_it_is_freed),
		cmocka_unit_test(forgotten_tables_can_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
