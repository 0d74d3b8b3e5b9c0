// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtual GPU is unplugged: what processes that have it see, what stays, what goes on.
 * Documentation/vamdgpu.rst has the rules. Each case plugs in what another left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm/amdgpu_drm.h>

#include "cases.h"
#include "kt_sdma.h"
#include "unplug_gpu.h"

#define EVENT_HW_EXCEPTION	3
#define LEN			(4 * KT_HUGE)
/* To see that something does not happen any more. */
#define NOTHING_MS		200

static struct kt_dev dev;	/* GPU 0, the one that goes */

static void setup(void)
{
	int ret;

	gpu_plug_all();
	CHECK_EQ(topology_gpus(), gpu_slots());
	ret = kt_open(&dev, 1);
	if (ret)
		FAIL("cannot open the GPU: %s", strerror(-ret));
}

static void setup_two(struct kt_dev *other)
{
	setup();
	if (gpu_slots() < 2)
		SKIP("needs two GPUs");
	CHECK_EQ(kt_open(other, 2), 0);
}

static void set_xnack(bool on)
{
	int32_t mode = on;

	CHECK_EQ(kt_xnack(dev.kfd, &mode), 0);
}

static uint64_t process_vram(void)
{
	uint64_t bytes;

	CHECK_EQ(kt_process_vram(&dev, &bytes), 0);
	return bytes;
}

static int access_for(struct kt_dev *d, const void *p, size_t len)
{
	return kt_svm_set1(d->kfd, p, len, KFD_SVM_ATTR_ACCESS, d->gpu_id);
}

static void emit_copy(struct kt_queue *q, void *to, const void *from, size_t len)
{
	uint32_t pkt[KT_SDMA_MAX_DW];
	size_t n;

	for (; len; len -= n, to = (char *)to + n, from = (const char *)from + n) {
		n = len < KT_SDMA_COPY_MAX ? len : KT_SDMA_COPY_MAX;
		CHECK_EQ(kt_queue_emit(q, pkt, kt_sdma_copy(pkt, (uintptr_t)to,
							    (uintptr_t)from,
							    (uint32_t)n)), 0);
	}
}

/* ---- nobody has it ---- */

static bool exists(const char *format, unsigned int number)
{
	char path[96];

	snprintf(path, sizeof(path), format, number);
	return !access(path, F_OK);
}

static void idle_gpu_goes_and_comes_back(void)
{
	unsigned long generation;
	unsigned int gpus, id;
	uint64_t minor;
	char text[32];

	gpu_plug_all();
	gpus = topology_gpus();
	CHECK_EQ(kt_read_file("/sys/class/kfd/kfd/topology/nodes/1/gpu_id", text,
			      sizeof(text)) > 0, 1);
	id = (unsigned int)strtoul(text, NULL, 10);
	CHECK_EQ(kt_node_property(1, "drm_render_minor", &minor), 0);
	CHECK(exists("/sys/kernel/debug/vamdgpu/%u/vram", id));
	generation = topology_generation();

	gpu_unplug(0);
	CHECK(topology_generation() > generation);
	generation = topology_generation();
	CHECK_EQ(topology_gpus(), gpus - 1);
	CHECK(!exists("/sys/class/kfd/kfd/topology/nodes/%u", gpus));
	CHECK(!exists("/sys/class/kfd/kfd/topology/nodes/0/io_links/%u", gpus - 1));
	CHECK(!exists("/sys/kernel/debug/vamdgpu/%u", id));
	CHECK(!exists("/sys/class/drm/renderD%u", (unsigned int)minor));
	/* Nodes have no gap: the next GPU has moved up. */
	if (gpus > 1) {
		CHECK(kt_read_file("/sys/class/kfd/kfd/topology/nodes/1/gpu_id", text,
				   sizeof(text)) > 0);
		CHECK(strtoul(text, NULL, 10) != id);
	}
	check_new_process_works();

	gpu_plug(0);
	CHECK(topology_generation() > generation);
	CHECK_EQ(topology_gpus(), gpus);
	CHECK(exists("/sys/kernel/debug/vamdgpu/%u/vram", id));
	check_new_process_works();
}

/* ---- a process has it ---- */

