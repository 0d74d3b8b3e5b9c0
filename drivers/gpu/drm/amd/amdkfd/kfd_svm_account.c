// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of a process is in VRAM, and telling the front end what happens to its memory.
 *
 * The mirror calls when pages move or go, whoever causes it: a request of the process
 * itself, an access of a child that shares them, another process that needs the VRAM. So
 * an account is apart from its process and may outlive it, and its lock is one that can
 * be taken anywhere.
 *
 *   somebody moves pages                 kfd_svm_account_detach()
 *     begin():
 *       svm? nr_open++, tell START           wait for nr_open == 0
 *     ...                                    svm = NULL
 *     end():
 *       svm: tell END, nr_open--, wake up
 *
 * Whoever was told START is told END, and the process stays till then: it goes at an
 * instant at which no move is open. begin() never waits for that, as one move begins for
 * several accounts, or several times for one, before it ends for any.
 */
#include "kfd_svm_priv.h"

#include <linux/slab.h>

#include "kfd_svm_trace.h"

#define to_account(ptr) container_of(ptr, struct kfd_svm_account, res)

/* Tell the front end. Any lock of the core may be held, and those of the mm. */
void kfd_svm_tell(struct kfd_svm *svm, const struct kfd_svm_event *event)
{
	if (svm->client_ops->event)
		svm->client_ops->event(svm->client, event);
}

static struct kfd_svm_gpu_account *find_gpu(struct kfd_svm_account *account,
					    const void *gpu)
{
	unsigned int i;

	lockdep_assert_held(&account->lock);

	for (i = 0; gpu && i < account->nr_gpus; i++)
		if (account->gpus[i].gpu == gpu)
			return &account->gpus[i];
	return NULL;
}

static u32 name_of(struct kfd_svm_account *account, const void *gpu)
{
	const struct kfd_svm_gpu_account *ga = find_gpu(account, gpu);

	return ga ? ga->user_gpu_id : KFD_SVM_LOC_SYSMEM;
}

static u32 trigger_of(const struct hmm_mirror_move *move)
{
	switch (move->cause) {
	case HMM_MIRROR_MOVE_CPU_FAULT:
		return KFD_SVM_MIGRATE_CPU_FAULT;
	case HMM_MIRROR_MOVE_EVICT:
		return KFD_SVM_MIGRATE_EVICTION;
	default:
		return move->tag;
	}
}

static void describe(struct kfd_svm_account *account,
		     const struct hmm_mirror_move *move,
		     enum kfd_svm_event_kind kind, struct kfd_svm_event *event)
{
	*event = (struct kfd_svm_event){
		.kind = kind,
		.trigger = trigger_of(move),
		.first_page = move->first_va >> PAGE_SHIFT,
		.npages = move->npages,
		.from = name_of(account, move->from),
		.to = name_of(account, move->to),
		.error = move->err,
	};
}

/* Return: the process, which stays until nr_open is counted down, or NULL. */
static struct kfd_svm *open_move(struct kfd_svm_account *account,
				 const struct hmm_mirror_move *move,
				 struct kfd_svm_event *event)
{
	struct kfd_svm *svm;

	spin_lock_irq(&account->lock);
	svm = account->svm;
	if (svm) {
		account->nr_open++;
		describe(account, move, KFD_SVM_EVENT_MIGRATE_START, event);
	}
	spin_unlock_irq(&account->lock);
	return svm;
}

static void begin(struct hmm_mirror_resident *res,
		  const struct hmm_mirror_move *move)
{
	struct kfd_svm_account *account = to_account(res);
	const struct kfd_svm_attr_range *range;
	struct kfd_svm_event event;
	struct kfd_svm *svm;

	svm = open_move(account, move, &event);
	if (!svm || !svm->client_ops->event)
		return;
	event.prefetch = KFD_SVM_LOC_UNDEFINED;
	event.preferred = KFD_SVM_LOC_UNDEFINED;
	mutex_lock(&svm->update_lock);
	range = kfd_svm_attr_first(&svm->attrs, event.first_page,
				   event.first_page);
	if (range) {
		event.prefetch = range->attr.prefetch;
		event.preferred = range->attr.preferred;
	}
	mutex_unlock(&svm->update_lock);
	kfd_svm_tell(svm, &event);
}

static void count_move(struct kfd_svm_account *account,
		       const struct hmm_mirror_move *move)
{
	struct kfd_svm_gpu_account *from = find_gpu(account, move->from);
	struct kfd_svm_gpu_account *to = find_gpu(account, move->to);

	if (from) {
		from->page_out += move->moved;
		from->vram_pages -= move->moved;
	}
	if (to) {
		to->page_in += move->moved;
		to->vram_pages += move->moved;
	}
}

/*
 * For kfd_svm_block.thrash: what the process's own mm hears nothing of that could be told
 * from any other change. What does not fit is forgotten, which costs a try.
 */
