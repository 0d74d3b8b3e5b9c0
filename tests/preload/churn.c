// SPDX-License-Identifier: MIT
/*
 * A job that does hardly anything but malloc and free, of all sizes, with some threads
 * and mappings, and never uses a GPU: what `kfdsvm run` may cost at most is measured with
 * it. The same instructions in every run.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIVE	512u

static unsigned int next(unsigned int *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 8;
}

static size_t some_len(unsigned int *seed)
{
	unsigned int r = next(seed);

	if (r % 64 == 0)
		return 1 + next(seed) % 200000;
	return r % 8 ? 1 + next(seed) % 200 : 1 + next(seed) % 4000;
}

static void *churn(void *arg)
{
	unsigned int rounds = *(unsigned int *)arg, seed = 1;
	void *live[LIVE] = { 0 };

	for (unsigned int i = 0; i < rounds; i++) {
		void **slot = &live[next(&seed) % LIVE];
		char *p;

		if (i % 16 == 0) {
			p = realloc(*slot, some_len(&seed));
		} else {
			free(*slot);
			p = i % 4 ? malloc(some_len(&seed)) : calloc(1, some_len(&seed) % 512 + 1);
		}
		if (!p)
			abort();
		*p = (char)i;
		*slot = p;
	}
	for (unsigned int i = 0; i < LIVE; i++)
		free(live[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 100000, part = rounds / 20;

	churn(&rounds);
	for (unsigned int i = 0; i < 8; i++) {
		pthread_t thread;
		void *p = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || pthread_create(&thread, NULL, churn, &part))
			return 1;
		pthread_join(thread, NULL);
		munmap(p, 1 << 16);
	}
	printf("churned %u blocks\n", rounds + 8 * part);
	return 0;
}
