// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands for many passes.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static int compare_ticks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sorted(uint64_t *to, const uint64_t *ticks)
{
	memcpy(to, ticks, PASSES * sizeof(*ticks));
	qsort(to, PASSES, sizeof(*to), compare_ticks);
}

double median(const uint64_t *ticks)
{
	uint64_t copy[PASSES];

	sorted(copy, ticks);
	return in_units(copy[PASSES / 2]);
}

double minimum(const uint64_t *ticks)
{
	uint64_t copy[PASSES];

	sorted(copy, ticks);
	return in_units(copy[0]);
}
