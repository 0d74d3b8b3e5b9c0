// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/devices/virtual/kfd/kfd/topology: the tree of folders. Node 0 is the
 * CPU, node i + 1 is GPU i. What the files say is in topology_props.c.
 *
 * The machine's shape is fixed from load to unload, so all of it is made at load
 * and generation_id never changes.
 */
#include "vamdgpu.h"

#include <linux/device.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "kfd/front.h"

/**
 * struct vamdgpu_topo_dir - a folder with files
 * @kobj: the folder
 * @link: in the list of all folders, parents first
 * @node: number of the node it belongs to
 * @kind: what its file "properties" describes
 * @index: number within the node
 */
struct vamdgpu_topo_dir {
	struct kobject kobj;
	struct list_head link;
	unsigned int node;
	enum vamdgpu_topo_kind kind;
	unsigned int index;
};

static struct kobject *vamdgpu_topo_root;
static struct kobject *vamdgpu_topo_nodes;
/* Folders without files, one list, removed backwards. */
static struct kobject *vamdgpu_topo_plain[(VAMDGPU_MAX_GPUS + 1) * 5];
static unsigned int vamdgpu_topo_nplain;
static LIST_HEAD(vamdgpu_topo_dirs);

static ssize_t vamdgpu_topo_show(struct kobject *kobj, struct attribute *attr,
				 char *buf)
{
	struct vamdgpu_topo_dir *dir =
		container_of(kobj, struct vamdgpu_topo_dir, kobj);
	struct vamdgpu_device *dev = NULL;

	if (dir->node)
		dev = vamdgpu_gpus[dir->node - 1];
	if (!strcmp(attr->name, "gpu_id"))
		return sysfs_emit(buf, "%u\n", dev ? dev->gpu_id : 0);
	if (!strcmp(attr->name, "name"))
		return sysfs_emit(buf, "%s\n", dev ? "vega10" : "");
	return vamdgpu_topo_properties(dir->node, dir->kind, dir->index, buf);
}

static void vamdgpu_topo_free(struct kobject *kobj)
{
	kfree(container_of(kobj, struct vamdgpu_topo_dir, kobj));
}

static struct attribute vamdgpu_topo_gpu_id = { .name = "gpu_id", .mode = 0444 };
static struct attribute vamdgpu_topo_name = { .name = "name", .mode = 0444 };
static struct attribute vamdgpu_topo_props = { .name = "properties", .mode = 0444 };

static struct attribute *vamdgpu_topo_node_attrs[] = {
	&vamdgpu_topo_gpu_id,
	&vamdgpu_topo_name,
	&vamdgpu_topo_props,
	NULL,
};
ATTRIBUTE_GROUPS(vamdgpu_topo_node);

static struct attribute *vamdgpu_topo_item_attrs[] = {
	&vamdgpu_topo_props,
	NULL,
};
ATTRIBUTE_GROUPS(vamdgpu_topo_item);

static const struct sysfs_ops vamdgpu_topo_ops = {
	.show = vamdgpu_topo_show,
};

static const struct kobj_type vamdgpu_topo_node_type = {
	.release = vamdgpu_topo_free,
	.sysfs_ops = &vamdgpu_topo_ops,
	.default_groups = vamdgpu_topo_node_groups,
};

static const struct kobj_type vamdgpu_topo_item_type = {
	.release = vamdgpu_topo_free,
	.sysfs_ops = &vamdgpu_topo_ops,
	.default_groups = vamdgpu_topo_item_groups,
};

static ssize_t generation_id_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "2\n");
}

static ssize_t system_properties_show(struct kobject *kobj,
				      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf,
			  "platform_oem 0\nplatform_id 0\nplatform_rev 0\n");
}

static struct kobj_attribute vamdgpu_generation_id = __ATTR_RO(generation_id);
static struct kobj_attribute vamdgpu_system_properties =
	__ATTR_RO(system_properties);

static const struct attribute *vamdgpu_topo_root_attrs[] = {
	&vamdgpu_generation_id.attr,
	&vamdgpu_system_properties.attr,
	NULL,
};

static struct kobject *vamdgpu_topo_add_plain(struct kobject *parent,
					      const char *name)
{
	struct kobject *kobj = kobject_create_and_add(name, parent);

	if (kobj)
		vamdgpu_topo_plain[vamdgpu_topo_nplain++] = kobj;
	return kobj;
}

