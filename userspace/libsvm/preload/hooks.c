// SPDX-License-Identifier: MIT
/*
 * The interposed functions but for malloc's: they do what libc's do, then tell.
 * Their errno is that of the call.
 */
/* mmap and mmap64 are two functions here, whatever the build asks for. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <threads.h>
#include <unistd.h>

#include "kfd_calls.h"
#include "preload.h"

#define EXPORT __attribute__((visibility("default")))
#define CALLER ((uintptr_t)__builtin_return_address(0))

/* What is behind us; found when first needed, which may be before our constructor. */
#define REAL(name) ({							\
	static __typeof__(&name) found_;				\
	__typeof__(&name) f_ = __atomic_load_n(&found_, __ATOMIC_RELAXED); \
	if (__builtin_expect(!f_, 0)) {					\
		*(void **)&f_ = dlsym(RTLD_NEXT, #name);		\
		__atomic_store_n(&found_, f_, __ATOMIC_RELAXED);	\
	}								\
	f_; })

/* ---- /dev/kfd ---- */

static bool is_kfd(int fd)
{
	static _Atomic dev_t kfd;
	struct stat st;

	if (!atomic_load(&kfd)) {
		if (stat("/dev/kfd", &st))
			return false;
		atomic_store(&kfd, st.st_rdev);
	}
	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == atomic_load(&kfd);
}

static void allocated(const struct pre_kfd_alloc_memory *args, uint64_t cpu_addr)
{
	sigset_t saved;

	pre_lock(&saved);
	pre_own_userptr(args->handle, pre_down(cpu_addr), pre_up(cpu_addr + args->size));
	pre_unlock(&saved);
}

static void freed(const struct pre_kfd_free_memory *args)
{
	sigset_t saved;

	pre_lock(&saved);
	pre_own_userptr_freed(args->handle);
	pre_unlock(&saved);
}

static void refused(void)
{
	sigset_t saved;

	pre_lock(&saved);
	pre.counts.conflicts += pre_is(PRE_ACTIVE);
	pre_unlock(&saved);
}

static int kfd_ioctl(int fd, unsigned long request, void *arg)
{
	unsigned int nr = _IOC_NR(request), len = _IOC_SIZE(request);
	bool alloc = nr == PRE_KFD_ALLOC_MEMORY && len >= sizeof(struct pre_kfd_alloc_memory);
	const struct pre_kfd_alloc_memory *memory = arg;
	uint64_t cpu_addr = 0;
	int ret, saved;

	if (!pre_is(PRE_TRACK)) {
		int idle = PRE_IDLE;

		atomic_compare_exchange_strong(&pre.state, &idle, PRE_TRACK);
	}
	if (alloc && memory->flags & PRE_KFD_MEMORY_USERPTR)
		cpu_addr = memory->mmap_offset;
	ret = REAL(ioctl)(fd, request, arg);
	saved = errno;
	if (ret && cpu_addr && saved == EADDRINUSE)
		refused();
	else if (!ret && cpu_addr)
		allocated(memory, cpu_addr);
	else if (!ret && nr == PRE_KFD_FREE_MEMORY && len >= sizeof(struct pre_kfd_free_memory))
		freed(arg);
	else if (!ret && nr == PRE_KFD_CREATE_QUEUE && len >= sizeof(struct pre_kfd_create_queue))
		pre_queue_created(fd, ((struct pre_kfd_create_queue *)arg)->gpu_id);
	errno = saved;
	return ret;
}

/* The console uses the same letter, so the descriptor is looked at, too. */
EXPORT int ioctl(int fd, unsigned long request, ...)
{
	int saved = errno;
	bool kfd;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (__builtin_expect(_IOC_TYPE(request) != PRE_KFD_TYPE, 1))
		return REAL(ioctl)(fd, request, arg);
	kfd = is_kfd(fd);
	errno = saved;
	return kfd ? kfd_ioctl(fd, request, arg) : REAL(ioctl)(fd, request, arg);
}

/* ---- mappings ---- */

/* [@start, @start + @len) is mapped now, by @caller; @used: it can be read. */
static void mapped(uintptr_t start, size_t len, bool used, uintptr_t caller)
{
	uintptr_t end = pre_up(start + len);
	int error = errno;
	sigset_t saved;
	bool runtime;

	pre_objects_refresh();
	runtime = pre_is_runtime_code(caller);
	pre_lock(&saved);
	if (runtime) {
		pre_own_add(start, end);
	} else {
		pre_own_cut(start, end);
		if (used)
			pre_share(start, end);
	}
	pre_unlock(&saved);
	errno = error;
}

