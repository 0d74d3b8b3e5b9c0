// SPDX-License-Identifier: MIT
#include "top.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

#define MIB	(1024.0 * 1024.0)

static const struct top_process *find(const struct top_sample *sample, pid_t pid)
{
	size_t first = 0, last = sample->n;

	while (first < last) {
		size_t middle = first + (last - first) / 2;

		if (sample->list[middle].pid == pid)
			return &sample->list[middle];
		if (sample->list[middle].pid < pid)
			first = middle + 1;
		else
			last = middle;
	}
	return NULL;
}

static void add(uint64_t *sum, uint64_t value)
{
	*sum = *sum == KFDSVM_UNKNOWN || value == KFDSVM_UNKNOWN ?
	       KFDSVM_UNKNOWN : *sum + value;
}

struct sums {
	uint64_t faults;
	uint64_t page_in;
	uint64_t page_out;
	uint64_t vram_len;
};

static struct sums sum_up(const struct top_process *process)
{
	struct sums sums = { 0 };

	for (unsigned int i = 0; process && i < process->ngpus; i++) {
		add(&sums.faults, process->gpus[i].faults);
		add(&sums.page_in, process->gpus[i].page_in);
		add(&sums.page_out, process->gpus[i].page_out);
		add(&sums.vram_len, process->gpus[i].vram_len);
	}
	return sums;
}

/* A counter that went back is another process's of the same number. */
static double rate(uint64_t before, uint64_t now, double seconds)
{
	if (now == KFDSVM_UNKNOWN || before == KFDSVM_UNKNOWN || seconds <= 0)
		return 0;
	return (double)(now >= before ? now - before : now) / seconds;
}

static void make_row(struct top_row *row, const struct top_process *process,
		     const struct top_process *old, const struct top_thrash *thrash,
		     double seconds)
{
	struct sums was = sum_up(old), is = sum_up(process);
	double page_mib = (double)sysconf(_SC_PAGESIZE) / MIB;

	*row = (struct top_row){
		.process = process,
		.faults = is.faults,
		.page_in = is.page_in,
		.page_out = is.page_out,
		.vram_len = is.vram_len,
		.faults_s = rate(was.faults, is.faults, seconds),
		.in_mib_s = rate(was.page_in, is.page_in, seconds) * page_mib,
		.out_mib_s = rate(was.page_out, is.page_out, seconds) * page_mib,
		.evictions = KFDSVM_UNKNOWN,
		.thrashing = KFDSVM_UNKNOWN,
	};
	if (thrash) {
		row->evictions = top_thrash_evictions(thrash, process->pid);
		row->thrashing = top_thrash_windows(thrash, process->pid);
	}
}

static int busiest(const void *a, const void *b)
{
	const struct top_row *left = a, *right = b;
	double l = left->in_mib_s + left->out_mib_s, r = right->in_mib_s + right->out_mib_s;

	if (l != r)
		return l > r ? -1 : 1;
	if (left->faults_s != right->faults_s)
		return left->faults_s > right->faults_s ? -1 : 1;
	return (left->process->pid > right->process->pid) -
	       (left->process->pid < right->process->pid);
}

void top_rows_make(struct top_rows *rows, const struct top_sample *before,
		   const struct top_sample *now, const struct top_thrash *thrash,
		   uid_t uid, pid_t self)
{
	rows->list = need_memory(calloc(now->n + 1, sizeof(rows->list[0])));
	rows->n = 0;
	rows->seconds = (double)(now->time_ns - before->time_ns) / 1e9;
	for (size_t i = 0; i < now->n; i++) {
		const struct top_process *process = &now->list[i];

		if (process->pid == self || (uid != (uid_t)-1 && process->uid != uid))
			continue;
		make_row(&rows->list[rows->n++], process, find(before, process->pid), thrash,
			 rows->seconds);
	}
	qsort(rows->list, rows->n, sizeof(rows->list[0]), busiest);
}

void top_rows_free(struct top_rows *rows)
{
	free(rows->list);
	rows->list = NULL;
	rows->n = 0;
}

