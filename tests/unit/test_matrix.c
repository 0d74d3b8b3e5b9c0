// SPDX-License-Identifier: GPL-2.0-only
/* Which cells the matrix has, how they are chosen, and what is expected of them. */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "mx.h"

#define ALL 3888	/* cells that can be */

static const struct mx_world worlds[] = {
	{ .vram = MX_VRAM_NONE }, { .vram = MX_VRAM_PRIVATE },
	{ .vram = MX_VRAM_PRIVATE, .linked = true }, { .vram = MX_VRAM_COHERENT },
	{ .vram = MX_VRAM_COHERENT, .linked = true },
};
#define NWORLDS (sizeof(worlds) / sizeof(worlds[0]))

static struct mx_cell cells[MX_NCELLS];

static unsigned int possible_cells(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MX_NCELLS; i++) {
		cells[n] = mx_cell_at(i);
		n += !mx_impossible(&cells[n]);
	}
	return n;
}

static struct mx_cell named(const char *name)
{
	for (unsigned int i = 0; i < MX_NCELLS; i++) {
		struct mx_cell cell = mx_cell_at(i);
		char its[MX_NAME_LEN];

		mx_cell_name(&cell, its);
		if (!strcmp(its, name))
			return cell;
	}
	fail_msg("no cell %s", name);
	return mx_cell_at(0);
}

static void there_are_enough_different_cells(void **state)
{
	for (unsigned int i = 0; i < NWORLDS; i++) {
		struct mx_counts counts;

		mx_count(&worlds[i], &counts);
		assert_int_equal(counts.cells, MX_NCELLS);
		assert_int_equal(counts.cells, 10 * 5 * 2 * 11 * 2 * 2);
		assert_int_equal(counts.possible, ALL);
		assert_int_equal(counts.possible + counts.impossible, counts.cells);
		assert_true(counts.distinct >= 2000);
		assert_true(counts.distinct <= counts.possible);
		assert_true(counts.distinct_places < counts.distinct);
	}
}

static void all_names_differ(void **state)
{
	static char names[MX_NCELLS][MX_NAME_LEN];

	for (unsigned int i = 0; i < MX_NCELLS; i++) {
		struct mx_cell cell = mx_cell_at(i);

		mx_cell_name(&cell, names[i]);
		/* Numbers and names count in the same order. */
		if (i)
			assert_string_not_equal(names[i], names[i - 1]);
	}
	assert_string_equal(names[0], "malloc/4k/cpu/none/xnack_on/1gpu");
	assert_string_equal(names[MX_NCELLS - 1], "dax/64m/gpu/evict/xnack_off/2gpu");
	for (unsigned int i = 0; i < MX_NCELLS; i += 97)
		for (unsigned int j = 0; j < MX_NCELLS; j++)
			if (i != j)
				assert_string_not_equal(names[i], names[j]);
}

static void impossible_cells_are_the_known_ones(void **state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MX_NCELLS; i++) {
		struct mx_cell c = mx_cell_at(i);
		unsigned int pages = mx_npages(c.size);
		bool bad;

		bad = c.kind == MX_HUGETLB && c.size != MX_2M && c.size != MX_64M;
		bad |= c.kind == MX_THP && (c.size == MX_4K || c.size == MX_64K);
		bad |= c.event == MX_MUNMAP && c.size == MX_4K;
		bad |= c.event == MX_MUNMAP && c.kind == MX_HUGETLB && c.size == MX_2M;
		assert_int_equal(!!mx_impossible(&c), bad);
		if (bad || c.event != MX_MUNMAP)
			continue;
		n++;
		/* A head, a hole and a tail; whole pages of hugetlb. */
		assert_true(mx_hole_first(c.size) > 0 && mx_hole_npages(c.size) > 0);
		assert_true(mx_hole_first(c.size) + mx_hole_npages(c.size) < pages);
		if (c.kind == MX_HUGETLB) {
			assert_int_equal(mx_hole_first(c.size) % MX_HUGE_PAGES, 0);
			assert_int_equal(mx_hole_npages(c.size) % MX_HUGE_PAGES, 0);
		}
	}
	assert_true(n > 0);
}

/* ---- expectations ---- */

