// SPDX-License-Identifier: MIT
/* Where memory is, what the driver counts, and what a prefetch achieved. */
#include "shim_fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define GPU1 0x1234u
#define GPU2 0x5678u
#define VA 0x40000u
#define PROC SYS_PROC "/4711"
#define DEBUG DEBUG_SVM "/4711"

static struct fake fake;
static struct kfdsvm *h;
static struct kfdsvm_place places[4];
static struct kfdsvm_residency r;

static int setup(void **state)
{
	(void)state;
	fake_init(&fake);
	h = fake_open(&fake);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kfdsvm_close(h);
	assert_int_equal(fake.open_files, 0);
	return 0;
}

static void reopen(void)
{
	kfdsvm_close(h);
	h = fake_open(&fake);
}

static int look(uintptr_t va, size_t len)
{
	memset(places, 0xff, sizeof(places));
	r = (struct kfdsvm_residency){
		.size = sizeof(r), .nplaces = 4, .places = places,
	};
	return kfdsvm_residency(h, (void *)va, len, &r, 0, NULL);
}

static void expect(uint64_t sys, uint64_t vram, uint64_t swapped, uint64_t absent)
{
	assert_int_equal(r.system_len, sys == KFDSVM_UNKNOWN ? sys : sys * fake.page);
	assert_int_equal(r.vram_len, vram == KFDSVM_UNKNOWN ? vram : vram * fake.page);
	assert_int_equal(r.swapped_len, swapped * fake.page);
	assert_int_equal(r.absent_len, absent * fake.page);
}

static void the_page_table_tells(void **state)
{
	(void)state;
	fake_set_pages(&fake, VA, "ssvw--vvs");
	assert_int_equal(look(VA, 9 * 4096), 0);
	assert_int_equal(r.len, 9 * 4096);
	expect(3, 3, 1, 2);
	assert_int_equal(r.nplaces, 1);
	assert_int_equal(places[0].gpu_id, GPU1);
	assert_int_equal(places[0].len, 3 * 4096);
	assert_int_equal(look(VA + 2 * 4096 + 5, 1), 0);
	expect(0, 1, 0, 0);
	/* Past what is mapped. */
	assert_int_equal(look(VA, 10 * 4096), -EFAULT);
	assert_int_equal(look(VA - 4096, 4096), -EFAULT);
	r.places = NULL;
	assert_int_equal(kfdsvm_residency(h, (void *)(uintptr_t)VA, 1, &r, 0, NULL), 0);
	assert_int_equal(r.nplaces, 0);
	r.reserved = 1;
	assert_int_equal(kfdsvm_residency(h, (void *)(uintptr_t)VA, 1, &r, 0, NULL), -EINVAL);
	assert_int_equal(kfdsvm_residency(h, (void *)(uintptr_t)VA, 1, NULL, 0, NULL), -EINVAL);
	fake.no_pagemap = true;
	assert_int_equal(look(VA, 1), -EOPNOTSUPP);
}

static void long_ranges_and_large_pages(void **state)
{
	char kinds[1801];

	(void)state;
	for (int i = 0; i < 1800; i++)
		kinds[i] = "sv-"[i % 3];
	kinds[1800] = '\0';
	fake.page = 65536;
	reopen();
	fake_set_pages(&fake, 0x1000000, kinds);
	assert_int_equal(look(0x1000000, 1800ul * 65536), 0);
	expect(600, 600, 0, 600);
	assert_int_equal(look(0x1000000 + 4096, 65536), 0);
	expect(1, 1, 0, 0);
}

static void a_gpu_without_vram_has_none(void **state)
{
	(void)state;
	fake_set_file(&fake, DEBUG_SVM "/gpus",
		      "gpu 4660 hive 0 vram_mib 512 migration none (no DEVICE_PRIVATE)\n");
	reopen();
	fake_set_pages(&fake, VA, "vsw");
	assert_int_equal(look(VA, 3 * 4096), 0);
	/* Just on its way from swap. */
	expect(1, 0, 2, 0);
	assert_int_equal(places[0].len, 0);
}

