// SPDX-License-Identifier: MIT
/*
 * What libkfdsvm does on a driver: prefetch that is measured, residency, counters, events,
 * batches, save and restore, and beside libhsakmt, whose queue does the GPU's work. Each
 * case is a process.
 *
 * shim_features private|coherent|none: what VRAM the machine has. TAP on stdout; exit 77
 * where there is no GPU.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <kfdsvm.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"

#define MIB ((size_t)1 << 20)
#define LEN (4 * MIB)
#define TIMEOUT_MS 60000

static bool has_vram, is_private;
static struct kfdsvm *svm;
static struct gpu gpu;
static struct kfdsvm_device_info dev;
static unsigned int nusable;

#define CHECK(x) do { \
	if (!(x)) { \
		printf("# line %d: %s\n", __LINE__, #x); \
		return false; \
	} \
} while (0)

/* Says both values. */
#define CHECK_EQ(a, b) do { \
	long long a_ = (long long)(a), b_ = (long long)(b); \
	if (a_ != b_) { \
		printf("# line %d: %s is %lld, not %s = %lld\n", __LINE__, #a, a_, #b, b_); \
		return false; \
	} \
} while (0)

static bool open_svm(int xnack)
{
	CHECK_EQ(kfdsvm_open(&svm, NULL), 0);
	CHECK_EQ(kfdsvm_xnack_set(svm, xnack), 0);
	nusable = 0;
	for (unsigned int i = kfdsvm_device_count(svm); i-- > 0;) {
		struct kfdsvm_device_info info = { .size = sizeof(info) };

		CHECK_EQ(kfdsvm_device_info(svm, i, &info), 0);
		if (info.usable) {
			nusable++;
			dev = info;
		}
	}
	CHECK(nusable > 0);
	return true;
}

static bool open_both(int xnack)
{
	return open_svm(xnack) && !gpu_open(&gpu, dev.node);
}

/* Pages of its own that are 2 MiB-aligned, each written once. */
static unsigned char *new_memory(size_t len)
{
	unsigned char *p = aligned_alloc(2 * MIB, len);

	if (p)
		memset(p, 0x5a, len);
	return p;
}

static bool prefetch_is_measured(void)
{
	struct kfdsvm_progress p = { .size = sizeof(p) };
	unsigned char *mem;
	uint64_t moved = has_vram ? LEN : 0;

	CHECK(open_svm(1));
	mem = new_memory(LEN);
	CHECK_EQ(kfdsvm_prefetch_measured(svm, mem, LEN, dev.gpu_id, 0, &p, NULL), 0);
	CHECK_EQ(p.covered_len, LEN);
	CHECK_EQ(p.before_len, 0);
	CHECK_EQ(p.after_len, moved);
	CHECK_EQ(p.page_in_len, moved);
	CHECK_EQ(p.page_out_len, 0);
	CHECK_EQ(kfdsvm_prefetch_measured(svm, mem, LEN, KFDSVM_SYSTEM, 0, &p, NULL), 0);
	CHECK_EQ(p.before_len, LEN - moved);
	CHECK_EQ(p.after_len, LEN);
	CHECK_EQ(p.page_in_len, 0);
	CHECK_EQ(p.page_out_len, moved);
	for (size_t i = 0; i < LEN; i += 4096)
		CHECK_EQ(mem[i], 0x5a);
	return true;
}

