// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where memory is: by the CPU's page table, by the counters of moves, and by the VRAM on
 * the account of the process.
 */
#include <fcntl.h>

#include "cell.h"

#define PM_PRESENT (1ULL << 63)
#define CHUNK 512U
#define SOON_MS 8000

struct seen {
	struct moves moves;
	uint64_t vram;
};

static struct seen last[MX_NGPUS];
static uint64_t vram_before[MX_NGPUS];

static struct seen see(const struct mx_cell *cell, unsigned int i)
{
	struct seen seen;

	if (cell->gpus > 1)
		use_gpu(i);
	seen.moves = moves_now();
	seen.vram = vram_used();
	if (cell->gpus > 1)
		use_gpu(0);
	return seen;
}

void look_begin(const struct mx_cell *cell)
{
	for (unsigned int i = 0; i < cell->gpus; i++) {
		last[i] = see(cell, i);
		vram_before[i] = last[i].vram;
	}
}

static size_t present(const char *p, size_t len)
{
	uint64_t entries[CHUNK];
	size_t npages = len / KT_PAGE, count = 0;
	off_t at = (off_t)((uintptr_t)p / KT_PAGE * sizeof(entries[0]));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	while (npages) {
		size_t n = npages < CHUNK ? npages : CHUNK;

		assert_int_equal(pread(fd, entries, n * sizeof(entries[0]), at),
				 n * sizeof(entries[0]));
		for (size_t i = 0; i < n; i++)
			count += !!(entries[i] & PM_PRESENT);
		at += (off_t)(n * sizeof(entries[0]));
		npages -= n;
	}
	close(fd);
	return count;
}

static void count_places(const struct mx_memory *mem, size_t *ram, size_t *in_vram_of_any)
{
	size_t tail = mem->hole + mem->hole_len;
	size_t head = mem->hole_len ? mem->hole : mem->len;

	*ram = present(mem->p, head);
	*in_vram_of_any = in_vram(mem->p, head);
	if (mem->hole_len) {
		*ram += present(mem->p + tail, mem->len - tail);
		*in_vram_of_any += in_vram(mem->p + tail, mem->len - tail);
	}
	/* The CPU has it in its page table like RAM. */
	if (vram.kind == VRAM_COHERENT)
		*ram -= *in_vram_of_any;
}

/* In RAM or in VRAM. */
static bool may_be_anywhere(const struct mx_plan *plan, enum mx_step_name step)
{
	return plan->loose && (step == MX_EVENT || step == MX_JOB2);
}

static void look_at_pages(const struct mx_plan *plan, enum mx_step_name step,
			  const struct mx_memory *mem)
{
	const struct mx_step *want = &plan->step[step];
	const char *name = mx_step_names[step];
	size_t ram, away, want_away = want->vram[0] + want->vram[1];

	count_places(mem, &ram, &away);
	if (may_be_anywhere(plan, step)) {
		if (ram + away != want->ram_max + want_away)
			fail_msg("residency: after %s %zu pages are in system memory and %zu in VRAM, expected %zu in all",
				 name, ram, away, want->ram_max + want_away);
		return;
	}
	if (ram < want->ram_min || ram > want->ram_max || away != want_away)
		fail_msg("residency: after %s %zu pages are in system memory and %zu in VRAM, expected %u to %u and %zu",
			 name, ram, away, want->ram_min, want->ram_max, want_away);
}

static bool counts_as(uint64_t got, uint64_t want, bool or_more)
{
	return got == want || (or_more && got > want);
}

static void look_at_moves(const struct mx_cell *cell, const struct mx_plan *plan,
			  enum mx_step_name step)
{
	const struct mx_step *want = &plan->step[step];

	for (unsigned int i = 0; i < cell->gpus; i++) {
		struct seen now = see(cell, i);
		uint64_t in = now.moves.in - last[i].moves.in;
		uint64_t out = now.moves.out - last[i].moves.out;

		last[i] = now;
		if ((plan->some_moves && step == MX_JOB2) ||
		    (plan->loose && step >= MX_EVENT))
			continue;
		if (!counts_as(in, want->in[i], plan->neighbours) ||
		    !counts_as(out, want->out[i], plan->neighbours))
			fail_msg("moves: %s took %llu pages to VRAM of GPU %u and %llu from it, expected %u and %u",
				 mx_step_names[step], (unsigned long long)in, i + 1,
				 (unsigned long long)out, want->in[i], want->out[i]);
	}
}

/* A child may keep what its parent has no more. */
static bool vram_is_as_expected(const struct mx_cell *cell, const struct mx_plan *plan,
				enum mx_step_name step, unsigned int i)
{
	bool child = cell->event == MX_FORK_PARENT || cell->event == MX_FORK_CHILD;
	uint64_t now = see(cell, i).vram - vram_before[i];
	uint64_t want = plan->step[step].vram[i] * KT_PAGE;
	uint64_t late = plan->late * KT_PAGE;

	if (may_be_anywhere(plan, step))
		return true;
	if (want && late && now > want && now <= want + late)
		return true;
	return counts_as(now, want, plan->neighbours || child);
}

static void look_at_vram(const struct mx_cell *cell, const struct mx_plan *plan,
			 enum mx_step_name step)
{
	const struct mx_step *want = &plan->step[step];

	for (unsigned int i = 0; i < cell->gpus; i++)
		/* Pages that were dropped may be taken off a moment later. */
		if (!kt_wait_for(vram_is_as_expected(cell, plan, step, i), SOON_MS))
			fail_msg("residency: after %s there are %llu bytes more in VRAM of GPU %u than before the cell, expected %lu",
				 mx_step_names[step],
				 (unsigned long long)(see(cell, i).vram - vram_before[i]),
				 i + 1, want->vram[i] * KT_PAGE);
}

void look(const struct mx_cell *cell, const struct mx_plan *plan,
	  enum mx_step_name step, const struct mx_memory *mem)
{
	look_at_pages(plan, step, mem);
	look_at_moves(cell, plan, step);
	look_at_vram(cell, plan, step);
}

void look_end(const struct mx_cell *cell)
{
	for (unsigned int i = 0; i < cell->gpus; i++)
		/* Neighbours of malloc()'s memory may stay, so: not more than there was. */
		if (!kt_wait_for(see(cell, i).vram <= vram_before[i] ||
				 cell->kind == MX_MALLOC, SOON_MS))
			fail_msg("residency: VRAM of GPU %u is not given back", i + 1);
}
