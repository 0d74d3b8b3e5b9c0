#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM with machine=pmem: the GPU on files of a DAX file system, whose pages are
# storage and no RAM. The case that tells them apart must not be skipped.
#
#   conformance_dax.sh [CONFORMANCE_BINARY]

set -u

conformance=${1:-kfdsvm-conformance}
mnt=/tmp/dax

modprobe -q nd_e820
modprobe -q nd_pmem
for ((try = 0; try < 50; try++)); do
	[[ ! -b /dev/pmem0 ]] || break
	sleep 0.1
done
mkfs.ext4 -q -F -b 4096 /dev/pmem0 && mkdir -p $mnt && mount -o dax=always /dev/pmem0 $mnt || {
	echo "Bail out! no DAX file system on /dev/pmem0"
	exit 1
}
out=$("$conformance" --dir $mnt --filter 'gpu_shares_*file*' --filter 'residency_*' \
	--filter 'gpu_write_of_private_file*')
code=$?
echo "$out"
umount $mnt
! grep -q 'residency_tells_dax_pages.*SKIP' <<<"$out" && ((code == 0))
