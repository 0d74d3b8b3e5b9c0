// SPDX-License-Identifier: MIT
/*
 * All calls, from all threads at once, on one handle, one ring and one listener; built
 * with ThreadSanitizer. What each thread gets is its own, and every completion and every
 * event reaches exactly one of them.
 */
#include "shim_fake.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NTHREADS	6
#define ROUNDS		300
#define NEVENTS		2000
#define VA		0x40000u

static struct fake fake;
static struct kfdsvm *h;
static struct kfdsvm_async *async;
static struct kfdsvm_events *events;
static unsigned int completions[NTHREADS * ROUNDS];
static unsigned int heard[NEVENTS];
static unsigned int nheard;

struct worker {
	pthread_t thread;
	unsigned int index;
	unsigned int bad;
	unsigned int submitted;
};

static int answer(struct fake *f, struct kfd_svm_args *args)
{
	(void)f;
	for (uint32_t i = 0; args->op == KFD_SVM_OP_GET_ATTR && i < args->nattr; i++)
		if (args->attrs[i].type == KFD_SVM_ATTR_GRANULARITY)
			args->attrs[i].value = (uint32_t)(args->start_addr >> 20);
	return 0;
}

static void reap(struct worker *w)
{
	struct kfdsvm_completion list[3];
	int n = kfdsvm_async_reap(async, list, 3, sizeof(list[0]));

	w->bad += n < 0;
	for (int i = 0; i < n; i++)
		__atomic_add_fetch(&completions[list[i].cookie], 1, __ATOMIC_RELAXED);
}

static void hear(struct worker *w)
{
	struct kfdsvm_event list[3];
	int n = kfdsvm_events_read(events, list, 3, sizeof(list[0]));

	w->bad += n < 0;
	for (int i = 0; i < n; i++)
		__atomic_add_fetch(&heard[list[i].time_ns], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&nheard, n > 0 ? (unsigned int)n : 0, __ATOMIC_RELAXED);
}

static void use_range(struct worker *w, unsigned int round)
{
	uintptr_t va = (w->index + 1) * 0x100000u;
	size_t len = (round % 16 + 1) * 4096;
	struct kfdsvm_attributes attributes = { .size = sizeof(attributes) };
	struct kfdsvm_range covered;
	struct kfdsvm_request requests[2] = {
		{ .op = KFDSVM_OP_SHARE, .addr = (void *)va, .len = len },
		{ .op = KFDSVM_OP_UNSHARE, .addr = (void *)va, .len = len },
	};

	w->bad += kfdsvm_batch(h, requests, 2, sizeof(requests[0]), 0) != 0;
	w->bad += requests[1].covered.start != va || requests[1].covered.len != len;
	w->bad += kfdsvm_query(h, (void *)va, len, &attributes, 0, &covered) != 0;
	w->bad += attributes.granularity_lg2 != w->index + 1;
}

static void look(struct worker *w)
{
	struct kfdsvm_residency r = { .size = sizeof(r) };
	struct kfdsvm_counters c = { .size = sizeof(c), .gpu_id = 0x1234 };

	w->bad += kfdsvm_residency(h, (void *)(uintptr_t)VA, 4 * 4096, &r, 0, NULL) != 0;
	w->bad += r.vram_len != 2 * 4096;
	w->bad += kfdsvm_counters(h, &c) != 0 || c.faults != 5;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t cookie = w->index * ROUNDS + w->submitted;

		use_range(w, i);
		look(w);
		if (!kfdsvm_async_prefetch(async, (void *)(uintptr_t)VA, 4096, 0x1234,
					   i % 2 ? KFDSVM_MEASURE : 0, cookie, NULL))
			w->submitted++;
		reap(w);
		hear(w);
	}
	return NULL;
}

/* The driver, which has room for only so much at a time. */
static void *tell(void *arg)
{
	char line[64];

	(void)arg;
	for (unsigned int i = 0; i < NEVENTS; i++) {
		struct pollfd pfd = { .fd = fake.gpus[0].smi, .events = POLLOUT };
		int len = snprintf(line, sizeof(line), "9 %u -2 1234 0\n", i);

		while (poll(&pfd, 1, -1) != 1 || write(pfd.fd, line, (size_t)len) != len)
			;
	}
	return NULL;
}

static unsigned int completed(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < NTHREADS * ROUNDS; i++)
		n += completions[i];
	return n;
}

/* What the threads have left. */
static void drain(struct worker *workers)
{
	struct pollfd pfd[2] = {
		{ .fd = kfdsvm_async_fd(async), .events = POLLIN },
		{ .fd = kfdsvm_events_fd(events), .events = POLLIN },
	};
	unsigned int submitted = 0;

	for (unsigned int i = 0; i < NTHREADS; i++)
		submitted += workers[i].submitted;
	while (completed() < submitted || nheard < NEVENTS) {
		poll(pfd, 2, -1);
		reap(&workers[0]);
		hear(&workers[0]);
	}
}

static void all_threads_at_once(void **state)
{
	struct kfdsvm_async_options options = { .size = sizeof(options), .depth = 16 };
	struct worker workers[NTHREADS];
	pthread_t driver;

	(void)state;
	fake_init(&fake);
	fake.on_svm = answer;
	fake_set_pages(&fake, VA, "svsv");
	fake_set_file(&fake, SYS_PROC "/4711/counters_4660/faults", "5\n");
	h = fake_open(&fake);
	assert_int_equal(kfdsvm_async_open(&async, h, &options), 0);
	assert_int_equal(kfdsvm_events_open(&events, h, NULL), 0);
	assert_int_equal(pthread_create(&driver, NULL, tell, NULL), 0);
	for (unsigned int i = 0; i < NTHREADS; i++) {
		workers[i] = (struct worker){ .index = i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < NTHREADS; i++)
		pthread_join(workers[i].thread, NULL);
	drain(workers);
	pthread_join(driver, NULL);
	for (unsigned int i = 0; i < NTHREADS; i++) {
		assert_int_equal(workers[i].bad, 0);
		for (unsigned int j = 0; j < ROUNDS; j++)
			assert_int_equal(completions[i * ROUNDS + j], j < workers[i].submitted);
	}
	for (unsigned int i = 0; i < NEVENTS; i++)
		assert_int_equal(heard[i], 1);
	assert_int_equal(kfdsvm_events_skipped(events), 0);
	kfdsvm_events_close(events);
	kfdsvm_async_close(async);
	kfdsvm_close(h);
	close(fake.gpus[0].smi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_at_once),
	};

	return cmocka_run_group_tests_name("shim_threads", tests, NULL, NULL);
}
