// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping of a block against an array with one entry for each page: what
 * merging keeps, where it points, and which DMA runs stay in use.
 */
#include "kfd_svm_extents.h"

#include "unit.h"

#define NR_SEEDS	60
#define NR_STEPS	150
#define LAST_PAGE	(KFD_SVM_BLOCK_PAGES - 1)

struct oracle_page {
	bool mapped;
	u64 pfn;
	u32 map_id;
	u32 flags;
};

struct world {
	struct kfd_svm_mapping map;
	struct oracle_page page[KFD_SVM_BLOCK_PAGES];
	u32 next_id;
	u64 next_pfn;
	unsigned int seed;
};

static unsigned int random_page(struct world *w)
{
	return unit_random(&w->seed, KFD_SVM_BLOCK_PAGES);
}

/* Fresh extents at random in a random window; the rest of it stays as it is. */
static unsigned int make_fresh(struct world *w, struct kfd_svm_extent *fresh,
			       unsigned long *replace)
{
	unsigned int page = random_page(w), nr = 0;
	unsigned int end = min(page + unit_random(&w->seed, 200), LAST_PAGE);

	while (page <= end) {
		unsigned int npages = 1 + unit_random(&w->seed, 20);

		npages = min(npages, end - page + 1);
		if (unit_random(&w->seed, 4)) {
			fresh[nr++] = (struct kfd_svm_extent){
				.pfn = w->next_pfn,
				.addr = w->next_pfn << PAGE_SHIFT,
				.map_id = w->next_id++,
				.flags = unit_random(&w->seed, KFD_SVM_EXT_UNDONE),
				.map_first = page,
				.map_npages = npages,
				.first = page,
				.npages = npages,
			};
			bitmap_set(replace, page, npages);
			w->next_pfn += npages + 7;
		}
		page += npages;
	}
	return nr;
}

static void step_populate(struct world *w)
{
	struct kfd_svm_extent fresh[KFD_SVM_BLOCK_PAGES];
	DECLARE_BITMAP(replace, KFD_SVM_BLOCK_PAGES) = {};
	unsigned int nr_fresh = make_fresh(w, fresh, replace);
	struct kfd_svm_extents *exts;
	unsigned int i, page, nr;

	exts = kzalloc(struct_size(exts, ext, KFD_SVM_BLOCK_PAGES), GFP_KERNEL);
	nr = kfd_svm_extents_merge(&w->map, replace, fresh, nr_fresh, exts);
	assert_true(nr <= KFD_SVM_BLOCK_PAGES);
	assert_int_equal(exts->nr, nr);
	kfree(w->map.exts);
	w->map.exts = exts;
	for (i = 0; i < nr_fresh; i++) {
		for (page = fresh[i].first;
		     page <= kfd_svm_extent_last(&fresh[i]); page++) {
			__set_bit(page, w->map.mapped);
			w->page[page] = (struct oracle_page){
				.mapped = true,
				.pfn = fresh[i].pfn + page - fresh[i].first,
				.map_id = fresh[i].map_id,
				.flags = fresh[i].flags,
			};
		}
	}
}

static void step_unmap(struct world *w)
{
	unsigned int first = random_page(w);
	unsigned int last = min(first + unit_random(&w->seed, 100), LAST_PAGE);

	for (; first <= last; first++) {
		__clear_bit(first, w->map.mapped);
		w->page[first].mapped = false;
	}
}

static bool oracle_in_use(const struct world *w, u32 map_id)
{
	unsigned int page;

	for (page = 0; page <= LAST_PAGE; page++)
		if (w->page[page].mapped && w->page[page].map_id == map_id)
			return true;
	return false;
}

static void compare_extents(const struct world *w)
{
	const struct kfd_svm_extents *exts = w->map.exts;
	unsigned int i, next = 0;

	for (i = 0; exts && i < exts->nr; i++) {
		const struct kfd_svm_extent *ext = &exts->ext[i];

		assert_true(ext->npages && ext->first >= next);
		next = ext->first + ext->npages;
		assert_true(next <= KFD_SVM_BLOCK_PAGES);
		assert_true(ext->first >= ext->map_first);
		assert_true(next <= ext->map_first + ext->map_npages);
		assert_int_equal(kfd_svm_dma_run_in_use(&w->map, ext),
				 oracle_in_use(w, ext->map_id));
	}
}

