// SPDX-License-Identifier: MIT
/* kfdsvm report: what a trace of kfdsvm trace comes to. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kfdsvm.h>

#include "command.h"
#include "output.h"
#include "words.h"

#define MIB	(1024.0 * 1024.0)

static void usage(FILE *to)
{
	fputs("usage: kfdsvm report [OPTION]... FILE\n\n"
	      "Totals of a trace that kfdsvm trace wrote, and the ten most expensive windows of\n"
	      "2 MiB with what made them so. FILE may be -, standard input.\n\n"
	      "  -j, --json     as JSON\n"
	      "  -h, --help     this text\n"
	      "  -V, --version  the version\n\n"
	      "exit status: 0 the report was written, 2 bad usage, 3 FILE cannot be read or is\n"
	      "no trace\n", to);
}

static int read_all(int fd, char **text, size_t *len)
{
	size_t room = 0;
	ssize_t n;

	*text = NULL;
	*len = 0;
	for (;;) {
		if (room - *len < 65536) {
			room = room ? 2 * room : 1 << 20;
			*text = need_memory(realloc(*text, room));
		}
		n = read(fd, *text + *len, room - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		*len += (size_t)n;
	}
}

/* "prefetch 3, CPU fault 1" */
static void words(char *to, size_t len, const uint64_t *counts, const char *(*word)(uint32_t))
{
	size_t at = 0;

	to[0] = '\0';
	for (uint32_t i = 0; i < REPORT_NTRIGGERS && at < len; i++)
		if (counts[i])
			at += (size_t)snprintf(to + at, len - at, "%s%s %" PRIu64,
					       at ? ", " : "", word(i), counts[i]);
}

static void print_line(const char *name, uint64_t count, double us, const char *causes)
{
	printf("  %-16s %9" PRIu64 "  %12.3f ms", name, count, us / 1000);
	printf("%s%s\n", *causes ? "  " : "", causes);
}

static void print_lost(const struct report *r)
{
	if (r->cut)
		printf("  the file ends in the middle: the recorder did not finish\n");
	if (r->unpaired)
		printf("  %" PRIu64 " events without their other half\n", r->unpaired);
	if (r->full_reads)
		printf("  the driver's queue was full %" PRIu64 " times: events may be lost\n",
		       r->full_reads);
	if (r->dropped)
		printf("  %" PRIu64 " events beyond the recorder's limit\n", r->dropped);
	if (r->strange)
		printf("  %" PRIu64 " lines of the driver not understood\n", r->strange);
}

static void print_totals(const struct report *r)
{
	char causes[256];
	double us = 0;

	printf("%s: %.3f s, %" PRIu64 " events\n", *r->program ? r->program : "?", r->us / 1e6,
	       r->events);
	print_lost(r);
	printf("\ntotals\n");
	snprintf(causes, sizeof(causes), "%" PRIu64 " writes, %" PRIu64 " migrated",
		 r->write_faults, r->migrated_faults);
	print_line("GPU faults", r->faults, r->fault_us, causes);
	for (unsigned int i = 0; i < REPORT_NTRIGGERS; i++)
		us += r->move_us[i];
	words(causes, sizeof(causes), r->moves, migration_word);
	print_line("migrations", report_total(r->moves), us, causes);
	printf("    to GPUs %.1f MiB, from GPUs %.1f MiB, failed %" PRIu64 "\n",
	       (double)r->bytes_in / MIB, (double)r->bytes_out / MIB, r->failed_moves);
	words(causes, sizeof(causes), r->stops, eviction_word);
	print_line("queue stops", report_total(r->stops), r->stop_us, causes);
	if (r->put_off)
		printf("    restores put off %" PRIu64 "\n", r->put_off);
	words(causes, sizeof(causes), r->unmaps, unmap_word);
	printf("  %-16s %9" PRIu64 "  %15s%s%s\n", "unmaps", report_total(r->unmaps), "",
	       *causes ? "  " : "", causes);
	printf("  %-16s %9" PRIu64 "\n", "failed accesses", r->vm_faults);
}

static void print_windows(const struct report *r)
{
	const struct report_window *most[REPORT_MOST];
	size_t n = report_most(r, most);
	char causes[256];

	if (!n)
		return;
	printf("\nmost expensive windows of 2 MiB\n");
	printf("  %-18s %8s %12s %10s %10s %8s %8s  %s\n", "address", "process", "ms", "MiB in",
	       "MiB out", "faults", "unmaps", "moved for");
	for (size_t i = 0; i < n; i++) {
		const struct report_window *w = most[i];

		words(causes, sizeof(causes), w->moves, migration_word);
		printf("  0x%-16" PRIx64 " %8d %12.3f %10.1f %10.1f %8" PRIu64 " %8" PRIu64,
		       w->addr, w->pid, w->us / 1000, (double)w->bytes_in / MIB,
		       (double)w->bytes_out / MIB, w->faults, w->unmaps);
		printf("%s%s%s\n", *causes ? "  " : "", causes,
		       w->in > 1 && w->out > 1 ? " (to and fro)" : "");
	}
}

