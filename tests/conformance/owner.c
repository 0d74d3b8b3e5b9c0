// SPDX-License-Identifier: GPL-2.0-only
/*
 * A descriptor of /dev/kfd belongs to the process, more exactly to the address
 * space, that opened it. Everybody else gets EBADF: row 0 of the errno table.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"

/* Every kind of call: query, SVM in both directions, queue, memory, mode. */
static int all_calls_are_ebadf(int kfd)
{
	struct kfd_ioctl_get_version_args version = { 0 };
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_SET_FLAGS };
	struct kfd_ioctl_create_event_args event = { 0 };
	struct kfd_ioctl_create_queue_args queue = { 0 };
	struct kfd_ioctl_alloc_memory_of_gpu_args alloc = { 0 };
	uintptr_t page = (uintptr_t)&a & ~(KT_PAGE - 1);
	int32_t mode = -1;

	child_check(kt_ioctl(kfd, AMDKFD_IOC_GET_VERSION, &version) == -EBADF);
	child_check(kt_svm(kfd, KFD_SVM_OP_SET_ATTR, page, KT_PAGE, 1, &a) == -EBADF);
	child_check(kt_svm(kfd, KFD_SVM_OP_GET_ATTR, page, KT_PAGE, 1, &a) == -EBADF);
	/* Before every other check of the call. */
	child_check(kt_svm(kfd, 7, page + 1, 0, 1, &a) == -EBADF);
	child_check(kt_xnack(kfd, &mode) == -EBADF);
	child_check(kt_ioctl(kfd, AMDKFD_IOC_CREATE_EVENT, &event) == -EBADF);
	child_check(kt_ioctl(kfd, AMDKFD_IOC_CREATE_QUEUE, &queue) == -EBADF);
	child_check(kt_ioctl(kfd, AMDKFD_IOC_ALLOC_MEMORY_OF_GPU, &alloc) == -EBADF);
	return 0;
}

static int fork_child(void *arg)
{
	(void)arg;
	return all_calls_are_ebadf(gpu.kfd);
}

static void svm_row00_fork_child_is_EBADF(void **state)
{
	(void)state;
	gpu_open_queue();
	expect_child_ok(spawn(fork_child, NULL));
	/* The parent is untouched. */
	gpu_write32(bounce.cpu, 1);
}

static int foreign_mmap(void *arg)
{
	uint64_t offset = *(uint64_t *)arg;

	child_check(mmap(NULL, KT_SLICE, PROT_READ | PROT_WRITE, MAP_SHARED, gpu.kfd,
			 (off_t)offset) == MAP_FAILED);
	return 0;
}

static void fork_child_cannot_map_the_parents_doorbells(void **state)
{
	struct kfd_ioctl_create_queue_args args = { 0 };
	uint64_t offset;

	(void)state;
	gpu_open_queue();
	args.ring_base_address = (uintptr_t)sdma.ring.cpu;
	args.ring_size = (uint32_t)sdma.ring.len;
	args.read_pointer_address = (uintptr_t)(sdma.rptr + 32);
	args.write_pointer_address = (uintptr_t)(sdma.rptr + 48);
	expect_ok(kt_queue_ioctl(&gpu, &args));
	offset = args.doorbell_offset & ~(uint64_t)(KT_SLICE - 1);
	expect_child_ok(spawn(foreign_mmap, &offset));
}

