// SPDX-License-Identifier: MIT
/*
 * The loaded objects: which code is the GPU runtime's, and which read-only
 * memory is a shared library's and not the program's.
 *
 * The runtime maps memory that it then gives to the driver as its own; if we
 * registered that first, the driver would refuse it (EADDRINUSE). It is known by
 * who calls mmap.
 */
#include <link.h>
#include <string.h>

#include "preload.h"

#define MAX_OBJECTS	1024u

struct object {
	uintptr_t start;
	uintptr_t end;
	bool runtime;
	bool library;
};

/* Filled in by the dynamic linker's callback, which its lock serialises. */
static struct object objects[MAX_OBJECTS];
static _Atomic unsigned int nobjects;
static unsigned long long adds_seen, subs_seen;

static bool is_runtime(const char *path)
{
	static const char *const names[] = {
		"libhsakmt.so", "libhsa-runtime64.so", "libdrm.so", "libdrm_amdgpu.so",
	};
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(base, names[i], strlen(names[i])))
			return true;
	return false;
}

static void add(const struct dl_phdr_info *info, unsigned int index)
{
	struct object *o = &objects[index];
	uintptr_t start = UINTPTR_MAX, end = 0;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type != PT_LOAD)
			continue;
		if (info->dlpi_addr + ph->p_vaddr < start)
			start = info->dlpi_addr + ph->p_vaddr;
		if (info->dlpi_addr + ph->p_vaddr + ph->p_memsz > end)
			end = info->dlpi_addr + ph->p_vaddr + ph->p_memsz;
	}
	o->start = start;
	o->end = end;
	o->runtime = is_runtime(info->dlpi_name);
	/* The program itself comes first. */
	o->library = index > 0;
}

struct walk {
	unsigned int index;
	bool same;
};

static int visit(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct walk *walk = ctx;

	(void)size;
	if (!walk->index) {
		walk->same = info->dlpi_adds == adds_seen && info->dlpi_subs == subs_seen;
		if (walk->same)
			return 1;
		adds_seen = info->dlpi_adds;
		subs_seen = info->dlpi_subs;
	}
	if (walk->index == MAX_OBJECTS)
		return 1;
	add(info, walk->index++);
	/* Readers without a lock see a new object whole. */
	if (walk->index > atomic_load(&nobjects))
		atomic_store(&nobjects, walk->index);
	return 0;
}

void pre_objects_refresh(void)
{
	struct walk walk = { 0 };

	dl_iterate_phdr(visit, &walk);
	if (!walk.same)
		atomic_store(&nobjects, walk.index);
}

/* In the child of a fork: the table may have been left half filled in. */
void pre_objects_forget(void)
{
	adds_seen = 0;
	subs_seen = 0;
	atomic_store(&nobjects, 0);
}

static const struct object *object_at(uintptr_t addr)
{
	unsigned int n = atomic_load(&nobjects);

	for (unsigned int i = 0; i < n; i++)
		if (addr >= objects[i].start && addr < objects[i].end)
			return &objects[i];
	return NULL;
}

bool pre_is_runtime_code(uintptr_t addr)
{
	const struct object *o = object_at(addr);

	return o && o->runtime;
}

bool pre_in_library(uintptr_t addr)
{
	const struct object *o = object_at(addr);

	return o && o->library;
}
