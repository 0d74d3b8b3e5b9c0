// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory in VRAM and what others do meanwhile: children that share it, threads of the
 * process that want something else.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "vram.h"

#define WINDOW_LG2 4
#define WINDOW (KT_PAGE << WINDOW_LG2)
#define MAX_ROUNDS 40

/* ---- a child that shares it ---- */

static struct chan chan;
static char *mem;

static int touches_when_told(void *arg)
{
	(void)arg;
	chan_tell_parent(&chan, 'r');
	while (chan_wait_parent(&chan) == 't') {
		child_check(*(volatile uint32_t *)mem == 1);
		chan_tell_parent(&chan, 'd');
	}
	return 0;
}

/* The child's CPU and the parent's GPU want it in turn: as with the parent's own CPU. */
static void window_that_bounces_through_a_child_stays_in_ram(void **state)
{
	unsigned int stayed = 0;
	uint64_t in;
	pid_t pid;

	(void)state;
	gpu_open_queue();
	mem = vram_map_window(WINDOW_LG2, 1);
	assert_int_equal(gpu_read32(mem), 1);
	expect_in_vram(mem, WINDOW, WINDOW / KT_PAGE);
	chan_open(&chan);
	pid = spawn(touches_when_told, NULL);
	assert_int_equal(chan_wait_child(&chan), 'r');
	for (unsigned int round = 0; round < MAX_ROUNDS && stayed < 3; round++) {
		in = moves_now().in;
		chan_tell_child(&chan, 't');
		assert_int_equal(chan_wait_child(&chan), 'd');
		assert_int_equal(gpu_read32(mem), 1);
		stayed = moves_now().in == in ? stayed + 1 : 0;
	}
	assert_int_equal(stayed, 3);
	chan_tell_child(&chan, 'x');
	expect_child_ok(pid);
	expect_in_vram(mem, WINDOW, 0);
	expect_words(mem, WINDOW, 1);
}

/* ---- what is remembered of memory goes with it ---- */

/* Blocks the GPU has in the core's books. */
static long blocks_kept(void)
{
	char path[64], text[8192], *at;
	int n;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kfd_svm/%d/state", getpid());
	n = kt_read_file(path, text, sizeof(text));
	if (n <= 0)
		conf_skip("no %s", path);
	at = strstr(text, " blocks ");
	assert_non_null(at);
	return strtol(at + strlen(" blocks "), NULL, 10);
}

static bool stays(uint32_t *p)
{
	uint64_t in = moves_now().in;

	*p += 1;
	assert_int_equal(gpu_read32(p), *p);
	return moves_now().in == in;
}

static void held_memory_is_forgotten_when_it_is_unmapped(void **state)
{
	unsigned int round, stayed = 0;
	uint32_t *p;
	long kept;

	(void)state;
	gpu_open_queue();
	p = (uint32_t *)vram_map_window(WINDOW_LG2, 1);
	for (round = 0; round < MAX_ROUNDS && stayed < 2; round++)
		stayed = stays(p) ? stayed + 1 : 0;
	assert_int_equal(stayed, 2);
	/* Not mapped any more, but remembered. */
	assert_int_equal(madvise(p, WINDOW, MADV_DONTNEED), 0);
	kept = blocks_kept();
	assert_true(kept > 0);
	assert_int_equal(munmap(p, WINDOW), 0);
	if (!kt_wait_for(blocks_kept() < kept, KT_WAIT_MS))
		fail_msg("%ld blocks are kept, as before", kept);
}

/* ---- a long prefetch ---- */

#define LONG_WINDOWS 24
#define LONG_LEN (LONG_WINDOWS * KT_HUGE)

static char *longer;
static volatile bool prefetching;

static void *prefetches_all(void *arg)
{
	intptr_t ret;

	(void)arg;
	ret = kt_svm_set1(gpu.kfd, longer, LONG_LEN, KFD_SVM_ATTR_PREFETCH_LOC, gpu.gpu_id);
	prefetching = false;
	return (void *)ret;
}

/* A SET that began after the prefetch had moved something, and ended before it was through. */
static bool set_meanwhile(char *p, uint64_t in_before)
{
	uint64_t moved;

	do
		moved = moves_now().in - in_before;
	while (!moved && prefetching);
	if (!moved)
		return false;
	set_attr(p, KT_PAGE, KFD_SVM_ATTR_GRANULARITY, 9);
	return moves_now().in - in_before < LONG_LEN / KT_PAGE;
}