static void note_taken(struct kfd_svm_account *account,
		       const struct hmm_mirror_move *move)
{
	if ((move->cause != HMM_MIRROR_MOVE_EVICT && !move->by_other) ||
	    !move->moved || account->nr_taken == KFD_SVM_MAX_TAKEN)
		return;
	account->taken[account->nr_taken] = (struct kfd_svm_span){
		.first_va = move->first_va,
		.last_va = move->first_va + (move->npages << PAGE_SHIFT) - 1,
	};
	/* Pairs with kfd_svm_account_read_taken(). */
	WRITE_ONCE(account->nr_taken, account->nr_taken + 1);
}

static void end(struct hmm_mirror_resident *res, const struct hmm_mirror_move *move)
{
	struct kfd_svm_account *account = to_account(res);
	struct kfd_svm_event event;
	struct kfd_svm *svm;

	spin_lock_irq(&account->lock);
	count_move(account, move);
	describe(account, move, KFD_SVM_EVENT_MIGRATE_END, &event);
	svm = account->svm;
	if (svm)
		note_taken(account, move);
	spin_unlock_irq(&account->lock);
	if (!svm)
		return;
	trace_kfd_svm_moved(svm->tgid, event.from, event.to, event.first_page,
			    event.npages, move->moved, event.trigger, move->err);
	if (move->moved || !kfd_svm_break_smi_end)
		kfd_svm_tell(svm, &event);

	spin_lock_irq(&account->lock);
	if (!--account->nr_open)
		wake_up(&account->idle);
	spin_unlock_irq(&account->lock);
}

static void freed(struct hmm_mirror_resident *res, void *priv, unsigned long npages)
{
	struct kfd_svm_account *account = to_account(res);
	struct kfd_svm_gpu_account *ga;
	unsigned long flags;

	spin_lock_irqsave(&account->lock, flags);
	ga = find_gpu(account, priv);
	if (ga)
		ga->vram_pages -= npages;
	spin_unlock_irqrestore(&account->lock, flags);
}

static void release(struct hmm_mirror_resident *res)
{
	kfree(to_account(res));
}

static const struct hmm_mirror_resident_ops resident_ops = {
	.begin = begin,
	.end = end,
	.freed = freed,
	.release = release,
};

/* The account of @svm; goes with kfd_svm_account_detach(). NULL: no memory. */
struct kfd_svm_account *kfd_svm_account_create(struct kfd_svm *svm)
{
	struct kfd_svm_account *account;

	account = kzalloc(sizeof(*account), GFP_KERNEL_ACCOUNT);
	if (!account)
		return NULL;
	hmm_mirror_resident_init(&account->res, &resident_ops);
	spin_lock_init(&account->lock);
	init_waitqueue_head(&account->idle);
	account->svm = svm;
	return account;
}

/* The process goes: it is not looked at any more when this returns. */
void kfd_svm_account_detach(struct kfd_svm_account *account)
{
	spin_lock_irq(&account->lock);
	wait_event_lock_irq(account->idle, !account->nr_open, account->lock);
	account->svm = NULL;
	spin_unlock_irq(&account->lock);
	hmm_mirror_resident_put(&account->res);
}

/* To be called in the order of the GPUs' indices. */
void kfd_svm_account_add_gpu(struct kfd_svm_account *account,
			     const struct kfd_svm_gpu *gpu, u32 user_gpu_id)
{
	struct kfd_svm_gpu_account *ga;

	spin_lock_irq(&account->lock);
	ga = &account->gpus[account->nr_gpus++];
	ga->gpu = gpu;
	ga->user_gpu_id = user_gpu_id;
	spin_unlock_irq(&account->lock);
}

/* Fill in what the account knows of GPU @gpu. */
void kfd_svm_account_read(struct kfd_svm_account *account, unsigned int gpu,
			  struct kfd_svm_counters *counters)
{
	const struct kfd_svm_gpu_account *ga = &account->gpus[gpu];

	spin_lock_irq(&account->lock);
	counters->page_in = ga->page_in;
	counters->page_out = ga->page_out;
	counters->vram_pages = ga->vram_pages;
	spin_unlock_irq(&account->lock);
}

/* Move to @taken what others have taken since the last call. Return: entries. */
unsigned int kfd_svm_account_read_taken(struct kfd_svm_account *account,
					struct kfd_svm_span *taken)
{
	unsigned int nr;

	/* Nearly always. A late look is as good. */
	if (!READ_ONCE(account->nr_taken))
		return 0;
	spin_lock_irq(&account->lock);
	nr = account->nr_taken;
	memcpy(taken, account->taken, nr * sizeof(*taken));
	WRITE_ONCE(account->nr_taken, 0);
	spin_unlock_irq(&account->lock);
	return nr;
}
