// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration: a GPU fault on 2 MiB, huge or not; and 64 MiB of small pages to VRAM and
 * back. Each side has the same memory in turn, by the same copy of each page; what it holds
 * is checked after each round trip.
 */
#include "svm.h"

#include <stdio.h>
#include <unistd.h>

/* --- what the memory holds */

static uint64_t word_of(const struct memory *m, size_t offset, unsigned int round)
{
	return ((uintptr_t)m->start + offset) * 0x9e3779b97f4a7c15ULL + round;
}

/* First and last word of each page. */
static void fill(const struct memory *m, unsigned int round)
{
	size_t page;

	for (page = 0; page < m->len; page += PAGE) {
		*(volatile uint64_t *)(m->start + page) = word_of(m, page, round);
		*(volatile uint64_t *)(m->start + page + PAGE - 8) =
			word_of(m, page + PAGE - 8, round);
	}
}

static void check(const struct memory *m, unsigned int round, const char *who)
{
	size_t page;

	for (page = 0; page < m->len; page += PAGE)
		if (*(volatile uint64_t *)(m->start + page) != word_of(m, page, round) ||
		    *(volatile uint64_t *)(m->start + page + PAGE - 8) !=
		    word_of(m, page + PAGE - 8, round))
			die("%s: page %zu holds something else", who, page / PAGE);
}

/* --- passes */

/* How much of the time went into copying is the same for all but for the size of runs. */
struct cost {
	uint64_t all[PASSES];
	uint64_t bare[PASSES];
};

static void note(struct cost *cost, int i, uint64_t ticks, uint64_t copy_ticks)
{
	if (i < 0)
		return;
	cost->all[i] = ticks;
	cost->bare[i] = ticks - copy_ticks;
}

static struct ksb_pass to_vram(int fd, unsigned int op, const struct memory *m)
{
	struct ksb_pass pass = svm_pass(fd, op, m);
	unsigned long npages = m->len / PAGE;

	if (pass.in_vram != npages || pass.copied != npages)
		die("operation %u: %llu pages are in VRAM, %llu were copied, expected %lu", op,
		    (unsigned long long)pass.in_vram, (unsigned long long)pass.copied, npages);
	if (m->huge && pass.copied_huge != npages)
		die("operation %u: %llu pages went in one piece, expected %lu", op,
		    (unsigned long long)pass.copied_huge, npages);
	return pass;
}

static struct ksb_pass gpu_to_vram(int fd, unsigned int op, const struct memory *m)
{
	struct ksb_pass pass = to_vram(fd, op, m);

	if (pass.mapped != m->len / PAGE)
		die("operation %u: the GPU has %llu pages", op, (unsigned long long)pass.mapped);
	return pass;
}

static struct ksb_pass to_ram(int fd, unsigned int op, const struct memory *m)
{
	struct ksb_pass pass = svm_pass(fd, op, m);

	if (pass.in_vram)
		die("operation %u: %llu pages are still in VRAM", op,
		    (unsigned long long)pass.in_vram);
	return pass;
}

/* By a CPU access, until the VRAM is free again. */
static uint64_t touch_back(int fd, const struct memory *m)
{
	uint64_t start = ticks_now();
	size_t offset;

	for (offset = 0; offset < m->len; offset += BLOCK)
		*(volatile char *)(m->start + offset);
	svm_pass(fd, KSB_SETTLE, m);
	return ticks_now() - start;
}

/* --- a fault on 2 MiB */

struct fault_costs {
	struct cost gpu;	/* our fault */
	struct cost drm;	/* the same migration */
	uint64_t cpu[PASSES];	/* back, by the CPU's fault */
	uint64_t drm_cpu[PASSES];
};

