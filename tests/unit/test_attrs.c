// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attribute tree against an array with one entry for each page.
 */
#include "kfd_svm_attrs.h"

#include <uapi/linux/kfd_svm.h>

#include "unit.h"

#define NR_PAGES	200
#define NR_SEEDS	40
#define NR_STEPS	1500

static const struct kfd_svm_attr defaults = {
	.access = 0x3,
	.preferred = KFD_SVM_LOC_UNDEFINED,
	.prefetch = KFD_SVM_LOC_UNDEFINED,
	.flags = KFD_SVM_DEFAULT_FLAGS,
	.granularity = KFD_SVM_DEFAULT_GRANULARITY,
};

struct oracle_page {
	bool known;
	struct kfd_svm_attr attr;
};

struct world {
	struct kfd_svm_attr_tree tree;
	struct oracle_page page[NR_PAGES];
	unsigned int seed;
};

static bool same(const struct kfd_svm_attr *a, const struct kfd_svm_attr *b)
{
	return a->access == b->access && a->in_place == b->in_place &&
	       a->preferred == b->preferred && a->prefetch == b->prefetch &&
	       a->flags == b->flags && a->granularity == b->granularity;
}

static void set(struct kfd_svm_attr_tree *tree, unsigned long first,
		unsigned long last, const struct kfd_svm_attr_update *update,
		unsigned int *changed)
{
	struct kfd_svm_attr_pool pool = {};
	unsigned long need = kfd_svm_attr_set_need(tree, first, last);

	assert_int_equal(kfd_svm_attr_pool_fill(&pool, need), 0);
	*changed = kfd_svm_attr_set(tree, first, last, &defaults, update, &pool);
	kfd_svm_attr_pool_drain(&pool);
}

static void set_flags(struct kfd_svm_attr_tree *tree, unsigned long first,
		      unsigned long last, u32 flags)
{
	struct kfd_svm_attr_update update;
	unsigned int changed;

	kfd_svm_attr_update_init(&update);
	update.flags_or = flags;
	set(tree, first, last, &update, &changed);
}

/* The tree says page by page what the oracle says, in proper ranges. */
static void compare(struct world *w)
{
	struct kfd_svm_attr_range *range, *before = NULL;
	unsigned long nr = 0, page = 0;

	kfd_svm_attr_for_each(range, &w->tree, 0, ULONG_MAX) {
		assert_true(range->first <= range->last);
		assert_true(range->last < NR_PAGES);
		assert_true(range->first >= page);
		for (; page < range->first; page++)
			assert_false(w->page[page].known);
		for (; page <= range->last; page++) {
			assert_true(w->page[page].known);
			assert_true(same(&w->page[page].attr, &range->attr));
		}
		if (before && before->last + 1 == range->first)
			assert_false(same(&before->attr, &range->attr));
		before = range;
		nr++;
	}
	for (; page < NR_PAGES; page++)
		assert_false(w->page[page].known);
	assert_int_equal(nr, w->tree.nr);
}

static void random_span(struct world *w, unsigned long *first,
			unsigned long *last)
{
	unsigned int length = unit_random(&w->seed, 4) ? 12 : NR_PAGES;

	*first = unit_random(&w->seed, NR_PAGES);
	*last = min(*first + unit_random(&w->seed, length),
		    (unsigned long)NR_PAGES - 1);
}

static void random_update(struct world *w, struct kfd_svm_attr_update *update)
{
	kfd_svm_attr_update_init(update);
	if (!unit_random(&w->seed, 3)) {
		update->set_preferred = true;
		update->preferred = unit_random(&w->seed, 2);
	}
	if (!unit_random(&w->seed, 4)) {
		update->set_prefetch = true;
		update->prefetch = unit_random(&w->seed, 2);
	}
	if (!unit_random(&w->seed, 4)) {
		update->set_granularity = true;
		update->granularity = unit_random(&w->seed, 3);
	}
	if (!unit_random(&w->seed, 2))
		update->flags_or = 1u << unit_random(&w->seed, 4);
	if (!unit_random(&w->seed, 2))
		update->flags_and = ~(1u << unit_random(&w->seed, 4));
	if (!unit_random(&w->seed, 3)) {
		update->access_touched = 1 + unit_random(&w->seed, 3);
		update->access = update->access_touched &
				 unit_random(&w->seed, 4);
		update->in_place = update->access_touched & ~update->access &
				   unit_random(&w->seed, 4);
	}
}

