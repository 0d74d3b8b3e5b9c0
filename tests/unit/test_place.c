// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where memory is to be: reach, faults, prefetches, and memory that moves to and fro.
 */
#include "kfd_svm_place.h"

#include "unit.h"

#define NPAGES	KFD_SVM_BLOCK_PAGES

/* GPUs 0 and 1 are linked, 2 is alone, 3 is linked with nobody and has no VRAM. */
static const struct kfd_svm_links links = {
	.with_vram = 0x7,
	.reach = { 0x3, 0x3, 0x4, 0x8 },
};

static void place_follows_links_and_coherence(void **state)
{
	static const struct {
		unsigned int gpu;
		int owner;
		bool coherent;
		enum kfd_svm_place place;
	} cases[] = {
		{ 0, 0, false, KFD_SVM_PLACE_LOCAL },
		{ 2, 2, true, KFD_SVM_PLACE_LOCAL },
		{ 0, 1, false, KFD_SVM_PLACE_REMOTE },
		{ 1, 0, true, KFD_SVM_PLACE_REMOTE },
		{ 0, 2, false, KFD_SVM_PLACE_NEEDS_RAM },
		{ 0, 2, true, KFD_SVM_PLACE_SYSTEM },
		{ 3, 0, false, KFD_SVM_PLACE_NEEDS_RAM },
		{ 0, KFD_SVM_NO_GPU, false, KFD_SVM_PLACE_NEEDS_RAM },
		{ 0, KFD_SVM_NO_GPU, true, KFD_SVM_PLACE_SYSTEM },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(kfd_svm_place_of(&links, cases[i].gpu,
						  cases[i].owner,
						  cases[i].coherent),
				 cases[i].place);
}

struct fault_case {
	u32 preferred;		/* 0: RAM, 100 + i: GPU i, else undefined */
	u64 access;
	u64 in_place;
	unsigned int gpu;
	u64 gpus;
	bool held;
	enum kfd_svm_target_kind kind;
	unsigned int to;
	enum kfd_svm_cause cause;
};

#define UNDEF	KFD_SVM_LOC_UNDEFINED
#define STAY	KFD_SVM_TARGET_STAY
#define RAM	KFD_SVM_TARGET_RAM
#define VRAM	KFD_SVM_TARGET_VRAM
#define CAUSE(name)	KFD_SVM_CAUSE_##name

static const struct fault_case fault_cases[] = {
	{ 0, 0xf, 0, 0, 0x1, false, RAM, 0, CAUSE(PREFERRED) },
	{ 0, 0, 0xf, 3, 0x8, true, RAM, 0, CAUSE(PREFERRED) },
	{ UNDEF, 0xf, 0, 0, 0x1, false, VRAM, 0, CAUSE(ACCESS) },
	{ UNDEF, 0xf, 0, 2, 0x4, false, VRAM, 2, CAUSE(ACCESS) },
	{ UNDEF, 0, 0xf, 0, 0x1, false, STAY, 0, CAUSE(IN_PLACE) },
	{ UNDEF, 0xf, 0, 3, 0x8, false, STAY, 0, CAUSE(NO_VRAM) },
	/* The preferred GPU, where it can be reached, for either sort of access. */
	{ 100, 0xf, 0, 0, 0x1, false, VRAM, 0, CAUSE(PREFERRED) },
	{ 100, 0xf, 0, 1, 0x2, false, VRAM, 0, CAUSE(PREFERRED) },
	{ 100, 0, 0xf, 1, 0x2, false, VRAM, 0, CAUSE(PREFERRED) },
	{ 100, 0xf, 0, 2, 0x4, false, VRAM, 2, CAUSE(ACCESS) },
	{ 100, 0, 0xf, 2, 0x4, false, STAY, 0, CAUSE(IN_PLACE) },
	{ 103, 0xf, 0, 3, 0x8, false, STAY, 0, CAUSE(NO_VRAM) },
	/* Held, and wanted by several. */
	{ UNDEF, 0xf, 0, 0, 0x1, true, STAY, 0, CAUSE(HELD) },
	{ 100, 0xf, 0, 0, 0x1, true, STAY, 0, CAUSE(HELD) },
	{ UNDEF, 0xf, 0, 0, 0x3, false, VRAM, 0, CAUSE(ACCESS) },
	{ UNDEF, 0xf, 0, 0, 0x5, false, STAY, 0, CAUSE(SHARED) },
	{ 100, 0xf, 0, 1, 0x7, false, STAY, 0, CAUSE(SHARED) },
};

static void fault_goes_where_preferred_else_to_who_has_access(void **state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fault_cases); i++) {
		const struct fault_case *c = &fault_cases[i];
		const struct kfd_svm_attr attr = {
			.preferred = c->preferred,
			.access = c->access,
			.in_place = c->in_place,
		};
		int preferred = c->preferred >= 100 && c->preferred != UNDEF ?
					c->preferred - 100 : KFD_SVM_NO_GPU;
		struct kfd_svm_target target;

		target = kfd_svm_place_for_fault(&links, &attr, preferred, c->gpu,
						 c->gpus, c->held);
		assert_int_equal(target.kind, c->kind);
		assert_int_equal(target.cause, c->cause);
		if (c->kind == VRAM)
			assert_int_equal(target.gpu, c->to);
	}
}

