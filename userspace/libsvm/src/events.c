// SPDX-License-Identifier: MIT
/*
 * A listener: the driver's event descriptors, one for each GPU, as one that polls.
 *
 * The driver gives whole lines in pieces of the size asked for, so a line can be
 * cut: what has no end yet is kept. When a caller has no room for all events that
 * were read, they are kept, too, and `wake` makes the descriptor readable for as
 * long. All of it is under one lock; nothing waits under it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"
#include "kfd.h"

/* More than the driver keeps, so that what it keeps is read at once. */
#define SOURCE_LEN	2048u
#define OPEN_FLAGS	KFDSVM_EVENTS_ALL_PROCESSES
#define ALL_PROCESSES	KFDSVM_EVENT_BIT(64)

/**
 * struct source - the events of one GPU
 * @fd: or -1: the GPU is gone
 * @begin: first byte of @buf that was not looked at
 * @end: end of what was read
 * @discard: in the middle of a line that is too long
 * @gone: the caller is still to be told that the GPU is gone
 */
struct source {
	int fd;
	uint32_t gpu_id;
	size_t begin;
	size_t end;
	bool discard;
	bool gone;
	char buf[SOURCE_LEN];
};

struct kfdsvm_events {
	const struct kfdsvm *h;
	pthread_mutex_t lock;
	int poll_fd;
	int wake_fd;
	bool awake;
	uint64_t skipped;
	unsigned int next;
	unsigned int nsources;
	struct source sources[];
};

static int watch(struct kfdsvm_events *ev, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(ev->poll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_source(struct kfdsvm_events *ev, uint32_t gpu_id, uint64_t mask)
{
	struct source *source = &ev->sources[ev->nsources];
	struct kfd_smi_args args = { .gpu_id = gpu_id };
	int ret = kfdsvm_ioctl(ev->h, KFD_IOC_SMI_EVENTS, &args);
	ssize_t n;

	if (ret)
		return ret == -ENOTTY ? -EOPNOTSUPP : ret;
	source->fd = (int)args.fd;
	source->gpu_id = gpu_id;
	ev->nsources++;
	/* The driver opens it without. */
	fcntl(source->fd, F_SETFD, FD_CLOEXEC);
	ret = watch(ev, source->fd);
	if (ret)
		return ret;
	do
		n = write(source->fd, &mask, sizeof(mask));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(mask) ? 0 : -EIO;
}

static int open_fds(struct kfdsvm_events *ev)
{
	ev->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ev->poll_fd < 0)
		return -errno;
	ev->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ev->wake_fd < 0)
		return -errno;
	return watch(ev, ev->wake_fd);
}

static int open_sources(struct kfdsvm_events *ev, const struct kfdsvm_events_options *opts)
{
	uint64_t mask = opts->kinds ? opts->kinds : KFDSVM_EVENTS_ALL;
	const struct kfdsvm *h = ev->h;
	int ret = 0;

	if (opts->flags & KFDSVM_EVENTS_ALL_PROCESSES)
		mask |= ALL_PROCESSES;
	for (uint32_t i = 0; !ret && i < opts->ngpus; i++)
		ret = open_source(ev, opts->gpus[i], mask);
	for (unsigned int i = 0; !ret && !opts->gpus && i < h->ndevices; i++)
		if (h->devices[i].info.usable)
			ret = open_source(ev, h->devices[i].info.gpu_id, mask);
	return ret;
}

static int check_options(const struct kfdsvm *h, const struct kfdsvm_events_options *opts)
{
	if (opts->flags & ~OPEN_FLAGS || opts->kinds & ~KFDSVM_EVENTS_ALL ||
	    (opts->gpus ? !opts->ngpus || opts->ngpus > KFDSVM_MAX_GPUS : opts->ngpus))
		return -EINVAL;
	for (uint32_t i = 0; i < opts->ngpus; i++) {
		if (!kfdsvm_has_gpu(h, opts->gpus[i]))
			return -EINVAL;
		for (uint32_t j = 0; j < i; j++)
			if (opts->gpus[i] == opts->gpus[j])
				return -EINVAL;
	}
	return 0;
}

