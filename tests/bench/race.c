// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two ways to walk memory that another thread changes without a pause: the walk first and
 * then the lock, as the mirror has it, against the walk under the lock. They take turns
 * over the same memory. Needs two CPUs; the shares depend on the machine.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define AREA_LEN	(2 * BLOCK)
#define AREA_NPAGES	(AREA_LEN / PAGE)
#define NR_HUGETLB	8U
#define NR_TURNS	40U
#define NR_WALKS	50U	/* of one turn */
#define PREPARE_US	100U	/* mapping for DMA and making page tables take that long */

/**
 * struct mutator - what the other thread does
 * @name: in the table
 * @make: the area
 * @step: one change of it, that leaves all of it present
 */
struct mutator {
	const char *name;
	char *(*make)(void);
	void (*step)(char *area);
};

/* How the area is mapped, where a step needs to know. */
static int memfd = -1;
static char *elsewhere;
static uint64_t seed = 88172645463325252ULL;

static atomic_bool stop;
static atomic_ulong nr_steps;

static unsigned long below(unsigned long n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static void touch_pages(char *first, size_t npages)
{
	for (size_t i = 0; i < npages; i++)
		((volatile char *)first)[i * PAGE] = 1;
}

static char *some_pages(char *area, size_t npages)
{
	return area + below(AREA_NPAGES - npages + 1) * PAGE;
}

static char *make_small(void)
{
	char *area = map_aligned(AREA_LEN, BLOCK, 0);

	if (madvise(area, AREA_LEN, MADV_NOHUGEPAGE))
		die("MADV_NOHUGEPAGE: %s", strerror(errno));
	touch_pages(area, AREA_NPAGES);
	return area;
}

/* The child shares all pages until it is told to go, so that each write copies one. */
static void step_fork(char *area)
{
	int pipes[2];
	pid_t pid;
	char byte;

	if (pipe(pipes))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) != 0);
	}
	close(pipes[0]);
	touch_pages(some_pages(area, 64), 64);
	close(pipes[1]);
	if (waitpid(pid, NULL, 0) != pid)
		die("waitpid: %s", strerror(errno));
}

static void discard(char *at, size_t len)
{
	if (madvise(at, len, MADV_DONTNEED))
		die("MADV_DONTNEED: %s", strerror(errno));
}

static void protect_and_back(char *at, size_t len)
{
	if (mprotect(at, len, PROT_READ) || mprotect(at, len, PROT_READ | PROT_WRITE))
		die("mprotect: %s", strerror(errno));
}

static void step_discard(char *area)
{
	char *at = some_pages(area, 8);

	discard(at, 8 * PAGE);
	touch_pages(at, 8);
}

static char *make_thp_area(void)
{
	char *area = map_aligned(AREA_LEN, BLOCK, 0);

	if (madvise(area, AREA_LEN, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE: %s", strerror(errno));
	touch_pages(area, AREA_NPAGES);
	return area;
}

/* One THP in ten is made anew, the others lose their rights or a page. */
static void step_thp(char *area)
{
	char *at = some_pages(area, 32), *block = area + below(AREA_LEN / BLOCK) * BLOCK;

	switch (below(10)) {
	case 0:
		discard(block, BLOCK);
		touch_pages(block, BLOCK_NPAGES);
		break;
	case 1 ... 5:
		protect_and_back(block, BLOCK);
		touch_pages(block, 1);
		break;
	default:
		discard(at, 32 * PAGE);
		touch_pages(at, 32);
		break;
	}
}

static char *make_memfd(void)
{
	char *at = map_aligned(AREA_LEN, BLOCK, 0);

	memfd = memfd_create("race", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, AREA_LEN) ||
	    mmap(at, AREA_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd, 0) != at)
		die("memfd: %s", strerror(errno));
	touch_pages(at, AREA_NPAGES);
	return at;
}

static void step_memfd(char *area)
{
	char *at = some_pages(area, 8);

	if (fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at - area, 8 * PAGE))
		die("punch hole: %s", strerror(errno));
	touch_pages(at, 8);
}

