/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KFDSVM_TESTS_DAX_CASES_H
#define KFDSVM_TESTS_DAX_CASES_H

/* change.c */
void huge_entries_are_huge_dax_extents(void);
void small_entries_are_small_dax_extents(void);
void truncate_takes_huge_entries_away(void);
void truncate_takes_small_entries_away(void);
void control_page_reference_delays_truncate(void);
void punched_hole_in_huge_entry(void);
void punched_hole_in_small_entries(void);
void reflink_then_device_writes(void);
void reflink_then_cpu_writes(void);
void reflink_over_a_mirrored_file(void);

/* sync.c */
void huge_entry_is_dirty_again_after_fsync(void);
void small_entry_is_dirty_again_after_fsync(void);
void map_sync_is_dirty_again_after_fsync(void);
void map_sync_into_a_hole(void);

/* device.c */
void device_entries_are_dax_extents(void);
void device_munmap_ends_access(void);
void device_removed_under_a_mirror(void);
void device_of_a_file_system_removed(void);
void control_file_in_the_first_group(void);

/* crash.c */
void power_fails(void);
void fsynced_device_writes_survive_power_failure(void);
void map_sync_device_writes_survive_power_failure(void);
void control_other_device_writes_are_lost(void);

#endif /* KFDSVM_TESTS_DAX_CASES_H */
