// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fork with memory in VRAM: parent and child share its pages, and each loses nothing,
 * whoever changes, unmaps or ends first.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "vram.h"

#define LEN (32 * KT_PAGE)
#define PAGES (LEN / KT_PAGE)

static struct chan chan;
static char *mem;

/* ---- the parent goes on ---- */

static int reads_when_told(void *arg)
{
	(void)arg;
	child_is_ready(&chan);
	child_check(words_are(mem, LEN, 1));
	return 0;
}

static int writes_at_once(void *arg)
{
	(void)arg;
	child_check(words_are(mem, LEN, 1));
	fill_words(mem, LEN, 9);
	child_is_ready(&chan);
	child_check(words_are(mem, LEN, 9));
	return 0;
}

static int writes_when_told(void *arg)
{
	(void)arg;
	child_is_ready(&chan);
	fill_words(mem, LEN, 9);
	child_check(words_are(mem, LEN, 9));
	return 0;
}

static pid_t fork_in_vram(int (*child)(void *))
{
	gpu_open_queue();
	mem = vram_filled(LEN, 1);
	gpu_expect_words(mem, LEN, 1);
	return spawn_ready(&chan, child, NULL);
}

static void fork_child_reads_memory_in_vram(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(reads_when_told);
	gpu_expect_words(mem, LEN, 1);
	finish_child(&chan, pid);
	gpu_expect_words(mem, LEN, 1);
	gpu_write_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
}

static void fork_child_writes_of_memory_in_vram_are_its_own(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(writes_at_once);
	gpu_expect_words(mem, LEN, 1);
	expect_words(mem, LEN, 1);
	gpu_write_words(mem, LEN, 2);
	finish_child(&chan, pid);
	expect_words(mem, LEN, 2);
	gpu_expect_words(mem, LEN, 2);
}

/*
 * The page in VRAM is read-only after the fork, in the parent, too. A GPU that goes on
 * writing it writes the child's memory. Mutant break_fork_cow turns this red.
 */
static void fork_gpu_write_in_vram_does_not_reach_the_child(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(reads_when_told);
	gpu_write_words(mem, LEN, 2);
	gpu_expect_words(mem, LEN, 2);
	finish_child(&chan, pid);
	gpu_expect_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
}

static void fork_gpu_write_after_read_in_vram_does_not_reach_the_child(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(reads_when_told);
	gpu_expect_words(mem, LEN, 1);
	gpu_write_words(mem + LEN / 2, LEN / 2, 2);
	gpu_expect_words(mem, LEN / 2, 1);
	finish_child(&chan, pid);
	expect_words(mem, LEN / 2, 1);
	expect_words(mem + LEN / 2, LEN / 2, 2);
}

static void fork_cpu_write_in_vram_does_not_reach_the_child(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(reads_when_told);
	fill_words(mem, LEN, 2);
	gpu_expect_words(mem, LEN, 2);
	finish_child(&chan, pid);
	gpu_expect_words(mem, LEN, 2);
}

static uint64_t faults(void)
{
	uint64_t value = 0;

	expect_ok(kt_counter(&gpu, "faults", &value));
	return value;
}

/* Who writes all of a window has not one fault for each page, wherever that is. */
static void fork_gpu_write_of_all_in_vram_takes_few_faults(void **state)
{
	uint64_t before;
	pid_t pid;

	(void)state;
	gpu_open_queue();
	mem = vram_filled(KT_HUGE, 1);
	assert_int_equal(gpu_read32(mem), 1);
	pid = spawn_ready(&chan, reads_when_told, NULL);
	before = faults();
	gpu_fill(mem, 0x05050505, KT_HUGE);
	/* Some for each doubling of what is written. */
	if (faults() - before > HUGE_PAGES / 8)
		fail_msg("%llu faults", (unsigned long long)(faults() - before));
	for (size_t i = 0; i < KT_HUGE; i++)
		assert_int_equal(mem[i], 5);
	finish_child(&chan, pid);
}

/* Moved again with the child's pages still shared. */
static void fork_prefetch_after_it_keeps_both_apart(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(writes_when_told);
	prefetch_back(mem, LEN);
	prefetch(mem, LEN);
	gpu_expect_words(mem, LEN, 1);
	gpu_write_words(mem, LEN, 2);
	finish_child(&chan, pid);
	gpu_expect_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
}

/* ---- nobody else has it any more ---- */

/* Upstream finds no range for the page and says SIGBUS. */
static void fork_child_reads_after_the_parents_munmap(void **state)
{
	uint64_t used;
	pid_t pid;

	(void)state;
	used = (gpu_open_queue(), vram_used());
	mem = vram_filled(LEN, 1);
	pid = spawn_ready(&chan, reads_when_told, NULL);
	assert_int_equal(munmap(mem, LEN), 0);
	/* The parent's account has them until the child lets go. */
	assert_true(vram_used() >= used);
	finish_child(&chan, pid);
	expect_vram_used(used);
}

static void fork_child_writes_after_the_parents_munmap(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(writes_when_told);
	assert_int_equal(munmap(mem, LEN), 0);
	finish_child(&chan, pid);
}

static int holds_until_told(void *arg)
{
	(void)arg;
	chan_tell_parent(&chan, 'r');
	return chan_wait_parent(&chan) == 'x' ? 0 : 1;
}

static void fork_child_exit_frees_what_it_had_last(void **state)
{
	uint64_t used, avail;
	pid_t pid;

	(void)state;
	gpu_open_queue();
	used = vram_used();
	avail = vram_free();
	mem = vram_filled(KT_HUGE, 1);
	pid = spawn_ready(&chan, holds_until_told, NULL);
	assert_int_equal(munmap(mem, KT_HUGE), 0);
	/* Still the child's: not to be had. */
	assert_true(vram_free() <= avail - KT_HUGE);
	finish_child(&chan, pid);
	expect_vram_used(used);
	expect_vram_free(avail);
}

