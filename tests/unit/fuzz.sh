#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh PROGRAM CORPUS: as many inputs as take a second or two; with KFDSVM_LONG=1 for
# four minutes. New inputs that found something are kept out of the source tree.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "${KFDSVM_LONG:-0}" = 1 ]; then
	limit=-max_total_time=240
else
	limit=-runs=${KFDSVM_FUZZ_RUNS:-8000}
fi
mkdir "$work/new"
# Repeatable, as a default run has to be.
"$1" "$limit" -seed=1 -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
	-verbosity=1 -artifact_prefix="$PWD/" "$work/new" "$2" >"$work/log" 2>&1 || {
	tail -n 60 "$work/log"
	exit 1
}
tail -n 8 "$work/log" | sed 's/^/# /'
echo "ok 1 - ${1##*/}"
echo 1..1
