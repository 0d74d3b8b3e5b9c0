// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of the walks: rows are named KIND-MIB/WHAT.
 */
#include "bench.h"

#include <stdio.h>

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
	char row[64];

	snprintf(row, sizeof(row), "%s-%u/%s", kind->name, kind->mib, what);
	printf("%-26s %8llu %13.0f %12.0f %8.2f %9.2f %9.3f %8.2f", row,
	       (unsigned long long)ours->last.nr_extents, k, o, k / o, k / npages, o / npages,
	       minimum(kernel->ticks) / minimum(ours->ticks));
	bars_figure(row, k / o);
	putchar('\n');
	fflush(stdout);
}
