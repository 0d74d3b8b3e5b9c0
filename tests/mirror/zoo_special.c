// SPDX-License-Identifier: GPL-2.0-only
/* Stacks, what the kernel maps, userfaultfd, guard pages, keys, secrets. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

#include "zoo.h"

#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453
#endif
#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

/* --- stacks */

/* Grown by touching it from the top down; below it nothing may be. */
static void growing_stack(struct zoo *z)
{
	char *va = zoo_reserve(2 * ZHUGE, ZHUGE);
	const size_t below = 60, grown = 20, first = 4;

	/* The window ends with the mapping; what is below is not mapped, yet. */
	zoo_window(z, va, below + grown + first, 0);
	zoo_mmap(va + (below + grown) * ZPAGE, first * ZPAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	for (size_t i = z->npages; i > below; i--)
		zoo_touch(z, i - 1);
	hmt_check(zoo_vma_has(va + below * ZPAGE, "gd"));
	hmt_check(zoo_count(z, ZPM_PRESENT) == grown + first);
	for (size_t i = 0; i < below; i++)
		z->word[i] = ZOO_ANY;
}

static void guard_page_below_stack(struct zoo *z)
{
	zoo_anon(z, 40);
	hmt_check(!mprotect(z->va, ZPAGE, PROT_NONE));
	z->word[0] = ZOO_ANY;
	for (size_t i = 30; i < 40; i++)
		zoo_touch(z, i);
}

/* --- what the kernel maps */

static void find_named(struct zoo *z, const char *name)
{
	struct zoo_vma *vmas;
	size_t n = zoo_vmas(&vmas), i;

	for (i = 0; i < n; i++)
		if (!strcmp(vmas[i].name, name))
			break;
	if (i == n)
		zoo_skip("no mapping %s", name);
	zoo_window(z, (char *)vmas[i].start, (vmas[i].end - vmas[i].start) / ZPAGE,
		   ZOO_ANY);
	free(vmas);
}

static void vdso(struct zoo *z)
{
	find_named(z, "[vdso]");
	(void)zoo_peek(z->va);
}

static void vvar(struct zoo *z)
{
	struct timespec now;

	hmt_check(!clock_gettime(CLOCK_MONOTONIC, &now));
	find_named(z, "[vvar]");
}

static void vvar_vclock(struct zoo *z)
{
	find_named(z, "[vvar_vclock]");
}

/* --- userfaultfd */

static int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		zoo_skip("userfaultfd: %s", strerror(errno));
	if (ioctl(fd, UFFDIO_API, &api))
		zoo_skip("userfaultfd features %#llx: %s", (unsigned long long)features,
			 strerror(errno));
	return fd;
}

static void uffd_register(int fd, char *va, size_t len, uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)va, len }, .mode = mode,
	};

	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		zoo_skip("userfaultfd mode %#llx: %s", (unsigned long long)mode,
			 strerror(errno));
}

static void uffd_protect(int fd, char *va, size_t len)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)va, len }, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	hmt_check_that(!ioctl(fd, UFFDIO_WRITEPROTECT, &wp), "write-protect: errno %d",
		       errno);
}

/* Nobody reads the descriptor: whoever waits for it waits for ever. */
static int missing_errno(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)z;
	(void)req;
	return page % 3 ? EFAULT : 0;
}

static void uffd_missing(struct zoo *z)
{
	zoo_anon(z, 200);
	for (size_t i = 0; i < z->npages; i++) {
		if (i % 3)
			z->word[i] = ZOO_ANY;
		else
			zoo_touch(z, i);
	}
	uffd_register(uffd_open(0), z->va, z->npages * ZPAGE, UFFDIO_REGISTER_MODE_MISSING);
	hmt_check(zoo_vma_has(z->va, "um"));
	z->page_errno = missing_errno;
}

static int protected_errno(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)z;
	return page % 3 == 0 && req == ZOO_WRITE ? EFAULT : 0;
}