static char *make_hugetlb(void)
{
	char *area;

	reserve_hugetlb(NR_HUGETLB);
	area = mmap(NULL, AREA_LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (area == MAP_FAILED)
		die("hugetlb: %s", strerror(errno));
	touch_pages(area, AREA_NPAGES);
	return area;
}

static void step_hugetlb(char *area)
{
	char *block = area + below(AREA_LEN / BLOCK) * BLOCK;

	if (below(4))
		protect_and_back(block, BLOCK);
	else
		discard(block, BLOCK);
	touch_pages(block, 1);
}

static char *make_for_mremap(void)
{
	elsewhere = map_aligned(AREA_LEN, BLOCK, 0);
	return make_small();
}

static void step_mremap(char *area)
{
	char *at = some_pages(area, 16);
	size_t len = 16 * PAGE;

	if (mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) != elsewhere ||
	    mremap(elsewhere, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at)
		die("mremap: %s", strerror(errno));
	touch_pages(at, 16);
}

static const struct mutator mutators[] = {
	{ "4k: fork and copy", make_small, step_fork },
	{ "4k: MADV_DONTNEED", make_small, step_discard },
	{ "4k: mremap", make_for_mremap, step_mremap },
	{ "THP: split, discard", make_thp_area, step_thp },
	{ "memfd: punch hole", make_memfd, step_memfd },
	{ "hugetlb: mprotect, discard", make_hugetlb, step_hugetlb },
};

struct mutation {
	const struct mutator *mutator;
	char *area;
};

static void *mutate(void *arg)
{
	const struct mutation *m = arg;

	while (!stop) {
		m->mutator->step(m->area);
		nr_steps++;
	}
	return NULL;
}

static const struct contest {
	const char *name;
	unsigned int way;	/* enum hmm_bench_way */
	unsigned int prepare_us;
} contests[] = {
	{ "then the lock", HMM_BENCH_THEN_LOCK, 0 },
	{ "100 us, then lock", HMM_BENCH_THEN_LOCK, PREPARE_US },
	{ "under the lock", HMM_BENCH_UNDER_LOCK, 0 },
};

#define NR_CONTESTS	(sizeof(contests) / sizeof(contests[0]))

/* Sums of all turns of a contest. */
struct sums {
	struct hmm_bench_race race;
	unsigned long voided;
	unsigned long steps;
};

static void one_turn(int fd, const struct contest *contest, struct sums *sums)
{
	struct hmm_bench_race race = {
		.way = contest->way,
		.nr = NR_WALKS,
		.prepare_us = contest->prepare_us,
	};
	unsigned long steps = nr_steps, voided = retries_seen();

	device_call(fd, HMM_BENCH_RACE, &race, "walk");
	/* Under the lock nothing is voided; before it, an extent or none was read. */
	if (contest->way == HMM_BENCH_THEN_LOCK)
		sums->voided += retries_seen() - voided;
	sums->steps += nr_steps - steps;
	sums->race.accepted += race.accepted;
	sums->race.refused += race.refused;
	sums->race.ticks += race.ticks;
	sums->race.locked_ticks += race.locked_ticks;
}

static void line(const char *who, const char *how, const struct sums *s)
{
	unsigned long lost = s->voided + s->race.refused;
	double checks = s->race.accepted + s->race.refused;

	printf("%-27s %-18s %8llu %7lu %8llu %6.1f%% %8.0f %9.1f %8.1f\n", who, how,
	       (unsigned long long)s->race.accepted, s->voided,
	       (unsigned long long)s->race.refused, 100.0 * lost / (s->race.accepted + lost),
	       in_units(s->race.ticks) / s->race.accepted / 1e3,
	       in_units(s->race.locked_ticks) / checks / 1e3,
	       s->steps / (in_units(s->race.ticks) / 1e6));
}

/* Both ways see all of the memory once it stands still: else one of them is wrong. */
static void check_same(int fd, const char *name)
{
	for (unsigned int way = 0; way < HMM_BENCH_NR_WAYS; way++) {
		struct hmm_bench_race race = { .way = way, .nr = 1 };

		device_call(fd, HMM_BENCH_RACE, &race, "walk");
		if (race.nr_pages != AREA_NPAGES)
			die("%s: way %u sees %llu pages, not %lu", name, way,
			    (unsigned long long)race.nr_pages, AREA_NPAGES);
	}
}

static void race_against(const struct mutator *mutator)
{
	struct mutation mutation = { .mutator = mutator };
	struct sums sums[NR_CONTESTS] = {};
	struct hmm_bench_span span;
	unsigned int turn, i;
	char filter[64];
	pthread_t thread;
	int fd;

	mutation.area = mutator->make();
	/* A pass that begins anew is work lost only if it had read something. */
	snprintf(filter, sizeof(filter), "reached_va > %#lx", (unsigned long)mutation.area);
	retries_watch(filter);
	fd = span_open(mutation.area, AREA_LEN, HMM_BENCH_RANGE, &span);
	stop = false;
	nr_steps = 0;
	if (pthread_create(&thread, NULL, mutate, &mutation))
		die("no thread");
	while (!nr_steps)
		sched_yield();
	for (turn = 0; turn < NR_TURNS; turn++)
		for (i = 0; i < NR_CONTESTS; i++)
			one_turn(fd, &contests[i], &sums[i]);
	stop = true;
	pthread_join(thread, NULL);
	retries_unwatch();
	check_same(fd, mutator->name);
	close(fd);
	munmap(mutation.area, AREA_LEN);
	for (i = 0; i < NR_CONTESTS; i++)
		line(i ? "" : mutator->name, contests[i].name, &sums[i]);
}

void bench_race(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		die("churn needs two CPUs");
	printf("\n%-27s %-18s %8s %7s %8s %7s %8s %9s %8s\n", "walk of 4 MiB, it changes by",
	       "the walk", "accepted", "voided", "refused", "lost", "us each", "us locked",
	       "steps/ms");
	for (size_t i = 0; i < sizeof(mutators) / sizeof(mutators[0]); i++) {
		race_against(&mutators[i]);
		fflush(stdout);
	}
}
