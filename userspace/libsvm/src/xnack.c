// SPDX-License-Identifier: MIT
#include <errno.h>

#include "internal.h"

static int xnack_call(const struct kfdsvm *h, int mode)
{
	struct kfd_svm_xnack_args args = { .xnack_enabled = mode };
	int ret = kfdsvm_ioctl(h, KFD_SVM_IOC_XNACK, &args);

	if (ret)
		return ret;
	return mode < 0 ? args.xnack_enabled != 0 : 0;
}

int kfdsvm_xnack_get(struct kfdsvm *h)
{
	int saved = errno;
	int ret = kfdsvm_check(h);

	if (!ret)
		ret = xnack_call(h, -1);
	errno = saved;
	return ret;
}

int kfdsvm_xnack_set(struct kfdsvm *h, int enable)
{
	int saved = errno;
	int ret = kfdsvm_check(h);

	if (!ret)
		ret = xnack_call(h, enable != 0);
	errno = saved;
	return ret;
}

/* EPERM: some GPU cannot. Which kind of "cannot" is known by its generation. */
static void explain_eperm(const struct kfdsvm *h, struct kfdsvm_why *why)
{
	const struct kfdsvm_device_info *info = NULL;

	for (unsigned int i = 0; i < h->ndevices; i++) {
		info = &h->devices[i].info;
		if (info->xnack != KFDSVM_XNACK_NEVER)
			continue;
		kfdsvm_why_set(why, KFDSVM_REASON_XNACK_HARDWARE, -EPERM,
			       "gpu %u (%s) cannot replay faults: no GPU since GFX10 can, and one "
			       "such GPU in the machine is enough", info->gpu_id, info->gfx_name);
		kfdsvm_why_fix(why, "share memory before GPU work uses it; XNACK is not needed "
			       "for that");
		return;
	}
	for (unsigned int i = 0; i < h->ndevices; i++) {
		info = &h->devices[i].info;
		if (info->xnack != KFDSVM_XNACK_DRIVER)
			continue;
		kfdsvm_why_set(why, KFDSVM_REASON_XNACK_DRIVER, -EPERM,
			       "gpu %u (%s) replays faults only if its driver was loaded so",
			       info->gpu_id, info->gfx_name);
		kfdsvm_why_fix(why, "load the driver with noretry=0 (kernel command line: "
			       "amdgpu.noretry=0); or share memory, which needs no XNACK");
		return;
	}
	kfdsvm_why_set(why, KFDSVM_REASON_XNACK_DRIVER, -EPERM,
		       "the driver refuses: a virtual function (SR-IOV) without support for it");
	kfdsvm_why_fix(why, "share memory, which needs no XNACK");
}

static void explain(const struct kfdsvm *h, int error, struct kfdsvm_why *why)
{
	switch (error) {
	case -EPERM:
		explain_eperm(h, why);
		break;
	case -EBUSY:
		kfdsvm_why_set(why, KFDSVM_REASON_XNACK_BUSY, error,
			       "the process has a GPU queue, the mode is fixed until it is gone");
		kfdsvm_why_fix(why, "choose XNACK before the first queue; for HIP and HSA "
			       "programs set HSA_XNACK=1");
		break;
	default:
		kfdsvm_why_set(why, KFDSVM_REASON_XNACK_ERROR, error,
			       "the mode cannot be changed, errno %d", -error);
	}
}

int kfdsvm_xnack_why(struct kfdsvm *h, struct kfdsvm_why *why)
{
	struct kfdsvm_why found = { .reason = KFDSVM_REASON_NONE };
	int saved = errno;
	int ret = kfdsvm_check(h);

	if (!ret && why && why->size <= sizeof(why->size))
		ret = -EINVAL;
	if (!ret)
		ret = xnack_call(h, -1);
	if (!ret) {
		int error = xnack_call(h, 1);

		if (error)
			explain(h, error, &found);
		else
			xnack_call(h, 0);
		ret = !error;
	}
	if (ret >= 0 && why)
		kfdsvm_give(why, &found, sizeof(found));
	errno = saved;
	return ret;
}
