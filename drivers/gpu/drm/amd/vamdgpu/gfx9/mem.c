// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of a queue: each in an access section, each address translated.
 */
#include "gfx9_priv.h"

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* A contended word is given up to the next slice after so many tries. */
#define ATOMIC_TRIES	64

static enum gfx9_step section_enter(struct gfx9_queue *q)
	__acquires(&q->vm->access_lock)
{
	struct gfx9_vm *vm = q->vm;
	enum gfx9_step step = GFX9_STEP_DONE;

	read_lock(&vm->access_lock);
	/* Pairs with WRITE_ONCE() in halt_queue(). */
	if (vm->killed || READ_ONCE(q->halt)) {
		step = GFX9_STEP_HALT;
	} else if (vm->stopped) {
		q->stop_met = vm->stop_epoch;
		step = GFX9_STEP_STOPPED;
	} else if (q->tlb_generation != vm->generation) {
		gfx9_tlb_flush(&q->tlb);
		q->tlb_generation = vm->generation;
	}
	return step;
}

static void section_leave(struct gfx9_queue *q)
	__releases(&q->vm->access_lock)
{
	read_unlock(&q->vm->access_lock);
}

static enum gfx9_step note_fault(struct gfx9_queue *q, u64 va, bool write)
{
	q->fault_va = va;
	q->fault_write = write;
	return GFX9_STEP_FAULT;
}

static bool translate(struct gfx9_queue *q, u64 va, bool write,
		      struct gfx9_xlat *x)
{
	if (gfx9_tlb_lookup(&q->tlb, va, x) && gfx9_pte_allows(x->pte, write))
		return true;
	if (!gfx9_pt_walk(&q->vm->pt, va, x) || !gfx9_pte_allows(x->pte, write))
		return false;
	gfx9_tlb_insert(&q->tlb, va, x);
	return true;
}

static bool is_doorbell(const struct gfx9_vm *vm, const u8 *p)
{
	return p >= vm->bells && p < vm->bells + vm->bells_len;
}

/*
 * Makes the byte at @va and the rest of its page accessible; undone by
 * kunmap_local(). Not every page of a process can be reached through the
 * kernel's direct map: memfd_secret() takes its pages out. Hence the probe.
 */
static enum gfx9_step map_byte(struct gfx9_queue *q, u64 va, bool write,
			       void **p)
{
	struct page *page = NULL;
	struct gfx9_xlat x;
	u64 addr;
	u8 probe;

	lockdep_assert_held_read(&q->vm->access_lock);
	if (!translate(q, va, write, &x))
		return note_fault(q, va, write);
	addr = x.addr + (va & ((1ULL << x.shift) - 1));
	gfx9_oracle_check(q, va, x.pte, addr);
	if (!(x.pte & GFX9_PTE_SYSTEM))
		page = gfx9_vram_resolve(q->vm->vram, addr);
	else if (pfn_valid(addr >> PAGE_SHIFT))
		page = pfn_to_page(addr >> PAGE_SHIFT);
	if (page) {
		*p = kmap_local_page(page) + offset_in_page(va);
		if (!get_kernel_nofault(probe, (u8 *)*p)) {
			q->rang |= write && is_doorbell(q->vm, *p);
			return GFX9_STEP_DONE;
		}
		kunmap_local(*p);
	}
	q->error = GFX9_ERROR_MEMORY;
	return GFX9_STEP_ERROR;
}

static u64 left_in_page(u64 va)
{
	return PAGE_SIZE - offset_in_page(va);
}

/* A single load or store where the width allows it. */
static void load(void *buf, const void *p, unsigned int len)
{
	if (len == sizeof(u64) && IS_ALIGNED((unsigned long)p, sizeof(u64)))
		*(u64 *)buf = READ_ONCE(*(const u64 *)p);
	else if (len == sizeof(u32) && IS_ALIGNED((unsigned long)p, sizeof(u32)))
		*(u32 *)buf = READ_ONCE(*(const u32 *)p);
	else
		memcpy(buf, p, len);
}

static void store(void *p, const void *buf, unsigned int len)
{
	if (len == sizeof(u64) && IS_ALIGNED((unsigned long)p, sizeof(u64)))
		WRITE_ONCE(*(u64 *)p, *(const u64 *)buf);
	else if (len == sizeof(u32) && IS_ALIGNED((unsigned long)p, sizeof(u32)))
		WRITE_ONCE(*(u32 *)p, *(const u32 *)buf);
	else
		memcpy(p, buf, len);
}

static enum gfx9_step transfer(struct gfx9_queue *q, u64 va, void *buf,
			       unsigned int len, bool write)
{
	enum gfx9_step step = section_enter(q);
	unsigned int at = 0, n;
	void *p;

	while (step == GFX9_STEP_DONE && at < len) {
		step = map_byte(q, va + at, write, &p);
		if (step != GFX9_STEP_DONE)
			break;
		n = min_t(u64, len - at, left_in_page(va + at));
		if (write)
			store(p, buf + at, n);
		else
			load(buf + at, p, n);
		kunmap_local(p);
		at += n;
	}
	section_leave(q);
	return step;
}

