// SPDX-License-Identifier: MIT
/* kfdsvm trace: run a program, record what the driver tells of it, write it down. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "output.h"
#include "privilege.h"
#include "trace.h"

/* 96 bytes each. */
#define DEFAULT_LIMIT	4000000u
/* For the END of what had begun when the program ended, whatever others do meanwhile. */
#define LAST_MS		500

/* Processes whose events are recorded, or not. */
struct family {
	pid_t root;
	struct member {
		pid_t pid;
		bool wanted;
	} *list;
	size_t n;
};

static void usage(FILE *to)
{
	fputs("usage: kfdsvm trace [OPTION]... -- PROGRAM [ARGUMENT]...\n\n"
	      "Run PROGRAM and record faults, migrations, unmaps and stops of queues that its\n"
	      "shared memory causes, as Trace Event JSON for Perfetto (https://ui.perfetto.dev),\n"
	      "chrome://tracing and kfdsvm report. With CAP_SYS_ADMIN its children are recorded,\n"
	      "too, else only the process itself.\n\n"
	      "  -o, --output FILE  where to write (kfdsvm-trace.json)\n"
	      "  -l, --limit N      keep N events at most (4000000, of 96 bytes each)\n"
	      "  -h, --help         this text\n"
	      "  -V, --version      the version\n\n"
	      "exit status: that of PROGRAM; 125 kfdsvm failed, 126 PROGRAM cannot be run, 127\n"
	      "it is not found; kfdsvm dies of the signal that PROGRAM dies of\n", to);
}

/* The parent of @pid, 0 if there is no such process any more. */
static pid_t parent_of(pid_t pid)
{
	char path[32], line[512];
	const char *at;
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file)) {
		/* The name before it may hold anything. */
		at = strrchr(line, ')');
		if (at && sscanf(at + 1, " %*c %d", &parent) != 1)
			parent = 0;
	}
	fclose(file);
	return parent;
}

static bool descends(const struct family *family, pid_t pid)
{
	pid_t at = pid;

	while (at > 1 && at != family->root)
		at = parent_of(at);
	/*
	 * One that has gone since its event a moment ago cannot be asked. It is more
	 * likely the program's than not, and an event too many is seen in the trace.
	 */
	return at == family->root || !at;
}

static bool wanted(void *ctx, pid_t pid)
{
	struct family *family = ctx;
	bool is;

	if (pid == family->root)
		return true;
	for (size_t i = 0; i < family->n; i++)
		if (family->list[i].pid == pid)
			return family->list[i].wanted;
	is = descends(family, pid);
	family->list = need_memory(reallocarray(family->list, family->n + 1,
						sizeof(family->list[0])));
	family->list[family->n++] = (struct member){ .pid = pid, .wanted = is };
	return is;
}

/* What is there; 0 if there is nothing any more. */
static bool drain(struct trace_sources *sources, struct trace_run *run, struct family *family)
{
	bool some = false;
	ssize_t n;

	for (unsigned int i = 0; i < sources->n; i++) {
		struct trace_source *source = &sources->list[i];

		if (source->fd < 0)
			continue;
		n = trace_source_read(source, sources, run, wanted, family);
		if (n < 0)
			fprintf(stderr, "kfdsvm trace: events of GPU %u end: %s\n",
				source->gpu_id, strerror((int)-n));
		some |= n > 0;
	}
	return some;
}

/* From a terminal the program has the signal already. */
static void forward(int fd, const struct trace_run *run)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD && info.ssi_code != SI_KERNEL)
			kill(run->pid, (int)info.ssi_signo);
}