static bool prefetch_without_waiting(void)
{
	struct kfdsvm_async *async;
	struct kfdsvm_completion list[8];
	struct pollfd pfd = { .events = POLLIN };
	const size_t part = LEN / 4;
	unsigned int n = 0;
	unsigned char *mem;

	CHECK(open_svm(1));
	mem = new_memory(LEN);
	CHECK_EQ(kfdsvm_async_open(&async, svm, NULL), 0);
	pfd.fd = kfdsvm_async_fd(async);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(kfdsvm_async_prefetch(async, mem + i * part, part, dev.gpu_id,
					       KFDSVM_MEASURE, i, NULL), 0);
	while (n < 4) {
		int got;

		CHECK_EQ(poll(&pfd, 1, TIMEOUT_MS), 1);
		got = kfdsvm_async_reap(async, list + n, 8 - n, sizeof(list[0]));
		CHECK(got > 0);
		n += (unsigned int)got;
	}
	for (unsigned int i = 0; i < 4; i++) {
		CHECK_EQ(list[i].cookie, i);
		CHECK_EQ(list[i].result, 0);
		CHECK_EQ(list[i].covered.start, (uintptr_t)mem + i * part);
		CHECK_EQ(list[i].after_len, has_vram ? part : 0);
		CHECK_EQ(list[i].page_in_len, has_vram ? part : 0);
	}
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	/* Memory that is gone is told by the completion. */
	munmap(mem, part);
	CHECK_EQ(kfdsvm_async_prefetch(async, mem, part, dev.gpu_id, 0, 9, NULL), 0);
	CHECK_EQ(poll(&pfd, 1, TIMEOUT_MS), 1);
	CHECK_EQ(kfdsvm_async_reap(async, list, 8, sizeof(list[0])), 1);
	CHECK_EQ(list[0].result, -EFAULT);
	kfdsvm_async_close(async);
	return true;
}

static bool residency_by_page(void)
{
	struct kfdsvm_place places[16];
	struct kfdsvm_residency r = { .size = sizeof(r), .nplaces = 16, .places = places };
	uint64_t moved = has_vram ? LEN / 4 : 0, vram = 0;
	unsigned char *mem;

	CHECK(open_svm(1));
	mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED);
	/* A huge page would make more present than was touched. */
	madvise(mem, LEN, MADV_NOHUGEPAGE);
	memset(mem, 1, LEN / 2);
	CHECK_EQ(kfdsvm_prefetch(svm, mem, LEN / 4, dev.gpu_id, 0, NULL), 0);
	CHECK_EQ(kfdsvm_residency(svm, mem, LEN, &r, 0, NULL), 0);
	CHECK_EQ(r.len, LEN);
	CHECK_EQ(r.vram_len, moved);
	CHECK_EQ(r.system_len, LEN / 2 - moved);
	CHECK_EQ(r.absent_len, LEN / 2);
	CHECK_EQ(r.swapped_len, 0);
	CHECK_EQ(r.nplaces, nusable);
	for (unsigned int i = 0; i < r.nplaces; i++) {
		CHECK_EQ(places[i].len, places[i].gpu_id == dev.gpu_id ? moved : 0);
		vram += places[i].len;
	}
	CHECK_EQ(vram, r.vram_len);
	/* Asking has moved nothing. */
	CHECK_EQ(kfdsvm_residency(svm, mem, LEN, &r, 0, NULL), 0);
	CHECK_EQ(r.vram_len, moved);
	if (is_private) {
		/* A touch by the CPU brings some of it back. */
		*(volatile unsigned char *)mem = 2;
		CHECK_EQ(kfdsvm_residency(svm, mem, 4096, &r, 0, NULL), 0);
		CHECK_EQ(r.system_len, 4096);
	}
	munmap(mem + LEN / 2, 4096);
	CHECK_EQ(kfdsvm_residency(svm, mem, LEN, &r, 0, NULL), -EFAULT);
	return true;
}

static bool counters_count(void)
{
	struct kfdsvm_counters before = { .size = sizeof(before) };
	struct kfdsvm_counters after = { .size = sizeof(after) };
	unsigned char *src, *dst;

	CHECK(open_both(1));
	before.gpu_id = after.gpu_id = dev.gpu_id;
	after.pid = getpid();
	src = new_memory(LEN);
	dst = new_memory(LEN);
	CHECK_EQ(kfdsvm_counters(svm, &before), 0);
	CHECK_EQ(gpu_copy(&gpu, dst, src, LEN), GPU_DONE);
	CHECK_EQ(kfdsvm_counters(svm, &after), 0);
	CHECK(before.faults != KFDSVM_UNKNOWN && after.faults > before.faults);
	CHECK(after.pages_mapped > before.pages_mapped);
	CHECK(after.populates > before.populates);
	CHECK((after.page_in > before.page_in) == has_vram);
	CHECK(has_vram ? after.vram_len > 0 : after.vram_pages == 0);
	after.pid = 0x3fffffff;
	CHECK_EQ(kfdsvm_counters(svm, &after), -ESRCH);
	return true;
}