static void fault_rounds(int fd, const struct memory *m, struct fault_costs *c)
{
	struct ksb_pass pass;
	uint64_t back;
	int i;

	for (i = -1; i < PASSES; i++) {
		fill(m, i);
		pass = gpu_to_vram(fd, KSB_FAULT, m);
		note(&c->gpu, i, pass.ticks, pass.copy_ticks);
		back = touch_back(fd, m);
		check(m, i, "our fault");
		if (i >= 0)
			c->cpu[i] = back;
		/* Forgets that it went to and fro, else it would soon stay in RAM. */
		to_ram(fd, KSB_PREFETCH_RAM, m);

		if (!(svm_info.features & KSB_HAS_PAGEMAP))
			continue;
		pass = to_vram(fd, KSB_PAGEMAP_TO_VRAM, m);
		note(&c->drm, i, pass.ticks, pass.copy_ticks);
		back = touch_back(fd, m);
		check(m, i, "drm_pagemap");
		if (i >= 0)
			c->drm_cpu[i] = back;
	}
}

static void make_kind(struct memory *m, size_t len, void (*make)(struct memory *m))
{
	*m = (struct memory) { .len = len };
	make(m);
}

static void pagemap_rows(const char *kind, const struct fault_costs *c)
{
	char row[64];

	snprintf(row, sizeof(row), "fault-%s-2/drm_pagemap", kind);
	row_gain(row, "drm_pagemap_migrate_to_devmem()", median(c->drm.all), median(c->gpu.all));
	snprintf(row, sizeof(row), "fault-%s-2/drm_cpu", kind);
	row_gain(row, "back by a CPU fault: drm_pagemap", median(c->drm_cpu), median(c->cpu));
}

void bench_fault(void)
{
	struct fault_costs huge, small;
	struct memory m;
	int fd = svm_module_open();

	if (!(svm_info.features & KSB_HAS_HUGE)) {
		printf("%-24s huge pages do not migrate in one piece on this kernel\n", "fault-*");
		close(fd);
		return;
	}
	make_kind(&m, BLOCK, make_thp);
	fault_rounds(fd, &m, &huge);
	memory_free(&m);
	make_kind(&m, BLOCK, make_4k_in_order);
	fault_rounds(fd, &m, &small);
	memory_free(&m);

	row_gain("fault-thp-2", "our fault on 512 small pages", median(small.gpu.all),
		 median(huge.gpu.all));
	row_gain("fault-thp-2/no-copy", "both without the copying itself", median(small.gpu.bare),
		 median(huge.gpu.bare));
	if (svm_info.features & KSB_HAS_PAGEMAP) {
		pagemap_rows("thp", &huge);
		pagemap_rows("4k", &small);
	}
	close(fd);
}

/* --- 64 MiB of small pages */

#define MOVE_MIB 64U

void bench_move(void)
{
	uint64_t ours[PASSES], peer[PASSES], ours_there[PASSES], peer_there[PASSES];
	struct memory m;
	int fd = svm_module_open(), i;

	if (!(svm_info.features & KSB_HAS_VRAM)) {
		printf("%-24s no migration to VRAM here\n", "move-*");
		close(fd);
		return;
	}
	make_kind(&m, MOVE_MIB * MIB, make_4k_in_order);
	for (i = -1; i < PASSES; i++) {
		uint64_t there, back;

		fill(&m, i);
		there = to_vram(fd, KSB_BARE_TO_VRAM, &m).ticks;
		back = to_ram(fd, KSB_BARE_TO_RAM, &m).ticks;
		check(&m, i, "the bare loop");
		if (i >= 0) {
			peer[i] = there + back;
			peer_there[i] = there;
		}
		there = gpu_to_vram(fd, KSB_PREFETCH, &m).ticks;
		back = to_ram(fd, KSB_PREFETCH_RAM, &m).ticks;
		check(&m, i, "our prefetch");
		if (i >= 0) {
			ours[i] = there + back;
			ours_there[i] = there;
		}
	}
	row_cost("move-4k-64", "migrate_vma_*(), copy: there and back", median(peer), median(ours));
	row_cost("move-4k-64/there", "the same, to VRAM only", median(peer_there),
		 median(ours_there));
	memory_free(&m);
	close(fd);
}
