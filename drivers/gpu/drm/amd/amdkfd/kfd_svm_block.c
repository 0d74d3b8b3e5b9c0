// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks: what each GPU has mapped of 2 MiB of address space, the page-table
 * writes that follow from it, and the DMA runs behind it.
 *
 * A block appears before something is mapped in it and goes, some time after
 * the last page went, from the housekeeping worker: whoever empties it runs
 * under update_lock alone and must not free what an op_lock holder looks at.
 */
#include "kfd_svm_priv.h"

#include <linux/slab.h>

#include "kfd_svm_trace.h"

#define MAPPING_SIZE	(sizeof(struct kfd_svm_mapping) + sizeof(struct kfd_svm_extent))

static void mapping_init(struct kfd_svm_mapping *map)
{
	bitmap_zero(map->mapped, KFD_SVM_BLOCK_PAGES);
	bitmap_zero(map->want, KFD_SVM_BLOCK_PAGES);
	map->exts = &map->one;
	map->zap_first = 0;
	map->zap_last = 0;
	map->zapped = false;
	map->one.nr = 0;
	map->one.nr_max = 1;
}

/* @exts was the array of @map. */
void kfd_svm_extents_free(struct kfd_svm_mapping *map, struct kfd_svm_extents *exts)
{
	if (exts != &map->one)
		kvfree(exts);
}

static void block_free(struct kfd_svm *svm, struct kfd_svm_block *block)
{
	unsigned int i;

	for (i = 0; i < svm->nr_gpus; i++) {
		struct kfd_svm_mapping *map = block->gpu[i];

		if (!map)
			continue;
		kfd_svm_extents_free(map, map->exts);
		if (!(block->inside & BIT_ULL(i)))
			kfree(map);
	}
	kfree(block->thrash);
	kfree(block);
}

/*
 * Block @index with a mapping for each of @gpus, not published yet; one allocation, whose
 * every field is set, since clearing it costs as much again. NULL: no memory.
 */
struct kfd_svm_block *kfd_svm_block_alloc(struct kfd_svm *svm, unsigned long index,
					  u64 gpus)
{
	struct kfd_svm_block *block;
	size_t head = struct_size(block, gpu, svm->nr_gpus);
	unsigned int i;
	void *map;

	block = kmalloc(head + hweight64(gpus) * MAPPING_SIZE, GFP_KERNEL_ACCOUNT);
	if (!block)
		return NULL;
	block->index = index;
	INIT_LIST_HEAD(&block->pending);
	block->next_try = 0;
	block->failures = 0;
	block->hit = false;
	bitmap_zero(block->demand, KFD_SVM_BLOCK_PAGES);
	block->changes = 0;
	block->thrash = NULL;
	block->inside = gpus;
	map = (void *)block + head;
	for (i = 0; i < svm->nr_gpus; i++) {
		block->gpu[i] = NULL;
		if (!(gpus & BIT_ULL(i)))
			continue;
		mapping_init(map);
		block->gpu[i] = map;
		map += MAPPING_SIZE;
	}
	return block;
}

/*
 * Publish blocks[n] as block @first + n, for each bit n of @which. Invalidation may find
 * them at once: they have nothing mapped.
 * Return: those that are in; the others are freed.
 */
u64 kfd_svm_blocks_insert(struct kfd_svm *svm, unsigned long first,
			  struct kfd_svm_block **blocks, u64 which)
{
	XA_STATE(xas, &svm->blocks, ULONG_MAX);
	u64 left = which, failed;
	unsigned long index;

	lockdep_assert_held(&svm->op_lock);

	do {
		xas_lock(&xas);
		for (; left; left &= left - 1) {
			index = first + __ffs64(left);
			/* The neighbour's place is at hand, but in the next node. */
			if (index == xas.xa_index + 1 && index & XA_CHUNK_MASK)
				xas_next(&xas);
			else
				xas_set(&xas, index);
			xas_store(&xas, blocks[__ffs64(left)]);
			if (xas_error(&xas))
				break;
		}
		xas_unlock(&xas);
	} while (xas_nomem(&xas, GFP_KERNEL_ACCOUNT));
	for (failed = left; left; left &= left - 1) {
		block_free(svm, blocks[__ffs64(left)]);
		blocks[__ffs64(left)] = NULL;
	}
	return which & ~failed;
}

