/* SPDX-License-Identifier: MIT */
#ifndef KFDSVM_PRIVILEGE_H
#define KFDSVM_PRIVILEGE_H

#include <stdbool.h>

/* Whether the driver tells this process events of others: CAP_SYS_ADMIN. */
bool is_admin(void);

#endif
