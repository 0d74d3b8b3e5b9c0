// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mutators of files and of what goes to disk: memfds that lose pages, clean page cache
 * that is reclaimed, dirty page cache that is written, anonymous and shared memory that is
 * swapped.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NPAGES	80
#define PIECE	8
#define DISK	"/mnt/disk"

static void map_file(char *at, size_t len, int fd, int how)
{
	void *p = mmap(at, len, PROT_READ | PROT_WRITE, how | MAP_FIXED, fd, 0);

	must(p == at, "mmap of a file");
}

static const char *setup_memfd(struct arena *arena)
{
	must(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "PR_SET_THP_DISABLE");
	arena->fd = make_memfd("arena", 0, arena->npages * PAGE);
	map_file(arena->base, arena->npages * PAGE, arena->fd, MAP_SHARED);
	write_pages(arena->base, arena->npages);
	return NULL;
}

static void step_truncate(struct arena *arena)
{
	size_t npages = 1 + rnd(arena, PIECE);
	size_t left = arena->npages - npages;

	must(!ftruncate(arena->fd, (off_t)(left * PAGE)), "ftruncate");
	must(!ftruncate(arena->fd, (off_t)(arena->npages * PAGE)), "ftruncate back");
	write_pages(page_at(arena, left), npages);
}

static void step_punch(struct arena *arena)
{
	size_t first, npages;

	piece(arena, PIECE, &first, &npages);
	must(!fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)(first * PAGE), (off_t)(npages * PAGE)), "punch hole");
	write_pages(page_at(arena, first), npages);
}

static const char *open_disk_file(struct arena *arena, const char *name)
{
	char page[PAGE];

	if (access(DISK, W_OK))
		return "no writable " DISK;
	memset(page, 1, sizeof(page));
	arena->fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(arena->fd >= 0, name);
	unlink(name);
	for (size_t i = 0; i < arena->npages; i++)
		must(write(arena->fd, page, sizeof(page)) == (ssize_t)sizeof(page), name);
	must(!fsync(arena->fd), "fsync");
	return NULL;
}

/* The page cache's own pages; now and then a private copy of one. */
static const char *setup_pageout(struct arena *arena)
{
	const char *why = open_disk_file(arena, DISK "/mirror_stress.pageout");

	if (why)
		return why;
	map_file(arena->base, arena->npages * PAGE, arena->fd, MAP_PRIVATE);
	read_pages(arena->base, arena->npages);
	return NULL;
}

static void step_pageout(struct arena *arena)
{
	size_t first, npages;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	must(!madvise(at, npages * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
	read_pages(at, npages);
	if (!rnd(arena, 4)) {
		/* Copy, and go back to the file's page. */
		write_pages(at, 1);
		must(!madvise(at, PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		read_pages(at, 1);
	}
}

static const char *setup_writeback(struct arena *arena)
{
	const char *why = open_disk_file(arena, DISK "/mirror_stress.writeback");

	if (why)
		return why;
	map_file(arena->base, arena->npages * PAGE, arena->fd, MAP_SHARED);
	write_pages(arena->base, arena->npages);
	return NULL;
}

/* Written pages lose their write permission, to be told when they are dirtied again. */
static void step_writeback(struct arena *arena)
{
	size_t first, npages;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	write_pages(at, npages);
	must(!sync_file_range(arena->fd, (off_t)(first * PAGE), (off_t)(npages * PAGE),
			      SYNC_FILE_RANGE_WRITE), "sync_file_range");
}

static bool swap_is_on(void)
{
	char line[256];
	bool found = false;
	FILE *file = fopen("/proc/swaps", "r");

	if (!file)
		return false;
	/* The first line is the heading. */
	found = fgets(line, sizeof(line), file) && fgets(line, sizeof(line), file);
	fclose(file);
	return found;
}

/* The first half is private, the second shared. */
static const char *setup_swap(struct arena *arena)
{
	size_t half = arena->npages / 2;

	if (!swap_is_on())
		return "no swap";
	must(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "PR_SET_THP_DISABLE");
	map_anon(arena->base, half * PAGE);
	arena->fd = make_memfd("swap", 0, half * PAGE);
	map_file(page_at(arena, half), half * PAGE, arena->fd, MAP_SHARED);
	write_pages(arena->base, arena->npages);
	return NULL;
}

static void step_swap(struct arena *arena)
{
	size_t first, npages;
	char *at;

	piece(arena, PIECE, &first, &npages);
	at = page_at(arena, first);
	must(!madvise(at, npages * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
	/* Read first: the page comes back without write permission. */
	if (rnd(arena, 2))
		read_pages(at, npages);
	write_pages(at, npages);
}

const struct kind file_kinds[] = {
	{ "truncate", NPAGES, 64, NPAGES, 10, setup_memfd, step_truncate },
	{ "punch_hole", NPAGES, 64, NPAGES, 10, setup_memfd, step_punch },
	{ "pageout", NPAGES, 64, NPAGES, 5, setup_pageout, step_pageout },
	{ "writeback", NPAGES, 64, NPAGES, 5, setup_writeback, step_writeback },
	{ "swap", NPAGES, 64, NPAGES, 10, setup_swap, step_swap },
};

const size_t nr_file_kinds = ARRAY_SIZE(file_kinds);
