// SPDX-License-Identifier: MIT
#include "command.h"

#include <kfdsvm.h>

#include "output.h"

int command_option(int opt, void (*usage)(FILE *to), int error_code)
{
	switch (opt) {
	case 'h':
		usage(stdout);
		return output_end(EXIT_WORKS);
	case 'V':
		printf("kfdsvm %s\n", kfdsvm_version());
		return output_end(EXIT_WORKS);
	default:
		usage(stderr);
		return error_code;
	}
}
