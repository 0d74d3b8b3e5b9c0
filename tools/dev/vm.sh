# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The VM: QEMU without KVM, the Debian root over 9p, one command for each boot.

RUNNER=$REPO/tests/vm/runner
DISK_SIZE=512M
EXIT_LOG=99	# the kernel log, unloading or the leak check is not clean
EXIT_TIMEOUT=124
EXIT_EMULATOR=98	# the emulator failed, not what runs in it: try again

# Modules that the VM always needs, in load order: loading them from the initramfs is
# much faster than over 9p, where they are compressed.
boot_modules()
{
	local base=$1 name
	for name in 9pnet_virtio 9p overlay virtio_blk ext4; do
		awk -F: -v name="$name" '$1 ~ "/" name "\\.ko(\\.[a-z]+)?$" {
			n = split($2, deps, " ")
			for (i = n; i > 0; i--) print deps[i]
			print $1
		}' "$base/modules.dep"
	done | awk '!seen[$0]++'
}

# Runs in the Debian root: make_initramfs_in MODULES_DIR INIT OUT MODULE...
make_initramfs_in()
{
	local base=$1 init=$2 out=$3 dir file name
	shift 3
	dir=$(mktemp -d)
	mkdir -p "$dir/bin" "$dir/modules"
	cp /usr/bin/busybox "$dir/bin/"
	cp "$init" "$dir/init"
	for file in "$@"; do
		name=$(basename "$file")
		name=${name%.ko*}.ko
		case $file in
		*.xz) xz -dc "$base/$file" >"$dir/modules/$name" ;;
		*.zst) zstd -qdc "$base/$file" >"$dir/modules/$name" ;;
		*.gz) gzip -dc "$base/$file" >"$dir/modules/$name" ;;
		*) cp "$base/$file" "$dir/modules/$name" ;;
		esac
		echo "$name" >>"$dir/modules/order"
	done
	touch "$dir/modules/order"
	(cd "$dir" && find . | cpio -o -H newc --quiet) >"$out"
}

fill_initramfs()
{
	local kernel=$1 dir=$2 base release
	mkdir -p "$dir"
	base=$(kernel_modules_dir "$kernel")
	release=$(ls "$base")
	base=$base/$release
	local modules=()
	mapfile -t modules < <(boot_modules "$base")
	in_root -- bash -euc "$(declare -f make_initramfs_in)"'; make_initramfs_in "$@"' initramfs \
		"$base" "$RUNNER/initramfs-init" "$dir/initramfs.cpio" "${modules[@]}"
}

# initramfs_dir KERNEL
initramfs_dir()
{
	local key
	key=$({ kernel_dir "$1"; root_dir; cat "$RUNNER/initramfs-init"
		declare -f boot_modules make_initramfs_in; } | hash_of)
	echo "$CACHE/initramfs-$key"
}

make_disk()
{
	mkdir -p "$1"
	truncate -s "$DISK_SIZE" "$1/disk.img"
	in_root -- mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$1/disk.img"
}

megabytes()
{
	case $1 in
	*[Gg]) echo $((${1%?} * 1024)) ;;
	*[Mm]) echo "${1%?}" ;;
	*[!0-9]* | '') die "bad size: $1 (such as 512M)" ;;
	*) echo "$1" ;;
	esac
}

# The options of run and shell, as globals named vm_*.  Sets vm_used to how many
# arguments were options.
vm_defaults()
{
	vm_kernel=stock-7.3 vm_gpus='' vm_vram='' vm_xnack=1 vm_mem='' vm_smp=2 vm_append=''
	vm_timeout=1800 vm_params=() vm_dirs='' vm_build=1 vm_load=1 vm_allow='' vm_leaks=''
	vm_interactive=0 vm_label='' vm_qemu=() vm_env=() vm_userspace=1 vm_extra=() vm_icount=0 vm_gpu=1
	vm_machine='' vm_pmem_file='' vm_power_fail=0 vm_may_reset=0 vm_mutants=0
	vm_sets=('')
}

