// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that have nothing to do cost nothing: no worker of the virtual GPU runs
 * while 64 of them are idle. Seen through tracefs, which stock kernels have:
 * workqueue items whose function lives in one of our modules, and wake-ups of
 * threads named after them.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

#define TRACING "/sys/kernel/tracing"
#define INSTANCE TRACING "/instances/kfdsvm-idle"
#define QUEUES 64
#define IDLE_MS 10000
#define EVICTED_MS 2000

static void trace_write(const char *file, const char *text)
{
	char path[160];
	int ret;

	snprintf(path, sizeof(path), INSTANCE "/%s", file);
	ret = kt_write_file(path, text);
	if (ret)
		conf_skip("tracefs: %s: %s", file, strerrorname_np(-ret));
}

/* Opening for truncation is what empties the buffer. */
static void trace_clear(void)
{
	int fd = open(INSTANCE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		conf_skip("tracefs: trace: %s", strerrorname_np(errno));
	close(fd);
}

static void trace_begin(void)
{
	if (access(TRACING "/instances", F_OK))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		conf_skip("no tracefs instance: %s", strerrorname_np(errno));
	trace_clear();
	trace_write("events/workqueue/workqueue_execute_start/enable", "1");
	trace_write("events/sched/sched_wakeup/filter",
		    "comm ~ \"*amdgpu*\" || comm ~ \"*gfx9*\" || comm ~ \"*sdma*\" || "
		    "comm ~ \"*kfd*\"");
	trace_write("events/sched/sched_wakeup/enable", "1");
	trace_write("tracing_on", "1");
}

static bool is_ours(const char *line)
{
	/* %ps names the module in brackets; the test's own threads do not count. */
	if (strstr(line, "workqueue_execute_start"))
		return strstr(line, "[vamdgpu]") || strstr(line, "[kfd_svm]") ||
		       strstr(line, "[hmm_mirror]");
	return strstr(line, "sched_wakeup") && !strstr(line, "comm=kfdsvm-conform");
}

static unsigned int trace_count(char *first, size_t len)
{
	unsigned int n = 0;
	char line[512];
	FILE *f = fopen(INSTANCE "/trace", "r");

	assert_non_null(f);
	first[0] = 0;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || !is_ours(line))
			continue;
		if (!n)
			snprintf(first, len, "%.200s", line);
		n++;
	}
	fclose(f);
	return n;
}

static void trace_end(void)
{
	kt_write_file(INSTANCE "/tracing_on", "0");
	kt_write_file(INSTANCE "/events/enable", "0");
	rmdir(INSTANCE);
}

/* The case is about this time: nothing may happen in it. */
static void expect_no_wakes_now(unsigned int ms)
{
	char line[256];
	unsigned int n;

	usleep(ms * 1000);
	n = trace_count(line, sizeof(line));
	if (n)
		fail_msg("%u wake-ups in %u ms of idleness, the first: %s", n, ms, line);
}

/*
 * What the last job left behind (re-arming the bell) may run now: until half a second
 * passes without any. Then nothing for @ms.
 */
static void expect_nobody_wakes(unsigned int ms)
{
	char line[256];
	unsigned int n = trace_count(line, sizeof(line));

	for (unsigned int before = n, now; ; before = now) {
		usleep(500000);
		now = trace_count(line, sizeof(line));
		if (now == before || now > 100000)
			break;
	}
	trace_clear();
	expect_no_wakes_now(ms);
}

static void idle_queues_wake_nobody(void **state)
{
	static struct kt_queue q[QUEUES];
	uint32_t dw[KT_SDMA_MAX_DW];
	char line[256];

	(void)state;
	gpu_open_queue();
	for (unsigned int i = 0; i < QUEUES; i++) {
		expect_ok(kt_queue_create(&gpu, 4096, &q[i]));
		expect_ok(kt_queue_emit(&q[i], dw, kt_sdma_nop(dw, 0)));
		kt_queue_ring(&q[i]);
		expect_ok(kt_queue_wait(&q[i], KT_WAIT_MS));
	}
	trace_begin();
	/* The measurement must be able to see work at all. */
	gpu_write32(bounce.cpu, 1);
	assert_true(trace_count(line, sizeof(line)) > 0);
	expect_nobody_wakes(IDLE_MS);
	trace_end();
	/* And they still hear their bells. */
	for (unsigned int i = 0; i < QUEUES; i++) {
		expect_ok(kt_queue_emit(&q[i], dw, kt_sdma_nop(dw, 0)));
		kt_queue_ring(&q[i]);
		expect_ok(kt_queue_wait(&q[i], KT_WAIT_MS));
	}
}

/*
 * Memory is taken away from a GPU that has nothing to run: swapped out, say. It comes back
 * when there is something to run, and until then nobody tries.
 */
static void memory_taken_from_idle_queues_wakes_nobody(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(64 * KT_PAGE);
	fill_words(p, 64 * KT_PAGE, 1);
	expect_ok(kt_svm_set1(gpu.kfd, p, 64 * KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC,
			      KFD_SVM_LOC_SYSMEM));
	grant(p, 64 * KT_PAGE);
	gpu_expect_words(p, 16 * KT_PAGE, 1);
	trace_begin();
	gpu_write32(bounce.cpu, 1);
	expect_nobody_wakes(500);
	/* Without swap it stays where it is, but is unmapped all the same. */
	if (madvise(p, 64 * KT_PAGE, MADV_PAGEOUT))
		conf_skip("no MADV_PAGEOUT");
	assert_int_equal(mprotect(p, 64 * KT_PAGE, PROT_READ), 0);
	expect_no_wakes_now(EVICTED_MS);
	trace_end();
	gpu_expect_words(p, 16 * KT_PAGE, 1);
}

static const struct conf_case cases[] = {
	CASE(idle_queues_wake_nobody, CONF_ONCE | CONF_VIRTUAL | CONF_ROOT),
	CASE(memory_taken_from_idle_queues_wakes_nobody,
	     CONF_OFF | CONF_VIRTUAL | CONF_ROOT),
};

CONF_GROUP(idle_group, cases);
