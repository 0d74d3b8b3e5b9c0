// SPDX-License-Identifier: MIT
/* kfdsvm trace: lines in pieces, pairs, lanes, and a report of what was written. */
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "report.h"
#include "trace.h"

static struct trace_sources all = { .gpus = { 0x10, 0x20 }, .ngpus = 2 };
static struct trace_run run;
static struct trace_source source;

static bool anybody(void *ctx, pid_t pid)
{
	return !ctx || *(pid_t *)ctx == pid;
}

static void begin(uint32_t gpu_id)
{
	static char *argv[] = { "a \"program\"\n", NULL };

	free(run.events.list);
	free(run.spots.list);
	memset(&run, 0, sizeof(run));
	run.argv = argv;
	run.pid = 5;
	run.events.limit = 1000000;
	source = (struct trace_source){ .fd = -1, .gpu_id = gpu_id };
}

static void feed(const char *text)
{
	trace_source_feed(&source, &all, &run, text, strlen(text), anybody, NULL);
}

static void lines_come_in_pieces(void **state)
{
	static const char text[] = "5 100 -5 @10(8) 0->10 0:0 0\n6 200 -5 @10(8) 0->10 0 0\n";

	(void)state;
	for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
		begin(0x10);
		trace_source_feed(&source, &all, &run, text, cut, anybody, NULL);
		trace_source_feed(&source, &all, &run, text + cut, sizeof(text) - 1 - cut,
				  anybody, NULL);
		assert_int_equal(run.events.n, 2);
		assert_int_equal(run.events.strange, 0);
		assert_int_equal(run.events.list[1].time_ns, 200);
		assert_int_equal(run.events.list[1].gpu_id, 0x10);
		assert_int_equal(source.open, 0);
	}
}

static void what_is_no_line_is_counted(void **state)
{
	char text[5000];
	pid_t other = 6;

	(void)state;
	begin(0x10);
	feed("nonsense\n\nff 1 -5 what\n");
	assert_int_equal(run.events.strange, 3);
	memset(text, 'x', sizeof(text) - 2);
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = '\0';
	feed(text);
	assert_int_equal(run.events.strange, 4);
	feed("9 100 -5 10 0\n");
	assert_int_equal(run.events.n, 1);
	trace_source_feed(&source, &all, &run, "9 100 -5 10 0\n", 14, anybody, &other);
	assert_int_equal(run.events.n, 1);
}

static void moves_between_gpus_are_told_once(void **state)
{
	(void)state;
	begin(0x10);
	feed("5 100 -5 @10(8) 10->20 0:0 0\n");
	assert_int_equal(run.events.n, 0);
	begin(0x20);
	feed("5 100 -5 @10(8) 10->20 0:0 0\n");
	assert_int_equal(run.events.n, 1);
	/* To a GPU that nobody listens to. */
	begin(0x10);
	feed("5 100 -5 @10(8) 10->30 0:0 0\n");
	assert_int_equal(run.events.n, 1);
}

static void the_limit_is_kept_and_told(void **state)
{
	(void)state;
	begin(0x10);
	run.events.limit = 3;
	for (int i = 0; i < 5; i++)
		feed("9 100 -5 10 0\n");
	assert_int_equal(run.events.n, 3);
	assert_int_equal(run.events.dropped, 2);
}

/* Whatever fits the driver's queue is no loss; one byte less than its room may be one. */
static void full_queues_are_noticed(void **state)
{
	(void)state;
	assert_false(trace_queue_was_full(0, 0));
	assert_false(trace_queue_was_full(TRACE_QUEUE_LEN - 2 * TRACE_LINE_LEN, 0));
	assert_true(trace_queue_was_full(TRACE_QUEUE_LEN - TRACE_LINE_LEN + 1, 0));
	assert_true(trace_queue_was_full(1, TRACE_MAX_OPEN));
	assert_true(trace_queue_was_full(600, 5));
}

static const struct trace_slice *slice_at(const struct trace_slices *slices, uint64_t start)
{
	for (size_t i = 0; i < slices->n; i++)
		if (slices->list[i].start_ns == start)
			return &slices->list[i];
	fail_msg("no slice at %llu", (unsigned long long)start);
	return NULL;
}

