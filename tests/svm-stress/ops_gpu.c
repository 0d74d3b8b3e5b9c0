// SPDX-License-Identifier: GPL-2.0-only
/* Operations of the GPU, in batches. */
#include "stress.h"

#include <string.h>

#define MAX_WORDS	16
#define ATOMIC_LEN	sizeof(uint64_t)

bool batch_ring(struct worker *w)
{
	if (w->packets && !w->rung) {
		kt_queue_ring(&w->queue);
		w->rung = true;
	}
	return true;
}

/* Always leaves an empty batch. */
bool batch_wait(struct worker *w)
{
	bool ok = true;

	if (w->packets) {
		batch_ring(w);
		if (kt_queue_wait(&w->queue, 3 * KT_WAIT_MS))
			ok = fail(w, "the GPU does not come to an end: a memory exception, or it hangs (see the log of the kernel)");
		for (unsigned int i = 0; ok && i < w->nr_reads; i++) {
			const struct read *r = &w->reads[i];

			ok = check_bytes(w, "the GPU", &r->piece,
					 (uint8_t *)w->result.cpu + r->at,
					 w->expect + r->at);
		}
	}
	w->packets = 0;
	w->nr_touches = 0;
	w->nr_reads = 0;
	w->result_used = 0;
	if (w->second)
		pthread_mutex_unlock(&w->second->lock);
	w->second = NULL;
	return ok;
}

bool batch_touches(const struct worker *w, const struct piece *p, bool only_writes)
{
	for (unsigned int i = 0; i < w->nr_touches; i++) {
		const struct touch *t = &w->touches[i];

		if (t->piece.slot == p->slot && t->piece.at < p->at + p->len &&
		    p->at < t->piece.at + t->piece.len && (t->write || !only_writes))
			return true;
	}
	return false;
}

static void note_touch(struct worker *w, const struct piece *p, bool write)
{
	w->touches[w->nr_touches++] = (struct touch){ *p, write };
	piece_set_mapped(w->s, p, true);
}

static bool is_reachable(const struct stress *s, const struct slot *slot, bool write)
{
	if (slot->prot == PROT_IS_NONE || slot->no_access || (!s->xnack && !slot->access))
		return false;
	return !write || (slot->prot == PROT_IS_RW && !slot->gpu_ro);
}

bool gpu_may(struct worker *w, struct slot *slot, bool write, bool force)
{
	struct piece all = slot_piece(slot);

	if (is_reachable(w->s, slot, write))
		return true;
	if (!force)
		return false;
	if (slot->prot == PROT_IS_NONE || (write && slot->prot == PROT_IS_RO))
		run_op(w, OP_RDWR, &all);
	if (slot->no_access || (!w->s->xnack && !slot->access))
		run_op(w, OP_ACCESS, &all);
	if (write && slot->gpu_ro)
		run_op(w, OP_GPU_RW, &all);
	return !w->failed && is_reachable(w->s, slot, write);
}

/* Permissions are seldom put right for the GPU's sake: the others get their turn. */
static bool may(struct worker *w, struct slot *slot, bool write)
{
	return gpu_may(w, slot, write, !random_below(w, 4));
}

static void add_packet(struct worker *w, const uint32_t *dw, unsigned int ndw)
{
	if (kt_queue_emit(&w->queue, dw, ndw)) {
		fail(w, "the ring stays full");
		return;
	}
	w->packets++;
	w->rung = false;
	/* Else the next operation, or a later packet, rings. */
	if (!random_below(w, 8))
		batch_ring(w);
	if (w->packets >= MAX_PACKETS)
		batch_wait(w);
}

bool op_gpu_read(struct worker *w, const struct piece *p)
{
	uint32_t dw[KT_SDMA_MAX_DW];
	struct read *r;

	if (!may(w, p->slot, false))
		return false;
	if (w->nr_reads == NR_READS || w->result_used + p->len > RESULT_LEN)
		batch_wait(w);
	r = &w->reads[w->nr_reads++];
	r->piece = *p;
	r->at = w->result_used;
	w->result_used += p->len;
	memcpy(w->expect + r->at, piece_model(w->s, p), p->len);
	/* Wrong in every byte, until the GPU has done it. */
	for (size_t i = 0; i < p->len; i++)
		((uint8_t *)w->result.cpu)[r->at + i] = (uint8_t)~w->expect[r->at + i];
	note_touch(w, p, false);
	add_packet(w, dw, kt_sdma_copy(dw, (uintptr_t)w->result.cpu + r->at,
				       (uintptr_t)piece_va(w->s, p), (uint32_t)p->len));
	return true;
}

