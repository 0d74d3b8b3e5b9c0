// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults on fresh copies of a mapping, with either walk: what was asked for is there
 * afterwards, and no more than that was done.
 *
 * READ: nothing that was present is replaced or gains permission; private memory is not
 * allocated where the zero page or the page cache does. WRITE: every page is writable,
 * those that were writable before are the same. In all cases memory has the words it had
 * before, and pages that cannot be had say why.
 */
#include "zoo_mirror.h"

static const char *const req_names[ZOO_NR_REQS] = {
	[ZOO_NONE] = "nothing",
	[ZOO_READ] = "read",
	[ZOO_WRITE] = "write",
	[ZOO_WRITE_IF_VMA] = "write_if_vma",
};

/**
 * struct faulting - one copy of a mapping that is being faulted
 * @z: the mapping
 * @kind: what it is
 * @fd: the mirror
 * @req: what is asked for
 * @vmas: of the process
 * @nvmas: how many
 * @before: the window's pages before the fault
 * @pm_before: the same in pagemap
 * @got: what the fault said
 * @after: a snapshot after it
 * @pm_after: pagemap after it
 */
struct faulting {
	struct zoo z;
	const struct zoo_kind *kind;
	int fd;
	enum zoo_req req;
	struct zoo_vma *vmas;
	size_t nvmas;
	struct zoo_page *before;
	uint64_t *pm_before;
	struct zoo_page *got;
	struct zoo_page *after;
	uint64_t *pm_after;
};

struct copy {
	const struct zoo_kind *kind;
	const char *walk;
	enum zoo_req req;
};

static bool vma_writable(const struct zoo_vma *vma)
{
	return vma->write && !vma->shadow_stack;
}

/* What is really asked for at a page. */
static enum zoo_req page_req(const struct zoo_vma *vma, enum zoo_req req)
{
	if (req != ZOO_WRITE_IF_VMA)
		return req;
	return vma_writable(vma) ? ZOO_WRITE : ZOO_READ;
}

/* The documented error of a fault of the page, 0 if it must succeed. */
static int expected_errno(const struct faulting *f, const struct zoo_vma *vma, size_t page)
{
	if (!vma || vma->io || vma->pfnmap || vma->mixedmap)
		return EFAULT;
	if (!vma->read || (f->req == ZOO_WRITE && !vma_writable(vma)))
		return EPERM;
	return f->z.page_errno ?
	       f->z.page_errno(&f->z, page, page_req(vma, f->req)) : 0;
}

static void wrong(const struct faulting *f, size_t page, const char *what)
{
	hmt_fail(__FILE__, __LINE__, "page %zu at %p: %s; before: %s, fault: %s, after: %s",
		 page, (void *)(f->z.va + page * ZPAGE), what,
		 zoo_page_text(&f->before[page]), zoo_page_text(&f->got[page]),
		 zoo_page_text(&f->after[page]));
}

static void check_read(const struct faulting *f, size_t i)
{
	const struct zoo_page *before = &f->before[i], *got = &f->got[i];
	bool was_there = f->pm_before[i] & (ZPM_PRESENT | ZPM_SWAPPED);

	if (before->valid) {
		if (before->pfn != got->pfn && !(f->kind->flags & ZOO_PAGES_MOVE))
			wrong(f, i, "a read fault replaced the page");
		if (!before->write && got->write && !(f->kind->flags & ZOO_PAGES_MOVE))
			wrong(f, i, "a read fault gave write permission");
		return;
	}
	if (was_there || (f->kind->flags & ZOO_ALLOCATES))
		return;
	if (zoo_pfn_flags(got->pfn) & ZKPF_ANON)
		wrong(f, i, "a read fault allocated private memory");
}

static void check_write(const struct faulting *f, size_t i)
{
	const struct zoo_page *before = &f->before[i], *got = &f->got[i];

	if (!got->write)
		wrong(f, i, "not writable");
	if (got->zero)
		wrong(f, i, "a writable zero page");
	if (before->write && before->pfn != got->pfn &&
	    !(f->kind->flags & ZOO_PAGES_MOVE))
		wrong(f, i, "a page that was writable was replaced");
}

static void check_page(const struct faulting *f, const struct zoo_vma *vma, size_t i)
{
	const struct zoo_page *got = &f->got[i], *after = &f->after[i];
	int err = expected_errno(f, vma, i);

	if (err) {
		if (!got->error || got->err != err)
			wrong(f, i, err == EFAULT ? "should be EFAULT" :
				    err == EPERM ? "should be EPERM" :
						   "should be EHWPOISON");
		return;
	}
	if (!got->valid)
		wrong(f, i, "not provided");
	if (page_req(vma, f->req) == ZOO_WRITE)
		check_write(f, i);
	else
		check_read(f, i);
	if (f->kind->flags & ZOO_PAGES_MOVE)
		return;
	/* The fault told what is there, as a look at it afterwards shows. */
	if (!after->valid || after->pfn != got->pfn || after->write != got->write ||
	    after->huge != got->huge)
		wrong(f, i, "another page than the fault told");
}