/* All that name the GPU, or need it. */
static void check_calls_fail(struct kt_bo *gtt)
{
	struct kfd_ioctl_get_clock_counters_args clock = { .gpu_id = dev.gpu_id };
	struct kfd_ioctl_set_memory_policy_args policy = { .gpu_id = dev.gpu_id };
	struct kfd_ioctl_set_scratch_backing_va_args scratch = { .gpu_id = dev.gpu_id };
	struct kfd_ioctl_set_trap_handler_args trap = { .gpu_id = dev.gpu_id };
	struct kfd_ioctl_get_tile_config_args tile = { .gpu_id = dev.gpu_id };
	struct kfd_ioctl_smi_events_args smi = { .gpuid = dev.gpu_id };
	struct kfd_ioctl_create_queue_args queue = {
		.ring_base_address = (uintptr_t)gtt->cpu,
		.ring_size = 1024,
		.read_pointer_address = (uintptr_t)gtt->cpu,
		.write_pointer_address = (uintptr_t)gtt->cpu + 64,
	};
	uint64_t offset = 0, handle;
	uint32_t value = 0;
	struct drm_amdgpu_info info = {
		.query = AMDGPU_INFO_ACCEL_WORKING,
		.return_pointer = (uintptr_t)&value,
		.return_size = sizeof(value),
	};

	CHECK_EQ(gpu_state(&dev), -ENODEV);
	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_GET_CLOCK_COUNTERS, &clock), -ENODEV);
	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_SET_MEMORY_POLICY, &policy), -ENODEV);
	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_SET_SCRATCH_BACKING_VA, &scratch), -ENODEV);
	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_SET_TRAP_HANDLER, &trap), -ENODEV);
	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_GET_TILE_CONFIG, &tile), -ENODEV);
	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_SMI_EVENTS, &smi), -ENODEV);
	CHECK_EQ(kt_queue_ioctl(&dev, &queue), -ENODEV);
	CHECK_EQ(kt_acquire_vm(&dev), -ENODEV);
	CHECK_EQ(kt_bo_ioctl(&dev, 0, KT_PAGE, KFD_IOC_ALLOC_MEM_FLAGS_VRAM, &offset,
			     &handle), -ENODEV);
	CHECK_EQ(kt_bo_ioctl(&dev, 0, KT_PAGE, KFD_IOC_ALLOC_MEM_FLAGS_GTT, &offset,
			     &handle), -ENODEV);
	CHECK_EQ(kt_bo_map(&dev, gtt->handle), -ENODEV);
	CHECK_EQ(kt_bo_unmap(&dev, gtt->handle), -ENODEV);
	CHECK_ERRNO(mmap(NULL, KT_SLICE, PROT_READ | PROT_WRITE, MAP_SHARED, dev.kfd,
			 (off_t)(3ULL << 62 | (uint64_t)dev.gpu_id << 46)), ENODEV);
	CHECK_EQ(kt_ioctl(dev.drm, DRM_IOCTL_AMDGPU_INFO, &info), -ENODEV);
}

static void check_svm(void *p, size_t len)
{
	struct kfd_svm_attribute attr = { KFD_SVM_ATTR_ACCESS, dev.gpu_id };

	CHECK_EQ(access_for(&dev, p, len), -ENODEV);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, len, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id),
		 -ENODEV);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, len, KFD_SVM_ATTR_PREFERRED_LOC, dev.gpu_id),
		 -ENODEV);
	CHECK_EQ(kt_svm(dev.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, len, 1, &attr),
		 -ENODEV);
	/* What does not name it goes on. */
	CHECK_EQ(kt_svm_set1(dev.kfd, p, len, KFD_SVM_ATTR_GRANULARITY, 5), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, len, KFD_SVM_ATTR_PREFETCH_LOC, 0), 0);
	attr.type = KFD_SVM_ATTR_PREFERRED_LOC;
	CHECK_EQ(kt_svm(dev.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, len, 1, &attr), 0);
	CHECK_EQ(attr.value, dev.gpu_id);
	attr.type = KFD_SVM_ATTR_GRANULARITY;
	CHECK_EQ(kt_svm(dev.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, len, 1, &attr), 0);
	CHECK_EQ(attr.value, 5);
}

