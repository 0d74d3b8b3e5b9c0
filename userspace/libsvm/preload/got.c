// SPDX-License-Identifier: MIT
/*
 * Puts the malloc of heap.c in the place of glibc's, in every loaded object: the
 * words that the dynamic linker filled in with malloc's address (calls through the
 * GOT, and initialised function pointers) are set to ours. The program may be in
 * the middle of anything; each word changes at once, and either value works.
 *
 * A word that holds something else than malloc's address or a stub for it was
 * changed by somebody, and is his.
 */
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

#if UINTPTR_MAX > 0xffffffffu
#define RELOC_SYMBOL(info)	ELF64_R_SYM(info)
#else
#define RELOC_SYMBOL(info)	ELF32_R_SYM(info)
#endif

/**
 * struct object - a loaded object and its tables
 * @relro_start: memory that was made read-only after relocation
 */
struct object {
	uintptr_t base;
	uintptr_t start;
	uintptr_t end;
	uintptr_t relro_start;
	uintptr_t relro_end;
	const ElfW(Sym) *symbols;
	const char *strings;
	uintptr_t table[3];	/* DT_RELA, DT_REL, DT_JMPREL */
	size_t len[3];
	bool plt_is_rela;
};

/* glibc relocates these pointers on most machines. */
static uintptr_t pointer(const struct object *o, ElfW(Addr) value)
{
	return value < o->base ? o->base + value : value;
}

static void read_dynamic(struct object *o, const ElfW(Dyn) *d)
{
	for (; d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_SYMTAB:
			o->symbols = (const void *)pointer(o, d->d_un.d_ptr);
			break;
		case DT_STRTAB:
			o->strings = (const void *)pointer(o, d->d_un.d_ptr);
			break;
		case DT_RELA:
			o->table[0] = pointer(o, d->d_un.d_ptr);
			break;
		case DT_RELASZ:
			o->len[0] = d->d_un.d_val;
			break;
		case DT_REL:
			o->table[1] = pointer(o, d->d_un.d_ptr);
			break;
		case DT_RELSZ:
			o->len[1] = d->d_un.d_val;
			break;
		case DT_JMPREL:
			o->table[2] = pointer(o, d->d_un.d_ptr);
			break;
		case DT_PLTRELSZ:
			o->len[2] = d->d_un.d_val;
			break;
		case DT_PLTREL:
			o->plt_is_rela = d->d_un.d_val == DT_RELA;
			break;
		}
	}
}

static const struct pre_heap_hook *find_hook(const char *name)
{
	for (const struct pre_heap_hook *h = pre_heap_hooks; h->name; h++)
		if (!strcmp(h->name, name))
			return h;
	return NULL;
}

static void write_word(const struct object *o, uintptr_t at, uintptr_t value)
{
	bool relro = at >= o->relro_start && at < o->relro_end;
	uintptr_t page = pre_down(at);

	if (relro && syscall(SYS_mprotect, page, pre.page, PROT_READ | PROT_WRITE))
		return;
	__atomic_store_n((uintptr_t *)at, value, __ATOMIC_RELEASE);
	if (relro)
		syscall(SYS_mprotect, page, pre.page, PROT_READ);
}

static void patch(const struct object *o, uintptr_t offset, size_t symbol, bool call)
{
	const struct pre_heap_hook *hook;
	uintptr_t at = o->base + offset, value;

	if (!symbol)
		return;
	hook = find_hook(o->strings + o->symbols[symbol].st_name);
	if (!hook || at % sizeof(at))
		return;
	value = __atomic_load_n((uintptr_t *)at, __ATOMIC_ACQUIRE);
	if ((hook->real && value == (uintptr_t)hook->real) ||
	    /* not called yet: the object's own stub */
	    (call && value >= o->start && value < o->end))
		write_word(o, at, (uintptr_t)hook->hook);
}

static void patch_rela(const struct object *o, int table)
{
	const ElfW(Rela) *r = (const void *)o->table[table];

	for (size_t i = 0; i < o->len[table] / sizeof(*r); i++)
		patch(o, r[i].r_offset, RELOC_SYMBOL(r[i].r_info), table == 2);
}

static void patch_rel(const struct object *o, int table)
{
	const ElfW(Rel) *r = (const void *)o->table[table];

	for (size_t i = 0; i < o->len[table] / sizeof(*r); i++)
		patch(o, r[i].r_offset, RELOC_SYMBOL(r[i].r_info), table == 2);
}

static int visit(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct object o = { .base = info->dlpi_addr, .start = UINTPTR_MAX };
	const ElfW(Dyn) *dynamic = NULL;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = o.base + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && start < o.start)
			o.start = start;
		if (ph->p_type == PT_LOAD && start + ph->p_memsz > o.end)
			o.end = start + ph->p_memsz;
		if (ph->p_type == PT_DYNAMIC)
			dynamic = (const void *)start;
		if (ph->p_type == PT_GNU_RELRO) {
			/* As the dynamic linker rounds: the last page may stay writable. */
			o.relro_start = pre_down(start);
			o.relro_end = pre_down(start + ph->p_memsz);
		}
	}
	/* Not ours, and not the vdso, which has no dynamic linker. */
	if (!dynamic || (*(uintptr_t *)ctx >= o.start && *(uintptr_t *)ctx < o.end) ||
	    strstr(info->dlpi_name, "linux-vdso") || strstr(info->dlpi_name, "ld-linux"))
		return 0;
	read_dynamic(&o, dynamic);
	if (!o.symbols || !o.strings)
		return 0;
	patch_rela(&o, 0);
	patch_rel(&o, 1);
	if (o.plt_is_rela)
		patch_rela(&o, 2);
	else
		patch_rel(&o, 2);
	return 0;
}

/* The dynamic linker's lock, held in the callback, keeps two of these apart. */
void pre_got_patch(void)
{
	uintptr_t here = (uintptr_t)pre_got_patch;

	dl_iterate_phdr(visit, &here);
}