static struct kfd_svm_target prefetch(int gpu, u64 access, u64 in_place, bool xnack)
{
	const struct kfd_svm_attr attr = { .access = access, .in_place = in_place };

	return kfd_svm_place_for_prefetch(&links, &attr, gpu, xnack);
}

static void prefetch_stays_in_ram_for_a_gpu_without_link(void **state)
{
	assert_int_equal(prefetch(KFD_SVM_NO_GPU, 0xf, 0, true).kind, RAM);
	assert_int_equal(prefetch(3, 0xf, 0, true).cause, CAUSE(NO_VRAM));
	assert_int_equal(prefetch(3, 0xf, 0, true).kind, RAM);
	/* XNACK on: who only has access can fault and fetch it. */
	assert_int_equal(prefetch(0, 0x7, 0, true).kind, VRAM);
	assert_int_equal(prefetch(0, 0x7, 0, true).gpu, 0);
	assert_int_equal(prefetch(0, 0x3, 0x4, true).kind, RAM);
	assert_int_equal(prefetch(0, 0x3, 0x4, true).cause, CAUSE(PREFETCH_SHARED));
	assert_int_equal(prefetch(1, 0, 0x3, true).kind, VRAM);
	/* Off: it cannot. */
	assert_int_equal(prefetch(0, 0x3, 0, false).kind, VRAM);
	assert_int_equal(prefetch(0, 0x7, 0, false).kind, RAM);
	assert_int_equal(prefetch(2, 0, 0x5, false).kind, RAM);
	assert_int_equal(prefetch(2, 0x4, 0, false).kind, VRAM);
	assert_int_equal(prefetch(2, 0, 0, false).kind, VRAM);
}

/* As a fault does that is served at once. */
static bool came(struct kfd_svm_thrash *t, unsigned int gpu, unsigned int first,
		 unsigned int last, u64 now)
{
	bool held = kfd_svm_thrash_coming(t, gpu, first, last, now);

	kfd_svm_thrash_came(t, now);
	return held;
}

static void fourth_quick_pull_of_a_page_holds_its_block(void **state)
{
	struct kfd_svm_thrash t = {};
	u64 now = 1000000;
	unsigned int i;

	for (i = 0; i < KFD_SVM_THRASH_PULLS; i++) {
		assert_false(kfd_svm_thrash_is_held(&t, now));
		assert_false(came(&t, 0, 16, 31, now));
		now += KFD_SVM_THRASH_SOON_MS;
		assert_int_equal(kfd_svm_thrash_pulled(&t, 0, NPAGES - 1, now),
				 i == KFD_SVM_THRASH_PULLS - 1);
	}
	assert_true(kfd_svm_thrash_is_held(&t, now));
	assert_true(kfd_svm_thrash_is_held(&t, now + KFD_SVM_THRASH_HOLD_MS - 1));
	assert_false(kfd_svm_thrash_is_held(&t, now + KFD_SVM_THRASH_HOLD_MS));
}

