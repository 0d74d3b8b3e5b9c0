// SPDX-License-Identifier: GPL-2.0-only
#include "bench.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

void bench_begin(struct bench_args *args, int argc, char **argv, void (*usage)(void))
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "bars", required_argument, NULL, 'b' },
		{ "kind", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	const char *kernel = getenv("KFDSVM_KERNEL"), *bars = NULL;
	int opt;

	*args = (struct bench_args){ 0 };
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			args->check = true;
			break;
		case 'b':
			bars = optarg;
			break;
		case 'o':
			args->kind = optarg;
			break;
		default:
			usage();
		}
	}
	args->parts = argv + optind;
	if (args->check && !bars)
		usage();

	device_setup();
	memory_setup();
	if (bars)
		bars_load(bars, kernel ? kernel : "unknown");
}

bool bench_wanted(const struct bench_args *args, const char *name, bool by_default)
{
	if (!*args->parts)
		return by_default;
	for (char **part = args->parts; *part; part++)
		if (!strcmp(*part, name))
			return true;
	return false;
}
