// SPDX-License-Identifier: GPL-2.0-only
/*
 * svm_stress: memory that CPU and GPU share, used and changed at random by several
 * threads, against a model of it.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SWAP_FILE	"/mnt/disk/svm_stress.swap"
#define SWAP_PAGES	(32UL << 8)
#define SWAP_STEP	256	/* pages written at once */
#define RING_LEN	(64UL << 10)

/* How the process of one mode ends. */
#define END_OK		0
#define END_WRONG	1	/* a byte was, or something did not work */
#define END_FEW		2	/* too few operations on memory of the GPU */
#define END_SKIP	77

static struct stress stress = {
	.ops = 20000,
	.nr_threads = 6,
};

static __thread struct worker *current_worker;

void set_current_worker(struct worker *w)
{
	current_worker = w;
}

/* The kernel lost memory, or a permission: as bad as a wrong byte. */
static void killed(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (current_worker)
		fail(current_worker, "signal %d at %p", sig, info->si_addr);
	_exit(END_WRONG);
}

static void catch_signals(void)
{
	struct sigaction act = { .sa_sigaction = killed, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
}

/* The signature at the end of the first page makes it swap space. */
static bool make_swap(void)
{
	static char pages[SWAP_STEP * KT_PAGE];
	uint32_t *header = (uint32_t *)(pages + 1024);
	bool ok;
	int fd;

	if (access("/mnt/disk", W_OK) || geteuid())
		return false;
	fd = open(SWAP_FILE, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return false;
	/* Blocks that are written: swapon() takes no holes. */
	ok = true;
	for (unsigned long i = 0; ok && i < SWAP_PAGES; i += SWAP_STEP)
		ok = write(fd, pages, sizeof(pages)) == (ssize_t)sizeof(pages);
	header[0] = 1;
	header[1] = SWAP_PAGES - 1;
	memcpy(pages + KT_PAGE - 10, "SWAPSPACE2", 10);
	ok = ok && pwrite(fd, pages, KT_PAGE, 0) == (ssize_t)KT_PAGE && !fsync(fd);
	close(fd);
	return ok && !swapon(SWAP_FILE, 0);
}

static bool open_gpu(struct stress *s)
{
	int32_t mode = s->xnack;
	int ret = kt_open(&s->dev, -1);

	if (ret) {
		printf("# no GPU: %s\n", strerror(-ret));
		exit(END_SKIP);
	}
	ret = kt_xnack(s->dev.kfd, &mode);
	if (ret == -EPERM) {
		printf("# XNACK cannot be switched on\n");
		exit(END_SKIP);
	}
	return !ret;
}

static bool worker_init(struct worker *w)
{
	struct stress *s = w->s;

	w->random = s->seed * MAX_THREADS + w->index;
	if (kt_queue_create(&s->dev, RING_LEN, &w->queue) ||
	    kt_bo_gtt(&s->dev, RESULT_LEN, &w->result))
		return fail(w, "a queue cannot be made");
	return true;
}

static void run_threads(struct stress *s)
{
	unsigned int i;

	for (i = 1; i < s->nr_threads; i++)
		if (pthread_create(&s->workers[i].thread, NULL, worker_main, &s->workers[i]))
			fail(&s->workers[0], "pthread_create");
	/* This thread is the first. */
	worker_main(&s->workers[0]);
	for (i = 1; i < s->nr_threads; i++)
		if (s->workers[i].thread)
			pthread_join(s->workers[i].thread, NULL);
}

/* All there is, by the GPU; nobody else works. */
static bool gpu_check(struct worker *w)
{
	for (unsigned int i = 0; i < NR_SLOTS && !w->failed; i++) {
		struct piece p = slot_piece(&w->s->slots[i]);
		size_t len = p.len;

		if (!gpu_may(w, p.slot, false, true))
			return fail(w, "slot %u cannot be made readable", i);
		p.len = SLOT_PAGES * KT_PAGE;
		for (p.at = 0; p.at < len && !w->failed; p.at += p.len)
			op_gpu_read(w, &p);
		batch_wait(w);
	}
	return !w->failed;
}

static void add_up(const struct stress *s, unsigned int op, uint64_t *count,
		   uint64_t *mapped)
{
	*count = 0;
	*mapped = 0;
	for (unsigned int i = 0; i < s->nr_threads; i++) {
		*count += s->workers[i].counts[op];
		*mapped += s->workers[i].mapped[op];
	}
}

static bool print_counts(const struct stress *s, uint64_t ms)
{
	uint64_t count, mapped, all = 0, all_mapped = 0;

	for (unsigned int op = 0; op < NR_OPS; op++) {
		add_up(s, op, &count, &mapped);
		all += count;
		all_mapped += mapped;
		printf("# %-16s %8" PRIu64 ", on memory the GPU had mapped %8" PRIu64 "\n",
		       ops[op].name, count, mapped);
	}
	printf("# operations: %" PRIu64 ", on memory the GPU had mapped: %" PRIu64
	       ", %" PRIu64 " ms, XNACK %s, seed %" PRIu64 "\n", all, all_mapped, ms,
	       s->xnack ? "on" : "off", s->seed);
	fflush(stdout);
	return all_mapped * 2 >= all;
}

static int run_mode(struct stress *s)
{
	struct worker *first = &s->workers[0];
	uint64_t begin;
	bool enough;

	catch_signals();
	set_current_worker(first);
	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		s->workers[i].s = s;
		s->workers[i].index = i;
	}
	if (!open_gpu(s) || !arena_make(s))
		return END_WRONG;
	for (unsigned int i = 0; i < s->nr_threads; i++)
		if (!worker_init(&s->workers[i]))
			return END_WRONG;
	atomic_store(&s->budget, (long)s->ops);
	begin = kt_now_ms();
	run_threads(s);
	enough = print_counts(s, kt_now_ms() - begin);
	if (atomic_load(&s->stop) || !gpu_check(first) || !arena_check(first))
		return END_WRONG;
	arena_free(s);
	return enough ? END_OK : END_FEW;
}

static unsigned int nr_cases, nr_failed;

static void report(bool ok, const char *what, const char *mode)
{
	nr_cases++;
	nr_failed += !ok;
	printf("%sok %u - %s/xnack_%s\n", ok ? "" : "not ", nr_cases, what, mode);
	fflush(stdout);
}

/* A process of its own: the mode is a process's, and it may be killed. */
static void run_in_child(struct stress *s, bool xnack)
{
	const char *mode = xnack ? "on" : "off";
	int status;
	pid_t pid;

	s->xnack = xnack;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = run_mode(s);
		fflush(stdout);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		report(false, "a_process_cannot_be_made", mode);
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == END_SKIP) {
		printf("ok %u - all_bytes_are_those_of_the_model/xnack_%s # SKIP see above\n",
		       ++nr_cases, mode);
		return;
	}
	if (WIFSIGNALED(status))
		printf("# killed by signal %d; seed %" PRIu64 "\n", WTERMSIG(status), s->seed);
	report(WIFEXITED(status) && WEXITSTATUS(status) != END_WRONG,
	       "all_bytes_are_those_of_the_model", mode);
	if (WIFEXITED(status) && WEXITSTATUS(status) != END_WRONG)
		report(WEXITSTATUS(status) == END_OK,
		       "half_of_the_operations_meet_the_gpu", mode);
}

