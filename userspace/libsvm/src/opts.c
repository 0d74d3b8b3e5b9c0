// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>

#include "internal.h"

int kfdsvm_take(void *to, size_t known, const void *from)
{
	size_t size;

	memcpy(&size, from, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	return kfdsvm_take_entry(to, known, from, size);
}

int kfdsvm_take_entry(void *to, size_t known, const void *from, size_t size)
{
	const unsigned char *bytes = from;

	for (size_t i = known; i < size; i++)
		if (bytes[i])
			return -E2BIG;
	memset(to, 0, known);
	memcpy(to, from, size < known ? size : known);
	return 0;
}

void kfdsvm_give_entry(void *to, size_t size, const void *from, size_t known)
{
	memcpy(to, from, size < known ? size : known);
	if (size > known)
		memset((char *)to + known, 0, size - known);
}

int kfdsvm_give(void *to, const void *from, size_t known)
{
	size_t size;

	memcpy(&size, to, sizeof(size));
	if (size <= sizeof(size))
		return -EINVAL;
	if (size > known) {
		memset((char *)to + known, 0, size - known);
		size = known;
	}
	/* Every such structure begins with its size, which stays the caller's. */
	memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
	       size - sizeof(size));
	return 0;
}
