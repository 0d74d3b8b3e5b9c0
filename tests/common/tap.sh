# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# TAP out of a script: sourced, and ended with tap_end.

number=0
failed=0

# report CODE NAME: passed if CODE is 0.
report()
{
	number=$((number + 1))
	if (($1 == 0)); then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failed=$((failed + 1))
	fi
}

# skip NAME WHY
skip()
{
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# The plan, and the script's exit code.
tap_end()
{
	echo "1..$number"
	((failed == 0))
}
