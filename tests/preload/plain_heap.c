// SPDX-License-Identifier: MIT
/* malloc after the queue: the heap grows, shrinks, and grows again. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plain.h"

#define PIECE		(100 << 10)
#define PIECES		40u
#define LARGE		(40u << 20)	/* over any threshold for a mapping of its own */
#define ENDS		8192u

/* Large memory is looked at where it begins and where it ends. */
static bool ends(void *p, size_t len)
{
	return p && half_to_half(p, ENDS) && half_to_half((char *)p + len - ENDS, ENDS);
}

/* The main heap grows by many steps; every block is used. */
static bool use_pieces(void)
{
	void *pieces[PIECES];

	for (unsigned int i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE);
		if (!pieces[i] || !half_to_half(pieces[i], PIECE))
			return fail("growing");
	}
	for (unsigned int i = 0; i < PIECES; i++)
		free(pieces[i]);
	return true;
}

static bool grow(void)
{
	return open_gpu() && use_pieces();
}

/* Freed from the top, the heap could be given back and grow anew. */
static bool shrink_and_grow(void)
{
	return open_gpu() && use_pieces() && malloc_trim(0) >= 0 &&
	       mallopt(M_TRIM_THRESHOLD, 4096) && use_pieces() && malloc_trim(0) >= 0 &&
	       use_pieces();
}

/* A mapping that comes and goes, mostly at the same address. */
static bool large(void)
{
	if (!open_gpu())
		return false;
	for (unsigned int i = 0; i < 3; i++) {
		void *p = malloc(LARGE);

		if (!ends(p, LARGE))
			return false;
		free(p);
	}
	return true;
}

static bool large_realloc(void)
{
	char *p;
	size_t len = LARGE;

	if (!open_gpu())
		return false;
	p = malloc(len);
	for (unsigned int i = 0; i < 2; i++) {
		if (!ends(p, len))
			return false;
		len += 3u << 20;
		p = realloc(p, len);
	}
	return ends(p, len);
}

static bool small_realloc(void)
{
	volatile size_t too_many = SIZE_MAX / 2;
	char *p = NULL;

	if (!open_gpu())
		return false;
	for (size_t len = 4096; len < (3u << 20); len *= 2) {
		p = realloc(p, len);
		if (!p || !half_to_half(p, len))
			return false;
	}
	p = reallocarray(p, 5, 1 << 20);
	return p && half_to_half(p, 5 << 20) && !reallocarray(p, too_many, 3) &&
	       errno == ENOMEM;
}

static bool aligned(void)
{
	void *p, *memory[5] = { 0 };

	if (!open_gpu() || posix_memalign(&p, 1 << 16, PIECE))
		return false;
	memory[0] = p;
	memory[1] = aligned_alloc(4096, 1 << 20);
	memory[2] = memalign(1 << 20, LARGE);
	memory[3] = valloc(PIECE);
	memory[4] = calloc(PIECE, 30);
	for (unsigned int i = 0; i < 5; i++)
		if (!memory[i] || !half_to_half(memory[i], PIECE))
			return fail("aligned memory");
	return true;
}

/* What libc allocates for the program comes by its own calls of malloc. */
static bool from_libc(void)
{
	size_t len = 2 << 20;
	char *text, *copy;

	if (!open_gpu())
		return false;
	text = malloc(len + 1);
	memset(text, 'x', len);
	text[len] = '\0';
	copy = strdup(text);
	if (!copy || !half_to_half(copy, len))
		return false;
	text[len / 2] = '\0';
	return asprintf(&copy, "%s%s", text, text) == (int)len && half_to_half(copy, len);
}

/* ---- an arena of a thread ---- */

#define BLOCK	(1u << 20)
#define BLOCKS	70u	/* more than the 64 MiB of one heap */

static bool use_blocks(void **blocks, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		blocks[i] = malloc(BLOCK);
		/* All of the second heap, some of the first. */
		if ((i % 16 == 0 || i > BLOCKS - 12) && !ends(blocks[i], BLOCK))
			return fail("a block of an arena");
	}
	return true;
}

static void *arena_body(void *arg)
{
	static void *blocks[BLOCKS];
	bool *good = arg;
	void *small = malloc(64);

	*good = half_to_half(small, 64);
	/* Small steps first: the heap of an arena grows page by page. */
	for (unsigned int i = 0; *good && i < 400; i++) {
		void *p = malloc(2048);

		*good = p && (i % 8 || half_to_half(p, 2048));
	}
	for (unsigned int round = 0; *good && round < 2; round++) {
		*good = use_blocks(blocks, BLOCKS);
		/* The second heap is empty then, and could be unmapped. */
		for (unsigned int i = BLOCKS; i-- > 0;)
			free(blocks[i]);
	}
	free(small);
	return NULL;
}

static bool arena(void)
{
	pthread_t thread;
	bool good = false;

	if (!open_gpu() || pthread_create(&thread, NULL, arena_body, &good))
		return false;
	pthread_join(thread, NULL);
	return good;
}

/* Below the threshold for mappings of their own, and in sum more than one heap. */
#define OLD_BLOCK	(100u << 10)
#define OLD_BLOCKS	700u

/* The thread has its arena, with a second heap, before the queue is made. */
static void *old_arena_body(void *arg)
{
	static void *old[OLD_BLOCKS], *blocks[BLOCKS];
	bool *good = arg;

	for (unsigned int i = 0; i < OLD_BLOCKS; i++)
		old[i] = malloc(OLD_BLOCK);
	*good = open_gpu();
	for (unsigned int i = OLD_BLOCKS; i-- > 0;) {
		*good = *good && (i % 64 || half_to_half(old[i], OLD_BLOCK));
		free(old[i]);
	}
	for (unsigned int round = 0; *good && round < 2; round++) {
		*good = use_blocks(blocks, BLOCKS);
		for (unsigned int i = BLOCKS; i-- > 0;)
			free(blocks[i]);
	}
	return NULL;
}

static bool arena_from_before(void)
{
	pthread_t thread;
	bool good = false;

	if (pthread_create(&thread, NULL, old_arena_body, &good))
		return false;
	pthread_join(thread, NULL);
	return good;
}

const struct plain_case heap_cases[] = {
	{ "heap_grow", grow },
	{ "heap_shrink_and_grow", shrink_and_grow },
	{ "heap_large", large },
	{ "heap_large_realloc", large_realloc },
	{ "heap_small_realloc", small_realloc },
	{ "heap_aligned", aligned },
	{ "heap_from_libc", from_libc },
	{ "heap_arena", arena },
	{ "heap_arena_from_before", arena_from_before },
	{ 0 },
};
