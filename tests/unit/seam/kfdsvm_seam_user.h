/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What <linux/kfdsvm_seam.h> promises, for a user program: just enough of the
 * kernel for pure logic, written for clarity and for the sanitizers, not speed.
 * Extend it when a file under test needs more.
 */
#ifndef KFDSVM_SEAM_USER_H
#define KFDSVM_SEAM_USER_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bits.h>
#include <linux/types.h>

#include "seam_bitmap.h"
#include "seam_list.h"
#include "seam_rbtree.h"

/* Compiler. */
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define noinline		__attribute__((__noinline__))
#define fallthrough		__attribute__((__fallthrough__))
#define __must_check		__attribute__((__warn_unused_result__))
#define __maybe_unused		__attribute__((__unused__))
#ifndef __packed
#define __packed		__attribute__((__packed__))
#endif
#ifndef __aligned
#define __aligned(n)		__attribute__((__aligned__(n)))
#endif
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value)	(*(volatile __typeof__(x) *)&(x) = (value))
#define barrier()		__asm__ __volatile__("" ::: "memory")
#define smp_store_release(p, value)	__atomic_store_n(p, value, __ATOMIC_RELEASE)
#define smp_load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#ifndef static_assert
#define static_assert		_Static_assert
#endif
#define BUILD_BUG_ON(cond)	_Static_assert(!(cond), #cond)
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#ifndef container_of
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#endif
#define struct_size(ptr, member, count) \
	(sizeof(*(ptr)) + sizeof((ptr)->member[0]) * (count))

/* A warning of the kernel is the end of a test. */
#define WARN_ON(cond) ({						\
	int cond_ = !!(cond);						\
	if (cond_) {							\
		fprintf(stderr, "%s:%d: WARN_ON(%s)\n", __FILE__,	\
			__LINE__, #cond);				\
		abort();						\
	}								\
	cond_;								\
})
#define WARN_ON_ONCE(cond)	WARN_ON(cond)
#define BUG_ON(cond)		((void)WARN_ON(cond))
#define lockdep_assert_held(lock)	((void)(lock))

/* Arithmetic. */
#define U32_MAX			((u32)~0U)
#define U64_MAX			((u64)~0ULL)
#define min(a, b) ({							\
	__typeof__(a) a_ = (a);						\
	__typeof__(b) b_ = (b);						\
	a_ < b_ ? a_ : b_;						\
})
#define max(a, b) ({							\
	__typeof__(a) a_ = (a);						\
	__typeof__(b) b_ = (b);						\
	a_ > b_ ? a_ : b_;						\
})
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))
#define clamp(v, lo, hi)	min((__typeof__(v))max(v, lo), hi)
#define swap(a, b) do {							\
	__typeof__(a) swap_ = (a);					\
	(a) = (b);							\
	(b) = swap_;							\
} while (0)
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN(x, a)		ALIGN_DOWN((x) + (__typeof__(x))(a) - 1, a)
#define IS_ALIGNED(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define round_up(x, y)		ALIGN(x, y)
#define round_down(x, y)	ALIGN_DOWN(x, y)
#define lower_32_bits(n)	((u32)(n))
#define upper_32_bits(n)	((u32)((u64)(n) >> 32))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define __ffs64(x)		((unsigned long)__builtin_ctzll(x))
#define __ffs(x)		((unsigned long)__builtin_ctzl(x))
#define fls64(x)		((x) ? 64 - __builtin_clzll(x) : 0)
#define ilog2(x)		(63 - __builtin_clzll((u64)(x)))
#define hweight64(x)		((unsigned int)__builtin_popcountll(x))
#define check_add_overflow(a, b, sum)	__builtin_add_overflow(a, b, sum)
#define check_mul_overflow(a, b, prod)	__builtin_mul_overflow(a, b, prod)
#define check_sub_overflow(a, b, diff)	__builtin_sub_overflow(a, b, diff)

/* Bit fields. */
#define field_shift_(mask)	(__builtin_ctzll(mask))
#define FIELD_PREP_CONST(mask, value) \
	((__typeof__(mask))(((u64)(value) << field_shift_(mask)) & (mask)))
#define FIELD_PREP(mask, value) ({					\
	u64 value_ = (value);						\
	assert(!((value_ << field_shift_(mask) >> field_shift_(mask)) ^	\
		 value_) &&						\
	       !(value_ << field_shift_(mask) & ~(u64)(mask)));		\
	FIELD_PREP_CONST(mask, value_);					\
})
#define FIELD_GET(mask, reg) \
	((__typeof__(mask))(((reg) & (mask)) >> field_shift_(mask)))
#define FIELD_MAX(mask)		((__typeof__(mask))((mask) >> field_shift_(mask)))
#define FIELD_FIT(mask, value) \
	(!(((u64)(value) << field_shift_(mask)) & ~(u64)(mask)))

/* Byte order: the host is little endian, as the GPU. */
#define le32_to_cpu(x)		((u32)(x))
#define le64_to_cpu(x)		((u64)(x))
#define cpu_to_le32(x)		((u32)(x))
#define cpu_to_le64(x)		((u64)(x))

/* Memory. */
#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PAGE_ALIGNED(x)		IS_ALIGNED((u64)(x), PAGE_SIZE)
#define SZ_4K			0x00001000
#define SZ_64K			0x00010000
#define SZ_2M			0x00200000
#define SZ_1G			0x40000000

#define GFP_KERNEL		0U
#define GFP_KERNEL_ACCOUNT	0U
#define GFP_ATOMIC		0U

/*
 * Allocations fail when the test says so: after this many more, if not negative.
 * Defined by seam.c.
 */
extern long seam_alloc_fail_after;
extern long seam_alloc_live;
void *seam_alloc(size_t size);
void seam_free(const void *ptr);

#define kzalloc(size, gfp)	((void)(gfp), seam_alloc(size))
#define kmalloc(size, gfp)	kzalloc(size, gfp)
#define kcalloc(n, size, gfp)	kzalloc((size_t)(n) * (size), gfp)
#define kvzalloc(size, gfp)	kzalloc(size, gfp)
#define kvmalloc(size, gfp)	kzalloc(size, gfp)
#define kvcalloc(n, size, gfp)	kcalloc(n, size, gfp)
#define kmalloc_array(n, size, gfp)	kcalloc(n, size, gfp)
#define kfree(ptr)		seam_free(ptr)
#define kvfree(ptr)		seam_free(ptr)

#endif /* KFDSVM_SEAM_USER_H */
