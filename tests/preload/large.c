// SPDX-License-Identifier: MIT
/* Has a queue, then 40 MiB of memory that it does not touch, and ends. */
#include <stdio.h>
#include <stdlib.h>

#include "gpu.h"

int main(int argc, char **argv)
{
	struct gpu gpu;
	char *p;

	if (gpu_open(&gpu, argc > 1 ? (uint32_t)atoi(argv[1]) : 1))
		return 1;
	p = malloc(40 << 20);
	if (!p)
		return 1;
	*(volatile char *)p = 1;
	printf("used %p\n", (void *)p);
	free(p);
	return 0;
}