/* A few bytes: all of them, or it was as if none. */
enum gfx9_step gfx9_mem_read(struct gfx9_queue *q, u64 va, void *buf,
			     unsigned int len)
{
	return transfer(q, va, buf, len, false);
}

/*
 * 4 or 8 bytes that tell somebody that what came before is done: all earlier
 * stores of this queue are visible before.
 */
enum gfx9_step gfx9_mem_store(struct gfx9_queue *q, u64 va, u64 value,
			      unsigned int len)
{
	u32 low = value;

	/* Pairs with the acquire of whoever polls the word. */
	smp_wmb();
	return transfer(q, va, len == sizeof(low) ? (void *)&low : &value, len,
			true);
}

/*
 * Bulk accesses: do a section's worth at most, add it to *@done. A fault counts
 * only when nothing was done before it.
 */
static enum gfx9_step bulk_result(enum gfx9_step step, u64 did, u64 len,
				  u64 *done)
{
	*done += did;
	if (did && (step == GFX9_STEP_DONE || step == GFX9_STEP_FAULT))
		return did == len ? GFX9_STEP_DONE : GFX9_STEP_MORE;
	return step;
}

enum gfx9_step gfx9_mem_copy(struct gfx9_queue *q, u64 dst_va, u64 src_va,
			     u64 len, u64 *done)
{
	enum gfx9_step step = section_enter(q);
	u64 part = min_t(u64, len, GFX9_SECTION_LEN);
	void *src, *dst;
	u64 at = 0, n;

	while (step == GFX9_STEP_DONE && at < part) {
		step = map_byte(q, src_va + at, false, &src);
		if (step != GFX9_STEP_DONE)
			break;
		step = map_byte(q, dst_va + at, true, &dst);
		if (step == GFX9_STEP_DONE) {
			n = min3(part - at, left_in_page(src_va + at),
				 left_in_page(dst_va + at));
			memmove(dst, src, n);
			kunmap_local(dst);
			at += n;
		}
		kunmap_local(src);
	}
	section_leave(q);
	return bulk_result(step, at, len, done);
}

static void fill(u8 *p, u32 pattern, unsigned int phase, unsigned int len)
{
	unsigned int i;

	if (!phase && IS_ALIGNED((unsigned long)p | len, sizeof(u32))) {
		memset32((u32 *)p, pattern, len / sizeof(u32));
		return;
	}
	for (i = 0; i < len; i++)
		p[i] = pattern >> (8 * ((phase + i) % sizeof(u32)));
}

enum gfx9_step gfx9_mem_fill(struct gfx9_queue *q, u64 dst_va, u32 pattern,
			     unsigned int unit, u64 len, u64 *done)
{
	enum gfx9_step step = section_enter(q);
	u64 part = min_t(u64, len, GFX9_SECTION_LEN);
	unsigned int phase = *done % sizeof(u32);
	u64 at = 0, n;
	void *p;

	while (step == GFX9_STEP_DONE && at < part) {
		step = map_byte(q, dst_va + at, true, &p);
		if (step != GFX9_STEP_DONE)
			break;
		n = min(part - at, left_in_page(dst_va + at));
		if (unit == 1)
			memset(p, pattern, n);
		else
			fill(p, pattern, (phase + at) % sizeof(u32), n);
		kunmap_local(p);
		at += n;
	}
	section_leave(q);
	return bulk_result(step, at, len, done);
}

static bool try_atomic(void *p, const struct gfx9_sdma_packet *packet, u64 *old)
{
	u32 old32, new32;
	u64 new;

	if (packet->wide) {
		*old = READ_ONCE(*(u64 *)p);
		new = gfx9_sdma_atomic_result(packet, *old);
		return try_cmpxchg((u64 *)p, old, new);
	}
	old32 = READ_ONCE(*(u32 *)p);
	*old = old32;
	new32 = gfx9_sdma_atomic_result(packet, old32);
	return try_cmpxchg((u32 *)p, &old32, new32);
}

/*
 * Atomic against the CPU too: the word may be a signal that both count down. An
 * aligned word does not cross a page.
 */
enum gfx9_step gfx9_mem_atomic(struct gfx9_queue *q,
			       const struct gfx9_sdma_packet *p, u64 *old)
{
	enum gfx9_step step = section_enter(q);
	unsigned int i;
	void *word;

	if (step == GFX9_STEP_DONE)
		step = map_byte(q, p->dst, true, &word);
	if (step == GFX9_STEP_DONE) {
		for (i = 0; i < ATOMIC_TRIES; i++) {
			if (try_atomic(word, p, old))
				break;
			cpu_relax();
		}
		kunmap_local(word);
		if (i == ATOMIC_TRIES)
			step = GFX9_STEP_MORE;
	}
	section_leave(q);
	return step;
}
