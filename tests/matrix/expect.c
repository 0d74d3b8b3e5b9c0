// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a cell is to do, by the rules of kfd-svm-semantics.md and svm.rst, played through
 * with a page count instead of memory.
 *
 * Memory moves to VRAM by faults with XNACK on: to the GPU that faults, but the heap
 * and the stack, which are registered with system memory preferred. With XNACK off it
 * moves only when asked to, so those cells ask before their first job, but for
 * the one whose event that is; and to RAM if the other GPU could not reach it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mx.h"

const char *const mx_vram_names[MX_NVRAMS] = {
	[MX_VRAM_NONE] = "none", [MX_VRAM_PRIVATE] = "private",
	[MX_VRAM_COHERENT] = "coherent",
};

const char *const mx_wrong_names[MX_NWRONGS] = {
	[MX_RIGHT] = "nothing", [MX_WRONG_DATA] = "data", [MX_WRONG_ERRNO] = "errno",
	[MX_WRONG_EXCEPTION] = "exception", [MX_WRONG_RESIDENCY] = "residency",
	[MX_WRONG_MOVES] = "moves",
};

const char *const mx_step_names[MX_NSTEPS] = {
	[MX_SETUP] = "setup", [MX_JOB1] = "first job", [MX_EVENT] = "event",
	[MX_JOB2] = "second job", [MX_VERIFY] = "CPU looks",
};

/* Places; VRAM of GPU i is IN_VRAM + i. */
enum { NOWHERE, IN_RAM, IN_VRAM };

/**
 * struct sim - the memory as it is now
 * @place: where all of it is
 * @n: pages
 * @likes_ram: system memory is preferred
 * @mapped: the first GPU has it mapped though it asked for nothing
 * @maybe: what is in RAM may also be out of the page table
 * @in: moves since the step began
 * @out: moves since the step began
 */
struct sim {
	const struct mx_cell *cell;
	const struct mx_world *world;
	unsigned int place;
	unsigned int n;
	bool likes_ram;
	bool mapped;
	bool maybe;
	enum mx_data data;
	unsigned int in[MX_NGPUS], out[MX_NGPUS];
};

static bool can_move(const struct sim *sim)
{
	return sim->world->vram != MX_VRAM_NONE && mx_is_anonymous(sim->cell->kind);
}

static void go(struct sim *sim, unsigned int place)
{
	if (place >= IN_VRAM && !can_move(sim))
		place = IN_RAM;
	if (place != sim->place) {
		if (sim->place >= IN_VRAM)
			sim->out[sim->place - IN_VRAM] += sim->n;
		if (place >= IN_VRAM)
			sim->in[place - IN_VRAM] += sim->n;
	}
	sim->place = place;
	sim->maybe = false;
}

/* Pages that are dropped did not move. */
static void drop(struct sim *sim)
{
	sim->place = NOWHERE;
}

static void end_step(struct sim *sim, struct mx_step *step)
{
	memset(step, 0, sizeof(*step));
	if (sim->place >= IN_VRAM)
		step->vram[sim->place - IN_VRAM] = sim->n;
	if (sim->place == IN_RAM || sim->maybe)
		step->ram_max = sim->n;
	if (sim->place == IN_RAM && !sim->maybe)
		step->ram_min = sim->n;
	memcpy(step->in, sim->in, sizeof(sim->in));
	memcpy(step->out, sim->out, sizeof(sim->out));
	step->data = sim->data;
	memset(sim->in, 0, sizeof(sim->in));
	memset(sim->out, 0, sizeof(sim->out));
}

/* Each GPU in turn uses all pages. */
static void use_by_gpus(struct sim *sim)
{
	if (sim->cell->mode == MX_XNACK_OFF) {
		/* Registered memory is there before a GPU can ask for it. */
		if (sim->place == NOWHERE || sim->maybe)
			go(sim, IN_RAM);
		return;
	}
	for (unsigned int gpu = 0; gpu < sim->cell->gpus; gpu++)
		if (gpu || !sim->mapped)
			go(sim, sim->likes_ram ? IN_RAM : IN_VRAM + gpu);
}

/* Where a prefetch to the first GPU takes memory. */
static unsigned int prefetch_target(const struct sim *sim)
{
	bool unreachable = sim->cell->gpus > 1 && sim->cell->mode == MX_XNACK_OFF &&
			   !sim->world->linked;

	return unreachable ? IN_RAM : IN_VRAM;
}

