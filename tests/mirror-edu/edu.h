/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KFDSVM_TESTS_EDU_H
#define KFDSVM_TESTS_EDU_H

#include "cases.h"
#include "hmm_mirror_edu.h"

#define PAGE_LEN	4096UL
#define HUGE_LEN	(2UL << 20)
#define DISK_DIR	"/mnt/disk"
#define MAPPED_MS	20000	/* only a failure takes so long */

#define REQ_READ	(1u << 0)
#define REQ_WRITE	(1u << 1)
#define REQ_WRITE_IF_VMA (1u << 2)

/* What the VM is, as the command line says: edu, iommu, swiotlb or pmem. */
extern const char *machine;
bool behind_iommu(void);	/* the machine is iommu */

uint64_t now_ms(void);

int edu_open(void);
struct hme_stats edu_stats(int fd);
/* The errno of the call, or 0. */
int edu_map(int fd, void *va, size_t len, struct hme_map *map);
void edu_unmap(int fd, void *va, size_t len);
int edu_read(int fd, const void *va, void *data, size_t len, unsigned int flags);
int edu_write(int fd, void *va, const void *data, size_t len, unsigned int flags);
void edu_raw(int fd, uint64_t dma, void *data, size_t len, unsigned int flags);
unsigned int edu_table(int fd, struct hme_mapping *out, unsigned int nr_max);
/* Is there a mapping that covers the address? */
bool edu_find_mapping(int fd, const void *va, struct hme_mapping *mapping);
/* The mapping that covers an address; the case fails without one. */
struct hme_mapping edu_mapping(int fd, const void *va);

/*
 * The mapping that @act leaves at @va. Of a file's page it may be gone before it can be
 * looked at, as write-back is an event that comes when it likes: @act is done again then.
 */
#define MAPPED_BY(act, fd, va) ({ \
	struct hme_mapping mapped; \
	uint64_t mapped_end = now_ms() + MAPPED_MS; \
	do { \
		if (now_ms() > mapped_end) \
			FAIL("no mapping stands for long enough: %s", #act); \
		act; \
	} while (!edu_find_mapping(fd, va, &mapped)); \
	mapped; \
})

void edu_config(int fd, unsigned int dma_bits, bool no_dirty);

void *map_anon(size_t len);
/* Aligned to 2 MiB, in huge pages that are there. */
void *map_thp(size_t len);
/* A memfd of the length, mapped shared. */
void *map_memfd(size_t len, int *fd);
/* A new file on a disk, unlinked, of the length. */
int make_file(size_t len);

#endif /* KFDSVM_TESTS_EDU_H */
