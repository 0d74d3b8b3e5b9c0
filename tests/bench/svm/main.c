// SPDX-License-Identifier: GPL-2.0-only
/*
 * svm_bench: what SVM costs, beside what bare kernel functions and drm_pagemap cost on the
 * same memory in the same run. Runs in the VM; see ./dev bench svm.
 */
#include "svm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	/* First, as long as there is memory in order. */
	{ "move", bench_move },
	{ "fault", bench_fault },
	{ "map", bench_map },
	{ "ranges", bench_ranges },
};

static void usage(void)
{
	fputs("usage: svm_bench [--check] [--bars FILE] [PART...]\n"
	      "  PART: move, fault, map, ranges (default: all)\n"
	      "  --check      fail where a figure misses its bar\n"
	      "  --bars FILE  the bars\n",
	      stderr);
	exit(2);
}

static bool wanted(char **names, const char *name)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "bars", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	const char *kernel = getenv("KFDSVM_KERNEL"), *bars = NULL;
	bool check = false;
	unsigned int i;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			check = true;
			break;
		case 'b':
			bars = optarg;
			break;
		default:
			usage();
		}
	}
	argv += optind;
	if (check && !bars)
		usage();

	device_setup();
	memory_setup();
	if (bars)
		bars_load(bars, kernel ? kernel : "unknown");
	rows_head();
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (wanted(argv, parts[i].name))
			parts[i].run();
	return check && !bars_verdict();
}