static struct piece align_piece(const struct piece *p, size_t unit, size_t max)
{
	struct piece aligned = *p;

	aligned.at &= ~(unit - 1);
	aligned.len = (p->len + unit - 1) & ~(unit - 1);
	if (aligned.len > max)
		aligned.len = max;
	return aligned;
}

bool op_gpu_write(struct worker *w, const struct piece *p)
{
	struct piece q = align_piece(p, sizeof(uint32_t), MAX_WORDS * sizeof(uint32_t));
	uint32_t dw[KT_SDMA_MAX_DW + MAX_WORDS], data[MAX_WORDS];

	if (!may(w, p->slot, true))
		return false;
	random_bytes(w, (uint8_t *)data, q.len);
	memcpy(piece_model(w->s, &q), data, q.len);
	note_touch(w, &q, true);
	add_packet(w, dw, kt_sdma_write(dw, (uintptr_t)piece_va(w->s, &q), data,
					(unsigned int)(q.len / sizeof(uint32_t))));
	return true;
}

bool gpu_fill(struct worker *w, const struct piece *p, uint32_t pattern)
{
	uint8_t *model = piece_model(w->s, p);
	uint32_t dw[KT_SDMA_MAX_DW];

	for (size_t i = 0; i < p->len; i += sizeof(pattern))
		memcpy(model + i, &pattern, sizeof(pattern));
	note_touch(w, p, true);
	add_packet(w, dw, kt_sdma_fill(dw, (uintptr_t)piece_va(w->s, p), pattern,
				       (uint32_t)p->len));
	return true;
}

bool op_gpu_fill(struct worker *w, const struct piece *p)
{
	struct piece q = align_piece(p, sizeof(uint32_t), p->slot->npages * KT_PAGE);

	if (!may(w, p->slot, true))
		return false;
	return gpu_fill(w, &q, (uint32_t)random_below(w, 1ULL << 32));
}

/* From another slot, or from elsewhere in this one where the two do not overlap. */
bool op_gpu_copy(struct worker *w, const struct piece *p)
{
	struct slot *slot = &w->s->slots[random_below(w, NR_SLOTS)];
	uint32_t dw[KT_SDMA_MAX_DW];
	struct piece from = *p;

	if (slot != p->slot && slot != w->second) {
		if (w->second && !batch_wait(w))
			return true;
		if (!own_second(w, slot))
			return false;
	}
	from.slot = slot;
	from.at = random_below(w, slot->npages * KT_PAGE - p->len + 1);
	if (slot == p->slot && from.at < p->at + p->len && p->at < from.at + p->len)
		return false;
	if (!may(w, slot, false) || !may(w, p->slot, true))
		return false;
	/* What made that possible may have waited for the batch, and let go of the slot. */
	if (slot != p->slot && slot != w->second)
		return false;
	memcpy(piece_model(w->s, p), piece_model(w->s, &from), p->len);
	note_touch(w, p, true);
	note_touch(w, &from, false);
	add_packet(w, dw, kt_sdma_copy(dw, (uintptr_t)piece_va(w->s, p),
				       (uintptr_t)piece_va(w->s, &from),
				       (uint32_t)p->len));
	return true;
}

bool op_gpu_atomic(struct worker *w, const struct piece *p)
{
	struct piece q = align_piece(p, ATOMIC_LEN, ATOMIC_LEN);
	uint64_t add = random_below(w, 1ULL << 62), sum;
	uint32_t dw[KT_SDMA_MAX_DW];

	if (!may(w, p->slot, true))
		return false;
	memcpy(&sum, piece_model(w->s, &q), sizeof(sum));
	sum += add;
	memcpy(piece_model(w->s, &q), &sum, sizeof(sum));
	note_touch(w, &q, true);
	add_packet(w, dw, kt_sdma_atomic(dw, KT_ATOMIC_ADD64,
					 (uintptr_t)piece_va(w->s, &q), add, 0));
	return true;
}
