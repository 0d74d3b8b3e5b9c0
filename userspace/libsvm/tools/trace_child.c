// SPDX-License-Identifier: MIT
/*
 * The child that becomes the program. Before, it opens the driver's listeners: what they
 * tell is decided by the process that opens them, and that does not change with execve().
 * They go to the parent over a socket, and the parent says when to go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../src/kfd.h"
#include "command.h"
#include "trace.h"

#define NODES		"/sys/devices/virtual/kfd/kfd/topology/nodes"
#define MAX_NODES	4096u

enum stage {
	STAGE_GPU,	/* listeners of a GPU, or an error */
	STAGE_READY,	/* no more of them */
	STAGE_KFD,	/* /dev/kfd cannot be opened */
	STAGE_EXEC,	/* the program cannot be run */
};

struct message {
	uint32_t stage;
	uint32_t gpu_id;
	int32_t error;
};

/* 0 at the end of the topology. */
static int read_gpu_id(unsigned int node, uint32_t *gpu_id)
{
	char path[96];
	FILE *file;

	*gpu_id = 0;
	snprintf(path, sizeof(path), NODES "/%u/gpu_id", node);
	file = fopen(path, "re");
	if (!file)
		return errno != ENOENT;
	/* A GPU of another cgroup opens, and cannot be read. */
	if (fscanf(file, "%u", gpu_id) != 1)
		*gpu_id = 0;
	fclose(file);
	return 1;
}

static void find_gpus(struct trace_sources *sources)
{
	uint32_t gpu_id;

	sources->ngpus = 0;
	for (unsigned int node = 0; node < MAX_NODES && read_gpu_id(node, &gpu_id); node++)
		if (gpu_id && sources->ngpus < TRACE_MAX_GPUS)
			sources->gpus[sources->ngpus++] = gpu_id;
}

static int send_message(int sock, const struct message *message, const int *fds,
			unsigned int nfds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * TRACE_GROUPS)];
	} control = { 0 };
	struct iovec iov = { (void *)message, sizeof(*message) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (nfds) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* 1, 0 at the end, -errno. @fds has room for TRACE_GROUPS. */
static int receive_message(int sock, struct message *message, int *fds, unsigned int *nfds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * TRACE_GROUPS)];
	} control;
	struct iovec iov = { message, sizeof(*message) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c;
	ssize_t n;

	*nfds = 0;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : 0;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*nfds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
	}
	return n == sizeof(*message) ? 1 : -EPROTO;
}

/* Listeners of one GPU; a message, with them or with an error. */
static int offer_gpu(int sock, int kfd, uint32_t gpu_id)
{
	struct message message = { .stage = STAGE_GPU, .gpu_id = gpu_id };
	unsigned int n = 0;
	int fds[TRACE_GROUPS];
	int ret;

	for (; n < TRACE_GROUPS && !message.error; n++) {
		struct kfd_smi_args args = { .gpu_id = gpu_id };

		if (ioctl(kfd, KFD_IOC_SMI_EVENTS, &args)) {
			message.error = -errno;
			break;
		}
		fds[n] = (int)args.fd;
	}
	ret = send_message(sock, &message, fds, message.error ? 0 : n);
	/* The program shall not have them. */
	while (n)
		close(fds[--n]);
	return ret;
}

static int offer_listeners(int sock, const struct trace_sources *sources)
{
	struct message message = { .stage = STAGE_READY };
	int kfd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
	int ret = 0;

	if (kfd < 0) {
		message.stage = STAGE_KFD;
		message.error = -errno;
		return send_message(sock, &message, NULL, 0);
	}
	for (unsigned int i = 0; !ret && i < sources->ngpus; i++)
		ret = offer_gpu(sock, kfd, sources->gpus[i]);
	close(kfd);
	return ret ? ret : send_message(sock, &message, NULL, 0);
}

