/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The conformance suite: cases, and what every case uses.
 *
 * Each case runs as one cmocka test in a process of its own: a memory exception
 * stops all queues of a process, and leaving everything to exit is itself a
 * test. The parent only assembles TAP and JUnit.
 */
#ifndef CONF_H
#define CONF_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

#include "kt.h"
#include "kt_sdma.h"

/* A case runs once per XNACK mode unless its flags say otherwise. */
#define CONF_BOTH	0x00
#define CONF_ONCE	0x01	/* the mode does not matter */
#define CONF_ON		0x02	/* only with XNACK on */
#define CONF_OFF	0x04	/* only with XNACK off */
#define CONF_VIRTUAL	0x08	/* needs the virtual GPU */
#define CONF_ROOT	0x10	/* needs root */
#define CONF_LONG	0x20	/* only with --long */
#define CONF_INJECT	0x40	/* only with --inject: makes kernel allocations fail */
/* Memory can move to VRAM, and more (vram.h). */
#define CONF_VRAM	0x100
#define CONF_FAULT_BACK	0x200	/* and a CPU access brings it back */
#define CONF_TWO_GPUS	0x400
#define CONF_LINK	0x800	/* of one hive */
#define CONF_NO_LINK	0x1000	/* not of one hive */
#define CONF_SMALL_VRAM	0x2000	/* little of it, so that more can be asked for */

struct conf_case {
	const char *name;
	void (*fn)(void **state);
	unsigned int flags;
};

#define CASE(fn, flags) { #fn, fn, flags }

struct conf_group {
	const struct conf_case *cases;
	size_t ncases;
};

#define CONF_GROUP(var, table) \
	const struct conf_group var = { table, KT_ARRAY_SIZE(table) }

extern const struct conf_group around_group, attr_group, bigfile_group,
	charge_group, defects_life_group, defects_map_group, errno_group, evict_group,
	exception_group, fork_group, hive_group,
	idle_group, isolation_group, kfdtest_group, kfdtest_vram_group, life_group,
	limits_group, migrate_group, migrate_cow_group, migrate_fork_group,
	migrate_nth_group, migrate_others_group, migrate_race_group, mm_group, nth_group, owner_group, overlap_group, race_group,
	residency_group, ring_group, sdma_group, smi_group, stay_group, struct_group,
	vram_group, wait_group, xnack_group;

enum conf_xnack { CONF_XNACK_ANY, CONF_XNACK_OFF, CONF_XNACK_ON };

/**
 * struct conf_run - what the case at hand runs with
 * @node: topology node asked for, or -1
 * @xnack: mode of this run
 * @xnack_required: a GPU that cannot go XNACK on fails the case
 * @dir: where files are made
 * @take_long: cases may take minutes
 */
struct conf_run {
	int node;
	enum conf_xnack xnack;
	bool xnack_required;
	const char *dir;
	bool take_long;
};

extern struct conf_run conf_run;

static inline bool xnack_on(void)
{
	return conf_run.xnack == CONF_XNACK_ON;
}

/* Ends the case as skipped; the reason goes to the TAP line. */
void conf_skip(const char *why, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Compares return values of the kt_ functions and names both. */
void conf_expect(int got, int want, const char *what, const char *file, int line);
#define expect_ret(call, want) conf_expect((call), (want), #call, __FILE__, __LINE__)
#define expect_ok(call) expect_ret(call, 0)

/* In a forked child, where cmocka must not be used: says why and exits with 1. */
#define child_check(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: child: %s\n", __FILE__, __LINE__, #cond); \
		_exit(1);						\
	}								\
} while (0)

/* ---- fixture (fixture.c): one GPU, one queue ---- */

extern struct kt_dev gpu;
extern struct kt_queue sdma;
extern struct kt_bo bounce;	/* memory the GPU can always reach */
#define BOUNCE_LEN (64UL << 10)

