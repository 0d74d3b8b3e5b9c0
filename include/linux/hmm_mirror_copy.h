/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device copies; see <linux/hmm_mirror_devmem.h>. Apart from it because it
 * compiles in user space, too.
 */
#ifndef _LINUX_HMM_MIRROR_COPY_H
#define _LINUX_HMM_MIRROR_COPY_H

#include <linux/types.h>

/**
 * enum hmm_mirror_copy_dir - which way a copy goes
 * @HMM_MIRROR_COPY_TO_DEVICE: from system memory
 * @HMM_MIRROR_COPY_TO_RAM: to system memory
 */
enum hmm_mirror_copy_dir {
	HMM_MIRROR_COPY_TO_DEVICE,
	HMM_MIRROR_COPY_TO_RAM,
};

/**
 * struct hmm_mirror_copy - a run to be copied
 * @dev_addr: byte in the device's memory
 * @other: the other side: a DMA address of the device, or a byte in the memory of the
 *	peer
 * @len: bytes
 */
struct hmm_mirror_copy {
	u64 dev_addr;
	u64 other;
	u64 len;
};

#endif /* _LINUX_HMM_MIRROR_COPY_H */
