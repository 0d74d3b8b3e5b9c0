// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace points of queues, faults and doorbells.
 */
#include <linux/types.h>

#define CREATE_TRACE_POINTS
#include "hw_trace.h"
