/* SPDX-License-Identifier: MIT */
/* Lines of an SMI event descriptor, taken apart (kfd-svm-semantics.md 1.7). */
#ifndef KT_SMI_H
#define KT_SMI_H

#include <stdbool.h>

/**
 * struct kt_smi_event - one line; what its kind does not have is 0
 * @id: KFD_SMI_EVENT_*
 * @ns: when, boottime
 * @pid: whose
 * @page: first page of what moved or went, or the page of a fault
 * @npages: how many moved or went
 * @from: GPU id or 0 where they were
 * @to: GPU id or 0 where they are to be
 * @prefetch: location asked for
 * @preferred: location preferred
 * @gpu: of a fault, an eviction, a restore or an unmap
 * @trigger: KFD_*_TRIGGER_* of its kind
 * @error: -errno of a move
 * @has_error: the driver says how a move ended; old ones do not
 * @sign: W, R, M or U of a fault; R of a restore put off; first letter of a VMFAULT's task
 */
struct kt_smi_event {
	unsigned int id;
	unsigned long long ns;
	int pid;
	unsigned long page;
	unsigned long npages;
	unsigned int from;
	unsigned int to;
	unsigned int prefetch;
	unsigned int preferred;
	unsigned int gpu;
	unsigned int trigger;
	int error;
	bool has_error;
	char sign;
};

/* 0, or -EINVAL for a line with more, less or other than its kind has. */
int kt_smi_parse(const char *line, struct kt_smi_event *event);

/* How many START of the events have no END yet, and evictions no restore. */
unsigned int kt_smi_unended(const struct kt_smi_event *events, unsigned int nevents);

#endif
