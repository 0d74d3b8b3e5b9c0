// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is in memory. Every word depends on its place, on who wrote it last, and on the
 * cell. Of 64 MiB only the ends of each page are looked at; all of it is moved.
 */
#include <sys/mman.h>

#include "cell.h"

#define PIECE KT_HUGE
#define SPARSE_FROM (16UL << 20)
#define STAMP 64UL	/* bytes at each end of a page */

static uint32_t cell_seed;

/* What the GPU reads and what it is to write, for each. */
static struct { struct kt_bo in, out; } windows[MX_NGPUS];

void data_new_cell(void)
{
	cell_seed += 0x61c88647U;
}

static uint32_t seed_of(enum mx_data data, size_t at)
{
	return seed_at(cell_seed + data * 0x01000193U, at);
}

static void fill_piece(char *p, size_t at, size_t len, enum mx_data data, bool sparse)
{
	if (!sparse) {
		fill_words(p, len, seed_of(data, at));
		return;
	}
	for (size_t i = 0; i < len; i += KT_PAGE) {
		fill_words(p + i, STAMP, seed_of(data, at + i));
		fill_words(p + i + KT_PAGE - STAMP, STAMP,
			   seed_of(data, at + i + KT_PAGE - STAMP));
	}
}

static bool is_zero(const char *p, size_t len)
{
	const uint64_t *w = (const uint64_t *)p;

	for (size_t i = 0; i < len / sizeof(*w); i++)
		if (w[i])
			return false;
	return true;
}

static bool words_match(const char *p, size_t at, size_t len, enum mx_data data)
{
	return data == MX_ZERO ? is_zero(p, len) : words_are(p, len, seed_of(data, at));
}

/* Finds the page that is wrong; -1: none. */
static long wrong_page(const char *p, size_t at, size_t len, enum mx_data data,
		       bool sparse)
{
	for (size_t i = 0; i < len; i += KT_PAGE) {
		bool ok;

		if (sparse)
			ok = words_match(p + i, at + i, STAMP, data) &&
			     words_match(p + i + KT_PAGE - STAMP,
					 at + i + KT_PAGE - STAMP, STAMP, data);
		else
			ok = words_match(p + i, at + i, KT_PAGE, data);
		if (!ok)
			return (long)((at + i) / KT_PAGE);
	}
	return -1;
}

/* The piece of the memory from @at on, @len bytes at most; 0: the end. */
static size_t next_piece(const struct mx_memory *mem, size_t *at)
{
	size_t end = mem->len;

	if (mem->hole_len && *at >= mem->hole && *at < mem->hole + mem->hole_len)
		*at = mem->hole + mem->hole_len;
	if (mem->hole_len && *at < mem->hole)
		end = mem->hole;
	return end - *at < PIECE ? end - *at : PIECE;
}

static bool is_sparse(const struct mx_memory *mem)
{
	return mem->len >= SPARSE_FROM;
}

void cpu_write(const struct mx_memory *mem, enum mx_data data)
{
	size_t n;

	for (size_t at = 0; (n = next_piece(mem, &at)); at += n)
		fill_piece(mem->p + at, at, n, data, is_sparse(mem));
}

bool cpu_sees(const struct mx_memory *mem, enum mx_data data)
{
	size_t n;

	for (size_t at = 0; (n = next_piece(mem, &at)); at += n) {
		long page = wrong_page(mem->p + at, at, n, data, is_sparse(mem));

		if (page < 0)
			continue;
		fprintf(stderr, "data: the CPU reads %#x in page %ld, expected %#x\n",
			*(uint32_t *)(mem->p + (size_t)page * KT_PAGE), page,
			data == MX_ZERO ? 0 : seed_of(data, (size_t)page * KT_PAGE));
		return false;
	}
	return true;
}

void file_write(int fd, size_t len, enum mx_data data)
{
	char *buf = map_pages(PIECE);

	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < PIECE ? len - at : PIECE;
		fill_piece(buf, at, n, data, len >= SPARSE_FROM);
		if (pwrite(fd, buf, n, (off_t)at) != (ssize_t)n)
			fail_msg("writing the file: %s", strerror(errno));
	}
	munmap(buf, PIECE);
}

void expect_file(const struct mx_memory *mem, enum mx_data data)
{
	char *buf = map_pages(PIECE);
	size_t n;

	for (size_t at = 0; (n = next_piece(mem, &at)); at += n) {
		long page;

		if (pread(mem->fd, buf, n, (off_t)at) != (ssize_t)n)
			fail_msg("reading the file: %s", strerror(errno));
		page = wrong_page(buf, at, n, data, is_sparse(mem));
		if (page >= 0)
			fail_msg("data: page %ld of the file is wrong", page);
	}
	munmap(buf, PIECE);
}

void data_open_gpu(unsigned int gpu_index)
{
	expect_ok(kt_bo_gtt(&gpu, PIECE, &windows[gpu_index].in));
	expect_ok(kt_bo_gtt(&gpu, PIECE, &windows[gpu_index].out));
}

void gpu_write(const struct mx_memory *mem, unsigned int gpu_index, enum mx_data data)
{
	char *out = windows[gpu_index].out.cpu;
	size_t n;

	for (size_t at = 0; (n = next_piece(mem, &at)); at += n) {
		fill_piece(out, at, n, data, is_sparse(mem));
		gpu_copy(mem->p + at, out, n);
	}
}

void gpu_expect(const struct mx_memory *mem, unsigned int gpu_index, enum mx_data data)
{
	char *in = windows[gpu_index].in.cpu;
	size_t n;

	for (size_t at = 0; (n = next_piece(mem, &at)); at += n) {
		long page;

		/* A page that is not copied shows. */
		for (size_t i = 0; i < n; i += KT_PAGE)
			*(volatile uint32_t *)(in + i) = 0xbad0bad0;
		gpu_copy(in, mem->p + at, n);
		page = wrong_page(in, at, n, data, is_sparse(mem));
		if (page >= 0)
			fail_msg("data: GPU %u reads %#x in page %ld, expected %#x",
				 gpu_index + 1,
				 *(uint32_t *)(in + ((size_t)page * KT_PAGE - at)), page,
				 data == MX_ZERO ? 0 :
				 seed_of(data, (size_t)page * KT_PAGE));
	}
}
