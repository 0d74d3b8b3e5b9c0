// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making pages in VRAM one's own.
 *
 * After a fork(), or after an mprotect() there and back, the CPU's entry of a page in VRAM
 * is read-only, and what is read-only for the CPU is so for the GPU. The kernel makes a
 * page writable in RAM only, copied if somebody else has it, too. Left to itself, that
 * takes a whole window out of VRAM for one page that is written. So it is done here
 * before memory is mapped, for the very pages that are to be written:
 *
 *   private VRAM     page by page to RAM        MIGRATE, our own
 *   the CPU's fault  for writing                CLEAR, our own
 *   then             with the window to where it is to be, or back to where it was
 *
 * Whoever does this acts for the GPU, so nothing of it is a pull of the CPU. Nothing
 * depends on success: populating finds what is left, and has it come to RAM.
 */
#include "kfd_svm_priv.h"

#include <linux/slab.h>

/* How often a look is begun that the CPU overtakes. */
#define NR_LOOKS	4

/**
 * struct unshare - pages of a block that are to become writable
 * @pages: all of them
 * @hidden: those the CPU does not reach where they are
 * @in_vram: those in the VRAM of a GPU of the process
 * @home: the GPU, for @in_vram
 */
struct unshare {
	DECLARE_BITMAP(pages, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(hidden, KFD_SVM_BLOCK_PAGES);
	DECLARE_BITMAP(in_vram, KFD_SVM_BLOCK_PAGES);
	u8 home[KFD_SVM_BLOCK_PAGES];
};

static_assert(KFD_SVM_MAX_GPUS <= U8_MAX);

static unsigned long base_of(const struct kfd_svm_populate *pop)
{
	return pop->first & ~(KFD_SVM_BLOCK_PAGES - 1UL);
}

/* Is @ext there, but not the process's own, or not to be written? */
bool kfd_svm_is_shared(const struct hmm_mirror_extent *ext)
{
	return (ext->va_flags & (HMM_MIRROR_EXT_VALID | HMM_MIRROR_EXT_WRITE |
				 HMM_MIRROR_EXT_ZERO)) == HMM_MIRROR_EXT_VALID;
}

static bool has_shared(const struct hmm_mirror_cursor *cursor)
{
	unsigned int i;

	for (i = 0; i < cursor->nr; i++)
		if (kfd_svm_is_shared(&cursor->extents[i]))
			return true;
	return false;
}

/* Note @ext. Where @ram_too is not set, what is in RAM is left to the populate. */
static void add_extent(struct kfd_svm *svm, const struct hmm_mirror_range *range,
		       const struct hmm_mirror_extent *ext, unsigned long base,
		       bool ram_too, struct unshare *un)
{
	unsigned int first = (hmm_mirror_extent_va(ext) >> PAGE_SHIFT) - base;
	unsigned int npages = hmm_mirror_extent_npages(ext);
	bool ours;
	int owner;
	u64 addr;

	if (!kfd_svm_is_shared(ext))
		return;
	ours = kfd_svm_vram_find(svm, range, ext, &owner, &addr);
	if (!ours && !ram_too)
		return;
	bitmap_set(un->pages, first, npages);
	if (!ours)
		return;
	if (ext->va_flags & HMM_MIRROR_EXT_PRIVATE)
		bitmap_set(un->hidden, first, npages);
	/* Not back to one that has gone: its memory is being given up. */
	if (owner == KFD_SVM_NO_GPU || !(svm->links.with_vram & BIT_ULL(owner)))
		return;
	bitmap_set(un->in_vram, first, npages);
	memset(&un->home[first], owner, npages);
}

/* What a look has found, if it still holds. */
static int add_extents(struct kfd_svm *svm, struct hmm_mirror_range *range,
		       const struct hmm_mirror_cursor *cursor, unsigned long base,
		       bool ram_too, struct unshare **un)
{
	unsigned int i;
	int err = 0;

	if (!has_shared(cursor))
		return 0;
	if (!*un)
		*un = kzalloc(sizeof(**un), GFP_KERNEL_ACCOUNT);
	if (!*un)
		return -ENOMEM;
	mutex_lock(&svm->update_lock);
	if (!hmm_mirror_range_valid(range))
		err = -EAGAIN;
	for (i = 0; !err && i < cursor->nr; i++)
		add_extent(svm, range, &cursor->extents[i], base, ram_too, *un);
	mutex_unlock(&svm->update_lock);
	return err;
}

/* Times somebody else has changed memory of the block. */
static unsigned long changes_of(struct kfd_svm *svm, const struct kfd_svm_populate *pop)
{
	const struct kfd_svm_block *block;
	unsigned long changes;

	mutex_lock(&svm->update_lock);
	block = xa_load(&svm->blocks, kfd_svm_block_of(pop->first));
	changes = block ? block->changes : 0;
	mutex_unlock(&svm->update_lock);
	return changes;
}

/* Find what is shared. *@un: NULL if nothing is. */
static int look(struct kfd_svm *svm, const struct kfd_svm_populate *pop, bool ram_too,
		struct unshare **un)
{
	struct hmm_mirror_cursor cursor = {
		.extents = svm->fault_exts,
		.nr_max = KFD_SVM_BLOCK_PAGES,
		.next_va = pop->first << PAGE_SHIFT,
	};
	struct hmm_mirror_range range;
	unsigned int looks = 0;
	int err;

