// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMI events on the virtual GPU: what a tool reads while memory moves and faults, who
 * may read it, and that what is read is whole lines in pairs. Cases that need memory to
 * migrate are skipped where it does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "kt.h"
#include "kt_sdma.h"
#include "kt_smi.h"

#define BIT_OF(id)	(1ULL << ((id) - 1))
#define ALL_EVENTS	(BIT_OF(12) - 1)
#define ALL_PROCESSES	BIT_OF(64)
#define QUEUE_LEN	1024
#define MAX_CLIENTS	64

#define VMFAULT		KFD_SMI_EVENT_VMFAULT
#define MIGRATE_START	KFD_SMI_EVENT_MIGRATE_START
#define MIGRATE_END	KFD_SMI_EVENT_MIGRATE_END
#define FAULT_START	KFD_SMI_EVENT_PAGE_FAULT_START
#define FAULT_END	KFD_SMI_EVENT_PAGE_FAULT_END
#define EVICTION	KFD_SMI_EVENT_QUEUE_EVICTION
#define RESTORE		KFD_SMI_EVENT_QUEUE_RESTORE
#define UNMAP		KFD_SMI_EVENT_UNMAP_FROM_GPU

#define MAX_LINES	64

static struct kt_dev dev;
static struct kt_smi_event lines[MAX_LINES];
static unsigned int nlines;

static int smi_try(const struct kt_dev *d, uint32_t gpu_id)
{
	struct kfd_ioctl_smi_events_args args = { .gpuid = gpu_id };
	int ret = kt_ioctl(d->kfd, AMDKFD_IOC_SMI_EVENTS, &args);

	return ret ? ret : (int)args.anon_fd;
}

static void smi_mask(int fd, uint64_t mask)
{
	CHECK_EQ(write(fd, &mask, sizeof(mask)), sizeof(mask));
}

static int smi_open(uint64_t mask)
{
	int fd = smi_try(&dev, dev.gpu_id);

	if (fd < 0)
		FAIL("SMI_EVENTS: %s", strerror(-fd));
	smi_mask(fd, mask);
	return fd;
}

/* Takes what is there, which is whole lines; false when there is nothing. */
static bool smi_take(int fd)
{
	char text[4096], *at, *end;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0) {
		CHECK_EQ(errno, EAGAIN);
		return false;
	}
	CHECK(n > 0 && n <= QUEUE_LEN);
	text[n] = 0;
	CHECK_EQ(text[n - 1], '\n');
	for (at = text; *at; at = end + 1) {
		end = strchr(at, '\n');
		CHECK(end && nlines < MAX_LINES);
		if (kt_smi_parse(at, &lines[nlines]))
			FAIL("what is this line? %s", at);
		nlines++;
	}
	return true;
}

/* What a GPU waits for is there before the driver tells that it is: ends come late. */
static bool smi_has_ended(int fd)
{
	smi_take(fd);
	return !kt_smi_unended(lines, nlines);
}

/* Reads what there is, and waits for the end of all that has begun. */
static void smi_read(int fd)
{
	nlines = 0;
	if (!kt_wait_for(smi_has_ended(fd), KT_WAIT_MS))
		FAIL("%u of %u lines without an end", kt_smi_unended(lines, nlines), nlines);
}

/* Each START has its END after it and each END its START before it. */
static unsigned int check_pairs(void)
{
	bool ended[MAX_LINES] = { false };
	unsigned int i, k, n = 0;

	for (i = 0; i < nlines; i++) {
		if (lines[i].id == MIGRATE_END || lines[i].id == FAULT_END) {
			if (!ended[i])
				FAIL("line %u: an END without START", i);
			continue;
		}
		if (lines[i].id != MIGRATE_START && lines[i].id != FAULT_START)
			continue;
		for (k = i + 1; k < nlines; k++) {
			if (!ended[k] && lines[k].id == lines[i].id + 1 &&
			    lines[k].pid == lines[i].pid &&
			    lines[k].page == lines[i].page &&
			    lines[k].npages == lines[i].npages &&
			    lines[k].from == lines[i].from &&
			    lines[k].to == lines[i].to && lines[k].gpu == lines[i].gpu)
				break;
		}
		if (k == nlines)
			FAIL("line %u: a START without END", i);
		CHECK(lines[k].ns >= lines[i].ns);
		ended[k] = true;
		n++;
	}
	return n;
}

