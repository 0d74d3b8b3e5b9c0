// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resident memory comes into the page tables of the virtual GPU: SET_ATTR of a process
 * whose GPU cannot fault (XNACK off) maps what it gives access to before it returns, and
 * unmaps what it takes it from.
 */
#include "svm.h"

#include "kt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAP_MIB 256U

static unsigned long nr_mapped(uint32_t gpu_id)
{
	unsigned long mapped, found = -1UL;
	char path[64], line[256];
	const char *field;
	unsigned int id;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kfd_svm/%d/state", getpid());
	f = fopen(path, "r");
	if (!f)
		die("%s cannot be read", path);
	while (fgets(line, sizeof(line), f)) {
		field = strstr(line, "pages_mapped ");
		if (field && sscanf(line, "gpu %u", &id) == 1 && id == gpu_id &&
		    sscanf(field, "pages_mapped %lu", &mapped) == 1)
			found = mapped;
	}
	fclose(f);
	return found;
}

static uint64_t set_access(const struct kt_dev *dev, const struct memory *m, uint32_t type,
			   unsigned long expected)
{
	struct kfd_svm_attribute attr = { .type = type, .value = dev->gpu_id };
	struct {
		struct kfd_svm_args args;
		struct kfd_svm_attribute attr;
	} args = {
		.args = {
			.start_addr = (uintptr_t)m->start,
			.size = m->len,
			.op = KFD_SVM_OP_SET_ATTR,
			.nattr = 1,
		},
		.attr = attr,
	};
	uint64_t start = ticks_now(), ticks;
	int err = kt_svm_raw(dev->kfd, sizeof(args), &args.args);

	ticks = ticks_now() - start;
	if (err)
		die("SET_ATTR: %s", strerror(-err));
	if (nr_mapped(dev->gpu_id) != expected)
		die("%lu pages are mapped, expected %lu", nr_mapped(dev->gpu_id), expected);
	return ticks;
}

static void map_kind(const struct kt_dev *dev, int fd, const char *name, void (*make)(struct memory *m))
{
	uint64_t ours[PASSES], peer[PASSES], undo[PASSES];
	struct memory m = { .len = MAP_MIB * MIB };
	unsigned long npages = m.len / PAGE;
	char row[64];
	int i;

	make(&m);
	for (i = -1; i < PASSES; i++) {
		struct ksb_pass pass = svm_pass(fd, KSB_HMM_MAP, &m);
		uint64_t mapped = set_access(dev, &m, KFD_SVM_ATTR_ACCESS, npages);
		uint64_t unmapped = set_access(dev, &m, KFD_SVM_ATTR_NO_ACCESS, 0);

		if (pass.mapped != npages)
			die("the walk found %llu pages", (unsigned long long)pass.mapped);
		if (i < 0)
			continue;
		peer[i] = pass.ticks;
		ours[i] = mapped;
		undo[i] = unmapped;
	}
	snprintf(row, sizeof(row), "map-%s-%u", name, MAP_MIB);
	row_gain(row, "hmm_range_fault(), a store per page", median(peer), median(ours));
	printf("%-24s %-38s %13s %13.0f\n", "", "unmapping", "", median(undo));
	memory_free(&m);
}

void bench_map(void)
{
	int32_t xnack = 0;
	struct kt_dev dev;
	int err;

	err = kt_open(&dev, -1);
	if (!err)
		err = kt_xnack(dev.kfd, &xnack);
	if (err)
		die("/dev/kfd: %s", strerror(-err));
	/* A walk has one span: a file for each. */
	{
		int fd = svm_module_open();

		map_kind(&dev, fd, "thp", make_thp);
		close(fd);
		fd = svm_module_open();
		map_kind(&dev, fd, "4k", make_4k_in_order);
		close(fd);
	}
	kt_close(&dev);
}
