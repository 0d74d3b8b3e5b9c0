// SPDX-License-Identifier: GPL-2.0-only
/* The cells: their names, and which of them cannot be. */
#include <stdio.h>

#include "mx.h"

static const char *const kinds[MX_NKINDS] = {
	[MX_MALLOC] = "malloc", [MX_STACK] = "stack", [MX_MMAP] = "mmap",
	[MX_THP] = "thp", [MX_HUGETLB] = "hugetlb", [MX_SHMEM] = "shmem",
	[MX_MEMFD] = "memfd", [MX_PRIVATE_FILE] = "private_file",
	[MX_SHARED_FILE] = "shared_file", [MX_DAX] = "dax",
};

static const char *const sizes[MX_NSIZES] = {
	[MX_4K] = "4k", [MX_64K] = "64k", [MX_2M] = "2m", [MX_2M4K] = "2m4k",
	[MX_64M] = "64m",
};

static const unsigned int npages[MX_NSIZES] = {
	[MX_4K] = 1, [MX_64K] = 16, [MX_2M] = MX_HUGE_PAGES,
	[MX_2M4K] = MX_HUGE_PAGES + 1, [MX_64M] = 32 * MX_HUGE_PAGES,
};

static const char *const touches[MX_NTOUCHES] = {
	[MX_CPU_FIRST] = "cpu", [MX_GPU_FIRST] = "gpu",
};

static const char *const events[MX_NEVENTS] = {
	[MX_NONE] = "none", [MX_MUNMAP] = "munmap_middle",
	[MX_PROT_READ] = "mprotect_read", [MX_PROT_NONE] = "mprotect_none",
	[MX_DONTNEED] = "dontneed", [MX_FORK_PARENT] = "fork_parent_writes",
	[MX_FORK_CHILD] = "fork_child_writes", [MX_MREMAP] = "mremap",
	[MX_PREFETCH] = "prefetch_to_gpu", [MX_PREFETCH_BACK] = "prefetch_back",
	[MX_EVICT] = "evict",
};

static const char *const modes[MX_NMODES] = {
	[MX_XNACK_ON] = "xnack_on", [MX_XNACK_OFF] = "xnack_off",
};

struct mx_cell mx_cell_at(unsigned int number)
{
	struct mx_cell cell;

	cell.gpus = 1 + number % MX_NGPUS;
	number /= MX_NGPUS;
	cell.mode = number % MX_NMODES;
	number /= MX_NMODES;
	cell.event = number % MX_NEVENTS;
	number /= MX_NEVENTS;
	cell.touch = number % MX_NTOUCHES;
	number /= MX_NTOUCHES;
	cell.size = number % MX_NSIZES;
	cell.kind = number / MX_NSIZES;
	return cell;
}

void mx_cell_name(const struct mx_cell *cell, char name[MX_NAME_LEN])
{
	snprintf(name, MX_NAME_LEN, "%s/%s/%s/%s/%s/%ugpu", kinds[cell->kind],
		 sizes[cell->size], touches[cell->touch], events[cell->event],
		 modes[cell->mode], cell->gpus);
}

unsigned int mx_npages(enum mx_size size)
{
	return npages[size];
}

unsigned int mx_hole_first(enum mx_size size)
{
	return npages[size] / 4;
}

unsigned int mx_hole_npages(enum mx_size size)
{
	return npages[size] / 2;
}

const char *mx_impossible(const struct mx_cell *cell)
{
	unsigned int n = npages[cell->size];

	if (cell->kind == MX_HUGETLB && n % MX_HUGE_PAGES)
		return "hugetlb memory comes in pages of 2 MiB";
	if (cell->kind == MX_THP && n < MX_HUGE_PAGES)
		return "no huge page fits into it";
	if (cell->event == MX_MUNMAP && n == 1)
		return "one page has no middle";
	if (cell->event == MX_MUNMAP && cell->kind == MX_HUGETLB && n == MX_HUGE_PAGES)
		return "one page of 2 MiB has no middle";
	return NULL;
}

bool mx_is_heap(const struct mx_cell *cell)
{
	return cell->kind == MX_MALLOC && cell->size <= MX_64K;
}

bool mx_is_anonymous(enum mx_kind kind)
{
	return kind == MX_MALLOC || kind == MX_STACK || kind == MX_MMAP || kind == MX_THP;
}

bool mx_is_shared(enum mx_kind kind)
{
	return kind == MX_SHMEM || kind == MX_MEMFD || kind == MX_SHARED_FILE ||
	       kind == MX_DAX;
}

bool mx_is_file(enum mx_kind kind)
{
	return kind == MX_PRIVATE_FILE || kind == MX_SHARED_FILE || kind == MX_DAX;
}