static void step_set(struct world *w)
{
	struct kfd_svm_attr_update update;
	unsigned int changed, expected = 0;
	unsigned long first, last, page;

	random_span(w, &first, &last);
	random_update(w, &update);
	for (page = first; page <= last; page++) {
		struct oracle_page *p = &w->page[page];
		struct kfd_svm_attr old;

		if (!p->known)
			p->attr = defaults;
		old = p->attr;
		p->known = true;
		kfd_svm_attr_apply(&p->attr, &update);
		if (old.flags != p->attr.flags)
			expected |= KFD_SVM_CHANGED_FLAGS;
		if (old.access != p->attr.access ||
		    old.in_place != p->attr.in_place)
			expected |= KFD_SVM_CHANGED_ACCESS;
		if (old.preferred != p->attr.preferred)
			expected |= KFD_SVM_CHANGED_PREFERRED;
	}
	set(&w->tree, first, last, &update, &changed);
	assert_int_equal(changed, expected);
}

/* Without a node in the reserve the shorter side of a hole goes as well. */
static void oracle_lose(struct world *w, unsigned long first, unsigned long last)
{
	struct kfd_svm_attr_range *range;
	unsigned long head, tail, page;

	range = kfd_svm_attr_first(&w->tree, first, last);
	if (w->tree.reserve.nr || !range || range->first >= first ||
	    range->last <= last)
		return;
	head = first - range->first;
	tail = range->last - last;
	if (head >= tail)
		for (page = last + 1; page <= range->last; page++)
			w->page[page].known = false;
	else
		for (page = range->first; page < first; page++)
			w->page[page].known = false;
}

static void step_remove(struct world *w)
{
	unsigned long first, last, page, before = 0, after = 0;

	random_span(w, &first, &last);
	for (page = 0; page < NR_PAGES; page++)
		before += w->page[page].known;
	oracle_lose(w, first, last);
	for (page = first; page <= last; page++)
		w->page[page].known = false;
	for (page = 0; page < NR_PAGES; page++)
		after += w->page[page].known;
	assert_int_equal(kfd_svm_attr_remove(&w->tree, first, last),
			 before - after);
}

static void step_get(struct world *w)
{
	struct kfd_svm_attr_summary summary;
	struct kfd_svm_attr want = {};
	unsigned long first, last, page;
	u32 flags_any = 0;
	bool any = false;

	random_span(w, &first, &last);
	for (page = first; page <= last; page++) {
		const struct kfd_svm_attr *attr = &w->page[page].attr;

		if (!w->page[page].known)
			continue;
		flags_any |= attr->flags;
		if (!any)
			want = *attr;
		any = true;
		if (want.preferred != attr->preferred)
			want.preferred = KFD_SVM_LOC_UNDEFINED;
		if (want.prefetch != attr->prefetch)
			want.prefetch = KFD_SVM_LOC_UNDEFINED;
		want.flags &= attr->flags;
		want.access &= attr->access;
		want.in_place &= attr->in_place;
		want.granularity = min(want.granularity, attr->granularity);
	}
	kfd_svm_attr_summarize(&w->tree, first, last, &summary);
	assert_int_equal(summary.any, any);
	assert_int_equal(summary.flags_any, flags_any);
	assert_true(same(&summary.common, &want));
}

static void step_gap(struct world *w)
{
	unsigned long page = unit_random(&w->seed, NR_PAGES);
	unsigned long first, last, low = page, high = page;

	if (w->page[page].known)
		return;
	first = page & ~31UL;
	last = min(first + 31, (unsigned long)NR_PAGES - 1);
	while (low > first && !w->page[low - 1].known)
		low--;
	while (high < last && !w->page[high + 1].known)
		high++;
	kfd_svm_attr_clip_to_gap(&w->tree, page, &first, &last);
	assert_int_equal(first, low);
	assert_int_equal(last, high);
}

