// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtual GPU is unplugged while processes use it for all they can:
 *
 *   unplug_load [ROUNDS] [OPTION...]
 *
 * In a round each kind of worker is a process; when all have done some work a GPU goes;
 * when all have met that, and done some more, they end. Each checks its data all along:
 * what it has written itself is there, and what the GPU was to write is the old or the
 * new. Then the GPU comes back. Rounds take the GPUs in turn.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "cases.h"
#include "kt_sdma.h"
#include "unplug_gpu.h"

#define LEN		(2 * KT_HUGE + 4 * KT_PAGE)
#define NWORDS		(LEN / sizeof(uint64_t))
#define WORK_MS		120000	/* for all to do some work */
#define MAX_WORKERS	8

static unsigned int rounds = 3;

/* Shared with the workers. */
static struct shared {
	bool stop;
	struct {
		unsigned int done;	/* pieces of work */
		unsigned int met;	/* value of done when it met the loss, plus 1 */
	} worker[MAX_WORKERS];
} *shared;

static uint64_t word(uint64_t seed, size_t i)
{
	return (seed << 32 | i) * 0x9e3779b97f4a7c15ULL;
}

static void write_words(uint64_t *p, uint64_t seed)
{
	for (size_t i = 0; i < NWORDS; i++)
		p[i] = word(seed, i);
}

/* Each word is of @seed or of @other. */
static void check_words(const uint64_t *p, uint64_t seed, uint64_t other)
{
	for (size_t i = 0; i < NWORDS; i++)
		if (p[i] != word(seed, i) && p[i] != word(other, i))
			FAIL("word %zu of %p is %#llx, not of %llu or %llu", i,
			     (const void *)p, (unsigned long long)p[i],
			     (unsigned long long)seed, (unsigned long long)other);
}

static bool is_gone(struct kt_dev *dev)
{
	int ret = gpu_state(dev);

	if (ret != -ENODEV)
		CHECK_EQ(ret, 0);
	return ret;
}

/* A piece of work is done. Return: go on. */
static bool go_on(unsigned int self, bool gone)
{
	unsigned int done = __atomic_add_fetch(&shared->worker[self].done, 1,
					       __ATOMIC_ACQ_REL);

	if (gone && !shared->worker[self].met)
		__atomic_store_n(&shared->worker[self].met, done + 1, __ATOMIC_RELEASE);
	return !__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE);
}

/* Opens GPU @index, which has not gone yet. */
static void open_gpu(struct kt_dev *dev, unsigned int index, int xnack)
{
	CHECK_EQ(kt_open(dev, (int)index + 1), 0);
	if (xnack >= 0)
		CHECK_EQ(kt_xnack(dev->kfd, &xnack), 0);
}

static void set_ok_or_gone(struct kt_dev *dev, const void *p, uint32_t type)
{
	int ret = kt_svm_set1(dev->kfd, p, LEN, type, dev->gpu_id);

	/* Passing failures are for the caller to live with, as always. */
	if (ret && ret != -ENODEV && ret != -EAGAIN && ret != -ENOMEM)
		FAIL("SET of %u: %s", type, strerror(-ret));
}

/* The GPU copies, if it is there. Return: it has, and is done. */
static bool copy(struct kt_dev *dev, struct kt_queue *q, void *to, const void *from)
{
	uint32_t pkt[KT_SDMA_MAX_DW];
	size_t at, n;

	for (at = 0; at < LEN; at += n) {
		n = LEN - at < KT_SDMA_COPY_MAX ? LEN - at : KT_SDMA_COPY_MAX;
		/* The ring of a queue that has stopped is never emptied. */
		if (is_gone(dev) ||
		    kt_queue_emit(q, pkt, kt_sdma_copy(pkt, (uintptr_t)to + at,
						       (uintptr_t)from + at,
						       (uint32_t)n)))
			return false;
	}
	kt_queue_ring(q);
	if (!queue_ends(dev, q))
		FAIL("the queue does not end, nor does the GPU");
	return kt_queue_done(q);
}

