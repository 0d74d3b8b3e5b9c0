/* SPDX-License-Identifier: MIT */
/*
 * The demo: a GPU works on ordinary memory of an ordinary program.
 *
 * Every pass is a process of its own, because XNACK cannot be switched while a
 * process has queues; so is every access that must fail, because on real
 * hardware the exception stops all queues of the process.
 */
#ifndef DEMO_H
#define DEMO_H

#include <kfdsvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* Exit codes of a pass. */
#define PASS_OK		0
#define PASS_FAILED	1
#define PASS_SKIPPED	77

/**
 * struct demo - one pass
 * @svm: libkfdsvm
 * @gpu: the copy engine
 * @gpu_id: name of the GPU for libkfdsvm and in the driver's counters
 * @xnack: 1: nothing is shared, the GPU replays faults; 0: what it touches is shared
 * @file: where the mapped file goes
 * @mirror: malloc'ed memory the GPU copies to and from, MIRROR_LEN bytes
 * @failures: checks that failed
 * @checks: checks made
 */
struct demo {
	struct kfdsvm *svm;
	struct gpu gpu;
	uint32_t gpu_id;
	int xnack;
	const char *file;
	unsigned char *mirror;
	unsigned int failures;
	unsigned int checks;
};

#define MIRROR_LEN (4 * MIB)

/* demo.c */
int demo_open(struct demo *demo);
void demo_close(struct demo *demo);
/* With XNACK off, give the GPU access; with XNACK on, nothing. */
bool demo_share(struct demo *demo, const void *addr, size_t len);
/* Counts a check, and prints it if it failed. Returns @good. */
bool demo_check(struct demo *demo, bool good, const char *what, ...)
	__attribute__((format(printf, 3, 4)));

/* demo_regions.c: kinds of memory. */
void demo_regions(struct demo *demo);
/* demo_events.c: what the CPU does to memory the GPU uses. */
void demo_events(struct demo *demo);

/* demo_exceptions.c: accesses that must fail, each in a process of its own. */
void demo_exceptions(struct demo *demo);
int demo_exception_child(struct demo *demo, const char *name);

/* demo_pattern.c */
void pattern_fill(void *memory, size_t len, uint32_t seed);
bool pattern_holds(const void *memory, size_t len, uint32_t seed);

/* demo_counters.c: what the driver counted; UINT64_MAX: it does not count that. */
struct counters {
	uint64_t faults;
	uint64_t extents;
	uint64_t pages;
	uint64_t invalidations;
	uint64_t retries;
	uint64_t restores;
};

void counters_read(const struct demo *demo, struct counters *c);
void counters_header(void);
void counters_row(const char *name, size_t len, const struct counters *before,
		  const struct counters *after, bool good);

#endif
