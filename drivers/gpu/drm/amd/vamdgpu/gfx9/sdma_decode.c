// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets of the SDMA engine, version 4: from dwords to meaning.
 *
 * The ring belongs to user space: nothing of a packet is believed before it is
 * checked, and no dword is looked at that was not given.
 */
#include "sdma_decode.h"

/* Of the first dword. */
#define SDMA_OP			GENMASK(7, 0)
#define SDMA_SUB_OP		GENMASK(15, 8)
#define SDMA_NOP_COUNT		GENMASK(29, 16)
#define SDMA_COPY_BROADCAST	BIT(27)
#define SDMA_POLL_HDP_FLUSH	BIT(26)
#define SDMA_POLL_FUNC		GENMASK(30, 28)
#define SDMA_POLL_MEM		BIT(31)
#define SDMA_ATOMIC_LOOP	BIT(16)
#define SDMA_ATOMIC_OP		GENMASK(31, 25)
#define SDMA_FILL_UNIT		GENMASK(31, 30)

/* Of later ones. */
#define SDMA_BYTE_COUNT		GENMASK(21, 0)
#define SDMA_DWORD_COUNT	GENMASK(19, 0)
#define SDMA_TRAP_CONTEXT	GENMASK(27, 0)
#define SDMA_POLL_RETRY		GENMASK(27, 16)
#define SDMA_HDP_FLUSH_ADDR_HI	0x80000000

#define ATOMIC_KIND		GENMASK(4, 0)
#define ATOMIC_WIDE		BIT(5)

#define SUB_TIMESTAMP_GET_GLOBAL	2

static u64 get64(const u32 *dw)
{
	return dw[0] | (u64)dw[1] << 32;
}

static enum gfx9_sdma_status decode_nop(const u32 *dw,
					struct gfx9_sdma_packet *p)
{
	p->op = GFX9_SDMA_NOP;
	p->ndw = 1 + FIELD_GET(SDMA_NOP_COUNT, dw[0]);
	return GFX9_SDMA_OK;
}

static enum gfx9_sdma_status decode_copy(const u32 *dw,
					 struct gfx9_sdma_packet *p)
{
	p->op = GFX9_SDMA_COPY;
	p->len = FIELD_GET(SDMA_BYTE_COUNT, dw[1]) + 1;
	p->src = get64(&dw[3]);
	p->dst = get64(&dw[5]);
	if (p->broadcast)
		p->dst2 = get64(&dw[7]);
	return GFX9_SDMA_OK;
}

static enum gfx9_sdma_status decode_write(const u32 *dw,
					  struct gfx9_sdma_packet *p)
{
	u32 count = FIELD_GET(SDMA_DWORD_COUNT, dw[3]) + 1;

	p->op = GFX9_SDMA_WRITE;
	p->dst = get64(&dw[1]);
	p->payload_dw = 4;
	p->len = (u64)count * sizeof(u32);
	p->ndw = p->payload_dw + count;
	return GFX9_SDMA_OK;
}

/* The count is bytes - 1; ROCr says (dwords - 1) * 4 for dword fills. */
static enum gfx9_sdma_status decode_fill(const u32 *dw,
					 struct gfx9_sdma_packet *p)
{
	u32 count = FIELD_GET(SDMA_BYTE_COUNT, dw[4]);

	p->op = GFX9_SDMA_FILL;
	p->dst = get64(&dw[1]);
	p->data = dw[3];
	switch (FIELD_GET(SDMA_FILL_UNIT, dw[0])) {
	case 0:
		p->unit = 1;
		p->len = count + 1;
		return GFX9_SDMA_OK;
	case 2:
		p->unit = 4;
		p->len = ((u64)(count >> 2) + 1) * sizeof(u32);
		return GFX9_SDMA_OK;
	default:
		return GFX9_SDMA_BAD_FIELD;
	}
}

