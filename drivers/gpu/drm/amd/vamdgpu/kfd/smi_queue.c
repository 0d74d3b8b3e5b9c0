// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMI messages as text, and the queue of one client.
 */
#include "smi_queue.h"

/*
 * An END is not longer than its START and this: the time may have gained a digit, an
 * error (" -4095") stands where START has two locations (" 0:0" at least).
 */
#define END_LONGER	4

/* As printf wants it, in the kernel and outside. */
#define AS_ULL(x)	((unsigned long long)(x))

static unsigned int event_id(enum kfd_svm_event_kind kind)
{
	static const unsigned int ids[] = {
		[KFD_SVM_EVENT_MIGRATE_START] = VAMDGPU_SMI_MIGRATE_START,
		[KFD_SVM_EVENT_MIGRATE_END] = VAMDGPU_SMI_MIGRATE_END,
		[KFD_SVM_EVENT_PAGE_FAULT_START] = VAMDGPU_SMI_PAGE_FAULT_START,
		[KFD_SVM_EVENT_PAGE_FAULT_END] = VAMDGPU_SMI_PAGE_FAULT_END,
		[KFD_SVM_EVENT_QUEUE_EVICTION] = VAMDGPU_SMI_QUEUE_EVICTION,
		[KFD_SVM_EVENT_QUEUE_RESTORE] = VAMDGPU_SMI_QUEUE_RESTORE,
		[KFD_SVM_EVENT_UNMAP_FROM_GPU] = VAMDGPU_SMI_UNMAP_FROM_GPU,
	};

	return ids[kind];
}

static int format_body(char *buf, size_t len, const struct kfd_svm_event *e)
{
	switch (e->kind) {
	case KFD_SVM_EVENT_MIGRATE_START:
		return snprintf(buf, len, "@%llx(%llx) %x->%x %x:%x %u\n",
				AS_ULL(e->first_page), AS_ULL(e->npages), e->from,
				e->to, e->prefetch, e->preferred, e->trigger);
	case KFD_SVM_EVENT_MIGRATE_END:
		return snprintf(buf, len, "@%llx(%llx) %x->%x %u %d\n",
				AS_ULL(e->first_page), AS_ULL(e->npages), e->from,
				e->to, e->trigger, e->error);
	case KFD_SVM_EVENT_PAGE_FAULT_START:
		return snprintf(buf, len, "@%llx(%x) %c\n", AS_ULL(e->first_page),
				e->user_gpu_id, e->write ? 'W' : 'R');
	case KFD_SVM_EVENT_PAGE_FAULT_END:
		return snprintf(buf, len, "@%llx(%x) %c\n", AS_ULL(e->first_page),
				e->user_gpu_id, e->migrated ? 'M' : 'U');
	case KFD_SVM_EVENT_QUEUE_EVICTION:
		return snprintf(buf, len, "%x %u\n", e->user_gpu_id,
				e->trigger);
	case KFD_SVM_EVENT_QUEUE_RESTORE:
		return snprintf(buf, len, "%x %c\n", e->user_gpu_id,
				e->rescheduled ? 'R' : '0');
	case KFD_SVM_EVENT_UNMAP_FROM_GPU:
		return snprintf(buf, len, "@%llx(%llx) %x %u\n",
				AS_ULL(e->first_page), AS_ULL(e->npages),
				e->user_gpu_id, e->trigger);
	}
	return 0;
}

/* False: the line would be too long. */
bool vamdgpu_smi_format(struct vamdgpu_smi_message *msg,
			const struct kfd_svm_event *event, u64 ns, int pid)
{
	bool migrates = event->kind == KFD_SVM_EVENT_MIGRATE_START ||
			event->kind == KFD_SVM_EVENT_MIGRATE_END;
	int at, n;

	msg->id = event_id(event->kind);
	msg->pid = pid;
	msg->first_page = event->first_page;
	msg->from = migrates ? event->from : event->user_gpu_id;
	msg->to = migrates ? event->to : 0;
	at = snprintf(msg->line, sizeof(msg->line), "%x %llu -%d ", msg->id,
		      AS_ULL(ns), pid);
	n = format_body(msg->line + at, sizeof(msg->line) - at, event);
	msg->len = at + n;
	return msg->len < sizeof(msg->line);
}

