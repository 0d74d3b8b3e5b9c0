#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM: guest-suite.sh FILE.  Each line of FILE is NAME<tab>TIMEOUT<tab>SET<tab>COMMAND;
# the marks tell the host where the output of a line begins and how it ended.  SET is the
# number of the modules that the line wants: where it changes, they are loaded anew.

set -u
export CMOCKA_MESSAGE_OUTPUT=TAP
# shellcheck source=tests/vm/runner/guest-modules
. /run/kfdsvm/guest-modules

# Starts a line whatever the command wrote last.
mark()
{
	printf '\n@@@ %s\n' "$1"
	printf '\n@@@ %s\n' "$1" >&2
}

problem()
{
	echo "kfdsvm: problem: $*" >/dev/kmsg
	echo "not ok 1 - $*"
	problems=${problems:+$problems; }$*
}

# find_processes: in `processes` those that are neither of the kernel, nor ending, nor in `ours`.
find_processes()
{
	local dir stat fields
	processes=()
	for dir in /proc/[0-9]*; do
		[[ -z ${ours[${dir##*/}]:-} ]] || continue
		stat=''
		{ read -r -d '' stat <"$dir/stat"; } 2>/dev/null
		# The name may have spaces and parentheses of its own.
		read -ra fields <<<"${stat##*) }"
		[[ -n $stat && ${fields[0]} != [ZX] ]] || continue
		# PF_KTHREAD
		((fields[6] & 0x200000)) || processes+=("${dir##*/}")
	done
}

# As guest-main's `kill -KILL -1`, but for the suite and what carries its output. Neither a
# session nor a process group of their own saves those whom a line has left behind.
kill_left_behind()
{
	local try pid name names=''
	for try in {1..50}; do
		find_processes
		((${#processes[@]})) || return 0
		kill -KILL "${processes[@]}" 2>/dev/null
		sleep 0.1
	done
	for pid in "${processes[@]}"; do
		{ name=$(<"/proc/$pid/comm"); } 2>/dev/null && names+=" $name($pid)"
	done
	problem "processes that cannot be killed:$names"
	return 1
}

# Settings of the kernel that some tests change for good.
settings=(
	/sys/kernel/mm/transparent_hugepage/{enabled,defrag,shmem_enabled}
	/sys/kernel/mm/transparent_hugepage/hugepages-*kB/{enabled,shmem_enabled}
	/sys/kernel/mm/transparent_hugepage/khugepaged/{scan_sleep_millisecs,pages_to_scan,max_ptes_none}
	/sys/kernel/mm/ksm/{run,pages_to_scan,sleep_millisecs}
	/sys/kernel/mm/hugepages/hugepages-*kB/nr_hugepages
	/sys/kernel/debug/sched/numa_balancing/scan_{delay_ms,period_min_ms,period_max_ms}
	/proc/sys/kernel/numa_balancing
	/proc/sys/vm/compaction_proactiveness
)

# get_setting FILE: its value in `value`, which of several is the one in brackets.
get_setting()
{
	value=''
	[[ -e $1 ]] && { read -r value <"$1"; } 2>/dev/null || return 1
	[[ $value != *\[*\]* ]] || { value=${value#*\[}; value=${value%%\]*}; }
}

restore_settings()
{
	local file value
	swapoff -a || problem "cannot switch swap off"
	for file in "${!setting[@]}"; do
		get_setting "$file" || continue
		[[ $value != "${setting[$file]}" ]] || continue
		echo "${setting[$file]}" >"$file" || problem "cannot restore $file"
	done
	[[ -z $problems ]]
}

# change_set NUMBER: a failure is one of all lines that want this set.
change_set()
{
	problems='' wanted=$1
	echo "kfdsvm: module set $1: $(<"$run/sets/$1")" >/dev/kmsg
	kill_left_behind && restore_settings && unload_set && load_set "$1" || return
	export "${SET_ENV[@]}"
}

# watch SECONDS: stops the machine when a line that cannot be killed would hold all others.
watch()
{
	(
		exec 3<&-
		read -r -t "$1" -u "$never"
		echo "kfdsvm: problem: the test cannot be killed" >/dev/kmsg
		echo w >/proc/sysrq-trigger
		echo c >/proc/sysrq-trigger
	) &
	watch=$!
}

exec {never}<> <(:)
declare -A ours=() setting=()
find_processes
for pid in "${processes[@]}"; do
	ours[$pid]=1
done
for file in "${settings[@]}"; do
	! get_setting "$file" || setting[$file]=$value
done
i=0 problems='' wanted=$(<"$loaded")
while IFS=$'\t' read -r name timeout set command <&3; do
	i=$((i + 1))
	echo "kfdsvm: test $name" >/dev/kmsg
	mark "begin $i"
	if [[ $set != "$wanted" ]]; then
		change_set "$set"
	elif [[ -n $problems ]]; then
		echo "not ok 1 - as before: $problems"
	fi
	if [[ -n $problems ]]; then
		mark "end $i 1 0"
		continue
	fi
	start=$SECONDS
	watch $((timeout + 30))
	timeout --kill-after=5 "$timeout" bash -c "$command" 3<&- {never}<&-
	code=$?
	kill "$watch" && wait "$watch" 2>/dev/null
	mark "end $i $code $((SECONDS - start))"
done 3<"$1"
mark "done"
