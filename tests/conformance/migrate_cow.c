// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages in VRAM that must be copied before they are written, as a fork shares them, or that
 * were read-only for a time. The kernel makes them writable in RAM only; the memory around
 * them stays where it is, and they come back.
 */
#include <sys/mman.h>

#include "vram.h"

#define LEN (32 * KT_PAGE)
#define PAGES (LEN / KT_PAGE)

static struct chan chan;
static char *mem;
static size_t len;

/* The child has all pages until the end, and they are what they were. */
static int keeps_its_memory(void *arg)
{
	(void)arg;
	child_is_ready(&chan);
	child_check(words_are(mem, len, 1));
	return 0;
}

static pid_t fork_with(size_t bytes)
{
	gpu_open_queue();
	len = bytes;
	mem = vram_filled(len, 1);
	return spawn_ready(&chan, keeps_its_memory, NULL);
}

/* A page that is copied goes out once and comes back once. */
static void expect_moved_once(struct moves *m, uint64_t npages)
{
	struct moves now = moves_now();

	if (now.in - m->in > npages || now.out - m->out > npages)
		fail_msg("%llu pages went to VRAM and %llu came back for %llu that were written",
			 (unsigned long long)(now.in - m->in),
			 (unsigned long long)(now.out - m->out),
			 (unsigned long long)npages);
}

/*
 * Who writes an array asks for more with each doubling. None of this is the CPU's doing, so
 * however often it is, nothing is held in RAM for it.
 */
static void gpu_writes_of_shared_memory_in_vram_leave_it_there(void **state)
{
	struct moves m;
	pid_t pid;

	(void)state;
	pid = fork_with(KT_HUGE);
	m = moves_now();
	gpu_write_words(mem, KT_HUGE, 2);
	expect_moved_once(&m, HUGE_PAGES);
	expect_in_vram(mem, KT_HUGE, HUGE_PAGES);
	gpu_expect_words(mem, KT_HUGE, 2);
	finish_child(&chan, pid);
	expect_in_vram(mem, KT_HUGE, HUGE_PAGES);
	expect_words(mem, KT_HUGE, 2);
}

/* One page is written: the others are not touched. */
static void gpu_write_of_a_shared_page_in_vram_moves_that_page(void **state)
{
	struct moves m;
	pid_t pid;

	(void)state;
	pid = fork_with(KT_HUGE);
	gpu_expect_words(mem, KT_HUGE, 1);
	m = moves_now();
	gpu_write32(mem + 100 * KT_PAGE, 7);
	expect_moved_once(&m, 1);
	expect_in_vram(mem, KT_HUGE, HUGE_PAGES);
	gpu_write32(mem + 400 * KT_PAGE, 8);
	expect_moved_once(&m, 2);
	expect_in_vram(mem, KT_HUGE, HUGE_PAGES);
	finish_child(&chan, pid);
	expect_words(mem, 100 * KT_PAGE, 1);
	assert_int_equal(*(uint32_t *)(mem + 100 * KT_PAGE), 7);
	assert_int_equal(*(uint32_t *)(mem + 400 * KT_PAGE), 8);
}

/* Again and again: each fork shares all pages anew. */
static void gpu_writes_after_many_forks_leave_memory_in_vram(void **state)
{
	(void)state;
	gpu_open_queue();
	len = LEN;
	mem = vram_filled(len, 1);
	for (unsigned int i = 0; i < 8; i++) {
		pid_t pid = spawn_ready(&chan, keeps_its_memory, NULL);

		gpu_write_words(mem, len, 2);
		expect_in_vram(mem, len, PAGES);
		finish_child(&chan, pid);
		gpu_write_words(mem, len, 1);
		expect_in_vram(mem, len, PAGES);
	}
	expect_words(mem, len, 1);
}

/* The queues need what is read-only now, writable; they get it where it was. */
static void restore_after_a_fork_leaves_memory_in_vram(void **state)
{
	struct moves m;
	pid_t pid;

	(void)state;
	pid = fork_with(LEN);
	m = moves_now();
	gpu_write_words(mem, LEN, 2);
	expect_moved_once(&m, PAGES);
	expect_in_vram(mem, LEN, PAGES);
	gpu_expect_words(mem, LEN, 2);
	finish_child(&chan, pid);
	expect_words(mem, LEN, 2);
}

static void restore_after_mprotect_leaves_memory_in_vram(void **state)
{
	struct moves m;

	(void)state;
	gpu_open_queue();
	mem = vram_filled(LEN, 1);
	m = moves_now();
	assert_int_equal(mprotect(mem, LEN, PROT_READ), 0);
	gpu_expect_words(mem, LEN, 1);
	expect_in_vram(mem, LEN, PAGES);
	expect_moves(&m, 0, 0);
	assert_int_equal(mprotect(mem, LEN, PROT_READ | PROT_WRITE), 0);
	gpu_write_words(mem, LEN, 2);
	expect_in_vram(mem, LEN, PAGES);
	gpu_expect_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
}

/* ---- GPUs that do not reach all of it ---- */

/* A block may be in many places: what the second GPU cannot map goes to RAM, no more. */
static void two_gpus_only_what_is_out_of_reach_leaves_vram(void **state)
{
	struct moves m0, m1;

	(void)state;
	open_two_gpus();
	mem = vram_map(LEN);
	fill_words(mem, LEN, 1);
	/* Nobody has access yet, so nobody must reach it. */
	for (unsigned int i = 0; i < 2; i++) {
		use_gpu(i);
		set_attr(mem, LEN, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id);
	}
	use_gpu(0);
	prefetch(mem, KT_PAGE);
	m0 = moves_now();
	use_gpu(1);
	prefetch(mem + KT_PAGE, LEN - KT_PAGE);
	m1 = moves_now();
	expect_in_vram(mem, LEN, PAGES);
	set_attr(mem, LEN, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	gpu_expect_words(mem, LEN, 1);
	expect_in_vram(mem, KT_PAGE, 0);
	expect_in_vram(mem + KT_PAGE, LEN - KT_PAGE, PAGES - 1);
	expect_moves(&m1, 0, 0);
	use_gpu(0);
	expect_moves(&m0, 0, 1);
	use_gpu(1);
	gpu_write_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
}

static const struct conf_case cases[] = {
	CASE(gpu_writes_of_shared_memory_in_vram_leave_it_there, CONF_BOTH | CONF_VRAM),
	CASE(gpu_write_of_a_shared_page_in_vram_moves_that_page, CONF_ON | CONF_VRAM),
	CASE(gpu_writes_after_many_forks_leave_memory_in_vram, CONF_BOTH | CONF_VRAM),
	CASE(restore_after_a_fork_leaves_memory_in_vram, CONF_OFF | CONF_VRAM),
	CASE(restore_after_mprotect_leaves_memory_in_vram, CONF_BOTH | CONF_FAULT_BACK),
	CASE(two_gpus_only_what_is_out_of_reach_leaves_vram, CONF_BOTH | CONF_FAULT_BACK |
							    CONF_TWO_GPUS | CONF_NO_LINK),
};

CONF_GROUP(migrate_cow_group, cases);
