// SPDX-License-Identifier: GPL-2.0-only
/* VRAM that is short, that changes hands, and that comes back. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "vram.h"

#define LEN (32 * KT_PAGE)
#define SECRET 0x5ec4e75eU

static size_t windows_of(uint64_t bytes)
{
	return bytes & ~(uint64_t)(KT_HUGE - 1);
}

/* ---- more than fits ---- */

/* The GPU looks at a piece of each window, the CPU at all. */
static void expect_large(const char *p, size_t len, uint32_t seed)
{
	for (size_t at = 0; at < len; at += KT_HUGE / 2)
		gpu_expect_words(p + at, KT_PAGE, seed_at(seed, at));
	expect_words(p, len, seed);
}

static char *fill_large(size_t len, uint32_t seed)
{
	char *p = vram_map(len);

	fill_words(p, len, seed);
	vram_register(p, len);
	return p;
}

/* One range, one call; what does not fit pushes out what came first. */
static void kfdtest_VramOvercommit(void **state)
{
	struct moves m;
	size_t len;
	char *p;

	(void)state;
	gpu_open_queue();
	len = windows_of(vram_free() * 3 / 2);
	p = fill_large(len, 1);
	m = moves_now();
	prefetch(p, len);
	assert_true(moves_now().in - m.in == len / KT_PAGE);
	assert_true(moves_now().out - m.out >= len / KT_PAGE / 3 - HUGE_PAGES);
	/* The last ones came last. */
	expect_in_vram(p, KT_HUGE, 0);
	expect_in_vram(p + len - KT_HUGE, KT_HUGE, HUGE_PAGES);
	expect_large(p, len, 1);
}

/* The GPU goes through more than fits, several times; each time it is all there. */
static void kfdtest_VramOvercommitGiantRange(void **state)
{
	size_t len;
	char *p;

	(void)state;
	gpu_open_queue();
	len = windows_of(vram_free() * 2);
	p = vram_map(len);
	vram_register(p, len);
	prefetch(p, len);
	for (uint32_t round = 1; round <= 2; round++) {
		gpu_fill(p, round, len);
		for (size_t at = 0; at < len; at += KT_HUGE)
			assert_int_equal(gpu_read32(p + at + 64), round);
	}
	for (size_t at = 0; at < len; at += KT_PAGE)
		assert_int_equal(*(uint32_t *)(p + at), 2);
}

/* Tells each hog to go on when all have done their round; whether one was evicted. */
static bool next_round(struct hog *hogs, unsigned int n)
{
	bool evicted = false;

	for (unsigned int i = 0; i < n; i++) {
		int said = chan_wait_child(&hogs[i].chan);

		assert_true(said == 'r' || said == 'e');
		evicted |= said == 'e';
	}
	for (unsigned int i = 0; i < n; i++)
		chan_tell_child(&hogs[i].chan, 'x');
	return evicted;
}

/* Two processes, each with more than half of what there is. */
static void kfdtest_EvictBasicTest(void **state)
{
	struct hog hogs[2];
	bool evicted = false;
	size_t len;

	(void)state;
	gpu_open();
	len = windows_of(vram_free() * 5 / 8);
	for (unsigned int i = 0; i < 2; i++)
		hog_start(&hogs[i], len, 2, i + 1);
	for (unsigned int round = 0; round < 2; round++)
		evicted |= next_round(hogs, 2);
	for (unsigned int i = 0; i < 2; i++)
		expect_child_ok(hogs[i].pid);
	assert_true(evicted);
}

/* The same while a queue of a third copies from and to VRAM all the time. */
static void kfdtest_EvictQueueTest(void **state)
{
	struct hog hogs[2];
	bool evicted = false;
	uint64_t avail;
	char *src, *dst;

	(void)state;
	gpu_open_queue();
	avail = vram_free();
	src = vram_filled(KT_HUGE, 1);
	dst = vram_filled(KT_HUGE, 2);
	for (unsigned int i = 0; i < 2; i++)
		hog_start(&hogs[i], windows_of(avail * 5 / 8), 2, i + 1);
	for (unsigned int round = 0; round < 2; round++) {
		/* More than is done before the others have come round. */
		for (unsigned int i = 0; i < 8; i++)
			gpu_copy_async(dst, src, KT_HUGE);
		evicted |= next_round(hogs, 2);
		gpu_wait();
		gpu_expect_words(dst, LEN, 1);
	}
	for (unsigned int i = 0; i < 2; i++)
		expect_child_ok(hogs[i].pid);
	assert_true(evicted);
	expect_words(dst, KT_HUGE, 1);
	expect_words(src, KT_HUGE, 1);
}

