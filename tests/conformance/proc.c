// SPDX-License-Identifier: GPL-2.0-only
/* Children, messages between processes, files and page references. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf.h"

pid_t spawn(int (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* A case that fails must not leave its children behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(fn(arg));
	}
	return pid;
}

static bool gone(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

int reap(pid_t pid)
{
	int status;

	if (!kt_wait_for(gone(pid, &status), KT_WAIT_MS)) {
		kill(pid, SIGKILL);
		fail_msg("child %d did not exit in time", (int)pid);
	}
	return status;
}

void expect_child_ok(pid_t pid)
{
	int status = reap(pid);

	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("child ended with status %#x", (unsigned int)status);
}

void chan_open(struct chan *c)
{
	assert_int_equal(pipe2(c->up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(c->down, O_CLOEXEC), 0);
}

static int send_byte(int fd, char what)
{
	return write(fd, &what, 1) == 1 ? 0 : -errno;
}

static int recv_byte(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char what;

	if (poll(&p, 1, KT_WAIT_MS) != 1)
		return -ETIME;
	return read(fd, &what, 1) == 1 ? what : -EPIPE;
}

int chan_tell_parent(struct chan *c, char what)
{
	return send_byte(c->up[1], what);
}

int chan_tell_child(struct chan *c, char what)
{
	return send_byte(c->down[1], what);
}

int chan_wait_parent(struct chan *c)
{
	return recv_byte(c->down[0]);
}

int chan_wait_child(struct chan *c)
{
	return recv_byte(c->up[0]);
}

pid_t spawn_ready(struct chan *c, int (*fn)(void *arg), void *arg)
{
	pid_t pid;

	chan_open(c);
	pid = spawn(fn, arg);
	assert_int_equal(chan_wait_child(c), 'r');
	return pid;
}

void child_is_ready(struct chan *c)
{
	chan_tell_parent(c, 'r');
	child_check(chan_wait_parent(c) == 'x');
}

void finish_child(struct chan *c, pid_t pid)
{
	chan_tell_child(c, 'x');
	expect_child_ok(pid);
}

void exec_self(const char *what, const char *arg1, const char *arg2)
{
	execl("/proc/self/exe", "kfdsvm-conformance", "--exec-helper", what, arg1,
	      arg2, NULL);
	_exit(127);
}

/* Memory of this program moves; does @fd, of the program before, tell of it? */
static int hears(int fd, int node, bool something)
{
	const size_t len = 32 * KT_PAGE;
	char *p, text[128];
	uint64_t in = 0;

	conf_run.xnack = CONF_XNACK_ANY;
	conf_run.node = node;
	child_check(gpu_reopen_in_child() == 0);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_check(p != MAP_FAILED);
	memset(p, 1, len);
	child_check(kt_svm_set1(gpu.kfd, p, len, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) == 0);
	child_check(kt_counter(&gpu, "page_in", &in) == 0 && in);
	if (something) {
		child_check(read(fd, text, sizeof(text)) > 0);
		return 0;
	}
	child_check(read(fd, text, sizeof(text)) == -1);
	child_check(errno == EAGAIN);
	return 0;
}

/* What runs after execve(): see owner.c, life.c, smi.c. Exit code 0: as expected. */
int exec_helper_main(int argc, char **argv)
{
	int32_t mode = -1;
	int fd, ret;

	if (argc < 2)
		return 2;
	fd = atoi(argv[1]);
	if (!strcmp(argv[0], "fd-is-ebadf")) {
		struct kfd_ioctl_get_version_args v = { 0 };
		struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_SET_FLAGS };
		uintptr_t page = (uintptr_t)&mode & ~(KT_PAGE - 1);

		ret = kt_ioctl(fd, AMDKFD_IOC_GET_VERSION, &v);
		child_check(ret == -EBADF);
		child_check(kt_xnack(fd, &mode) == -EBADF);
		ret = kt_svm(fd, KFD_SVM_OP_SET_ATTR, page, KT_PAGE, 1, &a);
		child_check(ret == -EBADF);
		ret = kt_svm(fd, KFD_SVM_OP_GET_ATTR, page, KT_PAGE, 1, &a);
		child_check(ret == -EBADF);
		return 0;
	}
	if (!strcmp(argv[0], "fd-has-nothing-to-read"))
		return hears(fd, atoi(argv[2]), false);
	if (!strcmp(argv[0], "fd-has-something-to-read"))
		return hears(fd, atoi(argv[2]), true);
	if (!strcmp(argv[0], "reopen")) {
		conf_run.xnack = CONF_XNACK_ANY;
		conf_run.node = atoi(argv[1]);
		child_check(gpu_reopen_in_child() == 0);
		memset(bounce.cpu, 0x5a, 8192);
		child_check(gpu_try_copy((char *)bounce.cpu + 8192, bounce.cpu,
					 8192) == 0);
		child_check(!memcmp((char *)bounce.cpu + 8192, bounce.cpu, 8192));
		return 0;
	}
	return 2;
}

void hold_pages(void *p, size_t npages)
{
	struct iovec iov = { .iov_base = p, .iov_len = npages * KT_PAGE };
	int fds[2];

	/* A pipe of 16 buffers; the descriptors stay open until the case ends. */
	assert_true(npages <= 16);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(vmsplice(fds[1], &iov, 1, 0), iov.iov_len);
}

int temp_file(const char *dir, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/kfdsvm-test-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (ftruncate(fd, (off_t)len)) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}
