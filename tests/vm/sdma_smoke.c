// SPDX-License-Identifier: MIT
/*
 * The SDMA engine end to end, in a minute or less: malloc memory that nobody
 * registered, packets, interrupts, faults that stand, doorbells that sleep.
 * Needs XNACK on. One line per check, exit code 0 or 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kt.h"
#include "kt_sdma.h"

#define MANY	65

static struct kt_dev dev;
static struct kt_queue queue;
static int failures;

static void check(const char *what, int ok)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	fflush(stdout);
	failures += !ok;
}

static uint64_t gpu(const void *p)
{
	return (uintptr_t)p;
}

static int run(struct kt_queue *q, const uint32_t *dw, unsigned int n)
{
	int ret = kt_queue_emit(q, dw, n);

	if (ret)
		return ret;
	kt_queue_ring(q);
	return kt_queue_wait(q, KT_WAIT_MS);
}

static void fill_random(unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)(rand() >> 7);
}

/* Unaligned, over many pages, destination never touched by the CPU. */
static void copy_malloc(size_t len, unsigned int src_off, unsigned int dst_off)
{
	unsigned char *src = malloc(len + 64), *dst = malloc(len + 64);
	uint32_t p[KT_SDMA_MAX_DW];
	char what[80];
	int ret;

	fill_random(src, len + 64);
	ret = run(&queue, p, kt_sdma_copy(p, gpu(dst + dst_off),
					  gpu(src + src_off), (uint32_t)len));
	snprintf(what, sizeof(what), "copy %zu bytes of malloc memory, offsets %u %u",
		 len, src_off, dst_off);
	check(what, !ret && !memcmp(dst + dst_off, src + src_off, len));
	free(src);
	free(dst);
}

static void broadcast_and_fill(void)
{
	unsigned char *a = malloc(70000), *b = malloc(70000), *c = malloc(70000);
	uint32_t p[KT_SDMA_MAX_DW];
	int ok = 1;

	fill_random(a, 70000);
	check("broadcast", !run(&queue, p, kt_sdma_copy_broadcast(p, gpu(b), gpu(c),
				gpu(a), 70000)) &&
	      !memcmp(a, b, 70000) && !memcmp(a, c, 70000));
	/* Dwords at an odd address: the pattern begins there. */
	ok = !run(&queue, p, kt_sdma_fill(p, gpu(b + 1), 0x44332211, 65536));
	for (size_t i = 0; i < 65536; i++)
		ok &= b[1 + i] == 0x11 * (1 + i % 4);
	check("fill, unaligned", ok && b[0] == a[0] && b[65537] == a[65537]);
	p[0] = 11;
	kt_sdma_addr(p + 1, gpu(c + 3));
	p[3] = 0xaabbcc77;
	p[4] = 5000 - 1;
	ok = !run(&queue, p, 5);
	for (size_t i = 0; i < 5000; i++)
		ok &= c[3 + i] == 0x77;
	check("fill, bytes", ok && c[2] == a[2] && c[5003] == a[5003]);
	free(a);
	free(b);
	free(c);
}

static void write_wraps(void)
{
	uint32_t p[4 + 400], data[400], *dst = malloc(sizeof(data));
	int ok = 1;

	for (int i = 0; i < 100 && ok; i++) {
		for (int k = 0; k < 400; k++)
			data[k] = (uint32_t)(i * 1000 + k);
		ok = !run(&queue, p, kt_sdma_write(p, gpu(dst), data, 400)) &&
		     !memcmp(dst, data, sizeof(data));
	}
	check("write, round the ring", ok);
	free(dst);
}

static void atomics_and_time(void)
{
	uint64_t *w = calloc(16, sizeof(*w));
	uint32_t p[KT_SDMA_MAX_DW];

	w[0] = 41;
	check("atomic add64", !run(&queue, p, kt_sdma_atomic(p, KT_ATOMIC_ADD64,
				gpu(w), 1, 0)) && w[0] == 42);
	check("atomic add64 of -1", !run(&queue, p,
			kt_sdma_atomic(p, KT_ATOMIC_ADD64, gpu(w), ~0ULL, 0)) &&
	      w[0] == 41);
	check("atomic cmpswap32", !run(&queue, p, kt_sdma_atomic(p, 8, gpu(w), 7, 41)) &&
	      w[0] == 7);
	check("timestamps advance",
	      !run(&queue, p, kt_sdma_timestamp(p, gpu(&w[4]))) &&
	      !run(&queue, p, kt_sdma_timestamp(p, gpu(&w[8]))) &&
	      w[4] && w[8] > w[4]);
	free(w);
}