/* Have a mapping for each of @gpus in @block. Return: 0 or -ENOMEM. */
int kfd_svm_block_add_gpus(struct kfd_svm *svm, struct kfd_svm_block *block, u64 gpus)
{
	struct kfd_svm_mapping *map;
	unsigned int i;

	lockdep_assert_held(&svm->op_lock);

	kfd_svm_for_each_gpu(i, svm, gpus) {
		if (block->gpu[i])
			continue;
		map = kmalloc(MAPPING_SIZE, GFP_KERNEL_ACCOUNT);
		if (!map)
			return -ENOMEM;
		mapping_init(map);
		mutex_lock(&svm->update_lock);
		block->gpu[i] = map;
		mutex_unlock(&svm->update_lock);
	}
	return 0;
}

/*
 * Block @index with a mapping for each of @gpus, made if missing. It stays at
 * least until op_lock is dropped. Return: the block or ERR_PTR(-ENOMEM).
 */
struct kfd_svm_block *kfd_svm_block_get(struct kfd_svm *svm, unsigned long index,
					u64 gpus)
{
	struct kfd_svm_block *block;
	int err;

	lockdep_assert_held(&svm->op_lock);

	block = xa_load(&svm->blocks, index);
	if (block) {
		err = kfd_svm_block_add_gpus(svm, block, gpus);
		return err ? ERR_PTR(err) : block;
	}
	block = kfd_svm_block_alloc(svm, index, gpus);
	if (!block || !kfd_svm_blocks_insert(svm, index, &block, 1))
		return ERR_PTR(-ENOMEM);
	return block;
}

void kfd_svm_block_set_pending(struct kfd_svm *svm, struct kfd_svm_block *block)
{
	lockdep_assert_held(&svm->update_lock);

	block->hit = true;
	if (!list_empty(&block->pending))
		return;
	block->next_try = jiffies;
	list_add_tail(&block->pending, &svm->pending);
	svm->nr_pending++;
}

void kfd_svm_block_clear_pending(struct kfd_svm *svm,
				 struct kfd_svm_block *block)
{
	lockdep_assert_held(&svm->update_lock);

	if (list_empty(&block->pending))
		return;
	list_del_init(&block->pending);
	svm->nr_pending--;
}

bool kfd_svm_block_is_empty(struct kfd_svm *svm, struct kfd_svm_block *block)
{
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);

	if (!list_empty(&block->pending))
		return false;
	if (block->thrash &&
	    kfd_svm_thrash_is_warm(block->thrash, kfd_svm_now_ms()))
		return false;
	for (i = 0; i < svm->nr_gpus; i++) {
		struct kfd_svm_mapping *map = block->gpu[i];

		if (map && !(bitmap_empty(map->mapped, KFD_SVM_BLOCK_PAGES) &&
			     bitmap_empty(map->want, KFD_SVM_BLOCK_PAGES)))
			return false;
	}
	return true;
}

/* Free all blocks that have nothing mapped and nothing to restore. */
void kfd_svm_blocks_reap(struct kfd_svm *svm)
{
	struct kfd_svm_block *block;
	unsigned long index;

	lockdep_assert_held(&svm->op_lock);

	xa_for_each(&svm->blocks, index, block) {
		bool empty;

		mutex_lock(&svm->update_lock);
		empty = kfd_svm_block_is_empty(svm, block);
		if (empty)
			xa_erase(&svm->blocks, index);
		mutex_unlock(&svm->update_lock);
		if (!empty)
			continue;
		block_free(svm, block);
		cond_resched();
	}
}

/* The end of the process: nothing is mapped any more, nobody looks. */
void kfd_svm_blocks_free(struct kfd_svm *svm)
{
	struct kfd_svm_block *block;
	unsigned long index;

	xa_for_each(&svm->blocks, index, block)
		block_free(svm, block);
	xa_destroy(&svm->blocks);
}

/* The attributes of @page, good up to *last (which is shrunk), or the defaults. */
void kfd_svm_attr_at(struct kfd_svm *svm, unsigned long page, unsigned long *last,
		     struct kfd_svm_attr *attr)
{
	struct kfd_svm_attr_range *range;

	range = kfd_svm_attr_first(&svm->attrs, page, *last);
	if (range && range->first <= page) {
		*attr = range->attr;
		*last = min(*last, range->last);
		return;
	}
	/* Only after attributes were lost, see kfd_svm_attr_remove(). */
	kfd_svm_default_attr(svm, attr);
	if (range)
		*last = range->first - 1;
}

