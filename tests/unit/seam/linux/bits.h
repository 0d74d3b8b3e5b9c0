/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SEAM_LINUX_BITS_H
#define SEAM_LINUX_BITS_H

#include <limits.h>

#define BITS_PER_LONG		((int)(sizeof(long) * CHAR_BIT))
#define BITS_PER_LONG_LONG	64
#define BITS_TO_LONGS(nr)	(((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)

#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK(high, low) \
	((~0UL >> (BITS_PER_LONG - 1 - (high))) & (~0UL << (low)))
#define GENMASK_ULL(high, low) \
	((~0ULL >> (BITS_PER_LONG_LONG - 1 - (high))) & (~0ULL << (low)))

#endif /* SEAM_LINUX_BITS_H */
