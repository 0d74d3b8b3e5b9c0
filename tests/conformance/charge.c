// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel keeps for a process's mappings is charged to the process, also where
 * a worker makes it.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

#define ROOT "/sys/fs/cgroup"
#define GROUP ROOT "/kfdsvm-conformance"

#define NBLOCKS 16
#define LEN (NBLOCKS * KT_HUGE)
/* A block of single pages has 512 runs. */
#define RUNS_SCATTERED (NBLOCKS * 256UL)
/* What the kernel keeps at least for a run, and for a block: a page table. */
#define PER_RUN 32UL
#define PER_BLOCK 4096UL
/* The kernel settles charges now and then, so what is read may be out of date. */
#define SETTLE_MS 10000

static void enter_group(void)
{
	rmdir(GROUP);
	if (kt_write_file(ROOT "/cgroup.subtree_control", "+memory") ||
	    mkdir(GROUP, 0755))
		conf_skip("no memory cgroup: %s", strerror(errno));
	expect_ok(kt_write_file(GROUP "/cgroup.procs", "0"));
}

static void leave_group(void)
{
	expect_ok(kt_write_file(ROOT "/cgroup.procs", "0"));
	rmdir(GROUP);
}

/* Kernel memory charged to the group. */
static unsigned long charged(void)
{
	char text[8192], *at;

	assert_true(kt_read_file(GROUP "/memory.stat", text, sizeof(text)) > 0);
	at = strstr(text, "\nkernel ");
	if (!at)
		conf_skip("memory.stat does not tell of kernel memory");
	return strtoul(at + strlen("\nkernel "), NULL, 0);
}

static void touch_all_by_gpu(char *p)
{
	for (unsigned int i = 0; i < NBLOCKS; i++)
		assert_int_equal(gpu_read32(p + i * KT_HUGE), 1);
}

static uint64_t runs_mapped(void)
{
	uint64_t runs = 0;

	if (kt_counter(&gpu, "extents_mapped", &runs))
		conf_skip("this driver does not count extents_mapped");
	return runs;
}

/* What @runs need must be charged; @before it was made the charge was that. */
static void expect_charged(unsigned long before, uint64_t runs)
{
	unsigned long need, now = 0;
	bool enough;

	if (runs < RUNS_SCATTERED)
		conf_skip("%llu runs: memory is not scattered enough to tell",
			  (unsigned long long)runs);
	need = runs * PER_RUN + NBLOCKS * PER_BLOCK;
	enough = kt_wait_for((now = charged()) >= before + need, SETTLE_MS);
	print_message("# %llu runs need %lu KiB, %ld KiB are charged\n",
		      (unsigned long long)runs, need >> 10,
		      ((long)now - (long)before) / 1024);
	assert_true(enough);
}

/*
 * The mapping is made, taken away by the CPU and made again, by the fault worker or the
 * restore worker; each time it is the process's. Mutant break_charge turns this red.
 */
static void mappings_are_charged_to_the_process(void **state)
{
	unsigned long before;
	uint64_t runs;
	char *p;

	(void)state;
	enter_group();
	gpu_open_queue();
	p = map_huge(LEN);
	madvise(p, LEN, MADV_NOHUGEPAGE);
	/* VRAM is one run for each block. */
	expect_ok(kt_svm_set1(gpu.kfd, p, LEN, KFD_SVM_ATTR_PREFERRED_LOC,
			      KFD_SVM_LOC_SYSMEM));
	/* Backwards, so that few neighbours are neighbours in memory, too. */
	for (size_t at = LEN; at; at -= KT_PAGE)
		*(volatile uint32_t *)(p + at - KT_PAGE) = 1;
	before = charged();
	runs = runs_mapped();
	grant(p, LEN);
	touch_all_by_gpu(p);
	expect_charged(before, runs_mapped() - runs);
	runs = runs_mapped();
	assert_int_equal(mprotect(p, LEN, PROT_READ), 0);
	touch_all_by_gpu(p);
	expect_charged(before, runs_mapped() - runs);
	leave_group();
}

static const struct conf_case cases[] = {
	CASE(mappings_are_charged_to_the_process, CONF_BOTH | CONF_ROOT | CONF_VIRTUAL),
};

CONF_GROUP(charge_group, cases);