/* Pages are somewhere once, and VRAM changes by what moves or is dropped. */
static void check_books(const struct mx_cell *cell, const struct mx_world *world)
{
	unsigned int before[MX_NGPUS] = { 0 };
	struct mx_plan plan;

	mx_expect(cell, world, &plan);
	for (unsigned int s = 0; s < MX_NSTEPS; s++) {
		const struct mx_step *step = &plan.step[s];

		assert_true(step->ram_min <= step->ram_max);
		assert_true(step->ram_max + step->vram[0] + step->vram[1] <=
			    mx_npages(cell->size));
		for (unsigned int g = 0; g < MX_NGPUS; g++) {
			unsigned int sum = before[g] + step->in[g] - step->out[g];

			if (s == MX_EVENT)
				assert_true(step->vram[g] <= sum);
			else
				assert_int_equal(step->vram[g], sum);
			before[g] = step->vram[g];
			if (world->vram == MX_VRAM_NONE || !mx_is_anonymous(cell->kind))
				assert_int_equal(step->in[g] + step->vram[g], 0);
			if (g >= cell->gpus)
				assert_int_equal(step->in[g] + step->vram[g], 0);
		}
	}
	if (world->vram == MX_VRAM_PRIVATE)
		assert_int_equal(plan.step[MX_VERIFY].vram[0] +
				 plan.step[MX_VERIFY].vram[1], 0);
	/* Both jobs and the CPU see all that is left. */
	assert_int_equal(plan.step[MX_JOB1].ram_min + plan.step[MX_JOB1].vram[0] +
			 plan.step[MX_JOB1].vram[1], mx_npages(cell->size));
	assert_true(plan.writes <= plan.reads);
	assert_int_equal(plan.step[MX_VERIFY].data, plan.step[MX_JOB2].data);
}

static void books_balance_in_every_cell(void **state)
{
	unsigned int n = possible_cells();

	assert_int_equal(n, ALL);
	for (unsigned int w = 0; w < NWORLDS; w++)
		for (unsigned int i = 0; i < n; i++)
			check_books(&cells[i], &worlds[w]);
}

/* Numbers worked out by hand, with private VRAM and a link. */
static void some_cells_by_hand(void **state)
{
	static const struct {
		const char *name;
		enum mx_step_name step;
		unsigned int ram_min, ram_max, vram[2], in[2], out[2];
		enum mx_data data;
		enum mx_exception exception;
		int event_errno;
	} rows[] = {
		{ "mmap/64k/cpu/none/xnack_on/1gpu", MX_SETUP, 16, 16, { 0 }, { 0 }, { 0 },
		  MX_CPU, MX_NO_EXCEPTION, 0 },
		{ "mmap/64k/gpu/none/xnack_on/1gpu", MX_SETUP, 0, 0, { 0 }, { 0 }, { 0 },
		  MX_ZERO, MX_NO_EXCEPTION, 0 },
		{ "mmap/64k/cpu/none/xnack_on/1gpu", MX_JOB1, 0, 0, { 16 }, { 16 }, { 0 },
		  MX_JOB1_GPU1, MX_NO_EXCEPTION, 0 },
		/* From GPU 1 to GPU 2. */
		{ "mmap/64k/cpu/none/xnack_on/2gpu", MX_JOB1, 0, 0, { 0, 16 }, { 16, 16 },
		  { 16 }, MX_JOB1_GPU2, MX_NO_EXCEPTION, 0 },
		/* Asked for, and used over the link. */
		{ "mmap/64k/cpu/none/xnack_off/2gpu", MX_JOB1, 0, 0, { 16 }, { 16 }, { 0 },
		  MX_JOB1_GPU2, MX_NO_EXCEPTION, 0 },
		{ "stack/4k/cpu/none/xnack_on/1gpu", MX_JOB2, 1, 1, { 0 }, { 0 }, { 0 },
		  MX_JOB2_GPU1, MX_NO_EXCEPTION, 0 },
		{ "stack/4k/cpu/mremap/xnack_on/1gpu", MX_JOB2, 0, 0, { 1 }, { 1 }, { 0 },
		  MX_JOB2_GPU1, MX_NO_MAPPING, 0 },
		{ "malloc/64k/cpu/prefetch_to_gpu/xnack_on/1gpu", MX_JOB2, 0, 0, { 16 },
		  { 0 }, { 0 }, MX_JOB2_GPU1, MX_NO_EXCEPTION, 0 },
		{ "malloc/64k/cpu/prefetch_to_gpu/xnack_on/2gpu", MX_JOB2, 16, 16, { 0 },
		  { 0 }, { 16 }, MX_JOB2_GPU2, MX_NO_EXCEPTION, 0 },
		{ "thp/2m4k/cpu/munmap_middle/xnack_on/1gpu", MX_EVENT, 0, 0, { 257 },
		  { 0 }, { 0 }, MX_JOB1_GPU1, MX_NO_MAPPING, 0 },
		{ "mmap/2m/gpu/mprotect_read/xnack_off/1gpu", MX_VERIFY, 512, 512, { 0 },
		  { 0 }, { 512 }, MX_JOB1_GPU1, MX_READ_ONLY, 0 },
		{ "mmap/2m/gpu/dontneed/xnack_off/1gpu", MX_EVENT, 0, 512, { 0 }, { 0 },
		  { 0 }, MX_ZERO, MX_NO_EXCEPTION, 0 },
		{ "mmap/2m/gpu/dontneed/xnack_off/1gpu", MX_JOB2, 512, 512, { 0 }, { 0 },
		  { 0 }, MX_JOB2_GPU1, MX_NO_EXCEPTION, 0 },
		{ "mmap/2m/gpu/fork_parent_writes/xnack_on/1gpu", MX_EVENT, 512, 512, { 0 },
		  { 0 }, { 512 }, MX_PARENT, MX_NO_EXCEPTION, 0 },
		{ "shmem/4k/cpu/fork_child_writes/xnack_on/1gpu", MX_EVENT, 1, 1, { 0 },
		  { 0 }, { 0 }, MX_CHILD, MX_NO_EXCEPTION, 0 },
		{ "private_file/4k/cpu/dontneed/xnack_on/1gpu", MX_EVENT, 0, 0, { 0 },
		  { 0 }, { 0 }, MX_FILE, MX_NO_EXCEPTION, 0 },
		{ "shared_file/4k/cpu/dontneed/xnack_on/1gpu", MX_EVENT, 0, 0, { 0 },
		  { 0 }, { 0 }, MX_JOB1_GPU1, MX_NO_EXCEPTION, 0 },
		{ "hugetlb/2m/cpu/evict/xnack_on/1gpu", MX_EVENT, 512, 512, { 0 }, { 0 },
		  { 0 }, MX_JOB1_GPU1, MX_NO_EXCEPTION, EINVAL },
		{ "mmap/2m/cpu/evict/xnack_off/1gpu", MX_JOB2, 512, 512, { 0 }, { 0 },
		  { 0 }, MX_JOB2_GPU1, MX_NO_EXCEPTION, 0 },
		{ "mmap/2m/cpu/evict/xnack_on/1gpu", MX_JOB2, 0, 0, { 512 }, { 512 }, { 0 },
		  MX_JOB2_GPU1, MX_NO_EXCEPTION, 0 },
	};
	const struct mx_world world = { .vram = MX_VRAM_PRIVATE, .linked = true };

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mx_cell cell = named(rows[i].name);
		const struct mx_step *step;
		struct mx_plan plan;

		assert_null(mx_impossible(&cell));
		mx_expect(&cell, &world, &plan);
		step = &plan.step[rows[i].step];
		if (step->ram_min != rows[i].ram_min || step->ram_max != rows[i].ram_max ||
		    memcmp(step->vram, rows[i].vram, sizeof(step->vram)) ||
		    memcmp(step->in, rows[i].in, sizeof(step->in)) ||
		    memcmp(step->out, rows[i].out, sizeof(step->out)) ||
		    step->data != rows[i].data || plan.exception != rows[i].exception ||
		    plan.event_errno != rows[i].event_errno)
			fail_msg("row %u, %s", i, rows[i].name);
	}
}

