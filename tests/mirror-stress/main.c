// SPDX-License-Identifier: GPL-2.0-only
/*
 * mirror_stress: mutators of an address space against walkers that mirror it, each extent
 * checked when it is committed; and the table-lifetime probe.
 */
#include "stress.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define WALK_PARAMETER	"/sys/module/hmm_mirror/parameters/walk"
#define SWAP_FILE	"/mnt/disk/mirror_stress.swap"
#define SWAP_NPAGES	(64UL << 8)
#define NR_HUGEPAGES	"32"
#define RARE_S		20	/* from then on a probe waits for what is rare */

struct options {
	struct run_options run;
	enum unsound_expectation unsound;
	unsigned int probe_s;
	bool no_stress;
	bool no_control;
	const char *walk;
	const char *only;
};

static const struct {
	const struct kind *kinds;
	const size_t *nr;
} families[] = {
	{ anon_kinds, &nr_anon_kinds },
	{ thp_kinds, &nr_thp_kinds },
	{ file_kinds, &nr_file_kinds },
	{ hugetlb_kinds, &nr_hugetlb_kinds },
};

static unsigned int nr_cases, nr_failed;

static void usage(FILE *out)
{
	fputs("usage: mirror_stress [OPTION]...\n"
	      "  --count N        accepted walks that raced an event, of each kind (10000)\n"
	      "  --timeout S      for one kind (120)\n"
	      "  --seed N         of the random choices; default: the time\n"
	      "  --only GLOB      only the cases whose name matches\n"
	      "  --walk MODE      set hmm_mirror.walk first: kernel or extent\n"
	      "  --no-control     leave out the runs without the validity check\n"
	      "  --probe S        also the table-lifetime probe, so many seconds a case\n"
	      "  --probe-only S   only the probe\n"
	      "  --unsound WHAT   the probe's unsound modes: fires, zero (or skip them)\n"
	      "  --list           names of the cases\n", out);
}

static bool is_chosen(const struct options *options, const char *name)
{
	return !options->only || !fnmatch(options->only, name, 0);
}

static void report(bool ok, const char *name)
{
	nr_cases++;
	if (!ok)
		nr_failed++;
	printf("%sok %u - %s\n", ok ? "" : "not ", nr_cases, name);
	fflush(stdout);
}

/* The signature at the end of the first page makes it swap space. */
static void make_swap(void)
{
	static char page[PAGE];
	uint32_t *header = (uint32_t *)(page + 1024);
	int fd;

	if (access("/mnt/disk", W_OK))
		return;
	fd = open(SWAP_FILE, O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(fd >= 0, SWAP_FILE);
	/* Blocks that are written: swapon() takes no holes. */
	for (unsigned long i = 0; i < SWAP_NPAGES; i++)
		must(write(fd, page, PAGE) == (ssize_t)PAGE, SWAP_FILE);
	header[0] = 1;
	header[1] = SWAP_NPAGES - 1;
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	must(pwrite(fd, page, PAGE, 0) == (ssize_t)PAGE && !fsync(fd), SWAP_FILE);
	close(fd);
	must(!swapon(SWAP_FILE, 0), "swapon");
}

static void remove_swap(void)
{
	swapoff(SWAP_FILE);
	unlink(SWAP_FILE);
}

static void run_one(const struct options *options, const struct kind *kind, bool control)
{
	struct run_options run = options->run;
	char name[64];

	snprintf(name, sizeof(name), "%s%s", kind->name,
		 control ? "_without_the_check_is_found_out" : "_accepts_nothing_stale");
	if (!is_chosen(options, name))
		return;
	run.control = control;
	report(run_kind(kind, &run), name);
}

static void for_each_kind(const struct options *options)
{
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		for (size_t i = 0; i < *families[f].nr; i++) {
			run_one(options, &families[f].kinds[i], false);
			if (!options->no_control)
				run_one(options, &families[f].kinds[i], true);
		}
	}
}

static void for_each_probe(const struct options *options)
{
	for (size_t i = 0; i < nr_probe_cases; i++) {
		if (!is_chosen(options, probe_cases[i].name))
			continue;
		if (probe_cases[i].unsound && options->unsound == UNSOUND_SKIP)
			continue;
		/* Peers' exits are rare: on a busy machine none may fall in a short time. */
		if (probe_cases[i].unsound && options->unsound == UNSOUND_FIRES &&
		    probe_cases[i].is_rare && options->probe_s < RARE_S)
			continue;
		report(run_probe(&probe_cases[i], options->unsound, options->probe_s),
		       probe_cases[i].name);
	}
}

static void list(void)
{
	for (size_t f = 0; f < ARRAY_SIZE(families); f++)
		for (size_t i = 0; i < *families[f].nr; i++)
			printf("%s\n", families[f].kinds[i].name);
	for (size_t i = 0; i < nr_probe_cases; i++)
		printf("%s\n", probe_cases[i].name);
}

static enum unsound_expectation parse_unsound(const char *word)
{
	if (!strcmp(word, "fires"))
		return UNSOUND_FIRES;
	if (!strcmp(word, "zero"))
		return UNSOUND_ZERO;
	if (!strcmp(word, "skip"))
		return UNSOUND_SKIP;
	usage(stderr);
	exit(2);
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "timeout", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "only", required_argument, NULL, 'o' },
		{ "walk", required_argument, NULL, 'w' },
		{ "no-control", no_argument, NULL, 'n' },
		{ "probe", required_argument, NULL, 'p' },
		{ "probe-only", required_argument, NULL, 'P' },
		{ "unsound", required_argument, NULL, 'u' },
		{ "list", no_argument, NULL, 'l' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->run.count = strtoull(optarg, NULL, 0);
			break;
		case 't':
			options->run.timeout_s = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 's':
			options->run.seed = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 'o':
			options->only = optarg;
			break;
		case 'w':
			options->walk = optarg;
			break;
		case 'n':
			options->no_control = true;
			break;
		case 'P':
			options->no_stress = true;
			/* fall through */
		case 'p':
			options->probe_s = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'u':
			options->unsound = parse_unsound(optarg);
			break;
		case 'l':
			list();
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct options options = {
		.run = { .count = 10000, .timeout_s = 120, .seed = (uint32_t)time(NULL) },
	};

	parse(&options, argc, argv);
	if (access(HMS_DEVICE, R_OK | W_OK)) {
		printf("no %s: load hmm_mirror_stress.ko and be root\n", HMS_DEVICE);
		return 77;
	}
	if (options.walk)
		write_setting(WALK_PARAMETER, options.walk);
	printf("# seed %u, count %llu%s%s\n", options.run.seed,
	       (unsigned long long)options.run.count, options.walk ? ", walk=" : "",
	       options.walk ? options.walk : "");
	write_setting("/proc/sys/vm/nr_hugepages", NR_HUGEPAGES);
	if (!options.no_stress) {
		make_swap();
		for_each_kind(&options);
		remove_swap();
	}
	if (options.probe_s)
		for_each_probe(&options);
	write_setting("/proc/sys/vm/nr_hugepages", "0");
	if (!nr_cases) {
		printf("# no case matches\n");
		return 2;
	}
	printf("1..%u\n", nr_cases);
	return nr_failed ? 1 : 0;
}
