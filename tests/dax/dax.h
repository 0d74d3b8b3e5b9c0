/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KFDSVM_TESTS_DAX_H
#define KFDSVM_TESTS_DAX_H

#include "cases.h"
#include "hmm_mirror_test.h"

#include <stddef.h>

#define PAGE_LEN	4096UL
#define HUGE_LEN	(2UL << 20)
#define MOUNT_DIR	"/mnt/dax"

/* What is tested, as the command line says: ext4, xfs, dev-2m or dev-4k. */
extern const char *kind;

/* --- setup.c */

/* The file system or the device, made anew; ends the program when it cannot be had. */
void set_up(bool make);
void take_down(void);
/* A DAX file of @len bytes with all blocks allocated, in extents of 2 MiB. */
int make_file(const char *name, size_t len);
/* Map a file shared, at @skew bytes behind a border of 2 MiB. */
char *map_file(int fd, size_t len, size_t skew, int extra_flags);
/* The character device, and how large it is. */
int open_dax_device(size_t *len);

/* --- mirror.c: one range of the process' mm, mirrored and mapped in the device */

struct mirror {
	int fd;
	char *va;
	size_t len;
	struct hmt_extent extents[2048];
	unsigned int nr;
};

/* Begins to mirror; nothing is mapped yet. */
struct mirror *mirror_open(char *va, size_t len);
/* Fault with HMT_REQ_*, 0 takes what is there, and map in the device. */
void mirror_fault(struct mirror *mirror, unsigned int req);
void mirror_close(struct mirror *mirror);
bool mirror_valid(struct mirror *mirror);
/* Device access; the errno or 0. EFAULT: the device has it not mapped so. */
int device_read(struct mirror *mirror, size_t at, void *data, size_t len);
int device_write(struct mirror *mirror, size_t at, const void *data, size_t len);
/* Pages the device has mapped, and the entry of one. */
uint64_t nr_device_pages(struct mirror *mirror);
uint64_t device_page(struct mirror *mirror, size_t at);
uint64_t nr_events(struct mirror *mirror);
/* The extent that covers byte @at, which must be there. */
const struct hmt_extent *extent_at(const struct mirror *mirror, size_t at);
/* HMT_DEV_* of that extent. */
unsigned int extent_kind(struct mirror *mirror, const struct hmt_extent *ext);
unsigned int extent_errno(const struct hmt_extent *ext);


#endif /* KFDSVM_TESTS_DAX_H */
