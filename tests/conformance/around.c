// SPDX-License-Identifier: GPL-2.0-only
/*
 * What comes along with a page that a GPU faults on: enough for a program that goes
 * through memory, but no copies of pages that nobody writes. And faults that wait
 * together are served together.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"

#define WINDOW_PAGES (KT_HUGE / KT_PAGE)

#define PM_PRESENT (1ULL << 63)
#define PM_PFN ((1ULL << 55) - 1)

/* Where each page of a window is. Needs root. */
static void read_pfns(const void *p, uint64_t pfns[WINDOW_PAGES])
{
	off_t at = (off_t)((uintptr_t)p / KT_PAGE * sizeof(*pfns));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, pfns, WINDOW_PAGES * sizeof(*pfns), at),
			 WINDOW_PAGES * sizeof(*pfns));
	close(fd);
	for (size_t i = 0; i < WINDOW_PAGES; i++)
		pfns[i] = pfns[i] & PM_PRESENT ? pfns[i] & PM_PFN : 0;
}

/* Pages that are elsewhere than @before: copies. */
static unsigned int count_moved(const void *p, const uint64_t before[WINDOW_PAGES])
{
	uint64_t now[WINDOW_PAGES];
	unsigned int moved = 0;

	read_pfns(p, now);
	for (size_t i = 0; i < WINDOW_PAGES; i++)
		moved += now[i] != before[i];
	return moved;
}

static uint64_t counter(const char *name)
{
	uint64_t value = 0;

	if (kt_counter(&gpu, name, &value))
		conf_skip("this driver does not count %s", name);
	return value;
}

static char *map_small(size_t len)
{
	char *p = map_huge(len);

	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

/* ---- writes to memory that is shared with a child ---- */

static char *mem;
static struct chan chan;

static int child_keeps_threes(void *arg)
{
	(void)arg;
	child_is_ready(&chan);
	for (size_t i = 0; i < KT_HUGE; i++)
		child_check(mem[i] == 3);
	return 0;
}

/* These are about pages of RAM; memory that moves is another matter. */
static void stay_in_ram(void *p)
{
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_HUGE, KFD_SVM_ATTR_PREFERRED_LOC,
			      KFD_SVM_LOC_SYSMEM));
}

static pid_t share_with_child(void)
{
	memset(mem, 3, KT_HUGE);
	return spawn_ready(&chan, child_keeps_threes, NULL);
}

static void one_write_copies_one_page(void)
{
	uint64_t before[WINDOW_PAGES];
	uint64_t spared;
	pid_t pid;

	stay_in_ram(mem);
	pid = share_with_child();
	spared = counter("pages_spared");
	read_pfns(mem, before);
	gpu_write32(mem + 100 * KT_PAGE, 7);
	assert_int_equal(count_moved(mem, before), 1);
	assert_int_equal(*(uint32_t *)(mem + 100 * KT_PAGE), 7);
	assert_true(counter("pages_spared") >= spared + WINDOW_PAGES - 1);
	/* The rest of the window came along, to be read. */
	for (unsigned int i = 0; i < WINDOW_PAGES; i += 37) {
		uint64_t faults = counter("faults");

		assert_int_equal(gpu_read32(mem + i * KT_PAGE + 64), 0x03030303);
		assert_int_equal(counter("faults"), faults);
	}
	assert_int_equal(count_moved(mem, before), 1);
	finish_child(&chan, pid);
}

static void fork_gpu_write_copies_one_page(void **state)
{
	(void)state;
	gpu_open_queue();
	mem = map_small(KT_HUGE);
	one_write_copies_one_page();
}

static void fork_gpu_write_copies_one_page_of_a_huge_one(void **state)
{
	(void)state;
	gpu_open_queue();
	mem = map_huge(KT_HUGE);
	one_write_copies_one_page();
}

/*
 * Who writes all of it has a fault for each doubling of what is written, not one for
 * each page.
 */
static void fork_gpu_write_of_all_takes_few_faults(void **state)
{
	uint64_t before[WINDOW_PAGES];
	uint64_t faults;
	pid_t pid;

	(void)state;
	gpu_open_queue();
	mem = map_small(KT_HUGE);
	stay_in_ram(mem);
	pid = share_with_child();
	read_pfns(mem, before);
	faults = counter("faults");
	gpu_fill(mem, 0x05050505, KT_HUGE);
	faults = counter("faults") - faults;
	/* The first two pages bring four; then 8, 16 .. 512. */
	if (faults > 9)
		fail_msg("%llu faults", (unsigned long long)faults);
	assert_int_equal(count_moved(mem, before), WINDOW_PAGES);
	for (size_t i = 0; i < KT_HUGE; i++)
		assert_int_equal(mem[i], 5);
	finish_child(&chan, pid);
}

