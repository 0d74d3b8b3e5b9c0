// SPDX-License-Identifier: MIT
#include "top.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

#define PROC_DIR "/sys/class/kfd/kfd/proc"

/* "text12" with @prefix "text" is 12; false if it is anything else. */
static bool numbered(const char *name, const char *prefix, uint32_t *number)
{
	size_t len = strlen(prefix);
	char *end;

	if (strncmp(name, prefix, len) || name[len] < '0' || name[len] > '9')
		return false;
	*number = (uint32_t)strtoul(name + len, &end, 10);
	return !*end;
}

static uint64_t read_number(int dir, const char *path)
{
	char text[32];
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	uint64_t value = KFDSVM_UNKNOWN;
	ssize_t n;

	if (fd < 0)
		return value;
	n = read(fd, text, sizeof(text) - 1);
	if (n > 0 && text[0] >= '0' && text[0] <= '9') {
		text[n] = '\0';
		value = strtoull(text, NULL, 10);
	}
	close(fd);
	return value;
}

static void read_gpu(int dir, uint32_t gpu_id, struct top_gpu *gpu)
{
	char path[64];

	gpu->gpu_id = gpu_id;
	snprintf(path, sizeof(path), "counters_%u/faults", gpu_id);
	gpu->faults = read_number(dir, path);
	snprintf(path, sizeof(path), "counters_%u/page_in", gpu_id);
	gpu->page_in = read_number(dir, path);
	snprintf(path, sizeof(path), "counters_%u/page_out", gpu_id);
	gpu->page_out = read_number(dir, path);
	snprintf(path, sizeof(path), "vram_%u", gpu_id);
	gpu->vram_len = read_number(dir, path);
}

static void read_gpus(int dir, struct top_process *process)
{
	DIR *list = fdopendir(dup(dir));
	struct dirent *entry;
	uint32_t gpu_id;

	while (list && (entry = readdir(list))) {
		if (!numbered(entry->d_name, "counters_", &gpu_id))
			continue;
		process->gpus = need_memory(reallocarray(process->gpus, process->ngpus + 1,
							 sizeof(process->gpus[0])));
		read_gpu(dir, gpu_id, &process->gpus[process->ngpus++]);
	}
	if (list)
		closedir(list);
}

static void read_name(const char *root, struct top_process *process)
{
	char path[PATH_MAX], comm[sizeof(process->comm)] = "?";
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/%d", root, (int)process->pid);
	process->uid = stat(path, &st) ? (uid_t)-1 : st.st_uid;
	snprintf(path, sizeof(path), "%s/proc/%d/comm", root, (int)process->pid);
	file = fopen(path, "re");
	if (file) {
		if (!fgets(comm, sizeof(comm), file))
			strcpy(comm, "?");
		fclose(file);
	}
	comm[strcspn(comm, "\n")] = '\0';
	printable(process->comm, sizeof(process->comm), comm);
}

/* A process that ends under way has some of its files, or none. */
static void add_process(const char *root, int dir, const char *name, struct top_sample *sample)
{
	struct top_process *process;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	sample->list = need_memory(reallocarray(sample->list, sample->n + 1,
						sizeof(sample->list[0])));
	process = &sample->list[sample->n++];
	memset(process, 0, sizeof(*process));
	process->pid = (pid_t)strtol(name, NULL, 10);
	read_name(root, process);
	read_gpus(fd, process);
	close(fd);
}

static int by_pid(const void *a, const void *b)
{
	const struct top_process *left = a, *right = b;

	return (left->pid > right->pid) - (left->pid < right->pid);
}

int top_sample_take(const char *root, struct top_sample *sample)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct timespec now;
	uint32_t pid;
	DIR *dir;

	memset(sample, 0, sizeof(*sample));
	snprintf(path, sizeof(path), "%s" PROC_DIR, root);
	dir = opendir(path);
	if (!dir)
		return -errno;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	while ((entry = readdir(dir)))
		if (numbered(entry->d_name, "", &pid))
			add_process(root, dirfd(dir), entry->d_name, sample);
	closedir(dir);
	if (sample->n)
		qsort(sample->list, sample->n, sizeof(sample->list[0]), by_pid);
	return 0;
}

void top_sample_free(struct top_sample *sample)
{
	for (size_t i = 0; i < sample->n; i++)
		free(sample->list[i].gpus);
	free(sample->list);
	memset(sample, 0, sizeof(*sample));
}