vm_option()
{
	case $1 in
	--no-build) vm_build=0; vm_used=1; return ;;
	--no-modules) vm_load=0; vm_used=1; return ;;
	--no-gpu) vm_gpu=0; vm_used=1; return ;;
	--no-leak-check) vm_leaks=0; vm_used=1; return ;;
	--power-fail) vm_power_fail=1; vm_used=1; return ;;
	--mutants) vm_mutants=1; vm_used=1; return ;;
	--icount) vm_icount=1 vm_smp=1; vm_used=1; return ;;
	esac
	(($# > 1)) || die "option $1 needs a value"
	vm_used=2
	case $1 in
	--kernel) vm_kernel=$2 ;;
	--gpus) vm_gpus=$2 ;;
	--vram) vm_vram=$(megabytes "$2") ;;
	--xnack) [[ $2 == [01] ]] || die "--xnack takes 0 or 1"; vm_xnack=$2 ;;
	--mem) vm_mem=$2 ;;
	--smp) vm_smp=$2 ;;
	--append) vm_append+=" $2" ;;
	--timeout) vm_timeout=$2 ;;
	--param) vm_params+=("$2") ;;
	--env) vm_env+=("$2") ;;
	--qemu) read -ra vm_qemu <<<"$2" ;;
	--load) mapfile -t -O "${#vm_extra[@]}" vm_extra < <(tr , '\n' <<<"$2") ;;
	--allow) vm_allow=$2 ;;
	--label) vm_label=$2 ;;
	--machine)
		[[ $2 == edu || $2 == iommu || $2 == pmem ]] || die "no such machine: $2"
		vm_machine=$2
		;;
	--pmem-file) vm_pmem_file=$(readlink -m "$2") ;;
	--only) vm_dirs=$(expand_dirs "$2") ;;
	*) die "unknown option: $1" ;;
	esac
}

vm_prepare()
{
	local key
	need_root_user
	need_host qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap
	if ! is_kernel_name "$vm_kernel"; then
		[[ -d $vm_kernel ]] || die "no such kernel: $vm_kernel"
		vm_kernel=$(readlink -f "$vm_kernel")
	fi
	ensure_kernel "$vm_kernel"
	if ((vm_build)); then
		((!vm_load)) || build_modules "$vm_kernel" "$vm_dirs" "$vm_mutants"
		((!vm_userspace)) || build_userspace_or_old
	fi
	vm_local=$(userspace_dir)
	key=$(modules_key "$vm_kernel" "$vm_dirs" "$vm_mutants")
	vm_ko=$BUILD/modules/$key/ko
	make_cache "$(initramfs_dir "$vm_kernel")" fill_initramfs "$vm_kernel"
	make_cache "$CACHE/disk-$DISK_SIZE" make_disk
	if [[ -z $vm_mem ]]; then
		vm_mem=6G
		! is_debug_kernel "$vm_kernel" || vm_mem=4G
	fi
}

# Folders of the host at their own paths; more than one when the current folder is
# neither in the repository nor above it.
vm_shares()
{
	vm_share_list=("repo:$REPO")
	case $REPO/ in
	"$PWD"/*) ;;
	*)
		case $PWD in
		/ | "$REPO"/* | /usr* | /etc* | /var | /dev* | /proc* | /sys* | /run | /tmp) ;;
		*) vm_share_list=("cwd:$PWD" "${vm_share_list[@]}") ;;
		esac
		;;
	esac
	[[ ! -d $vm_local/usr/local ]] || vm_share_list+=("local:$vm_local/usr/local")
}

# vm_write_set SHARE: what the options ask for of modules, for the guest (see guest-modules).
vm_write_set()
{
	local share=$1 name loaded=() params=()
	if ((vm_load)); then
		for name in "${MODULES[@]}"; do
			[[ -e $vm_ko/$name.ko ]] || continue
			((vm_gpu)) || [[ $name == hmm_mirror ]] || continue
			loaded+=("$name")
		done
		for name in "${vm_extra[@]}"; do
			[[ -e $vm_ko/$name.ko ]] || die "no module $name"
			loaded+=("$name")
		done
		for name in "${loaded[@]}"; do
			[[ -e $share/ko/$name.ko ]] || cp "$vm_ko/$name.ko" "$share/ko/"
		done
		params=("vamdgpu.noretry=$((!vm_xnack))")
		[[ -z $vm_gpus ]] || params+=("vamdgpu.gpus=$vm_gpus")
		[[ -z $vm_vram ]] || params+=("vamdgpu.vram_mb=$vm_vram")
		params+=("${vm_params[@]}")
	fi
	printf 'MODULES=(%s) PARAMS=(%s) SET_ENV=(%s)\n' \
		"${loaded[*]@Q}" "${params[*]@Q}" "KFDSVM_XNACK=$vm_xnack"
}

# vm_write_sets SHARE: each of vm_sets has options of its own on top of those of the boot,
# which begins with the first; the command changes to the others.
vm_write_sets()
{
	local share=$1 words number=0
	mkdir -p "$share/ko" "$share/sets"
	for words in "${vm_sets[@]}"; do
		number=$((number + 1))
		(
			# shellcheck disable=SC2086 # options are words
			set -- $words
			while (($#)); do
				vm_option "$@"
				shift "$vm_used"
			done
			vm_write_set "$share"
		) >"$share/sets/$number"
	done
}

# vm_write_run DIR CMD...: what the guest reads.
vm_write_run()
{
	local dir=$1 leaks=0
	shift
	local vm_guest_mounts=("${vm_share_list[@]/#local:*/local:/usr/local}")
	vm_write_sets "$dir/share"
	cp "$RUNNER/guest-main" "$RUNNER/guest-modules" "$dir/share/"
	[[ ! -e $vm_local/ld.so.cache ]] || cp "$vm_local/ld.so.cache" "$dir/share/"
	if [[ -n $(ls "$dir/share/ko") ]] && is_debug_kernel "$vm_kernel"; then
		leaks=1
	fi
	{
		local KERNEL=$vm_kernel CWD=$PWD COMMAND=("$@")
		local LEAK_CHECK=${vm_leaks:-$leaks}
		local INTERACTIVE=$vm_interactive SHARES=("${vm_guest_mounts[@]}")
		local ENVS=("KFDSVM_KERNEL=$vm_kernel" "KFDSVM_REPO=$REPO" "${vm_env[@]}")
		local SHELL_TERM=${TERM:-vt100} SHELL_SIZE=
		! [[ -t 0 ]] || SHELL_SIZE=$(stty size | awk '{ print "rows", $1, "cols", $2 }')
		declare -p KERNEL CWD COMMAND LEAK_CHECK INTERACTIVE SHARES ENVS SHELL_TERM \
			SHELL_SIZE
	} >"$dir/share/config"
}

