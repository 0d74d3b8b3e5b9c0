// SPDX-License-Identifier: MIT
/*
 * Attributes of ranges, to save and to restore.
 *
 * The driver says of a range what holds for all of it, and some of its answers
 * hide what holds for a part: one page without a preferred location makes that of
 * the whole range undefined. So it is asked page by page, or step by step.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "call.h"

/* A bit for each GPU in struct kfdsvm_record. */
#define MAX_GPUS 64u

/* Where records go: as many as there is room for, and the last one, which may grow. */
struct output {
	char *records;
	size_t room;
	size_t entry_size;
	size_t n;
	struct kfdsvm_record last;
};

static unsigned int usable_gpus(const struct kfdsvm *h, uint32_t *ids)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < h->ndevices; i++) {
		if (!h->devices[i].info.usable)
			continue;
		if (n < MAX_GPUS)
			ids[n] = h->devices[i].info.gpu_id;
		n++;
	}
	return n;
}

static int look(struct kfdsvm *h, uint64_t start, uint64_t len, struct kfdsvm_record *record)
{
	struct kfdsvm_access access[MAX_GPUS];
	struct kfdsvm_attributes attributes = {
		.size = sizeof(attributes), .naccess = MAX_GPUS, .access = access,
	};
	int ret = kfdsvm_query(h, (void *)(uintptr_t)start, (size_t)len, &attributes, 0, NULL);

	if (ret)
		return ret;
	*record = (struct kfdsvm_record){
		.start = start,
		.len = len,
		.preferred = attributes.preferred,
		.prefetched = attributes.prefetched,
		.flags = attributes.flags_all,
		.granularity_lg2 = attributes.granularity_lg2,
	};
	for (uint32_t i = 0; i < attributes.naccess; i++) {
		if (access[i].kind == KFDSVM_ACCESS_MIGRATE)
			record->access |= 1ull << i;
		else if (access[i].kind == KFDSVM_ACCESS_IN_PLACE)
			record->in_place |= 1ull << i;
	}
	return 0;
}

static bool says_the_same(const struct kfdsvm_record *a, const struct kfdsvm_record *b)
{
	return a->preferred == b->preferred && a->prefetched == b->prefetched &&
	       a->flags == b->flags && a->granularity_lg2 == b->granularity_lg2 &&
	       a->access == b->access && a->in_place == b->in_place;
}

static void flush(struct output *out)
{
	if (!out->last.len)
		return;
	if (out->n < out->room)
		kfdsvm_give_entry(out->records + out->n * out->entry_size, out->entry_size,
				  &out->last, sizeof(out->last));
	out->n++;
	out->last.len = 0;
}

static void add(struct output *out, const struct kfdsvm_record *record)
{
	/* Within a range each step follows the last one. */
	if (out->last.len && says_the_same(&out->last, record)) {
		out->last.len += record->len;
		return;
	}
	flush(out);
	out->last = *record;
}

static int save_range(struct kfdsvm *h, const struct kfdsvm_range *range, size_t step,
		      struct output *out)
{
	uint64_t at = range->start;
	uint64_t left = range->len;
	struct kfdsvm_record record;

	while (left) {
		uint64_t len = left < step ? left : step;
		int ret = look(h, at, len, &record);

		if (ret)
			return ret;
		add(out, &record);
		at += len;
		left -= len;
	}
	flush(out);
	return out->n > INT_MAX ? -EOVERFLOW : 0;
}

static int check_ranges(const struct kfdsvm *h, const struct kfdsvm_range *ranges,
			size_t nranges)
{
	for (size_t i = 0; i < nranges; i++) {
		if ((ranges[i].start | ranges[i].len) & (h->page - 1))
			return -EINVAL;
		if (ranges[i].len && ranges[i].start + (ranges[i].len - 1) < ranges[i].start)
			return -EOVERFLOW;
	}
	return 0;
}

static int snapshot(struct kfdsvm *h, const struct kfdsvm_range *ranges, size_t nranges,
		    const struct kfdsvm_snapshot_options *opts, struct output *out)
{
	size_t step = opts->step_len ? opts->step_len : h->page;
	uint32_t ids[MAX_GPUS];
	int ret;

	if (opts->flags || opts->reserved || step & (h->page - 1))
		return -EINVAL;
	if (usable_gpus(h, ids) > MAX_GPUS)
		return -EOVERFLOW;
	ret = check_ranges(h, ranges, nranges);
	for (size_t i = 0; !ret && i < nranges; i++)
		ret = save_range(h, &ranges[i], step, out);
	return ret ? ret : (int)out->n;
}

