// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings, pointers and doorbells as no one should use them. The process that does
 * it loses its queue; nobody else notices. Only on the virtual GPU: real ones
 * hang and reset.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

static struct chan chan;

/* A second process that must be able to work all the time. */
static int bystander(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	memset(bounce.cpu, 0x42, 4096);
	child_is_ready(&chan);
	for (unsigned int i = 0; i < 5; i++) {
		memset((char *)bounce.cpu + 4096, 0, 4096);
		child_check(gpu_try_copy((char *)bounce.cpu + 4096, bounce.cpu,
					 4096) == 0);
		child_check(!memcmp((char *)bounce.cpu + 4096, bounce.cpu, 4096));
	}
	return 0;
}

static pid_t begin(void)
{
	pid_t pid;

	pid = spawn_ready(&chan, bystander, NULL);
	gpu_open_queue();
	return pid;
}

/*
 * The queue has stopped: it takes nothing more. The time is bounded because
 * nothing may happen; an engine that went on would need microseconds.
 */
static void expect_stopped(struct kt_queue *q)
{
	volatile uint32_t *mark = (uint32_t *)bounce.cpu + 1000;
	uint32_t dw[KT_SDMA_MAX_DW];

	*mark = 1;
	if (!kt_queue_emit(q, dw, kt_sdma_write1(dw, (uintptr_t)mark, 2)))
		kt_queue_ring(q);
	assert_false(kt_wait_for(*mark != 1, 100));
}

static void bad_opcode_stops_the_queue(void **state)
{
	static const uint32_t bad[] = { 0x000000ff, 0x0000ff01, 0x0000ff0d, 0x12345678 };
	struct kt_queue q;
	pid_t pid;

	(void)state;
	pid = begin();
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(bad); i++) {
		expect_ok(kt_queue_create(&gpu, 4096, &q));
		expect_ok(kt_queue_emit(&q, &bad[i], 1));
		kt_queue_ring(&q);
		expect_stopped(&q);
		assert_false(kt_queue_done(&q));
		/* Other queues of the process are alive; this one can be destroyed. */
		gpu_write32(bounce.cpu, i);
		expect_ok(kt_queue_destroy(&q));
	}
	finish_child(&chan, pid);
}

static void garbage_rings(void **state)
{
	uint32_t seed = 12345;
	struct kt_queue q;
	pid_t pid;

	(void)state;
	pid = begin();
	for (unsigned int round = 0; round < 20; round++) {
		uint32_t *ring;

		expect_ok(kt_queue_create(&gpu, 4096, &q));
		ring = q.ring.cpu;
		for (unsigned int i = 0; i < 1024; i++) {
			seed = seed * 1664525 + 1013904223;
			/* Half of the dwords look like packet headers. */
			ring[i] = i & 1 ? seed : seed >> 24 & 0x1f;
		}
		q.put = 4096 - 4;
		kt_queue_ring(&q);
		expect_ok(kt_queue_destroy(&q));
	}
	finish_child(&chan, pid);
}

/* The write pointer ends inside a packet: it is incomplete, not garbage. */
static void packet_cut_by_the_write_pointer(void **state)
{
	volatile uint32_t *p;
	uint32_t dw[KT_SDMA_MAX_DW];
	pid_t pid;

	(void)state;
	pid = begin();
	p = bounce.cpu;
	p[0] = 0;
	kt_sdma_write1(dw, (uintptr_t)p, 7);
	expect_ok(kt_queue_emit(&sdma, dw, 3));
	kt_queue_ring(&sdma);
	/* Nothing may happen: see expect_stopped. */
	assert_false(kt_wait_for(p[0] != 0, 50));
	finish_child(&chan, pid);
}

static void wild_write_pointers(void **state)
{
	static const uint64_t wild[] = {
		~0ULL, 1ULL << 63, 1ULL << 32, 3, 4096 + 4, 0x123456789abcdefULL,
	};
	struct kt_queue q;
	pid_t pid;

	(void)state;
	pid = begin();
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(wild); i++) {
		expect_ok(kt_queue_create(&gpu, 4096, &q));
		q.put = wild[i];
		kt_queue_ring(&q);
		/* And back, as a program that repairs itself. */
		q.put = 0;
		kt_queue_ring(&q);
		expect_ok(kt_queue_destroy(&q));
	}
	gpu_write32(bounce.cpu, 5);
	assert_int_equal(*(volatile uint32_t *)bounce.cpu, 5);
	finish_child(&chan, pid);
}

