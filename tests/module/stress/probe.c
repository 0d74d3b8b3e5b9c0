// SPDX-License-Identifier: GPL-2.0-only
/*
 * Table-lifetime probe: is a page of page-table entries ever freed while somebody who
 * follows a walk's rules could be reading it?
 *
 * The probe reads the entry that leads to the table as a walk does, lingers, and watches
 * the struct page of the table, never the table. The span lies in one GiB that user
 * space keeps partly mapped (for level 2: in one part of 512 GiB), so the table that
 * holds the entry cannot go; that makes also the unsound modes harmless to try.
 *
 * A table is free when its page has no reference. Losing its type (PageTable) is
 * counted on its own and is no harm: x86 takes it away when a table is unlinked,
 * before the TLB flush or the grace period that the memory is kept for.
 */
#include "stress.h"

#include <linux/completion.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#define MAX_LINGER_US	1000
#define MAX_TIME_MS	600000

/**
 * struct probing - one run
 * @arg: what was asked for, and the counts
 * @mm: whose tables
 * @seed: of the addresses
 * @done: the foreign run is over
 */
struct probing {
	struct hms_probe *arg;
	struct mm_struct *mm;
	u64 seed;
	struct completion done;
};

static bool mode_is_foreign(unsigned int mode)
{
	return mode == HMS_PROBE_FOREIGN_LOCKED || mode == HMS_PROBE_FOREIGN_IRQ;
}

static bool mode_is_locked(unsigned int mode)
{
	return mode == HMS_PROBE_OWN_LOCKED || mode == HMS_PROBE_FOREIGN_LOCKED;
}

/*
 * The page of the table that the entry of @level + 1 for @va leads to, NULL if none. Every
 * level is read once; the entries above the last stay, see the top of the file.
 */
static struct page *table_page(struct mm_struct *mm, unsigned long va, unsigned int level)
{
	pgd_t *pgdp = pgd_offset(mm, va), pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t pmd;

	if (pgd_none(pgd))
		return NULL;
	p4dp = p4d_offset_lockless(pgdp, pgd, va);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d))
		return NULL;
	pudp = pud_offset_lockless(p4dp, p4d, va);
	pud = READ_ONCE(*pudp);
	if (!(pud_val(pud) & _PAGE_PRESENT) || (pud_val(pud) & _PAGE_PSE))
		return NULL;
	if (level == 2)
		return pfn_to_page(PHYS_PFN(pud_val(pud) & PTE_PFN_MASK));
	pmd = READ_ONCE(*pmd_offset_lockless(pudp, pud, va));
	if (!(pmd_val(pmd) & _PAGE_PRESENT) || (pmd_val(pmd) & _PAGE_PSE))
		return NULL;
	return pfn_to_page(PHYS_PFN(pmd_val(pmd) & PTE_PFN_MASK));
}

static void hold_table(struct hms_probe *arg, struct page *table)
{
	u64 end = local_clock() + arg->linger_us * NSEC_PER_USEC;
	bool unlinked = false;

	arg->held++;
	do {
		/* In this order: a page that is free has lost its type, too. */
		if (!page_ref_count(table)) {
			arg->freed++;
			break;
		}
		unlinked |= !PageTable(table);
		cpu_relax();
	} while (local_clock() < end);
	arg->unlinked += unlinked;
}

static void probe_unlocked(struct probing *run, unsigned long va)
{
	struct hms_probe *arg = run->arg;
	bool rcu_only = arg->mode == HMS_PROBE_OWN_RCU;
	struct page *table;

	if (rcu_only)
		rcu_read_lock();
	else
		local_irq_disable();
	table = table_page(run->mm, va, arg->level);
	if (table)
		hold_table(arg, table);
	if (rcu_only)
		rcu_read_unlock();
	else
		local_irq_enable();
}

static int probe_locked(struct probing *run, unsigned long va)
{
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(run->mm))
		return -EINTR;
	vma = find_vma(run->mm, va);
	if (vma && vma->vm_start <= va)
		probe_unlocked(run, va);
	mmap_read_unlock(run->mm);
	return 0;
}

static bool should_end(struct probing *run)
{
	return signal_pending(current) || !atomic_read(&run->mm->mm_users);
}

static void probe_run(struct probing *run)
{
	struct hms_probe *arg = run->arg;
	unsigned long deadline = jiffies + msecs_to_jiffies(arg->time_ms);
	unsigned long va;

	while (time_before(jiffies, deadline) && !should_end(run)) {
		run->seed = run->seed * 6364136223846793005ULL + 1442695040888963407ULL;
		va = arg->va + (run->seed >> 32) % arg->len;
		if (!mode_is_locked(arg->mode))
			probe_unlocked(run, va);
		else if (probe_locked(run, va))
			break;
		cond_resched();
	}
}

static int foreign_main(void *data)
{
	struct probing *run = data;

	probe_run(run);
	complete(&run->done);
	return 0;
}

/* The caller keeps mm_users: it waits here, and nothing interrupts it but the time. */
static int probe_foreign(struct probing *run)
{
	struct task_struct *task;

	if (!cpu_online(run->arg->cpu))
		return -EINVAL;
	task = kthread_create(foreign_main, run, "hms_probe");
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, run->arg->cpu);
	wake_up_process(task);
	wait_for_completion(&run->done);
	return 0;
}

/**
 * hms_probe - hold page tables for a while and see whether one is freed
 * @arg: what to do; the counts are filled in
 *
 * Return: 0, -EINVAL, or an errno of making a thread.
 */
int hms_probe(struct hms_probe *arg)
{
	struct probing run = {
		.arg = arg,
		.mm = current->mm,
		.seed = local_clock(),
	};

	if (arg->mode >= HMS_PROBE_NR || arg->level < 1 || arg->level > 2 ||
	    !arg->len || arg->len > PGDIR_SIZE || arg->va + arg->len < arg->va ||
	    arg->va + arg->len > TASK_SIZE_MAX || arg->linger_us > MAX_LINGER_US ||
	    arg->time_ms > MAX_TIME_MS || arg->cpu >= nr_cpu_ids || arg->reserved)
		return -EINVAL;
	arg->held = 0;
	arg->unlinked = 0;
	arg->freed = 0;
	init_completion(&run.done);
	if (mode_is_foreign(arg->mode))
		return probe_foreign(&run);
	probe_run(&run);
	return 0;
}
