// SPDX-License-Identifier: GPL-2.0-only
/* SMI events of memory that moves (kfd-svm-semantics.md 1.7). */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

#include "kt_smi.h"
#include "vram.h"

#define LEN (32 * KT_PAGE)
#define PAGES (LEN / KT_PAGE)
#define MAX_EVENTS 256

#define START KFD_SMI_EVENT_MIGRATE_START
#define END KFD_SMI_EVENT_MIGRATE_END
#define BIT_OF(event) KFD_SMI_EVENT_MASK_FROM_INDEX(event)

static int smi = -1;
static struct kt_smi_event events[MAX_EVENTS];
static unsigned int nevents;

static void listen_to(uint64_t mask)
{
	struct kfd_ioctl_smi_events_args args = { .gpuid = gpu.gpu_id };

	expect_ok(kt_ioctl(gpu.kfd, AMDKFD_IOC_SMI_EVENTS, &args));
	smi = (int)args.anon_fd;
	assert_int_equal(write(smi, &mask, sizeof(mask)), sizeof(mask));
}

static void parse(const char *line)
{
	assert_true(nevents < MAX_EVENTS);
	assert_int_equal(kt_smi_parse(line, &events[nevents]), 0);
	assert_int_equal(events[nevents].pid, getpid());
	nevents++;
}

/* All that is there; reading never waits. */
static void read_events(void)
{
	static char rest[2048];
	char *line, *end;
	size_t have = strlen(rest);
	ssize_t n;

	while ((n = read(smi, rest + have, sizeof(rest) - 1 - have)) > 0) {
		have += (size_t)n;
		rest[have] = 0;
		for (line = rest; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			parse(line);
		}
		have = strlen(line);
		memmove(rest, line, have + 1);
	}
	assert_int_equal(errno, EAGAIN);
}

static unsigned int count(unsigned int id)
{
	unsigned int n = 0;

	read_events();
	for (unsigned int i = 0; i < nevents; i++)
		n += events[i].id == id;
	return n;
}

/* Pages of all events @id that say @trigger and this way. */
static unsigned long pages_told(unsigned int id, unsigned int trigger, uint32_t from,
				uint32_t to)
{
	unsigned long pages = 0;

	for (unsigned int i = 0; i < nevents; i++) {
		const struct kt_smi_event *e = &events[i];

		if (e->id == id && e->trigger == trigger && e->from == from && e->to == to)
			pages += e->npages;
	}
	return pages;
}

static void expect_told(unsigned int trigger, uint32_t from, uint32_t to)
{
	/* The end may be told after what it is the end of is seen. */
	assert_true(kt_wait_for(count(START) == count(END) && count(END), KT_WAIT_MS));
	assert_int_equal(pages_told(START, trigger, from, to), PAGES);
	assert_int_equal(pages_told(END, trigger, from, to), PAGES);
	nevents = 0;
}

static void kfdtest_HMMProfilingEvent(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	listen_to(BIT_OF(START) | BIT_OF(END));
	prefetch(p, LEN);
	read_events();
	for (unsigned int i = 0; i < nevents; i++) {
		assert_in_range(events[i].page, (uintptr_t)p / KT_PAGE,
				(uintptr_t)p / KT_PAGE + PAGES - 1);
		assert_true(!i || events[i].ns >= events[i - 1].ns);
		if (events[i].id == START)
			assert_int_equal(events[i].prefetch, gpu.gpu_id);
	}
	expect_told(KFD_MIGRATE_TRIGGER_PREFETCH, 0, gpu.gpu_id);
	gpu_expect_words(p, LEN, 1);
	prefetch_back(p, LEN);
	expect_told(KFD_MIGRATE_TRIGGER_PREFETCH, gpu.gpu_id, 0);
	expect_words(p, LEN, 1);
}

static void smi_tells_of_faults_of_both_sides(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	listen_to(BIT_OF(START) | BIT_OF(END));
	gpu_read32(p);
	expect_told(KFD_MIGRATE_TRIGGER_PAGEFAULT_GPU, 0, gpu.gpu_id);
	cpu_touch(p);
	expect_told(KFD_MIGRATE_TRIGGER_PAGEFAULT_CPU, gpu.gpu_id, 0);
}

