// SPDX-License-Identifier: MIT
/* What kfdsvm.h promises of all calls: no allocation, any thread, constant texts. */
#include "shim_fake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../userspace/libsvm/src/kfd.h"

static struct fake fake;

/*
 * Counts what anybody allocates, libc included. The sanitizer has malloc already
 * and offers hooks instead.
 */
static unsigned long allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t len)
{
	(void)p;
	(void)len;
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static void count_allocations(void)
{
	assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}
#else
void *__libc_malloc(size_t len);
void *__libc_calloc(size_t n, size_t len);
void *__libc_realloc(void *p, size_t len);

void *malloc(size_t len)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return __libc_malloc(len);
}

void *calloc(size_t n, size_t len)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return __libc_calloc(n, len);
}

void *realloc(void *p, size_t len)
{
	__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
	return __libc_realloc(p, len);
}

static void count_allocations(void)
{
}
#endif

static int setup(void **state)
{
	(void)state;
	fake_init(&fake);
	return 0;
}

/* What is opened with a handle, before anybody counts. */
struct opened {
	struct kfdsvm *h;
	struct kfdsvm_async *async;
	struct kfdsvm_events *events;
};

static void open_everything(struct opened *o)
{
	o->h = fake_open(&fake);
	assert_int_equal(kfdsvm_async_open(&o->async, o->h, NULL), 0);
	assert_int_equal(kfdsvm_events_open(&o->events, o->h, NULL), 0);
}

static void close_everything(struct opened *o)
{
	kfdsvm_events_close(o->events);
	kfdsvm_async_close(o->async);
	kfdsvm_close(o->h);
	close(fake.gpus[0].smi);
}

/* A line that can be understood, one that cannot, and half a line. */
static void call_events(struct kfdsvm_events *events)
{
	const char *line = "7 1 -2 @abc(1234) W";
	struct kfdsvm_event list[4];

	fake_tell(&fake, 0, "7 1 -2 @abc(1234) W\nwhat\n8 2 -2 @a");
	assert_int_equal(kfdsvm_events_read(events, list, 4, sizeof(list[0])), 1);
	fake_tell(&fake, 0, "bc(1234) M\n");
	assert_int_equal(kfdsvm_events_read(events, list, 4, sizeof(list[0])), 1);
	kfdsvm_events_fd(events);
	kfdsvm_events_skipped(events);
	kfdsvm_event_parse(line, strlen(line), list, sizeof(list[0]));
	kfdsvm_event_parse(line, 5, list, sizeof(list[0]));
}

/* The thread's part is counted, too: its completion is waited for. */
static void call_async(struct kfdsvm_async *async)
{
	struct kfdsvm_completion completion;
	struct pollfd pfd = { .fd = kfdsvm_async_fd(async), .events = POLLIN };

	assert_int_equal(kfdsvm_async_prefetch(async, (void *)0x40000, 8192, 0x1234,
					       KFDSVM_MEASURE, 1, NULL), 0);
	while (poll(&pfd, 1, -1) < 0)
		;
	assert_int_equal(kfdsvm_async_reap(async, &completion, 1, sizeof(completion)), 1);
}

static void call_where(struct kfdsvm *h)
{
	struct kfdsvm_place places[2];
	struct kfdsvm_residency residency = {
		.size = sizeof(residency), .nplaces = 2, .places = places,
	};
	struct kfdsvm_progress progress = { .size = sizeof(progress) };
	struct kfdsvm_counters counters = { .size = sizeof(counters), .gpu_id = 0x1234 };
	void *va = (void *)0x40000;

	assert_int_equal(kfdsvm_residency(h, va, 8192, &residency, 0, NULL), 0);
	assert_int_equal(kfdsvm_prefetch_measured(h, va, 8192, 0, 0, &progress, NULL), 0);
	assert_int_equal(kfdsvm_counters(h, &counters), 0);
}

static void call_many(struct kfdsvm *h)
{
	struct kfdsvm_range range = { 0x40000, 8192 };
	struct kfdsvm_request request = {
		.op = KFDSVM_OP_SHARE, .addr = (void *)0x40000, .len = 8192,
	};
	struct kfdsvm_record record = { 0 };

	assert_int_equal(kfdsvm_batch(h, &request, 1, sizeof(request), 0), 0);
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, NULL, &record, 1, sizeof(record)), 1);
	assert_int_equal(kfdsvm_restore(h, &record, 1, sizeof(record), 0), 0);
}

/* Every call there is, but open and close. */
static void call_everything(const struct opened *o)
{
	struct kfdsvm *h = o->h;
	struct kfdsvm_device_info info = { .size = sizeof(info) };
	struct kfdsvm_why why = { .size = sizeof(why) };
	struct kfdsvm_access access[2] = { { 0x1234, KFDSVM_ACCESS_MIGRATE } };
	struct kfdsvm_attributes attributes = {
		.size = sizeof(attributes), .naccess = 2, .access = access,
	};
	struct kfdsvm_advice advice = {
		.size = sizeof(advice), .fields = KFDSVM_ADVISE_ACCESS, .naccess = 1,
		.access = access,
	};
	struct kfdsvm_range covered;
	void *va = (void *)0x12345678;
	uint32_t major, minor;

	kfdsvm_version();
	kfdsvm_strerror(-EFAULT);
	kfdsvm_reason_text(KFDSVM_REASON_ACQUIRE);
	kfdsvm_why(h, &why);
	kfdsvm_device_count(h);
	kfdsvm_device_info(h, 0, &info);
	kfdsvm_device_why(h, 0, &why);
	kfdsvm_kfd_version(h, &major, &minor);
	kfdsvm_share(h, va, 99999, NULL, 0, 0, &covered);
	kfdsvm_prefetch(h, va, 99999, 0x1234, 0, &covered);
	kfdsvm_advise(h, va, 99999, &advice, 0, &covered);
	kfdsvm_query(h, va, 99999, &attributes, 0, &covered);
	kfdsvm_unshare(h, va, 99999, NULL, 0, 0, &covered);
	kfdsvm_xnack_get(h);
	kfdsvm_xnack_set(h, 0);
	kfdsvm_xnack_why(h, &why);
	call_where(h);
	call_many(h);
	call_async(o->async);
	call_events(o->events);
}

