# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Kernel modules: built from a copy of the sources, one for each kernel, so that the
# tree stays clean and the kernels do not disturb each other.

MODULE_SOURCES=(Kbuild include mm drivers tests/module)
MODULE_TREE=/usr/src/kfdsvm	# where the copy is seen inside the root

# modules_key KERNEL DIRS MUTANTS: a folder name; a partial build and the one with the
# mutants have folders of their own.
modules_key()
{
	local name=$1
	is_kernel_name "$name" || name=tree-$(hash_of <<<"$name")
	[[ -z $2 ]] || name+=+$(tr -cs 'A-Za-z0-9\n' - <<<"$2")
	((!$3)) || name+=+mutants
	echo "$name"
}

# expand_dirs "mm,amdkfd": short names of the folders of the root Kbuild.
expand_dirs()
{
	local dir out=()
	for dir in ${1//,/ }; do
		case $dir in
		mm | mm/) out+=(mm/) ;;
		amdkfd) out+=(drivers/gpu/drm/amd/amdkfd/) ;;
		vamdgpu) out+=(drivers/gpu/drm/amd/vamdgpu/) ;;
		companion) out+=(drivers/gpu/drm/amd/vamdgpu/amdgpu_companion/) ;;
		*)
			[[ -f $REPO/$dir/Kbuild ]] || die "no Kbuild in folder $dir"
			out+=("${dir%/}/")
			;;
		esac
	done
	echo "${out[*]}"
}

copy_sources()
{
	local to=$1 source pattern protect=() sources=()
	for pattern in '*.o' '*.ko' '*.a' '*.mod' '*.mod.c' '.*' Module.symvers modules.order; do
		protect+=(--filter "P $pattern" --filter "H $pattern")
	done
	mkdir -p "$to"
	for source in "${MODULE_SOURCES[@]}"; do
		# From the dot on paths are kept.
		[[ ! -e $REPO/$source ]] || sources+=("$REPO/./$source")
	done
	in_root -- rsync -aR --delete "${protect[@]}" "${sources[@]}" "$to/"
}

# mutate_sources TREE: apply tests/mutants/*.patch. What a patch changed is built anew, and
# once more when a later build leaves the patch out: rsync restores the old times.
mutate_sources()
{
	local tree=$1 patch
	touch "$tree/.mutated"
	(cd "$tree" && xargs -r touch -c <.mutated)
	: >"$tree/.mutated"
	for patch in "$REPO"/tests/mutants/*.patch; do
		sed -n 's|^+++ b/||p' "$patch" >>"$tree/.mutated"
		in_root -- patch -d "$tree" -p1 -s --no-backup-if-mismatch -i "$patch" ||
			die "mutant ${patch##*/} does not apply any more"
	done
}

# compile_modules KERNEL TREE [MAKE_ARGUMENT]...: output with paths of the repository.
compile_modules()
{
	local kernel=$1 tree=$2 options make=() rc
	shift 2
	mapfile -t options < <(kernel_layers "$kernel")
	make=(make -k -C "$(kernel_build_dir "$kernel")" M="$MODULE_TREE" -j "$JOBS"
		KFDSVM_WERROR=1 KFDSVM_TESTS=1 CONFIG_DEBUG_INFO_BTF_MODULES= "$@")
	if is_debug_kernel "$kernel"; then
		make+=(KFDSVM_DEBUG=1)
	fi
	set +e
	in_root "${options[@]}" --bind "$tree:$MODULE_TREE" -- "${make[@]}" modules 2>&1 |
		sed -e "s|$MODULE_TREE/||g"
	rc=${PIPESTATUS[0]}
	set -e
	return "$rc"
}

# A kernel with lockdep gets the modules' own expensive checks, too.
is_debug_kernel()
{
	case $1 in
	stock-*) return 1 ;;
	debug-*) return 0 ;;
	*) grep -q '^CONFIG_PROVE_LOCKING=y' "$1/.config" 2>/dev/null ;;
	esac
}

modules_locked()
{
	local kernel=$1 dirs=$2 mutants=$3 base=$4 log=$4/build.log name file rc start=$SECONDS
	local words=(W=1)
	mkdir -p "$base"
	copy_sources "$base/src"
	[[ -z $dirs ]] || words+=("KFDSVM_DIRS=$dirs")
	if ((mutants)); then
		mutate_sources "$base/src"
		words+=(KFDSVM_DEBUG=1 KFDSVM_TESTS=)
	fi
	set +e
	(
		set -e
		compile_modules "$kernel" "$base/src" "${words[@]}"
	) >"$log" 2>&1
	rc=$?
	set -e
	if grep -qE '^WARNING|: warning:' "$log"; then
		# Warnings of modpost: it must run again next time, or they would be lost.
		rm -f "$base/src/Module.symvers"
		rc=1
	fi
	if ((rc)); then
		grep -vE '^(make\[|make: (Ent|Leav)|  (CC|LD|AR|MODPOST|CHECK))' "$log" >&2 || :
		die "modules for $kernel do not build (whole log: ${log#"$REPO"/})"
	fi
	# Only complete builds are ever loaded.
	rm -rf "$base/new"
	mkdir "$base/new"
	for name in "${MODULES[@]}" "${TEST_MODULES[@]}"; do
		while IFS= read -r file; do
			cp "$file" "$base/new/"
		done < <(find "$base/src" -name "$name.ko")
	done
	rm -rf "$base/ko"
	mv "$base/new" "$base/ko"
	say "modules for $kernel: $(cd "$base/ko" && echo *.ko), $((SECONDS - start)) s"
}

# build_modules KERNEL [DIRS [MUTANTS]]
build_modules()
{
	local key
	ensure_kernel "$1"
	key=$(modules_key "$1" "${2:-}" "${3:-0}")
	with_lock "modules-$key" modules_locked "$1" "${2:-}" "${3:-0}" "$BUILD/modules/$key"
}

cmd_modules()
{
	local dirs='' kernel kernels=()
	while (($#)); do
		case $1 in
		--only) dirs=$(expand_dirs "$2"); shift ;;
		-*) die "modules: bad option $1" ;;
		*) kernels+=("$1") ;;
		esac
		shift
	done
	((${#kernels[@]})) || kernels=("${KERNELS[@]}")
	for kernel in "${kernels[@]}"; do
		is_kernel_name "$kernel" || kernel=$(readlink -f "$kernel")
		build_modules "$kernel" "$dirs"
	done
}