static char last_letter(void)
{
	char letter = 0;

	for (unsigned int i = 0; i < nevents; i++)
		if (events[i].id == KFD_SMI_EVENT_PAGE_FAULT_END)
			letter = events[i].sign;
	return letter;
}

static bool faults_told(void)
{
	return count(KFD_SMI_EVENT_PAGE_FAULT_START) &&
	       count(KFD_SMI_EVENT_PAGE_FAULT_START) == count(KFD_SMI_EVENT_PAGE_FAULT_END);
}

/* M where memory moved for the fault, U where it was mapped as it is. */
static void smi_tells_whether_a_fault_moved_memory(void **state)
{
	char *p, *q;

	(void)state;
	gpu_open_queue();
	p = vram_map(LEN);
	q = vram_map(LEN);
	fill_words(p, LEN, 1);
	fill_words(q, LEN, 1);
	vram_register(p, LEN);
	vram_register(q, LEN);
	set_attr(q, LEN, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	listen_to(BIT_OF(KFD_SMI_EVENT_PAGE_FAULT_START) |
		  BIT_OF(KFD_SMI_EVENT_PAGE_FAULT_END));
	gpu_read32(p);
	assert_true(kt_wait_for(faults_told(), KT_WAIT_MS));
	assert_int_equal(events[0].sign, 'R');
	assert_int_equal(events[0].gpu, gpu.gpu_id);
	assert_int_equal(last_letter(), 'M');
	nevents = 0;
	gpu_write32(q, 1);
	assert_true(kt_wait_for(faults_told(), KT_WAIT_MS));
	assert_int_equal(last_letter(), 'U');
}

/* Upstream tells the start of a move that moves nothing, and no end of it. */
static void smi_start_has_an_end_if_nothing_moves(void **state)
{
	char *p;
	int fd;

	(void)state;
	gpu_open_queue();
	fd = temp_file(conf_run.dir, LEN);
	assert_true(fd >= 0);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	fill_words(p, LEN, 1);
	vram_register(p, LEN);
	listen_to(BIT_OF(START) | BIT_OF(END));
	prefetch(p, LEN);
	gpu_expect_words(p, LEN, 1);
	prefetch_back(p, LEN);
	p = vram_map(16 * KT_PAGE);
	fill_words(p, 16 * KT_PAGE, 1);
	vram_register(p, 16 * KT_PAGE);
	hold_pages(p, 16);
	prefetch(p, 16 * KT_PAGE);
	gpu_expect_words(p, 16 * KT_PAGE, 1);
	assert_true(kt_wait_for(count(START) == count(END), KT_WAIT_MS));
}

static void smi_tells_queues_stop_and_go_on(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_filled(LEN, 1);
	gpu_expect_words(p, LEN, 1);
	listen_to(BIT_OF(KFD_SMI_EVENT_QUEUE_EVICTION) |
		  BIT_OF(KFD_SMI_EVENT_QUEUE_RESTORE));
	fill_words(p, LEN, 2);
	gpu_expect_words(p, LEN, 2);
	assert_true(kt_wait_for(count(KFD_SMI_EVENT_QUEUE_EVICTION) &&
				count(KFD_SMI_EVENT_QUEUE_EVICTION) ==
				count(KFD_SMI_EVENT_QUEUE_RESTORE), KT_WAIT_MS));
	assert_int_equal(events[0].id, KFD_SMI_EVENT_QUEUE_EVICTION);
	assert_int_equal(events[0].gpu, gpu.gpu_id);
}

/* ---- the descriptor ---- */

static void smi_reads_nothing_before_a_mask_is_set(void **state)
{
	uint64_t mask = 0;
	char *p, text[128];
	struct pollfd poll_smi;

	(void)state;
	gpu_open_queue();
	listen_to(0);
	poll_smi = (struct pollfd){ .fd = smi, .events = POLLIN };
	p = vram_filled(LEN, 1);
	assert_int_equal(read(smi, text, sizeof(text)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(poll(&poll_smi, 1, 0), 0);
	/* Too short, then right, which replaces what was. */
	assert_int_equal(write(smi, &mask, 4), -1);
	assert_int_equal(errno, EFAULT);
	mask = BIT_OF(END);
	assert_int_equal(write(smi, &mask, sizeof(mask)), sizeof(mask));
	prefetch_back(p, LEN);
	assert_int_equal(poll(&poll_smi, 1, KT_WAIT_MS), 1);
	assert_true(count(END) > 0);
	assert_int_equal(count(START), 0);
}

static void smi_of_an_unknown_gpu_is_EINVAL(void **state)
{
	struct kfd_ioctl_smi_events_args args = { .gpuid = 0xfffe };

	(void)state;
	gpu_open();
	expect_ret(kt_ioctl(gpu.kfd, AMDKFD_IOC_SMI_EVENTS, &args), -EINVAL);
	args.gpuid = 0;
	expect_ret(kt_ioctl(gpu.kfd, AMDKFD_IOC_SMI_EVENTS, &args), -EINVAL);
}

static int moves_memory(void *arg)
{
	char *p;

	(void)arg;
	child_check(gpu_reopen_in_child() == 0);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_check(p != MAP_FAILED);
	memset(p, 1, LEN);
	child_check(kt_svm_set1(gpu.kfd, p, LEN, KFD_SVM_ATTR_PREFETCH_LOC,
				gpu.gpu_id) == 0);
	child_check(in_vram(p, LEN) == PAGES);
	return 0;
}

/* Of others nothing, unless root asks for it. */
static void smi_tells_of_ones_own_process_only(void **state)
{
	char text[1024];
	uint64_t mask = BIT_OF(START) | BIT_OF(END) | BIT_OF(64);

	(void)state;
	gpu_open();
	listen_to(BIT_OF(START) | BIT_OF(END));
	expect_child_ok(spawn(moves_memory, NULL));
	assert_int_equal(read(smi, text, sizeof(text)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(write(smi, &mask, sizeof(mask)), sizeof(mask));
	expect_child_ok(spawn(moves_memory, NULL));
	assert_true(read(smi, text, sizeof(text)) > 0);
}

/* ---- whose addresses, and how far ---- */

static struct chan chan;
static char *mem;

/* Elsewhere than its parent has it. */
static int moves_and_touches(void *arg)
{
	char *p;

	(void)arg;
	p = mremap(mem, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
		   mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	child_check(p != MAP_FAILED && p != mem);
	child_is_ready(&chan);
	child_check(words_are(p, LEN, 1));
	return 0;
}

/* A child that shares the memory brings it back: at the address the parent knows. */
static void smi_tells_ones_own_addresses_of_a_childs_access(void **state)
{
	pid_t pid;

	(void)state;
	gpu_open_queue();
	mem = vram_filled(LEN, 1);
	pid = spawn_ready(&chan, moves_and_touches, NULL);
	listen_to(BIT_OF(START) | BIT_OF(END));
	finish_child(&chan, pid);
	expect_in_vram(mem, LEN, 0);
	assert_true(kt_wait_for(count(START) == count(END) && count(END), KT_WAIT_MS));
	/* Its address decides how much comes at once. */
	for (unsigned int i = 0; i < nevents; i++) {
		assert_in_range(events[i].page, (uintptr_t)mem / KT_PAGE,
				(uintptr_t)mem / KT_PAGE + PAGES - 1);
		assert_in_range(events[i].page + events[i].npages,
				(uintptr_t)mem / KT_PAGE + 1, (uintptr_t)mem / KT_PAGE + PAGES);
	}
	expect_told(KFD_MIGRATE_TRIGGER_PAGEFAULT_CPU, gpu.gpu_id, 0);
	expect_words(mem, LEN, 1);
}

#define UNMAP KFD_SMI_EVENT_UNMAP_FROM_GPU

/* A munmap() of much takes from the GPU what is registered in it and mapped. */
static void smi_tells_what_the_gpu_loses_range_by_range(void **state)
{
	char *p;

	(void)state;
	gpu_open_queue();
	p = vram_map(4 * LEN);
	fill_words(p, 4 * LEN, 1);
	set_attr(p, LEN, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	set_attr(p + 2 * LEN, LEN, KFD_SVM_ATTR_PREFERRED_LOC, KFD_SVM_LOC_SYSMEM);
	vram_register(p, LEN);
	vram_register(p + 2 * LEN, LEN);
	gpu_expect_words(p, LEN, 1);
	gpu_expect_words(p + 2 * LEN, LEN, seed_at(1, 2 * LEN));
	listen_to(BIT_OF(UNMAP));
	assert_int_equal(munmap(p + LEN / 2, 4 * LEN - LEN / 2), 0);
	assert_true(kt_wait_for(count(UNMAP) >= 2, KT_WAIT_MS));
	assert_int_equal(count(UNMAP), 2);
	assert_int_equal(events[0].page, (uintptr_t)(p + LEN / 2) / KT_PAGE);
	assert_int_equal(events[0].npages, PAGES / 2);
	assert_int_equal(events[1].page, (uintptr_t)(p + 2 * LEN) / KT_PAGE);
	assert_int_equal(events[1].npages, PAGES);
	gpu_expect_words(p, LEN / 2, 1);
}

/* ---- execve() ---- */

/* Listens as another user if @arg is one, and becomes a program of the one it was. */
static int listens_and_execs(void *arg)
{
	uid_t user = *(uid_t *)arg;
	struct kfd_ioctl_smi_events_args args;
	uint64_t mask = BIT_OF(START) | BIT_OF(END);
	char fd[16], node[16];

	child_check(gpu_reopen_in_child() == 0);
	args = (struct kfd_ioctl_smi_events_args){ .gpuid = gpu.gpu_id };
	child_check(seteuid(user) == 0);
	child_check(kt_ioctl(gpu.kfd, AMDKFD_IOC_SMI_EVENTS, &args) == 0);
	child_check(seteuid(getuid()) == 0);
	child_check(write((int)args.anon_fd, &mask, sizeof(mask)) == sizeof(mask));
	child_check(fcntl((int)args.anon_fd, F_SETFD, 0) == 0);
	snprintf(fd, sizeof(fd), "%u", args.anon_fd);
	snprintf(node, sizeof(node), "%u", gpu.node);
	exec_self(user == getuid() ? "fd-has-something-to-read" : "fd-has-nothing-to-read",
		  fd, node);
	return 1;
}

/* Whoever starts a program can listen to it. */
static void smi_tells_of_the_program_after_exec(void **state)
{
	uid_t user = getuid();

	(void)state;
	gpu_open();
	expect_child_ok(spawn(listens_and_execs, &user));
}

static void smi_tells_nothing_of_a_program_with_other_privileges(void **state)
{
	uid_t user = 65534;

	(void)state;
	gpu_open();
	expect_child_ok(spawn(listens_and_execs, &user));
}

static const struct conf_case cases[] = {
	CASE(smi_tells_ones_own_addresses_of_a_childs_access, CONF_BOTH | CONF_FAULT_BACK),
	CASE(smi_tells_what_the_gpu_loses_range_by_range, CONF_BOTH),
	CASE(smi_tells_of_the_program_after_exec, CONF_ONCE | CONF_VRAM),
	CASE(smi_tells_nothing_of_a_program_with_other_privileges,
	     CONF_ONCE | CONF_VRAM | CONF_ROOT),
	CASE(kfdtest_HMMProfilingEvent, CONF_BOTH | CONF_VRAM),
	CASE(smi_tells_of_faults_of_both_sides, CONF_ON | CONF_FAULT_BACK),
	CASE(smi_tells_whether_a_fault_moved_memory, CONF_ON | CONF_VRAM),
	CASE(smi_start_has_an_end_if_nothing_moves, CONF_BOTH | CONF_VRAM),
	CASE(smi_tells_queues_stop_and_go_on, CONF_OFF | CONF_FAULT_BACK),
	CASE(smi_reads_nothing_before_a_mask_is_set, CONF_BOTH | CONF_VRAM),
	CASE(smi_of_an_unknown_gpu_is_EINVAL, CONF_ONCE),
	CASE(smi_tells_of_ones_own_process_only, CONF_BOTH | CONF_VRAM | CONF_ROOT),
};

CONF_GROUP(smi_group, cases);