/* What was written before the fork says nothing about what is written after it. */
static void fork_forgets_what_was_written(void **state)
{
	uint64_t before[WINDOW_PAGES];
	pid_t pid;

	(void)state;
	gpu_open_queue();
	mem = map_small(KT_HUGE);
	stay_in_ram(mem);
	gpu_fill(mem, 0, KT_HUGE);
	pid = share_with_child();
	read_pfns(mem, before);
	gpu_write32(mem + 9 * KT_PAGE, 7);
	assert_int_equal(count_moved(mem, before), 1);
	finish_child(&chan, pid);
}

/* ---- writes to memory of other kinds ---- */

#define ARRAY_LEN (2 * KT_HUGE)

static void gpu_write_of_untouched_memory_takes_few_faults(void **state)
{
	uint64_t faults;
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_small(ARRAY_LEN);
	faults = counter("faults");
	gpu_fill(p, 0x05050505, ARRAY_LEN);
	faults = counter("faults") - faults;
	if (faults > ARRAY_LEN / KT_HUGE)
		fail_msg("%llu faults", (unsigned long long)faults);
	assert_int_equal(p[0], 5);
	assert_int_equal(p[ARRAY_LEN - 1], 5);
}

/* The page of zeros is no page of its own: all of it comes to be with one write. */
static void gpu_write_of_memory_read_before_takes_few_faults(void **state)
{
	uint64_t faults;
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_small(ARRAY_LEN);
	for (size_t at = 0; at < ARRAY_LEN; at += KT_PAGE)
		assert_int_equal(*(volatile char *)(p + at), 0);
	assert_int_equal(gpu_read32(p), 0);
	faults = counter("faults");
	gpu_fill(p, 0x05050505, ARRAY_LEN);
	faults = counter("faults") - faults;
	if (faults > ARRAY_LEN / KT_HUGE + 1)
		fail_msg("%llu faults", (unsigned long long)faults);
	assert_int_equal(p[0], 5);
	assert_int_equal(p[ARRAY_LEN - 1], 5);
}

/* A read brings the window, and makes no page of it. */
static void gpu_read_of_untouched_memory_makes_no_page(void **state)
{
	uint64_t pfns[WINDOW_PAGES];
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_small(KT_HUGE);
	stay_in_ram(p);
	assert_int_equal(gpu_read32(p + 7 * KT_PAGE), 0);
	read_pfns(p, pfns);
	/* One and the same page, again and again. */
	for (size_t i = 1; i < WINDOW_PAGES; i++)
		assert_int_equal(pfns[i], pfns[0]);
}

/* A file of WINDOW_PAGES pages, each of which begins with its number. */
static int numbered_file(void)
{
	int fd = temp_file(conf_run.dir, KT_HUGE);

	assert_true(fd >= 0);
	for (uint32_t i = 0; i < WINDOW_PAGES; i++)
		assert_int_equal(pwrite(fd, &i, sizeof(i), (off_t)(i * KT_PAGE)),
				 sizeof(i));
	return fd;
}

static void map_numbered(int fd)
{
	assert_ptr_equal(mmap(mem, KT_HUGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_FIXED, fd, 0), mem);
	for (uint32_t i = 0; i < WINDOW_PAGES; i++)
		assert_int_equal(*(volatile uint32_t *)(mem + i * KT_PAGE), i);
}

static void gpu_write_of_private_file_copies_one_page(void **state)
{
	uint64_t before[WINDOW_PAGES];

	(void)state;
	gpu_open_queue();
	mem = map_small(KT_HUGE);
	map_numbered(numbered_file());
	read_pfns(mem, before);
	gpu_write32(mem + 5 * KT_PAGE + 64, 7);
	assert_int_equal(count_moved(mem, before), 1);
	assert_int_equal(*(uint32_t *)(mem + 5 * KT_PAGE), 5);
	assert_int_equal(*(uint32_t *)(mem + 5 * KT_PAGE + 64), 7);
}

/* ---- faults that wait together ---- */

#define NQUEUES 8
#define NROUNDS 12

static struct kt_queue queues[NQUEUES];

/* Each queue waits for @round at @flag and then writes to a page of its own. */
static void arm_queues(volatile uint32_t *flag, uint32_t round)
{
	uint32_t dw[KT_SDMA_MAX_DW];
	unsigned int n;

	for (unsigned int i = 0; i < NQUEUES; i++) {
		char *at = mem + i * WINDOW_PAGES / NQUEUES * KT_PAGE + 64;

		n = kt_sdma_poll(dw, (uintptr_t)flag, KT_POLL_EQ, round, ~0U);
		expect_ok(kt_queue_emit(&queues[i], dw, n));
		n = kt_sdma_write1(dw, (uintptr_t)at, round + i);
		expect_ok(kt_queue_emit(&queues[i], dw, n));
		kt_queue_ring(&queues[i]);
	}
}

