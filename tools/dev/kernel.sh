# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Kernels: Debian's packages unpacked in the cache, and a debug kernel built there.
#
# Each kernel is one directory with the layout of a root file system, to be laid over
# the Debian 13 root: boot/vmlinuz-*, usr/lib/modules/*, usr/src/*.  So paths inside
# a kernel tree do not depend on where the repository is.

DEBUG_CONFIG=$REPO/configs/debug-7.3.config
DEBUG_SRC=/usr/src/linux-source-7.3
DEBUG_OBJ=/usr/src/linux-debug-7.3

# newest_version PATTERN: the newest version of a kernel for which the archive has
# image, headers and kbuild.  The plain flavour only: no cloud, no rt.
newest_version()
{
	local versions version have
	have=$(in_root -- apt-cache pkgnames linux-)
	versions=$(grep -Ex "linux-headers-$1\+deb13(\.[0-9]+)?-amd64" <<<"$have" |
		sed 's/^linux-headers-//; s/-amd64$//' | sort -rV)
	for version in $versions; do
		grep -qx "linux-image-$version-amd64" <<<"$have" || continue
		grep -qx "linux-kbuild-$version" <<<"$have" || continue
		echo "$version"
		return
	done
	die "no kernel $1 in the archive"
}

# kernel_version NAME: asked once for each Debian root, whose package lists are fixed.
kernel_version()
{
	local file
	file=$CACHE/$(basename "$(root_dir)").$1
	if [[ ! -s $file ]]; then
		case $1 in
		stock-6.12) newest_version '6\.12\.[0-9]+' >"$file.$$" ;;
		stock-7.3) newest_version '7\.3\.[0-9]+' >"$file.$$" ;;
		debug-7.3)
			in_root -- apt-cache show linux-source-7.3 |
				awk '/^Version:/ { print $2; exit }' | tr '~+' '__' >"$file.$$"
			;;
		esac
		[[ -s $file.$$ ]] || die "cannot find the version of $1"
		mv "$file.$$" "$file"
	fi
	cat "$file"
}

# kernel_dir NAME|PATH
kernel_dir()
{
	local version
	if ! is_kernel_name "$1"; then
		echo "$1"
		return
	fi
	version=$(kernel_version "$1")
	case $1 in
	debug-*) echo "$CACHE/$1-$version-$(hash_of <"$DEBUG_CONFIG")" ;;
	*) echo "$CACHE/$1-$version" ;;
	esac
}

source_dir()
{
	echo "$CACHE/linux-source-$(kernel_version debug-7.3)"
}

# kernel_layers NAME|PATH: options of in_root that make the kernel's build tree visible.
kernel_layers()
{
	case $1 in
	stock-*) printf '%s\n' --layer "$(kernel_dir "$1")" ;;
	debug-*) printf '%s\n' --layer "$(kernel_dir "$1")" --bind "$(source_dir):$DEBUG_SRC" ;;
	*)
		printf '%s\n' --bind "$1:$1"
		# A tree built with O= names its source by an absolute path.
		[[ ! -L $1/source ]] ||
			printf '%s\n' --bind "$(readlink -f "$1/source"):$(readlink "$1/source")"
		;;
	esac
}

# kernel_build_dir NAME|PATH: the path, inside the root, to build modules against.
kernel_build_dir()
{
	case $1 in
	stock-*) echo "/usr/src/linux-headers-$(kernel_version "$1")-amd64" ;;
	debug-*) echo "$DEBUG_OBJ" ;;
	*) echo "$1" ;;
	esac
}

kernel_image()
{
	case $1 in
	stock-*) echo "$(kernel_dir "$1")/boot/vmlinuz-$(kernel_version "$1")-amd64" ;;
	debug-*) echo "$(kernel_dir "$1")$DEBUG_OBJ/arch/x86/boot/bzImage" ;;
	*) echo "$1/arch/x86/boot/bzImage" ;;
	esac
}

# Where the VM's /lib/modules comes from: holds one directory for each release.
kernel_modules_dir()
{
	if is_kernel_name "$1"; then
		echo "$(kernel_dir "$1")/usr/lib/modules"
	else
		echo "$CACHE/tree-$(hash_of <<<"$1")/usr/lib/modules"
	fi
}

# fetch_debs VERSIONED_PACKAGE...: into the current folder, with fresher lists if the
# archive has moved on.
fetch_script()
{
	cat <<'EOF'
set -e
cd /fetch
apt-get download "$@" || { apt-get update && apt-get download "$@"; }
EOF
}

