// SPDX-License-Identifier: GPL-2.0-only
/* Is there VRAM that memory moves to, and what comes of a CPU access? Found out by trying. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "vram.h"

#define PROBE_PAGES 2
/* More than this takes too long to fill more than once. */
#define SMALL_VRAM (128UL << 20)

struct vram_have vram = { .why = "nobody looked" };

static const char *const kind_names[] = {
	[VRAM_NONE] = "none",
	[VRAM_PRIVATE] = "private",
	[VRAM_COHERENT] = "coherent",
};

/* What the virtual GPU has to say about it: the line of its GPU. */
static void ask_why(struct vram_have *have, uint32_t gpu_id)
{
	char text[4096], id[16], *line, *save;

	snprintf(have->why, sizeof(have->why), "a prefetch to the GPU moves nothing");
	if (kt_read_file("/sys/kernel/debug/kfd_svm/gpus", text, sizeof(text)) <= 0)
		return;
	snprintf(id, sizeof(id), "%u", gpu_id);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strstr(line, id))
			snprintf(have->why, sizeof(have->why), "%s", line);
}

static unsigned long long module_number(const char *name)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), "/sys/module/vamdgpu/parameters/%s", name);
	return kt_read_file(path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 0) : 0;
}

static void find_gpus(struct vram_have *have, const struct kt_dev *dev)
{
	uint64_t hive = 0, other = 0;
	unsigned int node;

	have->ngpus = 1;
	if (kt_find_node((int)dev->node + 1, &node))
		return;
	have->ngpus = 2;
	have->linked = !kt_node_property(dev->node, "hive_id", &hive) &&
		       !kt_node_property(node, "hive_id", &other) && hive &&
		       hive == other;
}

static int counts(struct kt_dev *dev, uint64_t *in, uint64_t *out)
{
	return kt_counter(dev, "page_in", in) ?: kt_counter(dev, "page_out", out);
}

/* Fills pages, moves them, touches them; the counters tell the rest. */
static void try_out(struct vram_have *have, struct kt_dev *dev)
{
	struct kfd_ioctl_get_available_memory_args avail = { .gpu_id = dev->gpu_id };
	uint64_t in, out, in_after, out_after;
	char *p;

	if (!kt_ioctl(dev->kfd, AMDKFD_IOC_AVAILABLE_MEMORY, &avail))
		have->len = avail.available;
	if (counts(dev, &in, &out)) {
		snprintf(have->why, sizeof(have->why),
			 "this driver has no counters that tell of it");
		return;
	}
	p = mmap(NULL, PROBE_PAGES * KT_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	memset(p, 1, PROBE_PAGES * KT_PAGE);
	ask_why(have, dev->gpu_id);
	if (kt_svm_set1(dev->kfd, p, PROBE_PAGES * KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC,
			dev->gpu_id) ||
	    counts(dev, &in_after, &out_after) || in_after == in)
		return;
	(void)*(volatile char *)p;
	if (counts(dev, &in, &out_after))
		return;
	have->kind = out_after > out ? VRAM_PRIVATE : VRAM_COHERENT;
	have->first_pfn = module_number("vram_phys") / KT_PAGE;
	if (have->first_pfn)
		have->end_pfn = have->first_pfn + have->ngpus *
				(module_number("vram_mb") << 20) / KT_PAGE;
}

void vram_probe(void)
{
	struct vram_have *have = mmap(NULL, sizeof(*have), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kt_dev dev;
	pid_t pid;

	if (have == MAP_FAILED)
		abort();
	snprintf(have->why, sizeof(have->why), "no GPU");
	pid = fork();
	if (!pid) {
		if (!kt_open(&dev, conf_run.node)) {
			find_gpus(have, &dev);
			try_out(have, &dev);
		}
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		abort();
	vram = *have;
	munmap(have, sizeof(*have));
}

bool vram_is(const char *kind)
{
	return !strcmp(kind, kind_names[vram.kind]);
}

const char *vram_lacks(unsigned int flags)
{
	static char why[256];

	if (!(flags & VRAM_NEEDS))
		return NULL;
	if (vram.kind == VRAM_NONE) {
		snprintf(why, sizeof(why), "no memory in VRAM: %s", vram.why);
		return why;
	}
	if ((flags & CONF_FAULT_BACK) && vram.kind != VRAM_PRIVATE)
		return "the CPU uses this VRAM where it is (coherent)";
	if ((flags & CONF_TWO_GPUS) && vram.ngpus < 2)
		return "there is one GPU";
	if ((flags & CONF_LINK) && !vram.linked)
		return "the two GPUs have no link";
	if ((flags & CONF_NO_LINK) && vram.linked)
		return "the two GPUs have a link";
	if ((flags & CONF_SMALL_VRAM) && vram.len > SMALL_VRAM && !conf_run.take_long)
		return "more VRAM than is quickly filled (--long, or ./dev run --vram 64M)";
	return NULL;
}
