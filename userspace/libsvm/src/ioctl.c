// SPDX-License-Identifier: MIT
#include <errno.h>
#include <time.h>

#include "internal.h"

/* A range that changes under the kernel's hands settles within this: 65 ms. */
#define EAGAIN_TRIES 16

static void pause_us(long us)
{
	struct timespec ts = { .tv_sec = 0, .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

/*
 * One call to the driver. All requests of this library can be repeated: they
 * ask, or set something to a value.
 */
int kfdsvm_ioctl(const struct kfdsvm *h, unsigned long request, void *arg)
{
	int tries = 0;
	int ret;

	for (;;) {
		ret = h->sys->ioctl(h->sys->ctx, h->fd, request, arg);
		if (ret == -EINTR)
			continue;
		if (ret != -EAGAIN || ++tries == EAGAIN_TRIES)
			break;
		pause_us(1L << tries);
	}
	/*
	 * The descriptor is good, so this is the driver telling a child of a
	 * fork that getpid() could not tell about (CLONE_PARENT games, exec).
	 */
	return ret == -EBADF ? -ECHILD : ret;
}
