// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutators of private anonymous memory in 4 KiB pages. Each step changes a small piece
 * and touches it again, so that what a stale extent says is soon wrong.
 */
#include "stress.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NPAGES		80
#define PIECE		8
#define MAX_NODES	64

static void no_huge_pages(void)
{
	must(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "PR_SET_THP_DISABLE");
}

static const char *setup_anon(struct arena *arena)
{
	no_huge_pages();
	map_anon(arena->base, arena->npages * PAGE);
	write_pages(arena->base, arena->npages);
	return NULL;
}

/* Some pages are read first, which maps the zero page. */
static void touch(struct arena *arena, char *at, size_t npages)
{
	if (!rnd(arena, 3))
		read_pages(at, npages);
	write_pages(at, npages);
}

static void step_munmap(struct arena *arena)
{
	size_t first, npages;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	must(!munmap(at, npages * PAGE), "munmap");
	map_anon(at, npages * PAGE);
	touch(arena, at, npages);
}

static void step_mmap_over(struct arena *arena)
{
	size_t first, npages;
	void *p;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	if (rnd(arena, 2)) {
		map_anon(at, npages * PAGE);
	} else {
		p = mmap(at, npages * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		must(p == at, "mmap over");
	}
	touch(arena, at, npages);
	/* Leave one mapping, or the number of VMAs grows without end. */
	if (!rnd(arena, 64)) {
		map_anon(arena->base, arena->npages * PAGE);
		write_pages(arena->base, arena->npages);
	}
}

static void step_mprotect(struct arena *arena)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ };
	size_t first, npages;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	must(!mprotect(at, npages * PAGE, prots[rnd(arena, ARRAY_SIZE(prots))]),
	     "mprotect");
	must(!mprotect(at, npages * PAGE, PROT_READ | PROT_WRITE), "mprotect back");
	write_pages(at, npages);
}

static void step_dontneed(struct arena *arena)
{
	size_t first, npages;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	must(!madvise(at, npages * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	touch(arena, at, npages);
}

static void step_free(struct arena *arena)
{
	size_t first, npages;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	/* Not for what mmap_over left shared, in the mixed kind. */
	must(!madvise(at, npages * PAGE, MADV_FREE) || errno == EINVAL, "MADV_FREE");
	/* Freed in earnest only by reclaim. */
	must(!madvise(at, npages * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
	touch(arena, at, npages);
}

/* Little by little: forks are dear, so each is made to last. */
static void break_cow(struct arena *arena)
{
	for (size_t i = 0; i < arena->npages; i += PIECE) {
		write_pages(page_at(arena, i), PIECE);
		sched_yield();
	}
}

/*
 * The child breaks COW of some pages and exits; the parent breaks that of all while the
 * child may still have them, or finds itself their only owner.
 */
static void step_fork(struct arena *arena)
{
	size_t first, npages;
	pid_t pid;

	piece(arena, PIECE, &first, &npages);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		write_pages(page_at(arena, first), npages);
		_exit(0);
	}
	if (rnd(arena, 4)) {
		break_cow(arena);
		must(waitpid(pid, NULL, 0) == pid, "waitpid");
	} else {
		must(waitpid(pid, NULL, 0) == pid, "waitpid");
		break_cow(arena);
	}
}

/* Two halves of 2 MiB: pieces, or the whole with its table, move between them. */
static const char *setup_mremap(struct arena *arena)
{
	no_huge_pages();
	map_anon(arena->base, HUGE);
	write_pages(arena->base, HUGE / PAGE);
	arena->side = 0;
	return NULL;
}

static void move(char *from, char *to, size_t len)
{
	must(mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
}

static void step_mremap(struct arena *arena)
{
	char *here = arena->base + (arena->side ? HUGE : 0);
	char *there = arena->base + (arena->side ? 0 : HUGE);
	size_t npages = 1 + rnd(arena, PIECE);
	size_t first = rnd(arena, HUGE / PAGE - npages + 1);

	if (!rnd(arena, 4)) {
		/* An aligned 2 MiB: the page-table page itself moves. */
		move(here, there, HUGE);
		arena->side = !arena->side;
		write_pages(there, 8);
		return;
	}
	/* There and back, so that it stays one VMA: only such can be moved. */
	move(here + first * PAGE, there + first * PAGE, npages * PAGE);
	write_pages(there + first * PAGE, npages);
	move(there + first * PAGE, here + first * PAGE, npages * PAGE);
}

static void step_mixed(struct arena *arena)
{
	static void (* const steps[])(struct arena *arena) = {
		step_munmap, step_mmap_over, step_mprotect, step_dontneed, step_free,
		step_fork,
	};

	steps[rnd(arena, ARRAY_SIZE(steps))](arena);
}

static const char *setup_migrate(struct arena *arena)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		return "only one memory node (numa=fake=2)";
	return setup_anon(arena);
}

static void move_piece(char *at, size_t npages, int node)
{
	void *pages[NPAGES];
	int nodes[NPAGES], status[NPAGES];

	for (size_t i = 0; i < npages; i++) {
		pages[i] = at + i * PAGE;
		nodes[i] = node;
	}
	/* Pages that a walker is looking at may stay: no error. */
	must(syscall(SYS_move_pages, 0, npages, pages, nodes, status, 2 /* MOVE */) >= 0,
	     "move_pages");
}

static void step_migrate(struct arena *arena)
{
	unsigned long from = 1UL << arena->side, to = 1UL << !arena->side;
	size_t first, npages;

	if (!rnd(arena, 32)) {
		must(syscall(SYS_migrate_pages, 0, (unsigned long)MAX_NODES, &from, &to) >= 0,
		     "migrate_pages");
		arena->side = !arena->side;
		return;
	}
	/* A call drains all CPUs first, so it is to move many. */
	piece(arena, NPAGES, &first, &npages);
	move_piece(page_at(arena, first), npages, (int)rnd(arena, 2));
}

const struct kind anon_kinds[] = {
	{ "munmap", NPAGES, 64, NPAGES, 15, setup_anon, step_munmap },
	{ "mmap_over", NPAGES, 64, NPAGES, 15, setup_anon, step_mmap_over },
	{ "mprotect", NPAGES, 64, NPAGES, 15, setup_anon, step_mprotect },
	{ "madv_dontneed", NPAGES, 64, NPAGES, 15, setup_anon, step_dontneed },
	{ "madv_free", NPAGES, 64, NPAGES, 15, setup_anon, step_free },
	{ "fork_cow", NPAGES, 64, NPAGES, 15, setup_anon, step_fork },
	{ "mremap", 2 * HUGE / PAGE, 64, HUGE / PAGE, 5, setup_mremap, step_mremap },
	{ "migrate", NPAGES, 64, NPAGES, 15, setup_migrate, step_migrate },
	{ "mixed", NPAGES, 64, NPAGES, 15, setup_anon, step_mixed },
};

const size_t nr_anon_kinds = ARRAY_SIZE(anon_kinds);