static enum gfx9_sdma_status decode_fence(const u32 *dw,
					  struct gfx9_sdma_packet *p)
{
	p->op = GFX9_SDMA_FENCE;
	p->dst = get64(&dw[1]);
	p->data = dw[3];
	return GFX9_SDMA_OK;
}

static enum gfx9_sdma_status decode_trap(const u32 *dw,
					 struct gfx9_sdma_packet *p)
{
	p->op = GFX9_SDMA_TRAP;
	p->data = FIELD_GET(SDMA_TRAP_CONTEXT, dw[1]);
	return GFX9_SDMA_OK;
}

static enum gfx9_sdma_status decode_poll(const u32 *dw,
					 struct gfx9_sdma_packet *p)
{
	bool hdp_flush = (dw[0] & SDMA_POLL_HDP_FLUSH) ||
			 (!dw[1] && dw[2] == SDMA_HDP_FLUSH_ADDR_HI && !dw[3] &&
			  !dw[4]);

	if (!(dw[0] & SDMA_POLL_MEM)) {
		/* There are no registers; the flush has nothing to do. */
		p->op = GFX9_SDMA_NOP;
		return hdp_flush ? GFX9_SDMA_OK : GFX9_SDMA_BAD_FIELD;
	}
	p->op = GFX9_SDMA_POLL;
	p->func = FIELD_GET(SDMA_POLL_FUNC, dw[0]);
	p->dst = get64(&dw[1]);
	p->data = dw[3];
	p->mask = dw[4];
	p->retry = FIELD_GET(SDMA_POLL_RETRY, dw[5]);
	if (p->func > GFX9_SDMA_GT || !IS_ALIGNED(p->dst, sizeof(u32)))
		return GFX9_SDMA_BAD_FIELD;
	return GFX9_SDMA_OK;
}

static enum gfx9_sdma_status decode_atomic(const u32 *dw,
					   struct gfx9_sdma_packet *p)
{
	u32 op = FIELD_GET(SDMA_ATOMIC_OP, dw[0]);

	p->op = GFX9_SDMA_ATOMIC;
	p->atomic = op & ATOMIC_KIND;
	p->wide = op & ATOMIC_WIDE;
	p->loop = dw[0] & SDMA_ATOMIC_LOOP;
	p->dst = get64(&dw[1]);
	p->src = get64(&dw[3]);
	p->cmp = get64(&dw[5]);
	if (p->atomic != GFX9_ATOMIC_SWAP && p->atomic != GFX9_ATOMIC_CMPSWAP &&
	    !(p->atomic >= GFX9_ATOMIC_ADD && p->atomic <= GFX9_ATOMIC_DEC))
		return GFX9_SDMA_BAD_FIELD;
	if (p->loop && p->atomic != GFX9_ATOMIC_CMPSWAP)
		return GFX9_SDMA_BAD_FIELD;
	if (!IS_ALIGNED(p->dst, p->wide ? sizeof(u64) : sizeof(u32)))
		return GFX9_SDMA_BAD_FIELD;
	return GFX9_SDMA_OK;
}

static enum gfx9_sdma_status decode_timestamp(const u32 *dw,
					      struct gfx9_sdma_packet *p)
{
	p->op = GFX9_SDMA_TIMESTAMP;
	p->dst = get64(&dw[1]);
	return GFX9_SDMA_OK;
}

static const struct {
	u8 op;
	u8 sub_op;
	u8 header_dw;
	enum gfx9_sdma_status (*decode)(const u32 *dw,
					struct gfx9_sdma_packet *p);
} packets[] = {
	{ 0, 0, 1, decode_nop },
	{ 1, 0, 7, decode_copy },
	{ 2, 0, 4, decode_write },
	{ 5, 0, 4, decode_fence },
	{ 6, 0, 2, decode_trap },
	{ 8, 0, 6, decode_poll },
	{ 10, 0, 8, decode_atomic },
	{ 11, 0, 5, decode_fill },
	{ 13, SUB_TIMESTAMP_GET_GLOBAL, 3, decode_timestamp },
};

