// SPDX-License-Identifier: MIT
/*
 * Accesses that must fail, as a memory exception and not with data. The process
 * that makes one is done for, as on real hardware.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

#define LEN	(64 * KIB)
#define MARK	21

static void do_munmap(unsigned char *memory)
{
	munmap(memory, LEN);
}

static void do_prot_none(unsigned char *memory)
{
	mprotect(memory, LEN, PROT_NONE);
}

static void do_prot_read(unsigned char *memory)
{
	mprotect(memory, LEN, PROT_READ);
}

static const struct exception {
	const char *name;
	const char *title;
	void (*act)(unsigned char *memory);
	bool write;	/* by the GPU to the memory, else a read */
} exceptions[] = {
	{ "munmap", "GPU reads unmapped memory", do_munmap, false },
	{ "prot-none", "GPU reads PROT_NONE memory", do_prot_none, false },
	{ "prot-read", "GPU writes PROT_READ memory", do_prot_read, true },
};

#define NEXCEPTIONS (sizeof(exceptions) / sizeof(exceptions[0]))

static bool is_in(uint64_t va, const unsigned char *memory)
{
	return va >= (uintptr_t)memory && va < (uintptr_t)memory + LEN;
}

/* The access itself; in the child. */
static void provoke(struct demo *demo, const struct exception *e, unsigned char *memory)
{
	enum gpu_result result;

	e->act(memory);
	pattern_fill(demo->mirror, LEN, MARK);
	result = e->write ? gpu_copy(&demo->gpu, memory, demo->mirror, LEN) :
			    gpu_copy(&demo->gpu, demo->mirror, memory, LEN);
	if (!demo_check(demo, result == GPU_FAULT, "%s: %s instead of a memory exception",
			e->title, gpu_result_text(result)))
		return;
	demo_check(demo, is_in(demo->gpu.fault.va, memory),
		   "%s: exception at 0x%llx, memory at %p", e->title,
		   (unsigned long long)demo->gpu.fault.va, (void *)memory);
	if (e->write)
		demo_check(demo, pattern_holds(memory, LEN, 20), "%s: memory was changed",
			   e->title);
	else
		demo_check(demo, pattern_holds(demo->mirror, LEN, MARK), "%s: it got data",
			   e->title);
}

int demo_exception_child(struct demo *demo, const char *name)
{
	const struct exception *e = NULL;
	enum gpu_result result;
	unsigned char *memory;

	for (size_t i = 0; i < NEXCEPTIONS; i++)
		if (!strcmp(name, exceptions[i].name))
			e = &exceptions[i];
	if (!e)
		return PASS_FAILED;
	memory = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return PASS_FAILED;
	pattern_fill(memory, LEN, 20);
	if (!demo_share(demo, memory, LEN))
		return PASS_FAILED;
	/* First a good access, so that a stale translation would be at hand. */
	result = gpu_copy(&demo->gpu, demo->mirror, memory, LEN);
	if (demo_check(demo, result == GPU_DONE && pattern_holds(demo->mirror, LEN, 20),
		       "%s: good access before: %s", e->title, gpu_result_text(result)))
		provoke(demo, e, memory);
	return demo->failures ? PASS_FAILED : PASS_OK;
}

void demo_exceptions(struct demo *demo)
{
	for (size_t i = 0; i < NEXCEPTIONS; i++) {
		const char *xnack = demo->xnack ? "on" : "off";
		int status = -1;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (!pid) {
			execl("/proc/self/exe", "kfdsvm-demo", "--pass", xnack, "--exception",
			      exceptions[i].name, (char *)NULL);
			_exit(127);
		}
		waitpid(pid, &status, 0);
		demo_check(demo, pid > 0 && status == 0, "%s: process ended with status 0x%x",
			   exceptions[i].title, status);
		printf("  %-36s %s\n", exceptions[i].title,
		       status == 0 ? "memory exception" : "FAILED");
	}
}