static void uffd_write_protected(struct zoo *z)
{
	int fd;

	zoo_anon(z, 200);
	zoo_touch_all(z);
	fd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	uffd_register(fd, z->va, z->npages * ZPAGE, UFFDIO_REGISTER_MODE_WP);
	for (size_t i = 0; i < z->npages; i += 3)
		uffd_protect(fd, z->va + i * ZPAGE, ZPAGE);
	hmt_check(zoo_count(z, ZPM_UFFD_WP) == (z->npages + 2) / 3);
	z->page_errno = protected_errno;
}

/* Markers in place of entries: protected, but with no page yet. */
static void uffd_markers(struct zoo *z, int mapping, int memfd)
{
	char *va = zoo_reserve(200 * ZPAGE, ZHUGE);
	int fd;

	zoo_window(z, va, 200, 0);
	zoo_mmap(va, z->npages * ZPAGE, PROT_READ | PROT_WRITE, mapping, memfd, 0);
	hmt_check(!madvise(va, z->npages * ZPAGE, MADV_NOHUGEPAGE));
	fd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED |
		       UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	uffd_register(fd, va, z->npages * ZPAGE, UFFDIO_REGISTER_MODE_WP);
	for (size_t i = 0; i < z->npages; i += 3)
		uffd_protect(fd, va + i * ZPAGE, ZPAGE);
	hmt_check(zoo_count(z, ZPM_UFFD_WP) == (z->npages + 2) / 3);
	hmt_check(!zoo_count(z, ZPM_PRESENT));
	z->page_errno = protected_errno;
}

static void uffd_marker_private(struct zoo *z)
{
	uffd_markers(z, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void uffd_marker_shared(struct zoo *z)
{
	uffd_markers(z, MAP_SHARED, zoo_memfd("zoo", 200 * ZPAGE, 0));
}

/* In the file, not in the page table: a minor fault. */
static void uffd_minor(struct zoo *z)
{
	int fd = zoo_memfd("zoo", 90 * ZPAGE, 0);
	char *va = zoo_reserve(90 * ZPAGE, ZHUGE);

	zoo_window(z, va, 90, ZOO_ANY);
	zoo_mmap(va, 90 * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < z->npages; i++)
		zoo_pwrite(z, fd, i, (off_t)(i * ZPAGE));
	for (size_t i = 0; i < z->npages; i++)
		z->word[i] = ZOO_ANY;
	for (size_t i = 0; i < z->npages; i += 3)
		hmt_check(!madvise(va + i * ZPAGE, ZPAGE, MADV_POPULATE_WRITE));
	hmt_check(zoo_count(z, ZPM_PRESENT) >= z->npages / 3);
	/* The kernel maps what is around: only these are wanted. */
	for (size_t i = 0; i < z->npages; i++)
		if (i % 3)
			hmt_check(!madvise(va + i * ZPAGE, ZPAGE, MADV_DONTNEED));
	uffd_register(uffd_open(UFFD_FEATURE_MINOR_SHMEM), va, z->npages * ZPAGE,
		      UFFDIO_REGISTER_MODE_MINOR);
	hmt_check(zoo_vma_has(va, "ui"));
	z->page_errno = missing_errno;
}

static int poisoned_errno(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)z;
	(void)req;
	return page % 3 == 1 ? EHWPOISON : 0;
}

/* As if the memory were broken, by a marker: no page is. */
static void uffd_poisoned(struct zoo *z)
{
	struct uffdio_poison poison = { .range = { 0, ZPAGE } };
	int fd;

	zoo_anon(z, 90);
	for (size_t i = 0; i < z->npages; i += 3)
		zoo_touch(z, i);
	fd = uffd_open(UFFD_FEATURE_POISON);
	uffd_register(fd, z->va, z->npages * ZPAGE, UFFDIO_REGISTER_MODE_MISSING);
	for (size_t i = 1; i < z->npages; i += 3) {
		poison.range.start = (uintptr_t)z->va + i * ZPAGE;
		if (ioctl(fd, UFFDIO_POISON, &poison))
			zoo_skip("UFFDIO_POISON: %s", strerror(errno));
		z->word[i] = ZOO_ANY;
	}
	/* The rest is nobody's business any more. */
	hmt_check(!ioctl(fd, UFFDIO_UNREGISTER,
			 &(struct uffdio_range){ (uintptr_t)z->va, z->npages * ZPAGE }));
	z->page_errno = poisoned_errno;
}

/* --- guard pages, keys, secrets, shadow stacks */

static int guard_errno(const struct zoo *z, size_t page, enum zoo_req req)
{
	(void)z;
	(void)req;
	return page % 8 < 2 ? EFAULT : 0;
}

static void guard_pages(struct zoo *z)
{
	zoo_need_madvise(ZOO_MADV_GUARD_INSTALL, "MADV_GUARD_INSTALL");
	zoo_anon(z, 160);
	zoo_touch_all(z);
	for (size_t i = 0; i < z->npages; i += 8) {
		hmt_check(!madvise(z->va + i * ZPAGE, 2 * ZPAGE, ZOO_MADV_GUARD_INSTALL));
		z->word[i] = z->word[i + 1] = ZOO_ANY;
	}
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages / 4 * 3);
	z->page_errno = guard_errno;
}