static void without_a_link_xnack_off_keeps_shared_memory_in_ram(void **state)
{
	const struct mx_world world = { .vram = MX_VRAM_PRIVATE };
	const struct mx_cell cell = named("mmap/2m/cpu/prefetch_to_gpu/xnack_off/2gpu");
	struct mx_plan plan;

	mx_expect(&cell, &world, &plan);
	for (unsigned int s = 0; s < MX_NSTEPS; s++)
		assert_int_equal(plan.step[s].ram_min, 512);
}

static void coherent_vram_is_used_where_it_is(void **state)
{
	const struct mx_world world = { .vram = MX_VRAM_COHERENT };
	struct mx_cell cell = named("mmap/2m/cpu/fork_child_writes/xnack_off/1gpu");
	struct mx_plan plan;

	mx_expect(&cell, &world, &plan);
	assert_int_equal(plan.step[MX_VERIFY].vram[0], 512);
	cell.event = MX_FORK_PARENT;
	/* The parent's copy is RAM, the child has the VRAM. */
	mx_expect(&cell, &world, &plan);
	assert_int_equal(plan.step[MX_EVENT].ram_min, 512);
	assert_int_equal(plan.step[MX_EVENT].out[0], 0);
}

static void only_part_of_a_huge_page_in_private_vram_goes_late(void **state)
{
	static const struct { const char *name; unsigned int late; } rows[] = {
		{ "thp/2m/cpu/munmap_middle/xnack_on/1gpu", 256 },
		{ "thp/2m4k/gpu/munmap_middle/xnack_off/1gpu", 256 },
		{ "thp/64m/cpu/munmap_middle/xnack_on/1gpu", 0 },
		{ "stack/2m/cpu/munmap_middle/xnack_off/1gpu", 256 },
		{ "stack/64k/cpu/munmap_middle/xnack_off/1gpu", 0 },
		{ "mmap/2m/cpu/munmap_middle/xnack_on/1gpu", 0 },
		{ "thp/2m/cpu/dontneed/xnack_on/1gpu", 0 },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mx_cell cell = named(rows[i].name);

		for (unsigned int w = 0; w < NWORLDS; w++) {
			struct mx_plan plan;

			mx_expect(&cell, &worlds[w], &plan);
			assert_int_equal(plan.late, worlds[w].vram == MX_VRAM_PRIVATE ?
					 rows[i].late : 0);
		}
	}
}

