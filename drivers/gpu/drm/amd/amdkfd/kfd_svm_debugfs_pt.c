// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/kfd_svm/<tgid>/page_tables: what stands in the page tables of the
 * process's GPUs, as their backends read it from there. A line is
 *
 *   gpu ID FIRST-LAST leaf SIZE fragment SIZE rwxs MTYPE svm|object ram|vram ID ADDRESS
 *
 * with the bytes FIRST to LAST, a dash for each of read, write, execute, snooped that is
 * not set, and the DMA address of FIRST, or its address in the VRAM of the GPU ID.
 *
 * The lines of one read() are of one instant, those of the next of a later one.
 */
#include "kfd_svm_priv.h"

#include <linux/fs.h>
#include <linux/seq_file.h>

/**
 * struct pt_cursor - where a reader is
 * @svm: the process; looked at in read() only, which its end waits for
 * @gpu: index of the GPU
 * @va: nothing before it is to be shown any more
 * @run: what is to be shown next
 */
struct pt_cursor {
	struct kfd_svm *svm;
	unsigned int gpu;
	u64 va;
	struct kfd_svm_pt_run run;
};

static struct pt_cursor *find_run(struct pt_cursor *cursor)
{
	struct kfd_svm *svm = cursor->svm;

	lockdep_assert_held(&svm->update_lock);

	for (; cursor->gpu < svm->nr_gpus; cursor->gpu++, cursor->va = 0) {
		const struct kfd_svm_pgpu *pgpu = &svm->gpus[cursor->gpu];
		const struct kfd_svm_gpu_ops *ops = pgpu->gpu->desc.ops;

		if (pgpu->vm && ops->pt_next &&
		    ops->pt_next(pgpu->vm, cursor->va, &cursor->run))
			return cursor;
	}
	return NULL;
}

static void *pt_start(struct seq_file *m, loff_t *pos)
{
	struct pt_cursor *cursor = m->private;

	mutex_lock(&cursor->svm->update_lock);
	if (!*pos) {
		cursor->gpu = 0;
		cursor->va = 0;
	}
	return find_run(cursor);
}

static void *pt_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct pt_cursor *cursor = v;

	++*pos;
	cursor->va = cursor->run.va + cursor->run.len;
	return find_run(cursor);
}

static void pt_stop(struct seq_file *m, void *v)
{
	struct pt_cursor *cursor = m->private;

	mutex_unlock(&cursor->svm->update_lock);
}

static void show_size(struct seq_file *m, const char *name, unsigned int lg2)
{
	static const char units[] = "BKMGT";

	seq_printf(m, "%s %u%c ", name, 1U << (lg2 % 10), units[lg2 / 10]);
}

static int pt_show(struct seq_file *m, void *v)
{
	static const char * const mtypes[] = {
		[KFD_SVM_MTYPE_NC] = "nc",
		[KFD_SVM_MTYPE_RW] = "rw",
		[KFD_SVM_MTYPE_CC] = "cc",
		[KFD_SVM_MTYPE_UC] = "uc",
	};
	const struct pt_cursor *cursor = v;
	const struct kfd_svm_pt_run *run = &cursor->run;

	seq_printf(m, "gpu %u %#llx-%#llx ",
		   cursor->svm->gpus[cursor->gpu].user_gpu_id, run->va,
		   run->va + run->len - 1);
	show_size(m, "leaf", run->leaf_lg2);
	show_size(m, "fragment", run->fragment_lg2);
	seq_printf(m, "%c%c%c%c %s %s ",
		   run->flags & KFD_SVM_PTE_READ ? 'r' : '-',
		   run->flags & KFD_SVM_PTE_WRITE ? 'w' : '-',
		   run->flags & KFD_SVM_PTE_EXEC ? 'x' : '-',
		   run->flags & KFD_SVM_PTE_SNOOPED ? 's' : '-',
		   mtypes[FIELD_GET(KFD_SVM_PTE_MTYPE, run->flags)],
		   run->object ? "object" : "svm");
	if (run->flags & KFD_SVM_PTE_SYSTEM)
		seq_printf(m, "ram %#llx\n", run->addr);
	else
		seq_printf(m, "vram %u %#llx\n", run->vram_gpu_id, run->addr);
	return 0;
}

static const struct seq_operations pt_seq_ops = {
	.start = pt_start,
	.next = pt_next,
	.stop = pt_stop,
	.show = pt_show,
};

static int pt_open(struct inode *inode, struct file *file)
{
	struct pt_cursor *cursor;

	cursor = __seq_open_private(file, &pt_seq_ops, sizeof(*cursor));
	if (!cursor)
		return -ENOMEM;
	cursor->svm = inode->i_private;
	return 0;
}

const struct file_operations kfd_svm_page_tables_fops = {
	.owner = THIS_MODULE,
	.open = pt_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};
