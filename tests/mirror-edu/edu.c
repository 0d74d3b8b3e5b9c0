// SPDX-License-Identifier: GPL-2.0-only
#include "edu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

bool behind_iommu(void)
{
	return !strcmp(machine, "iommu");
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int edu_open(void)
{
	return TRY(open(HME_DEVICE, O_RDWR | O_CLOEXEC));
}

struct hme_stats edu_stats(int fd)
{
	struct hme_stats stats;

	TRY(ioctl(fd, HME_STATS, &stats));
	return stats;
}

int edu_map(int fd, void *va, size_t len, struct hme_map *map)
{
	map->first_va = (uintptr_t)va;
	map->last_va = (uintptr_t)va + len - 1;
	return ioctl(fd, HME_MAP, map) ? errno : 0;
}

void edu_unmap(int fd, void *va, size_t len)
{
	struct hme_span span = {
		.first_va = (uintptr_t)va,
		.last_va = (uintptr_t)va + len - 1,
	};

	TRY(ioctl(fd, HME_UNMAP, &span));
}

static int transfer(int fd, uintptr_t va, uintptr_t data, size_t len,
		    unsigned int flags)
{
	struct hme_xfer xfer = {
		.va = va,
		.data = data,
		.len = (uint32_t)len,
		.flags = flags,
	};

	return ioctl(fd, HME_XFER, &xfer) ? errno : 0;
}

int edu_read(int fd, const void *va, void *data, size_t len, unsigned int flags)
{
	return transfer(fd, (uintptr_t)va, (uintptr_t)data, len, flags);
}

int edu_write(int fd, void *va, const void *data, size_t len, unsigned int flags)
{
	return transfer(fd, (uintptr_t)va, (uintptr_t)data, len, flags | HME_WRITE);
}

void edu_raw(int fd, uint64_t dma, void *data, size_t len, unsigned int flags)
{
	struct hme_raw raw = {
		.dma = dma,
		.data = (uintptr_t)data,
		.len = (uint32_t)len,
		.flags = flags,
	};

	TRY(ioctl(fd, HME_RAW, &raw));
}

unsigned int edu_table(int fd, struct hme_mapping *out, unsigned int nr_max)
{
	struct hme_table table = { .mappings = (uintptr_t)out, .nr_max = nr_max };

	TRY(ioctl(fd, HME_TABLE, &table));
	return table.nr;
}

bool edu_find_mapping(int fd, const void *va, struct hme_mapping *mapping)
{
	static struct hme_mapping table[8192];
	unsigned int nr = edu_table(fd, table, 8192), i;

	for (i = 0; i < nr && i < 8192; i++) {
		if (table[i].va <= (uintptr_t)va &&
		    (uintptr_t)va < table[i].va + table[i].npages * PAGE_LEN) {
			*mapping = table[i];
			return true;
		}
	}
	return false;
}

struct hme_mapping edu_mapping(int fd, const void *va)
{
	struct hme_mapping mapping;

	if (!edu_find_mapping(fd, va, &mapping))
		FAIL("%p is not mapped in the device", va);
	return mapping;
}

void edu_config(int fd, unsigned int dma_bits, bool no_dirty)
{
	struct hme_config config = { .dma_bits = dma_bits, .no_dirty = no_dirty };

	TRY(ioctl(fd, HME_CONFIG, &config));
}

void *map_anon(size_t len)
{
	char *va = TRY(mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	TRY(madvise(va, len, MADV_NOHUGEPAGE));
	return va;
}

void *map_thp(size_t len)
{
	char *va = TRY(mmap(NULL, len + HUGE_LEN, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	va = (char *)(((uintptr_t)va + HUGE_LEN - 1) & ~(HUGE_LEN - 1));
	TRY(madvise(va, len, MADV_HUGEPAGE));
	memset(va, 1, len);
	return va;
}

void *map_memfd(size_t len, int *fd)
{
	*fd = TRY(memfd_create("edu", MFD_CLOEXEC));
	TRY(ftruncate(*fd, (off_t)len));
	return TRY(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0));
}

int make_file(size_t len)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/edu-%d", DISK_DIR, (int)getpid());
	fd = TRY(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	TRY(unlink(path));
	TRY(ftruncate(fd, (off_t)len));
	return fd;
}
