// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device: a table of what is mapped, and what happens to it.
 *
 * The table has an entry for every page, a value that holds the extent's flags and the
 * pfn. It grows before the update lock is taken (entries are reserved) and shrinks under
 * it; nothing is allocated in a callback.
 */
#include "client.h"

#include <linux/bitfield.h>
#include <linux/highmem.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define ENTRY_PFN	GENMASK_ULL(39, 0)
#define ENTRY_FLAGS	GENMASK_ULL(51, 40)	/* HMM_MIRROR_EXT_* */
#define ENTRY_WRITTEN	BIT_ULL(52)		/* by the device */

#define ACCESS_MAX_LEN	(4U << 20)
#define PAGES_MAX	BIT(20)

static u64 entry_load(struct client *client, unsigned long index)
{
	void *entry = xa_load(&client->device, index);

	return entry ? xa_to_value(entry) : 0;
}

/* The slot is there: nothing is allocated. */
static void entry_store(struct client *client, unsigned long index, u64 value)
{
	void *old;

	old = xa_store(&client->device, index, xa_mk_value(value), 0);
	WARN_ON_ONCE(xa_is_err(old));
}

static bool is_writable(u64 entry)
{
	return FIELD_GET(ENTRY_FLAGS, entry) & HMM_MIRROR_EXT_WRITE;
}

static void mark_dirty(struct client *client, unsigned long index, u64 entry)
{
	unsigned long va = index << PAGE_SHIFT;
	struct hmm_mirror_extent ext = {
		.va_flags = va | FIELD_GET(ENTRY_FLAGS, entry),
		.pfn_npages = FIELD_PREP(HMM_MIRROR_EXT_PFN,
					 FIELD_GET(ENTRY_PFN, entry)) |
			      FIELD_PREP(HMM_MIRROR_EXT_NPAGES, 1),
	};

	hmm_mirror_extent_mark_dirty(&ext, va, va + PAGE_SIZE - 1);
	client->nr_marked_dirty++;
}

static void unmap_pages(struct client *client, unsigned long first,
			unsigned long last)
{
	unsigned long index;
	void *entry;

	lockdep_assert_held(&client->update_lock);

	xa_for_each_range(&client->device, index, entry, first, last) {
		if (xa_to_value(entry) & ENTRY_WRITTEN)
			mark_dirty(client, index, xa_to_value(entry));
		/* A commit that counts on this slot finds its range invalid. */
		xa_erase(&client->device, index);
	}
}

static void log_add(struct client *client, const struct hmt_event *event)
{
	struct hmt_event *slot;

	spin_lock(&client->log_lock);
	slot = &client->log[client->log_total % LOG_NR_EVENTS];
	*slot = *event;
	slot->number = client->log_total++;
	if (event->kind == HMT_EVENT_RELEASE_CALL)
		client->nr_release_calls++;
	spin_unlock(&client->log_lock);
}

void device_invalidate(struct hmm_mirror *mirror,
		       const struct hmm_mirror_event *event)
{
	struct client *client = container_of(mirror, struct client, mirror);
	struct hmt_event entry = {
		.start_va = event->start_va,
		.end_va = event->end_va,
		.kind = event->kind,
		.flags = event->blockable ? HMT_LOG_BLOCKABLE : 0,
	};

	if (event->kind == HMM_MIRROR_EVENT_MIGRATE && client->ops.owner &&
	    event->owner == client->ops.owner)
		entry.flags |= HMT_LOG_OWNER_MATCH;
	if (event->blockable)
		hook_stop(client, HMT_STEP_INVALIDATE);
	unmap_pages(client, event->start_va >> PAGE_SHIFT,
		    (event->end_va - 1) >> PAGE_SHIFT);
	log_add(client, &entry);
}

/* Nothing is mapped in the device any more. */
void device_clear(struct client *client)
{
	mutex_lock(&client->update_lock);
	unmap_pages(client, 0, ULONG_MAX);
	mutex_unlock(&client->update_lock);
}

void device_release(struct hmm_mirror *mirror)
{
	struct client *client = container_of(mirror, struct client, mirror);
	const struct hmt_event entry = {
		.kind = HMT_EVENT_RELEASE_CALL,
		.flags = HMT_LOG_BLOCKABLE,
	};

	hook_stop(client, HMT_STEP_RELEASE);
	device_clear(client);
	log_add(client, &entry);
}

static int reserve_extents(struct client *client, const struct test_range *range)
{
	unsigned long index, end;
	u32 i;
	int err;

	for (i = 0; i < range->nr; i++) {
		const struct hmm_mirror_extent *ext = &range->extents[i];

		if (!(hmm_mirror_extent_flags(ext) & HMM_MIRROR_EXT_VALID))
			continue;
		index = hmm_mirror_extent_va(ext) >> PAGE_SHIFT;
		for (end = index + hmm_mirror_extent_npages(ext); index < end;
		     index++) {
			err = xa_reserve(&client->device, index, GFP_KERNEL);
			if (err)
				return err;
		}
		cond_resched();
	}
	return 0;
}

