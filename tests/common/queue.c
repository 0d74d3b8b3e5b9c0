// SPDX-License-Identifier: MIT
/* SDMA queues: ring, pointers and doorbell in user space. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kt.h"

int kt_doorbells_map(struct kt_dev *dev, uint64_t offset)
{
	void *p;

	if (dev->doorbells)
		return 0;
	offset &= ~(uint64_t)(KT_SLICE - 1);
	p = mmap(NULL, KT_SLICE, PROT_READ | PROT_WRITE, MAP_SHARED, dev->kfd,
		 (off_t)offset);
	if (p == MAP_FAILED)
		return -errno;
	dev->doorbells = p;
	return 0;
}

int kt_queue_ioctl(struct kt_dev *dev, struct kfd_ioctl_create_queue_args *args)
{
	args->gpu_id = dev->gpu_id;
	args->queue_type = KFD_IOC_QUEUE_TYPE_SDMA;
	args->queue_percentage = 100;
	args->queue_priority = 7;
	return kt_ioctl(dev->kfd, AMDKFD_IOC_CREATE_QUEUE, args);
}

int kt_queue_create(struct kt_dev *dev, size_t ring_len, struct kt_queue *q)
{
	struct kfd_ioctl_create_queue_args args = { 0 };
	int ret;

	memset(q, 0, sizeof(*q));
	q->dev = dev;
	ret = kt_bo_gtt(dev, ring_len, &q->ring);
	if (ret)
		return ret;
	ret = kt_bo_gtt(dev, KT_PAGE, &q->ptrs);
	if (ret)
		goto err_ring;
	q->rptr = q->ptrs.cpu;
	q->wptr = q->rptr + 16;	/* a cache line of its own */
	args.ring_base_address = (uintptr_t)q->ring.cpu;
	args.ring_size = (uint32_t)ring_len;
	args.read_pointer_address = (uintptr_t)q->rptr;
	args.write_pointer_address = (uintptr_t)q->wptr;
	ret = kt_queue_ioctl(dev, &args);
	if (ret)
		goto err_ptrs;
	q->id = args.queue_id;
	ret = kt_doorbells_map(dev, args.doorbell_offset);
	if (ret) {
		kt_queue_destroy(q);
		return ret;
	}
	q->doorbell = dev->doorbells +
		      (args.doorbell_offset & (KT_SLICE - 1)) / sizeof(uint64_t);
	return 0;

err_ptrs:
	kt_bo_free(dev, &q->ptrs);
err_ring:
	kt_bo_free(dev, &q->ring);
	return ret;
}

int kt_queue_destroy(struct kt_queue *q)
{
	struct kfd_ioctl_destroy_queue_args args = { .queue_id = q->id };
	int ret;

	ret = kt_ioctl(q->dev->kfd, AMDKFD_IOC_DESTROY_QUEUE, &args);
	if (ret)
		return ret;
	kt_bo_free(q->dev, &q->ptrs);
	kt_bo_free(q->dev, &q->ring);
	return 0;
}

int kt_queue_update(struct kt_queue *q, uint64_t ring_len, uint32_t percentage)
{
	struct kfd_ioctl_update_queue_args args = {
		.ring_base_address = ring_len ? (uintptr_t)q->ring.cpu : 0,
		.ring_size = (uint32_t)ring_len,
		.queue_id = q->id,
		.queue_percentage = percentage,
		.queue_priority = 7,
	};

	return kt_ioctl(q->dev->kfd, AMDKFD_IOC_UPDATE_QUEUE, &args);
}

/* Room for @bytes without overtaking the read pointer. */
static bool has_room(struct kt_queue *q, size_t bytes)
{
	return q->put + bytes - *q->rptr <= q->ring.len - sizeof(uint32_t);
}

int kt_queue_emit(struct kt_queue *q, const uint32_t *dw, unsigned int ndw)
{
	size_t bytes = ndw * sizeof(*dw);
	size_t at = q->put & (q->ring.len - 1);
	size_t pad = at + bytes > q->ring.len ? q->ring.len - at : 0;
	size_t room = bytes + pad;

	if (room > q->ring.len - sizeof(uint32_t))
		return -ENOSPC;
	if (!has_room(q, room)) {
		kt_queue_ring(q);
		if (!kt_wait_for(has_room(q, room), KT_WAIT_MS))
			return -ETIME;
	}
	if (pad) {
		/* A packet does not wrap; zero dwords are NOPs. */
		memset((char *)q->ring.cpu + at, 0, pad);
		q->put += pad;
		at = 0;
	}
	memcpy((char *)q->ring.cpu + at, dw, bytes);
	q->put += bytes;
	return 0;
}

void kt_queue_ring(struct kt_queue *q)
{
	/* The packets before the pointer, the pointer before the bell. */
	__atomic_store_n(q->wptr, q->put, __ATOMIC_RELEASE);
	__atomic_store_n(q->doorbell, q->put, __ATOMIC_RELEASE);
}

int kt_queue_wait(struct kt_queue *q, unsigned int timeout_ms)
{
	return kt_wait_for(kt_queue_done(q), timeout_ms) ? 0 : -ETIME;
}