	err = kfd_svm_range_register(svm, &range, pop->first, pop->last);
	if (err)
		return err;
	while (!err && cursor.next_va <= pop->last << PAGE_SHIFT) {
		unsigned long va = cursor.next_va;

		err = hmm_mirror_range_snapshot(&range, &cursor) ?:
		      add_extents(svm, &range, &cursor, base_of(pop), ram_too, un);
		if (err == -EAGAIN && ++looks < NR_LOOKS) {
			cursor.next_va = va;
			err = 0;
		}
	}
	hmm_mirror_range_unregister(&range);
	return err;
}

/* Pages the program itself may not write are nobody's to copy. */
static int drop_read_only(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
			  struct unshare *un)
{
	unsigned long base = base_of(pop), page = pop->first, end;
	struct vm_area_struct *vma;
	int err;

	err = hmm_mirror_mmap_read_lock(&svm->mirror);
	if (err)
		return err;
	for (; page <= pop->last; page = end) {
		vma = vma_lookup(svm->mm, page << PAGE_SHIFT);
		end = vma ? min(pop->last + 1, vma->vm_end >> PAGE_SHIFT) : page + 1;
		if (!vma || !vma_is_anonymous(vma) || !(vma->vm_flags & VM_WRITE))
			bitmap_clear(un->pages, page - base, end - page);
	}
	hmm_mirror_mmap_read_unlock(&svm->mirror);
	return 0;
}

/*
 * Move the runs of @pages; to @to, or each to where it was if that is NULL. A page that
 * will not go at the moment keeps no other.
 */
static int move_runs(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		     const struct unshare *un, const unsigned long *pages,
		     const struct kfd_svm_target *to)
{
	unsigned long base = base_of(pop), moved, there;
	unsigned int page = 0, end, last;
	int err;

	for (; kfd_svm_bits_next_run(pages, &page, &end, KFD_SVM_BLOCK_PAGES - 1);
	     page = last + 1) {
		struct kfd_svm_target home = {
			.kind = KFD_SVM_TARGET_VRAM,
			.gpu = un->home[page],
		};

		for (last = page; last < end; last++)
			if (!to && un->home[last + 1] != un->home[page])
				break;
		err = kfd_svm_move(svm, base + page, base + last, to ?: &home,
				   kfd_svm_trigger(pop), &moved, &there);
		pop->moved += moved;
		if (err && err != -EBUSY)
			return err;
	}
	return 0;
}

/* Have the CPU's table show pages of our own. */
static int fault_in(struct kfd_svm *svm, const struct kfd_svm_populate *pop,
		    const struct unshare *un)
{
	const struct hmm_mirror_req req = {
		.spans = svm->req_spans,
		.nr_spans = kfd_svm_request_spans(svm, base_of(pop), un->pages),
	};
	struct hmm_mirror_cursor cursor = {
		.extents = svm->fault_exts,
		.nr_max = KFD_SVM_BLOCK_PAGES,
		.next_va = pop->first << PAGE_SHIFT,
	};
	struct hmm_mirror_range range;
	int err;

	err = kfd_svm_range_register(svm, &range, pop->first, pop->last);
	if (err)
		return err;
	WRITE_ONCE(svm->populator, current);
	while (!err && cursor.next_va <= pop->last << PAGE_SHIFT)
		err = hmm_mirror_range_fault(&range, &cursor, &req);
	WRITE_ONCE(svm->populator, NULL);
	hmm_mirror_range_unregister(&range);
	return err;
}

/*
 * Before @pop is populated: pages of it that are to be written become our own, if they are
 * in VRAM. With KFD_SVM_THEN_MOVE also those in RAM, as moving them before would be moving
 * them twice; the caller moves the window to VRAM next. With KFD_SVM_THEN_HOME what was in
 * VRAM goes back there.
 */
void kfd_svm_unshare(struct kfd_svm *svm, struct kfd_svm_populate *pop,
		     enum kfd_svm_then then)
{
	const struct kfd_svm_target ram = { .kind = KFD_SVM_TARGET_RAM };
	struct unshare *un = NULL;
	unsigned long changes;
	int err;

	lockdep_assert_held(&svm->op_lock);

	if (!kfd_svm_vram_in_use() || kfd_svm_break_fork_cow)
		return;
	if (!kfd_svm_is_eager(pop) && !pop->for_write)
		return;
	changes = changes_of(svm, pop);
	err = look(svm, pop, then == KFD_SVM_THEN_MOVE, &un);
	if (err || !un)
		goto out_free;
	if (!kfd_svm_is_eager(pop)) {
		kfd_svm_request_demand(svm, pop);
		bitmap_and(un->pages, un->pages, pop->demand, KFD_SVM_BLOCK_PAGES);
	}
	err = drop_read_only(svm, pop, un);
	if (err || bitmap_empty(un->pages, KFD_SVM_BLOCK_PAGES))
		goto out_free;
	bitmap_and(un->hidden, un->hidden, un->pages, KFD_SVM_BLOCK_PAGES);
	bitmap_and(un->in_vram, un->in_vram, un->pages, KFD_SVM_BLOCK_PAGES);
	/* A page that does not go to RAM now does when it is faulted in. */
	err = move_runs(svm, pop, un, un->hidden, &ram);
	if (!err)
		err = fault_in(svm, pop, un);
	/* What the CPU has taken meanwhile is where it wants it. */
	if (!err && then == KFD_SVM_THEN_HOME && changes_of(svm, pop) == changes)
		move_runs(svm, pop, un, un->in_vram, NULL);
out_free:
	kfree(un);
}
