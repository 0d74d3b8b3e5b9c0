/* SPDX-License-Identifier: MIT */
/*
 * kfdsvm trace: what its files share.
 *
 * The driver tells a listener of the process that opened it, so the child opens the
 * listeners before it becomes the program, and hands them to its parent: no privilege is
 * needed. With CAP_SYS_ADMIN the same listeners tell of the program's children, too.
 *
 * A listener keeps 1 KiB and drops what does not fit without a word. There are several for
 * each GPU, one for each group of kinds, which keeps as much room as each has. Where a
 * read finds so much that something may have been dropped, that is counted and marked.
 */
#ifndef KFDSVM_TRACE_H
#define KFDSVM_TRACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <kfdsvm.h>

#define TRACE_MAX_GPUS	64
#define TRACE_GROUPS	4
/* What the driver keeps for a listener, and its longest line. */
#define TRACE_QUEUE_LEN	1024u
#define TRACE_LINE_LEN	96u
/* STARTs without END that a listener of this repository's driver has room for. */
#define TRACE_MAX_OPEN	16u

/**
 * struct trace_events - what was recorded, in memory until the program ends
 * @list: events
 * @n: of @list
 * @room: of @list
 * @limit: more are not kept
 * @dropped: how many these are
 * @strange: lines that are no events
 */
struct trace_events {
	struct kfdsvm_event *list;
	size_t n;
	size_t room;
	size_t limit;
	uint64_t dropped;
	uint64_t strange;
};

/** struct trace_spot - a read that found a full queue: until then events may be lost */
struct trace_spot {
	uint64_t time_ns;
	uint32_t gpu_id;
	unsigned int group;
};

struct trace_spots {
	struct trace_spot *list;
	size_t n;
	size_t room;
};

/**
 * struct trace_source - one listener
 * @fd: or -1: the GPU is gone
 * @gpu_id: of which GPU
 * @group: of which kinds
 * @open: STARTs without END
 * @len: bytes of @buf: the beginning of a line
 */
struct trace_source {
	int fd;
	uint32_t gpu_id;
	unsigned int group;
	unsigned int open;
	size_t len;
	char buf[TRACE_QUEUE_LEN + TRACE_LINE_LEN];
};

struct trace_sources {
	struct trace_source list[TRACE_MAX_GPUS * TRACE_GROUPS];
	unsigned int n;
	uint32_t gpus[TRACE_MAX_GPUS];
	unsigned int ngpus;
};

/**
 * struct trace_run - a program and what was recorded of it
 * @argv: its name and arguments
 * @mask: signals that are blocked in it
 * @pid: process
 * @status: as of waitpid(2)
 * @start_ns: when it began
 * @end_ns: when it ended
 */
struct trace_run {
	char **argv;
	sigset_t mask;
	pid_t pid;
	int status;
	uint64_t start_ns;
	uint64_t end_ns;
	struct trace_events events;
	struct trace_spots spots;
};

/* trace_sources.c */
uint64_t trace_now(void);
uint64_t trace_group_mask(unsigned int group);
/*
 * Takes what @source has, as bytes that the driver wrote. Returns bytes, 0 if there is
 * nothing, -errno. wanted(): whether events of a process are recorded.
 */
ssize_t trace_source_read(struct trace_source *source, const struct trace_sources *all,
			  struct trace_run *run, bool (*wanted)(void *ctx, pid_t pid),
			  void *ctx);
/* Text of the driver, in pieces of any length. */
void trace_source_feed(struct trace_source *source, const struct trace_sources *all,
		       struct trace_run *run, const char *text, size_t len,
		       bool (*wanted)(void *ctx, pid_t pid), void *ctx);
/* Whether a read that found @len bytes, with @open pairs before it, may have come too late. */
bool trace_queue_was_full(size_t len, unsigned int open);

/* trace_child.c: start, with listeners and all; 0 or an exit code, after a message. */
int trace_start(struct trace_run *run, struct trace_sources *sources, int *go_fd);
/* Lets the program begin; 0 or an exit code, after a message. */
int trace_go(struct trace_run *run, int go_fd);

enum trace_slice_kind {
	TRACE_FAULT,
	TRACE_MIGRATION,
	TRACE_STOP,
	TRACE_UNMAP,
	TRACE_VM_FAULT,
	TRACE_RESTORE_PUT_OFF,
	TRACE_LOST,
	TRACE_NKINDS,
};

/**
 * struct trace_slice - something that took time, or (@instant) did not
 * @start_ns: when it began
 * @end_ns: when it ended
 * @kind: enum trace_slice_kind
 * @lane: slices of one process, GPU and kind that overlap are in different lanes
 * @instant: no duration is known
 * @half: its other half is missing
 * @event: START, or the only one
 * @flags: of END
 * @error: of END
 */
struct trace_slice {
	uint64_t start_ns;
	uint64_t end_ns;
	unsigned int kind;
	unsigned int lane;
	bool instant;
	bool half;
	struct kfdsvm_event event;
	uint32_t flags;
	int32_t error;
};

struct trace_slices {
	struct trace_slice *list;
	size_t n;
	uint64_t unpaired;
};

/* trace_pairs.c: sorts @events by time and makes slices of them, in order of their start. */
void trace_pair(struct trace_events *events, const struct trace_spots *spots,
		struct trace_slices *slices);
/* STARTs among @events whose END is missing. */
unsigned int trace_unended(const struct trace_events *events);

/* trace_write.c: as Trace Event JSON. 0 or -errno. */
int trace_write(FILE *file, const struct trace_run *run, const struct trace_slices *slices);

#endif
