// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of devices: private and coherent, the client's and somebody else's, beside RAM.
 *
 * The client's owner is HMD_OWNER, that of HMD_PRIVATE and HMD_COHERENT.
 */
#include "devmem.h"
#include "zoo.h"

static void need(unsigned int memory)
{
	const char *why = dm_missing(memory);

	if (why)
		zoo_skip("%s", why);
}

/* Touched, in RAM, of a client that knows its own memory. */
static void window(struct zoo *z)
{
	zoo_anon(z, ZHUGE_NPAGES + 76);
	zoo_touch_all(z);
	z->owner = HMD_OWNER;
}

static void to_device(struct zoo *z, size_t first, size_t npages, unsigned int memory)
{
	dm_to_device(z->va + first * ZPAGE, npages, memory);
}

static void whole(struct zoo *z, unsigned int memory)
{
	size_t present;

	need(memory);
	window(z);
	to_device(z, 0, z->npages, memory);
	present = zoo_count(z, ZPM_PRESENT);
	/* Private pages are swapped out, in pagemap's eyes. */
	if (memory == HMD_PRIVATE || memory == HMD_PRIVATE_OTHER)
		hmt_check(!present && zoo_count(z, ZPM_SWAPPED) == z->npages);
	else
		hmt_check(present == z->npages &&
			  dm_has(memory, zoo_pagemap(z->va) & ZPM_PFN));
}

static void private_own(struct zoo *z)
{
	whole(z, HMD_PRIVATE);
}

static void private_other(struct zoo *z)
{
	whole(z, HMD_PRIVATE_OTHER);
}

static void private_without_owner(struct zoo *z)
{
	whole(z, HMD_PRIVATE);
	z->owner = 0;
}

static void coherent_own(struct zoo *z)
{
	whole(z, HMD_COHERENT);
}

static void coherent_other(struct zoo *z)
{
	whole(z, HMD_COHERENT_OTHER);
}

/* Runs of 1 to 9 pages: the one, the other, RAM. */
static void mixed(struct zoo *z, unsigned int one, unsigned int other)
{
	size_t n;

	need(one);
	need(other);
	window(z);
	for (size_t i = 0, run = 0; i < z->npages; i += n, run++) {
		n = 1 + hmt_random_below(9);
		n = n < z->npages - i ? n : z->npages - i;
		if (run % 3)
			to_device(z, i, n, run % 3 == 1 ? one : other);
	}
}

static void private_mixed(struct zoo *z)
{
	mixed(z, HMD_PRIVATE, HMD_PRIVATE_OTHER);
}

static void coherent_mixed(struct zoo *z)
{
	mixed(z, HMD_COHERENT, HMD_COHERENT_OTHER);
}

static void private_and_coherent(struct zoo *z)
{
	mixed(z, HMD_PRIVATE, HMD_COHERENT);
}

static void between_holes(struct zoo *z, unsigned int memory)
{
	need(memory);
	zoo_anon(z, ZHUGE_NPAGES + 76);
	z->owner = HMD_OWNER;
	for (size_t i = 0; i < z->npages; i += 5) {
		zoo_touch(z, i);
		to_device(z, i, 1, memory);
	}
}

static void private_between_holes(struct zoo *z)
{
	between_holes(z, HMD_PRIVATE);
}

static void coherent_between_holes(struct zoo *z)
{
	between_holes(z, HMD_COHERENT);
}

/* Shared with a child, and some of it ours again. */
static void forked(struct zoo *z, unsigned int memory)
{
	whole(z, memory);
	zoo_peer_start(NULL, NULL);
	for (size_t i = 0; i < z->npages; i += 3)
		zoo_touch(z, i);
}

static void private_forked_parent(struct zoo *z)
{
	forked(z, HMD_PRIVATE);
}

static void coherent_forked_parent(struct zoo *z)
{
	forked(z, HMD_COHERENT);
}

static void private_forked_child(struct zoo *z)
{
	whole(z, HMD_PRIVATE);
	zoo_become_child();
}

static void private_read_only(struct zoo *z)
{
	whole(z, HMD_PRIVATE);
	hmt_check(!mprotect(z->va + 100 * ZPAGE, 200 * ZPAGE, PROT_READ));
}

