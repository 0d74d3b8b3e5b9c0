// SPDX-License-Identifier: GPL-2.0-only
/* Limits of a process: reaching one is an errno, and what is freed comes back. */
#include <sys/mman.h>

#include "vram.h"

#define MAX_TRIES 4096

static int create_queue_on_shared_ring(uint32_t *id)
{
	struct kfd_ioctl_create_queue_args args = {
		.ring_base_address = (uintptr_t)sdma.ring.cpu,
		.ring_size = (uint32_t)sdma.ring.len,
		.read_pointer_address = (uintptr_t)(sdma.rptr + 64),
		.write_pointer_address = (uintptr_t)(sdma.rptr + 80),
	};
	int ret = kt_queue_ioctl(&gpu, &args);

	*id = args.queue_id;
	return ret;
}

static void queues_have_a_limit(void **state)
{
	static uint32_t ids[MAX_TRIES];
	unsigned int n = 0;
	int ret;

	(void)state;
	gpu_open_queue();
	while (n < MAX_TRIES && !(ret = create_queue_on_shared_ring(&ids[n])))
		n++;
	assert_true(n < MAX_TRIES);
	assert_true(ret == -ENOMEM || ret == -ENOSPC);
	assert_true(n >= 2);
	/* The one that works goes on working. */
	gpu_write32(bounce.cpu, 1);
	/* One freed is one more to have, as often as one likes. */
	for (unsigned int i = 0; i < 3; i++) {
		struct kfd_ioctl_destroy_queue_args args = { .queue_id = ids[i] };

		expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_DESTROY_QUEUE, &args));
		expect_ok(create_queue_on_shared_ring(&ids[i]));
		expect_ret(create_queue_on_shared_ring(&ids[MAX_TRIES - 1]), ret);
	}
}

static void event_4096_is_ENOSPC(void **state)
{
	uint32_t id, last = 0;
	unsigned int n = 0;
	int ret;

	(void)state;
	gpu_open();
	while (n < 5000 && !(ret = kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id))) {
		assert_in_range(id, 1, 4095);
		last = id;
		n++;
	}
	assert_int_equal(n, 4095);
	expect_ret(ret, -ENOSPC);
	expect_ok(kt_event_destroy(&gpu, last));
	expect_ok(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id));
	assert_int_equal(id, last);
	expect_ret(kt_event_create(&gpu, KT_EVENT_SIGNAL, true, &id), -ENOSPC);
}

static int alloc_vram(uint64_t len, uint64_t *handle)
{
	uint64_t offset = 0;

	/* Address 0: no GPU address yet, so none is used up. */
	return kt_bo_ioctl(&gpu, 0, len, KFD_IOC_ALLOC_MEM_FLAGS_VRAM, &offset, handle);
}

static void vram_exhaustion_is_ENOMEM(void **state)
{
	uint64_t handles[64], avail, piece;
	unsigned int n = 0;
	int ret = 0;

	(void)state;
	gpu_open();
	avail = vram_available();
	if (avail < 64 * KT_HUGE)
		conf_skip("only %llu bytes of VRAM", (unsigned long long)avail);
	expect_ret(alloc_vram(avail + 64 * KT_HUGE, &handles[0]), -ENOMEM);
	piece = (avail / 8) & ~(uint64_t)(KT_HUGE - 1);
	while (n < KT_ARRAY_SIZE(handles) && !(ret = alloc_vram(piece, &handles[n])))
		n++;
	expect_ret(ret, -ENOMEM);
	assert_in_range(n, 7, 8);
	assert_true(vram_available() < piece + 64 * KT_HUGE);
	for (unsigned int i = 0; i < n; i++)
		expect_ok(kt_bo_free_handle(&gpu, handles[i]));
	/* All of it came back. */
	assert_true(vram_available() + 20 * (1UL << 20) >= avail);
	expect_ok(alloc_vram(piece, &handles[0]));
}

static int takes_vram(void *arg)
{
	uint64_t handle;

	child_check(kt_open(&gpu, conf_run.node) == 0);
	child_check(alloc_vram(*(uint64_t *)arg, &handle) == 0);
	return 0;
}

static void vram_of_a_dead_process_comes_back(void **state)
{
	uint64_t avail, half;

	(void)state;
	gpu_open();
	avail = vram_available();
	if (avail < 64 * KT_HUGE)
		conf_skip("only %llu bytes of VRAM", (unsigned long long)avail);
	half = (avail / 2 + avail / 8) & ~(uint64_t)(KT_HUGE - 1);
	/*
	 * Each takes more than half: the second works only if the first gave back,
	 * which may come a moment after its end.
	 */
	for (unsigned int i = 0; i < 2; i++) {
		expect_child_ok(spawn(takes_vram, &half));
		assert_true(kt_wait_for(vram_available() + 20 * (1UL << 20) >= avail,
					KT_WAIT_MS));
	}
}

