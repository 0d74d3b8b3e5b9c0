/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A window that is mapped in the device in units, a range for each, and what an event does
 * to it: exactly what the event touches loses its validity and its mapping.
 */
#ifndef ZOO_EVENT_H
#define ZOO_EVENT_H

#include "zoo_mirror.h"

/**
 * struct zoo_watch - a window under watch
 * @fd: the client
 * @va: first byte of the window
 * @npages: its length
 * @unit: pages in a range
 * @req: how it is faulted
 * @log: number of the first event not looked at yet
 * @mapped: what the device has mapped, HMT_PAGE_*, when it was last looked at
 * @valid: which units were valid then
 */
struct zoo_watch {
	int fd;
	char *va;
	size_t npages;
	size_t unit;
	enum zoo_req req;
	uint64_t log;
	uint64_t *mapped;
	uint8_t *valid;
};

/* Maps all of the window in the device; all units are valid then. */
void zoo_watch(struct zoo_watch *w, char *va, size_t npages, size_t unit,
	       enum zoo_req req);
/* All of the window, by a client of the window's owner. */
void zoo_watch_window(struct zoo_watch *w, const struct zoo *z, size_t unit,
		      enum zoo_req req);
/* The same again, after an event. */
void zoo_watch_again(struct zoo_watch *w);
void zoo_watch_end(struct zoo_watch *w);

/*
 * Since the last look there was an event of @kind (HMT_NONE: any) for all of @npages
 * from @first on and for nothing else; their units are invalid, the device has lost
 * the pages, and the other units are as they were.
 */
void zoo_expect_event(struct zoo_watch *w, uint32_t kind, size_t first, size_t npages);
/* The event may reach out to all of outer_first.. as well. */
void zoo_expect_event_within(struct zoo_watch *w, uint32_t kind, size_t first,
			     size_t npages, size_t outer_first, size_t outer_npages);
/* Which pages an event was for is in @touched. */
void zoo_expect_events(struct zoo_watch *w, uint32_t kind, const bool *touched);
/* Nothing was heard and nothing changed. */
void zoo_expect_quiet(struct zoo_watch *w);

/* The first word of a page, through the device. */
void zoo_device_write(struct zoo_watch *w, size_t page, uint64_t word);
uint64_t zoo_device_read(struct zoo_watch *w, size_t page);
/* All pages get words of their own from the device; what those are. */
void zoo_device_fill(struct zoo_watch *w);
uint64_t zoo_device_word(size_t page);
/* A fault of one page: 0 or the errno its extent has, positive. */
int zoo_fault_errno(struct zoo_watch *w, const char *va, enum zoo_req req);
/* The device has the page that pagemap has. */
void zoo_expect_same_page(struct zoo_watch *w, size_t page);

#endif /* ZOO_EVENT_H */
