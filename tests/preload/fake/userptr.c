// SPDX-License-Identifier: MIT
/*
 * Memory that was an object of the runtime when the queue was made. Only here: what of
 * the runtimes makes such objects depends on their version.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../../userspace/libsvm/preload/kfd_calls.h"
#include "../plain.h"

#define PAGE	4096u
#define LEN	(4 * PAGE)

static bool pin(int kfd, void *p, struct pre_kfd_free_memory *object)
{
	struct pre_kfd_alloc_memory args = {
		.size = LEN, .mmap_offset = (uintptr_t)p, .flags = PRE_KFD_MEMORY_USERPTR,
	};

	if (ioctl(kfd, _IOWR(PRE_KFD_TYPE, PRE_KFD_ALLOC_MEMORY, args), &args))
		return false;
	object->handle = args.handle;
	return true;
}

static bool unpin(int kfd, struct pre_kfd_free_memory *object)
{
	return !ioctl(kfd, _IOW(PRE_KFD_TYPE, PRE_KFD_FREE_MEMORY, *object), object);
}

/* In the heap: malloc gives it out again without asking anybody. */
static bool freed_object(void)
{
	int kfd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct pre_kfd_free_memory object;
	char *p = aligned_alloc(PAGE, LEN);

	if (kfd < 0 || !p || !pin(kfd, p, &object))
		return fail("no memory object");
	if (!open_gpu() || !unpin(kfd, &object))
		return false;
	return half_to_half(p, LEN);
}

const struct plain_case userptr_cases[] = {
	{ "userptr_freed_object", freed_object },
	{ 0 },
};
