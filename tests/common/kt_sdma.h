/* SPDX-License-Identifier: MIT */
/*
 * SDMA v4 packets. Each builder fills @p and returns the number of dwords.
 */
#ifndef KT_SDMA_H
#define KT_SDMA_H

#include <stdint.h>

#define KT_SDMA_MAX_DW		16	/* of all builders here but write */
#define KT_SDMA_COPY_MAX	(1U << 22)

/* Functions of POLL_REGMEM. */
#define KT_POLL_ALWAYS	0
#define KT_POLL_LT	1
#define KT_POLL_LE	2
#define KT_POLL_EQ	3
#define KT_POLL_NE	4
#define KT_POLL_GE	5
#define KT_POLL_GT	6

#define KT_ATOMIC_ADD64	47

static inline unsigned int kt_sdma_addr(uint32_t *p, uint64_t va)
{
	p[0] = (uint32_t)va;
	p[1] = (uint32_t)(va >> 32);
	return 2;
}

/* A NOP of 1 + @payload dwords. */
static inline unsigned int kt_sdma_nop(uint32_t *p, unsigned int payload)
{
	p[0] = payload << 16;
	for (unsigned int i = 0; i < payload; i++)
		p[1 + i] = 0xdeadbeef;
	return 1 + payload;
}

static inline unsigned int kt_sdma_copy(uint32_t *p, uint64_t dst, uint64_t src,
					uint32_t bytes)
{
	p[0] = 1;
	p[1] = bytes - 1;
	p[2] = 0;
	kt_sdma_addr(p + 3, src);
	kt_sdma_addr(p + 5, dst);
	return 7;
}

static inline unsigned int kt_sdma_copy_broadcast(uint32_t *p, uint64_t dst,
						  uint64_t dst2, uint64_t src,
						  uint32_t bytes)
{
	kt_sdma_copy(p, dst, src, bytes);
	p[0] |= 1U << 27;
	kt_sdma_addr(p + 7, dst2);
	return 9;
}

static inline unsigned int kt_sdma_write(uint32_t *p, uint64_t dst,
					 const uint32_t *data, unsigned int ndw)
{
	p[0] = 2;
	kt_sdma_addr(p + 1, dst);
	p[3] = ndw - 1;
	for (unsigned int i = 0; i < ndw; i++)
		p[4 + i] = data[i];
	return 4 + ndw;
}

static inline unsigned int kt_sdma_write1(uint32_t *p, uint64_t dst, uint32_t data)
{
	return kt_sdma_write(p, dst, &data, 1);
}

/* Dword fill of @bytes, a multiple of 4. */
static inline unsigned int kt_sdma_fill(uint32_t *p, uint64_t dst, uint32_t data,
					uint32_t bytes)
{
	p[0] = 11 | 2U << 30;
	kt_sdma_addr(p + 1, dst);
	p[3] = data;
	p[4] = bytes - 1;
	return 5;
}

static inline unsigned int kt_sdma_fence(uint32_t *p, uint64_t va, uint32_t data)
{
	p[0] = 5;
	kt_sdma_addr(p + 1, va);
	p[3] = data;
	return 4;
}

static inline unsigned int kt_sdma_trap(uint32_t *p, uint32_t context)
{
	p[0] = 6;
	p[1] = context;
	return 2;
}

/* Waits until (*va & mask) FUNC value. */
static inline unsigned int kt_sdma_poll(uint32_t *p, uint64_t va, uint32_t func,
					uint32_t value, uint32_t mask)
{
	p[0] = 8 | func << 28 | 1U << 31;
	kt_sdma_addr(p + 1, va);
	p[3] = value;
	p[4] = mask;
	p[5] = 0xfffU << 16 | 4;	/* retry for ever */
	return 6;
}

static inline unsigned int kt_sdma_atomic(uint32_t *p, uint32_t op, uint64_t va,
					  uint64_t src, uint64_t cmp)
{
	p[0] = 10 | op << 25;
	kt_sdma_addr(p + 1, va);
	kt_sdma_addr(p + 3, src);
	kt_sdma_addr(p + 5, cmp);
	p[7] = 0;
	return 8;
}

static inline unsigned int kt_sdma_timestamp(uint32_t *p, uint64_t va)
{
	p[0] = 13 | 2 << 8;
	kt_sdma_addr(p + 1, va);
	return 3;
}

#endif /* KT_SDMA_H */