/* Until @kind comes, about @addr unless that is NULL; others are passed over. */
static bool wait_event(struct kfdsvm_events *ev, uint32_t kind, const void *addr,
		       struct kfdsvm_event *found)
{
	struct pollfd pfd = { .fd = kfdsvm_events_fd(ev), .events = POLLIN };
	uint64_t at = (uintptr_t)addr;
	int n;

	for (;;) {
		n = kfdsvm_events_read(ev, found, 1, sizeof(*found));
		CHECK(n >= 0);
		if (n && found->kind == kind &&
		    (!addr || (found->addr <= at && at < found->addr + (found->len ? found->len :
								       2 * MIB))))
			return true;
		if (!n && poll(&pfd, 1, TIMEOUT_MS) != 1) {
			printf("# no event %u\n", kind);
			return false;
		}
	}
}

static bool events_of_faults(void)
{
	struct kfdsvm_events_options options = {
		.size = sizeof(options),
		.kinds = KFDSVM_EVENT_BIT(KFDSVM_EVENT_FAULT_START) |
			 KFDSVM_EVENT_BIT(KFDSVM_EVENT_FAULT_END),
	};
	struct kfdsvm_events *ev;
	struct kfdsvm_event e;
	unsigned char *src, *dst;

	CHECK(open_both(1));
	src = new_memory(4096);
	dst = new_memory(4096);
	CHECK_EQ(kfdsvm_events_open(&ev, svm, &options), 0);
	CHECK_EQ(gpu_copy(&gpu, dst, src, 4096), GPU_DONE);
	CHECK(wait_event(ev, KFDSVM_EVENT_FAULT_START, src, &e));
	CHECK_EQ(e.pid, getpid());
	CHECK_EQ(e.gpu_id, dev.gpu_id);
	CHECK(!(e.flags & KFDSVM_EVENT_WRITE) && e.time_ns);
	CHECK(wait_event(ev, KFDSVM_EVENT_FAULT_END, src, &e));
	CHECK_EQ(!!(e.flags & KFDSVM_EVENT_MIGRATED), has_vram);
	CHECK(wait_event(ev, KFDSVM_EVENT_FAULT_START, dst, &e));
	CHECK(e.flags & KFDSVM_EVENT_WRITE);
	CHECK_EQ(kfdsvm_events_skipped(ev), 0);
	kfdsvm_events_close(ev);
	return true;
}

static bool events_of_migrations(void)
{
	struct kfdsvm_events_options options = {
		.size = sizeof(options),
		.kinds = KFDSVM_EVENT_BIT(KFDSVM_EVENT_MIGRATE_START) |
			 KFDSVM_EVENT_BIT(KFDSVM_EVENT_MIGRATE_END),
	};
	struct kfdsvm_events *ev;
	struct kfdsvm_event e;
	unsigned char *mem;

	CHECK(open_svm(1));
	mem = new_memory(2 * MIB);
	CHECK_EQ(kfdsvm_events_open(&ev, svm, &options), 0);
	CHECK_EQ(kfdsvm_prefetch(svm, mem, 2 * MIB, dev.gpu_id, 0, NULL), 0);
	if (!has_vram) {
		/* The call is over and would have told. */
		CHECK_EQ(kfdsvm_events_read(ev, &e, 1, sizeof(e)), 0);
		return true;
	}
	CHECK(wait_event(ev, KFDSVM_EVENT_MIGRATE_START, mem, &e));
	CHECK_EQ(e.from, KFDSVM_SYSTEM);
	CHECK_EQ(e.to, dev.gpu_id);
	CHECK_EQ(e.trigger, KFDSVM_MIGRATE_PREFETCH);
	CHECK(wait_event(ev, KFDSVM_EVENT_MIGRATE_END, mem, &e));
	CHECK(!(e.flags & KFDSVM_EVENT_HAS_ERROR) || !e.error);
	if (is_private) {
		*(volatile unsigned char *)mem = 2;
		CHECK(wait_event(ev, KFDSVM_EVENT_MIGRATE_START, mem, &e));
		CHECK_EQ(e.from, dev.gpu_id);
		CHECK_EQ(e.to, KFDSVM_SYSTEM);
		CHECK_EQ(e.trigger, KFDSVM_MIGRATE_CPU_FAULT);
	}
	CHECK_EQ(kfdsvm_events_skipped(ev), 0);
	kfdsvm_events_close(ev);
	return true;
}

