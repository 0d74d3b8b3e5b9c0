// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs of pages to be copied against a list of pages: the same pages in the same order,
 * none twice, and no two runs that could be one.
 */
#include "runs.h"

#include "unit.h"

#define NR_SEEDS	2000
#define NR_PAGES	512
#define PAGE		4096ULL

struct world {
	unsigned int seed;
	struct hmm_mirror_copy pages[NR_PAGES];
	unsigned int nr_pages;
	struct hmm_mirror_copy out[NR_PAGES];
	struct hmm_mirror_runs runs;
};

/* Sides go on, jump and swap places independently of each other. */
static void make_pages(struct world *w)
{
	u64 dev_addr = 0, other = 1ULL << 32;
	unsigned int i;

	w->nr_pages = unit_random(&w->seed, NR_PAGES + 1);
	for (i = 0; i < w->nr_pages; i++) {
		u64 len = unit_random(&w->seed, 16) ? PAGE : 512 * PAGE;

		if (!unit_random(&w->seed, 8))
			dev_addr += (1 + unit_random(&w->seed, 3)) * PAGE;
		if (!unit_random(&w->seed, 8))
			other += (1 + unit_random(&w->seed, 3)) * PAGE;
		if (!unit_random(&w->seed, 32))
			other -= 2 * PAGE;
		w->pages[i] = (struct hmm_mirror_copy){ dev_addr, other, len };
		dev_addr += len;
		other += len;
	}
}

static void add_pages(struct world *w)
{
	unsigned int i;

	w->runs = (struct hmm_mirror_runs){ .runs = w->out };
	for (i = 0; i < w->nr_pages; i++)
		hmm_mirror_runs_add(&w->runs, w->pages[i].dev_addr, w->pages[i].other,
				    w->pages[i].len);
}

static void check_same_pages(const struct world *w)
{
	unsigned int run = 0, i;
	u64 done = 0;

	for (i = 0; i < w->nr_pages; i++) {
		if (done == w->out[run].len) {
			run++;
			done = 0;
		}
		assert_true(run < w->runs.nr);
		assert_int_equal(w->out[run].dev_addr + done, w->pages[i].dev_addr);
		assert_int_equal(w->out[run].other + done, w->pages[i].other);
		done += w->pages[i].len;
		assert_true(done <= w->out[run].len);
	}
	assert_int_equal(w->runs.nr, w->nr_pages ? run + 1 : 0);
	assert_true(!w->nr_pages || done == w->out[run].len);
}

static void check_no_two_could_be_one(const struct world *w)
{
	unsigned int i;

	for (i = 1; i < w->runs.nr; i++) {
		const struct hmm_mirror_copy *a = &w->out[i - 1], *b = &w->out[i];

		assert_true(a->dev_addr + a->len != b->dev_addr ||
			    a->other + a->len != b->other);
	}
}

static void runs_are_the_pages_joined(void **state)
{
	struct world w;
	unsigned int seed;

	for (seed = 0; seed < NR_SEEDS; seed++) {
		w.seed = seed;
		make_pages(&w);
		add_pages(&w);
		check_same_pages(&w);
		check_no_two_could_be_one(&w);
	}
}

static void one_side_that_jumps_begins_a_run(void **state)
{
	struct hmm_mirror_copy out[4];
	struct hmm_mirror_runs runs = { .runs = out };

	hmm_mirror_runs_add(&runs, 0, 8 * PAGE, PAGE);
	hmm_mirror_runs_add(&runs, PAGE, 9 * PAGE, PAGE);
	assert_int_equal(runs.nr, 1);
	assert_int_equal(out[0].len, 2 * PAGE);
	hmm_mirror_runs_add(&runs, 2 * PAGE, 11 * PAGE, PAGE);
	assert_int_equal(runs.nr, 2);
	hmm_mirror_runs_add(&runs, 4 * PAGE, 12 * PAGE, PAGE);
	assert_int_equal(runs.nr, 3);
	/* Back again is not on. */
	hmm_mirror_runs_add(&runs, 3 * PAGE, 11 * PAGE, PAGE);
	assert_int_equal(runs.nr, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_the_pages_joined),
		cmocka_unit_test(one_side_that_jumps_begins_a_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
