#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM: unload.sh ROUNDS.  Kills test processes with faults in flight and
# unloads the modules at once; hmm_mirror warns at unload of whatever it has lost.

set -eu
rounds=${1:-5}
tests=/usr/local/libexec/kfdsvm/hmm_mirror_tests
ko=/run/kfdsvm/ko

remove()
{
	local try
	for try in {1..1600}; do
		! rmmod "$1" 2>/dev/null || return 0
		sleep 0.05
	done
	echo "not ok - $1 cannot be unloaded after $try tries: $(rmmod "$1" 2>&1)"
	return 1
}

# Others that use the mirror are in the way.
for other in amdgpu vamdgpu kfd_svm; do
	[[ ! -e /sys/module/$other ]] || rmmod "$other"
done
for ((round = 1; round <= rounds; round++)); do
	# Cases in which a process that is killed is not held at a hook for long.
	for filter in 'threads_register*' 'register_while*' 'validity_is_exact*' 'request_*' \
		'queued_faults*'; do
		"$tests" --filter "$filter" >/dev/null &
		pid=$!
		sleep "0.$((RANDOM % 9 + 1))"
		if rmmod hmm_mirror 2>/dev/null; then
			echo "not ok - hmm_mirror was unloaded while hmm_mirror_test used it"
			exit 1
		fi
		# Its cases, too: one that has just begun does not know its parent yet.
		while pkill -KILL -x hmm_mirror_test; do
			:
		done
		wait "$pid" 2>/dev/null || :
		remove hmm_mirror_test
		remove hmm_mirror
		insmod "$ko/hmm_mirror.ko"
		insmod "$ko/hmm_mirror_test.ko"
	done
done
"$tests" --filter registers_once_and_again
