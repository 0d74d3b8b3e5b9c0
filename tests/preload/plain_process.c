// SPDX-License-Identifier: MIT
/* Threads, deep stacks and forks after the queue. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include "plain.h"

#define LEN	4096u

static __thread uint64_t thread_local_data[LEN / 8];

static void *use_own_stack(void *arg)
{
	uint64_t array[LEN / 8];

	*(bool *)arg = half_to_half(array, sizeof(array)) &&
		       half_to_half(thread_local_data, sizeof(thread_local_data));
	return NULL;
}

static bool new_threads(void)
{
	pthread_t thread;
	bool good = open_gpu();

	for (unsigned int i = 0; good && i < 4; i++) {
		good = false;
		if (pthread_create(&thread, NULL, use_own_stack, &good))
			return false;
		pthread_join(thread, NULL);
	}
	return good;
}

static int use_stack_c11(void *arg)
{
	use_own_stack(arg);
	return 42;
}

static bool new_c11_thread(void)
{
	bool good = false;
	int result = 0;
	thrd_t thread;

	if (!open_gpu() || thrd_create(&thread, use_stack_c11, &good) != thrd_success)
		return false;
	return thrd_join(thread, &result) == thrd_success && result == 42 && good;
}

/* A frame of 64 KiB, @depth deep, and the GPU at the end. */
static bool __attribute__((noinline)) deep(unsigned int depth)
{
	volatile uint64_t frame[8192];
	bool good;

	frame[8191] = depth;
	good = depth ? deep(depth - 1) : half_to_half((void *)frame, LEN);
	return good && frame[8191] == depth;
}

static bool deep_stack(void)
{
	return open_gpu() && deep(60);
}

/* A child that has nothing to do with the GPU goes on as it would have. */
static int plain_child(unsigned char *p)
{
	void *more;

	for (unsigned int i = 0; i < 200; i++) {
		more = malloc(i * 997);
		if (!more)
			return 1;
		memset(more, 1, i * 997);
		if (i & 1)
			free(more);
	}
	more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (more == MAP_FAILED)
		return 2;
	memset(more, 1, 1 << 20);
	memset(p, 7, LEN);
	free(p);
	return 0;
}

static bool wait_for(pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, 0) == pid && !status)
		return true;
	printf("# child ends with status 0x%x\n", status);
	return false;
}

static bool fork_without_gpu(void)
{
	unsigned char *p;
	pid_t pid;

	if (!open_gpu())
		return false;
	p = malloc(LEN);
	if (!half_to_half(p, LEN))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(plain_child(p));
	/* The pages are the child's, too, until somebody writes: the GPU must see ours. */
	return half_to_half(p, LEN) && wait_for(pid) && half_to_half(p, LEN) &&
	       half_to_half(malloc(1 << 20), 1 << 20);
}

/* A child with a GPU of its own: its memory from before and after. */
static bool fork_with_gpu(void)
{
	void *p;
	pid_t pid;

	if (!open_gpu())
		return false;
	p = malloc(LEN);
	if (!half_to_half(p, LEN))
		return false;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool good;

		/* libhsakmt wants to be closed in a child before it is opened there. */
		close_gpu();
		good = open_gpu() && half_to_half(p, LEN) &&
		       half_to_half(malloc(3 << 20), 3 << 20);
		fflush(stdout);
		_exit(!good);
	}
	return wait_for(pid) && half_to_half(p, LEN);
}

/* A second open of the runtime in one process. */
static bool open_again(void)
{
	void *p;

	if (!open_gpu())
		return false;
	p = malloc(LEN);
	if (!half_to_half(p, LEN))
		return false;
	close_gpu();
	return open_gpu() && half_to_half(p, LEN) && half_to_half(malloc(1 << 20), 1 << 20);
}

/* ---- many things at once ---- */

#define WORKERS		4u
#define ROUNDS		150u

static _Atomic bool stop_signals;

static void on_signal(int number)
{
	void *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)number;
	if (p != MAP_FAILED)
		munmap(p, LEN);
}

static void *send_signals(void *arg)
{
	while (!stop_signals) {
		kill(getpid(), SIGUSR1);
		usleep(500);
	}
	return arg;
}

/* One thread uses the GPU at a time: the queue is one. */
static void *work(void *arg)
{
	static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t len = 16 + 16 * (size_t)(rand_r(&seed) % (i % 10 ? 200 : 20000));
		void *p = malloc(len);
		bool good = true;

		pthread_mutex_lock(&queue);
		if (i % 8 == 0)
			good = half_to_half(p, len);
		pthread_mutex_unlock(&queue);
		if (i % 3)
			free(p);
		if (!good)
			return NULL;
	}
	return arg;
}

static bool threads_and_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t sender, workers[WORKERS];
	bool good = true;
	void *result;

	if (!open_gpu() || sigaction(SIGUSR1, &action, NULL) ||
	    pthread_create(&sender, NULL, send_signals, NULL))
		return false;
	for (uintptr_t i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, work, (void *)(i + 1)))
			return false;
	for (unsigned int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i], &result);
		good &= result != NULL;
	}
	stop_signals = true;
	pthread_join(sender, NULL);
	return good;
}

/* ---- fork beside what maps memory ---- */

#define FORKS		25u
#define CHILD_TIMEOUT_S	60

static _Atomic bool stop_allocating;

/* As an allocator's: what it does for a fork may take memory. */
static void map_for_fork(void)
{
	void *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		munmap(p, LEN);
}

/* Before the constructor of any library, so that it is called within what they do. */
static void first_of_all(void)
{
	pthread_atfork(map_for_fork, map_for_fork, NULL);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = first_of_all;

static void *allocate(void *arg)
{
	while (!stop_allocating) {
		void *p = malloc(1 << 20);

		map_for_fork();
		free(p);
	}
	return arg;
}

static bool fork_beside_allocations(void)
{
	pthread_t threads[2];
	bool good = true;
	pid_t pid;
	void *p;

	if (!open_gpu() || !half_to_half(malloc(LEN), LEN))
		return false;
	for (unsigned int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, allocate, NULL))
			return fail("pthread_create");
	for (unsigned int i = 0; good && i < FORKS; i++) {
		p = malloc(LEN);
		fflush(stdout);
		pid = fork();
		if (!pid) {
			alarm(CHILD_TIMEOUT_S);
			_exit(plain_child(p));
		}
		good = pid > 0 && wait_for(pid);
		free(p);
	}
	stop_allocating = true;
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return good && half_to_half(malloc(LEN), LEN);
}

const struct plain_case process_cases[] = {
	{ "process_new_threads", new_threads },
	{ "process_new_c11_thread", new_c11_thread },
	{ "process_deep_stack", deep_stack },
	{ "process_fork_without_gpu", fork_without_gpu },
	{ "process_fork_with_gpu", fork_with_gpu },
	{ "process_fork_beside_allocations", fork_beside_allocations },
	{ "process_open_again", open_again },
	{ "process_threads_and_signals", threads_and_signals },
	{ 0 },
};
