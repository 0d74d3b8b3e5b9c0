// SPDX-License-Identifier: GPL-2.0-only
/*
 * svm_bench: what SVM costs, beside what bare kernel functions and drm_pagemap cost on the
 * same memory in the same run. Runs in the VM; see ./dev bench svm.
 */
#include "svm.h"

#include <stdio.h>
#include <stdlib.h>

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

int main(int argc, char **argv)
{
	struct bench_args args;
	unsigned int i;

	bench_begin(&args, argc, argv, usage);
	if (args.kind)
		usage();
	rows_head();
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (bench_wanted(&args, parts[i].name, true))
			parts[i].run();
	return args.check && !bars_verdict();
}
