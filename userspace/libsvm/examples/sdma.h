/* SPDX-License-Identifier: MIT */
/*
 * The four SDMA packets the demo needs, GFX9 to GFX11 encoding. Each function
 * writes a packet to @p and returns its length in dwords. Addresses and lengths
 * are bytes and need no alignment, but where said.
 */
#ifndef SDMA_H
#define SDMA_H

#include <stdint.h>

#define SDMA_OP_COPY	1u
#define SDMA_OP_FENCE	5u
#define SDMA_OP_TRAP	6u
#define SDMA_OP_FILL	11u

/* The count field has 22 bits; a round figure below keeps chunks page aligned. */
#define SDMA_MAX_LEN	(2u << 20)
#define SDMA_MAX_DWORDS	7u

static inline void sdma_put_va(uint32_t *p, uint64_t va)
{
	p[0] = (uint32_t)va;
	p[1] = (uint32_t)(va >> 32);
}

static inline unsigned int sdma_copy(uint32_t *p, uint64_t dst_va, uint64_t src_va, uint32_t len)
{
	p[0] = SDMA_OP_COPY;
	p[1] = len - 1;
	p[2] = 0;
	sdma_put_va(p + 3, src_va);
	sdma_put_va(p + 5, dst_va);
	return 7;
}

/* Fill with dwords; @dst_va and @len are multiples of 4. */
static inline unsigned int sdma_fill(uint32_t *p, uint64_t dst_va, uint32_t value, uint32_t len)
{
	p[0] = SDMA_OP_FILL | 2u << 30;
	sdma_put_va(p + 1, dst_va);
	p[3] = value;
	p[4] = len - 4;
	return 5;
}

/* Write @value when all before has been done; @dst_va is a multiple of 4. */
static inline unsigned int sdma_fence(uint32_t *p, uint64_t dst_va, uint32_t value)
{
	p[0] = SDMA_OP_FENCE;
	sdma_put_va(p + 1, dst_va);
	p[3] = value;
	return 4;
}

/* Raise the interrupt that the driver takes for event @event_id. */
static inline unsigned int sdma_trap(uint32_t *p, uint32_t event_id)
{
	p[0] = SDMA_OP_TRAP;
	p[1] = event_id;
	return 2;
}

#endif
