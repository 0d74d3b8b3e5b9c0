// SPDX-License-Identifier: GPL-2.0-only
/* A thread's work: slots, pieces and operations at random, and what it tells of them. */
#include "stress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TURN_OPS	40	/* at most, on one slot */
#define HOT_SLOTS	10	/* the huge ones and some of the others */

const struct op_desc ops[NR_OPS] = {
	[OP_CPU_READ] = { "cpu read", 500, op_cpu_read, false, true },
	[OP_CPU_WRITE] = { "cpu write", 500, op_cpu_write, false, true },
	[OP_GPU_READ] = { "gpu read", 900, op_gpu_read, true, true },
	[OP_GPU_WRITE] = { "gpu write", 500, op_gpu_write, true, true },
	[OP_GPU_FILL] = { "gpu fill", 500, op_gpu_fill, true, true },
	[OP_GPU_COPY] = { "gpu copy", 600, op_gpu_copy, true, true },
	[OP_GPU_ATOMIC] = { "gpu atomic", 400, op_gpu_atomic, true, true },
	[OP_REMAP] = { "munmap, mmap", 15, op_remap, false, false },
	[OP_RDONLY] = { "mprotect read", 15, op_rdonly, false, false },
	[OP_NONE] = { "mprotect none", 10, op_none, false, false },
	[OP_RDWR] = { "mprotect write", 40, op_rdwr, false, true },
	[OP_DONTNEED] = { "DONTNEED", 30, op_dontneed, false, false },
	[OP_FREE] = { "FREE", 20, op_free, false, false },
	[OP_PUNCH] = { "punch hole", 40, op_punch, false, false },
	[OP_PAGEOUT] = { "PAGEOUT", 20, op_pageout, false, true },
	[OP_COLD] = { "COLD", 30, op_cold, false, true },
	[OP_COLLAPSE] = { "COLLAPSE", 4, op_collapse, false, true },
	[OP_HUGEPAGE] = { "HUGEPAGE", 6, op_hugepage, false, true },
	[OP_NOHUGEPAGE] = { "NOHUGEPAGE", 4, op_nohugepage, false, true },
	[OP_MREMAP] = { "mremap", 12, op_mremap, false, false },
	[OP_FORK] = { "fork", 8, op_fork, false, false },
	[OP_MOVE] = { "move_pages", 25, op_move, false, true },
	[OP_MIGRATE] = { "migrate_pages", 2, op_migrate, false, true },
	[OP_ACCESS] = { "set access", 25, op_access, false, true },
	[OP_IN_PLACE] = { "set in place", 25, op_in_place, false, true },
	[OP_NO_ACCESS] = { "set no access", 8, op_no_access, false, false },
	[OP_FLAGS] = { "set flags", 30, op_flags, false, true },
	[OP_GPU_RO] = { "set gpu ro", 8, op_gpu_ro, false, false },
	[OP_GPU_RW] = { "clear gpu ro", 20, op_gpu_rw, false, true },
	[OP_GRANULARITY] = { "set granularity", 25, op_granularity, false, true },
	[OP_PREFERRED] = { "set preferred", 25, op_preferred, false, true },
	[OP_PREFETCH_GPU] = { "prefetch gpu", 40, op_prefetch_gpu, false, true },
	[OP_PREFETCH_RAM] = { "prefetch ram", 20, op_prefetch_ram, false, true },
};

/* splitmix64. */
static uint64_t next_random(struct worker *w)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint64_t random_below(struct worker *w, uint64_t n)
{
	return next_random(w) % n;
}

void random_bytes(struct worker *w, uint8_t *to, size_t len)
{
	uint64_t word;

	for (size_t i = 0; i < len; i += sizeof(word)) {
		word = next_random(w);
		memcpy(to + i, &word, len - i < sizeof(word) ? len - i : sizeof(word));
	}
}

static void print_op(const struct worker *w, const char *what, const struct done_op *d)
{
	printf("# %s thread %u op %" PRIu64 ": %s slot %d at %#zx len %#zx\n", what,
	       w->index, w->nr_ops, ops[d->op].name,
	       (int)(d->piece.slot - w->s->slots), d->piece.at, d->piece.len);
}

