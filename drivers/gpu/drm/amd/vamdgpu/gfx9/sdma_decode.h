/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets of the SDMA engine, version 4: from dwords to meaning. Pure logic.
 */
#ifndef _VAMDGPU_GFX9_SDMA_DECODE_H
#define _VAMDGPU_GFX9_SDMA_DECODE_H

#include <linux/kfdsvm_seam.h>

/* Dwords that gfx9_sdma_decode() may want to see of one packet. */
#define GFX9_SDMA_HEADER_MAX	9

enum gfx9_sdma_op {
	GFX9_SDMA_NOP,
	GFX9_SDMA_COPY,
	GFX9_SDMA_WRITE,
	GFX9_SDMA_FILL,
	GFX9_SDMA_FENCE,
	GFX9_SDMA_TRAP,
	GFX9_SDMA_POLL,
	GFX9_SDMA_ATOMIC,
	GFX9_SDMA_TIMESTAMP,
};

/* Comparisons of POLL, as encoded. */
enum gfx9_sdma_func {
	GFX9_SDMA_ALWAYS,
	GFX9_SDMA_LT,
	GFX9_SDMA_LE,
	GFX9_SDMA_EQ,
	GFX9_SDMA_NE,
	GFX9_SDMA_GE,
	GFX9_SDMA_GT,
};

/* Atomic operations: low five bits of the encoding. Bit 5 is 64-bit. */
enum gfx9_sdma_atomic {
	GFX9_ATOMIC_SWAP = 7,
	GFX9_ATOMIC_CMPSWAP = 8,
	GFX9_ATOMIC_ADD = 15,
	GFX9_ATOMIC_SUB,
	GFX9_ATOMIC_SMIN,
	GFX9_ATOMIC_UMIN,
	GFX9_ATOMIC_SMAX,
	GFX9_ATOMIC_UMAX,
	GFX9_ATOMIC_AND,
	GFX9_ATOMIC_OR,
	GFX9_ATOMIC_XOR,
	GFX9_ATOMIC_INC,
	GFX9_ATOMIC_DEC,
};

#define GFX9_SDMA_RETRY_FOREVER	0xfff

/**
 * struct gfx9_sdma_packet - a packet
 * @op: what it is; says which of the members below mean something
 * @ndw: its length in dwords, payload included
 * @dst: FILL, WRITE, COPY: destination; FENCE, TIMESTAMP, ATOMIC, POLL: address
 * @dst2: COPY: second destination if @broadcast
 * @src: COPY: source; ATOMIC: operand
 * @cmp: ATOMIC: comparand of CMPSWAP
 * @len: COPY, WRITE, FILL: bytes at the destination
 * @payload_dw: WRITE: where in the packet the data begins
 * @data: FILL: pattern; FENCE: value; TRAP: context id; POLL: reference
 * @mask: POLL
 * @unit: FILL: 1 or 4 bytes
 * @func: POLL
 * @retry: POLL: tries after the first
 * @atomic: ATOMIC
 * @wide: ATOMIC: 64 bits
 * @loop: ATOMIC: repeat until CMPSWAP has swapped
 * @broadcast: COPY
 */
struct gfx9_sdma_packet {
	enum gfx9_sdma_op op;
	u32 ndw;
	u64 dst;
	u64 dst2;
	u64 src;
	u64 cmp;
	u64 len;
	u32 payload_dw;
	u32 data;
	u32 mask;
	unsigned int unit;
	enum gfx9_sdma_func func;
	unsigned int retry;
	enum gfx9_sdma_atomic atomic;
	bool wide;
	bool loop;
	bool broadcast;
};

/**
 * enum gfx9_sdma_status - what gfx9_sdma_decode() found
 * @GFX9_SDMA_OK: the packet is good
 * @GFX9_SDMA_SHORT: it goes on behind the dwords given
 * @GFX9_SDMA_BAD_OP: no such packet, or one that is not implemented
 * @GFX9_SDMA_BAD_FIELD: a field makes no sense
 */
enum gfx9_sdma_status {
	GFX9_SDMA_OK,
	GFX9_SDMA_SHORT,
	GFX9_SDMA_BAD_OP,
	GFX9_SDMA_BAD_FIELD,
};

enum gfx9_sdma_status gfx9_sdma_decode(const u32 *dw, unsigned int ndw,
				       struct gfx9_sdma_packet *packet);
bool gfx9_sdma_poll_holds(const struct gfx9_sdma_packet *packet, u32 value);
u64 gfx9_sdma_atomic_result(const struct gfx9_sdma_packet *packet, u64 old);

#endif /* _VAMDGPU_GFX9_SDMA_DECODE_H */
