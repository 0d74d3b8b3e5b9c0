/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space asked for, by page. Pure logic: no lock, no GPU, no mm.
 */
#ifndef _KFD_SVM_ATTRS_H
#define _KFD_SVM_ATTRS_H

#include <linux/kfdsvm_seam.h>

/**
 * DOC: Attribute tree
 *
 * The tree holds disjoint *ranges* of pages, closed (first..last) and in units
 * of pages throughout. A page in no range is not registered and has the
 * defaults. Neighbours that say the same are merged, so a range is not what one
 * call of user space named: only what a page is told matters.
 *
 * The tree belongs to its owner's lock. Nothing here sleeps or allocates but
 * kfd_svm_attr_pool_fill(): whoever changes the tree brings the nodes in a pool
 * filled before, so that a change cannot fail half way. Removal comes from an
 * MMU notifier and has no caller to bring nodes; it lives on the tree's
 * reserve.
 */

/* Nodes kept for cutting holes, see kfd_svm_attr_remove(). */
#define KFD_SVM_ATTR_RESERVE	256

/**
 * struct kfd_svm_attr - the attributes of a page
 * @access: GPUs (bits by index) that may fault and migrate
 * @in_place: GPUs that map memory where it lives; disjoint from @access
 * @preferred: location
 * @prefetch: location
 * @flags: KFD_SVM_FLAG_*, unknown bits included
 * @granularity: log2 of pages
 */
struct kfd_svm_attr {
	u64 access;
	u64 in_place;
	u32 preferred;
	u32 prefetch;
	u32 flags;
	u32 granularity;
};

/**
 * struct kfd_svm_attr_update - the joint effect of the attributes of one call
 * @access_touched: GPUs whose access is set
 * @access: of those, the ones that get ACCESS
 * @in_place: of those, the ones that get ACCESS_IN_PLACE
 * @preferred: location, if @set_preferred
 * @prefetch: location, if @set_prefetch
 * @flags_and: applied to the flags first
 * @flags_or: applied next
 * @granularity: if @set_granularity
 * @set_preferred: @preferred counts
 * @set_prefetch: @prefetch counts
 * @set_granularity: @granularity counts
 * @set_flags: the call named flags, whatever their value
 */
struct kfd_svm_attr_update {
	u64 access_touched;
	u64 access;
	u64 in_place;
	u32 preferred;
	u32 prefetch;
	u32 flags_and;
	u32 flags_or;
	u32 granularity;
	bool set_preferred;
	bool set_prefetch;
	bool set_granularity;
	bool set_flags;
};

/**
 * struct kfd_svm_attr_range - pages that say the same
 * @rb: place in the tree
 * @next_free: in a pool
 * @first: first page
 * @last: last page
 * @attr: what they say
 */
struct kfd_svm_attr_range {
	union {
		struct rb_node rb;
		struct kfd_svm_attr_range *next_free;
	};
	unsigned long first;
	unsigned long last;
	struct kfd_svm_attr attr;
};

/**
 * struct kfd_svm_attr_pool - nodes in no tree
 * @head: singly linked
 * @nr: how many
 */
struct kfd_svm_attr_pool {
	struct kfd_svm_attr_range *head;
	unsigned long nr;
};

/**
 * struct kfd_svm_attr_tree - the attributes of an address space
 * @root: ranges by first page
 * @nr: ranges in it
 * @reserve: nodes for kfd_svm_attr_remove()
 * @lost_pages: pages whose attributes were dropped for want of a node
 */
struct kfd_svm_attr_tree {
	struct rb_root root;
	unsigned long nr;
	struct kfd_svm_attr_pool reserve;
	unsigned long lost_pages;
};

/* What a change of the tree means for what is mapped. */
#define KFD_SVM_CHANGED_FLAGS	BIT(0)
#define KFD_SVM_CHANGED_ACCESS	BIT(1)
#define KFD_SVM_CHANGED_PREFERRED BIT(2)

/**
 * struct kfd_svm_attr_summary - the intersection over registered ranges
 * @any: there was a range
 * @common: locations that all share, else undefined; access all have; flags
 *	all have set; smallest granularity
 * @flags_any: flags some have set
 */
struct kfd_svm_attr_summary {
	bool any;
	struct kfd_svm_attr common;
	u32 flags_any;
};

void kfd_svm_attr_init(struct kfd_svm_attr_tree *tree);
void kfd_svm_attr_fini(struct kfd_svm_attr_tree *tree);

int kfd_svm_attr_pool_fill(struct kfd_svm_attr_pool *pool, unsigned long nr);
void kfd_svm_attr_pool_drain(struct kfd_svm_attr_pool *pool);
void kfd_svm_attr_pool_move(struct kfd_svm_attr_pool *to,
			    struct kfd_svm_attr_pool *from, unsigned long nr);

struct kfd_svm_attr_range *
kfd_svm_attr_first(const struct kfd_svm_attr_tree *tree,
		   unsigned long first, unsigned long last);
struct kfd_svm_attr_range *
kfd_svm_attr_next(const struct kfd_svm_attr_range *range, unsigned long last);

#define kfd_svm_attr_for_each(range, tree, first, last) \
	for ((range) = kfd_svm_attr_first(tree, first, last); (range); \
	     (range) = kfd_svm_attr_next(range, last))

void kfd_svm_attr_update_init(struct kfd_svm_attr_update *update);
void kfd_svm_attr_apply(struct kfd_svm_attr *attr,
			const struct kfd_svm_attr_update *update);

unsigned long kfd_svm_attr_set_need(const struct kfd_svm_attr_tree *tree,
				    unsigned long first, unsigned long last);
unsigned int kfd_svm_attr_set(struct kfd_svm_attr_tree *tree,
			      unsigned long first, unsigned long last,
			      const struct kfd_svm_attr *defaults,
			      const struct kfd_svm_attr_update *update,
			      struct kfd_svm_attr_pool *pool);
unsigned long kfd_svm_attr_remove(struct kfd_svm_attr_tree *tree,
				  unsigned long first, unsigned long last);
void kfd_svm_attr_summarize(const struct kfd_svm_attr_tree *tree,
			    unsigned long first, unsigned long last,
			    struct kfd_svm_attr_summary *summary);
void kfd_svm_attr_clip_to_gap(const struct kfd_svm_attr_tree *tree,
			      unsigned long page,
			      unsigned long *first, unsigned long *last);

#endif /* _KFD_SVM_ATTRS_H */
