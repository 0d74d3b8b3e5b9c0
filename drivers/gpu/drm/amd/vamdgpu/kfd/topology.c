// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/devices/virtual/kfd/kfd/topology: the tree of folders. Node 0 is the
 * CPU, node i the i-th GPU that is there. What the files say is in topology_props.c.
 *
 * User space wants nodes without gaps, so GPUs behind one that goes move up. All GPUs look
 * alike but for what their files say, and those are read anew each time: the folders that
 * go are always the last ones, and removing some needs no memory.
 *
 * A reader asks for generation_id before and after it goes through the tree: if they
 * differ, it begins anew. So generation_id cannot be read while a change is under way, and
 * advances when it is complete:
 *
 *   change                               reader
 *     lock
 *     list of GPUs, folders                generation_id: waits
 *     generation + 1
 *     unlock
 *                                          what it sees from here on is new
 */
#include "vamdgpu.h"

#include <linux/device.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "kfd/front.h"

/**
 * struct vamdgpu_topo_dir - a folder
 * @kobj: the folder
 * @link: in the list of all folders, parents first
 * @node: number of the node it belongs to
 * @kind: what its file "properties" describes, if it has one
 * @index: number within the node; of a folder without files that in vamdgpu_topo_parts
 */
struct vamdgpu_topo_dir {
	struct kobject kobj;
	struct list_head link;
	unsigned int node;
	enum vamdgpu_topo_kind kind;
	unsigned int index;
};

static const struct {
	const char *name;
	enum vamdgpu_topo_kind kind;	/* PART: always empty */
} vamdgpu_topo_parts[] = {
	{ "mem_banks", VAMDGPU_TOPO_MEM_BANK },
	{ "caches", VAMDGPU_TOPO_CACHE },
	{ "io_links", VAMDGPU_TOPO_IO_LINK },
	{ "p2p_links", VAMDGPU_TOPO_PART },
	{ "perf", VAMDGPU_TOPO_PART },
};

static struct kobject *vamdgpu_topo_root;
static struct kobject *vamdgpu_topo_nodes;
/* Guards all of this and serialises changes; readers of the folders' files do without. */
static DEFINE_MUTEX(vamdgpu_topo_lock);
static LIST_HEAD(vamdgpu_topo_dirs);
static unsigned int vamdgpu_topo_generation = 1;