/* XNACK off: when the CPU changes shared memory the queues stop, and go on for work. */
static bool events_of_evictions(void)
{
	struct kfdsvm_events *ev;
	struct kfdsvm_event e;
	unsigned char *src, *dst;

	CHECK(open_both(0));
	src = new_memory(2 * MIB);
	dst = new_memory(2 * MIB);
	CHECK_EQ(kfdsvm_share(svm, src, 2 * MIB, NULL, 0, 0, NULL), 0);
	CHECK_EQ(kfdsvm_share(svm, dst, 2 * MIB, NULL, 0, 0, NULL), 0);
	CHECK_EQ(gpu_copy(&gpu, dst, src, 2 * MIB), GPU_DONE);
	CHECK_EQ(kfdsvm_events_open(&ev, svm, NULL), 0);
	CHECK_EQ(madvise(src, 2 * MIB, MADV_DONTNEED), 0);
	CHECK(wait_event(ev, KFDSVM_EVENT_EVICTION, NULL, &e));
	CHECK_EQ(e.trigger, KFDSVM_EVICTION_SVM);
	CHECK_EQ(e.pid, getpid());
	memset(src, 0x77, 2 * MIB);
	CHECK_EQ(gpu_copy(&gpu, dst, src, 2 * MIB), GPU_DONE);
	CHECK(wait_event(ev, KFDSVM_EVENT_RESTORE, NULL, &e));
	CHECK(!memcmp(src, dst, 2 * MIB));
	CHECK_EQ(kfdsvm_events_skipped(ev), 0);
	kfdsvm_events_close(ev);
	return true;
}

static bool a_batch_shares_many(void)
{
	enum { N = 64 };
	struct kfdsvm_request requests[N + 1];
	unsigned char *mem;

	CHECK(open_both(0));
	mem = new_memory(LEN);
	for (unsigned int i = 0; i < N; i++)
		requests[i] = (struct kfdsvm_request){
			.op = KFDSVM_OP_SHARE, .addr = mem + i * (LEN / N), .len = LEN / N,
		};
	/* Page 1 is nobody's. */
	requests[N] = (struct kfdsvm_request){
		.op = KFDSVM_OP_SHARE, .addr = (void *)4096, .len = 4096,
	};
	CHECK_EQ(kfdsvm_batch(svm, requests, N + 1, sizeof(requests[0]), 0), 1);
	CHECK_EQ(requests[N].result, -EFAULT);
	for (unsigned int i = 0; i < N; i++)
		CHECK_EQ(requests[i].result, 0);
	memset(mem + LEN / 2, 0x21, LEN / 2);
	CHECK_EQ(gpu_copy(&gpu, mem, mem + LEN / 2, LEN / 2), GPU_DONE);
	CHECK_EQ(mem[0], 0x21);
	CHECK_EQ(mem[LEN / 2 - 1], 0x21);
	return true;
}

static bool advise(void *p, size_t len, uint32_t preferred, uint32_t flags, uint32_t lg2)
{
	struct kfdsvm_advice advice = {
		.size = sizeof(advice),
		.fields = KFDSVM_ADVISE_PREFERRED | KFDSVM_ADVISE_FLAGS |
			  KFDSVM_ADVISE_GRANULARITY,
		.preferred = preferred,
		.flags_clear = ~flags,
		.flags_set = flags,
		.granularity_lg2 = lg2,
	};

	CHECK_EQ(kfdsvm_advise(svm, p, len, &advice, 0, NULL), 0);
	return true;
}

