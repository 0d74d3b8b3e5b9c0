// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work made void: one thread walks the pieces of an area in turn while another takes
 * pages away and touches them again. The kernel's way has one notifier for the area, so
 * any change in it voids a walk of any piece; a mirror's ranges are one for each piece.
 * Needs two CPUs; figures depend on the machine, the ratio shows.
 */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREA_LEN	(32 * MIB)
#define NR_PIECES	16U
#define PIECE_LEN	(AREA_LEN / NR_PIECES)
#define NR_WALKS	1000U
#define EVENTS_PER_PAGE	8U

static atomic_bool stop;
static atomic_ulong nr_events;

static void *churn(void *arg)
{
	volatile char *area = arg;
	uint64_t x = 88172645463325252ULL;
	unsigned int i;

	while (!stop) {
		volatile char *page;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		page = area + x % (AREA_LEN / PAGE) * PAGE;
		/* Each is an event, also where nothing is left to take away. */
		for (i = 0; i < EVENTS_PER_PAGE; i++)
			if (madvise((void *)page, PAGE, MADV_DONTNEED))
				die("madvise: %s", strerror(errno));
		*page = 1;
		nr_events += EVENTS_PER_PAGE;
	}
	return NULL;
}

static unsigned long walk_pieces(const int *fds, unsigned int nr_fds, char *area, unsigned int op)
{
	unsigned long retries = 0;
	unsigned int i;

	for (i = 0; i < NR_WALKS; i++) {
		struct hmm_bench_pass pass = { .op = op };

		if (nr_fds == 1) {
			pass.first_va = (uintptr_t)area + i % NR_PIECES * PIECE_LEN;
			pass.last_va = pass.first_va + PIECE_LEN - 1;
		}
		device_call(fds[i % nr_fds], HMM_BENCH_PASS, &pass, "walk");
		retries += pass.retries;
	}
	return retries;
}

static void line(const char *who, unsigned long inside, unsigned long at_commit)
{
	printf("%-42s %8u %10lu %10lu %9.3f\n", who, NR_WALKS, inside, at_commit,
	       (double)(inside + at_commit) / NR_WALKS);
}

static void churned_walks(char *area, unsigned int kernel_op, unsigned int our_op, const char *what)
{
	struct hmm_bench_span span;
	int fds[NR_PIECES], fd;
	unsigned long retries, inside;
	unsigned int i;
	char who[64];

	fd = span_open(area, AREA_LEN, HMM_BENCH_NOTIFIER, &span);
	retries = walk_pieces(&fd, 1, area, kernel_op);
	close(fd);
	snprintf(who, sizeof(who), "%s: hmm_range_fault(), one notifier", what);
	line(who, 0, retries);

	for (i = 0; i < NR_PIECES; i++)
		fds[i] = span_open(area + i * PIECE_LEN, PIECE_LEN, HMM_BENCH_RANGE, &span);
	inside = retries_seen();
	retries = walk_pieces(fds, NR_PIECES, area, our_op);
	snprintf(who, sizeof(who), "%s: mirror, a range for each piece", what);
	line(who, retries_seen() - inside, retries);
	for (i = 0; i < NR_PIECES; i++)
		close(fds[i]);
}

void bench_churn(void)
{
	char *area = map_aligned(AREA_LEN, BLOCK, 0);
	pthread_t thread;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		die("churn needs two CPUs");
	madvise(area, AREA_LEN, MADV_NOHUGEPAGE);
	memset(area, 1, AREA_LEN);
	retries_watch(NULL);
	if (pthread_create(&thread, NULL, churn, area))
		die("no thread");
	while (!nr_events)
		sched_yield();

	printf("\n%-42s %8s %10s %10s %9s\n", "walks under churn (two CPUs, wall time)", "walks",
	       "voided", "at commit", "per walk");
	churned_walks(area, HMM_BENCH_KERNEL_SNAPSHOT, HMM_BENCH_MIRROR_SNAPSHOT, "snapshot");
	churned_walks(area, HMM_BENCH_KERNEL_FAULT, HMM_BENCH_MIRROR_FAULT, "fault");
	stop = true;
	pthread_join(thread, NULL);
	retries_unwatch();
	printf("%lu events meanwhile\n", nr_events);
	munmap(area, AREA_LEN);
}