static bool has_ended(struct trace_run *run)
{
	pid_t pid;

	do
		pid = waitpid(run->pid, &run->status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	/* An error is that it cannot be waited for: it has gone, too. */
	return pid != 0;
}

static unsigned int fill_poll(const struct trace_sources *sources, struct pollfd *fds)
{
	for (unsigned int i = 0; i < sources->n; i++)
		fds[i] = (struct pollfd){ .fd = sources->list[i].fd, .events = POLLIN };
	return sources->n;
}

static void record(struct trace_sources *sources, struct trace_run *run,
		   struct family *family, int signal_fd)
{
	struct pollfd fds[TRACE_MAX_GPUS * TRACE_GROUPS + 1];
	uint64_t end;
	unsigned int n;

	do {
		n = fill_poll(sources, fds);
		fds[n] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
		poll(fds, n + 1, -1);
		drain(sources, run, family);
		if (fds[n].revents)
			forward(signal_fd, run);
	} while (!has_ended(run));
	run->end_ns = trace_now();
	end = run->end_ns + LAST_MS * UINT64_C(1000000);
	while (trace_now() < end &&
	       (drain(sources, run, family) ||
		(trace_unended(&run->events) &&
		 poll(fds, fill_poll(sources, fds), LAST_MS) > 0)))
		;
}

static void summary(const struct trace_run *run, const struct trace_slices *slices,
		    const char *path)
{
	fprintf(stderr, "kfdsvm trace: %zu events in %s\n", run->events.n, path);
	if (!run->events.n && !is_admin())
		fputs("kfdsvm trace: without CAP_SYS_ADMIN no driver tells of the program's "
		      "children\n", stderr);
	if (slices->unpaired)
		fprintf(stderr, "kfdsvm trace: %" PRIu64 " events without their other half\n",
			slices->unpaired);
	if (run->spots.n)
		fprintf(stderr, "kfdsvm trace: the driver's queue was full %zu times: events may "
			"be lost, the trace says where\n", run->spots.n);
	if (run->events.dropped)
		fprintf(stderr, "kfdsvm trace: %" PRIu64 " events beyond --limit were dropped\n",
			run->events.dropped);
	if (run->events.strange)
		fprintf(stderr, "kfdsvm trace: %" PRIu64 " lines of the driver not understood\n",
			run->events.strange);
}

static int write_down(struct trace_run *run, FILE *file, const char *path)
{
	struct trace_slices slices;
	int ret;

	trace_pair(&run->events, &run->spots, &slices);
	ret = trace_write(file, run, &slices);
	if (fclose(file) && !ret)
		ret = -errno;
	if (ret)
		fprintf(stderr, "kfdsvm trace: %s: %s\n", path, strerror(-ret));
	else
		summary(run, &slices, path);
	free(slices.list);
	return ret ? EXIT_SELF : 0;
}

/* As the program ended, so does this one. */
static int pass_on(const struct trace_run *run)
{
	static const struct rlimit none = { 0, 0 };
	sigset_t set;
	int signo;

	if (!WIFSIGNALED(run->status))
		return WEXITSTATUS(run->status);
	signo = WTERMSIG(run->status);
	setrlimit(RLIMIT_CORE, &none);
	signal(signo, SIG_DFL);
	raise(signo);
	sigemptyset(&set);
	sigaddset(&set, signo);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + signo;
}

/* Signals for the program come over a descriptor; a broken pipe is an error of write(). */
static int block_signals(sigset_t *old)
{
	static const int forwarded[] = {
		SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
	};
	sigset_t set;
	int fd;

	/* Who started us may have it ignored: then children end without a trace. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(&set, forwarded[i]);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, old);
	return fd;
}

static int trace(struct trace_run *run, FILE *file, const char *path)
{
	static struct trace_sources sources;
	struct family family = { 0 };
	int signal_fd = block_signals(&run->mask);
	int go_fd = -1;
	int ret;

	if (signal_fd < 0) {
		fprintf(stderr, "kfdsvm trace: signalfd: %s\n", strerror(errno));
		return EXIT_SELF;
	}
	ret = trace_start(run, &sources, &go_fd);
	if (!ret)
		ret = trace_go(run, go_fd);
	/* Without it the child goes away, if it has not become the program. */
	if (go_fd >= 0)
		close(go_fd);
	if (ret) {
		if (run->pid > 0)
			waitpid(run->pid, NULL, 0);
		return ret;
	}
	family.root = run->pid;
	record(&sources, run, &family, signal_fd);
	free(family.list);
	ret = write_down(run, file, path);
	return ret ? ret : pass_on(run);
}

static bool parse_limit(const char *text, size_t *limit)
{
	char *end;

	errno = 0;
	*limit = strtoull(text, &end, 10);
	return !errno && *text >= '0' && *text <= '9' && !*end && *limit > 0;
}

int command_trace(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "limit", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct trace_run run = { .events.limit = DEFAULT_LIMIT };
	const char *path = "kfdsvm-trace.json";
	FILE *file;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "+o:l:hV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			path = optarg;
			break;
		case 'l':
			if (parse_limit(optarg, &run.events.limit))
				break;
			fprintf(stderr, "kfdsvm trace: bad limit '%s'\n", optarg);
			return EXIT_SELF;
		default:
			return command_option(opt, usage, EXIT_SELF);
		}
	}
	if (optind == argc) {
		fputs("kfdsvm trace: no program\n", stderr);
		usage(stderr);
		return EXIT_SELF;
	}
	run.argv = argv + optind;
	file = fopen(path, "we");
	if (!file) {
		fprintf(stderr, "kfdsvm trace: %s: %s\n", path, strerror(errno));
		return EXIT_SELF;
	}
	ret = trace(&run, file, path);
	free(run.events.list);
	free(run.spots.list);
	return ret;
}
