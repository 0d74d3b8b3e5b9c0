// SPDX-License-Identifier: MIT
/* The command kfdsvm: dispatch to its subcommands. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "info", command_info, "show GPUs, SVM and XNACK, limits" },
	{ "doctor", command_doctor, "why SVM does not work here, and what fixes it" },
	{ "top", command_top, "processes that use SVM, and what moves" },
	{ "trace", command_trace, "record what happens to a program's shared memory" },
	{ "report", command_report, "totals and the most expensive memory of a trace" },
#ifdef KFDSVM_HAVE_RUN
	{ "run", command_run, "run a program with all of its memory shared" },
#endif
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("usage: kfdsvm COMMAND [OPTION]...\n"
	      "       kfdsvm --help | --version\n\n"
	      "Shared virtual memory with AMD GPUs.\n\n", to);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\nkfdsvm COMMAND --help tells about one of them; so does man kfdsvm-COMMAND.\n"
	      "\nexit status:\n"
	      "  0  what was asked for works\n"
	      "  1  SVM does not work here; the output says why\n"
	      "  2  bad usage\n"
	      "  3  another error\n"
	      "Commands that run a program exit as the program does, or with 125 if kfdsvm\n"
	      "fails, 126 if the program cannot be run, 127 if it is not found.\n", to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int opt;

	/* '+': options of a command are its own. */
	opt = getopt_long(argc, argv, "+hV", options, NULL);
	if (opt != -1)
		return command_option(opt, usage, EXIT_USAGE);
	for (size_t i = 0; optind < argc && i < NCOMMANDS; i++) {
		if (!strcmp(argv[optind], commands[i].name)) {
			argc -= optind;
			argv += optind;
			/* 0: getopt starts anew, with the command's own rules. */
			optind = 0;
			return commands[i].run(argc, argv);
		}
	}
	if (optind < argc)
		fprintf(stderr, "kfdsvm: unknown command '%s'\n", argv[optind]);
	usage(stderr);
	return EXIT_USAGE;
}
