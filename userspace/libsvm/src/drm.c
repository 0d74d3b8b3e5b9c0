// SPDX-License-Identifier: MIT
/*
 * libdrm_amdgpu and libhsakmt, found at run time: a program that only asks why
 * SVM does not work needs neither, and the libdrm that counts is the very one
 * that libhsakmt uses, whatever its file is called.
 *
 * The table of devices belongs to the process. A device is never given back,
 * see acquire.c, but in a child of fork: its file is the parent's there, and
 * whoever opens in the child must get a new one from libdrm. That is done in the
 * fork handler because it may be another library that opens there. The handler
 * takes libdrm's lock; a program that forks while another thread is just inside
 * libdrm's device code has that problem with or without us.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "drm.h"

#define FIRST_RENDER	128u
#define NRENDER		128u
#define THUNK_ALREADY_OPENED 22u

struct amdgpu_device;

/* As in <amdgpu.h> and <hsakmt.h>. */
struct drm_calls {
	int (*initialize)(int fd, uint32_t *major, uint32_t *minor, struct amdgpu_device **dev);
	int (*deinitialize)(struct amdgpu_device *dev);
	int (*get_fd)(struct amdgpu_device *dev);
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Guards all below. Taken around fork. libdrm's own lock nests inside. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct drm_calls calls;
static struct amdgpu_device *devices[NRENDER];

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
	for (unsigned int i = 0; i < NRENDER; i++) {
		if (devices[i])
			calls.deinitialize(devices[i]);
		devices[i] = NULL;
	}
	pthread_mutex_unlock(&lock);
}

static void setup(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* dlsym() gives an object pointer; ISO C has no cast from it to a function's. */
static void find(void *library, const char *name, void *function)
{
	void *symbol = dlsym(library, name);

	memcpy(function, &symbol, sizeof(symbol));
}

static bool find_calls(void *library)
{
	struct drm_calls found;

	find(library, "amdgpu_device_initialize", &found.initialize);
	find(library, "amdgpu_device_deinitialize", &found.deinitialize);
	find(library, "amdgpu_device_get_fd", &found.get_fd);
	if (!found.initialize || !found.deinitialize || !found.get_fd)
		return false;
	calls = found;
	return true;
}

/*
 * A handle on @name searches the libraries it was linked to as well, so this
 * finds the libdrm of a runtime that is loaded. The handle is kept: what it
 * stands for must not go away.
 */
static bool find_through(const char *name, int flags)
{
	void *library = dlopen(name, RTLD_NOW | flags);

	if (!library)
		return false;
	if (find_calls(library))
		return true;
	dlclose(library);
	return false;
}

static bool have_calls(void)
{
	return calls.initialize || find_through("libhsakmt.so.1", RTLD_NOLOAD) ||
	       find_through("libhsa-runtime64.so.1", RTLD_NOLOAD) ||
	       find_through("libdrm_amdgpu.so.1", 0);
}

int kfdsvm_real_drm_share(void *ctx, unsigned int minor, int fd)
{
	unsigned int i = minor - FIRST_RENDER;
	uint32_t drm_major, drm_minor;
	int ret = 0;

	(void)ctx;
	if (i >= NRENDER)
		return -EINVAL;
	pthread_once(&once, setup);
	pthread_mutex_lock(&lock);
	if (!have_calls())
		ret = -ENOSYS;
	else if (!devices[i])
		ret = calls.initialize(fd, &drm_major, &drm_minor, &devices[i]);
	if (ret)
		devices[i] = NULL;
	else
		ret = calls.get_fd(devices[i]);
	pthread_mutex_unlock(&lock);
	/* libdrm's results are 0 or -errno, but not everywhere. */
	return ret > 0 && !devices[i] ? -EIO : ret;
}

void kfdsvm_real_drm_drop(void *ctx, unsigned int minor)
{
	unsigned int i = minor - FIRST_RENDER;

	(void)ctx;
	if (i >= NRENDER)
		return;
	pthread_mutex_lock(&lock);
	if (devices[i])
		calls.deinitialize(devices[i]);
	devices[i] = NULL;
	pthread_mutex_unlock(&lock);
}

/*
 * hsaKmtGetAMDGPUDeviceHandle came with the change that made libhsakmt use
 * libdrm's file; it looks for amdgpu_device_get_fd at run time, as we do.
 */
enum kfdsvm_thunk kfdsvm_real_thunk(void *ctx)
{
	void *thunk = dlopen("libhsakmt.so.1", RTLD_NOW | RTLD_NOLOAD);
	enum kfdsvm_thunk kind = KFDSVM_THUNK_PRIVATE;

	(void)ctx;
	if (!thunk)
		return KFDSVM_THUNK_NONE;
	if (dlsym(thunk, "hsaKmtGetAMDGPUDeviceHandle") && dlsym(thunk, "amdgpu_device_get_fd"))
		kind = KFDSVM_THUNK_SHARES;
	dlclose(thunk);
	return kind;
}

void kfdsvm_real_thunk_nudge(void *ctx)
{
	void *thunk = dlopen("libhsakmt.so.1", RTLD_NOW | RTLD_NOLOAD);
	unsigned int (*open_kfd)(void);
	unsigned int (*close_kfd)(void);

	(void)ctx;
	if (!thunk)
		return;
	find(thunk, "hsaKmtOpenKFD", &open_kfd);
	find(thunk, "hsaKmtCloseKFD", &close_kfd);
	/* Success, and "was open already, is counted now": both want a close. */
	if (open_kfd && close_kfd) {
		unsigned int status = open_kfd();

		if (status == 0 || status == THUNK_ALREADY_OPENED)
			close_kfd();
	}
	dlclose(thunk);
}
