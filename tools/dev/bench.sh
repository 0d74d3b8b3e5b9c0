# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# `./dev bench hmm`: the HMM mirror beside the kernel's own walk, in VMs. What is compared
# is counted in instructions, on one CPU: it is the same in every run on every machine. What
# needs two CPUs is a run of its own, in wall time, and no condition of anything.

BENCH_MEM=3G
BENCH_PROGRAM=/usr/local/libexec/kfdsvm/hmm_bench

# bench_vm ARGUMENT...: one run of the program with the vm_* settings.
bench_vm()
{
	vm_boot "$BENCH_PROGRAM" "$@"
}

# bench_hmm KERNEL CHECK KIND [VM_OPTION]...
bench_hmm()
{
	local kernel=$1 check=$2 kind=$3 arguments=() rc=0
	shift 3
	vm_defaults
	while (($#)); do
		vm_option "$@"
		shift "$vm_used"
	done
	vm_kernel=$kernel
	vm_dirs=$(expand_dirs mm,tests/module/bench)
	vm_extra+=(hmm_mirror_bench)
	vm_mem=${vm_mem:-$BENCH_MEM}
	vm_prepare
	# Not again for the second run.
	vm_build=0
	[[ -x $vm_local$BENCH_PROGRAM ]] ||
		die "bench: hmm_bench is not built"

	printf '%s: counted instructions, one CPU\n' "$kernel"
	[[ -z $kind ]] || arguments+=(--kind "$kind")
	arguments+=(--bars "$REPO/tests/bench/hmm.bars")
	((!check)) || arguments+=(--check)
	vm_icount=1 vm_smp=1
	bench_vm "${arguments[@]}" || rc=$?
	if ((!check && !rc)); then
		printf '\n%s: wall time, two CPUs\n' "$kernel"
		vm_icount=0 vm_smp=2
		bench_vm churn || rc=$?
	fi
	echo
	return "$rc"
}

cmd_bench()
{
	local kernels=(stock-6.12 stock-7.3) check=0 kind='' kernel options=() failed=0
	while (($#)); do
		case $1 in
		hmm) shift ;;
		--check) check=1; shift ;;
		--kernel) (($# > 1)) || die "--kernel needs a value"; kernels=("$2"); shift 2 ;;
		--kind) (($# > 1)) || die "--kind needs a value"; kind=$2; shift 2 ;;
		-*)
			vm_option "$@"
			options+=("${@:1:vm_used}")
			shift "$vm_used"
			;;
		*) die "no such benchmark: $1" ;;
		esac
	done
	for kernel in "${kernels[@]}"; do
		# Not in a condition: there the shell ignores -e inside.
		set +e
		(
			set -e
			bench_hmm "$kernel" "$check" "$kind" "${options[@]}"
		)
		(($? == 0)) || failed=1
		set -e
	done
	return "$failed"
}
