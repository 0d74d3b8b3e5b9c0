// SPDX-License-Identifier: MIT
/*
 * Where memory is.
 *
 * The process's own page table tells VRAM from system memory: a page in VRAM that
 * the CPU faults on (private) is an entry that is not present. pagemap calls it
 * swapped, like a page in swap, and mincore() calls it resident, unlike one.
 * Which GPU it is follows if there is one only; else the driver's debugfs must
 * tell, and be of one mind with the page table.
 *
 * VRAM that the CPU uses like memory (coherent) is present, and only debugfs
 * tells it from system memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "lines.h"

#define PAGEMAP_PRESENT		(1ull << 63)
#define PAGEMAP_SWAPPED		(1ull << 62)
#define CHUNK			512u

/* Pages by what they are; @vram is 0 for coherent VRAM, which counts as @present. */
struct pages {
	uint64_t present;
	uint64_t vram;
	uint64_t swapped;
	uint64_t absent;
};

static void count(struct pages *pages, const uint64_t *entries, const unsigned char *vec,
		  size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (entries[i] & PAGEMAP_PRESENT)
			pages->present++;
		else if (!(entries[i] & PAGEMAP_SWAPPED))
			pages->absent++;
		else if (vec[i] & 1)
			pages->vram++;
		else
			pages->swapped++;
	}
}

static int read_entries(const struct kfdsvm *h, int fd, uintptr_t va, uint64_t *entries,
			size_t n)
{
	const struct kfdsvm_sys *sys = h->sys;
	size_t want = n * sizeof(*entries);
	ssize_t got;

	do
		got = sys->pread(sys->ctx, fd, entries, want, va / h->page * sizeof(*entries));
	while (got == -EINTR);
	if (got < 0)
		return (int)got;
	/* Past the last address a process can have. */
	return (size_t)got == want ? 0 : -EFAULT;
}

static int walk(const struct kfdsvm *h, int fd, const struct kfdsvm_range *range,
		struct pages *pages)
{
	uint64_t entries[CHUNK];
	unsigned char vec[CHUNK];
	uintptr_t va = range->start;
	size_t left = range->len / h->page;

	while (left) {
		size_t n = left < CHUNK ? left : CHUNK;
		int ret = h->sys->mincore(h->sys->ctx, va, n * h->page, vec);

		/* The kernel's word for a hole. */
		if (ret == -ENOMEM)
			return -EFAULT;
		if (!ret)
			ret = read_entries(h, fd, va, entries, n);
		if (ret)
			return ret;
		count(pages, entries, vec, n);
		va += n * h->page;
		left -= n;
	}
	return 0;
}

static int look_at_page_table(const struct kfdsvm *h, const struct kfdsvm_range *range,
			      struct pages *pages)
{
	const struct kfdsvm_sys *sys = h->sys;
	int fd = sys->open(sys->ctx, "/proc/self/pagemap", O_RDONLY);
	int ret;

	memset(pages, 0, sizeof(*pages));
	if (fd < 0)
		return -EOPNOTSUPP;
	ret = walk(h, fd, range, pages);
	sys->close(sys->ctx, fd);
	return ret;
}

/**
 * struct told - what the driver tells of a range
 * @pages: of how many of its pages
 * @vram: how many are in VRAM
 * @gpu: in whose, if @ngpus is 1
 * @ngpus: 0, 1, or 2: of more than one
 * @beyond: it tells about pages outside of the range, too
 */
struct told {
	uint64_t pages;
	uint64_t vram;
	uint64_t gpu;
	unsigned int ngpus;
	bool beyond;
};

/* "FIRST-LAST present N ... vram GPU N vram GPU N", pages; or "FIRST-LAST busy". */
static bool take_vram(const char *line, struct kfdsvm_residency *r, struct told *told)
{
	const char *end = line + strlen(line);
	const char *at = line;
	uint64_t gpu, n;

	while ((at = strstr(at, " vram "))) {
		at += strlen(" vram ");
		if (!kfdsvm_number(&at, end, 10, &gpu) || at == end || *at++ != ' ' ||
		    !kfdsvm_number(&at, end, 10, &n))
			return false;
		told->vram += n;
		if (n && (!told->ngpus || told->gpu != gpu)) {
			told->ngpus += told->ngpus < 2;
			told->gpu = gpu;
		}
		for (uint32_t i = 0; i < r->nplaces; i++)
			if (r->places[i].gpu_id == gpu)
				r->places[i].len += n;
	}
	return true;
}

static bool take_span(const char *line, uint64_t *first, uint64_t *last)
{
	const char *end = line + strlen(line);
	const char *at = line;

	return !strncmp(at, "0x", 2) && (at += 2, kfdsvm_number(&at, end, 16, first)) &&
	       !strncmp(at, "-0x", 3) && (at += 3, kfdsvm_number(&at, end, 16, last)) &&
	       *at == ' ' && *first <= *last;
}

