// SPDX-License-Identifier: GPL-2.0-only
/* Two processes on one GPU see their own memory only. */
#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

/* An address both processes use, unlikely to be taken in either. */
#define COMMON_VA ((char *)0x200000000000ULL)
#define LEN (16 * KT_PAGE)

static struct chan chan;

static void *map_at(char *va)
{
	return mmap(va, LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static int grant_in_child(const void *p, size_t len)
{
	if (xnack_on())
		return 0;
	return kt_svm_set1(gpu.kfd, p, len, KFD_SVM_ATTR_ACCESS, gpu.gpu_id);
}

static int same_va_child(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	child_check(map_at(COMMON_VA) == COMMON_VA);
	fill_words(COMMON_VA, LEN, 2);
	child_check(grant_in_child(COMMON_VA, LEN) == 0);
	child_check(gpu_try_copy(bounce.cpu, COMMON_VA, LEN) == 0);
	child_check(words_are(bounce.cpu, LEN, 2));
	child_is_ready(&chan);
	/* The parent's GPU wrote to the same address meanwhile. */
	child_check(words_are(COMMON_VA, LEN, 2));
	child_check(gpu_try_copy(bounce.cpu, COMMON_VA, LEN) == 0);
	child_check(words_are(bounce.cpu, LEN, 2));
	return 0;
}

static void same_address_different_memory(void **state)
{
	pid_t pid;

	(void)state;
	chan_open(&chan);
	pid = spawn(same_va_child, NULL);
	gpu_open_queue();
	assert_int_equal(chan_wait_child(&chan), 'r');
	assert_ptr_equal(map_at(COMMON_VA), COMMON_VA);
	fill_words(COMMON_VA, LEN, 1);
	grant(COMMON_VA, LEN);
	gpu_expect_words(COMMON_VA, LEN, 1);
	gpu_write_words(COMMON_VA, LEN, 3);
	finish_child(&chan, pid);
	expect_words(COMMON_VA, LEN, 3);
}

static void memory_of_another_process_is_exception(void **state)
{
	pid_t pid;

	(void)state;
	chan_open(&chan);
	pid = spawn(same_va_child, NULL);
	gpu_open_queue();
	assert_int_equal(chan_wait_child(&chan), 'r');
	/* Mapped on the GPU for the child only. */
	gpu_write_is_exception(COMMON_VA, EXC_ANY);
	finish_child(&chan, pid);
}

static int works_on(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	memset(bounce.cpu, 0x31, 4096);
	chan_tell_parent(&chan, 'r');
	for (unsigned int i = 0; i < 50; i++) {
		memset((char *)bounce.cpu + 4096, 0, 4096);
		child_check(gpu_try_copy((char *)bounce.cpu + 4096, bounce.cpu,
					 4096) == 0);
		child_check(!memcmp((char *)bounce.cpu + 4096, bounce.cpu, 4096));
	}
	child_check(chan_wait_parent(&chan) == 'x');
	child_check(gpu_try_copy((char *)bounce.cpu + 8192, bounce.cpu, 4096) == 0);
	return 0;
}

static void exception_of_one_does_not_stop_the_other(void **state)
{
	pid_t pid;

	(void)state;
	chan_open(&chan);
	pid = spawn(works_on, NULL);
	gpu_open_queue();
	assert_int_equal(chan_wait_child(&chan), 'r');
	gpu_read_is_exception((void *)0x1000, EXC_ANY);
	finish_child(&chan, pid);
}

static int other_handle_child(void *arg)
{
	uint64_t handle = *(uint64_t *)arg;

	child_check(gpu_reopen_in_child() == 0);
	/* Handles are names within a process; this one is not ours. */
	child_check(kt_bo_free_handle(&gpu, handle + 100) != 0);
	child_check(kt_bo_map(&gpu, handle + 100) != 0);
	return 0;
}

static void handles_of_another_process_mean_nothing(void **state)
{
	uint64_t offset = 0, handle = 0;

	(void)state;
	gpu_open_queue();
	for (unsigned int i = 0; i < 120; i++) {
		offset = 0;
		expect_ok(kt_bo_ioctl(&gpu, (uintptr_t)map_pages(KT_PAGE), KT_PAGE,
				      KFD_IOC_ALLOC_MEM_FLAGS_GTT, &offset, &handle));
	}
	handle -= 100;
	expect_child_ok(spawn(other_handle_child, &handle));
}

/* ---- an ordinary user ---- */

static int as_render_user(void *arg)
{
	gid_t gid = *(gid_t *)arg;
	char *p;

	child_check(setgroups(1, &gid) == 0);
	child_check(setgid(65534) == 0);
	child_check(setuid(65534) == 0);
	child_check(gpu_reopen_in_child() == 0);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_check(p != MAP_FAILED);
	fill_words(p, LEN, 6);
	child_check(grant_in_child(p, LEN) == 0);
	child_check(gpu_try_copy(bounce.cpu, p, LEN) == 0);
	child_check(words_are(bounce.cpu, LEN, 6));
	return 0;
}

static int as_stranger(void *arg)
{
	(void)arg;
	child_check(setgroups(0, NULL) == 0);
	child_check(setgid(65534) == 0);
	child_check(setuid(65534) == 0);
	child_check(kt_open_kfd(&gpu, conf_run.node) == -EACCES);
	return 0;
}

static void user_in_group_render_only(void **state)
{
	struct stat kfd, drm;
	uint64_t minor;
	char path[64];

	(void)state;
	gpu_open();
	assert_int_equal(stat("/dev/kfd", &kfd), 0);
	expect_ok(kt_node_property(gpu.node, "drm_render_minor", &minor));
	snprintf(path, sizeof(path), "/dev/dri/renderD%u", (unsigned int)minor);
	assert_int_equal(stat(path, &drm), 0);
	if (!kfd.st_gid)
		conf_skip("/dev/kfd has no group of its own (no udev here?)");
	assert_int_equal(kfd.st_mode & 0777, 0660);
	assert_int_equal(drm.st_mode & 0777, 0660);
	assert_int_equal(kfd.st_gid, drm.st_gid);
	expect_child_ok(spawn(as_render_user, &kfd.st_gid));
	expect_child_ok(spawn(as_stranger, NULL));
}

static const struct conf_case cases[] = {
	CASE(same_address_different_memory, CONF_BOTH),
	CASE(memory_of_another_process_is_exception, CONF_BOTH),
	CASE(exception_of_one_does_not_stop_the_other, CONF_BOTH),
	CASE(handles_of_another_process_mean_nothing, CONF_ONCE),
	CASE(user_in_group_render_only, CONF_BOTH | CONF_ROOT),
};

CONF_GROUP(isolation_group, cases);
