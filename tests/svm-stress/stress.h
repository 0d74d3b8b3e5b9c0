/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KFDSVM_SVM_STRESS_H
#define KFDSVM_SVM_STRESS_H

/*
 * svm_stress: threads do random operations on memory that CPU and GPU share, and a model,
 * plain memory that no GPU has, says what each byte must be.
 *
 * The arena is cut into slots. A thread owns a slot while it works on it, so nobody else
 * changes what the model says of it; what the others do to the process as a whole (fork,
 * migration of all its pages) changes no byte. A turn is a few operations on one slot.
 *
 * Packets for the GPU are collected in a batch. The model is changed when a packet is
 * written, in the order of the ring; what a GPU read must see is kept with it. Operations
 * that leave every byte alone run while the batch is under way, and so do the CPU's reads
 * and writes of other bytes, perhaps of the same pages; the others wait for it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kt.h"
#include "kt_sdma.h"

#define SLOT_PAGES	16			/* a small one */
#define NR_SMALL	64			/* two blocks of 2 MiB */
#define NR_HUGE		4			/* slots of 2 MiB */
#define NR_SLOTS	(NR_SMALL + NR_HUGE)
#define NR_PAGES	(NR_SMALL * SLOT_PAGES + NR_HUGE * (KT_HUGE / KT_PAGE))
#define MAX_THREADS	8
#define HISTORY		32
#define RESULT_LEN	(64UL << 10)
#define NR_READS	32
#define MAX_PACKETS	32			/* of a batch */
#define FOCUS_PAGES	6

enum op {
	OP_CPU_READ, OP_CPU_WRITE,
	OP_GPU_READ, OP_GPU_WRITE, OP_GPU_FILL, OP_GPU_COPY, OP_GPU_ATOMIC,
	OP_REMAP, OP_RDONLY, OP_NONE, OP_RDWR,
	OP_DONTNEED, OP_FREE, OP_PUNCH, OP_PAGEOUT, OP_COLD, OP_COLLAPSE, OP_HUGEPAGE,
	OP_NOHUGEPAGE, OP_MREMAP, OP_FORK, OP_MOVE, OP_MIGRATE,
	OP_ACCESS, OP_IN_PLACE, OP_NO_ACCESS, OP_FLAGS, OP_GPU_RO, OP_GPU_RW,
	OP_GRANULARITY, OP_PREFERRED, OP_PREFETCH_GPU, OP_PREFETCH_RAM,
	NR_OPS
};

enum kind { KIND_ANON, KIND_SHARED };
enum prot { PROT_IS_NONE, PROT_IS_RO, PROT_IS_RW };

/**
 * struct slot - a part of the arena
 * @lock: held by its owner; guards the rest, and the model's bytes
 * @first: first page in the arena
 * @npages: pages
 * @kind: private anonymous or shared memory
 * @file_page: page in the file, of shared memory
 * @prot: as the CPU has it
 * @access: registered for the GPU
 * @no_access: refused to the GPU
 * @gpu_ro: the GPU may only read
 * @focus: page around which most operations take place for a while
 */
struct slot {
	pthread_mutex_t lock;
	size_t first;
	size_t npages;
	enum kind kind;
	size_t file_page;
	enum prot prot;
	bool access;
	bool no_access;
	bool gpu_ro;
	size_t focus;
};

/**
 * struct piece - what an operation is about: bytes of a slot
 * @slot: owned by the caller
 * @at: first byte in the slot
 * @len: bytes
 */
struct piece {
	struct slot *slot;
	size_t at;
	size_t len;
};

struct done_op {
	enum op op;
	struct piece piece;
};

/**
 * struct read - a GPU read under way
 * @piece: of what
 * @at: where in the result buffer it goes
 */
struct read {
	struct piece piece;
	size_t at;
};

/**
 * struct touch - bytes that a packet under way is about
 * @piece: them
 * @write: it writes them
 */
struct touch {
	struct piece piece;
	bool write;
};

/**
 * struct worker - a thread
 * @queue: its own
 * @result: where the GPU puts what it reads
 * @expect: what it must be
 * @reads: of the batch
 * @result_used: bytes of @result the batch takes
 * @packets: of the batch, 0: there is none
 * @touches: what they are about
 * @rung: all of them are known to the GPU
 * @second: another slot it owns, until the batch is done
 * @history: what it did last
 * @current: what it does
 * @counts: by operation
 * @mapped: of them, those on memory that the GPU had mapped
 */
struct worker {
	struct stress *s;
	pthread_t thread;
	unsigned int index;
	uint64_t random;
	struct kt_queue queue;
	struct kt_bo result;
	uint8_t expect[RESULT_LEN];
	struct read reads[NR_READS];
	unsigned int nr_reads;
	size_t result_used;
	unsigned int packets;
	struct touch touches[2 * MAX_PACKETS];
	unsigned int nr_touches;
	bool rung;
	struct slot *second;
	struct done_op history[HISTORY];
	struct done_op current;
	uint64_t nr_ops;
	uint64_t counts[NR_OPS];
	uint64_t mapped[NR_OPS];
	bool failed;
};

/**
 * struct stress - a run in one XNACK mode
 * @base: the arena
 * @model: what it must hold
 * @fd: file behind shared slots
 * @epoch: advances when the GPU loses all that is mapped
 * @mapped_at: by page: the epoch in which the GPU used it, 0: not since it was lost.
 *	Written by the owner of the slot
 * @budget: operations still to be begun
 * @stop: somebody failed
 * @holes: held while a slot is unmapped for a moment, and while memory is mapped at an
 *	address that the kernel chooses
 */
