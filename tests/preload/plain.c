// SPDX-License-Identifier: MIT
/*
 * plain [--faults] [NAME]...: each case is a process, because a memory exception ends
 * all queues of one. --faults: every first access of the GPU must be refused; this is
 * how it is without `kfdsvm run`.
 *
 * TAP on stdout; exit 77 where there is no GPU.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"
#include "plain.h"

#define CASE_TIMEOUT_S	200

static struct gpu gpu;
static bool want_faults;

bool fail(const char *what)
{
	printf("# %s\n", what);
	return false;
}

/* As the topology says. */
static uint32_t first_gpu_node(void)
{
#ifdef PLAIN_FAKE_NODE
	return PLAIN_FAKE_NODE;
#else
	char path[128], text[32];

	for (uint32_t node = 0; node < 64; node++) {
		FILE *file;
		bool is_gpu;

		snprintf(path, sizeof(path),
			 "/sys/devices/virtual/kfd/kfd/topology/nodes/%u/gpu_id", node);
		file = fopen(path, "re");
		if (!file)
			break;
		is_gpu = fgets(text, sizeof(text), file) && atoi(text) != 0;
		fclose(file);
		if (is_gpu)
			return node;
	}
	return 0;
#endif
}

bool open_gpu(void)
{
	return !gpu_open(&gpu, first_gpu_node()) || fail("gpu_open");
}

void close_gpu(void)
{
	gpu_close(&gpu);
}

/* With --faults a refused access is what should be, and the end of the case. */
static bool copy(void *dst, const void *src, size_t len)
{
	enum gpu_result result = gpu_copy(&gpu, dst, src, len);

	if (want_faults) {
		bool good = result == GPU_FAULT;

		if (!good)
			printf("# the GPU may touch it: %s\n", gpu_result_text(result));
		fflush(stdout);
		_exit(!good);
	}
	if (result == GPU_DONE)
		return true;
	printf("# %p to %p, %zu bytes: %s", src, dst, len, gpu_result_text(result));
	if (result == GPU_FAULT)
		printf(" at 0x%llx", (unsigned long long)gpu.fault.va);
	printf("\n");
	return false;
}

bool half_to_half(void *p, size_t len)
{
	static uint64_t seed = 1;
	uint64_t *from = p, *to = from + len / 16;

	for (size_t i = 0; i < len / 16; i++) {
		from[i] = seed += 0x9e3779b97f4a7c15u;
		to[i] = 0;
	}
	if (!copy(to, from, len / 2))
		return false;
	return !memcmp(to, from, len / 2) || fail("the GPU copied something else");
}

bool readable(const void *src, size_t len)
{
	static unsigned char to[65536];

	if (len > sizeof(to))
		return fail("too long");
	memset(to, 0, len);
	if (!copy(to, src, len))
		return false;
	return !memcmp(to, src, len) || fail("the GPU copied something else");
}

static bool run_case(const struct plain_case *c)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool good;

		alarm(CASE_TIMEOUT_S);
		good = c->run();
		fflush(stdout);
		_exit(!good);
	}
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (status)
		printf("# %s: status 0x%x\n", c->name, status);
	return status == 0;
}

static bool is_chosen(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!fnmatch(argv[i], name, 0))
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	const struct plain_case *const lists[] = {
		before_cases, heap_cases, map_cases, process_cases,
#ifdef PLAIN_FAKE_NODE
		userptr_cases,
#endif
	};
	unsigned int n = 0, bad = 0;

	if (argc > 1 && !strcmp(argv[1], "--faults")) {
		want_faults = true;
		argc--;
		argv++;
	}
	if (!first_gpu_node()) {
		printf("no GPU in the KFD topology\n");
		return 77;
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (const struct plain_case *c = lists[i]; c->name; c++) {
			bool good;

			if (!is_chosen(argc, argv, c->name))
				continue;
			good = run_case(c);
			bad += !good;
			printf("%sok %u - %s%s\n", good ? "" : "not ", ++n, c->name,
			       want_faults ? " faults" : "");
		}
	}
	printf("1..%u\n", n);
	return bad || !n;
}
