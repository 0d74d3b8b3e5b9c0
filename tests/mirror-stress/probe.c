// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables that come and go, below the module's probe. The mutator and whoever probes
 * are each on a CPU of their own, so that a foreign probe runs where the mm is not loaded.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define NR_TABLES	16	/* page-table pages that come and go */
#define LINGER_US	100
/* From unsharing a table to the peer's letting go of it takes longer. */
#define SHARED_LINGER_US 1000
#define SLICE_MS	500
#define PROBE_CPU	1
#define MUTATOR_CPU	0
#define NR_HUGE		2
#define NR_HELD_ENOUGH	100	/* to say that none is freed */

enum probe_mutator {
	MUTATE_UNMAP,	/* munmap() of 2 MiB and mapping it again */
	MUTATE_COLLAPSE, /* anonymous and shared memory collapsed, and emptied */
	MUTATE_SHARED,	/* hugetlb tables shared with peers that exit */
};

const struct probe_case probe_cases[] = {
	{ "table_own_locked", HMS_PROBE_OWN_LOCKED, MUTATE_UNMAP, false, false },
	{ "table_own_locked_collapse", HMS_PROBE_OWN_LOCKED, MUTATE_COLLAPSE, false, false },
	{ "table_own_locked_hugetlb", HMS_PROBE_OWN_LOCKED, MUTATE_SHARED, false, false },
	{ "table_foreign_locked", HMS_PROBE_FOREIGN_LOCKED, MUTATE_UNMAP, false, false },
	{ "table_foreign_locked_collapse", HMS_PROBE_FOREIGN_LOCKED, MUTATE_COLLAPSE, false, false },
	{ "table_foreign_locked_hugetlb", HMS_PROBE_FOREIGN_LOCKED, MUTATE_SHARED, false, false },
	{ "table_own_irq", HMS_PROBE_OWN_IRQ, MUTATE_UNMAP, false, false },
	{ "table_own_irq_collapse", HMS_PROBE_OWN_IRQ, MUTATE_COLLAPSE, false, false },
	{ "table_own_irq_hugetlb", HMS_PROBE_OWN_IRQ, MUTATE_SHARED, false, false },
	{ "table_own_rcu_is_unsound", HMS_PROBE_OWN_RCU, MUTATE_UNMAP, true, false },
	{ "table_own_rcu_hugetlb_is_unsound", HMS_PROBE_OWN_RCU, MUTATE_SHARED, true,
	  true },
	{ "table_foreign_irq_is_unsound", HMS_PROBE_FOREIGN_IRQ, MUTATE_UNMAP, true, false },
};

const size_t nr_probe_cases = ARRAY_SIZE(probe_cases);

struct probing {
	const struct probe_case *probe;
	struct arena arena;
};

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

/* A page in the same GiB keeps the table above the ones that go. */
static void setup_tables(struct arena *arena)
{
	must(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "PR_SET_THP_DISABLE");
	map_anon(arena->base + GIB - HUGE, PAGE);
	write_pages(arena->base + GIB - HUGE, 1);
}

/* @arena->side: which are there; about half of them. */
static void step_unmap(struct arena *arena)
{
	unsigned int nr = rnd(arena, NR_TABLES), bit = 1U << nr;
	char *at = arena->base + nr * HUGE;

	if (arena->side & bit) {
		must(!munmap(at, HUGE), "munmap");
	} else {
		map_anon(at, HUGE);
		write_pages(at, 1);
	}
	arena->side ^= bit;
}

