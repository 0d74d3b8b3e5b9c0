// SPDX-License-Identifier: MIT
/* Memory that is there when the queue is made. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plain.h"

#define SMALL	4096
#define LARGE	(1 << 20)

static uint64_t initialised[SMALL / 8] = { 1 };
static uint64_t zero[LARGE / 8];
static const uint64_t constant[512] = { 3, 1, 4, 1, 5, 9, 2, 6 };

static bool malloc_small(void)
{
	void *p = malloc(SMALL);

	return open_gpu() && half_to_half(p, SMALL);
}

static bool malloc_large(void)
{
	void *p = malloc(LARGE);

	return open_gpu() && half_to_half(p, LARGE);
}

static bool global_initialised(void)
{
	return open_gpu() && half_to_half(initialised, sizeof(initialised));
}

static bool global_zero(void)
{
	return open_gpu() && half_to_half(zero, sizeof(zero));
}

static bool global_constant(void)
{
	return open_gpu() && readable(constant, sizeof(constant));
}

static bool stack(void)
{
	uint64_t array[SMALL / 8];

	return open_gpu() && half_to_half(array, sizeof(array));
}

static bool mmap_anonymous(void)
{
	void *p = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && open_gpu() && half_to_half(p, LARGE);
}

static void *map_file(int prot, int flags)
{
	char path[] = "/tmp/plain.XXXXXX";
	int fd = mkstemp(path);
	void *p;

	if (fd < 0)
		return MAP_FAILED;
	unlink(path);
	if (ftruncate(fd, SMALL) || pwrite(fd, constant, sizeof(constant), 0) < 0)
		return MAP_FAILED;
	p = mmap(NULL, SMALL, prot, flags, fd, 0);
	close(fd);
	return p;
}

static bool mmap_shared_file(void)
{
	void *p = map_file(PROT_READ | PROT_WRITE, MAP_SHARED);

	return p != MAP_FAILED && open_gpu() && half_to_half(p, SMALL);
}

static bool mmap_file_read_only(void)
{
	const void *p = map_file(PROT_READ, MAP_PRIVATE);

	return p != MAP_FAILED && open_gpu() && readable(p, SMALL);
}

struct shared_stack {
	pthread_barrier_t ready;
	pthread_barrier_t done;
	void *memory;
};

static void *keep_stack(void *arg)
{
	struct shared_stack *s = arg;
	uint64_t array[SMALL / 8] = { 0 };

	s->memory = array;
	pthread_barrier_wait(&s->ready);
	pthread_barrier_wait(&s->done);
	return NULL;
}

/* The stack of a thread that was there before, used by another. */
static bool thread_stack(void)
{
	struct shared_stack s;
	pthread_t thread;
	bool good;

	pthread_barrier_init(&s.ready, NULL, 2);
	pthread_barrier_init(&s.done, NULL, 2);
	if (pthread_create(&thread, NULL, keep_stack, &s))
		return fail("pthread_create");
	pthread_barrier_wait(&s.ready);
	good = open_gpu() && half_to_half(s.memory, SMALL);
	pthread_barrier_wait(&s.done);
	pthread_join(thread, NULL);
	return good;
}

const struct plain_case before_cases[] = {
	{ "before_malloc_small", malloc_small },
	{ "before_malloc_large", malloc_large },
	{ "before_global_initialised", global_initialised },
	{ "before_global_zero", global_zero },
	{ "before_global_constant", global_constant },
	{ "before_stack", stack },
	{ "before_mmap_anonymous", mmap_anonymous },
	{ "before_mmap_shared_file", mmap_shared_file },
	{ "before_mmap_file_read_only", mmap_file_read_only },
	{ "before_thread_stack", thread_stack },
	{ 0 },
};
