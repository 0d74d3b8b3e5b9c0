// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs: /sys/kernel/debug/kfd_svm/<tgid>/page_tables says what is mapped on the GPU,
 * where and how, and nothing of what is not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "kt.h"
#include "kt_sdma.h"

#define TEXT_LEN	(4UL << 20)

/**
 * struct line - a line of the file
 * @gpu: whose table
 * @first: first byte
 * @last: last byte
 * @leaf: size of a leaf
 * @flags: "rwxs", dashes for what is not
 * @svm: not a memory object's
 * @ram: system memory
 * @owner: else the GPU whose VRAM it is
 */
struct line {
	unsigned int gpu;
	unsigned long first, last;
	char leaf[8], fragment[8], flags[8], mtype[8];
	bool svm, ram;
	unsigned int owner;
};

static struct kt_dev dev;

static void setup(int32_t xnack)
{
	int ret = kt_open(&dev, -1);

	if (ret)
		FAIL("cannot open the GPU: %s", strerror(-ret));
	CHECK_EQ(kt_xnack(dev.kfd, &xnack), 0);
}

static bool parse(const char *text, struct line *line)
{
	char whose[8], target[8];
	int n;

	memset(line, 0, sizeof(*line));
	n = sscanf(text, "gpu %u %lx-%lx leaf %7s fragment %7s %7s %7s %7s %7s", &line->gpu,
		   &line->first, &line->last, line->leaf, line->fragment, line->flags,
		   line->mtype, whose, target);
	if (n != 9)
		return false;
	line->svm = !strcmp(whose, "svm");
	line->ram = !strcmp(target, "ram");
	if (!line->ram && sscanf(strstr(text, " vram "), " vram %u", &line->owner) != 1)
		return false;
	return line->svm || !strcmp(whose, "object");
}

/*
 * Bytes of @p..@p + @len that the GPU has in its table, in how many lines. All of them
 * are alike; *@found is the last one.
 */
static unsigned long mapped(const void *p, size_t len, struct line *found,
			    unsigned int *nlines)
{
	static char text[TEXT_LEN];
	unsigned long first = (uintptr_t)p, last = first + len - 1, sum = 0, end = 0;
	struct line line;
	char path[64], *at, *save;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kfd_svm/%d/page_tables", getpid());
	if (access("/sys/kernel/debug/kfd_svm", F_OK))
		SKIP("no debugfs");
	CHECK(kt_read_file(path, text, sizeof(text)) >= 0);
	*nlines = 0;
	for (at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
		if (!parse(at, &line))
			FAIL("a strange line: %s", at);
		CHECK(line.first <= line.last && (line.gpu != dev.gpu_id || line.first >= end));
		if (line.gpu != dev.gpu_id)
			continue;
		end = line.last;
		if (line.last < first || line.first > last)
			continue;
		sum += (line.last < last ? line.last : last) -
		       (line.first > first ? line.first : first) + 1;
		*found = line;
		++*nlines;
	}
	return sum;
}

