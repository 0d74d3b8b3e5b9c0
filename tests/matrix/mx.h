/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The matrix: every combination of a kind of memory, its size, who touches it first,
 * what happens between two jobs of the GPU, the fault mode and the number of GPUs.
 *
 * This part is pure: which cells there are, which cannot be, and what is expected after
 * each step of one. It compiles without a GPU and has unit tests.
 */
#ifndef MX_H
#define MX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MX_PAGE 4096UL
#define MX_HUGE_PAGES 512U	/* pages of a huge one */

enum mx_kind {
	MX_MALLOC, MX_STACK, MX_MMAP, MX_THP, MX_HUGETLB, MX_SHMEM, MX_MEMFD,
	MX_PRIVATE_FILE, MX_SHARED_FILE, MX_DAX, MX_NKINDS
};

enum mx_size { MX_4K, MX_64K, MX_2M, MX_2M4K, MX_64M, MX_NSIZES };
enum mx_touch { MX_CPU_FIRST, MX_GPU_FIRST, MX_NTOUCHES };

enum mx_event {
	MX_NONE, MX_MUNMAP, MX_PROT_READ, MX_PROT_NONE, MX_DONTNEED, MX_FORK_PARENT,
	MX_FORK_CHILD, MX_MREMAP, MX_PREFETCH, MX_PREFETCH_BACK, MX_EVICT, MX_NEVENTS
};

enum mx_mode { MX_XNACK_ON, MX_XNACK_OFF, MX_NMODES };
#define MX_NGPUS 2U

#define MX_NCELLS (MX_NKINDS * MX_NSIZES * MX_NTOUCHES * MX_NEVENTS * MX_NMODES * MX_NGPUS)

struct mx_cell {
	enum mx_kind kind;
	enum mx_size size;
	enum mx_touch touch;
	enum mx_event event;
	enum mx_mode mode;
	unsigned int gpus;	/* 1 or 2 */
};

/* ---- cells.c ---- */

/* Number 0 to MX_NCELLS - 1. */
struct mx_cell mx_cell_at(unsigned int number);
/* kind/size/touch/event/mode/gpus */
#define MX_NAME_LEN 80
void mx_cell_name(const struct mx_cell *cell, char name[MX_NAME_LEN]);
/* Why there can be no such cell, or NULL. */
const char *mx_impossible(const struct mx_cell *cell);
unsigned int mx_npages(enum mx_size size);
/* What munmap takes out of the middle. */
unsigned int mx_hole_first(enum mx_size size);
unsigned int mx_hole_npages(enum mx_size size);
/* Small memory comes from the heap, more from a mapping of its own. */
bool mx_is_heap(const struct mx_cell *cell);
/* Private anonymous memory: the only one that moves to VRAM. */
bool mx_is_anonymous(enum mx_kind kind);
/* Parent and child of a fork see each other's writes. */
bool mx_is_shared(enum mx_kind kind);
/* There is a file with content from the start. */
bool mx_is_file(enum mx_kind kind);

/* ---- expect.c ---- */

enum mx_vram { MX_VRAM_NONE, MX_VRAM_PRIVATE, MX_VRAM_COHERENT, MX_NVRAMS };
extern const char *const mx_vram_names[MX_NVRAMS];

/**
 * enum mx_wrong - a column of the expectations that is made wrong on purpose
 *
 * Cells must fail then: otherwise nothing looks at the column.
 */
enum mx_wrong {
	MX_RIGHT, MX_WRONG_DATA, MX_WRONG_ERRNO, MX_WRONG_EXCEPTION, MX_WRONG_RESIDENCY,
	MX_WRONG_MOVES, MX_NWRONGS
};
extern const char *const mx_wrong_names[MX_NWRONGS];

/**
 * struct mx_world - what expectations depend on besides the cell
 * @vram: what memory in VRAM is to the CPU
 * @linked: two GPUs reach each other's
 * @wrong: see there
 */
