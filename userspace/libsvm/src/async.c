// SPDX-License-Identifier: MIT
/*
 * A ring of prefetches and the thread that does them.
 *
 * One ring serves for requests and completions, for they leave in the order they
 * came: `reaped` <= `done` <= `made`, numbers that only grow, and slots between
 * reaped and made are taken.
 *
 *   caller                   thread                    caller
 *   slot[made] = request     works on slot[done]       copies slot[reaped]
 *   made++, signal           done++, eventfd           reaped++; reaped == done:
 *                                                      drains the eventfd
 *
 * The thread works on its slot without the lock: nobody else looks at a slot
 * between done and made. The eventfd is written and drained under the lock, so it
 * is readable if and only if something can be reaped.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "call.h"

#define DEFAULT_DEPTH	64u
#define MAX_DEPTH	65536u

/**
 * struct kfdsvm_async - a ring
 * @lock: guards all below it but @slots, see above
 * @work: a request has come, or @stop
 * @slots: completions; until they are done, only what was asked for is set
 * @measure: by slot: KFDSVM_MEASURE
 */
struct kfdsvm_async {
	struct kfdsvm *h;
	int fd;
	uint32_t depth;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool stop;
	uint64_t made;
	uint64_t done;
	uint64_t reaped;
	bool *measure;
	struct kfdsvm_completion *slots;
};

static void prefetch(struct kfdsvm_async *a, struct kfdsvm_completion *c, bool measure)
{
	struct kfdsvm_progress progress;
	int ret = kfdsvm_check(a->h);

	if (!ret && !c->covered.len) {
		/* Nothing to do is done. */
	} else if (!ret && measure) {
		ret = kfdsvm_prefetch_look(a->h, &c->covered, c->location, &progress);
		c->before_len = progress.before_len;
		c->after_len = progress.after_len;
		c->page_in_len = progress.page_in_len;
		c->page_out_len = progress.page_out_len;
	} else if (!ret) {
		ret = kfdsvm_prefetch_pages(a->h, &c->covered, c->location);
	}
	c->result = ret;
}

static void *work(void *arg)
{
	struct kfdsvm_async *a = arg;
	uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&a->lock);
	for (;;) {
		uint32_t slot = (uint32_t)(a->done % a->depth);

		while (a->done == a->made && !a->stop)
			pthread_cond_wait(&a->work, &a->lock);
		if (a->stop)
			break;
		pthread_mutex_unlock(&a->lock);
		prefetch(a, &a->slots[slot], a->measure[slot]);
		pthread_mutex_lock(&a->lock);
		a->done++;
		/* It counts what can be reaped, far from where a write would fail. */
		n = write(a->fd, &one, sizeof(one));
		(void)n;
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(struct kfdsvm_async *a)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	ret = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (ret)
		return -ret;
	ret = pthread_create(&a->thread, NULL, work, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	a->has_thread = !ret;
	return -ret;
}

static int fill_in(struct kfdsvm_async *a)
{
	a->slots = calloc(a->depth, sizeof(a->slots[0]));
	a->measure = calloc(a->depth, sizeof(a->measure[0]));
	if (!a->slots || !a->measure)
		return -ENOMEM;
	a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->fd < 0)
		return -errno;
	return start_thread(a);
}

static int async_open(struct kfdsvm_async **async, struct kfdsvm *h,
		      const struct kfdsvm_async_options *options)
{
	struct kfdsvm_async_options opts = { .size = sizeof(opts) };
	struct kfdsvm_async *a;
	int ret = kfdsvm_check(h);

	if (!ret && options)
		ret = kfdsvm_take(&opts, sizeof(opts), options);
	if (!ret && (opts.flags || opts.depth > MAX_DEPTH))
		ret = -EINVAL;
	if (ret)
		return ret;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->h = h;
	a->fd = -1;
	a->depth = opts.depth ? opts.depth : DEFAULT_DEPTH;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->work, NULL);
	ret = fill_in(a);
	if (ret) {
		kfdsvm_async_close(a);
		return ret;
	}
	*async = a;
	return 0;
}