int kfdsvm_snapshot(struct kfdsvm *h, const struct kfdsvm_range *ranges, size_t nranges,
		    const struct kfdsvm_snapshot_options *options,
		    struct kfdsvm_record *records, size_t nrecords, size_t entry_size)
{
	struct kfdsvm_snapshot_options opts = { .size = sizeof(opts) };
	struct output out = {
		.records = (char *)records, .room = nrecords, .entry_size = entry_size,
	};
	int saved = errno;
	int ret = kfdsvm_check(h);

	if (!ret && ((nranges && !ranges) || (nrecords && !records) ||
		     (nrecords && entry_size < sizeof(struct kfdsvm_record))))
		ret = -EINVAL;
	if (!ret && options)
		ret = kfdsvm_take(&opts, sizeof(opts), options);
	if (!ret)
		ret = snapshot(h, ranges, nranges, &opts, &out);
	errno = saved;
	return ret;
}

static void add_access(const struct kfdsvm_record *record, const uint32_t *ids,
		       unsigned int ngpus, struct kfdsvm_access *access)
{
	for (unsigned int i = 0; i < ngpus; i++) {
		uint32_t kind = KFDSVM_ACCESS_NONE;

		if (record->in_place & 1ull << i)
			kind = KFDSVM_ACCESS_IN_PLACE;
		else if (record->access & 1ull << i)
			kind = KFDSVM_ACCESS_MIGRATE;
		access[i] = (struct kfdsvm_access){ .gpu_id = ids[i], .kind = kind };
	}
}

static int restore(struct kfdsvm *h, const struct kfdsvm_record *record, bool prefetch)
{
	struct kfdsvm_access access[MAX_GPUS];
	struct kfdsvm_advice advice = {
		.size = sizeof(advice),
		.fields = KFDSVM_ADVISE_PREFERRED | KFDSVM_ADVISE_FLAGS |
			  KFDSVM_ADVISE_GRANULARITY | KFDSVM_ADVISE_ACCESS,
		.preferred = record->preferred,
		.flags_clear = ~record->flags,
		.flags_set = record->flags,
		.granularity_lg2 = record->granularity_lg2,
		.access = access,
	};
	void *addr = (void *)(uintptr_t)record->start;
	size_t len = (size_t)record->len;
	uint32_t ids[MAX_GPUS];
	uint64_t known;
	int ret;

	advice.naccess = usable_gpus(h, ids);
	if (advice.naccess > MAX_GPUS)
		return -EOVERFLOW;
	known = advice.naccess == 64 ? UINT64_MAX : (1ull << advice.naccess) - 1;
	if (record->reserved || (record->start | record->len) & (h->page - 1) ||
	    record->start > UINTPTR_MAX || record->len > SIZE_MAX ||
	    (record->access | record->in_place) & ~known || record->access & record->in_place)
		return -EINVAL;
	add_access(record, ids, advice.naccess, access);
	ret = kfdsvm_advise(h, addr, len, &advice, 0, NULL);
	if (!ret && prefetch && record->prefetched != KFDSVM_UNDEFINED)
		ret = kfdsvm_prefetch(h, addr, len, record->prefetched, 0, NULL);
	return ret;
}

int kfdsvm_restore(struct kfdsvm *h, struct kfdsvm_record *records, size_t nrecords,
		   size_t entry_size, unsigned int flags)
{
	char *entry = (char *)records;
	struct kfdsvm_record known;
	unsigned int failed = 0;
	int ret = kfdsvm_check(h);

	if (ret)
		return ret;
	if (flags & ~KFDSVM_RESTORE_PREFETCH || (nrecords && !records) ||
	    entry_size < sizeof(known))
		return -EINVAL;
	for (size_t i = 0; i < nrecords; i++, entry += entry_size) {
		ret = kfdsvm_take_entry(&known, sizeof(known), entry, entry_size);
		if (!ret)
			ret = restore(h, &known, flags & KFDSVM_RESTORE_PREFETCH);
		known.result = ret;
		kfdsvm_give_entry(entry, sizeof(known), &known, sizeof(known));
		failed += ret && failed < INT_MAX;
	}
	return (int)failed;
}