static int create_at(uint64_t ring, uint32_t len, uint64_t rptr, uint64_t wptr,
		     uint32_t *id)
{
	struct kfd_ioctl_create_queue_args args = {
		.ring_base_address = ring,
		.ring_size = len,
		.read_pointer_address = rptr,
		.write_pointer_address = wptr,
	};
	int ret = kt_queue_ioctl(&gpu, &args);

	*id = args.queue_id;
	return ret;
}

static void create_queue_with_bad_arguments(void **state)
{
	uint64_t ring, rptr, wptr;
	struct kfd_ioctl_create_queue_args args;
	uint32_t id;

	(void)state;
	gpu_open_queue();
	ring = (uintptr_t)sdma.ring.cpu;
	rptr = (uintptr_t)(sdma.rptr + 64);
	wptr = (uintptr_t)(sdma.rptr + 80);
	expect_ret(create_at(ring, 4096 + 4, rptr, wptr, &id), -EINVAL);
	expect_ret(create_at(ring, 5000, rptr, wptr, &id), -EINVAL);
	expect_ret(create_at(0xffff888000000000ULL, 4096, rptr, wptr, &id), -EFAULT);
	expect_ret(create_at(ring, 4096, 0xffff888000000000ULL, wptr, &id), -EFAULT);
	expect_ret(create_at(ring, 4096, rptr, 0xffff888000000000ULL, &id), -EFAULT);
	memset(&args, 0, sizeof(args));
	args.ring_base_address = ring;
	args.ring_size = 4096;
	args.read_pointer_address = rptr;
	args.write_pointer_address = wptr;
	args.gpu_id = gpu.gpu_id ^ 1;
	args.queue_type = KFD_IOC_QUEUE_TYPE_SDMA;
	expect_ret(kt_ioctl(gpu.kfd, AMDKFD_IOC_CREATE_QUEUE, &args), -EINVAL);
	args.gpu_id = gpu.gpu_id;
	args.queue_percentage = 101;
	expect_ret(kt_ioctl(gpu.kfd, AMDKFD_IOC_CREATE_QUEUE, &args), -EINVAL);
	args.queue_percentage = 100;
	args.queue_priority = 16;
	expect_ret(kt_ioctl(gpu.kfd, AMDKFD_IOC_CREATE_QUEUE, &args), -EINVAL);
	args.queue_priority = 7;
	args.queue_type = 77;
	expect_ret(kt_ioctl(gpu.kfd, AMDKFD_IOC_CREATE_QUEUE, &args), -EINVAL);
}

static void queue_ids_that_do_not_exist_are_EINVAL(void **state)
{
	struct kt_queue bad;

	(void)state;
	gpu_open_queue();
	bad = sdma;
	bad.id = sdma.id + 1000;
	expect_ret(kt_queue_destroy(&bad), -EINVAL);
	bad.id = sdma.id + 1000;
	assert_true(kt_queue_update(&bad, 4096, 100) < 0);
	gpu_write32(bounce.cpu, 1);
}

/* The ring goes away below a queue that is told to run. */
static void ring_unmapped_under_the_queue(void **state)
{
	struct kt_queue q;
	uint32_t dw[KT_SDMA_MAX_DW];
	pid_t pid;

	(void)state;
	pid = begin();
	expect_ok(kt_queue_create(&gpu, 4096, &q));
	expect_ok(kt_queue_emit(&q, dw, kt_sdma_nop(dw, 0)));
	/* A kernel may refuse to let go of a ring in use; then it stays. */
	if (!kt_bo_unmap(&gpu, q.ring.handle)) {
		kt_queue_ring(&q);
		assert_int_not_equal(kt_queue_wait(&q, 100), 0);
	}
	assert_int_equal(munmap(q.ring.cpu, q.ring.len), 0);
	*q.doorbell = 64;
	finish_child(&chan, pid);
}

