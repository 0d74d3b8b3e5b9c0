# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Debian packages: built, looked at and installed in roots of their own, one for each
# purpose and suite, none of which has anything that its purpose does not name.
#
#	build	what debian/control says a build needs, and nothing else
#	check	lintian and other judges
#	install	a machine before our packages, and an archive of what they need

PACKAGE_SUITES=(trixie sid)
DEBIAN=$REPO/packaging/debian

# package_field NAME: a field of the source stanza, comments left out.
package_field()
{
	awk -v name="$1:" '
		/^#/ { next }
		/^$/ { exit }
		/^[^ \t]/ { on = ($1 == name); sub(/^[^:]*:/, "") }
		on { print }' "$DEBIAN/control" | tr '\n' ' '
}

# Names of Build-Depends, versions and profiles left out.
package_build_depends()
{
	package_field Build-Depends | tr ',' '\n' |
		sed -E 's/\([^)]*\)//; s/<[^>]*>//g; s/\[[^]]*\]//; s/\|.*//; s/[[:space:]]//g' |
		sed '/^$/d; s/^debhelper-compat$/debhelper/'
}

# package_names KIND SUITE: what the root of that kind is made of.
package_names()
{
	case $1 in
	build) package_build_depends ;;
	*)
		awk -v kind="$1" -v suite="$2" '$1 == kind && ($3 == "" || $3 == suite) { print $2 }' \
			"$REPO/packaging/check-packages"
		;;
	esac
}

package_archive()
{
	local uris main security
	uris=$(debian_uris)
	main=$(sed -n 1p <<<"$uris")
	security=$(sed -n 2p <<<"$uris")
	[[ -n $main ]] || die "apt-get indextargets shows no Debian archive (set KFDSVM_MIRROR=URL)"
	if [[ $1 == sid ]]; then
		# A mirror that is a snapshot of sid expires within a week; a root that is
		# thrown away may be old. Its signature is checked all the same.
		printf 'deb [check-valid-until=no] %s sid main\n' "$main"
		return
	fi
	printf 'deb %s %s main\n' "$main" "$1"
	printf 'deb %s %s-updates main\n' "$main" "$1"
	[[ -z $security ]] || printf 'deb %s %s-security main\n' "$security" "$1"
}

# package_root KIND SUITE: sid is made anew each week.
package_root()
{
	local key week=
	[[ $2 != sid ]] || week=$(date +-%G%V)
	key=$({ package_names "$1" "$2"; [[ $1 != install ]] || package_names fetch "$2"; } | hash_of)
	printf '%s/package-%s-%s-%s\n' "$CACHE" "$1" "$2" "$key$week"
}

make_package_root()
{
	local kind=$1 suite=$2 dir=$3 variant=minbase sources hooks=() fetch
	sources=$(package_archive "$suite")
	[[ $kind != build ]] || variant=buildd
	if [[ $kind == install ]]; then
		fetch=$(package_names fetch "$suite" | xargs)
		hooks=(--skip=cleanup/apt/lists --skip=cleanup/apt/cache
			--customize-hook="APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get -qq -y --no-install-recommends --download-only install $fetch")
	fi
	mmdebstrap --variant="$variant" --mode=root --format=directory \
		--keyring="$DEBIAN_KEYRING" --dpkgopt=force-unsafe-io \
		--aptopt='APT::Install-Recommends "false"' \
		--include="$(package_names "$kind" "$suite" | paste -sd,)" \
		"${hooks[@]}" "$suite" "$dir" - <<<"$sources"
}

ensure_package_root()
{
	local dir
	need_root_user
	dir=$(package_root "$1" "$2")
	[[ -d $dir ]] && return
	need_host mmdebstrap:mmdebstrap flock:util-linux
	make_cache "$dir" say_step "make the $1 root of $2" make_package_root "$1" "$2"
}

# in_package_root KIND SUITE DIR [OPTION]... -- CMD...: as in_root, but with nothing of
# the host but DIR, seen as /package.
in_package_root()
{
	local kind=$1 suite=$2 dir=$3
	shift 3
	ensure_package_root "$kind" "$suite"
	(
		cd "$dir"
		unshare --mount --pid --fork --kill-child \
			bash "$REPO/tools/dev/enter-root" "$(package_root "$kind" "$suite")" "$dir" \
			--bind "$dir:/package" --bind "$REPO/tests/package:/tests" "$@"
	)
}

package_version()
{
	sed -nE '1s/.*\((.*)\).*/\1/p' "$DEBIAN/changelog"
}

package_date()
{
	date -d "$(sed -n 's/^ -- .*>  //p' "$DEBIAN/changelog" | head -n 1)" +%s
}

# package_source DIR: the source as it is in the working tree, as DIR/kfdsvm-VERSION with
# debian/, and the tarball that is upstream's.
package_source()
{
	local dir=$1 version tree date
	version=$(package_version)
	version=${version%-*}
	tree=$dir/kfdsvm-$version
	date=$(package_date)
	rm -rf "$dir"
	mkdir -p "$tree"
	(
		cd "$REPO"
		git ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' file; do
				[[ ! -e $file ]] || printf '%s\0' "$file"
			done | tar --null -T - -cf -
	) | tar -xf - -C "$tree"
	chmod -R u+w,go+rX,go-w "$tree"
	tar --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$date" \
		-C "$dir" -cf - "kfdsvm-$version" | xz -T1 >"$dir/kfdsvm_$version.orig.tar.xz"
	cp -a "$tree/packaging/debian" "$tree/debian"
	find "$tree" -exec touch -h -d "@$date" {} +
}

