// SPDX-License-Identifier: MIT
#include "kfdsvm.h"

#define TEXT(x)		#x
#define VERSION(a, b, c)	TEXT(a) "." TEXT(b) "." TEXT(c)

const char *kfdsvm_version(void)
{
	return VERSION(KFDSVM_VERSION_MAJOR, KFDSVM_VERSION_MINOR, KFDSVM_VERSION_PATCH);
}
