// SPDX-License-Identifier: MIT
/* From events to slices: what has a START and an END, what has not, and in which lane. */
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "trace.h"

/* More than can be open at once: what is older has lost its END, and is not looked at. */
#define MAX_OPEN	4096u

struct builder {
	struct trace_slices *to;
	size_t room;
	/* Slices that wait for their END, oldest first. */
	size_t *open;
	size_t nopen;
	size_t open_room;
};

static int by_time(const void *a, const void *b)
{
	const struct kfdsvm_event *left = a, *right = b;

	return left->time_ns < right->time_ns ? -1 : left->time_ns > right->time_ns;
}

/* qsort() keeps no order among equals; the order they came in is the true one. */
static void sort_events(struct kfdsvm_event *list, size_t n)
{
	struct kfdsvm_event *left, *right, *both;
	size_t half = n / 2, i = 0, j = 0;

	if (n < 2)
		return;
	left = list;
	right = list + half;
	sort_events(left, half);
	sort_events(right, n - half);
	if (by_time(&right[-1], right) <= 0)
		return;
	both = need_memory(calloc(n, sizeof(*both)));
	for (size_t k = 0; k < n; k++) {
		bool first = j == n - half || (i < half && by_time(&left[i], &right[j]) <= 0);

		both[k] = first ? left[i++] : right[j++];
	}
	memcpy(list, both, n * sizeof(*list));
	free(both);
}

static unsigned int kind_of(const struct kfdsvm_event *e)
{
	switch (e->kind) {
	case KFDSVM_EVENT_MIGRATE_START:
	case KFDSVM_EVENT_MIGRATE_END:
		return TRACE_MIGRATION;
	case KFDSVM_EVENT_FAULT_START:
	case KFDSVM_EVENT_FAULT_END:
		return TRACE_FAULT;
	case KFDSVM_EVENT_EVICTION:
		return TRACE_STOP;
	case KFDSVM_EVENT_RESTORE:
		return e->flags & KFDSVM_EVENT_RESCHEDULED ? TRACE_RESTORE_PUT_OFF : TRACE_STOP;
	case KFDSVM_EVENT_UNMAP:
		return TRACE_UNMAP;
	}
	return TRACE_VM_FAULT;
}

static bool begins(const struct kfdsvm_event *e)
{
	return e->kind == KFDSVM_EVENT_MIGRATE_START || e->kind == KFDSVM_EVENT_FAULT_START ||
	       e->kind == KFDSVM_EVENT_EVICTION;
}

static bool ends(const struct kfdsvm_event *e)
{
	return e->kind == KFDSVM_EVENT_MIGRATE_END || e->kind == KFDSVM_EVENT_FAULT_END ||
	       (e->kind == KFDSVM_EVENT_RESTORE && !(e->flags & KFDSVM_EVENT_RESCHEDULED));
}

static struct trace_slice *add_slice(struct builder *b, const struct kfdsvm_event *e)
{
	struct trace_slices *to = b->to;

	if (to->n == b->room) {
		b->room = b->room ? 2 * b->room : 1024;
		to->list = need_memory(reallocarray(to->list, b->room, sizeof(to->list[0])));
	}
	to->list[to->n] = (struct trace_slice){
		.start_ns = e->time_ns,
		.end_ns = e->time_ns,
		.kind = kind_of(e),
		.instant = true,
		.event = *e,
		.flags = e->flags,
		.error = e->error,
	};
	return &to->list[to->n++];
}

static void add_open(struct builder *b, const struct kfdsvm_event *e)
{
	struct trace_slice *slice = add_slice(b, e);

	slice->half = true;
	if (b->nopen == b->open_room) {
		b->open_room = b->open_room ? 2 * b->open_room : 64;
		b->open = need_memory(reallocarray(b->open, b->open_room, sizeof(b->open[0])));
	}
	b->open[b->nopen++] = b->to->n - 1;
}

static bool match(const struct kfdsvm_event *start, const struct kfdsvm_event *end)
{
	return kind_of(start) == kind_of(end) && start->pid == end->pid &&
	       start->gpu_id == end->gpu_id && start->addr == end->addr &&
	       start->len == end->len && start->from == end->from && start->to == end->to;
}

