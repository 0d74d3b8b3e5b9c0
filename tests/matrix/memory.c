// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of each kind. Where the kind leaves a choice it has a mapping of its own
 * between two others without access, so that nothing of it is merged with memory of
 * somebody else and page counts are exact.
 */
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "cell.h"

#define STACK_SLACK (256UL << 10)	/* for the functions the cell calls */
#define STACK_LIMIT (160UL << 20)
#define HEAP_LIMIT (128L << 10)		/* malloc() maps what is larger */

/* 2 MiB + 4 KiB begin a page before a border. */
static size_t shift_of(size_t len)
{
	return len % KT_HUGE && len > KT_HUGE ? KT_HUGE - KT_PAGE : 0;
}

/* Addresses nobody else gets, with room on both sides. */
static char *reserve(struct mx_memory *mem)
{
	size_t len = mem->len + 3 * KT_HUGE;
	char *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	assert_true(p != MAP_FAILED);
	mem->room[mem->nrooms].start = p;
	mem->room[mem->nrooms++].len = len;
	p = (char *)(((uintptr_t)p + KT_PAGE + KT_HUGE - 1) & ~(KT_HUGE - 1));
	return p + shift_of(mem->len);
}

static void map_at_own_place(struct mx_memory *mem, int flags, int fd)
{
	char *at = reserve(mem);

	mem->p = mmap(at, mem->len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	if (mem->p == MAP_FAILED)
		fail_msg("mmap of %zu bytes: %s", mem->len, strerror(errno));
}

static void make_malloc(const struct mx_cell *cell, struct mx_memory *mem)
{
	size_t shift = shift_of(mem->len);
	char *end;

	mallopt(M_MMAP_THRESHOLD, HEAP_LIMIT);
	if (posix_memalign(&mem->heap, mem->len < KT_HUGE ? KT_PAGE : KT_HUGE,
			   mem->len + shift))
		fail_msg("no memory for malloc()");
	mem->p = (char *)mem->heap + shift;
	end = sbrk(0);
	assert_int_equal(mem->p < end && end - mem->p < 1L << 30, mx_is_heap(cell));
	/* The heap may have used it before. */
	assert_int_equal(madvise(mem->p, mem->len, MADV_DONTNEED), 0);
}

static void make_stack(struct mx_memory *mem)
{
	struct rlimit limit;
	uintptr_t p = (uintptr_t)__builtin_frame_address(0) - STACK_SLACK - mem->len;

	assert_int_equal(getrlimit(RLIMIT_STACK, &limit), 0);
	limit.rlim_cur = STACK_LIMIT;
	assert_int_equal(setrlimit(RLIMIT_STACK, &limit), 0);
	p &= ~((mem->len < KT_HUGE ? KT_PAGE : KT_HUGE) - 1);
	/* From the border below it stays below. */
	mem->p = (char *)p - (shift_of(mem->len) ? KT_PAGE : 0);
	/* Grows down to here. */
	*(volatile char *)(mem->p - KT_PAGE) = 1;
	assert_int_equal(madvise(mem->p, mem->len, MADV_DONTNEED), 0);
}

static void make_file(const char *dir, int flags, struct mx_memory *mem)
{
	mem->fd = temp_file(dir, mem->len);
	if (mem->fd < 0)
		fail_msg("no file in %s: %s", dir, strerror(-mem->fd));
	file_write(mem->fd, mem->len, MX_FILE);
	map_at_own_place(mem, flags, mem->fd);
}

void memory_make(const struct mx_cell *cell, struct mx_memory *mem)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;

	*mem = (struct mx_memory){ .len = mx_npages(cell->size) * KT_PAGE, .fd = -1 };
	switch (cell->kind) {
	case MX_MALLOC:
		make_malloc(cell, mem);
		break;
	case MX_STACK:
		make_stack(mem);
		break;
	case MX_MMAP:
		map_at_own_place(mem, anon, -1);
		madvise(mem->p, mem->len, MADV_NOHUGEPAGE);
		break;
	case MX_THP:
		map_at_own_place(mem, anon, -1);
		assert_int_equal(madvise(mem->p, mem->len, MADV_HUGEPAGE), 0);
		break;
	case MX_HUGETLB:
		map_at_own_place(mem, anon | MAP_HUGETLB, -1);
		break;
	case MX_SHMEM:
		map_at_own_place(mem, MAP_SHARED | MAP_ANONYMOUS, -1);
		break;
	case MX_MEMFD:
		mem->fd = memfd_create("kfdsvm-matrix", MFD_CLOEXEC);
		assert_true(mem->fd >= 0);
		assert_int_equal(ftruncate(mem->fd, (off_t)mem->len), 0);
		map_at_own_place(mem, MAP_SHARED, mem->fd);
		break;
	case MX_PRIVATE_FILE:
		make_file(conf_run.dir, MAP_PRIVATE, mem);
		break;
	case MX_SHARED_FILE:
		make_file(conf_run.dir, MAP_SHARED, mem);
		break;
	case MX_DAX:
		make_file(mx_run.dax_dir, MAP_SHARED, mem);
		break;
	case MX_NKINDS:
		break;
	}
	/* A hole in the stack stays, and what is below is no initial stack any more. */
	mem->spoiled = cell->kind == MX_STACK &&
		       (cell->event == MX_MUNMAP || cell->event == MX_MREMAP);
}

