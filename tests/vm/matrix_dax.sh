#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM with machine=pmem: cells of the matrix on files of a DAX file system.
#
#   matrix_dax.sh ARGUMENTS_OF_KFDSVM_MATRIX...

set -u

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
kfdsvm-matrix --dax $mnt "$@"
code=$?
umount $mnt
exit $code
