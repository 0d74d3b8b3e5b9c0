// SPDX-License-Identifier: MIT
/* Opening: find out what works, and if not, which of many things is missing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "kfd.h"

#define SVM_SINCE_MINOR	5u
#define OPEN_FLAGS	KFDSVM_OPEN_INSPECT

/* Results of kfdsvm_open() by reason; what the kernel said is in why.error. */
static int reason_error(const struct kfdsvm_why *why)
{
	switch (why->reason) {
	case KFDSVM_REASON_NONE:
		return 0;
	case KFDSVM_REASON_NO_KFD:
	case KFDSVM_REASON_KFD_HIDDEN:
		return -ENOENT;
	case KFDSVM_REASON_KFD_PERMISSION:
		return -EACCES;
	case KFDSVM_REASON_KFD_VERSION:
		return -EPROTO;
	case KFDSVM_REASON_KERNEL_NO_SVM:
		return -EPERM;
	case KFDSVM_REASON_KFD_ERROR:
		return why->error;
	default:
		return -ENODEV;
	}
}

static int open_kfd(struct kfdsvm *h)
{
	const struct kfdsvm_sys *sys = h->sys;
	int fd = sys->open(sys->ctx, DEV_KFD, O_RDWR);

	if (fd >= 0) {
		h->fd = fd;
		return 0;
	}
	if (fd == -ENOENT || fd == -ENXIO || fd == -ENODEV)
		kfdsvm_why_no_kfd(&h->why, sys);
	else if (fd == -EACCES || fd == -EPERM)
		kfdsvm_why_permission(&h->why, sys, KFDSVM_REASON_KFD_PERMISSION, fd, DEV_KFD);
	else
		kfdsvm_why_set(&h->why, KFDSVM_REASON_KFD_ERROR, fd,
			       DEV_KFD " cannot be opened, errno %d", -fd);
	return fd;
}

static int check_version(struct kfdsvm *h)
{
	struct kfd_version_args args = { 0 };
	int ret = kfdsvm_ioctl(h, KFD_IOC_VERSION, &args);

	if (ret) {
		kfdsvm_why_set(&h->why, KFDSVM_REASON_KFD_ERROR, ret,
			       DEV_KFD " does not tell its version, errno %d", -ret);
		return ret;
	}
	h->kfd_major = args.major;
	h->kfd_minor = args.minor;
	if (args.major == 1 && args.minor >= SVM_SINCE_MINOR)
		return 0;
	kfdsvm_why_set(&h->why, KFDSVM_REASON_KFD_VERSION, -EPROTO,
		       "the interface of " DEV_KFD " is %u.%u, SVM needs 1.5 or a later 1.x",
		       args.major, args.minor);
	kfdsvm_why_fix(&h->why, "use Linux 5.14 or later");
	return -EPROTO;
}

/*
 * A kernel without SVM still has the XNACK call's number and answers EPERM, to
 * a query too. Nothing else tells such a kernel from a GPU without SVM.
 */
static int check_kernel(struct kfdsvm *h)
{
	struct kfd_svm_xnack_args args = { .xnack_enabled = -1 };
	int ret = kfdsvm_ioctl(h, KFD_SVM_IOC_XNACK, &args);

	if (ret >= 0)
		return 0;
	if (ret == -EPERM || ret == -ENOTTY) {
		kfdsvm_why_set(&h->why, KFDSVM_REASON_KERNEL_NO_SVM, ret,
			       "the driver refuses SVM calls to everybody (errno %d)", -ret);
		kfdsvm_why_fix(&h->why, "use a kernel with CONFIG_HSA_AMD_SVM=y, which needs "
			       "CONFIG_DEVICE_PRIVATE=y; on Debian 13 that is the kernel of backports");
	} else {
		kfdsvm_why_set(&h->why, KFDSVM_REASON_KFD_ERROR, ret,
			       "the XNACK mode cannot be asked for, errno %d", -ret);
	}
	return ret;
}

static void check_gpus(struct kfdsvm *h)
{
	unsigned int usable = 0, i;
	struct kfdsvm_why *first = NULL;

	for (i = 0; i < h->ndevices; i++) {
		usable += h->devices[i].info.usable;
		if (!first && h->devices[i].why.reason)
			first = &h->devices[i].why;
	}
	if (usable || h->why.reason)
		return;
	if (!first) {
		kfdsvm_why_set(&h->why, KFDSVM_REASON_NO_GPU, -ENODEV,
			       "the topology has no GPU this process may see");
		kfdsvm_why_fix(&h->why, "see the kernel log for what kfd says about the GPU; in "
			       "a container, allow its render node");
		return;
	}
	/* With one cause for the first GPU, its words serve better than ours. */
	h->why = *first;
	if (h->ndevices > 1)
		h->why.reason = KFDSVM_REASON_NO_USABLE_GPU;
}

/* Find out step by step; the first thing that is missing ends up in h->why. */
static void probe(struct kfdsvm *h, unsigned int ngpus, int topology_error)
{
	kfdsvm_topology_read(h->sys, h, ngpus);
	if (open_kfd(h) || check_version(h))
		return;
	if (topology_error) {
		kfdsvm_why_set(&h->why, KFDSVM_REASON_NO_TOPOLOGY, topology_error,
			       SYS_TOPOLOGY "/nodes cannot be read, errno %d", -topology_error);
		kfdsvm_why_fix(&h->why, "see that sysfs is mounted and not masked");
		return;
	}
	if (!h->ndevices) {
		check_gpus(h);
		return;
	}
	if (check_kernel(h))
		return;
	kfdsvm_acquire_all(h);
	kfdsvm_find_migration(h);
	check_gpus(h);
}

