// SPDX-License-Identifier: GPL-2.0-only
/* Accesses that no one granted: a memory exception with the address, no data. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

static void read_of_unmapped_memory_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	munmap(p, 4 * KT_PAGE);
	gpu_read_is_exception(p + 2 * KT_PAGE + 128, EXC_NOT_PRESENT);
}

static void write_of_unmapped_memory_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	munmap(p, KT_PAGE);
	gpu_write_is_exception(p, EXC_NOT_PRESENT);
}

static void read_after_munmap_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	hold_pages(p, 4);
	munmap(p, 4 * KT_PAGE);
	gpu_read_is_exception(p + KT_PAGE, EXC_NOT_PRESENT);
}

static void access_to_prot_none_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(4 * KT_PAGE);
	fill_words(p, 4 * KT_PAGE, 1);
	grant(p, 4 * KT_PAGE);
	gpu_expect_words(p, 4 * KT_PAGE, 1);
	assert_int_equal(mprotect(p, 4 * KT_PAGE, PROT_NONE), 0);
	gpu_read_is_exception(p + 3 * KT_PAGE, EXC_ANY);
}

static void access_to_never_readable_memory_is_exception(void **state)
{
	void *p;

	(void)state;
	gpu_open_queue();
	p = mmap(NULL, KT_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	gpu_read_is_exception(p, EXC_ANY);
}

static void access_to_page_zero_is_exception(void **state)
{
	(void)state;
	gpu_open_queue();
	gpu_read_is_exception((void *)8, EXC_ANY);
}

static void access_to_kernel_addresses_is_exception(void **state)
{
	(void)state;
	gpu_open_queue();
	gpu_read_is_exception((void *)0xffff888000001000ULL, EXC_ANY);
}

static void write_to_kernel_addresses_is_exception(void **state)
{
	(void)state;
	gpu_open_queue();
	gpu_write_is_exception((void *)0xffffffff81000000ULL, EXC_ANY);
}

static void write_to_read_only_mapping_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	assert_int_equal(mprotect(p, KT_PAGE, PROT_READ), 0);
	grant(p, KT_PAGE);
	gpu_expect_words(p, KT_PAGE, 1);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, KT_PAGE, 1);
}

static void write_after_mprotect_read_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	gpu_write_words(p, KT_PAGE, 1);
	assert_int_equal(mprotect(p, KT_PAGE, PROT_READ), 0);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, KT_PAGE, 1);
}

static void write_to_gpu_ro_range_is_exception(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(2 * KT_PAGE);
	grant(p, 2 * KT_PAGE);
	gpu_write_words(p, 2 * KT_PAGE, 1);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS,
			      KFD_SVM_FLAG_GPU_RO));
	/* The neighbour stays writable, the range stays readable. */
	gpu_write32(p + KT_PAGE, *(uint32_t *)(p + KT_PAGE));
	gpu_expect_words(p, 2 * KT_PAGE, 1);
	gpu_write_is_exception(p, EXC_READ_ONLY);
	expect_words(p, 2 * KT_PAGE, 1);
}

static void gpu_ro_can_be_taken_back(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	grant(p, KT_PAGE);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_SET_FLAGS,
			      KFD_SVM_FLAG_GPU_RO));
	assert_int_equal(gpu_read32(p), 0);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_CLR_FLAGS,
			      KFD_SVM_FLAG_GPU_RO));
	gpu_write32(p, 5);
	assert_int_equal(*(uint32_t *)p, 5);
}

/* Revoking is more than not granting: upstream leaves the mapping in place. */
static void no_access_revokes_what_was_mapped(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(2 * KT_PAGE);
	fill_words(p, 2 * KT_PAGE, 1);
	grant(p, 2 * KT_PAGE);
	gpu_expect_words(p, 2 * KT_PAGE, 1);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id));
	/* Only there. */
	assert_int_equal(gpu_read32(p + KT_PAGE), *(uint32_t *)(p + KT_PAGE));
	gpu_read_is_exception(p, EXC_ANY);
}

static void no_access_holds_whatever_is_preferred(void **state)
{
	struct kfd_svm_attribute a[] = {
		{ KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM },
		{ KFD_SVM_ATTR_NO_ACCESS, 0 },
	};
	char *p;

	(void)state;
	gpu_open_queue();
	a[1].value = gpu.gpu_id;
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	/* Upstream returns "system memory" before it looks at the access. */
	expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)p, KT_PAGE, 2, a));
	gpu_read_is_exception(p, EXC_ANY);
}

