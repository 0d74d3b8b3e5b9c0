#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the VM: with a GPU unplugged the module unloads, and says so if anything of the
# GPUs is left; and loads again. Output is TAP.

set -u
# shellcheck source=/dev/null
. "$(dirname "$0")/../common/tap.sh"

driver=/sys/bus/platform/drivers/vamdgpu
module=/run/kfdsvm/ko/vamdgpu.ko
echo "TAP version 13"
echo vamdgpu.0 >$driver/unbind
report $? "a GPU is unplugged"
[[ ! -e $driver/vamdgpu.0 ]]
report $? "and gone"
rmmod vamdgpu
report $? "the module unloads"
[[ ! -e /dev/kfd && ! -e /sys/devices/platform/vamdgpu.0 ]]
report $? "and leaves nothing"
insmod "$module" gpus=2 vram_mb=64
report $? "it loads again"
[[ -e $driver/vamdgpu.0 && -e $driver/vamdgpu.1 ]]
report $? "with all GPUs"
rmmod vamdgpu && rmmod kfd_svm
report $? "and unloads with the core"
tap_end