static void starts_find_their_ends(void **state)
{
	struct trace_slices slices;

	(void)state;
	begin(0x10);
	/* Not in order of time: several listeners. */
	feed("8 450 -5 @20(10) M\n");
	feed("5 100 -5 @10(8) 0->10 0:0 0\n6 300 -5 @10(8) 0->10 0 -16\n");
	feed("7 50 -5 @20(10) W\n7 60 -5 @30(10) R\n8 70 -5 @30(10) U\n");
	feed("9 500 -5 10 0\na 600 -5 10 R\na 700 -5 10 0\n");
	feed("b 800 -5 @10(8) 10 2\n1 5:name\n");
	trace_pair(&run.events, &run.spots, &slices);
	assert_int_equal(slices.unpaired, 0);
	assert_int_equal(slices.n, 7);
	assert_int_equal(slice_at(&slices, 50)->end_ns, 450);
	assert_int_equal(slice_at(&slices, 50)->flags, KFDSVM_EVENT_MIGRATED);
	assert_int_equal(slice_at(&slices, 60)->end_ns, 70);
	/* Faults overlap: not on one track. */
	assert_int_not_equal(slice_at(&slices, 50)->lane, slice_at(&slices, 60)->lane);
	assert_int_equal(slice_at(&slices, 100)->end_ns, 300);
	assert_int_equal(slice_at(&slices, 100)->error, -16);
	assert_int_equal(slice_at(&slices, 500)->end_ns, 700);
	assert_int_equal(slice_at(&slices, 600)->kind, TRACE_RESTORE_PUT_OFF);
	assert_true(slice_at(&slices, 800)->instant);
	for (size_t i = 1; i < slices.n; i++)
		assert_true(slices.list[i - 1].start_ns <= slices.list[i].start_ns);
	free(slices.list);
}

static void halves_are_counted(void **state)
{
	struct trace_slices slices;

	(void)state;
	begin(0x10);
	/* Lost: an END, a START; what comes again is paired with itself. */
	feed("7 10 -5 @20(10) W\n7 20 -5 @20(10) W\n8 30 -5 @20(10) U\n");
	feed("6 40 -5 @10(8) 0->10 0 0\n");
	assert_int_equal(trace_unended(&run.events), 0);
	trace_pair(&run.events, &run.spots, &slices);
	assert_int_equal(slices.n, 3);
	assert_int_equal(slices.unpaired, 2);
	assert_true(slice_at(&slices, 10)->half);
	assert_int_equal(slice_at(&slices, 20)->end_ns, 30);
	assert_true(slice_at(&slices, 40)->half);
	free(slices.list);
	feed("7 50 -5 @20(10) W\n7 60 -5 @20(10) W\n");
	assert_int_equal(trace_unended(&run.events), 2);
}

/* With many losses it would take a day to look at all; the latest are looked at. */
static void old_starts_wait_for_nothing(void **state)
{
	struct trace_slices slices;
	char line[96];

	(void)state;
	begin(0x10);
	for (unsigned int i = 1; i <= 5000; i++) {
		snprintf(line, sizeof(line), "7 %u -5 @%x(10) W\n", i, i);
		feed(line);
	}
	/* Number 905 is the oldest of 4096. */
	feed("8 6000 -5 @388(10) U\n8 6001 -5 @389(10) U\n");
	trace_pair(&run.events, &run.spots, &slices);
	assert_true(slice_at(&slices, 904)->half);
	assert_true(slice_at(&slices, 6000)->half);
	assert_int_equal(slice_at(&slices, 905)->end_ns, 6001);
	assert_int_equal(slices.unpaired, 5000);
	free(slices.list);
}

/* Slices of one lane must not overlap, and no more lanes are taken than there must be. */
static void lanes_are_disjoint(void **state)
{
	struct trace_slices slices;
	unsigned int seed = 7, lanes = 0, deepest = 0;
	char line[96];

	(void)state;
	begin(0x10);
	for (unsigned int i = 0; i < 400; i++) {
		seed = seed * 1103515245u + 12345u;
		snprintf(line, sizeof(line), "7 %u -5 @%x(10) W\n8 %u -5 @%x(10) U\n",
			 i * 10 + 1, i, i * 10 + 2 + (seed >> 16) % 100, i);
		feed(line);
	}
	trace_pair(&run.events, &run.spots, &slices);
	assert_int_equal(slices.n, 400);
	for (size_t i = 0; i < slices.n; i++) {
		unsigned int depth = 1;

		for (size_t k = 0; k < i; k++) {
			bool overlap = slices.list[k].end_ns > slices.list[i].start_ns;

			depth += overlap;
			assert_false(overlap && slices.list[k].lane == slices.list[i].lane);
		}
		if (depth > deepest)
			deepest = depth;
		if (slices.list[i].lane + 1 > lanes)
			lanes = slices.list[i].lane + 1;
	}
	assert_int_equal(lanes, deepest);
	free(slices.list);
}

static struct json_object *written(struct report *report, char **text)
{
	struct trace_slices slices;
	struct json_object *object;
	size_t len, at;
	FILE *file = open_memstream(text, &len);