static void print_cut(const char *line, unsigned int width, const char *line_end)
{
	if (width)
		printf("%.*s%s", (int)width, line, line_end);
	else
		printf("%s%s", line, line_end);
}

static void count(char *to, size_t len, uint64_t value)
{
	if (value == KFDSVM_UNKNOWN)
		snprintf(to, len, "-");
	else
		snprintf(to, len, "%" PRIu64, value);
}

static void user_name(char *to, size_t len, uid_t uid)
{
	const struct passwd *entry = uid == (uid_t)-1 ? NULL : getpwuid(uid);

	if (entry)
		printable(to, len, entry->pw_name);
	else if (uid == (uid_t)-1)
		snprintf(to, len, "?");
	else
		snprintf(to, len, "%u", (unsigned int)uid);
}

static void print_row(const struct top_row *row, unsigned int width, const char *line_end)
{
	char line[256], user[16], evictions[24], thrashing[24], vram[24];

	user_name(user, sizeof(user), row->process->uid);
	count(evictions, sizeof(evictions), row->evictions);
	count(thrashing, sizeof(thrashing), row->thrashing);
	if (row->vram_len == KFDSVM_UNKNOWN)
		snprintf(vram, sizeof(vram), "-");
	else
		snprintf(vram, sizeof(vram), "%.1f", (double)row->vram_len / MIB);
	snprintf(line, sizeof(line), "%8d %-10.10s %10.1f %10.1f %10.1f %10s %6s %6s  %s",
		 (int)row->process->pid, user, row->faults_s, row->in_mib_s, row->out_mib_s,
		 vram, evictions, thrashing, row->process->comm);
	print_cut(line, width, line_end);
}

void top_rows_print(const struct top_rows *rows, unsigned int width, unsigned int height,
		    const char *line_end)
{
	char line[256];

	snprintf(line, sizeof(line), "%8s %-10s %10s %10s %10s %10s %6s %6s  %s", "PID", "USER",
		 "FAULTS/s", "IN MiB/s", "OUT MiB/s", "VRAM MiB", "EVICT", "THRASH", "COMMAND");
	print_cut(line, width, line_end);
	for (size_t i = 0; i < rows->n && (!height || i + 1 < height); i++)
		print_row(&rows->list[i], width, line_end);
}

static struct json_object *gpu_json(const struct top_gpu *gpu)
{
	struct json_object *to = json_new();

	json_put_number(to, "gpu_id", gpu->gpu_id);
	json_put_number(to, "faults", gpu->faults);
	json_put_number(to, "page_in", gpu->page_in);
	json_put_number(to, "page_out", gpu->page_out);
	json_put_number(to, "vram_bytes", gpu->vram_len);
	return to;
}

static struct json_object *row_json(const struct top_row *row)
{
	struct json_object *to = json_new(), *gpus = json_new_list();

	json_put_number(to, "pid", (uint64_t)row->process->pid);
	json_put_number(to, "uid", row->process->uid);
	json_put_text(to, "command", row->process->comm);
	json_put_real(to, "faults_per_s", row->faults_s);
	json_put_real(to, "in_mib_per_s", row->in_mib_s);
	json_put_real(to, "out_mib_per_s", row->out_mib_s);
	json_put_number(to, "vram_bytes", row->vram_len);
	json_put_number(to, "evictions", row->evictions);
	json_put_number(to, "thrashing_windows", row->thrashing);
	for (unsigned int i = 0; i < row->process->ngpus; i++)
		if (json_object_array_add(gpus, gpu_json(&row->process->gpus[i])))
			out_of_memory();
	json_put(to, "gpus", gpus);
	return to;
}

void top_rows_print_json(const struct top_rows *rows)
{
	struct json_object *to = json_new(), *list = json_new_list();

	json_put_real(to, "seconds", rows->seconds);
	for (size_t i = 0; i < rows->n; i++)
		if (json_object_array_add(list, row_json(&rows->list[i])))
			out_of_memory();
	json_put(to, "processes", list);
	json_print(to, false);
}
