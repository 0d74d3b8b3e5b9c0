/* SPDX-License-Identifier: MIT */
/*
 * A GPU runtime as a loadable module, so that a test chooses when it is loaded
 * and when it is opened. Each module exports `shim_runtime`.
 */
#ifndef SHIM_RUNTIME_H
#define SHIM_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

struct shim_runtime {
	/* 0, or -1 with a line on stderr. @node: of the GPU, in the topology. */
	int (*open)(uint32_t node);
	/* By SDMA; memory the GPU may touch. 0 or -1. */
	int (*copy)(void *dst, const void *src, size_t len);
	void (*close)(void);
};

extern const struct shim_runtime shim_runtime;

#endif
