// SPDX-License-Identifier: GPL-2.0-only
/*
 * One kind of mutator against the walkers, in a process of its own: a mutator thread, a
 * thread that lends itself to the caller's walker, and the module's worker. Ends when
 * enough raced walks have been accepted, or with the first finding.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINGER_US	40
#define HMM_EVERY	8
#define SLICE_MS	50
#define POLL_MS		20

static const char * const walker_names[HMS_WALKER_NR] = {
	[HMS_WALKER_CALLER] = "caller",
	[HMS_WALKER_WORKER] = "worker",
};

static const char * const oracle_names[] = {
	[HMS_ORACLE_SLOW] = "page table",
	[HMS_ORACLE_SHADOW] = "page table, from the shadow table",
	[HMS_ORACLE_HMM] = "hmm_range_fault",
};

struct running {
	const struct kind *kind;
	struct arena *arena;
	int dev;
	uint64_t steps;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/*
 * The mutator is preempted by whoever wakes up. Else a walker that an event has overtaken
 * would get the CPU only with the next tick, long after the change it is to race with.
 */
static void *mutate(void *data)
{
	struct running *running = data;
	struct sched_param param = {};

	must(!sched_setscheduler(0, SCHED_IDLE, &param), "SCHED_IDLE");
	while (!running->arena->stop) {
		running->kind->step(running->arena);
		running->steps++;
	}
	return NULL;
}

static void *lend(void *data)
{
	struct running *running = data;
	uint32_t slice_ms = SLICE_MS;

	while (!running->arena->stop) {
		if (ioctl(running->dev, HMS_IOC_WALK, &slice_ms) && errno != EINTR)
			die("HMS_IOC_WALK");
	}
	return NULL;
}

/* Findings of the walkers' extents: these alone are compared at commit time. */
static uint64_t extent_findings(const struct hms_counts *c)
{
	return c->stale + c->permissive + c->hmm_stale + c->hmm_permissive;
}

static uint64_t findings(const struct hms_stats *stats)
{
	uint64_t sum = stats->error;

	for (unsigned int i = 0; i < HMS_WALKER_NR; i++) {
		const struct hms_counts *c = &stats->counts[i];

		sum += extent_findings(c) + c->shadow_stale + c->shadow_permissive +
		       c->malformed;
	}
	return sum;
}

static uint64_t raced(const struct hms_stats *stats)
{
	return stats->counts[HMS_WALKER_CALLER].raced +
	       stats->counts[HMS_WALKER_WORKER].raced;
}

/* Is there enough of everything? Each walker must have its part. */
static bool is_enough(const struct hms_stats *stats, uint64_t count)
{
	uint64_t each = count / 4;

	return raced(stats) >= count &&
	       stats->counts[HMS_WALKER_CALLER].raced >= each &&
	       stats->counts[HMS_WALKER_WORKER].raced >= each;
}

static uint64_t found_at_commit(const struct hms_stats *stats)
{
	return extent_findings(&stats->counts[HMS_WALKER_CALLER]) +
	       extent_findings(&stats->counts[HMS_WALKER_WORKER]);
}

static void print_counts(const char *name, const struct hms_counts *c)
{
	printf("# %s: %llu walks, %llu accepted, %llu raced, %llu given up, %llu timeouts\n",
	       name, (unsigned long long)c->calls, (unsigned long long)c->accepted,
	       (unsigned long long)c->raced, (unsigned long long)c->abandoned,
	       (unsigned long long)c->timeouts);
	printf("# %s: stale/over-permissive: %llu/%llu of %llu pages, %llu/%llu of %llu "
	       "shadow entries, %llu/%llu of %llu against hmm_range_fault; %llu malformed, "
	       "%llu detached\n",
	       name, (unsigned long long)c->stale, (unsigned long long)c->permissive,
	       (unsigned long long)c->pages, (unsigned long long)c->shadow_stale,
	       (unsigned long long)c->shadow_permissive,
	       (unsigned long long)c->shadow_pages, (unsigned long long)c->hmm_stale,
	       (unsigned long long)c->hmm_permissive, (unsigned long long)c->hmm_pages,
	       (unsigned long long)c->malformed, (unsigned long long)c->detached);
}

