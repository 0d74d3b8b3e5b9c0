/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's calls on a plain binary search tree that is never balanced: what
 * is under test must not depend on the shape.
 */
#ifndef SEAM_RBTREE_H
#define SEAM_RBTREE_H

#include <linux/types.h>

struct rb_node {
	struct rb_node *parent;
	struct rb_node *rb_left;
	struct rb_node *rb_right;
};

struct rb_root {
	struct rb_node *rb_node;
};

#define RB_ROOT			((struct rb_root){ NULL })
#define RB_EMPTY_ROOT(root)	(!(root)->rb_node)
#define rb_entry(ptr, type, member)	container_of(ptr, type, member)

static inline void rb_link_node(struct rb_node *node, struct rb_node *parent,
				struct rb_node **link)
{
	*node = (struct rb_node){ .parent = parent };
	*link = node;
}

static inline void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	(void)node;
	(void)root;
}

static inline struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *node = root->rb_node;

	while (node && node->rb_left)
		node = node->rb_left;
	return node;
}

static inline struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->rb_node;

	while (node && node->rb_right)
		node = node->rb_right;
	return node;
}

static inline struct rb_node *rb_next(const struct rb_node *node)
{
	if (node->rb_right) {
		node = node->rb_right;
		while (node->rb_left)
			node = node->rb_left;
		return (struct rb_node *)node;
	}
	while (node->parent && node == node->parent->rb_right)
		node = node->parent;
	return node->parent;
}

static inline struct rb_node *rb_prev(const struct rb_node *node)
{
	if (node->rb_left) {
		node = node->rb_left;
		while (node->rb_right)
			node = node->rb_right;
		return (struct rb_node *)node;
	}
	while (node->parent && node == node->parent->rb_left)
		node = node->parent;
	return node->parent;
}

/* Let @to, which may be NULL, stand where @from stood below its parent. */
static inline void seam_rb_transplant(struct rb_root *root,
				      struct rb_node *from, struct rb_node *to)
{
	if (!from->parent)
		root->rb_node = to;
	else if (from->parent->rb_left == from)
		from->parent->rb_left = to;
	else
		from->parent->rb_right = to;
	if (to)
		to->parent = from->parent;
}

static inline void rb_erase(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *heir;

	if (!node->rb_left || !node->rb_right) {
		seam_rb_transplant(root, node, node->rb_left ? node->rb_left :
							       node->rb_right);
		return;
	}
	heir = node->rb_right;
	while (heir->rb_left)
		heir = heir->rb_left;
	if (heir->parent != node) {
		seam_rb_transplant(root, heir, heir->rb_right);
		heir->rb_right = node->rb_right;
		heir->rb_right->parent = heir;
	}
	seam_rb_transplant(root, node, heir);
	heir->rb_left = node->rb_left;
	heir->rb_left->parent = heir;
}

#endif /* SEAM_RBTREE_H */
