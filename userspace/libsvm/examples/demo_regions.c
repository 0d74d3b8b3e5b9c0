// SPDX-License-Identifier: MIT
/* Kinds of memory. The same is done to each; only how it was made differs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"

#define HUGE_LEN	(2 * MIB)
#define ARENA_LEN	(2 * HUGE_LEN)
#define STACK_LEN	(96 * KIB)
#define GLOBAL_LEN	(256 * KIB)
#define FILE_LEN	(3 * MIB)
#define HEAP_LEN	3001	/* small: comes from the heap, no page of its own */
#define MALLOC_LEN	(1 * MIB + 77)

/* Not 0, so in .data: private pages of the executable file until written. */
static unsigned char global_memory[GLOBAL_LEN] = { 1 };

/* GPU reads, CPU changes, GPU reads again, GPU writes, CPU reads. */
static bool work_on(struct demo *demo, const char *name, void *memory, size_t len)
{
	enum gpu_result result;
	bool good;

	pattern_fill(memory, len, 1);
	memset(demo->mirror, 0, len);
	result = gpu_copy(&demo->gpu, demo->mirror, memory, len);
	good = demo_check(demo, result == GPU_DONE, "%s: GPU read: %s", name,
			  gpu_result_text(result));
	if (!good)
		return false;
	good = demo_check(demo, pattern_holds(demo->mirror, len, 1),
			  "%s: GPU reads what the CPU wrote", name);

	pattern_fill(memory, len, 2);
	result = gpu_copy(&demo->gpu, demo->mirror, memory, len);
	good &= demo_check(demo, result == GPU_DONE && pattern_holds(demo->mirror, len, 2),
			   "%s: GPU reads what the CPU changed since: %s", name,
			   gpu_result_text(result));

	pattern_fill(demo->mirror, len, 3);
	result = gpu_copy(&demo->gpu, memory, demo->mirror, len);
	good &= demo_check(demo, result == GPU_DONE && pattern_holds(memory, len, 3),
			   "%s: CPU reads what the GPU wrote: %s", name,
			   gpu_result_text(result));
	return good;
}

static bool region(struct demo *demo, const char *name, void *memory, size_t len,
		   bool (*more)(struct demo *demo, void *memory, size_t len))
{
	struct counters before, after;
	bool good;

	counters_read(demo, &before);
	good = demo_share(demo, memory, len) && work_on(demo, name, memory, len);
	if (good && more)
		good = more(demo, memory, len);
	counters_read(demo, &after);
	counters_row(name, len, &before, &after, good);
	return good;
}

static void heap_region(struct demo *demo)
{
	unsigned char *memory = malloc(HEAP_LEN + 7);

	if (demo_check(demo, memory, "malloc"))
		region(demo, "heap, odd address", memory + 7, HEAP_LEN, NULL);
	free(memory);
}

static void malloc_region(struct demo *demo)
{
	unsigned char *memory = malloc(MALLOC_LEN);

	if (demo_check(demo, memory, "malloc"))
		region(demo, "malloc", memory, MALLOC_LEN, NULL);
	free(memory);
}

static void stack_region(struct demo *demo)
{
	unsigned char memory[STACK_LEN];

	region(demo, "stack", memory, sizeof(memory), NULL);
}

/*
 * Pages that no CPU has touched: the GPU's fault, or the share, must bring them
 * in, huge where the kernel can.
 */
static void arena_region(struct demo *demo)
{
	unsigned char *raw, *memory;

	raw = mmap(NULL, ARENA_LEN + HUGE_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!demo_check(demo, raw != MAP_FAILED, "mmap"))
		return;
	memory = (unsigned char *)(((uintptr_t)raw + HUGE_LEN - 1) & ~(HUGE_LEN - 1));
	/* A kernel without THP refuses; the arena then has small pages. */
	madvise(memory, ARENA_LEN, MADV_HUGEPAGE);
	region(demo, "arena with huge pages", memory, ARENA_LEN, NULL);
	munmap(raw, ARENA_LEN + HUGE_LEN);
}

/* Only root may. Without, reading back may be served by the page cache. */
static bool drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	bool dropped = fd >= 0 && write(fd, "3", 1) == 1;

	if (fd >= 0)
		close(fd);
	return dropped;
}

static bool read_back(struct demo *demo, const char *path, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n = 0;

	memset(demo->mirror, 0, len);
	while (fd >= 0 && got < len) {
		n = read(fd, demo->mirror + got, len - got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	return got == len && pattern_holds(demo->mirror, len, 3);
}

/* What the GPU wrote must reach the disk: its pages have to be marked dirty. */
static bool file_reaches_disk(struct demo *demo, void *memory, size_t len)
{
	bool good = demo_check(demo, !msync(memory, len, MS_SYNC), "file: msync: %s",
			       strerror(errno));

	munmap(memory, len);
	if (!drop_caches())
		printf("  (not root: the page cache is not dropped before reading back)\n");
	return good & demo_check(demo, read_back(demo, demo->file, len),
				 "file: read(2) finds on disk what the GPU wrote");
}

static void file_region(struct demo *demo)
{
	int fd = open(demo->file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	void *memory = MAP_FAILED;

	if (!demo_check(demo, fd >= 0, "%s: %s", demo->file, strerror(errno)))
		return;
	if (demo_check(demo, !ftruncate(fd, FILE_LEN), "ftruncate: %s", strerror(errno)))
		memory = mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (demo_check(demo, memory != MAP_FAILED, "mmap of the file: %s", strerror(errno)) &&
	    !region(demo, "file, MAP_SHARED", memory, FILE_LEN, file_reaches_disk))
		munmap(memory, FILE_LEN);
	unlink(demo->file);
}

void demo_regions(struct demo *demo)
{
	heap_region(demo);
	malloc_region(demo);
	stack_region(demo);
	region(demo, "global", global_memory, sizeof(global_memory), NULL);
	file_region(demo);
	arena_region(demo);
}
