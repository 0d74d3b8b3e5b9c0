/* SPDX-License-Identifier: MIT */
/*
 * What the files of libkfdsvm share. A handle does not change after
 * kfdsvm_open() has returned it, which is what makes calls on it thread-safe;
 * what does change has a lock of its own: the table of DRM devices (drm.c),
 * rings (async.c) and listeners (events.c).
 */
#ifndef KFDSVM_INTERNAL_H
#define KFDSVM_INTERNAL_H

#include <linux/kfd_svm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "kfdsvm.h"

#define DEV_KFD			"/dev/kfd"
#define SYS_TOPOLOGY		"/sys/devices/virtual/kfd/kfd/topology"
#define SYS_PROC		"/sys/devices/virtual/kfd/kfd/proc"
#define DEBUG_SVM		"/sys/kernel/debug/kfd_svm"
#define PID_NAMESPACE		"/proc/self/ns/pid"
#define KFDSVM_MAX_NODES	4096u
/* The most attributes one call carries, so the most GPUs too. */
#define KFDSVM_MAX_GPUS		1024u

/* How libhsakmt in this process, if any, comes to its DRM files. */
enum kfdsvm_thunk {
	KFDSVM_THUNK_NONE,	/* not loaded */
	KFDSVM_THUNK_SHARES,	/* takes libdrm's descriptor, as we do */
	KFDSVM_THUNK_PRIVATE,	/* opens render nodes for itself: before ROCm 6 */
};

/**
 * struct kfdsvm_sys - the only way to the world outside; tests give their own
 *
 * All return -errno on failure, none touches errno of the caller that matters:
 * the API functions save it.
 *
 * @open: as open(2) with O_CLOEXEC
 * @ioctl: once; the caller retries
 * @read_file: all of a file, at most @len - 1 bytes and a final 0; bytes read
 * @pread: as pread(2)
 * @mincore: as mincore(2)
 * @stat: as stat(2)
 * @group: name of a group, or its number as text
 * @in_group: 1: the process is in it; 0: nor is the user in the group database;
 *	2: only the database has it, so a new login will do
 * @thunk: see enum kfdsvm_thunk
 * @thunk_nudge: make libhsakmt open and close the driver
 * @drm_share: descriptor of libdrm's device for the render node that @fd is;
 *	belongs to the process for good
 * @drm_drop: undo @drm_share, so that the next one starts anew
 */
struct kfdsvm_sys {
	int (*open)(void *ctx, const char *path, int flags);
	void (*close)(void *ctx, int fd);
	int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
	ssize_t (*read_file)(void *ctx, const char *path, char *buf, size_t len);
	ssize_t (*pread)(void *ctx, int fd, void *buf, size_t len, uint64_t offset);
	int (*mincore)(void *ctx, uintptr_t start, size_t len, unsigned char *vec);
	int (*stat)(void *ctx, const char *path, struct stat *st);
	void (*group)(void *ctx, gid_t gid, char *buf, size_t len);
	int (*in_group)(void *ctx, gid_t gid);
	pid_t (*getpid)(void *ctx);
	size_t (*page_size)(void *ctx);
	enum kfdsvm_thunk (*thunk)(void *ctx);
	void (*thunk_nudge)(void *ctx);
	int (*drm_share)(void *ctx, unsigned int minor, int fd);
	void (*drm_drop)(void *ctx, unsigned int minor);
	void *ctx;
};

extern const struct kfdsvm_sys kfdsvm_sys_real;

/* Whether shared memory can live in a GPU's VRAM, as far as it can be known. */
enum kfdsvm_migration {
	KFDSVM_MIGRATION_UNKNOWN,	/* it may; the CPU faults on it */
	KFDSVM_MIGRATION_NONE,
	KFDSVM_MIGRATION_PRIVATE,	/* the CPU faults on it */
	KFDSVM_MIGRATION_COHERENT,	/* the CPU uses it like system memory */
};

