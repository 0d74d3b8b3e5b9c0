/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a client of the system management interface (SMI) is told: lines of text in a
 * queue. Pure logic.
 */
#ifndef _VAMDGPU_SMI_QUEUE_H
#define _VAMDGPU_SMI_QUEUE_H

#include <linux/kfdsvm_seam.h>
#include <linux/kfd_svm_backend.h>

/**
 * DOC: Messages
 *
 * A message is a line: the event's number in hex, a space, the body. Bodies, with ns the
 * time since boot, pid in decimal, addresses and sizes in pages and GPUs in hex:
 *
 *   1 VMFAULT            pid:name                (pid in hex)
 *   5 MIGRATE_START      ns -pid @addr(size) from->to prefetch:preferred trigger
 *   6 MIGRATE_END        ns -pid @addr(size) from->to trigger error
 *   7 PAGE_FAULT_START   ns -pid @addr(gpu) W|R
 *   8 PAGE_FAULT_END     ns -pid @addr(gpu) M|U
 *   9 QUEUE_EVICTION     ns -pid gpu trigger
 *   a QUEUE_RESTORE      ns -pid gpu 0|R
 *   b UNMAP_FROM_GPU     ns -pid @addr(size) gpu trigger
 *
 * Event n is on if bit n - 1 of the client's mask is. A message that finds no room is
 * lost. An END finds room if its START did, and if both are on there is no END without a
 * START either: so who reads what is there sees pairs, however much was lost.
 */
#define VAMDGPU_SMI_VMFAULT		1
#define VAMDGPU_SMI_MIGRATE_START	5
#define VAMDGPU_SMI_MIGRATE_END		6
#define VAMDGPU_SMI_PAGE_FAULT_START	7
#define VAMDGPU_SMI_PAGE_FAULT_END	8
#define VAMDGPU_SMI_QUEUE_EVICTION	9
#define VAMDGPU_SMI_QUEUE_RESTORE	10
#define VAMDGPU_SMI_UNMAP_FROM_GPU	11
#define VAMDGPU_SMI_ALL_PROCESSES	64

#define VAMDGPU_SMI_BIT(id)		BIT_ULL((id) - 1)
#define VAMDGPU_SMI_LINE_LEN		96	/* with the newline and a 0 */
#define VAMDGPU_SMI_QUEUE_LEN		1024
#define VAMDGPU_SMI_MAX_OPEN		16
#define VAMDGPU_SMI_NAME_LEN		16

/**
 * struct vamdgpu_smi_message - a line, and what it belongs to
 * @id: number of the event
 * @pid: process it is about
 * @first_page: with @from and @to: START and END of the same have the same
 * @from: GPU that the pages leave, or that faulted
 * @to: GPU they go to
 * @len: bytes of @line
 * @line: text; ends with a newline
 */
struct vamdgpu_smi_message {
	unsigned int id;
	int pid;
	u64 first_page;
	u32 from;
	u32 to;
	unsigned int len;
	char line[VAMDGPU_SMI_LINE_LEN];
};

/**
 * struct vamdgpu_smi_open - a START that was queued and whose END has not come
 * @end_id: number of its END; 0: the place is free
 * @pid: as in the message
 * @first_page: as in the message
 * @from: as in the message
 * @to: as in the message
 * @room: bytes kept free for the END
 */
struct vamdgpu_smi_open {
	unsigned int end_id;
	int pid;
	u64 first_page;
	u32 from;
	u32 to;
	unsigned int room;
};

/**
 * struct vamdgpu_smi_queue - what waits to be read
 * @mask: events that are on
 * @head: first byte in @data
 * @len: bytes in @data
 * @room: sum of @open's rooms
 * @open: STARTs without END
 * @data: text, wraps
 */
struct vamdgpu_smi_queue {
	u64 mask;
	unsigned int head;
	unsigned int len;
	unsigned int room;
	struct vamdgpu_smi_open open[VAMDGPU_SMI_MAX_OPEN];
	char data[VAMDGPU_SMI_QUEUE_LEN];
};

bool vamdgpu_smi_format(struct vamdgpu_smi_message *msg,
			const struct kfd_svm_event *event, u64 ns, int pid);
bool vamdgpu_smi_format_vmfault(struct vamdgpu_smi_message *msg, int pid,
				const char *name);
void vamdgpu_smi_queue_enable(struct vamdgpu_smi_queue *q, u64 mask);
bool vamdgpu_smi_queue_add(struct vamdgpu_smi_queue *q,
			   const struct vamdgpu_smi_message *msg);
unsigned int vamdgpu_smi_queue_take(struct vamdgpu_smi_queue *q, char *buf,
				    unsigned int len);

#endif /* _VAMDGPU_SMI_QUEUE_H */
