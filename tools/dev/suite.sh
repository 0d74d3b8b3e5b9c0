# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# `./dev test`: lint, unit tests, and the lists in tests/vm/suites in the VM.

SUITES=$REPO/tests/vm/suites
EMULATOR_FAULTS=3	# of a group of lines: more are no accident
RELOAD_TIMEOUT=60	# seconds for a change of modules within a boot

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
# KERNELS: all, stock, or names.  OPTIONS are words:
#
# quick, long, timeout=SECONDS	of this line
# smp= mem= machine= append= allow=REGEX icount, mutants (see tests/mutants), powerfail (see
#	--power-fail; a boot of its own): the machine.  Lines of one machine share a boot
# load= xnack= gpus= vram= param=MODULE.NAME=VALUE nogpu, fresh: the modules.  Where they are
#	not those of the line before, they are loaded anew in the same boot.  Lines of one
#	boot are sorted by them.  fresh is for a line that itself loads and unloads modules,
#	or breaks them: the next line does not get what it leaves
#
# A line has one CPU unless it says smp=2, which is for what is about races: a VM with two
# has the host to itself.

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

# suite_lines KERNEL MODE: "NAME<tab>TIMEOUT<tab>MACHINE<tab>MODULES<tab>COMMAND" of what is
# to run; MACHINE and MODULES are options of `./dev run`.
suite_lines()
{
	local kernel=$1 mode=$2 name kernels options command word machine modules timeout quick
	local long smp
	cat "$SUITES"/*.list 2>/dev/null | while IFS='|' read -r name kernels options command; do
		name=$(trim "$name")
		[[ -n $name && $name != \#* ]] || continue
		command=$(trim "$command")
		[[ -n $command ]] || die "suite line $name has no command"
		kernel_matches "$kernel" "$kernels" || continue
		name_matches "$name" || continue
		machine='' modules='' timeout=300 quick=0 long=0 smp=1
		for word in $options; do
			case $word in
			quick) quick=1 ;;
			long) long=1 ;;
			powerfail) machine+=" --power-fail --label $name" ;;
			icount) machine+=" --icount" ;;
			mutants) machine+=" --mutants" ;;
			nogpu) modules+=" --no-gpu" ;;
			# No other set has this name.
			fresh) modules+=" --label $name" ;;
			timeout=*) timeout=${word#*=} ;;
			smp=*) smp=${word#*=} ;;
			mem=* | machine=* | append=* | allow=*)
				machine+=" --${word%%=*} ${word#*=}"
				;;
			load=* | xnack=* | gpus=* | vram=* | param=*)
				modules+=" --${word%%=*} ${word#*=}"
				;;
			*) die "suite line $name: unknown option $word" ;;
			esac
		done
		[[ $mode != quick ]] || ((quick)) || continue
		((!long)) || [[ $mode == long ]] || ((${#test_names[@]})) || continue
		printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$timeout" "--smp $smp$machine" \
			"${modules:- }" "$command"
	done
}

# run_group KERNEL MACHINE FILE: the lines of FILE, "NAME<tab>TIMEOUT<tab>MODULES<tab>COMMAND",
# in one boot; a line that takes the VM down has failed, and a new boot goes on with the next.
run_group()
{
	local kernel=$1 machine=$2 file=$3 first=1 total count again=0
	total=$(wc -l <"$file")
	while ((first <= total)); do
		run_boot "$kernel" "$machine" "$file" "$first"
		first=$((first + count))
	done
}

# boot_lines FILE FIRST: what guest-suite.sh is to read on standard output; sets vm_sets to
# what the numbers in it stand for, and `budget` of its caller.
boot_lines()
{
	local name timeout modules command
	local -A number=()
	vm_sets=()
	while IFS=$'\t' read -r name timeout modules command; do
		budget=$((budget + timeout))
		if [[ -z ${number[$modules]:-} ]]; then
			vm_sets+=("$modules")
			number[$modules]=${#vm_sets[@]}
			budget=$((budget + RELOAD_TIMEOUT))
		fi
		printf '%s\t%s\t%s\t%s\n' "$name" "$timeout" "${number[$modules]}" "$command"
	done < <(sed -n "$2,\$p" "$1")
}

# run_boot KERNEL MACHINE FILE FIRST: sets `count` of its caller to how many lines are done;
# `again` is how often the emulator failed for the caller, who may repeat a line.
run_boot()
{
	local kernel=$1 machine=$2 file=$3 first=$4 dir rc i name timeout rest code time down=0
	local budget=180 lines
	dir=$(mktemp -d "$BUILD/run/suite.XXXXXX")
	vm_defaults
	boot_lines "$file" "$first" >"$dir/lines"
	lines=$(wc -l <"$dir/lines")
	# shellcheck disable=SC2086 # options are words
	set -- --kernel "$kernel" --timeout "$budget" $machine
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
			down=1
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
	elif ((rc && !down)); then
		result fail "$kernel kernel log" "exit $rc, $(boot_name "$dir/lines")"
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

# by_modules FILE: its lines with those next to each other that want the same modules, in
# the order of the first of each.
by_modules()
{
	awk -F '\t' '!($3 in first) { first[$3] = NR } { print first[$3] "\t" $0 }' "$1" |
		sort -s -n -k 1,1 | cut -f 2-
}

# vm_jobs DIR MODE KERNEL...: lines of one machine share a boot, and each boot is a job:
# DIR/jobs names them in the order to run, DIR/N.lines holds the lines of one.  Jobs with two
# CPUs come first, then long ones, so that the last are short: the debug kernel takes several
# times as long for a line.
vm_jobs()
{
	local dir=$1 mode=$2 kernel name timeout machine rest n=0 i weight
	local -A job
	shift 2
	: >"$dir/jobs"
	for kernel; do
		job=()
		while IFS=$'\t' read -r name timeout machine rest; do
			if [[ -z ${job[$machine]:-} ]]; then
				job[$machine]=$((++n))
				printf '%d\t%s\t%s\n' "$n" "$kernel" "$machine" >>"$dir/jobs"
			fi
			printf '%s\t%s\t%s\n' "$name" "$timeout" "$rest" \
				>>"$dir/${job[$machine]}.lines"
		done < <(suite_lines "$kernel" "$mode")
	done
	while IFS=$'\t' read -r i kernel machine; do
		by_modules "$dir/$i.lines" >"$dir/sorted"
		mv "$dir/sorted" "$dir/$i.lines"
		weight=$(wc -l <"$dir/$i.lines")
		! is_debug_kernel "$kernel" || weight=$((weight * 3))
		printf '%d\t%d\t%s\t%s\n' "$weight" "$i" "$kernel" "$machine"
	done <"$dir/jobs" | LC_ALL=C sort -s -t $'\t' -k 4.1,4.7r -k 1,1nr | cut -f 2- >"$dir/order"
	mv "$dir/order" "$dir/jobs"
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
	local dir=$1 number=$2 line n kernel machine
	results_begin
	while line=$(next_job "$dir"); do
		IFS=$'\t' read -r n kernel machine <<<"$line"
		run_group "$kernel" "$machine" "$dir/$n.lines" >"$dir/$n.out"
		flock "$dir/out.lock" cat "$dir/$n.out"
	done
	results_save "$dir/worker.$number"
}

# As many workers as slots for VMs; a VM takes one for each of its CPUs.
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
