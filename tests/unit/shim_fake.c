// SPDX-License-Identifier: MIT
#include "shim_fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../userspace/libsvm/src/kfd.h"

#define CAP_SVM 0x08000000u

static struct fake_gpu *gpu_by_id(struct fake *fake, uint32_t gpu_id)
{
	for (unsigned int i = 0; i < fake->ngpus; i++)
		if (fake->gpus[i].gpu_id == gpu_id)
			return &fake->gpus[i];
	return NULL;
}

static struct fake_file *find_file(struct fake *fake, const char *path)
{
	for (unsigned int i = 0; i < FAKE_MAX_FILES; i++)
		if (fake->files[i].text && !strcmp(fake->files[i].path, path))
			return &fake->files[i];
	return NULL;
}

void fake_set_file(struct fake *fake, const char *path, const char *text)
{
	struct fake_file *file = find_file(fake, path);

	for (unsigned int i = 0; !file && i < FAKE_MAX_FILES; i++)
		if (!fake->files[i].text)
			file = &fake->files[i];
	assert_non_null(file);
	file->path = path;
	file->text = text;
}

void fake_set_pages(struct fake *fake, uintptr_t va, const char *kinds)
{
	fake->pages_va = va;
	fake->npages = strlen(kinds);
	assert_true(fake->npages <= FAKE_MAX_PAGES);
	for (size_t i = 0; i < fake->npages; i++) {
		/* Soft-dirty and file bits are not to be minded. */
		uint64_t other = i % 2 ? 1ull << 55 | 1ull << 61 : 0;

		fake->pagemap[i] = other;
		fake->core[i] = (unsigned char)(i % 2 ? 0xfe : 0);
		if (kinds[i] == 's')
			fake->pagemap[i] |= 1ull << 63;
		if (kinds[i] == 'v' || kinds[i] == 'w')
			fake->pagemap[i] |= 1ull << 62;
		fake->core[i] |= kinds[i] == 's' || kinds[i] == 'v';
	}
}

void fake_tell(struct fake *fake, unsigned int gpu, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(write(fake->gpus[gpu].smi, text, len), len);
}

static ssize_t fake_pread(void *ctx, int fd, void *buf, size_t len, uint64_t offset)
{
	struct fake *fake = ctx;
	const char *from;
	size_t have;

	if (fd == FAKE_FD_PAGEMAP) {
		offset -= fake->pages_va / fake->page * 8;
		from = (const char *)fake->pagemap;
		have = fake->npages * 8;
	} else {
		assert_in_range(fd, FAKE_FD_FILE, FAKE_FD_FILE + FAKE_MAX_FILES - 1);
		from = fake->files[fd - FAKE_FD_FILE].text;
		have = strlen(from);
		if (fake->pread_max && len > fake->pread_max)
			len = fake->pread_max;
	}
	if (offset >= have)
		return 0;
	if (len > have - offset)
		len = have - offset;
	memcpy(buf, from + offset, len);
	return (ssize_t)len;
}

static int fake_mincore(void *ctx, uintptr_t start, size_t len, unsigned char *vec)
{
	struct fake *fake = ctx;
	size_t first = (start - fake->pages_va) / fake->page;

	if (start < fake->pages_va || first + len / fake->page > fake->npages)
		return -ENOMEM;
	memcpy(vec, fake->core + first, len / fake->page);
	return 0;
}

static int fake_open_file(void *ctx, const char *path, int flags)
{
	struct fake *fake = ctx;
	unsigned int minor;

	(void)flags;
	if (!strcmp(path, DEV_KFD)) {
		if (fake->kfd_error)
			return fake->kfd_error;
		fake->open_files++;
		return FAKE_FD_KFD;
	}
	if (!strcmp(path, "/proc/self/pagemap") && !fake->no_pagemap) {
		__atomic_add_fetch(&fake->open_files, 1, __ATOMIC_RELAXED);
		return FAKE_FD_PAGEMAP;
	}
	if (find_file(fake, path)) {
		__atomic_add_fetch(&fake->open_files, 1, __ATOMIC_RELAXED);
		return FAKE_FD_FILE + (int)(find_file(fake, path) - fake->files);
	}
	if (sscanf(path, "/dev/dri/renderD%u", &minor) != 1)
		return -ENOENT;
	for (unsigned int i = 0; i < fake->ngpus; i++) {
		if (fake->gpus[i].render_minor != minor)
			continue;
		if (fake->gpus[i].render_error)
			return fake->gpus[i].render_error;
		fake->open_files++;
		return FAKE_FD_RENDER + (int)minor;
	}
	return -ENOENT;
}

static void fake_close_file(void *ctx, int fd)
{
	struct fake *fake = ctx;

	assert_true(fd == FAKE_FD_KFD || (fd >= FAKE_FD_RENDER && fd < FAKE_FD_DRM) ||
		    (fd >= FAKE_FD_FILE && fd <= FAKE_FD_PAGEMAP));
	__atomic_sub_fetch(&fake->open_files, 1, __ATOMIC_RELAXED);
}

