// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seeded fuzzer of ioctls, memory operations and SDMA rings, for the debug
 * kernel: whatever it does, this process must be able to exit, another process
 * must be able to work, and the kernel log must stay clean.
 *
 *   ioctl_fuzz [--seed N] [--seconds N] [--count N] [--verbose]
 *
 * The parent prints the seed and is the other process: it copies through its own
 * queue while children fuzz, one after another, each from a seed of its own that
 * is printed on failure. Exit code 0, 1 (something went wrong), 77 (no GPU).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kt.h"
#include "kt_sdma.h"

#define ARENA_LEN (4UL << 20)
#define QUEUES 4
#define OPS_PER_CHILD 400

static uint64_t rng_state;
static bool verbose;

static uint32_t rnd(void)
{
	/* splitmix64: good enough, and the same everywhere. */
	uint64_t z = (rng_state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)(z ^ z >> 31);
}

static uint32_t below(uint32_t n)
{
	return rnd() % n;
}

static uint64_t rnd64(void)
{
	return (uint64_t)rnd() << 32 | rnd();
}

/* ---- the child: one process that misbehaves ---- */

static struct kt_dev dev;
static struct kt_queue queues[QUEUES];
static char *arena;
static uint64_t handles[64];
static unsigned int nhandles;

/* Addresses that mean something, nearly mean something, or nothing. */
static uint64_t some_address(void)
{
	uint64_t page = (uintptr_t)arena + below(ARENA_LEN / KT_PAGE) * KT_PAGE;

	switch (below(12)) {
	case 0: return rnd64();
	case 1: return rnd64() & ~(KT_PAGE - 1);
	case 2: return 0;
	case 3: return 0xffff888000000000ULL + (rnd() & ~0xfffU);
	case 4: return page + below(KT_PAGE);
	case 5: return (uintptr_t)dev.doorbells;
	case 6: return queues[below(QUEUES)].ring.len ?
		(uintptr_t)queues[below(QUEUES)].ring.cpu : page;
	case 7: return (uintptr_t)dev.events.cpu + below(8) * 8;
	default: return page;
	}
}

static uint64_t some_length(void)
{
	switch (below(8)) {
	case 0: return 0;
	case 1: return rnd64();
	case 2: return below(3 * KT_PAGE);
	case 3: return -(uint64_t)KT_PAGE;
	case 4: return KT_HUGE;
	default: return (1 + below(64)) * KT_PAGE;
	}
}

static uint32_t some_value(void)
{
	static const uint32_t known[] = { 0, 1, 2, 3, 9, 0x3f, 0xff, 0x7fffffff,
					  0x80000000, 0xffffffff };

	switch (below(4)) {
	case 0: return dev.gpu_id;
	case 1: return rnd();
	default: return known[below(KT_ARRAY_SIZE(known))];
	}
}

static void fuzz_raw_ioctl(void)
{
	static unsigned char buf[16384];
	unsigned int nr = below(0x30);
	size_t len = below(4) ? below(160) : below(16384);

	/* Not SMI descriptors for ever, and no waiting for events that never come. */
	if (nr == 0x1f || nr == 0x0c)
		return;
	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t v = below(3) ? some_address() : some_value();

		if (below(4) == 0)
			v = (uint64_t)some_value() << 32 | some_value();
		if (nhandles && below(6) == 0)
			v = handles[below(nhandles)];
		memcpy(buf + i, &v, sizeof(v));
	}
	kt_ioctl(dev.kfd, _IOC(_IOC_READ | _IOC_WRITE, 'K', nr, 0) |
		 (unsigned long)len << _IOC_SIZESHIFT, buf);
}

static void fuzz_svm(void)
{
	struct kfd_svm_attribute attrs[16];
	unsigned int n = below(KT_ARRAY_SIZE(attrs) + 1);
	uint64_t start = some_address();

	for (unsigned int i = 0; i < n; i++) {
		attrs[i].type = below(20) ? below(8) : rnd();
		attrs[i].value = below(3) ? dev.gpu_id : some_value();
	}
	kt_svm(dev.kfd, below(30) ? below(2) : rnd(), start, some_length(), n, attrs);
}

static void fuzz_svm_raw(void)
{
	static union {
		struct kfd_svm_args args;
		unsigned char bytes[16384];
	} u;

	u.args.start_addr = some_address();
	u.args.size = some_length();
	u.args.op = below(3);
	u.args.nattr = below(2) ? below(3000) : rnd();
	for (unsigned int i = 0; i < 64; i++) {
		u.args.attrs[i].type = below(9);
		u.args.attrs[i].value = some_value();
	}
	kt_svm_raw(dev.kfd, below(16384), &u.args);
}

