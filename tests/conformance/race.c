// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU changes memory while the GPU is about to map it. Stale data is what
 * these cases look for; pages that are dropped are held by a pipe, so that a
 * stale translation shows old words and not somebody else's page.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include "conf.h"

#define WINDOW KT_HUGE
#define PAGES 16		/* dropped, at the start of the window: as a pipe holds */
#define RACE_MS 3000
/* On a machine that is busy otherwise the time alone would prove little. */
#define MIN_ROUNDS 10

static char *mem;

/*
 * A while that grows from round to round, so that the change sweeps over the fault
 * wherever that lies: a loaded debug kernel takes tens of milliseconds to begin.
 */
#define SWEEP_MAX_US 100000

static unsigned int next_delay_us(unsigned int us)
{
	us += us / 4 + 10;
	return us > SWEEP_MAX_US ? 0 : us;
}

/* Busy on purpose: to sleep is too coarse for the short ones. */
static void spin_us(unsigned int us)
{
	struct timespec now;
	uint64_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec * 1000000ULL + now.tv_nsec / 1000 + us;
	while (now.tv_sec * 1000000ULL + now.tv_nsec / 1000 < end)
		clock_gettime(CLOCK_MONOTONIC, &now);
}

struct held {
	int pipe[2];
};

static void hold(struct held *h)
{
	struct iovec iov = { .iov_base = mem, .iov_len = PAGES * KT_PAGE };

	assert_int_equal(pipe2(h->pipe, O_CLOEXEC), 0);
	assert_int_equal(vmsplice(h->pipe[1], &iov, 1, 0), iov.iov_len);
}

static void let_go(struct held *h)
{
	close(h->pipe[0]);
	close(h->pipe[1]);
}

/*
 * Each round: the window is populated and unmapped on the GPU; a copy makes the
 * GPU map it (fault, or restore with XNACK off) while MADV_DONTNEED takes the
 * first pages away. When both are over, the GPU must see zeros there. Mutant
 * break_seq_check turns this case red: the pages found before the change are
 * mapped after it.
 */
static void dontneed_races_with_gpu_mapping(void **state)
{
	uint64_t end;
	unsigned int rounds = 0, delay = 0;
	struct held h;

	(void)state;
	gpu_open_queue();
	mem = map_huge(WINDOW);
	madvise(mem, WINDOW, MADV_NOHUGEPAGE);
	memset(mem, 1, WINDOW);
	/* Pages of RAM that are mapped as they are: see migrate_race.c for the others. */
	expect_ok(kt_svm_set1(gpu.kfd, mem, WINDOW, KFD_SVM_ATTR_PREFERRED_LOC,
			      KFD_SVM_LOC_SYSMEM));
	grant(mem, WINDOW);
	end = kt_now_ms() + RACE_MS;
	while (kt_now_ms() < end || rounds < MIN_ROUNDS) {
		for (unsigned int i = 0; i < PAGES; i++)
			memset(mem + i * KT_PAGE, 0x5a, 64);
		hold(&h);
		/* Takes the window off the GPU, whole, without changing its data. */
		assert_int_equal(mprotect(mem, WINDOW, PROT_READ), 0);
		assert_int_equal(mprotect(mem, WINDOW, PROT_READ | PROT_WRITE), 0);
		gpu_copy_async(bounce.cpu, mem + WINDOW - KT_PAGE, 64);
		spin_us(delay);
		assert_int_equal(madvise(mem, PAGES * KT_PAGE, MADV_DONTNEED), 0);
		gpu_wait();
		for (unsigned int i = 0; i < PAGES; i++) {
			uint32_t seen = gpu_read32(mem + i * KT_PAGE);

			if (seen)
				fail_msg("round %u: page %u shows %#x of before", rounds,
					 i, seen);
		}
		/*
		 * Not before the GPU has lost them: a broken driver would go on to
		 * use pages that are somebody else's by then.
		 */
		assert_int_equal(mprotect(mem, WINDOW, PROT_READ), 0);
		assert_int_equal(mprotect(mem, WINDOW, PROT_READ | PROT_WRITE), 0);
		let_go(&h);
		delay = next_delay_us(delay);
		rounds++;
	}
}

/* ---- registration, which maps at once with XNACK off ---- */

#define REG_PAGES 128

static volatile unsigned int round_to_do, round_done, drop_delay;
static volatile bool over;

