/* SPDX-License-Identifier: MIT */
/*
 * kfdsvm top: what its files share. Counters come from sysfs, which upstream's driver has,
 * too, and any user may read. What only events tell (stops of queues, memory that moves to
 * and fro) is unknown to who may not hear of other processes.
 */
#ifndef KFDSVM_TOP_H
#define KFDSVM_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <kfdsvm.h>

/** struct top_gpu - what the driver counted of a process on one GPU, since it began */
struct top_gpu {
	uint32_t gpu_id;
	uint64_t faults;
	uint64_t page_in;
	uint64_t page_out;
	uint64_t vram_len;
};

struct top_process {
	pid_t pid;
	uid_t uid;
	char comm[32];
	struct top_gpu *gpus;
	unsigned int ngpus;
};

/** struct top_sample - all processes at one time, in order of their pids */
struct top_sample {
	uint64_t time_ns;
	struct top_process *list;
	size_t n;
};

/* top_sample.c. @root: "" or a folder that stands for /. 0 or -errno: no driver. */
int top_sample_take(const char *root, struct top_sample *sample);
void top_sample_free(struct top_sample *sample);

struct top_thrash;

/* top_thrash.c: what events tell of processes since the last look. */
struct top_thrash *top_thrash_new(void);
void top_thrash_free(struct top_thrash *thrash);
void top_thrash_add(struct top_thrash *thrash, const struct kfdsvm_event *event);
/* Times that queues of @pid were stopped. */
uint64_t top_thrash_evictions(const struct top_thrash *thrash, pid_t pid);
/* Windows of 2 MiB that came to a GPU and left it at least twice each. */
uint64_t top_thrash_windows(const struct top_thrash *thrash, pid_t pid);
/* The next interval begins. */
void top_thrash_reset(struct top_thrash *thrash);

/**
 * struct top_row - a process between two samples
 * @faults: since it began; so are the next two
 * @page_in: pages
 * @page_out: pages
 * @vram_len: now
 * @faults_s: per second
 * @in_mib_s: per second
 * @out_mib_s: per second
 * @evictions: in the interval, or KFDSVM_UNKNOWN
 * @thrashing: windows, or KFDSVM_UNKNOWN
 */
struct top_row {
	const struct top_process *process;
	uint64_t faults;
	uint64_t page_in;
	uint64_t page_out;
	uint64_t vram_len;
	double faults_s;
	double in_mib_s;
	double out_mib_s;
	uint64_t evictions;
	uint64_t thrashing;
};

struct top_rows {
	struct top_row *list;
	size_t n;
	double seconds;
};

/*
 * top_rows.c: what happened between two samples, busiest first. @thrash: or NULL.
 * @uid: processes of this user only, -1: of all. @self: is left out.
 */
void top_rows_make(struct top_rows *rows, const struct top_sample *before,
		   const struct top_sample *now, const struct top_thrash *thrash,
		   uid_t uid, pid_t self);
void top_rows_free(struct top_rows *rows);
/* Lines of at most @width columns (0: any), as many as @height (0: any). */
void top_rows_print(const struct top_rows *rows, unsigned int width, unsigned int height,
		    const char *line_end);
void top_rows_print_json(const struct top_rows *rows);

/* top_screen.c */
int top_screen_open(void);
void top_screen_close(void);
void top_screen_show(const struct top_rows *rows);
/* Waits for @ms, an event on @fd (or -1), a key or a signal. */
enum top_wake {
	TOP_TIME,
	TOP_EVENT,
	TOP_RESIZE,
	TOP_QUIT,
} top_wait(int fd, int ms);

#endif
