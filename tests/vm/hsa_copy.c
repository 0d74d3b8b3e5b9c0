// SPDX-License-Identifier: MIT
/*
 * An unmodified libhsa-runtime64 on ordinary memory: attributes of malloc'ed
 * memory set and read back, and copied by SDMA with interrupt signals. Once with
 * XNACK off, once with XNACK on, each in a process of its own.
 *
 * TAP on stdout; exit 77 where there is no GPU.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hsa_gpu.h"

#define LEN		(3u << 20)
#define PAGE		4096u
#define NSTEPS		5u
#define EXIT_NO_XNACK	78

static unsigned int number;

static void step(const char *mode, bool good, const char *what)
{
	printf("%sok %u - xnack %s: %s\n", good ? "" : "not ", ++number, mode, what);
}

static void fill(unsigned char *p, unsigned int seed)
{
	for (unsigned int i = 0; i < LEN; i++)
		p[i] = (unsigned char)(i * 13 + i / PAGE + seed);
}

static bool set_access(struct hsa_gpu *g, void *p)
{
	hsa_amd_svm_attribute_pair_t attribute = {
		.attribute = HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE_IN_PLACE,
		.value = g->gpu.handle,
	};

	return !hsa_gpu_check("hsa_amd_svm_attributes_set",
			      hsa_amd_svm_attributes_set(p, LEN, &attribute, 1));
}

static bool has_access(struct hsa_gpu *g, void *p)
{
	hsa_amd_svm_attribute_pair_t attributes[] = {
		{ .attribute = HSA_AMD_SVM_ATTRIB_ACCESS_QUERY, .value = g->gpu.handle },
		{ .attribute = HSA_AMD_SVM_ATTRIB_MIGRATION_GRANULARITY },
	};

	if (hsa_gpu_check("hsa_amd_svm_attributes_get",
			  hsa_amd_svm_attributes_get(p, LEN, attributes, 2)))
		return false;
	if (attributes[0].attribute == HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE_IN_PLACE)
		return true;
	printf("# access 0x%llx, granularity %llu\n",
	       (unsigned long long)attributes[0].attribute,
	       (unsigned long long)attributes[1].value);
	return false;
}

static bool copy(struct hsa_gpu *g, unsigned char *dst, const unsigned char *src, bool to_gpu)
{
	hsa_agent_t dst_agent = to_gpu ? g->gpu : g->cpu;
	hsa_agent_t src_agent = to_gpu ? g->cpu : g->gpu;

	if (hsa_gpu_copy(g, dst, dst_agent, src, src_agent, LEN))
		return false;
	return !memcmp(dst, src, LEN);
}

static int run_mode(const char *mode)
{
	bool want_on = !strcmp(mode, "on"), is_on = false;
	unsigned char *src, *dst;
	struct hsa_gpu g;

	if (hsa_gpu_open(&g, HSA_ANY_NODE))
		return 1;
	hsa_system_get_info((hsa_system_info_t)HSA_AMD_SYSTEM_INFO_XNACK_ENABLED, &is_on);
	if (is_on != want_on)
		return EXIT_NO_XNACK;
	src = aligned_alloc(PAGE, LEN);
	dst = aligned_alloc(PAGE, LEN);
	if (!src || !dst)
		return 1;
	fill(src, 1);
	memset(dst, 0, LEN);
	if (want_on)
		step(mode, copy(&g, dst, src, true), "copy of memory never registered");
	else
		step(mode, set_access(&g, src) && set_access(&g, dst), "attributes set");
	step(mode, set_access(&g, src) && set_access(&g, dst) && has_access(&g, src),
	     "attributes read back");
	memset(dst, 0, LEN);
	step(mode, copy(&g, dst, src, true), "copy");
	fill(src, 2);
	step(mode, copy(&g, dst, src, true), "copy of what the CPU changed since");
	fill(dst, 3);
	step(mode, copy(&g, src, dst, false), "copy the other way");
	hsa_gpu_close(&g);
	free(src);
	free(dst);
	return 0;
}

/* One process per mode: HSA_XNACK is read once. */
static bool spawn(const char *self, const char *mode, unsigned int first)
{
	char start[16];
	int status = -1;
	pid_t pid;

	snprintf(start, sizeof(start), "%u", first);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setenv("HSA_XNACK", strcmp(mode, "on") ? "0" : "1", 1);
		execl(self, self, mode, start, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_XNACK) {
		for (unsigned int i = 1; i <= NSTEPS; i++)
			printf("ok %u # SKIP XNACK cannot be %s here\n", first + i, mode);
		return true;
	}
	if (status)
		printf("not ok %u - xnack %s: process ends with status 0x%x\n",
		       first + NSTEPS, mode, status);
	return status == 0;
}

int main(int argc, char **argv)
{
	bool good;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3) {
		number = (unsigned int)atoi(argv[2]);
		return run_mode(argv[1]);
	}
	if (access("/dev/kfd", F_OK)) {
		printf("no /dev/kfd\n");
		return 77;
	}
	printf("1..%u\n", 2 * NSTEPS);
	good = spawn("/proc/self/exe", "off", 0);
	good &= spawn("/proc/self/exe", "on", NSTEPS);
	return good ? 0 : 1;
}
