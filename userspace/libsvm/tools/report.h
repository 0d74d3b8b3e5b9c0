/* SPDX-License-Identifier: MIT */
/* kfdsvm report: what its files share. */
#ifndef KFDSVM_REPORT_H
#define KFDSVM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* Memory is looked at in windows of the size that most often moves together. */
#define REPORT_WINDOW_LEN	(2ull << 20)
#define REPORT_MOST		10u
/* Triggers that have a name, and the others together. */
#define REPORT_NTRIGGERS	7u
#define REPORT_OTHER		(REPORT_NTRIGGERS - 1)

/** struct report_window - what one window cost; @used: the place in the table is taken */
struct report_window {
	uint64_t addr;
	double us;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t in;
	uint64_t out;
	uint64_t moves[REPORT_NTRIGGERS];
	uint64_t faults;
	uint64_t unmaps;
	int32_t pid;
	bool used;
};

/**
 * struct report - sums over a trace
 * @cut: the file ends before the trace does
 * @events: of the driver, as the recorder counted them
 * @unpaired: events without their other half
 * @full_reads: times that the driver may have dropped events
 * @dropped: events beyond the recorder's limit
 * @strange: lines that were not understood
 * @us: length of the program's run, microseconds
 * @table: windows, hashed by process and address
 */
struct report {
	char program[256];
	bool cut;
	uint64_t events;
	uint64_t unpaired;
	uint64_t full_reads;
	uint64_t dropped;
	uint64_t strange;
	double us;
	uint64_t faults;
	uint64_t write_faults;
	uint64_t migrated_faults;
	double fault_us;
	uint64_t moves[REPORT_NTRIGGERS];
	double move_us[REPORT_NTRIGGERS];
	uint64_t failed_moves;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t stops[REPORT_NTRIGGERS];
	double stop_us;
	uint64_t put_off;
	uint64_t unmaps[REPORT_NTRIGGERS];
	uint64_t vm_faults;
	struct report_window *table;
	size_t room;
	size_t nwindows;
};

/* report_sums.c */
void report_add_event(struct report *report, struct json_object *event);
void report_add_other(struct report *report, struct json_object *other);
/* The most expensive windows, most first; how many. */
size_t report_most(const struct report *report, const struct report_window **most);
uint64_t report_total(const uint64_t *counts);
void report_free(struct report *report);

/*
 * report_read.c: text of a trace, as an object or as a list of events, which may lack its
 * end. 0 or -EBADMSG; @at: where it is not JSON.
 */
int report_read(struct report *report, const char *text, size_t len, size_t *at);

#endif