static void compare(const struct world *w)
{
	unsigned int page, first, end;
	const struct kfd_svm_extent *ext;

	compare_extents(w);
	for (page = 0; page <= LAST_PAGE; page++) {
		assert_int_equal(test_bit(page, w->map.mapped),
				 w->page[page].mapped);
		if (!w->page[page].mapped)
			continue;
		ext = kfd_svm_extent_find(&w->map, page);
		assert_non_null(ext);
		assert_int_equal(ext->map_id, w->page[page].map_id);
		/* What is dirty or writable stays so, page by page. */
		assert_int_equal(ext->flags, w->page[page].flags);
		assert_int_equal(kfd_svm_extent_pfn_at(ext, page),
				 w->page[page].pfn);
		assert_int_equal(kfd_svm_extent_addr_at(ext, page),
				 w->page[page].pfn << PAGE_SHIFT);
	}
	/* Runs cover the mapped pages once, in order. */
	page = 0;
	for (first = 0; (ext = kfd_svm_mapping_next_run(&w->map, &first, &end,
							LAST_PAGE));
	     first = end + 1) {
		for (; page < first; page++)
			assert_false(w->page[page].mapped);
		for (; page <= end; page++)
			assert_int_equal(w->page[page].map_id, ext->map_id);
	}
	for (; page <= LAST_PAGE; page++)
		assert_false(w->page[page].mapped);
}

static void random_sequences_match_page_array(void **state)
{
	unsigned int seed, step;

	for (seed = 1; seed <= NR_SEEDS; seed++) {
		struct world w = { .seed = seed, .next_pfn = 1000 };

		for (step = 0; step < NR_STEPS; step++) {
			if (unit_random(&w.seed, 2))
				step_populate(&w);
			else
				step_unmap(&w);
			compare(&w);
		}
		kfree(w.map.exts);
		assert_int_equal(seam_alloc_live, 0);
	}
}

static void replacing_the_middle_keeps_both_ends_of_the_dma_run(void **state)
{
	struct kfd_svm_extent whole = {
		.pfn = 512, .addr = 512ULL << PAGE_SHIFT, .map_id = 1,
		.map_npages = 512, .npages = 512,
	};
	struct kfd_svm_extent middle = {
		.pfn = 9, .map_id = 2, .map_first = 100, .map_npages = 10,
		.first = 100, .npages = 10,
	};
	DECLARE_BITMAP(replace, KFD_SVM_BLOCK_PAGES) = {};
	struct kfd_svm_extents *one, *three;
	struct kfd_svm_mapping map = {};

	one = kzalloc(struct_size(one, ext, 1), GFP_KERNEL);
	three = kzalloc(struct_size(three, ext, 3), GFP_KERNEL);
	assert_int_equal(kfd_svm_extents_merge(&map, replace, &whole, 1, one), 1);
	map.exts = one;
	bitmap_set(map.mapped, 0, 512);
	bitmap_set(replace, 100, 10);
	assert_int_equal(kfd_svm_extents_merge(&map, replace, &middle, 1, three),
			 3);
	map.exts = three;
	assert_int_equal(kfd_svm_extent_find(&map, 99)->map_id, 1);
	assert_int_equal(kfd_svm_extent_find(&map, 105)->map_id, 2);
	assert_int_equal(kfd_svm_extent_pfn_at(kfd_svm_extent_find(&map, 110),
					       110), 622);
	bitmap_clear(map.mapped, 0, 100);
	assert_true(kfd_svm_dma_run_in_use(&map, &three->ext[0]));
	bitmap_clear(map.mapped, 110, 402);
	assert_false(kfd_svm_dma_run_in_use(&map, &three->ext[0]));
	kfd_svm_dma_run_set_undone(&map, &three->ext[0]);
	assert_true(three->ext[2].flags & KFD_SVM_EXT_UNDONE);
	assert_false(three->ext[1].flags & KFD_SVM_EXT_UNDONE);
	kfree(one);
	kfree(three);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_sequences_match_page_array),
		cmocka_unit_test(replacing_the_middle_keeps_both_ends_of_the_dma_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
