// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many registered ranges: what SET and GET cost among few and among many, and what a
 * process with many pays for munmap() of memory that no GPU has to do with.
 */
#include "svm.h"

#include "kt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FEW		100U
#define MANY		100000U
#define NR_CALLS	64U	/* of a pass */
#define REGION_LEN	(1UL << 30)

/*
 * Where memory is that no GPU has to do with: the mirror asks for events by regions of
 * REGION_LEN, so it matters whether ranges are in the same one. Of each process.
 */
static char *alone, *beside;

/**
 * struct crowd - a process with many ranges: every other page of an area
 * @dev: the GPU
 * @area: where they are
 * @nr: how many
 * @turn: counts passes, so that each SET changes something
 */
struct crowd {
	struct kt_dev dev;
	char *area;
	unsigned int nr;
	unsigned int turn;
};

static void one_call(const struct crowd *c, unsigned int op, char *at, uint32_t granularity)
{
	struct {
		struct kfd_svm_args args;
		struct kfd_svm_attribute attr;
	} args = {
		.args = {
			.start_addr = (uintptr_t)at,
			.size = PAGE,
			.op = op,
			.nattr = 1,
		},
		.attr = { .type = KFD_SVM_ATTR_GRANULARITY, .value = granularity },
	};
	int err = kt_svm_raw(c->dev.kfd, sizeof(args), &args.args);

	if (err)
		die("operation %u of the SVM ioctl: %s", op, strerror(-err));
	if (op == KFD_SVM_OP_GET_ATTR && args.attr.value != granularity)
		die("GET says %u instead of %u", args.attr.value, granularity);
}

static char *range_at(const struct crowd *c, unsigned int i)
{
	return c->area + 2UL * i * PAGE;
}

/* Return: where the ranges are, of those that have any. */
static char *make_places(void)
{
	char *area = map_aligned(REGION_LEN, REGION_LEN, MAP_NORESERVE);

	alone = map_aligned(REGION_LEN, REGION_LEN, MAP_NORESERVE);
	beside = area + 2UL * MANY * PAGE + BLOCK;
	return area;
}

static void *make_crowd(const void *how)
{
	struct crowd *c = calloc(1, sizeof(*c));
	unsigned int i;
	int err;

	if (!c)
		die("no memory");
	c->nr = *(const unsigned int *)how;
	err = kt_open(&c->dev, -1);
	if (err)
		die("/dev/kfd: %s", strerror(-err));
	c->area = make_places();
	for (i = 0; i < c->nr; i++)
		one_call(c, KFD_SVM_OP_SET_ATTR, range_at(c, i), 1);
	return c;
}

/* The ranges of a pass lie evenly over all, and are others than those of the last pass. */
static char *pick(const struct crowd *c, unsigned int i)
{
	return range_at(c, (c->nr / NR_CALLS * i + c->turn / 2) % c->nr);
}

/* Changes each there and back, so that all are alike again. */
static uint64_t set_pass(void *arg)
{
	struct crowd *c = arg;
	uint64_t start = ticks_now();
	unsigned int i;

	for (i = 0; i < NR_CALLS; i++) {
		one_call(c, KFD_SVM_OP_SET_ATTR, pick(c, i), 2);
		one_call(c, KFD_SVM_OP_SET_ATTR, pick(c, i), 1);
	}
	c->turn++;
	return (ticks_now() - start) / (2 * NR_CALLS);
}

static uint64_t get_pass(void *arg)
{
	struct crowd *c = arg;
	uint64_t start = ticks_now();
	unsigned int i;

	for (i = 0; i < NR_CALLS; i++)
		one_call(c, KFD_SVM_OP_GET_ATTR, pick(c, i), 1);
	c->turn++;
	return (ticks_now() - start) / NR_CALLS;
}