# package_build SUITE DIR [OPTION of build-in-root]...: build what package_source put there.
package_build()
{
	local suite=$1 dir=$2
	shift 2
	package_source "$dir"
	in_package_root build "$suite" "$dir" -- sh /tests/build-in-root "$JOBS" "$@"
}

package_judge()
{
	in_package_root check "$1" "$2" -- sh /tests/judge-in-root
}

package_install()
{
	in_package_root install "$1" "$2" -- unshare --net sh /tests/install-in-root
}

# The modules for the suite's own kernel, and on trixie for the one of its backports.
package_dkms()
{
	local suite=$1 dir=$2 options=() expected=('')
	if [[ $suite == trixie ]]; then
		ensure_kernel stock-7.3
		mapfile -t options < <(kernel_layers stock-7.3)
		expected=(6.12 7.3)
	fi
	in_package_root install "$suite" "$dir" "${options[@]}" -- \
		unshare --net sh /tests/dkms-in-root "${expected[@]}"
}

# package_autopkgtest: debian/tests, as the archive's machines run them.
package_autopkgtest()
{
	in_package_root check "$1" "$2" -- sh /tests/autopkgtest-in-root
}

# package_again SUITE DIR: built under another name, user, locale, zone, umask and on one
# CPU, the packages are the same.
package_again()
{
	local suite=$1 dir=$2 again=$2-again
	package_build "$suite" "$again" elsewhere
	(cd "$dir" && sha256sum -- *.deb *.dsc *.orig.tar.* *.debian.tar.*) >"$again/sums"
	(cd "$again" && sha256sum --quiet -c sums)
	rm -rf "$again"
}

package_watch()
{
	in_package_root check "$1" "$2" -- sh /tests/watch-in-root
}

# package_newcomer SUITE DIR: in the VM, whose root is trixie's; after step dkms.
package_newcomer()
{
	local dir=$2 archive name
	[[ -d $dir/modules ]] || die "no modules from step dkms"
	archive=$(package_root install "$1")/var/cache/apt/archives
	rm -rf "$dir/machine"
	mkdir "$dir/machine"
	# udev and what it needs there: the VM's root is small.
	for name in $(in_root -- apt-get -qq --no-install-recommends --print-uris install \
		systemd-standalone-sysusers udev |
		awk '{ sub(/_.*/, "", $2); print $2 }'); do
		cp "$archive/${name}"_*.deb "$dir/machine/"
	done
	vm_defaults
	vm_load=0 vm_build=0 vm_timeout=1500 vm_label=newcomer
	vm_prepare
	vm_run bash "$REPO/tests/package/newcomer.sh" "$dir"
}

# package_steps SUITE: each needs the first; newcomer needs dkms, too.
package_steps()
{
	echo build judge install dkms autopkgtest watch again
	[[ $1 != trixie ]] || echo newcomer
}

# package_all SUITE [STEP...]: results through `result` of suite.sh.
package_all()
{
	local suite=$1 step rc log start dir=$BUILD/package/$1
	shift
	# shellcheck disable=SC2046 # words
	(($#)) || set -- $(package_steps "$suite")
	mkdir -p "$LOGS"
	for step in "$@"; do
		log=$LOGS/package-$suite-$step.log
		start=$SECONDS
		set +e
		(
			set -e
			with_lock "package-$suite" "package_$step" "$suite" "$dir"
		) >"$log" 2>&1
		rc=$?
		set -e
		if ((rc)); then
			tail -n 30 "$log" | sed 's/^/  | /'
			result fail "package $suite $step" "$((SECONDS - start)) s, ${log#"$REPO"/}"
			[[ $step != build ]] || return 0
		else
			result pass "package $suite $step" "$((SECONDS - start)) s"
		fi
	done
}

# package_lint: what of the packages can be told in seconds, without building them.
package_lint()
{
	git -C "$REPO" ls-files -z --cached --others --exclude-standard |
		in_root -- python3 "$REPO/tests/package/lint.py" "$REPO" "${MODULES[*]}"
}

# package_tests MODE: the part of `./dev test`: with --long, or when asked for by name.
package_tests()
{
	local suite
	[[ $1 == long ]] || ((${#test_names[@]})) || return 0
	name_matches package || return 0
	for suite in "${PACKAGE_SUITES[@]}"; do
		package_all "$suite"
	done
}

cmd_package()
{
	local suites=() steps=() suite step known
	while (($#)); do
		case $1 in
		--suite) suites+=("$2"); shift ;;
		-*) die "package: bad option $1" ;;
		*) steps+=("$1") ;;
		esac
		shift
	done
	((${#suites[@]})) || suites=(trixie)
	for suite in "${suites[@]}"; do
		[[ " ${PACKAGE_SUITES[*]} " == *" $suite "* ]] || die "no such suite: $suite"
		known=$(package_steps "$suite" | xargs)
		for step in "${steps[@]}"; do
			[[ " $known " == *" $step "* ]] || die "no such step: $step (of $known)"
		done
	done
	ensure_root
	results_begin
	for suite in "${suites[@]}"; do
		package_all "$suite" "${steps[@]}"
		say "packages: ${BUILD#"$REPO"/}/package/$suite/"
	done
	results_end
}
