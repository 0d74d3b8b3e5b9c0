#!/bin/bash
# SPDX-License-Identifier: MIT
# test_cli_options.sh KFDSVM: options of the commands, good and bad, and output that cannot
# be written. No GPU is needed: where there is one, commands have more to say, no other
# exit codes for these.

set -u
kfdsvm=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
echo '[]' >"$tmp/trace"

wrong()
{
	echo "kfdsvm $1"
	failed=1
}

# code WANTED ARGUMENT...
code()
{
	local wanted=$1 got
	shift
	"$kfdsvm" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	((got == wanted)) || wrong "$*: exits with $got, not $wanted"
}

for options in "nonsense" "info --nonsense" "info x" "doctor a b" "top x" "top -n 0" \
	"top -n -1" "top -n 1x" "top -d 0" "top -d x" "top -d nan" "report" "report a b" ""; do
	# shellcheck disable=SC2086 # words
	code 2 $options
	[[ -s $tmp/err && ! -s $tmp/out ]] || wrong "$options: does not say so on stderr"
done
for options in "trace" "trace -l 0 true" "trace -l x true" "trace --nonsense true" \
	"trace -o /nonexistent/file true"; do
	# shellcheck disable=SC2086 # words
	code 125 $options
	[[ -s $tmp/err && ! -s $tmp/out ]] || wrong "$options: does not say so on stderr"
done
for size in "64 " " 64" "64KM" "64k " M "64@"; do
	code 125 run -m "$size" true
done
for command in "" info doctor top trace report; do
	# shellcheck disable=SC2086 # may be none
	code 0 $command --help
	grep -q '^usage:' "$tmp/out" && grep -q '^exit status:' "$tmp/out" ||
		wrong "$command --help"
	# shellcheck disable=SC2086
	code 0 $command --version
	grep -q '^kfdsvm [0-9]' "$tmp/out" || wrong "$command --version"
done
code 3 report /nonexistent
code 3 report "$tmp"
code 0 report "$tmp/trace"
for command in "info" "info --json" "doctor" "doctor --json" "report $tmp/trace" \
	"report --json $tmp/trace" "--help" "top --help"; do
	# shellcheck disable=SC2086 # words
	"$kfdsvm" $command >/dev/full 2>"$tmp/err"
	(($? == 3)) && grep -q 'cannot write: No space' "$tmp/err" ||
		wrong "$command: output that cannot be written"
done
exit $failed
