// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/kfd/kfd/proc/<tgid>/: what a process uses, for tools such as
 * rocm-smi: pasid, vram_<gpu id>, counters_<gpu id>/{faults,page_in,page_out}.
 *
 * Removing a folder waits for its readers, so that a reader may use the process
 * without a reference.
 */
#include "vamdgpu.h"

#include <linux/device.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "kfd/front.h"

/**
 * struct vamdgpu_sysfs_gpu - what is shown of a process on one GPU
 * @counters: folder of the core's counters
 * @vram: file with the VRAM it takes, memory objects and migrated pages
 * @pdd: process and GPU
 * @vram_name: name of @vram
 * @has_counters: @counters has been added
 */
struct vamdgpu_sysfs_gpu {
	struct kobject counters;
	struct attribute vram;
	struct vamdgpu_pdd *pdd;
	char vram_name[20];
	bool has_counters;
};

/**
 * struct vamdgpu_sysfs_proc - the folder of a process
 * @kobj: named by the tgid
 * @p: the process; valid until the folder is removed
 * @gpu: by GPU index
 */
struct vamdgpu_sysfs_proc {
	struct kobject kobj;
	struct vamdgpu_process *p;
	struct vamdgpu_sysfs_gpu *gpu[VAMDGPU_MAX_GPUS];
};

static struct kobject *vamdgpu_proc_root;

static ssize_t vamdgpu_proc_show(struct kobject *kobj, struct attribute *attr,
				 char *buf)
{
	struct vamdgpu_sysfs_proc *proc =
		container_of(kobj, struct vamdgpu_sysfs_proc, kobj);
	struct kfd_svm_counters counters = {};
	struct vamdgpu_sysfs_gpu *gpu;

	if (!strcmp(attr->name, "pasid"))
		return sysfs_emit(buf, "%u\n", proc->p->pasid);
	gpu = container_of(attr, struct vamdgpu_sysfs_gpu, vram);
	kfd_svm_read_counters(proc->p->svm, gpu->pdd->dev->gpu_id, &counters);
	return sysfs_emit(buf, "%llu\n", READ_ONCE(gpu->pdd->vram_used) +
			  (counters.vram_pages << PAGE_SHIFT));
}

static void vamdgpu_proc_free(struct kobject *kobj)
{
	struct vamdgpu_sysfs_proc *proc =
		container_of(kobj, struct vamdgpu_sysfs_proc, kobj);

	kfree(proc);
}

static struct attribute vamdgpu_pasid_attr = {
	.name = "pasid",
	.mode = 0444,
};

static struct attribute *vamdgpu_proc_attrs[] = {
	&vamdgpu_pasid_attr,
	NULL,
};
ATTRIBUTE_GROUPS(vamdgpu_proc);

static const struct sysfs_ops vamdgpu_proc_ops = {
	.show = vamdgpu_proc_show,
};

static const struct kobj_type vamdgpu_proc_type = {
	.release = vamdgpu_proc_free,
	.sysfs_ops = &vamdgpu_proc_ops,
	.default_groups = vamdgpu_proc_groups,
};

static ssize_t vamdgpu_counters_show(struct kobject *kobj,
				     struct attribute *attr, char *buf)
{
	struct vamdgpu_sysfs_gpu *gpu =
		container_of(kobj, struct vamdgpu_sysfs_gpu, counters);
	struct kfd_svm_counters counters = {};
	u64 value;

	kfd_svm_read_counters(gpu->pdd->process->svm, gpu->pdd->dev->gpu_id,
			      &counters);
	if (!strcmp(attr->name, "faults"))
		value = counters.faults;
	else if (!strcmp(attr->name, "page_in"))
		value = counters.page_in;
	else
		value = counters.page_out;
	return sysfs_emit(buf, "%llu\n", value);
}

static void vamdgpu_counters_free(struct kobject *kobj)
{
	kfree(container_of(kobj, struct vamdgpu_sysfs_gpu, counters));
}

