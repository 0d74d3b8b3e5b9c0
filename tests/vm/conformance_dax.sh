#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM with machine=pmem: the GPU on files of a DAX file system, whose pages are
# storage and no RAM. The case that tells them apart must not be skipped.
#
#   conformance_dax.sh [CONFORMANCE_BINARY]

set -u
# shellcheck source=tests/vm/dax.sh
. "$(dirname "$0")/dax.sh"

conformance=${1:-kfdsvm-conformance}
mnt=/tmp/dax

dax_mount $mnt
out=$("$conformance" --dir $mnt --filter 'gpu_shares_*file*' --filter 'residency_*' \
	--filter 'gpu_write_of_private_file*')
code=$?
echo "$out"
umount $mnt
! grep -q 'residency_tells_dax_pages.*SKIP' <<<"$out" && ((code == 0))
