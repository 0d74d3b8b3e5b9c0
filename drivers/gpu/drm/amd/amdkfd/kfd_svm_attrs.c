// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attribute tree: see kfd_svm_attrs.h for the object and its rules.
 *
 * Invariants between calls: ranges are disjoint, first <= last, and two ranges
 * that touch differ in something.
 */
#include "kfd_svm_attrs.h"

#include <uapi/linux/kfd_svm.h>

#define to_range(node) rb_entry(node, struct kfd_svm_attr_range, rb)

void kfd_svm_attr_init(struct kfd_svm_attr_tree *tree)
{
	*tree = (struct kfd_svm_attr_tree){ .root = RB_ROOT };
}

void kfd_svm_attr_fini(struct kfd_svm_attr_tree *tree)
{
	struct rb_node *node;

	while ((node = rb_first(&tree->root))) {
		rb_erase(node, &tree->root);
		kfree(to_range(node));
	}
	tree->nr = 0;
	kfd_svm_attr_pool_drain(&tree->reserve);
}

static void pool_push(struct kfd_svm_attr_pool *pool,
		      struct kfd_svm_attr_range *range)
{
	range->next_free = pool->head;
	pool->head = range;
	pool->nr++;
}

static struct kfd_svm_attr_range *pool_pop(struct kfd_svm_attr_pool *pool)
{
	struct kfd_svm_attr_range *range = pool->head;

	if (range) {
		pool->head = range->next_free;
		pool->nr--;
	}
	return range;
}

/* Bring @pool to at least @nr nodes. Sleeps. Return: 0 or -ENOMEM. */
int kfd_svm_attr_pool_fill(struct kfd_svm_attr_pool *pool, unsigned long nr)
{
	while (pool->nr < nr) {
		struct kfd_svm_attr_range *range;

		range = kzalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);
		if (!range)
			return -ENOMEM;
		pool_push(pool, range);
	}
	return 0;
}

void kfd_svm_attr_pool_drain(struct kfd_svm_attr_pool *pool)
{
	struct kfd_svm_attr_range *range;

	while ((range = pool_pop(pool)))
		kfree(range);
}

/* Move nodes until @to has @nr or @from is empty. */
void kfd_svm_attr_pool_move(struct kfd_svm_attr_pool *to,
			    struct kfd_svm_attr_pool *from, unsigned long nr)
{
	while (to->nr < nr && from->nr)
		pool_push(to, pool_pop(from));
}

