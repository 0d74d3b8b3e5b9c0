/* SPDX-License-Identifier: GPL-2.0-only */
/* What every unit test begins with: cmocka wants these four, in this order. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A repeatable random number below @n; the seed is the test's own. */
static inline unsigned int unit_random(unsigned int *seed, unsigned int n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % n;
}

#endif /* UNIT_H */