static void set_of_other_memory_does_not_wait_for_a_prefetch(void **state)
{
	bool done = false;
	pthread_t thread;
	void *ret;
	char *p;

	(void)state;
	gpu_open_queue();
	if (vram.len < LONG_LEN + KT_HUGE)
		conf_skip("too little VRAM");
	longer = vram_map(LONG_LEN);
	memset(longer, 1, LONG_LEN);
	vram_register(longer, LONG_LEN);
	p = vram_map(KT_PAGE);
	*p = 1;
	vram_register(p, KT_PAGE);
	for (unsigned int round = 0; round < MAX_ROUNDS && !done; round++) {
		uint64_t in = moves_now().in;

		prefetching = true;
		assert_int_equal(pthread_create(&thread, NULL, prefetches_all, NULL), 0);
		done = set_meanwhile(p, in);
		pthread_join(thread, &ret);
		assert_ptr_equal(ret, NULL);
		expect_in_vram(longer, LONG_LEN, LONG_LEN / KT_PAGE);
		prefetch_back(longer, LONG_LEN);
	}
	assert_true(done);
}

/* ---- memory objects ---- */

#define OBJECT_MS 3000
/* As many windows are left as there are objects, so that all of it has to go. */
#define NOBJECTS 3
#define NFILLERS 2

static int object_err;
static volatile bool objects_are_done;

static void *makes_objects(void *arg)
{
	uint64_t end_ms = kt_now_ms() + OBJECT_MS, handle, offset;
	int ret;

	(void)arg;
	while (kt_now_ms() < end_ms && !object_err) {
		ret = kt_bo_ioctl(&gpu, 0, KT_HUGE, KFD_IOC_ALLOC_MEM_FLAGS_VRAM, &offset,
				  &handle);
		if (!ret)
			ret = kt_bo_free_handle(&gpu, handle);
		if (ret)
			object_err = ret;
	}
	return NULL;
}

static void *fills_vram(void *arg)
{
	/* In small pieces: a window has many, and each can be in other hands. */
	for (size_t at = 0; !objects_are_done; at = (at + WINDOW) % (NOBJECTS * KT_HUGE))
		kt_svm_set1(gpu.kfd, (char *)arg + at, WINDOW, KFD_SVM_ATTR_PREFETCH_LOC,
			    gpu.gpu_id);
	return NULL;
}

/*
 * Objects that fit beside each other are never refused for memory that can go, though it
 * is on its way in or out, or in the hands of the others, at that instant.
 */
static void memory_objects_are_had_while_others_make_room(void **state)
{
	pthread_t objects[NOBJECTS], fillers[NFILLERS];
	uint64_t handle, offset, rest;
	char *p;

	(void)state;
	gpu_open_queue();
	rest = vram_available() - NOBJECTS * KT_HUGE;
	expect_ok(kt_bo_ioctl(&gpu, 0, rest, KFD_IOC_ALLOC_MEM_FLAGS_VRAM, &offset, &handle));
	p = vram_map(NOBJECTS * KT_HUGE);
	memset(p, 1, NOBJECTS * KT_HUGE);
	for (unsigned int i = 0; i < NFILLERS; i++)
		assert_int_equal(pthread_create(&fillers[i], NULL, fills_vram, p), 0);
	for (unsigned int i = 0; i < NOBJECTS; i++)
		assert_int_equal(pthread_create(&objects[i], NULL, makes_objects, NULL), 0);
	for (unsigned int i = 0; i < NOBJECTS; i++)
		pthread_join(objects[i], NULL);
	objects_are_done = true;
	for (unsigned int i = 0; i < NFILLERS; i++)
		pthread_join(fillers[i], NULL);
	expect_ok(object_err);
}

/* What migrated can go, so it counts as available, and indeed is. */
static void migrated_memory_is_available(void **state)
{
	uint64_t before, unused, after, handle, offset;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(8 * KT_HUGE);
	memset(p, 1, 8 * KT_HUGE);
	before = vram_available();
	unused = vram_free();
	vram_register(p, 8 * KT_HUGE);
	prefetch(p, 8 * KT_HUGE);
	expect_in_vram(p, 8 * KT_HUGE, 8 * HUGE_PAGES);
	assert_true(vram_free() <= unused - 8 * KT_HUGE);
	after = vram_available();
	assert_int_equal(after, before);
	expect_ok(kt_bo_ioctl(&gpu, 0, after, KFD_IOC_ALLOC_MEM_FLAGS_VRAM, &offset, &handle));
	expect_in_vram(p, 8 * KT_HUGE, 0);
	assert_true(vram_available() <= before - after);
	expect_ok(kt_bo_free_handle(&gpu, handle));
	assert_int_equal(*p, 1);
}

/* ---- a CPU fault that is held ---- */

#define HOLD "/sys/module/hmm_mirror/parameters/hold_fault_va"
#define HELD "/sys/module/hmm_mirror/parameters/held_faults"

