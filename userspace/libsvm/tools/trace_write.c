// SPDX-License-Identifier: MIT
/*
 * Trace Event JSON, as chrome://tracing and Perfetto read it: an object with traceEvents,
 * one event on a line. What took time is a complete event (ph X), all else an instant
 * (ph i). Slices that overlap are on tracks of their own, so that tracks nest. Times are
 * microseconds of CLOCK_BOOTTIME.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output.h"
#include "trace.h"
#include "words.h"

/* A track: tid 1, 2, ... The program itself has its own pid as tid. */
struct track {
	int32_t pid;
	uint32_t gpu_id;
	unsigned int kind;
	unsigned int lane;
};

struct tracks {
	struct track *list;
	size_t n;
	bool comma;
	FILE *file;
};

static const struct {
	const char *category;
	const char *track;
} kinds[TRACE_NKINDS] = {
	[TRACE_FAULT] = { "fault", "faults" },
	[TRACE_MIGRATION] = { "migration", "migrations" },
	[TRACE_STOP] = { "queue", "queues" },
	[TRACE_UNMAP] = { "unmap", "unmaps" },
	[TRACE_VM_FAULT] = { "vmfault", "failed accesses" },
	[TRACE_RESTORE_PUT_OFF] = { "queue", "queues" },
	[TRACE_LOST] = { "lost", "lost events" },
};

/* A JSON string, with its quotes. */
static void put_string(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		fputc(*text < ' ' || *text > '~' ? '?' : *text, file);
	}
	fputc('"', file);
}

static void put_us(FILE *file, const char *name, uint64_t ns)
{
	fprintf(file, ",\"%s\":%" PRIu64 ".%03u", name, ns / 1000, (unsigned int)(ns % 1000));
}

static void begin(struct tracks *t, const char *name, const char *ph, int32_t pid, int32_t tid)
{
	fprintf(t->file, "%s\n{\"name\":", t->comma ? "," : "");
	put_string(t->file, name);
	fprintf(t->file, ",\"ph\":\"%s\",\"pid\":%d,\"tid\":%d", ph, pid, tid);
	t->comma = true;
}

static void put_meta(struct tracks *t, const char *what, int32_t pid, int32_t tid,
		     const char *name)
{
	begin(t, what, "M", pid, tid);
	fputs(",\"args\":{\"name\":", t->file);
	put_string(t->file, name);
	fputs("}}", t->file);
}

/* Of the same process, GPU, kind and lane there is one; instants are all in lane 0. */
static int32_t tid_of(struct tracks *t, const struct trace_slice *slice)
{
	unsigned int kind = slice->kind == TRACE_RESTORE_PUT_OFF ? TRACE_STOP : slice->kind;
	const struct track want = {
		.pid = slice->event.pid,
		.gpu_id = slice->event.gpu_id,
		.kind = kind,
		.lane = slice->lane,
	};
	char name[96];

	for (size_t i = 0; i < t->n; i++)
		if (!memcmp(&t->list[i], &want, sizeof(want)))
			return (int32_t)i + 1;
	t->list = need_memory(reallocarray(t->list, t->n + 1, sizeof(want)));
	t->list[t->n++] = want;
	if (want.lane)
		snprintf(name, sizeof(name), "GPU %u %s (%u)", want.gpu_id, kinds[kind].track,
			 want.lane + 1);
	else
		snprintf(name, sizeof(name), "GPU %u %s", want.gpu_id, kinds[kind].track);
	put_meta(t, "thread_name", want.pid, (int32_t)t->n, name);
	return (int32_t)t->n;
}

static void slice_name(const struct trace_slice *slice, char *name, size_t len)
{
	const struct kfdsvm_event *e = &slice->event;

	switch (slice->kind) {
	case TRACE_FAULT:
		snprintf(name, len, "GPU fault, %s",
			 e->flags & KFDSVM_EVENT_WRITE ? "write" : "read");
		break;
	case TRACE_MIGRATION:
		if (e->to)
			snprintf(name, len, "to GPU %u: %s", e->to, migration_word(e->trigger));
		else
			snprintf(name, len, "to the CPU: %s", migration_word(e->trigger));
		break;
	case TRACE_STOP:
		if (e->kind == KFDSVM_EVENT_RESTORE)
			snprintf(name, len, "queues restored");
		else
			snprintf(name, len, "queues stopped: %s", eviction_word(e->trigger));
		break;
	case TRACE_UNMAP:
		snprintf(name, len, "unmapped: %s", unmap_word(e->trigger));
		break;
	case TRACE_VM_FAULT:
		snprintf(name, len, "access failed: %.15s", e->comm);
		break;
	case TRACE_RESTORE_PUT_OFF:
		snprintf(name, len, "restore put off");
		break;
	default:
		snprintf(name, len, "listener full: events before may be lost");
	}
}

