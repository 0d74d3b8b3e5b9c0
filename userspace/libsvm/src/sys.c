// SPDX-License-Identifier: MIT
/* The real world, behind the seam of internal.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drm.h"

static int real_open(void *ctx, const char *path, int flags)
{
	int fd;

	(void)ctx;
	do
		fd = open(path, flags | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static void real_close(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

static int real_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	(void)ctx;
	return ret < 0 ? -errno : ret;
}

static ssize_t real_read_file(void *ctx, const char *path, char *buf, size_t len)
{
	int fd = real_open(ctx, path, O_RDONLY);
	size_t got = 0;
	ssize_t ret = 0;

	if (fd < 0)
		return fd;
	while (got < len - 1) {
		ret = read(fd, buf + got, len - 1 - got);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0)
			break;
		got += (size_t)ret;
	}
	if (ret < 0)
		ret = -errno;
	close(fd);
	if (ret < 0)
		return ret;
	buf[got] = '\0';
	return (ssize_t)got;
}

static ssize_t real_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n = pread(fd, buf, len, (off_t)offset);

	(void)ctx;
	return n < 0 ? -errno : n;
}

static int real_mincore(void *ctx, uintptr_t start, size_t len, unsigned char *vec)
{
	(void)ctx;
	return mincore((void *)start, len, vec) ? -errno : 0;
}

static int real_stat(void *ctx, const char *path, struct stat *st)
{
	(void)ctx;
	return stat(path, st) ? -errno : 0;
}

static void real_group(void *ctx, gid_t gid, char *buf, size_t len)
{
	struct group entry, *found = NULL;
	char strings[4096];

	(void)ctx;
	if (!getgrgid_r(gid, &entry, strings, sizeof(strings), &found) && found)
		snprintf(buf, len, "%s", entry.gr_name);
	else
		snprintf(buf, len, "%u", (unsigned int)gid);
}

static bool listed(const gid_t *groups, int n, gid_t gid)
{
	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

#define MAX_GROUPS 1024

static int real_in_group(void *ctx, gid_t gid)
{
	struct passwd entry, *found = NULL;
	gid_t groups[MAX_GROUPS];
	char strings[4096];
	int n = getgroups(MAX_GROUPS, groups);

	(void)ctx;
	if (getegid() == gid || listed(groups, n, gid))
		return 1;
	if (getpwuid_r(getuid(), &entry, strings, sizeof(strings), &found) || !found)
		return 0;
	n = MAX_GROUPS;
	if (getgrouplist(entry.pw_name, entry.pw_gid, groups, &n) < 0)
		return 0;
	return listed(groups, n, gid) ? 2 : 0;
}

static pid_t real_getpid(void *ctx)
{
	(void)ctx;
	return getpid();
}

static size_t real_page_size(void *ctx)
{
	(void)ctx;
	return (size_t)sysconf(_SC_PAGESIZE);
}

const struct kfdsvm_sys kfdsvm_sys_real = {
	.open = real_open,
	.close = real_close,
	.ioctl = real_ioctl,
	.read_file = real_read_file,
	.pread = real_pread,
	.mincore = real_mincore,
	.stat = real_stat,
	.group = real_group,
	.in_group = real_in_group,
	.getpid = real_getpid,
	.page_size = real_page_size,
	.thunk = kfdsvm_real_thunk,
	.thunk_nudge = kfdsvm_real_thunk_nudge,
	.drm_share = kfdsvm_real_drm_share,
	.drm_drop = kfdsvm_real_drm_drop,
};
