# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The Debian 13 root: made by mmdebstrap, never changed afterwards.  Everything
# that runs in it sees it below an overlay that is thrown away.

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

root_dir()
{
	local key
	key=$(cat "$REPO/tools/dev/root-packages" "$REPO/tools/dev/root-setup" | hash_of)
	printf '%s/root-trixie-%s\n' "$CACHE" "$key"
}

# The archive is the one that the host's apt uses; KFDSVM_MIRROR names another.
debian_uris()
{
	local uris
	if [[ -n ${KFDSVM_MIRROR:-} ]]; then
		printf '%s\n' "$KFDSVM_MIRROR"
		return
	fi
	uris=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(SITE)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && !seen[$0]++')
	awk '$2 == "Debian" { print $3; exit }' <<<"$uris"
	awk '$2 == "Debian-Security" { print $3; exit }' <<<"$uris"
}

debian_sources()
{
	local uris main security
	uris=$(debian_uris)
	main=$(sed -n 1p <<<"$uris")
	security=$(sed -n 2p <<<"$uris")
	[[ -n $main ]] ||
		die "apt-get indextargets shows no Debian archive (run apt-get update, or set KFDSVM_MIRROR=URL)"
	printf 'deb %s trixie main\n' "$main"
	printf 'deb %s trixie-updates main\n' "$main"
	printf 'deb %s trixie-backports main\n' "$main"
	[[ -z $security ]] || printf 'deb %s trixie-security main\n' "$security"
}

make_root()
{
	local dir=$1 packages sources keyring=$DEBIAN_KEYRING
	packages=$(sed 's/#.*//' "$REPO/tools/dev/root-packages" | xargs | tr ' ' ,)
	sources=$(debian_sources)
	[[ -r $keyring ]] || die "no $keyring; run: apt-get install -y debian-archive-keyring"
	# A keyring older than trixie still does: a release is signed with the
	# keys of the release before it, too.
	mmdebstrap --variant=minbase --mode=root --format=directory \
		--keyring="$keyring" \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--include="$packages" \
		--skip=cleanup/apt/lists \
		--customize-hook="copy-in $REPO/tools/dev/root-setup /tmp" \
		--customize-hook='chroot "$1" sh -e /tmp/root-setup; rm "$1/tmp/root-setup"' \
		trixie "$dir" - <<<"$sources"
}

ensure_root()
{
	need_root_user
	[[ -d $(root_dir) ]] && return
	need_host mmdebstrap:mmdebstrap flock:util-linux
	make_cache "$(root_dir)" \
		say_step "make the Debian 13 root (about a minute)" make_root
}

# in_root [--layer DIR]... [--bind SRC:DST]... [--env N=V]... -- CMD...
# Run CMD in the Debian 13 root: the repository and the current folder at their own
# paths, --layer directories laid over the root, its own mounts and processes.
in_root()
{
	ensure_root
	unshare --mount --pid --fork --kill-child \
		bash "$REPO/tools/dev/enter-root" "$(root_dir)" "$REPO" "$@"
}
