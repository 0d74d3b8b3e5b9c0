#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM, debug build: with the look at the sequence left out, the case of an
# invalidation that came and went must fail, and pass again with it.

set -u
tests=/usr/local/libexec/kfdsvm/hmm_mirror_tests
name='invalidation_that_came_and_went_is_seen'
parameter=/sys/module/hmm_mirror/parameters/break_seq_check

echo Y >$parameter || exit 1
if "$tests" --filter $name >/tmp/mutant; then
	echo "not ok 1 - $name passes with break_seq_check"
	exit 1
fi
# For its reason, not for another.
if ! grep -q 'tries' /tmp/mutant; then
	cat /tmp/mutant
	exit 1
fi
echo N >$parameter
"$tests" --filter $name