static int fake_acquire(struct fake *fake, const struct kfd_acquire_vm_args *args)
{
	struct fake_gpu *gpu = gpu_by_id(fake, args->gpu_id);
	int fd = (int)args->drm_fd;

	assert_non_null(gpu);
	if (gpu->acquire_error)
		return gpu->acquire_error;
	if (gpu->acquire_drm_error && fd >= FAKE_FD_DRM)
		return gpu->acquire_drm_error;
	if (gpu->bound_fd && gpu->bound_fd != fd)
		return -EBUSY;
	gpu->bound_fd = fd;
	return 0;
}

static int fake_apertures(struct fake *fake, struct kfd_apertures_args *args)
{
	struct kfd_apertures *out = (void *)(uintptr_t)args->apertures;
	unsigned int n = 0;

	if (fake->apertures_error)
		return fake->apertures_error;
	for (unsigned int i = 0; i < fake->ngpus && n < args->napertures; i++)
		if (!fake->gpus[i].no_aperture)
			out[n++].gpu_id = fake->gpus[i].gpu_id;
	args->napertures = n;
	return 0;
}

static int fake_xnack(struct fake *fake, struct kfd_svm_xnack_args *args)
{
	if (args->xnack_enabled < 0) {
		args->xnack_enabled = fake->xnack;
		return fake->xnack_query_error;
	}
	if (fake->xnack_set_error)
		return fake->xnack_set_error;
	fake->xnack = args->xnack_enabled;
	return 0;
}

static void fake_answer(struct fake *fake, struct kfd_svm_attribute *attr)
{
	if (attr->type != KFD_SVM_ATTR_ACCESS) {
		attr->value = fake->get_values[attr->type];
		return;
	}
	for (unsigned int i = 0; i < fake->ngpus; i++)
		if (fake->gpus[i].gpu_id == attr->value)
			attr->type = fake->gpu_access[i];
}

static int fake_svm(struct fake *fake, size_t len, struct kfd_svm_args *args)
{
	unsigned int n = __atomic_fetch_add(&fake->nsvm, 1, __ATOMIC_RELAXED);

	/* The kernel's first check. */
	if (len < sizeof(*args) + args->nattr * sizeof(args->attrs[0]))
		return -EINVAL;
	if (n < fake->nsvm_results && fake->svm_results[n])
		return fake->svm_results[n];
	if (fake->on_svm)
		return fake->on_svm(fake, args);
	/* Tests of threads look at results, not here. */
	if (!n || fake->nsvm_results) {
		fake->svm_len = len;
		memcpy(&fake->svm, args, sizeof(*args));
		memcpy(fake->attrs, args->attrs, args->nattr * sizeof(args->attrs[0]));
	}
	for (uint32_t i = 0; args->op == KFD_SVM_OP_GET_ATTR && i < args->nattr; i++)
		fake_answer(fake, &args->attrs[i]);
	return 0;
}

/* A stream that gives what there is in pieces of any size, as the driver's does. */
static int fake_smi(struct fake *fake, struct kfd_smi_args *args)
{
	struct fake_gpu *gpu = gpu_by_id(fake, args->gpu_id);
	int fds[2];

	assert_non_null(gpu);
	if (gpu->smi_error)
		return gpu->smi_error;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	if (gpu->smi)
		close(gpu->smi);
	gpu->smi = fds[0];
	args->fd = (uint32_t)fds[1];
	return 0;
}

static int fake_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
	struct fake *fake = ctx;
	struct kfd_version_args *version = arg;

	assert_int_equal(fd, FAKE_FD_KFD);
	if (_IOC_NR(request) == _IOC_NR(KFD_SVM_IOC_BASE))
		return fake_svm(fake, _IOC_SIZE(request), arg);
	switch (request) {
	case KFD_IOC_VERSION:
		version->major = fake->major;
		version->minor = fake->minor;
		return fake->version_error;
	case KFD_IOC_APERTURES:
		return fake_apertures(fake, arg);
	case KFD_IOC_ACQUIRE_VM:
		return fake_acquire(fake, arg);
	case KFD_SVM_IOC_XNACK:
		return fake_xnack(fake, arg);
	case KFD_IOC_SMI_EVENTS:
		return fake_smi(fake, arg);
	}
	return -ENOTTY;
}

static int fake_properties(const struct fake_gpu *gpu, char *buf, size_t len)
{
	return snprintf(buf, len,
			"cpu_cores_count 0\nsimd_count 256\nmem_banks_count 1\n"
			"gfx_target_version %u\nvendor_id 4098\ndevice_id 26751\n"
			"drm_render_minor %u\ncapability %u\n",
			gpu->gfx_version, gpu->render_minor, gpu->capability);
}

