// SPDX-License-Identifier: GPL-2.0-only
/*
 * What watching costs: the first mirror of a process, ranges, and events for spans that
 * many look at. The kernel's way is an interval notifier for each.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPAN_LEN	(1UL << 30)
#define NR_REGISTERED	1000U

static void first_in_child(unsigned int parts, struct hmm_bench_span *span, void *memory)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		close(span_open(memory, BLOCK, parts, span));
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("the child failed");
}

/* Only in a new mm is a registration the first: a child for each. */
static void first_registration(void)
{
	struct hmm_bench_span *span = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t notifier[PASSES], mirror[PASSES], watch[PASSES];
	void *memory = map_aligned(BLOCK, BLOCK, 0);
	unsigned int i;

	if (span == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	for (i = 0; i < PASSES; i++) {
		first_in_child(HMM_BENCH_NOTIFIER, span, memory);
		notifier[i] = span->notifier_ticks;
		first_in_child(HMM_BENCH_MIRROR, span, memory);
		mirror[i] = span->mirror_ticks;
		watch[i] = span->watch_ticks;
	}
	printf("\nfirst in a process, %s: interval notifier %.0f; mirror %.0f and its first watch %.0f\n",
	       unit_name(), median(notifier), median(mirror), median(watch));
	munmap(span, PAGE);
	munmap(memory, BLOCK);
}

static uint64_t crowd(int fd, unsigned int part, unsigned int nr)
{
	struct hmm_bench_crowd c = { .part = part, .nr = nr };

	device_call(fd, HMM_BENCH_CROWD, &c, nr ? "set up a crowd" : "remove a crowd");
	return c.ticks;
}

static void registration(void)
{
	uint64_t add[2][PASSES], del[2][PASSES];
	static const unsigned int parts[2] = { HMM_BENCH_NOTIFIER, HMM_BENCH_RANGE };
	void *memory = map_aligned(SPAN_LEN, SPAN_LEN, MAP_NORESERVE);
	struct hmm_bench_span span;
	unsigned int i, k;
	int fd;

	fd = span_open(memory, SPAN_LEN, HMM_BENCH_MIRROR, &span);
	for (i = 0; i < PASSES; i++) {
		for (k = 0; k < 2; k++) {
			add[k][i] = crowd(fd, parts[k], NR_REGISTERED);
			del[k][i] = crowd(fd, parts[k], 0);
		}
	}
	close(fd);
	munmap(memory, SPAN_LEN);
	printf("one of %u, %s: interval notifier: insert %.0f, remove %.0f; range: register %.0f, unregister %.0f\n",
	       NR_REGISTERED, unit_name(), median(add[0]) / NR_REGISTERED,
	       median(del[0]) / NR_REGISTERED, median(add[1]) / NR_REGISTERED,
	       median(del[1]) / NR_REGISTERED);
}

static double time_events(void *memory)
{
	uint64_t ticks[PASSES], start;
	unsigned int i;

	for (i = 0; i < PASSES; i++) {
		start = ticks_now();
		if (madvise(memory, SPAN_LEN, MADV_DONTNEED))
			die("madvise: %s", strerror(errno));
		ticks[i] = ticks_now() - start;
	}
	return median(ticks);
}

/* A span without pages: what is left is the cost of telling. */
static void invalidation_of(void *memory, unsigned int parts, unsigned int crowd_part,
			    unsigned int nr, const char *who)
{
	struct hmm_bench_events events = {};
	struct hmm_bench_span span;
	double cost;
	int fd;

	fd = span_open(memory, SPAN_LEN, parts, &span);
	if (nr)
		crowd(fd, crowd_part, nr);
	time_events(memory);
	device_call(fd, HMM_BENCH_EVENTS, &events, "reset events");
	cost = time_events(memory);
	device_call(fd, HMM_BENCH_EVENTS, &events, "count events");
	if (nr)
		crowd(fd, crowd_part, 0);
	close(fd);
	printf("%-20s %8u %14.0f %12.1f\n", who, nr, cost,
	       (double)(events.nr_mirror + events.nr_notifier) / PASSES);
}

static void invalidation(void)
{
	static const unsigned int counts[] = { 0, 10, 10000 };
	void *memory = map_aligned(SPAN_LEN, SPAN_LEN, MAP_NORESERVE);
	unsigned int i;

	printf("\n%-20s %8s %14s %12s\n", "1 GiB invalidated", "of", unit_name(), "callbacks");
	printf("%-20s %8u %14.0f %12.1f\n", "nobody looks", 0, time_events(memory), 0.0);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		invalidation_of(memory, HMM_BENCH_MIRROR, HMM_BENCH_RANGE, counts[i],
				"a mirror, ranges");
		if (counts[i])
			invalidation_of(memory, 0, HMM_BENCH_NOTIFIER, counts[i],
					"interval notifiers");
	}
	munmap(memory, SPAN_LEN);
}

void bench_scale(void)
{
	first_registration();
	registration();
	invalidation();
}
