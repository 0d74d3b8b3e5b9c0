/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The zoo: one of each kind of mapping that an address space can have.
 *
 * A kind makes its mapping in a process of its own, looks whether it really is what it
 * is meant to be (pagemap, kpageflags, smaps), and says what may be expected of it. The
 * comparison of the walks (zoo_compare.c) and the faults (zoo_fault.c) know no kinds:
 * each copy of a mapping is made in a forked child, looked at, and gone with the child.
 *
 * Terms: a *window* is what the kind asks to be looked at; it begins at a page and may
 * contain holes. A page's *word* is its first eight bytes.
 */
#ifndef ZOO_H
#define ZOO_H

#include "hmt.h"

#define ZPAGE		4096UL
#define ZHUGE		(2UL << 20)
#define ZGIANT		(1UL << 30)
#define ZHUGE_NPAGES	(ZHUGE / ZPAGE)

#define ZOO_ANY		UINT64_MAX	/* a word nobody looks at */

/* Not in the headers of the oldest build root. */
#define ZOO_MADV_GUARD_INSTALL	102
#define ZOO_MADV_GUARD_REMOVE	103

/* What a fault may be asked for; the order of the runs of a kind. */
enum zoo_req { ZOO_NONE, ZOO_READ, ZOO_WRITE, ZOO_WRITE_IF_VMA, ZOO_NR_REQS };

/**
 * struct zoo - a mapping that was made
 * @va: where the window begins
 * @npages: how long it is
 * @word: of each page, after a fault
 * @page_errno: (optional) which error a fault of the page ends with for a reason that
 *	the VMA does not show; 0 is none
 * @arg: the kind's own
 * @owner: the client's, of device memory; 0: none
 */
struct zoo {
	char *va;
	size_t npages;
	uint64_t *word;
	int (*page_errno)(const struct zoo *z, size_t page, enum zoo_req req);
	long arg;
	uint64_t owner;
};

/* What is different for a kind. */
#define ZOO_PAGES_MOVE	0x01	/* pages may be replaced by themselves or by a read */
#define ZOO_NO_FAULT	0x02	/* only compared: others share it or it is the program */
#define ZOO_UNSTABLE	0x04	/* used while it is looked at: compare what holds still */
#define ZOO_ALLOCATES	0x08	/* a read fault allocates private memory */
#define ZOO_SLOW	0x10	/* large: fewer windows */
#define ZOO_EXACT	0x20	/* a fault touches no page it was not asked for */
#define ZOO_DEVICE	0x40	/* some of it may be memory of a device */

struct zoo_kind {
	const char *name;
	void (*make)(struct zoo *z);
	unsigned int flags;
};

/* ---- the end of a child (zoo_util.c) ---- */

/* The mapping cannot be had here; why. Ends the process, and the case as skipped. */
void zoo_skip(const char *why, ...) __attribute__((noreturn, format(printf, 1, 2)));

/*
 * Runs @fn(@arg) in a child; returns 0, or 77 with the reason in @why. A child that
 * fails ends the case, after its message.
 */
int zoo_in_child(const char *what, void (*fn)(void *arg), void *arg, char *why,
		 size_t why_len);
/* A child that runs @fn, if there is one, and then lives as long as the caller. */
void zoo_peer_start(void (*fn)(void *arg), void *arg);
/* Goes on in a child; who called stays as it is, waits and ends as the child does. */
void zoo_become_child(void);

/* ---- memory (zoo_util.c) ---- */

bool zoo_is_debug(void);	/* a kernel that is some ten times slower */
/* Address space of @len bytes, aligned, nothing mapped in it nor next to it. */
char *zoo_reserve(size_t len, size_t align);
/* At @va; flags as for mmap() but for MAP_FIXED. */
char *zoo_mmap(char *va, size_t len, int prot, int flags, int fd, off_t offset);
/* A private anonymous window of @npages with room around it; no huge pages. */
void zoo_anon(struct zoo *z, size_t npages);
/* The window's words, all @word. */
void zoo_window(struct zoo *z, char *va, size_t npages, uint64_t word);
/* How many pages an ordinary window has: some more than two tables of them. */
size_t zoo_npages(void);
/* Writes the page's own word. */
void zoo_touch(struct zoo *z, size_t page);
void zoo_touch_all(struct zoo *z);
uint64_t zoo_word(const struct zoo *z, size_t page);
uint64_t zoo_peek(const char *va);
void zoo_poke(char *va, uint64_t word);

