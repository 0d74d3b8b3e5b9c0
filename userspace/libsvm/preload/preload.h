/* SPDX-License-Identifier: MIT */
/*
 * libkfdsvm-preload.so: what `kfdsvm run` loads into a program that knows nothing
 * of SVM, so that its GPUs can use all of its memory without XNACK.
 *
 * States
 *
 *  IDLE	The process has not called /dev/kfd. The functions interposed here
 *		test one variable and go on; malloc is not interposed at all.
 *  TRACK	It has. What the GPU runtime maps is noted (own.c), to be left alone.
 *  ACTIVE	It has a queue, on a GPU with XNACK off (or a policy was asked for).
 *		All memory there was when the queue was made has been registered,
 *		and new memory is registered before the program gets its address.
 *
 * How new memory is noticed
 *
 *  - mmap, mremap, mprotect, brk, sbrk, shmat and thread creation are interposed
 *    as symbols. They are rare, so that costs nothing that matters.
 *  - glibc's malloc maps memory without a call that could be interposed, and
 *    malloc itself is too frequent to be slowed down in a program that may never
 *    use a GPU. So it is interposed when the first queue comes, by writing to the
 *    tables (GOT) through which the loaded objects call it (got.c). The new malloc
 *    calls glibc's and looks whether what came lies in known parts of the heap
 *    (heap.c).
 *  - munmap needs no notice: the driver forgets attributes with the mapping. What
 *    user space keeps as known (heap.c) is kept from being unmapped instead.
 *
 * The guarantee: when a call that gives the program memory returns, and when the
 * call that creates a queue returns, the memory is registered. It cannot be given
 * for memory that comes by system calls of the program's own, for what a library
 * loaded after the first queue does before the next interposed call, and for what
 * the limit on resident memory leaves out. kfdsvm-run(1) has the whole list.
 *
 * Locks, outermost first: activation (main.c), the dynamic linker's (inside
 * dl_iterate_phdr), pre_lock(). Under the first neither dlsym() nor dladdr() may be
 * called: the lock that these take is held while constructors run, and one may make a
 * queue. While pre_lock() is held all signals are blocked, only raw system calls are
 * made, and nothing is allocated. None of them is held across a fork.
 */
#ifndef KFDSVM_PRELOAD_H
#define KFDSVM_PRELOAD_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pre_state { PRE_IDLE, PRE_TRACK, PRE_ACTIVE };

#define PRE_MAX_GPUS	64u

/* struct pre_options - see kfdsvm-run(1); sizes in bytes */
struct pre_options {
	uint64_t max_resident;		/* 0: three quarters of the memory */
	uint64_t stack_len;
	const char *report;		/* file, "-" for stderr, or NULL */
	int first_pid;			/* of the program that `kfdsvm run` started */
	bool follow;
	bool has_preferred;
	uint32_t preferred;		/* UINT32_MAX: the GPU of the first queue */
	bool has_granularity;
	uint32_t granularity_lg2;
};

/* struct pre_counts - what was done; bytes but for the first and the last two */
struct pre_counts {
	uint64_t ranges;
	uint64_t shared_len;
	uint64_t grown_len;		/* made resident by being registered */
	uint64_t over_len;		/* left out: over the limit */
	uint64_t busy_len;		/* left out: memory objects of the runtime */
	uint64_t refused_len;		/* left out: the driver refused */
	uint64_t conflicts;		/* userptr objects refused over our ranges */
};

/**
 * struct pre_process - this process
 * @state: enum pre_state
 * @populate: registering makes pages resident (XNACK off)
 * @kfd: a descriptor of /dev/kfd, or -1
 * @pid: who is ACTIVE; another process with this memory is a vfork child
 * All but @state and @page are guarded by pre_lock().
 */
struct pre_process {
	_Atomic int state;
	bool populate;
	bool over_told;
	int kfd;
	int pid;
	size_t page;
	uint64_t max_resident;
	uint32_t gpus[PRE_MAX_GPUS];
	unsigned int ngpus;
	struct pre_options options;
	struct pre_counts counts;
};

extern struct pre_process pre;

static inline bool pre_is(enum pre_state state)
{
	return __builtin_expect(atomic_load_explicit(&pre.state, memory_order_relaxed) >=
				(int)state, 0);
}

static inline uintptr_t pre_down(uintptr_t addr)
{
	return addr & ~(uintptr_t)(pre.page - 1);
}

static inline uintptr_t pre_up(uintptr_t addr)
{
	return pre_down(addr + pre.page - 1);
}

/* main.c */
void pre_lock(sigset_t *saved);
void pre_unlock(const sigset_t *saved);
void pre_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pre_queue_created(int fd, uint32_t gpu_id);

/* options.c */
void pre_options_read(struct pre_options *options);

/*
 * maps.c: /proc/self/maps, under pre_lock(). The walk ends when @visit returns
 * true; that is also the result. @name is valid during the visit.
 */
struct pre_mapping {
	uintptr_t start;
	uintptr_t end;
	uintptr_t before;	/* end of the mapping before */
	bool read, write, exec, shared;
	const char *name;
};

bool pre_maps(bool (*visit)(const struct pre_mapping *m, void *ctx), void *ctx);
bool pre_mapping_at(uintptr_t addr, uintptr_t *start, uintptr_t *end);

/* objects.c: loaded objects, found outside of pre_lock(). */
void pre_objects_refresh(void);
void pre_objects_forget(void);
bool pre_is_runtime_code(uintptr_t addr);
/* Whether a read-only mapping is part of a shared library. */
bool pre_in_library(uintptr_t addr);

/* own.c: the runtime's memory, under pre_lock(). */
void pre_own_add(uintptr_t start, uintptr_t end);
void pre_own_cut(uintptr_t start, uintptr_t end);
void pre_own_userptr(uint64_t handle, uintptr_t start, uintptr_t end);
/* Registers what was a memory object of the runtime. */
void pre_own_userptr_freed(uint64_t handle);
void pre_own_forget(void);
/* The first part of [@start, @end) that is not the runtime's: false: there is none. */
bool pre_own_next(uintptr_t *start, uintptr_t end, uintptr_t *part_end);

/* share.c, under pre_lock(). */
int pre_probe(uint32_t gpu_id);
void pre_share(uintptr_t start, uintptr_t end);
/* scan.c: everything there is, under pre_lock(). */
void pre_scan(void);

/* heap.c */
/* @real is what the program's calls of @name reach without us. */
struct pre_heap_hook {
	const char *name;
	void *hook;
	void *real;
};

extern struct pre_heap_hook pre_heap_hooks[];

/* In the constructor, without a lock: asks the dynamic linker what is needed later. */
void pre_heap_load(void);
void pre_heap_start(void);
/* Puts our malloc in again where somebody has put glibc's. */
void pre_heap_patch(void);
/* Under pre_lock(): the program moved the break itself; the scan saw the heap. */
void pre_heap_moved(void);
void pre_heap_seen(uintptr_t start, uintptr_t end);
void pre_heap_forget(void);

/* got.c */
void pre_got_patch(void);

#endif
