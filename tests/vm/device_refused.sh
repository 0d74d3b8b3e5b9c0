#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM on the debug kernel: a GPU whose DMA cannot reach all memory is refused
# when it registers, with an errno that says so; one that can is taken afterwards.
#
# Output is TAP. Loads vamdgpu anew, hence the word fresh in its list.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"

module=/run/kfdsvm/ko/vamdgpu.ko
if [[ ! -e /sys/module/vamdgpu/parameters/dma_bits ]]; then
	echo "1..0 # SKIP vamdgpu has no dma_bits (needs the debug build)"
	exit 77
fi
echo "TAP version 13"
rmmod vamdgpu
report $? "vamdgpu unloads"

out=$(insmod "$module" dma_bits=32 2>&1)
report $(($? == 0)) "a GPU with 32 bits is refused"
[[ $out == *"Operation not supported"* ]]
report $? "with EOPNOTSUPP ($out)"
[[ ! -e /dev/kfd && ! -e /sys/module/vamdgpu ]]
report $? "nothing of it is left"
dmesg | grep -q 'kfd_svm: DMA cannot reach all memory'
report $? "the log says why"

insmod "$module"
report $? "a GPU with 64 bits is taken"
[[ -e /dev/kfd ]]
report $? "and is there"
tap_end