static void poll_and_others(void)
{
	uint32_t *word = calloc(1, 4096), p[64];
	struct kt_queue other;
	unsigned int n;

	check("second queue", !kt_queue_create(&dev, 4096, &other));
	n = kt_sdma_poll(p, gpu(word), KT_POLL_EQ, 5, 0xff);
	n += kt_sdma_write1(p + n, gpu(word + 1), 0x1234);
	kt_queue_emit(&other, p, n);
	kt_queue_ring(&other);
	usleep(100000);
	check("poll waits", !kt_queue_done(&other) && !word[1]);
	copy_malloc(1 << 20, 1, 2);
	check("poll still waits", !kt_queue_done(&other));
	__atomic_store_n(word, 0xab05, __ATOMIC_RELEASE);
	check("poll passes", !kt_queue_wait(&other, KT_WAIT_MS) && word[1] == 0x1234);

	n = kt_sdma_poll(p, gpu(word), KT_POLL_EQ, 9, ~0U);
	kt_queue_emit(&other, p, n);
	kt_queue_ring(&other);
	check("poll passes by another queue's write",
	      !run(&queue, p, kt_sdma_write1(p, gpu(word), 9)) &&
	      !kt_queue_wait(&other, KT_WAIT_MS));
	n = kt_sdma_poll(p, gpu(word), KT_POLL_EQ, 77, ~0U);
	kt_queue_emit(&other, p, n);
	kt_queue_ring(&other);
	usleep(20000);
	check("destroy ends an endless poll", !kt_queue_destroy(&other));
	free(word);
}

static void fence_trap_event(void)
{
	uint64_t *slots = dev.events.cpu;
	uint32_t p[KT_SDMA_MAX_DW];
	unsigned int n;
	uint32_t id;

	check("event", !kt_event_create(&dev, KT_EVENT_SIGNAL, true, &id));
	slots = dev.events.cpu;
	n = kt_sdma_fence(p, gpu(&slots[id]), id);
	n += kt_sdma_trap(p + n, id);
	kt_queue_emit(&queue, p, n);
	kt_queue_ring(&queue);
	check("fence and trap signal it",
	      !kt_event_wait(&dev, id, KT_WAIT_MS, NULL));
	check("once", kt_event_wait(&dev, id, 50, NULL) == -ETIME);
}

static void many_queues(void)
{
	static struct kt_queue q[MANY];
	uint64_t *sum = calloc(1, 4096), *sleep_word = calloc(1, 4096);
	uint32_t p[KT_SDMA_MAX_DW];
	int i, ok = 1;

	for (i = 0; i < MANY; i++)
		ok &= !kt_queue_create(&dev, 4096, &q[i]);
	check("65 queues", ok);
	kt_queue_emit(&q[0], p, kt_sdma_poll(p, gpu(sleep_word), KT_POLL_EQ, 1, ~0U));
	kt_queue_ring(&q[0]);
	for (int round = 0; round < 20; round++) {
		for (i = 1; i < MANY; i++) {
			kt_queue_emit(&q[i], p, kt_sdma_atomic(p, KT_ATOMIC_ADD64,
							       gpu(sum), 1, 0));
			kt_queue_ring(&q[i]);
		}
	}
	for (i = 1; i < MANY; i++)
		ok &= !kt_queue_wait(&q[i], KT_WAIT_MS);
	check("all of them run beside an endless poll",
	      ok && *sum == 20 * (MANY - 1));
	for (i = 0; i < MANY; i++)
		ok &= !kt_queue_destroy(&q[i]);
	check("and go", ok);
	free(sum);
	free(sleep_word);
}

static void update_off_and_on(void)
{
	uint32_t *word = calloc(1, 4096), p[KT_SDMA_MAX_DW];

	check("update to 0 %", !kt_queue_update(&queue, queue.ring.len, 0));
	kt_queue_emit(&queue, p, kt_sdma_write1(p, gpu(word), 3));
	kt_queue_ring(&queue);
	usleep(50000);
	check("nothing runs", !kt_queue_done(&queue) && !*word);
	check("update to 100 %", !kt_queue_update(&queue, queue.ring.len, 100));
	check("it runs now", !kt_queue_wait(&queue, KT_WAIT_MS) && *word == 3);
	free(word);
}

