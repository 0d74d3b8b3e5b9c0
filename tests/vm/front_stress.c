// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads of one process, and their forked children, do everything the front end
 * offers at random and at once: memory objects, mappings, events, mmap, opens and
 * closes, exits in the middle of it. Nothing is expected of a single call; the
 * kernel log, kmemleak and unloading the module afterwards tell.
 *
 *   cc -o front_stress front_stress.c -lpthread
 *   front_stress [SECONDS [THREADS [SEED]]]
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kfd_ioctl.h>

#define PAGE 4096UL
#define NSLOTS 32
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static int kfd = -1, drm = -1;
static uint32_t gpu_id;
static volatile sig_atomic_t stop;
static char *arena;	/* user memory to lend */
#define ARENA_LEN (16UL << 20)

/* What threads share, on purpose without locks: they steal from each other. */
static _Atomic uint64_t handles[NSLOTS];
static _Atomic uint64_t offsets[NSLOTS];
static _Atomic uint32_t sizes[NSLOTS];
static _Atomic uint32_t events[NSLOTS];
static atomic_ulong calls, good;

static uint32_t rnd(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

static int call(unsigned long cmd, void *arg)
{
	int ret = ioctl(kfd, cmd, arg);

	atomic_fetch_add(&calls, 1);
	if (!ret)
		atomic_fetch_add(&good, 1);
	return ret;
}

static void do_alloc(uint64_t *seed)
{
	static const uint32_t kinds[] = {
		KFD_IOC_ALLOC_MEM_FLAGS_VRAM, KFD_IOC_ALLOC_MEM_FLAGS_GTT,
		KFD_IOC_ALLOC_MEM_FLAGS_USERPTR,
		KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL,
		KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP,
	};
	struct kfd_ioctl_alloc_memory_of_gpu_args args = { .gpu_id = gpu_id };
	uint32_t kind = kinds[rnd(seed) % ARRAY_SIZE(kinds)];
	unsigned int slot = rnd(seed) % NSLOTS;

	args.flags = kind | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE;
	args.size = (1 + rnd(seed) % 300) * PAGE;
	if (kind == KFD_IOC_ALLOC_MEM_FLAGS_DOORBELL)
		args.size = 2 * PAGE;
	if (kind == KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP)
		args.size = PAGE;
	args.va_addr = 0x100000000000ULL + (rnd(seed) % 64) * (256 * PAGE);
	if (kind == KFD_IOC_ALLOC_MEM_FLAGS_USERPTR)
		args.mmap_offset = (uintptr_t)arena + rnd(seed) % 2048 * PAGE;
	if (call(AMDKFD_IOC_ALLOC_MEMORY_OF_GPU, &args))
		return;
	offsets[slot] = kind == KFD_IOC_ALLOC_MEM_FLAGS_VRAM ||
			kind == KFD_IOC_ALLOC_MEM_FLAGS_GTT ? args.mmap_offset : 0;
	sizes[slot] = args.size;
	args.handle = atomic_exchange(&handles[slot], args.handle);
	if (args.handle) {
		struct kfd_ioctl_free_memory_of_gpu_args f = { args.handle };

		call(AMDKFD_IOC_FREE_MEMORY_OF_GPU, &f);
	}
}

static void do_free(uint64_t *seed)
{
	struct kfd_ioctl_free_memory_of_gpu_args args = {
		handles[rnd(seed) % NSLOTS],
	};

	call(AMDKFD_IOC_FREE_MEMORY_OF_GPU, &args);
}

static void do_map(uint64_t *seed)
{
	uint32_t ids[2] = { gpu_id, rnd(seed) % 8 ? gpu_id : 7 };
	struct kfd_ioctl_map_memory_to_gpu_args args = {
		.handle = handles[rnd(seed) % NSLOTS],
		.device_ids_array_ptr = (uintptr_t)ids,
		.n_devices = 1 + rnd(seed) % 2,
	};

	call(rnd(seed) % 3 ? AMDKFD_IOC_MAP_MEMORY_TO_GPU :
			     AMDKFD_IOC_UNMAP_MEMORY_FROM_GPU, &args);
}

static void do_mmap(uint64_t *seed)
{
	unsigned int slot = rnd(seed) % NSLOTS;
	size_t len = sizes[slot], half;
	volatile char *p;

	if (!len || !offsets[slot])
		return;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, drm,
		 offsets[slot]);
	if (p == MAP_FAILED)
		return;
	p[rnd(seed) % len] = 1;
	half = len > PAGE && rnd(seed) % 2 ? len / 2 & ~(PAGE - 1) : 0;
	if (half)
		munmap((void *)p, half);
	p[len - 1] = 2;
	munmap((char *)p + half, len - half);
}

static void do_mmap_kfd(uint64_t *seed)
{
	uint64_t type = rnd(seed) % 4;
	volatile char *p;
	size_t len = type == 3 ? 2 * PAGE : type == 2 ? 8 * PAGE : PAGE;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, kfd,
		 type << 62 | (uint64_t)gpu_id << 46);
	if (p == MAP_FAILED)
		return;
	p[0] = p[len - 1];
	munmap((void *)p, len);
}

