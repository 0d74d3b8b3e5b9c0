#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM, with memmap=512M$0x180000000: which physical addresses the virtual GPU
# takes as its VRAM, and what is left after one it does not.
#
# Output is TAP. Loads vamdgpu anew, hence the word fresh in its list.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"

module=/run/kfdsvm/ko/vamdgpu.ko
# refused PARAMETERS ERROR LOG WHY
refused()
{
	local out
	# shellcheck disable=SC2086 # several parameters
	out=$(insmod "$module" $1 2>&1)
	(($?)) && [[ $out == *"$2"* && ! -e /dev/kfd && ! -e /sys/module/vamdgpu ]] &&
		dmesg | tail -n 8 | grep -q "vamdgpu: vram_phys.*$3" &&
		! grep -q vamdgpu /proc/iomem
	report $? "$4: $2 ($out)"
}

if ! grep -qi '^ *180000000-19fffffff : Reserved' /proc/iomem; then
	echo "1..0 # SKIP nothing is reserved at 0x180000000"
	exit 77
fi
echo "TAP version 13"
rmmod vamdgpu
report $? "vamdgpu unloads"

refused "vram_phys=0x180100000 vram_mb=64" "Invalid" "multiple of 2 MiB" "odd address"
refused "vram_phys=0xfffffffffc000000 vram_mb=128" "Invalid" "multiple of 2 MiB" "wraps"
refused "vram_phys=0x140000000 vram_mb=64" "Invalid" "not reserved" "RAM"
refused "vram_phys=0xfe000000 vram_mb=16" "Invalid" "not reserved" "a window of devices"
refused "vram_phys=0x180000000 vram_mb=640" "Invalid" "not reserved" "reaches into RAM"
refused "vram_phys=0x180000000,0x184000000 gpus=2 vram_mb=128" "busy" "in use" "overlap"

insmod "$module" gpus=2 vram_mb=256 vram_phys=0x180000000,0x190000000
report $? "two GPUs with a region each"
[[ $(grep -c ' : vamdgpu' /proc/iomem) == 2 ]]
report $? "which they hold"
[[ $(grep -c 'migration coherent' /sys/kernel/debug/kfd_svm/gpus) == 2 ]]
report $? "and memory migrates to"
rmmod vamdgpu
report $? "it unloads"
! grep -q vamdgpu /proc/iomem
report $? "and gives them back"

insmod "$module" gpus=2 vram_mb=64 vram_phys=0,0x180000000
report $? "a region for the second GPU only"
[[ $(grep -c 'migration coherent' /sys/kernel/debug/kfd_svm/gpus) == 1 ]]
report $? "is that one's"
tap_end
