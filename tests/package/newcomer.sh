#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM, newcomer.sh DIR: a machine that has never seen this repository. The
# packages in DIR are installed, udev gives /dev/kfd its owner, the modules that DKMS has
# built are loaded by hand, and a user of group render compiles the example as its comment
# says and lets the GPU work on malloc memory.

set -eu
dir=$1
export DEBIAN_FRONTEND=noninteractive
kernel=$(uname -r)
user=kfduser
tests=$(echo "$dir"/kfdsvm-*/packaging/debian/tests)

fail()
{
	echo "$*"
	exit 1
}

step()
{
	echo "== $* ($SECONDS s)"
}

step "a machine without us"
# What the test runner has put there, and what made its root small.
if mountpoint -q /usr/local; then
	umount /usr/local
fi
rm -f /etc/ld.so.cache /etc/dpkg/dpkg.cfg.d/*
ldconfig
[[ -z $(type -P kfdsvm) ]] || fail "there is a kfdsvm that no package has brought"
dpkg -i "$dir"/machine/*.deb >/dev/null
mount -t tmpfs -o mode=755 run /run/udev 2>/dev/null || mkdir -p /run/udev
/usr/lib/systemd/systemd-udevd --daemon
trap 'udevadm control --exit || :' EXIT

step "install"
packages=()
for name in libkfdsvm0 libkfdsvm-dev kfdsvm-tools kfdsvm-tests; do
	packages+=("$(echo "$dir/${name}"_*.deb)")
done
apt-get -y --no-install-recommends install "${packages[@]}" </dev/null
kfdsvm --version
if kfdsvm info; then
	fail "SVM without a driver"
fi

step "the modules, as DKMS has installed them elsewhere"
mkdir /tmp/modules /tmp/modules.work
mount -t overlay modules /lib/modules \
	-o lowerdir=/lib/modules,upperdir=/tmp/modules,workdir=/tmp/modules.work
cp -r "$dir/modules/$kernel" /lib/modules/
udevadm trigger
udevadm settle --timeout=240
for name in hmm_mirror kfd_svm vamdgpu; do
	[[ ! -e /sys/module/$name ]] || fail "$name is loaded, and nobody asked for it"
done

step "autopkgtest's part that wants a machine"
AUTOPKGTEST_TMP=$(mktemp -d) "$tests/modules"

step "the example"
modprobe vamdgpu
udevadm settle --timeout=60
stat -c '%n %U:%G %a' /dev/kfd /dev/dri/renderD*
work=$(mktemp -d)
cp -r /usr/share/doc/libkfdsvm-dev/examples "$work/"
chown -R $user: "$work"
chmod 755 "$work"
command=$(sed -nE 's|^/\* .*: (cc hello\.c .*[^ ]) \*/$|\1 -o hello|p' "$work/examples/hello.c")
echo "$command"
[[ -n $command ]] || fail "hello.c does not say how to compile it"
lines=$(grep -c . "$work/examples/hello.c")
echo "hello.c: $lines lines"
cat >"$work/session" <<END
set -e
cd $work/examples
$command
ldd hello | grep kfdsvm
./hello
END
runuser -u $user -- sh "$work/session" | tee "$work/out"
grep -q 'libkfdsvm.so.0 => /lib/' "$work/out"
grep -q GPU "$work/out"

step "and away again"
modprobe -r vamdgpu
apt-get -y purge libkfdsvm0 libkfdsvm-dev kfdsvm-tools kfdsvm-tests </dev/null >/dev/null
[[ ! -e /usr/bin/kfdsvm ]] || fail "kfdsvm is still there"
step "done"
