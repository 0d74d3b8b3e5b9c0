// SPDX-License-Identifier: MIT
/* Mappings that the program makes and changes after the queue. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "plain.h"

#define LEN	(1u << 20)

static void *anonymous(size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static bool map(void)
{
	void *p;

	if (!open_gpu())
		return false;
	/* Again and again at the same address: sharing ends with munmap. */
	for (unsigned int i = 0; i < 3; i++) {
		p = anonymous(LEN, PROT_READ | PROT_WRITE);
		if (p == MAP_FAILED || !half_to_half(p, LEN) || munmap(p, LEN))
			return false;
	}
	return true;
}

static bool protect(void)
{
	char *p;

	if (!open_gpu())
		return false;
	p = anonymous(64 * (size_t)LEN, PROT_NONE);
	return p != MAP_FAILED && !mprotect(p + LEN, LEN, PROT_READ | PROT_WRITE) &&
	       half_to_half(p + LEN, LEN) && !mprotect(p, LEN, PROT_READ | PROT_WRITE) &&
	       half_to_half(p, 2 * LEN);
}

static bool move(void)
{
	char *p, *wall;

	if (!open_gpu())
		return false;
	p = anonymous(2 * LEN, PROT_READ | PROT_WRITE);
	if (p == MAP_FAILED)
		return false;
	/* No room to grow in place. */
	wall = mmap(p + LEN, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (wall == MAP_FAILED || !half_to_half(p, LEN))
		return false;
	p = mremap(p, LEN, 3 * LEN, MREMAP_MAYMOVE);
	return p != MAP_FAILED && half_to_half(p, 3 * LEN);
}

static bool brk_by_hand(void)
{
	char *p;

	if (!open_gpu())
		return false;
	p = sbrk(LEN);
	if (p == (void *)-1 || !half_to_half(p + (-(uintptr_t)p & 7), LEN - 16))
		return false;
	/* Down and up again: what comes back is new memory. */
	if (sbrk(-(intptr_t)LEN) == (void *)-1 || sbrk(2 * LEN) != p)
		return fail("sbrk");
	return half_to_half(p + (-(uintptr_t)p & 7), 2 * LEN - 16);
}

static bool shm(void)
{
	int id = shmget(IPC_PRIVATE, LEN, IPC_CREAT | 0600);
	void *p;

	if (id < 0 || !open_gpu())
		return false;
	p = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	return p != (void *)-1 && half_to_half(p, LEN);
}

/* Larger than the memory of the machine, and hardly used. */
static bool sparse(void)
{
	const size_t len = (size_t)1 << 40;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *other = malloc(LEN);

	return p != MAP_FAILED && open_gpu() && half_to_half(other, LEN);
}

const struct plain_case map_cases[] = {
	{ "map_again", map },
	{ "map_protect", protect },
	{ "map_move", move },
	{ "map_brk", brk_by_hand },
	{ "map_shm", shm },
	{ "map_beside_sparse", sparse },
	{ 0 },
};
