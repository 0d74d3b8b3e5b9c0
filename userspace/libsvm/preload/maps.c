// SPDX-License-Identifier: MIT
/* /proc/self/maps without stdio: nothing here may allocate. */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

/* A line is a path of at most 4096 characters and some numbers. */
static char text[16384];

static uintptr_t hex(const char **p)
{
	uintptr_t value = 0;

	for (;; (*p)++) {
		if (**p >= '0' && **p <= '9')
			value = value << 4 | (uintptr_t)(**p - '0');
		else if (**p >= 'a' && **p <= 'f')
			value = value << 4 | (uintptr_t)(**p - 'a' + 10);
		else
			return value;
	}
}

/* "start-end perms offset dev inode   name" */
static void parse(const char *line, struct pre_mapping *m)
{
	m->start = hex(&line);
	line++;
	m->end = hex(&line);
	line++;
	m->read = line[0] == 'r';
	m->write = line[1] == 'w';
	m->exec = line[2] == 'x';
	m->shared = line[3] == 's';
	for (int field = 0; field < 4; field++) {
		while (*line && *line != ' ')
			line++;
		while (*line == ' ')
			line++;
	}
	m->name = line;
}

static bool lines(int fd, bool (*visit)(const struct pre_mapping *m, void *ctx), void *ctx)
{
	struct pre_mapping m = { 0 };
	size_t have = 0;

	for (;;) {
		long got = syscall(SYS_read, fd, text + have, sizeof(text) - have);
		char *line = text, *newline;

		if (got <= 0)
			return false;
		have += (size_t)got;
		while ((newline = memchr(line, '\n', have - (size_t)(line - text)))) {
			*newline = '\0';
			parse(line, &m);
			if (visit(&m, ctx))
				return true;
			m.before = m.end;
			line = newline + 1;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
}

bool pre_maps(bool (*visit)(const struct pre_mapping *m, void *ctx), void *ctx)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
	bool found;

	if (fd < 0)
		return false;
	found = lines(fd, visit, ctx);
	syscall(SYS_close, fd);
	return found;
}

struct place {
	uintptr_t addr;
	uintptr_t start;
	uintptr_t end;
};

static bool is_at(const struct pre_mapping *m, void *ctx)
{
	struct place *place = ctx;

	if (place->addr >= m->end)
		return false;
	if (place->addr >= m->start && m->read) {
		place->start = m->start;
		place->end = m->end;
	}
	return true;
}

bool pre_mapping_at(uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
	struct place place = { .addr = addr };

	pre_maps(is_at, &place);
	*start = place.start;
	*end = place.end;
	return place.end != 0;
}
