/* SPDX-License-Identifier: MIT */
/* kfdsvm info: what its files share. */
#ifndef KFDSVM_INFO_H
#define KFDSVM_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include <kfdsvm.h>

/**
 * struct limits - what calls are limited by; 0: not known
 * @page_len: bytes of a page
 * @window_len: bytes that move together on a fault, if nothing else is advised
 * @attributes: in one call of the driver, GPUs of access among them
 * @vram_len: of all usable GPUs
 * @memory_len: system memory
 */
struct limits {
	uint64_t page_len;
	uint64_t window_len;
	uint64_t attributes;
	uint64_t vram_len;
	uint64_t memory_len;
};

/* Asks for what it can; sets nothing. */
void info_limits(struct kfdsvm *svm, struct limits *limits);

void info_print_json(struct kfdsvm *svm, const struct limits *limits);

#endif
