// SPDX-License-Identifier: MIT
#include "privilege.h"

#include <stdio.h>

#define CAP_SYS_ADMIN	21

bool is_admin(void)
{
	char line[128];
	unsigned long long caps = 0;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (file)
		fclose(file);
	return caps >> CAP_SYS_ADMIN & 1;
}