static int events_open(struct kfdsvm_events **events, const struct kfdsvm *h,
		       const struct kfdsvm_events_options *options)
{
	struct kfdsvm_events_options opts = { .size = sizeof(opts) };
	struct kfdsvm_events *ev;
	unsigned int n;
	int ret = kfdsvm_check(h);

	if (!ret && options)
		ret = kfdsvm_take(&opts, sizeof(opts), options);
	if (!ret)
		ret = check_options(h, &opts);
	if (ret)
		return ret;
	n = opts.gpus ? opts.ngpus : h->ndevices;
	ev = calloc(1, sizeof(*ev) + n * sizeof(ev->sources[0]));
	if (!ev)
		return -ENOMEM;
	ev->h = h;
	ev->poll_fd = -1;
	ev->wake_fd = -1;
	pthread_mutex_init(&ev->lock, NULL);
	ret = open_fds(ev);
	if (!ret)
		ret = open_sources(ev, &opts);
	if (ret) {
		kfdsvm_events_close(ev);
		return ret;
	}
	*events = ev;
	return 0;
}

int kfdsvm_events_open(struct kfdsvm_events **events, struct kfdsvm *handle,
		       const struct kfdsvm_events_options *options)
{
	int saved = errno;
	int ret = -EINVAL;

	if (events) {
		*events = NULL;
		ret = events_open(events, handle, options);
	}
	errno = saved;
	return ret;
}

/* The lock is not taken: in a child of fork another thread may have had it. */
void kfdsvm_events_close(struct kfdsvm_events *ev)
{
	int saved = errno;

	if (!ev)
		return;
	for (unsigned int i = 0; i < ev->nsources; i++)
		if (ev->sources[i].fd >= 0)
			close(ev->sources[i].fd);
	if (ev->wake_fd >= 0)
		close(ev->wake_fd);
	if (ev->poll_fd >= 0)
		close(ev->poll_fd);
	free(ev);
	errno = saved;
}

int kfdsvm_events_fd(const struct kfdsvm_events *ev)
{
	return ev ? ev->poll_fd : -EINVAL;
}

uint64_t kfdsvm_events_skipped(const struct kfdsvm_events *ev)
{
	return ev ? __atomic_load_n(&ev->skipped, __ATOMIC_RELAXED) : 0;
}

static void skip(struct kfdsvm_events *ev)
{
	__atomic_add_fetch(&ev->skipped, 1, __ATOMIC_RELAXED);
}

