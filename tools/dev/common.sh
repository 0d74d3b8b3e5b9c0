# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Names, messages, locks and caches shared by all parts of ./dev.

BUILD=$REPO/build
CACHE=$BUILD/cache
LOGS=$BUILD/logs
KERNELS=(stock-6.12 stock-7.3 debug-7.3)
MODULES=(hmm_mirror kfd_svm vamdgpu amdgpu)	# load order
# Loaded only where a run or a line of a suite asks for it.
TEST_MODULES=(hmm_mirror_test hmm_mirror_bench hmm_mirror_stress hmm_mirror_edu hmm_mirror_devmem
	kfd_svm_bench)
JOBS=${JOBS:-$(nproc)}

# Messages go to stderr: stdout belongs to the command that is run.
say()
{
	printf '[dev %s] %s\n' "$(date +%T)" "$*" >&2
}

die()
{
	printf 'dev: %s\n' "$*" >&2
	exit 2
}

# say_step TEXT CMD...: run CMD with its output in a log that is shown on failure.
say_step()
{
	local text=$1 log rc start=$SECONDS
	shift
	mkdir -p "$LOGS"
	log=$LOGS/$(tr -cs 'A-Za-z0-9.\n' - <<<"$text").log
	say "$text ..."
	# Not in a condition: there the shell ignores -e inside the command, too.
	set +e
	(
		set -e
		"$@"
	) >"$log" 2>&1
	rc=$?
	set -e
	if ((rc)); then
		tail -n 60 "$log" >&2
		die "failed: $text (whole log: ${log#"$REPO"/})"
	fi
	say "$text: done in $((SECONDS - start)) s"
}

hash_of()
{
	sha256sum | cut -c1-12
}

is_kernel_name()
{
	local name
	for name in "${KERNELS[@]}"; do
		[[ $1 == "$name" ]] && return 0
	done
	return 1
}

# with_lock NAME CMD...: one CMD per NAME at a time, across ./dev processes.
# The command runs in a subshell with `set -e` in force; no child keeps the lock.
with_lock()
{
	local name=$1 fd rc dir=$BUILD
	shift
	# A cache may be shared by several checkouts.
	[[ $name != cache-* ]] || dir=$CACHE
	mkdir -p "$dir/lock"
	exec {fd}>"$dir/lock/$name"
	if ! flock -n "$fd"; then
		say "waiting for another ./dev ($name)"
		flock "$fd"
	fi
	(
		exec {fd}>&-
		"$@"
	)
	rc=$?
	exec {fd}>&-
	return $rc
}

# make_cache DIR CMD...: `CMD... DIR.tmp` fills a directory that becomes DIR when
# it is complete, so that a cache that exists is a cache that can be trusted.
make_cache()
{
	local dir=$1
	shift
	[[ -d $dir ]] && return
	mkdir -p "$(dirname "$dir")"
	with_lock "cache-$(basename "$dir")" fill_cache "$dir" "$@"
}

fill_cache()
{
	local dir=$1
	shift
	[[ -d $dir ]] && return
	rm -rf "$dir.tmp"
	"$@" "$dir.tmp"
	mv "$dir.tmp" "$dir"
}

# need_host PROGRAM:PACKAGE...: install what is missing on the host.
need_host()
{
	local pair missing=()
	for pair in "$@"; do
		[[ -n $(PATH=$PATH:/usr/sbin:/sbin type -P "${pair%%:*}") ]] ||
			missing+=("${pair#*:}")
	done
	((${#missing[@]})) || return 0
	if ((EUID)) || [[ -z $(type -P apt-get) ]]; then
		die "missing on this host; run: apt-get install -y ${missing[*]}"
	fi
	with_lock host-apt say_step "install on the host: ${missing[*]}" \
		host_apt "${missing[@]}"
}

host_apt()
{
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "$@" ||
		{ apt-get update && apt-get install -y --no-install-recommends "$@"; }
}

need_root_user()
{
	((EUID == 0)) || die "this needs root for chroot and mount; run: sudo ./dev ..."
}