static void child(int sock, const struct trace_run *run, const struct trace_sources *sources)
{
	struct message message = { .stage = STAGE_EXEC };
	char go;

	if (offer_listeners(sock, sources))
		_exit(EXIT_SELF);
	/* The end of the socket: kfdsvm has said why, and is gone. */
	if (read(sock, &go, 1) != 1)
		_exit(EXIT_SELF);
	sigprocmask(SIG_SETMASK, &run->mask, NULL);
	execvp(run->argv[0], run->argv);
	message.error = -errno;
	send_message(sock, &message, NULL, 0);
	_exit(EXIT_SELF);
}

static int add_gpu(struct trace_sources *sources, uint32_t gpu_id, const int *fds)
{
	for (unsigned int i = 0; i < TRACE_GROUPS; i++) {
		struct trace_source *source = &sources->list[sources->n];
		uint64_t mask = trace_group_mask(i);

		*source = (struct trace_source){
			.fd = fds[i],
			.gpu_id = gpu_id,
			.group = i,
		};
		sources->n++;
		if (write(source->fd, &mask, sizeof(mask)) != sizeof(mask))
			return -errno;
		fcntl(source->fd, F_SETFL, O_NONBLOCK);
	}
	return 0;
}

/* 0, 1 at the end, or -errno after a message. */
static int take_offer(const struct message *message, const int *fds, unsigned int nfds,
		      struct trace_sources *sources)
{
	int ret;

	switch (message->stage) {
	case STAGE_READY:
		return 1;
	case STAGE_KFD:
		fprintf(stderr, "kfdsvm trace: /dev/kfd: %s; see kfdsvm doctor\n",
			strerror(-message->error));
		return message->error;
	}
	if (message->error || nfds != TRACE_GROUPS) {
		fprintf(stderr, "kfdsvm trace: no events of GPU %u: %s\n", message->gpu_id,
			strerror(message->error ? -message->error : EPROTO));
		return 0;
	}
	ret = add_gpu(sources, message->gpu_id, fds);
	if (ret)
		fprintf(stderr, "kfdsvm trace: events of GPU %u: %s\n", message->gpu_id,
			strerror(-ret));
	return ret;
}

static int receive_listeners(int sock, struct trace_sources *sources)
{
	struct message message;
	int fds[TRACE_GROUPS];
	unsigned int nfds;
	int ret;

	do {
		ret = receive_message(sock, &message, fds, &nfds);
		if (ret <= 0) {
			fputs("kfdsvm trace: the child is gone before it began\n", stderr);
			return ret ? ret : -ECHILD;
		}
		ret = take_offer(&message, fds, nfds, sources);
	} while (!ret);
	return ret < 0 ? ret : 0;
}

int trace_start(struct trace_run *run, struct trace_sources *sources, int *go_fd)
{
	int socks[2];

	find_gpus(sources);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks)) {
		fprintf(stderr, "kfdsvm trace: socketpair: %s\n", strerror(errno));
		return EXIT_SELF;
	}
	run->pid = fork();
	if (!run->pid) {
		close(socks[0]);
		child(socks[1], run, sources);
	}
	close(socks[1]);
	*go_fd = socks[0];
	if (run->pid < 0) {
		fprintf(stderr, "kfdsvm trace: fork: %s\n", strerror(errno));
		return EXIT_SELF;
	}
	if (receive_listeners(socks[0], sources))
		return EXIT_SELF;
	if (!sources->n) {
		fputs("kfdsvm trace: no GPU tells events here; see kfdsvm doctor\n", stderr);
		return EXIT_SELF;
	}
	return 0;
}

int trace_go(struct trace_run *run, int go_fd)
{
	struct message message;
	unsigned int nfds;
	int fds[TRACE_GROUPS];
	int ret;

	run->start_ns = trace_now();
	if (write(go_fd, "", 1) != 1) {
		fputs("kfdsvm trace: the child is gone before it began\n", stderr);
		return EXIT_SELF;
	}
	/* Its end of the socket closes when it becomes the program. */
	ret = receive_message(go_fd, &message, fds, &nfds);
	if (ret <= 0)
		return 0;
	fprintf(stderr, "kfdsvm trace: %s: %s\n", run->argv[0], strerror(-message.error));
	return message.error == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
}
