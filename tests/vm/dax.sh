# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For the scripts that run in a VM with machine=pmem.

# dax_mount DIR: a DAX file system on /dev/pmem0; does not return without one.
dax_mount()
{
	local try
	modprobe -q nd_e820
	modprobe -q nd_pmem
	for ((try = 0; try < 50; try++)); do
		[[ ! -b /dev/pmem0 ]] || break
		sleep 0.1
	done
	mkfs.ext4 -q -F -b 4096 /dev/pmem0 && mkdir -p "$1" &&
		mount -o dax=always /dev/pmem0 "$1" && return
	echo "Bail out! no DAX file system on /dev/pmem0"
	exit 1
}
