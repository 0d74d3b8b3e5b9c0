// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the virtual GPU does for the SVM core. The core's vm is a struct
 * vamdgpu_pdd: kfd_svm_bind_vm() is given one.
 */
#include "vamdgpu.h"

#include "gfx9/pte.h"
#include "kfd/front.h"

static int svm_pt_reserve(void *vm, struct kfd_svm_span span)
{
	struct vamdgpu_pdd *pdd = vm;

	return gfx9_vm_reserve(pdd->vm, span.first_va, span.last_va);
}

static void svm_pt_map(void *vm, u64 va, u64 addr, u64 len, u32 flags,
		       void *vram_gpu)
{
	struct vamdgpu_device *owner = vram_gpu;
	struct vamdgpu_pdd *pdd = vm;

	if (flags & KFD_SVM_PTE_PEER)
		addr = gfx9_vram_pte_addr(owner->vram, addr);
	else if (!(flags & KFD_SVM_PTE_SYSTEM))
		addr = gfx9_vram_pte_addr(pdd->dev->vram, addr);
	gfx9_vm_map(pdd->vm, va, addr, len, flags | GFX9_MAP_SVM);
}

static void svm_pt_unmap(void *vm, struct kfd_svm_span span,
			 struct kfd_svm_span *cleared)
{
	struct vamdgpu_pdd *pdd = vm;

	gfx9_vm_unmap(pdd->vm, span.first_va, span.last_va, &cleared->first_va,
		      &cleared->last_va);
}

static void svm_tlb_flush(void *vm)
{
	struct vamdgpu_pdd *pdd = vm;

	gfx9_vm_flush(pdd->vm);
}

static void svm_quiesce(void *vm)
{
	struct vamdgpu_pdd *pdd = vm;

	gfx9_vm_stop(pdd->vm);
}

static void svm_resume(void *vm)
{
	struct vamdgpu_pdd *pdd = vm;

	gfx9_vm_start(pdd->vm);
}

static bool svm_va_busy(void *vm, struct kfd_svm_span *span)
{
	return vamdgpu_bo_va_busy(vm, span);
}

/* Flags of the hardware's own have no place in the core's. */
static bool svm_pt_next(void *vm, u64 va, struct kfd_svm_pt_run *run)
{
	struct vamdgpu_pdd *pdd = vm, *peer;
	struct gfx9_run found;
	unsigned int i;

	if (!gfx9_vm_next_run(pdd->vm, va, &found))
		return false;
	*run = (struct kfd_svm_pt_run){
		.va = found.va,
		.len = found.len,
		.addr = found.addr,
		.flags = found.flags & ~GFX9_MAP_SVM,
		.leaf_lg2 = found.leaf_shift,
		.fragment_lg2 = found.frag_shift,
		.object = !(found.flags & GFX9_MAP_SVM),
	};
	for (i = 0; found.vram && i < VAMDGPU_MAX_GPUS; i++) {
		peer = pdd->process->pdds[i];
		if (peer && peer->dev->vram == found.vram)
			run->vram_gpu_id = peer->dev->gpu_id;
	}
	if (found.vram && found.vram != pdd->dev->vram)
		run->flags |= KFD_SVM_PTE_PEER;
	return true;
}

const struct kfd_svm_gpu_ops vamdgpu_svm_ops = {
	.pt_reserve = svm_pt_reserve,
	.pt_map = svm_pt_map,
	.pt_unmap = svm_pt_unmap,
	.tlb_flush = svm_tlb_flush,
	.quiesce = svm_quiesce,
	.resume = svm_resume,
	.va_busy = svm_va_busy,
	.pt_next = svm_pt_next,
	.vram_alloc = vamdgpu_svm_vram_alloc,
	.vram_free = vamdgpu_svm_vram_free,
	.vram_clear = vamdgpu_svm_vram_clear,
	.vram_copy = vamdgpu_svm_vram_copy,
	.vram_copy_peer = vamdgpu_svm_vram_copy_peer,
};
