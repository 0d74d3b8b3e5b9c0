// SPDX-License-Identifier: GPL-2.0-only
/*
 * Once the call that took memory away has returned, the device reaches it no more.
 * Behind the IOMMU the old bus address is tried.
 */
#include "edu.h"
#include "edu_cases.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The old page is held by who called: it must not be read or written. */
static void try_stale(int fd, uint64_t dma, const void *old)
{
	char data[2048];

	if (!behind_iommu())
		return;
	memset(data, 'e', sizeof(data));
	edu_raw(fd, dma, data, sizeof(data), HME_WRITE);
	edu_raw(fd, dma, data, sizeof(data), 0);
	CHECK(memcmp(data, old, sizeof(data)));
}

void munmap_ends_access(void)
{
	unsigned char old[PAGE_LEN];
	int fd = edu_open(), memfd;
	char *va = map_memfd(4 * PAGE_LEN, &memfd);
	struct hme_map map = { .req = REQ_WRITE };
	uint64_t dma;

	fill(va, PAGE_LEN, 1);
	CHECK_EQ(edu_map(fd, va, 4 * PAGE_LEN, &map), 0);
	dma = edu_mapping(fd, va).dma;
	TRY(munmap(va, 4 * PAGE_LEN));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK_EQ(edu_read(fd, va, old, 16, HME_NO_FAULT), ENOENT);
	CHECK_EQ(edu_read(fd, va, old, 16, 0), EFAULT);
	fill(old, PAGE_LEN, 1);
	try_stale(fd, dma, old);
	/* The page is still the file's. */
	CHECK_EQ(pread(memfd, old, PAGE_LEN, 0), PAGE_LEN);
	CHECK(filled(old, PAGE_LEN, 1));
	close(fd);
}

void dontneed_ends_access(void)
{
	unsigned char old[PAGE_LEN];
	char *va = map_anon(PAGE_LEN);
	struct iovec iov = { .iov_base = va, .iov_len = PAGE_LEN };
	int fd = edu_open(), pipes[2];
	uint64_t dma;

	TRY(pipe(pipes));
	fill(va, PAGE_LEN, 2);
	CHECK_EQ(edu_write(fd, va, va, 16, 0), 0);
	dma = edu_mapping(fd, va).dma;
	/* The pipe keeps the page itself. */
	CHECK_EQ(vmsplice(pipes[1], &iov, 1, 0), PAGE_LEN);
	TRY(madvise(va, PAGE_LEN, MADV_DONTNEED));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	fill(old, PAGE_LEN, 2);
	try_stale(fd, dma, old);
	memset(old, 0, sizeof(old));
	CHECK_EQ(read(pipes[0], old, PAGE_LEN), PAGE_LEN);
	CHECK(filled(old, PAGE_LEN, 2));
	/* The new page is what the device sees now. */
	CHECK_EQ(edu_read(fd, va, old, 16, 0), 0);
	CHECK_EQ(old[0] | old[15], 0);
	close(fd);
}

void punched_hole_ends_access(void)
{
	unsigned char old[16];
	int fd = edu_open(), memfd;
	char *va = map_memfd(2 * PAGE_LEN, &memfd);

	fill(va, PAGE_LEN, 3);
	CHECK_EQ(edu_read(fd, va, old, 16, 0), 0);
	CHECK(filled(old, 16, 3));
	TRY(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      PAGE_LEN));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK_EQ(edu_read(fd, va, old, 16, 0), 0);
	CHECK_EQ(old[0] | old[15], 0);
	close(fd);
}

void mprotect_ends_writing(void)
{
	char *va = map_anon(PAGE_LEN);
	int fd = edu_open();
	char data[4] = "wwww";
	uint64_t dma;

	CHECK_EQ(edu_write(fd, va, data, 4, 0), 0);
	dma = edu_mapping(fd, va).dma;
	TRY(mprotect(va, PAGE_LEN, PROT_READ));
	CHECK_EQ(edu_stats(fd).nr_live, 0);
	CHECK_EQ(edu_write(fd, va, "xxxx", 4, 0), EPERM);
	if (behind_iommu())
		edu_raw(fd, dma, "yyyy", 4, HME_WRITE);
	CHECK(!memcmp(va, "wwww", 4));
	close(fd);
}

