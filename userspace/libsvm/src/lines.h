/* SPDX-License-Identifier: MIT */
/* A file of the kernel, line by line, whatever its length; no allocation. */
#ifndef KFDSVM_LINES_H
#define KFDSVM_LINES_H

#include "internal.h"

/* The longest line is that of a range in debugfs "residency" with 64 GPUs. */
#define KFDSVM_LINE_LEN 2048

struct kfdsvm_lines {
	const struct kfdsvm_sys *sys;
	int fd;
	uint64_t offset;
	size_t begin;
	size_t end;
	char buf[KFDSVM_LINE_LEN];
};

/* 0 or -errno. */
int kfdsvm_lines_open(struct kfdsvm_lines *lines, const struct kfdsvm_sys *sys,
		      const char *path);
void kfdsvm_lines_close(struct kfdsvm_lines *lines);

/*
 * The next line, without its newline and with a final 0; NULL at the end. What does not
 * fit in the buffer comes in pieces.
 */
char *kfdsvm_lines_next(struct kfdsvm_lines *lines);

/*
 * A number at *@at, which ends before @end; moves *@at behind it. Digits only, at
 * least one: no sign, no blank, no prefix. False if it does not fit, too.
 */
bool kfdsvm_number(const char **at, const char *end, unsigned int base, uint64_t *value);

/* The decimal number after the word @word of @text; false if it is not there. */
bool kfdsvm_word_number(const char *text, const char *word, uint64_t *value);

#endif