/* Least recently used: what the GPU went on using is still there. */
static void what_the_gpu_uses_is_evicted_last(void **state)
{
	size_t len, half, there;
	char *p, *q, *more;

	(void)state;
	gpu_open_queue();
	half = windows_of(vram_free() / 2);
	p = fill_large(half, 1);
	prefetch(p, half);
	q = fill_large(half, 2);
	prefetch(q, windows_of(half / 2));
	/* The GPU maps it anew, so that it is known to be used. */
	set_attr(p, half, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id);
	vram_register(p, half);
	for (size_t at = 0; at < half; at += KT_HUGE)
		gpu_read32(p + at);
	len = windows_of(half / 2) + KT_HUGE;
	more = fill_large(len, 4);
	prefetch(more, len);
	expect_in_vram(more, len, len / KT_PAGE);
	there = in_vram(q, half);
	if (there == windows_of(half / 2) / KT_PAGE)
		fail_msg("all of what was used last is there, %zu of %zu pages of the other",
			 in_vram(p, half), half / KT_PAGE);
	expect_large(q, half, 2);
	expect_large(p, half, 1);
}

/* What a program asks for by ALLOC_MEMORY_OF_GPU cannot be in RAM; migrated memory can. */
static void memory_objects_push_migrated_memory_out(void **state)
{
	struct kt_bo bo;
	struct moves m;
	size_t len;
	char *p;

	(void)state;
	gpu_open_queue();
	len = windows_of(vram_free() * 3 / 4);
	p = fill_large(len, 1);
	prefetch(p, len);
	expect_in_vram(p, len, len / KT_PAGE);
	m = moves_now();
	expect_ok(kt_bo_vram(&gpu, len, &bo));
	assert_true(moves_now().out > m.out);
	assert_true(in_vram(p, len) < len / KT_PAGE);
	gpu_fill(bo.cpu, 0x77, len);
	expect_large(p, len, 1);
	assert_int_equal(gpu_read32((char *)bo.cpu + len - 4), 0x77);
	kt_bo_free(&gpu, &bo);
	prefetch(p, len);
	expect_in_vram(p, len, len / KT_PAGE);
	expect_words(p, len, 1);
}

/* Objects do not move, so there is nothing to push out: that is no error either. */
static void prefetch_into_full_vram_returns_0(void **state)
{
	struct kt_bo bo;
	char *p;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_bo_vram(&gpu, windows_of(vram_free()), &bo));
	p = fill_large(KT_HUGE, 1);
	prefetch(p, KT_HUGE);
	gpu_expect_words(p, LEN, 1);
	gpu_write_words(p, LEN, 2);
	expect_words(p, LEN, 2);
	kt_bo_free(&gpu, &bo);
	prefetch(p, KT_HUGE);
	expect_in_vram(p, KT_HUGE, HUGE_PAGES);
	gpu_expect_words(p, LEN, 2);
}

/* ---- whose it was before ---- */

static int leaves_secrets(void *arg)
{
	size_t len = *(size_t *)arg;
	uint32_t *p;

	child_check(gpu_reopen_in_child() == 0);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_check(p != MAP_FAILED);
	for (size_t i = 0; i < len / sizeof(*p); i++)
		p[i] = SECRET;
	child_check(kt_svm_set1(gpu.kfd, p, len, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) == 0);
	child_check(in_vram(p, len) == len / KT_PAGE);
	return 0;
}

/* Of memory that nobody ever touched, all that is not in RAM. */
static void expect_zeros(size_t len)
{
	uint32_t *seen = bounce.cpu;
	char *p = vram_map(len);

	prefetch(p, len);
	expect_in_vram(p, len, len / KT_PAGE);
	vram_register(p, len);
	for (size_t at = 0; at < len; at += BOUNCE_LEN) {
		gpu_copy(bounce.cpu, p + at, BOUNCE_LEN);
		for (size_t i = 0; i < BOUNCE_LEN / sizeof(*seen); i++)
			if (seen[i])
				fail_msg("byte %#zx shows %#x of somebody else",
					 at + i * sizeof(*seen), seen[i]);
	}
	assert_int_equal(*(uint32_t *)(p + len - 4), 0);
}

