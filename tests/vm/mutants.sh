#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM on the debug kernel: shows that the tests can fail. Each line of the table
# breaks one thing in the modules (a parameter that only debug builds have) and names a
# conformance case that must then go red, and green again when it is whole.
#
#   mutants.sh [CONFORMANCE_BINARY]
#
# Output is TAP. The kernel log may show what the mutants break; see 20-mutants.list.

set -u

conformance=${1:-kfdsvm-conformance}
# With XNACK off a restore maps everything anew, which hides some mutants from the case
# that sees them with XNACK on; then another case is named.
mutants=(
	"kfd_svm break_zap on madvise_dontneed_shows_zeros"
	"kfd_svm break_zap off read_after_munmap_is_exception"
	"kfd_svm break_flush on madvise_dontneed_shows_zeros"
	"kfd_svm break_flush off madvise_dontneed_shows_zeros"
	"kfd_svm break_cow on fork_gpu_write_does_not_reach_the_child"
	"kfd_svm break_cow off write_to_read_only_mapping_is_exception"
	"kfd_svm break_spare on fork_gpu_write_copies_one_page"
	"kfd_svm break_join on faults_on_one_window_are_served_together"
	"kfd_svm break_charge on mappings_are_charged_to_the_process"
	"kfd_svm break_charge off mappings_are_charged_to_the_process"
	"hmm_mirror break_seq_check on dontneed_races_with_gpu_mapping"
	"hmm_mirror break_seq_check off dontneed_races_with_registration"
	"kfd_svm break_prefetch_sticky on prefetch_acts_only_in_the_call_that_has_it"
	"kfd_svm break_prefetch_sticky off prefetch_acts_only_in_the_call_that_has_it"
	"kfd_svm break_fork_cow on fork_gpu_write_in_vram_does_not_reach_the_child"
	"kfd_svm break_no_access_first on no_access_is_refused_if_system_memory_is_preferred"
	"kfd_svm break_thrash on window_that_bounces_stays_in_ram"
	"kfd_svm break_window on granularity_is_the_window_in_both_directions"
	"kfd_svm break_hive off two_gpus_prefetch_stays_in_ram_for_access_without_link"
	"hmm_mirror break_fault_window on fork_child_reads_after_the_parents_end"
	"hmm_mirror break_evict on kfdtest_VramOvercommit"
	"hmm_mirror break_evict off kfdtest_VramOvercommit"
	"vamdgpu break_vram_zero on vram_of_another_process_is_zeroed"
)
tries=5		# of a race: its window is not hit for sure
# A race is run in a wider window, whole as well as broken.
delay=/sys/module/kfd_svm/parameters/commit_delay_us

number=0
failed=0

report()
{
	local ok=$1 name=$2
	number=$((number + 1))
	if ((ok)); then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		failed=$((failed + 1))
	fi
}

# outcome CASE MODE: red, green or skip
outcome()
{
	local out
	out=$("$conformance" --filter "$1/xnack_$2" --xnack "$2" 2>&1)
	if grep -q '^not ok' <<<"$out"; then
		echo red
	elif grep -q '^ok.*# SKIP' <<<"$out"; then
		echo skip
	elif grep -q '^ok' <<<"$out"; then
		echo green
	else
		echo nothing
	fi
}

echo "TAP version 13"
for line in "${mutants[@]}"; do
	read -r module parameter mode case <<<"$line"
	file=/sys/module/$module/parameters/$parameter
	if [[ ! -w $file ]]; then
		number=$((number + 1))
		echo "ok $number - $parameter # SKIP no $file (needs the debug build)"
		continue
	fi
	[[ $case != *race* ]] || echo 20000 >"$delay"
	for ((try = 0; try < tries; try++)); do
		echo 1 >"$file"
		seen=$(outcome "$case" "$mode")
		echo 0 >"$file"
		[[ $seen != red && $case == *race* ]] || break
	done
	[[ $seen == red ]]
	report $((!$?)) "$parameter turns $case/xnack_$mode red (is $seen)"
	seen=$(outcome "$case" "$mode")
	echo 0 >"$delay"
	[[ $seen == green ]]
	report $((!$?)) "without $parameter $case/xnack_$mode is green (is $seen)"
done
echo "1..$number"
((failed == 0))