static struct vamdgpu_topo_dir *
vamdgpu_topo_add_dir(struct kobject *parent, unsigned int node,
		     enum vamdgpu_topo_kind kind, unsigned int index)
{
	struct vamdgpu_topo_dir *dir;
	int err;

	dir = kzalloc(sizeof(*dir), GFP_KERNEL);
	if (!dir)
		return ERR_PTR(-ENOMEM);
	dir->node = node;
	dir->kind = kind;
	dir->index = index;
	err = kobject_init_and_add(&dir->kobj,
				   kind == VAMDGPU_TOPO_NODE ?
				   &vamdgpu_topo_node_type :
				   &vamdgpu_topo_item_type,
				   parent, "%u", index);
	if (err) {
		kobject_put(&dir->kobj);
		return ERR_PTR(err);
	}
	list_add_tail(&dir->link, &vamdgpu_topo_dirs);
	return dir;
}

static int vamdgpu_topo_add_node(unsigned int node)
{
	static const struct {
		const char *name;
		int kind;	/* -1: always empty */
	} parts[] = {
		{ "mem_banks", VAMDGPU_TOPO_MEM_BANK },
		{ "caches", VAMDGPU_TOPO_CACHE },
		{ "io_links", VAMDGPU_TOPO_IO_LINK },
		{ "p2p_links", -1 },
		{ "perf", -1 },
	};
	struct vamdgpu_topo_dir *dir, *item;
	struct kobject *part;
	unsigned int i, k;

	dir = vamdgpu_topo_add_dir(vamdgpu_topo_nodes, node,
				   VAMDGPU_TOPO_NODE, node);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		part = vamdgpu_topo_add_plain(&dir->kobj, parts[i].name);
		if (!part)
			return -ENOMEM;
		if (parts[i].kind < 0)
			continue;
		for (k = 0; k < vamdgpu_topo_count(node, parts[i].kind); k++) {
			item = vamdgpu_topo_add_dir(part, node, parts[i].kind, k);
			if (IS_ERR(item))
				return PTR_ERR(item);
		}
	}
	return 0;
}

static void vamdgpu_topo_remove_items(bool nodes)
{
	struct vamdgpu_topo_dir *dir, *tmp;
	bool is_node;

	list_for_each_entry_safe_reverse(dir, tmp, &vamdgpu_topo_dirs, link) {
		is_node = dir->kind == VAMDGPU_TOPO_NODE;
		if (is_node != nodes)
			continue;
		list_del(&dir->link);
		kobject_del(&dir->kobj);
		kobject_put(&dir->kobj);
	}
}

/* Children before their parents: items, the folders between, nodes. */
void vamdgpu_topology_exit(void)
{
	vamdgpu_topo_remove_items(false);
	while (vamdgpu_topo_nplain)
		kobject_put(vamdgpu_topo_plain[--vamdgpu_topo_nplain]);
	vamdgpu_topo_remove_items(true);
	kobject_put(vamdgpu_topo_nodes);
	vamdgpu_topo_nodes = NULL;
	if (vamdgpu_topo_root)
		sysfs_remove_files(vamdgpu_topo_root, vamdgpu_topo_root_attrs);
	kobject_put(vamdgpu_topo_root);
	vamdgpu_topo_root = NULL;
}

int vamdgpu_topology_init(struct device *kfd)
{
	unsigned int node;
	int err = -ENOMEM;

	vamdgpu_topo_root = kobject_create_and_add("topology", &kfd->kobj);
	if (!vamdgpu_topo_root)
		return -ENOMEM;
	vamdgpu_topo_nodes = kobject_create_and_add("nodes", vamdgpu_topo_root);
	if (!vamdgpu_topo_nodes)
		goto err_exit;
	for (node = 0; node <= vamdgpu_ngpus; node++) {
		err = vamdgpu_topo_add_node(node);
		if (err)
			goto err_exit;
	}
	err = sysfs_create_files(vamdgpu_topo_root, vamdgpu_topo_root_attrs);
	if (!err)
		return 0;
err_exit:
	vamdgpu_topology_exit();
	return err;
}
