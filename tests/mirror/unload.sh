#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM: unload.sh ROUNDS.  Kills test processes with faults in flight, at each
# step and at any time, and unloads the modules at once; hmm_mirror warns at unload of
# whatever it has lost.

set -eu
rounds=${1:-5}
tests=/usr/local/libexec/kfdsvm/hmm_mirror_tests
ko=/run/kfdsvm/ko
held=/tmp/hmm_mirror_held

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

refused()
{
	! rmmod "$1" 2>/dev/null || {
		echo "not ok - $1 was unloaded while it was in use"
		exit 1
	}
}

# kill_and_unload PID
kill_and_unload()
{
	refused hmm_mirror
	# Its cases, too: one that has just begun does not know its parent yet.
	while pkill -KILL -x hmm_mirror_test; do
		:
	done
	wait "$1" 2>/dev/null || :
	remove hmm_mirror_test
	remove hmm_mirror
	insmod "$ko/hmm_mirror.ko"
	insmod "$ko/hmm_mirror_test.ko"
}

# unload_at_step CASE
unload_at_step()
{
	local pid
	rm -f "$held"
	"$tests" --hold --filter "$1" >/tmp/held.out &
	pid=$!
	until [[ -e $held ]]; do
		if ! kill -0 "$pid" 2>/dev/null; then
			echo "not ok - $1 does not hold: $(cat /tmp/held.out)"
			exit 1
		fi
		sleep 0.05
	done
	refused hmm_mirror_test
	kill_and_unload "$pid"
	echo "# unloaded: $1"
}

# Others that use the mirror are in the way.
for other in amdgpu vamdgpu kfd_svm; do
	[[ ! -e /sys/module/$other ]] || rmmod "$other"
done
for name in $("$tests" --hold --list); do
	unload_at_step "$name"
done
for ((round = 1; round <= rounds; round++)); do
	# Cases in which a process that is killed is not held at a hook for long.
	for filter in 'threads_register*' 'register_while*' 'validity_is_exact*' 'request_*' \
		'queued_faults*'; do
		"$tests" --filter "$filter" >/dev/null &
		pid=$!
		sleep "0.$((RANDOM % 9 + 1))"
		kill_and_unload "$pid"
	done
done
"$tests" --filter registers_once_and_again
