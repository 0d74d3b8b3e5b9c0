// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kt.h"

uint64_t kt_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void kt_pause(void)
{
	struct timespec ts = { .tv_nsec = 50000 };

	nanosleep(&ts, NULL);
}

int kt_read_file(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (done < len - 1) {
		n = read(fd, buf + done, len - 1 - done);
		if (n < 0) {
			n = -errno;
			close(fd);
			return (int)n;
		}
		if (!n)
			break;
		done += (size_t)n;
	}
	close(fd);
	buf[done] = 0;
	return (int)done;
}

int kt_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* One line for each GPU: "gpu ID NAME VALUE NAME VALUE ...". */
static int debugfs_counter(struct kt_dev *dev, const char *name, uint64_t *value)
{
	char path[96], text[4096], key[48], *line, *save, *at;
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kfd_svm/%d/counters",
		 (int)getpid());
	ret = kt_read_file(path, text, sizeof(text));
	if (ret < 0)
		return ret;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		snprintf(key, sizeof(key), "gpu %u ", dev->gpu_id);
		if (strncmp(line, key, strlen(key)))
			continue;
		snprintf(key, sizeof(key), " %s ", name);
		at = strstr(line, key);
		if (!at)
			return -ENOENT;
		*value = strtoull(at + strlen(key), NULL, 0);
		return 0;
	}
	return -ENOENT;
}

int kt_process_vram(struct kt_dev *dev, uint64_t *bytes)
{
	char path[96], text[32];
	int ret;

	snprintf(path, sizeof(path), "/sys/class/kfd/kfd/proc/%d/vram_%u", (int)getpid(),
		 dev->gpu_id);
	ret = kt_read_file(path, text, sizeof(text));
	if (ret <= 0)
		return ret ? ret : -ENODATA;
	*bytes = strtoull(text, NULL, 0);
	return 0;
}

bool kt_process_gone(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/kfd/kfd/proc/%d", (int)pid);
	return access(path, F_OK) != 0;
}

int kt_counter(struct kt_dev *dev, const char *name, uint64_t *value)
{
	char path[160], text[64];
	int ret;

	snprintf(path, sizeof(path), "/sys/class/kfd/kfd/proc/%d/counters_%u/%s",
		 (int)getpid(), dev->gpu_id, name);
	ret = kt_read_file(path, text, sizeof(text));
	if (ret < 0)
		return debugfs_counter(dev, name, value);
	*value = strtoull(text, NULL, 0);
	return 0;
}
