// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutators of transparent huge pages: made by a fault or by a collapse, split by whatever
 * wants a part; of anonymous memory and of a memfd, whose tables go another way.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define NPAGES		(HUGE / PAGE)
#define BLOCK_NPAGES	(HUGE / PAGE)
#define PIECE		32

static void collapse(char *block)
{
	/* Fails when a page is busy or no huge page is to be had: another time. */
	if (madvise(block, HUGE, MADV_COLLAPSE) && errno != EAGAIN && errno != ENOMEM &&
	    errno != EBUSY && errno != EINVAL)
		die("MADV_COLLAPSE");
}

static const char *setup_thp(struct arena *arena)
{
	write_setting("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	map_anon(arena->base, arena->npages * PAGE);
	must(!madvise(arena->base, arena->npages * PAGE, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	write_pages(arena->base, arena->npages);
	return NULL;
}

static char *block_and_piece(struct arena *arena, char **part, size_t *npages)
{
	char *block = arena->base + rnd(arena, arena->npages / BLOCK_NPAGES) * HUGE;

	*npages = 1 + rnd(arena, PIECE);
	*part = block + rnd(arena, BLOCK_NPAGES - *npages + 1) * PAGE;
	return block;
}

static void step_thp(struct arena *arena)
{
	size_t npages;
	char *part, *block = block_and_piece(arena, &part, &npages);

	switch (rnd(arena, 32)) {
	case 0:
	case 1:
		collapse(block);
		break;
	case 2:
		/* All of it: the next touch is a huge fault. */
		must(!madvise(block, HUGE, MADV_DONTNEED), "MADV_DONTNEED");
		write_pages(block, 1);
		break;
	case 3 ... 16:
		must(!mprotect(part, npages * PAGE, PROT_READ), "mprotect");
		must(!mprotect(part, npages * PAGE, PROT_READ | PROT_WRITE),
		     "mprotect back");
		write_pages(part, npages);
		break;
	default:
		must(!madvise(part, npages * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		write_pages(part, npages);
		break;
	}
}

static const char *setup_shmem_thp(struct arena *arena)
{
	void *p;

	write_setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise");
	arena->fd = make_memfd("thp", 0, arena->npages * PAGE);
	p = mmap(arena->base, arena->npages * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, arena->fd, 0);
	must(p == arena->base, "mmap of a memfd");
	must(!madvise(arena->base, arena->npages * PAGE, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	write_pages(arena->base, arena->npages);
	return NULL;
}

static void step_shmem_thp(struct arena *arena)
{
	size_t npages;
	char *part, *block = block_and_piece(arena, &part, &npages);

	switch (rnd(arena, 32)) {
	case 0:
		write_pages(block, BLOCK_NPAGES);
		collapse(block);
		break;
	case 1:
		must(!madvise(block, HUGE, MADV_DONTNEED), "MADV_DONTNEED");
		write_pages(block, 1);
		break;
	case 2 ... 12:
		must(!madvise(part, npages * PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		write_pages(part, npages);
		break;
	default:
		must(!fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				part - arena->base, (off_t)(npages * PAGE)),
		     "punch hole");
		write_pages(part, npages);
		break;
	}
}

const struct kind thp_kinds[] = {
	{ "thp", NPAGES, 256, 512, 10, setup_thp, step_thp },
	{ "thp_shmem", NPAGES, 256, 512, 10, setup_shmem_thp, step_shmem_thp },
};

const size_t nr_thp_kinds = ARRAY_SIZE(thp_kinds);
