/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _HMM_MIRROR_DEVMEM_H
#define _HMM_MIRROR_DEVMEM_H

#include "hmm_mirror_devmem.h"

#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/migrate.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct mm_struct;
struct resource;

#define PIECE_NPAGES	512UL

/**
 * struct memory - of a device
 * @pgmap: what the kernel knows of it
 * @res: its addresses, NULL: there is no such memory
 * @first_pfn: first page
 * @npages: how many are handed out
 * @neighbours: pages of RAM below and above coherent memory, kept until they are wanted
 * @data: what stands in private memory, which has no place of its own; else NULL
 * @lock: guards @used, @nr_used; innermost, also taken where pages are freed
 * @used: a bit for each page
 * @nr_used: of them set
 * @nr_faults: CPU faults served
 */
struct memory {
	struct dev_pagemap pgmap;
	struct resource *res;
	unsigned long first_pfn;
	unsigned long npages;
	struct page *neighbours[2];
	void *data;
	spinlock_t lock;	/* see above */
	unsigned long *used;
	unsigned long nr_used;
	atomic64_t nr_faults;
};

/**
 * struct move - pages under way, at most PIECE_NPAGES at a time
 * @memory: to or from which
 * @to: HMD_TO_*
 * @huge: huge pages stay huge
 * @offset: the next page to use of @memory, or HMD_ANYWHERE
 * @nr_moved: pages
 * @err: why one did not
 * @src: the kernel's list of what is there
 * @dst: ours of where it goes
 */
struct move {
	struct memory *memory;
	unsigned int to;
	bool huge;
	u64 offset;
	u64 nr_moved;
	int err;
	unsigned long src[PIECE_NPAGES];
	unsigned long dst[PIECE_NPAGES];
};

/* memory.c */
extern struct memory memories[HMD_NR_MEMORIES];
int memories_init(const char *reserved);
void memories_exit(void);
struct memory *memory_find(unsigned int which);
struct memory *memory_of_pfn(unsigned long pfn);
void *memory_data(struct page *page);
struct page *memory_take(struct memory *memory, u64 offset, unsigned int order);
struct page *memory_neighbour(struct memory *memory, bool above);
bool memory_is_used(struct memory *memory, unsigned long pfn);
unsigned long memory_nr_used(struct memory *memory);

/* move.c */
int move_span(struct move *move, struct mm_struct *mm, unsigned long first_va,
	      unsigned long last_va);
int move_evict(struct memory *memory);
vm_fault_t move_on_fault(struct vm_fault *vmf);

#endif /* _HMM_MIRROR_DEVMEM_H */