static void access_after_no_access_works_again(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	grant(p, KT_PAGE);
	gpu_expect_words(p, KT_PAGE, 1);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id));
	fill_words(p, KT_PAGE, 2);
	expect_ok(kt_svm_set1(gpu.kfd, p, KT_PAGE, KFD_SVM_ATTR_ACCESS_IN_PLACE,
			      gpu.gpu_id));
	gpu_expect_words(p, KT_PAGE, 2);
}

static void unregistered_memory_is_exception_without_xnack(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(KT_PAGE);
	fill_words(p, KT_PAGE, 1);
	gpu_read_is_exception(p, EXC_NOT_PRESENT);
}

static void memory_object_after_unmap_is_exception(void **state)
{
	struct kt_bo bo;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_bo_gtt(&gpu, KT_PAGE, &bo));
	gpu_write32(bo.cpu, 1);
	expect_ok(kt_bo_unmap(&gpu, bo.handle));
	gpu_read_is_exception(bo.cpu, EXC_ANY);
}

static void exception_stops_all_queues_of_the_process(void **state)
{
	struct kt_queue other;
	uint32_t dw[KT_SDMA_MAX_DW];
	volatile uint32_t *p;

	(void)state;
	gpu_open_queue();
	expect_ok(kt_queue_create(&gpu, 4096, &other));
	gpu_read_is_exception((void *)0x1000, EXC_ANY);
	p = bounce.cpu;
	p[100] = 1;
	expect_ok(kt_queue_emit(&other, dw,
				kt_sdma_write1(dw, (uintptr_t)&p[100], 2)));
	kt_queue_ring(&other);
	/* Nothing may happen; an engine that runs it needs far less time. */
	assert_false(kt_wait_for(p[100] != 1, 100));
}

static void exception_in_the_middle_of_a_copy_names_the_page(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = map_pages(16 * KT_PAGE);
	fill_words(p, 16 * KT_PAGE, 1);
	grant(p, 8 * KT_PAGE);
	munmap(p + 8 * KT_PAGE, 8 * KT_PAGE);
	/* Starts in good memory, unaligned, and runs into the hole. */
	gpu_copy_async(bounce.cpu, p + 100, 12 * KT_PAGE);
	gpu_expect_exception(p + 8 * KT_PAGE, EXC_ANY);
}

/* ---- several at once ---- */

#define INSTANCE "/sys/kernel/tracing/instances/kfdsvm-exception"
#define NFAULTERS 7
#define NROUNDS 6

static void trace_write(const char *file, const char *text)
{
	char path[160];
	int ret;

	snprintf(path, sizeof(path), INSTANCE "/%s", file);
	ret = kt_write_file(path, text);
	if (ret)
		conf_skip("tracefs: %s: %s", file, strerrorname_np(-ret));
}

static void trace_signals(void)
{
	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		conf_skip("no tracefs instance: %s", strerrorname_np(errno));
	trace_write("events/vamdgpu/vamdgpu_event_signal/enable", "1");
	trace_write("tracing_on", "1");
}

static void trace_end(void)
{
	kt_write_file(INSTANCE "/events/enable", "0");
	rmdir(INSTANCE);
}

/* How often the event of this process was signalled. */
static unsigned int count_signals(uint32_t event)
{
	FILE *f = fopen(INSTANCE "/trace", "re");
	char line[256], key[64];
	unsigned int n = 0;

	assert_non_null(f);
	snprintf(key, sizeof(key), "tgid=%d event=%u ", (int)getpid(), event);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "vamdgpu_event_signal") && strstr(line, key);
	fclose(f);
	return n;
}

static char *fresh_memory(void)
{
	char *p = map_huge(KT_HUGE);

	madvise(p, KT_HUGE, MADV_NOHUGEPAGE);
	return p;
}

static void emit_write(struct kt_queue *q, volatile void *p, uint32_t value)
{
	uint32_t dw[KT_SDMA_MAX_DW];

	expect_ok(kt_queue_emit(q, dw, kt_sdma_write1(dw, (uintptr_t)p, value)));
}

