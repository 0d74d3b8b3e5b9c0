// SPDX-License-Identifier: GPL-2.0-only
/*
 * What SDMA packets do.
 *
 * Each function goes on with q->packet where it was left and does one access
 * section's worth at most. Whatever stops it, a fault, a stop or the end of the
 * slice, it is called again later and nothing is done twice that could be seen.
 */
#include "gfx9_priv.h"

static enum gfx9_step exec_copy(struct gfx9_queue *q)
{
	const struct gfx9_sdma_packet *p = &q->packet;
	u64 dst = q->pass ? p->dst2 : p->dst;
	enum gfx9_step step;

	step = gfx9_mem_copy(q, dst + q->progress, p->src + q->progress,
			     p->len - q->progress, &q->progress);
	if (step != GFX9_STEP_DONE || !p->broadcast || q->pass)
		return step;
	q->pass = 1;
	q->progress = 0;
	return GFX9_STEP_MORE;
}

/* The data is in the ring and may wrap there. */
static enum gfx9_step exec_write(struct gfx9_queue *q)
{
	const struct gfx9_sdma_packet *p = &q->packet;
	u64 at = q->rptr + p->payload_dw * sizeof(u32) + q->progress;
	u64 off = at & (q->desc.ring_len - 1);
	u64 left = p->len - q->progress;
	u64 len = min(left, q->desc.ring_len - off);
	enum gfx9_step step;

	step = gfx9_mem_copy(q, p->dst + q->progress, q->desc.ring_va + off,
			     len, &q->progress);
	if (step == GFX9_STEP_DONE && len < left)
		return GFX9_STEP_MORE;
	return step;
}

static enum gfx9_step exec_fill(struct gfx9_queue *q)
{
	const struct gfx9_sdma_packet *p = &q->packet;

	return gfx9_mem_fill(q, p->dst + q->progress, p->data, p->unit,
			     p->len - q->progress, &q->progress);
}

static enum gfx9_step exec_poll(struct gfx9_queue *q)
{
	const struct gfx9_sdma_packet *p = &q->packet;
	enum gfx9_step step;
	u32 value;

	step = gfx9_mem_read(q, p->dst, &value, sizeof(value));
	if (step != GFX9_STEP_DONE)
		return step;
	if (gfx9_sdma_poll_holds(p, value)) {
		/* What was written before the word is seen after it. */
		smp_rmb();
		return GFX9_STEP_DONE;
	}
	if (p->retry != GFX9_SDMA_RETRY_FOREVER && q->tries >= p->retry) {
		q->error = GFX9_ERROR_POLL;
		return GFX9_STEP_ERROR;
	}
	q->tries++;
	return GFX9_STEP_POLL;
}

static enum gfx9_step exec_atomic(struct gfx9_queue *q)
{
	const struct gfx9_sdma_packet *p = &q->packet;
	enum gfx9_step step;
	u64 old;

	step = gfx9_mem_atomic(q, p, &old);
	if (step != GFX9_STEP_DONE)
		return step;
	if (p->loop && old != (p->wide ? p->cmp : (u32)p->cmp)) {
		q->tries++;
		return GFX9_STEP_POLL;
	}
	return GFX9_STEP_DONE;
}

enum gfx9_step gfx9_sdma_exec(struct gfx9_queue *q)
{
	const struct gfx9_sdma_packet *p = &q->packet;

	switch (p->op) {
	case GFX9_SDMA_NOP:
		return GFX9_STEP_DONE;
	case GFX9_SDMA_COPY:
		return exec_copy(q);
	case GFX9_SDMA_WRITE:
		return exec_write(q);
	case GFX9_SDMA_FILL:
		return exec_fill(q);
	case GFX9_SDMA_FENCE:
		return gfx9_mem_store(q, p->dst, p->data, sizeof(u32));
	case GFX9_SDMA_TIMESTAMP:
		return gfx9_mem_store(q, p->dst, gfx9_clock(), sizeof(u64));
	case GFX9_SDMA_TRAP:
		/* The handler looks at memory that a FENCE wrote. */
		smp_mb();
		q->vm->ops->interrupt(q->vm->owner, p->data);
		return GFX9_STEP_DONE;
	case GFX9_SDMA_POLL:
		return exec_poll(q);
	case GFX9_SDMA_ATOMIC:
		return exec_atomic(q);
	}
	return GFX9_STEP_ERROR;
}
