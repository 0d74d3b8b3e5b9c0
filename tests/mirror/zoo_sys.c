// SPDX-License-Identifier: GPL-2.0-only
/* Files, and the switches of the system that a kind needs. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "zoo.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

int zoo_memfd(const char *name, size_t len, unsigned int flags)
{
	int fd = memfd_create(name, MFD_CLOEXEC | flags);

	hmt_check_that(fd >= 0, "memfd_create: errno %d", errno);
	hmt_check_that(!ftruncate(fd, (off_t)len), "%zu bytes of memfd: errno %d", len,
		       errno);
	return fd;
}

int zoo_file(const char *dir, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/zoo.XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	hmt_check_that(fd >= 0, "%s: errno %d", path, errno);
	hmt_check(!unlink(path));
	hmt_check_that(!ftruncate(fd, (off_t)len), "%s: errno %d", path, errno);
	return fd;
}

void zoo_pwrite(struct zoo *z, int fd, size_t page, off_t offset)
{
	uint64_t word = zoo_word(z, page);

	hmt_check(pwrite(fd, &word, sizeof(word), offset) == sizeof(word));
	z->word[page] = word;
}

bool zoo_read_sys(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	buf[0] = 0;
	if (fd < 0)
		return false;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = 0;
	return true;
}

long zoo_read_long(const char *path, long otherwise)
{
	char buf[64];

	return zoo_read_sys(path, buf, sizeof(buf)) ? strtol(buf, NULL, 0) : otherwise;
}

int zoo_write_sys(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

void zoo_set_sys(const char *path, const char *text)
{
	int err = zoo_write_sys(path, text);

	if (err)
		zoo_skip("%s cannot be set to %s (%s)", path, text, strerror(-err));
}

void zoo_need_thp(void)
{
	zoo_set_sys(THP "enabled", "madvise");
	zoo_set_sys(THP "defrag", "madvise");
}

void zoo_need_hugetlb(size_t page_len, size_t npages)
{
	char path[128], text[32];
	long free_pages, total, want;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%zukB/free_hugepages",
		 page_len >> 10);
	free_pages = zoo_read_long(path, -1);
	if (free_pages < 0)
		zoo_skip("no huge pages of %zu KiB", page_len >> 10);
	if (free_pages >= (long)npages)
		return;
	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages", page_len >> 10);
	total = zoo_read_long(path, 0);
	want = total + (long)npages - free_pages;
	snprintf(text, sizeof(text), "%ld", want);
	if (zoo_write_sys(path, text) || zoo_read_long(path, 0) < want)
		zoo_skip("%zu huge pages of %zu KiB are not to be had (%ld are)", npages,
			 page_len >> 10, zoo_read_long(path, 0));
}

/* Of the line after the head, if there is one. */
static bool have_swap(void)
{
	char buf[512], *line;

	if (!zoo_read_sys("/proc/swaps", buf, sizeof(buf)))
		return false;
	line = strchr(buf, '\n');
	return line && line[1];
}

struct swap_header {
	char boot[1024];
	uint32_t version;
	uint32_t last_page;
	uint32_t nr_badpages;
	uint8_t uuid[16];
	char label[16];
};

/*
 * The file stays for the rest of the boot: switching swap off would bring back the
 * pages of everybody.
 */
void zoo_need_swap(void)
{
	static const char path[] = "/mnt/disk/zoo.swap";
	const size_t npages = 16384;
	struct swap_header head = { .version = 1, .last_page = npages - 1 };
	char *buf;
	int fd;

	if (have_swap())
		return;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		zoo_skip("no disk for a swap file (%s)", strerror(errno));
	buf = calloc(1, ZHUGE);
	hmt_check(buf);
	/* Holes are not for swap. */
	for (size_t done = 0; done < npages * ZPAGE; done += ZHUGE)
		if (write(fd, buf, ZHUGE) != (ssize_t)ZHUGE)
			zoo_skip("no room for a swap file (%s)", strerror(errno));
	memcpy(buf, &head, sizeof(head));
	memcpy(buf + ZPAGE - 10, "SWAPSPACE2", 10);
	hmt_check(pwrite(fd, buf, ZPAGE, 0) == (ssize_t)ZPAGE);
	hmt_check(!fsync(fd));
	free(buf);
	close(fd);
	if (swapon(path, 0))
		zoo_skip("swapon: %s", strerror(errno));
}

void zoo_need_nodes(void)
{
	char buf[64];

	if (!zoo_read_sys("/sys/devices/system/node/has_normal_memory", buf, sizeof(buf)) ||
	    strncmp(buf, "0-", 2))
		zoo_skip("one NUMA node only (boot with numa=fake=2)");
}

void zoo_need_madvise(int advice, const char *name)
{
	char *va = zoo_reserve(ZPAGE, ZPAGE);

	zoo_mmap(va, ZPAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (madvise(va, ZPAGE, advice))
		zoo_skip("this kernel has no %s (%s)", name, strerror(errno));
	hmt_check(!munmap(va, ZPAGE));
}

/*
 * What is compared must hold still: khugepaged, KSM and NUMA balancing change page tables
 * on their own. A kind that wants one of them switches it on.
 */
void zoo_still(void)
{
	/* Kernels without one of them have no such file. */
	zoo_write_sys(THP "khugepaged/scan_sleep_millisecs", "3600000");
	/* A new area wakes it all the same. */
	zoo_write_sys(THP "khugepaged/pages_to_scan", "1");
	zoo_write_sys(THP "khugepaged/max_ptes_none", "0");
	zoo_write_sys("/sys/kernel/mm/ksm/run", "0");
	zoo_write_sys("/proc/sys/kernel/numa_balancing", "0");
	zoo_write_sys("/proc/sys/vm/compaction_proactiveness", "0");
}

#define NUMA_DEBUG "/sys/kernel/debug/sched/numa_balancing/"

void zoo_numa_scanning(bool on)
{
	zoo_set_sys(NUMA_DEBUG "scan_delay_ms", on ? "1" : "1000");
	zoo_set_sys(NUMA_DEBUG "scan_period_min_ms", on ? "1" : "1000");
	zoo_set_sys(NUMA_DEBUG "scan_period_max_ms", on ? "10" : "60000");
	zoo_set_sys("/proc/sys/kernel/numa_balancing", on ? "1" : "0");
}
