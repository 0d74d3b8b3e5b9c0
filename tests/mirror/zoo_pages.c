// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says of its own accord: pagemap, kpageflags, smaps. */
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/fs.h>

#include "zoo.h"

/* Descriptors of /proc belong to the process that opened them. */
static int proc_fd(const char *path, int *fd, pid_t *owner)
{
	if (*owner != getpid()) {
		*fd = open(path, O_RDONLY | O_CLOEXEC);
		*owner = getpid();
	}
	hmt_check_that(*fd >= 0, "%s: errno %d", path, errno);
	return *fd;
}

static int pagemap_fd(void)
{
	static pid_t owner;
	static int fd;

	return proc_fd("/proc/self/pagemap", &fd, &owner);
}

void zoo_pagemaps(const char *va, size_t npages, uint64_t *entries)
{
	size_t len = npages * sizeof(*entries), done = 0;
	off_t offset = (off_t)((uintptr_t)va / ZPAGE * sizeof(*entries));
	ssize_t n;

	while (done < len) {
		n = pread(pagemap_fd(), (char *)entries + done, len - done,
			  offset + (off_t)done);
		hmt_check(n > 0);
		done += (size_t)n;
	}
}

uint64_t zoo_pagemap(const char *va)
{
	uint64_t entry;

	zoo_pagemaps(va, 1, &entry);
	return entry;
}

uint64_t zoo_pfn_flags(uint64_t pfn)
{
	static pid_t owner;
	static int fd;
	uint64_t flags;

	hmt_check(pread(proc_fd("/proc/kpageflags", &fd, &owner), &flags,
			sizeof(flags), (off_t)(pfn * sizeof(flags))) ==
		  sizeof(flags));
	return flags;
}

uint64_t zoo_kpageflags(const char *va)
{
	uint64_t entry = zoo_pagemap(va);

	return (entry & ZPM_PRESENT) ? zoo_pfn_flags(entry & ZPM_PFN) : 0;
}

/* How many pages of the span are in regions with @category, or -1. */
static long scan(const char *va, size_t npages, uint64_t category)
{
	struct page_region regions[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)va,
		.end = (uintptr_t)va + npages * ZPAGE,
		.vec = (uintptr_t)regions,
		.vec_len = HMT_COUNT(regions),
		.category_mask = category,
		.return_mask = category,
	};
	long found = 0;
	int n;

	while (arg.start < arg.end) {
		n = ioctl(pagemap_fd(), PAGEMAP_SCAN, &arg);
		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			found += (long)((regions[i].end - regions[i].start) / ZPAGE);
		if (arg.walk_end <= arg.start)
			break;
		arg.start = arg.walk_end;
	}
	return found;
}

size_t zoo_count_huge(const struct zoo *z)
{
	long n = scan(z->va, z->npages, PAGE_IS_HUGE);

	hmt_check_that(n >= 0, "PAGEMAP_SCAN: errno %d", errno);
	return (size_t)n;
}

size_t zoo_count(const struct zoo *z, uint64_t bits)
{
	uint64_t *entries = calloc(z->npages, sizeof(*entries));
	size_t n = 0;

	hmt_check(entries);
	zoo_pagemaps(z->va, z->npages, entries);
	for (size_t i = 0; i < z->npages; i++)
		n += (entries[i] & bits) == bits;
	free(entries);
	return n;
}

size_t zoo_count_kpf(const struct zoo *z, uint64_t bits)
{
	uint64_t *entries = calloc(z->npages, sizeof(*entries));
	size_t n = 0;

	hmt_check(entries);
	zoo_pagemaps(z->va, z->npages, entries);
	for (size_t i = 0; i < z->npages; i++)
		if (entries[i] & ZPM_PRESENT)
			n += (zoo_pfn_flags(entries[i] & ZPM_PFN) & bits) == bits;
	free(entries);
	return n;
}

size_t zoo_merged(const struct zoo *z, bool *which)
{
	uint64_t *entries = calloc(z->npages, sizeof(*entries));
	size_t n = 0;

	hmt_check(entries);
	zoo_pagemaps(z->va, z->npages, entries);
	for (size_t i = 0; i < z->npages; i++) {
		bool twin = false;

		for (size_t k = 0; k < z->npages; k++)
			twin |= k != i && (entries[i] & ZPM_PRESENT) &&
				(entries[k] & ZPM_PRESENT) &&
				(entries[i] & ZPM_PFN) == (entries[k] & ZPM_PFN);
		if (which)
			which[i] = twin;
		n += twin;
	}
	free(entries);
	return n;
}

/* A head line of smaps begins with the addresses; all others with a word. */
static bool parse_head(const char *line, struct zoo_vma *vma)
{
	char perms[5] = "";
	int name_at = 0;

	memset(vma, 0, sizeof(*vma));
	if (sscanf(line, "%lx-%lx %4s %*x %*s %*u %n", &vma->start, &vma->end, perms,
		   &name_at) < 3 || strlen(perms) != 4)
		return false;
	vma->read = perms[0] == 'r';
	vma->write = perms[1] == 'w';
	vma->exec = perms[2] == 'x';
	if (name_at)
		snprintf(vma->name, sizeof(vma->name), "%.63s", line + name_at);
	vma->name[strcspn(vma->name, "\n")] = 0;
	return true;
}

static void parse_flags(const char *line, struct zoo_vma *vma)
{
	snprintf(vma->flags, sizeof(vma->flags), " %.120s", line + strlen("VmFlags:"));
	vma->flags[strcspn(vma->flags, "\n")] = ' ';
	vma->io = strstr(vma->flags, " io ");
	vma->pfnmap = strstr(vma->flags, " pf ");
	vma->mixedmap = strstr(vma->flags, " mm ");
	vma->shadow_stack = strstr(vma->flags, " ss ");
}

size_t zoo_vmas(struct zoo_vma **vmas)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	struct zoo_vma vma;
	size_t n = 0, max = 0;
	char line[512];

	*vmas = NULL;
	hmt_check(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "VmFlags:", 8) && n) {
			parse_flags(line, &(*vmas)[n - 1]);
			continue;
		}
		if (n)
			sscanf(line, "Swap: %lu kB", &(*vmas)[n - 1].swap_kib);
		if (!parse_head(line, &vma))
			continue;
		if (n == max) {
			max = max ? 2 * max : 64;
			*vmas = realloc(*vmas, max * sizeof(**vmas));
			hmt_check(*vmas);
		}
		(*vmas)[n++] = vma;
	}
	fclose(f);
	hmt_check(n);
	return n;
}

const struct zoo_vma *zoo_vma_at(const struct zoo_vma *vmas, size_t n, const char *va)
{
	unsigned long addr = (uintptr_t)va;

	for (size_t i = 0; i < n; i++)
		if (addr >= vmas[i].start && addr < vmas[i].end)
			return &vmas[i];
	return NULL;
}

bool zoo_vma_has(const char *va, const char *flag)
{
	const struct zoo_vma *vma;
	struct zoo_vma *vmas;
	char word[8];
	size_t n;
	bool has;

	n = zoo_vmas(&vmas);
	vma = zoo_vma_at(vmas, n, va);
	snprintf(word, sizeof(word), " %.4s ", flag);
	has = vma && strstr(vma->flags, word);
	free(vmas);
	return has;
}

size_t zoo_vma_swapped(const char *va)
{
	const struct zoo_vma *vma;
	struct zoo_vma *vmas;
	size_t n = zoo_vmas(&vmas);

	vma = zoo_vma_at(vmas, n, va);
	hmt_check(vma);
	n = vma->swap_kib / 4;
	free(vmas);
	return n;
}
