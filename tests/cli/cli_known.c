// SPDX-License-Identifier: MIT
/*
 * A program whose events are known: it does what its arguments say, and prints what the
 * driver must tell of it. Each step uses memory of its own, a window apart from others.
 *
 *   moves N      N pieces of 8 pages go to the GPU and come back, by prefetch
 *   faults N     the GPU writes N pages that it does not know (XNACK on)
 *   stops N      the CPU takes N times what queues use (XNACK off)
 *   fork         what follows is done by a child
 *   hold         prints "ready" and the counters, and waits for the end of its input
 *   exit N       ends with code N
 *   kill N       ends by signal N
 *   name TEXT    calls itself so
 *
 * Exits 77 where memory does not move and moves are asked for.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kt.h"
#include "kt_sdma.h"

#define PIECE_LEN (8 * KT_PAGE)

static struct kt_dev dev;

static void die(const char *what, int error)
{
	fprintf(stderr, "cli_known: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

static void need(const char *what, int ret)
{
	if (ret < 0)
		die(what, ret);
}

static void need_dev(void)
{
	static pid_t owner;

	if (owner == getpid())
		return;
	owner = getpid();
	need("open", kt_open(&dev, -1));
}

static uint64_t counter(const char *name)
{
	uint64_t value = 0;

	need(name, kt_counter(&dev, name, &value));
	return value;
}

/* The first @len bytes of a window that nothing else uses. */
static char *window(size_t len)
{
	char *p = mmap(NULL, 2 * KT_HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at;

	if (p == MAP_FAILED)
		die("mmap", 12);
	at = (char *)(((uintptr_t)p + KT_HUGE - 1) & ~(KT_HUGE - 1));
	need("mprotect", mprotect(at, len, PROT_READ | PROT_WRITE));
	return at;
}

static void prefetch(char *p, uint32_t where)
{
	need("prefetch", kt_svm_set1(dev.kfd, p, PIECE_LEN, KFD_SVM_ATTR_PREFETCH_LOC, where));
}

static void moves(unsigned int n)
{
	uint64_t before = counter("page_in");

	for (unsigned int i = 0; i < n; i++) {
		char *p = window(PIECE_LEN);

		memset(p, 1, PIECE_LEN);
		prefetch(p, dev.gpu_id);
		if (counter("page_in") == before) {
			printf("memory does not move to this GPU\n");
			exit(77);
		}
		prefetch(p, 0);
	}
	printf("prefetches %u bytes %lu\n", 2 * n, n * PIECE_LEN);
}

static void set_xnack(int32_t mode)
{
	need("XNACK", kt_xnack(dev.kfd, &mode));
}

static void run(struct kt_queue *q, char *p, uint32_t value)
{
	uint32_t packet[KT_SDMA_MAX_DW];

	need("emit", kt_queue_emit(q, packet, kt_sdma_write1(packet, (uintptr_t)p, value)));
	kt_queue_ring(q);
	need("wait", kt_queue_wait(q, KT_WAIT_MS));
	if (*(volatile uint32_t *)p != value)
		die("the GPU wrote something else", 5);
}

static void faults(unsigned int n)
{
	struct kt_queue q;

	set_xnack(1);
	need("queue", kt_queue_create(&dev, 4096, &q));
	for (unsigned int i = 0; i < n; i++)
		run(&q, window(KT_PAGE), i + 1);
	need("queue", kt_queue_destroy(&q));
	printf("faults %u\n", n);
}

/* Queues stop when what they use goes, and go on when there is work for them. */
static void stops(unsigned int n)
{
	struct kt_queue q;
	char *p;

	set_xnack(0);
	p = window(PIECE_LEN);
	memset(p, 1, PIECE_LEN);
	need("access", kt_svm_set1(dev.kfd, p, PIECE_LEN, KFD_SVM_ATTR_ACCESS, dev.gpu_id));
	need("queue", kt_queue_create(&dev, 4096, &q));
	run(&q, p, 1);
	for (unsigned int i = 0; i < n; i++) {
		need("madvise", madvise(p, KT_PAGE, MADV_DONTNEED));
		run(&q, p, i + 2);
	}
	need("queue", kt_queue_destroy(&q));
	printf("stops %u\n", n);
}

static void in_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork", 11);
	if (!pid)
		return;
	waitpid(pid, &status, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void hold(void)
{
	printf("ready %d %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (int)getpid(), dev.gpu_id,
	       counter("faults"), counter("page_in"), counter("page_out"));
	fflush(stdout);
	while (getchar() != EOF)
		;
}

static void with_number(const char *step, const char *number)
{
	unsigned int n = (unsigned int)strtoul(number, NULL, 10);

	if (!strcmp(step, "exit"))
		exit((int)n);
	if (!strcmp(step, "name")) {
		prctl(PR_SET_NAME, number);
		return;
	}
	if (!strcmp(step, "kill")) {
		fflush(stdout);
		kill(getpid(), (int)n);
		return;
	}
	need_dev();
	if (!strcmp(step, "moves"))
		moves(n);
	else if (!strcmp(step, "faults"))
		faults(n);
	else if (!strcmp(step, "stops"))
		stops(n);
	else
		die(step, 22);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "fork")) {
			in_child();
		} else if (!strcmp(argv[i], "hold")) {
			need_dev();
			hold();
		} else if (i + 1 < argc) {
			with_number(argv[i], argv[i + 1]);
			i++;
		} else {
			die(argv[i], 22);
		}
	}
	return 0;
}