static void private_moved_by_mremap(struct zoo *z)
{
	char *to = zoo_reserve(2 * ZHUGE, ZHUGE) + 5 * ZPAGE;

	whole(z, HMD_PRIVATE);
	hmt_check(mremap(z->va, z->npages * ZPAGE, z->npages * ZPAGE,
			 MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	z->va = to;
}

/* Two huge pages and something behind. */
static void huge(struct zoo *z, unsigned int memory)
{
	need(memory);
	if (!dm_have_huge())
		zoo_skip("huge pages do not go to devices on this kernel");
	zoo_need_thp();
	zoo_anon(z, 2 * ZHUGE_NPAGES + 76);
	hmt_check(!madvise(z->va, z->npages * ZPAGE, MADV_HUGEPAGE));
	zoo_touch_all(z);
	z->owner = HMD_OWNER;
	if (zoo_count_huge(z) != 2 * ZHUGE_NPAGES)
		zoo_skip("no huge pages to be had");
	hmt_expect(dm_move(z->va, z->npages, memory, HMD_TO_DEVICE, HMD_HUGE,
			   HMD_ANYWHERE), (long)z->npages);
	hmt_check(!zoo_count(z, ZPM_PRESENT));
}

static void private_huge(struct zoo *z)
{
	huge(z, HMD_PRIVATE);
}

static void private_huge_other(struct zoo *z)
{
	huge(z, HMD_PRIVATE_OTHER);
}

static void private_huge_without_owner(struct zoo *z)
{
	huge(z, HMD_PRIVATE);
	z->owner = 0;
}

static void private_huge_forked_parent(struct zoo *z)
{
	huge(z, HMD_PRIVATE);
	zoo_peer_start(NULL, NULL);
}

/* The entry is split, the page may stay whole. */
static void private_huge_split(struct zoo *z)
{
	huge(z, HMD_PRIVATE);
	hmt_check(!mprotect(z->va + 10 * ZPAGE, 20 * ZPAGE, PROT_READ));
	hmt_check(!munmap(z->va + (ZHUGE_NPAGES + 30) * ZPAGE, 50 * ZPAGE));
	for (size_t i = ZHUGE_NPAGES + 30; i < ZHUGE_NPAGES + 80; i++)
		z->word[i] = ZOO_ANY;
}

static const struct zoo_kind kinds[] = {
	{ "private", private_own, ZOO_EXACT | ZOO_DEVICE },
	{ "private_other", private_other, ZOO_EXACT | ZOO_DEVICE },
	{ "private_without_owner", private_without_owner, ZOO_EXACT | ZOO_DEVICE },
	{ "private_mixed", private_mixed, ZOO_EXACT | ZOO_DEVICE },
	{ "private_and_coherent", private_and_coherent, ZOO_EXACT | ZOO_DEVICE },
	{ "private_between_holes", private_between_holes, ZOO_EXACT | ZOO_DEVICE },
	{ "private_forked_parent", private_forked_parent, ZOO_EXACT | ZOO_DEVICE },
	{ "private_forked_child", private_forked_child, ZOO_EXACT | ZOO_DEVICE },
	{ "private_read_only", private_read_only, ZOO_EXACT | ZOO_DEVICE },
	{ "private_moved_by_mremap", private_moved_by_mremap, ZOO_EXACT | ZOO_DEVICE },
	{ "private_huge", private_huge, ZOO_DEVICE },
	{ "private_huge_other", private_huge_other, ZOO_DEVICE },
	{ "private_huge_without_owner", private_huge_without_owner, ZOO_DEVICE },
	{ "private_huge_forked_parent", private_huge_forked_parent, ZOO_DEVICE },
	{ "private_huge_split", private_huge_split, ZOO_DEVICE },
	{ "coherent", coherent_own, ZOO_EXACT | ZOO_DEVICE },
	{ "coherent_other", coherent_other, ZOO_EXACT | ZOO_DEVICE },
	{ "coherent_mixed", coherent_mixed, ZOO_EXACT | ZOO_DEVICE },
	{ "coherent_between_holes", coherent_between_holes, ZOO_EXACT | ZOO_DEVICE },
	{ "coherent_forked_parent", coherent_forked_parent, ZOO_EXACT | ZOO_DEVICE },
};

ZOO_GROUP(zoo_device_kinds, kinds);
