// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutators of hugetlbfs in pages of 2 MiB, with page tables of its own and with tables
 * shared with other processes. Shared are those of a whole aligned GiB of a shared
 * mapping, so that one is a GiB long with few pages in it.
 */
#include "stress.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_HUGE		2
#define HUGE_NPAGES	(HUGE / PAGE)
#define NPAGES		(NR_HUGE * HUGE_NPAGES)
#define FREE_HUGE	"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
/* Pages of the arena, of their private copies, and some that are on their way. */
#define NEEDED		16

static void write_huge(char *first, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		((volatile char *)first)[i * HUGE] = 1;
}

/* The first half is private, the second shared: a file of one page. */
static void map_half(struct arena *arena, unsigned int half)
{
	char *at = arena->base + half * (NR_HUGE / 2) * HUGE;
	void *p = mmap(at, NR_HUGE / 2 * HUGE, PROT_READ | PROT_WRITE,
		       MAP_FIXED | (half ? MAP_SHARED : MAP_PRIVATE), arena->fd, 0);

	must(p == at, "mmap of hugetlb");
}

static const char *setup_hugetlb(struct arena *arena)
{
	if (read_number(FREE_HUGE) < NEEDED)
		return "no free huge pages";
	arena->fd = make_memfd("huge", MFD_HUGETLB | MFD_HUGE_2MB, NR_HUGE / 2 * HUGE);
	map_half(arena, 0);
	map_half(arena, 1);
	write_huge(arena->base, NR_HUGE);
	return NULL;
}

/* A child with a part of the private half; the parent's write copies, or the child's. */
static void fork_huge(struct arena *arena)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (!pid) {
		read_pages(arena->base, 1);
		_exit(0);
	}
	must(waitpid(pid, NULL, 0) == pid, "waitpid");
	write_huge(arena->base, NR_HUGE / 2);
}

static void step_hugetlb(struct arena *arena)
{
	unsigned int nr = rnd(arena, NR_HUGE);
	char *at = arena->base + nr * HUGE;
	unsigned int half = nr / (NR_HUGE / 2);

	switch (rnd(arena, 16)) {
	case 0:
		fork_huge(arena);
		break;
	case 1:
		must(!munmap(arena->base + half * (NR_HUGE / 2) * HUGE,
			     NR_HUGE / 2 * HUGE), "munmap");
		map_half(arena, half);
		write_huge(at, 1);
		break;
	case 2:
	case 3:
		must(!fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(nr % (NR_HUGE / 2) * HUGE), HUGE),
		     "punch hole");
		write_huge(at, 1);
		break;
	case 4 ... 8:
		/* The shared page stays in the file: nothing to clear. */
		nr = NR_HUGE - 1;
		at = arena->base + nr * HUGE;
		must(!madvise(at, HUGE, MADV_DONTNEED), "MADV_DONTNEED");
		write_huge(at, 1);
		break;
	default:
		must(!mprotect(arena->base + half * (NR_HUGE / 2) * HUGE,
			       NR_HUGE / 2 * HUGE, PROT_READ), "mprotect");
		must(!mprotect(arena->base + half * (NR_HUGE / 2) * HUGE,
			       NR_HUGE / 2 * HUGE, PROT_READ | PROT_WRITE),
		     "mprotect back");
		write_huge(at, 1);
		break;
	}
}

static const char *setup_shared(struct arena *arena)
{
	void *p;

	if (read_number(FREE_HUGE) < NEEDED)
		return "no free huge pages";
	arena->fd = make_memfd("shared", MFD_HUGETLB | MFD_HUGE_2MB, GIB);
	p = mmap(arena->base, GIB, PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_SHARED | MAP_NORESERVE, arena->fd, 0);
	must(p == arena->base, "mmap of hugetlb");
	write_huge(arena->base, NR_HUGE);
	return NULL;
}

static void unshare(struct arena *arena, unsigned int how)
{
	unsigned int nr = rnd(arena, NR_HUGE);

	switch (how) {
	case 0:
		must(!fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(nr * HUGE), HUGE), "punch hole");
		break;
	case 1:
		must(!mprotect(arena->base, GIB, PROT_READ), "mprotect");
		must(!mprotect(arena->base, GIB, PROT_READ | PROT_WRITE),
		     "mprotect back");
		break;
	default:
		must(!madvise(arena->base + nr * HUGE, HUGE, MADV_DONTNEED),
		     "MADV_DONTNEED");
		break;
	}
}

/*
 * A peer shares the table, both change what it says, and the peer exits; the last of the
 * two to let go frees it.
 */
static void step_shared(struct arena *arena)
{
	unsigned int how = rnd(arena, 3);
	bool child_too = rnd(arena, 2);
	pid_t pid;

	write_huge(arena->base, NR_HUGE);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		/* The fault finds the parent's table and shares it. */
		read_pages(arena->base, 1);
		if (child_too)
			unshare(arena, rnd(arena, 3));
		_exit(0);
	}
	for (unsigned int i = 0; i < 4; i++) {
		unshare(arena, how);
		write_huge(arena->base, NR_HUGE);
	}
	must(waitpid(pid, NULL, 0) == pid, "waitpid");
}

const struct kind hugetlb_kinds[] = {
	{ "hugetlb", NPAGES, 256, 768, 5, setup_hugetlb, step_hugetlb },
	{ "hugetlb_shared", NPAGES, 256, 768, 5, setup_shared, step_shared },
};

const size_t nr_hugetlb_kinds = ARRAY_SIZE(hugetlb_kinds);
