// SPDX-License-Identifier: MIT
/* Prefetch without waiting: order, a full ring, a descriptor that polls, the end. */
#include "shim_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GPU1 0x1234u
#define VA 0x40000u
#define ENTRY sizeof(struct kfdsvm_completion)

static struct fake fake;
static struct kfdsvm *h;
static struct kfdsvm_async *a;
static sem_t begun, go;
static int next_result;

/* Says that it has begun, and waits to be let go. */
static int held_svm(struct fake *f, struct kfd_svm_args *args)
{
	(void)f;
	(void)args;
	sem_post(&begun);
	while (sem_wait(&go))
		;
	return next_result;
}

static int setup(void **state)
{
	(void)state;
	fake_init(&fake);
	h = fake_open(&fake);
	a = NULL;
	next_result = 0;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	/* A case that failed half way may have left somebody waiting. */
	fake.on_svm = NULL;
	sem_post(&go);
	kfdsvm_async_close(a);
	kfdsvm_close(h);
	assert_int_equal(fake.open_files, 0);
	return 0;
}

static void open_ring(uint32_t depth)
{
	struct kfdsvm_async_options options = { .size = sizeof(options), .depth = depth };

	assert_int_equal(kfdsvm_async_open(&a, h, depth ? &options : NULL), 0);
}

static bool readable(int timeout_ms)
{
	struct pollfd pfd = { .fd = kfdsvm_async_fd(a), .events = POLLIN };
	int ret;

	do
		ret = poll(&pfd, 1, timeout_ms);
	while (ret < 0 && errno == EINTR);
	return ret == 1 && pfd.revents & POLLIN;
}

static int submit(uint64_t cookie)
{
	return kfdsvm_async_prefetch(a, (void *)(uintptr_t)VA, 100, GPU1, 0, cookie, NULL);
}

static void done_in_order(void **state)
{
	struct kfdsvm_completion list[8];
	unsigned int n = 0;

	(void)state;
	open_ring(0);
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(submit(i), 0);
	while (n < 50) {
		int got;

		assert_true(readable(-1));
		got = kfdsvm_async_reap(a, list, 8, ENTRY);
		assert_in_range(got, 1, 8);
		for (int i = 0; i < got; i++, n++) {
			assert_int_equal(list[i].cookie, n);
			assert_int_equal(list[i].result, 0);
			assert_int_equal(list[i].location, GPU1);
			assert_int_equal(list[i].covered.start, VA);
			assert_int_equal(list[i].covered.len, 4096);
			assert_int_equal(list[i].after_len, KFDSVM_UNKNOWN);
		}
	}
	assert_false(readable(0));
	assert_int_equal(kfdsvm_async_reap(a, list, 8, ENTRY), 0);
}

static void results_come_back(void **state)
{
	struct kfdsvm_completion c;

	(void)state;
	open_ring(4);
	fake.on_svm = held_svm;
	next_result = -EFAULT;
	sem_post(&go);
	assert_int_equal(submit(7), 0);
	assert_true(readable(-1));
	assert_int_equal(kfdsvm_async_reap(a, &c, 1, ENTRY), 1);
	assert_int_equal(c.cookie, 7);
	assert_int_equal(c.result, -EFAULT);
}

static void a_full_ring_says_so(void **state)
{
	struct kfdsvm_completion list[4];

	(void)state;
	open_ring(3);
	fake.on_svm = held_svm;
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(submit(i), 0);
	assert_int_equal(submit(3), -ENOBUFS);
	assert_false(readable(0));
	sem_post(&go);
	assert_true(readable(-1));
	/* Done, but not reaped: still full. */
	assert_int_equal(submit(3), -ENOBUFS);
	assert_int_equal(kfdsvm_async_reap(a, list, 4, ENTRY), 1);
	assert_int_equal(submit(3), 0);
	for (int i = 0; i < 3; i++)
		sem_post(&go);
	for (int n = 0; n < 3;) {
		assert_true(readable(-1));
		n += kfdsvm_async_reap(a, list + n, 1, ENTRY);
	}
	assert_int_equal(list[2].cookie, 3);
	assert_false(readable(0));
}

static void bad_requests_are_told_at_once(void **state)
{
	struct kfdsvm_async_options options = { .size = sizeof(options), .depth = 65537 };
	struct kfdsvm_completion c;
	struct kfdsvm_range covered;

	(void)state;
	assert_int_equal(kfdsvm_async_open(&a, h, &options), -EINVAL);
	options.depth = 1;
	options.flags = 1;
	assert_int_equal(kfdsvm_async_open(&a, h, &options), -EINVAL);
	assert_int_equal(kfdsvm_async_open(&a, NULL, NULL), -EINVAL);
	assert_int_equal(kfdsvm_async_open(NULL, h, NULL), -EINVAL);
	assert_null(a);
	open_ring(0);
	assert_int_equal(kfdsvm_async_prefetch(a, NULL, 0, GPU1, 0, 0, &covered), -EINVAL);
	assert_int_equal(kfdsvm_async_prefetch(a, &fake, 1, 1, 0, 0, &covered), -EINVAL);
	assert_int_equal(kfdsvm_async_prefetch(a, &fake, 1, KFDSVM_UNDEFINED, 0, 0, NULL),
			 -EINVAL);
	assert_int_equal(kfdsvm_async_prefetch(a, &fake, 1, GPU1, KFDSVM_IN_PLACE, 0, NULL),
			 -EINVAL);
	assert_int_equal(kfdsvm_async_prefetch(NULL, &fake, 1, GPU1, 0, 0, NULL), -EINVAL);
	assert_int_equal(kfdsvm_async_reap(a, &c, 0, ENTRY), -EINVAL);
	assert_int_equal(kfdsvm_async_reap(a, &c, 1, 0), -EINVAL);
	assert_int_equal(kfdsvm_async_reap(a, NULL, 1, ENTRY), -EINVAL);
	assert_int_equal(kfdsvm_async_fd(NULL), -EINVAL);
	assert_int_equal(fake.nsvm, 0);
	/* No whole page: nothing to do, and a completion as ever. */
	assert_int_equal(kfdsvm_async_prefetch(a, (void *)(VA + 1ul), 8, GPU1, KFDSVM_INNER, 5,
					       &covered), 0);
	assert_int_equal(covered.len, 0);
	assert_true(readable(-1));
	assert_int_equal(kfdsvm_async_reap(a, &c, 1, ENTRY), 1);
	assert_int_equal(c.result, 0);
	assert_int_equal(fake.nsvm, 0);
}

