// SPDX-License-Identifier: GPL-2.0-only
/* What the mirror does inside of a call, as its tracepoint tells. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRACING		"/sys/kernel/tracing/"
#define RETRY		"events/hmm_mirror/hmm_mirror_retry/"

static void write_tracing(const char *file, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TRACING "%s", file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

/* Events recorded since the buffers were cleared, also those overwritten. */
static unsigned long nr_traced(void)
{
	unsigned long sum = 0, n;
	unsigned int cpu;
	char path[128], line[128];
	FILE *f;

	for (cpu = 0;; cpu++) {
		snprintf(path, sizeof(path), TRACING "per_cpu/cpu%u/stats", cpu);
		f = fopen(path, "r");
		if (!f)
			return sum;
		while (fgets(line, sizeof(line), f))
			if (sscanf(line, "entries: %lu", &n) == 1 ||
			    sscanf(line, "overrun: %lu", &n) == 1)
				sum += n;
		fclose(f);
	}
}

void retries_watch(const char *filter)
{
	write_tracing("trace", "");
	write_tracing(RETRY "filter", filter ? filter : "0");
	write_tracing(RETRY "enable", "1");
}

unsigned long retries_seen(void)
{
	return nr_traced();
}

void retries_unwatch(void)
{
	write_tracing(RETRY "enable", "0");
}