static const struct kt_smi_event *find(unsigned int id)
{
	for (unsigned int i = 0; i < nlines; i++) {
		if (lines[i].id == id)
			return &lines[i];
	}
	FAIL("no event %u among %u lines", id, nlines);
}

static void setup(void)
{
	int ret = kt_open(&dev, -1);

	if (ret)
		FAIL("cannot open the GPU: %s", strerror(-ret));
}

static void *map_pages(unsigned int npages)
{
	void *p = TRY(mmap(NULL, npages * KT_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	memset(p, 1, npages * KT_PAGE);
	return p;
}

static void prefetch(void *p, unsigned int npages, uint32_t where)
{
	int ret = kt_svm_set1(dev.kfd, p, npages * KT_PAGE, KFD_SVM_ATTR_PREFETCH_LOC,
			      where);

	if (ret)
		FAIL("prefetch to %x: %s", where, strerror(-ret));
}

static bool vram_is_used(void)
{
	uint64_t before, after;
	void *p = map_pages(1);

	if (kt_counter(&dev, "page_in", &before))
		return false;
	prefetch(p, 1, dev.gpu_id);
	if (kt_counter(&dev, "page_in", &after))
		return false;
	munmap(p, KT_PAGE);
	return after > before;
}

static void need_vram(void)
{
	if (!vram_is_used())
		SKIP("memory does not migrate to this GPU");
}

/* Is the CPU told nothing when it touches VRAM, because it reaches it like RAM? */
static bool vram_is_coherent(void)
{
	char path[96], text[512] = "";

	snprintf(path, sizeof(path), "/sys/kernel/debug/vamdgpu/%u/vram", dev.gpu_id);
	if (kt_read_file(path, text, sizeof(text)) < 0)
		SKIP("no debugfs");
	return strstr(text, "migration coherent");
}

static void run_packet(struct kt_queue *q, const uint32_t *dw, unsigned int n)
{
	CHECK_EQ(kt_queue_emit(q, dw, n), 0);
	kt_queue_ring(q);
	CHECK_EQ(kt_queue_wait(q, KT_WAIT_MS), 0);
}

/* Each START is a prefetch of some of the four pages at @p; all are in one of them. */
static void all_starts_are_of(const void *p)
{
	unsigned long first = (uintptr_t)p / KT_PAGE;
	unsigned int told = 0;

	for (unsigned int i = 0; i < nlines; i++) {
		const struct kt_smi_event *l = &lines[i];

		if (l->id != MIGRATE_START)
			continue;
		CHECK_EQ(l->pid, getpid());
		CHECK(l->page >= first && l->npages && l->page + l->npages <= first + 4);
		told |= ((1U << l->npages) - 1) << (l->page - first);
		CHECK_EQ(l->from, 0);
		CHECK_EQ(l->to, dev.gpu_id);
		CHECK_EQ(l->prefetch, dev.gpu_id);
		CHECK_EQ(l->trigger, 0);
	}
	CHECK_EQ(told, 0xf);
}

static void prefetch_is_told_in_pairs(void)
{
	void *p;
	int fd;

	setup();
	need_vram();
	p = map_pages(4);
	fd = smi_open(BIT_OF(MIGRATE_START) | BIT_OF(MIGRATE_END));
	prefetch(p, 4, dev.gpu_id);
	smi_read(fd);
	/* A page in somebody's hands for a moment goes with a second move. */
	CHECK(nlines >= 2);
	CHECK_EQ(2 * check_pairs(), nlines);
	all_starts_are_of(p);
	CHECK_EQ(lines[nlines - 1].error, 0);

	prefetch(p, 4, 0);
	smi_read(fd);
	CHECK(nlines >= 2);
	CHECK_EQ(2 * check_pairs(), nlines);
	CHECK_EQ(find(MIGRATE_START)->from, dev.gpu_id);
	CHECK_EQ(find(MIGRATE_START)->to, 0);
	CHECK_EQ(find(MIGRATE_END)->trigger, 0);
}

static void cpu_fault_is_told(void)
{
	volatile char *p;
	int fd;

	setup();
	need_vram();
	if (vram_is_coherent())
		SKIP("the CPU reaches the VRAM");
	p = map_pages(4);
	prefetch((void *)p, 4, dev.gpu_id);
	fd = smi_open(BIT_OF(MIGRATE_START) | BIT_OF(MIGRATE_END));
	CHECK_EQ(p[2 * KT_PAGE], 1);
	smi_read(fd);
	CHECK(check_pairs() >= 1);
	CHECK_EQ(find(MIGRATE_START)->trigger, 2);
	CHECK_EQ(find(MIGRATE_START)->from, dev.gpu_id);
	CHECK_EQ(find(MIGRATE_START)->to, 0);
}

static void need_xnack(void)
{
	int32_t mode = -1;

	CHECK_EQ(kt_xnack(dev.kfd, &mode), 0);
	if (!mode)
		SKIP("needs XNACK");
}

static void gpu_fault_is_told(void)
{
	uint32_t pkt[KT_SDMA_MAX_DW];
	const struct kt_smi_event *l;
	struct kt_queue q;
	char *p;
	int fd;

	setup();
	need_xnack();
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	p = map_pages(2);
	fd = smi_open(ALL_EVENTS);
	run_packet(&q, pkt, kt_sdma_write1(pkt, (uintptr_t)p + KT_PAGE, 7));
	CHECK_EQ(p[KT_PAGE], 7);
	smi_read(fd);
	CHECK(check_pairs() >= 1);
	l = find(FAULT_START);
	CHECK_EQ(l->pid, getpid());
	CHECK_EQ(l->page, (uintptr_t)p / KT_PAGE + 1);
	CHECK_EQ(l->gpu, dev.gpu_id);
	CHECK_EQ(l->sign, 'W');
	l = find(FAULT_END);
	if (vram_is_used()) {
		CHECK_EQ(l->sign, 'M');
		CHECK_EQ(find(MIGRATE_START)->trigger, 1);
		CHECK(find(MIGRATE_START)->ns <= l->ns);
	} else {
		CHECK_EQ(l->sign, 'U');
	}
}

static void unmap_is_told(void)
{
	uint32_t pkt[KT_SDMA_MAX_DW];
	const struct kt_smi_event *l;
	struct kt_queue q;
	char *p;
	int fd;

	setup();
	need_xnack();
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	p = map_pages(2);
	run_packet(&q, pkt, kt_sdma_write1(pkt, (uintptr_t)p, 7));
	fd = smi_open(BIT_OF(UNMAP));
	TRY(munmap(p, 2 * KT_PAGE));
	smi_read(fd);
	l = find(UNMAP);
	CHECK_EQ(l->pid, getpid());
	CHECK_EQ(l->gpu, dev.gpu_id);
	CHECK_EQ(l->trigger, 2);
	CHECK(l->page <= (uintptr_t)p / KT_PAGE &&
	      l->page + l->npages > (uintptr_t)p / KT_PAGE);
}

/* XNACK off: memory that moves stops the queues, and they go on when there is work. */
static void eviction_is_told(void)
{
	uint32_t pkt[KT_SDMA_MAX_DW];
	struct kt_queue q;
	int32_t mode = 0;
	char *p;
	int fd;

	setup();
	CHECK_EQ(kt_xnack(dev.kfd, &mode), 0);
	p = map_pages(2);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, 2 * KT_PAGE, KFD_SVM_ATTR_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	run_packet(&q, pkt, kt_sdma_write1(pkt, (uintptr_t)p, 7));
	fd = smi_open(BIT_OF(EVICTION) | BIT_OF(RESTORE));
	TRY(madvise(p, KT_PAGE, MADV_DONTNEED));
	run_packet(&q, pkt, kt_sdma_write1(pkt, (uintptr_t)p, 9));
	CHECK_EQ(p[0], 9);
	smi_read(fd);
	CHECK_EQ(find(EVICTION)->gpu, dev.gpu_id);
	CHECK_EQ(find(EVICTION)->pid, getpid());
	CHECK_EQ(find(EVICTION)->trigger, 0);
	CHECK_EQ(find(RESTORE)->gpu, dev.gpu_id);
	CHECK_EQ(find(RESTORE)->pid, getpid());
	CHECK(find(RESTORE)->ns >= find(EVICTION)->ns);
}

static void failed_access_is_told(void)
{
	uint32_t pkt[KT_SDMA_MAX_DW];
	struct kt_queue q;
	struct pollfd pfd;
	char *p;
	int fd;

	setup();
	TRY(prctl(PR_SET_NAME, "a\nb", 0, 0, 0));
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	p = map_pages(1);
	TRY(munmap(p, KT_PAGE));
	fd = smi_open(BIT_OF(VMFAULT));
	CHECK_EQ(kt_queue_emit(&q, pkt, kt_sdma_write1(pkt, (uintptr_t)p, 7)), 0);
	kt_queue_ring(&q);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	CHECK_EQ(poll(&pfd, 1, KT_WAIT_MS), 1);
	smi_read(fd);
	CHECK_EQ(nlines, 1);
	CHECK_EQ(find(VMFAULT)->pid, getpid());
	CHECK_EQ(find(VMFAULT)->sign, 'a');
}

/* Something that every kernel tells: @p was mapped on the GPU, and goes. */
static void make_event(struct kt_queue *q)
{
	uint32_t pkt[KT_SDMA_MAX_DW];
	char *p = map_pages(1);

	run_packet(q, pkt, kt_sdma_write1(pkt, (uintptr_t)p, 7));
	TRY(munmap(p, KT_PAGE));
}

static void calls_say_what_they_should(void)
{
	struct kt_queue q;
	struct pollfd pfd;
	uint64_t mask[2] = { BIT_OF(UNMAP), 0 };
	char text[8];
	void *gone;
	int fd;

	setup();
	need_xnack();
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	CHECK_EQ(smi_try(&dev, 0), -EINVAL);
	CHECK_EQ(smi_try(&dev, 0xffff), -EINVAL);
	fd = smi_try(&dev, dev.gpu_id);
	CHECK(fd >= 0);
	/* Nothing is on at first. */
	make_event(&q);
	CHECK_ERRNO(read(fd, text, sizeof(text)), EAGAIN);
	CHECK_ERRNO(write(fd, mask, 7), EFAULT);
	gone = map_pages(1);
	TRY(munmap(gone, KT_PAGE));
	CHECK_ERRNO(write(fd, gone, 8), EFAULT);
	CHECK_EQ(write(fd, mask, sizeof(mask)), 8);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN | POLLRDNORM };
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	make_event(&q);
	CHECK_EQ(poll(&pfd, 1, KT_WAIT_MS), 1);
	CHECK_EQ(pfd.revents, POLLIN | POLLRDNORM);
	/* As little as is asked for; the rest stays. */
	CHECK_EQ(read(fd, text, 2), 2);
	CHECK(!memcmp(text, "b ", 2));
	CHECK_EQ(poll(&pfd, 1, 0), 1);
	while (read(fd, text, sizeof(text)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(poll(&pfd, 1, 0), 0);
	/* The new mask stands in place of the old one. */
	smi_mask(fd, BIT_OF(VMFAULT));
	make_event(&q);
	CHECK_ERRNO(read(fd, text, sizeof(text)), EAGAIN);
}

static void overflow_loses_whole_events(void)
{
	struct kt_queue q;
	int fd;

	setup();
	need_xnack();
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	fd = smi_open(ALL_EVENTS);
	for (unsigned int i = 0; i < 40; i++)
		make_event(&q);
	smi_read(fd);
	CHECK(nlines >= 5);
	check_pairs();
	make_event(&q);
	smi_read(fd);
	CHECK(nlines >= 1);
	check_pairs();
}

static void clients_are_independent(void)
{
	struct kt_queue q;
	unsigned int n;
	int a, b, c;

	setup();
	need_xnack();
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	a = smi_open(ALL_EVENTS);
	b = smi_open(ALL_EVENTS);
	c = smi_open(BIT_OF(FAULT_START));
	make_event(&q);
	smi_read(a);
	n = nlines;
	CHECK(n >= 3);
	TRY(close(a));
	smi_read(b);
	CHECK_EQ(nlines, n);
	nlines = 0;
	CHECK(smi_take(c));
	CHECK(nlines >= 1 && find(FAULT_START) == &lines[0]);
}

/* The number of lines that a child with its own file sees of what this process does. */
static unsigned int seen_by_child(uint64_t mask, bool privileged)
{
	int ready[2], go[2], status;
	struct kt_queue q;
	char c = 0;
	pid_t pid;

	TRY(pipe(ready));
	TRY(pipe(go));
	pid = TRY(fork());
	if (!pid) {
		struct kt_dev mine;
		int fd;

		CHECK_EQ(kt_open_kfd(&mine, -1), 0);
		if (!privileged)
			TRY(setresuid(65534, 65534, 65534));
		fd = smi_try(&mine, mine.gpu_id);
		CHECK(fd >= 0);
		smi_mask(fd, mask);
		CHECK_EQ(write(ready[1], &c, 1), 1);
		CHECK_EQ(read(go[0], &c, 1), 1);
		smi_read(fd);
		_exit((int)nlines);
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	setup();
	need_xnack();
	CHECK_EQ(kt_queue_create(&dev, 4096, &q), 0);
	make_event(&q);
	CHECK_EQ(write(go[1], &c, 1), 1);
	TRY(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status));
	return (unsigned int)WEXITSTATUS(status);
}

static void others_are_told_nothing(void)
{
	CHECK_EQ(seen_by_child(ALL_EVENTS, true), 0);
}

static void the_unprivileged_are_told_nothing(void)
{
	CHECK_EQ(seen_by_child(ALL_EVENTS | ALL_PROCESSES, false), 0);
}

static void the_privileged_may_ask_for_all(void)
{
	CHECK(seen_by_child(ALL_EVENTS | ALL_PROCESSES, true) >= 3);
}

static void clients_are_limited(void)
{
	int fds[MAX_CLIENTS], fd;

	setup();
	for (unsigned int i = 0; i < MAX_CLIENTS; i++)
		fds[i] = smi_open(ALL_EVENTS);
	CHECK_EQ(smi_try(&dev, dev.gpu_id), -EMFILE);
	TRY(close(fds[0]));
	fd = smi_try(&dev, dev.gpu_id);
	CHECK(fd >= 0);
}

static int module_users(void)
{
	char text[32];

	if (kt_read_file("/sys/module/vamdgpu/refcnt", text, sizeof(text)) < 0)
		SKIP("the kernel does not count users of modules");
	return atoi(text);
}

static void file_holds_the_module(void)
{
	int sock[2], fd;
	pid_t pid;

	TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = TRY(fork());
	if (!pid) {
		setup();
		CHECK_EQ(kt_send_fd(sock[1], smi_open(ALL_EVENTS)), 0);
		_exit(0);
	}
	fd = kt_receive_fd(sock[0]);
	CHECK(fd >= 0);
	TRY(waitpid(pid, NULL, 0));
	/* The process, which holds it too, is taken apart by a worker. */
	CHECK(kt_wait_for(module_users() == 1, KT_WAIT_MS));
	CHECK_ERRNO(syscall(SYS_delete_module, "vamdgpu", O_NONBLOCK), EWOULDBLOCK);
	nlines = 1;
	smi_read(fd);
	CHECK_EQ(nlines, 0);
	TRY(close(fd));
	CHECK(kt_wait_for(!module_users(), KT_WAIT_MS));
}

static const struct test_case cases[] = {
	CASE(calls_say_what_they_should),
	CASE(prefetch_is_told_in_pairs),
	CASE(cpu_fault_is_told),
	CASE(gpu_fault_is_told),
	CASE(unmap_is_told),
	CASE(eviction_is_told),
	CASE(failed_access_is_told),
	CASE(overflow_loses_whole_events),
	CASE(clients_are_independent),
	CASE(others_are_told_nothing),
	CASE(the_unprivileged_are_told_nothing),
	CASE(the_privileged_may_ask_for_all),
	CASE(clients_are_limited),
	CASE(file_holds_the_module),
};

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases, KT_ARRAY_SIZE(cases));
}
