# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Checks that need no VM.  Each is one result of `./dev test`.

LINTS=(build-stock-6.12 build-stock-7.3 build-debug-7.3 sparse checkpatch kernel-doc layering spdx)
SPARSE_KERNEL=stock-7.3

# The modules as `./dev modules` builds them, but no warning passes, of modpost either.
lint_build()
{
	build_modules "$1"
	! grep -E '^WARNING|: warning:' "$BUILD/modules/$1/build.log"
}

sparse_locked()
{
	local base=$BUILD/modules/sparse log=$BUILD/modules/sparse/build.log
	mkdir -p "$base"
	copy_sources "$base/src"
	compile_modules "$SPARSE_KERNEL" "$base/src" C=2 CF=-Wno-declaration-after-statement \
		>"$log" 2>&1 || { tail -n 40 "$log"; return 1; }
	# The kernel's own headers are not ours to mend.
	! grep -E '^(mm|drivers|include)/[^:]*:[0-9]+:[0-9]+: (warning|error)' "$log" | sort -u
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
	build-*) lint_build "${1#build-}" ;;
	sparse) lint_sparse ;;
	checkpatch | kernel-doc) lint_in_root "$1" ;;
	layering) "$REPO/tools/check-layering" ;;
	spdx) "$REPO/tools/check-spdx" ;;
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