struct stress {
	uint64_t seed;
	uint64_t ops;
	unsigned int nr_threads;
	bool xnack;
	bool verbose;
	bool no_swap;
	struct kt_dev dev;
	uint8_t *base;
	uint8_t *model;
	int fd;
	bool has_swap;
	unsigned int nr_nodes;
	atomic_uint epoch;
	unsigned int mapped_at[NR_PAGES];
	struct slot slots[NR_SLOTS];
	struct worker workers[MAX_THREADS];
	atomic_long budget;
	atomic_bool stop;
	pthread_mutex_t holes;
};

/**
 * struct op_desc - an operation
 * @name: in the report
 * @weight: how often it is chosen
 * @run: does it and changes the model; false: it does not apply to the slot as it is
 * @gpu: adds a packet to the batch
 * @keeps: changes no byte and no permission, so the batch may be under way
 */
struct op_desc {
	const char *name;
	unsigned int weight;
	bool (*run)(struct worker *w, const struct piece *p);
	bool gpu;
	bool keeps;
};

extern const struct op_desc ops[NR_OPS];

/* arena.c */
bool arena_make(struct stress *s);
void arena_free(struct stress *s);
/* Maps it as it is after the start; attributes are gone. */
bool slot_map(struct worker *w, struct slot *slot);
uint8_t *piece_va(const struct stress *s, const struct piece *p);
uint8_t *piece_model(const struct stress *s, const struct piece *p);
/* The whole pages that hold the piece. */
struct piece piece_pages(const struct piece *p);
struct piece slot_piece(struct slot *slot);
bool piece_was_mapped(const struct stress *s, const struct piece *p);
void piece_set_mapped(struct stress *s, const struct piece *p, bool mapped);
/* Compares with the model; fails the worker. */
bool check_bytes(struct worker *w, const char *who, const struct piece *p,
		 const uint8_t *got, const uint8_t *wanted);
/* Everything, by the CPU; nobody else works. */
bool arena_check(struct worker *w);

/* main.c: for the report when it is killed. */
void set_current_worker(struct worker *w);

/* turn.c */
uint64_t random_below(struct worker *w, uint64_t n);
void random_bytes(struct worker *w, uint8_t *to, size_t len);
/* Says what is wrong, with the history, and ends the run. Always false. */
bool fail(struct worker *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* An operation that another needs first: counts, too. */
bool run_op(struct worker *w, enum op op, const struct piece *p);
/* Lets go of the slot after the batch; false: somebody else has it. */
bool own_second(struct worker *w, struct slot *slot);
void *worker_main(void *arg);

/* ops_gpu.c */
bool batch_ring(struct worker *w);
bool batch_wait(struct worker *w);
/* Does the batch read the bytes, or write them? */
bool batch_touches(const struct worker *w, const struct piece *p, bool only_writes);
bool op_gpu_read(struct worker *w, const struct piece *p);
bool op_gpu_write(struct worker *w, const struct piece *p);
bool op_gpu_fill(struct worker *w, const struct piece *p);
bool op_gpu_copy(struct worker *w, const struct piece *p);
bool op_gpu_atomic(struct worker *w, const struct piece *p);
/* A fill of any piece of whole pages, which are the GPU's to write. */
bool gpu_fill(struct worker *w, const struct piece *p, uint32_t pattern);
/* May it read, or write? If not and @force, operations make it so. */
bool gpu_may(struct worker *w, struct slot *slot, bool write, bool force);

/* ops_mm.c */
bool op_cpu_read(struct worker *w, const struct piece *p);
bool op_cpu_write(struct worker *w, const struct piece *p);
bool op_remap(struct worker *w, const struct piece *p);
bool op_rdonly(struct worker *w, const struct piece *p);
bool op_none(struct worker *w, const struct piece *p);
bool op_rdwr(struct worker *w, const struct piece *p);
bool op_dontneed(struct worker *w, const struct piece *p);
bool op_free(struct worker *w, const struct piece *p);
bool op_punch(struct worker *w, const struct piece *p);
bool op_pageout(struct worker *w, const struct piece *p);
bool op_cold(struct worker *w, const struct piece *p);
bool op_collapse(struct worker *w, const struct piece *p);
bool op_hugepage(struct worker *w, const struct piece *p);
bool op_nohugepage(struct worker *w, const struct piece *p);
bool op_mremap(struct worker *w, const struct piece *p);
bool op_fork(struct worker *w, const struct piece *p);
bool op_move(struct worker *w, const struct piece *p);
bool op_migrate(struct worker *w, const struct piece *p);

/* ops_attr.c */
bool op_access(struct worker *w, const struct piece *p);
bool op_in_place(struct worker *w, const struct piece *p);
bool op_no_access(struct worker *w, const struct piece *p);
bool op_flags(struct worker *w, const struct piece *p);
bool op_gpu_ro(struct worker *w, const struct piece *p);
bool op_gpu_rw(struct worker *w, const struct piece *p);
bool op_granularity(struct worker *w, const struct piece *p);
bool op_preferred(struct worker *w, const struct piece *p);
bool op_prefetch_gpu(struct worker *w, const struct piece *p);
bool op_prefetch_ram(struct worker *w, const struct piece *p);

#endif /* KFDSVM_SVM_STRESS_H */