/* The descriptor of a GPU that is gone would poll as readable for ever. */
static void lose(struct kfdsvm_events *ev, struct source *source)
{
	epoll_ctl(ev->poll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	close(source->fd);
	source->fd = -1;
	source->gone = true;
}

/* More bytes into the buffer. 1: some came; 0: there are none. */
static int refill(struct kfdsvm_events *ev, struct source *source)
{
	ssize_t n;

	if (source->fd < 0)
		return 0;
	memmove(source->buf, source->buf + source->begin, source->end - source->begin);
	source->end -= source->begin;
	source->begin = 0;
	if (source->end == SOURCE_LEN) {
		/* No line is as long: what comes until the next one is none. */
		if (!source->discard)
			skip(ev);
		source->discard = true;
		source->end = 0;
	}
	do
		n = read(source->fd, source->buf + source->end, SOURCE_LEN - source->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!n)
		lose(ev, source);
	source->end += (size_t)n;
	return n > 0;
}

/* The next line that has an end, or NULL. */
static const char *next_line(struct source *source, size_t *len)
{
	const char *line = source->buf + source->begin;
	const char *newline = memchr(line, '\n', source->end - source->begin);

	if (!newline)
		return NULL;
	*len = (size_t)(newline - line);
	source->begin += *len + 1;
	return line;
}

static bool listens_to(const struct kfdsvm_events *ev, uint32_t gpu_id)
{
	for (unsigned int i = 0; i < ev->nsources; i++)
		if (ev->sources[i].gpu_id == gpu_id)
			return true;
	return false;
}

/* Between two GPUs both may tell; the one it goes to counts. */
static bool told_twice(const struct kfdsvm_events *ev, const struct source *source,
		       const struct kfdsvm_event *event)
{
	return event->to && event->to != source->gpu_id && listens_to(ev, event->to);
}

static bool take(struct kfdsvm_events *ev, struct source *source, const char *line,
		 size_t len, struct kfdsvm_event *event)
{
	if (source->discard) {
		source->discard = false;
		return false;
	}
	if (kfdsvm_parse_event(line, len, ev->h->page, event)) {
		skip(ev);
		return false;
	}
	if (!event->gpu_id)
		event->gpu_id = source->gpu_id;
	return !told_twice(ev, source, event);
}

/* Events of one GPU, at most @room. */
static int drain(struct kfdsvm_events *ev, struct source *source, char *list,
		 unsigned int room, size_t entry_size)
{
	struct kfdsvm_event event;
	unsigned int n = 0;
	const char *line;
	size_t len;
	int ret;

	while (n < room) {
		line = next_line(source, &len);
		if (!line) {
			ret = refill(ev, source);
			if (ret <= 0)
				return n ? (int)n : ret;
		} else if (take(ev, source, line, len, &event)) {
			kfdsvm_give_entry(list + n++ * entry_size, entry_size, &event,
					  sizeof(event));
		}
	}
	return (int)n;
}

/* Readable while lines wait here, or that a GPU is gone. */
static void set_awake(struct kfdsvm_events *ev)
{
	bool awake = false;
	uint64_t count = 1;
	ssize_t n = 0;

	for (unsigned int i = 0; i < ev->nsources; i++) {
		const struct source *source = &ev->sources[i];

		awake |= memchr(source->buf + source->begin, '\n',
				source->end - source->begin) != NULL || source->gone;
	}
	if (awake && !ev->awake)
		n = write(ev->wake_fd, &count, sizeof(count));
	else if (!awake && ev->awake)
		n = read(ev->wake_fd, &count, sizeof(count));
	/* An eventfd that is 0 takes a 1, one that is 1 gives it. */
	(void)n;
	ev->awake = awake;
}

/* One GPU at a time, after all events. */
static int tell_gone(struct kfdsvm_events *ev)
{
	for (unsigned int i = 0; i < ev->nsources; i++) {
		if (!ev->sources[i].gone)
			continue;
		ev->sources[i].gone = false;
		return -ENODEV;
	}
	return 0;
}

static int events_read(struct kfdsvm_events *ev, char *list, unsigned int room,
		       size_t entry_size)
{
	unsigned int n = 0;
	int ret, error = 0;

	for (unsigned int i = 0; i < ev->nsources && n < room; i++) {
		struct source *source = &ev->sources[(ev->next + i) % ev->nsources];

		ret = drain(ev, source, list + n * entry_size, room - n, entry_size);
		if (ret < 0)
			error = ret;
		else
			n += (unsigned int)ret;
	}
	if (!n && !error)
		error = tell_gone(ev);
	/* So that a busy GPU does not keep the others from being heard. */
	ev->next = (ev->next + 1) % ev->nsources;
	set_awake(ev);
	return n ? (int)n : error;
}

int kfdsvm_events_read(struct kfdsvm_events *ev, struct kfdsvm_event *list, unsigned int n,
		       size_t entry_size)
{
	int saved = errno;
	int ret;

	if (!ev || !list || !n || n > INT_MAX || !entry_size)
		return -EINVAL;
	ret = kfdsvm_check(ev->h);
	if (!ret) {
		pthread_mutex_lock(&ev->lock);
		ret = events_read(ev, (char *)list, n, entry_size);
		pthread_mutex_unlock(&ev->lock);
	}
	errno = saved;
	return ret;
}