unpack_debs()
{
	local dir=$1 deb
	shift
	mkdir -p "$dir/debs"
	in_root --bind "$dir/debs:/fetch" -- bash -c "$(fetch_script)" fetch "$@"
	for deb in "$dir"/debs/*.deb; do
		dpkg-deb -x "$deb" "$dir"
	done
	rm -rf "$dir/debs"
	# /lib is a link in the root below; a directory here would hide it.
	if [[ -d $dir/lib && ! -L $dir/lib ]]; then
		mkdir -p "$dir/usr/lib"
		cp -al "$dir/lib/." "$dir/usr/lib/"
		rm -rf "${dir:?}/lib"
	fi
}

make_stock()
{
	local name=$1 version=$2 dir=$3 packages
	packages=("linux-headers-$version-amd64" "linux-headers-$version-common"
		"linux-kbuild-$version")
	case $name in
	stock-6.12) packages+=("linux-image-$version-amd64") ;;
	*)
		packages+=("linux-base-$version-amd64" "linux-binary-$version-amd64"
			"linux-modules-$version-amd64")
		;;
	esac
	unpack_debs "$dir" "${packages[@]}"
	if [[ ! -e $dir/boot/vmlinuz-$version-amd64 ]]; then
		mkdir -p "$dir/boot"
		cp "$dir/usr/lib/modules/$version-amd64/vmlinuz" \
			"$dir/boot/vmlinuz-$version-amd64"
	fi
	# The VM loads these in every run, and unpacking them is slow there.
	find "$dir/usr/lib/modules/$version-amd64/kernel/drivers/gpu/drm" -maxdepth 1 \
		-name '*.ko.xz' -exec xz -d {} +
	in_root --layer "$dir" --bind "$dir/usr/lib/modules:/usr/lib/modules" -- \
		depmod "$version-amd64"
	[[ -s $dir/usr/lib/modules/$version-amd64/modules.dep ]]
}

make_source()
{
	local dir=$1
	unpack_debs "$dir.deb" linux-source-7.3
	mkdir "$dir"
	tar -C "$dir" --strip-components=1 -xf "$dir.deb"/usr/src/linux-source-7.3.tar.xz
	rm -rf "$dir.deb"
}

ensure_source()
{
	make_cache "$(source_dir)" say_step "unpack the kernel source" make_source
}

make_debug()
{
	local dir=$1
	mkdir -p "$dir$DEBUG_OBJ"
	in_root --bind "$(source_dir):$DEBUG_SRC" --bind "$dir$DEBUG_OBJ:$DEBUG_OBJ" \
		--bind "$dir:/kernel" -- \
		nice -n 10 bash "$REPO/tools/dev/build-debug" "$DEBUG_SRC" "$DEBUG_OBJ" \
		"$DEBUG_CONFIG" /kernel "$JOBS"
}

make_tree_modules()
{
	local tree=$1 dir=$2
	mkdir -p "$dir"
	in_root --bind "$tree:$tree" --bind "$dir:/kernel" -- bash -c \
		'make -s -C "$1" INSTALL_MOD_PATH=/kernel/usr modules_install' modules "$tree"
	mkdir -p "$dir/usr/lib/modules"
}

ensure_kernel()
{
	local name=$1 dir
	ensure_root
	dir=$(kernel_dir "$name")
	case $name in
	stock-*)
		make_cache "$dir" say_step "fetch kernel $name $(kernel_version "$name")" \
			make_stock "$name" "$(kernel_version "$name")"
		;;
	debug-*)
		[[ -d $dir ]] && return
		ensure_source
		make_cache "$dir" say_step "build kernel $name (about 10 minutes)" make_debug
		;;
	*)
		[[ -f $dir/Module.symvers && -f $(kernel_image "$dir") ]] ||
			die "$dir is not a built kernel tree"
		make_cache "$CACHE/tree-$(hash_of <<<"$name")" \
			say_step "collect the modules of $dir" make_tree_modules "$dir"
		;;
	esac
}

cmd_setup()
{
	local name
	(($#)) || set -- "${KERNELS[@]}"
	for name in "$@"; do
		is_kernel_name "$name" || die "no such kernel: $name"
		ensure_kernel "$name"
	done
}

cmd_chroot()
{
	local options=()
	while (($#)); do
		case $1 in
		--kernel)
			ensure_kernel "$2"
			mapfile -t options < <(kernel_layers "$2")
			shift 2
			;;
		--) shift; break ;;
		*) break ;;
		esac
	done
	(($#)) || set -- bash
	in_root "${options[@]}" -- "$@"
}
