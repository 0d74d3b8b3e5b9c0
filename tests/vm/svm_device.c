// SPDX-License-Identifier: GPL-2.0-only
/*
 * The GPU over memory that lies in another device, hmm_mirror_devmem's: private memory comes
 * back to RAM when the GPU wants it, coherent memory is used where it is. Either way the GPU
 * has what the CPU has, with XNACK on and off.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "hmm_mirror_devmem.h"
#include "kt.h"
#include "kt_sdma.h"

#define NPAGES	48
#define LEN	(NPAGES * KT_PAGE)
#define PART	(16 * KT_PAGE)

static struct kt_dev gpu;
static struct kt_queue queue;
static struct kt_bo bounce;
static int devmem = -1;

static struct hmd_info info(unsigned int memory)
{
	struct hmd_info i = { .memory = memory };

	if (ioctl(devmem, HMD_INFO, &i)) {
		CHECK_EQ(errno, ENODEV);
		SKIP("this kernel or machine has no memory %u", memory);
	}
	return i;
}

static bool is_private(unsigned int memory)
{
	return memory == HMD_PRIVATE || memory == HMD_PRIVATE_OTHER;
}

static uint64_t move_once(void *p, unsigned int memory, unsigned int to)
{
	struct hmd_move m = {
		.first_va = (uintptr_t)p, .last_va = (uintptr_t)p + LEN - 1,
		.memory = memory, .to = to, .offset = HMD_ANYWHERE,
	};

	TRY(ioctl(devmem, HMD_MOVE, &m));
	return m.nr_moved;
}

/* Only RAM goes there, and what the GPU has used may lie in its own memory. */
static void move(void *p, unsigned int memory, unsigned int to, unsigned int seed)
{
	uint64_t moved = move_once(p, memory, to);

	if (moved < NPAGES && to == HMD_TO_DEVICE) {
		CHECK(filled(p, LEN, seed));
		CHECK_EQ(info(memory).nr_used, is_private(memory) ? 0 : moved);
		moved = is_private(memory) ? 0 : moved;
		moved += move_once(p, memory, to);
	}
	CHECK_EQ(moved, NPAGES);
}

static void begin(unsigned int memory, int xnack)
{
	int32_t mode = xnack;

	devmem = open(HMD_DEVICE, O_RDWR | O_CLOEXEC);
	if (devmem < 0)
		SKIP("hmm_mirror_devmem is not loaded");
	info(memory);
	CHECK_EQ(kt_open(&gpu, -1), 0);
	CHECK_EQ(kt_xnack(gpu.kfd, &mode), 0);
	CHECK_EQ(kt_queue_create(&gpu, 64 << 10, &queue), 0);
	CHECK_EQ(kt_bo_gtt(&gpu, LEN, &bounce), 0);
}

static void gpu_copy(void *to, const void *from, size_t len)
{
	uint32_t dw[KT_SDMA_MAX_DW];
	unsigned int n = kt_sdma_copy(dw, (uintptr_t)to, (uintptr_t)from, (uint32_t)len);

	CHECK_EQ(kt_queue_emit(&queue, dw, n), 0);
	kt_queue_ring(&queue);
	CHECK_EQ(kt_queue_wait(&queue, KT_WAIT_MS), 0);
}

/* What the GPU reads there is the pattern. */
static void gpu_expect(const void *p, size_t len, unsigned int seed)
{
	memset(bounce.cpu, 0xa5, len);
	gpu_copy(bounce.cpu, p, len);
	CHECK(filled(bounce.cpu, len, seed));
}

static void gpu_fill(void *p, size_t len, unsigned int seed)
{
	fill(bounce.cpu, len, seed);
	gpu_copy(p, bounce.cpu, len);
}

static void grant(const void *p)
{
	CHECK_EQ(kt_svm_set1(gpu.kfd, p, LEN, KFD_SVM_ATTR_ACCESS, gpu.gpu_id), 0);
}

static char *map_filled(unsigned int seed)
{
	char *p = TRY(mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0));

	TRY(madvise(p, LEN, MADV_NOHUGEPAGE));
	fill(p, LEN, seed);
	return p;
}

/* It lies in the device before the GPU hears of it. */
static void gpu_finds_memory_in_a_device(unsigned int memory, int xnack)
{
	char *p;

	begin(memory, xnack);
	p = map_filled(1);
	move(p, memory, HMD_TO_DEVICE, 1);
	/* XNACK off: it is made present now, all of it. */
	if (!xnack)
		grant(p);
	gpu_expect(p, PART, 1);
	if (is_private(memory))
		CHECK(info(memory).nr_used <= NPAGES - PART / KT_PAGE);
	else
		CHECK_EQ(info(memory).nr_used, NPAGES);
	gpu_fill(p + PART, PART, 2);
	CHECK(filled(p, PART, 1));
	CHECK(filled(p + PART, PART, 2));
	gpu_fill(p, LEN, 3);
	gpu_expect(p, LEN, 3);
	CHECK(filled(p, LEN, 3));
	if (!is_private(memory))
		CHECK_EQ(info(memory).nr_used, NPAGES);
	else
		CHECK_EQ(info(memory).nr_used, 0);
}

/* It goes there and comes back while the GPU has it mapped. */
static void gpu_follows_memory_to_a_device(unsigned int memory, int xnack)
{
	unsigned int seed = 10;
	char *p;

	begin(memory, xnack);
	p = map_filled(seed);
	if (!xnack)
		grant(p);
	for (int round = 0; round < 4; round++) {
		gpu_expect(p, LEN, seed);
		move(p, memory, HMD_TO_DEVICE, seed);
		gpu_expect(p, LEN, seed);
		gpu_fill(p, LEN, ++seed);
		if (!is_private(memory))
			move(p, memory, HMD_TO_RAM, seed);
		CHECK(filled(p, LEN, seed));
		gpu_fill(p, LEN, ++seed);
	}
	CHECK(filled(p, LEN, seed));
	CHECK_EQ(info(memory).nr_used, 0);
}

#define OVER(what, name, memory)						\
	static void gpu_##what##_##name##_xnack_on(void)			\
	{									\
		gpu_##what(memory, 1);						\
	}									\
	static void gpu_##what##_##name##_xnack_off(void)			\
	{									\
		gpu_##what(memory, 0);						\
	}

OVER(finds_memory_in_a_device, private, HMD_PRIVATE)
OVER(finds_memory_in_a_device, coherent, HMD_COHERENT)
OVER(follows_memory_to_a_device, private, HMD_PRIVATE)
OVER(follows_memory_to_a_device, coherent, HMD_COHERENT)

#define BOTH(what)								\
	CASE(gpu_##what##_private_xnack_on), CASE(gpu_##what##_private_xnack_off), \
	CASE(gpu_##what##_coherent_xnack_on), CASE(gpu_##what##_coherent_xnack_off)

static const struct test_case cases[] = {
	BOTH(finds_memory_in_a_device),
	BOTH(follows_memory_to_a_device),
};

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