/* What it has it can give back, and what names no GPU goes on. */
static void check_rest_works(struct kt_queue *q, struct kt_bo *gtt, struct kt_bo *vram)
{
	struct kfd_ioctl_get_process_apertures_new_args apertures = { 0 };
	struct kfd_ioctl_update_queue_args update = {
		.queue_id = q->id,
		.ring_base_address = (uintptr_t)q->ring.cpu,
		.ring_size = 4096,
		.queue_percentage = 100,
	};
	struct kfd_ioctl_get_version_args version = { 0 };
	uint32_t event;
	char page[KT_PAGE] = { 0 };

	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_GET_VERSION, &version), 0);
	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_GET_PROCESS_APERTURES_NEW, &apertures), 0);
	CHECK_EQ(apertures.num_of_nodes, gpu_slots() - 1);
	CHECK_EQ(kt_event_create(&dev, KT_EVENT_SIGNAL, false, &event), 0);
	CHECK_EQ(kt_event_set(&dev, event), 0);
	CHECK_EQ(kt_event_wait(&dev, event, 0, NULL), 0);

	/* System memory is what it was; VRAM is lost, but its mapping still there. */
	CHECK(filled(gtt->cpu, gtt->len, 3));
	CHECK(!memcmp(vram->cpu, page, KT_PAGE));
	memset(vram->cpu, 0x11, vram->len);
	*q->doorbell = 4;

	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_UPDATE_QUEUE, &update), -ENODEV);
	CHECK_EQ(kt_queue_destroy(q), 0);
	CHECK_EQ(kt_bo_free_handle(&dev, vram->handle), 0);
	CHECK_EQ(kt_bo_free_handle(&dev, vram->handle), -EINVAL);
	CHECK_EQ(kt_bo_free_handle(&dev, gtt->handle), 0);
}

static int open_smi(void)
{
	struct kfd_ioctl_smi_events_args args = { .gpuid = dev.gpu_id };
	uint64_t mask = ~0ULL;

	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_SMI_EVENTS, &args), 0);
	CHECK_EQ(write((int)args.anon_fd, &mask, sizeof(mask)), sizeof(mask));
	return (int)args.anon_fd;
}

/* The last that it tells is that its memory moved; then comes the end. */
static void check_smi_ends(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	char text[2048];
	ssize_t n;

	CHECK_EQ(poll(&poller, 1, KT_WAIT_MS), 1);
	CHECK(poller.revents & POLLHUP);
	do {
		n = TRY(read(fd, text, sizeof(text)));
	} while (n);
	CHECK_EQ(read(fd, text, sizeof(text)), 0);
	close(fd);
}

static void process_gets_errors_and_keeps_its_data(void)
{
	uint32_t hw_event, pkt[KT_SDMA_MAX_DW];
	struct kfd_event_data data;
	struct kt_bo gtt, vram;
	struct kt_queue q;
	char *p;
	int smi;

	setup();
	CHECK_EQ(kt_event_create(&dev, EVENT_HW_EXCEPTION, false, &hw_event), 0);
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	CHECK_EQ(kt_bo_gtt(&dev, KT_HUGE, &gtt), 0);
	CHECK_EQ(kt_bo_vram(&dev, KT_HUGE, &vram), 0);
	fill(gtt.cpu, gtt.len, 3);
	fill(vram.cpu, vram.len, 4);
	p = map_aligned(LEN);
	fill(p, LEN, 5);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, dev.gpu_id), 0);
	CHECK_EQ(access_for(&dev, p, LEN), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, LEN, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id), 0);
	/* The GPU has written there what the CPU has not seen. */
	CHECK_EQ(kt_queue_emit(&q, pkt, kt_sdma_copy(pkt, (uintptr_t)p,
						     (uintptr_t)gtt.cpu, KT_HUGE)), 0);
	kt_queue_ring(&q);
	CHECK_EQ(kt_queue_wait(&q, KT_WAIT_MS), 0);
	smi = open_smi();
	CHECK(process_vram() >= KT_HUGE);

	gpu_unplug(0);
	CHECK_EQ(process_vram(), 0);
	check_calls_fail(&gtt);
	check_svm(p, LEN);
	CHECK_EQ(kt_event_wait(&dev, hw_event, 0, &data), 0);
	CHECK_EQ(data.hw_exception_data.gpu_id, dev.gpu_id);
	CHECK_EQ(data.hw_exception_data.memory_lost, 1);
	CHECK(filled(p, KT_HUGE, 3));
	CHECK_EQ(munmap(p, KT_HUGE), 0);
	check_smi_ends(smi);
	check_rest_works(&q, &gtt, &vram);

	/* What comes back is another one to us, and works for others. */
	gpu_plug(0);
	CHECK_EQ(gpu_state(&dev), -ENODEV);
	CHECK_EQ(kt_acquire_vm(&dev), -ENODEV);
	check_new_process_works();
}