static void check_in_child(const uint64_t *p, uint64_t seed, bool write)
{
	int status;
	pid_t pid = TRY(fork());

	if (!pid) {
		check_words(p, seed, seed);
		if (write)
			write_words((uint64_t *)p, ~seed);
		_exit(0);
	}
	TRY(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
}

enum how { PREFETCH, FAULTS };

/* Copies between two pieces of memory, over and over, wherever they are. */
static void copier(unsigned int self, unsigned int index, int xnack, enum how how)
{
	uint64_t *from = map_aligned(LEN), *to = map_aligned(LEN), seed, old = 0;
	struct kt_queue q;
	struct kt_dev dev;
	bool gone = false, done;

	open_gpu(&dev, index, xnack);
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	write_words(to, 0);
	set_ok_or_gone(&dev, from, KFD_SVM_ATTR_ACCESS);
	set_ok_or_gone(&dev, to, KFD_SVM_ATTR_ACCESS);
	if (how == FAULTS)
		set_ok_or_gone(&dev, to, KFD_SVM_ATTR_PREFERRED_LOC);
	for (seed = 1; go_on(self, gone); seed++) {
		write_words(from, seed);
		if (how == PREFETCH && !gone) {
			set_ok_or_gone(&dev, from, KFD_SVM_ATTR_PREFETCH_LOC);
			set_ok_or_gone(&dev, to, KFD_SVM_ATTR_PREFETCH_LOC);
		}
		done = !gone && copy(&dev, &q, to, from);
		if (seed % 3 == 0)
			check_in_child(from, seed, seed % 2);
		check_words(from, seed, seed);
		check_words(to, seed, done ? seed : old);
		gone = is_gone(&dev);
		if (!done)
			write_words(to, seed);
		old = seed;
	}
}

static void copier_on(unsigned int self, unsigned int index)
{
	copier(self, index, 1, PREFETCH);
}

static void copier_off(unsigned int self, unsigned int index)
{
	copier(self, index, 0, PREFETCH);
}

static void faulter(unsigned int self, unsigned int index)
{
	copier(self, index, 1, FAULTS);
}

static void try_objects(struct kt_dev *dev, unsigned int seed)
{
	struct kt_bo vram, gtt;

	if (!kt_bo_vram(dev, (1 + seed % 8) * KT_HUGE, &vram)) {
		memset(vram.cpu, 1, vram.len);
		kt_bo_free(dev, &vram);
	}
	if (!kt_bo_gtt(dev, KT_HUGE, &gtt)) {
		fill(gtt.cpu, gtt.len, seed);
		CHECK(filled(gtt.cpu, gtt.len, seed));
		kt_bo_free(dev, &gtt);
	}
}

/* A ring of nonsense, a queue that comes and goes. */
static void try_queue(struct kt_dev *dev, unsigned int *seed)
{
	uint32_t dw[64];
	struct kt_queue q;

	if (kt_queue_create(dev, 4096, &q))
		return;
	for (unsigned int i = 0; i < KT_ARRAY_SIZE(dw); i++)
		dw[i] = (uint32_t)rand_r(seed) & (i % 4 ? ~0U : 0xf);
	kt_queue_emit(&q, dw, KT_ARRAY_SIZE(dw));
	kt_queue_ring(&q);
	*q.doorbell = (uint32_t)rand_r(seed);
	kt_queue_update(&q, 1024, (uint32_t)rand_r(seed) % 101);
	CHECK_EQ(kt_queue_destroy(&q), 0);
}

/* Every call there is, as fast as it goes; the answers do not matter, but for hangs. */
static void caller(unsigned int self, unsigned int index)
{
	unsigned int seed = self + 1, nr;
	union {
		uint64_t words[32];
		struct kfd_ioctl_smi_events_args smi;
	} args;
	struct kt_dev dev;

	open_gpu(&dev, index, -1);
	while (go_on(self, is_gone(&dev))) {
		try_objects(&dev, (unsigned int)rand_r(&seed));
		try_queue(&dev, &seed);
		for (unsigned int i = 0; i < 50; i++) {
			for (unsigned int k = 0; k < KT_ARRAY_SIZE(args.words); k++)
				args.words[k] = rand_r(&seed) % 3 ? dev.gpu_id :
						(uint64_t)rand_r(&seed) % 5;
			nr = 1 + (unsigned int)rand_r(&seed) % 0x25;
			/* Not of others' memory, and not for ever. */
			if (nr == _IOC_NR(AMDKFD_IOC_WAIT_EVENTS) || nr == 0x16)
				continue;
			kt_ioctl(dev.kfd, _IOC(_IOC_READ | _IOC_WRITE, 'K', nr, 64),
				 &args);
		}
		args.smi.gpuid = dev.gpu_id;
		if (!kt_ioctl(dev.kfd, AMDKFD_IOC_SMI_EVENTS, &args))
			close((int)args.smi.anon_fd);
	}
}

/* New processes all the time, some of which find a GPU less. */
static void opener(unsigned int self, unsigned int index)
{
	struct kt_dev dev;
	int status;
	pid_t pid;

	open_gpu(&dev, index, -1);
	while (go_on(self, is_gone(&dev))) {
		pid = TRY(fork());
		if (!pid) {
			struct kt_dev child;
			struct kt_bo bo;
			int ret = kt_open(&child, -1);

			if (!ret)
				ret = kt_bo_vram(&child, KT_HUGE, &bo);
			/* It may go at any moment, and with it its node or its file. */
			_exit(ret && ret != -ENODEV && ret != -ENOENT && ret != -EINVAL ?
			      -ret : 0);
		}
		TRY(waitpid(pid, &status, 0));
		CHECK_EQ(status, 0);
	}
}

static void (*const workers[])(unsigned int self, unsigned int index) = {
	copier_on, copier_off, faulter, caller, opener,
};

#define NWORKERS KT_ARRAY_SIZE(workers)

static pid_t start_worker(unsigned int self, unsigned int index)
{
	pid_t pid;

	fflush(stdout);
	pid = TRY(fork());
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	workers[self](self, index);
	fflush(stdout);
	_exit(0);
}

static bool all_have(unsigned int since_met, unsigned int done)
{
	for (unsigned int i = 0; i < NWORKERS; i++) {
		unsigned int met = __atomic_load_n(&shared->worker[i].met,
						   __ATOMIC_ACQUIRE);

		if (since_met && !met)
			return false;
		if (__atomic_load_n(&shared->worker[i].done, __ATOMIC_ACQUIRE) <
		    (since_met ? met : 0) + done)
			return false;
	}
	return true;
}

/* A worker that ends before it is told to has found something wrong. */
static bool some_has_ended(const pid_t *pids)
{
	siginfo_t info;

	for (unsigned int i = 0; i < NWORKERS; i++) {
		info.si_pid = 0;
		if (!waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOHANG | WNOWAIT) &&
		    info.si_pid)
			return true;
	}
	return false;
}