static ssize_t vamdgpu_topo_show(struct kobject *kobj, struct attribute *attr,
				 char *buf)
{
	struct vamdgpu_topo_dir *dir =
		container_of(kobj, struct vamdgpu_topo_dir, kobj);
	struct vamdgpu_device *dev = NULL;
	ssize_t ret;

	if (dir->node) {
		dev = vamdgpu_device_get_node(dir->node);
		/* It has gone just now, and the folder goes, too. */
		if (!dev)
			return -ENODEV;
	}
	if (!strcmp(attr->name, "gpu_id"))
		ret = sysfs_emit(buf, "%u\n", dev ? dev->gpu_id : 0);
	else if (!strcmp(attr->name, "name"))
		ret = sysfs_emit(buf, "%s\n", dev ? "vega10" : "");
	else
		ret = vamdgpu_topo_properties(dir->node, dev, dir->kind,
					      dir->index, buf);
	if (dev)
		vamdgpu_device_put(dev);
	return ret;
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

static const struct kobj_type vamdgpu_topo_part_type = {
	.release = vamdgpu_topo_free,
	.sysfs_ops = &vamdgpu_topo_ops,
};

static ssize_t generation_id_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	unsigned int generation;

	/* Nothing that a change waits for waits for this file. */
	if (mutex_lock_killable(&vamdgpu_topo_lock))
		return -EINTR;
	generation = vamdgpu_topo_generation;
	mutex_unlock(&vamdgpu_topo_lock);
	return sysfs_emit(buf, "%u\n", generation);
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

static struct vamdgpu_topo_dir *
vamdgpu_topo_find(unsigned int node, enum vamdgpu_topo_kind kind,
		  unsigned int index)
{
	struct vamdgpu_topo_dir *dir;

	lockdep_assert_held(&vamdgpu_topo_lock);
	list_for_each_entry(dir, &vamdgpu_topo_dirs, link)
		if (dir->node == node && dir->kind == kind && dir->index == index)
			return dir;
	return NULL;
}

static const struct kobj_type *vamdgpu_topo_type(enum vamdgpu_topo_kind kind)
{
	switch (kind) {
	case VAMDGPU_TOPO_NODE:
		return &vamdgpu_topo_node_type;
	case VAMDGPU_TOPO_PART:
		return &vamdgpu_topo_part_type;
	default:
		return &vamdgpu_topo_item_type;
	}
}

/* The folder, made if it is not there. A part has a name, all others a number. */
static struct vamdgpu_topo_dir *
vamdgpu_topo_add(struct kobject *parent, unsigned int node,
		 enum vamdgpu_topo_kind kind, unsigned int index)
{
	struct vamdgpu_topo_dir *dir = vamdgpu_topo_find(node, kind, index);
	const struct kobj_type *type = vamdgpu_topo_type(kind);
	int err;

	if (dir)
		return dir;
	dir = kzalloc(sizeof(*dir), GFP_KERNEL);
	if (!dir)
		return ERR_PTR(-ENOMEM);
	dir->node = node;
	dir->kind = kind;
	dir->index = index;
	if (kind == VAMDGPU_TOPO_PART)
		err = kobject_init_and_add(&dir->kobj, type, parent, "%s",
					   vamdgpu_topo_parts[index].name);
	else
		err = kobject_init_and_add(&dir->kobj, type, parent, "%u", index);
	if (err) {
		kobject_put(&dir->kobj);
		return ERR_PTR(err);
	}
	list_add_tail(&dir->link, &vamdgpu_topo_dirs);
	return dir;
}

/* What the node lacks; a new GPU gives the others a link more. */
static int vamdgpu_topo_add_node(unsigned int node)
{
	struct vamdgpu_topo_dir *dir, *part, *item;
	enum vamdgpu_topo_kind kind;
	unsigned int i, k;

	dir = vamdgpu_topo_add(vamdgpu_topo_nodes, node, VAMDGPU_TOPO_NODE, node);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	for (i = 0; i < ARRAY_SIZE(vamdgpu_topo_parts); i++) {
		part = vamdgpu_topo_add(&dir->kobj, node, VAMDGPU_TOPO_PART, i);
		if (IS_ERR(part))
			return PTR_ERR(part);
		kind = vamdgpu_topo_parts[i].kind;
		if (kind == VAMDGPU_TOPO_PART)
			continue;
		for (k = 0; k < vamdgpu_topo_count(node, kind); k++) {
			item = vamdgpu_topo_add(&part->kobj, node, kind, k);
			if (IS_ERR(item))
				return PTR_ERR(item);
		}
	}
	return 0;
}

/* Nodes from @nodes on, and of the others the links that lead there. Waits for readers. */
static void vamdgpu_topo_trim(unsigned int nodes)
{
	struct vamdgpu_topo_dir *dir, *tmp;

	lockdep_assert_held(&vamdgpu_topo_lock);
	list_for_each_entry_safe_reverse(dir, tmp, &vamdgpu_topo_dirs, link) {
		if (dir->node < nodes &&
		    (dir->kind != VAMDGPU_TOPO_IO_LINK ||
		     dir->index < vamdgpu_topo_count(dir->node, dir->kind)))
			continue;
		list_del(&dir->link);
		kobject_del(&dir->kobj);
		kobject_put(&dir->kobj);
	}
}

int vamdgpu_topology_update(unsigned int index, struct vamdgpu_device *dev)
{
	unsigned int node, nodes;
	int err = 0;

	mutex_lock(&vamdgpu_topo_lock);
	/* Files tell of it at once. */
	vamdgpu_device_publish(index, dev);
	nodes = vamdgpu_device_count() + 1;
	vamdgpu_topo_trim(nodes);
	for (node = 0; node < nodes && !err; node++)
		err = vamdgpu_topo_add_node(node);
	vamdgpu_topo_generation++;
	mutex_unlock(&vamdgpu_topo_lock);
	return err;
}

void vamdgpu_topology_exit(void)
{
	mutex_lock(&vamdgpu_topo_lock);
	vamdgpu_topo_trim(0);
	mutex_unlock(&vamdgpu_topo_lock);
	kobject_put(vamdgpu_topo_nodes);
	vamdgpu_topo_nodes = NULL;
	if (vamdgpu_topo_root)
		sysfs_remove_files(vamdgpu_topo_root, vamdgpu_topo_root_attrs);
	kobject_put(vamdgpu_topo_root);
	vamdgpu_topo_root = NULL;
}

/* With the CPU's node only; each GPU comes with vamdgpu_topology_update(). */
int vamdgpu_topology_init(struct device *kfd)
{
	int err = -ENOMEM;

	vamdgpu_topo_root = kobject_create_and_add("topology", &kfd->kobj);
	if (!vamdgpu_topo_root)
		return -ENOMEM;
	vamdgpu_topo_nodes = kobject_create_and_add("nodes", vamdgpu_topo_root);
	if (!vamdgpu_topo_nodes)
		goto err_exit;
	mutex_lock(&vamdgpu_topo_lock);
	err = vamdgpu_topo_add_node(0);
	mutex_unlock(&vamdgpu_topo_lock);
	if (!err)
		err = sysfs_create_files(vamdgpu_topo_root,
					 vamdgpu_topo_root_attrs);
	if (!err)
		return 0;
err_exit:
	vamdgpu_topology_exit();
	return err;
}
