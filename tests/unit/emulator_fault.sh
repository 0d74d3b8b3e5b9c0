#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What tests/vm/runner/emulator-fault takes for a fault of the emulator, and what not.

set -u

script=$(dirname "$0")/../vm/runner/emulator-fault
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
number=0
failed=0

# expect RC NAME, the log on stdin
expect()
{
	local want=$1 name=$2 got=0
	cat >"$dir/log"
	"$script" "$dir/log" >"$dir/out" 2>&1 || got=$?
	number=$((number + 1))
	if ((got == want)) && [[ ! -s $dir/out ]]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name (exit $got, $(head -c 100 "$dir/out"))"
		failed=1
	fi
}

expect 0 gone_breakpoint <<'LOG'
[    1.328462] clocksource: Switched to clocksource tsc-early
[    2.053019] Oops: int3: 0000 [#1] SMP NOPTI
[    2.053987] RIP: 0010:sched_clock_tick+0x5/0xd0
[    2.054358] Code: 90 90 90 0f 1f 40 d6 66 <90> c3 cc cc cc cc 0f 1f 44 00
[    2.061096] Code: 20 d0 c3 cc cc <c3> cc
LOG
expect 1 breakpoint_of_the_kernel <<'LOG'
[    2.053019] Oops: int3: 0000 [#1] SMP NOPTI
[    2.054358] Code: 90 90 90 0f 1f 40 d6 cc <90> c3 cc cc cc cc 0f 1f 44 00
LOG
expect 1 something_before <<'LOG'
[    1.000000] WARNING: CPU: 0 PID: 1 at mm/memory.c:1 f+0x1/0x2
[    2.053019] Oops: int3: 0000 [#1] SMP NOPTI
[    2.054358] Code: 90 90 90 0f 1f 40 d6 66 <90> c3
LOG
expect 1 other_oops <<'LOG'
[    2.053019] Oops: invalid opcode: 0000 [#1] SMP NOPTI
[    2.054358] Code: 90 90 90 0f 1f 40 d6 66 <90> c3
LOG
expect 1 no_code_line <<'LOG'
[    2.053019] Oops: int3: 0000 [#1] SMP NOPTI
LOG
expect 1 clean_log <<'LOG'
[    2.053019] all is well
LOG

echo "1..$number"
exit "$failed"