/* A process chooses its name: it shall not look like more lines. */
bool vamdgpu_smi_format_vmfault(struct vamdgpu_smi_message *msg, int pid,
				const char *name)
{
	unsigned int i;

	*msg = (struct vamdgpu_smi_message){
		.id = VAMDGPU_SMI_VMFAULT,
		.pid = pid,
	};
	msg->len = snprintf(msg->line, sizeof(msg->line), "%x %x:", msg->id,
			    pid);
	for (i = 0; i < VAMDGPU_SMI_NAME_LEN - 1 && name[i]; i++)
		msg->line[msg->len++] = name[i] < ' ' || name[i] > '~' ?
					'?' : name[i];
	msg->line[msg->len++] = '\n';
	return true;
}

static bool is_on(const struct vamdgpu_smi_queue *q, unsigned int id)
{
	return q->mask & VAMDGPU_SMI_BIT(id);
}

static bool is_start(unsigned int id)
{
	return id == VAMDGPU_SMI_MIGRATE_START ||
	       id == VAMDGPU_SMI_PAGE_FAULT_START;
}

static bool is_end(unsigned int id)
{
	return id == VAMDGPU_SMI_MIGRATE_END || id == VAMDGPU_SMI_PAGE_FAULT_END;
}

static void close_open(struct vamdgpu_smi_queue *q,
		       struct vamdgpu_smi_open *open)
{
	q->room -= open->room;
	open->end_id = 0;
}

/* What is queued stays; what is kept for ENDs that are now off is not any more. */
void vamdgpu_smi_queue_enable(struct vamdgpu_smi_queue *q, u64 mask)
{
	unsigned int i;

	q->mask = mask;
	for (i = 0; i < VAMDGPU_SMI_MAX_OPEN; i++) {
		if (q->open[i].end_id && !is_on(q, q->open[i].end_id))
			close_open(q, &q->open[i]);
	}
}

static struct vamdgpu_smi_open *find_open(struct vamdgpu_smi_queue *q,
					  const struct vamdgpu_smi_message *end)
{
	struct vamdgpu_smi_open *open;

	for (open = q->open; open < q->open + VAMDGPU_SMI_MAX_OPEN; open++) {
		if (open->end_id == end->id && open->pid == end->pid &&
		    open->first_page == end->first_page &&
		    open->from == end->from && open->to == end->to)
			return open;
	}
	return NULL;
}

static struct vamdgpu_smi_open *find_place(struct vamdgpu_smi_queue *q)
{
	struct vamdgpu_smi_open *open;

	for (open = q->open; open < q->open + VAMDGPU_SMI_MAX_OPEN; open++) {
		if (!open->end_id)
			return open;
	}
	return NULL;
}

/* Return: it finds room; with it, the room of its END is taken. */
static bool open_pair(struct vamdgpu_smi_queue *q,
		      const struct vamdgpu_smi_message *start, unsigned int room)
{
	struct vamdgpu_smi_open *open = find_place(q);
	unsigned int end = start->len + END_LONGER;

	if (!open || start->len + end > room)
		return false;
	*open = (struct vamdgpu_smi_open){
		.end_id = start->id + 1,
		.pid = start->pid,
		.first_page = start->first_page,
		.from = start->from,
		.to = start->to,
		.room = end,
	};
	q->room += end;
	return true;
}

/* Return: it is queued. Else it is off or lost. */
bool vamdgpu_smi_queue_add(struct vamdgpu_smi_queue *q,
			   const struct vamdgpu_smi_message *msg)
{
	struct vamdgpu_smi_open *open;
	unsigned int room, i;

	if (!is_on(q, msg->id))
		return false;
	if (is_end(msg->id)) {
		open = find_open(q, msg);
		if (open)
			close_open(q, open);
		else if (is_on(q, msg->id - 1))
			return false;
	}
	room = VAMDGPU_SMI_QUEUE_LEN - q->len - q->room;
	if (msg->len > room)
		return false;
	if (is_start(msg->id) && is_on(q, msg->id + 1) &&
	    !open_pair(q, msg, room))
		return false;
	for (i = 0; i < msg->len; i++)
		q->data[(q->head + q->len++) % VAMDGPU_SMI_QUEUE_LEN] =
			msg->line[i];
	return true;
}

/* Return: bytes taken, at most @len. */
unsigned int vamdgpu_smi_queue_take(struct vamdgpu_smi_queue *q, char *buf,
				    unsigned int len)
{
	unsigned int i;

	len = min(len, q->len);
	for (i = 0; i < len; i++)
		buf[i] = q->data[(q->head + i) % VAMDGPU_SMI_QUEUE_LEN];
	q->head = (q->head + len) % VAMDGPU_SMI_QUEUE_LEN;
	q->len -= len;
	return len;
}
