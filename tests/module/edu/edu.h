/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _HMM_MIRROR_EDU_INTERNAL_H
#define _HMM_MIRROR_EDU_INTERNAL_H

#include <linux/hmm_mirror.h>
#include <linux/interval_tree.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct pci_dev;
struct hme_bench;
struct hme_map;

/* The engine's longest transfer: old QEMUs end at a whole page. */
#define EDU_MAX_LEN	2048U

/* How many extents, and pieces of them to be mapped, are dealt with at a time. */
#define EDU_NR_EXTENTS	64
#define EDU_NR_PIECES	256

/**
 * struct edu - the device
 * @pdev: PCI device
 * @regs: its registers
 * @engine: who may start a transfer; outside of mmap_lock and all update locks
 * @bounce: one page the CPU and the engine can reach; under @engine
 * @bounce_dma: its bus address
 * @user: client whose memory the engine was last started on; written under @engine
 *	and that client's update lock
 */
struct edu {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct mutex engine;	/* one transfer at a time */
	void *bounce;
	dma_addr_t bounce_dma;
	struct edu_client *user;
};

/**
 * struct edu_map - a DMA mapping of an extent
 * @node: place in the client's table, addresses in bytes
 * @link: in the list of mappings that are not in the table yet
 * @ext: what is mapped
 * @dma: bus address
 * @call: which call of HME_MAP made it
 */
struct edu_map {
	struct interval_tree_node node;
	struct list_head link;
	struct hmm_mirror_extent ext;
	dma_addr_t dma;
	u64 call;
};

/**
 * struct edu_client - one open file
 * @edu: the device
 * @call_lock: one ioctl at a time
 * @update_lock: lent to the mirror; guards the rest but for the buffers
 * @mirror: of the process that opened the file
 * @table: mappings by address
 * @nr_live: mappings in @table, or to be put there
 * @nr_map: made since the file was opened
 * @nr_unmap: undone since
 * @nr_events: events that met a mapping
 * @nr_waits: and had to wait for the engine
 * @busy_first_va: what the engine was last started on
 * @busy_last_va: last byte of it
 * @nr_calls: calls of HME_MAP
 * @no_dirty: leave out hmm_mirror_extent_mark_dirty()
 * @is_usable: the device reaches all memory
 * @extents: what a fault has found; under @call_lock
 * @pieces: parts of them that are not mapped; under @call_lock
 */
struct edu_client {
	struct edu *edu;
	struct mutex call_lock;	/* one ioctl at a time */
	struct mutex update_lock;	/* lent to the mirror */
	struct hmm_mirror mirror;
	struct rb_root_cached table;
	u64 nr_live;
	u64 nr_map;
	u64 nr_unmap;
	u64 nr_events;
	u64 nr_waits;
	unsigned long busy_first_va;
	unsigned long busy_last_va;
	u64 nr_calls;
	bool no_dirty;
	bool is_usable;
	struct hmm_mirror_extent extents[EDU_NR_EXTENTS];
	struct hmm_mirror_extent pieces[EDU_NR_PIECES];
};

/* edu_pci.c */
bool edu_engine_runs(struct edu *edu);
int edu_engine_wait(struct edu *edu, bool may_sleep);
void edu_engine_read(struct edu *edu, dma_addr_t from, size_t len);
void edu_engine_write(struct edu *edu, dma_addr_t to, size_t len);
struct device *edu_dev(struct edu *edu);

/* edu_map.c */
extern const struct hmm_mirror_ops edu_mirror_ops;
struct edu_map *edu_find(struct edu_client *client, unsigned long first_va,
			 unsigned long last_va);
int edu_map_span(struct edu_client *client, struct hme_map *args);
void edu_unmap_span(struct edu_client *client, unsigned long first_va,
		    unsigned long last_va);

/* edu_file.c */
int edu_file_register(struct edu *edu);
void edu_file_unregister(void);

/* edu_bench.c */
int edu_bench(struct edu_client *client, struct hme_bench *args);

#endif /* _HMM_MIRROR_EDU_INTERNAL_H */