share_9p()
{
	printf '%s\n' -fsdev "local,id=$1,path=${2//,/,,},security_model=none,readonly=on,multidevs=remap" \
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1"
}

# What --machine adds: options of QEMU in vm_machine_argv, of the kernel in
# vm_machine_append.  All are q35.
#   edu    QEMU's edu device, which reaches all memory
#   iommu  the same behind an IOMMU that unmaps at once
#   pmem   the edu device, /dev/pmem0 (512 MiB) and /dev/pmem1 (256 MiB), whose content
#          is kept in --pmem-file if given
vm_machine_setup()
{
	local ram base backend=memory-backend-ram
	vm_machine_argv=(-machine q35) vm_machine_append=''
	case $vm_machine in
	edu) vm_machine_argv+=(-device edu,dma_mask=0xffffffffffff) ;;
	iommu)
		# In front of all devices that are to be behind it.
		vm_machine_argv+=(-device intel-iommu,aw-bits=48
			-device edu,dma_mask=0xffffffffffff)
		vm_machine_append=' intel_iommu=on iommu.strict=1 iommu.passthrough=0'
		;;
	pmem)
		ram=$(megabytes "$vm_mem")
		((ram >= 4096)) || die "machine pmem needs --mem 4G or more"
		# q35 has 2 GiB of its memory below 4 GiB, the rest above; the last node
		# comes last.
		base=$((ram + 2048))
		[[ -z $vm_pmem_file ]] || backend=memory-backend-file,mem-path=${vm_pmem_file//,/,,},share=on
		vm_mem=$((ram + 768))M
		vm_machine_argv+=(-device edu,dma_mask=0xffffffffffff
			-object "memory-backend-ram,id=ram,size=${ram}M"
			-object "$backend,id=pmem,size=768M"
			-numa "node,nodeid=0,cpus=0-$((vm_smp - 1)),memdev=ram"
			-numa node,nodeid=1,memdev=pmem)
		vm_machine_append=" memmap=512M!${base}M,256M!$((base + 512))M"
		;;
	esac
}

