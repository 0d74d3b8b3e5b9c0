// SPDX-License-Identifier: MIT
/* Many ranges in one call, and attributes saved and restored. */
#include "shim_fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GPU1 0x1234u
#define GPU2 0x5678u
#define VA 0x40000u
#define NPAGES 64u
#define REQUEST sizeof(struct kfdsvm_request)
#define RECORD sizeof(struct kfdsvm_record)

/* A driver that keeps attributes page by page, for two GPUs. */
struct page {
	uint32_t preferred;
	uint32_t prefetched;
	uint32_t flags;
	uint32_t granularity;
	uint32_t access[2];	/* attribute types */
};

static struct fake fake;
static struct kfdsvm *h;
static struct page pages[NPAGES];

static unsigned int gpu_index(uint32_t gpu_id)
{
	return gpu_id == GPU2;
}

static void set_one(struct page *page, const struct kfd_svm_attribute *attr)
{
	switch (attr->type) {
	case KFD_SVM_ATTR_PREFERRED_LOC:
		page->preferred = attr->value;
		break;
	case KFD_SVM_ATTR_PREFETCH_LOC:
		page->prefetched = attr->value;
		break;
	case KFD_SVM_ATTR_SET_FLAGS:
		page->flags |= attr->value;
		break;
	case KFD_SVM_ATTR_CLR_FLAGS:
		page->flags &= ~attr->value;
		break;
	case KFD_SVM_ATTR_GRANULARITY:
		page->granularity = attr->value;
		break;
	default:
		page->access[gpu_index(attr->value)] = attr->type;
	}
}

/* What holds for all of [page, page + n). */
static void get_one(const struct page *page, size_t n, struct kfd_svm_attribute *attr)
{
	uint32_t value = 0;

	for (size_t i = 0; i < n; i++, page++) {
		switch (attr->type) {
		case KFD_SVM_ATTR_PREFERRED_LOC:
			value = !i || value == page->preferred ? page->preferred : ~0u;
			break;
		case KFD_SVM_ATTR_PREFETCH_LOC:
			value = !i || value == page->prefetched ? page->prefetched : ~0u;
			break;
		case KFD_SVM_ATTR_SET_FLAGS:
			value = !i ? page->flags : value & page->flags;
			break;
		case KFD_SVM_ATTR_CLR_FLAGS:
			value = !i ? ~page->flags : value & ~page->flags;
			break;
		case KFD_SVM_ATTR_GRANULARITY:
			value = !i || page->granularity < value ? page->granularity : value;
			break;
		default:
			if (!i)
				value = page->access[gpu_index(attr->value)];
			else if (value != page->access[gpu_index(attr->value)])
				value = KFD_SVM_ATTR_NO_ACCESS;
		}
	}
	if (attr->type == KFD_SVM_ATTR_ACCESS)
		attr->type = value;
	else
		attr->value = value;
}

static int driver(struct fake *f, struct kfd_svm_args *args)
{
	uint64_t first = (args->start_addr - VA) / 4096, n = args->size / 4096;

	(void)f;
	if (args->start_addr < VA || first + n > NPAGES)
		return -EFAULT;
	for (uint32_t i = 0; i < args->nattr; i++) {
		if (args->op == KFD_SVM_OP_GET_ATTR)
			get_one(pages + first, n, &args->attrs[i]);
		for (uint64_t p = first; args->op == KFD_SVM_OP_SET_ATTR && p < first + n; p++)
			set_one(&pages[p], &args->attrs[i]);
	}
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_init(&fake);
	fake_add_gpu(&fake, 0x4000, 90000)->capability = 0;
	fake_add_gpu(&fake, GPU2, 90000);
	h = fake_open(&fake);
	fake.on_svm = driver;
	for (unsigned int i = 0; i < NPAGES; i++)
		pages[i] = (struct page){ ~0u, ~0u, 3, 9, { 4, 4 } };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kfdsvm_close(h);
	assert_int_equal(fake.open_files, 0);
	return 0;
}

static const void *at(unsigned int page)
{
	return (const void *)(uintptr_t)(VA + page * 4096);
}