/* Beyond the piece that the GPU wrote. */
static void migrated_memory_comes_back(void)
{
	char *p;

	setup();
	p = map_aligned(LEN);
	fill(p, LEN, 7);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, LEN, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id), 0);
	if (!process_vram())
		SKIP("memory does not migrate to this GPU");
	CHECK_EQ(process_vram(), LEN);
	gpu_unplug(0);
	CHECK_EQ(process_vram(), 0);
	CHECK(filled(p, LEN, 7));
	/* A child of a fork does not care either. */
	gpu_plug(0);
	check_new_process_works();
	CHECK(filled(p, LEN, 7));
}

/* A parent's pages in VRAM, shared with a child that has no GPU. */
static void shared_pages_come_back_to_all(void)
{
	char *p, go;
	int pipes[2], status;
	pid_t pid;

	setup();
	p = map_aligned(LEN);
	fill(p, LEN, 9);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, LEN, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id), 0);
	TRY(pipe(pipes));
	pid = TRY(fork());
	if (!pid) {
		close(pipes[1]);
		CHECK_EQ(read(pipes[0], &go, 1), 1);
		CHECK(filled(p, LEN, 9));
		_exit(0);
	}
	gpu_unplug(0);
	memset(p, 0, LEN);
	CHECK_EQ(write(pipes[1], "", 1), 1);
	TRY(waitpid(pid, &status, 0));
	CHECK_EQ(status, 0);
}

static pid_t waiter_tid;

static void *wait_for_hw_exception(void *arg)
{
	struct kfd_event_data data;
	int ret;

	__atomic_store_n(&waiter_tid, gettid(), __ATOMIC_RELEASE);
	ret = kt_event_wait(&dev, *(uint32_t *)arg, ~0U, &data);

	return (void *)(intptr_t)(ret ?: data.hw_exception_data.memory_lost ? 0 : -EPROTO);
}

/* Asleep, in ioctl()? */
static bool waiter_waits(void)
{
	pid_t tid = __atomic_load_n(&waiter_tid, __ATOMIC_ACQUIRE);
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	return tid && kt_read_file(path, text, sizeof(text)) > 0 &&
	       strtol(text, NULL, 10) == SYS_ioctl;
}

static void waiting_thread_is_woken(void)
{
	uint32_t event;
	pthread_t thread;
	void *ret;

	setup();
	CHECK_EQ(kt_event_create(&dev, EVENT_HW_EXCEPTION, true, &event), 0);
	CHECK_EQ(pthread_create(&thread, NULL, wait_for_hw_exception, &event), 0);
	CHECK(kt_wait_for(waiter_waits(), KT_WAIT_MS));
	gpu_unplug(0);
	CHECK_EQ(pthread_join(thread, &ret), 0);
	CHECK_EQ((intptr_t)ret, 0);
}

/* An endless POLL and a long copy stop; nothing is written afterwards. */
static void queues_stop_for_good(void)
{
	uint32_t pkt[KT_SDMA_MAX_DW], *word;
	struct kt_queue poller, copier;
	char *from, *to, *copy;
	uint64_t end;

	setup();
	from = map_aligned(LEN);
	to = map_aligned(LEN);
	copy = malloc(LEN);
	CHECK(copy);
	fill(from, LEN, 1);
	CHECK_EQ(access_for(&dev, from, LEN), 0);
	CHECK_EQ(access_for(&dev, to, LEN), 0);
	CHECK_EQ(kt_queue_create(&dev, 4096, &poller), 0);
	CHECK_EQ(kt_queue_create(&dev, 65536, &copier), 0);
	word = (uint32_t *)((char *)poller.ptrs.cpu + 256);
	*word = 0;
	CHECK_EQ(kt_queue_emit(&poller, pkt, kt_sdma_poll(pkt, KT_POLL_EQ, (uintptr_t)word,
							  1, ~0U)), 0);
	kt_queue_ring(&poller);
	for (int i = 0; i < 200; i++)
		emit_copy(&copier, to, from, LEN);
	kt_queue_ring(&copier);
	CHECK(kt_wait_for(to[LEN - 1] == from[LEN - 1], KT_WAIT_MS));

	gpu_unplug(0);
	CHECK(!kt_queue_done(&copier));
	memset(to, 0, LEN);
	*word = 1;
	memcpy(copy, to, LEN);
	end = *copier.rptr;
	/* Nothing must happen, which no condition tells. */
	usleep(NOTHING_MS * 1000);
	CHECK(!memcmp(copy, to, LEN));
	CHECK_EQ(*copier.rptr, end);
	CHECK(!kt_queue_done(&poller));
	CHECK(filled(from, LEN, 1));
}

