// SPDX-License-Identifier: GPL-2.0-only
#include "unplug_gpu.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "kt_sdma.h"

#define DRIVER		"/sys/bus/platform/drivers/vamdgpu"
#define DEVICES		"/sys/devices/platform"
#define TOPOLOGY	"/sys/class/kfd/kfd/topology"
#define MAX_GPUS	8

unsigned int gpu_slots(void)
{
	char path[64];
	unsigned int n;

	for (n = 0; n < MAX_GPUS; n++) {
		snprintf(path, sizeof(path), DEVICES "/vamdgpu.%u", n);
		if (access(path, F_OK))
			break;
	}
	return n;
}

bool gpu_is_plugged(unsigned int index)
{
	char path[64];

	snprintf(path, sizeof(path), DRIVER "/vamdgpu.%u", index);
	return !access(path, F_OK);
}

static void tell_driver(const char *file, unsigned int index)
{
	char path[64], name[16];
	int ret;

	snprintf(path, sizeof(path), DRIVER "/%s", file);
	snprintf(name, sizeof(name), "vamdgpu.%u", index);
	ret = kt_write_file(path, name);
	if (ret < 0)
		FAIL("%s of %s: %s", file, name, strerror(-ret));
}

void gpu_unplug(unsigned int index)
{
	tell_driver("unbind", index);
	CHECK(!gpu_is_plugged(index));
}

void gpu_plug(unsigned int index)
{
	tell_driver("bind", index);
	CHECK(gpu_is_plugged(index));
}

void gpu_plug_all(void)
{
	for (unsigned int i = 0; i < gpu_slots(); i++)
		if (!gpu_is_plugged(i))
			gpu_plug(i);
}

unsigned int topology_gpus(void)
{
	char path[96], text[32];
	unsigned int node;

	for (node = 1;; node++) {
		snprintf(path, sizeof(path), TOPOLOGY "/nodes/%u/gpu_id", node);
		if (kt_read_file(path, text, sizeof(text)) <= 0)
			return node - 1;
	}
}

unsigned long topology_generation(void)
{
	char text[32];

	CHECK(kt_read_file(TOPOLOGY "/generation_id", text, sizeof(text)) > 0);
	return strtoul(text, NULL, 10);
}

/* Folders of the CPU's links. */
static unsigned int topology_links(void)
{
	char path[96];
	unsigned int link;

	for (link = 0;; link++) {
		snprintf(path, sizeof(path), TOPOLOGY "/nodes/0/io_links/%u", link);
		if (access(path, F_OK))
			return link;
	}
}

bool topology_agrees(void)
{
	unsigned int gpus, folders;
	unsigned long generation;
	uint64_t links;

	do {
		generation = topology_generation();
		gpus = topology_gpus();
		CHECK_EQ(kt_node_property(0, "io_links_count", &links), 0);
		folders = topology_links();
	} while (topology_generation() != generation);
	if (links == gpus && folders == gpus)
		return true;
	note("generation %lu: %u GPUs, %llu links, %u folders of links", generation, gpus,
	     (unsigned long long)links, folders);
	return false;
}

int gpu_state(struct kt_dev *dev)
{
	struct kfd_ioctl_get_available_memory_args args = { .gpu_id = dev->gpu_id };

	return kt_ioctl(dev->kfd, AMDKFD_IOC_AVAILABLE_MEMORY, &args);
}

bool queue_ends(struct kt_dev *dev, struct kt_queue *q)
{
	return kt_wait_for(kt_queue_done(q) || gpu_state(dev) == -ENODEV, KT_WAIT_MS);
}

static void copy_on(unsigned int node)
{
	const size_t len = 64 << 10;
	uint32_t pkt[KT_SDMA_MAX_DW];
	struct kt_queue q;
	struct kt_dev dev;
	char *from, *to;

	CHECK_EQ(kt_open(&dev, (int)node), 0);
	from = TRY(mmap(NULL, 2 * len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	to = from + len;
	fill(from, len, node);
	CHECK_EQ(kt_svm_set1(dev.kfd, from, 2 * len, KFD_SVM_ATTR_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	CHECK_EQ(kt_queue_emit(&q, pkt, kt_sdma_copy(pkt, (uintptr_t)to,
						     (uintptr_t)from, len)), 0);
	kt_queue_ring(&q);
	CHECK_EQ(kt_queue_wait(&q, KT_WAIT_MS), 0);
	CHECK(filled(to, len, node));
}

void *map_aligned(size_t len)
{
	char *p = TRY(mmap(NULL, len + KT_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	return (void *)(((uintptr_t)p + KT_HUGE - 1) & ~(KT_HUGE - 1));
}

void check_new_process_works(void)
{
	int status;
	pid_t pid = TRY(fork());

	if (!pid) {
		for (unsigned int node = 1; node <= topology_gpus(); node++)
			copy_on(node);
		_exit(0);
	}
	TRY(waitpid(pid, &status, 0));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		FAIL("a new process does not work: status %#x", status);
}