# vm_qemu_command DIR LOG: the command in vm_argv.
vm_qemu_command()
{
	local dir=$1 log=$2 pair options=() port append
	append="console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off no_timer_check"
	# TCG is slow and the host may be busy: a stall is a stall only after a minute.
	append+=" tsc=reliable rcupdate.rcu_cpu_stall_timeout=60 watchdog_thresh=60"
	vm_machine_setup
	append+=" workqueue.watchdog_thresh=90$vm_machine_append$vm_append"
	cp --sparse=always "$CACHE/disk-$DISK_SIZE/disk.img" "$dir/disk.img"
	for pair in "root:$(root_dir)" "modules:$(kernel_modules_dir "$vm_kernel")" \
		"run:$dir/share" "${vm_share_list[@]}"; do
		mapfile -t -O "${#options[@]}" options < <(share_9p "${pair%%:*}" "${pair#*:}")
	done
	for port in out err status; do
		options+=(-chardev "file,id=$port,path=$dir/$port"
			-device "virtserialport,chardev=$port,name=kfdsvm.$port")
	done
	if ((vm_interactive)); then
		options+=(-chardev "stdio,id=tty,signal=off" -device "virtconsole,chardev=tty")
	fi
	# KVM is for who knows that it works here: KFDSVM_ACCEL=kvm.  A fifth page-table
	# level would only make TCG slower.
	local accel=${KFDSVM_ACCEL:-tcg,thread=multi}
	# The clock is the number of instructions, and jumps where the CPU would idle.
	if ((vm_icount)); then
		accel=tcg,thread=single
		options+=(-icount "shift=0,sleep=off")
	fi
	vm_argv=(qemu-system-x86_64 -name kfdsvm -nodefaults -no-user-config -display none
		-no-reboot "${vm_machine_argv[@]}" -accel "$accel" -cpu max,la57=off
		-smp "$vm_smp" -m "$vm_mem"
		-kernel "$(kernel_image "$vm_kernel")"
		-initrd "$(initramfs_dir "$vm_kernel")/initramfs.cpio"
		-append "$append"
		-chardev "file,id=console,path=$log" -serial chardev:console
		-device virtio-serial-pci
		-drive "file=$dir/disk.img,if=none,id=disk,format=raw,cache=unsafe"
		-device virtio-blk-pci,drive=disk
		"${options[@]}" "${vm_qemu[@]}")
}

# A VM takes a slot for each of its CPUs: where the host has fewer cores than the VMs have
# CPUs, each waits for locks and interrupts of CPUs that are not running, which takes several
# times as long.  The turn keeps two from holding half of what they need.  The locks end with
# the (sub)shell and QEMU.
vm_take_slots()
{
	local i fd turn told=0 slots=${KFDSVM_VMS:-$(nproc)} got=0 want=$vm_smp
	((want <= slots)) || want=$slots
	mkdir -p "$BUILD/lock"
	exec {turn}>"$BUILD/lock/vm-turn"
	flock -n "$turn" || { told=1; vm_waits; flock "$turn"; }
	while :; do
		for ((i = 1; i <= slots && got < want; i++)); do
			[[ -z ${vm_slots[i]:-} ]] || continue
			exec {fd}>"$BUILD/lock/vm-$i"
			if flock -n "$fd"; then
				vm_slots[i]=$fd got=$((got + 1))
			else
				exec {fd}>&-
			fi
		done
		((got < want)) || break
		((told)) || vm_waits
		told=1
		sleep 1
	done
	exec {turn}>&-
}

vm_waits()
{
	say "waiting: other VMs are running (KFDSVM_VMS changes how many CPUs they may have)"
}

vm_cleanup()
{
	[[ -z ${vm_pid:-} ]] || kill "$vm_pid" 2>/dev/null || :
	[[ -z ${vm_stty:-} ]] || stty "$vm_stty" 2>/dev/null || :
	[[ -z ${vm_dir:-} ]] || rm -rf "$vm_dir"
}

