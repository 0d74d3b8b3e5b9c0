/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one seam between pure logic and its surroundings.
 *
 * A file that includes no other system header than this one compiles in the
 * kernel and, with tests/unit/seam in the include path, in a user program.
 */
#ifndef _LINUX_KFDSVM_SEAM_H
#define _LINUX_KFDSVM_SEAM_H

#ifdef __KERNEL__
#include <linux/align.h>
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/container_of.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include "kfdsvm_seam_user.h"
#endif

#endif /* _LINUX_KFDSVM_SEAM_H */
