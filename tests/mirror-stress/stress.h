/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MIRROR_STRESS_H
#define MIRROR_STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hmm_mirror_stress.h"

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define GIB		(1UL << 30)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21U << 26)
#endif

/* Far from where the kernel puts mappings by itself, at the start of a page of PUDs. */
#define ARENA_VA	0x100000000000UL

/**
 * struct arena - memory that a mutator changes and walkers walk
 * @base: first byte, GiB aligned
 * @npages: what walkers walk
 * @fd: the file mapped there, or -1
 * @seed: state of the random numbers
 * @side: where or whether things are, for those that move or remove them
 * @stop: the mutator shall end
 */
struct arena {
	char *base;
	size_t npages;
	int fd;
	uint64_t seed;
	unsigned int side;
	volatile bool stop;
};

/**
 * struct kind - one way to change an address space
 * @name: of the test case
 * @npages: size of the arena
 * @min_npages: shortest range of the walkers
 * @max_npages: longest range
 * @fault_percent: how many walks fault
 * @setup: makes the arena; returns NULL, or why this cannot run here
 * @step: one change, ending with memory that can be touched
 */
struct kind {
	const char *name;
	size_t npages;
	unsigned int min_npages;
	unsigned int max_npages;
	unsigned int fault_percent;
	const char *(*setup)(struct arena *arena);
	void (*step)(struct arena *arena);
};

extern const struct kind anon_kinds[], file_kinds[], thp_kinds[], hugetlb_kinds[];
extern const size_t nr_anon_kinds, nr_file_kinds, nr_thp_kinds, nr_hugetlb_kinds;

/* stress.c: what kinds share */
uint32_t rnd(struct arena *arena, uint32_t below);
void die(const char *what) __attribute__((noreturn));
void must(bool ok, const char *what);
char *page_at(const struct arena *arena, size_t index);
void write_pages(char *first, size_t npages);
void read_pages(const char *first, size_t npages);
void piece(struct arena *arena, size_t max_npages, size_t *first, size_t *npages);
void map_anon(char *at, size_t len);
int make_memfd(const char *name, unsigned int flags, size_t len);
void write_setting(const char *path, const char *value);
long read_number(const char *path);

/* run.c: a kind against the walkers */
struct run_options {
	uint64_t count;		/* raced commits wanted */
	unsigned int timeout_s;
	bool control;		/* with the validity check disabled */
	uint32_t seed;
};

int run_kind(const struct kind *kind, const struct run_options *options);

/* probe.c */
struct probe_case {
	const char *name;
	unsigned int mode;	/* enum hms_probe_mode */
	unsigned int mutator;
	bool unsound;
	bool is_rare;	/* takes long to be seen */
};

extern const struct probe_case probe_cases[];
extern const size_t nr_probe_cases;

/* What an unsound way of walking is expected to show. */
enum unsound_expectation { UNSOUND_SKIP, UNSOUND_FIRES, UNSOUND_ZERO };

int run_probe(const struct probe_case *probe, enum unsound_expectation unsound,
	      unsigned int time_s);

#endif /* MIRROR_STRESS_H */
