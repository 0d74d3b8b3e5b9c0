// SPDX-License-Identifier: GPL-2.0-only
/* The runner: a process for each case, TAP on standard output. */
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "hmt.h"

#define WALK_PARAMETER "/sys/module/hmm_mirror/parameters/walk"

/* Written by the case's process, read by the parent after its end. */
static struct shared {
	bool skipped;
	char why[256];
} *shared;

static const struct hmt_case **cases;
static size_t ncases;

static const char *filters[64];
static size_t nfilters;
static unsigned int timeout_s = 120;
static bool want_long, want_quick, want_inject, want_misuse, want_hold, want_list, verbose;

static char *output;
static size_t output_len, output_cap;

void hmt_check_clients(void);

void hmt_add_case(const struct hmt_case *c)
{
	cases = realloc(cases, (ncases + 1) * sizeof(*cases));
	if (!cases)
		abort();
	cases[ncases++] = c;
}

uint64_t hmt_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void hmt_fail(const char *file, int line, const char *why, ...)
{
	const char *name = strrchr(file, '/');
	char text[1024];
	va_list ap;

	va_start(ap, why);
	vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	fprintf(stderr, "%s:%d: %s\n", name ? name + 1 : file, line, text);
	fflush(NULL);
	_exit(1);
}

void hmt_skip(const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	vsnprintf(shared->why, sizeof(shared->why), why, ap);
	va_end(ap);
	shared->skipped = true;
	_exit(0);
}

void hmt_note(const char *text, ...)
{
	va_list ap;

	va_start(ap, text);
	vprintf(text, ap);
	va_end(ap);
	printf("\n");
}

static void run_in_child(const struct hmt_case *c, int out)
{
	/* A group of its own, so that all its descendants can be killed. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close(out);
	setvbuf(stdout, NULL, _IOLBF, 0);
	c->fn(c->arg);
	hmt_check_clients();
	fflush(NULL);
	/* Not exit(): threads that a case left behind may be in the kernel. */
	_exit(0);
}

static void output_add(const char *text, size_t len)
{
	while (output_len + len + 1 > output_cap) {
		output_cap = output_cap ? 2 * output_cap : 65536;
		output = realloc(output, output_cap);
		if (!output)
			abort();
	}
	memcpy(output + output_len, text, len);
	output_len += len;
	output[output_len] = 0;
}

static void drain(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	while (poll(&p, 1, wait_ms) == 1 && (p.revents & POLLIN)) {
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return;
		output_add(buf, (size_t)n);
		wait_ms = 0;
	}
}

/* Returns the wait status, or -1: it had to be killed. */
static int collect(pid_t pid, int fd, unsigned int limit_s)
{
	uint64_t end = hmt_now_ms() + limit_s * 1000ULL;
	bool killed = false;
	int status = -1;

	output_len = 0;
	output_add("", 0);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		drain(fd, 5);
		if (hmt_now_ms() <= end)
			continue;
		if (killed) {
			output_add("cannot be killed: stuck in the kernel\n", 38);
			break;
		}
		output_add("timed out\n", 10);
		kill(-pid, SIGKILL);
		killed = true;
		/* Longer than a hook holds on. */
		end = hmt_now_ms() + 70000;
	}
	drain(fd, 0);
	kill(-pid, SIGKILL);
	return killed ? -1 : status;
}

static bool run_one(const struct hmt_case *c)
{
	int fds[2], status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	fflush(NULL);
	if (pipe2(fds, O_CLOEXEC))
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		close(fds[0]);
		run_in_child(c, fds[1]);
	}
	close(fds[1]);
	status = collect(pid, fds[0], c->timeout_s ? c->timeout_s : timeout_s);
	close(fds[0]);
	if (status != -1 && WIFSIGNALED(status)) {
		char text[64];

		output_add(text, (size_t)snprintf(text, sizeof(text),
						  "killed by signal %d\n",
						  WTERMSIG(status)));
	}
	return status == 0;
}