/* ---- and another one ---- */

/* The other GPU copies a piece, of which both have a part, and it is right. */
static void other_copies(struct kt_queue *q, char *to, char *from, unsigned int seed)
{
	fill(from, KT_HUGE, seed);
	emit_copy(q, to, from, KT_HUGE);
	kt_queue_ring(q);
	CHECK_EQ(kt_queue_wait(q, KT_WAIT_MS), 0);
	CHECK(filled(to, KT_HUGE, seed));
}

static uint64_t restores(struct kt_dev *d)
{
	uint64_t n;

	CHECK_EQ(kt_counter(d, "restores", &n), 0);
	return n;
}

static void other_gpu_goes_on(bool xnack)
{
	struct kt_queue q, doomed;
	struct kt_dev other;
	uint64_t before;
	char *p;

	setup_two(&other);
	set_xnack(xnack);
	p = map_aligned(LEN);
	fill(p, LEN, 2);
	CHECK_EQ(access_for(&dev, p, LEN), 0);
	CHECK_EQ(access_for(&other, p, LEN), 0);
	CHECK_EQ(kt_queue_create(&other, 4096, &q), 0);
	CHECK_EQ(kt_queue_create(&dev, 65536, &doomed), 0);
	for (int i = 0; i < 100; i++)
		emit_copy(&doomed, p + 2 * KT_HUGE, p + 3 * KT_HUGE, KT_HUGE);
	kt_queue_ring(&doomed);
	other_copies(&q, p, p + KT_HUGE, 11);

	gpu_unplug(0);
	for (unsigned int i = 0; i < 8; i++) {
		/* What the CPU takes away comes back to the GPU that is left. */
		CHECK_EQ(madvise(p, LEN / 2, MADV_DONTNEED), 0);
		other_copies(&q, p, p + KT_HUGE, 20 + i);
	}
	CHECK_EQ(access_for(&other, p, LEN), 0);
	CHECK_EQ(gpu_state(&other), 0);
	if (xnack)
		return;
	/* Nothing is left to restore, so nothing is restored; see NOTHING_MS. */
	before = restores(&other);
	usleep(NOTHING_MS * 1000);
	CHECK_EQ(restores(&other), before);
}

static void other_gpu_goes_on_xnack_on(void)
{
	other_gpu_goes_on(true);
}

static void other_gpu_goes_on_xnack_off(void)
{
	other_gpu_goes_on(false);
}

/* Stopped by a change of memory that both have, while the one goes. */
static void restore_does_not_wait_for_the_lost(void)
{
	struct kt_queue q;
	struct kt_dev other;
	char *p;

	setup_two(&other);
	set_xnack(false);
	p = map_aligned(LEN);
	fill(p, LEN, 2);
	CHECK_EQ(access_for(&dev, p, LEN), 0);
	CHECK_EQ(access_for(&other, p, KT_HUGE), 0);
	CHECK_EQ(kt_queue_create(&other, 4096, &q), 0);
	/* Only the doomed one loses something. */
	CHECK_EQ(madvise(p + 2 * KT_HUGE, KT_HUGE, MADV_DONTNEED), 0);
	gpu_unplug(0);
	emit_copy(&q, p, p + KT_HUGE / 2, KT_HUGE / 2);
	kt_queue_ring(&q);
	CHECK_EQ(kt_queue_wait(&q, KT_WAIT_MS), 0);
}

