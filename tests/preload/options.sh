#!/bin/bash
# SPDX-License-Identifier: MIT
# options.sh xnack-off|xnack-on: the options of `kfdsvm run`, what it reports, what it refuses.
# TAP on stdout.
set -u

P=/usr/local/libexec/kfdsvm
report=$(mktemp)
n=0 bad=0

# check WHAT CMD...
check()
{
	local what=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		bad=1
	fi
}

# code N CMD...: it ends with that.
code()
{
	local want=$1 got=0
	shift
	"$@" >/dev/null 2>&1 || got=$?
	((got == want)) || echo "# $* ends with $got"
	((got == want))
}

# reported PATTERN: the only line of the report.
reported()
{
	local line
	line=$(cat "$report")
	: >"$report"
	[[ $line == kfdsvm\ run:*$1* && $line != *$'\n'* ]] || echo "# the report is: $line"
	[[ $line == kfdsvm\ run:*$1* && $line != *$'\n'* ]]
}

plain()
{
	local out
	out=$(kfdsvm run --report="$report" "${options[@]}" -- "$@" 2>"$report.err")
	printf '%s\n' "$out" | sed 's/^/# /'
	[[ $out == *$'\n'1..* && $out != *'not ok'* ]]
}

policy()
{
	local out
	out=$(kfdsvm run "${options[@]}" -- "$P/preload_policy" | sort -u)
	[[ $out == "$1" ]] || echo "# $out"
	[[ $out == "$1" ]]
}

mib()
{
	sed -nE "s/.*$1 ([0-9]+) MiB.*/\1/p" "$report"
}

# A mapping of 40 MiB that does not fit: nothing of it is read in, and that is told.
capped()
{
	local out grown over
	options=(--max-resident=24M)
	kfdsvm run --report="$report" "${options[@]}" -- "$P/preload_large" >"$report.out" 2>"$report.err"
	grown=$(mib 'grew by') over=$(mib 'left out:')
	echo "# grown $grown MiB, left out $over MiB"
	: >"$report"
	((grown < 24 && over >= 39)) && grep -q 'the limit of 24 MiB' "$report.err"
}

options=()
check 'help' code 0 kfdsvm run --help
check 'no program' code 125 kfdsvm run
check 'bad size' code 125 kfdsvm run -m much true
check 'size and a blank' code 125 kfdsvm run -m '64 ' true
check 'bad granularity' code 125 kfdsvm run -g 5000 true
check 'no such program' code 127 kfdsvm run /nonexistent
check 'no program at all' code 126 kfdsvm run /etc/passwd
check 'exit code of the program' code 42 kfdsvm run -- sh -c 'exit 42'
check 'static program is refused' code 126 kfdsvm run /bin/busybox true
check 'set-user-ID program is refused' code 126 \
	setpriv --reuid nobody --regid nogroup --clear-groups kfdsvm run /bin/su
kfdsvm run --report="$report" true
check 'report of a program without a GPU' reported 'true[[]*[]]: nothing registered: no GPU queue'

if [[ $1 == xnack-off ]]; then
	check 'followed into programs that are started' \
		plain sh -c "$P/preload_plain before_malloc_small"
	options=(--no-follow)
	check 'not followed with --no-follow' \
		plain sh -c "$P/preload_plain --faults before_malloc_small; test -z \"\$LD_PRELOAD\""
	: >"$report"
	check 'the limit on resident memory holds' capped
	options=()
	kfdsvm run --report="$report" "$P/preload_policy" >/dev/null
	check 'report of a program with a GPU' reported '1 GPU, XNACK off, '
	options=()
	check 'no policy' policy 'preferred=-1 granularity=9 access=1'
	options=(--prefer=system --granularity=64K)
	check 'policy' policy 'preferred=0 granularity=4 access=1'
else
	kfdsvm run --report="$report" "$P/preload_policy" >/dev/null
	check 'report with XNACK on' reported 'nothing registered: XNACK is on'
	options=()
	check 'no policy' policy 'preferred=-1 granularity=9 access=1'
	options=(--prefer=gpu --granularity=64K)
	check 'policy' policy 'preferred=gpu granularity=4 access=1'
fi
rm -f "$report" "$report".*
echo "1..$n"
exit $bad
