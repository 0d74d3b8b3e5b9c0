// SPDX-License-Identifier: MIT
/*
 * Errors in words. Texts are lower case without a final stop, so that a
 * program can put its own frame around them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

const char *kfdsvm_reason_text(enum kfdsvm_reason reason)
{
	switch (reason) {
	case KFDSVM_REASON_NONE:
		return "shared virtual memory works";
	case KFDSVM_REASON_NO_KFD:
		return "no /dev/kfd: no driver for AMD GPU compute is loaded";
	case KFDSVM_REASON_KFD_HIDDEN:
		return "the driver is loaded but /dev/kfd does not exist here";
	case KFDSVM_REASON_KFD_PERMISSION:
		return "no permission to open /dev/kfd";
	case KFDSVM_REASON_KFD_ERROR:
		return "/dev/kfd does not work";
	case KFDSVM_REASON_KFD_VERSION:
		return "the driver's interface is not one with shared virtual memory";
	case KFDSVM_REASON_KERNEL_NO_SVM:
		return "the kernel was built without SVM";
	case KFDSVM_REASON_NO_TOPOLOGY:
		return "the driver's topology cannot be read";
	case KFDSVM_REASON_NO_GPU:
		return "the driver has no GPU";
	case KFDSVM_REASON_NO_USABLE_GPU:
		return "there are GPUs but none that can share memory";
	case KFDSVM_REASON_GPU_NO_SVM:
		return "the GPU, or its driver, has no SVM";
	case KFDSVM_REASON_GPU_HIDDEN:
		return "the GPU is not among those of this process";
	case KFDSVM_REASON_RENDER_MISSING:
		return "the GPU's render node does not exist here";
	case KFDSVM_REASON_RENDER_PERMISSION:
		return "no permission to open the GPU's render node";
	case KFDSVM_REASON_RENDER_ERROR:
		return "the GPU's render node does not work";
	case KFDSVM_REASON_ACQUIRE:
		return "the driver refused the GPU's address space";
	case KFDSVM_REASON_XNACK_HARDWARE:
		return "a GPU cannot replay faults";
	case KFDSVM_REASON_XNACK_DRIVER:
		return "replaying of faults is switched off in the driver";
	case KFDSVM_REASON_XNACK_BUSY:
		return "the process already has a GPU queue";
	case KFDSVM_REASON_XNACK_ERROR:
		return "the XNACK mode cannot be changed";
	}
	return "unknown reason";
}

const char *kfdsvm_strerror(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return "success";
	case ENOENT:
		return "no /dev/kfd: no driver for AMD GPU compute is loaded";
	case EACCES:
		return "no permission to open /dev/kfd or the render node";
	case EPERM:
		return "not supported: kernel without SVM, or a GPU that cannot replay faults";
	case EPROTO:
		return "the driver's interface is not one with shared virtual memory";
	case ENODEV:
		return "no GPU that can share memory";
	case EINVAL:
		return "bad argument: empty range, page 0, unknown flag or GPU";
	case E2BIG:
		return "an option or count is beyond what this library knows";
	case EOVERFLOW:
		return "the range wraps around the address space";
	case EFAULT:
		return "not all of the range is readable ordinary memory of this process";
	case EADDRINUSE:
		return "part of the range is a buffer of a GPU runtime";
	case ENOMEM:
		return "out of memory";
	case EAGAIN:
		return "the memory kept changing during the call";
	case EBUSY:
		return "the process already has a GPU queue";
	case ECHILD:
		return "the handle belongs to another process; open one after fork";
	case ESRCH:
		return "the driver shows no such process";
	case ENOBUFS:
		return "the ring is full; reap completions first";
	case ECANCELED:
		return "not tried, because something before it failed";
	case EBADMSG:
		return "this is not a line of the driver's events";
	case EOPNOTSUPP:
		return "the system does not offer this";
	case EMFILE:
	case ENFILE:
		return "too many open files";
	default:
		return "unexpected error from the system";
	}
}

void kfdsvm_why_set(struct kfdsvm_why *why, enum kfdsvm_reason reason, int error,
		    const char *what, ...)
{
	va_list args;

	why->reason = reason;
	why->error = error;
	why->fix[0] = '\0';
	va_start(args, what);
	vsnprintf(why->what, sizeof(why->what), what, args);
	va_end(args);
}

void kfdsvm_why_fix(struct kfdsvm_why *why, const char *fix, ...)
{
	va_list args;

	va_start(args, fix);
	vsnprintf(why->fix, sizeof(why->fix), fix, args);
	va_end(args);
}

/* Tell whose the node is, and how this user would get in. */
void kfdsvm_why_permission(struct kfdsvm_why *why, const struct kfdsvm_sys *sys,
			   enum kfdsvm_reason reason, int error, const char *path)
{
	char group[64], owner[16];
	struct stat st;
	int member;

	if (sys->stat(sys->ctx, path, &st)) {
		kfdsvm_why_set(why, reason, error, "%s may not even be looked at", path);
		return;
	}
	sys->group(sys->ctx, st.st_gid, group, sizeof(group));
	if (st.st_uid)
		snprintf(owner, sizeof(owner), "uid %u", (unsigned int)st.st_uid);
	else
		snprintf(owner, sizeof(owner), "root");
	kfdsvm_why_set(why, reason, error, "%s belongs to %s, group %s, mode %04o", path,
		       owner, group, (unsigned int)st.st_mode & 07777);
	member = sys->in_group(sys->ctx, st.st_gid);
	if (sizeof(void *) < 8)
		kfdsvm_why_fix(why, "use a 64-bit program, the driver refuses others");
	else if ((st.st_mode & 0060) != 0060)
		kfdsvm_why_fix(why, "the mode lets no group in: install the udev rules that "
			       "give %s to group render with mode 0660", path);
	else if (member == 1)
		kfdsvm_why_fix(why, "this process is in group %s: look for a container's device "
			       "cgroup or a security module that forbids it", group);
	else if (member == 2)
		kfdsvm_why_fix(why, "this user is in group %s but this session is older: log in "
			       "again", group);
	else
		kfdsvm_why_fix(why, "usermod -aG %s USER as root, then log in again", group);
}

void kfdsvm_why_no_kfd(struct kfdsvm_why *why, const struct kfdsvm_sys *sys)
{
	struct stat st;

	if (!sys->stat(sys->ctx, SYS_TOPOLOGY "/generation_id", &st)) {
		kfdsvm_why_set(why, KFDSVM_REASON_KFD_HIDDEN, -ENOENT,
			       "sysfs shows the driver's topology, but there is no " DEV_KFD);
		kfdsvm_why_fix(why, "in a container pass --device=/dev/kfd --device=/dev/dri; "
			       "else see that udev runs");
		return;
	}
	if (!sys->stat(sys->ctx, "/sys/module/amdgpu", &st)) {
		kfdsvm_why_set(why, KFDSVM_REASON_NO_KFD, -ENOENT,
			       "module amdgpu is loaded, but offers no " DEV_KFD);
		kfdsvm_why_fix(why, "use a kernel built with CONFIG_HSA_AMD=y, and look in the "
			       "kernel log for what kfd says about the GPU");
		return;
	}
	kfdsvm_why_set(why, KFDSVM_REASON_NO_KFD, -ENOENT,
		       "there is no " DEV_KFD " and module amdgpu is not loaded");
	kfdsvm_why_fix(why, "modprobe amdgpu on a machine with an AMD GPU, or load the virtual "
		       "GPU (./dev run)");
}