/*
 * Decodes the packet that starts at @dw. @ndw: dwords that can be read there.
 * @packet->ndw can be larger than @ndw when the payload was not given; with
 * GFX9_SDMA_SHORT it is what the header needs.
 */
enum gfx9_sdma_status gfx9_sdma_decode(const u32 *dw, unsigned int ndw,
				       struct gfx9_sdma_packet *packet)
{
	unsigned int i;

	memset(packet, 0, sizeof(*packet));
	packet->ndw = 1;
	if (!ndw)
		return GFX9_SDMA_SHORT;
	for (i = 0; i < ARRAY_SIZE(packets); i++) {
		if (packets[i].op == FIELD_GET(SDMA_OP, dw[0]) &&
		    packets[i].sub_op == FIELD_GET(SDMA_SUB_OP, dw[0]))
			break;
	}
	if (i == ARRAY_SIZE(packets))
		return GFX9_SDMA_BAD_OP;

	packet->ndw = packets[i].header_dw;
	if (packets[i].decode == decode_copy && (dw[0] & SDMA_COPY_BROADCAST)) {
		packet->broadcast = true;
		packet->ndw += 2;
	}
	if (ndw < packet->ndw)
		return GFX9_SDMA_SHORT;
	return packets[i].decode(dw, packet);
}

/* Does the memory satisfy the POLL? Unsigned, as the hardware compares. */
bool gfx9_sdma_poll_holds(const struct gfx9_sdma_packet *packet, u32 value)
{
	value &= packet->mask;
	switch (packet->func) {
	case GFX9_SDMA_ALWAYS:
		return true;
	case GFX9_SDMA_LT:
		return value < packet->data;
	case GFX9_SDMA_LE:
		return value <= packet->data;
	case GFX9_SDMA_EQ:
		return value == packet->data;
	case GFX9_SDMA_NE:
		return value != packet->data;
	case GFX9_SDMA_GE:
		return value >= packet->data;
	case GFX9_SDMA_GT:
		return value > packet->data;
	}
	return false;
}

static s64 signed_of(const struct gfx9_sdma_packet *packet, u64 value)
{
	return packet->wide ? (s64)value : (s32)value;
}

/* What the ATOMIC leaves where @old was; a 32-bit one in the low half. */
u64 gfx9_sdma_atomic_result(const struct gfx9_sdma_packet *packet, u64 old)
{
	u64 width = packet->wide ? U64_MAX : U32_MAX;
	u64 src = packet->src & width, new = old;

	old &= width;
	switch (packet->atomic) {
	case GFX9_ATOMIC_SWAP:
		new = src;
		break;
	case GFX9_ATOMIC_CMPSWAP:
		new = old == (packet->cmp & width) ? src : old;
		break;
	case GFX9_ATOMIC_ADD:
		new = old + src;
		break;
	case GFX9_ATOMIC_SUB:
		new = old - src;
		break;
	case GFX9_ATOMIC_SMIN:
		new = signed_of(packet, old) < signed_of(packet, src) ? old : src;
		break;
	case GFX9_ATOMIC_UMIN:
		new = min(old, src);
		break;
	case GFX9_ATOMIC_SMAX:
		new = signed_of(packet, old) > signed_of(packet, src) ? old : src;
		break;
	case GFX9_ATOMIC_UMAX:
		new = max(old, src);
		break;
	case GFX9_ATOMIC_AND:
		new = old & src;
		break;
	case GFX9_ATOMIC_OR:
		new = old | src;
		break;
	case GFX9_ATOMIC_XOR:
		new = old ^ src;
		break;
	case GFX9_ATOMIC_INC:
		new = old >= src ? 0 : old + 1;
		break;
	case GFX9_ATOMIC_DEC:
		new = !old || old > src ? src : old - 1;
		break;
	}
	return new & width;
}
