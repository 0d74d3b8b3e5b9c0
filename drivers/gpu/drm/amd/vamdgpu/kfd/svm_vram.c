// SPDX-License-Identifier: GPL-2.0-only
/*
 * VRAM as the SVM core uses it: room for pages of processes, and the engine that
 * copies them. It is the same VRAM that memory objects take. Objects come first:
 * what migrated can go back to RAM, they cannot.
 */
#include "vamdgpu.h"

#include <linux/debugfs.h>
#include <linux/error-injection.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

#include <drm/drm_drv.h>

#include "kfd/front.h"

/* The core's -ENOMEM means that eviction helps. */
noinline int vamdgpu_svm_vram_alloc(void *gpu, u64 len, u64 *addr)
{
	struct vamdgpu_device *dev = gpu;
	int err = gfx9_vram_alloc(dev->vram, GFX9_VRAM_MIGRATED, len, addr);

	switch (err) {
	case -ENOSPC:
		return -ENOMEM;
	case -ENOMEM:
		return -ENOBUFS;
	default:
		return err;
	}
}
ALLOW_ERROR_INJECTION(vamdgpu_svm_vram_alloc, ERRNO);

void vamdgpu_svm_vram_free(void *gpu, u64 addr, u64 len)
{
	struct vamdgpu_device *dev = gpu;

	gfx9_vram_free(dev->vram, GFX9_VRAM_MIGRATED, addr, len);
}

int vamdgpu_svm_vram_clear(void *gpu, u64 addr, u64 len)
{
	struct vamdgpu_device *dev = gpu;

	gfx9_vram_clear(dev->vram, addr, len);
	return 0;
}

noinline int vamdgpu_svm_vram_copy(void *gpu, enum hmm_mirror_copy_dir dir,
				   const struct hmm_mirror_copy *runs,
				   unsigned int nr)
{
	struct vamdgpu_device *dev = gpu;

	return gfx9_copy(dev->vram, dir == HMM_MIRROR_COPY_TO_RAM ?
			 GFX9_COPY_TO_RAM : GFX9_COPY_TO_VRAM, NULL, runs, nr);
}
ALLOW_ERROR_INJECTION(vamdgpu_svm_vram_copy, ERRNO);

noinline int vamdgpu_svm_vram_copy_peer(void *gpu, void *src_gpu,
					const struct hmm_mirror_copy *runs,
					unsigned int nr)
{
	struct vamdgpu_device *dev = gpu, *src = src_gpu;

	return gfx9_copy(dev->vram, GFX9_COPY_FROM_PEER, src->vram, runs, nr);
}
ALLOW_ERROR_INJECTION(vamdgpu_svm_vram_copy_peer, ERRNO);

/*
 * VRAM is full: have migrated pages moved back to RAM until the object fits. No others
 * come meanwhile. Each round frees something, or is the last.
 */
static int vamdgpu_vram_make_room(struct vamdgpu_device *dev, u64 len, u64 *addr)
{
	u64 freed;
	int err;

	if (!gfx9_vram_wait_begin(dev->vram, len))
		return -ENOMEM;
	do {
		freed = kfd_svm_gpu_evict(dev->svm_gpu, len);
		if (drm_dev_is_unplugged(&dev->drm)) {
			err = -ENODEV;
			break;
		}
		/* Though nothing was freed now, others may have done so before. */
		err = gfx9_vram_alloc(dev->vram, GFX9_VRAM_OBJECT, len, addr);
		if (err == -ENOSPC && fatal_signal_pending(current))
			err = -EINTR;
	} while (err == -ENOSPC && freed);
	gfx9_vram_wait_end(dev->vram);
	return err == -ENOSPC ? -ENOMEM : err;
}

/* Room for a memory object. No lock is held; the GPU's removal waits for it. */
int vamdgpu_vram_alloc(struct vamdgpu_device *dev, u64 len, u64 *addr)
{
	int err, idx;

	if (!drm_dev_enter(&dev->drm, &idx))
		return -ENODEV;
	err = gfx9_vram_alloc(dev->vram, GFX9_VRAM_OBJECT, len, addr);
	if (err == -ENOSPC)
		err = vamdgpu_vram_make_room(dev, len, addr);
	drm_dev_exit(idx);
	return err;
}

void vamdgpu_vram_free(struct vamdgpu_device *dev, u64 addr, u64 len)
{
	gfx9_vram_free(dev->vram, GFX9_VRAM_OBJECT, addr, len);
}

static int vram_show(struct seq_file *m, void *unused)
{
	static const char * const names[GFX9_COPY_KINDS] = {
		[GFX9_COPY_TO_VRAM] = "to_vram",
		[GFX9_COPY_TO_RAM] = "to_ram",
		[GFX9_COPY_FROM_PEER] = "from_peer",
	};
	struct vamdgpu_device *dev = m->private;
	const char *mode, *why_not;
	enum gfx9_copy_kind kind;
	u64 calls, len;

	mode = kfd_svm_gpu_vram_mode(dev->svm_gpu, &why_not);
	seq_printf(m, "migration %s%s%s\n", mode, why_not ? ": " : "",
		   why_not ?: "");
	seq_printf(m, "size %llu available %llu migrated %llu\n",
		   gfx9_vram_size(dev->vram), gfx9_vram_available(dev->vram),
		   gfx9_vram_migrated(dev->vram));
	for (kind = 0; kind < GFX9_COPY_KINDS; kind++) {
		gfx9_copy_counts(dev->vram, kind, &calls, &len);
		seq_printf(m, "copy %s calls %llu bytes %llu\n", names[kind],
			   calls, len);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vram);

static struct dentry *vamdgpu_debugfs_root;

/* Nothing depends on these files: no error is looked at. */
void vamdgpu_vram_debugfs_init(void)
{
	vamdgpu_debugfs_root = debugfs_create_dir("vamdgpu", NULL);
}

void vamdgpu_vram_debugfs_add(struct vamdgpu_device *dev)
{
	char name[16];

	scnprintf(name, sizeof(name), "%u", dev->gpu_id);
	dev->debugfs = debugfs_create_dir(name, vamdgpu_debugfs_root);
	debugfs_create_file("vram", 0444, dev->debugfs, dev, &vram_fops);
}

/* Waits for readers. */
void vamdgpu_vram_debugfs_remove(struct vamdgpu_device *dev)
{
	debugfs_remove_recursive(dev->debugfs);
}

void vamdgpu_vram_debugfs_exit(void)
{
	debugfs_remove_recursive(vamdgpu_debugfs_root);
}