bool fail(struct worker *w, const char *format, ...)
{
	struct stress *s = w->s;
	va_list args;

	w->failed = true;
	/* What others find after the first is of no use. */
	if (atomic_exchange(&s->stop, true))
		return false;
	flockfile(stdout);
	printf("# FAILED: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n# reproduce: svm_stress --seed %" PRIu64 " --threads %u --ops %" PRIu64
	       " --xnack %s%s\n", s->seed, s->nr_threads, s->ops,
	       s->xnack ? "on" : "off",
	       s->nr_threads == 1 ? "" : " (threads race: perhaps not at once)");
	for (uint64_t n = w->nr_ops > HISTORY ? w->nr_ops - HISTORY : 0; n < w->nr_ops; n++)
		printf("#   before: op %" PRIu64 " %s slot %d at %#zx len %#zx\n", n,
		       ops[w->history[n % HISTORY].op].name,
		       (int)(w->history[n % HISTORY].piece.slot - s->slots),
		       w->history[n % HISTORY].piece.at,
		       w->history[n % HISTORY].piece.len);
	print_op(w, "in or after", &w->current);
	fflush(stdout);
	funlockfile(stdout);
	return false;
}

bool run_op(struct worker *w, enum op op, const struct piece *p)
{
	bool was_mapped = piece_was_mapped(w->s, p);
	const struct op_desc *desc = &ops[op];
	struct done_op outer = w->current;
	struct done_op done = { op, *p };

	w->current = done;
	if (w->s->verbose)
		print_op(w, "begin", &done);
	if (!desc->gpu && (desc->keeps ? !batch_ring(w) : !batch_wait(w)))
		return false;
	if (!desc->run(w, p)) {
		w->current = outer;
		return false;
	}
	/* Of one that failed the report has told. */
	w->history[w->nr_ops % HISTORY] = done;
	w->counts[op]++;
	w->mapped[op] += was_mapped;
	w->nr_ops++;
	w->current = outer;
	return !w->failed;
}

bool own_second(struct worker *w, struct slot *slot)
{
	if (w->second && !batch_wait(w))
		return false;
	if (pthread_mutex_trylock(&slot->lock))
		return false;
	w->second = slot;
	return true;
}

static enum op choose_op(struct worker *w)
{
	unsigned int total = 0, at, op;

	for (op = 0; op < NR_OPS; op++)
		total += ops[op].weight;
	at = (unsigned int)random_below(w, total);
	for (op = 0; at >= ops[op].weight; op++)
		at -= ops[op].weight;
	return (enum op)op;
}

/* Mostly a few bytes, now and then several pages; borders included. */
static struct piece choose_piece(struct worker *w, struct slot *slot)
{
	size_t len = slot->npages * KT_PAGE, first = 0;
	struct piece p = { .slot = slot };

	p.len = 1 + random_below(w, 1ULL << random_below(w, 14));
	if (!random_below(w, 100))
		p.len = 1 + random_below(w, SLOT_PAGES * KT_PAGE);
	/* The same few pages again, so that things happen to what the GPU has mapped. */
	if (!random_below(w, 100))
		slot->focus = random_below(w, slot->npages - FOCUS_PAGES);
	if (random_below(w, 10) && p.len <= FOCUS_PAGES * KT_PAGE) {
		first = slot->focus * KT_PAGE;
		len = FOCUS_PAGES * KT_PAGE;
	}
	p.at = first + random_below(w, len - p.len + 1);
	return p;
}

static struct slot *own_slot(struct worker *w)
{
	struct slot *slot;

	for (;;) {
		slot = &w->s->slots[NR_SLOTS - 1 - random_below(w, HOT_SLOTS)];
		if (!random_below(w, 5))
			slot = &w->s->slots[random_below(w, NR_SLOTS)];
		if (!pthread_mutex_trylock(&slot->lock))
			return slot;
	}
}

static void turn(struct worker *w, struct slot *slot)
{
	unsigned int n = 1 + (unsigned int)random_below(w, TURN_OPS);

	while (n-- && !w->failed && !atomic_load(&w->s->stop)) {
		struct piece p = choose_piece(w, slot);

		/* What does not apply to the slot as it is gives way to something else. */
		while (!run_op(w, choose_op(w), &p))
			if (w->failed)
				return;
		if (atomic_fetch_sub(&w->s->budget, 1) <= 1)
			return;
	}
}

void *worker_main(void *arg)
{
	struct worker *w = arg;

	set_current_worker(w);
	while (!atomic_load(&w->s->stop) && atomic_load(&w->s->budget) > 0) {
		struct slot *slot = own_slot(w);

		turn(w, slot);
		batch_wait(w);
		pthread_mutex_unlock(&slot->lock);
	}
	return NULL;
}
