/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TESTS_BENCH_SVM_H
#define TESTS_BENCH_SVM_H

#include "../bench.h"

#include "../../module/svmbench/kfd_svm_bench.h"

/* --- module.c: kfd_svm_bench.ko */

extern struct ksb_info svm_info;

int svm_module_open(void);
/* One pass over all of @m. */
struct ksb_pass svm_pass(int fd, unsigned int op, const struct memory *m);

/* --- rows.c: the table */

void rows_head(void);
/* @ours against @peer: the figure is what @peer is times @ours, or the other way round. */
void row_gain(const char *row, const char *what, double peer, double ours);
void row_cost(const char *row, const char *what, double peer, double ours);

/* --- turns.c: processes take turns */

struct turns;

/* One pass of a process; @arg is what its setup returned. */
typedef void *(*turns_setup)(const void *how);
typedef uint64_t (*turns_pass)(void *arg);

struct turns *turns_start(turns_setup setup, const void *how, const turns_pass *passes);
/* Have it make one of its passes. */
uint64_t turns_next(struct turns *turns, unsigned char which);
void turns_end(struct turns *turns);

/* --- the parts */

void bench_map(void);
void bench_fault(void);
void bench_move(void);
void bench_ranges(void);

#endif /* TESTS_BENCH_SVM_H */
