/* SPDX-License-Identifier: MIT */
/* Words for what events say, the same in traces and reports. */
#ifndef KFDSVM_WORDS_H
#define KFDSVM_WORDS_H

#include <stdint.h>

/* Why memory moved, queues stopped, pages were taken: "prefetch", "svm" ... */
const char *migration_word(uint32_t trigger);
const char *eviction_word(uint32_t trigger);
const char *unmap_word(uint32_t trigger);

#endif
