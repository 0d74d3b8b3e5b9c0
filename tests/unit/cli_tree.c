// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "cli_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void place(const struct tree *tree, const char *path, char *full, size_t len)
{
	assert_true((size_t)snprintf(full, len, "%s%s", tree->root, path) < len);
}

static void make_folders(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		assert_true(!mkdir(path, 0755) || errno == EEXIST);
		*at = '/';
	}
}

void tree_write(struct tree *tree, const char *path, const char *text, ...)
{
	char full[512];
	va_list args;
	FILE *file;

	place(tree, path, full, sizeof(full));
	make_folders(full);
	file = fopen(full, "w");
	assert_non_null(file);
	va_start(args, text);
	vfprintf(file, text, args);
	va_end(args);
	assert_int_equal(fclose(file), 0);
}

void tree_link(struct tree *tree, const char *path, const char *target)
{
	char full[512];

	place(tree, path, full, sizeof(full));
	make_folders(full);
	assert_int_equal(symlink(target, full), 0);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void tree_remove(struct tree *tree, const char *path)
{
	char full[512];

	place(tree, path, full, sizeof(full));
	assert_int_equal(nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int tree_stat(void *ctx, const char *path, struct stat *st)
{
	struct tree *tree = ctx;
	char full[512];

	place(tree, path, full, sizeof(full));
	if (stat(full, st))
		return -errno;
	if (!strncmp(path, "/dev/", 5)) {
		st->st_uid = 0;
		st->st_gid = 992;
		st->st_mode = S_IFCHR | tree->fake.mode;
	}
	return 0;
}

/* Only devices are opened, and only those that have a file. */
static int tree_open_file(void *ctx, const char *path, int flags)
{
	struct tree *tree = ctx;
	struct stat st;
	int ret = tree_stat(ctx, path, &st);

	if (!ret && strncmp(path, "/dev/", 5))
		ret = -ENOENT;
	return ret ? ret : tree->fake_open(ctx, path, flags);
}

static ssize_t tree_read_file(void *ctx, const char *path, char *buf, size_t len)
{
	struct tree *tree = ctx;
	char full[512];
	ssize_t n;
	int fd;

	place(tree, path, full, sizeof(full));
	fd = open(full, O_RDONLY);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

void tree_init(struct tree *tree)
{
	memset(tree, 0, sizeof(*tree));
	fake_init(&tree->fake);
	strcpy(tree->root, "/tmp/kfdsvm-tree-XXXXXX");
	assert_non_null(mkdtemp(tree->root));
	tree->fake_open = tree->fake.sys.open;
	tree->fake.sys.open = tree_open_file;
	tree->fake.sys.read_file = tree_read_file;
	tree->fake.sys.stat = tree_stat;
	tree->fake.sys.ctx = tree;
	tree_write(tree, "/proc/sys/kernel/osrelease", "7.3.4+test\n");
	tree_write(tree, "/proc/cmdline", "BOOT_IMAGE=/vmlinuz ro quiet\n");
	tree_write(tree, "/boot/config-7.3.4+test",
		   "CONFIG_HSA_AMD=y\nCONFIG_HSA_AMD_SVM=y\nCONFIG_DEVICE_PRIVATE=y\n"
		   "CONFIG_HMM_MIRROR=y\n");
}

void tree_free(struct tree *tree)
{
	tree_remove(tree, "");
}

int tree_setup(void **state)
{
	static struct tree tree;

	tree_init(&tree);
	*state = &tree;
	return 0;
}

int tree_teardown(void **state)
{
	tree_free(*state);
	return 0;
}

static void add_gpu(struct tree *tree, unsigned int node, const struct fake_gpu *gpu)
{
	char path[128];

#define NODE(file) (snprintf(path, sizeof(path), SYS_TOPOLOGY "/nodes/%u/" file, node), path)
	tree_write(tree, NODE("gpu_id"), "%u\n", gpu->gpu_id);
	tree_write(tree, NODE("name"), "some\n");
	tree_write(tree, NODE("properties"),
		   "mem_banks_count 1\ngfx_target_version %u\nvendor_id 4098\n"
		   "device_id 26751\ndrm_render_minor %u\ncapability %u\n",
		   gpu->gfx_version, gpu->render_minor, gpu->capability);
	tree_write(tree, NODE("mem_banks/0/properties"),
		   "heap_type 1\nsize_in_bytes 536870912\nflags 0\n");
#undef NODE
	snprintf(path, sizeof(path), "/dev/dri/renderD%u", gpu->render_minor);
	tree_write(tree, path, " ");
}

void tree_add_driver(struct tree *tree)
{
	tree_write(tree, "/sys/module/amdgpu/initstate", "live\n");
	tree_write(tree, "/dev/kfd", " ");
	tree_write(tree, SYS_TOPOLOGY "/generation_id", "1\n");
	tree_write(tree, SYS_TOPOLOGY "/nodes/0/gpu_id", "0\n");
	for (unsigned int i = 0; i < tree->fake.ngpus; i++)
		add_gpu(tree, i + 1, &tree->fake.gpus[i]);
}

struct kfdsvm *tree_open(struct tree *tree)
{
	const struct kfdsvm_open_options options = {
		.size = sizeof(options),
		.flags = KFDSVM_OPEN_INSPECT,
	};
	struct kfdsvm *handle;

	assert_int_equal(kfdsvm_open_sys(&handle, &options, &tree->fake.sys), 0);
	return handle;
}