/* The latest START that fits: an older one has lost its END. */
static void end_slice(struct builder *b, const struct kfdsvm_event *e)
{
	size_t oldest = b->nopen > MAX_OPEN ? b->nopen - MAX_OPEN : 0;

	for (size_t i = b->nopen; i-- > oldest;) {
		struct trace_slice *slice = &b->to->list[b->open[i]];

		if (!match(&slice->event, e))
			continue;
		slice->end_ns = e->time_ns;
		slice->flags = e->flags;
		slice->error = e->error;
		slice->instant = false;
		slice->half = false;
		b->nopen--;
		memmove(&b->open[i], &b->open[i + 1], (b->nopen - i) * sizeof(b->open[0]));
		return;
	}
	/*
	 * Queues are stopped once and may be restored more than once; all other ENDs had
	 * a START.
	 */
	add_slice(b, e)->half = e->kind != KFDSVM_EVENT_RESTORE;
}

static void add_spots(struct builder *b, const struct trace_spots *spots)
{
	for (size_t i = 0; i < spots->n; i++) {
		const struct kfdsvm_event e = {
			.time_ns = spots->list[i].time_ns,
			.gpu_id = spots->list[i].gpu_id,
		};

		add_slice(b, &e)->kind = TRACE_LOST;
	}
}

static int by_start(const void *a, const void *b)
{
	const struct trace_slice *left = a, *right = b;

	if (left->start_ns != right->start_ns)
		return left->start_ns < right->start_ns ? -1 : 1;
	return (left->kind > right->kind) - (left->kind < right->kind);
}

/* When a lane of one process, GPU and kind is free again. */
struct lane {
	int32_t pid;
	uint32_t gpu_id;
	unsigned int kind;
	unsigned int number;
	uint64_t free_ns;
};

static unsigned int take_lane(struct lane **lanes, size_t *nlanes,
			      const struct trace_slice *slice)
{
	unsigned int number = 0;

	for (size_t i = 0; i < *nlanes; i++) {
		struct lane *lane = &(*lanes)[i];

		if (lane->pid != slice->event.pid || lane->gpu_id != slice->event.gpu_id ||
		    lane->kind != slice->kind)
			continue;
		if (lane->free_ns <= slice->start_ns) {
			lane->free_ns = slice->end_ns;
			return lane->number;
		}
		number++;
	}
	*lanes = need_memory(reallocarray(*lanes, *nlanes + 1, sizeof(**lanes)));
	(*lanes)[(*nlanes)++] = (struct lane){
		.pid = slice->event.pid,
		.gpu_id = slice->event.gpu_id,
		.kind = slice->kind,
		.number = number,
		.free_ns = slice->end_ns,
	};
	return number;
}

static void set_lanes(struct trace_slices *slices)
{
	struct lane *lanes = NULL;
	size_t nlanes = 0;

	for (size_t i = 0; i < slices->n; i++)
		if (!slices->list[i].instant)
			slices->list[i].lane = take_lane(&lanes, &nlanes, &slices->list[i]);
	free(lanes);
}

void trace_pair(struct trace_events *events, const struct trace_spots *spots,
		struct trace_slices *slices)
{
	struct builder b = { .to = slices };

	memset(slices, 0, sizeof(*slices));
	sort_events(events->list, events->n);
	for (size_t i = 0; i < events->n; i++) {
		const struct kfdsvm_event *e = &events->list[i];

		if (begins(e))
			add_open(&b, e);
		else if (ends(e))
			end_slice(&b, e);
		else
			add_slice(&b, e);
	}
	free(b.open);
	add_spots(&b, spots);
	qsort(slices->list, slices->n, sizeof(slices->list[0]), by_start);
	set_lanes(slices);
	for (size_t i = 0; i < slices->n; i++)
		slices->unpaired += slices->list[i].half;
}

unsigned int trace_unended(const struct trace_events *events)
{
	int n = 0;

	for (size_t i = 0; i < events->n; i++) {
		switch (events->list[i].kind) {
		case KFDSVM_EVENT_MIGRATE_START:
		case KFDSVM_EVENT_FAULT_START:
			n++;
			break;
		case KFDSVM_EVENT_MIGRATE_END:
		case KFDSVM_EVENT_FAULT_END:
			n--;
			break;
		}
	}
	return n > 0 ? (unsigned int)n : 0;
}