/*
 * The first queue lets the others go and then faults on memory whose populate takes a
 * while; meanwhile theirs, on @hole, gather.
 */
static void fault_together(struct kt_queue queues[NFAULTERS + 1], char *hole)
{
	volatile uint32_t *flag = bounce.cpu;
	uint32_t dw[KT_SDMA_MAX_DW];

	*flag = 0;
	for (unsigned int i = 0; i <= NFAULTERS; i++)
		expect_ok(kt_queue_create(&gpu, KT_PAGE, &queues[i]));
	for (unsigned int i = 1; i <= NFAULTERS; i++) {
		unsigned int n = kt_sdma_poll(dw, (uintptr_t)flag, KT_POLL_EQ, 1, ~0U);

		expect_ok(kt_queue_emit(&queues[i], dw, n));
		emit_write(&queues[i], hole + i * KT_PAGE, 1);
		kt_queue_ring(&queues[i]);
	}
	emit_write(&queues[0], flag, 1);
	emit_write(&queues[0], fresh_memory(), 1);
	kt_queue_ring(&queues[0]);
}

/*
 * All queues there are fail with the first of the faults, so the others are no news: one
 * signal, and queues made after it are none of theirs.
 */
static void exceptions_at_once_are_signalled_once(void **state)
{
	static struct kt_queue queues[NFAULTERS + 1], later;
	uint32_t event;
	char *hole, *p;

	(void)state;
	gpu_open_queue();
	trace_signals();
	/* Not a gap: nothing else is to come to lie there. */
	hole = mmap(NULL, (NFAULTERS + 1) * KT_PAGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(hole != MAP_FAILED);
	expect_ok(kt_event_create(&gpu, KT_EVENT_MEMORY, true, &event));
	for (unsigned int round = 0; round < NROUNDS; round++) {
		fault_together(queues, hole);
		expect_ok(kt_event_wait(&gpu, event, KT_WAIT_MS, NULL));
		/* Its own fault is answered behind all those from before. */
		expect_ok(kt_queue_create(&gpu, KT_PAGE, &later));
		p = fresh_memory();
		emit_write(&later, p, round + 1);
		kt_queue_ring(&later);
		expect_ok(kt_queue_wait(&later, KT_WAIT_MS));
		assert_int_equal(*(volatile uint32_t *)p, round + 1);
		assert_int_equal(count_signals(event), round + 1);
		expect_ok(kt_queue_destroy(&later));
		for (unsigned int i = 0; i <= NFAULTERS; i++)
			expect_ok(kt_queue_destroy(&queues[i]));
	}
	trace_end();
}

static const struct conf_case cases[] = {
	CASE(read_of_unmapped_memory_is_exception, CONF_BOTH),
	CASE(write_of_unmapped_memory_is_exception, CONF_BOTH),
	CASE(read_after_munmap_is_exception, CONF_BOTH),
	CASE(access_to_prot_none_is_exception, CONF_BOTH),
	CASE(access_to_never_readable_memory_is_exception, CONF_BOTH),
	CASE(access_to_page_zero_is_exception, CONF_BOTH),
	CASE(access_to_kernel_addresses_is_exception, CONF_BOTH),
	CASE(write_to_kernel_addresses_is_exception, CONF_BOTH),
	CASE(write_to_read_only_mapping_is_exception, CONF_BOTH),
	CASE(write_after_mprotect_read_is_exception, CONF_BOTH),
	CASE(write_to_gpu_ro_range_is_exception, CONF_BOTH),
	CASE(gpu_ro_can_be_taken_back, CONF_BOTH),
	CASE(no_access_revokes_what_was_mapped, CONF_BOTH),
	CASE(no_access_holds_whatever_is_preferred, CONF_BOTH),
	CASE(access_after_no_access_works_again, CONF_BOTH),
	CASE(unregistered_memory_is_exception_without_xnack, CONF_OFF),
	CASE(memory_object_after_unmap_is_exception, CONF_BOTH),
	CASE(exception_stops_all_queues_of_the_process, CONF_BOTH),
	CASE(exception_in_the_middle_of_a_copy_names_the_page, CONF_BOTH),
	CASE(exceptions_at_once_are_signalled_once,
	     CONF_ON | CONF_ROOT | CONF_VIRTUAL),
};

CONF_GROUP(exception_group, cases);