int kfdsvm_async_open(struct kfdsvm_async **async, struct kfdsvm *handle,
		      const struct kfdsvm_async_options *options)
{
	int saved = errno;
	int ret = -EINVAL;

	if (async) {
		*async = NULL;
		ret = async_open(async, handle, options);
	}
	errno = saved;
	return ret;
}

static void stop_thread(struct kfdsvm_async *a)
{
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_signal(&a->work);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->work);
	pthread_mutex_destroy(&a->lock);
}

void kfdsvm_async_close(struct kfdsvm_async *a)
{
	int saved = errno;

	if (!a)
		return;
	/* In a child of fork there is no thread, and its lock may be held for ever. */
	if (a->has_thread && a->h->sys->getpid(a->h->sys->ctx) == a->h->pid)
		stop_thread(a);
	if (a->fd >= 0)
		close(a->fd);
	free(a->slots);
	free(a->measure);
	free(a);
	errno = saved;
}

int kfdsvm_async_fd(const struct kfdsvm_async *a)
{
	return a ? a->fd : -EINVAL;
}

static int submit(struct kfdsvm_async *a, const struct kfdsvm_completion *request,
		  bool measure)
{
	int ret = -ENOBUFS;

	pthread_mutex_lock(&a->lock);
	if (a->made - a->reaped < a->depth) {
		uint32_t slot = (uint32_t)(a->made % a->depth);

		a->slots[slot] = *request;
		a->measure[slot] = measure;
		a->made++;
		pthread_cond_signal(&a->work);
		ret = 0;
	}
	pthread_mutex_unlock(&a->lock);
	return ret;
}

int kfdsvm_async_prefetch(struct kfdsvm_async *a, const void *addr, size_t len,
			  uint32_t location, unsigned int flags, uint64_t cookie,
			  struct kfdsvm_range *covered)
{
	struct kfdsvm_completion request = {
		.cookie = cookie,
		.location = location,
		.before_len = KFDSVM_UNKNOWN,
		.after_len = KFDSVM_UNKNOWN,
		.page_in_len = KFDSVM_UNKNOWN,
		.page_out_len = KFDSVM_UNKNOWN,
	};
	int saved = errno;
	int ret;

	if (!a)
		return -EINVAL;
	ret = kfdsvm_begin(a->h, addr, len, flags, KFDSVM_INNER | KFDSVM_MEASURE,
			   &request.covered, covered);
	if (!ret)
		ret = kfdsvm_check_location(a->h, location);
	if (!ret)
		ret = submit(a, &request, flags & KFDSVM_MEASURE);
	errno = saved;
	return ret;
}

static unsigned int reap(struct kfdsvm_async *a, char *out, unsigned int room,
			 size_t entry_size)
{
	unsigned int n = 0;
	uint64_t count;
	ssize_t got;

	for (; n < room && a->reaped < a->done; n++, a->reaped++)
		kfdsvm_give_entry(out + n * entry_size, entry_size,
				  &a->slots[a->reaped % a->depth], sizeof(a->slots[0]));
	if (n && a->reaped == a->done) {
		got = read(a->fd, &count, sizeof(count));
		(void)got;
	}
	return n;
}

int kfdsvm_async_reap(struct kfdsvm_async *a, struct kfdsvm_completion *completions,
		      unsigned int n, size_t entry_size)
{
	int saved = errno;
	int ret;

	if (!a || !completions || !n || n > INT_MAX || !entry_size)
		return -EINVAL;
	ret = kfdsvm_check(a->h);
	if (!ret) {
		pthread_mutex_lock(&a->lock);
		ret = (int)reap(a, (char *)completions, n, entry_size);
		pthread_mutex_unlock(&a->lock);
	}
	errno = saved;
	return ret;
}