static void print_bad(const struct hms_stats *stats)
{
	for (unsigned int i = 0; i < stats->nr_bad; i++) {
		const struct hms_bad *bad = &stats->bad[i];

		printf("# bad: %s, va 0x%llx reported pfn 0x%llx flags 0x%x; "
		       "%s: entry 0x%llx level %u\n",
		       walker_names[bad->walker], (unsigned long long)bad->va,
		       (unsigned long long)bad->pfn, bad->flags,
		       oracle_names[bad->oracle], (unsigned long long)bad->entry,
		       bad->level);
	}
}

static void start(struct running *running, const struct run_options *options)
{
	const struct kind *kind = running->kind;
	struct hms_start cfg = {
		.va = (uintptr_t)running->arena->base,
		.len = kind->npages * PAGE,
		.min_npages = kind->min_npages,
		.max_npages = kind->max_npages,
		.flags = options->control ? HMS_IGNORE_VALID : 0,
		.fault_percent = kind->fault_percent,
		.linger_us = LINGER_US,
		.hmm_every = HMM_EVERY,
		.seed = options->seed,
	};

	running->dev = open(HMS_DEVICE, O_RDWR | O_CLOEXEC);
	must(running->dev >= 0, HMS_DEVICE);
	must(!ioctl(running->dev, HMS_IOC_START, &cfg), "HMS_IOC_START");
}

/* Until there is enough, or the time is over; returns the milliseconds it took. */
static uint64_t watch(struct running *running, const struct run_options *options,
		      struct hms_stats *stats)
{
	uint64_t begin = now_ms(), deadline = begin + options->timeout_s * 1000ULL;

	do {
		usleep(POLL_MS * 1000);
		must(!ioctl(running->dev, HMS_IOC_STATS, stats), "HMS_IOC_STATS");
		if (options->control ? found_at_commit(stats) : findings(stats))
			break;
	} while (!is_enough(stats, options->count) && now_ms() < deadline);
	return now_ms() - begin;
}

static bool judge(const struct hms_stats *stats, const struct run_options *options)
{
	if (stats->error) {
		printf("# a call failed: %s\n", strerror((int)stats->error));
		return false;
	}
	if (options->control) {
		if (!found_at_commit(stats))
			printf("# nothing stale was found without the check\n");
		return found_at_commit(stats) && raced(stats) <= 2 * options->count;
	}
	if (findings(stats)) {
		print_bad(stats);
		return false;
	}
	if (!is_enough(stats, options->count)) {
		printf("# not enough raced walks within %u s\n", options->timeout_s);
		return false;
	}
	return true;
}

/* The process of one kind; returns its exit code. */
static int run_here(const struct kind *kind, const struct run_options *options)
{
	struct arena arena = {
		.base = (char *)ARENA_VA, .npages = kind->npages, .fd = -1,
		.seed = options->seed,
	};
	struct running running = { .kind = kind, .arena = &arena };
	pthread_t mutator, lender;
	struct hms_stats stats;
	uint64_t time_ms;
	const char *why;

	why = kind->setup(&arena);
	if (why) {
		printf("# cannot run: %s\n", why);
		return 1;
	}
	start(&running, options);
	must(!pthread_create(&mutator, NULL, mutate, &running), "pthread_create");
	must(!pthread_create(&lender, NULL, lend, &running), "pthread_create");
	time_ms = watch(&running, options, &stats);
	arena.stop = true;
	pthread_join(mutator, NULL);
	pthread_join(lender, NULL);
	must(!ioctl(running.dev, HMS_IOC_STATS, &stats), "HMS_IOC_STATS");

	printf("# %s: %llu raced of %llu wanted, %llu events, %llu steps, %llu.%llu s\n",
	       kind->name, (unsigned long long)raced(&stats),
	       (unsigned long long)options->count, (unsigned long long)stats.events,
	       (unsigned long long)running.steps, (unsigned long long)time_ms / 1000,
	       (unsigned long long)time_ms % 1000 / 100);
	for (unsigned int i = 0; i < HMS_WALKER_NR; i++)
		print_counts(walker_names[i], &stats.counts[i]);
	return judge(&stats, options) ? 0 : 1;
}

int run_kind(const struct kind *kind, const struct run_options *options)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		int code;

		/* Its own limit works unless it hangs. */
		alarm(options->timeout_s + 60);
		code = run_here(kind, options);
		fflush(stdout);
		_exit(code);
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	if (WIFSIGNALED(status))
		printf("# %s: killed by signal %d\n", kind->name, WTERMSIG(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}
