// SPDX-License-Identifier: GPL-2.0-only
/*
 * VRAM is one pool for memory objects and for pages that migrate: what takes it, who
 * gives way, what the figures say, and who reaches whose.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "kt.h"
#include "kt_sdma.h"

#define MIB	(1UL << 20)

static struct kt_dev dev;
static uint64_t vram_len;

static uint64_t mem_bank_len(unsigned int node)
{
	char path[128], text[512], *at;

	snprintf(path, sizeof(path),
		 "/sys/class/kfd/kfd/topology/nodes/%u/mem_banks/0/properties", node);
	CHECK(kt_read_file(path, text, sizeof(text)) > 0);
	at = strstr(text, "size_in_bytes ");
	CHECK(at);
	return strtoull(at + strlen("size_in_bytes "), NULL, 10);
}

static void setup(void)
{
	int ret = kt_open(&dev, -1);

	if (ret)
		FAIL("cannot open the GPU: %s", strerror(-ret));
	vram_len = mem_bank_len(dev.node);
}

static uint64_t available(void)
{
	struct kfd_ioctl_get_available_memory_args args = { .gpu_id = dev.gpu_id };

	CHECK_EQ(kt_ioctl(dev.kfd, AMDKFD_IOC_AVAILABLE_MEMORY, &args), 0);
	return args.available;
}

/* The number behind @name in the GPU's file in debugfs. */
static uint64_t vram_figure(const char *name)
{
	char path[96], text[512], *at;

	snprintf(path, sizeof(path), "/sys/kernel/debug/vamdgpu/%u/vram", dev.gpu_id);
	if (kt_read_file(path, text, sizeof(text)) < 0)
		SKIP("no debugfs");
	at = strstr(text, name);
	CHECK(at);
	return strtoull(at + strlen(name), NULL, 10);
}

static uint64_t process_vram(void)
{
	uint64_t bytes;

	CHECK_EQ(kt_process_vram(&dev, &bytes), 0);
	return bytes;
}

