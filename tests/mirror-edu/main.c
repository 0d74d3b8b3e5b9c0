// SPDX-License-Identifier: GPL-2.0-only
/*
 * mirror_edu --machine edu|iommu|swiotlb|pmem: DMA behind the HMM mirror, on a VM of that
 * shape. Needs hmm_mirror_edu.ko, root, and a disk at /mnt/disk.
 */
#include "edu.h"
#include "edu_cases.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *machine;

static void machine_is_what_was_asked_for(void)
{
	int fd = edu_open();
	char *line = read_text("/proc/cmdline");

	CHECK_EQ(edu_stats(fd).behind_iommu, behind_iommu());
	CHECK_EQ(!!strstr(line, "swiotlb=force"), !strcmp(machine, "swiotlb"));
	free(line);
	close(fd);
}

static const struct test_case cases[] = {
	CASE(machine_is_what_was_asked_for),
	CASE(malloc_memory_both_ways),
	CASE(huge_page_both_ways),
	CASE(file_both_ways),
	CASE(private_file_is_copied_on_write),
	CASE(memfd_both_ways),
	CASE(two_clients_of_one_mm),
	CASE(one_mapping_per_extent),
	CASE(unchanged_pages_are_not_mapped_again),
	CASE(a_page_in_the_middle_needs_one_mapping),
	CASE(more_extents_than_fit_at_once),
	CASE(failed_mapping_leaves_what_was),
	CASE(page_error_leaves_what_was),
	CASE(bus_addresses_run_out),
	CASE(device_that_reaches_little_is_refused),
	CASE(write_permission_is_each_pages_own),
	CASE(write_to_a_read_only_page_is_refused),
	CASE(read_only_pages_can_be_read),
	CASE(read_only_extent_cannot_be_written),
	CASE(a_page_that_becomes_writable_is_mapped_anew),
	CASE(munmap_ends_access),
	CASE(dontneed_ends_access),
	CASE(punched_hole_ends_access),
	CASE(mprotect_ends_writing),
	CASE(munmap_waits_for_the_engine),
	CASE(unrelated_munmap_does_not_wait),
	CASE(exit_while_the_engine_runs),
	CASE(close_ends_access),
	CASE(written_after_swap_in_is_kept),
	CASE(control_written_after_swap_in_is_lost),
	CASE(written_after_madv_free_is_kept),
	CASE(control_written_after_madv_free_is_lost),
	CASE(written_to_a_shared_hole_is_kept),
	CASE(control_written_to_a_shared_hole_is_lost),
	CASE(written_after_msync_reaches_the_disk),
	CASE(written_file_page_survives_reclaim),
	CASE(cost_of_mapping),
};

/* With bounce buffers all that can be seen is that nothing is mapped. */
static const struct test_case swiotlb_cases[] = {
	CASE(machine_is_what_was_asked_for),
	CASE(bounce_buffers_are_refused),
	CASE(device_that_reaches_little_is_refused),
};

/* That machine is for memory which is no RAM. */
static const struct test_case pmem_cases[] = {
	CASE(machine_is_what_was_asked_for),
	CASE(dax_file_both_ways),
};

#define RUN(cases) run_cases(argc - 2, argv + 2, cases, sizeof(cases) / sizeof(*(cases)))

int main(int argc, char **argv)
{
	if (argc < 3 || strcmp(argv[1], "--machine")) {
		fprintf(stderr, "usage: %s --machine edu|iommu|swiotlb|pmem [--list] [--filter GLOB]... [--timeout S]\n",
			argv[0]);
		return 2;
	}
	machine = argv[2];
	argv[2] = argv[0];
	if (!strcmp(machine, "swiotlb"))
		return RUN(swiotlb_cases);
	if (!strcmp(machine, "pmem"))
		return RUN(pmem_cases);
	return RUN(cases);
}