/* ---- the negative control ---- */

static void each_wrong_column_changes_every_plan(void **state)
{
	unsigned int n = possible_cells();

	for (enum mx_wrong wrong = MX_WRONG_DATA; wrong < MX_NWRONGS; wrong++) {
		for (unsigned int i = 0; i < n; i++) {
			struct mx_world world = worlds[1];
			struct mx_plan right, bad;

			mx_expect(&cells[i], &world, &right);
			world.wrong = wrong;
			mx_expect(&cells[i], &world, &bad);
			assert_memory_not_equal(&right, &bad, sizeof(right));
		}
	}
}

/* ---- choosing ---- */

static unsigned int take(unsigned int sample, unsigned int seed, const char *glob)
{
	struct mx_choice choice = {
		.globs = { glob }, .nglobs = 1, .without = { "dax/*" }, .nwithout = 1,
		.sample = sample, .seed = seed,
	};
	unsigned int n = possible_cells(), kept = 0;

	for (unsigned int i = 0; i < n; i++)
		if (mx_named(&choice, &cells[i]))
			cells[kept++] = cells[i];
	return mx_sample(&choice, cells, kept);
}

static void globs_choose_by_name(void **state)
{
	assert_int_equal(take(0, 1, "dax/*"), 0);
	assert_int_equal(take(0, 1, "mmap/4k/cpu/none/xnack_on/1gpu"), 1);
	assert_int_equal(take(0, 1, "mmap/*/cpu/none/xnack_on/1gpu"), 5);
}

static void sample_has_each_kind_event_and_mode_before_a_second(void **state)
{
	unsigned int seen[MX_NKINDS][MX_NEVENTS][MX_NMODES] = { 0 };
	unsigned int sizes[MX_NSIZES] = { 0 }, touches[MX_NTOUCHES] = { 0 };
	const unsigned int strata = (MX_NKINDS - 1) * MX_NEVENTS * MX_NMODES;

	assert_int_equal(take(strata, 1, "*/1gpu"), strata);
	for (unsigned int i = 0; i < strata; i++) {
		unsigned int *count = &seen[cells[i].kind][cells[i].event][cells[i].mode];

		assert_int_equal(*count, 0);
		(*count)++;
		sizes[cells[i].size]++;
		touches[cells[i].touch]++;
	}
	for (unsigned int i = 0; i < MX_NSIZES; i++)
		assert_true(sizes[i] > 0);
	assert_true(touches[0] > strata / 3 && touches[1] > strata / 3);
	/* They take as long as all others together. */
	assert_true(sizes[MX_64M] < strata / 12);
}

static void sample_is_fixed_by_its_seed(void **state)
{
	static struct mx_cell first[100];

	assert_int_equal(take(100, 7, "*"), 100);
	memcpy(first, cells, sizeof(first));
	assert_int_equal(take(100, 7, "*"), 100);
	assert_memory_equal(first, cells, sizeof(first));
	assert_int_equal(take(100, 8, "*"), 100);
	assert_memory_not_equal(first, cells, sizeof(first));
	for (unsigned int i = 1; i < 100; i++)
		assert_memory_not_equal(&cells[i], &cells[i - 1], sizeof(cells[0]));
}

static void without_a_sample_all_come_sorted_by_process(void **state)
{
	unsigned int n = take(0, 1, "*"), changes = 0;

	assert_true(n > 2000);
	for (unsigned int i = 1; i < n; i++)
		changes += cells[i].mode != cells[i - 1].mode ||
			   cells[i].gpus != cells[i - 1].gpus;
	assert_int_equal(changes, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_enough_different_cells),
		cmocka_unit_test(all_names_differ),
		cmocka_unit_test(impossible_cells_are_the_known_ones),
		cmocka_unit_test(books_balance_in_every_cell),
		cmocka_unit_test(some_cells_by_hand),
		cmocka_unit_test(without_a_link_xnack_off_keeps_shared_memory_in_ram),
		cmocka_unit_test(coherent_vram_is_used_where_it_is),
		cmocka_unit_test(only_part_of_a_huge_page_in_private_vram_goes_late),
		cmocka_unit_test(each_wrong_column_changes_every_plan),
		cmocka_unit_test(globs_choose_by_name),
		cmocka_unit_test(sample_has_each_kind_event_and_mode_before_a_second),
		cmocka_unit_test(sample_is_fixed_by_its_seed),
		cmocka_unit_test(without_a_sample_all_come_sorted_by_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