/* New ranges between others; munmap(), which is not timed, takes them away again. */
static uint64_t new_pass(void *arg)
{
	struct crowd *c = arg;
	uint64_t start = ticks_now(), ticks;
	unsigned int i;

	for (i = 0; i < NR_CALLS; i++)
		one_call(c, KFD_SVM_OP_SET_ATTR, pick(c, i) + PAGE, 3);
	ticks = ticks_now() - start;
	for (i = 0; i < NR_CALLS; i++)
		if (mmap(pick(c, i) + PAGE, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
		    MAP_FAILED)
			die("mmap: %s", strerror(errno));
	c->turn++;
	return ticks / NR_CALLS;
}

/* --- munmap() of memory the process has nothing registered in */

static uint64_t unmap_one(char *at, size_t len)
{
	uint64_t start, ticks;
	size_t offset;
	char *map;

	map = mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	madvise(map, len, MADV_NOHUGEPAGE);
	for (offset = 0; offset < len; offset += PAGE)
		map[offset] = 1;
	start = ticks_now();
	if (munmap(map, len))
		die("munmap: %s", strerror(errno));
	ticks = ticks_now() - start;
	return ticks;
}

static uint64_t unmap_some(char *at, size_t len, unsigned int nr)
{
	uint64_t ticks = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		ticks += unmap_one(at, len);
	return ticks / nr;
}

static uint64_t unmap_4k_pass(void *arg)
{
	(void)arg;
	return unmap_some(alone, PAGE, NR_CALLS);
}

static uint64_t unmap_beside_pass(void *arg)
{
	(void)arg;
	return unmap_some(beside, PAGE, NR_CALLS);
}

static uint64_t unmap_64k_pass(void *arg)
{
	(void)arg;
	return unmap_some(alone, 64UL << 10, NR_CALLS);
}

static uint64_t unmap_2m_pass(void *arg)
{
	(void)arg;
	return unmap_some(alone, BLOCK, 4);
}

enum {
	PASS_SET,
	PASS_GET,
	PASS_NEW,
	PASS_UNMAP_2M,
	PASS_UNMAP_64K,
	PASS_UNMAP_4K,
	PASS_UNMAP_BESIDE,
	NR_PASS_KINDS,
};

static const turns_pass passes[NR_PASS_KINDS] = {
	[PASS_SET] = set_pass,
	[PASS_GET] = get_pass,
	[PASS_NEW] = new_pass,
	[PASS_UNMAP_2M] = unmap_2m_pass,
	[PASS_UNMAP_64K] = unmap_64k_pass,
	[PASS_UNMAP_4K] = unmap_4k_pass,
	[PASS_UNMAP_BESIDE] = unmap_beside_pass,
};

static void *make_nothing(const void *how)
{
	make_places();
	return (void *)how;
}

static void compare(struct turns *peer, struct turns *ours, unsigned char which, const char *row,
		    const char *what)
{
	uint64_t theirs[PASSES], many[PASSES];
	int i;

	for (i = -1; i < PASSES; i++) {
		uint64_t x = turns_next(peer, which), y = turns_next(ours, which);

		if (i < 0)
			continue;
		theirs[i] = x;
		many[i] = y;
	}
	row_cost(row, what, median(theirs), median(many));
}

void bench_ranges(void)
{
	static const unsigned int nr_few = FEW, nr_many = MANY;
	struct turns *none = turns_start(make_nothing, NULL, passes);
	struct turns *few = turns_start(make_crowd, &nr_few, passes);
	struct turns *many = turns_start(make_crowd, &nr_many, passes);

	compare(few, many, PASS_SET, "set-100000", "SET of a range, of 100 ranges");
	compare(few, many, PASS_GET, "get-100000", "GET of a range, of 100 ranges");
	compare(few, many, PASS_NEW, "register-100000", "SET of a new range, beside 100");
	compare(none, many, PASS_UNMAP_2M, "munmap-2m", "munmap() in a process without SVM");
	compare(none, many, PASS_UNMAP_64K, "munmap-64k", "munmap() in a process without SVM");
	compare(none, many, PASS_UNMAP_4K, "munmap-4k", "munmap() in a process without SVM");
	compare(none, many, PASS_UNMAP_BESIDE, "munmap-4k/beside",
		"the same, ranges in the same GiB");
	turns_end(none);
	turns_end(few);
	turns_end(many);
}
