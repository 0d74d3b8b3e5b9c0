// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "kt.h"

#define EVENT_PAGE_LEN (4096 * sizeof(uint64_t))

int kt_event_create(struct kt_dev *dev, uint32_t type, bool auto_reset, uint32_t *id)
{
	struct kfd_ioctl_create_event_args args = {
		.event_type = type,
		.auto_reset = auto_reset,
	};
	int ret;

	/* A discrete GPU needs the page it signals through from user space. */
	if (!dev->events.handle) {
		ret = kt_bo_gtt(dev, EVENT_PAGE_LEN, &dev->events);
		if (ret)
			return ret;
		args.event_page_offset = dev->events.handle;
	}
	ret = kt_ioctl(dev->kfd, AMDKFD_IOC_CREATE_EVENT, &args);
	if (ret)
		return ret;
	*id = args.event_id;
	return 0;
}

int kt_event_destroy(struct kt_dev *dev, uint32_t id)
{
	struct kfd_ioctl_destroy_event_args args = { .event_id = id };

	return kt_ioctl(dev->kfd, AMDKFD_IOC_DESTROY_EVENT, &args);
}

int kt_event_set(struct kt_dev *dev, uint32_t id)
{
	struct kfd_ioctl_set_event_args args = { .event_id = id };

	return kt_ioctl(dev->kfd, AMDKFD_IOC_SET_EVENT, &args);
}

int kt_event_reset(struct kt_dev *dev, uint32_t id)
{
	struct kfd_ioctl_reset_event_args args = { .event_id = id };

	return kt_ioctl(dev->kfd, AMDKFD_IOC_RESET_EVENT, &args);
}

int kt_event_wait(struct kt_dev *dev, uint32_t id, uint32_t timeout_ms,
		  struct kfd_event_data *data)
{
	struct kfd_event_data d = { .event_id = id };
	struct kfd_ioctl_wait_events_args args = {
		.events_ptr = (uintptr_t)&d,
		.num_events = 1,
		.timeout = timeout_ms,
	};
	int ret;

	do {
		ret = kt_ioctl(dev->kfd, AMDKFD_IOC_WAIT_EVENTS, &args);
	} while (ret == -EINTR || ret == -EAGAIN);
	if (ret)
		return ret;
	if (data)
		*data = d;
	switch (args.wait_result) {
	case KFD_IOC_WAIT_RESULT_COMPLETE:
		return 0;
	case KFD_IOC_WAIT_RESULT_TIMEOUT:
		return -ETIME;
	default:
		return -EIO;
	}
}
