// SPDX-License-Identifier: GPL-2.0-only
/* Operations of the CPU, and what it asks the kernel to do with the memory. */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLD
#define MADV_COLD	20
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define CHILD_LEN	(SLOT_PAGES * KT_PAGE)	/* what a child looks at */

bool op_cpu_read(struct worker *w, const struct piece *p)
{
	if (p->slot->prot == PROT_IS_NONE ||
	    (batch_touches(w, p, true) && !batch_wait(w)))
		return false;
	check_bytes(w, "the CPU", p, piece_va(w->s, p), piece_model(w->s, p));
	return true;
}

bool op_cpu_write(struct worker *w, const struct piece *p)
{
	uint8_t *model = piece_model(w->s, p);

	if (p->slot->prot != PROT_IS_RW ||
	    (batch_touches(w, p, false) && !batch_wait(w)))
		return false;
	random_bytes(w, model, p->len);
	memcpy(piece_va(w->s, p), model, p->len);
	return true;
}

static int prot_bits(enum prot prot)
{
	switch (prot) {
	case PROT_IS_NONE:
		return PROT_NONE;
	case PROT_IS_RO:
		return PROT_READ;
	default:
		return PROT_READ | PROT_WRITE;
	}
}

static void clear_bytes(struct worker *w, const struct piece *p)
{
	if (p->slot->kind == KIND_ANON)
		memset(piece_model(w->s, p), 0, p->len);
	piece_set_mapped(w->s, p, false);
}

