// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies by physical address: what the driver's own SDMA ring does on hardware, to
 * move pages of processes into VRAM and out of it.
 *
 * No page table and no queue has a part in it. Nobody accesses source or target but
 * this: the pages are locked and unmapped everywhere. Works in the caller, without
 * a lock, so that any number of copies run at once, and allocates nothing: it is
 * called to free memory.
 */
#include "gfx9_priv.h"

#include <linux/highmem.h>
#include <linux/hmm_mirror_copy.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>

/* Both sides within a page. */
static void copy_part(struct page *dst, unsigned long dst_off, struct page *src,
		      unsigned long src_off, size_t len)
{
	void *from = kmap_local_page(src);
	void *to = kmap_local_page(dst);

	memcpy(to + dst_off, from + src_off, len);
	kunmap_local(to);
	kunmap_local(from);
	cond_resched();
}

static struct page *system_page(u64 dma_addr)
{
	unsigned long pfn = dma_addr >> PAGE_SHIFT;

	return pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;
}

/**
 * struct copy_side - one side of a copy
 * @vram: its VRAM, or NULL: system memory
 * @addr: where it goes on
 */
struct copy_side {
	struct gfx9_vram *vram;
	u64 addr;
};

static struct page *side_page(const struct copy_side *side)
{
	return side->vram ? gfx9_vram_page(side->vram, side->addr) :
			    system_page(side->addr);
}

static int copy_run(struct copy_side dst, struct copy_side src, u64 len)
{
	struct page *to, *from;
	u64 n;

	while (len) {
		to = side_page(&dst);
		from = side_page(&src);
		if (WARN_ON_ONCE(!to || !from))
			return -EFAULT;
		n = min3(len, (u64)(PAGE_SIZE - offset_in_page(dst.addr)),
			 (u64)(PAGE_SIZE - offset_in_page(src.addr)));
		copy_part(to, offset_in_page(dst.addr), from,
			  offset_in_page(src.addr), n);
		dst.addr += n;
		src.addr += n;
		len -= n;
	}
	return 0;
}

static void count(struct gfx9_vram *vram, enum gfx9_copy_kind kind, u64 len)
{
	atomic64_inc(&vram->copies[kind].calls);
	atomic64_add(len, &vram->copies[kind].len);
}

int gfx9_copy(struct gfx9_vram *vram, enum gfx9_copy_kind kind,
	      struct gfx9_vram *peer, const struct hmm_mirror_copy *runs,
	      unsigned int nr)
{
	unsigned int i;
	u64 len = 0;
	int err;

	might_sleep();
	if (peer && !gfx9_vram_linked(vram, peer))
		return -EOPNOTSUPP;
	for (i = 0; i < nr; i++) {
		struct copy_side here = { vram, runs[i].dev_addr };
		struct copy_side there = { peer, runs[i].other };

		err = kind == GFX9_COPY_TO_RAM ?
		      copy_run(there, here, runs[i].len) :
		      copy_run(here, there, runs[i].len);
		if (err)
			return err;
		len += runs[i].len;
	}
	count(vram, kind, len);
	return 0;
}

void gfx9_copy_counts(struct gfx9_vram *vram, enum gfx9_copy_kind kind,
		      u64 *calls, u64 *len)
{
	*calls = atomic64_read(&vram->copies[kind].calls);
	*len = atomic64_read(&vram->copies[kind].len);
}
