// SPDX-License-Identifier: GPL-2.0-only
/* kfdsvm-conformance: chooses cases, runs them, reports TAP and JUnit. */
#include <fnmatch.h>
#include <getopt.h>
#include <unistd.h>

#include "conf.h"
#include "runner.h"
#include "vram.h"

static const struct conf_group *const groups[] = {
	&struct_group, &owner_group, &errno_group, &attr_group,
	&overlap_group, &xnack_group, &kfdtest_group, &sdma_group, &mm_group,
	&bigfile_group, &fork_group, &exception_group, &isolation_group, &life_group,
	&limits_group, &ring_group, &race_group, &residency_group, &wait_group,
	&nth_group, &idle_group, &around_group, &charge_group, &kfdtest_vram_group,
	&defects_life_group, &defects_map_group,
	&vram_group, &stay_group, &migrate_group, &migrate_race_group, &migrate_fork_group,
	&migrate_cow_group, &migrate_others_group,
	&evict_group, &hive_group, &smi_group, &migrate_nth_group,
};

static const char usage[] =
"usage: kfdsvm-conformance [OPTION]...\n"
"  --list             print the names of the chosen cases and exit\n"
"  --filter GLOB      only cases whose name matches; may be given again\n"
"  --node N           topology node of the GPU (default: the first GPU)\n"
"  --xnack on|off|both|alternate\n"
"                     fault modes to run in (default both); with `on` a GPU that\n"
"                     cannot replay faults fails, with `both` it skips; with\n"
"                     `alternate` a case that can run in both runs in one, the\n"
"                     next in the other: half the time for all the code\n"
"  --vram KIND        what a prefetch to the GPU must do here: private (memory moves\n"
"                     and comes back when the CPU touches it), coherent (it moves),\n"
"                     none; anything else fails. Without, cases skip that cannot run\n"
"  --dir DIR          where files are made (default /tmp)\n"
"  --long             also the cases that take minutes\n"
"  --inject           also the cases that make kernel allocations fail; dma-debug\n"
"                     may switch itself off over it, and says so in the log\n"
"  --timeout SECONDS  of one case (default 120)\n"
"  --tap              TAP on standard output (default)\n"
"  --junit FILE       also write a JUnit report\n"
"Exit code: 0 all passed or skipped, 1 a case failed, 2 bad usage.\n";

static const struct option options[] = {
	{ "list", no_argument, NULL, 'l' },
	{ "filter", required_argument, NULL, 'f' },
	{ "node", required_argument, NULL, 'n' },
	{ "xnack", required_argument, NULL, 'x' },
	{ "vram", required_argument, NULL, 'v' },
	{ "dir", required_argument, NULL, 'd' },
	{ "long", no_argument, NULL, 'L' },
	{ "inject", no_argument, NULL, 'I' },
	{ "timeout", required_argument, NULL, 't' },
	{ "tap", no_argument, NULL, 'T' },
	{ "junit", required_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

#define MAX_FILTERS 32

struct choice {
	const char *filters[MAX_FILTERS];
	unsigned int nfilters;
	bool on, off;
	bool alternate;
	bool turn;	/* of the next that alternates: on */
	bool list;
	const char *vram;
	unsigned int needs;	/* VRAM_NEEDS of all that was chosen */
	unsigned int optional;	/* flags asked for */
};

static bool chosen(const struct choice *ch, const char *name)
{
	if (!ch->nfilters)
		return true;
	for (unsigned int i = 0; i < ch->nfilters; i++)
		if (!fnmatch(ch->filters[i], name, 0))
			return true;
	return false;
}

static void add_case(struct runner *r, struct choice *ch,
		     const struct conf_case *c, enum conf_xnack mode)
{
	static const char *const suffix[] = {
		[CONF_XNACK_ANY] = "",
		[CONF_XNACK_OFF] = "/xnack_off",
		[CONF_XNACK_ON] = "/xnack_on",
	};
	char name[160];

	snprintf(name, sizeof(name), "%s%s", c->name, suffix[mode]);
	if (!chosen(ch, name))
		return;
	ch->needs |= c->flags & VRAM_NEEDS;
	if (ch->list)
		puts(name);
	else
		runner_add(r, c, mode, name);
}

static void add_in_modes(struct runner *r, struct choice *ch, const struct conf_case *c)
{
	bool off = ch->off && !(c->flags & CONF_ON);
	bool on = ch->on && !(c->flags & CONF_OFF);

	if (ch->alternate && on && off) {
		on = ch->turn;
		off = !on;
		ch->turn = !ch->turn;
	}
	if (off)
		add_case(r, ch, c, CONF_XNACK_OFF);
	if (on)
		add_case(r, ch, c, CONF_XNACK_ON);
}

static void add_all(struct runner *r, struct choice *ch)
{
	for (size_t g = 0; g < KT_ARRAY_SIZE(groups); g++) {
		for (size_t i = 0; i < groups[g]->ncases; i++) {
			const struct conf_case *c = &groups[g]->cases[i];

			if (c->flags & (CONF_LONG | CONF_INJECT) & ~ch->optional)
				continue;
			if (c->flags & CONF_ONCE)
				add_case(r, ch, c, CONF_XNACK_ANY);
			else
				add_in_modes(r, ch, c);
		}
	}
}

static bool parse_xnack(struct choice *ch, const char *arg)
{
	bool both;

	ch->alternate = !strcmp(arg, "alternate");
	both = ch->alternate || !strcmp(arg, "both");
	ch->on = both || !strcmp(arg, "on");
	ch->off = both || !strcmp(arg, "off");
	/* Asked for by name, a GPU that cannot is a failure. */
	conf_run.xnack_required = !strcmp(arg, "on");
	return ch->on || ch->off;
}

/* Whether the options make sense. */
static bool parse(int argc, char **argv, struct choice *ch, struct runner *r)
{
	bool ok = true;
	int opt;

	while (ok && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'l': ch->list = true; break;
		case 'f':
			ok = ch->nfilters < MAX_FILTERS;
			if (ok)
				ch->filters[ch->nfilters++] = optarg;
			break;
		case 'n': conf_run.node = atoi(optarg); break;
		case 'x': ok = parse_xnack(ch, optarg); break;
		case 'v': ch->vram = optarg; break;
		case 'd': conf_run.dir = optarg; break;
		case 'L':
			ch->optional |= CONF_LONG;
			conf_run.take_long = true;
			break;
		case 'I': ch->optional |= CONF_INJECT; break;
		case 't': r->timeout_s = (unsigned int)atoi(optarg); break;
		case 'T': break;
		case 'j': r->junit = optarg; break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default: ok = false;
		}
	}
	return ok && optind == argc;
}

int main(int argc, char **argv)
{
	struct choice ch = { .on = true, .off = true };
	struct runner r = { .timeout_s = 120 };

	if (argc > 2 && !strcmp(argv[1], "--exec-helper"))
		return exec_helper_main(argc - 2, argv + 2);
	if (!parse(argc, argv, &ch, &r)) {
		fputs(usage, stderr);
		return 2;
	}
	add_all(&r, &ch);
	if (ch.list)
		return 0;
	if (!r.nruns) {
		/* A filter that matches nothing must not look like success. */
		fputs("kfdsvm-conformance: no case matches\n", stderr);
		return 2;
	}
	if (ch.needs || ch.vram)
		vram_probe();
	if (ch.vram && !vram_is(ch.vram)) {
		fprintf(stderr, "kfdsvm-conformance: VRAM is not %s: %s\n", ch.vram,
			vram.why);
		return 1;
	}
	return runner_run(&r);
}
