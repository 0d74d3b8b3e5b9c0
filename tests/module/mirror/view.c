// SPDX-License-Identifier: GPL-2.0-only
/*
 * One span seen twice: by the mirror and by the kernel's hmm_range_fault().
 *
 * The kernel's function gets what it was made for, a notifier inserted in the mm. Its
 * sequence also tells whether both views are of one moment: it begins before the first
 * and is looked at after the second, so if it has not changed no page of the span has
 * lost anything in between, whatever the mirror's own sequences say.
 *
 *   read_begin(sub) -> view A -> view B -> read_retry(sub)? start over
 *
 * A fault that breaks COW is such a change: the second try finds it done.
 */
#include "client.h"

#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define VIEW_MAX_NPAGES		BIT(19)
#define VIEW_PIECE_NPAGES	512UL
#define VIEW_MAX_JIFFIES	(10 * HZ)

/**
 * struct view - two views of a span
 * @client: whose mirror
 * @args: what was asked for, and the results
 * @req: our request
 * @range: our range
 * @sub: the kernel's notifier
 * @lock: guards the sequence of @sub
 * @seq: where the try began
 * @extents: our results
 * @pages: the kernel's, first as it gives them, then HMT_VIEW_*
 */
struct view {
	struct client *client;
	struct hmt_view *args;
	struct hmm_mirror_req req;
	struct hmm_mirror_range range;
	struct mmu_interval_notifier sub;
	spinlock_t lock;		/* see above */
	unsigned long seq;
	struct hmm_mirror_extent *extents;
	unsigned long *pages;
};

static bool view_invalidate(struct mmu_interval_notifier *sub,
			    const struct mmu_notifier_range *core,
			    unsigned long cur_seq)
{
	struct view *view = container_of(sub, struct view, sub);

	spin_lock(&view->lock);
	mmu_interval_set_seq(sub, cur_seq);
	spin_unlock(&view->lock);
	return true;
}

static const struct mmu_interval_notifier_ops view_ops = {
	.invalidate = view_invalidate,
};

static bool view_is_overtaken(struct view *view)
{
	bool overtaken;

	spin_lock(&view->lock);
	overtaken = mmu_interval_read_retry(&view->sub, view->seq);
	spin_unlock(&view->lock);
	return overtaken;
}

static u64 page_for_user(unsigned long hmm_pfn)
{
	u64 page = 0;

	if (hmm_pfn & HMM_PFN_ERROR)
		return HMT_VIEW_ERROR;
	if (!(hmm_pfn & HMM_PFN_VALID))
		return 0;
	page = HMT_VIEW_VALID | (hmm_pfn & ~HMM_PFN_FLAGS);
	if (hmm_pfn & HMM_PFN_WRITE)
		page |= HMT_VIEW_WRITE;
	page |= (u64)hmm_pfn_to_map_order(hmm_pfn) << HMT_VIEW_ORDER_SHIFT;
	return page;
}

/* Pages first..end-1 of the span. Returns what hmm_range_fault() does. */
static int kernel_piece(struct view *view, unsigned long first,
			unsigned long end)
{
	struct hmm_range hmm = {
		.notifier = &view->sub,
		.notifier_seq = view->seq,
		.start = view->args->first_va + (first << PAGE_SHIFT),
		.end = view->args->first_va + (end << PAGE_SHIFT),
		.hmm_pfns = view->pages + first,
		.dev_private_owner = view->client->ops.owner,
	};
	unsigned long i;
	int err;

	if (view->args->kernel != HMT_VIEW_KERNEL_NONE)
		hmm.default_flags |= HMM_PFN_REQ_FAULT;
	if (view->args->kernel == HMT_VIEW_KERNEL_WRITE)
		hmm.default_flags |= HMM_PFN_REQ_WRITE;
	memset(hmm.hmm_pfns, 0, (end - first) * sizeof(*hmm.hmm_pfns));
	err = hmm_range_fault(&hmm);
	for (i = first; !err && i < end; i++)
		view->pages[i] = page_for_user(view->pages[i]);
	return err;
}

/* One page spoils a call of hmm_range_fault(), so then each is asked for alone. */
static int kernel_pages(struct view *view, unsigned long first,
			unsigned long end)
{
	unsigned long i;
	int err;

	err = kernel_piece(view, first, end);
	if (!err || err == -EBUSY)
		return err;
	for (i = first; i < end; i++) {
		err = kernel_piece(view, i, i + 1);
		if (err == -EBUSY)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (err)
			view->pages[i] = HMT_VIEW_ERROR |
					 (u64)-err << HMT_VIEW_ERRNO_SHIFT;
	}
	return 0;
}

static unsigned long view_npages(const struct view *view)
{
	return (view->args->last_va + 1 - view->args->first_va) >> PAGE_SHIFT;
}