/* Every GPU says why it is not usable, if only because nothing works. */
static void settle_devices(struct kfdsvm *h)
{
	for (unsigned int i = 0; i < h->ndevices; i++) {
		struct kfdsvm_device *dev = &h->devices[i];

		if (!dev->info.usable && !dev->why.reason)
			dev->why = h->why;
		if (h->why.reason)
			dev->info.usable = 0;
		dev->info.reason = dev->why.reason;
	}
}

/* Of the initial PID namespace, in /proc/self/ns: fixed by the kernel. */
#define INITIAL_PID_NAMESPACE	0xeffffffcu

/* The driver's names of processes are initial pids. Without /proc they are taken for ours. */
static pid_t find_driver_pid(const struct kfdsvm_sys *sys, pid_t pid)
{
	struct stat st;

	if (sys->stat(sys->ctx, PID_NAMESPACE, &st))
		return pid;
	return st.st_ino == INITIAL_PID_NAMESPACE ? pid : 0;
}

static struct kfdsvm *handle_new(const struct kfdsvm_sys *sys)
{
	unsigned int ngpus;
	int ret = kfdsvm_topology_count(sys, &ngpus);
	struct kfdsvm *h = calloc(1, sizeof(*h) + ngpus * sizeof(h->devices[0]));

	if (!h)
		return NULL;
	h->sys = sys;
	h->fd = -1;
	h->pid = sys->getpid(sys->ctx);
	h->driver_pid = find_driver_pid(sys, h->pid);
	h->page = sys->page_size(sys->ctx);
	probe(h, ngpus, ret);
	settle_devices(h);
	h->error = reason_error(&h->why);
	return h;
}

static int give_why(struct kfdsvm_why *to, const struct kfdsvm_why *from)
{
	return to ? kfdsvm_give(to, from, sizeof(*from)) : 0;
}

int kfdsvm_open_sys(struct kfdsvm **handle, const struct kfdsvm_open_options *options,
		    const struct kfdsvm_sys *sys)
{
	struct kfdsvm_open_options opts = { .size = sizeof(opts) };
	struct kfdsvm *h;
	int ret = 0;

	if (!handle)
		return -EINVAL;
	*handle = NULL;
	if (options)
		ret = kfdsvm_take(&opts, sizeof(opts), options);
	if (!ret && (opts.flags & ~OPEN_FLAGS || opts.reserved))
		ret = -EINVAL;
	if (!ret && opts.why && opts.why->size <= sizeof(opts.why->size))
		ret = -EINVAL;
	if (ret)
		return ret;
	h = handle_new(sys);
	if (!h)
		return -ENOMEM;
	give_why(opts.why, &h->why);
	ret = h->error;
	if (ret && !(opts.flags & KFDSVM_OPEN_INSPECT)) {
		kfdsvm_close(h);
		return ret;
	}
	*handle = h;
	return 0;
}

int kfdsvm_open(struct kfdsvm **handle, const struct kfdsvm_open_options *options)
{
	int saved = errno;
	int ret = kfdsvm_open_sys(handle, options, &kfdsvm_sys_real);

	errno = saved;
	return ret;
}

void kfdsvm_close(struct kfdsvm *h)
{
	int saved = errno;

	if (h && h->fd >= 0)
		h->sys->close(h->sys->ctx, h->fd);
	free(h);
	errno = saved;
}

int kfdsvm_check(const struct kfdsvm *h)
{
	if (!h)
		return -EINVAL;
	if (h->error)
		return h->error;
	return h->sys->getpid(h->sys->ctx) == h->pid ? 0 : -ECHILD;
}

bool kfdsvm_has_gpu(const struct kfdsvm *h, uint32_t gpu_id)
{
	for (unsigned int i = 0; i < h->ndevices; i++)
		if (h->devices[i].info.gpu_id == gpu_id)
			return h->devices[i].info.usable;
	return false;
}

int kfdsvm_why(const struct kfdsvm *h, struct kfdsvm_why *why)
{
	return h && why ? give_why(why, &h->why) : -EINVAL;
}

unsigned int kfdsvm_device_count(const struct kfdsvm *h)
{
	return h ? h->ndevices : 0;
}

int kfdsvm_device_info(const struct kfdsvm *h, unsigned int index,
		       struct kfdsvm_device_info *info)
{
	if (!h || !info || index >= h->ndevices)
		return -EINVAL;
	return kfdsvm_give(info, &h->devices[index].info, sizeof(*info));
}

int kfdsvm_device_why(const struct kfdsvm *h, unsigned int index, struct kfdsvm_why *why)
{
	if (!h || !why || index >= h->ndevices)
		return -EINVAL;
	return give_why(why, &h->devices[index].why);
}

int kfdsvm_kfd_version(const struct kfdsvm *h, uint32_t *major, uint32_t *minor)
{
	if (!h || !major || !minor)
		return -EINVAL;
	if (!h->kfd_major)
		return h->error ? h->error : -ENODEV;
	*major = h->kfd_major;
	*minor = h->kfd_minor;
	return 0;
}
