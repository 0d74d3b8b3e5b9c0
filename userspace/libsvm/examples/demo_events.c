// SPDX-License-Identifier: MIT
/*
 * What a CPU may do to memory while a GPU has it mapped. After each, the GPU
 * must see what the CPU sees. The memory is used by the GPU first, so that there
 * is a translation that could go stale.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

#define LEN (512 * KIB)

static bool gpu_sees(struct demo *demo, const void *memory, uint32_t seed, const char *what)
{
	enum gpu_result result;

	memset(demo->mirror, 0x55, LEN);
	result = gpu_copy(&demo->gpu, demo->mirror, memory, LEN);
	return demo_check(demo, result == GPU_DONE && pattern_holds(demo->mirror, LEN, seed),
			  "%s: %s", what, gpu_result_text(result));
}

static bool gpu_sees_zeros(struct demo *demo, const void *memory, const char *what)
{
	enum gpu_result result;

	memset(demo->mirror, 0x55, LEN);
	result = gpu_copy(&demo->gpu, demo->mirror, memory, LEN);
	return demo_check(demo, result == GPU_DONE && !demo->mirror[0] &&
			  !memcmp(demo->mirror, demo->mirror + 1, LEN - 1),
			  "%s: %s", what, gpu_result_text(result));
}

static bool gpu_writes(struct demo *demo, void *memory, uint32_t seed, const char *what)
{
	enum gpu_result result;

	pattern_fill(demo->mirror, LEN, seed);
	result = gpu_copy(&demo->gpu, memory, demo->mirror, LEN);
	return demo_check(demo, result == GPU_DONE && pattern_holds(memory, LEN, seed), "%s: %s",
			  what, gpu_result_text(result));
}

static bool unmap_and_map(struct demo *demo, unsigned char *memory)
{
	void *again;

	munmap(memory, LEN);
	again = mmap(memory, LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (!demo_check(demo, again == memory, "mmap: %s", strerror(errno)) ||
	    !demo_share(demo, memory, LEN))
		return false;
	if (!gpu_sees_zeros(demo, memory, "munmap, mmap: GPU reads the new memory"))
		return false;
	pattern_fill(memory, LEN, 11);
	return gpu_sees(demo, memory, 11, "munmap, mmap: GPU reads what was written there");
}

static bool dontneed(struct demo *demo, unsigned char *memory)
{
	madvise(memory, LEN, MADV_DONTNEED);
	return gpu_sees_zeros(demo, memory, "MADV_DONTNEED: GPU reads zeros") &&
	       gpu_writes(demo, memory, 12, "MADV_DONTNEED: CPU reads what the GPU wrote");
}

static bool protect(struct demo *demo, unsigned char *memory)
{
	bool good;

	pattern_fill(memory, LEN, 13);
	mprotect(memory, LEN, PROT_READ);
	good = gpu_sees(demo, memory, 13, "mprotect to read: GPU still reads");
	mprotect(memory, LEN, PROT_READ | PROT_WRITE);
	return good & gpu_writes(demo, memory, 14, "mprotect back: GPU writes again");
}

/*
 * The child only looks: it must go on seeing what the memory held at the fork,
 * whoever of parent and GPU writes. It uses no GPU and no library.
 */
static int cow_child(const unsigned char *memory, int from_parent)
{
	char byte;

	if (read(from_parent, &byte, 1) != 1)
		return 2;
	return pattern_holds(memory, LEN, 15) ? 0 : 1;
}

static bool fork_and_write(struct demo *demo, unsigned char *memory, bool gpu_first)
{
	int to_child[2], status = -1;
	bool good;
	pid_t pid;

	pattern_fill(memory, LEN, 15);
	if (!gpu_sees(demo, memory, 15, "fork: before") ||
	    !demo_check(demo, !pipe(to_child), "pipe: %s", strerror(errno)))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(to_child[1]);
		_exit(cow_child(memory, to_child[0]));
	}
	close(to_child[0]);
	if (gpu_first) {
		good = gpu_writes(demo, memory, 16, "fork: parent reads what its GPU wrote");
	} else {
		pattern_fill(memory, LEN, 16);
		good = gpu_sees(demo, memory, 16, "fork: GPU sees the parent's new pages");
	}
	if (write(to_child[1], "", 1) != 1)
		good = false;
	close(to_child[1]);
	waitpid(pid, &status, 0);
	return good & demo_check(demo, pid > 0 && status == 0,
				 "fork: the child keeps its memory (status 0x%x)", status);
}

static bool fork_cpu(struct demo *demo, unsigned char *memory)
{
	return fork_and_write(demo, memory, false);
}

static bool fork_gpu(struct demo *demo, unsigned char *memory)
{
	return fork_and_write(demo, memory, true);
}

static void event(struct demo *demo, const char *name,
		  bool (*act)(struct demo *demo, unsigned char *memory))
{
	struct counters before, after;
	unsigned char *memory;
	bool good = false;

	memory = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!demo_check(demo, memory != MAP_FAILED, "mmap: %s", strerror(errno)))
		return;
	counters_read(demo, &before);
	pattern_fill(memory, LEN, 10);
	if (demo_share(demo, memory, LEN) && gpu_sees(demo, memory, 10, name))
		good = act(demo, memory);
	counters_read(demo, &after);
	counters_row(name, LEN, &before, &after, good);
	munmap(memory, LEN);
}

void demo_events(struct demo *demo)
{
	event(demo, "munmap, mmap again", unmap_and_map);
	event(demo, "madvise(MADV_DONTNEED)", dontneed);
	event(demo, "mprotect and back", protect);
	event(demo, "fork, CPU writes (COW)", fork_cpu);
	event(demo, "fork, GPU writes (COW)", fork_gpu);
}