static void with_two_gpus_the_driver_must_tell(void **state)
{
	(void)state;
	fake_add_gpu(&fake, GPU2, 90000);
	reopen();
	fake_set_pages(&fake, VA, "ssvvvs");
	assert_int_equal(look(VA, 6 * 4096), 0);
	expect(3, 3, 0, 0);
	assert_int_equal(r.nplaces, 2);
	assert_int_equal(places[0].len, KFDSVM_UNKNOWN);
	assert_int_equal(places[1].len, KFDSVM_UNKNOWN);
	/* Nothing there is nobody's. */
	assert_int_equal(look(VA, 4096), 0);
	assert_int_equal(places[1].len, 0);

	fake_set_file(&fake, DEBUG "/residency",
		      "0x1-0x2 present 2 writable 2 ram 2 vram 4660 77 vram 22136 0\n"
		      "0x41-0x43 present 3 writable 3 ram 1 vram 4660 2 vram 22136 0\n"
		      "0x44-0x44 present 1 writable 1 ram 0 vram 4660 0 vram 22136 1\n"
		      "0x100-0x101 busy\n");
	for (fake.pread_max = 0; fake.pread_max < 300; fake.pread_max += 7) {
		assert_int_equal(look(VA, 6 * 4096), 0);
		assert_int_equal(places[0].len, 2 * 4096);
		assert_int_equal(places[1].len, 4096);
	}
	/* A part of what the driver tells about as a whole. */
	assert_int_equal(look(VA, 3 * 4096), 0);
	assert_int_equal(places[0].len, KFDSVM_UNKNOWN);
	/* Even where the sums are the same: it may be the other page. */
	fake_set_file(&fake, DEBUG "/residency", "0x41-0x42 present 2 vram 4660 1 vram 22136 1\n");
	assert_int_equal(look(VA + 2 * 4096, 4096), 0);
	assert_int_equal(places[0].len, KFDSVM_UNKNOWN);
	/* But not where only one GPU is in question. */
	fake_set_file(&fake, DEBUG "/residency", "0x41-0x48 present 2 vram 4660 0 vram 22136 7\n");
	assert_int_equal(look(VA + 2 * 4096, 3 * 4096), 0);
	assert_int_equal(places[0].len, 0);
	assert_int_equal(places[1].len, 3 * 4096);
	/* Nor for pages that the driver does not tell about. */
	assert_int_equal(look(VA, 5 * 4096), 0);
	assert_int_equal(places[1].len, KFDSVM_UNKNOWN);
	/* Not of one mind with the page table, busy, or not to be understood. */
	static const char *const texts[] = {
		"0x41-0x44 present 3 ram 1 vram 4660 1 vram 22136 1\n",
		"0x41-0x44 busy\n", "0x41-0x44 present 3 vram 4660 x\n", "nonsense\n",
		"0x41-0x40 present 3 vram 4660 3\n", "0x40-0x45 vram 4660 3 vram 22136\n",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		fake_set_file(&fake, DEBUG "/residency", texts[i]);
		assert_int_equal(look(VA, 6 * 4096), 0);
		expect(3, 3, 0, 0);
		assert_int_equal(places[0].len, KFDSVM_UNKNOWN);
	}
}

static void coherent_vram_looks_like_memory(void **state)
{
	(void)state;
	fake.gpus[0].capability |= 0x10000000;
	reopen();
	fake_set_pages(&fake, VA, "sss-w");
	assert_int_equal(look(VA, 5 * 4096), 0);
	expect(KFDSVM_UNKNOWN, KFDSVM_UNKNOWN, 1, 1);
	assert_int_equal(places[0].len, KFDSVM_UNKNOWN);
	fake_set_file(&fake, DEBUG "/residency", "0x40-0x44 present 3 ram 1 vram 4660 2\n");
	assert_int_equal(look(VA, 5 * 4096), 0);
	expect(1, 2, 1, 1);
	assert_int_equal(places[0].len, 2 * 4096);
	/* It tells about half of it only. */
	fake_set_file(&fake, DEBUG "/residency", "0x40-0x42 present 3 ram 1 vram 4660 2\n");
	assert_int_equal(look(VA, 5 * 4096), 0);
	expect(KFDSVM_UNKNOWN, KFDSVM_UNKNOWN, 1, 1);
}

