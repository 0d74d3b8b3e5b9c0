// SPDX-License-Identifier: GPL-2.0-only
/*
 * The oracle against stale translations (debug builds): at each access of an engine to
 * SVM memory, the translation it uses is compared with the CPU's page table.
 *
 * What must hold. Between section_enter() and section_leave(), the CPU's entry for the
 * address names the page that the GPU's translation names, and allows writing if that
 * does. At any instant; not only when the section begins.
 *
 *   engine                              a thread that changes the CPU's entry
 *   ------                              -------------------------------------
 *   section_enter()
 *     read_lock(access_lock)
 *     other generation: forget the TLB
 *                                       mmu_notifier_invalidate_range_start()
 *                                         the core: update_lock
 *                                           pt_unmap(), tlb_flush()
 *                                             write_lock(access_lock)   waits
 *   translate, compare, access
 *   section_leave()
 *     read_unlock(access_lock)
 *                                             generation++
 *                                       change the entry, free the page
 *
 * The translation was written under update_lock, from an entry that no event had touched
 * since it was read (or that event would have removed it again). From then on the entry
 * loses its page or its write permission inside of an event only, and after the event's
 * start has returned. If the flush came before this section, the TLB was emptied at its
 * beginning and the table has the translation no more, or again: from an entry that was
 * read after that event's end. If it did not come before this section, it waits for its
 * end, and the entry's change with it. So a migration entry, a swap entry or none at all
 * is as wrong as another page: whoever put it there had to wait for this section.
 *
 * Entries change without an event in these ways, and none of them is a difference:
 *
 * - accessed and dirty bits, and what only software reads: not compared;
 * - read-only becomes writable: the GPU has less than it could, which is allowed;
 * - nothing, swap, a migration or a hinting entry becomes a page: the GPU has nothing;
 * - MADV_COLD makes an entry of 2 MiB invalid for a moment, to clear a bit in it. The
 *   page and the permission are still in it and are compared as if it were valid. Other
 *   entries that are invalid in this way are inside of an event.
 *
 * What is not compared: memory objects, whose pages no CPU entry need have. Their
 * translations lack GFX9_PTE_SVM.
 *
 * Memory on a GPU that the CPU does not reach has entries of a kind of their own; they
 * name a struct page that stands for a byte of the VRAM. Which VRAM the struct pages of a
 * pgmap stand for is learned when the first is met; a second pgmap for the same VRAM, or
 * a second VRAM for the same pgmap, is a difference.
 *
 * Reading the CPU's page table needs no mmap_lock, which an engine must not wait for:
 * its holder may wait for the engine. Tables stay tables because interrupts are off and
 * the mm is loaded on this CPU, so that its freeing of tables waits for an IPI to be
 * answered here (or for RCU, where tables are freed by that). The mm is loaded for a
 * slice. That takes no reference to mm_users, which would keep an exiting process's
 * memory: the mm is torn down after its release notifier, which kills the vm, which
 * waits for the section; and a section of a killed vm compares nothing.
 *
 * A thread that has loaded somebody's mm may be charged for what it allocates; an engine
 * allocates nothing in a slice.
 */
#include "gfx9_priv.h"

#include <linux/bug.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#if IS_ENABLED(CONFIG_DEVICE_PRIVATE) && defined(VAMDGPU_HAS_LEAFOPS)
#include <linux/leafops.h>
#define HAS_PRIVATE
#endif

static bool gfx9_oracle = true;
module_param_named(oracle, gfx9_oracle, bool, 0600);
MODULE_PARM_DESC(oracle, "Compare each access of a GPU with the CPU's page tables (debug only, default on)");

static atomic_long_t nchecks;
static atomic_long_t nreports;

static int get_count(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(kp->arg));
}

static const struct kernel_param_ops count_ops = { .get = get_count };

module_param_cb(oracle_checks, &count_ops, &nchecks, 0400);
MODULE_PARM_DESC(oracle_checks, "Accesses compared");
module_param_cb(oracle_reports, &count_ops, &nreports, 0400);
MODULE_PARM_DESC(oracle_reports, "Accesses by a translation that the CPU does not have");

#define ENTRY_LEAF	_PAGE_PSE	/* in levels 2 and 3 */
#define ENTRY_TABLE	(_PAGE_PRESENT | _PAGE_USER)

/**
 * struct cpu_entry - what the CPU's page table has for an address
 * @value: the entry that the walk ended at
 * @level: of it; 1 is the lowest
 * @present: it names a page
 * @private: the page is on a GPU and out of the CPU's reach
 * @write: the page may be written
 * @pfn: of the address's page, not of a large page's first
 */
struct cpu_entry {
	u64 value;
	unsigned int level;
	bool present;
	bool private;
	bool write;
	unsigned long pfn;
};

