# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Library, tools and tests: built by CMake in the Debian 13 root, installed into a folder
# named after its content, so that a build does not disturb a VM that is running.

userspace_base()
{
	echo "$BUILD/userspace/$(basename "$(root_dir)")"
}

# userspace_dir: what the VM gets as /usr/local (usr/local) and /etc/ld.so.cache.
userspace_dir()
{
	readlink -f "$(userspace_base)/current" || :
}

# Runs in the Debian root: userspace_build_in REPO BASE JOBS
userspace_build_in()
{
	local repo=$1 base=$2 jobs=$3 hash
	cmake -S "$repo" -B "$base/obj" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_INSTALL_LIBDIR=lib \
		-DKFDSVM_WERROR=ON
	cmake --build "$base/obj" -j "$jobs"
	rm -rf "$base/new"
	mkdir -p "$base/new/usr/local/lib"
	DESTDIR=$base/new cmake --install "$base/obj" >/dev/null
	mount --bind "$base/new/usr/local" /usr/local
	# The examples are built as any program is: against what is installed.
	if [[ -e $repo/userspace/libsvm/examples/CMakeLists.txt ]]; then
		cmake -S "$repo/userspace/libsvm/examples" -B "$base/obj-examples" \
			-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS=-Werror
		cmake --build "$base/obj-examples" -j "$jobs"
		cmake --install "$base/obj-examples" >/dev/null
	fi
	ldconfig -C "$base/new/ld.so.cache"
	umount /usr/local
	hash=$(cd "$base/new" && find . \( -type f -o -type l \) -print0 | sort -z |
		xargs -0r sha256sum | sha256sum | cut -c1-12)
	if [[ ! -d $base/tree-$hash ]]; then
		mv "$base/new" "$base/tree-$hash"
	fi
	rm -rf "$base/new"
	ln -sfn "tree-$hash" "$base/current"
	# A VM may still use an old one.
	find "$base" -maxdepth 1 -name 'tree-*' -mmin +1500 ! -name "tree-$hash" \
		-exec rm -rf {} +
}

userspace_locked()
{
	local base=$1 start=$SECONDS
	mkdir -p "$base"
	set +e
	(
		set -e
		in_root -- bash -euc "$(declare -f userspace_build_in)"'; userspace_build_in "$@"' \
			userspace "$REPO" "$base" "$JOBS"
	) >"$base/build.log" 2>&1
	local rc=$?
	set -e
	if ((rc)); then
		grep -E 'error|warning|Error|undefined|\*\*\*' "$base/build.log" | head -n 40 >&2
		say "the userspace does not build (whole log: ${base#"$REPO"/}/build.log)"
		return 1
	fi
	((SECONDS - start < 2)) || say "userspace built in $((SECONDS - start)) s"
}

build_userspace()
{
	local base
	ensure_root
	base=$(userspace_base)
	with_lock userspace userspace_locked "$base"
}

# For `run`: work on the kernel side goes on while the userspace is being changed.
build_userspace_or_old()
{
	local rc
	set +e
	(
		set -e
		build_userspace
	)
	rc=$?
	set -e
	((rc == 0)) || say "NOTE: the run uses the userspace as it was last built, if ever"
}

cmd_userspace()
{
	build_userspace
	userspace_dir
}

cmd_build()
{
	local kernel
	(($#)) || set -- "${KERNELS[@]}"
	build_userspace
	for kernel in "$@"; do
		build_modules "$kernel"
	done
}
