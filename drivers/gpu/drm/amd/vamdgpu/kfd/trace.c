// SPDX-License-Identifier: GPL-2.0-only
/* Makes the tracepoints of the front end. */
#ifndef __CHECKER__
#define CREATE_TRACE_POINTS
#include "kfd/trace.h"
#endif
