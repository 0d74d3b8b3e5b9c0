// SPDX-License-Identifier: MIT
/* What `kfdsvm run` has to say, in the environment. */
#include <stdlib.h>
#include <string.h>

#include "preload.h"

#define DEFAULT_STACK_LEN	(8ull << 20)

static bool number(const char *name, uint64_t *value)
{
	const char *text = getenv(name);
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	*value = strtoull(text, &end, 0);
	return !*end;
}

void pre_options_read(struct pre_options *o)
{
	uint64_t value;
	const char *text;

	*o = (struct pre_options){ .stack_len = DEFAULT_STACK_LEN };
	number("KFDSVM_RUN_MAX_RESIDENT", &o->max_resident);
	number("KFDSVM_RUN_STACK", &o->stack_len);
	o->report = getenv("KFDSVM_RUN_REPORT");
	if (number("KFDSVM_RUN_PID", &value))
		o->first_pid = (int)value;
	text = getenv("KFDSVM_RUN_FOLLOW");
	o->follow = !text || strcmp(text, "0") != 0;
	text = getenv("KFDSVM_RUN_PREFER");
	o->has_preferred = text && !strcmp(text, "gpu");
	o->preferred = UINT32_MAX;
	if (number("KFDSVM_RUN_PREFER", &value) && value <= UINT32_MAX) {
		o->has_preferred = true;
		o->preferred = (uint32_t)value;
	}
	o->has_granularity = number("KFDSVM_RUN_GRANULARITY", &value) && value <= 63;
	o->granularity_lg2 = o->has_granularity ? (uint32_t)value : 0;
}
