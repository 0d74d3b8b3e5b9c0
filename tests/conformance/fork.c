// SPDX-License-Identifier: GPL-2.0-only
/* Fork and copy-on-write while queues are live. */
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

#define LEN (16 * KT_PAGE)

static struct chan chan;
static char *mem;

/* The child looks at its copy when the parent has done its part. */
static int child_keeps_words_1(void *arg)
{
	(void)arg;
	child_is_ready(&chan);
	child_check(words_are(mem, LEN, 1));
	return 0;
}

static int child_writes_words_9(void *arg)
{
	(void)arg;
	fill_words(mem, LEN, 9);
	child_is_ready(&chan);
	child_check(words_are(mem, LEN, 9));
	return 0;
}

static pid_t fork_with_mapped_memory(int (*child)(void *))
{
	gpu_open_queue();
	mem = map_pages(LEN);
	fill_words(mem, LEN, 1);
	grant(mem, LEN);
	gpu_expect_words(mem, LEN, 1);
	return spawn_ready(&chan, child, NULL);
}

static void fork_cpu_write_is_seen_by_the_gpu(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_with_mapped_memory(child_keeps_words_1);
	fill_words(mem, LEN, 2);
	gpu_expect_words(mem, LEN, 2);
	finish_child(&chan, pid);
	gpu_expect_words(mem, LEN, 2);
}

/*
 * The GPU reads, which may map pages shared with the child, and then writes:
 * into pages of the parent only. Mutant break_cow turns this case red.
 */
static void fork_gpu_write_does_not_reach_the_child(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_with_mapped_memory(child_keeps_words_1);
	gpu_expect_words(mem, LEN, 1);
	gpu_write_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
	finish_child(&chan, pid);
	expect_words(mem, LEN, 2);
}

static void fork_gpu_write_first_does_not_reach_the_child(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_with_mapped_memory(child_keeps_words_1);
	gpu_write_words(mem, LEN, 2);
	expect_words(mem, LEN, 2);
	finish_child(&chan, pid);
}

static void fork_child_write_does_not_reach_the_gpu(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_with_mapped_memory(child_writes_words_9);
	gpu_expect_words(mem, LEN, 1);
	expect_words(mem, LEN, 1);
	finish_child(&chan, pid);
	gpu_expect_words(mem, LEN, 1);
}

static void fork_of_a_huge_page_keeps_both_apart(void **state)
{
	pid_t pid;

	(void)state;
	gpu_open_queue();
	mem = map_huge(KT_HUGE);
	memset(mem, 0, KT_HUGE);
	fill_words(mem, LEN, 1);
	grant(mem, KT_HUGE);
	gpu_expect_words(mem, LEN, 1);
	pid = spawn_ready(&chan, child_keeps_words_1, NULL);
	gpu_write_words(mem, LEN, 2);
	assert_int_equal(gpu_read32(mem + KT_HUGE - 4), 0);
	*(uint32_t *)(mem + KT_HUGE - 4) = 3;
	assert_int_equal(gpu_read32(mem + KT_HUGE - 4), 3);
	finish_child(&chan, pid);
	expect_words(mem, LEN, 2);
}

/* A copy is under way, endlessly, while fork after fork write-protects it. */
static void fork_under_running_copies(void **state)
{
	const size_t len = 64 * KT_PAGE;
	char *src, *dst;

	(void)state;
	gpu_open_queue();
	src = map_pages(len);
	dst = map_pages(len);
	grant(src, len);
	grant(dst, len);
	for (uint32_t round = 0; round < 12; round++) {
		pid_t pid;

		fill_words(src, len, round);
		gpu_copy_async(dst, src, len);
		pid = fork();
		if (!pid)
			_exit(0);
		assert_true(pid > 0);
		gpu_copy_async(dst, src, len);
		gpu_wait();
		expect_words(dst, len, round);
		expect_child_ok(pid);
	}
}

/* In the child the memory is its own: opened again, its GPU sees its copy. */
static int child_shares_its_own_copy(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	fill_words(mem, LEN, 9);
	if (!xnack_on())
		child_check(kt_svm_set1(gpu.kfd, mem, LEN, KFD_SVM_ATTR_ACCESS,
					gpu.gpu_id) == 0);
	child_check(gpu_try_copy(bounce.cpu, mem, LEN) == 0);
	child_check(words_are(bounce.cpu, LEN, 9));
	child_is_ready(&chan);
	child_check(gpu_try_copy(bounce.cpu, mem, LEN) == 0);
	child_check(words_are(bounce.cpu, LEN, 9));
	return 0;
}

static void fork_child_and_parent_each_with_a_gpu(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork_with_mapped_memory(child_shares_its_own_copy);
	gpu_expect_words(mem, LEN, 1);
	gpu_write_words(mem, LEN, 2);
	finish_child(&chan, pid);
	expect_words(mem, LEN, 2);
}

static int child_has_no_ranges(void *arg)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_GRANULARITY };

	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	child_check(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)mem, LEN, 1, &a) == 0);
	child_check(a.value == KFD_SVM_DEFAULT_GRANULARITY);
	return 0;
}

static void fork_does_not_copy_attributes(void **state)
{
	(void)state;
	gpu_open();
	mem = map_pages(LEN);
	expect_ok(kt_svm_set1(gpu.kfd, mem, LEN, KFD_SVM_ATTR_GRANULARITY, 3));
	expect_child_ok(spawn(child_has_no_ranges, NULL));
}

static const struct conf_case cases[] = {
	CASE(fork_cpu_write_is_seen_by_the_gpu, CONF_BOTH),
	CASE(fork_gpu_write_does_not_reach_the_child, CONF_BOTH),
	CASE(fork_gpu_write_first_does_not_reach_the_child, CONF_BOTH),
	CASE(fork_child_write_does_not_reach_the_gpu, CONF_BOTH),
	CASE(fork_of_a_huge_page_keeps_both_apart, CONF_BOTH),
	CASE(fork_under_running_copies, CONF_BOTH),
	CASE(fork_child_and_parent_each_with_a_gpu, CONF_BOTH),
	CASE(fork_does_not_copy_attributes, CONF_BOTH),
};

CONF_GROUP(fork_group, cases);
