// SPDX-License-Identifier: MIT
/* kfdsvm.h first, alone, in plain C11. */
#include <kfdsvm.h>

int main(void)
{
	return kfdsvm_version()[0] == '\0';
}