static void each_range_has_its_result(void **state)
{
	const struct kfdsvm_advice advice = {
		.size = sizeof(advice), .fields = KFDSVM_ADVISE_PREFERRED, .preferred = GPU2,
	};
	const uint32_t gpus[] = { GPU2 };
	struct kfdsvm_request requests[] = {
		{ .op = KFDSVM_OP_SHARE, .addr = at(0), .len = 2 * 4096 },
		{ .op = KFDSVM_OP_SHARE, .addr = at(4), .len = 1, .gpus = gpus, .ngpus = 1,
		  .flags = KFDSVM_IN_PLACE },
		{ .op = KFDSVM_OP_SHARE, .addr = at(NPAGES), .len = 1 },
		{ .op = KFDSVM_OP_UNSHARE, .addr = at(1), .len = 1 },
		{ .op = KFDSVM_OP_PREFETCH, .addr = at(0), .len = 1, .location = GPU1 },
		{ .op = KFDSVM_OP_ADVISE, .addr = at(8), .len = 4096, .advice = &advice },
		{ .op = 99, .addr = at(0), .len = 1 },
		{ .op = KFDSVM_OP_SHARE, .addr = at(0), .len = 1, .location = GPU1 },
		{ .op = KFDSVM_OP_PREFETCH, .addr = at(0), .len = 1, .ngpus = 1 },
		{ .op = KFDSVM_OP_SHARE, .addr = at(0), .len = 1, .reserved = 1 },
		{ .op = KFDSVM_OP_SHARE, .addr = at(0), .len = 1, .advice = &advice },
	};
	const int results[] = { 0, 0, -EFAULT, 0, 0, 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL,
				-EINVAL };

	(void)state;
	assert_int_equal(kfdsvm_batch(h, requests, 11, REQUEST, 0), 6);
	for (int i = 0; i < 11; i++)
		assert_int_equal(requests[i].result, results[i]);
	assert_int_equal(requests[1].covered.start, (uintptr_t)at(4));
	assert_int_equal(requests[1].covered.len, 4096);
	assert_int_equal(pages[0].access[0], KFD_SVM_ATTR_ACCESS);
	assert_int_equal(pages[0].access[1], KFD_SVM_ATTR_ACCESS);
	assert_int_equal(pages[0].prefetched, GPU1);
	assert_int_equal(pages[1].access[0], KFD_SVM_ATTR_NO_ACCESS);
	assert_int_equal(pages[4].access[0], KFD_SVM_ATTR_NO_ACCESS);
	assert_int_equal(pages[4].access[1], KFD_SVM_ATTR_ACCESS_IN_PLACE);
	assert_int_equal(pages[8].preferred, GPU2);
}

static void a_batch_can_stop(void **state)
{
	struct kfdsvm_request requests[] = {
		{ .op = KFDSVM_OP_SHARE, .addr = at(0), .len = 1 },
		{ .op = KFDSVM_OP_SHARE, .addr = at(NPAGES), .len = 1 },
		{ .op = KFDSVM_OP_SHARE, .addr = at(2), .len = 1 },
	};

	(void)state;
	assert_int_equal(kfdsvm_batch(h, requests, 3, REQUEST, KFDSVM_BATCH_STOP), 2);
	assert_int_equal(requests[0].result, 0);
	assert_int_equal(requests[1].result, -EFAULT);
	assert_int_equal(requests[2].result, -ECANCELED);
	assert_int_equal(pages[2].access[0], KFD_SVM_ATTR_NO_ACCESS);
	assert_int_equal(kfdsvm_batch(h, requests, 3, REQUEST, 2), -EINVAL);
	assert_int_equal(kfdsvm_batch(h, requests, 3, REQUEST - 1, 0), -EINVAL);
	assert_int_equal(kfdsvm_batch(h, NULL, 3, REQUEST, 0), -EINVAL);
	assert_int_equal(kfdsvm_batch(h, NULL, 0, REQUEST, 0), 0);
	assert_int_equal(kfdsvm_batch(NULL, requests, 3, REQUEST, 0), -EINVAL);
	fake.pid++;
	assert_int_equal(kfdsvm_batch(h, requests, 3, REQUEST, 0), -ECHILD);
}