/* Whole pages of a slot that are as the rest of it, but new. What is around them stays. */
static bool map_part(struct worker *w, const struct piece *p)
{
	struct slot *slot = p->slot;
	bool shared = slot->kind == KIND_SHARED;
	uint8_t *va = piece_va(w->s, p);

	if (mmap(va, p->len, prot_bits(slot->prot),
		 MAP_FIXED_NOREPLACE |
		 (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		 shared ? w->s->fd : -1,
		 shared ? (off_t)(slot->file_page * KT_PAGE + p->at) : 0) != va)
		return fail(w, "mmap of what was unmapped: %m");
	clear_bytes(w, p);
	/* The attributes went with the pages; the GPU must not miss those of the others. */
	if (slot->access &&
	    kt_svm_set1(w->s->dev.kfd, va, p->len, KFD_SVM_ATTR_ACCESS, w->s->dev.gpu_id))
		return fail(w, "SET of what was mapped anew");
	return true;
}

bool op_remap(struct worker *w, const struct piece *p)
{
	struct piece part = piece_pages(p), all = slot_piece(p->slot);
	bool plain = !p->slot->no_access && !p->slot->gpu_ro;

	if (plain && random_below(w, 2)) {
		pthread_mutex_lock(&w->s->holes);
		if (munmap(piece_va(w->s, &part), part.len))
			fail(w, "munmap: %m");
		else
			map_part(w, &part);
		pthread_mutex_unlock(&w->s->holes);
		return true;
	}
	pthread_mutex_lock(&w->s->holes);
	if (random_below(w, 2) && munmap(piece_va(w->s, &all), all.len))
		fail(w, "munmap: %m");
	clear_bytes(w, &all);
	slot_map(w, p->slot);
	pthread_mutex_unlock(&w->s->holes);
	return true;
}

static bool protect(struct worker *w, struct slot *slot, enum prot prot)
{
	struct piece all = slot_piece(slot);

	if (slot->prot == prot)
		return false;
	if (mprotect(piece_va(w->s, &all), all.len, prot_bits(prot)))
		fail(w, "mprotect: %m");
	slot->prot = prot;
	piece_set_mapped(w->s, &all, false);
	return true;
}

bool op_rdonly(struct worker *w, const struct piece *p)
{
	return protect(w, p->slot, PROT_IS_RO);
}

bool op_none(struct worker *w, const struct piece *p)
{
	return protect(w, p->slot, PROT_IS_NONE);
}

bool op_rdwr(struct worker *w, const struct piece *p)
{
	return protect(w, p->slot, PROT_IS_RW);
}

static bool advise(struct worker *w, const struct piece *p, int advice)
{
	if (madvise(piece_va(w->s, p), p->len, advice))
		fail(w, "madvise(%d): %m", advice);
	piece_set_mapped(w->s, p, false);
	return true;
}

bool op_dontneed(struct worker *w, const struct piece *p)
{
	struct piece pages = piece_pages(p);

	clear_bytes(w, &pages);
	return advise(w, &pages, MADV_DONTNEED);
}

/*
 * Freed pages hold the old bytes or zeros until they are written, so they are written at
 * once, each of them whole; what the GPU writes counts as much as what the CPU does.
 */
bool op_free(struct worker *w, const struct piece *p)
{
	struct piece pages = piece_pages(p);
	bool by_gpu = random_below(w, 2);

	if (p->slot->kind != KIND_ANON || p->slot->prot != PROT_IS_RW ||
	    (by_gpu && !gpu_may(w, p->slot, true, true)))
		return false;
	advise(w, &pages, MADV_FREE);
	if (by_gpu) {
		gpu_fill(w, &pages, (uint32_t)random_below(w, 1ULL << 32));
		batch_wait(w);
	} else {
		memset(piece_model(w->s, &pages), (int)random_below(w, 256), pages.len);
		memcpy(piece_va(w->s, &pages), piece_model(w->s, &pages), pages.len);
	}
	if (random_below(w, 2))
		advise(w, &pages, MADV_PAGEOUT);
	return true;
}

bool op_punch(struct worker *w, const struct piece *p)
{
	struct piece pages = piece_pages(p);

	if (p->slot->kind != KIND_SHARED)
		return false;
	if (fallocate(w->s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(p->slot->file_page * KT_PAGE + pages.at), (off_t)pages.len))
		fail(w, "punching a hole: %m");
	memset(piece_model(w->s, &pages), 0, pages.len);
	piece_set_mapped(w->s, &pages, false);
	return true;
}

bool op_pageout(struct worker *w, const struct piece *p)
{
	struct piece pages = piece_pages(p);

	return w->s->has_swap && advise(w, &pages, MADV_PAGEOUT);
}

bool op_cold(struct worker *w, const struct piece *p)
{
	struct piece all = slot_piece(p->slot);

	/* Unmaps nothing; with huge pages it comes close. */
	if (madvise(piece_va(w->s, &all), all.len, MADV_COLD))
		fail(w, "madvise(MADV_COLD): %m");
	return true;
}

/* The whole 2 MiB, with neighbours: their bytes stay, too. It may not be possible. */
bool op_collapse(struct worker *w, const struct piece *p)
{
	uint8_t *va = piece_va(w->s, p);

	va -= (uintptr_t)va & (KT_HUGE - 1);
	if (madvise(va, KT_HUGE, MADV_COLLAPSE))
		return false;
	atomic_fetch_add(&w->s->epoch, 1);
	return true;
}

static bool advise_size(struct worker *w, struct slot *slot, int advice)
{
	struct piece all = slot_piece(slot);

	if (madvise(piece_va(w->s, &all), all.len, advice))
		fail(w, "madvise(%d): %m", advice);
	return true;
}

bool op_hugepage(struct worker *w, const struct piece *p)
{
	return advise_size(w, p->slot, MADV_HUGEPAGE);
}

bool op_nohugepage(struct worker *w, const struct piece *p)
{
	return advise_size(w, p->slot, MADV_NOHUGEPAGE);
}

static bool move(uint8_t *from, uint8_t *to, size_t len)
{
	return mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
}

static void swap_slots(struct worker *w, struct slot *a, struct slot *b, uint8_t *bounce)
{
	struct piece pa = slot_piece(a), pb = slot_piece(b);
	uint8_t *ma = piece_model(w->s, &pa), *mb = piece_model(w->s, &pb);
	enum prot prot = a->prot;

	memcpy(bounce, ma, pa.len);
	memcpy(ma, mb, pa.len);
	memcpy(mb, bounce, pa.len);
	a->prot = b->prot;
	b->prot = prot;
}

static void lose_attributes(struct worker *w, struct slot *slot)
{
	struct piece all = slot_piece(slot);

	slot->access = false;
	slot->no_access = false;
	slot->gpu_ro = false;
	piece_set_mapped(w->s, &all, false);
}

/*
 * Two slots change places. A slot of more than one VMA cannot be moved by every kernel:
 * then it stays, or goes back.
 */
static bool exchange(struct worker *w, struct slot *a, struct slot *b, uint8_t *spare,
		     uint8_t *bounce)
{
	struct piece pa = slot_piece(a), pb = slot_piece(b);
	uint8_t *va = piece_va(w->s, &pa), *vb = piece_va(w->s, &pb);

	if (!move(va, spare, pa.len))
		return false;
	lose_attributes(w, a);
	if (!move(vb, va, pa.len)) {
		if (!move(spare, va, pa.len))
			fail(w, "mremap back: %m");
		return true;
	}
	lose_attributes(w, b);
	swap_slots(w, a, b, bounce);
	if (!move(spare, vb, pa.len))
		fail(w, "mremap: %m");
	return true;
}

bool op_mremap(struct worker *w, const struct piece *p)
{
	unsigned int first = p->slot->npages == SLOT_PAGES ? 0 : NR_SMALL;
	unsigned int nr = first ? NR_HUGE : NR_SMALL;
	struct slot *other = &w->s->slots[first + random_below(w, nr)];
	size_t len = p->slot->npages * KT_PAGE;
	uint8_t *spare, *bounce;
	bool done = false;

	if (other == p->slot || other->kind != KIND_ANON || p->slot->kind != KIND_ANON ||
	    !own_second(w, other))
		return false;
	bounce = malloc(len);
	pthread_mutex_lock(&w->s->holes);
	spare = mmap(NULL, len + KT_HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (spare == MAP_FAILED || !bounce) {
		fail(w, "no memory: %m");
	} else {
		/* At the same place in 2 MiB, tables and huge pages can move whole. */
		done = exchange(w, p->slot, other,
				spare + (-(uintptr_t)spare & (KT_HUGE - 1)), bounce);
		munmap(spare, len + KT_HUGE);
	}
	pthread_mutex_unlock(&w->s->holes);
	free(bounce);
	return done;
}

static int child_main(struct worker *w, const struct piece *p, int from_parent)
{
	uint8_t *va = piece_va(w->s, p), *model = piece_model(w->s, p);
	uint8_t byte;

	if (read(from_parent, &byte, 1) != 1)
		return 3;
	if (p->slot->prot != PROT_IS_RW && mprotect(va, p->len, PROT_READ | PROT_WRITE))
		return 4;
	if (p->slot->kind == KIND_SHARED)
		return 0;	/* has the parent's writes, and shall not write */
	if (memcmp(va, model, p->len))
		return 1;
	random_bytes(w, model, p->len);
	memcpy(va, model, p->len);
	return memcmp(va, model, p->len) ? 2 : 0;
}

/* The child sees what was there at the fork, whatever the parent and its GPU write then. */
bool op_fork(struct worker *w, const struct piece *p)
{
	struct piece part = piece_pages(p);
	int pipe_fds[2], status = 0;
	pid_t pid;

	if (part.len > CHILD_LEN)
		part.len = CHILD_LEN;
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		fail(w, "pipe: %m");
		return true;
	}
	pid = fork();
	if (!pid)
		_exit(child_main(w, &part, pipe_fds[0]));
	if (pid < 0)
		fail(w, "fork: %m");
	/* All that was mapped for writing is gone from the GPU. */
	atomic_fetch_add(&w->s->epoch, 1);
	if (pid > 0 && random_below(w, 4) && gpu_may(w, p->slot, true, false)) {
		/* What has been read is mapped, and not to be written so. */
		if (random_below(w, 2))
			op_gpu_read(w, p);
		gpu_fill(w, &part, (uint32_t)random_below(w, 1ULL << 32));
		batch_wait(w);
	} else if (pid > 0) {
		op_cpu_write(w, &part);
	}
	if (pid > 0 && write(pipe_fds[1], "", 1) != 1)
		fail(w, "write to the child: %m");
	if (pid > 0 && waitpid(pid, &status, 0) != pid)
		fail(w, "waitpid: %m");
	if (status)
		fail(w, "a child ends with status %#x (100 hex: not the bytes of the fork)",
		     (unsigned int)status);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return true;
}

/* Another node, by page. */
bool op_move(struct worker *w, const struct piece *p)
{
	struct piece part = piece_pages(p);
	void *pages[SLOT_PAGES];
	int nodes[SLOT_PAGES], status[SLOT_PAGES];
	int node = (int)random_below(w, w->s->nr_nodes);
	size_t n = part.len / KT_PAGE;

	if (w->s->nr_nodes < 2)
		return false;
	n = n > SLOT_PAGES ? SLOT_PAGES : n;
	for (size_t i = 0; i < n; i++) {
		pages[i] = piece_va(w->s, &part) + i * KT_PAGE;
		nodes[i] = node;
	}
	if (syscall(SYS_move_pages, 0, n, pages, nodes, status, MPOL_MF_MOVE) < 0)
		return false;
	piece_set_mapped(w->s, &part, false);
	return true;
}

/* And the whole process. */
bool op_migrate(struct worker *w, const struct piece *p)
{
	unsigned long from = 1UL << random_below(w, w->s->nr_nodes), to = 3 & ~from;

	(void)p;
	if (w->s->nr_nodes < 2)
		return false;
	if (syscall(SYS_migrate_pages, 0, 3, &from, &to) < 0)
		fail(w, "migrate_pages: %m");
	atomic_fetch_add(&w->s->epoch, 1);
	return true;
}