static void print_one(const struct hmt_case *c, size_t number, bool ok, uint64_t ms)
{
	char *line, *save;

	printf("%sok %zu - %s", ok ? "" : "not ", number, c->name);
	if (ok && shared->skipped)
		printf(" # SKIP %s", shared->why);
	printf("\n");
	if (!ok || verbose) {
		printf("# %llu ms\n", (unsigned long long)ms);
		for (line = strtok_r(output, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			printf("# %s\n", line);
	}
	fflush(stdout);
}

static bool is_chosen(const struct hmt_case *c)
{
	if ((c->flags & HMT_LONG) && !want_long)
		return false;
	if ((c->flags & HMT_SLOW) && want_quick)
		return false;
	if (!!(c->flags & HMT_INJECT) != want_inject ||
	    !!(c->flags & HMT_MISUSE) != want_misuse ||
	    !!(c->flags & HMT_HOLD) != want_hold)
		return false;
	for (size_t i = 0; i < nfilters; i++) {
		if (!fnmatch(filters[i], c->name, 0))
			return true;
	}
	return !nfilters;
}

static void set_walk(const char *mode)
{
	char now[32] = "";

	if (hmt_write_file(WALK_PARAMETER, mode) ||
	    hmt_read_file(WALK_PARAMETER, now, sizeof(now)) || strcmp(now, mode)) {
		fprintf(stderr, "cannot set %s to %s: it is \"%s\"\n", WALK_PARAMETER, mode,
			now);
		exit(2);
	}
}

static const char usage[] =
	"usage: hmm_mirror_tests [options]\n"
	"  --list          names of the chosen cases\n"
	"  --filter GLOB   only these; may be repeated\n"
	"  --walk MODE     set the mirror's walk: extent or kernel\n"
	"  --long          also the cases that take long\n"
	"  --quick         without the cases that take seconds\n"
	"  --inject        only the cases that make allocations fail (debug kernel)\n"
	"  --misuse        only the cases that make the kernel warn\n"
	"  --hold          only the cases that stay until they are killed, see unload.sh\n"
	"  --timeout S     of one case, if it has none of its own; default 120\n"
	"  --verbose       time and output of each case\n";

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "filter", required_argument, NULL, 'f' },
		{ "walk", required_argument, NULL, 'w' },
		{ "long", no_argument, NULL, 'L' },
		{ "quick", no_argument, NULL, 'q' },
		{ "inject", no_argument, NULL, 'i' },
		{ "misuse", no_argument, NULL, 'm' },
		{ "hold", no_argument, NULL, 'h' },
		{ "timeout", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'l': want_list = true; break;
		case 'f':
			if (nfilters < HMT_COUNT(filters))
				filters[nfilters++] = optarg;
			break;
		case 'w': set_walk(optarg); break;
		case 'L': want_long = true; break;
		case 'q': want_quick = true; break;
		case 'i': want_inject = true; break;
		case 'm': want_misuse = true; break;
		case 'h': want_hold = true; break;
		case 't': timeout_s = (unsigned int)atoi(optarg); break;
		case 'v': verbose = true; break;
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	size_t number = 0, chosen = 0, failed = 0, skipped = 0;
	uint64_t begin = hmt_now_ms();

	parse(argc, argv);
	for (size_t i = 0; i < ncases; i++) {
		chosen += is_chosen(cases[i]);
		if (want_list && is_chosen(cases[i]))
			puts(cases[i]->name);
	}
	if (want_list)
		return 0;
	if (!chosen) {
		fprintf(stderr, "no case is chosen\n");
		return 2;
	}
	if (access(HMT_DEVICE, R_OK | W_OK)) {
		printf("no %s: load hmm_mirror_test\n", HMT_DEVICE);
		return 1;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	printf("TAP version 13\n1..%zu\n", chosen);
	for (size_t i = 0; i < ncases; i++) {
		uint64_t start = hmt_now_ms();
		bool ok;

		if (!is_chosen(cases[i]))
			continue;
		ok = run_one(cases[i]);
		print_one(cases[i], ++number, ok, hmt_now_ms() - start);
		failed += !ok;
		skipped += ok && shared->skipped;
	}
	printf("# %zu passed, %zu failed, %zu skipped in %llu s\n",
	       number - failed - skipped, failed, skipped,
	       (unsigned long long)(hmt_now_ms() - begin) / 1000);
	return failed ? 1 : 0;
}