/* A program of a newer version says more: refused, one by one, unless it is 0. */
static void requests_of_a_newer_program(void **state)
{
	struct {
		struct kfdsvm_request request;
		uint64_t more;
	} newer[2] = {
		{ { .op = KFDSVM_OP_SHARE, .addr = at(0), .len = 1 }, 0 },
		{ { .op = KFDSVM_OP_SHARE, .addr = at(1), .len = 1 }, 5 },
	};

	(void)state;
	assert_int_equal(kfdsvm_batch(h, &newer[0].request, 2, sizeof(newer[0]), 0), 1);
	assert_int_equal(newer[0].request.result, 0);
	assert_int_equal(newer[1].request.result, -E2BIG);
	assert_int_equal(newer[1].more, 5);
}

static void expect_record(const struct kfdsvm_record *r, unsigned int page, unsigned int n)
{
	const struct page *p = &pages[page];

	assert_int_equal(r->start, VA + page * 4096);
	assert_int_equal(r->len, n * 4096);
	assert_int_equal(r->preferred, p->preferred);
	assert_int_equal(r->prefetched, p->prefetched);
	assert_int_equal(r->flags, p->flags);
	assert_int_equal(r->granularity_lg2, p->granularity);
	assert_int_equal(r->access, (p->access[0] == 2) | (p->access[1] == 2) << 1);
	assert_int_equal(r->in_place, (p->access[0] == 3) | (p->access[1] == 3) << 1);
}

/* What a question about all of it would hide: one page of other attributes. */
static void a_snapshot_sees_every_page(void **state)
{
	const struct kfdsvm_range ranges[] = { { VA, 16 * 4096 }, { VA + 32 * 4096, 4096 } };
	struct kfdsvm_record records[8];

	(void)state;
	pages[3].preferred = GPU1;
	pages[4].granularity = 12;
	pages[10].access[1] = KFD_SVM_ATTR_ACCESS_IN_PLACE;
	pages[11].access[1] = KFD_SVM_ATTR_ACCESS_IN_PLACE;
	assert_int_equal(kfdsvm_snapshot(h, ranges, 2, NULL, records, 8, RECORD), 7);
	expect_record(&records[0], 0, 3);
	expect_record(&records[1], 3, 1);
	expect_record(&records[2], 4, 1);
	expect_record(&records[3], 5, 5);
	expect_record(&records[4], 10, 2);
	expect_record(&records[5], 12, 4);
	expect_record(&records[6], 32, 1);
	/* To count, and with too little room. */
	assert_int_equal(kfdsvm_snapshot(h, ranges, 2, NULL, NULL, 0, 0), 7);
	memset(records, 0xee, sizeof(records));
	assert_int_equal(kfdsvm_snapshot(h, ranges, 2, NULL, records, 2, RECORD), 7);
	expect_record(&records[1], 3, 1);
	assert_int_equal(records[2].result, (int)0xeeeeeeee);
}

static void a_snapshot_in_steps(void **state)
{
	const struct kfdsvm_range range = { VA, 10 * 4096 };
	struct kfdsvm_snapshot_options options = { .size = sizeof(options), .step_len = 16384 };
	struct kfdsvm_record records[8];

	(void)state;
	pages[5].preferred = GPU1;
	pages[8].preferred = GPU1;
	pages[9].preferred = GPU1;
	fake.nsvm = 0;
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, &options, records, 8, RECORD), 2);
	assert_int_equal(fake.nsvm, 3);
	expect_record(&records[0], 0, 8);
	expect_record(&records[1], 8, 2);
	options.step_len = 5000;
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, &options, records, 8, RECORD), -EINVAL);
	options.step_len = 0;
	options.flags = 1;
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, &options, records, 8, RECORD), -EINVAL);
}

static void bad_snapshots(void **state)
{
	struct kfdsvm_range range = { VA + 1, 4096 };
	struct kfdsvm_record records[1];

	(void)state;
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, NULL, records, 1, RECORD), -EINVAL);
	range = (struct kfdsvm_range){ VA, NPAGES * 4096 + 4096 };
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, NULL, records, 1, RECORD), -EFAULT);
	range = (struct kfdsvm_range){ UINTPTR_MAX - 4095, 8192 };
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, NULL, records, 1, RECORD), -EOVERFLOW);
	assert_int_equal(kfdsvm_snapshot(h, NULL, 1, NULL, records, 1, RECORD), -EINVAL);
	assert_int_equal(kfdsvm_snapshot(h, NULL, 0, NULL, NULL, 0, 0), 0);
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, NULL, NULL, 1, RECORD), -EINVAL);
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, NULL, records, 1, RECORD - 1), -EINVAL);
	fake.pid++;
	assert_int_equal(kfdsvm_snapshot(h, &range, 1, NULL, records, 1, RECORD), -ECHILD);
}

