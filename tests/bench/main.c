// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmm_bench: what the HMM mirror costs, beside what the kernel's own way costs on the
 * same memory in the same run. Runs in the VM; see ./dev bench.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

static void usage(void)
{
	fputs("usage: hmm_bench [--check] [--bars FILE] [--kind KIND] [PART...]\n"
	      "  PART: walks, scale, churn (default: walks and scale)\n"
	      "  --check      fail where a ratio is below its bar\n"
	      "  --bars FILE  the bars\n"
	      "  --kind KIND  only kinds of memory with this in their name\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	struct bench_args args;

	bench_begin(&args, argc, argv, usage);
	if (bench_wanted(&args, "walks", true))
		bench_walks(args.kind);
	if (bench_wanted(&args, "scale", true))
		bench_scale();
	if (bench_wanted(&args, "churn", false)) {
		bench_churn();
		bench_race();
	}
	return args.check && !bars_verdict();
}
