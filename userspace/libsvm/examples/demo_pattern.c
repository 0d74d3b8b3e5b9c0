// SPDX-License-Identifier: MIT
#include <string.h>

#include "demo.h"

/* Every 8 bytes differ, so that a page or line in the wrong place is seen. */
static uint64_t word(size_t index, uint32_t seed)
{
	uint64_t x = (index + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)seed << 32;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

void pattern_fill(void *memory, size_t len, uint32_t seed)
{
	unsigned char *p = memory;

	for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
		uint64_t w = word(at / sizeof(w), seed);

		memcpy(p + at, &w, len - at < sizeof(w) ? len - at : sizeof(w));
	}
}

bool pattern_holds(const void *memory, size_t len, uint32_t seed)
{
	const unsigned char *p = memory;

	for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
		uint64_t w = word(at / sizeof(w), seed);

		if (memcmp(p + at, &w, len - at < sizeof(w) ? len - at : sizeof(w)))
			return false;
	}
	return true;
}
