// SPDX-License-Identifier: MIT
/* The life of the preload in a process: load, first queue, fork, exit. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kfd_svm.h>

#include "preload.h"

struct pre_process pre = { .kfd = -1 };

/* Held while a process becomes ACTIVE or gets another GPU. */
static pthread_mutex_t activation = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* A signal handler that maps memory must not meet its own thread in here. */
void pre_lock(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
	pthread_mutex_lock(&mutex);
}

void pre_unlock(const sigset_t *saved)
{
	pthread_mutex_unlock(&mutex);
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

static void say_to(int fd, const char *format, va_list ap)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "kfdsvm run: ");
	int more = vsnprintf(text + n, sizeof(text) - (size_t)n - 1, format, ap);

	if (more < 0)
		return;
	n += more;
	if (n > (int)sizeof(text) - 2)
		n = (int)sizeof(text) - 2;
	text[n++] = '\n';
	syscall(SYS_write, fd, text, (size_t)n);
}

void pre_say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say_to(STDERR_FILENO, format, ap);
	va_end(ap);
}

/* ---- activation ---- */

static uint64_t cgroup_limit(void)
{
	char text[32] = "";
	int fd = open("/sys/fs/cgroup/memory.max", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return UINT64_MAX;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
}

static uint64_t default_max_resident(void)
{
	uint64_t len = (uint64_t)sysconf(_SC_PHYS_PAGES) * pre.page;
	uint64_t limit = cgroup_limit();

	return (len < limit ? len : limit) / 4 * 3;
}

static bool xnack_is_on(int fd)
{
	struct kfd_svm_xnack_args args = { .xnack_enabled = -1 };

	return !syscall(SYS_ioctl, fd, KFD_SVM_IOC_XNACK, &args) && args.xnack_enabled > 0;
}

static bool knows_gpu(uint32_t gpu_id)
{
	for (unsigned int i = 0; i < pre.ngpus; i++)
		if (pre.gpus[i] == gpu_id)
			return true;
	return false;
}

/* Under pre_lock(). Whether there is something to do for this GPU. */
static bool add_gpu(int fd, uint32_t gpu_id)
{
	const struct pre_options *o = &pre.options;
	int ret;

	if (pre.ngpus == PRE_MAX_GPUS)
		return false;
	if (pre.kfd < 0) {
		/* The runtime may close its own, and the program may not expect a low one. */
		pre.kfd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
		if (pre.kfd < 0)
			pre.kfd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		pre.pid = getpid();
		pre.max_resident = o->max_resident ? o->max_resident : default_max_resident();
	}
	/* It cannot change while there is a queue. */
	if (!pre.ngpus)
		pre.populate = !xnack_is_on(pre.kfd);
	if (!pre.populate && !o->has_preferred && !o->has_granularity)
		return false;
	ret = pre_probe(gpu_id);
	if (ret) {
		pre_say("memory cannot be shared with GPU %u: %s", gpu_id, strerror(-ret));
		return false;
	}
	pre.gpus[pre.ngpus++] = gpu_id;
	return true;
}

static void activate(int fd, uint32_t gpu_id)
{
	sigset_t saved;
	bool added;

	pre_lock(&saved);
	added = add_gpu(fd, gpu_id);
	if (added)
		atomic_store(&pre.state, PRE_ACTIVE);
	pre_unlock(&saved);
	if (!added)
		return;
	/*
	 * Whatever is mapped from here on is told by the hooks, so what the scan
	 * may miss is registered by somebody else.
	 */
	pre_heap_start();
	pre_objects_refresh();
	pre_lock(&saved);
	pre_scan();
	pre_unlock(&saved);
	/* Who was resolving malloc's address meanwhile may have written that after us. */
	pre_heap_patch();
}

/* Returns when the queue may be used: for the second thread, when the first is done. */
void pre_queue_created(int fd, uint32_t gpu_id)
{
	pthread_mutex_lock(&activation);
	if (!knows_gpu(gpu_id))
		activate(fd, gpu_id);
	pthread_mutex_unlock(&activation);
}

/* ---- fork ---- */

/*
 * The child has no GPU and nothing registered: as a new process, with this heap. The
 * locks are not taken for the fork: handlers of other libraries, and what they lock, come
 * between, and may map memory. So another thread may have been anywhere in here, and all
 * that it was changing begins anew.
 */
static void after_fork_in_child(void)
{
	mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	activation = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	if (pre.kfd >= 0)
		syscall(SYS_close, pre.kfd);
	pre.kfd = -1;
	atomic_store(&pre.state, PRE_IDLE);
	pre.ngpus = 0;
	pre.over_told = false;
	memset(&pre.counts, 0, sizeof(pre.counts));
	pre_objects_forget();
	pre_own_forget();
	pre_heap_forget();
}

/* ---- load and exit ---- */

/* Takes this library out of LD_PRELOAD, and with it our variables. */
static void leave_environment(void)
{
	char *list = getenv("LD_PRELOAD"), *entry = list ? strstr(list, "libkfdsvm-preload.so") : NULL;
	char *start = entry, *end = entry;

	if (!entry)
		return;
	while (start > list && !strchr(": ", start[-1]))
		start--;
	while (*end && !strchr(": ", *end))
		end++;
	if (*end)
		end++;
	else if (start > list)
		start--;
	memmove(start, end, strlen(end) + 1);
	if (!*list)
		unsetenv("LD_PRELOAD");
}

__attribute__((constructor)) static void load(void)
{
	pre.page = (size_t)sysconf(_SC_PAGESIZE);
	pre_options_read(&pre.options);
	if (pre.options.report)
		pre.options.report = strdup(pre.options.report);
	if (!pre.options.follow)
		leave_environment();
	pre_heap_load();
	pthread_atfork(NULL, NULL, after_fork_in_child);
}

static unsigned long long mib(uint64_t len)
{
	return (unsigned long long)(len + (1 << 20) - 1) >> 20;
}

static void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void report(const char *format, ...)
{
	const char *file = pre.options.report;
	bool is_stderr = !strcmp(file, "-");
	int fd = is_stderr ? STDERR_FILENO :
		 open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	va_list ap;

	if (fd < 0)
		return;
	va_start(ap, format);
	say_to(fd, format, ap);
	va_end(ap);
	if (!is_stderr)
		close(fd);
}

__attribute__((destructor)) static void leave(void)
{
	const struct pre_counts *c = &pre.counts;

	/* Of those that never came near a GPU, only the one that was asked for. */
	if (!pre.options.report || (!pre_is(PRE_TRACK) && pre.options.first_pid != getpid()))
		return;
	if (!pre_is(PRE_ACTIVE)) {
		report("%s[%d]: %s", program_invocation_short_name, (int)getpid(),
		       pre.kfd >= 0 ? "nothing registered: XNACK is on" :
		       "nothing registered: no GPU queue");
		return;
	}
	report("%s[%d]: %u GPU%s, XNACK %s, %llu ranges, %llu MiB; resident memory grew by %llu MiB; "
	       "left out: %llu MiB over the limit, %llu MiB in use by the runtime, %llu MiB refused; "
	       "%llu memory objects refused",
	       program_invocation_short_name, (int)getpid(), pre.ngpus, pre.ngpus == 1 ? "" : "s",
	       pre.populate ? "off" : "on", (unsigned long long)c->ranges, mib(c->shared_len),
	       mib(c->grown_len), mib(c->over_len), mib(c->busy_len), mib(c->refused_len),
	       (unsigned long long)c->conflicts);
}