/* False: it cannot be understood, or not now. */
static bool take_residency(struct kfdsvm_lines *lines, uint64_t first_page,
			   uint64_t last_page, struct kfdsvm_residency *r, struct told *told)
{
	uint64_t first, last;
	const char *line;

	while ((line = kfdsvm_lines_next(lines))) {
		if (!take_span(line, &first, &last))
			return false;
		if (last < first_page || first > last_page)
			continue;
		if (strstr(line, " busy") || !take_vram(line, r, told))
			return false;
		told->beyond |= first < first_page || last > last_page;
		first = first < first_page ? first_page : first;
		last = last > last_page ? last_page : last;
		told->pages += last - first + 1;
	}
	return true;
}

static bool ask_driver(const struct kfdsvm *h, const struct kfdsvm_range *range,
		       struct kfdsvm_residency *r, struct told *told)
{
	uint64_t first_page = range->start / h->page;
	struct kfdsvm_lines lines;
	char path[80];
	bool good;

	memset(told, 0, sizeof(*told));
	snprintf(path, sizeof(path), DEBUG_SVM "/%d/residency", (int)h->driver_pid);
	if (kfdsvm_lines_open(&lines, h->sys, path))
		return false;
	good = take_residency(&lines, first_page, first_page + (range->len / h->page - 1), r,
			      told);
	kfdsvm_lines_close(&lines);
	return good;
}

static void set_places(const struct kfdsvm *h, struct kfdsvm_residency *r, uint32_t gpu_id,
		       uint64_t npages, uint64_t others)
{
	for (uint32_t i = 0; i < r->nplaces; i++) {
		uint64_t len = r->places[i].gpu_id == gpu_id ? npages : others;

		r->places[i].len = len == KFDSVM_UNKNOWN ? len : len * h->page;
	}
}

/* GPUs whose VRAM this process's memory can be in; the last of them. */
static unsigned int candidates(const struct kfdsvm *h, uint32_t *gpu_id, bool *coherent)
{
	unsigned int n = 0;

	*gpu_id = 0;
	*coherent = false;
	for (unsigned int i = 0; i < h->ndevices; i++) {
		const struct kfdsvm_device *dev = &h->devices[i];

		if (!dev->info.usable || dev->migration == KFDSVM_MIGRATION_NONE)
			continue;
		*gpu_id = dev->info.gpu_id;
		*coherent |= dev->migration == KFDSVM_MIGRATION_COHERENT;
		n++;
	}
	return n;
}

static void find_places(const struct kfdsvm *h, const struct kfdsvm_range *range,
			const struct pages *pages, struct kfdsvm_residency *r)
{
	uint64_t npages = range->len / h->page;
	unsigned int ngpus;
	struct told told;
	bool coherent;
	uint32_t gpu;

	ngpus = candidates(h, &gpu, &coherent);
	if (!coherent && (!pages->vram || ngpus <= 1)) {
		set_places(h, r, gpu, pages->vram, 0);
		return;
	}
	set_places(h, r, 0, 0, 0);
	if (ask_driver(h, range, r, &told)) {
		for (uint32_t i = 0; i < r->nplaces; i++)
			r->places[i].len *= h->page;
		if (!coherent && !told.beyond && told.vram == pages->vram)
			return;
		/* All that is told about is in one GPU's: so is the range's part of it. */
		if (!coherent && told.ngpus == 1 && told.pages == npages &&
		    told.vram >= pages->vram) {
			set_places(h, r, (uint32_t)told.gpu, pages->vram, 0);
			return;
		}
		if (coherent && !told.beyond && told.pages == npages &&
		    told.vram <= pages->present + pages->vram) {
			r->vram_len = told.vram * h->page;
			r->system_len = (pages->present + pages->vram - told.vram) * h->page;
			return;
		}
	}
	set_places(h, r, 0, KFDSVM_UNKNOWN, KFDSVM_UNKNOWN);
	if (coherent) {
		r->vram_len = KFDSVM_UNKNOWN;
		r->system_len = KFDSVM_UNKNOWN;
	}
}

int kfdsvm_look(const struct kfdsvm *h, const struct kfdsvm_range *range,
		struct kfdsvm_residency *r)
{
	struct pages pages;
	bool coherent;
	uint32_t gpu;
	int ret = look_at_page_table(h, range, &pages);

	if (ret)
		return ret;
	/* No VRAM to be in: just on its way to or from swap. */
	if (!candidates(h, &gpu, &coherent)) {
		pages.swapped += pages.vram;
		pages.vram = 0;
	}
	r->len = range->len;
	r->system_len = pages.present * h->page;
	r->vram_len = pages.vram * h->page;
	r->swapped_len = pages.swapped * h->page;
	r->absent_len = pages.absent * h->page;
	find_places(h, range, &pages, r);
	return 0;
}