/*
 * The engine is at work when munmap() comes: munmap() returns after it. That the engine
 * still runs by then is likely, as it takes 100 ms, not certain: try until one did.
 */
void munmap_waits_for_the_engine(void)
{
	unsigned char data[1024], seen[1024];
	int fd = edu_open(), memfd, i;
	char *va;

	fill(data, sizeof(data), 4);
	for (i = 0; i < 50 && !edu_stats(fd).nr_waits; i++) {
		va = map_memfd(PAGE_LEN, &memfd);
		CHECK_EQ(edu_write(fd, va, data, sizeof(data), HME_ASYNC), 0);
		TRY(munmap(va, PAGE_LEN));
		CHECK_EQ(edu_stats(fd).in_flight, 0);
		CHECK_EQ(pread(memfd, seen, sizeof(seen), 0), sizeof(seen));
		CHECK(filled(seen, sizeof(seen), 4));
		close(memfd);
	}
	CHECK(edu_stats(fd).nr_waits);
	close(fd);
}

void unrelated_munmap_does_not_wait(void)
{
	char *va = map_anon(PAGE_LEN), *other = map_anon(PAGE_LEN);
	struct hme_map map = { .req = REQ_WRITE };
	unsigned char data[1024];
	int fd = edu_open();

	fill(data, sizeof(data), 5);
	CHECK_EQ(edu_map(fd, other, PAGE_LEN, &map), 0);
	CHECK_EQ(edu_write(fd, va, data, sizeof(data), HME_ASYNC), 0);
	TRY(munmap(other, PAGE_LEN));
	CHECK_EQ(edu_stats(fd).nr_events, 1);
	CHECK_EQ(edu_stats(fd).nr_waits, 0);
	/* The next transfer begins after the one that runs. */
	CHECK_EQ(edu_read(fd, va, data, 16, 0), 0);
	CHECK(filled(va, sizeof(data), 5));
	close(fd);
}

/* A process dies, in every way, while the engine writes to its memory. */
static void die_in_flight(bool by_signal)
{
	unsigned char seen[1024], data[1024];
	int memfd, status, fd;
	char *va = map_memfd(PAGE_LEN, &memfd);
	pid_t child;

	fill(data, sizeof(data), 6);
	child = TRY(fork());
	if (!child) {
		fd = edu_open();
		if (edu_write(fd, va, data, sizeof(data), HME_ASYNC))
			_exit(1);
		if (by_signal)
			raise(SIGKILL);
		_exit(0);
	}
	TRY(waitpid(child, &status, 0));
	if (by_signal)
		CHECK_EQ(WTERMSIG(status), SIGKILL);
	else
		CHECK_EQ(status, 0);
	/* Its memory is gone, so the engine has come to an end before. */
	CHECK_EQ(pread(memfd, seen, sizeof(seen), 0), sizeof(seen));
	CHECK(filled(seen, sizeof(seen), 6));
}

void exit_while_the_engine_runs(void)
{
	die_in_flight(false);
	die_in_flight(true);
}

void close_ends_access(void)
{
	unsigned char old[PAGE_LEN];
	int fd = edu_open(), other = edu_open();
	char *va = map_anon(PAGE_LEN);
	uint64_t dma;

	fill(va, PAGE_LEN, 7);
	CHECK_EQ(edu_write(fd, va, va, 16, 0), 0);
	dma = edu_mapping(fd, va).dma;
	close(fd);
	fill(old, PAGE_LEN, 7);
	try_stale(other, dma, old);
	CHECK(filled(va, PAGE_LEN, 7));
	close(other);
}
