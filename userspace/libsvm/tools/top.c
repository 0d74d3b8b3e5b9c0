// SPDX-License-Identifier: MIT
/* kfdsvm top: processes that use SVM, and what moves. */
#include "top.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "output.h"
#include "privilege.h"

struct options {
	bool batch;
	bool json;
	bool all;
	unsigned long samples;
	double seconds;
};

/* Events of all processes, to who may hear of them. */
struct ear {
	struct kfdsvm *svm;
	struct kfdsvm_events *events;
	struct top_thrash *thrash;
	int fd;
};

static void usage(FILE *to)
{
	fputs("usage: kfdsvm top [OPTION]...\n\n"
	      "Processes that use shared virtual memory: GPU faults and migrated MiB a second, to\n"
	      "VRAM (IN) and from it (OUT), VRAM in use, how often their queues were stopped\n"
	      "(EVICT) and how many windows of 2 MiB go to and fro (THRASH). Without\n"
	      "CAP_SYS_ADMIN the last two are unknown, and only one's own processes are shown.\n\n"
	      "  -a, --all        processes of all users\n"
	      "  -b, --batch      print samples one after the other; so it is without a terminal\n"
	      "  -n, --samples N  end after N samples\n"
	      "  -d, --delay SECS seconds between samples (1)\n"
	      "  -j, --json       one JSON object for each sample; implies --batch\n"
	      "  -h, --help       this text\n"
	      "  -V, --version    the version\n\n"
	      "exit status: 0 all samples were shown, 1 no driver, 2 bad usage, 3 another error\n",
	      to);
}

/* Without events there are counters still. */
static void ear_open(struct ear *ear)
{
	const struct kfdsvm_events_options options = {
		.size = sizeof(options),
		.kinds = KFDSVM_EVENT_BIT(KFDSVM_EVENT_MIGRATE_END) |
			 KFDSVM_EVENT_BIT(KFDSVM_EVENT_EVICTION),
		.flags = KFDSVM_EVENTS_ALL_PROCESSES,
	};

	ear->fd = -1;
	if (!is_admin() || kfdsvm_open(&ear->svm, NULL))
		return;
	if (kfdsvm_events_open(&ear->events, ear->svm, &options))
		return;
	ear->fd = kfdsvm_events_fd(ear->events);
	ear->thrash = top_thrash_new();
}

static void ear_close(struct ear *ear)
{
	kfdsvm_events_close(ear->events);
	kfdsvm_close(ear->svm);
	top_thrash_free(ear->thrash);
}

static void ear_listen(struct ear *ear)
{
	struct kfdsvm_event list[64];
	int n;

	while (ear->events &&
	       (n = kfdsvm_events_read(ear->events, list, 64, sizeof(list[0]))) > 0)
		for (int i = 0; i < n; i++)
			top_thrash_add(ear->thrash, &list[i]);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void show(const struct top_rows *rows, const struct options *options)
{
	if (options->json) {
		top_rows_print_json(rows);
	} else if (options->batch) {
		top_rows_print(rows, 0, 0, "\n");
		putchar('\n');
	} else {
		top_screen_show(rows);
	}
}

/* Until the next sample; the screen follows its size. False: the user has had enough. */
static bool wait_for_sample(struct ear *ear, const struct top_rows *rows,
			    const struct options *options)
{
	int64_t end = now_ms() + (int64_t)(options->seconds * 1000);
	int64_t left;

	while ((left = end - now_ms()) > 0) {
		switch (top_wait(ear->fd, left > INT_MAX ? INT_MAX : (int)left)) {
		case TOP_QUIT:
			return false;
		case TOP_RESIZE:
			top_screen_show(rows);
			break;
		default:
			ear_listen(ear);
		}
	}
	ear_listen(ear);
	return true;
}

static int watch(struct ear *ear, const struct options *options)
{
	bool everybody = options->all || is_admin();
	struct top_sample before = { 0 }, now = { 0 };
	struct top_rows rows = { 0 };
	int ret = top_sample_take("", &before);

	if (!ret && !options->batch)
		show(&rows, options);
	for (unsigned long i = 0; !ret && (!options->samples || i < options->samples); i++) {
		if (!wait_for_sample(ear, &rows, options))
			break;
		ret = top_sample_take("", &now);
		if (ret)
			break;
		top_rows_free(&rows);
		top_rows_make(&rows, &before, &now, ear->thrash,
			      everybody ? (uid_t)-1 : getuid(), getpid());
		show(&rows, options);
		if (ear->thrash)
			top_thrash_reset(ear->thrash);
		if (fflush(stdout))
			ret = -errno;
		/* Rows know nothing of the sample before; the one they point to stays. */
		top_sample_free(&before);
		before = now;
		memset(&now, 0, sizeof(now));
	}
	top_rows_free(&rows);
	top_sample_free(&before);
	return ret;
}

static int top(struct options *options)
{
	struct ear ear = { 0 };
	int ret;

	options->batch |= options->json || !isatty(STDOUT_FILENO);
	ear_open(&ear);
	ret = options->batch ? 0 : top_screen_open();
	if (!ret) {
		ret = watch(&ear, options);
		if (!options->batch)
			top_screen_close();
	}
	ear_close(&ear);
	if (ret == -ENOENT || ret == -ENOTDIR) {
		fputs("kfdsvm top: no driver shows processes here; see kfdsvm doctor\n", stderr);
		return EXIT_NO_SVM;
	}
	if (ret && ret != -EPIPE)
		fprintf(stderr, "kfdsvm top: %s\n", strerror(-ret));
	return ret ? EXIT_ERROR : output_end(EXIT_WORKS);
}

static bool parse_samples(const char *text, unsigned long *samples)
{
	char *end;

	errno = 0;
	*samples = strtoul(text, &end, 10);
	return !errno && *text >= '0' && *text <= '9' && !*end && *samples > 0;
}

static bool parse_seconds(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return end != text && !*end && *seconds >= 0.01 && *seconds <= 86400;
}

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "kfdsvm top: bad %s '%s'\n", what, value);
	return EXIT_USAGE;
}

int command_top(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "batch", no_argument, NULL, 'b' },
		{ "samples", required_argument, NULL, 'n' },
		{ "delay", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct options options = { .seconds = 1 };
	int opt;

	while ((opt = getopt_long(argc, argv, "abn:d:jhV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'a':
			options.all = true;
			break;
		case 'b':
			options.batch = true;
			break;
		case 'n':
			if (!parse_samples(optarg, &options.samples))
				return bad("number of samples", optarg);
			break;
		case 'd':
			if (!parse_seconds(optarg, &options.seconds))
				return bad("number of seconds", optarg);
			break;
		case 'j':
			options.json = true;
			break;
		default:
			return command_option(opt, usage, EXIT_USAGE);
		}
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return top(&options);
}