/* The first half of the tables is anonymous, the second shared. */
static void setup_collapse(struct arena *arena)
{
	size_t half = NR_TABLES / 2 * HUGE;
	void *p;

	map_anon(arena->base + GIB - HUGE, PAGE);
	write_pages(arena->base + GIB - HUGE, 1);
	write_setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise");
	map_anon(arena->base, half);
	must(!madvise(arena->base, half, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
	arena->fd = make_memfd("collapse", 0, half);
	p = mmap(arena->base + half, half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 arena->fd, 0);
	must(p == arena->base + half, "mmap of a memfd");
}

static void step_collapse(struct arena *arena)
{
	size_t nr = rnd(arena, NR_TABLES);
	char *at = arena->base + nr * HUGE;
	bool shared = nr >= NR_TABLES / 2;

	if (shared)
		must(!fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				at - arena->base - NR_TABLES / 2 * (off_t)HUGE, HUGE),
		     "punch hole");
	else
		must(!madvise(at, HUGE, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
	/* Few pages: the rest of a collapsed block is zeros. */
	write_pages(at, 8);
	must(!madvise(at, HUGE, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	if (madvise(at, HUGE, MADV_COLLAPSE) && errno != EAGAIN && errno != ENOMEM &&
	    errno != EBUSY && errno != EINVAL)
		die("MADV_COLLAPSE");
	/* An emptied table may be freed, too, while its VMA lives on. */
	must(!madvise(at, HUGE, MADV_DONTNEED), "MADV_DONTNEED");
}

/* The arena is the GiB whose table of PMDs is shared; one behind keeps what is above. */
static void setup_shared(struct arena *arena)
{
	void *p;

	map_anon(arena->base + GIB, PAGE);
	write_pages(arena->base + GIB, 1);
	arena->fd = make_memfd("shared", MFD_HUGETLB | MFD_HUGE_2MB, GIB);
	p = mmap(arena->base, GIB, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_SHARED | MAP_NORESERVE, arena->fd, 0);
	must(p == arena->base, "mmap of hugetlb");
}

static void touch_huge(struct arena *arena)
{
	for (unsigned int i = 0; i < NR_HUGE; i++)
		write_pages(arena->base + i * HUGE, 1);
}

/*
 * The peer shares the table; this process lets go of it, so the peer has it alone and
 * frees it by exiting.
 */
static void step_shared(struct arena *arena)
{
	bool unmap = rnd(arena, 2);
	int ready[2], go[2];
	char byte = 0;
	pid_t pid;

	touch_huge(arena);
	must(!pipe2(ready, O_CLOEXEC) && !pipe2(go, O_CLOEXEC), "pipe");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		read_pages(arena->base, 1);
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		/* By itself, or with all else: both free the table. */
		if (unmap)
			munmap(arena->base, GIB);
		_exit(0);
	}
	must(read(ready[0], &byte, 1) == 1, "pipe");
	must(!mprotect(arena->base, GIB, PROT_READ), "mprotect");
	must(write(go[1], &byte, 1) == 1, "pipe");
	must(!mprotect(arena->base, GIB, PROT_READ | PROT_WRITE), "mprotect back");
	must(waitpid(pid, NULL, 0) == pid, "waitpid");
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
}

static void *mutate(void *data)
{
	static void (* const steps[])(struct arena *arena) = {
		[MUTATE_UNMAP] = step_unmap,
		[MUTATE_COLLAPSE] = step_collapse,
		[MUTATE_SHARED] = step_shared,
	};
	struct probing *probing = data;

	pin(MUTATOR_CPU);
	while (!probing->arena.stop)
		steps[probing->probe->mutator](&probing->arena);
	return NULL;
}

static void setup(struct probing *probing)
{
	static void (* const setups[])(struct arena *arena) = {
		[MUTATE_UNMAP] = setup_tables,
		[MUTATE_COLLAPSE] = setup_collapse,
		[MUTATE_SHARED] = setup_shared,
	};

	setups[probing->probe->mutator](&probing->arena);
}

/* One slice of the probe; adds to the counts of @sum. */
static void probe_slice(const struct probing *probing, int dev, struct hms_probe *sum)
{
	bool shared = probing->probe->mutator == MUTATE_SHARED;
	struct hms_probe probe = {
		.va = (uintptr_t)probing->arena.base,
		.len = shared ? HUGE : NR_TABLES * HUGE,
		.mode = probing->probe->mode,
		.level = shared ? 2 : 1,
		.cpu = PROBE_CPU,
		.time_ms = SLICE_MS,
		.linger_us = shared ? SHARED_LINGER_US : LINGER_US,
	};

	must(!ioctl(dev, HMS_IOC_PROBE, &probe), "HMS_IOC_PROBE");
	sum->held += probe.held;
	sum->unlinked += probe.unlinked;
	sum->freed += probe.freed;
}

static bool judge(const struct probe_case *probe, enum unsound_expectation unsound,
		  const struct hms_probe *sum)
{
	printf("# %s: %llu tables held, %llu unlinked and %llu freed while held\n",
	       probe->name, (unsigned long long)sum->held,
	       (unsigned long long)sum->unlinked, (unsigned long long)sum->freed);
	/* One that is freed is proof; that none is needs many. */
	if (probe->unsound && unsound == UNSOUND_FIRES)
		return sum->freed;
	if (sum->held < NR_HELD_ENOUGH)
		printf("# that is too few to tell\n");
	return !sum->freed && sum->held >= NR_HELD_ENOUGH;
}

static int probe_here(const struct probe_case *probe, enum unsound_expectation unsound,
		      unsigned int time_s)
{
	struct probing probing = {
		.probe = probe,
		.arena = { .base = (char *)ARENA_VA, .fd = -1, .seed = 1 },
	};
	bool until_fired = probe->unsound && unsound == UNSOUND_FIRES;
	unsigned int slices = time_s * 1000 / SLICE_MS;
	struct hms_probe sum = {};
	pthread_t mutator;
	int dev;

	/* It takes longer to find than to look. */
	if (until_fired)
		slices *= 10;
	dev = open(HMS_DEVICE, O_RDWR | O_CLOEXEC);
	must(dev >= 0, HMS_DEVICE);
	setup(&probing);
	must(!pthread_create(&mutator, NULL, mutate, &probing), "pthread_create");
	/* A foreign probe has a thread of the module; this one only waits. */
	pin(probe->mode == HMS_PROBE_FOREIGN_LOCKED ||
	    probe->mode == HMS_PROBE_FOREIGN_IRQ ? MUTATOR_CPU : PROBE_CPU);
	for (; slices && !(until_fired && sum.freed); slices--)
		probe_slice(&probing, dev, &sum);
	/* On a busy machine the time may be too short. */
	for (slices = 10 * time_s * 1000 / SLICE_MS;
	     slices && !until_fired && sum.held < NR_HELD_ENOUGH; slices--)
		probe_slice(&probing, dev, &sum);
	probing.arena.stop = true;
	pthread_join(mutator, NULL);
	return judge(probe, unsound, &sum) ? 0 : 1;
}

int run_probe(const struct probe_case *probe, enum unsound_expectation unsound,
	      unsigned int time_s)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		int code;

		alarm(time_s * 10 + 60);
		code = probe_here(probe, unsound, time_s);
		fflush(stdout);
		_exit(code);
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	if (WIFSIGNALED(status))
		printf("# %s: killed by signal %d\n", probe->name, WTERMSIG(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}
