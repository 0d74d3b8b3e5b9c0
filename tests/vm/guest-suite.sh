#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM: guest-suite.sh FILE.  Each line of FILE is NAME<tab>TIMEOUT<tab>COMMAND;
# the marks tell the host where the output of a line begins and how it ended.

set -u
export CMOCKA_MESSAGE_OUTPUT=TAP

# Starts a line whatever the command wrote last.
mark()
{
	printf '\n@@@ %s\n' "$1"
	printf '\n@@@ %s\n' "$1" >&2
}

i=0
while IFS=$'\t' read -r name timeout command <&3; do
	i=$((i + 1))
	echo "kfdsvm: test $name" >/dev/kmsg
	mark "begin $i"
	start=$SECONDS
	timeout --kill-after=5 "$timeout" bash -c "$command" 3<&-
	code=$?
	mark "end $i $code $((SECONDS - start))"
done 3<"$1"
mark done
