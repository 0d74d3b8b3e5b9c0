// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bars that rows of a table are held against.
 *
 * A line of the file of bars: KERNEL ROW BAR, where ROW is named as in the table. The
 * figure of the row must be at least BAR, or, written "<=BAR", at most. A bar whose row was
 * not measured is a failure, too.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BARS 64

static struct bar {
	char row[64];
	double limit;
	bool at_most;
	bool measured;
	double figure;
} bars[MAX_BARS];

static unsigned int nr_bars;

static void parse_bar(const char *file, const char *line, const char *kernel)
{
	struct bar *bar = &bars[nr_bars];
	char of[64], row[64], limit[32], *number = limit, *end;

	if (sscanf(line, "%63s %63s %31s", of, row, limit) != 3)
		die("%s: not a bar: %s", file, line);
	*bar = (struct bar) { .at_most = !strncmp(limit, "<=", 2) };
	if (bar->at_most)
		number += 2;
	bar->limit = strtod(number, &end);
	if (end == number || *end || bar->limit <= 0)
		die("%s: not a bar: %s", file, line);
	if (strcmp(of, kernel) != 0)
		return;
	if (nr_bars == MAX_BARS)
		die("%s: too many bars", file);
	strcpy(bar->row, row);
	nr_bars++;
}

void bars_load(const char *file, const char *kernel)
{
	FILE *f = fopen(file, "r");
	char line[256];

	if (!f)
		die("%s: %s", file, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (line[0] != '#' && line[0] != '\n')
			parse_bar(file, line, kernel);
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
	if (!bar->measured)
		return false;
	return bar->at_most ? bar->figure <= bar->limit : bar->figure >= bar->limit;
}

void bars_figure(const char *row, double figure)
{
	struct bar *bar = find_bar(row);

	if (!bar)
		return;
	bar->measured = true;
	bar->figure = figure;
	printf(" %s%7.2f %s", bar->at_most ? "<=" : "  ", bar->limit, holds(bar) ? "ok" : "MISSED");
}

static void verdict_of(unsigned int i)
{
	const struct bar *bar = &bars[i];

	printf("%sok %u - %s ", holds(bar) ? "" : "not ", i + 1, bar->row);
	if (bar->measured)
		printf("is %.2f", bar->figure);
	else
		printf("was not measured");
	printf(", bar %s%.2f\n", bar->at_most ? "at most " : "", bar->limit);
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
		good &= holds(&bars[i]);
		verdict_of(i);
	}
	return good;
}
