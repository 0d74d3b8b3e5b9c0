#!/bin/bash
# SPDX-License-Identifier: MIT
# test_preload_plain.sh PROGRAM LIBRARY DRIVER: the program of tests/preload with a driver that
# is not there (tests/preload/fake). Alone it must be refused every memory; with the library
# before it, none.
set -u
program=$1 library=$2 driver=$3

LD_PRELOAD=$driver "$program" --faults || exit 1
LD_PRELOAD=$library:$driver "$program"
