// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells: a store by the CPU starts a queue, and no store costs nothing.
 *
 * Each process has a slice of 8 KiB per GPU: plain memory, one 64-bit slot for
 * each queue. While it is *armed* the slice is not in any CPU page table. A store
 * then faults; the fault maps the page and queues bell_work. The work looks at the
 * slots while stores keep coming, kicks the queues whose slot changed, then takes
 * the mapping away, looks once more, and ends. What the queues do meanwhile, run,
 * poll or wait, does not matter to it.
 *
 * No ring is lost, as each mapping made is followed by a run of the work, and each
 * run ends with "unmap, then look":
 *
 *   CPU                              bell_work
 *   ---                              ---------
 *   store -> fault
 *     insert PTE          (1)
 *                                    unmap       (an earlier run)
 *     queue_work          (2)        look        sees no store yet
 *   store again                      end
 *     PTE was removed: fault -> (1)
 *     PTE is there: lands            run of (2): look, or unmap and look
 *
 * A store that lands was done before the unmap had flushed this CPU's TLB, so the
 * look after the unmap sees it. A store that comes later faults. A second thread
 * whose store lands between (1) and (2) of the first is seen by the run of (2).
 *
 * The storing thread may be slow to come back from its fault, more so if the work
 * took its CPU. Therefore a run that has seen no change gives it some time,
 * sleeping, before it unmaps: else the two could go round for ever.
 *
 * Locks: the unmap runs MMU notifiers, also those of our own core, which take the
 * core's update lock. So nothing is held over it, and nobody who holds a lock that
 * a notifier may want waits for the work. The mappings live in an address space of
 * this process's own (vamdgpu_process.doorbell_inode), so it costs nobody else.
 */
#include "hw.h"

#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "front.h"
#include "hw_trace.h"

#define DOORBELL_PAGES		(VAMDGPU_DOORBELL_LEN / PAGE_SIZE)
#define DOORBELL_FS_MAGIC	0x76674442

/* How a run goes on looking: a spin, short sleeps, then, unless it rang, long. */
#define BELL_SPINS		50
#define BELL_SPIN_US		1
#define BELL_SHORT_SLEEPS	4
#define BELL_SHORT_US		50
#define BELL_LONG_SLEEPS	20
#define BELL_LONG_US		1000
/* Stores that never cease: let the workqueue breathe. */
#define BELL_ROUNDS_MAX		1000

static struct vfsmount *doorbell_mount;

