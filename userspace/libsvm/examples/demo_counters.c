// SPDX-License-Identifier: MIT
/*
 * What the driver counted for this process: upstream's fault counter in sysfs,
 * and where there is one, the longer list of kfd_svm.ko in debugfs. A driver
 * that does not count something makes the table say n/a.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"

#define NOT_COUNTED UINT64_MAX

static uint64_t read_sysfs(pid_t pid, uint32_t gpu_id, const char *name)
{
	unsigned long long value;
	char path[128];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "/sys/class/kfd/kfd/proc/%d/counters_%u/%s", (int)pid,
		 gpu_id, name);
	file = fopen(path, "re");
	if (!file)
		return NOT_COUNTED;
	n = fscanf(file, "%llu", &value);
	fclose(file);
	return n == 1 ? value : NOT_COUNTED;
}

/* The number after word @name in "name number name number ...". */
static uint64_t field(const char *line, const char *name)
{
	size_t len = strlen(name);
	const char *at = line;

	while ((at = strstr(at, name))) {
		bool whole = (at == line || at[-1] == ' ') && at[len] == ' ';

		if (whole)
			return strtoull(at + len + 1, NULL, 10);
		at += len;
	}
	return NOT_COUNTED;
}

static void read_debugfs(pid_t pid, uint32_t gpu_id, struct counters *c)
{
	char path[128], line[512], start[32];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kfd_svm/%d/counters", (int)pid);
	snprintf(start, sizeof(start), "gpu %u ", gpu_id);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, start, strlen(start)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (c->faults == NOT_COUNTED)
			c->faults = field(line, "faults");
		c->extents = field(line, "extents_mapped");
		c->pages = field(line, "pages_mapped");
		c->invalidations = field(line, "invalidations");
		c->retries = field(line, "retries");
		c->restores = field(line, "restores");
	}
	fclose(file);
}

void counters_read(const struct demo *demo, struct counters *c)
{
	c->extents = c->pages = c->invalidations = c->retries = c->restores = NOT_COUNTED;
	c->faults = read_sysfs(getpid(), demo->gpu_id, "faults");
	read_debugfs(getpid(), demo->gpu_id, c);
}

void counters_header(void)
{
	printf("  %-26s %9s %7s %8s %7s %7s %8s %9s\n", "memory", "bytes", "faults", "extents",
	       "pages", "inval.", "retries", "restores");
}

static void column(int width, uint64_t before, uint64_t after)
{
	if (before == NOT_COUNTED || after == NOT_COUNTED)
		printf(" %*s", width, "n/a");
	else
		printf(" %*" PRIu64, width, after - before);
}

void counters_row(const char *name, size_t len, const struct counters *before,
		  const struct counters *after, bool good)
{
	printf("  %-26s %9zu", name, len);
	column(7, before->faults, after->faults);
	column(8, before->extents, after->extents);
	column(7, before->pages, after->pages);
	column(7, before->invalidations, after->invalidations);
	column(8, before->retries, after->retries);
	column(9, before->restores, after->restores);
	printf("%s\n", good ? "" : "  FAILED");
}
