#!/bin/bash
# SPDX-License-Identifier: MIT
# preload.sh [--check] PROGRAM LIBRARY: what libkfdsvm-preload.so costs a program that never
# uses a GPU, in instructions as valgrind counts them: the same in every run, on every
# machine. --check: fails above the bar. TAP on stdout; exit 77 without valgrind.
set -eu

BAR=200		# hundredths of a per cent
ROUNDS=100000

check=0
if [[ $1 == --check ]]; then
	check=1
	shift
fi
program=$1 library=$2
if [[ -z $(type -P valgrind) ]]; then
	echo "no valgrind"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# count PRELOAD ARGUMENT: instructions of the program.
count()
{
	# The library's report says that it was there; valgrind keeps the process id.
	LD_PRELOAD=$1 KFDSVM_RUN_REPORT=$dir/report bash -c \
		'export KFDSVM_RUN_PID=$$; exec valgrind --tool=callgrind \
		 --callgrind-out-file=/dev/null "$@"' count "$program" "$2" \
		>"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; return 1; }
	sed -nE 's/.*Collected *: *([0-9]+).*/\1/p' "$dir/err"
}

loaded()
{
	grep -qs "$(basename "$program").*nothing registered: no GPU queue" "$dir/report"
}

start_alone=$(count '' 0)
job_alone=$(count '' $ROUNDS)
if loaded; then
	echo "not ok 1 - the library is there where it should not be"
	exit 1
fi
start_with=$(count "$library" 0)
job_with=$(count "$library" $ROUNDS)
if ! loaded; then
	echo "not ok 1 - the library is not loaded"
	exit 1
fi
more=$(((job_with - job_alone) * 10000 / job_alone))
printf '# %-28s %12s %12s\n' '' alone 'with preload'
printf '# %-28s %12d %12d\n' 'program start, instructions' "$start_alone" "$start_with"
printf '# %-28s %12d %12d\n' 'malloc-heavy job' "$job_alone" "$job_with"
text=$(awk -v v=$more -v b=$BAR 'BEGIN { printf "%+.2f %% instructions, at most %.0f %%", v / 100, b / 100 }')
if ((!check || more <= BAR)); then
	echo "ok 1 - $text"
else
	echo "not ok 1 - $text"
	exit 1
fi
