// SPDX-License-Identifier: GPL-2.0-only
/*
 * The storage: /dev/pmem0 with a file system, or /dev/pmem1 turned into a character
 * device. There is no udev in the VM, so modules are named here.
 */
#include "dax.h"

#include <fcntl.h>
#include <glob.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_device(void)
{
	return !strncmp(kind, "dev-", 4);
}

static void set_up_fs(bool make)
{
	if (!strcmp(kind, "xfs")) {
		run_command("modprobe -q xfs || grep -q xfs /proc/filesystems");
		/* Stripes of 2 MiB, so that extents are aligned. */
		if (make)
			run_command("mkfs.xfs -q -f -m reflink=1 -d agcount=2,su=2m,sw=1 -l size=64m /dev/pmem0");
	} else if (make) {
		run_command("mkfs.ext4 -q -F -b 4096 -m 0 -E stride=512,stripe_width=512,lazy_itable_init=0,lazy_journal_init=0 /dev/pmem0");
	}
	run_command("mkdir -p %s", MOUNT_DIR);
	if (mount("/dev/pmem0", MOUNT_DIR, kind, 0, "dax=always"))
		FAIL("mount %s with dax: %m", kind);
}

void set_up(bool make)
{
	char *iomem = read_text("/proc/iomem");

	if (!iomem || !strstr(iomem, "Persistent Memory"))
		FAIL("no memory was reserved as persistent: not on machine pmem?");
	free(iomem);
	run_command("modprobe -qa nd_e820 nd_pmem dax_pmem device_dax; test -e /dev/pmem0");
	if (!is_device()) {
		set_up_fs(make);
		return;
	}
	run_command("ndctl create-namespace -f -e namespace1.0 -m devdax --map=mem --align=%s >/dev/null 2>&1",
		    !strcmp(kind, "dev-4k") ? "4096" : "2M");
}

void take_down(void)
{
	if (is_device())
		run_command("ndctl disable-namespace namespace1.0 >/dev/null 2>&1");
	else if (umount(MOUNT_DIR))
		FAIL("umount: %m");
}

int make_file(const char *name, size_t len)
{
	struct statx info;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s-%d", MOUNT_DIR, name, (int)getpid());
	fd = TRY(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	TRY(unlink(path));
	TRY(statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &info));
	CHECK(info.stx_attributes & STATX_ATTR_DAX);
	if (len)
		TRY(fallocate(fd, 0, 0, (off_t)len));
	return fd;
}

char *map_file(int fd, size_t len, size_t skew, int extra_flags)
{
	char *va = TRY(mmap(NULL, len + 2 * HUGE_LEN, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	int flags = extra_flags ? MAP_SHARED_VALIDATE | extra_flags : MAP_SHARED;

	va = (char *)(((uintptr_t)va + HUGE_LEN - 1) & ~(HUGE_LEN - 1)) + skew;
	return TRY(mmap(va, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0));
}

int open_dax_device(size_t *len)
{
	char path[128], *text;
	glob_t found;
	int fd;

	CHECK_EQ(glob("/dev/dax1.*", 0, NULL, &found), 0);
	CHECK_EQ(found.gl_pathc, 1);
	fd = TRY(open(found.gl_pathv[0], O_RDWR | O_CLOEXEC));
	snprintf(path, sizeof(path), "/sys/bus/dax/devices/%s/size",
		 found.gl_pathv[0] + strlen("/dev/"));
	text = read_text(path);
	CHECK(text);
	*len = strtoull(text, NULL, 0);
	free(text);
	globfree(&found);
	return fd;
}