static void do_event(uint64_t *seed)
{
	struct kfd_ioctl_create_event_args make = {
		.event_type = rnd(seed) % 4 ? KFD_IOC_EVENT_SIGNAL :
					      KFD_IOC_EVENT_MEMORY,
		.auto_reset = rnd(seed) % 2,
	};
	struct kfd_ioctl_destroy_event_args end = { 0 };
	struct kfd_ioctl_set_event_args set = {
		events[rnd(seed) % NSLOTS], 0,
	};

	switch (rnd(seed) % 4) {
	case 0:
		if (!call(AMDKFD_IOC_CREATE_EVENT, &make)) {
			end.event_id = atomic_exchange(&events[rnd(seed) % NSLOTS],
						       make.event_id);
			if (end.event_id)
				call(AMDKFD_IOC_DESTROY_EVENT, &end);
		}
		break;
	case 1:
		call(AMDKFD_IOC_RESET_EVENT, &set);
		break;
	default:
		call(AMDKFD_IOC_SET_EVENT, &set);
		break;
	}
}

static void do_wait(uint64_t *seed)
{
	struct kfd_event_data data[8] = { 0 };
	struct kfd_ioctl_wait_events_args args = {
		.events_ptr = (uintptr_t)data,
		.num_events = 1 + rnd(seed) % 4,
		.wait_for_all = rnd(seed) % 2,
		.timeout = rnd(seed) % 20,
	};
	unsigned int i;

	for (i = 0; i < args.num_events; i++) {
		data[i].event_id = events[rnd(seed) % NSLOTS];
		data[i].signal_event_data.last_event_age = rnd(seed) % 3;
	}
	call(AMDKFD_IOC_WAIT_EVENTS, &args);
}

static void do_garbage(uint64_t *seed)
{
	uint64_t buf[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = rnd(seed) % 2 ? rnd(seed) % 16 :
					 (uint64_t)rnd(seed) << 32 | rnd(seed);
	/* No call that waits for ever, and none that changes the shape. */
	i = rnd(seed) % 0x28;
	if (i == 0x0c || i == 0x15)
		return;
	call(_IOC(_IOC_READ | _IOC_WRITE, 'K', i, rnd(seed) % sizeof(buf)), buf);
}

static void do_user_memory(uint64_t *seed)
{
	char *p = arena + rnd(seed) % 2048 * PAGE;

	switch (rnd(seed) % 3) {
	case 0:
		madvise(p, 16 * PAGE, MADV_DONTNEED);
		break;
	case 1:
		mmap(p, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	default:
		*p = 1;
		break;
	}
}

static void do_fork(uint64_t *seed)
{
	static atomic_int children;
	pid_t pid;

	if (atomic_fetch_add(&children, 1) < 3) {
		pid = fork();
		if (!pid) {
			uint64_t version = 0;

			ioctl(kfd, AMDKFD_IOC_GET_VERSION, &version);
			close(open("/dev/kfd", O_RDWR));
			usleep(rnd(seed) % 20000);
			_exit(0);
		}
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	atomic_fetch_sub(&children, 1);
}

static void *thread(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!stop) {
		switch (rnd(&seed) % 40) {
		case 0 ... 7: do_alloc(&seed); break;
		case 8 ... 11: do_free(&seed); break;
		case 12 ... 17: do_map(&seed); break;
		case 18 ... 20: do_mmap(&seed); break;
		case 21: do_mmap_kfd(&seed); break;
		case 22 ... 28: do_event(&seed); break;
		case 29 ... 32: do_wait(&seed); break;
		case 33 ... 34: do_garbage(&seed); break;
		case 35 ... 38: do_user_memory(&seed); break;
		default:
			close(open("/dev/kfd", O_RDWR));
			if (rnd(&seed) % 8 == 0)
				do_fork(&seed);
			break;
		}
	}
	return NULL;
}

static int open_gpu(void)
{
	struct kfd_process_device_apertures a;
	struct kfd_ioctl_get_process_apertures_new_args args = {
		.kfd_process_device_apertures_ptr = (uintptr_t)&a,
		.num_of_nodes = 1,
	};
	struct kfd_ioctl_acquire_vm_args acquire;

	kfd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
	drm = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	if (kfd < 0 || drm < 0 || ioctl(kfd, AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, &args))
		return -1;
	gpu_id = a.gpu_id;
	acquire = (struct kfd_ioctl_acquire_vm_args){ drm, gpu_id };
	return ioctl(kfd, AMDKFD_IOC_ACQUIRE_VM, &acquire);
}

/* One life: threads, then an end, orderly or in the middle of everything. */
static int life(unsigned int seconds, unsigned int nthreads, uint64_t seed)
{
	pthread_t ids[64];
	unsigned int i;

	if (open_gpu()) {
		perror("open");
		return 1;
	}
	arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < nthreads; i++)
		if (pthread_create(&ids[i], NULL, thread,
				   (void *)(uintptr_t)(seed * 64 + i)))
			return 1;
	sleep(seconds);
	if (seed % 2)
		_exit(atomic_load(&good) ? 0 : 1);
	stop = 1;
	for (i = 0; i < nthreads; i++)
		pthread_join(ids[i], NULL);
	printf("# seed %llu: %lu calls, %lu successful\n",
	       (unsigned long long)seed, calls, good);
	return !good;
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? atoi(argv[1]) : 8;
	unsigned int nthreads = argc > 2 ? atoi(argv[2]) : 8;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	unsigned int i, lives = seconds >= 8 ? 4 : 1, bad = 0;
	int status;

	if (nthreads > 64)
		nthreads = 64;
	for (i = 0; i < lives; i++) {
		fflush(stdout);
		if (!fork())
			exit(life(seconds / lives, nthreads, seed + i));
		wait(&status);
		if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			printf("# seed %llu: status %#x\n",
			       (unsigned long long)seed + i, status);
			bad++;
		}
	}
	printf("%s 1 - front end survives %u seconds\n1..1\n",
	       bad ? "not ok" : "ok", seconds);
	return bad ? 1 : 0;
}