/* The first range that meets first..last, or NULL. */
struct kfd_svm_attr_range *
kfd_svm_attr_first(const struct kfd_svm_attr_tree *tree,
		   unsigned long first, unsigned long last)
{
	struct rb_node *node = tree->root.rb_node;
	struct kfd_svm_attr_range *found = NULL;

	while (node) {
		struct kfd_svm_attr_range *range = to_range(node);

		if (range->last >= first) {
			found = range;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found && found->first <= last ? found : NULL;
}

struct kfd_svm_attr_range *
kfd_svm_attr_next(const struct kfd_svm_attr_range *range, unsigned long last)
{
	struct rb_node *node = rb_next(&range->rb);

	return node && to_range(node)->first <= last ? to_range(node) : NULL;
}

static void range_link(struct kfd_svm_attr_tree *tree,
		       struct kfd_svm_attr_range *range)
{
	struct rb_node **link = &tree->root.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (range->first < to_range(parent)->first)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&range->rb, parent, link);
	rb_insert_color(&range->rb, &tree->root);
	tree->nr++;
}

/* Nodes that leave the tree fill the reserve first: removal lives on it. */
static void range_drop(struct kfd_svm_attr_tree *tree,
		       struct kfd_svm_attr_range *range)
{
	rb_erase(&range->rb, &tree->root);
	tree->nr--;
	if (tree->reserve.nr < KFD_SVM_ATTR_RESERVE)
		pool_push(&tree->reserve, range);
	else
		kfree(range);
}

static void range_add(struct kfd_svm_attr_tree *tree,
		      struct kfd_svm_attr_pool *pool, unsigned long first,
		      unsigned long last, const struct kfd_svm_attr *attr)
{
	struct kfd_svm_attr_range *range = pool_pop(pool);

	if (WARN_ON_ONCE(!range)) {
		/* The caller's count was wrong: lose, never corrupt. */
		tree->lost_pages += last - first + 1;
		return;
	}
	range->first = first;
	range->last = last;
	range->attr = *attr;
	range_link(tree, range);
}

static bool attr_equal(const struct kfd_svm_attr *a,
		       const struct kfd_svm_attr *b)
{
	return a->access == b->access && a->in_place == b->in_place &&
	       a->preferred == b->preferred && a->prefetch == b->prefetch &&
	       a->flags == b->flags && a->granularity == b->granularity;
}

void kfd_svm_attr_update_init(struct kfd_svm_attr_update *update)
{
	*update = (struct kfd_svm_attr_update){ .flags_and = ~0U };
}

void kfd_svm_attr_apply(struct kfd_svm_attr *attr,
			const struct kfd_svm_attr_update *update)
{
	if (update->set_preferred)
		attr->preferred = update->preferred;
	if (update->set_prefetch)
		attr->prefetch = update->prefetch;
	if (update->set_granularity)
		attr->granularity = update->granularity;
	attr->flags = (attr->flags & update->flags_and) | update->flags_or;
	attr->access = (attr->access & ~update->access_touched) | update->access;
	attr->in_place = (attr->in_place & ~update->access_touched) |
			 update->in_place;
}

static unsigned int attr_change(const struct kfd_svm_attr *from,
				const struct kfd_svm_attr *to)
{
	unsigned int changed = 0;

	if (from->flags != to->flags)
		changed |= KFD_SVM_CHANGED_FLAGS;
	if (from->access != to->access || from->in_place != to->in_place)
		changed |= KFD_SVM_CHANGED_ACCESS;
	if (from->preferred != to->preferred)
		changed |= KFD_SVM_CHANGED_PREFERRED;
	return changed;
}

/* Nodes kfd_svm_attr_set() of first..last takes from its pool at most. */
unsigned long kfd_svm_attr_set_need(const struct kfd_svm_attr_tree *tree,
				    unsigned long first, unsigned long last)
{
	struct kfd_svm_attr_range *range;
	unsigned long need = 0, next = first;
	bool behind = false;

	kfd_svm_attr_for_each(range, tree, first, last) {
		if (range->first < first)
			need++;
		else if (range->first > next)
			need++;
		if (range->last > last)
			need++;
		if (range->last >= last) {
			behind = true;
			break;
		}
		next = range->last + 1;
	}
	return behind ? need : need + 1;
}

/* Cut the range that crosses into first..last so that it begins or ends there. */
static void split_edges(struct kfd_svm_attr_tree *tree, unsigned long first,
			unsigned long last, struct kfd_svm_attr_pool *pool)
{
	struct kfd_svm_attr_range *range = kfd_svm_attr_first(tree, first, last);
	unsigned long end;

	if (range && range->first < first) {
		end = range->last;
		range->last = first - 1;
		range_add(tree, pool, first, end, &range->attr);
	}
	range = kfd_svm_attr_first(tree, last, last);
	if (range && range->last > last) {
		end = range->last;
		range->last = last;
		range_add(tree, pool, last + 1, end, &range->attr);
	}
}

/* Join ranges that touch and say the same, from one page before to one behind. */
static void merge_around(struct kfd_svm_attr_tree *tree, unsigned long first,
			 unsigned long last)
{
	unsigned long from = first ? first - 1 : first;
	unsigned long to = last == ULONG_MAX ? last : last + 1;
	struct kfd_svm_attr_range *range = kfd_svm_attr_first(tree, from, to);

	while (range) {
		struct kfd_svm_attr_range *next = kfd_svm_attr_next(range, to);

		if (next && range->last + 1 == next->first &&
		    attr_equal(&range->attr, &next->attr)) {
			range->last = next->last;
			range_drop(tree, next);
		} else {
			range = next;
		}
	}
}

/*
 * Apply @update to every page of first..last; pages not registered start from
 * @defaults. @pool holds at least kfd_svm_attr_set_need() nodes. Cannot fail.
 * Return: KFD_SVM_CHANGED_* against what the pages had (or defaulted to).
 */
unsigned int kfd_svm_attr_set(struct kfd_svm_attr_tree *tree,
			      unsigned long first, unsigned long last,
			      const struct kfd_svm_attr *defaults,
			      const struct kfd_svm_attr_update *update,
			      struct kfd_svm_attr_pool *pool)
{
	struct kfd_svm_attr_range *range;
	struct kfd_svm_attr fresh = *defaults;
	unsigned long next = first;
	unsigned int changed = 0;
	bool done = false;

	kfd_svm_attr_apply(&fresh, update);
	split_edges(tree, first, last, pool);

	kfd_svm_attr_for_each(range, tree, first, last) {
		struct kfd_svm_attr old = range->attr;

		if (range->first > next) {
			range_add(tree, pool, next, range->first - 1, &fresh);
			changed |= attr_change(defaults, &fresh);
		}
		kfd_svm_attr_apply(&range->attr, update);
		changed |= attr_change(&old, &range->attr);
		if (range->last >= last) {
			done = true;
			break;
		}
		next = range->last + 1;
	}
	if (!done) {
		range_add(tree, pool, next, last, &fresh);
		changed |= attr_change(defaults, &fresh);
	}
	merge_around(tree, first, last);
	return changed;
}

/*
 * Take the middle out of a range. Without a node for the second half the
 * shorter remainder falls back to the defaults, and lost_pages tells.
 */
static void cut_middle(struct kfd_svm_attr_tree *tree,
		       struct kfd_svm_attr_range *range, unsigned long first,
		       unsigned long last)
{
	unsigned long head = first - range->first;
	unsigned long tail = range->last - last;

	if (tree->reserve.nr) {
		range_add(tree, &tree->reserve, last + 1, range->last,
			  &range->attr);
		range->last = first - 1;
	} else if (head >= tail) {
		tree->lost_pages += tail;
		range->last = first - 1;
	} else {
		/* Stays in order: nothing else lies within the old span. */
		tree->lost_pages += head;
		range->first = last + 1;
	}
}

/*
 * Forget first..last. Allocates nothing and cannot fail: it runs where the CPU
 * unmaps memory. Return: pages forgotten, for want of a node some more than
 * asked for.
 */
unsigned long kfd_svm_attr_remove(struct kfd_svm_attr_tree *tree,
				  unsigned long first, unsigned long last)
{
	struct kfd_svm_attr_range *range, *next;
	unsigned long removed = 0, lost = tree->lost_pages;

	for (range = kfd_svm_attr_first(tree, first, last); range; range = next) {
		next = kfd_svm_attr_next(range, last);

		removed += min(range->last, last) - max(range->first, first) + 1;
		if (range->first < first && range->last > last)
			cut_middle(tree, range, first, last);
		else if (range->first < first)
			range->last = first - 1;
		else if (range->last > last)
			range->first = last + 1;
		else
			range_drop(tree, range);
	}
	return removed + (tree->lost_pages - lost);
}

/* Intersect what the registered ranges in first..last say; gaps do not count. */
void kfd_svm_attr_summarize(const struct kfd_svm_attr_tree *tree,
			    unsigned long first, unsigned long last,
			    struct kfd_svm_attr_summary *summary)
{
	struct kfd_svm_attr *common = &summary->common;
	struct kfd_svm_attr_range *range;

	*summary = (struct kfd_svm_attr_summary){};
	kfd_svm_attr_for_each(range, tree, first, last) {
		const struct kfd_svm_attr *attr = &range->attr;

		summary->flags_any |= attr->flags;
		if (!summary->any) {
			summary->any = true;
			*common = *attr;
			continue;
		}
		if (common->preferred != attr->preferred)
			common->preferred = KFD_SVM_LOC_UNDEFINED;
		if (common->prefetch != attr->prefetch)
			common->prefetch = KFD_SVM_LOC_UNDEFINED;
		common->flags &= attr->flags;
		common->access &= attr->access;
		common->in_place &= attr->in_place;
		common->granularity = min(common->granularity, attr->granularity);
	}
}

/* Shrink *first..*last, which hold @page, to the unregistered pages around it. */
void kfd_svm_attr_clip_to_gap(const struct kfd_svm_attr_tree *tree,
			      unsigned long page,
			      unsigned long *first, unsigned long *last)
{
	struct kfd_svm_attr_range *range;

	kfd_svm_attr_for_each(range, tree, *first, *last) {
		if (range->last < page) {
			*first = range->last + 1;
		} else {
			*last = range->first - 1;
			break;
		}
	}
}
