#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM with machine=pmem: cells of the matrix on files of a DAX file system.
#
#   matrix_dax.sh ARGUMENTS_OF_KFDSVM_MATRIX...

set -u
# shellcheck source=tests/vm/dax.sh
. "$(dirname "$0")/dax.sh"

mnt=/tmp/dax

dax_mount $mnt
kfdsvm-matrix --dax $mnt "$@"
code=$?
umount $mnt
exit $code
