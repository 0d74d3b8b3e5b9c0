// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passes over the same memory, taking turns, and the check that both sides have seen
 * the same.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static void one_pass(int fd, const struct memory *m, const struct kind *kind, struct series *s,
		     bool look)
{
	if (kind->restore)
		kind->restore(m);
	s->last = (struct hmm_bench_pass) {
		.op = s->op,
		.nr_max = s->nr_max,
		.look = look,
	};
	device_call(fd, HMM_BENCH_PASS, &s->last, "pass");
}

static bool has_figures(const struct series *s)
{
	return s->op != HMM_BENCH_GPUSVM_PAGES;
}

static bool is_snapshot(const struct series *s)
{
	return s->op == HMM_BENCH_KERNEL_SNAPSHOT || s->op == HMM_BENCH_KERNEL_EXTENTS ||
	       s->op == HMM_BENCH_MIRROR_SNAPSHOT;
}

/* Is the memory what it should be, and was all of it seen? */
static void check_figures(const struct memory *m, const struct kind *kind, const struct series *s)
{
	const struct hmm_bench_pass *p = &s->last;
	unsigned long npages = m->len / PAGE, present = npages, huge;

	if (kind->nr_missing && is_snapshot(s))
		present -= kind->nr_missing(m);
	huge = m->huge ? present : 0;
	if (p->nr_valid != present || p->nr_write != present || p->nr_huge != huge)
		die("%s-%u, operation %u: %llu present, %llu writable, %llu huge of %lu pages; expected %lu, %lu, %lu",
		    kind->name, kind->mib, s->op, (unsigned long long)p->nr_valid,
		    (unsigned long long)p->nr_write, (unsigned long long)p->nr_huge, npages,
		    present, present, huge);
}

/* Pages that a pass makes present are others each time. */
static void check_equal(const struct kind *kind, const struct series *a, const struct series *b)
{
	if (kind->restore)
		return;
	if (a->last.digest != b->last.digest || a->last.nr_runs != b->last.nr_runs)
		die("%s-%u: operations %u and %u have not seen the same pages", kind->name,
		    kind->mib, a->op, b->op);
}

static void look_at_all(int fd, const struct memory *m, const struct kind *kind,
			struct series *series, unsigned int nr)
{
	const struct series *first = NULL;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		one_pass(fd, m, kind, &series[i], true);
		if (!has_figures(&series[i]))
			continue;
		check_figures(m, kind, &series[i]);
		if (first)
			check_equal(kind, first, &series[i]);
		else
			first = &series[i];
	}
}

void measure(int fd, const struct memory *m, const struct kind *kind, struct series *series,
	     unsigned int nr)
{
	unsigned int pass, i;

	look_at_all(fd, m, kind, series, nr);
	for (pass = 0; pass < PASSES; pass++) {
		for (i = 0; i < nr; i++) {
			one_pass(fd, m, kind, &series[i], false);
			series[i].ticks[pass] = series[i].last.ticks;
			series[i].undo_ticks[pass] = series[i].last.undo_ticks;
		}
	}
	/* Still what it was? */
	look_at_all(fd, m, kind, series, nr);
}