/*
 * The pages belong to a file, so each write needs a copy of its own page and none is
 * spared its fault by another's; yet there are fewer populates than faults, because
 * those that come while one is at work are served together by the next.
 */
static void faults_on_one_window_are_served_together(void **state)
{
	volatile uint32_t *flag;
	uint64_t faults, populates;
	int fd;

	(void)state;
	gpu_open_queue();
	for (unsigned int i = 0; i < NQUEUES; i++)
		expect_ok(kt_queue_create(&gpu, KT_PAGE, &queues[i]));
	flag = bounce.cpu;
	*flag = 0;
	mem = map_small(KT_HUGE);
	fd = numbered_file();
	faults = counter("faults");
	populates = counter("populates");
	for (uint32_t round = 1; round <= NROUNDS; round++) {
		map_numbered(fd);
		arm_queues(flag, round);
		/* By the GPU: that wakes all who poll. */
		gpu_write32((void *)flag, round);
		for (unsigned int i = 0; i < NQUEUES; i++) {
			size_t at = i * WINDOW_PAGES / NQUEUES * KT_PAGE;

			expect_ok(kt_queue_wait(&queues[i], KT_WAIT_MS));
			assert_int_equal(*(uint32_t *)(mem + at + 64), round + i);
			assert_int_equal(*(uint32_t *)(mem + at), at / KT_PAGE);
		}
	}
	faults = counter("faults") - faults;
	populates = counter("populates") - populates;
	print_message("# %llu faults, %llu populates\n", (unsigned long long)faults,
		      (unsigned long long)populates);
	assert_true(faults >= NROUNDS * NQUEUES);
	assert_true(populates < faults);
}

/* The same from two GPUs: each sees all that both have written. */
static void two_gpus_fault_on_one_window(void **state)
{
	struct kt_dev second;
	struct kt_queue other;
	struct kt_bo seen;
	uint32_t dw[KT_SDMA_MAX_DW];
	int fd;

	(void)state;
	gpu_open_queue();
	if (kt_open(&second, (int)gpu.node + 1))
		conf_skip("there is one GPU");
	expect_ok(kt_queue_create(&second, KT_PAGE, &other));
	expect_ok(kt_bo_gtt(&second, KT_PAGE, &seen));
	mem = map_small(KT_HUGE);
	fd = numbered_file();
	for (uint32_t round = 1; round <= NROUNDS; round++) {
		char *mine = mem + 10 * KT_PAGE + 64, *its = mem + 300 * KT_PAGE + 64;

		map_numbered(fd);
		expect_ok(kt_queue_emit(&other, dw,
					kt_sdma_write1(dw, (uintptr_t)its, round)));
		kt_queue_ring(&other);
		gpu_write32(mine, round);
		expect_ok(kt_queue_wait(&other, KT_WAIT_MS));
		assert_int_equal(*(volatile uint32_t *)mine, round);
		assert_int_equal(*(volatile uint32_t *)its, round);
		assert_int_equal(gpu_read32(its), round);
		expect_ok(kt_queue_emit(&other, dw,
					kt_sdma_copy(dw, (uintptr_t)seen.cpu,
						     (uintptr_t)mine, 4)));
		kt_queue_ring(&other);
		expect_ok(kt_queue_wait(&other, KT_WAIT_MS));
		assert_int_equal(*(volatile uint32_t *)seen.cpu, round);
	}
}

static const struct conf_case cases[] = {
	CASE(fork_gpu_write_copies_one_page, CONF_ON | CONF_ROOT | CONF_VIRTUAL),
	CASE(fork_gpu_write_copies_one_page_of_a_huge_one,
	     CONF_ON | CONF_ROOT | CONF_VIRTUAL),
	CASE(fork_gpu_write_of_all_takes_few_faults,
	     CONF_ON | CONF_ROOT | CONF_VIRTUAL),
	CASE(fork_forgets_what_was_written, CONF_ON | CONF_ROOT | CONF_VIRTUAL),
	CASE(gpu_write_of_untouched_memory_takes_few_faults, CONF_ON | CONF_VIRTUAL),
	CASE(gpu_write_of_memory_read_before_takes_few_faults,
	     CONF_ON | CONF_VIRTUAL),
	CASE(gpu_read_of_untouched_memory_makes_no_page,
	     CONF_ON | CONF_ROOT | CONF_VIRTUAL),
	CASE(gpu_write_of_private_file_copies_one_page,
	     CONF_ON | CONF_ROOT | CONF_VIRTUAL),
	CASE(faults_on_one_window_are_served_together,
	     CONF_ON | CONF_ROOT | CONF_VIRTUAL),
	CASE(two_gpus_fault_on_one_window, CONF_ON | CONF_VIRTUAL),
};

CONF_GROUP(around_group, cases);
