// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail while memory moves: each of them in turn. Nothing is lost, no
 * access fails, and the next try works.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "inject.h"
#include "vram.h"

#define LEN (16 * KT_PAGE)
#define PAGES (LEN / KT_PAGE)
/* Allocations of workers for one fault: the sweep goes somewhat beyond. */
#define WORKER_MAX_NTH 60

/* Once more, without a failure: all of it moves, and is right. */
static void works_now(char *p, uint32_t seed)
{
	gpu_expect_words(p, LEN, seed);
	prefetch(p, LEN);
	expect_in_vram(p, LEN, PAGES);
	gpu_expect_words(p, LEN, seed);
	expect_words(p, LEN, seed);
}

static void prefetch_survives_allocation_failures(void **state)
{
	unsigned int nth, seen = 0, stayed = 0;
	bool hit = true;

	(void)state;
	gpu_open_queue();
	inject_arm();
	for (nth = 1; nth < INJECT_MAX_NTH && hit; nth++) {
		char *p = vram_map(LEN);
		int ret;

		fill_words(p, LEN, nth);
		vram_register(p, LEN);
		inject_fail_nth(nth);
		ret = kt_svm_set1(gpu.kfd, p, LEN, KFD_SVM_ATTR_PREFETCH_LOC, gpu.gpu_id);
		hit = inject_was_hit();
		seen += hit;
		/* A migration that fails is no error; the call may fail before it. */
		if (ret && ret != -EFAULT)
			expect_ret(ret, -ENOMEM);
		assert_true(!ret || hit);
		stayed += in_vram(p, LEN) < PAGES;
		works_now(p, nth);
		munmap(p, LEN);
	}
	assert_true(nth < INJECT_MAX_NTH);
	assert_true(seen > 0 && stayed > 0);
	print_message("# %u allocations, after %u failures memory stayed\n", seen, stayed);
}

static void prefetch_back_survives_allocation_failures(void **state)
{
	unsigned int nth, seen = 0, stayed = 0;
	bool hit = true;

	(void)state;
	gpu_open_queue();
	inject_arm();
	for (nth = 1; nth < INJECT_MAX_NTH && hit; nth++) {
		char *p = vram_filled(LEN, nth);
		int ret;

		inject_fail_nth(nth);
		ret = kt_svm_set1(gpu.kfd, p, LEN, KFD_SVM_ATTR_PREFETCH_LOC,
				  KFD_SVM_LOC_SYSMEM);
		hit = inject_was_hit();
		seen += hit;
		if (ret && ret != -EFAULT)
			expect_ret(ret, -ENOMEM);
		/* Success is all of it. */
		if (!ret)
			expect_in_vram(p, LEN, 0);
		assert_true(!ret || hit);
		stayed += in_vram(p, LEN) > 0;
		gpu_expect_words(p, LEN, nth);
		prefetch_back(p, LEN);
		expect_in_vram(p, LEN, 0);
		expect_words(p, LEN, nth);
		munmap(p, LEN);
	}
	assert_true(nth < INJECT_MAX_NTH);
	assert_true(seen > 0 && stayed > 0);
}

/* ---- the CPU's fault ---- */

static sigjmp_buf after_sigbus;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(after_sigbus, 1);
}

/* An allocation that fails once is tried again, as for any page of RAM. */
static void cpu_fault_survives_allocation_failures(void **state)
{
	volatile unsigned int nth, seen = 0;
	volatile bool hit = true;

	(void)state;
	gpu_open_queue();
	inject_arm();
	signal(SIGBUS, on_sigbus);
	for (nth = 1; nth < INJECT_MAX_NTH && hit; nth++) {
		char *volatile p = vram_filled(LEN, nth);
		volatile bool touched = false;

		inject_fail_nth(nth);
		if (!sigsetjmp(after_sigbus, 1)) {
			cpu_touch(p);
			touched = true;
		}
		hit = inject_was_hit();
		seen += hit;
		expect_words(p, LEN, nth);
		if (!touched)
			fail_msg("SIGBUS after failure %u of a fault", nth);
		gpu_expect_words(p, LEN, nth);
		munmap(p, LEN);
	}
	assert_true(nth < INJECT_MAX_NTH);
	assert_true(seen > 0);
}

/* ---- the GPU's fault: a worker serves it ---- */

static void gpu_fault_survives_allocation_failures(void **state)
{
	unsigned int seen = 0;

	(void)state;
	gpu_open_queue();
	inject_arm();
	for (unsigned int n = 1; n <= WORKER_MAX_NTH; n++) {
		char *p = vram_map(LEN);

		fill_words(p, LEN, n);
		inject_in_workers(n);
		assert_int_equal(gpu_read32(p + 3 * KT_PAGE), seed_at(n, 3 * KT_PAGE));
		seen += inject_in_workers_was_hit();
		gpu_expect_words(p, LEN, n);
		gpu_write_words(p, LEN, n + 1000);
		works_now(p, n + 1000);
		munmap(p, LEN);
	}
	assert_true(seen > 0);
	print_message("# %u of %u faults had a failure\n", seen, WORKER_MAX_NTH);
}

/* Queues that wait for a restore get it, later. */
static void restore_in_vram_survives_allocation_failures(void **state)
{
	unsigned int seen = 0;
	char *p;

	(void)state;
	gpu_open_queue();
	inject_arm();
	p = vram_filled(LEN, 1);
	for (unsigned int n = 1; n <= WORKER_MAX_NTH; n++) {
		inject_in_workers(n);
		assert_int_equal(mprotect(p, LEN, PROT_READ), 0);
		assert_int_equal(mprotect(p, LEN, PROT_READ | PROT_WRITE), 0);
		assert_int_equal(gpu_read32(p + 3 * KT_PAGE), seed_at(1, 3 * KT_PAGE));
		seen += inject_in_workers_was_hit();
	}
	assert_true(seen > 0);
	expect_words(p, LEN, 1);
	works_now(p, 1);
}

#define INJECT (CONF_VRAM | CONF_VIRTUAL | CONF_ROOT | CONF_INJECT)

static const struct conf_case cases[] = {
	CASE(prefetch_survives_allocation_failures, CONF_BOTH | INJECT),
	CASE(prefetch_back_survives_allocation_failures, CONF_BOTH | INJECT),
	CASE(cpu_fault_survives_allocation_failures, CONF_ON | CONF_FAULT_BACK | INJECT),
	CASE(gpu_fault_survives_allocation_failures, CONF_ON | INJECT),
	CASE(restore_in_vram_survives_allocation_failures, CONF_OFF | INJECT),
};

CONF_GROUP(migrate_nth_group, cases);