static void put_counts(struct json_object *to, const char *name, const uint64_t *counts,
		       const char *(*word)(uint32_t))
{
	struct json_object *object = json_new();

	for (uint32_t i = 0; i < REPORT_NTRIGGERS; i++)
		if (counts[i])
			json_put_number(object, word(i), counts[i]);
	json_put(to, name, object);
}

static struct json_object *window_json(const struct report_window *w)
{
	struct json_object *to = json_new();
	char addr[24];

	snprintf(addr, sizeof(addr), "0x%" PRIx64, w->addr);
	json_put_text(to, "address", addr);
	json_put_number(to, "pid", (uint64_t)w->pid);
	json_put_real(to, "us", w->us);
	json_put_number(to, "bytes_in", w->bytes_in);
	json_put_number(to, "bytes_out", w->bytes_out);
	json_put_number(to, "faults", w->faults);
	json_put_number(to, "unmaps", w->unmaps);
	json_put_number(to, "migrations_in", w->in);
	json_put_number(to, "migrations_out", w->out);
	put_counts(to, "causes", w->moves, migration_word);
	return to;
}

static void print_json(const struct report *r)
{
	const struct report_window *most[REPORT_MOST];
	struct json_object *to = json_new(), *list = json_new_list();
	size_t n = report_most(r, most);
	double us = 0;

	json_put_text(to, "program", r->program);
	json_put_real(to, "us", r->us);
	json_put_number(to, "events", r->events);
	json_put_bool(to, "complete", !r->cut && !r->unpaired && !r->full_reads &&
		      !r->dropped && !r->strange);
	json_put_bool(to, "cut", r->cut);
	json_put_number(to, "unpaired", r->unpaired);
	json_put_number(to, "full_reads", r->full_reads);
	json_put_number(to, "dropped", r->dropped);
	json_put_number(to, "strange", r->strange);
	json_put_number(to, "faults", r->faults);
	json_put_number(to, "write_faults", r->write_faults);
	json_put_number(to, "migrated_faults", r->migrated_faults);
	json_put_real(to, "fault_us", r->fault_us);
	json_put_number(to, "migrations", report_total(r->moves));
	for (unsigned int i = 0; i < REPORT_NTRIGGERS; i++)
		us += r->move_us[i];
	json_put_real(to, "migration_us", us);
	put_counts(to, "migration_causes", r->moves, migration_word);
	json_put_number(to, "failed_migrations", r->failed_moves);
	json_put_number(to, "bytes_in", r->bytes_in);
	json_put_number(to, "bytes_out", r->bytes_out);
	json_put_number(to, "queue_stops", report_total(r->stops));
	json_put_real(to, "queue_stop_us", r->stop_us);
	put_counts(to, "queue_stop_causes", r->stops, eviction_word);
	json_put_number(to, "restores_put_off", r->put_off);
	json_put_number(to, "unmaps", report_total(r->unmaps));
	put_counts(to, "unmap_causes", r->unmaps, unmap_word);
	json_put_number(to, "failed_accesses", r->vm_faults);
	for (size_t i = 0; i < n; i++)
		if (json_object_array_add(list, window_json(most[i])))
			out_of_memory();
	json_put(to, "windows", list);
	json_print(to, true);
}

static int report_file(const char *path, bool json)
{
	struct report report = { .cut = false };
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	size_t len = 0, at = 0;
	char *text = NULL;
	int ret = fd < 0 ? -errno : read_all(fd, &text, &len);

	if (ret) {
		fprintf(stderr, "kfdsvm report: %s: %s\n", path, strerror(-ret));
	} else if (report_read(&report, text, len, &at)) {
		fprintf(stderr, "kfdsvm report: %s: no trace: byte %zu is not as JSON has it\n",
			path, at);
		ret = -EBADMSG;
	} else if (json) {
		print_json(&report);
	} else {
		print_totals(&report);
		print_windows(&report);
	}
	report_free(&report);
	free(text);
	if (fd > STDIN_FILENO)
		close(fd);
	return ret ? EXIT_ERROR : output_end(EXIT_WORKS);
}

int command_report(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "jhV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		default:
			return command_option(opt, usage, EXIT_USAGE);
		}
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return report_file(argv[optind], json);
}
