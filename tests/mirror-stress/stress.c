// SPDX-License-Identifier: GPL-2.0-only
/* What the mutators share. */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint32_t rnd(struct arena *arena, uint32_t below)
{
	arena->seed = arena->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(arena->seed >> 32) % below;
}

/* A mutator that cannot go on must not look like one that found nothing. */
void die(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

void must(bool ok, const char *what)
{
	if (!ok)
		die(what);
}

char *page_at(const struct arena *arena, size_t index)
{
	return arena->base + index * PAGE;
}

void write_pages(char *first, size_t npages)
{
	for (size_t i = 0; i < npages; i++)
		((volatile char *)first)[i * PAGE] = (char)(i + 1);
}

void read_pages(const char *first, size_t npages)
{
	for (size_t i = 0; i < npages; i++)
		(void)((volatile const char *)first)[i * PAGE];
}

/* A random piece of the arena. */
void piece(struct arena *arena, size_t max_npages, size_t *first, size_t *npages)
{
	*npages = 1 + rnd(arena, max_npages);
	*first = rnd(arena, arena->npages - *npages + 1);
}

void map_anon(char *at, size_t len)
{
	void *p = mmap(at, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	must(p == at, "mmap of anonymous memory");
}

int make_memfd(const char *name, unsigned int flags, size_t len)
{
	int fd = memfd_create(name, flags | MFD_CLOEXEC);

	must(fd >= 0, "memfd_create");
	must(!ftruncate(fd, (off_t)len), "ftruncate of a memfd");
	return fd;
}

void write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	must(fd >= 0 && write(fd, value, strlen(value)) > 0, path);
	close(fd);
}

long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}
