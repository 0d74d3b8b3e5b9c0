// SPDX-License-Identifier: MIT
/* Reading the driver's listeners. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "trace.h"

#define BIT(kind)	KFDSVM_EVENT_BIT(KFDSVM_EVENT_##kind)
/* Hear of all processes; without privilege the driver passes over it. */
#define ALL_PROCESSES	KFDSVM_EVENT_BIT(64)

uint64_t trace_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t trace_group_mask(unsigned int group)
{
	static const uint64_t masks[TRACE_GROUPS] = {
		BIT(MIGRATE_START) | BIT(MIGRATE_END),
		BIT(FAULT_START) | BIT(FAULT_END),
		BIT(UNMAP),
		BIT(VM_FAULT) | BIT(EVICTION) | BIT(RESTORE),
	};

	return masks[group] | ALL_PROCESSES;
}

/*
 * A line is dropped if it does not fit, with this repository's driver if its END would not
 * fit either. Lines are never taken but by a read, so the queue was never fuller than the
 * read found it.
 */
bool trace_queue_was_full(size_t len, unsigned int open)
{
	return open >= TRACE_MAX_OPEN ||
	       len + (open + 2) * TRACE_LINE_LEN > TRACE_QUEUE_LEN;
}

static void add_event(struct trace_events *events, const struct kfdsvm_event *event)
{
	if (events->n == events->limit) {
		events->dropped++;
		return;
	}
	if (events->n == events->room) {
		events->room = events->room ? 2 * events->room : 1024;
		events->list = need_memory(reallocarray(events->list, events->room,
							sizeof(*event)));
	}
	events->list[events->n++] = *event;
}

static void add_spot(struct trace_spots *spots, const struct trace_source *source)
{
	if (spots->n == spots->room) {
		spots->room = spots->room ? 2 * spots->room : 16;
		spots->list = need_memory(reallocarray(spots->list, spots->room,
						       sizeof(spots->list[0])));
	}
	spots->list[spots->n++] = (struct trace_spot){
		.time_ns = trace_now(),
		.gpu_id = source->gpu_id,
		.group = source->group,
	};
}

/* Between two GPUs both may tell; the one it goes to counts. */
static bool told_twice(const struct trace_source *source, const struct trace_sources *all,
		       const struct kfdsvm_event *event)
{
	if (!event->to || event->to == source->gpu_id)
		return false;
	for (unsigned int i = 0; i < all->ngpus; i++)
		if (all->gpus[i] == event->to)
			return true;
	return false;
}

static void count_open(struct trace_source *source, const struct kfdsvm_event *event)
{
	switch (event->kind) {
	case KFDSVM_EVENT_MIGRATE_START:
	case KFDSVM_EVENT_FAULT_START:
		source->open++;
		break;
	case KFDSVM_EVENT_MIGRATE_END:
	case KFDSVM_EVENT_FAULT_END:
		if (source->open)
			source->open--;
		break;
	}
}

static void take_line(struct trace_source *source, const struct trace_sources *all,
		      struct trace_run *run, const char *line, size_t len,
		      bool (*wanted)(void *ctx, pid_t pid), void *ctx)
{
	struct kfdsvm_event event;

	if (kfdsvm_event_parse(line, len, &event, sizeof(event))) {
		run->events.strange++;
		return;
	}
	count_open(source, &event);
	if (told_twice(source, all, &event) || !wanted(ctx, event.pid))
		return;
	if (!event.gpu_id)
		event.gpu_id = source->gpu_id;
	/* The driver does not say when; it is a moment ago. */
	if (!event.time_ns)
		event.time_ns = trace_now();
	add_event(&run->events, &event);
}

void trace_source_feed(struct trace_source *source, const struct trace_sources *all,
		       struct trace_run *run, const char *text, size_t len,
		       bool (*wanted)(void *ctx, pid_t pid), void *ctx)
{
	while (len) {
		const char *newline = memchr(text, '\n', len);
		size_t part = newline ? (size_t)(newline - text) : len;

		/* No line is as long: what is too much is not kept, and is no event. */
		if (part > sizeof(source->buf) - source->len)
			part = sizeof(source->buf) - source->len;
		memcpy(source->buf + source->len, text, part);
		source->len += part;
		if (!newline)
			return;
		take_line(source, all, run, source->buf, source->len, wanted, ctx);
		source->len = 0;
		len -= (size_t)(newline - text) + 1;
		text = newline + 1;
	}
}

ssize_t trace_source_read(struct trace_source *source, const struct trace_sources *all,
			  struct trace_run *run, bool (*wanted)(void *ctx, pid_t pid),
			  void *ctx)
{
	/* At least what the driver keeps, so that one read takes all. */
	char text[2 * TRACE_QUEUE_LEN];
	unsigned int open = source->open;
	ssize_t n;

	do
		n = read(source->fd, text, sizeof(text));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		/* The end of the file: the GPU is gone. */
		n = n ? -errno : -ENODEV;
		close(source->fd);
		source->fd = -1;
		return n;
	}
	trace_source_feed(source, all, run, text, (size_t)n, wanted, ctx);
	if (trace_queue_was_full((size_t)n, open))
		add_spot(&run->spots, source);
	return n;
}
