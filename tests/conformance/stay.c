// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that cannot move stays, and that is no error: a prefetch returns 0, the GPU uses
 * it in place. And memory with something special about it loses nothing when it moves.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "vram.h"

#define LEN (32 * KT_PAGE)

/* A prefetch moves nothing; both sides go on sharing it. */
static void stays(char *p, size_t len)
{
	struct moves m;

	fill_words(p, LEN, 1);
	vram_register(p, len);
	m = moves_now();
	prefetch(p, len);
	expect_in_vram(p, len, 0);
	gpu_expect_words(p, LEN, 1);
	gpu_write_words(p, LEN, 2);
	expect_words(p, LEN, 2);
	prefetch(p, len);
	gpu_expect_words(p, LEN, 2);
	expect_in_vram(p, len, 0);
	expect_moves(&m, 0, 0);
}

static char *map_fd(int fd, int flags)
{
	char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, flags, fd, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void shared_file_stays(void **state)
{
	int fd;

	(void)state;
	gpu_open_queue();
	fd = temp_file(conf_run.dir, LEN);
	assert_true(fd >= 0);
	stays(map_fd(fd, MAP_SHARED), LEN);
}

static void private_file_stays(void **state)
{
	int fd;

	(void)state;
	gpu_open_queue();
	fd = temp_file(conf_run.dir, LEN);
	assert_true(fd >= 0);
	stays(map_fd(fd, MAP_PRIVATE), LEN);
}

static void shared_memory_stays(void **state)
{
	int fd;

	(void)state;
	gpu_open_queue();
	stays(map_fd(-1, MAP_SHARED | MAP_ANONYMOUS), LEN);
	fd = memfd_create("kfdsvm-test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, LEN), 0);
	stays(map_fd(fd, MAP_SHARED), LEN);
}

#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"

static void hugetlb_stays(void **state)
{
	char before[32] = "";
	char *p;
	int err;

	(void)state;
	gpu_open_queue();
	assert_true(kt_read_file(NR_HUGEPAGES, before, sizeof(before)) > 0);
	kt_write_file(NR_HUGEPAGES, "4");
	p = mmap(NULL, KT_HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	err = errno;
	kt_write_file(NR_HUGEPAGES, before);
	if (p == MAP_FAILED)
		conf_skip("no page of hugetlbfs: %s", strerror(err));
	stays(p, KT_HUGE);
}

/* Memory and what stays beside it, in one range and one call. */
static void what_can_move_does_beside_what_cannot(void **state)
{
	struct moves m;
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	p = vram_map(3 * LEN);
	fd = temp_file(conf_run.dir, LEN);
	assert_true(fd >= 0);
	assert_ptr_equal(mmap(p + LEN, LEN, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, fd, 0), p + LEN);
	fill_words(p, 3 * LEN, 1);
	vram_register(p, 3 * LEN);
	m = moves_now();
	prefetch(p, 3 * LEN);
	expect_moves(&m, 2 * LEN / KT_PAGE, 0);
	expect_in_vram(p, LEN, LEN / KT_PAGE);
	expect_in_vram(p + LEN, LEN, 0);
	expect_in_vram(p + 2 * LEN, LEN, LEN / KT_PAGE);
	gpu_expect_words(p, 3 * LEN, 1);
	gpu_write_words(p, 3 * LEN, 2);
	expect_words(p, 3 * LEN, 2);
}

static void pinned_pages_stay(void **state)
{
	const size_t len = 16 * KT_PAGE;
	struct moves m;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(len);
	fill_words(p, len, 1);
	vram_register(p, len);
	hold_pages(p, 16);
	m = moves_now();
	prefetch(p, len);
	expect_in_vram(p, len, 0);
	gpu_expect_words(p, len, 1);
	gpu_write_words(p, len, 2);
	expect_words(p, len, 2);
	expect_moves(&m, 0, 0);
}

/* By the GPU's own hand: a memory object over the same pages goes on showing them. */
static void pages_of_a_userptr_object_stay(void **state)
{
	void *const object = (void *)0x300000000000ULL;
	struct moves m;
	uint64_t cpu, handle;
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	cpu = (uintptr_t)p;
	expect_ok(kt_bo_ioctl(&gpu, (uintptr_t)object, LEN,
			      KFD_IOC_ALLOC_MEM_FLAGS_USERPTR, &cpu, &handle));
	expect_ok(kt_bo_map(&gpu, handle));
	m = moves_now();
	vram_register(p, LEN);
	prefetch(p, LEN);
	expect_in_vram(p, LEN, 0);
	gpu_expect_words(object, LEN, 1);
	gpu_write_words(object, LEN, 2);
	gpu_expect_words(p, LEN, 2);
	gpu_write_words(p, LEN, 3);
	gpu_expect_words(object, LEN, 3);
	expect_words(p, LEN, 3);
	expect_moves(&m, 0, 0);
}

/* ---- swap ---- */

#define SWAP_FILE "/mnt/disk/kfdsvm-conformance.swap"
#define SWAP_PAGES 2048UL

static void swap_on(void)
{
	static const uint32_t head[] = { 1, SWAP_PAGES - 1, 0 };
	char *buf = calloc(SWAP_PAGES, KT_PAGE);
	int fd = open(SWAP_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t len = SWAP_PAGES * KT_PAGE;

	if (fd < 0)
		conf_skip("%s: %s", SWAP_FILE, strerror(errno));
	assert_non_null(buf);
	memcpy(buf + 1024, head, sizeof(head));
	memcpy(buf + KT_PAGE - 10, "SWAPSPACE2", 10);
	/* Holes are not for swap. */
	assert_int_equal(write(fd, buf, (size_t)len), len);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	free(buf);
	if (swapon(SWAP_FILE, 0))
		conf_skip("swapon: %s", strerror(errno));
}

static void swap_off(void)
{
	swapoff(SWAP_FILE);
	unlink(SWAP_FILE);
}

/* What is in the swap cache still counts for mincore(), not for the page table. */
static size_t pages_swapped(const char *p, size_t len)
{
	uint64_t entries[LEN / KT_PAGE];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, entries, len / KT_PAGE * sizeof(entries[0]),
			       (off_t)((uintptr_t)p / KT_PAGE * sizeof(entries[0]))),
			 len / KT_PAGE * sizeof(entries[0]));
	close(fd);
	for (size_t i = 0; i < len / KT_PAGE; i++)
		n += entries[i] >> 62 == 1;	/* swapped and not present */
	return n;
}

static void swapped_out_memory_is_brought_in_and_moves(void **state)
{
	struct moves m;
	bool out;
	char *p;

	(void)state;
	gpu_open_queue();
	atexit(swap_off);
	swap_on();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	if (xnack_on())
		vram_register(p, LEN);
	out = kt_wait_for(!madvise(p, LEN, MADV_PAGEOUT) && pages_swapped(p, LEN),
			  KT_WAIT_MS);
	if (!out)
		conf_skip("the kernel does not swap out");
	m = moves_now();
	if (!xnack_on())
		vram_register(p, LEN);
	/* A page that is still being written out stays where it is for that long. */
	(void)kt_wait_for((prefetch(p, LEN), in_vram(p, LEN) == LEN / KT_PAGE),
			  KT_WAIT_MS);
	expect_in_vram(p, LEN, LEN / KT_PAGE);
	expect_moves(&m, LEN / KT_PAGE, 0);
	gpu_expect_words(p, LEN, 1);
	gpu_write_words(p, LEN, 2);
	expect_words(p, LEN, 2);
}

/* ---- KSM ---- */

#define KSM "/sys/kernel/mm/ksm/"

static long ksm_number(const char *name)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), KSM "%s", name);
	return kt_read_file(path, text, sizeof(text)) > 0 ? atol(text) : -1;
}

