/* SPDX-License-Identifier: GPL-2.0-only */
/* Running a cell: its memory, its event, and looking whether all is as planned. */
#ifndef CELL_H
#define CELL_H

#include "conf.h"
#include "vram.h"

#include "mx.h"

/**
 * struct mx_run - what all cells of a run share
 * @world: what the driver was found to be
 * @dax_dir: where files on DAX are made, NULL: nowhere
 * @timeout_s: of one cell
 */
struct mx_run {
	struct mx_world world;
	const char *dax_dir;
	unsigned int timeout_s;
};

extern struct mx_run mx_run;

/**
 * struct mx_memory - the memory of the cell at hand
 * @p: where it is
 * @old: where it was before it was moved, else NULL
 * @len: bytes
 * @hole: byte of @p at which the hole begins, if @hole_len
 * @hole_len: bytes that were unmapped
 * @fd: of a file, or -1
 * @room: mappings to undo
 * @heap: what malloc() gave
 * @spoiled: this process is no good for another cell
 */
struct mx_memory {
	char *p;
	char *old;
	size_t len;
	size_t hole, hole_len;
	int fd;
	struct { void *start; size_t len; } room[2];
	unsigned int nrooms;
	void *heap;
	bool spoiled;
};

/* ---- memory.c ---- */

void memory_make(const struct mx_cell *cell, struct mx_memory *mem);
/* Moves all of it to another address. 0 or -errno. */
int memory_move(struct mx_memory *mem);
void memory_drop(const struct mx_cell *cell, struct mx_memory *mem);
/* In need of 2 MiB pages of the pool: sets it and returns what it was, or -1. */
long hugetlb_pool(long npages);

/* ---- data.c ---- */

/* Content from now on has nothing to do with what was there before. */
void data_new_cell(void);
/* By the CPU; never touches the hole. */
void cpu_write(const struct mx_memory *mem, enum mx_data data);
bool cpu_sees(const struct mx_memory *mem, enum mx_data data);
void file_write(int fd, size_t len, enum mx_data data);
void expect_file(const struct mx_memory *mem, enum mx_data data);
/* By the GPU in use. */
void data_open_gpu(unsigned int gpu_index);
void gpu_write(const struct mx_memory *mem, unsigned int gpu_index, enum mx_data data);
void gpu_expect(const struct mx_memory *mem, unsigned int gpu_index, enum mx_data data);

/* ---- event.c ---- */

struct mx_child {
	const struct mx_memory *mem;
	const struct mx_plan *plan;
	bool writes;
	struct chan chan;
	pid_t pid;
};

/* Does the event between the jobs; fails if its errno is not the one of the plan. */
void event_do(const struct mx_cell *cell, const struct mx_plan *plan,
	      struct mx_memory *mem, struct mx_child *child);
/* VRAM of each GPU that is free when no cell uses any. */
void event_note_vram(unsigned int gpu_index);
/* Makes memory known to the GPUs as a program does. */
void event_register(const struct mx_cell *cell, const struct mx_memory *mem,
		    bool prefetch);
/* ---- look.c ---- */

void look_begin(const struct mx_cell *cell);
/* Residency and moves are those of the step. */
void look(const struct mx_cell *cell, const struct mx_plan *plan,
	  enum mx_step_name step, const struct mx_memory *mem);
/* VRAM the cell used is free again. */
void look_end(const struct mx_cell *cell);

/* ---- cell.c ---- */

/* As a cmocka test. Sets *spoiled if another cell needs another process. */
void cell_run(const struct mx_cell *cell, bool *spoiled);

/* ---- run.c ---- */

/* Runs cells, prints TAP. 0 or 1, the exit code. */
int run_cells_in_processes(const struct mx_cell *cells, unsigned int n);

#endif /* CELL_H */
