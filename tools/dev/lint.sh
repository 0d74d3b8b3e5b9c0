# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Checks that need no VM.  Each is one result of `./dev test`.

LINTS=(build-stock-6.12 build-stock-7.3 build-debug-7.3 sparse checkpatch kernel-doc layering spdx package)
# Debian 13's sparse is too old for the headers of 7.3: it fails on MODULE_LICENSE() and,
# after an error, gives no warning.
SPARSE_KERNEL=stock-6.12
SPARSE_FLAGS=-Wno-declaration-after-statement

# sparse does not know __cleanup: it takes a guard(spinlock) for a lock never released.
# drop_guards: from its warnings, leave out the imbalance of functions that use a guard.
drop_guards()
{
	local line file name
	while IFS= read -r line; do
		file=${line%%:*}
		name=$(sed -nE "s/.*context imbalance in '([A-Za-z0-9_]+)'.*/\1/p" <<<"$line")
		if [[ -n $name ]] && awk -v name="$name" '
			$0 ~ "^[a-z].*[ *]" name "\\(" || $0 ~ "^" name "\\(" { inside = 1 }
			inside && /guard\(/ { found = 1 }
			/^}/ { inside = 0 }
			END { exit !found }' "$REPO/$file"; then
			continue
		fi
		printf '%s\n' "$line"
	done
}

sparse_locked()
{
	local base=$BUILD/modules/sparse log=$BUILD/modules/sparse/build.log found
	mkdir -p "$base"
	copy_sources "$base/src"
	# One at a time: two at once write into each other's lines.
	JOBS=1 compile_modules "$SPARSE_KERNEL" "$base/src" C=2 CHECK="sparse $SPARSE_FLAGS" \
		>"$log" 2>&1 || { tail -n 40 "$log"; return 1; }
	grep -q '^  CHECK ' "$log" || { echo "sparse did not run"; head -n 20 "$log"; return 1; }
	# The kernel's own headers are not ours to mend.
	found=$(grep -E '^(\./)?(mm|drivers|include)/[^:]*:[0-9]+:[0-9]+: (warning|error)' "$log" |
		sort -u | drop_guards) || :
	[[ -z $found ]] || { printf '%s\n' "$found"; return 1; }
}

lint_sparse()
{
	ensure_kernel "$SPARSE_KERNEL"
	with_lock sparse sparse_locked
}

lint_in_root()
{
	ensure_source
	(
		cd "$REPO"
		in_root --bind "$(source_dir):$DEBUG_SRC" -- \
			bash tools/dev/lint-in-root "$1" "$DEBUG_SRC"
	)
}

run_lint()
{
	case $1 in
	build-*) build_modules "${1#build-}" ;;
	sparse) lint_sparse ;;
	checkpatch | kernel-doc) lint_in_root "$1" ;;
	layering) "$REPO/tools/check-layering" ;;
	spdx) "$REPO/tools/check-spdx" ;;
	package) package_lint ;;
	*) die "no such check: $1 (${LINTS[*]})" ;;
	esac
}

# lint_all NAME...: results through `result` of suite.sh
lint_all()
{
	local name rc log start
	mkdir -p "$LOGS"
	for name in "$@"; do
		log=$LOGS/lint-$name.log
		start=$SECONDS
		set +e
		(
			set -e
			run_lint "$name"
		) >"$log" 2>&1
		rc=$?
		set -e
		if ((rc)); then
			head -n 40 "$log"
			result fail "lint $name" "$((SECONDS - start)) s, $(wc -l <"$log") lines in ${log#"$REPO"/}"
		else
			result pass "lint $name" "$((SECONDS - start)) s"
		fi
	done
}

cmd_lint()
{
	(($#)) || set -- "${LINTS[@]}"
	ensure_root
	results_begin
	lint_all "$@"
	results_end
}
