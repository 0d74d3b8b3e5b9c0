// SPDX-License-Identifier: MIT
/* Sums over the events of a trace, and what each window of memory cost. */
#include "report.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include <kfdsvm.h>

#include "output.h"

/* A range that says it is larger than any memory is not taken at its word. */
#define MAX_WINDOWS	(1u << 20)

static struct json_object *get(struct json_object *from, const char *name)
{
	struct json_object *value = NULL;

	if (json_object_is_type(from, json_type_object))
		json_object_object_get_ex(from, name, &value);
	return value;
}

static uint64_t number(struct json_object *from, const char *name)
{
	struct json_object *value = get(from, name);

	return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : 0;
}

static double real(struct json_object *from, const char *name)
{
	struct json_object *value = get(from, name);
	double found = 0;

	if (json_object_is_type(value, json_type_int) ||
	    json_object_is_type(value, json_type_double))
		found = json_object_get_double(value);
	return found > 0 ? found : 0;
}

static const char *text(struct json_object *from, const char *name)
{
	struct json_object *value = get(from, name);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static bool truth(struct json_object *from, const char *name)
{
	return json_object_get_boolean(get(from, name));
}

static unsigned int trigger(struct json_object *args)
{
	uint64_t value = number(args, "trigger");

	return value < REPORT_OTHER ? (unsigned int)value : REPORT_OTHER;
}

static size_t place(const struct report *report, int32_t pid, uint64_t addr)
{
	uint64_t hash = (addr / REPORT_WINDOW_LEN + (uint64_t)(uint32_t)pid * 0x9e3779b9u) *
			0x9e3779b97f4a7c15u;
	size_t i = (size_t)(hash >> 32) & (report->room - 1);

	while (report->table[i].used &&
	       (report->table[i].addr != addr || report->table[i].pid != pid))
		i = (i + 1) & (report->room - 1);
	return i;
}

/* At most half full, so that a place is found soon. */
static void grow(struct report *report)
{
	struct report_window *old = report->table;
	size_t old_room = report->room;

	report->room = old_room ? 2 * old_room : 256;
	report->table = need_memory(calloc(report->room, sizeof(*old)));
	for (size_t i = 0; i < old_room; i++)
		if (old[i].used)
			report->table[place(report, old[i].pid, old[i].addr)] = old[i];
	free(old);
}

static struct report_window *window(struct report *report, int32_t pid, uint64_t addr)
{
	struct report_window *w;

	if (2 * (report->nwindows + 1) > report->room)
		grow(report);
	w = &report->table[place(report, pid, addr)];
	if (!w->used) {
		w->used = true;
		w->pid = pid;
		w->addr = addr;
		report->nwindows++;
	}
	return w;
}

struct span {
	int32_t pid;
	uint64_t addr;
	uint64_t len;
	double us;
};

/* How many windows @span touches; 0 if it makes no sense. */
static uint64_t count_windows(const struct span *span)
{
	uint64_t n;

	if (!span->len || span->addr > UINT64_MAX - span->len)
		return 0;
	n = (span->addr + span->len - 1) / REPORT_WINDOW_LEN - span->addr / REPORT_WINDOW_LEN + 1;
	return n < MAX_WINDOWS ? n : MAX_WINDOWS;
}

/* Bytes of @span in window number @i of it. */
static uint64_t part(const struct span *span, uint64_t i)
{
	uint64_t first = (span->addr / REPORT_WINDOW_LEN + i) * REPORT_WINDOW_LEN;
	uint64_t last = first + (REPORT_WINDOW_LEN - 1);

	if (first < span->addr)
		first = span->addr;
	if (last > span->addr + span->len - 1)
		last = span->addr + span->len - 1;
	return last - first + 1;
}

/*
 * Each window has its share of the time, by bytes. What a GPU fault moves is part of the
 * fault, whose time counts. What has failed took its time and moved nothing.
 */
static void move_windows(struct report *report, const struct span *span,
			 struct json_object *args, unsigned int why, bool failed)
{
	bool in = number(args, "to") != 0;
	uint64_t first = span->addr & ~(REPORT_WINDOW_LEN - 1), n = count_windows(span);

	for (uint64_t i = 0; i < n; i++) {
		struct report_window *w = window(report, span->pid,
						 first + i * REPORT_WINDOW_LEN);
		uint64_t bytes = part(span, i);

		if (why != KFDSVM_MIGRATE_GPU_FAULT)
			w->us += span->us * (double)bytes / (double)span->len;
		w->moves[why]++;
		if (failed)
			continue;
		*(in ? &w->in : &w->out) += 1;
		*(in ? &w->bytes_in : &w->bytes_out) += bytes;
	}
}

static void add_migration(struct report *report, const struct span *span,
			  struct json_object *args)
{
	unsigned int why = trigger(args);
	struct json_object *error = get(args, "error");
	bool failed = error && json_object_get_int(error);

	report->moves[why]++;
	report->move_us[why] += span->us;
	if (failed) {
		report->failed_moves++;
	} else if (number(args, "to")) {
		report->bytes_in += span->len;
	} else {
		report->bytes_out += span->len;
	}
	move_windows(report, span, args, why, failed);
}

static void add_fault(struct report *report, const struct span *span, struct json_object *args)
{
	struct report_window *w;

	report->faults++;
	report->write_faults += truth(args, "write");
	report->migrated_faults += truth(args, "migrated");
	report->fault_us += span->us;
	w = window(report, span->pid, span->addr & ~(REPORT_WINDOW_LEN - 1));
	w->faults++;
	w->us += span->us;
}

static void add_unmap(struct report *report, const struct span *span, struct json_object *args)
{
	uint64_t first = span->addr & ~(REPORT_WINDOW_LEN - 1), n = count_windows(span);

	report->unmaps[trigger(args)]++;
	for (uint64_t i = 0; i < n; i++)
		window(report, span->pid, first + i * REPORT_WINDOW_LEN)->unmaps++;
}

static void add_queue(struct report *report, const struct span *span, struct json_object *event,
		      struct json_object *args)
{
	if (get(args, "trigger")) {
		report->stops[trigger(args)]++;
		report->stop_us += span->us;
	} else if (!strcmp(text(event, "name"), "restore put off")) {
		report->put_off++;
	}
}

void report_add_event(struct report *report, struct json_object *event)
{
	const char *category = text(event, "cat");
	struct json_object *args = get(event, "args");
	const struct span span = {
		.pid = (int32_t)number(event, "pid"),
		.addr = strtoull(text(args, "addr"), NULL, 16),
		.len = number(args, "len"),
		.us = real(event, "dur"),
	};

	if (!strcmp(category, "program")) {
		report->us = span.us;
	} else if (!strcmp(category, "vmfault")) {
		report->vm_faults++;
	} else if (!strcmp(category, "queue")) {
		add_queue(report, &span, event, args);
	} else if (!strcmp(category, "unmap")) {
		add_unmap(report, &span, args);
	} else if (truth(args, "half")) {
		/* Counted by the recorder; of half a move nobody knows what it did. */
		return;
	} else if (!strcmp(category, "fault")) {
		add_fault(report, &span, args);
	} else if (!strcmp(category, "migration")) {
		add_migration(report, &span, args);
	}
}

void report_add_other(struct report *report, struct json_object *other)
{
	printable(report->program, sizeof(report->program), text(other, "program"));
	report->events = number(other, "events");
	report->unpaired = number(other, "unpaired");
	report->full_reads = number(other, "full_reads");
	report->dropped = number(other, "dropped");
	report->strange = number(other, "strange");
}

/* Time first; where nothing took any, what was taken most often. */
static bool is_dearer(const struct report_window *a, const struct report_window *b)
{
	if (a->us != b->us)
		return a->us > b->us;
	if (a->unmaps != b->unmaps)
		return a->unmaps > b->unmaps;
	return a->pid != b->pid ? a->pid < b->pid : a->addr < b->addr;
}

size_t report_most(const struct report *report, const struct report_window **most)
{
	size_t n = 0, at;

	for (size_t i = 0; i < report->room; i++) {
		const struct report_window *w = &report->table[i];

		if (!w->used)
			continue;
		for (at = n; at > 0 && is_dearer(w, most[at - 1]); at--)
			if (at < REPORT_MOST)
				most[at] = most[at - 1];
		if (at < REPORT_MOST)
			most[at] = w;
		n += n < REPORT_MOST;
	}
	return n;
}

uint64_t report_total(const uint64_t *counts)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < REPORT_NTRIGGERS; i++)
		total += counts[i];
	return total;
}

void report_free(struct report *report)
{
	free(report->table);
	report->table = NULL;
	report->room = 0;
}