# vm_boot CMD...: run CMD in a new VM with the vm_* settings; returns the exit code.
# Runs in a subshell of its own so that its traps clean up.
vm_boot()
(
	local log name readers=() vm_slots=() rc=0
	mkdir -p "$BUILD/run" "$LOGS"
	find "$LOGS" -maxdepth 1 -name 'vm-*' -mtime +7 -delete
	name=$vm_kernel
	is_kernel_name "$name" || name=tree
	vm_dir=$(mktemp -d "$BUILD/run/$name.XXXXXX")
	trap vm_cleanup EXIT
	trap 'exit 130' INT TERM HUP
	((vm_interactive)) || vm_take_slots
	log=$LOGS/vm-$(date +%m%d-%H%M%S)-${vm_dir##*/}${vm_label:+-$vm_label}.log
	vm_shares
	vm_write_run "$vm_dir" "$@"
	# Fifos: QEMU would truncate a file that stdout is redirected to.
	mkfifo "$vm_dir/out" "$vm_dir/err"
	cat "$vm_dir/out" &
	readers+=($!)
	cat "$vm_dir/err" >&2 &
	readers+=($!)
	vm_qemu_command "$vm_dir" "$log"
	say "$vm_kernel: VM starts (log: ${log#"$REPO"/})"
	set +e
	if ((vm_interactive)); then
		vm_stty=$(stty -g)
		stty raw -echo
		# Without <&0 a background job gets /dev/null.
		"${vm_argv[@]}" <&0 2>"$vm_dir/qemu.err" &
		vm_pid=$!
		wait "$vm_pid"
		rc=$?
		stty "$vm_stty"
	else
		timeout --kill-after=5 "$vm_timeout" "${vm_argv[@]}" </dev/null 2>"$vm_dir/qemu.err" &
		vm_pid=$!
		wait "$vm_pid"
		rc=$?
	fi
	vm_pid=
	wait "${readers[@]}"
	set -e
	vm_verdict "$log" "$rc"
)

# vm_run CMD...: one boot; with --power-fail two, on the same persistent memory, with
# KFDSVM_BOOT=1 and 2.  In the first the command stops the machine (sysrq b), the second
# tells how it went.
vm_run()
(
	local dir rc
	if ((!vm_power_fail)); then
		vm_boot "$@"
		return
	fi
	mkdir -p "$BUILD/run"
	dir=$(mktemp -d "$BUILD/run/power.XXXXXX")
	trap 'rm -rf "$dir"' EXIT
	vm_pmem_file=$dir/pmem
	set +e
	(
		set -e
		vm_may_reset=1 vm_env+=(KFDSVM_BOOT=1)
		vm_boot "$@"
	) >&2
	rc=$?
	set -e
	((!rc)) || return "$rc"
	vm_env+=(KFDSVM_BOOT=2)
	vm_boot "$@"
)

# vm_verdict LOG QEMU_RC: the command's own failure comes first.
vm_verdict()
{
	local log=$1 qemu_rc=$2 code='' problems scan='' shown=${1#"$REPO"/}
	code=$(sed -n 's/^exit //p' "$vm_dir/status" 2>/dev/null | tail -1)
	problems=$(sed -n 's/^problem //p' "$vm_dir/status" 2>/dev/null)
	scan=$("$RUNNER/scan-log" "$log" "$vm_allow") || :
	if [[ -n $scan ]]; then
		say "the kernel log is not clean ($shown):"
		sed -n '1,20s/^/  | /p' <<<"$scan" >&2
	fi
	[[ -z $problems ]] || sed 's/^/  ! /' <<<"$problems" >&2
	if [[ -n $scan && ${KFDSVM_ACCEL:-tcg} == tcg* ]] && "$RUNNER/emulator-fault" "$log"; then
		say "QEMU ran code that is not there (see tests/vm/runner/emulator-fault)"
		return "$EXIT_EMULATOR"
	fi
	if ((qemu_rc == 124 || qemu_rc == 137)); then
		say "timeout: the VM was stopped after $vm_timeout s; log: $shown"
		return "$EXIT_TIMEOUT"
	fi
	if ((vm_may_reset)); then
		if [[ -z $code$scan$problems ]] && grep -aq 'sysrq: Resetting' "$log"; then
			return 0
		fi
		[[ -n $scan ]] || say "the command did not stop the machine; log: $shown"
		((code)) || code=$EXIT_LOG
		return "$code"
	fi
	if [[ -z $code ]]; then
		cat "$vm_dir/qemu.err" >&2
		tail -n 30 "$log" >&2
		say "the VM ended before the command did (QEMU: $qemu_rc); log: $shown"
		return "$EXIT_LOG"
	fi
	if [[ -n $scan || -n $problems ]]; then
		((code)) || code=$EXIT_LOG
		say "run failed with $code; log: $shown"
	fi
	return "$code"
}

cmd_run()
{
	vm_defaults
	while (($#)); do
		case $1 in
		--) shift; break ;;
		-*) vm_option "$@"; shift "$vm_used" ;;
		*) break ;;
		esac
	done
	(($#)) || die "run: no command"
	vm_prepare
	vm_run "$@"
}

cmd_shell()
{
	vm_defaults
	while (($#)); do
		vm_option "$@"
		shift "$vm_used"
	done
	vm_prepare
	if [[ -t 0 ]]; then
		vm_interactive=1
		vm_boot bash
	else
		vm_boot bash -c "$(cat)"
	fi
}
