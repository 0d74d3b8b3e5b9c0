/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the cases of memory in VRAM share: whether there is any, where pages are, and a
 * second GPU.
 */
#ifndef CONF_VRAM_H
#define CONF_VRAM_H

#include "conf.h"

#define HUGE_PAGES (KT_HUGE / KT_PAGE)

/* Flags of a case that make it need VRAM of some sort. */
#define VRAM_NEEDS (CONF_VRAM | CONF_FAULT_BACK | CONF_TWO_GPUS | CONF_LINK | \
		    CONF_NO_LINK | CONF_SMALL_VRAM)

/**
 * enum vram_kind - what a prefetch to the GPU does here
 * @VRAM_NONE: moves nothing
 * @VRAM_PRIVATE: moves memory; a CPU access brings it back
 * @VRAM_COHERENT: moves memory; the CPU uses it where it is
 */
enum vram_kind { VRAM_NONE, VRAM_PRIVATE, VRAM_COHERENT };

/**
 * struct vram_have - what was found out before the first case
 * @kind: of VRAM
 * @why: why there is none
 * @len: bytes that were free
 * @ngpus: GPUs from the chosen node on
 * @linked: the first two are of one hive
 * @first_pfn: of coherent memory, as /proc/self/pagemap has it; 0: not known
 * @end_pfn: behind the last
 */
struct vram_have {
	enum vram_kind kind;
	char why[192];
	uint64_t len;
	unsigned int ngpus;
	bool linked;
	uint64_t first_pfn;
	uint64_t end_pfn;
};

extern struct vram_have vram;

/* Finds out, in a process of its own. */
void vram_probe(void);
/* "private", "coherent" or "none" is what must be there. */
bool vram_is(const char *kind);
/* Why a case with these flags cannot run, or NULL. */
const char *vram_lacks(unsigned int flags);

/* ---- memory ---- */

/* Aligned to 2 MiB, small pages, no neighbour that the kernel could merge it with. */
void *vram_map(size_t len);
/* The same in huge pages; the case is skipped if there are none to be had. */
void *vram_map_thp(size_t len);
/* Huge pages of [p, p + len), in KiB. */
unsigned long thp_kib(const void *p);
/* Registers exactly this range for the GPU, in both modes. */
void vram_register(void *p, size_t len);
void set_attr(void *p, size_t len, uint32_t type, uint32_t value);
/* PREFETCH_LOC to the GPU in use, or to system memory. */
void prefetch(void *p, size_t len);
void prefetch_back(void *p, size_t len);
/* vram_map(), filled, registered and moved; all of it must be in VRAM then. */
void *vram_filled(size_t len, uint32_t seed);
/* vram_map(), filled and registered, of 1 << @lg2 pages that move as one. */
void *vram_map_window(unsigned int lg2, uint32_t seed);
void cpu_touch(const void *p);

/* ---- where pages are ---- */

/* Pages of the span in VRAM of any GPU, as the CPU's page table says. Needs root. */
size_t in_vram(const void *p, size_t len);
bool page_in_vram(const void *p);
void expect_in_vram(const void *p, size_t len, size_t npages);

/* Pages that moved to and from VRAM of the GPU in use, for this process. */
struct moves {
	uint64_t in, out;
};
struct moves moves_now(void);
/* Since @m was taken; @m becomes now. */
void expect_moves(struct moves *m, uint64_t in, uint64_t out);
/* VRAM this process uses on the GPU in use, bytes. */
uint64_t vram_used(void);
/* It becomes @bytes; memory that was freed may come back a moment later. */
void expect_vram_used(uint64_t bytes);
/* VRAM nobody uses, bytes. */
uint64_t vram_free(void);
/* VRAM a memory object can have, as AVAILABLE_MEMORY says. */
uint64_t vram_available(void);
void expect_vram_free(uint64_t at_least);

/* ---- a second GPU ---- */

/* Opens the first two; the first is in use. */
void open_two_gpus(void);
/* All gpu_ functions, and those above, are about this one now. */
void use_gpu(unsigned int i);

/* ---- more than fits ---- */

/*
 * A process that fills @len bytes, moves them and checks them @rounds times; each time it
 * says 'e' if memory of its was evicted until then, or 'r', and waits for an 'x'.
 */
struct hog {
	size_t len;
	unsigned int rounds;
	uint32_t seed;
	struct chan chan;
	pid_t pid;
};
void hog_start(struct hog *hog, size_t len, unsigned int rounds, uint32_t seed);

#endif /* CONF_VRAM_H */
