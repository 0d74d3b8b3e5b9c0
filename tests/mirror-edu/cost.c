// SPDX-License-Identifier: GPL-2.0-only
/* What mapping costs, for information: nothing here can fail but the calls. */
#include "edu.h"
#include "edu_cases.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const ways[HME_NR_BENCH] = {
	[HME_BENCH_PAGE] = "dma_map_page per page",
	[HME_BENCH_EXTENT] = "hmm_mirror_extent_dma_map per extent",
	[HME_BENCH_SG] = "dma_map_sgtable of all extents",
	[HME_BENCH_HMM] = "hmm_dma_map_pfn per page",
	[HME_BENCH_IOVA] = "dma_iova_link per extent, one sync",
};

static void measure(int fd, const char *what, void *va, size_t len)
{
	struct hme_bench bench = {
		.first_va = (uintptr_t)va,
		.last_va = (uintptr_t)va + len - 1,
		.passes = 5,
	};

	for (bench.how = 0; bench.how < HME_NR_BENCH; bench.how++) {
		if (ioctl(fd, HME_BENCH, &bench)) {
			CHECK_EQ(errno, EOPNOTSUPP);
			note("cost %s, %s, %s: not here", machine, what,
			     ways[bench.how]);
			continue;
		}
		note("cost %s, %s, %s: map %llu ns, unmap %llu ns; %llu and %llu a page (%llu pages, %llu extents)",
		     machine, what, ways[bench.how],
		     (unsigned long long)bench.map_ns,
		     (unsigned long long)bench.unmap_ns,
		     (unsigned long long)(bench.map_ns / bench.npages),
		     (unsigned long long)(bench.unmap_ns / bench.npages),
		     (unsigned long long)bench.npages,
		     (unsigned long long)bench.nr_extents);
	}
}

/* Touched in an order that leaves hardly two neighbours together. */
static void touch_scattered(char *va, size_t npages)
{
	size_t i;

	for (i = 0; i < npages; i++)
		va[(i * 2654435761UL % npages) * PAGE_LEN] = 1;
}

void cost_of_mapping(void)
{
	size_t len = 8UL << 20;
	char *va;
	int fd;

	if (!strcmp(machine, "swiotlb"))
		SKIP("nothing can be mapped");
	fd = edu_open();
	va = map_anon(len);
	memset(va, 1, len);
	measure(fd, "4 KiB in order", va, len);
	TRY(munmap(va, len));
	va = map_anon(len);
	touch_scattered(va, len / PAGE_LEN);
	measure(fd, "4 KiB scattered", va, len);
	TRY(munmap(va, len));
	measure(fd, "THP", map_thp(len), len);
	close(fd);
}