/* Drops the first pages of the memory of each round, a while after its start. */
static void *dropper(void *arg)
{
	(void)arg;
	for (;;) {
		while (round_to_do == round_done && !over)
			sched_yield();
		if (over)
			return NULL;
		spin_us(drop_delay);
		madvise(mem, PAGES * KT_PAGE, MADV_DONTNEED);
		__atomic_store_n(&round_done, round_to_do, __ATOMIC_SEQ_CST);
	}
}

/*
 * SET maps fresh memory while another thread drops pages of it. Nothing of it is
 * mapped when the change comes, so no restore follows that would put things
 * right: mutant break_seq_check turns this case red.
 */
static void dontneed_races_with_registration(void **state)
{
	uint64_t end;
	struct held h;
	pthread_t t;
	uint32_t seen = 0;

	(void)state;
	gpu_open_queue();
	assert_int_equal(pthread_create(&t, NULL, dropper, NULL), 0);
	end = kt_now_ms() + RACE_MS;
	while ((kt_now_ms() < end || round_done < MIN_ROUNDS) && !seen) {
		mem = map_pages(REG_PAGES * KT_PAGE);
		madvise(mem, REG_PAGES * KT_PAGE, MADV_NOHUGEPAGE);
		memset(mem, 0x5a, REG_PAGES * KT_PAGE);
		hold(&h);
		__atomic_fetch_add(&round_to_do, 1, __ATOMIC_SEQ_CST);
		expect_ok(kt_svm_set1(gpu.kfd, mem, REG_PAGES * KT_PAGE,
				      KFD_SVM_ATTR_ACCESS, gpu.gpu_id));
		while (round_done != round_to_do)
			sched_yield();
		for (unsigned int i = 0; i < PAGES; i++)
			seen |= gpu_read32(mem + i * KT_PAGE);
		munmap(mem, REG_PAGES * KT_PAGE);
		let_go(&h);
		drop_delay = next_delay_us(drop_delay);
	}
	over = true;
	assert_int_equal(pthread_join(t, NULL), 0);
	if (seen)
		fail_msg("round %u: dropped pages show %#x of before", round_done, seen);
}

/* ---- a thread that changes memory, against a GPU that copies it ---- */

static volatile uint32_t generation;

/*
 * Word 0 of each page is a generation that only grows. A copy that started after
 * the page got generation n may show n or more, or 0 (just dropped), never less.
 */
static void *churn(void *arg)
{
	(void)arg;
	while (!over) {
		uint32_t n = generation + 1;

		madvise(mem, PAGES * KT_PAGE, MADV_DONTNEED);
		for (unsigned int i = 0; i < PAGES; i++)
			*(volatile uint32_t *)(mem + i * KT_PAGE) = n;
		__atomic_store_n(&generation, n, __ATOMIC_SEQ_CST);
		sched_yield();
	}
	return NULL;
}

static void copies_race_with_churn(void **state)
{
	uint64_t end = kt_now_ms() + 2000;
	unsigned int rounds = 0;
	pthread_t t;

	(void)state;
	gpu_open_queue();
	mem = map_pages(64 * KT_PAGE);
	memset(mem, 0, 64 * KT_PAGE);
	grant(mem, 64 * KT_PAGE);
	assert_int_equal(pthread_create(&t, NULL, churn, NULL), 0);
	while (kt_now_ms() < end || rounds < MIN_ROUNDS || generation < MIN_ROUNDS) {
		uint32_t at_least = __atomic_load_n(&generation, __ATOMIC_SEQ_CST);
		unsigned int i = rounds % PAGES;
		uint32_t seen = gpu_read32(mem + i * KT_PAGE);

		if (seen && seen < at_least) {
			over = true;
			pthread_join(t, NULL);
			fail_msg("round %u: generation %u after %u", rounds, seen,
				 at_least);
		}
		rounds++;
	}
	over = true;
	assert_int_equal(pthread_join(t, NULL), 0);
	/* All quiet: now there is only one right answer. */
	for (unsigned int i = 0; i < PAGES; i++)
		assert_int_equal(gpu_read32(mem + i * KT_PAGE), generation);
}

