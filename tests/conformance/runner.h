/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RUNNER_H
#define RUNNER_H

#include "conf.h"

struct run {
	const struct conf_case *c;
	enum conf_xnack mode;
	char *name;
	char *output;
	char *why;	/* skipped, if set */
	bool ok;
	uint64_t ms;
};

struct runner {
	unsigned int timeout_s;
	const char *junit;
	struct run *runs;
	size_t nruns;
};

void runner_add(struct runner *r, const struct conf_case *c, enum conf_xnack mode,
		const char *name);
/* 0 or 1, the exit code. */
int runner_run(struct runner *r);

#endif /* RUNNER_H */