/* Node 0 is a CPU, the GPUs follow. */
static ssize_t fake_read_file(void *ctx, const char *path, char *buf, size_t len)
{
	struct fake *fake = ctx;
	const struct fake_gpu *gpu;
	unsigned int node;
	char file[64];

	if (find_file(fake, path))
		return snprintf(buf, len, "%s", find_file(fake, path)->text);
	if (fake->no_topology || sscanf(path, SYS_TOPOLOGY "/nodes/%u/%63s", &node, file) != 2 ||
	    node > fake->ngpus)
		return -ENOENT;
	if (!node)
		return strcmp(file, "gpu_id") ? -ENOENT : snprintf(buf, len, "0\n");
	gpu = &fake->gpus[node - 1];
	if (!strcmp(file, "gpu_id"))
		return gpu->gpu_id_error ? gpu->gpu_id_error :
					   snprintf(buf, len, "%u\n", gpu->gpu_id);
	if (!strcmp(file, "name"))
		return snprintf(buf, len, "vega10\n");
	if (!strcmp(file, "properties"))
		return fake_properties(gpu, buf, len);
	if (!strcmp(file, "mem_banks/0/properties"))
		return snprintf(buf, len, "heap_type 1\nsize_in_bytes 536870912\nflags 0\n");
	return -ENOENT;
}

static int fake_stat(void *ctx, const char *path, struct stat *st)
{
	struct fake *fake = ctx;

	memset(st, 0, sizeof(*st));
	if (!strncmp(path, SYS_TOPOLOGY, strlen(SYS_TOPOLOGY)))
		return fake->no_topology ? -ENOENT : 0;
	/* A folder is there if a file in it is. */
	for (unsigned int i = 0; i < FAKE_MAX_FILES; i++)
		if (fake->files[i].text && !strncmp(fake->files[i].path, path, strlen(path)))
			return 0;
	if (!strncmp(path, SYS_PROC, strlen(SYS_PROC)))
		return -ENOENT;
	if (!strcmp(path, PID_NAMESPACE)) {
		st->st_ino = fake->pid_namespace;
		return 0;
	}
	if (!strcmp(path, "/sys/module/amdgpu"))
		return fake->amdgpu_module ? 0 : -ENOENT;
	st->st_gid = 992;
	st->st_mode = S_IFCHR | fake->mode;
	return 0;
}

static void fake_group(void *ctx, gid_t gid, char *buf, size_t len)
{
	(void)ctx;
	assert_int_equal(gid, 992);
	snprintf(buf, len, "render");
}

static int fake_in_group(void *ctx, gid_t gid)
{
	(void)gid;
	return ((struct fake *)ctx)->member;
}

static pid_t fake_getpid(void *ctx)
{
	return ((struct fake *)ctx)->pid;
}

static size_t fake_page_size(void *ctx)
{
	return ((struct fake *)ctx)->page;
}

static enum kfdsvm_thunk fake_thunk(void *ctx)
{
	return ((struct fake *)ctx)->thunk;
}

/*
 * What libhsakmt does when opened: an old one acquires with files of its own, a
 * newer one in a child of fork makes libdrm forget the parent's.
 */
static void fake_nudge(void *ctx)
{
	struct fake *fake = ctx;

	fake->nudges++;
	for (unsigned int i = 0; i < fake->ngpus; i++) {
		fake->gpus[i].acquire_drm_error = 0;
		if (fake->thunk == KFDSVM_THUNK_PRIVATE)
			fake->gpus[i].bound_fd = 5000;
	}
}

static int fake_drm_share(void *ctx, unsigned int minor, int fd)
{
	struct fake *fake = ctx;

	assert_int_equal(fd, FAKE_FD_RENDER + (int)minor);
	return fake->drm_share_error ? fake->drm_share_error : FAKE_FD_DRM + (int)minor;
}

static void fake_drm_drop(void *ctx, unsigned int minor)
{
	(void)minor;
	((struct fake *)ctx)->drops++;
}

struct fake_gpu *fake_add_gpu(struct fake *fake, uint32_t gpu_id, uint32_t gfx_version)
{
	struct fake_gpu *gpu = &fake->gpus[fake->ngpus];

	memset(gpu, 0, sizeof(*gpu));
	gpu->gpu_id = gpu_id;
	gpu->gfx_version = gfx_version;
	gpu->capability = CAP_SVM | 0x2000;
	gpu->render_minor = 128 + fake->ngpus;
	fake->ngpus++;
	return gpu;
}

void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->major = 1;
	fake->minor = 17;
	fake->mode = 0660;
	fake->pid = 4711;
	fake->pid_namespace = 0xeffffffc;
	fake->page = 4096;
	fake_add_gpu(fake, 0x1234, 90000);
	fake->sys = (struct kfdsvm_sys){
		.open = fake_open_file,
		.close = fake_close_file,
		.ioctl = fake_ioctl,
		.read_file = fake_read_file,
		.pread = fake_pread,
		.mincore = fake_mincore,
		.stat = fake_stat,
		.group = fake_group,
		.in_group = fake_in_group,
		.getpid = fake_getpid,
		.page_size = fake_page_size,
		.thunk = fake_thunk,
		.thunk_nudge = fake_nudge,
		.drm_share = fake_drm_share,
		.drm_drop = fake_drm_drop,
		.ctx = fake,
	};
}

struct kfdsvm *fake_open(struct fake *fake)
{
	struct kfdsvm *h;

	assert_int_equal(kfdsvm_open_sys(&h, NULL, &fake->sys), 0);
	assert_non_null(h);
	return h;
}