static void *migrate(size_t len, unsigned int seed)
{
	char *p = TRY(mmap(NULL, len + KT_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	int ret;

	p = (char *)(((uintptr_t)p + KT_HUGE - 1) & ~(KT_HUGE - 1));
	for (size_t at = 0; at < len; at += KT_HUGE)
		fill(p + at, len - at < KT_HUGE ? len - at : KT_HUGE,
		     seed + (unsigned int)(at / KT_HUGE));
	ret = kt_svm_set1(dev.kfd, p, len, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id);
	if (ret)
		FAIL("prefetch: %s", strerror(-ret));
	return p;
}

static void check_content(const char *p, size_t len, unsigned int seed)
{
	for (size_t at = 0; at < len; at += KT_HUGE)
		CHECK(filled(p + at, len - at < KT_HUGE ? len - at : KT_HUGE,
			     seed + (unsigned int)(at / KT_HUGE)));
}

static void need_vram(void)
{
	void *p = migrate(KT_PAGE, 1);

	if (!process_vram())
		SKIP("memory does not migrate to this GPU");
	munmap(p, KT_PAGE);
	/* The piece of VRAM goes back a little after its page. */
	CHECK(kt_wait_for(!vram_figure("migrated "), KT_WAIT_MS));
}

static void migrated_pages_take_vram(void)
{
	uint64_t before, copied;
	char *p;

	setup();
	need_vram();
	before = vram_figure("available ");
	CHECK_EQ(available(), before);
	copied = vram_figure("to_vram calls ");
	p = migrate(8 * MIB, 1);
	CHECK_EQ(process_vram(), 8 * MIB);
	CHECK_EQ(vram_figure("migrated "), 8 * MIB);
	CHECK_EQ(vram_figure("available "), before - 8 * MIB);
	/* An object can have it all the same. */
	CHECK_EQ(available(), before);
	CHECK(vram_figure("to_vram calls ") > copied);
	check_content(p, 8 * MIB, 1);
	TRY(munmap(p, 8 * MIB));
	CHECK_EQ(process_vram(), 0);
	CHECK(kt_wait_for(vram_figure("available ") == before, KT_WAIT_MS));
}

static void objects_push_pages_out(void)
{
	struct kt_bo bo;
	size_t len;
	char *p;

	setup();
	need_vram();
	len = (vram_len - vram_len / 4) & ~(KT_HUGE - 1);
	p = migrate(len, 5);
	CHECK(process_vram() >= len / 2);
	CHECK_EQ(kt_bo_vram(&dev, len, &bo), 0);
	CHECK(process_vram() >= len);
	CHECK(vram_figure("migrated ") <= vram_len - len);
	memset(bo.cpu, 0x77, len);
	check_content(p, len, 5);
	kt_bo_free(&dev, &bo);
	/* There is room again for those that come now. */
	kt_svm_set1(dev.kfd, p, len, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id);
	CHECK(process_vram() >= len / 2);
	check_content(p, len, 5);
}

/* An object that never fits moves nothing. */
static void too_large_an_object_pushes_nothing_out(void)
{
	uint64_t offset = 0, handle, before;
	struct kt_bo bo;

	setup();
	need_vram();
	migrate(4 * MIB, 9);
	CHECK_EQ(kt_bo_vram(&dev, vram_len / 2, &bo), 0);
	before = vram_figure("migrated ");
	CHECK(before >= 4 * MIB);
	CHECK_EQ(kt_bo_ioctl(&dev, 0, vram_len / 2 + KT_HUGE,
			     KFD_IOC_ALLOC_MEM_FLAGS_VRAM, &offset, &handle), -ENOMEM);
	CHECK_EQ(vram_figure("migrated "), before);
}

/* VRAM of the first GPU as the second one sees it. */
static void link_lets_peers_map_objects(void)
{
	uint32_t pkt[KT_SDMA_MAX_DW], *to;
	struct kfd_ioctl_map_memory_to_gpu_args args = { .n_devices = 1 };
	struct kt_queue q;
	struct kt_dev peer;
	uint64_t hive;
	struct kt_bo bo;
	int ret;

	setup();
	if (kt_open(&peer, (int)dev.node + 1))
		SKIP("needs two GPUs");
	CHECK_EQ(kt_node_property(dev.node, "hive_id", &hive), 0);
	CHECK_EQ(kt_bo_vram(&dev, KT_HUGE, &bo), 0);
	fill(bo.cpu, KT_HUGE, 3);
	args.handle = bo.handle;
	args.device_ids_array_ptr = (uintptr_t)&peer.gpu_id;
	ret = kt_ioctl(dev.kfd, AMDKFD_IOC_MAP_MEMORY_TO_GPU, &args);
	if (!hive) {
		CHECK_EQ(ret, -EINVAL);
		return;
	}
	CHECK_EQ(ret, 0);
	CHECK_EQ(kt_queue_create(&peer, 4096, &q), 0);
	to = TRY(mmap(NULL, KT_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0));
	CHECK_EQ(kt_queue_emit(&q, pkt, kt_sdma_copy(pkt, (uintptr_t)to,
						     (uintptr_t)bo.cpu, KT_HUGE)), 0);
	CHECK_EQ(kt_queue_emit(&q, pkt, kt_sdma_write1(pkt, (uintptr_t)bo.cpu, 42)), 0);
	kt_queue_ring(&q);
	CHECK_EQ(kt_queue_wait(&q, KT_WAIT_MS), 0);
	CHECK(filled(to, KT_HUGE, 3));
	CHECK_EQ(*(uint32_t *)bo.cpu, 42);
}

static const struct test_case cases[] = {
	CASE(migrated_pages_take_vram),
	CASE(objects_push_pages_out),
	CASE(too_large_an_object_pushes_nothing_out),
	CASE(link_lets_peers_map_objects),
};

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases, KT_ARRAY_SIZE(cases));
}
