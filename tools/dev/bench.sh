# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# `./dev bench`: the HMM mirror beside the kernel's own walk (hmm), and SVM beside the kernel's
# own migration (svm), in VMs. What is compared is counted in instructions, on one CPU: it is
# the same in every run on every machine. What needs two CPUs is a run of its own, in wall
# time, and no condition of anything.

BENCHES=(hmm svm)
BENCH_MEM=3G
# Coherent memory for kernels without DEVICE_PRIVATE: RAM that the kernel leaves alone.
# 5 GiB of memory in a q35 end at 6 GiB.
BENCH_SVM_MEM=5G
BENCH_SVM_RESERVED='256M$0x140000000'

# bench_program NAME: where its program is in the VM.
bench_program()
{
	printf '/usr/local/libexec/kfdsvm/%s_bench\n' "$1"
}

# bench_vm NAME ARGUMENT...: one run of the program with the vm_* settings.
bench_vm()
{
	local program
	program=$(bench_program "$1")
	shift
	vm_boot "$program" "$@"
}

# bench_options NAME KERNEL [VM_OPTION]...: the vm_* settings of a benchmark.
bench_options()
{
	local name=$1
	vm_defaults
	vm_kernel=$2
	shift 2
	while (($#)); do
		vm_option "$@"
		shift "$vm_used"
	done
	case $name in
	hmm)
		vm_dirs=$(expand_dirs mm,tests/module/bench)
		vm_extra+=(hmm_mirror_bench)
		vm_mem=${vm_mem:-$BENCH_MEM}
		;;
	svm)
		vm_extra+=(hmm_mirror_bench kfd_svm_bench)
		vm_mem=${vm_mem:-$BENCH_SVM_MEM}
		vm_option --append "memmap=$BENCH_SVM_RESERVED"
		vm_option --param "kfd_svm_bench.reserved=$BENCH_SVM_RESERVED"
		vm_option --param hmm_mirror.huge=1
		;;
	esac
}

# bench_one NAME KERNEL CHECK KIND [VM_OPTION]...
bench_one()
{
	local name=$1 kernel=$2 check=$3 kind=$4 arguments=() rc=0
	shift 4
	bench_options "$name" "$kernel" "$@"
	vm_prepare
	# Not again for the second run.
	vm_build=0
	[[ -x $vm_local$(bench_program "$name") ]] ||
		die "bench: ${name}_bench is not built"

	printf '%s, %s: counted instructions, one CPU\n' "$name" "$kernel"
	[[ $name != hmm || -z $kind ]] || arguments+=(--kind "$kind")
	arguments+=(--bars "$REPO/tests/bench/$name.bars")
	((!check)) || arguments+=(--check)
	vm_icount=1 vm_smp=1
	bench_vm "$name" "${arguments[@]}" || rc=$?
	if [[ $name == hmm ]] && ((!check && !rc)); then
		printf '\n%s, %s: wall time, two CPUs\n' "$name" "$kernel"
		vm_icount=0 vm_smp=2
		bench_vm "$name" churn || rc=$?
	fi
	echo
	return "$rc"
}

# bench_preload CHECK: the preload in a program that uses no GPU; needs no VM.
bench_preload()
{
	local check=$1 dir arguments=()
	build_userspace
	dir=$(userspace_dir)/usr/local
	((!check)) || arguments=(--check)
	in_root -- bash "$REPO/tests/bench/preload.sh" "${arguments[@]}" \
		"$dir/libexec/kfdsvm/preload_churn" "$dir/lib/kfdsvm/libkfdsvm-preload.so"
}

cmd_bench()
{
	local kernels=(stock-6.12 stock-7.3) names=() check=0 kind='' kernel name options=()
	local failed=0
	while (($#)); do
		case $1 in
		hmm | svm | preload) names+=("$1"); shift ;;
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
	((${#names[@]})) || names=("${BENCHES[@]}")
	for name in "${names[@]}"; do
		if [[ $name == preload ]]; then
			set +e
			(
				set -e
				bench_preload "$check"
			)
			(($? == 0)) || failed=1
			set -e
			continue
		fi
		for kernel in "${kernels[@]}"; do
			# Not in a condition: there the shell ignores -e inside.
			set +e
			(
				set -e
				bench_one "$name" "$kernel" "$check" "$kind" "${options[@]}"
			)
			(($? == 0)) || failed=1
			set -e
		done
	done
	return "$failed"
}