static void measured_where_asked(void **state)
{
	struct kfdsvm_completion c;

	(void)state;
	fake_set_pages(&fake, VA, "vvs-");
	fake_set_file(&fake, SYS_PROC "/4711/counters_4660/page_in", "5\n");
	open_ring(0);
	assert_int_equal(kfdsvm_async_prefetch(a, (void *)(uintptr_t)VA, 4 * 4096, GPU1,
					       KFDSVM_MEASURE, 1, NULL), 0);
	assert_true(readable(-1));
	assert_int_equal(kfdsvm_async_reap(a, &c, 1, ENTRY), 1);
	assert_int_equal(c.result, 0);
	assert_int_equal(c.before_len, 2 * 4096);
	assert_int_equal(c.after_len, 2 * 4096);
	assert_int_equal(c.page_in_len, 0);
	assert_int_equal(c.page_out_len, KFDSVM_UNKNOWN);
}

#define MANY 1000u

static bool closing;

static bool is_asleep(pid_t thread)
{
	char path[64], text[512] = "";
	const char *name_end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	name_end = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	fclose(file);
	return name_end && !strncmp(name_end, ") S", 3);
}

/*
 * The first request goes on when the ring is being closed: the one lock that this takes is
 * free, so who sleeps in there waits for that request.
 */
static void *let_go(void *arg)
{
	while (!__atomic_load_n(&closing, __ATOMIC_ACQUIRE) || !is_asleep(*(pid_t *)arg))
		sched_yield();
	sem_post(&go);
	return NULL;
}

/* What has begun is waited for, what has not is dropped. */
static void close_waits_for_what_has_begun(void **state)
{
	/* Of the main thread, which this is. */
	pid_t self = getpid();
	pthread_t thread;

	(void)state;
	open_ring(MANY);
	fake.on_svm = held_svm;
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(submit(i), 0);
	while (sem_wait(&begun))
		;
	closing = false;
	assert_int_equal(pthread_create(&thread, NULL, let_go, &self), 0);
	__atomic_store_n(&closing, true, __ATOMIC_RELEASE);
	kfdsvm_async_close(a);
	a = NULL;
	pthread_join(thread, NULL);
	assert_int_equal(__atomic_load_n(&fake.nsvm, __ATOMIC_RELAXED), 1);
}

static volatile pthread_t handled_by;

static void on_signal(int sig)
{
	(void)sig;
	handled_by = pthread_self();
}

/* The program's signals are the program's. */
static void the_thread_takes_no_signal(void **state)
{
	struct sigaction action = { .sa_handler = on_signal }, before;
	sigset_t set, old;

	(void)state;
	sigaction(SIGUSR1, &action, &before);
	open_ring(0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	kill(getpid(), SIGUSR1);
	/* The ring's thread runs and could take it. */
	assert_int_equal(submit(1), 0);
	assert_true(readable(-1));
	assert_true(handled_by == (pthread_t)0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_true(pthread_equal(handled_by, pthread_self()));
	sigaction(SIGUSR1, &before, NULL);
}

/* A real fork, while the thread works: the child is told and can close. */
static void a_child_is_told_and_can_close(void **state)
{
	struct kfdsvm_completion c;
	int status = -1;
	pid_t pid;

	(void)state;
	open_ring(0);
	fake.on_svm = held_svm;
	assert_int_equal(submit(1), 0);
	while (sem_wait(&begun))
		;
	pid = fork();
	if (!pid) {
		int bad = 0;

		alarm(60);
		fake.pid++;
		bad |= submit(2) != -ECHILD;
		bad |= kfdsvm_async_reap(a, &c, 1, ENTRY) != -ECHILD;
		kfdsvm_async_close(a);
		kfdsvm_close(h);
		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	sem_post(&go);
	assert_true(readable(-1));
	assert_int_equal(kfdsvm_async_reap(a, &c, 1, ENTRY), 1);
	assert_int_equal(c.cookie, 1);
}

static void entries_of_other_sizes(void **state)
{
	uint64_t cookies[3] = { 0, 0, 77 };

	(void)state;
	open_ring(0);
	assert_int_equal(submit(5), 0);
	assert_int_equal(submit(6), 0);
	for (int n = 0; n < 2;) {
		assert_true(readable(-1));
		n += kfdsvm_async_reap(a, (void *)(cookies + n), 1, sizeof(cookies[0]));
	}
	assert_int_equal(cookies[0], 5);
	assert_int_equal(cookies[1], 6);
	assert_int_equal(cookies[2], 77);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(done_in_order),
		T(results_come_back),
		T(a_full_ring_says_so),
		T(bad_requests_are_told_at_once),
		T(measured_where_asked),
		T(close_waits_for_what_has_begun),
		T(the_thread_takes_no_signal),
		T(a_child_is_told_and_can_close),
		T(entries_of_other_sizes),
	};

	return cmocka_run_group_tests_name("shim_async", tests, NULL, NULL);
}