static void name_places(const struct kfdsvm *h, struct kfdsvm_residency *r)
{
	uint32_t room = r->places ? r->nplaces : 0;

	r->nplaces = 0;
	for (unsigned int i = 0; i < h->ndevices && r->nplaces < room; i++)
		if (h->devices[i].info.usable)
			r->places[r->nplaces++] = (struct kfdsvm_place){
				.gpu_id = h->devices[i].info.gpu_id,
			};
}

int kfdsvm_residency(struct kfdsvm *h, const void *addr, size_t len,
		     struct kfdsvm_residency *residency, unsigned int flags,
		     struct kfdsvm_range *covered)
{
	struct kfdsvm_residency known;
	struct kfdsvm_range range;
	int saved = errno;
	int ret = kfdsvm_begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = residency ? kfdsvm_take(&known, sizeof(known), residency) : -EINVAL;
	if (!ret && (!range.len || known.reserved))
		ret = -EINVAL;
	if (!ret) {
		name_places(h, &known);
		ret = kfdsvm_look(h, &range, &known);
	}
	if (!ret)
		ret = kfdsvm_give(residency, &known, sizeof(known));
	errno = saved;
	return ret;
}

/* Bytes of @range at @location, or KFDSVM_UNKNOWN. */
static uint64_t at_location(const struct kfdsvm *h, const struct kfdsvm_range *range,
			    uint32_t location)
{
	struct kfdsvm_place place = { .gpu_id = location };
	struct kfdsvm_residency r = {
		.nplaces = location == KFDSVM_SYSTEM ? 0 : 1,
		.places = &place,
	};

	if (kfdsvm_look(h, range, &r))
		return KFDSVM_UNKNOWN;
	return location == KFDSVM_SYSTEM ? r.system_len : place.len;
}

static uint64_t difference(uint64_t before, uint64_t after)
{
	if (before == KFDSVM_UNKNOWN || after == KFDSVM_UNKNOWN || after < before)
		return KFDSVM_UNKNOWN;
	return after - before;
}

int kfdsvm_prefetch_look(const struct kfdsvm *h, const struct kfdsvm_range *range,
			 uint32_t location, struct kfdsvm_progress *progress)
{
	uint64_t in, out, in_after, out_after;
	int ret;

	progress->covered_len = range->len;
	progress->before_len = at_location(h, range, location);
	kfdsvm_moved(h, &in, &out);
	ret = kfdsvm_prefetch_pages(h, range, location);
	kfdsvm_moved(h, &in_after, &out_after);
	progress->after_len = at_location(h, range, location);
	progress->page_in_len = difference(in, in_after);
	progress->page_out_len = difference(out, out_after);
	return ret;
}

int kfdsvm_prefetch_measured(struct kfdsvm *h, const void *addr, size_t len,
			     uint32_t location, unsigned int flags,
			     struct kfdsvm_progress *progress, struct kfdsvm_range *covered)
{
	struct kfdsvm_progress known;
	struct kfdsvm_range range;
	int saved = errno;
	int ret = kfdsvm_begin(h, addr, len, flags, KFDSVM_INNER, &range, covered);

	if (!ret)
		ret = progress ? kfdsvm_take(&known, sizeof(known), progress) : -EINVAL;
	if (!ret && progress->size <= sizeof(progress->size))
		ret = -EINVAL;
	if (!ret)
		ret = kfdsvm_check_location(h, location);
	if (!ret) {
		known = (struct kfdsvm_progress){ .size = known.size };
		if (range.len)
			ret = kfdsvm_prefetch_look(h, &range, location, &known);
		kfdsvm_give(progress, &known, sizeof(known));
	}
	errno = saved;
	return ret;
}

/* "gpu ID hive ID vram_mib N migration private|coherent|none (REASON)" */
static void take_migration(struct kfdsvm *h, const char *line)
{
	const char *kind = strstr(line, " migration ");
	enum kfdsvm_migration migration;
	uint64_t id;

	if (!kind || !kfdsvm_word_number(line, "gpu", &id))
		return;
	kind += strlen(" migration ");
	if (!strncmp(kind, "private", 7))
		migration = KFDSVM_MIGRATION_PRIVATE;
	else if (!strncmp(kind, "coherent", 8))
		migration = KFDSVM_MIGRATION_COHERENT;
	else if (!strncmp(kind, "none", 4))
		migration = KFDSVM_MIGRATION_NONE;
	else
		return;
	for (unsigned int i = 0; i < h->ndevices; i++)
		if (h->devices[i].info.gpu_id == id)
			h->devices[i].migration = migration;
}

/* At open: after the topology, which may have told that a GPU's VRAM is coherent. */
void kfdsvm_find_migration(struct kfdsvm *h)
{
	struct kfdsvm_lines lines;
	const char *line;

	if (kfdsvm_lines_open(&lines, h->sys, DEBUG_SVM "/gpus"))
		return;
	while ((line = kfdsvm_lines_next(&lines)))
		take_migration(h, line);
	kfdsvm_lines_close(&lines);
}