static int doorbell_fs_init(struct fs_context *fc)
{
	return init_pseudo(fc, DOORBELL_FS_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: the mount is the module's own and would pin it for ever. */
static struct file_system_type doorbell_fs = {
	.name = "vamdgpu_doorbell",
	.init_fs_context = doorbell_fs_init,
	.kill_sb = kill_anon_super,
};

/* Also starts gfx9/: this is the first of the hardware's side to come. */
int vamdgpu_doorbell_module_init(void)
{
	int err = gfx9_module_init();

	if (err)
		return err;
	doorbell_mount = kern_mount(&doorbell_fs);
	if (IS_ERR(doorbell_mount)) {
		gfx9_module_exit();
		return PTR_ERR(doorbell_mount);
	}
	return 0;
}

void vamdgpu_doorbell_module_exit(void)
{
	kern_unmount(doorbell_mount);
	gfx9_module_exit();
}

int vamdgpu_doorbell_process_init(struct vamdgpu_process *p)
{
	struct inode *inode = alloc_anon_inode(doorbell_mount->mnt_sb);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	p->doorbell_inode = inode;
	return 0;
}

/* No file of the process is left, so no mapping either. */
void vamdgpu_doorbell_process_fini(struct vamdgpu_process *p)
{
	iput(p->doorbell_inode);
	p->doorbell_inode = NULL;
}

/* Where mmap() on /dev/kfd finds the slice. */
u64 vamdgpu_doorbell_offset(const struct vamdgpu_pdd *pdd)
{
	return VAMDGPU_MMAP_OFFSET(VAMDGPU_MMAP_DOORBELL, pdd->dev->gpu_id);
}

static pgoff_t doorbell_pgoff(const struct vamdgpu_pdd *pdd)
{
	return vamdgpu_doorbell_offset(pdd) >> PAGE_SHIFT;
}

struct page *vamdgpu_doorbell_page(struct vamdgpu_pdd *pdd, unsigned int index)
{
	return virt_to_page((char *)pdd->doorbell_pages + index * PAGE_SIZE);
}

/* ---- looking at the slots ---- */

/* Kicks the queues whose doorbell has changed, or all. */
static bool look(struct vamdgpu_pdd *pdd, bool all)
{
	struct vamdgpu_pdd_hw *hw = pdd->hw;
	struct vamdgpu_queue *q;
	bool changed = false;
	u64 value;

	guard(spinlock)(&hw->bells_lock);
	list_for_each_entry(q, &hw->bells, bell_link) {
		value = READ_ONCE(pdd->doorbell_pages[q->slot]);
		if (value == q->bell_seen && !all)
			continue;
		q->bell_seen = value;
		gfx9_queue_kick(q->hw);
		changed = true;
	}
	return changed;
}

static bool spin_for_change(struct vamdgpu_pdd *pdd)
{
	unsigned int i;

	for (i = 0; i < BELL_SPINS; i++) {
		if (look(pdd, false))
			return true;
		udelay(BELL_SPIN_US);
	}
	return false;
}

static bool sleep_for_change(struct vamdgpu_pdd *pdd, unsigned int times,
			     unsigned int us)
{
	unsigned int i;

	for (i = 0; i < times; i++) {
		usleep_range(us, us + us / 2);
		if (look(pdd, false))
			return true;
	}
	return false;
}

/* Until stores cease. False: they did not. */
static bool watch_stores(struct vamdgpu_pdd *pdd)
{
	bool rang = spin_for_change(pdd);
	unsigned int i;

	for (i = 0; i < BELL_ROUNDS_MAX; i++) {
		if (sleep_for_change(pdd, BELL_SHORT_SLEEPS, BELL_SHORT_US)) {
			rang = true;
			continue;
		}
		if (rang)
			return true;
		/* It may have stored the value that was there. */
		look(pdd, true);
		if (!sleep_for_change(pdd, BELL_LONG_SLEEPS, BELL_LONG_US))
			return true;
		rang = true;
	}
	return false;
}

static void bell_work(struct work_struct *work)
{
	struct vamdgpu_pdd_hw *hw = container_of(work, struct vamdgpu_pdd_hw,
						 bell_work);
	struct vamdgpu_pdd *pdd = hw->pdd;

	if (READ_ONCE(pdd->gone))
		return;
	if (!watch_stores(pdd)) {
		queue_work(hw->wq, &hw->bell_work);
		return;
	}
	/* Pairs with the fault: see the top of this file. */
	unmap_mapping_pages(pdd->process->doorbell_inode->i_mapping,
			    doorbell_pgoff(pdd), DOORBELL_PAGES, true);
	look(pdd, false);
	trace_vamdgpu_doorbell_armed(pdd->process->tgid, pdd->dev->gpu_id);
}

/* ---- the mapping ---- */

/* A read counts as well: its PTE would let a later store through. */
static vm_fault_t doorbell_fault(struct vm_fault *vmf)
{
	struct vamdgpu_pdd *pdd = vmf->vma->vm_private_data;
	pgoff_t index = vmf->pgoff - doorbell_pgoff(pdd);
	vm_fault_t ret;

	if (index >= DOORBELL_PAGES)
		return VM_FAULT_SIGBUS;
	ret = vmf_insert_pfn(vmf->vma, vmf->address,
			     page_to_pfn(vamdgpu_doorbell_page(pdd, index)));
	trace_vamdgpu_doorbell_rang(pdd->process->tgid, pdd->dev->gpu_id);
	/* Of a GPU that is gone: the page stays mapped, and nobody looks at it. */
	if (READ_ONCE(pdd->gone))
		return ret;
	/* After the insertion: see the top of this file. */
	queue_work(pdd->hw->wq, &pdd->hw->bell_work);
	return ret;
}

static const struct vm_operations_struct doorbell_vm_ops = {
	.fault = doorbell_fault,
};

/* The file holds the process, and the mapping the file: pdd outlives the VMA. */
int vamdgpu_doorbell_mmap(struct vamdgpu_pdd *pdd, struct vm_area_struct *vma)
{
	if (vma->vm_end - vma->vm_start != VAMDGPU_DOORBELL_LEN ||
	    vma->vm_pgoff != doorbell_pgoff(pdd) ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (WARN_ON_ONCE(vma->vm_file->f_mapping !=
			 pdd->process->doorbell_inode->i_mapping))
		return -ENODEV;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND |
		     VM_DONTDUMP | VM_NORESERVE);
	vma->vm_private_data = pdd;
	vma->vm_ops = &doorbell_vm_ops;
	return 0;
}

/* ---- slots ---- */

/* Under process->lock. */
int vamdgpu_doorbell_get(struct vamdgpu_pdd *pdd, unsigned int *slot)
{
	lockdep_assert_held(&pdd->process->lock);
	*slot = find_first_zero_bit(pdd->doorbell_used, VAMDGPU_DOORBELLS);
	if (*slot == VAMDGPU_DOORBELLS)
		return -ENOMEM;
	__set_bit(*slot, pdd->doorbell_used);
	WRITE_ONCE(pdd->doorbell_pages[*slot], 0);
	return 0;
}

void vamdgpu_doorbell_put(struct vamdgpu_pdd *pdd, unsigned int slot)
{
	lockdep_assert_held(&pdd->process->lock);
	__clear_bit(slot, pdd->doorbell_used);
}

void vamdgpu_doorbell_watch(struct vamdgpu_queue *q)
{
	guard(spinlock)(&q->pdd->hw->bells_lock);
	list_add_tail(&q->bell_link, &q->pdd->hw->bells);
}

/* Nobody kicks the queue for its doorbell after this. */
void vamdgpu_doorbell_unwatch(struct vamdgpu_queue *q)
{
	guard(spinlock)(&q->pdd->hw->bells_lock);
	list_del(&q->bell_link);
}

int vamdgpu_doorbell_pdd_init(struct vamdgpu_pdd *pdd)
{
	pdd->doorbell_pages = alloc_pages_exact(VAMDGPU_DOORBELL_LEN,
						GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!pdd->doorbell_pages)
		return -ENOMEM;
	spin_lock_init(&pdd->hw->bells_lock);
	INIT_LIST_HEAD(&pdd->hw->bells);
	INIT_WORK(&pdd->hw->bell_work, bell_work);
	return 0;
}

void vamdgpu_doorbell_pdd_fini(struct vamdgpu_pdd *pdd)
{
	cancel_work_sync(&pdd->hw->bell_work);
	free_pages_exact(pdd->doorbell_pages, VAMDGPU_DOORBELL_LEN);
}