/* The real /proc and mincore: no GPU is needed for memory to be in memory. */
static void on_this_machine(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len = 600 * page;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	/* Or a huge page comes for the first byte. */
	madvise(p, len, MADV_NOHUGEPAGE);
	kfdsvm_close(h);
	fake.page = page;
	fake.sys.open = kfdsvm_sys_real.open;
	fake.sys.pread = kfdsvm_sys_real.pread;
	fake.sys.mincore = kfdsvm_sys_real.mincore;
	h = calloc(1, sizeof(*h));
	h->sys = &fake.sys;
	h->page = page;
	h->fd = -1;
	h->pid = fake.pid;
	fake.sys.close = kfdsvm_sys_real.close;
	p[0] = 1;
	memset(p + 550 * page, 1, 7 * page);
	assert_int_equal(look((uintptr_t)p, len), 0);
	expect(8, 0, 0, 592);
	assert_int_equal(munmap(p + 10 * page, page), 0);
	assert_int_equal(look((uintptr_t)p, len), -EFAULT);
	assert_int_equal(munmap(p, len), 0);
}

static void set_counters(void)
{
	fake_set_file(&fake, PROC "/counters_4660/faults", "11\n");
	fake_set_file(&fake, PROC "/counters_4660/page_in", "100\n");
	fake_set_file(&fake, PROC "/counters_4660/page_out", "40\n");
	fake_set_file(&fake, PROC "/vram_4660", "245760\n");
}

static void counters_are_read_or_unknown(void **state)
{
	struct kfdsvm_counters c = { .size = sizeof(c), .gpu_id = GPU1 };

	(void)state;
	assert_int_equal(kfdsvm_counters(h, &c), 0);
	assert_int_equal(c.faults, KFDSVM_UNKNOWN);
	assert_int_equal(c.restores, KFDSVM_UNKNOWN);
	set_counters();
	assert_int_equal(kfdsvm_counters(h, &c), 0);
	assert_int_equal(c.faults, 11);
	assert_int_equal(c.page_in, 100);
	assert_int_equal(c.page_out, 40);
	assert_int_equal(c.vram_len, 245760);
	assert_int_equal(c.pages_mapped, KFDSVM_UNKNOWN);
	fake_set_file(&fake, DEBUG "/counters",
		      "gpu 46601 faults 1 pages_mapped 1 invalidations 1 retries 1 restores 1\n"
		      "gpu 4660 faults 2 extents_mapped 3 pages_mapped 4 invalidations 5 "
		      "populates 6 pages_spared 7 retries 8 no_restores 1 restores 9 page_in 10 page_out 11 "
		      "vram_pages 12");
	assert_int_equal(kfdsvm_counters(h, &c), 0);
	assert_int_equal(c.faults, 11);
	assert_int_equal(c.pages_mapped, 4);
	assert_int_equal(c.invalidations, 5);
	assert_int_equal(c.populates, 6);
	assert_int_equal(c.retries, 8);
	assert_int_equal(c.restores, 9);
	assert_int_equal(c.vram_pages, 12);
	fake_set_file(&fake, PROC "/counters_4660/faults", "what\n");
	assert_int_equal(kfdsvm_counters(h, &c), 0);
	assert_int_equal(c.faults, KFDSVM_UNKNOWN);
	c.pid = 1;
	assert_int_equal(kfdsvm_counters(h, &c), -ESRCH);
	c.pid = -1;
	assert_int_equal(kfdsvm_counters(h, &c), -EINVAL);
	c.pid = 0;
	c.gpu_id = 1;
	assert_int_equal(kfdsvm_counters(h, &c), -EINVAL);
	assert_int_equal(kfdsvm_counters(h, NULL), -EINVAL);
}

/* There the same number is another process's. */
static void in_a_pid_namespace_nothing_is_taken_for_ours(void **state)
{
	struct kfdsvm_counters c = { .size = sizeof(c), .gpu_id = GPU1 };

	(void)state;
	set_counters();
	fake_set_file(&fake, DEBUG "/counters", "gpu 4660 pages_mapped 4 restores 9\n");
	fake.pid_namespace = 0xf0000001;
	reopen();
	assert_int_equal(kfdsvm_counters(h, &c), 0);
	assert_int_equal(c.faults, KFDSVM_UNKNOWN);
	assert_int_equal(c.vram_len, KFDSVM_UNKNOWN);
	assert_int_equal(c.restores, KFDSVM_UNKNOWN);
	/* Whom the driver lists by a number is who is asked for by it. */
	c.pid = 4711;
	assert_int_equal(kfdsvm_counters(h, &c), 0);
	assert_int_equal(c.faults, 11);
}