static void store_extent(struct client *client,
			 const struct hmm_mirror_extent *ext)
{
	unsigned long index = hmm_mirror_extent_va(ext) >> PAGE_SHIFT;
	unsigned long pfn = hmm_mirror_extent_pfn(ext);
	unsigned long i;

	for (i = 0; i < hmm_mirror_extent_npages(ext); i++) {
		u64 old = entry_load(client, index + i);
		u64 new = FIELD_PREP(ENTRY_FLAGS, hmm_mirror_extent_flags(ext)) |
			  FIELD_PREP(ENTRY_PFN, pfn + i);

		/* The zero page is one page, however long its extent. */
		if (hmm_mirror_extent_flags(ext) & HMM_MIRROR_EXT_ZERO)
			new = FIELD_PREP(ENTRY_FLAGS,
					 hmm_mirror_extent_flags(ext)) |
			      FIELD_PREP(ENTRY_PFN, pfn);
		if (old && FIELD_GET(ENTRY_PFN, old) != FIELD_GET(ENTRY_PFN, new))
			client->nr_unseen++;
		if (old && is_writable(old) && !is_writable(new))
			client->nr_unseen++;
		entry_store(client, index + i, new | (old & ENTRY_WRITTEN));
	}
}

/* Reserved slots that nothing was put in. */
static void drop_reserved(struct client *client, const struct test_range *range)
{
	unsigned long index, end;
	u32 i;

	lockdep_assert_held(&client->commit_lock);

	for (i = 0; i < range->nr; i++) {
		index = hmm_mirror_extent_va(&range->extents[i]) >> PAGE_SHIFT;
		end = index + hmm_mirror_extent_npages(&range->extents[i]);
		if (hmm_mirror_extent_flags(&range->extents[i]) &
		    HMM_MIRROR_EXT_VALID) {
			for (; index < end; index++)
				xa_release(&client->device, index);
		}
		cond_resched();
	}
}

/**
 * device_commit - map the range's last extents
 * @range: the range, locked
 *
 * Return: 0; -EAGAIN: it is not valid, nothing was done; -ENOMEM.
 */
int device_commit(struct test_range *range)
{
	struct client *client = range->client;
	int err;
	u32 i;

	lockdep_assert_held(&range->lock);

	hook_stop(client, HMT_STEP_COMMIT_BEGIN);
	mutex_lock(&client->commit_lock);
	err = reserve_extents(client, range);
	if (err)
		goto out;
	mutex_lock(&client->update_lock);
	hook_stop(client, HMT_STEP_COMMIT_LOCKED);
	if (hmm_mirror_range_valid(&range->range)) {
		for (i = 0; i < range->nr; i++) {
			if (hmm_mirror_extent_flags(&range->extents[i]) &
			    HMM_MIRROR_EXT_VALID)
				store_extent(client, &range->extents[i]);
		}
		hook_stop(client, HMT_STEP_COMMIT_DONE);
	} else {
		err = -EAGAIN;
	}
	mutex_unlock(&client->update_lock);
out:
	if (err)
		drop_reserved(client, range);
	mutex_unlock(&client->commit_lock);
	return err;
}

u64 device_nr_pages(struct client *client)
{
	unsigned long index;
	void *entry;
	u64 nr = 0;

	xa_for_each(&client->device, index, entry)
		nr++;
	return nr;
}

static int check_page(u64 entry, bool write)
{
	unsigned long pfn = FIELD_GET(ENTRY_PFN, entry);

	if (!entry || (write && !is_writable(entry)))
		return -EFAULT;
	/* The CPU stands in for the device, and cannot reach all memory. */
	if (!pfn_valid(pfn) || is_device_private_page(pfn_to_page(pfn)) ||
	    is_pci_p2pdma_page(pfn_to_page(pfn)))
		return -EOPNOTSUPP;
	return 0;
}

/* What the page's entry would be, were the last extents mapped. */
static u64 entry_of_extents(const struct test_range *range, unsigned long va)
{
	u32 i;

	for (i = 0; i < range->nr; i++) {
		const struct hmm_mirror_extent *ext = &range->extents[i];
		unsigned long off = va - hmm_mirror_extent_va(ext);
		unsigned int flags = hmm_mirror_extent_flags(ext);

		if (off >> PAGE_SHIFT >= hmm_mirror_extent_npages(ext) ||
		    !(flags & HMM_MIRROR_EXT_VALID))
			continue;
		if (flags & HMM_MIRROR_EXT_ZERO)
			off = 0;
		return FIELD_PREP(ENTRY_FLAGS, flags) |
		       FIELD_PREP(ENTRY_PFN, hmm_mirror_extent_pfn(ext) +
					     (off >> PAGE_SHIFT));
	}
	return 0;
}

