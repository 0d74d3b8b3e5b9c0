/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KFDSVM_TESTS_EDU_CASES_H
#define KFDSVM_TESTS_EDU_CASES_H

/* data.c */
void malloc_memory_both_ways(void);
void huge_page_both_ways(void);
void file_both_ways(void);
void private_file_is_copied_on_write(void);
void memfd_both_ways(void);
void dax_file_both_ways(void);
void two_clients_of_one_mm(void);

/* map.c */
void one_mapping_per_extent(void);
void unchanged_pages_are_not_mapped_again(void);
void a_page_in_the_middle_needs_one_mapping(void);
void more_extents_than_fit_at_once(void);
void failed_mapping_leaves_what_was(void);
void page_error_leaves_what_was(void);
void bus_addresses_run_out(void);
void device_that_reaches_little_is_refused(void);
void bounce_buffers_are_refused(void);

/* perm.c */
void write_permission_is_each_pages_own(void);
void write_to_a_read_only_page_is_refused(void);
void read_only_pages_can_be_read(void);
void read_only_extent_cannot_be_written(void);
void a_page_that_becomes_writable_is_mapped_anew(void);

/* stale.c */
void munmap_ends_access(void);
void dontneed_ends_access(void);
void punched_hole_ends_access(void);
void mprotect_ends_writing(void);
void munmap_waits_for_the_engine(void);
void unrelated_munmap_does_not_wait(void);
void exit_while_the_engine_runs(void);
void close_ends_access(void);

/* dirty.c */
void written_after_swap_in_is_kept(void);
void control_written_after_swap_in_is_lost(void);
void written_after_madv_free_is_kept(void);
void control_written_after_madv_free_is_lost(void);
void written_to_a_shared_hole_is_kept(void);
void control_written_to_a_shared_hole_is_lost(void);
void written_after_msync_reaches_the_disk(void);
void written_file_page_survives_reclaim(void);

/* cost.c */
void cost_of_mapping(void);

#endif /* KFDSVM_TESTS_EDU_CASES_H */