static void random_sequences_match_page_array(void **state)
{
	unsigned int seed, step;

	for (seed = 1; seed <= NR_SEEDS; seed++) {
		struct world w = { .seed = seed };

		kfd_svm_attr_init(&w.tree);
		for (step = 0; step < NR_STEPS; step++) {
			switch (unit_random(&w.seed, 8)) {
			case 0 ... 2:
				step_set(&w);
				break;
			case 3:
			case 4:
				step_remove(&w);
				break;
			case 5:
				/* Every fourth world never has a reserve. */
				if (seed % 4 == 0)
					kfd_svm_attr_pool_drain(&w.tree.reserve);
				break;
			case 6:
				step_gap(&w);
				break;
			default:
				step_get(&w);
			}
			compare(&w);
		}
		kfd_svm_attr_fini(&w.tree);
		assert_int_equal(seam_alloc_live, 0);
	}
}

static void setting_inside_a_range_splits_it_in_three(void **state)
{
	struct kfd_svm_attr_tree tree;

	kfd_svm_attr_init(&tree);
	set_flags(&tree, 10, 19, 0x10);
	set_flags(&tree, 13, 15, 0x20);
	assert_int_equal(tree.nr, 3);
	assert_int_equal(kfd_svm_attr_first(&tree, 12, 12)->attr.flags, 0x13);
	assert_int_equal(kfd_svm_attr_first(&tree, 13, 13)->attr.flags, 0x33);
	assert_int_equal(kfd_svm_attr_first(&tree, 16, 16)->attr.flags, 0x13);
	kfd_svm_attr_fini(&tree);
}

static void equal_neighbours_merge(void **state)
{
	struct kfd_svm_attr_tree tree;

	kfd_svm_attr_init(&tree);
	set_flags(&tree, 0, 9, 0x10);
	set_flags(&tree, 20, 29, 0x10);
	assert_int_equal(tree.nr, 2);
	set_flags(&tree, 10, 19, 0x10);
	assert_int_equal(tree.nr, 1);
	kfd_svm_attr_fini(&tree);
}

static void the_last_page_of_the_address_space_works(void **state)
{
	unsigned long last = ULONG_MAX >> PAGE_SHIFT;
	struct kfd_svm_attr_tree tree;

	kfd_svm_attr_init(&tree);
	set_flags(&tree, last - 3, last, 0x10);
	set_flags(&tree, last, last, 0x20);
	assert_int_equal(tree.nr, 2);
	assert_int_equal(kfd_svm_attr_remove(&tree, 0, ULONG_MAX), 4);
	assert_int_equal(tree.nr, 0);
	kfd_svm_attr_fini(&tree);
}

static void filling_a_pool_reports_lack_of_memory(void **state)
{
	struct kfd_svm_attr_pool pool = {};

	seam_alloc_fail_after = 2;
	assert_int_equal(kfd_svm_attr_pool_fill(&pool, 5), -ENOMEM);
	seam_alloc_fail_after = -1;
	assert_int_equal(pool.nr, 2);
	kfd_svm_attr_pool_drain(&pool);
	assert_int_equal(seam_alloc_live, 0);
}

static void hole_without_reserve_keeps_the_longer_side(void **state)
{
	struct kfd_svm_attr_tree tree;

	kfd_svm_attr_init(&tree);
	set_flags(&tree, 0, 99, 0x10);
	kfd_svm_attr_pool_drain(&tree.reserve);
	assert_int_equal(kfd_svm_attr_remove(&tree, 10, 19), 20);
	assert_int_equal(tree.lost_pages, 10);
	assert_int_equal(tree.nr, 1);
	assert_int_equal(kfd_svm_attr_first(&tree, 0, 99)->first, 20);
	assert_int_equal(kfd_svm_attr_first(&tree, 0, 99)->last, 99);
	kfd_svm_attr_fini(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_sequences_match_page_array),
		cmocka_unit_test(setting_inside_a_range_splits_it_in_three),
		cmocka_unit_test(equal_neighbours_merge),
		cmocka_unit_test(the_last_page_of_the_address_space_works),
		cmocka_unit_test(filling_a_pool_reports_lack_of_memory),
		cmocka_unit_test(hole_without_reserve_keeps_the_longer_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
