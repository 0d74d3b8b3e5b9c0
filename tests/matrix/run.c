// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cells of one mode and number of GPUs share a process, since starting one and opening
 * the GPU takes longer than most cells. After a failure, or a cell that leaves the
 * process unfit, the next cell gets a new one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cell.h"

/* Between the runner and its worker. */
static struct shared {
	unsigned int now;	/* the cell that is running, or will */
	uint64_t started_ms;
} *shared;

static int output;	/* what the cell at hand prints */
static const struct mx_cell *cells;
static unsigned int ncells;

static struct {
	const struct mx_cell *cell;
	bool spoiled;
} at_hand;

/* Cells are chosen so that they can run: what is missing now is a failure. */
void conf_skip(const char *why, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, why);
	vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	fail_msg("cannot run: %s", text);
	abort();	/* fail_msg() does not return */
}

static void run_cell(void **state)
{
	(void)state;
	cell_run(at_hand.cell, &at_hand.spoiled);
}

static bool passes(unsigned int number)
{
	char name[MX_NAME_LEN];
	const struct CMUnitTest tests[] = { { .name = name, .test_func = run_cell } };

	mx_cell_name(&cells[number], name);
	at_hand.cell = &cells[number];
	return !cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

/* cmocka's banner says nothing that TAP does not say. */
static bool is_banner(const char *line)
{
	return !strncmp(line, "[==", 3) || !strncmp(line, "[  PASSED", 9) ||
	       !strncmp(line, "[ RUN", 5) || !strncmp(line, "[  FAILED", 9);
}

static char *read_output(void)
{
	static char text[1 << 14];
	ssize_t n = pread(output, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void print_output(void)
{
	char *save, *line;

	for (line = strtok_r(read_output(), "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!is_banner(line))
			printf("# %s\n", line);
}

/*
 * With a column made wrong, a cell is as it should be if it fails, and over that
 * column.
 */
static bool judge(bool passed)
{
	char prefix[32];

	if (mx_run.world.wrong == MX_RIGHT)
		return passed;
	snprintf(prefix, sizeof(prefix), "%s: ", mx_wrong_names[mx_run.world.wrong]);
	/* An exception that is not the expected one is found by the fixture. */
	if (mx_run.world.wrong == MX_WRONG_EXCEPTION)
		return !passed;
	return !passed && strstr(read_output(), prefix);
}

static void report(unsigned int number, bool passed)
{
	bool ok = judge(passed);
	char name[MX_NAME_LEN];

	mx_cell_name(&cells[number], name);
	printf("%sok %u - %s%s\n", ok ? "" : "not ", number + 1, name,
	       mx_run.world.wrong == MX_RIGHT ? "" :
	       passed ? " (passes with a wrong expectation)" : " (fails as it should)");
	if (!ok)
		print_output();
	fflush(stdout);
}

static bool same_process(const struct mx_cell *a, const struct mx_cell *b)
{
	return a->gpus == b->gpus && a->mode == b->mode;
}

/* Exit code 0: goes on with shared->now in another process; 1: that one failed. */
static void work(int tap)
{
	unsigned int first = shared->now;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (shared->now < ncells && same_process(&cells[first], &cells[shared->now]) &&
	       !at_hand.spoiled) {
		if (ftruncate(output, 0) || lseek(output, 0, SEEK_SET) < 0)
			abort();
		dup2(output, STDOUT_FILENO);
		dup2(output, STDERR_FILENO);
		shared->started_ms = kt_now_ms();
		if (!passes(shared->now))
			exit(1);
		fflush(stdout);
		dup2(tap, STDOUT_FILENO);
		report(shared->now, true);
		shared->now++;
	}
	exit(0);
}

/* The worker's wait status, after its end or the end of its time. */
static int wait_for(pid_t pid, bool *late)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	uint64_t limit = mx_run.timeout_s * 1000ULL;
	int status;

	if (p.fd < 0)
		abort();
	while (poll(&p, 1, 500) == 0) {
		if (kt_now_ms() - shared->started_ms < limit)
			continue;
		*late = true;
		kill(-pid, SIGKILL);
		if (poll(&p, 1, KT_WAIT_MS) == 0) {
			printf("# cannot be killed: stuck in the kernel\n");
			fflush(stdout);
			close(p.fd);
			return -1;
		}
	}
	close(p.fd);
	kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

/* True: the cell at shared->now did not pass. */
static bool run_worker(void)
{
	bool late = false;
	int status;
	pid_t pid;

	shared->started_ms = kt_now_ms();
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid)
		work(dup(STDOUT_FILENO));
	status = wait_for(pid, &late);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return false;
	report(shared->now, false);
	if (late)
		printf("# timed out after %u s\n", mx_run.timeout_s);
	else if (!WIFEXITED(status))
		printf("# the process ended with status %#x\n", (unsigned int)status);
	fflush(stdout);
	return true;
}

int run_cells_in_processes(const struct mx_cell *chosen, unsigned int n)
{
	uint64_t start = kt_now_ms();
	unsigned int failed = 0;

	cells = chosen;
	ncells = n;
	output = memfd_create("output", MFD_CLOEXEC);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || output < 0)
		abort();
	/* Messages of cmocka as text, whatever the environment says. */
	unsetenv("CMOCKA_MESSAGE_OUTPUT");
	printf("TAP version 13\n1..%u\n", n);
	while (shared->now < n) {
		if (run_worker()) {
			failed += !judge(false);
			shared->now++;
		}
	}
	printf("# %u cells, %u failed, in %llu s\n", n, failed,
	       (unsigned long long)(kt_now_ms() - start) / 1000);
	return failed ? 1 : 0;
}