static int kernel_view(struct view *view)
{
	unsigned long first, end, npages = view_npages(view);
	int err;

	err = hmm_mirror_mmap_read_lock(&view->client->mirror);
	if (err)
		return err;
	for (first = 0; !err && first < npages; first = end) {
		end = min(npages, first + VIEW_PIECE_NPAGES);
		err = kernel_pages(view, first, end);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	hmm_mirror_mmap_read_unlock(&view->client->mirror);
	return err == -EBUSY ? -EAGAIN : err;
}

static int our_view(struct view *view)
{
	struct hmt_view *args = view->args;
	struct hmm_mirror_cursor cursor = { .next_va = args->first_va };
	int err;

	args->nr = 0;
	args->nr_calls = 0;
	while (cursor.next_va <= args->last_va) {
		cursor.extents = view->extents + args->nr;
		cursor.nr_max = min(args->nr_per_call ?: 256,
				    args->nr_max - args->nr);
		if (!cursor.nr_max)
			return -ENOSPC;
		if (args->flags & HMT_VIEW_SNAPSHOT)
			err = hmm_mirror_range_snapshot(&view->range, &cursor);
		else
			err = hmm_mirror_range_fault(&view->range, &cursor,
						     &view->req);
		if (err)
			return err;
		args->nr += cursor.nr;
		args->nr_calls++;
		cond_resched();
	}
	return 0;
}

static int view_once(struct view *view)
{
	bool kernel_first = view->args->flags & HMT_VIEW_KERNEL_FIRST;
	int err;

	view->args->tries++;
	view->seq = mmu_interval_read_begin(&view->sub);
	err = kernel_first ? kernel_view(view) : our_view(view);
	if (!err)
		err = kernel_first ? our_view(view) : kernel_view(view);
	if (!err && view_is_overtaken(view))
		err = -EAGAIN;
	return err;
}

static int view_take(struct view *view)
{
	struct client *client = view->client;
	struct hmt_view *args = view->args;
	unsigned long end = jiffies + VIEW_MAX_JIFFIES;
	int err;

	if (!mmget_not_zero(client->mirror.mm))
		return -ESRCH;
	err = mmu_interval_notifier_insert(&view->sub, client->mirror.mm,
					   args->first_va,
					   args->last_va + 1 - args->first_va,
					   &view_ops);
	mmput_async(client->mirror.mm);
	if (err)
		return err;
	err = hmm_mirror_range_register(&view->range, &client->mirror,
					args->first_va, args->last_va);
	if (err)
		goto err_remove;
	do {
		err = view_once(view);
		if (fatal_signal_pending(current))
			err = -EINTR;
		else if (err == -EAGAIN && time_after(jiffies, end))
			err = -ETIME;
	} while (err == -EAGAIN);
	hmm_mirror_range_unregister(&view->range);

err_remove:
	mmu_interval_notifier_remove(&view->sub);
	return err;
}

static int view_run(void *arg)
{
	struct view *view = arg;
	int err;

	err = client_enter(view->client);
	if (err)
		return err;
	err = view_take(view);
	client_leave(view->client);
	return err;
}

static int view_copy_out(const struct view *view)
{
	const struct hmt_view *args = view->args;

	if (copy_to_user(u64_to_user_ptr(args->extents), view->extents,
			 args->nr * sizeof(*view->extents)) ||
	    copy_to_user(u64_to_user_ptr(args->pages), view->pages,
			 view_npages(view) * sizeof(*view->pages)))
		return -EFAULT;
	return 0;
}

int view_ioctl(struct client *client, void *arg)
{
	struct hmt_view *args = arg;
	struct view *view;
	int err;

	if (!PAGE_ALIGNED(args->first_va) || !PAGE_ALIGNED(args->last_va + 1) ||
	    args->first_va > args->last_va ||
	    (args->last_va - args->first_va) >> PAGE_SHIFT >= VIEW_MAX_NPAGES ||
	    !args->nr_max || args->nr_max > VIEW_MAX_NPAGES + 1 ||
	    args->kernel > HMT_VIEW_KERNEL_WRITE)
		return -EINVAL;
	view = kzalloc(sizeof(*view), GFP_KERNEL);
	if (!view)
		return -ENOMEM;
	view->client = client;
	view->args = args;
	spin_lock_init(&view->lock);
	args->tries = 0;
	err = -ENOMEM;
	view->extents = kvmalloc_array(args->nr_max, sizeof(*view->extents),
				       GFP_KERNEL);
	view->pages = kvmalloc_array(view_npages(view), sizeof(*view->pages),
				     GFP_KERNEL);
	if (!view->extents || !view->pages)
		goto out;
	err = client_get_req(&view->req, args->default_req, args->nr_spans,
			     args->spans);
	if (err)
		goto out;
	if (args->flags & HMT_VIEW_WORKER)
		err = client_run_in_worker(client, view_run, view);
	else
		err = view_run(view);
	err = err ?: view_copy_out(view);
	kvfree(view->req.spans);
out:
	kvfree(view->pages);
	kvfree(view->extents);
	kfree(view);
	return err;
}
