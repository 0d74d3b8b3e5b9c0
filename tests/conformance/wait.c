// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for events by several threads, and processes that share an address
 * space: who gets what belongs to one of them.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"

#define SHORT_MS 300
#define LONG_MS 20000

static uint32_t event_a, event_b;
static int one_result;

static void *wait_for_a(void *arg)
{
	(void)arg;
	one_result = kt_event_wait(&gpu, event_a, LONG_MS, NULL);
	return NULL;
}

static int wait_for_both(uint32_t timeout_ms)
{
	struct kfd_event_data data[2] = {
		{ .event_id = event_a }, { .event_id = event_b },
	};
	struct kfd_ioctl_wait_events_args args = {
		.events_ptr = (uintptr_t)data,
		.num_events = 2,
		.wait_for_all = 1,
		.timeout = timeout_ms,
	};

	expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_WAIT_EVENTS, &args));
	return (int)args.wait_result;
}

/*
 * A wait for two events takes the signal of the first, and times out for the
 * second. The signal is not lost: it ends the wait of the thread that came later.
 */
static void signal_of_a_wait_that_fails_goes_to_another(void **state)
{
	pthread_t t;

	(void)state;
	gpu_open();
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &event_a));
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &event_b));
	expect_ok(kt_event_set(&gpu, event_a));
	assert_int_equal(pthread_create(&t, NULL, wait_for_a, NULL), 0);
	/*
	 * Whoever is first takes it. If it is the thread, this wait has nothing to
	 * give back; either way the thread must be served.
	 */
	assert_int_equal(wait_for_both(SHORT_MS), KFD_IOC_WAIT_RESULT_TIMEOUT);
	assert_int_equal(pthread_join(t, NULL), 0);
	expect_ok(one_result);
	/* Once: it was one signal. */
	expect_ret(kt_event_wait(&gpu, event_a, 0, NULL), -ETIME);
}

static void *wait_for_both_thread(void *arg)
{
	(void)arg;
	one_result = wait_for_both(2 * SHORT_MS);
	return NULL;
}

/* Looking takes the signal if the thread has not; then it is set again. */
static bool thread_has_a(void)
{
	int ret = kt_event_wait(&gpu, event_a, 0, NULL);

	if (!ret)
		expect_ok(kt_event_set(&gpu, event_a));
	return ret == -ETIME;
}

/* A wait that holds a signal gives it back; a reset in between takes it away. */
static void reset_takes_back_what_a_wait_holds(void **state)
{
	pthread_t t;

	(void)state;
	gpu_open();
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &event_a));
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &event_b));
	expect_ok(kt_event_set(&gpu, event_a));
	assert_int_equal(pthread_create(&t, NULL, wait_for_both_thread, NULL), 0);
	assert_true(kt_wait_for(thread_has_a(), LONG_MS));
	expect_ok(kt_event_reset(&gpu, event_a));
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(one_result, KFD_IOC_WAIT_RESULT_TIMEOUT);
	expect_ret(kt_event_wait(&gpu, event_a, 0, NULL), -ETIME);
}

/* A vfork child shares the address space, but is a process of its own. */
static void vfork_child_that_opens_first_locks_nobody_out(void **state)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_SET_FLAGS };
	int status;
	pid_t pid;
	char *p;

	(void)state;
	pid = vfork();
	if (!pid)
		_exit(open("/dev/kfd", O_RDWR | O_CLOEXEC) < 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 1, &a));
	grant(p, KT_PAGE);
	gpu_write32(p, 5);
	assert_int_equal(*(volatile uint32_t *)p, 5);
}

/*
 * More than the GPU's page tables can hold: an error, soon enough, and not one
 * attempt for each of the 65536 blocks that do not fit any more.
 */
static void set_attr_row14_over_the_table_limit_is_ENOMEM(void **state)
{
	size_t len = 64UL << 40;
	char *p;

	(void)state;
	gpu_open();
	p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		conf_skip("cannot reserve 64 TiB: %s", strerror(errno));
	expect_ret(kt_svm_set1(gpu.kfd, p, len, KFD_SVM_ATTR_ACCESS, gpu.gpu_id), -ENOMEM);
	assert_int_equal(munmap(p, len), 0);
}

static const struct conf_case cases[] = {
	CASE(signal_of_a_wait_that_fails_goes_to_another, CONF_ONCE | CONF_VIRTUAL),
	CASE(reset_takes_back_what_a_wait_holds, CONF_ONCE | CONF_VIRTUAL),
	CASE(vfork_child_that_opens_first_locks_nobody_out, CONF_BOTH | CONF_VIRTUAL),
	CASE(set_attr_row14_over_the_table_limit_is_ENOMEM,
	     CONF_OFF | CONF_VIRTUAL | CONF_LONG),
};

CONF_GROUP(wait_group, cases);