/* The driver moves what it is told to. */
static int move(struct fake *f, struct kfd_svm_args *args)
{
	assert_int_equal(args->attrs[0].type, KFD_SVM_ATTR_PREFETCH_LOC);
	if (args->attrs[0].value) {
		fake_set_pages(f, VA, "vvsv");
		fake_set_file(f, PROC "/counters_4660/page_in", "103\n");
	} else {
		fake_set_pages(f, VA, "ssss");
		fake_set_file(f, PROC "/counters_4660/page_out", "43\n");
	}
	return 0;
}

static void a_prefetch_is_measured(void **state)
{
	struct kfdsvm_progress p = { .size = sizeof(p) };
	void *va = (void *)(uintptr_t)VA;

	(void)state;
	fake_set_pages(&fake, VA, "ss-s");
	fake.on_svm = move;
	set_counters();
	assert_int_equal(kfdsvm_prefetch_measured(h, va, 4 * 4096, GPU1, 0, &p, NULL), 0);
	assert_int_equal(p.covered_len, 4 * 4096);
	assert_int_equal(p.before_len, 0);
	assert_int_equal(p.after_len, 3 * 4096);
	assert_int_equal(p.page_in_len, 3 * 4096);
	assert_int_equal(p.page_out_len, 0);
	assert_int_equal(kfdsvm_prefetch_measured(h, va, 4 * 4096, 0, 0, &p, NULL), 0);
	assert_int_equal(p.before_len, 4096);
	assert_int_equal(p.after_len, 4 * 4096);
	assert_int_equal(p.page_out_len, 3 * 4096);
	/* Nobody counts. */
	fake_set_file(&fake, PROC "/counters_4660/page_in", NULL);
	assert_int_equal(kfdsvm_prefetch_measured(h, va, 4 * 4096, 0, 0, &p, NULL), 0);
	assert_int_equal(p.page_in_len, KFDSVM_UNKNOWN);
	assert_int_equal(p.page_out_len, 0);
	assert_int_equal(kfdsvm_prefetch_measured(h, va, 8, 1, 0, &p, NULL), -EINVAL);
	assert_int_equal(kfdsvm_prefetch_measured(h, va, 8, 0, 0, NULL, NULL), -EINVAL);
	p.size = sizeof(p.size);
	assert_int_equal(kfdsvm_prefetch_measured(h, va, 8, 0, 0, &p, NULL), -EINVAL);
}

static int refuse(struct fake *f, struct kfd_svm_args *args)
{
	(void)f;
	(void)args;
	return -ENOMEM;
}

static void a_failed_prefetch_is_measured_too(void **state)
{
	struct kfdsvm_progress p = { .size = sizeof(p) };

	(void)state;
	fake_set_pages(&fake, VA, "ssvs");
	fake.on_svm = refuse;
	assert_int_equal(kfdsvm_prefetch_measured(h, (void *)(uintptr_t)VA, 4 * 4096, 0, 0, &p,
						  NULL), -ENOMEM);
	assert_int_equal(p.after_len, 3 * 4096);
	fake.no_pagemap = true;
	assert_int_equal(kfdsvm_prefetch_measured(h, (void *)(uintptr_t)VA, 4 * 4096, 0, 0, &p,
						  NULL), -ENOMEM);
	assert_int_equal(p.after_len, KFDSVM_UNKNOWN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_page_table_tells),
		T(long_ranges_and_large_pages),
		T(a_gpu_without_vram_has_none),
		T(with_two_gpus_the_driver_must_tell),
		T(coherent_vram_looks_like_memory),
		T(on_this_machine),
		T(counters_are_read_or_unknown),
		T(in_a_pid_namespace_nothing_is_taken_for_ours),
		T(a_prefetch_is_measured),
		T(a_failed_prefetch_is_measured_too),
	};

	return cmocka_run_group_tests_name("shim_where", tests, NULL, NULL);
}
