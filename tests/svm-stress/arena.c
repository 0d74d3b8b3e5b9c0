// SPDX-License-Identifier: GPL-2.0-only
/* The memory, and the model of it. */
#include "stress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA_LEN	(NR_PAGES * KT_PAGE)

uint8_t *piece_va(const struct stress *s, const struct piece *p)
{
	return s->base + p->slot->first * KT_PAGE + p->at;
}

uint8_t *piece_model(const struct stress *s, const struct piece *p)
{
	return s->model + p->slot->first * KT_PAGE + p->at;
}

struct piece piece_pages(const struct piece *p)
{
	size_t first = p->at & ~(KT_PAGE - 1);
	size_t end = (p->at + p->len + KT_PAGE - 1) & ~(KT_PAGE - 1);

	return (struct piece){ .slot = p->slot, .at = first, .len = end - first };
}

struct piece slot_piece(struct slot *slot)
{
	return (struct piece){ .slot = slot, .len = slot->npages * KT_PAGE };
}

static size_t first_page(const struct piece *p)
{
	return p->slot->first + p->at / KT_PAGE;
}

static size_t last_page(const struct piece *p)
{
	return p->slot->first + (p->at + p->len - 1) / KT_PAGE;
}

bool piece_was_mapped(const struct stress *s, const struct piece *p)
{
	unsigned int epoch = atomic_load(&s->epoch);

	for (size_t i = first_page(p); i <= last_page(p); i++)
		if (s->mapped_at[i] == epoch)
			return true;
	return false;
}

void piece_set_mapped(struct stress *s, const struct piece *p, bool mapped)
{
	unsigned int epoch = mapped ? atomic_load(&s->epoch) : 0;

	for (size_t i = first_page(p); i <= last_page(p); i++)
		s->mapped_at[i] = epoch;
}

bool slot_map(struct worker *w, struct slot *slot)
{
	struct stress *s = w->s;
	struct piece all = slot_piece(slot);
	bool shared = slot->kind == KIND_SHARED;
	uint8_t *va = piece_va(s, &all);

	if (mmap(va, all.len, PROT_READ | PROT_WRITE,
		 MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		 shared ? s->fd : -1,
		 shared ? (off_t)(slot->file_page * KT_PAGE) : 0) != va)
		return fail(w, "mmap of a slot: %m");
	slot->prot = PROT_IS_RW;
	slot->access = false;
	slot->no_access = false;
	slot->gpu_ro = false;
	piece_set_mapped(s, &all, false);
	return true;
}

static void slot_init(struct stress *s, unsigned int i, size_t first, size_t npages)
{
	struct slot *slot = &s->slots[i];

	memset(slot, 0, sizeof(*slot));
	pthread_mutex_init(&slot->lock, NULL);
	slot->first = first;
	slot->npages = npages;
	/* Runs of both, so that neighbours can be one VMA. */
	if (i % 8 >= 6 && i < NR_SMALL) {
		slot->kind = KIND_SHARED;
		slot->file_page = first;
	}
}

bool arena_make(struct stress *s)
{
	struct worker *w = &s->workers[0];
	size_t first = 0;
	uint8_t *va;

	atomic_store(&s->epoch, 1);
	pthread_mutex_init(&s->holes, NULL);
	memset(s->mapped_at, 0, sizeof(s->mapped_at));
	s->model = calloc(NR_PAGES, KT_PAGE);
	va = mmap(NULL, ARENA_LEN + KT_HUGE, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	s->fd = memfd_create("svm_stress", MFD_CLOEXEC);
	if (!s->model || va == MAP_FAILED || s->fd < 0 || ftruncate(s->fd, ARENA_LEN))
		return fail(w, "no memory: %m");
	/* In a fork child the model is what it was, too. */
	s->base = va + (-(uintptr_t)va & (KT_HUGE - 1));
	for (unsigned int i = 0; i < NR_SLOTS; i++) {
		size_t npages = i < NR_SMALL ? SLOT_PAGES : KT_HUGE / KT_PAGE;

		slot_init(s, i, first, npages);
		if (!slot_map(w, &s->slots[i]))
			return false;
		first += npages;
	}
	return true;
}

void arena_free(struct stress *s)
{
	munmap(s->base, ARENA_LEN);
	close(s->fd);
	free(s->model);
}

bool check_bytes(struct worker *w, const char *who, const struct piece *p,
		 const uint8_t *got, const uint8_t *wanted)
{
	size_t i, bad = 0, first = 0;

	if (!memcmp(got, wanted, p->len))
		return true;
	for (i = 0; i < p->len; i++) {
		if (got[i] == wanted[i])
			continue;
		if (!bad++)
			first = i;
	}
	return fail(w, "%s sees %#x, not %#x, at %p (slot %d byte %#zx); %zu of %zu bytes are wrong",
		    who, got[first], wanted[first],
		    (void *)(piece_va(w->s, p) + first),
		    (int)(p->slot - w->s->slots), p->at + first, bad, p->len);
}

bool arena_check(struct worker *w)
{
	for (unsigned int i = 0; i < NR_SLOTS; i++) {
		struct slot *slot = &w->s->slots[i];
		struct piece all = slot_piece(slot);

		if (slot->prot == PROT_IS_NONE && !op_rdwr(w, &all))
			return false;
		if (!check_bytes(w, "the CPU, at the end,", &all,
				 piece_va(w->s, &all), piece_model(w->s, &all)))
			return false;
	}
	return true;
}
