#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM with the modules that tests/mutants are built into (`./dev run --mutants`):
# shows that the tests can fail. Each mutant breaks one thing in the modules and names a
# conformance case that must then go red, and green again when it is whole. Mutants are the
# lines of the table below (parameters break_* of the debug build) and tests/mutants/*.patch.
#
#   mutants.sh [--third N] [--tag WORD] [NAME...]
#
# --third: of three parts the N'th, 1 to 3. --tag: only cases that need WORD: pmem, the
# machine of that name. NAME: only these mutants. A case of failing allocations (*_allocation_failures) needs the debug
# kernel, and what only its checks can see is skipped elsewhere.
#
# Output is TAP. The kernel log may show what the mutants break; see 20-mutants.list.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"

conformance=${KFDSVM_CONFORMANCE:-kfdsvm-conformance}
here=$(dirname "$(readlink -f "$0")")
patches=$here/../mutants
dax=/tmp/dax
switch=/sys/module/hmm_mirror/parameters/mutant
tries=5		# of a race: its window is not hit for sure
# A race is run in a wider window, whole as well as broken.
delay=/sys/module/kfd_svm/parameters/commit_delay_us

third=0 tag='' names=()
while (($#)); do
	case $1 in
	--third) third=$2; shift ;;
	--tag) tag=$2; shift ;;
	*) names+=("$1") ;;
	esac
	shift
done

# MODULE.PARAMETER MODE CASE. With XNACK off a restore maps everything anew, which hides some
# mutants from the case that sees them with XNACK on; then another case is named.
mutants=(
	"kfd_svm.break_zap on madvise_dontneed_shows_zeros"
	"kfd_svm.break_zap off read_after_munmap_is_exception"
	"kfd_svm.break_flush on madvise_dontneed_shows_zeros"
	"kfd_svm.break_flush off madvise_dontneed_shows_zeros"
	"kfd_svm.break_cow on fork_gpu_write_does_not_reach_the_child"
	"kfd_svm.break_cow off write_to_read_only_mapping_is_exception"
	"kfd_svm.break_spare on fork_gpu_write_copies_one_page"
	"kfd_svm.break_join on faults_on_one_window_are_served_together"
	"kfd_svm.break_charge on mappings_are_charged_to_the_process"
	"kfd_svm.break_charge off mappings_are_charged_to_the_process"
	"hmm_mirror.break_seq_check on dontneed_races_with_gpu_mapping"
	"hmm_mirror.break_seq_check off dontneed_races_with_registration"
	"kfd_svm.break_prefetch_sticky on prefetch_acts_only_in_the_call_that_has_it"
	"kfd_svm.break_prefetch_sticky off prefetch_acts_only_in_the_call_that_has_it"
	"kfd_svm.break_fork_cow on fork_gpu_write_in_vram_does_not_reach_the_child"
	"kfd_svm.break_no_access_first on no_access_is_refused_if_system_memory_is_preferred"
	"kfd_svm.break_thrash on window_that_bounces_stays_in_ram"
	"kfd_svm.break_window on granularity_is_the_window_in_both_directions"
	"kfd_svm.break_hive off two_gpus_prefetch_stays_in_ram_for_access_without_link"
	"hmm_mirror.break_fault_window on fork_child_reads_after_the_parents_end"
	"hmm_mirror.break_evict on kfdtest_VramOvercommit"
	"hmm_mirror.break_evict off kfdtest_VramOvercommit"
	"vamdgpu.break_vram_zero on vram_of_another_process_is_zeroed"
)

# patch_lines FILE: what its lines "Case: MODE NAME [TAG]" ask for, as in the table.
patch_lines()
{
	local name mode case word
	name=$(basename "$1" .patch)
	sed -n 's/^Case: //p' "$1" | while read -r mode case word; do
		[[ ${word:-} == "$tag" ]] || continue
		case $mode in
		both)
			echo "$name on $case"
			echo "$name off $case"
			;;
		*) echo "$name $mode $case" ;;
		esac
	done
}

# outcome CASE MODE: red, green or skip
outcome()
{
	local out options=()
	[[ $1 != *_allocation_failures ]] || options+=(--inject)
	[[ $tag != pmem ]] || options+=(--dir "$dax")
	out=$("$conformance" --filter "$1/xnack_$2" --xnack "$2" "${options[@]}" 2>&1)
	if grep -q '^not ok' <<<"$out"; then
		echo red
	elif grep -q '^ok.*# SKIP' <<<"$out"; then
		echo "skip: $(sed -n 's/.*# SKIP //p' <<<"$out" | head -n 1)"
	elif grep -q '^ok' <<<"$out"; then
		echo green
	else
		echo nothing
	fi
}

# turn NAME on|off
turn()
{
	if [[ $1 == *.* ]]; then
		[[ $2 == on ]] && echo 1 >"/sys/module/${1/.//parameters/}" ||
			echo 0 >"/sys/module/${1/.//parameters/}"
	else
		[[ $2 == on ]] && echo "$1" >"$switch" || echo none >"$switch"
	fi
}

# only_debug CASE: what breaks shows only to checks of the debug kernel.
only_debug()
{
	[[ $1 == *_allocation_failures || $1 == *_does_not_sleep ]] &&
		[[ ! -e /proc/self/fail-nth ]]
}

chosen()
{
	local name
	((${#names[@]})) || return 0
	for name in "${names[@]}"; do
		[[ $1 != "$name" && ${1#*.} != "$name" ]] || return 0
	done
	return 1
}

run()
{
	local mutant=$1 mode=$2 case=$3 seen try
	if only_debug "$case"; then
		skip "$mutant turns $case/xnack_$mode red" "needs the debug kernel"
		return
	fi
	[[ $case != *race* ]] || echo 20000 >"$delay"
	for ((try = 0; try < tries; try++)); do
		turn "$mutant" on
		seen=$(outcome "$case" "$mode")
		turn "$mutant" off
		[[ $seen != red && $case == *race* ]] || break
	done
	[[ $seen == red ]]
	report $? "$mutant turns $case/xnack_$mode red (is $seen)"
	seen=$(outcome "$case" "$mode")
	echo 0 >"$delay"
	[[ $seen == green ]]
	report $? "without $mutant $case/xnack_$mode is green (is $seen)"
}

echo "TAP version 13"
if [[ ! -w $switch ]]; then
	echo "1..0 # SKIP no mutants in these modules (./dev run --mutants)"
	exit 77
fi
[[ -z $tag ]] || mutants=()
if [[ $tag == pmem ]]; then
	# shellcheck source=tests/vm/dax.sh
	. "$here/dax.sh"
	dax_mount $dax
fi
for patch in "$patches"/*.patch; do
	mapfile -t -O "${#mutants[@]}" mutants < <(patch_lines "$patch")
done
index=0
for line in "${mutants[@]}"; do
	read -r mutant mode case <<<"$line"
	chosen "$mutant" || continue
	index=$((index + 1))
	((third == 0 || index % 3 == third % 3)) || continue
	run "$mutant" "$mode" "$case"
done
((number)) || report 1 "there are mutants to run"
[[ $tag != pmem ]] || umount $dax
tap_end