static void each_page_pulled_once_holds_nothing(void **state)
{
	struct kfd_svm_thrash t = {};
	unsigned int page, round;
	u64 now = 5;

	for (round = 0; round < KFD_SVM_THRASH_PULLS - 1; round++) {
		for (page = 0; page < NPAGES; page++) {
			assert_false(came(&t, 0, page, page, now));
			assert_false(kfd_svm_thrash_pulled(&t, page, page, ++now));
		}
	}
	assert_false(kfd_svm_thrash_is_held(&t, now));
}

/* A pull, and then another that finds nothing. */
static void pull_without_a_move_before_does_not_count(void **state)
{
	struct kfd_svm_thrash t = {};
	unsigned int i;

	for (i = 0; i < 100; i++)
		assert_false(kfd_svm_thrash_pulled(&t, 0, NPAGES - 1, i));
	assert_false(came(&t, 0, 0, 7, 100));
	for (i = 0; i < 100; i++)
		assert_false(kfd_svm_thrash_pulled(&t, 0, NPAGES - 1, 101 + i));
}

static void late_pull_begins_anew(void **state)
{
	struct kfd_svm_thrash t = {};
	u64 now = 0;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		came(&t, 0, 0, 3, now);
		/* Every third time it stays for a while. */
		now += i % 3 == 2 ? KFD_SVM_THRASH_SOON_MS + 1 : 1;
		assert_false(kfd_svm_thrash_pulled(&t, 0, 3, now));
	}
}

/* However long it takes: the GPU had nothing of it yet. */
static void pull_while_it_comes_is_never_late(void **state)
{
	struct kfd_svm_thrash t = {};
	u64 now = 0;
	unsigned int i;

	for (i = 0; i < KFD_SVM_THRASH_PULLS; i++) {
		assert_false(kfd_svm_thrash_coming(&t, 0, 0, 3, now));
		now += 10 * KFD_SVM_THRASH_SOON_MS;
		assert_int_equal(kfd_svm_thrash_pulled(&t, 0, 3, now),
				 i == KFD_SVM_THRASH_PULLS - 1);
		kfd_svm_thrash_came(&t, now);
	}
	assert_true(kfd_svm_thrash_is_held(&t, now));
}

/* Bounce until it is held. Return: for how long. */
static u64 bounce(struct kfd_svm_thrash *t, u64 *now)
{
	unsigned int i;

	for (i = 0; i < KFD_SVM_THRASH_PULLS; i++) {
		came(t, 0, 5, 5, *now);
		kfd_svm_thrash_pulled(t, 5, 5, ++*now);
	}
	assert_true(kfd_svm_thrash_is_held(t, *now));
	return t->held_until_ms - *now;
}

static void hold_doubles_up_to_its_maximum_and_is_forgotten(void **state)
{
	static const u64 want[] = { 1000, 2000, 4000, 8000, 8000, 8000 };
	struct kfd_svm_thrash t = {};
	unsigned int i;
	u64 now = 77;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(bounce(&t, &now), want[i]);
		assert_true(kfd_svm_thrash_is_warm(&t, now));
		now += want[i];
		/* The next time comes soon, or it would be the first again. */
		assert_true(kfd_svm_thrash_is_warm(&t, now));
	}
	assert_false(kfd_svm_thrash_is_warm(&t, now + 10000));
	kfd_svm_thrash_forget(&t, 5, 5);
	/* What came may be pulled by somebody who is counted later. */
	came(&t, 0, 5, 5, now);
	assert_true(kfd_svm_thrash_is_warm(&t, now));
	kfd_svm_thrash_forget(&t, 5, 5);
	assert_int_equal(bounce(&t, &now), want[0]);
	kfd_svm_thrash_forget(&t, 0, 0);
	assert_false(kfd_svm_thrash_is_held(&t, now));
}

