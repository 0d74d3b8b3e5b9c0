// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table, and the bars that its ratios are held against.
 *
 * A line of the file of bars: KERNEL ROW RATIO, where ROW is KIND-MIB/WHAT as in the
 * table. A bar whose row was not measured is a failure, too.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BARS 64

static struct bar {
	char row[64];
	double ratio;
	double measured;	/* 0: not */
} bars[MAX_BARS];

static unsigned int nr_bars;

void bars_load(const char *file, const char *kernel)
{
	FILE *f = fopen(file, "r");
	char line[256], of[64], row[64];
	double ratio;

	if (!f)
		die("%s: %s", file, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (sscanf(line, "%63s %63s %lf", of, row, &ratio) != 3 || ratio <= 0)
			die("%s: not a bar: %s", file, line);
		if (strcmp(of, kernel) != 0)
			continue;
		if (nr_bars == MAX_BARS)
			die("%s: too many bars", file);
		strcpy(bars[nr_bars].row, row);
		bars[nr_bars].ratio = ratio;
		nr_bars++;
	}
	fclose(f);
}

static struct bar *find_bar(const char *row)
{
	unsigned int i;

	for (i = 0; i < nr_bars; i++)
		if (!strcmp(bars[i].row, row))
			return &bars[i];
	return NULL;
}

static bool holds(const struct bar *bar)
{
	return bar->measured >= bar->ratio;
}

void table_head(void)
{
	printf("\n%-26s %8s %13s %12s %8s %9s %9s %8s %7s\n", "row", "extents", "kernel", "ours",
	       "ratio", "kern/page", "ours/page", "min ratio", "bar");
}

void table_row(const struct kind *kind, const char *what, const struct series *kernel,
	       const struct series *ours)
{
	double k = median(kernel->ticks), o = median(ours->ticks);
	unsigned long npages = kind->mib * MIB / PAGE;
	struct bar *bar;
	char row[64];

	snprintf(row, sizeof(row), "%s-%u/%s", kind->name, kind->mib, what);
	printf("%-26s %8llu %13.0f %12.0f %8.2f %9.2f %9.3f %8.2f", row,
	       (unsigned long long)ours->last.nr_extents, k, o, k / o, k / npages, o / npages,
	       minimum(kernel->ticks) / minimum(ours->ticks));
	bar = find_bar(row);
	if (bar) {
		bar->measured = k / o;
		printf(" %8.2f %s", bar->ratio, holds(bar) ? "ok" : "BELOW");
	}
	putchar('\n');
	fflush(stdout);
}

/* TAP, for who runs the tests. */
bool bars_verdict(void)
{
	bool good = true;
	unsigned int i;

	if (!nr_bars)
		die("no bars for this kernel");
	if (!counting_insns)
		die("bars are for counted instructions: run in a VM with --icount");
	printf("\n1..%u\n", nr_bars);
	for (i = 0; i < nr_bars; i++) {
		const struct bar *bar = &bars[i];

		if (!holds(bar))
			good = false;
		if (bar->measured)
			printf("%sok %u - %s is %.2f, bar %.2f\n", holds(bar) ? "" : "not ", i + 1,
			       bar->row, bar->measured, bar->ratio);
		else
			printf("not ok %u - %s was not measured, bar %.2f\n", i + 1, bar->row,
			       bar->ratio);
	}
	return good;
}