static void gtt_larger_than_memory_is_ENOMEM(void **state)
{
	uint64_t offset = 0, handle;

	(void)state;
	gpu_open();
	expect_ret(kt_bo_ioctl(&gpu, 0x100000000000ULL, 1ULL << 42,
			       KFD_IOC_ALLOC_MEM_FLAGS_GTT, &offset, &handle), -ENOMEM);
	/* Sizes that make no sense. */
	expect_ret(kt_bo_ioctl(&gpu, 0x100000000000ULL, 0, KFD_IOC_ALLOC_MEM_FLAGS_GTT,
			       &offset, &handle), -EINVAL);
}

static void gtt_has_a_limit_below_memory(void **state)
{
	const uint64_t piece = 64UL << 20;
	uint64_t offset, handle, va = 0x100000000000ULL;
	unsigned int n = 0;
	int ret;

	(void)state;
	gpu_open();
	/* Bounded: 1024 pieces are 64 GiB, more than any machine of the tests has. */
	do {
		offset = 0;
		ret = kt_bo_ioctl(&gpu, va + n * piece, piece,
				  KFD_IOC_ALLOC_MEM_FLAGS_GTT, &offset, &handle);
	} while (!ret && ++n < 1024);
	expect_ret(ret, -ENOMEM);
	assert_true(n > 0);
}

/* As many names as there are; the same page behind all of them. */
static void memory_objects_have_a_limit(void **state)
{
	uint64_t va = 0x300000000000ULL, handle = 0, last = 0, cpu;
	unsigned int n = 0;
	void *p;
	int ret;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	do {
		cpu = (uintptr_t)p;
		last = handle;
		ret = kt_bo_ioctl(&gpu, va + n * KT_PAGE, KT_PAGE,
				  KFD_IOC_ALLOC_MEM_FLAGS_USERPTR, &cpu, &handle);
	} while (!ret && ++n < 200000);
	assert_true(ret == -ENOMEM || ret == -ENOSPC);
	expect_ok(kt_bo_free_handle(&gpu, last));
	cpu = (uintptr_t)p;
	expect_ok(kt_bo_ioctl(&gpu, va - KT_PAGE, KT_PAGE,
			      KFD_IOC_ALLOC_MEM_FLAGS_USERPTR, &cpu, &handle));
}

/*
 * Every second page registered on its own: as many ranges as pages. Either all
 * of it works or it ends in ENOMEM, with what was set before intact.
 */
static void many_small_ranges(void **state)
{
	const unsigned int pages = 8192;
	struct kfd_svm_attribute a = { KFD_SVM_ATTR_GRANULARITY, 0 };
	unsigned int n;
	char *p;
	int ret = 0;

	(void)state;
	gpu_open();
	p = map_pages(pages * KT_PAGE);
	for (n = 0; n < pages && !ret; n += 2)
		ret = kt_svm_set1(gpu.kfd, p + n * KT_PAGE, KT_PAGE,
				  KFD_SVM_ATTR_GRANULARITY, 1 + n / 2 % 30);
	assert_true(!ret || ret == -ENOMEM);
	for (unsigned int i = 0; i + 2 < n; i += 64) {
		expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR,
				 (uintptr_t)p + i * KT_PAGE, KT_PAGE, 1, &a));
		assert_int_equal(a.value, 1 + i / 2 % 30);
	}
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, pages * KT_PAGE,
			 1, &a));
	assert_int_equal(a.value, 1);
}

static const struct conf_case cases[] = {
	CASE(queues_have_a_limit, CONF_ONCE | CONF_VIRTUAL),
	CASE(event_4096_is_ENOSPC, CONF_ONCE),
	CASE(vram_exhaustion_is_ENOMEM, CONF_ONCE | CONF_VIRTUAL),
	CASE(vram_of_a_dead_process_comes_back, CONF_ONCE | CONF_VIRTUAL),
	CASE(gtt_larger_than_memory_is_ENOMEM, CONF_ONCE | CONF_VIRTUAL),
	CASE(gtt_has_a_limit_below_memory, CONF_ONCE | CONF_VIRTUAL | CONF_LONG),
	CASE(memory_objects_have_a_limit, CONF_ONCE | CONF_VIRTUAL | CONF_LONG),
	CASE(many_small_ranges, CONF_BOTH),
};

CONF_GROUP(limits_group, cases);
