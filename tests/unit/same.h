/* SPDX-License-Identifier: MIT */
/* A structure of ours against the kernel's. After <cmocka.h> and <stddef.h>. */
#ifndef SAME_H
#define SAME_H

/* Member @am of struct @a is where, and as large as, @bm of struct @b. */
#define SAME(a, am, b, bm) do { \
	assert_int_equal(offsetof(struct a, am), offsetof(struct b, bm)); \
	assert_int_equal(sizeof(((struct a *)0)->am), sizeof(((struct b *)0)->bm)); \
} while (0)

#endif
