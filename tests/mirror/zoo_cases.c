// SPDX-License-Identifier: GPL-2.0-only
/*
 * A case for each kind of mapping, named zoo_KIND (device_zoo_KIND), and two that look at all of the process.
 * They count as long: a suite line asks for them by name. Kinds that need a boot of their
 * own skip in others, but for broken memory, which every boot could break.
 */
#include "zoo_mirror.h"

#define CASE_TIMEOUT_S 300

static const struct zoo_group *const groups[] = {
	&zoo_anon_kinds, &zoo_thp_kinds, &zoo_file_kinds, &zoo_special_kinds,
	&zoo_hugetlb_kinds, &zoo_giant_kinds, &zoo_reclaim_kinds, &zoo_numa_kinds,
	&zoo_broken_kinds, &zoo_device_kinds,
};

static void run_kind(const void *arg)
{
	zoo_run(arg);
}

static void __attribute__((constructor)) add_kinds(void)
{
	for (size_t g = 0; g < HMT_COUNT(groups); g++) {
		const struct zoo_group *group = groups[g];
		struct hmt_case *cases = calloc(group->nkinds, sizeof(*cases));

		for (size_t i = 0; cases && i < group->nkinds; i++) {
			char name[96];

			/* Those need a module that only their own boot loads. */
			snprintf(name, sizeof(name), "%szoo_%s",
				 group == &zoo_device_kinds ? "device_" : "",
				 group->kinds[i].name);
			cases[i] = (struct hmt_case) {
				.name = strdup(name), .fn = run_kind,
				.arg = &group->kinds[i], .flags = HMT_LONG,
				.timeout_s = CASE_TIMEOUT_S,
			};
			hmt_add_case(&cases[i]);
		}
	}
}

/* All that /proc/self/maps lists, with the gaps between. */
static void compare_all_vmas(void *arg)
{
	const size_t piece = 4096;
	struct zoo_page *ours = calloc(piece, sizeof(*ours));
	struct zoo_page *kernel = calloc(piece, sizeof(*kernel));
	struct zoo_vma *vmas;
	size_t n, nvmas;
	int fd;

	hmt_check(ours && kernel);
	zoo_still();
	zoo_set_walk(arg);
	fd = hmt_open_registered();
	nvmas = zoo_vmas(&vmas);
	for (size_t i = 0; i < nvmas; i++) {
		/* With the page before and behind; not the vsyscall page. */
		unsigned long va = vmas[i].start - (vmas[i].start ? ZPAGE : 0);
		unsigned long end = vmas[i].end + ZPAGE;

		if (vmas[i].end >> 47)
			continue;
		for (; va < end; va += n * ZPAGE) {
			n = (end - va) / ZPAGE < piece ? (end - va) / ZPAGE : piece;
			if ((va + n * ZPAGE) >> 47)
				break;
			zoo_snapshot(fd, (char *)va, n, 64, ours, kernel);
			zoo_compare_pages((char *)va, n, ours, kernel, vmas, nvmas);
		}
	}
	hmt_close(fd);
}

static void zoo_every_vma_of_the_process(const void *arg)
{
	char why[256];

	(void)arg;
	for (size_t w = 0; w < HMT_COUNT(zoo_walks); w++)
		zoo_in_child(zoo_walks[w], compare_all_vmas, (void *)zoo_walks[w], why,
			     sizeof(why));
}

static void zoo_walk_can_be_chosen(const void *arg)
{
	(void)arg;
	for (size_t w = 0; w < HMT_COUNT(zoo_walks); w++)
		hmt_check_that(zoo_set_walk(zoo_walks[w]), "no parameter walk");
}

static const struct hmt_case cases[] = {
	{ "zoo_every_vma_of_the_process", zoo_every_vma_of_the_process, NULL, HMT_LONG,
	  CASE_TIMEOUT_S },
	HMT_CASE(zoo_walk_can_be_chosen, HMT_LONG),
};

HMT_GROUP(cases);
