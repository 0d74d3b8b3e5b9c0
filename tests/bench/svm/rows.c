// SPDX-License-Identifier: GPL-2.0-only
#include "svm.h"

#include <stdio.h>

void rows_head(void)
{
	printf("\n%-24s %-38s %13s %13s %8s %8s\n", "row", "peer", "peer", "ours", "figure", "bar");
}

static void row(const char *name, const char *what, double peer, double ours, double figure)
{
	printf("%-24s %-38s %13.0f %13.0f %8.3f", name, what, peer, ours, figure);
	bars_figure(name, figure);
	putchar('\n');
	fflush(stdout);
}

void row_gain(const char *name, const char *what, double peer, double ours)
{
	row(name, what, peer, ours, peer / ours);
}

void row_cost(const char *name, const char *what, double peer, double ours)
{
	row(name, what, peer, ours, ours / peer);
}
