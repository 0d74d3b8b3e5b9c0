// SPDX-License-Identifier: GPL-2.0-only
/*
 * What upstream gets wrong while it maps and unmaps, item by item of
 * Documentation/svm_defects.rst, where no other case would tell.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "inject.h"
#include "vram.h"

/* ---- 2.5: what a SET splits ---- */

static void expect_all_reachable(char *p, size_t len)
{
	for (size_t at = 0; at < len; at += KT_PAGE)
		assert_int_equal(gpu_read32(p + at), *(uint32_t *)(p + at));
}

/*
 * SET of a part of a huge mapping, with the boundary before, at and behind a multiple of
 * 2 MiB: nothing around it may be lost, since without retries nothing would bring it back.
 */
static void set_inside_a_huge_mapping_keeps_the_rest(void **state)
{
	static const int boundaries[] = { 511, 512, 513, 700 };
	char *p;

	(void)state;
	gpu_open_queue();
	for (size_t i = 0; i < KT_ARRAY_SIZE(boundaries); i++) {
		char *from;

		p = map_huge(2 * KT_HUGE);
		fill_words(p, 2 * KT_HUGE, 1);
		grant(p, 2 * KT_HUGE);
		assert_int_equal(gpu_read32(p), *(uint32_t *)p);
		from = p + (size_t)boundaries[i] * KT_PAGE;
		set_attr(from, 2 * KT_HUGE - (size_t)(from - p), KFD_SVM_ATTR_SET_FLAGS,
			 KFD_SVM_FLAG_GPU_RO);
		expect_all_reachable(from - 3 * KT_PAGE, 6 * KT_PAGE);
		expect_all_reachable(p + KT_HUGE - KT_PAGE, 2 * KT_PAGE);
		assert_int_equal(gpu_read32(p), *(uint32_t *)p);
		/* The head is as it was. */
		gpu_write32(from - KT_PAGE, 7);
		assert_int_equal(*(uint32_t *)(from - KT_PAGE), 7);
		munmap(p, 2 * KT_HUGE);
	}
}

/* ---- 3.6 ---- */

/*
 * munmap() of a page under a large leaf of the GPU, where the CPU has small entries: it
 * tells of nothing but that page, and the rest is there when the GPU looks again.
 */
static void munmap_in_a_large_leaf_keeps_the_rest(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_huge(KT_HUGE);
	fill_words(p, KT_HUGE, 1);
	/* Splits the CPU's entry, and leaves the page whole. */
	assert_int_equal(mprotect(p, KT_PAGE, PROT_READ), 0);
	assert_int_equal(mprotect(p, KT_PAGE, PROT_READ | PROT_WRITE), 0);
	set_attr(p, KT_HUGE, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	grant(p, KT_HUGE);
	assert_int_equal(gpu_read32(p), *(uint32_t *)p);
	assert_int_equal(munmap(p + 37 * KT_PAGE, KT_PAGE), 0);
	expect_all_reachable(p, 37 * KT_PAGE);
	expect_all_reachable(p + 38 * KT_PAGE, 16 * KT_PAGE);
	assert_int_equal(gpu_read32(p + KT_HUGE - 4), *(uint32_t *)(p + KT_HUGE - 4));
	gpu_read_is_exception(p + 37 * KT_PAGE, EXC_ANY);
}

/* ---- 3.4: an unmap that has to split, without memory ---- */

static uint32_t granularity_of(const void *p)
{
	struct kfd_svm_attribute a = { .type = KFD_SVM_ATTR_GRANULARITY };

	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_GET_ATTR, (uintptr_t)p, KT_PAGE, 1, &a));
	return a.value;
}

/*
 * munmap() of the middle of a range cannot fail on the GPU's account: each allocation
 * fails in turn, and what is left keeps its attributes and its mapping.
 */
static void munmap_survives_allocation_failures(void **state)
{
	unsigned int nth, seen = 0;
	bool hit = true;

	(void)state;
	gpu_open_queue();
	inject_arm();
	for (nth = 1; nth < INJECT_MAX_NTH && hit; nth++) {
		char *p = map_pages(24 * KT_PAGE);
		int ret;

		fill_words(p, 24 * KT_PAGE, nth);
		set_attr(p, 24 * KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 5);
		grant(p, 24 * KT_PAGE);
		gpu_expect_words(p, 24 * KT_PAGE, nth);
		inject_fail_nth(nth);
		ret = munmap(p + 8 * KT_PAGE, 8 * KT_PAGE);
		hit = inject_was_hit();
		seen += hit;
		/* The kernel itself may be out of memory for it. */
		assert_true(!ret || hit);
		assert_int_equal(granularity_of(p), 5);
		assert_int_equal(granularity_of(p + 16 * KT_PAGE), 5);
		gpu_expect_words(p, 8 * KT_PAGE, nth);
		gpu_expect_words(p + 16 * KT_PAGE, 8 * KT_PAGE,
				 seed_at(nth, 16 * KT_PAGE));
		munmap(p, 24 * KT_PAGE);
	}
	assert_true(nth < INJECT_MAX_NTH);
	assert_true(seen > 0);
}