static void another_gpu_pulls_too(void **state)
{
	struct kfd_svm_thrash t = {};
	bool held = false;
	unsigned int i;

	for (i = 0; i <= KFD_SVM_THRASH_PULLS; i++) {
		assert_false(held);
		held = came(&t, i & 1, 0, NPAGES - 1, i + 1);
	}
	assert_true(held);
}

/* What the bits stand for: a count for each page. */
struct oracle {
	bool came[NPAGES];
	unsigned int pulls[NPAGES];
	unsigned int gpu;
	u64 came_ms;
	u64 held_until_ms;
	unsigned int nr_holds;
};

static void oracle_pulled(struct oracle *o, unsigned int first, unsigned int last,
			  u64 now)
{
	bool any = false, enough = false;
	unsigned int i;

	for (i = first; i <= last; i++)
		any |= o->came[i];
	if (!any)
		return;
	for (i = first; i <= last; i++) {
		if (now - o->came_ms > 1000)
			o->pulls[i] = 0;
		else if (o->came[i])
			enough |= ++o->pulls[i] == 4;
		o->came[i] = false;
	}
	if (now - o->came_ms > 1000)
		o->nr_holds = 0;
	if (!enough)
		return;
	memset(o->pulls, 0, sizeof(o->pulls));
	o->held_until_ms = now + (1000 << (o->nr_holds > 3 ? 3 : o->nr_holds));
	o->nr_holds++;
}

static void random_moves_match_a_count_for_each_page(void **state)
{
	unsigned int seed, step, holds = 0;

	for (seed = 1; seed <= 200; seed++) {
		unsigned int s = seed, i;
		struct kfd_svm_thrash t = {};
		struct oracle o = {};
		u64 now = 1;

		for (step = 0; step < 400; step++) {
			unsigned int first = unit_random(&s, 8);
			unsigned int last = first + unit_random(&s, 4);
			unsigned int gpu = unit_random(&s, 8) == 0;

			now += unit_random(&s, 40) ? unit_random(&s, 60) : 1500;
			if (unit_random(&s, 2)) {
				if (o.gpu != gpu)
					oracle_pulled(&o, first, last, now);
				o.gpu = gpu;
				o.came_ms = now;
				for (i = first; i <= last; i++)
					o.came[i] = true;
				came(&t, gpu, first, last, now);
			} else {
				oracle_pulled(&o, first, last, now);
				kfd_svm_thrash_pulled(&t, first, last, now);
			}
			assert_int_equal(t.held_until_ms, o.held_until_ms);
			assert_int_equal(t.nr_holds, o.nr_holds);
			for (i = 0; i < 16; i++)
				assert_int_equal(test_bit(i, t.came), o.came[i]);
		}
		holds += o.nr_holds;
	}
	assert_true(holds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(place_follows_links_and_coherence),
		cmocka_unit_test(fault_goes_where_preferred_else_to_who_has_access),
		cmocka_unit_test(prefetch_stays_in_ram_for_a_gpu_without_link),
		cmocka_unit_test(fourth_quick_pull_of_a_page_holds_its_block),
		cmocka_unit_test(each_page_pulled_once_holds_nothing),
		cmocka_unit_test(pull_without_a_move_before_does_not_count),
		cmocka_unit_test(late_pull_begins_anew),
		cmocka_unit_test(pull_while_it_comes_is_never_late),
		cmocka_unit_test(hold_doubles_up_to_its_maximum_and_is_forgotten),
		cmocka_unit_test(another_gpu_pulls_too),
		cmocka_unit_test(random_moves_match_a_count_for_each_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
