/* SPDX-License-Identifier: MIT */
#ifndef KFDSVM_COMMAND_H
#define KFDSVM_COMMAND_H

/* Exit codes of every command; `kfdsvm --help` lists them. */
enum {
	EXIT_WORKS = 0,
	EXIT_NO_SVM = 1,
	EXIT_USAGE = 2,
};

int command_info(int argc, char **argv);

#endif
