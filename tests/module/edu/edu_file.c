// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/hmm_mirror_edu: what a test program can ask of the device.
 */
#include "edu.h"
#include "hmm_mirror_edu.h"

#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

static struct edu *the_edu;

static bool span_ok(unsigned long first_va, unsigned long last_va)
{
	return first_va <= last_va && PAGE_ALIGNED(first_va) &&
	       PAGE_ALIGNED(last_va + 1);
}

/* --- Transfers */

/*
 * Start the engine on bytes of one page, if the client has them mapped. The mapping
 * stays while the engine runs: an event waits for it.
 */
static int start_at_va(struct edu_client *client, unsigned long va, size_t len,
		       bool write)
{
	struct edu_map *map;
	dma_addr_t dma;

	guard(mutex)(&client->update_lock);
	map = edu_find(client, va, va);
	if (!map || (write && !(map->ext.va_flags & HMM_MIRROR_EXT_WRITE)))
		return -ENOENT;
	dma = map->dma + (va - map->node.start);
	client->busy_first_va = va;
	client->busy_last_va = va + len - 1;
	WRITE_ONCE(client->edu->user, client);
	if (write)
		edu_engine_write(client->edu, dma, len);
	else
		edu_engine_read(client->edu, dma, len);
	return 0;
}

static int start_at_dma(struct edu *edu, dma_addr_t dma, size_t len, bool write)
{
	if (write)
		edu_engine_write(edu, dma, len);
	else
		edu_engine_read(edu, dma, len);
	return 0;
}

/*
 * One transfer, from or to @data. @va of the client's memory, or if @client is NULL a bus
 * address. Returns -ENOENT: not mapped.
 */
static int transfer(struct edu *edu, struct edu_client *client, u64 at,
		    void *data, size_t len, unsigned int flags)
{
	bool write = flags & HME_WRITE;
	int err;

	err = mutex_lock_killable(&edu->engine);
	if (err)
		return err;
	err = edu_engine_wait(edu, true);
	if (err)
		goto out;
	if (write) {
		memcpy(edu->bounce, data, len);
		edu_engine_read(edu, edu->bounce_dma, len);
		err = edu_engine_wait(edu, true);
		if (err)
			goto out;
	}
	if (client)
		err = start_at_va(client, at, len, write);
	else
		err = start_at_dma(edu, at, len, write);
	if (err || (flags & HME_ASYNC))
		goto out;
	err = edu_engine_wait(edu, true);
	if (err || write)
		goto out;
	edu_engine_write(edu, edu->bounce_dma, len);
	err = edu_engine_wait(edu, true);
	memcpy(data, edu->bounce, len);
out:
	mutex_unlock(&edu->engine);
	return err;
}

/* Bytes of one page of the client's, which is mapped on the way. */
static int transfer_page(struct edu_client *client, unsigned long va, void *data,
			 size_t len, unsigned int flags)
{
	struct hme_map map = {
		.first_va = va & PAGE_MASK,
		.last_va = va | ~PAGE_MASK,
		.req = flags & HME_WRITE ? HMM_MIRROR_REQ_WRITE :
					   HMM_MIRROR_REQ_READ,
	};
	int err;

	for (;;) {
		err = transfer(client->edu, client, va, data, len, flags);
		if (err != -ENOENT || (flags & HME_NO_FAULT))
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		err = edu_map_span(client, &map);
		if (err)
			return err;
	}
}

