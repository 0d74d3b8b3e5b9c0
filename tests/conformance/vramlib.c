// SPDX-License-Identifier: GPL-2.0-only
/* Memory in VRAM: moving it, and asking where it is. */
#include <drm/amdgpu_drm.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "vram.h"

/* ---- memory ---- */

static void *map_alone(size_t len)
{
	size_t room = len + 2 * KT_HUGE;
	char *p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);
	char *q;

	assert_true(p != MAP_FAILED);
	/* What is left on both sides stays, without access. */
	q = (char *)(((uintptr_t)p + KT_PAGE + KT_HUGE - 1) & ~(KT_HUGE - 1));
	assert_true(q + len < p + room);
	assert_int_equal(mprotect(q, len, PROT_READ | PROT_WRITE), 0);
	return q;
}

void *vram_map(size_t len)
{
	void *p = map_alone(len);

	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

unsigned long thp_kib(const void *p)
{
	unsigned long first, end, kib = 0;
	char line[256];
	bool inside = false;
	FILE *file = fopen("/proc/self/smaps", "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			inside = first <= (unsigned long)p && (unsigned long)p < end;
		else if (inside && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	}
	fclose(file);
	return kib;
}

void *vram_map_thp(size_t len)
{
	char *p = map_alone(len);

	madvise(p, len, MADV_HUGEPAGE);
	for (size_t at = 0; at < len; at += KT_HUGE)
		*(volatile char *)(p + at) = 0;
	if (thp_kib(p) != len >> 10)
		conf_skip("no huge pages to be had");
	return p;
}

void set_attr(void *p, size_t len, uint32_t type, uint32_t value)
{
	expect_ok(kt_svm_set1(gpu.kfd, p, len, type, value));
}

void vram_register(void *p, size_t len)
{
	set_attr(p, len, KFD_SVM_ATTR_ACCESS, gpu.gpu_id);
}

void prefetch(void *p, size_t len)
{
	set_attr(p, len, KFD_SVM_ATTR_PREFETCH_LOC, gpu.gpu_id);
}

void prefetch_back(void *p, size_t len)
{
	set_attr(p, len, KFD_SVM_ATTR_PREFETCH_LOC, KFD_SVM_LOC_SYSMEM);
}

void *vram_filled(size_t len, uint32_t seed)
{
	char *p = vram_map(len);

	fill_words(p, len, seed);
	vram_register(p, len);
	prefetch(p, len);
	expect_in_vram(p, len, len / KT_PAGE);
	return p;
}

void *vram_map_window(unsigned int lg2, uint32_t seed)
{
	size_t len = KT_PAGE << lg2;
	void *p = vram_map(len);

	fill_words(p, len, seed);
	vram_register(p, len);
	set_attr(p, len, KFD_SVM_ATTR_GRANULARITY, lg2);
	return p;
}

void cpu_touch(const void *p)
{
	(void)*(const volatile char *)p;
}

/* ---- where pages are ---- */

#define PM_PRESENT	(1ULL << 63)
#define PM_SWAP		(1ULL << 62)
#define PM_PFN		((1ULL << 55) - 1)
#define PM_SWAP_TYPE	0x1fULL
/* Types of swap files come first; what is no swap file has the last ones. */
#define FIRST_SPECIAL_TYPE 16

static bool entry_in_vram(uint64_t entry)
{
	if (vram.kind == VRAM_COHERENT)
		return (entry & PM_PRESENT) && (entry & PM_PFN) >= vram.first_pfn &&
		       (entry & PM_PFN) < vram.end_pfn;
	return !(entry & PM_PRESENT) && (entry & PM_SWAP) &&
	       (entry & PM_SWAP_TYPE) >= FIRST_SPECIAL_TYPE;
}

size_t in_vram(const void *p, size_t len)
{
	uint64_t entries[HUGE_PAGES];
	size_t npages = len / KT_PAGE, count = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)p / KT_PAGE * sizeof(entries[0]));

	assert_true(fd >= 0);
	while (npages) {
		size_t n = npages < HUGE_PAGES ? npages : HUGE_PAGES;

		assert_int_equal(pread(fd, entries, n * sizeof(entries[0]), at),
				 n * sizeof(entries[0]));
		for (size_t i = 0; i < n; i++)
			count += entry_in_vram(entries[i]);
		at += (off_t)(n * sizeof(entries[0]));
		npages -= n;
	}
	close(fd);
	return count;
}

bool page_in_vram(const void *p)
{
	return in_vram(p, KT_PAGE) == 1;
}

void expect_in_vram(const void *p, size_t len, size_t npages)
{
	size_t there;

	/* Who may not see frames, and where coherent memory lies is not known. */
	if (geteuid() || (vram.kind == VRAM_COHERENT && !vram.end_pfn))
		return;
	there = in_vram(p, len);
	if (there != npages)
		fail_msg("%zu of %zu pages at %p are in VRAM, expected %zu", there,
			 len / KT_PAGE, p, npages);
}