static struct attribute vamdgpu_faults_attr = { .name = "faults", .mode = 0444 };
static struct attribute vamdgpu_page_in_attr = { .name = "page_in", .mode = 0444 };
static struct attribute vamdgpu_page_out_attr = { .name = "page_out", .mode = 0444 };

static struct attribute *vamdgpu_counters_attrs[] = {
	&vamdgpu_faults_attr,
	&vamdgpu_page_in_attr,
	&vamdgpu_page_out_attr,
	NULL,
};
ATTRIBUTE_GROUPS(vamdgpu_counters);

static const struct sysfs_ops vamdgpu_counters_ops = {
	.show = vamdgpu_counters_show,
};

static const struct kobj_type vamdgpu_counters_type = {
	.release = vamdgpu_counters_free,
	.sysfs_ops = &vamdgpu_counters_ops,
	.default_groups = vamdgpu_counters_groups,
};

static int vamdgpu_sysfs_gpu_add(struct vamdgpu_sysfs_proc *proc,
				 struct vamdgpu_pdd *pdd)
{
	struct vamdgpu_sysfs_gpu *gpu;
	int err;

	gpu = kzalloc(sizeof(*gpu), GFP_KERNEL_ACCOUNT);
	if (!gpu)
		return -ENOMEM;
	gpu->pdd = pdd;
	kobject_init(&gpu->counters, &vamdgpu_counters_type);
	proc->gpu[pdd->dev->index] = gpu;
	err = kobject_add(&gpu->counters, &proc->kobj, "counters_%u",
			  pdd->dev->gpu_id);
	if (err)
		return err;
	gpu->has_counters = true;
	snprintf(gpu->vram_name, sizeof(gpu->vram_name), "vram_%u",
		 pdd->dev->gpu_id);
	sysfs_attr_init(&gpu->vram);
	gpu->vram.name = gpu->vram_name;
	gpu->vram.mode = 0444;
	return sysfs_create_file(&proc->kobj, &gpu->vram);
}

/* Idempotent; vamdgpu_processes_lock held. */
void vamdgpu_sysfs_proc_remove(struct vamdgpu_process *p)
{
	struct vamdgpu_sysfs_proc *proc = p->sysfs;
	struct vamdgpu_sysfs_gpu *gpu;
	unsigned int i;

	if (!proc)
		return;
	p->sysfs = NULL;
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		gpu = proc->gpu[i];
		if (!gpu)
			continue;
		if (gpu->vram.name)
			sysfs_remove_file(&proc->kobj, &gpu->vram);
		if (gpu->has_counters)
			kobject_del(&gpu->counters);
		kobject_put(&gpu->counters);
	}
	kobject_del(&proc->kobj);
	kobject_put(&proc->kobj);
}

/* vamdgpu_processes_lock held; the name is free. */
int vamdgpu_sysfs_proc_add(struct vamdgpu_process *p)
{
	struct vamdgpu_sysfs_proc *proc;
	unsigned int i;
	int err;

	proc = kzalloc(sizeof(*proc), GFP_KERNEL_ACCOUNT);
	if (!proc)
		return -ENOMEM;
	proc->p = p;
	err = kobject_init_and_add(&proc->kobj, &vamdgpu_proc_type,
				   vamdgpu_proc_root, "%d", p->tgid);
	if (err) {
		kobject_put(&proc->kobj);
		return err;
	}
	p->sysfs = proc;
	for (i = 0; i < VAMDGPU_MAX_GPUS; i++) {
		err = p->pdds[i] ? vamdgpu_sysfs_gpu_add(proc, p->pdds[i]) : 0;
		if (err) {
			vamdgpu_sysfs_proc_remove(p);
			return err;
		}
	}
	return 0;
}

int vamdgpu_sysfs_proc_init(struct device *kfd)
{
	vamdgpu_proc_root = kobject_create_and_add("proc", &kfd->kobj);
	return vamdgpu_proc_root ? 0 : -ENOMEM;
}

void vamdgpu_sysfs_proc_exit(void)
{
	kobject_put(vamdgpu_proc_root);
}