static u64 access_entry(struct client *client, const struct test_range *range,
			unsigned long va)
{
	return range ? entry_of_extents(range, va & PAGE_MASK) :
		       entry_load(client, va >> PAGE_SHIFT);
}

static int access_locked(struct client *client, const struct test_range *range,
			 const struct hmt_access *args, char *data)
{
	bool write = args->flags & HMT_ACCESS_WRITE;
	unsigned long va, end_va = args->va + args->len;
	unsigned long len;
	u64 entry;
	int err;

	for (va = args->va; va < end_va; va = (va & PAGE_MASK) + PAGE_SIZE) {
		err = check_page(access_entry(client, range, va), write);
		if (err)
			return err;
	}
	for (va = args->va; va < end_va; va += len, data += len) {
		struct page *page;

		len = min(end_va - va, PAGE_SIZE - offset_in_page(va));
		entry = access_entry(client, range, va);
		page = pfn_to_page(FIELD_GET(ENTRY_PFN, entry));
		if (write)
			memcpy_to_page(page, offset_in_page(va), data, len);
		else
			memcpy_from_page(data, page, offset_in_page(va), len);
		if (write && !range)
			entry_store(client, va >> PAGE_SHIFT,
				    entry | ENTRY_WRITTEN);
		else if (write)
			mark_dirty(client, va >> PAGE_SHIFT, entry);
	}
	return 0;
}

static int access_range(struct client *client, struct test_range *range,
			const struct hmt_access *args, char *data)
{
	int err = -EAGAIN;

	if (range)
		mutex_lock(&range->lock);
	mutex_lock(&client->update_lock);
	if (!range || (range->live && hmm_mirror_range_valid(&range->range)))
		err = access_locked(client, range, args, data);
	mutex_unlock(&client->update_lock);
	if (range)
		mutex_unlock(&range->lock);
	return err;
}

int device_ioctl_access(struct client *client, void *arg)
{
	const struct hmt_access *args = arg;
	void __user *user = u64_to_user_ptr(args->data);
	struct test_range *range = NULL;
	char *data;
	int err;

	if (!args->len || args->len > ACCESS_MAX_LEN ||
	    args->va + args->len < args->va ||
	    (args->flags & ~(HMT_ACCESS_WRITE | HMT_ACCESS_EXTENTS)))
		return -EINVAL;
	data = kvmalloc(args->len, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	err = -EFAULT;
	if ((args->flags & HMT_ACCESS_WRITE) &&
	    copy_from_user(data, user, args->len))
		goto out;
	err = client_enter(client);
	if (err)
		goto out;
	if (args->flags & HMT_ACCESS_EXTENTS) {
		range = range_find(client, args->range);
		err = range ? 0 : -ENOENT;
	}
	if (!err)
		err = access_range(client, range, args, data);
	if (range)
		range_put(range);
	client_leave(client);
	if (!err && !(args->flags & HMT_ACCESS_WRITE) &&
	    copy_to_user(user, data, args->len))
		err = -EFAULT;
out:
	kvfree(data);
	return err;
}

static u64 page_for_user(u64 entry)
{
	u64 page = HMT_PAGE_MAPPED | FIELD_GET(ENTRY_PFN, entry);

	if (!entry)
		return 0;
	if (is_writable(entry))
		page |= HMT_PAGE_WRITE;
	if (entry & ENTRY_WRITTEN)
		page |= HMT_PAGE_WRITTEN;
	return page;
}

int device_ioctl_pages(struct client *client, void *arg)
{
	const struct hmt_device_pages *args = arg;
	u64 *pages;
	u64 i;
	int err = 0;

	if (!args->npages || args->npages > PAGES_MAX ||
	    !PAGE_ALIGNED(args->first_va))
		return -EINVAL;
	pages = kvmalloc_array(args->npages, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < args->npages; i++)
		pages[i] = page_for_user(entry_load(client,
						    (args->first_va >> PAGE_SHIFT) + i));
	if (copy_to_user(u64_to_user_ptr(args->pages), pages,
			 args->npages * sizeof(*pages)))
		err = -EFAULT;
	kvfree(pages);
	return err;
}

int device_ioctl_log(struct client *client, void *arg)
{
	struct hmt_log *args = arg;
	struct hmt_event *copy;
	u64 number;
	int err = 0;

	args->nr_max = min_t(u32, args->nr_max, LOG_NR_EVENTS);
	args->nr = 0;
	copy = kvmalloc_array(LOG_NR_EVENTS, sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	spin_lock(&client->log_lock);
	args->total = client->log_total;
	number = args->from;
	if (args->total > LOG_NR_EVENTS)
		number = max(number, args->total - LOG_NR_EVENTS);
	for (; number < args->total && args->nr < args->nr_max; number++)
		copy[args->nr++] = client->log[number % LOG_NR_EVENTS];
	spin_unlock(&client->log_lock);
	if (copy_to_user(u64_to_user_ptr(args->events), copy,
			 args->nr * sizeof(*copy)))
		err = -EFAULT;
	kvfree(copy);
	return err;
}
