// SPDX-License-Identifier: GPL-2.0-only
/* Operations: what the GPU is told of the memory. */
#include "stress.h"

#include <errno.h>
#include <string.h>

static bool set(struct worker *w, const struct piece *p, uint32_t type, uint32_t value)
{
	struct piece pages = piece_pages(p);
	int ret = kt_svm_set1(w->s->dev.kfd, piece_va(w->s, &pages), pages.len, type,
			      value);

	/* SET may lose against what other threads do to all memory; it is told to ask again. */
	while (ret == -EAGAIN && !atomic_load(&w->s->stop))
		ret = kt_svm_set1(w->s->dev.kfd, piece_va(w->s, &pages), pages.len,
				  type, value);
	if (ret)
		fail(w, "SET of type %u, value %#x: %s", type, value, strerror(-ret));
	return true;
}

static bool set_access(struct worker *w, struct slot *slot, uint32_t type)
{
	struct piece all = slot_piece(slot);
	bool access = type != KFD_SVM_ATTR_NO_ACCESS;

	if (!access && !batch_wait(w))
		return true;
	slot->access = access;
	slot->no_access = !access;
	if (!access)
		piece_set_mapped(w->s, &all, false);
	else if (!w->s->xnack && slot->prot != PROT_IS_NONE)
		piece_set_mapped(w->s, &all, true);
	return set(w, &all, type, w->s->dev.gpu_id);
}

bool op_access(struct worker *w, const struct piece *p)
{
	return set_access(w, p->slot, KFD_SVM_ATTR_ACCESS);
}

bool op_in_place(struct worker *w, const struct piece *p)
{
	return set_access(w, p->slot, KFD_SVM_ATTR_ACCESS_IN_PLACE);
}

bool op_no_access(struct worker *w, const struct piece *p)
{
	return set_access(w, p->slot, KFD_SVM_ATTR_NO_ACCESS);
}

/* Registered, but perhaps in pieces that differ. */
bool op_flags(struct worker *w, const struct piece *p)
{
	static const uint32_t flags[] = {
		KFD_SVM_FLAG_HOST_ACCESS, KFD_SVM_FLAG_COHERENT,
		KFD_SVM_FLAG_HIVE_LOCAL, KFD_SVM_FLAG_GPU_EXEC,
		KFD_SVM_FLAG_GPU_READ_MOSTLY, KFD_SVM_FLAG_EXT_COHERENT,
	};
	uint32_t type = random_below(w, 2) ? KFD_SVM_ATTR_SET_FLAGS : KFD_SVM_ATTR_CLR_FLAGS;

	return set(w, p, type, flags[random_below(w, KT_ARRAY_SIZE(flags))]);
}

bool op_gpu_ro(struct worker *w, const struct piece *p)
{
	struct piece all = slot_piece(p->slot);

	p->slot->gpu_ro = true;
	return set(w, &all, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_RO);
}

bool op_gpu_rw(struct worker *w, const struct piece *p)
{
	struct piece all = slot_piece(p->slot);

	if (!p->slot->gpu_ro)
		return false;
	p->slot->gpu_ro = false;
	return set(w, &all, KFD_SVM_ATTR_CLR_FLAGS, KFD_SVM_FLAG_GPU_RO);
}

bool op_granularity(struct worker *w, const struct piece *p)
{
	return set(w, p, KFD_SVM_ATTR_GRANULARITY, (uint32_t)random_below(w, 12));
}

bool op_preferred(struct worker *w, const struct piece *p)
{
	uint32_t where[] = {
		KFD_SVM_LOC_SYSMEM, KFD_SVM_LOC_UNDEFINED, w->s->dev.gpu_id,
	};

	return set(w, p, KFD_SVM_ATTR_PREFERRED_LOC,
		   where[random_below(w, KT_ARRAY_SIZE(where))]);
}

bool op_prefetch_gpu(struct worker *w, const struct piece *p)
{
	return set(w, p, KFD_SVM_ATTR_PREFETCH_LOC, w->s->dev.gpu_id);
}

bool op_prefetch_ram(struct worker *w, const struct piece *p)
{
	return set(w, p, KFD_SVM_ATTR_PREFETCH_LOC, KFD_SVM_LOC_SYSMEM);
}
