// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that take turns, as what is compared may not be in one: a process with SVM and
 * one without. Each is a child that sets itself up and then makes a pass for each byte that
 * it is sent, which says of what.
 */
#include "svm.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Instead of a pass. Not by closing the pipe: children made later have it open, too. */
#define QUIT 0xff

struct turns {
	pid_t pid;
	int to;
	int from;
};

static void serve(int in, int out, turns_setup setup, const void *how,
		  const turns_pass *passes)
{
	void *arg = setup(how);
	unsigned char which;
	uint64_t ticks;

	while (read(in, &which, 1) == 1 && which != QUIT) {
		ticks = passes[which](arg);
		if (write(out, &ticks, sizeof(ticks)) != sizeof(ticks))
			die("write: %s", strerror(errno));
	}
	_exit(0);
}

struct turns *turns_start(turns_setup setup, const void *how, const turns_pass *passes)
{
	struct turns *t = malloc(sizeof(*t));
	int to[2], from[2];

	if (!t || pipe(to) || pipe(from))
		die("no pipes");
	fflush(stdout);
	t->pid = fork();
	if (t->pid < 0)
		die("fork: %s", strerror(errno));
	if (!t->pid) {
		close(to[1]);
		close(from[0]);
		serve(to[0], from[1], setup, how, passes);
	}
	close(to[0]);
	close(from[1]);
	t->to = to[1];
	t->from = from[0];
	return t;
}

uint64_t turns_next(struct turns *t, unsigned char which)
{
	uint64_t ticks;

	if (write(t->to, &which, 1) != 1 || read(t->from, &ticks, sizeof(ticks)) != sizeof(ticks))
		die("a child went away");
	return ticks;
}

void turns_end(struct turns *t)
{
	unsigned char quit = QUIT;
	int status;

	if (write(t->to, &quit, 1) != 1)
		die("a child went away");
	close(t->to);
	close(t->from);
	if (waitpid(t->pid, &status, 0) != t->pid || status)
		die("a child failed");
	free(t);
}