static void ksm_stop(void)
{
	kt_write_file(KSM "run", "0");
}

/* Equal pages are one page; whether it moves or not, each has its own data then. */
static void merged_pages_keep_their_data(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	memset(p, 0x77, LEN);
	if (madvise(p, LEN, MADV_MERGEABLE) || kt_write_file(KSM "pages_to_scan", "1000"))
		conf_skip("no KSM");
	atexit(ksm_stop);
	kt_write_file(KSM "sleep_millisecs", "1");
	kt_write_file(KSM "run", "1");
	if (!kt_wait_for(ksm_number("pages_sharing") >= (long)(LEN / KT_PAGE) - 2,
			 KT_WAIT_MS))
		conf_skip("KSM does not merge");
	kt_write_file(KSM "run", "0");
	vram_register(p, LEN);
	prefetch(p, LEN);
	for (size_t at = 0; at < LEN; at += KT_PAGE)
		assert_int_equal(gpu_read32(p + at), 0x77777777);
	for (size_t at = 0; at < LEN; at += 2 * KT_PAGE)
		gpu_write32(p + at, (uint32_t)at);
	for (size_t at = 0; at < LEN; at += KT_PAGE)
		assert_int_equal(*(uint32_t *)(p + at),
				 at % (2 * KT_PAGE) ? 0x77777777 : (uint32_t)at);
}

