/* SPDX-License-Identifier: MIT */
/*
 * Raw access to /dev/kfd for tests: one process, one GPU, no thunk, so that a
 * test sees every errno as the kernel returned it.
 *
 * All functions return 0 (or a count) or -errno and print nothing. Addresses
 * and lengths are bytes. What is made here needs no teardown: the kernel cleans
 * up at exit, and most tests rely on exactly that.
 */
#ifndef KT_H
#define KT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/kfd_ioctl.h>
#include <linux/kfd_svm.h>

#define KT_PAGE		4096UL
#define KT_HUGE		(2UL << 20)
#define KT_WAIT_MS	20000	/* a KASAN kernel under TCG is slow */
#define KT_SLICE	8192	/* doorbells of a process on one GPU */

#define KT_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Event types of the ABI. */
#define KT_EVENT_SIGNAL	0
#define KT_EVENT_MEMORY	8

/**
 * struct kt_bo - a memory object, mapped on the GPU at the CPU's address
 * @handle: name in the ABI, 0 when there is none
 * @cpu: CPU mapping, also its GPU address
 * @len: bytes
 */
struct kt_bo {
	uint64_t handle;
	void *cpu;
	size_t len;
};

/**
 * struct kt_dev - this process on one GPU
 * @kfd: /dev/kfd
 * @drm: the render node the VM was acquired through
 * @node: topology node
 * @gpu_id: its name in the ABI
 * @virt: it is the virtual GPU
 * @va_limit: last GPU address
 * @doorbells: the mapped slice, NULL before the first queue
 * @events: the event page, 4096 slots
 */
struct kt_dev {
	int kfd;
	int drm;
	unsigned int node;
	uint32_t gpu_id;
	bool virt;
	uint64_t va_base;
	uint64_t va_limit;
	uint64_t *doorbells;
	struct kt_bo events;
};

/**
 * struct kt_queue - an SDMA queue in user space
 * @put: bytes written to the ring so far
 */
struct kt_queue {
	struct kt_dev *dev;
	uint32_t id;
	struct kt_bo ring;
	struct kt_bo ptrs;
	volatile uint64_t *rptr;
	volatile uint64_t *wptr;
	volatile uint64_t *doorbell;
	uint64_t put;
};

/* dev.c */
int kt_ioctl(int fd, unsigned long cmd, void *arg);
/* Topology node of the @index'th GPU, or the node asked for if @node >= 0. */
int kt_find_node(int node, unsigned int *found);
int kt_node_property(unsigned int node, const char *name, uint64_t *value);
int kt_open_kfd(struct kt_dev *dev, int node);
int kt_open_render(struct kt_dev *dev);
int kt_acquire_vm(struct kt_dev *dev);
/* All three. */
int kt_open(struct kt_dev *dev, int node);
void kt_close(struct kt_dev *dev);
int kt_xnack(int kfd, int32_t *mode);

/* svm.c */
int kt_svm(int kfd, uint32_t op, uint64_t start, uint64_t size, uint32_t nattr,
	   struct kfd_svm_attribute *attrs);
int kt_svm_set1(int kfd, const void *start, uint64_t size, uint32_t type,
		uint32_t value);
/* As kt_svm() but with any length in the command and any nattr in the struct. */
int kt_svm_raw(int kfd, size_t cmd_len, struct kfd_svm_args *args);

/* bo.c */
int kt_bo_ioctl(struct kt_dev *dev, uint64_t va, uint64_t size, uint32_t flags,
		uint64_t *mmap_offset, uint64_t *handle);
int kt_bo_free_handle(struct kt_dev *dev, uint64_t handle);
int kt_bo_map(struct kt_dev *dev, uint64_t handle);
int kt_bo_unmap(struct kt_dev *dev, uint64_t handle);
/* GTT memory with a CPU mapping at its GPU address. */
int kt_bo_gtt(struct kt_dev *dev, size_t len, struct kt_bo *bo);
int kt_bo_vram(struct kt_dev *dev, size_t len, struct kt_bo *bo);
void kt_bo_free(struct kt_dev *dev, struct kt_bo *bo);

/* event.c */
int kt_event_create(struct kt_dev *dev, uint32_t type, bool auto_reset,
		    uint32_t *id);
int kt_event_destroy(struct kt_dev *dev, uint32_t id);
int kt_event_set(struct kt_dev *dev, uint32_t id);
int kt_event_reset(struct kt_dev *dev, uint32_t id);
/* 0, -ETIME, -EIO (destroyed meanwhile) or -errno. @data may be NULL. */
int kt_event_wait(struct kt_dev *dev, uint32_t id, uint32_t timeout_ms,
		  struct kfd_event_data *data);

/* queue.c */
int kt_queue_ioctl(struct kt_dev *dev, struct kfd_ioctl_create_queue_args *args);
int kt_queue_create(struct kt_dev *dev, size_t ring_len, struct kt_queue *q);
int kt_queue_destroy(struct kt_queue *q);
int kt_queue_update(struct kt_queue *q, uint64_t ring_len, uint32_t percentage);
int kt_doorbells_map(struct kt_dev *dev, uint64_t offset);
int kt_queue_emit(struct kt_queue *q, const uint32_t *dw, unsigned int ndw);
void kt_queue_ring(struct kt_queue *q);
int kt_queue_wait(struct kt_queue *q, unsigned int timeout_ms);
static inline bool kt_queue_done(const struct kt_queue *q)
{
	return *q->rptr == q->put;
}

/* util.c */
uint64_t kt_now_ms(void);
/* Between two looks at a condition: about 50 microseconds. */
void kt_pause(void);
int kt_read_file(const char *path, char *buf, size_t len);

/* A descriptor over a UNIX socket: 0 or the new descriptor, or -errno. */
int kt_send_fd(int sock, int fd);
int kt_receive_fd(int sock);
int kt_write_file(const char *path, const char *text);
/* upstream's counters_<gpu>/NAME in sysfs, or the virtual GPU's in debugfs. */
int kt_counter(struct kt_dev *dev, const char *name, uint64_t *value);

/* Bytes this process has in the GPU's VRAM: 0, or -errno where the driver does not tell. */
int kt_process_vram(struct kt_dev *dev, uint64_t *bytes);

/* Has the driver nothing of process @pid any more? It takes a process apart after its end. */
bool kt_process_gone(pid_t pid);

/*
 * Waits until @cond holds; the value is whether it did in time.
 */
#define kt_wait_for(cond, timeout_ms) ({				\
	uint64_t kt_end_ = kt_now_ms() + (timeout_ms);			\
	bool kt_ok_;							\
	while (!(kt_ok_ = (cond)) && kt_now_ms() < kt_end_)		\
		kt_pause();						\
	kt_ok_;								\
})

#endif /* KT_H */
