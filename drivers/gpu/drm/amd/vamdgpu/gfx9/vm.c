// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPU address spaces: who may touch page tables when, and how accesses are
 * stopped.
 *
 * An engine accesses memory only inside an *access section*: access_lock held for
 * read, 64 KiB at most, no sleep. A flush and a stop take the lock for write
 * once. So they wait for accesses, which are short, and never for a packet,
 * which may be endless: a queue parked on a fault or a POLL is in no section.
 */
#include "gfx9_priv.h"

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/sched.h>
#include <linux/slab.h>

/* 256 MiB of tables map 128 GiB in small pages. */
#define VM_MAX_TABLES	((256UL << 20) / PAGE_SIZE)
/* Steps done before others get the lock. */
#define VM_LOCK_STEPS	16

atomic_long_t gfx9_ntables;

static void free_table(struct gfx9_pt_table *table, unsigned int level)
{
	kfree(table->children);
	free_page((unsigned long)table->entries);
	kfree(table);
	atomic_long_dec(&gfx9_ntables);
}

static struct gfx9_pt_table *alloc_table(unsigned int level)
{
	struct gfx9_pt_table *table = kzalloc(sizeof(*table),
					      GFP_KERNEL_ACCOUNT);

	BUILD_BUG_ON(PAGE_SIZE != GFX9_PAGE_LEN);
	if (!table)
		return NULL;
	atomic_long_inc(&gfx9_ntables);
	table->entries = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (level)
		table->children = kcalloc(GFX9_PT_ENTRIES,
					  sizeof(*table->children),
					  GFP_KERNEL_ACCOUNT);
	if (!table->entries || (level && !table->children)) {
		free_table(table, level);
		return NULL;
	}
	table->addr = virt_to_phys(table->entries);
	return table;
}

static const struct gfx9_pt_mem pt_mem = {
	.alloc = alloc_table,
	.free = free_table,
};

struct gfx9_vm *gfx9_vm_create(struct gfx9_vram *vram,
			       const struct gfx9_vm_ops *ops, void *owner)
{
	struct gfx9_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);

	if (!vm)
		return NULL;
	if (gfx9_pt_init(&vm->pt, &pt_mem)) {
		kfree(vm);
		return NULL;
	}
	vm->vram = vram;
	vm->ops = ops;
	vm->owner = owner;
	rwlock_init(&vm->access_lock);
	spin_lock_init(&vm->pt_lock);
	spin_lock_init(&vm->queues_lock);
	INIT_LIST_HEAD(&vm->queues);
	return vm;
}

void gfx9_vm_destroy(struct gfx9_vm *vm)
{
	if (!vm)
		return;
	WARN_ON(!list_empty(&vm->queues));
	gfx9_pt_fini(&vm->pt);
	kfree(vm);
}

void gfx9_vm_set_doorbells(struct gfx9_vm *vm, void *bells, size_t len)
{
	vm->bells = bells;
	vm->bells_len = len;
}

void gfx9_vm_set_mm(struct gfx9_vm *vm, struct mm_struct *mm)
{
	vm->mm = mm;
}

/*
 * 1: one table more; 0: all are there up to *@va, which may lie far behind what it was, but
 * not behind the end of the entry of @last_va.
 */
static int reserve_step(struct gfx9_vm *vm, u64 *va, u64 last_va)
{
	struct gfx9_pt_table *table;
	bool attached = false;
	bool full;
	int level;

	scoped_guard(spinlock, &vm->pt_lock) {
		level = gfx9_pt_next_missing(&vm->pt, va, last_va);
		full = vm->pt.ntables >= VM_MAX_TABLES;
	}
	if (level < 0)
		return 0;
	table = full ? NULL : alloc_table(level);
	if (!table)
		return -ENOMEM;
	scoped_guard(spinlock, &vm->pt_lock) {
		if (vm->pt.ntables < VM_MAX_TABLES)
			attached = gfx9_pt_attach(&vm->pt, *va, level,
						  table);
	}
	/* Somebody else was faster: look again. */
	if (!attached)
		free_table(table, level);
	return 1;
}