static bool saved_and_restored(void)
{
	const uint32_t all = KFDSVM_HOST_ACCESS | KFDSVM_COHERENT | KFDSVM_GPU_READ_ONLY |
			     KFDSVM_GPU_EXECUTE | KFDSVM_GPU_READ_MOSTLY |
			     KFDSVM_GPU_ALWAYS_MAPPED | KFDSVM_EXT_COHERENT;
	struct kfdsvm_record before[16], after[16];
	unsigned char *mem;
	int n;

	CHECK(open_svm(0));
	mem = new_memory(LEN);
	const struct kfdsvm_range range = { (uintptr_t)mem, MIB };

	CHECK(advise(mem + 0x3000, 0x2000, dev.gpu_id, all, 5));
	CHECK(advise(mem + 0x9000, 0x1000, KFDSVM_SYSTEM, KFDSVM_GPU_READ_MOSTLY, 12));
	CHECK_EQ(kfdsvm_share(svm, mem + 0x20000, 0x8000, NULL, 0, KFDSVM_IN_PLACE, NULL), 0);
	CHECK_EQ(kfdsvm_share(svm, mem + 0x24000, 0x1000, NULL, 0, 0, NULL), 0);
	n = kfdsvm_snapshot(svm, &range, 1, NULL, before, 16, sizeof(before[0]));
	CHECK_EQ(n, 9);
	CHECK_EQ(before[1].start, (uintptr_t)mem + 0x3000);
	CHECK_EQ(before[1].len, 0x2000);
	CHECK_EQ(before[1].preferred, dev.gpu_id);
	CHECK_EQ(before[1].flags, all);
	CHECK_EQ(before[1].granularity_lg2, 5);
	CHECK_EQ(before[6].start, (uintptr_t)mem + 0x24000);
	CHECK_EQ(before[6].access, (1ull << nusable) - 1);
	CHECK_EQ(before[5].in_place, (1ull << nusable) - 1);
	CHECK(advise(mem, MIB, KFDSVM_SYSTEM, KFDSVM_HIVE_LOCAL, 3));
	CHECK_EQ(kfdsvm_unshare(svm, mem, MIB, NULL, 0, 0, NULL), 0);
	CHECK_EQ(kfdsvm_snapshot(svm, &range, 1, NULL, after, 16, sizeof(after[0])), 1);
	CHECK_EQ(kfdsvm_restore(svm, before, (size_t)n, sizeof(before[0]), 0), 0);
	CHECK_EQ(kfdsvm_snapshot(svm, &range, 1, NULL, after, 16, sizeof(after[0])), n);
	CHECK(!memcmp(before, after, (size_t)n * sizeof(before[0])));
	return true;
}

/* What libhsakmt sets is seen here, and the other way. */
static bool either_sees_the_others(void)
{
	HSA_SVM_ATTRIBUTE attrs[2] = {
		{ .type = HSA_SVM_ATTR_GRANULARITY, .value = 7 },
		{ .type = HSA_SVM_ATTR_PREFERRED_LOC, .value = 0 },
	};
	struct kfdsvm_access access[16];
	struct kfdsvm_attributes known = {
		.size = sizeof(known), .naccess = 16, .access = access,
	};
	unsigned char *mem;

	CHECK(open_both(0));
	mem = new_memory(LEN);
	attrs[1].value = dev.node;
	CHECK_EQ(hsaKmtSVMSetAttr(mem, LEN, 2, attrs), HSAKMT_STATUS_SUCCESS);
	CHECK_EQ(kfdsvm_query(svm, mem, LEN, &known, 0, NULL), 0);
	CHECK_EQ(known.granularity_lg2, 7);
	CHECK_EQ(known.preferred, dev.gpu_id);
	CHECK(advise(mem, LEN, KFDSVM_SYSTEM, KFDSVM_COHERENT, 11));
	CHECK_EQ(kfdsvm_share(svm, mem, LEN, &dev.gpu_id, 1, KFDSVM_IN_PLACE, NULL), 0);
	attrs[1] = (HSA_SVM_ATTRIBUTE){ .type = HSA_SVM_ATTR_ACCESS, .value = dev.node };
	CHECK_EQ(hsaKmtSVMGetAttr(mem, LEN, 2, attrs), HSAKMT_STATUS_SUCCESS);
	CHECK_EQ(attrs[0].value, 11);
	CHECK_EQ(attrs[1].type, HSA_SVM_ATTR_ACCESS_IN_PLACE);
	attrs[1] = (HSA_SVM_ATTRIBUTE){ .type = HSA_SVM_ATTR_NO_ACCESS, .value = dev.node };
	CHECK_EQ(hsaKmtSVMSetAttr(mem, LEN, 1, attrs + 1), HSAKMT_STATUS_SUCCESS);
	known.naccess = 16;
	CHECK_EQ(kfdsvm_query(svm, mem, LEN, &known, 0, NULL), 0);
	for (unsigned int i = 0; i < known.naccess; i++)
		CHECK_EQ(access[i].kind, KFDSVM_ACCESS_NONE);
	return true;
}