/* What the PTEs of @ext for @gpu are but for the address, and whose VRAM it is in. */
u32 kfd_svm_extent_pte(struct kfd_svm *svm, unsigned int gpu,
		       const struct kfd_svm_extent *ext, u32 attr_flags,
		       void **vram_gpu)
{
	const struct kfd_svm_gpu_desc *desc = &svm->gpus[gpu].gpu->desc;
	enum kfd_svm_place place = KFD_SVM_PLACE_SYSTEM;
	unsigned int owner = FIELD_GET(KFD_SVM_EXT_GPU, ext->flags);

	*vram_gpu = NULL;
	if (ext->flags & KFD_SVM_EXT_VRAM)
		place = owner == gpu ? KFD_SVM_PLACE_LOCAL : KFD_SVM_PLACE_REMOTE;
	if (place == KFD_SVM_PLACE_REMOTE)
		*vram_gpu = svm->gpus[owner].gpu->desc.priv;
	return kfd_svm_policy_pte(desc->gc_version, desc->gc_traits, place, attr_flags,
				  ext->flags & KFD_SVM_EXT_WRITE);
}

/* Write @npages of @ext from page @first on, at @va, as one run. Return: its PTE. */
static u32 write_run(struct kfd_svm *svm, unsigned int gpu,
		     const struct kfd_svm_extent *ext, unsigned long va,
		     unsigned int first, unsigned int npages, u32 attr_flags)
{
	struct kfd_svm_pgpu *pgpu = &svm->gpus[gpu];
	void *vram_gpu;
	u32 pte = kfd_svm_extent_pte(svm, gpu, ext, attr_flags, &vram_gpu);

	pgpu->gpu->desc.ops->pt_map(pgpu->vm, va,
				    kfd_svm_extent_addr_at(ext, first),
				    (u64)npages << PAGE_SHIFT, pte, vram_gpu);
	return pte;
}

/*
 * Write the PTEs of all mapped pages in first..last (within the block), one
 * pt_map() for each run that looks alike, so that a huge page is one leaf.
 * @count: these are new mappings and not old ones put back.
 */
void kfd_svm_mapping_write_ptes(struct kfd_svm *svm, struct kfd_svm_block *block,
				unsigned int gpu, unsigned int first,
				unsigned int last, bool count)
{
	struct kfd_svm_mapping *map = block->gpu[gpu];
	struct kfd_svm_pgpu *pgpu = &svm->gpus[gpu];
	unsigned long base = kfd_svm_block_first(block);
	struct kfd_svm_extent *ext;
	unsigned int end;

	lockdep_assert_held(&svm->update_lock);

	for (; (ext = kfd_svm_mapping_next_run(map, &first, &end, last));
	     first = end + 1) {
		unsigned long last_page = base + end;
		struct kfd_svm_attr attr;
		unsigned int npages;
		u32 pte;

		kfd_svm_attr_at(svm, base + first, &last_page, &attr);
		end = last_page - base;
		npages = end - first + 1;
		pte = write_run(svm, gpu, ext, (base + first) << PAGE_SHIFT,
				first, npages, attr.flags);
		if (!count)
			continue;
		pgpu->counters.extents_mapped++;
		pgpu->counters.pages_mapped += npages;
		trace_kfd_svm_commit(svm->tgid, pgpu->user_gpu_id, base + first,
				     npages, pte);
	}
}

/* Undo the DMA run of @ext; VRAM has none. */
void kfd_svm_extent_undo(struct kfd_svm *svm, struct kfd_svm_block *block,
			 unsigned int gpu, const struct kfd_svm_extent *ext)
{
	unsigned long va = (kfd_svm_block_first(block) + ext->map_first)
			   << PAGE_SHIFT;
	struct hmm_mirror_extent run = {
		.va_flags = va | HMM_MIRROR_EXT_VALID,
		.pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN, ext->pfn) |
			      FIELD_PREP(HMM_MIRROR_EXT_NPAGES, ext->map_npages),
	};

	if (ext->flags & KFD_SVM_EXT_VRAM)
		return;
	if (ext->flags & KFD_SVM_EXT_WRITE)
		run.va_flags |= HMM_MIRROR_EXT_WRITE;
	hmm_mirror_extent_dma_unmap(svm->gpus[gpu].gpu->desc.dma_dev, &run,
				    ext->addr);
}

/* Undo the DMA runs that meet first..last and of which no page is mapped. */
void kfd_svm_mapping_undo_unused(struct kfd_svm *svm,
				 struct kfd_svm_block *block, unsigned int gpu,
				 unsigned int first, unsigned int last)
{
	struct kfd_svm_mapping *map = block->gpu[gpu];
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);

	for (i = 0; map->exts && i < map->exts->nr; i++) {
		const struct kfd_svm_extent *ext = &map->exts->ext[i];

		if (kfd_svm_extent_last(ext) < first)
			continue;
		if (ext->first > last)
			break;
		if (ext->flags & KFD_SVM_EXT_UNDONE ||
		    kfd_svm_dma_run_in_use(map, ext))
			continue;
		kfd_svm_extent_undo(svm, block, gpu, ext);
		kfd_svm_dma_run_set_undone(map, ext);
	}
}