/* The other one's system memory objects were allocated on the one that goes. */
static void system_memory_stays_for_the_other(void)
{
	struct kt_bo gtt, vram;
	struct kt_queue q;
	struct kt_dev other;
	uint64_t hive;

	setup_two(&other);
	CHECK_EQ(kt_node_property(1, "hive_id", &hive), 0);
	CHECK_EQ(kt_bo_gtt(&dev, KT_HUGE, &gtt), 0);
	CHECK_EQ(kt_bo_vram(&dev, KT_HUGE, &vram), 0);
	CHECK_EQ(kt_bo_map(&other, gtt.handle), 0);
	CHECK_EQ(kt_bo_map(&other, vram.handle), hive ? 0 : -EINVAL);
	CHECK_EQ(kt_queue_create(&other, 4096, &q), 0);
	other_copies(&q, gtt.cpu, map_aligned(KT_HUGE), 1);
	gpu_unplug(0);
	other_copies(&q, gtt.cpu, map_aligned(KT_HUGE), 2);
	CHECK_EQ(kt_bo_map(&other, vram.handle), -ENODEV);
	CHECK_EQ(kt_bo_unmap(&other, gtt.handle), 0);
	CHECK_EQ(kt_bo_map(&other, gtt.handle), 0);
	other_copies(&q, gtt.cpu, map_aligned(KT_HUGE), 3);
}

/* Memory in the lost GPU's VRAM that the other reaches over the link, if there is one. */
static void peer_memory_comes_back(void)
{
	struct kt_queue q;
	struct kt_dev other;
	char *p, *to;

	setup_two(&other);
	set_xnack(true);
	p = map_aligned(LEN);
	to = map_aligned(LEN);
	fill(p, LEN, 6);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, LEN, KFD_SVM_ATTR_ACCESS_IN_PLACE, other.gpu_id), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, dev.gpu_id), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, LEN, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id), 0);
	CHECK_EQ(kt_queue_create(&other, 65536, &q), 0);
	emit_copy(&q, to, p, LEN);
	kt_queue_ring(&q);
	CHECK_EQ(kt_queue_wait(&q, KT_WAIT_MS), 0);
	CHECK(filled(to, LEN, 6));
	for (int i = 0; i < 20; i++)
		emit_copy(&q, to, p, LEN);
	kt_queue_ring(&q);
	gpu_unplug(0);
	if (kt_queue_wait(&q, KT_WAIT_MS)) {
		note("%llu of %llu bytes of the ring are done",
		     (unsigned long long)*q.rptr, (unsigned long long)q.put);
		FAIL("the other GPU does not go on");
	}
	CHECK(filled(to, LEN, 6));
	CHECK(filled(p, LEN, 6));
}

/* Both come back to a process that has neither; the first to come is the second. */
static void all_gpus_can_go(void)
{
	unsigned int n = gpu_slots();

	setup();
	for (unsigned int i = 0; i < n; i++)
		gpu_unplug(i);
	CHECK_EQ(topology_gpus(), 0);
	CHECK_EQ(gpu_state(&dev), -ENODEV);
	for (unsigned int i = n; i--;)
		gpu_plug(i);
	CHECK_EQ(topology_gpus(), n);
	check_new_process_works();
}

#define NCHANGES 5

static volatile bool changed;

static void *changes_topology(void *arg)
{
	for (unsigned int i = 0; i < NCHANGES; i++) {
		gpu_unplug(0);
		gpu_plug(0);
	}
	changed = true;
	return arg;
}

/* Who finds the same generation before and after has seen one state of it. */
static void topology_changes_at_once(void)
{
	pthread_t thread;

	gpu_plug_all();
	CHECK(topology_agrees());
	CHECK_EQ(pthread_create(&thread, NULL, changes_topology, NULL), 0);
	while (!changed)
		CHECK(topology_agrees());
	pthread_join(thread, NULL);
}

static const struct test_case cases[] = {
	CASE(idle_gpu_goes_and_comes_back),
	CASE(topology_changes_at_once),
	CASE(process_gets_errors_and_keeps_its_data),
	CASE(migrated_memory_comes_back),
	CASE(shared_pages_come_back_to_all),
	CASE(waiting_thread_is_woken),
	CASE(queues_stop_for_good),
	CASE(other_gpu_goes_on_xnack_on),
	CASE(other_gpu_goes_on_xnack_off),
	CASE(restore_does_not_wait_for_the_lost),
	CASE(system_memory_stays_for_the_other),
	CASE(peer_memory_comes_back),
	CASE(all_gpus_can_go),
};

int main(int argc, char **argv)
{
	int ret = run_cases(argc, argv, cases, KT_ARRAY_SIZE(cases));

	gpu_plug_all();
	return ret;
}
