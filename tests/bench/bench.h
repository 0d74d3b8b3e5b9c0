/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "../module/bench/hmm_mirror_bench.h"

#define PASSES		9
#define PAGE		4096UL
#define BLOCK		(2UL << 20)
#define BLOCK_NPAGES	(BLOCK / PAGE)
#define MIB		(1UL << 20)

noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- args.c: the command line */

/**
 * struct bench_args - what a benchmark was started with
 * @parts: names of what is to be run, NULL at the end; none: what runs by default
 * @kind: only kinds of memory with this in their name, or NULL
 * @check: fail where a figure misses its bar
 */
struct bench_args {
	char **parts;
	const char *kind;
	bool check;
};

/* Reads the arguments, opens the module, loads the bars. @usage does not return. */
void bench_begin(struct bench_args *args, int argc, char **argv, void (*usage)(void));
bool bench_wanted(const struct bench_args *args, const char *name, bool by_default);

/* --- device.c: the module */

extern struct hmm_bench_info info;
extern bool counting_insns;

void device_setup(void);
int device_open(void);
void device_call(int fd, unsigned long cmd, void *arg, const char *what);
/* Opens the device and sets up who looks at the memory. */
int span_open(void *memory, size_t len, unsigned int parts, struct hmm_bench_span *span);
/* Ticks as what is printed: instructions, else nanoseconds. */
double in_units(double ticks);
const char *unit_name(void);
uint64_t ticks_now(void);

/* --- memory.c: kinds of memory */

struct memory {
	char *start;
	size_t len;
	bool huge;	/* how it should be mapped */
};

/**
 * struct kind - a kind of memory
 * @name: in the table and in the bars
 * @mib: size
 * @fresh: made before any memory has been given back: there pages touched one after
 *	another lie side by side
 * @make: map and fill it
 * @restore: (optional) make pages missing again, after a pass has made them present
 * @nr_missing: how many @restore takes away
 */
struct kind {
	const char *name;
	unsigned int mib;
	bool fresh;
	void (*make)(struct memory *m);
	void (*restore)(const struct memory *m);
	unsigned long (*nr_missing)(const struct memory *m);
};

#define NR_KINDS 12

extern const struct kind kinds[NR_KINDS];

void *map_aligned(size_t len, size_t align, int flags);
void memory_setup(void);
void reserve_hugetlb(unsigned int nr);
void make_4k_in_order(struct memory *m);
void make_thp(struct memory *m);
void memory_make(struct memory *m, const struct kind *kind);
void memory_free(struct memory *m);

/* --- measure.c: passes in turn */

/**
 * struct series - the passes of one operation
 * @op: enum hmm_bench_op
 * @nr_max: extents of one call of the mirror, 0 for all
 * @ticks: of each pass
 * @undo_ticks: of each pass
 * @last: figures of the last pass
 */
struct series {
	unsigned int op;
	unsigned int nr_max;
	uint64_t ticks[PASSES];
	uint64_t undo_ticks[PASSES];
	struct hmm_bench_pass last;
};

/* All operations take turns, PASSES times, after one pass each that is not counted. */
void measure(int fd, const struct memory *m, const struct kind *kind, struct series *series,
	     unsigned int nr);

/* --- stats.c: of PASSES passes */

double median(const uint64_t *ticks);
double minimum(const uint64_t *ticks);

/* --- bars.c: what figures are held against */

void bars_load(const char *file, const char *kernel);
/* The figure of a row; if there is a bar for it, prints that and whether it holds. */
void bars_figure(const char *row, double figure);
bool bars_verdict(void);

/* --- table.c: rows */

void table_head(void);
/* A row of the table: the kernel's passes against ours. */
void table_row(const struct kind *kind, const char *what, const struct series *kernel,
	       const struct series *ours);

/* --- trace.c: walks that the mirror began anew by itself */

/*
 * @filter: of the tracepoint's fields, or NULL. While nothing else runs: the kernel's code
 * is changed for it.
 */
void retries_watch(const char *filter);
/* How many since then. */
unsigned long retries_seen(void);
void retries_unwatch(void);

/* --- the parts */

void bench_walks(const char *only);
void bench_scale(void);
void bench_churn(void);
void bench_race(void);

#endif /* TESTS_BENCH_BENCH_H */
