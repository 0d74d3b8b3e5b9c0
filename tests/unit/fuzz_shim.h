/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets of libkfdsvm share. LLVMFuzzerTestOneInput() is libFuzzer's; it
 * returns 0. A broken promise ends the program, and libFuzzer keeps the input.
 */
#ifndef FUZZ_SHIM_H
#define FUZZ_SHIM_H

#include <stdlib.h>

#include "../../userspace/libsvm/src/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MUST(x) do { if (!(x)) abort(); } while (0)

/*
 * A machine where every call works: one GPU 0x1234, whose files are texts of the
 * fuzzer's choice, or two GPUs that are as they should be.
 */
struct fuzz_machine {
	const char *const *texts;
	unsigned int ntexts;
	struct kfdsvm_sys sys;
};

void fuzz_machine_init(struct fuzz_machine *m);
#define FUZZ_GPU1 0x1234u
#define FUZZ_GPU2 0x5678u
/* Our end of the last event descriptor. */
extern int fuzz_smi;

#endif