int memory_move(struct mx_memory *mem)
{
	char *to = reserve(mem);

	if (mremap(mem->p, mem->len, mem->len, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
	    MAP_FAILED)
		return -errno;
	mem->old = mem->p;
	mem->p = to;
	return 0;
}

/* malloc() and the stack go on with their memory. */
static void mend(const struct mx_cell *cell, struct mx_memory *mem)
{
	char *p = mem->old ?: mem->p + mem->hole;
	size_t len = mem->old ? mem->len : mem->hole_len;
	struct kfd_svm_attribute attrs[2];

	if (len && !mem->spoiled)
		assert_true(mmap(p, len, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	p = mem->old ?: mem->p;
	if (!mem->spoiled)
		assert_int_equal(mprotect(p, mem->len, PROT_READ | PROT_WRITE), 0);
	if (cell->mode == MX_XNACK_OFF && !mem->spoiled) {
		attrs[0] = (struct kfd_svm_attribute){ KFD_SVM_ATTR_PREFETCH_LOC, 0 };
		attrs[1] = (struct kfd_svm_attribute){ KFD_SVM_ATTR_NO_ACCESS, gpu.gpu_id };
		expect_ok(kt_svm(gpu.kfd, KFD_SVM_OP_SET_ATTR, (uintptr_t)p, mem->len, 2,
				 attrs));
	}
	/* Beyond a hole it goes on, and tells of it. */
	if (madvise(p, mem->len, MADV_DONTNEED))
		assert_true(mem->spoiled && errno == ENOMEM);
	free(mem->heap);
}

void memory_drop(const struct mx_cell *cell, struct mx_memory *mem)
{
	if (cell->kind == MX_MALLOC || cell->kind == MX_STACK)
		mend(cell, mem);
	for (unsigned int i = 0; i < mem->nrooms; i++)
		assert_int_equal(munmap(mem->room[i].start, mem->room[i].len), 0);
	if (mem->fd >= 0)
		close(mem->fd);
}

#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"

long hugetlb_pool(long npages)
{
	char text[32];
	long before;

	if (kt_read_file(NR_HUGEPAGES, text, sizeof(text)) <= 0)
		return -1;
	before = strtol(text, NULL, 10);
	if (npages < 0)
		return before;
	snprintf(text, sizeof(text), "%ld", npages);
	if (kt_write_file(NR_HUGEPAGES, text) ||
	    kt_read_file(NR_HUGEPAGES, text, sizeof(text)) <= 0 ||
	    strtol(text, NULL, 10) < npages)
		return -1;
	return before;
}
