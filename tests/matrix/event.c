// SPDX-License-Identifier: GPL-2.0-only
/* What happens between the two jobs. */
#include <sys/mman.h>

#include "cell.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static uint64_t vram_len[MX_NGPUS];

void event_note_vram(unsigned int gpu_index)
{
	uint64_t now = vram_free() & ~(KT_HUGE - 1);

	if (now > vram_len[gpu_index])
		vram_len[gpu_index] = now;
}

void event_register(const struct mx_cell *cell, const struct mx_memory *mem,
		    bool prefetch)
{
	struct kfd_svm_attribute attrs[1 + MX_NGPUS];
	unsigned int n = 0;

	/* One call: what has to move is not mapped before. */
	if (prefetch)
		attrs[n++] = (struct kfd_svm_attribute){ KFD_SVM_ATTR_PREFETCH_LOC,
							 gpu.gpu_id };
	for (unsigned int i = 0; i < cell->gpus; i++) {
		if (cell->gpus > 1)
			use_gpu(i);
		attrs[n++] = (struct kfd_svm_attribute){ KFD_SVM_ATTR_ACCESS, gpu.gpu_id };
	}
	if (cell->gpus > 1)
		use_gpu(0);
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)mem->p, mem->len, n,
			 attrs));
}

/* An object takes all there is, and goes. */
static int take_vram(unsigned int gpu_index)
{
	const uint32_t flags = KFD_IOC_ALLOC_MEM_FLAGS_VRAM |
			       KFD_IOC_ALLOC_MEM_FLAGS_NO_SUBSTITUTE;
	uint64_t handle;
	size_t len = vram_len[gpu_index];
	void *va;
	int ret;

	va = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(va != MAP_FAILED);
	use_gpu(gpu_index);
	ret = kt_bo_ioctl(&gpu, (uintptr_t)va, len, flags, NULL, &handle);
	if (!ret)
		ret = kt_bo_free_handle(&gpu, handle);
	use_gpu(0);
	munmap(va, len);
	return ret;
}

static int child_run(void *arg)
{
	struct mx_child *child = arg;

	if (child->writes)
		cpu_write(child->mem, MX_CHILD);
	chan_tell_parent(&child->chan, 'w');
	child_check(chan_wait_parent(&child->chan) == 'v');
	child_check(cpu_sees(child->mem, child->plan->child));
	return 0;
}

/* The child lives until the end of the cell. */
static int fork_and_write(const struct mx_cell *cell, const struct mx_plan *plan,
			  struct mx_memory *mem, struct mx_child *child)
{
	child->mem = mem;
	child->plan = plan;
	child->writes = cell->event == MX_FORK_CHILD;
	chan_open(&child->chan);
	child->pid = spawn(child_run, child);
	assert_int_equal(chan_wait_child(&child->chan), 'w');
	if (!child->writes)
		cpu_write(mem, MX_PARENT);
	return 0;
}

static int prefetch_to(struct mx_memory *mem, uint32_t where)
{
	return kt_svm_set1(gpu.kfd, mem->p, mem->len, KFD_SVM_ATTR_PREFETCH_LOC, where);
}

static int unmap_middle(const struct mx_cell *cell, struct mx_memory *mem)
{
	mem->hole = mx_hole_first(cell->size) * KT_PAGE;
	mem->hole_len = mx_hole_npages(cell->size) * KT_PAGE;
	return munmap(mem->p + mem->hole, mem->hole_len) ? -errno : 0;
}

static int call(const struct mx_cell *cell, const struct mx_plan *plan,
		struct mx_memory *mem, struct mx_child *child)
{
	int ret = 0;

	switch (cell->event) {
	case MX_NONE:
	case MX_NEVENTS:
		return 0;
	case MX_MUNMAP:
		return unmap_middle(cell, mem);
	case MX_PROT_READ:
		ret = mprotect(mem->p, mem->len, PROT_READ);
		break;
	case MX_PROT_NONE:
		ret = mprotect(mem->p, mem->len, PROT_NONE);
		break;
	case MX_DONTNEED:
		ret = madvise(mem->p, mem->len, MADV_DONTNEED);
		break;
	case MX_FORK_PARENT:
	case MX_FORK_CHILD:
		return fork_and_write(cell, plan, mem, child);
	case MX_MREMAP:
		return memory_move(mem);
	case MX_PREFETCH:
		return prefetch_to(mem, gpu.gpu_id);
	case MX_PREFETCH_BACK:
		return prefetch_to(mem, KFD_SVM_LOC_SYSMEM);
	case MX_EVICT:
		if (plan->evict_gpu >= 0)
			return take_vram((unsigned int)plan->evict_gpu);
		ret = madvise(mem->p, mem->len, MADV_PAGEOUT);
		break;
	}
	return ret ? -errno : 0;
}

void event_do(const struct mx_cell *cell, const struct mx_plan *plan,
	      struct mx_memory *mem, struct mx_child *child)
{
	int ret = call(cell, plan, mem, child);

	if (ret != -plan->event_errno)
		fail_msg("errno: the event gives %s, expected %s",
			 ret ? strerrorname_np(-ret) : "success",
			 plan->event_errno ? strerrorname_np(plan->event_errno) :
					     "success");
}
