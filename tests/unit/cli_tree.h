/* SPDX-License-Identifier: MIT */
/*
 * A machine as a folder: files below it stand for those of /proc, /sys, /dev and so on.
 * What cannot be a file (what ioctls and opens of devices answer) comes from struct fake.
 */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include "shim_fake.h"

/** struct tree - @fake first: it is what the fake's functions get */
struct tree {
	struct fake fake;
	int (*fake_open)(void *ctx, const char *path, int flags);
	char root[64];
};

/* A folder with nothing in it, and a machine of struct fake where all works. */
void tree_init(struct tree *tree);
void tree_free(struct tree *tree);
/* The same for cmocka: *@state is the tree. */
int tree_setup(void **state);
int tree_teardown(void **state);
/* A file, with the folders it is in; @text of printf. */
void tree_write(struct tree *tree, const char *path, const char *text, ...)
	__attribute__((format(printf, 3, 4)));
void tree_link(struct tree *tree, const char *path, const char *target);
void tree_remove(struct tree *tree, const char *path);
/*
 * Files of all of the fake's GPUs: topology, /dev/kfd, render nodes. A GPU may be changed
 * in the fake before.
 */
void tree_add_driver(struct tree *tree);
/* A handle on it, for inspection. */
struct kfdsvm *tree_open(struct tree *tree);

#endif
