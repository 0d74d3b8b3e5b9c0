#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM with modules of a debug build: shows that the oracle and the stress can fail. Each
# line breaks one thing in the modules (a parameter that only debug builds have). The oracle
# must then report in a conformance case, and the stress must go red within the count of
# operations with which it is green without the mutant, whose run the oracle watches
# without a report.
#
# With XNACK off a restore maps everything anew and writable before the queues go on. What
# break_zap and break_cow leave wrong then shows only to an access that is to be refused,
# and the stress makes none: there the oracle alone is asked.
#
#   mutants.sh [OPS [CONFORMANCE_BINARY]]
#
# Output is TAP. The kernel log shows the oracle's first report.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"

ops=${1:-4000}
conformance=${2:-kfdsvm-conformance}
stress=/usr/local/libexec/kfdsvm/svm_stress
parameters=/sys/module/vamdgpu/parameters
seed=1

# Mutant, XNACK, the conformance case that uses what it breaks, and who must see it.
mutants=(
	"break_zap on madvise_dontneed_shows_zeros both"
	"break_zap off read_after_munmap_is_exception oracle"
	"break_flush on madvise_dontneed_shows_zeros both"
	"break_flush off madvise_dontneed_shows_zeros both"
	"break_cow on fork_gpu_write_does_not_reach_the_child both"
	"break_cow off write_to_read_only_mapping_is_exception oracle"
)

reports()
{
	cat $parameters/oracle_reports
}

checks()
{
	cat $parameters/oracle_checks
}

# run_stress MODE: sets outcome to red or green, and says when it went red
run_stress()
{
	local out
	if out=$($stress --ops "$ops" --seed $seed --no-swap --xnack "$1" 2>&1); then
		outcome=green
	else
		outcome=red
		grep -E 'FAILED|reproduce|killed' <<<"$out"
	fi
}

echo "TAP version 13"
if [[ ! -r $parameters/oracle_reports ]]; then
	echo "1..0 # SKIP no oracle (needs the debug build)"
	exit 77
fi

for mode in on off; do
	before=$(reports) checked=$(checks)
	run_stress $mode
	[[ $outcome == green ]]
	report $? "whole, the stress is green with XNACK $mode (is $outcome)"
	(($(reports) == before && $(checks) > checked))
	report $? "and the oracle has nothing to say of $(($(checks) - checked)) accesses"
done
for line in "${mutants[@]}"; do
	read -r mutant mode case who <<<"$line"
	file=/sys/module/kfd_svm/parameters/$mutant
	before=$(reports)
	echo 1 >"$file"
	"$conformance" --filter "$case/xnack_$mode" --xnack "$mode" >/dev/null 2>&1
	(($(reports) > before))
	report $? "the oracle sees $mutant in $case/xnack_$mode ($(($(reports) - before)) reports)"
	[[ $who == oracle ]] || run_stress "$mode"
	echo 0 >"$file"
	[[ $who != oracle ]] || continue
	[[ $outcome == red ]]
	report $? "$mutant turns the stress red with XNACK $mode (is $outcome)"
done
tap_end
