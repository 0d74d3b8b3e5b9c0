// SPDX-License-Identifier: GPL-2.0-only
/* Which cells run, and how many there are. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "mx.h"

static bool matches(const char *const *globs, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (!fnmatch(globs[i], name, 0))
			return true;
	return false;
}

bool mx_named(const struct mx_choice *choice, const struct mx_cell *cell)
{
	char name[MX_NAME_LEN];

	mx_cell_name(cell, name);
	if (matches(choice->without, choice->nwithout, name))
		return false;
	return !choice->nglobs || matches(choice->globs, choice->nglobs, name);
}

/* A number that depends on each bit of the seed and the cell, and on nothing else. */
static uint32_t shuffle(unsigned int seed, uint32_t x)
{
	x ^= seed * 0x9e3779b1U;
	x ^= x >> 16;
	x *= 0x7feb352dU;
	x ^= x >> 15;
	x *= 0x846ca68bU;
	return x ^ x >> 16;
}

static unsigned int stratum(const struct mx_cell *c)
{
	return (c->kind * MX_NEVENTS + c->event) * MX_NMODES + c->mode;
}

#define BIG_EVERY 12	/* one of so many cells of 64 MiB is not put off */

struct ticket {
	struct mx_cell cell;
	uint32_t number;	/* among those of its stratum */
	uint32_t order;		/* of strata in a round */
	unsigned int round;
};

static struct ticket draw(const struct mx_cell *cell, unsigned int seed)
{
	uint32_t id = (stratum(cell) * MX_NSIZES + cell->size) * MX_NTOUCHES + cell->touch;
	uint32_t number = shuffle(seed, id * MX_NGPUS + cell->gpus);

	/* The upper half of the numbers comes last. */
	number >>= 1;
	if (cell->size == MX_64M && number % BIG_EVERY)
		number |= 1U << 31;
	return (struct ticket) {
		.cell = *cell,
		.number = number,
		.order = shuffle(seed + 1, stratum(cell)),
	};
}

static int by_stratum(const void *va, const void *vb)
{
	const struct ticket *a = va, *b = vb;
	int diff = (int)stratum(&a->cell) - (int)stratum(&b->cell);

	return diff ?: (a->number > b->number) - (a->number < b->number);
}

static int by_round(const void *va, const void *vb)
{
	const struct ticket *a = va, *b = vb;

	if (a->round != b->round)
		return a->round < b->round ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

/* A process has one mode and number of GPUs, so these stay together. */
static int by_process(const void *va, const void *vb)
{
	const struct ticket *a = va, *b = vb;
	int diff = (int)a->cell.gpus - (int)b->cell.gpus ?:
		   (int)a->cell.mode - (int)b->cell.mode;

	return diff ?: by_stratum(va, vb);
}

unsigned int mx_sample(const struct mx_choice *choice, struct mx_cell *cells,
		       unsigned int n)
{
	struct ticket *tickets = calloc(n ?: 1, sizeof(*tickets));
	unsigned int keep = choice->sample && choice->sample < n ? choice->sample : n;

	if (!tickets)
		abort();
	for (unsigned int i = 0; i < n; i++)
		tickets[i] = draw(&cells[i], choice->seed);
	qsort(tickets, n, sizeof(*tickets), by_stratum);
	for (unsigned int i = 1; i < n; i++)
		if (stratum(&tickets[i].cell) == stratum(&tickets[i - 1].cell))
			tickets[i].round = tickets[i - 1].round + 1;
	qsort(tickets, n, sizeof(*tickets), by_round);
	qsort(tickets, keep, sizeof(*tickets), by_process);
	for (unsigned int i = 0; i < keep; i++)
		cells[i] = tickets[i].cell;
	free(tickets);
	return keep;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(a, b);
}

static unsigned int count_distinct(char (*keys)[MX_KEY_LEN], unsigned int n)
{
	unsigned int distinct = n > 0;

	qsort(keys, n, MX_KEY_LEN, compare_keys);
	for (unsigned int i = 1; i < n; i++)
		distinct += !!strcmp(keys[i], keys[i - 1]);
	return distinct;
}

void mx_count(const struct mx_world *world, struct mx_counts *counts)
{
	char (*keys)[MX_KEY_LEN] = calloc(2 * MX_NCELLS, MX_KEY_LEN);
	unsigned int n = 0;

	if (!keys)
		abort();
	for (unsigned int i = 0; i < MX_NCELLS; i++) {
		struct mx_cell cell = mx_cell_at(i);
		struct mx_plan plan;

		if (mx_impossible(&cell))
			continue;
		mx_expect(&cell, world, &plan);
		mx_key(&cell, &plan, false, keys[n]);
		mx_key(&cell, &plan, true, keys[MX_NCELLS + n]);
		n++;
	}
	*counts = (struct mx_counts) {
		.cells = MX_NCELLS,
		.possible = n,
		.impossible = MX_NCELLS - n,
		.distinct = count_distinct(keys, n),
		.distinct_places = count_distinct(keys + MX_NCELLS, n),
	};
	free(keys);
}
