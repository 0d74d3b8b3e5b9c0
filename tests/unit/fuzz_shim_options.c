// SPDX-License-Identifier: MIT
/*
 * Structures of any size and content, as programs of other versions have them. Each is in
 * memory of exactly its size, so ASan sees a read or write beyond it. Pointers are made
 * to point to something; counts of results are kept to what is there.
 */
#include <stddef.h>
#include <string.h>

#include "fuzz_shim.h"

#define MANY 3000

static struct fuzz_machine machine;
static struct kfdsvm *h;
static struct kfdsvm_access accesses[MANY];
static uint32_t gpus[MANY];
static struct kfdsvm_place places[4];
static struct kfdsvm_why why;

/* No program has half a pointer: what is cut is 0. */
static void put(void *p, size_t size, size_t offset, const void *value, size_t len)
{
	if (offset + len <= size)
		memcpy((char *)p + offset, value, len);
	else if (offset < size)
		memset((char *)p + offset, 0, size - offset);
}

#define POINT(p, size, type, member, to) do { \
	const void *to_ = (to); \
	put(p, size, offsetof(struct type, member), &to_, sizeof(to_)); \
} while (0)

#define LIMIT(p, size, type, member, max) do { \
	uint32_t n_; \
	if (offsetof(struct type, member) + sizeof(n_) <= (size)) { \
		memcpy(&n_, (char *)(p) + offsetof(struct type, member), sizeof(n_)); \
		n_ %= (max) + 1; \
		put(p, size, offsetof(struct type, member), &n_, sizeof(n_)); \
	} \
} while (0)

static void options_of_open(void *p, size_t size)
{
	struct kfdsvm *other = NULL;

	why.size = sizeof(why);
	POINT(p, size, kfdsvm_open_options, why, &why);
	if (!kfdsvm_open_sys(&other, p, &machine.sys))
		kfdsvm_close(other);
}

static void advice(void *p, size_t size)
{
	POINT(p, size, kfdsvm_advice, access, accesses);
	LIMIT(p, size, kfdsvm_advice, naccess, MANY);
	kfdsvm_advise(h, p, size, p, KFDSVM_INNER, NULL);
	kfdsvm_advise(h, (void *)0x40000, 4096, p, 0, NULL);
}

static void attributes(void *p, size_t size)
{
	POINT(p, size, kfdsvm_attributes, access, accesses);
	LIMIT(p, size, kfdsvm_attributes, naccess, MANY);
	kfdsvm_query(h, (void *)0x40000, 4096, p, 0, NULL);
}

static void residency(void *p, size_t size)
{
	POINT(p, size, kfdsvm_residency, places, places);
	LIMIT(p, size, kfdsvm_residency, nplaces, 4);
	kfdsvm_residency(h, (void *)0x40000, 4096, p, 0, NULL);
}

static void results(void *p, size_t size)
{
	(void)size;
	kfdsvm_why(h, p);
	kfdsvm_device_info(h, 0, p);
	kfdsvm_device_why(h, 1, p);
	kfdsvm_counters(h, p);
	kfdsvm_prefetch_measured(h, (void *)0x40000, 4096, FUZZ_GPU1, 0, p, NULL);
	kfdsvm_xnack_why(h, p);
}

static void others(void *p, size_t size)
{
	const struct kfdsvm_range range = { 0x40000, 0x8000 };
	struct kfdsvm_record record;
	struct kfdsvm_events *ev;

	/* At most eight steps, whatever is in it; a step of 0 is a page. */
	kfdsvm_snapshot(h, &range, 1, p, &record, 1, sizeof(record));
	POINT(p, size, kfdsvm_events_options, gpus, gpus);
	LIMIT(p, size, kfdsvm_events_options, ngpus, 3);
	if (!kfdsvm_events_open(&ev, h, p))
		kfdsvm_events_close(ev);
}

static void request(void *p, size_t size)
{
	struct kfdsvm_advice good = {
		.size = sizeof(good), .fields = KFDSVM_ADVISE_FLAGS, .flags_set = 1,
	};
	const struct kfdsvm_advice *no = NULL;

	LIMIT(p, size, kfdsvm_request, ngpus, MANY);
	if (size >= sizeof(struct kfdsvm_request)) {
		const struct kfdsvm_request *r = p;

		POINT(p, size, kfdsvm_request, gpus, r->ngpus ? gpus : NULL);
		POINT(p, size, kfdsvm_request, advice, r->op % 8 == KFDSVM_OP_ADVISE ? &good : no);
	}
	kfdsvm_batch(h, p, 1, size, 0);
}

static void record(void *p, size_t size)
{
	const struct kfdsvm_range range = { 0x40000, 0x3000 };

	kfdsvm_restore(h, p, 1, size, KFDSVM_RESTORE_PREFETCH);
	kfdsvm_snapshot(h, &range, 1, NULL, p, 1, size);
}

static void open_machine(void)
{
	fuzz_machine_init(&machine);
	MUST(!kfdsvm_open_sys(&h, NULL, &machine.sys));
	for (int i = 0; i < MANY; i++) {
		gpus[i] = i % 2 ? FUZZ_GPU1 : FUZZ_GPU2;
		accesses[i] = (struct kfdsvm_access){ gpus[i], (uint32_t)i % 3 };
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const sized[])(void *p, size_t size) = {
		options_of_open, advice, attributes, residency, results, others,
	};
	static void (*const entries[])(void *p, size_t size) = { request, record };
	unsigned int kind;
	void *p;

	if (!h)
		open_machine();
	if (len < 1 + sizeof(size_t))
		return 0;
	kind = data[0] % 8;
	data++;
	len--;
	p = malloc(len);
	MUST(p);
	memcpy(p, data, len);
	if (kind >= 6) {
		entries[kind - 6](p, len);
	} else {
		/* A size that is true, or less than it: 0 and other nonsense. */
		if (data[0] != 0xff)
			memcpy(p, &len, sizeof(len));
		else
			memset(p, 0, sizeof(len));
		sized[kind](p, len);
	}
	free(p);
	return 0;
}