static unsigned int level_shift(unsigned int level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static unsigned long pfn_in_leaf(unsigned long pfn, unsigned long va,
				 unsigned int level)
{
	unsigned long npages = 1UL << (level_shift(level) - PAGE_SHIFT);

	return (pfn & ~(npages - 1)) | ((va >> PAGE_SHIFT) & (npages - 1));
}

/* An entry that the MMU takes for absent. */
static void read_absent(struct cpu_entry *e, unsigned long va)
{
#ifdef HAS_PRIVATE
	softleaf_t leaf = softleaf_mk_none();
#endif

	/* Invalid for a moment. Entries for what is not in memory lack this bit. */
	if (e->level == 2 && e->value & ENTRY_LEAF && e->value & _PAGE_USER &&
	    !(e->value & _PAGE_PROTNONE)) {
		e->present = true;
		e->write &= !!(e->value & _PAGE_RW);
		e->pfn = pfn_in_leaf(pmd_pfn(native_make_pmd(e->value)), va, 2);
		return;
	}
	e->write = false;
#ifdef HAS_PRIVATE
	if (e->level == 1)
		leaf = softleaf_from_pte(native_make_pte(e->value));
	else if (e->level == 2)
		leaf = softleaf_from_pmd(native_make_pmd(e->value));
	if (!softleaf_is_device_private(leaf))
		return;
	e->present = true;
	e->private = true;
	e->write = softleaf_is_device_private_write(leaf);
	e->pfn = pfn_in_leaf(softleaf_to_pfn(leaf), va, e->level);
#endif
}

/* Each level is read once, and only what was read is followed. */
static void read_cpu(struct mm_struct *mm, unsigned long va, struct cpu_entry *e)
{
	const u64 *table = (const u64 *)mm->pgd;
	unsigned int level = pgtable_l5_enabled() ? 5 : 4;

	lockdep_assert_irqs_disabled();

	*e = (struct cpu_entry) { .write = true };
	for (;; level--) {
		e->level = level;
		e->value = READ_ONCE(table[(va >> level_shift(level)) &
					   (PTRS_PER_PTE - 1)]);
		if ((e->value & ENTRY_TABLE) != ENTRY_TABLE) {
			read_absent(e, va);
			return;
		}
		if (!(e->value & _PAGE_RW))
			e->write = false;
		if (level == 1 || (level <= 3 && e->value & ENTRY_LEAF))
			break;
		table = __va(e->value & PTE_PFN_MASK);
	}
	e->present = true;
	e->pfn = pfn_in_leaf((e->value & PTE_PFN_MASK) >> PAGE_SHIFT, va, level);
}

#ifdef HAS_PRIVATE
/*
 * The page cannot go: its entry holds a reference, and who takes the entry away waits
 * for this section, if the translation is right. If it is not, the struct page of a
 * device stays as long as the module that made it.
 */
static bool is_byte_of(struct gfx9_vram *vram, u64 addr, unsigned long pfn)
{
	const struct dev_pagemap *pgmap = page_pgmap(pfn_to_page(pfn));
	const struct dev_pagemap *known;

	known = cmpxchg(&vram->oracle_pgmap, NULL, pgmap);
	return (!known || known == pgmap) &&
	       addr >> PAGE_SHIFT == pfn - (pgmap->range.start >> PAGE_SHIFT);
}
#else
static bool is_byte_of(struct gfx9_vram *vram, u64 addr, unsigned long pfn)
{
	return false;
}
#endif

/* Is the byte at @addr, as a PTE has it, in the page that the CPU's entry names? */
static bool is_same_page(struct gfx9_vm *vm, u64 pte, u64 addr,
			 const struct cpu_entry *e)
{
	struct gfx9_vram *vram;
	struct page *page;

	if (!e->present)
		return false;
	if (pte & GFX9_PTE_SYSTEM)
		return !e->private && addr >> PAGE_SHIFT == e->pfn;
	if (e->private) {
		vram = gfx9_vram_locate(vm->vram, addr, &addr);
		return vram && is_byte_of(vram, addr, e->pfn);
	}
	page = gfx9_vram_resolve(vm->vram, addr);
	return page && page_to_pfn(page) == e->pfn;
}

/* @va is about to be accessed at @addr, by the entry @pte. In an access section. */
void gfx9_oracle_check(struct gfx9_queue *q, u64 va, u64 pte, u64 addr)
{
	struct gfx9_vm *vm = q->vm;
	bool write = pte & GFX9_PTE_WRITE;
	unsigned long irq_flags;
	struct cpu_entry e;
	bool good;

	lockdep_assert_held_read(&vm->access_lock);

	if (!(pte & GFX9_PTE_SVM) || !vm->mm || current->mm != vm->mm)
		return;
	local_irq_save(irq_flags);
	read_cpu(vm->mm, va, &e);
	good = is_same_page(vm, pte, addr, &e) && (e.write || !write);
	local_irq_restore(irq_flags);

	atomic_long_inc(&nchecks);
	if (good)
		return;
	atomic_long_inc(&nreports);
	WARN_ONCE(1, "vamdgpu: stale translation of %#llx: the GPU has %s %#llx%s (PTE %#llx), the CPU %s pfn %#lx%s (level %u entry %#llx)\n",
		  va, pte & GFX9_PTE_SYSTEM ? "memory" : "VRAM", addr,
		  write ? " writable" : "", pte,
		  !e.present ? "nothing," : e.private ? "device" : "memory",
		  e.pfn, e.write ? " writable" : "", e.level, e.value);
}

/* A slice begins: load the process's mm, which can be dying or dead. Not atomic. */
void gfx9_oracle_begin(struct gfx9_queue *q)
{
	struct gfx9_vm *vm = q->vm;

	might_sleep();
	if (READ_ONCE(gfx9_oracle) && vm->mm && !READ_ONCE(vm->killed))
		kthread_use_mm(vm->mm);
}

void gfx9_oracle_end(struct gfx9_queue *q)
{
	if (current->mm)
		kthread_unuse_mm(q->vm->mm);
}