/* ---- what the kernel says about pages (zoo_pages.c) ---- */

#define ZPM_PRESENT	(1ULL << 63)
#define ZPM_SWAPPED	(1ULL << 62)
#define ZPM_FILE	(1ULL << 61)
#define ZPM_GUARD	(1ULL << 58)
#define ZPM_UFFD_WP	(1ULL << 57)
#define ZPM_EXCLUSIVE	(1ULL << 56)
#define ZPM_SOFT_DIRTY	(1ULL << 55)
#define ZPM_PFN		((1ULL << 55) - 1)

#define ZKPF_ANON	(1ULL << 12)
#define ZKPF_HUGE	(1ULL << 17)
#define ZKPF_HWPOISON	(1ULL << 19)
#define ZKPF_THP	(1ULL << 22)
#define ZKPF_ZERO_PAGE	(1ULL << 24)

uint64_t zoo_pagemap(const char *va);
void zoo_pagemaps(const char *va, size_t npages, uint64_t *entries);
/* Of the page mapped there; 0 when none is present. */
uint64_t zoo_kpageflags(const char *va);
uint64_t zoo_pfn_flags(uint64_t pfn);
/* How many pages of the window have all of @bits in pagemap. */
size_t zoo_count(const struct zoo *z, uint64_t bits);
/* How many of the present pages have all of @bits in kpageflags. */
size_t zoo_count_kpf(const struct zoo *z, uint64_t bits);
/*
 * How many pages of the window share their page with another one of it; @which may be NULL.
 * (KSM in kpageflags is set for every private page on some kernels.)
 */
size_t zoo_merged(const struct zoo *z, bool *which);
/* How many of the pages are mapped by huge entries. */
size_t zoo_count_huge(const struct zoo *z);

/* A mapping as /proc/self/smaps has it. */
struct zoo_vma {
	unsigned long start, end;
	bool read, write, exec;
	bool io, pfnmap, mixedmap, shadow_stack;
	unsigned long swap_kib;	/* also of the file's pages that no entry tells of */
	char flags[128];	/* VmFlags, with a blank at each end */
	char name[64];
};

size_t zoo_vmas(struct zoo_vma **vmas);
/* The one at @va, or NULL; @vmas sorted. */
const struct zoo_vma *zoo_vma_at(const struct zoo_vma *vmas, size_t n,
				 const char *va);
/* One read of smaps: the VMA at @va has the two-letter flag. */
bool zoo_vma_has(const char *va, const char *flag);
size_t zoo_vma_swapped(const char *va);	/* how many of its pages */

/* ---- files and switches of the system (zoo_sys.c) ---- */

int zoo_memfd(const char *name, size_t len, unsigned int flags);
/* An unlinked file in @dir with the words of the window in it. */
int zoo_file(const char *dir, size_t len);
/* Write the page's own word to a file; the mapping sees it. */
void zoo_pwrite(struct zoo *z, int fd, size_t page, off_t offset);
bool zoo_read_sys(const char *path, char *buf, size_t len);
long zoo_read_long(const char *path, long otherwise);
/* Returns 0 or -errno. */
int zoo_write_sys(const char *path, const char *text);
/* Writes @text for as long as the case runs; skips when that is not possible. */
void zoo_set_sys(const char *path, const char *text);
void zoo_need_thp(void);
void zoo_need_hugetlb(size_t page_len, size_t npages);
void zoo_need_swap(void);
void zoo_need_nodes(void);
void zoo_need_madvise(int advice, const char *name);
/* As busy as it can be, or off. */
void zoo_numa_scanning(bool on);
/* Once per process, before anything is made: switch off what moves pages by itself. */
void zoo_still(void);

/* ---- the kinds ---- */

struct zoo_group {
	const struct zoo_kind *kinds;
	size_t nkinds;
};

#define ZOO_GROUP(var, table) \
	const struct zoo_group var = { table, HMT_COUNT(table) }

extern const struct zoo_group zoo_anon_kinds, zoo_thp_kinds, zoo_file_kinds,
	zoo_hugetlb_kinds, zoo_giant_kinds, zoo_special_kinds, zoo_reclaim_kinds,
	zoo_numa_kinds, zoo_broken_kinds, zoo_device_kinds;

#endif /* ZOO_H */