static void exception(int prot, const char *what)
{
	char *p = mmap(NULL, 8192, prot ? prot : PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kfd_event_data data = { 0 };
	uint32_t pkt[KT_SDMA_MAX_DW];
	struct kt_queue q;
	uint32_t id;
	char text[80];

	if (kt_event_create(&dev, KT_EVENT_MEMORY, true, &id) ||
	    kt_queue_create(&dev, 4096, &q)) {
		check("queue and event", 0);
		return;
	}
	/* Last, so that nothing of the above takes the address. */
	if (!prot)
		munmap(p, 8192);
	kt_queue_emit(&q, pkt, kt_sdma_write1(pkt, gpu(p + 4096 + 8), 1));
	kt_queue_ring(&q);
	snprintf(text, sizeof(text), "%s: memory exception", what);
	check(text, !kt_event_wait(&dev, id, KT_WAIT_MS, &data));
	snprintf(text, sizeof(text), "%s: its address and reason", what);
	check(text, data.memory_exception_data.va == gpu(p + 4096) &&
	      data.memory_exception_data.failure.NotPresent == !prot &&
	      data.memory_exception_data.failure.ReadOnly == !!prot);
	check("the queue has stopped", !kt_queue_done(&q));
	kt_queue_destroy(&q);
	kt_event_destroy(&dev, id);
	kt_queue_destroy(&queue);
	check("a new queue works", !kt_queue_create(&dev, 65536, &queue));
	copy_malloc(4096, 0, 0);
}

static void garbage(void)
{
	static const uint32_t bad[] = { 0xff, 0x0101, 11 | 3U << 30, 8, 3 };
	struct kt_queue q;
	int ok = 1;

	for (unsigned int i = 0; i < KT_ARRAY_SIZE(bad); i++) {
		uint32_t p[8] = { bad[i] };

		if (kt_queue_create(&dev, 4096, &q))
			ok = 0;
		kt_queue_emit(&q, p, 8);
		kt_queue_ring(&q);
		usleep(5000);
		ok &= !kt_queue_done(&q);
		kt_queue_destroy(&q);
	}
	if (kt_queue_create(&dev, 4096, &q))
		ok = 0;
	*q.wptr = 0x123456789abcdefULL;
	*q.doorbell = 0x123456789abcdefULL;
	usleep(5000);
	kt_queue_destroy(&q);
	check("garbage stops only its queue", ok);
	copy_malloc(4096, 5, 9);
}

/* A queue rings the doorbell of another, through a DOORBELL memory object. */
static void gpu_rings_doorbell(void)
{
	uint32_t *word = calloc(1, 4096), p[64];
	uint64_t handle, offset, put;
	struct kt_queue other;
	unsigned int n;

	check("doorbell object", !kt_bo_ioctl(&dev, gpu(dev.doorbells), KT_SLICE,
			KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL |
			KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE, &offset, &handle) &&
	      !kt_bo_map(&dev, handle) && !kt_queue_create(&dev, 4096, &other));
	kt_queue_emit(&other, p, kt_sdma_write1(p, gpu(word), 7));
	put = other.put;
	n = kt_sdma_write(p, gpu((void *)other.doorbell), (uint32_t *)&put, 2);
	check("rung by the GPU", !run(&queue, p, n) &&
	      !kt_queue_wait(&other, KT_WAIT_MS) && *word == 7);
	kt_queue_destroy(&other);
	check("object goes", !kt_bo_unmap(&dev, handle) &&
	      !kt_bo_free_handle(&dev, handle));
	free(word);
}

/* Memory that is not in the kernel's direct map must not crash it. */
static void secret_memory(void)
{
#ifdef SYS_memfd_secret
	int fd = (int)syscall(SYS_memfd_secret, 0);
	uint32_t pkt[KT_SDMA_MAX_DW];
	struct kt_queue q;
	char *p;

	if (fd < 0 || ftruncate(fd, 4096)) {
		printf("ok   # skip no memfd_secret\n");
		return;
	}
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || kt_queue_create(&dev, 4096, &q)) {
		check("secret memory", 0);
		return;
	}
	p[0] = 5;
	kt_queue_emit(&q, pkt, kt_sdma_write1(pkt, gpu(p), 1));
	kt_queue_ring(&q);
	usleep(50000);
	check("secret memory stops the queue", !kt_queue_done(&q) && p[0] == 5);
	kt_queue_destroy(&q);
	munmap(p, 4096);
	close(fd);
#endif
}

int main(void)
{
	int32_t mode = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	check("open", !kt_open(&dev, -1));
	if (failures)
		return 1;
	check("xnack on", !kt_xnack(dev.kfd, &mode));
	check("queue", !kt_queue_create(&dev, 65536, &queue));
	if (failures)
		return 1;
	copy_malloc(64, 0, 0);
	copy_malloc(4096, 3, 1);
	copy_malloc(4 << 20, 0, 0);
	copy_malloc(1000003, 17, 50);
	broadcast_and_fill();
	write_wraps();
	atomics_and_time();
	poll_and_others();
	fence_trap_event();
	update_off_and_on();
	many_queues();
	garbage();
	gpu_rings_doorbell();
	secret_memory();
	exception(0, "unmapped");
	exception(PROT_READ, "read-only");
	printf("sdma_smoke: %d failed\n", failures);
	return !!failures;
}