/* Any attributes, saved, overwritten and restored, are the same again. */
static void restore_brings_back_what_was(void **state)
{
	static struct kfdsvm_record records[NPAGES];
	const struct kfdsvm_range range = { VA, NPAGES * 4096 };
	const uint32_t locations[] = { 0, GPU1, GPU2, KFDSVM_UNDEFINED };
	struct page before[NPAGES];
	unsigned int seed = 1;
	int n;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < NPAGES; i++) {
			unsigned int x = (unsigned int)rand_r(&seed) >> 3;

			if (i && x % 3)
				pages[i] = pages[i - 1];
			else
				pages[i] = (struct page){
					locations[x / 4 % 4], locations[x / 16 % 4],
					x / 64 % 256, x / 256 % 20,
					{ 2 + x / 512 % 3, 2 + x / 2048 % 3 },
				};
		}
		memcpy(before, pages, sizeof(before));
		n = kfdsvm_snapshot(h, &range, 1, NULL, records, NPAGES, RECORD);
		assert_in_range(n, 1, NPAGES);
		for (unsigned int i = 0; i < NPAGES; i++)
			pages[i] = (struct page){ GPU2, ~0u, 0xff, 1, { 2, 3 } };
		assert_int_equal(kfdsvm_restore(h, records, (size_t)n, RECORD,
						KFDSVM_RESTORE_PREFETCH), 0);
		assert_memory_equal(pages, before, sizeof(before));
	}
	/* Without the flag nothing moves. */
	for (unsigned int i = 0; i < NPAGES; i++)
		pages[i].prefetched = 77;
	assert_int_equal(kfdsvm_restore(h, records, (size_t)n, RECORD, 0), 0);
	assert_int_equal(pages[0].prefetched, 77);
}

static void bad_records_fail_alone(void **state)
{
	const struct kfdsvm_record good = {
		.start = VA, .len = 4096, .preferred = ~0u, .prefetched = ~0u, .flags = 3,
		.access = 1, .in_place = 2,
	};
	struct kfdsvm_record records[9];

	(void)state;
	for (int i = 0; i < 9; i++)
		records[i] = good;
	records[1].start++;
	records[2].len = 0;
	records[3].access = 4;
	records[4].in_place = 3;
	records[5].reserved = 1;
	records[6].preferred = 0x4000;
	records[7].start = VA + NPAGES * 4096;
	assert_int_equal(kfdsvm_restore(h, records, 9, RECORD, 0), 7);
	assert_int_equal(records[0].result, 0);
	for (int i = 1; i < 7; i++)
		assert_int_equal(records[i].result, -EINVAL);
	assert_int_equal(records[7].result, -EFAULT);
	assert_int_equal(records[8].result, 0);
	assert_int_equal(pages[0].access[0], KFD_SVM_ATTR_ACCESS);
	assert_int_equal(pages[0].access[1], KFD_SVM_ATTR_ACCESS_IN_PLACE);
	assert_int_equal(kfdsvm_restore(h, records, 9, RECORD, 2), -EINVAL);
	assert_int_equal(kfdsvm_restore(h, NULL, 9, RECORD, 0), -EINVAL);
	assert_int_equal(kfdsvm_restore(h, records, 9, 8, 0), -EINVAL);
	assert_int_equal(kfdsvm_restore(NULL, records, 9, RECORD, 0), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_range_has_its_result),
		T(a_batch_can_stop),
		T(requests_of_a_newer_program),
		T(a_snapshot_sees_every_page),
		T(a_snapshot_in_steps),
		T(bad_snapshots),
		T(restore_brings_back_what_was),
		T(bad_records_fail_alone),
	};

	return cmocka_run_group_tests_name("shim_batch", tests, NULL, NULL);
}