static void set_machine(void)
{
	fake_set_pages(&fake, 0x40000, "sv");
	fake_set_file(&fake, SYS_PROC "/4711/counters_4660/page_in", "5\n");
	fake_set_file(&fake, DEBUG_SVM "/4711/counters", "gpu 4660 faults 1 restores 1\n");
}

static void no_call_allocates(void **state)
{
	struct opened o;
	unsigned long before;
	void *volatile p;

	(void)state;
	set_machine();
	open_everything(&o);
	/* A sanitizer allocates when a thread begins, which may be after its creation. */
	call_async(o.async);
	before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
	p = test_malloc(1);
	test_free(p);
	/* The counter counts. */
	assert_true(__atomic_load_n(&allocations, __ATOMIC_RELAXED) > before);
	before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
	call_everything(&o);
	fake.xnack_set_error = -EPERM;
	call_everything(&o);
	assert_int_equal(__atomic_load_n(&allocations, __ATOMIC_RELAXED), before);
	close_everything(&o);
}

static void no_call_touches_errno(void **state)
{
	struct opened o;

	(void)state;
	errno = 1234;
	/* Of the real machine, whatever it has. */
	if (!kfdsvm_open(&o.h, NULL))
		kfdsvm_close(o.h);
	assert_int_equal(errno, 1234);
	set_machine();
	open_everything(&o);
	assert_int_equal(errno, 1234);
	call_everything(&o);
	assert_int_equal(errno, 1234);
	close_everything(&o);
	assert_int_equal(errno, 1234);
}

#define NTHREADS 8
#define ROUNDS	 500

struct worker {
	pthread_t thread;
	struct kfdsvm *h;
	unsigned int index;
	unsigned int bad;
};

/* Each thread has its own range and must get its own answers. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uintptr_t va = 0x100000 + w->index * 0x100000;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct kfdsvm_attributes attributes = { .size = sizeof(attributes) };
		size_t len = (i % 16 + 1) * 4096;
		struct kfdsvm_range covered;

		w->bad += kfdsvm_share(w->h, (void *)va, len, NULL, 0, 0, &covered) != 0;
		w->bad += covered.start != va || covered.len != len;
		w->bad += kfdsvm_query(w->h, (void *)va, len, &attributes, 0, &covered) != 0;
		w->bad += attributes.granularity_lg2 != 9;
	}
	return NULL;
}

static void all_threads_at_once(void **state)
{
	struct kfdsvm *h = fake_open(&fake);
	struct worker workers[NTHREADS];

	(void)state;
	fake.get_values[KFD_SVM_ATTR_GRANULARITY] = 9;
	/* Past the first call, the fake records nothing. */
	assert_int_equal(kfdsvm_share(h, (void *)0x1000, 1, NULL, 0, 0, NULL), 0);
	for (unsigned int i = 0; i < NTHREADS; i++) {
		workers[i] = (struct worker){ .h = h, .index = i };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < NTHREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].bad, 0);
	}
	assert_int_equal(fake.nsvm, 1 + NTHREADS * ROUNDS * 2);
	kfdsvm_close(h);
}

static void every_reason_has_a_text(void **state)
{
	static const enum kfdsvm_reason reasons[] = {
		KFDSVM_REASON_NONE, KFDSVM_REASON_NO_KFD, KFDSVM_REASON_KFD_HIDDEN,
		KFDSVM_REASON_KFD_PERMISSION, KFDSVM_REASON_KFD_ERROR,
		KFDSVM_REASON_KFD_VERSION, KFDSVM_REASON_KERNEL_NO_SVM,
		KFDSVM_REASON_NO_TOPOLOGY, KFDSVM_REASON_NO_GPU, KFDSVM_REASON_NO_USABLE_GPU,
		KFDSVM_REASON_GPU_NO_SVM, KFDSVM_REASON_GPU_HIDDEN, KFDSVM_REASON_RENDER_MISSING,
		KFDSVM_REASON_RENDER_PERMISSION, KFDSVM_REASON_RENDER_ERROR,
		KFDSVM_REASON_ACQUIRE, KFDSVM_REASON_XNACK_HARDWARE, KFDSVM_REASON_XNACK_DRIVER,
		KFDSVM_REASON_XNACK_BUSY, KFDSVM_REASON_XNACK_ERROR,
	};
	const char *unknown = kfdsvm_reason_text((enum kfdsvm_reason)9999);

	(void)state;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		assert_string_not_equal(kfdsvm_reason_text(reasons[i]), unknown);
	assert_string_equal(kfdsvm_strerror(0), "success");
	assert_ptr_equal(kfdsvm_strerror(EFAULT), kfdsvm_strerror(-EFAULT));
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_call_allocates),
		T(no_call_touches_errno),
		T(all_threads_at_once),
		T(every_reason_has_a_text),
	};

	count_allocations();
	return cmocka_run_group_tests_name("shim_promises", tests, NULL, NULL);
}
