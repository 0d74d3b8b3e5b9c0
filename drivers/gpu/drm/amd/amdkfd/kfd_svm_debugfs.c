// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/kfd_svm/: gpus. In <tgid>/: counters (one line for each GPU, read by
 * programs), state, residency and page_tables (for people). Nothing depends on them: where debugfs
 * says no there is none.
 */
#include "kfd_svm_priv.h"

#include <linux/debugfs.h>
#include <linux/seq_file.h>

/* Attribute ranges shown; a process can have a million. */
#define MAX_RANGES_SHOWN	4096

static struct dentry *kfd_svm_debugfs_root;

static int counters_show(struct seq_file *m, void *unused)
{
	struct kfd_svm *svm = m->private;
	unsigned int i;

	mutex_lock(&svm->update_lock);
	for (i = 0; i < svm->nr_gpus; i++) {
		struct kfd_svm_counters c = svm->gpus[i].counters;

		kfd_svm_account_read(svm->account, i, &c);
		seq_printf(m, "gpu %u faults %llu extents_mapped %llu ",
			   svm->gpus[i].user_gpu_id, c.faults, c.extents_mapped);
		seq_printf(m, "pages_mapped %llu invalidations %llu ",
			   c.pages_mapped, c.invalidations);
		seq_printf(m, "populates %llu pages_spared %llu ", c.populates,
			   c.pages_spared);
		seq_printf(m, "retries %llu restores %llu ", c.retries,
			   c.restores);
		seq_printf(m, "page_in %llu page_out %llu vram_pages %llu\n",
			   c.page_in, c.page_out, c.vram_pages);
	}
	mutex_unlock(&svm->update_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

static void show_attrs(struct seq_file *m, struct kfd_svm *svm)
{
	struct kfd_svm_attr_range *range;
	unsigned int shown = 0;

	seq_printf(m, "ranges %lu reserve %lu lost_pages %lu\n", svm->attrs.nr,
		   svm->attrs.reserve.nr, svm->attrs.lost_pages);
	kfd_svm_attr_for_each(range, &svm->attrs, 0, ULONG_MAX) {
		const struct kfd_svm_attr *attr = &range->attr;

		if (shown++ == MAX_RANGES_SHOWN) {
			seq_puts(m, "  ...\n");
			break;
		}
		seq_printf(m, "  %#lx-%#lx flags %#x access %#llx in_place %#llx ",
			   range->first, range->last, attr->flags, attr->access,
			   attr->in_place);
		seq_printf(m, "preferred %#x prefetch %#x granularity %u\n",
			   attr->preferred, attr->prefetch, attr->granularity);
	}
}

static void show_gpu(struct seq_file *m, struct kfd_svm *svm, unsigned int gpu)
{
	unsigned long mapped = 0, wanted = 0, extents = 0, blocks = 0, index;
	struct kfd_svm_block *block;

	xa_for_each(&svm->blocks, index, block) {
		const struct kfd_svm_mapping *map = block->gpu[gpu];

		if (!map)
			continue;
		blocks++;
		mapped += bitmap_weight(map->mapped, KFD_SVM_BLOCK_PAGES);
		wanted += bitmap_weight(map->want, KFD_SVM_BLOCK_PAGES);
		extents += map->exts ? map->exts->nr : 0;
	}
	seq_printf(m, "gpu %u bound %d capable %d gone %d ",
		   svm->gpus[gpu].user_gpu_id, !!svm->gpus[gpu].vm,
		   !!(svm->capable & BIT_ULL(gpu)), !!(svm->gone & BIT_ULL(gpu)));
	seq_printf(m, "blocks %lu extents %lu pages_mapped %lu pages_wanted %lu\n",
		   blocks, extents, mapped, wanted);
}

static int state_show(struct seq_file *m, void *unused)
{
	struct kfd_svm *svm = m->private;
	unsigned int i;

	mutex_lock(&svm->update_lock);
	seq_printf(m, "tgid %d xnack %d dead %d evicted %d pending_blocks %lu\n",
		   svm->tgid, svm->xnack, svm->dead, svm->evicted,
		   svm->nr_pending);
	for (i = 0; i < svm->nr_gpus; i++)
		show_gpu(m, svm, i);
	show_attrs(m, svm);
	mutex_unlock(&svm->update_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

DEFINE_SHOW_ATTRIBUTE(kfd_svm_residency);
DEFINE_SHOW_ATTRIBUTE(kfd_svm_gpus);

/* After execve() the process can have a second life while the first one ends. */
static struct dentry *create_dir(struct kfd_svm *svm)
{
	char name[32];
	struct dentry *old;
	unsigned int life;

	scnprintf(name, sizeof(name), "%d", svm->tgid);
	for (life = 1; life < 100; life++) {
		old = debugfs_lookup(name, kfd_svm_debugfs_root);
		if (IS_ERR_OR_NULL(old))
			return debugfs_create_dir(name, kfd_svm_debugfs_root);
		dput(old);
		scnprintf(name, sizeof(name), "%d.%u", svm->tgid, life);
	}
	return NULL;
}

void kfd_svm_debugfs_add(struct kfd_svm *svm)
{
	if (IS_ERR_OR_NULL(kfd_svm_debugfs_root))
		return;
	svm->debugfs = create_dir(svm);
	if (IS_ERR_OR_NULL(svm->debugfs))
		return;
	debugfs_create_file("counters", 0444, svm->debugfs, svm, &counters_fops);
	debugfs_create_file("state", 0444, svm->debugfs, svm, &state_fops);
	debugfs_create_file("residency", 0444, svm->debugfs, svm,
			    &kfd_svm_residency_fops);
	/* It tells physical addresses. */
	debugfs_create_file("page_tables", 0400, svm->debugfs, svm,
			    &kfd_svm_page_tables_fops);
}

/* Waits for readers. */
void kfd_svm_debugfs_remove(struct kfd_svm *svm)
{
	debugfs_remove_recursive(svm->debugfs);
}

void kfd_svm_debugfs_init(void)
{
	kfd_svm_debugfs_root = debugfs_create_dir("kfd_svm", NULL);
	debugfs_create_file("gpus", 0444, kfd_svm_debugfs_root, NULL,
			    &kfd_svm_gpus_fops);
}

void kfd_svm_debugfs_exit(void)
{
	debugfs_remove_recursive(kfd_svm_debugfs_root);
}
