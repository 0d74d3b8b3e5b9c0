// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks and DMA maps of all kinds of memory.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	KERNEL_SNAPSHOT,
	OUR_SNAPSHOT,
	KERNEL_FAULT,
	OUR_FAULT,
	OUR_SNAPSHOT_256,
	KERNEL_EXTENTS,
	OUR_FAULT_DMA,
	GPUSVM,
	NR_SERIES,
};

static const struct series all_series[NR_SERIES] = {
	[KERNEL_SNAPSHOT] = { .op = HMM_BENCH_KERNEL_SNAPSHOT },
	[OUR_SNAPSHOT] = { .op = HMM_BENCH_MIRROR_SNAPSHOT },
	[KERNEL_FAULT] = { .op = HMM_BENCH_KERNEL_FAULT },
	[OUR_FAULT] = { .op = HMM_BENCH_MIRROR_FAULT },
	[OUR_SNAPSHOT_256] = { .op = HMM_BENCH_MIRROR_SNAPSHOT, .nr_max = 256 },
	[KERNEL_EXTENTS] = { .op = HMM_BENCH_KERNEL_EXTENTS },
	[OUR_FAULT_DMA] = { .op = HMM_BENCH_MIRROR_FAULT_DMA },
	[GPUSVM] = { .op = HMM_BENCH_GPUSVM_PAGES },
};

enum {
	DMA_PAGES,
	DMA_EXTENTS,
	DMA_HMM,
	NR_DMA_SERIES,
};

static const struct series all_dma_series[NR_DMA_SERIES] = {
	[DMA_PAGES] = { .op = HMM_BENCH_DMA_PAGES },
	[DMA_EXTENTS] = { .op = HMM_BENCH_DMA_EXTENTS },
	[DMA_HMM] = { .op = HMM_BENCH_DMA_HMM },
};

/* Measured with the walks, shown behind them. */
static struct series dma[NR_KINDS][NR_DMA_SERIES];

static bool has(unsigned int feature)
{
	return info.features & feature;
}

static void walk_present(int fd, const struct memory *m, const struct kind *kind)
{
	struct series s[NR_SERIES], *d = dma[kind - kinds];

	memcpy(s, all_series, sizeof(s));
	measure(fd, m, kind, s, has(HMM_BENCH_HAS_GPUSVM) ? NR_SERIES : GPUSVM);
	table_row(kind, "snapshot", &s[KERNEL_SNAPSHOT], &s[OUR_SNAPSHOT]);
	table_row(kind, "fault", &s[KERNEL_FAULT], &s[OUR_FAULT]);
	table_row(kind, "by-256", &s[KERNEL_SNAPSHOT], &s[OUR_SNAPSHOT_256]);
	table_row(kind, "extents", &s[KERNEL_EXTENTS], &s[OUR_SNAPSHOT]);
	if (has(HMM_BENCH_HAS_GPUSVM))
		table_row(kind, "gpusvm", &s[GPUSVM], &s[OUR_FAULT_DMA]);

	/* The passes just before left the pages and the extents that are mapped here. */
	memcpy(d, all_dma_series, sizeof(all_dma_series));
	measure(fd, m, kind, d, has(HMM_BENCH_HAS_HMM_DMA) ? NR_DMA_SERIES : DMA_HMM);
}

static void walk_missing(int fd, const struct memory *m, const struct kind *kind)
{
	struct series s[] = {
		all_series[KERNEL_FAULT],
		all_series[OUR_FAULT],
	};

	measure(fd, m, kind, s, 2);
	table_row(kind, "fault", &s[0], &s[1]);
}

static void walk_kind(const struct kind *kind, struct memory *m)
{
	struct hmm_bench_span span;
	int fd;

	fd = span_open(m->start, m->len, HMM_BENCH_NOTIFIER | HMM_BENCH_RANGE, &span);
	if (kind->restore)
		walk_missing(fd, m, kind);
	else
		walk_present(fd, m, kind);
	close(fd);
}

static void dma_line(const struct kind *kind, const char *what, const struct series *s)
{
	double map = median(s->ticks), undo = median(s->undo_ticks);
	unsigned long n = s->last.nr_extents, npages = kind->mib * MIB / PAGE;

	printf("%-12s %5u  %-28s %9lu %12.0f %9.1f %9.2f %12.0f\n", kind->name, kind->mib, what, n,
	       map, map / n, map / npages, undo);
}

static void dma_table(void)
{
	const struct kind *kind;

	printf("\n%-12s %5s  %-28s %9s %12s %9s %9s %12s\n", "DMA map", "MiB", "by", "mappings",
	       unit_name(), "each", "per page", "unmap");
	for (kind = kinds; kind < kinds + NR_KINDS; kind++) {
		const struct series *d = dma[kind - kinds];

		if (!d[DMA_PAGES].last.nr_extents)
			continue;
		dma_line(kind, "dma_map_page", &d[DMA_PAGES]);
		if (has(HMM_BENCH_HAS_HMM_DMA))
			dma_line(kind, "hmm_dma_map_pfn", &d[DMA_HMM]);
		dma_line(kind, "hmm_mirror_extent_dma_map", &d[DMA_EXTENTS]);
	}
}

void bench_walks(const char *only)
{
	struct memory memory[NR_KINDS] = {};
	unsigned int i;

	for (i = 0; i < NR_KINDS; i++)
		if (kinds[i].fresh && (!only || strstr(kinds[i].name, only)))
			memory_make(&memory[i], &kinds[i]);
	table_head();
	for (i = 0; i < NR_KINDS; i++) {
		if (only && !strstr(kinds[i].name, only))
			continue;
		if (!memory[i].start)
			memory_make(&memory[i], &kinds[i]);
		walk_kind(&kinds[i], &memory[i]);
		memory_free(&memory[i]);
	}
	dma_table();
}