struct mx_world {
	enum mx_vram vram;
	bool linked;
	enum mx_wrong wrong;
};

/* What memory holds: who wrote it last. */
enum mx_data {
	MX_ZERO, MX_FILE, MX_CPU, MX_JOB1_GPU1, MX_JOB1_GPU2, MX_PARENT, MX_CHILD,
	MX_JOB2_GPU1, MX_JOB2_GPU2, MX_NDATA
};

enum mx_exception { MX_NO_EXCEPTION, MX_NO_MAPPING, MX_READ_ONLY };

enum mx_step_name { MX_SETUP, MX_JOB1, MX_EVENT, MX_JOB2, MX_VERIFY, MX_NSTEPS };
extern const char *const mx_step_names[MX_NSTEPS];

/**
 * struct mx_step - what holds after a step
 * @ram_min: pages that the CPU's page table has, in system memory or storage, at least
 * @ram_max: at most
 * @vram: pages in VRAM of each GPU
 * @in: pages that went to VRAM of each GPU in this step
 * @out: that left it
 * @data: content
 */
struct mx_step {
	unsigned int ram_min, ram_max;
	unsigned int vram[MX_NGPUS];
	unsigned int in[MX_NGPUS], out[MX_NGPUS];
	enum mx_data data;
};

/**
 * struct mx_plan - a cell, step by step
 * @prefetch_first: with the registration before the first job the memory is asked
 *	to VRAM of the first GPU
 * @evict_gpu: whose VRAM is taken away by the event; -1: reclaim is asked for
 * @event_errno: what the event's system call fails with, or 0
 * @writes: the GPUs write in the second job
 * @reads: they read in it
 * @exception: what ends the cell, by an access of its last GPU
 * @child: what the child of a fork sees in the end
 * @neighbours: memory that is not the cell's shares a VMA with it and may move along
 * @late: pages that were unmapped, but are parts of a huge page in VRAM, which is free
 *	when the last of its pages is: until the CPU has it back, VRAM may still hold them
 * @some_moves: page counts of the second job depend on how copies are broken up
 * @loose: with XNACK off, memory that a fork shares is restored when the queues need it,
 *	before or after somebody writes it: up to the second job it is in RAM or where it
 *	was, and what moves depends on that
 */
struct mx_plan {
	struct mx_step step[MX_NSTEPS];
	bool prefetch_first;
	int evict_gpu;
	int event_errno;
	bool writes, reads;
	enum mx_exception exception;
	enum mx_data child;
	bool neighbours;
	bool some_moves;
	bool loose;
	unsigned int late;
};

void mx_expect(const struct mx_cell *cell, const struct mx_world *world,
	       struct mx_plan *plan);
/*
 * What makes two cells different to the driver: kind, event, mode, GPUs, where memory is
 * after each step and the errors. @places_only: not how many pages.
 */
#define MX_KEY_LEN 256
void mx_key(const struct mx_cell *cell, const struct mx_plan *plan, bool places_only,
	    char key[MX_KEY_LEN]);

/* ---- choose.c ---- */

struct mx_choice {
	const char *globs[32];
	unsigned int nglobs;
	const char *without[32];
	unsigned int nwithout;
	unsigned int sample;	/* 0: all */
	unsigned int seed;
};

/* Is the cell asked for by its name? */
bool mx_named(const struct mx_choice *choice, const struct mx_cell *cell);
/*
 * Of the @n cells in @cells keep choice->sample, in an order for running. Each kind x
 * event x mode comes once before one comes twice; 64 MiB come rarely. Returns how many.
 */
unsigned int mx_sample(const struct mx_choice *choice, struct mx_cell *cells,
		       unsigned int n);

struct mx_counts {
	unsigned int cells, possible, impossible, distinct, distinct_places;
};
void mx_count(const struct mx_world *world, struct mx_counts *counts);

#endif /* MX_H */
