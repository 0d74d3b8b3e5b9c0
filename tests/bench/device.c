// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module hmm_mirror_bench, and what its clock counts.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

struct hmm_bench_info info;
bool counting_insns;

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	fputs("hmm_bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

int device_open(void)
{
	int fd = open(HMM_BENCH_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(HMM_BENCH_DEVICE ": %s", strerror(errno));
	return fd;
}

void device_call(int fd, unsigned long cmd, void *arg, const char *what)
{
	if (ioctl(fd, cmd, arg))
		die("%s: %s", what, strerror(errno));
}

int span_open(void *memory, size_t len, unsigned int parts, struct hmm_bench_span *span)
{
	int fd = device_open();

	*span = (struct hmm_bench_span) {
		.first_va = (uintptr_t)memory,
		.last_va = (uintptr_t)memory + len - 1,
		.parts = parts,
	};
	device_call(fd, HMM_BENCH_SPAN, span, "set up a span");
	return fd;
}

/*
 * The clock counts instructions only if a loop of known length says so: to one in a
 * thousand, as reading the clock takes some itself.
 */
void device_setup(void)
{
	int fd = device_open();
	double ratio;

	device_call(fd, HMM_BENCH_INFO, &info, "ask for the clock");
	close(fd);
	ratio = (double)info.loop_ticks / info.loop_insns;
	counting_insns = ratio > 0.999 && ratio < 1.001;
	printf("clock: %llu ticks for a loop of %llu instructions: %s\n",
	       (unsigned long long)info.loop_ticks, (unsigned long long)info.loop_insns,
	       counting_insns ? "figures are instructions" : "figures are ns of wall time");
}

double in_units(double ticks)
{
	return counting_insns ? ticks : ticks * 1e6 / info.ticks_per_ms;
}

const char *unit_name(void)
{
	return counting_insns ? "instructions" : "ns";
}

uint64_t ticks_now(void)
{
	uint64_t ticks;

	_mm_lfence();
	ticks = __rdtsc();
	_mm_lfence();
	return ticks;
}