/* ---- the parent is gone ---- */

static enum { CHILD_READS, CHILD_WRITES, CHILD_OPENS_GPU } orphan_does;
static struct chan middle;	/* to the process in between */

static int orphan(void *arg)
{
	(void)arg;
	/* Its parent's end is what this is about. */
	prctl(PR_SET_PDEATHSIG, 0);
	kt_close(&gpu);
	child_is_ready(&chan);
	if (orphan_does == CHILD_OPENS_GPU) {
		child_check(gpu_reopen_in_child() == 0);
		child_check(kt_svm_set1(gpu.kfd, mem, LEN, KFD_SVM_ATTR_ACCESS,
					gpu.gpu_id) == 0);
		child_check(gpu_try_copy(bounce.cpu, mem, BOUNCE_LEN) == 0);
		child_check(words_are(bounce.cpu, BOUNCE_LEN, 1));
	}
	child_check(words_are(mem, LEN, 1));
	if (orphan_does == CHILD_WRITES) {
		fill_words(mem, LEN, 9);
		child_check(words_are(mem, LEN, 9));
	}
	chan_tell_parent(&chan, 'k');
	return 0;
}

static int makes_an_orphan(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_check(mem != MAP_FAILED);
	fill_words(mem, LEN, 1);
	child_check(kt_svm_set1(gpu.kfd, mem, LEN, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) == 0);
	child_check(in_vram(mem, LEN) == PAGES);
	spawn(orphan, NULL);
	child_check(chan_wait_parent(&middle) == 'q');
	return 0;
}

static void orphan_has_its_memory(int does)
{
	uint64_t avail;
	int status;
	pid_t pid;

	orphan_does = does;
	gpu_open();
	avail = vram_free();
	/* The orphan is ours then, and is killed with the case. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	chan_open(&chan);
	chan_open(&middle);
	pid = spawn(makes_an_orphan, NULL);
	assert_int_equal(chan_wait_child(&chan), 'r');
	chan_tell_child(&middle, 'q');
	expect_child_ok(pid);
	assert_true(kt_wait_for(kt_process_gone(pid), KT_WAIT_MS));
	chan_tell_child(&chan, 'x');
	if (chan_wait_child(&chan) != 'k')
		fail_msg("the child did not get at its memory");
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	expect_vram_free(avail);
}

static void fork_child_reads_after_the_parents_end(void **state)
{
	(void)state;
	orphan_has_its_memory(CHILD_READS);
}

static void fork_child_writes_after_the_parents_end(void **state)
{
	(void)state;
	orphan_has_its_memory(CHILD_WRITES);
}

/* Memory in VRAM on nobody's account that has a GPU of its own. */
static void fork_child_has_a_gpu_after_the_parents_end(void **state)
{
	(void)state;
	orphan_has_its_memory(CHILD_OPENS_GPU);
}

/* ---- the child has a GPU, too ---- */

static int moves_its_copy(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	child_check(kt_svm_set1(gpu.kfd, mem, LEN, KFD_SVM_ATTR_ACCESS, gpu.gpu_id) == 0);
	child_check(gpu_try_copy(bounce.cpu, mem, BOUNCE_LEN) == 0);
	child_check(words_are(bounce.cpu, BOUNCE_LEN, 1));
	fill_words(mem, LEN, 9);
	child_check(kt_svm_set1(gpu.kfd, mem, LEN, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) == 0);
	child_is_ready(&chan);
	child_check(gpu_try_copy(bounce.cpu, mem, BOUNCE_LEN) == 0);
	child_check(words_are(bounce.cpu, BOUNCE_LEN, 9));
	child_check(words_are(mem, LEN, 9));
	return 0;
}

static void fork_both_have_memory_in_vram(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_in_vram(moves_its_copy);
	gpu_expect_words(mem, LEN, 1);
	gpu_write_words(mem, LEN, 2);
	finish_child(&chan, pid);
	gpu_expect_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
}

static const struct conf_case cases[] = {
	CASE(fork_child_reads_memory_in_vram, CONF_BOTH | CONF_VRAM),
	CASE(fork_child_writes_of_memory_in_vram_are_its_own, CONF_BOTH | CONF_VRAM),
	CASE(fork_gpu_write_in_vram_does_not_reach_the_child, CONF_BOTH | CONF_VRAM),
	CASE(fork_gpu_write_after_read_in_vram_does_not_reach_the_child,
	     CONF_BOTH | CONF_VRAM),
	CASE(fork_cpu_write_in_vram_does_not_reach_the_child, CONF_BOTH | CONF_VRAM),
	CASE(fork_gpu_write_of_all_in_vram_takes_few_faults, CONF_ON | CONF_VRAM),
	CASE(fork_prefetch_after_it_keeps_both_apart, CONF_BOTH | CONF_VRAM),
	CASE(fork_child_reads_after_the_parents_munmap, CONF_BOTH | CONF_VRAM),
	CASE(fork_child_writes_after_the_parents_munmap, CONF_BOTH | CONF_VRAM),
	CASE(fork_child_exit_frees_what_it_had_last, CONF_BOTH | CONF_VRAM),
	CASE(fork_child_reads_after_the_parents_end, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(fork_child_writes_after_the_parents_end, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(fork_child_has_a_gpu_after_the_parents_end, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(fork_both_have_memory_in_vram, CONF_BOTH | CONF_VRAM),
};

CONF_GROUP(migrate_fork_group, cases);