static void *map_huge_aligned(size_t len)
{
	char *p = TRY(mmap(NULL, len + KT_HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	p = (char *)(((uintptr_t)p + KT_HUGE - 1) & ~(KT_HUGE - 1));
	return p;
}

static void system_memory_is_listed_until_it_is_unmapped(void)
{
	struct line line;
	unsigned int n;
	char *p;

	setup(0);
	p = map_huge_aligned(2 * KT_HUGE);
	TRY(madvise(p, 2 * KT_HUGE, MADV_NOHUGEPAGE));
	fill(p, 2 * KT_HUGE, 1);
	CHECK_EQ(mapped(p, 2 * KT_HUGE, &line, &n), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_HUGE, KFD_SVM_ATTR_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(mapped(p, 2 * KT_HUGE, &line, &n), KT_HUGE);
	CHECK(line.svm && line.ram && line.flags[0] == 'r' && line.flags[1] == 'w');

	TRY(mprotect(p, KT_PAGE, PROT_READ));
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_HUGE, KFD_SVM_ATTR_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(mapped(p, KT_PAGE, &line, &n), KT_PAGE);
	CHECK_EQ(line.flags[1], '-');

	TRY(munmap(p + KT_PAGE, KT_PAGE));
	CHECK_EQ(mapped(p + KT_PAGE, KT_PAGE, &line, &n), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_PAGE, KFD_SVM_ATTR_NO_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(mapped(p, 2 * KT_PAGE, &line, &n), 0);
	CHECK_EQ(mapped(p, KT_HUGE, &line, &n), KT_HUGE - 2 * KT_PAGE);
	TRY(munmap(p, 2 * KT_HUGE));
	CHECK_EQ(mapped(p, 2 * KT_HUGE, &line, &n), 0);
}

static void huge_page_is_one_large_leaf(void)
{
	struct line line;
	unsigned int n;
	char *p;

	setup(0);
	p = map_huge_aligned(KT_HUGE);
	TRY(madvise(p, KT_HUGE, MADV_HUGEPAGE));
	fill(p, KT_HUGE, 1);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_HUGE, KFD_SVM_ATTR_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(mapped(p, KT_HUGE, &line, &n), KT_HUGE);
	if (strcmp(line.leaf, "2M"))
		SKIP("no huge page to be had");
	CHECK_EQ(n, 1);
	CHECK(!strcmp(line.fragment, "2M"));
	/* A page of it goes: no large leaf any more, the rest stays. */
	TRY(munmap(p + KT_HUGE / 2, KT_PAGE));
	CHECK_EQ(mapped(p + KT_HUGE / 2, KT_PAGE, &line, &n), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_HUGE / 2, KFD_SVM_ATTR_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(mapped(p, KT_HUGE / 2, &line, &n), KT_HUGE / 2);
	CHECK(!strcmp(line.leaf, "4K"));
}

static void migrated_memory_is_in_vram(void)
{
	struct line line;
	unsigned int n;
	char *p;

	setup(1);
	p = map_huge_aligned(KT_HUGE);
	fill(p, KT_HUGE, 1);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_HUGE, KFD_SVM_ATTR_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_HUGE, KFD_SVM_ATTR_PREFETCH_LOC, dev.gpu_id), 0);
	if (mapped(p, KT_HUGE, &line, &n) != KT_HUGE || line.ram)
		SKIP("memory does not migrate to this GPU");
	CHECK(line.svm);
	CHECK_EQ(line.owner, dev.gpu_id);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, KT_HUGE, KFD_SVM_ATTR_PREFETCH_LOC, 0), 0);
	CHECK(!mapped(p, KT_HUGE, &line, &n) || line.ram);
	CHECK(filled(p, KT_HUGE, 1));
}

static void memory_objects_are_told_apart(void)
{
	struct kt_bo gtt, vram;
	struct line line;
	unsigned int n;

	setup(1);
	CHECK_EQ(kt_bo_gtt(&dev, 3 * KT_PAGE, &gtt), 0);
	CHECK_EQ(kt_bo_vram(&dev, KT_HUGE, &vram), 0);
	CHECK_EQ(mapped(gtt.cpu, gtt.len, &line, &n), gtt.len);
	CHECK(!line.svm && line.ram);
	CHECK_EQ(mapped(vram.cpu, vram.len, &line, &n), vram.len);
	CHECK(!line.svm && !line.ram && line.owner == dev.gpu_id);
	CHECK_EQ(kt_bo_unmap(&dev, vram.handle), 0);
	CHECK_EQ(mapped(vram.cpu, vram.len, &line, &n), 0);
	CHECK_EQ(mapped(gtt.cpu, gtt.len, &line, &n), gtt.len);
}

/* More lines than a page of the file holds: each once, none left out. */
static void long_table_is_told_whole(void)
{
	const unsigned int npages = 4096;
	struct line line;
	unsigned int n, i;
	char *p;

	setup(0);
	p = map_huge_aligned(npages * KT_PAGE);
	TRY(madvise(p, npages * KT_PAGE, MADV_NOHUGEPAGE));
	fill(p, npages * KT_PAGE, 1);
	CHECK_EQ(kt_svm_set1(dev.kfd, p, npages * KT_PAGE, KFD_SVM_ATTR_ACCESS, dev.gpu_id),
		 0);
	for (i = 0; i < npages; i += 2)
		CHECK_EQ(kt_svm_set1(dev.kfd, p + i * KT_PAGE, KT_PAGE,
				     KFD_SVM_ATTR_NO_ACCESS, dev.gpu_id), 0);
	CHECK_EQ(mapped(p, npages * KT_PAGE, &line, &n), npages / 2 * KT_PAGE);
	CHECK_EQ(n, npages / 2);
}

static const struct test_case cases[] = {
	CASE(system_memory_is_listed_until_it_is_unmapped),
	CASE(huge_page_is_one_large_leaf),
	CASE(migrated_memory_is_in_vram),
	CASE(memory_objects_are_told_apart),
	CASE(long_table_is_told_whole),
};

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases, KT_ARRAY_SIZE(cases));
}