struct kfdsvm_device {
	struct kfdsvm_device_info info;
	struct kfdsvm_why why;
	enum kfdsvm_migration migration;
};

/**
 * struct kfdsvm - a handle
 * @fd: /dev/kfd, or -1 (KFDSVM_OPEN_INSPECT)
 * @pid: who opened it
 * @driver_pid: the same as sysfs and debugfs name it; 0, which nobody is: not known,
 *	because pids are those of another namespace here
 * @page: page size
 * @error: what calls that need the kernel return, if SVM does not work
 * @why: that, in words; where SVM works, what is incomplete
 */
struct kfdsvm {
	const struct kfdsvm_sys *sys;
	int fd;
	pid_t pid;
	pid_t driver_pid;
	size_t page;
	int error;
	uint32_t kfd_major;
	uint32_t kfd_minor;
	struct kfdsvm_why why;
	unsigned int ndevices;
	struct kfdsvm_device devices[];
};

/* open.c; the seam for tests. */
int kfdsvm_open_sys(struct kfdsvm **handle, const struct kfdsvm_open_options *options,
		    const struct kfdsvm_sys *sys);
/* 0, or why a call that needs the kernel cannot be made. */
int kfdsvm_check(const struct kfdsvm *h);
bool kfdsvm_has_gpu(const struct kfdsvm *h, uint32_t gpu_id);

/* ioctl.c */
int kfdsvm_ioctl(const struct kfdsvm *h, unsigned long request, void *arg);

/* topology.c */
int kfdsvm_topology_count(const struct kfdsvm_sys *sys, unsigned int *ngpus);
void kfdsvm_topology_read(const struct kfdsvm_sys *sys, struct kfdsvm *h, unsigned int room);
void kfdsvm_gfx_name(uint32_t gfx_version, char *buf, size_t len);
enum kfdsvm_xnack_support kfdsvm_xnack_support(uint32_t gfx_version);

/* acquire.c: make the GPU's address space ours; fills in dev->info and dev->why. */
void kfdsvm_acquire_all(struct kfdsvm *h);

/* why.c */
void kfdsvm_why_set(struct kfdsvm_why *why, enum kfdsvm_reason reason, int error,
		    const char *what, ...) __attribute__((format(printf, 4, 5)));
void kfdsvm_why_fix(struct kfdsvm_why *why, const char *fix, ...)
	__attribute__((format(printf, 2, 3)));
void kfdsvm_why_permission(struct kfdsvm_why *why, const struct kfdsvm_sys *sys,
			   enum kfdsvm_reason reason, int error, const char *path);
void kfdsvm_why_no_kfd(struct kfdsvm_why *why, const struct kfdsvm_sys *sys);

/* counters.c: bytes that moved to and from the VRAM of all GPUs, or KFDSVM_UNKNOWN. */
void kfdsvm_moved(const struct kfdsvm *h, uint64_t *in, uint64_t *out);

/*
 * residency.c. look: where @range is; the caller has set places[].gpu_id. Measured:
 * a prefetch of whole pages, looked at before and after.
 */
int kfdsvm_look(const struct kfdsvm *h, const struct kfdsvm_range *range,
		struct kfdsvm_residency *r);
void kfdsvm_find_migration(struct kfdsvm *h);

/* event_parse.c; @page: bytes of a page. Does not touch gpu_id where the line has none. */
int kfdsvm_parse_event(const char *text, size_t len, size_t page, struct kfdsvm_event *event);

/*
 * Structures sized by the caller. take: copy in, missing members as 0; -E2BIG if
 * the caller says something this library does not know. give: copy out what
 * both know, but for the size itself. The second pair is for entries of arrays,
 * which have no member for their size.
 */
int kfdsvm_take(void *to, size_t known, const void *from);
int kfdsvm_give(void *to, const void *from, size_t known);
int kfdsvm_take_entry(void *to, size_t known, const void *from, size_t size);
void kfdsvm_give_entry(void *to, size_t size, const void *from, size_t known);

#endif
