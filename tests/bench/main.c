// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmm_bench: what the HMM mirror costs, beside what the kernel's own way costs on the
 * same memory in the same run. Runs in the VM; see ./dev bench.
 */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool wanted(char **parts, const char *name, bool by_default)
{
	if (!*parts)
		return by_default;
	for (; *parts; parts++)
		if (!strcmp(*parts, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "bars", required_argument, NULL, 'b' },
		{ "kind", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	const char *kernel = getenv("KFDSVM_KERNEL"), *bars = NULL, *only = NULL;
	bool check = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			check = true;
			break;
		case 'b':
			bars = optarg;
			break;
		case 'o':
			only = optarg;
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
	if (wanted(argv, "walks", true))
		bench_walks(only);
	if (wanted(argv, "scale", true))
		bench_scale();
	if (wanted(argv, "churn", false)) {
		bench_churn();
		bench_race();
	}
	return check && !bars_verdict();
}
