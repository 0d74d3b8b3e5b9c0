// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPUs and the pages of their VRAM.
 *
 * All GPUs have one owner of pages, so that a walk for a process reports memory in the
 * VRAM of any of them where it is, and whoever maps it decides what to do about it.
 * Whether memory can migrate to a GPU is found out when it registers; a GPU to which
 * none can is a GPU all the same, and /sys/kernel/debug/kfd_svm/gpus says why.
 */
#include "kfd_svm_priv.h"

#include <linux/dev_printk.h>
#include <linux/err.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>

static bool vram = true;
module_param(vram, bool, 0444);
MODULE_PARM_DESC(vram, "Migrate memory to the VRAM of GPUs (default on)");

/* Its address is the owner. */
char kfd_svm_vram_owner;

static DEFINE_MUTEX(gpus_lock);
static LIST_HEAD(gpus);			/* under gpus_lock */

/* GPUs that memory can migrate to. */
static atomic_t nr_mems = ATOMIC_INIT(0);

static int mem_alloc(void *priv, u64 len, u64 *addr)
{
	struct kfd_svm_gpu *gpu = priv;

	return gpu->desc.ops->vram_alloc(gpu->desc.priv, len, addr);
}

static void mem_free(void *priv, u64 addr, u64 len)
{
	struct kfd_svm_gpu *gpu = priv;

	gpu->desc.ops->vram_free(gpu->desc.priv, addr, len);
}

static int mem_clear(void *priv, u64 addr, u64 len)
{
	struct kfd_svm_gpu *gpu = priv;

	return gpu->desc.ops->vram_clear(gpu->desc.priv, addr, len);
}

static int mem_copy(void *priv, enum hmm_mirror_copy_dir dir,
		    const struct hmm_mirror_copy *runs, unsigned int nr)
{
	struct kfd_svm_gpu *gpu = priv;

	return gpu->desc.ops->vram_copy(gpu->desc.priv, dir, runs, nr);
}

static bool is_same_hive(const struct kfd_svm_gpu *a, const struct kfd_svm_gpu *b)
{
	return a->desc.hive_id && a->desc.hive_id == b->desc.hive_id;
}

static int mem_copy_peer(void *priv, void *src, const struct hmm_mirror_copy *runs,
			 unsigned int nr)
{
	struct kfd_svm_gpu *gpu = priv, *from = src;

	if (!is_same_hive(gpu, from) || !gpu->desc.ops->vram_copy_peer)
		return -EOPNOTSUPP;
	return gpu->desc.ops->vram_copy_peer(gpu->desc.priv, from->desc.priv,
					     runs, nr);
}

static const struct hmm_mirror_devmem_ops mem_ops = {
	.alloc = mem_alloc,
	.free = mem_free,
	.clear = mem_clear,
	.copy = mem_copy,
	.copy_peer = mem_copy_peer,
};

/* A reason why nothing can migrate to @gpu, or NULL. */
static const char *refusal(const struct kfd_svm_gpu_desc *desc)
{
	if (!vram)
		return "switched off (kfd_svm.vram=0)";
	if (!desc->svm_capable)
		return "no SVM on this GPU";
	if (!desc->vram_len || !desc->ops->vram_alloc || !desc->ops->vram_free ||
	    !desc->ops->vram_clear || !desc->ops->vram_copy)
		return "its driver offers none";
	return NULL;
}

static const char *why_failed(long err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return "the kernel has no DEVICE_PRIVATE and the VRAM is not coherent";
	case -ENOMEM:
		return "out of memory";
	case -ERANGE:
	case -ENOSPC:
		return "no free physical address space";
	case -EBUSY:
		return "its addresses are taken";
	default:
		return "setting it up failed";
	}
}

/* Make the VRAM of @gpu migratable to, if that can be. @gpu is used either way. */
void kfd_svm_vram_init(struct kfd_svm_gpu *gpu)
{
	const struct hmm_mirror_devmem_desc desc = {
		.dev = gpu->desc.dma_dev,
		.len = gpu->desc.vram_len,
		.coherent_start = gpu->desc.vram_coherent_start,
		.owner = &kfd_svm_vram_owner,
		.ops = &mem_ops,
		.priv = gpu,
	};

	gpu->why_not = refusal(&gpu->desc);
	if (!gpu->why_not) {
		gpu->mem = hmm_mirror_devmem_create(&desc);
		if (IS_ERR(gpu->mem)) {
			dev_info(gpu->desc.dma_dev, "kfd_svm: VRAM: error %ld\n",
				 PTR_ERR(gpu->mem));
			gpu->why_not = why_failed(PTR_ERR(gpu->mem));
			gpu->mem = NULL;
		}
	}
	if (gpu->mem)
		atomic_inc(&nr_mems);
	else
		dev_info(gpu->desc.dma_dev, "kfd_svm: no migration to VRAM: %s\n",
			 gpu->why_not);
	mutex_lock(&gpus_lock);
	list_add_tail(&gpu->link, &gpus);
	mutex_unlock(&gpus_lock);
}

