// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coherent VRAM: memory that the kernel was told to leave alone (memmap=SIZE$ADDRESS
 * on its command line) and that a GPU then owns as VRAM, as an accelerator on a
 * coherent link owns its memory.
 */
#include "vamdgpu.h"

#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/sizes.h>

/*
 * Only what firmware or command line call reserved: neither RAM in use nor a device's
 * window, where there may be no memory at all.
 */
int vamdgpu_region_claim(u64 start, u64 len)
{
	u64 last = start + len - 1;

	if (!IS_ALIGNED(start, SZ_2M) || last < start) {
		pr_err("vamdgpu: vram_phys: %#llx is not a multiple of 2 MiB, or too high\n",
		       start);
		return -EINVAL;
	}
	if (region_intersects(start, len, IORESOURCE_MEM, IORES_DESC_RESERVED) !=
	    REGION_INTERSECTS) {
		pr_err("vamdgpu: vram_phys: %#llx-%#llx is not reserved memory, see memmap= of the kernel\n",
		       start, last);
		return -EINVAL;
	}
	if (!request_mem_region(start, len, "vamdgpu")) {
		pr_err("vamdgpu: vram_phys: %#llx-%#llx is in use, or reaches beyond what is reserved\n",
		       start, last);
		return -EBUSY;
	}
	return 0;
}

void vamdgpu_region_release(u64 start, u64 len)
{
	release_mem_region(start, len);
}