static uint64_t counter(const char *name)
{
	uint64_t value = 0;

	if (kt_counter(&gpu, name, &value))
		conf_skip("this driver does not count %s, so nothing tells where memory is",
			  name);
	return value;
}

struct moves moves_now(void)
{
	return (struct moves){ counter("page_in"), counter("page_out") };
}

void expect_moves(struct moves *m, uint64_t in, uint64_t out)
{
	struct moves now = moves_now();

	if (now.in - m->in != in || now.out - m->out != out)
		fail_msg("%llu pages went to VRAM and %llu came back, expected %llu and %llu",
			 (unsigned long long)(now.in - m->in),
			 (unsigned long long)(now.out - m->out),
			 (unsigned long long)in, (unsigned long long)out);
	*m = now;
}

uint64_t vram_used(void)
{
	uint64_t bytes;

	if (kt_process_vram(&gpu, &bytes))
		conf_skip("this driver does not tell how much VRAM a process has");
	return bytes;
}

void expect_vram_used(uint64_t bytes)
{
	uint64_t now = 0;

	if (!kt_wait_for((now = vram_used()) == bytes, KT_WAIT_MS))
		fail_msg("the process uses %llu bytes of VRAM, expected %llu",
			 (unsigned long long)now, (unsigned long long)bytes);
}

/* Not AVAILABLE_MEMORY: that has what can be evicted, too. */
uint64_t vram_free(void)
{
	struct drm_amdgpu_memory_info memory = { 0 };
	struct drm_amdgpu_info info = {
		.return_pointer = (uintptr_t)&memory,
		.return_size = sizeof(memory),
		.query = AMDGPU_INFO_MEMORY,
	};

	expect_ok(kt_ioctl(gpu.drm, DRM_IOCTL_AMDGPU_INFO, &info));
	return memory.vram.total_heap_size - memory.vram.heap_usage;
}

uint64_t vram_available(void)
{
	struct kfd_ioctl_get_available_memory_args args = { .gpu_id = gpu.gpu_id };

	expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_AVAILABLE_MEMORY, &args));
	return args.available;
}

void expect_vram_free(uint64_t at_least)
{
	uint64_t now = 0;

	if (!kt_wait_for((now = vram_free()) >= at_least, KT_WAIT_MS))
		fail_msg("%llu bytes of VRAM are free, expected %llu",
			 (unsigned long long)now, (unsigned long long)at_least);
}

/* ---- a second GPU ---- */

static struct {
	struct kt_dev dev;
	struct kt_queue queue;
	struct kt_bo bounce;
} gpus[2];
static unsigned int in_use;

void use_gpu(unsigned int i)
{
	gpus[in_use].dev = gpu;
	gpus[in_use].queue = sdma;
	gpus[in_use].bounce = bounce;
	in_use = i;
	gpu = gpus[i].dev;
	sdma = gpus[i].queue;
	bounce = gpus[i].bounce;
	/* The queue has a pointer to its GPU. */
	sdma.dev = &gpu;
}

void open_two_gpus(void)
{
	gpu_open_queue();
	expect_ok(kt_open(&gpus[1].dev, (int)gpu.node + 1));
	expect_ok(kt_queue_create(&gpus[1].dev, KT_HUGE / 32, &gpus[1].queue));
	expect_ok(kt_bo_gtt(&gpus[1].dev, BOUNCE_LEN, &gpus[1].bounce));
}

/* ---- more than fits ---- */

/* Pages that left VRAM, though the CPU has touched none. */
static bool was_evicted(void)
{
	uint64_t out = 0;

	child_check(kt_counter(&gpu, "page_out", &out) == 0);
	return out > 0;
}

static int hog_run(void *arg)
{
	struct hog *hog = arg;
	char *p;

	child_check(gpu_reopen_in_child() == 0);
	p = mmap(NULL, hog->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_check(p != MAP_FAILED);
	fill_words(p, hog->len, hog->seed);
	child_check(kt_svm_set1(gpu.kfd, p, hog->len, KFD_SVM_ATTR_ACCESS,
				gpu.gpu_id) == 0);
	for (unsigned int round = 0; round < hog->rounds; round++) {
		child_check(kt_svm_set1(gpu.kfd, p, hog->len, KFD_SVM_ATTR_PREFETCH_LOC,
					gpu.gpu_id) == 0);
		/* By the GPU a piece of each window. */
		for (size_t at = 0; at < hog->len; at += KT_HUGE / 2) {
			child_check(gpu_try_copy(bounce.cpu, p + at, KT_PAGE) == 0);
			child_check(words_are(bounce.cpu, KT_PAGE,
					      seed_at(hog->seed, at)));
		}
		chan_tell_parent(&hog->chan, was_evicted() ? 'e' : 'r');
		child_check(chan_wait_parent(&hog->chan) == 'x');
	}
	child_check(words_are(p, hog->len, hog->seed));
	return 0;
}

void hog_start(struct hog *hog, size_t len, unsigned int rounds, uint32_t seed)
{
	hog->len = len;
	hog->rounds = rounds;
	hog->seed = seed;
	chan_open(&hog->chan);
	hog->pid = spawn(hog_run, hog);
}
