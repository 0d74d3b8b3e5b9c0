/* SPDX-License-Identifier: MIT */
/*
 * An ordinary program that gives ordinary memory to its GPU through libhsakmt, and
 * has never heard of SVM. Without XNACK that can only work under `kfdsvm run`.
 */
#ifndef PLAIN_H
#define PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The GPU, with a queue. Opened by the case, before or after it has its memory. */
bool open_gpu(void);
void close_gpu(void);
/*
 * The GPU copies the first half of @p to the second; the result is what the CPU
 * expects. @len is a multiple of 16.
 */
bool half_to_half(void *p, size_t len);
/* The GPU copies @src, which the CPU may not write. */
bool readable(const void *src, size_t len);
bool fail(const char *what);

struct plain_case {
	const char *name;
	bool (*run)(void);
};

/* Each ends with a name of NULL. */
extern const struct plain_case before_cases[];
extern const struct plain_case heap_cases[];
extern const struct plain_case map_cases[];
extern const struct plain_case process_cases[];
#ifdef PLAIN_FAKE_NODE
extern const struct plain_case userptr_cases[];
#endif

#endif