static void vram_of_another_process_is_zeroed(void **state)
{
	size_t len = 4 * KT_HUGE;
	uint64_t avail;

	(void)state;
	gpu_open_queue();
	avail = vram_free();
	expect_child_ok(spawn(leaves_secrets, &len));
	expect_vram_free(avail);
	expect_zeros(len + KT_HUGE);
}

static void vram_of_a_memory_object_is_zeroed(void **state)
{
	const size_t len = 4 * KT_HUGE;
	struct kt_bo bo;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_bo_vram(&gpu, len, &bo));
	gpu_fill(bo.cpu, SECRET, len);
	kt_bo_free(&gpu, &bo);
	expect_zeros(len + KT_HUGE);
}

/* ---- the end of a process ---- */

static struct chan chan;
static enum { END_EXIT, END_EXEC, END_KILL } how;

static int ends_with_memory_in_vram(void *arg)
{
	char node[16], *p;

	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	p = mmap(NULL, 2 * KT_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	child_check(p != MAP_FAILED);
	memset(p, 1, 2 * KT_HUGE);
	child_check(kt_svm_set1(gpu.kfd, p, 2 * KT_HUGE, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) == 0);
	child_check(in_vram(p, 2 * KT_HUGE) == 2 * HUGE_PAGES);
	child_is_ready(&chan);
	if (how == END_EXEC) {
		snprintf(node, sizeof(node), "%u", gpu.node);
		exec_self("reopen", node, NULL);
	}
	while (how == END_KILL)
		pause();
	return 0;
}

static void vram_is_free_after(int end)
{
	uint64_t avail;
	int status;
	pid_t pid;

	how = end;
	gpu_open();
	avail = vram_free();
	pid = spawn_ready(&chan, ends_with_memory_in_vram, NULL);
	assert_true(vram_free() <= avail - 2 * KT_HUGE);
	chan_tell_child(&chan, 'x');
	if (how == END_KILL)
		kill(pid, SIGKILL);
	status = reap(pid);
	assert_true(how == END_KILL ? WIFSIGNALED(status) :
		    WIFEXITED(status) && !WEXITSTATUS(status));
	expect_vram_free(avail);
}

static void exit_frees_vram(void **state)
{
	(void)state;
	vram_is_free_after(END_EXIT);
}

static void exec_frees_vram(void **state)
{
	(void)state;
	vram_is_free_after(END_EXEC);
}

static void sigkill_frees_vram(void **state)
{
	(void)state;
	vram_is_free_after(END_KILL);
}

static const struct conf_case cases[] = {
	CASE(kfdtest_VramOvercommit, CONF_BOTH | CONF_VRAM | CONF_SMALL_VRAM),
	CASE(kfdtest_VramOvercommitGiantRange, CONF_BOTH | CONF_VRAM | CONF_SMALL_VRAM),
	CASE(kfdtest_EvictBasicTest, CONF_BOTH | CONF_VRAM | CONF_SMALL_VRAM),
	CASE(kfdtest_EvictQueueTest, CONF_BOTH | CONF_VRAM | CONF_SMALL_VRAM),
	CASE(what_the_gpu_uses_is_evicted_last, CONF_BOTH | CONF_VRAM | CONF_SMALL_VRAM),
	CASE(memory_objects_push_migrated_memory_out,
	     CONF_BOTH | CONF_VRAM | CONF_SMALL_VRAM),
	CASE(prefetch_into_full_vram_returns_0, CONF_BOTH | CONF_VRAM | CONF_SMALL_VRAM),
	CASE(vram_of_another_process_is_zeroed, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(vram_of_a_memory_object_is_zeroed, CONF_BOTH | CONF_VRAM),
	CASE(exit_frees_vram, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(exec_frees_vram, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(sigkill_frees_vram, CONF_BOTH | CONF_VRAM | CONF_ROOT),
};

CONF_GROUP(evict_group, cases);