/* GPU writes must not be lost when the CPU protects and unprotects memory. */
static void *protect_churn(void *arg)
{
	(void)arg;
	while (!over) {
		mprotect(mem, 16 * KT_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
		mprotect(mem, 16 * KT_PAGE, PROT_READ | PROT_WRITE);
		sched_yield();
	}
	return NULL;
}

/*
 * Waits for the GPU while a thread changes memory. Says of a queue that stands
 * whether it is only starved or lost for good.
 */
static void wait_against_churn(pthread_t t)
{
	uint64_t faults[2] = { 0 }, retries[2] = { 0 };
	int ret;

	if (!gpu_try_wait(KT_WAIT_MS))
		return;
	kt_counter(&gpu, "faults", &faults[0]);
	kt_counter(&gpu, "retries", &retries[0]);
	ret = gpu_try_wait(1000);
	kt_counter(&gpu, "faults", &faults[1]);
	kt_counter(&gpu, "retries", &retries[1]);
	over = true;
	pthread_join(t, NULL);
	fail_msg("no progress against a CPU that changes memory (then: %d; faults %llu "
		 "to %llu, retries %llu to %llu in 1 s); without it: %s", ret,
		 (unsigned long long)faults[0], (unsigned long long)faults[1],
		 (unsigned long long)retries[0], (unsigned long long)retries[1],
		 gpu_try_wait(KT_WAIT_MS) ? "stands for good" : "goes on");
}

static void gpu_writes_race_with_mprotect(void **state)
{
	uint32_t dw[KT_SDMA_MAX_DW];
	uint64_t end = kt_now_ms() + 1000;
	uint32_t n = 0;
	pthread_t t;

	(void)state;
	gpu_open_queue();
	mem = map_pages(16 * KT_PAGE);
	grant(mem, 16 * KT_PAGE);
	assert_int_equal(pthread_create(&t, NULL, protect_churn, NULL), 0);
	while (kt_now_ms() < end || n < MIN_ROUNDS) {
		char *at = mem + n % 16 * KT_PAGE;

		gpu_submit(dw, kt_sdma_write1(dw, (uintptr_t)at, n));
		wait_against_churn(t);
		if (*(volatile uint32_t *)at != n) {
			over = true;
			pthread_join(t, NULL);
			fail_msg("write %u of the GPU is lost", n);
		}
		n++;
	}
	over = true;
	assert_int_equal(pthread_join(t, NULL), 0);
}

/* Ranges come and go while the GPU works beside them. */
static void *map_churn(void *arg)
{
	long bad = 0;

	(void)arg;
	while (!over) {
		char *p = mmap(NULL, 32 * KT_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return (void *)1;
		memset(p, 1, 32 * KT_PAGE);
		bad += !!kt_svm_set1(gpu.kfd, p, 32 * KT_PAGE, KFD_SVM_ATTR_ACCESS,
				     gpu.gpu_id);
		bad += !!kt_svm_set1(gpu.kfd, p + 8 * KT_PAGE, 8 * KT_PAGE,
				     KFD_SVM_ATTR_GRANULARITY, 3);
		munmap(p + 4 * KT_PAGE, 8 * KT_PAGE);
		munmap(p, 32 * KT_PAGE);
	}
	return (void *)bad;
}

static void copies_race_with_map_and_register(void **state)
{
	uint64_t end = kt_now_ms() + 1000;
	uint32_t n = 0;
	pthread_t t;
	void *bad;

	(void)state;
	gpu_open_queue();
	mem = map_pages(8 * KT_PAGE);
	grant(mem, 8 * KT_PAGE);
	assert_int_equal(pthread_create(&t, NULL, map_churn, NULL), 0);
	while (kt_now_ms() < end || n < MIN_ROUNDS) {
		fill_words(mem, KT_PAGE, n);
		gpu_copy(mem + 4 * KT_PAGE, mem, KT_PAGE);
		expect_words(mem + 4 * KT_PAGE, KT_PAGE, n);
		n++;
	}
	over = true;
	assert_int_equal(pthread_join(t, &bad), 0);
	assert_null(bad);
}

static const struct conf_case cases[] = {
	CASE(dontneed_races_with_gpu_mapping, CONF_BOTH),
	CASE(dontneed_races_with_registration, CONF_OFF),
	CASE(copies_race_with_churn, CONF_BOTH),
	CASE(gpu_writes_race_with_mprotect, CONF_BOTH),
	CASE(copies_race_with_map_and_register, CONF_BOTH),
};

CONF_GROUP(race_group, cases);