static void fork_child_has_no_doorbells(void **state)
{
	unsigned char vec[KT_SLICE / KT_PAGE];
	int to_child[2], status;
	pid_t pid;

	(void)state;
	gpu_open_queue();
	assert_int_equal(pipe(to_child), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		/* VM_DONTCOPY: an address of the slice is not mapped here. */
		_exit(mincore(gpu.doorbells, KT_SLICE, vec) == -1 && errno == ENOMEM ?
		      0 : 1);
	}
	status = reap(pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

static int reopen_child(void *arg)
{
	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	memset(bounce.cpu, 0x77, 4096);
	child_check(gpu_try_copy((char *)bounce.cpu + 4096, bounce.cpu, 4096) == 0);
	child_check(!memcmp((char *)bounce.cpu + 4096, bounce.cpu, 4096));
	return 0;
}

static void fork_child_works_after_opening_again(void **state)
{
	(void)state;
	gpu_open_queue();
	expect_child_ok(spawn(reopen_child, NULL));
	gpu_write32(bounce.cpu, 2);
}

static int exec_with_fd(void *arg)
{
	char fd[16];

	(void)arg;
	/* The opener itself execs: same pid, same files, another mm. */
	if (kt_open(&gpu, conf_run.node))
		return 3;
	fcntl(gpu.kfd, F_SETFD, 0);
	snprintf(fd, sizeof(fd), "%d", gpu.kfd);
	exec_self("fd-is-ebadf", fd, NULL);
	return 127;
}

static void svm_row00_after_exec_is_EBADF(void **state)
{
	(void)state;
	expect_child_ok(spawn(exec_with_fd, NULL));
}

/* ---- a descriptor sent over a socket ---- */

static int receiver(void *arg)
{
	int *socks = arg, fd;

	close(socks[0]);
	/* A KFD user of its own: still not the owner of this descriptor. */
	if (kt_open(&gpu, conf_run.node))
		return 3;
	fd = kt_receive_fd(socks[1]);
	child_check(fd >= 0);
	return all_calls_are_ebadf(fd);
}

static void svm_row00_fd_over_socket_is_EBADF(void **state)
{
	int socks[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), 0);
	pid = spawn(receiver, socks);
	gpu_open_queue();
	assert_int_equal(kt_send_fd(socks[0], gpu.kfd), 0);
	expect_child_ok(pid);
	gpu_write32(bounce.cpu, 3);
}

/* ---- acquiring the VM ---- */

static void acquire_vm_with_a_second_drm_file_is_EBUSY(void **state)
{
	int first;

	(void)state;
	gpu_open();
	expect_ok(kt_acquire_vm(&gpu));		/* the same file: nothing to do */
	first = gpu.drm;
	expect_ok(kt_open_render(&gpu));
	expect_ret(kt_acquire_vm(&gpu), -EBUSY);
	gpu.drm = first;
	expect_ok(kt_acquire_vm(&gpu));
}

static void acquire_vm_of_bad_arguments_is_EINVAL(void **state)
{
	struct kt_dev bad;

	(void)state;
	expect_ok(kt_open_kfd(&gpu, conf_run.node));
	expect_ok(kt_open_render(&gpu));
	bad = gpu;
	bad.gpu_id ^= 1;
	expect_ret(kt_acquire_vm(&bad), -EINVAL);
	bad = gpu;
	bad.drm = -1;
	expect_ret(kt_acquire_vm(&bad), -EINVAL);
	expect_ok(kt_acquire_vm(&gpu));
}

static void second_open_shares_the_process(void **state)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_GRANULARITY };
	void *p;
	int fd;

	(void)state;
	gpu_open();
	p = map_pages(KT_PAGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 4));
	fd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	expect_ok(kt_svm(fd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 1, &a));
	assert_int_equal(a.value, 4);
	/* Closing one of two leaves the other working. */
	close(gpu.kfd);
	a.value = 0;
	expect_ok(kt_svm(fd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 1, &a));
	assert_int_equal(a.value, 4);
}

static const struct conf_case cases[] = {
	CASE(svm_row00_fork_child_is_EBADF, CONF_BOTH),
	CASE(svm_row00_after_exec_is_EBADF, CONF_ONCE),
	CASE(svm_row00_fd_over_socket_is_EBADF, CONF_ONCE),
	CASE(fork_child_cannot_map_the_parents_doorbells, CONF_ONCE),
	CASE(fork_child_has_no_doorbells, CONF_ONCE),
	CASE(fork_child_works_after_opening_again, CONF_BOTH),
	CASE(acquire_vm_with_a_second_drm_file_is_EBUSY, CONF_ONCE),
	CASE(acquire_vm_of_bad_arguments_is_EINVAL, CONF_ONCE),
	CASE(second_open_shares_the_process, CONF_ONCE),
};

CONF_GROUP(owner_group, cases);