static void unmapped(uintptr_t start, size_t len)
{
	sigset_t saved;

	pre_lock(&saved);
	pre_own_cut(start, pre_up(start + len));
	pre_unlock(&saved);
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *p = REAL(mmap)(addr, len, prot, flags, fd, offset);

	if (p != MAP_FAILED && pre_is(PRE_TRACK))
		mapped((uintptr_t)p, len, prot & PROT_READ, CALLER);
	return p;
}

#ifdef __LP64__
EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
	__attribute__((alias("mmap")));
#else
EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	void *p = REAL(mmap64)(addr, len, prot, flags, fd, offset);

	if (p != MAP_FAILED && pre_is(PRE_TRACK))
		mapped((uintptr_t)p, len, prot & PROT_READ, CALLER);
	return p;
}
#endif

/* Before the call: afterwards the addresses may be another thread's. */
EXPORT int munmap(void *addr, size_t len)
{
	if (pre_is(PRE_TRACK))
		unmapped((uintptr_t)addr, len);
	return REAL(munmap)(addr, len);
}

EXPORT void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	void *to = NULL, *p;
	va_list ap;

	va_start(ap, flags);
	if (flags & MREMAP_FIXED)
		to = va_arg(ap, void *);
	va_end(ap);
	p = REAL(mremap)(old, old_len, new_len, flags, to);
	/* If it cannot be read, the driver says so. */
	if (p != MAP_FAILED && pre_is(PRE_TRACK))
		mapped((uintptr_t)p, new_len, true, CALLER);
	return p;
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	int ret = REAL(mprotect)(addr, len, prot), error = errno;
	sigset_t saved;

	if (!ret && prot & PROT_READ && pre_is(PRE_ACTIVE) && !pre_is_runtime_code(CALLER)) {
		pre_lock(&saved);
		pre_share((uintptr_t)addr, (uintptr_t)addr + len);
		pre_unlock(&saved);
	}
	errno = error;
	return ret;
}

EXPORT void *shmat(int id, const void *addr, int flags)
{
	void *p = REAL(shmat)(id, addr, flags);
	int error = errno;
	struct shmid_ds ds;

	if (p != (void *)-1 && pre_is(PRE_ACTIVE) && !shmctl(id, IPC_STAT, &ds))
		mapped((uintptr_t)p, ds.shm_segsz, true, CALLER);
	errno = error;
	return p;
}

static void break_moved(void)
{
	int error = errno;
	sigset_t saved;

	if (!pre_is(PRE_ACTIVE))
		return;
	pre_lock(&saved);
	pre_heap_moved();
	pre_unlock(&saved);
	errno = error;
}

EXPORT int brk(void *addr)
{
	int ret = REAL(brk)(addr);

	break_moved();
	return ret;
}

EXPORT void *sbrk(intptr_t by)
{
	void *p = REAL(sbrk)(by);

	if (by)
		break_moved();
	return p;
}

/* ---- threads ---- */

/* struct begin - what a new thread runs, once its stack is registered */
struct begin {
	void *(*routine)(void *arg);
	thrd_start_t c11_routine;
	void *arg;
};

static void share_own_stack(void)
{
	uintptr_t start, end;
	sigset_t saved;

	if (!pre_is(PRE_ACTIVE))
		return;
	pre_lock(&saved);
	if (pre_mapping_at((uintptr_t)&start, &start, &end))
		pre_share(start, end);
	pre_unlock(&saved);
}

static struct begin *begin_new(void *arg)
{
	struct begin *b = malloc(sizeof(*b));

	if (b)
		*b = (struct begin){ .arg = arg };
	return b;
}

static struct begin begin_take(void *p)
{
	struct begin b = *(struct begin *)p;

	free(p);
	share_own_stack();
	return b;
}

static void *begin_pthread(void *p)
{
	struct begin b = begin_take(p);

	return b.routine(b.arg);
}

static int begin_c11(void *p)
{
	struct begin b = begin_take(p);

	return b.c11_routine(b.arg);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*routine)(void *arg), void *arg)
{
	struct begin *b = begin_new(arg);
	int ret;

	if (!b)
		return EAGAIN;
	b->routine = routine;
	ret = REAL(pthread_create)(thread, attr, begin_pthread, b);
	if (ret)
		free(b);
	return ret;
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t routine, void *arg)
{
	struct begin *b = begin_new(arg);
	int ret;

	if (!b)
		return thrd_nomem;
	b->c11_routine = routine;
	ret = REAL(thrd_create)(thread, begin_c11, b);
	if (ret != thrd_success)
		free(b);
	return ret;
}