/* Pages first..last-1 were asked for: the rest is as it was. */
static void check_others(const struct faulting *f, size_t first, size_t last)
{
	for (size_t i = 0; i < f->z.npages; i++) {
		if (i >= first && i < last)
			continue;
		if (f->kind->flags & ZOO_EXACT)
			hmt_check_that(f->pm_before[i] == f->pm_after[i],
				       "page %zu at %p was not asked for: pagemap %#llx, then %#llx",
				       i, (void *)(f->z.va + i * ZPAGE),
				       (unsigned long long)f->pm_before[i],
				       (unsigned long long)f->pm_after[i]);
	}
}

static void fault_part(struct faulting *f, size_t first, size_t last,
		       unsigned int per_call)
{
	const struct zoo_vma *vma = NULL;
	const char *va = f->z.va;
	int err;

	zoo_snapshot(f->fd, va, f->z.npages, 256, f->before, NULL);
	zoo_pagemaps(va, f->z.npages, f->pm_before);
	err = zoo_fault(f->fd, va + first * ZPAGE, last - first, f->req, per_call,
			f->got + first);
	hmt_check_that(!err, "fault of pages %zu..%zu: %s", first, last, strerror(-err));
	zoo_pagemaps(va, f->z.npages, f->pm_after);
	zoo_snapshot(f->fd, va, f->z.npages, 256, f->after, NULL);
	for (size_t i = first; i < last; i++) {
		unsigned long addr = (uintptr_t)va + i * ZPAGE;

		if (!vma || addr < vma->start || addr >= vma->end)
			vma = zoo_vma_at(f->vmas, f->nvmas, (char *)addr);
		check_page(f, vma, i);
	}
	check_others(f, first, last);
}

static void check_words(const struct faulting *f)
{
	for (size_t i = 0; i < f->z.npages; i++) {
		const char *va = f->z.va + i * ZPAGE;

		if (f->z.word[i] == ZOO_ANY || !f->got[i].valid)
			continue;
		hmt_check_that(zoo_peek(va) == f->z.word[i],
			       "page %zu at %p has %#llx, not %#llx", i, (void *)va,
			       (unsigned long long)zoo_peek(va),
			       (unsigned long long)f->z.word[i]);
	}
}

static void *array(size_t n, size_t size)
{
	void *p = calloc(n, size);

	hmt_check(p);
	return p;
}

static void fault_copy(struct faulting *f)
{
	static const unsigned int sizes[] = { 1, 2, 7, 256 };
	size_t n = f->z.npages, first = n / 3 + hmt_random_below(5);
	size_t last = n / 2 + hmt_random_below(5);

	f->before = array(n, sizeof(*f->before));
	f->pm_before = array(n, sizeof(*f->pm_before));
	f->got = array(n, sizeof(*f->got));
	f->after = array(n, sizeof(*f->after));
	f->pm_after = array(n, sizeof(*f->pm_after));
	if (first < last && last <= n)
		fault_part(f, first, last, sizes[hmt_random_below(HMT_COUNT(sizes))]);
	fault_part(f, 0, n, f->kind->flags & ZOO_SLOW ? 256 : 7);
}

static void begin_copy(const struct copy *copy, struct zoo *z)
{
	zoo_still();
	/* A kernel without the parameter fails the case of that name, not all. */
	zoo_set_walk(copy->walk);
	memset(z, 0, sizeof(*z));
	copy->kind->make(z);
}

static void compare_one(void *arg)
{
	const struct copy *copy = arg;
	struct zoo z;
	int fd;

	begin_copy(copy, &z);
	fd = zoo_open(&z);
	zoo_compare(fd, &z, copy->kind);
	hmt_close(fd);
}

static void fault_one(void *arg)
{
	const struct copy *copy = arg;
	struct faulting f = { .kind = copy->kind, .req = copy->req };

	begin_copy(copy, &f.z);
	f.nvmas = zoo_vmas(&f.vmas);
	f.fd = zoo_open(&f.z);
	fault_copy(&f);
	zoo_compare(f.fd, &f.z, f.kind);
	check_words(&f);
	hmt_close(f.fd);
}

static void run_copy(const struct copy *copy)
{
	char what[128], why[256];
	int ret;

	snprintf(what, sizeof(what), "%s, walk=%s, %s", copy->kind->name, copy->walk,
		 copy->req == ZOO_NONE ? "snapshot" : req_names[copy->req]);
	ret = zoo_in_child(what, copy->req == ZOO_NONE ? compare_one : fault_one,
			   (void *)copy, why, sizeof(why));
	if (ret)
		zoo_skip("%s", why);
}

void zoo_run(const struct zoo_kind *kind)
{
	struct copy copy = { .kind = kind };

	for (size_t w = 0; w < HMT_COUNT(zoo_walks); w++) {
		copy.walk = zoo_walks[w];
		for (copy.req = ZOO_NONE; copy.req < ZOO_NR_REQS; copy.req++)
			if (copy.req == ZOO_NONE || !(kind->flags & ZOO_NO_FAULT))
				run_copy(&copy);
	}
}