static int xfer(struct edu_client *client, const struct hme_xfer *args)
{
	void __user *user = u64_to_user_ptr(args->data);
	bool write = args->flags & HME_WRITE;
	unsigned long va = args->va;
	u32 left, len, flags;
	void *data;
	int err = 0;

	if (!args->len || args->len > SZ_1M || va + args->len < va ||
	    args->flags & ~(HME_WRITE | HME_NO_FAULT | HME_ASYNC) ||
	    (!write && args->flags & HME_ASYNC))
		return -EINVAL;
	data = kmalloc(EDU_MAX_LEN, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	for (left = args->len; left && !err; left -= len, va += len, user += len) {
		len = min_t(u32, left, EDU_MAX_LEN - va % EDU_MAX_LEN);
		flags = args->flags;
		if (len < left)
			flags &= ~HME_ASYNC;
		if (write && copy_from_user(data, user, len)) {
			err = -EFAULT;
			break;
		}
		err = transfer_page(client, va, data, len, flags);
		if (!err && !write && copy_to_user(user, data, len))
			err = -EFAULT;
	}
	kfree(data);
	return err;
}

static int raw(struct edu_client *client, const struct hme_raw *args)
{
	void __user *user = u64_to_user_ptr(args->data);
	bool write = args->flags & HME_WRITE;
	void *data;
	int err;

	if (!args->len || args->len > EDU_MAX_LEN - args->dma % EDU_MAX_LEN ||
	    args->flags & ~HME_WRITE)
		return -EINVAL;
	data = kmalloc(EDU_MAX_LEN, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	if (write && copy_from_user(data, user, args->len)) {
		kfree(data);
		return -EFAULT;
	}
	err = transfer(client->edu, NULL, args->dma, data, args->len, args->flags);
	if (!err && !write && copy_to_user(user, data, args->len))
		err = -EFAULT;
	kfree(data);
	return err;
}

/* --- The rest */

static struct hme_mapping describe(const struct edu_map *map)
{
	const struct hmm_mirror_extent *ext = &map->ext;
	unsigned int flags = 0;

	if (ext->va_flags & HMM_MIRROR_EXT_WRITE)
		flags |= HME_MAPPED_WRITE;
	if (ext->va_flags & HMM_MIRROR_EXT_DIRTY)
		flags |= HME_MAPPED_DIRTY;
	if (ext->va_flags & HMM_MIRROR_EXT_HUGE)
		flags |= HME_MAPPED_HUGE;
	if (ext->va_flags & HMM_MIRROR_EXT_DEVICE)
		flags |= HME_MAPPED_DEVICE;
	return (struct hme_mapping) {
		.va = map->node.start,
		.dma = map->dma,
		.pfn = hmm_mirror_extent_pfn(ext),
		.npages = hmm_mirror_extent_npages(ext),
		.flags = flags,
	};
}

static int table(struct edu_client *client, struct hme_table *args)
{
	u32 nr_max = min_t(u32, args->nr_max, SZ_64K);
	struct interval_tree_node *node;
	struct hme_mapping *out;
	int err = 0;

	out = kvcalloc(nr_max ?: 1, sizeof(*out), GFP_KERNEL);
	if (!out)
		return -ENOMEM;
	args->nr = 0;
	mutex_lock(&client->update_lock);
	for (node = interval_tree_iter_first(&client->table, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		if (args->nr < nr_max)
			out[args->nr] = describe(container_of(node, struct edu_map,
							      node));
		args->nr++;
	}
	mutex_unlock(&client->update_lock);
	if (copy_to_user(u64_to_user_ptr(args->mappings), out,
			 min(nr_max, args->nr) * sizeof(*out)))
		err = -EFAULT;
	kvfree(out);
	return err;
}

static void stats(struct edu_client *client, struct hme_stats *out)
{
	struct edu *edu = client->edu;
	struct iommu_domain *domain = iommu_get_domain_for_dev(edu_dev(edu));

	guard(mutex)(&client->update_lock);
	*out = (struct hme_stats) {
		.nr_live = client->nr_live,
		.nr_map = client->nr_map,
		.nr_unmap = client->nr_unmap,
		.nr_events = client->nr_events,
		.nr_waits = client->nr_waits,
		.in_flight = READ_ONCE(edu->user) == client &&
			     edu_engine_runs(edu),
		.behind_iommu = domain && domain->type & __IOMMU_DOMAIN_PAGING,
	};
}

static int configure(struct edu_client *client, const struct hme_config *args)
{
	int err;

	if (args->no_dirty > 1 || args->dma_bits > 64)
		return -EINVAL;
	mutex_lock(&client->update_lock);
	client->no_dirty = args->no_dirty;
	mutex_unlock(&client->update_lock);
	if (!args->dma_bits)
		return 0;
	if (client->nr_live)
		return -EBUSY;
	err = dma_set_mask(edu_dev(client->edu), DMA_BIT_MASK(args->dma_bits));
	client->is_usable = hmm_mirror_device_usable(edu_dev(client->edu));
	return err;
}

static long call(struct edu_client *client, unsigned int cmd, void *arg)
{
	const struct hme_span *span = arg;

	switch (cmd) {
	case HME_MAP:
		if (!span_ok(span->first_va, span->last_va))
			return -EINVAL;
		return edu_map_span(client, arg);
	case HME_UNMAP:
		if (!span_ok(span->first_va, span->last_va))
			return -EINVAL;
		edu_unmap_span(client, span->first_va, span->last_va);
		return 0;
	case HME_XFER:
		return xfer(client, arg);
	case HME_RAW:
		return raw(client, arg);
	case HME_TABLE:
		return table(client, arg);
	case HME_STATS:
		stats(client, arg);
		return 0;
	case HME_CONFIG:
		return configure(client, arg);
	case HME_BENCH:
		if (!span_ok(span->first_va, span->last_va))
			return -EINVAL;
		return edu_bench(client, arg);
	default:
		return -ENOTTY;
	}
}

union edu_args {
	struct hme_map map;
	struct hme_span span;
	struct hme_xfer xfer;
	struct hme_raw raw;
	struct hme_table table;
	struct hme_stats stats;
	struct hme_config config;
	struct hme_bench bench;
};

static long edu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct edu_client *client = file->private_data;
	void __user *user = (void __user *)arg;
	size_t size = _IOC_SIZE(cmd);
	union edu_args args;
	long ret;

	if (size > sizeof(args))
		return -ENOTTY;
	memset(&args, 0, sizeof(args));
	if (_IOC_DIR(cmd) & _IOC_WRITE && copy_from_user(&args, user, size))
		return -EFAULT;
	ret = mutex_lock_killable(&client->call_lock);
	if (ret)
		return ret;
	ret = call(client, cmd, &args);
	mutex_unlock(&client->call_lock);
	if (_IOC_DIR(cmd) & _IOC_READ && copy_to_user(user, &args, size))
		return -EFAULT;
	return ret;
}

static int edu_open(struct inode *inode, struct file *file)
{
	struct edu_client *client;
	int err;

	client = kvzalloc(sizeof(*client), GFP_KERNEL);
	if (!client)
		return -ENOMEM;
	client->edu = the_edu;
	client->is_usable = hmm_mirror_device_usable(edu_dev(the_edu));
	client->table = RB_ROOT_CACHED;
	mutex_init(&client->call_lock);
	mutex_init(&client->update_lock);
	err = hmm_mirror_register(&client->mirror, current->mm,
				  &client->update_lock, &edu_mirror_ops);
	if (err) {
		kvfree(client);
		return err;
	}
	file->private_data = client;
	return 0;
}

static int edu_release(struct inode *inode, struct file *file)
{
	struct edu_client *client = file->private_data;

	edu_unmap_span(client, 0, ULONG_MAX);
	hmm_mirror_unregister(&client->mirror);
	cmpxchg(&client->edu->user, client, NULL);
	WARN_ON(client->nr_live);
	kvfree(client);
	return 0;
}

static const struct file_operations edu_fops = {
	.owner = THIS_MODULE,
	.open = edu_open,
	.release = edu_release,
	.unlocked_ioctl = edu_ioctl,
};

static struct miscdevice edu_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hmm_mirror_edu",
	.fops = &edu_fops,
	.mode = 0600,
};

int edu_file_register(struct edu *edu)
{
	int err;

	if (the_edu)
		return -EBUSY;
	the_edu = edu;
	err = misc_register(&edu_misc);
	if (err)
		the_edu = NULL;
	return err;
}

void edu_file_unregister(void)
{
	misc_deregister(&edu_misc);
	the_edu = NULL;
}
