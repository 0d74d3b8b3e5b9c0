/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory of devices that are not there: /dev/hmm_mirror_devmem for the cases. */
#ifndef DEVMEM_H
#define DEVMEM_H

#include "hmm_mirror_devmem.h"
#include "hmt.h"

/* The memory exists; or the case is skipped, unless this machine has to have it. */
void dm_need(unsigned int memory);
/* As dm_need(); 0, or why there is none, in words. */
const char *dm_missing(unsigned int memory);
bool dm_have_huge(void);

struct hmd_info dm_info(unsigned int memory);
bool dm_has(unsigned int memory, uint64_t pfn);
/* Returns how many pages moved, or -errno. */
long dm_move(const void *p, size_t npages, unsigned int memory, unsigned int to,
	     unsigned int flags, uint64_t offset);
/* All of them move. */
void dm_to_device(const void *p, size_t npages, unsigned int memory);
void dm_to_device_at(const void *p, size_t npages, unsigned int memory, uint64_t offset);
void dm_to_ram(const void *p, size_t npages, unsigned int memory);
void dm_evict(unsigned int memory);
/* The first word of a page, as its device sees it. */
uint64_t dm_peek(uint64_t pfn);
void dm_poke(uint64_t pfn, uint64_t word);

#endif /* DEVMEM_H */