static void put_location(FILE *file, const char *name, uint32_t location)
{
	fprintf(file, ",\"%s\":%" PRId64, name,
		location == KFDSVM_UNDEFINED ? (int64_t)-1 : (int64_t)location);
}

/* Numbers that `report` reads again, next to the words that people do. */
static void put_args(FILE *file, const struct trace_slice *slice)
{
	const struct kfdsvm_event *e = &slice->event;

	fprintf(file, ",\"args\":{\"gpu\":%u", e->gpu_id);
	if (slice->kind <= TRACE_MIGRATION || slice->kind == TRACE_UNMAP)
		fprintf(file, ",\"addr\":\"0x%" PRIx64 "\"", e->addr);
	switch (slice->kind) {
	case TRACE_FAULT:
		fprintf(file, ",\"write\":%s,\"migrated\":%s",
			e->flags & KFDSVM_EVENT_WRITE ? "true" : "false",
			slice->flags & KFDSVM_EVENT_MIGRATED ? "true" : "false");
		break;
	case TRACE_MIGRATION:
		fprintf(file, ",\"len\":%" PRIu64 ",\"trigger\":%u", e->len, e->trigger);
		put_location(file, "from", e->from);
		put_location(file, "to", e->to);
		put_location(file, "preferred", e->preferred);
		if (slice->flags & KFDSVM_EVENT_HAS_ERROR)
			fprintf(file, ",\"error\":%d", slice->error);
		break;
	case TRACE_STOP:
		if (e->kind == KFDSVM_EVENT_EVICTION)
			fprintf(file, ",\"trigger\":%u", e->trigger);
		break;
	case TRACE_UNMAP:
		fprintf(file, ",\"len\":%" PRIu64 ",\"trigger\":%u", e->len, e->trigger);
		break;
	}
	if (slice->half)
		fputs(",\"half\":true", file);
	fputc('}', file);
}

static void put_slice(struct tracks *t, const struct trace_run *run, struct trace_slice *slice)
{
	char name[96];
	int32_t tid;

	if (!slice->event.pid)
		slice->event.pid = run->pid;
	tid = tid_of(t, slice);
	slice_name(slice, name, sizeof(name));
	begin(t, name, slice->instant ? "i" : "X", slice->event.pid, tid);
	fprintf(t->file, ",\"cat\":\"%s\"", kinds[slice->kind].category);
	put_us(t->file, "ts", slice->start_ns);
	if (slice->instant)
		fputs(",\"s\":\"t\"", t->file);
	else
		put_us(t->file, "dur", slice->end_ns - slice->start_ns);
	put_args(t->file, slice);
	fputc('}', t->file);
}

static void put_program(struct tracks *t, const struct trace_run *run)
{
	put_meta(t, "process_name", run->pid, run->pid, run->argv[0]);
	put_meta(t, "thread_name", run->pid, run->pid, "program");
	begin(t, run->argv[0], "X", run->pid, run->pid);
	fputs(",\"cat\":\"program\"", t->file);
	put_us(t->file, "ts", run->start_ns);
	put_us(t->file, "dur", run->end_ns - run->start_ns);
	fputs(",\"args\":{}}", t->file);
}

static void put_other(FILE *file, const struct trace_run *run, const struct trace_slices *slices)
{
	fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"program\":", file);
	put_string(file, run->argv[0]);
	fprintf(file, ",\"tool\":\"kfdsvm %s\",\"clock\":\"CLOCK_BOOTTIME\"", kfdsvm_version());
	fprintf(file, ",\"pid\":%d,\"page_size\":%ld", (int)run->pid, sysconf(_SC_PAGESIZE));
	if (WIFSIGNALED(run->status))
		fprintf(file, ",\"signal\":%d", WTERMSIG(run->status));
	else
		fprintf(file, ",\"exit_code\":%d", WEXITSTATUS(run->status));
	fprintf(file, ",\"events\":%zu,\"unpaired\":%" PRIu64 ",\"full_reads\":%zu",
		run->events.n, slices->unpaired, run->spots.n);
	fprintf(file, ",\"dropped\":%" PRIu64 ",\"strange\":%" PRIu64 "}", run->events.dropped,
		run->events.strange);
	fputs(",\"traceEvents\":[", file);
}

int trace_write(FILE *file, const struct trace_run *run, const struct trace_slices *slices)
{
	struct tracks t = { .file = file };

	put_other(file, run, slices);
	put_program(&t, run);
	for (size_t i = 0; i < slices->n; i++)
		put_slice(&t, run, &slices->list[i]);
	fputs("\n]}\n", file);
	free(t.list);
	errno = 0;
	if (fflush(file) || ferror(file))
		return errno ? -errno : -EIO;
	return 0;
}