static bool child_works(struct kfdsvm_async *async, struct kfdsvm_events *ev)
{
	struct kfdsvm_progress p = { .size = sizeof(p) };
	struct kfdsvm_completion c;
	struct kfdsvm_event e;
	unsigned char *mem = new_memory(2 * MIB);

	CHECK_EQ(kfdsvm_async_prefetch(async, mem, 4096, dev.gpu_id, 0, 0, NULL), -ECHILD);
	CHECK_EQ(kfdsvm_async_reap(async, &c, 1, sizeof(c)), -ECHILD);
	CHECK_EQ(kfdsvm_events_read(ev, &e, 1, sizeof(e)), -ECHILD);
	kfdsvm_events_close(ev);
	kfdsvm_async_close(async);
	kfdsvm_close(svm);
	CHECK(open_svm(1));
	CHECK_EQ(kfdsvm_events_open(&ev, svm, NULL), 0);
	CHECK_EQ(kfdsvm_prefetch_measured(svm, mem, 2 * MIB, dev.gpu_id, 0, &p, NULL), 0);
	CHECK_EQ(p.after_len, has_vram ? 2 * MIB : 0);
	if (has_vram) {
		CHECK(wait_event(ev, KFDSVM_EVENT_MIGRATE_END, mem, &e));
		CHECK_EQ(e.pid, getpid());
	}
	return true;
}

static bool after_fork(void)
{
	struct kfdsvm_async *async;
	struct kfdsvm_events *ev;
	struct kfdsvm_event e;
	int status = -1;
	pid_t pid;

	CHECK(open_svm(1));
	CHECK_EQ(kfdsvm_async_open(&async, svm, NULL), 0);
	CHECK_EQ(kfdsvm_events_open(&ev, svm, NULL), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = !child_works(async, ev);
		fflush(stdout);
		_exit(status);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	/* The child's events are the child's, and the parent's listener still listens. */
	while (kfdsvm_events_read(ev, &e, 1, sizeof(e)) == 1)
		CHECK_EQ(e.pid, getpid());
	if (has_vram) {
		unsigned char *mem = new_memory(2 * MIB);

		CHECK_EQ(kfdsvm_prefetch(svm, mem, 2 * MIB, dev.gpu_id, 0, NULL), 0);
		CHECK(wait_event(ev, KFDSVM_EVENT_MIGRATE_END, mem, &e));
	}
	return true;
}

static const struct {
	const char *name;
	bool (*run)(void);
} cases[] = {
	{ "a prefetch is measured", prefetch_is_measured },
	{ "prefetch without waiting", prefetch_without_waiting },
	{ "residency page by page", residency_by_page },
	{ "counters count", counters_count },
	{ "events of faults", events_of_faults },
	{ "events of migrations", events_of_migrations },
	{ "events of evictions and restores", events_of_evictions },
	{ "a batch shares many ranges", a_batch_shares_many },
	{ "attributes saved and restored", saved_and_restored },
	{ "libhsakmt and libkfdsvm see each other's attributes", either_sees_the_others },
	{ "after fork", after_fork },
};

#define NCASES (sizeof(cases) / sizeof(cases[0]))

static bool run_case(size_t index)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = !cases[index].run();
		fflush(stdout);
		/* What runtimes do at exit is not what is tested. */
		_exit(status);
	}
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (status)
		printf("# case ends with status 0x%x\n", status);
	return status == 0;
}

int main(int argc, char **argv)
{
	unsigned int bad = 0;

	if (access("/dev/kfd", F_OK)) {
		printf("no /dev/kfd\n");
		return 77;
	}
	if (argc != 2)
		return 2;
	is_private = !strcmp(argv[1], "private");
	has_vram = is_private || !strcmp(argv[1], "coherent");
	printf("1..%zu\n", NCASES);
	for (size_t i = 0; i < NCASES; i++) {
		bool good = run_case(i);

		bad += !good;
		printf("%sok %zu - %s\n", good ? "" : "not ", i + 1, cases[i].name);
	}
	return bad ? 1 : 0;
}
