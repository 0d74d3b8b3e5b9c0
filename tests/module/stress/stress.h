/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _HMS_STRESS_H
#define _HMS_STRESS_H

#include "hmm_mirror_stress.h"

#include <linux/hmm_mirror.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/wait.h>

#define HMS_NR_KEPT	4
#define HMS_NR_EXTENTS	256
#define HMS_NR_SPANS	4
#define HMS_NR_PFNS	512

struct hms;

/* What makes page tables stand still for the slow walker; hmm-core's modes A and B. */
enum hms_stable {
	HMS_STABLE_LOCKED,	/* mmap_lock for read; addresses inside a VMA */
	HMS_STABLE_LOADED,	/* the mm is loaded on this CPU */
};

/**
 * struct hms_walker - one that walks
 * @hms: its stress
 * @kind: enum hms_walker_kind
 * @seed: state of the random numbers
 * @first_va: of the range at work, under the update lock
 * @last_va: likewise
 * @nr_events: events that met the range at work; changes under the update lock
 * @stable: how the current check keeps the tables
 * @kept: ranges that live long
 * @is_kept: which of them are registered
 * @req: request of the current walk
 * @spans: of @req
 * @extents: result of the last call
 * @pfns: for hmm_range_fault()
 * @counts: under the update lock
 */
struct hms_walker {
	struct hms *hms;
	unsigned int kind;
	u64 seed;
	unsigned long first_va;
	unsigned long last_va;
	unsigned long nr_events;
	enum hms_stable stable;
	struct hmm_mirror_range kept[HMS_NR_KEPT];
	bool is_kept[HMS_NR_KEPT];
	struct hmm_mirror_req req;
	struct hmm_mirror_req_span spans[HMS_NR_SPANS];
	struct hmm_mirror_extent extents[HMS_NR_EXTENTS];
	unsigned long pfns[HMS_NR_PFNS];
	struct hms_counts counts;
};

/**
 * struct hms - one stress of one mm
 * @mirror: of the caller's mm
 * @update_lock: the mirror's; also guards @shadow, @bad, @events and all counts
 * @cfg: what was asked for
 * @npages: size of the arena
 * @shadow: what a device would have mapped, one entry a page: pfn and, in the low
 *	bits, HMM_MIRROR_EXT_*; 0: nothing
 * @walkers: by enum hms_walker_kind
 * @walk_lock: one HMS_IOC_WALK at a time
 * @task: the worker, or NULL
 * @events: invalidations that met the arena
 * @event_wait: woken by each event
 * @bad: first findings
 * @nr_bad: how many
 * @error: errno of a call that should not have failed
 */
struct hms {
	struct hmm_mirror mirror;
	struct mutex update_lock;	/* see above */
	struct hms_start cfg;
	unsigned long npages;
	u64 *shadow;
	struct hms_walker walkers[HMS_WALKER_NR];
	struct mutex walk_lock;		/* one caller */
	struct task_struct *task;
	u64 events;
	wait_queue_head_t event_wait;
	struct hms_bad bad[HMS_NR_BAD];
	unsigned int nr_bad;
	int error;
};

/**
 * struct hms_slow - what the page table has for an address
 * @entry: the last entry looked at
 * @level: where it stands, 1 for a PTE
 * @pfn: the page, if present
 * @present: user space may read it
 * @write: and write it
 */
struct hms_slow {
	u64 entry;
	unsigned int level;
	unsigned long pfn;
	bool present;
	bool write;
};

/* slow.c */
void hms_slow_lookup(struct mm_struct *mm, unsigned long va, struct hms_slow *slow);

/* check.c */
int hms_check_begin(struct hms_walker *walker);
void hms_check_end(struct hms_walker *walker);
void hms_check_extent(struct hms_walker *walker, const struct hmm_mirror_extent *ext,
		      bool with_hmm);
void hms_check_shadow(struct hms_walker *walker, unsigned int nr);
void hms_shadow_clear(struct hms *hms, unsigned long start_va, unsigned long end_va);
void hms_shadow_fill(struct hms *hms, const struct hmm_mirror_extent *ext);

/* walker.c */
u32 hms_random(struct hms_walker *walker, u32 below);
int hms_walk(struct hms_walker *walker);
void hms_walker_fini(struct hms_walker *walker);

/* probe.c */
int hms_probe(struct hms_probe *probe);

#endif /* _HMS_STRESS_H */