int gfx9_vm_reserve(struct gfx9_vm *vm, u64 first_va, u64 last_va)
{
	u64 va = first_va & ~(GFX9_HUGE_LEN - 1);
	int ret;

	might_sleep();
	if (first_va > last_va || last_va > GFX9_VA_LAST ||
	    (last_va - va) >> GFX9_HUGE_SHIFT >= VM_MAX_TABLES)
		return -ENOMEM;
	while (va <= last_va) {
		ret = reserve_step(vm, &va, last_va);
		if (ret < 0)
			return ret;
		cond_resched();
	}
	return 0;
}

void gfx9_vm_map(struct gfx9_vm *vm, u64 va, u64 addr, u64 len, u32 flags)
{
	unsigned int i;
	u64 step;

	while (len) {
		guard(spinlock)(&vm->pt_lock);
		for (i = 0; i < VM_LOCK_STEPS && len; i++) {
			step = gfx9_pt_map_step(&vm->pt, va, addr, len, flags);
			if (WARN_ON_ONCE(!step))
				return;
			va += step;
			addr += step;
			len -= step;
		}
	}
}

void gfx9_vm_unmap(struct gfx9_vm *vm, u64 first_va, u64 last_va,
		   u64 *cleared_first, u64 *cleared_last)
{
	unsigned int i;
	u64 va = first_va;

	*cleared_first = first_va;
	*cleared_last = last_va;
	last_va = min(last_va, GFX9_VA_LAST);
	while (va <= last_va) {
		guard(spinlock)(&vm->pt_lock);
		for (i = 0; i < VM_LOCK_STEPS && va <= last_va; i++)
			va = gfx9_pt_unmap_step(&vm->pt, va, last_va,
						cleared_first, cleared_last);
	}
}

enum gfx9_present gfx9_vm_probe(struct gfx9_vm *vm, u64 va, bool write)
{
	struct gfx9_xlat x;

	if (!gfx9_pt_walk(&vm->pt, va, &x))
		return GFX9_ABSENT;
	return gfx9_pte_allows(x.pte, write) ? GFX9_ALLOWED : GFX9_REFUSED;
}

bool gfx9_vm_next_run(struct gfx9_vm *vm, u64 va, struct gfx9_run *run)
{
	struct gfx9_pt_run found;
	u64 addr;

	if (!gfx9_pt_next_run(&vm->pt, va, &found))
		return false;
	addr = found.pte & GFX9_PTE_ADDR;
	*run = (struct gfx9_run){
		.va = found.va,
		.len = found.len,
		.addr = addr,
		.flags = gfx9_pte_flags(found.pte),
		.leaf_shift = found.leaf_shift,
		.frag_shift = found.frag_shift,
	};
	if (!(found.pte & GFX9_PTE_SYSTEM))
		run->vram = gfx9_vram_locate(vm->vram, addr, &run->addr);
	return true;
}

void gfx9_vm_flush(struct gfx9_vm *vm)
{
	guard(write_lock)(&vm->access_lock);
	vm->generation++;
}

void gfx9_vm_stop(struct gfx9_vm *vm)
{
	guard(write_lock)(&vm->access_lock);
	if (!vm->stopped++)
		vm->stop_epoch++;
}

void gfx9_vm_start(struct gfx9_vm *vm)
{
	bool last;

	scoped_guard(write_lock, &vm->access_lock) {
		WARN_ON_ONCE(!vm->stopped);
		last = !--vm->stopped;
	}
	if (last)
		gfx9_vm_kick_stopped(vm);
}

void gfx9_vm_kill(struct gfx9_vm *vm)
{
	guard(write_lock)(&vm->access_lock);
	vm->killed = true;
}