/* ---- userfaultfd ---- */

static int uffd = -1;
static unsigned int missing_served;

static void *serve_missing(void *arg)
{
	uint32_t *page = aligned_alloc(KT_PAGE, KT_PAGE);
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	(void)arg;
	while (poll(&p, 1, -1) == 1) {
		struct uffdio_copy copy = { .src = (uintptr_t)page, .len = KT_PAGE };

		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		copy.dst = msg.arg.pagefault.address & ~(KT_PAGE - 1);
		fill_words(page, KT_PAGE, (uint32_t)(copy.dst / KT_PAGE));
		missing_served++;
		ioctl(uffd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

static void watch_missing(char *p, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	pthread_t thread;

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		conf_skip("no userfaultfd: %s", strerror(errno));
	assert_int_equal(pthread_create(&thread, NULL, serve_missing, NULL), 0);
}

/* Pages that are not there are the handler's to make: no zeros in their place. */
static void pages_of_a_userfaultfd_are_its_to_make(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	watch_missing(p, LEN);
	/* Without access, so that nobody needs the pages. */
	set_attr(p, LEN, KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id);
	prefetch(p, LEN);
	expect_in_vram(p, LEN, 0);
	for (size_t at = 0; at < LEN; at += KT_PAGE)
		expect_words(p + at, KT_PAGE, (uint32_t)((uintptr_t)(p + at) / KT_PAGE));
	assert_int_equal(missing_served, LEN / KT_PAGE);
	/* All are there now, and may move. */
	vram_register(p, LEN);
	prefetch(p, LEN);
	for (size_t at = 0; at < LEN; at += KT_PAGE)
		assert_int_equal(gpu_read32(p + at), (uint32_t)((uintptr_t)(p + at) / KT_PAGE));
	for (size_t at = 0; at < LEN; at += KT_PAGE)
		expect_words(p + at, KT_PAGE, (uint32_t)((uintptr_t)(p + at) / KT_PAGE));
	assert_int_equal(missing_served, LEN / KT_PAGE);
}

static const struct conf_case cases[] = {
	CASE(shared_file_stays, CONF_BOTH | CONF_VRAM),
	CASE(private_file_stays, CONF_BOTH | CONF_VRAM),
	CASE(shared_memory_stays, CONF_BOTH | CONF_VRAM),
	CASE(hugetlb_stays, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(what_can_move_does_beside_what_cannot, CONF_BOTH | CONF_VRAM),
	CASE(pinned_pages_stay, CONF_BOTH | CONF_VRAM),
	CASE(pages_of_a_userptr_object_stay, CONF_BOTH | CONF_VRAM | CONF_VIRTUAL),
	CASE(swapped_out_memory_is_brought_in_and_moves, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(merged_pages_keep_their_data, CONF_BOTH | CONF_VRAM | CONF_ROOT),
	CASE(pages_of_a_userfaultfd_are_its_to_make, CONF_BOTH | CONF_VRAM | CONF_ROOT),
};

CONF_GROUP(stay_group, cases);