void gpu_open(void);		/* device, VM, and the XNACK mode of this run */
void gpu_open_queue(void);	/* and a memory event, an SDMA queue, the bounce BO */
/* After an exception, which no queue survives: a new queue; a new event, of the first GPU. */
void gpu_renew_queue(void);
void gpu_renew_event(void);
/* In the child of a fork: open again from the start. Returns, does not assert. */
int gpu_reopen_in_child(void);

void *map_pages(size_t len);	/* anonymous, private, untouched */
void *map_huge(size_t len);	/* 2 MiB aligned, with huge pages if there are any */
#define WORD_STEP 0x9e3779b1U	/* from one word of the pattern to the next */
void fill_words(void *p, size_t len, uint32_t seed);
/* What the pattern begins with @at bytes further on. */
static inline uint32_t seed_at(uint32_t seed, size_t at)
{
	return seed + (uint32_t)(at / sizeof(uint32_t)) * WORD_STEP;
}
bool words_are(const void *p, size_t len, uint32_t seed);
void expect_words(const void *p, size_t len, uint32_t seed);

/* Makes memory usable by the GPU as a program would: registers it, XNACK off. */
void grant(const void *p, size_t len);

/* GPU work that must succeed; a memory exception or a timeout fails the case. */
void gpu_submit(const uint32_t *dw, unsigned int ndw);
void gpu_wait(void);
void gpu_copy(void *dst, const void *src, size_t len);
void gpu_copy_async(void *dst, const void *src, size_t len);
void gpu_fill(void *dst, uint32_t value, size_t len);
void gpu_write32(void *dst, uint32_t value);
uint32_t gpu_read32(const void *src);
/* What the GPU reads at @p is the pattern of fill_words(). */
void gpu_expect_words(const void *p, size_t len, uint32_t seed);
void gpu_write_words(void *p, size_t len, uint32_t seed);

/* What was submitted must end in a memory exception in the page of @va. */
#define EXC_ANY		0
#define EXC_READ_ONLY	1
#define EXC_NOT_PRESENT	2
void gpu_expect_exception(const void *va, unsigned int kind);
/* A read (or write) of 4 bytes there must. */
void gpu_read_is_exception(const void *va, unsigned int kind);
void gpu_write_is_exception(const void *va, unsigned int kind);
/* As gpu_wait, without asserting: 0, -EFAULT (exception) or -ETIME. */
int gpu_try_wait(unsigned int timeout_ms);
/* The same operations without cmocka, for forked children. 0 or -errno. */
int gpu_try_copy(void *dst, const void *src, size_t len);

/* ---- processes (proc.c) ---- */

/* A child that runs @fn(arg) and exits with its value; killed with the case. */
pid_t spawn(int (*fn)(void *arg), void *arg);
/* It must exit in time with 0. */
void expect_child_ok(pid_t pid);
/* It must be gone in time after a signal; returns the wait status. */
int reap(pid_t pid);
/* One-byte messages between parent and child, with a timeout. */
struct chan { int up[2]; int down[2]; };
void chan_open(struct chan *c);
int chan_tell_parent(struct chan *c, char what);
int chan_tell_child(struct chan *c, char what);
int chan_wait_parent(struct chan *c);	/* child: the parent's byte or -errno */
int chan_wait_child(struct chan *c);
/*
 * A child that says it is ready, then waits to be told to go on: spawn_ready() returns
 * when it is, the child calls child_is_ready(), finish_child() has it go on to its end.
 */
pid_t spawn_ready(struct chan *c, int (*fn)(void *arg), void *arg);
void child_is_ready(struct chan *c);
void finish_child(struct chan *c, pid_t pid);
/* Runs this program again with --exec-helper ARGS...; does not return. */
void exec_self(const char *what, const char *arg1, const char *arg2);
int exec_helper_main(int argc, char **argv);
/* Holds page references so that pages dropped from the mm stay allocated. */
void hold_pages(void *p, size_t npages);
/* Creates a file of @len bytes in a directory and unlinks it. fd or -errno. */
int temp_file(const char *dir, size_t len);

#endif /* CONF_H */
