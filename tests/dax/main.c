// SPDX-License-Identifier: GPL-2.0-only
/*
 * mirror_dax --on ext4|xfs|dev-2m|dev-4k: storage the CPU maps, mirrored. With
 * --boot 1 the machine stops; --boot 2, in the next boot, looks what is left. With
 * --remove the device goes from under a file system, with --remove-control from under one
 * that nobody mirrors: each once in a boot, and see Documentation/hmm_mirror.rst for what
 * kernels make of it. Needs hmm_mirror_test.ko, root and a VM of machine pmem.
 */
#include "dax.h"
#include "dax_cases.h"

#include <stdio.h>
#include <string.h>

const char *kind;

static const struct test_case file_cases[] = {
	CASE(huge_entries_are_huge_dax_extents),
	CASE(small_entries_are_small_dax_extents),
	CASE(truncate_takes_huge_entries_away),
	CASE(truncate_takes_small_entries_away),
	CASE(control_page_reference_delays_truncate),
	CASE(punched_hole_in_huge_entry),
	CASE(punched_hole_in_small_entries),
	CASE(reflink_then_device_writes),
	CASE(reflink_then_cpu_writes),
	CASE(reflink_over_a_mirrored_file),
	CASE(huge_entry_is_dirty_again_after_fsync),
	CASE(small_entry_is_dirty_again_after_fsync),
	CASE(map_sync_is_dirty_again_after_fsync),
	CASE(map_sync_into_a_hole),
};

static const struct test_case device_cases[] = {
	CASE(device_entries_are_dax_extents),
	CASE(device_munmap_ends_access),
	CASE(device_removed_under_a_mirror),
};

static const struct test_case removal_cases[] = {
	CASE(device_of_a_file_system_removed),
};

static const struct test_case removal_control_cases[] = {
	CASE(control_file_in_the_first_group),
};

static const struct test_case after_cases[] = {
	CASE(fsynced_device_writes_survive_power_failure),
	CASE(map_sync_device_writes_survive_power_failure),
	CASE(control_other_device_writes_are_lost),
};

#define RUN(cases) run_cases(argc, argv, cases, sizeof(cases) / sizeof(*(cases)))

int main(int argc, char **argv)
{
	const char *const kinds[] = { "ext4", "xfs", "dev-2m", "dev-4k" };
	const struct test_case *removal = NULL;
	bool fails = false, after = false;
	const char *self = argv[0];
	unsigned int i;
	int ret;

	for (i = 0; argc > 2 && i < 4; i++)
		if (!strcmp(argv[1], "--on") && !strcmp(argv[2], kinds[i]))
			kind = kinds[i];
	if (!kind) {
		fprintf(stderr, "usage: %s --on ext4|xfs|dev-2m|dev-4k [--boot 1|2|--remove|--remove-control] [--list] [--filter GLOB]... [--timeout S]\n",
			self);
		return 2;
	}
	argc -= 2;
	argv += 2;
	if (argc > 2 && !strcmp(argv[1], "--boot")) {
		fails = !strcmp(argv[2], "1");
		after = !fails;
		argc -= 2;
		argv += 2;
	} else if (argc > 1 && (!strcmp(argv[1], "--remove") ||
				!strcmp(argv[1], "--remove-control"))) {
		removal = strcmp(argv[1], "--remove") ? removal_control_cases :
							removal_cases;
		argc--;
		argv++;
	}
	argv[0] = (char *)self;
	set_up(!after);
	if (fails)
		power_fails();
	/* Of what is left of that nothing can be taken down. */
	if (removal)
		return run_cases(argc, argv, removal, 1);
	if (after)
		ret = RUN(after_cases);
	else if (!strncmp(kind, "dev-", 4))
		ret = RUN(device_cases);
	else
		ret = RUN(file_cases);
	take_down();
	return ret;
}
