// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lines.h"

int kfdsvm_lines_open(struct kfdsvm_lines *lines, const struct kfdsvm_sys *sys,
		      const char *path)
{
	lines->sys = sys;
	lines->offset = 0;
	lines->begin = 0;
	lines->end = 0;
	lines->fd = sys->open(sys->ctx, path, O_RDONLY);
	return lines->fd < 0 ? lines->fd : 0;
}

void kfdsvm_lines_close(struct kfdsvm_lines *lines)
{
	lines->sys->close(lines->sys->ctx, lines->fd);
}

/* Room is made, and filled as far as the file goes. False at its end. */
static bool more(struct kfdsvm_lines *lines)
{
	const struct kfdsvm_sys *sys = lines->sys;
	size_t room;
	ssize_t n;

	memmove(lines->buf, lines->buf + lines->begin, lines->end - lines->begin);
	lines->end -= lines->begin;
	lines->begin = 0;
	room = sizeof(lines->buf) - 1 - lines->end;
	if (!room)
		return false;
	do
		n = sys->pread(sys->ctx, lines->fd, lines->buf + lines->end, room,
			       lines->offset);
	while (n == -EINTR);
	if (n <= 0)
		return false;
	lines->end += (size_t)n;
	lines->offset += (size_t)n;
	return true;
}

char *kfdsvm_lines_next(struct kfdsvm_lines *lines)
{
	char *line, *newline;
	size_t len;

	for (;;) {
		line = lines->buf + lines->begin;
		len = lines->end - lines->begin;
		newline = memchr(line, '\n', len);
		if (newline)
			break;
		if (more(lines))
			continue;
		line = lines->buf + lines->begin;
		len = lines->end - lines->begin;
		if (!len)
			return NULL;
		/* The last one, or as much as there is room for. */
		lines->begin = lines->end;
		line[len] = '\0';
		return line;
	}
	*newline = '\0';
	lines->begin += (size_t)(newline - line) + 1;
	return line;
}

static int digit(char c, unsigned int base)
{
	int value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < (int)base ? value : -1;
}

bool kfdsvm_number(const char **at, const char *end, unsigned int base, uint64_t *value)
{
	const char *p = *at;
	uint64_t number = 0;

	for (; p < end; p++) {
		int d = digit(*p, base);

		if (d < 0)
			break;
		if (number > (UINT64_MAX - (unsigned int)d) / base)
			return false;
		number = number * base + (unsigned int)d;
	}
	if (p == *at)
		return false;
	*at = p;
	*value = number;
	return true;
}

bool kfdsvm_word_number(const char *text, const char *word, uint64_t *value)
{
	const char *end = text + strlen(text);
	size_t len = strlen(word);
	const char *at = text;

	while ((at = strstr(at, word))) {
		bool whole = at == text || at[-1] == ' ';

		at += len;
		if (!whole || *at != ' ')
			continue;
		at++;
		return kfdsvm_number(&at, end, 10, value);
	}
	return false;
}
