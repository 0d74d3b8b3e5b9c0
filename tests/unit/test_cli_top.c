// SPDX-License-Identifier: MIT
/* kfdsvm top: samples of a folder that stands for sysfs, rates, and what goes to and fro. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli_tree.h"
#include "top.h"

#define PROC "/sys/class/kfd/kfd/proc"

static void add_process(struct tree *tree, int pid, unsigned int gpu, unsigned long faults,
			unsigned long in, unsigned long out)
{
	char path[128];

#define FILE_OF(format, ...) (snprintf(path, sizeof(path), format, __VA_ARGS__), path)
	tree_write(tree, FILE_OF(PROC "/%d/counters_%u/faults", pid, gpu), "%lu\n", faults);
	tree_write(tree, FILE_OF(PROC "/%d/counters_%u/page_in", pid, gpu), "%lu\n", in);
	tree_write(tree, FILE_OF(PROC "/%d/counters_%u/page_out", pid, gpu), "%lu\n", out);
	tree_write(tree, FILE_OF(PROC "/%d/vram_%u", pid, gpu), "%lu\n", (in - out) * 4096);
	tree_write(tree, FILE_OF("/proc/%d/comm", pid), "job\n");
#undef FILE_OF
}

static void no_driver(void **state)
{
	struct tree *tree = *state;
	struct top_sample sample;

	assert_int_equal(top_sample_take(tree->root, &sample), -ENOENT);
}

static void samples_and_rates(void **state)
{
	struct tree *tree = *state;
	struct top_sample before, now;
	struct top_rows rows;
	double mib = (double)sysconf(_SC_PAGESIZE) / (1 << 20);

	add_process(tree, 100, 7, 10, 20, 5);
	add_process(tree, 20, 7, 0, 0, 0);
	tree_write(tree, PROC "/not-a-process/x", "1");
	assert_int_equal(top_sample_take(tree->root, &before), 0);
	assert_int_equal(before.n, 2);
	assert_int_equal(before.list[0].pid, 20);
	assert_string_equal(before.list[1].comm, "job");
	add_process(tree, 100, 7, 30, 120, 55);
	add_process(tree, 100, 9, 1, 2, 3);
	add_process(tree, 300, 7, 4, 0, 0);
	assert_int_equal(top_sample_take(tree->root, &now), 0);
	now.time_ns = before.time_ns + 2000000000u;
	top_rows_make(&rows, &before, &now, NULL, (uid_t)-1, 20);
	assert_int_equal(rows.n, 2);
	assert_int_equal(rows.list[0].process->pid, 100);
	assert_int_equal(rows.list[0].faults, 31);
	assert_int_equal(rows.list[0].page_in, 122);
	assert_int_equal(rows.list[0].page_out, 58);
	assert_true(rows.list[0].faults_s == 10.5);
	assert_true(rows.list[0].in_mib_s == 51 * mib);
	assert_true(rows.list[0].out_mib_s == 26.5 * mib);
	assert_true(rows.list[0].evictions == KFDSVM_UNKNOWN);
	/* One that is new has done it all since. */
	assert_int_equal(rows.list[1].process->pid, 300);
	assert_true(rows.list[1].faults_s == 2);
	top_rows_free(&rows);
	top_rows_make(&rows, &before, &now, NULL, getuid() + 1, 20);
	assert_int_equal(rows.n, 0);
	top_rows_free(&rows);
	top_sample_free(&before);
	top_sample_free(&now);
}

static void counters_that_go_back_are_of_another(void **state)
{
	struct tree *tree = *state;
	struct top_sample before, now;
	struct top_rows rows;

	add_process(tree, 100, 7, 1000, 0, 0);
	assert_int_equal(top_sample_take(tree->root, &before), 0);
	add_process(tree, 100, 7, 6, 0, 0);
	assert_int_equal(top_sample_take(tree->root, &now), 0);
	now.time_ns = before.time_ns + 1000000000u;
	top_rows_make(&rows, &before, &now, NULL, (uid_t)-1, 0);
	assert_true(rows.list[0].faults_s == 6);
	top_rows_free(&rows);
	top_sample_free(&before);
	top_sample_free(&now);
}

