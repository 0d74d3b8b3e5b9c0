// SPDX-License-Identifier: MIT
#include "kt_smi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kt.h"

static int parse_move_start(const char *line, struct kt_smi_event *e)
{
	int end = 0;

	sscanf(line, "%*x %llu -%d @%lx(%lx) %x->%x %x:%x %u%n", &e->ns, &e->pid, &e->page,
	       &e->npages, &e->from, &e->to, &e->prefetch, &e->preferred, &e->trigger, &end);
	return end;
}

static int parse_move_end(const char *line, struct kt_smi_event *e)
{
	int end = 0;

	sscanf(line, "%*x %llu -%d @%lx(%lx) %x->%x %u%n", &e->ns, &e->pid, &e->page,
	       &e->npages, &e->from, &e->to, &e->trigger, &end);
	if (end && line[end] == ' ') {
		int more = 0;

		e->has_error = sscanf(line + end, " %d%n", &e->error, &more) == 1;
		end += more;
	}
	return end;
}

int kt_smi_parse(const char *line, struct kt_smi_event *e)
{
	int end = 0;

	memset(e, 0, sizeof(*e));
	if (sscanf(line, "%x ", &e->id) != 1)
		return -EINVAL;
	switch (e->id) {
	case KFD_SMI_EVENT_VMFAULT:
		/* The name of the task goes on to the end of the line. */
		return sscanf(line, "%*x %x:%c", (unsigned int *)&e->pid, &e->sign) == 2 ?
		       0 : -EINVAL;
	case KFD_SMI_EVENT_MIGRATE_START:
		end = parse_move_start(line, e);
		break;
	case KFD_SMI_EVENT_MIGRATE_END:
		end = parse_move_end(line, e);
		break;
	case KFD_SMI_EVENT_PAGE_FAULT_START:
	case KFD_SMI_EVENT_PAGE_FAULT_END:
		sscanf(line, "%*x %llu -%d @%lx(%x) %c%n", &e->ns, &e->pid, &e->page,
		       &e->gpu, &e->sign, &end);
		break;
	case KFD_SMI_EVENT_QUEUE_EVICTION:
		sscanf(line, "%*x %llu -%d %x %u%n", &e->ns, &e->pid, &e->gpu, &e->trigger,
		       &end);
		break;
	case KFD_SMI_EVENT_QUEUE_RESTORE:
		/* "0" or "R", as the driver's format has it. */
		sscanf(line, "%*x %llu -%d %x %c%n", &e->ns, &e->pid, &e->gpu, &e->sign,
		       &end);
		break;
	case KFD_SMI_EVENT_UNMAP_FROM_GPU:
		sscanf(line, "%*x %llu -%d @%lx(%lx) %x %u%n", &e->ns, &e->pid, &e->page,
		       &e->npages, &e->gpu, &e->trigger, &end);
		break;
	}
	return end && (!line[end] || line[end] == '\n') ? 0 : -EINVAL;
}

static bool is_start(unsigned int id)
{
	return id == KFD_SMI_EVENT_MIGRATE_START || id == KFD_SMI_EVENT_PAGE_FAULT_START ||
	       id == KFD_SMI_EVENT_QUEUE_EVICTION;
}

unsigned int kt_smi_unended(const struct kt_smi_event *events, unsigned int nevents)
{
	unsigned int i, starts = 0, ends = 0;

	for (i = 0; i < nevents; i++) {
		starts += is_start(events[i].id);
		ends += is_start(events[i].id - 1);
	}
	return starts > ends ? starts - ends : 0;
}