/* The CPU reads or writes all of it. */
static void use_by_cpu(struct sim *sim)
{
	if (sim->place < IN_VRAM || sim->world->vram == MX_VRAM_PRIVATE)
		go(sim, IN_RAM);
}

static void dontneed(struct sim *sim)
{
	drop(sim);
	/* With XNACK off it is brought back in time for the queues, nobody says when. */
	sim->maybe = sim->cell->mode == MX_XNACK_OFF;
	if (mx_is_anonymous(sim->cell->kind) || sim->cell->kind == MX_HUGETLB)
		sim->data = MX_ZERO;
	else if (!mx_is_shared(sim->cell->kind))
		sim->data = MX_FILE;
}

static void evict(struct sim *sim, struct mx_plan *plan)
{
	if (sim->place >= IN_VRAM) {
		plan->evict_gpu = (int)(sim->place - IN_VRAM);
		go(sim, IN_RAM);
		return;
	}
	/* Reclaim may take what it likes. */
	sim->maybe = true;
	if (sim->cell->kind == MX_HUGETLB) {
		plan->event_errno = EINVAL;
		sim->maybe = false;
	}
}

static void fork_and_write(struct sim *sim, struct mx_plan *plan)
{
	bool shared = mx_is_shared(sim->cell->kind);
	bool parent = sim->cell->event == MX_FORK_PARENT;

	plan->loose = sim->cell->mode == MX_XNACK_OFF && sim->place >= IN_VRAM;
	if (!shared)
		plan->child = parent ? sim->data : MX_CHILD;
	/*
	 * VRAM the CPU cannot write comes back for both, whoever writes. What it can
	 * write is copied to RAM by him who writes first; the other keeps it.
	 */
	if (parent && sim->place >= IN_VRAM && sim->world->vram == MX_VRAM_COHERENT) {
		drop(sim);
		go(sim, IN_RAM);
	}
	use_by_cpu(sim);
	if (parent || shared)
		sim->data = parent ? MX_PARENT : MX_CHILD;
}

/* Is the hole within a page that is, or with the stack may be, huge in VRAM, too? */
static bool is_part_of_huge_page(const struct sim *sim)
{
	return (sim->cell->kind == MX_THP || sim->cell->kind == MX_STACK) &&
	       sim->place >= IN_VRAM && mx_npages(sim->cell->size) >= MX_HUGE_PAGES &&
	       sim->world->vram == MX_VRAM_PRIVATE &&
	       mx_hole_npages(sim->cell->size) % MX_HUGE_PAGES;
}

static void play_event(struct sim *sim, struct mx_plan *plan)
{
	switch (sim->cell->event) {
	case MX_MUNMAP:
		sim->n -= mx_hole_npages(sim->cell->size);
		plan->exception = MX_NO_MAPPING;
		if (is_part_of_huge_page(sim))
			plan->late = mx_hole_npages(sim->cell->size);
		/* The kernel drops an entry for 2 MiB of a file rather than split it. */
		sim->maybe = sim->cell->kind == MX_DAX &&
			     mx_hole_npages(sim->cell->size) % MX_HUGE_PAGES;
		break;
	case MX_PROT_READ:
		plan->writes = false;
		plan->exception = MX_READ_ONLY;
		break;
	case MX_PROT_NONE:
		plan->writes = false;
		plan->reads = false;
		plan->exception = MX_NO_MAPPING;
		break;
	case MX_DONTNEED:
		dontneed(sim);
		break;
	case MX_FORK_PARENT:
	case MX_FORK_CHILD:
		fork_and_write(sim, plan);
		break;
	case MX_MREMAP:
		/* At the new address it is like any memory; the old one is none. */
		sim->likes_ram = false;
		plan->exception = MX_NO_MAPPING;
		break;
	case MX_PREFETCH:
		go(sim, prefetch_target(sim));
		/* A GPU that has access gets it mapped where it is now. */
		sim->mapped = sim->place == IN_VRAM;
		break;
	case MX_PREFETCH_BACK:
		go(sim, IN_RAM);
		break;
	case MX_EVICT:
		evict(sim, plan);
		break;
	case MX_NONE:
	case MX_NEVENTS:
		break;
	}
}

static void set_up(struct sim *sim)
{
	sim->data = mx_is_file(sim->cell->kind) ? MX_FILE : MX_ZERO;
	if (sim->cell->touch == MX_CPU_FIRST) {
		go(sim, IN_RAM);
		sim->data = MX_CPU;
	}
}