static void what_is_not_there_is_unknown(void **state)
{
	struct tree *tree = *state;
	struct top_sample sample;
	struct top_rows rows;

	tree_write(tree, PROC "/5/counters_7/faults", "3\n");
	tree_write(tree, PROC "/5/counters_7/page_in", "what?\n");
	assert_int_equal(top_sample_take(tree->root, &sample), 0);
	top_rows_make(&rows, &sample, &sample, NULL, (uid_t)-1, 0);
	assert_int_equal(rows.list[0].faults, 3);
	assert_true(rows.list[0].page_in == KFDSVM_UNKNOWN);
	assert_true(rows.list[0].vram_len == KFDSVM_UNKNOWN);
	assert_true(rows.list[0].in_mib_s == 0);
	assert_string_equal(rows.list[0].process->comm, "?");
	top_rows_free(&rows);
	top_sample_free(&sample);
}

static void move(struct top_thrash *thrash, pid_t pid, uint64_t addr, uint64_t len, uint32_t to)
{
	const struct kfdsvm_event event = {
		.kind = KFDSVM_EVENT_MIGRATE_END,
		.pid = pid,
		.addr = addr,
		.len = len,
		.to = to,
	};

	top_thrash_add(thrash, &event);
}

static void to_and_fro(void **state)
{
	const struct kfdsvm_event stop = { .kind = KFDSVM_EVENT_EVICTION, .pid = 1 };
	struct kfdsvm_event failed = {
		.kind = KFDSVM_EVENT_MIGRATE_END, .pid = 3, .len = 1, .error = -EBUSY,
	};
	struct top_thrash *thrash = top_thrash_new();

	(void)state;
	assert_int_equal(top_thrash_windows(thrash, 1), 0);
	assert_int_equal(top_thrash_evictions(thrash, 1), 0);
	top_thrash_add(thrash, &stop);
	top_thrash_add(thrash, &stop);
	for (int i = 0; i < 2; i++) {
		/* Windows 1, 2 and 3; the last two only half of the way back. */
		move(thrash, 1, 3ull << 20, 4ull << 20, 7);
		move(thrash, 1, 3ull << 20, 2ull << 20, 0);
		failed.to = i;
		top_thrash_add(thrash, &failed);
	}
	move(thrash, 2, 3ull << 20, 4ull << 20, 7);
	assert_int_equal(top_thrash_windows(thrash, 1), 2);
	assert_int_equal(top_thrash_windows(thrash, 2), 0);
	assert_int_equal(top_thrash_windows(thrash, 3), 0);
	assert_int_equal(top_thrash_evictions(thrash, 1), 2);
	assert_int_equal(top_thrash_evictions(thrash, 2), 0);
	/* Many, so that the table grows; and one that says it is all of the memory. */
	for (uint64_t i = 0; i < 5000; i++)
		for (int k = 0; k < 4; k++)
			move(thrash, 4, i << 21, 4096, k & 1);
	assert_int_equal(top_thrash_windows(thrash, 4), 5000);
	assert_int_equal(top_thrash_windows(thrash, 1), 2);
	move(thrash, 5, 0, UINT64_MAX, 1);
	top_thrash_reset(thrash);
	assert_int_equal(top_thrash_windows(thrash, 4), 0);
	assert_int_equal(top_thrash_evictions(thrash, 1), 0);
	top_thrash_free(thrash);
	top_thrash_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_driver),
		TEST(samples_and_rates),
		TEST(counters_that_go_back_are_of_another),
		TEST(what_is_not_there_is_unknown),
		cmocka_unit_test(to_and_fro),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
