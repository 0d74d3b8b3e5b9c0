// SPDX-License-Identifier: GPL-2.0-only
/*
 * Empty companion of vamdgpu, named amdgpu.
 *
 * rocminfo stops at once unless /sys/module/amdgpu/initstate says "live", and kfdtest
 * reads /sys/module/amdgpu/parameters/emu_mode.  This module gives them both and does
 * nothing else.  While it is loaded the real driver cannot be, which is what a system
 * with the virtual GPU wants.  It is never installed where depmod would find it.
 */

#include <linux/module.h>

static int emu_mode;
module_param(emu_mode, int, 0444);
MODULE_PARM_DESC(emu_mode, "Emulation mode as kfdtest reads it (0 = off (default), 1 = on)");

static int __init amdgpu_companion_init(void)
{
	return 0;
}

static void __exit amdgpu_companion_exit(void)
{
}

module_init(amdgpu_companion_init);
module_exit(amdgpu_companion_exit);

MODULE_DESCRIPTION("Empty companion of vamdgpu (virtual GPU), not a driver for AMD GPUs");
MODULE_AUTHOR("kfdsvm authors");
MODULE_LICENSE("GPL");
