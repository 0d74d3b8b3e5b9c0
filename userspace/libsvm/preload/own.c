// SPDX-License-Identifier: MIT
/*
 * The GPU runtime's memory, which is left alone: what it has mapped, and what it
 * has given to the driver as memory objects (userptr).
 *
 * Sorted intervals that neither touch nor overlap. Tables grow by mmap.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

struct interval {
	uintptr_t start;
	uintptr_t end;
};

struct userptr {
	uint64_t handle;
	struct interval at;
};

struct table {
	void *entries;
	size_t entry_size;
	size_t n;
	size_t room;
};

static struct table maps = { .entry_size = sizeof(struct interval) };
static struct table userptrs = { .entry_size = sizeof(struct userptr) };

/* Room for one more; without memory the entry is lost, and the driver refuses instead. */
static bool reserve(struct table *t)
{
	size_t room = t->room ? 2 * t->room : pre.page / t->entry_size;
	size_t len = pre_up(room * t->entry_size);
	void *entries;

	if (t->n < t->room)
		return true;
	entries = (void *)syscall(SYS_mmap, NULL, len, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (entries == MAP_FAILED)
		return false;
	if (t->n) {
		memcpy(entries, t->entries, t->n * t->entry_size);
		syscall(SYS_munmap, t->entries, pre_up(t->room * t->entry_size));
	}
	t->entries = entries;
	t->room = len / t->entry_size;
	return true;
}

/* The first interval that ends after @addr. */
static size_t find(uintptr_t addr)
{
	const struct interval *v = maps.entries;
	size_t low = 0, high = maps.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (v[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool insert(size_t at, uintptr_t start, uintptr_t end)
{
	struct interval *v;

	if (!reserve(&maps))
		return false;
	v = maps.entries;
	memmove(v + at + 1, v + at, (maps.n - at) * sizeof(*v));
	v[at] = (struct interval){ start, end };
	maps.n++;
	return true;
}

static void erase(size_t at, size_t n)
{
	struct interval *v = maps.entries;

	memmove(v + at, v + at + n, (maps.n - at - n) * sizeof(*v));
	maps.n -= n;
}

void pre_own_cut(uintptr_t start, uintptr_t end)
{
	struct interval *v = maps.entries;
	size_t first = find(start), last;

	if (start >= end || first == maps.n || v[first].start >= end)
		return;
	if (v[first].start < start) {
		uintptr_t old_end = v[first].end;

		v[first].end = start;
		if (old_end > end) {
			insert(first + 1, end, old_end);
			return;
		}
		first++;
	}
	for (last = first; last < maps.n && v[last].end <= end; last++)
		;
	erase(first, last - first);
	if (first < maps.n && v[first].start < end)
		v[first].start = end;
}

void pre_own_add(uintptr_t start, uintptr_t end)
{
	struct interval *v;
	size_t at;

	if (start >= end)
		return;
	pre_own_cut(start, end);
	at = find(start);
	v = maps.entries;
	/* Grow a neighbour where there is one. */
	if (at && v[at - 1].end == start) {
		v[at - 1].end = end;
		if (at < maps.n && v[at].start == end) {
			v[at - 1].end = v[at].end;
			erase(at, 1);
		}
	} else if (at < maps.n && v[at].start == end) {
		v[at].start = start;
	} else {
		insert(at, start, end);
	}
}

void pre_own_userptr(uint64_t handle, uintptr_t start, uintptr_t end)
{
	if (start < end && reserve(&userptrs))
		((struct userptr *)userptrs.entries)[userptrs.n++] =
			(struct userptr){ handle, { start, end } };
}

void pre_own_userptr_freed(uint64_t handle)
{
	struct userptr *v = userptrs.entries;

	for (size_t i = userptrs.n; i-- > 0;) {
		struct interval at = v[i].at;

		if (v[i].handle != handle)
			continue;
		v[i] = v[--userptrs.n];
		/* It was left out, and the heap may take it as known. */
		pre_share(at.start, at.end);
	}
}

/* In the child of a fork another thread may have been half way in here: lose the tables. */
void pre_own_forget(void)
{
	maps.entries = NULL;
	maps.n = 0;
	maps.room = 0;
	userptrs.entries = NULL;
	userptrs.n = 0;
	userptrs.room = 0;
}

/* Whether @addr is the runtime's, and up to where that holds. */
static bool owned(uintptr_t addr, uintptr_t *until)
{
	const struct interval *v = maps.entries;
	const struct userptr *u = userptrs.entries;
	size_t at = find(addr);
	bool is = at < maps.n && v[at].start <= addr;

	if (is)
		*until = v[at].end;
	else if (at < maps.n && v[at].start < *until)
		*until = v[at].start;
	for (size_t i = 0; !is && i < userptrs.n; i++) {
		is = u[i].at.start <= addr && addr < u[i].at.end;
		if (is)
			*until = u[i].at.end;
		else if (u[i].at.start > addr && u[i].at.start < *until)
			*until = u[i].at.start;
	}
	return is;
}

bool pre_own_next(uintptr_t *start, uintptr_t end, uintptr_t *part_end)
{
	while (*start < end) {
		uintptr_t until = end;

		if (!owned(*start, &until)) {
			*part_end = until;
			return true;
		}
		*start = until;
	}
	return false;
}
