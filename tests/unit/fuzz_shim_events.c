// SPDX-License-Identifier: MIT
/*
 * The driver's events: any bytes, as one line, and in pieces through a descriptor. What
 * was a line by itself is one there, too.
 */
#include <string.h>
#include <unistd.h>

#include "fuzz_shim.h"

static struct fuzz_machine machine;
static struct kfdsvm *h;
static struct kfdsvm_events *ev;

static void check_event(const struct kfdsvm_event *e)
{
	MUST(e->kind == KFDSVM_EVENT_VM_FAULT ||
	     (e->kind >= KFDSVM_EVENT_MIGRATE_START && e->kind <= KFDSVM_EVENT_UNMAP));
	MUST(!(e->flags & ~0xfu) && e->pid >= 0);
	MUST(memchr(e->comm, 0, sizeof(e->comm)));
	MUST(e->addr % 4096 == 0 && e->len % 4096 == 0 && e->addr + e->len >= e->addr);
}

static unsigned int read_all(void)
{
	struct kfdsvm_event list[2];
	unsigned int total = 0;
	int n;

	while ((n = kfdsvm_events_read(ev, list, 2, sizeof(list[0]))) > 0) {
		for (int i = 0; i < n; i++)
			check_event(&list[i]);
		total += (unsigned int)n;
	}
	MUST(!n);
	return total;
}

static void open_listener(void)
{
	const uint32_t gpus[] = { FUZZ_GPU1 };
	struct kfdsvm_events_options options = {
		.size = sizeof(options), .gpus = gpus, .ngpus = 1,
	};

	fuzz_machine_init(&machine);
	MUST(!kfdsvm_open_sys(&h, NULL, &machine.sys));
	MUST(!kfdsvm_events_open(&ev, h, &options));
}

static void tell(const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fuzz_smi, data, len);

		MUST(n > 0);
		data += n;
		len -= (size_t)n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kfdsvm_event event;
	size_t cut, expected = 0;
	unsigned int told;

	if (!len)
		return 0;
	if (!ev)
		open_listener();
	cut = data[0] % len;
	data++;
	len--;
	if (len > 60000)
		return 0;
	if (!kfdsvm_event_parse((const char *)data, len, &event, sizeof(event)))
		check_event(&event);
	for (size_t at = 0; at < len;) {
		const uint8_t *end = memchr(data + at, '\n', len - at);
		size_t n = end ? (size_t)(end - (data + at)) : len - at;

		/* A line that does not fit in the buffer is none. */
		expected += n < 2000 && !kfdsvm_parse_event((const char *)data + at, n, 4096,
							    &event);
		at += n + 1;
		if (n >= 2000)
			return 0;
	}
	tell(data, cut < len ? cut : len);
	told = read_all();
	if (cut < len)
		tell(data + cut, len - cut);
	tell((const uint8_t *)"\n", 1);
	told += read_all();
	MUST(told == expected);
	return 0;
}