static void pointers_unmapped_under_the_queue(void **state)
{
	struct kt_queue q;
	pid_t pid;

	(void)state;
	pid = begin();
	expect_ok(kt_queue_create(&gpu, 4096, &q));
	memset(q.ring.cpu, 0, 4096);
	kt_bo_unmap(&gpu, q.ptrs.handle);
	assert_int_equal(munmap(q.ptrs.cpu, q.ptrs.len), 0);
	for (unsigned int i = 1; i < 20; i++)
		*q.doorbell = i * 64;
	finish_child(&chan, pid);
}

/* ---- doorbells ---- */

static volatile bool storm_over;

static void *storm(void *arg)
{
	volatile uint64_t *bells = gpu.doorbells;
	uint32_t seed = (uint32_t)(uintptr_t)arg;

	while (!storm_over) {
		seed = seed * 1664525 + 1013904223;
		/* Every slot but the one of the queue that has to work. */
		if (&bells[seed >> 22] != sdma.doorbell)
			bells[seed >> 22] = seed;
	}
	return NULL;
}

static void doorbell_storm_from_threads(void **state)
{
	pthread_t t[3];
	pid_t pid;

	(void)state;
	pid = begin();
	for (uintptr_t i = 0; i < KT_ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, storm, (void *)(i + 1)), 0);
	for (uint32_t i = 0; i < 20; i++) {
		gpu_write32(bounce.cpu, i);
		assert_int_equal(*(volatile uint32_t *)bounce.cpu, i);
	}
	finish_child(&chan, pid);		/* works although the storm goes on */
	storm_over = true;
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	gpu_write32(bounce.cpu, 99);
}

/* A bell without news, many times: costs nothing but the bell. */
static void doorbell_without_work_is_harmless(void **state)
{
	(void)state;
	gpu_open_queue();
	gpu_write32(bounce.cpu, 1);
	for (unsigned int i = 0; i < 1000; i++)
		*sdma.doorbell = sdma.put;
	gpu_write32(bounce.cpu, 2);
	assert_int_equal(*(volatile uint32_t *)bounce.cpu, 2);
}

/* The bell is found although the engine is just going to sleep. */
static void no_doorbell_is_lost(void **state)
{
	(void)state;
	gpu_open_queue();
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t dw[KT_SDMA_MAX_DW];

		expect_ok(kt_queue_emit(&sdma, dw, kt_sdma_fence(dw,
								 (uintptr_t)bounce.cpu, i)));
		kt_queue_ring(&sdma);
		/* No pause, or short ones of growing length, to meet every moment. */
		for (volatile uint32_t spin = 0; spin < (i % 64) * 16; spin++)
			;
		if (i % 8 == 7)
			gpu_wait();
	}
	gpu_wait();
	assert_int_equal(*(volatile uint32_t *)bounce.cpu, 1999);
}

static const struct conf_case cases[] = {
	CASE(create_queue_with_bad_arguments, CONF_ONCE | CONF_VIRTUAL),
	CASE(queue_ids_that_do_not_exist_are_EINVAL, CONF_ONCE),
	CASE(bad_opcode_stops_the_queue, CONF_BOTH | CONF_VIRTUAL),
	CASE(garbage_rings, CONF_BOTH | CONF_VIRTUAL),
	CASE(packet_cut_by_the_write_pointer, CONF_ONCE | CONF_VIRTUAL),
	CASE(wild_write_pointers, CONF_ONCE | CONF_VIRTUAL),
	CASE(ring_unmapped_under_the_queue, CONF_BOTH | CONF_VIRTUAL),
	CASE(pointers_unmapped_under_the_queue, CONF_BOTH | CONF_VIRTUAL),
	CASE(doorbell_storm_from_threads, CONF_ONCE | CONF_VIRTUAL),
	CASE(doorbell_without_work_is_harmless, CONF_ONCE),
	CASE(no_doorbell_is_lost, CONF_ONCE),
};

CONF_GROUP(ring_group, cases);