	assert_non_null(file);
	trace_pair(&run.events, &run.spots, &slices);
	assert_int_equal(trace_write(file, &run, &slices), 0);
	fclose(file);
	free(slices.list);
	memset(report, 0, sizeof(*report));
	assert_int_equal(report_read(report, *text, len, &at), 0);
	object = json_tokener_parse(*text);
	assert_non_null(object);
	return object;
}

static void report_equals_the_events(void **state)
{
	const struct report_window *most[REPORT_MOST];
	struct json_object *object;
	struct report report;
	char *text;

	(void)state;
	begin(0x10);
	run.end_ns = 5000000;
	/* 4 MiB to the GPU in 3 us, 8 pages of it back, a failure. */
	feed("5 1000 -5 @200(400) 0->10 0:0 0\n6 4000 -5 @200(400) 0->10 0 0\n");
	feed("5 5000 -5 @200(8) 10->0 0:0 2\n6 6000 -5 @200(8) 10->0 2 0\n");
	feed("5 7000 -5 @900(8) 0->10 0:0 1\n6 7500 -5 @900(8) 0->10 1 -12\n");
	feed("7 8000 -5 @400(10) W\n8 8100 -5 @400(10) U\n");
	feed("9 9000 -5 10 0\na 9500 -5 10 0\n1 5:x\"y\\z\nb 9600 -5 @200(8) 10 1\n");
	object = written(&report, &text);
	assert_false(report.cut);
	assert_int_equal(report.events, run.events.n);
	assert_int_equal(report_total(report.moves), 3);
	assert_int_equal(report.moves[KFDSVM_MIGRATE_CPU_FAULT], 1);
	assert_int_equal(report.failed_moves, 1);
	assert_int_equal(report.bytes_in, 0x400 * (uint64_t)sysconf(_SC_PAGESIZE));
	assert_int_equal(report.bytes_out, 8 * (uint64_t)sysconf(_SC_PAGESIZE));
	assert_int_equal(report.faults, 1);
	assert_int_equal(report.write_faults, 1);
	assert_int_equal(report.migrated_faults, 0);
	assert_int_equal(report_total(report.stops), 1);
	assert_true(report.stop_us == 0.5);
	assert_int_equal(report_total(report.unmaps), 1);
	assert_int_equal(report.vm_faults, 1);
	assert_true(report.us == 5000);
	/* 1.5 us of the move each; the first one has the way back, too. */
	assert_int_equal(report_most(&report, most), 3);
	if (sysconf(_SC_PAGESIZE) == 4096) {
		assert_int_equal(most[0]->addr, 0x200000);
		assert_true(most[0]->us == 2.5);
		assert_int_equal(most[0]->in, 1);
		assert_int_equal(most[0]->out, 1);
		assert_int_equal(most[1]->addr, 0x400000);
		assert_true(most[1]->us > 1.599 && most[1]->us < 1.601);
		assert_int_equal(most[1]->faults, 1);
		/* What failed has moved nothing. */
		assert_int_equal(most[2]->addr, 0x800000);
		assert_int_equal(report_total(most[2]->moves), 1);
		assert_int_equal(most[2]->in, 0);
		assert_int_equal(most[2]->bytes_in, 0);
	}
	json_object_put(object);
	report_free(&report);
	free(text);
}

static void losses_are_in_the_file(void **state)
{
	struct json_object *object;
	struct report report;
	char *text;

	(void)state;
	begin(0x10);
	run.spots.list = calloc(1, sizeof(run.spots.list[0]));
	run.spots.list[0] = (struct trace_spot){ .time_ns = 70, .gpu_id = 0x10 };
	run.spots.n = 1;
	run.spots.room = 1;
	feed("7 10 -5 @20(10) W\nwhat\n");
	run.events.limit = 1;
	feed("7 20 -5 @20(10) W\n");
	object = written(&report, &text);
	assert_int_equal(report.full_reads, 1);
	assert_int_equal(report.unpaired, 1);
	assert_int_equal(report.strange, 1);
	assert_int_equal(report.dropped, 1);
	assert_int_equal(report.faults, 0);
	assert_non_null(strstr(text, "\"cat\":\"lost\""));
	json_object_put(object);
	report_free(&report);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_in_pieces),
		cmocka_unit_test(what_is_no_line_is_counted),
		cmocka_unit_test(moves_between_gpus_are_told_once),
		cmocka_unit_test(the_limit_is_kept_and_told),
		cmocka_unit_test(full_queues_are_noticed),
		cmocka_unit_test(starts_find_their_ends),
		cmocka_unit_test(halves_are_counted),
		cmocka_unit_test(old_starts_wait_for_nothing),
		cmocka_unit_test(lanes_are_disjoint),
		cmocka_unit_test(report_equals_the_events),
		cmocka_unit_test(losses_are_in_the_file),
	};
	int ret = cmocka_run_group_tests(tests, NULL, NULL);

	begin(0);
	return ret;
}