/* ---- 4.2: mapping ---- */

/* A SET that maps one part and cannot map another: what it did map is unmapped in time. */
static void what_was_mapped_in_part_is_unmapped(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(8 * KT_PAGE);
	fill_words(p, 8 * KT_PAGE, 1);
	assert_int_equal(mprotect(p + 4 * KT_PAGE, 4 * KT_PAGE, PROT_NONE), 0);
	/* In place: mapped at once in both modes. Whether the rest is an error is its own affair. */
	kt_svm_set1(gpu.kfd, p, 8 * KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	hold_pages(p, 4);
	assert_int_equal(madvise(p, 4 * KT_PAGE, MADV_DONTNEED), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(gpu_read32(p + i * KT_PAGE + 64), 0);
}

static uint64_t counter(const char *name)
{
	uint64_t value = 0;

	if (kt_counter(&gpu, name, &value))
		conf_skip("this driver does not count %s", name);
	return value;
}

/*
 * A SET that changes nothing leaves the mappings alone: a GPU may be using them. Changed
 * flags rewrite entries, but map nothing for DMA again.
 */
static void setting_again_maps_nothing_anew(void **state)
{
	uint64_t before;
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(64 * KT_PAGE);
	set_attr(p, 64 * KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	fill_words(p, 64 * KT_PAGE, 1);
	set_attr(p, 64 * KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	gpu_expect_words(p, 16 * KT_PAGE, 1);
	before = counter("extents_mapped");
	assert_true(before > 0);
	set_attr(p, 64 * KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE, gpu.gpu_id);
	set_attr(p, 64 * KT_PAGE, KFD_SVM_ATTR_CLR_FLAGS, KFD_SVM_FLAG_COHERENT);
	set_attr(p, 64 * KT_PAGE, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_COHERENT);
	assert_int_equal(counter("extents_mapped"), before);
	gpu_expect_words(p, 16 * KT_PAGE, 1);
}

/* ---- 6.2, 6.4: faults that are dropped ---- */

#define NWINDOWS 64
#define WINDOW_LG2 4
#define WINDOW (KT_PAGE << WINDOW_LG2)

/* Many windows of one range; all faults on them are to be real ones. */
static char *many_windows(void)
{
	char *p = map_huge(NWINDOWS * WINDOW);

	madvise(p, NWINDOWS * WINDOW, MADV_NOHUGEPAGE);
	set_attr(p, NWINDOWS * WINDOW, KFD_SVM_ATTR_GRANULARITY, WINDOW_LG2);
	set_attr(p, NWINDOWS * WINDOW, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	memset(p, 1, NWINDOWS * WINDOW);
	return p;
}

static void read_all_windows(char *p)
{
	uint32_t dw[KT_SDMA_MAX_DW];

	for (size_t i = 0; i < NWINDOWS; i++)
		expect_ok(kt_queue_emit(&sdma, dw,
					kt_sdma_copy(dw, (uintptr_t)bounce.cpu,
						     (uintptr_t)(p + i * WINDOW), 4)));
	kt_queue_ring(&sdma);
}

/* Served, not dropped until the access comes again: twice the count is generous. */
static void expect_few(uint64_t faults)
{
	print_message("# %llu faults of %d windows\n", (unsigned long long)faults, NWINDOWS);
	assert_in_range(faults, NWINDOWS, 2 * NWINDOWS);
}

/* That one window was served a moment ago is no reason to drop a fault on another. */
static void windows_fault_once_each(void **state)
{
	uint64_t faults;
	char *p;

	(void)state;
	gpu_open_queue();
	p = many_windows();
	faults = counter("faults");
	read_all_windows(p);
	gpu_wait();
	expect_few(counter("faults") - faults);
}

/* Nor that another GPU was. */
static void two_gpus_fault_once_each(void **state)
{
	uint64_t faults[2];
	char *p;

	(void)state;
	open_two_gpus();
	p = many_windows();
	for (unsigned int i = 0; i < 2; i++) {
		use_gpu(i);
		faults[i] = counter("faults");
	}
	for (unsigned int i = 0; i < 2; i++) {
		use_gpu(i);
		read_all_windows(p);
	}
	for (unsigned int i = 0; i < 2; i++) {
		use_gpu(i);
		gpu_wait();
		expect_few(counter("faults") - faults[i]);
	}
}

/* ---- 8.1 #6 ---- */

/* GPU_ALWAYS_MAPPED: what the CPU takes away is back before the GPU looks. */
static void always_mapped_memory_comes_back_without_a_fault(void **state)
{
	uint64_t faults;
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(8 * KT_PAGE);
	fill_words(p, 8 * KT_PAGE, 1);
	set_attr(p, 8 * KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	set_attr(p, 8 * KT_PAGE, KFD_SVM_ATTR_ACCESS, gpu.gpu_id);
	set_attr(p, 8 * KT_PAGE, KFD_SVM_ATTR_SET_FLAGS, KFD_SVM_FLAG_GPU_ALWAYS_MAPPED);
	faults = counter("faults");
	gpu_expect_words(p, 8 * KT_PAGE, 1);
	for (unsigned int round = 0; round < 4; round++) {
		assert_int_equal(madvise(p, 8 * KT_PAGE, MADV_DONTNEED), 0);
		assert_int_equal(gpu_read32(p + 3 * KT_PAGE), 0);
		fill_words(p, 8 * KT_PAGE, 2 + round);
		gpu_expect_words(p, 8 * KT_PAGE, 2 + round);
	}
	assert_int_equal(counter("faults"), faults);
}

/* ---- 8.1 #4 ---- */

/* More than there is memory: who registers it has used none yet. */
#define REGISTERED (1UL << 40)

static void registering_charges_nothing(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = mmap(NULL, REGISTERED, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(p != MAP_FAILED);
	/* Without access nothing is mapped, either. */
	set_attr(p, REGISTERED, KFD_SVM_ATTR_GRANULARITY, 5);
	assert_int_equal(granularity_of(p + REGISTERED / 2), 5);
	fill_words(p + REGISTERED / 2, KT_PAGE, 1);
	grant(p + REGISTERED / 2, KT_PAGE);
	gpu_expect_words(p + REGISTERED / 2, KT_PAGE, 1);
}

/* ---- writing is what the page's entry allows, not what the VMA does ---- */

/*
 * A page that userfaultfd protects is not written behind its back: the GPU's write waits
 * for the handler or fails. Nobody answers here.
 */
static void write_protection_of_a_userfaultfd_holds(void **state)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	uint32_t dw[KT_SDMA_MAX_DW];
	struct pollfd poll_uffd;
	uint32_t old;
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	set_attr(p, 4 * KT_PAGE, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	fill_words(p, 4 * KT_PAGE, 1);
	old = *(uint32_t *)p;
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (uintptr_t)p;
	reg.range.len = 4 * KT_PAGE;
	wp.range = reg.range;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		conf_skip("no write protection by userfaultfd: %s", strerror(errno));
	grant(p, 4 * KT_PAGE);
	gpu_write32(p + KT_PAGE, 5);
	assert_int_equal(*(uint32_t *)(p + KT_PAGE), 5);
	assert_int_equal(ioctl(fd, UFFDIO_WRITEPROTECT, &wp), 0);
	/* XNACK off has mapped it, protected or not, when the queue goes on. */
	if (xnack_on())
		gpu_expect_words(p, KT_PAGE, 1);
	gpu_submit(dw, kt_sdma_write1(dw, (uintptr_t)p, ~old));
	/* It ends in an exception, or is still waiting when the handler is asked. */
	poll_uffd = (struct pollfd){ .fd = fd, .events = POLLIN };
	assert_true(kt_wait_for(poll(&poll_uffd, 1, 0) == 1 || gpu_try_wait(50) != -ETIME,
				KT_WAIT_MS));
	assert_int_equal(*(volatile uint32_t *)p, old);
}

#ifndef SYS_map_shadow_stack
#define SYS_map_shadow_stack 453
#endif

/* A shadow stack is in a VMA that may be written, but not by ordinary writes. */
static void shadow_stack_is_not_written(void **state)
{
	uint32_t old;
	long va;

	(void)state;
	gpu_open_queue();
	va = syscall(SYS_map_shadow_stack, 0, 4 * KT_PAGE, 1);
	if (va == -1)
		conf_skip("no shadow stacks here: %s", strerror(errno));
	old = *(volatile uint32_t *)va;
	/* The kernel may refuse it, as any memory that is not the program's to write. */
	if (kt_svm_set1(gpu.kfd, (void *)va, 4 * KT_PAGE, KFD_SVM_ATTR_ACCESS, gpu.gpu_id))
		return;
	gpu_write_is_exception((void *)va, EXC_ANY);
	assert_int_equal(*(volatile uint32_t *)va, old);
}

static const struct conf_case cases[] = {
	CASE(set_inside_a_huge_mapping_keeps_the_rest, CONF_BOTH),
	CASE(munmap_in_a_large_leaf_keeps_the_rest, CONF_BOTH),
	CASE(munmap_survives_allocation_failures,
	     CONF_BOTH | CONF_VIRTUAL | CONF_ROOT | CONF_INJECT),
	CASE(what_was_mapped_in_part_is_unmapped, CONF_BOTH),
	CASE(setting_again_maps_nothing_anew, CONF_BOTH | CONF_ROOT | CONF_VIRTUAL),
	CASE(windows_fault_once_each, CONF_ON),
	CASE(two_gpus_fault_once_each, CONF_ON | CONF_TWO_GPUS),
	CASE(always_mapped_memory_comes_back_without_a_fault, CONF_ON),
	CASE(registering_charges_nothing, CONF_OFF),
	CASE(write_protection_of_a_userfaultfd_holds, CONF_BOTH | CONF_ROOT),
	CASE(shadow_stack_is_not_written, CONF_BOTH),
};

CONF_GROUP(defects_map_group, cases);
