// SPDX-License-Identifier: MIT
#include "fuzz_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../userspace/libsvm/src/kfd.h"

#define FD_KFD	1000
#define FD_TEXT	2000

int fuzz_smi = -1;

static const char *const good_texts[] = {
	/* gpu_id, name, properties of nodes 0, 1, 2 */
	"0\n", "", "",
	"4660\n", "vega10\n", "capability 134217728\ngfx_target_version 90000\n"
			      "drm_render_minor 128\nmem_banks_count 1\n",
	"22136\n", "vega20\n", "capability 134217728\ngfx_target_version 90006\n"
			       "drm_render_minor 129\nmem_banks_count 1\n",
};

/*
 * Which text a file is. Those of a node follow each other; then come the files that
 * the process has.
 */
static int text_of(const struct fuzz_machine *m, const char *path)
{
	unsigned int node, index;

	if (sscanf(path, SYS_TOPOLOGY "/nodes/%u/", &node) == 1) {
		if (node > m->ntexts)
			return -ENOENT;
		index = node * 3;
		if (strstr(path, "/name"))
			index += 1;
		else if (!strstr(path, "/gpu_id"))
			index += 2;
	} else {
		/* The last text serves all of them. */
		index = m->ntexts ? m->ntexts - 1 : 0;
	}
	return index < m->ntexts ? (int)index : -ENOENT;
}

static int machine_open(void *ctx, const char *path, int flags)
{
	(void)flags;
	if (!strcmp(path, DEV_KFD) || !strncmp(path, "/dev/dri/", 9))
		return FD_KFD;
	if (!strcmp(path, "/proc/self/pagemap"))
		return FD_KFD;
	int index = text_of(ctx, path);

	return index < 0 ? index : FD_TEXT + index;
}

static void machine_close(void *ctx, int fd)
{
	(void)ctx;
	MUST(fd >= FD_KFD);
}

static int machine_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	struct kfd_apertures_args *apertures = arg;
	struct kfd_version_args *version = arg;
	struct kfd_smi_args *smi = arg;
	int fds[2];

	(void)ctx;
	MUST(fd == FD_KFD);
	switch (request) {
	case KFD_IOC_VERSION:
		version->major = 1;
		version->minor = 17;
		break;
	case KFD_IOC_APERTURES:
		/* Whatever the texts say is there, is there for the process. */
		for (uint32_t i = 0; i < apertures->napertures; i++)
			((struct kfd_apertures *)(uintptr_t)apertures->apertures)[i].gpu_id =
				i == 0 ? FUZZ_GPU1 : i == 1 ? FUZZ_GPU2 : i;
		break;
	case KFD_IOC_SMI_EVENTS:
		MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
		/* One listener at a time needs our end. */
		if (fuzz_smi >= 0)
			close(fuzz_smi);
		fuzz_smi = fds[0];
		smi->fd = (uint32_t)fds[1];
		break;
	}
	if (_IOC_NR(request) == _IOC_NR(KFD_SVM_IOC_BASE)) {
		struct kfd_svm_args *args = arg;

		/* All that the call says it carries has to be there: ASan looks. */
		MUST(_IOC_SIZE(request) >= sizeof(*args) + args->nattr * sizeof(args->attrs[0]));
		for (uint32_t i = 0; i < args->nattr; i++)
			args->attrs[i].value ^= 0;
	}
	return 0;
}

static ssize_t machine_read_file(void *ctx, const char *path, char *buf, size_t len)
{
	const struct fuzz_machine *m = ctx;
	int index = text_of(m, path);
	size_t n;

	if (index < 0)
		return index;
	n = strnlen(m->texts[index], len - 1);
	memcpy(buf, m->texts[index], n);
	buf[n] = '\0';
	return (ssize_t)n;
}

/* Entries of pagemap are whatever the text is. */
static ssize_t machine_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
	const struct fuzz_machine *m = ctx;
	const char *text;
	size_t have;

	if (fd == FD_KFD) {
		text = m->ntexts ? m->texts[m->ntexts - 1] : "";
		have = strlen(text);
		for (size_t i = 0; i < len; i++)
			((char *)buf)[i] = have ? text[i % have] : 0;
		return (ssize_t)len;
	}
	MUST(fd >= FD_TEXT && fd < FD_TEXT + (int)m->ntexts);
	text = m->texts[fd - FD_TEXT];
	have = strlen(text);
	if (offset >= have)
		return 0;
	if (len > have - offset)
		len = have - offset;
	memcpy(buf, text + offset, len);
	return (ssize_t)len;
}

static int machine_mincore(void *ctx, uintptr_t start, size_t len, unsigned char *vec)
{
	(void)ctx;
	(void)start;
	memset(vec, 1, len / 4096);
	return 0;
}

static int machine_stat(void *ctx, const char *path, struct stat *st)
{
	(void)ctx;
	(void)path;
	memset(st, 0, sizeof(*st));
	/* The initial PID namespace: /sys tells of this process. */
	st->st_ino = 0xeffffffc;
	return 0;
}

static void machine_group(void *ctx, gid_t gid, char *buf, size_t len)
{
	(void)ctx;
	snprintf(buf, len, "%u", (unsigned int)gid);
}

static int machine_in_group(void *ctx, gid_t gid)
{
	(void)ctx;
	(void)gid;
	return 0;
}

static pid_t machine_getpid(void *ctx)
{
	(void)ctx;
	return 4711;
}

static size_t machine_page_size(void *ctx)
{
	(void)ctx;
	return 4096;
}

static enum kfdsvm_thunk machine_thunk(void *ctx)
{
	(void)ctx;
	return KFDSVM_THUNK_NONE;
}

static void machine_nudge(void *ctx)
{
	(void)ctx;
}

static int machine_share(void *ctx, unsigned int minor, int fd)
{
	(void)ctx;
	(void)minor;
	return fd;
}

static void machine_drop(void *ctx, unsigned int minor)
{
	(void)ctx;
	(void)minor;
}

void fuzz_machine_init(struct fuzz_machine *m)
{
	m->texts = good_texts;
	m->ntexts = sizeof(good_texts) / sizeof(good_texts[0]);
	m->sys = (struct kfdsvm_sys){
		.open = machine_open,
		.close = machine_close,
		.ioctl = machine_ioctl,
		.read_file = machine_read_file,
		.pread = machine_pread,
		.mincore = machine_mincore,
		.stat = machine_stat,
		.group = machine_group,
		.in_group = machine_in_group,
		.getpid = machine_getpid,
		.page_size = machine_page_size,
		.thunk = machine_thunk,
		.thunk_nudge = machine_nudge,
		.drm_share = machine_share,
		.drm_drop = machine_drop,
		.ctx = m,
	};
}