static void hold(const void *p)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", (unsigned long)(uintptr_t)p);
	if (kt_write_file(HOLD, text))
		conf_skip("no %s: only debug builds of the modules have it", HOLD);
}

static void let_go(void)
{
	kt_write_file(HOLD, "0");
}

static long held(void)
{
	char text[32] = "";

	assert_true(kt_read_file(HELD, text, sizeof(text)) > 0);
	return strtol(text, NULL, 10);
}

static void *cpu_reads(void *arg)
{
	return (void *)(uintptr_t)*(volatile uint32_t *)arg;
}

/* Three windows in VRAM, and one in RAM; each of the process's own, mapped by nobody. */
static void map_windows(char *windows[4])
{
	for (unsigned int i = 0; i < 4; i++) {
		windows[i] = vram_map(KT_HUGE);
		fill_words(windows[i], KT_HUGE, i + 1);
		vram_register(windows[i], KT_HUGE);
		if (i < 3)
			prefetch(windows[i], KT_HUGE);
	}
}

/*
 * Each waits for its own window only: while one fault hangs in the middle, another brings
 * its window to RAM, and the GPU has one moved to VRAM and uses one that is there.
 */
static void faults_elsewhere_do_not_wait_for_one_that_is_held(void **state)
{
	char *windows[4];
	pthread_t first;
	void *value;

	(void)state;
	gpu_open_queue();
	map_windows(windows);
	atexit(let_go);
	hold(windows[0]);
	assert_int_equal(pthread_create(&first, NULL, cpu_reads, windows[0]), 0);
	assert_true(kt_wait_for(held() == 1, KT_WAIT_MS));

	cpu_touch(windows[1]);
	expect_in_vram(windows[1], KT_HUGE, 0);
	expect_words(windows[1], KT_HUGE, 2);
	if (xnack_on()) {
		gpu_write32(windows[3], 9);
		expect_in_vram(windows[3], KT_HUGE, HUGE_PAGES);
	} else {
		prefetch(windows[3], KT_HUGE);
		expect_in_vram(windows[3], KT_HUGE, HUGE_PAGES);
	}
	assert_int_equal(held(), 1);

	let_go();
	pthread_join(first, &value);
	assert_int_equal((uintptr_t)value, 1);
	expect_words(windows[0], KT_HUGE, 1);
	gpu_expect_words(windows[2], KT_HUGE, 3);
	assert_int_equal(held(), 0);
}

static int faults_and_hangs(void *arg)
{
	char *p;

	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	p = mmap(mem, KT_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	child_check(p == mem);
	fill_words(p, KT_HUGE, 1);
	child_check(kt_svm_set1(gpu.kfd, p, KT_HUGE, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) == 0);
	child_check(in_vram(p, KT_HUGE) == HUGE_PAGES);
	child_is_ready(&chan);
	cpu_touch(p);
	return 0;
}

static void process_with_a_held_fault_can_be_killed(void **state)
{
	uint64_t avail;
	pid_t pid;

	(void)state;
	gpu_open_queue();
	mem = vram_map(KT_HUGE);
	avail = vram_free();
	atexit(let_go);
	hold(mem);
	pid = spawn_ready(&chan, faults_and_hangs, NULL);
	chan_tell_child(&chan, 'x');
	assert_true(kt_wait_for(held() == 1, KT_WAIT_MS));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(WIFSIGNALED(reap(pid)));
	assert_true(kt_wait_for(held() == 0, KT_WAIT_MS));
	expect_vram_free(avail);
}

static const struct conf_case cases[] = {
	CASE(window_that_bounces_through_a_child_stays_in_ram, CONF_ON | CONF_FAULT_BACK),
	CASE(held_memory_is_forgotten_when_it_is_unmapped,
	     CONF_ON | CONF_FAULT_BACK | CONF_VIRTUAL | CONF_ROOT),
	CASE(set_of_other_memory_does_not_wait_for_a_prefetch, CONF_BOTH | CONF_VRAM),
	CASE(memory_objects_are_had_while_others_make_room, CONF_ONCE | CONF_VRAM),
	CASE(migrated_memory_is_available, CONF_BOTH | CONF_VRAM),
	CASE(faults_elsewhere_do_not_wait_for_one_that_is_held,
	     CONF_BOTH | CONF_FAULT_BACK | CONF_VIRTUAL | CONF_ROOT),
	CASE(process_with_a_held_fault_can_be_killed,
	     CONF_ONCE | CONF_FAULT_BACK | CONF_VIRTUAL | CONF_ROOT),
};

CONF_GROUP(migrate_others_group, cases);
