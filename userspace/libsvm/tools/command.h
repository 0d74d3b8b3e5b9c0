/* SPDX-License-Identifier: MIT */
/* What the commands of kfdsvm have in common. */
#ifndef KFDSVM_COMMAND_H
#define KFDSVM_COMMAND_H

#include <stdio.h>

/* Exit codes; `kfdsvm --help` and the manual pages list them. */
enum {
	EXIT_WORKS = 0,
	EXIT_NO_SVM = 1,
	EXIT_USAGE = 2,
	EXIT_ERROR = 3,
	/* Of commands that run a program, whose own exit code is passed on. */
	EXIT_SELF = 125,
	EXIT_NOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};

/*
 * Each gets its own name as argv[0] and, with optind 1, its options. `run` is there
 * if its sources are (KFDSVM_HAVE_RUN).
 */
int command_info(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_top(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_report(int argc, char **argv);
int command_run(int argc, char **argv);

/* What getopt says that a command does not know: 'h', 'V', or an error. The exit code. */
int command_option(int opt, void (*usage)(FILE *to), int error_code);

#endif