static void usage(FILE *out)
{
	fputs("usage: svm_stress [OPTION]...\n"
	      "  --ops N        operations in all (20000); both modes share them\n"
	      "  --threads N    1 to 8 (6); with 1 a seed gives the same operations again\n"
	      "  --seed N       of the random choices; default: the time\n"
	      "  --xnack MODE   on, off or both (default)\n"
	      "  --no-swap      make none (it takes the debug kernel long)\n"
	      "  --verbose      every operation as it begins\n", out);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || end == text || value < min || value > max) {
		usage(stderr);
		exit(2);
	}
	return value;
}

static void parse(int argc, char **argv, bool *on, bool *off)
{
	static const struct option long_options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "threads", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "xnack", required_argument, NULL, 'x' },
		{ "no-swap", no_argument, NULL, 'n' },
		{ "verbose", no_argument, NULL, 'v' },
		{ 0 }
	};
	int c;

	*on = true;
	*off = true;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'o') {
			stress.ops = number(optarg, 1, 1ULL << 40);
		} else if (c == 't') {
			stress.nr_threads = (unsigned int)number(optarg, 1, MAX_THREADS);
		} else if (c == 's') {
			stress.seed = number(optarg, 0, UINT64_MAX / MAX_THREADS - 1);
		} else if (c == 'n') {
			stress.no_swap = true;
		} else if (c == 'v') {
			stress.verbose = true;
		} else if (c == 'x' && (!strcmp(optarg, "on") || !strcmp(optarg, "off") ||
					!strcmp(optarg, "both"))) {
			*on = strcmp(optarg, "off");
			*off = strcmp(optarg, "on");
		} else {
			usage(stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	bool on, off;

	stress.seed = (uint64_t)time(NULL);
	parse(argc, argv, &on, &off);
	stress.has_swap = !stress.no_swap && make_swap();
	stress.nr_nodes = access("/sys/devices/system/node/node1", F_OK) ? 1 : 2;
	if (on && off)
		stress.ops = (stress.ops + 1) / 2;
	printf("TAP version 13\n# seed %" PRIu64 ", %" PRIu64
	       " operations in each mode, %u threads, %s swap, %s\n", stress.seed,
	       stress.ops, stress.nr_threads, stress.has_swap ? "with" : "no",
	       stress.nr_nodes > 1 ? "two nodes" : "one node");
	if (on)
		run_in_child(&stress, true);
	if (off)
		run_in_child(&stress, false);
	printf("1..%u\n", nr_cases);
	if (stress.has_swap) {
		swapoff(SWAP_FILE);
		unlink(SWAP_FILE);
	}
	return nr_failed ? 1 : 0;
}