/* Folders of processes in the core's debugfs. */
static unsigned int processes_left(void)
{
	DIR *dir = opendir("/sys/kernel/debug/kfd_svm");
	struct dirent *entry;
	unsigned int n = 0;

	if (!dir)
		SKIP("no debugfs");
	while ((entry = readdir(dir)))
		n += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
	closedir(dir);
	return n;
}

static void one_round(unsigned int index)
{
	pid_t pids[NWORKERS];
	uint64_t before;
	int status;

	memset(shared, 0, sizeof(*shared));
	for (unsigned int i = 0; i < NWORKERS; i++)
		pids[i] = start_worker(i, index);
	CHECK(kt_wait_for(all_have(0, 3) || some_has_ended(pids), WORK_MS));
	CHECK(!some_has_ended(pids));
	before = kt_now_ms();
	gpu_unplug(index);
	note("GPU %u went in %llu ms", index,
	     (unsigned long long)(kt_now_ms() - before));
	CHECK(kt_wait_for(all_have(1, 2) || some_has_ended(pids), WORK_MS));
	CHECK(!some_has_ended(pids));
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < NWORKERS; i++) {
		TRY(waitpid(pids[i], &status, 0));
		if (status)
			FAIL("worker %u: status %#x", i, status);
	}
	CHECK(kt_wait_for(!processes_left(), WORK_MS));
	gpu_plug(index);
	check_new_process_works();
}

static void unplugged_under_load(void)
{
	gpu_plug_all();
	shared = TRY(mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (unsigned int i = 0; i < rounds; i++)
		one_round(i % gpu_slots());
}

static const struct test_case cases[] = {
	CASE(unplugged_under_load),
};

int main(int argc, char **argv)
{
	int ret;

	if (argc > 1 && argv[1][0] != '-') {
		rounds = (unsigned int)strtoul(argv[1], NULL, 10);
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	ret = run_cases(argc, argv, cases, KT_ARRAY_SIZE(cases));
	gpu_plug_all();
	return ret;
}