static void first_job(struct sim *sim, struct mx_plan *plan)
{
	plan->prefetch_first = sim->cell->mode == MX_XNACK_OFF &&
			       sim->cell->event != MX_PREFETCH;
	if (plan->prefetch_first && (sim->place == IN_RAM ||
				     prefetch_target(sim) != IN_RAM))
		go(sim, prefetch_target(sim));
	use_by_gpus(sim);
	sim->data = sim->cell->gpus > 1 ? MX_JOB1_GPU2 : MX_JOB1_GPU1;
}

static void second_job(struct sim *sim, const struct mx_plan *plan)
{
	if (!plan->reads)
		return;
	use_by_gpus(sim);
	if (plan->writes)
		sim->data = sim->cell->gpus > 1 ? MX_JOB2_GPU2 : MX_JOB2_GPU1;
}

static void make_wrong(enum mx_wrong wrong, struct mx_plan *plan)
{
	switch (wrong) {
	case MX_WRONG_DATA:
		plan->step[MX_VERIFY].data = MX_CPU;
		break;
	case MX_WRONG_ERRNO:
		plan->event_errno = plan->event_errno ? 0 : ENODEV;
		break;
	case MX_WRONG_EXCEPTION:
		if (plan->exception == MX_NO_MAPPING)
			plan->exception = MX_READ_ONLY;
		else
			plan->exception = MX_NO_MAPPING;
		break;
	case MX_WRONG_RESIDENCY:
		/* One page is somewhere else. */
		plan->step[MX_JOB2].ram_min++;
		plan->step[MX_JOB2].ram_max++;
		break;
	case MX_WRONG_MOVES:
		plan->step[MX_JOB1].in[0]++;
		break;
	case MX_RIGHT:
	case MX_NWRONGS:
		break;
	}
}

void mx_expect(const struct mx_cell *cell, const struct mx_world *world,
	       struct mx_plan *plan)
{
	struct sim sim = {
		.cell = cell,
		.world = world,
		.place = NOWHERE,
		.n = mx_npages(cell->size),
		.likes_ram = cell->mode == MX_XNACK_ON &&
			     (mx_is_heap(cell) || cell->kind == MX_STACK),
	};

	memset(plan, 0, sizeof(*plan));
	plan->evict_gpu = -1;
	plan->reads = true;
	plan->writes = true;
	plan->child = MX_NDATA;
	/* malloc() keeps its own notes next to what it gives out. */
	plan->neighbours = cell->kind == MX_MALLOC;
	set_up(&sim);
	end_step(&sim, &plan->step[MX_SETUP]);
	first_job(&sim, plan);
	end_step(&sim, &plan->step[MX_JOB1]);
	play_event(&sim, plan);
	end_step(&sim, &plan->step[MX_EVENT]);
	second_job(&sim, plan);
	end_step(&sim, &plan->step[MX_JOB2]);
	use_by_cpu(&sim);
	end_step(&sim, &plan->step[MX_VERIFY]);
	if ((cell->event == MX_FORK_PARENT || cell->event == MX_FORK_CHILD) &&
	    plan->child == MX_NDATA)
		plan->child = sim.data;
	/* A page both have must be copied before a GPU writes it, wherever it is then. */
	plan->some_moves = cell->event == MX_FORK_CHILD && can_move(&sim);
	make_wrong(world->wrong, plan);
}

static char place_letter(unsigned int pages, char letter)
{
	return pages ? letter : '-';
}

void mx_key(const struct mx_cell *cell, const struct mx_plan *plan, bool places_only,
	    char key[MX_KEY_LEN])
{
	int at = snprintf(key, MX_KEY_LEN, "%d %d %d %u %d %d", cell->kind, cell->event,
			  cell->mode, cell->gpus, plan->event_errno, plan->exception);

	for (unsigned int i = 0; i < MX_NSTEPS; i++) {
		const struct mx_step *s = &plan->step[i];

		if (places_only)
			at += snprintf(key + at, MX_KEY_LEN - (size_t)at, " %c%c%c%c",
				       place_letter(s->ram_min, 'r'),
				       place_letter(s->ram_max, 'R'),
				       place_letter(s->vram[0], '1'),
				       place_letter(s->vram[1], '2'));
		else
			at += snprintf(key + at, MX_KEY_LEN - (size_t)at, " %u-%u+%u+%u",
				       s->ram_min, s->ram_max, s->vram[0], s->vram[1]);
	}
}
