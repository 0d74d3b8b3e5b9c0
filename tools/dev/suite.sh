# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# `./dev test`: lint, unit tests, and the lists in tests/vm/suites in the VM.

SUITES=$REPO/tests/vm/suites
EMULATOR_FAULTS=3	# of a group of lines: more are no accident

results_begin()
{
	passed=0 failed=0 skipped=0 failures=()
}

# result pass|fail|skip NAME [DETAIL] [PASSED FAILED SKIPPED]
result()
{
	local kind=$1 name=$2 detail=${3:-} word
	case $kind in
	pass) word='ok  ' ;;
	fail) word=FAIL; failures+=("$name${detail:+ ($detail)}") ;;
	skip) word=skip ;;
	esac
	if (($# > 3)); then
		passed=$((passed + $4)) failed=$((failed + $5)) skipped=$((skipped + $6))
	else
		case $kind in
		pass) passed=$((passed + 1)) ;;
		fail) failed=$((failed + 1)) ;;
		skip) skipped=$((skipped + 1)) ;;
		esac
	fi
	printf '%s %s%s\n' "$word" "$name" "${detail:+ ($detail)}"
}

results_end()
{
	local name
	if ((${#failures[@]})); then
		echo
		echo "failed:"
		for name in "${failures[@]}"; do
			echo "  $name"
		done
	fi
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	((failed == 0))
}

# tap_counts FILE: "OK NOT_OK SKIPPED" of the TAP lines in FILE.  cmocka writes a skipped
# test as "not ok N # SKIP".
tap_counts()
{
	awk '/^(not )?ok [0-9]+/ {
		if (toupper($0) ~ /# *SKIP/) skip++
		else if ($1 == "not") bad++
		else ok++
	} END { print ok + 0, bad + 0, skip + 0 }' "$1"
}

# judge NAME CODE OUTPUT SECONDS: one program's result from exit code and TAP lines.
judge()
{
	local name=$1 code=$2 output=$3 time=$4 ok bad skip
	read -r ok bad skip < <(tap_counts "$output")
	if ((code == 77 && ok + bad == 0)); then
		result skip "$name" "$(head -n 1 "$output")"
	elif ((code == 0 && ok + bad + skip == 0)); then
		result pass "$name" "$time s"
	elif ((code == 0 && bad == 0)); then
		result "$( ((ok)) && echo pass || echo skip)" "$name" \
			"$time s, $ok ok, $skip skipped" "$ok" 0 "$skip"
	else
		# A program that dies has one failure more than it could tell about.
		((bad)) || bad=1
		if grep -aq '^not ok' "$output"; then
			grep -a '^not ok' "$output" | grep -avi '# *skip' | head -n 20 | sed 's/^/  | /'
		else
			tail -n 20 "$output" | sed 's/^/  | /'
		fi
		case $code in
		124 | 137) code="$code, timeout" ;;
		esac
		result fail "$name" "$time s, exit $code, $ok ok, $bad failed, $skip skipped" \
			"$ok" "$bad" "$skip"
	fi
}

# --- unit tests

unit_in()
{
	local repo=$1 dir=$2 jobs=$3
	cmake -S "$repo" -B "$dir" -DCMAKE_BUILD_TYPE=Debug -DKFDSVM_UNIT_ONLY=ON \
		-DKFDSVM_SANITIZE=address,undefined -DKFDSVM_WERROR=ON
	cmake --build "$dir" -j "$jobs"
}

unit_list_in()
{
	ctest --test-dir "$1" --show-only=json-v1 |
		python3 -c 'import json, sys
for t in json.load(sys.stdin)["tests"]:
    if "command" in t:
        print(t["name"])'
}

unit_locked()
{
	local dir=$BUILD/unit log=$LOGS/unit-build.log name out rc start=$SECONDS names
	mkdir -p "$dir" "$LOGS"
	set +e
	in_root -- bash -euc "$(declare -f unit_in)"'; unit_in "$@"' unit \
		"$REPO" "$dir" "$JOBS" >"$log" 2>&1
	rc=$?
	set -e
	if ((rc)); then
		grep -E 'error|Error|undefined|\*\*\*' "$log" | head -n 40
		result fail "unit build" "$((SECONDS - start)) s, ${log#"$REPO"/}"
		results_save "$BUILD/results.$$"
		return
	fi
	result pass "unit build" "$((SECONDS - start)) s"
	names=$(in_root -- bash -euc "$(declare -f unit_list_in)"'; unit_list_in "$@"' unit "$dir")
	for name in $names; do
		out=$LOGS/unit-${name//[^A-Za-z0-9_.-]/_}.log
		start=$SECONDS
		set +e
		in_root --env CMOCKA_MESSAGE_OUTPUT=TAP --env ASAN_OPTIONS=detect_leaks=1 \
			--env UBSAN_OPTIONS=print_stacktrace=1 -- \
			ctest --test-dir "$dir" -R "^${name//./\\.}\$" --verbose --timeout 300 \
			>"$out.ctest" 2>&1
		rc=$?
		set -e
		sed -nE 's/^[0-9]+: ?//p' "$out.ctest" >"$out"
		if grep -q 'Skipped' "$out.ctest" && ((rc == 0)); then
			rc=77
		fi
		judge "unit $name" "$rc" "$out" "$((SECONDS - start))"
	done
	results_save "$BUILD/results.$$"
}

# What a subshell has counted comes back through a file.
results_save()
{
	printf 'more=(%d %d %d) more_failures=(%s)\n' \
		"$passed" "$failed" "$skipped" "${failures[*]@Q}" >"$1"
}

# results_add FILE: no file, no result: that is a failure.
results_add()
{
	local more=(0 1 0) more_failures=("no results in ${1##*/}")
	# shellcheck source=/dev/null
	[[ ! -e $1 ]] || . "$1"
	passed=$((passed + more[0])) failed=$((failed + more[1])) skipped=$((skipped + more[2]))
	failures+=("${more_failures[@]}")
}

unit_locked_alone()
{
	results_begin
	unit_locked
}

unit_all()
{
	ensure_root
	with_lock unit unit_locked_alone
	results_add "$BUILD/results.$$"
	rm -f "$BUILD/results.$$"
}

cmd_unit()
{
	results_begin
	unit_all
	results_end
}

# --- VM tests
#
# A line of tests/vm/suites/*.list:  NAME | KERNELS | OPTIONS | COMMAND
# KERNELS: all, stock, or names.  OPTIONS: words quick, long, icount, nogpu, mutants (see
# tests/mutants) and powerfail (see --power-fail; a boot of its own), and load= xnack= gpus=
# vram= mem= smp= machine= append= param=MODULE.NAME=VALUE allow=REGEX timeout=SECONDS (of
# this line).

trim()
{
	local text=$1
	text=${text#"${text%%[![:space:]]*}"}
	printf '%s\n' "${text%"${text##*[![:space:]]}"}"
}

kernel_matches()
{
	local word
	for word in ${2//,/ }; do
		case $word in
		all | "$1") return 0 ;;
		stock | debug) [[ $1 != "$word"-* ]] || return 0 ;;
		esac
	done
	return 1
}

name_matches()
{
	local pattern
	((${#test_names[@]})) || return 0
	for pattern in "${test_names[@]}"; do
		# shellcheck disable=SC2053 # a pattern is meant
		[[ $1 == $pattern ]] && return 0
	done
	return 1
}

# suite_lines KERNEL MODE: "NAME<tab>TIMEOUT<tab>BOOT_OPTIONS<tab>COMMAND" of what is to run.
suite_lines()
{
	local kernel=$1 mode=$2 name kernels options command word boot timeout quick long
	cat "$SUITES"/*.list 2>/dev/null | while IFS='|' read -r name kernels options command; do
		name=$(trim "$name")
		[[ -n $name && $name != \#* ]] || continue
		command=$(trim "$command")
		[[ -n $command ]] || die "suite line $name has no command"
		kernel_matches "$kernel" "$kernels" || continue
		name_matches "$name" || continue
		boot='' timeout=300 quick=0 long=0
		for word in $options; do
			case $word in
			quick) quick=1 ;;
			long) long=1 ;;
			powerfail) boot+=" --power-fail --label $name" ;;
			icount) boot+=" --icount" ;;
			nogpu) boot+=" --no-gpu" ;;
			mutants) boot+=" --mutants" ;;
			timeout=*) timeout=${word#*=} ;;
			load=* | xnack=* | gpus=* | vram=* | mem=* | smp=* | machine=* | \
				append=* | param=* | allow=*)
				boot+=" --${word%%=*} ${word#*=}"
				;;
			*) die "suite line $name: unknown option $word" ;;
			esac
		done
		[[ $mode != quick ]] || ((quick)) || continue
		((!long)) || [[ $mode == long ]] || ((${#test_names[@]})) || continue
		printf '%s\t%s\t%s\t%s\n' "$name" "$timeout" "${boot:- }" "$command"
	done
}

# run_group KERNEL BOOT_OPTIONS FILE: the lines of FILE in one boot; a line that takes the
# VM down has failed, and a new boot goes on with the next.
run_group()
{
	local kernel=$1 boot=$2 file=$3 first=1 total count again=0
	total=$(wc -l <"$file")
	while ((first <= total)); do
		run_boot "$kernel" "$boot" "$file" "$first"
		first=$((first + count))
	done
}

# run_boot KERNEL BOOT FILE FIRST: sets `count` of its caller to how many lines are done;
# `again` is how often the emulator failed for the caller, who may repeat a line.
run_boot()
{
	local kernel=$1 boot=$2 file=$3 first=$4 dir rc i name timeout rest start code time
	local budget=180 lines
	dir=$(mktemp -d "$BUILD/run/suite.XXXXXX")
	lines=$(($(wc -l <"$file") - first + 1))
	sed -n "$first,\$p" "$file" >"$dir/lines"
	while IFS=$'\t' read -r name timeout rest; do
		budget=$((budget + timeout))
	done <"$dir/lines"
	vm_defaults
	# shellcheck disable=SC2086 # options are words
	set -- --kernel "$kernel" --timeout "$budget" $boot
	while (($#)); do
		vm_option "$@"
		shift "$vm_used"
	done
	# Built once before the tests; what is tested does not change under way.
	vm_build=0
	set +e
	(
		set -e
		vm_prepare
		vm_run bash "$REPO/tests/vm/guest-suite.sh" "$dir/lines"
	) >"$dir/out" 2>"$dir/err"
	rc=$?
	set -e
	cat "$dir/out" "$dir/err" >"$LOGS/suite-$kernel-$(date +%m%d-%H%M%S)-${dir##*.}.log"
	count=0
	for ((i = 1; i <= lines; i++)); do
		IFS=$'\t' read -r name timeout rest < <(sed -n "${i}p" "$dir/lines")
		grep -aqx "@@@ begin $i" "$dir/out" || break
		count=$i
		suite_section "$i" "$dir/out" >"$dir/one"
		read -r code time < <(sed -n "s/^@@@ end $i //p" "$dir/out") || :
		if [[ -z ${code:-} ]] && ((rc == EXIT_EMULATOR && again < EMULATOR_FAULTS)); then
			count=$((i - 1))
			break
		fi
		if [[ -z ${code:-} ]]; then
			echo "the VM went down" >>"$dir/one"
			judge "$kernel $name" "$rc" "$dir/one" '?'
			break
		fi
		if ((code != 0 && code != 77)); then
			suite_section "$i" "$dir/err" | tail -n 15 | sed 's/^/  e /'
		fi
		judge "$kernel $name" "$code" "$dir/one" "$time"
		code=
	done
	if ((rc)); then
		grep -aE '^(\[dev |  \||  !)' "$dir/err" | grep -av 'VM starts' | head -n 30 || :
	fi
	if ((rc == EXIT_EMULATOR && again < EMULATOR_FAULTS)); then
		again=$((again + 1))
		echo "the emulator failed, not the kernel: going on from line $((first + count)) of $kernel"
	elif ((count == 0)); then
		IFS=$'\t' read -r name rest <"$dir/lines"
		tail -n 15 "$dir/err" | sed 's/^/  e /'
		result fail "$kernel $name" "the VM did not get to it"
		count=1
	elif ((rc == EXIT_LOG && count == lines)) && grep -aqx '@@@ done' "$dir/out"; then
		result fail "$kernel kernel log" "$(boot_name "$dir/lines")"
	fi
	rm -rf "$dir"
}

# suite_section NUMBER FILE: what a line wrote, between the marks of guest-suite.sh.
suite_section()
{
	sed -n "/^@@@ begin $1\$/,/^@@@ end $1 /p" "$2" | sed -E '/^@@@ /d' | cat -s
}

boot_name()
{
	cut -f1 "$1" | paste -sd ' ' | cut -c1-80
}

# vm_jobs DIR MODE KERNEL...: lines with equal options share a boot, and each boot is a job:
# DIR/jobs names them in the order to run, DIR/N.lines holds the lines of one.
vm_jobs()
{
	local dir=$1 mode=$2 kernel name timeout boot command n=0
	local -A job
	shift 2
	: >"$dir/jobs"
	for kernel; do
		job=()
		while IFS=$'\t' read -r name timeout boot command; do
			if [[ -z ${job[$boot]:-} ]]; then
				job[$boot]=$((++n))
				printf '%d\t%s\t%s\n' "$n" "$kernel" "$boot" >>"$dir/jobs"
			fi
			printf '%s\t%s\t%s\n' "$name" "$timeout" "$command" \
				>>"$dir/${job[$boot]}.lines"
		done < <(suite_lines "$kernel" "$mode")
	done
}

# Takes the next job off DIR/jobs; fails when there is none.
next_job()
{
	local dir=$1
	(
		flock 9
		[[ -s $dir/jobs ]] || exit 1
		head -n 1 "$dir/jobs"
		sed -i 1d "$dir/jobs"
	) 9>"$dir/jobs.lock"
}

# vm_worker DIR NUMBER: runs jobs until none is left; what one has to say comes in one piece.
vm_worker()
{
	local dir=$1 number=$2 line n kernel boot
	results_begin
	while line=$(next_job "$dir"); do
		IFS=$'\t' read -r n kernel boot <<<"$line"
		run_group "$kernel" "$boot" "$dir/$n.lines" >"$dir/$n.out"
		flock "$dir/out.lock" cat "$dir/$n.out"
	done
	results_save "$dir/worker.$number"
}

# Most tests keep one core busy, so there are as many workers as slots for VMs.  The slowest
# kernel comes first, so that the last jobs are short ones.
vm_tests()
{
	local mode=$1 dir workers=${KFDSVM_VMS:-$(nproc)} i pids=()
	shift
	mkdir -p "$BUILD/run"
	dir=$(mktemp -d "$BUILD/run/jobs.XXXXXX")
	vm_jobs "$dir" "$mode" $(printf '%s\n' "$@" | sort)
	for ((i = 1; i <= workers; i++)); do
		vm_worker "$dir" "$i" &
		pids+=($!)
	done
	for ((i = 1; i <= workers; i++)); do
		wait "${pids[i - 1]}" || :
		results_add "$dir/worker.$i"
	done
	rm -rf "$dir"
}

cmd_test()
{
	local mode=normal kernel start=$SECONDS kernels=("${KERNELS[@]}") lints=() name
	test_names=()
	while (($#)); do
		case $1 in
		--quick) mode=quick; kernels=(stock-7.3) ;;
		--long) mode=long ;;
		--kernel) kernels=("$2"); shift ;;
		-*) die "test: bad option $1" ;;
		*) test_names+=("$1") ;;
		esac
		shift
	done
	ensure_root
	results_begin
	if [[ $mode != quick ]]; then
		for name in "${LINTS[@]}"; do
			name_matches lint || name_matches "$name" || continue
			lints+=("$name")
		done
		lint_all "${lints[@]}"
	fi
	! name_matches unit || unit_all
	package_tests "$mode"
	test_vm_part
	say "tests took $((SECONDS - start)) s"
	results_end
}

test_vm_part()
{
	local needed=() built=()
	for kernel in "${kernels[@]}"; do
		[[ -z $(suite_lines "$kernel" "$mode") ]] || needed+=("$kernel")
	done
	((${#needed[@]})) || return 0
	if ! build_for_tests userspace build_userspace; then
		return 0
	fi
	for kernel in "${needed[@]}"; do
		build_for_tests "modules for $kernel" build_modules "$kernel" || continue
		if [[ $(suite_lines "$kernel" "$mode" | cut -f3) == *--mutants* ]]; then
			build_for_tests "mutants for $kernel" build_modules "$kernel" '' 1 || :
		fi
		built+=("$kernel")
	done
	vm_tests "$mode" "${built[@]}"
}

build_for_tests()
{
	local what=$1 rc log=$LOGS/build-for-tests.log
	shift
	set +e
	(
		set -e
		"$@"
	) >"$log" 2>&1
	rc=$?
	set -e
	if ((rc)); then
		head -n 40 "$log"
		result fail "build $what"
	fi
	return "$rc"
}

# --- the others

cmd_demo()
{
	vm_defaults
	while (($#)); do
		vm_option "$@"
		shift "$vm_used"
	done
	vm_prepare
	[[ -x $vm_local/usr/local/bin/kfdsvm-demo ]] || die "demo: kfdsvm-demo is not built"
	vm_boot kfdsvm-demo
}