static void fuzz_bo(void)
{
	uint64_t offset = some_address(), handle;
	uint64_t va = below(2) ? some_address() : 0x400000000000ULL +
		      below(1024) * KT_PAGE;

	if (nhandles == KT_ARRAY_SIZE(handles) || (nhandles && below(2))) {
		unsigned int i = below(nhandles);

		switch (below(3)) {
		case 0: kt_bo_map(&dev, handles[i]); break;
		case 1: kt_bo_unmap(&dev, handles[i]); break;
		default:
			if (!kt_bo_free_handle(&dev, handles[i]))
				handles[i] = handles[--nhandles];
		}
		return;
	}
	/* Lengths stay small: exhausting memory is a case of its own. */
	if (!kt_bo_ioctl(&dev, va, below(8) ? (1 + below(64)) * KT_PAGE : below(9000),
			 1U << below(6) | rnd() << 20, &offset, &handle))
		handles[nhandles++] = handle;
}

static void fuzz_mm(void)
{
	char *p = arena + below(ARENA_LEN / KT_PAGE) * KT_PAGE;
	size_t room = (size_t)(arena + ARENA_LEN - p);
	size_t len = (1 + below(32)) * KT_PAGE;
	pid_t pid;

	if (len > room)
		len = room;
	switch (below(9)) {
	case 0: munmap(p, len); break;
	case 1: mprotect(p, len, PROT_READ); break;
	case 2: mprotect(p, len, PROT_NONE); break;
	case 3: mprotect(p, len, PROT_READ | PROT_WRITE); break;
	case 4: madvise(p, len, MADV_DONTNEED); break;
	case 5: madvise(p, len, MADV_FREE); break;
	case 6: madvise(p, len, MADV_PAGEOUT); break;
	case 7:
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		break;
	default:
		mmap(p, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

/*
 * Mostly good: a memory exception ends all queues of the process, and what is
 * wanted is rings that run while memory changes below them.
 */
static uint64_t ring_address(void)
{
	if (below(40) == 0)
		return some_address();
	if (below(4) == 0)
		return (uintptr_t)dev.events.cpu + below(4096) * 8;
	return (uintptr_t)arena + below(ARENA_LEN - (1 << 18)) / 8 * 8;
}

static unsigned int some_packet(uint32_t *dw)
{
	unsigned int n;

	switch (below(10)) {
	case 0: n = kt_sdma_nop(dw, below(4)); break;
	case 1: n = kt_sdma_write1(dw, ring_address(), rnd()); break;
	case 2: n = kt_sdma_fill(dw, ring_address(), rnd(), 4 * (1 + below(4096))); break;
	case 3: n = kt_sdma_fence(dw, ring_address() & ~3ULL, rnd()); break;
	case 4: n = kt_sdma_trap(dw, rnd()); break;
	case 5:
		/* Mostly one that holds: the others wait for ever. */
		n = kt_sdma_poll(dw, ring_address(), below(8) ? KT_POLL_ALWAYS : below(8),
				 some_value(), rnd());
		break;
	case 6: n = kt_sdma_atomic(dw, below(128), ring_address(), rnd64(), rnd64()); break;
	case 7: n = kt_sdma_timestamp(dw, ring_address()); break;
	default: n = kt_sdma_copy(dw, ring_address(), ring_address(), 1 + below(1 << 17));
	}
	/* One bit wrong makes a bad packet of a good one. */
	if (below(12) == 0)
		dw[below(n)] ^= 1U << below(32);
	return n;
}

static void fuzz_ring(void)
{
	struct kt_queue *q = &queues[below(QUEUES)];
	uint32_t dw[KT_SDMA_MAX_DW];

	if (!q->dev) {
		kt_queue_create(&dev, 4096, q);
		return;
	}
	switch (below(20)) {
	case 0:
		if (!kt_queue_destroy(q))
			memset(q, 0, sizeof(*q));
		return;
	case 1:
		kt_queue_update(q, below(2) ? q->ring.len : 0, below(102));
		return;
	case 2:
		*q->wptr = rnd64();
		*q->doorbell = rnd64();
		return;
	case 3:
		for (unsigned int i = 0; i < 64; i++)
			((uint32_t *)q->ring.cpu)[below(1024)] = rnd();
		return;
	}
	for (unsigned int i = below(6); i; i--) {
		unsigned int n = some_packet(dw);

		/* A queue that has stopped is full for ever: do not wait for room. */
		if (q->put + n * 4 - *q->rptr > q->ring.len - 64) {
			if (below(4) == 0 && !kt_queue_destroy(q)) {
				memset(q, 0, sizeof(*q));
				return;
			}
			break;
		}
		kt_queue_emit(q, dw, n);
	}
	kt_queue_ring(q);
}

static void fuzz_event(void)
{
	uint32_t id;

	switch (below(5)) {
	case 0: kt_event_create(&dev, below(10), below(2), &id); break;
	case 1: kt_event_destroy(&dev, below(32)); break;
	case 2: kt_event_set(&dev, below(32)); break;
	case 3: kt_event_reset(&dev, below(32)); break;
	default: kt_event_wait(&dev, below(32), below(2), NULL);
	}
}

static void fuzz_once(void)
{
	switch (below(16)) {
	case 0: fuzz_raw_ioctl(); break;
	case 1: fuzz_svm_raw(); break;
	case 2: case 3: case 4: fuzz_svm(); break;
	case 5: case 6: fuzz_bo(); break;
	case 7: case 8: case 9: fuzz_mm(); break;
	case 10: fuzz_event(); break;
	default: fuzz_ring();
	}
}

static void on_fault(int sig)
{
	(void)sig;
	/* The fuzzer took its own memory away; the kernel is what is tested. */
	_exit(0);
}

static int child(uint64_t seed)
{
	int32_t mode;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	rng_state = seed;
	if (kt_open(&dev, -1))
		return 3;
	mode = (int32_t)below(2);
	kt_xnack(dev.kfd, &mode);
	arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		return 3;
	memset(arena, 1, ARENA_LEN / 4);
	for (unsigned int i = 0; i < OPS_PER_CHILD; i++)
		fuzz_once();
	return 0;
}

/* ---- the parent: the process that must not notice ---- */

static struct kt_dev own;
static struct kt_queue own_queue;
static struct kt_bo own_mem;

static int own_start(void)
{
	int ret = kt_open(&own, -1);

	ret = ret ?: kt_queue_create(&own, 4096, &own_queue);
	return ret ?: kt_bo_gtt(&own, 2 * KT_PAGE, &own_mem);
}

static int own_work(uint32_t round)
{
	uint32_t dw[KT_SDMA_MAX_DW], *src = own_mem.cpu, *dst = src + KT_PAGE / 4;
	int ret;

	for (unsigned int i = 0; i < KT_PAGE / 4; i++)
		src[i] = round * 31 + i;
	memset(dst, 0, KT_PAGE);
	ret = kt_queue_emit(&own_queue, dw, kt_sdma_copy(dw, (uintptr_t)dst,
							 (uintptr_t)src, KT_PAGE));
	kt_queue_ring(&own_queue);
	ret = ret ?: kt_queue_wait(&own_queue, 3 * KT_WAIT_MS);
	if (ret)
		return ret;
	return memcmp(src, dst, KT_PAGE) ? -EBADMSG : 0;
}

static bool exited(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

/* One child with one seed. 0, or what went wrong. */
static const char *one_child(uint64_t seed, uint32_t round)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(child(seed));
	if (pid < 0)
		return "fork failed";
	if (own_work(round)) {
		kill(pid, SIGKILL);
		return "the other process cannot work";
	}
	if (!kt_wait_for(exited(pid, &status), 3 * KT_WAIT_MS)) {
		/* Slow is no failure as long as it can be ended. */
		kill(pid, SIGKILL);
		if (!kt_wait_for(exited(pid, &status), 3 * KT_WAIT_MS))
			return "the fuzzing process cannot be killed";
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		return "the GPU cannot be opened any more";
	if (own_work(round + 1))
		return "the other process cannot work afterwards";
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "count", required_argument, NULL, 'c' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32, end;
	unsigned int seconds = 60, count = 100000, n;
	const char *wrong;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 't': seconds = (unsigned int)atoi(optarg); break;
		case 'c': count = (unsigned int)atoi(optarg); break;
		case 'v': verbose = true; break;
		default: return 2;
		}
	}
	printf("TAP version 13\n1..1\n# seed %#llx, at most %u s and %u processes\n",
	       (unsigned long long)seed, seconds, count);
	ret = own_start();
	if (ret == -ENODEV || ret == -ENOENT) {
		puts("ok 1 - ioctl_fuzz # SKIP no GPU");
		return 77;
	}
	if (ret) {
		printf("not ok 1 - ioctl_fuzz\n# cannot open the GPU: %d\n", ret);
		return 1;
	}
	end = kt_now_ms() + seconds * 1000ULL;
	for (n = 0; n < count && kt_now_ms() < end; n++) {
		if (verbose)
			printf("# %u: seed %#llx\n", n, (unsigned long long)(seed + n));
		wrong = one_child(seed + n, 2 * n);
		if (!wrong)
			continue;
		printf("not ok 1 - ioctl_fuzz\n# process %u: %s; again with --seed %#llx "
		       "--count 1\n", n, wrong, (unsigned long long)(seed + n));
		return 1;
	}
	printf("# %u processes, %u operations each\n", n, OPS_PER_CHILD);
	puts("ok 1 - ioctl_fuzz");
	return 0;
}