/* What is in the VRAM goes to RAM. */
void kfd_svm_vram_fini(struct kfd_svm_gpu *gpu)
{
	mutex_lock(&gpus_lock);
	list_del(&gpu->link);
	mutex_unlock(&gpus_lock);
	if (!gpu->mem)
		return;
	hmm_mirror_devmem_destroy(gpu->mem);
	gpu->mem = NULL;
	atomic_dec(&nr_mems);
}

/* May there be memory in the VRAM of some GPU, also one the process does not have? */
bool kfd_svm_vram_in_use(void)
{
	return atomic_read(&nr_mems);
}

/* The GPU at @index is new in @svm: note what it reaches. */
void kfd_svm_vram_attach(struct kfd_svm *svm, unsigned int index)
{
	const struct kfd_svm_gpu *gpu = svm->gpus[index].gpu;
	struct kfd_svm_links *links = &svm->links;
	unsigned int i;

	lockdep_assert_held(&svm->update_lock);
	BUILD_BUG_ON(ARRAY_SIZE(links->reach) != KFD_SVM_MAX_GPUS);

	if (gpu->mem)
		links->with_vram |= BIT_ULL(index);
	links->reach[index] = BIT_ULL(index);
	for (i = 0; i < index; i++) {
		if (!is_same_hive(gpu, svm->gpus[i].gpu) && !kfd_svm_break_hive)
			continue;
		links->reach[index] |= BIT_ULL(i);
		links->reach[i] |= BIT_ULL(index);
	}
	kfd_svm_account_add_gpu(svm->account, gpu, svm->gpus[index].user_gpu_id);
}

/*
 * Is the extent in the VRAM of one of our GPUs? If so, *@owner is the GPU's index in the
 * process, or KFD_SVM_NO_GPU, and *@addr the first byte in its VRAM. Update lock held,
 * range valid.
 */
bool kfd_svm_vram_find(struct kfd_svm *svm, const struct hmm_mirror_range *range,
		       const struct hmm_mirror_extent *ext, int *owner, u64 *addr)
{
	unsigned int i;
	void *gpu;

	lockdep_assert_held(&svm->update_lock);

	if (!(ext->va_flags & HMM_MIRROR_EXT_DEVICE) ||
	    !hmm_mirror_extent_devmem(range, ext, &kfd_svm_vram_owner, &gpu, addr))
		return false;
	*owner = KFD_SVM_NO_GPU;
	for (i = 0; i < svm->nr_gpus; i++)
		if (svm->gpus[i].gpu == gpu)
			*owner = i;
	return true;
}

static const char *mode_of(const struct kfd_svm_gpu *gpu)
{
	if (!gpu->mem)
		return "none";
	return hmm_mirror_devmem_kind(gpu->mem) == HMM_MIRROR_DEVMEM_PRIVATE ?
		       "private" : "coherent";
}

/**
 * kfd_svm_gpu_vram_mode - can memory migrate to a GPU?
 * @gpu: the GPU
 * @why_not: set to the reason where it cannot, else to NULL
 *
 * For people; the words are those of the debugfs file "gpus".
 *
 * Context: any.
 * Return: "private": it can, and the CPU does not reach it there; "coherent": it can,
 * and the CPU does; "none".
 */
const char *kfd_svm_gpu_vram_mode(const struct kfd_svm_gpu *gpu,
				  const char **why_not)
{
	*why_not = gpu->why_not;
	return mode_of(gpu);
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_gpu_vram_mode, KFD_SVM);

/**
 * kfd_svm_gpu_evict - make room in a GPU's VRAM
 * @gpu: the GPU
 * @len: bytes wanted
 *
 * Moves migrated memory to RAM, what was used longest ago first, whoever's it is.
 *
 * Context: may sleep; no lock that an op takes, no mmap_lock.
 * Return: bytes given back through ops->vram_free() by now; 0: there is nothing left
 * that can be moved.
 */
u64 kfd_svm_gpu_evict(struct kfd_svm_gpu *gpu, u64 len)
{
	return gpu->mem ? hmm_mirror_devmem_evict(gpu->mem, len) : 0;
}
EXPORT_SYMBOL_NS_GPL(kfd_svm_gpu_evict, KFD_SVM);

int kfd_svm_gpus_show(struct seq_file *m, void *unused)
{
	const struct kfd_svm_gpu *gpu;

	mutex_lock(&gpus_lock);
	list_for_each_entry(gpu, &gpus, link) {
		seq_printf(m, "gpu %u hive %#llx vram_mib %llu migration %s",
			   gpu->desc.gpu_id, gpu->desc.hive_id,
			   gpu->desc.vram_len >> 20, mode_of(gpu));
		if (gpu->why_not)
			seq_printf(m, " (%s)", gpu->why_not);
		seq_putc(m, '\n');
	}
	mutex_unlock(&gpus_lock);
	return 0;
}