static void guard_pages_removed(struct zoo *z)
{
	guard_pages(z);
	hmt_check(!madvise(z->va, z->npages * ZPAGE, ZOO_MADV_GUARD_REMOVE));
	for (size_t i = 0; i < z->npages; i++)
		if (i % 8 < 2)
			z->word[i] = 0;
	z->page_errno = NULL;
}

static void protection_key(struct zoo *z)
{
	int key = pkey_alloc(0, 0);

	if (key < 0)
		zoo_skip("no protection keys: %s", strerror(errno));
	zoo_anon(z, 64);
	zoo_touch_all(z);
	hmt_check(!pkey_mprotect(z->va, 32 * ZPAGE, PROT_READ | PROT_WRITE, key));
}

static void execute_only(struct zoo *z)
{
	zoo_anon(z, 16);
	zoo_touch_all(z);
	hmt_check(!mprotect(z->va, z->npages * ZPAGE, PROT_EXEC));
	for (size_t i = 0; i < z->npages; i++)
		z->word[i] = ZOO_ANY;
}

static void secret_memory(struct zoo *z)
{
	int fd = (int)syscall(__NR_memfd_secret, O_CLOEXEC);
	char *va;

	if (fd < 0)
		zoo_skip("memfd_secret: %s", strerror(errno));
	hmt_check(!ftruncate(fd, 64 * ZPAGE));
	va = zoo_reserve(64 * ZPAGE, ZHUGE);
	zoo_window(z, va, 64, 0);
	zoo_mmap(va, 64 * ZPAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < z->npages; i += 2)
		zoo_touch(z, i);
	hmt_check(zoo_count(z, ZPM_PRESENT) == z->npages / 2);
}

static void shadow_stack(struct zoo *z)
{
	long va = syscall(__NR_map_shadow_stack, 0, 16 * ZPAGE, 1);

	if (va < 0)
		zoo_skip("no shadow stacks here: %s", strerror(errno));
	zoo_window(z, (char *)va, 16, ZOO_ANY);
	hmt_check(zoo_vma_has(z->va, "ss"));
}

static const struct zoo_kind kinds[] = {
	{ "growing_stack", growing_stack, ZOO_EXACT },
	{ "guard_page_below_stack", guard_page_below_stack, ZOO_EXACT },
	{ "vdso", vdso, 0 },
	{ "vvar", vvar, ZOO_UNSTABLE },
	{ "vvar_vclock", vvar_vclock, 0 },
	{ "uffd_missing", uffd_missing, ZOO_EXACT },
	{ "uffd_write_protected", uffd_write_protected, ZOO_EXACT },
	{ "uffd_marker_private", uffd_marker_private, ZOO_EXACT },
	{ "uffd_marker_shared", uffd_marker_shared, 0 },
	{ "uffd_minor", uffd_minor, 0 },
	{ "uffd_poisoned", uffd_poisoned, ZOO_EXACT },
	{ "guard_pages", guard_pages, ZOO_EXACT },
	{ "guard_pages_removed", guard_pages_removed, ZOO_EXACT },
	{ "protection_key", protection_key, ZOO_EXACT },
	{ "execute_only", execute_only, ZOO_EXACT },
	{ "secret_memory", secret_memory, 0 },
	{ "shadow_stack", shadow_stack, 0 },
};

ZOO_GROUP(zoo_special_kinds, kinds);
