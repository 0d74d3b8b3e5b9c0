// SPDX-License-Identifier: GPL-2.0-only
/* One process per case; TAP and JUnit in the parent. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"
#include "vram.h"

/* Written by the case's process, read by the parent after its end. */
static struct shared {
	bool skipped;
	char why[256];
} *shared;

void conf_skip(const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	vsnprintf(shared->why, sizeof(shared->why), why, ap);
	va_end(ap);
	shared->skipped = true;
	skip();
	abort();	/* skip() does not return */
}

void runner_add(struct runner *r, const struct conf_case *c, enum conf_xnack mode,
		const char *name)
{
	r->runs = realloc(r->runs, (r->nruns + 1) * sizeof(*r->runs));
	if (!r->runs)
		abort();
	r->runs[r->nruns++] = (struct run) {
		.c = c, .mode = mode, .name = strdup(name),
	};
}

/* Why a case cannot run here, or NULL. */
static const char *lacks(unsigned int flags)
{
	if ((flags & CONF_ROOT) && geteuid())
		return "needs root";
	if ((flags & CONF_VIRTUAL) && access("/sys/module/vamdgpu", F_OK))
		return "needs the virtual GPU";
	return vram_lacks(flags);
}

static void run_in_child(const struct run *run, int out)
{
	const char *why = lacks(run->c->flags);
	const struct CMUnitTest test = {
		.name = run->name, .test_func = run->c->fn,
	};
	const struct CMUnitTest tests[] = { test };

	/* A group of its own, so that all its descendants can be killed. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close(out);
	conf_run.xnack = run->mode;
	if (why) {
		shared->skipped = true;
		snprintf(shared->why, sizeof(shared->why), "%s", why);
		_exit(0);
	}
	exit(cmocka_run_group_tests_name(run->name, tests, NULL, NULL));
}

/* Collects output until the case's process is gone. Returns its wait status. */
static int collect(struct run *run, pid_t pid, int fd, unsigned int timeout_s)
{
	uint64_t end = kt_now_ms() + timeout_s * 1000ULL;
	size_t len = 0, cap = 4096;
	char *buf = malloc(cap);
	bool killed = false;
	int status = -1;

	while (buf) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		bool dead = waitpid(pid, &status, WNOHANG) == pid;
		ssize_t n = 0;

		/* What a dead process wrote is already in the pipe. */
		while (poll(&p, 1, dead ? 0 : 20) == 1 && (p.revents & POLLIN)) {
			n = read(fd, buf + len, cap - len - 1);
			if (n <= 0)
				break;
			len += (size_t)n;
			if (cap - len < 2048) {
				cap *= 2;
				buf = realloc(buf, cap);
				if (!buf)
					abort();
			}
			if (kt_now_ms() > end)
				break;
		}
		if (dead)
			break;
		if (kt_now_ms() > end) {
			if (killed) {
				len += (size_t)sprintf(buf + len,
					"cannot be killed: stuck in the kernel\n");
				status = -1;
				break;
			}
			len += (size_t)sprintf(buf + len, "timed out after %u s\n",
					       timeout_s);
			kill(-pid, SIGKILL);
			killed = true;
			end = kt_now_ms() + KT_WAIT_MS;
		}
	}
	if (!buf)
		abort();
	kill(-pid, SIGKILL);
	buf[len] = 0;
	run->output = buf;
	return status;
}

static void run_one(struct run *run, unsigned int timeout_s)
{
	uint64_t start = kt_now_ms();
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
		run_in_child(run, fds[1]);
	}
	close(fds[1]);
	status = collect(run, pid, fds[0], timeout_s);
	close(fds[0]);
	run->ok = WIFEXITED(status) && !WEXITSTATUS(status);
	/* The next case shall find the GPU's memory free. */
	kt_wait_for(kt_process_gone(pid), KT_WAIT_MS);
	if (run->ok && shared->skipped)
		run->why = strdup(shared->why);
	run->ms = kt_now_ms() - start;
}

/* cmocka's banner says nothing that TAP does not say. */
static bool is_banner(const char *line)
{
	return !strncmp(line, "[==", 3) || !strncmp(line, "[  PASSED", 9) ||
	       !strncmp(line, "[ RUN", 5);
}

static void print_tap(const struct run *run, size_t number)
{
	char *copy, *line, *save;

	printf("%sok %zu - %s", run->ok ? "" : "not ", number, run->name);
	if (run->why)
		printf(" # SKIP %s", run->why);
	printf("\n");
	if (!run->ok) {
		copy = strdup(run->output);
		for (line = strtok_r(copy, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			if (!is_banner(line))
				printf("# %s\n", line);
		free(copy);
	}
	fflush(stdout);
}

static void print_xml(FILE *f, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '&': fputs("&amp;", f); break;
		case '"': fputs("&quot;", f); break;
		default:
			if ((unsigned char)*s >= 0x20 || *s == '\n' || *s == '\t')
				fputc(*s, f);
		}
	}
}

static int write_junit(const struct runner *r, size_t failed, size_t skipped)
{
	FILE *f = fopen(r->junit, "w");

	if (!f) {
		perror(r->junit);
		return 1;
	}
	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuite name=\"kfdsvm-conformance\" tests=\"%zu\" failures=\"%zu\" "
		"skipped=\"%zu\">\n", r->nruns, failed, skipped);
	for (size_t i = 0; i < r->nruns; i++) {
		const struct run *run = &r->runs[i];

		fprintf(f, "  <testcase classname=\"kfdsvm\" name=\"%s\" time=\"%.3f\">",
			run->name, (double)run->ms / 1000);
		if (run->why) {
			fputs("<skipped message=\"", f);
			print_xml(f, run->why);
			fputs("\"/>", f);
		} else if (!run->ok) {
			fputs("<failure>", f);
			print_xml(f, run->output);
			fputs("</failure>", f);
		}
		fputs("</testcase>\n", f);
	}
	fputs("</testsuite>\n", f);
	return fclose(f) ? 1 : 0;
}

int runner_run(struct runner *r)
{
	uint64_t start = kt_now_ms();
	size_t failed = 0, skipped = 0;
	int ret;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	/* Messages of cmocka as text, whatever the environment says. */
	unsetenv("CMOCKA_MESSAGE_OUTPUT");
	printf("TAP version 13\n1..%zu\n", r->nruns);
	for (size_t i = 0; i < r->nruns; i++) {
		run_one(&r->runs[i], r->timeout_s);
		print_tap(&r->runs[i], i + 1);
		failed += !r->runs[i].ok;
		skipped += !!r->runs[i].why;
	}
	printf("# %zu passed, %zu failed, %zu skipped in %llu s\n",
	       r->nruns - failed - skipped, failed, skipped,
	       (unsigned long long)(kt_now_ms() - start) / 1000);
	ret = failed ? 1 : 0;
	if (r->junit && write_junit(r, failed, skipped))
		ret = 1;
	return ret;
}
