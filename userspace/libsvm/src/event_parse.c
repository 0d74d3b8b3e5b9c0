// SPDX-License-Identifier: MIT
/*
 * One line of the driver's event descriptor: "ID BODY", ID hexadecimal. Bodies:
 *
 *   VM_FAULT        pid(hex):name
 *   all others      ns -pid and
 *   MIGRATE_START   @page(npages) from->to prefetch:preferred trigger
 *   MIGRATE_END     @page(npages) from->to trigger [error]
 *   FAULT_START     @page(gpu) W|R
 *   FAULT_END       @page(gpu) M|U
 *   EVICTION        gpu trigger
 *   RESTORE         gpu 0|R
 *   UNMAP           @page(npages) gpu trigger
 *
 * with ns, pid, trigger and error decimal, all else hexadecimal. A newer driver
 * may say more at the end of a line, after a blank: that is passed over. A tool can
 * feed in anything, so nothing is believed: what does not fit is no event.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"

/* What is left of the line. */
struct text {
	const char *at;
	const char *end;
};

static bool literal(struct text *t, const char *s)
{
	size_t len = strlen(s);

	if ((size_t)(t->end - t->at) < len || memcmp(t->at, s, len))
		return false;
	t->at += len;
	return true;
}

static bool number32(struct text *t, unsigned int base, uint32_t *value)
{
	uint64_t wide;

	if (!kfdsvm_number(&t->at, t->end, base, &wide) || wide > UINT32_MAX)
		return false;
	*value = (uint32_t)wide;
	return true;
}

static bool positive_int(struct text *t, unsigned int base, int32_t *value)
{
	uint32_t number;

	if (!number32(t, base, &number) || number > INT32_MAX)
		return false;
	*value = (int32_t)number;
	return true;
}

static bool signed_int(struct text *t, int32_t *value)
{
	bool negative = literal(t, "-");

	if (!positive_int(t, 10, value))
		return false;
	if (negative)
		*value = -*value;
	return true;
}

static bool bytes(struct text *t, size_t page, uint64_t *value)
{
	uint64_t npages;

	if (!kfdsvm_number(&t->at, t->end, 16, &npages) || npages > UINT64_MAX / page)
		return false;
	*value = npages * page;
	return true;
}

/* One of two letters; @flag for the first. */
static bool letter(struct text *t, const char *first, const char *second, uint32_t flag,
		   struct kfdsvm_event *e)
{
	if (literal(t, first))
		e->flags |= flag;
	else if (!literal(t, second))
		return false;
	return true;
}

/* "@page(npages)" */
static bool span(struct text *t, size_t page, struct kfdsvm_event *e)
{
	return literal(t, "@") && bytes(t, page, &e->addr) && literal(t, "(") &&
	       bytes(t, page, &e->len) && literal(t, ")") && e->addr <= UINT64_MAX - e->len;
}

static bool migration(struct text *t, size_t page, struct kfdsvm_event *e)
{
	if (!span(t, page, e) || !literal(t, " ") || !number32(t, 16, &e->from) ||
	    !literal(t, "->") || !number32(t, 16, &e->to) || !literal(t, " "))
		return false;
	if (e->kind == KFDSVM_EVENT_MIGRATE_START)
		return number32(t, 16, &e->prefetch) && literal(t, ":") &&
		       number32(t, 16, &e->preferred) && literal(t, " ") &&
		       number32(t, 10, &e->trigger);
	if (!number32(t, 10, &e->trigger))
		return false;
	if (!literal(t, " "))
		return true;
	e->flags |= KFDSVM_EVENT_HAS_ERROR;
	return signed_int(t, &e->error);
}

static bool fault(struct text *t, size_t page, struct kfdsvm_event *e)
{
	if (!literal(t, "@") || !bytes(t, page, &e->addr) || !literal(t, "(") ||
	    !number32(t, 16, &e->gpu_id) || !literal(t, ") "))
		return false;
	return e->kind == KFDSVM_EVENT_FAULT_START ?
	       letter(t, "W", "R", KFDSVM_EVENT_WRITE, e) :
	       letter(t, "M", "U", KFDSVM_EVENT_MIGRATED, e);
}

static bool vm_fault(struct text *t, struct kfdsvm_event *e)
{
	size_t len;

	if (!positive_int(t, 16, &e->pid) || !literal(t, ":"))
		return false;
	len = (size_t)(t->end - t->at);
	if (len >= sizeof(e->comm))
		len = sizeof(e->comm) - 1;
	memcpy(e->comm, t->at, len);
	/* A name is whatever the process says; it shall end where C says it does. */
	e->comm[len] = '\0';
	t->at = t->end;
	return true;
}

static bool body(struct text *t, size_t page, struct kfdsvm_event *e)
{
	if (e->kind == KFDSVM_EVENT_VM_FAULT)
		return vm_fault(t, e);
	if (!kfdsvm_number(&t->at, t->end, 10, &e->time_ns) || !literal(t, " -") ||
	    !positive_int(t, 10, &e->pid) || !literal(t, " "))
		return false;
	switch (e->kind) {
	case KFDSVM_EVENT_MIGRATE_START:
	case KFDSVM_EVENT_MIGRATE_END:
		return migration(t, page, e);
	case KFDSVM_EVENT_FAULT_START:
	case KFDSVM_EVENT_FAULT_END:
		return fault(t, page, e);
	case KFDSVM_EVENT_EVICTION:
		return number32(t, 16, &e->gpu_id) && literal(t, " ") &&
		       number32(t, 10, &e->trigger);
	case KFDSVM_EVENT_RESTORE:
		return number32(t, 16, &e->gpu_id) && literal(t, " ") &&
		       letter(t, "R", "0", KFDSVM_EVENT_RESCHEDULED, e);
	case KFDSVM_EVENT_UNMAP:
		return span(t, page, e) && literal(t, " ") && number32(t, 16, &e->gpu_id) &&
		       literal(t, " ") && number32(t, 10, &e->trigger);
	}
	return false;
}

int kfdsvm_parse_event(const char *text, size_t len, size_t page, struct kfdsvm_event *event)
{
	const char *newline = len ? memchr(text, '\n', len) : NULL;
	struct text t = { .at = text, .end = newline ? newline : text + len };

	memset(event, 0, sizeof(*event));
	if (!number32(&t, 16, &event->kind) || !literal(&t, " ") || !body(&t, page, event))
		return -EBADMSG;
	return t.at == t.end || *t.at == ' ' ? 0 : -EBADMSG;
}

int kfdsvm_event_parse(const char *text, size_t len, struct kfdsvm_event *event,
		       size_t entry_size)
{
	struct kfdsvm_event known;
	int ret;

	if (!text || !event || !entry_size)
		return -EINVAL;
	ret = kfdsvm_parse_event(text, len, (size_t)sysconf(_SC_PAGESIZE), &known);
	if (!ret)
		kfdsvm_give_entry(event, entry_size, &known, sizeof(known));
	return ret;
}
