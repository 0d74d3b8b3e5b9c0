// SPDX-License-Identifier: MIT
/* What events tell of an interval: a table of processes and one of windows, both hashed. */
#include "top.h"

#include <stdlib.h>
#include <string.h>

#include "output.h"

#define WINDOW_LEN	(2ull << 20)
/* Of one move; a range of 128 GiB. Longer ones are not what goes to and fro. */
#define MAX_WINDOWS	65536u
#define TIMES		2u

/* Key (pid, 0) counts a process's evictions, (pid, window + 1) the moves of a window. */
struct entry {
	uint64_t window;
	pid_t pid;
	uint32_t in;
	uint32_t out;
};

struct top_thrash {
	struct entry *table;
	size_t room;
	size_t n;
};

struct top_thrash *top_thrash_new(void)
{
	return need_memory(calloc(1, sizeof(struct top_thrash)));
}

void top_thrash_free(struct top_thrash *thrash)
{
	if (thrash)
		free(thrash->table);
	free(thrash);
}

/* pid 0 is nobody's: the place is free. */
static struct entry *find(const struct top_thrash *t, pid_t pid, uint64_t window)
{
	uint64_t hash = (window + (uint64_t)pid * 0x9e3779b9u) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(hash >> 32) & (t->room - 1);

	while (t->table[i].pid && (t->table[i].pid != pid || t->table[i].window != window))
		i = (i + 1) & (t->room - 1);
	return &t->table[i];
}

static void grow(struct top_thrash *t)
{
	struct entry *old = t->table;
	size_t old_room = t->room;

	t->room = old_room ? 2 * old_room : 256;
	t->table = need_memory(calloc(t->room, sizeof(*old)));
	for (size_t i = 0; i < old_room; i++)
		if (old[i].pid)
			*find(t, old[i].pid, old[i].window) = old[i];
	free(old);
}

static struct entry *get(struct top_thrash *t, pid_t pid, uint64_t window)
{
	struct entry *entry;

	if (2 * (t->n + 1) > t->room)
		grow(t);
	entry = find(t, pid, window);
	if (!entry->pid) {
		entry->pid = pid;
		entry->window = window;
		t->n++;
	}
	return entry;
}

void top_thrash_add(struct top_thrash *t, const struct kfdsvm_event *e)
{
	uint64_t first = e->addr / WINDOW_LEN, last;

	if (e->pid <= 0)
		return;
	if (e->kind == KFDSVM_EVENT_EVICTION)
		get(t, e->pid, 0)->in++;
	if (e->kind != KFDSVM_EVENT_MIGRATE_END || e->error || !e->len)
		return;
	last = (e->addr + e->len - 1) / WINDOW_LEN;
	for (uint64_t at = first; at <= last && at - first < MAX_WINDOWS; at++) {
		struct entry *entry = get(t, e->pid, at + 1);

		if (e->to)
			entry->in++;
		else
			entry->out++;
	}
}

uint64_t top_thrash_evictions(const struct top_thrash *t, pid_t pid)
{
	return t->room ? find(t, pid, 0)->in : 0;
}

uint64_t top_thrash_windows(const struct top_thrash *t, pid_t pid)
{
	uint64_t n = 0;

	for (size_t i = 0; i < t->room; i++) {
		const struct entry *entry = &t->table[i];

		n += entry->pid == pid && entry->window && entry->in >= TIMES &&
		     entry->out >= TIMES;
	}
	return n;
}

void top_thrash_reset(struct top_thrash *t)
{
	if (t->room)
		memset(t->table, 0, t->room * sizeof(t->table[0]));
	t->n = 0;
}
