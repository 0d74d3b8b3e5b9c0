// SPDX-License-Identifier: GPL-2.0-only
/* Calls of /dev/hmm_mirror_devmem. */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "devmem.h"

/* Not inherited: a memory's pages are those of the process that asks. */
static int devmem_fd(void)
{
	static int fd = -1;
	static pid_t owner;

	if (owner != getpid()) {
		fd = open(HMD_DEVICE, O_RDWR | O_CLOEXEC);
		owner = getpid();
	}
	return fd;
}

static int call(unsigned long cmd, void *arg)
{
	return ioctl(devmem_fd(), cmd, arg) < 0 ? -errno : 0;
}

static bool is_private(unsigned int memory)
{
	return memory == HMD_PRIVATE || memory == HMD_PRIVATE_OTHER;
}

/* Of the kernels of ./dev only the oldest has no private memory. */
static bool must_have(unsigned int memory)
{
	const char *kernel = getenv("KFDSVM_KERNEL");
	char cmdline[4096] = "";

	if (is_private(memory))
		return kernel && !strstr(kernel, "6.12");
	return !hmt_read_file("/proc/cmdline", cmdline, sizeof(cmdline)) &&
	       strstr(cmdline, "memmap=");
}

const char *dm_missing(unsigned int memory)
{
	struct hmd_info info = { .memory = memory };
	int err;

	if (devmem_fd() < 0)
		return "hmm_mirror_devmem is not loaded";
	err = call(HMD_INFO, &info);
	if (!err)
		return NULL;
	hmt_expect(err, -ENODEV);
	hmt_check_that(!must_have(memory), "this machine should have memory %u", memory);
	return is_private(memory) ? "this kernel has no private memory of devices" :
				    "no memory is reserved (memmap=)";
}

void dm_need(unsigned int memory)
{
	const char *why = dm_missing(memory);

	if (why)
		hmt_skip("%s", why);
}

struct hmd_info dm_info(unsigned int memory)
{
	struct hmd_info info = { .memory = memory };

	hmt_ok(call(HMD_INFO, &info));
	return info;
}

bool dm_has(unsigned int memory, uint64_t pfn)
{
	struct hmd_info info = { .memory = memory };

	return !call(HMD_INFO, &info) && pfn >= info.first_pfn &&
	       pfn - info.first_pfn < info.npages;
}

long dm_move(const void *p, size_t npages, unsigned int memory, unsigned int to,
	     unsigned int flags, uint64_t offset)
{
	struct hmd_move move = {
		.first_va = (uintptr_t)p, .last_va = (uintptr_t)p + npages * HMT_PAGE - 1,
		.memory = memory, .to = to, .flags = flags, .offset = offset,
	};
	int err = call(HMD_MOVE, &move);

	return err ? err : (long)move.nr_moved;
}

bool dm_have_huge(void)
{
	/* Refused before anything is looked at: nothing is mapped at 0. */
	return dm_move(NULL, 1, HMD_PRIVATE, HMD_TO_DEVICE, HMD_HUGE, HMD_ANYWHERE) !=
	       -EOPNOTSUPP;
}

void dm_to_device_at(const void *p, size_t npages, unsigned int memory, uint64_t offset)
{
	hmt_expect(dm_move(p, npages, memory, HMD_TO_DEVICE, 0, offset), (long)npages);
}

void dm_to_device(const void *p, size_t npages, unsigned int memory)
{
	dm_to_device_at(p, npages, memory, HMD_ANYWHERE);
}

void dm_to_ram(const void *p, size_t npages, unsigned int memory)
{
	hmt_expect(dm_move(p, npages, memory, HMD_TO_RAM, 0, HMD_ANYWHERE), (long)npages);
}

void dm_evict(unsigned int memory)
{
	struct hmd_info info = { .memory = memory };

	hmt_ok(call(HMD_EVICT, &info));
	hmt_check_that(!info.nr_used, "%llu pages are left in memory %u",
		       (unsigned long long)info.nr_used, memory);
}

uint64_t dm_peek(uint64_t pfn)
{
	struct hmd_word w = { .pfn = pfn };
	int err = call(HMD_PEEK, &w);

	hmt_check_that(!err, "no device has page %#llx: %d", (unsigned long long)pfn, err);
	return w.word;
}

void dm_poke(uint64_t pfn, uint64_t word)
{
	struct hmd_word w = { .pfn = pfn, .word = word };

	hmt_ok(call(HMD_POKE, &w));
}
